#define _GNU_SOURCE /* sched_yield */
#include "fa/internal/task.h"

#include "fa/internal/callback.h"
#include "fa/internal/free.h"
#include "fa/internal/heap.h"
#include "fa/internal/pool.h"

#include <sched.h>
#include <string.h>

#define FREED_AT_ONCE 64 /* blocks that are taken off a list in one go */

fa_status fai_task_report_ended(const fai_task_record *record, size_t size) {
    return fai_report(fai_task_allocator(record), FA_DIAG_FA610, FA_ERROR_FOREIGN, size, 0, record);
}

/* ---- the list of a task; under its latch ---- */

static fai_task_block **list_of(fai_task_record *record, const fai_task_block *at) {
    return fai_task_has_destructor(at) ? &record->newest_with : &record->newest;
}

static void cut(fai_task_block **list, const fai_task_block *at) {
    if (at->newer != NULL)
        at->newer->older = at->older;
    else
        *list = at->older;
    if (at->older != NULL)
        at->older->newer = at->newer;
}

void fai_task_link(fai_task_record *record, fai_task_block *at, bool is_new) {
    at->owner = record;
    fai_task_push(list_of(record, at), at);
    fai_task_count_new(record, at->size);
    if (!is_new) {
        record->alloc_count--;
        record->gone_count--;
    }
    record->captured_count += at->is_captured;
    record->destructor_count += fai_task_has_destructor(at);
}

void fai_task_unlink(fai_task_block *at) {
    fai_task_record *record = at->owner;
    cut(list_of(record, at), at);
    record->bytes -= at->size;
    record->gone_count++;
    record->captured_count -= at->is_captured;
    record->destructor_count -= fai_task_has_destructor(at);
    at->owner = NULL;
}

/* ---- records ---- */

#define SPARE_COUNT_MAX 32

/* The calling thread's state, where it used this allocator last. */
static fai_thread *thread_of(const fa_allocator *allocator) {
    bool is_last = FAI_LOAD_RELAXED(&fai_slot.owner) == allocator;
    return is_last ? (fai_thread *)fai_slot.head : NULL;
}

static void clear_record(fai_task_record *record) {
    memset(record->named.name, 0, offsetof(fai_task_record, latch) - offsetof(fai_named, name));
}

/* A record that nobody else has: of a task that ended on this thread, without a lock, or of the
 * roster; all zero from its name on. */
static fai_task_record *take_record(fa_allocator *allocator) {
    fai_thread *thread = thread_of(allocator);
    fai_task_record *record = thread != NULL ? thread->tasks : NULL;
    if (record != NULL) {
        thread->tasks = (fai_task_record *)(void *)record->named.next;
        clear_record(record);
        return record;
    }
    record = (fai_task_record *)(void *)fai_roster_take(allocator, &allocator->tasks);
    if (record != NULL && !fai_named_is_whole(&record->named))
        fai_bump_create(&record->named.bump, allocator, 0, 0, false);
    return record;
}

static void give_record(fa_allocator *allocator, fai_task_record *record) {
    fai_thread *thread = thread_of(allocator);
    fai_task_record *below = thread != NULL ? thread->tasks : NULL;
    if (thread == NULL || (below != NULL && below->spare_count == SPARE_COUNT_MAX)) {
        fai_roster_give(&allocator->tasks, &record->named);
        return;
    }
    record->spare_count = (uint16_t)(below != NULL ? below->spare_count + 1 : 1);
    record->named.next = (fai_named *)(void *)below;
    /* Release: the child of a fork, which finds the record here, finds what is below it. */
    FAI_STORE_RELEASE(&thread->tasks, record);
}

/* ---- beginning and ending ---- */

void fai_task_call(fai_task_finish what) {
    fai_callback outer = fai_callback_begin();
    what.function(what.object);
    fai_callback_end(outer);
}

/* Calls the destructors, those that came last first, also those that come meanwhile; the memory of
 * their objects stays. */
