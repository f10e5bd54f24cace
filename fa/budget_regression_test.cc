// Budgets: what must not show in usage, peaks and events, and what a refusal must leave alone.
#include "fa/testing_budgets.hpp"

#include <atomic>
#include <memory>

using namespace fa_testing;

INSTANTIATE_TEST_SUITE_P(All, Budget, testing::ValuesIn(kBudgetKinds), BudgetKindName);

// ---- peaks ----

TEST_P(Budget, WhatWasNeverHeldIsNoPeak) {
    for (bool limited : {false, true}) {
        Allocator allocator(Config());
        fa_budget budget = {};
        budget.soft_bytes = 1000;
        budget.report_peaks = true;
        if (limited) {
            ASSERT_EQ(fa_budget_set(allocator, FA_INTENT_HEAP, &budget), FA_OK);
        }
        EXPECT_EQ(fa_heap_alloc(allocator, size_t{1} << 46), nullptr);
        void *block = fa_heap_alloc(allocator, 100);
        EXPECT_EQ(fa_heap_realloc(allocator, block, size_t{1} << 46), nullptr);
        EXPECT_EQ(Usage(allocator, FA_INTENT_HEAP).peak, 100u);
        EXPECT_EQ(Usage(allocator, kTotal).peak, 100u);
        EXPECT_EQ(events_.Count(FA_DIAG_FA303), 0u);
        if (limited) {
            EXPECT_EQ(events_.Last(FA_DIAG_FA304).size, 100u);
        }
        fa_heap_free(allocator, block);
    }
}

TEST_P(Budget, OfAThreadKeepsTheTagFromBeingChargedInVain) {
    Allocator allocator(Config());
    const size_t object = ClassBytes(allocator, 128);
    const fa_tag ai = fa_tag_intern(allocator, "ai");
    fa_budget soft = {};
    soft.soft_bytes = object;
    soft.report_peaks = true;
    const fa_budget hard = Hard(object);
    ASSERT_EQ(fa_budget_set_tag(allocator, ai, FA_INTENT_POOL, &soft), FA_OK);
    ASSERT_EQ(fa_budget_set_thread(allocator, FA_INTENT_POOL, &hard), FA_OK);
    EXPECT_EQ(fa_tag_enter(allocator, ai), FA_OK);
    void *block = fa_pool_alloc(allocator, 128);
    EXPECT_NE(block, nullptr);
    EXPECT_REFUSED(fa_pool_alloc(allocator, 128));
    EXPECT_EQ(Usage(allocator, FA_INTENT_POOL, ai).peak, object);
    EXPECT_EQ(events_.Count(FA_DIAG_FA303), 0u);
    EXPECT_EQ(events_.Last(FA_DIAG_FA304).size, object);
    fa_pool_free(allocator, block);
    ASSERT_EQ(fa_budget_set_thread(allocator, FA_INTENT_FRAME, &hard), FA_OK);
    ASSERT_EQ(fa_budget_set_tag(allocator, ai, FA_INTENT_FRAME, &soft), FA_OK);
    ASSERT_NE(fa_frame_begin(allocator), nullptr);
    EXPECT_REFUSED(fa_frame_alloc(allocator, 9 * object));
    EXPECT_EQ(Usage(allocator, FA_INTENT_FRAME, ai).peak, 0u);
    EXPECT_EQ(events_.Count(FA_DIAG_FA303), 0u);
    EXPECT_EQ(fa_frame_end(allocator), FA_OK);
    EXPECT_EQ(fa_tag_leave(allocator), FA_OK);
}

