/* Streams: large blocks that are loaded, used, and thrown out again under a budget (textures,
 * meshes, sounds, pieces of a world).
 *
 *     fa_stream stream = fa_stream_reserve(streams, size, 16, FA_STREAM_NORMAL, item);
 *     void *block = fa_stream_begin(streams, stream);      takes the memory; on any thread
 *     ... fill it, fa_stream_progress now and then ...
 *     fa_stream_finish(streams, stream);
 *     ...
 *     pixels = fa_stream_access(streams, stream);          NULL: it is not there, see below
 *
 * Budget: reserve promises bytes, so that begin needs none; what is reserved, loading, ready or
 * being evicted is never more than the budget together, at no instant. The memory itself is taken
 * at begin: what waits for its turn to be read holds none.
 *
 * Where access says NULL, fa_stream_get tells what to do: FA_STREAM_GONE, it was evicted: reserve a
 * new one and load it again. FA_STREAM_RESERVED and FA_STREAM_LOADING: it is on its way.
 *
 * Eviction: when a reservation does not fit, streams that are ready and not pinned go, those of
 * lower priorities first, then those of its own, each priority by last use, the oldest first. Never
 * one of a higher priority, never a critical one, never one that is kept (frames_kept). It is
 * decided before anything happens: if all that may go is not enough, nothing goes, and the
 * reservation fails (FA_ERROR_LIMIT, FA631). Where there are as many streams as there may be
 * (count_max), the first of those that may go makes room too; there is none: FA_ERROR_FULL. Finish,
 * access, touch, pin and unpin are uses.
 *
 * A stream that was evicted or released is gone: its id is never given out again, and resolves to
 * nothing. Asking about one is no misuse, since others may evict and release at any time: access,
 * touch, pin, get, set_priority, begin and release simply say so (NULL, false, FA_ERROR_FOREIGN),
 * without an event.
 * What does not happen to a correct program is misuse (FA630): begin, progress, finish or cancel
 * out of order, an unpin without its pin, a release while pinned, a second release.
 *
 * All calls: any thread, one short lock of these streams, never held while memory is allocated or
 * freed or a callback runs. An allocator may have several of them; what is left is destroyed with
 * it. Memory is heap memory (fa/heap.h): tags, budgets, bytes_max, checks and the seal apply.
 *
 * In the child of a fork, what other threads were at is over, but where the fork comes from inside
 * of a callback. Reservations that waited for room are gone; streams whose memory was being taken
 * or given up are reserved; those that were about to be evicted are ready again, or gone when their
 * callback had begun, with memory that comes back with the allocator only. What was loading is
 * there to be cancelled or finished. */
#ifndef FA_STREAM_H
#define FA_STREAM_H

#include "fa/tag.h"

FA_EXTERN_C_BEGIN

/* Names a stream; a value, to be copied as you like. */
typedef uint64_t fa_stream;
#define FA_STREAM_NONE ((fa_stream)0) /* the answer of a reservation that failed */

#define FA_STREAM_COUNT_MAX ((size_t)1 << 20)

typedef struct fa_streams fa_streams;

typedef enum fa_stream_priority {
    FA_STREAM_LOW,
    FA_STREAM_NORMAL,
    FA_STREAM_HIGH,
    FA_STREAM_CRITICAL, /* never evicted */
    FA_STREAM_PRIORITY_COUNT
} fa_stream_priority;

typedef enum fa_stream_state {
    FA_STREAM_GONE,     /* there is no such stream (any more) */
    FA_STREAM_RESERVED, /* bytes promised, no memory */
    FA_STREAM_LOADING,  /* from begin to finish or cancel */
    FA_STREAM_READY,
    FA_STREAM_EVICTING, /* its memory is about to go; or released while it was loading */
    FA_STREAM_STATE_COUNT
} fa_stream_state;

