/* Threads: each one that uses an allocator owns a state in it, made on first use and given up at
 * thread exit. These calls are for threads that must not wait later. */
#ifndef FA_THREAD_H
#define FA_THREAD_H

#include "fa/allocator.h"

FA_EXTERN_C_BEGIN

/* Attaches the calling thread now, so that its first allocation need not. Does nothing when it is
 * attached. Returns FA_ERROR_LIMIT (thread_count_max), FA_ERROR_NO_MEMORY or FA_ERROR_SEALED.
 * Locks. */
FA_API fa_status fa_thread_attach(fa_allocator *allocator);

/* Gives up the calling thread's state, as thread exit would: its frames end, those in flight too;
 * ready objects go back, slabs with live objects are left for other threads to adopt. The thread
 * may attach again. Returns FA_ERROR_INVALID when it was not attached, FA_ERROR_FRAME_OPEN inside
 * of a clean-up, or of a hook that a call for the frame led to (FA009). Locks. */
FA_API fa_status fa_thread_detach(fa_allocator *allocator);

/* Threads attached at this moment. Any thread. */
FA_API size_t fa_thread_count(const fa_allocator *allocator);

FA_EXTERN_C_END

#endif
