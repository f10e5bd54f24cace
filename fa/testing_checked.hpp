// A test that runs with each set of checks, on an allocator that is valid and lost nothing at its
// end. For tests only; not installed.
#ifndef FA_TESTING_CHECKED_HPP
#define FA_TESTING_CHECKED_HPP

#include "fa/testing_threads.hpp"

namespace fa_testing {

class Checked : public testing::TestWithParam<uint32_t> {
  protected:
    void SetUp() override {
        config_.checks = GetParam();
        events_.Watch(&config_);
        config_.backends[0] = source_.backend;
        ASSERT_EQ(fa_allocator_create(&config_, &allocator_), FA_OK);
    }
    // A test that destroys the allocator by itself sets allocator_ to nullptr.
    void TearDown() override {
        if (allocator_ != nullptr) {
            ExpectValid(allocator_);
            EXPECT_EQ(fa_allocator_destroy(allocator_), 0u);
        }
        EXPECT_EQ(source_.BytesLive(), 0u);
    }
    // The call was refused as one with a foreign handle, and reported once.
    void Refused(fa_diag diag, bool failed) {
        EXPECT_TRUE(failed);
        EXPECT_EQ(fa_last_error().status, FA_ERROR_FOREIGN);
        EXPECT_EQ(fa_last_error().diag, diag);
        EXPECT_EQ(events_.Count(diag), ++refused_[diag]);
        fa_last_error_clear();
    }
    // Is there nothing between blocks that numbers would show?
    static bool IsBare() { return GetParam() == 0 && !kAsan; }

    Source source_;
    Events events_;
    fa_alloc_config config_ = Plain();
    fa_allocator *allocator_ = nullptr;

  private:
    size_t refused_[FA_DIAG_COUNT] = {};
};

} // namespace fa_testing

#endif