static bool run_destructors(fai_task_record *record) {
    for (bool any = false;; any = true) {
        fai_task_lock(record);
        fai_task_block *at = record->newest_with;
        fai_task_finish what = {NULL, NULL};
        if (at != NULL) {
            cut(&record->newest_with, at);
            fai_task_finish *finish = fai_task_finish_of(at);
            what = *finish;
            finish->function = NULL;
            fai_task_push(&record->newest, at);
            record->destructor_count--;
        }
        fai_task_unlock(record);
        if (at == NULL)
            return any;
        fai_task_call(what);
    }
}

/* Of a task without destructors and captured blocks, whose list nobody else looks at. */
static void free_plain(fa_allocator *allocator, fai_task_record *record) {
    fai_free_row row = FAI_FREE_ROW;
    for (fai_task_block *at = record->newest, *older; at != NULL; at = older) {
        older = at->older;
        at->owner = NULL;
        fai_free_next(allocator, fai_task_start_of(at), &row);
    }
    record->newest = NULL;
}

/* The same where somebody may free captured blocks at this moment. */
static void free_all(fa_allocator *allocator, fai_task_record *record) {
    fai_task_block *taken[FREED_AT_ONCE];
    void *plain[FREED_AT_ONCE];
    for (bool more = true; more;) {
        size_t count = 0, plain_count = 0;
        fai_task_lock(record);
        while (count < FREED_AT_ONCE && record->newest != NULL) {
            taken[count] = record->newest;
            fai_task_unlink(taken[count++]);
        }
        more = record->newest != NULL;
        fai_task_unlock(record);
        for (size_t i = 0; i < count; i++) {
            if (taken[i]->is_captured)
                fai_capture_free(allocator, taken[i]);
            else
                plain[plain_count++] = fai_task_start_of(taken[i]);
        }
        (fa_pool_free_batch)(allocator, plain, plain_count);
    }
}

/* Of a task that no handle names any more. is_shared: there were captured blocks when it was
 * closed, which anybody may free: else all of it is the caller's. */
static void bury(fa_allocator *allocator, fai_task_record *record, bool is_shared) {
    if (record->newest_with != NULL) /* nothing comes, and goes by here only */
        run_destructors(record);
    if (is_shared)
        free_all(allocator, record);
    else
        free_plain(allocator, record);
    FAI_STORE_RELAXED(&record->joined, FAI_TASK_APART);
    give_record(allocator, record);
}

static fai_task_record *record_owned(fai_owned *owned) {
    return (fai_task_record *)(void *)((char *)owned - offsetof(fai_task_record, owned));
}

/* True for one caller: from then on nobody puts a block on the list. */
static bool close_record(fai_task_record *record, uint64_t serial, bool *is_shared) {
    fai_task_lock(record);
    bool is_mine = FAI_LOAD_RELAXED(&record->named.bump.head.serial) == serial;
    if (is_mine)
        FAI_STORE_RELAXED(&record->named.bump.head.serial, 0);
    *is_shared = record->captured_count != 0;
    fai_task_unlock(record);
    return is_mine;
}

/* With the allocator. */
static void destroy(fa_allocator *allocator, fai_owned *owned) {
    fai_task_record *record = record_owned(owned);
    uint64_t serial = FAI_LOAD_RELAXED(&record->named.bump.head.serial);
    bool is_shared = record->captured_count != 0;
    if (serial == 0 || close_record(record, serial, &is_shared)) /* 0: closed before */
        bury(allocator, record, is_shared);
}

/* Its blocks stay until the task is destroyed, but it has ended: else a destructor could end it,
 * and free the object that it is called for. */
static bool clear(fa_allocator *allocator, fai_owned *owned) {
    (void)allocator;
    fai_task_record *record = record_owned(owned);
    uint64_t serial = FAI_LOAD_RELAXED(&record->named.bump.head.serial);
    bool is_shared;
    if (serial != 0)
        (void)close_record(record, serial, &is_shared);
    return run_destructors(record);
}

static const void *validate_list(const fai_task_record *record, const fai_task_block *newest,
                                 size_t *bytes, size_t *count) {
    const fai_task_block *newer = NULL;
    for (const fai_task_block *at = newest; at != NULL; newer = at, at = at->older) {
        if (at->owner != record || at->newer != newer || *count == fai_task_live_count(record))
            return at;
        *bytes += at->size;
        ++*count;
    }
    return NULL;
}

