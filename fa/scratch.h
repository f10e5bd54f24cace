/* Scratch scopes: memory of one function, from arenas that each thread has for it.
 *
 * A function that needs memory for itself begins a scope, takes what it needs, and ends the scope;
 * no frame need be open. Scopes nest. A function that allocates its result from a scope of its
 * caller names that scope as a conflict, and gets an arena that is none of these, so that the two
 * never collide (the scheme is known from C code of Ryan Fleury and others):
 *
 *     path *find_path(fa_allocator *memory, fa_scratch result, ...) {
 *         fa_scratch own = fa_scratch_begin(memory, &result, 1);
 *         node *open = fa_scratch_array(own, node, 1000);         gone at the end
 *         path *found = fa_scratch_new(result, path);             the caller's
 *         ...
 *         fa_scratch_end(own);
 *         return found;
 *     }
 *
 * Where the conflict is forgotten, the block would die with the inner scope. That is found, in
 * every build: a scope is refused while a newer one is open on its arena (FA612), and after its end
 * (FA610).
 *
 * A scope is a value. It belongs to the thread that began it; a foreign one is refused by every
 * call that is not inline (FA612), and with checks by all of them. Scopes that are still open when
 * their thread detaches or exits end with it.
 *
 * The memory comes from the heap, in chunks as those of a frame (frame_chunk_bytes_first,
 * frame_chunk_bytes_max), and is charged to the tag that the thread is in when an arena grows.
 * Arenas keep it: one that had to grow goes on in one chunk of the size that it has learned; after
 * frame_trim_after outermost scopes in a row that needed at most a quarter of that, the rest goes
 * back; all of it with fa_allocator_trim while no scope is open, and when the thread detaches.
 *
 * All blocks are aligned to at least 16, not initialised unless said otherwise (0xAB with
 * FA_CHECK_FILL), and live until their scope ends. Failures return NULL, change nothing, and set
 * fa_last_error:
 *
 * - FA_ERROR_INVALID: size 0 or above FA_SIZE_MAX, a product that wraps, a bad alignment, no scope
 * - FA_ERROR_FOREIGN: FA610, FA612
 * - FA_ERROR_NO_MEMORY (FA701), FA_ERROR_LIMIT (FA301, FA302), FA_ERROR_SEALED (FA702): the heap
 *   has none */
#ifndef FA_SCRATCH_H
#define FA_SCRATCH_H

#include "fa/allocator.h"
#include "fa/bump.h"

FA_EXTERN_C_BEGIN

/* Arenas that one thread has: so many scopes, less one, can be conflicts of another. */
#define FA_SCRATCH_ARENA_COUNT 4

/* A scope. All zero: none, refused by every call. */
typedef struct fa_scratch {
    fai_bump_head *head;
    uint64_t serial;
} fa_scratch;

/* Begins a scope on an arena of the calling thread that none of the conflicts is on.
 * conflicts: count scopes; NULL with 0. Of other threads, ended, and none are allowed: they do not
 * collide. Takes 32 bytes of the arena.
 * Returns none: FA_ERROR_INVALID (allocator or conflicts NULL), FA_ERROR_LIMIT (the conflicts are
 * on all arenas), or why there is no memory, or the thread can't be attached (FA202). O(count), no
 * lock but for an arena that grows. */
FA_API fa_scratch fa_scratch_begin(fa_allocator *allocator, const fa_scratch *conflicts,
                                   size_t count);

/* Ends a scope: its blocks are dead.
 * Returns FA_OK; FA_ERROR_INVALID for none; FA_ERROR_FOREIGN when it has ended before (FA610), is
 * another thread's, or a newer one is open on its arena (FA612): then nothing changes. O(1) but
 * after a time in which the arena grew. */
FA_API fa_status fa_scratch_end(fa_scratch scratch);

/* Declares a scope called name that ends with the block that it stands in, however that is left
 * (but for longjmp):
 *
 *     fa_scratch_scope(memory, own);
 *     fa_scratch_scope_beside(memory, own, &result, 1);
 *
 * Who ends it by hand sets name to that of all zero: own = (fa_scratch){NULL, 0}. */
#define fa_scratch_scope(allocator, name) fa_scratch_scope_beside(allocator, name, NULL, 0)
#define fa_scratch_scope_beside(allocator, name, conflicts, count)                                 \
    __attribute__((cleanup(fai_scratch_scope_end), unused)) fa_scratch name =                      \
        fa_scratch_begin((allocator), (conflicts), (count))

/* ---- blocks ---- */

