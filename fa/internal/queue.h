/* Objects on their way back to the thread that owns them: a list that any thread pushes onto
 * without a lock, and that its owner takes as a whole. So an address that is pushed, taken and
 * pushed again between another pusher's look and its swap does no harm: its link is written anew
 * each time.
 *
 * Compiled for the checker of memory orders too (fa/weak/queue_weak_test.cc). */
#ifndef FAI_QUEUE_H
#define FAI_QUEUE_H

#include "fa/internal/atomic.h"

typedef struct fai_queue {
    FAI_ATOMIC(void *) newest; /* linked through the objects' first words */
} fai_queue;
#define FAI_QUEUE_CLOSED ((void *)1)

/* By the owner, before others hear of it. They read what they find only to hand it back. */
static inline void fai_queue_open(fai_queue *queue) { FAI_STORE_RELAXED(&queue->newest, NULL); }

/* Pushes objects that are linked already, from first to last; the link of last is written here. Any
 * thread. What it did to the objects before, and their links, is seen by whoever takes them: they
 * come with the one release. False when the queue is closed: the objects are still the caller's. */
static inline bool fai_queue_push_chain(fai_queue *queue, void *first, void *last) {
    void *newest = FAI_LOAD_RELAXED(&queue->newest);
    do {
        if (newest == FAI_QUEUE_CLOSED)
            return false;
        fai_link_write(last, newest);
    } while (!FAI_CAS_RELEASE(&queue->newest, &newest, first));
    return true;
}

/* The same for one object. */
static inline bool fai_queue_push(fai_queue *queue, void *object) {
    return fai_queue_push_chain(queue, object, object);
}

/* By the owner. */
static inline bool fai_queue_is_empty(const fai_queue *queue) {
    return FAI_LOAD_RELAXED(&queue->newest) == NULL;
}

/* Takes everything, newest first; fai_link_read leads to the next, NULL ends it. By the owner.
 * Each push is a read-modify-write, so one acquire is enough for all of them. */
static inline void *fai_queue_take(fai_queue *queue) {
    return FAI_EXCHANGE_ACQUIRE(&queue->newest, NULL);
}

/* The same; from now on pushes fail. */
static inline void *fai_queue_close(fai_queue *queue) {
    return FAI_EXCHANGE_ACQUIRE(&queue->newest, FAI_QUEUE_CLOSED);
}

#endif
