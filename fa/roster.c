#define _GNU_SOURCE /* strnlen */
#include "fa/internal/roster.h"

#include "fa/internal/allocator.h"
#include "fa/internal/forms.h"
#include "fa/internal/heap.h"

#include <string.h>

#define BLOCK_COUNT_FIRST 8
#define BLOCK_COUNT_MAX 64

/* Records side by side. */
struct fai_roster_block {
    fai_roster_block *next;
    size_t count;
};
#define BLOCK_HEADER ((sizeof(fai_roster_block) + FA_ALIGN_MIN - 1) & ~(FA_ALIGN_MIN - 1))

static fai_named *record_of(const fai_roster *roster, const fai_roster_block *block, size_t index) {
    char *first = (char *)(uintptr_t)block + BLOCK_HEADER;
    return (fai_named *)(void *)(first + index * roster->record_bytes);
}

/* What is left goes with the allocator; the records' memory went before. The lock stays: hooks may
 * still begin something, where leaks are named. */
static void destroy(fa_allocator *allocator, fai_owned *owned) {
    fai_roster *roster = (fai_roster *)owned;
    fai_roster_walk walk = {NULL, 0};
    for (fai_named *at; (at = fai_roster_next(roster, &walk)) != NULL;)
        if (at->bump.head.serial != 0 && fai_named_is_whole(at))
            fai_bump_release(&at->bump);
    for (fai_roster_block *block = roster->blocks, *next; block; block = next) {
        next = block->next;
        fai_heap_give(allocator, block, SIZE_MAX);
    }
    roster->blocks = NULL;
    roster->free = NULL;
}

static const void *validate(fa_allocator *allocator, fai_owned *owned) {
    (void)allocator;
    const fai_roster *roster = (const fai_roster *)owned;
    const void *wrong = NULL;
    fai_roster_walk walk = {NULL, 0};
    for (const fai_named *at; !wrong && (at = fai_roster_next(roster, &walk)) != NULL;)
        if (FAI_LOAD_ACQUIRE(&at->bump.head.serial) != 0 && fai_named_is_whole(at))
            wrong = fai_bump_validate(&at->bump);
    return wrong;
}

static void lock(fai_owned *owned) { pthread_mutex_lock(&((fai_roster *)owned)->lock); }
static void unlock(fai_owned *owned) { pthread_mutex_unlock(&((fai_roster *)owned)->lock); }

/* The threads that were inside of a record are gone. */
static void fork_child(fai_owned *owned) {
    const fai_roster *roster = (const fai_roster *)owned;
    fai_roster_walk walk = {NULL, 0};
    for (fai_named *at; (at = fai_roster_next(roster, &walk)) != NULL;)
        if (at->bump.user != &fai_slot && fai_named_is_whole(at))
            FAI_STORE_RELAXED(&at->bump.user, NULL);
}

static const fai_owned_kind k_rosters = {.destroy = destroy,
                                         .validate = validate,
                                         .lock = lock,
                                         .unlock = unlock,
                                         .fork_child = fork_child};

bool fai_roster_create(fa_allocator *allocator, fai_roster *roster, size_t record_bytes,
                       size_t cleared_bytes) {
    roster->cleared_bytes = cleared_bytes;
    roster->record_bytes = fai_round_up(record_bytes, FA_ALIGN_MIN);
    roster->serial_step = 1;
    if (pthread_mutex_init(&roster->lock, NULL) != 0)
        return false;
    fai_owned_add(allocator, &roster->owned, &k_rosters);
    return true;
}

static void clear(const fai_roster *roster, fai_named *named) {
    memset(named->name, 0, roster->cleared_bytes - offsetof(fai_named, name));
}

static fai_named *pop(fai_roster *roster) {
    pthread_mutex_lock(&roster->lock);
    fai_named *named = roster->free;
    if (named != NULL) {
        roster->free = named->next;
        clear(roster, named);
    }
    pthread_mutex_unlock(&roster->lock);
    return named;
}

/* Under the lock. */
static void push(fai_roster *roster, fai_named *named) {
    named->next = roster->free;
    roster->free = named;
}

