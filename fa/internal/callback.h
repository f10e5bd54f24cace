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
 * open there is nothing to hide: the callback stays on its caller's level. */
#ifndef FAI_CALLBACK_H
#define FAI_CALLBACK_H

#include "fa/base.h"

#include <stdint.h>

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

/* capture.c: the rest of the end. Captures that the callback has left open end, and are reported
 * (FA615). */
FA_COLD void fai_callback_end_slow(fai_callback outer);

static inline void fai_callback_end(fai_callback outer) {
    if (FA_UNLIKELY((outer.captures | fai_callback_now.captures) != 0))
        fai_callback_end_slow(outer);
}

#endif
