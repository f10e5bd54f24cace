#define _GNU_SOURCE /* nanosleep */
#include "fa/deferred.h"

#include "fa/internal/clock.h"
#include "fa/internal/deferred.h"

#include <string.h>
#include <time.h>

#define WAIT_NANOSECONDS 20000 /* between looks at a queue that is full */

static void count_freed(fa_allocator *allocator, fai_thread *thread, uint32_t tag, uint64_t count,
                        size_t bytes) {
    FAI_ADD_RELAXED(&fai_tag_at(allocator, tag)->remote_count, count);
    FAI_ADD_RELAXED(&fai_tag_at(allocator, tag)->remote_bytes, bytes);
    if (thread != NULL)
        FAI_BUMP(&thread->counts.remote_free, count);
}

void fai_deferred_count(fa_allocator *allocator, fai_thread *thread, uint32_t tag,
                        size_t class_bytes) {
    count_freed(allocator, thread, tag, 1, class_bytes);
}

/* ---- to the owner ---- */

/* How many more addresses an object can hold beside the link. */
static size_t room_in(uint32_t class_bytes) { return class_bytes / sizeof(void *) - 1; }

/* Writes what was gathered into nodes. Returns the first, *last the last. */
static void *link_gathered(const fai_thread *thread, void **last) {
    const fai_gathered *gathered = &thread->gathered;
    void *first = gathered->object[0];
    size_t i = 0;
    do {
        void *node = gathered->object[i++];
        size_t room = room_in(fai_slab_of_object(thread->allocator, node)->class_bytes);
        size_t more = gathered->count - i < room ? gathered->count - i : room;
        for (size_t n = 0; n < more; n++)
            fai_word_write(node, n + 1, gathered->object[i++]);
        if (more < room)
            fai_word_write(node, more + 1, NULL);
        if (i < gathered->count)
            fai_link_write(node, gathered->object[i]);
        *last = node;
    } while (i < gathered->count);
    return first;
}

/* Counts what was gathered as freed: now it is on its way. */
static void settle_gathered(fai_thread *thread) {
    fai_gathered *gathered = &thread->gathered;
    count_freed(thread->allocator, thread, gathered->tag, gathered->count, gathered->bytes);
    FAI_STORE_RELAXED(&gathered->count, 0);
    FAI_STORE_RELAXED(&gathered->bytes, 0);
}

/* Returns how many objects were there twice. */
static uint64_t hand_over(fai_thread *thread) {
    fa_allocator *allocator = thread->allocator;
    const fai_gathered *gathered = &thread->gathered;
    size_t count = gathered->count;
    uint64_t damaged = 0;
    void *last;
    void *first = link_gathered(thread, &last);
    if (!fai_deferred_push(gathered->owner, first, last, fai_amount(count, gathered->bytes)))
        for (size_t i = 0; i < count; i++)
            damaged += !fai_deferred_free_one(
                allocator, fai_slab_of_object(allocator, gathered->object[i]), gathered->object[i]);
    settle_gathered(thread);
    return damaged;
}

/* Says once that much waits, until the owner has processed some. */
static void warn(fa_allocator *allocator, fai_thread *owner) {
    size_t limit = allocator->config.deferred.warning_count;
    if (limit == 0 || fai_amount_count(fai_deferred_waiting(owner)) < limit ||
        FAI_LOAD_RELAXED(&owner->deferred_warned) ||
        FAI_EXCHANGE_RELAXED(&owner->deferred_warned, true)) /* by one of those who find it */
        return;
    fai_report(allocator, FA_DIAG_FA306, FA_OK, fai_amount_bytes(fai_deferred_waiting(owner)),
               limit, NULL);
}

void fai_deferred_flush(fai_thread *thread) {
    if (thread->gathered.count == 0)
        return;
    fa_allocator *allocator = thread->allocator;
    fai_thread *owner = thread->gathered.owner;
    uint64_t index = FAI_LOAD_RELAXED(&owner->index);
    size_t count = thread->gathered.count, bytes = thread->gathered.bytes;
    fa_tag tag = thread->gathered.tag;
    if (hand_over(thread) != 0)
        fai_report(allocator, FA_DIAG_FA602, FA_ERROR_FOREIGN, 0, 0, NULL);
    warn(allocator, owner);
    if (fai_events_want(&allocator->events, FA_EVENTS_DEFERRED_QUEUED))
        fai_events_deferred(thread, allocator, FA_EVENTS_DEFERRED_QUEUED, index, count, bytes, tag);
}

