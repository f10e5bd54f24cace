#include "fa/scratch_pool.h"

#include "fa/internal/allocator.h"
#include "fa/internal/forms.h"
#include "fa/internal/scratch.h"

typedef struct fai_scratch_record {
    fai_named named;      /* must be first */
    uint64_t reset_count; /* atomic */
} fai_scratch_record;

bool fai_scratch_pools_create(fa_allocator *allocator) {
    return fai_roster_create(allocator, &allocator->scratch_pools, sizeof(fai_scratch_record),
                             sizeof(fai_scratch_record));
}

static fai_scratch_record *record_of(fa_scratch_pool pool) {
    return (fai_scratch_record *)(void *)pool.head;
}

static fai_bump *enter(fa_scratch_pool pool, size_t size, bool *entered) {
    return fai_named_enter(pool.head, pool.serial, size, entered);
}

/* ---- finding, making, removing ---- */

static bool is_name(const char *name) {
    size_t length = 0;
    while (name != NULL && length < FA_NAME_BYTES && name[length] != '\0')
        length++;
    return length != 0 && length < FA_NAME_BYTES;
}

static fa_scratch_pool find_locked(const fai_roster *roster, const char *name) {
    fai_named *named = fai_roster_find(roster, name);
    if (named == NULL)
        return (fa_scratch_pool){NULL, 0};
    return (fa_scratch_pool){&named->bump.head, FAI_LOAD_RELAXED(&named->bump.head.serial)};
}

fa_scratch_pool fa_scratch_pool_find(fa_allocator *allocator, const char *name) {
    fa_scratch_pool pool = {NULL, 0};
    if (allocator == NULL || !is_name(name))
        return pool;
    fai_roster *roster = &allocator->scratch_pools;
    pthread_mutex_lock(&roster->lock);
    pool = find_locked(roster, name);
    pthread_mutex_unlock(&roster->lock);
    return pool;
}

fa_scratch_pool(fa_scratch_pool_open)(fa_allocator *allocator, const char *name, size_t bytes_first,
                                      size_t bytes_max) {
    fa_scratch_pool pool = {NULL, 0};
    if (allocator == NULL || !is_name(name) || bytes_first > FA_SIZE_MAX ||
        bytes_max > FA_SIZE_MAX) {
        fai_fail(FA_ERROR_INVALID, bytes_first);
        return pool;
    }
    pool = fa_scratch_pool_find(allocator, name);
    if (pool.head != NULL)
        return pool;
    fai_roster *roster = &allocator->scratch_pools;
    fai_named *named = fai_roster_take(allocator, roster);
    if (named == NULL)
        return pool;
    if (bytes_max != 0 && bytes_first > bytes_max)
        bytes_first = bytes_max;
    fai_bump_create(&named->bump, allocator, bytes_first, bytes_max, false);
    pthread_mutex_lock(&roster->lock);
    pool = find_locked(roster, name); /* another thread may have been faster */
    if (pool.head == NULL)
        pool = (fa_scratch_pool){&named->bump.head, fai_roster_open(roster, named, name)};
    pthread_mutex_unlock(&roster->lock);
    if (pool.head != &named->bump.head)
        fai_roster_give(roster, named);
    return pool;
}

bool fa_scratch_pool_is_open(fa_scratch_pool pool) {
    return fai_named_is_open(pool.head, pool.serial);
}

fa_status(fa_scratch_pool_remove)(fa_scratch_pool pool) {
    bool entered;
    fai_bump *bump = enter(pool, 0, &entered);
    if (bump == NULL)
        return fa_last_error().status;
    fai_roster *roster = &bump->allocator->scratch_pools;
    fai_named *named = &record_of(pool)->named;
    if (!fai_roster_remove(roster, named, pool.serial)) /* another thread was faster */
        return fai_report(bump->allocator, FA_DIAG_FA610, FA_ERROR_FOREIGN, 0, 0, bump);
    fai_bump_release(bump);
    fai_roster_give(roster, named);
    return FA_OK;
}

fa_status(fa_scratch_pool_reset)(fa_scratch_pool pool) {
    bool entered;
    fai_bump *bump = enter(pool, 0, &entered);
    if (bump == NULL)
        return fa_last_error().status;
    fai_bump_reset(bump);
    FAI_BUMP(&record_of(pool)->reset_count, 1);
    fai_bump_leave(bump, pool.serial, entered);
    return FA_OK;
}

size_t fa_scratch_pool_trim(fa_scratch_pool pool) {
    bool entered;
    fai_bump *bump = enter(pool, 0, &entered);
    if (bump == NULL)
        return 0;
    size_t bytes = fai_bump_shrink(bump);
    fai_bump_leave(bump, pool.serial, entered);
    return bytes;
}

uint64_t fai_scratch_pool_reset_count(fa_scratch_pool pool) {
    return FAI_LOAD_RELAXED(&record_of(pool)->reset_count);
}

bool fai_scratch_pool_is_as_of(fa_scratch_pool pool, uint64_t reset_count) {
    return fa_scratch_pool_is_open(pool) && fai_scratch_pool_reset_count(pool) == reset_count;
}

