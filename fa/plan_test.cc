// What bumped memory should have the next time (fa/internal/plan.h).
#include "fa/testing.hpp"

extern "C" {
#include "fa/internal/plan.h"
}

using namespace fa_testing;

namespace {

constexpr size_t kHeader = 64, kMost = 64 << 10;

fa_alloc_config Config(uint32_t trim_after) {
    fa_alloc_config config = Plain();
    config.frame_trim_after = trim_after;
    config.frame_chunk_bytes_first = 4096;
    return config;
}

struct Plan : ::testing::Test {
    Allocator allocator{Config(3)};
    fai_plan plan;

    void Begin(size_t bytes) {
        std::memset(&plan, 0xA5, sizeof plan);
        fai_plan_begin(&plan, allocator, bytes);
    }
    size_t Next(size_t wanted, bool is_large = false) {
        return fai_plan_next(&plan, wanted, kMost, kHeader, is_large);
    }
};

TEST_F(Plan, BeginsWithWhatIsLikely) {
    Begin(0);
    EXPECT_EQ(plan.bytes, 0u);
    EXPECT_EQ(Next(1024), 1024 - kHeader);
    Begin(1001);
    EXPECT_EQ(plan.bytes, 1008u) << "aligned";
    EXPECT_EQ(Next(512), 1008u) << "what is planned, if growing wants less";
    EXPECT_EQ(Next(2048), 2048 - kHeader);
    EXPECT_EQ(Next(10 * kMost), kMost - kHeader) << "growth has a limit";
    Begin(4 * kMost);
    EXPECT_EQ(Next(1024), 4 * kMost) << "a plan has none";
}

TEST_F(Plan, OnlyALargeBlockTakesTheLargeChunkAgain) {
    Begin(0);
    plan.large_kib = 512;
    EXPECT_EQ(Next(1024), 1024 - kHeader);
    EXPECT_EQ(Next(1024, true), size_t{512} << 10);
}

TEST_F(Plan, ThePeakIsTheMost) {
    Begin(0);
    for (size_t used : {100u, 5000u, 300u, 4999u})
        fai_plan_note_peak(&plan, used);
    EXPECT_EQ(plan.peak, 5000u);
}

TEST_F(Plan, LearnsThePeakAndASixteenth) {
    Begin(0);
    fai_plan_note_peak(&plan, 160000);
    fai_plan_learn(&plan, 0);
    EXPECT_EQ(plan.bytes, 170000u);
    fai_plan_learn(&plan, 0);
    EXPECT_EQ(plan.bytes, 170000u) << "the same peak says nothing new";
    Begin(1 << 20);
    fai_plan_note_peak(&plan, 160000);
    fai_plan_learn(&plan, 0);
    EXPECT_EQ(plan.bytes, size_t{1} << 20) << "a plan never shrinks by what it learns";
}

TEST_F(Plan, LearnsUpToALimit) {
    Begin(0);
    fai_plan_note_peak(&plan, 160000);
    fai_plan_learn(&plan, 100001);
    EXPECT_EQ(plan.bytes, 100000u) << "aligned downwards: never above the limit";
    fai_plan_learn(&plan, 165000);
    EXPECT_EQ(plan.bytes, 164992u);
}

TEST_F(Plan, RestsWhenMuchLessWasNeededForAWindow) {
    Begin(0);
    plan.bytes = 1 << 20;
    plan.large_kib = 77;
    fai_plan_note_peak(&plan, 10000);
    EXPECT_FALSE(fai_plan_rest(&plan, allocator, 1 << 20));
    EXPECT_FALSE(fai_plan_rest(&plan, allocator, 1 << 20));
    EXPECT_TRUE(fai_plan_rest(&plan, allocator, 1 << 20)) << "the third time";
    EXPECT_EQ(plan.bytes, 20000u) << "twice the peak";
    EXPECT_EQ(plan.large_kib, 0u);
    EXPECT_EQ(plan.peak, 0u) << "a new window";
    for (int i = 0; i < 2; i++)
        EXPECT_FALSE(fai_plan_rest(&plan, allocator, 1 << 20));
    EXPECT_TRUE(fai_plan_rest(&plan, allocator, 1 << 20));
    EXPECT_EQ(plan.bytes, 0u) << "nothing was needed at all";
}

TEST_F(Plan, AQuarterIsNotMuchLess) {
    Begin(0);
    const size_t held = 1 << 20;
    for (size_t peak : {held / 4 + 1, held / 4}) {
        fai_plan_note_peak(&plan, peak);
        for (int i = 0; i < 2; i++)
            EXPECT_FALSE(fai_plan_rest(&plan, allocator, held));
        EXPECT_EQ(fai_plan_rest(&plan, allocator, held), peak == held / 4) << peak;
    }
}

TEST_F(Plan, AFirstChunkAndWhatWasAskedForStay) {
    Begin(0);
    for (int i = 0; i < 9; i++)
        EXPECT_FALSE(fai_plan_rest(&plan, allocator, 4096)) << "the size of a first chunk";
    Begin(100000);
    for (int i = 0; i < 9; i++)
        EXPECT_FALSE(fai_plan_rest(&plan, allocator, plan.floor));
    for (int i = 0; i < 2; i++)
        EXPECT_FALSE(fai_plan_rest(&plan, allocator, 1 << 20));
    EXPECT_TRUE(fai_plan_rest(&plan, allocator, 1 << 20));
    EXPECT_EQ(plan.bytes, plan.floor) << "no less than what it began with";
}

TEST_F(Plan, NeverWhileSealed) {
    Begin(0);
    fa_backend_seal(allocator);
    for (int i = 0; i < 9; i++)
        EXPECT_FALSE(fai_plan_rest(&plan, allocator, 1 << 20));
}

TEST(PlanWithoutTrim, NeverRests) {
    Allocator allocator(Config(0));
    fai_plan plan;
    fai_plan_begin(&plan, allocator, 0);
    for (int i = 0; i < 1000; i++)
        EXPECT_FALSE(fai_plan_rest(&plan, allocator, 1 << 20));
    plan.rests_left = 1; // after four billion times
    EXPECT_FALSE(fai_plan_rest(&plan, allocator, 1 << 20));
    EXPECT_EQ(plan.rests_left, UINT32_MAX);
}

} // namespace
