/* Owned arenas: bump memory that belongs to no thread, but to one thread at a time.
 *
 * For fibers, coroutines and jobs that begin on one thread and go on on another: what they allocate
 * lives with them, and not with the frame of the thread that they happen to run on. (What a frame
 * itself goes through is no concern of yours; many threads at once in one arena: shared_arena.h.)
 *
 *     fa_own_arena arena = fa_own_arena_create(memory, "fiber", 4096, 0);    held by this thread
 *     path *found = fa_own_arena_array(arena, path, count);
 *     job->arena = fa_own_arena_give(arena);         held by nobody; then pass the job on
 *
 *     fa_own_arena arena = fa_own_arena_take(job->arena);      on the thread that goes on with it
 *     ...
 *     fa_own_arena_free(arena);
 *
 * Giving and taking each return a new handle, and the one before is good for nothing any more: so a
 * thread that goes on using what it gave away is refused (FA613), in every build and by the same
 * compare that each allocation makes anyway. Of several threads that take with one handle, one
 * gets the arena. All that the giver wrote is seen by the taker, however the handle got there. A
 * copy of the handle that is held, used on another thread, is found by all calls but the inline
 * ones, and by these too with checks (fa_check) or under the address sanitizer.
 *
 * A handle of an arena that was freed is refused (FA610); so is one of all zero
 * (FA_ERROR_INVALID). A thread that exits gives nothing: what it holds can't be taken, and dies
 * with the allocator, as all arenas do that are left; so it is in the child of a fork with what
 * other threads held.
 *
 * The memory comes from the heap, in chunks: the first of bytes_first, others twice as large up to
 * frame_chunk_bytes_max, charged to the tag that the creating thread was in, whoever makes the
 * arena grow. After a reset it goes on in one chunk of the size that it has learned; after
 * frame_trim_after resets in a row in which it needed at most a quarter of that, it gives the rest
 * back.
 *
 * All blocks are aligned to at least 16, not initialised unless said otherwise (0xAB with
 * FA_CHECK_FILL). Failures return NULL, change nothing, and set fa_last_error:
 *
 * - FA_ERROR_INVALID: size 0 or above FA_SIZE_MAX, a product that wraps, a bad alignment, no arena
 * - FA_ERROR_FOREIGN: the arena was freed (FA610), or is not held by this thread (FA613)
 * - FA_ERROR_FULL: bytes_max of the arena is reached
 * - FA_ERROR_NO_MEMORY (FA701), FA_ERROR_LIMIT (FA301, FA302), FA_ERROR_SEALED (FA702): the heap
 *   has none */
#ifndef FA_OWN_ARENA_H
#define FA_OWN_ARENA_H

#include "fa/allocator.h"
#include "fa/bump.h"
#include "fa/config.h"

FA_EXTERN_C_BEGIN

/* An arena, and the right to use it, or to take it. All zero: none. */
typedef struct fa_own_arena {
    fai_bump_head *head;
    uint64_t serial;
} fa_own_arena;

/* ---- making, handing over, freeing ---- */

/* Makes an arena, held by the calling thread.
 * name: for reports and visitors, need not be the only one of its kind; copied, cut to
 * FA_NAME_BYTES - 1 bytes; NULL: "". bytes_first: size of the first chunk, which is taken when it
 * is needed; trimming leaves so much; 0: frame_chunk_bytes_first. bytes_max: most that its blocks
 * may take, with what is lost to alignment and to the ends of chunks; 0: no limit. Both up to
 * FA_SIZE_MAX.
 * Returns none: FA_ERROR_INVALID (allocator NULL, sizes), or why there is no memory for the record.
 * O(1), locks. */
FA_API fa_own_arena fa_own_arena_create(fa_allocator *allocator, const char *name,
                                        size_t bytes_first, size_t bytes_max);

/* Gives the arena away: from now on nobody holds it.
 * Returns the handle to take it with; none when the call fails: FA_ERROR_INVALID (none),
 * FA_ERROR_FOREIGN (FA610; FA613: not held by this thread). O(1), no lock. */
