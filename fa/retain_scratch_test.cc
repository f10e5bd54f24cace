// Retained objects that move to named scratch pools, and die with them.
#include "fa/testing_threads.hpp"

#include <vector>

using namespace fa_testing;

namespace {

class RetainScratchTest : public testing::TestWithParam<uint32_t> {
  protected:
    Events events;
    fa_alloc_config config = Config(GetParam());
    RetainScratchTest() {
        fa_last_error_clear();
        events.Watch(&config);
    }
};

INSTANTIATE_TEST_SUITE_P(Checks, RetainScratchTest, testing::Values(0u, uint32_t{FA_CHECK_ALL}));

TEST_P(RetainScratchTest, LivesUntilThePoolIsResetOrRemoved) {
    Tracked tracked(config);
    for (bool remove : {false, true}) {
        fa_frame *frame = fa_frame_begin(tracked);
        fa_retained object = fa_frame_retain_in(frame, 100, 256, fa_retain_to_scratch("level"));
        fa_retained taken = fa_frame_retain_in(frame, 50, 16, fa_retain_to_scratch("level"));
        fa_retained ended = fa_frame_retain_in(frame, 50, 16, fa_retain_to_scratch("level"));
        Paint(fa_retained_get(tracked, object), 1, 100);
        Paint(fa_retained_get(tracked, taken), 2, 50);
        // It may be opened after the object was retained.
        fa_scratch_pool pool = fa_scratch_pool_open(tracked, "level", 0, 0);
        fa_frame_summary summary;
        EXPECT_EQ(fa_frame_end_with_summary_in(frame, &summary), FA_OK);
        EXPECT_EQ(summary.sums.scratch.count, 3u);
        EXPECT_EQ(summary.sums.scratch.bytes, 200u);
        EXPECT_EQ(fa_retained_kind_of(tracked, object), FA_RETAINED_SCRATCH);
        EXPECT_TRUE(IsPainted(fa_retained_get(tracked, object), 1, 100));
        EXPECT_TRUE(IsAligned(fa_retained_get(tracked, object), 256));
        fa_retained_info info;
        EXPECT_EQ(fa_retained_describe(tracked, object, &info), FA_OK);
        EXPECT_STREQ(info.scratch, "level");
        EXPECT_EQ(info.address, fa_retained_get(tracked, object));
        fa_scratch_pool_stats stats;
        EXPECT_EQ(fa_scratch_pool_stats_get(pool, &stats), FA_OK);
        EXPECT_GE(stats.bytes, 100u + 50 + 50);
        EXPECT_TRUE(IsPainted(fa_retained_take(tracked, taken), 2, 50));
        EXPECT_EQ(fa_retained_release(tracked, ended), FA_OK);
        EXPECT_EQ(fa_retained_get(tracked, ended), nullptr);
        tracked.Check();
        EXPECT_EQ(remove ? fa_scratch_pool_remove(pool) : fa_scratch_pool_reset(pool), FA_OK);
        EXPECT_EQ(fa_retained_get(tracked, object), nullptr);
        EXPECT_EQ(fa_retained_kind_of(tracked, object), FA_RETAINED_NONE);
        EXPECT_EQ(fa_retained_describe(tracked, object, &info), FA_ERROR_FOREIGN);
        EXPECT_EQ(fa_retained_take(tracked, object), nullptr);
        EXPECT_EQ(fa_retained_release(tracked, object), FA_ERROR_FOREIGN);
        fa_scratch_pool_open(tracked, "level", 0, 0);
        EXPECT_EQ(fa_retained_get(tracked, object), nullptr) << "that is another one";
    }
    EXPECT_EQ(events.all.size(), 0u);
    tracked.Check();
}

TEST_P(RetainScratchTest, EachFailureHasItsReason) {
    Tracked tracked(config);
    fa_scratch_pool_open(tracked, "small", 0, 4096);
    fa_frame *frame = fa_frame_begin(tracked);
    (void)fa_frame_retain_in(frame, 100, 16, fa_retain_to_scratch("missing"));
    (void)fa_frame_retain_in(frame, 10000, 16, fa_retain_to_scratch("small"));
    for (int i = 0; i < 3; i++)
        (void)fa_frame_retain_in(frame, 1500, 16, fa_retain_to_scratch("small"));
    fa_frame_summary summary;
    EXPECT_EQ(fa_frame_end_with_summary_in(frame, &summary), FA_OK);
    EXPECT_EQ(summary.failed_by_reason[FA_RETAIN_REASON_SCRATCH_MISSING].bytes, 100u);
    EXPECT_EQ(summary.failed_by_reason[FA_RETAIN_REASON_TOO_LARGE].bytes, 10000u);
    EXPECT_GE(summary.failed_by_reason[FA_RETAIN_REASON_SCRATCH_FULL].count, 1u);
    EXPECT_EQ(summary.failed_by_reason[FA_RETAIN_REASON_SCRATCH_FULL].count +
                  summary.sums.scratch.count,
              3u);
    EXPECT_EQ(events.Count(FA_DIAG_FA012), summary.sums.failed.count);
    tracked.Check();
}

TEST_P(RetainScratchTest, IsChargedToItsTag) {
    Tracked tracked(config);
    const fa_tag tag = fa_tag_intern(tracked, "level");
    fa_scratch_pool_open(tracked, "level", 0, 0);
    fa_frame *frame = fa_frame_begin(tracked);
    EXPECT_EQ(fa_tag_enter(tracked, tag), FA_OK);
    (void)fa_frame_retain_in(frame, 1000, 16, fa_retain_to_scratch("level"));
    EXPECT_EQ(fa_tag_leave(tracked), FA_OK);
    EXPECT_EQ(fa_frame_end_in(frame), FA_OK);
    fa_tag_stats stats;
    EXPECT_EQ(fa_tag_stats_get(tracked, tag, &stats), FA_OK);
    EXPECT_GE(stats.heap_live_bytes, 1000u);
    fa_budget budget = {};
    budget.hard_bytes = 1;
    budget.policy = FA_BUDGET_FAIL;
    EXPECT_EQ(fa_budget_set_tag(tracked, tag, FA_INTENT_NONE, &budget), FA_OK);
    frame = fa_frame_begin(tracked);
    fa_retained object = fa_frame_retain_in(frame, 16, 16, fa_retain_to_scratch("level"));
    EXPECT_EQ(fa_frame_end_in(frame), FA_OK);
    EXPECT_NE(fa_retained_get(tracked, object), nullptr) << "what a pool holds can be used";
    fa_scratch_pool_open(tracked, "other", 0, 0);
    frame = fa_frame_begin(tracked);
    EXPECT_EQ(fa_tag_enter(tracked, tag), FA_OK);
    object = fa_frame_retain_block_in(frame, fa_retained_get(tracked, object), 16, 16,
                                      fa_retain_to_scratch("other"));
    EXPECT_EQ(object.serial, 0u) << "that is no frame memory";
    EXPECT_EQ(fa_tag_leave(tracked), FA_OK);
    EXPECT_EQ(fa_frame_end_in(frame), FA_OK);
    EXPECT_EQ(tracked.Destroy(), 0u);
}

// Handles that nobody released do not pile up.
TEST_P(RetainScratchTest, EntriesOfLostObjectsAreUsedAgain) {
    Tracked tracked(config);
    fa_scratch_pool pool = fa_scratch_pool_open(tracked, "frame", 0, 0);
    size_t held = 0;
    for (int i = 0; i < 200; i++) {
        fa_frame *frame = fa_frame_begin(tracked);
        for (int n = 0; n < 50; n++)
            EXPECT_NE(fa_frame_retain_in(frame, 16, 16, fa_retain_to_scratch("frame")).serial, 0u);
        EXPECT_EQ(fa_frame_end_in(frame), FA_OK);
        EXPECT_EQ(fa_scratch_pool_reset(pool), FA_OK);
        if (i == 20)
            held = tracked.Held();
    }
    EXPECT_EQ(tracked.Held(), held);
    tracked.Check();
}

} // namespace
