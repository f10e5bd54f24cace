/* What is measured of containers of objects that are walked through, on each allocator. */
#ifndef BENCH_MICRO_TYPED_HPP
#define BENCH_MICRO_TYPED_HPP

#include "bench/micro.hpp"

#include <algorithm>
#include <new>
#include <random>

/* Objects of 64 bytes in a row are not worth vectorizing: with gcc's -O3 the array takes longer. */
#define HOT_LOOP __attribute__((noinline))

namespace bench {

constexpr size_t kTypedLive = 100000;

/* 64 bytes, of which an update of the positions uses 24. */
struct Mover {
    float x, y, z, vx, vy, vz;
    uint32_t more[10];
};
static_assert(sizeof(Mover) == 64);

inline void move(Mover &mover) {
    constexpr float kSeconds = 1.0f / 60;
    mover.x += mover.vx * kSeconds;
    mover.y += mover.vy * kSeconds;
    mover.z += mover.vz * kSeconds;
}

/* An object that has a table to fill before it can be used. */
struct Solver {
    uint32_t table[256];
    Solver() {
        uint32_t value = 1;
        for (uint32_t &entry : table)
            entry = value = value * 1664525 + 1013904223;
    }
};

/* The numbers from 0 to count - 1 in an order of chance, the same in every run. */
inline std::vector<uint32_t> shuffled(size_t count) {
    std::vector<uint32_t> order(count);
    for (size_t i = 0; i < count; i++)
        order[i] = static_cast<uint32_t>(i);
    std::shuffle(order.begin(), order.end(), std::mt19937(12345));
    return order;
}

/* update: moves all of kTypedLive objects once. */
template <class Update> void each_loop(benchmark::State &state, Update update) {
    for (auto _ : state) {
        update();
        keep(&state);
    }
    set_operations(state, kTypedLive);
}

/* find: address of the object of an id below kTypedLive. */
template <class Find> void find_loop(benchmark::State &state, Find find) {
    const std::vector<uint32_t> ids = shuffled(kTypedLive);
    for (auto _ : state)
        for (uint32_t id : ids)
            keep(find(id));
    set_operations(state, kTypedLive);
}

} // namespace bench

#endif
