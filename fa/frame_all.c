/* Frames of all threads: ended together, and one that does not end while those of others do. */
#include "fa/frame.h"

#include "fa/internal/frame.h"

/* ---- the end of all ---- */

/* Threads with an open frame, one behind the other. Only this call writes the links, and states of
 * threads are never given back before the allocator is. */
static fai_thread *list_open(fa_allocator *allocator) {
    fai_thread *first = NULL;
    fai_lock(allocator);
    for (fai_thread *thread = allocator->threads; thread; thread = thread->next)
        if (fai_frame_is_open(thread)) {
            thread->end_next = first;
            first = thread;
        }
    fai_unlock(allocator);
    return first;
}

FA_COLD static size_t refuse(fa_allocator *allocator, fa_diag diag, fa_status status,
                             const fa_frame *frame) {
    fai_report(allocator, diag, status, 0, 0, frame);
    return 0;
}

size_t fai_frame_end_all(fa_allocator *allocator, const struct fa_timeline_point *point,
                         size_t count) {
    const fai_thread *own = fai_thread_find(allocator);
    if (own != NULL && own->hold.is_held)
        return refuse(allocator, FA_DIAG_FA009, FA_ERROR_FRAME_OPEN, own->frame);
    /* As a lock that is tried: what the last one did comes before, with its release. */
    uint32_t none = 0;
    while (!FAI_CAS_ACQUIRE(&allocator->ending_all, &none, 1))
        if (none != 0)
            return refuse(allocator, FA_DIAG_FA016, FA_ERROR_STATE, NULL);
    size_t ended_count = 0;
    fai_thread *first = list_open(allocator);
    for (fai_thread *thread = first; thread; thread = thread->end_next) {
        bool is_there = FAI_LOAD_RELAXED(&thread->slot) != NULL && fai_frame_is_open(thread);
        thread->was_ended = is_there && fai_frame_end_quiet(thread, point, count) == FA_OK;
        ended_count += thread->was_ended;
        /* In the child of a fork that a clean-up made, the others are gone, and this is 0. */
        if (!is_there && FAI_LOAD_RELAXED(&allocator->ending_all) != 0)
            (void)refuse(allocator, FA_DIAG_FA016, FA_ERROR_STATE, thread->frame);
    }
    for (const fai_thread *thread = first; thread; thread = thread->end_next)
        if (thread->was_ended && fai_frame_is_open(thread)) /* so it did not stand still */
            (void)refuse(allocator, FA_DIAG_FA016, FA_ERROR_STATE, thread->frame);
    FAI_STORE_RELEASE(&allocator->ending_all, 0);
    return ended_count;
}

size_t(fa_frame_end_all)(fa_allocator *allocator) {
    if (allocator != NULL)
        return fai_frame_end_all(allocator, NULL, 0);
    fai_fail(FA_ERROR_INVALID, 0);
    return 0;
}

/* ---- one that never ends ---- */

/* Frames that have ended on that other thread which has ended most of all. */
static uint64_t most_frames_of_others(const fai_thread *own) {
    fa_allocator *allocator = own->allocator;
    uint64_t most = 0;
    fai_lock(allocator);
    for (const fai_thread *thread = allocator->threads; thread; thread = thread->next) {
        uint64_t count = thread != own ? FAI_LOAD_RELAXED(&thread->frame_count) : 0;
        most = count > most ? count : most;
    }
    fai_unlock(allocator);
    return most;
}

void fai_frame_grows(fai_thread *thread, size_t used) {
    fa_allocator *allocator = thread->allocator;
    uint32_t patience = allocator->config.frame_open_after;
    uint64_t frame_index = thread->frame_count + 1;
    fai_frame_growth *growth = &thread->growth;
    if (patience == 0 || (growth->frame_index == frame_index && growth->is_reported))
        return;
    uint64_t others = most_frames_of_others(thread);
    if (growth->frame_index != frame_index) {
        *growth = (fai_frame_growth){frame_index, others, false};
        return;
    }
    if (others < growth->other_frames + patience)
        return;
    growth->is_reported = true;
    fai_report_at(allocator, FA_DIAG_FA017, FA_OK, used, (size_t)(others - growth->other_frames),
                  thread->frame, fai_slot.site ? *fai_slot.site : (fa_site){NULL, NULL, 0});
}
