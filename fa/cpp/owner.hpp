/* Owners of C++: std::unique_ptr whose deleters know where the memory is from. Part of fa.hpp,
 * which says what holds for all.
 *
 *     fa::pool_ptr<Enemy> boss = fa::make_pool<Enemy>(memory, "Ogre", 100);
 *     if (boss == nullptr)
 *         return fa_last_error().status;
 *     fa::heap_ptr<Tile[]> tiles = fa::make_heap<Tile[]>(memory, 1 << 20);
 *
 * make gives an empty owner when memory is refused, without an exception; fa_last_error says why.
 * Arguments go to the constructor; what that throws passes, and the memory is back before. Elements
 * of an array are initialised as by T(); count 0 is FA_ERROR_INVALID. Any alignment up to
 * FA_ALIGN_MAX is honoured.
 *
 * pool_ptr and heap_ptr: destroyed by any thread, before the allocator. An owner of a derived class
 * converts to one of a base class with a virtual destructor.
 * frame_ptr: see frame_owner.hpp. */
#ifndef FA_CPP_OWNER_HPP
#define FA_CPP_OWNER_HPP

#include "fa/heap.h"
#include "fa/pool.h"

#include <memory>
#include <new>
#include <type_traits>
#include <utility>

namespace fa {

/* An allocator or a frame, and the place in the caller's code: whatever converts to the pointer
 * converts to it. To be used as the type of a parameter only. */
template <class Handle> class from {
  public:
    template <class Source,
              class = std::enable_if_t<std::is_convertible_v<const Source &, Handle *>>>
    from(const Source &source, const char *file = __builtin_FILE(),
         const char *function = __builtin_FUNCTION(), int line = __builtin_LINE()) noexcept
        : handle_(source), site_{file, function, line} {}

    Handle *get() const noexcept { return handle_; }
    const fa_site *site() const noexcept { return &site_; }

  private:
    Handle *handle_;
    fa_site site_;
};

namespace inside {

/* Notes the place of the call that is made while it lives: always, or only in builds with FA_DEBUG,
 * as fa/site.h does. */
template <bool Always> class at {
  public:
#if defined(FA_MINIMAL)
    explicit at(const fa_site *) noexcept {}
#elif defined(FA_DEBUG)
    explicit at(const fa_site *site) noexcept { fai_slot.site = site; }
    ~at() { fai_slot.site = nullptr; }
#else
    explicit at(const fa_site *site) noexcept {
        if constexpr (Always)
            fai_slot.site = site;
    }
    ~at() {
        if constexpr (Always)
            fai_slot.site = nullptr;
    }
#endif
    at(const at &) = delete;
    at &operator=(const at &) = delete;
};

/* Where the block of an object starts, which a base class may stand in the middle of. */
template <class T> void *block_of(T *object) noexcept {
    if constexpr (std::is_polymorphic_v<T>)
        return const_cast<void *>(dynamic_cast<const volatile void *>(object));
    else
        return const_cast<void *>(static_cast<const volatile void *>(object));
}

template <class From, class To>
constexpr bool can_become = std::is_convertible_v<From *, To *> &&
                            (std::has_virtual_destructor_v<To> ||
                             std::is_same_v<std::remove_cv_t<From>, std::remove_cv_t<To>>);

/* Bytes of an array; the largest number there is, which no request passes, when that wraps. */
template <class T> size_t bytes_of(size_t count) noexcept {
    size_t bytes;
    return __builtin_mul_overflow(count, sizeof(T), &bytes) ? SIZE_MAX : bytes;
}

/* Structures without a constructor take what an initialiser in braces would. */
template <class T, class... Arguments> T *construct(void *block, Arguments &&...arguments) {
    if constexpr (std::is_constructible_v<T, Arguments...>)
        return ::new (block) T(std::forward<Arguments>(arguments)...);
    else
        return ::new (block) T{std::forward<Arguments>(arguments)...};
}

#ifdef __cpp_exceptions
template <class T, class... Arguments>
constexpr bool may_throw = !std::is_nothrow_constructible_v<T, Arguments...>;
#else
template <class T, class... Arguments> constexpr bool may_throw = false;
#endif

/* Two intents, with the same functions. */
struct pool {
    static void *alloc(const from<fa_allocator> &memory, size_t bytes, size_t align) noexcept {
        at<false> place(memory.site());
        return align <= FA_ALIGN_MIN ? (fa_pool_alloc)(memory.get(), bytes)
                                     : (fa_pool_alloc_aligned)(memory.get(), bytes, align);
    }
    template <class T> static void free(fa_allocator *allocator, void *block) noexcept {
        if constexpr (alignof(T) > FA_ALIGN_MIN ||
                      (std::is_polymorphic_v<T> && !std::is_final_v<T>))
            (fa_pool_free)(allocator, block);
        else
            (fa_pool_free_sized)(allocator, block, sizeof(T));
    }
    static void free_any(fa_allocator *allocator, void *block) noexcept {
        (fa_pool_free)(allocator, block);
    }
};

struct heap {
    static void *alloc(const from<fa_allocator> &memory, size_t bytes, size_t align) noexcept {
        at<true> place(memory.site());
        return (fa_heap_alloc_aligned)(memory.get(), bytes,
                                       align < FA_ALIGN_MIN ? FA_ALIGN_MIN : align);
    }
    template <class T> static void free(fa_allocator *allocator, void *block) noexcept {
        (fa_heap_free)(allocator, block);
    }
    static void free_any(fa_allocator *allocator, void *block) noexcept {
        (fa_heap_free)(allocator, block);
    }
};

/* Gives a block back when a constructor throws. */
template <class Intent> class rescue {
  public:
    rescue(fa_allocator *allocator, void *block) noexcept : allocator_(allocator), block_(block) {}
    ~rescue() {
        if (block_ != nullptr)
            Intent::free_any(allocator_, block_);
    }
    rescue(const rescue &) = delete;
    rescue &operator=(const rescue &) = delete;
    void done() noexcept { block_ = nullptr; }

  private:
    fa_allocator *allocator_;
    void *block_;
};

} // namespace inside

/* ---- pool and heap ---- */

template <class T, class Intent> class deleter {
  public:
    deleter() = default;
    explicit deleter(fa_allocator *allocator) noexcept : allocator_(allocator) {}
    template <class From, class = std::enable_if_t<inside::can_become<From, T>>>
    deleter(const deleter<From, Intent> &other) noexcept : allocator_(other.allocator()) {}

    void operator()(T *object) const noexcept {
        void *block = inside::block_of(object);
        object->~T();
        Intent::template free<T>(allocator_, block);
    }
    fa_allocator *allocator() const noexcept { return allocator_; }

  private:
    fa_allocator *allocator_ = nullptr;
};

template <class T, class Intent> class deleter<T[], Intent> {
  public:
    deleter() = default;
    deleter(fa_allocator *allocator, size_t count) noexcept
        : allocator_(allocator), count_(count) {}

    void operator()(T *items) const noexcept {
        for (size_t i = count_; i > 0; i--)
            items[i - 1].~T();
        Intent::free_any(allocator_, const_cast<std::remove_cv_t<T> *>(items));
    }
    fa_allocator *allocator() const noexcept { return allocator_; }
    size_t count() const noexcept { return count_; }

  private:
    fa_allocator *allocator_ = nullptr;
    size_t count_ = 0;
};

template <class T> using pool_ptr = std::unique_ptr<T, deleter<T, inside::pool>>;
template <class T> using heap_ptr = std::unique_ptr<T, deleter<T, inside::heap>>;

namespace inside {

template <class T, class Intent, class... Arguments>
std::unique_ptr<T, deleter<T, Intent>> make(const from<fa_allocator> &memory,
                                            Arguments &&...arguments) {
    deleter<T, Intent> end(memory.get());
    void *block = Intent::alloc(memory, sizeof(T), alignof(T));
    if (block == nullptr)
        return {nullptr, end};
    rescue<Intent> saved(memory.get(), block);
    T *object = construct<T>(block, std::forward<Arguments>(arguments)...);
    saved.done();
    return {object, end};
}

template <class T, class Intent>
std::unique_ptr<T[], deleter<T[], Intent>> make_array(const from<fa_allocator> &memory,
                                                      size_t count) {
    void *block = Intent::alloc(memory, bytes_of<T>(count), alignof(T));
    if (block == nullptr)
        return {nullptr, deleter<T[], Intent>(memory.get(), 0)};
    rescue<Intent> saved(memory.get(), block);
    T *items = static_cast<T *>(block);
    std::uninitialized_value_construct_n(items, count);
    saved.done();
    return {items, deleter<T[], Intent>(memory.get(), count)};
}

} // namespace inside

template <class T, class... Arguments>
std::enable_if_t<!std::is_array_v<T>, pool_ptr<T>> make_pool(from<fa_allocator> memory,
                                                             Arguments &&...arguments) {
    return inside::make<T, inside::pool>(memory, std::forward<Arguments>(arguments)...);
}
template <class T>
std::enable_if_t<std::is_array_v<T>, pool_ptr<T>> make_pool(from<fa_allocator> memory,
                                                            size_t count) {
    return inside::make_array<std::remove_extent_t<T>, inside::pool>(memory, count);
}
template <class T, class... Arguments>
std::enable_if_t<!std::is_array_v<T>, heap_ptr<T>> make_heap(from<fa_allocator> memory,
                                                             Arguments &&...arguments) {
    return inside::make<T, inside::heap>(memory, std::forward<Arguments>(arguments)...);
}
template <class T>
std::enable_if_t<std::is_array_v<T>, heap_ptr<T>> make_heap(from<fa_allocator> memory,
                                                            size_t count) {
    return inside::make_array<std::remove_extent_t<T>, inside::heap>(memory, count);
}

} // namespace fa

#endif
