/* What the threads of a barrier share without a lock: one word. The last one that arrives, or that
 * leaves while all others wait, makes the next generation of it in the same step, so that nothing
 * has to be reset and nobody can be overtaken: a generation ends only when all have arrived in it,
 * and who waits for its end can't have arrived in the next.
 *
 * Whoever sleeps says so in the word before, and the kernel compares that half of the word again:
 * so who makes the next generation knows whether there is somebody to wake, and none falls asleep
 * after it was made.
 *
 * Compiled for the checker of memory orders too (fa/weak/barrier_weak_test.cc), which brings its
 * own futex. */
#ifndef FAI_BARRIER_H
#define FAI_BARRIER_H

#include "fa/internal/atomic.h"
#include "fa/internal/futex.h"

/* From the lowest bit on: whether somebody sleeps, generation, arrived, members, closed. */
typedef FAI_ATOMIC(uint64_t) fai_barrier_word;
#define FAI_BARRIER_SLEEPS ((uint64_t)1)
#define FAI_BARRIER_GENERATION_SHIFT 1
#define FAI_BARRIER_GENERATION_BITS 40
#define FAI_BARRIER_ARRIVED_SHIFT 41
#define FAI_BARRIER_MEMBERS_SHIFT 52
#define FAI_BARRIER_COUNT_BITS 11
#define FAI_BARRIER_CLOSED ((uint64_t)1 << 63)
#define FAI_BARRIER_ONE_ARRIVED ((uint64_t)1 << FAI_BARRIER_ARRIVED_SHIFT)
#define FAI_BARRIER_ONE_MEMBER ((uint64_t)1 << FAI_BARRIER_MEMBERS_SHIFT)
#define FAI_BARRIER_COUNT_MAX (((size_t)1 << FAI_BARRIER_COUNT_BITS) - 1)

static inline uint64_t fai_barrier_field(uint64_t word, unsigned shift, unsigned bits) {
    return word >> shift & (((uint64_t)1 << bits) - 1);
}
static inline uint64_t fai_barrier_generation(uint64_t word) {
    return fai_barrier_field(word, FAI_BARRIER_GENERATION_SHIFT, FAI_BARRIER_GENERATION_BITS);
}
static inline size_t fai_barrier_arrived(uint64_t word) {
    return (size_t)fai_barrier_field(word, FAI_BARRIER_ARRIVED_SHIFT, FAI_BARRIER_COUNT_BITS);
}
static inline size_t fai_barrier_members(uint64_t word) {
    return (size_t)fai_barrier_field(word, FAI_BARRIER_MEMBERS_SHIFT, FAI_BARRIER_COUNT_BITS);
}

/* The next generation, when all have arrived; else the word as it is. */
static inline uint64_t fai_barrier_advance(uint64_t word) {
    if (fai_barrier_members(word) == 0 || fai_barrier_arrived(word) != fai_barrier_members(word))
        return word;
    uint64_t generation =
        (fai_barrier_generation(word) + 1) & (((uint64_t)1 << FAI_BARRIER_GENERATION_BITS) - 1);
    return (word & FAI_BARRIER_CLOSED) |
           (uint64_t)fai_barrier_members(word) << FAI_BARRIER_MEMBERS_SHIFT |
           generation << FAI_BARRIER_GENERATION_SHIFT;
}

/* Wakes who slept in a generation that before was the last word of. */
static inline void fai_barrier_wake(fai_barrier_word *word, uint64_t before, uint64_t now) {
    if ((before & FAI_BARRIER_SLEEPS) != 0 &&
        fai_barrier_generation(before) != fai_barrier_generation(now))
        FAI_FUTEX_WAKE(word);
}

/* More members, all of them awaited from the generation on that this returns. They see what was
 * done before it began. */
static inline uint64_t fai_barrier_add(fai_barrier_word *word, size_t count) {
    uint64_t seen = FAI_LOAD_RELAXED(word);
    while (!FAI_CAS_ACQUIRE(word, &seen, seen + count * FAI_BARRIER_ONE_MEMBER)) {
    }
    return fai_barrier_generation(seen);
}

/* Counts a member as arrived, and returns in which generation. What it did before is seen by all
 * that wait for its end; *is_last: that was just made, the caller sees what all did. */
static inline uint64_t fai_barrier_arrive(fai_barrier_word *word, bool *is_last) {
    uint64_t seen = FAI_LOAD_RELAXED(word), next;
    do
        next = fai_barrier_advance(seen + FAI_BARRIER_ONE_ARRIVED);
    while (!FAI_CAS_ACQ_REL(word, &seen, next));
    uint64_t generation = fai_barrier_generation(seen);
    *is_last = fai_barrier_generation(next) != generation;
    fai_barrier_wake(word, seen, next);
    return generation;
}

/* Takes a member away, who may have arrived in a generation (arrived_in; else any other number), or
 * not: then it counts as arrived, for what it did before is seen as that of the others is. */
static inline void fai_barrier_drop(fai_barrier_word *word, uint64_t arrived_in) {
    uint64_t seen = FAI_LOAD_RELAXED(word), next;
    do {
        bool counted = fai_barrier_generation(seen) == arrived_in;
        next = fai_barrier_advance(seen - FAI_BARRIER_ONE_MEMBER -
                                   (counted ? FAI_BARRIER_ONE_ARRIVED : 0));
    } while (!FAI_CAS_RELEASE(word, &seen, next));
    fai_barrier_wake(word, seen, next);
}

/* Whether a member is inside of a call. Written by it alone: before it arrives, so that whoever
 * finds the generation over finds it inside, and when it needs the barrier no more. */
typedef FAI_ATOMIC(uint32_t) fai_barrier_inside;
static inline void fai_barrier_enter(fai_barrier_inside *inside) { FAI_STORE_RELAXED(inside, 1); }
/* Release: from now on the barrier may be gone. */
static inline void fai_barrier_exit(fai_barrier_inside *inside) { FAI_STORE_RELEASE(inside, 0); }
static inline bool fai_barrier_is_inside(const fai_barrier_inside *inside) {
    return FAI_LOAD_ACQUIRE(inside) != 0;
}

/* Whether a generation in which the caller arrived is over. */
static inline bool fai_barrier_is_over(const fai_barrier_word *word, uint64_t generation) {
    return fai_barrier_generation(FAI_LOAD_ACQUIRE(word)) != generation;
}

/* Sleeps until it is; false when the barrier was closed, or the deadline has passed. */
static inline bool fai_barrier_sleep(fai_barrier_word *word, uint64_t generation,
                                     fai_deadline deadline) {
    uint64_t seen = FAI_LOAD_RELAXED(word);
    while (fai_barrier_generation(seen) == generation) {
        if ((seen & FAI_BARRIER_CLOSED) != 0)
            return false;
        if ((seen & FAI_BARRIER_SLEEPS) == 0 &&
            !FAI_CAS_RELAXED(word, &seen, seen | FAI_BARRIER_SLEEPS))
            continue;
        if (!FAI_FUTEX_WAIT(word, seen | FAI_BARRIER_SLEEPS, deadline))
            break;
        seen = FAI_LOAD_RELAXED(word);
    }
    return fai_barrier_is_over(word, generation);
}

/* Sends all that sleep, and that would, away. */
static inline void fai_barrier_close(fai_barrier_word *word) {
    uint64_t seen = FAI_LOAD_RELAXED(word);
    while (!FAI_CAS_RELAXED(word, &seen, (seen | FAI_BARRIER_CLOSED) & ~FAI_BARRIER_SLEEPS)) {
    }
    FAI_FUTEX_WAKE(word);
}

#endif