/* What others need back at once is not gathered: while there are budgets, once there is no memory
 * but what is held, and where few objects may wait. */
static bool may_gather(const fa_allocator *allocator) {
    return allocator->config.deferred.gather_count != 0 &&
           allocator->config.deferred.count_max == 0 &&
           !FAI_LOAD_RELAXED(&allocator->budgets.any) &&
           !FAI_LOAD_RELAXED(&allocator->spans.sealed);
}

static void gather(fai_thread *thread, fai_thread *owner, fai_slab *slab, void *object) {
    fai_gathered *gathered = &thread->gathered;
    uint32_t class_bytes = slab->class_bytes;
    while (gathered->count != 0 && (gathered->owner != owner || gathered->tag != slab->tag))
        fai_deferred_flush(thread); /* a hook that is called there may free, too */
    if (gathered->count == 0) {
        gathered->owner = owner;
        FAI_STORE_RELAXED(&gathered->tag, slab->tag);
        fai_frame_look_closer(thread);
    }
    gathered->segment = (uintptr_t)fai_slab_segment(thread->allocator, slab);
    gathered->object[gathered->count] = object;
    FAI_BUMP(&gathered->bytes, class_bytes);
    FAI_BUMP(&gathered->count, 1);
    if (fai_deferred_is_enough(thread))
        fai_deferred_flush(thread);
}

/* ---- a queue with an end ---- */

/* What became of an object that another thread than its owner frees. */
typedef enum outcome {
    QUEUED,
    PUT_BACK, /* into its slab, by this thread */
    TWICE,    /* it was there */
    LOST,     /* dropped */
    REFUSED,  /* it is still the caller's */
    NO_OWNER  /* nothing yet */
} outcome;

/* Waits for a place. False: there was none in time. */
static bool wait_for_place(fai_thread *owner, const fa_deferred_config *config, uint64_t amount) {
    uint64_t until = fai_clock() + config->wait_nanoseconds;
    struct timespec nap = {0, WAIT_NANOSECONDS};
    do {
        nanosleep(&nap, NULL);
        if (fai_deferred_reserve(owner, config->count_max, amount))
            return true;
    } while (fai_clock() < until);
    return false;
}

/* Puts an object into its slab, whoever has that by now. */
static outcome put_back(fa_allocator *allocator, fai_slab *slab, void *object) {
    fai_lock(allocator);
    bool done = fai_pool_put_shared(allocator, fai_slab_owner_known(slab), slab, object, true);
    fai_unlock(allocator);
    return done ? PUT_BACK : TWICE;
}

/* Pushes an object where only so many may wait. */
static outcome push_bounded(fai_thread *owner, fai_slab *slab, void *object) {
    const fa_deferred_config *config = &owner->allocator->config.deferred;
    uint64_t amount = fai_amount(1, slab->class_bytes);
    if (!fai_deferred_reserve(owner, config->count_max, amount)) {
        FAI_ADD_RELAXED(&owner->deferred_full_count, 1);
        if (config->full == FA_DEFERRED_FULL_FAIL)
            return REFUSED;
        if (config->full == FA_DEFERRED_FULL_PROCESS)
            return put_back(owner->allocator, slab, object);
        if (config->full == FA_DEFERRED_FULL_DROP) {
            FAI_ADD_RELAXED(&owner->deferred_dropped, amount);
            return LOST;
        }
        if (config->full == FA_DEFERRED_FULL_GROW || !wait_for_place(owner, config, amount))
            FAI_ADD_RELAXED(&owner->deferred_queued, amount);
    }
    fai_word_write(object, 1, NULL);
    return fai_deferred_push_reserved(owner, object, object, amount) ? QUEUED : NO_OWNER;
}

