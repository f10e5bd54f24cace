/* What can be done with the handle of a retained object. retain.c says how one is resolved. */
#include "fa/heap.h"
#include "fa/internal/frame.h"
#include "fa/internal/scratch.h"
#include "fa/pool.h"
#include "fa/retain.h"

#include <string.h>

bool fai_retained_is_lost(const fai_retained *object) {
    return object->kind == FA_RETAINED_SCRATCH &&
           !fai_scratch_pool_is_as_of(object->pool, object->pool_reset_count);
}

/* The allocator's table, locked, and in *object the entry of the handle where that is good; NULL,
 * and nothing locked, where there is no table. */
static fai_retention *look_up(fa_allocator *allocator, fa_retained retained,
                              fai_retained **object) {
    fai_retention *table = FAI_LOAD_ACQUIRE(&allocator->retention);
    *object = NULL;
    if (table == NULL)
        return NULL;
    pthread_mutex_lock(&table->lock);
    fai_retained *found = fai_retained_find(table, retained);
    if (found != NULL && FAI_LOAD_ACQUIRE(&found->serial) == retained.serial)
        *object = found;
    return table;
}

static void leave(fai_retention *table) {
    if (table != NULL)
        pthread_mutex_unlock(&table->lock);
}

static void *refuse(fa_status status) {
    fai_fail(status, 0);
    return NULL;
}

/* In a scratch pool: it may be gone. */
FA_COLD static void *get_scratch(fa_allocator *allocator, fa_retained retained) {
    fai_retained *object;
    fai_retention *table = look_up(allocator, retained, &object);
    void *place = object != NULL && !fai_retained_is_lost(object) ? object->place : NULL;
    leave(table);
    return place ? place : refuse(FA_ERROR_FOREIGN);
}

void *fa_retained_get(fa_allocator *allocator, fa_retained retained) {
    if (FA_UNLIKELY(allocator == NULL))
        return refuse(FA_ERROR_INVALID);
    fai_retained *object = fai_retained_find(FAI_LOAD_ACQUIRE(&allocator->retention), retained);
    if (FA_UNLIKELY(object == NULL || FAI_LOAD_ACQUIRE(&object->serial) != retained.serial))
        return refuse(FA_ERROR_FOREIGN);
    char *address = FAI_LOAD_ACQUIRE(&object->address);
    if (FA_UNLIKELY(address == NULL || FAI_LOAD_RELAXED(&object->serial) != retained.serial))
        return refuse(FA_ERROR_FOREIGN);
    if (FA_UNLIKELY(((uintptr_t)address & FAI_RETAINED_ASK) != 0))
        return get_scratch(allocator, retained);
    return address;
}

void fai_retain_inform(const fai_retained *object, fa_retained_info *info) {
    /* While its frame is open, where it moves to and why not are the frame's thread's alone. */
    bool open = object->kind == FA_RETAINED_OPEN, scratch = object->policy == FA_RETAIN_SCRATCH;
    fa_retain_reason reason = open ? FA_RETAIN_REASON_NONE : (fa_retain_reason)object->reason;
    *info = (fa_retained_info){.handle = {object->serial, object->serial ? object->index : 0},
                               .kind = (fa_retained_kind)object->kind,
                               .policy = (fa_retain_policy)object->policy,
                               .reason = reason,
                               .address = open ? object->address : object->place,
                               .size = object->size,
                               .align = object->align,
                               .tag = object->tag,
                               .type = object->type,
                               .scratch = scratch ? object->scratch : NULL};
}

fa_status fa_retained_describe(fa_allocator *allocator, fa_retained retained,
                               fa_retained_info *info) {
    if (info != NULL)
        memset(info, 0, sizeof *info);
    if (allocator == NULL || info == NULL)
        return fai_fail(FA_ERROR_INVALID, 0);
    const fai_thread *thread = fai_thread_find(allocator);
    fai_retained *object;
    fai_retention *table = look_up(allocator, retained, &object);
    bool known = object != NULL && !fai_retained_is_lost(object);
    if (known) {
        fai_retain_inform(object, info);
        /* Names belong to the program, and need not be there once the next frame begins. Only the
         * frame's thread knows whether it has. */
        bool open = object->kind == FA_RETAINED_OPEN;
        bool ours = thread != NULL && object->thread == thread;
        if (!open && !(ours && fai_retain_has_summary(thread)))
            info->type = info->scratch = NULL;
    }
    leave(table);
    return known ? FA_OK : fai_fail(FA_ERROR_FOREIGN, 0);
}

