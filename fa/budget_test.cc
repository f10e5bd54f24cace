// Budgets: every limit, policy and event, every kind of memory, to the byte.
#include "fa/testing_budgets.hpp"

using namespace fa_testing;

INSTANTIATE_TEST_SUITE_P(All, Budget, testing::ValuesIn(kBudgetKinds), BudgetKindName);

// ---- limits ----

TEST_P(Budget, HeapIsLimitedToTheByte) {
    Allocator allocator(Config());
    void *before = fa_heap_alloc(allocator, 1000);
    const fa_budget budget = Hard(10000);
    ASSERT_EQ(fa_budget_set(allocator, FA_INTENT_HEAP, &budget), FA_OK);
    EXPECT_EQ(Used(allocator, FA_INTENT_HEAP), 1000u) << "what was there counts";
    EXPECT_EQ(Usage(allocator, FA_INTENT_HEAP).remaining, 9000u);
    EXPECT_EQ(fa_budget_remaining(allocator, FA_INTENT_HEAP), 9000u);
    EXPECT_EQ(fa_budget_remaining(allocator, FA_INTENT_POOL), SIZE_MAX);
    EXPECT_REFUSED(fa_heap_alloc(allocator, 9001));
    EXPECT_EQ(Used(allocator, FA_INTENT_HEAP), 1000u);
    void *block = fa_heap_alloc(allocator, 9000);
    ASSERT_NE(block, nullptr);
    EXPECT_EQ(fa_budget_remaining(allocator, FA_INTENT_HEAP), 0u);
    EXPECT_REFUSED(fa_heap_alloc(allocator, 1));
    EXPECT_REFUSED(fa_heap_realloc(allocator, before, 1001));
    before = fa_heap_realloc(allocator, before, 500);
    EXPECT_EQ(Used(allocator, FA_INTENT_HEAP), 9500u);
    fa_heap_free(allocator, block);
    before = fa_heap_realloc(allocator, before, 5000);
    EXPECT_EQ(Used(allocator, FA_INTENT_HEAP), 5000u);
    fa_heap_free(allocator, before);
    EXPECT_EQ(Used(allocator, FA_INTENT_HEAP), 0u);
    EXPECT_EQ(Used(allocator, kTotal), 0u);
    EXPECT_EQ(Usage(allocator, FA_INTENT_HEAP).peak, 10000u);
    EXPECT_EQ(Usage(allocator, FA_INTENT_HEAP).refused_count, 3u);
    EXPECT_EQ(events_.Count(FA_DIAG_FA302), 3u);
    EXPECT_EQ(events_.Last(FA_DIAG_FA302).limit, 10000u);
    ASSERT_EQ(fa_budget_set(allocator, FA_INTENT_HEAP, nullptr), FA_OK);
    block = fa_heap_alloc(allocator, 50000);
    EXPECT_NE(block, nullptr);
    fa_heap_free(allocator, block);
    EXPECT_EQ(Usage(allocator, FA_INTENT_HEAP).peak, 50000u);
}

TEST_P(Budget, OneThreadUsesEveryPoolObjectThatIsAllowed) {
    Allocator allocator(Config());
    const size_t big = ClassBytes(allocator, 200), small = ClassBytes(allocator, 48);
    EXPECT_EQ(Used(allocator, FA_INTENT_POOL), 0u);
    const fa_budget budget = Hard(100 * big);
    ASSERT_EQ(fa_budget_set(allocator, FA_INTENT_POOL, &budget), FA_OK);
    std::vector<void *> blocks;
    for (size_t i = 0; i < 5; i++)
        blocks.push_back(fa_pool_alloc(allocator, 48));
    for (void *block; (block = fa_pool_alloc(allocator, 200)) != nullptr;)
        blocks.push_back(block);
    EXPECT_EQ(fa_last_error().diag, FA_DIAG_FA302);
    EXPECT_EQ(blocks.size(), 5 + (100 * big - 5 * small) / big);
    while (blocks.size() > 5) {
        fa_pool_free(allocator, blocks.back());
        blocks.pop_back();
    }
    /* What is ready of one class is given back for the other. */
    for (void *block; (block = fa_pool_alloc(allocator, 48)) != nullptr;)
        blocks.push_back(block);
    EXPECT_EQ(blocks.size(), 100 * big / small);
    for (void *block : blocks)
        fa_pool_free(allocator, block);
    EXPECT_NE(fa_last_error().diag, FA_DIAG_FA901);
    fa_allocator_trim(allocator);
    EXPECT_EQ(Used(allocator, FA_INTENT_POOL), 0u);
    ExpectValid(allocator);
}

