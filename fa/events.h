/* Life-cycle events: what an allocator does, told as it happens.
 *
 *   static void ended(void *user, const fa_events_item *item) {
 *       draw(user, item->thread_index, item->nanoseconds, item->duration, item->bytes_peak);
 *   }
 *   fa_events_config config = {.kinds = FA_EVENTS_BIT(FA_EVENTS_FRAME_END), .function = ended};
 *   fa_events_id id;
 *   fa_events_subscribe(allocator, &config, &id);
 *   ...
 *   fa_events_unsubscribe(allocator, id);
 *
 * What goes wrong is reported through the hook of the configuration (diag.h); this is about what
 * goes right. As long as nobody listens it costs nothing: no fast path looks. While somebody
 * listens to frames, each begin and end takes its slow path; while somebody listens to allocations
 * or frees, so does each of these, on all threads. The clock is read only for events that somebody
 * listens to.
 *
 * From when on: subscribing waits for nobody, and other threads go on. What a thread does after it
 * has learned that subscribe returned is told, and most of what happens meanwhile; with one
 * exception: the allocations of a frame are told all or none, so from the thread's next begin on. A
 * frame that was open already ends with duration 0.
 *
 * A callback runs on the thread that did it, at once, with no lock held: it may allocate, free,
 * query, subscribe, and unsubscribe itself and others. The frame of the thread, in this allocator,
 * can't be begun, ended, or detached there, and rewound only to marks set there (FA009). What a
 * callback does to the same allocator is counted (missed_count), but told to nobody: so it never
 * calls itself, and who keeps a list of live blocks must expect a free of one that he never saw. It
 * must not destroy the allocator. */
#ifndef FA_EVENTS_H
#define FA_EVENTS_H

#include "fa/tag.h"

FA_EXTERN_C_BEGIN

/* Subscriptions that one allocator can have at once. */
#define FA_EVENTS_SUBSCRIBER_COUNT_MAX 16

/* What is told, and what of fa_events_item each kind fills besides what all have. */
typedef enum fa_events_kind {
    FA_EVENTS_FRAME_BEGIN, /* the frame is open; frame_index is its number */
    FA_EVENTS_FRAME_END,   /* it is closed: duration, bytes, bytes_peak, count. A frame that its
                            * thread leaves open when it exits has none */
    /* A block of frame, pool or heap memory: intent, address, size, bytes, tag. Frame blocks are
     * not freed, they go with their frame or a rewind. One that changes its size is freed and
     * allocated. What a budget promotes is told as a block of the intent that serves it. The
     * library takes memory from the heap for what is built on it: slabs of typed pools, say. */
    FA_EVENTS_ALLOC, /* it is the caller's */
    FA_EVENTS_FREE,  /* it is still there, so that nobody else can have it yet; but for a block that
                      * changes its size, and where a free may be refused (FA_DEFERRED_FULL_FAIL) */
    /* Pool objects of another thread (deferred.h): with checks there is no queue. */
    FA_EVENTS_DEFERRED_QUEUED,    /* handed over: other_thread, count, bytes, tag */
    FA_EVENTS_DEFERRED_PROCESSED, /* taken in: count, bytes */
    FA_EVENTS_TRANSFER_MADE,      /* transfer_id, size, bytes; before anybody can receive it */
    FA_EVENTS_TRANSFER_RECEIVED,  /* the same, and other_thread, who made it */
    FA_EVENTS_TRANSFER_DROPPED,   /* likewise */
    /* Memory is short: detail, status, size (missing), bytes (given back). */
    FA_EVENTS_PRESSURE,
    /* A budget is passed: detail, intent, tag, size (asked for; 0: known only that usage passed
     * it), bytes (in use), limit. */
    FA_EVENTS_BUDGET,
    FA_EVENTS_THREAD_ATTACHED,
    FA_EVENTS_THREAD_DETACHED, /* it will be, and still is attached */
    FA_EVENTS_KIND_COUNT
} fa_events_kind;

#define FA_EVENTS_BIT(kind) ((uint32_t)1 << (kind))
#define FA_EVENTS_FRAMES (FA_EVENTS_BIT(FA_EVENTS_FRAME_BEGIN) | FA_EVENTS_BIT(FA_EVENTS_FRAME_END))
/* These two slow down every thread. */
#define FA_EVENTS_BLOCKS (FA_EVENTS_BIT(FA_EVENTS_ALLOC) | FA_EVENTS_BIT(FA_EVENTS_FREE))
#define FA_EVENTS_ALL (FA_EVENTS_BIT(FA_EVENTS_KIND_COUNT) - 1)

