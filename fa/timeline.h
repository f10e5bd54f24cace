/* Timelines: frames whose memory somebody else is still reading when they end.
 *
 * A timeline is a counter that only goes up: what a GPU has finished, which jobs are through, which
 * block of sound was played. A frame that is ended on a timeline names a value; its memory stays as
 * it is, readable, until the counter has reached that. Which frame is whose turn is not guessed
 * from a number of frames, as with frames_in_flight: when the GPU falls behind, the thread gets
 * other memory, and never overwrites what is read.
 *
 *   fa_timeline_config config = {.name = "gpu"};
 *   fa_timeline_create(allocator, &config, &gpu);
 *   while (running) {
 *       fa_frame *frame = fa_frame_begin(allocator);
 *       ... upload buffers, draw lists: frame memory that the GPU reads ...
 *       submit(++number);
 *       fa_frame_end_on_in(frame, gpu, number);
 *   }
 *   ... elsewhere, when the GPU has finished a submission:
 *   fa_timeline_advance(gpu, finished);
 *
 * A thread's next frame takes the memory of the oldest of its ended frames that is due, or new
 * memory where none is. How many are kept is limited by nothing but memory: frame_bytes_max counts
 * them, and so does bytes_max; budgets of tags and threads count open frames only. What a spike
 * left behind goes back after frame_trim_after frames in which it was not needed, with
 * fa_allocator_trim, and when memory runs out.
 *
 * All else about such a frame is over when it ends: clean-ups have run, marks are dead, nothing can
 * be allocated from it. It lives at least as long as frames_in_flight says, too. Its memory is
 * poisoned and filled (FA_CHECK_FILL), its guards are verified, when it is taken again. When its
 * thread detaches or exits it stays, and the next thread that attaches takes it over. Frames may
 * end with and without timelines in any order. While some are kept, begin and end take their slow
 * paths (some 50 ns), which do not lock. */
#ifndef FA_TIMELINE_H
#define FA_TIMELINE_H

#include "fa/frame.h"

FA_EXTERN_C_BEGIN

typedef struct fa_timeline fa_timeline;

/* Reads a counter that the program has elsewhere (vkGetSemaphoreCounterValue and the like). Called
 * by begins of frames, by ends that keep one, trims, fa_timeline_value, fa_timeline_stats_get,
 * fa_timeline_destroy, fa_allocator_destroy, and allocations when memory runs out, on their
 * threads, several at once; the library holds no lock then. What was done before the counter got
 * the value that it returns must be seen by its caller. It may allocate, free, query and fork: the
 * child goes on where it was. The timeline can't be destroyed there (FA_ERROR_STATE); inside of a
 * call that works on frames, none of its thread can be begun, ended or rewound, and it can't be
 * detached (FA009). */
typedef uint64_t fa_timeline_fn(void *user);

/* Zero for what has no meaning. */
typedef struct fa_timeline_config {
    /* Shown in reports; copied, cut to FA_NAME_BYTES - 1. NULL: "". */
    const char *name;
    /* Where it stands at first, when it is the timeline's own counter. */
    uint64_t value;
    /* A counter in memory that others raise, such as a fence in mapped memory: aligned to 8, read
     * with acquire. It must stay until the timeline is destroyed. NULL: none. */
    const uint64_t *word;
    /* A counter that a function reads, and its argument. NULL: none. At most one of both. */
    fa_timeline_fn *read;
    void *user;
    /* A frame that is kept while its thread ends more than so many others is reported (FA013),
     * once. 0: FA_TIMELINE_LATE_AFTER. UINT32_MAX: never. */
    uint32_t late_after;
} fa_timeline_config;

/* A quarter of a second at 60 Hz; swap chains are 2 or 3 behind. */
#define FA_TIMELINE_LATE_AFTER 16

/* Makes a timeline.
 * config: copied. NULL: a counter of its own from 0, without a name.
 * *timeline: it, or NULL. Lives until fa_timeline_destroy or the end of the allocator.
 * Returns FA_OK, FA_ERROR_INVALID (NULL, both word and read, word not aligned), or why there is no
 * memory, as fa_heap_alloc. Any thread. */
FA_API fa_status fa_timeline_create(fa_allocator *allocator, const fa_timeline_config *config,
                                    fa_timeline **timeline);

