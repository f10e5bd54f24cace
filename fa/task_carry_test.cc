// Frame memory that is on its way to a later callback of a task.
#include "fa/testing_tasks.hpp"

#include <atomic>
#include <string>
#include <thread>

using namespace fa_testing;

namespace {

class Carry : public Tasks {};

TEST_P(Carry, FrameMemoryIsNotCarried) {
    const fa_task task = Begin();
    int local = 0;
    fa_frame *frame = fa_frame_begin(allocator_);
    char *doomed = fa_frame_copy_string_in(frame, "doomed");
    void *large = fa_frame_alloc_in(frame, 1 << 20); // in another chunk
    char *kept = fa_task_copy_string(task, doomed);
    EXPECT_EQ(fa_task_carry(task, kept), kept);
    EXPECT_EQ(fa_task_carry(task, &local), &local);
    EXPECT_EQ(fa_task_carry(task, nullptr), nullptr);
    EXPECT_EQ(events_.Count(FA_DIAG_FA616), 0u);
    Refused(FA_DIAG_FA616, fa_task_carry(task, doomed) == nullptr);
    Refused(FA_DIAG_FA616, fa_task_check(task, doomed + 3) == FA_ERROR_FOREIGN);
    Refused(FA_DIAG_FA616, fa_task_carry(task, large) == nullptr);
    OnThread([&] { // who does not know whose frame it is
        Refused(FA_DIAG_FA616, fa_task_carry(task, doomed) == nullptr);
        EXPECT_EQ(fa_task_check(task, kept), FA_OK);
    });
    EXPECT_EQ(fa_frame_end_in(frame), FA_OK);
    frame = fa_frame_begin(allocator_);
    doomed = fa_frame_copy_string_in(frame, "doomed");
    EXPECT_EQ(fa_frame_end_in(frame), FA_OK);
    Refused(FA_DIAG_FA616, fa_task_carry(task, doomed) == nullptr); // dead already
    EXPECT_EQ(fa_task_end(task), FA_OK);
    Refused(FA_DIAG_FA610, fa_task_carry(task, kept) == nullptr);
    Refused(FA_DIAG_FA610, fa_task_check(task, &local) == FA_ERROR_FOREIGN);
}

TEST_P(Carry, PromotedFrameMemoryIsNotCarriedEither) {
    const fa_task task = Begin();
    fa_budget budget = {};
    budget.hard_bytes = 1000;
    budget.policy = FA_BUDGET_PROMOTE;
    ASSERT_EQ(fa_budget_set(allocator_, FA_INTENT_FRAME, &budget), FA_OK);
    fa_frame *frame = fa_frame_begin(allocator_);
    void *block = fa_frame_alloc_in(frame, 5000);
    ASSERT_NE(block, nullptr);
    Refused(FA_DIAG_FA616, fa_task_carry(task, block) == nullptr);
    EXPECT_EQ(fa_frame_end_in(frame), FA_OK);
    EXPECT_EQ(fa_task_end(task), FA_OK);
}

// Threads come and go with their frames while others ask.
TEST_P(Carry, CarryIsForAnyThread) {
    const fa_task task = Begin();
    int local = 0;
    std::atomic<bool> stop{false};
    std::vector<std::thread> threads;
    for (size_t i = 0; i < 3; i++)
        threads.emplace_back([&] {
            while (!stop) {
                fa_frame *frame = fa_frame_begin(allocator_);
                ASSERT_NE(fa_frame_alloc_in(frame, 100000), nullptr);
                EXPECT_EQ(fa_frame_end_in(frame), FA_OK);
                EXPECT_EQ(fa_thread_detach(allocator_), FA_OK);
            }
        });
    for (size_t i = 0; i < 300; i++)
        EXPECT_EQ(fa_task_check(task, &local), FA_OK);
    stop = true;
    for (std::thread &thread : threads)
        thread.join();
    EXPECT_EQ(fa_task_end(task), FA_OK);
}

FA_TESTING_CHECKS(Carry);

} // namespace
