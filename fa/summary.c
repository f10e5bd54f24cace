/* The end of a frame that retained objects: where they go, and what there is to say about it. */
#include "fa/heap.h"
#include "fa/internal/frame.h"
#include "fa/internal/heap.h"
#include "fa/internal/poison.h"
#include "fa/internal/slab.h"
#include "fa/phase.h"
#include "fa/pool.h"
#include "fa/retain.h"

#include <string.h>

/* ---- keeping ---- */

const char *fa_retain_reason_text(fa_retain_reason reason) {
    static const char *const texts[FA_RETAIN_REASON_COUNT] = {
        [FA_RETAIN_REASON_NONE] = "nothing failed",
        [FA_RETAIN_REASON_BUDGET] = "a budget is used up",
        [FA_RETAIN_REASON_LIMIT] = "a configured limit was reached",
        [FA_RETAIN_REASON_NO_MEMORY] = "no backend could serve the request",
        [FA_RETAIN_REASON_SEALED] = "the allocator is sealed",
        [FA_RETAIN_REASON_SCRATCH_MISSING] = "there is no scratch pool of that name",
        [FA_RETAIN_REASON_SCRATCH_FULL] = "the scratch pool is full",
        [FA_RETAIN_REASON_SCRATCH_BUSY] = "the scratch pool is in use by another thread",
        [FA_RETAIN_REASON_TOO_LARGE] = "larger than the scratch pool may become"};
    return (unsigned)reason < FA_RETAIN_REASON_COUNT ? texts[reason] : "unknown reason";
}

static fa_retain_reason reason_of(fa_error error) {
    if (error.diag == FA_DIAG_FA302)
        return FA_RETAIN_REASON_BUDGET;
    switch (error.status) {
    case FA_ERROR_FULL:
        return FA_RETAIN_REASON_SCRATCH_FULL;
    case FA_ERROR_FOREIGN:
        return error.diag == FA_DIAG_FA611 ? FA_RETAIN_REASON_SCRATCH_BUSY
                                           : FA_RETAIN_REASON_SCRATCH_MISSING;
    case FA_ERROR_LIMIT:
        return FA_RETAIN_REASON_LIMIT;
    case FA_ERROR_SEALED:
        return FA_RETAIN_REASON_SEALED;
    default:
        return FA_RETAIN_REASON_NO_MEMORY;
    }
}

/* On the calling thread, which another one's frame may be ended by. */
static void *take_pool(fa_allocator *allocator, const fai_retained *object) {
    if (fai_tag_now(allocator) != object->tag) {
        if (fa_tag_enter(allocator, object->tag) != FA_OK)
            return NULL;
        void *block = fai_pool_alloc_own(allocator, object->size, object->align);
        (void)fa_tag_leave(allocator);
        return block;
    }
    return fai_pool_alloc_own(allocator, object->size, object->align);
}

/* Whether the pool itself served a block, and not the heap for it. Where the one before lies, which
 * is alive, there are pool objects. */
static bool is_in_pool(fai_thread *thread, const void *place) {
    fa_allocator *allocator = thread->allocator;
    uintptr_t segment = (uintptr_t)place & ~(allocator->config.pool_segment_bytes - 1);
    if (segment == thread->retains.segment)
        return true;
    if (fai_slab_lookup(allocator, place) == NULL)
        return false;
    thread->retains.segment = segment;
    return true;
}

static void *fail_scratch(fai_retained *object, fa_retain_reason reason, fa_status status) {
    object->reason = (uint8_t)reason;
    fai_fail(status, object->size);
    return NULL;
}

#define SCRATCH_TRIES 4

/* Memory of a scratch pool, and how often that had been reset when it was taken. Others may reset
 * it at any time, so that the number is read before and after; what was taken in between is dead
 * or will be with the next reset. stats: as read before. */
static void *take_of_pool(fai_retained *object, fa_scratch_pool pool,
                          fa_scratch_pool_stats *stats) {
    for (int i = 0; i < SCRATCH_TRIES; i++) {
        void *place = (fa_scratch_pool_alloc_aligned)(pool, object->size, object->align);
        fa_scratch_pool_stats after;
        if (place == NULL || fa_scratch_pool_stats_get(pool, &after) != FA_OK)
            return NULL;
        if (after.reset_count == stats->reset_count)
            return place;
        *stats = after;
    }
    return fail_scratch(object, FA_RETAIN_REASON_SCRATCH_BUSY, FA_ERROR_FOREIGN);
}

