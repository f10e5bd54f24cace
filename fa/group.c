#include "fa/group.h"

#include "fa/internal/callback.h"
#include "fa/internal/forms.h"
#include "fa/internal/group.h"

/* Stands before its object. */
typedef struct destructor {
    struct destructor *older;
    fa_destructor_fn *function;
    void *object;
} destructor;
#define DESTRUCTOR_BYTES ((sizeof(destructor) + FA_ALIGN_MIN - 1) & ~(FA_ALIGN_MIN - 1))

typedef struct fai_group {
    fai_named named; /* must be first */
    fai_owned owned;
    destructor *newest;
    uint64_t destructor_count; /* atomic */
} fai_group;

bool fai_groups_create(fa_allocator *allocator) {
    return fai_roster_create(allocator, &allocator->groups, sizeof(fai_group), sizeof(fai_group));
}

static fai_group *record_of(fa_group group) { return (fai_group *)(void *)group.head; }

/* ---- making and freeing ---- */

static bool run_destructors(fai_group *record) {
    bool any = false;
    for (destructor *newest; (newest = record->newest) != NULL; any = true) {
        record->newest = newest->older;
        fai_callback outer = fai_callback_begin();
        newest->function(newest->object);
        fai_callback_end(outer);
    }
    return any;
}

/* Of a group that no handle names any more. Newer destructors can't come. */
static void bury(fa_allocator *allocator, fai_group *record) {
    run_destructors(record);
    fai_bump_release(&record->named.bump);
    fai_roster_give(&allocator->groups, &record->named);
}

/* With the allocator. In the child of a fork, one that another thread was about to change stays. */
static void destroy(fa_allocator *allocator, fai_owned *owned) {
    fai_group *record = (fai_group *)(void *)((char *)owned - offsetof(fai_group, owned));
    uint64_t serial = FAI_LOAD_RELAXED(&record->named.bump.head.serial);
    if (fai_named_is_whole(&record->named) &&
        fai_roster_remove(&allocator->groups, &record->named, serial))
        bury(allocator, record);
}

/* Its objects' memory stays readable until the group is destroyed. */
static bool clear(fa_allocator *allocator, fai_owned *owned) {
    (void)allocator;
    fai_group *record = (fai_group *)(void *)((char *)owned - offsetof(fai_group, owned));
    return fai_named_is_whole(&record->named) && run_destructors(record);
}

static const fai_owned_kind k_groups = {.destroy = destroy, .clear = clear};

fa_group(fa_group_create)(fa_allocator *allocator, const char *name) {
    fa_group group = {NULL, 0};
    if (allocator == NULL) {
        fai_fail(FA_ERROR_INVALID, 0);
        return group;
    }
    fai_roster *roster = &allocator->groups;
    fai_group *record = (fai_group *)(void *)fai_roster_take(allocator, roster);
    if (record == NULL)
        return group;
    fai_bump_create(&record->named.bump, allocator, 0, 0, true);
    fai_owned_add(allocator, &record->owned, &k_groups);
    group.serial = fai_roster_add(roster, &record->named, name);
    group.head = &record->named.bump.head;
    return group;
}

fa_status(fa_group_free)(fa_group group) {
    bool entered;
    fai_bump *bump = fai_named_enter(group.head, group.serial, 0, &entered);
    if (bump == NULL)
        return fa_last_error().status;
    fa_allocator *allocator = bump->allocator;
    fai_group *record = record_of(group);
    if (!fai_roster_remove(&allocator->groups, &record->named, group.serial))
        return fai_report(allocator, FA_DIAG_FA610, FA_ERROR_FOREIGN, 0, 0, bump);
    fai_owned_remove(allocator, &record->owned);
    bury(allocator, record);
    return FA_OK;
}

bool fa_group_is_open(fa_group group) { return fai_named_is_open(group.head, group.serial); }

/* ---- numbers ---- */

