#include "bench/figures.hpp"

#include <gtest/gtest.h>

namespace bench {
namespace {

TEST(Percentile, IsTheNearestRank) {
    std::vector<uint32_t> samples;
    for (uint32_t i = 1; i <= 1000; i++)
        samples.push_back(i);
    EXPECT_EQ(500u, percentile(samples, 500));
    EXPECT_EQ(990u, percentile(samples, 990));
    EXPECT_EQ(999u, percentile(samples, 999));
    EXPECT_EQ(1000u, percentile(samples, 1000));
    EXPECT_EQ(1u, percentile(samples, 1));
}

TEST(Percentile, OfFewSamplesIsTheLast) {
    EXPECT_EQ(30u, percentile({10, 20, 30}, 990));
    EXPECT_EQ(20u, percentile({10, 20, 30}, 500));
    EXPECT_EQ(10u, percentile({10, 20, 30}, 333));
    EXPECT_EQ(20u, percentile({10, 20, 30}, 334));
    EXPECT_EQ(7u, percentile({7}, 1));
}

TEST(Figures, NeedNoOrder) {
    Figures figures = figures_of({40, 10, 30, 20});
    EXPECT_EQ(20u, figures.p50);
    EXPECT_EQ(40u, figures.p99);
    EXPECT_EQ(40u, figures.p99_9);
    EXPECT_EQ(40u, figures.worst);
    EXPECT_DOUBLE_EQ(25.0, figures.mean);
}

TEST(Figures, OfNothingAreZero) {
    Figures figures = figures_of({});
    EXPECT_EQ(0u, figures.worst);
    EXPECT_EQ(0.0, figures.mean);
}

TEST(System, AnswersAreReal) {
    uint64_t before = clock_ns();
    uint64_t peak = peak_rss_bytes();
    Events events = events_now(), sum{0, 0, 0};
    std::vector<char> memory(size_t{64} << 20, 1);
    asm volatile("" : : "r"(memory.data()) : "memory"); /* else it need not be there */
    EXPECT_GE(clock_ns(), before);
    EXPECT_GE(peak_rss_bytes(), peak + (size_t{32} << 20));
    add_events(sum, events);
    EXPECT_GT(sum.minor_faults + sum.major_faults, 0u);
}

} // namespace
} // namespace bench
