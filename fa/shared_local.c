/* Shared arenas as one thread uses them. */
#include "fa/internal/forms.h"
#include "fa/internal/shared_arena.h"

typedef fai_shared_rest rest;

/* ---- locals ---- */

/* The local's arena, where the calling thread may use it; NULL with the reason reported. */
static fai_shared_record *check(const fa_shared_arena_local *local, size_t size, bool any_thread) {
    if (local == NULL || local->arena.head == NULL) {
        fai_fail(FA_ERROR_INVALID, size);
        return NULL;
    }
    fai_shared_record *record = fai_shared_record_of(local->arena);
    if (local->arena.serial != 0 && (any_thread || local->user == &fai_slot))
        return record;
    fai_report(fai_shared_allocator(record),
               local->arena.serial != 0 ? FA_DIAG_FA613 : FA_DIAG_FA610, FA_ERROR_FOREIGN, size, 0,
               record);
    return NULL;
}

/* Counts what was handed out since the last time. */
static void settle(fai_shared_record *record, fa_shared_arena_local *local) {
    size_t bytes = (size_t)(local->cursor - local->since);
    if (bytes != 0)
        fai_raise(&record->peak, FAI_ADD_RELAXED(&record->bytes, bytes) + bytes);
    if (local->alloc_count != 0)
        FAI_ADD_RELAXED(&record->alloc_count, local->alloc_count);
    local->since = local->cursor;
    local->alloc_count = 0;
}

/* Gives up the rest of the local's block: kept for another one where that is worth it. */
static void leave_block(fai_shared_record *record, fa_shared_arena_local *local) {
    settle(record, local);
    size_t bytes = (size_t)(local->end - local->cursor);
    rest *left = (rest *)(void *)local->cursor;
    local->cursor = local->limit = local->end = local->since = NULL;
    if (bytes < record->block_bytes / 4) {
        if (bytes != 0)
            FAI_ADD_RELAXED(&record->wasted, bytes);
        return;
    }
    bool watched = fai_shared_allocator(record)->watched;
    if (watched)
        fai_unpoison(left, sizeof *left);
    left->bytes = bytes;
    pthread_mutex_lock(&record->lock);
    left->next = record->rests;
    FAI_STORE_RELAXED(&record->rests, left);
    if (watched)
        fai_poison(left, sizeof *left);
    pthread_mutex_unlock(&record->lock);
}

/* A rest that another local left, or NULL. All hold a quarter of a block. */
static char *take_rest(fai_shared_record *record, size_t *bytes) {
    if (FAI_LOAD_RELAXED(&record->rests) == NULL)
        return NULL;
    pthread_mutex_lock(&record->lock);
    rest *found = record->rests;
    if (found != NULL) {
        fai_unpoison_defined(found, sizeof *found);
        FAI_STORE_RELAXED(&record->rests, found->next);
        *bytes = found->bytes;
        if (fai_shared_allocator(record)->watched)
            fai_poison(found, sizeof *found);
    }
    pthread_mutex_unlock(&record->lock);
    return (char *)found;
}

/* Puts the local into another block. */
static bool enter_block(fai_shared_record *record, fa_shared_arena_local *local, size_t asked) {
    size_t bytes = record->block_bytes;
    char *block = take_rest(record, &bytes);
    if (block == NULL) {
        block = fai_shared_take(record, bytes, asked);
        if (block == NULL)
            return false;
        FAI_ADD_RELAXED(&record->block_count, 1);
    }
    leave_block(record, local);
    local->cursor = local->since = block;
    local->end = block + bytes;
    local->limit = fai_shared_allocator(record)->watched ? block : local->end;
    return true;
}

/* Memory for a block, bytes at a multiple of align. */
static char *place(fai_shared_record *record, fa_shared_arena_local *local, size_t bytes,
                   size_t align, size_t size_asked) {
    size_t need = bytes + (align - FA_ALIGN_MIN);
    for (;;) {
        char *block = local->cursor ? fai_align_up(local->cursor, align) : NULL;
        if (block != NULL && block <= local->end && bytes <= (size_t)(local->end - block)) {
            local->cursor = block + bytes;
            if (fai_shared_allocator(record)->watched)
                local->limit = local->cursor;
            return block;
        }
        if (need > record->block_bytes / 4) {
            block = fai_shared_take(record, need, size_asked);
            if (block == NULL)
                return NULL;
            fai_raise(&record->peak, FAI_ADD_RELAXED(&record->bytes, need) + need);
            return fai_align_up(block, align);
        }
        if (!enter_block(record, local, size_asked))
            return NULL;
    }
}

