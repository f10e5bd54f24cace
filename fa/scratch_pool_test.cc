// Named scratch pools: every promise and every error of scratch_pool.h.
#include "fa/testing_checked.hpp"

#include <map>
#include <set>
#include <string>

extern "C" {
#include "fa/internal/bump.h"
}

using namespace fa_testing;

namespace {

constexpr fa_scratch_pool kNone = {nullptr, 0};

fa_scratch_pool_stats PoolStats(fa_scratch_pool pool) {
    fa_scratch_pool_stats stats;
    EXPECT_EQ(fa_scratch_pool_stats_get(pool, &stats), FA_OK);
    return stats;
}

class ScratchPool : public Checked {
  protected:
    fa_scratch_pool Open(const char *name, size_t first = 0, size_t most = 0) {
        return fa_scratch_pool_open(allocator_, name, first, most);
    }
};

TEST_P(ScratchPool, IsFoundByItsName) {
    EXPECT_FALSE(fa_scratch_pool_is_open(fa_scratch_pool_find(allocator_, "level")));
    fa_scratch_pool level = Open("level");
    ASSERT_TRUE(fa_scratch_pool_is_open(level));
    fa_scratch_pool other = Open("levels");
    EXPECT_NE(level.head, other.head);
    fa_scratch_pool again = Open("level", 1 << 20, 1 << 21), found;
    found = fa_scratch_pool_find(allocator_, "level");
    for (fa_scratch_pool pool : {again, found}) {
        EXPECT_EQ(pool.head, level.head);
        EXPECT_EQ(pool.serial, level.serial);
    }
    EXPECT_EQ(PoolStats(level).bytes_max, 0u); // as it was made
    EXPECT_EQ(fa_scratch_pool_count(allocator_), 2u);
    EXPECT_TRUE(events_.all.empty());
}

TEST_P(ScratchPool, NamesAreCheckedAndCopied) {
    char name[] = "a name of a length as it may be";
    ASSERT_EQ(sizeof name, static_cast<size_t>(FA_NAME_BYTES));
    fa_scratch_pool pool = Open(name);
    ASSERT_TRUE(fa_scratch_pool_is_open(pool));
    name[0] = 'b';
    EXPECT_STREQ(PoolStats(pool).name, "a name of a length as it may be");
    for (const char *bad : {"", "a name of a length as it can't be"}) {
        fa_last_error_clear();
        EXPECT_FALSE(fa_scratch_pool_is_open(Open(bad)));
        EXPECT_EQ(fa_last_error().status, FA_ERROR_INVALID);
        EXPECT_FALSE(fa_scratch_pool_is_open(fa_scratch_pool_find(allocator_, bad)));
    }
}

TEST_P(ScratchPool, BlocksAreApartAlignedAndStayUntilTheReset) {
    fa_scratch_pool pool = Open("pool");
    std::vector<std::pair<unsigned char *, size_t>> blocks;
    for (size_t i = 0; i < 500; i++) {
        const size_t size = 1 + (i * 37) % 3000, align = static_cast<size_t>(1) << (i % 13);
        void *block = i % 3 == 0 ? fa_scratch_pool_alloc(pool, size)
                                 : fa_scratch_pool_alloc_aligned(pool, size, align);
        ASSERT_NE(block, nullptr);
        EXPECT_TRUE(IsAligned(block, 16));
        EXPECT_TRUE(i % 3 == 0 || IsAligned(block, align));
        if (GetParam() & FA_CHECK_FILL) {
            EXPECT_TRUE(IsFilled(block, 0xAB, size));
        }
        Paint(block, i, size);
        blocks.emplace_back(static_cast<unsigned char *>(block), size);
    }
    for (size_t i = 0; i < blocks.size(); i++)
        EXPECT_TRUE(IsPainted(blocks[i].first, i, blocks[i].second));
    EXPECT_EQ(PoolStats(pool).alloc_count, kCounted ? 500u : 0u);
    ExpectValid(allocator_);
    EXPECT_EQ(fa_scratch_pool_reset(pool), FA_OK);
    EXPECT_EQ(PoolStats(pool).bytes, 0u);
    EXPECT_EQ(PoolStats(pool).reset_count, 1u);
    ExpectValid(allocator_);
}

TEST_P(ScratchPool, HugeAlignmentsAndSizes) {
    fa_scratch_pool pool = Open("pool");
    for (size_t align = 1; align <= FA_ALIGN_MAX; align *= 2) {
        void *block = fa_scratch_pool_alloc_aligned(pool, 100, align);
        ASSERT_NE(block, nullptr) << align;
        EXPECT_TRUE(IsAligned(block, align));
        Paint(block, align, 100);
    }
    void *large = fa_scratch_pool_alloc(pool, 5 << 20);
    void *small = fa_scratch_pool_alloc(pool, 64);
    ASSERT_NE(large, nullptr);
    Paint(large, 1, 5 << 20);
    Paint(small, 2, 64);
    EXPECT_TRUE(IsPainted(large, 1, 5 << 20));
    ExpectValid(allocator_);
    EXPECT_EQ(fa_scratch_pool_reset(pool), FA_OK);
    ExpectValid(allocator_);
    EXPECT_EQ(PoolStats(pool).bytes, 0u);
    EXPECT_GE(PoolStats(pool).bytes_peak, static_cast<size_t>(5 << 20));
}

TEST_P(ScratchPool, TypedFormsAndCopies) {
    struct alignas(128) Wide {
        double values[4];
    };
    fa_scratch_pool pool = Open("pool");
    Wide *wide = fa_scratch_pool_new(pool, Wide);
    Wide *wides = fa_scratch_pool_array_zeroed(pool, Wide, 3);
    int *ints = fa_scratch_pool_array(pool, int, 10);
    ASSERT_TRUE(wide && wides && ints);
    EXPECT_TRUE(IsAligned(wide, 128) && IsAligned(wides, 128));
    EXPECT_TRUE(IsFilled(wides, 0, 3 * sizeof(Wide)));
    for (int i = 0; i < 10; i++)
        ints[i] = i;
    int *copy = static_cast<int *>(fa_scratch_pool_copy(pool, ints, 10 * sizeof(int)));
    EXPECT_EQ(copy[9], 9);
    EXPECT_STREQ(fa_scratch_pool_copy_string(pool, "text"), "text");
    EXPECT_TRUE(IsFilled(fa_scratch_pool_alloc_zeroed(pool, 7, 9), 0, 63));
    EXPECT_EQ(fa_scratch_pool_array(pool, int, SIZE_MAX / 2), nullptr);
    EXPECT_EQ(fa_last_error().status, FA_ERROR_INVALID);
    EXPECT_EQ(fa_scratch_pool_alloc_zeroed(pool, SIZE_MAX / 2, 4), nullptr);
}

TEST_P(ScratchPool, TheNewestBlockGrowsInPlace) {
    fa_scratch_pool pool = Open("pool", 1 << 16);
    void *first = fa_scratch_pool_alloc(pool, 100);
    Paint(first, 1, 100);
    void *grown = fa_scratch_pool_grow(pool, first, 100, 1000);
    EXPECT_EQ(grown, first);
    EXPECT_TRUE(IsPainted(grown, 1, 100));
    EXPECT_EQ(fa_scratch_pool_grow(pool, grown, 1000, 50), first); // smaller, too
    void *second = fa_scratch_pool_alloc(pool, 10);
    EXPECT_LT(static_cast<char *>(second), static_cast<char *>(first) + 1000);
    void *moved = fa_scratch_pool_grow(pool, first, 50, 2000);
    ASSERT_NE(moved, nullptr);
    EXPECT_NE(moved, first);
    EXPECT_TRUE(IsPainted(moved, 1, 50));
    EXPECT_NE(fa_scratch_pool_grow(pool, nullptr, 0, 10), nullptr);
    int local = 0;
    EXPECT_EQ(fa_scratch_pool_grow(pool, &local, 4, 8), nullptr);
    EXPECT_EQ(fa_last_error().status, FA_ERROR_FOREIGN);
    EXPECT_EQ(fa_scratch_pool_grow(pool, moved, 2000, 0), nullptr);
    EXPECT_EQ(fa_last_error().status, FA_ERROR_INVALID);
    ExpectValid(allocator_);
}

TEST_P(ScratchPool, AGrownCopyKeepsItsAlignment) {
    fa_scratch_pool pool = Open("pool");
    void *block = fa_scratch_pool_alloc_aligned(pool, 64, 64);
    Paint(block, 5, 64);
    ASSERT_NE(fa_scratch_pool_alloc(pool, 16), nullptr);
    void *moved = fa_scratch_pool_grow(pool, block, 64, 640);
    EXPECT_TRUE(IsAligned(moved, 64));
    EXPECT_TRUE(IsPainted(moved, 5, 64));
}

TEST_P(ScratchPool, ARemovedPoolIsRefusedForEver) {
    fa_scratch_pool pool = Open("pool");
    const fa_scratch_pool_mark mark = fa_scratch_pool_mark_set(pool);
    ASSERT_NE(fa_scratch_pool_alloc(pool, 100), nullptr);
    EXPECT_EQ(fa_scratch_pool_remove(pool), FA_OK);
    EXPECT_EQ(fa_scratch_pool_count(allocator_), 0u);
    EXPECT_FALSE(fa_scratch_pool_is_open(fa_scratch_pool_find(allocator_, "pool")));
    for (int round = 0; round < 3; round++) {
        if (round == 1) { // its record serves another pool of the same name
            fa_scratch_pool other = Open("pool");
            ASSERT_EQ(other.head, pool.head);
            ASSERT_NE(fa_scratch_pool_alloc(other, 100), nullptr);
        }
        events_.all.clear();
        EXPECT_FALSE(fa_scratch_pool_is_open(pool));
        EXPECT_EQ(fa_scratch_pool_alloc(pool, 16), nullptr);
        EXPECT_EQ(fa_last_error().diag, FA_DIAG_FA610);
        EXPECT_EQ(fa_scratch_pool_alloc_aligned(pool, 16, 64), nullptr);
        EXPECT_EQ(fa_scratch_pool_alloc_zeroed(pool, 16, 64), nullptr);
        EXPECT_EQ(fa_scratch_pool_grow(pool, nullptr, 0, 64), nullptr);
        EXPECT_EQ(fa_scratch_pool_copy_string(pool, "text"), nullptr);
        EXPECT_EQ(fa_scratch_pool_reset(pool), FA_ERROR_FOREIGN);
        EXPECT_EQ(fa_scratch_pool_remove(pool), FA_ERROR_FOREIGN);
        EXPECT_EQ(fa_scratch_pool_rewind(pool, mark), FA_ERROR_FOREIGN);
        EXPECT_EQ(fa_scratch_pool_mark_set(pool).serial, 0u);
        fa_scratch_pool_stats stats;
        EXPECT_EQ(fa_scratch_pool_stats_get(pool, &stats), FA_ERROR_FOREIGN);
        EXPECT_EQ(events_.Count(FA_DIAG_FA610), 10u);
        EXPECT_EQ(events_.all.size(), 10u);
        ExpectValid(allocator_);
    }
}

TEST_P(ScratchPool, NoPoolIsRefused) {
    EXPECT_EQ(fa_scratch_pool_alloc(kNone, 16), nullptr);
    EXPECT_EQ(fa_last_error().status, FA_ERROR_INVALID);
    fa_scratch_pool pool = Open("pool"), forged = {pool.head, 0};
    EXPECT_EQ(fa_scratch_pool_remove(pool), FA_OK);
    EXPECT_FALSE(fa_scratch_pool_is_open(forged)); // the serial of a free record
    EXPECT_EQ(fa_scratch_pool_alloc(forged, 16), nullptr);
    EXPECT_EQ(fa_scratch_pool_reset(forged), FA_ERROR_FOREIGN);
}

TEST_P(ScratchPool, BadSizesAndAlignmentsChangeNothing) {
    fa_scratch_pool pool = Open("pool");
    void *block = fa_scratch_pool_alloc(pool, 100);
    Paint(block, 1, 100);
    const size_t bytes = PoolStats(pool).bytes;
    const auto refused = [](const void *got) {
        EXPECT_EQ(got, nullptr);
        EXPECT_EQ(fa_last_error().status, FA_ERROR_INVALID);
        fa_last_error_clear();
    };
    for (size_t size : {size_t{0}, FA_SIZE_MAX + 1, SIZE_MAX - 15, SIZE_MAX}) {
        refused(fa_scratch_pool_alloc(pool, size));
        refused(fa_scratch_pool_alloc_aligned(pool, size, 64));
        refused(fa_scratch_pool_alloc_batch(pool, size, 1));
        refused(fa_scratch_pool_alloc_zeroed(pool, 1, size));
        refused(fa_scratch_pool_grow(pool, block, 100, size));
        refused(fa_scratch_pool_copy(pool, "", size));
    }
    for (size_t align : {size_t{0}, size_t{3}, size_t{48}, FA_ALIGN_MAX * 2})
        refused(fa_scratch_pool_alloc_aligned(pool, 16, align));
    refused(fa_scratch_pool_copy(pool, nullptr, 1));
    refused(fa_scratch_pool_copy_string(pool, nullptr));
    EXPECT_EQ(PoolStats(pool).bytes, bytes);
    EXPECT_TRUE(IsPainted(block, 1, 100));
}

TEST_P(ScratchPool, AResetPoolLearnsItsSize) {
    fa_scratch_pool pool = Open("pool");
    constexpr size_t kCount = 3000, kSize = 1000; // many chunks
    for (int round = 0; round < 4; round++) {
        for (size_t i = 0; i < kCount; i++)
            ASSERT_NE(fa_scratch_pool_alloc(pool, kSize), nullptr);
        EXPECT_EQ(fa_scratch_pool_reset(pool), FA_OK);
        ExpectValid(allocator_);
    }
    const uint64_t before = Stats(allocator_).heap_alloc_count;
    for (size_t i = 0; i < kCount; i++)
        ASSERT_NE(fa_scratch_pool_alloc(pool, kSize), nullptr);
    EXPECT_EQ(Stats(allocator_).heap_alloc_count, before);
    if (IsBare()) {
        EXPECT_LT(PoolStats(pool).bytes_held, kCount * kSize * 5 / 4);
    }
}

TEST_P(ScratchPool, WhatIsNotNeededAnyMoreGoesBack) {
    fa_scratch_pool pool = Open("pool");
    ASSERT_NE(fa_scratch_pool_alloc(pool, 8 << 20), nullptr);
    EXPECT_EQ(fa_scratch_pool_reset(pool), FA_OK);
    ASSERT_NE(fa_scratch_pool_alloc(pool, 8 << 20), nullptr);
    EXPECT_EQ(fa_scratch_pool_reset(pool), FA_OK);
    EXPECT_GE(PoolStats(pool).bytes_held, static_cast<size_t>(8 << 20));
    for (int i = 0; i < 300; i++) {
        ASSERT_NE(fa_scratch_pool_alloc(pool, 100), nullptr);
        EXPECT_EQ(fa_scratch_pool_reset(pool), FA_OK);
    }
    EXPECT_LE(PoolStats(pool).bytes_held, static_cast<size_t>(64 << 10));
    EXPECT_GE(PoolStats(pool).bytes_peak, static_cast<size_t>(8 << 20)); // not forgotten
    fa_scratch_pool hinted = Open("hinted", 4 << 20);
    for (int i = 0; i < 300; i++) {
        ASSERT_NE(fa_scratch_pool_alloc(hinted, 100), nullptr);
        EXPECT_EQ(fa_scratch_pool_reset(hinted), FA_OK);
    }
    EXPECT_GE(PoolStats(hinted).bytes_held, static_cast<size_t>(4 << 20));
}

TEST_P(ScratchPool, TheHintIsOneChunkAndTheCapHolds) {
    if (!IsBare())
        GTEST_SKIP() << "checks take memory too";
    fa_scratch_pool pool = Open("pool", 100000, 100000);
    const uint64_t before = Stats(allocator_).heap_alloc_count;
    for (size_t i = 0; i < 100000 / 16; i++)
        ASSERT_NE(fa_scratch_pool_alloc(pool, 16), nullptr);
    EXPECT_EQ(Stats(allocator_).heap_alloc_count, before + 1);
    EXPECT_EQ(fa_scratch_pool_alloc(pool, 16), nullptr);
    EXPECT_EQ(fa_last_error().status, FA_ERROR_FULL);
    EXPECT_EQ(fa_scratch_pool_mark_set(pool).serial, 0u);
    EXPECT_EQ(PoolStats(pool).bytes, 100000u);
    EXPECT_EQ(PoolStats(pool).bytes_held, 100000u);
    EXPECT_TRUE(events_.all.empty()); // an answer, not an event
    EXPECT_EQ(fa_scratch_pool_reset(pool), FA_OK);
    EXPECT_NE(fa_scratch_pool_alloc(pool, 100000), nullptr);
    fa_scratch_pool small = Open("small", 0, 1000);
    EXPECT_EQ(fa_scratch_pool_alloc(small, 1001), nullptr);
    EXPECT_NE(fa_scratch_pool_alloc(small, 900), nullptr);
    EXPECT_EQ(fa_scratch_pool_alloc(small, 200), nullptr);
}

TEST_P(ScratchPool, MarksGoBackAsOftenAsYouLike) {
    fa_scratch_pool pool = Open("pool");
    void *kept = fa_scratch_pool_alloc(pool, 100);
    Paint(kept, 1, 100);
    const fa_scratch_pool_mark outer = fa_scratch_pool_mark_set(pool);
    ASSERT_NE(outer.serial, 0u);
    const size_t bytes = PoolStats(pool).bytes;
    fa_scratch_pool_mark inner = {};
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 500; i++) { // several chunks, and blocks of their own
            ASSERT_NE(fa_scratch_pool_alloc(pool, i == 250 ? 3 << 20 : 1000), nullptr);
            if (i == 100)
                inner = fa_scratch_pool_mark_set(pool);
        }
        ExpectValid(allocator_);
        EXPECT_EQ(fa_scratch_pool_rewind(pool, inner), FA_OK);
        EXPECT_EQ(fa_scratch_pool_rewind(pool, inner), FA_OK);
        ExpectValid(allocator_);
        EXPECT_EQ(fa_scratch_pool_rewind(pool, outer), FA_OK);
        EXPECT_EQ(PoolStats(pool).bytes, bytes);
        EXPECT_TRUE(IsPainted(kept, 1, 100));
        ExpectValid(allocator_);
        EXPECT_EQ(fa_scratch_pool_rewind(pool, inner), FA_ERROR_FOREIGN); // dead
    }
    EXPECT_EQ(events_.Count(FA_DIAG_FA008), 3u);
    fa_scratch_pool other = Open("other");
    (void)fa_scratch_pool_mark_set(other);
    EXPECT_EQ(fa_scratch_pool_rewind(other, outer), FA_ERROR_FOREIGN);
    EXPECT_EQ(fa_scratch_pool_rewind(pool, fa_scratch_pool_mark{}), FA_ERROR_FOREIGN);
    EXPECT_EQ(fa_scratch_pool_reset(pool), FA_OK);
    EXPECT_EQ(fa_scratch_pool_rewind(pool, outer), FA_ERROR_FOREIGN);
}