// The hook gives back what was just charged for: the object that is asked for stays the caller's.
TEST_P(Budget, HooksMayEmptyWhatWasRefilled) {
    fa_alloc_config config = Config();
    struct State {
        fa_allocator *allocator = nullptr;
        size_t calls = 0;
    } state;
    config.on_event = [](void *user, const fa_event *) {
        State *self = static_cast<State *>(user);
        self->calls++;
        if (self->allocator != nullptr)
            fa_allocator_trim(self->allocator);
    };
    config.on_event_user = &state;
    Allocator allocator(config);
    state.allocator = allocator;
    fa_budget budget = {};
    budget.soft_bytes = 600;
    ASSERT_EQ(fa_budget_set(allocator, FA_INTENT_POOL, &budget), FA_OK);
    std::vector<char *> blocks;
    for (size_t i = 0; i < 100; i++) {
        blocks.push_back(static_cast<char *>(fa_pool_alloc(allocator, 64)));
        ASSERT_NE(blocks.back(), nullptr);
        Paint(blocks.back(), i, 64);
    }
    EXPECT_GT(state.calls, 0u);
    for (size_t i = 0; i < blocks.size(); i++) {
        EXPECT_TRUE(IsPainted(blocks[i], i, 64));
        fa_pool_free(allocator, blocks[i]);
    }
    ExpectValid(allocator);
    state.allocator = nullptr;
}

// ---- what a refusal leaves alone ----

TEST(BudgetReady, IsKeptWhereItMakesNoRoom) {
    Allocator allocator{Plain()};
    const fa_tag ai = fa_tag_intern(allocator, "ai"), ui = fa_tag_intern(allocator, "ui");
    for (fa_tag tag : {FA_TAG_ROOT, ai}) {
        EXPECT_EQ(fa_tag_enter(allocator, tag), FA_OK);
        fa_pool_free(allocator, fa_pool_alloc(allocator, 64));
        EXPECT_EQ(fa_tag_leave(allocator), FA_OK);
    }
    const size_t ready = Used(allocator, FA_INTENT_POOL);
    if (ready == 0)
        GTEST_SKIP() << "a sanitizer: nothing is kept ready";
    const fa_budget none = Hard(1);
    ASSERT_EQ(fa_budget_set(allocator, FA_INTENT_HEAP, &none), FA_OK);
    ASSERT_EQ(fa_budget_set(allocator, FA_INTENT_FRAME, &none), FA_OK);
    ASSERT_EQ(fa_budget_set_tag(allocator, ui, FA_INTENT_POOL, &none), FA_OK);
    EXPECT_REFUSED(fa_heap_alloc(allocator, 10));
    ASSERT_NE(fa_frame_begin(allocator), nullptr);
    EXPECT_REFUSED(fa_frame_alloc(allocator, 10));
    EXPECT_EQ(fa_frame_end(allocator), FA_OK);
    EXPECT_EQ(fa_tag_enter(allocator, ui), FA_OK);
    EXPECT_REFUSED(fa_pool_alloc(allocator, 10));
    EXPECT_EQ(fa_tag_leave(allocator), FA_OK);
    EXPECT_EQ(Used(allocator, FA_INTENT_POOL), ready);
    ASSERT_EQ(fa_budget_set_tag(allocator, ai, kTotal, &none), FA_OK);
    EXPECT_EQ(fa_tag_enter(allocator, ai), FA_OK);
    EXPECT_REFUSED(fa_heap_alloc_aligned(allocator, 10, 16));
    EXPECT_EQ(fa_tag_leave(allocator), FA_OK);
    EXPECT_EQ(Used(allocator, FA_INTENT_POOL, ai), 0u) << "here it might have";
    EXPECT_GT(Used(allocator, FA_INTENT_POOL), 0u);
}

// ---- asking once ----

TEST_P(Budget, AReallocIsDecidedOnce) {
    Allocator allocator(Config());
    void *block = fa_heap_alloc(allocator, 1000), *behind = fa_heap_alloc(allocator, 1000);
    Asked asked;
    asked.body = [](const fa_budget_request &) { return FA_BUDGET_ANSWER_ALLOW; };
    fa_budget budget = asked.Budget(2000);
    ASSERT_EQ(fa_budget_set(allocator, FA_INTENT_HEAP, &budget), FA_OK);
    block = fa_heap_realloc(allocator, block, 100000);
    EXPECT_NE(block, nullptr);
    EXPECT_EQ(asked.all.size(), 1u);
    EXPECT_EQ(Usage(allocator, FA_INTENT_HEAP).allowed_count, 1u);
    budget = Hard(2000, FA_BUDGET_WARN);
    ASSERT_EQ(fa_budget_set(allocator, FA_INTENT_HEAP, &budget), FA_OK);
    behind = fa_heap_realloc(allocator, behind, 5000000);
    EXPECT_NE(behind, nullptr);
    EXPECT_EQ(Usage(allocator, FA_INTENT_HEAP).allowed_count, 2u);
    fa_heap_free(allocator, block);
    fa_heap_free(allocator, behind);
    EXPECT_EQ(Used(allocator, kTotal), 0u);
}

