// What frames take from the backend: growth, overflow, caps, spills, learning, trimming, in flight.
#include "fa/testing.hpp"

#include <functional>
#include <string>
#include <thread>

using namespace fa_testing;

namespace {

constexpr size_t kKib = 1 << 10, kMib = 1 << 20;

class ArenaTest : public testing::Test {
  protected:
    Events events;
    Source source;
    fa_alloc_config config = Plain();

    ArenaTest() {
        fa_last_error_clear();
        events.Watch(&config);
        config.frame_chunk_bytes_first = 4 * kKib;
        config.frame_chunk_bytes_max = 64 * kKib;
    }

    // One frame of count blocks of size bytes; returns how many were had.
    static size_t Frame(fa_allocator *allocator, size_t count, size_t size) {
        EXPECT_NE(fa_frame_begin(allocator), nullptr);
        size_t had = 0;
        for (size_t i = 0; i < count; i++) {
            void *block = fa_frame_alloc(allocator, size);
            if (block != nullptr)
                std::memset(block, 1, size);
            had += block != nullptr;
        }
        EXPECT_EQ(fa_frame_end(allocator), FA_OK);
        return had;
    }
    size_t Chunks() const { return source.Allocs(FA_SPAN_CHUNK) - source.Frees(FA_SPAN_CHUNK); }
};

} // namespace

TEST_F(ArenaTest, NothingIsTakenBeforeTheFirstAllocation) {
    Allocator allocator(config, source);
    EXPECT_EQ(Frame(allocator, 0, 0), 0u);
    EXPECT_EQ(source.Allocs(FA_SPAN_CHUNK), 0u);
    EXPECT_EQ(Frame(allocator, 1, 16), 1u);
    EXPECT_EQ(source.Allocs(FA_SPAN_CHUNK), 1u);
    EXPECT_EQ(Stats(allocator).bytes_held_by_kind[FA_SPAN_CHUNK], 4 * kKib);
    EXPECT_TRUE(events.all.empty());
}

TEST_F(ArenaTest, LeavingTheFirstChunkIsCountedOnceAFrame) {
    Allocator allocator(config, source);
    Frame(allocator, 30, 1000);
    fa_stats stats = Stats(allocator);
    EXPECT_EQ(stats.frame_overflow_count, 1u);
    EXPECT_EQ(stats.frame_overflow_size, 1000u);
    EXPECT_EQ(events.Count(FA_DIAG_FA006), 1u);
    EXPECT_EQ(events.Last(FA_DIAG_FA006).size, 1000u);
    EXPECT_EQ(events.Last(FA_DIAG_FA006).severity, FA_SEVERITY_NOTE);
    EXPECT_EQ(events.Last(FA_DIAG_FA006).limit, 4 * kKib);
    EXPECT_EQ(fa_last_error().status, FA_OK) << "nothing failed";
    EXPECT_GE(stats.frame_bytes_needed, 30 * 1008u);
    EXPECT_EQ(stats.frame_full_count + stats.frame_spill_count, 0u);
    if (kDebug) {
        ASSERT_NE(stats.frame_overflow_site.file, nullptr);
        EXPECT_NE(std::string(stats.frame_overflow_site.file).find("arena_test.cc"),
                  std::string::npos);
    } else {
        EXPECT_EQ(stats.frame_overflow_site.file, nullptr);
    }
}

TEST_F(ArenaTest, AHeapCallDoesNotTakeTheBlame) {
    Allocator allocator(config, source);
    void *block = fa_heap_alloc(allocator, 5000);
    block = fa_heap_realloc(allocator, block, 5001);
    EXPECT_EQ(fa_heap_alloc(allocator, 0), nullptr);
    const int line = __LINE__;
    Frame(allocator, 30, 1000);
    const fa_site site = Stats(allocator).frame_overflow_site;
    EXPECT_TRUE(site.file == nullptr || site.line < line - 20) << site.line;
    fa_heap_free(allocator, block);
}

TEST_F(ArenaTest, ASteadyStateIsOneChunkAndNoBackendCall) {
    Allocator allocator(config, source);
    for (int i = 0; i < 2; i++)
        Frame(allocator, 300, 1000);
    EXPECT_EQ(Chunks(), 1u);
    const uint64_t calls = source.Calls();
    for (int i = 0; i < 1000; i++) {
        Frame(allocator, 300 - i % 50, 1000);
        ASSERT_EQ(Chunks(), 1u);
    }
    EXPECT_EQ(source.Calls(), calls);
    EXPECT_EQ(Stats(allocator).frame_overflow_count, 1u);
    ExpectValid(allocator);
    ExpectIdentities(allocator);
}

