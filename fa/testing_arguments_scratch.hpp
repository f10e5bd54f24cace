// Bad arguments to the calls of scratch.h and scratch_pool.h: for arguments_test.cc.
#ifndef FA_TESTING_ARGUMENTS_SCRATCH_HPP
#define FA_TESTING_ARGUMENTS_SCRATCH_HPP

#include "fa/testing_arguments.hpp"

namespace fa_testing {

inline const Call kScratchCalls[] = {
    {"fa_scratch_alloc",
     [](fa_allocator *, fa_frame *) {
         EACH_SIZE(REFUSED(fa_scratch_alloc(fa_scratch{}, size)))
         REFUSED(fa_scratch_alloc(fa_scratch{}, 16));
     }},
    {"fa_scratch_alloc_aligned",
     [](fa_allocator *, fa_frame *) {
         EACH_ALIGN(REFUSED(fa_scratch_alloc_aligned(fa_scratch{}, 16, align)))
     }},
    {"fa_scratch_alloc_batch",
     [](fa_allocator *, fa_frame *) { REFUSED(fa_scratch_alloc_batch(fa_scratch{}, 1, 16)); }},
    {"fa_scratch_alloc_zeroed",
     [](fa_allocator *, fa_frame *) { REFUSED(fa_scratch_alloc_zeroed(fa_scratch{}, 1, 16)); }},
    {"fa_scratch_begin",
     [](fa_allocator *a, fa_frame *) {
         const fa_scratch none = {};
         REFUSED(fa_scratch_begin(nullptr, nullptr, 0).head);
         REFUSED(fa_scratch_begin(nullptr, &none, 1).head);
         REFUSED(fa_scratch_begin(a, nullptr, 1).head);
         REFUSED(fa_scratch_begin(a, nullptr, SIZE_MAX).head);
     }},
    {"fa_scratch_copy",
     [](fa_allocator *, fa_frame *) {
         REFUSED(fa_scratch_copy(fa_scratch{}, "text", 4));
         REFUSED(fa_scratch_copy(fa_scratch{}, nullptr, 4));
     }},
    {"fa_scratch_copy_string",
     [](fa_allocator *, fa_frame *) {
         REFUSED(fa_scratch_copy_string(fa_scratch{}, "text"));
         REFUSED(fa_scratch_copy_string(fa_scratch{}, nullptr));
     }},
    {"fa_scratch_end", [](fa_allocator *, fa_frame *) { INVALID(fa_scratch_end(fa_scratch{})); }},
    {"fa_scratch_grow",
     [](fa_allocator *, fa_frame *) {
         EACH_SIZE(REFUSED(fa_scratch_grow(fa_scratch{}, nullptr, 0, size)))
     }},
    {"fa_scratch_stats_get",
     [](fa_allocator *a, fa_frame *) {
         fa_scratch_stats stats = {};
         stats.bytes = 1;
         INVALID(fa_scratch_stats_get(nullptr, &stats));
         EXPECT_EQ(stats.bytes, 0u);
         INVALID(fa_scratch_stats_get(a, nullptr));
     }},
    {"fa_scratch_pool_alloc",
     [](fa_allocator *, fa_frame *) {
         EACH_SIZE(REFUSED(fa_scratch_pool_alloc(fa_scratch_pool{}, size)))
         REFUSED(fa_scratch_pool_alloc(fa_scratch_pool{}, 16));
     }},
    {"fa_scratch_pool_alloc_aligned",
     [](fa_allocator *, fa_frame *) {
         EACH_ALIGN(REFUSED(fa_scratch_pool_alloc_aligned(fa_scratch_pool{}, 16, align)))
     }},
    {"fa_scratch_pool_alloc_batch",
     [](fa_allocator *, fa_frame *) {
         REFUSED(fa_scratch_pool_alloc_batch(fa_scratch_pool{}, 1, 16));
     }},
    {"fa_scratch_pool_alloc_zeroed",
     [](fa_allocator *, fa_frame *) {
         REFUSED(fa_scratch_pool_alloc_zeroed(fa_scratch_pool{}, 1, 16));
     }},
    {"fa_scratch_pool_copy",
     [](fa_allocator *, fa_frame *) {
         REFUSED(fa_scratch_pool_copy(fa_scratch_pool{}, "text", 4));
         REFUSED(fa_scratch_pool_copy(fa_scratch_pool{}, nullptr, 4));
     }},
    {"fa_scratch_pool_copy_string",
     [](fa_allocator *, fa_frame *) {
         REFUSED(fa_scratch_pool_copy_string(fa_scratch_pool{}, "text"));
         REFUSED(fa_scratch_pool_copy_string(fa_scratch_pool{}, nullptr));
     }},
    {"fa_scratch_pool_count",
     [](fa_allocator *, fa_frame *) { EXPECT_EQ(fa_scratch_pool_count(nullptr), 0u); }},
    {"fa_scratch_pool_find",
     [](fa_allocator *a, fa_frame *) {
         EXPECT_EQ(fa_scratch_pool_find(nullptr, "pool").head, nullptr);
         EXPECT_EQ(fa_scratch_pool_find(a, nullptr).head, nullptr);
         EXPECT_EQ(fa_scratch_pool_find(a, "").head, nullptr);
     }},
    {"fa_scratch_pool_grow",
     [](fa_allocator *, fa_frame *) {
         EACH_SIZE(REFUSED(fa_scratch_pool_grow(fa_scratch_pool{}, nullptr, 0, size)))
     }},
    {"fa_scratch_pool_is_open",
     [](fa_allocator *, fa_frame *) { EXPECT_FALSE(fa_scratch_pool_is_open(fa_scratch_pool{})); }},
    {"fa_scratch_pool_mark_set",
     [](fa_allocator *, fa_frame *) {
         EXPECT_EQ(fa_scratch_pool_mark_set(fa_scratch_pool{}).serial, 0u);
         EXPECT_EQ(Taken(), FA_ERROR_INVALID);
     }},
    {"fa_scratch_pool_open",
     [](fa_allocator *a, fa_frame *) {
         REFUSED(fa_scratch_pool_open(nullptr, "pool", 0, 0).head);
         REFUSED(fa_scratch_pool_open(a, nullptr, 0, 0).head);
         REFUSED(fa_scratch_pool_open(a, "", 0, 0).head);
         EACH_SIZE(if (size != 0) REFUSED(fa_scratch_pool_open(a, "pool", size, 0).head))
         EACH_SIZE(if (size != 0) REFUSED(fa_scratch_pool_open(a, "pool", 0, size).head))
         EXPECT_EQ(fa_scratch_pool_count(a), 0u);
     }},
    {"fa_scratch_pool_remove",
     [](fa_allocator *, fa_frame *) { INVALID(fa_scratch_pool_remove(fa_scratch_pool{})); }},
    {"fa_scratch_pool_reset",
     [](fa_allocator *, fa_frame *) { INVALID(fa_scratch_pool_reset(fa_scratch_pool{})); }},
    {"fa_scratch_pool_reset_all",
     [](fa_allocator *, fa_frame *) {
         EXPECT_EQ(fa_scratch_pool_reset_all(nullptr), 0u);
         EXPECT_EQ(Taken(), FA_ERROR_INVALID);
     }},
    {"fa_scratch_pool_trim",
     [](fa_allocator *, fa_frame *) {
         EXPECT_EQ(fa_scratch_pool_trim(fa_scratch_pool{}), 0u);
         EXPECT_EQ(Taken(), FA_ERROR_INVALID);
     }},
    {"fa_scratch_pool_rewind",
     [](fa_allocator *, fa_frame *) {
         INVALID(fa_scratch_pool_rewind(fa_scratch_pool{}, fa_scratch_pool_mark{}));
     }},
    {"fa_scratch_pool_stats_get",
     [](fa_allocator *, fa_frame *) {
         fa_scratch_pool_stats stats = {};
         stats.bytes = 1;
         INVALID(fa_scratch_pool_stats_get(fa_scratch_pool{}, &stats));
         EXPECT_EQ(stats.bytes, 0u);
         INVALID(fa_scratch_pool_stats_get(fa_scratch_pool{}, nullptr));
     }},
    {"fa_scratch_pool_visit",
     [](fa_allocator *a, fa_frame *) {
         const auto none = [](void *, fa_scratch_pool, const fa_scratch_pool_stats *) {};
         EXPECT_EQ(fa_scratch_pool_visit(nullptr, none, nullptr), 0u);
         EXPECT_EQ(Taken(), FA_ERROR_INVALID);
         EXPECT_EQ(fa_scratch_pool_visit(a, nullptr, nullptr), 0u);
         EXPECT_EQ(Taken(), FA_ERROR_INVALID);
     }},
};

} // namespace fa_testing

#endif