TEST_P(Budget, OneThreadUsesEveryFrameByteThatIsAllowed) {
    Allocator allocator(Config());
    const size_t each = FrameBytes(allocator, 16);
    for (size_t count : {1u, 10u, 3000u}) {
        const fa_budget budget = Hard(count * each);
        ASSERT_EQ(fa_budget_set(allocator, FA_INTENT_FRAME, &budget), FA_OK);
        for (int frame = 0; frame < 3; frame++) {
            ASSERT_NE(fa_frame_begin(allocator), nullptr);
            size_t got = 0;
            while (void *block = fa_frame_alloc(allocator, 16)) {
                std::memset(block, 1, 16);
                got++;
                EXPECT_LE(Used(allocator, FA_INTENT_FRAME), count * each);
                EXPECT_GE(Used(allocator, FA_INTENT_FRAME), fa_frame_bytes(allocator));
            }
            EXPECT_EQ(fa_last_error().diag, FA_DIAG_FA302);
            EXPECT_EQ(got, count);
            EXPECT_EQ(Used(allocator, FA_INTENT_FRAME), fa_frame_bytes(allocator));
            EXPECT_EQ(Usage(allocator, FA_INTENT_FRAME).remaining, 0u);
            ExpectValid(allocator);
            EXPECT_EQ(fa_frame_end(allocator), FA_OK);
            EXPECT_EQ(Used(allocator, FA_INTENT_FRAME), 0u);
            EXPECT_EQ(Used(allocator, kTotal), 0u);
        }
    }
    ASSERT_EQ(fa_budget_set(allocator, FA_INTENT_FRAME, nullptr), FA_OK);
    ASSERT_NE(fa_frame_begin(allocator), nullptr);
    EXPECT_NE(fa_frame_alloc(allocator, 1 << 20), nullptr);
    EXPECT_EQ(Used(allocator, FA_INTENT_FRAME), 0u) << "not counted without a budget";
    EXPECT_EQ(fa_frame_end(allocator), FA_OK);
}

TEST_P(Budget, FrameBlocksOfEverySizeAndAlignmentStayBelow) {
    Allocator allocator(Config());
    Random random;
    const size_t hard = 300 << 10;
    const fa_budget budget = Hard(hard);
    ASSERT_EQ(fa_budget_set(allocator, FA_INTENT_FRAME, &budget), FA_OK);
    for (size_t frame = 0; frame < Rounds(80); frame++) {
        ASSERT_NE(fa_frame_begin(allocator), nullptr);
        void *last = nullptr;
        size_t last_size = 0;
        for (size_t i = 0; i < 200; i++) {
            const size_t size = random.Size(random.OneIn(20) ? 200000 : 2000);
            void *block;
            if (random.OneIn(4) && last != nullptr) {
                block = fa_frame_grow(allocator, last, last_size, size);
            } else {
                const size_t align = static_cast<size_t>(16) << random.Below(8);
                block = fa_frame_alloc_aligned(allocator, size, align);
                EXPECT_TRUE(IsAligned(block, align));
            }
            if (block != nullptr) {
                std::memset(block, 7, size);
                last = block;
                last_size = size;
            } else {
                EXPECT_EQ(fa_last_error().diag, FA_DIAG_FA302);
            }
            const size_t used = Used(allocator, FA_INTENT_FRAME);
            EXPECT_LE(used, hard);
            EXPECT_GE(used, fa_frame_bytes(allocator));
        }
        ExpectValid(allocator);
        EXPECT_EQ(fa_frame_end(allocator), FA_OK);
        EXPECT_EQ(Used(allocator, kTotal), 0u);
    }
}

