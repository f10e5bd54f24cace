/* Pools: the calls of pool.h, as far as they are not inline. magazine.c says where objects go. */
#include "fa/pool.h"

#include "fa/heap.h"
#include "fa/internal/deferred.h"
#include "fa/internal/forms.h"
#include "fa/internal/free.h"
#include "fa/internal/heap.h"
#include "fa/internal/task.h"
#include "fa/internal/watch.h"

/* ---- allocation ---- */

/* Class that serves size bytes at a multiple of align, or FAI_NO_CLASS. */
static uint32_t class_for(const fai_pools *pools, size_t size, size_t align) {
    if (size > pools->bytes_max || align > FAI_SLAB_BYTES / 16)
        return FAI_NO_CLASS;
    uint32_t class_index = pools->class_of_bin[(size + 15) >> FAI_BIN_SHIFT];
    /* Objects lie at multiples of their size from a slab boundary. */
    while (class_index < pools->class_plain && pools->class_bytes[class_index] % align != 0)
        class_index++;
    return class_index < pools->class_plain ? class_index : FAI_NO_CLASS;
}

/* Opens or closes the fast path of a size for all threads. Under the lock. */
static void set_bin(fa_allocator *allocator, size_t bin, bool closed) {
    fai_pools *pools = &allocator->pools;
    FAI_STORE_RELAXED(&pools->bin_closed[bin], closed);
    for (fai_thread *thread = allocator->threads; thread; thread = thread->next)
        for (fai_pool *pool = &thread->pool; pool; pool = pool->next)
            fai_pool_open_bin(pool, bin);
}

/* A small block from the heap, for its alignment or a budget. Its sized free must not look for a
 * slab: where the book-keeping would be, there need not be memory. So sizes like the one that it
 * may be freed with leave the fast path while there are such blocks. */
static void *take_small_from_heap(fa_allocator *allocator, size_t size, size_t align,
                                  size_t size_freed) {
    size_t bin = (size_freed + 15) >> FAI_BIN_SHIFT;
    fai_pools *pools = &allocator->pools;
    if (bin >= FAI_BIN_COUNT || pools->class_of_bin[bin] == FAI_NO_CLASS || allocator->watched)
        return fai_heap_take(allocator, size, align); /* there is none */
    fai_lock(allocator);
    FAI_ADD_RELAXED(&pools->bin_heap_count[bin], 1);
    if (!pools->bin_closed[bin])
        set_bin(allocator, bin, true);
    fai_unlock(allocator);
    void *block = fai_heap_take_small(allocator, size, align, (uint16_t)bin);
    if (block == NULL)
        FAI_SUB_RELAXED(&pools->bin_heap_count[bin], 1);
    return block;
}

/* The pool serves a size again whose fast path is closed. Not as soon as its last heap block is
 * freed: at a limit the next one would close it again. */
FA_COLD static void reopen(fa_allocator *allocator, size_t bin) {
    fai_pools *pools = &allocator->pools;
    fai_lock(allocator);
    if (pools->bin_closed[bin] && FAI_LOAD_RELAXED(&pools->bin_heap_count[bin]) == 0)
        set_bin(allocator, bin, false);
    fai_unlock(allocator);
}

/* For whom a block is. */
typedef enum purpose {
    FOR_PROGRAM, /* it may be freed with its size; a task may capture it */
    FOR_OWNER,   /* a part of the library, that may free it with its size */
    FOR_PART,    /* one that does not */
    FOR_CAPTURE  /* a task captures it */
} purpose;

static void *take_elsewhere(fa_allocator *allocator, size_t size, size_t align, purpose what) {
    if (what == FOR_PART)
        return fai_heap_take(allocator, size, align);
    size_t before = what == FOR_CAPTURE ? fai_capture_before(align) : 0;
    return take_small_from_heap(allocator, size, align, size - before);
}

/* Returns the object. */
static inline void *tell_alloc(const fai_pool *pool, const fai_magazine *magazine, void *object,
                               size_t size) {
    fa_allocator *allocator = pool->thread->allocator;
    if (fai_events_want(&allocator->events, FA_EVENTS_ALLOC))
        fai_events_block(allocator, pool->thread, FA_EVENTS_ALLOC, FA_INTENT_POOL, object, size,
                         magazine->class_bytes, pool->tag);
    return object;
}

/* The calling thread's state where a task captures what it allocates, else NULL. */
static fai_thread *find_captured(fa_allocator *allocator) {
    fai_thread *thread = fai_thread_find(allocator);
    return thread != NULL && fai_thread_captures(thread) ? thread : NULL;
}

