/* Magazines: what a thread keeps ready of each tag and class, and the slabs below.
 *
 * The way of an object: slab bitmap -> magazine (fai_slab_take) -> program -> magazine of the
 * slab's owner (free on the owner's thread), or the owner's queue (free elsewhere), or the bitmap
 * of a slab whose owner is gone -> bitmap (flush). What lies in no bitmap is charged to the account
 * of its tag. Where bitmaps are shared (fai_bits_lock), another thread may put an object into the
 * bitmap of a slab that has an owner, too: FA_DEFERRED_FULL_PROCESS.
 *
 * With checks or a sanitizer (allocator->watched) magazines and queues stay empty: each object goes
 * straight from and to its bitmap, under the lock, so that it tells live from free exactly. */
#include "fa/internal/deferred.h"

#include <string.h>

fai_magazine fai_magazine_none;
fai_pool_view fai_pool_closed;
fai_pool_view fai_pool_captured;

/* A tag's magazines are small, for a thread may use many. */
#define TAGGED_BYTES ((size_t)16 << 10)
#define TAGGED_COUNT_MAX 64
#define TAGGED_COUNT_MIN 8
#define TAGGED_REFILL_FIRST 8

void fai_pool_initialise(void) {
    for (size_t bin = 0; bin < FAI_BIN_COUNT; bin++)
        fai_pool_closed.magazine_of_bin[bin] = fai_pool_captured.magazine_of_bin[bin] =
            &fai_magazine_none;
}

/* ---- a thread's pools ---- */

/* Each starts a cache line. So its state, which every allocation and free stores, never has the low
 * 12 bits of an address in common with owner and view of the thread's slot, which the next one
 * loads: processors take such a load to depend on the store, and a pair took half as long again. */
static size_t magazine_bytes(size_t capacity) {
    return fai_round_up(sizeof(fai_magazine) + capacity * sizeof(void *), FA_CACHE_LINE);
}

/* From the start of a tag's pool to its magazines. */
#define POOL_BYTES fai_round_up(sizeof(fai_pool), FA_CACHE_LINE)
_Static_assert(sizeof(fai_thread) % FA_CACHE_LINE == 0, "its magazines come next");
_Static_assert(offsetof(fai_thread_slot, owner) % FA_CACHE_LINE != 0 &&
                   offsetof(fai_thread_slot, view) % FA_CACHE_LINE != 0,
               "neither may stand where states of magazines do");

size_t fai_pool_thread_bytes(const fai_pools *pools) {
    size_t bytes = 0;
    for (uint32_t i = 0; i < pools->class_count; i++)
        bytes += magazine_bytes(pools->magazine_capacity[i]);
    return bytes;
}

/* Nothing is ready, nothing was counted, nothing is owned. */
static void reset(fai_pool *pool) {
    const fai_pools *pools = &pool->thread->allocator->pools;
    memset(pool->classes, 0, sizeof pool->classes);
    for (uint32_t i = 0; i < pools->class_count; i++) {
        fai_magazine *magazine = pool->magazine[i];
        magazine->state = magazine->loaded_count = magazine->flushed_count = 0;
        size_t refill = magazine->capacity / 2;
        bool small = pool->tag != 0 && refill > TAGGED_REFILL_FIRST;
        pool->classes[i].refill_count = small ? TAGGED_REFILL_FIRST : refill;
    }
}

static void format(fai_pool *pool, fai_thread *thread, uint32_t tag, const uint32_t *capacity,
                   char *magazines) {
    const fa_allocator *allocator = thread->allocator;
    const fai_pools *pools = &allocator->pools;
    pool->thread = thread;
    pool->tag = tag;
    for (uint32_t i = 0; i < pools->class_count; i++) {
        fai_magazine *magazine = (fai_magazine *)(void *)magazines;
        magazines += magazine_bytes(capacity[i]);
        memset(magazine, 0, sizeof *magazine);
        magazine->capacity = capacity[i];
        magazine->class_index = i;
        magazine->class_bytes = pools->class_bytes[i];
        pool->magazine[i] = magazine;
    }
    uintptr_t segment_bytes = allocator->config.pool_segment_bytes;
    pool->view.segment_mask = ~(segment_bytes - 1);
    pool->view.slab_mask = (segment_bytes - 1) >> (FAI_SLAB_SHIFT - FAI_SLAB_STRIDE_SHIFT) &
                           ~((uintptr_t)FAI_SLAB_STRIDE - 1);
}

