/* Frames: begin, end, and every allocation that the inline path leaves. */
#include "fa/frame.h"

#include "fa/internal/arena.h"
#include "fa/internal/deferred.h"
#include "fa/internal/forms.h"
#include "fa/internal/frame.h"
#include "fa/internal/note.h"
#include "fa/internal/park.h"

#include <string.h>

/* ---- begin and end ---- */

char fai_frame_closed[FA_ALIGN_MIN] __attribute__((aligned(16)));

static void close_frame(fai_thread *thread) {
    thread->frame->cursor = fai_frame_closed;
    FAI_STORE_RELAXED(&thread->frame->limit, fai_frame_closed); /* others look whether it is open */
}

/* After how many more frames to look at what a thread holds. */
static void schedule(fai_thread *thread) {
    thread->settle_at =
        thread->frame_trim_at < thread->pool_trim_at ? thread->frame_trim_at : thread->pool_trim_at;
}

static uint64_t due(const fai_thread *thread, uint32_t frames) {
    return frames != 0 ? thread->frame_count + frames : UINT64_MAX;
}

void fai_frame_attach(fai_thread *thread) {
    const fa_alloc_config *config = &thread->allocator->config;
    thread->frame->thread = &thread->head;
    thread->frame_count = thread->frame_alloc_count = thread->frame_bytes = 0;
    thread->frame_bytes_peak = 0;
    thread->frame_begun = 0;
    thread->frame_traced = false;
    thread->frame->alloc_count = 0;
    thread->cleanups = NULL;
    fai_retain_attach(thread);
    thread->hold = (fai_hold){false, 0};
    thread->frame_trim_at = due(thread, config->frame_trim_after);
    thread->pool_trim_at = due(thread, config->pool_trim_after);
    schedule(thread);
    thread->arena = &thread->arenas[0];
    fai_mark_attach(thread);
    fai_phase_attach(thread);
    fai_park_attach(thread);
    thread->is_end_due = false;
    thread->growth = (fai_frame_growth){0, 0, false}; /* of a frame that another thread had */
    fai_arena_rest(thread, thread->arena);
    close_frame(thread);
}

void fai_frame_detach(fai_thread *thread) {
    fai_meter_detach(thread);
    fai_retain_detach(thread);
    close_frame(thread);
    fai_mark_detach(thread);
    fai_phase_detach(thread);
    for (size_t i = 0; i < FA_FRAMES_IN_FLIGHT_MAX; i++) {
        fai_arena *arena = &thread->arenas[i];
        fai_arena_release(thread, arena);
        fai_arena_reset(arena);
    }
}

static void finish_end(fai_thread *thread);

FA_COLD static fa_frame *begin_slow(fa_allocator *allocator) {
    fai_thread *thread = fai_thread_get(allocator);
    if (thread == NULL) {
        if (allocator == NULL)
            fai_fail(FA_ERROR_INVALID, 0);
        return NULL;
    }
    if (fai_frame_is_open(thread)) {
        fai_report(allocator, FA_DIAG_FA004, FA_ERROR_FRAME_OPEN, 0, 0, thread->frame);
        return NULL;
    }
    if (thread->hold.is_held) {
        fai_report(allocator, FA_DIAG_FA009, FA_ERROR_FRAME_OPEN, 0, 0, thread->frame);
        return NULL;
    }
    fai_hold hold = fai_frame_hold(thread);
    finish_end(thread);
    uint32_t in_flight = allocator->config.frames_in_flight;
    fai_arena *arena = &thread->arenas[thread->frame_count % in_flight];
    if (in_flight != 1 && allocator->watched)
        fai_note_bury(thread, arena);
    fai_meter_bury(thread, arena);
    fai_park_begin(thread, arena);
    if (arena->trim_due) {
        arena->trim_due = false;
        fai_arena_trim(thread, arena);
    }
    if (arena->stale)
        fai_arena_rebuild(thread, arena);
    fai_deferred_begin(thread);
    fai_frame_unhold(thread, hold);
    thread->frame->alloc_count_base = thread->frame->alloc_count;
    fai_arena_enter(thread, arena);
    if (FA_UNLIKELY(fai_events_any(&allocator->events, FA_EVENTS_FRAMES)))
        fai_events_frame_begin(thread);
    return thread->frame;
}

