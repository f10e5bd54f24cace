// Budgets: hooks, threads, and backends that fail.
#include "fa/testing_budgets.hpp"

#include <atomic>

using namespace fa_testing;

INSTANTIATE_TEST_SUITE_P(All, Budget, testing::ValuesIn(kBudgetKinds), BudgetKindName);

TEST_P(Budget, HooksMayUseEverything) {
    fa_alloc_config config = Config();
    struct State {
        fa_allocator *allocator = nullptr;
        size_t calls = 0;
    } state;
    config.on_event = [](void *user, const fa_event *) {
        State *self = static_cast<State *>(user);
        fa_allocator *allocator = self->allocator;
        if (allocator == nullptr)
            return;
        self->calls++;
        Ignore(fa_frame_alloc(allocator, 40));
        fa_pool_free(allocator, fa_pool_alloc(allocator, 40));
        fa_heap_free(allocator, fa_heap_alloc(allocator, 40));
        fa_budget_usage usage;
        EXPECT_EQ(fa_budget_get(allocator, kTotal, &usage), FA_OK);
        fa_budget budget = Hard(100000 + self->calls);
        budget.soft_bytes = 100 * self->calls;
        EXPECT_EQ(fa_budget_set(allocator, FA_INTENT_NONE, &budget), FA_OK);
        EXPECT_EQ(fa_tag_enter(allocator, FA_TAG_AUDIO), FA_OK);
        Ignore(fa_frame_alloc(allocator, 3000));
        EXPECT_EQ(fa_tag_leave(allocator), FA_OK);
    };
    config.on_event_user = &state;
    Allocator allocator(config);
    state.allocator = allocator;
    fa_budget budget = Hard(20000);
    budget.soft_bytes = 100;
    budget.report_peaks = true;
    for (fa_intent intent : {FA_INTENT_FRAME, FA_INTENT_POOL, FA_INTENT_HEAP})
        ASSERT_EQ(fa_budget_set(allocator, intent, &budget), FA_OK);
    std::vector<void *> blocks;
    for (int frame = 0; frame < 5; frame++) {
        ASSERT_NE(fa_frame_begin(allocator), nullptr);
        for (int i = 0; i < 100; i++) {
            Ignore(fa_frame_alloc(allocator, 500));
            blocks.push_back(fa_pool_alloc(allocator, 300));
            blocks.push_back(fa_heap_alloc(allocator, 700));
            for (fa_intent intent : {FA_INTENT_FRAME, FA_INTENT_POOL, FA_INTENT_HEAP})
                EXPECT_LE(Used(allocator, intent), 20000u);
        }
        ExpectValid(allocator);
        EXPECT_EQ(fa_frame_end(allocator), FA_OK);
        EXPECT_EQ(Used(allocator, FA_INTENT_FRAME), 0u);
    }
    EXPECT_GT(state.calls, 10u);
    for (void *block : blocks)
        fa_free(allocator, block);
    fa_allocator_trim(allocator);
    EXPECT_EQ(Used(allocator, kTotal), 0u);
    state.allocator = nullptr;
}

// ---- threads ----

