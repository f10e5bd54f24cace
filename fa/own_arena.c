#include "fa/own_arena.h"

#include "fa/internal/forms.h"
#include "fa/internal/own_arena.h"
#include "fa/internal/turn.h"

/* A serial is the number of the arena << 32 | how often it was given or taken: odd while it is
 * held. The handle to take it with has a bit more, so that no allocation takes it for the arena's
 * own; the number, 31 bits, is never 0. What holding means: turn.h. */
#define HELD ((uint64_t)1)
#define PARCEL FAI_SERIAL_FREE_BIT

typedef struct fai_own_record {
    fai_named named;      /* must be first */
    uint64_t reset_count; /* atomic */
} fai_own_record;

bool fai_own_arenas_create(fa_allocator *allocator) {
    fai_roster *roster = &allocator->own_arenas;
    bool created =
        fai_roster_create(allocator, roster, sizeof(fai_own_record), sizeof(fai_own_record));
    roster->serial = HELD;
    roster->serial_step = (uint64_t)1 << FAI_OWN_TURN_BITS;
    return created;
}

static fai_own_record *record_of(fa_own_arena arena) {
    return (fai_own_record *)(void *)arena.head;
}

static uint64_t number_of(uint64_t serial) { return (serial & ~PARCEL) >> FAI_OWN_TURN_BITS; }

/* After all of its turns an arena goes on with the next number. */
static uint64_t next_turn(uint64_t serial) {
    uint64_t next = (serial + 1) & ~PARCEL;
    return number_of(next) != 0 ? next : next + ((uint64_t)1 << FAI_OWN_TURN_BITS);
}

/* ---- who may ---- */

/* Whatever the arena's serial is by now. */
static bool is_open(fa_own_arena arena) {
    return arena.head != NULL && number_of(arena.serial) != 0 &&
           number_of(FAI_LOAD_RELAXED(&arena.head->serial)) == number_of(arena.serial);
}

/* Why a handle is no good. */
static fai_bump *refuse(fa_own_arena arena, size_t size) {
    if (arena.head == NULL) {
        fai_fail(FA_ERROR_INVALID, size);
        return NULL;
    }
    fai_bump *bump = (fai_bump *)(void *)arena.head;
    fa_diag diag = is_open(arena) ? FA_DIAG_FA613 : FA_DIAG_FA610;
    fai_report(bump->allocator, diag, FA_ERROR_FOREIGN, size, 0, bump);
    return NULL;
}

bool fa_own_arena_is_held(fa_own_arena arena) {
    return arena.head != NULL &&
           fai_turn_is_mine(&arena.head->serial, &((fai_bump *)(void *)arena.head)->user,
                            arena.serial, &fai_slot);
}

bool fa_own_arena_is_open(fa_own_arena arena) { return is_open(arena); }

/* The arena's memory, if the calling thread holds it. */
static fai_bump *check(fa_own_arena arena, size_t size) {
    if (FA_LIKELY(fa_own_arena_is_held(arena)))
        return (fai_bump *)(void *)arena.head;
    return refuse(arena, size);
}

/* ---- making, handing over, freeing ---- */

fa_own_arena(fa_own_arena_create)(fa_allocator *allocator, const char *name, size_t bytes_first,
                                  size_t bytes_max) {
    fa_own_arena arena = {NULL, 0};
    if (allocator == NULL || bytes_first > FA_SIZE_MAX || bytes_max > FA_SIZE_MAX) {
        fai_fail(FA_ERROR_INVALID, bytes_first);
        return arena;
    }
    fai_roster *roster = &allocator->own_arenas;
    uint32_t tag = fai_tag_now(allocator);
    fai_named *named = fai_roster_take(allocator, roster);
    if (named == NULL)
        return arena;
    if (bytes_max != 0 && bytes_first > bytes_max)
        bytes_first = bytes_max;
    fai_bump *bump = &named->bump;
    fai_bump_create(bump, allocator, bytes_first, bytes_max, false);
    bump->tag = tag;
    bump->is_planned = bytes_first != 0;
    if (!bump->is_handed) /* whoever has an old handle may be reading it */
        bump->is_handed = true;
    FAI_STORE_RELAXED(&bump->user, (const void *)&fai_slot);
    arena.serial = fai_roster_add(roster, named, name);
    arena.head = &bump->head;
    return arena;
}

fa_own_arena(fa_own_arena_give)(fa_own_arena arena) {
    fai_bump *bump = check(arena, 0);
    if (bump == NULL)
        return (fa_own_arena){NULL, 0};
    fai_turn_give(&bump->head.serial, &bump->user, next_turn(arena.serial));
    return (fa_own_arena){arena.head, next_turn(arena.serial) | PARCEL};
}

fa_own_arena(fa_own_arena_take)(fa_own_arena arena) {
    uint64_t given = arena.serial & ~PARCEL;
    bool is_parcel = arena.head != NULL && (arena.serial & PARCEL) != 0;
    if (is_parcel && fai_turn_take(&arena.head->serial, &((fai_bump *)(void *)arena.head)->user,
                                   given, next_turn(given), &fai_slot))
        return (fa_own_arena){arena.head, next_turn(given)};
    refuse(arena, 0);
    return (fa_own_arena){NULL, 0};
}

/* No arena to come has a number that this one may have reached by being handed over. Under the
 * lock. */
static void pass_number(fai_roster *roster, fa_own_arena arena) {
    uint64_t number = number_of(arena.serial), last = number_of(roster->serial);
    uint64_t ahead = (number - last) & ((PARCEL >> FAI_OWN_TURN_BITS) - 1);
    if (ahead < PARCEL >> (FAI_OWN_TURN_BITS + 1)) /* else it is behind: they begin again */
        roster->serial = number << FAI_OWN_TURN_BITS | HELD;
}

