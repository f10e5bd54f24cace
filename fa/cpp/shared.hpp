/* Shared objects in C++: owners and weak references that count by themselves. Part of fa.hpp; on
 * top of fa/shared.h, which says what holds for threads and misuse.
 *
 *     fa::shared_ptr<Texture> stone = fa::make_shared<Texture>(memory, "stone.png");
 *     fa::weak_ptr<Texture> seen = stone;
 *     if (fa::shared_ptr<Texture> there = seen.lock())
 *         draw(*there);
 *
 * The object, its counts and its destructor are one pool object. make_shared gives an empty owner
 * when memory is refused, without an exception; fa_last_error says why. The destructor runs with
 * the last owner, on its thread; the memory is free when there is no weak reference left either. A
 * copy that is refused (2^31 owners) is empty. An owner of a derived class converts to one of a
 * base class, with or without a virtual destructor. One object may be used by several threads, each
 * through an owner of its own: the owners themselves are not guarded. */
#ifndef FA_CPP_SHARED_HPP
#define FA_CPP_SHARED_HPP

#include "fa/cpp/owner.hpp"
#include "fa/shared.h"

namespace fa {

template <class T> class weak_ptr;

template <class T> class shared_ptr {
  public:
    using element_type = T;

    shared_ptr() = default;
    shared_ptr(std::nullptr_t) noexcept {}
    /* Takes an owner over that fa_shared_new or fa_weak_lock gave: it is not counted again. block:
     * what they gave; object: that, or a base or a part of it. */
    shared_ptr(fa_allocator *allocator, void *block, T *object) noexcept
        : allocator_(block != nullptr ? allocator : nullptr), block_(block),
          object_(block != nullptr ? object : nullptr) {}
    shared_ptr(const shared_ptr &other) noexcept { hold(other); }
    shared_ptr(shared_ptr &&other) noexcept { steal(other); }
    template <class From, class = std::enable_if_t<std::is_convertible_v<From *, T *>>>
    shared_ptr(const shared_ptr<From> &other) noexcept {
        hold(other);
    }
    template <class From, class = std::enable_if_t<std::is_convertible_v<From *, T *>>>
    shared_ptr(shared_ptr<From> &&other) noexcept {
        steal(other);
    }
    shared_ptr &operator=(shared_ptr other) noexcept {
        swap(other);
        return *this;
    }
    ~shared_ptr() {
        if (block_ != nullptr)
            (void)(fa_shared_release)(allocator_, block_);
    }

    T *get() const noexcept { return object_; }
    T &operator*() const noexcept { return *object_; }
    T *operator->() const noexcept { return object_; }
    explicit operator bool() const noexcept { return object_ != nullptr; }
    void reset() noexcept { shared_ptr().swap(*this); }
    void swap(shared_ptr &other) noexcept {
        std::swap(allocator_, other.allocator_);
        std::swap(block_, other.block_);
        std::swap(object_, other.object_);
    }
    /* Owners at this moment; 0 for an empty one. */
    size_t use_count() const noexcept {
        return block_ != nullptr ? (fa_shared_count)(allocator_, block_) : 0;
    }

    template <class Other> bool operator==(const shared_ptr<Other> &other) const noexcept {
        return object_ == other.get();
    }
    template <class Other> bool operator!=(const shared_ptr<Other> &other) const noexcept {
        return object_ != other.get();
    }
    bool operator==(std::nullptr_t) const noexcept { return object_ == nullptr; }
    bool operator!=(std::nullptr_t) const noexcept { return object_ != nullptr; }

  private:
    template <class> friend class shared_ptr;
    template <class> friend class weak_ptr;

    template <class From> void hold(const shared_ptr<From> &other) noexcept {
        if (other.block_ == nullptr || (fa_shared_hold)(other.allocator_, other.block_) != FA_OK)
            return;
        allocator_ = other.allocator_;
        block_ = other.block_;
        object_ = other.object_;
    }
    template <class From> void steal(shared_ptr<From> &other) noexcept {
        allocator_ = std::exchange(other.allocator_, nullptr);
        block_ = std::exchange(other.block_, nullptr);
        object_ = std::exchange(other.object_, nullptr);
    }

    fa_allocator *allocator_ = nullptr;
    void *block_ = nullptr;
    T *object_ = nullptr;
};

/* Owns nothing, but can be asked for the object. */
template <class T> class weak_ptr {
  public:
    weak_ptr() = default;
    template <class From, class = std::enable_if_t<std::is_convertible_v<From *, T *>>>
    weak_ptr(const shared_ptr<From> &owner) noexcept {
        if (owner.block_ == nullptr)
            return;
        weak_ = (fa_weak_make)(owner.allocator_, owner.block_);
        if (weak_.object == nullptr)
            return;
        allocator_ = owner.allocator_;
        object_ = owner.object_;
    }
    weak_ptr(const weak_ptr &other) noexcept {
        if (other.object_ == nullptr || (fa_weak_hold)(other.allocator_, other.weak_) != FA_OK)
            return;
        weak_ = other.weak_;
        allocator_ = other.allocator_;
        object_ = other.object_;
    }
    weak_ptr(weak_ptr &&other) noexcept { swap(other); }
    weak_ptr &operator=(weak_ptr other) noexcept {
        swap(other);
        return *this;
    }
    ~weak_ptr() {
        if (object_ != nullptr)
            (void)(fa_weak_release)(allocator_, weak_);
    }

    /* An owner of the object; empty when it has none any more. */
    shared_ptr<T> lock() const noexcept {
        if (object_ == nullptr)
            return {};
        return {allocator_, (fa_weak_lock)(allocator_, weak_), object_};
    }
    void reset() noexcept { weak_ptr().swap(*this); }
    void swap(weak_ptr &other) noexcept {
        std::swap(allocator_, other.allocator_);
        std::swap(weak_, other.weak_);
        std::swap(object_, other.object_);
    }

  private:
    fa_allocator *allocator_ = nullptr;
    fa_weak weak_ = {};
    T *object_ = nullptr; /* an address, not to be used without an owner; nullptr: none */
};

namespace inside {

/* An object whose constructor may throw: then its destructor must not run. */
template <class T> struct shared_box {
    alignas(T) unsigned char bytes[sizeof(T)];
    bool is_made;
};

} // namespace inside

template <class T, class... Arguments>
shared_ptr<T> make_shared(from<fa_allocator> memory, Arguments &&...arguments) {
    static_assert(!std::is_array_v<T>, "share a structure with the array in it");
    constexpr bool boxed = inside::may_throw<T, Arguments...>;
    using box = std::conditional_t<boxed, inside::shared_box<T>, T>;
    fa_shared_destroy_fn *end = [](void *block) {
        if constexpr (boxed) {
            if (!static_cast<box *>(block)->is_made)
                return;
        }
        static_cast<T *>(block)->~T();
    };
    void *block;
    {
        inside::at<false> place(memory.site());
        block = (fa_shared_alloc)(memory.get(), sizeof(box),
                                  alignof(box) < FA_ALIGN_MIN ? FA_ALIGN_MIN : alignof(box), end);
    }
    if (block == nullptr)
        return {};
    if constexpr (boxed) {
        box *raw = static_cast<box *>(block);
        raw->is_made = false;
        shared_ptr<T> owner(memory.get(), block, static_cast<T *>(block));
        (void)inside::construct<T>(block, std::forward<Arguments>(arguments)...);
        raw->is_made = true;
        return owner;
    } else {
        T *object = inside::construct<T>(block, std::forward<Arguments>(arguments)...);
        return {memory.get(), block, object};
    }
}

} // namespace fa

#endif
