/* The owners of a shared object and its weak references: two counts in one word.
 *
 * As in the control block of the standard library's shared_ptr, all owners together have one weak
 * reference: the memory goes with the last weak one, whoever that belongs to. Every change is a
 * compare and swap of the whole word: so each count is exact, there is no moment at which one is
 * wrong and about to be corrected, and whoever finds no owner refuses. (Two counters that are added
 * to blindly cost the same while threads do not collide.)
 *
 * The owners' half goes from their number to ENDING when the last lets go, and to 0 once the
 * destructor has returned; in the same step their weak reference is dropped. What is ordered:
 *
 * - Hold, and more weak references: nothing. The caller has a reference, so the object can't end
 *   meanwhile; how its address gets to another thread orders that thread's use after this.
 * - Release: release, so that what this owner did comes before the destructor; acquire for the last
 *   one, for whom all others' changes are one release sequence.
 * - Lock: acquire, so that what owners did who let go before is seen. It can't revive anything: it
 *   writes one owner more only over a value that has at least one.
 * - Dropping a weak reference: release, so that what was done with it (for the owners': by the
 *   destructor) comes before the memory is freed; acquire for the last one, which frees it.
 *
 * Compiled for the checker of memory orders too (fa/weak/counts_weak_test.cc). */
#ifndef FAI_COUNTS_H
#define FAI_COUNTS_H

#include "fa/internal/atomic.h"

typedef struct fai_counts {
    FAI_ATOMIC(uint64_t) word; /* owners, and above them weak references */
} fai_counts;

#define FAI_COUNT_MAX ((uint32_t)0x7FFFFFFF)
#define FAI_COUNT_ENDING ((uint32_t)0x80000000)
#define FAI_ONE_OWNER ((uint64_t)1)
#define FAI_ONE_WEAK ((uint64_t)1 << 32)

/* What came of a change. */
typedef enum fai_counted {
    FAI_COUNTED,
    FAI_COUNTED_LAST,    /* and it was the last: what that means is the caller's to do */
    FAI_COUNTED_NOTHING, /* there is nothing to count from; nothing was changed */
    FAI_COUNTED_FULL     /* likewise: no more can be counted */
} fai_counted;

/* While there is one thread, nobody can come between a load and a store. */
#ifndef FAI_IS_ALONE
#define FAI_IS_ALONE() false
#endif
#define FAI_COUNTS_SWAP(cas, counts, expected, desired)                                            \
    (FAI_IS_ALONE() ? (FAI_STORE_RELAXED(&(counts)->word, (desired)), true)                        \
                    : cas(&(counts)->word, (expected), (desired)))

static inline uint32_t fai_count_owners(uint64_t word) { return (uint32_t)word; }
static inline bool fai_count_is_alive(uint64_t word) {
    return fai_count_owners(word) - 1 < FAI_COUNT_MAX;
}
/* Without the owners'. */
static inline uint32_t fai_count_weak(uint64_t word) {
    return (uint32_t)(word >> 32) - (fai_count_owners(word) != 0);
}

/* One owner. Before others hear of it. */
static inline void fai_counts_open(fai_counts *counts) {
    FAI_STORE_RELAXED(&counts->word, FAI_ONE_WEAK | FAI_ONE_OWNER);
}

/* One owner more, by somebody who is one. */
static inline fai_counted fai_counts_hold(fai_counts *counts) {
    uint64_t word = FAI_LOAD_RELAXED(&counts->word);
    do {
        if (FA_UNLIKELY(!fai_count_is_alive(word)))
            return FAI_COUNTED_NOTHING;
        if (FA_UNLIKELY(fai_count_owners(word) == FAI_COUNT_MAX))
            return FAI_COUNTED_FULL;
    } while (!FAI_COUNTS_SWAP(FAI_CAS_RELAXED, counts, &word, word + FAI_ONE_OWNER));
    return FAI_COUNTED;
}

