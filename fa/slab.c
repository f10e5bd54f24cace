#include "fa/internal/slab.h"

#include "fa/internal/owner.h"
#include "fa/internal/poison.h"

#include <string.h>

/* ---- the table of segments ---- */

/* Makes room for one more entry. Under the lock. */
static bool table_grow(fa_allocator *allocator) {
    fai_pools *pools = &allocator->pools;
    fai_segment_table *old = pools->table;
    if (old != NULL && (pools->table_used + 1) * 2 <= old->capacity)
        return true;
    size_t capacity = 64;
    while (capacity < (pools->segment_count + 1) * 4)
        capacity *= 2;
    fai_span span;
    size_t bytes = sizeof(fai_segment_table) + capacity * sizeof(uintptr_t);
    if (fai_span_alloc(&allocator->spans, bytes, 64, FA_SPAN_META, &span, NULL) != FA_OK)
        return old != NULL && pools->table_used + 1 < old->capacity; /* crowded, but it works */
    fai_segment_table *table = (fai_segment_table *)span.address;
    memset(table, 0, bytes);
    table->capacity = capacity;
    table->span = span;
    table->retired = old;
    for (fai_segment *segment = pools->segments; segment; segment = segment->next)
        (void)fai_table_put(table, (uintptr_t)segment);
    pools->table_used = pools->segment_count;
    fai_table_publish(&pools->table, table);
    return true;
}

/* ---- segments ---- */

/* Formats a span as a segment and puts it on the lists. Under the lock. */
static bool segment_add(fa_allocator *allocator, const fai_span *span) {
    fai_pools *pools = &allocator->pools;
    if (!table_grow(allocator))
        return false;
    fai_segment *segment = (fai_segment *)span->address;
    size_t count = span->size / FAI_SLAB_BYTES;
    memset(segment, 0, count * FAI_SLAB_STRIDE);
    segment->allocator = allocator;
    segment->span = *span;
    segment->slab_count = (uint16_t)count;
    size_t book_bytes = count * (FAI_SLAB_STRIDE + FAI_SLAB_BITMAP_BYTES);
    segment->slab_first = (uint16_t)((book_bytes + FAI_SLAB_BYTES - 1) / FAI_SLAB_BYTES);
    for (size_t i = count; i-- > segment->slab_first;) {
        fai_slab *slab = fai_segment_slab(segment, i);
        slab->next = segment->free;
        segment->free = slab;
        segment->free_count++;
    }
    segment->next = pools->segments;
    if (pools->segments)
        pools->segments->prev = segment;
    pools->segments = segment;
    pools->segment_count++;
    pools->segment_empty_count++;
    pools->table_used += fai_table_put(pools->table, (uintptr_t)segment);
    return true;
}

static bool segment_is_empty(const fai_segment *segment) {
    return segment->free_count == segment->slab_count - segment->slab_first;
}

/* Gives an empty segment back; false when sealed. Under the lock. */
static bool segment_remove(fa_allocator *allocator, fai_segment *segment) {
    fai_pools *pools = &allocator->pools;
    fai_span span = segment->span;
    fai_segment *next = segment->next, *prev = segment->prev;
    if (FAI_LOAD_RELAXED(&allocator->spans.sealed))
        return false;
    pools->table_used -= fai_table_remove(pools->table, (uintptr_t)segment);
    fai_unpoison(span.address, span.size);
    if (!fai_span_free(&allocator->spans, &span)) { /* sealed in between */
        pools->table_used += fai_table_put(pools->table, (uintptr_t)segment);
        return false;
    }
    if (pools->segment_hint == segment)
        pools->segment_hint = NULL;
    if (prev)
        prev->next = next;
    else
        pools->segments = next;
    if (next)
        next->prev = prev;
    pools->segment_count--;
    pools->segment_empty_count--;
    return true;
}

fai_slab *fai_slab_lookup(fa_allocator *allocator, const void *address) {
    uintptr_t segment = (uintptr_t)address & ~(allocator->config.pool_segment_bytes - 1);
    if (segment == 0 || !fai_segment_known(allocator, segment))
        return NULL;
    fai_slab *slab = fai_slab_of_object(allocator, address);
    size_t index = fai_slab_index((fai_segment *)segment, slab);
    if (index < ((fai_segment *)segment)->slab_first ||
        FAI_LOAD_RELAXED(&slab->state) == FAI_SLAB_FREE)
        return NULL;
    return slab;
}

/* ---- objects ---- */

