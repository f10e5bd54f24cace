/* Heap blocks: a table of the live ones, and a cache of freed ones.
 *
 * A block is a span of its own. The table maps its address to what is known about it, so nothing
 * stands in front of the block that a wild write could reach. Freed spans wait in bins by size,
 * sixteen for each doubling; requests of 64 KiB and more are rounded up to a bin's size, so that
 * what one block leaves fits the next of about the same size. */
#include "fa/heap.h"

#include "fa/internal/heap.h"
#include "fa/internal/poison.h"

#include <string.h>

struct fai_heap_entry {
    fai_span span; /* address NULL: the entry is free */
    size_t size;   /* as asked for */
    size_t align;  /* as asked for; that of a span from the cache may be another */
    uint64_t sequence;
    fa_site site;
};

/* Lies in the freed block itself. */
struct fai_heap_cached {
    fai_heap_cached *next, *prev;   /* in its bin */
    fai_heap_cached *newer, *older; /* of all */
    fai_span span;
};

#define BYTES_MIN ((size_t)128) /* a freed block must hold its node */
#define CACHED_BYTES_MIN ((size_t)4 << 10)
#define ROUNDED_BYTES_MIN ((size_t)64 << 10)
#define BIN_SHIFT_MIN 7 /* log2 of BYTES_MIN */
_Static_assert(sizeof(fai_heap_cached) <= BYTES_MIN, "the node must fit into the smallest block");

/* ---- the table ---- */

static size_t hash_of(const fai_heap *heap, const void *block) {
    return (size_t)(((uint64_t)(uintptr_t)block >> 4) * 0x9E3779B97F4A7C15ull >> 20) &
           (heap->table_capacity - 1);
}

static fai_heap_entry *find(fai_heap *heap, const void *block) {
    if (heap->table_capacity == 0 || block == NULL)
        return NULL;
    for (size_t i = hash_of(heap, block);; i = (i + 1) & (heap->table_capacity - 1)) {
        if (heap->table[i].span.address == block)
            return &heap->table[i];
        if (heap->table[i].span.address == NULL)
            return NULL;
    }
}

static fai_heap_entry *insert(fai_heap *heap, const fai_heap_entry *entry) {
    size_t i = hash_of(heap, entry->span.address);
    while (heap->table[i].span.address != NULL)
        i = (i + 1) & (heap->table_capacity - 1);
    heap->table[i] = *entry;
    return &heap->table[i];
}

/* Closes the gap, so that no search stops too early. */
static void erase(fai_heap *heap, fai_heap_entry *entry) {
    size_t mask = heap->table_capacity - 1, gap = (size_t)(entry - heap->table);
    for (size_t i = (gap + 1) & mask; heap->table[i].span.address != NULL; i = (i + 1) & mask) {
        size_t home = hash_of(heap, heap->table[i].span.address);
        if (((i - home) & mask) >= ((i - gap) & mask)) {
            heap->table[gap] = heap->table[i];
            gap = i;
        }
    }
    heap->table[gap].span.address = NULL;
}

/* Makes room for one more entry. Under the heap's lock. */
static fa_status reserve(fa_allocator *allocator) {
    fai_heap *heap = &allocator->heap;
    if ((heap->live_count + 1) * 4 <= heap->table_capacity * 3)
        return FA_OK;
    size_t capacity = heap->table_capacity ? heap->table_capacity * 2 : 128;
    fai_span span, old_span = heap->table_span;
    fa_status status = fai_span_alloc(&allocator->spans, capacity * sizeof(fai_heap_entry), 64,
                                      FA_SPAN_META, &span, NULL);
    if (status != FA_OK)
        return heap->live_count + 1 < heap->table_capacity ? FA_OK : status;
    fai_heap_entry *old = heap->table;
    size_t old_capacity = heap->table_capacity;
    heap->table = (fai_heap_entry *)span.address;
    heap->table_span = span;
    heap->table_capacity = capacity;
    memset(heap->table, 0, span.size);
    for (size_t i = 0; i < old_capacity; i++)
        if (old[i].span.address != NULL)
            insert(heap, &old[i]);
    if (old != NULL)
        fai_span_free(&allocator->spans, &old_span);
    return FA_OK;
}

/* ---- the cache ---- */

static size_t bin_of(size_t bytes) {
    size_t log2 = 63 - (size_t)__builtin_clzll(bytes);
    size_t bin = (log2 - BIN_SHIFT_MIN) * 16 + ((bytes >> (log2 - 4)) & 15);
    return bin < FAI_HEAP_BIN_COUNT ? bin : FAI_HEAP_BIN_COUNT - 1;
}

