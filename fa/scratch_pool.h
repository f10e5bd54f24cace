/* Named scratch pools: bump memory that lives until it is reset.
 *
 * For what is built up over several frames and then dropped at once: a level while it loads, a
 * batch of messages, what is promoted out of a frame (a pool of that name). A pool is found or made
 * by its name; an allocation is an add and a compare, as in a frame, and nothing is freed one by
 * one:
 *
 *     fa_scratch_pool loading = fa_scratch_pool_open(memory, "loading", 1 << 20, 0);
 *     mesh *parsed = fa_scratch_pool_array(loading, mesh, count);
 *     fa_scratch_pool_reset(loading);      all of it is dead; the memory stays for the next time
 *     fa_scratch_pool_remove(loading);     the memory goes back, and the handle is none any more
 *
 * A handle is a value, to be copied freely. One of a pool that was removed is refused in every
 * build (FA610), also when there is a pool of the same name again; so is one of all zero
 * (FA_ERROR_INVALID).
 *
 * A pool may be made on one thread and used on another, but only one thread at a time may be inside
 * of calls on it: the caller orders that. Where a call that is not inline finds another thread
 * inside, it is refused (FA611). Finding, making, removing and counting pools is for any thread at
 * any time.
 *
 * The memory comes from the heap, in chunks: the first of frame_chunk_bytes_first bytes, others
 * twice as large up to frame_chunk_bytes_max. They are charged to the tag that the thread is in
 * when the pool grows. A pool that was reset after it had grown goes on in one chunk of the size
 * that it has learned; after frame_trim_after resets in a row in which it needed at most a quarter
 * of that, it gives the rest back; fa_scratch_pool_trim does so at once.
 *
 * All blocks are aligned to at least 16, not initialised unless said otherwise (0xAB with
 * FA_CHECK_FILL). Failures return NULL, change nothing, and set fa_last_error:
 *
 * - FA_ERROR_INVALID: size 0 or above FA_SIZE_MAX, a product that wraps, a bad alignment
 * - FA_ERROR_FOREIGN: the pool was removed (FA610), or is in use by another thread (FA611)
 * - FA_ERROR_FULL: bytes_max of the pool is reached
 * - FA_ERROR_NO_MEMORY (FA701), FA_ERROR_LIMIT (FA301, FA302), FA_ERROR_SEALED (FA702): the heap
 *   has none */
#ifndef FA_SCRATCH_POOL_H
#define FA_SCRATCH_POOL_H

#include "fa/allocator.h"
#include "fa/bump.h"
#include "fa/config.h"

FA_EXTERN_C_BEGIN

/* A pool. All zero: none. */
typedef struct fa_scratch_pool {
    fai_bump_head *head;
    uint64_t serial;
} fa_scratch_pool;

/* ---- finding, making, removing ---- */

/* The pool of that name, made when there is none yet.
 * name: 1 to FA_NAME_BYTES - 1 bytes; copied. bytes_first: how much is likely to be needed; the
 * first chunk is that large, and trimming leaves so much; 0: nothing is known. bytes_max: most that
 * its blocks may take, with what is lost to alignment and to the ends of chunks (none is, below
 * bytes_first); 0: no limit. Both 0 to FA_SIZE_MAX; a pool that exists keeps its own.
 * Returns none: FA_ERROR_INVALID, or why there is no memory for the record. The pool's own memory
 * is taken when it is needed. O(pools), locks. */
FA_API fa_scratch_pool fa_scratch_pool_open(fa_allocator *allocator, const char *name,
                                            size_t bytes_first, size_t bytes_max);

/* The pool of that name; none, without a report, when there is none. O(pools), locks. */
FA_API fa_scratch_pool fa_scratch_pool_find(fa_allocator *allocator, const char *name);

/* Whether the pool exists; false for none. Any thread, O(1). */
FA_API bool fa_scratch_pool_is_open(fa_scratch_pool pool);

/* Removes the pool: its blocks are dead, its memory goes back to the heap, its handles are refused
 * from now on.
 * Returns FA_OK, FA_ERROR_INVALID for none, FA_ERROR_FOREIGN (FA610, FA611). */
FA_API fa_status fa_scratch_pool_remove(fa_scratch_pool pool);

/* Frees all blocks at once; marks are dead too.
 * Returns as fa_scratch_pool_remove. O(1) but after a time in which the pool grew. */
FA_API fa_status fa_scratch_pool_reset(fa_scratch_pool pool);

/* Gives back to the heap what the pool holds without use: all of it after a reset.
 * Returns the bytes; 0 also where the pool can't be used, as fa_scratch_pool_remove answers, and in
 * a sealed allocator. O(chunks). */
FA_API size_t fa_scratch_pool_trim(fa_scratch_pool pool);

/* Resets all pools of an allocator.
 * Returns how many were; those that another thread is inside of are left out (FA611). 0 for NULL
 * (FA_ERROR_INVALID). */
FA_API size_t fa_scratch_pool_reset_all(fa_allocator *allocator);

/* ---- numbers ---- */

typedef struct fa_scratch_pool_stats {
    char name[FA_NAME_BYTES];
    size_t bytes;         /* handed out since the last reset, rounded up to 16, with marks */
    size_t bytes_held;    /* in chunks: so much fits without another one, but for their ends */
    size_t bytes_peak;    /* most of bytes at once, ever */
    size_t bytes_max;     /* as the pool was made */
    uint64_t alloc_count; /* ever; 0 with FA_MINIMAL */
    uint64_t reset_count;
} fa_scratch_pool_stats;

/* Numbers of one pool. stats: filled; zeroed when the call fails: FA_ERROR_INVALID (NULL, none),
 * FA_ERROR_FOREIGN (FA610). Any thread at any time. */