/* What a stream is evicted for. */
typedef enum fa_evict_cause {
    FA_EVICT_ROOM,    /* another one's reservation */
    FA_EVICT_TRIM,    /* fa_streams_trim, fa_streams_set_budget */
    FA_EVICT_RECLAIM, /* the allocator ran out of memory: see is_reclaimer */
    FA_EVICT_DESTROY  /* fa_streams_destroy, or the end of the allocator */
} fa_evict_cause;

typedef struct fa_eviction {
    fa_streams *streams;
    fa_stream stream;
    void *item;  /* as given to reserve */
    void *block; /* still whole; NULL where none was taken (FA_EVICT_DESTROY) */
    size_t size;
    fa_stream_priority priority;
    fa_evict_cause cause;
} fa_eviction;

/* Called for each stream that is evicted, and not for those that are released, before its memory
 * goes. On the thread whose call evicts, no lock held, on several threads at once where several
 * evict. It may call everything back, these streams included; the one that goes can't be used any
 * more, fa_stream_get shows it as FA_STREAM_EVICTING. It must not destroy the streams or the
 * allocator, and with FA_EVICT_RECLAIM what holds for reclaimers holds for it (fa/reserve.h). */
typedef void fa_stream_evict_fn(void *user, const fa_eviction *eviction);

typedef struct fa_streams_config {
    /* The budget. Default 0: a quarter of the allocator's bytes_max, 256 MiB without one. Up to
     * FA_SIZE_MAX. */
    size_t bytes_max;
    /* Streams at once, those that are being evicted included. 1 to FA_STREAM_COUNT_MAX, the
     * default. Past it a reservation evicts one; none may go: FA_ERROR_FULL. */
    size_t count_max;
    /* What was used in the last so many frames (fa_streams_advance), the one that is going on
     * included, is not evicted: then a pointer that access returned is good for that long without a
     * pin. Default 0: none is kept; a pointer is good while its stream is pinned, or nobody
     * evicts. */
    uint32_t frames_kept;
    /* When the allocator runs out of memory, it evicts from here as it does for a reservation of
     * high priority (a reclaimer of fa/reserve.h). Default false. */
    bool is_reclaimer;
    int reclaimer_order; /* among the allocator's reclaimers. Default 0 */
    /* Whom blocks are charged to. Default FA_TAG_NONE: the tag that the thread is in at begin. */
    fa_tag tag;
    fa_stream_evict_fn *on_evict; /* default NULL: nobody is told */
    void *on_evict_user;
    uint64_t cookie; /* set by fa_streams_config_default; never touch it */
} fa_streams_config;

#define FA_STREAMS_COOKIE                                                                          \
    (0xFA57ull << 48 | (uint64_t)sizeof(fa_streams_config) << 32 | (uint64_t)FA_VERSION)

FA_API void fai_streams_config_default(fa_streams_config *config, size_t config_bytes);
static inline fa_streams_config fa_streams_config_default(void) {
    fa_streams_config config;
    fai_streams_config_default(&config, sizeof config);
    config.cookie = FA_STREAMS_COOKIE;
    return config;
}

/* ---- the cache ---- */

/* Makes streams. config: copied; NULL: the default. streams: gets the result, NULL on failure.
 * Returns FA_ERROR_INVALID (NULL), FA_ERROR_CONFIG (a field is out of range, or not filled by the
 * default), FA_ERROR_LIMIT (also: too many reclaimers), FA_ERROR_NO_MEMORY, FA_ERROR_SEALED. */
FA_API fa_status fa_streams_create(fa_allocator *allocator, const fa_streams_config *config,
                                   fa_streams **streams);

/* Ends them: on_evict is called for each stream that is left, in whatever state, then its memory
 * goes. No other thread may be inside of a call on them, nor load. NULL is ignored.
 * Returns how many were still loading or pinned: 0 in a correct program. O(streams). */
FA_API size_t fa_streams_destroy(fa_streams *streams);

/* The next frame begins: see frames_kept. To be called once per frame of the program, by whom it
 * likes; not needed where frames_kept is 0. Returns the new frame's number, 0 for NULL. */
FA_API uint64_t fa_streams_advance(fa_streams *streams);

