#include "fa/shared_arena.h"

#include "fa/internal/heap.h"
#include "fa/internal/shared_arena.h"

#define BLOCK_BYTES_DEFAULT ((size_t)16 << 10)

typedef fai_shared_chunk chunk;
#define CHUNK_HEADER ((sizeof(chunk) + FA_CACHE_LINE - 1) & ~((size_t)FA_CACHE_LINE - 1))

bool fai_shared_arenas_create(fa_allocator *allocator) {
    return fai_roster_create(allocator, &allocator->shared_arenas, sizeof(fai_shared_record),
                             offsetof(fai_shared_record, users));
}

static char *start_of(chunk *at) { return (char *)at + CHUNK_HEADER; }
static bool is_sealed(const fai_shared_record *record) {
    return FAI_LOAD_SEQ(&fai_shared_allocator(record)->spans.sealed);
}

/* ---- chunks ---- */

static void give_all(const fai_shared_record *record, chunk *list) {
    for (chunk *at = list, *next; at; at = next) {
        next = at->next;
        fai_unpoison_defined(at, CHUNK_HEADER + at->bytes);
        fai_heap_give(fai_shared_allocator(record), at, SIZE_MAX);
    }
}

static chunk *chunk_make(const fai_shared_record *record, size_t bytes) {
    fa_allocator *allocator = fai_shared_allocator(record);
    chunk *made =
        (chunk *)fai_heap_alloc(allocator, CHUNK_HEADER + bytes, FA_CACHE_LINE, record->tag);
    if (made == NULL)
        return NULL;
    *made = (chunk){NULL, bytes, 0};
    if (allocator->watched)
        fai_poison(start_of(made), bytes);
    return made;
}

/* Counts the bytes of a chunk as held; false when bytes_max does not allow it. Under the lock. */
static bool hold(fai_shared_record *record, size_t bytes) {
    if (record->bytes_max != 0 &&
        (record->held > record->bytes_max || bytes > record->bytes_max - record->held))
        return false;
    FAI_STORE_RELAXED(&record->held, record->held + bytes);
    return true;
}

/* What a chunk after this one should have. */
static size_t bytes_wanted(const fai_shared_record *record, const chunk *after) {
    const fa_alloc_config *config = &fai_shared_allocator(record)->config;
    size_t first = config->frame_chunk_bytes_first, most = config->frame_chunk_bytes_max;
    first = first > 4 * record->block_bytes ? first : 4 * record->block_bytes;
    most = most > first ? most : first;
    size_t twice = after ? 2 * (after->bytes + CHUNK_HEADER) : first;
    return fai_plan_next(&record->named.bump.plan, twice, most, CHUNK_HEADER, false);
}

/* The same, or less where a limit would refuse it; at least what is needed. */
static size_t bytes_affordable(const fai_shared_record *record, size_t wanted, size_t least) {
    fa_allocator *allocator = fai_shared_allocator(record);
    size_t held = FAI_LOAD_RELAXED(&record->held), max = record->bytes_max;
    if (max != 0 && wanted > (max > held ? max - held : 0))
        wanted = max > held ? (max - held) & ~(FA_ALIGN_MIN - 1) : 0;
    wanted = wanted > least ? wanted : least;
    if (!FAI_LOAD_RELAXED(&allocator->budgets.any))
        return wanted;
    fai_payer payer = {fai_tag_account(allocator, record->tag), NULL};
    return fai_account_room(payer, FA_INTENT_HEAP) >= wanted + CHUNK_HEADER ? wanted : least;
}

/* Makes another chunk the current one; the one before stays in use. Under the lock. */
static void advance(fai_shared_record *record, chunk *to) {
    chunk *from = record->current;
    if (from != NULL) {
        size_t taken = FAI_LOAD_RELAXED(&from->taken);
        if (taken < from->bytes)
            FAI_ADD_RELAXED(&record->wasted, from->bytes - taken);
        from->next = record->full;
        record->full = from;
    }
    to->next = NULL;
    fai_shared_make_current(&record->current, to);
}

/* Goes on in a chunk that is there already: the smallest that will do, so that large ones are left
 * for what is large; or where another thread went on meanwhile. */
static bool advance_kept(fai_shared_record *record, const chunk *full, size_t bytes) {
    chunk **best = NULL;
    pthread_mutex_lock(&record->lock);
    bool is_late = record->current != full;
    for (chunk **link = &record->kept; !is_late && *link; link = &(*link)->next)
        if ((*link)->bytes >= bytes && (best == NULL || (*link)->bytes < (*best)->bytes))
            best = link;
    if (best != NULL) {
        chunk *kept = *best;
        *best = kept->next;
        advance(record, kept);
    }
    pthread_mutex_unlock(&record->lock);
    return is_late || best != NULL;
}

