/* Phases of framealloc: begin and end of one, in an open frame. */
#include "bench/micro_framealloc.hpp"

namespace {

/* 100 phases a frame, so that its records stay in the cache as those of a program do. */
constexpr size_t kPhases = 100;

struct ByAllocator {
    fa_allocator *allocator;
    fa_status begin(fa_frame *) { return fa_phase_begin(allocator, "physics"); }
    fa_status end(fa_frame *) { return fa_phase_end(allocator); }
};

struct ByHandle {
    fa_allocator *allocator;
    fa_status begin(fa_frame *frame) { return fa_phase_begin_in(frame, "physics"); }
    fa_status end(fa_frame *frame) { return fa_phase_end_in(frame); }
};

template <class Phase> void phase_loop(benchmark::State &state, Phase phase) {
    bool failed = false;
    for (auto _ : state) {
        fa_frame *frame = fa_frame_begin(phase.allocator);
        for (size_t i = 0; i < kPhases; i++) {
            failed |= phase.begin(frame) != FA_OK;
            failed |= phase.end(frame) != FA_OK;
        }
        (void)fa_frame_end_in(frame);
    }
    if (failed)
        state.SkipWithError("a phase was refused");
    bench::set_operations(state, kPhases);
}

void register_phases(const std::string &backend) {
    using benchmark::RegisterBenchmark;
    fa_allocator *allocator = bench::micro_allocator(backend);
    RegisterBenchmark("phase", phase_loop<ByAllocator>, ByAllocator{allocator});
    RegisterBenchmark("phase_in", phase_loop<ByHandle>, ByHandle{allocator});
    static fa_allocator *with_clock = bench::make_allocator(backend, true);
    RegisterBenchmark("phase_clock", phase_loop<ByHandle>, ByHandle{with_clock});
}

bench::MoreMicros more(register_phases);

} // namespace
