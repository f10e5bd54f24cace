/* Owning scopes: what is begun or allocated here ends with the scope that it stands in, however
 * that is left: at its end, by return, break, continue or goto (but for longjmp). Last declared,
 * first ended. For gcc and clang, through their cleanup attribute.
 *
 *     bool load(fa_allocator *memory, const char *path) {
 *         fa_tag_scope(memory, FA_TAG_ASSETS, tag);
 *         fa_heap_scope(memory, char, 1 << 20, text);
 *         if (text == NULL || !read_file(path, text))
 *             return false;                              frees text, leaves the tag
 *         ...
 *
 * Each macro makes a declaration, and stands where one may stand; name is yours and new. What could
 * not be had is tested for as said below, and its end does nothing. Beside each the plain form
 * stands, for ends that are somewhere else:
 *
 *     scope                                      plain
 *     fa_frame_scope(allocator, name)            fa_frame_begin, fa_frame_end_in
 *     fa_pool_scope(allocator, type, name)       fa_pool_new, fa_pool_delete
 *     fa_heap_scope(allocator, type, count, ...) fa_heap_alloc_aligned, fa_heap_free
 *     fa_group_scope(allocator, text, name)      fa_group_create, fa_group_free
 *     fa_task_scope(allocator, text, name)       fa_task_begin, fa_task_end
 *     fa_task_capture_scope(task, name)          fa_task_capture_begin, fa_task_capture_end
 *     fa_tag_scope(allocator, tag, name)         fa_tag_guard_begin and _end below, or
 *                                                fa_tag_enter, fa_tag_leave
 *     fa_mark_scope_in(frame, name), mark.h      fa_mark_guard_begin_in, fa_mark_guard_end
 *     fa_phase_scope_in(frame, text), phase.h    fa_phase_begin_in, fa_phase_end_in
 *     fa_scratch_scope(allocator, name), scratch.h   fa_scratch_begin, fa_scratch_end
 *
 * As with every cleanup, nobody may jump past the declaration into its scope. C++ has destructors:
 * fa.hpp. */
#ifndef FA_SCOPE_H
#define FA_SCOPE_H

#include "fa/frame.h"
#include "fa/group.h"
#include "fa/heap.h"
#include "fa/mark.h"
#include "fa/phase.h"
#include "fa/pool.h"
#include "fa/tag.h"
#include "fa/task.h"

FA_EXTERN_C_BEGIN

/* Begins a frame on the calling thread: declares fa_frame *name, NULL when it was refused (as
 * fa_frame_begin; fa_last_error says why). Who ends the frame by hand sets name to NULL. */
#define fa_frame_scope(allocator, name)                                                            \
    FAI_SCOPE(fai_frame_scope_end) fa_frame *name = fa_frame_begin((allocator))

/* Allocates a pool object of a type, not initialised: declares type *const name, NULL when it was
 * refused (as fa_pool_new). It is freed, by its address, with the scope, on the thread that leaves
 * it, unless kept. */
