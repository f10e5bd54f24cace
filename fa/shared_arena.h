/* Shared arenas: bump memory that many threads allocate from at once.
 *
 * For the results of a parallel step, which all go together later: the contacts that all workers
 * find, the draw calls of all jobs. Each thread takes blocks of the arena, by one atomic addition,
 * and bumps inside of its own: an allocation is an add and a compare, as in a frame. Where a thread
 * is stands in a local, which it keeps where it likes, on its stack or with its job:
 *
 *     fa_shared_arena step = fa_shared_arena_create(memory, "contacts", 0, 0);
 *
 *     fa_shared_arena_local here;                          on each thread
 *     fa_shared_arena_begin(step, &here);
 *     contact *found = fa_shared_arena_new(&here, contact);
 *     fa_shared_arena_end(&here);                          what was found stays
 *
 *     fa_shared_arena_reset(step);                         once all have ended: all of it is gone
 *
 * A local belongs to the thread that began it, until anybody ends it; another thread is refused
 * (FA613) by all calls but the inline ones, and by these too with checks (fa_check) or under the
 * address sanitizer. Several locals of one thread may be open. What a block is written with is for
 * the program to hand to other threads in order, as with all memory.
 *
 * Resetting and freeing are refused while locals are open (FA614); beginning is, while another
 * thread resets. A handle of an arena that was freed, and a local that was ended, are refused
 * (FA610); those of all zero are FA_ERROR_INVALID. What is left dies with the allocator.
 *
 * In the child of a fork, a reset that another thread was at is over; locals of other threads are
 * open until somebody ends them, and where nobody can, the arena is not reset there any more.
 *
 * What is lost: a request of up to a quarter of a block that does not fit in the local's block goes
 * to a new one, so that less than a quarter of each block is; a larger one is cut out of the arena
 * by itself. At the end of a local the rest of its block is kept for the next local that needs one,
 * if it is a quarter or more. Locals of the same number of threads as before and the same work need
 * no more memory than before.
 *
 * The memory comes from the heap, in chunks: the first of frame_chunk_bytes_first or four blocks,
 * others twice as large up to frame_chunk_bytes_max, charged to the tag that the creating thread
 * was in. After a reset the arena goes on in one chunk of the size that it has learned; after
 * frame_trim_after resets in a row in which it needed at most a quarter of that, it gives it back.
 *
 * All blocks are aligned to at least 16, not initialised unless said otherwise (0xAB with
 * FA_CHECK_FILL). Failures return NULL, change nothing, and set fa_last_error:
 *
 * - FA_ERROR_INVALID: size 0 or above FA_SIZE_MAX, a product that wraps, a bad alignment, no local
 * - FA_ERROR_FOREIGN: the local was ended (FA610), or is another thread's (FA613)
 * - FA_ERROR_FULL: bytes_max of the arena is reached
 * - FA_ERROR_NO_MEMORY (FA701), FA_ERROR_LIMIT (FA301, FA302), FA_ERROR_SEALED (FA702): the heap
 *   has none */
#ifndef FA_SHARED_ARENA_H
#define FA_SHARED_ARENA_H

#include "fa/allocator.h"
#include "fa/bump.h"
#include "fa/config.h"

FA_EXTERN_C_BEGIN

#define FA_SHARED_ARENA_BLOCK_MIN ((size_t)1024)
#define FA_SHARED_ARENA_BLOCK_MAX ((size_t)1 << 20)

/* An arena. All zero: none. */
typedef struct fa_shared_arena {
    fai_bump_head *head;
    uint64_t serial;
} fa_shared_arena;

/* Where one thread is in an arena. To be begun; nothing in it is for the program. Two that are used
 * by different threads should not be on one cache line. */
typedef struct fa_shared_arena_local {
    char *cursor; /* 16-aligned; [cursor, limit) is free */
    char *limit;
    uint64_t alloc_count;
    char *since; /* what was handed out from here on is not counted yet */
    char *end;   /* of the block; limit is less where somebody must see each allocation */
    const void *user;
    struct fai_note *note, *note_first; /* newest and oldest */
    fa_shared_arena arena;
} fa_shared_arena_local;

