/* Life-cycle events: subscriptions, and how something is told to them. */
#include "fa/events.h"

#include "fa/internal/clock.h"
#include "fa/internal/frame.h"
#include "fa/internal/pool.h"

#include <sched.h>
#include <string.h>

#define INDEX_BITS 8 /* of the listener, in an id */
_Static_assert(FA_EVENTS_SUBSCRIBER_COUNT_MAX <= 1 << INDEX_BITS, "an id holds it");

/* What has no bytes that a filter could ask about. */
#define WITHOUT_BYTES                                                                              \
    (FA_EVENTS_BIT(FA_EVENTS_FRAME_BEGIN) | FA_EVENTS_BIT(FA_EVENTS_THREAD_ATTACHED) |             \
     FA_EVENTS_BIT(FA_EVENTS_THREAD_DETACHED))

/* A callback that this thread is inside of; lies on its stack. */
typedef struct call {
    struct call *outer;
    fa_allocator *allocator;
    fai_listener *listener;
} call;

static __thread call *t_call;            /* the innermost */
static __thread fa_allocator *t_exiting; /* this thread exits, and tells so */

static bool is_telling(const fa_allocator *allocator) {
    const call *at = t_call;
    while (at != NULL && at->allocator != allocator)
        at = at->outer;
    return at != NULL;
}

static bool is_inside(const fai_listener *listener) {
    const call *at = t_call;
    while (at != NULL && at->listener != listener)
        at = at->outer;
    return at != NULL;
}

/* Sequentially consistent, as is the look at it: of two who wait for each other at least one sees
 * that the other does. */
void fai_events_waits(uint32_t change) {
    for (const call *at = t_call; at != NULL; at = at->outer)
        FAI_ADD_SEQ(&at->listener->waiting, change);
}

/* ---- telling ---- */

static bool is_wanted(fai_listener *listener, const fa_events_item *item) {
    const fa_events_config *config = &listener->config;
    if ((config->kinds & FA_EVENTS_BIT(item->kind)) == 0)
        return false;
    if (config->thread_index != 0 && config->thread_index != item->thread_index)
        return false;
    if (config->tag != FA_TAG_ROOT &&
        (item->tag == FA_TAG_NONE || !fai_tag_is_below(item->allocator, item->tag, config->tag)))
        return false;
    if (item->bytes < config->bytes_min && (WITHOUT_BYTES & FA_EVENTS_BIT(item->kind)) == 0)
        return false;
    return config->every <= 1 || FAI_ADD_RELAXED(&listener->passed_count, 1) % config->every == 0;
}

static void tell_one(fai_listener *listener, const fa_events_item *item) {
    if ((FAI_LOAD_RELAXED(&listener->kinds) & FA_EVENTS_BIT(item->kind)) == 0 ||
        !fai_listener_enter(&listener->word))
        return;
    if (is_wanted(listener, item)) {
        call here = {t_call, item->allocator, listener};
        t_call = &here;
        FAI_ADD_RELAXED(&item->allocator->events.told_count, 1);
        fai_callback outer = fai_callback_begin();
        listener->config.function(listener->config.user, item);
        fai_callback_end(outer); /* it may call a hook, which may unsubscribe this one */
        t_call = here.outer;
    }
    fai_listener_leave(&listener->word);
}

static void tell_all(fa_events_item *item) {
    fai_events *events = &item->allocator->events;
    for (size_t i = 0; i < FA_EVENTS_SUBSCRIBER_COUNT_MAX; i++)
        tell_one(&events->listener[i], item);
}

/* The same for what was done to another thread's frame: that of the calling thread is held, too. */
static void tell_beside(fa_events_item *item) {
    fai_thread *own = fai_thread_find(item->allocator);
    if (own == NULL) {
        tell_all(item);
        return;
    }
    fai_hold hold = fai_frame_hold(own);
    tell_all(item);
    fai_frame_unhold(own, hold);
}