void fai_pool_attach(fai_thread *thread) {
    if (thread->pool.thread == NULL)
        format(&thread->pool, thread, 0, thread->allocator->pools.magazine_capacity,
               (char *)(thread + 1));
    reset(&thread->pool);
    fai_deferred_open(thread);
}

void fai_pool_open_bin(fai_pool *pool, size_t bin) {
    const fai_pools *pools = &pool->thread->allocator->pools;
    bool closed = pools->bin_closed[bin] || pools->traced;
    FAI_STORE_RELAXED(&pool->view.magazine_of_bin[bin],
                      closed ? &fai_magazine_none : pool->magazine[pools->class_of_bin[bin]]);
}

static void open_bins(fai_pool *pool) {
    for (size_t bin = 0; bin < FAI_BIN_COUNT; bin++)
        fai_pool_open_bin(pool, bin);
}

void fai_pool_trace(fa_allocator *allocator, bool traced) {
    allocator->pools.traced = traced;
    for (fai_thread *thread = allocator->threads; thread; thread = thread->next)
        for (fai_pool *pool = &thread->pool; pool; pool = pool->next)
            open_bins(pool);
    fai_slab_trace(allocator);
}

void fai_pool_open(fai_thread *thread) { open_bins(&thread->pool); }

/* Memory for the pool of a tally. False with the reason reported. */
static bool make_pool(fai_thread *thread, fai_tally *tally) {
    fa_allocator *allocator = thread->allocator;
    const fai_pools *pools = &allocator->pools;
    uint32_t capacity[FAI_POOL_CLASSES];
    size_t bytes = POOL_BYTES;
    for (uint32_t i = 0; i < pools->class_count; i++) {
        size_t count = TAGGED_BYTES / pools->class_bytes[i];
        count = count < TAGGED_COUNT_MIN   ? TAGGED_COUNT_MIN
                : count > TAGGED_COUNT_MAX ? TAGGED_COUNT_MAX
                                           : count;
        uint32_t most = pools->magazine_capacity[i];
        capacity[i] = count < most ? (uint32_t)count : most;
        bytes += magazine_bytes(capacity[i]);
    }
    fai_span span;
    if (fai_allocator_span(allocator, bytes, 64, FA_SPAN_META, &span) != FA_OK)
        return false;
    if (tally->pool != NULL) { /* an event hook allocated in the same tag meanwhile */
        fai_span_free(&allocator->spans, &span);
        return true;
    }
    fai_pool *pool = (fai_pool *)span.address;
    memset(pool, 0, sizeof *pool);
    pool->span = span;
    format(pool, thread, tally->tag, capacity, (char *)pool + POOL_BYTES);
    tally->pool = pool;
    return true;
}

fai_pool *fai_pool_make(fai_thread *thread) {
    fai_tally *tally = fai_tally_now(&thread->tallies);
    if (tally->pool == NULL && !make_pool(thread, tally))
        return NULL;
    fai_pool *pool = tally->pool;
    if (tally->view == &pool->view || tally->view == &fai_pool_captured)
        return pool;
    fa_allocator *allocator = thread->allocator;
    reset(pool);
    fai_lock(allocator); /* bins are closed, and counts added up, of pools on the list */
    open_bins(pool);
    pool->next = thread->pool.next;
    thread->pool.next = pool;
    tally->view = thread->captures.count != 0 ? &fai_pool_captured : &pool->view;
    fai_unlock(allocator);
    if (fai_tally_now(&thread->tallies) == tally && FAI_LOAD_RELAXED(&fai_slot.owner) == allocator)
        fai_slot.view = tally->view;
    return pool;
}

