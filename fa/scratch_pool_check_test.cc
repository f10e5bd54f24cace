// Named scratch pools: what checks and sanitizers see of them, and several threads.
#include "fa/testing_threads.hpp"

#include <atomic>
#include <string>
#include <thread>

using namespace fa_testing;

namespace {

TEST(ScratchPoolChecks, DeadMemoryIsFilled) {
    if (kAsan)
        GTEST_SKIP() << "it would find the look at dead memory";
    fa_alloc_config config = Plain();
    config.checks = FA_CHECK_FILL;
    Allocator allocator(config);
    fa_scratch_pool pool = fa_scratch_pool_open(allocator, "pool", 0, 0);
    void *kept = fa_scratch_pool_alloc(pool, 100);
    Paint(kept, 1, 100);
    const fa_scratch_pool_mark mark = fa_scratch_pool_mark_set(pool);
    void *block = fa_scratch_pool_alloc(pool, 100);
    EXPECT_EQ(fa_scratch_pool_rewind(pool, mark), FA_OK);
    EXPECT_TRUE(IsFilled(block, 0xCD, 100));
    EXPECT_TRUE(IsPainted(kept, 1, 100));
    EXPECT_EQ(fa_scratch_pool_reset(pool), FA_OK);
    EXPECT_TRUE(IsFilled(kept, 0xCD, 100));
}

#if GTEST_HAS_DEATH_TEST
TEST(ScratchPoolDeathTest, AnOverstepIsFound) {
    if (kTsan)
        GTEST_SKIP() << "forks with threads";
    fa_alloc_config config = Plain();
    config.checks = FA_CHECK_GUARD;
    Allocator allocator(config);
    fa_scratch_pool pool = fa_scratch_pool_open(allocator, "pool", 0, 0);
    auto *block = static_cast<volatile char *>(fa_scratch_pool_alloc(pool, 100));
    ASSERT_NE(fa_scratch_pool_alloc(pool, 100), nullptr);
    EXPECT_DEATH(
        {
            block[100] = 1;
            (void)fa_scratch_pool_reset(pool);
        },
        "FA604|use-after-poison");
}

TEST(ScratchPoolDeathTest, DeadMemoryIsPoisoned) {
    if (!kAsan)
        GTEST_SKIP() << "nobody watches";
    Allocator allocator(Plain());
    fa_scratch_pool pool = fa_scratch_pool_open(allocator, "pool", 0, 0);
    auto *block = static_cast<volatile char *>(fa_scratch_pool_alloc(pool, 100));
    block[0] = 1;
    (void)fa_scratch_pool_reset(pool);
    EXPECT_DEATH(block[0] = 2, "use-after-poison");
}

TEST(ScratchPoolDeathTest, MisuseAbortsInStrictMode) {
    if (kTsan)
        GTEST_SKIP() << "forks with threads";
    fa_alloc_config config = Plain();
    config.strict = true;
    Allocator allocator(config);
    fa_scratch_pool pool = fa_scratch_pool_open(allocator, "pool", 0, 0);
    EXPECT_EQ(fa_scratch_pool_remove(pool), FA_OK);
    EXPECT_DEATH((void)fa_scratch_pool_reset(pool), "FA610");
}
#endif

TEST(ScratchPoolThreads, OnePoolGoesFromThreadToThread) {
    Tracked allocator;
    fa_scratch_pool pool = fa_scratch_pool_open(allocator, "pool", 0, 0);
    std::vector<char *> blocks;
    for (int i = 0; i < 8; i++)
        OnThread([&] {
            for (int j = 0; j < 100; j++)
                blocks.push_back(fa_scratch_pool_copy_string(pool, "hello"));
        });
    for (char *block : blocks)
        EXPECT_STREQ(block, "hello");
    allocator.Check();
    EXPECT_EQ(fa_scratch_pool_remove(pool), FA_OK);
}

TEST(ScratchPoolThreads, ManyThreadsMakeFindCountAndRemove) {
    Tracked allocator;
    std::atomic<bool> stop{false};
    const auto visit = [](void *, fa_scratch_pool, const fa_scratch_pool_stats *stats) {
        EXPECT_EQ(std::string(stats->name).substr(0, 5), "pool ");
        EXPECT_LE(stats->bytes, size_t{1} << 30);
    };
    std::thread watcher([&] {
        while (!stop.load())
            (void)fa_scratch_pool_visit(allocator, visit, nullptr);
    });
    OnThreads(4, [&allocator](size_t t) {
        const std::string own = "pool " + std::to_string(t);
        for (size_t i = 0; i < Rounds(2000); i++) {
            fa_scratch_pool pool = fa_scratch_pool_open(allocator, own.c_str(), 0, 0);
            fa_scratch_pool shared = fa_scratch_pool_open(allocator, "pool shared", 0, 0);
            EXPECT_TRUE(fa_scratch_pool_is_open(pool));
            EXPECT_NE(shared.head, nullptr);
            for (int j = 0; j < 20; j++)
                EXPECT_NE(fa_scratch_pool_alloc(pool, 1000), nullptr);
            EXPECT_EQ(fa_scratch_pool_reset(pool), FA_OK);
            if (i % 3 == 0) {
                EXPECT_EQ(fa_scratch_pool_remove(pool), FA_OK);
                EXPECT_EQ(fa_scratch_pool_alloc(pool, 16), nullptr);
            }
        }
    });
    stop.store(true);
    watcher.join();
    allocator.Check();
    EXPECT_LE(fa_scratch_pool_count(allocator), 5u);
}

} // namespace
