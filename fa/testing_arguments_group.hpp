// Bad arguments to the calls of group.h: for arguments_test.cc.
#ifndef FA_TESTING_ARGUMENTS_GROUP_HPP
#define FA_TESTING_ARGUMENTS_GROUP_HPP

#include "fa/testing_arguments.hpp"

namespace fa_testing {

inline const Call kGroupCalls[] = {
    {"fa_group_alloc",
     [](fa_allocator *, fa_frame *) {
         EACH_SIZE(REFUSED(fa_group_alloc(fa_group{}, size)))
         REFUSED(fa_group_alloc(fa_group{}, 16));
     }},
    {"fa_group_alloc_aligned",
     [](fa_allocator *, fa_frame *) {
         EACH_ALIGN(REFUSED(fa_group_alloc_aligned(fa_group{}, 16, align)))
     }},
    {"fa_group_alloc_batch",
     [](fa_allocator *, fa_frame *) { REFUSED(fa_group_alloc_batch(fa_group{}, 1, 16)); }},
    {"fa_group_alloc_with",
     [](fa_allocator *, fa_frame *) {
         const auto none = [](void *) {};
         REFUSED(fa_group_alloc_with(fa_group{}, 16, 16, none));
         REFUSED(fa_group_alloc_with(fa_group{}, 16, 16, nullptr));
         EACH_SIZE(REFUSED(fa_group_alloc_with(fa_group{}, size, 16, none)))
         EACH_ALIGN(REFUSED(fa_group_alloc_with(fa_group{}, 16, align, none)))
     }},
    {"fa_group_alloc_zeroed",
     [](fa_allocator *, fa_frame *) { REFUSED(fa_group_alloc_zeroed(fa_group{}, 1, 16)); }},
    {"fa_group_copy",
     [](fa_allocator *, fa_frame *) {
         REFUSED(fa_group_copy(fa_group{}, "text", 4));
         REFUSED(fa_group_copy(fa_group{}, nullptr, 4));
     }},
    {"fa_group_copy_string",
     [](fa_allocator *, fa_frame *) {
         REFUSED(fa_group_copy_string(fa_group{}, "text"));
         REFUSED(fa_group_copy_string(fa_group{}, nullptr));
     }},
    {"fa_group_count", [](fa_allocator *, fa_frame *) { EXPECT_EQ(fa_group_count(nullptr), 0u); }},
    {"fa_group_create",
     [](fa_allocator *, fa_frame *) { REFUSED(fa_group_create(nullptr, "group").head); }},
    {"fa_group_defer",
     [](fa_allocator *, fa_frame *) {
         INVALID(fa_group_defer(
             fa_group{}, [](void *) {}, nullptr));
         INVALID(fa_group_defer(fa_group{}, nullptr, nullptr));
     }},
    {"fa_group_free", [](fa_allocator *, fa_frame *) { INVALID(fa_group_free(fa_group{})); }},
    {"fa_group_is_open",
     [](fa_allocator *, fa_frame *) { EXPECT_FALSE(fa_group_is_open(fa_group{})); }},
    {"fa_group_stats_get",
     [](fa_allocator *, fa_frame *) {
         fa_group_stats stats = {};
         stats.bytes = 1;
         INVALID(fa_group_stats_get(fa_group{}, &stats));
         EXPECT_EQ(stats.bytes, 0u);
         INVALID(fa_group_stats_get(fa_group{}, nullptr));
     }},
    {"fa_group_visit",
     [](fa_allocator *a, fa_frame *) {
         const auto none = [](void *, fa_group, const fa_group_stats *) {};
         EXPECT_EQ(fa_group_visit(nullptr, none, nullptr), 0u);
         EXPECT_EQ(Taken(), FA_ERROR_INVALID);
         EXPECT_EQ(fa_group_visit(a, nullptr, nullptr), 0u);
         EXPECT_EQ(Taken(), FA_ERROR_INVALID);
     }},
};

} // namespace fa_testing

#endif
