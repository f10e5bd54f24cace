/* What is tried before memory is refused: caches, reclaimers, reserve. And the one door through
 * which everybody who can wait for that takes spans. */
#include "fa/reserve.h"

#include "fa/internal/callback.h"
#include "fa/internal/slab.h"

#include <limits.h>
#include <sched.h>

/* ---- what is under way on this thread ---- */

/* A reclaimer that this thread is inside of; lies on its stack. */
typedef struct running {
    struct running *outer;
    fa_allocator *allocator;
    fai_reclaimer *reclaimer;
} running;

static __thread running *t_running;

bool fai_reserve_is_asking(const fa_allocator *allocator) {
    for (const running *at = t_running; at != NULL; at = at->outer)
        if (at->allocator == allocator)
            return true;
    return false;
}

static bool is_inside(const fai_reclaimer *reclaimer) {
    for (const running *at = t_running; at != NULL; at = at->outer)
        if (at->reclaimer == reclaimer)
            return true;
    return false;
}

void fai_reserve_waits(uint32_t change) {
    for (const running *at = t_running; at != NULL; at = at->outer)
        FAI_ADD_SEQ(&at->reclaimer->waiting, change);
}

/* ---- reclaimers ---- */

static fai_reclaimer *find(fai_reserve *reserve, fa_reclaimer_fn *function, const void *user) {
    for (size_t i = 0; i < FA_RECLAIMER_COUNT_MAX; i++) {
        fai_reclaimer *at = &reserve->reclaimers[i];
        if (at->function == function && at->user == user && !at->removed)
            return at;
    }
    return NULL;
}

fa_status fa_reclaimer_add(fa_allocator *allocator, int order, fa_reclaimer_fn *function,
                           void *user) {
    if (allocator == NULL || function == NULL)
        return fai_fail(FA_ERROR_INVALID, 0);
    fai_reserve *reserve = &allocator->reserve;
    fa_status status = FA_ERROR_LIMIT;
    fai_lock(allocator);
    if (find(reserve, function, user) != NULL)
        status = FA_ERROR_INVALID;
    for (size_t i = 0; i < FA_RECLAIMER_COUNT_MAX && status == FA_ERROR_LIMIT; i++) {
        fai_reclaimer *at = &reserve->reclaimers[i];
        if (at->function != NULL)
            continue;
        *at = (fai_reclaimer){function, user, order, false, 0, 0, ++reserve->sequence};
        status = FA_OK;
    }
    fai_unlock(allocator);
    return status == FA_OK ? FA_OK : fai_fail(status, 0);
}

static void forget(fai_reclaimer *reclaimer) {
    if (reclaimer->removed && reclaimer->running == 0)
        *reclaimer = (fai_reclaimer){0};
}

fa_status fa_reclaimer_remove(fa_allocator *allocator, fa_reclaimer_fn *function, void *user) {
    if (allocator == NULL || function == NULL)
        return fai_fail(FA_ERROR_INVALID, 0);
    fai_lock(allocator);
    fai_reclaimer *reclaimer = find(&allocator->reserve, function, user);
    if (reclaimer == NULL) {
        fai_unlock(allocator);
        return fai_fail(FA_ERROR_INVALID, 0);
    }
    uint64_t sequence = reclaimer->sequence;
    reclaimer->removed = true;
    forget(reclaimer);
    fai_callback_waits(1);
    /* One that removes itself would wait for ever, and so would two that remove each other. */
    while (reclaimer->sequence == sequence && !is_inside(reclaimer) &&
           FAI_LOAD_SEQ(&reclaimer->waiting) == 0) {
        fai_unlock(allocator);
        sched_yield();
        fai_lock(allocator);
    }
    fai_callback_waits((uint32_t)-1);
    fai_unlock(allocator);
    return FA_OK;
}

/* The first that comes after the one asked last. Under the lock. */
static fai_reclaimer *next_of(fai_reserve *reserve, const fai_relief *relief) {
    fai_reclaimer *next = NULL;
    for (size_t i = 0; i < FA_RECLAIMER_COUNT_MAX; i++) {
        fai_reclaimer *at = &reserve->reclaimers[i];
        if (at->function == NULL || at->removed || at->sequence > relief->newest)
            continue;
        bool asked = at->order < relief->order ||
                     (at->order == relief->order && at->sequence <= relief->sequence);
        bool sooner = next == NULL || at->order < next->order ||
                      (at->order == next->order && at->sequence < next->sequence);
        if (!asked && sooner)
            next = at;
    }
    return next;
}

