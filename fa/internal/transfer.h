/* The word of a transfer's slot: which transfer the slot holds, by generation, and its state. Only
 * the thread that owns the slot makes transfers in it; whoever claims one first has its payload to
 * himself until he says what became of it, and then the owner may use the slot again.
 *
 * Compiled for the checker of memory orders too (fa/weak/transfer_weak_test.cc). */
#ifndef FAI_TRANSFER_H
#define FAI_TRANSFER_H

#include "fa/internal/atomic.h"

/* Generation above the low three bits, which hold one of these. A slot may be used again from
 * RECEIVED on, and when it never was. */
typedef FAI_ATOMIC(uint64_t) fai_transfer_word;
enum {
    FAI_TRANSFER_UNUSED,
    FAI_TRANSFER_OWNED,
    FAI_TRANSFER_IN_FLIGHT,
    FAI_TRANSFER_CLAIMED,
    FAI_TRANSFER_RECEIVED,
    FAI_TRANSFER_DROPPED,
    FAI_TRANSFER_STATE_COUNT
};
#define FAI_TRANSFER_STATE(word) ((unsigned)((word)&7))
#define FAI_TRANSFER_GENERATION(word) ((word) >> 3)

/* By the slot's owner: whether nobody looks at its contents any more. */
static inline bool fai_transfer_is_free(uint64_t seen) {
    return FAI_TRANSFER_STATE(seen) >= FAI_TRANSFER_RECEIVED ||
           FAI_TRANSFER_STATE(seen) == FAI_TRANSFER_UNUSED;
}
static inline uint64_t fai_transfer_look(const fai_transfer_word *word) {
    return FAI_LOAD_ACQUIRE(word);
}

/* By the slot's owner, when its contents are complete: the next transfer. */
static inline void fai_transfer_publish(fai_transfer_word *word, uint64_t generation) {
    FAI_STORE_RELEASE(word, generation << 3 | FAI_TRANSFER_OWNED);
}

/* Says that a transfer was handed over. False: it is not owned any more. The update hides nothing
 * of what was published before. */
static inline bool fai_transfer_depart(fai_transfer_word *word, uint64_t generation) {
    uint64_t seen = generation << 3 | FAI_TRANSFER_OWNED;
    while (!FAI_CAS_RELAXED(word, &seen, generation << 3 | FAI_TRANSFER_IN_FLIGHT))
        if (seen != (generation << 3 | FAI_TRANSFER_OWNED))
            return false;
    return true;
}

/* Any thread: takes a transfer, with what was published of it. False: somebody has, *seen says what
 * is there. The handle may have come in any way, an ordered one or not. */
static inline bool fai_transfer_claim(fai_transfer_word *word, uint64_t generation,
                                      uint64_t *seen) {
    *seen = generation << 3 | FAI_TRANSFER_IN_FLIGHT; /* most likely: the swap will tell */
    do {
        unsigned state = FAI_TRANSFER_STATE(*seen);
        if (FAI_TRANSFER_GENERATION(*seen) != generation ||
            (state != FAI_TRANSFER_OWNED && state != FAI_TRANSFER_IN_FLIGHT))
            return false;
    } while (!FAI_CAS_ACQUIRE(word, seen, generation << 3 | FAI_TRANSFER_CLAIMED));
    return true;
}

/* By who has claimed it, when he has read its contents: received or dropped. */
static inline void fai_transfer_settle(fai_transfer_word *word, uint64_t generation,
                                       unsigned state) {
    FAI_STORE_RELEASE(word, generation << 3 | state);
}

#endif
