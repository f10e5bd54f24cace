#define _GNU_SOURCE /* sched_yield */
#include "fa/internal/task.h"

#include "fa/internal/callback.h"
#include "fa/internal/heap.h"
#include "fa/internal/pool.h"
#include "fa/pool.h"

#include <sched.h>
#include <string.h>

#define FREED_AT_ONCE 64 /* blocks that are taken off a list in one go */

/* What a handle names; NULL with the reason reported. */
static inline const fai_bump *check(fa_task task, size_t size) {
    if (FA_LIKELY(fai_named_is_open(task.head, task.serial)))
        return (const fai_bump *)(const void *)task.head;
    return fai_named_check(task.head, task.serial, size);
}

static fai_task_record *record_of(fa_task task) { return (fai_task_record *)(void *)task.head; }

static fa_allocator *allocator_of(const fai_task_record *record) {
    return record->named.bump.allocator;
}

fa_status fai_task_report_ended(const fai_task_record *record, size_t size) {
    return fai_report(allocator_of(record), FA_DIAG_FA610, FA_ERROR_FOREIGN, size, 0, record);
}

/* ---- the list of a task; under its latch ---- */

static fai_task_finish *finish_of(const fai_task_block *at) {
    return at->is_long ? (fai_task_finish *)(uintptr_t)at - 1 : NULL;
}

static bool has_destructor(const fai_task_block *at) {
    return at->is_long && finish_of(at)->function != NULL;
}

static fai_task_block **list_of(fai_task_record *record, const fai_task_block *at) {
    return has_destructor(at) ? &record->newest_with : &record->newest;
}

static void push(fai_task_block **list, fai_task_block *at) {
    at->newer = NULL;
    at->older = *list;
    if (at->older != NULL)
        at->older->newer = at;
    *list = at;
}

static void cut(fai_task_block **list, const fai_task_block *at) {
    if (at->newer != NULL)
        at->newer->older = at->older;
    else
        *list = at->older;
    if (at->older != NULL)
        at->older->newer = at->newer;
}

void fai_task_link(fai_task_record *record, fai_task_block *at) {
    push(list_of(record, at), at);
    record->bytes += at->size;
    if (record->bytes > record->bytes_peak)
        record->bytes_peak = record->bytes;
    record->live_count++;
    record->captured_count += at->is_captured;
    record->destructor_count += has_destructor(at);
}

void fai_task_unlink(fai_task_block *at) {
    fai_task_record *record = at->owner;
    cut(list_of(record, at), at);
    record->bytes -= at->size;
    record->live_count--;
    record->captured_count -= at->is_captured;
    record->destructor_count -= has_destructor(at);
    at->owner = NULL;
}

/* ---- beginning and ending ---- */

static void call(fai_task_finish what) {
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
            fai_task_finish *finish = finish_of(at);
            what = *finish;
            finish->function = NULL;
            push(&record->newest, at);
            record->destructor_count--;
        }
        fai_task_unlock(record);
        if (at == NULL)
            return any;
        call(what);
    }
}

/* What the pool served for a block that no task captured. */
static void *start_of(fai_task_block *at) {
    return at->is_long ? (void *)finish_of(at) : (void *)at;
}

static void free_block(fa_allocator *allocator, fai_task_block *at) {
    if (at->is_captured)
        fai_capture_free(allocator, at);
    else
        (fa_pool_free)(allocator, start_of(at));
}