static char *place_noted(fai_shared_record *record, fa_shared_arena_local *local, size_t size,
                         size_t align) {
    fa_site site = fai_slot.site ? *fai_slot.site : (fa_site){NULL, NULL, 0};
    char *memory = place(record, local, fai_note_bytes(size, align), FA_ALIGN_MIN, size);
    if (memory == NULL)
        return NULL;
    fai_note what = {.previous = local->note, .size = size, .site = site};
    char *block;
    local->note = fai_guard_make(fai_shared_allocator(record), memory, align, what, &block);
    if (local->note_first == NULL)
        local->note_first = local->note;
    return block;
}

fa_status(fa_shared_arena_begin)(fa_shared_arena arena, fa_shared_arena_local *local) {
    if (local == NULL)
        return fai_fail(FA_ERROR_INVALID, 0);
    memset(local, 0, sizeof *local);
    if (fai_named_check(arena.head, arena.serial, 0) == NULL)
        return fa_last_error().status;
    fai_shared_record *record = fai_shared_record_of(arena);
    bool is_inside = fai_users_enter(&record->users);
    if (is_inside && fai_named_is_open(arena.head, arena.serial)) {
        local->arena = arena;
        local->user = &fai_slot;
        return FA_OK;
    }
    if (is_inside)
        fai_users_leave(&record->users);
    return fai_report(fai_shared_allocator(record), is_inside ? FA_DIAG_FA610 : FA_DIAG_FA614,
                      FA_ERROR_FOREIGN, 0, 0, record);
}

fa_status(fa_shared_arena_end)(fa_shared_arena_local *local) {
    fai_shared_record *record = check(local, 0, true);
    if (record == NULL)
        return fa_last_error().status;
    leave_block(record, local);
    if (local->note != NULL) {
        pthread_mutex_lock(&record->lock);
        fai_unpoison_defined(local->note_first, sizeof(fai_note));
        local->note_first->previous = record->note;
        fai_poison(local->note_first, sizeof(fai_note));
        record->note = local->note;
        pthread_mutex_unlock(&record->lock);
    }
    local->note = local->note_first = NULL;
    local->arena.serial = 0;
    local->user = NULL;
    fai_users_leave(&record->users);
    return FA_OK;
}

/* ---- blocks ---- */

void *(fa_shared_arena_alloc_aligned)(fa_shared_arena_local *local, size_t size, size_t align) {
    if (align < FA_ALIGN_MIN && fai_is_power_of_two(align))
        align = FA_ALIGN_MIN;
    fai_shared_record *record = check(local, size, false);
    if (record == NULL)
        return NULL;
    if (!fai_is_request(size, align)) {
        fai_fail(FA_ERROR_INVALID, size);
        return NULL;
    }
    char *block = fai_shared_allocator(record)->watched
                      ? place_noted(record, local, size, align)
                      : place(record, local, fai_round_up(size, FA_ALIGN_MIN), align, size);
#ifndef FA_MINIMAL
    local->alloc_count += block != NULL;
#endif
    return block;
}

void *fai_shared_arena_alloc_slow(fa_shared_arena_local *local, size_t size) {
    return (fa_shared_arena_alloc_aligned)(local, size, FA_ALIGN_MIN);
}

void *(fai_shared_arena_array)(fa_shared_arena_local *local, size_t count, size_t size,
                               size_t align) {
    return (fa_shared_arena_alloc_aligned)(local, fai_bytes_of(count, size), align);
}

void *(fai_shared_arena_zeroed)(fa_shared_arena_local *local, size_t count, size_t size,
                                size_t align) {
    return fai_zero((fai_shared_arena_array)(local, count, size, align), count * size);
}

void *(fa_shared_arena_alloc_zeroed)(fa_shared_arena_local *local, size_t count, size_t size) {
    return (fai_shared_arena_zeroed)(local, count, size, FA_ALIGN_MIN);
}

void *(fa_shared_arena_copy)(fa_shared_arena_local *local, const void *source, size_t size) {
    if (!fai_has_source(source, size))
        return NULL;
    return fai_copy((fa_shared_arena_alloc)(local, size), source, size);
}

char *(fa_shared_arena_copy_string)(fa_shared_arena_local *local, const char *string) {
    return (char *)(fa_shared_arena_copy)(local, string, fai_string_bytes(string));
}