static void cache_remove(fai_heap *heap, fai_heap_cached *node) {
    size_t bin = bin_of(node->span.size);
    if (node->prev)
        node->prev->next = node->next;
    else
        heap->bin[bin] = node->next;
    if (node->next)
        node->next->prev = node->prev;
    if (heap->bin[bin] == NULL)
        heap->bin_used[bin / 64] &= ~((uint64_t)1 << bin % 64);
    if (node->newer)
        node->newer->older = node->older;
    else
        heap->newest = node->older;
    if (node->older)
        node->older->newer = node->newer;
    else
        heap->oldest = node->newer;
    heap->cache_bytes -= node->span.size;
}

static void cache_add(fai_heap *heap, const fai_span *span) {
    fai_heap_cached *node = (fai_heap_cached *)span->address;
    size_t bin = bin_of(span->size);
    fai_unpoison(node, sizeof *node);
    *node = (fai_heap_cached){.next = heap->bin[bin], .older = heap->newest, .span = *span};
    if (node->next)
        node->next->prev = node;
    heap->bin[bin] = node;
    heap->bin_used[bin / 64] |= (uint64_t)1 << bin % 64;
    if (node->older)
        node->older->newer = node;
    else
        heap->oldest = node;
    heap->newest = node;
    heap->cache_bytes += span->size;
}

/* First bin from `bin` on that is not empty, or FAI_HEAP_BIN_COUNT. */
static size_t next_bin(const fai_heap *heap, size_t bin) {
    for (size_t word = bin / 64; word < FAI_HEAP_BIN_COUNT / 64; word++) {
        uint64_t used = heap->bin_used[word];
        if (word == bin / 64)
            used &= ~(uint64_t)0 << bin % 64;
        if (used != 0)
            return word * 64 + (size_t)__builtin_ctzll(used);
    }
    return FAI_HEAP_BIN_COUNT;
}

/* Finds a kept span of bytes up to bytes_most, aligned to align. Looks at few of each bin. */
static bool cache_take(fai_heap *heap, size_t bytes, size_t bytes_most, size_t align,
                       fai_span *span) {
    for (size_t bin = next_bin(heap, bin_of(bytes)); bin < FAI_HEAP_BIN_COUNT;
         bin = next_bin(heap, bin + 1)) {
        size_t looks = 8;
        for (fai_heap_cached *node = heap->bin[bin]; node && looks; node = node->next, looks--) {
            if (node->span.size > bytes_most && bin > bin_of(bytes_most))
                return false;
            if (node->span.size < bytes || node->span.size > bytes_most ||
                ((uintptr_t)node & (align - 1)) != 0)
                continue;
            *span = node->span;
            cache_remove(heap, node);
            heap->cache_hit_count++;
            return true;
        }
    }
    return false;
}

static void give_span(fa_allocator *allocator, const fai_span *span) {
    fai_span copy = *span;
    fai_unpoison(copy.address, copy.size);
    if (!fai_span_free(&allocator->spans, &copy)) { /* sealed: it is all that there will be */
        pthread_mutex_lock(&allocator->heap.lock);
        cache_add(&allocator->heap, &copy);
        pthread_mutex_unlock(&allocator->heap.lock);
    }
}

/* Gives the oldest kept blocks back until at most bytes are kept. */
static size_t cache_shrink(fa_allocator *allocator, size_t bytes) {
    fai_heap *heap = &allocator->heap;
    size_t given = 0;
    while (!FAI_LOAD_RELAXED(&allocator->spans.sealed)) {
        pthread_mutex_lock(&heap->lock);
        fai_heap_cached *node = heap->cache_bytes > bytes ? heap->oldest : NULL;
        fai_span span = {0};
        if (node != NULL) {
            span = node->span;
            cache_remove(heap, node);
        }
        pthread_mutex_unlock(&heap->lock);
        if (node == NULL)
            break;
        give_span(allocator, &span);
        given += span.size;
    }
    return given;
}

/* ---- blocks ---- */

/* Size of the span for a block. */
static size_t span_bytes_for(const fa_allocator *allocator, size_t size) {
    size_t bytes = size + (allocator->checks & FA_CHECK_GUARD ? FAI_GUARD_BYTES : 0);
    size_t step = allocator->spans.info[0].granularity_bytes;
    if (bytes < BYTES_MIN)
        bytes = BYTES_MIN;
    if (bytes >= ROUNDED_BYTES_MIN) {
        size_t sixteenth = (size_t)1 << (63 - __builtin_clzll(bytes) - 4);
        step = sixteenth > step ? sixteenth : step;
    }
    return fai_round_up(bytes, step > FA_ALIGN_MIN ? step : FA_ALIGN_MIN);
}