/* Of a task without destructors and captured blocks, whose list nobody else looks at. */
static void free_plain(fa_allocator *allocator, fai_task_record *record) {
    void *plain[FREED_AT_ONCE];
    for (fai_task_block *at = record->newest; at != NULL;) {
        size_t count = 0;
        for (; at != NULL && count < FREED_AT_ONCE; at = at->older) {
            at->owner = NULL;
            plain[count++] = start_of(at);
        }
        (fa_pool_free_batch)(allocator, plain, count);
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
                plain[plain_count++] = start_of(taken[i]);
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
    fai_roster_give(&allocator->tasks, &record->named);
}

static fai_task_record *record_owned(fai_owned *owned) {
    return (fai_task_record *)(void *)((char *)owned - offsetof(fai_task_record, owned));
}

/* True for one caller: from then on nobody puts a block on the list. */
static bool close_record(fai_task_record *record, uint64_t serial, bool *is_shared) {
    fai_task_lock(record);
    bool is_mine = fai_roster_close(&allocator_of(record)->tasks, &record->named, serial);
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
        if (at->owner != record || at->newer != newer || *count == record->live_count)
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
    if (FAI_LOAD_RELAXED(&record->named.bump.head.serial) != 0) {
        wrong = validate_list(record, record->newest, &bytes, &count);
        if (wrong == NULL)
            wrong = validate_list(record, record->newest_with, &bytes, &count);
        if (wrong == NULL && (bytes != record->bytes || count != record->live_count))
            wrong = record;
    }
    fai_task_unlock(record);
    return wrong;
}

static const fai_owned_kind k_tasks = {.destroy = destroy, .clear = clear};

/* A task that gets its first destructor joins what the allocator owns. It may end meanwhile. */
static void join(fa_task task) {
    fai_task_record *record = record_of(task);
    if (FAI_LOAD_RELAXED(&record->joined) != FAI_TASK_APART)
        return;
    fai_task_lock(record);
    bool is_first = fa_task_is_open(task) && record->joined == FAI_TASK_APART;
    if (is_first)
        FAI_STORE_RELAXED(&record->joined, FAI_TASK_JOINING);
    fai_task_unlock(record);
    if (!is_first)
        return;
    fai_owned_add(allocator_of(record), &record->owned, &k_tasks);
    /* Release: whoever ends the task takes off the list what was put there. */
    FAI_STORE_RELEASE(&record->joined, FAI_TASK_JOINED);
}

/* Of a task that was just closed: nobody begins to join any more. */
static void part(fai_task_record *record) {
    uint8_t joined;
    while ((joined = FAI_LOAD_ACQUIRE(&record->joined)) == FAI_TASK_JOINING)
        sched_yield(); /* on another thread, which comes late */
    if (joined == FAI_TASK_JOINED)
        fai_owned_remove(allocator_of(record), &record->owned);
}

/* ---- all tasks ---- */

static fai_task_record *next(const fa_allocator *allocator, fai_roster_walk *walk) {
    return (fai_task_record *)(void *)fai_roster_next(&allocator->tasks, walk);
}

static fa_allocator *allocator_of_latches(fai_owned *owned) {
    return (fa_allocator *)(void *)((char *)owned - offsetof(fa_allocator, task_latches));
}

/* Around a fork. The roster's lock is held: no records come. */
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

/* In the child of a fork nobody is about to join any more: each has, or has not. */
static void nobody_joins(fai_owned *owned) {
    fa_allocator *allocator = allocator_of_latches(owned);
    fai_roster_walk walk = {NULL, 0};
    for (fai_task_record *at; (at = next(allocator, &walk)) != NULL;)
        if (at->joined == FAI_TASK_JOINING)
            FAI_STORE_RELAXED(&at->joined, FAI_TASK_APART);
    for (fai_owned *at = allocator->owned.newest; at != NULL; at = at->next)
        if (at->kind == &k_tasks)
            FAI_STORE_RELAXED(&record_owned(at)->joined, FAI_TASK_JOINED);
}

static void destroy_nothing(fa_allocator *allocator, fai_owned *owned) {
    (void)allocator;
    (void)owned;
}

/* Tasks that never joined. */
static void destroy_left(fa_allocator *allocator, fai_owned *owned) {
    (void)owned;
    fai_roster_walk walk = {NULL, 0};
    for (fai_task_record *at; (at = next(allocator, &walk)) != NULL;)
        if (at->named.bump.head.serial != 0)
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
    .destroy = destroy_nothing, .lock = lock_all, .unlock = unlock_all, .fork_child = nobody_joins};
static const fai_owned_kind k_left = {.destroy = destroy_left, .validate = validate_all};

/* What is owned is locked from the newest on, and destroyed in that order: the latches come after
 * the roster's lock, what is left goes before the roster. */
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
    fai_roster *roster = &allocator->tasks;
    fai_task_record *record = (fai_task_record *)(void *)fai_roster_take(allocator, roster);
    if (record == NULL)
        return task;
    fai_bump_create(&record->named.bump, allocator, 0, 0, false);
    task.serial = fai_roster_add(roster, &record->named, name);
    task.head = &record->named.bump.head;
    return task;
}

