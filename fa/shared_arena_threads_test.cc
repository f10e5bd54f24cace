// Shared arenas on many threads: no two blocks overlap, nothing is lost, and whoever resets sees
// that all are out.
#include "fa/testing_checked.hpp"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <thread>

using namespace fa_testing;

namespace {

struct Block {
    unsigned char *address;
    size_t size;
};

class SharedArenaThreads : public testing::TestWithParam<uint32_t> {};

constexpr size_t kThreads = 4;

// One thread's part of a step: blocks of all sizes, in several locals one after the other.
void Fill(fa_shared_arena arena, Engine &random, size_t thread, std::vector<Block> *blocks) {
    for (size_t part = 0; part < 5; part++) {
        fa_shared_arena_local local;
        ASSERT_EQ(fa_shared_arena_begin(arena, &local), FA_OK);
        for (size_t i = 0; i < Rounds(400); i++) {
            const size_t size =
                Pick(random, 0, 99) == 0 ? Pick(random, 1, 100000) : Pick(random, 1, 600);
            auto *block = static_cast<unsigned char *>(
                i % 5 == 0 ? fa_shared_arena_alloc_aligned(&local, size, 64)
                           : fa_shared_arena_alloc(&local, size));
            ASSERT_NE(block, nullptr);
            Paint(block, thread * 1000003 + blocks->size(), size);
            blocks->push_back({block, size});
        }
        ASSERT_EQ(fa_shared_arena_end(&local), FA_OK);
    }
}

TEST_P(SharedArenaThreads, AllAllocateAtOnce) {
    Tracked allocator(Config(GetParam()));
    const fa_shared_arena arena = fa_shared_arena_create(allocator, "step", 4096, 0);
    const uint64_t seed = Random().Seed();
    for (size_t round = 0; round < 6; round++) {
        std::vector<Block> blocks[kThreads];
        OnThreads(kThreads, [&](size_t thread) {
            Engine random(seed + round * kThreads + thread);
            Fill(arena, random, thread, &blocks[thread]);
        });
        std::vector<Block> all;
        for (size_t thread = 0; thread < kThreads; thread++)
            for (size_t i = 0; i < blocks[thread].size(); i++) {
                const Block &block = blocks[thread][i];
                ASSERT_TRUE(IsPainted(block.address, thread * 1000003 + i, block.size));
                all.push_back(block);
            }
        std::sort(all.begin(), all.end(),
                  [](const Block &a, const Block &b) { return a.address < b.address; });
        for (size_t i = 1; i < all.size(); i++)
            ASSERT_GE(all[i].address, all[i - 1].address + all[i - 1].size);
        fa_shared_arena_stats stats;
        ASSERT_EQ(fa_shared_arena_stats_get(arena, &stats), FA_OK);
        EXPECT_EQ(stats.alloc_count, kCounted ? all.size() * (round + 1) : 0u);
        EXPECT_EQ(stats.local_count, 0u);
        size_t bytes = 0;
        for (const Block &block : all)
            bytes += block.size;
        EXPECT_GE(stats.bytes, bytes);
        EXPECT_GE(stats.bytes_held, stats.bytes);
        allocator.Check();
        EXPECT_EQ(fa_shared_arena_reset(arena), FA_OK);
    }
    EXPECT_EQ(fa_shared_arena_free(arena), FA_OK);
}

TEST_P(SharedArenaThreads, ResetsBetweenSteps) {
    // Whoever is the last to end resets; the count alone orders it, all else is relaxed.
    Tracked allocator(Config(GetParam()));
    const fa_shared_arena arena = fa_shared_arena_create(allocator, "step", 1024, 0);
    std::atomic<size_t> resets{0}, refusals{0};
    OnThreads(kThreads, [&](size_t thread) {
        for (size_t round = 0; round < Rounds(1600); round++) {
            fa_shared_arena_local local;
            if (fa_shared_arena_begin(arena, &local) != FA_OK) { // somebody resets
                refusals.fetch_add(1, std::memory_order_relaxed);
                continue;
            }
            unsigned char *blocks[20];
            for (size_t i = 0; i < 20; i++) {
                blocks[i] = static_cast<unsigned char *>(fa_shared_arena_alloc(&local, 40 + i * 8));
                ASSERT_NE(blocks[i], nullptr);
                Paint(blocks[i], thread + round + i, 40 + i * 8);
            }
            for (size_t i = 0; i < 20; i++)
                ASSERT_TRUE(IsPainted(blocks[i], thread + round + i, 40 + i * 8));
            ASSERT_EQ(fa_shared_arena_end(&local), FA_OK);
            if (fa_shared_arena_reset(arena) == FA_OK)
                resets.fetch_add(1, std::memory_order_relaxed);
            else
                refusals.fetch_add(1, std::memory_order_relaxed);
        }
    });
    EXPECT_GT(resets, 0u);
    EXPECT_EQ(allocator.Count(FA_DIAG_FA614), refusals);
    fa_shared_arena_stats stats;
    ASSERT_EQ(fa_shared_arena_stats_get(arena, &stats), FA_OK);
    EXPECT_EQ(stats.reset_count, resets);
    allocator.Check();
    EXPECT_EQ(fa_shared_arena_free(arena), FA_OK);
}

TEST_P(SharedArenaThreads, OneOfManyFreesIt) {
    Tracked allocator(Config(GetParam()));
    for (size_t round = 0; round < 30; round++) {
        const fa_shared_arena arena = fa_shared_arena_create(allocator, "once", 0, 0);
        std::atomic<size_t> freed{0};
        OnThreads(kThreads, [&](size_t) {
            fa_shared_arena_local local;
            if (fa_shared_arena_begin(arena, &local) == FA_OK) {
                ASSERT_NE(fa_shared_arena_alloc(&local, 100), nullptr);
                ASSERT_EQ(fa_shared_arena_end(&local), FA_OK);
            }
            freed += fa_shared_arena_free(arena) == FA_OK;
        });
        EXPECT_LE(freed, 1u);
        if (freed == 0) {
            EXPECT_EQ(fa_shared_arena_free(arena), FA_OK);
        }
        EXPECT_FALSE(fa_shared_arena_is_open(arena));
    }
}

// Whoever has an old handle may try to come in, or to reset, while another arena is made of the
// same record: he is refused, and leaves nothing behind.
TEST_P(SharedArenaThreads, OldHandlesAreRefusedAtAnyMoment) {
    Tracked allocator(Config(GetParam()));
    std::mutex mutex;
    fa_shared_arena current = {nullptr, 0};
    std::atomic<bool> is_over{false};
    OnThreads(kThreads, [&](size_t thread) {
        if (thread != 0) {
            while (!is_over) {
                std::unique_lock<std::mutex> lock(mutex);
                const fa_shared_arena arena = current;
                lock.unlock();
                if (arena.head == nullptr)
                    continue;
                std::this_thread::yield();
                fa_shared_arena_local local;
                if (thread == 1) {
                    (void)fa_shared_arena_reset(arena);
                } else if (fa_shared_arena_begin(arena, &local) == FA_OK) {
                    EXPECT_NE(fa_shared_arena_alloc(&local, 100), nullptr);
                    EXPECT_EQ(fa_shared_arena_end(&local), FA_OK);
                }
            }
            return;
        }
        for (size_t round = 0; round < Rounds(2000); round++) {
            const fa_shared_arena arena = fa_shared_arena_create(allocator, "again", 0, 0);
            EXPECT_TRUE(fa_shared_arena_is_open(arena));
            std::unique_lock<std::mutex> lock(mutex);
            current = arena;
            lock.unlock();
            while (fa_shared_arena_free(arena) != FA_OK)
                std::this_thread::yield();
        }
        is_over = true;
    });
    EXPECT_EQ(fa_shared_arena_count(allocator), 0u);
    const fa_shared_arena last = fa_shared_arena_create(allocator, "last", 0, 0);
    EXPECT_EQ(fa_shared_arena_reset(last), FA_OK) << "somebody is still counted as inside";
    EXPECT_EQ(fa_shared_arena_free(last), FA_OK);
    allocator.Check();
}

FA_TESTING_CHECKS_ALL(SharedArenaThreads);

} // namespace
