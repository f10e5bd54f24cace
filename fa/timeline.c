#include "fa/timeline.h"

#include "fa/heap.h"
#include "fa/internal/frame.h"
#include "fa/internal/park.h"
#include "fa/internal/timeline.h"
#include "fa/pool.h"

#include <sched.h>
#include <stdio.h>

struct fa_timeline {
    fai_owned owned; /* must be first */
    fa_allocator *allocator;
    fa_timeline_config config; /* its name is the one below */
    char name[FA_NAME_BYTES];
    /* The counter, or the highest value that was read of the one elsewhere. On a line of its own,
     * with what else is written all the time. */
    fai_timeline_word counter __attribute__((aligned(64)));
    fai_timeline_word awaited;    /* the highest value that memory was kept for... */
    fai_timeline_word named;      /* ...and of frames that had none */
    fai_timeline_word references; /* how it is kept, see internal/timeline.h */
    fai_timeline_word gate;       /* to the counter elsewhere */
    uint64_t late_count;          /* atomic */
    bool fell;                    /* the counter elsewhere went back, and that was said; atomic */
    char padding[64 - 6 * sizeof(uint64_t) - sizeof(bool)];
};

static bool is_elsewhere(const fa_timeline *timeline) {
    return timeline->config.word != NULL || timeline->config.read != NULL;
}

FA_COLD static fa_status report(fa_timeline *timeline, fa_diag diag, fa_status status, size_t size,
                                size_t limit) {
    return fai_report_about(timeline->allocator, diag, status, size, limit, timeline,
                            timeline->name);
}

/* ---- what is under way on this thread ---- */

/* A function that this thread is inside of; lies on its stack. */
typedef struct reading {
    struct reading *outer;
    fa_timeline *timeline; /* stays until it goes out of the gate */
} reading;

static __thread reading *t_reading;

/* How often this thread is inside of a timeline's function. */
static uint64_t reads_here(const fa_timeline *timeline) {
    uint64_t count = 0;
    for (const reading *at = t_reading; at != NULL; at = at->outer)
        count += at->timeline == timeline;
    return count;
}

void fai_timelines_wait(uint32_t change) {
    for (const reading *at = t_reading; at != NULL; at = at->outer)
        fai_timeline_wait(&at->timeline->gate, change == 1);
}

static void free_timeline(fa_timeline *timeline) {
    fai_pool_free_by(timeline->allocator, NULL, timeline); /* also under locks */
}

static void drop_reference(fa_timeline *timeline) {
    if (fai_timeline_drop(&timeline->references))
        free_timeline(timeline);
}

/* Out of the gate. False when the timeline is destroyed, and may be gone. */
static bool leave(fa_timeline *timeline) {
    uint64_t gate = fai_timeline_leave(&timeline->gate);
    if (fai_timeline_is_last(gate))
        drop_reference(timeline);
    return (gate & FAI_TIMELINE_CLOSED) == 0;
}

/* ---- the counter ---- */

/* Goes out of the gate, too; *stays as leave says. */
static uint64_t call_read(fa_timeline *timeline, bool *stays) {
    /* What it does itself must not change what the call answers, nor the place that it blames. */
    fa_error error = fa_last_error();
    const fa_site *site = fai_slot.site;
    bool quiet = fai_quiet(false);
    fai_callback outer = fai_callback_begin();
    reading here = {t_reading, timeline};
    t_reading = &here;
    uint64_t value = timeline->config.read(timeline->config.user);
    t_reading = here.outer;
    *stays = leave(timeline);
    fai_callback_end(outer); /* it may call a hook, which may destroy the timeline */
    fai_quiet(quiet);
    fai_slot.site = site;
    fai_error_restore(error);
    return value;
}

/* What a counter elsewhere says; false once the timeline is destroyed. May call a hook. */
static bool read_elsewhere(fa_timeline *timeline, uint64_t *value) {
    if (!fai_timeline_enter(&timeline->gate))
        return false;
    /* Whoever read this value did so before: so what is read now can't be a lower one. */
    uint64_t before = fai_timeline_read(&timeline->counter);
    bool stays;
    if (timeline->config.read != NULL) {
        *value = call_read(timeline, &stays);
    } else {
        *value = FAI_LOAD_ACQUIRE(timeline->config.word);
        stays = leave(timeline);
    }
    if (!stays)
        return true;
    bool fell = FAI_LOAD_RELAXED(&timeline->fell);
    if (*value >= before) {
        (void)fai_timeline_raise(&timeline->counter, *value);
        if (fell)
            FAI_STORE_RELAXED(&timeline->fell, false);
    } else if (!fell && FAI_CAS_RELAXED(&timeline->fell, &fell, true)) { /* once */
        (void)report(timeline, FA_DIAG_FA014, FA_ERROR_STATE, 0, 0);
    }
    return true;
}

