/* Retained objects in C++ (fa/retain.h says what they are). Part of fa.hpp.
 *
 *     fa::retained<Path> path = fa::make_retained<Path>(memory, fa_retain_to_pool(), start);
 *     path->walk();                                  frame memory until the frame ends
 *     fa_frame_end(memory);
 *     if (Path *kept = path.get())                   in the pool now; nullptr: it could not be kept
 *         kept->walk();                              freed with its owner
 *
 * Objects are moved byte by byte: the type must be trivially copyable. */
#ifndef FA_CPP_RETAIN_HPP
#define FA_CPP_RETAIN_HPP

#include "fa/allocator.h"
#include "fa/cpp/owner.hpp"
#include "fa/retain.h"

namespace fa {

/* Owns an object that is retained in a frame, and what becomes of it. At its end it frees what was
 * kept, where the policy leaves it to the program; while the frame is open, on its thread, the
 * object is not kept. To be destroyed before its allocator. */
template <class T> class retained {
    static_assert(std::is_trivially_copyable_v<T>, "objects are moved byte by byte");

  public:
    retained() = default;
    retained(fa_allocator *allocator, fa_retained raw) noexcept
        : allocator_(allocator), raw_(raw) {}
    retained(retained &&other) noexcept
        : allocator_(other.allocator_), raw_(std::exchange(other.raw_, fa_retained{})) {}
    retained &operator=(retained &&other) noexcept {
        retained moved(std::move(other));
        std::swap(allocator_, moved.allocator_);
        std::swap(raw_, moved.raw_);
        return *this;
    }
    ~retained() { reset(); }

    fa_retained raw() const noexcept { return raw_; }
    /* Where it is; nullptr: nowhere. */
    T *get() const noexcept {
        return raw_.serial != 0 ? static_cast<T *>((fa_retained_get)(allocator_, raw_)) : nullptr;
    }
    T *operator->() const noexcept { return get(); }
    T &operator*() const noexcept { return *get(); }
    explicit operator bool() const noexcept { return get() != nullptr; }
    fa_retained_kind kind() const noexcept {
        return raw_.serial != 0 ? (fa_retained_kind_of)(allocator_, raw_) : FA_RETAINED_NONE;
    }
    /* What was kept is the caller's, who frees it with fa_free; nullptr as fa_retained_take, and
     * then it stays here. */
    T *take() noexcept {
        void *object = (fa_retained_take)(allocator_, raw_);
        if (object != nullptr)
            raw_ = fa_retained{};
        return static_cast<T *>(object);
    }
    void reset() noexcept {
        fa_retained_kind now = kind();
        if (now == FA_RETAINED_OPEN)
            (void)(fa_retained_set)(allocator_, raw_, fa_retain_discarded());
        else if (now == FA_RETAINED_POOL || now == FA_RETAINED_HEAP || now == FA_RETAINED_SCRATCH)
            (void)(fa_retained_release)(allocator_, raw_);
        raw_ = fa_retained{};
    }

  private:
    fa_allocator *allocator_ = nullptr;
    fa_retained raw_ = {};
};

/* An object of the calling thread's open frame that is to be dealt with as retention says; empty
 * when that was refused: fa_last_error says why. */
template <class T, class... Arguments>
retained<T> make_retained(from<fa_allocator> memory, fa_retention retention,
                          Arguments &&...arguments) {
    fa_retained raw;
    {
        inside::at<false> place(memory.site());
        raw = (fa_frame_retain)(memory.get(), sizeof(T), alignof(T), retention);
    }
    retained<T> made(memory.get(), raw);
    if (T *object = made.get())
        (void)inside::construct<T>(static_cast<void *>(object),
                                   std::forward<Arguments>(arguments)...);
    return made;
}

} // namespace fa

#endif
