/* Shared objects and copies that are kept: the same loops for all. */
#ifndef BENCH_MICRO_SHARED_HPP
#define BENCH_MICRO_SHARED_HPP

#include "bench/micro.hpp"

namespace bench {

constexpr size_t kSharedOperations = 1000, kKeptObjects = 100;

struct SharedThing {
    char bytes[64];
};

/* From now on the program has had a second thread, as an engine has: counts are atomic. */
inline void have_threads() {
    std::thread([] {}).join();
}

/* One more owner, and one less. Shared: hold(), release(). */
template <class Shared> void shared_pair_loop(benchmark::State &state, Shared shared) {
    have_threads();
    shared.make();
    for (auto _ : state)
        for (size_t i = 0; i < kSharedOperations; i++) {
            shared.hold();
            shared.release_held();
        }
    shared.release();
    set_operations(state, kSharedOperations);
}

/* A new object, and its end. */
template <class Shared> void shared_make_loop(benchmark::State &state, Shared shared) {
    have_threads();
    for (auto _ : state)
        for (size_t i = 0; i < kSharedOperations; i++) {
            keep(shared.make());
            shared.release();
        }
    set_operations(state, kSharedOperations);
}

/* A weak reference is asked for its object, which is given up again. */
template <class Shared> void weak_lock_loop(benchmark::State &state, Shared shared) {
    have_threads();
    shared.make();
    shared.make_weak();
    for (auto _ : state)
        for (size_t i = 0; i < kSharedOperations; i++) {
            keep(shared.lock());
            shared.release_held();
        }
    shared.release_weak();
    shared.release();
    set_operations(state, kSharedOperations);
}

} // namespace bench

#endif
