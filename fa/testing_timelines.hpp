// What the tests of timelines share.
#ifndef FA_TESTING_TIMELINES_HPP
#define FA_TESTING_TIMELINES_HPP

#include "fa/testing_threads.hpp"

namespace fa_testing {

// An allocator over a source that can fail, and a timeline.
class Timeline : public testing::Test {
  public:
    Events events;
    Source source;
    fa_alloc_config config = Plain();

    void Create(const char *name = "gpu", uint32_t late_after = 0) {
        events.Watch(&config);
        config.backends[0] = source.backend;
        ASSERT_EQ(fa_allocator_create(&config, &allocator), FA_OK);
        gpu = Make(name, late_after);
        fa_last_error_clear();
    }
    fa_timeline *Make(const char *name, uint32_t late_after = 0) {
        fa_timeline_config of = {};
        of.name = name;
        of.late_after = late_after;
        fa_timeline *timeline = nullptr;
        EXPECT_EQ(fa_timeline_create(allocator, &of, &timeline), FA_OK);
        return timeline;
    }
    void TearDown() override {
        if (allocator == nullptr)
            return;
        ExpectValid(allocator);
        EXPECT_EQ(fa_allocator_destroy(allocator), 0u);
        EXPECT_EQ(source.BytesLive(), 0u);
    }

    // A frame that holds size bytes, painted, and ends on a value.
    char *Frame(uint64_t value, size_t size = 1000) {
        fa_frame *frame = fa_frame_begin(allocator);
        char *block = frame ? static_cast<char *>(fa_frame_alloc_in(frame, size)) : nullptr;
        EXPECT_NE(block, nullptr);
        Paint(block, value, size);
        EXPECT_EQ(fa_frame_end_on_in(frame, gpu, value), FA_OK);
        return block;
    }
    // Where the next frame's first block lies.
    char *Place() {
        fa_frame *frame = fa_frame_begin(allocator);
        char *block = static_cast<char *>(fa_frame_alloc_in(frame, 16));
        EXPECT_EQ(fa_frame_end_in(frame), FA_OK);
        return block;
    }
    size_t Kept() const { return Stats(allocator).frame_kept_count; }
    fa_timeline_stats Numbers(fa_timeline *timeline) const {
        fa_timeline_stats stats = {};
        EXPECT_EQ(fa_timeline_stats_get(timeline, &stats), FA_OK);
        return stats;
    }

    fa_allocator *allocator = nullptr;
    fa_timeline *gpu = nullptr;
};

} // namespace fa_testing

#endif