/* Changes the budget. When it is lowered, streams are evicted as by fa_streams_trim.
 * bytes_max: 0 to FA_SIZE_MAX. Returns FA_ERROR_INVALID, or FA_ERROR_LIMIT (FA631; its size: bytes
 * that are over) when what can't be evicted is more than that: the new budget holds all the same,
 * and nothing new is admitted until enough was released. */
FA_API fa_status fa_streams_set_budget(fa_streams *streams, size_t bytes_max);

/* Evicts until at most bytes_target of the budget are used, or a bound is reached: step_bytes
 * evicted, or step_nanoseconds gone by, each overstepped by at most one stream; 0: no bound. Goes
 * by priority and last use, as for a reservation of high priority. Returns the bytes that it
 * evicted: 0 when there is nothing left to do, or nothing may go. */
FA_API size_t fa_streams_trim(fa_streams *streams, size_t bytes_target, size_t step_bytes,
                              uint64_t step_nanoseconds);

/* ---- one stream ---- */

/* Promises size bytes of the budget to a new stream, evicting where it must.
 * align: a power of two up to FA_ALIGN_MAX; less than 16 counts as 16. item: whatever belongs to
 * it, for on_evict and fa_stream_get; may be NULL.
 * Returns FA_STREAM_NONE: FA_ERROR_INVALID, FA_ERROR_LIMIT (FA631: more than what is free and may
 * be evicted), FA_ERROR_FULL (count_max, and none may be evicted), or no memory for the table of
 * streams (FA301, FA302, FA701, FA702); then nothing was evicted. O(evicted) with the lock held,
 * O(1) for one that is refused; with frames_kept that may take O(what may be evicted). */
FA_API fa_stream fa_stream_reserve(fa_streams *streams, size_t size, size_t align,
                                   fa_stream_priority priority, void *item);

/* Takes the memory of a reserved stream: it is loading from now on.
 * Returns the block: aligned as asked for, contents undefined, the caller's to write until finish
 * or cancel, one of which must follow. NULL: FA_ERROR_INVALID (FA630: it is not reserved),
 * FA_ERROR_FOREIGN (without an event: it is gone, released before or meanwhile; FA630: it never
 * was), or a refusal of the heap, after which it is reserved as before and may be begun again. */
FA_API void *fa_stream_begin(fa_streams *streams, fa_stream stream)
    __attribute__((warn_unused_result, assume_aligned(16)));

/* Says how many bytes are there so far, counted from the start. More than its size counts as all;
 * less than said before changes nothing.
 * Returns FA_OK; FA_ERROR_FOREIGN without an event when the stream was released: cancel then.
 * FA_ERROR_INVALID (FA630) when it is not loading, FA_ERROR_FOREIGN (FA630) for no such stream. */
FA_API fa_status fa_stream_progress(fa_streams *streams, fa_stream stream, size_t bytes);

/* The load is complete: the stream is ready. Returns what progress returns; where it was released
 * meanwhile, its memory goes. */
FA_API fa_status fa_stream_finish(fa_streams *streams, fa_stream stream);

/* Gives a load up: its memory goes, the stream is reserved as before begin; where it was released
 * meanwhile, it is gone (FA_OK too). Otherwise returns what progress returns. */
FA_API fa_status fa_stream_cancel(fa_streams *streams, fa_stream stream);

/* The block of a ready stream, used now; else NULL, without a report. How long it is good: see
 * frames_kept and pin. */
FA_API void *fa_stream_access(fa_streams *streams, fa_stream stream)
    __attribute__((warn_unused_result, assume_aligned(16)));

/* Marks a ready stream as used now, without its block; false, without a report, when it is none. */
FA_API bool fa_stream_touch(fa_streams *streams, fa_stream stream);

/* As access; and until as many unpins it is not evicted. Pins are counted. */
FA_API void *fa_stream_pin(fa_streams *streams, fa_stream stream)
    __attribute__((warn_unused_result, assume_aligned(16)));