static void *alloc(fa_allocator *allocator, size_t size, size_t align, purpose what) {
    fai_thread *captured;
    if (allocator == NULL || !fai_is_request(size, align)) {
        fai_fail(FA_ERROR_INVALID, size);
        return NULL;
    }
    if (what == FOR_PROGRAM && FA_UNLIKELY((captured = find_captured(allocator)) != NULL))
        return fai_capture_alloc(captured, size, align);
    uint32_t class_index = class_for(&allocator->pools, fai_guarded(allocator, size), align);
    if (class_index == FAI_NO_CLASS)
        return take_elsewhere(allocator, size, align, what);
    if (what == FOR_CAPTURE)
        class_index += allocator->pools.class_plain;
    fai_thread *thread = fai_thread_get(allocator);
    fai_pool *pool = thread ? fai_pool_make(thread) : NULL;
    if (pool == NULL)
        return NULL;
    fai_magazine *magazine = pool->magazine[class_index];
    if (allocator->watched) {
        void *object;
        fai_charge charge = fai_pool_take_watched(pool, class_index, &object);
        if (charge != FAI_CHARGE_OK)
            return charge == FAI_CHARGE_PROMOTE ? take_elsewhere(allocator, size, align, what)
                                                : NULL;
        FAI_BUMP(&magazine->loaded_count, 1);
        FAI_BUMP(&magazine->state, FAI_HANDED_OUT_ONE);
        object = fai_watch_fresh(allocator, object, size, magazine->class_bytes);
        fai_pool_note(pool);
        return tell_alloc(pool, magazine, object, size);
    }
    bool is_ready = fai_ready(magazine) != 0;
    fai_charge charge = is_ready ? FAI_CHARGE_OK : fai_pool_refill(pool, magazine);
    if (charge != FAI_CHARGE_OK)
        return charge == FAI_CHARGE_PROMOTE ? take_elsewhere(allocator, size, align, what) : NULL;
    FAI_BUMP(&magazine->state, FAI_HANDED_OUT_ONE - 1);
    void *object = FAI_MAGAZINE_SLOTS(magazine)[fai_ready(magazine)];
    size_t bin = (size + 15) >> FAI_BIN_SHIFT;
    if (FA_UNLIKELY(FAI_LOAD_RELAXED(&allocator->pools.bin_closed[bin])) &&
        FAI_LOAD_RELAXED(&allocator->pools.bin_heap_count[bin]) == 0)
        reopen(allocator, bin);
    if (!is_ready)
        fai_pool_note(pool);
    return tell_alloc(pool, magazine, object, size);
}

void *fai_pool_alloc_slow(fa_allocator *allocator, size_t size) {
    return alloc(allocator, size, FA_ALIGN_MIN, FOR_PROGRAM);
}

void *fai_pool_alloc_unsized(fa_allocator *allocator, size_t size, size_t align) {
    return alloc(allocator, size, align, FOR_PART);
}

static size_t align_at_least(size_t align) {
    bool is_small = align < FA_ALIGN_MIN && align != 0 && fai_is_power_of_two(align);
    return is_small ? FA_ALIGN_MIN : align;
}

void *fai_pool_alloc_own(fa_allocator *allocator, size_t size, size_t align) {
    align = align_at_least(align);
    void *block = align == FA_ALIGN_MIN ? fai_pool_take_ready(allocator, size) : NULL;
    return block != NULL ? block : alloc(allocator, size, align, FOR_OWNER);
}

void *fai_pool_alloc_captured(fa_allocator *allocator, size_t size, size_t align) {
    return alloc(allocator, size, align, FOR_CAPTURE);
}

void *(fa_pool_alloc_aligned)(fa_allocator *allocator, size_t size, size_t align) {
    return alloc(allocator, size, align_at_least(align), FOR_PROGRAM);
}

void *(fai_pool_array)(fa_allocator *allocator, size_t count, size_t size, size_t align) {
    return (fa_pool_alloc_aligned)(allocator, fai_bytes_of(count, size), align);
}

void *(fai_pool_array_zeroed)(fa_allocator *allocator, size_t count, size_t size, size_t align) {
    return fai_zero((fai_pool_array)(allocator, count, size, align), count * size);
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
            fai_magazine *magazine = fai_thread_view(thread)->magazine_of_bin[bin];
            size_t ready = fai_ready(magazine);
            void **top = FAI_MAGAZINE_SLOTS(magazine) + ready;
            if (ready > count - done)
                ready = count - done;
            for (size_t i = 0; i < ready; i++)
                blocks[done + i] = *--top;
            if (ready != 0)
                FAI_BUMP(&magazine->state, (FAI_HANDED_OUT_ONE - 1) * ready);
            done += ready;
        }
        if (done == count)
            break;
        blocks[done] = alloc(allocator, size, FA_ALIGN_MIN, FOR_PROGRAM);
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