/* Whether only so many objects may wait for a thread: not for one that did not survive a fork, for
 * it takes none in any more; nor for the calling one, which detaches then; nor under a lock. */
static bool may_be_full(const fai_thread *owner) {
    const fa_deferred_config *config = &owner->allocator->config.deferred;
    const fai_thread_slot *slot = FAI_LOAD_RELAXED(&owner->slot);
    return config->count_max != 0 && (config->full == FA_DEFERRED_FULL_PROCESS ||
                                      (slot != NULL && slot != &fai_slot && !fai_is_hushed()));
}

fa_status fai_deferred_free(fa_allocator *allocator, fai_thread *thread, fai_slab *slab,
                            void *object) {
    fai_thread *owner = fai_slab_owner(slab);
    if (FA_LIKELY(thread != NULL && owner != NULL && may_gather(allocator))) {
        gather(thread, owner, slab, object);
        return FA_OK;
    }
    if (thread != NULL)
        fai_deferred_flush(thread);
    uint32_t class_bytes = slab->class_bytes, tag = slab->tag;
    bool bounded = owner != NULL && may_be_full(owner);
    outcome what = bounded ? push_bounded(owner, slab, object) : NO_OWNER;
    if (what == NO_OWNER)
        what = !fai_deferred_free_one(allocator, slab, object) ? TWICE
               : owner != NULL                                 ? QUEUED
                                                               : PUT_BACK;
    if (what == REFUSED)
        return FA_ERROR_FULL;
    if (what == TWICE) {
        fai_report(allocator, FA_DIAG_FA602, FA_ERROR_FOREIGN, 0, 0, object);
        return FA_OK;
    }
    if (what == LOST) {
        fai_report(allocator, FA_DIAG_FA307, FA_ERROR_LIMIT, class_bytes,
                   allocator->config.deferred.count_max, object);
        return FA_ERROR_LIMIT;
    }
    count_freed(allocator, thread, tag, 1, class_bytes);
    if (what == PUT_BACK)
        return FA_OK;
    warn(allocator, owner);
    if (fai_events_want(&allocator->events, FA_EVENTS_DEFERRED_QUEUED))
        fai_events_deferred(thread, allocator, FA_EVENTS_DEFERRED_QUEUED,
                            FAI_LOAD_RELAXED(&owner->index), 1, class_bytes, tag);
    return FA_OK;
}

/* ---- by the owner ---- */

/* What was processed, on its way to slabs and accounts. */
typedef struct intake {
    fai_slab *released;
    fai_returned returned;
    uint64_t amount;
    uint64_t most; /* amount that can be there: objects are counted before they are pushed */
    uint64_t damaged;
    void *twice;
    /* Objects that were put into a magazine and are not counted there yet. */
    fai_magazine *magazine;
    size_t added, room;
    void **slots;
    /* Objects of one pool that found no room, on their way to bitmaps. */
    fai_pool *pool;
    uint32_t over_count;
    void *over[FA_DEFERRED_GATHER_MAX];
} intake;

static void count_added(intake *taken) {
    fai_magazine *magazine = taken->magazine;
    if (taken->added == 0)
        return;
    FAI_BUMP(&magazine->state, taken->added);
    FAI_BUMP(&magazine->loaded_count, taken->added);
    taken->amount += fai_amount(taken->added, taken->added * magazine->class_bytes);
    taken->added = 0;
}

/* Objects side by side in a slab are put there together. */
static void put_over(intake *taken) {
    if (taken->over_count == 0)
        return;
    fa_allocator *allocator = taken->pool->thread->allocator;
    fai_bits_lock(allocator);
    for (uint32_t i = 0, put; i < taken->over_count; i += put) {
        fai_slab *slab = fai_slab_of_object(allocator, taken->over[i]);
        put = fai_pool_put_owned(taken->pool, slab, taken->over + i, taken->over_count - i,
                                 &taken->released, &taken->returned);
        if (put == 0) {
            taken->twice = taken->over[i];
            taken->damaged++;
            put = 1;
        }
    }
    fai_bits_unlock(allocator);
    taken->over_count = 0;
}

