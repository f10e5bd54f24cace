/* Sleeping until a word changes, and waking who does: the kernel's futex (futex(2)) over the low 32
 * bits of a 64-bit word. */
#ifndef FAI_FUTEX_H
#define FAI_FUTEX_H

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define FAI_FUTEX_MASK UINT64_C(0xFFFFFFFF)

static inline uint32_t *fai_futex_half(uint64_t *word) {
    return (uint32_t *)(void *)word + (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__);
}

/* Sleeps if the low half of the word is that of expected: looking and falling asleep are one step.
 * deadline: on CLOCK_MONOTONIC; NULL: never. Returns false when that has passed; true says nothing,
 * the caller looks again. */
static inline bool fai_futex_wait(uint64_t *word, uint64_t expected,
                                  const struct timespec *deadline) {
    long result = syscall(SYS_futex, fai_futex_half(word), FUTEX_WAIT_BITSET_PRIVATE,
                          (uint32_t)expected, deadline, NULL, FUTEX_BITSET_MATCH_ANY);
    return result == 0 || errno != ETIMEDOUT;
}

/* Wakes all. */
static inline void fai_futex_wake(uint64_t *word) {
    syscall(SYS_futex, fai_futex_half(word), FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

/* By these names in protocols that are compiled for the checker of memory orders too. */
typedef const struct timespec *fai_deadline;
#define FAI_FUTEX_WAIT(word, expected, deadline) fai_futex_wait((word), (expected), (deadline))
#define FAI_FUTEX_WAKE(word) fai_futex_wake(word)

#endif
