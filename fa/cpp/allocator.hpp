/* fa::allocator<T, intent> for the standard containers, and a std::pmr::memory_resource for each
 * intent. Part of fa.hpp.
 *
 *     fa::frame_scope frame(memory);
 *     std::vector<Contact, fa::frame_allocator<Contact>> contacts(frame);
 *     fa::frame_resource resource(frame);
 *     std::pmr::unordered_map<int, Body *> bodies(&resource);
 *
 * Memory that is refused is std::bad_alloc, as containers want it; fa_last_error says why. Built
 * without exceptions, std::abort: then do not let it come to that (a budget, frame_bytes_max), or
 * use the collections of fa/collection.h. Sizes of 0 are served, alignments above FA_ALIGN_MAX are
 * refused.
 *
 * Frame memory is not freed one by one: deallocate does nothing, a container that grows leaves its
 * old memory to the end of the frame, or to a mark_scope around it. reserve pays. A container must
 * be gone, or not be touched again, when its frame ends or is rewound to an older mark; its
 * destructor touches memory only where elements or nodes have to be destroyed.
 *
 * The frame forms take an open frame's handle (fastest, of one thread; it stays the same for each
 * frame of that thread, so that a resource may as well), the resource also an allocator: whatever
 * frame the calling thread has open then, so any thread may use it.
 *
 * Equal are allocators of the same intent and frame or fa_allocator. A container takes its
 * allocator along when it is swapped or moved, but for move assignment in frames: there elements
 * move into the frame of the container that is assigned to, so that it does not come to hold memory
 * of another one. A copy allocates where the original does. */
#ifndef FA_CPP_ALLOCATOR_HPP
#define FA_CPP_ALLOCATOR_HPP

#include "fa/allocator.h"
#include "fa/frame.h"
#include "fa/heap.h"
#include "fa/pool.h"
#include "fa/scratch.h"

#include <cstdlib>
#include <limits>
#include <memory_resource>
#include <new>
#include <type_traits>

