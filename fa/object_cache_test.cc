// Object caches: objects stay constructed, what is refused, and what goes when memory runs out.
#include "fa/testing_threads.hpp"

#include <atomic>
#include <set>

using namespace fa_testing;

namespace {

constexpr uint64_t kMade = 0x1234567890ABCDEF;

struct Decoder {
    uint64_t state;
    char table[1000];
};
FA_OBJECT_CACHE(decoders, Decoder)

// Counts what callbacks do; tells a constructed object from another one.
struct Lives {
    std::atomic<size_t> made{0}, ended{0}, refuse_at{0};
    static fa_status Construct(void *user, void *object) {
        auto *self = static_cast<Lives *>(user);
        if (++self->made == self->refuse_at)
            return FA_ERROR_BACKEND;
        static_cast<Decoder *>(object)->state = kMade;
        return FA_OK;
    }
    static void Destruct(void *user, void *object) {
        EXPECT_EQ(static_cast<Decoder *>(object)->state, kMade);
        static_cast<Decoder *>(object)->state = 0;
        static_cast<Lives *>(user)->ended++;
    }
};

class ObjectCache : public testing::TestWithParam<uint32_t> {
  protected:
    fa_object_cache_config Config(size_t idle_count_max = 0) {
        fa_object_cache_config config = {};
        config.idle_count_max = idle_count_max;
        config.construct = Lives::Construct;
        config.destruct = Lives::Destruct;
        config.user = &lives_;
        return config;
    }
    decoders Make(const fa_object_cache_config &config) {
        decoders cache = {};
        EXPECT_EQ(decoders_create(allocator_, &config, &cache), FA_OK);
        return cache;
    }
    static fa_object_cache_stats StatsOf(decoders cache) {
        fa_object_cache_stats stats;
        EXPECT_EQ(fa_object_cache_stats_get(cache.cache, &stats), FA_OK);
        EXPECT_EQ(stats.live_count + stats.idle_count,
                  stats.construct_count - stats.destruct_count);
        return stats;
    }
    std::vector<Decoder *> Take(decoders cache, size_t count) {
        std::vector<Decoder *> all;
        for (size_t i = 0; i < count; i++) {
            all.push_back(decoders_acquire(cache));
            EXPECT_NE(all.back(), nullptr);
            EXPECT_EQ(all.back()->state, kMade);
        }
        return all;
    }

    Lives lives_;
    Tracked allocator_{fa_testing::Config(GetParam())};
};

INSTANTIATE_TEST_SUITE_P(Checks, ObjectCache, testing::Values(0u, uint32_t{FA_CHECK_ALL}));

} // namespace

TEST_P(ObjectCache, ObjectsStayConstructed) {
    decoders cache = Make(Config());
    std::vector<Decoder *> all = Take(cache, 40);
    EXPECT_EQ(lives_.made, 40u);
    for (Decoder *decoder : all)
        EXPECT_EQ(decoders_release(cache, decoder), FA_OK);
    EXPECT_EQ(lives_.ended, 0u);
    EXPECT_EQ(StatsOf(cache).idle_count, 40u);
    EXPECT_EQ(decoders_acquire(cache), all.back()) << "the one given back last";
    EXPECT_EQ(decoders_release(cache, all.back()), FA_OK);
    std::vector<Decoder *> again = Take(cache, 40);
    EXPECT_EQ(std::set<Decoder *>(all.begin(), all.end()),
              std::set<Decoder *>(again.begin(), again.end()));
    EXPECT_EQ(lives_.made, 40u);
    const fa_object_cache_stats stats = StatsOf(cache);
    EXPECT_EQ(stats.hit_count, 41u);
    EXPECT_EQ(stats.miss_count, 40u);
    EXPECT_EQ(stats.live_count, 40u);
    EXPECT_EQ(stats.idle_count, 0u);
    EXPECT_EQ(stats.idle_count_max, FA_OBJECT_CACHE_IDLE_DEFAULT);
    EXPECT_EQ(stats.bytes_held, Stats(allocator_).heap_live_bytes);
    allocator_.Check();
    EXPECT_EQ(decoders_destroy(cache), 40u);
    EXPECT_EQ(lives_.ended, 40u);
    EXPECT_EQ(allocator_.Live(), 0u);
}

