#include "fa/stats.h"

#include "fa/internal/park.h"
#include "fa/internal/writer.h"

#include <inttypes.h>
#include <string.h>

static void add_thread(const fai_thread *thread, fa_stats *stats) {
    stats->frame_count += FAI_LOAD_RELAXED(&thread->frame_count);
    stats->frame_alloc_count += FAI_LOAD_RELAXED(&thread->frame_alloc_count);
    stats->frame_bytes += FAI_LOAD_RELAXED(&thread->frame_bytes);
}

static void add_kept(const fai_thread *thread, fa_stats *stats) {
    const fai_parking *parking = FAI_LOAD_ACQUIRE(&thread->parking);
    if (parking == NULL)
        return;
    stats->frame_kept_count += FAI_LOAD_RELAXED(&parking->count);
    stats->frame_kept_bytes += FAI_LOAD_RELAXED(&parking->bytes);
}

static void add_pools_and_frames(fa_allocator *allocator, fa_stats *stats) {
    fai_lock(allocator);
    const fai_pools *pools = &allocator->pools;
    fai_pool_counts counts;
    stats->frame_count = allocator->frame_count;
    stats->frame_alloc_count = allocator->frame_alloc_count;
    stats->frame_bytes = allocator->frame_bytes;
    for (const fai_thread *thread = allocator->threads; thread; thread = thread->next)
        add_thread(thread, stats);
    for (const fai_thread *thread = allocator->frozen; thread; thread = thread->next)
        add_thread(thread, stats);
    const fai_thread *const lists[] = {allocator->threads, allocator->idle, allocator->trimmed,
                                       allocator->frozen};
    for (size_t i = 0; i < 4; i++)
        for (const fai_thread *thread = lists[i]; thread; thread = thread->next)
            add_kept(thread, stats);
    stats->pool_remote_count = fai_tag_count_pools(allocator, 0, &counts);
    stats->pool_alloc_count = counts.alloc_count;
    stats->pool_free_count = counts.free_count;
#ifndef FA_MINIMAL
    stats->pool_live_count = stats->pool_alloc_count - stats->pool_free_count;
    stats->pool_live_bytes = (size_t)counts.live_bytes;
#endif
    stats->pool_adopted_count = pools->adopted_count;
    stats->pool_segment_count = pools->segment_count;
    stats->pool_slab_count = pools->slab_count;
    stats->thread_count = allocator->thread_count;
    stats->thread_attach_count = allocator->attach_count;
    stats->frame_overflow_size = allocator->frame_overflow_size;
    stats->frame_overflow_site = allocator->frame_overflow_site;
    fai_unlock(allocator);
}

static void add_heap(fa_allocator *allocator, fa_stats *stats) {
    fai_heap *heap = &allocator->heap;
    pthread_mutex_lock(&heap->lock);
    stats->heap_alloc_count = heap->alloc_count;
    stats->heap_free_count = heap->free_count;
    stats->heap_live_count = heap->live_count;
    stats->heap_live_bytes = heap->live_bytes;
    stats->heap_bytes_peak = heap->bytes_peak;
    pthread_mutex_unlock(&heap->lock);
    fai_store *store = &allocator->store;
    pthread_mutex_lock(&store->lock);
    stats->heap_cache_bytes = store->cuts.bytes + store->spans.bytes;
    stats->heap_cache_hit_count = store->cuts.hit_count + store->spans.hit_count;
    stats->heap_region_count = store->regions.region_count;
    stats->heap_free_bytes = store->regions.free_bytes;
    pthread_mutex_unlock(&store->lock);
}

fa_status fa_stats_get(fa_allocator *allocator, fa_stats *stats) {
    if (stats != NULL)
        memset(stats, 0, sizeof *stats);
    if (allocator == NULL || stats == NULL)
        return fai_fail(FA_ERROR_INVALID, 0);
    const fai_spans *spans = &allocator->spans;
    stats->bytes_held = FAI_LOAD_RELAXED(&spans->held);
    stats->bytes_held_peak = FAI_LOAD_RELAXED(&spans->held_peak);
    for (int kind = 0; kind < FA_SPAN_KIND_COUNT; kind++)
        stats->bytes_held_by_kind[kind] = FAI_LOAD_RELAXED(&spans->held_by_kind[kind]);
    stats->backend_alloc_count = FAI_LOAD_RELAXED(&spans->alloc_count);
    stats->backend_free_count = FAI_LOAD_RELAXED(&spans->free_count);
    stats->backend_refused_count = FAI_LOAD_RELAXED(&spans->refused_count);
    stats->frame_bytes_peak = FAI_LOAD_RELAXED(&allocator->frame_bytes_peak);
    if (stats->frame_bytes_peak != 0)
        stats->frame_bytes_needed = stats->frame_bytes_peak + FAI_CHUNK_HEADER;
    stats->frame_overflow_count = FAI_LOAD_RELAXED(&allocator->frame_overflow_count);
    stats->frame_full_count = FAI_LOAD_RELAXED(&allocator->frame_full_count);
    stats->frame_spill_count = FAI_LOAD_RELAXED(&allocator->frame_spill_count);
    add_pools_and_frames(allocator, stats);
    add_heap(allocator, stats);
    for (int i = 0; i < FA_DIAG_COUNT; i++)
        stats->diag_count[i] = FAI_LOAD_RELAXED(&allocator->diag_count[i]);
    return FA_OK;
}