FA_API fa_own_arena fa_own_arena_give(fa_own_arena arena);

/* Takes an arena that was given: from now on the calling thread holds it.
 * Returns the handle to use it with; none when the call fails: FA_ERROR_INVALID (none),
 * FA_ERROR_FOREIGN (FA610; FA613: it is held, or was taken with this handle before). O(1), no
 * lock. */
FA_API fa_own_arena fa_own_arena_take(fa_own_arena arena);

/* Whether this handle is the one that the calling thread holds the arena with. Any thread, O(1). */
FA_API bool fa_own_arena_is_held(fa_own_arena arena);

/* Whether the arena exists, with any handle that it ever had; false for none. Any thread, O(1). */
FA_API bool fa_own_arena_is_open(fa_own_arena arena);

/* Frees the arena: its blocks are dead, its memory goes back to the heap. One that the calling
 * thread holds, or that nobody does.
 * Returns FA_OK, FA_ERROR_INVALID for none, FA_ERROR_FOREIGN (FA610, FA613): then nothing changes.
 * O(chunks), locks. */
FA_API fa_status fa_own_arena_free(fa_own_arena arena);

/* Frees all blocks at once; marks are dead too.
 * Returns FA_OK, FA_ERROR_INVALID for none, FA_ERROR_FOREIGN (FA610, FA613). O(1) but after a time
 * in which the arena grew. */
FA_API fa_status fa_own_arena_reset(fa_own_arena arena);

/* ---- numbers ---- */

typedef struct fa_own_arena_stats {
    char name[FA_NAME_BYTES];
    size_t bytes;             /* handed out since the last reset, rounded up to 16, with marks */
    size_t bytes_held;        /* in chunks */
    size_t bytes_peak;        /* most of bytes at once, ever */
    size_t bytes_max;         /* as the arena was made */
    uint64_t alloc_count;     /* ever; 0 with FA_MINIMAL */
    uint64_t reset_count;     /* ever */
    uint64_t hand_over_count; /* how often it was taken */
    bool is_held;             /* by any thread */
} fa_own_arena_stats;

/* Numbers of one arena, with any handle that it ever had. stats: filled; zeroed when the call
 * fails: FA_ERROR_INVALID (NULL, none), FA_ERROR_FOREIGN (FA610). Any thread at any time. */
FA_API fa_status fa_own_arena_stats_get(fa_own_arena arena, fa_own_arena_stats *stats);

/* Arenas that there are; 0 for NULL. Any thread. */
FA_API size_t fa_own_arena_count(const fa_allocator *allocator);

/* Calls visit for each arena, in no order, with no lock held: the visitor may do what it likes. The
 * handle that it gets is for fa_own_arena_stats_get and for comparing. Any thread. Arenas that are
 * made or freed meanwhile may be left out.
 * Returns how many were visited; 0 for NULL (FA_ERROR_INVALID). */
FA_API size_t fa_own_arena_visit(fa_allocator *allocator,
                                 void (*visit)(void *user, fa_own_arena arena,
                                               const fa_own_arena_stats *stats),
                                 void *user);

/* ---- blocks ---- */

/* Allocates size bytes. O(1), inline. */
FA_API FA_RETURNS_BLOCK inline void *fa_own_arena_alloc(fa_own_arena arena, size_t size);

/* The same at an address that is a multiple of align: a power of two up to FA_ALIGN_MAX; less than
 * 16 counts as 16. */
FA_API FA_RETURNS_BLOCK void *fa_own_arena_alloc_aligned(fa_own_arena arena, size_t size,
                                                         size_t align);

/* The same for count elements of size bytes, side by side; all zero. Count as one allocation. */
FA_API FA_RETURNS_BLOCK inline void *fa_own_arena_alloc_batch(fa_own_arena arena, size_t count,
                                                              size_t size);
