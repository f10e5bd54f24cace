#include "fa/internal/region.h"

#include "fa/internal/check.h"
#include "fa/internal/poison.h"

#include <string.h>

#define FREE_BIT ((size_t)1)
#define HEADER_BYTES FA_ALIGN_MIN
#define PAYLOAD_MIN ((size_t)32)
#define LINEAR_BYTES ((size_t)256) /* below it one bin for each 16 bytes */
#define LOOKS_MAX 4                /* at blocks of a bin whose sizes differ */

/* Header of a block, followed by its bytes. Blocks fill a region without a gap; the last one is an
 * empty block in use, so that every other has a neighbour above. */
struct fai_block {
    fai_block *below;       /* NULL: the first of its region */
    size_t size_bits;       /* bytes behind the header; bit 0: free */
    fai_block *next, *prev; /* in its bin, while free */
};

struct fai_region {
    fai_region *next, *prev;
    fai_span span;
};
#define REGION_HEADER_BYTES FA_CACHE_LINE
_Static_assert(sizeof(fai_region) <= REGION_HEADER_BYTES, "a region's record must fit");
_Static_assert(sizeof(fai_block) <= HEADER_BYTES + PAYLOAD_MIN, "a free block must hold its links");

static size_t size_of(const fai_block *block) { return block->size_bits & ~FREE_BIT; }
static bool is_free(const fai_block *block) { return (block->size_bits & FREE_BIT) != 0; }
static char *payload_of(fai_block *block) { return (char *)block + HEADER_BYTES; }

static fai_block *block_of(const void *payload) {
    return (fai_block *)((uintptr_t)payload - HEADER_BYTES);
}

static fai_block *above(fai_block *block) {
    return (fai_block *)(void *)(payload_of(block) + size_of(block));
}

static fai_region *region_of_first(fai_block *block) {
    return (fai_region *)((uintptr_t)block - REGION_HEADER_BYTES);
}

static fai_block *first_of(fai_region *region) {
    return (fai_block *)((uintptr_t)region + REGION_HEADER_BYTES);
}

/* ---- bins ---- */

/* Bin of a free block of that size. */
static size_t bin_of(size_t size) {
    if (size < LINEAR_BYTES)
        return size / FA_ALIGN_MIN;
    size_t log2 = 63 - (size_t)__builtin_clzll(size);
    return (log2 - 7) * 16 + (size >> (log2 - 4) & 15);
}

/* First bin whose every block holds size bytes. */
static size_t bin_for(size_t size) {
    if (size < LINEAR_BYTES)
        return size / FA_ALIGN_MIN;
    size_t log2 = 63 - (size_t)__builtin_clzll(size);
    return bin_of(size + (((size_t)1 << (log2 - 4)) - 1));
}

static void bin_put(fai_regions *regions, fai_block *block) {
    size_t bin = bin_of(size_of(block));
    block->size_bits |= FREE_BIT;
    block->prev = NULL;
    block->next = regions->bin[bin];
    if (block->next)
        block->next->prev = block;
    regions->bin[bin] = block;
    regions->bin_used[bin / 64] |= (uint64_t)1 << bin % 64;
    regions->free_bytes += size_of(block);
}

static void bin_take(fai_regions *regions, fai_block *block) {
    size_t bin = bin_of(size_of(block));
    if (block->prev)
        block->prev->next = block->next;
    else
        regions->bin[bin] = block->next;
    if (block->next)
        block->next->prev = block->prev;
    if (regions->bin[bin] == NULL)
        regions->bin_used[bin / 64] &= ~((uint64_t)1 << bin % 64);
    regions->free_bytes -= size_of(block);
    block->size_bits &= ~FREE_BIT;
}

/* A block of about the size is better than a part of a larger one: looking at a few saves 3 % of
 * the memory where large blocks of all sizes come and go (scenario streaming). */
static fai_block *find(const fai_regions *regions, size_t size) {
    size_t bin = bin_for(size);
    int looks = bin == bin_of(size) ? 0 : LOOKS_MAX;
    for (fai_block *block = regions->bin[bin_of(size)]; block && looks;
         block = block->next, looks--)
        if (size_of(block) >= size)
            return block;
    for (size_t word = bin / 64; word < FAI_REGION_BIN_COUNT / 64; word++) {
        uint64_t used = regions->bin_used[word];
        if (word == bin / 64)
            used &= ~(uint64_t)0 << bin % 64;
        if (used != 0)
            return regions->bin[word * 64 + (size_t)__builtin_ctzll(used)];
    }
    return NULL;
}

