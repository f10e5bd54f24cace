// Bad arguments to retained and shared objects. Part of arguments_test.cc.
#ifndef FA_TESTING_ARGUMENTS_RETAIN_HPP
#define FA_TESTING_ARGUMENTS_RETAIN_HPP

#include "fa/testing_arguments.hpp"

namespace fa_testing {

#define NOT_RETAINED(call)                                                                         \
    do {                                                                                           \
        fa_last_error_clear();                                                                     \
        EXPECT_EQ((call).serial, 0u) << #call;                                                     \
        EXPECT_EQ(Taken(), FA_ERROR_INVALID) << #call;                                             \
    } while (0)

inline fa_retention NoPolicy() {
    fa_retention retention = fa_retain_to_pool();
    retention.policy = FA_RETAIN_POLICY_COUNT;
    return retention;
}

inline const Call kRetainCalls[] = {
    {"fa_retain_importance", Nothing}, // retain_test.cc
    {"fa_retain_reason_text", Nothing},
    {"fa_frame_retain",
     [](fa_allocator *a, fa_frame *) {
         NOT_RETAINED(fa_frame_retain(nullptr, 16, 16, fa_retain_to_pool()));
         NOT_RETAINED(fa_frame_retain(a, 16, 16, NoPolicy()));
         NOT_RETAINED(fa_frame_retain(a, 16, 16, fa_retain_to_scratch(nullptr)));
         EACH_SIZE(NOT_RETAINED(fa_frame_retain(a, size, 16, fa_retain_to_pool())))
         EACH_ALIGN(NOT_RETAINED(fa_frame_retain(a, 16, align, fa_retain_to_pool())))
         EXPECT_EQ(fa_frame_retained_count(a), 0u);
     }},
    {"fa_frame_retain_in",
     [](fa_allocator *, fa_frame *f) {
         NOT_RETAINED(fa_frame_retain_in(nullptr, 16, 16, fa_retain_to_pool()));
         NOT_RETAINED(fa_frame_retain_in(f, 16, 16, NoPolicy()));
         NOT_RETAINED(fa_frame_retain_in(f, 16, 16, fa_retain_to_scratch("")));
         EACH_SIZE(NOT_RETAINED(fa_frame_retain_in(f, size, 16, fa_retain_to_pool())))
         EACH_ALIGN(NOT_RETAINED(fa_frame_retain_in(f, 16, align, fa_retain_to_pool())))
     }},
    {"fa_frame_retain_copy",
     [](fa_allocator *a, fa_frame *) {
         NOT_RETAINED(fa_frame_retain_copy(nullptr, "x", 1, 16, fa_retain_to_pool()));
         NOT_RETAINED(fa_frame_retain_copy(a, nullptr, 1, 16, fa_retain_to_pool()));
         EACH_SIZE(NOT_RETAINED(fa_frame_retain_copy(a, "x", size, 16, fa_retain_to_pool())))
     }},
    {"fa_frame_retain_copy_in",
     [](fa_allocator *, fa_frame *f) {
         NOT_RETAINED(fa_frame_retain_copy_in(nullptr, "x", 1, 16, fa_retain_to_pool()));
         NOT_RETAINED(fa_frame_retain_copy_in(f, nullptr, 1, 16, fa_retain_to_pool()));
         EACH_ALIGN(NOT_RETAINED(fa_frame_retain_copy_in(f, "x", 1, align, fa_retain_to_pool())))
     }},
    {"fa_frame_retain_block",
     [](fa_allocator *a, fa_frame *) {
         void *block = fa_frame_alloc(a, 16);
         NOT_RETAINED(fa_frame_retain_block(nullptr, block, 16, 16, fa_retain_to_pool()));
         NOT_RETAINED(fa_frame_retain_block(a, nullptr, 16, 16, fa_retain_to_pool()));
         EACH_SIZE(NOT_RETAINED(fa_frame_retain_block(a, block, size, 16, fa_retain_to_pool())))
     }},
    {"fa_frame_retain_block_in",
     [](fa_allocator *, fa_frame *f) {
         void *block = fa_frame_alloc_in(f, 16);
         NOT_RETAINED(fa_frame_retain_block_in(nullptr, block, 16, 16, fa_retain_to_pool()));
         NOT_RETAINED(fa_frame_retain_block_in(f, nullptr, 16, 16, fa_retain_to_pool()));
         NOT_RETAINED(fa_frame_retain_block_in(f, block, 16, 16, NoPolicy()));
         EACH_ALIGN(
             NOT_RETAINED(fa_frame_retain_block_in(f, block, 16, align, fa_retain_to_pool())))
     }},
    {"fa_frame_retained_count",
     [](fa_allocator *, fa_frame *) { EXPECT_EQ(fa_frame_retained_count(nullptr), 0u); }},
    {"fa_frame_retained_count_in",
     [](fa_allocator *, fa_frame *) { EXPECT_EQ(fa_frame_retained_count_in(nullptr), 0u); }},
    {"fa_retained_get",
     [](fa_allocator *a, fa_frame *) {
         REFUSED(fa_retained_get(nullptr, fa_retained{}));
         EXPECT_EQ(fa_retained_get(a, fa_retained{}), nullptr);
         EXPECT_EQ(fa_retained_get(a, (fa_retained{UINT64_MAX, UINT32_MAX})), nullptr);
         EXPECT_EQ(Taken(), FA_ERROR_FOREIGN);
     }},
    {"fa_retained_kind_of",
     [](fa_allocator *a, fa_frame *) {
         EXPECT_EQ(fa_retained_kind_of(nullptr, fa_retained{}), FA_RETAINED_NONE);
         EXPECT_EQ(fa_retained_kind_of(a, fa_retained{}), FA_RETAINED_NONE);
     }},
    {"fa_retained_describe",
     [](fa_allocator *a, fa_frame *) {
         fa_retained_info info;
         INVALID(fa_retained_describe(nullptr, fa_retained{}, &info));
         INVALID(fa_retained_describe(a, fa_retained{}, nullptr));
         EXPECT_EQ(fa_retained_describe(a, fa_retained{}, &info), FA_ERROR_FOREIGN);
         EXPECT_EQ(info.size, 0u);
     }},
    {"fa_retained_set",
     [](fa_allocator *a, fa_frame *) {
         INVALID(fa_retained_set(nullptr, fa_retained{}, fa_retain_to_pool()));
         INVALID(fa_retained_set(a, fa_retained{}, NoPolicy()));
         EXPECT_EQ(fa_retained_set(a, fa_retained{}, fa_retain_to_pool()), FA_ERROR_FOREIGN);
     }},
    {"fa_retained_take",
     [](fa_allocator *a, fa_frame *) {
         REFUSED(fa_retained_take(nullptr, fa_retained{}));
         EXPECT_EQ(fa_retained_take(a, fa_retained{}), nullptr);
         EXPECT_EQ(Taken(), FA_ERROR_FOREIGN);
     }},
    {"fa_retained_release",
     [](fa_allocator *a, fa_frame *) {
         INVALID(fa_retained_release(nullptr, fa_retained{}));
         EXPECT_EQ(fa_retained_release(a, fa_retained{}), FA_ERROR_FOREIGN);
     }},
    {"fa_frame_end_with_summary",
     [](fa_allocator *a, fa_frame *) {
         fa_frame_summary summary;
         INVALID(fa_frame_end_with_summary(nullptr, &summary));
         INVALID(fa_frame_end_with_summary(a, nullptr));
         INVALID(fa_frame_end_with_summary(nullptr, nullptr));
     }},
    {"fa_frame_end_with_summary_in",
     [](fa_allocator *, fa_frame *f) {
         fa_frame_summary summary;
         INVALID(fa_frame_end_with_summary_in(nullptr, &summary));
         INVALID(fa_frame_end_with_summary_in(f, nullptr));
     }},
    {"fa_frame_summary_get",
     [](fa_allocator *a, fa_frame *) {
         fa_frame_summary summary;
         INVALID(fa_frame_summary_get(nullptr, &summary));
         INVALID(fa_frame_summary_get(a, nullptr));
         INVALID(fa_frame_summary_get(a, &summary));
     }},
    {"fa_frame_summary_tags",
     [](fa_allocator *a, fa_frame *) {
         EXPECT_EQ(fa_frame_summary_tags(nullptr, nullptr, 0), 0u);
         EXPECT_EQ(fa_frame_summary_tags(a, nullptr, 10), 0u);
     }},
    {"fa_frame_summary_phases",
     [](fa_allocator *a, fa_frame *) {
         EXPECT_EQ(fa_frame_summary_phases(nullptr, nullptr, 0), 0u);
         EXPECT_EQ(fa_frame_summary_phases(a, nullptr, 10), 0u);
     }},
    {"fa_frame_summary_objects",
     [](fa_allocator *a, fa_frame *) {
         EXPECT_EQ(fa_frame_summary_objects(nullptr, nullptr, 0), 0u);
         EXPECT_EQ(fa_frame_summary_objects(a, nullptr, 10), 0u);
     }},
    {"fa_shared_alloc",
     [](fa_allocator *a, fa_frame *) {
         REFUSED(fa_shared_alloc(nullptr, 16, 16, nullptr));
         EACH_SIZE(REFUSED(fa_shared_alloc(a, size, 16, nullptr)))
         EACH_ALIGN(REFUSED(fa_shared_alloc(a, 16, align, nullptr)))
     }},
    {"fa_shared_hold",
     [](fa_allocator *a, fa_frame *) {
         INVALID(fa_shared_hold(a, nullptr));
         int local[16] = {};
         INVALID(fa_shared_hold(nullptr, &local[8]));
     }},
    {"fa_shared_release",
     [](fa_allocator *a, fa_frame *) {
         EXPECT_EQ(fa_shared_release(a, nullptr), FA_OK);
         INVALID(fa_shared_release(nullptr, nullptr));
         INVALID(fa_shared_release(nullptr, a));
     }},
    {"fa_shared_count",
     [](fa_allocator *a, fa_frame *) {
         INVALID((fa_shared_count(a, nullptr), fa_last_error().status));
         INVALID((fa_shared_count(nullptr, a), fa_last_error().status));
     }},
    {"fa_shared_weak_count",
     [](fa_allocator *a, fa_frame *) {
         EXPECT_EQ(fa_shared_weak_count(a, nullptr), 0u);
         INVALID((fa_shared_weak_count(nullptr, a), fa_last_error().status));
     }},
    {"fa_weak_make",
     [](fa_allocator *a, fa_frame *) {
         EXPECT_EQ(fa_weak_make(a, nullptr).object, nullptr);
         INVALID((fa_weak_make(nullptr, a), fa_last_error().status));
     }},
    {"fa_weak_hold",
     [](fa_allocator *a, fa_frame *) {
         INVALID(fa_weak_hold(a, fa_weak{}));
         INVALID(fa_weak_hold(nullptr, fa_weak{a}));
     }},
    {"fa_weak_lock",
     [](fa_allocator *a, fa_frame *) {
         EXPECT_EQ(fa_weak_lock(a, fa_weak{}), nullptr);
         REFUSED(fa_weak_lock(nullptr, fa_weak{}));
     }},
    {"fa_weak_release",
     [](fa_allocator *a, fa_frame *) {
         EXPECT_EQ(fa_weak_release(a, fa_weak{}), FA_OK);
         INVALID(fa_weak_release(nullptr, fa_weak{}));
         INVALID(fa_weak_release(nullptr, fa_weak{a}));
     }},
};

} // namespace fa_testing

#endif
