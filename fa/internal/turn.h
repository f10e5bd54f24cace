/* Whose turn it is: what one thread at a time holds, by handle, and hands to another.
 *
 * A serial is the number of the arena << 32 | how often it was given or taken: odd while it is
 * held. While it is held user is the holder, and nobody else writes the serial.
 *
 * What is ordered: give: release, take: acquire: what was done before it was given comes before
 * what whoever takes it does. To find that it is held by himself nobody needs order: he wrote both.
 *
 * Compiled for the checker of memory orders too (fa/weak/arena_weak_test.cc). */
#ifndef FAI_TURN_H
#define FAI_TURN_H

#include "fa/internal/atomic.h"

typedef FAI_ATOMIC(uint64_t) fai_turn_serial;
#ifndef FAI_TURN_HOLDER /* the checker's atomics can't hold addresses of constants */
#define FAI_TURN_HOLDER const void *
#endif
typedef FAI_ATOMIC(FAI_TURN_HOLDER) fai_turn_user;

/* Whether the calling thread holds it by a handle with the serial mine. */
static inline bool fai_turn_is_mine(const fai_turn_serial *serial, const fai_turn_user *user,
                                    uint64_t mine, FAI_TURN_HOLDER self) {
    return (mine & 1) != 0 && FAI_LOAD_RELAXED(serial) == mine && FAI_LOAD_RELAXED(user) == self;
}

/* By its holder. next: the serial that it can be taken by. */
static inline void fai_turn_give(fai_turn_serial *serial, fai_turn_user *user, uint64_t next) {
    FAI_STORE_RELAXED(user, NULL);
    FAI_STORE_RELEASE(serial, next);
}

/* Takes what was given with that serial, once; it is held with next. False: it is not there
 * any more. */
static inline bool fai_turn_take(fai_turn_serial *serial, fai_turn_user *user, uint64_t given,
                                 uint64_t next, FAI_TURN_HOLDER self) {
    uint64_t seen = given;
    while (!FAI_CAS_ACQUIRE(serial, &seen, next))
        if (seen != given)
            return false;
    FAI_STORE_RELAXED(user, self);
    return true;
}

#endif