/* Notes the reason too. */
static void *take_scratch(fa_allocator *allocator, fai_retained *object) {
    fa_scratch_pool pool = fa_scratch_pool_find(allocator, object->scratch);
    fa_scratch_pool_stats stats;
    if (pool.head == NULL || fa_scratch_pool_stats_get(pool, &stats) != FA_OK)
        return fail_scratch(object, FA_RETAIN_REASON_SCRATCH_MISSING, FA_ERROR_FOREIGN);
    if (stats.bytes_max != 0 && object->size > stats.bytes_max)
        return fail_scratch(object, FA_RETAIN_REASON_TOO_LARGE, FA_ERROR_FULL);
    bool entered = fai_tag_now(allocator) != object->tag;
    if (entered && (fa_tag_enter)(allocator, object->tag) != FA_OK)
        return NULL;
    void *place = take_of_pool(object, pool, &stats);
    if (entered)
        (void)(fa_tag_leave)(allocator);
    if (place != NULL) {
        object->pool = pool;
        object->pool_reset_count = stats.reset_count;
    }
    return place;
}

/* Memory for an object outside of the frame; what becomes of the object is noted in it. NULL when
 * it stays. */
static void *take_place(fai_thread *thread, fai_retained *object) {
    fa_allocator *allocator = thread->allocator;
    void *place = NULL;
    switch (object->policy) {
    case FA_RETAIN_POOL:
        place = take_pool(allocator, object);
        object->outcome = place && is_in_pool(thread, place) ? FA_RETAINED_POOL : FA_RETAINED_HEAP;
        break;
    case FA_RETAIN_HEAP:
    case FA_RETAIN_LEAK:
        place = fai_heap_alloc(allocator, object->size, object->align, object->tag);
        object->outcome = object->policy == FA_RETAIN_HEAP ? FA_RETAINED_HEAP : FA_RETAINED_LEAKED;
        break;
    case FA_RETAIN_SCRATCH:
        place = take_scratch(allocator, object);
        object->outcome = FA_RETAINED_SCRATCH;
        break;
    default:
        object->outcome = FA_RETAINED_DISCARDED;
        return NULL;
    }
    if (place == NULL) {
        object->outcome = FA_RETAINED_FAILED;
        if (object->reason == FA_RETAIN_REASON_NONE)
            object->reason = (uint8_t)reason_of(fa_last_error());
    }
    return place;
}

static void report_failure(fai_thread *thread, const fai_retained *object) {
    static const fa_site unknown;
    fa_status status = fa_last_error().status;
    fai_report_at(thread->allocator, FA_DIAG_FA012, status, object->size, 0, object->address,
                  object->site ? *object->site : unknown);
}

static void add(fa_retain_sum *sum, const fai_retained *object) {
    sum->count++;
    sum->bytes += object->size;
}

/* Adds an object to the sums of what became of it, which outcome says. */
static void add_outcome(fa_retain_sums *sums, const fai_retained *object) {
    static const uint8_t offsets[FA_RETAINED_KIND_COUNT] = {
        [FA_RETAINED_DISCARDED] = offsetof(fa_retain_sums, discarded),
        [FA_RETAINED_POOL] = offsetof(fa_retain_sums, pool),
        [FA_RETAINED_HEAP] = offsetof(fa_retain_sums, heap),
        [FA_RETAINED_SCRATCH] = offsetof(fa_retain_sums, scratch),
        [FA_RETAINED_LEAKED] = offsetof(fa_retain_sums, leaked),
        [FA_RETAINED_FAILED] = offsetof(fa_retain_sums, failed)};
    add(&sums->retained, object);
    add((fa_retain_sum *)(void *)((char *)sums + offsets[object->outcome]), object);
}

