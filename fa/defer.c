/* Clean-ups: a list in frame memory, newest first. */
#include "fa/defer.h"

#include "fa/internal/frame.h"

struct fai_cleanup {
    fai_cleanup *older;
    fa_cleanup_fn *function;
    void *argument;
    uint64_t serial; /* of the newest mark when it was registered */
};

fa_status(fa_frame_defer_in)(fa_frame *frame, fa_cleanup_fn *function, void *argument) {
    if (frame == NULL || function == NULL)
        return fai_fail(FA_ERROR_INVALID, sizeof(fai_cleanup));
    fai_cleanup *cleanup = (fai_cleanup *)(fa_frame_alloc_in)(frame, sizeof(fai_cleanup));
    if (cleanup == NULL)
        return fa_last_error().status;
    fai_thread *thread = fai_thread_of(frame);
    *cleanup = (fai_cleanup){thread->cleanups, function, argument, frame->mark_count};
    thread->cleanups = cleanup;
    fai_frame_disturb(thread);
    fai_frame_look_closer(thread); /* the end of this frame must look closer */
    return FA_OK;
}

fa_status(fa_frame_defer)(fa_allocator *allocator, fa_cleanup_fn *function, void *argument) {
    fa_frame *frame = fai_frame_find(allocator, sizeof(fai_cleanup));
    return frame ? (fa_frame_defer_in)(frame, function, argument) : fa_last_error().status;
}

fa_status(fa_frame_defer_cancel_in)(fa_frame *frame, fa_cleanup_fn *function, void *argument) {
    fa_status status = fai_frame_check(frame, 0);
    if (status != FA_OK)
        return status;
    fai_cleanup **link = &fai_thread_of(frame)->cleanups;
    while (*link && ((*link)->function != function || (*link)->argument != argument))
        link = &(*link)->older;
    if (*link == NULL)
        return fai_fail(FA_ERROR_INVALID, 0);
    *link = (*link)->older;
    return FA_OK;
}

fa_status(fa_frame_defer_cancel)(fa_allocator *allocator, fa_cleanup_fn *function, void *argument) {
    fa_frame *frame = fai_frame_find(allocator, 0);
    return frame ? (fa_frame_defer_cancel_in)(frame, function, argument) : fa_last_error().status;
}

void fai_cleanup_run(fai_thread *thread, uint64_t serial) {
    if (thread->cleanups == NULL)
        return;
    fai_hold before = thread->hold;
    for (fai_cleanup *newest; (newest = thread->cleanups) && newest->serial >= serial;) {
        thread->cleanups = newest->older;
        (void)fai_frame_hold(thread);
        fai_callback outer = fai_callback_begin();
        newest->function(newest->argument);
        fai_callback_end(outer);
    }
    fai_frame_unhold(thread, before);
}
