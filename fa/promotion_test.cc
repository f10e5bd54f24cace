// Frame blocks that a budget sends on: what they promise, and what programs do wrong with them.
#include "fa/testing_budgets.hpp"

#include <thread>

using namespace fa_testing;

INSTANTIATE_TEST_SUITE_P(All, Budget, testing::ValuesIn(kBudgetKinds), BudgetKindName);

namespace {

void Limit(fa_allocator *allocator, fa_intent intent, const fa_budget &budget) {
    ASSERT_EQ(fa_budget_set(allocator, intent, &budget), FA_OK);
}

// Writes past the end of a block as long as that stays within its memory.
void Overstep(void *block, size_t size, size_t bytes) {
    volatile char *end = static_cast<char *>(block) + size;
    for (size_t i = 0; i < bytes; i++)
        end[i] = 'x';
}

// Whether a write past the end is seen by the library, and by no sanitizer before it.
bool SeesGuards(const Kind &kind) {
    return !kAsan && !kTsan && (kind.checks & FA_CHECK_GUARD) != 0;
}

// Whether the next allocation of a size takes the fast path.
bool IsOpen(size_t size) {
    const fai_magazine *magazine = fai_slot.view->magazine_of_bin[(size + 15) >> FAI_BIN_SHIFT];
    return magazine->capacity != 0;
}

} // namespace

TEST_P(Budget, WritingPastAPromotedBlockIsFound) {
    Allocator allocator(Config());
    Limit(allocator, FA_INTENT_FRAME, Hard(16, FA_BUDGET_PROMOTE));
    for (size_t size : {size_t{96}, size_t{8000}}) {
        ASSERT_NE(fa_frame_begin(allocator), nullptr);
        void *block = fa_frame_alloc(allocator, size);
        ASSERT_NE(fa_intent_of(allocator, block), FA_INTENT_FRAME);
        if (SeesGuards(GetParam())) {
            EXPECT_DEATH(
                {
                    Overstep(block, size, 16);
                    (void)fa_frame_end(allocator);
                    (void)fa_thread_detach(allocator);
                },
                "FA604");
        }
        EXPECT_EQ(fa_frame_end(allocator), FA_OK);
    }
}

TEST_P(Budget, WhatAPromotedBlockDoesNotUseIsNobodyElses) {
    Allocator allocator(Config());
    Limit(allocator, FA_INTENT_FRAME, Hard(16, FA_BUDGET_PROMOTE));
    ASSERT_NE(fa_frame_begin(allocator), nullptr);
    for (size_t size : {size_t{90}, size_t{130}, size_t{5000}, size_t{8000}}) {
        void *block = fa_frame_alloc(allocator, size);
        memset(block, 'x', fa_usable_size(allocator, block));
    }
    EXPECT_EQ(fa_frame_end(allocator), FA_OK);
    EXPECT_EQ(fa_thread_detach(allocator), FA_OK);
    EXPECT_EQ(Stats(allocator).pool_live_count, 0u);
    EXPECT_EQ(Stats(allocator).heap_live_count, 0u);
}

TEST_P(Budget, APromotedBlockTakesNoMoreThanItsSize) {
    Allocator allocator(Config());
    Limit(allocator, FA_INTENT_FRAME, Hard(16, FA_BUDGET_PROMOTE));
    ASSERT_NE(fa_frame_begin(allocator), nullptr);
    ASSERT_NE(fa_frame_alloc(allocator, 9000), nullptr);
    EXPECT_EQ(Used(allocator, FA_INTENT_HEAP), 9000u);
    EXPECT_EQ(fa_frame_end(allocator), FA_OK);
}

TEST_P(Budget, GrowingAPromotedBlockChecksItsOldSize) {
    Allocator allocator(Config());
    Limit(allocator, FA_INTENT_FRAME, Hard(16, FA_BUDGET_PROMOTE));
    ASSERT_NE(fa_frame_begin(allocator), nullptr);
    char *block = static_cast<char *>(fa_frame_alloc(allocator, 100));
    Paint(block, 3, 100);
    const auto refused = [&](void *bad, size_t size_old) {
        fa_last_error_clear();
        EXPECT_EQ(fa_frame_grow(allocator, bad, size_old, 8000), nullptr);
        EXPECT_EQ(fa_last_error().diag, FA_DIAG_FA002);
    };
    refused(block, 4000);
    refused(block, 101);
    refused(block + 16, 16);
    char *grown = static_cast<char *>(fa_frame_grow(allocator, block, 100, 8000));
    ASSERT_NE(grown, nullptr);
    EXPECT_TRUE(IsPainted(grown, 3, 100));
    EXPECT_EQ(fa_frame_grow(allocator, grown, 8000, 300), grown);
    refused(grown, 8000);
    EXPECT_NE(fa_frame_grow(allocator, grown, 300, 9000), nullptr);
    EXPECT_EQ(fa_frame_end(allocator), FA_OK);
    fa_last_error_clear();
    EXPECT_EQ(fa_frame_grow(allocator, grown, 8000, 9000), nullptr);
    EXPECT_EQ(fa_last_error().diag, FA_DIAG_FA001);
}

