/* Deferred clean-ups: functions that run when their frame ends.
 *
 * Frame memory is given up at once, without a destructor. What needs one (a file, a lock, a
 * reference, a C++ object) registers a clean-up:
 *
 *     FILE *file = fopen(path, "r");
 *     fa_frame_defer_in(frame, close_file, file);
 *
 * Clean-ups run newest first: when the frame ends (fa_frame_end; with frames in flight then too,
 * not when the memory is used again), or, those registered since, when it is rewound to a mark. A
 * frame that is still open when its thread detaches or exits is cleaned up then, on that thread.
 * After a fork, those of the threads that are gone never run in the child.
 *
 * While they run the frame is open and its memory as it was: a clean-up may read it, allocate from
 * it, register more, which run as well, and rewind to marks that it has set itself. It can't begin
 * another frame (FA004), nor end this one, rewind it further, or detach the thread (FA009).
 *
 * A frame that is open when the allocator is destroyed is cleaned up by the thread that destroys
 * it. If that is not the frame's own, its handle is a foreign one there (FA201), and where that
 * thread has no frame the allocator offers none (FA001): such a clean-up can read the frame's
 * memory, and use pool and heap, but neither allocate from the frame nor register more.
 *
 * Frames without clean-ups pay nothing for them. */
#ifndef FA_DEFER_H
#define FA_DEFER_H

#include "fa/frame.h"

FA_EXTERN_C_BEGIN

/* A clean-up. argument: as registered. */
typedef void fa_cleanup_fn(void *argument);

/* Registers function to be called with argument at the end of the calling thread's open frame, or
 * when it is rewound to a mark that is older. argument may be NULL, and need not be frame memory.
 * Takes 32 bytes of the frame, and counts as one allocation.
 * Returns FA_OK, FA_ERROR_INVALID when function is NULL, or why there is no memory: as
 * fa_frame_alloc. Then function is not registered, and not called. O(1). */
FA_API fa_status fa_frame_defer(fa_allocator *allocator, fa_cleanup_fn *function, void *argument);
FA_API fa_status fa_frame_defer_in(fa_frame *frame, fa_cleanup_fn *function, void *argument);

/* Takes back the newest registration of exactly that pair: it will not be called.
 * Returns FA_OK; FA_ERROR_INVALID when there is none (or it has run); FA_ERROR_NO_FRAME (FA001),
 * FA_ERROR_FOREIGN (FA201). O(clean-ups registered since). */
FA_API fa_status fa_frame_defer_cancel(fa_allocator *allocator, fa_cleanup_fn *function,
                                       void *argument);
FA_API fa_status fa_frame_defer_cancel_in(fa_frame *frame, fa_cleanup_fn *function, void *argument);

FA_EXTERN_C_END

#define FAI_DEFER_DECLARED
#include "fa/site.h"

#endif