/* Sees to it that the current chunk is another one than that which was found full. False with the
 * reason reported. */
static bool grow(fai_shared_record *record, const chunk *full, size_t bytes, size_t size_asked) {
    size_t wanted = bytes_affordable(record, bytes_wanted(record, full), bytes);
    chunk *made = NULL;
    if (wanted > bytes) {
        const fa_site *site = fai_slot.site; /* for what is needed */
        bool quiet = fai_quiet(true);
        made = chunk_make(record, wanted);
        (void)fai_quiet(quiet);
        fai_slot.site = made ? NULL : site;
    }
    if (made == NULL)
        made = chunk_make(record, wanted = bytes);
    if (made == NULL) /* hooks, or other threads, may have made one meanwhile */
        return FAI_LOAD_RELAXED(&record->current) != full;
    pthread_mutex_lock(&record->lock);
    bool is_late = record->current != full;
    bool fits = !is_late && hold(record, wanted);
    if (fits)
        advance(record, made);
    pthread_mutex_unlock(&record->lock);
    if (fits)
        return true;
    give_all(record, made);
    if (!is_late)
        fai_fail(FA_ERROR_FULL, size_asked);
    return is_late;
}

/* Whether a piece is too large for anything else to follow in a chunk that is made for it. */
static bool is_alone(const fai_shared_record *record, const chunk *at, size_t bytes) {
    if (at == NULL && bytes <= record->named.bump.plan.bytes)
        return false; /* there is more to follow, last time there was */
    return bytes > record->block_bytes && bytes > bytes_wanted(record, at) / 4;
}

static char *take_alone(fai_shared_record *record, size_t bytes, size_t size_asked) {
    chunk *made = chunk_make(record, bytes);
    if (made == NULL)
        return NULL;
    made->taken = bytes;
    pthread_mutex_lock(&record->lock);
    bool fits = hold(record, bytes);
    if (fits) {
        made->next = record->alone;
        record->alone = made;
    }
    pthread_mutex_unlock(&record->lock);
    if (fits)
        return start_of(made);
    give_all(record, made);
    fai_fail(FA_ERROR_FULL, size_asked);
    return NULL;
}

char *fai_shared_take(fai_shared_record *record, size_t bytes, size_t size_asked) {
    for (;;) {
        chunk *at = fai_shared_find(&record->current);
        size_t offset;
        if (at != NULL && fai_shared_chunk_take(at, bytes, &offset))
            return start_of(at) + offset;
        if (advance_kept(record, at, bytes))
            continue;
        if (is_alone(record, at, bytes))
            return take_alone(record, bytes, size_asked);
        if (!grow(record, at, bytes, size_asked))
            return NULL;
    }
}

/* ---- making, resetting, freeing ---- */

/* Nobody is inside: blocks die. Returns the bytes that were taken. */
static size_t bury(fai_shared_record *record) {
    fa_allocator *allocator = fai_shared_allocator(record);
    while (record->note != NULL) {
        fai_note *note = record->note;
        fai_guard_open(allocator, note);
        record->note = note->previous;
        fai_guard_check(allocator, note);
    }
    FAI_STORE_RELAXED(&record->rests, NULL); /* before their memory can be taken: see fork_child */
    size_t bytes = 0;
    chunk *lists[] = {record->current, record->full, record->alone};
    for (size_t i = 0; i < 3; i++)
        for (chunk *at = lists[i]; at; at = at->next) {
            size_t taken = at->taken < at->bytes ? at->taken : at->bytes;
            bytes += taken;
            if (allocator->watched)
                fai_guard_bury(allocator, start_of(at), start_of(at) + taken,
                               start_of(at) + at->bytes);
            FAI_STORE_RELAXED(&at->taken, 0);
        }
    FAI_STORE_RELAXED(&record->bytes, 0);
    FAI_STORE_RELAXED(&record->wasted, 0);
    return bytes;
}

/* Takes all chunks off; together they are a list. Under the lock. */
static chunk *gather(fai_shared_record *record) {
    chunk *lists[] = {record->current, record->full, record->alone, record->kept}, *all = NULL;
    for (size_t i = 0; i < 4; i++)
        for (chunk *at = lists[i], *next; at; at = next) {
            next = at->next;
            at->next = all;
            all = at;
        }
    FAI_STORE_RELAXED(&record->current, NULL);
    record->full = record->alone = record->kept = NULL;
    return all;
}

