#include "fa/scratch.h"

#include "fa/internal/forms.h"
#include "fa/internal/thread.h"

#include <string.h>

/* ---- begin and end ---- */

static fai_bump *bump_of(fa_scratch scratch) { return (fai_bump *)(void *)scratch.head; }

static bool is_among(const fai_scratch_arena *arena, const fa_scratch *conflicts, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (conflicts[i].head == &arena->bump.head)
            return true;
    return false;
}

/* An arena that none of the conflicts is on, made where it is new; or NULL, reported. */
FA_COLD static fai_scratch_arena *choose(fa_allocator *allocator, fai_thread *thread,
                                         const fa_scratch *conflicts, size_t count) {
    if (allocator == NULL || (conflicts == NULL && count != 0)) {
        fai_fail(FA_ERROR_INVALID, count);
        return NULL;
    }
    for (size_t i = 0; thread && i < FA_SCRATCH_ARENA_COUNT; i++) {
        fai_scratch_arena *arena = &thread->scratch.arenas[i];
        if (is_among(arena, conflicts, count))
            continue;
        if (arena->thread == NULL) {
            arena->thread = thread;
            fai_bump_create(&arena->bump, allocator, 0, 0, false);
        }
        return arena;
    }
    if (thread != NULL)
        fai_fail(FA_ERROR_LIMIT, count);
    return NULL;
}

fa_scratch(fa_scratch_begin)(fa_allocator *allocator, const fa_scratch *conflicts, size_t count) {
    fa_scratch scratch = {NULL, 0};
    fai_thread *thread = fai_thread_get(allocator);
    fai_scratch_arena *arena = thread ? &thread->scratch.arenas[0] : NULL;
    if (FA_UNLIKELY(count != 0 || arena == NULL || arena->thread == NULL))
        arena = choose(allocator, thread, conflicts, count);
    if (FA_UNLIKELY(arena == NULL))
        return scratch;
    fai_bump *bump = &arena->bump;
    const fai_bump_level *level = fai_bump_push_inline(bump, bump->head.serial);
    if (FA_UNLIKELY(level == NULL))
        return scratch;
    FAI_STORE_RELAXED(&bump->head.serial, level->serial);
    scratch.head = &bump->head;
    scratch.serial = level->serial;
    return scratch;
}

/* Why a scope that is not the calling thread's newest on its arena is refused. */
FA_COLD static fa_status refuse(fa_scratch scratch, size_t size) {
    if (scratch.head == NULL)
        return fai_fail(FA_ERROR_INVALID, size);
    const fai_scratch_arena *arena = (const fai_scratch_arena *)(const void *)scratch.head;
    fa_allocator *allocator = arena->bump.allocator;
    const fai_thread_slot *slot = FAI_LOAD_RELAXED(&arena->thread->slot);
    fa_diag diag = slot == NULL ? FA_DIAG_FA610 : FA_DIAG_FA612;
    if (slot == &fai_slot) {
        const fai_bump_level *level = arena->bump.level;
        while (level != NULL && level->serial > scratch.serial)
            level = level->older;
        bool is_open = level != NULL && level->serial == scratch.serial;
        diag = is_open ? FA_DIAG_FA612 : FA_DIAG_FA610;
    }
    return fai_report(allocator, diag, FA_ERROR_FOREIGN, size, 0, scratch.head);
}

/* Whether the calling thread may use the scope now. */
static inline bool is_usable(fa_scratch scratch) {
    const fai_scratch_arena *arena = (const fai_scratch_arena *)(const void *)scratch.head;
    return FA_LIKELY(arena != NULL && FAI_LOAD_RELAXED(&arena->thread->slot) == &fai_slot &&
                     arena->bump.head.serial == scratch.serial && scratch.serial != 0);
}

fa_status(fa_scratch_end)(fa_scratch scratch) {
    if (!is_usable(scratch))
        return refuse(scratch, 0);
    fai_bump *bump = bump_of(scratch);
    fai_bump_level *level = bump->level, *older = level->older;
    FAI_STORE_RELAXED(&bump->head.serial, older ? older->serial : 0);
    if (FA_LIKELY(fai_bump_pop_inline(bump, level, bump->allocator->watched))) {
        if (older == NULL && FA_UNLIKELY(bump->plan.rests_left <= 1 || bump->kept != NULL))
            fai_bump_reset(bump); /* which counts it */
        else if (older == NULL)
            bump->plan.rests_left--;
    } else if (older != NULL) {
        fai_bump_pop(bump, level, false);
    } else {
        fai_bump_reset(bump);
    }
    return FA_OK;
}