#define CHUNK_BYTES_LIMIT ((size_t)1 << 30) /* as config.h says of frame_chunk_bytes_first */

/* ---- text ---- */

size_t fa_stats_format(const fa_stats *stats, char *text, size_t text_bytes) {
    fai_writer out = fai_writer_begin(text, text_bytes);
    if (stats == NULL)
        return 0;
    static const char *const kinds[FA_SPAN_KIND_COUNT] = {"meta", "chunk", "segment", "heap"};
    fai_put(&out, "bytes_held              %zu\n", stats->bytes_held);
    fai_put(&out, "bytes_held_peak         %zu\n", stats->bytes_held_peak);
    for (int kind = 0; kind < FA_SPAN_KIND_COUNT; kind++)
        fai_put(&out, "bytes_held_%-12s %zu\n", kinds[kind], stats->bytes_held_by_kind[kind]);
#define PUT(field) fai_put(&out, "%-23s %" PRIu64 "\n", #field, (uint64_t)stats->field)
    PUT(backend_alloc_count);
    PUT(backend_free_count);
    PUT(backend_refused_count);
    PUT(frame_count);
    PUT(frame_alloc_count);
    PUT(frame_bytes);
    PUT(frame_bytes_peak);
    PUT(frame_bytes_needed);
    PUT(frame_overflow_count);
    PUT(frame_full_count);
    PUT(frame_spill_count);
    PUT(frame_kept_count);
    PUT(frame_kept_bytes);
    PUT(frame_overflow_size);
    if (stats->frame_overflow_site.file != NULL)
        fai_put(&out, "frame_overflow_site     %s:%d\n", stats->frame_overflow_site.file,
                stats->frame_overflow_site.line);
    PUT(pool_alloc_count);
    PUT(pool_free_count);
    PUT(pool_live_count);
    PUT(pool_live_bytes);
    PUT(pool_remote_count);
    PUT(pool_adopted_count);
    PUT(pool_segment_count);
    PUT(pool_slab_count);
    PUT(heap_alloc_count);
    PUT(heap_free_count);
    PUT(heap_live_count);
    PUT(heap_live_bytes);
    PUT(heap_bytes_peak);
    PUT(heap_region_count);
    PUT(heap_free_bytes);
    PUT(heap_cache_bytes);
    PUT(heap_cache_hit_count);
    PUT(thread_count);
    PUT(thread_attach_count);
#undef PUT
    for (int i = 1; i < FA_DIAG_COUNT; i++)
        if (stats->diag_count[i] != 0)
            fai_put(&out, "%-23s %" PRIu64 "\n", fa_diag_describe((fa_diag)i).code,
                    stats->diag_count[i]);
    return out.length;
}

fa_status fa_stats_suggest_config(fa_allocator *allocator, fa_alloc_config *config) {
    if (allocator == NULL || config == NULL)
        return fai_fail(FA_ERROR_INVALID, 0);
    *config = allocator->config;
    config->name = NULL;
    config->backend_spec = NULL;
    size_t needed = FAI_LOAD_RELAXED(&allocator->frame_bytes_peak) + FAI_CHUNK_HEADER;
    size_t first = config->frame_chunk_bytes_first;
    if (needed > first)
        first = fai_round_up(needed, 4096);
    if (first > CHUNK_BYTES_LIMIT)
        first = CHUNK_BYTES_LIMIT;
    config->frame_chunk_bytes_first = first;
    if (config->frame_chunk_bytes_max < first)
        config->frame_chunk_bytes_max = first;
    if (config->frame_bytes_max != 0 && config->frame_bytes_max < first * config->frames_in_flight)
        config->frame_bytes_max = first * config->frames_in_flight;
    return FA_OK;
}