// ---- other threads ----

TEST(BudgetSet, WaitsForTheAskThatItReplaces) {
    Allocator allocator{Plain()};
    auto state = std::make_unique<Asked>();
    std::atomic<bool> inside{false}, is_set{false};
    state->body = [&](const fa_budget_request &) {
        inside = true;
        for (int i = 0; i < 2000 && !is_set; i++)
            std::this_thread::yield();
        EXPECT_FALSE(is_set) << "user could be gone";
        return FA_BUDGET_ANSWER_FAIL;
    };
    fa_budget budget = state->Budget(10);
    ASSERT_EQ(fa_budget_set(allocator, FA_INTENT_HEAP, &budget), FA_OK);
    std::thread other([&] { EXPECT_REFUSED(fa_heap_alloc(allocator, 100)); });
    while (!inside)
        std::this_thread::yield();
    budget.hard_bytes = 20; /* the same ask: nothing to wait for */
    EXPECT_EQ(fa_budget_set(allocator, FA_INTENT_HEAP, &budget), FA_OK);
    EXPECT_EQ(fa_budget_set(allocator, FA_INTENT_HEAP, nullptr), FA_OK);
    is_set = true;
    state.reset();
    other.join();
}

TEST(BudgetSet, TwoAsksMayReplaceEachOther) {
    Allocator allocator{Plain()};
    Asked one, two;
    std::atomic<int> inside{0};
    const auto meet = [&](fa_intent other) {
        inside++;
        while (inside < 2)
            std::this_thread::yield();
        EXPECT_EQ(fa_budget_set(allocator, other, nullptr), FA_OK);
        return FA_BUDGET_ANSWER_FAIL;
    };
    one.body = [&](const fa_budget_request &) { return meet(FA_INTENT_POOL); };
    two.body = [&](const fa_budget_request &) { return meet(FA_INTENT_HEAP); };
    const fa_budget heap = one.Budget(10), pool = two.Budget(10);
    ASSERT_EQ(fa_budget_set(allocator, FA_INTENT_HEAP, &heap), FA_OK);
    ASSERT_EQ(fa_budget_set(allocator, FA_INTENT_POOL, &pool), FA_OK);
    std::thread other([&] { EXPECT_REFUSED(fa_pool_alloc(allocator, 100)); });
    EXPECT_REFUSED(fa_heap_alloc(allocator, 100));
    other.join();
}

// Threads that only allocate, while a first limit refuses everything: what is in use when the call
// has returned is all that there will ever be.
TEST(BudgetSet, NothingUnderWayPassesTheLimit) {
    for (size_t round = 0; round < Rounds(60); round++) {
        fa_alloc_config config = Plain(fa_alloc_config_minimal());
        config.on_event = nullptr;
        Allocator allocator(config);
        std::atomic<bool> stop{false};
        std::atomic<size_t> ready{0};
        std::vector<std::vector<void *>> blocks(3);
        std::vector<std::thread> threads;
        for (std::vector<void *> &mine : blocks)
            threads.emplace_back([&] {
                ready++;
                for (void *block; !stop && (block = fa_heap_alloc(allocator, 16)) != nullptr;)
                    mine.push_back(block);
            });
        while (ready < blocks.size())
            std::this_thread::yield();
        const fa_budget budget = Hard(1);
        EXPECT_EQ(fa_budget_set(allocator, FA_INTENT_HEAP, &budget), FA_OK);
        const size_t used = Used(allocator, FA_INTENT_HEAP);
        stop = round % 2 != 0;
        for (std::thread &thread : threads)
            thread.join();
        EXPECT_LE(Used(allocator, FA_INTENT_HEAP), used);
        for (const std::vector<void *> &mine : blocks)
            for (void *block : mine)
                fa_heap_free(allocator, block);
        EXPECT_EQ(Used(allocator, kTotal), 0u);
    }
}
