// Bad arguments to the calls of own_arena.h and shared_arena.h: for arguments_test.cc.
#ifndef FA_TESTING_ARGUMENTS_ARENA_HPP
#define FA_TESTING_ARGUMENTS_ARENA_HPP

#include "fa/testing_arguments.hpp"

#include <functional>

namespace fa_testing {

// Tries a call with an arena that is all right but for what is bad.
inline void WithOwnArena(fa_allocator *a, const std::function<void(fa_own_arena)> &body) {
    const fa_own_arena arena = fa_own_arena_create(a, "arguments", 0, 0);
    body(arena);
    EXPECT_EQ(fa_own_arena_free(arena), FA_OK);
}

inline const Call kArenaCalls[] = {
    {"fa_own_arena_alloc",
     [](fa_allocator *a, fa_frame *) {
         REFUSED(fa_own_arena_alloc(fa_own_arena{}, 16));
         WithOwnArena(
             a, [](fa_own_arena arena) { EACH_SIZE(REFUSED(fa_own_arena_alloc(arena, size))) });
     }},
    {"fa_own_arena_alloc_aligned",
     [](fa_allocator *a, fa_frame *) {
         REFUSED(fa_own_arena_alloc_aligned(fa_own_arena{}, 16, 16));
         WithOwnArena(a, [](fa_own_arena arena) {
             EACH_SIZE(REFUSED(fa_own_arena_alloc_aligned(arena, size, 64)))
             EACH_ALIGN(REFUSED(fa_own_arena_alloc_aligned(arena, 16, align)))
         });
     }},
    {"fa_own_arena_alloc_batch",
     [](fa_allocator *a, fa_frame *) {
         REFUSED(fa_own_arena_alloc_batch(fa_own_arena{}, 1, 16));
         WithOwnArena(a, [](fa_own_arena arena) {
             EACH_PRODUCT(REFUSED(fa_own_arena_alloc_batch(arena, count, size)))
         });
     }},
    {"fa_own_arena_alloc_zeroed",
     [](fa_allocator *a, fa_frame *) {
         REFUSED(fa_own_arena_alloc_zeroed(fa_own_arena{}, 1, 16));
         WithOwnArena(a, [](fa_own_arena arena) {
             EACH_PRODUCT(REFUSED(fa_own_arena_alloc_zeroed(arena, size, count)))
         });
     }},
    {"fa_own_arena_copy",
     [](fa_allocator *a, fa_frame *) {
         REFUSED(fa_own_arena_copy(fa_own_arena{}, "text", 4));
         WithOwnArena(a, [](fa_own_arena arena) {
             REFUSED(fa_own_arena_copy(arena, nullptr, 4));
             EACH_SIZE(REFUSED(fa_own_arena_copy(arena, "text", size)))
         });
     }},
    {"fa_own_arena_copy_string",
     [](fa_allocator *a, fa_frame *) {
         REFUSED(fa_own_arena_copy_string(fa_own_arena{}, "text"));
         WithOwnArena(
             a, [](fa_own_arena arena) { REFUSED(fa_own_arena_copy_string(arena, nullptr)); });
     }},
    {"fa_own_arena_count",
     [](fa_allocator *, fa_frame *) { EXPECT_EQ(fa_own_arena_count(nullptr), 0u); }},
    {"fa_own_arena_create",
     [](fa_allocator *a, fa_frame *) {
         REFUSED(fa_own_arena_create(nullptr, "arena", 0, 0).head);
         REFUSED(fa_own_arena_create(a, "arena", FA_SIZE_MAX + 1, 0).head);
         REFUSED(fa_own_arena_create(a, "arena", 0, FA_SIZE_MAX + 1).head);
     }},
    {"fa_own_arena_free",
     [](fa_allocator *, fa_frame *) { INVALID(fa_own_arena_free(fa_own_arena{})); }},
    {"fa_own_arena_give",
     [](fa_allocator *, fa_frame *) { REFUSED(fa_own_arena_give(fa_own_arena{}).head); }},
    {"fa_own_arena_grow",
     [](fa_allocator *a, fa_frame *) {
         REFUSED(fa_own_arena_grow(fa_own_arena{}, nullptr, 0, 16));
         WithOwnArena(a, [](fa_own_arena arena) {
             EACH_SIZE(REFUSED(fa_own_arena_grow(arena, nullptr, 0, size)))
             void *block = fa_own_arena_alloc(arena, 16);
             EACH_SIZE(REFUSED(fa_own_arena_grow(arena, block, 16, size)))
         });
     }},
    {"fa_own_arena_is_held",
     [](fa_allocator *, fa_frame *) { EXPECT_FALSE(fa_own_arena_is_held(fa_own_arena{})); }},
    {"fa_own_arena_is_open",
     [](fa_allocator *, fa_frame *) { EXPECT_FALSE(fa_own_arena_is_open(fa_own_arena{})); }},
    {"fa_own_arena_mark_set",
     [](fa_allocator *, fa_frame *) { REFUSED(fa_own_arena_mark_set(fa_own_arena{}).head); }},
    {"fa_own_arena_reset",
     [](fa_allocator *, fa_frame *) { INVALID(fa_own_arena_reset(fa_own_arena{})); }},
    {"fa_own_arena_rewind",
     [](fa_allocator *, fa_frame *) {
         INVALID(fa_own_arena_rewind(fa_own_arena{}, fa_own_arena_mark{}));
     }},
    {"fa_own_arena_stats_get",
     [](fa_allocator *, fa_frame *) {
         fa_own_arena_stats stats = {};
         stats.bytes = 1;
         INVALID(fa_own_arena_stats_get(fa_own_arena{}, &stats));
         EXPECT_EQ(stats.bytes, 0u);
         INVALID(fa_own_arena_stats_get(fa_own_arena{}, nullptr));
     }},
    {"fa_own_arena_take",
     [](fa_allocator *, fa_frame *) { REFUSED(fa_own_arena_take(fa_own_arena{}).head); }},
    {"fa_own_arena_visit",
     [](fa_allocator *a, fa_frame *) {
         const auto none = [](void *, fa_own_arena, const fa_own_arena_stats *) {};
         EXPECT_EQ(fa_own_arena_visit(nullptr, none, nullptr), 0u);
         EXPECT_EQ(Taken(), FA_ERROR_INVALID);
         EXPECT_EQ(fa_own_arena_visit(a, nullptr, nullptr), 0u);
         EXPECT_EQ(Taken(), FA_ERROR_INVALID);
     }},
};

} // namespace fa_testing

#endif
