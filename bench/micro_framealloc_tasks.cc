/* Tasks of framealloc, their own blocks and those that they capture; all is for any thread. */
#include "bench/micro_framealloc.hpp"
#include "bench/micro_tasks.hpp"

namespace {

struct Tasks {
    fa_allocator *allocator;
    fa_task task;

    void begin() { task = fa_task_begin(allocator, "bench"); }
    template <size_t Size> void *alloc() { return fa_task_alloc(task, Size); }
    void free(void *block) { (void)fa_task_free(task, block); }
    void end() { (void)fa_task_end(task); }
};

struct Captured {
    fa_allocator *allocator;
    fa_task task;

    void begin() {
        task = fa_task_begin(allocator, "bench");
        (void)fa_task_capture_begin(task);
    }
    template <size_t Size> void *alloc() { return fa_pool_alloc(allocator, Size); }
    void free(void *block) { fa_pool_free(allocator, block); }
    void end() {
        (void)fa_task_capture_end(task);
        (void)fa_task_end(task);
    }
};

bench::MoreMicros more([](const std::string &backend) {
    fa_allocator *allocator = bench::micro_allocator(backend);
    benchmark::RegisterBenchmark("task/8", bench::task_loop<Tasks>, Tasks{allocator, {}});
    benchmark::RegisterBenchmark("task_captured/8", bench::task_loop<Captured>,
                                 Captured{allocator, {}});
    benchmark::RegisterBenchmark("task_pair/64", bench::task_pair_loop<Tasks>,
                                 Tasks{allocator, {}});
    benchmark::RegisterBenchmark("task_captured_pair/64", bench::task_pair_loop<Captured>,
                                 Captured{allocator, {}});
});

} // namespace
