// What the tests of handle tables share.
#ifndef FA_TESTING_HANDLES_HPP
#define FA_TESTING_HANDLES_HPP

#include "fa/testing_threads.hpp"

#include <map>
#include <string>

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpedantic" // arrays of flexible length are C
#define _Static_assert static_assert
extern "C" {
#include "fa/internal/handle.h"
}
#undef _Static_assert
#pragma GCC diagnostic pop

namespace fa_testing {

inline bool operator==(fa_handle a, fa_handle b) { return fa_handle_equal(a, b); }

inline uint64_t KeyOf(fa_handle handle) {
    return static_cast<uint64_t>(handle.generation) << 32 | handle.index;
}

inline fa_handles_stats HandleStats(fa_handles *handles) {
    fa_handles_stats stats;
    EXPECT_EQ(fa_handles_stats_get(handles, &stats), FA_OK);
    return stats;
}

// The identities of fa/handle.h.
inline void ExpectHandleIdentities(fa_handles *handles, size_t slab_bytes = 65536) {
    const fa_handles_stats stats = HandleStats(handles);
    EXPECT_EQ(stats.live_count, stats.alloc_count - stats.free_count);
    EXPECT_EQ(stats.slot_count,
              stats.live_count + stats.slot_free_count + stats.slot_retired_count);
    EXPECT_GE(stats.slab_count, stats.slab_empty_count);
    EXPECT_GE(stats.bytes_held, stats.slab_count * slab_bytes);
    EXPECT_GE(stats.live_count, stats.pinned_count);
    EXPECT_GE(stats.fragmentation, 0);
    EXPECT_LE(stats.fragmentation, 1);
}

// Compacts to the end; returns what all steps did together.
inline fa_handles_step CompactAll(fa_handles *handles, size_t bytes_max = 0,
                                  uint64_t nanoseconds_max = 0) {
    fa_handles_step sum = {};
    while (!sum.done) {
        const fa_handles_step step = fa_handles_compact(handles, bytes_max, nanoseconds_max);
        sum.moved_count += step.moved_count;
        sum.moved_bytes += step.moved_bytes;
        sum.slab_count += step.slab_count;
        sum.bytes_returned += step.bytes_returned;
        sum.done = step.done;
    }
    return sum;
}

// The call resolves to nothing, with FA620 and nothing else reported.
#define EXPECT_STALE(handles, handle)                                                              \
    do {                                                                                           \
        EXPECT_EQ(fa_handle_get((handles), (handle)), nullptr);                                    \
        EXPECT_EQ(fa_handle_pin((handles), (handle)), nullptr);                                    \
        EXPECT_EQ(fa_handle_size((handles), (handle)), 0u);                                        \
        EXPECT_EQ(fa_handle_unpin((handles), (handle)), FA_ERROR_FOREIGN);                         \
        EXPECT_EQ(fa_last_error().diag, FA_DIAG_FA620);                                            \
        EXPECT_EQ(fa_handle_free((handles), (handle)), FA_ERROR_FOREIGN);                          \
        EXPECT_EQ(fa_last_error().diag, FA_DIAG_FA620);                                            \
    } while (0)

// A table in an allocator over a counted backend, in order at its end. All tests run plain and with
// all checks.
class Handles : public testing::TestWithParam<uint32_t> {
  protected:
    void SetUp() override {
        config_ = Plain();
        config_.checks = GetParam();
        events_.Watch(&config_);
        Open();
    }
    void Open(const fa_handles_options *options = nullptr) {
        Close();
        config_.backends[0] = source_.backend;
        ASSERT_EQ(fa_allocator_create(&config_, &allocator_), FA_OK);
        handles_ = fa_handles_create(allocator_, options);
        ASSERT_NE(handles_, nullptr);
    }
    void Check() {
        ExpectValid(allocator_);
        ExpectIdentities(allocator_);
        if (handles_ != nullptr)
            ExpectHandleIdentities(handles_);
    }
    void Close() {
        if (allocator_ == nullptr)
            return;
        Check();
        EXPECT_EQ(fa_allocator_destroy(allocator_), 0u) << "tables die with their allocator";
        EXPECT_EQ(source_.BytesLive(), 0u);
        allocator_ = nullptr;
        handles_ = nullptr;
    }
    void TearDown() override { Close(); }

    fa_handle Make(size_t size, uint64_t mark) {
        const fa_handle handle = fa_handle_alloc(handles_, size);
        EXPECT_FALSE(fa_handle_is_none(handle));
        Paint(fa_handle_get(handles_, handle), mark, size);
        return handle;
    }

    Source source_;
    Events events_;
    fa_alloc_config config_;
    fa_allocator *allocator_ = nullptr;
    fa_handles *handles_ = nullptr;
};

inline std::string CheckName(const testing::TestParamInfo<uint32_t> &checks) {
    return checks.param == 0 ? "Plain" : "Checked";
}
#define EACH_CHECK(suite)                                                                          \
    INSTANTIATE_TEST_SUITE_P(All, suite, testing::Values(0u, uint32_t{FA_CHECK_ALL}), CheckName)

} // namespace fa_testing

#endif
