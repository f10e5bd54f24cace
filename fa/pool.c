/* Pools: each thread's magazines above the slabs that it owns.
 *
 * The way of an object: slab bitmap -> magazine (fai_slab_take) -> program -> magazine of the
 * slab's owner (free on the owner's thread), or the owner's queue (free elsewhere), or the bitmap
 * of a slab whose owner is gone -> bitmap (flush).
 *
 * With checks or a sanitizer (allocator->watched) magazines and queues stay empty: each object goes
 * straight from and to its bitmap, under the lock, so that it tells live from free exactly. */
#include "fa/pool.h"

#include "fa/heap.h"
#include "fa/internal/heap.h"
#include "fa/internal/watch.h"

#include <string.h>

/* ---- a thread's pools ---- */

size_t fai_pool_thread_bytes(const fai_pools *pools) {
    size_t bytes = 0;
    for (uint32_t i = 0; i < pools->class_count; i++)
        bytes += sizeof(fai_magazine) + pools->magazine_capacity[i] * sizeof(void *);
    return bytes;
}

void fai_pool_attach(fai_thread *thread) {
    fa_allocator *allocator = thread->allocator;
    const fai_pools *pools = &allocator->pools;
    char *next = (char *)(thread + 1);
    memset(&thread->none, 0, sizeof thread->none);
    memset(thread->pool, 0, sizeof thread->pool);
    for (uint32_t i = 0; i < pools->class_count; i++) {
        fai_magazine *magazine = (fai_magazine *)(void *)next;
        next += sizeof *magazine + pools->magazine_capacity[i] * sizeof(void *);
        memset(magazine, 0, sizeof *magazine);
        magazine->capacity = pools->magazine_capacity[i];
        magazine->class_index = i;
        magazine->class_bytes = pools->class_bytes[i];
        thread->magazine[i] = magazine;
    }
    uintptr_t segment_bytes = allocator->config.pool_segment_bytes;
    thread->head.segment_mask = ~(segment_bytes - 1);
    thread->head.slab_mask = (segment_bytes - 1) >> (FAI_SLAB_SHIFT - FAI_SLAB_STRIDE_SHIFT) &
                             ~((uintptr_t)FAI_SLAB_STRIDE - 1);
    FAI_STORE_RELEASE(&thread->deferred, NULL);
}

void fai_pool_open(fai_thread *thread) {
    const fai_pools *pools = &thread->allocator->pools;
    for (size_t bin = 0; bin < FAI_BIN_COUNT; bin++)
        thread->head.magazine_of_bin[bin] =
            pools->bin_closed[bin] ? &thread->none : thread->magazine[pools->class_of_bin[bin]];
}

/* Puts an object into a slab that the thread owns. An entirely free slab is moved to *released when
 * the class has another one with free objects. Returns false for a double free. */
static bool put_owned(fai_thread *thread, fai_slab *slab, void *object, fai_slab **released) {
    fai_pool_class *pool = &thread->pool[slab->class_index];
    if (!fai_slab_put(thread->allocator, slab, object))
        return false;
    if (slab->free_count == 1) {
        fai_slab_unlink(&pool->full, slab);
        fai_slab_push(&pool->partial, slab);
    }
    if (slab->free_count == slab->capacity && (slab->next != NULL || slab->prev != NULL)) {
        fai_slab_unlink(&pool->partial, slab);
        slab->next = *released;
        *released = slab;
    }
    return true;
}

static void release_all(fa_allocator *allocator, fai_slab *released) {
    if (released == NULL)
        return;
    fai_lock(allocator);
    for (fai_slab *next; released; released = next) {
        next = released->next;
        fai_slab_release(allocator, released);
    }
    fai_unlock(allocator);
}

/* Gives the oldest count objects of a magazine back to their slabs. */
static void flush(fai_thread *thread, fai_magazine *magazine, uint32_t count) {
    void **slots = FAI_MAGAZINE_SLOTS(magazine);
    fai_slab *released = NULL;
    void *twice = NULL;
    for (uint32_t i = 0; i < count; i++) {
        fai_slab *slab = fai_slab_of_object(thread->allocator, slots[i]);
        if (!put_owned(thread, slab, slots[i], &released))
            twice = slots[i];
    }
    memmove(slots, slots + count, (fai_ready(magazine) - count) * sizeof *slots);
    FAI_BUMP(&magazine->flushed_count, count);
    FAI_BUMP(&magazine->state, -(uint64_t)count);
    release_all(thread->allocator, released);
    if (twice != NULL)
        fai_report(thread->allocator, FA_DIAG_FA602, FA_ERROR_FOREIGN, magazine->class_bytes, 0,
                   twice);
}

