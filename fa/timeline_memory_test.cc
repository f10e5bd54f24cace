// Timelines: what the memory of kept frames costs, and where it goes.
#include "fa/testing_timelines.hpp"

using namespace fa_testing;

namespace {

using TimelineDeathTest = Timeline;

TEST_F(Timeline, NewArenasStartWithWhatTheOthersNeeded) {
    Create("gpu", UINT32_MAX);
    for (uint64_t i = 1; i <= 10; i++)
        (void)Frame(i, 300000);
    EXPECT_LE(events.Count(FA_DIAG_FA006), 1u);
    EXPECT_LE(Stats(allocator).bytes_held_by_kind[FA_SPAN_CHUNK], 10u * 500000u);
    EXPECT_EQ(fa_timeline_advance(gpu, 10), FA_OK);
}

TEST_F(Timeline, WhatASpikeLeftGoesBack) {
    config.frame_trim_after = 20;
    Create("gpu", UINT32_MAX);
    for (uint64_t i = 1; i <= 50; i++)
        (void)Frame(i, 50000);
    const size_t spike = Stats(allocator).bytes_held_by_kind[FA_SPAN_CHUNK];
    for (uint64_t i = 51; i <= 150; i++) {
        EXPECT_EQ(fa_timeline_advance(gpu, i - 3), FA_OK);
        (void)Frame(i, 50000);
    }
    EXPECT_LE(Kept(), 4u);
    EXPECT_LT(Stats(allocator).bytes_held_by_kind[FA_SPAN_CHUNK], spike / 8);
    EXPECT_EQ(fa_timeline_advance(gpu, 150), FA_OK);
}

TEST_F(Timeline, TrimGivesBackWhatIsDue) {
    Create();
    for (uint64_t i = 1; i <= 10; i++)
        (void)Frame(i, 50000);
    EXPECT_EQ(fa_timeline_advance(gpu, 4), FA_OK);
    EXPECT_GE(fa_allocator_trim(allocator), 4 * 50000u);
    EXPECT_EQ(Kept(), 6u);
    ExpectValid(allocator);
    EXPECT_EQ(fa_timeline_advance(gpu, 10), FA_OK);
    EXPECT_GE(fa_allocator_trim(allocator), 6 * 50000u);
    EXPECT_EQ(Kept(), 0u);
    EXPECT_EQ(Stats(allocator).bytes_held_by_kind[FA_SPAN_CHUNK], 0u);
}

TEST_F(Timeline, LimitsCountWhatIsKept) {
    config.frame_chunk_bytes_first = 64 << 10;
    config.frame_bytes_max = 1 << 20;
    Create("gpu", UINT32_MAX);
    uint64_t value = 0;
    while (fa_frame_begin(allocator) != nullptr && fa_frame_alloc(allocator, 50000) != nullptr)
        ASSERT_EQ(fa_frame_end_on(allocator, gpu, ++value), FA_OK);
    EXPECT_EQ(fa_last_error().diag, FA_DIAG_FA003);
    EXPECT_GE(value, 12u);
    EXPECT_EQ(fa_timeline_advance(gpu, 3), FA_OK);
    EXPECT_NE(fa_frame_alloc(allocator, 50000), nullptr) << "what is due goes back for it";
    EXPECT_EQ(fa_frame_end(allocator), FA_OK);
    EXPECT_EQ(Kept(), value - 3);
    EXPECT_EQ(fa_timeline_advance(gpu, value), FA_OK);
}

TEST_F(Timeline, MemoryThatIsDueIsGivenBackBeforeAnythingFails) {
    config.bytes_max = 4 << 20;
    config.frame_chunk_bytes_first = 4096;
    config.pool_segment_bytes = 1 << 20;
    Create("gpu", UINT32_MAX);
    uint64_t value = 0;
    while (fa_frame_begin(allocator) != nullptr && fa_frame_alloc(allocator, 200000) != nullptr)
        ASSERT_EQ(fa_frame_end_on(allocator, gpu, ++value), FA_OK);
    EXPECT_EQ(fa_frame_end(allocator), FA_OK);
    EXPECT_EQ(fa_heap_alloc(allocator, 1 << 20), nullptr);
    EXPECT_EQ(fa_timeline_advance(gpu, value), FA_OK);
    void *block = fa_heap_alloc(allocator, 1 << 20);
    EXPECT_NE(block, nullptr);
    fa_heap_free(allocator, block);
}

TEST_F(Timeline, PromotedBlocksAreKeptToo) {
    Create();
    fa_budget budget = {};
    budget.hard_bytes = 4096;
    budget.policy = FA_BUDGET_PROMOTE;
    ASSERT_EQ(fa_budget_set(allocator, FA_INTENT_FRAME, &budget), FA_OK);
    fa_frame *frame = fa_frame_begin(allocator);
    ASSERT_NE(fa_frame_alloc_in(frame, 4000), nullptr);
    char *block = static_cast<char *>(fa_frame_alloc_in(frame, 2000));
    ASSERT_EQ(fa_intent_of(allocator, block), FA_INTENT_POOL);
    Paint(block, 3, 2000);
    EXPECT_EQ(fa_frame_end_on_in(frame, gpu, 1), FA_OK);
    (void)Place();
    EXPECT_EQ(fa_intent_of(allocator, block), FA_INTENT_POOL);
    EXPECT_TRUE(IsPainted(block, 3, 2000));
    if (kCounted) {
        EXPECT_EQ(Stats(allocator).pool_live_count, 1u);
    }
    EXPECT_EQ(fa_timeline_advance(gpu, 1), FA_OK);
    (void)fa_allocator_trim(allocator);
    if (kCounted) {
        EXPECT_EQ(Stats(allocator).pool_live_count, 0u);
    }
}

TEST_F(Timeline, AddressesInKeptFramesAreFrameMemory) {
    Create();
    char *block = Frame(1);
    EXPECT_EQ(fa_intent_of(allocator, block + 999), FA_INTENT_FRAME);
    EXPECT_EQ(fa_intent_of(allocator, block + 4096), FA_INTENT_NONE);
    fa_free(allocator, block);
    EXPECT_EQ(events.Count(FA_DIAG_FA601), 1u);
    EXPECT_EQ(fa_timeline_advance(gpu, 1), FA_OK);
    (void)Place();
    EXPECT_EQ(fa_intent_of(allocator, block), FA_INTENT_NONE);
}

TEST_F(Timeline, DeadMemoryIsFilledAndPoisonedWhenItIsTakenAgain) {
    config.checks = FA_CHECK_ALL;
    Create();
    char *block = Frame(1, 64);
    (void)Frame(2, 64);
    EXPECT_TRUE(IsPainted(block, 1, 64)) << "readable until it is due, and after";
    EXPECT_EQ(fa_timeline_advance(gpu, 1), FA_OK);
    EXPECT_TRUE(IsPainted(block, 1, 64));
    ASSERT_NE(fa_frame_begin(allocator), nullptr);
    if (!kAsan) {
        EXPECT_TRUE(IsFilled(block, 0xCD, 64));
    } else {
        EXPECT_DEATH(std::printf("%d", *static_cast<volatile char *>(block)), "use-after-poison");
    }
    EXPECT_EQ(fa_frame_end(allocator), FA_OK);
    EXPECT_EQ(fa_timeline_advance(gpu, 2), FA_OK);
}

TEST_F(TimelineDeathTest, GuardsAreVerifiedWhenItIsTakenAgain) {
    config.checks = FA_CHECK_GUARD;
    Create();
    if (kAsan)
        GTEST_SKIP() << "the address sanitizer sees it first";
    testing::FLAGS_gtest_death_test_style = "threadsafe";
    char *block = Frame(1, 64);
    EXPECT_EQ(fa_timeline_advance(gpu, 1), FA_OK);
    EXPECT_DEATH(
        {
            block[64] = 1;
            (void)fa_frame_begin(allocator);
        },
        "FA604");
}

// ---- faults ----

// One life of two timelines; calls may fail. Returns whether none did.
bool Live(fa_allocator *allocator) {
    fa_timeline *gpu = nullptr, *audio = nullptr;
    bool fine = fa_timeline_create(allocator, nullptr, &gpu) == FA_OK &&
                fa_timeline_create(allocator, nullptr, &audio) == FA_OK;
    uint64_t reached = 0, value = 0;
    for (int i = 0; gpu != nullptr && audio != nullptr && i < 60; i++) {
        fa_frame *frame = fa_frame_begin(allocator);
        if (frame == nullptr)
            return false;
        for (int n = 0; n < 3; n++) {
            void *block = fa_frame_alloc_in(frame, 3000);
            fine &= block != nullptr;
            if (block != nullptr)
                Paint(block, 1, 3000);
        }
        const fa_timeline_point points[] = {{gpu, value + 1}, {audio, 1}};
        fa_status status = fa_frame_end_on_each_in(frame, points, i % 3 == 0 ? 2 : 1);
        if (status != FA_OK) {
            EXPECT_EQ(status, FA_ERROR_NO_MEMORY);
            fine = false;
            EXPECT_EQ(fa_frame_end_in(frame), FA_OK);
        } else {
            value++;
        }
        if (i > 30 && i % 2 == 0) {
            EXPECT_EQ(fa_timeline_advance(gpu, reached += 2 <= value - reached ? 2 : 0), FA_OK);
        }
        if (i == 45) {
            EXPECT_EQ(fa_timeline_advance(audio, 1), FA_OK);
        }
        ExpectValid(allocator);
    }
    if (gpu != nullptr) {
        EXPECT_EQ(fa_timeline_advance(gpu, value), FA_OK);
    }
    return fine;
}

TEST(TimelineFaults, NothingIsLostWhateverFails) {
    for (bool lasting : {false, true})
        for (uint64_t at = 1;; at++) {
            Source source;
            fa_alloc_config config = Plain(fa_alloc_config_minimal());
            config.backends[0] = source.backend;
            fa_allocator *allocator = nullptr;
            ASSERT_EQ(fa_allocator_create(&config, &allocator), FA_OK);
            source.Fail(at, lasting);
            bool fine = Live(allocator);
            bool met = fa_failing_calls(&source.failing, FA_FAILING_ALLOC) >= at;
            source.Fail(0);
            ExpectValid(allocator);
            EXPECT_EQ(fa_allocator_destroy(allocator), 0u);
            EXPECT_EQ(source.BytesLive(), 0u);
            if (!met) {
                EXPECT_TRUE(fine);
                break;
            }
        }
}

} // namespace
