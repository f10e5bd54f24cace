#include "fa/internal/bump.h"

#include "fa/internal/guard.h"
#include "fa/internal/heap.h"
#include "fa/internal/own_arena.h"
#include "fa/internal/pool.h"
#include "fa/pool.h"

#include <string.h>

#define CHUNK_HEADER sizeof(fai_bump_chunk)
#define SMALL_CHUNK_BYTES ((size_t)256) /* the first one of memory that likely stays small */

static char k_nowhere[FA_ALIGN_MIN] __attribute__((aligned(16)));

/* ---- the position ---- */

static size_t size_of(const fai_bump_chunk *chunk) {
    return (size_t)(chunk->end - fai_bump_start(chunk));
}

static bool is_sealed(const fai_bump *bump) { return FAI_LOAD_SEQ(&bump->allocator->spans.sealed); }

/* Lists and position change. Whoever reads the numbers meanwhile, or is the child of a fork, sees
 * that they don't fit together. */
static void begin_move(fai_bump *bump) { (void)FAI_EXCHANGE_ACQ_REL(&bump->base, 0); }

/* Puts the cursor into the current chunk, or nowhere. */
static void end_move(fai_bump *bump, char *cursor) {
    const fai_bump_chunk *chunk = bump->current;
    char *start = chunk ? fai_bump_start(chunk) : k_nowhere;
    size_t before = (chunk ? chunk->before : 0) + bump->alone_bytes;
    FAI_STORE_RELEASE(&bump->head.cursor, cursor); /* who sees it sees base 0, or what follows */
    bump->head.limit = bump->allocator->watched || chunk == NULL ? cursor : chunk->end;
    FAI_STORE_RELEASE(&bump->base, (uintptr_t)start - before);
}

void fai_bump_create(fai_bump *bump, fa_allocator *allocator, size_t bytes_first, size_t bytes_max,
                     bool is_small) {
    /* Whoever has an old handle may be reading these. */
    if (bump->allocator != allocator)
        bump->allocator = allocator;
    if (bump->is_small != is_small)
        bump->is_small = is_small;
    bump->current = bump->alone = bump->kept = NULL;
    bump->level = NULL;
    bump->popped = 0;
    bump->note = NULL;
    bump->alone_bytes = 0;
    fai_plan_begin(&bump->plan, allocator, bytes_first);
    FAI_STORE_RELAXED(&bump->bytes_max, bytes_max);
    bump->tag = FA_TAG_NONE;
    bump->is_planned = false;
    FAI_STORE_RELAXED(&bump->head.alloc_count, 0);
    FAI_STORE_RELAXED(&bump->held, 0);
    FAI_STORE_RELAXED(&bump->peak_before, 0);
    end_move(bump, k_nowhere);
}

/* ---- what watches see ---- */

/* Takes notes off down to that one; reports FA604 when somebody wrote past a block, FA606 when a
 * note is damaged itself. */
static void retire(fai_bump *bump, const fai_note *last) {
    while (bump->note != last) {
        fai_note *note = bump->note;
        fai_guard_open(bump->allocator, note);
        bump->note = note->previous;
        fai_guard_check(bump->allocator, note);
    }
}

static void bury(const fai_bump *bump, char *from, const char *to) {
    if (bump->allocator->watched)
        fai_guard_bury(bump->allocator, from, to, to);
}

/* ---- chunks ---- */

static uint32_t tag_of(const fai_bump *bump) {
    return bump->tag != FA_TAG_NONE ? bump->tag : fai_tag_now(bump->allocator);
}

static void *obtain(const fai_bump *bump, size_t bytes) {
    fa_allocator *allocator = bump->allocator;
    return bump->is_small ? fai_pool_alloc_unsized(allocator, bytes, FA_ALIGN_MIN)
                          : fai_heap_alloc(allocator, bytes, FA_CACHE_LINE, tag_of(bump));
}