/* Takes up to count objects from the first slab of the class that has some. */
static uint32_t take_from(fai_thread *thread, fai_pool_class *pool, void **objects,
                          uint32_t count) {
    fai_slab *slab = pool->partial;
    uint32_t taken = fai_slab_take(thread->allocator, slab, objects, count);
    if (slab->free_count == 0) {
        fai_slab_unlink(&pool->partial, slab);
        fai_slab_push(&pool->full, slab);
    }
    return taken;
}

/* One object of a watched allocator, where any thread may put objects back. NULL: no memory,
 * reported. */
static void *take_watched(fai_thread *thread, uint32_t class_index) {
    fa_allocator *allocator = thread->allocator;
    fai_pool_class *pool = &thread->pool[class_index];
    void *object;
    fai_lock(allocator);
    if (pool->partial == NULL) {
        fai_unlock(allocator);
        fai_slab *slab = fai_slab_acquire(thread, class_index);
        if (slab == NULL)
            return NULL;
        fai_lock(allocator);
        fai_slab_push(&pool->partial, slab);
    }
    take_from(thread, pool, &object, 1);
    fai_unlock(allocator);
    return object;
}

/* Fills an empty magazine by half. Returns false when there is no memory. */
static bool refill(fai_thread *thread, fai_magazine *magazine) {
    fai_pool_class *pool = &thread->pool[magazine->class_index];
    if (FAI_LOAD_RELAXED(&thread->deferred) != NULL)
        fai_pool_drain(thread);
    if (fai_ready(magazine) == 0 && pool->partial == NULL) {
        fai_slab *slab = fai_slab_acquire(thread, magazine->class_index);
        if (slab != NULL)
            fai_slab_push(&pool->partial, slab);
    }
    if (fai_ready(magazine) != 0) /* an event hook allocated, and so refilled it, meanwhile */
        return true;
    size_t want = magazine->capacity / 2;
    while (fai_ready(magazine) < want && pool->partial != NULL) {
        size_t ready = fai_ready(magazine);
        uint32_t count =
            take_from(thread, pool, FAI_MAGAZINE_SLOTS(magazine) + ready, (uint32_t)(want - ready));
        FAI_BUMP(&magazine->loaded_count, count);
        FAI_BUMP(&magazine->state, count);
    }
    return fai_ready(magazine) != 0;
}

/* ---- objects that other threads free ---- */

/* The first word of a queued object holds the next one. */
static void link_write(void *object, void *next) { memcpy(object, &next, sizeof next); }

static void *link_read(const void *object) {
    void *next;
    memcpy(&next, object, sizeof next);
    return next;
}

/* Lock-free, any thread. False when the owner is gone. The consumer takes the whole list at once,
 * so an address that comes back between the read and the swap does no harm. */
static bool queue_push(fai_thread *owner, void *object) {
    void *newest = FAI_LOAD_RELAXED(&owner->deferred);
    do {
        if (newest == FAI_QUEUE_CLOSED)
            return false;
        link_write(object, newest);
    } while (!FAI_CAS_RELEASE(&owner->deferred, &newest, object));
    return true;
}

/* Frees an object of a slab that the calling thread does not own. Returns false for a double free
 * that shows at once. */
static bool free_remote(fa_allocator *allocator, fai_slab *slab, void *object) {
    fai_thread *owner = (fai_thread *)FAI_LOAD_ACQUIRE(&slab->head.owner);
    if (owner != NULL && queue_push(owner, object))
        return true;
    /* No owner, or one that has just gone: owners change under the lock only. */
    bool done = true;
    fai_lock(allocator);
    owner = (fai_thread *)FAI_LOAD_RELAXED(&slab->head.owner);
    if (owner == NULL)
        done = fai_slab_put_abandoned(allocator, slab, object);
    else
        queue_push(owner, object); /* it can't close its queue while we hold the lock */
    fai_unlock(allocator);
    return done;
}