/* Whether headers are as they were written: they stand right before what programs write to. */
static const void *validate(fai_task_record *record) {
    size_t bytes = 0, count = 0;
    const void *wrong = NULL;
    fai_task_lock(record);
    /* Acquire: what the task began with, which needs no latch. */
    if (FAI_LOAD_ACQUIRE(&record->named.bump.head.serial) != 0) {
        wrong = validate_list(record, record->newest, &bytes, &count);
        if (wrong == NULL)
            wrong = validate_list(record, record->newest_with, &bytes, &count);
        if (wrong == NULL && (bytes != record->bytes || count != fai_task_live_count(record)))
            wrong = record;
    }
    fai_task_unlock(record);
    return wrong;
}

static const fai_owned_kind k_tasks = {.destroy = destroy, .clear = clear};

/* It may end meanwhile. */
void fai_task_join(fa_task task) {
    fai_task_record *record = fai_task_record_of(task);
    if (FAI_LOAD_RELAXED(&record->joined) != FAI_TASK_APART)
        return;
    fai_task_lock(record);
    bool is_first = fa_task_is_open(task) && record->joined == FAI_TASK_APART;
    if (is_first)
        FAI_STORE_RELAXED(&record->joined, FAI_TASK_JOINING);
    fai_task_unlock(record);
    if (!is_first)
        return;
    fai_owned_add(fai_task_allocator(record), &record->owned, &k_tasks);
    /* Release: whoever ends the task takes off the list what was put there. */
    FAI_STORE_RELEASE(&record->joined, FAI_TASK_JOINED);
}

/* Of a task that was just closed: nobody begins to join any more. */
FA_COLD static void part(fai_task_record *record) {
    while (FAI_LOAD_ACQUIRE(&record->joined) == FAI_TASK_JOINING)
        sched_yield(); /* on another thread, which comes late */
    fai_owned_remove(fai_task_allocator(record), &record->owned);
}

/* ---- all tasks ---- */

static fai_task_record *next(const fa_allocator *allocator, fai_roster_walk *walk) {
    return (fai_task_record *)(void *)fai_roster_next(&allocator->tasks, walk);
}

static fa_allocator *allocator_of_latches(fai_owned *owned) {
    return (fa_allocator *)(void *)((char *)owned - offsetof(fa_allocator, task_latches));
}

/* Around a fork. The roster's lock is held, before the first and until after the last: no records
 * come, which would be unlocked without having been locked. */
static void lock_all(fai_owned *owned) {
    fai_roster_walk walk = {NULL, 0};
    for (fai_task_record *at; (at = next(allocator_of_latches(owned), &walk)) != NULL;)
        fai_task_lock(at);
}

static void unlock_all(fai_owned *owned) {
    fai_roster_walk walk = {NULL, 0};
    for (fai_task_record *at; (at = next(allocator_of_latches(owned), &walk)) != NULL;)
        fai_task_unlock(at);
}

/* What threads keep that did not survive a fork, whose lock of the roster is held. They take a
 * record off before it is opened, and put it back once it is closed: all of these are free. What a
 * thread was about to attach with stays lost, as all of its state. */
static void give_spares(fa_allocator *allocator) {
    for (fai_thread *thread = allocator->threads; thread != NULL; thread = thread->next)
        while (thread->slot != &fai_slot && thread->tasks != NULL) {
            fai_named *named = &thread->tasks->named;
            thread->tasks = (fai_task_record *)(void *)named->next;
            named->next = allocator->tasks.free;
            allocator->tasks.free = named;
        }
}

/* In the child of a fork nobody is about to join any more: each has, or has not. */
static void fork_child(fai_owned *owned) {
    fa_allocator *allocator = allocator_of_latches(owned);
    give_spares(allocator);
    fai_roster_walk walk = {NULL, 0};
    for (fai_task_record *at; (at = next(allocator, &walk)) != NULL;)
        if (at->joined == FAI_TASK_JOINING)
            FAI_STORE_RELAXED(&at->joined, FAI_TASK_APART);
    for (fai_owned *at = allocator->owned.newest; at != NULL; at = at->next)
        if (at->kind == &k_tasks)
            FAI_STORE_RELAXED(&record_owned(at)->joined, FAI_TASK_JOINED);
}

