/* Heap blocks: a table of the live ones above the store that their memory comes from.
 *
 * The table maps the address of a block to what is known about it: so leaks can be named, and a
 * pointer that was never given out is refused before anything near it is read. */
#include "fa/heap.h"

#include "fa/internal/allocator.h"
#include "fa/internal/heap.h"
#include "fa/internal/poison.h"

#include <string.h>

struct fai_heap_entry {
    fai_span span;  /* address NULL: the entry is free */
    size_t size;    /* as asked for */
    uint32_t align; /* as asked for; that of a span from the cache may be another */
    uint16_t bin;   /* where the pool counts it; 0: nowhere */
    uint8_t
        captured_shift; /* a captured block begins 1 << that behind the start; 0: there is none */
    fa_tag tag;
    uint64_t sequence;
    fa_site site;
};

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

/* ---- blocks ---- */

/* Bytes of memory for a block; what a sanitizer is to catch behind it included. */
static size_t bytes_for(const fa_allocator *allocator, size_t size) {
    return allocator->watched ? size + FAI_GUARD_BYTES : size;
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

static fai_payer payer_of(fa_allocator *allocator, fa_tag tag) {
    return (fai_payer){fai_tag_account(allocator, tag), NULL};
}

/* Promoting ends here: the heap is the last intent. */
static bool charge(fa_allocator *allocator, fa_tag tag, size_t size) {
    return fai_account_charge(allocator, payer_of(allocator, tag), FA_INTENT_HEAP, size) ==
           FAI_CHARGE_OK;
}

static void note(fa_allocator *allocator, fa_tag tag) {
    fai_account_note(allocator, payer_of(allocator, tag), FA_INTENT_HEAP);
}

static void discharge(fa_allocator *allocator, fa_tag tag, size_t size) {
    fai_account_discharge(payer_of(allocator, tag), FA_INTENT_HEAP, size);
}

/* What was charged for memory that could not be had. */
static void take_back(fa_allocator *allocator, fa_tag tag, size_t size) {
    fai_account_take_back(payer_of(allocator, tag), FA_INTENT_HEAP, size);
}

/* A block that is charged already. zeroed: gets whether the memory is known to be all zero. */
static void *take_paid(fa_allocator *allocator, size_t size, size_t align, fa_tag tag,
                       bool *zeroed) {
    fai_heap *heap = &allocator->heap;
    const fa_site *site = fai_slot.site; /* stays in the slot for what is reported meanwhile */
    fai_heap_entry entry = {.size = size, .align = (uint32_t)align, .tag = tag};
    if (site != NULL)
        entry.site = *site;
    fa_status status =
        fai_store_take(allocator, bytes_for(allocator, size), align, &entry.span, zeroed);
    if (status != FA_OK)
        return NULL;
    /* Whole before it stands in the table: the child of a fork may look at it there. */
    dress(allocator, &entry.span, size, 0);
    fai_relief relief = fai_relief_begin(&allocator->reserve, size);
    do {
        pthread_mutex_lock(&heap->lock);
        status = reserve(allocator);
        relief.size = heap->table_span.size * 2;
        if (status == FA_OK) {
            heap->live_count++;
            entry.sequence = ++heap->alloc_count;
            fai_tag_at(allocator, tag)->heap_alloc_count++;
            insert(heap, &entry);
            account(heap, size);
        }
        pthread_mutex_unlock(&heap->lock);
    } while (fai_relieve(allocator, &relief, status));
    if (status != FA_OK) {
        fai_store_give(allocator, &entry.span);
        fai_report_span(allocator, status, size);
        return NULL;
    }
    return entry.span.address;
}

static inline void tell(fa_allocator *allocator, fa_events_kind kind, const void *block,
                        size_t size, fa_tag tag) {
    if (fai_events_want(&allocator->events, kind))
        fai_events_block(allocator, NULL, kind, FA_INTENT_HEAP, block, size, size, tag);
}

static void *take(fa_allocator *allocator, size_t size, size_t align, fa_tag tag, bool *zeroed) {
    if (!charge(allocator, tag, size))
        return NULL;
    fai_pending pending;
    fai_pending_begin(&pending, payer_of(allocator, tag), FA_INTENT_HEAP, size);
    void *block = take_paid(allocator, size, align, tag, zeroed);
    if (block == NULL)
        take_back(allocator, tag, size);
    fai_pending_end(&pending);
    if (block == NULL)
        return NULL;
    note(allocator, tag);
    tell(allocator, FA_EVENTS_ALLOC, block, size, tag);
    fai_slot.site = NULL;
    return block;
}

void *fai_heap_take(fa_allocator *allocator, size_t size, size_t align) {
    bool zeroed;
    return take(allocator, size, align, fai_tag_now(allocator), &zeroed);
}

void *fai_heap_take_small(fa_allocator *allocator, size_t size, size_t align, uint16_t bin) {
    void *block = fai_heap_take(allocator, size, align);
    if (block != NULL) {
        pthread_mutex_lock(&allocator->heap.lock);
        find(&allocator->heap, block)->bin = bin;
        pthread_mutex_unlock(&allocator->heap.lock);
    }
    return block;
}

void fai_heap_capture(fa_allocator *allocator, void *block, size_t offset) {
    FAI_ADD_RELAXED(&allocator->captured_in_heap, 1);
    pthread_mutex_lock(&allocator->heap.lock);
    find(&allocator->heap, block)->captured_shift = (uint8_t)__builtin_ctzll(offset);
    pthread_mutex_unlock(&allocator->heap.lock);
}

void *fai_heap_captured(fa_allocator *allocator, const void *address, size_t offset_first) {
    fai_heap *heap = &allocator->heap;
    void *block = NULL;
    pthread_mutex_lock(&heap->lock);
    for (size_t offset = offset_first; block == NULL && offset <= FA_ALIGN_MAX; offset *= 2) {
        const fai_heap_entry *entry = find(heap, (const void *)((uintptr_t)address - offset));
        if (entry != NULL && (size_t)1 << entry->captured_shift == offset)
            block = entry->span.address;
    }
    pthread_mutex_unlock(&heap->lock);
    return block;
}

static void report_bad_free(fa_allocator *allocator, const void *block) {
    fai_report(allocator, FA_DIAG_FA601, FA_ERROR_FOREIGN, 0, 0, block);
}

/* Gives the memory of a block back. */
static void bury(fa_allocator *allocator, const fai_span *span) {
    if (allocator->watched) {
        fai_unpoison(span->address, span->size);
        if (allocator->checks & FA_CHECK_FILL)
            memset(span->address, FAI_FILL_DEAD, span->size);
        fai_poison(span->address, span->size);
    }
    fai_store_give(allocator, span);
}

/* Frees a block, but leaves it charged. copy: gets its entry. False, reported, when it is none. */
static bool give(fa_allocator *allocator, void *block, size_t size, fai_heap_entry *copy) {
    fai_heap *heap = &allocator->heap;
    pthread_mutex_lock(&heap->lock);
    fai_heap_entry *entry = find(heap, block);
    if (entry != NULL) {
        *copy = *entry;
        erase(heap, entry);
        heap->live_count--;
        heap->live_bytes -= copy->size;
        heap->free_count++;
        fai_tag_at(allocator, copy->tag)->heap_free_count++;
    }
    pthread_mutex_unlock(&heap->lock);
    if (entry == NULL) {
        report_bad_free(allocator, block);
        return false;
    }
    if (copy->bin != 0)
        FAI_SUB_RELAXED(&allocator->pools.bin_heap_count[copy->bin], 1);
    if (copy->captured_shift != 0)
        FAI_SUB_RELAXED(&allocator->captured_in_heap, 1);
    if (!guard_is_whole(allocator, copy))
        fai_report_at(allocator, FA_DIAG_FA604, FA_ERROR_CORRUPT, copy->size, 0, block, copy->site);
    if (size != SIZE_MAX && size != copy->size && (allocator->checks & FA_CHECK_FREE))
        fai_report(allocator, FA_DIAG_FA603, FA_ERROR_INVALID, size, copy->size, block);
    tell(allocator, FA_EVENTS_FREE, block, copy->size, copy->tag);
    bury(allocator, &copy->span);
    return true;
}

void fai_heap_give(fa_allocator *allocator, void *block, size_t size) {
    fai_heap_entry copy;
    if (give(allocator, block, size, &copy))
        discharge(allocator, copy.tag, copy.size);
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

size_t fai_heap_size(fa_allocator *allocator, const void *block) {
    pthread_mutex_lock(&allocator->heap.lock);
    const fai_heap_entry *entry = find(&allocator->heap, block);
    size_t size = entry == NULL ? 0 : entry->size;
    pthread_mutex_unlock(&allocator->heap.lock);
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

void *fai_heap_alloc(fa_allocator *allocator, size_t size, size_t align, fa_tag tag) {
    bool zeroed;
    if (align < FA_ALIGN_MIN && fai_is_power_of_two(align))
        align = FA_ALIGN_MIN;
    if (allocator == NULL || !fai_is_request(size, align)) {
        fai_fail(FA_ERROR_INVALID, size);
        return NULL;
    }
    return take(allocator, size, align, tag, &zeroed);
}

void *(fa_heap_alloc_aligned)(fa_allocator *allocator, size_t size, size_t align) {
    return fai_heap_alloc(allocator, size, align, allocator ? fai_tag_now(allocator) : 0);
}

void *(fa_heap_alloc)(fa_allocator *allocator, size_t size) {
    return (fa_heap_alloc_aligned)(allocator, size, FA_ALIGN_MIN);
}

void *fai_heap_zeroed(fa_allocator *allocator, size_t count, size_t size, fa_tag tag) {
    size_t bytes;
    if (allocator == NULL || __builtin_mul_overflow(count, size, &bytes) ||
        !fai_is_request(bytes, FA_ALIGN_MIN)) {
        fai_fail(FA_ERROR_INVALID, size);
        return NULL;
    }
    bool zeroed;
    void *block = take(allocator, bytes, FA_ALIGN_MIN, tag, &zeroed);
    if (block != NULL && (!zeroed || allocator->watched))
        memset(block, 0, bytes);
    return block;
}

void *(fa_heap_alloc_zeroed)(fa_allocator *allocator, size_t count, size_t size) {
    return fai_heap_zeroed(allocator, count, size, allocator ? fai_tag_now(allocator) : 0);
}

/* Gives a live block a new size, in the memory that it has now or that its contents were copied to.
 * copy: its entry before, but for the span; block: where it was. */
static void record_size(fa_allocator *allocator, const fai_heap_entry *copy, const void *block,
                        size_t size) {
    fai_heap *heap = &allocator->heap;
    size_t kept = copy->size < size ? copy->size : size;
    pthread_mutex_lock(&heap->lock);
    fai_heap_entry *entry = find(heap, block);
    if (block != copy->span.address) {
        fai_heap_entry moved = *entry;
        moved.span = copy->span;
        erase(heap, entry);
        entry = insert(heap, &moved);
    }
    entry->span = copy->span;
    entry->size = size;
    if (fai_slot.site != NULL)
        entry->site = fai_take_site();
    heap->live_bytes -= copy->size;
    account(heap, size);
    dress(allocator, &copy->span, size, kept);
    pthread_mutex_unlock(&heap->lock);
    tell(allocator, FA_EVENTS_FREE, block, copy->size, copy->tag);
    tell(allocator, FA_EVENTS_ALLOC, copy->span.address, size, copy->tag);
    if (size < copy->size)
        discharge(allocator, copy->tag, copy->size - size);
}

/* Tries to give a live block a new size where it lies. copy: its entry as it is now. */
static bool resize_in_place(fa_allocator *allocator, fai_heap_entry *copy, size_t size) {
    if (allocator->watched) /* what leaves the block must not be poisoned when it is cut off */
        fai_unpoison_defined(copy->span.address, copy->span.size);
    bool done = fai_store_resize(allocator, &copy->span, bytes_for(allocator, size));
    if (!done && allocator->watched)
        fai_poison((char *)copy->span.address + copy->size, copy->span.size - copy->size);
    if (done)
        record_size(allocator, copy, copy->span.address, size);
    return done;
}

/* Gives a live block a new size elsewhere. For limits it stays one block. */
static void *resize_elsewhere(fa_allocator *allocator, const fai_heap_entry *copy, size_t size) {
    bool zeroed;
    void *block = copy->span.address;
    void *moved = take_paid(allocator, size, copy->align, copy->tag, &zeroed);
    if (moved == NULL)
        return NULL;
    memcpy(moved, block, size < copy->size ? size : copy->size);
    tell(allocator, FA_EVENTS_ALLOC, moved, size, copy->tag);
    fai_heap_entry old;
    if (give(allocator, block, SIZE_MAX, &old) && size < old.size)
        discharge(allocator, old.tag, old.size - size);
    return moved;
}

/* A smaller size, for a block whose memory the store can't cut: it moves where that costs nothing
 * but an attempt, without reclaimers, reserve or a report. Else it stays where it is: less is never
 * refused. */
static void *shrink(fa_allocator *allocator, const fai_heap_entry *copy, size_t size) {
    fai_heap_entry moved = *copy;
    bool zeroed;
    if (fai_store_take_at_hand(allocator, bytes_for(allocator, size), copy->align, &moved.span,
                               &zeroed) != FA_OK) {
        record_size(allocator, copy, copy->span.address, size);
        return copy->span.address;
    }
    if (allocator->watched)
        fai_unpoison(moved.span.address, moved.span.size);
    memcpy(moved.span.address, copy->span.address, size);
    record_size(allocator, &moved, copy->span.address, size);
    bury(allocator, &copy->span);
    return moved.span.address;
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
    size_t more = size > copy.size ? size - copy.size : 0;
    if (more != 0 && !charge(allocator, copy.tag, more))
        return NULL;
    bool in_place = resize_in_place(allocator, &copy, size);
    if (more == 0)
        return in_place ? block : shrink(allocator, &copy, size);
    fai_pending pending;
    fai_pending_begin(&pending, payer_of(allocator, copy.tag), FA_INTENT_HEAP, more);
    void *resized = in_place ? block : resize_elsewhere(allocator, &copy, size);
    if (resized == NULL)
        take_back(allocator, copy.tag, more);
    fai_pending_end(&pending);
    if (resized != NULL)
        note(allocator, copy.tag);
    fai_slot.site = NULL;
    return resized;
}

void(fa_heap_free)(fa_allocator *allocator, void *block) {
    if (block != NULL && allocator == NULL)
        fai_fail(FA_ERROR_INVALID, 0);
    else if (block != NULL)
        fai_heap_give(allocator, block, SIZE_MAX);
    fai_slot.site = NULL;
}

static size_t copy_live(const fai_heap *heap, fa_heap_block *blocks) {
    size_t count = 0;
    fai_unpoison(blocks, heap->live_count * sizeof *blocks);
    for (size_t i = 0; i < heap->table_capacity; i++) {
        const fai_heap_entry *entry = &heap->table[i];
        if (entry->span.address != NULL)
            blocks[count++] = (fa_heap_block){entry->span.address, entry->size, entry->align,
                                              entry->sequence,     entry->site, entry->tag};
    }
    return count;
}

size_t fa_heap_visit(fa_allocator *allocator, void (*visit)(void *user, const fa_heap_block *block),
                     void *user) {
    if (allocator == NULL || visit == NULL) {
        fai_fail(FA_ERROR_INVALID, 0);
        return 0;
    }
    fai_heap *heap = &allocator->heap;
    fai_span span = {0};
    size_t copied = 0;
    for (bool done = false; !done;) {
        pthread_mutex_lock(&heap->lock);
        size_t room = heap->live_count;
        pthread_mutex_unlock(&heap->lock);
        if (room == 0)
            return 0;
        bool zeroed;
        if (fai_store_take(allocator, room * sizeof(fa_heap_block), FA_ALIGN_MIN, &span, &zeroed) !=
            FA_OK)
            return SIZE_MAX;
        pthread_mutex_lock(&heap->lock);
        done = heap->live_count <= room; /* else others were faster: once more with more room */
        if (done)
            copied = copy_live(heap, (fa_heap_block *)span.address);
        pthread_mutex_unlock(&heap->lock);
        if (!done)
            fai_store_give(allocator, &span);
    }
    const fa_heap_block *blocks = (const fa_heap_block *)span.address;
    for (size_t i = 0; i < copied; i++)
        visit(user, &blocks[i]);
    fai_store_give(allocator, &span);
    return copied;
}

/* ---- life ---- */

bool fai_heap_create(fa_allocator *allocator) {
    return pthread_mutex_init(&allocator->heap.lock, NULL) == 0;
}

void fai_heap_destroy(fa_allocator *allocator) {
    fai_heap *heap = &allocator->heap;
    for (size_t i = 0; i < heap->table_capacity; i++)
        if (heap->table[i].span.address != NULL)
            fai_store_give(allocator, &heap->table[i].span);
    if (heap->table != NULL)
        fai_span_free(&allocator->spans, &heap->table_span);
    pthread_mutex_destroy(&heap->lock);
}

const void *fai_heap_validate(fa_allocator *allocator) {
    fai_heap *heap = &allocator->heap;
    size_t live = 0, live_bytes = 0;
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
    if (live != heap->live_count || live_bytes != heap->live_bytes)
        wrong = heap;
    pthread_mutex_unlock(&heap->lock);
    return wrong;
}
