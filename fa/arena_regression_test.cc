// Mistakes that owned and shared arenas once made.
#include "fa/testing_checked.hpp"

#include <atomic>
#include <string>
#include <thread>

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpedantic" // arrays of flexible length are C
#define _Static_assert static_assert
extern "C" {
#include "fa/internal/allocator.h"
}
#undef _Static_assert
#pragma GCC diagnostic pop

using namespace fa_testing;

namespace {

class ArenaRegression : public Checked {
  protected:
    uint64_t HeapAllocs() { return Stats(allocator_).heap_alloc_count; }
    static fa_shared_arena_local Begin(fa_shared_arena arena) {
        fa_shared_arena_local local;
        EXPECT_EQ(fa_shared_arena_begin(arena, &local), FA_OK);
        return local;
    }
    // One round of a shared arena: all of these, then a reset.
    static void Round(fa_shared_arena arena, const std::vector<size_t> &sizes) {
        fa_shared_arena_local local = Begin(arena);
        for (size_t size : sizes)
            ASSERT_NE(fa_shared_arena_alloc(&local, size), nullptr) << size;
        ASSERT_EQ(fa_shared_arena_end(&local), FA_OK);
        ASSERT_EQ(fa_shared_arena_reset(arena), FA_OK);
    }
};

// ---- owned arenas ----

// Arenas are numbered in 31 bits; no limit to how many an allocator makes.
TEST_P(ArenaRegression, NumbersOfOwnedArenasBeginAgain) {
    fai_roster *roster = &allocator_->own_arenas;
    roster->serial = ((uint64_t{1} << 31) - 3) << 32 | 1;
    std::vector<fa_own_arena> all;
    for (int i = 0; i < 5; i++) {
        const fa_own_arena arena = fa_own_arena_create(allocator_, "arena", 0, 0);
        ASSERT_TRUE(fa_own_arena_is_open(arena)) << i;
        ASSERT_TRUE(fa_own_arena_is_held(arena));
        for (const fa_own_arena &other : all)
            EXPECT_NE(arena.serial >> 32, other.serial >> 32);
        EXPECT_NE(fa_own_arena_alloc(arena, 16), nullptr);
        const fa_own_arena parcel = fa_own_arena_give(arena);
        EXPECT_TRUE(fa_own_arena_is_open(parcel));
        EXPECT_FALSE(fa_own_arena_is_held(parcel));
        const fa_own_arena mine = fa_own_arena_take(parcel);
        ASSERT_TRUE(fa_own_arena_is_held(mine));
        all.push_back(mine);
    }
    size_t seen = 0;
    EXPECT_EQ(fa_own_arena_visit(
                  allocator_,
                  [](void *user, fa_own_arena arena, const fa_own_arena_stats *stats) {
                      EXPECT_EQ(stats->hand_over_count, 1u);
                      EXPECT_TRUE(fa_own_arena_is_open(arena));
                      ++*static_cast<size_t *>(user);
                  },
                  &seen),
              5u);
    for (fa_own_arena arena : all)
        EXPECT_EQ(fa_own_arena_free(arena), FA_OK);
    EXPECT_EQ(events_.all.size(), 0u);
}

// Handed over 2^31 times an arena gets to the next number: also where that is the first one again.
TEST_P(ArenaRegression, HandingOverNeverMakesAHandleOfAnotherKind) {
    for (uint64_t number : {uint64_t{1}, (uint64_t{1} << 31) - 1}) {
        const fa_own_arena made = fa_own_arena_create(allocator_, "arena", 0, 0);
        auto *bump = reinterpret_cast<fai_bump *>(made.head);
        fa_own_arena arena = {made.head, number << 32 | 0xFFFFFFFF};
        bump->head.serial = arena.serial;
        ASSERT_TRUE(fa_own_arena_is_held(arena));
        const fa_own_arena parcel = fa_own_arena_give(arena);
        EXPECT_FALSE(fa_own_arena_is_held(parcel));
        arena = fa_own_arena_take(parcel);
        ASSERT_TRUE(fa_own_arena_is_held(arena));
        EXPECT_TRUE(fa_own_arena_is_open(arena));
        EXPECT_EQ(fa_own_arena_free(arena), FA_OK);
        const fa_own_arena next = fa_own_arena_create(allocator_, "next", 0, 0);
        ASSERT_EQ(next.head, arena.head) << "the same record";
        EXPECT_FALSE(fa_own_arena_is_open(arena));
        EXPECT_FALSE(fa_own_arena_is_open(parcel));
        Refused(FA_DIAG_FA610, fa_own_arena_take(parcel).head == nullptr);
        EXPECT_EQ(fa_own_arena_free(next), FA_OK);
    }
}

struct Hook {
    fa_own_arena arena = {nullptr, 0};
    std::thread thread;
    std::atomic<bool> is_taken{false}, go_on{false};

