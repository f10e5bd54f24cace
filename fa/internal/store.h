/* Where the memory of heap blocks comes from: regions; for the largest, spans of their own. */
#ifndef FAI_STORE_H
#define FAI_STORE_H

#include "fa/internal/region.h"

#include <pthread.h>

typedef struct fai_cached fai_cached;
#define FAI_STORE_BIN_COUNT 512
#define FAI_STORE_CUT 0xFFFF /* in fai_span.backend: cut from a region */

/* Freed memory kept for the next block of about its size. */
typedef struct fai_cache {
    fai_cached *bin[FAI_STORE_BIN_COUNT]; /* by size, newest first */
    uint64_t bin_used[FAI_STORE_BIN_COUNT / 64];
    fai_cached *oldest, *newest;
    size_t bytes, bytes_max;
    uint64_t hit_count;
} fai_cache;

/* Guarded by its lock, which is taken last of all. */
typedef struct fai_store {
    pthread_mutex_t lock;
    fai_regions regions;
    fai_cache cuts;  /* blocks of regions, not yet grown together with their neighbours */
    fai_cache spans; /* of blocks too large for a region */
} fai_store;

/* Takes memory for a block: *span gets its address and size (at least bytes), *zeroed whether it is
 * known to be all zero. Reports what it can't serve. No lock may be held. */
fa_status fai_store_take(fa_allocator *allocator, size_t bytes, size_t align, fai_span *span,
                         bool *zeroed);
/* One attempt at the same: without reclaimers and reserve, nor a report. */
fa_status fai_store_take_at_hand(fa_allocator *allocator, size_t bytes, size_t align,
                                 fai_span *span, bool *zeroed);
void fai_store_give(fa_allocator *allocator, const fai_span *span);

/* Changes the size of a block's memory where it lies; false, with nothing changed, if it can't. */
bool fai_store_resize(fa_allocator *allocator, fai_span *span, size_t bytes);

bool fai_store_create(fa_allocator *allocator);
void fai_store_destroy(fa_allocator *allocator);
/* Gives spans and regions without use back, and the pages of large free blocks. Returns bytes. */
size_t fai_store_trim(fa_allocator *allocator);
const void *fai_store_validate(fa_allocator *allocator);

#endif
