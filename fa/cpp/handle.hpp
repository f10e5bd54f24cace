/* Typed handles in C++ (fa/handle.h says what they are). Part of fa.hpp.
 *
 *     fa::handles<Mesh> meshes(memory);
 *     fa::handle<Mesh> mesh = meshes.make();       all bytes zero; or make(...), a copy
 *     if (Mesh *at = meshes.get(mesh))             holds until a compaction moves it
 *         at->draw();
 *     fa::pinned<Mesh> safe = meshes.pin(mesh);    neither moved nor freed while it lives
 *     meshes.compact(0, 500000);                   half a millisecond
 *
 * Objects are moved byte by byte: the type must be trivially copyable. Refusals are handles of none
 * and empty pins; fa_last_error says why. */
#ifndef FA_CPP_HANDLE_HPP
#define FA_CPP_HANDLE_HPP

#include "fa/cpp/owner.hpp"
#include "fa/handle.h"

namespace fa {

/* Names an object of type T; a value. */
template <class T> struct handle {
    fa_handle raw = {};

    explicit operator bool() const noexcept { return !fa_handle_is_none(raw); }
    bool operator==(const handle &other) const noexcept { return fa_handle_equal(raw, other.raw); }
    bool operator!=(const handle &other) const noexcept { return !(*this == other); }
};

/* A pin that is taken back at its end, on whatever thread. */
template <class T> class pinned {
  public:
    pinned() = default;
    pinned(fa_handles *table, handle<T> named) noexcept
        : table_(table), handle_(named),
          object_(static_cast<T *>((fa_handle_pin)(table, named.raw))) {}
    pinned(pinned &&other) noexcept
        : table_(other.table_), handle_(other.handle_),
          object_(std::exchange(other.object_, nullptr)) {}
    pinned &operator=(pinned &&other) noexcept {
        pinned moved(std::move(other));
        std::swap(table_, moved.table_);
        std::swap(handle_, moved.handle_);
        std::swap(object_, moved.object_);
        return *this;
    }
    ~pinned() {
        if (object_ != nullptr)
            (void)(fa_handle_unpin)(table_, handle_.raw);
    }

    T *get() const noexcept { return object_; }
    T &operator*() const noexcept { return *object_; }
    T *operator->() const noexcept { return object_; }
    explicit operator bool() const noexcept { return object_ != nullptr; }

  private:
    fa_handles *table_ = nullptr;
    handle<T> handle_;
    T *object_ = nullptr; /* nullptr: nothing is pinned */
};

/* Owns a table of objects of one type. Converts to the fa_handles * that other calls take; nullptr
 * when it could not be made. To be destroyed before its allocator. */
template <class T> class handles {
    static_assert(std::is_trivially_copyable_v<T>, "objects are moved byte by byte");

  public:
    explicit handles(fa_allocator *allocator, const fa_handles_options *options = nullptr) noexcept
        : table_((fa_handles_create)(allocator, options)) {}
    handles(handles &&other) noexcept : table_(std::exchange(other.table_, nullptr)) {}
    handles &operator=(handles &&other) noexcept {
        handles moved(std::move(other));
        std::swap(table_, moved.table_);
        return *this;
    }
    ~handles() { (void)(fa_handles_destroy)(table_); }

    operator fa_handles *() const noexcept { return table_; }
    /* An object of zero bytes; a copy; one that is never moved. */
    handle<T> make() noexcept { return make_with(FA_HANDLE_ZEROED); }
    handle<T> make(const T &value) noexcept {
        handle<T> made = make_with(0);
        if (pinned<T> at = pin(made)) /* another thread may be compacting */
            (void)::new (static_cast<void *>(at.get())) T(value);
        return made;
    }
    handle<T> make_fixed() noexcept { return make_with(FA_HANDLE_ZEROED | FA_HANDLE_FIXED); }
    fa_status free(handle<T> named) noexcept { return (fa_handle_free)(table_, named.raw); }

    T *get(handle<T> named) const noexcept {
        return static_cast<T *>((fa_handle_get)(table_, named.raw));
    }
    pinned<T> pin(handle<T> named) const noexcept { return {table_, named}; }
    fa_handles_step compact(size_t bytes_max, uint64_t nanoseconds_max) noexcept {
        return (fa_handles_compact)(table_, bytes_max, nanoseconds_max);
    }

  private:
    handle<T> make_with(uint32_t flags) noexcept {
        return {(fa_handle_alloc_with)(table_, sizeof(T), alignof(T), flags)};
    }
    fa_handles *table_;
};

} // namespace fa

#endif