void fai_events_tell(fa_allocator *allocator, fai_thread *thread, fa_events_item *item) {
    if (fai_is_hushed() || is_telling(allocator)) {
        FAI_ADD_RELAXED(&allocator->events.missed_count, 1);
        return;
    }
    /* What callbacks do themselves must not change what the call answers, nor where it goes on. */
    fa_error error = fa_last_error();
    const fa_site *site = fai_slot.site;
    bool quiet = fai_quiet(false);
    if (thread == NULL)
        thread = fai_thread_find(allocator);
    item->allocator = allocator;
    if (item->nanoseconds == 0)
        item->nanoseconds = fai_clock();
    if (thread == NULL) {
        tell_all(item);
    } else {
        item->thread_index = thread->index;
        item->frame_index = thread->frame_count + fai_frame_is_open(thread);
        fai_hold hold = fai_frame_hold(thread);
        if (thread->slot == &fai_slot)
            tell_all(item);
        else
            tell_beside(item);
        fai_frame_unhold(thread, hold);
        if (FAI_LOAD_RELAXED(&fai_slot.owner) != allocator)
            (void)fai_thread_find(allocator);
    }
    fai_quiet(quiet);
    fai_slot.site = site;
    fai_error_restore(error);
}

static fa_tag tag_of(const fai_thread *thread) { return fai_tally_now(&thread->tallies)->tag; }

void fai_events_frame_begin(fai_thread *thread) {
    fai_events *events = &thread->allocator->events;
    fa_events_item item = {.kind = FA_EVENTS_FRAME_BEGIN, .tag = tag_of(thread)};
    if (!fai_events_any(events, FA_EVENTS_FRAMES))
        return;
    item.nanoseconds = thread->frame_begun = fai_clock();
    fai_frame_look_closer(thread); /* the end of this frame forgets it */
    if (fai_events_want(events, FA_EVENTS_FRAME_BEGIN))
        fai_events_tell(thread->allocator, thread, &item);
}

void fai_events_frame_end(fai_thread *thread, size_t bytes, size_t peak, uint64_t count) {
    fa_events_item item = {.kind = FA_EVENTS_FRAME_END,
                           .tag = tag_of(thread),
                           .bytes = bytes,
                           .bytes_peak = peak,
                           .count = count};
    uint64_t begun = thread->frame_begun;
    thread->frame_begun = 0;
    if (!fai_events_want(&thread->allocator->events, FA_EVENTS_FRAME_END))
        return;
    item.nanoseconds = fai_clock();
    item.duration = begun != 0 ? item.nanoseconds - begun : 0;
    fai_events_tell(thread->allocator, thread, &item);
}

void fai_events_block(fa_allocator *allocator, fai_thread *thread, fa_events_kind kind,
                      fa_intent intent, const void *address, size_t size, size_t bytes,
                      fa_tag tag) {
    fa_events_item item = {.kind = kind,
                           .intent = intent,
                           .address = address,
                           .size = size,
                           .bytes = bytes,
                           .tag = tag};
    fai_events_tell(allocator, thread, &item);
}

void fai_events_frame_block(fai_thread *thread, const void *block, size_t size_old,
                            size_t size_new) {
    fai_events *events = &thread->allocator->events;
    if (size_old != 0 && fai_events_want(events, FA_EVENTS_FREE))
        fai_events_block(thread->allocator, thread, FA_EVENTS_FREE, FA_INTENT_FRAME, block,
                         size_old, fai_round_up(size_old, FA_ALIGN_MIN), tag_of(thread));
    if (size_new != 0 && fai_events_want(events, FA_EVENTS_ALLOC))
        fai_events_block(thread->allocator, thread, FA_EVENTS_ALLOC, FA_INTENT_FRAME, block,
                         size_new, fai_round_up(size_new, FA_ALIGN_MIN), tag_of(thread));
}

void fai_events_transfer(fa_allocator *allocator, fai_thread *thread, fa_events_kind kind,
                         uint64_t id, size_t size, uint64_t maker, fa_tag tag) {
    if (!fai_events_want(&allocator->events, kind))
        return;
    fa_events_item item = {.kind = kind,
                           .transfer_id = id,
                           .size = size,
                           .bytes = size,
                           .other_thread = maker,
                           .tag = tag};
    fai_events_tell(allocator, thread, &item);
}

