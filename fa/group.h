/* Groups: memory that belongs together and dies together.
 *
 * For what makes up one thing of the program: a level with all that was loaded for it, a document,
 * a connection. Each group has bump memory of its own: an allocation is an add and a compare,
 * nothing is freed one by one, and objects that need it have a destructor:
 *
 *     fa_group level = fa_group_create(memory, "level 3");
 *     mesh *hills = fa_group_array(level, mesh, count);
 *     door *gate = fa_group_new_with(level, door, close_door);
 *     fa_group_free(level);      calls close_door(gate), then all of it is gone
 *
 * A handle is a value, to be copied freely. One of a group that was freed is refused in every build
 * (FA610): a second free, and any use, also long after, when other groups are where it was; so is
 * one of all zero (FA_ERROR_INVALID). What is left when the allocator is destroyed is freed then,
 * newest first, among all that the allocator owns; its destructors run.
 *
 * A group may be made on one thread and used on another, but only one thread at a time may be
 * inside of calls on it: the caller orders that. Where a call that is not inline finds another
 * thread inside, it is refused (FA611). Making, counting and visiting groups is for any thread at
 * any time.
 *
 * Groups may be many and small: an empty one takes about 250 bytes; its first 256 bytes of memory
 * are a pool object, later chunks are twice as large as the last one, up to
 * frame_chunk_bytes_first, those above the size of pool objects from the heap. All is charged to
 * the tag that the thread is in when the group grows, but for the records.
 *
 * All blocks are aligned to at least 16, not initialised unless said otherwise (0xAB with
 * FA_CHECK_FILL). Failures return NULL, change nothing, and set fa_last_error:
 *
 * - FA_ERROR_INVALID: size 0 or above FA_SIZE_MAX, a product that wraps, a bad alignment, no group
 * - FA_ERROR_FOREIGN: the group was freed (FA610), or is in use by another thread (FA611)
 * - FA_ERROR_NO_MEMORY (FA701), FA_ERROR_LIMIT (FA301, FA302), FA_ERROR_SEALED (FA702): pools and
 *   heap have none */
#ifndef FA_GROUP_H
#define FA_GROUP_H

#include "fa/allocator.h"
#include "fa/bump.h"
#include "fa/config.h"

FA_EXTERN_C_BEGIN

/* A group. All zero: none. */
typedef struct fa_group {
    fai_bump_head *head;
    uint64_t serial;
} fa_group;

/* Called once for an object when its group is freed, or with the argument of fa_group_defer. No
 * lock is held: it may allocate, free, and use other groups. All memory of its own group can still
 * be read, that of objects whose destructors have run too; the group itself can't be used any more
 * (FA610). */
typedef void fa_destructor_fn(void *object);

/* ---- making and freeing ---- */

/* Makes a group. name: for reports and visitors, need not be the only one of its kind; copied, cut
 * to FA_NAME_BYTES - 1 bytes; NULL: "".
 * Returns none: FA_ERROR_INVALID (allocator NULL), or why there is no memory for the record. O(1),
 * locks. */
FA_API fa_group fa_group_create(fa_allocator *allocator, const char *name);

/* Runs the destructors, those that came last first, and frees all memory of the group.
 * Returns FA_OK; FA_ERROR_INVALID for none, FA_ERROR_FOREIGN (FA610: freed before; FA611): then
 * nothing changes. O(destructors + chunks), locks. */
FA_API fa_status fa_group_free(fa_group group);

/* Whether the group exists; false for none. Any thread, O(1). */
FA_API bool fa_group_is_open(fa_group group);

/* ---- numbers ---- */

typedef struct fa_group_stats {
    char name[FA_NAME_BYTES];
    size_t bytes;          /* handed out, rounded up to 16, destructors included */
    size_t bytes_held;     /* in chunks */
    uint64_t object_count; /* allocations; 0 with FA_MINIMAL */
    uint64_t destructor_count;
} fa_group_stats;

/* Numbers of one group. stats: filled; zeroed when the call fails: FA_ERROR_INVALID (NULL, none),
 * FA_ERROR_FOREIGN (FA610). Any thread at any time. */
FA_API fa_status fa_group_stats_get(fa_group group, fa_group_stats *stats);

/* Groups that there are; 0 for NULL. Any thread. */
FA_API size_t fa_group_count(const fa_allocator *allocator);

