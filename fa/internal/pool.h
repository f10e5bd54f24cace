/* What a thread keeps of pool memory: for each tag that it allocated objects in, the slabs that it
 * owns and the magazines above them. */
#ifndef FAI_POOL_H
#define FAI_POOL_H

#include "fa/internal/allocator.h"

/* The slabs that a thread owns of one tag and class. Each is in one of the lists. */
typedef struct fai_pool_class {
    fai_slab *partial;      /* with free objects */
    fai_slab *full;         /* without */
    size_t refill_count;    /* objects to take from slabs next time */
    uint64_t window_state;  /* the magazine's state then */
    uint64_t window_loaded; /* the magazine's loaded_count when the trim window began */
} fai_pool_class;

/* A thread's pool objects of one tag. */
typedef struct fai_pool {
    fai_pool_view view;
    fai_thread *thread;
    struct fai_pool *next; /* of the same thread; written under the allocator's lock */
    uint32_t tag;
    fai_magazine *magazine[FAI_POOL_CLASSES];
    fai_pool_class classes[FAI_POOL_CLASSES];
    fai_span span; /* address NULL: part of the thread's state */
} fai_pool;

/* Always empty and always full: never written. */
extern fai_magazine fai_magazine_none;

/* What a thread sees that has no pool for its tag yet: no bin has an object. */
extern fai_pool_view fai_pool_closed;

/* The same while a task captures what the thread allocates, in tags that it has a pool for. */
extern fai_pool_view fai_pool_captured;

/* magazine.c */
void fai_pool_initialise(void);                       /* once, before anything else */
size_t fai_pool_thread_bytes(const fai_pools *pools); /* magazines behind the state */
void fai_pool_attach(fai_thread *thread);
/* The calling thread's pool for the tag that it is in, made where there is none yet; that of a
 * former user of the state is taken again. NULL with the reason reported. */
fai_pool *fai_pool_make(fai_thread *thread);
void fai_pool_free_all(fai_thread *thread); /* those beside the thread's state */
void fai_pool_open(fai_thread *thread);   /* the untagged fast paths; under the allocator's lock */
void fai_pool_detach(fai_thread *thread); /* under the allocator's lock */
/* From now on the calling thread's allocations take the slow path, or no more. */
void fai_pool_capture(fai_thread *thread, bool captured);
/* Opens the fast path of a size, or closes it, as it is to be. Under the lock. */
void fai_pool_open_bin(fai_pool *pool, size_t bin);
/* Closes all fast paths of all threads, for alloc and free, or opens them again. Under the lock. */
void fai_pool_trace(fa_allocator *allocator, bool traced);
/* Gives ready objects, empty slabs and segments back: all, or those of classes that had no refill
 * since the last call. Returns the bytes given to the backend. */
size_t fai_pool_trim(fai_thread *thread, bool idle_only);
/* Fills an empty magazine from slabs. */
fai_charge fai_pool_refill(fai_pool *pool, fai_magazine *magazine);
/* Gives the oldest count objects of a magazine back to their slabs. */
void fai_pool_flush(fai_pool *pool, fai_magazine *magazine, uint32_t count);
/* One object of a watched allocator, where any thread may put objects back. */
fai_charge fai_pool_take_watched(fai_pool *pool, uint32_t class_index, void **object);
/* Puts one back, where bitmaps are shared; under the lock. owner: of the slab, or NULL; direct: it
 * is not the calling thread. False: it is there already, or none of the slab's. */
bool fai_pool_put_shared(fa_allocator *allocator, fai_thread *owner, fai_slab *slab, void *object,
                         bool direct);
/* Once an object that fai_pool_refill or fai_pool_take_watched provided is the caller's: notes what
 * was charged. Calls the event hook, which may empty magazines. */
void fai_pool_note(fai_pool *pool);

/* Whether a slab of the class has free objects. */
bool fai_pool_has_partial(const fai_pool *pool, uint32_t class_index);

/* Gives what the thread keeps ready, and is charged to an account or one below it, back to its
 * slabs. Returns whether there was anything. */
bool fai_pool_give_ready(fai_thread *thread, const fai_account *account);

/* pool.c */
/* For the library's own blocks, which are freed without their size: one from the heap does not
 * close the fast path. size and align are checked. */
void *fai_pool_alloc_unsized(fa_allocator *allocator, size_t size, size_t align);
/* Likewise, for blocks that may be freed with their size: as fa_pool_alloc_aligned, but that no
 * task captures them. */
void *fai_pool_alloc_own(fa_allocator *allocator, size_t size, size_t align);
/* For an object that a task captures. One from the heap says so. */
void *fai_pool_alloc_captured(fa_allocator *allocator, size_t size, size_t align);
/* Frees such a block; as an owner does that nobody can tell that it is still his. */
void fai_pool_free_captured(fa_allocator *allocator, fai_slab *slab, void *block);
/* Frees a pool or heap block. thread: the calling one's state, or NULL: as another thread would, as
 * one must that is about to detach. */
void fai_pool_free_by(fa_allocator *allocator, fai_thread *thread, void *block);
size_t fai_pool_usable(fa_allocator *allocator, fai_slab *slab, const void *object);

/* The fast path of fa_pool_alloc; NULL where that is to look closer. */
static inline void *fai_pool_take_ready(const fa_allocator *allocator, size_t size) {
    size_t bin = (size + (((size_t)1 << FAI_BIN_SHIFT) - 1)) >> FAI_BIN_SHIFT;
    if (FA_UNLIKELY(FAI_LOAD_RELAXED(&fai_slot.owner) != allocator || bin >= FAI_BIN_COUNT))
        return NULL;
    fai_magazine *magazine = FAI_LOAD_RELAXED(&fai_slot.view->magazine_of_bin[bin]);
    uint64_t state = magazine->state;
    size_t ready = FAI_READY(state);
    if (FA_UNLIKELY(ready == 0))
        return NULL;
    FAI_STORE_RELAXED(&magazine->state, state + (FAI_HANDED_OUT_ONE - 1));
    return FAI_MAGAZINE_SLOTS(magazine)[ready - 1];
}

static inline size_t fai_ready(const fai_magazine *magazine) {
    return FAI_READY(FAI_LOAD_RELAXED(&magazine->state));
}

/* Adds what a magazine says to counts. Any thread. */
static inline void fai_magazine_count(const fai_magazine *magazine, fai_pool_counts *counts) {
    uint64_t state = FAI_LOAD_RELAXED(&magazine->state);
    uint64_t allocs = state >> FAI_HANDED_OUT_SHIFT;
    uint64_t frees = allocs + FAI_LOAD_RELAXED(&magazine->flushed_count) + FAI_READY(state) -
                     FAI_LOAD_RELAXED(&magazine->loaded_count);
#ifdef FA_MINIMAL
    frees = 0;
#endif
    counts->alloc_count += allocs;
    counts->free_count += frees;
    counts->live_bytes += (allocs - frees) * magazine->class_bytes;
}

/* Adds what all magazines of a pool say. Any thread. */
static inline void fai_pool_count(const fai_pool *pool, const fai_pools *pools,
                                  fai_pool_counts *counts) {
    for (uint32_t i = 0; i < pools->class_count; i++)
        fai_magazine_count(pool->magazine[i], counts);
}

#endif
