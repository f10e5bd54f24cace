/* Where the memory of heap blocks comes from.
 *
 * What fits a quarter of a region is cut from one. What is larger gets a span of its own, rounded
 * up to a bin's size so that what one block leaves fits the next of about the same size; freed ones
 * wait in bins, sixteen for each doubling, the oldest given back first. */
#include "fa/internal/store.h"

#include "fa/internal/allocator.h"
#include "fa/internal/poison.h"

#include <string.h>

/* Lies in the freed span itself. */
struct fai_cached {
    fai_cached *next, *prev;   /* in its bin */
    fai_cached *newer, *older; /* of all */
    fai_span span;
};

#define BYTES_MIN ((size_t)128) /* a freed span must hold its node */
#define CACHED_BYTES_MIN ((size_t)4 << 10)
#define ROUNDED_BYTES_MIN ((size_t)64 << 10)
#define BIN_SHIFT_MIN 7                     /* log2 of BYTES_MIN */
#define PURGED_BYTES_MIN ((size_t)64 << 10) /* free blocks in regions whose pages are dropped */
_Static_assert(sizeof(fai_cached) <= BYTES_MIN, "the node must fit into the smallest span");

static void lock(fai_store *store) { pthread_mutex_lock(&store->lock); }
static void unlock(fai_store *store) { pthread_mutex_unlock(&store->lock); }

/* ---- what is kept for reuse ---- */

static size_t bin_of(size_t bytes) {
    size_t log2 = 63 - (size_t)__builtin_clzll(bytes);
    size_t bin = (log2 - BIN_SHIFT_MIN) * 16 + ((bytes >> (log2 - 4)) & 15);
    return bin < FAI_STORE_BIN_COUNT ? bin : FAI_STORE_BIN_COUNT - 1;
}

static void cache_remove(fai_cache *cache, fai_cached *node) {
    size_t bin = bin_of(node->span.size);
    if (node->prev)
        node->prev->next = node->next;
    else
        cache->bin[bin] = node->next;
    if (node->next)
        node->next->prev = node->prev;
    if (cache->bin[bin] == NULL)
        cache->bin_used[bin / 64] &= ~((uint64_t)1 << bin % 64);
    if (node->newer)
        node->newer->older = node->older;
    else
        cache->newest = node->older;
    if (node->older)
        node->older->newer = node->newer;
    else
        cache->oldest = node->newer;
    cache->bytes -= node->span.size;
}

static void cache_add(fai_cache *cache, const fai_span *span) {
    fai_cached *node = (fai_cached *)span->address;
    size_t bin = bin_of(span->size);
    fai_unpoison(node, sizeof *node);
    *node = (fai_cached){.next = cache->bin[bin], .older = cache->newest, .span = *span};
    if (node->next)
        node->next->prev = node;
    cache->bin[bin] = node;
    cache->bin_used[bin / 64] |= (uint64_t)1 << bin % 64;
    if (node->older)
        node->older->newer = node;
    else
        cache->oldest = node;
    cache->newest = node;
    cache->bytes += span->size;
}

/* First bin from `bin` on that is not empty, or FAI_STORE_BIN_COUNT. */
static size_t next_bin(const fai_cache *cache, size_t bin) {
    for (size_t word = bin / 64; word < FAI_STORE_BIN_COUNT / 64; word++) {
        uint64_t used = cache->bin_used[word];
        if (word == bin / 64)
            used &= ~(uint64_t)0 << bin % 64;
        if (used != 0)
            return word * 64 + (size_t)__builtin_ctzll(used);
    }
    return FAI_STORE_BIN_COUNT;
}

/* Finds a kept span of bytes up to bytes_most, aligned to align. Looks at few of each bin. */
static bool cache_take(fai_cache *cache, size_t bytes, size_t bytes_most, size_t align,
                       fai_span *span) {
    for (size_t bin = next_bin(cache, bin_of(bytes)); bin < FAI_STORE_BIN_COUNT;
         bin = next_bin(cache, bin + 1)) {
        size_t looks = 8;
        for (fai_cached *node = cache->bin[bin]; node && looks; node = node->next, looks--) {
            if (node->span.size > bytes_most && bin > bin_of(bytes_most))
                return false;
            if (node->span.size < bytes || node->span.size > bytes_most ||
                ((uintptr_t)node & (align - 1)) != 0)
                continue;
            *span = node->span;
            cache_remove(cache, node);
            cache->hit_count++;
            return true;
        }
    }
    return false;
}

/* ---- regions ---- */

static bool is_cut(const fai_span *span) { return span->backend == FAI_STORE_CUT; }

/* Gives an empty region to the backend. Returns its bytes, 0 when sealed. */
static size_t give_region(fa_allocator *allocator, fai_span *empty) {
    fai_store *store = &allocator->store;
    fai_unpoison(empty->address, empty->size);
    if (fai_span_free(&allocator->spans, empty))
        return empty->size;
    lock(store);
    fai_regions_add(&store->regions, empty);
    unlock(store);
    return 0;
}