/* More about pressure and budgets. */
typedef enum fa_events_detail {
    FA_EVENTS_DETAIL_NONE,
    /* A request found no memory, and something was given back for it: by caches of the allocator,
     * by a reclaimer of the program, or the reserve was released (reserve.h). */
    FA_EVENTS_DETAIL_CACHES,
    FA_EVENTS_DETAIL_RECLAIMER,
    FA_EVENTS_DETAIL_RESERVE,
    /* Nothing helped: the request failed. */
    FA_EVENTS_DETAIL_REFUSED,
    /* A budget passed its soft limit, or its hard one: with policies that serve all the same once
     * each time that usage passes it, else with each request that it stopped. */
    FA_EVENTS_DETAIL_SOFT,
    FA_EVENTS_DETAIL_HARD
} fa_events_detail;

/* One event. Fields that a kind does not fill are 0. Valid during the call. */
typedef struct fa_events_item {
    /* All kinds. */
    fa_events_kind kind;
    fa_allocator *allocator;
    uint64_t nanoseconds;  /* monotonic clock of the system, when it was told */
    uint64_t thread_index; /* counts attached threads from 1; 0: of no attached thread */
    uint64_t frame_index;  /* frames begun on that thread so far */
    fa_tag tag; /* that the thread is in, but: that the block is accounted to, that the transfer was
                 * made in; that the budget is of, FA_TAG_NONE: the thread's */

    fa_events_detail detail;
    fa_intent intent;      /* whose block; what the budget is on, FA_INTENT_NONE: the total */
    fa_status status;      /* why there was no memory */
    uint64_t duration;     /* of the frame in nanoseconds; 0: nobody listened when it began */
    uint64_t count;        /* allocations of the frame (0 with FA_MINIMAL); objects handed over */
    size_t size;           /* as asked for; 0: not known, as for most pool objects that are freed */
    size_t bytes;          /* held: that a block takes is the same at its allocation and free */
    size_t bytes_peak;     /* most at once in the frame, rewound bytes too */
    size_t limit;          /* of the budget */
    const void *address;   /* of the block */
    uint64_t other_thread; /* as thread_index */
    uint64_t transfer_id;
} fa_events_item;

/* A callback: see above. user: as in the configuration. */
typedef void fa_events_fn(void *user, const fa_events_item *item);

/* What somebody wants to hear. All but kinds and function may be 0. */
typedef struct fa_events_config {
    uint32_t kinds;         /* sum of FA_EVENTS_BIT values, at least one */
    fa_events_fn *function; /* not NULL */
    void *user;             /* its first argument */
    /* Filters: what passes all of them is told. */
    uint64_t thread_index; /* only this thread; 0: all */
    fa_tag tag;            /* only items of this tag and those below it; FA_TAG_ROOT: all */
    size_t bytes_min;      /* only items with at least so many bytes; not asked of FRAME_BEGIN,
                            * THREAD_ATTACHED and THREAD_DETACHED, which have none */
    uint32_t every;        /* of what is left only the first, and each every-th after it; 0 or 1:
                            * each one. Counted over all threads and kinds */
} fa_events_config;

/* Names a subscription for ever. id 0 is none. */
typedef struct fa_events_id {
    uint64_t id;
} fa_events_id;

/* Subscribes. config: copied. *id: gets the subscription's, id 0 on failure; may be NULL for one
 * that is to last as long as the allocator. Takes no memory, so it works in a sealed allocator too.
 * Returns FA_OK, FA_ERROR_INVALID (NULL, no kind or an unknown one, a tag that there is not), or
 * FA_ERROR_LIMIT (FA_EVENTS_SUBSCRIBER_COUNT_MAX; 0 while the allocator is destroyed). Any thread;
 * locks, O(threads), with FA_EVENTS_BLOCKS O(threads * tags + slabs). */
FA_API fa_status fa_events_subscribe(fa_allocator *allocator, const fa_events_config *config,
                                     fa_events_id *id);

/* Ends a subscription. When it returns its callback runs on no thread any more, and never will: so
 * user may go. It does not wait where that would be for ever: called from inside of that very
 * callback, which then may still be running on other threads too, and while a thread inside of it
 * itself waits, here, in fa_reclaimer_remove, in fa_timeline_destroy or for a budget, as when two
 * end each other.
 * Returns FA_OK, FA_ERROR_INVALID (NULL), or FA_ERROR_FOREIGN: there is no such subscription (any
 * more). Any thread, as fa_events_subscribe; waits for callbacks. The destruction of the allocator
 * ends what is left before it does anything else: none of that is told. */
FA_API fa_status fa_events_unsubscribe(fa_allocator *allocator, fa_events_id id);

typedef struct fa_events_stats {
    size_t subscriber_count;
    uint64_t told_count;   /* calls of callbacks */
    uint64_t missed_count; /* events that came up inside of a callback, or where none can be called:
                            * when a thread exits */
} fa_events_stats;

/* Reads them. stats: filled, zeroed on failure. Returns FA_OK or FA_ERROR_INVALID (NULL). Any
 * thread, no lock. */
FA_API fa_status fa_events_stats_get(fa_allocator *allocator, fa_events_stats *stats);

/* Name of a kind: "frame begin". A static string; "unknown" for what is none. Any thread. */
FA_API const char *fa_events_kind_name(fa_events_kind kind);

FA_EXTERN_C_END

#endif
