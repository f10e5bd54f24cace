/* What one thread owns inside one allocator. */
#ifndef FAI_THREAD_H
#define FAI_THREAD_H

#include "fa/internal/callback.h"
#include "fa/internal/meter.h"
#include "fa/internal/phase.h"
#include "fa/internal/queue.h"
#include "fa/internal/scratch.h"
#include "fa/internal/tally.h"
#include "fa/task.h"
#include "fa/thread.h"

/* A piece of memory that an arena bumps through; stands at the start of its span. */
struct fai_chunk {
    struct fai_chunk *next;
    struct fai_chunk *newer, *older; /* of all arenas; the allocator's lock */
    struct fai_chunk *below;         /* where the cursor came from; NULL: from nowhere */
    char *end;                       /* one past the last byte */
    char *used_end;                  /* where the cursor stood when the frame moved on */
    fai_span span;
    uint64_t serial; /* of the newest mark when the open frame took it for one block */
    bool is_alone;   /* it holds one block, before the chunks that the cursor goes through */
    bool is_spill;   /* past the cap: given back when the frame is over */
};
#define FAI_CHUNK_HEADER ((sizeof(fai_chunk) + FA_CACHE_LINE - 1) & ~(FA_CACHE_LINE - 1))

/* The memory of one frame. Chunks up to current are in use, those behind it are empty; first come
 * those with a block of their own, newest first.
 * Invariant while its frame is open: bytes used == bytes_before + (cursor - start of current). */
typedef struct fai_arena {
    fai_chunk *first;
    fai_chunk *current;
    size_t bytes_before; /* used in chunks other than current */
    size_t bytes_plan;   /* size of the one chunk to have from the next use on; 0: as it is */
    size_t window_peak;  /* most bytes in a frame since the window began */
    size_t touched;      /* most bytes since pages were last dropped */
    bool outgrown;       /* more than one chunk in this frame, counted once */
    bool trim_due;       /* look whether it is too large before its next use */
    bool stale;          /* chunks to be rebuilt before the next use */
    struct fai_note *newest_note; /* with checks or a sanitizer */
    fai_promotions promoted;      /* blocks of the frame that pool or heap served */
} fai_arena;

/* What other threads did while the open frame grew. */
typedef struct fai_frame_growth {
    uint64_t frame_index;  /* the frame in question, counted from 1 */
    uint64_t other_frames; /* that one other thread had ended when it grew first */
    bool is_reported;
} fai_frame_growth;

/* Serials above < serial <= upto belong to marks that a rewind to an older one killed. */
typedef struct fai_dead_marks {
    uint64_t above, upto;
} fai_dead_marks;
#define FAI_DEAD_MARKS_OWN 64

/* Which marks of a thread are dead: ranges in ascending order, none next to another. */
typedef struct fai_marks {
    uint64_t floor; /* all up to here: marks of earlier frames */
    size_t count, capacity;
    fai_dead_marks *dead; /* own, or the memory of span */
    fai_dead_marks own[FAI_DEAD_MARKS_OWN];
    fai_span span; /* address NULL: none yet */
} fai_marks;

typedef struct fai_cleanup fai_cleanup;

/* While clean-ups, hooks or other callbacks run in the middle of what is done to a frame: nobody
 * begins, ends or detaches it, and only marks that are set meanwhile can be rewound to. */
typedef struct fai_hold {
    bool is_held;
    uint64_t since; /* serial of the newest mark then */
} fai_hold;

/* Objects of another thread that were freed here, and not handed over yet: deferred.h. Written by
 * the owner of the state; tag, count and bytes are read by anybody. */
typedef struct fai_gathered {
    fai_thread *owner; /* of their slabs, when they came */
    uintptr_t segment; /* of the newest */
    uint32_t tag;
    size_t count, bytes;
    void *object[FA_DEFERRED_GATHER_MAX];
} fai_gathered;

/* Tasks that capture what the thread allocates from the pools, the newest last. */
typedef struct fai_captures {
    size_t count;
    fa_task task[FA_TASK_CAPTURE_DEPTH_MAX];
} fai_captures;

/* What only statistics need. Written by the owner of the state but where it says so, read by
 * anybody. */
typedef struct fai_thread_counts {
    uint64_t remote_free; /* objects of others that it freed, and does not gather any more */
    uint64_t forwarded;   /* objects that it took in for somebody else, who owns the slab by now */
    uint64_t adopted;     /* objects that were out of slabs when it adopted them */
    uint64_t direct_free; /* its objects that others put into their slabs; under the lock */
    uint64_t transfer_made, transfer_received;
} fai_thread_counts;

