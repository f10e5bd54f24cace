// Who is evicted and who is not, what the callback may do, trimming.
#include "fa/testing_streams.hpp"

#include <algorithm>

using namespace fa_testing;

namespace {

class Evict : public Stream {};

INSTANTIATE_TEST_SUITE_P(Checks, Evict, testing::Values(0u, static_cast<uint32_t>(FA_CHECK_ALL)));

TEST_P(Evict, LowerPrioritiesGoFirstThenTheOldestOfItsOwn) {
    Create();
    const fa_stream normal = Load(20 * kKiB), high = Load(20 * kKiB, FA_STREAM_HIGH),
                    low = Load(20 * kKiB, FA_STREAM_LOW), low2 = Load(20 * kKiB, FA_STREAM_LOW),
                    normal2 = Load(20 * kKiB);
    EXPECT_NE(fa_stream_access(streams_, low), nullptr); // now low2 is older
    EXPECT_NE(Reserve(10 * kKiB), FA_STREAM_NONE);
    EXPECT_EQ(Gone(), (std::vector<fa_stream>{low2}));
    EXPECT_NE(Reserve(30 * kKiB), FA_STREAM_NONE);
    EXPECT_EQ(Gone(), (std::vector<fa_stream>{low2, low}));
    EXPECT_NE(Reserve(21 * kKiB), FA_STREAM_NONE);
    EXPECT_EQ(Gone(), (std::vector<fa_stream>{low2, low, normal, normal2}));
    EXPECT_EQ(State(high), FA_STREAM_READY);
    for (const Evicted &each : evicted_)
        EXPECT_EQ(each.cause, FA_EVICT_ROOM);
    EXPECT_EQ(StatsOf().evict_bytes, 80 * kKiB);
}

TEST_P(Evict, EqualPrioritiesGoByLastUse) {
    Create();
    std::vector<fa_stream> all;
    for (int i = 0; i < 10; i++)
        all.push_back(Load(10 * kKiB));
    for (size_t i : {3u, 0u, 7u, 3u, 9u, 1u, 0u})
        EXPECT_TRUE(fa_stream_touch(streams_, all[i]));
    for (int i = 0; i < 10; i++)
        EXPECT_NE(Reserve(10 * kKiB), FA_STREAM_NONE);
    std::vector<fa_stream> expected;
    for (size_t i : {2u, 4u, 5u, 6u, 8u, 7u, 3u, 9u, 1u, 0u})
        expected.push_back(all[i]);
    EXPECT_EQ(Gone(), expected);
}

TEST_P(Evict, NeitherHigherNorCriticalEverGo) {
    Create();
    const fa_stream high = Load(50 * kKiB, FA_STREAM_HIGH),
                    critical = Load(50 * kKiB, FA_STREAM_CRITICAL);
    EXPECT_EQ(Reserve(1, FA_STREAM_LOW), FA_STREAM_NONE);
    EXPECT_EQ(Reserve(1, FA_STREAM_NORMAL), FA_STREAM_NONE);
    EXPECT_EQ(Reserve(50 * kKiB + 1, FA_STREAM_CRITICAL), FA_STREAM_NONE);
    EXPECT_TRUE(evicted_.empty());
    EXPECT_EQ(Count(FA_DIAG_FA631), 3u);
    EXPECT_NE(Reserve(50 * kKiB, FA_STREAM_CRITICAL), FA_STREAM_NONE);
    EXPECT_EQ(Gone(), (std::vector<fa_stream>{high}));
    EXPECT_EQ(fa_streams_trim(streams_, 0, 0, 0), 0u);
    EXPECT_EQ(State(critical), FA_STREAM_READY);
    EXPECT_EQ(fa_stream_set_priority(streams_, critical, FA_STREAM_LOW), FA_OK);
    EXPECT_EQ(fa_streams_trim(streams_, 0, 0, 0), 50 * kKiB);
}

TEST_P(Evict, WhereThereAreAsManyAsMayBeOneMakesRoom) {
    streams_config_.count_max = 3;
    Create();
    const fa_stream low = Load(10, FA_STREAM_LOW), normal = Load(10),
                    high = Load(10, FA_STREAM_HIGH);
    fa_last_error_clear();
    const fa_stream first = Reserve(10);
    EXPECT_NE(first, FA_STREAM_NONE);
    EXPECT_EQ(Gone(), (std::vector<fa_stream>{low}));
    EXPECT_EQ(Reserve(10, FA_STREAM_LOW), FA_STREAM_NONE) << "nothing of its priority may go";
    EXPECT_EQ(fa_last_error().status, FA_ERROR_FULL);
    EXPECT_EQ(Reserve(200 * kKiB), FA_STREAM_NONE);
    EXPECT_EQ(fa_last_error().status, FA_ERROR_LIMIT) << "the budget is asked first";
    EXPECT_EQ(State(normal), FA_STREAM_READY) << "nothing goes where it would not suffice";
    EXPECT_EQ(StatsOf().refused_count, 2u);
    const fa_stream second = Reserve(99 * kKiB, FA_STREAM_HIGH);
    EXPECT_NE(second, FA_STREAM_NONE);
    EXPECT_EQ(Gone(), (std::vector<fa_stream>{low, normal}));
    EXPECT_EQ(StatsOf().used_bytes, 99 * kKiB + 20);
    EXPECT_EQ(Reserve(2 * kKiB, FA_STREAM_HIGH), FA_STREAM_NONE);
    EXPECT_EQ(State(high), FA_STREAM_READY);
    EXPECT_EQ(fa_stream_release(streams_, second), FA_OK);
    EXPECT_NE(Reserve(10), FA_STREAM_NONE) << "a free slot: nothing goes";
    EXPECT_EQ(Gone().size(), 2u);
    EXPECT_NE(Reserve(100 * kKiB - 20, FA_STREAM_HIGH), FA_STREAM_NONE);
    EXPECT_EQ(Gone().size(), 3u);
    EXPECT_EQ(StatsOf().used_bytes, 100 * kKiB);
    EXPECT_EQ(StatsOf().count, 3u);
    EXPECT_EQ(State(first), FA_STREAM_RESERVED);
}

// While a reservation evicts it has no slot; who is told may take what becomes free on the way.
TEST_P(Evict, WhoIsToldAtTheMostMayReserveToo) {
    streams_config_.count_max = 8;
    Create();
    for (int i = 0; i < 8; i++)
        EXPECT_NE(Load(10 * kKiB), FA_STREAM_NONE);
    size_t told = 0, own = 0;
    body_ = [&](const fa_eviction &) {
        Check();
        told++;
        if (told % 3 == 2)
            own += Reserve(100) != FA_STREAM_NONE;
    };
    EXPECT_NE(Reserve(55 * kKiB), FA_STREAM_NONE);
    body_ = nullptr;
    EXPECT_GE(own, 1u);
    EXPECT_LE(StatsOf().count, 8u);
    EXPECT_EQ(StatsOf().claimed_bytes, 0u);
    EXPECT_EQ(StatsOf().refused_count, 0u);
}

// A cache that is full of small ones, for longer than there are slots.
TEST_P(Evict, TheNumberOfStreamsIsABudgetToo) {
    streams_config_.count_max = 100;
    Create();
    for (int i = 0; i < 1000; i++)
        ASSERT_NE(Load(1 + static_cast<size_t>(i) % 50), FA_STREAM_NONE);
    EXPECT_EQ(StatsOf().count, 100u);
    EXPECT_EQ(StatsOf().evict_count, 900u);
    EXPECT_TRUE(events_.all.empty());
}

// Victims were evicted although the request failed then.
TEST_P(Evict, NothingGoesWhereItWouldNotSuffice) {
    Create();
    const fa_stream old = Load(30 * kKiB), pinned = Load(30 * kKiB), newer = Load(30 * kKiB);
    ASSERT_NE(fa_stream_pin(streams_, pinned), nullptr);
    EXPECT_EQ(Reserve(70 * kKiB + 1), FA_STREAM_NONE);
    EXPECT_EQ(fa_last_error().diag, FA_DIAG_FA631);
    EXPECT_EQ(fa_last_error().status, FA_ERROR_LIMIT);
    const fa_event event = events_.Last(FA_DIAG_FA631);
    EXPECT_EQ(event.size, 70 * kKiB + 1);
    EXPECT_EQ(event.limit, 100 * kKiB);
    if (kCounted) {
        EXPECT_NE(event.site.file, nullptr);
    }
    EXPECT_TRUE(evicted_.empty());
    EXPECT_EQ(State(old), FA_STREAM_READY);
    EXPECT_EQ(State(newer), FA_STREAM_READY);
    EXPECT_EQ(StatsOf().refused_count, 1u);
    EXPECT_EQ(Reserve(101 * kKiB), FA_STREAM_NONE) << "more than all";
    EXPECT_TRUE(evicted_.empty());
    EXPECT_NE(Reserve(70 * kKiB), FA_STREAM_NONE);
    EXPECT_EQ(Gone(), (std::vector<fa_stream>{old, newer}));
    EXPECT_EQ(fa_stream_unpin(streams_, pinned), FA_OK);
}

TEST_P(Evict, NeitherReservedNorLoadingEverGo) {
    Create();
    const fa_stream reserved = Reserve(40 * kKiB, FA_STREAM_LOW);
    const fa_stream loading = Reserve(40 * kKiB, FA_STREAM_LOW);
    ASSERT_NE(fa_stream_begin(streams_, loading), nullptr);
    EXPECT_EQ(Reserve(40 * kKiB, FA_STREAM_CRITICAL), FA_STREAM_NONE);
    EXPECT_EQ(fa_streams_trim(streams_, 0, 0, 0), 0u);
    EXPECT_EQ(State(reserved), FA_STREAM_RESERVED);
    EXPECT_EQ(State(loading), FA_STREAM_LOADING);
    EXPECT_EQ(fa_stream_finish(streams_, loading), FA_OK);
    EXPECT_NE(Reserve(40 * kKiB, FA_STREAM_LOW), FA_STREAM_NONE);
    EXPECT_EQ(Gone(), (std::vector<fa_stream>{loading}));
}

TEST_P(Evict, PinsAreCounted) {
    Create();
    const fa_stream stream = Load(60 * kKiB, FA_STREAM_LOW);
    void *block = fa_stream_pin(streams_, stream);
    EXPECT_EQ(fa_stream_pin(streams_, stream), block);
    EXPECT_EQ(StatsOf().pinned_count, 1u);
    EXPECT_EQ(StatsOf().pinned_bytes, 60 * kKiB);
    EXPECT_EQ(fa_stream_unpin(streams_, stream), FA_OK);
    EXPECT_EQ(Info(stream).pin_count, 1u);
    EXPECT_EQ(Reserve(60 * kKiB), FA_STREAM_NONE) << "one pin is left";
    Misuse(FA_ERROR_INVALID, [&] { return fa_stream_release(streams_, stream); });
    EXPECT_EQ(fa_stream_access(streams_, stream), block);
    EXPECT_EQ(fa_stream_unpin(streams_, stream), FA_OK);
    Misuse(FA_ERROR_INVALID, [&] { return fa_stream_unpin(streams_, stream); });
    EXPECT_EQ(StatsOf().pinned_bytes, 0u);
    EXPECT_NE(Reserve(60 * kKiB), FA_STREAM_NONE);
    EXPECT_EQ(State(stream), FA_STREAM_GONE);
    EXPECT_EQ(fa_stream_pin(streams_, stream), nullptr);
}

TEST_P(Evict, UnpinIsAUse) {
    Create();
    const fa_stream first = Load(50 * kKiB), second = Load(50 * kKiB);
    ASSERT_NE(fa_stream_pin(streams_, first), nullptr);
    EXPECT_TRUE(fa_stream_touch(streams_, second));
    EXPECT_EQ(fa_stream_unpin(streams_, first), FA_OK);
    EXPECT_NE(Reserve(1), FA_STREAM_NONE);
    EXPECT_EQ(Gone(), (std::vector<fa_stream>{second}));
}

TEST_P(Evict, PriorityChangesKeepTheOrderOfUse) {
    Create();
    std::vector<fa_stream> all;
    for (int i = 0; i < 10; i++)
        all.push_back(Load(10 * kKiB, i % 2 ? FA_STREAM_HIGH : FA_STREAM_NORMAL));
    for (size_t i : {5u, 1u, 9u, 3u, 7u}) // between the others, at the ends
        EXPECT_EQ(fa_stream_set_priority(streams_, all[i], FA_STREAM_NORMAL), FA_OK);
    Check();
    EXPECT_EQ(fa_stream_set_priority(streams_, all[4], FA_STREAM_NORMAL), FA_OK) << "as it is";
    EXPECT_EQ(fa_stream_set_priority(streams_, all[0], FA_STREAM_HIGH), FA_OK);
    Check();
    EXPECT_EQ(fa_stream_set_priority(streams_, all[8], FA_STREAM_LOW), FA_OK);
    EXPECT_EQ(fa_streams_trim(streams_, 0, 0, 0), 100 * kKiB);
    std::vector<fa_stream> expected;
    for (size_t i : {8u, 1u, 2u, 3u, 4u, 5u, 6u, 7u, 9u, 0u})
        expected.push_back(all[i]);
    EXPECT_EQ(Gone(), expected);
    EXPECT_EQ(evicted_[0].priority, FA_STREAM_LOW);
    Answer(FA_ERROR_FOREIGN,
           [&] { return fa_stream_set_priority(streams_, all[0], FA_STREAM_LOW); });
}

TEST_P(Evict, PriorityOfReservedLoadingAndPinned) {
    Create();
    const fa_stream stream = Reserve(60 * kKiB, FA_STREAM_CRITICAL);
    EXPECT_EQ(fa_stream_set_priority(streams_, stream, FA_STREAM_HIGH), FA_OK);
    ASSERT_NE(fa_stream_begin(streams_, stream), nullptr);
    EXPECT_EQ(fa_stream_set_priority(streams_, stream, FA_STREAM_NORMAL), FA_OK);
    EXPECT_EQ(fa_stream_finish(streams_, stream), FA_OK);
    ASSERT_NE(fa_stream_pin(streams_, stream), nullptr);
    EXPECT_EQ(fa_stream_set_priority(streams_, stream, FA_STREAM_LOW), FA_OK);
    Check();
    EXPECT_EQ(fa_stream_unpin(streams_, stream), FA_OK);
    EXPECT_NE(Reserve(60 * kKiB, FA_STREAM_LOW), FA_STREAM_NONE);
    EXPECT_EQ(State(stream), FA_STREAM_GONE);
}

TEST_P(Evict, WhatTheLastFramesUsedIsKept) {
    streams_config_.frames_kept = 2;
    Create();
    const fa_stream first = Load(50 * kKiB), second = Load(50 * kKiB);
    EXPECT_EQ(fa_streams_advance(streams_), 2u);
    void *block = fa_stream_access(streams_, second);
    EXPECT_EQ(Reserve(1), FA_STREAM_NONE) << "both were used in frame 1, the last but one";
    EXPECT_EQ(fa_streams_trim(streams_, 0, 0, 0), 0u);
    fa_streams_advance(streams_);
    EXPECT_EQ(Reserve(50 * kKiB + 1, FA_STREAM_CRITICAL), FA_STREAM_NONE);
    EXPECT_NE(Reserve(50 * kKiB), FA_STREAM_NONE);
    EXPECT_EQ(Gone(), (std::vector<fa_stream>{first}));
    EXPECT_TRUE(IsPainted(block, second, 50 * kKiB));
    EXPECT_EQ(StatsOf().frame, 3u);
    EXPECT_EQ(Info(second).frame_used, 2u);
}

// Each use counts by itself: nobody needs to drive a clock.
TEST_P(Evict, LastUseWorksWithoutAdvance) {
    Create();
    const fa_stream first = Load(50 * kKiB), second = Load(50 * kKiB);
    EXPECT_TRUE(fa_stream_touch(streams_, first));
    EXPECT_NE(Reserve(50 * kKiB), FA_STREAM_NONE);
    EXPECT_EQ(State(first), FA_STREAM_READY);
    EXPECT_EQ(State(second), FA_STREAM_GONE);
}

// ---- the callback ----

TEST_P(Evict, TheCallbackRunsBeforeTheMemoryGoes) {
    Create();
    int item = 0;
    const fa_stream stream = Load(60 * kKiB, FA_STREAM_NORMAL, &item);
    size_t calls = 0;
    body_ = [&](const fa_eviction &eviction) {
        calls++;
        EXPECT_EQ(eviction.streams, streams_);
        EXPECT_EQ(eviction.item, &item);
        EXPECT_EQ(eviction.stream, stream);
        EXPECT_EQ(eviction.size, 60 * kKiB);
        EXPECT_TRUE(IsPainted(eviction.block, stream, 60 * kKiB));
        EXPECT_EQ(State(stream), FA_STREAM_EVICTING);
        EXPECT_EQ(fa_stream_access(streams_, stream), nullptr) << "nobody finds it any more";
        EXPECT_EQ(fa_stream_pin(streams_, stream), nullptr);
        EXPECT_EQ(fa_stream_release(streams_, stream), FA_ERROR_FOREIGN);
        EXPECT_LE(StatsOf().used_bytes, 100 * kKiB);
        Check();
    };
    EXPECT_NE(Reserve(60 * kKiB), FA_STREAM_NONE);
    EXPECT_EQ(calls, 1u);
    EXPECT_EQ(Count(FA_DIAG_FA630), 0u);
    body_ = nullptr;
}

TEST_P(Evict, TheCallbackMayCallEverything) {
    Create();
    std::vector<fa_stream> all;
    for (int i = 0; i < 10; i++)
        all.push_back(Load(10 * kKiB));
    size_t depth = 0, deepest = 0;
    body_ = [&](const fa_eviction &eviction) {
        depth++;
        deepest = std::max(deepest, depth);
        fa_heap_free(allocator_, fa_heap_alloc(allocator_, 5000));
        fa_pool_free(allocator_, fa_pool_alloc(allocator_, 50));
        EXPECT_TRUE(fa_stream_touch(streams_, all[9]));
        if (eviction.stream == all[0]) {
            EXPECT_EQ(fa_stream_release(streams_, all[5]), FA_OK);
            EXPECT_NE(Load(10 * kKiB), FA_STREAM_NONE) << "into what was just released";
        }
        if (eviction.stream == all[1]) {
            EXPECT_NE(Load(20 * kKiB), FA_STREAM_NONE) << "evicts others meanwhile";
        }
        if (depth == 1) { // enough for a larger table
            std::vector<fa_stream> small;
            for (int i = 0; i < 100; i++)
                small.push_back(Reserve(1, FA_STREAM_HIGH));
            for (fa_stream stream : small)
                if (stream != FA_STREAM_NONE) {
                    EXPECT_EQ(fa_stream_release(streams_, stream), FA_OK);
                }
        }
        Check();
        EXPECT_LE(StatsOf().used_bytes, 100 * kKiB);
        depth--;
    };
    EXPECT_NE(Load(40 * kKiB), FA_STREAM_NONE);
    EXPECT_GT(deepest, 1u);
    EXPECT_NE(fa_stream_access(streams_, all[9]), nullptr);
    EXPECT_EQ(Count(FA_DIAG_FA630), 0u);
    body_ = nullptr;
}

// ---- budgets and trimming ----

TEST_P(Evict, TrimGoesInSteps) {
    Create();
    for (int i = 0; i < 10; i++)
        Load(10 * kKiB, i < 5 ? FA_STREAM_HIGH : FA_STREAM_LOW);
    EXPECT_EQ(fa_streams_trim(streams_, 100 * kKiB, 0, 0), 0u) << "it is there already";
    EXPECT_EQ(fa_streams_trim(streams_, 0, 1, 0), 10 * kKiB) << "one stream at least";
    EXPECT_EQ(fa_streams_trim(streams_, 0, 15 * kKiB, 0), 20 * kKiB);
    EXPECT_EQ(fa_streams_trim(streams_, 0, 0, 1), 10 * kKiB) << "one, then the time is over";
    EXPECT_EQ(fa_streams_trim(streams_, 35 * kKiB, 0, 0), 30 * kKiB);
    EXPECT_EQ(StatsOf().used_bytes, 30 * kKiB);
    EXPECT_EQ(fa_streams_trim(streams_, 0, SIZE_MAX, UINT64_MAX), 30 * kKiB);
    EXPECT_EQ(fa_streams_trim(streams_, 0, 0, 0), 0u);
    for (size_t i = 0; i < 10; i++) {
        EXPECT_EQ(evicted_[i].priority, i < 5 ? FA_STREAM_LOW : FA_STREAM_HIGH);
        EXPECT_EQ(evicted_[i].cause, FA_EVICT_TRIM);
    }
}

TEST_P(Evict, TheBudgetChanges) {
    Create();
    const fa_stream first = Load(40 * kKiB), second = Load(40 * kKiB);
    EXPECT_EQ(fa_streams_set_budget(streams_, 200 * kKiB), FA_OK);
    const fa_stream third = Load(100 * kKiB);
    EXPECT_TRUE(evicted_.empty());
    ASSERT_NE(fa_stream_pin(streams_, third), nullptr);
    EXPECT_EQ(fa_streams_set_budget(streams_, 150 * kKiB), FA_OK);
    EXPECT_EQ(Gone(), (std::vector<fa_stream>{first}));
    EXPECT_EQ(fa_streams_set_budget(streams_, 90 * kKiB), FA_ERROR_LIMIT);
    EXPECT_EQ(Gone(), (std::vector<fa_stream>{first, second}));
    EXPECT_EQ(events_.Last(FA_DIAG_FA631).size, 10 * kKiB) << "so much is over";
    EXPECT_EQ(events_.Last(FA_DIAG_FA631).limit, 90 * kKiB);
    EXPECT_EQ(StatsOf().bytes_max, 90 * kKiB);
    EXPECT_EQ(Reserve(1), FA_STREAM_NONE);
    EXPECT_EQ(fa_stream_unpin(streams_, third), FA_OK);
    EXPECT_NE(Reserve(90 * kKiB), FA_STREAM_NONE) << "more goes than what it replaces";
    EXPECT_EQ(StatsOf().used_bytes, 90 * kKiB);
    EXPECT_EQ(fa_streams_set_budget(streams_, 0), FA_ERROR_LIMIT);
    EXPECT_EQ(fa_streams_set_budget(streams_, 100 * kKiB), FA_OK);
}

} // namespace
