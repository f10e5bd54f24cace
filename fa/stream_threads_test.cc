// Streams used by several threads at once: the budget is exact at every instant, pinned and kept
// memory stays, loads and releases may cross.
#include "fa/testing_threads.hpp"

#include <atomic>
#include <mutex>

using namespace fa_testing;

namespace {

constexpr size_t kKiB = 1024;

class StreamThreads : public testing::Test {
  protected:
    fa_alloc_config config_ = Config();
    fa_streams_config streams_config_ = fa_streams_config_default();
    std::atomic<size_t> evicted_{0}, refused_{0}, samples_{0};
    std::atomic<bool> stop_{false};

    StreamThreads() {
        streams_config_.bytes_max = 1024 * kKiB;
        streams_config_.tag = FA_TAG_ASSETS;
        streams_config_.on_evict_user = this;
        streams_config_.on_evict = [](void *user, const fa_eviction *eviction) {
            EXPECT_TRUE(IsPainted(eviction->block, eviction->stream, eviction->size));
            static_cast<StreamThreads *>(user)->evicted_++;
        };
    }
    // The streams' own sum, and what their blocks are charged in the allocator: never more.
    void Sample(fa_allocator *allocator, fa_streams *streams) {
        while (!stop_) {
            fa_streams_stats s;
            EXPECT_EQ(fa_streams_stats_get(streams, &s), FA_OK);
            EXPECT_LE(s.used_bytes, s.bytes_max);
            EXPECT_LE(s.used_bytes_peak, s.bytes_max);
            EXPECT_EQ(s.used_bytes, s.reserved_bytes + s.loading_bytes + s.ready_bytes +
                                        s.evicting_bytes + s.claimed_bytes);
            EXPECT_EQ(s.reserve_count, s.count + s.evict_count + s.release_count);
            EXPECT_LE(s.loaded_bytes, s.ready_bytes + s.loading_bytes);
            fa_budget_usage usage;
            EXPECT_EQ(fa_budget_get_tag(allocator, FA_TAG_ASSETS, FA_INTENT_HEAP, &usage), FA_OK);
            EXPECT_LE(usage.used, streams_config_.bytes_max);
            EXPECT_LE(usage.peak, streams_config_.bytes_max);
            samples_++;
        }
    }
    static fa_stream Load(fa_streams *streams, size_t size, fa_stream_priority priority) {
        const fa_stream stream = fa_stream_reserve(streams, size, 16, priority, nullptr);
        if (stream == FA_STREAM_NONE)
            return stream;
        void *block = fa_stream_begin(streams, stream);
        EXPECT_NE(block, nullptr);
        Paint(block, stream, size);
        EXPECT_EQ(fa_stream_finish(streams, stream), FA_OK);
        return stream;
    }
};

// One thread's work: loads, pins, releases, trims, in random order.
void Work(StreamThreads *, fa_streams *streams, Engine engine, std::atomic<size_t> *refused) {
    struct Mine {
        fa_stream stream;
        size_t size;
    };
    std::vector<Mine> mine;
    for (size_t turn = 0; turn < Rounds(2000); turn++) {
        const size_t size =
            Pick(engine, 1, 8) == 1 ? Pick(engine, 1, 300 * kKiB) : Pick(engine, 1, 40 * kKiB);
        const auto priority = static_cast<fa_stream_priority>(Pick(engine, 0, 2));
        const fa_stream stream = fa_stream_reserve(streams, size, 16, priority, nullptr);
        if (stream == FA_STREAM_NONE) {
            ++*refused;
        } else {
            mine.push_back({stream, size});
            if (Pick(engine, 0, 9) != 0) {
                void *block = fa_stream_begin(streams, stream);
                ASSERT_NE(block, nullptr);
                Paint(block, stream, size);
                EXPECT_EQ(fa_stream_progress(streams, stream, size / 2), FA_OK);
                if (Pick(engine, 0, 9) == 0) {
                    EXPECT_EQ(fa_stream_cancel(streams, stream), FA_OK);
                } else {
                    EXPECT_EQ(fa_stream_finish(streams, stream), FA_OK);
                }
            }
        }
        for (int i = 0; i < 3 && !mine.empty(); i++) {
            const Mine &one = mine[Pick(engine, 0, mine.size() - 1)];
            if (const void *block = fa_stream_pin(streams, one.stream)) {
                EXPECT_TRUE(IsPainted(block, one.stream, one.size)) << "while it is pinned";
                EXPECT_EQ(fa_stream_unpin(streams, one.stream), FA_OK);
            }
        }
        while (mine.size() > 20) {
            const size_t victim = Pick(engine, 0, mine.size() - 1);
            const fa_status status = fa_stream_release(streams, mine[victim].stream);
            EXPECT_TRUE(status == FA_OK || status == FA_ERROR_FOREIGN);
            mine[victim] = mine.back();
            mine.pop_back();
        }
        if (Pick(engine, 0, 200) == 0)
            fa_streams_trim(streams, 200 * kKiB, Pick(engine, 0, 100 * kKiB), 0);
    }
    for (const Mine &one : mine)
        (void)fa_stream_release(streams, one.stream);
}

TEST_F(StreamThreads, TheBudgetIsExactAtEveryInstant) {
    Tracked allocator(config_);
    fa_streams *streams = nullptr;
    ASSERT_EQ(fa_streams_create(allocator, &streams_config_, &streams), FA_OK);
    std::thread sampler([&] { Sample(allocator, streams); });
    Random random;
    std::vector<std::thread> threads;
    for (uint64_t i = 0; i < 4; i++)
        threads.emplace_back([&, i] { Work(this, streams, Engine(random.Seed() + i), &refused_); });
    for (std::thread &thread : threads)
        thread.join();
    stop_ = true;
    sampler.join();
    EXPECT_GT(samples_, 0u);
    EXPECT_GT(evicted_, 0u);
    allocator.Check();
    fa_streams_stats stats;
    EXPECT_EQ(fa_streams_stats_get(streams, &stats), FA_OK);
    EXPECT_EQ(stats.used_bytes, 0u);
    EXPECT_EQ(stats.count, 0u);
    EXPECT_EQ(stats.loaded_bytes, 0u);
    EXPECT_EQ(allocator.Count(FA_DIAG_FA630), 0u);
    EXPECT_EQ(fa_streams_destroy(streams), 0u);
}

// With frames_kept a pointer is good until the next frame without a pin.
TEST_F(StreamThreads, WhatThisFrameUsedStays) {
    streams_config_.frames_kept = 1;
    Tracked allocator(config_);
    fa_streams *streams = nullptr;
    ASSERT_EQ(fa_streams_create(allocator, &streams_config_, &streams), FA_OK);
    std::vector<std::thread> loaders;
    std::mutex mutex;
    std::vector<fa_stream> known;
    Random random;
    for (uint64_t i = 0; i < 3; i++)
        loaders.emplace_back([&, i] {
            Engine engine(random.Seed() + i);
            while (!stop_) {
                const fa_stream stream =
                    Load(streams, Pick(engine, 1, 100 * kKiB), FA_STREAM_NORMAL);
                if (stream == FA_STREAM_NONE) {
                    std::this_thread::yield();
                    continue;
                }
                std::lock_guard<std::mutex> guard(mutex);
                known.push_back(stream);
            }
        });
    std::vector<std::pair<fa_stream, const void *>> used;
    for (size_t frame = 0, hits = 0; frame < Rounds(200) || hits == 0 || evicted_ == 0; frame++) {
        fa_streams_advance(streams);
        used.clear();
        {
            std::lock_guard<std::mutex> guard(mutex);
            for (size_t i = known.size() < 20 ? 0 : known.size() - 20; i < known.size(); i++)
                if (const void *block = fa_stream_access(streams, known[i]))
                    used.emplace_back(known[i], block);
        }
        std::this_thread::yield();
        for (const auto &[stream, block] : used) {
            fa_stream_info info;
            EXPECT_EQ(fa_stream_get(streams, stream, &info), FA_OK);
            EXPECT_TRUE(IsPainted(block, stream, info.size));
            hits++;
        }
    }
    stop_ = true;
    for (std::thread &loader : loaders)
        loader.join();
    EXPECT_GT(evicted_, 0u);
    EXPECT_EQ(fa_streams_destroy(streams), 0u);
}

// Releases by one thread meet the loads of others at every point.
TEST_F(StreamThreads, ReleasesMeetLoads) {
    Tracked allocator(config_);
    streams_config_.on_evict = nullptr;
    fa_streams *streams = nullptr;
    ASSERT_EQ(fa_streams_create(allocator, &streams_config_, &streams), FA_OK);
    std::atomic<fa_stream> offered{FA_STREAM_NONE};
    std::thread releaser([&] {
        while (!stop_) {
            const fa_stream stream = offered.exchange(FA_STREAM_NONE);
            if (stream != FA_STREAM_NONE) {
                EXPECT_EQ(fa_stream_release(streams, stream), FA_OK);
            }
        }
    });
    for (size_t i = 0; i < Rounds(8000); i++) {
        const fa_stream stream = fa_stream_reserve(streams, 10 * kKiB, 16, FA_STREAM_LOW, nullptr);
        ASSERT_NE(stream, FA_STREAM_NONE);
        void *block = fa_stream_begin(streams, stream);
        ASSERT_NE(block, nullptr);
        offered = stream;
        if (i % 2 == 0)
            std::this_thread::yield();
        const bool cancels = i % 4 >= 2;
        const fa_status status =
            cancels ? fa_stream_cancel(streams, stream) : fa_stream_finish(streams, stream);
        EXPECT_TRUE(status == FA_OK || (!cancels && status == FA_ERROR_FOREIGN));
        while (offered != FA_STREAM_NONE)
            std::this_thread::yield();
        fa_stream_info info;
        while (fa_stream_get(streams, stream, &info) == FA_OK) // the releaser is at it
            std::this_thread::yield();
    }
    stop_ = true;
    releaser.join();
    fa_streams_stats stats;
    EXPECT_EQ(fa_streams_stats_get(streams, &stats), FA_OK);
    EXPECT_EQ(stats.used_bytes, 0u);
    EXPECT_EQ(stats.release_count, stats.reserve_count);
    EXPECT_EQ(fa_streams_destroy(streams), 0u);
    allocator.Check();
}

// The allocator runs out on several threads: each asks the streams, while others load.
TEST_F(StreamThreads, ReclaimedWhileOthersLoad) {
    config_.bytes_max = 8 << 20;
    config_.heap_cache_bytes = 0;
    config_.heap_region_bytes = 256 << 10;
    streams_config_.bytes_max = 64 << 20;
    streams_config_.is_reclaimer = true;
    Tracked allocator(config_);
    fa_streams *streams = nullptr;
    ASSERT_EQ(fa_streams_create(allocator, &streams_config_, &streams), FA_OK);
    std::vector<std::thread> threads;
    Random random;
    for (uint64_t i = 0; i < 4; i++)
        threads.emplace_back([&, i] {
            Engine engine(random.Seed() + i);
            for (size_t turn = 0; turn < Rounds(600); turn++) {
                const size_t size = Pick(engine, 1, 300 * kKiB);
                const fa_stream stream =
                    fa_stream_reserve(streams, size, 16, FA_STREAM_NORMAL, nullptr);
                if (stream == FA_STREAM_NONE)
                    continue;
                void *block = fa_stream_begin(streams, stream);
                if (block != nullptr) {
                    Paint(block, stream, size);
                    EXPECT_EQ(fa_stream_finish(streams, stream), FA_OK);
                } else {
                    EXPECT_EQ(fa_stream_release(streams, stream), FA_OK);
                }
                void *other = fa_heap_alloc(allocator, Pick(engine, 1, 200 * kKiB));
                if (other != nullptr)
                    fa_heap_free(allocator, other);
            }
        });
    for (std::thread &thread : threads)
        thread.join();
    EXPECT_GT(evicted_, 0u);
    allocator.Check();
    streams_config_.on_evict = nullptr;
    EXPECT_EQ(fa_streams_destroy(streams), 0u);
    allocator.Check();
}

// Whoever is inside of a reclaimer of another allocator waits for theirs all the same.
TEST_F(StreamThreads, TheirEndWaitsForTheirReclaimerAlsoInsideOfAnother) {
    config_.bytes_max = 40 << 20;
    Tracked outer(config_), inner(config_);
    struct World {
        fa_streams *streams = nullptr;
        std::atomic<int> step{0};
        std::atomic<bool> told{false};
    } world;
    streams_config_.bytes_max = 10 << 20;
    streams_config_.is_reclaimer = true;
    streams_config_.on_evict_user = &world;
    streams_config_.on_evict = [](void *user, const fa_eviction *eviction) {
        World *self = static_cast<World *>(user);
        if (eviction->cause != FA_EVICT_RECLAIM)
            return;
        self->step = 1;
        while (self->step == 1)
            std::this_thread::yield();
        for (int i = 0; i < 2000; i++) // time enough for an end that does not wait
            std::this_thread::yield();
        self->told = true;
    };
    ASSERT_EQ(fa_streams_create(inner, &streams_config_, &world.streams), FA_OK);
    const fa_stream stream =
        fa_stream_reserve(world.streams, 8 << 20, 16, FA_STREAM_NORMAL, nullptr);
    ASSERT_NE(fa_stream_begin(world.streams, stream), nullptr);
    ASSERT_EQ(fa_stream_finish(world.streams, stream), FA_OK);
    const auto destroy = [](void *user, fa_allocator *, size_t) -> size_t {
        World *self = static_cast<World *>(user);
        fa_streams *streams = self->streams;
        self->streams = nullptr;
        if (streams != nullptr) {
            self->step = 2;
            EXPECT_EQ(fa_streams_destroy(streams), 0u);
            EXPECT_TRUE(self->told);
        }
        return 0;
    };
    ASSERT_EQ(fa_reclaimer_add(outer, 0, destroy, &world), FA_OK);
    std::thread other([&inner] { fa_heap_free(inner, fa_heap_alloc(inner, size_t{35} << 20)); });
    while (world.step == 0)
        std::this_thread::yield();
    EXPECT_EQ(fa_heap_alloc(outer, size_t{50} << 20), nullptr);
    EXPECT_EQ(world.streams, nullptr);
    other.join();
    EXPECT_EQ(fa_reclaimer_remove(outer, destroy, &world), FA_OK);
}

// As many streams as there may be, with small ones and large ones, reserved on all threads.
TEST_F(StreamThreads, SlotsAreFoughtFor) {
    streams_config_.bytes_max = 400 * kKiB;
    streams_config_.count_max = 20;
    Tracked allocator(config_);
    fa_streams *streams = nullptr;
    ASSERT_EQ(fa_streams_create(allocator, &streams_config_, &streams), FA_OK);
    std::vector<std::thread> threads;
    Random random;
    for (uint64_t i = 0; i < 4; i++)
        threads.emplace_back([&, i] {
            Engine engine(random.Seed() + i);
            for (size_t turn = 0; turn < Rounds(3000); turn++) {
                const size_t size =
                    turn % 8 == 0 ? Pick(engine, 1, 100 * kKiB) : Pick(engine, 1, 1000);
                Load(streams, size, FA_STREAM_NORMAL); // refused: all others are loading
                fa_streams_stats stats;
                EXPECT_EQ(fa_streams_stats_get(streams, &stats), FA_OK);
                EXPECT_LE(stats.count, 20u);
                EXPECT_LE(stats.used_bytes, stats.bytes_max);
                EXPECT_EQ(stats.reserve_count,
                          stats.count + stats.evict_count + stats.release_count);
            }
        });
    for (std::thread &thread : threads)
        thread.join();
    fa_streams_stats stats;
    EXPECT_EQ(fa_streams_stats_get(streams, &stats), FA_OK);
    EXPECT_EQ(stats.claimed_bytes, 0u);
    EXPECT_EQ(stats.used_bytes, stats.ready_bytes);
    EXPECT_GT(stats.evict_count, 0u);
    streams_config_.on_evict = nullptr;
    EXPECT_EQ(fa_streams_destroy(streams), 0u);
    allocator.Check();
}

} // namespace
