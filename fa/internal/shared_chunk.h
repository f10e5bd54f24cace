/* The chunk where the locals of a shared arena take their blocks, all at once.
 *
 * Whoever adds to what was taken has the bytes before the sum; who passes the end has none, and
 * goes on in another chunk, which one of those makes the current one under the arena's lock.
 * Nothing is passed on with what was taken; a chunk becomes current with release and is found with
 * acquire, so that its header is there. The content of blocks, and what becomes of them all when
 * the arena is reset, is ordered by users.h.
 *
 * Compiled for the checker of memory orders too (fa/weak/arena_weak_test.cc). */
#ifndef FAI_SHARED_CHUNK_H
#define FAI_SHARED_CHUNK_H

#include "fa/internal/atomic.h"

/* Stands at the start of its heap block. */
typedef struct fai_shared_chunk {
    struct fai_shared_chunk *next;
    FAI_PLAIN(size_t) bytes;  /* behind the header */
    FAI_ATOMIC(size_t) taken; /* more than bytes once somebody found it full */
} fai_shared_chunk;

typedef FAI_ATOMIC(fai_shared_chunk *) fai_shared_place;

static inline fai_shared_chunk *fai_shared_find(const fai_shared_place *place) {
    return FAI_LOAD_ACQUIRE(place);
}
/* Under the lock. */
static inline void fai_shared_make_current(fai_shared_place *place, fai_shared_chunk *to) {
    FAI_STORE_RELEASE(place, to);
}

/* False: so many bytes are not left. *offset: where they start. */
static inline bool fai_shared_chunk_take(fai_shared_chunk *chunk, size_t bytes, size_t *offset) {
    size_t all = FAI_READ(chunk->bytes), taken = FAI_LOAD_RELAXED(&chunk->taken);
    if (taken > all || bytes > all - taken)
        return false;
    *offset = taken = FAI_ADD_RELAXED(&chunk->taken, bytes);
    return taken <= all && bytes <= all - taken;
}

#endif