TEST_F(ArenaTest, ChunksDoubleUpToTheLargest) {
    Allocator allocator(config, source);
    fa_frame_begin(allocator);
    size_t held = 0;
    std::vector<size_t> sizes;
    for (int i = 0; i < 3000; i++) {
        ASSERT_NE(fa_frame_alloc(allocator, 100), nullptr);
        const size_t now = Stats(allocator).bytes_held_by_kind[FA_SPAN_CHUNK];
        if (now != held)
            sizes.push_back(now - held);
        held = now;
    }
    ASSERT_GE(sizes.size(), 7u);
    for (size_t i = 0; i < sizes.size(); i++)
        EXPECT_EQ(sizes[i], i < 4 ? 4 * kKib << i : 64 * kKib) << i;
    fa_frame_end(allocator);
}

TEST_F(ArenaTest, ARequestLargerThanAChunkDoesNotCostTheRest) {
    Allocator allocator(config, source);
    fa_frame *frame = fa_frame_begin(allocator);
    auto *before = static_cast<char *>(fa_frame_alloc(allocator, 100));
    Paint(before, 1, 100);
    for (size_t size : {65 * kKib, kMib, 10 * kMib}) {
        void *large = fa_frame_alloc(allocator, size);
        ASSERT_NE(large, nullptr);
        Paint(large, 2, size);
        EXPECT_EQ(fa_intent_of(allocator, static_cast<char *>(large) + size - 1), FA_INTENT_FRAME);
    }
    auto *after = static_cast<char *>(fa_frame_alloc(allocator, 100));
    EXPECT_TRUE(after > before && after - before < 4096) << "the first chunk goes on";
    EXPECT_TRUE(IsPainted(before, 1, 100));
    EXPECT_GE(fa_frame_bytes_in(frame), 11 * kMib);
    ExpectValid(allocator);
    fa_frame_end(allocator);
    // As the very first request of a frame on a fresh arena.
    Allocator other(config, source);
    EXPECT_EQ(Frame(other, 1, 3 * kMib), 1u);
    EXPECT_EQ(Frame(other, 3, 100), 3u);
    ExpectValid(other);
}

TEST_F(ArenaTest, AtItsCapAFrameFailsAndStaysAsItIs) {
    config.frame_bytes_max = 64 * kKib;
    Allocator allocator(config, source);
    fa_frame *frame = fa_frame_begin(allocator);
    std::vector<void *> blocks;
    while (void *block = fa_frame_alloc(allocator, 1000)) {
        Paint(block, blocks.size(), 1000);
        blocks.push_back(block);
        ASSERT_LT(blocks.size(), 100u);
    }
    EXPECT_GE(blocks.size(), 40u);
    fa_error error = fa_last_error();
    EXPECT_EQ(error.status, FA_ERROR_LIMIT);
    EXPECT_EQ(error.diag, FA_DIAG_FA003);
    EXPECT_EQ(error.size, 1000u);
    EXPECT_EQ(events.Last(FA_DIAG_FA003).size, 1000u);
    EXPECT_EQ(events.Last(FA_DIAG_FA003).limit, 64 * kKib);
    EXPECT_EQ(events.Last(FA_DIAG_FA003).frame_index, 1u);
    EXPECT_EQ(events.Last(FA_DIAG_FA003).thread_index, 1u);
    const size_t bytes = fa_frame_bytes_in(frame);
    void *block = &error;
    EXPECT_EQ(fa_frame_try_alloc(allocator, 100000, 16, &block), FA_ERROR_LIMIT);
    EXPECT_EQ(block, nullptr);
    EXPECT_EQ(fa_frame_bytes_in(frame), bytes);
    for (size_t i = 0; i < blocks.size(); i++)
        ASSERT_TRUE(IsPainted(blocks[i], i, 1000));
    const fa_stats stats = Stats(allocator);
    EXPECT_EQ(stats.frame_full_count, 2u);
    EXPECT_EQ(stats.frame_overflow_size, 100000u);
    EXPECT_LE(stats.bytes_held_by_kind[FA_SPAN_CHUNK], 64 * kKib);
    ExpectValid(allocator);
    fa_frame_end(allocator);
    EXPECT_GE(Frame(allocator, 40, 1000), 40u) << "the next frame has it all again";
    EXPECT_LE(Stats(allocator).bytes_held_by_kind[FA_SPAN_CHUNK], 64 * kKib);
}

