/* Frees of pool objects, many in a row. */
#ifndef FAI_FREE_H
#define FAI_FREE_H

#include "fa/internal/slab.h"
#include "fa/pool.h"

#define FAI_NO_SEGMENT ((uintptr_t)1) /* no address of one, not even of NULL's */

/* As the inline path of fa_pool_free_sized, with the segment looked up instead of the size known.
 * segment_seen: one that is known already, so that a row of frees looks it up once. */
static inline bool fai_free_ready(fa_allocator *allocator, void *block, uintptr_t *segment_seen) {
    if (FAI_LOAD_RELAXED(&fai_slot.owner) != allocator)
        return false;
    const fai_thread_head *head = fai_slot.head;
    const fai_pool_view *view = &((const fai_thread *)head)->pool.view;
    uintptr_t address = (uintptr_t)block, segment = address & view->segment_mask;
    if (segment != *segment_seen) {
        if (segment == 0 || !fai_segment_known(allocator, segment))
            return false;
        *segment_seen = segment;
    }
    /* The records in front of the first slab have no thread for an owner. */
    const fai_slab_head *slab = FAI_SLAB_HEAD_OF(view, address);
    if (FAI_LOAD_RELAXED(&slab->owner) != head)
        return false;
    fai_magazine *magazine = FAI_LOAD_RELAXED(&slab->magazine); /* of whichever tag */
    if (magazine == NULL || fai_ready(magazine) == magazine->capacity)
        return false;
    FAI_MAGAZINE_SLOTS(magazine)[fai_ready(magazine)] = block;
    FAI_BUMP(&magazine->state, 1);
    return true;
}

/* fa_pool_free, for many: segment_seen is FAI_NO_SEGMENT for the first one. */
static inline void fai_free_next(fa_allocator *allocator, void *block, uintptr_t *segment_seen) {
    if (FA_LIKELY(fai_free_ready(allocator, block, segment_seen)))
        return;
    fai_pool_free_slow(allocator, block, SIZE_MAX);
    *segment_seen = FAI_NO_SEGMENT; /* a segment may have been given back */
}

#endif