TEST_P(ScratchPool, ABlockFromBeforeAMarkIsCopiedWhenItGrows) {
    fa_scratch_pool pool = Open("pool");
    void *block = fa_scratch_pool_alloc(pool, 100);
    Paint(block, 1, 100);
    const fa_scratch_pool_mark mark = fa_scratch_pool_mark_set(pool);
    void *moved = fa_scratch_pool_grow(pool, block, 100, 200);
    ASSERT_NE(moved, nullptr);
    EXPECT_NE(moved, block);
    EXPECT_EQ(fa_scratch_pool_rewind(pool, mark), FA_OK);
    EXPECT_TRUE(IsPainted(block, 1, 100));
}

TEST_P(ScratchPool, AllAreResetAndVisited) {
    std::map<std::string, fa_scratch_pool> pools;
    for (int i = 0; i < 100; i++) {
        const std::string name = "pool " + std::to_string(i);
        pools[name] = Open(name.c_str());
        ASSERT_NE(fa_scratch_pool_alloc(pools[name], 100), nullptr);
        if (i % 3 == 0) {
            EXPECT_EQ(fa_scratch_pool_remove(pools[name]), FA_OK);
            pools.erase(name);
        }
    }
    struct Seen {
        std::set<std::string> names;
        size_t bytes;
    } seen = {};
    const auto visit = [](void *user, fa_scratch_pool pool, const fa_scratch_pool_stats *stats) {
        auto *all = static_cast<Seen *>(user);
        EXPECT_TRUE(fa_scratch_pool_is_open(pool));
        EXPECT_TRUE(all->names.insert(stats->name).second);
        EXPECT_GE(stats->bytes_peak, 112u);
        all->bytes += stats->bytes;
        EXPECT_NE(fa_scratch_pool_mark_set(pool).serial, 0u); // it may do what it likes
    };
    EXPECT_EQ(fa_scratch_pool_visit(allocator_, visit, &seen), pools.size());
    EXPECT_EQ(seen.names.size(), pools.size());
    for (const auto &pool : pools)
        EXPECT_EQ(seen.names.count(pool.first), 1u);
    EXPECT_GE(seen.bytes, pools.size() * 112);
    EXPECT_EQ(fa_scratch_pool_reset_all(allocator_), pools.size());
    seen = {};
    EXPECT_EQ(fa_scratch_pool_visit(allocator_, visit, &seen), pools.size());
    EXPECT_EQ(seen.bytes, 0u);
}