TEST_P(Budget, RewindsGiveBack) {
    Allocator allocator(Config());
    const size_t each = FrameBytes(allocator, 1000);
    const fa_budget budget = Hard(100 * each);
    ASSERT_EQ(fa_budget_set(allocator, FA_INTENT_FRAME, &budget), FA_OK);
    const fa_tag ai = fa_tag_intern(allocator, "ai");
    fa_frame *frame = fa_frame_begin(allocator);
    ASSERT_NE(frame, nullptr);
    EXPECT_NE(fa_frame_alloc(allocator, 1000), nullptr);
    for (int round = 0; round < 5; round++) {
        const fa_mark mark = fa_frame_mark(allocator);
        const size_t before = fa_frame_bytes(allocator);
        size_t got = 0;
        EXPECT_EQ(fa_tag_enter(allocator, ai), FA_OK);
        for (; fa_frame_alloc(allocator, 1000) != nullptr; got++)
            if (got == 30) {
                EXPECT_EQ(Used(allocator, FA_INTENT_FRAME, ai),
                          fa_frame_bytes(allocator) - before + Used(allocator, FA_INTENT_FRAME) -
                              fa_frame_bytes(allocator));
                EXPECT_EQ(fa_tag_leave(allocator), FA_OK);
            }
        EXPECT_EQ(got, 99u);
        EXPECT_EQ(Used(allocator, FA_INTENT_FRAME, ai), 31 * each);
        EXPECT_EQ(fa_frame_rewind(allocator, mark), FA_OK);
        EXPECT_EQ(Used(allocator, FA_INTENT_FRAME), before);
        EXPECT_EQ(Used(allocator, FA_INTENT_FRAME, ai), 0u);
    }
    EXPECT_EQ(fa_frame_end(allocator), FA_OK);
    EXPECT_EQ(Used(allocator, FA_INTENT_FRAME), 0u);
}

TEST_P(Budget, TotalsCountEveryIntent) {
    Allocator allocator(Config());
    const size_t object = ClassBytes(allocator, 512), block = FrameBytes(allocator, 4096);
    const fa_budget budget = Hard(20 * object + block + 3000);
    ASSERT_EQ(fa_budget_set(allocator, kTotal, &budget), FA_OK);
    std::vector<void *> objects;
    for (size_t i = 0; i < 20; i++)
        objects.push_back(fa_pool_alloc(allocator, 512));
    ASSERT_NE(fa_frame_begin(allocator), nullptr);
    EXPECT_NE(fa_frame_alloc(allocator, 4096), nullptr);
    void *heap = fa_heap_alloc(allocator, 3000);
    EXPECT_NE(heap, nullptr);
    EXPECT_EQ(Usage(allocator, kTotal).remaining, 0u);
    EXPECT_REFUSED(fa_heap_alloc(allocator, 1));
    EXPECT_REFUSED(fa_pool_alloc(allocator, 1));
    EXPECT_REFUSED(fa_frame_alloc(allocator, 1));
    /* What is kept ready of one makes room for the others. */
    fa_pool_free(allocator, objects.back());
    objects.pop_back();
    void *more = fa_heap_alloc(allocator, object);
    EXPECT_NE(more, nullptr);
    fa_heap_free(allocator, more);
    EXPECT_EQ(fa_frame_end(allocator), FA_OK);
    more = fa_heap_alloc(allocator, block);
    EXPECT_NE(more, nullptr);
    fa_heap_free(allocator, more);
    fa_heap_free(allocator, heap);
    for (void *each : objects)
        fa_pool_free(allocator, each);
    fa_allocator_trim(allocator);
    EXPECT_EQ(Used(allocator, kTotal), 0u);
}

// ---- tags ----

