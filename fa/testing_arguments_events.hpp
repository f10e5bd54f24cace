// Bad arguments to the calls of events.h, and those of thread.h that read numbers: for
// arguments_test.cc.
#ifndef FA_TESTING_ARGUMENTS_EVENTS_HPP
#define FA_TESTING_ARGUMENTS_EVENTS_HPP

#include "fa/testing_arguments.hpp"

#include <string>

namespace fa_testing {

inline const Call kEventsCalls[] = {
    {"fa_events_kind_name",
     [](fa_allocator *, fa_frame *) {
         EXPECT_STREQ(fa_events_kind_name(FA_EVENTS_KIND_COUNT), "unknown");
     }},
    {"fa_events_stats_get",
     [](fa_allocator *a, fa_frame *) {
         fa_events_stats stats;
         INVALID(fa_events_stats_get(nullptr, &stats));
         INVALID(fa_events_stats_get(a, nullptr));
     }},
    {"fa_events_subscribe",
     [](fa_allocator *a, fa_frame *) {
         fa_events_id id = {77};
         fa_events_config good = {}, bad;
         good.kinds = FA_EVENTS_FRAMES;
         good.function = [](void *, const fa_events_item *) { ADD_FAILURE() << "called"; };
         INVALID(fa_events_subscribe(nullptr, &good, &id));
         EXPECT_EQ(id.id, 0u);
         INVALID(fa_events_subscribe(a, nullptr, &id));
         INVALID(fa_events_subscribe(a, nullptr, nullptr));
         for (uint32_t kinds : {0u, FA_EVENTS_BIT(FA_EVENTS_KIND_COUNT), ~0u}) {
             bad = good;
             bad.kinds = kinds;
             INVALID(fa_events_subscribe(a, &bad, &id));
         }
         bad = good;
         bad.function = nullptr;
         INVALID(fa_events_subscribe(a, &bad, &id));
         for (fa_tag tag : {FA_TAG_NONE, static_cast<fa_tag>(fa_tag_count(a))}) {
             bad = good;
             bad.tag = tag;
             INVALID(fa_events_subscribe(a, &bad, &id));
         }
         fa_events_stats stats;
         EXPECT_EQ(fa_events_stats_get(a, &stats), FA_OK);
         EXPECT_EQ(stats.subscriber_count, 0u);
     }},
    {"fa_events_unsubscribe",
     [](fa_allocator *a, fa_frame *) {
         INVALID(fa_events_unsubscribe(nullptr, fa_events_id{1}));
         for (uint64_t id : {uint64_t{0}, uint64_t{1}, uint64_t{256}, UINT64_MAX})
             EXPECT_EQ(fa_events_unsubscribe(a, fa_events_id{id}), FA_ERROR_FOREIGN);
     }},
    {"fa_thread_name",
     [](fa_allocator *a, fa_frame *) {
         INVALID(fa_thread_name(nullptr, "name"));
         INVALID(fa_thread_name(a, nullptr));
         EXPECT_EQ(fa_thread_name(a, ""), FA_OK);
         EXPECT_EQ(fa_thread_name(a, std::string(1000, 'x').c_str()), FA_OK);
     }},
    {"fa_thread_stats_here",
     [](fa_allocator *a, fa_frame *) {
         fa_thread_stats stats;
         stats.index = 77;
         INVALID(fa_thread_stats_here(nullptr, &stats));
         EXPECT_EQ(stats.index, 0u);
         INVALID(fa_thread_stats_here(a, nullptr));
     }},
    {"fa_thread_stats_sum",
     [](fa_allocator *a, fa_frame *) {
         fa_thread_stats stats;
         stats.frame_count = 77;
         INVALID(fa_thread_stats_sum(nullptr, &stats));
         EXPECT_EQ(stats.frame_count, 0u);
         INVALID(fa_thread_stats_sum(a, nullptr));
     }},
    {"fa_thread_visit",
     [](fa_allocator *a, fa_frame *) {
         fa_last_error_clear();
         EXPECT_EQ(fa_thread_visit(a, nullptr, nullptr), 0u);
         EXPECT_EQ(Taken(), FA_ERROR_INVALID);
         EXPECT_EQ(fa_thread_visit(
                       nullptr, [](void *, const fa_thread_stats *) { ADD_FAILURE(); }, nullptr),
                   0u);
         EXPECT_EQ(Taken(), FA_ERROR_INVALID);
     }},
};

} // namespace fa_testing

#endif