/* An object from the thread's queue goes to its magazine, or its bitmap; the slab of one that was
 * queued for a former user of this state may belong to somebody else by now. */
static bool accept(fai_thread *thread, void *object, fai_slab **released) {
    fai_slab *slab = fai_slab_of_object(thread->allocator, object);
    if (FAI_LOAD_RELAXED(&slab->head.owner) != &thread->head)
        return free_remote(thread->allocator, slab, object);
    fai_magazine *magazine = thread->magazine[slab->class_index];
    if (thread->allocator->watched || fai_ready(magazine) == magazine->capacity)
        return put_owned(thread, slab, object, released);
    FAI_MAGAZINE_SLOTS(magazine)[fai_ready(magazine)] = object;
    FAI_BUMP(&magazine->state, 1);
    FAI_BUMP(&magazine->loaded_count, 1);
    return true;
}

void fai_pool_drain(fai_thread *thread) {
    fai_slab *released = NULL;
    void *twice = NULL, *next;
    for (void *object = FAI_EXCHANGE_ACQ_REL(&thread->deferred, NULL); object; object = next) {
        next = link_read(object);
        if (!accept(thread, object, &released))
            twice = object;
    }
    release_all(thread->allocator, released);
    if (twice != NULL)
        fai_report(thread->allocator, FA_DIAG_FA602, FA_ERROR_FOREIGN, 0, 0, twice);
}

/* ---- the end of a thread ---- */

static void retire_counts(fai_thread *thread) {
    fai_pool_counts *retired = &thread->allocator->pools.retired;
    for (uint32_t i = 0; i < thread->allocator->pools.class_count; i++)
        fai_pool_count(thread->magazine[i], retired);
}

void fai_pool_detach(fai_thread *thread) {
    fa_allocator *allocator = thread->allocator;
    uint64_t damaged = 0;
    void *next;
    for (void *object = FAI_EXCHANGE_ACQ_REL(&thread->deferred, FAI_QUEUE_CLOSED); object;
         object = next) {
        next = link_read(object);
        fai_slab *slab = fai_slab_of_object(allocator, object);
        fai_thread *owner = (fai_thread *)FAI_LOAD_RELAXED(&slab->head.owner);
        fai_slab *released = NULL;
        if (owner == thread)
            damaged += !put_owned(thread, slab, object, &released);
        else if (owner == NULL)
            damaged += !fai_slab_put_abandoned(allocator, slab, object);
        else
            queue_push(owner, object);
        if (released != NULL)
            fai_slab_release(allocator, released);
    }
    retire_counts(thread);
    for (uint32_t i = 0; i < allocator->pools.class_count; i++) {
        fai_magazine *magazine = thread->magazine[i];
        fai_slab *released = NULL;
        for (size_t n = 0; n < fai_ready(magazine); n++) {
            void *object = FAI_MAGAZINE_SLOTS(magazine)[n];
            damaged += !put_owned(thread, fai_slab_of_object(allocator, object), object, &released);
        }
        FAI_STORE_RELAXED(&magazine->state, 0);
        for (fai_slab *slab = released, *after; slab; slab = after) {
            after = slab->next;
            fai_slab_release(allocator, slab);
        }
        fai_slab **lists[] = {&thread->pool[i].partial, &thread->pool[i].full};
        for (size_t n = 0; n < 2; n++)
            while (*lists[n] != NULL) {
                fai_slab *slab = *lists[n];
                fai_slab_unlink(lists[n], slab);
                fai_slab_abandon(allocator, slab);
            }
    }
    if (damaged != 0) /* a hook can't be called under the lock */
        FAI_ADD_RELAXED(&allocator->diag_count[FA_DIAG_FA602], damaged);
}

