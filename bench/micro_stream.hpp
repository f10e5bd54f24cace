/* Caches of large blocks under a budget that several threads may use: a Cache has load(size), which
 * makes room, access(id) and release(id). */
#ifndef BENCH_MICRO_STREAM_HPP
#define BENCH_MICRO_STREAM_HPP

#include "bench/micro.hpp"

#include <cstdint>

namespace bench {

constexpr size_t kStreams = 1000, kStreamBytes = 64 << 10;

/* Looks at 1,000 blocks that are there, in an order that is not that of loading. */
template <class Cache> void stream_access_loop(benchmark::State &state, std::string backend) {
    Cache cache(backend, kStreams * kStreamBytes);
    std::vector<uint64_t> ids(kStreams);
    for (size_t i = 0; i < kStreams; i++)
        ids[i * 7 % kStreams] = cache.load(kStreamBytes);
    void *block = nullptr;
    for (auto _ : state)
        for (uint64_t id : ids) {
            block = cache.access(id);
            keep(block);
        }
    if (block == nullptr)
        state.SkipWithError("evicted");
    set_operations(state, kStreams);
}

/* Loads a block and releases it; nothing has to go. */
template <class Cache> void stream_load_loop(benchmark::State &state, std::string backend) {
    Cache cache(backend, kStreams * kStreamBytes);
    for (auto _ : state) {
        uint64_t id = cache.load(kStreamBytes);
        if (id == 0)
            return state.SkipWithError("out of memory");
        cache.release(id);
    }
    set_operations(state, 1);
}

/* Loads blocks while the budget is used up: each sends the oldest away. */
template <class Cache> void stream_evict_loop(benchmark::State &state, std::string backend) {
    Cache cache(backend, kStreams * kStreamBytes);
    for (size_t i = 0; i < kStreams; i++)
        (void)cache.load(kStreamBytes);
    for (auto _ : state)
        if (cache.load(kStreamBytes) == 0)
            return state.SkipWithError("out of memory");
    set_operations(state, 1);
}

template <class Cache> void register_streams(const std::string &backend) {
    using benchmark::RegisterBenchmark;
    RegisterBenchmark("stream_access/1000", stream_access_loop<Cache>, backend);
    RegisterBenchmark("stream_load/65536", stream_load_loop<Cache>, backend);
    RegisterBenchmark("stream_evict/65536", stream_evict_loop<Cache>, backend);
}

} // namespace bench

#endif