TEST_P(Budget, OfATagHoldsBelowIt) {
    Allocator allocator(Config());
    const fa_tag ai = fa_tag_intern(allocator, "ai"), path = fa_tag_intern(allocator, "ai::path");
    const fa_budget budget = Hard(10000);
    ASSERT_EQ(fa_budget_set_tag(allocator, ai, FA_INTENT_HEAP, &budget), FA_OK);
    void *outside = fa_heap_alloc(allocator, 50000);
    EXPECT_EQ(fa_tag_enter(allocator, path), FA_OK);
    EXPECT_EQ(fa_budget_remaining(allocator, FA_INTENT_HEAP), 10000u);
    void *block = fa_heap_alloc(allocator, 6000);
    EXPECT_EQ(fa_tag_leave(allocator), FA_OK);
    EXPECT_EQ(fa_budget_remaining(allocator, FA_INTENT_HEAP), SIZE_MAX);
    EXPECT_EQ(fa_tag_enter(allocator, ai), FA_OK);
    EXPECT_REFUSED(fa_heap_alloc(allocator, 4001));
    void *other = fa_heap_alloc(allocator, 4000);
    EXPECT_NE(other, nullptr);
    EXPECT_EQ(fa_tag_leave(allocator), FA_OK);
    EXPECT_EQ(Used(allocator, FA_INTENT_HEAP, path), 6000u);
    EXPECT_EQ(Used(allocator, FA_INTENT_HEAP, ai), 10000u);
    EXPECT_EQ(Used(allocator, FA_INTENT_HEAP), 60000u);
    OnThread([&] { fa_heap_free(allocator, block); });
    EXPECT_EQ(Used(allocator, FA_INTENT_HEAP, ai), 4000u);
    fa_heap_free(allocator, other);
    fa_heap_free(allocator, outside);
    EXPECT_EQ(Used(allocator, kTotal), 0u);
    EXPECT_EQ(Used(allocator, kTotal, ai), 0u);
}

TEST_P(Budget, OfATagHoldsForItsFrameMemoryAlone) {
    Allocator allocator(Config());
    const size_t each = FrameBytes(allocator, 100);
    const fa_tag ai = fa_tag_intern(allocator, "ai");
    const fa_budget budget = Hard(50 * each);
    ASSERT_EQ(fa_budget_set_tag(allocator, ai, FA_INTENT_FRAME, &budget), FA_OK);
    for (int frame = 0; frame < 4; frame++) {
        ASSERT_NE(fa_frame_begin(allocator), nullptr);
        size_t inside = 0;
        for (int turn = 0; turn < 30; turn++) {
            for (int i = 0; i < 10; i++)
                EXPECT_NE(fa_frame_alloc(allocator, 100), nullptr) << "outside of the tag";
            EXPECT_EQ(fa_tag_enter(allocator, ai), FA_OK);
            for (int i = 0; i < 3; i++)
                inside += fa_frame_alloc(allocator, 100) != nullptr;
            EXPECT_EQ(fa_tag_leave(allocator), FA_OK);
            EXPECT_EQ(Used(allocator, FA_INTENT_FRAME, ai), inside * each)
                << "what was granted and not used is given back";
        }
        EXPECT_EQ(inside, 50u);
        EXPECT_EQ(fa_frame_end(allocator), FA_OK);
        EXPECT_EQ(Used(allocator, FA_INTENT_FRAME, ai), 0u);
        EXPECT_EQ(Used(allocator, FA_INTENT_FRAME), 0u);
    }
}

TEST_P(Budget, ManySwitchesUnderMarks) {
    Allocator allocator(Config());
    const fa_budget budget = Hard(10 << 20);
    ASSERT_EQ(fa_budget_set(allocator, FA_INTENT_FRAME, &budget), FA_OK);
    std::vector<fa_tag> tags;
    for (int i = 0; i < 5; i++)
        tags.push_back(fa_tag_intern(allocator, ("tag" + std::to_string(i)).c_str()));
    ASSERT_NE(fa_frame_begin(allocator), nullptr);
    std::vector<size_t> used(tags.size());
    const fa_mark mark = fa_frame_mark(allocator);
    for (size_t i = 0; i < 300; i++) {
        EXPECT_EQ(fa_tag_enter(allocator, tags[i % 5]), FA_OK);
        const size_t before = fa_frame_bytes(allocator);
        EXPECT_NE(fa_frame_alloc(allocator, 16 * (i + 1)), nullptr);
        used[i % 5] += fa_frame_bytes(allocator) - before;
        EXPECT_EQ(fa_tag_leave(allocator), FA_OK);
        if (i == 150) {
            EXPECT_EQ(fa_frame_rewind(allocator, mark), FA_OK);
            used.assign(tags.size(), 0);
        }
    }
    for (size_t i = 0; i < tags.size(); i++)
        EXPECT_EQ(Used(allocator, FA_INTENT_FRAME, tags[i]), used[i]);
    EXPECT_EQ(fa_frame_end(allocator), FA_OK);
    for (fa_tag tag : tags)
        EXPECT_EQ(Used(allocator, FA_INTENT_FRAME, tag), 0u);
    ExpectValid(allocator);
}

// ---- policies and events ----

