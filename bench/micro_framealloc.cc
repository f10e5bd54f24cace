/* Micro-benchmarks of framealloc: by the handle, and (frame_allocator) through the allocator. */
#include "bench/micro_framealloc.hpp"

namespace {

struct ByHandle {
    fa_allocator *allocator;
    fa_frame *frame;
    void begin() { frame = fa_frame_begin(allocator); }
    template <size_t Size> void *alloc() { return fa_frame_alloc_in(frame, Size); }
    void end() { (void)fa_frame_end_in(frame); }
};

struct ByAllocator {
    fa_allocator *allocator;
    void begin() { (void)fa_frame_begin(allocator); }
    template <size_t Size> void *alloc() { return fa_frame_alloc(allocator, Size); }
    void end() { (void)fa_frame_end(allocator); }
};

struct Pool {
    fa_allocator *allocator;
    template <size_t Size> void *alloc() { return fa_pool_alloc(allocator, Size); }
    template <size_t Size> void free(void *block) { fa_pool_free_sized(allocator, block, Size); }
};

struct PoolUnsized {
    fa_allocator *allocator;
    template <size_t Size> void *alloc() { return fa_pool_alloc(allocator, Size); }
    template <size_t> void free(void *block) { fa_pool_free(allocator, block); }
};

struct Heap {
    fa_allocator *allocator;
    template <size_t Size> void *alloc() { return fa_heap_alloc(allocator, Size); }
    template <size_t> void free(void *block) { fa_heap_free(allocator, block); }
};

struct Grow {
    fa_allocator *allocator;
    fa_frame *frame;
    void begin() { frame = fa_frame_begin(allocator); }
    void *grow(void *block, size_t size_old, size_t size_new) {
        return fa_frame_grow_in(frame, block, size_old, size_new);
    }
    void end(void *, void *) { (void)fa_frame_end_in(frame); }
};

/* Arrays of 1,000 objects of 64 bytes, each in one call; 100 such calls a frame. */
void batch(benchmark::State &state, fa_allocator *allocator) {
    constexpr size_t count = 100;
    for (auto _ : state) {
        void *block = nullptr;
        fa_frame *frame = fa_frame_begin(allocator);
        for (size_t i = 0; i < count; i++) {
            block = fa_frame_alloc_batch_in(frame, 1000, 64);
            bench::keep(block);
        }
        (void)fa_frame_end_in(frame);
        if (block == nullptr)
            return state.SkipWithError("out of memory");
    }
    bench::set_operations(state, count);
}

/* 1,000 pool objects in one call, and freed in one call. */
void pool_batch(benchmark::State &state, fa_allocator *allocator) {
    constexpr size_t count = 1000;
    std::vector<void *> blocks(count);
    for (auto _ : state) {
        if (fa_pool_alloc_batch(allocator, 64, count, blocks.data()) != FA_OK)
            return state.SkipWithError("out of memory");
        bench::keep(blocks.data());
        fa_pool_free_batch(allocator, blocks.data(), count);
        bench::keep(blocks.data());
    }
    bench::set_operations(state, count);
}

} // namespace

void bench::register_micros(const std::string &backend) {
    fa_allocator *allocator = micro_allocator(backend);
    register_frame("frame", ByHandle{allocator, nullptr});
    register_frame("frame_allocator", ByAllocator{allocator});
    register_frame_of(ByHandle{allocator, nullptr});
    benchmark::RegisterBenchmark("batch/1000", batch, allocator);
    benchmark::RegisterBenchmark("begin_end", begin_end_loop<ByHandle>,
                                 ByHandle{allocator, nullptr});
    register_pool(Pool{allocator});
    benchmark::RegisterBenchmark("pair_unsized/64", pair_loop<PoolUnsized, 64>,
                                 PoolUnsized{allocator});
    benchmark::RegisterBenchmark("many_1000_unsized/64", many_loop<PoolUnsized, 64, 1000>,
                                 PoolUnsized{allocator});
    benchmark::RegisterBenchmark("pool_batch_1000/64", pool_batch, allocator);
    register_heap(Heap{allocator});
    register_grow(Grow{allocator, nullptr});
    register_threads(ByHandle{allocator, nullptr}, Pool{allocator});
}