/* ---- blocks ---- */

/* Cuts what a block in use has beyond size off, where that is a block's worth. Returns it, free but
 * in no bin, or NULL. The block above is written and not read: most likely it lies in no cache. */
static fai_block *cut(fai_block *block, size_t size) {
    size_t whole = size_of(block);
    if (whole < size + HEADER_BYTES + PAYLOAD_MIN)
        return NULL;
    block->size_bits = size;
    fai_block *rest = above(block);
    fai_unpoison_defined(rest, sizeof *rest);
    rest->below = block;
    rest->size_bits = whole - size - HEADER_BYTES;
    above(rest)->below = rest;
    return rest;
}

/* Moves the start of a free-standing block up to where its bytes are aligned; what is below becomes
 * a free block. */
static fai_block *align_start(fai_regions *regions, fai_block *block, size_t align) {
    char *start = payload_of(block);
    char *aligned = fai_align_up(start, align);
    if (aligned == start)
        return block;
    while ((size_t)(aligned - start) < HEADER_BYTES + PAYLOAD_MIN)
        aligned += align;
    fai_block *moved = block_of(aligned);
    fai_unpoison_defined(moved, sizeof *moved);
    moved->below = block;
    moved->size_bits = size_of(block) - (size_t)(aligned - start);
    above(moved)->below = moved;
    block->size_bits = (size_t)(aligned - start) - HEADER_BYTES;
    bin_put(regions, block);
    return moved;
}

static bool is_whole_region(fai_block *block) {
    return block->below == NULL && size_of(above(block)) == 0;
}

void *fai_regions_take(fai_regions *regions, size_t size, size_t align) {
    size = fai_round_up(size < PAYLOAD_MIN ? PAYLOAD_MIN : size, FA_ALIGN_MIN);
    size_t extra = align > FA_ALIGN_MIN ? align + HEADER_BYTES + PAYLOAD_MIN : 0;
    fai_block *block = find(regions, size + extra);
    if (block == NULL)
        return NULL;
    regions->empty_count -= is_whole_region(block);
    bin_take(regions, block);
    block = align_start(regions, block, align);
    fai_block *rest = cut(block, size);
    if (rest != NULL) /* what is above it is in use, as above all that was free */
        bin_put(regions, rest);
    return payload_of(block);
}

static void unlink_region(fai_regions *regions, fai_region *region, fai_span *span) {
    *span = region->span;
    if (region->prev)
        region->prev->next = region->next;
    else
        regions->first = region->next;
    if (region->next)
        region->next->prev = region->prev;
    regions->region_count--;
}

/* Takes the region off whose only block is free. */
static void remove_empty(fai_regions *regions, fai_block *block, fai_span *span) {
    bin_take(regions, block);
    regions->empty_count--;
    unlink_region(regions, region_of_first(block), span);
}

bool fai_regions_give(fai_regions *regions, void *payload, fai_span *span) {
    fai_block *block = block_of(payload), *next = above(block), *below = block->below;
    if (is_free(next)) {
        bin_take(regions, next);
        block->size_bits += HEADER_BYTES + size_of(next);
    }
    if (below != NULL && is_free(below)) {
        bin_take(regions, below);
        below->size_bits += HEADER_BYTES + size_of(block);
        block = below;
    }
    above(block)->below = block;
    fai_unpoison_defined(block, sizeof *block);
    bin_put(regions, block);
    if (!is_whole_region(block))
        return false;
    regions->empty_count++;
    if (regions->empty_count <= 1)
        return false;
    remove_empty(regions, block, span);
    return true;
}

