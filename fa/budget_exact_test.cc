// Budgets: a request is charged to tag and thread in one attempt, and nothing is reported or
// decided because of memory that nobody uses.
#include "fa/testing_budgets.hpp"

#include <atomic>

using namespace fa_testing;

INSTANTIATE_TEST_SUITE_P(All, Budget, testing::ValuesIn(kBudgetKinds), BudgetKindName);

// ---- one attempt ----

// A thread that its own budget refuses, again and again, takes nothing from the others meanwhile.
TEST_P(Budget, DoomedRequestsRefuseNobodyElse) {
    fa_alloc_config config = Config();
    config.on_event = nullptr;
    Allocator allocator(config);
    const fa_budget total = Hard(128 << 10), own = Hard(512);
    ASSERT_EQ(fa_budget_set(allocator, kTotal, &total), FA_OK);
    std::atomic<bool> ready{false}, stop{false};
    std::thread doomed([&] {
        EXPECT_EQ(fa_budget_set_thread(allocator, FA_INTENT_POOL, &own), FA_OK);
        EXPECT_EQ(fa_budget_set_thread(allocator, FA_INTENT_FRAME, &own), FA_OK);
        EXPECT_NE(fa_frame_begin(allocator), nullptr);
        ready = true;
        while (!stop) {
            EXPECT_REFUSED(fa_pool_alloc(allocator, 2048));
            EXPECT_REFUSED(fa_frame_alloc(allocator, 120 << 10));
        }
        EXPECT_EQ(fa_frame_end(allocator), FA_OK);
    });
    while (!ready)
        std::this_thread::yield();
    size_t refused = 0;
    for (size_t i = 0; i < Rounds(100000); i++) {
        void *block = fa_heap_alloc(allocator, 1000);
        refused += block == nullptr;
        fa_heap_free(allocator, block);
    }
    stop = true;
    doomed.join();
    EXPECT_EQ(refused, 0u);
    EXPECT_EQ(Usage(allocator, kTotal).peak, 1000u);
}

TEST_P(Budget, NothingIsChargedWhileAThreadIsAsked) {
    Allocator allocator(Config());
    const fa_tag ai = fa_tag_intern(allocator, "ai");
    Asked asked;
    asked.body = [&](const fa_budget_request &request) {
        EXPECT_EQ(request.tag, FA_TAG_NONE);
        EXPECT_EQ(Used(allocator, kTotal), 0u);
        EXPECT_EQ(Used(allocator, kTotal, ai), 0u);
        void *block = fa_heap_alloc(allocator, 90000);
        EXPECT_NE(block, nullptr) << "nothing is in use";
        fa_heap_free(allocator, block);
        return FA_BUDGET_ANSWER_FAIL;
    };
    const fa_budget total = Hard(90000), own = asked.Budget(16);
    ASSERT_EQ(fa_budget_set(allocator, kTotal, &total), FA_OK);
    for (fa_intent intent : {FA_INTENT_POOL, FA_INTENT_FRAME})
        ASSERT_EQ(fa_budget_set_thread(allocator, intent, &own), FA_OK);
    EXPECT_EQ(fa_tag_enter(allocator, ai), FA_OK);
    EXPECT_REFUSED(fa_pool_alloc(allocator, 2048));
    ASSERT_NE(fa_frame_begin(allocator), nullptr);
    EXPECT_REFUSED(fa_frame_alloc(allocator, 40000));
    EXPECT_EQ(fa_frame_end(allocator), FA_OK);
    EXPECT_EQ(fa_tag_leave(allocator), FA_OK);
    EXPECT_EQ(asked.all.size(), 2u);
    EXPECT_EQ(Usage(allocator, kTotal).peak, 90000u);
}

// ---- charged in advance ----

