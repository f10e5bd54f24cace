#include "bench/figures.hpp"

#include <sys/resource.h>
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <numeric>

namespace bench {

uint32_t percentile(const std::vector<uint32_t> &samples, unsigned per_mille) {
    size_t rank = (samples.size() * per_mille + 999) / 1000;
    return samples[rank - 1];
}

Figures figures_of(std::vector<uint32_t> samples) {
    if (samples.empty())
        return Figures{0, 0, 0, 0, 0.0};
    std::sort(samples.begin(), samples.end());
    double sum = std::accumulate(samples.begin(), samples.end(), 0.0);
    return Figures{percentile(samples, 500), percentile(samples, 990), percentile(samples, 999),
                   samples.back(), sum / static_cast<double>(samples.size())};
}

uint64_t clock_ns() {
    timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<uint64_t>(now.tv_sec) * 1000000000u + static_cast<uint64_t>(now.tv_nsec);
}

uint64_t peak_rss_bytes() {
    FILE *file = fopen("/proc/self/status", "r");
    if (file == nullptr)
        return 0;
    char line[256];
    unsigned long long kib = 0;
    while (fgets(line, sizeof line, file) != nullptr)
        if (sscanf(line, "VmHWM: %llu kB", &kib) == 1)
            break;
    fclose(file);
    return kib * 1024;
}

Events events_now() {
    rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return Events{static_cast<uint64_t>(usage.ru_minflt), static_cast<uint64_t>(usage.ru_majflt),
                  static_cast<uint64_t>(usage.ru_nivcsw)};
}

void add_events(Events &sum, const Events &before) {
    Events now = events_now();
    sum.minor_faults += now.minor_faults - before.minor_faults;
    sum.major_faults += now.major_faults - before.major_faults;
    sum.preemptions += now.preemptions - before.preemptions;
}

} // namespace bench
