/* Threads: each one that uses an allocator owns a state in it, made on first use and given up at
 * thread exit. These calls are for threads that must not wait later, and for numbers of each.
 *
 * The exit is seen by a destructor of a key of the library's own. Destructors of the program may
 * use allocators: those of thread-local objects, and of keys in each of their rounds
 * (PTHREAD_DESTRUCTOR_ITERATIONS, 4). Past the library's last round a thread gets no state any more
 * (FA202, FA_ERROR_UNSUPPORTED). That holds for threads that have used the library before they
 * exit, or in the first round. Of one whose very first use comes later nobody can tell which round
 * it is in: when it uses an allocator in the fourth, in a destructor of a key that was made after
 * the first allocator was, it is attached and never detached. Its frame does not end, and
 * fa_allocator_destroy, fa_frame_end_all and the child of a fork would read and write what was
 * that thread's own memory, which may be gone. Such a destructor calls fa_thread_detach after its
 * last use. */
#ifndef FA_THREAD_H
#define FA_THREAD_H

#include "fa/deferred.h"

FA_EXTERN_C_BEGIN

/* Attaches the calling thread now, so that its first allocation need not. Does nothing when it is
 * attached. Returns FA_ERROR_LIMIT (thread_count_max), FA_ERROR_NO_MEMORY or FA_ERROR_SEALED.
 * Locks. */
FA_API fa_status fa_thread_attach(fa_allocator *allocator);

/* Gives up the calling thread's state, as thread exit would: its frames end, those in flight too;
 * ready objects go back, slabs with live objects are left for other threads to adopt. The thread
 * may attach again. Returns FA_ERROR_INVALID when it was not attached, FA_ERROR_FRAME_OPEN inside
 * of a clean-up, a listener, a hook, a reclaimer or the question of a budget, for a call on the
 * allocator is under way then (FA009). Locks. */
FA_API fa_status fa_thread_detach(fa_allocator *allocator);

/* Threads attached at this moment. Any thread. */
FA_API size_t fa_thread_count(const fa_allocator *allocator);

/* ---- numbers of each thread ---- */

#define FA_THREAD_NAME_BYTES 32 /* with the terminator */

/* Gives the calling thread a name, for statistics; attaches it when it is new. name: copied, cut
 * when it is longer than FA_THREAD_NAME_BYTES - 1 bytes; it goes when the thread detaches. Returns
 * FA_ERROR_INVALID (NULL), or as fa_thread_attach. Locks. */
FA_API fa_status fa_thread_name(fa_allocator *allocator, const char *name);

/* What one thread holds, and did since it was attached.
 *
 * Identity whenever no thread is inside of a call: live + ready + waiting objects, these as bytes,
 * are what is out of the thread's slabs, whoever allocated it. An object is the thread's that owns
 * its slab: it stays so when somebody else frees it, until it is taken in. Numbers of allocations
 * are 0 with FA_MINIMAL, and what is computed from them likewise. */
typedef struct fa_thread_stats {
    uint64_t index; /* counts attached threads from 1, as in events; 0: the sum of all */
    char name[FA_THREAD_NAME_BYTES];
    bool is_frame_open;

    uint64_t frame_begun_count;
    uint64_t frame_count;       /* frames ended, as the next three */
    uint64_t frame_alloc_count; /* rewound ones too */
    uint64_t frame_bytes;       /* held at their ends: rewound ones not */
    size_t frame_bytes_peak;    /* most in one of them at once, rewound ones too */
    size_t chunk_bytes;         /* held for frames, without what spilled past frame_bytes_max */

    uint64_t pool_alloc_count;
    uint64_t pool_free_count; /* frees by this thread, of objects of its own */
    uint64_t pool_live_count; /* objects of the thread, whoever has them */
    size_t pool_live_bytes;   /* these times the size of their class */
    size_t pool_ready_count;  /* kept ready */
    size_t pool_ready_bytes;
    uint64_t pool_remote_count; /* frees by this thread, of objects of others; gathered ones too */
    fa_deferred_stats deferred; /* what others freed of its objects, and what it has gathered */

    uint64_t transfer_made_count;
    uint64_t transfer_received_count;
} fa_thread_stats;

/* Reads those of the calling thread. stats: filled; zeroed when the call fails, and when the thread
 * is not attached. Returns FA_OK or FA_ERROR_INVALID (NULL). O(tags of the thread * classes),
 * locks. */
FA_API fa_status fa_thread_stats_here(fa_allocator *allocator, fa_thread_stats *stats);

/* The sum of all threads, those that are gone included; peaks: the largest. What only a living
 * thread can hold (chunks, ready and waiting objects) is what those hold that are attached. What is
 * live is so for the whole allocator. Frees by threads that are not attached count, too. As
 * fa_thread_stats_here otherwise, O(threads). Any thread. Other threads' numbers may be a few
 * operations old. */
FA_API fa_status fa_thread_stats_sum(fa_allocator *allocator, fa_thread_stats *stats);

/* Calls visit for each attached thread, the newest first, with no lock held: it may call anything,
 * and threads may come and go meanwhile; those that come are left out. Returns how many were
 * visited; 0 for NULL (FA_ERROR_INVALID). Any thread; O(threads), locks. */
FA_API size_t fa_thread_visit(fa_allocator *allocator,
                              void (*visit)(void *user, const fa_thread_stats *stats), void *user);

FA_EXTERN_C_END

#endif