void fai_events_deferred(fai_thread *thread, fa_allocator *allocator, fa_events_kind kind,
                         uint64_t owner, size_t count, size_t bytes, fa_tag tag) {
    fa_events_item item = {
        .kind = kind, .other_thread = owner, .count = count, .bytes = bytes, .tag = tag};
    fai_events_tell(allocator, thread, &item);
}

void fai_events_pressure(fa_allocator *allocator, fa_events_detail detail, fa_status status,
                         size_t size, size_t bytes) {
    if (!fai_events_want(&allocator->events, FA_EVENTS_PRESSURE) || fai_is_quiet())
        return;
    fa_events_item item = {.kind = FA_EVENTS_PRESSURE,
                           .detail = detail,
                           .status = status,
                           .size = size,
                           .bytes = bytes,
                           .tag = fai_tag_now(allocator)};
    fai_events_tell(allocator, NULL, &item);
}

void fai_events_thread(fai_thread *thread, fa_events_kind kind) {
    if (!fai_events_want(&thread->allocator->events, kind))
        return;
    fa_events_item item = {.kind = kind, .tag = tag_of(thread)};
    fai_events_tell(thread->allocator, thread, &item);
}

/* ---- who listens ---- */

/* What all together listen to has changed. Under the lock. */
static void put_in_force(fa_allocator *allocator) {
    fai_events *events = &allocator->events;
    uint32_t kinds = 0;
    for (size_t i = 0; i < FA_EVENTS_SUBSCRIBER_COUNT_MAX; i++)
        kinds |= FAI_LOAD_RELAXED(&events->listener[i].kinds);
    FAI_STORE_SEQ(&events->kinds, kinds);
    bool traced = (kinds & FA_EVENTS_BLOCKS) != 0;
    if (traced != allocator->pools.traced)
        fai_pool_trace(allocator, traced);
    if ((kinds & FAI_EVENTS_OF_FRAMES) == 0)
        return;
    /* As for budgets: frames that are open or have not begun yet take the slow paths. Whoever opens
     * the fast ones looks at kinds after that: one of the two sees the other. */
    for (fai_thread *thread = allocator->threads; thread; thread = thread->next)
        FAI_STORE_SEQ(&thread->head.frame_start, NULL);
}

void fai_events_attach(fai_thread *thread) {
    const fa_allocator *allocator = thread->allocator;
    if (fai_events_any(&allocator->events, FAI_EVENTS_OF_FRAMES) ||
        FAI_LOAD_RELAXED(&allocator->budgets.meters) != 0)
        fai_frame_look_closer(thread);
}

static bool is_valid(fa_allocator *allocator, const fa_events_config *config) {
    return config->function != NULL && config->kinds != 0 &&
           (config->kinds & ~(uint32_t)FA_EVENTS_ALL) == 0 && config->tag < fa_tag_count(allocator);
}

/* Under the lock. */
static fai_listener *find_free(fai_events *events) {
    for (size_t i = 0; i < FA_EVENTS_SUBSCRIBER_COUNT_MAX; i++)
        if (fai_listener_is_free(&events->listener[i].word))
            return &events->listener[i];
    return NULL;
}

fa_status fa_events_subscribe(fa_allocator *allocator, const fa_events_config *config,
                              fa_events_id *id) {
    if (id != NULL)
        id->id = 0;
    if (allocator == NULL || config == NULL || !is_valid(allocator, config))
        return fai_fail(FA_ERROR_INVALID, 0);
    fai_events *events = &allocator->events;
    uint64_t name = 0;
    fai_lock(allocator);
    fai_listener *listener = events->closed ? NULL : find_free(events);
    if (listener != NULL) {
        listener->config = *config;
        FAI_STORE_RELAXED(&listener->passed_count, 0);
        FAI_STORE_RELAXED(&listener->kinds, config->kinds);
        name = fai_listener_open(&listener->word) << INDEX_BITS |
               (uint64_t)(listener - events->listener);
        put_in_force(allocator);
    }
    fai_unlock(allocator);
    if (id != NULL)
        id->id = name;
    return listener != NULL ? FA_OK : fai_fail(FA_ERROR_LIMIT, 0);
}

static bool must_wait(fai_listener *listener, uint64_t generation) {
    return fai_listener_is_busy(&listener->word, generation) && !is_inside(listener) &&
           FAI_LOAD_SEQ(&listener->waiting) == 0;
}