struct fai_thread {
    fai_thread_head head; /* must be first */
    fa_allocator *allocator;
    fai_thread_slot *slot;      /* of the owning thread; NULL when idle or frozen */
    fai_thread *next, *prev;    /* in the allocator's list */
    fai_thread **on_thread;     /* head of the list of the same thread's states... */
    fai_thread *next_on_thread; /* ...and the next in it; registry's lock */
    fai_span span;
    uint64_t index; /* written under the lock, before others find the state; atomic */
    bool exit_told; /* its thread exits, and listeners know */

    /* Frames. Written by the owner, read by anybody. */
    uint64_t frame_count, frame_alloc_count, frame_bytes; /* ended frames */
    size_t frame_bytes_peak;                              /* most in one of them */
    uint64_t frame_begun;   /* when the open frame began; 0: nobody listened */
    bool frame_traced;      /* the open frame: somebody listens to its allocations */
    uint64_t settle_at;     /* frame_count at which something below is due */
    uint64_t frame_trim_at; /* the arenas may have grown too large */
    uint64_t pool_trim_at;  /* the pools may hold too much */
    fa_frame *frame;        /* in the slot of the thread, or frame_beside */
    fa_frame frame_beside;  /* where the slot's frame belongs to another allocator */
    fai_arena *arena;       /* of the open frame, else of the last one */
    size_t chunk_bytes;     /* held in chunks, spills left out */
    size_t bytes_peak;      /* most bytes in the open frame as far as high does not say it */
    fai_marks marks;
    fai_phases phases;
    fai_cleanup *cleanups; /* of the open frame, newest first */
    fai_retains retains;
    fai_hold hold;
    fai_meter meter;
    fai_arena arenas[FA_FRAMES_IN_FLIGHT_MAX];
    struct fai_parking *parking; /* frames kept for timelines; NULL: none yet; atomic */
    fai_thread *end_next;        /* while the frames of all threads are ended */
    bool was_ended;              /* then */
    bool is_end_due;             /* another thread ended the last frame, and left some of it */
    fai_frame_growth growth;

    fai_scratch scratch;

    /* Pools. */
    fai_pool pool; /* of untagged objects; its next are those of tags */
    fai_tallies tallies __attribute__((aligned(64)));
    fai_thread_budget budget;
    fai_captures captures;
    struct fai_lane *lane; /* transfers that it made; of the state, whoever uses it */

    fai_thread_counts counts;
    char name[FA_THREAD_NAME_BYTES]; /* guarded by the lock */

    /* Frees across threads; see deferred.c for amounts. */
    fai_gathered gathered;
    void *deferred_taken;        /* nodes from the queue that were not looked at yet */
    uint64_t deferred_processed; /* amount; read by anybody, as are the next two */
    uint64_t deferred_processed_count;
    size_t deferred_peak;          /* objects in the queue at once */
    struct fai_task_record *tasks; /* none of them any more: for those that begin here. Of the
                                    * state, whoever uses it */
    /* Of captures: the level of each. Here, where there was a hole: so nothing else moves, and no
     * two fields that are used together come to stand 4 KiB apart. */
    uint8_t capture_level[FA_TASK_CAPTURE_DEPTH_MAX];
    /* Objects that other threads freed; closed when the thread is gone. On a line of its own: other
     * threads write it. */
    fai_queue deferred __attribute__((aligned(64)));
    uint64_t deferred_queued;     /* amount */
    uint64_t deferred_full_count; /* frees that found it full */
    uint64_t deferred_dropped;    /* amount of those that were dropped */
    bool deferred_warned;         /* that much waits, since some was processed */
    char padding[64 - sizeof(fai_queue) - 3 * sizeof(uint64_t) - sizeof(bool)];
};

/* Whether a task captures what the thread allocates now. */
static inline bool fai_thread_captures(const fai_thread *thread) {
    size_t count = thread->captures.count;
    return FA_UNLIKELY(count != 0) && thread->capture_level[count - 1] == fai_callback_now.level;
}

/* A state of the calling thread whose newest capture was begun on this level or a higher one. */
fai_thread *fai_thread_capturing(uint32_t level);

/* capture.c: the newest capture ends; returns its task. */
fa_task fai_capture_drop(fai_thread *thread);
/* The captures of a state of the calling thread end unnoticed, as it is given up. */
void fai_captures_forget(fai_thread *thread);

/* Where cursor and limit of a thread without an open frame point. */
extern char fai_frame_closed[FA_ALIGN_MIN];

static inline bool fai_frame_is_open(const fai_thread *thread) {
    return thread->frame->cursor != fai_frame_closed;
}

/* The frame that is open, or the next one, begins and ends through the slow paths. Atomic, for a
 * budget does the same from another thread. */
static inline void fai_frame_look_closer(fai_thread *thread) {
    FAI_STORE_RELAXED(&thread->head.frame_start, NULL);
}