TEST_F(ArenaTest, TheCapIsOfEachThreadAndOfAllItsFramesInFlight) {
    config.frame_bytes_max = 64 * kKib;
    config.frames_in_flight = 4;
    Allocator allocator(config, source);
    size_t had = 0;
    for (int i = 0; i < 4; i++)
        had += Frame(allocator, 100, 1000);
    EXPECT_LE(had, 64u);
    EXPECT_GE(had, 40u);
    EXPECT_LE(Stats(allocator).bytes_held_by_kind[FA_SPAN_CHUNK], 64 * kKib);
    for (int i = 0; i < 40; i++) {
        Frame(allocator, i % 50, 1000);
        EXPECT_LE(Stats(allocator).bytes_held_by_kind[FA_SPAN_CHUNK], 64 * kKib);
        ExpectValid(allocator);
    }
    std::thread([&] { EXPECT_GE(Frame(allocator, 100, 1000), 40u); }).join();
}

TEST_F(ArenaTest, PastItsCapAFrameSpillsAndGivesThatBack) {
    config.frame_bytes_max = 64 * kKib;
    config.frame_full = FA_FRAME_FULL_SPILL;
    Allocator allocator(config, source);
    for (int turn = 0; turn < 3; turn++) {
        fa_frame_begin(allocator);
        std::vector<void *> blocks;
        for (int i = 0; i < 100; i++) {
            void *block = fa_frame_alloc_aligned(allocator, 1000, i % 7 ? 16 : 1024);
            ASSERT_NE(block, nullptr);
            Paint(block, i, 1000);
            blocks.push_back(block);
        }
        for (int i = 0; i < 100; i++) {
            ASSERT_TRUE(IsPainted(blocks[i], i, 1000));
            EXPECT_EQ(fa_intent_of(allocator, blocks[i]), FA_INTENT_FRAME);
        }
        ExpectValid(allocator);
        fa_frame_end(allocator);
        EXPECT_LE(Stats(allocator).bytes_held_by_kind[FA_SPAN_CHUNK], 64 * kKib) << turn;
    }
    const fa_stats stats = Stats(allocator);
    EXPECT_GE(stats.frame_spill_count, 3 * 36u);
    EXPECT_EQ(stats.frame_full_count, 0u);
    EXPECT_EQ(events.Count(FA_DIAG_FA007), stats.frame_spill_count);
    EXPECT_EQ(events.Last(FA_DIAG_FA007).limit, 64 * kKib);
    EXPECT_EQ(events.Last(FA_DIAG_FA007).severity, FA_SEVERITY_WARNING);
    EXPECT_EQ(fa_last_error().status, FA_OK);
    EXPECT_GE(stats.frame_bytes_needed, 100 * 1000u);
}

TEST_F(ArenaTest, WhatTheStatsNameWouldHaveBeenEnough) {
    const std::function<void(fa_allocator *)> run = [](fa_allocator *allocator) {
        for (size_t i = 0; i < 60; i++)
            Frame(allocator, 1 + i * 17 % 400, 16 + i * 131 % 3000);
        Frame(allocator, 1, 700 * kKib);
    };
    for (size_t cap : {size_t{0}, 128 * kKib}) {
        config = Plain();
        config.frame_chunk_bytes_first = 4 * kKib;
        config.frame_chunk_bytes_max = 64 * kKib;
        config.frame_bytes_max = cap;
        config.frame_full = FA_FRAME_FULL_SPILL;
        fa_alloc_config next;
        size_t needed = 0;
        {
            Allocator allocator(config, source);
            run(allocator);
            needed = Stats(allocator).frame_bytes_needed;
            EXPECT_GE(Stats(allocator).frame_overflow_count, 1u);
            ASSERT_EQ(fa_stats_suggest_config(allocator, &next), FA_OK);
        }
        EXPECT_GE(next.frame_chunk_bytes_first, needed);
        char message[256];
        ASSERT_EQ(fa_alloc_config_validate(&next, message, sizeof message), FA_OK) << message;
        for (int exact = 0; exact < 2; exact++) {
            if (exact != 0) {
                next.frame_chunk_bytes_first = needed;
                next.frame_chunk_bytes_max = needed;
            }
            Allocator allocator(next);
            run(allocator);
            const fa_stats stats = Stats(allocator);
            EXPECT_EQ(stats.frame_overflow_count, 0u);
            EXPECT_EQ(stats.frame_full_count, 0u);
            EXPECT_EQ(stats.frame_spill_count, 0u);
            EXPECT_EQ(stats.frame_bytes_needed, needed);
            EXPECT_LE(fa_allocator_config(allocator)->frame_chunk_bytes_first, needed + 4096);
        }
    }
}

