// Bad arguments to the calls of tag.h: for arguments_test.cc.
#ifndef FA_TESTING_ARGUMENTS_TAG_HPP
#define FA_TESTING_ARGUMENTS_TAG_HPP

#include "fa/testing_arguments.hpp"

namespace fa_testing {

inline fa_tagged NoAllocator() { return fa_tagged{nullptr, FA_TAG_UI}; }
inline fa_tagged NoTag(fa_allocator *allocator) { return fa_tagged{allocator, FA_TAG_NONE}; }
inline fa_tagged Ui(fa_allocator *allocator) { return fa_tagged{allocator, FA_TAG_UI}; }

// A frame or heap form of the facade; pool forms would make the tag's pool on the way.
#define TAGGED(call, ...)                                                                          \
    do {                                                                                           \
        REFUSED(call(NoAllocator(), __VA_ARGS__));                                                 \
        REFUSED(call(NoTag(a), __VA_ARGS__));                                                      \
    } while (0)

inline const Call kTagCalls[] = {
    {"fa_tag_count", [](fa_allocator *, fa_frame *) { EXPECT_EQ(fa_tag_count(nullptr), 0u); }},
    {"fa_tag_current",
     [](fa_allocator *, fa_frame *) { EXPECT_EQ(fa_tag_current(nullptr), FA_TAG_ROOT); }},
    {"fa_tag_enter",
     [](fa_allocator *a, fa_frame *) {
         INVALID(fa_tag_enter(nullptr, FA_TAG_UI));
         INVALID(fa_tag_enter(a, FA_TAG_NONE));
         INVALID(fa_tag_enter(a, FA_TAG_STANDARD_COUNT));
         INVALID(fa_tag_enter(a, FA_TAG_COUNT_MAX));
     }},
    {"fa_tag_enter_name",
     [](fa_allocator *a, fa_frame *) {
         INVALID(fa_tag_enter_name(nullptr, "ai"));
         INVALID(fa_tag_enter_name(a, nullptr));
         INVALID(fa_tag_enter_name(a, "ai::"));
     }},
    {"fa_tag_find",
     [](fa_allocator *a, fa_frame *) {
         EXPECT_EQ(fa_tag_find(nullptr, "ui"), FA_TAG_NONE);
         EXPECT_EQ(fa_tag_find(a, nullptr), FA_TAG_NONE);
         EXPECT_EQ(fa_tag_find(a, ""), FA_TAG_NONE);
     }},
    {"fa_tag_format",
     [](fa_allocator *a, fa_frame *) {
         char text[4] = "abc";
         EXPECT_EQ(fa_tag_format(nullptr, text, sizeof text), 0u);
         EXPECT_STREQ(text, "");
         EXPECT_GT(fa_tag_format(a, nullptr, 0), 0u);
         EXPECT_GT(fa_tag_format(a, nullptr, 100), 0u);
     }},
    {"fa_tag_intern",
     [](fa_allocator *a, fa_frame *) {
         for (const char *path : {(const char *)nullptr, "", "::", "a::"}) {
             EXPECT_EQ(fa_tag_intern(a, path), FA_TAG_NONE);
             EXPECT_EQ(Taken(), FA_ERROR_INVALID);
         }
         EXPECT_EQ(fa_tag_intern(nullptr, "ai"), FA_TAG_NONE);
         EXPECT_EQ(Taken(), FA_ERROR_INVALID);
     }},
    {"fa_tag_leave",
     [](fa_allocator *a, fa_frame *) {
         INVALID(fa_tag_leave(nullptr));
         INVALID(fa_tag_leave(a));
     }},
    {"fa_tag_parent",
     [](fa_allocator *a, fa_frame *) {
         EXPECT_EQ(fa_tag_parent(nullptr, FA_TAG_UI), FA_TAG_NONE);
         EXPECT_EQ(Taken(), FA_ERROR_INVALID);
         EXPECT_EQ(fa_tag_parent(a, FA_TAG_NONE), FA_TAG_NONE);
         EXPECT_EQ(Taken(), FA_ERROR_INVALID);
     }},
    {"fa_tag_path",
     [](fa_allocator *a, fa_frame *) {
         char text[8] = "abc";
         EXPECT_EQ(fa_tag_path(nullptr, FA_TAG_UI, text, sizeof text), SIZE_MAX);
         EXPECT_EQ(Taken(), FA_ERROR_INVALID);
         EXPECT_STREQ(text, "");
         EXPECT_EQ(fa_tag_path(a, FA_TAG_STANDARD_COUNT, text, sizeof text), SIZE_MAX);
         EXPECT_EQ(fa_tag_path(a, FA_TAG_UI, nullptr, 8), SIZE_MAX);
         EXPECT_EQ(Taken(), FA_ERROR_INVALID);
     }},
    {"fa_tag_stats_find",
     [](fa_allocator *a, fa_frame *) {
         fa_tag_stats stats;
         INVALID(fa_tag_stats_find(nullptr, "ui", &stats));
         INVALID(fa_tag_stats_find(a, nullptr, &stats));
         INVALID(fa_tag_stats_find(a, "unknown", &stats));
         INVALID(fa_tag_stats_find(a, "ui", nullptr));
     }},
    {"fa_tag_stats_get",
     [](fa_allocator *a, fa_frame *) {
         fa_tag_stats stats;
         memset(&stats, 1, sizeof stats);
         INVALID(fa_tag_stats_get(nullptr, FA_TAG_UI, &stats));
         EXPECT_EQ(stats.heap_live_bytes, 0u);
         INVALID(fa_tag_stats_get(a, FA_TAG_NONE, &stats));
         INVALID(fa_tag_stats_get(a, FA_TAG_UI, nullptr));
     }},
    {"fa_tag_visit",
     [](fa_allocator *a, fa_frame *) {
         EXPECT_EQ(fa_tag_visit(
                       nullptr, [](void *, const fa_tag_stats *) {}, nullptr),
                   0u);
         EXPECT_EQ(Taken(), FA_ERROR_INVALID);
         EXPECT_EQ(fa_tag_visit(a, nullptr, nullptr), 0u);
         EXPECT_EQ(Taken(), FA_ERROR_INVALID);
     }},
    {"fa_tagged_frame_alloc",
     [](fa_allocator *a, fa_frame *) { TAGGED(fa_tagged_frame_alloc, 8); }},
    {"fa_tagged_frame_alloc_aligned",
     [](fa_allocator *a, fa_frame *) { TAGGED(fa_tagged_frame_alloc_aligned, 8, 64); }},
    {"fa_tagged_frame_alloc_zeroed",
     [](fa_allocator *a, fa_frame *) { TAGGED(fa_tagged_frame_alloc_zeroed, 1, 8); }},
    {"fa_tagged_heap_alloc",
     [](fa_allocator *a, fa_frame *) {
         TAGGED(fa_tagged_heap_alloc, 8);
         EACH_SIZE(REFUSED(fa_tagged_heap_alloc(Ui(a), size)));
     }},
    {"fa_tagged_heap_alloc_aligned",
     [](fa_allocator *a, fa_frame *) {
         TAGGED(fa_tagged_heap_alloc_aligned, 8, 64);
         EACH_SIZE(REFUSED(fa_tagged_heap_alloc_aligned(Ui(a), size, 64)));
         EACH_ALIGN(REFUSED(fa_tagged_heap_alloc_aligned(Ui(a), 8, align)));
     }},
    {"fa_tagged_heap_alloc_zeroed",
     [](fa_allocator *a, fa_frame *) {
         TAGGED(fa_tagged_heap_alloc_zeroed, 1, 8);
         EACH_PRODUCT(REFUSED(fa_tagged_heap_alloc_zeroed(Ui(a), size, count)));
     }},
    {"fa_tagged_pool_alloc", [](fa_allocator *a, fa_frame *) { TAGGED(fa_tagged_pool_alloc, 8); }},
    {"fa_tagged_pool_alloc_aligned",
     [](fa_allocator *a, fa_frame *) { TAGGED(fa_tagged_pool_alloc_aligned, 8, 64); }},
    {"fa_tagged_pool_alloc_zeroed",
     [](fa_allocator *a, fa_frame *) { TAGGED(fa_tagged_pool_alloc_zeroed, 1, 8); }},
};

#undef TAGGED

} // namespace fa_testing

#endif