TEST_P(Budget, WarnAndAllowServe) {
    Allocator allocator(Config());
    for (fa_budget_policy policy : {FA_BUDGET_WARN, FA_BUDGET_ALLOW}) {
        const size_t before = events_.Count(FA_DIAG_FA302);
        const uint64_t allowed = Usage(allocator, FA_INTENT_HEAP).allowed_count;
        const fa_budget budget = Hard(1000, policy);
        ASSERT_EQ(fa_budget_set(allocator, FA_INTENT_HEAP, &budget), FA_OK);
        for (int crossing = 0; crossing < 3; crossing++) {
            void *blocks[4];
            for (void *&block : blocks)
                block = fa_heap_alloc(allocator, 500);
            for (void *block : blocks) {
                EXPECT_NE(block, nullptr);
                fa_heap_free(allocator, block);
            }
        }
        EXPECT_EQ(Usage(allocator, FA_INTENT_HEAP).allowed_count - allowed, 6u);
        EXPECT_EQ(events_.Count(FA_DIAG_FA302) - before, policy == FA_BUDGET_WARN ? 3u : 0u);
        EXPECT_EQ(Usage(allocator, FA_INTENT_HEAP).refused_count, 0u);
        EXPECT_EQ(Usage(allocator, FA_INTENT_HEAP).remaining, 1000u);
    }
}

TEST_P(Budget, SoftLimitsAreReportedOncePerCrossing) {
    Allocator allocator(Config());
    fa_budget budget = Hard(10000);
    budget.soft_bytes = 5000;
    ASSERT_EQ(fa_budget_set(allocator, FA_INTENT_HEAP, &budget), FA_OK);
    void *base = fa_heap_alloc(allocator, 5000);
    EXPECT_EQ(events_.Count(FA_DIAG_FA303), 0u) << "it is reached, not passed";
    for (unsigned crossing = 1; crossing <= 3; crossing++) {
        void *first = fa_heap_alloc(allocator, 1), *second = fa_heap_alloc(allocator, 1);
        EXPECT_EQ(events_.Count(FA_DIAG_FA303), crossing);
        EXPECT_EQ(events_.Last(FA_DIAG_FA303).size, 5001u);
        EXPECT_EQ(events_.Last(FA_DIAG_FA303).limit, 5000u);
        EXPECT_REFUSED(fa_heap_alloc(allocator, 6000));
        fa_heap_free(allocator, first);
        fa_heap_free(allocator, second);
    }
    EXPECT_EQ(events_.Count(FA_DIAG_FA303), 3u);
    fa_heap_free(allocator, base);
}

TEST_P(Budget, PeaksAreReportedByEighths) {
    Allocator allocator(Config());
    fa_budget budget = {};
    budget.report_peaks = true;
    ASSERT_EQ(fa_budget_set(allocator, FA_INTENT_HEAP, &budget), FA_OK);
    void *block = fa_heap_alloc(allocator, 800);
    EXPECT_EQ(events_.Count(FA_DIAG_FA304), 1u);
    EXPECT_EQ(events_.Last(FA_DIAG_FA304).size, 800u);
    void *eighth = fa_heap_alloc(allocator, 100);
    EXPECT_EQ(events_.Count(FA_DIAG_FA304), 1u);
    void *more = fa_heap_alloc(allocator, 1);
    EXPECT_EQ(events_.Count(FA_DIAG_FA304), 2u);
    for (void *each : {block, eighth, more})
        fa_heap_free(allocator, each);
    block = fa_heap_alloc(allocator, 901);
    EXPECT_EQ(events_.Count(FA_DIAG_FA304), 2u);
    EXPECT_EQ(Usage(allocator, FA_INTENT_HEAP).peak, 901u);
    fa_heap_free(allocator, block);
}

