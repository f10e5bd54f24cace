/* A lock of one word, for what takes some nanoseconds and calls nobody: half the price of a mutex,
 * and small enough for each of many objects to have its own. Whoever has to wait looks some more
 * times, and then sleeps a little between looks, so that a thread that was interrupted inside goes
 * on, whatever its priority. A process with one thread does without the atomic operation that costs
 * most of it, as the C library's mutexes do: whoever holds a latch calls nobody, so no thread comes
 * meanwhile.
 *
 * Compiled for the checker of memory orders too (fa/weak/latch_weak_test.cc). */
#ifndef FAI_LATCH_H
#define FAI_LATCH_H

#include "fa/internal/atomic.h"

/* All zero: free. */
typedef struct fai_latch {
    FAI_ATOMIC(uint32_t) held;
} fai_latch;

/* Acquire: what the last holder wrote is seen; it comes with his release. Where there is one thread
 * that was itself; whatever thread comes sees what it did before. */
static inline bool fai_latch_try(fai_latch *latch) {
    uint32_t seen = 0;
    if (FAI_LOAD_RELAXED(&latch->held) != 0)
        return false;
    if (!FAI_HAS_ONE_THREAD)
        return FAI_CAS_ACQUIRE(&latch->held, &seen, 1);
    FAI_STORE_RELAXED(&latch->held, 1);
    return true;
}

FA_COLD void fai_latch_wait(fai_latch *latch);

static inline void fai_latch_lock(fai_latch *latch) {
    if (FA_UNLIKELY(!fai_latch_try(latch)))
        fai_latch_wait(latch);
}

static inline void fai_latch_unlock(fai_latch *latch) { FAI_STORE_RELEASE(&latch->held, 0); }

#endif
