// Tasks: every promise and every error of task.h.
#include "fa/testing_tasks.hpp"

#include <algorithm>
#include <atomic>
#include <string>
#include <thread>

using namespace fa_testing;

namespace {

class Task : public Tasks {};

TEST_P(Task, WhatIsLeftGoesWithIt) {
    const fa_task task = Begin();
    ASSERT_TRUE(fa_task_is_open(task));
    std::vector<void *> blocks;
    size_t bytes = 0;
    for (size_t i = 0; i < 300; i++) {
        const size_t size = i == 100 ? 300000 : 1 + i * 37 % 3000;
        blocks.push_back(fa_task_alloc(task, size));
        ASSERT_NE(blocks.back(), nullptr);
        EXPECT_TRUE(IsAligned(blocks.back(), 16));
        Paint(blocks.back(), i, size);
        bytes += size;
    }
    for (size_t i = 0; i < 300; i++)
        EXPECT_TRUE(IsPainted(blocks[i], i, i == 100 ? 300000 : 1 + i * 37 % 3000));
    EXPECT_EQ(TaskStats(task).bytes, bytes);
    for (size_t i = 0; i < 300; i += 2) { // from the middle, and from both ends
        EXPECT_EQ(fa_task_free(task, blocks[i]), FA_OK);
        bytes -= i == 100 ? 300000 : 1 + i * 37 % 3000;
    }
    const fa_task_stats stats = TaskStats(task);
    EXPECT_STREQ(stats.name, "task");
    EXPECT_EQ(stats.bytes, bytes);
    EXPECT_GT(stats.bytes_peak, bytes);
    EXPECT_EQ(stats.live_count, 150u);
    EXPECT_EQ(stats.alloc_count, 300u);
    EXPECT_EQ(fa_task_free(task, nullptr), FA_OK);
    EXPECT_EQ(fa_task_end(task), FA_OK);
    EXPECT_FALSE(fa_task_is_open(task));
    EXPECT_EQ(Stats(allocator_).heap_live_count, 1u); // the records
    EXPECT_EQ(PoolLive(), 0u);
}

TEST_P(Task, CopiesZeroesAndGrows) {
    const fa_task task = Begin(nullptr);
    EXPECT_STREQ(TaskStats(task).name, "");
    EXPECT_STREQ(fa_task_copy_string(task, "text"), "text");
    EXPECT_TRUE(IsFilled(fa_task_alloc_zeroed(task, 20, 30), 0, 600));
    EXPECT_TRUE(IsFilled(fa_task_array_zeroed(task, int, 10), 0, 40));
    EXPECT_NE(fa_task_new(task, double), nullptr);
    const size_t live = TaskStats(task).live_count;
    void *block = fa_task_realloc(task, nullptr, 100);
    Paint(block, 5, 100);
    for (size_t size : {200u, 50000u, 80u}) {
        block = fa_task_realloc(task, block, size);
        ASSERT_TRUE(IsPainted(block, 5, 80));
    }
    EXPECT_EQ(TaskStats(task).live_count, live + 1);
    EXPECT_EQ(fa_task_realloc(task, block, 0), nullptr);
    EXPECT_EQ(fa_last_error().status, FA_ERROR_INVALID);
    EXPECT_TRUE(IsPainted(block, 5, 80)) << "untouched";
    EXPECT_EQ(fa_task_end(task), FA_OK);
}

TEST_P(Task, ALateCallbackIsRefused) {
    const fa_task task = Begin();
    void *block = fa_task_alloc(task, 100);
    OnThread([&] { EXPECT_EQ(fa_task_end(task), FA_OK); });
    Refused(FA_DIAG_FA610, fa_task_alloc(task, 16) == nullptr);
    Refused(FA_DIAG_FA610, fa_task_alloc_zeroed(task, 1, 16) == nullptr);
    Refused(FA_DIAG_FA610, fa_task_copy_string(task, "text") == nullptr);
    Refused(FA_DIAG_FA610, fa_task_realloc(task, block, 16) == nullptr);
    Refused(FA_DIAG_FA610, fa_task_free(task, block) == FA_ERROR_FOREIGN);
    Refused(FA_DIAG_FA610, fa_task_end(task) == FA_ERROR_FOREIGN);
    fa_task_stats stats;
    Refused(FA_DIAG_FA610, fa_task_stats_get(task, &stats) == FA_ERROR_FOREIGN);
    const fa_task other = Begin();
    EXPECT_EQ(other.head, task.head) << "the same record";
    Refused(FA_DIAG_FA610, fa_task_alloc(task, 16) == nullptr);
    EXPECT_EQ(fa_task_end(other), FA_OK);
}

TEST_P(Task, ABlockOfAnotherTaskIsRefused) {
    const fa_task one = Begin(), two = Begin();
    char *text = fa_task_copy_string(one, "text");
    Refused(FA_DIAG_FA601, fa_task_free(two, text) == FA_ERROR_FOREIGN);
    Refused(FA_DIAG_FA601, fa_task_realloc(two, text, 100) == nullptr);
    EXPECT_STREQ(text, "text");
    EXPECT_EQ(fa_task_end(two), FA_OK);
    EXPECT_STREQ(text, "text");
    EXPECT_EQ(TaskStats(one).live_count, 1u);
    EXPECT_EQ(fa_task_end(one), FA_OK);
}

// Whatever is there, or not there any more.
TEST_P(Task, WhatIsNoBlockIsRefused) {
    const fa_task task = Begin();
    for (const size_t size : {size_t{100}, size_t{3000}, size_t{64} << 20}) {
        char *block = static_cast<char *>(fa_task_alloc(task, size));
        ASSERT_NE(block, nullptr);
        EXPECT_EQ(fa_task_free(task, block), FA_OK);
        Refused(FA_DIAG_FA601, fa_task_free(task, block) == FA_ERROR_FOREIGN);
        Refused(FA_DIAG_FA601, fa_task_realloc(task, block, 200) == nullptr);
    }
    char *large = static_cast<char *>(fa_heap_alloc(allocator_, 32 << 20));
    ASSERT_NE(large, nullptr);
    Refused(FA_DIAG_FA601, fa_task_free(task, large) == FA_ERROR_FOREIGN);
    fa_heap_free(allocator_, large);
    char *const nowhere = reinterpret_cast<char *>(uintptr_t{4096});
    Refused(FA_DIAG_FA601, fa_task_free(task, nowhere) == FA_ERROR_FOREIGN);
    EXPECT_EQ(TaskStats(task).live_count, 0u);
    EXPECT_EQ(fa_task_end(task), FA_OK);
}

TEST_P(Task, AHeaderThatWasOverwrittenShows) {
    const fa_task task = Begin();
    std::vector<uint64_t *> blocks;
    for (int i = 0; i < 3; i++)
        blocks.push_back(static_cast<uint64_t *>(fa_task_alloc(task, 100)));
    ExpectValid(allocator_);
    for (const int word : {-1, -2, -4}) {
        const uint64_t before = blocks[1][word];
        blocks[1][word] = before + 32;
        EXPECT_NE(fa_validate(allocator_, nullptr), FA_OK) << word;
        blocks[1][word] = before;
        ExpectValid(allocator_);
    }
    EXPECT_EQ(fa_task_end(task), FA_OK);
}

TEST_P(Task, FrameMemoryDoesNotReachTheNextCallback) {
    // What a task is for: a block of the frame is gone when the callback comes, and is found out.
    fa_frame_begin(allocator_);
    char *late = fa_frame_copy_string(allocator_, "late");
    const fa_task task = Begin();
    char *kept = fa_task_copy_string(task, late);
    EXPECT_EQ(fa_frame_end(allocator_), FA_OK);
    fa_frame_begin(allocator_); // the next turn of the loop
    Refused(FA_DIAG_FA002, fa_frame_grow(allocator_, late, 5, 100) == nullptr);
    EXPECT_STREQ(kept, "late");
    EXPECT_EQ(fa_frame_end(allocator_), FA_OK);
    EXPECT_EQ(fa_task_end(task), FA_OK);
}

TEST_P(Task, BudgetsAndSeals) {
    const fa_task task = Begin();
    ASSERT_NE(fa_task_alloc(task, 100), nullptr);
    fa_budget budget = {};
    budget.hard_bytes = Stats(allocator_).heap_live_bytes + 10000;
    ASSERT_EQ(fa_budget_set(allocator_, FA_INTENT_HEAP, &budget), FA_OK);
    EXPECT_EQ(fa_task_alloc(task, 100000), nullptr);
    EXPECT_EQ(fa_last_error().status, FA_ERROR_LIMIT);
    budget.hard_bytes = 0;
    ASSERT_EQ(fa_budget_set(allocator_, FA_INTENT_HEAP, &budget), FA_OK);
    fa_backend_seal(allocator_);
    EXPECT_EQ(fa_task_alloc(task, 50000000), nullptr);
    EXPECT_EQ(fa_last_error().status, FA_ERROR_SEALED);
    EXPECT_EQ(TaskStats(task).live_count, 1u);
    EXPECT_EQ(fa_task_end(task), FA_OK);
}

TEST_P(Task, CountsVisitsAndDiesWithTheAllocator) {
    std::vector<fa_task> tasks;
    for (int i = 0; i < 20; i++) {
        tasks.push_back(Begin());
        ASSERT_NE(fa_task_alloc(tasks.back(), 50), nullptr);
        ASSERT_NE(fa_task_alloc(tasks.back(), 500000), nullptr);
    }
    EXPECT_EQ(fa_task_end(tasks[3]), FA_OK);
    EXPECT_EQ(fa_task_count(allocator_), 19u);
    size_t bytes = 0;
    EXPECT_EQ(fa_task_visit(
                  allocator_,
                  [](void *user, fa_task, const fa_task_stats *stats) {
                      *static_cast<size_t *>(user) += stats->bytes;
                  },
                  &bytes),
              19u);
    EXPECT_EQ(bytes, 19u * 500050);
    EXPECT_EQ(fa_allocator_destroy(allocator_), 0u) << "no leak";
    allocator_ = nullptr;
}

// Wherever tasks begin and end, what they are written down in serves those that follow.
TEST_P(Task, RecordsAreUsedAgain) {
    const auto begin = [&](std::vector<fa_task> *tasks) {
        for (size_t i = 0; i < 100; i++) {
            tasks->push_back(Begin());
            ASSERT_NE(fa_task_alloc(tasks->back(), 16), nullptr);
        }
        EXPECT_EQ(fa_task_count(allocator_), tasks->size());
    };
    const auto end = [&](std::vector<fa_task> *tasks) {
        for (fa_task task : *tasks)
            EXPECT_EQ(fa_task_end(task), FA_OK);
        for (fa_task task : *tasks)
            EXPECT_FALSE(fa_task_is_open(task));
        EXPECT_EQ(fa_task_count(allocator_), 0u);
        tasks->clear();
    };
    std::vector<fa_task> tasks;
    size_t live = 0;
    for (int round = 0; round < 6; round++) {
        const bool here = round % 2 == 0;
        here ? begin(&tasks) : OnThread([&] { begin(&tasks); });
        ExpectValid(allocator_);
        round % 3 == 0 ? end(&tasks) : OnThread([&] { end(&tasks); });
        if (round == 1) // by now two threads keep some of them
            live = Stats(allocator_).heap_live_bytes;
    }
    EXPECT_EQ(Stats(allocator_).heap_live_bytes, live);
}

TEST_P(Task, FreedMemoryMustNotBeTouched) {
    if (!kAsan)
        GTEST_SKIP();
    const fa_task task = Begin();
    volatile char *block = static_cast<char *>(fa_task_alloc(task, 20));
    EXPECT_EQ(fa_task_end(task), FA_OK);
    EXPECT_DEATH(block[0] = 1, "use-after-poison");
}

// Against a naive model, with every call of the backend failing once.
TEST_P(Task, ModelWithFaults) {
    Random random;
    EachFault(24, GetParam(), [&](fa_allocator *allocator) {
        struct Block {
            void *address;
            size_t size;
            uint64_t mark;
        };
        fa_task tasks[3] = {};
        std::vector<Block> blocks[3];
        for (uint64_t step = 0; step < 600; step++) {
            const size_t which = random.Below(3), what = random.Below(20);
            fa_task &task = tasks[which];
            std::vector<Block> &mine = blocks[which];
            if (!fa_task_is_open(task)) {
                task = fa_task_begin(allocator, "model");
            } else if (what == 0 && random.OneIn(3)) {
                for (const Block &block : mine)
                    ASSERT_TRUE(IsPainted(block.address, block.mark, block.size));
                ASSERT_EQ(fa_task_end(task), FA_OK);
                mine.clear();
            } else if (what < 7 && !mine.empty()) {
                const size_t index = random.Below(mine.size());
                const Block block = mine[index];
                ASSERT_TRUE(IsPainted(block.address, block.mark, block.size));
                const size_t size = random.Size(20000);
                void *moved = what < 4 ? nullptr : fa_task_realloc(task, block.address, size);
                if (what < 4) {
                    ASSERT_EQ(fa_task_free(task, block.address), FA_OK);
                    mine.erase(mine.begin() + static_cast<std::ptrdiff_t>(index));
                } else if (moved != nullptr) {
                    ASSERT_TRUE(IsPainted(moved, block.mark, std::min(size, block.size)));
                    Paint(moved, step, size);
                    mine[index] = {moved, size, step};
                }
            } else {
                const size_t size = random.Size(20000);
                void *block = fa_task_alloc(task, size);
                if (block != nullptr) {
                    Paint(block, step, size);
                    mine.push_back({block, size, step});
                }
            }
        }
        for (size_t i = 0; i < 3; i++)
            if (fa_task_is_open(tasks[i])) {
                EXPECT_EQ(TaskStats(tasks[i]).live_count, blocks[i].size());
                for (const Block &block : blocks[i])
                    ASSERT_TRUE(IsPainted(block.address, block.mark, block.size));
            }
    });
}

// As in fa_task_end: it would free the object that it is called for.
TEST_P(Task, ADestructorCanNotEndItsTaskWhenTheAllocatorDies) {
    struct Ender {
        fa_task task;
        fa_status *status;
    };
    fa_status status = FA_OK;
    const fa_task task = Begin();
    auto *ender = fa_task_new_with(task, Ender, [](void *object) {
        auto *self = static_cast<Ender *>(object);
        *self->status = fa_task_end(self->task);
        EXPECT_FALSE(fa_task_is_open(self->task)) << "the object is still there";
    });
    ASSERT_NE(ender, nullptr);
    *ender = {task, &status};
    EXPECT_EQ(fa_allocator_destroy(allocator_), 0u);
    allocator_ = nullptr;
    EXPECT_EQ(status, FA_ERROR_FOREIGN);
}

// Threads pull at the same tasks, and one of them ends each while others are still at it.
TEST_P(Task, ManyThreadsInOneTask) {
    Tracked allocator(Config(GetParam()));
    for (int round = 0; round < 20; round++) {
        const fa_task task = fa_task_begin(allocator, "threads");
        std::atomic<size_t> ended{0};
        OnThreads(4, [&](size_t i) {
            for (size_t j = 0; j < 100; j++) {
                void *block = fa_task_alloc(task, 20 + j * 16);
                if (block == nullptr) {
                    EXPECT_EQ(fa_last_error().diag, FA_DIAG_FA610);
                    break;
                }
                if (j % 3 == 0) {
                    const bool is_done = fa_task_free(task, block) != FA_OK;
                    if (is_done)
                        break;
                }
            }
            if (i % 2 == 0 && fa_task_end(task) == FA_OK)
                ended++;
        });
        EXPECT_EQ(ended, 1u);
    }
    allocator.Check();
}

// What a call writes into its block is not freed under it, however large.
TEST_P(Task, EndsUnderCallsThatFillBlocks) {
    Tracked allocator(Config(GetParam()));
    const std::vector<char> large(1 << 20, 'x');
    EXPECT_EQ(fa_task_end(fa_task_begin(allocator, "first")), FA_OK);
    const uint64_t live = allocator.Live(); // what tasks are written down in
    for (int round = 0; round < 30; round++) {
        const fa_task task = fa_task_begin(allocator, "threads");
        std::atomic<size_t> made{0};
        std::vector<std::thread> threads;
        for (int what = 0; what < 3; what++)
            threads.emplace_back([&, what] {
                void *block = nullptr;
                for (bool goes_on = true; goes_on; made++) {
                    const size_t size = 100 + made % 7 * 50000;
                    void *next = what == 0   ? fa_task_copy(task, large.data(), large.size())
                                 : what == 1 ? fa_task_alloc_zeroed(task, size, 1)
                                             : fa_task_realloc(task, block, size);
                    goes_on = next != nullptr;
                    if (!goes_on)
                        EXPECT_EQ(fa_last_error().diag, FA_DIAG_FA610);
                    else if (what == 2)
                        block = next;
                    else
                        goes_on = fa_task_free(task, next) == FA_OK;
                }
            });
        while (made < 20)
            std::this_thread::yield();
        EXPECT_EQ(fa_task_end(task), FA_OK);
        for (std::thread &thread : threads)
            thread.join();
    }
    allocator.Check();
    EXPECT_EQ(allocator.Live(), live);
}

FA_TESTING_CHECKS(Task);

} // namespace
