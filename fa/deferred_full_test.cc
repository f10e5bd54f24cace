// Frees across threads where only so many objects may wait.
#include "fa/fa.h"

#include <atomic>
#include <vector>

#include "fa/testing_deferred.hpp"

namespace {

using namespace fa_testing;

TEST(DeferredFull, WhatAFullQueueDoes) {
    for (fa_deferred_full full : {FA_DEFERRED_FULL_GROW, FA_DEFERRED_FULL_WAIT,
                                  FA_DEFERRED_FULL_FAIL, FA_DEFERRED_FULL_PROCESS}) {
        SCOPED_TRACE(full);
        Events events;
        fa_alloc_config config = Config();
        events.Watch(&config);
        config.deferred.count_max = 8;
        config.deferred.full = full;
        config.deferred.wait_nanoseconds = 100000;
        Tracked allocator(config);
        if (!Waits(allocator))
            GTEST_SKIP() << "nothing waits";
        std::vector<void *> blocks = Take(allocator, 10);
        bool fails = full == FA_DEFERRED_FULL_FAIL;
        OnThread([&] {
            Free(allocator, {blocks.begin(), blocks.begin() + 8});
            EXPECT_EQ(fa_deferred_free(allocator, blocks[8]), fails ? FA_ERROR_FULL : FA_OK);
            EXPECT_EQ(fa_last_error().status, fails ? FA_ERROR_FULL : FA_OK);
            EXPECT_EQ(events.Count(FA_DIAG_FA305), 0u);
            fa_pool_free(allocator, blocks[9]);
            EXPECT_EQ(events.Count(FA_DIAG_FA305), fails ? 1u : 0u);
        });
        fa_deferred_stats stats = Here(allocator);
        EXPECT_EQ(stats.full_count, 2u);
        const bool direct = full == FA_DEFERRED_FULL_PROCESS;
        EXPECT_EQ(stats.waiting_count, fails || direct ? 8u : 10u);
        EXPECT_EQ(stats.direct_count, direct ? 2u : 0u);
        EXPECT_EQ(stats.dropped_count, 0u);
        fa_thread_stats own;
        EXPECT_EQ(fa_thread_stats_here(allocator, &own), FA_OK);
        EXPECT_EQ(own.pool_live_count, fails && kCounted ? 2u : 0u);
        EXPECT_EQ(own.pool_live_bytes, fails ? 128u : 0u);
        EXPECT_EQ(allocator.Live(), fails && kCounted ? 2u : 0u);
        EXPECT_EQ(fa_deferred_process(allocator, SIZE_MAX), stats.waiting_count);
        if (fails)
            OnThread([&] {
                EXPECT_EQ(fa_deferred_free(allocator, blocks[8]), FA_OK);
                EXPECT_EQ(fa_deferred_free(allocator, blocks[9]), FA_OK);
            });
        EXPECT_EQ(allocator.Live(), 0u);
        EXPECT_EQ(fa_deferred_free(allocator, fa_pool_alloc(allocator, 64)), FA_OK);
        EXPECT_EQ(fa_deferred_free(allocator, fa_heap_alloc(allocator, 64)), FA_OK);
        EXPECT_EQ(fa_deferred_free(allocator, nullptr), FA_OK);
        allocator.Check();
    }
}

// What the freeing threads put back is there for the owner at once, who takes in nothing himself.
TEST(DeferredFull, AFullQueueIsPassedBy) {
    for (const bool owner_exits : {false, true}) {
        fa_alloc_config config = Config();
        config.deferred.count_max = 1;
        config.deferred.when = FA_DEFERRED_CALL;
        config.deferred.full = FA_DEFERRED_FULL_PROCESS;
        Tracked allocator(config);
        if (!Waits(allocator))
            GTEST_SKIP() << "nothing waits";
        Worker owner;
        constexpr size_t kCount = 5000;
        size_t held = 0;
        owner.Do([&] {
            for (size_t round = 0; round < 20; round++) {
                std::vector<void *> blocks = Take(allocator, kCount, 256);
                for (void *block : blocks)
                    Paint(block, round, 256);
                OnThread([&] {
                    for (void *block : blocks) {
                        EXPECT_TRUE(IsPainted(block, round, 256));
                        EXPECT_EQ(fa_deferred_free(allocator, block), FA_OK);
                    }
                });
                fa_deferred_stats stats = Here(allocator);
                EXPECT_EQ(stats.waiting_count, 1u);
                EXPECT_EQ(stats.direct_count, (round + 1) * (kCount - 1));
                EXPECT_EQ(stats.full_count, stats.direct_count);
                held = round == 0 ? allocator.Stats().bytes_held : held;
                EXPECT_EQ(allocator.Stats().bytes_held, held);
                EXPECT_EQ(fa_deferred_process(allocator, SIZE_MAX), 1u);
            }
        });
        if (owner_exits)
            owner.Do([&] { EXPECT_EQ(fa_thread_detach(allocator), FA_OK); });
        fa_deferred_stats stats = Deferred(allocator);
        EXPECT_EQ(stats.processed_count, 20u);
        EXPECT_EQ(stats.direct_count, 20 * (kCount - 1));
        EXPECT_EQ(allocator.Live(), 0u);
        allocator.Check();
    }
}

// Freed there once more it is found, in its slab.
TEST(DeferredFull, AFullQueueIsPassedByTwice) {
    Events events;
    fa_alloc_config config = Config();
    events.Watch(&config);
    config.deferred.count_max = 1;
    config.deferred.full = FA_DEFERRED_FULL_PROCESS;
    Tracked allocator(config);
    if (!Waits(allocator))
        GTEST_SKIP() << "nothing waits";
    std::vector<void *> blocks = Take(allocator, 3);
    OnThread([&] {
        Free(allocator, blocks);
        fa_pool_free(allocator, blocks[1]);
    });
    EXPECT_EQ(events.Count(FA_DIAG_FA602), 1u);
    EXPECT_EQ(Deferred(allocator).direct_count, 2u);
    EXPECT_EQ(allocator.Live(), 0u);
    allocator.Check();
}

// Dropped: lost, alive in every count, and told; a task that captured it is rid of it.
TEST(DeferredFull, AFullQueueDrops) {
    for (const bool captured : {false, true}) {
        Events events;
        Tracked *allocator;
        fa_alloc_config config = Config();
        events.Watch(&config);
        config.deferred.count_max = 2;
        config.deferred.full = FA_DEFERRED_FULL_DROP;
        allocator = new Tracked(config);
        if (!Waits(*allocator)) {
            delete allocator;
            GTEST_SKIP() << "nothing waits";
        }
        fa_task task = {};
        if (captured) {
            task = fa_task_begin(*allocator, "dropped");
            ASSERT_EQ(fa_task_capture_begin(task), FA_OK);
        }
        const size_t before = allocator->Live();
        std::vector<void *> blocks = Take(*allocator, 5, 48);
        if (captured) {
            EXPECT_EQ(fa_task_capture_end(task), FA_OK);
        }
        OnThread([&] {
            Free(*allocator, {blocks.begin(), blocks.begin() + 3});
            EXPECT_EQ(fa_deferred_free(*allocator, blocks[3]), FA_ERROR_LIMIT);
            EXPECT_EQ(fa_last_error().status, FA_ERROR_LIMIT);
        });
        const size_t bytes = captured ? 80 : 48;
        EXPECT_EQ(events.Count(FA_DIAG_FA307), 2u);
        EXPECT_EQ(events.Count(FA_DIAG_FA305), 0u);
        EXPECT_EQ(events.Last(FA_DIAG_FA307).limit, 2u);
        fa_deferred_stats stats = Here(*allocator);
        EXPECT_EQ(stats.dropped_count, 2u);
        EXPECT_EQ(stats.dropped_bytes, 2 * bytes);
        EXPECT_EQ(stats.full_count, 2u);
        EXPECT_EQ(stats.waiting_count, 2u);
        EXPECT_EQ(allocator->Live() - before, kCounted ? 3u : 0u);
        if (!captured)
            fa_pool_free(*allocator, blocks[4]);
        EXPECT_EQ(fa_task_end(task), captured ? FA_OK : FA_ERROR_INVALID);
        EXPECT_EQ(fa_deferred_process(*allocator, SIZE_MAX), 2u);
        allocator->Check();
        for (size_t i = 0; i < 1000; i++) { // nobody gets them again
            void *block = fa_pool_alloc(*allocator, 48);
            EXPECT_TRUE(block != blocks[2] && block != blocks[3]);
        }
        EXPECT_EQ(fa_thread_detach(*allocator), FA_OK);
        EXPECT_EQ(Deferred(*allocator).dropped_count, 2u);
        EXPECT_EQ(allocator->Destroy(), kCounted ? 1002u : 0u);
        delete allocator;
    }
}

TEST(DeferredFull, AWaitingFreeGoesOnWhenThereIsRoom) {
    fa_alloc_config config = Config();
    config.deferred.count_max = 4;
    config.deferred.full = FA_DEFERRED_FULL_WAIT;
    config.deferred.wait_nanoseconds = 10000000000u;
    Tracked allocator(config);
    std::vector<void *> blocks = Take(allocator, 1000);
    std::atomic<bool> done{false};
    std::thread freeing([&] {
        Free(allocator, blocks);
        done = true;
    });
    size_t most = 0;
    while (!done) {
        size_t waiting = Here(allocator).waiting_count;
        most = waiting > most ? waiting : most;
        fa_deferred_process(allocator, SIZE_MAX);
    }
    freeing.join();
    EXPECT_LE(most, 4u);
    fa_deferred_process(allocator, SIZE_MAX);
    EXPECT_LE(Deferred(allocator).peak_count, 4u);
    EXPECT_EQ(allocator.Live(), 0u);
}

// Never more than fit are on their way, and so none is refused: not by one who has looked how many
// were queued before others were, and at how many were processed after that.
TEST(DeferredFull, AQueueThatIsNotFullRefusesNobody) {
    constexpr size_t kMax = 30;
    fa_alloc_config config = Config();
    config.deferred.count_max = kMax;
    config.deferred.full = FA_DEFERRED_FULL_FAIL;
    Tracked allocator(config);
    if (!Waits(allocator))
        GTEST_SKIP() << "nothing waits";
    std::vector<void *> blocks = Take(allocator, 20000);
    std::atomic<size_t> started{0}, processed{0}, refused{0};
    auto free_some = [&] {
        for (size_t i; (i = started++) < blocks.size();) {
            while (i >= processed + kMax)
                std::this_thread::yield();
            while (fa_deferred_free(allocator, blocks[i]) != FA_OK)
                refused++;
        }
    };
    std::thread one(free_some), two(free_some), three(free_some);
    while (processed < blocks.size())
        processed += fa_deferred_process(allocator, SIZE_MAX);
    for (std::thread *thread : {&one, &two, &three})
        thread->join();
    EXPECT_EQ(refused, 0u);
    EXPECT_EQ(Deferred(allocator).full_count, 0u);
    EXPECT_EQ(allocator.Live(), 0u);
    allocator.Check();
}

// The owner allocates and frees while others put its objects back, into the same slabs.
TEST(DeferredFull, AllAtOnce) {
    Random random;
    for (const bool in_steps : {false, true}) {
        fa_alloc_config config = Config();
        config.deferred.count_max = 1;
        config.deferred.when = in_steps ? FA_DEFERRED_STEPS : FA_DEFERRED_CALL;
        config.deferred.full = FA_DEFERRED_FULL_PROCESS;
        config.pool_magazine_count_max = 8; // most go through bitmaps
        Tracked allocator(config);
        constexpr size_t kBoard = 64;
        std::atomic<uint64_t *> board[kBoard] = {};
        std::atomic<bool> done{false};
        std::atomic<size_t> broken{0};
        auto check_and_free = [&](uint64_t *block) {
            broken += block[0] != uint64_t(uintptr_t(block));
            block[0] = 0;
            fa_pool_free(allocator, block);
        };
        auto take_away = [&](uint64_t seed) {
            for (Engine engine(seed); !done;)
                if (uint64_t *block = board[Pick(engine, 0, kBoard - 1)].exchange(nullptr))
                    check_and_free(block);
        };
        std::thread one(take_away, random.Seed()), two(take_away, random.Seed() + 1);
        Engine engine(random.Seed() + 2);
        const uint64_t enough = Waits(allocator) ? Rounds(3000) : 0;
        for (size_t i = 0; i < 1000 || Here(allocator).direct_count < enough; i++) {
            auto *block = static_cast<uint64_t *>(fa_pool_alloc(allocator, 4000));
            ASSERT_NE(block, nullptr);
            block[0] = uint64_t(uintptr_t(block));
            if (uint64_t *other = board[Pick(engine, 0, kBoard - 1)].exchange(block))
                check_and_free(other);
            if (i % 1000 == 0)
                fa_allocator_trim(allocator);
        }
        done = true;
        one.join();
        two.join();
        for (auto &block : board)
            if (block != nullptr)
                check_and_free(block);
        EXPECT_EQ(broken, 0u);
        fa_deferred_process(allocator, SIZE_MAX);
        EXPECT_EQ(allocator.Live(), 0u);
        EXPECT_EQ(allocator.Count(FA_DIAG_FA602), 0u);
        allocator.Check();
    }
}

} // namespace