/* Pools of tags stay as they are: only what leads to them from the thread's tags changes. */
void fai_pool_capture(fai_thread *thread, bool captured) {
    for (fai_pool *pool = &thread->pool; pool; pool = pool->next)
        fai_tally_of(thread, pool->tag)->view = captured ? &fai_pool_captured : &pool->view;
    if (FAI_LOAD_RELAXED(&fai_slot.owner) == thread->allocator)
        fai_slot.view = fai_thread_view(thread);
}

void fai_pool_free_all(fai_thread *thread) {
    for (size_t i = 0; i < FAI_TAG_BLOCKS; i++) {
        fai_tally_block *block = thread->tallies.block[i];
        for (size_t n = 0; block != NULL && n < FAI_TAG_BLOCK; n++)
            if (block->tally[n].pool != NULL) {
                fai_span span = block->tally[n].pool->span;
                fai_span_free(&thread->allocator->spans, &span);
            }
    }
}

/* ---- bitmaps and accounts ---- */

static fai_payer payer_of(fai_pool *pool) {
    return (fai_payer){fai_tag_account(pool->thread->allocator, pool->tag),
                       &pool->thread->budget.account};
}

/* Charges the tag and the thread of a pool for up to count objects. Returns for how many; *charge
 * says why for none. */
static size_t charge(fai_pool *pool, size_t bytes, size_t count, fai_charge *charge) {
    fa_allocator *allocator = pool->thread->allocator;
    fai_payer payer = payer_of(pool);
    *charge = FAI_CHARGE_OK;
    count = fai_account_charge_some(allocator, payer, FA_INTENT_POOL, bytes, count);
    if (count != 0)
        return count;
    *charge = fai_account_charge(allocator, payer, FA_INTENT_POOL, bytes);
    return *charge == FAI_CHARGE_OK;
}

/* What was charged for objects that could not be had. */
static void take_back(fai_pool *pool, size_t bytes) {
    fai_account_take_back(payer_of(pool), FA_INTENT_POOL, bytes);
}

void fai_pool_settle(const fai_returned *returned) {
    if (returned->bytes != 0)
        fai_account_discharge(payer_of(returned->pool), FA_INTENT_POOL, returned->bytes);
}

static void add_returned(fai_returned *returned, fai_pool *pool, size_t bytes) {
    if (returned->pool != pool) {
        fai_pool_settle(returned);
        *returned = (fai_returned){pool, 0};
    }
    returned->bytes += bytes;
}

uint32_t fai_pool_put_owned(fai_pool *pool, fai_slab *slab, void *const *objects, uint32_t count,
                            fai_slab **released, fai_returned *returned) {
    fai_pool_class *lists = &pool->classes[slab->class_index];
    uint32_t put = fai_slab_put(pool->thread->allocator, slab, objects, count);
    if (put == 0)
        return 0;
    add_returned(returned, pool, (size_t)put * slab->class_bytes);
    if (slab->free_count == put) {
        fai_slab_unlink(&lists->full, slab);
        fai_slab_push(&lists->partial, slab);
    }
    if (slab->free_count == slab->capacity && (slab->next != NULL || slab->prev != NULL)) {
        fai_slab_unlink(&lists->partial, slab);
        slab->next = *released;
        *released = slab;
    }
    return put;
}

/* The same for objects of any of the pool's slabs, all of them. Returns how many were there twice;
 * *twice is one of those. */
static uint32_t put_all(fai_pool *pool, void *const *objects, uint32_t count, fai_slab **released,
                        fai_returned *returned, void **twice) {
    uint32_t damaged = 0;
    for (uint32_t i = 0, put; i < count; i += put) {
        fai_slab *slab = fai_slab_of_object(pool->thread->allocator, objects[i]);
        put = fai_pool_put_owned(pool, slab, objects + i, count - i, released, returned);
        if (put == 0) {
            *twice = objects[i];
            damaged++;
            put = 1;
        }
    }
    return damaged;
}

