// What tasks call and capture: destructors, pool allocations of others.
#include "fa/fa.hpp"
#include "fa/testing_forks.hpp"
#include "fa/testing_tasks.hpp"

#include <algorithm>
#include <atomic>
#include <string>
#include <thread>

using namespace fa_testing;

namespace {

class Capture : public Tasks {};

// ---- destructors ----

struct Note {
    std::vector<int> *order;
    int number;
};

void Destroyed(void *object) {
    const Note *note = static_cast<Note *>(object);
    note->order->push_back(note->number);
}

TEST_P(Capture, DestructorsRunNewestFirst) {
    const fa_task task = Begin();
    std::vector<int> order;
    Note outside = {&order, 100};
    Note *first = nullptr, *second = nullptr;
    for (int i = 0; i < 6; i++) {
        Note *note = fa_task_new_with(task, Note, Destroyed);
        ASSERT_NE(note, nullptr);
        EXPECT_TRUE(IsAligned(note, 16));
        *note = {&order, i};
        ASSERT_NE(fa_task_alloc(task, 100), nullptr);
        if (i == 2)
            first = note;
        if (i == 5)
            second = note;
    }
    EXPECT_EQ(fa_task_defer(task, Destroyed, &outside), FA_OK);
    EXPECT_EQ(TaskStats(task).destructor_count, 7u);
    EXPECT_EQ(TaskStats(task).live_count, 13u);
    EXPECT_EQ(fa_task_free(task, first), FA_OK);
    EXPECT_EQ(order, std::vector<int>({2}));
    second = static_cast<Note *>(fa_task_realloc(task, second, 5000));
    ASSERT_NE(second, nullptr);
    second->number = 55;
    EXPECT_EQ(TaskStats(task).destructor_count, 6u);
    EXPECT_EQ(fa_task_end(task), FA_OK);
    EXPECT_EQ(order, std::vector<int>({2, 55, 100, 4, 3, 1, 0}));
    EXPECT_EQ(PoolLive(), 0u);
}

struct Caller {
    fa_allocator *allocator;
    fa_task task, other;
    void *neighbour;
    int calls;
};

TEST_P(Capture, DestructorsMayCallBack) {
    Caller caller = {allocator_, Begin(), Begin("other"), nullptr, 0};
    caller.neighbour = fa_task_copy_string(caller.task, "still here");
    ASSERT_EQ(fa_task_defer(
                  caller.task,
                  [](void *user) {
                      auto *me = static_cast<Caller *>(user);
                      me->calls++;
                      EXPECT_STREQ(static_cast<char *>(me->neighbour), "still here");
                      EXPECT_FALSE(fa_task_is_open(me->task));
                      EXPECT_EQ(fa_task_alloc(me->task, 16), nullptr);
                      EXPECT_EQ(fa_task_defer(
                                    me->task, [](void *) {}, nullptr),
                                FA_ERROR_FOREIGN);
                      EXPECT_NE(fa_task_alloc(me->other, 16), nullptr);
                      EXPECT_EQ(fa_task_end(me->task), FA_ERROR_FOREIGN);
                      const fa_task more = fa_task_begin(me->allocator, "more");
                      EXPECT_EQ(fa_task_end(more), FA_OK);
                      EXPECT_EQ(fa_task_end(me->other), FA_OK);
                  },
                  &caller),
              FA_OK);
    EXPECT_EQ(fa_task_end(caller.task), FA_OK);
    EXPECT_EQ(caller.calls, 1);
    EXPECT_EQ(fa_task_count(allocator_), 0u);
}

TEST_P(Capture, DestructorsRunWithTheAllocator) {
    std::vector<int> order;
    const fa_task task = Begin();
    for (int i = 0; i < 3; i++) {
        Note *note = fa_task_new_with(task, Note, Destroyed);
        *note = {&order, i};
    }
    struct More {
        fa_task task;
        bool was_refused;
    } more = {task, false};
    // As at the end of the task by itself.
    ASSERT_EQ(fa_task_defer(
                  task,
                  [](void *user) {
                      auto *me = static_cast<More *>(user);
                      me->was_refused = fa_task_new_with(me->task, Note, Destroyed) == nullptr;
                  },
                  &more),
              FA_OK);
    EXPECT_EQ(fa_allocator_destroy(allocator_), 0u);
    allocator_ = nullptr;
    EXPECT_TRUE(more.was_refused);
    EXPECT_EQ(order, std::vector<int>({2, 1, 0}));
}

// ---- capture ----

TEST_P(Capture, PlainAllocationsGoWithTheTask) {
    const fa_task task = Begin();
    const size_t before = PoolLive();
    void *outside = fa_pool_alloc(allocator_, 64);
    ASSERT_EQ(fa_task_capture_begin(task), FA_OK);
    std::vector<void *> batch(20);
    std::vector<std::pair<void *, size_t>> blocks;
    for (size_t size : {1u, 16u, 64u, 100u, 1000u, 4096u, 8000u, 20000u, 300000u})
        blocks.emplace_back(fa_pool_alloc(allocator_, size), size);
    for (size_t align : {8u, 32u, 64u, 256u, 4096u, 65536u}) {
        blocks.emplace_back(fa_pool_alloc_aligned(allocator_, 200, align), 200);
        EXPECT_TRUE(IsAligned(blocks.back().first, std::max<size_t>(align, 16)));
    }
    blocks.emplace_back(fa_pool_alloc_zeroed(allocator_, 10, 10), 100);
    EXPECT_TRUE(IsFilled(blocks.back().first, 0, 100));
    EXPECT_EQ(fa_pool_alloc_batch(allocator_, 48, 20, batch.data()), FA_OK);
    for (void *block : batch)
        blocks.emplace_back(block, 48);
    ASSERT_EQ(fa_tag_enter(allocator_, FA_TAG_AUDIO), FA_OK);
    for (int i = 0; i < 3; i++)
        blocks.emplace_back(fa_pool_alloc(allocator_, 80), 80);
    ASSERT_EQ(fa_tag_leave(allocator_), FA_OK);
    for (size_t i = 0; i < blocks.size(); i++) {
        ASSERT_NE(blocks[i].first, nullptr) << i;
        Paint(blocks[i].first, i, blocks[i].second);
        EXPECT_GE(fa_usable_size(allocator_, blocks[i].first), blocks[i].second);
    }
    EXPECT_EQ(fa_task_capture_end(task), FA_OK);
    void *after = fa_pool_alloc(allocator_, 64);
    EXPECT_EQ(TaskStats(task).captured_count, blocks.size());
    for (size_t i = 0; i < blocks.size(); i++)
        EXPECT_TRUE(IsPainted(blocks[i].first, i, blocks[i].second)) << i;
    ExpectValid(allocator_);
    // Some go by themselves, by every call that frees pool objects, here and elsewhere.
    for (size_t i = 0; i < blocks.size(); i += 4) {
        fa_pool_free(allocator_, blocks[i].first);
        if (i + 1 < blocks.size())
            fa_pool_free_sized(allocator_, blocks[i + 1].first, blocks[i + 1].second);
        if (i + 2 < blocks.size())
            OnThread([&] { fa_pool_free(allocator_, blocks[i + 2].first); });
    }
    EXPECT_EQ(events_.all.size(), 0u);
    EXPECT_EQ(TaskStats(task).captured_count, blocks.size() / 4);
    EXPECT_EQ(fa_task_end(task), FA_OK);
    fa_pool_free(allocator_, outside);
    fa_pool_free_sized(allocator_, after, 64);
    EXPECT_EQ(PoolLive(), before);
    EXPECT_EQ(Stats(allocator_).heap_live_count, 1u); // the records
    EXPECT_EQ(events_.all.size(), 0u);
}

TEST_P(Capture, WhatIsFreedTwiceIsFound) {
    const fa_task task = Begin();
    ASSERT_EQ(fa_task_capture_begin(task), FA_OK);
    void *small = fa_pool_alloc(allocator_, 64), *large = fa_pool_alloc(allocator_, 100000);
    EXPECT_EQ(fa_task_capture_end(task), FA_OK);
    fa_pool_free(allocator_, small);
    fa_pool_free(allocator_, small);
    EXPECT_EQ(events_.Count(FA_DIAG_FA602), 1u);
    fa_pool_free(allocator_, large);
    fa_pool_free(allocator_, large);
    EXPECT_EQ(events_.Count(FA_DIAG_FA601), 1u);
    EXPECT_EQ(TaskStats(task).live_count, 0u);
    EXPECT_EQ(fa_task_end(task), FA_OK);
}

TEST_P(Capture, AddressesInsideAreRefused) {
    const fa_task task = Begin();
    ASSERT_EQ(fa_task_capture_begin(task), FA_OK);
    char *block = static_cast<char *>(fa_pool_alloc(allocator_, 500));
    EXPECT_EQ(fa_task_capture_end(task), FA_OK);
    memset(block, 0, 500);
    for (ptrdiff_t offset : {-32, -16, 8, 16, 48, 256}) {
        const size_t before = events_.all.size();
        fa_pool_free(allocator_, block + offset);
        EXPECT_EQ(events_.all.size(), before + 1) << offset;
    }
    EXPECT_EQ(TaskStats(task).live_count, 1u);
    EXPECT_EQ(fa_task_end(task), FA_OK);
}

TEST_P(Capture, NestsAndEndsInOrder) {
    const fa_task outer = Begin(), inner = Begin();
    ASSERT_EQ(fa_task_capture_begin(outer), FA_OK);
    ASSERT_NE(fa_pool_alloc(allocator_, 64), nullptr);
    ASSERT_EQ(fa_task_capture_begin(inner), FA_OK);
    ASSERT_NE(fa_pool_alloc(allocator_, 64), nullptr);
    Refused(FA_DIAG_FA615, fa_task_capture_end(outer) == FA_ERROR_FOREIGN);
    OnThread([&] { Refused(FA_DIAG_FA615, fa_task_capture_end(inner) == FA_ERROR_FOREIGN); });
    ASSERT_EQ(fa_task_capture_begin(inner), FA_OK) << "twice";
    ASSERT_NE(fa_pool_alloc(allocator_, 64), nullptr);
    EXPECT_EQ(fa_task_capture_end(inner), FA_OK);
    EXPECT_EQ(fa_task_capture_end(inner), FA_OK);
    ASSERT_NE(fa_pool_alloc(allocator_, 64), nullptr);
    EXPECT_EQ(TaskStats(outer).captured_count, 2u);
    EXPECT_EQ(TaskStats(inner).captured_count, 2u);
    EXPECT_EQ(fa_task_end(inner), FA_OK);
    EXPECT_EQ(fa_task_capture_end(outer), FA_OK);
    Refused(FA_DIAG_FA615, fa_task_capture_end(outer) == FA_ERROR_FOREIGN);
    for (size_t i = 0; i < FA_TASK_CAPTURE_DEPTH_MAX; i++)
        EXPECT_EQ(fa_task_capture_begin(outer), FA_OK);
    EXPECT_EQ(fa_task_capture_begin(outer), FA_ERROR_LIMIT);
    for (size_t i = 0; i < FA_TASK_CAPTURE_DEPTH_MAX; i++)
        EXPECT_EQ(fa_task_capture_end(outer), FA_OK);
    EXPECT_EQ(fa_task_end(outer), FA_OK);
}

TEST_P(Capture, TheTaskMayEndInside) {
    const fa_task task = Begin();
    ASSERT_EQ(fa_task_capture_begin(task), FA_OK);
    ASSERT_NE(fa_pool_alloc(allocator_, 64), nullptr);
    OnThread([&] { EXPECT_EQ(fa_task_end(task), FA_OK); });
    Refused(FA_DIAG_FA610, fa_pool_alloc(allocator_, 64) == nullptr);
    Refused(FA_DIAG_FA610, fa_pool_alloc(allocator_, 100000) == nullptr);
    Refused(FA_DIAG_FA610, fa_task_capture_begin(task) == FA_ERROR_FOREIGN);
    EXPECT_EQ(fa_task_capture_end(task), FA_OK);
    void *block = fa_pool_alloc(allocator_, 64);
    EXPECT_NE(block, nullptr);
    fa_pool_free(allocator_, block);
}

TEST_P(Capture, OnlyItsThreadOnlyItsAllocator) {
    Allocator other(Plain());
    const fa_task task = Begin();
    ASSERT_EQ(fa_task_capture_begin(task), FA_OK);
    void *elsewhere = fa_pool_alloc(other, 64);
    void *captured = fa_pool_alloc(allocator_, 64); // after another allocator was used
    void *of_thread = nullptr;
    OnThread([&] { of_thread = fa_pool_alloc(allocator_, 64); });
    EXPECT_EQ(TaskStats(task).captured_count, 1u);
    EXPECT_EQ(fa_task_free(task, captured), FA_OK) << "a block of the task like any other";
    captured = fa_pool_alloc(allocator_, 100);
    Paint(captured, 3, 100);
    captured = fa_task_realloc(task, captured, 200);
    EXPECT_TRUE(IsPainted(captured, 3, 100));
    EXPECT_EQ(TaskStats(task).captured_count, 0u);
    EXPECT_EQ(TaskStats(task).live_count, 1u);
    EXPECT_EQ(fa_task_capture_end(task), FA_OK);
    EXPECT_EQ(fa_task_end(task), FA_OK);
    fa_pool_free(allocator_, of_thread);
    fa_pool_free(other, elsewhere);
}

TEST_P(Capture, ThreadsThatLeaveEndTheirs) {
    const fa_task task = Begin();
    OnThread([&] {
        ASSERT_EQ(fa_task_capture_begin(task), FA_OK);
        ASSERT_NE(fa_pool_alloc(allocator_, 64), nullptr);
        ASSERT_EQ(fa_thread_detach(allocator_), FA_OK);
        void *block = fa_pool_alloc(allocator_, 64);
        fa_pool_free_sized(allocator_, block, 64);
        ASSERT_EQ(fa_task_capture_begin(task), FA_OK);
        ASSERT_NE(fa_pool_alloc(allocator_, 64), nullptr);
    });
    EXPECT_EQ(TaskStats(task).captured_count, 2u);
    OnThread([&] { // with the same state
        void *block = fa_pool_alloc(allocator_, 64);
        fa_pool_free_sized(allocator_, block, 64);
    });
    EXPECT_EQ(TaskStats(task).captured_count, 2u);
    EXPECT_EQ(fa_task_end(task), FA_OK);
    EXPECT_EQ(PoolLive(), 0u);
}

TEST_P(Capture, WhatTheLibraryKeepsIsNotCaptured) {
    const fa_task task = Begin();
    ASSERT_EQ(fa_task_capture_begin(task), FA_OK);
    void *shared = fa_shared_alloc(allocator_, 100, 64, nullptr);
    const fa_group group = fa_group_create(allocator_, "group");
    void *member = fa_group_alloc(group, 50);
    fa_transfer transfer;
    char text[400] = "sent";
    EXPECT_EQ(fa_transfer_make(allocator_, text, sizeof text, 16, &transfer), FA_OK);
    void *own = fa_task_alloc(task, 50);
    EXPECT_EQ(TaskStats(task).captured_count, 0u);
    EXPECT_EQ(fa_task_capture_end(task), FA_OK);
    memset(shared, 1, 100);
    memset(member, 1, 50);
    memset(own, 1, 50);
    EXPECT_EQ(fa_task_end(task), FA_OK);
    EXPECT_TRUE(IsFilled(shared, 1, 100));
    EXPECT_TRUE(IsFilled(member, 1, 50));
    fa_received received;
    EXPECT_EQ(fa_transfer_receive(allocator_, transfer, &received), FA_OK);
    EXPECT_STREQ(static_cast<char *>(received.object), "sent");
    fa_pool_free(allocator_, received.object);
    EXPECT_EQ(fa_group_free(group), FA_OK);
    (void)fa_shared_release(allocator_, shared);
}

// Destructors of captured objects free what else was captured.
struct Tree {
    fa_allocator *allocator;
    Tree *child;
};

TEST_P(Capture, DestructorsMayFreeWhatWasCaptured) {
    const fa_task task = Begin();
    auto *root = static_cast<Tree *>(fa_task_alloc_with(task, sizeof(Tree), [](void *object) {
        const auto *tree = static_cast<Tree *>(object);
        fa_pool_free(tree->allocator, tree->child->child);
        fa_pool_free(tree->allocator, tree->child);
    }));
    ASSERT_EQ(fa_task_capture_begin(task), FA_OK);
    root->allocator = allocator_;
    root->child = fa_pool_new(allocator_, Tree);
    root->child->child = fa_pool_new(allocator_, Tree);
    ASSERT_NE(fa_pool_alloc(allocator_, 10), nullptr);
    EXPECT_EQ(fa_task_capture_end(task), FA_OK);
    EXPECT_EQ(fa_task_end(task), FA_OK);
    EXPECT_EQ(events_.all.size(), 0u);
    EXPECT_EQ(PoolLive(), 0u);
}

TEST_P(Capture, ScopesOfCAndCpp) {
    const fa_task task = Begin();
    {
        fa::capture_scope scope(task);
        EXPECT_EQ(scope.status(), FA_OK);
        std::vector<int, fa::pool_allocator<int>> numbers{fa::pool_allocator<int>(allocator_)};
        for (int i = 0; i < 1000; i++)
            numbers.push_back(i);
        EXPECT_EQ(TaskStats(task).captured_count, 1u);
    }
    EXPECT_EQ(TaskStats(task).captured_count, 0u) << "freed by its owner";
    {
        fa_task_capture_scope(task, capture);
        EXPECT_EQ(capture.status, FA_OK);
        EXPECT_NE(fa_pool_alloc(allocator_, 10), nullptr);
        fa_task_scope(allocator_, "inner", inner);
        fa_task_capture_scope(inner, other);
        EXPECT_NE(fa_pool_alloc(allocator_, 10), nullptr);
        EXPECT_EQ(fa_task_count(allocator_), 2u);
    }
    EXPECT_EQ(fa_task_count(allocator_), 1u);
    EXPECT_EQ(TaskStats(task).captured_count, 1u);
    EXPECT_EQ(fa_task_end(task), FA_OK);
    {
        fa::capture_scope late(task);
        EXPECT_EQ(late.status(), FA_ERROR_FOREIGN);
        fa_task_capture_scope(task, later);
        EXPECT_EQ(later.status, FA_ERROR_FOREIGN);
        void *block = fa_pool_alloc(allocator_, 10);
        EXPECT_NE(block, nullptr);
        fa_pool_free(allocator_, block);
    }
}

TEST_P(Capture, BudgetsAndSeals) {
    const fa_task task = Begin();
    ASSERT_EQ(fa_task_capture_begin(task), FA_OK);
    ASSERT_NE(fa_pool_alloc(allocator_, 100), nullptr);
    fa_budget budget = {};
    budget.hard_bytes = Stats(allocator_).pool_live_bytes + 10000;
    ASSERT_EQ(fa_budget_set(allocator_, FA_INTENT_POOL, &budget), FA_OK);
    size_t count = 1;
    while (fa_pool_alloc(allocator_, 500) != nullptr)
        count++;
    EXPECT_EQ(fa_last_error().status, FA_ERROR_LIMIT);
    EXPECT_LT(count, 40u);
    budget.policy = FA_BUDGET_PROMOTE;
    ASSERT_EQ(fa_budget_set(allocator_, FA_INTENT_POOL, &budget), FA_OK);
    void *promoted = fa_pool_alloc(allocator_, 500);
    ASSERT_NE(promoted, nullptr);
    count++;
    EXPECT_EQ(TaskStats(task).captured_count, count);
    EXPECT_GE(fa_usable_size(allocator_, promoted), 500u);
    fa_pool_free_sized(allocator_, promoted, 500);
    EXPECT_EQ(TaskStats(task).captured_count, count - 1);
    EXPECT_NE(fa_pool_alloc(allocator_, 500), nullptr);
    fa_backend_seal(allocator_);
    EXPECT_EQ(fa_pool_alloc(allocator_, 50000000), nullptr);
    EXPECT_EQ(fa_last_error().status, FA_ERROR_SEALED);
    EXPECT_EQ(fa_task_capture_end(task), FA_OK);
    EXPECT_EQ(fa_task_end(task), FA_OK);
}

TEST_P(Capture, ARefusedFreeLeavesItCaptured) {
    config_.deferred.count_max = 1;
    config_.deferred.full = FA_DEFERRED_FULL_FAIL;
    Create();
    if (GetParam() != 0 || kAsan)
        return; // then nothing waits
    const fa_task task = Begin();
    void *blocks[2];
    ASSERT_EQ(fa_task_capture_begin(task), FA_OK);
    ASSERT_EQ(fa_pool_alloc_batch(allocator_, 64, 2, blocks), FA_OK);
    EXPECT_EQ(fa_task_capture_end(task), FA_OK);
    OnThread([&] {
        EXPECT_EQ(fa_deferred_free(allocator_, blocks[0]), FA_OK);
        EXPECT_EQ(fa_deferred_free(allocator_, blocks[1]), FA_ERROR_FULL);
    });
    EXPECT_EQ(TaskStats(task).captured_count, 1u);
    EXPECT_EQ(fa_task_end(task), FA_OK);
}

TEST_P(Capture, DiesWithTheAllocator) {
    for (int i = 0; i < 5; i++) {
        const fa_task task = Begin();
        ASSERT_EQ(fa_task_capture_begin(task), FA_OK);
        ASSERT_NE(fa_pool_alloc(allocator_, 64), nullptr);
        ASSERT_NE(fa_pool_alloc(allocator_, 100000), nullptr);
    }
    EXPECT_EQ(fa_allocator_destroy(allocator_), 0u) << "no leak";
    allocator_ = nullptr;
}

TEST_P(Capture, FreedObjectsMustNotBeTouched) {
    if (!kAsan)
        GTEST_SKIP();
    const fa_task task = Begin();
    ASSERT_EQ(fa_task_capture_begin(task), FA_OK);
    volatile char *block = static_cast<char *>(fa_pool_alloc(allocator_, 20));
    EXPECT_DEATH(block[20] = 1, "poison");
    EXPECT_EQ(fa_task_capture_end(task), FA_OK);
    EXPECT_EQ(fa_task_end(task), FA_OK);
    EXPECT_DEATH(block[0] = 1, "use-after-poison");
}

TEST_P(Capture, ChildrenOfAForkGoOn) {
    const fa_task task = Begin();
    ASSERT_EQ(fa_task_capture_begin(task), FA_OK);
    void *block = fa_pool_alloc(allocator_, 64);
    std::atomic<bool> stop{false};
    std::thread busy([&] {
        const fa_task own = fa_task_begin(allocator_, "busy");
        while (!stop) {
            void *made = fa_task_alloc(own, 64);
            EXPECT_EQ(fa_task_free(own, made), FA_OK);
            if (fa_task_capture_begin(own) == FA_OK) {
                fa_pool_free(allocator_, fa_pool_alloc(allocator_, 64));
                (void)fa_task_capture_end(own);
            }
        }
        EXPECT_EQ(fa_task_end(own), FA_OK);
    });
    for (int i = 0; i < 20; i++) {
        InChild([&]() -> int {
            CHILD_EXPECT(fa_pool_alloc(allocator_, 64) != nullptr);
            fa_pool_free(allocator_, block);
            CHILD_EXPECT(fa_task_capture_end(task) == FA_OK);
            CHILD_EXPECT(fa_task_end(task) == FA_OK && fa_task_count(allocator_) <= 1);
            return 0;
        });
    }
    stop = true;
    busy.join();
    EXPECT_EQ(fa_task_capture_end(task), FA_OK);
    EXPECT_EQ(fa_task_end(task), FA_OK);
}

// Threads allocate under captures of their own tasks, and free what others captured.
TEST_P(Capture, ManyThreads) {
    constexpr size_t kThreads = 4, kRounds = 200;
    std::atomic<void *> box[64] = {};
    std::vector<fa_task> tasks;
    for (size_t i = 0; i < kThreads; i++)
        tasks.push_back(Begin());
    std::vector<std::thread> threads;
    for (size_t i = 0; i < kThreads; i++)
        threads.emplace_back([&, i] {
            for (size_t round = 0; round < kRounds; round++) {
                EXPECT_EQ(fa_task_capture_begin(tasks[i]), FA_OK);
                for (size_t n = 0; n < 16; n++) {
                    void *block = fa_pool_alloc(allocator_, 20 + 16 * n);
                    ASSERT_NE(block, nullptr);
                    memset(block, 1, 20 + 16 * n);
                    fa_pool_free(allocator_, box[(round * 7 + n * 5 + i) % 64].exchange(block));
                }
                EXPECT_EQ(fa_task_capture_end(tasks[i]), FA_OK);
            }
        });
    for (std::thread &thread : threads)
        thread.join();
    size_t live = 0;
    for (fa_task task : tasks) {
        live += TaskStats(task).captured_count;
        EXPECT_EQ(fa_task_end(task), FA_OK);
    }
    size_t boxed = 0;
    for (auto &slot : box)
        boxed += slot != nullptr;
    EXPECT_EQ(live, boxed);
    EXPECT_EQ(events_.all.size(), 0u);
    EXPECT_EQ(PoolLive(), 0u);
}

FA_TESTING_CHECKS(Capture);

} // namespace