TEST_P(Budget, OfThreads) {
    fa_alloc_config config = Config();
    config.on_event = nullptr;
    Allocator allocator(config);
    const size_t object = ClassBytes(allocator, 256), block = FrameBytes(allocator, 160);
    const fa_budget frames = Hard(10 * block), pools = Hard(20 * object);
    const fa_budget others_frames = Hard(5 * block), others_pools = Hard(7 * object);
    ASSERT_EQ(fa_budget_set_thread(allocator, FA_INTENT_FRAME, &frames), FA_OK);
    ASSERT_EQ(fa_budget_set_thread(allocator, FA_INTENT_POOL, &pools), FA_OK);
    ASSERT_EQ(fa_budget_set_thread_default(allocator, FA_INTENT_FRAME, &others_frames), FA_OK);
    ASSERT_EQ(fa_budget_set_thread_default(allocator, FA_INTENT_POOL, &others_pools), FA_OK);
    const auto fill = [&](std::vector<void *> *objects, size_t frame_count, size_t pool_count) {
        for (int frame = 0; frame < 3; frame++) {
            ASSERT_NE(fa_frame_begin(allocator), nullptr);
            size_t got = 0;
            while (fa_frame_alloc(allocator, 160) != nullptr)
                got++;
            EXPECT_EQ(got, frame_count);
            EXPECT_EQ(ThreadUsage(allocator, FA_INTENT_FRAME).used, frame_count * block);
            EXPECT_EQ(fa_frame_end(allocator), FA_OK);
            EXPECT_EQ(ThreadUsage(allocator, FA_INTENT_FRAME).used, 0u);
        }
        for (void *each; (each = fa_pool_alloc(allocator, 256)) != nullptr;)
            objects->push_back(each);
        EXPECT_EQ(objects->size(), pool_count);
        EXPECT_EQ(ThreadUsage(allocator, FA_INTENT_POOL).used, pool_count * object);
        EXPECT_EQ(fa_budget_remaining(allocator, FA_INTENT_POOL), 0u);
        EXPECT_EQ(fa_last_error().diag, FA_DIAG_FA302);
    };
    std::vector<void *> mine, theirs;
    fill(&mine, 10, 20);
    OnThread([&] {
        fa_budget_usage usage;
        EXPECT_EQ(fa_budget_get_thread(allocator, FA_INTENT_POOL, &usage), FA_ERROR_INVALID);
        fill(&theirs, 5, 7);
        /* Objects of another thread's slabs make no room here, but there. */
        for (void *each : mine)
            fa_pool_free(allocator, each);
        EXPECT_EQ(fa_pool_alloc(allocator, 256), nullptr);
    });
    EXPECT_EQ(Used(allocator, FA_INTENT_POOL) % object, 0u);
    mine.clear();
    fill(&mine, 10, 20 - (mine.size() ? 0 : 0));
    EXPECT_EQ(Used(allocator, FA_INTENT_POOL), 27 * object);
    /* Slabs of a thread that is gone, when somebody adopts them, are his. */
    for (void *each : mine)
        fa_pool_free(allocator, each);
    fa_allocator_trim(allocator);
    EXPECT_EQ(ThreadUsage(allocator, FA_INTENT_POOL).used, 0u);
    fa_pool_free(allocator, theirs.back());
    theirs.pop_back();
    void *adopted = fa_pool_alloc(allocator, 256);
    EXPECT_NE(adopted, nullptr);
    EXPECT_GE(ThreadUsage(allocator, FA_INTENT_POOL).used, 7 * object);
    fa_pool_free(allocator, adopted);
    for (void *each : theirs)
        fa_pool_free(allocator, each);
    EXPECT_EQ(fa_budget_set_thread(allocator, FA_INTENT_FRAME, nullptr), FA_OK);
    EXPECT_EQ(ThreadUsage(allocator, FA_INTENT_FRAME).hard_bytes, 0u);
    EXPECT_EQ(fa_thread_detach(allocator), FA_OK);
    EXPECT_EQ(Used(allocator, kTotal), 0u);
    ExpectValid(allocator);
}

TEST_P(Budget, SetWhileFramesAreOpen) {
    Allocator allocator(Config());
    ASSERT_NE(fa_frame_begin(allocator), nullptr);
    EXPECT_NE(fa_frame_alloc(allocator, 50000), nullptr);
    fa_budget budget = Hard(5000);
    ASSERT_EQ(fa_budget_set(allocator, FA_INTENT_FRAME, &budget), FA_OK);
    while (fa_frame_alloc(allocator, 1000) != nullptr) /* what the open chunk holds */
        continue;
    EXPECT_EQ(fa_last_error().diag, FA_DIAG_FA302);
    EXPECT_LE(Used(allocator, FA_INTENT_FRAME), 5000u);
    EXPECT_EQ(fa_frame_end(allocator), FA_OK);
    EXPECT_EQ(Used(allocator, FA_INTENT_FRAME), 0u);
    ASSERT_NE(fa_frame_begin(allocator), nullptr);
    EXPECT_NE(fa_frame_alloc(allocator, 4000), nullptr);
    budget = Hard(1000);
    ASSERT_EQ(fa_budget_set(allocator, FA_INTENT_FRAME, &budget), FA_OK);
    EXPECT_EQ(Usage(allocator, FA_INTENT_FRAME).remaining, 0u);
    EXPECT_REFUSED(fa_frame_alloc(allocator, 4000));
    ASSERT_EQ(fa_budget_set(allocator, FA_INTENT_FRAME, nullptr), FA_OK);
    EXPECT_NE(fa_frame_alloc(allocator, 40000), nullptr);
    EXPECT_GE(Used(allocator, FA_INTENT_FRAME), 4000u) << "charged until the frame ends";
    EXPECT_EQ(fa_frame_end(allocator), FA_OK);
    EXPECT_EQ(Used(allocator, FA_INTENT_FRAME), 0u);
}

