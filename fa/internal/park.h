/* Frames of a thread that have ended, and whose memory is kept for a timeline. Beside the thread's
 * state, from the first such frame on; of the state, so that whoever uses it next takes them over.
 *
 * The arena of a frame that is parked changes places with an empty one: the frame after it finds
 * its own arena empty, and takes that of the oldest frame that is due. While any are parked,
 * head.frame_start is NULL, so that each begin comes by here. */
#ifndef FAI_PARK_H
#define FAI_PARK_H

#include "fa/internal/thread.h"
#include "fa/timeline.h"

typedef struct fai_parked {
    struct fai_parked *next; /* a younger one, or another spare one */
    fai_arena arena;
    size_t bytes;         /* used */
    uint64_t frame_index; /* counts from 1 */
    uint64_t ready_at;    /* frame_count from which on it may be due */
    uint64_t late_at;     /* frame_count from which on it is late */
    bool is_named;        /* there was memory to keep when its end began */
    size_t point_count;   /* of different timelines; 0: it is due */
    fa_timeline_point point[FA_TIMELINE_POINT_COUNT_MAX];
} fai_parked;

typedef struct fai_parking {
    fai_parked *oldest, *newest, *spare;
    size_t count, bytes; /* parked; read by anybody */
    size_t surplus;      /* that stayed due, and were not needed, in each begin of this window */
    size_t bytes_plan;   /* for the first chunk of a new arena */
    uint64_t late_at;    /* the first of all */
    bool is_busy;        /* somebody below on the stack is at work on it... */
    fai_parked *in_hand; /* ...and has taken this one off the list; NULL: none */
    struct fai_parking_block *blocks; /* records; this stands in the first */
    fai_thread *trim_next;            /* the next idle state that one call is trimming */
} fai_parking;

/* Whether the thread's frames have to come by here. */
static inline bool fai_park_is_used(const fai_thread *thread) {
    return thread->parking != NULL && thread->parking->count != 0;
}

/* A record for a frame of the thread that ends now; the timelines know of it. NULL with the reason
 * reported. To be given to fai_park_commit. May call hooks. */
fai_parked *fai_park_prepare(fai_thread *thread, const fa_timeline_point *point, size_t count);

/* The frame has ended, and is not counted yet: its arena goes into the record, an empty one comes
 * to its place. used: the most that it held. */
void fai_park_commit(fai_thread *thread, fai_parked *parked, size_t used, size_t peak);

/* A frame is about to begin in arena: where that is empty, it gets the memory of the oldest frame
 * that is due. Reports what is late. Calls hooks and counters of timelines. */
void fai_park_begin(fai_thread *thread, fai_arena *arena);

/* Every so many frames: gives back what was not needed since. Calls the same. */
void fai_park_settle(fai_thread *thread);

/* Gives back the memory of all that are due; 0 where somebody is at work on them. Returns the bytes
 * of chunks. Calls the same. */
size_t fai_park_trim(fai_thread *thread);

/* The same for states that no thread uses. No lock may be held. */
size_t fai_park_trim_idle(fa_allocator *allocator);

/* Bytes that the first chunk of an arena should have; 0: nothing is known. */
size_t fai_park_plan(const fai_thread *thread);

/* Whether a parked frame holds the address. */
bool fai_park_owns(const fai_thread *thread, const void *pointer);

/* A thread begins to use the state. */
void fai_park_attach(fai_thread *thread);

/* With the allocator; under locks, so no hook is called: forgets the timelines and frees promoted
 * blocks; then gives all memory back. */
void fai_park_bury(fai_thread *thread);
void fai_park_free(fai_thread *thread);

/* NULL, or what is wrong. *bytes gets those of chunks added. */
const void *fai_park_validate(const fai_thread *thread, size_t *bytes);

/* timeline.c: one more frame ends on a point, which is to be awaited where there is memory to keep;
 * only the latter; whether the point was reached; one frame less. */
void fai_timeline_await(const fa_timeline_point *point, bool is_kept);
void fai_timeline_name_value(const fa_timeline_point *point, bool is_kept);
bool fai_timeline_is_due(const fa_timeline_point *point);
void fai_timeline_forget(const fa_timeline_point *point);

/* The frames that a frame of this timeline may stay for, and what is said when it stays longer. */
uint64_t fai_timeline_patience(const fa_timeline *timeline);
void fai_timeline_report_late(const fa_timeline_point *point, size_t bytes);

#endif
