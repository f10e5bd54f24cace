// What was charged but never had: neither a peak nor news, whatever reclaimers and hooks do.
#include "fa/testing_threads.hpp"

using namespace fa_testing;

namespace {

constexpr size_t kHuge = size_t{1} << 45; // no machine has that

fa_budget_usage UsageOf(fa_allocator *allocator, fa_intent intent) {
    fa_budget_usage usage = {};
    EXPECT_EQ(fa_budget_get(allocator, intent, &usage), FA_OK);
    return usage;
}

struct Kept {
    void *block = nullptr;
    bool done = false;
};

size_t FreeKept(void *user, fa_allocator *allocator, size_t) {
    auto *kept = static_cast<Kept *>(user);
    if (kept->block == nullptr)
        return 0;
    fa_heap_free(allocator, kept->block);
    kept->block = nullptr;
    return 1000;
}

size_t AllocateOnce(void *user, fa_allocator *allocator, size_t) {
    auto *kept = static_cast<Kept *>(user);
    if (!kept->done)
        kept->block = fa_heap_alloc(allocator, 100);
    kept->done = true;
    return 0;
}

class Pending : public testing::Test {
  protected:
    void Watch(fa_intent intent, size_t soft_bytes, bool report_peaks) {
        fa_budget budget = {};
        budget.soft_bytes = soft_bytes;
        budget.report_peaks = report_peaks;
        EXPECT_EQ(fa_budget_set(allocator_, intent, &budget), FA_OK);
    }
    fa_alloc_config Watched() {
        fa_alloc_config config = Plain();
        events_.Watch(&config);
        return config;
    }
    Events events_;
    Allocator allocator_{Watched()};
    Kept kept_;
};

} // namespace

TEST_F(Pending, AReclaimerThatFreesSeesNoPeak) {
    ASSERT_EQ(fa_reclaimer_add(allocator_, 0, FreeKept, &kept_), FA_OK);
    Watch(FA_INTENT_HEAP, size_t{1} << 40, true);
    kept_.block = fa_heap_alloc(allocator_, 1000);
    events_.all.clear();
    EXPECT_EQ(fa_heap_alloc(allocator_, kHuge), nullptr);
    EXPECT_EQ(kept_.block, nullptr) << "it was asked";
    EXPECT_EQ(UsageOf(allocator_, FA_INTENT_HEAP).used, 0u);
    EXPECT_EQ(UsageOf(allocator_, FA_INTENT_HEAP).peak, 1000u);
    void *block = fa_heap_alloc(allocator_, 16);
    EXPECT_EQ(events_.Count(FA_DIAG_FA303), 0u);
    EXPECT_EQ(events_.Count(FA_DIAG_FA304), 0u);
    fa_heap_free(allocator_, block);
}

TEST_F(Pending, AReclaimerThatAllocatesReportsWhatIsHad) {
    ASSERT_EQ(fa_reclaimer_add(allocator_, 0, AllocateOnce, &kept_), FA_OK);
    Watch(FA_INTENT_HEAP, 1 << 20, true);
    EXPECT_EQ(fa_heap_alloc(allocator_, kHuge), nullptr);
    EXPECT_NE(kept_.block, nullptr);
    EXPECT_EQ(UsageOf(allocator_, FA_INTENT_HEAP).peak, 100u);
    EXPECT_EQ(events_.Count(FA_DIAG_FA303), 0u);
    EXPECT_EQ(events_.Count(FA_DIAG_FA304), 1u);
    EXPECT_EQ(events_.Last(FA_DIAG_FA304).size, 100u);
    fa_heap_free(allocator_, kept_.block);
}

TEST_F(Pending, ABlockThatCannotGrowLeavesNoPeak) {
    ASSERT_EQ(fa_reclaimer_add(allocator_, 0, FreeKept, &kept_), FA_OK);
    Watch(FA_INTENT_HEAP, 1 << 20, false);
    kept_.block = fa_heap_alloc(allocator_, 1000);
    void *block = fa_heap_alloc(allocator_, 500);
    EXPECT_EQ(fa_heap_realloc(allocator_, block, kHuge), nullptr);
    EXPECT_EQ(UsageOf(allocator_, FA_INTENT_HEAP).used, 500u);
    EXPECT_EQ(UsageOf(allocator_, FA_INTENT_HEAP).peak, 1500u);
    fa_heap_free(allocator_, block);
    EXPECT_EQ(events_.Count(FA_DIAG_FA303), 0u);
    // Nothing is left pending: what is really had is news.
    block = fa_heap_alloc(allocator_, 2 << 20);
    EXPECT_EQ(events_.Count(FA_DIAG_FA303), 1u);
    EXPECT_EQ(UsageOf(allocator_, FA_INTENT_HEAP).peak, size_t{2} << 20);
    fa_heap_free(allocator_, block);
}

// What is taken in advance stops where a new peak would begin.
TEST_F(Pending, APeakIsWhatWasAskedFor) {
    fa_tag tag = fa_tag_intern(allocator_, "x");
    fa_budget budget = {};
    budget.report_peaks = true;
    ASSERT_EQ(fa_budget_set_tag(allocator_, tag, FA_INTENT_NONE, &budget), FA_OK);
    ASSERT_EQ(fa_tag_enter(allocator_, tag), FA_OK);
    void *object = fa_pool_alloc(allocator_, 64);
    ASSERT_NE(object, nullptr);
    EXPECT_EQ(events_.Count(FA_DIAG_FA304), 1u);
    EXPECT_EQ(events_.Last(FA_DIAG_FA304).size, 64u);
    fa_pool_free(allocator_, object);
    EXPECT_EQ(fa_tag_leave(allocator_), FA_OK);
}
