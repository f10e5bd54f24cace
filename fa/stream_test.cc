// The life of one stream: loaded, used, released; its id; misuse.
#include "fa/testing_streams.hpp"

#include <map>
#include <string>

using namespace fa_testing;

namespace {

INSTANTIATE_TEST_SUITE_P(Checks, Stream, testing::Values(0u, static_cast<uint32_t>(FA_CHECK_ALL)));

TEST_P(Stream, LivesFromReserveToRelease) {
    Create();
    int item = 0;
    const fa_stream stream = fa_stream_reserve(streams_, 3000, 1024, FA_STREAM_HIGH, &item);
    ASSERT_NE(stream, FA_STREAM_NONE);
    const uint64_t heap = Stats(allocator_).heap_live_count;
    fa_stream_info info = Info(stream);
    EXPECT_EQ(info.stream, stream);
    EXPECT_EQ(info.item, &item);
    EXPECT_EQ(info.size, 3000u);
    EXPECT_EQ(info.align, 1024u);
    EXPECT_EQ(info.state, FA_STREAM_RESERVED);
    EXPECT_EQ(info.priority, FA_STREAM_HIGH);
    EXPECT_EQ(info.loaded, 0u);
    EXPECT_EQ(fa_stream_access(streams_, stream), nullptr);
    EXPECT_EQ(StatsOf().reserved_bytes, 3000u);
    Check();

    void *block = fa_stream_begin(streams_, stream);
    ASSERT_NE(block, nullptr);
    EXPECT_TRUE(IsAligned(block, 1024));
    EXPECT_EQ(Stats(allocator_).heap_live_count, heap + 1) << "the memory is taken at begin";
    EXPECT_EQ(State(stream), FA_STREAM_LOADING);
    EXPECT_EQ(fa_stream_access(streams_, stream), nullptr);
    Paint(block, 1, 3000);
    EXPECT_EQ(StatsOf().loading_bytes, 3000u);
    Check();

    EXPECT_EQ(fa_stream_finish(streams_, stream), FA_OK);
    EXPECT_EQ(State(stream), FA_STREAM_READY);
    EXPECT_EQ(fa_stream_access(streams_, stream), block);
    EXPECT_TRUE(fa_stream_touch(streams_, stream));
    EXPECT_TRUE(IsPainted(block, 1, 3000));
    EXPECT_EQ(StatsOf().ready_bytes, 3000u);
    EXPECT_EQ(StatsOf().hit_count, 2u);
    EXPECT_EQ(StatsOf().miss_count, 2u);

    EXPECT_EQ(fa_stream_release(streams_, stream), FA_OK);
    EXPECT_EQ(State(stream), FA_STREAM_GONE);
    EXPECT_EQ(Stats(allocator_).heap_live_count, heap);
    EXPECT_EQ(StatsOf().used_bytes, 0u);
    EXPECT_EQ(StatsOf().used_bytes_peak, 3000u);
    EXPECT_TRUE(evicted_.empty()) << "a release is no eviction";
    EXPECT_TRUE(events_.all.empty());
}

TEST_P(Stream, ProgressIsAbsoluteClampedAndNeverLess) {
    Create();
    const fa_stream stream = Reserve(1000);
    ASSERT_NE(fa_stream_begin(streams_, stream), nullptr);
    const struct {
        size_t said, known;
    } steps[] = {{100, 100}, {50, 100}, {100, 100}, {999, 999}, {5000, 1000}, {SIZE_MAX, 1000}};
    for (const auto &step : steps) {
        EXPECT_EQ(fa_stream_progress(streams_, stream, step.said), FA_OK);
        EXPECT_EQ(Info(stream).loaded, step.known);
        EXPECT_EQ(StatsOf().loaded_bytes, step.known);
    }
    EXPECT_EQ(fa_stream_cancel(streams_, stream), FA_OK);
    EXPECT_EQ(Info(stream).loaded, 0u);
    ASSERT_NE(fa_stream_begin(streams_, stream), nullptr);
    EXPECT_EQ(fa_stream_finish(streams_, stream), FA_OK);
    EXPECT_EQ(Info(stream).loaded, 1000u) << "finished without a word before";
}

// The loaded bytes were never added at finish but taken off at release, so that they wrapped.
TEST_P(Stream, LoadedBytesGoBackToZero) {
    Create();
    for (int i = 0; i < 5; i++) {
        const fa_stream stream = Load(1000);
        EXPECT_EQ(StatsOf().loaded_bytes, 1000u);
        EXPECT_EQ(fa_stream_release(streams_, stream), FA_OK);
        EXPECT_EQ(StatsOf().loaded_bytes, 0u);
    }
    const fa_stream stream = Reserve(1000);
    ASSERT_NE(fa_stream_begin(streams_, stream), nullptr);
    EXPECT_EQ(fa_stream_progress(streams_, stream, 300), FA_OK);
    EXPECT_EQ(fa_stream_release(streams_, stream), FA_OK);
    EXPECT_EQ(StatsOf().loaded_bytes, 0u);
    EXPECT_EQ(fa_stream_cancel(streams_, stream), FA_OK);
}

TEST_P(Stream, CancelKeepsTheReservation) {
    Create();
    const fa_stream stream = Reserve(60 * kKiB);
    const uint64_t heap = Stats(allocator_).heap_live_count;
    for (int i = 0; i < 3; i++) {
        ASSERT_NE(fa_stream_begin(streams_, stream), nullptr);
        EXPECT_EQ(fa_stream_cancel(streams_, stream), FA_OK);
        EXPECT_EQ(State(stream), FA_STREAM_RESERVED);
        EXPECT_EQ(Stats(allocator_).heap_live_count, heap);
        EXPECT_EQ(Reserve(60 * kKiB), FA_STREAM_NONE) << "its bytes are still promised";
    }
    EXPECT_EQ(StatsOf().cancel_count, 3u);
    EXPECT_EQ(fa_stream_release(streams_, stream), FA_OK);
}

TEST_P(Stream, ReleasedWhileLoadingGoesWithTheLoad) {
    Create();
    const char *ends[] = {"finish", "cancel"};
    for (const char *how : ends) {
        SCOPED_TRACE(how);
        const fa_stream stream = Reserve(60 * kKiB);
        void *block = fa_stream_begin(streams_, stream);
        ASSERT_NE(block, nullptr);
        EXPECT_EQ(fa_stream_progress(streams_, stream, 100), FA_OK);
        EXPECT_EQ(fa_stream_release(streams_, stream), FA_OK);
        Paint(block, 1, 60 * kKiB); // still the loader's
        EXPECT_EQ(State(stream), FA_STREAM_EVICTING);
        EXPECT_EQ(Reserve(60 * kKiB), FA_STREAM_NONE) << "its memory is still there";
        EXPECT_EQ(fa_stream_access(streams_, stream), nullptr);
        Answer(FA_ERROR_FOREIGN, [&] { return fa_stream_progress(streams_, stream, 200); });
        Answer(FA_ERROR_FOREIGN,
               [&] { return fa_stream_set_priority(streams_, stream, FA_STREAM_LOW); });
        Misuse(FA_ERROR_FOREIGN, [&] { return fa_stream_release(streams_, stream); });
        if (how == ends[0])
            Answer(FA_ERROR_FOREIGN, [&] { return fa_stream_finish(streams_, stream); });
        else
            Answer(FA_OK, [&] { return fa_stream_cancel(streams_, stream); });
        EXPECT_EQ(State(stream), FA_STREAM_GONE);
        EXPECT_EQ(StatsOf().used_bytes, 0u);
        Misuse(FA_ERROR_FOREIGN, [&] { return fa_stream_cancel(streams_, stream); });
    }
}

// ---- ids ----

TEST_P(Stream, StaleAndForeignIdsNeverResolve) {
    streams_config_.count_max = 1;
    Create();
    fa_streams *other = nullptr;
    ASSERT_EQ(fa_streams_create(allocator_, &streams_config_, &other), FA_OK);
    std::map<fa_stream, int> seen;
    for (int i = 0; i < 100; i++) {
        const fa_stream stream = Load(100);
        EXPECT_EQ(seen[stream]++, 0) << "the slot is the same, the id is not";
        for (const auto &[old, count] : seen)
            EXPECT_EQ(fa_stream_access(streams_, old) != nullptr, old == stream);
        EXPECT_EQ(fa_stream_access(other, stream), nullptr);
        EXPECT_EQ(fa_stream_release(streams_, stream), FA_OK);
    }
    for (fa_stream forged : {fa_stream{1}, fa_stream{UINT64_MAX}, fa_stream{12345} << 20}) {
        EXPECT_EQ(fa_stream_access(streams_, forged), nullptr);
        EXPECT_FALSE(fa_stream_touch(streams_, forged));
        EXPECT_EQ(fa_stream_pin(streams_, forged), nullptr);
    }
    EXPECT_EQ(fa_streams_destroy(other), 0u);
}

TEST_P(Stream, AnotherCachesIdEndsNothing) {
    Create();
    fa_streams *other = nullptr;
    ASSERT_EQ(fa_streams_create(allocator_, &streams_config_, &other), FA_OK);
    const fa_stream mine = Load(100);
    const fa_stream theirs = fa_stream_reserve(other, 100, 16, FA_STREAM_LOW, nullptr);
    Misuse(FA_ERROR_FOREIGN, [&] { return fa_stream_release(streams_, theirs); });
    Misuse(FA_ERROR_FOREIGN, [&] { return fa_stream_finish(other, mine); });
    EXPECT_EQ(State(mine), FA_STREAM_READY);
    EXPECT_EQ(fa_streams_destroy(other), 0u);
}

TEST_P(Stream, FullIsAnAnswer) {
    streams_config_.count_max = 70; // more than the first table
    Create();
    std::vector<fa_stream> all;
    for (int i = 0; i < 70; i++)
        all.push_back(Reserve(10));
    fa_last_error_clear();
    EXPECT_EQ(Reserve(10), FA_STREAM_NONE);
    EXPECT_EQ(fa_last_error().status, FA_ERROR_FULL);
    EXPECT_TRUE(events_.all.empty());
    EXPECT_EQ(StatsOf().refused_count, 1u);
    EXPECT_EQ(fa_stream_release(streams_, all[33]), FA_OK);
    EXPECT_NE(Reserve(10), FA_STREAM_NONE);
    EXPECT_EQ(StatsOf().count, 70u);
}

// ---- misuse ----

TEST_P(Stream, OutOfOrderIsMisuse) {
    Create();
    const fa_stream stream = Reserve(1000);
    Misuse(FA_ERROR_INVALID, [&] { return fa_stream_finish(streams_, stream); });
    Misuse(FA_ERROR_INVALID, [&] { return fa_stream_progress(streams_, stream, 1); });
    Misuse(FA_ERROR_INVALID, [&] { return fa_stream_cancel(streams_, stream); });
    Misuse(FA_ERROR_INVALID, [&] { return fa_stream_unpin(streams_, stream); });
    void *block = fa_stream_begin(streams_, stream);
    Misuse(FA_ERROR_INVALID, [&] {
        EXPECT_EQ(fa_stream_begin(streams_, stream), nullptr);
        return fa_last_error().status;
    });
    EXPECT_EQ(fa_stream_finish(streams_, stream), FA_OK);
    Misuse(FA_ERROR_INVALID, [&] { return fa_stream_finish(streams_, stream); });
    Misuse(FA_ERROR_INVALID, [&] { return fa_stream_cancel(streams_, stream); });
    EXPECT_EQ(fa_stream_access(streams_, stream), block);
    EXPECT_EQ(fa_stream_release(streams_, stream), FA_OK);
    Misuse(FA_ERROR_FOREIGN, [&] { return fa_stream_release(streams_, stream); });
    Misuse(FA_ERROR_FOREIGN, [&] { return fa_stream_unpin(streams_, stream); });
    Misuse(FA_ERROR_FOREIGN, [&] {
        EXPECT_EQ(fa_stream_begin(streams_, stream + (fa_stream{9} << 40)), nullptr);
        return fa_last_error().status;
    });
    if (kCounted) {
        EXPECT_EQ(std::string(events_.Last(FA_DIAG_FA630).site.file), __FILE__);
    }
}

// Whoever loads may come late.
TEST_P(Stream, ABeginOfWhatWasReleasedIsNoMisuse) {
    config_.strict = true;
    Create();
    const auto begin = [this](fa_stream stream) {
        return [this, stream] {
            EXPECT_EQ(fa_stream_begin(streams_, stream), nullptr);
            return fa_last_error().status;
        };
    };
    const fa_stream stream = Reserve(1000);
    EXPECT_EQ(fa_stream_release(streams_, stream), FA_OK);
    Answer(FA_ERROR_FOREIGN, begin(stream));
    const fa_stream loading = Reserve(1000); // in the same slot
    Answer(FA_ERROR_FOREIGN, begin(stream));
    ASSERT_NE(fa_stream_begin(streams_, loading), nullptr);
    EXPECT_EQ(fa_stream_release(streams_, loading), FA_OK);
    Answer(FA_ERROR_FOREIGN, begin(loading));
    EXPECT_EQ(fa_stream_finish(streams_, loading), FA_ERROR_FOREIGN);
}

TEST_P(Stream, WhatWasEvictedMayBeAskedAbout) {
    Create();
    const fa_stream stream = Load(100 * kKiB);
    EXPECT_NE(Reserve(100 * kKiB), FA_STREAM_NONE);
    ASSERT_EQ(Gone(), (std::vector<fa_stream>{stream}));
    fa_stream_info info;
    Answer(FA_ERROR_FOREIGN, [&] { return fa_stream_release(streams_, stream); });
    Answer(FA_ERROR_FOREIGN, [&] { return fa_stream_get(streams_, stream, &info); });
    Answer(FA_ERROR_FOREIGN,
           [&] { return fa_stream_set_priority(streams_, stream, FA_STREAM_LOW); });
    Answer(FA_OK, [&] {
        EXPECT_EQ(fa_stream_access(streams_, stream), nullptr);
        EXPECT_EQ(fa_stream_pin(streams_, stream), nullptr);
        EXPECT_FALSE(fa_stream_touch(streams_, stream));
        return FA_OK;
    });
    EXPECT_EQ(StatsOf().miss_count, 3u);
}

} // namespace
