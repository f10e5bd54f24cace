// Frees across threads where memory runs out, and around a fork.
#include "fa/fa.h"

#include <atomic>
#include <vector>

#include "fa/testing_deferred.hpp"
#include "fa/testing_forks.hpp"

namespace {

using namespace fa_testing;

// A thread that can't be attached hands each object over at once, and says nothing.
TEST(DeferredFault, AStrangerThatCantBeAttached) {
    Source source;
    Allocator allocator(Config(), source);
    std::vector<void *> blocks(500);
    ASSERT_EQ(fa_pool_alloc_batch(allocator, 64, 500, blocks.data()), FA_OK);
    source.Fail(1);
    OnThread([&] {
        for (void *block : blocks)
            fa_pool_free(allocator, block);
        EXPECT_EQ(fa_last_error().status, FA_OK);
        EXPECT_EQ(Deferred(allocator).gathered_count, 0u);
    });
    source.Fail(0);
    EXPECT_EQ(fa_thread_count(allocator), 1u);
    fa_stats stats = Stats(allocator);
    EXPECT_EQ(stats.diag_count[FA_DIAG_FA202], 0u);
    EXPECT_EQ(stats.pool_live_count, 0u);
    EXPECT_EQ(stats.pool_remote_count, 500u);
    fa_deferred_process(allocator, SIZE_MAX);
    EXPECT_EQ(fa_validate(allocator, nullptr), FA_OK);
    EXPECT_EQ(allocator.Destroy(), 0u);
    EXPECT_EQ(source.BytesLive(), 0u);
}

// Each call to the backend fails in turn, from then on: what was freed is neither lost nor there
// twice, and what is refused leaves everything as it was.
TEST(DeferredFault, EachCall) {
    for (uint64_t at = 1; at <= 12; at++) {
        Source source;
        Allocator allocator(Config(), source);
        std::vector<void *> blocks(3000);
        for (size_t i = 0; i < blocks.size(); i++)
            ASSERT_NE(blocks[i] = fa_pool_alloc(allocator, 16 + i % 1000), nullptr);
        source.Fail(at);
        std::atomic<size_t> taken{0};
        OnThread([&] {
            std::vector<void *> own;
            for (void *block : blocks) {
                void *mine = fa_pool_alloc(allocator, 5000);
                if (mine != nullptr)
                    own.push_back(mine);
                fa_pool_free(allocator, block);
            }
            taken = own.size();
            fa_pool_free_batch(allocator, own.data(), own.size());
        });
        source.Fail(0);
        EXPECT_EQ(Stats(allocator).pool_live_count, 0u) << at << ", " << taken;
        EXPECT_EQ(fa_validate(allocator, nullptr), FA_OK);
        fa_deferred_process(allocator, SIZE_MAX);
        EXPECT_EQ(Deferred(allocator).waiting_count, 0u);
        EXPECT_EQ(Stats(allocator).diag_count[FA_DIAG_FA602], 0u);
        EXPECT_EQ(allocator.Destroy(), 0u);
        EXPECT_EQ(source.BytesLive(), 0u);
    }
}

// The child goes on with what its thread had gathered; what another one had is freed, and stays.
TEST(DeferredFault, Fork) {
    if (kTsan)
        GTEST_SKIP() << "threads after a fork";
    Tracked allocator;
    std::vector<void *> mine(20), theirs(20);
    std::atomic<int> step{0};
    auto await = [&](int value) {
        while (step != value)
            std::this_thread::yield();
    };
    std::thread other([&] {
        ASSERT_EQ(fa_pool_alloc_batch(allocator, 64, 20, theirs.data()), FA_OK);
        step = 1;
        await(2);
        for (size_t i = 0; i < 10; i++)
            fa_pool_free(allocator, mine[i]);
        step = 3;
        await(4);
    });
    await(1);
    ASSERT_EQ(fa_pool_alloc_batch(allocator, 64, 20, mine.data()), FA_OK);
    for (size_t i = 0; i < 10; i++)
        fa_pool_free(allocator, theirs[i]);
    step = 2;
    await(3);
    auto live = [&] { return Stats(allocator).pool_live_count; };
    EXPECT_EQ(live(), kCounted ? 20u : 0u);
    InChild([&] {
        CHILD_EXPECT(live() == (kCounted ? 20u : 0u));
        fa_deferred_process(allocator, SIZE_MAX);
        CHILD_EXPECT(live() == (kCounted ? 20u : 0u));
        for (size_t i = 10; i < 20; i++) {
            fa_pool_free(allocator, theirs[i]);
            fa_pool_free(allocator, mine[i]);
        }
        CHILD_EXPECT(live() == 0);
        CHILD_EXPECT(fa_allocator_destroy(allocator) == 0);
        return 0;
    });
    step = 4;
    other.join();
    for (size_t i = 10; i < 20; i++) {
        fa_pool_free(allocator, theirs[i]);
        fa_pool_free(allocator, mine[i]);
    }
    EXPECT_EQ(allocator.Live(), 0u);
}

// What the child frees of threads that did not survive is refused, waited for or dropped by nobody.
TEST(DeferredFault, ForkWithFullQueues) {
    if (kTsan)
        GTEST_SKIP() << "threads after a fork";
    for (fa_deferred_full full :
         {FA_DEFERRED_FULL_GROW, FA_DEFERRED_FULL_WAIT, FA_DEFERRED_FULL_FAIL,
          FA_DEFERRED_FULL_PROCESS, FA_DEFERRED_FULL_DROP}) {
        SCOPED_TRACE(full);
        fa_alloc_config config = Config();
        config.deferred.count_max = 4;
        config.deferred.full = full;
        config.deferred.wait_nanoseconds = 10000000000u;
        Tracked allocator(config);
        std::vector<void *> theirs(200);
        std::atomic<int> step{0};
        std::thread other([&] {
            ASSERT_EQ(fa_pool_alloc_batch(allocator, 64, theirs.size(), theirs.data()), FA_OK);
            for (step = 1; step != 2;)
                std::this_thread::yield();
            fa_pool_free_batch(allocator, theirs.data(), theirs.size());
        });
        while (step != 1)
            std::this_thread::yield();
        InChild([&] {
            for (void *block : theirs)
                CHILD_EXPECT(fa_deferred_free(allocator, block) == FA_OK);
            CHILD_EXPECT(Stats(allocator).pool_live_count == 0);
            CHILD_EXPECT(fa_validate(allocator, nullptr) == FA_OK);
            CHILD_EXPECT(fa_allocator_destroy(allocator) == 0);
            return 0;
        });
        step = 2;
        other.join();
        EXPECT_EQ(allocator.Live(), 0u);
    }
}

} // namespace