/* ---- making, resetting, freeing ---- */

/* Makes an arena.
 * name: for reports and visitors, need not be the only one of its kind; copied, cut to
 * FA_NAME_BYTES - 1 bytes; NULL: "". block_bytes: what a thread takes at a time, rounded up to 64:
 * FA_SHARED_ARENA_BLOCK_MIN to FA_SHARED_ARENA_BLOCK_MAX; 0: 16 KiB. bytes_max: most that the
 * chunks may take; 0: no limit; up to FA_SIZE_MAX.
 * Returns none: FA_ERROR_INVALID, or why there is no memory for the record. O(1), locks. */
FA_API fa_shared_arena fa_shared_arena_create(fa_allocator *allocator, const char *name,
                                              size_t block_bytes, size_t bytes_max);

/* Whether the arena exists; false for none. Any thread, O(1). */
FA_API bool fa_shared_arena_is_open(fa_shared_arena arena);

/* Frees all blocks at once. Any thread, while no local is open.
 * Returns FA_OK, FA_ERROR_INVALID for none, FA_ERROR_FOREIGN (FA610, FA614): then nothing changes.
 * O(1) but after a time in which the arena grew. */
FA_API fa_status fa_shared_arena_reset(fa_shared_arena arena);

/* The same, and the arena itself: its memory goes back to the heap. */
FA_API fa_status fa_shared_arena_free(fa_shared_arena arena);

/* ---- locals ---- */

/* Begins a local of the calling thread. local: whatever it holds; must not be open.
 * Returns FA_OK; FA_ERROR_INVALID (NULL, none); FA_ERROR_FOREIGN (FA610; FA614: being reset or
 * freed by another thread): then it can't be used. O(1), no lock. */
FA_API fa_status fa_shared_arena_begin(fa_shared_arena arena, fa_shared_arena_local *local);

/* Ends a local: it can't be used any more, what was allocated stays. Any thread, after the last use
 * by its own.
 * Returns FA_OK; FA_ERROR_INVALID (NULL, never begun); FA_ERROR_FOREIGN (FA610: ended before).
 * O(1); a short lock where the rest of its block is worth keeping. */
FA_API fa_status fa_shared_arena_end(fa_shared_arena_local *local);

/* ---- numbers ---- */

/* Of open locals as far as their last full block. */
typedef struct fa_shared_arena_stats {
    char name[FA_NAME_BYTES];
    size_t bytes;         /* handed out since the last reset, rounded up to 16 */
    size_t bytes_wasted;  /* ends of blocks and chunks in which nothing fitted, since then */
    size_t bytes_held;    /* in chunks */
    size_t bytes_peak;    /* most of bytes at once, ever */
    size_t bytes_max;     /* as the arena was made */
    size_t block_bytes;   /* likewise */
    size_t local_count;   /* open ones */
    uint64_t alloc_count; /* ever; 0 with FA_MINIMAL */
    uint64_t block_count; /* taken by locals, ever */
    uint64_t reset_count; /* ever */
} fa_shared_arena_stats;

/* Numbers of one arena. stats: filled; zeroed when the call fails: FA_ERROR_INVALID (NULL, none),
 * FA_ERROR_FOREIGN (FA610). Any thread at any time. */
FA_API fa_status fa_shared_arena_stats_get(fa_shared_arena arena, fa_shared_arena_stats *stats);

/* Arenas that there are; 0 for NULL. Any thread. */
FA_API size_t fa_shared_arena_count(const fa_allocator *allocator);

/* Calls visit for each arena, in no order, with no lock held: the visitor may do what it likes. Any
 * thread. Arenas that are made or freed meanwhile may be left out.
 * Returns how many were visited; 0 for NULL (FA_ERROR_INVALID). */
FA_API size_t fa_shared_arena_visit(fa_allocator *allocator,
                                    void (*visit)(void *user, fa_shared_arena arena,
                                                  const fa_shared_arena_stats *stats),
                                    void *user);

