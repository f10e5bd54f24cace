// Owned arenas: every promise and every error of own_arena.h.
#include "fa/testing_checked.hpp"

#include <atomic>
#include <string>
#include <thread>

using namespace fa_testing;

namespace {

fa_own_arena_stats ArenaStats(fa_own_arena arena) {
    fa_own_arena_stats stats;
    EXPECT_EQ(fa_own_arena_stats_get(arena, &stats), FA_OK);
    return stats;
}

class OwnArena : public Checked {
  protected:
    fa_own_arena Create(size_t bytes_first = 0, size_t bytes_max = 0) {
        return fa_own_arena_create(allocator_, "arena", bytes_first, bytes_max);
    }
    // No call that uses an arena takes this handle.
    void ExpectUseless(fa_own_arena arena, fa_diag diag) {
        EXPECT_FALSE(fa_own_arena_is_held(arena));
        Refused(diag, fa_own_arena_alloc(arena, 16) == nullptr);
        Refused(diag, fa_own_arena_alloc_aligned(arena, 16, 64) == nullptr);
        Refused(diag, fa_own_arena_copy_string(arena, "text") == nullptr);
        Refused(diag, fa_own_arena_grow(arena, nullptr, 0, 16) == nullptr);
        Refused(diag, fa_own_arena_mark_set(arena).head == nullptr);
        Refused(diag, fa_own_arena_rewind(arena, {}) == FA_ERROR_FOREIGN);
        Refused(diag, fa_own_arena_reset(arena) == FA_ERROR_FOREIGN);
        Refused(diag, fa_own_arena_give(arena).head == nullptr);
    }
};

TEST_P(OwnArena, BlocksLiveUntilTheReset) {
    fa_own_arena arena = Create();
    ASSERT_TRUE(fa_own_arena_is_held(arena) && fa_own_arena_is_open(arena));
    for (size_t round = 1; round <= 3; round++) {
        std::vector<std::pair<void *, size_t>> blocks;
        for (size_t i = 0; i < 500; i++) {
            const size_t size = i == 300 ? 2000000 : 1 + i * 13 % 700;
            const size_t align = static_cast<size_t>(1) << (i % 13);
            void *block = i % 3 ? fa_own_arena_alloc(arena, size)
                                : fa_own_arena_alloc_aligned(arena, size, align);
            ASSERT_NE(block, nullptr);
            EXPECT_TRUE(IsAligned(block, i % 3 ? 16 : align));
            Paint(block, i, size);
            blocks.emplace_back(block, size);
        }
        for (size_t i = 0; i < blocks.size(); i++)
            EXPECT_TRUE(IsPainted(blocks[i].first, i, blocks[i].second));
        ExpectValid(allocator_);
        fa_own_arena_stats stats = ArenaStats(arena);
        EXPECT_STREQ(stats.name, "arena");
        EXPECT_EQ(stats.alloc_count, kCounted ? 500u * round : 0u);
        EXPECT_GE(stats.bytes, 2000000u);
        EXPECT_GE(stats.bytes_held, stats.bytes);
        EXPECT_TRUE(stats.is_held);
        EXPECT_EQ(stats.hand_over_count, 0u);
        EXPECT_EQ(fa_own_arena_reset(arena), FA_OK);
        stats = ArenaStats(arena);
        EXPECT_EQ(stats.bytes, 0u);
        EXPECT_GE(stats.bytes_peak, 2000000u);
        EXPECT_EQ(stats.reset_count, round);
    }
    EXPECT_EQ(fa_own_arena_free(arena), FA_OK);
    EXPECT_FALSE(fa_own_arena_is_open(arena));
    EXPECT_EQ(Stats(allocator_).heap_live_count, 1u); // the records
}

TEST_P(OwnArena, TypedFormsCopiesAndGrowth) {
    struct alignas(128) Wide {
        char bytes[128];
    };
    fa_own_arena arena = Create();
    EXPECT_TRUE(IsAligned(fa_own_arena_new(arena, Wide), 128));
    EXPECT_TRUE(IsFilled(fa_own_arena_array_zeroed(arena, Wide, 3), 0, 3 * sizeof(Wide)));
    EXPECT_NE(fa_own_arena_array(arena, int, 10), nullptr);
    EXPECT_TRUE(IsFilled(fa_own_arena_alloc_zeroed(arena, 9, 9), 0, 81));
    EXPECT_STREQ(fa_own_arena_copy_string(arena, "text"), "text");
    void *block = fa_own_arena_grow(arena, nullptr, 0, 100);
    Paint(block, 1, 100);
    EXPECT_EQ(fa_own_arena_grow(arena, block, 100, 200), block) << "the newest grows in place";
    EXPECT_TRUE(IsPainted(block, 1, 100));
    ASSERT_NE(fa_own_arena_alloc(arena, 16), nullptr);
    void *moved = fa_own_arena_grow(arena, block, 200, 5000);
    EXPECT_NE(moved, block);
    EXPECT_TRUE(IsPainted(moved, 1, 100));
    EXPECT_EQ(fa_own_arena_free(arena), FA_OK);
}

TEST_P(OwnArena, IsHandedFromThreadToThread) {
    fa_own_arena arena = Create();
    std::vector<char *> texts;
    for (int i = 0; i < 10; i++) {
        fa_own_arena parcel = fa_own_arena_give(arena);
        ASSERT_NE(parcel.head, nullptr);
        EXPECT_FALSE(fa_own_arena_is_held(parcel));
        EXPECT_FALSE(ArenaStats(parcel).is_held);
        OnThread([&] {
            fa_own_arena mine = fa_own_arena_take(parcel);
            ASSERT_TRUE(fa_own_arena_is_held(mine));
            for (int j = 0; j < i; j++)
                EXPECT_STREQ(texts[static_cast<size_t>(j)], std::to_string(j).c_str());
            texts.push_back(fa_own_arena_copy_string(mine, std::to_string(i).c_str()));
            parcel = fa_own_arena_give(mine);
        });
        arena = fa_own_arena_take(parcel);
        ASSERT_TRUE(fa_own_arena_is_held(arena));
        EXPECT_EQ(ArenaStats(arena).hand_over_count, 2u * static_cast<uint64_t>(i) + 2);
    }
    EXPECT_EQ(fa_own_arena_free(arena), FA_OK);
    EXPECT_EQ(events_.all.size(), 0u);
}

TEST_P(OwnArena, WhatWasGivenIsRefused) {
    const fa_own_arena first = Create();
    ASSERT_NE(fa_own_arena_alloc(first, 100), nullptr);
    const fa_own_arena parcel = fa_own_arena_give(first);
    ExpectUseless(first, FA_DIAG_FA613);
    ExpectUseless(parcel, FA_DIAG_FA613); // not before it was taken
    Refused(FA_DIAG_FA613, fa_own_arena_take(first).head == nullptr);
    Refused(FA_DIAG_FA613, fa_own_arena_free(first) == FA_ERROR_FOREIGN);
    const fa_own_arena second = fa_own_arena_take(parcel);
    ASSERT_TRUE(fa_own_arena_is_held(second));
    ExpectUseless(first, FA_DIAG_FA613);
    ExpectUseless(parcel, FA_DIAG_FA613);
    Refused(FA_DIAG_FA613, fa_own_arena_take(parcel).head == nullptr); // once
    Refused(FA_DIAG_FA613, fa_own_arena_free(parcel) == FA_ERROR_FOREIGN);
    Refused(FA_DIAG_FA613, fa_own_arena_take(second).head == nullptr); // was not given
    EXPECT_EQ(ArenaStats(first).hand_over_count, 1u) << "numbers are for every handle";
    EXPECT_NE(fa_own_arena_alloc(second, 16), nullptr);
    EXPECT_EQ(fa_own_arena_free(second), FA_OK);
    ExpectUseless(second, FA_DIAG_FA610);
    Refused(FA_DIAG_FA610, fa_own_arena_take(parcel).head == nullptr);
    Refused(FA_DIAG_FA610, fa_own_arena_free(second) == FA_ERROR_FOREIGN);
    fa_own_arena_stats stats;
    Refused(FA_DIAG_FA610, fa_own_arena_stats_get(second, &stats) == FA_ERROR_FOREIGN);
}

TEST_P(OwnArena, AnotherThreadIsFoundOut) {
    const fa_own_arena arena = Create();
    OnThread([&] {
        EXPECT_FALSE(fa_own_arena_is_held(arena));
        Refused(FA_DIAG_FA613, fa_own_arena_alloc_aligned(arena, 16, 32) == nullptr);
        Refused(FA_DIAG_FA613, fa_own_arena_reset(arena) == FA_ERROR_FOREIGN);
        Refused(FA_DIAG_FA613, fa_own_arena_give(arena).head == nullptr);
        Refused(FA_DIAG_FA613, fa_own_arena_free(arena) == FA_ERROR_FOREIGN);
        if (GetParam() != 0) /* checks close the inline path */
            Refused(FA_DIAG_FA613, fa_own_arena_alloc(arena, 16) == nullptr);
    });
    EXPECT_EQ(fa_own_arena_free(arena), FA_OK);
}

TEST_P(OwnArena, AnArenaInTheSameRecordIsAnotherOne) {
    const fa_own_arena first = Create();
    fa_own_arena arena = first;
    for (int i = 0; i < 5; i++)
        arena = fa_own_arena_take(fa_own_arena_give(arena));
    EXPECT_EQ(fa_own_arena_free(arena), FA_OK);
    const fa_own_arena second = Create();
    EXPECT_EQ(second.head, first.head);
    ExpectUseless(first, FA_DIAG_FA610);
    ExpectUseless(arena, FA_DIAG_FA610);
    EXPECT_FALSE(fa_own_arena_is_open(arena));
    const fa_own_arena parcel = fa_own_arena_give(second);
    EXPECT_EQ(fa_own_arena_free(parcel), FA_OK) << "nobody's may be freed by anybody";
}

TEST_P(OwnArena, OneOfManyTakersGetsIt) {
    Tracked allocator(Config(GetParam()));
    for (int round = 0; round < 50; round++) {
        const fa_own_arena parcel = fa_own_arena_give(fa_own_arena_create(allocator, "one", 0, 0));
        std::atomic<int> got{0}, ready{0};
        fa_own_arena mine[3] = {};
        OnThreads(3, [&](size_t i) {
            ready++;
            while (ready < 3)
                std::this_thread::yield();
            mine[i] = fa_own_arena_take(parcel);
            got += mine[i].head != nullptr;
            if (mine[i].head != nullptr) {
                EXPECT_EQ(fa_own_arena_free(mine[i]), FA_OK);
            }
        });
        EXPECT_EQ(got, 1);
        EXPECT_EQ(allocator.Count(FA_DIAG_FA613) + allocator.Count(FA_DIAG_FA610),
                  2u * static_cast<uint64_t>(round) + 2);
    }
}

TEST_P(OwnArena, MarksSurviveTheHandOver) {
    fa_own_arena arena = Create();
    char *kept = fa_own_arena_copy_string(arena, "kept");
    const fa_own_arena_mark mark = fa_own_arena_mark_set(arena);
    const size_t bytes = ArenaStats(arena).bytes;
    fa_own_arena parcel = fa_own_arena_give(arena);
    OnThread([&] {
        fa_own_arena mine = fa_own_arena_take(parcel);
        for (int i = 0; i < 100; i++)
            ASSERT_NE(fa_own_arena_alloc(mine, 3000), nullptr);
        EXPECT_EQ(fa_own_arena_rewind(mine, mark), FA_OK);
        EXPECT_EQ(ArenaStats(mine).bytes, bytes);
        parcel = fa_own_arena_give(mine);
    });
    arena = fa_own_arena_take(parcel);
    EXPECT_EQ(fa_own_arena_rewind(arena, mark), FA_OK) << "again";
    EXPECT_STREQ(kept, "kept");
    Refused(FA_DIAG_FA008, fa_own_arena_rewind(arena, {}) == FA_ERROR_FOREIGN);
    EXPECT_EQ(fa_own_arena_reset(arena), FA_OK);
    Refused(FA_DIAG_FA008, fa_own_arena_rewind(arena, mark) == FA_ERROR_FOREIGN);
    EXPECT_EQ(fa_own_arena_free(arena), FA_OK);
}

TEST_P(OwnArena, IsChargedToTheTagOfItsCreation) {
    const fa_tag fibers = fa_tag_intern(allocator_, "fibers");
    const fa_tag other = fa_tag_intern(allocator_, "other");
    ASSERT_EQ(fa_tag_enter(allocator_, fibers), FA_OK);
    const fa_own_arena arena = Create();
    ASSERT_EQ(fa_tag_leave(allocator_), FA_OK);
    ASSERT_EQ(fa_tag_enter(allocator_, other), FA_OK);
    ASSERT_NE(fa_own_arena_alloc(arena, 100000), nullptr);
    ASSERT_NE(fa_own_arena_alloc(arena, 5000000), nullptr);
    ASSERT_EQ(fa_tag_leave(allocator_), FA_OK);
    fa_tag_stats stats;
    ASSERT_EQ(fa_tag_stats_get(allocator_, fibers, &stats), FA_OK);
    EXPECT_GE(stats.heap_live_bytes, 5100000u);
    ASSERT_EQ(fa_tag_stats_get(allocator_, other, &stats), FA_OK);
    EXPECT_EQ(stats.heap_live_bytes, 0u);
    EXPECT_EQ(fa_own_arena_free(arena), FA_OK);
}

TEST_P(OwnArena, LimitsBudgetsAndSeals) {
    const fa_own_arena arena = Create(4096, 100000);
    while (fa_own_arena_alloc(arena, 1000) != nullptr) {
    }
    EXPECT_EQ(fa_last_error().status, FA_ERROR_FULL);
    fa_own_arena_stats stats = ArenaStats(arena);
    EXPECT_LE(stats.bytes_held, 100000u);
    EXPECT_GT(stats.bytes, 60000u);
    EXPECT_EQ(stats.bytes_max, 100000u);
    EXPECT_EQ(fa_own_arena_reset(arena), FA_OK);

    fa_budget budget = {};
    budget.hard_bytes = Stats(allocator_).heap_live_bytes + 50000;
    const fa_own_arena narrow = Create(1024, 0);
    ASSERT_EQ(fa_budget_set(allocator_, FA_INTENT_HEAP, &budget), FA_OK);
    EXPECT_EQ(fa_own_arena_alloc(narrow, 60000), nullptr);
    EXPECT_EQ(fa_last_error().status, FA_ERROR_LIMIT);
    EXPECT_NE(fa_own_arena_alloc(narrow, 40000), nullptr);
    budget.hard_bytes = 0;
    ASSERT_EQ(fa_budget_set(allocator_, FA_INTENT_HEAP, &budget), FA_OK);

    fa_backend_seal(allocator_);
    EXPECT_EQ(fa_own_arena_alloc(narrow, 50000000), nullptr);
    EXPECT_EQ(fa_last_error().status, FA_ERROR_SEALED);
    EXPECT_EQ(fa_own_arena_reset(narrow), FA_OK);
    EXPECT_NE(fa_own_arena_alloc(narrow, 40000), nullptr) << "what it has it keeps";
    EXPECT_EQ(fa_own_arena_free(narrow), FA_OK);
    EXPECT_EQ(fa_own_arena_free(arena), FA_OK);
}

TEST_P(OwnArena, SmallOnesAreSmall) {
    const size_t before = Stats(allocator_).heap_live_bytes;
    std::vector<fa_own_arena> arenas;
    for (int i = 0; i < 100; i++) {
        arenas.push_back(Create(2048));
        ASSERT_NE(fa_own_arena_alloc(arenas.back(), 100), nullptr);
    }
    EXPECT_LT(Stats(allocator_).heap_live_bytes - before, 100u * 3000);
    EXPECT_EQ(fa_own_arena_count(allocator_), 100u);
    size_t seen = 0;
    EXPECT_EQ(fa_own_arena_visit(
                  allocator_,
                  [](void *user, fa_own_arena, const fa_own_arena_stats *stats) {
                      EXPECT_STREQ(stats->name, "arena");
                      EXPECT_GE(stats->bytes, 112u);
                      ++*static_cast<size_t *>(user);
                  },
                  &seen),
              100u);
    EXPECT_EQ(seen, 100u);
    for (fa_own_arena arena : arenas)
        EXPECT_EQ(fa_own_arena_free(arena), FA_OK);
}

TEST_P(OwnArena, DiesWithTheAllocator) {
    const fa_own_arena held = Create();
    ASSERT_NE(fa_own_arena_alloc(held, 5000), nullptr);
    const fa_own_arena given = Create();
    ASSERT_NE(fa_own_arena_alloc(given, 5000000), nullptr);
    ASSERT_NE(fa_own_arena_give(given).head, nullptr);
    OnThread([&] { // a thread that ends with an arena in its hands
        const fa_own_arena lost = Create();
        ASSERT_NE(fa_own_arena_alloc(lost, 5000), nullptr);
    });
    EXPECT_EQ(fa_allocator_destroy(allocator_), 0u) << "no leak";
    allocator_ = nullptr;
}

TEST_P(OwnArena, OverrunsAreReported) {
    if ((GetParam() & FA_CHECK_GUARD) == 0 || kAsan)
        GTEST_SKIP();
    const fa_own_arena arena = Create();
    char *block = static_cast<char *>(fa_own_arena_alloc(arena, 20));
    const char kept = block[20];
    block[20] = 1;
    EXPECT_DEATH(fa_own_arena_reset(arena), "");
    block[20] = kept;
    EXPECT_EQ(fa_own_arena_free(arena), FA_OK);
}

TEST_P(OwnArena, WhatIsDeadMustNotBeTouched) {
    if (!kAsan)
        GTEST_SKIP();
    const fa_own_arena arena = Create();
    volatile char *block = static_cast<char *>(fa_own_arena_alloc(arena, 20));
    EXPECT_DEATH(block[20] = 1, "use-after-poison|heap-buffer");
    EXPECT_EQ(fa_own_arena_reset(arena), FA_OK);
    EXPECT_DEATH(block[0] = 1, "use-after-poison");
    EXPECT_EQ(fa_own_arena_free(arena), FA_OK);
    EXPECT_DEATH(block[0] = 1, "use-after-poison|heap-use");
}

// Every call of the backend fails once: nothing is lost, and nothing else changes.
TEST_P(OwnArena, FaultsLeaveItWhole) {
    EachFault(39, GetParam(), [](fa_allocator *allocator) {
        fa_own_arena arena =
            MakeDespiteFault([&] { return fa_own_arena_create(allocator, "faults", 4096, 0); });
        FillDespiteFault([&](size_t size) {
            void *block = fa_own_arena_alloc(arena, size);
            if (block != nullptr)
                arena = fa_own_arena_take(fa_own_arena_give(arena));
            return block;
        });
        ExpectValid(allocator);
        EXPECT_EQ(fa_own_arena_reset(arena), FA_OK);
    });
}

// Threads pass arenas round through slots; each writes what the next one reads.
TEST_P(OwnArena, HandOversAreOrdered) {
    constexpr size_t kSlots = 4, kThreads = 4;
    struct Slot {
        std::atomic<uint64_t> serial{0}; // relaxed on purpose: the arena orders the rest
        fai_bump_head *head = nullptr;
        std::vector<unsigned char *> blocks; // whoever holds the arena has it
    };
    Slot slots[kSlots];
    for (Slot &slot : slots) {
        const fa_own_arena parcel = fa_own_arena_give(Create(1024));
        slot.head = parcel.head;
        slot.serial.store(parcel.serial, std::memory_order_relaxed);
    }
    const uint64_t seed = Random().Seed();
    OnThreads(kThreads, [&](size_t i) {
        Engine random(seed + i);
        for (size_t round = 0; round < Rounds(4000); round++) {
            Slot &slot = slots[Pick(random, 0, kSlots - 1)];
            const uint64_t serial = slot.serial.exchange(0, std::memory_order_relaxed);
            if (serial == 0)
                continue;
            const fa_own_arena mine = fa_own_arena_take({slot.head, serial});
            ASSERT_NE(mine.head, nullptr);
            for (size_t j = 0; j < slot.blocks.size(); j++)
                ASSERT_TRUE(IsPainted(slot.blocks[j], j, 40));
            if (slot.blocks.size() == 50) {
                slot.blocks.clear();
                ASSERT_EQ(fa_own_arena_reset(mine), FA_OK);
            }
            auto *block = static_cast<unsigned char *>(fa_own_arena_alloc(mine, 40));
            ASSERT_NE(block, nullptr);
            Paint(block, slot.blocks.size(), 40);
            slot.blocks.push_back(block);
            slot.serial.store(fa_own_arena_give(mine).serial, std::memory_order_relaxed);
        }
    });
    for (Slot &slot : slots)
        EXPECT_EQ(fa_own_arena_free({slot.head, slot.serial}), FA_OK);
}

FA_TESTING_CHECKS(OwnArena);

} // namespace