// Soft limits and those that serve are passed by what was asked for, to the byte.
TEST_P(Budget, WhatIsTakenInAdvancePassesNoLimit) {
    for (fa_intent intent : {FA_INTENT_FRAME, FA_INTENT_POOL})
        for (fa_budget_policy policy : {FA_BUDGET_FAIL, FA_BUDGET_WARN, FA_BUDGET_ALLOW})
            for (bool of_thread : {false, true}) {
                Allocator allocator(Config());
                const size_t bytes = intent == FA_INTENT_POOL ? ClassBytes(allocator, 64)
                                                              : FrameBytes(allocator, 64);
                const size_t limit = 100 * bytes, count = 130;
                fa_budget budget = Hard(policy == FA_BUDGET_FAIL ? 0 : limit, policy);
                budget.soft_bytes = policy == FA_BUDGET_FAIL ? limit : 0;
                ASSERT_EQ(of_thread ? fa_budget_set_thread(allocator, intent, &budget)
                                    : fa_budget_set(allocator, intent, &budget),
                          FA_OK);
                const fa_diag diag = policy == FA_BUDGET_FAIL ? FA_DIAG_FA303 : FA_DIAG_FA302;
                const size_t before = events_.Count(diag);
                fa_frame *frame = fa_frame_begin(allocator);
                ASSERT_NE(frame, nullptr);
                std::vector<void *> blocks;
                for (size_t i = 1; i <= count; i++) {
                    blocks.push_back(intent == FA_INTENT_POOL ? fa_pool_alloc(allocator, 64)
                                                              : fa_frame_alloc_in(frame, 64));
                    ASSERT_NE(blocks.back(), nullptr);
                    const bool reported = i > 100 && policy != FA_BUDGET_ALLOW;
                    ASSERT_EQ(events_.Count(diag) - before, reported ? 1u : 0u) << i;
                }
                const fa_budget_usage usage =
                    of_thread ? ThreadUsage(allocator, intent) : Usage(allocator, intent);
                EXPECT_EQ(usage.allowed_count, policy == FA_BUDGET_FAIL ? 0u : count - 100);
                if (policy != FA_BUDGET_ALLOW) {
                    EXPECT_EQ(events_.Last(diag).size, limit + bytes);
                    EXPECT_EQ(events_.Last(diag).limit, limit);
                }
                if (intent == FA_INTENT_POOL)
                    for (void *block : blocks)
                        fa_pool_free(allocator, block);
                EXPECT_EQ(fa_frame_end(allocator), FA_OK);
            }
}

// ---- what could not be had ----

TEST_P(Budget, AFrameBlockWithoutAChunkIsNoPeak) {
    Allocator allocator(Config());
    fa_budget budget = {};
    budget.soft_bytes = 1 << 20;
    budget.report_peaks = true;
    ASSERT_EQ(fa_budget_set(allocator, FA_INTENT_FRAME, &budget), FA_OK);
    ASSERT_NE(fa_frame_begin(allocator), nullptr);
    Ignore(fa_frame_alloc(allocator, 64));
    const size_t peak = Usage(allocator, FA_INTENT_FRAME).peak;
    EXPECT_LT(peak, size_t{1} << 20);
    EXPECT_EQ(fa_frame_alloc(allocator, size_t{1} << 46), nullptr);
    EXPECT_NE(fa_last_error().diag, FA_DIAG_FA302);
    EXPECT_EQ(Usage(allocator, FA_INTENT_FRAME).peak, peak);
    EXPECT_EQ(events_.Count(FA_DIAG_FA303), 0u);
    EXPECT_LE(events_.Last(FA_DIAG_FA304).size, peak);
    EXPECT_NE(fa_frame_alloc(allocator, 2 << 20), nullptr);
    EXPECT_EQ(events_.Count(FA_DIAG_FA303), 1u);
    EXPECT_EQ(fa_frame_end(allocator), FA_OK);
    EXPECT_EQ(Used(allocator, FA_INTENT_FRAME), 0u);
    EXPECT_GT(Usage(allocator, FA_INTENT_FRAME).peak, size_t{2} << 20);
}

// ---- sizes that change ----