bool fai_pool_put_abandoned(fa_allocator *allocator, fai_slab *slab, void *object) {
    fai_payer payer = {fai_tag_account(allocator, slab->tag), NULL};
    size_t bytes = slab->class_bytes;
    if (!fai_slab_put_abandoned(allocator, slab, object))
        return false;
    fai_account_discharge(payer, FA_INTENT_POOL, bytes);
    return true;
}

void fai_pool_release_each(fa_allocator *allocator, fai_slab *released) {
    for (fai_slab *next; released; released = next) {
        next = released->next;
        fai_slab_release(allocator, released);
    }
}

void fai_pool_release_all(fa_allocator *allocator, fai_slab *released) {
    if (released == NULL)
        return;
    fai_lock(allocator);
    fai_pool_release_each(allocator, released);
    fai_unlock(allocator);
}

void fai_pool_flush(fai_pool *pool, fai_magazine *magazine, uint32_t count) {
    fa_allocator *allocator = pool->thread->allocator;
    void **slots = FAI_MAGAZINE_SLOTS(magazine);
    fai_slab *released = NULL;
    fai_returned returned = {0};
    void *twice = NULL;
    fai_bits_lock(allocator);
    put_all(pool, slots, count, &released, &returned, &twice);
    fai_bits_unlock(allocator);
    memmove(slots, slots + count, (fai_ready(magazine) - count) * sizeof *slots);
    FAI_BUMP(&magazine->flushed_count, count);
    FAI_BUMP(&magazine->state, -(uint64_t)count);
    fai_pool_settle(&returned);
    fai_pool_release_all(allocator, released);
    if (twice != NULL)
        fai_report(allocator, FA_DIAG_FA602, FA_ERROR_FOREIGN, magazine->class_bytes, 0, twice);
}

/* Takes up to count objects from the first slab of the class that has some. */
static uint32_t take_from(fai_pool *pool, fai_pool_class *lists, void **objects, uint32_t count) {
    fai_slab *slab = lists->partial;
    uint32_t taken = fai_slab_take(pool->thread->allocator, slab, objects, count);
    if (slab->free_count == 0) {
        fai_slab_unlink(&lists->partial, slab);
        fai_slab_push(&lists->full, slab);
    }
    return taken;
}

fai_charge fai_pool_take_watched(fai_pool *pool, uint32_t class_index, void **object) {
    fa_allocator *allocator = pool->thread->allocator;
    fai_pool_class *lists = &pool->classes[class_index];
    size_t bytes = allocator->pools.class_bytes[class_index];
    fai_charge answer;
    if (charge(pool, bytes, 1, &answer) == 0)
        return answer;
    fai_lock(allocator);
    while (lists->partial == NULL) {
        fai_unlock(allocator);
        fai_slab *slab = fai_slab_acquire(pool, class_index);
        fai_lock(allocator);
        if (slab != NULL) {
            fai_slab_push(&lists->partial, slab);
        } else if (lists->partial == NULL) {
            fai_unlock(allocator);
            take_back(pool, bytes);
            return FAI_CHARGE_REFUSED;
        }
    }
    take_from(pool, lists, object, 1);
    fai_unlock(allocator);
    return FAI_CHARGE_OK;
}

bool fai_pool_has_partial(const fai_pool *pool, uint32_t class_index) {
    fai_bits_lock(pool->thread->allocator);
    bool has = pool->classes[class_index].partial != NULL;
    fai_bits_unlock(pool->thread->allocator);
    return has;
}

/* Fills a magazine with up to count objects of the pool's slabs. added: one more of these, or NULL.
 * Returns how many. */
