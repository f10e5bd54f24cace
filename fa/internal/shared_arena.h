/* Shared arenas: their records, as shared_arena.c and shared_local.c see them. */
#ifndef FAI_SHARED_ARENA_H
#define FAI_SHARED_ARENA_H

#include "fa/internal/allocator.h"
#include "fa/internal/guard.h"
#include "fa/internal/shared_chunk.h"
#include "fa/internal/users.h"
#include "fa/shared_arena.h"

/* What a local left of its block; stands there itself, poisoned. */
typedef struct fai_shared_rest {
    struct fai_shared_rest *next;
    size_t bytes;
} fai_shared_rest;

typedef struct fai_shared_record {
    fai_named named; /* must be first; its memory stays empty; used: the plan, and the user who
                      * shuts others out */
    fai_owned owned;
    pthread_mutex_t lock;
    size_t block_bytes;
    uint32_t tag;
    fai_shared_place current; /* written under the lock: where blocks are taken */
    /* Guarded by the lock; while users are shut out, changed by whoever did that. */
    fai_shared_chunk *full;  /* those before current */
    fai_shared_chunk *alone; /* of one allocation each */
    fai_shared_chunk *kept;  /* empty ones, of a sealed allocator */
    fai_shared_rest *rests;  /* atomic for those who look whether there is one */
    fai_note *note;
    /* Atomic, any thread. */
    size_t held, bytes_max, bytes, wasted, peak;
    uint64_t alloc_count, block_count, reset_count;
    fai_users users; /* open locals. Must be last; never cleared: who has an old handle may be
                      * trying to come in, or to close it */
} fai_shared_record;

/* The registry of shared arenas; false without memory for a lock. */
bool fai_shared_arenas_create(fa_allocator *allocator);

/* Takes bytes, a multiple of 16, for the calling thread alone, while it has a local open; NULL with
 * the reason reported. size_asked: for that. No lock may be held. */
char *fai_shared_take(fai_shared_record *record, size_t bytes, size_t size_asked);

static inline fai_shared_record *fai_shared_record_of(fa_shared_arena arena) {
    return (fai_shared_record *)(void *)arena.head;
}
static inline fa_allocator *fai_shared_allocator(const fai_shared_record *record) {
    return record->named.bump.allocator;
}

#endif
