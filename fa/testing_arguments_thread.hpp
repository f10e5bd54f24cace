// Bad arguments to the calls of barrier.h, deferred.h and transfer.h: for arguments_test.cc.
#ifndef FA_TESTING_ARGUMENTS_THREAD_HPP
#define FA_TESTING_ARGUMENTS_THREAD_HPP

#include "fa/testing_arguments.hpp"

namespace fa_testing {

#define UNKNOWN(call)                                                                              \
    do {                                                                                           \
        INVALID(call(nullptr, fa_transfer{1}));                                                    \
        EXPECT_EQ(call(a, fa_transfer{0}), FA_ERROR_FOREIGN);                                      \
        EXPECT_EQ(call(a, fa_transfer{UINT64_MAX}), FA_ERROR_FOREIGN);                             \
    } while (0)

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
    {"fa_deferred_free",
     [](fa_allocator *a, fa_frame *) {
         int block = 0;
         INVALID(fa_deferred_free(nullptr, &block));
         EXPECT_EQ(fa_deferred_free(nullptr, nullptr), FA_OK);
         EXPECT_EQ(fa_deferred_free(a, nullptr), FA_OK);
     }},
    {"fa_deferred_process",
     [](fa_allocator *a, fa_frame *) {
         fa_last_error_clear();
         EXPECT_EQ(fa_deferred_process(nullptr, 1), 0u);
         EXPECT_EQ(Taken(), FA_ERROR_INVALID);
         EXPECT_EQ(fa_deferred_process(a, 0), 0u);
         EXPECT_EQ(fa_deferred_process(a, SIZE_MAX), 0u);
     }},
    {"fa_deferred_stats_get",
     [](fa_allocator *a, fa_frame *) {
         fa_deferred_stats stats;
         INVALID(fa_deferred_stats_get(nullptr, &stats));
         INVALID(fa_deferred_stats_get(a, nullptr));
     }},
    {"fa_deferred_stats_here",
     [](fa_allocator *a, fa_frame *) {
         fa_deferred_stats stats;
         INVALID(fa_deferred_stats_here(nullptr, &stats));
         INVALID(fa_deferred_stats_here(a, nullptr));
     }},
    {"fa_transfer_drop", [](fa_allocator *a, fa_frame *) { UNKNOWN(fa_transfer_drop); }},
    {"fa_transfer_make",
     [](fa_allocator *a, fa_frame *) {
         fa_transfer transfer;
         INVALID(fa_transfer_make(nullptr, "x", 1, 1, &transfer));
         INVALID(fa_transfer_make(a, nullptr, 1, 1, &transfer));
         INVALID(fa_transfer_make(a, "x", 1, 1, nullptr));
         EACH_SIZE(INVALID(fa_transfer_make(a, "x", size, 1, &transfer)))
         EACH_ALIGN(INVALID(fa_transfer_make(a, "x", 1, align, &transfer)))
         EXPECT_EQ(transfer.id, 0u);
     }},
    {"fa_transfer_on_drop",
     [](fa_allocator *a, fa_frame *) {
         INVALID(fa_transfer_on_drop(nullptr, fa_transfer{1}, nullptr, nullptr));
         EXPECT_EQ(fa_transfer_on_drop(a, fa_transfer{0}, nullptr, nullptr), FA_ERROR_FOREIGN);
     }},
    {"fa_transfer_receive",
     [](fa_allocator *a, fa_frame *) {
         fa_received received;
         INVALID(fa_transfer_receive(nullptr, fa_transfer{1}, &received));
         INVALID(fa_transfer_receive(a, fa_transfer{1}, nullptr));
         EXPECT_EQ(fa_transfer_receive(a, fa_transfer{1}, &received), FA_ERROR_FOREIGN);
         EXPECT_EQ(received.object, nullptr);
         REFUSED(fa_transfer_receive_as(nullptr, int, fa_transfer{1}));
     }},
    {"fa_transfer_send", [](fa_allocator *a, fa_frame *) { UNKNOWN(fa_transfer_send); }},
    {"fa_transfer_state_get",
     [](fa_allocator *a, fa_frame *) {
         EXPECT_EQ(fa_transfer_state_get(nullptr, fa_transfer{1}), FA_TRANSFER_NONE);
         EXPECT_EQ(fa_transfer_state_get(a, fa_transfer{UINT64_MAX}), FA_TRANSFER_NONE);
     }},
    {"fa_transfer_stats_get",
     [](fa_allocator *a, fa_frame *) {
         fa_transfer_stats stats;
         INVALID(fa_transfer_stats_get(nullptr, &stats));
         EXPECT_EQ(stats.made_count, 0u);
         INVALID(fa_transfer_stats_get(a, nullptr));
     }},
    {"fa_transfer_wrap",
     [](fa_allocator *a, fa_frame *) {
         fa_transfer transfer;
         int block = 0;
         INVALID(fa_transfer_wrap(nullptr, &block, 4, &transfer));
         INVALID(fa_transfer_wrap(a, nullptr, 4, &transfer));
         INVALID(fa_transfer_wrap(a, &block, 4, nullptr));
         EACH_SIZE(INVALID(fa_transfer_wrap(a, &block, size, &transfer)))
         EXPECT_EQ(transfer.id, 0u);
     }},
};

#undef UNKNOWN

} // namespace fa_testing

#endif