bool fai_regions_resize(fai_regions *regions, void *payload, size_t size) {
    fai_block *block = block_of(payload), *next = above(block);
    size = fai_round_up(size < PAYLOAD_MIN ? PAYLOAD_MIN : size, FA_ALIGN_MIN);
    if (size > size_of(block)) {
        if (!is_free(next) || size_of(block) + HEADER_BYTES + size_of(next) < size)
            return false;
        bin_take(regions, next);
        block->size_bits += HEADER_BYTES + size_of(next);
        above(block)->below = block;
    }
    fai_block *rest = cut(block, size);
    if (rest == NULL)
        return true;
    next = above(rest);
    if (is_free(next)) {
        bin_take(regions, next);
        rest->size_bits += HEADER_BYTES + size_of(next);
        above(rest)->below = rest;
    }
    bin_put(regions, rest);
    return true;
}

void fai_regions_prefetch(const void *payload) {
    fai_block *block = block_of(payload);
    __builtin_prefetch(above(block), 1);
    __builtin_prefetch(block->below, 1); /* of NULL it does nothing */
}

size_t fai_regions_usable(const void *payload) { return size_of(block_of(payload)); }

/* ---- regions ---- */

void fai_regions_create(fai_regions *regions, size_t region_bytes) {
    memset(regions, 0, sizeof *regions);
    regions->region_bytes = region_bytes;
    regions->block_bytes_max = region_bytes / 4;
}

void fai_regions_add(fai_regions *regions, const fai_span *span) {
    fai_region *region = (fai_region *)span->address;
    region->span = *span;
    region->prev = NULL;
    region->next = regions->first;
    if (region->next)
        region->next->prev = region;
    regions->first = region;
    regions->region_count++;
    regions->empty_count++;
    fai_block *block = first_of(region);
    block->below = NULL;
    block->size_bits = (span->size & ~(FA_ALIGN_MIN - 1)) - REGION_HEADER_BYTES - 2 * HEADER_BYTES;
    fai_block *last = above(block);
    last->below = block;
    last->size_bits = 0;
    bin_put(regions, block);
}

bool fai_regions_remove_empty(fai_regions *regions, fai_span *span) {
    for (fai_region *region = regions->first; region; region = region->next) {
        fai_block *block = first_of(region);
        if (!is_free(block) || !is_whole_region(block))
            continue;
        remove_empty(regions, block, span);
        return true;
    }
    return false;
}

bool fai_regions_remove_any(fai_regions *regions, fai_span *span) {
    if (regions->first == NULL)
        return false;
    unlink_region(regions, regions->first, span);
    return true;
}

static const fai_span *span_of(fai_block *block) {
    while (block->below != NULL)
        block = block->below;
    return &region_of_first(block)->span;
}

void fai_regions_visit_free(fai_regions *regions, size_t bytes_min,
                            void (*drop)(void *user, const fai_span *span, void *address,
                                         size_t size),
                            void *user) {
    for (size_t bin = bin_of(bytes_min); bin < FAI_REGION_BIN_COUNT; bin++)
        for (fai_block *block = regions->bin[bin]; block; block = block->next)
            if (size_of(block) >= bytes_min)
                drop(user, span_of(block), (char *)block + sizeof *block,
                     size_of(block) - (sizeof *block - HEADER_BYTES));
}

const void *fai_regions_validate(const fai_regions *regions) {
    size_t free_bytes = 0, count = 0, empty = 0, binned = 0;
    for (fai_region *region = regions->first; region; region = region->next, count++) {
        const char *end = (const char *)region + region->span.size;
        fai_block *block = first_of(region), *below = NULL;
        for (; (const char *)block < end && size_of(block) != 0; block = above(block)) {
            bool two_free = below != NULL && is_free(below) && is_free(block);
            if (block->below != below || two_free || size_of(block) % FA_ALIGN_MIN != 0)
                return block;
            if (is_free(block)) {
                free_bytes += size_of(block);
                empty += is_whole_region(block);
            }
            below = block;
        }
        if ((const char *)block >= end || block->below != below || is_free(block))
            return region;
    }
    for (size_t bin = 0; bin < FAI_REGION_BIN_COUNT; bin++)
        for (const fai_block *block = regions->bin[bin]; block; block = block->next) {
            if (!is_free(block) || bin_of(size_of(block)) != bin)
                return block;
            binned += size_of(block);
        }
    bool sums = binned == free_bytes && free_bytes == regions->free_bytes &&
                count == regions->region_count && empty == regions->empty_count;
    return sums ? NULL : regions;
}