/* A frame begins: its allocations are told from here on, or none of them is. */
static inline void fai_frame_trace(fai_thread *thread) {
    thread->frame_traced = fai_events_any(&thread->allocator->events, FA_EVENTS_BLOCKS);
    if (FA_UNLIKELY(thread->frame_traced))
        fai_frame_look_closer(thread); /* the end of this frame ends that */
}

/* Whether the open frame may have to do with budgets: then its slow paths look closer, and nothing
 * but allocations takes a fast one. */
static inline bool fai_thread_is_metered(const fai_thread *thread) {
    return FAI_LOAD_RELAXED(&thread->allocator->budgets.meters) != 0 ||
           thread->meter.account != NULL || thread->meter.count != 0 ||
           thread->arena->promoted.count != 0;
}

/* Pool objects of the tag that the thread is in. */
static inline fai_pool_view *fai_thread_view(fai_thread *thread) {
    return fai_tally_now(&thread->tallies)->view;
}

/* The pool that a thread has for objects of a slab of its own. */
static inline fai_pool *fai_thread_pool_of(fai_thread *thread, uint32_t tag) {
    return tag == 0 ? &thread->pool
                    : thread->tallies.block[tag / FAI_TAG_BLOCK]->tally[tag % FAI_TAG_BLOCK].pool;
}

/* The tally of a tag that the thread has a pool for. */
static inline fai_tally *fai_tally_of(fai_thread *thread, uint32_t tag) {
    return tag == 0 ? &thread->tallies.untagged
                    : &thread->tallies.block[tag / FAI_TAG_BLOCK]->tally[tag % FAI_TAG_BLOCK];
}

/* From now on the exit of the calling thread is seen, attached or not. FA_ERROR_NO_MEMORY, or
 * FA_ERROR_UNSUPPORTED: it is past that already. */
fa_status fai_thread_watch_exit(void);

/* barrier.c: whether the calling thread may be a member of a barrier; that it is of none. */
bool fai_barrier_is_joined(void);
void fai_barrier_forget(void);
/* The thread, which exits, is taken away from a barrier of the allocator that it is still a member
 * of. Returns that barrier, or NULL: none. Under the registry's lock. O(what the allocator owns) */
const void *fai_barrier_abandon(fa_allocator *allocator);

/* The calling thread's state: when it was used last, at once; else after a search, or attached.
 * NULL with the error reported. */
fai_thread *fai_thread_search(fa_allocator *allocator, bool attach);
static inline fai_thread *fai_thread_get(fa_allocator *allocator) {
    if (FA_LIKELY(FAI_LOAD_RELAXED(&fai_slot.owner) == allocator))
        return (fai_thread *)fai_slot.head;
    return allocator ? fai_thread_search(allocator, true) : NULL;
}
/* The same, but NULL, without a report, when the thread is not attached. */
static inline fai_thread *fai_thread_find(fa_allocator *allocator) {
    if (FA_LIKELY(FAI_LOAD_RELAXED(&fai_slot.owner) == allocator))
        return (fai_thread *)fai_slot.head;
    return fai_thread_search(allocator, false);
}

/* For a thread that is not attached and frees an object of another: NULL, but from the 64th such
 * free on it is attached, where nothing is limited, so that it gathers what it frees (deferred.h).
 * Nothing is reported when it can't be. No lock may be held. */
fai_thread *fai_thread_for_free(fa_allocator *allocator);

/* Puts an allocator on the list of all, and takes it off; then every thread forgets it. */
void fai_registry_add(fa_allocator *allocator);
void fai_registry_remove(fa_allocator *allocator);

/* The allocator is about to go: nothing is told to listeners from now on, and no thread that exits
 * is inside of one. */
void fai_registry_silence(fa_allocator *allocator);

/* Frees the promoted blocks of all open frames; damage that is found is counted, no hook called.
 * Threads that are done with the allocator may be exiting right now. */
void fai_registry_bury(fa_allocator *allocator);

/* defer.c: runs the clean-ups registered since a mark, 0: all. No lock may be held. */
void fai_cleanup_run(fai_thread *thread, uint64_t serial);

/* frame.c */
void fai_frame_attach(fai_thread *thread);
void fai_frame_detach(fai_thread *thread); /* gives its chunks back; keeps them when sealed */
bool fai_frame_owns(const fai_thread *thread, const void *pointer);
/* Whether an address lies in memory that frames have, of any thread, open or not, or in a block of
 * the calling thread's frame that pool or heap served. Locks; O(chunks) */
bool fai_frame_has(fa_allocator *allocator, const void *pointer);
/* Whether all size bytes of the block are the open frame's. O(chunks) */
bool fai_frame_holds(const fai_thread *thread, const void *block, size_t size);
const void *fai_frame_validate(const fai_thread *thread);

#endif
