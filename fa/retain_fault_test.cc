// Retained objects where memory is short: every call of the backend failing once and for good,
// budgets, limits and seals in the way. Whatever can't be kept, nothing is lost and the frame ends.
#include "fa/testing_threads.hpp"

#include <string>
#include <vector>

using namespace fa_testing;

namespace {

struct Kept {
    fa_retained handle;
    size_t size;
    uint64_t mark;
};

// Retains a row of objects with all policies; those that fail are left out.
std::vector<Kept> RetainMany(fa_allocator *allocator, size_t count) {
    const fa_retention policies[] = {fa_retain_to_pool(), fa_retain_to_heap(),
                                     fa_retain_discarded(), fa_retain_forever()};
    std::vector<Kept> all;
    for (size_t i = 0; i < count; i++) {
        const size_t size = 40 + i * 97 % 3000;
        fa_retained handle = fa_frame_retain(allocator, size, 16, policies[i % 4]);
        if (handle.serial == 0)
            continue;
        Paint(fa_retained_get(allocator, handle), i, size);
        all.push_back(Kept{handle, size, i});
    }
    return all;
}

// After the end: each is what the summary says, and what was kept is whole. Releases it.
void ExpectWhole(fa_allocator *allocator, const std::vector<Kept> &all,
                 const fa_frame_summary &summary) {
    size_t kept = 0, failed = 0;
    EXPECT_EQ(summary.sums.retained.count, all.size());
    for (const Kept &each : all) {
        fa_retained_info info;
        EXPECT_EQ(fa_retained_describe(allocator, each.handle, &info), FA_OK);
        EXPECT_EQ(info.size, each.size);
        if (info.kind == FA_RETAINED_FAILED) {
            failed++;
            EXPECT_NE(info.reason, FA_RETAIN_REASON_NONE);
        }
        if (info.address == nullptr)
            continue;
        kept++;
        EXPECT_TRUE(IsPainted(info.address, each.mark, each.size));
        if (info.kind != FA_RETAINED_LEAKED) {
            EXPECT_EQ(fa_retained_release(allocator, each.handle), FA_OK);
        }
    }
    const fa_retain_sums &sums = summary.sums;
    EXPECT_EQ(sums.failed.count, failed);
    EXPECT_EQ(sums.pool.count + sums.heap.count + sums.leaked.count, kept);
    size_t by_reason = 0;
    for (const fa_retain_sum &sum : summary.failed_by_reason)
        by_reason += sum.count;
    EXPECT_EQ(by_reason, failed);
}

struct Setup {
    uint32_t checks, in_flight;
    bool lasting;
};

class RetainFaultTest : public testing::TestWithParam<Setup> {};
INSTANTIATE_TEST_SUITE_P(All, RetainFaultTest,
                         testing::Values(Setup{0, 1, true}, Setup{0, 1, false}, Setup{0, 2, false},
                                         Setup{FA_CHECK_ALL, 1, true},
                                         Setup{FA_CHECK_ALL, 2, false}));

TEST_P(RetainFaultTest, EveryCallOfTheBackend) {
    size_t failures = 0;
    for (uint64_t at = 1;; at++) {
        Source source;
        Events events;
        fa_alloc_config config = Plain(fa_alloc_config_minimal());
        config.checks = GetParam().checks;
        config.frames_in_flight = GetParam().in_flight;
        config.backends[0] = source.backend;
        events.Watch(&config);
        source.Fail(at, GetParam().lasting);
        fa_allocator *allocator = nullptr;
        if (fa_allocator_create(&config, &allocator) != FA_OK)
            continue;
        size_t failed = 0;
        for (int round = 0; round < 3; round++) {
            if (fa_frame_begin(allocator) == nullptr)
                continue;
            (void)!fa_frame_alloc(allocator, 1000);
            const std::vector<Kept> all = RetainMany(allocator, 90);
            fa_frame_summary summary;
            EXPECT_EQ(fa_frame_end_with_summary(allocator, &summary), FA_OK);
            ExpectWhole(allocator, all, summary);
            ExpectValid(allocator);
            failed += summary.sums.failed.count;
        }
        EXPECT_EQ(events.Count(FA_DIAG_FA012), failed);
        failures += failed;
        // Only what is leaked on purpose is left, and is no leak.
        EXPECT_EQ(fa_allocator_destroy(allocator), 0u);
        EXPECT_EQ(events.Count(FA_DIAG_FA605), 0u);
        EXPECT_EQ(source.BytesLive(), 0u);
        if (fa_failing_calls(&source.failing, FA_FAILING_ALLOC) < at &&
            fa_failing_calls(&source.failing, FA_FAILING_RESIZE) < at)
            break; /* it met none */
    }
    if (GetParam().lasting) { /* else the allocator finds another way */
        EXPECT_GT(failures, 0u) << "no copy failed: the test tests nothing";
    }
}

TEST(RetainFault, ABudgetInTheWay) {
    for (uint32_t checks : {0u, uint32_t{FA_CHECK_ALL}}) {
        Events events;
        fa_alloc_config config = Config(checks);
        events.Watch(&config);
        Tracked tracked(config);
        const fa_tag tag = fa_tag_intern(tracked, "paths");
        fa_budget budget = {};
        budget.hard_bytes = 5000;
        budget.policy = FA_BUDGET_FAIL;
        EXPECT_EQ(fa_budget_set_tag(tracked, tag, FA_INTENT_HEAP, &budget), FA_OK);
        fa_frame_begin(tracked);
        EXPECT_EQ(fa_tag_enter(tracked, tag), FA_OK);
        std::vector<Kept> all;
        for (size_t i = 0; i < 4; i++) {
            all.push_back(Kept{fa_frame_retain(tracked, 2000, 16, fa_retain_to_heap()), 2000, i});
            Paint(fa_retained_get(tracked, all[i].handle), i, 2000);
        }
        EXPECT_EQ(fa_tag_leave(tracked), FA_OK);
        all.push_back(Kept{fa_frame_retain(tracked, 9000, 16, fa_retain_to_heap()), 9000, 4});
        Paint(fa_retained_get(tracked, all[4].handle), 4, 9000);
        fa_frame_summary summary;
        EXPECT_EQ(fa_frame_end_with_summary(tracked, &summary), FA_OK);
        EXPECT_EQ(summary.sums.heap.count, 3u) << "two of the tag, and the one that is in none";
        EXPECT_EQ(summary.failed_by_reason[FA_RETAIN_REASON_BUDGET].count, 2u);
        EXPECT_EQ(summary.failed_by_reason[FA_RETAIN_REASON_BUDGET].bytes, 4000u);
        EXPECT_EQ(events.Count(FA_DIAG_FA302), 2u);
        EXPECT_EQ(events.Count(FA_DIAG_FA012), 2u);
        ExpectWhole(tracked, all, summary);
        tracked.Check();
    }
}

// Budgets that send memory on: frame blocks that the pool served are kept like others, and pool
// objects that go to the heap instead are called so.
TEST(RetainFault, BudgetsThatPromote) {
    for (uint32_t checks : {0u, uint32_t{FA_CHECK_ALL}}) {
        Tracked tracked(Config(checks));
        const fa_tag tag = fa_tag_intern(tracked, "paths");
        fa_budget budget = {};
        budget.hard_bytes = 4096;
        budget.policy = FA_BUDGET_PROMOTE;
        EXPECT_EQ(fa_budget_set_tag(tracked, tag, FA_INTENT_FRAME, &budget), FA_OK);
        budget.hard_bytes = 16384;
        EXPECT_EQ(fa_budget_set_tag(tracked, tag, FA_INTENT_POOL, &budget), FA_OK);
        EXPECT_EQ(fa_tag_enter(tracked, tag), FA_OK);
        for (int round = 0; round < 3; round++) {
            fa_frame *frame = fa_frame_begin(tracked);
            std::vector<Kept> all;
            size_t outside = 0;
            for (size_t i = 0; i < 40; i++) {
                fa_retained handle = fa_frame_retain_in(frame, 1000, 16, fa_retain_to_pool());
                if (handle.serial == 0)
                    break;
                void *block = fa_retained_get(tracked, handle);
                outside += fa_intent_of(tracked, block) != FA_INTENT_FRAME;
                Paint(block, i, 1000);
                all.push_back(Kept{handle, 1000, i});
                if (i == 30) { // retained once more, by its address
                    handle = fa_frame_retain_block_in(frame, block, 1000, 16, fa_retain_to_pool());
                    all.push_back(Kept{handle, 1000, i});
                }
            }
            EXPECT_EQ(all.size(), 41u);
            EXPECT_GT(outside, 30u);
            fa_frame_summary summary;
            EXPECT_EQ(fa_frame_end_with_summary_in(frame, &summary), FA_OK);
            EXPECT_EQ(summary.sums.failed.count, 0u);
            EXPECT_GT(summary.sums.heap.count, 0u);
            EXPECT_LE(summary.plain_bytes, summary.frame_bytes);
            ExpectWhole(tracked, all, summary);
            tracked.Check();
        }
        EXPECT_EQ(fa_tag_leave(tracked), FA_OK);
        EXPECT_EQ(tracked.Live(), 0u);
    }
}

TEST(RetainFault, SealedAndLimited) {
    Events events;
    fa_alloc_config config = Config();
    events.Watch(&config);
    Tracked tracked(config);
    fa_frame_begin(tracked);
    (void)!fa_frame_alloc(tracked, 200000);
    fa_retained first = fa_frame_retain(tracked, 100, 16, fa_retain_to_pool());
    EXPECT_EQ(fa_frame_end(tracked), FA_OK);
    EXPECT_EQ(fa_retained_release(tracked, first), FA_OK);
    fa_frame_begin(tracked);
    EXPECT_EQ(fa_frame_end(tracked), FA_OK);
    fa_backend_seal(tracked);
    fa_frame_begin(tracked);
    fa_retained small = fa_frame_retain(tracked, 100, 16, fa_retain_to_pool());
    fa_retained large = fa_frame_retain(tracked, 150000, 16, fa_retain_to_heap());
    fa_frame_summary summary;
    EXPECT_EQ(fa_frame_end_with_summary(tracked, &summary), FA_OK);
    EXPECT_EQ(fa_retained_kind_of(tracked, small), FA_RETAINED_POOL);
    EXPECT_EQ(fa_retained_kind_of(tracked, large), FA_RETAINED_FAILED);
    EXPECT_EQ(summary.failed_by_reason[FA_RETAIN_REASON_SEALED].bytes, 150000u);
    EXPECT_EQ(events.Last(FA_DIAG_FA012).status, FA_ERROR_SEALED);
    // No more handles than there were made room for.
    fa_frame_begin(tracked);
    size_t count = 0;
    while (fa_frame_retain(tracked, 16, 16, fa_retain_discarded()).serial != 0)
        count++;
    EXPECT_EQ(fa_last_error().status, FA_ERROR_SEALED);
    EXPECT_GT(count, 10u);
    EXPECT_EQ(fa_frame_end(tracked), FA_OK);
    EXPECT_EQ(fa_retained_release(tracked, small), FA_OK);
    tracked.Check();
}

TEST(RetainFault, TheLimitOfAll) {
    Events events;
    fa_alloc_config config = Config();
    config.bytes_max = 4 << 20;
    events.Watch(&config);
    Tracked tracked(config);
    fa_frame_begin(tracked);
    fa_retained large = fa_frame_retain(tracked, 3 << 20, 16, fa_retain_to_heap());
    ASSERT_NE(large.serial, 0u);
    fa_frame_summary summary;
    EXPECT_EQ(fa_frame_end_with_summary(tracked, &summary), FA_OK);
    EXPECT_EQ(summary.failed_by_reason[FA_RETAIN_REASON_LIMIT].count, 1u);
    EXPECT_EQ(fa_frame_summary_rate(&summary), 0.0);
    tracked.Check();
}

// The tag in which an object was retained can't be entered once more.
TEST(RetainFault, TagsNestedToTheirLimit) {
    Tracked tracked;
    fa_frame_begin(tracked);
    EXPECT_EQ(fa_tag_enter(tracked, FA_TAG_PHYSICS), FA_OK);
    fa_retained pool = fa_frame_retain(tracked, 100, 16, fa_retain_to_pool());
    fa_retained heap = fa_frame_retain(tracked, 100, 16, fa_retain_to_heap());
    while (fa_tag_enter(tracked, FA_TAG_ROOT) == FA_OK) {
    }
    fa_frame_summary summary;
    EXPECT_EQ(fa_frame_end_with_summary(tracked, &summary), FA_OK);
    EXPECT_EQ(fa_retained_kind_of(tracked, pool), FA_RETAINED_FAILED);
    EXPECT_EQ(fa_retained_kind_of(tracked, heap), FA_RETAINED_HEAP);
    EXPECT_EQ(summary.failed_by_reason[FA_RETAIN_REASON_LIMIT].count, 1u);
    EXPECT_EQ(fa_retained_release(tracked, heap), FA_OK);
    while (fa_tag_leave(tracked) == FA_OK) {
    }
}

} // namespace