TEST_P(Budget, PromotedFrameBlocksDieWithTheirFrame) {
    Allocator allocator(Config());
    const fa_budget frames = Hard(2000, FA_BUDGET_PROMOTE);
    ASSERT_EQ(fa_budget_set(allocator, FA_INTENT_FRAME, &frames), FA_OK);
    for (int round = 0; round < 6; round++) {
        ASSERT_NE(fa_frame_begin(allocator), nullptr);
        std::vector<char *> blocks;
        size_t pools = 0, heaps = 0;
        for (size_t i = 0; i < 60; i++) {
            const size_t size = i % 7 == 0 ? 10000 : 100 + i;
            const size_t align = i % 5 == 0 ? 256 : 16;
            char *block = static_cast<char *>(fa_frame_alloc_aligned(allocator, size, align));
            ASSERT_NE(block, nullptr);
            EXPECT_TRUE(IsAligned(block, align));
            Paint(block, i, size);
            blocks.push_back(block);
            pools += fa_intent_of(allocator, block) == FA_INTENT_POOL;
            heaps += fa_intent_of(allocator, block) == FA_INTENT_HEAP;
        }
        EXPECT_GT(pools, 20u);
        EXPECT_GE(heaps, 8u);
        EXPECT_EQ(kCounted ? Stats(allocator).heap_live_count >= heaps : true, true);
        for (size_t i = 0; i < 60; i++)
            EXPECT_TRUE(IsPainted(blocks[i], i, i % 7 == 0 ? 10000 : 100 + i));
        void *grown = fa_frame_grow(allocator, blocks.back(), 159, 700);
        EXPECT_TRUE(IsPainted(grown, 59, 159));
        EXPECT_EQ(fa_frame_grow(allocator, blocks.back(), 159, 10), blocks.back());
        EXPECT_LE(Used(allocator, FA_INTENT_FRAME), 2000u);
        EXPECT_EQ(fa_frame_end(allocator), FA_OK);
    }
    /* With frames in flight the memory lives as long as that of the frame would. */
    EXPECT_EQ(Stats(allocator).heap_live_count != 0, GetParam().in_flight > 1);
    EXPECT_EQ(fa_thread_detach(allocator), FA_OK);
    EXPECT_EQ(Stats(allocator).heap_live_count, 0u);
    EXPECT_EQ(Stats(allocator).pool_live_count, 0u);
    EXPECT_EQ(Used(allocator, kTotal), 0u);
    EXPECT_GT(Usage(allocator, FA_INTENT_FRAME).promoted_count, 6u * 40);
    EXPECT_EQ(Usage(allocator, FA_INTENT_FRAME).refused_count, 0u);
    EXPECT_EQ(events_.Last(FA_DIAG_FA302).status, FA_OK);
    ExpectValid(allocator);
}

TEST_P(Budget, PromotedFrameBlocksGoWithARewind) {
    Allocator allocator(Config());
    const fa_budget frames = Hard(1000, FA_BUDGET_PROMOTE);
    ASSERT_EQ(fa_budget_set(allocator, FA_INTENT_FRAME, &frames), FA_OK);
    ASSERT_NE(fa_frame_begin(allocator), nullptr);
    void *kept = fa_frame_alloc(allocator, 9000);
    Paint(kept, 4, 9000);
    const fa_mark mark = fa_frame_mark(allocator);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 5; i++)
            EXPECT_NE(fa_frame_alloc(allocator, 8000), nullptr);
        EXPECT_EQ(Stats(allocator).heap_live_count, 6u);
        EXPECT_EQ(fa_frame_rewind(allocator, mark), FA_OK);
        EXPECT_EQ(Stats(allocator).heap_live_count, 1u);
    }
    EXPECT_TRUE(IsPainted(kept, 4, 9000));
    EXPECT_EQ(fa_frame_end(allocator), FA_OK);
    EXPECT_EQ(fa_thread_detach(allocator), FA_OK);
    EXPECT_EQ(Stats(allocator).heap_live_count, 0u);
}

TEST_P(Budget, PromotionGoesOnToTheHeap) {
    Allocator allocator(Config());
    const fa_budget frames = Hard(16, FA_BUDGET_PROMOTE), pools = Hard(16, FA_BUDGET_PROMOTE);
    const fa_budget heap = Hard(5000);
    ASSERT_EQ(fa_budget_set(allocator, FA_INTENT_FRAME, &frames), FA_OK);
    ASSERT_EQ(fa_budget_set(allocator, FA_INTENT_POOL, &pools), FA_OK);
    ASSERT_EQ(fa_budget_set(allocator, FA_INTENT_HEAP, &heap), FA_OK);
    void *object = fa_pool_alloc(allocator, 200);
    EXPECT_EQ(fa_intent_of(allocator, object), FA_INTENT_HEAP);
    ASSERT_NE(fa_frame_begin(allocator), nullptr);
    void *block = fa_frame_alloc(allocator, 3000);
    EXPECT_EQ(fa_intent_of(allocator, block), FA_INTENT_HEAP);
    EXPECT_REFUSED(fa_frame_alloc(allocator, 3000));
    EXPECT_EQ(fa_frame_end(allocator), FA_OK);
    EXPECT_EQ(fa_thread_detach(allocator), FA_OK);
    fa_pool_free_sized(allocator, object, 200);
    EXPECT_EQ(Used(allocator, kTotal), 0u);
    ExpectValid(allocator);
}