size_t(fa_scratch_pool_reset_all)(fa_allocator *allocator) {
    if (allocator == NULL) {
        fai_fail(FA_ERROR_INVALID, 0);
        return 0;
    }
    size_t count = 0;
    const fai_roster *roster = &allocator->scratch_pools;
    fai_roster_walk walk = {NULL, 0};
    for (fai_named *at; (at = fai_roster_next(roster, &walk)) != NULL;) {
        fa_scratch_pool pool = {&at->bump.head, FAI_LOAD_RELAXED(&at->bump.head.serial)};
        count += pool.serial != 0 && (fa_scratch_pool_reset)(pool) == FA_OK;
    }
    return count;
}

/* ---- numbers ---- */

static void fill(const fai_named *named, void *stats) {
    const fai_bump *bump = &named->bump;
    fa_scratch_pool_stats *to = (fa_scratch_pool_stats *)stats;
    to->bytes = fai_bump_used(bump);
    to->bytes_held = FAI_LOAD_RELAXED(&bump->held);
    to->bytes_peak = fai_bump_peak(bump);
    to->bytes_max = FAI_LOAD_RELAXED(&bump->bytes_max);
    to->alloc_count = FAI_LOAD_RELAXED(&bump->head.alloc_count);
    to->reset_count = FAI_LOAD_RELAXED(&((const fai_scratch_record *)named)->reset_count);
}

static const fai_named_kind k_kind = {offsetof(struct fa_allocator, scratch_pools),
                                      sizeof(fa_scratch_pool_stats), fill};

fa_status fa_scratch_pool_stats_get(fa_scratch_pool pool, fa_scratch_pool_stats *stats) {
    return fai_named_read(&k_kind, pool.head, pool.serial, stats);
}

size_t fa_scratch_pool_count(const fa_allocator *allocator) {
    return fai_roster_count(allocator ? &allocator->scratch_pools : NULL);
}

size_t fa_scratch_pool_visit(fa_allocator *allocator,
                             void (*visit)(void *user, fa_scratch_pool pool,
                                           const fa_scratch_pool_stats *stats),
                             void *user) {
    fa_scratch_pool_stats stats;
    fai_roster_visit at = {{NULL, 0}, NULL, 0, 0};
    while (fai_roster_visit_next(&k_kind, visit ? allocator : NULL, &at, &stats))
        visit(user, (fa_scratch_pool){at.head, at.serial}, &stats);
    return at.count;
}

/* ---- blocks ---- */

void *fai_scratch_pool_alloc_slow(fa_scratch_pool pool, size_t size) {
    return fai_named_take(pool.head, pool.serial, size, FA_ALIGN_MIN);
}

void *(fa_scratch_pool_alloc_aligned)(fa_scratch_pool pool, size_t size, size_t align) {
    return fai_named_take(pool.head, pool.serial, size, align);
}

void *(fai_scratch_pool_array)(fa_scratch_pool pool, size_t count, size_t size, size_t align) {
    return fai_named_array(pool.head, pool.serial, count, size, align);
}

void *(fai_scratch_pool_zeroed)(fa_scratch_pool pool, size_t count, size_t size, size_t align) {
    return fai_named_zeroed(pool.head, pool.serial, count, size, align);
}

void *(fa_scratch_pool_alloc_zeroed)(fa_scratch_pool pool, size_t count, size_t size) {
    return fai_named_zeroed(pool.head, pool.serial, count, size, FA_ALIGN_MIN);
}

void *(fa_scratch_pool_grow)(fa_scratch_pool pool, void *block, size_t size_old, size_t size_new) {
    bool entered;
    fai_bump *bump = enter(pool, size_new, &entered);
    if (bump == NULL)
        return NULL;
    void *grown = fai_bump_grow(bump, pool.serial, block, size_old, size_new);
    fai_bump_leave(bump, pool.serial, entered);
    return grown;
}

void *(fa_scratch_pool_copy)(fa_scratch_pool pool, const void *source, size_t size) {
    return fai_named_copy(pool.head, pool.serial, source, size);
}

char *(fa_scratch_pool_copy_string)(fa_scratch_pool pool, const char *string) {
    return (char *)(fa_scratch_pool_copy)(pool, string, fai_string_bytes(string));
}

/* ---- marks ---- */

fa_scratch_pool_mark(fa_scratch_pool_mark_set)(fa_scratch_pool pool) {
    bool entered;
    fai_bump *bump = enter(pool, sizeof(fai_bump_level), &entered);
    if (bump == NULL)
        return (fa_scratch_pool_mark){NULL, 0};
    const fai_bump_level *level = fai_bump_push(bump, pool.serial);
    uint64_t serial = level ? level->serial : 0;
    fai_bump_leave(bump, pool.serial, entered);
    return (fa_scratch_pool_mark){serial ? pool.head : NULL, serial};
}

fa_status(fa_scratch_pool_rewind)(fa_scratch_pool pool, fa_scratch_pool_mark mark) {
    bool entered;
    fai_bump *bump = enter(pool, 0, &entered);
    if (bump == NULL)
        return fa_last_error().status;
    bool is_mark = mark.head == pool.head && fai_bump_rewind(bump, mark.serial);
    fai_bump_leave(bump, pool.serial, entered);
    if (is_mark)
        return FA_OK;
    return fai_report(bump->allocator, FA_DIAG_FA008, FA_ERROR_FOREIGN, 0, 0, bump);
}
