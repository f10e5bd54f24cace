#include "fa/task.h"

#include "fa/internal/pool.h"
#include "fa/internal/task.h"
#include "fa/pool.h"

#include <string.h>

typedef struct fai_task_record fai_task_record;

/* Stands before its block. */
typedef struct block {
    struct block *newer, *older;
    const fai_task_record *owner; /* NULL once it was freed */
    size_t size;
} block;
#define BLOCK_HEADER ((sizeof(block) + FA_ALIGN_MIN - 1) & ~(FA_ALIGN_MIN - 1))

/* What is not of the roster is guarded by its lock. */
struct fai_task_record {
    fai_named named; /* must be first; its memory stays empty */
    fai_owned owned;
    block *newest;
    size_t bytes, bytes_peak, live_count;
    uint64_t alloc_count;
};

bool fai_tasks_create(fa_allocator *allocator) {
    return fai_roster_create(allocator, &allocator->tasks, sizeof(fai_task_record));
}

static fai_task_record *record_of(fa_task task) { return (fai_task_record *)(void *)task.head; }

static fa_status report_ended(const fai_bump *bump, size_t size) {
    return fai_report(bump->allocator, FA_DIAG_FA610, FA_ERROR_FOREIGN, size, 0, bump);
}

/* ---- beginning and ending ---- */

/* Of a task that no handle names any more. */
static void bury(fa_allocator *allocator, fai_task_record *record) {
    for (block *at = record->newest, *older; at; at = older) {
        older = at->older;
        (fa_pool_free)(allocator, at);
    }
    record->newest = NULL;
    fai_roster_give(&allocator->tasks, &record->named);
}

/* With the allocator. */
static void destroy(fa_allocator *allocator, fai_owned *owned) {
    fai_task_record *record =
        (fai_task_record *)(void *)((char *)owned - offsetof(fai_task_record, owned));
    uint64_t serial = FAI_LOAD_RELAXED(&record->named.bump.head.serial);
    if (fai_roster_remove(&allocator->tasks, &record->named, serial))
        bury(allocator, record);
}

static const fai_owned_kind k_tasks = {destroy, NULL, NULL, NULL, NULL};

fa_task(fa_task_begin)(fa_allocator *allocator, const char *name) {
    fa_task task = {NULL, 0};
    if (allocator == NULL) {
        fai_fail(FA_ERROR_INVALID, 0);
        return task;
    }
    fai_roster *roster = &allocator->tasks;
    fai_task_record *record = (fai_task_record *)(void *)fai_roster_take(allocator, roster);
    if (record == NULL)
        return task;
    fai_bump_create(&record->named.bump, allocator, 0, 0, false);
    fai_owned_add(allocator, &record->owned, &k_tasks);
    pthread_mutex_lock(&roster->lock);
    task.serial = fai_roster_open(roster, &record->named, name ? name : "");
    pthread_mutex_unlock(&roster->lock);
    task.head = &record->named.bump.head;
    return task;
}

fa_status(fa_task_end)(fa_task task) {
    const fai_bump *bump = fai_named_check(task.head, task.serial, 0);
    if (bump == NULL)
        return fa_last_error().status;
    fa_allocator *allocator = bump->allocator;
    fai_task_record *record = record_of(task);
    pthread_mutex_lock(&allocator->tasks.lock);
    /* From here on nobody puts a block on the list, or takes one off. */
    bool is_mine = fai_roster_close(&allocator->tasks, &record->named, task.serial);
    pthread_mutex_unlock(&allocator->tasks.lock);
    if (!is_mine)
        return report_ended(bump, 0);
    fai_owned_remove(allocator, &record->owned);
    bury(allocator, record);
    return FA_OK;
}

bool fa_task_is_open(fa_task task) { return fai_named_is_open(task.head, task.serial); }

/* ---- blocks ---- */

/* Under the lock. */
static void link_block(fai_task_record *record, block *at) {
    at->older = record->newest;
    if (at->older != NULL)
        at->older->newer = at;
    record->newest = at;
    record->bytes += at->size;
    if (record->bytes > record->bytes_peak)
        record->bytes_peak = record->bytes;
    record->live_count++;
    record->alloc_count++;
}

static void unlink_block(fai_task_record *record, block *at) {
    if (at->newer != NULL)
        at->newer->older = at->older;
    else
        record->newest = at->older;
    if (at->older != NULL)
        at->older->newer = at->newer;
    record->bytes -= at->size;
    record->live_count--;
    at->owner = NULL;
}