bool fai_timeline_is_due(const fa_timeline_point *point) {
    fa_timeline *timeline = point->timeline;
    uint64_t value;
    if (!is_elsewhere(timeline))
        return fai_timeline_read(&timeline->counter) >= point->value;
    return !read_elsewhere(timeline, &value) || value >= point->value;
}

uint64_t fa_timeline_value(fa_timeline *timeline) {
    uint64_t value;
    if (timeline == NULL) {
        fai_fail(FA_ERROR_INVALID, 0);
        return 0;
    }
    if (is_elsewhere(timeline) && read_elsewhere(timeline, &value))
        return value;
    return fai_timeline_read(&timeline->counter);
}

fa_status fa_timeline_advance(fa_timeline *timeline, uint64_t value) {
    if (timeline == NULL)
        return fai_fail(FA_ERROR_INVALID, 0);
    if (is_elsewhere(timeline))
        return fai_fail(FA_ERROR_UNSUPPORTED, 0);
    if (fai_timeline_raise(&timeline->counter, value))
        return FA_OK;
    return report(timeline, FA_DIAG_FA014, FA_ERROR_STATE, 0, 0);
}

/* ---- frames ---- */

void fai_timeline_name_value(const fa_timeline_point *point, bool is_kept) {
    fa_timeline *timeline = point->timeline;
    (void)fai_timeline_raise(is_kept ? &timeline->awaited : &timeline->named, point->value);
}

void fai_timeline_await(const fa_timeline_point *point, bool is_kept) {
    fai_timeline_hold(&point->timeline->references);
    fai_timeline_name_value(point, is_kept);
}

void fai_timeline_forget(const fa_timeline_point *point) { drop_reference(point->timeline); }

uint64_t fai_timeline_patience(const fa_timeline *timeline) {
    uint32_t frames = timeline->config.late_after;
    if (frames == UINT32_MAX)
        return UINT64_MAX;
    return frames != 0 ? frames : FA_TIMELINE_LATE_AFTER;
}

void fai_timeline_report_late(const fa_timeline_point *point, size_t bytes) {
    fa_timeline *timeline = point->timeline;
    FAI_ADD_RELAXED(&timeline->late_count, 1);
    (void)report(timeline, FA_DIAG_FA013, FA_OK, bytes, (size_t)fai_timeline_patience(timeline));
}

fa_status(fa_frame_end_on_each_in)(fa_frame *frame, const fa_timeline_point *point, size_t count) {
    if (frame == NULL || point == NULL || count == 0 || count > FA_TIMELINE_POINT_COUNT_MAX)
        return fai_fail(FA_ERROR_INVALID, count);
    fai_thread *thread = fai_thread_of(frame);
    for (size_t i = 0; i < count; i++)
        if (point[i].timeline == NULL || point[i].timeline->allocator != thread->allocator)
            return fai_fail(FA_ERROR_INVALID, i);
    return fai_frame_end_parked(frame, point, count);
}

fa_status(fa_frame_end_on_in)(fa_frame *frame, fa_timeline *timeline, uint64_t value) {
    fa_timeline_point point = {timeline, value};
    return (fa_frame_end_on_each_in)(frame, &point, 1);
}

fa_status(fa_frame_end_on_each)(fa_allocator *allocator, const fa_timeline_point *point,
                                size_t count) {
    fai_thread *thread = allocator ? fai_thread_find(allocator) : NULL;
    if (thread != NULL)
        return (fa_frame_end_on_each_in)(thread->frame, point, count);
    return (fa_frame_end)(allocator); /* which refuses */
}

fa_status(fa_frame_end_on)(fa_allocator *allocator, fa_timeline *timeline, uint64_t value) {
    fa_timeline_point point = {timeline, value};
    return (fa_frame_end_on_each)(allocator, &point, 1);
}

size_t(fa_frame_end_all_on)(fa_allocator *allocator, fa_timeline *timeline, uint64_t value) {
    fa_timeline_point point = {timeline, value};
    if (allocator != NULL && timeline != NULL && timeline->allocator == allocator)
        return fai_frame_end_all(allocator, &point, 1);
    fai_fail(FA_ERROR_INVALID, 0);
    return 0;
}

