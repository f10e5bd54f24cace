// What a frame left: every number of its summary, and the lists behind it, with known sums.
#include "fa/testing_threads.hpp"

#include <map>
#include <string>
#include <vector>

using namespace fa_testing;

namespace {

struct Node {
    int value[6];
};

class SummaryTest : public testing::TestWithParam<uint32_t> {
  protected:
    Events events;
    fa_alloc_config config = Config();

    SummaryTest() {
        fa_last_error_clear();
        config.checks = GetParam();
        events.Watch(&config);
    }
    // A watched frame block takes more than its size.
    bool Exact() const { return GetParam() == 0 && !kAsan; }
};

INSTANTIATE_TEST_SUITE_P(Checks, SummaryTest, testing::Values(0u, uint32_t{FA_CHECK_ALL}));

void ExpectSum(const fa_retain_sum &sum, size_t count, size_t bytes) {
    EXPECT_EQ(sum.count, count);
    EXPECT_EQ(sum.bytes, bytes);
}

std::vector<fa_summary_part> Tags(fa_allocator *allocator) {
    std::vector<fa_summary_part> parts(fa_frame_summary_tags(allocator, nullptr, 0));
    EXPECT_EQ(fa_frame_summary_tags(allocator, parts.data(), parts.size()), parts.size());
    return parts;
}

std::vector<fa_summary_part> Phases(fa_allocator *allocator) {
    std::vector<fa_summary_part> parts(fa_frame_summary_phases(allocator, nullptr, 0));
    EXPECT_EQ(fa_frame_summary_phases(allocator, parts.data(), parts.size()), parts.size());
    return parts;
}

void Add(fa_retain_sum *sum, const fa_retain_sum &more) {
    sum->count += more.count;
    sum->bytes += more.bytes;
}

// The parts of a list sum up to the whole.
void ExpectWhole(const std::vector<fa_summary_part> &parts, const fa_frame_summary &summary) {
    fa_summary_part whole = {};
    for (const fa_summary_part &part : parts) {
        whole.frame_bytes += part.frame_bytes;
        Add(&whole.sums.retained, part.sums.retained);
        Add(&whole.sums.discarded, part.sums.discarded);
        Add(&whole.sums.pool, part.sums.pool);
        Add(&whole.sums.heap, part.sums.heap);
        Add(&whole.sums.scratch, part.sums.scratch);
        Add(&whole.sums.leaked, part.sums.leaked);
        Add(&whole.sums.failed, part.sums.failed);
    }
    EXPECT_EQ(whole.frame_bytes, summary.frame_bytes);
    EXPECT_EQ(std::memcmp(&whole.sums, &summary.sums, sizeof whole.sums), 0);
}

TEST_P(SummaryTest, EveryFieldIsFilled) {
    Tracked tracked(config);
    fa_frame *frame = fa_frame_begin(tracked);
    (void)!fa_frame_alloc_in(frame, 1000);
    (void)fa_frame_retain_in(frame, 100, 16, fa_retain_discarded());
    (void)fa_frame_retain_in(frame, 200, 16, fa_retain_to_pool());
    (void)fa_frame_retain_in(frame, 208, 16, fa_retain_to_pool());
    (void)fa_frame_retain_in(frame, 300, 16, fa_retain_to_heap());
    (void)fa_frame_retain_in(frame, 400, 16, fa_retain_forever());
    (void)fa_frame_retain_in(frame, 500, 16, fa_retain_to_scratch("no such pool"));
    fa_frame_summary summary, again;
    EXPECT_EQ(fa_frame_end_with_summary_in(frame, &summary), FA_OK);
    EXPECT_EQ(summary.frame_index, 1u);
    EXPECT_EQ(summary.alloc_count, kCounted ? 7u : 0u);
    ExpectSum(summary.sums.retained, 6, 1708);
    ExpectSum(summary.sums.discarded, 1, 100);
    ExpectSum(summary.sums.pool, 2, 408);
    ExpectSum(summary.sums.heap, 1, 300);
    ExpectSum(summary.sums.scratch, 0, 0);
    ExpectSum(summary.sums.leaked, 1, 400);
    ExpectSum(summary.sums.failed, 1, 500);
    for (int reason = 0; reason < FA_RETAIN_REASON_COUNT; reason++) {
        const bool missing = reason == FA_RETAIN_REASON_SCRATCH_MISSING;
        ExpectSum(summary.failed_by_reason[reason], missing, missing ? 500 : 0);
    }
    EXPECT_DOUBLE_EQ(fa_frame_summary_rate(&summary), 0.8);
    if (Exact()) {
        EXPECT_EQ(summary.frame_bytes, 1008u + 112 + 208 + 208 + 304 + 400 + 512);
        EXPECT_EQ(summary.plain_bytes, 1008u);
    } else {
        EXPECT_GE(summary.plain_bytes, 1000u);
        EXPECT_GE(summary.frame_bytes, summary.plain_bytes + summary.sums.retained.bytes);
    }
    EXPECT_EQ(events.Count(FA_DIAG_FA012), 1u);
    EXPECT_EQ(events.Last(FA_DIAG_FA012).size, 500u);
    EXPECT_EQ(fa_frame_summary_get(tracked, &again), FA_OK);
    EXPECT_EQ(std::memcmp(&summary, &again, sizeof summary), 0);
    ExpectWhole(Tags(tracked), summary);
    ExpectWhole(Phases(tracked), summary);
    OnThread([&] { // a thread has its own frames
        EXPECT_EQ(fa_frame_summary_get(tracked, &again), FA_ERROR_INVALID);
        EXPECT_EQ(fa_frame_summary_objects(tracked, nullptr, 0), 0u);
    });
    tracked.Check();
}

TEST_P(SummaryTest, AFrameWithNothingRetained) {
    Tracked tracked(config);
    fa_frame_summary summary;
    EXPECT_EQ(fa_frame_end_with_summary(tracked, &summary), FA_ERROR_NO_FRAME);
    EXPECT_EQ(summary.frame_index, 0u);
    for (size_t i = 1; i <= 3; i++) {
        fa_frame_begin(tracked);
        (void)!fa_frame_alloc(tracked, 64 * i);
        EXPECT_EQ(fa_frame_end_with_summary(tracked, &summary), FA_OK);
        EXPECT_EQ(summary.frame_index, i);
        EXPECT_GE(summary.frame_bytes, 64 * i);
        EXPECT_EQ(summary.plain_bytes, summary.frame_bytes);
        EXPECT_EQ(summary.sums.retained.count, 0u);
        EXPECT_EQ(fa_frame_summary_rate(&summary), 1.0);
        EXPECT_EQ(Tags(tracked).size(), 1u);
        EXPECT_EQ(Phases(tracked).size(), 1u);
    }
    fa_frame_begin(tracked);
    EXPECT_EQ(fa_frame_end_with_summary(tracked, nullptr), FA_ERROR_INVALID);
    EXPECT_NE(fa_frame_current(tracked), nullptr) << "a refused end changes nothing";
    EXPECT_EQ(fa_frame_end(tracked), FA_OK);
    EXPECT_EQ(fa_frame_summary_get(tracked, &summary), FA_ERROR_INVALID);
}

TEST_P(SummaryTest, ObjectsInTheirOrder) {
    Tracked tracked(config);
    fa_frame *frame = fa_frame_begin(tracked);
    fa_retained pool = fa_frame_retain_new_in(frame, Node, fa_retain_to_pool());
    fa_mark mark = fa_frame_mark_in(frame);
    (void)fa_frame_retain_new_in(frame, int, fa_retain_to_heap());
    EXPECT_EQ(fa_frame_rewind_in(frame, mark), FA_OK);
    fa_retained gone = fa_frame_retain_in(frame, 50, 256, fa_retain_discarded());
    (void)fa_frame_retain_in(frame, 60, 16, fa_retain_to_scratch("level"));
    EXPECT_EQ(fa_frame_end_in(frame), FA_OK);
    fa_retained_info info[4] = {};
    EXPECT_EQ(fa_frame_summary_objects(tracked, info, 2), 3u);
    EXPECT_EQ(info[2].size, 0u) << "no more than there is room for";
    EXPECT_EQ(fa_frame_summary_objects(tracked, info, 4), 3u);
    EXPECT_EQ(info[0].handle.serial, pool.serial);
    EXPECT_EQ(info[0].kind, FA_RETAINED_POOL);
    EXPECT_EQ(info[0].policy, FA_RETAIN_POOL);
    EXPECT_EQ(info[0].address, fa_retained_get(tracked, pool));
    EXPECT_EQ(info[0].size, sizeof(Node));
    EXPECT_STREQ(info[0].type, "Node");
    EXPECT_EQ(info[1].handle.serial, gone.serial);
    EXPECT_EQ(info[1].kind, FA_RETAINED_DISCARDED);
    EXPECT_EQ(info[1].align, 256u);
    EXPECT_EQ(info[1].address, nullptr);
    EXPECT_EQ(info[2].kind, FA_RETAINED_FAILED);
    EXPECT_EQ(info[2].reason, FA_RETAIN_REASON_SCRATCH_MISSING);
    EXPECT_STREQ(info[2].scratch, "level");
    EXPECT_EQ(info[3].size, 0u);
    // What is released stays in the list, until the next frame.
    EXPECT_EQ(fa_retained_release(tracked, pool), FA_OK);
    EXPECT_EQ(fa_frame_summary_objects(tracked, info, 4), 3u);
    EXPECT_EQ(info[0].kind, FA_RETAINED_POOL);
    EXPECT_EQ(info[0].handle.serial, 0u);
    fa_frame_begin(tracked);
    EXPECT_EQ(fa_frame_summary_objects(tracked, info, 4), 0u);
    EXPECT_EQ(fa_retained_kind_of(tracked, gone), FA_RETAINED_DISCARDED);
    (void)fa_frame_retain(tracked, 16, 16, fa_retain_discarded());
    EXPECT_EQ(fa_retained_kind_of(tracked, gone), FA_RETAINED_NONE);
    EXPECT_EQ(fa_frame_end(tracked), FA_OK);
    tracked.Check();
}

TEST_P(SummaryTest, ByTag) {
    Tracked tracked(config);
    const fa_tag ai = fa_tag_intern(tracked, "game::ai");
    const fa_tag paths = fa_tag_intern(tracked, "game::ai::paths");
    fa_frame *frame = fa_frame_begin(tracked);
    (void)!fa_frame_alloc_in(frame, 160);
    EXPECT_EQ(fa_tag_enter(tracked, ai), FA_OK);
    (void)!fa_frame_alloc_in(frame, 320);
    fa_retained first = fa_frame_retain_in(frame, 64, 16, fa_retain_to_pool());
    EXPECT_EQ(fa_tag_enter(tracked, paths), FA_OK);
    (void)!fa_frame_alloc_in(frame, 480);
    fa_retained second = fa_frame_retain_in(frame, 128, 16, fa_retain_to_heap());
    (void)fa_frame_retain_in(frame, 32, 16, fa_retain_discarded());
    EXPECT_EQ(fa_tag_leave(tracked), FA_OK);
    (void)!fa_frame_alloc_in(frame, 16);
    EXPECT_EQ(fa_tag_leave(tracked), FA_OK);
    fa_retained third = fa_frame_retain_in(frame, 48, 16, fa_retain_forever());
    fa_frame_summary summary;
    EXPECT_EQ(fa_frame_end_with_summary_in(frame, &summary), FA_OK);
    const std::vector<fa_summary_part> parts = Tags(tracked);
    ASSERT_EQ(parts.size(), 3u);
    ExpectWhole(parts, summary);
    EXPECT_EQ(parts[0].tag, FA_TAG_ROOT);
    EXPECT_EQ(parts[1].tag, ai);
    EXPECT_EQ(parts[2].tag, paths);
    ExpectSum(parts[0].sums.leaked, 1, 48);
    ExpectSum(parts[1].sums.pool, 1, 64);
    ExpectSum(parts[2].sums.heap, 1, 128);
    ExpectSum(parts[2].sums.discarded, 1, 32);
    if (Exact()) {
        EXPECT_EQ(parts[0].frame_bytes, 160u + 48);
        EXPECT_EQ(parts[1].frame_bytes, 320u + 64 + 16);
        EXPECT_EQ(parts[2].frame_bytes, 480u + 128 + 32);
    }
    // The new places are accounted to the tags in which the objects were retained.
    fa_retained_info info;
    EXPECT_EQ(fa_retained_describe(tracked, second, &info), FA_OK);
    EXPECT_EQ(info.tag, paths);
    fa_tag_stats stats;
    EXPECT_EQ(fa_tag_stats_get(tracked, paths, &stats), FA_OK);
    EXPECT_EQ(stats.heap_live_bytes, 128u);
    EXPECT_EQ(fa_tag_stats_get(tracked, ai, &stats), FA_OK);
    EXPECT_EQ(stats.heap_live_bytes, 128u);
    EXPECT_EQ(stats.pool_live_count, kCounted ? 1u : 0u);
    EXPECT_EQ(fa_tag_stats_get(tracked, FA_TAG_ROOT, &stats), FA_OK);
    EXPECT_EQ(stats.heap_live_bytes, 176u);
    EXPECT_EQ(fa_retained_release(tracked, first), FA_OK);
    EXPECT_EQ(fa_retained_release(tracked, second), FA_OK);
    EXPECT_EQ(fa_retained_release(tracked, third), FA_ERROR_INVALID);
    EXPECT_EQ(fa_tag_current(tracked), FA_TAG_ROOT);
    tracked.Check();
}

TEST_P(SummaryTest, ByPhase) {
    Tracked tracked(config);
    fa_frame *frame = fa_frame_begin(tracked);
    (void)!fa_frame_alloc_in(frame, 160);
    for (int i = 0; i < 2; i++) { // two phases of one name are one part
        EXPECT_EQ(fa_phase_begin_in(frame, "physics"), FA_OK);
        (void)!fa_frame_alloc_in(frame, 320);
        (void)fa_frame_retain_in(frame, 64, 16, fa_retain_discarded());
        EXPECT_EQ(fa_phase_begin_in(frame, "contacts"), FA_OK);
        (void)fa_frame_retain_in(frame, 128, 16, fa_retain_to_pool());
        EXPECT_EQ(fa_phase_end_in(frame), FA_OK);
        EXPECT_EQ(fa_phase_end_in(frame), FA_OK);
    }
    EXPECT_EQ(fa_phase_begin_in(frame, "nothing"), FA_OK);
    EXPECT_EQ(fa_phase_end_in(frame), FA_OK);
    (void)fa_frame_retain_in(frame, 32, 16, fa_retain_forever());
    fa_frame_summary summary;
    EXPECT_EQ(fa_frame_end_with_summary_in(frame, &summary), FA_OK);
    const std::vector<fa_summary_part> parts = Phases(tracked);
    ASSERT_EQ(parts.size(), 3u);
    ExpectWhole(parts, summary);
    EXPECT_EQ(parts[0].phase, nullptr);
    EXPECT_STREQ(parts[1].phase, "physics");
    EXPECT_STREQ(parts[2].phase, "contacts");
    ExpectSum(parts[0].sums.leaked, 1, 32);
    ExpectSum(parts[1].sums.discarded, 2, 128);
    ExpectSum(parts[2].sums.pool, 2, 256);
    if (Exact()) {
        EXPECT_EQ(parts[0].frame_bytes, 160u + 32);
        EXPECT_EQ(parts[1].frame_bytes, 2u * (320 + 64));
        EXPECT_EQ(parts[2].frame_bytes, 2u * 128);
    }
    fa_retained_info info[5];
    ASSERT_EQ(fa_frame_summary_objects(tracked, info, 5), 5u);
    for (const fa_retained_info &each : info)
        if (each.kind == FA_RETAINED_POOL) {
            EXPECT_EQ(fa_retained_release(tracked, each.handle), FA_OK);
        }
    tracked.Check();
}

TEST_P(SummaryTest, ReasonsHaveTexts) {
    std::map<std::string, int> texts;
    for (int reason = 0; reason < FA_RETAIN_REASON_COUNT; reason++)
        texts[fa_retain_reason_text(static_cast<fa_retain_reason>(reason))]++;
    EXPECT_EQ(texts.size(), size_t{FA_RETAIN_REASON_COUNT});
    EXPECT_EQ(texts.count("unknown reason"), 0u);
    EXPECT_STREQ(fa_retain_reason_text(FA_RETAIN_REASON_COUNT), "unknown reason");
}

} // namespace
