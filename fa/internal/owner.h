/* Slabs, whose they are, and how objects that others free come home.
 *
 * A slab belongs to one thread's state, or to nobody: then it is the lock's (the allocator's). It
 * is taken and left under the lock only. Who frees an object of another thread's slab pushes it
 * onto that state's queue, without the lock. At its end, under the lock, a thread closes its queue
 * and sees to all that is in it; a push that comes later fails, and is done again under the lock,
 * for whoever has the slab by then. By then the state may also be another thread's, whose queue is
 * open: so a thread may find objects in its queue that are of slabs of others, or of nobody, and
 * passes them on in the same way.
 *
 * What is ordered, beside the queue (queue.h) and by the lock:
 * - A slab is taken with release and its owner looked up with acquire: the slab may have been
 *   adopted since the object was allocated, by a thread that the freeing one never heard of, and
 *   whose queue it must find open. Nobody needs order to find that there is no owner, or that it is
 *   himself, or one whom he has looked up before.
 * - What was processed is written with release and read with acquire: with it comes that it was
 *   queued before, so that the difference is a number of objects.
 * The record of a slab stays where it is as long as an object of it is out: once his is on its way
 * nobody looks at it again.
 *
 * Compiled for the checker of memory orders too (fa/weak/owner_weak_test.cc), which brings its own
 * states and slabs. */
#ifndef FAI_OWNER_H
#define FAI_OWNER_H

#include "fa/internal/queue.h"
#include "fa/internal/slab.h"

/* magazine.c: puts an object into a slab without an owner. Under the lock. False: it is there. */
bool fai_pool_put_abandoned(fa_allocator *allocator, fai_slab *slab, void *object);

/* ---- whose a slab is ---- */

/* Under the lock. magazine: NULL, or where the owner's own frees go. */
static inline void fai_slab_give(fai_slab *slab, fai_thread_head *owner, fai_magazine *magazine) {
    FAI_STORE_RELAXED(&slab->head.magazine, magazine);
    FAI_STORE_RELEASE(&slab->head.owner, owner);
}

/* By its owner, under the lock. A state that is used again has the same magazines: they must not be
 * taken for the slab's. */
static inline void fai_slab_disown(fai_slab *slab) {
    FAI_STORE_RELAXED(&slab->head.magazine, NULL);
    FAI_STORE_RELAXED(&slab->head.owner, NULL);
}

/* By whoever has an object of the slab: it may push onto the queue of the owner that it finds. */
static inline fai_thread *fai_slab_owner(const fai_slab *slab) {
    return (fai_thread *)FAI_LOAD_ACQUIRE(&slab->head.owner);
}

/* The same without a look at the owner: to compare, or under the lock. */
static inline fai_thread *fai_slab_owner_known(const fai_slab *slab) {
    return (fai_thread *)FAI_LOAD_RELAXED(&slab->head.owner);
}

/* ---- how much waits ---- */

/* An amount of objects: how many in the low half, their bytes over 16 in the high one. What was
 * queued, less what was processed, is exact although both wrap. */
static inline uint64_t fai_amount(size_t count, size_t bytes) {
    return (uint64_t)(bytes / FA_ALIGN_MIN) << 32 | count;
}
static inline size_t fai_amount_count(uint64_t amount) { return (uint32_t)amount; }
static inline size_t fai_amount_bytes(uint64_t amount) {
    return (size_t)(amount >> 32) * FA_ALIGN_MIN;
}

/* What waits for a thread. Any thread: what was processed is read first. */
static inline uint64_t fai_deferred_waiting(const fai_thread *thread) {
    uint64_t processed = FAI_LOAD_ACQUIRE(&thread->deferred_processed);
    return FAI_LOAD_RELAXED(&thread->deferred_queued) - processed;
}

/* By the thread: what it took from its queue waits no more. */
static inline void fai_deferred_done(fai_thread *thread, uint64_t amount) {
    FAI_STORE_RELEASE(&thread->deferred_processed,
                      FAI_LOAD_RELAXED(&thread->deferred_processed) + amount);
}

/* Reserves a place in a queue with an end. False: at one moment so many were waiting, or had a
 * place, that there was none. */
static inline bool fai_deferred_reserve(fai_thread *owner, size_t count_max, uint64_t amount) {
    uint64_t processed;
    do {
        processed = FAI_LOAD_ACQUIRE(&owner->deferred_processed);
        uint64_t queued = FAI_LOAD_RELAXED(&owner->deferred_queued);
        while (fai_amount_count(queued - processed) < count_max)
            if (FAI_CAS_RELAXED(&owner->deferred_queued, &queued, queued + amount))
                return true;
        /* Some may have been processed since, and others queued in their place. */
    } while (FAI_LOAD_RELAXED(&owner->deferred_processed) != processed);
    return false;
}

/* ---- the way home ---- */

/* Pushes nodes (deferred.h) with so many objects, for which there are places. False: the owner is
 * gone, and so are the places. */
static inline bool fai_deferred_push_reserved(fai_thread *owner, void *first, void *last,
                                              uint64_t amount) {
    if (fai_queue_push_chain(&owner->deferred, first, last))
        return true;
    FAI_SUB_RELAXED(&owner->deferred_queued, amount);
    return false;
}

static inline bool fai_deferred_push(fai_thread *owner, void *first, void *last, uint64_t amount) {
    FAI_ADD_RELAXED(&owner->deferred_queued, amount); /* before anybody can process them */
    return fai_deferred_push_reserved(owner, first, last, amount);
}

static inline bool fai_deferred_push_one(fai_thread *owner, void *object, uint32_t class_bytes) {
    fai_word_write(object, 1, NULL);
    return fai_deferred_push(owner, object, object, fai_amount(1, class_bytes));
}

/* Frees one object of a slab that is not the caller's. Under the lock, so that nobody takes or
 * leaves the slab, or closes a queue. Returns false for a double free that shows at once. */
static inline bool fai_deferred_pass_on(fa_allocator *allocator, fai_slab *slab, void *object) {
    fai_thread *owner = fai_slab_owner_known(slab);
    if (owner == NULL)
        return fai_pool_put_abandoned(allocator, slab, object);
    (void)fai_deferred_push_one(owner, object, FAI_READ(slab->class_bytes));
    return true;
}

/* The same without it. */
static inline bool fai_deferred_free_one(fa_allocator *allocator, fai_slab *slab, void *object) {
    fai_thread *owner = fai_slab_owner(slab);
    if (owner != NULL && fai_deferred_push_one(owner, object, FAI_READ(slab->class_bytes)))
        return true;
    fai_lock(allocator);
    bool done = fai_deferred_pass_on(allocator, slab, object);
    fai_unlock(allocator);
    return done;
}

#endif