TEST_P(Budget, AskMayFreeAndAnswer) {
    Allocator allocator(Config());
    std::vector<void *> cache;
    for (int i = 0; i < 5; i++)
        cache.push_back(fa_heap_alloc(allocator, 1000));
    Asked asked;
    const fa_budget budget = asked.Budget(5000);
    ASSERT_EQ(fa_budget_set(allocator, FA_INTENT_HEAP, &budget), FA_OK);
    asked.body = [&](const fa_budget_request &) {
        if (cache.empty())
            return FA_BUDGET_ANSWER_FAIL;
        fa_heap_free(allocator, cache.back());
        cache.pop_back();
        return FA_BUDGET_ANSWER_RETRY;
    };
    fa_last_error_clear();
    void *block = fa_heap_alloc(allocator, 2500);
    EXPECT_NE(block, nullptr);
    EXPECT_EQ(fa_last_error().status, FA_OK);
    ASSERT_EQ(asked.all.size(), 3u);
    EXPECT_EQ(asked.all[0].allocator, allocator);
    EXPECT_EQ(asked.all[0].tag, FA_TAG_ROOT);
    EXPECT_EQ(asked.all[0].budget_intent, FA_INTENT_HEAP);
    EXPECT_EQ(asked.all[0].intent, FA_INTENT_HEAP);
    EXPECT_EQ(asked.all[0].size, 2500u);
    EXPECT_EQ(asked.all[0].used, 5000u);
    EXPECT_EQ(asked.all[0].hard_bytes, 5000u);
    EXPECT_EQ(asked.all[2].used, 3000u);
    EXPECT_EQ(asked.all[2].retry_count, 2u);
    EXPECT_REFUSED(fa_heap_alloc(allocator, 5001));
    EXPECT_EQ(cache.size(), 0u);

    asked.body = [&](const fa_budget_request &) { return FA_BUDGET_ANSWER_ALLOW; };
    void *past = fa_heap_alloc(allocator, 9000);
    EXPECT_NE(past, nullptr);
    EXPECT_EQ(Used(allocator, FA_INTENT_HEAP), 11500u);
    EXPECT_EQ(Usage(allocator, FA_INTENT_HEAP).allowed_count, 1u);
    asked.all.clear();
    asked.body = [&](const fa_budget_request &) { return FA_BUDGET_ANSWER_RETRY; };
    EXPECT_REFUSED(fa_heap_alloc(allocator, 1));
    EXPECT_EQ(asked.all.size(), FA_BUDGET_RETRY_MAX + 1u) << "it does not go on for ever";
    asked.body = [&](const fa_budget_request &) { return FA_BUDGET_ANSWER_PROMOTE; };
    EXPECT_REFUSED(fa_heap_alloc(allocator, 1));
    asked.body = [&](const fa_budget_request &) {
        EXPECT_REFUSED(fa_heap_alloc(allocator, 1));
        EXPECT_EQ(Used(allocator, FA_INTENT_HEAP), 11500u);
        const fa_budget more = Hard(20000);
        EXPECT_EQ(fa_budget_set(allocator, FA_INTENT_HEAP, &more), FA_OK);
        return FA_BUDGET_ANSWER_RETRY;
    };
    void *last = fa_heap_alloc(allocator, 1);
    EXPECT_NE(last, nullptr);
    for (void *each : {block, past, last})
        fa_heap_free(allocator, each);
    EXPECT_EQ(Used(allocator, kTotal), 0u);
}

