// Timelines: frames that are kept until a counter has come far enough.
#include "fa/testing_timelines.hpp"

using namespace fa_testing;

namespace {

// ---- what is promised ----

TEST_F(Timeline, MemoryStaysUntilTheValueIsReached) {
    Create();
    char *first = Frame(1), *second = Frame(2), *third = Frame(3);
    EXPECT_TRUE(first != second && second != third && first != third);
    EXPECT_TRUE(IsPainted(first, 1, 1000) && IsPainted(second, 2, 1000));
    EXPECT_EQ(Kept(), 3u);
    EXPECT_GE(Stats(allocator).frame_kept_bytes, 3000u);
    EXPECT_EQ(fa_timeline_advance(gpu, 1), FA_OK);
    EXPECT_TRUE(IsPainted(first, 1, 1000)) << "nobody took it again yet";
    EXPECT_EQ(Frame(4), first) << "the oldest that is due";
    EXPECT_TRUE(IsPainted(second, 2, 1000) && IsPainted(third, 3, 1000));
    EXPECT_EQ(fa_timeline_advance(gpu, 4), FA_OK);
    EXPECT_EQ(Frame(5), second);
    EXPECT_EQ(Frame(6), third);
    EXPECT_EQ(Frame(7), first);
    const fa_timeline_stats numbers = Numbers(gpu);
    EXPECT_EQ(numbers.value, 4u);
    EXPECT_EQ(numbers.value_awaited, 7u);
    EXPECT_EQ(numbers.kept_count, 3u);
    EXPECT_EQ(numbers.frame_count, 7u);
    EXPECT_EQ(numbers.late_count, 0u);
    EXPECT_EQ(fa_timeline_advance(gpu, 7), FA_OK);
}

TEST_F(Timeline, HoldsMoreFramesThanMayBeInFlight) {
    Create("gpu", UINT32_MAX);
    std::vector<char *> blocks;
    for (uint64_t i = 1; i <= 100; i++)
        blocks.push_back(Frame(i));
    EXPECT_EQ(Kept(), 100u);
    ExpectValid(allocator);
    for (uint64_t i = 1; i <= 100; i++)
        EXPECT_TRUE(IsPainted(blocks[i - 1], i, 1000)) << i;
    EXPECT_EQ(fa_timeline_advance(gpu, 100), FA_OK);
    EXPECT_EQ(Place(), blocks[0]);
}

TEST_F(Timeline, ASteadyStateNeedsNoBackend) {
    for (uint32_t checks : {0u, static_cast<uint32_t>(FA_CHECK_ALL)}) {
        config.checks = checks;
        Create();
        for (uint64_t i = 1; i <= 40; i++) {
            (void)Frame(i, 100000);
            if (i > 3) {
                EXPECT_EQ(fa_timeline_advance(gpu, i - 3), FA_OK);
            }
        }
        const uint64_t calls = source.Calls();
        const size_t held = Stats(allocator).bytes_held;
        for (uint64_t i = 41; i <= 300; i++) {
            (void)Frame(i, 100000);
            EXPECT_EQ(fa_timeline_advance(gpu, i - 3), FA_OK);
        }
        EXPECT_EQ(source.Calls(), calls);
        EXPECT_EQ(Stats(allocator).bytes_held, held);
        EXPECT_EQ(Kept(), 4u);
        EXPECT_EQ(fa_timeline_advance(gpu, 300), FA_OK);
        if (checks == 0) {
            EXPECT_EQ(fa_allocator_destroy(allocator), 0u);
        }
    }
}

TEST_F(Timeline, WorksSealedOnceAllIsThere) {
    Create();
    for (uint64_t i = 1; i <= 20; i++) {
        (void)Frame(i);
        if (i > 2) {
            EXPECT_EQ(fa_timeline_advance(gpu, i - 2), FA_OK);
        }
    }
    fa_backend_seal(allocator);
    for (uint64_t i = 21; i <= 200; i++) {
        (void)Frame(i);
        EXPECT_EQ(fa_timeline_advance(gpu, i - 2), FA_OK);
    }
    EXPECT_EQ(fa_allocator_trim(allocator), 0u);
    // The GPU falls behind: there is no memory for more.
    fa_frame *frame = fa_frame_begin(allocator);
    while (frame != nullptr && fa_frame_alloc_in(frame, 1000) != nullptr) {
        ASSERT_EQ(fa_frame_end_on_in(frame, gpu, 1000), FA_OK);
        frame = fa_frame_begin(allocator);
    }
    EXPECT_EQ(fa_last_error().status, FA_ERROR_SEALED);
    EXPECT_EQ(fa_timeline_advance(gpu, 1000), FA_OK);
    EXPECT_EQ(fa_frame_end(allocator), FA_OK);
    EXPECT_NE(Place(), nullptr);
}

TEST_F(Timeline, WhereThereIsNoMemoryForARecordTheFrameStaysOpen) {
    Create();
    fa_frame *frame = fa_frame_begin(allocator);
    void *block = fa_frame_alloc_in(frame, 100);
    int cleanups = 0;
    auto count = [](void *argument) { ++*static_cast<int *>(argument); };
    ASSERT_EQ(fa_frame_defer_in(frame, count, &cleanups), FA_OK);
    source.Fail(1);
    EXPECT_EQ(fa_frame_end_on_in(frame, gpu, 1), FA_ERROR_NO_MEMORY);
    EXPECT_EQ(fa_frame_current(allocator), frame);
    EXPECT_EQ(cleanups, 0);
    EXPECT_EQ(fa_intent_of(allocator, block), FA_INTENT_FRAME);
    EXPECT_EQ(Numbers(gpu).kept_count, 0u);
    source.Fail(0);
    EXPECT_EQ(fa_frame_end_on_in(frame, gpu, 1), FA_OK);
    EXPECT_EQ(cleanups, 1);
    EXPECT_EQ(Kept(), 1u);
    EXPECT_EQ(fa_timeline_advance(gpu, 1), FA_OK);
}

TEST_F(Timeline, SeveralPointsAreAllWaitedFor) {
    Create();
    fa_timeline *audio = Make("audio");
    char *block = nullptr;
    fa_frame *frame = fa_frame_begin(allocator);
    block = static_cast<char *>(fa_frame_alloc_in(frame, 64));
    const fa_timeline_point points[] = {{gpu, 5}, {audio, 7}};
    EXPECT_EQ(fa_frame_end_on_each(allocator, points, 2), FA_OK);
    EXPECT_NE(Place(), block);
    EXPECT_EQ(fa_timeline_advance(gpu, 5), FA_OK);
    EXPECT_NE(Place(), block);
    EXPECT_EQ(Numbers(audio).kept_count, 1u);
    EXPECT_EQ(fa_timeline_advance(audio, 7), FA_OK);
    char *place = Frame(6, 16); // takes the empty arena's place
    EXPECT_NE(place, block) << "a frame without a timeline left the arena with memory";
    EXPECT_EQ(Frame(6, 16), block);
    EXPECT_EQ(Numbers(audio).kept_count, 0u);
    EXPECT_EQ(fa_timeline_advance(gpu, 6), FA_OK);
}

TEST_F(Timeline, WhatComesDueOutOfOrderIsTakenFirst) {
    Create();
    fa_timeline *fast = Make("fast");
    char *slow_block = Frame(100);
    fa_frame *frame = fa_frame_begin(allocator);
    void *fast_block = fa_frame_alloc_in(frame, 64);
    EXPECT_EQ(fa_frame_end_on(allocator, fast, 1), FA_OK);
    EXPECT_EQ(fa_timeline_advance(fast, 1), FA_OK);
    EXPECT_EQ(Place(), fast_block);
    EXPECT_EQ(Numbers(fast).kept_count, 0u);
    EXPECT_TRUE(IsPainted(slow_block, 100, 1000));
    EXPECT_EQ(fa_timeline_advance(gpu, 100), FA_OK);
}

TEST_F(Timeline, AFrameWithoutMemoryIsNotKept) {
    Create();
    ASSERT_NE(fa_frame_begin(allocator), nullptr);
    EXPECT_EQ(fa_frame_end_on(allocator, gpu, 9), FA_OK);
    EXPECT_EQ(Kept(), 0u);
    EXPECT_EQ(Numbers(gpu).kept_count, 0u);
}

TEST_F(Timeline, MixesWithFramesInFlight) {
    config.frames_in_flight = 3;
    Create();
    Random random;
    struct Live {
        char *block;
        uint64_t mark, frame, value;
    };
    std::vector<Live> live;
    uint64_t reached = 0, next = 0;
    for (uint64_t i = 0; i < 2000; i++) {
        for (size_t n = 0; n < live.size();) // what may be gone when frame i begins
            if (live[n].frame + 3 <= i && live[n].value <= reached)
                live.erase(live.begin() + static_cast<ptrdiff_t>(n));
            else
                n++;
        fa_frame *frame = fa_frame_begin(allocator);
        ASSERT_NE(frame, nullptr);
        for (const Live &one : live)
            ASSERT_TRUE(IsPainted(one.block, one.mark, 500)) << i;
        size_t size = random.OneIn(20) ? 200000 : 500;
        char *block = static_cast<char *>(fa_frame_alloc_in(frame, size));
        ASSERT_NE(block, nullptr);
        Paint(block, i, 500);
        bool on = random.OneIn(2);
        live.push_back(Live{block, i, i, on ? ++next : 0});
        ASSERT_EQ(on ? fa_frame_end_on_in(frame, gpu, next) : fa_frame_end_in(frame), FA_OK);
        if (random.OneIn(2) && next - reached > random.Below(6)) {
            ASSERT_EQ(fa_timeline_advance(gpu, ++reached), FA_OK);
        }
        if (i % 100 == 0)
            ExpectValid(allocator);
    }
    EXPECT_EQ(fa_timeline_advance(gpu, next), FA_OK);
}

TEST_F(Timeline, AModelOfManyTimelinesInEveryCheck) {
    Random random;
    for (uint32_t checks : AllChecks()) {
        config.checks = checks;
        config.frame_trim_after = 8;
        config.frame_chunk_bytes_first = 4096;
        Create();
        fa_timeline *lines[3] = {gpu, Make("audio"), Make("jobs")};
        uint64_t next[3] = {}, reached[3] = {};
        struct Live {
            char *block;
            size_t size;
            uint64_t mark;
            std::vector<fa_timeline_point> points;
        };
        std::vector<Live> live;
        auto due = [&](const Live &one) {
            for (const fa_timeline_point &point : one.points)
                for (size_t n = 0; n < 3; n++)
                    if (lines[n] == point.timeline && reached[n] < point.value)
                        return false;
            return true;
        };
        for (uint64_t i = 1; i < Rounds(800); i++) {
            for (size_t n = 0; n < live.size();)
                if (due(live[n]))
                    live.erase(live.begin() + static_cast<ptrdiff_t>(n));
                else
                    n++;
            fa_frame *frame = fa_frame_begin(allocator);
            ASSERT_NE(frame, nullptr);
            size_t size = 16 + random.Below(random.OneIn(10) ? 50000 : 900);
            char *block = static_cast<char *>(fa_frame_alloc_in(frame, size));
            ASSERT_NE(block, nullptr);
            Paint(block, i, size);
            std::vector<fa_timeline_point> points;
            for (size_t n = 0; n < 3; n++)
                if (random.OneIn(2))
                    points.push_back({lines[n], ++next[n]});
            if (points.empty()) {
                ASSERT_EQ(fa_frame_end_in(frame), FA_OK);
            } else {
                ASSERT_EQ(fa_frame_end_on_each_in(frame, points.data(), points.size()), FA_OK);
            }
            if (!points.empty())
                live.push_back(Live{block, size, i, points});
            for (const Live &one : live)
                ASSERT_TRUE(IsPainted(one.block, one.mark, one.size));
            size_t n = random.Below(3);
            if (reached[n] < next[n]) {
                ASSERT_EQ(fa_timeline_advance(lines[n],
                                              reached[n] += 1 + random.Below(static_cast<size_t>(
                                                                    next[n] - reached[n]))),
                          FA_OK);
            }
            if (random.OneIn(50))
                (void)fa_allocator_trim(allocator);
            ExpectValid(allocator);
        }
        ExpectIdentities(allocator);
        EXPECT_EQ(fa_allocator_destroy(allocator), 0u);
        EXPECT_EQ(source.BytesLive(), 0u);
    }
    allocator = nullptr;
}

TEST_F(Timeline, PlainFramesTakeTheFastPathAgainOnceNothingIsKept) {
    Create();
    (void)Frame(1);
    EXPECT_EQ(fa_timeline_advance(gpu, 1), FA_OK);
    char *place = Place();
    EXPECT_EQ(Kept(), 0u);
    for (int i = 0; i < 10; i++)
        EXPECT_EQ(Place(), place);
}

// ---- what is said ----

TEST_F(Timeline, AFrameThatIsKeptTooLongIsReportedOnceWithTheName) {
    Create("swap chain", 5);
    (void)Frame(1, 5000);
    for (uint64_t i = 0; i < 5; i++) {
        (void)Place();
        EXPECT_EQ(events.Count(FA_DIAG_FA013), 0u) << i;
    }
    (void)Place();
    ASSERT_EQ(events.Count(FA_DIAG_FA013), 1u);
    const fa_event event = events.Last(FA_DIAG_FA013);
    EXPECT_EQ(event.address, gpu);
    EXPECT_STREQ(event.name, "swap chain");
    EXPECT_GE(event.size, 5000u);
    EXPECT_EQ(event.limit, 5u);
    for (int i = 0; i < 50; i++)
        (void)Place();
    EXPECT_EQ(events.Count(FA_DIAG_FA013), 1u);
    EXPECT_EQ(Numbers(gpu).late_count, 1u);
    EXPECT_EQ(fa_timeline_advance(gpu, 1), FA_OK);
}

TEST_F(Timeline, TheReportNamesTheCounterThatStandsStill) {
    Create("gpu", 3);
    fa_timeline *audio = Make("audio", 3);
    ASSERT_NE(fa_frame_begin(allocator), nullptr);
    ASSERT_NE(fa_frame_alloc(allocator, 100), nullptr);
    const fa_timeline_point points[] = {{gpu, 1}, {audio, 1}};
    ASSERT_EQ(fa_frame_end_on_each(allocator, points, 2), FA_OK);
    EXPECT_EQ(fa_timeline_advance(gpu, 1), FA_OK);
    for (int i = 0; i < 20; i++)
        (void)Place();
    EXPECT_EQ(events.Count(FA_DIAG_FA013), 1u);
    EXPECT_STREQ(events.Last(FA_DIAG_FA013).name, "audio");
    EXPECT_EQ(fa_timeline_advance(audio, 1), FA_OK);
}

TEST_F(Timeline, AdvancingBackwardsIsRefused) {
    Create();
    EXPECT_EQ(fa_timeline_advance(gpu, 5), FA_OK);
    EXPECT_EQ(fa_timeline_advance(gpu, 5), FA_OK);
    EXPECT_EQ(fa_timeline_advance(gpu, 4), FA_ERROR_STATE);
    EXPECT_EQ(fa_last_error().diag, FA_DIAG_FA014);
    EXPECT_STREQ(events.Last(FA_DIAG_FA014).name, "gpu");
    EXPECT_EQ(fa_timeline_value(gpu), 5u);
    EXPECT_EQ(fa_timeline_advance(gpu, UINT64_MAX), FA_OK);
}

TEST_F(Timeline, DestroyedWhileFramesWaitIsRefused) {
    Create();
    (void)Frame(2);
    EXPECT_EQ(fa_timeline_destroy(gpu), FA_ERROR_STATE);
    EXPECT_EQ(fa_last_error().diag, FA_DIAG_FA015);
    EXPECT_STREQ(events.Last(FA_DIAG_FA015).name, "gpu");
    EXPECT_EQ(fa_timeline_advance(gpu, 2), FA_OK);
    EXPECT_EQ(fa_timeline_destroy(gpu), FA_OK) << "due, though nobody took it again";
    EXPECT_EQ(Kept(), 1u);
    ExpectValid(allocator);
    (void)Place();
    EXPECT_EQ(Kept(), 0u);
    EXPECT_EQ(Stats(allocator).heap_live_count, 0u);
}

TEST_F(Timeline, TheEndOfTheAllocatorReportsFramesThatWait) {
    Create();
    (void)Frame(1);
    Make("other");
    EXPECT_EQ(fa_allocator_destroy(allocator), 0u);
    EXPECT_EQ(events.Count(FA_DIAG_FA015), 1u);
    EXPECT_EQ(events.Count(FA_DIAG_FA605), 0u);
    EXPECT_EQ(source.BytesLive(), 0u);
    allocator = nullptr;
}

TEST_F(Timeline, Misuse) {
    Create();
    EXPECT_EQ(fa_frame_end_on(allocator, gpu, 1), FA_ERROR_NO_FRAME);
    fa_frame *frame = fa_frame_begin(allocator);
    ASSERT_NE(fa_frame_alloc_in(frame, 16), nullptr);
    EXPECT_EQ(fa_frame_end_on_in(frame, nullptr, 1), FA_ERROR_INVALID);
    fa_timeline_point points[FA_TIMELINE_POINT_COUNT_MAX + 1];
    for (fa_timeline_point &point : points)
        point = {gpu, 1};
    EXPECT_EQ(fa_frame_end_on_each_in(frame, points, 0), FA_ERROR_INVALID);
    EXPECT_EQ(fa_frame_end_on_each_in(frame, points, FA_TIMELINE_POINT_COUNT_MAX + 1),
              FA_ERROR_INVALID);
    fa_allocator *other = nullptr;
    ASSERT_EQ(fa_allocator_create(nullptr, &other), FA_OK);
    fa_timeline *foreign = nullptr;
    ASSERT_EQ(fa_timeline_create(other, nullptr, &foreign), FA_OK);
    EXPECT_EQ(fa_frame_end_on_in(frame, foreign, 1), FA_ERROR_INVALID);
    EXPECT_EQ(fa_allocator_destroy(other), 0u);
    OnThread([&] { EXPECT_EQ(fa_frame_end_on_in(frame, gpu, 1), FA_ERROR_FOREIGN); });
    EXPECT_EQ(fa_last_error().status, FA_ERROR_INVALID);
    EXPECT_EQ(fa_frame_current(allocator), frame);
    auto end = [](void *argument) {
        auto *test = static_cast<Timeline *>(argument);
        EXPECT_EQ(fa_frame_end_on(test->allocator, test->gpu, 1), FA_ERROR_FRAME_OPEN);
    };
    ASSERT_EQ(fa_frame_defer_in(frame, end, this), FA_OK);
    EXPECT_EQ(fa_frame_end_on_in(frame, gpu, 1), FA_OK);
    EXPECT_EQ(events.Count(FA_DIAG_FA009), 1u);
    EXPECT_EQ(Numbers(gpu).kept_count, 1u);
    EXPECT_EQ(fa_timeline_advance(gpu, 1), FA_OK);
}

// ---- counters elsewhere ----

TEST_F(Timeline, ReadsAWordInMemory) {
    Create();
    uint64_t fence = 3;
    fa_timeline_config of = {};
    of.name = "fence";
    of.word = &fence;
    of.late_after = UINT32_MAX;
    fa_timeline *timeline = nullptr;
    ASSERT_EQ(fa_timeline_create(allocator, &of, &timeline), FA_OK);
    EXPECT_EQ(fa_timeline_value(timeline), 3u);
    EXPECT_EQ(fa_timeline_advance(timeline, 4), FA_ERROR_UNSUPPORTED);
    ASSERT_NE(fa_frame_begin(allocator), nullptr);
    void *block = fa_frame_alloc(allocator, 16);
    ASSERT_EQ(fa_frame_end_on(allocator, timeline, 4), FA_OK);
    EXPECT_EQ(fa_timeline_destroy(timeline), FA_ERROR_STATE);
    __atomic_store_n(&fence, 4, __ATOMIC_RELEASE);
    EXPECT_EQ(Place(), block);
    // It starts again, as after a lost device: said once, and what it says now is what counts.
    ASSERT_NE(fa_frame_begin(allocator), nullptr);
    ASSERT_EQ(fa_frame_alloc(allocator, 16), block);
    ASSERT_EQ(fa_frame_end_on(allocator, timeline, 2), FA_OK);
    __atomic_store_n(&fence, 1, __ATOMIC_RELEASE);
    events.all.clear();
    for (int i = 0; i < 5; i++)
        EXPECT_NE(Place(), block);
    EXPECT_EQ(events.Count(FA_DIAG_FA014), 1u);
    EXPECT_STREQ(events.Last(FA_DIAG_FA014).name, "fence");
    __atomic_store_n(&fence, 4, __ATOMIC_RELEASE);
    EXPECT_EQ(fa_timeline_value(timeline), 4u);
    EXPECT_EQ(fa_timeline_destroy(timeline), FA_OK);
    fence = 0; // not read any more
    (void)fa_allocator_trim(allocator);
    EXPECT_EQ(Kept(), 0u);
}

TEST_F(Timeline, AsksAFunction) {
    Create();
    struct Device {
        uint64_t finished = 0;
        int calls = 0;
        fa_allocator *allocator = nullptr;
    } device;
    device.allocator = allocator;
    fa_timeline_config of = {};
    of.read = [](void *user) {
        auto *at = static_cast<Device *>(user);
        at->calls++;
        EXPECT_EQ(fa_frame_begin(at->allocator), nullptr); // inside of a begin
        fa_free(at->allocator, fa_heap_alloc(at->allocator, 100));
        (void)fa_allocator_trim(at->allocator);
        return at->finished;
    };
    of.user = &device;
    fa_timeline *timeline = nullptr;
    ASSERT_EQ(fa_timeline_create(allocator, &of, &timeline), FA_OK);
    ASSERT_NE(fa_frame_begin(allocator), nullptr);
    void *block = fa_frame_alloc(allocator, 16);
    ASSERT_EQ(fa_frame_end_on(allocator, timeline, 1), FA_OK);
    EXPECT_EQ(device.calls, 0);
    EXPECT_NE(Place(), block);
    EXPECT_GE(device.calls, 1);
    device.finished = 1;
    EXPECT_EQ(Frame(1, 16) == block, false);
    EXPECT_EQ(Place(), block);
    EXPECT_EQ(fa_timeline_advance(gpu, 1), FA_OK);
    of.read = [](void *) { return uint64_t{7}; };
    fa_timeline *always = nullptr;
    ASSERT_EQ(fa_timeline_create(allocator, &of, &always), FA_OK);
    EXPECT_EQ(fa_timeline_value(always), 7u);
}

} // namespace
