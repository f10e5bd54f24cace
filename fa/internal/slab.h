/* Slabs: 64 KiB cut into objects of one class, and the segments that they come from.
 *
 * A segment starts with one 64-byte record for each of its slabs (the first is the segment's own),
 * then come the slabs' bitmaps, then, from the next slab boundary on, the objects. Nothing about an
 * object is kept beside it: a wild write past a block can't reach the book-keeping. */
#ifndef FAI_SLAB_H
#define FAI_SLAB_H

#include "fa/internal/segments.h"
#include "fa/internal/thread.h"

#define FAI_SLAB_BYTES ((size_t)1 << FAI_SLAB_SHIFT)
#define FAI_SLAB_OBJECTS_MAX (FAI_SLAB_BYTES / FA_ALIGN_MIN)
#define FAI_SLAB_BITMAP_BYTES (FAI_SLAB_OBJECTS_MAX / 8)

typedef enum fai_slab_state { FAI_SLAB_FREE, FAI_SLAB_OWNED, FAI_SLAB_ABANDONED } fai_slab_state;

/* Invariants: free_count == bits set in its bitmap; owner != NULL exactly when OWNED; in one list
 * of its owner when OWNED, in its class's abandoned list when ABANDONED and free_count > 0, in its
 * segment's free list when FREE. Bits and counts are the owner's; the lock's without an owner, and
 * where they are shared (fai_bits_lock). */
struct fai_slab {
    fai_slab_head head;
    fai_slab *next, *prev;
    uint32_t inverse; /* 2^32 / class_bytes, rounded up: index = offset * inverse >> 32 */
    uint32_t class_bytes;
    uint16_t class_index;
    uint16_t capacity; /* objects */
    uint16_t free_count;
    uint16_t scan; /* no bit is set in the words of the bitmap before this one */
    uint16_t tag;  /* what its objects are accounted to */
    uint8_t state; /* fai_slab_state */
    bool is_dirty; /* was used since its pages were last dropped */
};
_Static_assert(sizeof(fai_slab) <= FAI_SLAB_STRIDE, "a slab's record must fit into its stride");

/* Lies in the place of the record of slab 0. Its first word is no thread, so that the fast path of
 * free never takes an address in slab 0 for an object. */
struct fai_segment {
    fa_allocator *allocator;
    fai_segment *next, *prev;
    fai_slab *free; /* singly linked through next */
    fai_span span;
    uint16_t slab_count; /* of the whole segment */
    uint16_t slab_first; /* slabs before it hold the book-keeping */
    uint16_t free_count;
};
_Static_assert(sizeof(fai_segment) <= FAI_SLAB_STRIDE, "a segment's record must fit too");

static inline fai_slab *fai_segment_slab(const fai_segment *segment, size_t index) {
    return (fai_slab *)((uintptr_t)segment + index * FAI_SLAB_STRIDE);
}

static inline fai_segment *fai_slab_segment(const fa_allocator *allocator, const fai_slab *slab) {
    return (fai_segment *)((uintptr_t)slab & ~(allocator->config.pool_segment_bytes - 1));
}

static inline size_t fai_slab_index(const fai_segment *segment, const fai_slab *slab) {
    return ((uintptr_t)slab - (uintptr_t)segment) / FAI_SLAB_STRIDE;
}

static inline char *fai_slab_objects(const fai_segment *segment, const fai_slab *slab) {
    return (char *)((uintptr_t)segment + fai_slab_index(segment, slab) * FAI_SLAB_BYTES);
}

static inline uint64_t *fai_slab_bits(const fai_segment *segment, const fai_slab *slab) {
    return (uint64_t *)((uintptr_t)segment + segment->slab_count * (size_t)FAI_SLAB_STRIDE +
                        fai_slab_index(segment, slab) * FAI_SLAB_BITMAP_BYTES);
}

/* Slab of an address that lies in a slab of this allocator. */
static inline fai_slab *fai_slab_of_object(const fa_allocator *allocator, const void *object) {
    uintptr_t address = (uintptr_t)object;
    uintptr_t segment = address & ~(allocator->config.pool_segment_bytes - 1);
    return fai_segment_slab((fai_segment *)segment, (address - segment) >> FAI_SLAB_SHIFT);
}

