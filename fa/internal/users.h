/* Who is inside of something that many may use at once, and that can be emptied only while nobody
 * does: how many there are, in one word, and whether it is closed.
 *
 * What is ordered: enter: acquire, from the release of fai_users_open: whoever comes in finds what
 * was done while it was closed. Leave: release; close: acquire: what was done inside comes before
 * it is emptied.
 *
 * Compiled for the checker of memory orders too (fa/weak/arena_weak_test.cc). */
#ifndef FAI_USERS_H
#define FAI_USERS_H

#include "fa/internal/atomic.h"

#define FAI_USERS_CLOSED ((uint64_t)1 << 63)

typedef FAI_ATOMIC(uint64_t) fai_users;

/* False: it is closed. */
static inline bool fai_users_enter(fai_users *users) {
    uint64_t seen = FAI_LOAD_RELAXED(users);
    do {
        if ((seen & FAI_USERS_CLOSED) != 0)
            return false;
    } while (!FAI_CAS_ACQUIRE(users, &seen, seen + 1));
    return true;
}

static inline void fai_users_leave(fai_users *users) {
    uint64_t seen = FAI_LOAD_RELAXED(users);
    while (!FAI_CAS_RELEASE(users, &seen, seen - 1)) {
    }
}

/* True for one caller alone, until it is opened again; false while somebody is inside. */
static inline bool fai_users_close(fai_users *users) {
    uint64_t seen = 0;
    while (!FAI_CAS_ACQUIRE(users, &seen, FAI_USERS_CLOSED))
        if (seen != 0)
            return false;
    return true;
}

static inline void fai_users_open(fai_users *users) { FAI_STORE_RELEASE(users, (uint64_t)0); }

#endif