/* Takes one pin back. FA_ERROR_INVALID (FA630): it has none. FA_ERROR_FOREIGN (FA630): no such
 * stream. */
FA_API fa_status fa_stream_unpin(fa_streams *streams, fa_stream stream);

/* Ends a stream: its bytes are free again. One that is loading on another thread is out of reach at
 * once, and gone with that thread's finish or cancel.
 * Returns FA_ERROR_INVALID (FA630: pinned, nothing changes; FA_STREAM_NONE, without an event) or
 * FA_ERROR_FOREIGN: without an event when it is gone, with FA630 when it was released before or
 * never was, as far as that can be told. */
FA_API fa_status fa_stream_release(fa_streams *streams, fa_stream stream);

/* Changes the priority; its last use stays what it was. Returns FA_ERROR_INVALID (NULL, no such
 * priority) or FA_ERROR_FOREIGN: it is gone. O(1), for a ready one O(streams of that priority that
 * were used later, or earlier: the fewer of the two). */
FA_API fa_status fa_stream_set_priority(fa_streams *streams, fa_stream stream,
                                        fa_stream_priority priority);

typedef struct fa_stream_info {
    fa_stream stream;
    void *item;
    size_t size;
    size_t align;
    size_t loaded; /* bytes: 0 while reserved, what progress said, all when ready */
    uint64_t frame_used;
    size_t pin_count;
    fa_stream_state state;
    fa_stream_priority priority;
} fa_stream_info;

/* Tells all about a stream. info: filled; zeroed (FA_STREAM_GONE) when there is none. Is no use.
 * Returns FA_ERROR_INVALID (NULL), FA_ERROR_FOREIGN: it is gone, without an event. */
FA_API fa_status fa_stream_get(fa_streams *streams, fa_stream stream, fa_stream_info *info);

/* ---- numbers ---- */

/* Identities, at every instant:
 * used == reserved + loading + ready + evicting + claimed (bytes); used <= bytes_max, but after the
 * budget was lowered below what may not go; used <= used_peak;
 * count == reserved + loading + ready + evicting (counts);
 * reserve_count == count + evict_count + release_count;
 * pinned is part of ready; loaded_bytes is ready_bytes and what loading ones have got;
 * all access, touch and pin: hit_count + miss_count. */
typedef struct fa_streams_stats {
    size_t bytes_max;
    size_t used_bytes;
    size_t used_bytes_peak;
    size_t reserved_bytes;
    size_t loading_bytes;
    size_t ready_bytes;
    size_t evicting_bytes;
    size_t claimed_bytes; /* what reservations under way wait for */
    size_t pinned_bytes;
    size_t loaded_bytes;
    size_t count;
    size_t reserved_count;
    size_t loading_count;
    size_t ready_count;
    size_t evicting_count;
    size_t pinned_count;
    uint64_t frame;         /* as advance counts them, from 1 */
    uint64_t hit_count;     /* accesses, touches and pins that found it ready... */
    uint64_t miss_count;    /* ...and that did not */
    uint64_t reserve_count; /* that succeeded */
    uint64_t refused_count; /* that failed for the budget or count_max */
    uint64_t evict_count;
    uint64_t evict_bytes;
    uint64_t release_count;
    uint64_t cancel_count;
} fa_streams_stats;

/* Reads them, all at one instant. stats: filled; zeroed on failure: FA_ERROR_INVALID. */
FA_API fa_status fa_streams_stats_get(fa_streams *streams, fa_streams_stats *stats);

/* Calls visit for each stream, in no order. The visitor sees copies taken before: it may call
 * everything. Returns how many there were; 0 for NULL (FA_ERROR_INVALID); without memory for the
 * copy nothing is visited and SIZE_MAX is returned. O(streams), locks while copying. */
FA_API size_t fa_streams_visit(fa_streams *streams,
                               void (*visit)(void *user, const fa_stream_info *info), void *user);

FA_EXTERN_C_END

#define FAI_STREAM_DECLARED
#include "fa/site.h"

#endif