fa_retained_kind fa_retained_kind_of(fa_allocator *allocator, fa_retained retained) {
    if (allocator == NULL)
        return FA_RETAINED_NONE;
    fai_retained *object;
    fai_retention *table = look_up(allocator, retained, &object);
    unsigned kind =
        object != NULL && !fai_retained_is_lost(object) ? object->kind : FA_RETAINED_NONE;
    leave(table);
    return (fa_retained_kind)kind;
}

fa_status fa_retained_set(fa_allocator *allocator, fa_retained retained, fa_retention retention) {
    if (allocator == NULL || !fai_is_retention(&retention))
        return fai_fail(FA_ERROR_INVALID, 0);
    const fai_thread *thread = fai_thread_find(allocator);
    fa_diag diag = FA_DIAG_NONE;
    fai_retained *object;
    fai_retention *table = look_up(allocator, retained, &object);
    fa_status status = object ? FA_OK : FA_ERROR_FOREIGN;
    if (object != NULL && object->kind != FA_RETAINED_OPEN) {
        status = FA_ERROR_NO_FRAME;
        diag = FA_DIAG_FA001;
    } else if (object != NULL && object->thread != thread) {
        status = FA_ERROR_FOREIGN;
        diag = FA_DIAG_FA201;
    } else if (object != NULL && thread->retains.is_over) {
        status = FA_ERROR_FRAME_OPEN;
        diag = FA_DIAG_FA009;
    } else if (object != NULL) {
        object->policy = (uint8_t)retention.policy;
        object->scratch = retention.scratch;
        object->type = retention.type ? retention.type : object->type;
    }
    leave(table);
    if (status == FA_OK)
        return FA_OK;
    return diag ? fai_report(allocator, diag, status, 0, 0, object) : fai_fail(status, 0);
}

/* Ends the handle of an object that was kept. Returns where it is; NULL with the error recorded. */
static void *take(fa_allocator *allocator, fa_retained retained, fa_retained_kind *kind,
                  size_t *size) {
    if (allocator == NULL)
        return refuse(FA_ERROR_INVALID);
    fai_retained *object;
    fai_retention *table = look_up(allocator, retained, &object);
    void *place = NULL;
    *kind = object ? (fa_retained_kind)object->kind : FA_RETAINED_NONE;
    if (fai_retained_is_kept(*kind) && *kind != FA_RETAINED_LEAKED) {
        place = fai_retained_is_lost(object) ? NULL : object->place;
        *size = object->size;
        FAI_STORE_RELAXED(&object->serial, 0);
        if (!object->is_listed && *kind != FA_RETAINED_SCRATCH) /* that is in a list of its own */
            fai_retained_put(&table->free, object);
    }
    leave(table);
    if (place != NULL)
        return place;
    return refuse(*kind == FA_RETAINED_OPEN     ? FA_ERROR_FRAME_OPEN
                  : *kind == FA_RETAINED_LEAKED ? FA_ERROR_INVALID
                                                : FA_ERROR_FOREIGN);
}

void *fa_retained_take(fa_allocator *allocator, fa_retained retained) {
    fa_retained_kind kind;
    size_t size;
    return take(allocator, retained, &kind, &size);
}

fa_status fa_retained_release(fa_allocator *allocator, fa_retained retained) {
    fa_retained_kind kind;
    size_t size;
    void *place = take(allocator, retained, &kind, &size);
    if (place == NULL)
        return fa_last_error().status;
    if (kind == FA_RETAINED_POOL)
        (fa_pool_free_sized)(allocator, place, size);
    else if (kind == FA_RETAINED_HEAP)
        (fa_heap_free)(allocator, place);
    return FA_OK;
}