/* thread: the calling one's state, or NULL. size SIZE_MAX: not known. */
FA_COLD static void tell_free(fa_allocator *allocator, fai_thread *thread, uint32_t class_bytes,
                              fa_tag tag, const void *object, size_t size) {
    fai_events_block(allocator, thread, FA_EVENTS_FREE, FA_INTENT_POOL, object,
                     size == SIZE_MAX ? 0 : size, class_bytes, tag);
}

/* The same where it is found out first whether it can be freed. */
static void tell_watched_free(fa_allocator *allocator, fai_thread *thread, const fai_slab *slab,
                              const void *object, size_t size) {
    fai_lock(allocator);
    fa_diag diag = fai_watch_free(allocator, slab, object, size);
    fai_unlock(allocator);
    if (diag == FA_DIAG_NONE || diag == FA_DIAG_FA603)
        tell_free(allocator, thread, slab->class_bytes, slab->tag, object, size);
}

/* Frees an object of a watched allocator. thread: the calling one's state, or NULL. */
static void free_watched(fa_allocator *allocator, fai_thread *thread, fai_slab *slab, void *object,
                         size_t size) {
    fai_lock(allocator);
    fai_thread *owner = fai_slab_owner_known(slab);
    size_t class_bytes = slab->class_bytes;
    fa_diag diag = fai_watch_free(allocator, slab, object, size);
    if (diag == FA_DIAG_NONE || diag == FA_DIAG_FA603) {
        fai_watch_dead(allocator, object, class_bytes);
        bool is_own = owner != NULL && owner == thread;
        if (is_own)
            FAI_BUMP(
                &fai_thread_pool_of(owner, slab->tag)->magazine[slab->class_index]->flushed_count,
                1);
        else
            fai_deferred_count(allocator, thread, slab->tag, class_bytes);
        fai_pool_put_shared(allocator, owner, slab, object, !is_own);
    }
    fai_unlock(allocator);
    if (diag != FA_DIAG_NONE) {
        fa_status status = diag == FA_DIAG_FA604   ? FA_ERROR_CORRUPT
                           : diag == FA_DIAG_FA603 ? FA_ERROR_INVALID
                                                   : FA_ERROR_FOREIGN;
        fai_report(allocator, diag, status, size == SIZE_MAX ? 0 : size, class_bytes, object);
    }
}

/* Frees an object whose slab is known. thread: the calling one's state, or NULL; then may_attach
 * says whether it may get one. */
static fa_status free_object(fa_allocator *allocator, fai_thread *thread, fai_slab *slab,
                             void *object, bool may_attach) {
    const fai_thread *owner = fai_slab_owner_known(slab);
    if (thread == NULL && owner != NULL && may_attach)
        thread = fai_thread_for_free(allocator);
    if (thread == NULL || owner != thread)
        return fai_deferred_free(allocator, thread, slab, object);
    fai_pool *pool = fai_thread_pool_of(thread, slab->tag);
    fai_magazine *magazine = pool->magazine[slab->class_index];
    while (fai_ready(magazine) == magazine->capacity) /* an event hook may fill it again */
        fai_pool_flush(pool, magazine, (uint32_t)magazine->capacity / 2);
    FAI_MAGAZINE_SLOTS(magazine)[fai_ready(magazine)] = object;
    FAI_BUMP(&magazine->state, 1);
    return FA_OK;
}

/* The same as free_found where somebody hears of it. */
FA_COLD static fa_status free_told(fa_allocator *allocator, fai_thread *thread, fai_slab *slab,
                                   void *block, size_t size, bool may_attach) {
    if (slab == NULL) {
        fai_heap_give(allocator, block, size);
        return FA_OK;
    }
    if (allocator->watched) {
        tell_watched_free(allocator, thread, slab, block, size);
        if (thread == NULL && may_attach) /* a callback may have attached it */
            thread = fai_thread_find(allocator);
        free_watched(allocator, thread, slab, block, size);
        return FA_OK;
    }
    uint32_t index, class_bytes = slab->class_bytes, tag = slab->tag;
    const fa_deferred_config *config = &allocator->config.deferred;
    bool may_refuse = config->count_max != 0 && (config->full == FA_DEFERRED_FULL_FAIL ||
                                                 config->full == FA_DEFERRED_FULL_DROP);
    bool is_object = fai_slab_locate(allocator, slab, block, &index);
    if (is_object && !may_refuse)
        tell_free(allocator, thread, class_bytes, tag, block, size);
    if (thread == NULL && may_attach) /* a callback may have attached it */
        thread = fai_thread_find(allocator);
    fa_status status = free_object(allocator, thread, slab, block, may_attach);
    if (is_object && may_refuse && status == FA_OK)
        tell_free(allocator, thread, class_bytes, tag, block, size);
    return status;
}

