/* Frame barriers: a set of threads goes from frame to frame together.
 *
 * Each member signals when it has done its part, and waits until all have; then the next generation
 * begins by itself. So the plain loop works for ever:
 *
 *   fa_barrier_join(barrier);
 *   while (running) {
 *       ... the frame's work ...
 *       fa_barrier_signal_and_wait(barrier);
 *   }
 *   fa_barrier_leave(barrier);
 *
 * What members did before they signalled is seen by all that wait for the end of that generation.
 * Frame memory that others read: signal, wait, and end the frame after that; else the frame may be
 * ended first.
 *
 * Members may come and go at any time. A thread leaves before it ends, or in a destructor of a
 * pthread key or of a thread-local object: one that forgot is taken away in the last rounds of
 * these, and reported (FA208). So that no generation ends while threads are still being started, a
 * barrier has seats: one that nobody took yet is waited for like a member.
 *
 * A wait spins for some microseconds where every member may have a core, then it sleeps. A barrier
 * belongs to its allocator. In the child of a fork the forking thread alone is a member, if it was
 * one.
 *
 * All calls but create and destroy: any thread; each thread for itself. */
#ifndef FA_BARRIER_H
#define FA_BARRIER_H

#include "fa/allocator.h"

FA_EXTERN_C_BEGIN

typedef struct fa_barrier fa_barrier;

/* Seats, taken or not, that a barrier can have. */
#define FA_BARRIER_SEAT_COUNT_MAX 2047

/* A time-out that never comes. */
#define FA_BARRIER_FOREVER UINT64_MAX

/* Makes a barrier.
 * seat_count: threads that are going to join, waited for from the start; 0: whoever joins.
 * *barrier: it, or NULL. Lives until fa_barrier_destroy or the end of the allocator.
 * Returns FA_OK, FA_ERROR_INVALID (NULL, above FA_BARRIER_SEAT_COUNT_MAX), or why there is no
 * memory, as fa_heap_alloc. */
FA_API fa_status fa_barrier_create(fa_allocator *allocator, size_t seat_count,
                                   fa_barrier **barrier);

/* Destroys a barrier; members that do not wait need not leave. Returns FA_OK, FA_ERROR_INVALID for
 * NULL, or FA_ERROR_STATE (FA205) while somebody waits for the end of a generation: then nothing
 * changes. Threads whose generation is over are on their way out, and waited for. When the
 * allocator is destroyed under waiting threads, FA205 is reported and their waits fail. */
FA_API fa_status fa_barrier_destroy(fa_barrier *barrier);

/* Adds seats before their threads exist. Returns FA_OK, FA_ERROR_INVALID for NULL, or
 * FA_ERROR_FULL. */
FA_API fa_status fa_barrier_expect(fa_barrier *barrier, size_t seat_count);

/* Makes the calling thread a member: in a free seat, or a new one. It is waited for from the open
 * generation on, and sees what was done in those before. Returns FA_OK, FA_ERROR_INVALID for NULL,
 * FA_ERROR_EXISTS (it is one already), FA_ERROR_FULL, FA_ERROR_UNSUPPORTED (the thread is in the
 * last round of its destructors, where nobody would take it away any more), or why there is no
 * memory, as fa_heap_alloc. A thread that has not used the library before a later round than
 * the first, and joins in the last one, is not found out (thread.h): the others wait for it for
 * ever, unless it leaves in the same destructor. Locks. */
FA_API fa_status fa_barrier_join(fa_barrier *barrier);

/* Takes the calling thread and its seat away, whether it has signalled or not: what it did before
 * is seen by the others. The generation ends when it was the last one missing. Returns FA_OK,
 * FA_ERROR_INVALID for NULL, or FA_ERROR_FOREIGN (FA203: not a member). Locks. */
FA_API fa_status fa_barrier_leave(fa_barrier *barrier);

/* Says that the calling thread has done its part of this generation; does not wait. Returns FA_OK,
 * FA_ERROR_INVALID for NULL, FA_ERROR_FOREIGN (FA203: not a member), or FA_ERROR_STATE (FA204: it
 * has signalled in this generation already). No lock. */
FA_API fa_status fa_barrier_signal(fa_barrier *barrier);

/* Waits until all members have signalled, in the generation in which the calling thread did last;
 * returns at once when that is over. Returns FA_OK, FA_ERROR_INVALID for NULL, FA_ERROR_FOREIGN
 * (FA203: not a member), or FA_ERROR_STATE (FA204: it has not signalled since it joined, and would
 * wait for itself; or the allocator is being destroyed). */
FA_API fa_status fa_barrier_wait(fa_barrier *barrier);

/* The same for at most so long; 0 only looks. Also returns FA_ERROR_TIMEOUT: the signal stays, the
 * thread may wait again. */
FA_API fa_status fa_barrier_wait_for(fa_barrier *barrier, uint64_t nanoseconds);

/* Signals, then waits. */
FA_API fa_status fa_barrier_signal_and_wait(fa_barrier *barrier);

/* What a barrier has seen. While others are at work the numbers are those of slightly different
 * moments. */
typedef struct fa_barrier_stats {
    uint64_t generation;    /* that ended since it was made; counts modulo 2^40 */
    size_t seat_count;      /* taken or not */
    size_t member_count;    /* seats that are taken: at most seat_count */
    size_t arrived_count;   /* that have signalled in the open generation: below seat_count, or 0 */
    uint64_t wait_count;    /* calls that waited, and were not refused */
    uint64_t timeout_count; /* of them, that came to an end too soon: at most wait_count */
    uint64_t wait_nanoseconds_total;
    uint64_t wait_nanoseconds_max; /* the longest: at most the total */
} fa_barrier_stats;

/* Reads the stats. Returns FA_OK or FA_ERROR_INVALID (NULL). Locks, O(members). */
FA_API fa_status fa_barrier_stats_get(fa_barrier *barrier, fa_barrier_stats *stats);

FA_EXTERN_C_END

#endif
