/* Memory that ran out: what is tried before a call fails. */
#ifndef FAI_RESERVE_H
#define FAI_RESERVE_H

#include "fa/internal/span.h"
#include "fa/reserve.h"

/* Free where function is NULL. */
typedef struct fai_reclaimer {
    fa_reclaimer_fn *function;
    void *user;
    int order;
    bool removed;      /* by somebody, while it was running */
    uint32_t running;  /* calls under way */
    uint32_t waiting;  /* of those: whose thread waits for a reclaimer itself; atomic */
    uint64_t sequence; /* counts those added */
} fai_reclaimer;

/* Guarded by the allocator's lock. */
typedef struct fai_reserve {
    fai_reclaimer reclaimers[FA_RECLAIMER_COUNT_MAX];
    uint64_t sequence;
    fai_span span;          /* size 0: not held */
    size_t bytes;           /* as configured */
    uint64_t release_count; /* atomic */
    bool releasing;         /* a thread is giving it back at this moment */
} fai_reserve;

/* The way down of one request. Use:
 *   fai_relief relief = fai_relief_begin(&allocator->reserve, size);
 *   do
 *       status = ...;
 *   while (fai_relieve(allocator, &relief, status)); */
typedef struct fai_relief {
    size_t size;      /* bytes that are missing; may be set before each attempt */
    size_t reclaimed; /* what the reclaimer asked last says that it gave back */
    uint64_t release_count;
    unsigned step;
    int order;         /* of the reclaimer asked last... */
    uint64_t sequence; /* ...and its number */
    uint64_t newest;   /* reclaimers added later are not asked */
} fai_relief;

static inline fai_relief fai_relief_begin(const fai_reserve *reserve, size_t size) {
    fai_relief relief;
    relief.size = size;
    relief.reclaimed = 0;
    relief.release_count = FAI_LOAD_RELAXED(&reserve->release_count);
    relief.step = 0;
    return relief;
}

FA_COLD bool fai_relieve_slow(fa_allocator *allocator, fai_relief *relief, fa_status status);

/* After an attempt: true when it failed and something was given back, so that another one is worth
 * it. Reports FA704, and FA705 when it succeeded after a reclaimer helped. No lock may be held. */
static inline bool fai_relieve(fa_allocator *allocator, fai_relief *relief, fa_status status) {
    if (FA_LIKELY(status == FA_OK && relief->reclaimed == 0))
        return false;
    return fai_relieve_slow(allocator, relief, status);
}

/* Takes the reserve of a new allocator. */
fa_status fai_reserve_create(fa_allocator *allocator);
/* Gives it back. */
void fai_reserve_destroy(fa_allocator *allocator);

/* In the child of a fork, under the allocator's lock: other threads' calls are over. */
void fai_reserve_fork_child(fa_allocator *allocator);

#endif
