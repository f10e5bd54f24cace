/* Every atomic operation of the library but the loads and stores in fast.h, as macros over plain
 * variables: so that the same source can be compiled for a checker of memory orders (fa/weak), or
 * for a build that yields at each of them (below).
 *
 * What threads do to each other without a lock stands in headers of its own, each order argued
 * there, that the checker compiles too: fa/weak/checker.hpp lists them. Everywhere else an
 * operation is one of these, or has its reason beside it:
 * - Counts, sums, peaks that others read: relaxed. Each is right by itself; of two that are read
 *   one after the other the second may be newer. One writer: a store; many: an addition, or
 *   fai_raise. Sums that a decision hangs on are looked at again under a lock, or in ledger.h.
 * - Numbers that are to differ (serials, epochs, ids): a relaxed addition; updates of one variable
 *   have one order.
 * - Memory that is made once and stays as long as its allocator (tags, tallies, pages of transfers,
 *   blocks of rosters and of retained objects, parkings): its address is stored with release when
 *   it is complete, and loaded with acquire by whoever has no lock that orders it. Whoever writes
 *   has a lock, or is the only one who does.
 * - Flags that one of many raises, or lowers: a relaxed exchange or compare and swap, for there is
 *   nothing behind them but that it was this one.
 * - What is written under a lock, and looked at without only to see whether the lock is worth
 *   taking: relaxed; it is looked at again under the lock. */
#ifndef FAI_ATOMIC_H
#define FAI_ATOMIC_H

#include "fa/fast.h"

#include <string.h>

/* What a protocol shares, where it is compiled for the checker too: variables that go through the
 * operations below, and plain ones, of which the protocol sees to it that no two threads meet. */
#define FAI_PLAIN(type) type
#define FAI_READ(variable) (variable)
#define FAI_WRITE(variable, value) ((void)((variable) = (value)))

/* The first word of an object that nobody uses, as a link to another one. */
static inline void *fai_link_read(const void *object) {
    void *next;
    memcpy(&next, object, sizeof next);
    return next;
}
static inline void fai_link_write(void *object, void *next) { memcpy(object, &next, sizeof next); }

/* The words behind it, from index 1 on. */
static inline void *fai_word_read(const void *object, size_t index) {
    return fai_link_read((const char *)object + index * sizeof(void *));
}
static inline void fai_word_write(void *object, size_t index, void *value) {
    fai_link_write((char *)object + index * sizeof(void *), value);
}

#ifndef FA_YIELD
#define FAI_AROUND(operation) (operation)
#define FAI_AROUND_STORE(operation) (operation)
#define FAI_CAS_WEAK(pointer, expected, desired, order)                                            \
    __atomic_compare_exchange_n((pointer), (expected), (desired), true, (order), __ATOMIC_RELAXED)
#else
/* `--config=yield`: before and after each atomic operation the thread may stop for a moment, or let
 * others run, by chance, and a weak compare and swap may fail: so orders of events come up that a
 * plain run has once in a million times. FA_YIELD_SEED in the environment, a number, chooses
 * others. */
#include <sched.h>
#include <stdlib.h>

FA_EXTERN_C_BEGIN
/* Weak, as every source that includes this has them. */
__attribute__((weak)) __thread uint64_t fai_yield_state; /* 0: not seeded */
__attribute__((weak)) uint64_t fai_yield_threads;

__attribute__((weak)) uint64_t fai_yield(void) {
    uint64_t state = fai_yield_state;
    if (state == 0) {
        const char *seed = getenv("FA_YIELD_SEED");
        uint64_t number = __atomic_add_fetch(&fai_yield_threads, 1, __ATOMIC_RELAXED);
        state = (number + (seed ? strtoull(seed, NULL, 0) : 0)) * 0x9E3779B97F4A7C15u | 1;
    }
    state ^= state << 13; /* Marsaglia, Xorshift RNGs, 2003 */
    state ^= state >> 7;
    state ^= state << 17;
    fai_yield_state = state;
    if (state >> 60 == 0)
        sched_yield();
    else if (state >> 60 <= 2)
        for (uint64_t spin = state >> 50 & 0xFF; spin != 0; spin--)
            __asm__ volatile("" ::: "memory");
    return state;
}
FA_EXTERN_C_END

#ifdef __cplusplus
#define FAI_YIELD_TYPE auto
#else
#define FAI_YIELD_TYPE __auto_type
#endif
#define FAI_AROUND_AS(operation, name)                                                             \
    __extension__({                                                                                \
        (void)fai_yield();                                                                         \
        FAI_YIELD_TYPE name = (operation);                                                         \
        (void)fai_yield();                                                                         \
        name;                                                                                      \
    })
#define FAI_AROUND_PASTED(operation, number) FAI_AROUND_AS(operation, fai_around_##number)
#define FAI_AROUND_COUNTED(operation, number) FAI_AROUND_PASTED(operation, number)
#define FAI_AROUND(operation) FAI_AROUND_COUNTED(operation, __COUNTER__)
#define FAI_AROUND_STORE(operation) ((void)fai_yield(), (operation), (void)fai_yield())