static size_t load(fai_pool *pool, fai_magazine *magazine, fai_slab *added, size_t count) {
    fai_pool_class *lists = &pool->classes[magazine->class_index];
    size_t loaded = 0;
    fai_bits_lock(pool->thread->allocator);
    if (added != NULL)
        fai_slab_push(&lists->partial, added);
    while (loaded < count && lists->partial != NULL) {
        uint32_t taken = take_from(pool, lists, FAI_MAGAZINE_SLOTS(magazine) + fai_ready(magazine),
                                   (uint32_t)(count - loaded));
        FAI_BUMP(&magazine->loaded_count, taken);
        FAI_BUMP(&magazine->state, taken);
        loaded += taken;
    }
    fai_bits_unlock(pool->thread->allocator);
    return loaded;
}

fai_charge fai_pool_refill(fai_pool *pool, fai_magazine *magazine) {
    fai_pool_class *lists = &pool->classes[magazine->class_index];
    size_t bytes = magazine->class_bytes;
    fai_deferred_refill(pool->thread);
    if (fai_ready(magazine) != 0)
        return FAI_CHARGE_OK;
    fai_charge answer;
    size_t loaded = 0, count = charge(pool, bytes, lists->refill_count, &answer);
    /* Wherever a hook may be called, it may allocate, and so fill the magazine meanwhile. */
    if (fai_ready(magazine) == 0)
        loaded = load(pool, magazine, NULL, count);
    if (fai_ready(magazine) == 0 && count != 0) {
        fai_pending pending;
        fai_pending_begin(&pending, payer_of(pool), FA_INTENT_POOL, count * bytes);
        fai_slab *slab = fai_slab_acquire(pool, magazine->class_index);
        fai_pending_end(&pending);
        loaded = load(pool, magazine, slab, fai_ready(magazine) == 0 ? count : 0);
        answer = FAI_CHARGE_REFUSED;
    }
    if (loaded < count)
        take_back(pool, (count - loaded) * bytes);
    lists->refill_count *= 2;
    if (lists->refill_count > magazine->capacity / 2)
        lists->refill_count = magazine->capacity / 2;
    return fai_ready(magazine) != 0 ? FAI_CHARGE_OK : answer;
}

void fai_pool_note(fai_pool *pool) {
    fai_account_note(pool->thread->allocator, payer_of(pool), FA_INTENT_POOL);
}

/* Whether what a pool is charged counts in an account. */
static bool is_charged_to(const fai_pool *pool, const fai_account *account) {
    const fai_account *at = fai_tag_account(pool->thread->allocator, pool->tag);
    while (at != NULL && at != account)
        at = at->parent;
    return at != NULL || account == &pool->thread->budget.account;
}

bool fai_pool_give_ready(fai_thread *thread, const fai_account *account) {
    bool any = fai_deferred_process_all(thread) != 0;
    for (fai_pool *pool = &thread->pool; pool; pool = pool->next) {
        if (!is_charged_to(pool, account))
            continue;
        for (uint32_t i = 0; i < thread->allocator->pools.class_count; i++) {
            fai_magazine *magazine = pool->magazine[i];
            if (fai_ready(magazine) == 0)
                continue;
            fai_pool_flush(pool, magazine, (uint32_t)fai_ready(magazine));
            any = true;
        }
    }
    return any;
}

bool fai_pool_put_shared(fa_allocator *allocator, fai_thread *owner, fai_slab *slab, void *object,
                         bool direct) {
    if (owner == NULL)
        return fai_pool_put_abandoned(allocator, slab, object);
    fai_slab *released = NULL;
    fai_returned returned = {0};
    if (fai_pool_put_owned(fai_thread_pool_of(owner, slab->tag), slab, &object, 1, &released,
                           &returned) == 0)
        return false;
    if (direct)
        FAI_BUMP(&owner->counts.direct_free, 1);
    fai_pool_settle(&returned);
    fai_pool_release_each(allocator, released);
    return true;
}

/* ---- the end of a thread ---- */

