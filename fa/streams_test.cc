// Streams as a whole: configuration, the allocator's limits, their end.
#include "fa/testing_forks.hpp"
#include "fa/testing_streams.hpp"

#include <atomic>
#include <map>
#include <set>

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpedantic" // it is C
#define _Static_assert static_assert
extern "C" {
#include "fa/internal/stream.h"
}
#undef _Static_assert
#pragma GCC diagnostic pop

using namespace fa_testing;

namespace {

class Streams : public Stream {};

INSTANTIATE_TEST_SUITE_P(Checks, Streams, testing::Values(0u, static_cast<uint32_t>(FA_CHECK_ALL)));

TEST_P(Streams, TheDefaultBudget) {
    streams_config_.bytes_max = 0;
    Create();
    EXPECT_EQ(StatsOf().bytes_max, size_t{256} << 20);
    fa_alloc_config config = Plain();
    config.bytes_max = 64 << 20;
    Allocator limited(config);
    fa_streams *streams = nullptr;
    ASSERT_EQ(fa_streams_create(limited, nullptr, &streams), FA_OK);
    fa_streams_stats stats;
    EXPECT_EQ(fa_streams_stats_get(streams, &stats), FA_OK);
    EXPECT_EQ(stats.bytes_max, size_t{16} << 20);
}

TEST_P(Streams, BadConfigurationsAreRefused) {
    Create();
    fa_streams *streams = streams_;
    const auto refused = [&](void (*spoil)(fa_streams_config *)) {
        fa_streams_config config = fa_streams_config_default();
        spoil(&config);
        streams = streams_;
        EXPECT_EQ(fa_streams_create(allocator_, &config, &streams), FA_ERROR_CONFIG);
        EXPECT_EQ(streams, nullptr);
    };
    refused([](fa_streams_config *c) { c->cookie++; });
    refused([](fa_streams_config *c) { c->count_max = 0; });
    refused([](fa_streams_config *c) { c->count_max = FA_STREAM_COUNT_MAX + 1; });
    refused([](fa_streams_config *c) { c->bytes_max = FA_SIZE_MAX + 1; });
    refused([](fa_streams_config *c) { c->tag = 200; });
}

// ---- with the allocator ----

TEST_P(Streams, MemoryIsChargedToTags) {
    Create();
    const auto used = [&](fa_tag tag) {
        fa_budget_usage usage;
        EXPECT_EQ(fa_budget_get_tag(allocator_, tag, FA_INTENT_HEAP, &usage), FA_OK);
        return usage.used;
    };
    EXPECT_EQ(fa_tag_enter(allocator_, FA_TAG_AUDIO), FA_OK);
    const fa_stream stream = Reserve(1000);
    EXPECT_EQ(used(FA_TAG_AUDIO), 0u);
    ASSERT_NE(fa_stream_begin(streams_, stream), nullptr);
    EXPECT_EQ(used(FA_TAG_AUDIO), 1000u);
    EXPECT_EQ(fa_stream_finish(streams_, stream), FA_OK);
    streams_config_.tag = FA_TAG_ASSETS;
    fa_streams *tagged = nullptr;
    ASSERT_EQ(fa_streams_create(allocator_, &streams_config_, &tagged), FA_OK);
    const fa_stream other = fa_stream_reserve(tagged, 500, 16, FA_STREAM_LOW, nullptr);
    ASSERT_NE(fa_stream_begin(tagged, other), nullptr);
    EXPECT_EQ(used(FA_TAG_AUDIO), 1000u);
    EXPECT_EQ(used(FA_TAG_ASSETS), 500u);
    EXPECT_EQ(fa_stream_cancel(tagged, other), FA_OK);
    EXPECT_EQ(used(FA_TAG_ASSETS), 0u);
    EXPECT_EQ(fa_streams_destroy(tagged), 0u);
    EXPECT_EQ(fa_tag_leave(allocator_), FA_OK);
}

TEST_P(Streams, ABudgetOfTheAllocatorInTheWay) {
    streams_config_.tag = FA_TAG_ASSETS;
    Create();
    fa_budget budget = {};
    budget.hard_bytes = 50 * kKiB;
    ASSERT_EQ(fa_budget_set_tag(allocator_, FA_TAG_ASSETS, FA_INTENT_HEAP, &budget), FA_OK);
    const fa_stream first = Load(40 * kKiB), second = Reserve(40 * kKiB);
    ASSERT_NE(second, FA_STREAM_NONE);
    EXPECT_EQ(fa_stream_begin(streams_, second), nullptr);
    EXPECT_EQ(fa_last_error().diag, FA_DIAG_FA302);
    EXPECT_EQ(State(second), FA_STREAM_RESERVED);
    Check();
    EXPECT_EQ(fa_stream_release(streams_, first), FA_OK);
    EXPECT_NE(fa_stream_begin(streams_, second), nullptr) << "begun again";
    EXPECT_EQ(fa_stream_finish(streams_, second), FA_OK);
}

TEST_P(Streams, TheAllocatorsLastMemory) {
    const size_t size = (2 << 20) - 100000; // six fit
    config_.bytes_max = 12 << 20;
    config_.heap_cache_bytes = 0;
    config_.heap_region_bytes = 0;
    streams_config_.bytes_max = 64 << 20;
    streams_config_.is_reclaimer = true;
    Create();
    const fa_stream pinned = Load(size, FA_STREAM_LOW), critical = Load(size, FA_STREAM_CRITICAL),
                    normal = Load(size), low = Load(size, FA_STREAM_LOW),
                    high = Load(size, FA_STREAM_HIGH);
    ASSERT_NE(fa_stream_pin(streams_, pinned), nullptr);
    void *blocks[3];
    for (void *&block : blocks) {
        block = fa_heap_alloc(allocator_, size);
        EXPECT_NE(block, nullptr);
    }
    EXPECT_EQ(Gone(), (std::vector<fa_stream>{low, normal}));
    EXPECT_EQ(evicted_[0].cause, FA_EVICT_RECLAIM);
    EXPECT_GE(Count(FA_DIAG_FA705), 1u);
    // A load that needs memory evicts what the budget of the streams would leave alone.
    const fa_stream last = Reserve(size, FA_STREAM_LOW);
    EXPECT_NE(fa_stream_begin(streams_, last), nullptr);
    EXPECT_EQ(Gone().back(), high);
    EXPECT_EQ(fa_heap_alloc(allocator_, size), nullptr) << "nothing is left to evict";
    EXPECT_EQ(fa_stream_finish(streams_, last), FA_OK);
    EXPECT_EQ(State(critical), FA_STREAM_READY);
    EXPECT_EQ(fa_stream_unpin(streams_, pinned), FA_OK);
    for (void *block : blocks)
        fa_heap_free(allocator_, block);
}

TEST_P(Streams, TooManyReclaimers) {
    Create();
    streams_config_.is_reclaimer = true;
    std::vector<fa_streams *> all;
    fa_streams *streams = nullptr;
    while (fa_streams_create(allocator_, &streams_config_, &streams) == FA_OK)
        all.push_back(streams);
    EXPECT_EQ(fa_last_error().status, FA_ERROR_LIMIT);
    EXPECT_EQ(all.size(), static_cast<size_t>(FA_RECLAIMER_COUNT_MAX));
    EXPECT_EQ(streams, nullptr);
    for (fa_streams *each : all)
        EXPECT_EQ(fa_streams_destroy(each), 0u);
}

TEST_P(Streams, SealedUsesWhatIsHeld) {
    Create();
    const fa_stream stream = Load(60 * kKiB);
    fa_backend_seal(allocator_);
    const uint64_t calls = source_.Calls();
    const fa_stream second = Load(60 * kKiB);
    EXPECT_EQ(State(stream), FA_STREAM_GONE);
    EXPECT_EQ(State(second), FA_STREAM_READY);
    EXPECT_EQ(fa_streams_set_budget(streams_, 64 << 20), FA_OK);
    const fa_stream large = Reserve(32 << 20);
    EXPECT_EQ(fa_stream_begin(streams_, large), nullptr);
    EXPECT_EQ(fa_last_error().status, FA_ERROR_SEALED);
    EXPECT_EQ(State(large), FA_STREAM_RESERVED);
    EXPECT_EQ(source_.Calls(), calls);
}

// Bytes that nobody has and nobody waits for.
TEST_P(Streams, ValidationSeesALeakOfTheBudget) {
    Create();
    const fa_stream stream = Load(1000);
    (void)Reserve(1000);
    for (size_t *number : {&streams_->charged, &streams_->claimed, &streams_->live_count,
                           &streams_->list[FA_STREAM_NORMAL].bytes}) {
        ++*number;
        EXPECT_EQ(fa_validate(allocator_, nullptr), FA_ERROR_CORRUPT);
        --*number;
    }
    ++streams_->release_count;
    EXPECT_EQ(fa_validate(allocator_, nullptr), FA_ERROR_CORRUPT);
    --streams_->release_count;
    EXPECT_EQ(fa_stream_release(streams_, stream), FA_OK);
}

// The table of streams grows in blocks of its own; the last one is as large as is left.
TEST_P(Streams, ManyAtOnce) {
    streams_config_.count_max = 3000;
    Create();
    std::vector<fa_stream> all;
    for (int i = 0; i < 3000; i++)
        all.push_back(Load(16));
    const std::set<fa_stream> different(all.begin(), all.end());
    EXPECT_EQ(different.size(), 3000u);
    EXPECT_EQ(StatsOf().count, 3000u);
    EXPECT_EQ(StatsOf().evict_count, 0u);
    for (fa_stream stream : all)
        EXPECT_EQ(State(stream), FA_STREAM_READY);
    for (size_t i = 0; i < all.size(); i += 2)
        EXPECT_EQ(fa_stream_release(streams_, all[i]), FA_OK);
    Check();
    for (size_t i = 0; i < 1500; i++)
        EXPECT_NE(Load(16), FA_STREAM_NONE);
    EXPECT_EQ(StatsOf().evict_count, 0u);
    EXPECT_EQ(fa_streams_trim(streams_, 0, 0, 0), 3000u * 16);
}

TEST_P(Streams, DestroyTellsOfEachThatIsLeft) {
    Create();
    int items[4];
    const fa_stream reserved = Reserve(1000, FA_STREAM_LOW, &items[0]);
    const fa_stream loading = Reserve(1000, FA_STREAM_LOW, &items[1]);
    ASSERT_NE(fa_stream_begin(streams_, loading), nullptr);
    const fa_stream pinned = Load(1000, FA_STREAM_LOW, &items[2]);
    ASSERT_NE(fa_stream_pin(streams_, pinned), nullptr);
    const fa_stream ready = Load(1000, FA_STREAM_CRITICAL, &items[3]);
    const fa_stream released = Reserve(1000);
    ASSERT_NE(fa_stream_begin(streams_, released), nullptr);
    EXPECT_EQ(fa_stream_release(streams_, released), FA_OK);
    body_ = [&](const fa_eviction &eviction) {
        EXPECT_EQ(eviction.cause, FA_EVICT_DESTROY);
        EXPECT_EQ(eviction.block == nullptr, eviction.stream == reserved);
        EXPECT_EQ(Reserve(10), FA_STREAM_NONE);
        EXPECT_EQ(fa_last_error().status, FA_ERROR_FULL);
        Check();
    };
    EXPECT_EQ(fa_streams_destroy(streams_), 3u) << "two loads and a pin";
    EXPECT_EQ(Gone(), (std::vector<fa_stream>{reserved, loading, pinned, ready}));
    for (size_t i = 0; i < 4; i++)
        EXPECT_EQ(evicted_[i].item, &items[i]);
    body_ = nullptr;
    ASSERT_EQ(fa_streams_create(allocator_, &streams_config_, &streams_), FA_OK);
}

TEST_P(Streams, DieWithTheAllocator) {
    Create();
    Load(1000);
    Load(1000);
    const fa_stream loading = Reserve(1000);
    ASSERT_NE(fa_stream_begin(streams_, loading), nullptr);
    fa_streams *second = nullptr;
    streams_config_.is_reclaimer = true;
    ASSERT_EQ(fa_streams_create(allocator_, &streams_config_, &second), FA_OK);
    EXPECT_EQ(fa_allocator_destroy(allocator_), 0u) << "no leak";
    EXPECT_EQ(evicted_.size(), 3u);
    EXPECT_TRUE(events_.all.empty());
    EXPECT_EQ(source_.BytesLive(), 0u);
    allocator_ = nullptr;
}

TEST_P(Streams, TheChildOfAForkGoesOn) {
    if (kTsan)
        GTEST_SKIP() << "it does not follow a fork of a program with threads";
    Create();
    const fa_stream stream = Load(1000);
    std::atomic<bool> stop{false};
    std::thread other([&] {
        while (!stop)
            EXPECT_NE(fa_stream_access(streams_, stream), nullptr);
    });
    for (int i = 0; i < 20; i++) {
        InChild([&] {
            const fa_stream more = fa_stream_reserve(streams_, 1000, 16, FA_STREAM_LOW, nullptr);
            const bool fine = fa_stream_begin(streams_, more) != nullptr &&
                              fa_stream_finish(streams_, more) == FA_OK &&
                              fa_stream_access(streams_, stream) != nullptr &&
                              fa_validate(allocator_, nullptr) == FA_OK &&
                              fa_streams_destroy(streams_) == 0;
            return fine ? 0 : __LINE__;
        });
    }
    stop = true;
    other.join();
}

TEST_P(Streams, VisitSeesEachOnce) {
    Create();
    std::map<fa_stream, fa_stream_state> expected;
    EXPECT_EQ(fa_streams_visit(
                  streams_, [](void *, const fa_stream_info *) {}, nullptr),
              0u);
    for (size_t i = 0; i < 100; i++) {
        const fa_stream stream = Reserve(100);
        if (i % 3 != 0) {
            ASSERT_NE(fa_stream_begin(streams_, stream), nullptr);
        }
        if (i % 3 == 2) {
            EXPECT_EQ(fa_stream_finish(streams_, stream), FA_OK);
        }
        expected[stream] = State(stream);
    }
    std::map<fa_stream, fa_stream_state> seen;
    struct Visit {
        std::map<fa_stream, fa_stream_state> *seen;
        fa_streams *streams;
    } visit = {&seen, streams_};
    EXPECT_EQ(fa_streams_visit(
                  streams_,
                  [](void *user, const fa_stream_info *info) {
                      Visit *to = static_cast<Visit *>(user);
                      (*to->seen)[info->stream] = info->state;
                      if (info->state == FA_STREAM_LOADING) { // the visitor may call everything
                          EXPECT_EQ(fa_stream_cancel(to->streams, info->stream), FA_OK);
                      }
                  },
                  &visit),
              100u);
    EXPECT_EQ(seen, expected);
}

// The words of the table of streams: id, item, block, size, ...
TEST_P(Streams, ValidateFindsDamage) {
    Create();
    const fa_stream stream = Load(1000);
    struct Find {
        fa_stream stream;
        uint64_t *words;
    } find = {stream, nullptr};
    fa_heap_visit(
        allocator_,
        [](void *user, const fa_heap_block *block) {
            Find *to = static_cast<Find *>(user);
            auto *words = static_cast<uint64_t *>(const_cast<void *>(block->address));
            if (block->size > 1000 && words[0] == to->stream)
                to->words = words;
        },
        &find);
    ASSERT_NE(find.words, nullptr);
    ASSERT_EQ(find.words[3], 1000u);
    find.words[3]--;
    EXPECT_EQ(fa_validate(allocator_, nullptr), FA_ERROR_CORRUPT);
    find.words[3]++;
}

} // namespace
