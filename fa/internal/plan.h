/* How much memory bumped memory should have that is emptied again and again: what it needed the
 * times before, in one chunk, until for so many times it needed much less. */
#ifndef FAI_PLAN_H
#define FAI_PLAN_H

#include "fa/config.h"
#include "fa/internal/atomic.h"

typedef struct fai_plan {
    size_t bytes;        /* that a chunk should have; 0: nothing is known */
    size_t floor;        /* trimming leaves a chunk of that size */
    size_t peak;         /* most bytes in use at once since the trim window began; atomic */
    uint32_t rests_left; /* how often it may be empty until the window ends */
    uint32_t large_kib;  /* of the largest chunk for one block that a level gave back */
} fai_plan;

/* bytes: that are likely to be needed, 0: nothing known; trimming leaves so many. */
void fai_plan_begin(fai_plan *plan, const fa_allocator *allocator, size_t bytes);

static inline void fai_plan_note_peak(fai_plan *plan, size_t used) {
    if (used > plan->peak)
        FAI_STORE_RELAXED(&plan->peak, used);
}

/* Bytes that the next chunk is to have behind its header, if they can be had: what grows wants, up
 * to most, both with the header, or what is planned. is_large: for one block that needs more than
 * most; what is small goes on without it. */
size_t fai_plan_next(const fai_plan *plan, size_t wanted, size_t most, size_t header,
                     bool is_large);

/* The peak took several chunks: next time it is to have one. bytes_max: 0: no limit. */
void fai_plan_learn(fai_plan *plan, size_t bytes_max);

/* Nothing is in use: is much more held than was needed, so many times? Then plans what is enough,
 * and the caller gives back what is held. Never while the allocator is sealed. */
bool fai_plan_rest(fai_plan *plan, const fa_allocator *allocator, size_t held);

#endif