uint32_t fai_slab_take(const fa_allocator *allocator, fai_slab *slab, void **objects,
                       uint32_t count) {
    const fai_segment *segment = fai_slab_segment(allocator, slab);
    uint64_t *bits = fai_slab_bits(segment, slab);
    char *base = fai_slab_objects(segment, slab);
    if (count > slab->free_count)
        count = slab->free_count;
    uint32_t word = slab->scan;
    for (uint32_t taken = 0; taken < count; word++) {
        uint64_t free_here = bits[word];
        while (free_here != 0 && taken < count) {
            uint32_t index = word * 64 + (uint32_t)__builtin_ctzll(free_here);
            free_here &= free_here - 1;
            objects[count - 1 - taken++] = base + (size_t)index * slab->class_bytes;
        }
        bits[word] = free_here;
        slab->scan = (uint16_t)word;
    }
    slab->free_count = (uint16_t)(slab->free_count - count);
    return count;
}

uint32_t fai_slab_put(const fa_allocator *allocator, fai_slab *slab, void *const *objects,
                      uint32_t count) {
    const fai_segment *segment = fai_slab_segment(allocator, slab);
    const char *base = fai_slab_objects(segment, slab);
    uint64_t *bits = fai_slab_bits(segment, slab);
    uint32_t word = slab->scan, lowest = word, put = 0;
    uint64_t free_here = bits[word]; /* what is put side by side is stored once */
    for (; put < count; put++) {
        uint32_t index;
        if (!fai_slab_index_of(slab, base, objects[put], &index))
            break;
        if (index / 64 != word) {
            bits[word] = free_here;
            word = index / 64;
            free_here = bits[word];
            lowest = word < lowest ? word : lowest;
        }
        uint64_t bit = (uint64_t)1 << index % 64;
        if (free_here & bit)
            break;
        free_here |= bit;
    }
    bits[word] = free_here;
    slab->scan = (uint16_t)lowest;
    slab->free_count = (uint16_t)(slab->free_count + put);
    return put;
}

/* ---- slabs ---- */

/* Cuts a free slab into objects of a class, all of them free. */
static void slab_format(fa_allocator *allocator, fai_slab *slab, uint32_t class_index) {
    const fai_segment *segment = fai_slab_segment(allocator, slab);
    uint32_t class_bytes = allocator->pools.class_bytes[class_index];
    slab->class_index = (uint16_t)class_index;
    slab->class_bytes = class_bytes;
    slab->inverse = (uint32_t)(((uint64_t)1 << 32) / class_bytes) + 1;
    slab->capacity = (uint16_t)(FAI_SLAB_BYTES / class_bytes);
    slab->free_count = slab->capacity;
    slab->scan = 0;
    slab->is_dirty = true;
    uint64_t *bits = fai_slab_bits(segment, slab);
    size_t words = ((size_t)slab->capacity + 63) / 64, rest = slab->capacity % 64;
    memset(bits, 0xFF, words * sizeof *bits);
    if (rest != 0)
        bits[words - 1] = ((uint64_t)1 << rest) - 1;
    if (allocator->watched)
        fai_poison(fai_slab_objects(segment, slab), FAI_SLAB_BYTES);
}

/* The magazine that fast paths find through the slab; NULL: they find none. */
static fai_magazine *magazine_of(const fai_pool *pool, const fai_slab *slab) {
    const fa_allocator *allocator = pool->thread->allocator;
    bool closed = allocator->watched || allocator->pools.traced ||
                  slab->class_index >= allocator->pools.class_plain;
    return closed ? NULL : pool->magazine[slab->class_index];
}

void fai_slab_trace(fa_allocator *allocator) {
    for (fai_segment *segment = allocator->pools.segments; segment; segment = segment->next)
        for (size_t i = segment->slab_first; i < segment->slab_count; i++) {
            fai_slab *slab = fai_segment_slab(segment, i);
            fai_thread *owner = fai_slab_owner_known(slab);
            if (owner != NULL)
                FAI_STORE_RELAXED(&slab->head.magazine,
                                  magazine_of(fai_thread_pool_of(owner, slab->tag), slab));
        }
}

static void slab_own(fai_pool *pool, fai_slab *slab) {
    FAI_STORE_RELAXED(&slab->state, FAI_SLAB_OWNED);
    fai_slab_give(slab, &pool->thread->head, magazine_of(pool, slab));
}