TEST_P(ScratchPool, WorksInsideOfFramesAndOutside) {
    fa_scratch_pool pool = Open("pool");
    int *outside = fa_scratch_pool_new(pool, int);
    *outside = 1;
    ASSERT_NE(fa_frame_begin(allocator_), nullptr);
    int *inside = fa_scratch_pool_new(pool, int);
    *inside = 2;
    EXPECT_EQ(fa_frame_end(allocator_), FA_OK);
    EXPECT_EQ(*outside + *inside, 3);
}

TEST_P(ScratchPool, IsChargedToTheTagInWhichItGrows) {
    fa_scratch_pool pool = Open("pool");
    ASSERT_EQ(fa_tag_enter(allocator_, FA_TAG_ASSETS), FA_OK);
    ASSERT_NE(fa_scratch_pool_alloc(pool, 100000), nullptr);
    ASSERT_EQ(fa_tag_leave(allocator_), FA_OK);
    fa_tag_stats stats;
    ASSERT_EQ(fa_tag_stats_get(allocator_, FA_TAG_ASSETS, &stats), FA_OK);
    EXPECT_GE(stats.heap_live_bytes, 100000u);
    EXPECT_EQ(fa_scratch_pool_remove(pool), FA_OK);
    ASSERT_EQ(fa_tag_stats_get(allocator_, FA_TAG_ASSETS, &stats), FA_OK);
    EXPECT_EQ(stats.heap_live_bytes, 0u);
}