namespace fa {

namespace inside {

[[noreturn]] FA_COLD inline void refused() {
#ifdef __cpp_exceptions
    throw std::bad_alloc();
#else
    std::abort();
#endif
}

/* What is more than the fast path: requests of 0 bytes, frames of NULL, alignment, refusals. */
FA_COLD inline void *frame_other(fa_frame *frame, size_t bytes, size_t align) {
    void *block = (fa_frame_alloc_aligned_in)(frame, bytes != 0 ? bytes : 1, align);
    if (block == nullptr)
        refused();
    return block;
}

FA_COLD inline void *frame_other(fa_allocator *allocator, size_t bytes, size_t align) {
    void *block = (fa_frame_alloc_aligned)(allocator, bytes != 0 ? bytes : 1, align);
    if (block == nullptr)
        refused();
    return block;
}

inline void *frame_take(fa_frame *frame, size_t bytes, size_t align) {
    size_t rounded = (bytes + (FA_ALIGN_MIN - 1)) & ~(FA_ALIGN_MIN - 1);
    if (FA_UNLIKELY(frame == nullptr || align > FA_ALIGN_MIN ||
                    rounded - 1 >= static_cast<size_t>(frame->limit - frame->cursor)))
        return frame_other(frame, bytes, align);
    return (fa_frame_alloc_in)(frame, bytes);
}

inline void *frame_take(fa_allocator *allocator, size_t bytes, size_t align) {
    if (FA_UNLIKELY(FAI_LOAD_RELAXED(&fai_slot.frame_owner) != allocator))
        return frame_other(allocator, bytes, align);
    return frame_take(&fai_slot.frame, bytes, align);
}

inline void *pool_take(fa_allocator *allocator, size_t bytes, size_t align) {
    bytes = bytes != 0 ? bytes : 1;
    void *block = align <= FA_ALIGN_MIN ? (fa_pool_alloc)(allocator, bytes)
                                        : (fa_pool_alloc_aligned)(allocator, bytes, align);
    if (FA_UNLIKELY(block == nullptr))
        refused();
    return block;
}

inline void pool_give(fa_allocator *allocator, void *block, size_t bytes, size_t align) noexcept {
    if (align <= FA_ALIGN_MIN)
        (fa_pool_free_sized)(allocator, block, bytes != 0 ? bytes : 1);
    else
        (fa_pool_free)(allocator, block);
}

inline void *heap_take(fa_allocator *allocator, size_t bytes, size_t align) {
    void *block = (fa_heap_alloc_aligned)(allocator, bytes != 0 ? bytes : 1,
                                          align < FA_ALIGN_MIN ? FA_ALIGN_MIN : align);
    if (FA_UNLIKELY(block == nullptr))
        refused();
    return block;
}

inline void heap_give(fa_allocator *allocator, void *block, size_t, size_t) noexcept {
    (fa_heap_free)(allocator, block);
}

} // namespace inside

/* ---- for containers ---- */

template <class T, fa_intent Intent> class allocator {
    static_assert(Intent == FA_INTENT_FRAME || Intent == FA_INTENT_POOL || Intent == FA_INTENT_HEAP,
                  "memory is for a frame, a pool or the heap");
    static constexpr bool in_frame = Intent == FA_INTENT_FRAME;

  public:
    using value_type = T;
    using source = std::conditional_t<in_frame, fa_frame, fa_allocator>;
    using propagate_on_container_copy_assignment = std::false_type;
    using propagate_on_container_move_assignment = std::bool_constant<!in_frame>;
    using propagate_on_container_swap = std::true_type;
    using is_always_equal = std::false_type;
    template <class Other> struct rebind { using other = allocator<Other, Intent>; };

    /* A frame's handle, or the fa_allocator, or what converts to it; nullptr is refused when it
     * comes to allocate. */
    template <class From, class = std::enable_if_t<std::is_convertible_v<const From &, source *>>>
    allocator(const From &from) noexcept : from_(from) {}
    template <class Other>
    allocator(const allocator<Other, Intent> &other) noexcept : from_(other.from()) {}

    [[nodiscard]] T *allocate(size_t count) {
        if (FA_UNLIKELY(count > FA_SIZE_MAX / sizeof(T)))
            inside::refused();
        size_t bytes = count * sizeof(T);
        if constexpr (in_frame)
            return static_cast<T *>(inside::frame_take(from_, bytes, alignof(T)));
        else if constexpr (Intent == FA_INTENT_POOL)
            return static_cast<T *>(inside::pool_take(from_, bytes, alignof(T)));
        else
            return static_cast<T *>(inside::heap_take(from_, bytes, alignof(T)));
    }
    void deallocate(T *block, size_t count) noexcept {
        if constexpr (in_frame)
            (void)block, (void)count;
        else if constexpr (Intent == FA_INTENT_POOL)
            inside::pool_give(from_, block, count * sizeof(T), alignof(T));
        else
            inside::heap_give(from_, block, count * sizeof(T), alignof(T));
    }
    static constexpr size_t max_size() noexcept { return FA_SIZE_MAX / sizeof(T); }
    source *from() const noexcept { return from_; }

    template <class Other> bool operator==(const allocator<Other, Intent> &other) const noexcept {
        return from_ == other.from();
    }
    template <class Other> bool operator!=(const allocator<Other, Intent> &other) const noexcept {
        return from_ != other.from();
    }

  private:
    source *from_;
};

template <class T> using frame_allocator = allocator<T, FA_INTENT_FRAME>;
template <class T> using pool_allocator = allocator<T, FA_INTENT_POOL>;
template <class T> using heap_allocator = allocator<T, FA_INTENT_HEAP>;

/* ---- for std::pmr ---- */

namespace inside {

/* Whether other is a resource of the same class. Without RTTI nobody can tell, so that only a
 * resource itself is equal: containers move element by element then. */
template <class Resource> const Resource *same_kind(const std::pmr::memory_resource &other) {
#ifdef __cpp_rtti
    return dynamic_cast<const Resource *>(&other);
#else
    (void)other;
    return nullptr;
#endif
}

} // namespace inside

/* Memory of a frame; deallocate does nothing. */
class frame_resource final : public std::pmr::memory_resource {
  public:
    /* Of this frame, on its thread. */
    explicit frame_resource(fa_frame *frame) noexcept : frame_(frame) {}
    /* Of the frame that the calling thread has open then. */
    explicit frame_resource(fa_allocator *allocator) noexcept : allocator_(allocator) {}