/* Answers whether a segment of this allocator starts at an address. No lock. */
static inline bool fai_segment_known(const fa_allocator *allocator, uintptr_t segment) {
    return fai_table_knows(&allocator->pools.table, segment);
}

/* Slab of any address, or NULL when it lies in no used slab of this allocator. No lock. */
fai_slab *fai_slab_lookup(fa_allocator *allocator, const void *address);

/* Answers whether object is the address of an object of slab, whose objects start at base, and its
 * index. */
static inline bool fai_slab_index_of(const fai_slab *slab, const char *base, const void *object,
                                     uint32_t *index) {
    uintptr_t offset = (uintptr_t)object - (uintptr_t)base;
    *index = (uint32_t)(offset * slab->inverse >> 32);
    return offset < FAI_SLAB_BYTES && *index < slab->capacity &&
           *index * slab->class_bytes == offset;
}

/* The same for a slab that no more is known of. */
static inline bool fai_slab_locate(const fa_allocator *allocator, const fai_slab *slab,
                                   const void *object, uint32_t *index) {
    const fai_segment *segment = fai_slab_segment(allocator, slab);
    return fai_slab_index_of(slab, fai_slab_objects(segment, slab), object, index);
}

/* Of its objects that are not in it. */
static inline size_t fai_slab_bytes_out(const fai_slab *slab) {
    return (size_t)(slab->capacity - slab->free_count) * slab->class_bytes;
}

/* Takes up to count objects in order of address; objects[count - 1] is the first of them, so that
 * a magazine hands them out in that order. Returns how many; they fill the front of objects. */
uint32_t fai_slab_take(const fa_allocator *allocator, fai_slab *slab, void **objects,
                       uint32_t count);

/* Puts objects back, one after the other until one is none of the slab's or is there already.
 * Returns how many were put. */
uint32_t fai_slab_put(const fa_allocator *allocator, fai_slab *slab, void *const *objects,
                      uint32_t count);

/* Gets a slab for a class: adopted from an exited thread's pool of the same tag, or a free one, in
 * a new segment if must be. It belongs to pool's thread and is in no list. NULL with the reason
 * reported; but without a report where what was tried before giving up (reserve.h) left the pool a
 * slab of the class with free objects. Takes the lock. */
fai_slab *fai_slab_acquire(fai_pool *pool, uint32_t class_index);

/* Opens or closes the fast path of free of all slabs, as it is to be. Under the lock. */
void fai_slab_trace(fa_allocator *allocator);

/* Gives a slab whose objects are all back to its segment, and the segment to the backend when there
 * are others without use. Under the lock. */
void fai_slab_release(fa_allocator *allocator, fai_slab *slab);

/* Leaves a slab to whoever needs one of its tag and class next. Under the lock, by its owner. */
void fai_slab_abandon(fa_allocator *allocator, fai_slab *slab);

/* Puts an object into a slab without an owner. Under the lock. As fai_slab_put. */
bool fai_slab_put_abandoned(fa_allocator *allocator, fai_slab *slab, void *object);

/* Gives all empty segments back, drops the pages of free slabs. Under the lock. Returns bytes. */
size_t fai_slab_trim(fa_allocator *allocator);

/* Frees all segments and tables; for destroy. */
void fai_slab_destroy(fa_allocator *allocator);

/* Checks every slab; returns the address of what is wrong, or NULL. Under the lock. */
const void *fai_slab_validate(fa_allocator *allocator);

static inline void fai_slab_push(fai_slab **list, fai_slab *slab) {
    slab->prev = NULL;
    slab->next = *list;
    if (*list)
        (*list)->prev = slab;
    *list = slab;
}

static inline void fai_slab_unlink(fai_slab **list, fai_slab *slab) {
    if (slab->prev)
        slab->prev->next = slab->next;
    else
        *list = slab->next;
    if (slab->next)
        slab->next->prev = slab->prev;
    slab->next = slab->prev = NULL;
}

#endif