/* Nobody is inside: chunks that are not to be kept, which the caller gives back. */
static chunk *empty(fai_shared_record *record, bool keeps) {
    fai_plan *plan = &record->named.bump.plan;
    fai_plan_note_peak(plan, bury(record));
    bool is_one = record->full == NULL && record->alone == NULL && record->kept == NULL;
    if (keeps && !is_one)
        fai_plan_learn(plan, record->bytes_max);
    bool drops = !keeps || fai_plan_rest(plan, fai_shared_allocator(record), record->held) ||
                 (!is_one && !is_sealed(record));
    if (!drops && is_one)
        return NULL;
    pthread_mutex_lock(&record->lock);
    chunk *all = gather(record);
    if (drops)
        FAI_STORE_RELAXED(&record->held, 0);
    else
        record->kept = all;
    pthread_mutex_unlock(&record->lock);
    return drops ? all : NULL;
}

/* Shuts users out; false, reported, when the arena is gone or in use. */
static fai_shared_record *close(fa_shared_arena arena) {
    if (fai_named_check(arena.head, arena.serial, 0) == NULL)
        return NULL;
    fai_shared_record *record = fai_shared_record_of(arena);
    if (!fai_users_close(&record->users)) {
        fai_report(fai_shared_allocator(record), FA_DIAG_FA614, FA_ERROR_FOREIGN, 0, 0, record);
        return NULL;
    }
    if (fai_named_is_open(arena.head, arena.serial)) {
        FAI_STORE_RELAXED(&record->named.bump.user, (const void *)&fai_slot);
        return record;
    }
    fai_users_open(&record->users); /* another thread has freed it and made one like it */
    fai_named_check(arena.head, arena.serial, 0);
    return NULL;
}

fa_status(fa_shared_arena_reset)(fa_shared_arena arena) {
    fai_shared_record *record = close(arena);
    if (record == NULL)
        return fa_last_error().status;
    give_all(record, empty(record, true));
    FAI_ADD_RELAXED(&record->reset_count, 1);
    FAI_STORE_RELAXED(&record->named.bump.user, NULL);
    fai_users_open(&record->users);
    return FA_OK;
}

/* Of an arena that no handle names any more. */
static void release(fa_allocator *allocator, fai_shared_record *record) {
    give_all(record, empty(record, false));
    pthread_mutex_destroy(&record->lock);
    fai_roster_give(&allocator->shared_arenas, &record->named);
}

fa_status(fa_shared_arena_free)(fa_shared_arena arena) {
    fai_shared_record *record = close(arena);
    if (record == NULL)
        return fa_last_error().status;
    fa_allocator *allocator = fai_shared_allocator(record);
    fai_owned_remove(allocator, &record->owned);
    fai_roster *roster = &allocator->shared_arenas;
    pthread_mutex_lock(&roster->lock); /* whoever reads its numbers has it */
    fai_roster_close(&record->named, arena.serial);
    pthread_mutex_unlock(&roster->lock);
    release(allocator, record);
    return FA_OK;
}

static fai_shared_record *record_of_owned(fai_owned *owned) {
    return (fai_shared_record *)(void *)((char *)owned - offsetof(fai_shared_record, owned));
}

/* With the allocator, open locals or not. */
static void destroy(fa_allocator *allocator, fai_owned *owned) {
    fai_shared_record *record = record_of_owned(owned);
    uint64_t serial = FAI_LOAD_RELAXED(&record->named.bump.head.serial);
    if (fai_roster_remove(&allocator->shared_arenas, &record->named, serial))
        release(allocator, record);
}

static const void *validate(fa_allocator *allocator, fai_owned *owned) {
    (void)allocator;
    fai_shared_record *record = record_of_owned(owned);
    const void *wrong = NULL;
    size_t held = 0;
    pthread_mutex_lock(&record->lock);
    chunk *lists[] = {record->current, record->full, record->alone, record->kept};
    for (size_t i = 0; i < 4; i++)
        for (const chunk *at = lists[i]; at; at = at->next) {
            held += at->bytes;
            if (at->bytes % FA_ALIGN_MIN != 0 || FAI_LOAD_RELAXED(&at->taken) % FA_ALIGN_MIN != 0)
                wrong = at;
        }
    if (held != record->held)
        wrong = record;
    pthread_mutex_unlock(&record->lock);
    return wrong;
}

static void lock(fai_owned *owned) { pthread_mutex_lock(&record_of_owned(owned)->lock); }
static void unlock(fai_owned *owned) { pthread_mutex_unlock(&record_of_owned(owned)->lock); }

