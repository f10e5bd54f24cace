/* Numbers of each thread. All of them stand in its state anyway; here they are read. */
#include "fa/internal/deferred.h"
#include "fa/stats.h"
#include "fa/thread.h"
#include "fa/transfer.h"

#include <stdio.h>
#include <string.h>

#define VISIT_BATCH 16 /* threads that are looked at under one lock */

/* The same for a thread that is attached, by any thread; under the lock. Closed frames have a limit
 * of their own, which nobody writes in between but the begin and the end. */
static bool is_frame_open(const fai_thread *thread) {
    const fa_frame *frame = FAI_LOAD_RELAXED(&thread->frame);
    return FAI_LOAD_RELAXED(&frame->limit) != fai_frame_closed;
}

static void add_ready(const fai_thread *thread, fa_thread_stats *stats) {
    const fai_pools *pools = &thread->allocator->pools;
    for (const fai_pool *pool = &thread->pool; pool; pool = pool->next)
        for (uint32_t i = 0; i < pools->class_count; i++) {
            size_t ready = fai_ready(pool->magazine[i]);
            stats->pool_ready_count += ready;
            stats->pool_ready_bytes += ready * pools->class_bytes[i];
        }
}

/* What is out of the thread's slabs, less what is on its way back; 0 where others were faster. */
static uint64_t less(uint64_t all, uint64_t back) { return all > back ? all - back : 0; }

static void read_pools(const fai_thread *thread, fa_thread_stats *stats) {
    const fai_thread_counts *counts = &thread->counts;
    fai_pool_counts pools = {0};
    for (const fai_pool *pool = &thread->pool; pool; pool = pool->next)
        fai_pool_count(pool, &thread->allocator->pools, &pools);
    stats->pool_alloc_count = pools.alloc_count;
    stats->pool_free_count = pools.free_count;
    add_ready(thread, stats);
    fai_deferred_add(thread, &stats->deferred);
    stats->pool_remote_count =
        FAI_LOAD_RELAXED(&counts->remote_free) + stats->deferred.gathered_count;
    size_t out = fai_account_used(&thread->budget.account, FA_INTENT_POOL);
    stats->pool_live_bytes =
        (size_t)less(out, stats->pool_ready_bytes + stats->deferred.waiting_bytes);
#ifndef FA_MINIMAL
    uint64_t taken_in = stats->deferred.processed_count - FAI_LOAD_RELAXED(&counts->forwarded);
    stats->pool_live_count = less(pools.alloc_count + FAI_LOAD_RELAXED(&counts->adopted),
                                  pools.free_count + FAI_LOAD_RELAXED(&counts->direct_free) +
                                      taken_in + stats->deferred.waiting_count);
#endif
}

/* Under the lock. */
static void read_thread(const fai_thread *thread, fa_thread_stats *stats) {
    memset(stats, 0, sizeof *stats);
    stats->index = thread->index;
    memcpy(stats->name, thread->name, sizeof stats->name);
    stats->is_frame_open = is_frame_open(thread);
    stats->frame_count = FAI_LOAD_RELAXED(&thread->frame_count);
    stats->frame_begun_count = stats->frame_count + stats->is_frame_open;
    stats->frame_alloc_count = FAI_LOAD_RELAXED(&thread->frame_alloc_count);
    stats->frame_bytes = FAI_LOAD_RELAXED(&thread->frame_bytes);
    stats->frame_bytes_peak = FAI_LOAD_RELAXED(&thread->frame_bytes_peak);
    stats->chunk_bytes = FAI_LOAD_RELAXED(&thread->chunk_bytes);
    stats->transfer_made_count = FAI_LOAD_RELAXED(&thread->counts.transfer_made);
    stats->transfer_received_count = FAI_LOAD_RELAXED(&thread->counts.transfer_received);
    read_pools(thread, stats);
}

fa_status fa_thread_stats_here(fa_allocator *allocator, fa_thread_stats *stats) {
    if (stats != NULL)
        memset(stats, 0, sizeof *stats);
    if (allocator == NULL || stats == NULL)
        return fai_fail(FA_ERROR_INVALID, 0);
    const fai_thread *thread = fai_thread_find(allocator);
    if (thread == NULL)
        return FA_OK;
    fai_lock(allocator);
    read_thread(thread, stats);
    fai_unlock(allocator);
    return FA_OK;
}

fa_status fa_thread_stats_sum(fa_allocator *allocator, fa_thread_stats *stats) {
    if (stats != NULL)
        memset(stats, 0, sizeof *stats);
    if (allocator == NULL || stats == NULL)
        return fai_fail(FA_ERROR_INVALID, 0);
    fa_stats all;
    fa_transfer_stats transfers;
    (void)fa_stats_get(allocator, &all);
    (void)fa_deferred_stats_get(allocator, &stats->deferred);
    (void)fa_transfer_stats_get(allocator, &transfers);
    stats->frame_count = stats->frame_begun_count = all.frame_count;
    stats->frame_alloc_count = all.frame_alloc_count;
    stats->frame_bytes = all.frame_bytes;
    stats->frame_bytes_peak = all.frame_bytes_peak;
    stats->pool_alloc_count = all.pool_alloc_count;
    stats->pool_free_count = less(all.pool_free_count, all.pool_remote_count);
    stats->pool_remote_count = all.pool_remote_count;
    stats->pool_live_count = all.pool_live_count;
    stats->pool_live_bytes = all.pool_live_bytes;
    stats->transfer_made_count = transfers.made_count;
    stats->transfer_received_count = transfers.received_count;
    fai_lock(allocator);
    for (const fai_thread *thread = allocator->threads; thread; thread = thread->next) {
        bool open = is_frame_open(thread);
        stats->is_frame_open |= open;
        stats->frame_begun_count += open;
        stats->chunk_bytes += FAI_LOAD_RELAXED(&thread->chunk_bytes);
        add_ready(thread, stats);
    }
    fai_unlock(allocator);
    return FA_OK;
}

/* Reads up to so many threads with an index below that. Threads stand on their list newest first.
 * Returns how many. */
static size_t read_some(fa_allocator *allocator, uint64_t below, fa_thread_stats *stats,
                        size_t count) {
    size_t read = 0;
    fai_lock(allocator);
    for (const fai_thread *thread = allocator->threads; thread && read < count;
         thread = thread->next)
        if (thread->index < below)
            read_thread(thread, &stats[read++]);
    fai_unlock(allocator);
    return read;
}

size_t fa_thread_visit(fa_allocator *allocator,
                       void (*visit)(void *user, const fa_thread_stats *stats), void *user) {
    if (allocator == NULL || visit == NULL) {
        fai_fail(FA_ERROR_INVALID, 0);
        return 0;
    }
    fa_thread_stats stats[VISIT_BATCH];
    size_t visited = 0;
    uint64_t below = UINT64_MAX;
    for (size_t count; (count = read_some(allocator, below, stats, VISIT_BATCH)) != 0;) {
        for (size_t i = 0; i < count; i++)
            visit(user, &stats[i]);
        visited += count;
        below = stats[count - 1].index;
    }
    return visited;
}

fa_status fa_thread_name(fa_allocator *allocator, const char *name) {
    if (allocator == NULL || name == NULL)
        return fai_fail(FA_ERROR_INVALID, 0);
    fai_thread *thread = fai_thread_get(allocator);
    if (thread == NULL)
        return fa_last_error().status;
    fai_lock(allocator);
    snprintf(thread->name, sizeof thread->name, "%s", name);
    fai_unlock(allocator);
    return FA_OK;
}
