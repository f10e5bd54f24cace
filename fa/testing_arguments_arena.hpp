// Bad arguments to the calls of own_arena.h, shared_arena.h and task.h: for arguments_test.cc.
#ifndef FA_TESTING_ARGUMENTS_ARENA_HPP
#define FA_TESTING_ARGUMENTS_ARENA_HPP

#include "fa/testing_arguments.hpp"

#include <functional>

namespace fa_testing {

// Tries a call with an arena that is all right but for what is bad; of an allocator of its own, for
// it keeps its record.
inline void WithOwnArena(const std::function<void(fa_own_arena)> &body) {
    Allocator allocator(Plain());
    const fa_own_arena arena = fa_own_arena_create(allocator, "arguments", 0, 0);
    body(arena);
    EXPECT_EQ(fa_own_arena_free(arena), FA_OK);
}
inline void WithLocal(const std::function<void(fa_shared_arena_local *)> &body) {
    Allocator allocator(Plain());
    const fa_shared_arena arena = fa_shared_arena_create(allocator, "arguments", 0, 0);
    fa_shared_arena_local local;
    EXPECT_EQ(fa_shared_arena_begin(arena, &local), FA_OK);
    body(&local);
    EXPECT_EQ(fa_shared_arena_end(&local), FA_OK);
    EXPECT_EQ(fa_shared_arena_free(arena), FA_OK);
}

inline void WithTask(const std::function<void(fa_task)> &body) {
    Allocator allocator(Plain());
    const fa_task task = fa_task_begin(allocator, "arguments");
    body(task);
    EXPECT_EQ(fa_task_end(task), FA_OK);
}

inline const Call kTaskCalls[] = {
    {"fa_task_alloc",
     [](fa_allocator *, fa_frame *) {
         REFUSED(fa_task_alloc(fa_task{}, 16));
         WithTask([](fa_task task) { EACH_SIZE(REFUSED(fa_task_alloc(task, size))) });
     }},
    {"fa_task_alloc_zeroed",
     [](fa_allocator *, fa_frame *) {
         REFUSED(fa_task_alloc_zeroed(fa_task{}, 1, 16));
         WithTask(
             [](fa_task task) { EACH_PRODUCT(REFUSED(fa_task_alloc_zeroed(task, count, size))) });
     }},
    {"fa_task_alloc_with",
     [](fa_allocator *, fa_frame *) {
         fa_destructor_fn *none = [](void *) {};
         REFUSED(fa_task_alloc_with(fa_task{}, 16, none));
         WithTask([none](fa_task task) {
             REFUSED(fa_task_alloc_with(task, 16, nullptr));
             EACH_SIZE(REFUSED(fa_task_alloc_with(task, size, none)))
         });
     }},
    {"fa_task_begin",
     [](fa_allocator *, fa_frame *) { REFUSED(fa_task_begin(nullptr, "task").head); }},
    {"fa_task_capture_begin",
     [](fa_allocator *, fa_frame *) { INVALID(fa_task_capture_begin(fa_task{})); }},
    {"fa_task_capture_end",
     [](fa_allocator *, fa_frame *) { INVALID(fa_task_capture_end(fa_task{})); }},
    {"fa_task_carry",
     [](fa_allocator *, fa_frame *) {
         int local = 0;
         REFUSED(fa_task_carry(fa_task{}, nullptr));
         REFUSED(fa_task_carry(fa_task{}, &local));
     }},
    {"fa_task_check",
     [](fa_allocator *, fa_frame *) { INVALID(fa_task_check(fa_task{}, nullptr)); }},
    {"fa_task_copy",
     [](fa_allocator *, fa_frame *) {
         REFUSED(fa_task_copy(fa_task{}, "text", 4));
         WithTask([](fa_task task) {
             REFUSED(fa_task_copy(task, nullptr, 4));
             EACH_SIZE(REFUSED(fa_task_copy(task, "text", size)))
         });
     }},
    {"fa_task_copy_string",
     [](fa_allocator *, fa_frame *) {
         REFUSED(fa_task_copy_string(fa_task{}, "text"));
         WithTask([](fa_task task) { REFUSED(fa_task_copy_string(task, nullptr)); });
     }},
    {"fa_task_count", [](fa_allocator *, fa_frame *) { EXPECT_EQ(fa_task_count(nullptr), 0u); }},
    {"fa_task_defer",
     [](fa_allocator *, fa_frame *) {
         INVALID(fa_task_defer(
             fa_task{}, [](void *) {}, nullptr));
         WithTask([](fa_task task) { INVALID(fa_task_defer(task, nullptr, nullptr)); });
     }},
    {"fa_task_end", [](fa_allocator *, fa_frame *) { INVALID(fa_task_end(fa_task{})); }},
    {"fa_task_free",
     [](fa_allocator *, fa_frame *) {
         int local = 0;
         INVALID(fa_task_free(fa_task{}, nullptr));
         INVALID(fa_task_free(fa_task{}, &local));
     }},
    {"fa_task_is_open",
     [](fa_allocator *, fa_frame *) { EXPECT_FALSE(fa_task_is_open(fa_task{})); }},
    {"fa_task_realloc",
     [](fa_allocator *, fa_frame *) {
         int local = 0;
         REFUSED(fa_task_realloc(fa_task{}, nullptr, 16));
         REFUSED(fa_task_realloc(fa_task{}, &local, 16));
         WithTask([](fa_task task) {
             EACH_SIZE(REFUSED(fa_task_realloc(task, nullptr, size)))
             void *block = fa_task_alloc(task, 16);
             EACH_SIZE(REFUSED(fa_task_realloc(task, block, size)))
         });
     }},
    {"fa_task_stats_get",
     [](fa_allocator *, fa_frame *) {
         fa_task_stats stats = {};
         stats.bytes = 1;
         INVALID(fa_task_stats_get(fa_task{}, &stats));
         EXPECT_EQ(stats.bytes, 0u);
         INVALID(fa_task_stats_get(fa_task{}, nullptr));
     }},
    {"fa_task_visit",
     [](fa_allocator *a, fa_frame *) {
         const auto none = [](void *, fa_task, const fa_task_stats *) {};
         EXPECT_EQ(fa_task_visit(nullptr, none, nullptr), 0u);
         EXPECT_EQ(Taken(), FA_ERROR_INVALID);
         EXPECT_EQ(fa_task_visit(a, nullptr, nullptr), 0u);
         EXPECT_EQ(Taken(), FA_ERROR_INVALID);
     }},
};

inline const Call kArenaCalls[] = {
    {"fa_own_arena_alloc",
     [](fa_allocator *, fa_frame *) {
         REFUSED(fa_own_arena_alloc(fa_own_arena{}, 16));
         WithOwnArena(
             [](fa_own_arena arena) { EACH_SIZE(REFUSED(fa_own_arena_alloc(arena, size))) });
     }},
    {"fa_own_arena_alloc_aligned",
     [](fa_allocator *, fa_frame *) {
         REFUSED(fa_own_arena_alloc_aligned(fa_own_arena{}, 16, 16));
         WithOwnArena([](fa_own_arena arena) {
             EACH_SIZE(REFUSED(fa_own_arena_alloc_aligned(arena, size, 64)))
             EACH_ALIGN(REFUSED(fa_own_arena_alloc_aligned(arena, 16, align)))
         });
     }},
    {"fa_own_arena_alloc_batch",
     [](fa_allocator *, fa_frame *) {
         REFUSED(fa_own_arena_alloc_batch(fa_own_arena{}, 1, 16));
         WithOwnArena([](fa_own_arena arena) {
             EACH_PRODUCT(REFUSED(fa_own_arena_alloc_batch(arena, count, size)))
         });
     }},
    {"fa_own_arena_alloc_zeroed",
     [](fa_allocator *, fa_frame *) {
         REFUSED(fa_own_arena_alloc_zeroed(fa_own_arena{}, 1, 16));
         WithOwnArena([](fa_own_arena arena) {
             EACH_PRODUCT(REFUSED(fa_own_arena_alloc_zeroed(arena, size, count)))
         });
     }},
    {"fa_own_arena_copy",
     [](fa_allocator *, fa_frame *) {
         REFUSED(fa_own_arena_copy(fa_own_arena{}, "text", 4));
         WithOwnArena([](fa_own_arena arena) {
             REFUSED(fa_own_arena_copy(arena, nullptr, 4));
             EACH_SIZE(REFUSED(fa_own_arena_copy(arena, "text", size)))
         });
     }},
    {"fa_own_arena_copy_string",
     [](fa_allocator *, fa_frame *) {
         REFUSED(fa_own_arena_copy_string(fa_own_arena{}, "text"));
         WithOwnArena(
             [](fa_own_arena arena) { REFUSED(fa_own_arena_copy_string(arena, nullptr)); });
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
     [](fa_allocator *, fa_frame *) {
         REFUSED(fa_own_arena_grow(fa_own_arena{}, nullptr, 0, 16));
         WithOwnArena([](fa_own_arena arena) {
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
    {"fa_shared_arena_alloc",
     [](fa_allocator *, fa_frame *) {
         fa_shared_arena_local none = {};
         REFUSED(fa_shared_arena_alloc(nullptr, 16));
         REFUSED(fa_shared_arena_alloc(&none, 16));
         WithLocal([](fa_shared_arena_local *local) {
             EACH_SIZE(REFUSED(fa_shared_arena_alloc(local, size)))
         });
     }},
    {"fa_shared_arena_alloc_aligned",
     [](fa_allocator *, fa_frame *) {
         REFUSED(fa_shared_arena_alloc_aligned(nullptr, 16, 16));
         WithLocal([](fa_shared_arena_local *local) {
             EACH_SIZE(REFUSED(fa_shared_arena_alloc_aligned(local, size, 64)))
             EACH_ALIGN(REFUSED(fa_shared_arena_alloc_aligned(local, 16, align)))
         });
     }},
    {"fa_shared_arena_alloc_batch",
     [](fa_allocator *, fa_frame *) {
         REFUSED(fa_shared_arena_alloc_batch(nullptr, 1, 16));
         WithLocal([](fa_shared_arena_local *local) {
             EACH_PRODUCT(REFUSED(fa_shared_arena_alloc_batch(local, count, size)))
         });
     }},
    {"fa_shared_arena_alloc_zeroed",
     [](fa_allocator *, fa_frame *) {
         REFUSED(fa_shared_arena_alloc_zeroed(nullptr, 1, 16));
         WithLocal([](fa_shared_arena_local *local) {
             EACH_PRODUCT(REFUSED(fa_shared_arena_alloc_zeroed(local, size, count)))
         });
     }},
    {"fa_shared_arena_begin",
     [](fa_allocator *, fa_frame *) {
         fa_shared_arena_local local;
         INVALID(fa_shared_arena_begin(fa_shared_arena{}, &local));
         REFUSED(fa_shared_arena_alloc(&local, 16));
         INVALID(fa_shared_arena_begin(fa_shared_arena{}, nullptr));
     }},
    {"fa_shared_arena_copy",
     [](fa_allocator *, fa_frame *) {
         REFUSED(fa_shared_arena_copy(nullptr, "text", 4));
         WithLocal([](fa_shared_arena_local *local) {
             REFUSED(fa_shared_arena_copy(local, nullptr, 4));
             EACH_SIZE(REFUSED(fa_shared_arena_copy(local, "text", size)))
         });
     }},
    {"fa_shared_arena_copy_string",
     [](fa_allocator *, fa_frame *) {
         REFUSED(fa_shared_arena_copy_string(nullptr, "text"));
         WithLocal([](fa_shared_arena_local *local) {
             REFUSED(fa_shared_arena_copy_string(local, nullptr));
         });
     }},
    {"fa_shared_arena_count",
     [](fa_allocator *, fa_frame *) { EXPECT_EQ(fa_shared_arena_count(nullptr), 0u); }},
    {"fa_shared_arena_create",
     [](fa_allocator *a, fa_frame *) {
         REFUSED(fa_shared_arena_create(nullptr, "arena", 0, 0).head);
         REFUSED(fa_shared_arena_create(a, "arena", FA_SHARED_ARENA_BLOCK_MIN - 1, 0).head);
         REFUSED(fa_shared_arena_create(a, "arena", FA_SHARED_ARENA_BLOCK_MAX + 1, 0).head);
         REFUSED(fa_shared_arena_create(a, "arena", 0, FA_SIZE_MAX + 1).head);
     }},
    {"fa_shared_arena_end",
     [](fa_allocator *, fa_frame *) {
         fa_shared_arena_local none = {};
         INVALID(fa_shared_arena_end(nullptr));
         INVALID(fa_shared_arena_end(&none));
     }},
    {"fa_shared_arena_free",
     [](fa_allocator *, fa_frame *) { INVALID(fa_shared_arena_free(fa_shared_arena{})); }},
    {"fa_shared_arena_is_open",
     [](fa_allocator *, fa_frame *) { EXPECT_FALSE(fa_shared_arena_is_open(fa_shared_arena{})); }},
    {"fa_shared_arena_reset",
     [](fa_allocator *, fa_frame *) { INVALID(fa_shared_arena_reset(fa_shared_arena{})); }},
    {"fa_shared_arena_stats_get",
     [](fa_allocator *, fa_frame *) {
         fa_shared_arena_stats stats = {};
         stats.bytes = 1;
         INVALID(fa_shared_arena_stats_get(fa_shared_arena{}, &stats));
         EXPECT_EQ(stats.bytes, 0u);
         INVALID(fa_shared_arena_stats_get(fa_shared_arena{}, nullptr));
     }},
    {"fa_shared_arena_visit",
     [](fa_allocator *a, fa_frame *) {
         const auto none = [](void *, fa_shared_arena, const fa_shared_arena_stats *) {};
         EXPECT_EQ(fa_shared_arena_visit(nullptr, none, nullptr), 0u);
         EXPECT_EQ(Taken(), FA_ERROR_INVALID);
         EXPECT_EQ(fa_shared_arena_visit(a, nullptr, nullptr), 0u);
         EXPECT_EQ(Taken(), FA_ERROR_INVALID);
     }},
};

} // namespace fa_testing

#endif