/* Adopts or cuts a slab from what is held. Under the lock. */
static fai_slab *acquire_held(fai_pool *pool, uint32_t class_index) {
    fa_allocator *allocator = pool->thread->allocator;
    fai_pools *pools = &allocator->pools;
    fai_slab **abandoned = &fai_tag_at(allocator, pool->tag)->abandoned[class_index];
    fai_slab *slab = *abandoned;
    fai_payer payer = {&pool->thread->budget.account, NULL};
    /* Only this thread charges its account: nobody takes the room meanwhile. */
    if (slab != NULL && fai_slab_bytes_out(slab) <= fai_account_room(payer, FA_INTENT_POOL)) {
        fai_slab_unlink(abandoned, slab);
        pools->adopted_count++;
        slab_own(pool, slab);
        FAI_BUMP(&pool->thread->counts.adopted, (uint64_t)(slab->capacity - slab->free_count));
        fai_account_add(payer, FA_INTENT_POOL, fai_slab_bytes_out(slab));
        return slab;
    }
    fai_segment *segment = pools->segment_hint;
    if (segment == NULL || segment->free == NULL) {
        segment = pools->segments;
        while (segment != NULL && segment->free == NULL)
            segment = segment->next;
    }
    pools->segment_hint = segment;
    if (segment == NULL)
        return NULL;
    if (segment_is_empty(segment))
        pools->segment_empty_count--;
    slab = segment->free;
    segment->free = slab->next;
    segment->free_count--;
    slab->next = slab->prev = NULL;
    pools->slab_count++;
    slab_format(allocator, slab, class_index);
    slab->tag = (uint16_t)pool->tag;
    slab_own(pool, slab);
    return slab;
}

/* One attempt at what fai_slab_acquire does, without a report. */
static fa_status acquire(fai_pool *pool, uint32_t class_index, fai_slab **result) {
    fa_allocator *allocator = pool->thread->allocator;
    fai_lock(allocator);
    fai_slab *slab = acquire_held(pool, class_index);
    /* The table grows first: a segment that came just before a seal could not be given back. */
    bool room = slab != NULL || table_grow(allocator);
    fai_unlock(allocator);
    *result = slab;
    if (slab != NULL)
        return FA_OK;
    if (!room)
        return FAI_LOAD_RELAXED(&allocator->spans.sealed) ? FA_ERROR_SEALED : FA_ERROR_NO_MEMORY;
    /* The backend is asked without the lock: other threads go on with what is held. */
    size_t bytes = allocator->config.pool_segment_bytes;
    fai_span span;
    uint32_t declined;
    fa_status status =
        fai_span_alloc(&allocator->spans, bytes, bytes, FA_SPAN_SEGMENT, &span, &declined);
    bool got = status == FA_OK;
    fai_lock(allocator);
    bool added = got && segment_add(allocator, &span);
    *result = acquire_held(pool, class_index); /* perhaps from what another thread brought */
    fai_unlock(allocator);
    if (added && declined != 0)
        fai_report(allocator, FA_DIAG_FA703, FA_OK, bytes, 0, span.address);
    if (got && !added) {
        fai_span_free(&allocator->spans, &span);
        status = FA_ERROR_NO_MEMORY;
    }
    return *result != NULL ? FA_OK : status;
}

fai_slab *fai_slab_acquire(fai_pool *pool, uint32_t class_index) {
    fa_allocator *allocator = pool->thread->allocator;
    size_t bytes = allocator->config.pool_segment_bytes;
    fai_slab *slab;
    fa_status status;
    fai_relief relief = fai_relief_begin(&allocator->reserve, bytes);
    do
        status = acquire(pool, class_index, &slab);
    while (fai_relieve(allocator, &relief, status));
    if (slab == NULL && !fai_pool_has_partial(pool, class_index))
        fai_report_span(allocator, status, bytes);
    return slab;
}

void fai_slab_release(fa_allocator *allocator, fai_slab *slab) {
    fai_segment *segment = fai_slab_segment(allocator, slab);
    FA_ASSERT(slab->free_count == slab->capacity);
    FAI_STORE_RELAXED(&slab->state, FAI_SLAB_FREE);
    fai_slab_disown(slab);
    slab->prev = NULL;
    slab->next = segment->free;
    segment->free = slab;
    segment->free_count++;
    allocator->pools.slab_count--;
    allocator->pools.segment_hint = segment;
    if (segment_is_empty(segment) && ++allocator->pools.segment_empty_count > 1)
        segment_remove(allocator, segment);
}

/* Where slabs like this one wait for adoption. */
static fai_slab **abandoned_of(fa_allocator *allocator, const fai_slab *slab) {
    return &fai_tag_at(allocator, slab->tag)->abandoned[slab->class_index];
}

