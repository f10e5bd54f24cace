/* Typed pools in C++ (fa/typed_pool.h says what they are). Part of fa.hpp.
 *
 *     fa::typed_pool<Enemy> enemies(memory);
 *     Enemy *boss = enemies.make("Ogre", 100);    nullptr: refused, fa_last_error says why
 *     enemies.each([](Enemy &enemy) { enemy.step(); });    by address
 *     enemies.release(boss);                      destroyed
 *
 * What is left is destroyed with the pool. A constructor that may throw makes the object elsewhere,
 * and moves it in. */
#ifndef FA_CPP_TYPED_POOL_HPP
#define FA_CPP_TYPED_POOL_HPP

#include "fa/cpp/owner.hpp"
#include "fa/typed_pool.h"

namespace fa {

/* Owns a pool of objects of one type. Converts to the fa_typed_pool * that other calls take;
 * nullptr when it could not be made. To be destroyed before its allocator. */
template <class T> class typed_pool {
    static_assert(alignof(T) <= FA_TYPED_ALIGN_MAX, "too large an alignment");

  public:
    /* config: size, align, construct, destruct and user are set here. */
    explicit typed_pool(from<fa_allocator> memory, fa_typed_pool_config config = {}) noexcept {
        inside::at<false> place(memory.site());
        config.size = sizeof(T);
        config.align = alignof(T);
        config.construct = nullptr;
        config.destruct = nullptr;
        config.user = nullptr;
        if constexpr (!std::is_trivially_destructible_v<T>)
            config.destruct = [](void *, void *object) { static_cast<T *>(object)->~T(); };
        (void)(fa_typed_pool_create)(memory.get(), &config, &pool_);
    }
    typed_pool(typed_pool &&other) noexcept : pool_(std::exchange(other.pool_, nullptr)) {}
    typed_pool &operator=(typed_pool &&other) noexcept {
        typed_pool moved(std::move(other));
        std::swap(pool_, moved.pool_);
        return *this;
    }
    ~typed_pool() { (void)(fa_typed_pool_destroy)(pool_); }

    operator fa_typed_pool *() const noexcept { return pool_; }

    template <class... Arguments> T *make(Arguments &&...arguments) {
        if constexpr (inside::may_throw<T, Arguments...>) {
            static_assert(std::is_nothrow_move_constructible_v<T>, "it could not be moved in");
            T made = value(std::forward<Arguments>(arguments)...);
            void *object = (fa_typed_pool_acquire)(pool_);
            return object != nullptr ? ::new (object) T(std::move(made)) : nullptr;
        } else {
            void *object = (fa_typed_pool_acquire)(pool_);
            if (object == nullptr)
                return nullptr;
            return inside::construct<T>(object, std::forward<Arguments>(arguments)...);
        }
    }
    fa_status release(T *object) noexcept { return (fa_typed_pool_release)(pool_, object); }
    bool has(const void *object) const noexcept { return fa_typed_pool_has(pool_, object); }
    size_t index(const T *object) const noexcept { return fa_typed_pool_index(pool_, object); }
    size_t count() const noexcept {
        fa_typed_pool_stats stats;
        (void)fa_typed_pool_stats_get(pool_, &stats);
        return stats.live_count;
    }
    size_t clear() noexcept { return fa_typed_pool_clear(pool_); }

    /* Calls visit(T &) for each object, by address; it may release any and make more, as the body
     * of FA_TYPED_EACH. */
    template <class Visit> void each(Visit &&visit) const {
        fai_typed_walk walk = fai_typed_walk_first(pool_, sizeof(T));
        for (; walk.item != nullptr; walk = fai_typed_walk_next(walk, sizeof(T)))
            visit(*reinterpret_cast<T *>(walk.item));
    }

  private:
    template <class... Arguments> static T value(Arguments &&...arguments) {
        if constexpr (std::is_constructible_v<T, Arguments...>)
            return T(std::forward<Arguments>(arguments)...);
        else
            return T{std::forward<Arguments>(arguments)...};
    }
    fa_typed_pool *pool_ = nullptr;
};

} // namespace fa

#endif