TEST_P(Budget, IsSetFromAnotherThreadWhileFramesRun) {
    fa_alloc_config config = Config();
    config.on_event = nullptr;
    Allocator allocator(config);
    std::atomic<bool> stop{false};
    std::vector<std::thread> threads;
    for (int t = 0; t < 3; t++)
        threads.emplace_back([&] {
            while (!stop) {
                EXPECT_NE(fa_frame_begin(allocator), nullptr);
                for (int i = 0; i < 10; i++)
                    if (void *block = fa_frame_alloc(allocator, 300))
                        std::memset(block, 1, 300);
                EXPECT_EQ(fa_frame_end(allocator), FA_OK);
            }
        });
    const fa_budget budget = Hard(20000);
    for (size_t i = 0; i < Rounds(200); i++) {
        EXPECT_EQ(fa_budget_set(allocator, FA_INTENT_FRAME, &budget), FA_OK);
        std::this_thread::yield();
        EXPECT_EQ(fa_budget_set(allocator, FA_INTENT_FRAME, nullptr), FA_OK);
    }
    EXPECT_EQ(fa_budget_set(allocator, FA_INTENT_FRAME, &budget), FA_OK);
    stop = true;
    for (std::thread &thread : threads)
        thread.join();
    EXPECT_EQ(Used(allocator, kTotal), 0u);
    ASSERT_NE(fa_frame_begin(allocator), nullptr);
    EXPECT_NE(fa_frame_alloc(allocator, 100), nullptr);
    EXPECT_GE(Used(allocator, FA_INTENT_FRAME), 112u);
    EXPECT_EQ(fa_frame_end(allocator), FA_OK);
}

// Four threads at the edge of several budgets, a fifth looks: never a byte over.
TEST_P(Budget, FourThreadsNeverPassIt) {
    fa_alloc_config config = Config();
    config.on_event = nullptr;
    Allocator allocator(config);
    const fa_tag ai = fa_tag_intern(allocator, "ai"), path = fa_tag_intern(allocator, "ai::path");
    struct Limit {
        fa_tag tag;
        fa_intent intent;
        size_t bytes;
    } const limits[] = {{FA_TAG_ROOT, kTotal, 400000},
                        {FA_TAG_ROOT, FA_INTENT_HEAP, 150000},
                        {ai, kTotal, 300000},
                        {ai, FA_INTENT_FRAME, 100000},
                        {FA_TAG_ROOT, FA_INTENT_FRAME, 120000},
                        {path, FA_INTENT_POOL, 60000},
                        {FA_TAG_ROOT, FA_INTENT_POOL, 110000}};
    for (const Limit &limit : limits) {
        const fa_budget budget = Hard(limit.bytes);
        ASSERT_EQ(fa_budget_set_tag(allocator, limit.tag, limit.intent, &budget), FA_OK);
    }
    std::atomic<bool> stop{false};
    std::atomic<size_t> refused{0}, samples{0};
    std::thread sampler([&] {
        while (!stop) {
            for (const Limit &limit : limits)
                EXPECT_LE(Used(allocator, limit.intent, limit.tag), limit.bytes);
            samples++;
        }
    });
    Random random;
    std::vector<std::thread> threads;
    for (uint64_t t = 0; t < 4; t++)
        threads.emplace_back([&, t] {
            Engine engine(random.Seed() + t);
            std::vector<void *> blocks;
            for (size_t frame = 0; frame < Rounds(160); frame++) {
                EXPECT_NE(fa_frame_begin(allocator), nullptr);
                for (size_t i = 0; i < 100; i++) {
                    const fa_tag tag = Pick(engine, 0, 2) == 0 ? ai : path;
                    const bool tagged = Pick(engine, 0, 3) != 0;
                    if (tagged) {
                        EXPECT_EQ(fa_tag_enter(allocator, tag), FA_OK);
                    }
                    const fa_mark mark = fa_frame_mark(allocator);
                    for (size_t n = Pick(engine, 1, 20); n-- > 0;) {
                        void *block = fa_frame_alloc(allocator, Pick(engine, 1, 2500));
                        refused += block == nullptr;
                        block = Pick(engine, 0, 1)
                                    ? fa_pool_alloc(allocator, Pick(engine, 1, 2000))
                                    : fa_heap_alloc(allocator, Pick(engine, 1, 9000));
                        refused += block == nullptr;
                        if (block != nullptr)
                            blocks.push_back(block);
                    }
                    if (Pick(engine, 0, 1)) {
                        EXPECT_EQ(fa_frame_rewind(allocator, mark), FA_OK);
                    }
                    if (tagged) {
                        EXPECT_EQ(fa_tag_leave(allocator), FA_OK);
                    }
                    while (blocks.size() > 40) {
                        const size_t victim = Pick(engine, 0, blocks.size() - 1);
                        fa_free(allocator, blocks[victim]);
                        blocks[victim] = blocks.back();
                        blocks.pop_back();
                    }
                }
                EXPECT_EQ(fa_frame_end(allocator), FA_OK);
            }
            for (void *block : blocks)
                fa_free(allocator, block);
        });
    for (std::thread &thread : threads)
        thread.join();
    stop = true;
    sampler.join();
    EXPECT_GT(refused, 0u);
    EXPECT_GT(samples, 0u);
    for (const Limit &limit : limits) {
        EXPECT_EQ(Used(allocator, limit.intent, limit.tag), 0u);
        EXPECT_LE(Usage(allocator, limit.intent, limit.tag).peak, limit.bytes);
    }
    ExpectValid(allocator);
}

