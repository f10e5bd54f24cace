/* What surrounds calls of functions of the program. */
#include "fa/internal/callback.h"

#include "fa/internal/thread.h"

__thread fai_callback fai_callback_now;

void fai_callback_end_slow(fai_callback outer) {
    bool left_open = fai_callback_now.captures != 0;
    uint32_t level = outer.level + (outer.captures != 0);
    /* Hooks that are called here see none of those that are still open. */
    fai_callback_now = (fai_callback){fai_callback_now.level + 1, 0};
    for (fai_thread *thread; left_open && (thread = fai_thread_capturing(level)) != NULL;) {
        fa_task task = fai_capture_drop(thread);
        fai_report(thread->allocator, FA_DIAG_FA615, FA_ERROR_FOREIGN, 0, 0, task.head);
    }
    fai_callback_now = outer;
}

void fai_callback_waits(uint32_t change) {
    fai_events_waits(change);
    fai_reserve_waits(change);
    fai_budget_waits(change);
    fai_timelines_wait(change);
}

bool fai_callback_is_amid(const fa_allocator *allocator) {
    return fai_diag_is_telling(allocator) || fai_reserve_is_asking(allocator) ||
           fai_budget_is_asking(allocator);
}