// The hook's first use of another allocator attaches, which takes the registry's lock.
TEST_P(Budget, WhatIsFoundAtThreadExitCallsNoHookUnderALock) {
    Allocator other{Plain()};
    for (bool detaches : {true, false}) {
        fa_alloc_config config = Config();
        struct User {
            fa_allocator *other;
            int calls;
        } user = {other, 0};
        config.on_event_user = &user;
        config.on_event = [](void *pointer, const fa_event *event) {
            auto *self = static_cast<User *>(pointer);
            EXPECT_EQ(fa_thread_attach(self->other), FA_OK);
            EXPECT_EQ(fa_thread_detach(self->other), FA_OK);
            self->calls += event->diag == FA_DIAG_FA601;
        };
        Allocator allocator(config);
        Limit(allocator, FA_INTENT_FRAME, Hard(16, FA_BUDGET_PROMOTE));
        std::thread([&] {
            ASSERT_NE(fa_frame_begin(allocator), nullptr);
            fa_heap_free(allocator, fa_frame_alloc(allocator, 8000)); /* not its to free */
            if (detaches) {
                EXPECT_EQ(fa_thread_detach(allocator), FA_OK);
            }
        }).join();
        EXPECT_EQ(Stats(allocator).diag_count[FA_DIAG_FA601], 1u);
        EXPECT_EQ(user.calls, detaches ? 1 : 0) << "at thread exit it is only counted";
        EXPECT_EQ(fa_thread_count(allocator), 0u);
    }
}

TEST_P(Budget, PromotedObjectsCloseTheFastPathOnlyWhileTheyLive) {
    Allocator allocator(Config());
    if (GetParam().checks != 0)
        GTEST_SKIP() << "there is no fast path";
    void *first = fa_pool_alloc(allocator, 100);
    const bool open = IsOpen(100); /* not with a sanitizer */
    Limit(allocator, FA_INTENT_POOL, Hard(1, FA_BUDGET_PROMOTE));
    std::vector<void *> taken;
    for (int i = 0;
         i < 5000 && (taken.empty() || fa_intent_of(allocator, taken.back()) != FA_INTENT_HEAP);
         i++)
        taken.push_back(fa_pool_alloc(allocator, 100));
    ASSERT_EQ(fa_intent_of(allocator, taken.back()), FA_INTENT_HEAP);
    void *second = fa_pool_alloc(allocator, 100);
    EXPECT_EQ(fa_intent_of(allocator, second), FA_INTENT_HEAP);
    EXPECT_FALSE(IsOpen(100));
    ASSERT_EQ(fa_budget_set(allocator, FA_INTENT_POOL, nullptr), FA_OK);
    fa_pool_free_sized(allocator, taken.back(), 100);
    taken.back() = fa_pool_alloc(allocator, 100);
    EXPECT_EQ(fa_intent_of(allocator, taken.back()), FA_INTENT_POOL);
    EXPECT_FALSE(IsOpen(100)) << "one is alive";
    fa_heap_free(allocator, fa_heap_realloc(allocator, second, 5000)); /* whichever size it had */
    taken.push_back(fa_pool_alloc(allocator, 100));
    EXPECT_EQ(IsOpen(100), open);
    taken.push_back(first);
    for (void *block : taken)
        fa_pool_free_sized(allocator, block, 100);
    EXPECT_EQ(Stats(allocator).pool_live_count, 0u);
    ExpectValid(allocator);
}

TEST_P(Budget, PromotedFrameBlocksCloseNoFastPath) {
    Allocator allocator(Config());
    void *object = fa_pool_alloc(allocator, 100);
    const bool open = IsOpen(100);
    Limit(allocator, FA_INTENT_FRAME, Hard(16, FA_BUDGET_PROMOTE));
    Limit(allocator, FA_INTENT_POOL, Hard(16, FA_BUDGET_PROMOTE));
    ASSERT_NE(fa_frame_begin(allocator), nullptr);
    void *block = nullptr;
    for (int i = 0; i < 5000 && fa_intent_of(allocator, block) != FA_INTENT_HEAP; i++)
        block = fa_frame_alloc(allocator, 100);
    EXPECT_EQ(fa_intent_of(allocator, block), FA_INTENT_HEAP);
    EXPECT_EQ(IsOpen(100), open);
    EXPECT_EQ(fa_frame_end(allocator), FA_OK);
    fa_pool_free_sized(allocator, object, 100);
}

TEST_P(Budget, APromotedFrameBlockStaysWithinThePoolsBudget) {
    Allocator allocator(Config());
    Limit(allocator, FA_INTENT_FRAME, Hard(16, FA_BUDGET_PROMOTE));
    Limit(allocator, FA_INTENT_POOL, Hard(64));
    ASSERT_NE(fa_frame_begin(allocator), nullptr);
    for (int i = 0; i < 10; i++)
        EXPECT_REFUSED(fa_frame_alloc(allocator, 100));
    EXPECT_EQ(Usage(allocator, FA_INTENT_POOL).refused_count, 10u);
    EXPECT_EQ(Stats(allocator).heap_live_count, 0u);
    void *big = fa_frame_alloc(allocator, 9000);
    EXPECT_EQ(fa_intent_of(allocator, big), FA_INTENT_HEAP) << "the pool has no class for it";
    EXPECT_EQ(fa_frame_end(allocator), FA_OK);
}

TEST_P(Budget, TotalsPromoteNothing) {
    Allocator allocator(Config());
    Asked asked;
    asked.body = [](const fa_budget_request &) { return FA_BUDGET_ANSWER_PROMOTE; };
    Limit(allocator, kTotal, asked.Budget(1));
    ASSERT_NE(fa_frame_begin(allocator), nullptr);
    EXPECT_REFUSED(fa_frame_alloc(allocator, 100));
    EXPECT_EQ(asked.all.size(), 1u) << "nobody else was to serve it";
    EXPECT_REFUSED(fa_pool_alloc(allocator, 100));
    EXPECT_EQ(Usage(allocator, kTotal).promoted_count, 0u);
    EXPECT_EQ(Usage(allocator, kTotal).refused_count, 2u);
    EXPECT_EQ(fa_frame_end(allocator), FA_OK);
}