/* An object from the thread's queue goes to its magazine, or its bitmap; the slab of one that was
 * queued for a former user of this state may belong to somebody else by now. */
static bool accept(fai_thread *thread, fai_slab *slab, void *object, intake *taken) {
    if (fai_slab_owner_known(slab) != thread) {
        FAI_BUMP(&thread->counts.forwarded, 1);
        return fai_deferred_free_one(thread->allocator, slab, object);
    }
    fai_pool *pool = fai_thread_pool_of(thread, slab->tag);
    if (pool != taken->pool || taken->over_count == FA_DEFERRED_GATHER_MAX) {
        put_over(taken);
        taken->pool = pool;
    }
    taken->over[taken->over_count++] = object;
    return true;
}

/* Most objects come in rows of one class, and find room in its magazine: these are counted
 * together. */
static inline bool put_ready(fai_thread *thread, const fai_slab *slab, void *object,
                             intake *taken) {
    if (fai_slab_owner_known(slab) != thread)
        return false;
    fai_magazine *magazine = FAI_LOAD_RELAXED(&slab->head.magazine);
    if (magazine == NULL)
        return false;
    if (magazine != taken->magazine) {
        count_added(taken);
        taken->magazine = magazine;
        taken->room = magazine->capacity - fai_ready(magazine);
        taken->slots = FAI_MAGAZINE_SLOTS(magazine) + fai_ready(magazine);
    }
    if (taken->added == taken->room)
        return false;
    taken->slots[taken->added++] = object;
    return true;
}

/* The same when the thread ends, under the lock: whatever it has goes to bitmaps. */
static bool accept_last(fai_thread *thread, fai_slab *slab, void *object, intake *taken) {
    if (fai_slab_owner_known(slab) != thread)
        return fai_deferred_pass_on(thread->allocator, slab, object);
    return fai_pool_put_owned(fai_thread_pool_of(thread, slab->tag), slab, &object, 1,
                              &taken->released, &taken->returned) != 0;
}

/* Takes in the objects of a node, itself the last: until then its words are looked at. */
static void take_node(fai_thread *thread, void *node, bool is_last, intake *taken) {
    const fa_allocator *allocator = thread->allocator;
    size_t room = room_in(fai_slab_of_object(allocator, node)->class_bytes);
    void *object = node;
    for (size_t i = 0; object != NULL; i++) {
        object = i < room ? fai_word_read(node, i + 1) : NULL;
        void *here = object != NULL ? object : node;
        fai_slab *slab = fai_slab_of_object(allocator, here);
        if (!is_last && put_ready(thread, slab, here, taken))
            continue;
        taken->amount += fai_amount(1, slab->class_bytes);
        if (!(is_last ? accept_last : accept)(thread, slab, here, taken)) {
            taken->damaged++;
            taken->twice = here;
        }
    }
}

/* An object that others freed twice makes the list a ring: then there seem to be more than were
 * ever pushed. What is left of such a list is let go. */
static bool is_ring(intake *taken, void *node) {
    if (FA_LIKELY(fai_amount_count(taken->amount) + taken->added < fai_amount_count(taken->most)))
        return false;
    count_added(taken);
    taken->amount = taken->most;
    taken->damaged++;
    taken->twice = node;
    return true;
}

static void add_up(fai_thread *thread, const intake *taken) {
    fai_deferred_done(thread, taken->amount);
    FAI_BUMP(&thread->deferred_processed_count, fai_amount_count(taken->amount));
}

/* What became of its objects that found count_max waiting. */
static void add_full(const fai_thread *thread, fa_deferred_stats *stats) {
    uint64_t dropped = FAI_LOAD_RELAXED(&thread->deferred_dropped);
    stats->full_count += FAI_LOAD_RELAXED(&thread->deferred_full_count);
    stats->dropped_count += fai_amount_count(dropped);
    stats->dropped_bytes += fai_amount_bytes(dropped);
}

/* The same once the thread is gone. Others may add to it for a moment more: that is found with the
 * idle state, and comes here when it is used again. Under the lock. */