fai_named *fai_roster_take(fa_allocator *allocator, fai_roster *roster) {
    fai_named *named = pop(roster);
    if (named != NULL)
        return named;
    const fai_roster_block *newest = FAI_LOAD_ACQUIRE(&roster->blocks);
    size_t count = newest == NULL ? BLOCK_COUNT_FIRST : 2 * newest->count;
    count = count < BLOCK_COUNT_MAX ? count : BLOCK_COUNT_MAX;
    fai_roster_block *block = (fai_roster_block *)fai_heap_zeroed(
        allocator, 1, BLOCK_HEADER + count * roster->record_bytes, FA_TAG_ROOT);
    if (block == NULL)
        return NULL;
    block->count = count;
    for (size_t i = 0; i < count; i++)
        record_of(roster, block, i)->bump.allocator = allocator;
    pthread_mutex_lock(&roster->lock);
    block->next = roster->blocks;
    for (size_t i = count; i-- > 1;)
        push(roster, record_of(roster, block, i));
    FAI_STORE_RELEASE(&roster->blocks, block);
    pthread_mutex_unlock(&roster->lock);
    return record_of(roster, block, 0);
}

void fai_roster_give(fai_roster *roster, fai_named *named) {
    /* Release: who comes in by an old handle finds that its serial is gone. */
    FAI_STORE_RELEASE(&named->bump.user, NULL);
    pthread_mutex_lock(&roster->lock);
    push(roster, named);
    pthread_mutex_unlock(&roster->lock);
}

void fai_named_call(fai_named *named, const char *name) {
    size_t length = name ? strnlen(name, FA_NAME_BYTES - 1) : 0;
    if (length != 0)
        memcpy(named->name, name, length);
    named->name[length] = '\0';
}

uint64_t fai_roster_open(fai_roster *roster, fai_named *named, const char *name) {
    fai_named_call(named, name);
    uint64_t step = roster->serial_step, serial = roster->serial + step;
    if ((serial & FAI_SERIAL_FREE_BIT) != 0) /* what was made so long ago is made again */
        serial = step + (serial & (step - 1));
    roster->serial = serial;
    /* Release: visitors, who find it with acquire, find what its owner put there before. */
    FAI_STORE_RELEASE(&named->bump.head.serial, serial);
    return serial;
}

uint64_t fai_roster_add(fai_roster *roster, fai_named *named, const char *name) {
    pthread_mutex_lock(&roster->lock);
    uint64_t serial = fai_roster_open(roster, named, name);
    pthread_mutex_unlock(&roster->lock);
    return serial;
}

bool fai_roster_close(fai_named *named, uint64_t serial) {
    uint64_t seen = serial; /* an update: one of two who close it succeeds */
    while (!FAI_CAS_RELAXED(&named->bump.head.serial, &seen, 0))
        if (seen != serial)
            return false;
    return true;
}

bool fai_roster_remove(fai_roster *roster, fai_named *named, uint64_t serial) {
    pthread_mutex_lock(&roster->lock);
    bool removed = fai_roster_close(named, serial);
    pthread_mutex_unlock(&roster->lock);
    return removed;
}

fai_named *fai_roster_next(const fai_roster *roster, fai_roster_walk *walk) {
    const fai_roster_block *block = walk->block;
    if (block == NULL)
        block = FAI_LOAD_ACQUIRE(&roster->blocks);
    else if (walk->index == block->count)
        block = block->next;
    if (block == NULL)
        return NULL;
    if (walk->block != block)
        *walk = (fai_roster_walk){block, 0};
    return record_of(roster, block, walk->index++);
}

size_t fai_roster_count(const fai_roster *roster) {
    size_t count = 0;
    fai_roster_walk walk = {NULL, 0};
    for (const fai_named *at; roster != NULL && (at = fai_roster_next(roster, &walk)) != NULL;)
        count += FAI_LOAD_RELAXED(&at->bump.head.serial) != 0;
    return count;
}

fai_named *fai_roster_find(const fai_roster *roster, const char *name) {
    fai_roster_walk walk = {NULL, 0};
    for (fai_named *at; (at = fai_roster_next(roster, &walk)) != NULL;)
        if (FAI_LOAD_RELAXED(&at->bump.head.serial) != 0 && strcmp(at->name, name) == 0)
            return at;
    return NULL;
}

/* ---- numbers ---- */

static fai_roster *roster_of(const fai_named_kind *kind, fa_allocator *allocator) {
    return (fai_roster *)(void *)((char *)allocator + kind->roster);
}