/* Calls visit for each group, in no order, with no lock held: the visitor may do what it likes. Any
 * thread. Groups that are made or freed meanwhile may be left out.
 * Returns how many were visited; 0 for NULL (FA_ERROR_INVALID). */
FA_API size_t fa_group_visit(fa_allocator *allocator,
                             void (*visit)(void *user, fa_group group, const fa_group_stats *stats),
                             void *user);

/* ---- objects ---- */

/* Allocates size bytes. O(1), inline. */
FA_API FA_RETURNS_BLOCK inline void *fa_group_alloc(fa_group group, size_t size);

/* The same at an address that is a multiple of align: a power of two up to FA_ALIGN_MAX; less than
 * 16 counts as 16. */
FA_API FA_RETURNS_BLOCK void *fa_group_alloc_aligned(fa_group group, size_t size, size_t align);

/* The same for count elements of size bytes, side by side; all zero. Count as one object. */
FA_API FA_RETURNS_BLOCK inline void *fa_group_alloc_batch(fa_group group, size_t count,
                                                          size_t size);
FA_API FA_RETURNS_BLOCK void *fa_group_alloc_zeroed(fa_group group, size_t count, size_t size);

/* The same for an object with a destructor: 32 bytes more, or align, whichever is more.
 * FA_ERROR_INVALID also when destructor is NULL. Not declared as a block that nobody else knows, as
 * the others are: the compiler would leave out what is written for the destructor alone. */
FA_API void *fa_group_alloc_with(fa_group group, size_t size, size_t align,
                                 fa_destructor_fn *destructor)
    __attribute__((assume_aligned(16), warn_unused_result));

/* Has destructor called with argument as if it were an object allocated now: for what lies
 * elsewhere. argument may be NULL.
 * Returns FA_OK, FA_ERROR_INVALID when destructor is NULL, or why not, as an allocation. Takes 32
 * bytes, counts as one object. */
FA_API fa_status fa_group_defer(fa_group group, fa_destructor_fn *destructor, void *argument);

/* Copies size bytes, or a string with its terminator. NULL is FA_ERROR_INVALID. */
FA_API FA_RETURNS_BLOCK void *fa_group_copy(fa_group group, const void *source, size_t size);
FA_API FA_RETURNS_BLOCK char *fa_group_copy_string(fa_group group, const char *string);

/* Typed forms. The result is aligned for the type, whatever its alignment. */
#define fa_group_new(group, type) fa_group_array(group, type, 1)
#define fa_group_array(group, type, count)                                                         \
    ((type *)(FA_ALIGNOF(type) <= FA_ALIGN_MIN                                                     \
                  ? fa_group_alloc_batch((group), (count), sizeof(type))                           \
                  : fai_group_array((group), (count), sizeof(type), FA_ALIGNOF(type))))
#define fa_group_array_zeroed(group, type, count)                                                  \
    ((type *)fai_group_zeroed((group), (count), sizeof(type), FA_ALIGNOF(type)))
#define fa_group_new_with(group, type, destructor)                                                 \
    ((type *)fa_group_alloc_with((group), sizeof(type), FA_ALIGNOF(type), (destructor)))

/* ------------------------------------------------------------------------------------------------
 * Inline functions: the fast path. It succeeds when the group exists, and the current chunk holds
 * the size, rounded up to 16. */

FA_API FA_COLD void *fai_group_alloc_slow(fa_group group, size_t size);
FA_API void *fai_group_array(fa_group group, size_t count, size_t size, size_t align);
FA_API void *fai_group_zeroed(fa_group group, size_t count, size_t size, size_t align);

inline void *fa_group_alloc(fa_group group, size_t size) {
    void *block;
    if (FA_UNLIKELY(!fai_bump_alloc(group.head, group.serial, size, &block)))
        return fai_group_alloc_slow(group, size);
    return block;
}

inline void *fa_group_alloc_batch(fa_group group, size_t count, size_t size) {
    size_t bytes;
    if (FA_UNLIKELY(__builtin_mul_overflow(count, size, &bytes)))
        bytes = SIZE_MAX; /* refused by the slow path */
    return fa_group_alloc(group, bytes);
}

FA_EXTERN_C_END

#define FAI_GROUP_DECLARED
#include "fa/site.h"

#endif