/* Allocates size bytes. O(1), inline. */
FA_API FA_RETURNS_BLOCK inline void *fa_scratch_alloc(fa_scratch scratch, size_t size);

/* The same at an address that is a multiple of align: a power of two up to FA_ALIGN_MAX; less than
 * 16 counts as 16. */
FA_API FA_RETURNS_BLOCK void *fa_scratch_alloc_aligned(fa_scratch scratch, size_t size,
                                                       size_t align);

/* The same for count elements of size bytes, side by side; all zero. Count as one allocation. */
FA_API FA_RETURNS_BLOCK inline void *fa_scratch_alloc_batch(fa_scratch scratch, size_t count,
                                                            size_t size);
FA_API FA_RETURNS_BLOCK void *fa_scratch_alloc_zeroed(fa_scratch scratch, size_t count,
                                                      size_t size);

/* Changes the size of a block of the arena. The newest one grows and shrinks where it lies, O(1),
 * unless it is from before the scope, or so large that it has a chunk of its own; another one is
 * copied when it grows, its alignment kept up to a cache line. block NULL allocates. size_old: what
 * was asked for. Returns NULL with the block untouched: also FA_ERROR_FOREIGN when it is no block
 * of the arena, or shows to have another size. */
FA_API void *fa_scratch_grow(fa_scratch scratch, void *block, size_t size_old, size_t size_new)
    __attribute__((warn_unused_result));

/* Copies size bytes, or a string with its terminator. NULL is FA_ERROR_INVALID. */
FA_API FA_RETURNS_BLOCK void *fa_scratch_copy(fa_scratch scratch, const void *source, size_t size);
FA_API FA_RETURNS_BLOCK char *fa_scratch_copy_string(fa_scratch scratch, const char *string);

/* Typed forms. The result is aligned for the type, whatever its alignment. */
#define fa_scratch_new(scratch, type) fa_scratch_array(scratch, type, 1)
#define fa_scratch_array(scratch, type, count)                                                     \
    ((type *)(FA_ALIGNOF(type) <= FA_ALIGN_MIN                                                     \
                  ? fa_scratch_alloc_batch((scratch), (count), sizeof(type))                       \
                  : fai_scratch_array((scratch), (count), sizeof(type), FA_ALIGNOF(type))))
#define fa_scratch_array_zeroed(scratch, type, count)                                              \
    ((type *)fai_scratch_zeroed((scratch), (count), sizeof(type), FA_ALIGNOF(type)))

/* ---- numbers ---- */

/* What the calling thread's arenas hold. */
typedef struct fa_scratch_stats {
    size_t scope_count;   /* open ones */
    size_t bytes;         /* in them, rounded up to 16, with 32 for each */
    size_t bytes_held;    /* in chunks */
    size_t bytes_peak;    /* sum of the most that each arena ever had in use */
    uint64_t alloc_count; /* 0 with FA_MINIMAL */
} fa_scratch_stats;

/* Adds the numbers up. stats: filled; zeroed when the call fails: FA_ERROR_INVALID (NULL). All zero
 * for a thread that is not attached. O(open scopes), no lock. */
FA_API fa_status fa_scratch_stats_get(fa_allocator *allocator, fa_scratch_stats *stats);

/* ------------------------------------------------------------------------------------------------
 * Inline functions: the fast path. It succeeds when the scope is the newest on its arena, and the
 * current chunk holds the size, rounded up to 16. */

FA_API FA_COLD void *fai_scratch_alloc_slow(fa_scratch scratch, size_t size);
FA_API void *fai_scratch_array(fa_scratch scratch, size_t count, size_t size, size_t align);
FA_API void *fai_scratch_zeroed(fa_scratch scratch, size_t count, size_t size, size_t align);

inline void *fa_scratch_alloc(fa_scratch scratch, size_t size) {
    void *block;
    if (FA_UNLIKELY(!fai_bump_alloc(scratch.head, scratch.serial, size, &block)))
        return fai_scratch_alloc_slow(scratch, size);
    return block;
}

inline void *fa_scratch_alloc_batch(fa_scratch scratch, size_t count, size_t size) {
    size_t bytes;
    if (FA_UNLIKELY(__builtin_mul_overflow(count, size, &bytes)))
        bytes = SIZE_MAX; /* refused by the slow path */
    return fa_scratch_alloc(scratch, bytes);
}

static inline void fai_scratch_scope_end(const fa_scratch *scratch) {
    if (scratch->head != NULL)
        (void)fa_scratch_end(*scratch);
}

FA_EXTERN_C_END

#define FAI_SCRATCH_DECLARED
#include "fa/site.h"

#endif