/* Two stores: joined in one of 16 bytes, as the compiler likes to, they would be slower to read
 * back one by one in the next allocation. */
static inline void set_cursor(fa_frame *frame, char *cursor, char *limit) {
    FAI_STORE_RELAXED(&frame->cursor, cursor);
    FAI_STORE_RELAXED(&frame->limit, limit);
}

/* The frame of the calling thread in an allocator that it used before, by the shortest way. */
static inline fa_frame *frame_at_hand(fa_allocator *allocator) {
    if (FA_LIKELY(FAI_LOAD_RELAXED(&fai_slot.frame_owner) == allocator))
        return &fai_slot.frame;
    const fai_thread *thread = allocator ? fai_thread_find(allocator) : NULL;
    return thread ? thread->frame : NULL;
}

fa_frame *(fa_frame_begin)(fa_allocator *allocator) {
    fa_frame *frame = frame_at_hand(allocator);
    if (FA_UNLIKELY(frame == NULL))
        return begin_slow(allocator);
    const fai_thread *thread = fai_thread_of(frame);
    char *start = FAI_LOAD_RELAXED(&thread->head.frame_start);
    if (FA_UNLIKELY(start == NULL || frame->cursor != fai_frame_closed ||
                    !fai_queue_is_empty(&thread->deferred)))
        return begin_slow(allocator);
    set_cursor(frame, start, thread->head.frame_limit);
    frame->alloc_count_base = frame->alloc_count;
    return frame;
}

/* What is due every so many frames. */
FA_COLD static void settle(fai_thread *thread) {
    const fa_alloc_config *config = &thread->allocator->config;
    if (thread->frame_count >= thread->frame_trim_at) {
        thread->frame_trim_at = due(thread, config->frame_trim_after);
        if (config->frames_in_flight == 1)
            fai_arena_trim(thread, thread->arena);
        else /* somebody may still read them: each when it is its turn again */
            for (uint32_t i = 0; i < config->frames_in_flight; i++)
                thread->arenas[i].trim_due = true;
        fai_hold hold = fai_frame_hold(thread);
        fai_park_settle(thread);
        fai_frame_unhold(thread, hold);
    }
    if (thread->frame_count >= thread->pool_trim_at) {
        thread->pool_trim_at = due(thread, config->pool_trim_after);
        fai_hold hold = fai_frame_hold(thread);
        fai_pool_trim(thread, true);
        fai_frame_unhold(thread, hold);
    }
    schedule(thread);
    if (config->frames_in_flight == 1 && thread->arena->stale) {
        fai_hold hold = fai_frame_hold(thread);
        fai_arena_rebuild(thread, thread->arena);
        fai_frame_unhold(thread, hold);
        fai_arena_rest(thread, thread->arena);
    }
}

/* The numbers of a frame that is over. Returns true when something is due. */
static inline bool account(fai_thread *thread, const fa_frame *frame, size_t used) {
    uint64_t count = thread->frame_count + 1;
    FAI_BUMP(&thread->frame_bytes, used);
    FAI_STORE_RELAXED(&thread->frame_count, count);
#ifndef FA_MINIMAL
    FAI_STORE_RELAXED(&thread->frame_alloc_count, frame->alloc_count);
#else
    (void)frame;
#endif
    return count >= thread->settle_at;
}

FA_COLD static void raise_peak(fai_thread *thread, fai_arena *arena, size_t used) {
    arena->window_peak = used;
    if (used > thread->frame_bytes_peak)
        FAI_STORE_RELAXED(&thread->frame_bytes_peak, used);
    fai_raise(&thread->allocator->frame_bytes_peak, used);
}

static inline void note_peak(fai_thread *thread, fai_arena *arena, size_t used) {
    if (FA_UNLIKELY(used > arena->window_peak))
        raise_peak(thread, arena, used);
}

/* Rare parts of the end of a frame that its own thread sees to: another one that ended it leaves
 * them to the next begin. */
static bool is_settled(const fai_thread *thread) {
    return thread->frame_count < thread->settle_at && !thread->arena->stale &&
           thread->gathered.count == 0 && !fai_deferred_at_end(thread->allocator);
}