static void leave_full(fai_thread *thread) {
    fa_deferred_stats *gone = &thread->allocator->deferred_gone;
    uint64_t dropped = FAI_EXCHANGE_RELAXED(&thread->deferred_dropped, 0);
    gone->full_count += FAI_EXCHANGE_RELAXED(&thread->deferred_full_count, 0);
    gone->dropped_count += fai_amount_count(dropped);
    gone->dropped_bytes += fai_amount_bytes(dropped);
}

static void note_peak(fai_thread *thread) {
    size_t count = fai_amount_count(fai_deferred_waiting(thread));
    if (count > thread->deferred_peak)
        FAI_STORE_RELAXED(&thread->deferred_peak, count);
}

/* Takes objects in until there are count, or none any more. */
static size_t process(fai_thread *thread, size_t count) {
    intake taken;
    memset(&taken, 0, offsetof(intake, over));
    if (thread->deferred_taken == NULL && fai_queue_is_empty(&thread->deferred))
        return 0;
    note_peak(thread);
    taken.most = fai_deferred_waiting(thread);
    while (fai_amount_count(taken.amount) + taken.added < count) {
        if (thread->deferred_taken == NULL && !fai_queue_is_empty(&thread->deferred)) {
            thread->deferred_taken = fai_queue_take(&thread->deferred);
            taken.most = fai_deferred_waiting(thread);
        }
        void *node = thread->deferred_taken;
        if (node == NULL)
            break;
        if (is_ring(&taken, node)) {
            thread->deferred_taken = NULL;
            break;
        }
        thread->deferred_taken = fai_link_read(node);
        __builtin_prefetch(thread->deferred_taken);
        take_node(thread, node, false, &taken);
    }
    count_added(&taken);
    put_over(&taken);
    add_up(thread, &taken);
    if (FAI_LOAD_RELAXED(&thread->deferred_warned))
        FAI_STORE_RELAXED(&thread->deferred_warned, false);
    fai_pool_settle(&taken.returned);
    fai_pool_release_all(thread->allocator, taken.released);
    if (taken.damaged != 0)
        fai_report(thread->allocator, FA_DIAG_FA602, FA_ERROR_FOREIGN, 0, 0, taken.twice);
    size_t processed = fai_amount_count(taken.amount);
    if (processed != 0 && fai_events_want(&thread->allocator->events, FA_EVENTS_DEFERRED_PROCESSED))
        fai_events_deferred(thread, thread->allocator, FA_EVENTS_DEFERRED_PROCESSED, 0, processed,
                            fai_amount_bytes(taken.amount), fai_tally_now(&thread->tallies)->tag);
    return processed;
}

size_t fai_deferred_process_all(fai_thread *thread) {
    fai_deferred_flush(thread);
    return process(thread, SIZE_MAX);
}

void fai_deferred_begin(fai_thread *thread) {
    fai_deferred_flush(thread);
    if (thread->allocator->config.deferred.when == FA_DEFERRED_BEGIN)
        process(thread, SIZE_MAX);
}

void fai_deferred_end(fai_thread *thread) {
    fai_deferred_flush(thread);
    if (thread->allocator->config.deferred.when == FA_DEFERRED_END)
        process(thread, SIZE_MAX);
}

void fai_deferred_refill(fai_thread *thread) {
    const fa_deferred_config *config = &thread->allocator->config.deferred;
    fai_deferred_flush(thread);
    if (config->when != FA_DEFERRED_CALL)
        process(thread, config->when == FA_DEFERRED_STEPS ? config->step_count : SIZE_MAX);
}

void fai_deferred_trim(fai_thread *thread, bool idle_only) {
    fai_deferred_flush(thread);
    if (!idle_only || thread->allocator->config.deferred.when <= FA_DEFERRED_END)
        process(thread, SIZE_MAX);
}

/* ---- beginning and end of a thread ---- */

void fai_deferred_open(fai_thread *thread) {
    fai_lock(thread->allocator);
    leave_full(thread);
    fai_unlock(thread->allocator);
    memset(&thread->gathered, 0, sizeof thread->gathered);
    FAI_STORE_RELAXED(&thread->deferred_peak, 0);
    FAI_STORE_RELAXED(&thread->deferred_processed_count, 0);
    FAI_STORE_RELAXED(&thread->deferred_warned, false);
    fai_queue_open(&thread->deferred);
}