static void give(fai_bump *bump, fai_bump_chunk *chunk) {
    fai_unpoison_defined(chunk, CHUNK_HEADER + size_of(chunk));
    if (bump->is_small)
        (fa_pool_free)(bump->allocator, chunk);
    else
        fai_heap_give(bump->allocator, chunk, SIZE_MAX);
}

/* A list that is linked nowhere any more. */
static void give_all(fai_bump *bump, fai_bump_chunk *list) {
    for (fai_bump_chunk *chunk = list, *next; chunk; chunk = next) {
        next = chunk->next;
        FAI_STORE_RELAXED(&bump->held, bump->held - size_of(chunk));
        give(bump, chunk);
    }
}

static size_t room_below_max(const fai_bump *bump) {
    if (bump->bytes_max == 0)
        return FA_SIZE_MAX * 2;
    return bump->bytes_max > bump->held ? bump->bytes_max - bump->held : 0;
}

size_t fai_bump_shrink(fai_bump *bump) {
    size_t held = bump->held;
    if (is_sealed(bump))
        return 0;
    fai_bump_chunk *kept = bump->kept;
    bump->kept = NULL;
    give_all(bump, kept);
    fai_bump_trim(bump);
    return held - bump->held;
}

/* How large the next chunk is to be, if that can be had. */
static size_t size_wanted(const fai_bump *bump, size_t need, size_t most) {
    size_t first =
        bump->is_small ? SMALL_CHUNK_BYTES : bump->allocator->config.frame_chunk_bytes_first;
    first = bump->is_planned ? bump->plan.floor + CHUNK_HEADER : first;
    size_t twice = bump->current ? 2 * (size_of(bump->current) + CHUNK_HEADER) : first;
    return fai_plan_next(&bump->plan, twice, most, CHUNK_HEADER, need > most);
}

/* Takes a chunk with room for need bytes, or more where that is likely to be used; *is_alone: it is
 * too large for anything else to follow. May call hooks, which may change everything. */
static fai_bump_chunk *chunk_make(fai_bump *bump, size_t need, size_t size_asked, bool *is_alone) {
    const fa_alloc_config *config = &bump->allocator->config;
    size_t most = bump->is_small ? config->frame_chunk_bytes_first : config->frame_chunk_bytes_max;
    size_t least = fai_round_up(need, FA_ALIGN_MIN), room = room_below_max(bump);
    if (room < least && fai_bump_shrink(bump) != 0)
        room = room_below_max(bump);
    size_t wanted = size_wanted(bump, need, most);
    *is_alone = least > wanted && least > most;
    wanted = wanted > least && !*is_alone ? wanted : least;
    wanted = wanted < room ? wanted : room & ~(FA_ALIGN_MIN - 1);
    if (wanted < least) {
        fai_fail(FA_ERROR_FULL, size_asked);
        return NULL;
    }
    char *memory = NULL;
    if (wanted > least) {
        const fa_site *site = fai_slot.site; /* for what is needed */
        bool quiet = fai_quiet(true);
        memory = (char *)obtain(bump, wanted + CHUNK_HEADER);
        (void)fai_quiet(quiet);
        fai_slot.site = memory ? NULL : site;
    }
    if (memory == NULL) {
        wanted = least;
        memory = (char *)obtain(bump, wanted + CHUNK_HEADER);
    }
    if (memory == NULL)
        return NULL;
    fai_bump_chunk *chunk = (fai_bump_chunk *)(void *)memory;
    *chunk = (fai_bump_chunk){NULL, memory + CHUNK_HEADER + wanted, 0, 0};
    if (bump->allocator->watched)
        fai_poison(fai_bump_start(chunk), wanted);
    return chunk;
}

/* Goes on in an empty chunk that is there already: the smallest that will do, so that large ones
 * are left for what is large. */
