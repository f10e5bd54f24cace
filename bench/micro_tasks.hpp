/* Memory of a piece of work that goes on over many callbacks, in each runner with its own means: a
 * policy object has begin(), alloc<Size>(), end(), and free(block) where there is such a thing. */
#ifndef BENCH_MICRO_TASKS_HPP
#define BENCH_MICRO_TASKS_HPP

#include "bench/micro.hpp"

namespace bench {

constexpr size_t kTaskBlocks = 8;

/* All of a task's life: begin, eight blocks that are written, end. The time is that of the task. */
template <class Tasks> void task_loop(benchmark::State &state, Tasks tasks) {
    constexpr size_t count = 100;
    for (auto _ : state)
        for (size_t i = 0; i < count; i++) {
            tasks.begin();
            for (size_t n = 0; n < kTaskBlocks; n++) {
                auto *block = static_cast<size_t *>(tasks.template alloc<64>());
                if (block == nullptr)
                    return state.SkipWithError("out of memory");
                *block = n;
                keep(block);
            }
            tasks.end();
        }
    set_operations(state, count);
}

/* A block that comes and goes while the task lives. */
template <class Tasks> void task_pair_loop(benchmark::State &state, Tasks tasks) {
    constexpr size_t count = 1000;
    tasks.begin();
    for (auto _ : state)
        for (size_t i = 0; i < count; i++) {
            void *block = tasks.template alloc<64>();
            if (block == nullptr)
                return state.SkipWithError("out of memory");
            keep(block);
            tasks.free(block);
            keep(block);
        }
    tasks.end();
    set_operations(state, count);
}

} // namespace bench

#endif