/* Contents, guard and poison of a block whose size is new. from: bytes that keep their contents. */
static void dress(const fa_allocator *allocator, const fai_span *span, size_t size, size_t from) {
    char *block = (char *)span->address;
    if (!allocator->watched)
        return;
    fai_unpoison(block + from, span->size - from);
    if (allocator->checks & FA_CHECK_FILL)
        memset(block + from, FAI_FILL_FRESH, size - from);
    if (allocator->checks & FA_CHECK_GUARD)
        memset(block + size, FAI_FILL_GUARD, FAI_GUARD_BYTES);
    fai_unpoison(block + from, size - from);
    fai_poison(block + size, span->size - size);
}

static bool guard_is_whole(const fa_allocator *allocator, const fai_heap_entry *entry) {
    if ((allocator->checks & FA_CHECK_GUARD) == 0)
        return true;
    const char *guard = (const char *)entry->span.address + entry->size;
    fai_unpoison_defined(guard, FAI_GUARD_BYTES);
    bool whole = fai_is_filled(guard, FAI_FILL_GUARD, FAI_GUARD_BYTES);
    fai_poison(guard, FAI_GUARD_BYTES);
    return whole;
}

static void account(fai_heap *heap, size_t size) {
    heap->live_bytes += size;
    if (heap->live_bytes > heap->bytes_peak)
        heap->bytes_peak = heap->live_bytes;
}

/* zeroed: gets whether the memory is known to be all zero; may be NULL. */
static void *take(fa_allocator *allocator, size_t size, size_t align, bool *zeroed) {
    fai_heap *heap = &allocator->heap;
    size_t bytes = span_bytes_for(allocator, size);
    size_t most = FAI_LOAD_RELAXED(&allocator->spans.sealed) ? SIZE_MAX : bytes + bytes / 4;
    const fa_site *site = fai_slot.site; /* stays in the slot for what is reported meanwhile */
    fai_heap_entry entry = {.size = size, .align = align};
    if (site != NULL)
        entry.site = *site;
    pthread_mutex_lock(&heap->lock);
    bool cached = cache_take(heap, bytes, most, align, &entry.span);
    pthread_mutex_unlock(&heap->lock);
    fa_status status =
        cached ? FA_OK : fai_allocator_span(allocator, bytes, align, FA_SPAN_HEAP, &entry.span);
    if (status != FA_OK)
        return NULL;
    if (zeroed != NULL)
        *zeroed = !cached && fai_span_is_zeroed(&allocator->spans, &entry.span);

    pthread_mutex_lock(&heap->lock);
    status = reserve(allocator);
    if (status == FA_OK) {
        heap->live_count++;
        entry.sequence = ++heap->alloc_count;
        insert(heap, &entry);
        account(heap, size);
    }
    pthread_mutex_unlock(&heap->lock);
    if (status != FA_OK) {
        give_span(allocator, &entry.span);
        fai_report_span(allocator, status, size);
        return NULL;
    }
    fai_slot.site = NULL;
    dress(allocator, &entry.span, size, 0);
    return entry.span.address;
}

void *fai_heap_take(fa_allocator *allocator, size_t size, size_t align) {
    return take(allocator, size, align, NULL);
}

static void report_bad_free(fa_allocator *allocator, const void *block) {
    fai_report(allocator, FA_DIAG_FA601, FA_ERROR_FOREIGN, 0, 0, block);
}

void fai_heap_give(fa_allocator *allocator, void *block, size_t size) {
    fai_heap *heap = &allocator->heap;
    fai_heap_entry copy = {0};
    pthread_mutex_lock(&heap->lock);
    fai_heap_entry *entry = find(heap, block);
    if (entry != NULL) {
        copy = *entry;
        erase(heap, entry);
        heap->live_count--;
        heap->live_bytes -= copy.size;
        heap->free_count++;
    }
    pthread_mutex_unlock(&heap->lock);
    if (entry == NULL) {
        report_bad_free(allocator, block);
        return;
    }
    if (!guard_is_whole(allocator, &copy))
        fai_report_at(allocator, FA_DIAG_FA604, FA_ERROR_CORRUPT, copy.size, 0, block, copy.site);
    if (size != SIZE_MAX && size != copy.size && (allocator->checks & FA_CHECK_FREE))
        fai_report(allocator, FA_DIAG_FA603, FA_ERROR_INVALID, size, copy.size, block);
    if (allocator->watched) {
        fai_unpoison(block, copy.span.size);
        if (allocator->checks & FA_CHECK_FILL)
            memset(block, FAI_FILL_DEAD, copy.span.size);
        fai_poison(block, copy.span.size);
    }
    bool sealed = FAI_LOAD_RELAXED(&allocator->spans.sealed);
    size_t limit = allocator->config.heap_cache_bytes;
    if (!sealed && (copy.span.size < CACHED_BYTES_MIN || copy.span.size > limit)) {
        give_span(allocator, &copy.span);
        return;
    }
    pthread_mutex_lock(&heap->lock);
    cache_add(heap, &copy.span);
    bool over = heap->cache_bytes > limit;
    pthread_mutex_unlock(&heap->lock);
    if (over && !sealed)
        cache_shrink(allocator, limit);
}