/* One owner less. LAST: to be destroyed, and fai_counts_end called after that. */
static inline fai_counted fai_counts_release(fai_counts *counts) {
    uint64_t word = FAI_LOAD_ACQUIRE(&counts->word), next;
    /* Nobody else has any reference: nobody else can be changing the word. */
    if (word == (FAI_ONE_WEAK | FAI_ONE_OWNER)) {
        FAI_STORE_RELAXED(&counts->word, FAI_ONE_WEAK | FAI_COUNT_ENDING);
        return FAI_COUNTED_LAST;
    }
    do {
        if (FA_UNLIKELY(!fai_count_is_alive(word)))
            return FAI_COUNTED_NOTHING;
        next = word - FAI_ONE_OWNER;
        next += fai_count_owners(next) == 0 ? FAI_COUNT_ENDING : 0;
    } while (!FAI_COUNTS_SWAP(FAI_CAS_ACQ_REL, counts, &word, next));
    return fai_count_owners(word) == 1 ? FAI_COUNTED_LAST : FAI_COUNTED;
}

/* Whether nobody but the last owner, who destroys the object, has a reference to it. */
static inline bool fai_counts_is_alone(fai_counts *counts) {
    return FAI_LOAD_ACQUIRE(&counts->word) == (FAI_ONE_WEAK | FAI_COUNT_ENDING);
}

/* The object was destroyed. LAST: its memory is to be freed. */
static inline fai_counted fai_counts_end(fai_counts *counts) {
    if (fai_counts_is_alone(counts))
        return FAI_COUNTED_LAST;
    uint64_t word = FAI_LOAD_RELAXED(&counts->word);
    while (
        !FAI_COUNTS_SWAP(FAI_CAS_ACQ_REL, counts, &word, word - FAI_COUNT_ENDING - FAI_ONE_WEAK)) {
    }
    return word == (FAI_ONE_WEAK | FAI_COUNT_ENDING) ? FAI_COUNTED_LAST : FAI_COUNTED;
}

/* One weak reference more, by somebody who is an owner, or has one. */
static inline fai_counted fai_counts_weak_hold(fai_counts *counts, bool is_owner) {
    uint64_t word = FAI_LOAD_RELAXED(&counts->word);
    do {
        if (FA_UNLIKELY(is_owner ? !fai_count_is_alive(word) : fai_count_weak(word) == 0))
            return FAI_COUNTED_NOTHING;
        if (FA_UNLIKELY(fai_count_weak(word) == FAI_COUNT_MAX))
            return FAI_COUNTED_FULL;
    } while (!FAI_COUNTS_SWAP(FAI_CAS_RELAXED, counts, &word, word + FAI_ONE_WEAK));
    return FAI_COUNTED;
}

/* One owner more, by somebody who has a weak reference. */
static inline fai_counted fai_counts_lock(fai_counts *counts) {
    uint64_t word = FAI_LOAD_RELAXED(&counts->word);
    do {
        if (!fai_count_is_alive(word))
            return FAI_COUNTED_NOTHING;
        if (FA_UNLIKELY(fai_count_owners(word) == FAI_COUNT_MAX))
            return FAI_COUNTED_FULL;
    } while (!FAI_COUNTS_SWAP(FAI_CAS_ACQUIRE, counts, &word, word + FAI_ONE_OWNER));
    return FAI_COUNTED;
}

/* One weak reference less. LAST: the memory is to be freed. */
static inline fai_counted fai_counts_weak_release(fai_counts *counts) {
    uint64_t word = FAI_LOAD_RELAXED(&counts->word);
    do {
        if (FA_UNLIKELY(fai_count_weak(word) == 0))
            return FAI_COUNTED_NOTHING;
    } while (!FAI_COUNTS_SWAP(FAI_CAS_ACQ_REL, counts, &word, word - FAI_ONE_WEAK));
    return word == FAI_ONE_WEAK ? FAI_COUNTED_LAST : FAI_COUNTED;
}

#endif