/* A reset that another thread was at is over, however far it came: what it had still to empty is
 * in use until the next one. */
static void fork_child(fai_owned *owned) {
    fai_shared_record *record = record_of_owned(owned);
    if (record->users != FAI_USERS_CLOSED || record->named.bump.user == &fai_slot)
        return;
    FAI_STORE_RELAXED(&record->rests, NULL);
    FAI_STORE_RELAXED(&record->bytes, 0);
    FAI_STORE_RELAXED(&record->wasted, 0);
    fai_users_open(&record->users);
}

static const fai_owned_kind k_shared_arenas = {.destroy = destroy,
                                               .validate = validate,
                                               .lock = lock,
                                               .unlock = unlock,
                                               .fork_child = fork_child};

fa_shared_arena(fa_shared_arena_create)(fa_allocator *allocator, const char *name,
                                        size_t block_bytes, size_t bytes_max) {
    fa_shared_arena arena = {NULL, 0};
    block_bytes = block_bytes != 0 ? block_bytes : BLOCK_BYTES_DEFAULT;
    if (allocator == NULL || block_bytes < FA_SHARED_ARENA_BLOCK_MIN ||
        block_bytes > FA_SHARED_ARENA_BLOCK_MAX || bytes_max > FA_SIZE_MAX) {
        fai_fail(FA_ERROR_INVALID, block_bytes);
        return arena;
    }
    fai_roster *roster = &allocator->shared_arenas;
    uint32_t tag = fai_tag_now(allocator);
    fai_shared_record *record = (fai_shared_record *)(void *)fai_roster_take(allocator, roster);
    if (record == NULL)
        return arena;
    if (pthread_mutex_init(&record->lock, NULL) != 0) {
        fai_roster_give(roster, &record->named);
        fai_fail(FA_ERROR_NO_MEMORY, 0);
        return arena;
    }
    fai_bump_create(&record->named.bump, allocator, 0, 0, false);
    record->tag = tag;
    record->block_bytes = fai_round_up(block_bytes, FA_CACHE_LINE);
    record->bytes_max = bytes_max;
    fai_owned_add(allocator, &record->owned, &k_shared_arenas);
    arena.serial = fai_roster_add(roster, &record->named, name);
    fai_users_open(&record->users); /* closed by whoever freed the one before it */
    arena.head = &record->named.bump.head;
    return arena;
}

bool fa_shared_arena_is_open(fa_shared_arena arena) {
    return fai_named_is_open(arena.head, arena.serial);
}

/* ---- numbers ---- */

static void fill(const fai_named *named, void *stats) {
    const fai_shared_record *record = (const fai_shared_record *)named;
    fa_shared_arena_stats *to = (fa_shared_arena_stats *)stats;
    to->bytes = FAI_LOAD_RELAXED(&record->bytes);
    to->bytes_wasted = FAI_LOAD_RELAXED(&record->wasted);
    to->bytes_held = FAI_LOAD_RELAXED(&record->held);
    to->bytes_peak = FAI_LOAD_RELAXED(&record->peak);
    to->bytes_max = record->bytes_max;
    to->block_bytes = record->block_bytes;
    to->local_count = (size_t)(FAI_LOAD_RELAXED(&record->users) & ~FAI_USERS_CLOSED);
    to->alloc_count = FAI_LOAD_RELAXED(&record->alloc_count);
    to->block_count = FAI_LOAD_RELAXED(&record->block_count);
    to->reset_count = FAI_LOAD_RELAXED(&record->reset_count);
}

static const fai_named_kind k_kind = {offsetof(struct fa_allocator, shared_arenas),
                                      sizeof(fa_shared_arena_stats), fill};

fa_status fa_shared_arena_stats_get(fa_shared_arena arena, fa_shared_arena_stats *stats) {
    return fai_named_read(&k_kind, arena.head, arena.serial, stats);
}

size_t fa_shared_arena_count(const fa_allocator *allocator) {
    return fai_roster_count(allocator ? &allocator->shared_arenas : NULL);
}

size_t fa_shared_arena_visit(fa_allocator *allocator,
                             void (*visit)(void *user, fa_shared_arena arena,
                                           const fa_shared_arena_stats *stats),
                             void *user) {
    fa_shared_arena_stats stats;
    fai_roster_visit at = {{NULL, 0}, NULL, 0, 0};
    while (fai_roster_visit_next(&k_kind, visit ? allocator : NULL, &at, &stats))
        visit(user, (fa_shared_arena){at.head, at.serial}, &stats);
    return at.count;
}