void fai_retain_keep(fai_thread *thread) {
    fai_retains *own = &thread->retains;
    if (!fai_retain_is_due(thread))
        return;
    fai_hold hold = fai_frame_hold(thread);
    own->is_over = true; /* the list stays as it is, whatever hooks do */
    own->segment = 1;    /* no segment has that address */
    for (fai_retained *object = own->oldest; object; object = object->next) {
        fai_slot.site = object->site;
        object->place = take_place(thread, object);
        fai_slot.site = NULL;
        if (object->place != NULL) {
            if (thread->allocator->watched) /* it may have been cut off, and be guarded, since */
                fai_unpoison_defined(object->address, object->size);
            memcpy(object->place, object->address, object->size);
        } else if (object->outcome == FA_RETAINED_FAILED) {
            report_failure(thread, object);
            add(&own->summary.failed_by_reason[object->reason], object);
        }
        if (fai_frame_owns(thread, object->address)) /* not where a budget sent it elsewhere */
            own->summary.plain_bytes += fai_round_up(object->size, FA_ALIGN_MIN);
        add_outcome(&own->summary.sums, object);
    }
    pthread_mutex_t *lock = &thread->allocator->retention->lock;
    pthread_mutex_lock(lock);
    for (fai_retained *object = own->oldest; object; object = object->next) {
        object->kind = object->outcome;
        bool ask = object->kind == FA_RETAINED_SCRATCH;
        FAI_STORE_RELEASE(&object->address, ask ? object->place + FAI_RETAINED_ASK : object->place);
    }
    pthread_mutex_unlock(lock);
    fai_frame_unhold(thread, hold);
}

void fai_retain_frame_end(fai_thread *thread, size_t used) {
    fai_retains *own = &thread->retains;
    fa_frame_summary *summary = &own->summary;
    if (own->frame_index != thread->frame_count + 1)
        return;
    own->is_over = true;
    summary->frame_index = own->frame_index;
    summary->alloc_count = fa_frame_count_in(thread->frame);
    summary->frame_bytes = used;
    /* plain_bytes were those of objects so far; places that overlap count once for each. */
    size_t retained = summary->plain_bytes;
    summary->plain_bytes = used > retained ? used - retained : 0;
}

/* ---- reading ---- */

fa_status(fa_frame_end_with_summary_in)(fa_frame *frame, fa_frame_summary *summary) {
    if (summary == NULL)
        return fai_fail(FA_ERROR_INVALID, 0);
    memset(summary, 0, sizeof *summary);
    if (frame == NULL)
        return fai_fail(FA_ERROR_INVALID, 0);
    fai_thread *thread = fai_thread_of(frame);
    if (thread->slot == &fai_slot && fai_frame_is_open(thread)) {
        fai_retain_begin(thread);
        fai_frame_look_closer(thread);
    }
    fa_status status = (fa_frame_end_in)(frame);
    if (status == FA_OK)
        *summary = thread->retains.summary;
    return status;
}

fa_status(fa_frame_end_with_summary)(fa_allocator *allocator, fa_frame_summary *summary) {
    fai_thread *thread = allocator ? fai_thread_find(allocator) : NULL;
    if (thread != NULL)
        return (fa_frame_end_with_summary_in)(thread->frame, summary);
    if (summary == NULL)
        return fai_fail(FA_ERROR_INVALID, 0);
    memset(summary, 0, sizeof *summary);
    return (fa_frame_end)(allocator);
}

/* The state of the calling thread, whose last frame can be asked about; NULL with the reason
 * recorded. */
static fai_thread *find_summary(fa_allocator *allocator) {
    fai_thread *thread = allocator ? fai_thread_find(allocator) : NULL;
    if (thread != NULL && fai_retain_has_summary(thread))
        return thread;
    fai_fail(FA_ERROR_INVALID, 0);
    return NULL;
}

fa_status fa_frame_summary_get(fa_allocator *allocator, fa_frame_summary *summary) {
    if (summary == NULL)
        return fai_fail(FA_ERROR_INVALID, 0);
    memset(summary, 0, sizeof *summary);
    const fai_thread *thread = find_summary(allocator);
    if (thread == NULL)
        return FA_ERROR_INVALID;
    *summary = thread->retains.summary;
    return FA_OK;
}

/* The next part goes to parts where there is room; one without anything is left out. */
static void put_part(fa_summary_part *parts, size_t capacity, size_t *count,
                     const fa_summary_part *part) {
    if (part->frame_bytes == 0 && part->sums.retained.count == 0)
        return;
    if (*count < capacity && parts != NULL)
        parts[*count] = *part;
    ++*count;
}

