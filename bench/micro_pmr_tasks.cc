/* monotonic_buffer_resource, one for each piece of work, allocated as it must be where that
 * outlives the callback, with room for its first blocks. One thread at a time; no block is freed
 * before the end. */
#include "bench/micro_tasks.hpp"

#include <memory_resource>
#include <new>

namespace {

struct Work {
    struct Record {
        std::pmr::monotonic_buffer_resource resource{buffer, sizeof buffer};
        alignas(16) char buffer[1024];
    } * record;

    void begin() { record = new Record; }
    template <size_t Size> void *alloc() { return record->resource.allocate(Size, 16); }
    void end() { delete record; }
};

bench::MoreMicros more([](const std::string &) {
    benchmark::RegisterBenchmark("task/8", bench::task_loop<Work>, Work{});
});

} // namespace