fa_status(fa_own_arena_free)(fa_own_arena arena) {
    if (arena.head != NULL && (arena.serial & PARCEL) != 0)
        arena = (fa_own_arena_take)(arena);
    else if (check(arena, 0) == NULL)
        return fa_last_error().status;
    if (arena.head == NULL) /* could not be taken */
        return fa_last_error().status;
    fai_bump *bump = (fai_bump *)(void *)arena.head;
    fai_roster *roster = &bump->allocator->own_arenas;
    fai_named *named = &record_of(arena)->named;
    pthread_mutex_lock(&roster->lock);
    pass_number(roster, arena);
    fai_roster_close(named, arena.serial);
    pthread_mutex_unlock(&roster->lock);
    fai_bump_release(bump);
    fai_roster_give(roster, named);
    return FA_OK;
}

fa_status(fa_own_arena_reset)(fa_own_arena arena) {
    fai_bump *bump = check(arena, 0);
    if (bump == NULL)
        return fa_last_error().status;
    FAI_BUMP(&record_of(arena)->reset_count, 1);
    fai_bump_reset(bump);
    return FA_OK;
}

/* ---- numbers ---- */

static void fill(const fai_named *named, void *stats) {
    const fai_bump *bump = &named->bump;
    uint64_t serial = FAI_LOAD_ACQUIRE(&bump->head.serial);
    fa_own_arena_stats *to = (fa_own_arena_stats *)stats;
    to->bytes = fai_bump_used(bump);
    to->bytes_held = FAI_LOAD_RELAXED(&bump->held);
    to->bytes_peak = fai_bump_peak(bump);
    to->bytes_max = FAI_LOAD_RELAXED(&bump->bytes_max);
    to->alloc_count = FAI_LOAD_RELAXED(&bump->head.alloc_count);
    to->reset_count = FAI_LOAD_RELAXED(&((const fai_own_record *)named)->reset_count);
    to->hand_over_count = (uint32_t)serial / 2;
    to->is_held = (serial & HELD) != 0;
}

static const fai_named_kind k_kind = {offsetof(struct fa_allocator, own_arenas),
                                      sizeof(fa_own_arena_stats), fill};

fa_status fa_own_arena_stats_get(fa_own_arena arena, fa_own_arena_stats *stats) {
    return fai_named_read(&k_kind, arena.head, arena.serial, stats);
}

size_t fa_own_arena_count(const fa_allocator *allocator) {
    return fai_roster_count(allocator ? &allocator->own_arenas : NULL);
}

size_t fa_own_arena_visit(fa_allocator *allocator,
                          void (*visit)(void *user, fa_own_arena arena,
                                        const fa_own_arena_stats *stats),
                          void *user) {
    fa_own_arena_stats stats;
    fai_roster_visit at = {{NULL, 0}, NULL, 0, 0};
    while (fai_roster_visit_next(&k_kind, visit ? allocator : NULL, &at, &stats))
        visit(user, (fa_own_arena){at.head, at.serial}, &stats);
    return at.count;
}

/* ---- blocks ---- */

void *fai_own_arena_alloc_slow(fa_own_arena arena, size_t size) {
    return (fa_own_arena_alloc_aligned)(arena, size, FA_ALIGN_MIN);
}

void *(fa_own_arena_alloc_aligned)(fa_own_arena arena, size_t size, size_t align) {
    fai_bump *bump = check(arena, size);
    return bump != NULL ? fai_bump_take(bump, arena.serial, size, align) : NULL;
}

void *(fai_own_arena_array)(fa_own_arena arena, size_t count, size_t size, size_t align) {
    return (fa_own_arena_alloc_aligned)(arena, fai_bytes_of(count, size), align);
}

void *(fai_own_arena_zeroed)(fa_own_arena arena, size_t count, size_t size, size_t align) {
    return fai_zero((fai_own_arena_array)(arena, count, size, align), count * size);
}

void *(fa_own_arena_alloc_zeroed)(fa_own_arena arena, size_t count, size_t size) {
    return (fai_own_arena_zeroed)(arena, count, size, FA_ALIGN_MIN);
}

void *(fa_own_arena_grow)(fa_own_arena arena, void *block, size_t size_old, size_t size_new) {
    fai_bump *bump = check(arena, size_new);
    return bump != NULL ? fai_bump_grow(bump, arena.serial, block, size_old, size_new) : NULL;
}

void *(fa_own_arena_copy)(fa_own_arena arena, const void *source, size_t size) {
    if (!fai_has_source(source, size))
        return NULL;
    return fai_copy((fa_own_arena_alloc)(arena, size), source, size);
}

char *(fa_own_arena_copy_string)(fa_own_arena arena, const char *string) {
    return (char *)(fa_own_arena_copy)(arena, string, fai_string_bytes(string));
}

/* ---- marks ---- */

fa_own_arena_mark(fa_own_arena_mark_set)(fa_own_arena arena) {
    fai_bump *bump = check(arena, sizeof(fai_bump_level));
    const fai_bump_level *level = bump ? fai_bump_push(bump, arena.serial) : NULL;
    return level ? (fa_own_arena_mark){arena.head, level->serial} : (fa_own_arena_mark){NULL, 0};
}

fa_status(fa_own_arena_rewind)(fa_own_arena arena, fa_own_arena_mark mark) {
    fai_bump *bump = check(arena, 0);
    if (bump == NULL)
        return fa_last_error().status;
    if (mark.head == arena.head && fai_bump_rewind(bump, mark.serial))
        return FA_OK;
    return fai_report(bump->allocator, FA_DIAG_FA008, FA_ERROR_FOREIGN, 0, 0, bump);
}
