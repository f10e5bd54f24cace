/* Numbers: what an allocator holds and did since it was created. */
#ifndef FA_STATS_H
#define FA_STATS_H

#include "fa/allocator.h"

FA_EXTERN_C_BEGIN

/* Identities that hold whenever no other thread is inside of a call:
 *   bytes_held                 == sum of bytes_held_by_kind
 *   backend_alloc_count        == backend_free_count + spans held now
 *   pool_live_count            == pool_alloc_count - pool_free_count
 *   heap_live_count            == heap_alloc_count - heap_free_count
 *   bytes_held_by_kind[SEGMENT]== pool_segment_count * pool_segment_bytes of the configuration
 *   bytes_held_by_kind[HEAP]   >= heap_live_bytes + heap_free_bytes + heap_cache_bytes
 * Counters of allocations are 0 with FA_MINIMAL, and what is computed from them likewise. Frame
 * numbers of a thread are those of its ended frames. */
typedef struct fa_stats {
    /* Backend memory. Where a backend commits lazily these are addresses: the memory behind them is
     * what was touched. */
    size_t bytes_held;
    size_t bytes_held_peak;
    size_t bytes_held_by_kind[FA_SPAN_KIND_COUNT];
    uint64_t backend_alloc_count;
    uint64_t backend_free_count;
    uint64_t
        backend_refused_count; /* requests that no backend served, or a limit or seal forbade */

    /* Frames, all threads. */
    uint64_t frame_count;          /* frames ended */
    uint64_t frame_alloc_count;    /* allocations in them, rewound ones too */
    uint64_t frame_bytes;          /* held at their ends, rounded up to 16: rewound ones not */
    size_t frame_bytes_peak;       /* most in one frame at once, rewound ones too */
    size_t frame_bytes_needed;     /* frame_chunk_bytes_first that would have held every frame */
    uint64_t frame_overflow_count; /* frames that left their first chunk */
    uint64_t frame_full_count;     /* allocations refused at the cap */
    uint64_t frame_spill_count;    /* allocations that got a block of their own past the cap */
    size_t frame_kept_count;       /* ended frames that are kept for timelines (fa/timeline.h) */
    size_t frame_kept_bytes;       /* held in them at their ends */
    size_t frame_overflow_size;    /* size asked for by the last of these three kinds */
    fa_site frame_overflow_site;   /* and its place, where recorded */

    /* Pools, all threads. */
    uint64_t pool_alloc_count;
    uint64_t pool_free_count;
    uint64_t pool_live_count;
    size_t pool_live_bytes;      /* live objects times the size of their class */
    uint64_t pool_remote_count;  /* frees by another thread than the owner; part of free_count */
    uint64_t pool_adopted_count; /* slabs taken over from exited threads */
    size_t pool_segment_count;
    size_t pool_slab_count; /* slabs in use */

    /* Heap. */
    uint64_t heap_alloc_count;
    uint64_t heap_free_count;
    uint64_t heap_live_count;
    size_t heap_live_bytes;   /* as asked for */
    size_t heap_bytes_peak;   /* most of these at once */
    size_t heap_region_count; /* spans that smaller blocks are cut from */
    size_t heap_free_bytes;   /* free in them */
    size_t heap_cache_bytes;  /* freed and kept for reuse */
    uint64_t heap_cache_hit_count;

    /* Threads. */
    size_t thread_count;          /* attached now */
    uint64_t thread_attach_count; /* ever */

    /* How often each diagnostic was met, by fa_diag. */
    uint64_t diag_count[FA_DIAG_COUNT];
} fa_stats;

/* Adds the numbers up. stats: filled; zeroed when allocator is NULL (FA_ERROR_INVALID).
 * Any thread; O(threads * classes), locks. Other threads' running numbers may be a few operations
 * old. */
FA_API fa_status fa_stats_get(fa_allocator *allocator, fa_stats *stats);

/* Writes stats as aligned lines of "name value" text.
 * Returns the length that the whole text has, without its terminator; never writes more than
 * text_bytes, always terminated when text_bytes > 0. text may be NULL with text_bytes 0. */
FA_API size_t fa_stats_format(const fa_stats *stats, char *text, size_t text_bytes);

/* A configuration like that of allocator, with what this run measured filled in: the first chunk
 * that would have held every frame, and a cap that leaves room for it. Feed it to the next run.
 * name and backend_spec are NULL, for the allocator's strings die with it: set them again. Returns
 * FA_ERROR_INVALID for NULL. */
FA_API fa_status fa_stats_suggest_config(fa_allocator *allocator, fa_alloc_config *config);

FA_EXTERN_C_END

#endif
