// Mistakes that scratch scopes and pools once made.
#include "fa/testing_budgets.hpp"
#include "fa/testing_forks.hpp"
#include "fa/testing_threads.hpp"

#include "fa/fa.hpp"

#include <atomic>
#include <thread>

using namespace fa_testing;

namespace {

size_t HeldBy(fa_scratch_pool pool) {
    fa_scratch_pool_stats stats;
    EXPECT_EQ(fa_scratch_pool_stats_get(pool, &stats), FA_OK);
    return stats.bytes_held;
}

struct Hook {
    fa_allocator *allocator = nullptr;
    fa_scratch_pool pool = {nullptr, 0};
    int calls = 0;
};

class ScratchRegression : public testing::TestWithParam<uint32_t> {
  protected:
    void Create(void (*on_event)(void *, const fa_event *) = nullptr) {
        fa_alloc_config config = Plain();
        config.checks = GetParam();
        config.on_event = on_event;
        config.on_event_user = &hook_;
        ASSERT_EQ(fa_allocator_create(&config, &allocator_), FA_OK);
        hook_.allocator = allocator_;
    }
    void TearDown() override {
        ExpectValid(allocator_);
        EXPECT_EQ(fa_allocator_destroy(allocator_), 0u);
    }
    Hook hook_;
    fa_allocator *allocator_ = nullptr;
};

TEST_P(ScratchRegression, GrowingLooksAtTheSizeThatItIsTold) {
    Create();
    const fa_scratch scratch = fa_scratch_begin(allocator_, nullptr, 0);
    auto *block = static_cast<char *>(fa_scratch_alloc(scratch, 16));
    ASSERT_NE(fa_scratch_alloc(scratch, 16), nullptr);
    Paint(block, 1, 16);
    EXPECT_EQ(fa_scratch_grow(scratch, block, 1 << 20, 1 << 19), nullptr);
    EXPECT_EQ(fa_last_error().status, FA_ERROR_FOREIGN);
    EXPECT_EQ(fa_scratch_grow(scratch, block, 64 << 20, 65 << 20), nullptr);
    EXPECT_EQ(fa_last_error().status, FA_ERROR_FOREIGN);
    EXPECT_EQ(fa_scratch_grow(scratch, block, 0, 16), nullptr);
    EXPECT_EQ(fa_scratch_grow(scratch, block, SIZE_MAX, 16), nullptr);
    EXPECT_EQ(fa_scratch_grow(scratch, block + 1, 15, 32), nullptr);
    EXPECT_EQ(fa_last_error().status, FA_ERROR_FOREIGN);
    /* Below the current chunk too, and in a chunk of its own. */
    char *large = static_cast<char *>(fa_scratch_alloc(scratch, 8 << 20));
    ASSERT_NE(large, nullptr);
    EXPECT_EQ(fa_scratch_grow(scratch, large, 16 << 20, 15 << 20), nullptr);
    while (fa_scratch_alloc(scratch, 4096) < large && hook_.calls++ < 200) {
    }
    EXPECT_EQ(fa_scratch_grow(scratch, block, 1 << 20, 1 << 19), nullptr);
    auto *grown = static_cast<char *>(fa_scratch_grow(scratch, block, 16, 5000));
    ASSERT_NE(grown, nullptr);
    EXPECT_TRUE(IsPainted(grown, 1, 16));
    EXPECT_EQ(fa_scratch_end(scratch), FA_OK);
}

TEST_P(ScratchRegression, AHookMayUseScratchMemoryWhileABlockGrows) {
    Create([](void *user, const fa_event *) {
        auto *hook = static_cast<Hook *>(user);
        hook->calls++;
        const fa_scratch scratch = fa_scratch_begin(hook->allocator, nullptr, 0);
        EXPECT_NE(fa_scratch_alloc(scratch, 200), nullptr);
        EXPECT_EQ(fa_scratch_end(scratch), FA_OK);
    });
    fa_budget budget = {};
    budget.soft_bytes = 100000;
    ASSERT_EQ(fa_budget_set(allocator_, FA_INTENT_NONE, &budget), FA_OK);
    const fa_scratch scratch = fa_scratch_begin(allocator_, nullptr, 0);
    void *block = fa_scratch_alloc(scratch, 1000);
    Paint(block, 2, 1000);
    ASSERT_NE(fa_scratch_alloc(scratch, 16), nullptr);
    void *grown = fa_scratch_grow(scratch, block, 1000, 3000000);
    ASSERT_NE(grown, nullptr);
    EXPECT_NE(hook_.calls, 0);
    EXPECT_TRUE(IsPainted(grown, 2, 1000));
    EXPECT_EQ(fa_scratch_end(scratch), FA_OK);
}

/* keeps: goes back to a mark of its own; else to one from before the block. */
void GrowWithRewindingHook(fa_allocator *allocator, Hook *hook, bool keeps) {
    fa_budget budget = {};
    budget.soft_bytes = 100000;
    ASSERT_EQ(fa_budget_set(allocator, FA_INTENT_NONE, &budget), FA_OK);
    const fa_scratch_pool pool = fa_scratch_pool_open(allocator, "pool", 0, 0);
    void *block = fa_scratch_pool_alloc(pool, 1000);
    Paint(block, 3, 1000);
    ASSERT_NE(fa_scratch_pool_alloc(pool, 16), nullptr);
    hook->pool = pool;
    void *grown = fa_scratch_pool_grow(pool, block, 1000, 3000000);
    hook->pool.head = nullptr;
    EXPECT_NE(hook->calls, 0);
    EXPECT_EQ(grown != nullptr, keeps);
    if (grown != nullptr) {
        EXPECT_TRUE(IsPainted(grown, 3, 1000));
    } else {
        EXPECT_EQ(fa_last_error().diag, FA_DIAG_FA610);
    }
}

TEST_P(ScratchRegression, AHookMayGoBackToAMarkOfItsOwn) {
    Create([](void *user, const fa_event *) {
        auto *hook = static_cast<Hook *>(user);
        if (hook->pool.head == nullptr)
            return;
        hook->calls++;
        const fa_scratch_pool_mark mark = fa_scratch_pool_mark_set(hook->pool);
        EXPECT_NE(fa_scratch_pool_alloc(hook->pool, 100), nullptr);
        EXPECT_EQ(fa_scratch_pool_rewind(hook->pool, mark), FA_OK);
    });
    GrowWithRewindingHook(allocator_, &hook_, true);
}

TEST_P(ScratchRegression, AHookThatFreesTheBlockIsFoundOut) {
    Create([](void *user, const fa_event *) {
        auto *hook = static_cast<Hook *>(user);
        if (hook->pool.head == nullptr)
            return;
        hook->calls++;
        EXPECT_EQ(fa_scratch_pool_reset(hook->pool), FA_OK);
    });
    GrowWithRewindingHook(allocator_, &hook_, false);
}

TEST_P(ScratchRegression, WhatIsFoundHasASerial) {
    Create();
    std::atomic<bool> over{false};
    std::thread other([&] {
        while (!over)
            (void)fa_scratch_pool_remove(fa_scratch_pool_open(allocator_, "pool", 0, 0));
        (void)fa_thread_detach(allocator_);
    });
    size_t bad = 0;
    for (int i = 0; i < 20000; i++) {
        const fa_scratch_pool pool = fa_scratch_pool_find(allocator_, "pool");
        bad += (pool.head != nullptr) != (pool.serial != 0);
    }
    over = true;
    other.join();
    EXPECT_EQ(bad, 0u);
}

TEST_P(ScratchRegression, AScopeObjectThatCouldNotEndEndsLater) {
    Create();
    {
        fa::scratch_scope outer(allocator_);
        {
            fa::scratch_scope inner(allocator_);
            EXPECT_EQ(outer.end(), FA_ERROR_FOREIGN);
            EXPECT_TRUE(static_cast<bool>(outer));
        }
    }
    fa_scratch_stats stats;
    ASSERT_EQ(fa_scratch_stats_get(allocator_, &stats), FA_OK);
    EXPECT_EQ(stats.scope_count, 0u);
    {
        fa::frame_scope frame(allocator_);
        const fa_mark mark = fa_frame_mark_in(frame);
        ASSERT_EQ(fa_frame_defer_in(
                      frame,
                      [](void *scope) {
                          EXPECT_EQ(static_cast<fa::frame_scope *>(scope)->end(),
                                    FA_ERROR_FRAME_OPEN);
                      },
                      &frame),
                  FA_OK);
        EXPECT_EQ(fa_frame_rewind_in(frame, mark), FA_OK);
    }
    EXPECT_EQ(fa_frame_current(allocator_), nullptr);
}

INSTANTIATE_TEST_SUITE_P(Checks, ScratchRegression,
                         testing::Values(0u, static_cast<uint32_t>(FA_CHECK_ALL)));

/* Scratch memory that nobody uses goes before anything is refused, also where the store gives it
 * back at once, so that no cache is smaller afterwards. */
TEST(ScratchMemoryRegression, WhatIsIdleGoesBeforeMemoryIsRefused) {
    constexpr size_t most = 16 << 20;
    for (size_t bytes : {most / 4, most / 2 + 1, most * 5 / 8}) {
        fa_alloc_config config = Plain();
        config.bytes_max = most;
        config.heap_cache_bytes = 0;
        fa_allocator *allocator;
        ASSERT_EQ(fa_allocator_create(&config, &allocator), FA_OK);
        const fa_scratch scratch = fa_scratch_begin(allocator, nullptr, 0);
        ASSERT_NE(fa_scratch_alloc(scratch, bytes), nullptr);
        EXPECT_EQ(fa_scratch_end(scratch), FA_OK);
        fa_scratch_stats stats;
        ASSERT_EQ(fa_scratch_stats_get(allocator, &stats), FA_OK);
        EXPECT_GE(stats.bytes_held, bytes) << "kept for the next scope";
        void *block = fa_heap_alloc(allocator, most * 13 / 16);
        EXPECT_NE(block, nullptr) << bytes;
        ASSERT_EQ(fa_scratch_stats_get(allocator, &stats), FA_OK);
        EXPECT_EQ(stats.bytes_held, 0u);
        fa_heap_free(allocator, block);
        EXPECT_EQ(fa_allocator_destroy(allocator), 0u);
    }
}

/* A chunk larger than what is needed would be nice to have: where a budget, bytes_max or the
 * backend refuse it, nobody hears of that, and nothing is given back for it. */
TEST(ScratchMemoryRegression, WhatWouldBeNiceToHaveIsOnlyTriedFor) {
    for (int limit = 0; limit < 3; limit++) {
        Source source;
        int reclaims = 0;
        Events events;
        fa_alloc_config config = Plain();
        config.backends[0] = source.backend;
        config.on_event = Events::Hook;
        config.on_event_user = &events;
        config.frame_chunk_bytes_first = 1 << 20;
        config.bytes_max = limit == 0 ? 16 << 20 : 0;
        fa_allocator *allocator;
        ASSERT_EQ(fa_allocator_create(&config, &allocator), FA_OK);
        ASSERT_EQ(fa_reclaimer_add(
                      allocator, 0,
                      [](void *user, fa_allocator *, size_t) -> size_t {
                          ++*static_cast<int *>(user);
                          return 0;
                      },
                      &reclaims),
                  FA_OK);
        const fa_scratch_pool pool = fa_scratch_pool_open(allocator, "pool", 0, 0);
        ASSERT_NE(fa_scratch_pool_alloc(pool, 100), nullptr);
        void *other = fa_heap_alloc(allocator, 200000); // a region has room for some more
        if (limit == 1) {
            const fa_budget budget = Hard(Used(allocator, kTotal) + 1000000);
            EXPECT_EQ(fa_budget_set(allocator, kTotal, &budget), FA_OK);
        } else if (limit == 2) {
            source.Fail(1);
        } else {
            while (fa_heap_alloc(allocator, 4 << 20) != nullptr) {
            }
            events.all.clear();
            reclaims = 0;
        }
        const size_t before = HeldBy(pool);
        size_t count = 0;
        while (HeldBy(pool) == before && count++ < 64)
            ASSERT_NE(fa_scratch_pool_alloc(pool, 30000), nullptr) << limit;
        EXPECT_LT(HeldBy(pool) - before, size_t{1} << 20) << "not twice the first";
        EXPECT_TRUE(events.all.empty()) << limit;
        EXPECT_EQ(reclaims, 0);
        source.Fail(0);
        fa_heap_free(allocator, other);
        fa_allocator_destroy(allocator);
    }
}

/* What one large block took once is no size for those that follow. */
TEST_P(ScratchRegression, OneLargeBlockIsNoPlanForSmallOnes) {
    Create();
    const fa_scratch_pool pool = fa_scratch_pool_open(allocator_, "pool", 0, 0);
    for (int round = 0; round < 3; round++) {
        ASSERT_NE(fa_scratch_pool_alloc(pool, 100), nullptr);
        const fa_scratch_pool_mark mark = fa_scratch_pool_mark_set(pool);
        ASSERT_NE(fa_scratch_pool_alloc(pool, 32 << 20), nullptr);
        EXPECT_EQ(fa_scratch_pool_rewind(pool, mark), FA_OK);
        while (HeldBy(pool) > 2 << 20 && fa_scratch_pool_trim(pool) != 0) {
        }
        for (int i = 0; i < 100; i++)
            ASSERT_NE(fa_scratch_pool_alloc(pool, 20000), nullptr);
        EXPECT_LT(HeldBy(pool), size_t{16} << 20);
        EXPECT_EQ(fa_scratch_pool_rewind(pool, mark), FA_OK);
    }
    EXPECT_EQ(fa_scratch_pool_remove(pool), FA_OK);
}

/* bytes_max is for what is used: memory that is only kept makes room. */
TEST_P(ScratchRegression, WhatIsKeptDoesNotCountAgainstTheMost) {
    Create();
    constexpr size_t most = 8 << 20;
    const fa_scratch_pool pool = fa_scratch_pool_open(allocator_, "pool", 0, most);
    for (size_t bytes : {3 << 20, 5 << 20, 7 << 20, 6 << 20, 7 << 20}) {
        ASSERT_NE(fa_scratch_pool_alloc(pool, bytes), nullptr) << bytes;
        EXPECT_LE(HeldBy(pool), most);
        EXPECT_EQ(fa_scratch_pool_reset(pool), FA_OK);
        EXPECT_NE(HeldBy(pool), 0u) << "kept for the next time";
    }
    EXPECT_EQ(fa_scratch_pool_alloc(pool, most + 1), nullptr);
    EXPECT_EQ(fa_last_error().status, FA_ERROR_FULL);
    EXPECT_EQ(fa_scratch_pool_remove(pool), FA_OK);
}

TEST_P(ScratchRegression, APoolIsTrimmedByItself) {
    Create();
    const fa_scratch_pool pool = fa_scratch_pool_open(allocator_, "pool", 0, 0);
    EXPECT_EQ(fa_scratch_pool_trim(pool), 0u);
    char *kept = static_cast<char *>(fa_scratch_pool_alloc(pool, 100));
    Paint(kept, 1, 100);
    const fa_scratch_pool_mark mark = fa_scratch_pool_mark_set(pool);
    ASSERT_NE(fa_scratch_pool_alloc(pool, 8 << 20), nullptr);
    EXPECT_EQ(fa_scratch_pool_rewind(pool, mark), FA_OK);
    fa_scratch_pool_stats stats;
    EXPECT_EQ(fa_scratch_pool_stats_get(pool, &stats), FA_OK);
    const size_t held = stats.bytes_held, given = fa_scratch_pool_trim(pool);
    EXPECT_EQ(fa_scratch_pool_stats_get(pool, &stats), FA_OK);
    EXPECT_EQ(stats.bytes_held + given, held);
    EXPECT_TRUE(IsPainted(kept, 1, 100)) << "what is in use stays";
    EXPECT_EQ(fa_scratch_pool_reset(pool), FA_OK);
    EXPECT_NE(fa_scratch_pool_trim(pool), 0u);
    EXPECT_EQ(fa_scratch_pool_stats_get(pool, &stats), FA_OK);
    EXPECT_EQ(stats.bytes_held, 0u);
    ASSERT_NE(fa_scratch_pool_alloc(pool, 100), nullptr);
    EXPECT_EQ(fa_scratch_pool_remove(pool), FA_OK);
    fa_last_error_clear();
    EXPECT_EQ(fa_scratch_pool_trim(pool), 0u);
    EXPECT_EQ(fa_last_error().diag, FA_DIAG_FA610);
}

/* A thread that is inside of a pool, waiting in a reclaimer, does not survive the fork. */
struct Waiting {
    std::atomic<bool> inside{false}, go{false};
};

TEST(ScratchForkRegression, TheChildMayUseAPoolThatAnotherThreadWasInsideOf) {
    if (kTsan)
        GTEST_SKIP() << "a child of a process with threads is not supported";
    fa_alloc_config config = Plain();
    config.bytes_max = 20 << 20;
    fa_allocator *allocator;
    ASSERT_EQ(fa_allocator_create(&config, &allocator), FA_OK);
    const fa_scratch_pool pool = fa_scratch_pool_open(allocator, "pool", 0, 0);
    ASSERT_NE(fa_scratch_pool_alloc(pool, 10), nullptr);
    Waiting waiting;
    ASSERT_EQ(fa_reclaimer_add(
                  allocator, 0,
                  [](void *user, fa_allocator *, size_t) -> size_t {
                      auto *at = static_cast<Waiting *>(user);
                      at->inside = true;
                      while (!at->go)
                          std::this_thread::yield();
                      return 0;
                  },
                  &waiting),
              FA_OK);
    std::thread other([&] {
        EXPECT_EQ(fa_scratch_pool_alloc(pool, 50 << 20), nullptr);
        (void)fa_thread_detach(allocator);
    });
    while (!waiting.inside)
        std::this_thread::yield();
    InChild([&] {
        const bool fine =
            fa_scratch_pool_reset(pool) == FA_OK && fa_scratch_pool_remove(pool) == FA_OK;
        return fine ? 0 : __LINE__;
    });
    waiting.go = true;
    other.join();
    EXPECT_EQ(fa_allocator_destroy(allocator), 0u);
}

} // namespace
