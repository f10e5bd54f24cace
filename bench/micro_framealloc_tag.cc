/* Tags of framealloc: going in and out, and pool objects of a tag. */
#include "bench/micro_framealloc.hpp"

namespace {

constexpr size_t kSwitches = 1000;

/* Enters and leaves a tag in an open frame; Size bytes of frame memory in between, 0: none. */
template <size_t Size> void tag_loop(benchmark::State &state, fa_allocator *allocator) {
    const fa_tag tag = fa_tag_intern(allocator, "ai::pathfinding");
    if (tag == FA_TAG_NONE)
        return state.SkipWithError("out of memory");
    for (auto _ : state) {
        fa_frame *frame = fa_frame_begin(allocator);
        for (size_t i = 0; i < kSwitches; i++) {
            (void)fa_tag_enter(allocator, tag);
            if constexpr (Size != 0)
                bench::keep(fa_frame_alloc_in(frame, Size));
            (void)fa_tag_leave(allocator);
        }
        (void)fa_frame_end_in(frame);
    }
    bench::set_operations(state, kSwitches);
}

/* As pair/64, with the thread in a tag. */
void tagged_pair(benchmark::State &state, fa_allocator *allocator) {
    (void)fa_tag_enter(allocator, FA_TAG_PHYSICS);
    for (auto _ : state) {
        void *block = fa_pool_alloc(allocator, 64);
        bench::keep(block);
        fa_pool_free_sized(allocator, block, 64);
    }
    (void)fa_tag_leave(allocator);
    bench::set_operations(state, 1);
}

void register_tags(const std::string &backend) {
    fa_allocator *allocator = bench::micro_allocator(backend);
    benchmark::RegisterBenchmark("tag", tag_loop<0>, allocator);
    benchmark::RegisterBenchmark("tag_alloc/64", tag_loop<64>, allocator);
    benchmark::RegisterBenchmark("tagged_pair/64", tagged_pair, allocator);
}

bench::MoreMicros more(register_tags);

} // namespace
