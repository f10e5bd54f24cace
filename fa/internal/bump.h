/* Memory that is bumped through and belongs to no frame: chunks that are blocks of the heap, and
 * for what stays small of the pools. So they are tracked, and charged to the tag that the thread is
 * in when the memory grows, or always to the same. Whoever owns it sees to it that one thread at a
 * time is in here. */
#ifndef FAI_BUMP_H
#define FAI_BUMP_H

#include "fa/bump.h"
#include "fa/internal/plan.h"

/* Stands at the start of its block. */
typedef struct fai_bump_chunk {
    struct fai_bump_chunk *next; /* the one below, or the next of its list */
    char *end;                   /* one past the last byte */
    size_t before;               /* bytes in use when the cursor came here */
    uint64_t serial;             /* of the newest level when it was taken for one block */
} fai_bump_chunk;

/* A position to go back to; stands in the memory itself. */
typedef struct fai_bump_level {
    struct fai_bump_level *older;
    uint64_t serial; /* greater than that of the older one */
    fai_bump_chunk *chunk;
    struct fai_note *note; /* the newest one then */
} fai_bump_level;

typedef struct fai_bump {
    fai_bump_head head; /* must be first */
    fa_allocator *allocator;
    uintptr_t base;          /* cursor - base == bytes in use; 0 while both change; atomic */
    fai_bump_chunk *current; /* with the cursor; those below it are in use too */
    fai_bump_chunk *alone;   /* with one block each, newest first */
    fai_bump_chunk *kept;    /* empty ones */
    fai_bump_level *level;   /* the newest; NULL: none */
    struct fai_note *note;
    uint64_t level_serial; /* of the last level made; never lowered */
    uint64_t popped;       /* lowest serial of a level that was gone back to, since it was set */
    size_t alone_bytes;    /* in use by blocks that have a chunk of their own */
    size_t held;           /* bytes of all chunks; atomic */
    size_t bytes_max;      /* most that may be held; 0: no limit; atomic */
    fai_plan plan;
    size_t peak_before; /* most bytes in use at once in windows before; atomic */
    const void *user;   /* the thread that is inside of a call; atomic */
    uint32_t tag;       /* chunks are charged to; FA_TAG_NONE: what the thread is in then */
    bool is_small;      /* chunks come from the pools, the first ones are tiny */
    bool is_planned;    /* the first chunk is of plan.floor bytes, even where that is little */
    bool is_handed;     /* of an owned arena: with another serial it may be another thread's;
                         * stays so */
} fai_bump;

/* Empty memory that holds nothing. bytes_first: what is likely to be needed, 0: nothing known. */
void fai_bump_create(fai_bump *bump, fa_allocator *allocator, size_t bytes_first, size_t bytes_max,
                     bool is_small);

/* Every allocation that is not inline; checks size and align. serial: of the handle, which the head
 * has; it is looked at again when hooks have run. NULL with the reason reported: FA_ERROR_FULL
 * where bytes_max is in the way. No lock may be held. */
void *fai_bump_take(fai_bump *bump, uint64_t serial, size_t size, size_t align);

/* As fa_frame_grow_in; FA_ERROR_FOREIGN for what is no block in here, or not of that size, as far
 * as that shows: where nobody watches, size_old bytes that are in use in one chunk will do. */
void *fai_bump_grow(fai_bump *bump, uint64_t serial, void *block, size_t size_old, size_t size_new);

/* Marks the position. NULL as fai_bump_take; does not touch the head's serial. */
fai_bump_level *fai_bump_push(fai_bump *bump, uint64_t serial);

/* Frees all blocks since a level was pushed; newer levels are gone, and the level itself unless it
 * is to stay. */
void fai_bump_pop(fai_bump *bump, fai_bump_level *level, bool stays);

/* The same for the level with this serial, which stays; false where there is none. O(levels) */
bool fai_bump_rewind(fai_bump *bump, uint64_t serial);

/* Frees all blocks and levels. Keeps memory: one chunk, the size learned for the next time, where
 * it is not sealed; less where little was used so many times. O(1) when it was one chunk. */
void fai_bump_reset(fai_bump *bump);

/* The same, and gives all chunks back. */
void fai_bump_release(fai_bump *bump);

/* Gives back what is held while nothing is in use. */
void fai_bump_trim(fai_bump *bump);

/* The same, and what is held without use while something is. Returns the bytes. */
size_t fai_bump_shrink(fai_bump *bump);

/* What is wrong, or NULL. */
const void *fai_bump_validate(const fai_bump *bump);

/* For one thread at a time, any: reports FA611 and returns false when another thread is inside.
 * Calls of hooks may come in again. entered: to be passed to fai_bump_leave. */
bool fai_bump_enter(fai_bump *bump, bool *entered);
void fai_bump_leave(fai_bump *bump, uint64_t serial, bool entered);

/* Bytes in use; any thread. */
size_t fai_bump_used(const fai_bump *bump);
size_t fai_bump_peak(const fai_bump *bump);

static inline char *fai_bump_start(const fai_bump_chunk *chunk) {
    return (char *)(uintptr_t)(chunk + 1);
}

/* Before the cursor goes down: most bytes in use so far. */
static inline void fai_bump_note_peak(fai_bump *bump) {
    fai_plan_note_peak(&bump->plan, (size_t)((uintptr_t)bump->head.cursor - bump->base));
}

/* fai_bump_push, for many. */
static inline fai_bump_level *fai_bump_push_inline(fai_bump *bump, uint64_t serial) {
    char *cursor = bump->head.cursor;
    if (FA_UNLIKELY((size_t)(bump->head.limit - cursor) < sizeof(fai_bump_level)))
        return fai_bump_push(bump, serial);
    fai_bump_level *level = (fai_bump_level *)(void *)cursor;
    FAI_STORE_RELAXED(&bump->head.cursor, cursor + sizeof *level);
    level->older = bump->level;
    level->serial = ++bump->level_serial;
    level->chunk = bump->current;
    level->note = bump->note;
    bump->level = level;
    return level;
}

/* fai_bump_pop of the newest level, which does not stay, where there is nothing to do but to set
 * the cursor; else false, with nothing done. watched: somebody must see it. */
static inline bool fai_bump_pop_inline(fai_bump *bump, fai_bump_level *level, bool watched) {
    if (FA_UNLIKELY(level->chunk != bump->current || bump->alone != NULL || watched))
        return false;
    fai_bump_note_peak(bump);
    bump->popped = level->serial < bump->popped ? level->serial : bump->popped;
    bump->level = level->older;
    FAI_STORE_RELAXED(&bump->head.cursor, (char *)level);
    return true;
}

#endif
