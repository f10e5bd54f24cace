// A test that runs with each set of checks, on an allocator that is valid and lost nothing at its
// end. For tests only; not installed.
#ifndef FA_TESTING_CHECKED_HPP
#define FA_TESTING_CHECKED_HPP

#include "fa/testing_threads.hpp"

#include <string>

namespace fa_testing {

inline std::string NameOfChecks(const testing::TestParamInfo<uint32_t> &one) {
    return "Checks" + std::to_string(one.param);
}

// Each test of a suite runs without checks, with guards, and with all; or without and with all.
#define FA_TESTING_CHECKS(suite)                                                                   \
    INSTANTIATE_TEST_SUITE_P(                                                                      \
        Checks, suite, testing::Values(0u, uint32_t{FA_CHECK_GUARD}, uint32_t{FA_CHECK_ALL}),      \
        NameOfChecks)
#define FA_TESTING_CHECKS_ALL(suite)                                                               \
    INSTANTIATE_TEST_SUITE_P(Checks, suite, testing::Values(0u, uint32_t{FA_CHECK_ALL}),           \
                             NameOfChecks)

class Checked : public testing::TestWithParam<uint32_t> {
  protected:
    void SetUp() override { Create(); }
    // Once more, in place of the one that is there: for who changes config_.
    void Create() {
        if (allocator_ != nullptr)
            fa_allocator_destroy(allocator_);
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

// A test that runs with each set of checks, inside of a frame whose arena starts small.
class InFrame : public testing::TestWithParam<uint32_t> {
  protected:
    InFrame() : allocator_(Config()), frame_(fa_frame_begin(allocator_)) {}
    ~InFrame() override {
        ExpectValid(allocator_);
        fa_frame_end(allocator_);
    }
    static fa_alloc_config Config() {
        fa_alloc_config config = Plain();
        config.checks = GetParam();
        config.frame_chunk_bytes_first = 4096;
        return config;
    }
    Allocator allocator_;
    fa_frame *frame_;
};

// Runs body with an allocator whose backend refuses the first call, one whose backend refuses the
// second, and so on: each is valid at the end, and has lost nothing.
template <class Body> void EachFault(uint64_t count, uint32_t checks, const Body &body) {
    fa_alloc_config config = Plain();
    config.checks = checks;
    for (uint64_t at = 1; at <= count; at++) {
        Source source;
        Allocator allocator(config, source);
        source.Fail(at, false);
        body(allocator);
        ExpectValid(allocator);
        EXPECT_EQ(allocator.Destroy(), 0u) << at;
        EXPECT_EQ(source.BytesLive(), 0u) << at;
    }
}

// What make returns, a handle, after one failure at most.
template <class Make> auto MakeDespiteFault(const Make &make) {
    auto made = make();
    if (made.head == nullptr) {
        EXPECT_EQ(fa_last_error().status, FA_ERROR_NO_MEMORY);
        made = make();
    }
    EXPECT_NE(made.head, nullptr);
    return made;
}

// Allocates blocks of which one fails at most; what is in the others stays.
template <class Alloc> void FillDespiteFault(const Alloc &alloc) {
    std::vector<std::pair<void *, size_t>> blocks;
    for (size_t i = 0; i < 60; i++) {
        void *block = alloc(i % 10 == 9 ? 3000000 : 100 + i * 3000);
        if (block == nullptr) {
            EXPECT_EQ(fa_last_error().status, FA_ERROR_NO_MEMORY);
            continue;
        }
        Paint(block, i, 64);
        blocks.emplace_back(block, i);
    }
    EXPECT_GE(blocks.size(), 59u);
    for (const auto &[block, mark] : blocks)
        EXPECT_TRUE(IsPainted(block, mark, 64));
}

} // namespace fa_testing

#endif
