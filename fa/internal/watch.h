/* Pool objects of a watched allocator: with checks, or under a sanitizer. */
#ifndef FAI_WATCH_H
#define FAI_WATCH_H

#include "fa/internal/slab.h"

static inline bool fai_has_guard(const fa_allocator *allocator) {
    return (allocator->checks & FA_CHECK_GUARD) != 0;
}

/* What a block of size bytes takes. */
static inline size_t fai_guarded(const fa_allocator *allocator, size_t size) {
    return fai_has_guard(allocator) ? size + FAI_GUARD_BYTES : size;
}

/* Makes a fresh object ready: contents undefined, what is behind it forbidden. Returns it. */
void *fai_watch_fresh(const fa_allocator *allocator, void *object, size_t size, size_t class_bytes);

/* Fills and forbids an object that is being freed. */
void fai_watch_dead(const fa_allocator *allocator, void *object, size_t class_bytes);

/* Verifies what can be seen of a free. Returns FA_DIAG_NONE when it may go on; FA603, a wrong size,
 * does not keep it from going on. size SIZE_MAX: not given. Under the lock. */
fa_diag fai_watch_free(const fa_allocator *allocator, const fai_slab *slab, const void *object,
                       size_t size);

/* Usable size of a live object, from now on allowed to be used; 0 for any other address. Under the
 * lock. */
size_t fai_watch_usable(const fa_allocator *allocator, const fai_slab *slab, const void *object);

#endif
