/* What is made of the times of single frames, and what the system says about this process. */
#ifndef BENCH_FIGURES_HPP
#define BENCH_FIGURES_HPP

#include <cstddef>
#include <cstdint>
#include <vector>

namespace bench {

/* The sample that at least the share per_mille / 1000 of all samples does not exceed (nearest
 * rank). samples: sorted, not empty. per_mille: 1 to 1000. */
uint32_t percentile(const std::vector<uint32_t> &samples, unsigned per_mille);

struct Figures {
    uint32_t p50, p99, p99_9, worst; /* as the samples */
    double mean;
};

/* All zero without samples. The samples need not be sorted. */
Figures figures_of(std::vector<uint32_t> samples);

/* The monotonic clock, in nanoseconds. */
uint64_t clock_ns();

/* The most physical memory that this process has had so far, in bytes (VmHWM); 0 when the system
 * does not say. */
uint64_t peak_rss_bytes();

/* Of this process so far: page faults, and how often another one took the processor from it. */
struct Events {
    uint64_t minor_faults, major_faults, preemptions;
};
Events events_now();
/* Adds what happened from before until now to sum. */
void add_events(Events &sum, const Events &before);

} // namespace bench

#endif