// A block that gets larger needs room for the difference, also where it has to move.
TEST_P(Budget, AResizedHeapBlockIsOneBlock) {
    for (const char *backend : {"system", "mmap"}) {
        fa_alloc_config config = Config();
        config.backend_spec = backend;
        Allocator allocator(config);
        const fa_budget budget = Hard(1000000);
        ASSERT_EQ(fa_budget_set(allocator, FA_INTENT_HEAP, &budget), FA_OK);
        for (size_t size = 500; size <= 500000; size *= 10) {
            char *block = static_cast<char *>(fa_heap_alloc(allocator, size));
            void *behind = fa_heap_alloc(allocator, 1000); /* in the way */
            ASSERT_NE(block, nullptr);
            Paint(block, 1, size);
            block = static_cast<char *>(fa_heap_realloc(allocator, block, 999000));
            ASSERT_NE(block, nullptr) << size;
            EXPECT_TRUE(IsPainted(block, 1, size));
            EXPECT_EQ(Used(allocator, FA_INTENT_HEAP), 1000000u);
            EXPECT_REFUSED(fa_heap_realloc(allocator, block, 999001));
            EXPECT_EQ(Used(allocator, FA_INTENT_HEAP), 1000000u);
            block = static_cast<char *>(fa_heap_realloc(allocator, block, size));
            ASSERT_NE(block, nullptr);
            EXPECT_TRUE(IsPainted(block, 1, size));
            EXPECT_EQ(Used(allocator, FA_INTENT_HEAP), size + 1000);
            fa_heap_free(allocator, block);
            fa_heap_free(allocator, behind);
        }
        EXPECT_EQ(Usage(allocator, FA_INTENT_HEAP).peak, 1000000u);
        EXPECT_EQ(Used(allocator, kTotal), 0u);
        ExpectValid(allocator);
    }
}

// ---- promoted blocks ----

TEST_P(Budget, PromotedBlocksAreFreedByTheirThread) {
    Allocator allocator(Config());
    const fa_budget frames = Hard(2000, FA_BUDGET_PROMOTE);
    ASSERT_EQ(fa_budget_set(allocator, FA_INTENT_FRAME, &frames), FA_OK);
    for (int round = 0; round < 3; round++) {
        ASSERT_NE(fa_frame_begin(allocator), nullptr);
        size_t promoted = 0;
        for (int i = 0; i < 60; i++)
            promoted += fa_intent_of(allocator, fa_frame_alloc(allocator, 64)) == FA_INTENT_POOL;
        EXPECT_GT(promoted, 0u);
        const fa_mark mark = fa_frame_mark(allocator);
        Ignore(fa_frame_alloc(allocator, 64));
        EXPECT_EQ(fa_frame_rewind(allocator, mark), FA_OK);
        EXPECT_EQ(fa_frame_end(allocator), FA_OK);
    }
    fa_stats stats;
    ASSERT_EQ(fa_stats_get(allocator, &stats), FA_OK);
    EXPECT_EQ(stats.pool_remote_count, 0u);
}

// A promoted block that the program freed itself is reported when its frame ends or is rewound: the
// hook finds a frame that it can't begin, and may use what is open.
TEST_P(Budget, HooksLeaveTheFrameAloneThatFreesPromotedBlocks) {
    fa_alloc_config config = Config();
    struct State {
        fa_allocator *allocator = nullptr;
        size_t reported = 0, begun = 0;
    } state;
    config.on_event = [](void *user, const fa_event *event) {
        State *self = static_cast<State *>(user);
        if (event->diag != FA_DIAG_FA601)
            return;
        self->reported++;
        self->begun += fa_frame_begin(self->allocator) != nullptr;
        Ignore(fa_frame_alloc(self->allocator, 64));
    };
    config.on_event_user = &state;
    Allocator allocator(config);
    state.allocator = allocator;
    const fa_budget frames = Hard(4000, FA_BUDGET_PROMOTE);
    ASSERT_EQ(fa_budget_set(allocator, FA_INTENT_FRAME, &frames), FA_OK);
    const auto freed_already = [&] {
        void *block = fa_frame_alloc(allocator, 100000);
        EXPECT_EQ(fa_intent_of(allocator, block), FA_INTENT_HEAP);
        fa_heap_free(allocator, block);
    };
    for (size_t round = 1; round <= 6; round++) {
        ASSERT_NE(fa_frame_begin(allocator), nullptr);
        Ignore(fa_frame_alloc(allocator, 64));
        const size_t used = Used(allocator, FA_INTENT_FRAME), bytes = fa_frame_bytes(allocator);
        const fa_mark mark = fa_frame_mark(allocator);
        freed_already();
        EXPECT_EQ(fa_frame_rewind(allocator, mark), FA_OK);
        EXPECT_GE(fa_frame_bytes(allocator), bytes);
        EXPECT_GE(Used(allocator, FA_INTENT_FRAME), used);
        ExpectValid(allocator);
        freed_already();
        EXPECT_EQ(fa_frame_end(allocator), FA_OK);
        EXPECT_EQ(Used(allocator, FA_INTENT_FRAME), 0u);
        ExpectValid(allocator);
        if (GetParam().in_flight == 1) {
            EXPECT_EQ(state.reported, 2 * round);
        }
    }
    EXPECT_EQ(state.begun, 0u);
    EXPECT_EQ(Used(allocator, FA_INTENT_HEAP), 0u);
}

