/* Who listens to what an allocator does. */
#ifndef FAI_EVENTS_H
#define FAI_EVENTS_H

#include "fa/events.h"
#include "fa/internal/listener.h"

typedef struct fai_listener {
    fai_listener_word word;
    fa_events_config config;
    uint64_t passed_count; /* items that passed the filters; atomic */
    uint32_t kinds;        /* those of config while it is open; atomic: a hint for who is outside */
    uint32_t waiting;      /* calls under way whose thread waits for another listener; atomic */
} fai_listener;

/* Guarded by the allocator's lock but where it says so. */
typedef struct fai_events {
    uint32_t kinds;   /* all that somebody listens to; atomic */
    uint32_t exiting; /* threads at their end that call listeners; atomic */
    bool closed;      /* the allocator is being destroyed; under both locks, the registry's too */
    uint64_t told_count;   /* atomic */
    uint64_t missed_count; /* atomic */
    fai_listener listener[FA_EVENTS_SUBSCRIBER_COUNT_MAX];
} fai_events;

typedef struct fai_thread fai_thread;

#define FAI_EVENTS_OF_FRAMES (FA_EVENTS_FRAMES | FA_EVENTS_BLOCKS)

/* Whether somebody listens to one of these kinds. What the caller knows to come after a
 * subscription is not overlooked; else it may be, for a moment. */
static inline bool fai_events_any(const fai_events *events, uint32_t kinds) {
    return (FAI_LOAD_RELAXED(&events->kinds) & kinds) != 0;
}
static inline bool fai_events_want(const fai_events *events, fa_events_kind kind) {
    return FA_UNLIKELY(fai_events_any(events, FA_EVENTS_BIT(kind)));
}

/* The same for whoever is about to open the fast paths of a frame: the subscription that it does
 * not see closes them. */
static inline bool fai_events_watch_frames(const fai_events *events) {
    return (FAI_LOAD_SEQ(&events->kinds) & FAI_EVENTS_OF_FRAMES) != 0;
}

/* Tells it to all who want to hear it. kind, tag, and what the kind needs are set; nanoseconds may
 * be. thread: the calling one's state, or NULL: it is looked for. Keeps the frame of the thread
 * held meanwhile, and what it did last as it was. No lock may be held. */
FA_COLD void fai_events_tell(fa_allocator *allocator, fai_thread *thread, fa_events_item *item);

/* The parts of frames that listeners see: after the begin, and after the end, of a frame of the
 * thread. */
FA_COLD void fai_events_frame_begin(fai_thread *thread);
FA_COLD void fai_events_frame_end(fai_thread *thread, size_t bytes, size_t peak, uint64_t count);

/* A block that was allocated, or is to be freed. thread: as above. */
FA_COLD void fai_events_block(fa_allocator *allocator, fai_thread *thread, fa_events_kind kind,
                              fa_intent intent, const void *address, size_t size, size_t bytes,
                              fa_tag tag);

/* A block of the open frame. size_old: of its life before; size_new: of that from now on; 0: there
 * is none. */
FA_COLD void fai_events_frame_block(fai_thread *thread, const void *block, size_t size_old,
                                    size_t size_new);

/* What became of a transfer. thread: as above; maker: of the transfer. */
FA_COLD void fai_events_transfer(fa_allocator *allocator, fai_thread *thread, fa_events_kind kind,
                                 uint64_t id, size_t size, uint64_t maker, fa_tag tag);

/* Objects that are handed over to their owner, or taken in. */
FA_COLD void fai_events_deferred(fai_thread *thread, fa_allocator *allocator, fa_events_kind kind,
                                 uint64_t owner, size_t count, size_t bytes, fa_tag tag);

/* Memory is short. */
FA_COLD void fai_events_pressure(fa_allocator *allocator, fa_events_detail detail, fa_status status,
                                 size_t size, size_t bytes);

/* A thread was attached, or is about to be detached. */
FA_COLD void fai_events_thread(fai_thread *thread, fa_events_kind kind);

/* A thread joins the list: from now on subscribing finds it. Under the lock. */
void fai_events_attach(fai_thread *thread);

/* A thread at its end tells that it detaches; false where nobody is to be told. Under the
 * registry's lock; then fai_events_thread, then fai_events_exit_done, without it. */
bool fai_events_exit_begin(fa_allocator *allocator);
void fai_events_exit_done(fa_allocator *allocator);

/* The allocator is about to go: ends all subscriptions, and waits for threads at their end. The
 * first half under the registry's lock. */
void fai_events_close(fa_allocator *allocator);
void fai_events_await_exits(fa_allocator *allocator);

/* In the child of a fork, under the lock: other threads' calls are over. */
void fai_events_fork_child(fa_allocator *allocator);

#endif
