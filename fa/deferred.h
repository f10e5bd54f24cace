/* Frees across threads: what happens to a pool object that another thread frees than the one that
 * allocated it.
 *
 * It goes back to the thread that owns its slab, through a queue without locks, and is that
 * thread's again when it takes in what waits: when a frame begins and when a pool allocation finds
 * nothing ready, or as fa_deferred_config in the configuration (deferred) says. When the owner has
 * exited it goes to the slab at once, and to whoever adopts that.
 *
 * A thread that frees such objects gathers up to 32 of them, 16 KiB at most, of one owner and tag,
 * and hands them over together. It does so when another object finds no place among them, when its
 * frame begins or ends, when one of its pool allocations finds nothing ready, with
 * fa_deferred_process and fa_allocator_trim, and when it detaches or exits. So much memory may
 * stay with a thread that does none of this any more: whoever minds calls fa_deferred_process
 * before he waits, or sets gather_count to 0. Statistics count what is gathered as freed. Nothing
 * is gathered while the allocator has a budget, is sealed, has checks, or limits what may wait. A
 * thread that is not attached becomes so with the 64th such free, where the allocator has no limit
 * of bytes and threads; until then, or without that, each of its frees is handed over at once. */
#ifndef FA_DEFERRED_H
#define FA_DEFERRED_H

#include "fa/allocator.h"

FA_EXTERN_C_BEGIN

/* Hands over what the calling thread has gathered, then takes in what others freed of its objects:
 * until it has count of them, or there are none; up to 31 more where they came together. SIZE_MAX:
 * all.
 * Returns how many were taken in; 0 when the thread is not attached, or with FA_ERROR_INVALID when
 * allocator is NULL. A block that was freed twice is reported (FA602) where that is found out, with
 * FA_CHECK_FREE always. O(count), may lock. */
FA_API size_t fa_deferred_process(fa_allocator *allocator, size_t count);

/* Frees a pool or heap block, as fa_pool_free, and says whether it did. For allocators with
 * FA_DEFERRED_FULL_FAIL or FA_DEFERRED_FULL_DROP. NULL is ignored.
 * Returns FA_OK; FA_ERROR_FULL: its thread has count_max objects waiting, the block is still the
 * caller's; FA_ERROR_LIMIT: likewise, but it was dropped, and is nobody's any more;
 * FA_ERROR_INVALID: allocator is NULL. Misuse is reported as by fa_pool_free. Any thread. */
FA_API fa_status fa_deferred_free(fa_allocator *allocator, void *block);

/* Identity whenever no other thread is inside of a call: objects that were freed by others than
 * their owner == gathered + waiting + processed + direct + those whose owner had exited. */
typedef struct fa_deferred_stats {
    size_t waiting_count; /* freed by others, not taken in by the owner */
    size_t waiting_bytes;
    size_t peak_count; /* most of these at once for one thread, as it was when it took some in */
    size_t gathered_count; /* freed, not handed over yet */
    size_t gathered_bytes;
    uint64_t processed_count; /* taken in */
    uint64_t direct_count;    /* put back by the thread that freed them: FA_DEFERRED_FULL_PROCESS,
                                 and all where the allocator has checks */
    uint64_t full_count;      /* frees that found count_max waiting */
    uint64_t dropped_count;   /* lost to FA_DEFERRED_FULL_DROP */
    uint64_t dropped_bytes;
} fa_deferred_stats;

/* Numbers of all threads, those that have exited included. stats: filled, zeroed on failure.
 * Returns FA_OK, or FA_ERROR_INVALID (NULL). Any thread; locks, O(threads). */
FA_API fa_status fa_deferred_stats_get(fa_allocator *allocator, fa_deferred_stats *stats);

/* Those of the calling thread since it was attached: what waits for it, and what it has gathered.
 * Zero when it is not attached. As fa_deferred_stats_get, but O(1) without a lock. */
FA_API fa_status fa_deferred_stats_here(fa_allocator *allocator, fa_deferred_stats *stats);

FA_EXTERN_C_END

#endif