/* Asks reclaimers until one gives something back; false when there is none left. */
static bool reclaim(fa_allocator *allocator, fai_relief *relief, fa_status status) {
    relief->reclaimed = 0;
    for (;;) {
        fai_lock(allocator);
        fai_reclaimer *reclaimer = next_of(&allocator->reserve, relief);
        if (reclaimer == NULL) {
            fai_unlock(allocator);
            return false;
        }
        relief->order = reclaimer->order;
        relief->sequence = reclaimer->sequence;
        fa_reclaimer_fn *function = reclaimer->function;
        void *user = reclaimer->user;
        reclaimer->running++;
        fai_unlock(allocator);

        /* What it does itself must not change what the failed call answers. */
        fa_error error = fa_last_error();
        const fa_site *site = fai_slot.site;
        running here = {t_running, allocator, reclaimer};
        t_running = &here;
        fai_callback outer = fai_callback_begin();
        relief->reclaimed = function(user, allocator, relief->size);
        fai_callback_end(outer);
        t_running = here.outer;
        fai_slot.site = site;
        fai_error_restore(error);

        fai_lock(allocator);
        reclaimer->running--;
        forget(reclaimer);
        fai_unlock(allocator);
        if (relief->reclaimed != 0) {
            fai_events_pressure(allocator, FA_EVENTS_DETAIL_RECLAIMER, status, relief->size,
                                relief->reclaimed);
            fa_allocator_trim(allocator); /* what it freed lies in the caches now */
            return true;
        }
    }
}

void fai_reserve_fork_child(fa_allocator *allocator) {
    for (size_t i = 0; i < FA_RECLAIMER_COUNT_MAX; i++) {
        fai_reclaimer *reclaimer = &allocator->reserve.reclaimers[i];
        reclaimer->running = reclaimer->waiting = 0;
        for (const running *at = t_running; at != NULL; at = at->outer)
            reclaimer->running += at->reclaimer == reclaimer;
        forget(reclaimer);
    }
    allocator->reserve.releasing = false;
}

/* ---- the reserve ---- */

static fa_status take(fa_allocator *allocator, size_t bytes, fai_span *span) {
    return fai_span_alloc(&allocator->spans, bytes, FA_CACHE_LINE, FA_SPAN_META, span, NULL);
}

fa_status fai_reserve_create(fa_allocator *allocator) {
    fai_reserve *reserve = &allocator->reserve;
    reserve->bytes = fai_round_up(allocator->config.reserve_bytes, FA_CACHE_LINE);
    return reserve->bytes != 0 ? take(allocator, reserve->bytes, &reserve->span) : FA_OK;
}

void fai_reserve_destroy(fa_allocator *allocator) {
    fai_span span = allocator->reserve.span;
    if (span.size != 0)
        fai_span_free(&allocator->spans, &span);
}

/* Puts a span that is held into the place of the reserve; false when there is one. */
static bool keep(fa_allocator *allocator, const fai_span *span) {
    fai_lock(allocator);
    bool empty = allocator->reserve.span.size == 0 && !allocator->reserve.releasing;
    if (empty)
        allocator->reserve.span = *span;
    fai_unlock(allocator);
    return empty;
}

/* False when there is nothing to release, and nobody else has released it meanwhile either. */
static bool release(fa_allocator *allocator, const fai_relief *relief, fa_status status) {
    fai_reserve *reserve = &allocator->reserve;
    fai_lock(allocator);
    while (reserve->releasing) { /* it may be enough for both */
        fai_unlock(allocator);
        sched_yield();
        fai_lock(allocator);
    }
    fai_span span = reserve->span;
    reserve->span.size = 0;
    reserve->releasing = span.size != 0;
    bool released = reserve->release_count != relief->release_count;
    fai_unlock(allocator);
    if (span.size == 0)
        return released;
    bool given = fai_span_free(&allocator->spans, &span); /* not when sealed */
    fai_lock(allocator);
    reserve->releasing = false;
    if (given)
        FAI_STORE_RELAXED(&reserve->release_count, reserve->release_count + 1);
    else
        reserve->span = span;
    fai_unlock(allocator);
    if (!given)
        return false;
    fai_report_at(allocator, FA_DIAG_FA704, FA_OK, relief->size, span.size, NULL,
                  fai_slot.site ? *fai_slot.site : (fa_site){NULL, NULL, 0});
    fai_events_pressure(allocator, FA_EVENTS_DETAIL_RESERVE, status, relief->size, span.size);
    return true;
}

size_t fa_reserve_held(const fa_allocator *allocator) {
    if (allocator == NULL)
        return 0;
    fa_allocator *shared = (fa_allocator *)(uintptr_t)allocator;
    fai_lock(shared);
    size_t bytes = shared->reserve.span.size;
    fai_unlock(shared);
    return bytes;
}

fa_status fa_reserve_refill(fa_allocator *allocator) {
    if (allocator == NULL)
        return fai_fail(FA_ERROR_INVALID, 0);
    size_t bytes = allocator->reserve.bytes;
    if (bytes == 0 || fa_reserve_held(allocator) != 0)
        return FA_OK;
    fai_span span;
    fa_status status = take(allocator, bytes, &span);
    if (status != FA_OK && status != FA_ERROR_SEALED && fai_allocator_reclaim(allocator) != 0)
        status = take(allocator, bytes, &span);
    if (status != FA_OK)
        return fai_fail(status, bytes);
    if (!keep(allocator, &span)) /* another thread was faster */
        fai_span_free(&allocator->spans, &span);
    return FA_OK;
}