/* Right after the roster, whose records they are: hooks that begin tasks from now on, where leaks
 * are named, get new ones. */
static void forget_spares(fa_allocator *allocator, fai_owned *owned) {
    (void)owned;
    fai_lock(allocator);
    fai_thread *const lists[] = {allocator->threads, allocator->idle, allocator->trimmed,
                                 allocator->frozen};
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
        for (fai_thread *thread = lists[i]; thread != NULL; thread = thread->next)
            thread->tasks = NULL;
    fai_unlock(allocator);
}

/* Tasks that never joined; those that hooks begin meanwhile, and that join, the list destroys. */
static void destroy_left(fa_allocator *allocator, fai_owned *owned) {
    (void)owned;
    fai_roster_walk walk = {NULL, 0};
    for (fai_task_record *at; (at = next(allocator, &walk)) != NULL;)
        if (at->named.bump.head.serial != 0 && at->joined == FAI_TASK_APART)
            destroy(allocator, &at->owned);
}

static const void *validate_all(fa_allocator *allocator, fai_owned *owned) {
    (void)owned;
    const void *wrong = NULL;
    fai_roster_walk walk = {NULL, 0};
    for (fai_task_record *at; wrong == NULL && (at = next(allocator, &walk)) != NULL;)
        wrong = validate(at);
    return wrong;
}

static const fai_owned_kind k_latches = {
    .destroy = forget_spares, .lock = lock_all, .unlock = unlock_all, .fork_child = fork_child};
static const fai_owned_kind k_left = {.destroy = destroy_left, .validate = validate_all};

/* What is owned is locked from the newest on, and destroyed in that order: the latches come after
 * the roster's lock, what is left goes before the roster, what threads keep of it after it. */
bool fai_tasks_create(fa_allocator *allocator) {
    fai_owned_add(allocator, &allocator->task_latches, &k_latches);
    if (!fai_roster_create(allocator, &allocator->tasks, sizeof(fai_task_record),
                           offsetof(fai_task_record, latch)))
        return false;
    fai_owned_add(allocator, &allocator->tasks_left, &k_left);
    return true;
}

fa_task(fa_task_begin)(fa_allocator *allocator, const char *name) {
    fa_task task = {NULL, 0};
    if (allocator == NULL) {
        fai_fail(FA_ERROR_INVALID, 0);
        return task;
    }
    fai_task_record *record = take_record(allocator);
    if (record == NULL)
        return task;
    fai_named_call(&record->named, name);
    task.serial = ++record->serial_last;
    task.head = &record->named.bump.head;
    /* Release: whoever finds the record, and that it has a serial, sees what it begins with. */
    FAI_STORE_RELEASE(&task.head->serial, task.serial);
    return task;
}

fa_status(fa_task_end)(fa_task task) {
    const fai_bump *bump = fai_task_named(task, 0);
    if (bump == NULL)
        return fa_last_error().status;
    fai_task_record *record = fai_task_record_of(task);
    bool is_shared;
    if (!close_record(record, task.serial, &is_shared))
        return fai_task_report_ended(record, 0);
    if (FA_UNLIKELY(FAI_LOAD_ACQUIRE(&record->joined) != FAI_TASK_APART))
        part(record);
    bury(bump->allocator, record, is_shared);
    return FA_OK;
}

bool fa_task_is_open(fa_task task) { return fai_named_is_open(task.head, task.serial); }

/* ---- what goes to a later callback ---- */

fa_status(fa_task_check)(fa_task task, const void *pointer) {
    const fai_bump *bump = fai_task_named(task, 0);
    if (bump == NULL)
        return fa_last_error().status;
    if (pointer == NULL || !fai_frame_has(bump->allocator, pointer))
        return FA_OK;
    return fai_report(bump->allocator, FA_DIAG_FA616, FA_ERROR_FOREIGN, 0, 0, pointer);
}

void *(fa_task_carry)(fa_task task, const void *pointer) {
    return (fa_task_check)(task, pointer) == FA_OK ? (void *)(uintptr_t)pointer : NULL;
}