size_t fai_pool_trim(fai_thread *thread, bool idle_only) {
    fa_allocator *allocator = thread->allocator;
    fai_lock(allocator);
    size_t segments_before = allocator->pools.segment_count;
    fai_unlock(allocator);
    if (FAI_LOAD_RELAXED(&thread->deferred) != NULL)
        fai_pool_drain(thread);
    bool any = !idle_only;
    for (uint32_t i = 0; i < allocator->pools.class_count; i++) {
        fai_magazine *magazine = thread->magazine[i];
        fai_pool_class *pool = &thread->pool[i];
        bool idle =
            magazine->loaded_count == pool->window_loaded && magazine->state == pool->window_state;
        pool->window_loaded = magazine->loaded_count;
        pool->window_state = magazine->state;
        if ((idle_only && !idle) || (fai_ready(magazine) == 0 && pool->partial == NULL))
            continue;
        if (fai_ready(magazine) != 0) {
            flush(thread, magazine, (uint32_t)fai_ready(magazine));
            any = true;
        }
        fai_lock(allocator);
        fai_slab *slab = pool->partial;
        if (slab != NULL && slab->next == NULL && slab->free_count == slab->capacity) {
            fai_slab_unlink(&pool->partial, slab);
            fai_slab_release(allocator, slab);
            any = true;
        }
        fai_unlock(allocator);
    }
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

/* ---- allocation ---- */

/* Class that serves size bytes at a multiple of align, or FAI_NO_CLASS. */
static uint32_t class_for(const fai_pools *pools, size_t size, size_t align) {
    if (size > pools->bytes_max || align > FAI_SLAB_BYTES / 16)
        return FAI_NO_CLASS;
    uint32_t class_index = pools->class_of_bin[(size + 15) >> FAI_BIN_SHIFT];
    /* Objects lie at multiples of their size from a slab boundary. */
    while (class_index < pools->class_count && pools->class_bytes[class_index] % align != 0)
        class_index++;
    return class_index < pools->class_count ? class_index : FAI_NO_CLASS;
}

/* A small block from the heap, for its alignment. Its sized free must not look for a slab: where
 * the book-keeping would be, there need not be memory. So sizes like this one leave the fast path.
 */
static void *take_small_from_heap(fa_allocator *allocator, size_t size, size_t align) {
    size_t bin = (size + 15) >> FAI_BIN_SHIFT;
    bool *closed = &allocator->pools.bin_closed[bin < FAI_BIN_COUNT ? bin : 0];
    if (!FAI_LOAD_RELAXED(closed)) {
        fai_lock(allocator);
        FAI_STORE_RELAXED(closed, true);
        for (fai_thread *thread = allocator->threads; thread; thread = thread->next)
            FAI_STORE_RELAXED(&thread->head.magazine_of_bin[bin], &thread->none);
        fai_unlock(allocator);
    }
    return fai_heap_take(allocator, size, align);
}

static void *alloc(fa_allocator *allocator, size_t size, size_t align) {
    if (allocator == NULL || !fai_is_request(size, align)) {
        fai_fail(FA_ERROR_INVALID, size);
        return NULL;
    }
    uint32_t class_index = class_for(&allocator->pools, fai_guarded(allocator, size), align);
    if (class_index == FAI_NO_CLASS)
        return take_small_from_heap(allocator, size, align);
    fai_thread *thread = fai_thread_get(allocator);
    if (thread == NULL)
        return NULL;
    fai_magazine *magazine = thread->magazine[class_index];
    if (allocator->watched) {
        void *object = take_watched(thread, class_index);
        if (object == NULL)
            return NULL;
        FAI_BUMP(&magazine->loaded_count, 1);
        FAI_BUMP(&magazine->state, FAI_HANDED_OUT_ONE);
        return fai_watch_fresh(allocator, object, size, magazine->class_bytes);
    }
    if (fai_ready(magazine) == 0 && !refill(thread, magazine))
        return NULL;
    FAI_BUMP(&magazine->state, FAI_HANDED_OUT_ONE - 1);
    return FAI_MAGAZINE_SLOTS(magazine)[fai_ready(magazine)];
}

void *fai_pool_alloc_slow(fa_allocator *allocator, size_t size) {
    return alloc(allocator, size, FA_ALIGN_MIN);
}

void *(fa_pool_alloc_aligned)(fa_allocator *allocator, size_t size, size_t align) {
    return alloc(allocator, size,
                 align < FA_ALIGN_MIN && align != 0 && fai_is_power_of_two(align) ? FA_ALIGN_MIN
                                                                                  : align);
}

void *(fai_pool_array)(fa_allocator *allocator, size_t count, size_t size, size_t align) {
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes))
        bytes = 0;
    return (fa_pool_alloc_aligned)(allocator, bytes, align);
}

