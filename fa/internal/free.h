/* Frees of pool objects, many in a row. */
#ifndef FAI_FREE_H
#define FAI_FREE_H

#include "fa/internal/slab.h"
#include "fa/pool.h"

/* What is known of the blocks of a row of frees. The thread does nothing else between two of them,
 * so whose a slab is stays as it is; who begins to listen on another thread meanwhile may not hear
 * of the rest of the row. */
typedef struct fai_free_row {
    uintptr_t segment;      /* of the last one that was looked up */
    uintptr_t slab;         /* number of the 64 KiB that the last one lies in */
    fai_magazine *magazine; /* for those */
} fai_free_row;
/* Nothing: no segment begins at 1, no block lies at the end of all addresses. */
#define FAI_FREE_ROW                                                                               \
    { 1, UINTPTR_MAX, NULL }

/* The magazine that a block of the calling thread's goes into, NULL for any other; as the inline
 * path of fa_pool_free_sized, with the segment looked up instead of the size known. */
static inline fai_magazine *fai_free_magazine(const fa_allocator *allocator, const void *block,
                                              uintptr_t *segment_seen) {
    if (FAI_LOAD_RELAXED(&fai_slot.owner) != allocator)
        return NULL;
    const fai_thread_head *head = fai_slot.head;
    const fai_pool_view *view = &((const fai_thread *)head)->pool.view;
    uintptr_t address = (uintptr_t)block, segment = address & view->segment_mask;
    if (segment != *segment_seen) {
        if (segment == 0 || !fai_segment_known(allocator, segment))
            return NULL;
        *segment_seen = segment;
    }
    /* The records in front of the first slab have no thread for an owner. */
    const fai_slab_head *slab = FAI_SLAB_HEAD_OF(view, address);
    if (FAI_LOAD_RELAXED(&slab->owner) != head)
        return NULL;
    return FAI_LOAD_RELAXED(&slab->magazine); /* of whichever tag */
}

/* False when it is full. */
static inline bool fai_free_into(fai_magazine *magazine, void *block) {
    if (FA_UNLIKELY(fai_ready(magazine) == magazine->capacity))
        return false;
    FAI_MAGAZINE_SLOTS(magazine)[fai_ready(magazine)] = block;
    FAI_BUMP(&magazine->state, 1);
    return true;
}

/* fa_pool_free of the next one. */
static inline void fai_free_next(fa_allocator *allocator, void *block, fai_free_row *row) {
    uintptr_t slab = (uintptr_t)block >> FAI_SLAB_SHIFT;
    if (slab != row->slab) {
        row->magazine = fai_free_magazine(allocator, block, &row->segment);
        row->slab = slab;
    }
    if (FA_LIKELY(row->magazine != NULL && fai_free_into(row->magazine, block)))
        return;
    fai_pool_free_slow(allocator, block, SIZE_MAX);
    *row = (fai_free_row)FAI_FREE_ROW; /* a segment may have been given back */
}

#endif