static uint64_t close_class(fai_pool *pool, uint32_t class_index) {
    fa_allocator *allocator = pool->thread->allocator;
    fai_magazine *magazine = pool->magazine[class_index];
    fai_pool_class *lists = &pool->classes[class_index];
    fai_slab *released = NULL;
    fai_returned returned = {0};
    void *twice = NULL;
    uint64_t damaged = put_all(pool, FAI_MAGAZINE_SLOTS(magazine), (uint32_t)fai_ready(magazine),
                               &released, &returned, &twice);
    FAI_STORE_RELAXED(&magazine->state, 0);
    fai_pool_settle(&returned);
    fai_pool_release_each(allocator, released);
    fai_slab **ends[] = {&lists->partial, &lists->full};
    for (size_t n = 0; n < 2; n++)
        while (*ends[n] != NULL) {
            fai_slab *slab = *ends[n];
            fai_slab_unlink(ends[n], slab);
            fai_account_discharge((fai_payer){&pool->thread->budget.account, NULL}, FA_INTENT_POOL,
                                  fai_slab_bytes_out(slab));
            fai_slab_abandon(allocator, slab);
        }
    return damaged;
}

void fai_pool_detach(fai_thread *thread) {
    fa_allocator *allocator = thread->allocator;
    uint64_t damaged = fai_deferred_close(thread);
    for (fai_pool *pool = &thread->pool; pool; pool = pool->next) {
        fai_pool_count(pool, &allocator->pools, &fai_tag_at(allocator, pool->tag)->retired);
        for (uint32_t i = 0; i < allocator->pools.class_count; i++)
            damaged += close_class(pool, i);
    }
    thread->pool.next = NULL; /* the next user of the state opens those that it needs */
    if (damaged != 0)         /* a hook can't be called under the lock */
        FAI_ADD_RELAXED(&allocator->diag_count[FA_DIAG_FA602], damaged);
}

/* ---- trim ---- */

/* Returns whether anything was given back. */
static bool trim_class(fai_pool *pool, uint32_t class_index, bool idle_only) {
    fa_allocator *allocator = pool->thread->allocator;
    fai_magazine *magazine = pool->magazine[class_index];
    fai_pool_class *lists = &pool->classes[class_index];
    bool idle =
        magazine->loaded_count == lists->window_loaded && magazine->state == lists->window_state;
    lists->window_loaded = magazine->loaded_count;
    lists->window_state = magazine->state;
    if ((idle_only && !idle) ||
        (fai_ready(magazine) == 0 && !fai_pool_has_partial(pool, class_index)))
        return false;
    bool any = fai_ready(magazine) != 0;
    if (any)
        fai_pool_flush(pool, magazine, (uint32_t)fai_ready(magazine));
    fai_lock(allocator);
    for (fai_slab *slab = lists->partial, *next; slab; slab = next) {
        next = slab->next;
        if (slab->free_count != slab->capacity)
            continue;
        fai_slab_unlink(&lists->partial, slab);
        fai_slab_release(allocator, slab);
        any = true;
    }
    fai_unlock(allocator);
    return any;
}

size_t fai_pool_trim(fai_thread *thread, bool idle_only) {
    fa_allocator *allocator = thread->allocator;
    fai_lock(allocator);
    size_t segments_before = allocator->pools.segment_count;
    fai_unlock(allocator);
    fai_deferred_trim(thread, idle_only);
    bool any = !idle_only;
    for (fai_pool *pool = &thread->pool; pool; pool = pool->next)
        for (uint32_t i = 0; i < allocator->pools.class_count; i++)
            any |= trim_class(pool, i, idle_only);
    size_t bytes = 0;
    if (any) {
        fai_lock(allocator);
        fai_slab_trim(allocator);
        size_t segments = allocator->pools.segment_count; /* other threads may have added some */
        if (segments < segments_before)
            bytes = (segments_before - segments) * allocator->config.pool_segment_bytes;
        fai_unlock(allocator);
    }
    return bytes;
}
