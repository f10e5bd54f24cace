/* What programs do without tasks: a record of the work, which remembers each block; two threads
 * that add to it at once would need a lock besides. */
#include "bench/micro_tasks.hpp"

#include <cstdlib>

namespace {

struct Work {
    struct Record {
        void *blocks[bench::kTaskBlocks];
        size_t count;
    } * record;

    void begin() {
        record = static_cast<Record *>(std::malloc(sizeof(Record)));
        if (record != nullptr)
            record->count = 0;
    }
    template <size_t Size> void *alloc() {
        return record ? record->blocks[record->count++] = std::malloc(Size) : nullptr;
    }
    void end() {
        while (record != nullptr && record->count != 0)
            std::free(record->blocks[--record->count]);
        std::free(record);
    }
};

/* Nothing remembers them. */
struct Blocks {
    void begin() {}
    template <size_t Size> void *alloc() { return std::malloc(Size); }
    void free(void *block) { std::free(block); }
    void end() {}
};

bench::MoreMicros more([](const std::string &) {
    benchmark::RegisterBenchmark("task/8", bench::task_loop<Work>, Work{});
    benchmark::RegisterBenchmark("task_pair/64", bench::task_pair_loop<Blocks>, Blocks{});
});

} // namespace