TEST_P(ScratchPool, ABudgetIsNeverPassedAndTheRestIsUsed) {
    fa_scratch_pool pool = Open("pool");
    fa_budget budget = {};
    budget.hard_bytes = Stats(allocator_).heap_live_bytes + 10000;
    ASSERT_EQ(fa_budget_set(allocator_, FA_INTENT_HEAP, &budget), FA_OK);
    size_t count = 0;
    while (fa_scratch_pool_alloc(pool, 1000) != nullptr)
        count++;
    EXPECT_GE(count, 3u); // a first chunk of 64 KiB would not have fitted at all
    EXPECT_EQ(fa_last_error().diag, FA_DIAG_FA302);
    EXPECT_LE(Stats(allocator_).heap_live_bytes, budget.hard_bytes);
    ExpectValid(allocator_);
}

TEST_P(ScratchPool, GoesOnWithWhatItHoldsWhenSealed) {
    fa_scratch_pool pool = Open("pool");
    const fa_scratch_pool_mark mark = fa_scratch_pool_mark_set(pool);
    const auto fill = [pool] {
        for (int i = 0; i < 1000; i++)
            if (fa_scratch_pool_alloc(pool, i == 500 ? 2 << 20 : 1000) == nullptr)
                return false;
        return true;
    };
    ASSERT_TRUE(fill());
    fa_backend_seal(allocator_);
    const uint64_t calls = source_.Calls();
    for (int round = 0; round < 3; round++) {
        EXPECT_EQ(fa_scratch_pool_rewind(pool, mark), FA_OK);
        EXPECT_TRUE(fill());
        ExpectValid(allocator_);
    }
    for (int round = 0; round < 3; round++) {
        EXPECT_EQ(fa_scratch_pool_reset(pool), FA_OK);
        EXPECT_TRUE(fill());
        ExpectValid(allocator_);
    }
    EXPECT_EQ(source_.Calls(), calls);
    EXPECT_EQ(fa_scratch_pool_alloc(pool, 100 << 20), nullptr);
    EXPECT_EQ(fa_last_error().status, FA_ERROR_SEALED);
}

