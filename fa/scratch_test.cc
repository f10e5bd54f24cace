// Scratch scopes: every promise and every error of scratch.h.
#include "fa/testing_checked.hpp"
#include "fa/testing_forks.hpp"

#include <atomic>
#include <string>
#include <thread>

using namespace fa_testing;

namespace {

fa_scratch_stats ScratchStats(fa_allocator *allocator) {
    fa_scratch_stats stats;
    EXPECT_EQ(fa_scratch_stats_get(allocator, &stats), FA_OK);
    return stats;
}

class Scratch : public Checked {
  protected:
    fa_scratch Begin() { return fa_scratch_begin(allocator_, nullptr, 0); }
    fa_scratch Beside(std::vector<fa_scratch> conflicts) {
        return fa_scratch_begin(allocator_, conflicts.data(), conflicts.size());
    }
};

TEST_P(Scratch, AScopeNeedsNoFrameAndGivesItsMemoryBack) {
    const fa_scratch scratch = Begin();
    ASSERT_NE(scratch.head, nullptr);
    void *first = nullptr;
    for (size_t i = 0; i < 1000; i++) {
        const size_t size = 1 + i * 7 % 3000, align = static_cast<size_t>(1) << (i % 13);
        void *block = i % 2 ? fa_scratch_alloc(scratch, size)
                            : fa_scratch_alloc_aligned(scratch, size, align);
        ASSERT_NE(block, nullptr);
        EXPECT_TRUE(IsAligned(block, i % 2 ? 16 : align));
        Paint(block, i, size);
        first = first ? first : block;
    }
    EXPECT_TRUE(IsPainted(first, 0, 1));
    EXPECT_EQ(ScratchStats(allocator_).scope_count, 1u);
    EXPECT_EQ(ScratchStats(allocator_).alloc_count, kCounted ? 1000u : 0u);
    EXPECT_GE(ScratchStats(allocator_).bytes, 1000u * 500);
    ExpectValid(allocator_);
    EXPECT_EQ(fa_scratch_end(scratch), FA_OK);
    EXPECT_EQ(ScratchStats(allocator_).bytes, 0u);
    EXPECT_EQ(ScratchStats(allocator_).scope_count, 0u);
    EXPECT_GE(ScratchStats(allocator_).bytes_peak, 1000u * 500);
    ExpectValid(allocator_);
}

TEST_P(Scratch, NestedScopesGoBackOneByOne) {
    std::vector<fa_scratch> scopes;
    std::vector<size_t> bytes;
    std::vector<void *> blocks;
    for (size_t i = 0; i < 300; i++) {
        bytes.push_back(ScratchStats(allocator_).bytes);
        scopes.push_back(Begin());
        blocks.push_back(fa_scratch_alloc(scopes.back(), 1000));
        ASSERT_NE(blocks.back(), nullptr);
        Paint(blocks.back(), i, 1000);
    }
    ExpectValid(allocator_);
    while (!scopes.empty()) {
        EXPECT_TRUE(IsPainted(blocks.back(), blocks.size() - 1, 1000));
        EXPECT_EQ(fa_scratch_end(scopes.back()), FA_OK);
        EXPECT_EQ(ScratchStats(allocator_).bytes, bytes.back());
        scopes.pop_back(), bytes.pop_back(), blocks.pop_back();
    }
    ExpectValid(allocator_);
}

TEST_P(Scratch, ConflictsGetAnotherArena) {
    std::vector<fa_scratch> scopes;
    for (size_t i = 0; i < FA_SCRATCH_ARENA_COUNT; i++) {
        const fa_scratch scratch = Beside(scopes);
        ASSERT_NE(scratch.head, nullptr);
        for (const fa_scratch &other : scopes)
            EXPECT_NE(scratch.head, other.head);
        scopes.push_back(scratch);
    }
    fa_last_error_clear();
    EXPECT_EQ(Beside(scopes).head, nullptr);
    EXPECT_EQ(fa_last_error().status, FA_ERROR_LIMIT);
    for (const fa_scratch &scratch : scopes) // none is below another one
        EXPECT_NE(fa_scratch_alloc(scratch, 100), nullptr);
    for (const fa_scratch &scratch : scopes) // of different arenas: any order
        EXPECT_EQ(fa_scratch_end(scratch), FA_OK);
    EXPECT_TRUE(events_.all.empty());
}

TEST_P(Scratch, CallerAndCalleeNeverCollide) {
    struct Text {
        // Joins words in the caller's scope, with memory of its own for each level.
        static char *Join(fa_allocator *allocator, fa_scratch result, int depth) {
            const fa_scratch own = fa_scratch_begin(allocator, &result, 1);
            char *left = fa_scratch_copy_string(own, "x"), *right = left;
            if (depth > 0) {
                left = Join(allocator, own, depth - 1);
                right = Join(allocator, own, depth - 1);
            }
            const size_t length = strlen(left) + strlen(right) + 1;
            char *text = fa_scratch_array(result, char, length);
            snprintf(text, length, "%s%s", left, right);
            EXPECT_EQ(fa_scratch_end(own), FA_OK);
            return text;
        }
    };
    const fa_scratch scratch = Begin();
    const char *text = Text::Join(allocator_, scratch, 7);
    EXPECT_EQ(std::string(text), std::string(256, 'x'));
    EXPECT_EQ(fa_scratch_end(scratch), FA_OK);
    EXPECT_TRUE(events_.all.empty());
}

TEST_P(Scratch, AForgottenConflictIsFound) {
    const fa_scratch outer = Begin(), inner = Begin();
    EXPECT_EQ(outer.head, inner.head);
    EXPECT_EQ(fa_scratch_alloc(outer, 100), nullptr);
    EXPECT_EQ(fa_last_error().diag, FA_DIAG_FA612);
    EXPECT_EQ(fa_scratch_alloc_aligned(outer, 100, 64), nullptr);
    EXPECT_EQ(fa_scratch_grow(outer, nullptr, 0, 64), nullptr);
    EXPECT_EQ(fa_scratch_end(outer), FA_ERROR_FOREIGN); // out of order
    EXPECT_EQ(events_.Count(FA_DIAG_FA612), 4u);
    EXPECT_NE(fa_scratch_alloc(inner, 100), nullptr);
    EXPECT_EQ(fa_scratch_end(inner), FA_OK);
    EXPECT_NE(fa_scratch_alloc(outer, 100), nullptr);
    EXPECT_EQ(fa_scratch_end(outer), FA_OK);
}

TEST_P(Scratch, AnEndedScopeIsRefusedForEver) {
    const fa_scratch ended = Begin();
    EXPECT_EQ(fa_scratch_end(ended), FA_OK);
    for (int round = 0; round < 3; round++) {
        events_.all.clear();
        const fa_scratch open = round == 1 ? Begin() : fa_scratch{};
        EXPECT_EQ(fa_scratch_alloc(ended, 16), nullptr);
        EXPECT_EQ(fa_scratch_alloc_zeroed(ended, 16, 1), nullptr);
        EXPECT_EQ(fa_scratch_copy_string(ended, "text"), nullptr);
        EXPECT_EQ(fa_scratch_grow(ended, nullptr, 0, 16), nullptr);
        EXPECT_EQ(fa_scratch_end(ended), FA_ERROR_FOREIGN);
        EXPECT_EQ(events_.Count(FA_DIAG_FA610), 5u);
        EXPECT_EQ(events_.all.size(), 5u);
        if (round == 1)
            EXPECT_EQ(fa_scratch_end(open), FA_OK);
        else
            EXPECT_EQ(fa_thread_detach(allocator_), FA_OK);
    }
}

TEST_P(Scratch, AnotherThreadsScopeIsRefused) {
    const fa_scratch scratch = Begin();
    OnThread([&] {
        EXPECT_EQ(fa_scratch_end(scratch), FA_ERROR_FOREIGN);
        EXPECT_EQ(fa_scratch_alloc_aligned(scratch, 16, 64), nullptr);
        const fa_scratch own = fa_scratch_begin(allocator_, &scratch, 1); // no conflict
        EXPECT_NE(own.head, nullptr);
        EXPECT_NE(own.head, scratch.head);
        EXPECT_EQ(fa_scratch_end(own), FA_OK);
    });
    EXPECT_EQ(events_.Count(FA_DIAG_FA612), 2u);
    EXPECT_EQ(fa_scratch_end(scratch), FA_OK);
}

TEST_P(Scratch, TypedFormsAndGrowth) {
    struct alignas(64) Wide {
        double values[4];
    };
    const fa_scratch scratch = Begin();
    Wide *wides = fa_scratch_array_zeroed(scratch, Wide, 3), *wide = fa_scratch_new(scratch, Wide);
    ASSERT_TRUE(wide && wides);
    EXPECT_TRUE(IsAligned(wides, 64) && IsAligned(wide, 64) &&
                IsFilled(wides, 0, 3 * sizeof(Wide)));
    int *ints = fa_scratch_array(scratch, int, 10);
    for (int i = 0; i < 10; i++)
        ints[i] = i;
    EXPECT_EQ(fa_scratch_grow(scratch, ints, 40, 4000), ints);
    EXPECT_EQ(fa_scratch_grow(scratch, ints, 4000, 40), ints);
    const fa_scratch inner = Begin();
    void *moved = fa_scratch_grow(inner, ints, 40, 400); // from before: copied
    ASSERT_NE(moved, nullptr);
    EXPECT_NE(moved, ints);
    EXPECT_EQ(static_cast<int *>(moved)[9], 9);
    int local = 0;
    EXPECT_EQ(fa_scratch_grow(inner, &local, 4, 8), nullptr);
    EXPECT_EQ(fa_last_error().status, FA_ERROR_FOREIGN);
    EXPECT_EQ(fa_scratch_array(inner, int, SIZE_MAX / 2), nullptr);
    EXPECT_EQ(fa_scratch_array_zeroed(inner, Wide, SIZE_MAX / 2), nullptr);
    EXPECT_EQ(fa_last_error().status, FA_ERROR_INVALID);
    EXPECT_EQ(fa_scratch_end(inner), FA_OK);
    EXPECT_EQ(fa_scratch_end(scratch), FA_OK);
}

TEST_P(Scratch, TheMacroEndsTheScope) {
    for (int i = 0; i < 3; i++) {
        fa_scratch_scope(allocator_, outer);
        ASSERT_NE(fa_scratch_alloc(outer, 100), nullptr);
        if (i == 1)
            continue;
        fa_scratch_scope_beside(allocator_, inner, &outer, 1);
        EXPECT_NE(inner.head, outer.head);
        fa_scratch_scope(nullptr, none);
        EXPECT_EQ(none.head, nullptr);
    }
    EXPECT_EQ(ScratchStats(allocator_).scope_count, 0u);
    EXPECT_TRUE(events_.all.empty());
}

TEST_P(Scratch, ArenasLearnAndAreTrimmed) {
    for (int round = 0; round < 4; round++) {
        const fa_scratch scratch = Begin();
        for (int i = 0; i < 3000; i++)
            ASSERT_NE(fa_scratch_alloc(scratch, i == 2000 ? 3 << 20 : 1000), nullptr);
        EXPECT_EQ(fa_scratch_end(scratch), FA_OK);
        ExpectValid(allocator_);
    }
    const uint64_t before = Stats(allocator_).heap_alloc_count;
    fa_scratch scratch = Begin();
    for (int i = 0; i < 3000; i++)
        ASSERT_NE(fa_scratch_alloc(scratch, i == 2000 ? 3 << 20 : 1000), nullptr);
    EXPECT_EQ(fa_scratch_end(scratch), FA_OK);
    EXPECT_EQ(Stats(allocator_).heap_alloc_count, before);
    EXPECT_GE(ScratchStats(allocator_).bytes_held, static_cast<size_t>(5 << 20));
    for (int i = 0; i < 300; i++) {
        scratch = Begin();
        ASSERT_NE(fa_scratch_alloc(scratch, 100), nullptr);
        EXPECT_EQ(fa_scratch_end(scratch), FA_OK);
    }
    EXPECT_LE(ScratchStats(allocator_).bytes_held, static_cast<size_t>(64 << 10));
    EXPECT_GE(ScratchStats(allocator_).bytes_peak, static_cast<size_t>(5 << 20));
    (void)fa_allocator_trim(allocator_);
    EXPECT_EQ(ScratchStats(allocator_).bytes_held, 0u);
    scratch = Begin();
    (void)fa_allocator_trim(allocator_); // an open scope keeps what it has
    EXPECT_NE(ScratchStats(allocator_).bytes_held, 0u);
    EXPECT_EQ(fa_scratch_end(scratch), FA_OK);
}

TEST_P(Scratch, ALargeBlockInAnInnerScopeIsNotTakenAgainEachTime) {
    const fa_scratch outer = Begin();
    ASSERT_NE(fa_scratch_alloc(outer, 100), nullptr);
    uint64_t before = 0;
    for (int i = 0; i < 10; i++) {
        if (i == 2)
            before = Stats(allocator_).heap_alloc_count;
        const fa_scratch inner = Begin();
        ASSERT_NE(fa_scratch_alloc(inner, 4 << 20), nullptr);
        EXPECT_EQ(fa_scratch_end(inner), FA_OK);
    }
    EXPECT_EQ(Stats(allocator_).heap_alloc_count, before);
    EXPECT_EQ(fa_scratch_end(outer), FA_OK);
}

TEST_P(Scratch, DetachEndsWhatIsOpenAndGivesAllBack) {
    const fa_scratch scratch = Begin(), other = Beside({scratch});
    ASSERT_NE(fa_scratch_alloc(scratch, 2 << 20), nullptr);
    ASSERT_NE(fa_scratch_alloc(other, 100), nullptr);
    EXPECT_NE(Stats(allocator_).heap_live_count, 0u);
    EXPECT_EQ(fa_thread_detach(allocator_), FA_OK);
    EXPECT_EQ(Stats(allocator_).heap_live_count, 0u);
    EXPECT_EQ(fa_scratch_end(scratch), FA_ERROR_FOREIGN);
    EXPECT_EQ(fa_scratch_alloc(other, 100), nullptr);
    EXPECT_EQ(events_.Count(FA_DIAG_FA610), 2u);
    const fa_scratch again = Begin(); // on the same state
    EXPECT_EQ(fa_scratch_alloc(scratch, 100), nullptr);
    EXPECT_EQ(ScratchStats(allocator_).alloc_count, 0u);
    EXPECT_EQ(fa_scratch_end(again), FA_OK);
}

TEST_P(Scratch, ThreadsThatExitLeaveNothing) {
    for (int i = 0; i < 4; i++)
        OnThread([this, i] {
            const fa_scratch scratch = Begin();
            EXPECT_NE(fa_scratch_alloc(scratch, 200000), nullptr);
            if (i % 2 == 0) {
                EXPECT_EQ(fa_scratch_end(scratch), FA_OK);
            }
        });
    EXPECT_EQ(Stats(allocator_).heap_live_count, 0u);
}

TEST_P(Scratch, DestroyTakesWhatIsOpen) {
    const fa_scratch scratch = Begin();
    ASSERT_NE(fa_scratch_alloc(scratch, 100000), nullptr); // TearDown expects no leak
}

TEST_P(Scratch, BudgetAndSeal) {
    ASSERT_EQ(fa_thread_attach(allocator_), FA_OK);
    fa_scratch scratch = Begin();
    for (int i = 0; i < 300; i++)
        ASSERT_NE(fa_scratch_alloc(scratch, 1000), nullptr);
    EXPECT_EQ(fa_scratch_end(scratch), FA_OK);
    fa_budget budget = {};
    budget.hard_bytes = Stats(allocator_).heap_live_bytes;
    ASSERT_EQ(fa_budget_set(allocator_, FA_INTENT_HEAP, &budget), FA_OK);
    scratch = Begin();
    EXPECT_EQ(fa_scratch_alloc(scratch, 10 << 20), nullptr);
    EXPECT_EQ(fa_last_error().diag, FA_DIAG_FA302);
    EXPECT_NE(fa_scratch_alloc(scratch, 1000), nullptr);
    EXPECT_LE(Stats(allocator_).heap_live_bytes, budget.hard_bytes);
    EXPECT_EQ(fa_scratch_end(scratch), FA_OK);
    ASSERT_EQ(fa_budget_set(allocator_, FA_INTENT_HEAP, nullptr), FA_OK);
    fa_backend_seal(allocator_);
    const uint64_t calls = source_.Calls();
    for (int round = 0; round < 3; round++) {
        scratch = Begin();
        for (int i = 0; i < 100; i++)
            EXPECT_NE(fa_scratch_alloc(scratch, 1000), nullptr);
        EXPECT_EQ(fa_scratch_alloc(scratch, 100 << 20), nullptr);
        EXPECT_EQ(fa_last_error().status, FA_ERROR_SEALED);
        EXPECT_EQ(fa_scratch_end(scratch), FA_OK);
    }
    EXPECT_EQ(source_.Calls(), calls);
}

// Reclaimers, and so other hooks, may use scopes while an arena grows.
TEST_P(Scratch, HooksMayUseScopes) {
    struct World {
        fa_scratch scratch;
        bool ends;
        int depth;
    } world = {};
    const auto reclaim = [](void *user, fa_allocator *allocator, size_t) -> size_t {
        auto *at = static_cast<World *>(user);
        if (at->depth++ != 0)
            return 0;
        const fa_scratch own = fa_scratch_begin(allocator, nullptr, 0);
        EXPECT_NE(fa_scratch_alloc(own, 100), nullptr);
        EXPECT_EQ(fa_scratch_end(own), FA_OK);
        if (at->ends) {
            EXPECT_EQ(fa_scratch_end(at->scratch), FA_OK);
        }
        return 1;
    };
    ASSERT_EQ(fa_reclaimer_add(allocator_, 0, reclaim, &world), FA_OK);
    for (const bool ends : {false, true}) {
        world = {Begin(), ends, 0};
        void *block = fa_scratch_alloc(world.scratch, 100);
        Paint(block, 1, 100);
        (void)fa_allocator_trim(allocator_); // caches would be asked first
        source_.Fail(1, false);
        void *large = fa_scratch_alloc(world.scratch, (ends ? 200 : 64) << 20);
        source_.Fail(0);
        EXPECT_EQ(world.depth, 1);
        EXPECT_EQ(large == nullptr, ends);
        ExpectValid(allocator_);
        if (!ends) {
            EXPECT_TRUE(IsPainted(block, 1, 100));
            EXPECT_EQ(fa_scratch_end(world.scratch), FA_OK);
        } else {
            EXPECT_EQ(fa_last_error().diag, FA_DIAG_FA610);
        }
    }
    EXPECT_EQ(fa_reclaimer_remove(allocator_, reclaim, &world), FA_OK);
}

INSTANTIATE_TEST_SUITE_P(Checks, Scratch, testing::Values(0u, uint32_t{FA_CHECK_ALL}));

TEST(ScratchThreads, EachHasArenasOfItsOwn) {
    Tracked allocator;
    OnThreads(4, [&](size_t thread) {
        const int t = static_cast<int>(thread);
        for (size_t i = 0; i < Rounds(4000); i++) {
            const fa_scratch outer = fa_scratch_begin(allocator, nullptr, 0);
            auto *block = static_cast<char *>(fa_scratch_alloc(outer, 64));
            memset(block, t, 64);
            const fa_scratch inner = fa_scratch_begin(allocator, &outer, 1);
            void *other = fa_scratch_alloc(inner, i % 100 == 0 ? 300000 : 300);
            memset(other, t + 1, 300);
            EXPECT_EQ(fa_scratch_end(inner), FA_OK);
            EXPECT_TRUE(IsFilled(block, t, 64));
            if (i % 1000 != 999) {
                EXPECT_EQ(fa_scratch_end(outer), FA_OK);
            } else if (t == 0) {
                EXPECT_EQ(fa_thread_detach(allocator), FA_OK);
            }
        }
    });
    allocator.Check();
    EXPECT_EQ(allocator.Live(), 0u);
}

// Threads exit while another one destroys the allocator that they are done with.
TEST(ScratchThreads, ExitWhileTheAllocatorIsDestroyed) {
    for (int round = 0; round < 20; round++) {
        fa_allocator *allocator = nullptr;
        fa_alloc_config config = Config();
        ASSERT_EQ(fa_allocator_create(&config, &allocator), FA_OK);
        std::atomic<int> done{0};
        std::vector<std::thread> threads;
        for (int t = 0; t < 4; t++)
            threads.emplace_back([&] {
                const fa_scratch scratch = fa_scratch_begin(allocator, nullptr, 0);
                EXPECT_NE(fa_scratch_alloc(scratch, 100000), nullptr);
                EXPECT_EQ(fa_scratch_end(scratch), FA_OK);
                done.fetch_add(1);
            });
        while (done.load() != 4)
            std::this_thread::yield();
        EXPECT_EQ(fa_allocator_destroy(allocator), 0u);
        for (std::thread &thread : threads)
            thread.join();
    }
}

TEST(ScratchFork, TheChildGoesOn) {
    if (kTsan)
        GTEST_SKIP() << "forks with threads";
    fa_allocator *allocator = nullptr;
    fa_alloc_config config = Config();
    ASSERT_EQ(fa_allocator_create(&config, &allocator), FA_OK);
    std::atomic<bool> stop{false};
    std::vector<std::thread> threads;
    for (int t = 0; t < 2; t++)
        threads.emplace_back([&] {
            while (!stop.load()) {
                const fa_scratch scratch = fa_scratch_begin(allocator, nullptr, 0);
                for (int i = 0; i < 20; i++)
                    EXPECT_NE(fa_scratch_alloc(scratch, 20000), nullptr);
                EXPECT_EQ(fa_scratch_end(scratch), FA_OK);
                (void)fa_allocator_trim(allocator);
            }
        });
    fa_scratch_pool pool = fa_scratch_pool_open(allocator, "pool", 0, 0);
    const fa_scratch scratch = fa_scratch_begin(allocator, nullptr, 0);
    auto *block = static_cast<char *>(fa_scratch_alloc(scratch, 100));
    memset(block, 7, 100);
    for (int round = 0; round < 20; round++) {
        InChild([&] {
            bool good = IsFilled(block, 7, 100) && fa_scratch_alloc(scratch, 1 << 20) != nullptr;
            good = good && fa_scratch_end(scratch) == FA_OK;
            good = good && fa_scratch_pool_find(allocator, "pool").head == pool.head;
            good = good && fa_scratch_pool_alloc(pool, 100000) != nullptr;
            good = good && fa_scratch_pool_reset(pool) == FA_OK;
            (void)fa_allocator_destroy(allocator);
            return good ? 0 : __LINE__;
        });
    }
    stop.store(true);
    for (std::thread &thread : threads)
        thread.join();
    EXPECT_EQ(fa_scratch_end(scratch), FA_OK);
    EXPECT_EQ(fa_allocator_destroy(allocator), 0u);
}

#if GTEST_HAS_DEATH_TEST
TEST(ScratchDeathTest, DeadMemoryIsPoisoned) {
    if (!kAsan)
        GTEST_SKIP() << "nobody watches";
    Allocator allocator(Plain());
    const fa_scratch outer = fa_scratch_begin(allocator, nullptr, 0);
    const fa_scratch inner = fa_scratch_begin(allocator, nullptr, 0);
    auto *block = static_cast<volatile char *>(fa_scratch_alloc(inner, 100));
    EXPECT_DEATH(block[100] = 2, "use-after-poison");
    EXPECT_EQ(fa_scratch_end(inner), FA_OK);
    EXPECT_DEATH(block[0] = 2, "use-after-poison");
    EXPECT_EQ(fa_scratch_end(outer), FA_OK);
}

TEST(ScratchDeathTest, AnOverstepIsFound) {
    if (kTsan)
        GTEST_SKIP() << "forks with threads";
    fa_alloc_config config = Plain();
    config.checks = FA_CHECK_GUARD;
    Allocator allocator(config);
    const fa_scratch scratch = fa_scratch_begin(allocator, nullptr, 0);
    auto *block = static_cast<volatile char *>(fa_scratch_alloc(scratch, 100));
    EXPECT_DEATH(
        {
            block[100] = 1;
            (void)fa_scratch_end(scratch);
        },
        "FA604|use-after-poison");
}
#endif

} // namespace