fa_status(fa_task_end)(fa_task task) {
    const fai_bump *bump = fai_named_check(task.head, task.serial, 0);
    if (bump == NULL)
        return fa_last_error().status;
    fa_allocator *allocator = bump->allocator;
    fai_task_record *record = record_of(task);
    bool is_shared;
    if (!close_record(record, task.serial, &is_shared))
        return fai_task_report_ended(record, 0);
    part(record);
    bury(allocator, record, is_shared);
    return FA_OK;
}

bool fa_task_is_open(fa_task task) { return fai_named_is_open(task.head, task.serial); }

/* ---- blocks ---- */

static void *take(fa_allocator *allocator, size_t size) {
    void *block = fai_pool_take_ready(allocator, size);
    return block != NULL ? block : fai_pool_alloc_unsized(allocator, size, FA_ALIGN_MIN);
}

/* Puts a block on the list of the task, with all that is in it: from then on another thread may
 * free it, by ending the task. False when that has ended. */
static bool enter(fa_task task, fai_task_block *made, bool is_new) {
    fai_task_record *record = record_of(task);
    fai_task_lock(record);
    bool is_open = fa_task_is_open(task);
    if (is_open) {
        made->owner = record;
        fai_task_link(record, made);
        record->alloc_count += is_new;
    }
    fai_task_unlock(record);
    return is_open;
}

/* The same for a new one, which goes when the task has ended. */
static void *add(fa_task task, fai_task_block *made) {
    if (made == NULL || enter(task, made, true))
        return made != NULL ? made + 1 : NULL;
    fai_task_record *record = record_of(task);
    size_t size = made->size;
    free_block(allocator_of(record), made);
    fai_task_report_ended(record, size);
    return NULL;
}

/* A block that is on no list yet; NULL with the reason reported. */
static fai_task_block *make(fa_task task, size_t size) {
    const fai_bump *bump = check(task, size);
    if (bump == NULL)
        return NULL;
    if (size - 1 >= FA_SIZE_MAX - FAI_TASK_HEADER) {
        fai_fail(FA_ERROR_INVALID, size);
        return NULL;
    }
    fai_task_block *made = (fai_task_block *)take(bump->allocator, FAI_TASK_HEADER + size);
    if (made != NULL)
        *made = (fai_task_block){.size = size & FAI_TASK_SIZE_MASK};
    return made;
}

/* The same for one that something is called for when it goes; size may be 0. Its destructor gets
 * the block, or argument where is_block says no. */
static fai_task_block *make_long(fa_task task, size_t size, fa_destructor_fn *function,
                                 bool is_block, void *argument) {
    const fai_bump *bump = check(task, size);
    if (bump == NULL)
        return NULL;
    if (size > FA_SIZE_MAX - FAI_TASK_LONG_HEADER) {
        fai_fail(FA_ERROR_INVALID, size);
        return NULL;
    }
    join(task);
    fai_task_finish *finish = (fai_task_finish *)take(bump->allocator, FAI_TASK_LONG_HEADER + size);
    if (finish == NULL)
        return NULL;
    fai_task_block *made = (fai_task_block *)(void *)(finish + 1);
    *finish = (fai_task_finish){function, is_block ? (void *)(made + 1) : argument};
    *made = (fai_task_block){.size = size & FAI_TASK_SIZE_MASK, .is_long = 1};
    return made;
}

void *(fa_task_alloc)(fa_task task, size_t size) { return add(task, make(task, size)); }

void *(fa_task_alloc_with)(fa_task task, size_t size, fa_destructor_fn *destructor) {
    if (destructor == NULL || size == 0) {
        fai_fail(FA_ERROR_INVALID, size);
        return NULL;
    }
    return add(task, make_long(task, size, destructor, true, NULL));
}

fa_status(fa_task_defer)(fa_task task, fa_destructor_fn *destructor, void *argument) {
    if (destructor == NULL)
        return fai_fail(FA_ERROR_INVALID, 0);
    void *made = add(task, make_long(task, 0, destructor, false, argument));
    return made != NULL ? FA_OK : fa_last_error().status;
}

/* Whether there is memory where a block's header would be, and where somebody watches, a live
 * block: anything may be passed to a free. */
static bool is_there(fa_allocator *allocator, fai_task_block *at) {
    fai_slab *slab = fai_slab_lookup(allocator, at);
    if (slab != NULL && !allocator->watched)
        return true;
    const void *starts[] = {at, (fai_task_finish *)(void *)at - 1,
                            fai_capture_start(allocator, slab, at + 1)};
    for (size_t i = 0; i < sizeof starts / sizeof starts[0]; i++)
        if (starts[i] != NULL && (slab != NULL ? fai_pool_usable(allocator, slab, starts[i]) != 0
                                               : fai_heap_size(allocator, starts[i]) != 0))
            return true;
    return false;
}