static void settle_end(fai_thread *thread) {
    if (thread->frame_count >= thread->settle_at || thread->arena->stale)
        settle(thread);
    if (thread->gathered.count == 0 && !fai_deferred_at_end(thread->allocator))
        return;
    fai_hold hold = fai_frame_hold(thread);
    fai_deferred_end(thread);
    fai_frame_unhold(thread, hold);
}

static void leave_rest(fai_thread *thread) {
    thread->is_end_due = true;
    fai_frame_look_closer(thread);
}

static void finish_end(fai_thread *thread) {
    if (!thread->is_end_due)
        return;
    thread->is_end_due = false;
    settle_end(thread);
}

/* parked: where the memory goes, if it is kept for a timeline; else NULL. */
FA_COLD static fa_status end_slow(fai_thread *thread, fai_parked *parked) {
    fa_allocator *allocator = thread->allocator;
    fai_arena *arena = thread->arena;
    bool at_once = allocator->config.frames_in_flight == 1 && parked == NULL;
    if (thread->hold.is_held)
        return fai_report(allocator, FA_DIAG_FA009, FA_ERROR_FRAME_OPEN, 0, 0, thread->frame);
    fai_cleanup_run(thread, 0);
    fai_phase_close(thread);
    fai_cleanup_run(thread, 0); /* what hooks registered */
    if (fai_retain_is_due(thread)) {
        fai_retain_keep(thread);
        fai_cleanup_run(thread, 0);
    }
    fai_phase_frame_end(thread);
    size_t used = fai_arena_used(thread), peak = fai_arena_peak(thread);
    peak = thread->phases.bytes_peak > peak ? thread->phases.bytes_peak : peak;
    thread->phases.bytes_peak = 0;
    if (arena->current != NULL)
        arena->current->used_end = thread->frame->cursor;
    fai_tally_frame_end(thread, used);
    fai_retain_frame_end(thread, used);
    fai_meter_end(thread);
    uint64_t count = thread->frame->alloc_count - thread->frame->alloc_count_base;
    thread->frame_traced = false;
    close_frame(thread);
    fai_mark_frame_end(thread);
    note_peak(thread, arena, peak);
    if (allocator->watched && at_once)
        fai_note_bury(thread, arena);
    if (at_once)
        fai_meter_bury(thread, arena);
    if (arena->outgrown) {
        fai_arena_outgrown(thread, arena, peak);
        thread->frame_trim_at = due(thread, allocator->config.frame_trim_after);
    }
    if (parked != NULL)
        fai_park_commit(thread, parked, used, peak);
    (void)account(thread, thread->frame, used);
    bool is_own = thread->slot == &fai_slot;
    if (is_own)
        settle_end(thread);
    if (FA_UNLIKELY(thread->frame_begun != 0 ||
                    fai_events_any(&allocator->events, FA_EVENTS_FRAMES)))
        fai_events_frame_end(thread, used, peak, count);
    if (at_once)
        fai_arena_rest(thread, arena);
    if (!is_own && !is_settled(thread))
        leave_rest(thread);
    return FA_OK;
}

/* Where the frame never left its first chunk there is nothing to look at but the cursor. */
static inline fa_status end(fai_thread *thread, fa_frame *frame) {
    char *start = FAI_LOAD_RELAXED(&thread->head.frame_start);
    if (FA_UNLIKELY(start == NULL))
        return end_slow(thread, NULL);
    size_t used = (size_t)(frame->cursor - start);
    set_cursor(frame, fai_frame_closed, fai_frame_closed);
    note_peak(thread, thread->arena, used);
    if (FA_UNLIKELY(account(thread, frame, used)))
        settle(thread);
    return FA_OK;
}

FA_COLD static fa_status end_refused(fa_allocator *allocator, fai_thread *thread) {
    if (allocator == NULL)
        return fai_fail(FA_ERROR_INVALID, 0);
    if (thread != NULL && thread->slot != &fai_slot)
        return fai_report(allocator, FA_DIAG_FA201, FA_ERROR_FOREIGN, 0, 0, thread);
    return fai_report(allocator, FA_DIAG_FA005, FA_ERROR_NO_FRAME, 0, 0, thread);
}

