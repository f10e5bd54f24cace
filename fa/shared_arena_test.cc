// Shared arenas: every promise and every error of shared_arena.h, one thread at a time.
#include "fa/testing_checked.hpp"

#include <string>

using namespace fa_testing;

namespace {

fa_shared_arena_stats ArenaStats(fa_shared_arena arena) {
    fa_shared_arena_stats stats;
    EXPECT_EQ(fa_shared_arena_stats_get(arena, &stats), FA_OK);
    return stats;
}

class SharedArena : public Checked {
  protected:
    SharedArena() { config_.frame_trim_after = 10; }
    fa_shared_arena Create(size_t block_bytes = 0, size_t bytes_max = 0) {
        return fa_shared_arena_create(allocator_, "arena", block_bytes, bytes_max);
    }
    static fa_shared_arena_local Begin(fa_shared_arena arena) {
        fa_shared_arena_local local;
        EXPECT_EQ(fa_shared_arena_begin(arena, &local), FA_OK);
        return local;
    }
};

TEST_P(SharedArena, BlocksLiveUntilTheReset) {
    const fa_shared_arena arena = Create();
    ASSERT_TRUE(fa_shared_arena_is_open(arena));
    for (size_t round = 1; round <= 3; round++) {
        fa_shared_arena_local locals[3] = {Begin(arena), Begin(arena), Begin(arena)};
        EXPECT_EQ(ArenaStats(arena).local_count, 3u);
        std::vector<std::pair<void *, size_t>> blocks;
        for (size_t i = 0; i < 1500; i++) {
            fa_shared_arena_local *local = &locals[i % 3];
            const size_t size = i == 300 ? 3000000 : i % 70 == 0 ? 9000 + i : 1 + i * 13 % 700;
            const size_t align = static_cast<size_t>(1) << (i % 13);
            void *block = i % 4 ? fa_shared_arena_alloc(local, size)
                                : fa_shared_arena_alloc_aligned(local, size, align);
            ASSERT_NE(block, nullptr);
            EXPECT_TRUE(IsAligned(block, i % 4 ? 16 : align));
            Paint(block, i, size);
            blocks.emplace_back(block, size);
        }
        for (size_t i = 0; i < blocks.size(); i++)
            EXPECT_TRUE(IsPainted(blocks[i].first, i, blocks[i].second));
        ExpectValid(allocator_);
        for (fa_shared_arena_local &local : locals)
            EXPECT_EQ(fa_shared_arena_end(&local), FA_OK);
        for (size_t i = 0; i < blocks.size(); i++)
            EXPECT_TRUE(IsPainted(blocks[i].first, i, blocks[i].second))
                << "what ends is the local";
        fa_shared_arena_stats stats = ArenaStats(arena);
        EXPECT_STREQ(stats.name, "arena");
        EXPECT_EQ(stats.alloc_count, kCounted ? 1500u * round : 0u);
        EXPECT_GE(stats.bytes, 3400000u);
        EXPECT_GE(stats.bytes_held, stats.bytes);
        EXPECT_EQ(stats.block_bytes, 16384u);
        EXPECT_EQ(stats.local_count, 0u);
        EXPECT_EQ(fa_shared_arena_reset(arena), FA_OK);
        stats = ArenaStats(arena);
        EXPECT_EQ(stats.bytes, 0u);
        EXPECT_EQ(stats.bytes_wasted, 0u);
        EXPECT_GE(stats.bytes_peak, 3400000u);
        EXPECT_EQ(stats.reset_count, round);
    }
    EXPECT_EQ(fa_shared_arena_free(arena), FA_OK);
    EXPECT_FALSE(fa_shared_arena_is_open(arena));
    EXPECT_EQ(Stats(allocator_).heap_live_count, 1u); // the records
}

TEST_P(SharedArena, TypedFormsAndCopies) {
    struct alignas(128) Wide {
        char bytes[128];
    };
    const fa_shared_arena arena = Create();
    fa_shared_arena_local local = Begin(arena);
    EXPECT_TRUE(IsAligned(fa_shared_arena_new(&local, Wide), 128));
    EXPECT_TRUE(IsFilled(fa_shared_arena_array_zeroed(&local, Wide, 3), 0, 3 * sizeof(Wide)));
    EXPECT_NE(fa_shared_arena_array(&local, int, 10), nullptr);
    EXPECT_TRUE(IsFilled(fa_shared_arena_alloc_zeroed(&local, 9, 9), 0, 81));
    EXPECT_STREQ(fa_shared_arena_copy_string(&local, "text"), "text");
    EXPECT_EQ(memcmp(fa_shared_arena_copy(&local, "bytes", 5), "bytes", 5), 0);
    EXPECT_EQ(fa_shared_arena_end(&local), FA_OK);
    EXPECT_EQ(fa_shared_arena_free(arena), FA_OK);
}

TEST_P(SharedArena, IsNotEmptiedUnderAnybody) {
    const fa_shared_arena arena = Create();
    fa_shared_arena_local local = Begin(arena);
    char *text = fa_shared_arena_copy_string(&local, "text");
    Refused(FA_DIAG_FA614, fa_shared_arena_reset(arena) == FA_ERROR_FOREIGN);
    Refused(FA_DIAG_FA614, fa_shared_arena_free(arena) == FA_ERROR_FOREIGN);
    EXPECT_STREQ(text, "text");
    EXPECT_NE(fa_shared_arena_alloc(&local, 16), nullptr);
    EXPECT_EQ(fa_shared_arena_end(&local), FA_OK);
    Refused(FA_DIAG_FA610, fa_shared_arena_end(&local) == FA_ERROR_FOREIGN);
    Refused(FA_DIAG_FA610, fa_shared_arena_alloc(&local, 16) == nullptr);
    Refused(FA_DIAG_FA610, fa_shared_arena_alloc_aligned(&local, 16, 64) == nullptr);
    EXPECT_EQ(fa_shared_arena_reset(arena), FA_OK);
    EXPECT_EQ(fa_shared_arena_free(arena), FA_OK);
    Refused(FA_DIAG_FA610, fa_shared_arena_free(arena) == FA_ERROR_FOREIGN);
    Refused(FA_DIAG_FA610, fa_shared_arena_reset(arena) == FA_ERROR_FOREIGN);
    Refused(FA_DIAG_FA610, fa_shared_arena_begin(arena, &local) == FA_ERROR_FOREIGN);
    fa_shared_arena_stats stats;
    Refused(FA_DIAG_FA610, fa_shared_arena_stats_get(arena, &stats) == FA_ERROR_FOREIGN);
    const fa_shared_arena other = Create();
    EXPECT_EQ(other.head, arena.head) << "the same record";
    EXPECT_FALSE(fa_shared_arena_is_open(arena));
    Refused(FA_DIAG_FA610, fa_shared_arena_begin(arena, &local) == FA_ERROR_FOREIGN);
    EXPECT_EQ(ArenaStats(other).local_count, 0u);
    EXPECT_EQ(fa_shared_arena_free(other), FA_OK);
}

TEST_P(SharedArena, ALocalIsItsThreads) {
    const fa_shared_arena arena = Create();
    fa_shared_arena_local local = Begin(arena);
    ASSERT_NE(fa_shared_arena_alloc(&local, 16), nullptr);
    OnThread([&] {
        Refused(FA_DIAG_FA613, fa_shared_arena_alloc_aligned(&local, 16, 64) == nullptr);
        Refused(FA_DIAG_FA613, fa_shared_arena_alloc(&local, 20000) == nullptr);
        if (GetParam() != 0 || kAsan) /* checks close the inline path */
            Refused(FA_DIAG_FA613, fa_shared_arena_alloc(&local, 16) == nullptr);
        EXPECT_EQ(fa_shared_arena_end(&local), FA_OK) << "any thread ends it";
    });
    EXPECT_EQ(fa_shared_arena_free(arena), FA_OK);
}

TEST_P(SharedArena, OverrunsAreFoundAtTheReset) {
    if ((GetParam() & FA_CHECK_GUARD) == 0 || kAsan)
        GTEST_SKIP();
    const fa_shared_arena arena = Create();
    fa_shared_arena_local local = Begin(arena);
    char *block = static_cast<char *>(fa_shared_arena_alloc(&local, 20));
    EXPECT_EQ(fa_shared_arena_end(&local), FA_OK);
    const char kept = block[20];
    block[20] = 1;
    EXPECT_DEATH(fa_shared_arena_reset(arena), "");
    block[20] = kept;
    EXPECT_EQ(fa_shared_arena_free(arena), FA_OK);
}

TEST_P(SharedArena, WasteIsBounded) {
    const fa_shared_arena arena = Create(4096);
    fa_shared_arena_local local = Begin(arena);
    for (size_t i = 0; i < 4000; i++)
        ASSERT_NE(fa_shared_arena_alloc(&local, 1 + i * 7 % 1000), nullptr);
    EXPECT_EQ(fa_shared_arena_end(&local), FA_OK);
    const fa_shared_arena_stats stats = ArenaStats(arena);
    EXPECT_GT(stats.block_count, 100u);
    // less than a quarter of each block, and the ends of chunks
    EXPECT_LT(stats.bytes_wasted, stats.block_count * 1024 + stats.bytes_held / 16);
    if (IsBare()) {
        EXPECT_LE(stats.bytes + stats.bytes_wasted, stats.bytes_held);
        EXPECT_GE(stats.bytes + stats.bytes_wasted + 4096, stats.block_count * 4096);
    }
    EXPECT_EQ(fa_shared_arena_free(arena), FA_OK);
}

TEST_P(SharedArena, ManyShortLocalsTakeFewBlocks) {
    const fa_shared_arena arena = Create();
    for (int i = 0; i < 1000; i++) {
        fa_shared_arena_local local = Begin(arena);
        ASSERT_NE(fa_shared_arena_alloc(&local, 64), nullptr);
        EXPECT_EQ(fa_shared_arena_end(&local), FA_OK);
    }
    const fa_shared_arena_stats stats = ArenaStats(arena);
    EXPECT_LE(stats.block_count, IsBare() ? 6u : 40u) << "the rest of a block goes on";
    fa_shared_arena_local local = Begin(arena), other = Begin(arena);
    char *first = static_cast<char *>(fa_shared_arena_alloc(&local, 64));
    char *second = static_cast<char *>(fa_shared_arena_alloc(&other, 64));
    EXPECT_GE(second > first ? second - first : first - second, 1024) << "each has its own";
    EXPECT_EQ(fa_shared_arena_end(&local), FA_OK);
    EXPECT_EQ(fa_shared_arena_end(&other), FA_OK);
    EXPECT_EQ(fa_shared_arena_free(arena), FA_OK);
}

TEST_P(SharedArena, LearnsOneChunkAndGivesItBack) {
    const fa_shared_arena arena = Create();
    const auto fill = [&](size_t count) {
        fa_shared_arena_local local = Begin(arena);
        for (size_t i = 0; i < count; i++)
            ASSERT_NE(fa_shared_arena_alloc(&local, 1000), nullptr);
        EXPECT_EQ(fa_shared_arena_end(&local), FA_OK);
        EXPECT_EQ(fa_shared_arena_reset(arena), FA_OK);
    };
    fill(5000);
    fill(5000);
    const size_t held = ArenaStats(arena).bytes_held;
    EXPECT_GE(held, 5000u * 1000);
    const uint64_t allocs = Stats(allocator_).heap_alloc_count;
    for (int i = 0; i < 5; i++)
        fill(5000);
    EXPECT_EQ(Stats(allocator_).heap_alloc_count, allocs) << "no more memory";
    EXPECT_EQ(ArenaStats(arena).bytes_held, held);
    for (int i = 0; i < 25; i++)
        fill(10);
    EXPECT_LT(ArenaStats(arena).bytes_held, held / 4);
    fill(5000);
    EXPECT_EQ(fa_shared_arena_free(arena), FA_OK);
}

TEST_P(SharedArena, IsChargedToTheTagOfItsCreation) {
    const fa_tag jobs = fa_tag_intern(allocator_, "jobs");
    const fa_tag other = fa_tag_intern(allocator_, "other");
    ASSERT_EQ(fa_tag_enter(allocator_, jobs), FA_OK);
    const fa_shared_arena arena = Create();
    ASSERT_EQ(fa_tag_leave(allocator_), FA_OK);
    ASSERT_EQ(fa_tag_enter(allocator_, other), FA_OK);
    fa_shared_arena_local local = Begin(arena);
    ASSERT_NE(fa_shared_arena_alloc(&local, 100), nullptr);
    ASSERT_NE(fa_shared_arena_alloc(&local, 5000000), nullptr);
    ASSERT_EQ(fa_tag_leave(allocator_), FA_OK);
    fa_tag_stats stats;
    ASSERT_EQ(fa_tag_stats_get(allocator_, jobs, &stats), FA_OK);
    EXPECT_GE(stats.heap_live_bytes, 5010000u);
    ASSERT_EQ(fa_tag_stats_get(allocator_, other, &stats), FA_OK);
    EXPECT_EQ(stats.heap_live_bytes, 0u);
    EXPECT_EQ(fa_shared_arena_end(&local), FA_OK);
    EXPECT_EQ(fa_shared_arena_free(arena), FA_OK);
}

TEST_P(SharedArena, LimitsBudgetsAndSeals) {
    const fa_shared_arena arena = Create(4096, 200000);
    fa_shared_arena_local local = Begin(arena);
    while (fa_shared_arena_alloc(&local, 1000) != nullptr) {
    }
    EXPECT_EQ(fa_last_error().status, FA_ERROR_FULL);
    EXPECT_LE(ArenaStats(arena).bytes_held, 200000u);
    EXPECT_GT(ArenaStats(arena).bytes, 130000u);
    EXPECT_EQ(fa_shared_arena_alloc(&local, 10000000), nullptr);
    EXPECT_EQ(fa_last_error().status, FA_ERROR_FULL);
    EXPECT_EQ(ArenaStats(arena).bytes_max, 200000u);
    EXPECT_EQ(fa_shared_arena_end(&local), FA_OK);
    EXPECT_EQ(fa_shared_arena_reset(arena), FA_OK);

    const fa_shared_arena narrow = Create();
    local = Begin(narrow);
    fa_budget budget = {};
    budget.hard_bytes = Stats(allocator_).heap_live_bytes + 40000;
    ASSERT_EQ(fa_budget_set(allocator_, FA_INTENT_HEAP, &budget), FA_OK);
    EXPECT_EQ(fa_shared_arena_alloc(&local, 50000), nullptr);
    EXPECT_EQ(fa_last_error().status, FA_ERROR_LIMIT);
    EXPECT_NE(fa_shared_arena_alloc(&local, 1000), nullptr) << "a smaller chunk does";
    budget.hard_bytes = 0;
    ASSERT_EQ(fa_budget_set(allocator_, FA_INTENT_HEAP, &budget), FA_OK);

    for (int i = 0; i < 3000; i++)
        ASSERT_NE(fa_shared_arena_alloc(&local, 1000), nullptr);
    fa_backend_seal(allocator_);
    EXPECT_EQ(fa_shared_arena_alloc(&local, 50000000), nullptr);
    EXPECT_EQ(fa_last_error().status, FA_ERROR_SEALED);
    EXPECT_EQ(fa_shared_arena_end(&local), FA_OK);
    const size_t held = ArenaStats(narrow).bytes_held;
    for (int round = 0; round < 3; round++) {
        EXPECT_EQ(fa_shared_arena_reset(narrow), FA_OK);
        EXPECT_EQ(ArenaStats(narrow).bytes_held, held) << "what it has it keeps";
        local = Begin(narrow);
        for (int i = 0; i < 2000; i++)
            ASSERT_NE(fa_shared_arena_alloc(&local, 1000), nullptr);
        EXPECT_EQ(fa_shared_arena_end(&local), FA_OK);
        ExpectValid(allocator_);
    }
    EXPECT_EQ(fa_shared_arena_free(narrow), FA_OK);
    EXPECT_EQ(fa_shared_arena_free(arena), FA_OK);
}

TEST_P(SharedArena, CountsVisitsAndDiesWithTheAllocator) {
    std::vector<fa_shared_arena> arenas;
    for (int i = 0; i < 20; i++)
        arenas.push_back(Create());
    EXPECT_EQ(fa_shared_arena_count(allocator_), 20u);
    size_t seen = 0;
    EXPECT_EQ(fa_shared_arena_visit(
                  allocator_,
                  [](void *user, fa_shared_arena, const fa_shared_arena_stats *stats) {
                      EXPECT_STREQ(stats->name, "arena");
                      ++*static_cast<size_t *>(user);
                  },
                  &seen),
              20u);
    EXPECT_EQ(seen, 20u);
    EXPECT_EQ(fa_shared_arena_free(arenas[3]), FA_OK);
    fa_shared_arena_local open = Begin(arenas[5]); // and never ended
    ASSERT_NE(fa_shared_arena_alloc(&open, 100), nullptr);
    ASSERT_NE(fa_shared_arena_alloc(&open, 10000000), nullptr);
    EXPECT_EQ(fa_allocator_destroy(allocator_), 0u) << "no leak";
    allocator_ = nullptr;
}

TEST_P(SharedArena, WhatIsDeadMustNotBeTouched) {
    if (!kAsan)
        GTEST_SKIP();
    const fa_shared_arena arena = Create();
    fa_shared_arena_local local = Begin(arena);
    volatile char *block = static_cast<char *>(fa_shared_arena_alloc(&local, 20));
    EXPECT_DEATH(block[20] = 1, "use-after-poison");
    EXPECT_EQ(fa_shared_arena_end(&local), FA_OK);
    block[19] = 1;
    EXPECT_EQ(fa_shared_arena_reset(arena), FA_OK);
    EXPECT_DEATH(block[0] = 1, "use-after-poison");
    EXPECT_EQ(fa_shared_arena_free(arena), FA_OK);
}

// Every call of the backend fails once: nothing is lost, and nothing else changes.
TEST_P(SharedArena, FaultsLeaveItWhole) {
    EachFault(29, GetParam(), [](fa_allocator *allocator) {
        const fa_shared_arena arena =
            MakeDespiteFault([&] { return fa_shared_arena_create(allocator, "faults", 0, 0); });
        fa_shared_arena_local local = Begin(arena);
        FillDespiteFault([&](size_t size) { return fa_shared_arena_alloc(&local, size); });
        ExpectValid(allocator);
        EXPECT_EQ(fa_shared_arena_end(&local), FA_OK);
        EXPECT_EQ(fa_shared_arena_reset(arena), FA_OK);
    });
}

FA_TESTING_CHECKS(SharedArena);

} // namespace
