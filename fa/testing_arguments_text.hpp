// Bad arguments to the functions of text.h.
#ifndef FA_TESTING_ARGUMENTS_TEXT_HPP
#define FA_TESTING_ARGUMENTS_TEXT_HPP

#include "fa/testing_arguments.hpp"

namespace fa_testing {

inline const Call kTextCalls[] = {
    {"fa_text_append",
     [](fa_allocator *, fa_frame *f) {
         fa_text text = fa_text_make_in(f, 0);
         INVALID(fa_text_append(nullptr, "x"));
         INVALID(fa_text_append(&text, nullptr));
     }},
    {"fa_text_append_char",
     [](fa_allocator *, fa_frame *) { INVALID(fa_text_append_char(nullptr, 'x')); }},
    {"fa_text_append_n",
     [](fa_allocator *, fa_frame *f) {
         fa_text text = fa_text_make_in(f, 0);
         INVALID(fa_text_append_n(nullptr, "x", 1));
         INVALID(fa_text_append_n(&text, nullptr, 1));
         for (volatile size_t n : {FA_SIZE_MAX, SIZE_MAX / 2, SIZE_MAX})
             INVALID(fa_text_append_n(&text, "x", n));
     }},
    {"fa_text_c_str", [](fa_allocator *, fa_frame *) { EXPECT_STREQ(fa_text_c_str(nullptr), ""); }},
    {"fa_text_clear", [](fa_allocator *, fa_frame *) { fa_text_clear(nullptr); }},
    {"fa_text_format",
     [](fa_allocator *, fa_frame *f) {
         fa_text text = fa_text_make_in(f, 0);
         const char *volatile none = nullptr;
         INVALID(fa_text_format(nullptr, "%d", 1));
         INVALID(fa_text_format(&text, none, 1));
     }},
    {"fa_text_format_list", Nothing}, // as fa_text_format, which calls it
    {"fa_text_insert",
     [](fa_allocator *, fa_frame *f) {
         fa_text text = fa_text_make_in(f, 0);
         INVALID(fa_text_insert(nullptr, 0, "x", 1));
         INVALID(fa_text_insert(&text, 1, "x", 1));
         INVALID(fa_text_insert(&text, SIZE_MAX, "x", 1));
         INVALID(fa_text_insert(&text, 0, nullptr, 1));
     }},
    {"fa_text_is_made", [](fa_allocator *, fa_frame *) { EXPECT_FALSE(fa_text_is_made(nullptr)); }},
    {"fa_text_make",
     [](fa_allocator *a, fa_frame *) {
         for (size_t capacity : {size_t{0}, size_t{10}})
             REFUSED(fa_text_make(nullptr, capacity).frame);
         REFUSED(fa_text_make(a, SIZE_MAX).bytes);
         REFUSED(fa_text_make(a, FA_SIZE_MAX).bytes);
     }},
    {"fa_text_make_in",
     [](fa_allocator *, fa_frame *f) {
         for (size_t capacity : {size_t{0}, size_t{10}})
             REFUSED(fa_text_make_in(nullptr, capacity).frame);
         REFUSED(fa_text_make_in(f, SIZE_MAX).bytes);
         REFUSED(fa_text_make_in(f, FA_SIZE_MAX).bytes);
     }},
    {"fa_text_reserve",
     [](fa_allocator *, fa_frame *f) {
         fa_text text = fa_text_make_in(f, 0);
         INVALID(fa_text_reserve(nullptr, 1));
         INVALID(fa_text_reserve(&text, FA_SIZE_MAX));
         INVALID(fa_text_reserve(&text, SIZE_MAX));
     }},
    {"fa_text_str", [](fa_allocator *, fa_frame *) { EXPECT_EQ(fa_text_str(nullptr).length, 0u); }},
    {"fa_text_truncate", [](fa_allocator *, fa_frame *) { fa_text_truncate(nullptr, 5); }},
};

} // namespace fa_testing

#endif