// Each backend call fails once: what was charged for it is taken back.
TEST(BudgetFaults, LeaveNothingCharged) {
    for (bool lasting : {false, true})
        for (uint64_t at = 1;; at++) {
            Source source;
            source.Fail(at, lasting);
            fa_alloc_config config = Plain(fa_alloc_config_minimal());
            config.backends[0] = source.backend;
            fa_allocator *allocator = nullptr;
            if (fa_allocator_create(&config, &allocator) != FA_OK)
                continue;
            fa_budget hard = Hard(300000);
            const fa_tag tag = fa_tag_intern(allocator, "some::long::path::to::a::tag");
            for (fa_intent intent : {kTotal, FA_INTENT_FRAME, FA_INTENT_POOL, FA_INTENT_HEAP}) {
                hard.policy = intent == FA_INTENT_FRAME ? FA_BUDGET_PROMOTE : FA_BUDGET_FAIL;
                for (fa_tag each = 0; each < fa_tag_count(allocator); each++)
                    (void)fa_budget_set_tag(allocator, each, intent, &hard);
            }
            (void)fa_budget_set_thread(allocator, FA_INTENT_FRAME, &hard);
            std::vector<void *> blocks;
            for (int frame = 0; frame < 3; frame++) {
                if (fa_frame_begin(allocator) == nullptr)
                    continue;
                for (size_t i = 0; i < 60; i++) {
                    const bool entered =
                        tag != FA_TAG_NONE && fa_tag_enter(allocator, tag) == FA_OK;
                    const fa_mark mark = fa_frame_mark(allocator);
                    Ignore(fa_frame_alloc(allocator, 500 * i + 1));
                    blocks.push_back(fa_pool_alloc(allocator, 64 * i + 1));
                    blocks.push_back(fa_heap_alloc(allocator, 700 * i + 1));
                    if (i % 4 == 0) {
                        EXPECT_EQ(fa_frame_rewind(allocator, mark), FA_OK);
                    }
                    if (entered) {
                        EXPECT_EQ(fa_tag_leave(allocator), FA_OK);
                    }
                }
                EXPECT_EQ(fa_frame_end(allocator), FA_OK);
                EXPECT_EQ(Used(allocator, FA_INTENT_FRAME), 0u);
            }
            for (void *block : blocks)
                fa_free(allocator, block);
            fa_allocator_trim(allocator);
            for (fa_tag each = 0; each < fa_tag_count(allocator); each++)
                EXPECT_EQ(Used(allocator, kTotal, each), 0u);
            ExpectValid(allocator);
            const bool met = fa_failing_calls(&source.failing, FA_FAILING_ALLOC) >= at ||
                             fa_failing_calls(&source.failing, FA_FAILING_RESIZE) >= at;
            EXPECT_EQ(fa_allocator_destroy(allocator), 0u);
            EXPECT_EQ(source.BytesLive(), 0u);
            if (!met)
                break;
        }
}
