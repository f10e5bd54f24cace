/* Pool allocations that tasks capture.
 *
 * While a capture is open its thread finds no object ready, and so comes by here. Captured objects
 * have slabs of their own (fai_pools), where no thread has a fast path to free them: so whoever
 * frees one comes by here too, and it is taken off its task's list before. Where it stands on that
 * list is written in front of it. */
#include "fa/internal/callback.h"
#include "fa/internal/heap.h"
#include "fa/internal/pool.h"
#include "fa/internal/task.h"

/* ---- the calling thread's captures ---- */

static bool is_same(fa_task one, fa_task other) {
    return one.head == other.head && one.serial == other.serial;
}

static const fa_task *newest_of(const fai_thread *thread) {
    return &thread->captures.task[thread->captures.count - 1];
}

fa_task fai_capture_drop(fai_thread *thread) {
    fa_task task = *newest_of(thread);
    if (--thread->captures.count == 0)
        fai_pool_capture(thread, false);
    return task;
}

fa_status(fa_task_capture_begin)(fa_task task) {
    const fai_bump *bump = fai_named_check(task.head, task.serial, 0);
    fai_thread *thread = bump != NULL ? fai_thread_get(bump->allocator) : NULL;
    if (thread == NULL)
        return fa_last_error().status;
    fai_captures *captures = &thread->captures;
    if (captures->count == FA_TASK_CAPTURE_DEPTH_MAX || fai_callback_now.level > UINT8_MAX)
        return fai_fail(FA_ERROR_LIMIT, 0);
    thread->capture_level[captures->count] = (uint8_t)fai_callback_now.level;
    captures->task[captures->count++] = task;
    fai_callback_now.captures++;
    if (captures->count == 1)
        fai_pool_capture(thread, true);
    return FA_OK;
}

fa_status(fa_task_capture_end)(fa_task task) {
    if (task.head == NULL)
        return fai_fail(FA_ERROR_INVALID, 0);
    fa_allocator *allocator = ((fai_bump *)(void *)task.head)->allocator;
    fai_thread *thread = fai_thread_find(allocator);
    if (thread == NULL || !fai_thread_captures(thread) || !is_same(*newest_of(thread), task))
        return fai_report(allocator, FA_DIAG_FA615, FA_ERROR_FOREIGN, 0, 0, task.head);
    (void)fai_capture_drop(thread);
    fai_callback_now.captures--;
    return FA_OK;
}

void fai_captures_forget(fai_thread *thread) {
    for (size_t i = 0; i < thread->captures.count; i++)
        if (thread->capture_level[i] == fai_callback_now.level)
            fai_callback_now.captures--;
    thread->captures.count = 0;
}

/* ---- blocks ---- */

/* Tells a header that was not overwritten since, most likely. */
static uint64_t check_of(const fai_task_block *at, const fai_task_record *owner) {
    return ((uint64_t)((uintptr_t)at ^ (uintptr_t)owner << 20) * 0x9E3779B97F4A7C15ull) >> 40;
}

/* Puts a block on its task's list; false when that has ended. */
static bool attach(fa_task task, fai_task_block *at, bool is_new) {
    fai_task_record *record = fai_task_record_of(task);
    fai_task_lock(record);
    bool is_open = fa_task_is_open(task);
    if (is_open) {
        at->check = check_of(at, record) & FAI_TASK_CHECK_MASK;
        fai_task_link(record, at, is_new);
    }
    fai_task_unlock(record);
    return is_open;
}

void *fai_capture_alloc(fai_thread *thread, size_t size, size_t align) {
    fa_allocator *allocator = thread->allocator;
    fa_task task = *newest_of(thread);
    size_t before = fai_capture_before(align);
    if (fai_named_check(task.head, task.serial, size) == NULL)
        return NULL;
    if (size > FA_SIZE_MAX - before) {
        fai_fail(FA_ERROR_INVALID, size);
        return NULL;
    }
    char *start = (char *)fai_pool_alloc_captured(allocator, before + size, align);
    if (start == NULL)
        return NULL;
    if (fai_slab_lookup(allocator, start) == NULL)
        fai_heap_capture(allocator, start, before);
    fai_task_block *at = (fai_task_block *)(void *)(start + before) - 1;
    *at = (fai_task_block){.size = size & FAI_TASK_SIZE_MASK, .is_captured = 1};
    if (attach(task, at, true))
        return at + 1;
    fai_capture_free(allocator, at);
    fai_task_report_ended(fai_task_record_of(task), size);
    return NULL;
}

void *fai_capture_start(fa_allocator *allocator, const fai_slab *slab, const void *block) {
    if (slab == NULL)
        return FAI_LOAD_RELAXED(&allocator->captured_in_heap) != 0
                   ? fai_heap_captured(allocator, block, FAI_TASK_HEADER)
                   : NULL;
    if (!fai_slab_is_captured(allocator, slab))
        return NULL;
    char *base = fai_slab_objects(fai_slab_segment(allocator, slab), slab);
    size_t offset = (size_t)((const char *)block - base);
    size_t index = offset * slab->inverse >> 32, inside = offset - index * slab->class_bytes;
    if (index >= slab->capacity || inside < FAI_TASK_HEADER || inside % FA_ALIGN_MIN != 0)
        return NULL;
    return base + index * slab->class_bytes;
}

/* The task of a block that was not freed, all that is zero where it was. */
static fa_task detach(fai_task_block *at) {
    fai_task_record *record = FAI_LOAD_RELAXED(&at->owner);
    fa_task task = {NULL, 0};
    if (record == NULL || at->check != (check_of(at, record) & FAI_TASK_CHECK_MASK))
        return task;
    fai_task_lock(record);
    if (at->owner == record) { /* else its task has just freed it */
        fai_task_unlink(at);
        task.head = &record->named.bump.head;
        task.serial = FAI_LOAD_RELAXED(&task.head->serial);
    }
    fai_task_unlock(record);
    return task;
}

void *fai_capture_out(fa_allocator *allocator, fai_slab *slab, void *block, size_t *size,
                      fa_task *task) {
    char *start = (char *)fai_capture_start(allocator, slab, block);
    *task = (fa_task){NULL, 0};
    if (start == NULL && slab == NULL)
        return block; /* another one, of the heap */
    bool is_dead = start != NULL && slab != NULL && allocator->watched &&
                   fai_pool_usable(allocator, slab, start) == 0;
    if (is_dead)
        return start; /* whoever frees it finds out why */
    if (start != NULL)
        *task = detach((fai_task_block *)block - 1);
    if (task->head == NULL) {
        fai_report(allocator, start != NULL ? FA_DIAG_FA602 : FA_DIAG_FA601, FA_ERROR_FOREIGN, 0, 0,
                   block);
        return NULL;
    }
    if (*size != SIZE_MAX)
        *size += (size_t)((char *)block - start);
    return start;
}

bool fai_capture_back(fa_task task, void *block) {
    return attach(task, (fai_task_block *)block - 1, false);
}

size_t fai_capture_usable(fa_allocator *allocator, fai_slab *slab, const void *block) {
    const char *start = (const char *)fai_capture_start(allocator, slab, block);
    if (start == NULL)
        return 0;
    size_t before = (size_t)((const char *)block - start);
    size_t size =
        slab != NULL ? fai_pool_usable(allocator, slab, start) : fai_heap_usable(allocator, start);
    return size > before ? size - before : 0;
}

void fai_capture_free(fa_allocator *allocator, fai_task_block *at) {
    fai_slab *slab = fai_slab_lookup(allocator, at);
    fai_pool_free_captured(allocator, slab, fai_capture_start(allocator, slab, at + 1));
}