/* ---- blocks ---- */

/* Allocates size bytes. O(1), inline. */
FA_API FA_RETURNS_BLOCK inline void *fa_shared_arena_alloc(fa_shared_arena_local *local,
                                                           size_t size);

/* The same at an address that is a multiple of align: a power of two up to FA_ALIGN_MAX; less than
 * 16 counts as 16. */
FA_API FA_RETURNS_BLOCK void *fa_shared_arena_alloc_aligned(fa_shared_arena_local *local,
                                                            size_t size, size_t align);

/* The same for count elements of size bytes, side by side; all zero. Count as one allocation. */
FA_API FA_RETURNS_BLOCK inline void *fa_shared_arena_alloc_batch(fa_shared_arena_local *local,
                                                                 size_t count, size_t size);
FA_API FA_RETURNS_BLOCK void *fa_shared_arena_alloc_zeroed(fa_shared_arena_local *local,
                                                           size_t count, size_t size);

/* Copies size bytes, or a string with its terminator. NULL is FA_ERROR_INVALID. */
FA_API FA_RETURNS_BLOCK void *fa_shared_arena_copy(fa_shared_arena_local *local, const void *source,
                                                   size_t size);
FA_API FA_RETURNS_BLOCK char *fa_shared_arena_copy_string(fa_shared_arena_local *local,
                                                          const char *string);

/* Typed forms. The result is aligned for the type, whatever its alignment. */
#define fa_shared_arena_new(local, type) fa_shared_arena_array(local, type, 1)
#define fa_shared_arena_array(local, type, count)                                                  \
    ((type *)(FA_ALIGNOF(type) <= FA_ALIGN_MIN                                                     \
                  ? fa_shared_arena_alloc_batch((local), (count), sizeof(type))                    \
                  : fai_shared_arena_array((local), (count), sizeof(type), FA_ALIGNOF(type))))
#define fa_shared_arena_array_zeroed(local, type, count)                                           \
    ((type *)fai_shared_arena_zeroed((local), (count), sizeof(type), FA_ALIGNOF(type)))

/* ------------------------------------------------------------------------------------------------
 * Inline functions: the fast path. It succeeds when the local's block holds the size, rounded up to
 * 16. */

FA_API FA_COLD void *fai_shared_arena_alloc_slow(fa_shared_arena_local *local, size_t size);
FA_API void *fai_shared_arena_array(fa_shared_arena_local *local, size_t count, size_t size,
                                    size_t align);
FA_API void *fai_shared_arena_zeroed(fa_shared_arena_local *local, size_t count, size_t size,
                                     size_t align);

inline void *fa_shared_arena_alloc(fa_shared_arena_local *local, size_t size) {
    size_t rounded = (size + (FA_ALIGN_MIN - 1)) & ~(FA_ALIGN_MIN - 1);
    if (FA_UNLIKELY(local == NULL))
        return fai_shared_arena_alloc_slow(local, size);
    char *cursor = local->cursor;
    /* A rounded size of 0 becomes the largest number there is: see fa_frame_alloc_in. */
    if (FA_UNLIKELY(rounded - 1 >= (size_t)(local->limit - cursor)))
        return fai_shared_arena_alloc_slow(local, size);
    local->cursor = cursor + rounded;
#ifndef FA_MINIMAL
    local->alloc_count++;
#endif
    FAI_BUMP_PREFETCH(cursor + rounded);
    return cursor;
}

inline void *fa_shared_arena_alloc_batch(fa_shared_arena_local *local, size_t count, size_t size) {
    size_t bytes;
    if (FA_UNLIKELY(__builtin_mul_overflow(count, size, &bytes)))
        bytes = SIZE_MAX; /* refused by the slow path */
    return fa_shared_arena_alloc(local, bytes);
}

FA_EXTERN_C_END

#define FAI_SHARED_ARENA_DECLARED
#include "fa/site.h"

#endif
