// Frames that are kept: which memory is taken when, what goes back, who takes it over.
#include "fa/testing_timelines.hpp"

#include <algorithm>

using namespace fa_testing;

namespace {

class Park : public Timeline {
  protected:
    size_t ChunkBytes() const { return Stats(allocator).bytes_held_by_kind[FA_SPAN_CHUNK]; }
    // A frame of some bytes that ends on a value of a timeline.
    char *On(fa_timeline *timeline, uint64_t value, size_t size = 1000) {
        fa_frame *frame = fa_frame_begin(allocator);
        char *block = frame ? static_cast<char *>(fa_frame_alloc_in(frame, size)) : nullptr;
        EXPECT_NE(block, nullptr);
        if (block != nullptr)
            memset(block, 1, size);
        EXPECT_EQ(fa_frame_end_on_in(frame, timeline, value), FA_OK);
        return block;
    }
};

// One old frame whose counter stands still says nothing about the others.
TEST_F(Park, WhatASpikeLeftGoesBackThoughAnOlderFrameWaits) {
    config.frame_trim_after = 20;
    Create("gpu", UINT32_MAX);
    fa_timeline *stuck = Make("stuck", UINT32_MAX);
    (void)On(stuck, 1, 50000);
    for (uint64_t i = 1; i <= 50; i++)
        (void)Frame(i, 50000);
    const size_t spike = ChunkBytes();
    for (uint64_t i = 51; i <= 150; i++) {
        EXPECT_EQ(fa_timeline_advance(gpu, i - 3), FA_OK);
        (void)Frame(i, 50000);
    }
    EXPECT_LE(Kept(), 5u);
    EXPECT_LT(ChunkBytes(), spike / 7);
    EXPECT_EQ(Numbers(stuck).kept_count, 1u);
    EXPECT_EQ(fa_timeline_advance(gpu, 150), FA_OK);
    EXPECT_EQ(fa_timeline_advance(stuck, 1), FA_OK);
}

// As many as were needed stay: nothing is given back that must be taken anew.
TEST_F(Park, WhatIsNeededNowAndThenStays) {
    config.frame_trim_after = 10;
    Create("gpu", UINT32_MAX);
    uint64_t calls = 0;
    for (uint64_t i = 1; i <= 400; i++) {
        (void)Frame(i, 50000);
        if (i % 5 == 0) { // the device catches up with five frames at once
            EXPECT_EQ(fa_timeline_advance(gpu, i - 1), FA_OK);
        }
        if (i == 100)
            calls = source.Calls();
    }
    EXPECT_EQ(source.Calls(), calls);
    EXPECT_EQ(fa_timeline_advance(gpu, 400), FA_OK);
}

TEST_F(Park, TheRecordsOfASpikeServeTheNext) {
    Create("gpu", UINT32_MAX);
    uint64_t value = 0;
    size_t records = 0;
    for (int spike = 0; spike < 5; spike++) {
        for (int i = 0; i < 100; i++)
            (void)Frame(++value);
        EXPECT_EQ(Kept(), 100u);
        const size_t meta = Stats(allocator).bytes_held_by_kind[FA_SPAN_META];
        if (spike == 0)
            records = meta;
        EXPECT_EQ(meta, records) << spike;
        EXPECT_EQ(fa_timeline_advance(gpu, value), FA_OK);
        EXPECT_GT(fa_allocator_trim(allocator), 100000u);
        EXPECT_EQ(Kept(), 0u);
    }
}

TEST_F(Park, ACleanUpMayEndTheWaitOfItsOwnFrame) {
    Create();
    fa_frame *frame = fa_frame_begin(allocator);
    char *block = static_cast<char *>(fa_frame_alloc_in(frame, 100));
    auto advance = [](void *timeline) {
        EXPECT_EQ(fa_timeline_advance(static_cast<fa_timeline *>(timeline), 1), FA_OK);
    };
    ASSERT_EQ(fa_frame_defer_in(frame, advance, gpu), FA_OK);
    EXPECT_EQ(fa_frame_end_on_in(frame, gpu, 1), FA_OK);
    EXPECT_EQ(Kept(), 1u);
    EXPECT_EQ(Place(), block);
}

// What a thread leaves counts against the limits of the next one that takes it over, and serves it.
TEST_F(Park, TheNextThreadTakesMemoryAndLimitsOver) {
    config.frame_chunk_bytes_first = 64 << 10;
    config.frame_bytes_max = 1 << 20;
    Create("gpu", UINT32_MAX);
    std::vector<char *> blocks;
    OnThread([&] {
        for (uint64_t i = 1; i <= 10; i++)
            blocks.push_back(Frame(i, 50000));
    });
    EXPECT_EQ(Kept(), 10u);
    OnThread([&] {
        size_t count = 0;
        ASSERT_NE(fa_frame_begin(allocator), nullptr);
        while (fa_frame_alloc(allocator, 50000) != nullptr)
            count++;
        EXPECT_LE(count, 10u) << "the rest of its limit";
        EXPECT_EQ(fa_last_error().diag, FA_DIAG_FA003);
        ASSERT_EQ(fa_frame_end(allocator), FA_OK);
        for (uint64_t i = 1; i <= 10; i++)
            EXPECT_TRUE(IsPainted(blocks[i - 1], i, 50000)) << i;
        EXPECT_EQ(fa_timeline_advance(gpu, 10), FA_OK);
        ASSERT_EQ(fa_thread_detach(allocator), FA_OK);
        // A state without memory of its own takes what is due, the oldest first.
        EXPECT_EQ(Frame(11, 16), blocks[0]);
        EXPECT_EQ(Frame(12, 16), blocks[1]);
        EXPECT_EQ(fa_timeline_advance(gpu, 12), FA_OK);
    });
}

// A frame that is kept for a timeline is kept as long as frames_in_flight says, too; detaching ends
// that, and leaves only the timeline.
TEST_F(Park, FramesInFlightHoldForKeptFrames) {
    for (uint32_t in_flight = 1; in_flight <= FA_FRAMES_IN_FLIGHT_MAX; in_flight++) {
        config.frames_in_flight = in_flight;
        Create("gpu", UINT32_MAX);
        char *block = Frame(1);
        EXPECT_EQ(fa_timeline_advance(gpu, 1000), FA_OK);
        uint32_t frames = 1;
        while (Frame(1) != block && frames < 100)
            frames++;
        EXPECT_EQ(frames, in_flight);
        EXPECT_EQ(fa_allocator_destroy(allocator), 0u);
        EXPECT_EQ(source.BytesLive(), 0u);
    }
    allocator = nullptr;
}

// Threads that come and go, frames in flight, plain frames and kept ones, trims by anybody, in
// every check: contents stay until they may go; what the stats say is what a model says.
TEST_F(Park, AModelOfThreadsThatHandStatesOn) {
    Random random;
    for (uint32_t checks : {0u, static_cast<uint32_t>(FA_CHECK_ALL)})
        for (uint32_t in_flight : {1u, 3u}) {
            config.checks = checks;
            config.frames_in_flight = in_flight;
            config.frame_trim_after = 6;
            config.frame_chunk_bytes_first = 4096;
            Create("gpu", UINT32_MAX);
            fa_timeline *lines[2] = {gpu, Make("audio", UINT32_MAX)};
            uint64_t reached[2] = {}, next[2] = {};
            struct Live {
                char *block;
                size_t size;
                uint64_t mark, value[2];
            };
            std::vector<Live> live;
            auto drop = [&] {
                live.erase(std::remove_if(live.begin(), live.end(),
                                          [&](const Live &one) {
                                              return one.value[0] <= reached[0] &&
                                                     one.value[1] <= reached[1];
                                          }),
                           live.end());
            };
            uint64_t mark = 0;
            auto frame = [&] {
                fa_frame *open = fa_frame_begin(allocator);
                ASSERT_NE(open, nullptr);
                Live one = {nullptr, 16 + random.Below(random.OneIn(8) ? 30000 : 500), ++mark, {}};
                one.block = static_cast<char *>(fa_frame_alloc_in(open, one.size));
                ASSERT_NE(one.block, nullptr);
                Paint(one.block, one.mark, one.size);
                std::vector<fa_timeline_point> points;
                for (size_t n = 0; n < 2; n++)
                    if (random.OneIn(2))
                        points.push_back({lines[n], one.value[n] = ++next[n]});
                if (points.empty()) {
                    ASSERT_EQ(fa_frame_end_in(open), FA_OK);
                    return;
                }
                ASSERT_EQ(fa_frame_end_on_each_in(open, points.data(), points.size()), FA_OK);
                live.push_back(one);
            };
            for (size_t i = 0; i < Rounds(300); i++) {
                const size_t frames = random.Below(6);
                auto life = [&] {
                    for (size_t n = 0; n < frames; n++)
                        frame();
                    if (random.OneIn(4))
                        (void)fa_allocator_trim(allocator);
                };
                if (random.OneIn(3))
                    OnThread(life);
                else
                    life();
                if (random.OneIn(10))
                    (void)fa_thread_detach(allocator);
                for (const Live &one : live)
                    ASSERT_TRUE(IsPainted(one.block, one.mark, one.size)) << i;
                ASSERT_GE(Kept(), live.size());
                const size_t n = random.Below(2);
                reached[n] += random.Below(static_cast<size_t>(next[n] - reached[n]) + 1);
                ASSERT_EQ(fa_timeline_advance(lines[n], reached[n]), FA_OK);
                drop();
                ExpectValid(allocator);
                // Whoever kept it, all that is due goes with one trim, but for frames in flight.
                if (in_flight == 1 && random.OneIn(4)) {
                    (void)fa_allocator_trim(allocator);
                    ASSERT_EQ(Kept(), live.size()) << i;
                }
            }
            EXPECT_EQ(fa_allocator_destroy(allocator), 0u);
            EXPECT_EQ(source.BytesLive(), 0u);
            allocator = nullptr;
        }
}

} // namespace