/* Destroys a timeline; no other call may use it any more. Frames that are due and were not taken
 * again yet stay so. A counter elsewhere is not read after the return, and its function runs on no
 * thread any more: it waits for that, but not where that would be for ever: while a thread inside
 * of the function itself waits, here, in fa_events_unsubscribe, in fa_reclaimer_remove or for a
 * budget, as when two destroy each other's timeline.
 * Returns FA_OK, FA_ERROR_INVALID for NULL, or FA_ERROR_STATE: while a frame is kept that is not
 * due (FA015), and inside of its own function; then nothing changes. When the allocator is
 * destroyed with such frames, FA015 is reported and their memory goes with the rest. Any thread;
 * locks, waits for functions. */
FA_API fa_status fa_timeline_destroy(fa_timeline *timeline);

/* Says that value was reached. What the caller did before, reading frames included, comes before
 * whatever the next users of the memory do. The present value again: nothing changes.
 * Returns FA_OK, FA_ERROR_INVALID for NULL, FA_ERROR_STATE (FA014) when value is below the present
 * one, which stays, or FA_ERROR_UNSUPPORTED when the counter is elsewhere. Any thread, any number
 * of them; no lock. */
FA_API fa_status fa_timeline_advance(fa_timeline *timeline, uint64_t value);

/* What was reached so far; 0 for NULL (FA_ERROR_INVALID). What was done before that value was
 * reached is seen by the caller. Any thread; no lock. */
FA_API uint64_t fa_timeline_value(fa_timeline *timeline);

/* The name, "" without one and for NULL. Lives as long as the timeline. */
FA_API const char *fa_timeline_name(const fa_timeline *timeline);

/* A value of a timeline to be reached. */
typedef struct fa_timeline_point {
    fa_timeline *timeline;
    uint64_t value;
} fa_timeline_point;

/* Points that one frame can wait for. */
#define FA_TIMELINE_POINT_COUNT_MAX 4

/* Ends the calling thread's frame as fa_frame_end does, and keeps its memory until timeline has
 * reached value. It may have: then the next frame may take it.
 * Returns as fa_frame_end; FA_ERROR_INVALID also for a timeline that is NULL or of another
 * allocator. Before the first such end of a thread, and where more frames are kept than ever
 * before, memory for a record is needed: when there is none, the frame stays open, with
 * FA_ERROR_NO_MEMORY, FA_ERROR_LIMIT or FA_ERROR_SEALED. O(1) without a lock, but for what
 * fa_frame_end says. */
FA_API fa_status fa_frame_end_on(fa_allocator *allocator, fa_timeline *timeline, uint64_t value);
FA_API fa_status fa_frame_end_on_in(fa_frame *frame, fa_timeline *timeline, uint64_t value);

/* The same for several points, all of which must be reached. Of several of one timeline the highest
 * counts, and the frame is one of it.
 * point: count of them, from 1 to FA_TIMELINE_POINT_COUNT_MAX, else FA_ERROR_INVALID. */
FA_API fa_status fa_frame_end_on_each(fa_allocator *allocator, const fa_timeline_point *point,
                                      size_t count);
FA_API fa_status fa_frame_end_on_each_in(fa_frame *frame, const fa_timeline_point *point,
                                         size_t count);

/* fa_frame_end_all, with the memory of each frame kept until timeline has reached value. A frame
 * for which there is no memory for a record stays open, with the reason reported. Returns how many
 * frames it has ended; 0 with FA_ERROR_INVALID also for a timeline that is NULL or of another
 * allocator. */
FA_API size_t fa_frame_end_all_on(fa_allocator *allocator, fa_timeline *timeline, uint64_t value);

/* What a timeline has seen. */
typedef struct fa_timeline_stats {
    uint64_t value;         /* reached */
    uint64_t value_awaited; /* the highest that a frame was ended on */
    size_t kept_count;      /* frames whose memory was not taken again yet, due or not */
    uint64_t frame_count;   /* frames that were ended on it; modulo 2^32 */
    uint64_t late_count;    /* of them, that were reported (FA013) */
} fa_timeline_stats;

/* Reads the stats. Returns FA_OK or FA_ERROR_INVALID (NULL). Any thread; no lock. */
FA_API fa_status fa_timeline_stats_get(fa_timeline *timeline, fa_timeline_stats *stats);

FA_EXTERN_C_END

#endif
