/* Structures of arrays: what it costs to allocate eight arrays of 1,000 floats. */
#ifndef BENCH_MICRO_SOA_HPP
#define BENCH_MICRO_SOA_HPP

#include "bench/micro.hpp"

namespace bench {

constexpr size_t kSoaColumns = 8, kSoaCount = 1000, kSoaSets = 3;

/* Each array in a call of its own; 3 such sets a frame, fewer bytes than
 * glibc trims its heap for. One operation is one set. */
template <class Frame> void soa_eight_calls(benchmark::State &state, Frame frame) {
    for (auto _ : state) {
        void *columns[kSoaColumns] = {};
        frame.begin();
        for (size_t set = 0; set < kSoaSets; set++) {
            for (void *&column : columns)
                column = frame.template alloc<kSoaCount * sizeof(float)>();
            keep(columns);
        }
        frame.end();
        if (columns[kSoaColumns - 1] == nullptr)
            return state.SkipWithError("out of memory");
    }
    set_operations(state, kSoaSets);
}

} // namespace bench

#endif