fa_status(fa_frame_end_in)(fa_frame *frame) {
    if (FA_UNLIKELY(frame == NULL))
        return end_refused(NULL, NULL);
    fai_thread *thread = fai_thread_of(frame);
    if (FA_UNLIKELY(thread->slot != &fai_slot || frame->cursor == fai_frame_closed))
        return end_refused(thread->allocator, thread);
    return end(thread, frame);
}

fa_status(fa_frame_end)(fa_allocator *allocator) {
    fa_frame *frame = frame_at_hand(allocator);
    if (FA_UNLIKELY(frame == NULL || frame->cursor == fai_frame_closed))
        return end_refused(allocator, frame ? fai_thread_of(frame) : NULL);
    return end(fai_thread_of(frame), frame);
}

fa_status fai_frame_end_parked(fa_frame *frame, const fa_timeline_point *point, size_t count) {
    fai_thread *thread = fai_thread_of(frame);
    if (thread->slot != &fai_slot || !fai_frame_is_open(thread))
        return end_refused(thread->allocator, thread);
    return fai_frame_end_quiet(thread, point, count);
}

fa_status fai_frame_end_quiet(fai_thread *thread, const fa_timeline_point *point, size_t count) {
    fa_frame *frame = thread->frame;
    char *start = FAI_LOAD_RELAXED(&thread->head.frame_start);
    if (count == 0 && start != NULL) {
        size_t used = (size_t)(frame->cursor - start);
        set_cursor(frame, fai_frame_closed, fai_frame_closed);
        note_peak(thread, thread->arena, used);
        if (account(thread, frame, used))
            leave_rest(thread);
        return FA_OK;
    }
    if (thread->hold.is_held)
        return fai_report(thread->allocator, FA_DIAG_FA009, FA_ERROR_FRAME_OPEN, 0, 0, frame);
    fai_parked *parked = NULL;
    if (count != 0 && (parked = fai_park_prepare(thread, point, count)) == NULL)
        return fa_last_error().status;
    fai_frame_look_closer(thread);
    return end_slow(thread, parked);
}

uint64_t fa_frame_count_in(const fa_frame *frame) {
    bool open = frame != NULL && frame->cursor != fai_frame_closed;
    return open ? frame->alloc_count - frame->alloc_count_base : 0;
}

fa_frame *fa_frame_current(fa_allocator *allocator) {
    fai_thread *thread = allocator ? fai_thread_find(allocator) : NULL;
    return thread != NULL && fai_frame_is_open(thread) ? thread->frame : NULL;
}

size_t fa_frame_bytes_in(const fa_frame *frame) {
    if (frame == NULL)
        return 0;
    const fai_thread *thread = fai_thread_of(frame);
    return fai_frame_is_open(thread) ? fai_arena_used(thread) : 0;
}

size_t fa_frame_bytes(fa_allocator *allocator) {
    return fa_frame_bytes_in(fa_frame_current(allocator));
}

uint64_t fa_frame_count(fa_allocator *allocator) {
    return fa_frame_count_in(fa_frame_current(allocator));
}

/* ---- allocation ---- */

fa_frame *fai_frame_find(fa_allocator *allocator, size_t size) {
    fai_thread *thread = allocator ? fai_thread_find(allocator) : NULL;
    if (thread != NULL)
        return thread->frame;
    if (allocator == NULL)
        fai_fail(FA_ERROR_INVALID, size);
    else
        fai_report(allocator, FA_DIAG_FA001, FA_ERROR_NO_FRAME, size, 0, NULL);
    return NULL;
}

fa_status fai_frame_check(const fa_frame *frame, size_t size) {
    if (frame == NULL)
        return fai_fail(FA_ERROR_INVALID, size);
    fai_thread *thread = fai_thread_of(frame);
    if (FA_UNLIKELY(thread->slot != &fai_slot))
        return fai_report(thread->allocator, FA_DIAG_FA201, FA_ERROR_FOREIGN, size, 0, frame);
    if (FA_UNLIKELY(!fai_frame_is_open(thread)))
        return fai_report(thread->allocator, FA_DIAG_FA001, FA_ERROR_NO_FRAME, size, 0, frame);
    return FA_OK;
}

