/* Objects on their way back to the thread whose slab they are of.
 *
 * A thread gathers the addresses of such objects, all of one owner and tag, and hands them over
 * together: most of the addresses are written into some of the freed objects, so that the others
 * are touched by nobody, and all of them cost one compare-and-swap. (Gathering per owner: Lietar
 * et al., snmalloc: a message passing allocator, ISMM 2019.)
 *
 * What is gathered belongs to the freeing thread's state. It goes when there is no more room, when
 * an object of another owner or tag comes, with the thread's frames (which look closer while there
 * is some), with the slow paths of its pools, and when it detaches. An object that is gathered is
 * out of its slab, and so keeps it where it is, whoever owns it by then.
 *
 * Words of the first object of a node: the next node; then addresses of more free objects, ended by
 * NULL or the end of the object. */
#ifndef FAI_DEFERRED_H
#define FAI_DEFERRED_H

#include "fa/internal/owner.h"

/* What objects that went back to bitmaps were charged for, while all are of one pool. */
typedef struct fai_returned {
    fai_pool *pool;
    size_t bytes;
} fai_returned;

/* magazine.c: puts objects into a slab that the thread owns, up to the first that is not its own or
 * is there already: a double free. Returns how many. An entirely free slab is moved to *released
 * when the class has another one with free objects. */
uint32_t fai_pool_put_owned(fai_pool *pool, fai_slab *slab, void *const *objects, uint32_t count,
                            fai_slab **released, fai_returned *returned);
void fai_pool_settle(const fai_returned *returned);
void fai_pool_release_each(fa_allocator *allocator, fai_slab *released); /* under the lock */
void fai_pool_release_all(fa_allocator *allocator, fai_slab *released);  /* takes it */

/* Frees an object of a slab that the calling thread does not own. thread: its state, or NULL: as
 * one must that is about to detach. FA_ERROR_FULL: the object is still the caller's.
 * FA_ERROR_LIMIT: it was dropped, which was reported. No lock may be held. */
fa_status fai_deferred_free(fa_allocator *allocator, fai_thread *thread, fai_slab *slab,
                            void *object);

/* Counts a free by another thread than the owner. thread: the freeing one's state, or NULL. */
void fai_deferred_count(fa_allocator *allocator, fai_thread *thread, uint32_t tag,
                        size_t class_bytes);

/* Hands over what the thread has gathered. No lock may be held. */
void fai_deferred_flush(fai_thread *thread);

/* Hands over what was gathered, and takes in what others freed: all of it, whatever the
 * configuration says. Returns how many objects were taken in. No lock may be held. */
size_t fai_deferred_process_all(fai_thread *thread);

/* The same where the configuration says so for this place. */
void fai_deferred_begin(fai_thread *thread);
void fai_deferred_end(fai_thread *thread);
void fai_deferred_refill(fai_thread *thread);
void fai_deferred_trim(fai_thread *thread, bool idle_only);

/* The beginning and the end of a thread; the end is under the lock, and returns how many objects
 * were there twice. */
void fai_deferred_open(fai_thread *thread);
uint64_t fai_deferred_close(fai_thread *thread);

/* Adds up what waits for a thread, and what it has gathered. Any thread. */
void fai_deferred_add(const fai_thread *thread, fa_deferred_stats *stats);

/* Whether frames of the allocator end with a look at the queue. */
static inline bool fai_deferred_at_end(const fa_allocator *allocator) {
    return allocator->config.deferred.when == FA_DEFERRED_END;
}

#define FAI_GATHERED_BYTES_MAX ((size_t)16 << 10)

/* Whether what the thread has gathered is to go. */
static inline bool fai_deferred_is_enough(const fai_thread *thread) {
    return thread->gathered.count >= thread->allocator->config.deferred.gather_count ||
           thread->gathered.bytes >= FAI_GATHERED_BYTES_MAX;
}

/* Frees an object of the owner and tag, and in the segment, of the one that was gathered last,
 * which keeps the segment where it is: so nothing is looked up. False: do it the long way. */
static inline bool fai_deferred_gather_more(fai_thread *thread, void *object) {
    const fa_allocator *allocator = thread->allocator;
    fai_gathered *gathered = &thread->gathered;
    uintptr_t address = (uintptr_t)object;
    uintptr_t segment = address & ~(allocator->config.pool_segment_bytes - 1);
    if (gathered->count == 0 || segment != gathered->segment ||
        FAI_LOAD_RELAXED(&allocator->budgets.any) || FAI_LOAD_RELAXED(&allocator->spans.sealed))
        return false;
    size_t index = (address - segment) >> FAI_SLAB_SHIFT;
    const fai_slab *slab = fai_segment_slab((fai_segment *)segment, index);
    if (index < ((const fai_segment *)segment)->slab_first ||
        fai_slab_owner_known(slab) != gathered->owner || slab->tag != gathered->tag ||
        slab->class_index >= allocator->pools.class_plain)
        return false; /* a slab that is free has no owner; a task must see what it captured */
    gathered->object[gathered->count] = object;
    FAI_BUMP(&gathered->bytes, slab->class_bytes);
    FAI_BUMP(&gathered->count, 1);
    if (fai_deferred_is_enough(thread))
        fai_deferred_flush(thread);
    return true;
}

#endif