void *(fai_pool_array_zeroed)(fa_allocator *allocator, size_t count, size_t size, size_t align) {
    void *block = (fai_pool_array)(allocator, count, size, align);
    if (block != NULL)
        memset(block, 0, count * size);
    return block;
}

void *(fa_pool_alloc_zeroed)(fa_allocator *allocator, size_t count, size_t size) {
    return (fai_pool_array_zeroed)(allocator, count, size, FA_ALIGN_MIN);
}

fa_status(fa_pool_alloc_batch)(fa_allocator *allocator, size_t size, size_t count, void **blocks) {
    if (allocator == NULL || !fai_is_request(size, FA_ALIGN_MIN) || (blocks == NULL && count != 0))
        return fai_fail(FA_ERROR_INVALID, size);
    size_t done = 0;
    while (done < count) {
        fai_thread *thread = fai_thread_find(allocator);
        size_t bin = (size + 15) >> FAI_BIN_SHIFT;
        if (thread != NULL && bin < FAI_BIN_COUNT) {
            /* The magazine's top, as the fast path would hand it out one by one. */
            fai_magazine *magazine = thread->head.magazine_of_bin[bin];
            size_t ready = fai_ready(magazine);
            void **top = FAI_MAGAZINE_SLOTS(magazine) + ready;
            if (ready > count - done)
                ready = count - done;
            for (size_t i = 0; i < ready; i++)
                blocks[done + i] = *--top;
            FAI_BUMP(&magazine->state, (FAI_HANDED_OUT_ONE - 1) * ready);
            done += ready;
        }
        if (done == count)
            break;
        blocks[done] = alloc(allocator, size, FA_ALIGN_MIN);
        if (blocks[done] == NULL) {
            fa_error error = fa_last_error();
            (fa_pool_free_batch)(allocator, blocks, done);
            return fai_fail(error.status, size);
        }
        done++;
    }
    return FA_OK;
}

/* ---- free ---- */

static void count_remote(fa_allocator *allocator, size_t class_bytes) {
    FAI_ADD_RELAXED(&allocator->pools.remote_count, 1);
    FAI_ADD_RELAXED(&allocator->pools.remote_bytes, class_bytes);
}

/* Frees an object of a watched allocator. */
static void free_watched(fa_allocator *allocator, fai_slab *slab, void *object, size_t size) {
    fai_thread *thread = fai_thread_find(allocator);
    fai_lock(allocator);
    fai_thread *owner = (fai_thread *)FAI_LOAD_RELAXED(&slab->head.owner);
    size_t class_bytes = slab->class_bytes;
    fa_diag diag = fai_watch_free(allocator, slab, object, size);
    if (diag == FA_DIAG_NONE || diag == FA_DIAG_FA603) {
        fai_watch_dead(allocator, object, class_bytes);
        if (owner != NULL && owner == thread)
            FAI_BUMP(&thread->magazine[slab->class_index]->flushed_count, 1);
        else
            count_remote(allocator, class_bytes);
        fai_slab *released = NULL;
        if (owner == NULL)
            fai_slab_put_abandoned(allocator, slab, object);
        else
            put_owned(owner, slab, object, &released);
        if (released != NULL)
            fai_slab_release(allocator, released);
    }
    fai_unlock(allocator);
    if (diag != FA_DIAG_NONE) {
        fa_status status = diag == FA_DIAG_FA604   ? FA_ERROR_CORRUPT
                           : diag == FA_DIAG_FA603 ? FA_ERROR_INVALID
                                                   : FA_ERROR_FOREIGN;
        fai_report(allocator, diag, status, size == SIZE_MAX ? 0 : size, class_bytes, object);
    }
}