void *fai_frame_alloc(fa_frame *frame, size_t size, size_t align) {
    if (align < FA_ALIGN_MIN && fai_is_power_of_two(align))
        align = FA_ALIGN_MIN;
    if (frame == NULL || !fai_is_request(size, align)) {
        fai_fail(FA_ERROR_INVALID, size);
        return NULL;
    }
    if (fai_frame_check(frame, size) != FA_OK)
        return NULL;
    fai_thread *thread = fai_thread_of(frame);
    void *block = thread->allocator->watched
                      ? fai_note_alloc(thread, size, align)
                      : fai_arena_take(thread, fai_round_up(size, FA_ALIGN_MIN), align, size);
    bool promoted = block == NULL && thread->meter.promote;
    if (FA_UNLIKELY(promoted)) {
        fai_hold hold = fai_frame_hold(thread);
        block = fai_meter_promote(thread, size, align);
        fai_frame_unhold(thread, hold);
    }
    if (block != NULL)
        FAI_COUNT_FRAME(frame);
    if (FA_UNLIKELY(thread->frame_traced) && block != NULL && !promoted)
        fai_events_frame_block(thread, block, 0, size);
    return block;
}

void *fai_frame_alloc_slow(fa_frame *frame, size_t size) {
    return fai_frame_alloc(frame, size, FA_ALIGN_MIN);
}

void *fai_frame_alloc_find(fa_allocator *allocator, size_t size) {
    fa_frame *frame = fai_frame_find(allocator, size);
    return frame ? (fa_frame_alloc_in)(frame, size) : NULL;
}

void *fai_frame_batch_slow(fa_frame *frame, size_t count, size_t size) {
    (void)frame, (void)count;
    fai_fail(FA_ERROR_INVALID, size);
    return NULL;
}

void *(fa_frame_alloc_aligned_in)(fa_frame *frame, size_t size, size_t align) {
    return fai_frame_alloc(frame, size, align);
}

void *(fai_frame_array_in)(fa_frame *frame, size_t count, size_t size, size_t align) {
    return fai_frame_alloc(frame, fai_bytes_of(count, size), align);
}

void *(fai_frame_zeroed_in)(fa_frame *frame, size_t count, size_t size, size_t align) {
    return fai_zero((fai_frame_array_in)(frame, count, size, align), count * size);
}

void *(fa_frame_alloc_zeroed_in)(fa_frame *frame, size_t count, size_t size) {
    return (fai_frame_zeroed_in)(frame, count, size, FA_ALIGN_MIN);
}

fa_status(fa_frame_try_alloc_in)(fa_frame *frame, size_t size, size_t align, void **block) {
    if (block == NULL)
        return fai_fail(FA_ERROR_INVALID, size);
    *block = fai_frame_alloc(frame, size, align);
    return *block ? FA_OK : fa_last_error().status;
}

/* ---- the same through the allocator ---- */

void *(fa_frame_alloc_aligned)(fa_allocator *allocator, size_t size, size_t align) {
    fa_frame *frame = fai_frame_find(allocator, size);
    return frame ? fai_frame_alloc(frame, size, align) : NULL;
}

void *(fai_frame_array)(fa_allocator *allocator, size_t count, size_t size, size_t align) {
    fa_frame *frame = fai_frame_find(allocator, size);
    return frame ? (fai_frame_array_in)(frame, count, size, align) : NULL;
}

void *(fai_frame_zeroed)(fa_allocator *allocator, size_t count, size_t size, size_t align) {
    fa_frame *frame = fai_frame_find(allocator, size);
    return frame ? (fai_frame_zeroed_in)(frame, count, size, align) : NULL;
}

void *(fa_frame_alloc_zeroed)(fa_allocator *allocator, size_t count, size_t size) {
    return (fai_frame_zeroed)(allocator, count, size, FA_ALIGN_MIN);
}

fa_status(fa_frame_try_alloc)(fa_allocator *allocator, size_t size, size_t align, void **block) {
    if (block == NULL)
        return fai_fail(FA_ERROR_INVALID, size);
    *block = (fa_frame_alloc_aligned)(allocator, size, align);
    return *block ? FA_OK : fa_last_error().status;
}
