/* Containers of the standard library, and raw calls to a std::pmr::memory_resource, a frame's worth
 * at a time; all memory is dead after that. */
#ifndef BENCH_MICRO_CONTAINERS_HPP
#define BENCH_MICRO_CONTAINERS_HPP

#include "bench/micro.hpp"

#include <cstdint>
#include <memory_resource>
#include <unordered_map>
#include <vector>

namespace bench {

/* Frames policy: begin(), end(), and in between resource(). */

/* What a container sees: a resource of which nothing is known. */
inline std::pmr::memory_resource *opaque(std::pmr::memory_resource *resource) {
    asm volatile("" : "+r"(resource));
    return resource;
}

/* Blocks of Size bytes, one after the other; each is written to. */
template <class Frames, size_t Size> void pmr_alloc_loop(benchmark::State &state, Frames frames) {
    constexpr size_t count = 1000;
    for (auto _ : state) {
        frames.begin();
        std::pmr::memory_resource *resource = opaque(frames.resource());
        for (size_t i = 0; i < count; i++) {
            auto *block = static_cast<uint64_t *>(resource->allocate(Size, alignof(uint64_t)));
            *block = i;
            keep(block);
        }
        frames.end();
    }
    set_operations(state, count);
}

/* Elements pushed, without a reserve. A function of its own, so that it is compiled alike
 * everywhere. */
template <class Vector, class... Source>
__attribute__((noinline)) void push_elements(size_t count, const Source &...source) {
    Vector vector{typename Vector::allocator_type(source...)};
    for (size_t i = 0; i < count; i++)
        vector.push_back(static_cast<int>(i));
    keep(vector.data());
}

template <class Frames, size_t Count> void pmr_vector_loop(benchmark::State &state, Frames frames) {
    constexpr size_t vectors = Count < 100 ? 100 : 1;
    for (auto _ : state) {
        frames.begin();
        for (size_t i = 0; i < vectors; i++)
            push_elements<std::pmr::vector<int>>(Count, opaque(frames.resource()));
        frames.end();
    }
    set_operations(state, Count * vectors);
}

/* Keys inserted, without a reserve: a node each. */
template <class Frames> void pmr_map_loop(benchmark::State &state, Frames frames) {
    constexpr size_t count = 1000;
    for (auto _ : state) {
        frames.begin();
        {
            std::pmr::unordered_map<uint64_t, uint64_t> map(opaque(frames.resource()));
            for (uint64_t i = 0; i < count; i++)
                map.emplace(i * 0x9E3779B97F4A7C15u, i);
            keep(&map);
        }
        frames.end();
    }
    set_operations(state, count);
}

template <class Frames> void register_pmr(Frames frames) {
    benchmark::RegisterBenchmark("pmr_alloc/16", pmr_alloc_loop<Frames, 16>, frames);
    benchmark::RegisterBenchmark("pmr_alloc/64", pmr_alloc_loop<Frames, 64>, frames);
    benchmark::RegisterBenchmark("pmr_vector/10", pmr_vector_loop<Frames, 10>, frames);
    benchmark::RegisterBenchmark("pmr_vector/1000", pmr_vector_loop<Frames, 1000>, frames);
    benchmark::RegisterBenchmark("pmr_map/1000", pmr_map_loop<Frames>, frames);
}

/* A std::vector as each memory serves it best. Vectors policy: begin(), push(count), end(). */
template <class Vectors, size_t Count>
void std_vector_loop(benchmark::State &state, Vectors vectors) {
    constexpr size_t each = Count < 100 ? 100 : 1;
    for (auto _ : state) {
        vectors.begin();
        for (size_t i = 0; i < each; i++)
            vectors.push(Count);
        vectors.end();
    }
    set_operations(state, Count * each);
}

template <class Vectors> void register_std_vector(Vectors vectors) {
    benchmark::RegisterBenchmark("std_vector/10", std_vector_loop<Vectors, 10>, vectors);
    benchmark::RegisterBenchmark("std_vector/1000", std_vector_loop<Vectors, 1000>, vectors);
}

} // namespace bench

#endif