#define FAI_CAS_WEAK(pointer, expected, desired, order)                                            \
    FAI_AROUND((fai_yield() >> 50 & 0x1F) == 0                                                     \
                   ? (*(expected) = __atomic_load_n((pointer), __ATOMIC_RELAXED), false)           \
                   : __atomic_compare_exchange_n((pointer), (expected), (desired), true, (order),  \
                                                 __ATOMIC_RELAXED))

/* Those of fast.h too, where the library's own sources use them. */
#undef FAI_LOAD_RELAXED
#undef FAI_LOAD_ACQUIRE
#undef FAI_STORE_RELAXED
#define FAI_LOAD_RELAXED(pointer) FAI_AROUND(__atomic_load_n((pointer), __ATOMIC_RELAXED))
#define FAI_LOAD_ACQUIRE(pointer) FAI_AROUND(__atomic_load_n((pointer), __ATOMIC_ACQUIRE))
#define FAI_STORE_RELAXED(pointer, value)                                                          \
    FAI_AROUND_STORE(__atomic_store_n((pointer), (value), __ATOMIC_RELAXED))
#endif

#define FAI_LOAD_SEQ(pointer) FAI_AROUND(__atomic_load_n((pointer), __ATOMIC_SEQ_CST))
#define FAI_STORE_RELEASE(pointer, value)                                                          \
    FAI_AROUND_STORE(__atomic_store_n((pointer), (value), __ATOMIC_RELEASE))
#define FAI_STORE_SEQ(pointer, value)                                                              \
    FAI_AROUND_STORE(__atomic_store_n((pointer), (value), __ATOMIC_SEQ_CST))
#define FAI_EXCHANGE_ACQ_REL(pointer, value)                                                       \
    FAI_AROUND(__atomic_exchange_n((pointer), (value), __ATOMIC_ACQ_REL))
#define FAI_EXCHANGE_ACQUIRE(pointer, value)                                                       \
    FAI_AROUND(__atomic_exchange_n((pointer), (value), __ATOMIC_ACQUIRE))
#define FAI_ADD_RELAXED(pointer, value)                                                            \
    FAI_AROUND(__atomic_fetch_add((pointer), (value), __ATOMIC_RELAXED))
#define FAI_SUB_RELAXED(pointer, value)                                                            \
    FAI_AROUND(__atomic_fetch_sub((pointer), (value), __ATOMIC_RELAXED))
#define FAI_ADD_SEQ(pointer, value)                                                                \
    FAI_AROUND(__atomic_fetch_add((pointer), (value), __ATOMIC_SEQ_CST))
#define FAI_SUB_RELEASE(pointer, value)                                                            \
    FAI_AROUND(__atomic_fetch_sub((pointer), (value), __ATOMIC_RELEASE))
#define FAI_SUB_ACQ_REL(pointer, value)                                                            \
    FAI_AROUND(__atomic_fetch_sub((pointer), (value), __ATOMIC_ACQ_REL))
#define FAI_EXCHANGE_RELAXED(pointer, value)                                                       \
    FAI_AROUND(__atomic_exchange_n((pointer), (value), __ATOMIC_RELAXED))
/* Compare and swap; *expected gets what was found. May fail for no reason (weak). */
#define FAI_CAS_RELEASE(pointer, expected, desired)                                                \
    FAI_CAS_WEAK(pointer, expected, desired, __ATOMIC_RELEASE)
#define FAI_CAS_ACQUIRE(pointer, expected, desired)                                                \
    FAI_CAS_WEAK(pointer, expected, desired, __ATOMIC_ACQUIRE)
#define FAI_CAS_RELAXED(pointer, expected, desired)                                                \
    FAI_CAS_WEAK(pointer, expected, desired, __ATOMIC_RELAXED)
#define FAI_CAS_SEQ(pointer, expected, desired)                                                    \
    FAI_CAS_WEAK(pointer, expected, desired, __ATOMIC_SEQ_CST)
#define FAI_CAS_ACQ_REL(pointer, expected, desired)                                                \
    FAI_CAS_WEAK(pointer, expected, desired, __ATOMIC_ACQ_REL)
/* The same; fails only where it found something else. */
#define FAI_CAS_STRONG_ACQUIRE(pointer, expected, desired)                                         \
    FAI_AROUND(__atomic_compare_exchange_n((pointer), (expected), (desired), false,                \
                                           __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
/* Whether the process has no other thread, as far as the C library tells; that changes only in
 * calls that make one, or fork. */
#if defined(__has_include) && !defined(FA_YIELD)
#if __has_include(<sys/single_threaded.h>)
#include <sys/single_threaded.h>
#define FAI_HAS_ONE_THREAD (__libc_single_threaded != 0)
#endif
#endif
#ifndef FAI_HAS_ONE_THREAD
#define FAI_HAS_ONE_THREAD false
#endif

/* One writer: add without a locked instruction, readable by others. */
#define FAI_BUMP(pointer, value) FAI_STORE_RELAXED((pointer), *(pointer) + (value))

#endif