static void fill(const fai_named *named, void *stats) {
    const fai_bump *bump = &named->bump;
    fa_group_stats *to = (fa_group_stats *)stats;
    to->bytes = fai_bump_used(bump);
    to->bytes_held = FAI_LOAD_RELAXED(&bump->held);
    to->object_count = FAI_LOAD_RELAXED(&bump->head.alloc_count);
    to->destructor_count = FAI_LOAD_RELAXED(&((const fai_group *)named)->destructor_count);
}

static const fai_named_kind k_kind = {offsetof(struct fa_allocator, groups), sizeof(fa_group_stats),
                                      fill};

fa_status fa_group_stats_get(fa_group group, fa_group_stats *stats) {
    return fai_named_read(&k_kind, group.head, group.serial, stats);
}

size_t fa_group_count(const fa_allocator *allocator) {
    return fai_roster_count(allocator ? &allocator->groups : NULL);
}

size_t fa_group_visit(fa_allocator *allocator,
                      void (*visit)(void *user, fa_group group, const fa_group_stats *stats),
                      void *user) {
    fa_group_stats stats;
    fai_roster_visit at = {{NULL, 0}, NULL, 0, 0};
    while (fai_roster_visit_next(&k_kind, visit ? allocator : NULL, &at, &stats))
        visit(user, (fa_group){at.head, at.serial}, &stats);
    return at.count;
}

/* ---- objects ---- */

void *fai_group_alloc_slow(fa_group group, size_t size) {
    return fai_named_take(group.head, group.serial, size, FA_ALIGN_MIN);
}

void *(fa_group_alloc_aligned)(fa_group group, size_t size, size_t align) {
    return fai_named_take(group.head, group.serial, size, align);
}

void *(fai_group_array)(fa_group group, size_t count, size_t size, size_t align) {
    return fai_named_array(group.head, group.serial, count, size, align);
}

void *(fai_group_zeroed)(fa_group group, size_t count, size_t size, size_t align) {
    return fai_named_zeroed(group.head, group.serial, count, size, align);
}

void *(fa_group_alloc_zeroed)(fa_group group, size_t count, size_t size) {
    return fai_named_zeroed(group.head, group.serial, count, size, FA_ALIGN_MIN);
}

static void enlist(fa_group group, destructor *at, fa_destructor_fn *function, void *object) {
    fai_group *record = record_of(group);
    *at = (destructor){record->newest, function, object};
    record->newest = at;
    FAI_BUMP(&record->destructor_count, 1);
}

void *(fa_group_alloc_with)(fa_group group, size_t size, size_t align, fa_destructor_fn *function) {
    if (function == NULL || size - 1 >= FA_SIZE_MAX || !fai_is_power_of_two(align) ||
        align > FA_ALIGN_MAX) {
        fai_fail(FA_ERROR_INVALID, size);
        return NULL;
    }
    size_t before = align > DESTRUCTOR_BYTES ? align : DESTRUCTOR_BYTES;
    void *block;
    if (align > FA_ALIGN_MIN || !fai_bump_alloc(group.head, group.serial, before + size, &block))
        block = fai_named_take(group.head, group.serial, before + size, align);
    if (block == NULL)
        return NULL;
    char *object = (char *)block + before;
    enlist(group, (destructor *)(void *)(object - DESTRUCTOR_BYTES), function, object);
    return object;
}

fa_status(fa_group_defer)(fa_group group, fa_destructor_fn *function, void *argument) {
    if (function == NULL)
        return fai_fail(FA_ERROR_INVALID, DESTRUCTOR_BYTES);
    void *block = (fa_group_alloc)(group, DESTRUCTOR_BYTES);
    if (block == NULL)
        return fa_last_error().status;
    enlist(group, (destructor *)block, function, argument);
    return FA_OK;
}

void *(fa_group_copy)(fa_group group, const void *source, size_t size) {
    return fai_named_copy(group.head, group.serial, source, size);
}

char *(fa_group_copy_string)(fa_group group, const char *string) {
    return (char *)fai_named_copy(group.head, group.serial, string, fai_string_bytes(string));
}