FA_API FA_RETURNS_BLOCK void *fa_own_arena_alloc_zeroed(fa_own_arena arena, size_t count,
                                                        size_t size);

/* Changes the size of a block. The newest one grows and shrinks where it lies, O(1), unless a mark
 * was set since; another one is copied when it grows, its alignment kept up to a cache line; the
 * old place stays unused until the reset. block NULL allocates. size_old: what was asked for.
 * Returns NULL with the block untouched: also FA_ERROR_FOREIGN when it lies elsewhere. */
FA_API void *fa_own_arena_grow(fa_own_arena arena, void *block, size_t size_old, size_t size_new)
    __attribute__((warn_unused_result));

/* Copies size bytes, or a string with its terminator. NULL is FA_ERROR_INVALID. */
FA_API FA_RETURNS_BLOCK void *fa_own_arena_copy(fa_own_arena arena, const void *source,
                                                size_t size);
FA_API FA_RETURNS_BLOCK char *fa_own_arena_copy_string(fa_own_arena arena, const char *string);

/* Typed forms. The result is aligned for the type, whatever its alignment. */
#define fa_own_arena_new(arena, type) fa_own_arena_array(arena, type, 1)
#define fa_own_arena_array(arena, type, count)                                                     \
    ((type *)(FA_ALIGNOF(type) <= FA_ALIGN_MIN                                                     \
                  ? fa_own_arena_alloc_batch((arena), (count), sizeof(type))                       \
                  : fai_own_arena_array((arena), (count), sizeof(type), FA_ALIGNOF(type))))
#define fa_own_arena_array_zeroed(arena, type, count)                                              \
    ((type *)fai_own_arena_zeroed((arena), (count), sizeof(type), FA_ALIGNOF(type)))

/* ---- marks ---- */

/* A position in an arena, to go back to. All zero: no mark, refused by every rewind. */
typedef struct fa_own_arena_mark {
    const fai_bump_head *head;
    uint64_t serial; /* no two marks of an arena have the same */
} fa_own_arena_mark;

/* Marks where the arena stands: 32 bytes of it. The mark is dead when the arena is rewound to an
 * older one, or reset; handing the arena over does not change it.
 * Returns a mark of all zero when the call fails, as an allocation does. O(1). */
FA_API fa_own_arena_mark fa_own_arena_mark_set(fa_own_arena arena);

/* Frees what was allocated since the mark was set; the mark stays, to be rewound to again.
 * Returns FA_OK; FA_ERROR_FOREIGN for a mark that is dead, zero or of another arena (FA008), or
 * FA610, FA613; FA_ERROR_INVALID for no arena. O(marks set since). */
FA_API fa_status fa_own_arena_rewind(fa_own_arena arena, fa_own_arena_mark mark);

/* ------------------------------------------------------------------------------------------------
 * Inline functions: the fast path. It succeeds when the handle is the arena's newest, and the
 * current chunk holds the size, rounded up to 16. */

FA_API FA_COLD void *fai_own_arena_alloc_slow(fa_own_arena arena, size_t size);
FA_API void *fai_own_arena_array(fa_own_arena arena, size_t count, size_t size, size_t align);
FA_API void *fai_own_arena_zeroed(fa_own_arena arena, size_t count, size_t size, size_t align);

inline void *fa_own_arena_alloc(fa_own_arena arena, size_t size) {
    void *block;
    if (FA_UNLIKELY(!fai_bump_alloc(arena.head, arena.serial, size, &block)))
        return fai_own_arena_alloc_slow(arena, size);
    return block;
}

inline void *fa_own_arena_alloc_batch(fa_own_arena arena, size_t count, size_t size) {
    size_t bytes;
    if (FA_UNLIKELY(__builtin_mul_overflow(count, size, &bytes)))
        bytes = SIZE_MAX; /* refused by the slow path */
    return fa_own_arena_alloc(arena, bytes);
}

FA_EXTERN_C_END

#define FAI_OWN_ARENA_DECLARED
#include "fa/site.h"

#endif
