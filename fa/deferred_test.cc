// Frees across threads: gathered, queued, bounded, and taken in when the configuration says so.
#include "fa/fa.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <string>
#include <vector>

#include "fa/testing_deferred.hpp"

namespace {

using namespace fa_testing;

TEST(Deferred, GathersAndHandsOver) {
    Tracked allocator;
    if (!Waits(allocator))
        GTEST_SKIP() << "nothing waits";
    std::vector<void *> blocks = Take(allocator, 100);
    Worker worker;
    worker.Do([&] { EXPECT_EQ(fa_thread_attach(allocator), FA_OK); });
    worker.Do([&] { Free(allocator, blocks); });
    fa_deferred_stats stats = Deferred(allocator);
    EXPECT_EQ(stats.gathered_count, 100u % FA_DEFERRED_GATHER_MAX);
    EXPECT_EQ(stats.gathered_bytes, stats.gathered_count * 64);
    EXPECT_EQ(stats.waiting_count, 96u);
    EXPECT_EQ(stats.waiting_bytes, 96u * 64);
    EXPECT_EQ(Here(allocator).waiting_count, 96u);
    EXPECT_EQ(allocator.Live(), 0u);
    EXPECT_EQ(allocator.Stats().pool_remote_count, 100u);
    allocator.Check();
    worker.Do([&] { EXPECT_EQ(fa_deferred_process(allocator, SIZE_MAX), 0u); });
    EXPECT_EQ(Deferred(allocator).waiting_count, 100u);
    EXPECT_EQ(fa_deferred_process(allocator, SIZE_MAX), 100u);
    stats = Deferred(allocator);
    EXPECT_EQ(stats.waiting_count + stats.gathered_count, 0u);
    EXPECT_EQ(stats.processed_count, 100u);
    EXPECT_EQ(stats.peak_count, 100u);
    EXPECT_EQ(allocator.Stats().pool_remote_count, 100u);
    allocator.Check();
}

TEST(Deferred, EachSizeComesBackOnce) {
    Tracked allocator;
    for (size_t size : {16, 32, 48, 64, 160, 256, 272, 1024, 4096}) {
        std::vector<void *> blocks = Take(allocator, 300, size);
        for (void *block : blocks)
            Paint(block, size, size);
        OnThread([&] {
            EXPECT_EQ(fa_thread_attach(allocator), FA_OK);
            Free(allocator, blocks);
        });
        fa_deferred_process(allocator, SIZE_MAX);
        std::vector<void *> again = Take(allocator, 300, size);
        std::sort(blocks.begin(), blocks.end());
        std::sort(again.begin(), again.end());
        EXPECT_EQ(std::unique(again.begin(), again.end()), again.end());
        fa_pool_free_batch(allocator, again.data(), again.size());
        allocator.Check();
    }
}

TEST(Deferred, HandsOverWithFrames) {
    Tracked allocator;
    if (!Waits(allocator))
        GTEST_SKIP() << "nothing waits";
    std::vector<void *> blocks = Take(allocator, 30);
    Worker worker;
    for (size_t i = 0; i < 3; i++) {
        worker.Do([&] {
            fa_frame_begin(allocator);
            fa_frame_end(allocator);
        });
        worker.Do([&] { // before a frame, in it, and through a refill
            if (i == 1)
                fa_frame_begin(allocator);
            Free(allocator, {blocks.begin() + long(i) * 10, blocks.begin() + long(i) * 10 + 10});
        });
        EXPECT_EQ(Deferred(allocator).gathered_count, 10u);
        worker.Do([&] {
            if (i == 0)
                fa_frame_begin(allocator);
            if (i != 2)
                fa_frame_end(allocator);
            else
                fa_pool_free(allocator, fa_pool_alloc(allocator, 512));
        });
        EXPECT_EQ(Deferred(allocator).gathered_count, 0u);
        EXPECT_EQ(Deferred(allocator).waiting_count, (i + 1) * 10);
    }
    fa_frame_begin(allocator);
    EXPECT_EQ(Deferred(allocator).waiting_count, 0u);
    fa_frame_end(allocator);
}

TEST(Deferred, StrangersAreAttached) {
    Tracked allocator;
    std::vector<void *> blocks = Take(allocator, 200);
    Worker worker;
    worker.Do([&] {
        Free(allocator, blocks);
        EXPECT_EQ(fa_last_error().status, FA_OK);
    });
    EXPECT_EQ(allocator.Stats().thread_count, Waits(allocator) ? 2u : 1u);
    EXPECT_EQ(allocator.Live(), 0u);

    fa_alloc_config config = Config();
    config.thread_count_max = 1;
    Tracked limited(config);
    blocks = Take(limited, 200);
    worker.Do([&] { Free(limited, blocks); });
    EXPECT_EQ(limited.Stats().thread_count, 1u);
    EXPECT_EQ(limited.Count(FA_DIAG_FA202), 0u);
    EXPECT_EQ(limited.Live(), 0u);
    limited.Check();
}

TEST(Deferred, NothingIsGatheredWhereItIsNeededAtOnce) {
    for (int what = 0; what < 3; what++) {
        fa_alloc_config config = Config();
        config.deferred.gather_count = what == 0 ? 0 : 32;
        Tracked allocator(config);
        std::vector<void *> blocks = Take(allocator, 10);
        Worker worker;
        worker.Do([&] { EXPECT_EQ(fa_thread_attach(allocator), FA_OK); });
        if (what == 1)
            fa_backend_seal(allocator);
        if (what == 2) {
            fa_budget budget = {};
            budget.hard_bytes = 1 << 20;
            ASSERT_EQ(fa_budget_set(allocator, FA_INTENT_POOL, &budget), FA_OK);
        }
        worker.Do([&] { Free(allocator, blocks); });
        EXPECT_EQ(Deferred(allocator).gathered_count, 0u);
        EXPECT_EQ(allocator.Live(), 0u);
        allocator.Check();
    }
}

// Neither more, nor what was gathered before.
TEST(Deferred, GatheringEndsWithTheFirstBudgetAndWithTheSeal) {
    for (const bool sealed : {false, true}) {
        Tracked allocator;
        if (!Waits(allocator))
            GTEST_SKIP() << "nothing waits";
        std::vector<void *> blocks = Take(allocator, 20);
        Worker worker;
        worker.Do([&] {
            EXPECT_EQ(fa_thread_attach(allocator), FA_OK);
            fa_pool_free(allocator, blocks[0]);
        });
        EXPECT_EQ(Deferred(allocator).gathered_count, 1u);
        fa_budget budget = {};
        budget.hard_bytes = 1 << 20;
        if (sealed)
            fa_backend_seal(allocator);
        else
            ASSERT_EQ(fa_budget_set(allocator, FA_INTENT_POOL, &budget), FA_OK);
        worker.Do([&] { Free(allocator, {blocks.begin() + 1, blocks.end()}); });
        EXPECT_EQ(Deferred(allocator).gathered_count, 0u);
        EXPECT_EQ(fa_deferred_process(allocator, SIZE_MAX), 20u);
        allocator.Check();
    }
}

// Such a queue would have no end.
TEST(Deferred, ObjectsFreedTwiceByAnotherThreadAreFoundOut) {
    for (const bool at_exit : {false, true}) {
        SCOPED_TRACE(at_exit);
        const fa_alloc_config config = Config();
        fa_allocator *allocator = nullptr;
        ASSERT_EQ(fa_allocator_create(&config, &allocator), FA_OK);
        Worker owner, other;
        std::vector<void *> blocks;
        owner.Do([&] { blocks = Take(allocator, 64); });
        other.Do([&] {
            EXPECT_EQ(fa_thread_attach(allocator), FA_OK);
            for (size_t i : {0, 1, 2, 3, 0}) {
                fa_pool_free(allocator, blocks[i]);
                if (i == 0 || i == 3)
                    fa_deferred_process(allocator, SIZE_MAX);
            }
        });
        if (at_exit)
            owner.Do([&] { (void)fa_thread_detach(allocator); });
        else
            owner.Do([&] { fa_deferred_process(allocator, SIZE_MAX); });
        fa_stats stats; // no hook is called while a thread ends
        ASSERT_EQ(fa_stats_get(allocator, &stats), FA_OK);
        EXPECT_GE(stats.diag_count[FA_DIAG_FA602], 1u);
        EXPECT_EQ(Deferred(allocator).waiting_count, 0u);
        (void)fa_allocator_destroy(allocator);
    }
}

// The owner, its adopter and the next user of its state, while objects are gathered.
TEST(Deferred, OwnerExits) {
    for (int who = 0; who < 3; who++) {
        Tracked allocator;
        Worker freeing, owner;
        std::vector<void *> blocks;
        freeing.Do([&] { EXPECT_EQ(fa_thread_attach(allocator), FA_OK); });
        owner.Do([&] { blocks = Take(allocator, 20); });
        freeing.Do([&] { Free(allocator, {blocks.begin(), blocks.begin() + 10}); });
        owner.Do([&] { EXPECT_EQ(fa_thread_detach(allocator), FA_OK); });
        EXPECT_EQ(allocator.Live(), kCounted ? 10u : 0u);
        std::vector<void *> more;
        if (who == 1) // adopts the slab
            more = Take(allocator, 5);
        if (who == 2) // the same state again, with slabs of its own
            owner.Do([&] { more = Take(allocator, 5, 1024); });
        freeing.Do([&] { fa_deferred_process(allocator, SIZE_MAX); });
        freeing.Do([&] { Free(allocator, {blocks.begin() + 10, blocks.end()}); });
        freeing.Do([&] { EXPECT_EQ(fa_thread_detach(allocator), FA_OK); });
        Free(allocator, more);
        owner.Do([&] { fa_deferred_process(allocator, SIZE_MAX); });
        fa_deferred_process(allocator, SIZE_MAX);
        EXPECT_EQ(allocator.Live(), 0u);
        EXPECT_EQ(Deferred(allocator).waiting_count, 0u);
        allocator.Check();
    }
}

TEST(Deferred, AllocatorDiesWithGatheredObjects) {
    Worker worker;
    Tracked *allocator = new Tracked;
    std::vector<void *> blocks = Take(*allocator, 12);
    worker.Do([&] { EXPECT_EQ(fa_thread_attach(*allocator), FA_OK); });
    worker.Do([&] { Free(*allocator, {blocks.begin(), blocks.begin() + 10}); });
    EXPECT_EQ(allocator->Destroy(), kCounted ? 2u : 0u);
    delete allocator;
}

TEST(Deferred, WhenItIsProcessed) {
    for (fa_deferred_when when :
         {FA_DEFERRED_BEGIN, FA_DEFERRED_END, FA_DEFERRED_STEPS, FA_DEFERRED_CALL}) {
        fa_alloc_config config = Config();
        config.deferred.when = when;
        config.deferred.step_count = 3;
        config.deferred.gather_count = 0;
        Tracked allocator(config);
        if (!Waits(allocator))
            GTEST_SKIP() << "nothing waits";
        fa_frame_begin(allocator);
        fa_frame_end(allocator);
        std::vector<void *> blocks = Take(allocator, 20);
        OnThread([&] { Free(allocator, blocks); });
        EXPECT_EQ(Here(allocator).waiting_count, 20u);
        fa_frame_begin(allocator);
        size_t waiting = when == FA_DEFERRED_BEGIN ? 0 : 20;
        EXPECT_EQ(Here(allocator).waiting_count, waiting);
        fa_frame_end(allocator);
        waiting = when == FA_DEFERRED_END ? 0 : waiting;
        EXPECT_EQ(Here(allocator).waiting_count, waiting);
        fa_pool_free(allocator, fa_pool_alloc(allocator, 512)); // finds nothing ready
        waiting = when == FA_DEFERRED_STEPS ? 17 : waiting;
        EXPECT_EQ(Here(allocator).waiting_count, waiting);
        EXPECT_EQ(fa_deferred_process(allocator, 5), waiting < 5 ? waiting : 5);
        waiting = waiting < 5 ? 0 : waiting - 5;
        EXPECT_EQ(Deferred(allocator).waiting_count, waiting);
        EXPECT_EQ(Deferred(allocator).processed_count, 20 - waiting);
        allocator.Check();
        fa_allocator_trim(allocator);
        EXPECT_EQ(Deferred(allocator).waiting_count, 0u);
        // What came in steps is found by the end of the thread too.
        OnThread([&] {
            std::vector<void *> own = Take(allocator, 20);
            OnThread([&] { Free(allocator, own); });
            EXPECT_EQ(fa_deferred_process(allocator, 1), 1u);
        });
        EXPECT_EQ(allocator.Live(), 0u);
        EXPECT_EQ(Deferred(allocator).processed_count, 40u);
        EXPECT_EQ(Deferred(allocator).peak_count, 20u);
        allocator.Check();
    }
}

TEST(Deferred, WarnsOnceUntilSomeWereTakenIn) {
    Events events;
    fa_alloc_config config = Config();
    events.Watch(&config);
    config.deferred.warning_count = 40;
    Tracked allocator(config);
    if (!Waits(allocator))
        GTEST_SKIP() << "nothing waits";
    for (size_t round = 1; round <= 2; round++) {
        std::vector<void *> blocks = Take(allocator, 200);
        OnThread([&] { Free(allocator, blocks); });
        EXPECT_EQ(events.Count(FA_DIAG_FA306), round);
        EXPECT_EQ(events.Last(FA_DIAG_FA306).limit, 40u);
        EXPECT_EQ(fa_deferred_process(allocator, SIZE_MAX), 200u);
    }
}

TEST(Deferred, ConfigurationIsChecked) {
    static volatile int one = 1; // the compiler need not know that the value is none
    auto expect_bad = [](auto change) {
        fa_alloc_config config = Config();
        change(&config.deferred);
        char message[256];
        EXPECT_EQ(fa_alloc_config_validate(&config, message, sizeof message), FA_ERROR_CONFIG);
        EXPECT_NE(std::string(message).find("deferred."), std::string::npos) << message;
    };
    expect_bad(
        [](fa_deferred_config *own) { own->when = fa_deferred_when(FA_DEFERRED_CALL + one); });
    expect_bad(
        [](fa_deferred_config *own) { own->full = fa_deferred_full(FA_DEFERRED_FULL_DROP + one); });
    expect_bad([](fa_deferred_config *own) { own->step_count = 0; });
    expect_bad([](fa_deferred_config *own) { own->count_max = UINT32_MAX; });
    expect_bad([](fa_deferred_config *own) { own->wait_nanoseconds = 10000000001u; });
    expect_bad([](fa_deferred_config *own) { own->gather_count = FA_DEFERRED_GATHER_MAX + 1; });
}

// Threads that allocate, pass on, free what comes, come and go; in every mode. Every block carries
// a number that nobody else may have written over.
TEST(Deferred, Storm) {
    Random random;
    constexpr size_t kThreads = 4, kSlots = 256;
    for (int mode = 0; mode < 8; mode++) {
        SCOPED_TRACE(mode);
        fa_alloc_config config = Config();
        config.deferred.when = fa_deferred_when(mode % 4);
        config.deferred.step_count = 5;
        config.deferred.count_max = mode >= 4 ? 50 : 0;
        config.deferred.full = mode == 4   ? FA_DEFERRED_FULL_WAIT
                               : mode == 5 ? FA_DEFERRED_FULL_GROW
                                           : FA_DEFERRED_FULL_PROCESS;
        config.pool_magazine_count_max = mode == 7 ? 8 : config.pool_magazine_count_max;
        config.deferred.wait_nanoseconds = 50000;
        Tracked allocator(config);
        std::atomic<uint64_t *> slots[kSlots] = {};
        std::atomic<size_t> broken{0};
        auto work = [&](uint64_t seed, size_t rounds) {
            Engine engine(seed);
            const size_t sizes[] = {16, 48, 64, 200, 1024};
            for (size_t i = 0; i < rounds; i++) {
                uint64_t *mine = nullptr;
                if (Pick(engine, 0, 2) != 0) {
                    size_t size = sizes[Pick(engine, 0, 4)];
                    mine = static_cast<uint64_t *>(fa_pool_alloc(allocator, size));
                    mine[0] = mine[1] = reinterpret_cast<uintptr_t>(mine);
                }
                uint64_t *theirs = slots[Pick(engine, 0, kSlots - 1)].exchange(mine);
                if (theirs != nullptr) {
                    broken += theirs[0] != theirs[1] || theirs[0] != uint64_t(uintptr_t(theirs));
                    theirs[0] = 0;
                    fa_pool_free(allocator, theirs);
                }
                if (Pick(engine, 0, 99) == 0) {
                    fa_frame_begin(allocator);
                    fa_frame_end(allocator);
                }
                if (Pick(engine, 0, 199) == 0)
                    fa_deferred_process(allocator, Pick(engine, 0, 20));
            }
        };
        std::vector<std::thread> threads;
        for (size_t t = 0; t < kThreads; t++)
            threads.emplace_back([&, seed = random.Seed() + t] {
                for (size_t life = 0; life < 4; life++)
                    OnThread([&] { work(seed * 31 + life, Rounds(5000)); });
            });
        for (std::thread &thread : threads)
            thread.join();
        for (auto &slot : slots)
            fa_pool_free(allocator, slot.load());
        EXPECT_EQ(broken, 0u);
        EXPECT_EQ(allocator.Live(), 0u);
        EXPECT_EQ(allocator.Count(FA_DIAG_FA602), 0u);
        fa_deferred_process(allocator, SIZE_MAX);
        EXPECT_EQ(Deferred(allocator).waiting_count, 0u);
        EXPECT_EQ(Deferred(allocator).waiting_bytes, 0u);
        allocator.Check();
    }
}

} // namespace
