/* Blocks of tasks: what they are taken from and put on, copies and other sizes of them. */
#include "fa/internal/forms.h"
#include "fa/internal/heap.h"
#include "fa/internal/pool.h"
#include "fa/internal/task.h"
#include "fa/pool.h"

void fai_task_free_block(fa_allocator *allocator, fai_task_block *at) {
    if (at->is_captured)
        fai_capture_free(allocator, at);
    else
        (fa_pool_free)(allocator, fai_task_start_of(at));
}

/* ---- new ones ---- */

static void *take(fa_allocator *allocator, size_t size) {
    void *block = fai_pool_take_ready(allocator, size);
    return block != NULL ? block : fai_pool_alloc_unsized(allocator, size, FA_ALIGN_MIN);
}

/* Puts a block on the list of the task, with all that is in it: from then on another thread may
 * free it, by ending the task. False when that has ended. */
static bool enter(fa_task task, fai_task_block *made, bool is_new) {
    fai_task_record *record = fai_task_record_of(task);
    fai_task_lock(record);
    bool is_open = fa_task_is_open(task);
    if (is_open)
        fai_task_link(record, made, is_new);
    fai_task_unlock(record);
    return is_open;
}

/* The task has ended meanwhile: a block that was made for it goes. */
FA_COLD static void *refuse(fa_task task, fai_task_block *made, size_t size) {
    fai_task_record *record = fai_task_record_of(task);
    fai_task_free_block(fai_task_allocator(record), made);
    fai_task_report_ended(record, size);
    return NULL;
}

/* Puts a new block that has its header on the list. */
static void *add(fa_task task, fai_task_block *made) {
    if (made == NULL)
        return NULL;
    return enter(task, made, true) ? made + 1 : refuse(task, made, made->size);
}

/* The same for one that has neither header nor destructor; under the latch, which it leaves. */
static inline void *add_locked(fa_task task, fai_task_block *made, size_t size) {
    fai_task_record *record = fai_task_record_of(task);
    bool is_open = FAI_LOAD_RELAXED(&task.head->serial) == task.serial;
    *made = (fai_task_block){.owner = record, .size = size & FAI_TASK_SIZE_MASK};
    if (FA_LIKELY(is_open)) {
        fai_task_push(&record->newest, made);
        fai_task_count_new(record, size);
    }
    fai_task_unlock(record);
    return FA_LIKELY(is_open) ? made + 1 : refuse(task, made, size);
}

static void *add_plain(fa_task task, fai_task_block *made, size_t size) {
    if (made == NULL)
        return NULL;
    fai_task_lock(fai_task_record_of(task));
    return add_locked(task, made, size);
}

/* A block without a header; NULL with the reason reported. */
static fai_task_block *make(fa_task task, size_t size) {
    const fai_bump *bump = fai_task_named(task, size);
    if (bump == NULL)
        return NULL;
    if (size - 1 >= FA_SIZE_MAX - FAI_TASK_HEADER) {
        fai_fail(FA_ERROR_INVALID, size);
        return NULL;
    }
    return (fai_task_block *)take(bump->allocator, FAI_TASK_HEADER + size);
}

/* The same for one that something is called for when it goes; size may be 0. Its destructor gets
 * the block, or argument where is_block says no. */
static fai_task_block *make_long(fa_task task, size_t size, fa_destructor_fn *function,
                                 bool is_block, void *argument) {
    const fai_bump *bump = fai_task_named(task, size);
    if (bump == NULL)
        return NULL;
    if (size > FA_SIZE_MAX - FAI_TASK_LONG_HEADER) {
        fai_fail(FA_ERROR_INVALID, size);
        return NULL;
    }
    fai_task_join(task);
    fai_task_finish *finish = (fai_task_finish *)take(bump->allocator, FAI_TASK_LONG_HEADER + size);
    if (finish == NULL)
        return NULL;
    fai_task_block *made = (fai_task_block *)(void *)(finish + 1);
    *finish = (fai_task_finish){function, is_block ? (void *)(made + 1) : argument};
    *made = (fai_task_block){.size = size & FAI_TASK_SIZE_MASK, .is_long = 1};
    return made;
}

/* What is not ready, or not free at once. */
FA_COLD static void *alloc_slow(fa_task task, size_t size) {
    return add_plain(task, make(task, size), size);
}

void *(fa_task_alloc)(fa_task task, size_t size) {
    fai_task_record *record = fai_task_record_of(task);
    bool is_none = record == NULL || task.serial == 0;
    if (FA_UNLIKELY(is_none || size - 1 >= (size_t)FAI_BIN_COUNT << FAI_BIN_SHIFT))
        return alloc_slow(task, size);
    fai_task_block *made =
        (fai_task_block *)fai_pool_take_ready(fai_task_allocator(record), FAI_TASK_HEADER + size);
    if (FA_UNLIKELY(made == NULL))
        return alloc_slow(task, size);
    if (FA_UNLIKELY(!fai_latch_try(&record->latch)))
        return add_plain(task, made, size);
    return add_locked(task, made, size);
}