static bool advance(fai_bump *bump, size_t need) {
    fai_bump_chunk **link = NULL;
    for (fai_bump_chunk **at = &bump->kept; *at; at = &(*at)->next)
        if (size_of(*at) >= need && (link == NULL || size_of(*at) < size_of(*link)))
            link = at;
    if (link == NULL)
        return false;
    fai_bump_chunk *chunk = *link;
    size_t used = (size_t)((uintptr_t)bump->head.cursor - bump->base);
    begin_move(bump);
    *link = chunk->next;
    chunk->before = used - bump->alone_bytes;
    chunk->next = bump->current;
    bump->current = chunk;
    end_move(bump, fai_bump_start(chunk));
    return true;
}

static char *take_alone(fai_bump *bump, fai_bump_chunk *chunk, size_t align) {
    chunk->serial = bump->level ? bump->level->serial : 0;
    chunk->next = bump->alone;
    begin_move(bump);
    bump->alone_bytes += size_of(chunk);
    bump->alone = chunk;
    end_move(bump, bump->head.cursor);
    return fai_align_up(fai_bump_start(chunk), align);
}

/* ---- allocation ---- */

/* Bumps within the current chunk, whatever the limit says. */
static char *place(fai_bump *bump, size_t bytes, size_t align) {
    const fai_bump_chunk *chunk = bump->current;
    if (chunk == NULL)
        return NULL;
    char *block = fai_align_up(bump->head.cursor, align);
    if (block > chunk->end || bytes > (size_t)(chunk->end - block))
        return NULL;
    FAI_STORE_RELAXED(&bump->head.cursor, block + bytes);
    bump->head.limit = bump->allocator->watched ? block + bytes : chunk->end;
    return block;
}

static bool is_stale(const fai_bump *bump, uint64_t serial) {
    return FAI_LOAD_RELAXED(&bump->head.serial) != serial;
}

/* Hooks gave the memory away, or freed it. */
static void report_stale(const fai_bump *bump, uint64_t serial, size_t size_asked) {
    uint64_t now = FAI_LOAD_RELAXED(&bump->head.serial);
    bool is_given = bump->is_handed && now >> FAI_OWN_TURN_BITS == serial >> FAI_OWN_TURN_BITS;
    fai_report(bump->allocator, is_given ? FA_DIAG_FA613 : FA_DIAG_FA610, FA_ERROR_FOREIGN,
               size_asked, 0, bump);
}

static char *take(fai_bump *bump, uint64_t serial, size_t bytes, size_t align, size_t size_asked) {
    size_t need = bytes + (align - FA_ALIGN_MIN);
    for (;;) {
        char *block = place(bump, bytes, align);
        if (block != NULL)
            return block;
        if (advance(bump, need))
            continue;
        bool is_alone;
        fai_bump_chunk *chunk = chunk_make(bump, need, size_asked, &is_alone);
        if (chunk == NULL)
            return NULL;
        if (is_stale(bump, serial)) { /* nothing of it may be looked at */
            give(bump, chunk);
            report_stale(bump, serial, size_asked);
            return NULL;
        }
        if (size_of(chunk) > room_below_max(bump)) { /* hooks did that */
            give(bump, chunk);
            fai_fail(FA_ERROR_FULL, size_asked);
            return NULL;
        }
        FAI_STORE_RELAXED(&bump->held, bump->held + size_of(chunk));
        if (is_alone)
            return take_alone(bump, chunk, align);
        chunk->next = bump->kept;
        FAI_STORE_RELEASE(&bump->kept, chunk);
    }
}

static char *take_noted(fai_bump *bump, uint64_t serial, size_t size, size_t align) {
    fa_site site = fai_slot.site ? *fai_slot.site : (fa_site){NULL, NULL, 0};
    char *memory = take(bump, serial, fai_note_bytes(size, align), FA_ALIGN_MIN, size);
    if (memory == NULL)
        return NULL;
    fai_note what = {.previous = bump->note, .size = size, .site = site};
    char *block;
    bump->note = fai_guard_make(bump->allocator, memory, align, what, &block);
    return block;
}