FA_API fa_status fa_scratch_pool_stats_get(fa_scratch_pool pool, fa_scratch_pool_stats *stats);

/* Pools that there are; 0 for NULL. Any thread. */
FA_API size_t fa_scratch_pool_count(const fa_allocator *allocator);

/* Calls visit for each pool, in no order, with no lock held: the visitor may do what it likes. Any
 * thread. Pools that are made or removed meanwhile may be left out.
 * Returns how many were visited; 0 for NULL (FA_ERROR_INVALID). */
FA_API size_t fa_scratch_pool_visit(fa_allocator *allocator,
                                    void (*visit)(void *user, fa_scratch_pool pool,
                                                  const fa_scratch_pool_stats *stats),
                                    void *user);

/* ---- blocks ---- */

/* Allocates size bytes. O(1), inline. */
FA_API FA_RETURNS_BLOCK inline void *fa_scratch_pool_alloc(fa_scratch_pool pool, size_t size);

/* The same at an address that is a multiple of align: a power of two up to FA_ALIGN_MAX; less than
 * 16 counts as 16. */
FA_API FA_RETURNS_BLOCK void *fa_scratch_pool_alloc_aligned(fa_scratch_pool pool, size_t size,
                                                            size_t align);

/* The same for count elements of size bytes, side by side; all zero. Count as one allocation. */
FA_API FA_RETURNS_BLOCK inline void *fa_scratch_pool_alloc_batch(fa_scratch_pool pool, size_t count,
                                                                 size_t size);
FA_API FA_RETURNS_BLOCK void *fa_scratch_pool_alloc_zeroed(fa_scratch_pool pool, size_t count,
                                                           size_t size);

/* Changes the size of a block. The newest one grows and shrinks where it lies, O(1), unless a mark
 * was set since or it has a chunk of its own, being so large; another one is copied when it grows,
 * its alignment kept up to a cache line; the old place stays unused until the reset. block NULL
 * allocates. size_old: what was asked for. Returns NULL with the block untouched: also
 * FA_ERROR_FOREIGN when it is no block of the pool, or shows to have another size. */
FA_API void *fa_scratch_pool_grow(fa_scratch_pool pool, void *block, size_t size_old,
                                  size_t size_new) __attribute__((warn_unused_result));

/* Copies size bytes, or a string with its terminator. NULL is FA_ERROR_INVALID. */
FA_API FA_RETURNS_BLOCK void *fa_scratch_pool_copy(fa_scratch_pool pool, const void *source,
                                                   size_t size);
FA_API FA_RETURNS_BLOCK char *fa_scratch_pool_copy_string(fa_scratch_pool pool, const char *string);

/* Typed forms. The result is aligned for the type, whatever its alignment. */
#define fa_scratch_pool_new(pool, type) fa_scratch_pool_array(pool, type, 1)
#define fa_scratch_pool_array(pool, type, count)                                                   \
    ((type *)(FA_ALIGNOF(type) <= FA_ALIGN_MIN                                                     \
                  ? fa_scratch_pool_alloc_batch((pool), (count), sizeof(type))                     \
                  : fai_scratch_pool_array((pool), (count), sizeof(type), FA_ALIGNOF(type))))
#define fa_scratch_pool_array_zeroed(pool, type, count)                                            \
    ((type *)fai_scratch_pool_zeroed((pool), (count), sizeof(type), FA_ALIGNOF(type)))

/* ---- marks ---- */

/* A position in a pool, to go back to. All zero: no mark, refused by every rewind. */
typedef struct fa_scratch_pool_mark {
    const fai_bump_head *head;
    uint64_t serial; /* no two marks of a pool have the same */
} fa_scratch_pool_mark;

/* Marks where the pool stands: 32 bytes of it. The mark is dead when the pool is rewound to an
 * older one, or reset.
 * Returns a mark of all zero when the call fails, as an allocation does. O(1). */
FA_API fa_scratch_pool_mark fa_scratch_pool_mark_set(fa_scratch_pool pool);

/* Frees what was allocated since the mark was set; the mark stays, to be rewound to again.
 * Returns FA_OK; FA_ERROR_FOREIGN for a mark that is dead, zero or of another pool (FA008), or
 * FA610, FA611; FA_ERROR_INVALID for no pool. O(marks set since). */
FA_API fa_status fa_scratch_pool_rewind(fa_scratch_pool pool, fa_scratch_pool_mark mark);

/* ------------------------------------------------------------------------------------------------
 * Inline functions: the fast path. It succeeds when the pool exists, and the current chunk holds
 * the size, rounded up to 16. */

FA_API FA_COLD void *fai_scratch_pool_alloc_slow(fa_scratch_pool pool, size_t size);
FA_API void *fai_scratch_pool_array(fa_scratch_pool pool, size_t count, size_t size, size_t align);
FA_API void *fai_scratch_pool_zeroed(fa_scratch_pool pool, size_t count, size_t size, size_t align);

inline void *fa_scratch_pool_alloc(fa_scratch_pool pool, size_t size) {
    void *block;
    if (FA_UNLIKELY(!fai_bump_alloc(pool.head, pool.serial, size, &block)))
        return fai_scratch_pool_alloc_slow(pool, size);
    return block;
}

inline void *fa_scratch_pool_alloc_batch(fa_scratch_pool pool, size_t count, size_t size) {
    size_t bytes;
    if (FA_UNLIKELY(__builtin_mul_overflow(count, size, &bytes)))
        bytes = SIZE_MAX; /* refused by the slow path */
    return fa_scratch_pool_alloc(pool, bytes);
}

FA_EXTERN_C_END

#define FAI_SCRATCH_POOL_DECLARED
#include "fa/site.h"

#endif
