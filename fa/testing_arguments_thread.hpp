// Bad arguments to the calls of barrier.h: for arguments_test.cc.
#ifndef FA_TESTING_ARGUMENTS_THREAD_HPP
#define FA_TESTING_ARGUMENTS_THREAD_HPP

#include "fa/testing_arguments.hpp"

namespace fa_testing {

inline const Call kThreadCalls[] = {
    {"fa_barrier_create",
     [](fa_allocator *a, fa_frame *) {
         fa_barrier *barrier = nullptr;
         INVALID(fa_barrier_create(a, 2, nullptr));
         INVALID(fa_barrier_create(nullptr, 2, &barrier));
         INVALID(fa_barrier_create(a, FA_BARRIER_SEAT_COUNT_MAX + 1, &barrier));
         INVALID(fa_barrier_create(a, SIZE_MAX, &barrier));
         EXPECT_EQ(barrier, nullptr);
     }},
    {"fa_barrier_destroy",
     [](fa_allocator *, fa_frame *) { INVALID(fa_barrier_destroy(nullptr)); }},
    {"fa_barrier_expect",
     [](fa_allocator *a, fa_frame *) {
         INVALID(fa_barrier_expect(nullptr, 1));
         fa_barrier *barrier = nullptr;
         ASSERT_EQ(fa_barrier_create(a, 1, &barrier), FA_OK);
         EXPECT_EQ(fa_barrier_expect(barrier, FA_BARRIER_SEAT_COUNT_MAX), FA_ERROR_FULL);
         EXPECT_EQ(fa_barrier_expect(barrier, SIZE_MAX), FA_ERROR_FULL);
         EXPECT_EQ(fa_barrier_destroy(barrier), FA_OK);
     }},
    {"fa_barrier_join", [](fa_allocator *, fa_frame *) { INVALID(fa_barrier_join(nullptr)); }},
    {"fa_barrier_leave", [](fa_allocator *, fa_frame *) { INVALID(fa_barrier_leave(nullptr)); }},
    {"fa_barrier_signal", [](fa_allocator *, fa_frame *) { INVALID(fa_barrier_signal(nullptr)); }},
    {"fa_barrier_signal_and_wait",
     [](fa_allocator *, fa_frame *) { INVALID(fa_barrier_signal_and_wait(nullptr)); }},
    {"fa_barrier_stats_get",
     [](fa_allocator *a, fa_frame *) {
         fa_barrier_stats stats;
         INVALID(fa_barrier_stats_get(nullptr, &stats));
         fa_barrier *barrier = nullptr;
         ASSERT_EQ(fa_barrier_create(a, 0, &barrier), FA_OK);
         INVALID(fa_barrier_stats_get(barrier, nullptr));
         EXPECT_EQ(fa_barrier_destroy(barrier), FA_OK);
     }},
    {"fa_barrier_wait", [](fa_allocator *, fa_frame *) { INVALID(fa_barrier_wait(nullptr)); }},
    {"fa_barrier_wait_for",
     [](fa_allocator *, fa_frame *) { INVALID(fa_barrier_wait_for(nullptr, 0)); }},
};

} // namespace fa_testing

#endif
