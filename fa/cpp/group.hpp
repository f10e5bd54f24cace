/* Groups in C++ (fa/group.h says what they are): objects that are destroyed and freed together.
 * Part of fa.hpp.
 *
 *     fa::group level(memory, "level 3");
 *     Door *door = level.make<Door>("oak");        destroyed with the group, newest first
 *     Tile *tiles = level.make_array<Tile>(4096);
 *
 * Objects are nullptr when memory is refused; fa_last_error says why. What a constructor throws
 * passes; the memory stays with the group until that is freed. */
#ifndef FA_CPP_GROUP_HPP
#define FA_CPP_GROUP_HPP

#include "fa/cpp/owner.hpp"
#include "fa/group.h"

namespace fa {

/* Owns a group; converts to the fa_group that other calls take, none when it could not be made. To
 * be destroyed before its allocator. */
class group {
  public:
    explicit group(from<fa_allocator> memory, const char *name = "") noexcept {
        inside::at<false> place(memory.site());
        group_ = (fa_group_create)(memory.get(), name);
    }
    group(group &&other) noexcept : group_(std::exchange(other.group_, fa_group{})) {}
    group &operator=(group &&other) noexcept {
        group moved(std::move(other));
        std::swap(group_, moved.group_);
        return *this;
    }
    ~group() { (void)free(); }

    operator fa_group() const noexcept { return group_; }
    explicit operator bool() const noexcept { return fa_group_is_open(group_); }

    template <class T, class... Arguments> T *make(Arguments &&...arguments) {
        void *block = alloc(sizeof(T), alignof(T));
        if (block == nullptr)
            return nullptr;
        return keep(inside::construct<T>(block, std::forward<Arguments>(arguments)...));
    }
    /* Each as by T(). Their type needs no destructor: else use a container, or make. */
    template <class T> T *make_array(size_t count) {
        static_assert(std::is_trivially_destructible_v<T>, "nobody would destroy the elements");
        auto *items = static_cast<T *>(alloc(inside::bytes_of<T>(count), alignof(T)));
        if (items != nullptr)
            std::uninitialized_value_construct_n(items, count);
        return items;
    }
    /* Frees it now. Returns as fa_group_free; FA_OK when there is none. */
    fa_status free() noexcept {
        fa_status status = group_.head != nullptr ? (fa_group_free)(group_) : FA_OK;
        if (status == FA_OK)
            group_ = fa_group{};
        return status;
    }

  private:
    void *alloc(size_t bytes, size_t align) const noexcept {
        return align <= FA_ALIGN_MIN ? (fa_group_alloc)(group_, bytes)
                                     : (fa_group_alloc_aligned)(group_, bytes, align);
    }
    /* Nobody would destroy an object that its group does not know of. */
    template <class T> T *keep(T *object) {
        if constexpr (!std::is_trivially_destructible_v<T>) {
            fa_destructor_fn *end = [](void *known) { static_cast<T *>(known)->~T(); };
            if ((fa_group_defer)(group_, end, object) != FA_OK) {
                object->~T();
                return nullptr;
            }
        }
        return object;
    }
    fa_group group_;
};

} // namespace fa

#endif