/* Frame memory that the last frame gave to a tag and to all below it. */
static size_t tag_bytes(const fai_thread *thread, uint32_t tag) {
    if (tag == FA_TAG_ROOT)
        return thread->retains.summary.frame_bytes;
    const fai_tally *tally =
        &thread->tallies.block[tag / FAI_TAG_BLOCK]->tally[tag % FAI_TAG_BLOCK];
    return tally->last_frame == thread->frame_count ? tally->bytes_last : 0;
}

size_t fa_frame_summary_tags(fa_allocator *allocator, fa_summary_part *parts, size_t capacity) {
    const fai_thread *thread = find_summary(allocator);
    size_t count = 0, tag_count = thread ? fa_tag_count(allocator) : 0;
    for (fa_tag tag = 0; tag < tag_count; tag++) {
        fa_summary_part part = {.tag = tag, .frame_bytes = tag_bytes(thread, tag)};
        uint32_t child = FAI_LOAD_ACQUIRE(&fai_tag_at(allocator, tag)->child);
        for (; child != 0; child = fai_tag_at(allocator, child)->sibling)
            part.frame_bytes -= tag_bytes(thread, child);
        for (const fai_retained *object = thread->retains.oldest; object; object = object->next)
            if (object->tag == tag)
                add_outcome(&part.sums, object);
        put_part(parts, capacity, &count, &part);
    }
    return count;
}

static bool is_same(const char *name, const char *other) {
    return name == other || (name != NULL && other != NULL && strcmp(name, other) == 0);
}

/* Whether an earlier record has the name, so that its part is there already. */
static bool is_known(fa_allocator *allocator, size_t index, const char *name) {
    fa_phase phase;
    while (index-- > 0)
        if (fa_phase_get(allocator, index, &phase) == FA_OK && is_same(phase.name, name))
            return true;
    return false;
}

/* Bytes of a phase belong to it, and not to the one around it. */
static size_t phase_bytes(fa_allocator *allocator, size_t total, const char *name) {
    size_t bytes = name == NULL ? total : 0, inside = 0;
    fa_phase phase, around;
    for (size_t i = 0; fa_phase_get(allocator, i, &phase) == FA_OK; i++) {
        const char *parent = NULL;
        if (phase.parent != FA_PHASE_NONE &&
            fa_phase_get(allocator, phase.parent, &around) == FA_OK)
            parent = around.name;
        bytes += is_same(phase.name, name) ? phase.bytes : 0;
        inside += is_same(parent, name) ? phase.bytes : 0;
    }
    return bytes > inside ? bytes - inside : 0;
}

static void add_phase(fai_thread *thread, const char *name, fa_summary_part *part) {
    *part = (fa_summary_part){
        .phase = name,
        .frame_bytes = phase_bytes(thread->allocator, thread->retains.summary.frame_bytes, name)};
    for (const fai_retained *object = thread->retains.oldest; object; object = object->next)
        if (is_same(fai_phase_name_at(thread, object->phase), name))
            add_outcome(&part->sums, object);
}

size_t fa_frame_summary_phases(fa_allocator *allocator, fa_summary_part *parts, size_t capacity) {
    fai_thread *thread = find_summary(allocator);
    if (thread == NULL)
        return 0;
    fa_error error = fa_last_error(); /* looking past the last record is none */
    fa_summary_part part;
    fa_phase phase;
    size_t count = 0;
    add_phase(thread, NULL, &part);
    put_part(parts, capacity, &count, &part);
    for (size_t i = 0; fa_phase_get(allocator, i, &phase) == FA_OK; i++) {
        if (is_known(allocator, i, phase.name))
            continue;
        add_phase(thread, phase.name, &part);
        put_part(parts, capacity, &count, &part);
    }
    fai_error_restore(error);
    return count;
}

size_t fa_frame_summary_objects(fa_allocator *allocator, fa_retained_info *objects,
                                size_t capacity) {
    fai_thread *thread = find_summary(allocator);
    if (thread == NULL)
        return 0;
    size_t count = 0;
    pthread_mutex_t *lock = thread->retains.count ? &allocator->retention->lock : NULL;
    if (lock != NULL)
        pthread_mutex_lock(lock);
    for (const fai_retained *object = thread->retains.oldest; object; object = object->next) {
        if (count < capacity && objects != NULL)
            fai_retain_inform(object, &objects[count]);
        count++;
    }
    if (lock != NULL)
        pthread_mutex_unlock(lock);
    return count;
}