TEST_P(ScratchPool, AnotherThreadInsideIsRefused) {
    fa_scratch_pool pool = Open("pool");
    auto *bump = reinterpret_cast<fai_bump *>(pool.head);
    int somebody = 0;
    bump->user = &somebody; // as if that were a thread
    EXPECT_EQ(fa_scratch_pool_alloc(pool, 100), nullptr);
    EXPECT_EQ(fa_last_error().status, FA_ERROR_FOREIGN);
    EXPECT_EQ(fa_scratch_pool_reset(pool), FA_ERROR_FOREIGN);
    EXPECT_EQ(fa_scratch_pool_reset_all(allocator_), 0u);
    EXPECT_EQ(fa_scratch_pool_remove(pool), FA_ERROR_FOREIGN);
    EXPECT_EQ(events_.Count(FA_DIAG_FA611), 4u);
    bump->user = nullptr;
    EXPECT_NE(fa_scratch_pool_alloc(pool, 100), nullptr);
}

// A hook that uses, resets or removes the very pool that is growing.
TEST_P(ScratchPool, HooksMayUseTheSamePool) {
    struct World {
        fa_scratch_pool pool;
        int what, depth;
    } world = {};
    const auto reclaim = [](void *user, fa_allocator *, size_t) -> size_t {
        auto *at = static_cast<World *>(user);
        if (at->depth++ != 0)
            return 0;
        if (at->what == 0)
            EXPECT_NE(fa_scratch_pool_alloc(at->pool, 16), nullptr);
        else if (at->what == 1)
            EXPECT_EQ(fa_scratch_pool_reset(at->pool), FA_OK);
        else
            EXPECT_EQ(fa_scratch_pool_remove(at->pool), FA_OK);
        return at->what == 0 ? 0 : 1;
    };
    ASSERT_EQ(fa_reclaimer_add(allocator_, 0, reclaim, &world), FA_OK);
    for (int what = 0; what < 3; what++) {
        for (const bool grow : {false, true}) {
            world = {Open("pool"), what, 0};
            void *block = fa_scratch_pool_alloc(world.pool, 1000);
            ASSERT_NE(block, nullptr);
            ASSERT_NE(fa_scratch_pool_alloc(world.pool, 1000), nullptr);
            source_.Fail(1, false); // the next call of the backend fails, once
            const size_t huge = 64 << 20;
            void *got = grow ? fa_scratch_pool_grow(world.pool, block, 1000, huge)
                             : fa_scratch_pool_alloc(world.pool, huge);
            source_.Fail(0);
            EXPECT_EQ(world.depth, 1);
            EXPECT_EQ(got != nullptr, what == 1 && !grow) << what << grow;
            ExpectValid(allocator_);
            if (what != 2) {
                EXPECT_EQ(fa_scratch_pool_remove(world.pool), FA_OK);
            }
        }
    }
    EXPECT_EQ(fa_reclaimer_remove(allocator_, reclaim, &world), FA_OK);
}

INSTANTIATE_TEST_SUITE_P(Checks, ScratchPool, testing::Values(0u, uint32_t{FA_CHECK_ALL}));

} // namespace