/* Returns the bytes of the region that went to the backend with it, or 0. */
static size_t give_cut(fa_allocator *allocator, const fai_span *span) {
    fai_store *store = &allocator->store;
    fai_span empty;
    lock(store);
    bool spare = fai_regions_give(&store->regions, span->address, &empty);
    unlock(store);
    return spare ? give_region(allocator, &empty) : 0;
}

static void give_span(fa_allocator *allocator, const fai_span *span) {
    fai_span copy = *span;
    fai_unpoison(copy.address, copy.size);
    if (!fai_span_free(&allocator->spans, &copy)) { /* sealed: it is all that there will be */
        lock(&allocator->store);
        cache_add(&allocator->store.spans, &copy);
        unlock(&allocator->store);
    }
}

/* The oldest goes next, then the one after it; both were not looked at for long. */
static void foresee(const fai_cached *oldest) {
    if (oldest == NULL || !is_cut(&oldest->span))
        return;
    fai_regions_prefetch(oldest);
    __builtin_prefetch(oldest->newer, 1);
}

/* Gives the oldest of a cache back until at most bytes are kept. Returns what the backend got. */
static size_t cache_shrink(fa_allocator *allocator, fai_cache *cache, size_t bytes) {
    fai_store *store = &allocator->store;
    size_t given = 0;
    for (;;) {
        if (cache == &store->spans && FAI_LOAD_RELAXED(&allocator->spans.sealed))
            return given; /* they would come back */
        lock(store);
        fai_cached *node = cache->bytes > bytes ? cache->oldest : NULL;
        fai_span span = {0};
        if (node != NULL) {
            span = node->span;
            cache_remove(cache, node);
        }
        unlock(store);
        if (node == NULL)
            return given;
        if (is_cut(&span)) {
            given += give_cut(allocator, &span);
        } else {
            give_span(allocator, &span);
            given += span.size;
        }
    }
}

static bool cut(fai_store *store, size_t bytes, size_t align, fai_span *span) {
    lock(store);
    bool done = bytes >= CACHED_BYTES_MIN &&
                cache_take(&store->cuts, bytes, bytes + bytes / 8, align, span);
    void *block = done ? NULL : fai_regions_take(&store->regions, bytes, align);
    if (block != NULL) {
        *span = (fai_span){block, fai_regions_usable(block), (uint32_t)align, FAI_STORE_CUT,
                           FA_SPAN_HEAP};
        done = true;
    }
    unlock(store);
    return done;
}

/* Cuts a block from what is held, or from a new region. */
static bool take_cut(fa_allocator *allocator, size_t bytes, size_t align, fai_span *span) {
    fai_store *store = &allocator->store;
    if (cut(store, bytes, align, span))
        return true;
    /* What is kept may grow together to what is missing. */
    cache_shrink(allocator, &store->cuts, 0);
    if (cut(store, bytes, align, span))
        return true;
    fai_span region;
    uint32_t declined;
    if (fai_span_alloc(&allocator->spans, store->regions.region_bytes, FA_CACHE_LINE, FA_SPAN_HEAP,
                       &region, &declined) != FA_OK)
        return false;
    lock(store);
    fai_regions_add(&store->regions, &region);
    unlock(store);
    if (declined != 0)
        fai_report(allocator, FA_DIAG_FA703, FA_OK, region.size, 0, region.address);
    return cut(store, bytes, align, span);
}

/* ---- both ---- */

/* Size of the span for a block of its own. */
static size_t span_bytes_for(const fa_allocator *allocator, size_t bytes) {
    size_t step = allocator->spans.info[0].granularity_bytes;
    if (bytes < BYTES_MIN)
        bytes = BYTES_MIN;
    if (bytes >= ROUNDED_BYTES_MIN) {
        size_t sixteenth = (size_t)1 << (63 - __builtin_clzll(bytes) - 4);
        step = sixteenth > step ? sixteenth : step;
    }
    return fai_round_up(bytes, step > FA_ALIGN_MIN ? step : FA_ALIGN_MIN);
}

fa_status fai_store_take_at_hand(fa_allocator *allocator, size_t bytes, size_t align,
                                 fai_span *span, bool *zeroed) {
    fai_store *store = &allocator->store;
    bool sealed = FAI_LOAD_RELAXED(&allocator->spans.sealed);
    size_t cut_max = sealed ? store->regions.region_bytes /* whatever fits */
                            : store->regions.block_bytes_max;
    *zeroed = false;
    if (bytes <= cut_max && align <= cut_max && take_cut(allocator, bytes, align, span))
        return FA_OK;
    bytes = span_bytes_for(allocator, bytes);
    size_t most = sealed ? SIZE_MAX : bytes + bytes / 4;
    lock(store);
    bool cached = cache_take(&store->spans, bytes, most, align, span);
    unlock(store);
    if (cached)
        return FA_OK;
    uint32_t declined;
    fa_status status =
        fai_span_alloc(&allocator->spans, bytes, align, FA_SPAN_HEAP, span, &declined);
    *zeroed = status == FA_OK && fai_span_is_zeroed(&allocator->spans, span);
    if (status == FA_OK && declined != 0)
        fai_report(allocator, FA_DIAG_FA703, FA_OK, bytes, 0, span->address);
    return status;
}

