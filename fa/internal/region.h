/* Regions: large spans that smaller heap blocks are cut from, and grow together again.
 *
 * Free blocks wait in bins by size, sixteen for each doubling; a request takes one of the newest of
 * its own bin where it fits, else the first block of the first bin whose every block is large
 * enough (good fit, as in TLSF: Masmano et al., "TLSF: a new dynamic memory allocator for real-time
 * systems", 2004), so that both ways are O(1). Each block starts with 16 bytes that know its size
 * and its neighbour below. */
#ifndef FAI_REGION_H
#define FAI_REGION_H

#include "fa/internal/span.h"

#define FAI_REGION_BIN_COUNT 384

typedef struct fai_block fai_block;
typedef struct fai_region fai_region;

/* All regions of a heap; guarded by its lock. */
typedef struct fai_regions {
    fai_region *first;
    size_t region_bytes; /* size of a region */
    size_t block_bytes_max;
    size_t region_count;
    size_t empty_count;
    size_t free_bytes; /* in all free blocks, without their headers */
    fai_block *bin[FAI_REGION_BIN_COUNT];
    uint64_t bin_used[FAI_REGION_BIN_COUNT / 64];
} fai_regions;

void fai_regions_create(fai_regions *regions, size_t region_bytes);

/* Cuts a block of size bytes (at most block_bytes_max) at a multiple of align from what is held.
 * NULL when nothing fits. */
void *fai_regions_take(fai_regions *regions, size_t size, size_t align);

/* Adds an empty region in span, whose size is region_bytes. */
void fai_regions_add(fai_regions *regions, const fai_span *span);

/* Takes a block back. Returns a region to be given to the backend, as its span, when more than one
 * is empty: true, with *span filled. */
bool fai_regions_give(fai_regions *regions, void *block, fai_span *span);

/* The block will be given back soon: has what that looks at fetched into the cache. */
void fai_regions_prefetch(const void *block);

/* Changes the size of a block where it lies; false when its neighbour is in the way. */
bool fai_regions_resize(fai_regions *regions, void *block, size_t size);

/* Bytes that may be used in a block; at least what was asked for. */
size_t fai_regions_usable(const void *block);

/* Takes an empty region off; false when there is none. */
bool fai_regions_remove_empty(fai_regions *regions, fai_span *span);

/* Calls drop for the inside of each free block of at least bytes_min. */
void fai_regions_visit_free(fai_regions *regions, size_t bytes_min,
                            void (*drop)(void *user, const fai_span *span, void *address,
                                         size_t size),
                            void *user);

/* Span of any region, taken off, whatever is alive in it; false when there is none. For destroy. */
bool fai_regions_remove_any(fai_regions *regions, fai_span *span);

/* Walks everything; returns the address of what is wrong, or NULL. */
const void *fai_regions_validate(const fai_regions *regions);

#endif
