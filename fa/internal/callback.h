/* Calls of functions of the program that the library makes by itself: hooks, listeners, reclaimers,
 * questions of budgets, counters of timelines, clean-ups, constructors and destructors. Each of
 * them stands between begin and end, on the thread that is called, with no lock held:
 *
 *     fai_callback outer = fai_callback_begin();
 *     function(user);
 *     fai_callback_end(outer);
 *
 * Captures (task.h) that are open outside have no part in what happens inside, in whatever
 * allocator: the task would free what belongs to the callback's own structures. One that is begun
 * inside captures as ever, and ends inside. What a call is given to run at once, as its body
 * (visitors, attempts, batches), is the program itself, and does not stand between these.
 *
 * Each capture knows the level that it was begun on, and counts on that level alone. Where none is
 * open there is nothing to hide: the callback stays on its caller's level.
 *
 * What ends a callback for good (unsubscribe, remove, another budget, destroy) waits for calls of
 * it that are under way on other threads. See fai_callback_waits. */
#ifndef FAI_CALLBACK_H
#define FAI_CALLBACK_H

#include "fa/allocator.h"

typedef struct fai_callback {
    uint32_t level;    /* callbacks that the thread is inside of with captures open outside */
    uint32_t captures; /* that it has open on this level, in all allocators, or more: of allocators
                        * that others have destroyed */
} fai_callback;

extern __thread fai_callback fai_callback_now __attribute__((tls_model("initial-exec")));

static inline fai_callback fai_callback_begin(void) {
    fai_callback outer = fai_callback_now;
    if (FA_UNLIKELY(outer.captures != 0))
        fai_callback_now = (fai_callback){outer.level + 1, 0};
    return outer;
}

/* The rest of the end. Captures that the callback has left open end, and are reported (FA615). */
FA_COLD void fai_callback_end_slow(fai_callback outer);

static inline void fai_callback_end(fai_callback outer) {
    if (FA_UNLIKELY((outer.captures | fai_callback_now.captures) != 0))
        fai_callback_end_slow(outer);
}

/* The calling thread begins to wait until a callback is over: 1; it goes on: -1. All callbacks that
 * it is inside of itself, of whatever kind, can't end meanwhile: nobody waits for them then, or two
 * threads that end each other's would wait for ever. */
void fai_callback_waits(uint32_t change);

/* The parts of that: events.c, reserve.c, account.c, timeline.c. */
void fai_events_waits(uint32_t change);
void fai_reserve_waits(uint32_t change);
void fai_budget_waits(uint32_t change);
void fai_timelines_wait(uint32_t change);

/* Whether the calling thread is inside of a function that was called in the middle of a call on the
 * allocator, which goes on with the thread's state when it returns: a hook, a reclaimer, the
 * question of a budget. (Listeners and clean-ups hold the frame.) */
bool fai_callback_is_amid(const fa_allocator *allocator);

/* The parts of that: diag.c, reserve.c, account.c. */
bool fai_diag_is_telling(const fa_allocator *allocator);
bool fai_reserve_is_asking(const fa_allocator *allocator);
bool fai_budget_is_asking(const fa_allocator *allocator);

#endif
