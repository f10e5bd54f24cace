/* Memory of a piece of work that goes on over many callbacks, in each runner with its own means: a
 * policy object has begin(), alloc<Size>(), end(), and free(block) where there is such a thing. */
#ifndef BENCH_MICRO_TASKS_HPP
#define BENCH_MICRO_TASKS_HPP

#include "bench/micro.hpp"

namespace bench {

constexpr size_t kTaskBlocks = 8;

/* A second thread, which sleeps. Tasks are for programs with several threads, but in a process with
 * one only, locks cost next to nothing: those of the C library, and of framealloc's tasks, do
 * without atomic operations there. */
class Bystander {
  public:
    Bystander()
        : thread_([this] {
              std::unique_lock<std::mutex> lock(mutex_);
              changed_.wait(lock, [this] { return over_; });
          }) {}
    ~Bystander() {
        {
            std::lock_guard<std::mutex> lock(mutex_);
            over_ = true;
        }
        changed_.notify_one();
        thread_.join();
    }
    Bystander(const Bystander &) = delete;
    Bystander &operator=(const Bystander &) = delete;

  private:
    std::mutex mutex_;
    std::condition_variable changed_;
    bool over_ = false;
    std::thread thread_;
};

/* All of a task's life: begin, eight blocks that are written, end. The time is that of the task. */
template <class Tasks> void task_loop(benchmark::State &state, Tasks tasks) {
    constexpr size_t count = 100;
    Bystander bystander;
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
    Bystander bystander;
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
