/* What is known about tasks. */
#include "fa/internal/task.h"

#include <string.h>

/* False, and all zero, when the task has ended. */
static bool fill(fa_task task, fa_task_stats *stats) {
    fai_task_record *record = fai_task_record_of(task);
    memset(stats, 0, sizeof *stats);
    fai_task_lock(record);
    bool same = fa_task_is_open(task);
    if (same) {
        memcpy(stats->name, record->named.name, sizeof stats->name);
        stats->bytes = record->bytes;
        stats->bytes_peak = record->bytes_peak;
        stats->live_count = fai_task_live_count(record);
        stats->captured_count = record->captured_count;
        stats->destructor_count = record->destructor_count;
        stats->alloc_count = record->alloc_count;
    }
    fai_task_unlock(record);
    return same;
}

fa_status fa_task_stats_get(fa_task task, fa_task_stats *stats) {
    if (stats == NULL)
        return fai_fail(FA_ERROR_INVALID, 0);
    memset(stats, 0, sizeof *stats);
    if (fai_named_check(task.head, task.serial, 0) == NULL)
        return fa_last_error().status;
    return fill(task, stats) ? FA_OK : fai_task_report_ended(fai_task_record_of(task), 0);
}

size_t fa_task_count(const fa_allocator *allocator) {
    return fai_roster_count(allocator ? &allocator->tasks : NULL);
}

size_t fa_task_visit(fa_allocator *allocator,
                     void (*visit)(void *user, fa_task task, const fa_task_stats *stats),
                     void *user) {
    if (allocator == NULL || visit == NULL) {
        fai_fail(FA_ERROR_INVALID, 0);
        return 0;
    }
    size_t count = 0;
    fai_roster_walk walk = {NULL, 0};
    for (fai_named *at; (at = fai_roster_next(&allocator->tasks, &walk)) != NULL;) {
        fa_task task = {&at->bump.head, FAI_LOAD_ACQUIRE(&at->bump.head.serial)};
        fa_task_stats stats;
        if (task.serial == 0 || !fill(task, &stats))
            continue;
        visit(user, task, &stats);
        count++;
    }
    return count;
}