size_t fai_heap_usable(fa_allocator *allocator, const void *block) {
    fai_heap *heap = &allocator->heap;
    pthread_mutex_lock(&heap->lock);
    const fai_heap_entry *entry = find(heap, block);
    size_t size = entry == NULL ? 0 : entry->size;
    if (entry != NULL && (allocator->checks & FA_CHECK_GUARD) == 0) {
        size = entry->span.size;
        fai_unpoison_defined((const char *)block + entry->size, size - entry->size);
    }
    pthread_mutex_unlock(&heap->lock);
    return size;
}

bool fai_heap_owns(fa_allocator *allocator, const void *pointer) {
    fai_heap *heap = &allocator->heap;
    bool owns = false;
    pthread_mutex_lock(&heap->lock);
    for (size_t i = 0; i < heap->table_capacity && !owns; i++) {
        const fai_heap_entry *entry = &heap->table[i];
        owns = entry->span.address != NULL &&
               (uintptr_t)pointer - (uintptr_t)entry->span.address < entry->size;
    }
    pthread_mutex_unlock(&heap->lock);
    return owns;
}

/* ---- the public calls ---- */

void *(fa_heap_alloc_aligned)(fa_allocator *allocator, size_t size, size_t align) {
    if (align < FA_ALIGN_MIN && fai_is_power_of_two(align))
        align = FA_ALIGN_MIN;
    if (allocator == NULL || !fai_is_request(size, align)) {
        fai_fail(FA_ERROR_INVALID, size);
        return NULL;
    }
    return take(allocator, size, align, NULL);
}

void *(fa_heap_alloc)(fa_allocator *allocator, size_t size) {
    return (fa_heap_alloc_aligned)(allocator, size, FA_ALIGN_MIN);
}

void *(fa_heap_alloc_zeroed)(fa_allocator *allocator, size_t count, size_t size) {
    size_t bytes;
    if (allocator == NULL || __builtin_mul_overflow(count, size, &bytes) ||
        !fai_is_request(bytes, FA_ALIGN_MIN)) {
        fai_fail(FA_ERROR_INVALID, size);
        return NULL;
    }
    bool zeroed;
    void *block = take(allocator, bytes, FA_ALIGN_MIN, &zeroed);
    if (block != NULL && (!zeroed || allocator->watched))
        memset(block, 0, bytes);
    return block;
}

/* Tries to give a live block a new size where it lies. copy: its entry as it is now. */
static bool resize_in_place(fa_allocator *allocator, fai_heap_entry *copy, size_t size) {
    fai_heap *heap = &allocator->heap;
    size_t bytes = span_bytes_for(allocator, size);
    bool fits = bytes <= copy->span.size && bytes >= copy->span.size / 2;
    if (!fits && !fai_span_resize(&allocator->spans, &copy->span, bytes))
        return false;
    size_t kept = copy->size < size ? copy->size : size;
    pthread_mutex_lock(&heap->lock);
    fai_heap_entry *entry = find(heap, copy->span.address);
    entry->span = copy->span;
    entry->size = size;
    if (fai_slot.site != NULL)
        entry->site = fai_take_site();
    heap->live_bytes -= copy->size;
    account(heap, size);
    pthread_mutex_unlock(&heap->lock);
    dress(allocator, &copy->span, size, kept);
    return true;
}

