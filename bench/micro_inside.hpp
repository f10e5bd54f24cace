/* Inside a frame: marks, and going back to them. */
#ifndef BENCH_MICRO_INSIDE_HPP
#define BENCH_MICRO_INSIDE_HPP

#include "bench/micro.hpp"

namespace bench {

/* Marker policy: begin(), end() of a frame; mark(), rewind() to the mark, alloc<Size>(). Size 0
 * allocates nothing. One operation is mark, allocation, rewind. */
template <class Marker, size_t Size> void mark_loop(benchmark::State &state, Marker marker) {
    constexpr size_t count = 1000;
    for (auto _ : state) {
        void *block = &state;
        marker.begin();
        keep(marker.template alloc<64>()); /* something to go back to */
        for (size_t i = 0; i < count; i++) {
            marker.mark();
            if constexpr (Size != 0)
                block = marker.template alloc<Size>();
            keep(block);
            marker.rewind();
        }
        marker.end();
        if (block == nullptr)
            return state.SkipWithError("out of memory");
    }
    set_operations(state, count);
}

template <class Marker> void register_marks(Marker marker) {
    benchmark::RegisterBenchmark("mark_rewind", mark_loop<Marker, 0>, marker);
    benchmark::RegisterBenchmark("mark_alloc/64", mark_loop<Marker, 64>, marker);
}

} // namespace bench

#endif