TEST_F(ArenaTest, QuietFramesGiveMemoryBack) {
    config.frame_trim_after = 10;
    for (uint32_t in_flight : {1u, 3u}) {
        config.frames_in_flight = in_flight;
        Allocator allocator(config, source);
        for (uint32_t i = 0; i < 3 * in_flight; i++)
            Frame(allocator, 1000, 1000);
        const size_t busy = Stats(allocator).bytes_held_by_kind[FA_SPAN_CHUNK];
        EXPECT_GE(busy, in_flight * 1000 * 1000);
        // Frames that need more than a quarter keep it all.
        for (int i = 0; i < 100; i++)
            Frame(allocator, 700, 1000);
        EXPECT_EQ(Stats(allocator).bytes_held_by_kind[FA_SPAN_CHUNK], busy);
        for (uint32_t i = 0; i < 40 * in_flight; i++)
            Frame(allocator, 10, 1000);
        EXPECT_LE(Stats(allocator).bytes_held_by_kind[FA_SPAN_CHUNK], in_flight * 64 * kKib);
        // And then it is quiet.
        const uint64_t calls = source.Calls();
        for (int i = 0; i < 100; i++)
            Frame(allocator, 10, 1000);
        EXPECT_EQ(source.Calls(), calls);
        ExpectValid(allocator);
    }
    config.frame_trim_after = 0;
    config.frames_in_flight = 1;
    Allocator allocator(config, source);
    for (int i = 0; i < 3; i++)
        Frame(allocator, 1000, 1000);
    const uint64_t calls = source.Calls();
    for (int i = 0; i < 500; i++)
        Frame(allocator, 1, 16);
    EXPECT_EQ(source.Calls(), calls) << "0 means never";
}

TEST_F(ArenaTest, OutOfMemoryInTheMiddleOfAFrameLeavesEverythingAsItWas) {
    Allocator allocator(config, source);
    fa_frame *frame = fa_frame_begin(allocator);
    std::vector<void *> blocks;
    for (int i = 0; i < 20; i++) {
        blocks.push_back(fa_frame_alloc(allocator, 500));
        Paint(blocks.back(), i, 500);
    }
    source.Fail(1);
    const size_t bytes = fa_frame_bytes_in(frame);
    const uint64_t count = fa_frame_count_in(frame);
    const fa_backend_counts before = source.Counts();
    EXPECT_EQ(fa_frame_alloc(allocator, 300000), nullptr);
    EXPECT_EQ(fa_last_error().status, FA_ERROR_NO_MEMORY);
    EXPECT_EQ(fa_last_error().diag, FA_DIAG_FA701);
    EXPECT_EQ(fa_last_error().size, 300000u);
    EXPECT_EQ(fa_frame_alloc_aligned(allocator, 100, FA_ALIGN_MAX), nullptr);
    EXPECT_EQ(fa_frame_bytes_in(frame), bytes);
    EXPECT_EQ(fa_frame_count_in(frame), count);
    EXPECT_EQ(source.Counts().bytes_live, before.bytes_live);
    EXPECT_EQ(events.Count(FA_DIAG_FA701), 2u);
    ExpectValid(allocator);
    // The size that would be best is refused, one that is enough is not.
    source.Fail(1, false);
    EXPECT_NE(fa_frame_alloc(allocator, 9000), nullptr);
    source.Fail(0);
    EXPECT_NE(fa_frame_alloc(allocator, 300000), nullptr);
    for (size_t i = 0; i < blocks.size(); i++)
        EXPECT_TRUE(IsPainted(blocks[i], i, 500));
    fa_frame_end(allocator);
}

TEST_F(ArenaTest, FramesInFlightKeepTheirContents) {
    for (uint32_t in_flight = 1; in_flight <= FA_FRAMES_IN_FLIGHT_MAX; in_flight++) {
        config.frames_in_flight = in_flight;
        Allocator allocator(config, source);
        std::vector<std::vector<void *>> frames;
        for (size_t n = 0; n < 30; n++) {
            ASSERT_NE(fa_frame_begin(allocator), nullptr);
            frames.emplace_back();
            for (size_t i = 0; i < 10 + n * 7 % 40; i++) {
                frames[n].push_back(fa_frame_alloc(allocator, 300));
                Paint(frames[n].back(), n * 100 + i, 300);
            }
            fa_frame_end(allocator);
            // The last in_flight - 1 frames that have ended are still there.
            for (size_t back = 0; back + 1 < in_flight && back <= n; back++)
                for (size_t i = 0; i < frames[n - back].size(); i++)
                    ASSERT_TRUE(IsPainted(frames[n - back][i], (n - back) * 100 + i, 300))
                        << in_flight << " " << n << " " << back;
            ExpectValid(allocator);
        }
    }
}