void *(fa_task_alloc_with)(fa_task task, size_t size, fa_destructor_fn *destructor) {
    if (destructor == NULL || size == 0) {
        fai_fail(FA_ERROR_INVALID, size);
        return NULL;
    }
    return add(task, make_long(task, size, destructor, true, NULL));
}

fa_status(fa_task_defer)(fa_task task, fa_destructor_fn *destructor, void *argument) {
    if (destructor == NULL)
        return fai_fail(FA_ERROR_INVALID, 0);
    void *made = add(task, make_long(task, 0, destructor, false, argument));
    return made != NULL ? FA_OK : fa_last_error().status;
}

/* Whether there is memory where a block's header would be, and where somebody watches, a live
 * block: anything may be passed to a free. */
static bool is_there(fa_allocator *allocator, fai_task_block *at) {
    fai_slab *slab = fai_slab_lookup(allocator, at);
    if (slab != NULL && !allocator->watched)
        return true;
    const void *starts[] = {at, (fai_task_finish *)(void *)at - 1,
                            fai_capture_start(allocator, slab, at + 1)};
    for (size_t i = 0; i < sizeof starts / sizeof starts[0]; i++)
        if (starts[i] != NULL && (slab != NULL ? fai_pool_usable(allocator, slab, starts[i]) != 0
                                               : fai_heap_size(allocator, starts[i]) != 0))
            return true;
    return false;
}

/* The header of a live block of the task, unlinked if it goes; NULL with the reason reported. */
static fai_task_block *find(fa_task task, void *address, bool goes) {
    const fai_bump *bump = fai_task_named(task, 0);
    if (bump == NULL)
        return NULL;
    fai_task_record *record = fai_task_record_of(task);
    fai_task_block *at = (fai_task_block *)address - 1;
    bool may_be = is_there(bump->allocator, at);
    fai_task_lock(record);
    bool is_open = fa_task_is_open(task), is_own = is_open && may_be && at->owner == record;
    if (is_own && goes)
        fai_task_unlink(at);
    fai_task_unlock(record);
    if (is_own)
        return at;
    if (is_open)
        fai_report(bump->allocator, FA_DIAG_FA601, FA_ERROR_FOREIGN, 0, 0, address);
    else
        fai_task_report_ended(record, 0);
    return NULL;
}

static void call_destructor(const fai_task_block *at) {
    if (fai_task_has_destructor(at))
        fai_task_call(*fai_task_finish_of(at));
}

fa_status(fa_task_free)(fa_task task, void *address) {
    if (task.head == NULL)
        return fai_fail(FA_ERROR_INVALID, 0);
    if (address == NULL)
        return FA_OK;
    fa_allocator *allocator = fai_task_allocator(fai_task_record_of(task));
    fai_task_block *gone = find(task, address, true);
    if (gone == NULL)
        return fa_last_error().status;
    call_destructor(gone);
    fai_task_free_block(allocator, gone);
    return FA_OK;
}

/* A block that was taken off the list comes back; it goes when the task was ended meanwhile. */
static void put_back(fa_task task, fai_task_block *at) {
    if (enter(task, at, false))
        return;
    fai_task_record *record = fai_task_record_of(task);
    call_destructor(at);
    fai_task_free_block(fai_task_allocator(record), at);
    fai_task_report_ended(record, 0);
}

void *(fa_task_realloc)(fa_task task, void *address, size_t size) {
    if (address == NULL || task.head == NULL)
        return (fa_task_alloc)(task, size);
    if (size == 0) {
        fai_fail(FA_ERROR_INVALID, size);
        return NULL;
    }
    fai_task_block *old = find(task, address, true); /* so that no end of the task frees it */
    if (old == NULL)
        return NULL;
    bool is_long = old->is_long;
    fa_destructor_fn *function =
        fai_task_has_destructor(old) ? fai_task_finish_of(old)->function : NULL;
    fai_task_block *moved =
        is_long ? make_long(task, size, function, true, NULL) : make(task, size);
    if (moved == NULL) {
        fa_error error = fa_last_error();
        put_back(task, old);
        fai_error_restore(error);
        return NULL;
    }
    memcpy(moved + 1, address, old->size < size ? old->size : size);
    fai_task_free_block(fai_task_allocator(fai_task_record_of(task)), old);
    if (!is_long)
        return add_plain(task, moved, size);
    if (enter(task, moved, true))
        return moved + 1;
    put_back(task, moved);
    return NULL;
}

void *(fa_task_alloc_zeroed)(fa_task task, size_t count, size_t size) {
    size_t bytes = fai_bytes_of(count, size);
    fai_task_block *made = make(task, bytes);
    if (made != NULL)
        memset(made + 1, 0, bytes);
    return add_plain(task, made, bytes);
}

void *(fa_task_copy)(fa_task task, const void *source, size_t size) {
    fai_task_block *made = fai_has_source(source, size) ? make(task, size) : NULL;
    if (made != NULL)
        memcpy(made + 1, source, size);
    return add_plain(task, made, size);
}

char *(fa_task_copy_string)(fa_task task, const char *string) {
    return (char *)(fa_task_copy)(task, string, fai_string_bytes(string));
}