TEST_P(Budget, AskIsAskedAtEveryLevelAndForEveryIntent) {
    Allocator allocator(Config());
    const fa_tag ai = fa_tag_intern(allocator, "ai");
    Asked asked;
    asked.body = [&](const fa_budget_request &request) {
        EXPECT_EQ(fa_budget_remaining(allocator, request.intent) < request.size, true);
        void *block = fa_heap_alloc(allocator, 100); /* the heap has no budget */
        EXPECT_NE(block, nullptr);
        fa_heap_free(allocator, block);
        return FA_BUDGET_ANSWER_ALLOW;
    };
    const fa_budget budget = asked.Budget(10);
    for (fa_intent intent : {FA_INTENT_FRAME, FA_INTENT_POOL})
        for (fa_tag tag : {FA_TAG_ROOT, ai})
            ASSERT_EQ(fa_budget_set_tag(allocator, tag, intent, &budget), FA_OK);
    ASSERT_EQ(fa_budget_set_thread(allocator, FA_INTENT_FRAME, &budget), FA_OK);
    EXPECT_EQ(fa_tag_enter(allocator, ai), FA_OK);
    void *object = fa_pool_alloc(allocator, 64);
    EXPECT_NE(object, nullptr);
    EXPECT_EQ(asked.all.size(), 2u);
    asked.all.clear();
    ASSERT_NE(fa_frame_begin(allocator), nullptr);
    EXPECT_NE(fa_frame_alloc(allocator, 64), nullptr);
    ASSERT_EQ(asked.all.size(), 3u);
    EXPECT_EQ(asked.all[0].tag, ai);
    EXPECT_EQ(asked.all[1].tag, FA_TAG_ROOT);
    EXPECT_EQ(asked.all[2].tag, FA_TAG_NONE);
    EXPECT_EQ(fa_frame_end(allocator), FA_OK);
    EXPECT_EQ(fa_tag_leave(allocator), FA_OK);
    fa_pool_free(allocator, object);
}

// ---- errors ----

TEST(BudgetErrors, AreRefused) {
    Allocator allocator{Plain()};
    Asked asked;
    fa_budget budget = Hard(100);
    const volatile int bad = FA_INTENT_HEAP + 1;
    const auto refused = [&](int intent) { // an enumeration can't hold what is none of it
        fa_last_error_clear();
        EXPECT_EQ(fa_budget_set(allocator, static_cast<fa_intent>(intent), &budget),
                  FA_ERROR_INVALID);
        EXPECT_EQ(fa_last_error().status, FA_ERROR_INVALID);
        EXPECT_EQ(Usage(allocator, FA_INTENT_HEAP).hard_bytes, 0u);
    };
    refused(bad);
    const volatile int policy = FA_BUDGET_ASK + 1;
    budget.policy = static_cast<fa_budget_policy>(policy);
    refused(FA_INTENT_HEAP);
    budget.policy = FA_BUDGET_ASK;
    refused(FA_INTENT_HEAP);
    budget.policy = FA_BUDGET_FAIL;
    budget.ask = Asked::Call;
    refused(FA_INTENT_HEAP);
    budget.ask = nullptr;
    budget.policy = FA_BUDGET_PROMOTE;
    refused(FA_INTENT_HEAP);
    refused(kTotal);
    budget = Hard(100);
    const fa_tag none = static_cast<fa_tag>(fa_tag_count(allocator));
    EXPECT_EQ(fa_budget_set_tag(allocator, none, kTotal, &budget), FA_ERROR_INVALID);
    EXPECT_EQ(fa_budget_set_tag(allocator, FA_TAG_NONE, kTotal, &budget), FA_ERROR_INVALID);
    for (fa_intent intent : {kTotal, FA_INTENT_HEAP}) {
        EXPECT_EQ(fa_budget_set_thread(allocator, intent, &budget), FA_ERROR_INVALID);
        EXPECT_EQ(fa_budget_set_thread_default(allocator, intent, &budget), FA_ERROR_INVALID);
        fa_budget_usage usage = {1, 1, 1, 1, 1, 1, 1, 1};
        EXPECT_EQ(fa_budget_get_thread(allocator, intent, &usage), FA_ERROR_INVALID);
        EXPECT_EQ(usage.used, 0u);
    }
    EXPECT_EQ(fa_thread_count(allocator), 0u) << "a refusal attaches nobody";
    EXPECT_EQ(fa_budget_set(allocator, kTotal, nullptr), FA_OK) << "there is none";
}
