/* What those who use a timeline share without a lock.
 *
 * The counter: whoever advances it has done with some frames; the thread that those frames are of
 * looks at it before it takes their memory again. Each advance is an update (compare and swap), so
 * that whoever sees a later value has seen all that came before the earlier ones too.
 *
 * The references: one of whoever made the timeline, one of each frame that is kept for it. The last
 * to go frees it, so that frames that are due need not be looked at before it is destroyed.
 *
 * The gate: a counter elsewhere may go when the timeline was destroyed, so reads of it are counted.
 * After the gate was closed nobody comes in, and who closes it waits until all are out, but for
 * those who wait for something themselves meanwhile: what they wait for may be the one who closes
 * it. Then it is left to them, and the last to go drops the reference instead.
 *
 * Compiled for the checker of memory orders too (fa/weak/timeline_weak_test.cc). */
#ifndef FAI_TIMELINE_H
#define FAI_TIMELINE_H

#include "fa/internal/atomic.h"

typedef FAI_ATOMIC(uint64_t) fai_timeline_word;

/* ---- the counter ---- */

/* False when it has passed value already. */
static inline bool fai_timeline_raise(fai_timeline_word *counter, uint64_t value) {
    uint64_t seen = FAI_LOAD_RELAXED(counter);
    do
        if (seen >= value)
            return seen == value;
    while (!FAI_CAS_RELEASE(counter, &seen, value));
    return true;
}

static inline uint64_t fai_timeline_read(const fai_timeline_word *counter) {
    return FAI_LOAD_ACQUIRE(counter);
}

/* ---- the references ---- */

/* In the low half of a word; in the high one, how often there was one more. */
#define FAI_TIMELINE_ONE ((uint64_t)1 << 32 | 1)

static inline size_t fai_timeline_references(uint64_t references) { return (uint32_t)references; }

static inline void fai_timeline_hold(fai_timeline_word *references) {
    (void)FAI_ADD_RELAXED(references, FAI_TIMELINE_ONE);
}

/* Whether it was the last. */
static inline bool fai_timeline_drop(fai_timeline_word *references) {
    return fai_timeline_references(FAI_SUB_ACQ_REL(references, 1)) == 1;
}

/* ---- the gate ---- */

/* One word, so that nobody is missed while he begins to wait or goes on: how many are inside, how
 * many of them... */
#define FAI_TIMELINE_INSIDE ((uint64_t)1)
#define FAI_TIMELINE_WAITING ((uint64_t)1 << 31) /* ...wait, and are not counted above */
#define FAI_TIMELINE_LEFT ((uint64_t)1 << 62)    /* the last to go drops the reference */
#define FAI_TIMELINE_CLOSED ((uint64_t)1 << 63)

/* False once it is closed: then what came before that is seen. */
static inline bool fai_timeline_enter(fai_timeline_word *gate) {
    for (;;) {
        uint64_t seen = FAI_LOAD_ACQUIRE(gate);
        if ((seen & FAI_TIMELINE_CLOSED) != 0)
            return false;
        if (FAI_CAS_RELAXED(gate, &seen, seen + FAI_TIMELINE_INSIDE))
            return true;
    }
}

/* Returns the gate as it is then. From there on it may be gone, but when nobody is left inside of
 * one that was left to them: then all that they did is seen. */
static inline uint64_t fai_timeline_leave(fai_timeline_word *gate) {
    uint64_t seen = FAI_LOAD_RELAXED(gate);
    while (!FAI_CAS_ACQ_REL(gate, &seen, seen - FAI_TIMELINE_INSIDE)) {
    }
    return seen - FAI_TIMELINE_INSIDE;
}

/* Whether what leave has returned says that the reference is the caller's to drop. */
static inline bool fai_timeline_is_last(uint64_t gate) {
    return gate == (FAI_TIMELINE_CLOSED | FAI_TIMELINE_LEFT);
}

/* One who is inside begins to wait, or goes on. What he did is handed on when he leaves: here only
 * numbers move, and an update keeps what others have released. */
static inline void fai_timeline_wait(fai_timeline_word *gate, bool begins) {
    uint64_t change = FAI_TIMELINE_WAITING - FAI_TIMELINE_INSIDE;
    uint64_t seen = FAI_LOAD_RELAXED(gate);
    while (!FAI_CAS_RELAXED(gate, &seen, begins ? seen + change : seen - change)) {
    }
}

static inline void fai_timeline_close(fai_timeline_word *gate) {
    uint64_t seen = FAI_LOAD_RELAXED(gate);
    while (!FAI_CAS_RELEASE(gate, &seen, seen | FAI_TIMELINE_CLOSED)) {
    }
}

/* Whether all that came in before it was closed are out. */
static inline bool fai_timeline_is_empty(const fai_timeline_word *gate) {
    return FAI_LOAD_ACQUIRE(gate) == FAI_TIMELINE_CLOSED;
}

/* By who has closed it, which has released all that he did: leaves it to those inside, if all of
 * them wait. */
static inline bool fai_timeline_leave_to_others(fai_timeline_word *gate) {
    uint64_t seen = FAI_LOAD_RELAXED(gate);
    return seen != FAI_TIMELINE_CLOSED && seen % FAI_TIMELINE_WAITING == 0 &&
           FAI_CAS_RELAXED(gate, &seen, seen | FAI_TIMELINE_LEFT);
}

#endif