fa_status fa_events_unsubscribe(fa_allocator *allocator, fa_events_id id) {
    if (allocator == NULL)
        return fai_fail(FA_ERROR_INVALID, 0);
    fai_events *events = &allocator->events;
    size_t index = id.id & (((uint64_t)1 << INDEX_BITS) - 1);
    uint64_t generation = id.id >> INDEX_BITS;
    if (index >= FA_EVENTS_SUBSCRIBER_COUNT_MAX)
        return fai_fail(FA_ERROR_FOREIGN, 0);
    fai_listener *listener = &events->listener[index];
    fai_lock(allocator);
    bool closed = fai_listener_close(&listener->word, generation);
    if (closed) {
        FAI_STORE_RELAXED(&listener->kinds, 0);
        put_in_force(allocator);
    }
    fai_unlock(allocator);
    if (!closed)
        return fai_fail(FA_ERROR_FOREIGN, 0);
    /* Two that end each other from inside of their callbacks would wait for ever. */
    fai_callback_waits(1);
    while (must_wait(listener, generation))
        sched_yield();
    fai_callback_waits((uint32_t)-1);
    return FA_OK;
}

/* ---- the end of threads and allocators ---- */

bool fai_events_exit_begin(fa_allocator *allocator) {
    if (allocator->events.closed)
        return false;
    FAI_ADD_RELAXED(&allocator->events.exiting, 1);
    t_exiting = allocator;
    return true;
}

void fai_events_exit_done(fa_allocator *allocator) {
    t_exiting = NULL;
    FAI_SUB_ACQ_REL(&allocator->events.exiting,
                    1); /* the allocator may go: nothing of it is used */
}

void fai_events_close(fa_allocator *allocator) {
    fai_events *events = &allocator->events;
    fai_lock(allocator);
    events->closed = true;
    for (size_t i = 0; i < FA_EVENTS_SUBSCRIBER_COUNT_MAX; i++) {
        fai_listener *listener = &events->listener[i];
        FAI_STORE_RELAXED(&listener->kinds, 0);
        (void)fai_listener_close(&listener->word,
                                 FAI_LISTENER_GENERATION(FAI_LOAD_RELAXED(&listener->word)));
    }
    put_in_force(allocator);
    fai_unlock(allocator);
}

void fai_events_await_exits(fa_allocator *allocator) {
    while (FAI_LOAD_ACQUIRE(&allocator->events.exiting) != 0)
        sched_yield();
}

void fai_events_fork_child(fa_allocator *allocator) {
    fai_events *events = &allocator->events;
    events->exiting = t_exiting == allocator;
    for (size_t i = 0; i < FA_EVENTS_SUBSCRIBER_COUNT_MAX; i++) {
        fai_listener *listener = &events->listener[i];
        uint64_t word = listener->word;
        listener->word = word - FAI_LISTENER_CALLS(word) + (is_inside(listener) ? 1 : 0);
        listener->waiting = 0;
    }
}

/* ---- questions ---- */

fa_status fa_events_stats_get(fa_allocator *allocator, fa_events_stats *stats) {
    if (stats != NULL)
        memset(stats, 0, sizeof *stats);
    if (allocator == NULL || stats == NULL)
        return fai_fail(FA_ERROR_INVALID, 0);
    const fai_events *events = &allocator->events;
    for (size_t i = 0; i < FA_EVENTS_SUBSCRIBER_COUNT_MAX; i++)
        stats->subscriber_count += FAI_LOAD_RELAXED(&events->listener[i].kinds) != 0;
    stats->told_count = FAI_LOAD_RELAXED(&events->told_count);
    stats->missed_count = FAI_LOAD_RELAXED(&events->missed_count);
    return FA_OK;
}

const char *fa_events_kind_name(fa_events_kind kind) {
    static const char *const names[FA_EVENTS_KIND_COUNT] = {
        "frame begin",      "frame end",          "alloc",         "free",
        "deferred queued",  "deferred processed", "transfer made", "transfer received",
        "transfer dropped", "pressure",           "budget",        "thread attached",
        "thread detached",
    };
    return (unsigned)kind < FA_EVENTS_KIND_COUNT ? names[kind] : "unknown";
}