/* ---- as something that the allocator owns ---- */

/* Whether no frame waits any more. */
static bool is_through(fa_timeline *timeline) {
    bool is_awaited = fai_timeline_references(FAI_LOAD_RELAXED(&timeline->references)) > 1;
    return !is_awaited || fa_timeline_value(timeline) >= FAI_LOAD_RELAXED(&timeline->awaited);
}

/* Reads that are under way are let go on; then the reference of whoever made it goes. */
static void dispose(fa_timeline *timeline) {
    fai_timeline_close(&timeline->gate);
    /* Two functions that destroy each other's timeline would wait for ever. */
    fai_callback_waits(1);
    bool is_empty;
    while (!(is_empty = fai_timeline_is_empty(&timeline->gate)) &&
           !fai_timeline_leave_to_others(&timeline->gate))
        sched_yield();
    fai_callback_waits((uint32_t)-1);
    if (is_empty)
        drop_reference(timeline);
}

static void destroy_owned(fa_allocator *allocator, fai_owned *owned) {
    (void)allocator;
    fa_timeline *timeline = (fa_timeline *)owned;
    if (!is_through(timeline))
        (void)report(timeline, FA_DIAG_FA015, FA_ERROR_STATE, 0, 0);
    dispose(timeline);
}

/* Nobody is inside of a read any more but this thread, if it is one that forks. */
static void fork_child_owned(fai_owned *owned) {
    fa_timeline *timeline = (fa_timeline *)owned;
    FAI_STORE_RELAXED(&timeline->gate, reads_here(timeline));
}

static const fai_owned_kind k_timelines = {.destroy = destroy_owned,
                                           .fork_child = fork_child_owned};

fa_status fa_timeline_destroy(fa_timeline *timeline) {
    if (timeline == NULL)
        return fai_fail(FA_ERROR_INVALID, 0);
    if (reads_here(timeline) != 0) /* it would wait for itself */
        return fai_fail(FA_ERROR_STATE, 0);
    if (!is_through(timeline))
        return report(timeline, FA_DIAG_FA015, FA_ERROR_STATE, 0, 0);
    fai_owned_remove(timeline->allocator, &timeline->owned);
    dispose(timeline);
    return FA_OK;
}

fa_status fa_timeline_create(fa_allocator *allocator, const fa_timeline_config *config,
                             fa_timeline **result) {
    static const fa_timeline_config defaults;
    if (result == NULL)
        return fai_fail(FA_ERROR_INVALID, 0);
    *result = NULL;
    if (config == NULL)
        config = &defaults;
    if (allocator == NULL || (config->word != NULL && config->read != NULL) ||
        (uintptr_t)config->word % sizeof(uint64_t) != 0)
        return fai_fail(FA_ERROR_INVALID, 0);
    fa_timeline *timeline = (fa_timeline *)(fa_heap_alloc_aligned)(allocator, sizeof *timeline, 64);
    if (timeline == NULL)
        return fa_last_error().status;
    memset(timeline, 0, sizeof *timeline);
    timeline->allocator = allocator;
    timeline->config = *config;
    snprintf(timeline->name, sizeof timeline->name, "%s", config->name ? config->name : "");
    timeline->counter = is_elsewhere(timeline) ? 0 : config->value;
    timeline->references = 1;
    fai_owned_add(allocator, &timeline->owned, &k_timelines);
    *result = timeline;
    return FA_OK;
}

const char *fa_timeline_name(const fa_timeline *timeline) {
    return timeline != NULL ? timeline->name : "";
}

fa_status fa_timeline_stats_get(fa_timeline *timeline, fa_timeline_stats *stats) {
    if (stats != NULL)
        memset(stats, 0, sizeof *stats);
    if (timeline == NULL || stats == NULL)
        return fai_fail(FA_ERROR_INVALID, 0);
    uint64_t references = FAI_LOAD_RELAXED(&timeline->references);
    uint64_t awaited = FAI_LOAD_RELAXED(&timeline->awaited);
    uint64_t named = FAI_LOAD_RELAXED(&timeline->named);
    *stats = (fa_timeline_stats){.value = fa_timeline_value(timeline),
                                 .value_awaited = awaited > named ? awaited : named,
                                 .kept_count = fai_timeline_references(references) - 1,
                                 .frame_count = references >> 32,
                                 .late_count = FAI_LOAD_RELAXED(&timeline->late_count)};
    return FA_OK;
}