/* False, and all zero, when the record is not that one any more. */
static bool read_numbers(const fai_named_kind *kind, const fai_named *named, uint64_t serial,
                         void *stats) {
    fai_roster *roster = roster_of(kind, named->bump.allocator);
    uint64_t turns = roster->serial_step - 1;
    memset(stats, 0, kind->stats_bytes);
    pthread_mutex_lock(&roster->lock);
    uint64_t now = FAI_LOAD_ACQUIRE(&named->bump.head.serial) & ~turns;
    bool same = now != 0 && now == (serial & ~turns & ~FAI_SERIAL_FREE_BIT);
    if (same) {
        memcpy(stats, named->name, sizeof named->name);
        kind->fill(named, stats);
    }
    pthread_mutex_unlock(&roster->lock);
    return same;
}

fa_status fai_named_read(const fai_named_kind *kind, const fai_bump_head *head, uint64_t serial,
                         void *stats) {
    if (stats == NULL)
        return fai_fail(FA_ERROR_INVALID, 0);
    memset(stats, 0, kind->stats_bytes);
    if (head == NULL)
        return fai_fail(FA_ERROR_INVALID, 0);
    const fai_named *named = (const fai_named *)(const void *)head;
    if (read_numbers(kind, named, serial, stats))
        return FA_OK;
    return fai_report(named->bump.allocator, FA_DIAG_FA610, FA_ERROR_FOREIGN, 0, 0, named);
}

bool fai_roster_visit_next(const fai_named_kind *kind, fa_allocator *allocator,
                           fai_roster_visit *at, void *stats) {
    if (allocator == NULL) {
        fai_fail(FA_ERROR_INVALID, 0);
        return false;
    }
    const fai_roster *roster = roster_of(kind, allocator);
    for (fai_named *named; (named = fai_roster_next(roster, &at->walk)) != NULL;) {
        at->head = &named->bump.head;
        at->serial = FAI_LOAD_ACQUIRE(&at->head->serial);
        if (at->serial != 0 && read_numbers(kind, named, at->serial, stats)) {
            at->count++;
            return true;
        }
    }
    return false;
}

/* ---- memory ---- */

fai_bump *fai_named_check(fai_bump_head *head, uint64_t serial, size_t size) {
    if (head == NULL) {
        fai_fail(FA_ERROR_INVALID, size);
        return NULL;
    }
    fai_bump *bump = (fai_bump *)(void *)head;
    if (fai_named_is_open(head, serial))
        return bump;
    fai_report(bump->allocator, FA_DIAG_FA610, FA_ERROR_FOREIGN, size, 0, bump);
    return NULL;
}

fai_bump *fai_named_enter(fai_bump_head *head, uint64_t serial, size_t size, bool *entered) {
    fai_bump *bump = fai_named_check(head, serial, size);
    if (bump == NULL || !fai_bump_enter(bump, entered))
        return NULL;
    if (FA_LIKELY(!*entered || fai_named_is_open(head, serial)))
        return bump;
    /* Another thread freed it between the two looks, and has left it. */
    FAI_STORE_RELAXED(&bump->user, NULL);
    fai_report(bump->allocator, FA_DIAG_FA610, FA_ERROR_FOREIGN, size, 0, bump);
    return NULL;
}

void *fai_named_take(fai_bump_head *head, uint64_t serial, size_t size, size_t align) {
    bool entered;
    fai_bump *bump = fai_named_enter(head, serial, size, &entered);
    if (bump == NULL)
        return NULL;
    void *block = fai_bump_take(bump, serial, size, align);
    fai_bump_leave(bump, serial, entered);
    return block;
}

void *fai_named_array(fai_bump_head *head, uint64_t serial, size_t count, size_t size,
                      size_t align) {
    return fai_named_take(head, serial, fai_bytes_of(count, size), align);
}

void *fai_named_zeroed(fai_bump_head *head, uint64_t serial, size_t count, size_t size,
                       size_t align) {
    return fai_zero(fai_named_array(head, serial, count, size, align), count * size);
}

void *fai_named_copy(fai_bump_head *head, uint64_t serial, const void *source, size_t size) {
    void *block;
    if (!fai_has_source(source, size))
        return NULL;
    if (!fai_bump_alloc(head, serial, size, &block))
        block = fai_named_take(head, serial, size, FA_ALIGN_MIN);
    return fai_copy(block, source, size);
}