/* The header of a live block of the task, unlinked if it goes; NULL with the reason reported. */
static fai_task_block *find(fa_task task, void *address, bool goes) {
    const fai_bump *bump = check(task, 0);
    if (bump == NULL)
        return NULL;
    fai_task_record *record = record_of(task);
    fai_task_block *at = (fai_task_block *)address - 1;
    bool may_be = is_there(bump->allocator, at);
    fai_task_lock(record);
    bool is_open = fa_task_is_open(task), is_own = is_open && may_be && at->owner == record;
    if (is_own && goes)
        fai_task_unlink(at);
    fai_task_unlock(record);
    if (is_own)
        return at;
    if (is_open)
        fai_report(bump->allocator, FA_DIAG_FA601, FA_ERROR_FOREIGN, 0, 0, address);
    else
        fai_task_report_ended(record, 0);
    return NULL;
}

static void call_destructor(const fai_task_block *at) {
    if (has_destructor(at))
        call(*finish_of(at));
}

fa_status(fa_task_free)(fa_task task, void *address) {
    if (task.head == NULL)
        return fai_fail(FA_ERROR_INVALID, 0);
    if (address == NULL)
        return FA_OK;
    fa_allocator *allocator = allocator_of(record_of(task));
    fai_task_block *gone = find(task, address, true);
    if (gone == NULL)
        return fa_last_error().status;
    call_destructor(gone);
    free_block(allocator, gone);
    return FA_OK;
}

/* A block that was taken off the list comes back; it goes when the task was ended meanwhile. */
static void put_back(fa_task task, fai_task_block *at) {
    if (enter(task, at, false))
        return;
    fai_task_record *record = record_of(task);
    call_destructor(at);
    free_block(allocator_of(record), at);
    fai_task_report_ended(record, 0);
}

void *(fa_task_realloc)(fa_task task, void *address, size_t size) {
    if (address == NULL || task.head == NULL)
        return (fa_task_alloc)(task, size);
    if (size == 0) {
        fai_fail(FA_ERROR_INVALID, size);
        return NULL;
    }
    fai_task_block *old = find(task, address, true); /* so that no end of the task frees it */
    if (old == NULL)
        return NULL;
    fa_destructor_fn *function = has_destructor(old) ? finish_of(old)->function : NULL;
    fai_task_block *moved =
        old->is_long ? make_long(task, size, function, true, NULL) : make(task, size);
    if (moved == NULL) {
        fa_error error = fa_last_error();
        put_back(task, old);
        fai_error_restore(error);
        return NULL;
    }
    memcpy(moved + 1, address, old->size < size ? old->size : size);
    free_block(allocator_of(record_of(task)), old);
    if (enter(task, moved, true))
        return moved + 1;
    put_back(task, moved);
    return NULL;
}

void *(fa_task_alloc_zeroed)(fa_task task, size_t count, size_t size) {
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes))
        bytes = SIZE_MAX;
    fai_task_block *made = make(task, bytes);
    if (made != NULL)
        memset(made + 1, 0, bytes);
    return add(task, made);
}

void *(fa_task_copy)(fa_task task, const void *source, size_t size) {
    if (source == NULL) {
        fai_fail(FA_ERROR_INVALID, size);
        return NULL;
    }
    fai_task_block *made = make(task, size);
    if (made != NULL)
        memcpy(made + 1, source, size);
    return add(task, made);
}

char *(fa_task_copy_string)(fa_task task, const char *string) {
    return (char *)(fa_task_copy)(task, string, string ? strlen(string) + 1 : 0);
}

/* ---- what goes to a later callback ---- */

fa_status(fa_task_check)(fa_task task, const void *pointer) {
    const fai_bump *bump = check(task, 0);
    if (bump == NULL)
        return fa_last_error().status;
    if (pointer == NULL || !fai_frame_has(bump->allocator, pointer))
        return FA_OK;
    return fai_report(bump->allocator, FA_DIAG_FA616, FA_ERROR_FOREIGN, 0, 0, pointer);
}

void *(fa_task_carry)(fa_task task, const void *pointer) {
    return (fa_task_check)(task, pointer) == FA_OK ? (void *)(uintptr_t)pointer : NULL;
}
