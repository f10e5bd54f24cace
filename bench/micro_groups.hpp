/* Scopes of scratch memory and groups of objects, in each runner with its own means: a policy
 * object has begin(), alloc<Size>(), alloc_with<Size>() where there are destructors, end(). */
#ifndef BENCH_MICRO_GROUPS_HPP
#define BENCH_MICRO_GROUPS_HPP

#include "bench/micro.hpp"

namespace bench {

/* The destructor of the objects of a group. */
inline void count_object(void *object) { ++*static_cast<size_t *>(object); }

constexpr size_t kGroupObjects = 100;

/* A scope with one block. */
template <class Scopes> void scratch_scope_loop(benchmark::State &state, Scopes scopes) {
    constexpr size_t count = 1000;
    for (auto _ : state)
        for (size_t i = 0; i < count; i++) {
            scopes.begin();
            void *block = scopes.template alloc<64>();
            keep(block);
            scopes.end();
        }
    set_operations(state, count);
}

/* 1,000 blocks in one scope. */
template <class Scopes> void scratch_alloc_loop(benchmark::State &state, Scopes scopes) {
    constexpr size_t count = 1000;
    for (auto _ : state) {
        void *block = nullptr;
        scopes.begin();
        for (size_t i = 0; i < count; i++)
            keep(block = scopes.template alloc<64>());
        scopes.end();
        if (block == nullptr)
            return state.SkipWithError("out of memory");
    }
    set_operations(state, count);
}

/* A group of 100 objects; the time is that of an object, its part of making and freeing the group
 * included. */
template <class Groups, bool Destroyed> void group_loop(benchmark::State &state, Groups groups) {
    for (auto _ : state) {
        groups.begin();
        for (size_t i = 0; i < kGroupObjects; i++) {
            auto *object = static_cast<size_t *>(Destroyed ? groups.template alloc_with<64>()
                                                           : groups.template alloc<64>());
            if (object == nullptr)
                return state.SkipWithError("out of memory");
            *object = i;
            keep(object);
        }
        groups.template end<Destroyed>();
    }
    set_operations(state, kGroupObjects);
}

template <class Groups> void register_groups(Groups groups) {
    benchmark::RegisterBenchmark("group/64", group_loop<Groups, false>, groups);
    benchmark::RegisterBenchmark("group_destroyed/64", group_loop<Groups, true>, groups);
}

template <class Scopes> void register_scratch(Scopes scopes) {
    benchmark::RegisterBenchmark("scratch_scope/64", scratch_scope_loop<Scopes>, scopes);
    benchmark::RegisterBenchmark("scratch_alloc/64", scratch_alloc_loop<Scopes>, scopes);
}

} // namespace bench

#endif
