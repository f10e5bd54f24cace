// What the tests of barriers share.
#ifndef FA_TESTING_BARRIERS_HPP
#define FA_TESTING_BARRIERS_HPP

#include "fa/testing_threads.hpp"

namespace fa_testing {

class Barrier : public testing::Test {
  protected:
    Events events;

    void Create(size_t seats, fa_alloc_config config = Config()) {
        events.Watch(&config);
        ASSERT_EQ(fa_allocator_create(&config, &allocator), FA_OK);
        ASSERT_EQ(fa_barrier_create(allocator, seats, &barrier), FA_OK);
        fa_last_error_clear();
    }
    void TearDown() override {
        if (allocator == nullptr)
            return;
        ExpectValid(allocator);
        EXPECT_EQ(fa_allocator_destroy(allocator), 0u);
    }

    fa_barrier_stats Numbers() const {
        fa_barrier_stats stats = {};
        EXPECT_EQ(fa_barrier_stats_get(barrier, &stats), FA_OK);
        EXPECT_LE(stats.member_count, stats.seat_count);
        EXPECT_TRUE(stats.arrived_count == 0 || stats.arrived_count < stats.seat_count);
        EXPECT_LE(stats.timeout_count, stats.wait_count);
        EXPECT_LE(stats.wait_nanoseconds_max, stats.wait_nanoseconds_total);
        return stats;
    }
    void ExpectMisuse(fa_status status, fa_status expected, fa_diag diag) {
        EXPECT_EQ(status, expected);
        EXPECT_EQ(fa_last_error().diag, diag);
        EXPECT_EQ(events.Last(diag).address, barrier);
        events.all.clear();
    }
    // Until a thread sleeps or spins for the open generation, as far as can be seen.
    void AwaitArrivals(size_t count) const {
        while (Numbers().arrived_count < count)
            std::this_thread::yield();
    }

    fa_allocator *allocator = nullptr;
    fa_barrier *barrier = nullptr;
};

} // namespace fa_testing

#endif