/* ---- the way down ---- */

enum { STEP_CACHES, STEP_OWN_CACHES, STEP_RECLAIMERS, STEP_RESERVE, STEP_NONE };

/* What may be used in vain. */
typedef struct in_use {
    size_t slabs, held, heap;
} in_use;

static in_use read_use(fa_allocator *allocator) {
    in_use now;
    now.held = FAI_LOAD_RELAXED(&allocator->spans.held);
    now.heap = FAI_LOAD_RELAXED(&allocator->account.ledger[FA_INTENT_HEAP].used);
    fai_lock(allocator);
    now.slabs = allocator->pools.slab_count;
    fai_unlock(allocator);
    return now;
}

static size_t less(size_t before, size_t after) { return before > after ? before - after : 0; }

/* Whether caches gave anything back. */
static bool tell_caches(fa_allocator *allocator, const fai_relief *relief, fa_status status,
                        size_t bytes) {
    if (bytes != 0)
        fai_events_pressure(allocator, FA_EVENTS_DETAIL_CACHES, status, relief->size, bytes);
    return bytes != 0;
}

/* Gives back what this thread keeps ready; true when that left a slab or heap memory without use,
 * here or at the backend. Where other threads are at work too, it may be that they did. */
static bool trim_own(fa_allocator *allocator, const fai_relief *relief, fa_status status) {
    in_use before = read_use(allocator);
    size_t bytes = fa_allocator_trim(allocator);
    in_use after = read_use(allocator);
    bytes += bytes == 0 ? less(before.held, after.held) : 0;
    bytes += bytes == 0 ? less(before.slabs, after.slabs) * FAI_SLAB_BYTES : 0;
    bytes += bytes == 0 ? less(before.heap, after.heap) : 0;
    return tell_caches(allocator, relief, status, bytes);
}

bool fai_relieve_slow(fa_allocator *allocator, fai_relief *relief, fa_status status) {
    if (status == FA_OK && relief->reclaimed != 0)
        fai_report_at(allocator, FA_DIAG_FA705, FA_OK, relief->size, relief->reclaimed, NULL,
                      fai_slot.site ? *fai_slot.site : (fa_site){NULL, NULL, 0});
    if ((status != FA_ERROR_LIMIT && status != FA_ERROR_NO_MEMORY) || fai_is_quiet())
        return false;
    fai_pending_refused();
    switch (relief->step) {
    case STEP_CACHES:
        relief->step = STEP_OWN_CACHES;
        if (tell_caches(allocator, relief, status, fai_allocator_reclaim(allocator)))
            return true;
        /* fall through */
    case STEP_OWN_CACHES:
        /* Inside of a reclaimer that is all: the request that it is to help goes first. */
        relief->step = fai_reserve_is_asking(allocator) ? STEP_NONE : STEP_RECLAIMERS;
        fai_lock(allocator);
        relief->order = INT_MIN;
        relief->sequence = 0;
        relief->newest = allocator->reserve.sequence;
        fai_unlock(allocator);
        if (trim_own(allocator, relief, status))
            return true;
        if (relief->step == STEP_NONE)
            return false;
        /* fall through */
    case STEP_RECLAIMERS:
        if (reclaim(allocator, relief, status))
            return true;
        relief->step = STEP_RESERVE;
        /* fall through */
    case STEP_RESERVE:
        relief->step = STEP_NONE;
        return release(allocator, relief, status);
    default:
        return false;
    }
}

fa_status fai_allocator_span_at_hand(fa_allocator *allocator, size_t size, size_t align,
                                     fa_span_kind kind, fai_span *span) {
    uint32_t declined;
    fa_status status = fai_span_alloc(&allocator->spans, size, align, kind, span, &declined);
    if (status == FA_OK && declined != 0)
        fai_report(allocator, FA_DIAG_FA703, FA_OK, size, 0, span->address);
    return status;
}

fa_status fai_allocator_span_quiet(fa_allocator *allocator, size_t size, size_t align,
                                   fa_span_kind kind, fai_span *span) {
    uint32_t declined;
    fa_status status;
    fai_relief relief = fai_relief_begin(&allocator->reserve, size);
    do
        status = fai_span_alloc(&allocator->spans, size, align, kind, span, &declined);
    while (fai_relieve(allocator, &relief, status));
    if (status == FA_OK && declined != 0)
        fai_report(allocator, FA_DIAG_FA703, FA_OK, size, 0, span->address);
    return status;
}

fa_status fai_allocator_span(fa_allocator *allocator, size_t size, size_t align, fa_span_kind kind,
                             fai_span *span) {
    fa_status status = fai_allocator_span_quiet(allocator, size, align, kind, span);
    return status == FA_OK ? FA_OK : fai_report_span(allocator, status, size);
}
