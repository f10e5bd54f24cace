// Bad arguments to the calls of timeline.h: for arguments_test.cc.
#ifndef FA_TESTING_ARGUMENTS_TIMELINE_HPP
#define FA_TESTING_ARGUMENTS_TIMELINE_HPP

#include "fa/testing_arguments.hpp"

namespace fa_testing {

// A timeline for one call.
inline fa_timeline *MakeTimeline(fa_allocator *a) {
    fa_timeline *timeline = nullptr;
    EXPECT_EQ(fa_timeline_create(a, nullptr, &timeline), FA_OK);
    return timeline;
}

inline const Call kTimelineCalls[] = {
    {"fa_frame_end_all",
     [](fa_allocator *, fa_frame *) {
         fa_last_error_clear();
         EXPECT_EQ(fa_frame_end_all(nullptr), 0u);
         EXPECT_EQ(Taken(), FA_ERROR_INVALID);
     }},
    {"fa_frame_end_all_on",
     [](fa_allocator *a, fa_frame *) {
         fa_timeline *timeline = MakeTimeline(a);
         for (fa_allocator *allocator : {a, (fa_allocator *)nullptr}) {
             fa_last_error_clear();
             EXPECT_EQ(fa_frame_end_all_on(allocator, allocator ? nullptr : timeline, 1), 0u);
             EXPECT_EQ(Taken(), FA_ERROR_INVALID);
         }
         EXPECT_EQ(fa_timeline_destroy(timeline), FA_OK);
     }},
    {"fa_frame_end_on",
     [](fa_allocator *a, fa_frame *) {
         fa_timeline *timeline = MakeTimeline(a);
         INVALID(fa_frame_end_on(nullptr, timeline, 1));
         INVALID(fa_frame_end_on(a, nullptr, 1));
         EXPECT_EQ(fa_timeline_destroy(timeline), FA_OK);
     }},
    {"fa_frame_end_on_each",
     [](fa_allocator *a, fa_frame *) {
         const fa_timeline_point point = {MakeTimeline(a), 1}, none = {nullptr, 1};
         INVALID(fa_frame_end_on_each(nullptr, &point, 1));
         INVALID(fa_frame_end_on_each(a, nullptr, 1));
         INVALID(fa_frame_end_on_each(a, &none, 1));
         INVALID(fa_frame_end_on_each(a, &point, 0));
         INVALID(fa_frame_end_on_each(a, &point, FA_TIMELINE_POINT_COUNT_MAX + 1));
         INVALID(fa_frame_end_on_each(a, &point, SIZE_MAX));
         EXPECT_EQ(fa_timeline_destroy(point.timeline), FA_OK);
     }},
    {"fa_frame_end_on_each_in",
     [](fa_allocator *a, fa_frame *frame) {
         const fa_timeline_point point = {MakeTimeline(a), 1}, none = {nullptr, 1};
         INVALID(fa_frame_end_on_each_in(nullptr, &point, 1));
         INVALID(fa_frame_end_on_each_in(frame, nullptr, 1));
         INVALID(fa_frame_end_on_each_in(frame, &none, 1));
         INVALID(fa_frame_end_on_each_in(frame, &point, 0));
         INVALID(fa_frame_end_on_each_in(frame, &point, SIZE_MAX));
         EXPECT_EQ(fa_timeline_destroy(point.timeline), FA_OK);
     }},
    {"fa_frame_end_on_in",
     [](fa_allocator *a, fa_frame *frame) {
         fa_timeline *timeline = MakeTimeline(a);
         INVALID(fa_frame_end_on_in(nullptr, timeline, 1));
         INVALID(fa_frame_end_on_in(frame, nullptr, 1));
         EXPECT_EQ(fa_timeline_destroy(timeline), FA_OK);
     }},
    {"fa_timeline_advance",
     [](fa_allocator *, fa_frame *) { INVALID(fa_timeline_advance(nullptr, 1)); }},
    {"fa_timeline_create",
     [](fa_allocator *a, fa_frame *) {
         alignas(8) uint64_t word[2] = {};
         fa_timeline *timeline = nullptr;
         INVALID(fa_timeline_create(nullptr, nullptr, &timeline));
         INVALID(fa_timeline_create(a, nullptr, nullptr));
         fa_timeline_config config = {};
         config.word = reinterpret_cast<uint64_t *>(reinterpret_cast<char *>(word) + 4);
         INVALID(fa_timeline_create(a, &config, &timeline));
         config.word = word;
         config.read = [](void *) { return uint64_t{0}; };
         INVALID(fa_timeline_create(a, &config, &timeline));
         EXPECT_EQ(timeline, nullptr);
     }},
    {"fa_timeline_destroy",
     [](fa_allocator *, fa_frame *) { INVALID(fa_timeline_destroy(nullptr)); }},
    {"fa_timeline_name",
     [](fa_allocator *, fa_frame *) { EXPECT_STREQ(fa_timeline_name(nullptr), ""); }},
    {"fa_timeline_stats_get",
     [](fa_allocator *a, fa_frame *) {
         fa_timeline *timeline = MakeTimeline(a);
         fa_timeline_stats stats;
         INVALID(fa_timeline_stats_get(nullptr, &stats));
         EXPECT_EQ(stats.value_awaited, 0u);
         INVALID(fa_timeline_stats_get(timeline, nullptr));
         EXPECT_EQ(fa_timeline_destroy(timeline), FA_OK);
     }},
    {"fa_timeline_value",
     [](fa_allocator *, fa_frame *) {
         fa_last_error_clear();
         EXPECT_EQ(fa_timeline_value(nullptr), 0u);
         EXPECT_EQ(Taken(), FA_ERROR_INVALID);
     }},
};

} // namespace fa_testing

#endif