void *(fa_heap_realloc)(fa_allocator *allocator, void *block, size_t size) {
    if (block == NULL)
        return (fa_heap_alloc)(allocator, size);
    if (allocator == NULL || !fai_is_request(size, FA_ALIGN_MIN)) {
        fai_fail(FA_ERROR_INVALID, size);
        return NULL;
    }
    fai_heap *heap = &allocator->heap;
    pthread_mutex_lock(&heap->lock);
    const fai_heap_entry *entry = find(heap, block);
    fai_heap_entry copy = {0};
    if (entry != NULL)
        copy = *entry;
    pthread_mutex_unlock(&heap->lock);
    if (entry == NULL) {
        report_bad_free(allocator, block);
        return NULL;
    }
    if (!guard_is_whole(allocator, &copy))
        fai_report_at(allocator, FA_DIAG_FA604, FA_ERROR_CORRUPT, copy.size, 0, block, copy.site);
    size_t size_old = copy.size;
    if (resize_in_place(allocator, &copy, size))
        return block;
    void *moved = take(allocator, size, copy.align, NULL);
    if (moved == NULL)
        return NULL;
    memcpy(moved, block, size_old < size ? size_old : size);
    fai_heap_give(allocator, block, SIZE_MAX);
    return moved;
}

void(fa_heap_free)(fa_allocator *allocator, void *block) {
    if (block != NULL && allocator == NULL)
        fai_fail(FA_ERROR_INVALID, 0);
    else if (block != NULL)
        fai_heap_give(allocator, block, SIZE_MAX);
    fai_slot.site = NULL;
}

size_t fa_heap_visit(fa_allocator *allocator, void (*visit)(void *user, const fa_heap_block *block),
                     void *user) {
    if (allocator == NULL || visit == NULL) {
        fai_fail(FA_ERROR_INVALID, 0);
        return 0;
    }
    fai_heap *heap = &allocator->heap;
    pthread_mutex_lock(&heap->lock);
    size_t count = heap->live_count, copied = 0;
    fai_span span = {0};
    fa_status status = FA_OK;
    /* A span as of a block: it joins the cache when the allocator is sealed meanwhile. */
    if (count != 0)
        status = fai_span_alloc(&allocator->spans,
                                span_bytes_for(allocator, count * sizeof(fa_heap_block)),
                                FA_ALIGN_MIN, FA_SPAN_HEAP, &span, NULL);
    fa_heap_block *blocks = (fa_heap_block *)span.address;
    for (size_t i = 0; status == FA_OK && i < heap->table_capacity; i++) {
        const fai_heap_entry *entry = &heap->table[i];
        if (entry->span.address != NULL)
            blocks[copied++] = (fa_heap_block){entry->span.address, entry->size, entry->align,
                                               entry->sequence, entry->site};
    }
    pthread_mutex_unlock(&heap->lock);
    if (status != FA_OK) {
        fai_report_span(allocator, status, count * sizeof(fa_heap_block));
        return SIZE_MAX;
    }
    for (size_t i = 0; i < copied; i++)
        visit(user, &blocks[i]);
    if (span.address != NULL)
        give_span(allocator, &span);
    return copied;
}

/* ---- life ---- */

bool fai_heap_create(fa_allocator *allocator) {
    return pthread_mutex_init(&allocator->heap.lock, NULL) == 0;
}

size_t fai_heap_trim(fa_allocator *allocator) { return cache_shrink(allocator, 0); }

void fai_heap_destroy(fa_allocator *allocator) {
    fai_heap *heap = &allocator->heap;
    cache_shrink(allocator, 0);
    for (size_t i = 0; i < heap->table_capacity; i++)
        if (heap->table[i].span.address != NULL)
            give_span(allocator, &heap->table[i].span);
    if (heap->table != NULL)
        fai_span_free(&allocator->spans, &heap->table_span);
    pthread_mutex_destroy(&heap->lock);
}

const void *fai_heap_validate(fa_allocator *allocator) {
    fai_heap *heap = &allocator->heap;
    size_t live = 0, live_bytes = 0, cached = 0;
    const void *wrong = NULL;
    pthread_mutex_lock(&heap->lock);
    for (size_t i = 0; i < heap->table_capacity; i++) {
        const fai_heap_entry *entry = &heap->table[i];
        if (entry->span.address == NULL)
            continue;
        live++;
        live_bytes += entry->size;
        if (find(heap, entry->span.address) != entry || entry->size > entry->span.size ||
            !guard_is_whole(allocator, entry))
            wrong = entry->span.address;
    }
    for (const fai_heap_cached *node = heap->oldest; node; node = node->newer) {
        cached += node->span.size;
        if ((const void *)node != node->span.address)
            wrong = node;
    }
    if (live != heap->live_count || live_bytes != heap->live_bytes || cached != heap->cache_bytes)
        wrong = heap;
    pthread_mutex_unlock(&heap->lock);
    return wrong;
}
