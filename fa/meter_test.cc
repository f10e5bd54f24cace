// What a thread is charged for frame memory: how much in advance, and when that goes back.
#include "fa/testing_budgets.hpp"

using namespace fa_testing;

namespace {

class Meter : public testing::Test {
  protected:
    Tracked allocator_{Config()};

    void SetUp() override {
        if (kAsan)
            GTEST_SKIP() << "blocks have other sizes";
    }
    fa_frame *Begin(const fa_budget &budget) {
        EXPECT_EQ(fa_budget_set(allocator_, FA_INTENT_FRAME, &budget), FA_OK);
        return fa_frame_begin(allocator_);
    }
    size_t FrameUsed(fa_tag tag = FA_TAG_ROOT) { return Used(allocator_, FA_INTENT_FRAME, tag); }
};

} // namespace

TEST_F(Meter, GrantsASixteenthOfWhatIsLeft) {
    struct {
        size_t soft, hard, granted;
    } const cases[] = {
        {0, 1 << 20, 16 << 10}, {0, 64 << 10, 4 << 10}, {0, 5000, 304},     {0, 200, 16},
        {64 << 10, 0, 4 << 10}, {1600, 1 << 20, 96},    {1 << 20, 800, 48}, {16, 0, 16},
    };
    for (const auto &each : cases)
        for (fa_budget_policy policy : {FA_BUDGET_FAIL, FA_BUDGET_WARN, FA_BUDGET_PROMOTE}) {
            fa_budget budget = Hard(each.hard, policy);
            budget.soft_bytes = each.soft;
            fa_frame *frame = Begin(budget);
            EXPECT_EQ(FrameUsed(), 0u);
            EXPECT_NE(fa_frame_alloc_in(frame, 16), nullptr);
            EXPECT_EQ(FrameUsed(), each.granted) << each.soft << " " << each.hard;
            EXPECT_EQ(static_cast<size_t>(frame->limit - frame->cursor), each.granted - 16)
                << "the limit of the frame lies where the grant ends";
            EXPECT_EQ(fa_frame_end_in(frame), FA_OK);
            EXPECT_EQ(FrameUsed(), 0u);
        }
}

TEST_F(Meter, ALargeBlockIsChargedAsItIs) {
    fa_frame *frame = Begin(Hard(1 << 20));
    EXPECT_NE(fa_frame_alloc_in(frame, 100000), nullptr);
    EXPECT_EQ(FrameUsed(), 100000u);
    EXPECT_NE(fa_frame_alloc_in(frame, 16), nullptr);
    EXPECT_EQ(FrameUsed(), 100000u + (16 << 10));
    EXPECT_NE(fa_frame_alloc_in(frame, 100000), nullptr);
    EXPECT_EQ(FrameUsed(), 200016u) << "what was granted comes off";
    EXPECT_EQ(fa_frame_end_in(frame), FA_OK);
}

TEST_F(Meter, WhatWasGrantedGoesBackWithTheTag) {
    const fa_tag ai = fa_tag_intern(allocator_, "ai"), ui = fa_tag_intern(allocator_, "ui");
    fa_frame *frame = Begin(Hard(1 << 20));
    for (fa_tag tag : {ai, ui, ai}) {
        EXPECT_EQ(fa_tag_enter(allocator_, tag), FA_OK);
        const size_t before = FrameUsed(tag);
        EXPECT_NE(fa_frame_alloc_in(frame, 48), nullptr);
        EXPECT_GT(FrameUsed(tag), before + 1000);
        EXPECT_EQ(fa_tag_leave(allocator_), FA_OK);
        EXPECT_EQ(FrameUsed(tag), before + 48);
    }
    EXPECT_EQ(FrameUsed(), 144u);
    EXPECT_EQ(FrameUsed(ai), 96u);
    EXPECT_EQ(fa_frame_end_in(frame), FA_OK);
    EXPECT_EQ(FrameUsed(ai), 0u);
}

TEST_F(Meter, RewindsGiveBackToEachTagWhatItHad) {
    const fa_tag tags[] = {fa_tag_intern(allocator_, "ai"), fa_tag_intern(allocator_, "ui")};
    fa_frame *frame = Begin(Hard(1 << 20));
    std::vector<fa_mark> marks;
    const auto used = [&](size_t i) { return FrameUsed(tags[i]); };
    for (size_t round = 0; round < 100; round++) {
        EXPECT_EQ(fa_tag_enter(allocator_, tags[round % 2]), FA_OK);
        marks.push_back(fa_frame_mark_in(frame));
        EXPECT_NE(fa_frame_alloc_in(frame, 16 * (round + 1)), nullptr);
        EXPECT_EQ(fa_tag_leave(allocator_), FA_OK);
    }
    for (size_t round = 100; round-- > 0;) {
        EXPECT_EQ(fa_frame_rewind_in(frame, marks[round]), FA_OK);
        const size_t sums[] = {round / 2 + round % 2, round / 2}; /* blocks that are left of each */
        ASSERT_EQ(used(0), 16 * sums[0] * sums[0]) << round;
        ASSERT_EQ(used(1), 16 * sums[1] * (sums[1] + 1)) << round;
    }
    EXPECT_EQ(fa_frame_end_in(frame), FA_OK);
}

// However often a frame goes from tag to tag: one record for each, where nobody can rewind.
TEST_F(Meter, WithoutMarksThereIsOneStretchForEachTag) {
    std::vector<fa_tag> tags;
    for (const char *path : {"a", "b", "c", "d", "e"})
        tags.push_back(fa_tag_intern(allocator_, path));
    fa_frame *frame = Begin(Hard(1 << 20));
    uint64_t spans = 0;
    for (size_t i = 0; i < 2000; i++) {
        if (i == 10)
            spans = allocator_.Stats().backend_alloc_count;
        EXPECT_EQ(fa_tag_enter(allocator_, tags[i % 5]), FA_OK);
        EXPECT_NE(fa_frame_alloc_in(frame, 16), nullptr);
        EXPECT_EQ(fa_tag_leave(allocator_), FA_OK);
    }
    EXPECT_EQ(allocator_.Stats().backend_alloc_count, spans);
    for (fa_tag tag : tags)
        EXPECT_EQ(FrameUsed(tag), 6400u);
    EXPECT_EQ(FrameUsed(), 32000u);
    EXPECT_EQ(fa_frame_end_in(frame), FA_OK);
    EXPECT_EQ(FrameUsed(), 0u);
}

TEST_F(Meter, GrowingInPlaceIsChargedToTheByte) {
    fa_frame *frame = Begin(Hard(10000));
    void *block = fa_frame_alloc_in(frame, 4000);
    EXPECT_EQ(fa_frame_grow_in(frame, block, 4000, 9000), block);
    EXPECT_EQ(FrameUsed(), 9008u);
    EXPECT_EQ(fa_frame_grow_in(frame, block, 9000, 10000), block);
    EXPECT_EQ(FrameUsed(), 10000u);
    EXPECT_EQ(fa_frame_grow_in(frame, block, 10000, 10001), nullptr);
    EXPECT_EQ(FrameUsed(), 10000u);
    EXPECT_EQ(fa_frame_grow_in(frame, block, 10000, 100), block);
    EXPECT_EQ(fa_budget_remaining(allocator_, FA_INTENT_FRAME) + FrameUsed(), 10000u);
    EXPECT_NE(fa_frame_alloc_in(frame, 9800), nullptr) << "what it no longer needs can be used";
    EXPECT_EQ(fa_frame_end_in(frame), FA_OK);
    EXPECT_EQ(FrameUsed(), 0u);
}
