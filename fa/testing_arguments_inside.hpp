// Bad arguments to what organises a frame: marks, clean-ups, phases. Part of arguments_test.cc.
#ifndef FA_TESTING_ARGUMENTS_INSIDE_HPP
#define FA_TESTING_ARGUMENTS_INSIDE_HPP

#include "fa/testing_arguments.hpp"

namespace fa_testing {

inline void Ignore(void *) { ADD_FAILURE() << "a clean-up that was refused"; }

inline const Call kInsideCalls[] = {
    {"fa_frame_defer",
     [](fa_allocator *a, fa_frame *) {
         INVALID(fa_frame_defer(nullptr, Ignore, a));
         INVALID(fa_frame_defer(a, nullptr, a));
     }},
    {"fa_frame_defer_in",
     [](fa_allocator *a, fa_frame *f) {
         INVALID(fa_frame_defer_in(nullptr, Ignore, a));
         INVALID(fa_frame_defer_in(f, nullptr, a));
     }},
    {"fa_frame_defer_cancel",
     [](fa_allocator *a, fa_frame *) {
         INVALID(fa_frame_defer_cancel(nullptr, Ignore, a));
         INVALID(fa_frame_defer_cancel(a, nullptr, nullptr));
         INVALID(fa_frame_defer_cancel(a, Ignore, a));
     }},
    {"fa_frame_defer_cancel_in",
     [](fa_allocator *a, fa_frame *f) {
         INVALID(fa_frame_defer_cancel_in(nullptr, Ignore, a));
         INVALID(fa_frame_defer_cancel_in(f, nullptr, nullptr));
         INVALID(fa_frame_defer_cancel_in(f, Ignore, a));
     }},
    {"fa_frame_mark",
     [](fa_allocator *, fa_frame *) {
         fa_last_error_clear();
         EXPECT_EQ(fa_frame_mark(nullptr).serial, 0u);
         EXPECT_EQ(Taken(), FA_ERROR_INVALID);
     }},
    {"fa_frame_mark_in",
     [](fa_allocator *, fa_frame *) {
         fa_last_error_clear();
         EXPECT_EQ(fa_frame_mark_in(nullptr).serial, 0u);
         EXPECT_EQ(Taken(), FA_ERROR_INVALID);
     }},
    {"fa_frame_rewind",
     [](fa_allocator *a, fa_frame *f) {
         INVALID(fa_frame_rewind(nullptr, fa_mark{}));
         INVALID(fa_frame_rewind(nullptr, fa_frame_mark(a)));
         EXPECT_EQ(fa_frame_rewind(a, fa_mark{}), FA_ERROR_FOREIGN);
         fa_mark mark = fa_frame_mark_in(f);
         mark.serial++;
         EXPECT_EQ(fa_frame_rewind(a, mark), FA_ERROR_FOREIGN);
     }},
    {"fa_frame_rewind_in",
     [](fa_allocator *, fa_frame *f) {
         INVALID(fa_frame_rewind_in(nullptr, fa_mark{}));
         INVALID(fa_frame_rewind_in(nullptr, fa_frame_mark_in(f)));
         EXPECT_EQ(fa_frame_rewind_in(f, fa_mark{}), FA_ERROR_FOREIGN);
         for (uint64_t serial : {uint64_t{1}, UINT64_MAX - 1})
             EXPECT_EQ(fa_frame_rewind_in(f, (fa_mark{nullptr, serial})), FA_ERROR_FOREIGN);
     }},
    {"fa_frame_speculate",
     [](fa_allocator *a, fa_frame *) {
         fa_attempt_fn *attempt = [](void *, fa_frame *) { return FA_OK; };
         INVALID(fa_frame_speculate(nullptr, attempt, nullptr));
         INVALID(fa_frame_speculate(a, nullptr, nullptr));
     }},
    {"fa_frame_speculate_in",
     [](fa_allocator *, fa_frame *f) {
         fa_attempt_fn *attempt = [](void *, fa_frame *) { return FA_OK; };
         INVALID(fa_frame_speculate_in(nullptr, attempt, nullptr));
         INVALID(fa_frame_speculate_in(f, nullptr, nullptr));
     }},
    {"fa_phase_begin",
     [](fa_allocator *a, fa_frame *) {
         INVALID(fa_phase_begin(nullptr, "x"));
         INVALID(fa_phase_begin(a, nullptr));
     }},
    {"fa_phase_begin_in",
     [](fa_allocator *, fa_frame *f) {
         INVALID(fa_phase_begin_in(nullptr, "x"));
         INVALID(fa_phase_begin_in(f, nullptr));
     }},
    {"fa_phase_end",
     [](fa_allocator *a, fa_frame *) {
         INVALID(fa_phase_end(nullptr));
         INVALID(fa_phase_end(a));
     }},
    {"fa_phase_end_in",
     [](fa_allocator *, fa_frame *f) {
         INVALID(fa_phase_end_in(nullptr));
         INVALID(fa_phase_end_in(f));
     }},
    {"fa_phase_count",
     [](fa_allocator *a, fa_frame *) {
         EXPECT_EQ(fa_phase_count(nullptr), 0u);
         EXPECT_EQ(Taken(), FA_ERROR_INVALID);
         EXPECT_EQ(fa_phase_count(a), 0u);
     }},
    {"fa_phase_lost_count",
     [](fa_allocator *a, fa_frame *) {
         EXPECT_EQ(fa_phase_lost_count(nullptr), 0u);
         EXPECT_EQ(fa_phase_lost_count(a), 0u);
     }},
    {"fa_phase_get",
     [](fa_allocator *a, fa_frame *) {
         fa_phase phase, zero;
         std::memset(&phase, 1, sizeof phase);
         std::memset(&zero, 0, sizeof zero);
         INVALID(fa_phase_get(nullptr, 0, &phase));
         EXPECT_EQ(std::memcmp(&phase, &zero, sizeof phase), 0);
         INVALID(fa_phase_get(a, 0, &phase));
         INVALID(fa_phase_get(a, SIZE_MAX, &phase));
         INVALID(fa_phase_get(a, 0, nullptr));
     }},
    {"fa_phase_find",
     [](fa_allocator *a, fa_frame *) {
         fa_phase phase;
         INVALID(fa_phase_find(nullptr, "x", &phase));
         INVALID(fa_phase_find(a, nullptr, &phase));
         INVALID(fa_phase_find(a, "x", nullptr));
         INVALID(fa_phase_find(a, "x", &phase));
         EXPECT_EQ(phase.count, 0u);
     }},
    {"fa_phase_current",
     [](fa_allocator *a, fa_frame *) {
         EXPECT_EQ(fa_phase_current(nullptr), nullptr);
         EXPECT_EQ(fa_phase_current(a), nullptr);
     }},
    {"fa_phase_format",
     [](fa_allocator *a, fa_frame *) {
         char text[4] = "abc";
         EXPECT_EQ(fa_phase_format(nullptr, text, sizeof text), 0u);
         EXPECT_STREQ(text, "");
         EXPECT_EQ(fa_phase_format(a, nullptr, 100), 0u);
     }},
    {"fa_mark_guard_begin",
     [](fa_allocator *, fa_frame *) {
         fa_last_error_clear();
         fa_mark_guard guard = fa_mark_guard_begin(nullptr);
         EXPECT_EQ(Taken(), FA_ERROR_INVALID);
         EXPECT_EQ(fa_mark_guard_end(&guard), FA_OK);
     }},
    {"fa_mark_guard_begin_in",
     [](fa_allocator *, fa_frame *) {
         fa_last_error_clear();
         fa_mark_guard guard = fa_mark_guard_begin_in(nullptr);
         EXPECT_EQ(Taken(), FA_ERROR_INVALID);
         EXPECT_EQ(fa_mark_guard_end(&guard), FA_OK);
     }},
    {"fa_mark_guard_commit", [](fa_allocator *, fa_frame *) { fa_mark_guard_commit(nullptr); }},
    {"fa_mark_guard_end", [](fa_allocator *, fa_frame *) { INVALID(fa_mark_guard_end(nullptr)); }},
};

} // namespace fa_testing

#endif
