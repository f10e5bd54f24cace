// Numbers of each thread.
#include "fa/testing_events.hpp"

#include <atomic>
#include <string>

namespace {

using namespace fa_testing;

fa_thread_stats Here(fa_allocator *allocator) {
    fa_thread_stats stats;
    EXPECT_EQ(fa_thread_stats_here(allocator, &stats), FA_OK);
    return stats;
}

fa_thread_stats Sum(fa_allocator *allocator) {
    fa_thread_stats stats;
    EXPECT_EQ(fa_thread_stats_sum(allocator, &stats), FA_OK);
    return stats;
}

std::vector<fa_thread_stats> All(fa_allocator *allocator) {
    std::vector<fa_thread_stats> all;
    size_t count = fa_thread_visit(
        allocator,
        [](void *user, const fa_thread_stats *stats) {
            static_cast<std::vector<fa_thread_stats> *>(user)->push_back(*stats);
        },
        &all);
    EXPECT_EQ(count, all.size());
    return all;
}

TEST(ThreadStats, OfAThreadThatIsNotAttached) {
    Tracked allocator;
    const fa_thread_stats here = Here(allocator);
    EXPECT_EQ(here.index, 0u);
    EXPECT_STREQ(here.name, "");
    EXPECT_EQ(All(allocator).size(), 0u);
    EXPECT_EQ(Sum(allocator).frame_count, 0u);
    EXPECT_EQ(fa_thread_count(allocator), 0u);
}

TEST(ThreadStats, OfFrames) {
    Tracked allocator;
    RunFrame(allocator, 3);
    RunFrame(allocator, 10);
    RunFrame(allocator, 1);
    fa_frame *frame = fa_frame_begin(allocator);
    ASSERT_NE(fa_frame_alloc_in(frame, 500000), nullptr);
    fa_thread_stats here = Here(allocator);
    EXPECT_EQ(here.index, 1u);
    EXPECT_TRUE(here.is_frame_open);
    EXPECT_EQ(here.frame_begun_count, 4u);
    EXPECT_EQ(here.frame_count, 3u);
    EXPECT_EQ(here.frame_alloc_count, kCounted ? 14u : 0u);
    if (!kAsan) {
        EXPECT_EQ(here.frame_bytes, 14u * 32);
        EXPECT_EQ(here.frame_bytes_peak, 10u * 32);
    }
    EXPECT_EQ(here.chunk_bytes, allocator.Stats().bytes_held_by_kind[FA_SPAN_CHUNK]);
    EXPECT_EQ(fa_frame_end_in(frame), FA_OK);
    here = Here(allocator);
    EXPECT_FALSE(here.is_frame_open);
    EXPECT_EQ(here.frame_begun_count, 4u);
    EXPECT_EQ(here.frame_count, 4u);
    EXPECT_GE(here.frame_bytes_peak, 500000u);
    const fa_thread_stats sum = Sum(allocator);
    EXPECT_EQ(sum.frame_count, 4u);
    EXPECT_EQ(sum.frame_begun_count, 4u);
    EXPECT_EQ(sum.frame_bytes_peak, here.frame_bytes_peak);
    EXPECT_EQ(sum.chunk_bytes, here.chunk_bytes);
    EXPECT_EQ(sum.frame_bytes, here.frame_bytes);
}

class PoolThreadStats : public testing::TestWithParam<uint32_t> {};

TEST_P(PoolThreadStats, OfObjectsThatChangeHands) {
    Tracked allocator(Config(GetParam()));
    constexpr size_t kObjects = 100;
    void *objects[kObjects];
    ASSERT_EQ(fa_pool_alloc_batch(allocator, 48, kObjects, objects), FA_OK);
    EXPECT_EQ(fa_tag_enter(allocator, FA_TAG_AUDIO), FA_OK);
    void *tagged = fa_pool_alloc(allocator, 48);
    EXPECT_EQ(fa_tag_leave(allocator), FA_OK);
    fa_pool_free(allocator, objects[0]);
    const size_t class_bytes = Here(allocator).pool_live_bytes / kObjects;
    EXPECT_GE(class_bytes, 48u);
    auto expect = [&](const fa_thread_stats &stats, uint64_t allocs, uint64_t frees, uint64_t live,
                      size_t waiting) {
        EXPECT_EQ(stats.pool_alloc_count, kCounted ? allocs : 0u);
        EXPECT_EQ(stats.pool_free_count, kCounted ? frees : 0u);
        EXPECT_EQ(stats.pool_live_count, kCounted ? live : 0u);
        EXPECT_EQ(stats.pool_live_bytes, live * class_bytes);
        EXPECT_EQ(stats.deferred.waiting_count, waiting);
    };
    expect(Here(allocator), 101, 1, 100, 0);
    std::atomic<int> step{0};
    std::thread other([&] {
        EXPECT_EQ(fa_thread_name(allocator, "worker"), FA_OK);
        for (size_t i = 1; i <= 40; i++)
            fa_pool_free(allocator, objects[i]);
        EXPECT_EQ(Here(allocator).pool_remote_count, 40u);
        fa_deferred_process(allocator, 0); // hands over what it has gathered
        EXPECT_EQ(Here(allocator).pool_remote_count, 40u);
        EXPECT_EQ(Here(allocator).pool_live_bytes, 0u);
        step = 1;
        while (step != 2)
            std::this_thread::yield();
    });
    while (step != 1)
        std::this_thread::yield();
    const bool queued = !kAsan && GetParam() == 0;
    expect(Here(allocator), 101, 1, 60, queued ? 40 : 0);
    std::vector<fa_thread_stats> all = All(allocator);
    ASSERT_EQ(all.size(), 2u);
    EXPECT_EQ(all[0].index, 2u);
    EXPECT_STREQ(all[0].name, "worker");
    EXPECT_EQ(all[0].pool_remote_count, 40u);
    EXPECT_EQ(all[1].index, 1u);
    expect(all[1], 101, 1, 60, queued ? 40 : 0);
    EXPECT_EQ(Sum(allocator).pool_remote_count, 40u);
    fa_deferred_process(allocator, SIZE_MAX);
    expect(Here(allocator), 101, 1, 60, 0);
    EXPECT_EQ(Here(allocator).deferred.processed_count, queued ? 40u : 0u);
    if (queued) {
        EXPECT_GE(Here(allocator).pool_ready_count, 40u);
        EXPECT_GE(Here(allocator).deferred.peak_count, 40u);
        EXPECT_EQ(Here(allocator).pool_ready_bytes, Here(allocator).pool_ready_count * class_bytes);
    }
    step = 2;
    other.join();
    EXPECT_EQ(Sum(allocator).pool_remote_count, 40u) << "of a thread that is gone";
    EXPECT_EQ(Sum(allocator).pool_live_count, kCounted ? 60u : 0u);
    EXPECT_EQ(Sum(allocator).pool_free_count, kCounted ? 1u : 0u);
    for (size_t i = 41; i < kObjects; i++)
        fa_pool_free_sized(allocator, objects[i], 48);
    fa_pool_free(allocator, tagged);
    expect(Here(allocator), 101, 61, 0, 0);
    allocator.Check();
}

// Objects of a thread that exits become those of whoever adopts their slab.
TEST_P(PoolThreadStats, OfAdoptedObjects) {
    Tracked allocator(Config(GetParam()));
    std::vector<void *> objects;
    OnThread([&] {
        for (int i = 0; i < 10; i++)
            objects.push_back(fa_pool_alloc(allocator, 64));
    });
    EXPECT_EQ(Here(allocator).pool_live_bytes, 0u);
    EXPECT_EQ(Sum(allocator).pool_live_count, kCounted ? 10u : 0u);
    objects.push_back(fa_pool_alloc(allocator, 64));
    const fa_thread_stats here = Here(allocator);
    EXPECT_EQ(here.pool_alloc_count, kCounted ? 1u : 0u);
    EXPECT_EQ(here.pool_live_count, kCounted ? 11u : 0u);
    EXPECT_EQ(here.pool_live_bytes % 11, 0u);
    for (void *object : objects)
        fa_pool_free(allocator, object);
    EXPECT_EQ(Here(allocator).pool_live_count, 0u);
    EXPECT_EQ(Here(allocator).pool_live_bytes, 0u);
    EXPECT_EQ(Here(allocator).pool_free_count, kCounted ? 11u : 0u);
    allocator.Check();
}

INSTANTIATE_TEST_SUITE_P(Checks, PoolThreadStats, testing::Values(0u, uint32_t{FA_CHECK_ALL}));

TEST(ThreadStats, OfTransfers) {
    Tracked allocator;
    fa_transfer transfers[6];
    char text[300] = "text";
    for (size_t i = 0; i < 6; i++)
        ASSERT_EQ(fa_transfer_make(allocator, text, i % 2 == 0 ? 40 : 300, 1, &transfers[i]),
                  FA_OK);
    EXPECT_EQ(Here(allocator).transfer_made_count, 6u);
    EXPECT_EQ(fa_transfer_drop(allocator, transfers[5]), FA_OK);
    OnThread([&] {
        for (size_t i = 0; i < 4; i++) {
            fa_received received;
            ASSERT_EQ(fa_transfer_receive(allocator, transfers[i], &received), FA_OK);
            fa_pool_free(allocator, received.object);
        }
        EXPECT_EQ(Here(allocator).transfer_received_count, 4u);
        EXPECT_EQ(Here(allocator).transfer_made_count, 0u);
    });
    EXPECT_EQ(Here(allocator).transfer_received_count, 0u);
    struct Letter {
        char text[40];
    };
    fa_pool_free(allocator, fa_transfer_receive_as(allocator, Letter, transfers[4]));
    EXPECT_EQ(Here(allocator).transfer_received_count, 1u);
    EXPECT_EQ(Sum(allocator).transfer_made_count, 6u);
    EXPECT_EQ(Sum(allocator).transfer_received_count, 5u);
}

TEST(ThreadStats, StartAgainWithTheNextUserOfAState) {
    Tracked allocator;
    for (int i = 0; i < 3; i++)
        OnThread([&] {
            EXPECT_EQ(fa_thread_name(allocator, "abcdefghijklmnopqrstuvwxyz0123456789"), FA_OK);
            RunFrame(allocator, 5);
            fa_pool_free(allocator, fa_pool_alloc(allocator, 64));
            const fa_thread_stats here = Here(allocator);
            EXPECT_EQ(here.index, static_cast<uint64_t>(i) * 2 + 1);
            EXPECT_EQ(here.frame_count, 1u);
            EXPECT_EQ(here.pool_alloc_count, kCounted ? 1u : 0u);
            EXPECT_STREQ(here.name, "abcdefghijklmnopqrstuvwxyz01234");
            EXPECT_EQ(fa_thread_detach(allocator), FA_OK);
            EXPECT_EQ(Here(allocator).index, 0u);
            EXPECT_EQ(fa_thread_attach(allocator), FA_OK);
            EXPECT_STREQ(Here(allocator).name, "");
            EXPECT_EQ(fa_thread_detach(allocator), FA_OK);
        });
    OnThread([&] { EXPECT_EQ(Sum(allocator).frame_count, 3u); });
}

// Anybody may look at any time; the thread sanitizer watches. The frames of others are seen open or
// closed, and their numbers only grow.
TEST(ThreadStats, MayBeReadWhileThreadsRun) {
    Tracked allocator;
    std::atomic<bool> done{false};
    std::vector<std::thread> threads;
    std::mutex mutex;
    std::vector<void *> shared;
    for (int n = 0; n < 3; n++)
        threads.emplace_back([&] {
            while (!done) {
                fa_frame *frame = fa_frame_begin(allocator);
                ASSERT_NE(frame, nullptr);
                for (int i = 0; i < 20; i++)
                    ASSERT_NE(fa_frame_alloc_in(frame, 5000), nullptr);
                void *object = fa_pool_alloc(allocator, 64), *other = nullptr;
                {
                    std::lock_guard<std::mutex> lock(mutex);
                    shared.push_back(object);
                    if (shared.size() > 10) {
                        other = shared[0];
                        shared.erase(shared.begin());
                    }
                }
                fa_pool_free(allocator, other);
                ASSERT_EQ(fa_frame_end_in(frame), FA_OK);
                if (object == other) {
                    ASSERT_EQ(fa_thread_detach(allocator), FA_OK);
                }
            }
        });
    std::map<uint64_t, uint64_t> frames;
    bool seen_open = false;
    for (size_t i = 0; i < Rounds(2000) || frames.size() < 3 || !seen_open; i++) {
        for (const fa_thread_stats &stats : All(allocator)) {
            EXPECT_GE(stats.frame_count, frames[stats.index]);
            EXPECT_GE(stats.frame_begun_count, stats.frame_count);
            frames[stats.index] = stats.frame_count;
            seen_open |= stats.is_frame_open;
        }
        EXPECT_GE(Sum(allocator).frame_count, 0u);
        std::this_thread::yield();
    }
    done = true;
    for (std::thread &thread : threads)
        thread.join();
    for (void *object : shared)
        fa_pool_free(allocator, object);
    allocator.Check();
}

TEST(ThreadStats, ManyThreadsAreVisitedOnce) {
    Tracked allocator;
    constexpr int kThreads = 50;
    std::atomic<int> attached{0};
    std::atomic<bool> leave{false};
    std::vector<std::thread> threads;
    for (int n = 0; n < kThreads; n++)
        threads.emplace_back([&] {
            EXPECT_EQ(fa_thread_attach(allocator), FA_OK);
            attached++;
            while (!leave)
                std::this_thread::yield();
        });
    while (attached != kThreads)
        std::this_thread::yield();
    std::vector<fa_thread_stats> all = All(allocator);
    ASSERT_EQ(all.size(), static_cast<size_t>(kThreads));
    for (size_t i = 0; i < all.size(); i++)
        EXPECT_EQ(all[i].index, kThreads - i);
    // A visitor may use the allocator, also so that threads come.
    size_t visited = fa_thread_visit(
        allocator,
        [](void *user, const fa_thread_stats *) {
            fa_allocator *from = static_cast<fa_allocator *>(user);
            fa_pool_free(from, fa_pool_alloc(from, 64));
        },
        allocator);
    EXPECT_EQ(visited, static_cast<size_t>(kThreads));
    leave = true;
    for (std::thread &thread : threads)
        thread.join();
    EXPECT_EQ(All(allocator).size(), 1u);
}

} // namespace