uint64_t fai_deferred_close(fai_thread *thread) {
    fa_allocator *allocator = thread->allocator;
    intake taken;
    memset(&taken, 0, offsetof(intake, over));
    note_peak(thread);
    void *lists[] = {thread->deferred_taken, fai_queue_close(&thread->deferred)}, *next;
    thread->deferred_taken = NULL;
    taken.most = fai_deferred_waiting(thread);
    for (size_t i = 0; i < 2; i++)
        for (void *node = lists[i]; node && !is_ring(&taken, node); node = next) {
            next = fai_link_read(node);
            take_node(thread, node, true, &taken);
        }
    add_up(thread, &taken);
    for (size_t i = 0; i < thread->gathered.count; i++) {
        void *object = thread->gathered.object[i];
        taken.damaged +=
            !accept_last(thread, fai_slab_of_object(allocator, object), object, &taken);
    }
    settle_gathered(thread);
    fai_pool_settle(&taken.returned);
    fai_pool_release_each(allocator, taken.released);
    fa_deferred_stats *gone = &allocator->deferred_gone;
    gone->processed_count += thread->deferred_processed_count;
    gone->direct_count += thread->counts.direct_free;
    leave_full(thread);
    if (thread->deferred_peak > gone->peak_count)
        gone->peak_count = thread->deferred_peak;
    return taken.damaged;
}

/* ---- calls ---- */

size_t fa_deferred_process(fa_allocator *allocator, size_t count) {
    fai_thread *thread = allocator ? fai_thread_find(allocator) : NULL;
    if (allocator == NULL)
        fai_fail(FA_ERROR_INVALID, 0);
    if (thread == NULL)
        return 0;
    fai_deferred_flush(thread);
    return process(thread, count);
}

void fai_deferred_add(const fai_thread *thread, fa_deferred_stats *stats) {
    uint64_t here = fai_deferred_waiting(thread);
    size_t count = fai_amount_count(here), peak = FAI_LOAD_RELAXED(&thread->deferred_peak);
    peak = count > peak ? count : peak;
    stats->waiting_count += count;
    stats->waiting_bytes += fai_amount_bytes(here);
    stats->gathered_count += FAI_LOAD_RELAXED(&thread->gathered.count);
    stats->gathered_bytes += FAI_LOAD_RELAXED(&thread->gathered.bytes);
    stats->processed_count += FAI_LOAD_RELAXED(&thread->deferred_processed_count);
    stats->direct_count += FAI_LOAD_RELAXED(&thread->counts.direct_free);
    add_full(thread, stats);
    stats->peak_count = peak > stats->peak_count ? peak : stats->peak_count;
}

fa_status fa_deferred_stats_get(fa_allocator *allocator, fa_deferred_stats *stats) {
    if (stats != NULL)
        memset(stats, 0, sizeof *stats);
    if (allocator == NULL || stats == NULL)
        return fai_fail(FA_ERROR_INVALID, 0);
    fai_lock(allocator);
    *stats = allocator->deferred_gone;
    for (const fai_thread *thread = allocator->threads; thread; thread = thread->next)
        fai_deferred_add(thread, stats);
    for (const fai_thread *thread = allocator->frozen; thread; thread = thread->next)
        fai_deferred_add(thread, stats);
    for (const fai_thread *thread = allocator->idle; thread; thread = thread->next)
        add_full(thread, stats);
    for (const fai_thread *thread = allocator->trimmed; thread; thread = thread->next)
        add_full(thread, stats);
    fai_unlock(allocator);
    return FA_OK;
}

fa_status fa_deferred_stats_here(fa_allocator *allocator, fa_deferred_stats *stats) {
    if (stats != NULL)
        memset(stats, 0, sizeof *stats);
    if (allocator == NULL || stats == NULL)
        return fai_fail(FA_ERROR_INVALID, 0);
    const fai_thread *thread = fai_thread_find(allocator);
    if (thread != NULL)
        fai_deferred_add(thread, stats);
    return FA_OK;
}