void fai_slab_abandon(fa_allocator *allocator, fai_slab *slab) {
    slab->next = slab->prev = NULL;
    if (slab->free_count == slab->capacity) {
        fai_slab_release(allocator, slab);
        return;
    }
    FAI_STORE_RELAXED(&slab->state, FAI_SLAB_ABANDONED);
    fai_slab_disown(slab);
    if (slab->free_count != 0)
        fai_slab_push(abandoned_of(allocator, slab), slab);
}

bool fai_slab_put_abandoned(fa_allocator *allocator, fai_slab *slab, void *object) {
    if (fai_slab_put(allocator, slab, &object, 1) == 0)
        return false;
    fai_slab **list = abandoned_of(allocator, slab);
    if (slab->free_count == slab->capacity) {
        if (slab->capacity > 1)
            fai_slab_unlink(list, slab);
        fai_slab_release(allocator, slab);
    } else if (slab->free_count == 1) {
        fai_slab_push(list, slab);
    }
    return true;
}

size_t fai_slab_trim(fa_allocator *allocator) {
    size_t bytes = 0;
    for (fai_segment *segment = allocator->pools.segments, *next; segment; segment = next) {
        next = segment->next;
        size_t segment_bytes = segment->span.size;
        if (segment_is_empty(segment) && segment_remove(allocator, segment)) {
            bytes += segment_bytes;
            continue;
        }
        for (fai_slab *slab = segment->free; slab; slab = slab->next) {
            if (!slab->is_dirty)
                continue;
            fai_span_purge(&allocator->spans, &segment->span, fai_slab_objects(segment, slab),
                           FAI_SLAB_BYTES);
            slab->is_dirty = false;
        }
    }
    return bytes;
}

void fai_slab_destroy(fa_allocator *allocator) {
    fai_pools *pools = &allocator->pools;
    for (fai_segment *segment = pools->segments, *next; segment; segment = next) {
        next = segment->next;
        fai_span span = segment->span;
        fai_unpoison(span.address, span.size);
        fai_span_free(&allocator->spans, &span);
    }
    for (fai_segment_table *table = pools->table, *older; table; table = older) {
        older = table->retired;
        fai_span span = table->span;
        fai_span_free(&allocator->spans, &span);
    }
}

/* ---- validation ---- */

static bool slab_is_sound(const fa_allocator *allocator, const fai_segment *segment,
                          const fai_slab *slab) {
    if (slab->state == FAI_SLAB_FREE)
        return slab->head.owner == NULL;
    if ((slab->state == FAI_SLAB_OWNED) != (slab->head.owner != NULL))
        return false;
    if (slab->class_index >= allocator->pools.class_count ||
        slab->class_bytes != allocator->pools.class_bytes[slab->class_index] ||
        slab->tag >= allocator->tags.count)
        return false;
    /* A thread that did not survive a fork may have been at work on its bits. */
    const fai_thread *owner = (const fai_thread *)slab->head.owner;
    if (owner != NULL && owner->slot == NULL)
        return true;
    const uint64_t *bits = fai_slab_bits(segment, slab);
    uint32_t words = ((uint32_t)slab->capacity + 63) / 64, free_count = 0;
    for (uint32_t i = 0; i < words; i++) {
        free_count += (uint32_t)__builtin_popcountll(bits[i]);
        if (i < slab->scan && bits[i] != 0)
            return false;
    }
    return free_count == slab->free_count;
}

const void *fai_slab_validate(fa_allocator *allocator) {
    size_t segments = 0, slabs = 0, empty = 0;
    for (fai_segment *segment = allocator->pools.segments; segment; segment = segment->next) {
        segments++;
        size_t free_count = 0;
        for (size_t i = segment->slab_first; i < segment->slab_count; i++) {
            const fai_slab *slab = fai_segment_slab(segment, i);
            if (!slab_is_sound(allocator, segment, slab))
                return slab;
            free_count += slab->state == FAI_SLAB_FREE;
        }
        if (free_count != segment->free_count || segment->allocator != allocator ||
            !fai_segment_known(allocator, (uintptr_t)segment))
            return segment;
        slabs += (size_t)(segment->slab_count - segment->slab_first) - free_count;
        empty += segment_is_empty(segment);
    }
    const fai_pools *pools = &allocator->pools;
    if (segments != pools->segment_count || slabs != pools->slab_count ||
        empty != pools->segment_empty_count)
        return pools;
    return NULL;
}