// ---- callbacks of several allocators ----

TEST(BudgetAsk, OfAnotherAllocatorIsAskedInsideOfAnAsk) {
    Allocator one{Plain()}, two{Plain()};
    Asked first, second;
    size_t inside = 0;
    second.body = [&](const fa_budget_request &) {
        EXPECT_REFUSED(fa_heap_alloc(one, 100)); /* it would ask itself */
        EXPECT_REFUSED(fa_heap_alloc(two, 100));
        return FA_BUDGET_ANSWER_ALLOW;
    };
    first.body = [&](const fa_budget_request &) {
        void *block = fa_heap_alloc(two, 100);
        inside += block != nullptr;
        fa_heap_free(two, block);
        EXPECT_REFUSED(fa_heap_alloc(one, 100));
        return FA_BUDGET_ANSWER_ALLOW;
    };
    const fa_budget of_one = first.Budget(10), of_two = second.Budget(10);
    ASSERT_EQ(fa_budget_set(one, FA_INTENT_HEAP, &of_one), FA_OK);
    ASSERT_EQ(fa_budget_set(two, FA_INTENT_HEAP, &of_two), FA_OK);
    void *block = fa_heap_alloc(one, 100);
    EXPECT_NE(block, nullptr);
    EXPECT_EQ(inside, 1u);
    EXPECT_EQ(first.all.size(), 1u);
    EXPECT_EQ(second.all.size(), 1u);
    fa_heap_free(one, block);
}

// ---- a budget that changes ----

// Of two budgets that both serve, and take turns, neither refuses nor reports.
TEST(BudgetSet, ARequestSeesOneBudgetOrTheOther) {
    Asked asked;
    std::atomic<size_t> events{0};
    fa_alloc_config config = Plain();
    config.on_event = [](void *user, const fa_event *) {
        ++*static_cast<std::atomic<size_t> *>(user);
    };
    config.on_event_user = &events;
    Allocator allocator(config);
    fa_budget allows = Hard(10, FA_BUDGET_ASK);
    allows.ask = [](void *, const fa_budget_request *request) {
        EXPECT_EQ(request->tag, FA_TAG_ROOT);
        EXPECT_EQ(request->hard_bytes, 10u);
        return FA_BUDGET_ANSWER_ALLOW;
    };
    const fa_budget turns[] = {allows, Hard(1 << 30), Hard(20, FA_BUDGET_ALLOW),
                               Hard(1 << 30, FA_BUDGET_WARN)};
    ASSERT_EQ(fa_budget_set(allocator, FA_INTENT_HEAP, &turns[0]), FA_OK);
    std::atomic<bool> stop{false};
    std::thread setter([&] {
        for (size_t i = 0; !stop; i++)
            EXPECT_EQ(fa_budget_set(allocator, FA_INTENT_HEAP, &turns[i % 4]), FA_OK);
    });
    size_t refused = 0;
    for (size_t i = 0; i < Rounds(200000); i++) {
        void *block = fa_heap_alloc(allocator, 64);
        refused += block == nullptr;
        fa_heap_free(allocator, block);
    }
    stop = true;
    setter.join();
    EXPECT_EQ(refused, 0u);
    EXPECT_EQ(events, 0u);
}