    // What another thread does with the arena until it is told to go on.
    void Use(fa_own_arena parcel) {
        const fa_own_arena mine = fa_own_arena_take(parcel);
        EXPECT_TRUE(fa_own_arena_is_held(mine));
        do {
            void *block = fa_own_arena_alloc(mine, 100);
            EXPECT_NE(fa_own_arena_alloc(mine, 100), nullptr);
            EXPECT_NE(fa_own_arena_grow(mine, block, 100, 200), nullptr);
            EXPECT_EQ(fa_own_arena_reset(mine), FA_OK);
            is_taken = true;
        } while (!go_on);
        EXPECT_EQ(fa_own_arena_free(mine), FA_OK);
    }
    static void OnEvent(void *user, const fa_event *) {
        auto *self = static_cast<Hook *>(user);
        if (self->arena.head == nullptr || self->thread.joinable())
            return;
        const fa_own_arena parcel = fa_own_arena_give(self->arena);
        self->thread = std::thread([self, parcel] { self->Use(parcel); });
        while (!self->is_taken)
            std::this_thread::yield();
    }
};

// A hook gives the arena away while it grows: what asked for memory is told so, and what another
// thread holds by then is left alone.
TEST_P(ArenaRegression, AHookMayGiveTheArenaAwayWhileItGrows) {
    for (const bool is_block : {false, true})
        for (const bool is_hard : {false, true}) {
            Hook hook;
            fa_alloc_config config = Plain();
            config.checks = GetParam();
            config.on_event_user = &hook;
            config.on_event = Hook::OnEvent;
            Allocator allocator(config);
            const fa_own_arena arena = fa_own_arena_create(allocator, "arena", 0, 0);
            void *block = fa_own_arena_alloc(arena, 100);
            ASSERT_NE(fa_own_arena_alloc(arena, 100), nullptr);
            fa_budget budget = {};
            (is_hard ? budget.hard_bytes : budget.soft_bytes) = 4 << 20;
            ASSERT_EQ(fa_budget_set(allocator, FA_INTENT_HEAP, &budget), FA_OK);
            hook.arena = arena;
            void *got = is_block ? fa_own_arena_grow(arena, block, 100, 5 << 20)
                                 : fa_own_arena_alloc(arena, 5 << 20);
            EXPECT_EQ(got, nullptr);
            EXPECT_EQ(fa_last_error().diag, is_hard ? FA_DIAG_FA302 : FA_DIAG_FA613);
            hook.go_on = true;
            ASSERT_TRUE(hook.thread.joinable()) << "no hook was called";
            hook.thread.join();
            ExpectValid(allocator);
            EXPECT_EQ(allocator.Destroy(), 0u);
        }
}

// ---- shared arenas ----

// A chunk twice as large is only tried for: where a smaller one can be had, nobody hears of it.
TEST_P(ArenaRegression, ALargerChunkIsAskedForQuietly) {
    fa_alloc_config config = config_;
    Source source;
    config.backends[0] = source.backend;
    config.bytes_max = 6 << 20;
    config.heap_region_bytes = 1 << 20;
    fa_allocator *allocator;
    ASSERT_EQ(fa_allocator_create(&config, &allocator), FA_OK);
    size_t calls = 0;
    ASSERT_EQ(fa_reclaimer_add(
                  allocator, 0,
                  [](void *user, fa_allocator *, size_t) -> size_t {
                      ++*static_cast<size_t *>(user);
                      return 0;
                  },
                  &calls),
              FA_OK);
    const fa_shared_arena arena = fa_shared_arena_create(allocator, "arena", 0, 0);
    fa_shared_arena_local local = Begin(arena);
    fa_last_error_clear();
    size_t count = 0;
    while (fa_shared_arena_alloc(&local, 1024) != nullptr) {
        ASSERT_EQ(fa_last_error().status, FA_OK) << count;
        ASSERT_EQ(calls, 0u) << count;
        ASSERT_EQ(events_.all.size(), 0u) << count;
        count++;
    }
    EXPECT_GT(count, 4000u);
    EXPECT_EQ(fa_last_error().status, FA_ERROR_LIMIT);
    EXPECT_EQ(calls, 1u) << "but what is needed is asked for loudly";
    EXPECT_EQ(fa_shared_arena_end(&local), FA_OK);
    EXPECT_EQ(fa_shared_arena_free(arena), FA_OK);
    EXPECT_EQ(fa_allocator_destroy(allocator), 0u);
}

TEST_P(ArenaRegression, ALargeBlockThatComesFirstIsLearnedToo) {
    for (const std::vector<size_t> &sizes :
         {std::vector<size_t>(2, 4 << 20), {1 << 20, 64, 64, 64}, {100, 1 << 20, 3 << 20}}) {
        const fa_shared_arena arena = fa_shared_arena_create(allocator_, "arena", 0, 0);
        Round(arena, sizes);
        Round(arena, sizes); /* in one chunk of the size that the first one told */
        const uint64_t allocs = HeapAllocs();
        for (int i = 0; i < 3; i++)
            Round(arena, sizes);
        EXPECT_EQ(HeapAllocs(), allocs);
        EXPECT_EQ(fa_shared_arena_free(arena), FA_OK);
    }
}

// Sealed, an arena has several chunks: what is small leaves the large one to what needs it.
TEST_P(ArenaRegression, ASealedArenaFindsItsLargeChunkAgain) {
    for (const std::vector<size_t> &sizes :
         {std::vector<size_t>{100, 2 << 20}, {100, 3 << 20, 100, 2 << 20}, {2 << 20, 100}}) {
        Allocator allocator(config_);
        const fa_shared_arena arena = fa_shared_arena_create(allocator, "arena", 0, 0);
        fa_shared_arena_local local = Begin(arena);
        for (size_t size : sizes)
            ASSERT_NE(fa_shared_arena_alloc(&local, size), nullptr);
        ASSERT_EQ(fa_shared_arena_end(&local), FA_OK);
        fa_backend_seal(allocator);
        ASSERT_EQ(fa_shared_arena_reset(arena), FA_OK);
        for (int i = 0; i < 4; i++)
            Round(arena, sizes);
        EXPECT_EQ(fa_shared_arena_free(arena), FA_OK);
        ExpectValid(allocator);
    }
}

FA_TESTING_CHECKS_ALL(ArenaRegression);

} // namespace