/* ---- blocks ---- */

static void *take(fa_scratch scratch, size_t size, size_t align) {
    if (!is_usable(scratch)) {
        refuse(scratch, size);
        return NULL;
    }
    return fai_bump_take(bump_of(scratch), scratch.serial, size, align);
}

void *fai_scratch_alloc_slow(fa_scratch scratch, size_t size) {
    return take(scratch, size, FA_ALIGN_MIN);
}

void *(fa_scratch_alloc_aligned)(fa_scratch scratch, size_t size, size_t align) {
    return take(scratch, size, align);
}

void *(fai_scratch_array)(fa_scratch scratch, size_t count, size_t size, size_t align) {
    return take(scratch, fai_bytes_of(count, size), align);
}

void *(fai_scratch_zeroed)(fa_scratch scratch, size_t count, size_t size, size_t align) {
    return fai_zero((fai_scratch_array)(scratch, count, size, align), count * size);
}

void *(fa_scratch_alloc_zeroed)(fa_scratch scratch, size_t count, size_t size) {
    return (fai_scratch_zeroed)(scratch, count, size, FA_ALIGN_MIN);
}

void *(fa_scratch_grow)(fa_scratch scratch, void *block, size_t size_old, size_t size_new) {
    if (!is_usable(scratch)) {
        refuse(scratch, size_new);
        return NULL;
    }
    return fai_bump_grow(bump_of(scratch), scratch.serial, block, size_old, size_new);
}

void *(fa_scratch_copy)(fa_scratch scratch, const void *source, size_t size) {
    if (!fai_has_source(source, size))
        return NULL;
    return fai_copy((fa_scratch_alloc)(scratch, size), source, size);
}

char *(fa_scratch_copy_string)(fa_scratch scratch, const char *string) {
    return (char *)(fa_scratch_copy)(scratch, string, fai_string_bytes(string));
}

/* ---- the rest ---- */

fa_status fa_scratch_stats_get(fa_allocator *allocator, fa_scratch_stats *stats) {
    if (stats != NULL)
        memset(stats, 0, sizeof *stats);
    if (allocator == NULL || stats == NULL)
        return fai_fail(FA_ERROR_INVALID, 0);
    const fai_thread *thread = fai_thread_find(allocator);
    for (size_t i = 0; thread && i < FA_SCRATCH_ARENA_COUNT; i++) {
        const fai_scratch_arena *arena = &thread->scratch.arenas[i];
        if (arena->thread == NULL)
            continue;
        for (const fai_bump_level *level = arena->bump.level; level; level = level->older)
            stats->scope_count++;
        stats->bytes += fai_bump_used(&arena->bump);
        stats->bytes_held += arena->bump.held;
        stats->bytes_peak += fai_bump_peak(&arena->bump);
        stats->alloc_count += arena->bump.head.alloc_count;
    }
    return FA_OK;
}

/* A state that did not survive a fork may have been anywhere: then its chunks stay what they are,
 * blocks of the heap. */
void fai_scratch_detach(fai_thread *thread) {
    bool hushed = fai_hush(true);
    for (size_t i = 0; i < FA_SCRATCH_ARENA_COUNT; i++) {
        fai_scratch_arena *arena = &thread->scratch.arenas[i];
        if (arena->thread == NULL || arena->bump.base == 0)
            continue;
        FAI_STORE_RELAXED(&arena->bump.head.serial, 0);
        fai_bump_release(&arena->bump);
        fai_bump_create(&arena->bump, thread->allocator, 0, 0, false);
    }
    fai_hush(hushed);
}

void fai_scratch_trim(fai_thread *thread) {
    for (size_t i = 0; i < FA_SCRATCH_ARENA_COUNT; i++)
        if (thread->scratch.arenas[i].thread != NULL)
            fai_bump_trim(&thread->scratch.arenas[i].bump);
}

const void *fai_scratch_validate(const fai_thread *thread) {
    const void *wrong = NULL;
    for (size_t i = 0; i < FA_SCRATCH_ARENA_COUNT && wrong == NULL; i++) {
        const fai_scratch_arena *arena = &thread->scratch.arenas[i];
        if (arena->thread == NULL)
            continue;
        const fai_bump *bump = &arena->bump;
        wrong = fai_bump_validate(bump);
        if (wrong == NULL && bump->head.serial != (bump->level ? bump->level->serial : 0))
            wrong = bump;
    }
    return wrong;
}