TEST_P(ObjectCache, OnlySoManyAreKeptIdle) {
    decoders cache = Make(Config(10));
    for (Decoder *decoder : Take(cache, 100))
        EXPECT_EQ(decoders_release(cache, decoder), FA_OK);
    EXPECT_EQ(lives_.ended, 90u);
    EXPECT_EQ(StatsOf(cache).idle_count, 10u);
    EXPECT_EQ(decoders_trim(cache, 4), 6u);
    EXPECT_EQ(lives_.ended, 96u);
    EXPECT_EQ(decoders_trim(cache, 4), 0u);
    const size_t held = StatsOf(cache).bytes_held;
    EXPECT_EQ(decoders_trim(cache, 0), 4u);
    EXPECT_LT(StatsOf(cache).bytes_held, held);
    allocator_.Check();
    EXPECT_EQ(decoders_destroy(cache), 0u);
    EXPECT_EQ(lives_.ended, 100u);
}

TEST_P(ObjectCache, WhatIsNotOutIsRefused) {
    decoders cache = Make(Config()), other = Make(Config());
    Decoder *idle = Take(cache, 1)[0], *foreign = Take(other, 1)[0], local;
    ASSERT_EQ(decoders_release(cache, idle), FA_OK);
    EXPECT_EQ(decoders_release(cache, nullptr), FA_OK);
    for (Decoder *bad : {idle, foreign, &local, reinterpret_cast<Decoder *>(uintptr_t{16})}) {
        fa_last_error_clear();
        EXPECT_EQ(decoders_release(cache, bad), FA_ERROR_FOREIGN);
        EXPECT_EQ(fa_last_error().diag, FA_DIAG_FA640);
    }
    EXPECT_EQ(StatsOf(cache).idle_count, 1u) << "not twice";
    EXPECT_EQ(allocator_.Count(FA_DIAG_FA640), 4u);
    EXPECT_EQ(lives_.ended, 0u);
    allocator_.Check();
    decoders_destroy(cache);
    EXPECT_EQ(decoders_destroy(other), 1u);
}

TEST_P(ObjectCache, AFullOneAnswersAndARefusalIsPassedOn) {
    fa_object_cache_config config = Config();
    config.count_max = 3;
    decoders cache = Make(config);
    std::vector<Decoder *> all = Take(cache, 3);
    fa_last_error_clear();
    EXPECT_EQ(decoders_acquire(cache), nullptr);
    EXPECT_EQ(fa_last_error().status, FA_ERROR_FULL);
    EXPECT_EQ(fa_last_error().diag, FA_DIAG_NONE);
    EXPECT_EQ(decoders_release(cache, all[1]), FA_OK);
    EXPECT_EQ(decoders_acquire(cache), all[1]) << "an idle one counts, and serves";
    EXPECT_EQ(decoders_release(cache, all[1]), FA_OK);
    EXPECT_EQ(decoders_trim(cache, 0), 1u);
    lives_.refuse_at = lives_.made + 1;
    EXPECT_EQ(decoders_acquire(cache), nullptr);
    EXPECT_EQ(fa_last_error().status, FA_ERROR_BACKEND);
    EXPECT_EQ(StatsOf(cache).live_count, 2u);
    Take(cache, 1);
    allocator_.Check();
}

TEST_P(ObjectCache, IdleOnesGoWhenMemoryRunsOut) {
    fa_object_cache_config config = Config(1000);
    config.is_shared = config.is_reclaimed = true;
    fa_alloc_config small = fa_testing::Config(GetParam());
    small.bytes_max = 4 << 20;
    small.heap_region_bytes = 256 << 10;
    Tracked allocator(small);
    decoders cache = {};
    ASSERT_EQ(decoders_create(allocator, &config, &cache), FA_OK);
    for (Decoder *decoder : Take(cache, 1000))
        EXPECT_EQ(decoders_release(cache, decoder), FA_OK);
    EXPECT_EQ(lives_.ended, 0u);
    std::vector<void *> blocks;
    while (lives_.ended == 0 && blocks.size() < 1000) {
        blocks.push_back(fa_heap_alloc(allocator, 50000));
        EXPECT_NE(blocks.back(), nullptr);
    }
    EXPECT_EQ(lives_.ended, 1000u);
    EXPECT_EQ(StatsOf(cache).idle_count, 0u);
    EXPECT_GE(allocator.Count(FA_DIAG_FA705), 1u);
    for (void *block : blocks)
        fa_heap_free(allocator, block);
    ExpectValid(allocator);
    EXPECT_EQ(decoders_destroy(cache), 0u);
    // The reclaimer is gone with it: nothing is called any more.
    blocks.clear();
    for (void *block; (block = fa_heap_alloc(allocator, 50000)) != nullptr;)
        blocks.push_back(block);
    for (void *block : blocks)
        fa_heap_free(allocator, block);
}

