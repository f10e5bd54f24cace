/* What the files around the open frame share. */
#ifndef FAI_FRAME_H
#define FAI_FRAME_H

#include "fa/internal/thread.h"

static inline fai_thread *fai_thread_of(const fa_frame *frame) {
    return (fai_thread *)frame->thread;
}

/* Something happened that a rewind must undo, or that it must look at: the next rewind takes the
 * slow path. To be called for everything but allocations that move the cursor. */
static inline void fai_frame_disturb(fai_thread *thread) {
    thread->frame->mark_newest = FAI_NO_MARK;
}

/* Holds the frame until fai_frame_unhold is called with the result; may be nested. To be put around
 * whatever may call hooks while the frame, open or not, is worked on. */
static inline fai_hold fai_frame_hold(fai_thread *thread) {
    fai_hold before = thread->hold;
    thread->hold = (fai_hold){true, thread->frame->mark_count};
    fai_frame_look_closer(thread);
    fai_frame_disturb(thread);
    return before;
}
static inline void fai_frame_unhold(fai_thread *thread, fai_hold before) { thread->hold = before; }

/* The calling thread's frame in allocator, open or not; NULL with the reason reported. size: what
 * was asked for. */
fa_frame *fai_frame_find(fa_allocator *allocator, size_t size);

/* Whether the calling thread may use this frame now. If not: the reason is reported. */
fa_status fai_frame_check(const fa_frame *frame, size_t size);

/* Ends the open frame of the calling thread, or refuses; its memory is kept until all of count
 * points are reached. */
struct fa_timeline_point;
fa_status fai_frame_end_parked(fa_frame *frame, const struct fa_timeline_point *point,
                               size_t count);

/* The same for any thread that is at rest and has a frame open; count may be 0. What is due every
 * so many frames is left to the thread's next begin. */
fa_status fai_frame_end_quiet(fai_thread *thread, const struct fa_timeline_point *point,
                              size_t count);

/* The open frame is about to take another chunk, and has used so many bytes: reports it when others
 * have ended many frames meanwhile. Calls hooks. */
void fai_frame_grows(fai_thread *thread, size_t used);

/* fa_frame_end_all, on points. */
size_t fai_frame_end_all(fa_allocator *allocator, const struct fa_timeline_point *point,
                         size_t count);

/* Every allocation that is not inline. */
void *fai_frame_alloc(fa_frame *frame, size_t size, size_t align);

/* fa_frame_grow_in for whoever knows the alignment of the block. */
void *fai_frame_grow_aligned(fa_frame *frame, void *block, size_t size_old, size_t size_new,
                             size_t align);

/* The same where it can be had for nothing: NULL, with nothing reported and nobody asked, where it
 * would be refused, or served past a limit. */
void *fai_frame_grow_quiet(fa_frame *frame, void *block, size_t size_old, size_t size_new,
                           size_t align);

/* Makes it impossible that a mark of the frame that ends, or of a thread that detaches, is accepted
 * ever again. */
void fai_mark_frame_end(fai_thread *thread);

/* NULL, or what is wrong with the marks of the open frame. */
const void *fai_mark_validate(const fai_thread *thread);

/* A thread's own range of serials. */
void fai_mark_attach(fai_thread *thread);
void fai_mark_detach(fai_thread *thread);

#endif
