/* Micro-benchmarks of malloc, whichever library provides it. Frame-like work in its natural form: a
 * program keeps the pointers of its frame, and frees them one by one at the end. */
#include "bench/micro_soa.hpp"

#include <cstdlib>

namespace {

thread_local void *frame_blocks[1000];

struct Frame {
    void **blocks;
    size_t count;
    void begin() {
        blocks = frame_blocks;
        count = 0;
    }
    template <size_t Size> void *alloc() { return blocks[count++] = malloc(Size); }
    void end() {
        for (size_t i = 0; i < count; i++)
            free(blocks[i]);
    }
};

void *many_blocks[bench::kFrameOfMax];

struct LongFrame : Frame {
    void begin() {
        blocks = many_blocks;
        count = 0;
    }
};

struct Pool {
    template <size_t Size> void *alloc() { return malloc(Size); }
    template <size_t> void free(void *block) { ::free(block); }
};

struct Grow {
    void begin() {}
    void *grow(void *block, size_t, size_t size_new) { return realloc(block, size_new); }
    void end(void *first, void *second) {
        free(first);
        free(second);
    }
};

/* 1,000 objects of 64 bytes, each in a call of its own, then all freed: one operation. */
void batch(benchmark::State &state, Pool pool) {
    bench::many_loop<Pool, 64, 1000>(state, pool);
    bench::set_operations(state, 1);
}

} // namespace

void bench::register_micros(const std::string &) {
    register_frame("frame", Frame{nullptr, 0});
    register_frame_of(LongFrame{{nullptr, 0}});
    benchmark::RegisterBenchmark("batch/1000", batch, Pool{});
    register_pool(Pool{});
    register_heap(Pool{});
    register_grow(Grow{});
    /* Scratch memory of a scope is a block of its own. */
    benchmark::RegisterBenchmark("mark_alloc/64", pair_loop<Pool, 64>, Pool{});
    benchmark::RegisterBenchmark("soa_alloc/eight_calls", soa_eight_calls<Frame>,
                                 Frame{nullptr, 0});
    register_threads(Frame{nullptr, 0}, Pool{});
}
