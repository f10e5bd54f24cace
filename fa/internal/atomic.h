/* Every atomic operation of the library but the loads and stores in fast.h, as macros over plain
 * variables: so that the same source can be compiled for a checker of memory orders (fa/weak), or
 * for a build that yields at each of them. */
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

#define FAI_LOAD_SEQ(pointer) __atomic_load_n((pointer), __ATOMIC_SEQ_CST)
#define FAI_STORE_RELEASE(pointer, value) __atomic_store_n((pointer), (value), __ATOMIC_RELEASE)
#define FAI_STORE_SEQ(pointer, value) __atomic_store_n((pointer), (value), __ATOMIC_SEQ_CST)
#define FAI_EXCHANGE_ACQ_REL(pointer, value)                                                       \
    __atomic_exchange_n((pointer), (value), __ATOMIC_ACQ_REL)
#define FAI_EXCHANGE_ACQUIRE(pointer, value)                                                       \
    __atomic_exchange_n((pointer), (value), __ATOMIC_ACQUIRE)
#define FAI_ADD_RELAXED(pointer, value) __atomic_fetch_add((pointer), (value), __ATOMIC_RELAXED)
#define FAI_SUB_RELAXED(pointer, value) __atomic_fetch_sub((pointer), (value), __ATOMIC_RELAXED)
#define FAI_ADD_SEQ(pointer, value) __atomic_fetch_add((pointer), (value), __ATOMIC_SEQ_CST)
#define FAI_SUB_SEQ(pointer, value) __atomic_fetch_sub((pointer), (value), __ATOMIC_SEQ_CST)
#define FAI_SUB_ACQ_REL(pointer, value) __atomic_fetch_sub((pointer), (value), __ATOMIC_ACQ_REL)
/* Compare and swap; *expected gets what was found. May fail for no reason (weak). */
#define FAI_CAS_RELEASE(pointer, expected, desired)                                                \
    __atomic_compare_exchange_n((pointer), (expected), (desired), true, __ATOMIC_RELEASE,          \
                                __ATOMIC_RELAXED)
#define FAI_CAS_ACQUIRE(pointer, expected, desired)                                                \
    __atomic_compare_exchange_n((pointer), (expected), (desired), true, __ATOMIC_ACQUIRE,          \
                                __ATOMIC_RELAXED)
#define FAI_CAS_RELAXED(pointer, expected, desired)                                                \
    __atomic_compare_exchange_n((pointer), (expected), (desired), true, __ATOMIC_RELAXED,          \
                                __ATOMIC_RELAXED)
#define FAI_CAS_SEQ(pointer, expected, desired)                                                    \
    __atomic_compare_exchange_n((pointer), (expected), (desired), true, __ATOMIC_SEQ_CST,          \
                                __ATOMIC_RELAXED)
#define FAI_CAS_ACQ_REL(pointer, expected, desired)                                                \
    __atomic_compare_exchange_n((pointer), (expected), (desired), true, __ATOMIC_ACQ_REL,          \
                                __ATOMIC_RELAXED)
/* One writer: add without a locked instruction, readable by others. */
#define FAI_BUMP(pointer, value) FAI_STORE_RELAXED((pointer), *(pointer) + (value))

#endif