/* Frees what the pool or the heap served. Returns what fai_deferred_free does. */
static fa_status free_found(fa_allocator *allocator, fai_thread *thread, fai_slab *slab,
                            void *block, size_t size, bool may_attach) {
    if (FA_UNLIKELY(fai_events_want(&allocator->events, FA_EVENTS_FREE)))
        return free_told(allocator, thread, slab, block, size, may_attach);
    if (slab != NULL && !allocator->watched)
        return free_object(allocator, thread, slab, block, may_attach);
    if (slab != NULL)
        free_watched(allocator, thread, slab, block, size);
    else
        fai_heap_give(allocator, block, size);
    return FA_OK;
}

/* A free that nobody can be told of that the object is still his. */
static void report_refused(fa_allocator *allocator, fa_status status, const void *block) {
    if (status == FA_ERROR_FULL)
        fai_report(allocator, FA_DIAG_FA305, status, 0, allocator->config.deferred.count_max,
                   block);
}

/* The same where there are blocks that tasks captured. */
FA_COLD static fa_status free_captured(fa_allocator *allocator, fai_thread *thread, fai_slab *slab,
                                       void *block, size_t size, bool may_attach) {
    fa_task task;
    void *start = fai_capture_out(allocator, slab, block, &size, &task);
    if (start == NULL) /* which was reported */
        return FA_OK;
    fa_status status = free_found(allocator, thread, slab, start, size, may_attach);
    if (status != FA_ERROR_FULL || task.head == NULL || fai_capture_back(task, block))
        return status;
    report_refused(allocator, status, block); /* nobody else will free it */
    return FA_OK;
}

/* Frees a pool or heap block. Returns what fai_deferred_free does. */
static fa_status free_block(fa_allocator *allocator, fai_thread *thread, void *block, size_t size,
                            bool may_attach) {
    if (!fai_events_want(&allocator->events, FA_EVENTS_FREE) && thread != NULL &&
        fai_deferred_gather_more(thread, block))
        return FA_OK;
    fai_slab *slab = fai_slab_lookup(allocator, block);
    if (FA_UNLIKELY(slab != NULL ? fai_slab_is_captured(allocator, slab)
                                 : FAI_LOAD_RELAXED(&allocator->captured_in_heap) != 0))
        return free_captured(allocator, thread, slab, block, size, may_attach);
    return free_found(allocator, thread, slab, block, size, may_attach);
}

fa_status fa_deferred_free(fa_allocator *allocator, void *block) {
    if (block == NULL)
        return FA_OK;
    if (allocator == NULL)
        return fai_fail(FA_ERROR_INVALID, 0);
    fa_status status = free_block(allocator, fai_thread_find(allocator), block, SIZE_MAX, true);
    return status == FA_OK ? FA_OK : fai_fail(status, 0);
}

void fai_pool_free_slow(fa_allocator *allocator, void *block, size_t size) {
    if (block == NULL)
        return;
    if (allocator == NULL) {
        fai_fail(FA_ERROR_INVALID, 0);
        return;
    }
    report_refused(allocator, free_block(allocator, fai_thread_find(allocator), block, size, true),
                   block);
}

void fai_pool_free_captured(fa_allocator *allocator, fai_slab *slab, void *block) {
    report_refused(allocator,
                   free_found(allocator, fai_thread_find(allocator), slab, block, SIZE_MAX, true),
                   block);
}

void fai_pool_free_by(fa_allocator *allocator, fai_thread *thread, void *block) {
    report_refused(allocator, free_block(allocator, thread, block, SIZE_MAX, false), block);
}

void(fa_pool_free)(fa_allocator *allocator, void *block) {
    fai_free_row row = FAI_FREE_ROW;
    fai_magazine *magazine = fai_free_magazine(allocator, block, &row.segment);
    if (magazine == NULL || !fai_free_into(magazine, block))
        fai_pool_free_slow(allocator, block, SIZE_MAX);
}

void(fa_pool_free_batch)(fa_allocator *allocator, void *const *blocks, size_t count) {
    if (blocks == NULL && count != 0) {
        fai_fail(FA_ERROR_INVALID, 0);
        return;
    }
    fai_free_row row = FAI_FREE_ROW;
    for (size_t i = 0; i < count; i++)
        if (blocks[i] != NULL)
            fai_free_next(allocator, blocks[i], &row);
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
