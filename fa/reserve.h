/* What is tried before memory is refused.
 *
 * When a backend refuses, or bytes_max forbids, in this order, with a new attempt after each step
 * that gave something back: what lies idle in the allocator's caches; the program's reclaimers, one
 * by one in their order; the reserve. If the attempt after that fails too, so does the call (FA701
 * or FA301). A sealed allocator tries none of it, and neither does the attaching of a thread.
 *
 * A reclaimer is a function of the program that can give memory back: a cache of decoded assets, a
 * streaming buffer, the history of a console. The reserve is memory that the allocator holds for
 * the worst moment (reserve_bytes of the configuration), so that the program can go on long enough
 * to save, to shrink, to say so. */
#ifndef FA_RESERVE_H
#define FA_RESERVE_H

#include "fa/allocator.h"

FA_EXTERN_C_BEGIN

/* Reclaimers that one allocator can have. */
#define FA_RECLAIMER_COUNT_MAX 32

/* Gives memory back when some is missing.
 * size: bytes that the failing request needs from the backend.
 * Returns about how many bytes it gave back; 0: none, so that the next one is asked at once.
 * Called on the thread that needs the memory, with no lock held, several threads at the same time
 * where each of them fails. It may free, allocate, query, add and remove reclaimers; what it
 * allocates itself calls no reclaimer of this allocator and leaves the reserve alone. It must not
 * begin or end or rewind a frame of this thread, detach it, or destroy the allocator. */
typedef size_t fa_reclaimer_fn(void *user, fa_allocator *allocator, size_t size);

/* Adds a reclaimer.
 * order: lower ones are asked first; those of the same order as they were added.
 * function: not NULL. user: its first argument, may be NULL.
 * Returns FA_ERROR_INVALID (NULL, or this function with this user is there already),
 * FA_ERROR_LIMIT (FA_RECLAIMER_COUNT_MAX). Any thread, locks. */
FA_API fa_status fa_reclaimer_add(fa_allocator *allocator, int order, fa_reclaimer_fn *function,
                                  void *user);

/* Removes a reclaimer. When it returns no thread is inside of it any more, so that user may go. It
 * does not wait where that would be for ever: called from inside of that very reclaimer, and while
 * a thread inside of it itself waits, here, in fa_events_unsubscribe, in fa_timeline_destroy or for
 * a budget, as when two remove each other.
 * Returns FA_ERROR_INVALID: NULL, or it is not there. Any thread, locks. */
FA_API fa_status fa_reclaimer_remove(fa_allocator *allocator, fa_reclaimer_fn *function,
                                     void *user);

/* Bytes of the reserve that are held at this moment: 0 once it was released. Any thread. */
FA_API size_t fa_reserve_held(const fa_allocator *allocator);

/* Takes the reserve again after it was released; does nothing while it is held, or when none is
 * configured. Uses neither reclaimers nor events.
 * Returns FA_ERROR_INVALID for NULL, FA_ERROR_NO_MEMORY, FA_ERROR_LIMIT (bytes_max),
 * FA_ERROR_SEALED. Any thread, calls the backend. */
FA_API fa_status fa_reserve_refill(fa_allocator *allocator);

FA_EXTERN_C_END

#endif