#define fa_pool_scope(allocator, type, name)                                                       \
    FAI_SCOPE(fai_pool_scope_end)                                                                  \
    fai_scope_block fai_block_##name = {(allocator), NULL};                                        \
    type *const name = fa_pool_new(fai_block_##name.from, type);                                   \
    fai_block_##name.block = name

/* Allocates a heap block for count elements of a type, not initialised: declares type *const name,
 * NULL when it was refused (as fa_heap_alloc_aligned; FA_ERROR_INVALID also when the product
 * wraps). */
#define fa_heap_scope(allocator, type, count, name)                                                \
    FAI_SCOPE(fai_heap_scope_end)                                                                  \
    fai_scope_block fai_block_##name = {(allocator), NULL};                                        \
    type *const name = (type *)fa_heap_alloc_aligned(                                              \
        fai_block_##name.from, fai_scope_bytes((count), sizeof(type)), FA_ALIGNOF(type));          \
    fai_block_##name.block = name

/* Takes a block of fa_pool_scope or fa_heap_scope out of its scope, which will not free it: gives
 * name. For the one way out that succeeds: return fa_scope_keep(name). */
#define fa_scope_keep(name) (fai_block_##name.block = NULL, (name))

/* Makes a group (fa/group.h) with a name for reports: declares fa_group name, none when it was
 * refused (as fa_group_create): then all that is allocated from it is refused, too. Who frees the
 * group by hand, or passes it on, sets name to that of all zero. */
#define fa_group_scope(allocator, text, name)                                                      \
    FAI_SCOPE(fai_group_scope_end) fa_group name = fa_group_create((allocator), (text))

/* Begins a task (fa/task.h) with a name for reports: declares fa_task name, none when it was
 * refused (as fa_task_begin). Who ends it by hand, or lets it go on, sets name to all zero. */
#define fa_task_scope(allocator, text, name)                                                       \
    FAI_SCOPE(fai_task_scope_end) fa_task name = fa_task_begin((allocator), (text))

/* Has a task capture the thread's pool allocations until the end of the scope: declares
 * fai_task_capture name, whose status says whether it does (as fa_task_capture_begin). */
#define fa_task_capture_scope(task, name)                                                          \
    FAI_SCOPE(fai_task_capture_end) fai_task_capture name = fai_task_capture_begin((task))

/* A tag that is entered until the guard's end. */
typedef struct fa_tag_guard {
    fa_allocator *allocator; /* NULL: it is over, or was refused */
    fa_status status;        /* of entering */
} fa_tag_guard;

/* Enters a tag, and the tag of a name below the one that the thread is in. status says FA_OK or why
 * not, as fa_tag_enter and fa_tag_enter_name; then the thread is in the tag that it was in, and the
 * guard's end does nothing. */
static inline fa_tag_guard fa_tag_guard_begin(fa_allocator *allocator, fa_tag tag);
static inline fa_tag_guard fa_tag_guard_begin_name(fa_allocator *allocator, const char *text);

/* Leaves the tag that was entered last; what was entered since must have been left before. A guard
 * that is over does nothing, nor does NULL. */
static inline void fa_tag_guard_end(fa_tag_guard *guard);

/* Declares fa_tag_guard name, whose end is that of the scope: name.status tells whether the tag was
 * entered. */
#define fa_tag_scope(allocator, tag, name)                                                         \
    FAI_SCOPE(fa_tag_guard_end) fa_tag_guard name = fa_tag_guard_begin((allocator), (tag))
#define fa_tag_scope_name(allocator, text, name)                                                   \
    FAI_SCOPE(fa_tag_guard_end) fa_tag_guard name = fa_tag_guard_begin_name((allocator), (text))

/* ------------------------------------------------------------------------------------------------
 * What the macros are made of. */

#define FAI_SCOPE(end) __attribute__((cleanup(end), unused))

/* block NULL: there is nothing to free. */
typedef struct fai_scope_block {
    fa_allocator *from;
    void *block;
} fai_scope_block;

/* The largest number there is, which no request passes, for a product that wraps. */
static inline size_t fai_scope_bytes(size_t count, size_t size) {
    size_t bytes;
    return __builtin_mul_overflow(count, size, &bytes) ? SIZE_MAX : bytes;
}

static inline void fai_frame_scope_end(fa_frame **frame) {
    if (*frame != NULL)
        (void)fa_frame_end_in(*frame);
}

static inline void fai_group_scope_end(const fa_group *group) {
    if (group->head != NULL)
        (void)fa_group_free(*group);
}

static inline void fai_task_scope_end(const fa_task *task) {
    if (task->head != NULL)
        (void)fa_task_end(*task);
}

typedef struct fai_task_capture {
    fa_task task;
    fa_status status; /* of beginning */
} fai_task_capture;

static inline fai_task_capture fai_task_capture_begin(fa_task task) {
    fai_task_capture capture = {task, fa_task_capture_begin(task)};
    return capture;
}

static inline void fai_task_capture_end(const fai_task_capture *capture) {
    if (capture->status == FA_OK)
        (void)fa_task_capture_end(capture->task);
}

static inline void fai_pool_scope_end(const fai_scope_block *owned) {
    fa_pool_free(owned->from, owned->block);
}

static inline void fai_heap_scope_end(const fai_scope_block *owned) {
    fa_heap_free(owned->from, owned->block);
}

static inline fa_tag_guard fa_tag_guard_begin(fa_allocator *allocator, fa_tag tag) {
    fa_status status = fa_tag_enter(allocator, tag);
    fa_tag_guard guard = {status == FA_OK ? allocator : NULL, status};
    return guard;
}

static inline fa_tag_guard fa_tag_guard_begin_name(fa_allocator *allocator, const char *text) {
    fa_status status = fa_tag_enter_name(allocator, text);
    fa_tag_guard guard = {status == FA_OK ? allocator : NULL, status};
    return guard;
}

static inline void fa_tag_guard_end(fa_tag_guard *guard) {
    if (guard == NULL || guard->allocator == NULL)
        return;
    (void)fa_tag_leave(guard->allocator);
    guard->allocator = NULL;
}

FA_EXTERN_C_END

#endif