void *fai_bump_take(fai_bump *bump, uint64_t serial, size_t size, size_t align) {
    if (align < FA_ALIGN_MIN && fai_is_power_of_two(align))
        align = FA_ALIGN_MIN;
    if (!fai_is_request(size, align)) {
        fai_fail(FA_ERROR_INVALID, size);
        return NULL;
    }
    char *block = bump->allocator->watched
                      ? take_noted(bump, serial, size, align)
                      : take(bump, serial, fai_round_up(size, FA_ALIGN_MIN), align, size);
    if (block != NULL)
        FAI_COUNT_BUMP(&bump->head);
    return block;
}

/* What watches see of a block that gets another size where it lies. */
static void resize_noted(const fai_bump *bump, char *block, size_t size_old, size_t size_new) {
    fai_note *note = fai_note_of(block);
    char *end_old = block + fai_round_up(size_old, FA_ALIGN_MIN) + FAI_GUARD_BYTES;
    char *end_new = block + fai_round_up(size_new, FA_ALIGN_MIN) + FAI_GUARD_BYTES;
    fai_unpoison_defined(note, sizeof *note);
    note->size = size_new;
    fai_guard_dress(bump->allocator, note, size_old < size_new ? size_old : size_new);
    if (end_new < end_old)
        bury(bump, end_new, end_old);
    fai_poison(note, sizeof *note);
}

/* Gives the newest block a new size where it lies; its size is what it was given with. */
static bool resize_newest(fai_bump *bump, char *block, size_t size_old, size_t size_new) {
    const fai_bump_chunk *chunk = bump->current;
    bool watched = bump->allocator->watched;
    size_t guard = watched ? FAI_GUARD_BYTES : 0;
    if (chunk == NULL || block < fai_bump_start(chunk) || block >= chunk->end ||
        (watched && fai_note_of(block) != bump->note) ||
        block + fai_round_up(size_old, FA_ALIGN_MIN) + guard != bump->head.cursor ||
        fai_round_up(size_new, FA_ALIGN_MIN) + guard > (size_t)(chunk->end - block))
        return false;
    char *cursor = block + fai_round_up(size_new, FA_ALIGN_MIN) + guard;
    fai_bump_note_peak(bump);
    FAI_STORE_RELAXED(&bump->head.cursor, cursor);
    if (watched) {
        bump->head.limit = cursor;
        resize_noted(bump, block, size_old, size_new);
    }
    return true;
}

/* Bytes that are in use from there to the end of what its chunk has; 0: it lies in none. */
static size_t used_from(const fai_bump *bump, const char *byte) {
    const char *end = bump->head.cursor;
    for (const fai_bump_chunk *chunk = bump->current; chunk; chunk = chunk->next) {
        if (byte >= fai_bump_start(chunk) && byte < end)
            return (size_t)(end - byte);
        if (chunk->next != NULL)
            end = fai_bump_start(chunk->next) + (chunk->before - chunk->next->before);
    }
    for (const fai_bump_chunk *chunk = bump->alone; chunk; chunk = chunk->next)
        if (byte >= fai_bump_start(chunk) && byte < chunk->end)
            return (size_t)(chunk->end - byte);
    return 0;
}

/* Whether it is a block of that size, as far as that shows. */
static bool is_block(const fai_bump *bump, char *block, size_t size) {
    if (((uintptr_t)block & (FA_ALIGN_MIN - 1)) != 0 || size == 0 || size > used_from(bump, block))
        return false;
    if (!bump->allocator->watched)
        return true;
    fai_note *note = fai_note_of(block);
    return used_from(bump, (const char *)note) > FAI_NOTE_BYTES &&
           fai_guard_matches(note, block, size);
}

static size_t place_of(const fai_bump_chunk *chunk, const void *address) {
    return chunk->before + (size_t)((const char *)address - fai_bump_start(chunk));
}

/* Serial of the level that a block was made in, 0: in none. It dies when somebody goes back to that
 * one or to an older one, and with no other. */
