/* Owners of C++ for objects in frame memory. Part of fa.hpp.
 *
 *     Path *path = fa::frame_new<Path>(frame, from, to);                  ends with the frame
 *     fa::frame_ptr<Query> query = fa::make_frame<Query>(frame, world);   ends with its owner
 *
 * frame_new leaves the destructor to the end of the frame, or to a rewind to an older mark: it is
 * registered with fa_frame_defer_in, where the type has one. Objects are destroyed in the opposite
 * order. Returns nullptr when there is no memory for the object or for that: then it does not
 * exist.
 *
 * A frame_ptr must be gone before its frame ends or is rewound to an older mark: the memory goes
 * with the frame, and may be another's after that. A late owner is found out: it does not run the
 * destructor, touches nothing and reports FA002. So does one that is destroyed on another thread
 * than its frame's. For this make_frame sets a mark of its own (fa/mark.h: a few instructions; the
 * frame's end does more then), but only where the type has a destructor; where it has none, the
 * owner is a pointer and does nothing. */
#ifndef FA_CPP_FRAME_OWNER_HPP
#define FA_CPP_FRAME_OWNER_HPP

#include "fa/cpp/owner.hpp"
#include "fa/defer.h"
#include "fa/frame.h"
#include "fa/mark.h"

namespace fa {

namespace inside {

inline void *frame_alloc(const from<fa_frame> &frame, size_t bytes, size_t align) noexcept {
    at<false> place(frame.site());
    return frame.get() != nullptr && align <= FA_ALIGN_MIN
               ? (fa_frame_alloc_in)(frame.get(), bytes)
               : (fa_frame_alloc_aligned_in)(frame.get(), bytes, align);
}

/* How an owner knows that its object is still there: the mark that was set before it. */
class frame_life {
  public:
    frame_life() = default;
    explicit frame_life(fa_frame *frame) noexcept : serial_((fa_frame_mark_in)(frame).serial) {
        if (serial_ != 0)
            allocator_ = fai_frame_allocator(frame);
    }
    bool is_over() const noexcept { return serial_ == 0; }
    /* False: not any more, which is reported. */
    bool lasts(const volatile void *object) const noexcept {
        bool newest = FAI_LOAD_RELAXED(&fai_slot.frame_owner) == allocator_ &&
                      fai_slot.frame.mark_newest == serial_;
        return FA_LIKELY(newest) ||
               fai_mark_lasts(allocator_, serial_, const_cast<const void *>(object));
    }

  private:
    fa_allocator *allocator_ = nullptr;
    uint64_t serial_ = 0; /* 0: no object */
};

/* Where there is nothing to be done at the end. */
class frame_no_life {
  public:
    frame_no_life() = default;
    explicit frame_no_life(fa_frame *) noexcept {}
    bool is_over() const noexcept { return false; }
};

template <class T>
using frame_life_of =
    std::conditional_t<std::is_trivially_destructible_v<T>, frame_no_life, frame_life>;

} // namespace inside

template <class T> class frame_deleter : inside::frame_life_of<T> {
    using life = inside::frame_life_of<T>;
    template <class> friend class frame_deleter;

  public:
    frame_deleter() = default;
    explicit frame_deleter(life known) noexcept : life(known) {}
    template <class From, class = std::enable_if_t<inside::can_become<From, T>>>
    frame_deleter(const frame_deleter<From> &other) noexcept : life(other) {}

    void operator()(T *object) const noexcept {
        if constexpr (std::is_trivially_destructible_v<T>)
            (void)object;
        else if (life::lasts(object))
            object->~T();
    }
};

template <class T> class frame_deleter<T[]> : inside::frame_life_of<T> {
    using life = inside::frame_life_of<T>;

  public:
    frame_deleter() = default;
    frame_deleter(life known, size_t count) noexcept : life(known), count_(count) {}

    void operator()(T *items) const noexcept {
        if constexpr (std::is_trivially_destructible_v<T>)
            (void)items;
        else if (life::lasts(items))
            for (size_t i = count_; i > 0; i--)
                items[i - 1].~T();
    }
    size_t count() const noexcept { return count_; }

  private:
    size_t count_ = 0;
};

template <class T> using frame_ptr = std::unique_ptr<T, frame_deleter<T>>;

template <class T, class... Arguments>
std::enable_if_t<!std::is_array_v<T>, frame_ptr<T>> make_frame(from<fa_frame> frame,
                                                               Arguments &&...arguments) {
    inside::frame_life_of<T> life(frame.get());
    void *block = life.is_over() ? nullptr : inside::frame_alloc(frame, sizeof(T), alignof(T));
    if (block == nullptr)
        return {};
    return {inside::construct<T>(block, std::forward<Arguments>(arguments)...),
            frame_deleter<T>(life)};
}

template <class T>
std::enable_if_t<std::is_array_v<T>, frame_ptr<T>> make_frame(from<fa_frame> frame, size_t count) {
    using item = std::remove_extent_t<T>;
    inside::frame_life_of<item> life(frame.get());
    void *block = life.is_over()
                      ? nullptr
                      : inside::frame_alloc(frame, inside::bytes_of<item>(count), alignof(item));
    if (block == nullptr)
        return {};
    item *items = static_cast<item *>(block);
    std::uninitialized_value_construct_n(items, count);
    return {items, frame_deleter<T>(life, count)};
}

template <class T, class... Arguments>
T *frame_new(from<fa_frame> frame, Arguments &&...arguments) {
    void *block = inside::frame_alloc(frame, sizeof(T), alignof(T));
    if (block == nullptr)
        return nullptr;
    T *object = inside::construct<T>(block, std::forward<Arguments>(arguments)...);
    if constexpr (!std::is_trivially_destructible_v<T>) {
        /* After the constructor: what that registered is part of the object, and ends after it. */
        auto end = [](void *argument) { static_cast<T *>(argument)->~T(); };
        inside::at<false> place(frame.site());
        if ((fa_frame_defer_in)(frame.get(), end, object) != FA_OK) {
            object->~T();
            return nullptr;
        }
    }
    return object;
}

} // namespace fa

#endif
