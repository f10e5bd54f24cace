/* The word of a listener (events.h): who may call it, and who waits until nobody does.
 *
 * It holds how many of its calls are under way, whether it is open, and which
 * subscription it is, by generation. Whoever wants to call counts himself in first, which only
 * succeeds while it is open; whoever closes it waits until all have left, or leaves that to who
 * opens it again. So what stands in a listener does not change while anybody looks at it.
 *
 * Orders: opening it releases what was written there, counting in acquires that. Leaving releases
 * what the callback did, and that it has read; waiting for the last one, and looking whether it may
 * be opened again, acquires that: all changes of the word between are additions and swaps, which
 * hide nothing of what was released before. That it closes tells nobody anything.
 *
 * Compiled for the checker of memory orders too (fa/weak/listener_weak_test.cc). */
#ifndef FAI_LISTENER_H
#define FAI_LISTENER_H

#include "fa/internal/atomic.h"

typedef FAI_ATOMIC(uint64_t) fai_listener_word;
#define FAI_LISTENER_OPEN ((uint64_t)1 << 20)
#define FAI_LISTENER_CALLS(word) ((word) & (FAI_LISTENER_OPEN - 1))
#define FAI_LISTENER_GENERATION(word) ((word) >> 21)

/* Counts the caller in. False: it is closed. */
static inline bool fai_listener_enter(fai_listener_word *word) {
    uint64_t seen = FAI_LOAD_RELAXED(word);
    do {
        if ((seen & FAI_LISTENER_OPEN) == 0)
            return false;
    } while (!FAI_CAS_ACQUIRE(word, &seen, seen + 1));
    return true;
}

static inline void fai_listener_leave(fai_listener_word *word) {
    uint64_t seen = FAI_LOAD_RELAXED(word);
    while (!FAI_CAS_RELEASE(word, &seen, seen - 1)) {
    }
}

/* Whether it may be opened again. One thread at a time may open and close. */
static inline bool fai_listener_is_free(fai_listener_word *word) {
    uint64_t seen = FAI_LOAD_ACQUIRE(word);
    return (seen & FAI_LISTENER_OPEN) == 0 && FAI_LISTENER_CALLS(seen) == 0;
}

/* Once what stands there is complete. Returns its generation, never 0. */
static inline uint64_t fai_listener_open(fai_listener_word *word) {
    uint64_t generation = FAI_LISTENER_GENERATION(FAI_LOAD_RELAXED(word)) + 1;
    FAI_STORE_RELEASE(word, generation << 21 | FAI_LISTENER_OPEN);
    return generation;
}

/* Nobody can enter any more. False: it is another one by now, or closed. */
static inline bool fai_listener_close(fai_listener_word *word, uint64_t generation) {
    uint64_t seen = FAI_LOAD_RELAXED(word);
    do {
        if ((seen & FAI_LISTENER_OPEN) == 0 || FAI_LISTENER_GENERATION(seen) != generation)
            return false;
    } while (!FAI_CAS_RELAXED(word, &seen, seen & ~FAI_LISTENER_OPEN));
    return true;
}

/* Whether somebody is still inside of a closed one. */
static inline bool fai_listener_is_busy(fai_listener_word *word, uint64_t generation) {
    uint64_t seen = FAI_LOAD_ACQUIRE(word);
    return FAI_LISTENER_GENERATION(seen) == generation && FAI_LISTENER_CALLS(seen) != 0;
}

#endif