static uint64_t serial_of(const fai_bump *bump, const char *block) {
    for (const fai_bump_chunk *chunk = bump->alone; chunk; chunk = chunk->next)
        if (block >= fai_bump_start(chunk) && block < chunk->end)
            return chunk->serial;
    const fai_bump_chunk *chunk = bump->current;
    while (block < fai_bump_start(chunk) || block >= chunk->end)
        chunk = chunk->next;
    const fai_bump_level *level = bump->level;
    while (level != NULL && place_of(level->chunk, level) > place_of(chunk, block))
        level = level->older;
    return level ? level->serial : 0;
}

void *fai_bump_grow(fai_bump *bump, uint64_t serial, void *block, size_t size_old,
                    size_t size_new) {
    if (block == NULL)
        return fai_bump_take(bump, serial, size_new, FA_ALIGN_MIN);
    if (!fai_is_request(size_new, FA_ALIGN_MIN)) {
        fai_fail(FA_ERROR_INVALID, size_new);
        return NULL;
    }
    if (!is_block(bump, (char *)block, size_old)) {
        fai_fail(FA_ERROR_FOREIGN, size_new);
        return NULL;
    }
    if (resize_newest(bump, (char *)block, size_old, size_new))
        return block;
    if (size_new <= size_old) {
        if (bump->allocator->watched)
            resize_noted(bump, (char *)block, size_old, size_new);
        return block;
    }
    size_t align = (size_t)1 << __builtin_ctzll((uintptr_t)block | FA_CACHE_LINE);
    uint64_t own = serial_of(bump, (const char *)block), before = bump->popped;
    bump->popped = UINT64_MAX;
    void *moved = fai_bump_take(bump, serial, size_new, align);
    if (moved == NULL && bump->is_handed && is_stale(bump, serial))
        return NULL; /* with the memory, what it says of levels is somebody else's */
    bool is_dead = bump->popped <= own;
    bump->popped = before < bump->popped ? before : bump->popped;
    if (moved == NULL)
        return NULL;
    if (is_dead) { /* a hook has freed the block */
        fai_report(bump->allocator, FA_DIAG_FA610, FA_ERROR_FOREIGN, size_new, 0, block);
        return NULL;
    }
    memcpy(moved, block, size_old);
    return moved;
}

/* ---- levels ---- */

fai_bump_level *fai_bump_push(fai_bump *bump, uint64_t serial) {
    fai_bump_level *level = (fai_bump_level *)(void *)place(bump, sizeof *level, FA_ALIGN_MIN);
    if (FA_UNLIKELY(level == NULL)) {
        level = (fai_bump_level *)(void *)take(bump, serial, sizeof *level, FA_ALIGN_MIN,
                                               sizeof *level);
        if (level == NULL)
            return NULL;
    }
    if (bump->allocator->watched)
        fai_unpoison(level, sizeof *level);
    *level = (fai_bump_level){bump->level, ++bump->level_serial, bump->current, bump->note};
    bump->level = level;
    return level;
}

void fai_bump_pop(fai_bump *bump, fai_bump_level *level, bool stays) {
    fai_bump_note_peak(bump);
    if (bump->note != level->note)
        retire(bump, level->note);
    fai_bump_chunk *target = level->chunk, *dead = bump->alone;
    char *cursor = (char *)(stays ? level + 1 : level);
    uint64_t serial = level->serial;
    bump->level = stays ? level : level->older;
    bump->popped = serial < bump->popped ? serial : bump->popped;
    begin_move(bump);
    fai_bump_chunk *last = NULL;
    for (; bump->alone && bump->alone->serial >= serial; bump->alone = last->next) {
        last = bump->alone;
        bury(bump, fai_bump_start(last), last->end);
        bump->alone_bytes -= size_of(last);
        size_t kib = (size_of(last) + 1023) >> 10;
        if (kib > bump->plan.large_kib)
            bump->plan.large_kib = (uint32_t)(kib < UINT32_MAX ? kib : UINT32_MAX);
    }
    while (bump->current != target) {
        fai_bump_chunk *chunk = bump->current;
        bury(bump, fai_bump_start(chunk), chunk->end);
        bump->current = chunk->next;
        chunk->next = bump->kept;
        bump->kept = chunk;
    }
    bury(bump, cursor, target->end);
    end_move(bump, cursor);
    if (last == NULL)
        return;
    if (is_sealed(bump)) { /* what goes now might not come again */
        last->next = bump->kept;
        bump->kept = dead;
        return;
    }
    last->next = NULL;
    give_all(bump, dead);
}