void *(fa_task_alloc)(fa_task task, size_t size) {
    const fai_bump *bump = fai_named_check(task.head, task.serial, size);
    if (bump == NULL)
        return NULL;
    if (size - 1 >= FA_SIZE_MAX - BLOCK_HEADER) {
        fai_fail(FA_ERROR_INVALID, size);
        return NULL;
    }
    fa_allocator *allocator = bump->allocator;
    block *made = (block *)fai_pool_alloc_unsized(allocator, BLOCK_HEADER + size, FA_ALIGN_MIN);
    if (made == NULL)
        return NULL;
    fai_task_record *record = record_of(task);
    *made = (block){NULL, NULL, record, size};
    pthread_mutex_lock(&allocator->tasks.lock);
    bool is_open = fa_task_is_open(task);
    if (is_open)
        link_block(record, made);
    pthread_mutex_unlock(&allocator->tasks.lock);
    if (is_open)
        return (char *)made + BLOCK_HEADER;
    (fa_pool_free)(allocator, made);
    report_ended(bump, size);
    return NULL;
}

/* The header of a live block of the task, unlinked if it goes; NULL with the reason reported. */
static block *find(fa_task task, void *address, bool goes) {
    const fai_bump *bump = fai_named_check(task.head, task.serial, 0);
    if (bump == NULL)
        return NULL;
    fa_allocator *allocator = bump->allocator;
    fai_task_record *record = record_of(task);
    block *at = (block *)(void *)((char *)address - BLOCK_HEADER);
    pthread_mutex_lock(&allocator->tasks.lock);
    bool is_open = fa_task_is_open(task), is_own = is_open && at->owner == record;
    if (is_own && goes)
        unlink_block(record, at);
    pthread_mutex_unlock(&allocator->tasks.lock);
    if (is_own)
        return at;
    fai_report(allocator, is_open ? FA_DIAG_FA601 : FA_DIAG_FA610, FA_ERROR_FOREIGN, 0, 0,
               is_open ? address : bump);
    return NULL;
}

fa_status(fa_task_free)(fa_task task, void *address) {
    if (task.head == NULL)
        return fai_fail(FA_ERROR_INVALID, 0);
    if (address == NULL)
        return FA_OK;
    fa_allocator *allocator = ((fai_bump *)(void *)task.head)->allocator;
    block *gone = find(task, address, true);
    if (gone == NULL)
        return fa_last_error().status;
    (fa_pool_free)(allocator, gone);
    return FA_OK;
}

void *(fa_task_realloc)(fa_task task, void *address, size_t size) {
    const block *old = NULL;
    if (address != NULL && task.head != NULL && (old = find(task, address, false)) == NULL)
        return NULL;
    void *moved = (fa_task_alloc)(task, size);
    if (moved == NULL || old == NULL)
        return moved;
    memcpy(moved, address, old->size < size ? old->size : size);
    if ((fa_task_free)(task, address) == FA_OK)
        return moved;
    return NULL; /* the task was ended meanwhile, and with it both blocks */
}

void *(fa_task_alloc_zeroed)(fa_task task, size_t count, size_t size) {
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes))
        bytes = SIZE_MAX;
    void *made = (fa_task_alloc)(task, bytes);
    if (made != NULL)
        memset(made, 0, bytes);
    return made;
}

void *(fa_task_copy)(fa_task task, const void *source, size_t size) {
    if (source == NULL) {
        fai_fail(FA_ERROR_INVALID, size);
        return NULL;
    }
    void *made = (fa_task_alloc)(task, size);
    if (made != NULL)
        memcpy(made, source, size);
    return made;
}

char *(fa_task_copy_string)(fa_task task, const char *string) {
    return (char *)(fa_task_copy)(task, string, string ? strlen(string) + 1 : 0);
}

/* ---- numbers ---- */

/* False, and all zero, when the task has ended. */
static bool fill(fa_allocator *allocator, fa_task task, fa_task_stats *stats) {
    const fai_task_record *record = record_of(task);
    memset(stats, 0, sizeof *stats);
    pthread_mutex_lock(&allocator->tasks.lock);
    bool same = fa_task_is_open(task);
    if (same) {
        memcpy(stats->name, record->named.name, sizeof stats->name);
        stats->bytes = record->bytes;
        stats->bytes_peak = record->bytes_peak;
        stats->live_count = record->live_count;
        stats->alloc_count = record->alloc_count;
    }
    pthread_mutex_unlock(&allocator->tasks.lock);
    return same;
}

fa_status fa_task_stats_get(fa_task task, fa_task_stats *stats) {
    if (stats == NULL)
        return fai_fail(FA_ERROR_INVALID, 0);
    memset(stats, 0, sizeof *stats);
    const fai_bump *bump = fai_named_check(task.head, task.serial, 0);
    if (bump == NULL)
        return fa_last_error().status;
    return fill(bump->allocator, task, stats) ? FA_OK : report_ended(bump, 0);
}

size_t fa_task_count(const fa_allocator *allocator) {
    return allocator ? FAI_LOAD_RELAXED(&allocator->tasks.count) : 0;
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
        if (task.serial == 0 || !fill(allocator, task, &stats))
            continue;
        visit(user, task, &stats);
        count++;
    }
    return count;
}
