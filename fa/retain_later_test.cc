// Retained objects, later: blocks that were shrunk since, names that need not be there any more,
// and memory that was not needed after all.
#include "fa/testing_threads.hpp"

using namespace fa_testing;

namespace {

class RetainLater : public testing::TestWithParam<uint32_t> {
  protected:
    Tracked allocator_{fa_testing::Config(GetParam())};
};

INSTANTIATE_TEST_SUITE_P(Checks, RetainLater, testing::Values(0u, uint32_t{FA_CHECK_ALL}));

} // namespace

TEST_P(RetainLater, ABlockThatWasShrunk) {
    fa_frame *frame = fa_frame_begin(allocator_);
    void *block = fa_frame_alloc_in(frame, 400);
    Paint(block, 7, 400);
    fa_retained retained = fa_frame_retain_block_in(frame, block, 400, 16, fa_retain_to_pool());
    ASSERT_EQ(fa_frame_grow_in(frame, block, 400, 96), block);
    void *next = fa_frame_alloc_in(frame, 64); // where the rest of it was, perhaps
    memset(next, 0, 64);
    EXPECT_EQ(fa_frame_end_in(frame), FA_OK);
    EXPECT_EQ(memcmp(
                  fa_retained_get(allocator_, retained),
                  [] {
                      static char painted[400];
                      Paint(painted, 7, 400);
                      return painted;
                  }(),
                  96),
              0);
    EXPECT_EQ(fa_retained_release(allocator_, retained), FA_OK);
}

TEST_P(RetainLater, NamesAreToldWhileTheyMustBeThere) {
    fa_scratch_pool scratch = fa_scratch_pool_open(allocator_, "later", 1 << 16, 0);
    ASSERT_NE(scratch.head, nullptr);
    char type[] = "temporary", name[] = "later";
    fa_retention retention = fa_retain_to_scratch(name);
    retention.type = type;
    fa_frame *frame = fa_frame_begin(allocator_);
    fa_retained retained = fa_frame_retain_in(frame, 64, 16, retention);
    fa_retained_info info;
    auto describe = [&] {
        EXPECT_EQ(fa_retained_describe(allocator_, retained, &info), FA_OK);
        EXPECT_EQ(info.size, 64u);
    };
    describe();
    EXPECT_EQ(info.type, type);
    EXPECT_EQ(info.scratch, name);
    EXPECT_EQ(fa_frame_end_in(frame), FA_OK);
    describe();
    EXPECT_EQ(info.type, type);
    EXPECT_EQ(info.scratch, name);
    OnThread([&] {
        describe();
        EXPECT_EQ(info.type, nullptr) << "the next frame may begin at any time";
        EXPECT_EQ(info.scratch, nullptr);
    });
    frame = fa_frame_begin(allocator_);
    describe();
    EXPECT_EQ(info.type, nullptr);
    EXPECT_EQ(fa_frame_end_in(frame), FA_OK);
    describe();
    EXPECT_EQ(info.type, nullptr);
    EXPECT_EQ(info.scratch, nullptr);
    EXPECT_EQ(fa_scratch_pool_remove(scratch), FA_OK);
}