bool fai_bump_rewind(fai_bump *bump, uint64_t serial) {
    fai_bump_level *level = bump->level;
    while (level != NULL && level->serial > serial)
        level = level->older;
    if (level == NULL || level->serial != serial)
        return false;
    fai_bump_pop(bump, level, true);
    return true;
}

/* ---- nothing in use ---- */

/* Takes all chunks but one off; together they are a list. The one is the largest, or where all are
 * to be used again, the smallest. */
static fai_bump_chunk *gather(fai_bump *bump, bool keeps_largest) {
    fai_bump_chunk *lists[] = {bump->current, bump->alone, bump->kept}, *all = NULL, *one = NULL;
    bump->alone = bump->kept = NULL;
    for (size_t i = 0; i < 3; i++)
        for (fai_bump_chunk *chunk = lists[i], *next; chunk; chunk = next) {
            next = chunk->next;
            bury(bump, fai_bump_start(chunk), chunk->end);
            bool is_larger = one == NULL || size_of(chunk) > size_of(one);
            one = one == NULL || is_larger == keeps_largest ? chunk : one;
            chunk->next = all;
            all = chunk;
        }
    bump->current = one;
    if (one == NULL)
        return NULL;
    fai_bump_chunk **link = &all;
    while (*link != one)
        link = &(*link)->next;
    *link = one->next;
    one->next = NULL;
    one->before = 0;
    return all;
}

/* Gives all chunks to the backend; what is done to them ends. */
static void end_without_chunks(fai_bump *bump) {
    fai_bump_chunk *chunks = gather(bump, true), *largest = bump->current;
    bump->current = NULL;
    end_move(bump, k_nowhere);
    give_all(bump, chunks);
    give_all(bump, largest);
}

void fai_bump_trim(fai_bump *bump) {
    if (bump->head.cursor != (bump->current ? fai_bump_start(bump->current) : k_nowhere) ||
        (bump->current && bump->current->next) || bump->alone || is_sealed(bump))
        return;
    begin_move(bump);
    end_without_chunks(bump);
}

/* Nothing is used any more; what is done to chunks begins. */
static void begin_empty(fai_bump *bump) {
    fai_bump_note_peak(bump);
    retire(bump, NULL);
    bump->popped = 0;
    begin_move(bump);
    bump->level = NULL;
    bump->alone_bytes = 0;
}

void fai_bump_reset(fai_bump *bump) {
    begin_empty(bump);
    fai_bump_chunk *others = NULL;
    if (bump->alone || bump->kept || (bump->current && bump->current->next))
        others = gather(bump, !is_sealed(bump));
    else if (bump->current != NULL)
        bury(bump, fai_bump_start(bump->current), bump->current->end);
    end_move(bump, bump->current ? fai_bump_start(bump->current) : k_nowhere);
    if (others != NULL && is_sealed(bump)) {
        bump->kept = others;
    } else if (others != NULL) {
        fai_plan_learn(&bump->plan, bump->bytes_max);
        give_all(bump, others);
    }
    if (bump->plan.peak > bump->peak_before)
        FAI_STORE_RELAXED(&bump->peak_before, bump->plan.peak);
    if (fai_plan_rest(&bump->plan, bump->allocator, bump->held))
        fai_bump_trim(bump);
}

void fai_bump_release(fai_bump *bump) {
    begin_empty(bump);
    end_without_chunks(bump);
}