TEST_P(ObjectCache, DiesWithTheAllocator) {
    fa_object_cache_config config = Config();
    config.is_shared = config.is_reclaimed = true;
    {
        Tracked allocator(fa_testing::Config(GetParam()));
        decoders cache = {};
        ASSERT_EQ(decoders_create(allocator, &config, &cache), FA_OK);
        std::vector<Decoder *> all = Take(cache, 50);
        for (size_t i = 0; i < 20; i++)
            EXPECT_EQ(decoders_release(cache, all[i]), FA_OK);
        EXPECT_EQ(allocator.Destroy(), 0u);
    }
    EXPECT_EQ(lives_.ended, 50u);
}

TEST_P(ObjectCache, ConfigurationIsChecked) {
    decoders cache = {};
    fa_object_cache_config config = Config();
    config.is_reclaimed = true;
    EXPECT_EQ(decoders_create(allocator_, &config, &cache), FA_ERROR_INVALID)
        << "reclaimers may be called on any thread";
    EXPECT_EQ(cache.cache, nullptr);
    EXPECT_EQ(decoders_create(allocator_, &config, nullptr), FA_ERROR_INVALID);
    config = Config(FA_OBJECT_CACHE_IDLE_MAX + 1);
    EXPECT_EQ(decoders_create(allocator_, &config, &cache), FA_ERROR_INVALID);
    // One more reclaimer than there may be: nothing is left of the cache.
    config = Config();
    config.is_shared = config.is_reclaimed = true;
    std::vector<decoders> all;
    while (decoders_create(allocator_, &config, &cache) == FA_OK)
        all.push_back(cache);
    EXPECT_EQ(all.size(), size_t{FA_RECLAIMER_COUNT_MAX});
    EXPECT_EQ(fa_last_error().status, FA_ERROR_LIMIT);
    for (decoders each : all)
        decoders_destroy(each);
    EXPECT_EQ(allocator_.Live(), 0u);
}

// Threads that share a cache, with a reclaimer at work: each object has one owner at a time.
TEST_P(ObjectCache, ServesThreads) {
    fa_object_cache_config config = Config(30);
    config.is_shared = config.is_reclaimed = true;
    config.count_max = 200;
    decoders cache = Make(config);
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; t++)
        threads.emplace_back([&, t] {
            Engine random(static_cast<uint64_t>(t));
            std::vector<Decoder *> mine;
            for (size_t i = 0; i < Rounds(20000); i++) {
                if (mine.empty() || (mine.size() < 60 && Pick(random, 0, 1) == 0)) {
                    Decoder *decoder = decoders_acquire(cache);
                    if (decoder == nullptr)
                        continue;
                    EXPECT_EQ(decoder->state, kMade);
                    decoder->table[0] = static_cast<char>(t);
                    mine.push_back(decoder);
                } else {
                    EXPECT_EQ(mine.back()->table[0], static_cast<char>(t));
                    EXPECT_EQ(decoders_release(cache, mine.back()), FA_OK);
                    mine.pop_back();
                }
                if (i % 1000 == 0)
                    decoders_trim(cache, 5);
            }
            for (Decoder *decoder : mine)
                EXPECT_EQ(decoders_release(cache, decoder), FA_OK);
        });
    for (std::thread &thread : threads)
        thread.join();
    EXPECT_EQ(StatsOf(cache).live_count, 0u);
    allocator_.Check();
    EXPECT_EQ(decoders_destroy(cache), 0u);
    EXPECT_EQ(lives_.made, lives_.ended);
}