  private:
    void *do_allocate(size_t bytes, size_t align) override {
        return allocator_ == nullptr ? inside::frame_take(frame_, bytes, align)
                                     : inside::frame_take(allocator_, bytes, align);
    }
    void do_deallocate(void *, size_t, size_t) override {}
    bool do_is_equal(const std::pmr::memory_resource &other) const noexcept override {
        if (this == &other)
            return true;
        const frame_resource *same = inside::same_kind<frame_resource>(other);
        return same != nullptr && same->frame_ == frame_ && same->allocator_ == allocator_;
    }

    fa_frame *frame_ = nullptr;
    fa_allocator *allocator_ = nullptr; /* nullptr: the frame counts */
};

/* Memory of a scratch scope (fa/scratch.h), on its thread; deallocate does nothing. */
class scratch_resource final : public std::pmr::memory_resource {
  public:
    explicit scratch_resource(fa_scratch scratch) noexcept : scratch_(scratch) {}

  private:
    void *do_allocate(size_t bytes, size_t align) override {
        bytes = bytes != 0 ? bytes : 1;
        void *block = align <= FA_ALIGN_MIN ? (fa_scratch_alloc)(scratch_, bytes)
                                            : (fa_scratch_alloc_aligned)(scratch_, bytes, align);
        if (FA_UNLIKELY(block == nullptr))
            inside::refused();
        return block;
    }
    void do_deallocate(void *, size_t, size_t) override {}
    bool do_is_equal(const std::pmr::memory_resource &other) const noexcept override {
        if (this == &other)
            return true;
        const scratch_resource *same = inside::same_kind<scratch_resource>(other);
        return same != nullptr && same->scratch_.serial == scratch_.serial &&
               same->scratch_.head == scratch_.head;
    }

    fa_scratch scratch_;
};

/* Pool memory: any thread allocates and frees. */
class pool_resource final : public std::pmr::memory_resource {
  public:
    explicit pool_resource(fa_allocator *allocator) noexcept : allocator_(allocator) {}

  private:
    void *do_allocate(size_t bytes, size_t align) override {
        return inside::pool_take(allocator_, bytes, align);
    }
    void do_deallocate(void *block, size_t bytes, size_t align) override {
        inside::pool_give(allocator_, block, bytes, align);
    }
    bool do_is_equal(const std::pmr::memory_resource &other) const noexcept override {
        if (this == &other)
            return true;
        const pool_resource *same = inside::same_kind<pool_resource>(other);
        return same != nullptr && same->allocator_ == allocator_;
    }

    fa_allocator *allocator_;
};

/* Heap memory: any thread allocates and frees. */
class heap_resource final : public std::pmr::memory_resource {
  public:
    explicit heap_resource(fa_allocator *allocator) noexcept : allocator_(allocator) {}

  private:
    void *do_allocate(size_t bytes, size_t align) override {
        return inside::heap_take(allocator_, bytes, align);
    }
    void do_deallocate(void *block, size_t bytes, size_t align) override {
        inside::heap_give(allocator_, block, bytes, align);
    }
    bool do_is_equal(const std::pmr::memory_resource &other) const noexcept override {
        if (this == &other)
            return true;
        const heap_resource *same = inside::same_kind<heap_resource>(other);
        return same != nullptr && same->allocator_ == allocator_;
    }

    fa_allocator *allocator_;
};

} // namespace fa

#endif