/* Frees an object whose slab is known. */
static void free_object(fa_allocator *allocator, fai_slab *slab, void *object) {
    fai_thread *thread = fai_thread_find(allocator);
    bool owned = thread && FAI_LOAD_RELAXED(&slab->head.owner) == &thread->head;
    if (!owned) {
        uint32_t class_bytes = slab->class_bytes;
        if (!free_remote(allocator, slab, object)) {
            fai_report(allocator, FA_DIAG_FA602, FA_ERROR_FOREIGN, 0, 0, object);
            return;
        }
        count_remote(allocator, class_bytes);
        return;
    }
    fai_magazine *magazine = thread->magazine[slab->class_index];
    while (fai_ready(magazine) == magazine->capacity) /* an event hook may fill it again */
        flush(thread, magazine, (uint32_t)magazine->capacity / 2);
    FAI_MAGAZINE_SLOTS(magazine)[fai_ready(magazine)] = object;
    FAI_BUMP(&magazine->state, 1);
}

void fai_pool_free_slow(fa_allocator *allocator, void *block, size_t size) {
    if (block == NULL)
        return;
    if (allocator == NULL) {
        fai_fail(FA_ERROR_INVALID, 0);
        return;
    }
    fai_slab *slab = fai_slab_lookup(allocator, block);
    if (slab != NULL && allocator->watched)
        free_watched(allocator, slab, block, size);
    else if (slab != NULL)
        free_object(allocator, slab, block);
    else
        fai_heap_give(allocator, block, size);
}

#define NO_SEGMENT ((uintptr_t)1) /* no address of one, not even of NULL's */

/* As the inline path of fa_pool_free_sized, with the segment looked up instead of the size known.
 * segment_seen: one that is known already, so that a row of frees looks it up once. */
static inline bool free_ready(fa_allocator *allocator, void *block, uintptr_t *segment_seen) {
    if (FAI_LOAD_RELAXED(&fai_slot.owner) != allocator)
        return false;
    const fai_thread_head *head = fai_slot.head;
    uintptr_t address = (uintptr_t)block, segment = address & head->segment_mask;
    if (segment != *segment_seen) {
        if (segment == 0 || !fai_segment_known(allocator, segment))
            return false;
        *segment_seen = segment;
    }
    /* The records in front of the first slab have no thread for an owner. */
    const fai_slab_head *slab = FAI_SLAB_HEAD_OF(head, address);
    if (FAI_LOAD_RELAXED(&slab->owner) != head)
        return false;
    fai_magazine *magazine = slab->magazine;
    if (magazine == NULL || fai_ready(magazine) == magazine->capacity)
        return false;
    FAI_MAGAZINE_SLOTS(magazine)[fai_ready(magazine)] = block;
    FAI_BUMP(&magazine->state, 1);
    return true;
}

void(fa_pool_free)(fa_allocator *allocator, void *block) {
    uintptr_t none = NO_SEGMENT;
    if (!free_ready(allocator, block, &none))
        fai_pool_free_slow(allocator, block, SIZE_MAX);
}

void(fa_pool_free_batch)(fa_allocator *allocator, void *const *blocks, size_t count) {
    if (blocks == NULL && count != 0) {
        fai_fail(FA_ERROR_INVALID, 0);
        return;
    }
    uintptr_t segment_seen = NO_SEGMENT;
    for (size_t i = 0; i < count; i++) {
        if (blocks[i] == NULL || free_ready(allocator, blocks[i], &segment_seen))
            continue;
        fai_pool_free_slow(allocator, blocks[i], SIZE_MAX);
        segment_seen = NO_SEGMENT; /* a segment may have been given back */
    }
}

/* ---- questions ---- */

size_t fa_pool_class_size(const fa_allocator *allocator, size_t size) {
    if (allocator == NULL || size == 0)
        return 0;
    const fai_pools *pools = &allocator->pools;
    uint32_t class_index = class_for(pools, fai_guarded(allocator, size), FA_ALIGN_MIN);
    return class_index == FAI_NO_CLASS || fai_has_guard(allocator)
               ? size
               : pools->class_bytes[class_index];
}

size_t fai_pool_usable(fa_allocator *allocator, fai_slab *slab, const void *object) {
    uint32_t index;
    if (!allocator->watched)
        return fai_slab_locate(allocator, slab, object, &index) ? slab->class_bytes : 0;
    fai_lock(allocator);
    size_t size = fai_watch_usable(allocator, slab, object);
    fai_unlock(allocator);
    return size;
}