fa_status fai_store_take(fa_allocator *allocator, size_t bytes, size_t align, fai_span *span,
                         bool *zeroed) {
    fa_status status;
    fai_relief relief = fai_relief_begin(&allocator->reserve, bytes);
    do
        status = fai_store_take_at_hand(allocator, bytes, align, span, zeroed);
    while (fai_relieve(allocator, &relief, status));
    return status == FA_OK ? FA_OK : fai_report_span(allocator, status, bytes);
}

void fai_store_give(fa_allocator *allocator, const fai_span *span) {
    fai_store *store = &allocator->store;
    fai_cache *cache = is_cut(span) ? &store->cuts : &store->spans;
    if (span->size < CACHED_BYTES_MIN || span->size > cache->bytes_max) {
        if (is_cut(span))
            give_cut(allocator, span);
        else
            give_span(allocator, span);
        return;
    }
    fai_span empty;
    bool spare = false;
    lock(store);
    cache_add(cache, span);
    while (is_cut(span) && cache->bytes > cache->bytes_max && !spare) {
        fai_cached *oldest = cache->oldest;
        cache_remove(cache, oldest);
        foresee(cache->oldest);
        spare = fai_regions_give(&store->regions, oldest, &empty);
    }
    bool over = cache->bytes > cache->bytes_max;
    unlock(store);
    if (spare)
        give_region(allocator, &empty);
    if (over && (is_cut(span) || !FAI_LOAD_RELAXED(&allocator->spans.sealed)))
        cache_shrink(allocator, cache, cache->bytes_max);
}

bool fai_store_resize(fa_allocator *allocator, fai_span *span, size_t bytes) {
    if (!is_cut(span)) {
        bytes = span_bytes_for(allocator, bytes);
        bool fits = bytes <= span->size && bytes >= span->size / 2;
        return fits || fai_span_resize(&allocator->spans, span, bytes);
    }
    fai_store *store = &allocator->store;
    lock(store);
    bool done = fai_regions_resize(&store->regions, span->address, bytes);
    span->size = fai_regions_usable(span->address);
    unlock(store);
    return done;
}

/* ---- life ---- */

bool fai_store_create(fa_allocator *allocator) {
    const fa_alloc_config *config = &allocator->config;
    fai_store *store = &allocator->store;
    fai_regions_create(&store->regions, config->heap_region_bytes);
    /* Blocks that wait keep their neighbours apart: each byte of them costs most of another one. */
    store->cuts.bytes_max = config->heap_cache_bytes / 8;
    store->spans.bytes_max = config->heap_cache_bytes;
    return pthread_mutex_init(&store->lock, NULL) == 0;
}

static void purge(void *user, const fai_span *span, void *address, size_t size) {
    fa_allocator *allocator = (fa_allocator *)user;
    fai_span_purge(&allocator->spans, span, address, size);
}

size_t fai_store_trim(fa_allocator *allocator) {
    fai_store *store = &allocator->store;
    size_t bytes = cache_shrink(allocator, &store->cuts, 0);
    if (FAI_LOAD_RELAXED(&allocator->spans.sealed))
        return bytes;
    bytes += cache_shrink(allocator, &store->spans, 0);
    for (;;) {
        fai_span empty;
        lock(store);
        bool found = fai_regions_remove_empty(&store->regions, &empty);
        unlock(store);
        if (!found)
            break;
        size_t given = give_region(allocator, &empty);
        if (given == 0) /* sealed meanwhile */
            break;
        bytes += given;
    }
    lock(store);
    fai_regions_visit_free(&store->regions, PURGED_BYTES_MIN, purge, allocator);
    unlock(store);
    return bytes;
}

void fai_store_destroy(fa_allocator *allocator) {
    fai_store *store = &allocator->store;
    fai_span span;
    cache_shrink(allocator, &store->cuts, 0);
    cache_shrink(allocator, &store->spans, 0);
    while (fai_regions_remove_any(&store->regions, &span)) {
        fai_unpoison(span.address, span.size);
        fai_span_free(&allocator->spans, &span);
    }
    pthread_mutex_destroy(&store->lock);
}

static bool cache_is_sound(const fai_cache *cache) {
    size_t bytes = 0;
    for (const fai_cached *node = cache->oldest; node; node = node->newer) {
        if ((const void *)node != node->span.address)
            return false;
        bytes += node->span.size;
    }
    return bytes == cache->bytes;
}

const void *fai_store_validate(fa_allocator *allocator) {
    fai_store *store = &allocator->store;
    lock(store);
    const void *wrong = fai_regions_validate(&store->regions);
    if (!cache_is_sound(&store->cuts))
        wrong = &store->cuts;
    if (!cache_is_sound(&store->spans))
        wrong = &store->spans;
    unlock(store);
    return wrong;
}
