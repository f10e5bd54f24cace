#include "fa/internal/arena.h"

#include "fa/internal/frame.h"
#include "fa/internal/park.h"
#include "fa/internal/poison.h"

#define PAGE_BYTES ((size_t)4096)

char fai_arena_nowhere[FA_ALIGN_MIN] __attribute__((aligned(16)));

/* ---- chunks ---- */

static fai_chunk *chunk_format(const fai_span *span, bool is_spill) {
    fai_chunk *chunk = (fai_chunk *)span->address;
    chunk->next = chunk->below = NULL;
    chunk->end = (char *)span->address + (span->size & ~(FA_ALIGN_MIN - 1));
    chunk->used_end = fai_chunk_start(chunk);
    chunk->span = *span;
    chunk->serial = 0;
    chunk->is_alone = false;
    chunk->is_spill = is_spill;
    return chunk;
}

bool fai_chunk_free(fai_thread *thread, fai_chunk *chunk) {
    size_t counted = chunk->is_spill ? 0 : chunk->span.size;
    if (!fai_chunks_free(thread->allocator, chunk))
        return false;
    FAI_BUMP(&thread->chunk_bytes, -counted);
    return true;
}

size_t fai_chunk_room(const fai_thread *thread) {
    size_t cap = thread->allocator->config.frame_bytes_max;
    if (cap == 0)
        return FA_SIZE_MAX;
    return cap > thread->chunk_bytes ? cap - thread->chunk_bytes : 0;
}

fa_status fai_chunk_make(fai_thread *thread, size_t bytes, size_t wanted, fai_chunk_source source,
                         fai_chunk **chunk) {
    fa_allocator *allocator = thread->allocator;
    bool is_spill = source == FAI_CHUNK_SPILL;
    size_t huge = allocator->spans.info[0].huge_page_bytes;
    size_t least = fai_round_up(bytes + FAI_CHUNK_HEADER, FA_CACHE_LINE);
    size_t sizes[2] = {wanted > least ? wanted : least, least};
    fa_status status = FA_ERROR_NO_MEMORY;
    for (size_t i = 0; i < 2; i++) {
        if (i == 1 && sizes[1] == sizes[0])
            break;
        fai_span span;
        size_t align = huge != 0 && sizes[i] >= huge ? huge : FA_CACHE_LINE;
        if (align > FA_ALIGN_MAX)
            align = FA_CACHE_LINE;
        status = source == FAI_CHUNK_AT_HAND
                     ? fai_allocator_span_at_hand(allocator, sizes[i], align, FA_SPAN_CHUNK, &span)
                     : fai_allocator_span_quiet(allocator, sizes[i], align, FA_SPAN_CHUNK, &span);
        if (status != FA_OK)
            continue;
        if (!is_spill && span.size > fai_chunk_room(thread)) { /* a reclaimer used the frame */
            fai_span_free(&allocator->spans, &span);
            status = FA_ERROR_LIMIT;
            continue;
        }
        *chunk = chunk_format(&span, is_spill);
        fai_chunks_add(allocator, *chunk);
        if (!is_spill)
            FAI_BUMP(&thread->chunk_bytes, span.size);
        if (allocator->watched)
            fai_poison(fai_chunk_start(*chunk), (size_t)((*chunk)->end - fai_chunk_start(*chunk)));
        return FA_OK;
    }
    return status;
}

/* ---- the cursor ---- */

static void set_cursor(fai_thread *thread, char *cursor, char *end) {
    thread->frame->cursor = cursor;
    if (thread->meter.account != NULL)
        end = fai_meter_limit(thread, cursor, end);
    bool closed = thread->allocator->watched || thread->frame_traced;
    FAI_STORE_RELAXED(&thread->frame->limit, closed ? cursor : end);
}

void fai_arena_rest(fai_thread *thread, fai_arena *arena) {
    for (fai_chunk *chunk = arena->first; chunk && chunk->is_alone; chunk = chunk->next)
        chunk->is_alone = false;
    if (arena->first != NULL)
        arena->first->below = NULL;
    arena->current = arena->first;
    arena->bytes_before = 0;
    arena->outgrown = false;
    const fa_allocator *allocator = thread->allocator;
    fai_thread_head *head = &thread->head;
    FAI_STORE_RELAXED(&head->frame_start, NULL);
    thread->tallies.cursor = NULL;
    if (allocator->frames_look_closer || fai_tally_depth(&thread->tallies) != 0 ||
        fai_park_is_used(thread))
        return;
    head->frame_limit = arena->first ? arena->first->end : fai_arena_nowhere;
    /* Who comes from another thread just now sees what is written here, or is seen. */
    FAI_STORE_SEQ(&head->frame_start,
                  arena->first ? fai_chunk_start(arena->first) : fai_arena_nowhere);
    if (FAI_LOAD_SEQ(&allocator->budgets.meters) != 0 ||
        fai_events_watch_frames(&allocator->events))
        FAI_STORE_RELAXED(&head->frame_start, NULL);
}

void fai_arena_enter(fai_thread *thread, fai_arena *arena) {
    thread->arena = arena;
    fai_arena_rest(thread, arena);
    fai_frame_trace(thread);
    if (fai_thread_is_metered(thread))
        fai_meter_begin(thread);
    if (arena->first != NULL)
        set_cursor(thread, fai_chunk_start(arena->first), arena->first->end);
    else
        set_cursor(thread, fai_arena_nowhere, fai_arena_nowhere);
}

size_t fai_arena_used(const fai_thread *thread) {
    const fai_arena *arena = thread->arena;
    if (arena->current == NULL)
        return arena->bytes_before;
    return arena->bytes_before + (size_t)(thread->frame->cursor - fai_chunk_start(arena->current));
}

size_t fai_arena_peak(const fai_thread *thread) {
    const fa_frame *frame = thread->frame;
    size_t used = fai_arena_used(thread);
    if (frame->high > frame->cursor)
        used += (size_t)(frame->high - frame->cursor);
    return used > thread->bytes_peak ? used : thread->bytes_peak;
}

void fai_arena_peak_restart(fai_thread *thread) {
    thread->bytes_peak = fai_arena_used(thread);
    thread->frame->high = thread->frame->cursor;
    fai_frame_look_closer(thread); /* the end of this frame puts both back */
}

/* Before the cursor moves in any other way than by an allocation: what a rewind has to undo is seen
 * by its slow path, and the peak so far is kept. */
static void leave_cursor(fai_thread *thread) {
    thread->bytes_peak = fai_arena_peak(thread);
    thread->frame->high = NULL;
    thread->frame->mark_newest = FAI_NO_MARK;
    fai_frame_look_closer(thread);
    thread->tallies.cursor = NULL;
}

/* Moves the cursor to the start of chunk, which follows the current one. */
static void advance(fai_thread *thread, fai_chunk *chunk) {
    fai_arena *arena = thread->arena;
    leave_cursor(thread);
    if (arena->current != NULL) {
        arena->bytes_before = fai_arena_used(thread);
        arena->current->used_end = thread->frame->cursor;
    }
    chunk->below = arena->current;
    arena->current = chunk;
    set_cursor(thread, fai_chunk_start(chunk), chunk->end);
    fai_arena_rebase(thread);
}

/* Bumps within the current chunk, whatever the limit says. */
static void *bump(fai_thread *thread, size_t bytes, size_t align) {
    const fai_chunk *chunk = thread->arena->current;
    if (chunk == NULL)
        return NULL;
    char *block = fai_align_up(thread->frame->cursor, align);
    if (block > chunk->end || bytes > (size_t)(chunk->end - block))
        return NULL;
    set_cursor(thread, block + bytes, chunk->end);
    return block;
}

bool fai_arena_move_end(fai_thread *thread, const char *block, char *end) {
    const fai_chunk *chunk = thread->arena->current;
    fa_frame *frame = thread->frame;
    /* A rewind to that mark must leave the block as it was then. */
    bool marked = frame->mark_cursor > block && frame->mark_cursor <= frame->cursor;
    /* Nor may a block change whose it is: it was there before the last switch to another tag. */
    bool tagged = (size_t)(frame->cursor - block) > fai_arena_used(thread) - thread->tallies.used;
    if (end > chunk->end || marked || tagged)
        return false;
    fai_account *news = NULL;
    if (end > frame->cursor && fai_thread_is_metered(thread) &&
        !fai_meter_afford_end(thread, end, &news))
        return false;
    bool looks = FAI_LOAD_RELAXED(&thread->head.frame_start) == NULL && end < frame->cursor;
    if (looks && frame->high < frame->cursor)
        frame->high = frame->cursor;
    set_cursor(thread, end, chunk->end);
    if (looks)
        fai_phase_rewound(thread);
    fai_meter_note(thread, news);
    return true;
}

/* ---- growth ---- */

static size_t room_of(const fai_chunk *chunk) {
    return (size_t)(chunk->end - fai_chunk_start(chunk));
}

/* Unlinks a kept chunk that holds bytes, at most most of them; NULL when there is none. */
static fai_chunk *find_kept(const fai_arena *arena, size_t bytes, size_t most) {
    if (arena->current == NULL)
        return NULL;
    for (fai_chunk **link = &arena->current->next; *link; link = &(*link)->next) {
        fai_chunk *chunk = *link;
        if (room_of(chunk) < bytes || room_of(chunk) > most)
            continue;
        *link = chunk->next;
        return chunk;
    }
    return NULL;
}

/* Puts a chunk behind the current one, or first. */
static void insert(fai_arena *arena, fai_chunk *chunk) {
    fai_chunk **link = arena->current ? &arena->current->next : &arena->first;
    chunk->next = *link;
    *link = chunk;
}

static void note_overflow(fai_thread *thread, uint64_t *count, size_t size) {
    fa_allocator *allocator = thread->allocator;
    FAI_ADD_RELAXED(count, 1);
    fai_lock(allocator);
    allocator->frame_overflow_size = size;
    allocator->frame_overflow_site = fai_slot.site ? *fai_slot.site : (fa_site){NULL, NULL, 0};
    fai_unlock(allocator);
}

/* A chunk of its own for one block; stands before the others, as used. */
static void *take_alone(fai_thread *thread, fai_chunk *chunk, size_t bytes, size_t align) {
    fai_arena *arena = thread->arena;
    char *block = fai_align_up(fai_chunk_start(chunk), align);
    leave_cursor(thread);
    chunk->used_end = block + bytes;
    chunk->next = arena->first;
    arena->first = chunk;
    if (arena->current == NULL) {
        /* Nothing to go on in: the next request makes the first ordinary chunk behind this one. */
        arena->current = chunk;
        chunk->below = NULL;
        set_cursor(thread, chunk->used_end, chunk->end);
        fai_arena_rebase(thread);
        return block;
    }
    arena->bytes_before += (size_t)(chunk->used_end - fai_chunk_start(chunk));
    fai_arena_rebase(thread);
    chunk->is_alone = true;
    chunk->serial = thread->frame->mark_count;
    return block;
}

static void *take_past_cap(fai_thread *thread, size_t bytes, size_t align, size_t size_asked) {
    fa_allocator *allocator = thread->allocator;
    size_t cap = allocator->config.frame_bytes_max;
    if (allocator->config.frame_full == FA_FRAME_FULL_FAIL) {
        note_overflow(thread, &allocator->frame_full_count, size_asked);
        fai_report(allocator, FA_DIAG_FA003, FA_ERROR_LIMIT, size_asked, cap, NULL);
        return NULL;
    }
    fai_chunk *chunk;
    fa_status status =
        fai_chunk_make(thread, bytes + (align - FA_ALIGN_MIN), 0, FAI_CHUNK_SPILL, &chunk);
    if (status != FA_OK) {
        fai_report_span(allocator, status, size_asked);
        return NULL;
    }
    void *block = take_alone(thread, chunk, bytes, align);
    thread->arena->outgrown = true;
    note_overflow(thread, &allocator->frame_spill_count, size_asked);
    fai_report(allocator, FA_DIAG_FA007, FA_OK, size_asked, cap, block);
    return block;
}

/* Sizes of the chunk that comes next: twice the last, within the configured bounds. */
static size_t chunk_bytes_next(const fai_thread *thread) {
    const fa_alloc_config *config = &thread->allocator->config;
    const fai_chunk *current = thread->arena->current;
    size_t plan = current == NULL ? fai_park_plan(thread) : 0;
    if (current == NULL || current->is_spill)
        return plan > config->frame_chunk_bytes_first ? plan : config->frame_chunk_bytes_first;
    size_t twice = current->span.size * 2;
    if (twice < config->frame_chunk_bytes_first)
        return config->frame_chunk_bytes_first;
    return twice < config->frame_chunk_bytes_max ? twice : config->frame_chunk_bytes_max;
}

/* The slow half of fai_arena_take: the current chunk does not hold the request. May call hooks. */
static void *take_elsewhere(fai_thread *thread, size_t bytes, size_t align, size_t size_asked) {
    fa_allocator *allocator = thread->allocator;
    fai_arena *arena = thread->arena;
    size_t need = bytes + (align - FA_ALIGN_MIN);
    if (arena->current != NULL && !arena->outgrown) {
        arena->outgrown = true;
        note_overflow(thread, &allocator->frame_overflow_count, size_asked);
        fai_report_at(allocator, FA_DIAG_FA006, FA_OK, size_asked, arena->current->span.size, NULL,
                      fai_slot.site ? *fai_slot.site : (fa_site){NULL, NULL, 0});
    }
    if (arena->current != NULL) {
        fai_frame_grows(thread, fai_arena_used(thread));
        void *block = bump(thread, bytes, align); /* a hook may have moved the cursor */
        if (block != NULL)
            return block;
    }
    size_t least = fai_round_up(need + FAI_CHUNK_HEADER, FA_CACHE_LINE);
    size_t wanted = chunk_bytes_next(thread), room = fai_chunk_room(thread);
    bool alone = least > allocator->config.frame_chunk_bytes_max;
    fai_chunk *chunk = alone ? find_kept(arena, need, need + need / 2) : NULL;
    if (chunk != NULL)
        return take_alone(thread, chunk, bytes, align);
    chunk = find_kept(arena, need, SIZE_MAX);
    if (chunk != NULL) {
        insert(arena, chunk);
        advance(thread, chunk);
        return bump(thread, bytes, align);
    }
    if (least > room && fai_park_trim(thread) != 0)
        room = fai_chunk_room(thread);
    if (least > room)
        return take_past_cap(thread, bytes, align, size_asked);
    if (alone)
        wanted = fai_round_up(least, PAGE_BYTES);
    if (wanted > room)
        wanted = room & ~(FA_CACHE_LINE - 1);
    fa_status status = fai_chunk_make(thread, need, wanted, FAI_CHUNK_ANY, &chunk);
    if (status != FA_OK) {
        fai_report_span(allocator, status, size_asked);
        return NULL;
    }
    if (alone)
        return take_alone(thread, chunk, bytes, align);
    insert(arena, chunk);
    advance(thread, chunk);
    return bump(thread, bytes, align);
}

/* How far the cursor will move, at most, for a block. */
static size_t bytes_to_pay(const fai_thread *thread, size_t bytes, size_t align) {
    const fai_chunk *chunk = thread->arena->current;
    char *cursor = thread->frame->cursor, *block = fai_align_up(cursor, align);
    if (chunk != NULL && block <= chunk->end && bytes <= (size_t)(chunk->end - block))
        return (size_t)(block + bytes - cursor);
    return bytes + (align - FA_ALIGN_MIN);
}

/* The same as fai_arena_take where a budget may have a word in it: first it is paid for. */
FA_COLD static void *take_metered(fai_thread *thread, size_t bytes, size_t align,
                                  size_t size_asked) {
    size_t need = bytes_to_pay(thread, bytes, align);
    fai_account *news = NULL;
    do {
        if (fai_meter_pay(thread, need, &news) != FAI_CHARGE_OK)
            return NULL;
        /* Hooks may have used the frame meanwhile. Each further round is for a longer way to the
         * next aligned address, so there are few. */
        need = bytes_to_pay(thread, bytes, align);
    } while (fai_meter_left(thread) < need);
    void *block = bump(thread, bytes, align);
    if (block == NULL) {
        fai_account *payer = fai_meter_hold(thread, need);
        block = take_elsewhere(thread, bytes, align, size_asked);
        fai_meter_release(thread, payer, need, block != NULL ? bytes : 0);
    }
    if (block != NULL)
        fai_meter_note(thread, news);
    return block;
}

void *fai_arena_take(fai_thread *thread, size_t bytes, size_t align, size_t size_asked) {
    bool metered = fai_thread_is_metered(thread);
    void *block = metered ? NULL : bump(thread, bytes, align);
    if (block != NULL)
        return block;
    fai_hold hold = fai_frame_hold(thread); /* the end of this frame must look at the chunks, too */
    block = metered ? take_metered(thread, bytes, align, size_asked)
                    : take_elsewhere(thread, bytes, align, size_asked);
    fai_frame_unhold(thread, hold);
    return block;
}

/* A chunk that holds so many bytes: the current one, or one that comes next. */
static bool make_chunk(fai_thread *thread, size_t need) {
    fai_arena *arena = thread->arena;
    size_t least = fai_round_up(need + FAI_CHUNK_HEADER, FA_CACHE_LINE);
    size_t wanted = chunk_bytes_next(thread), room = fai_chunk_room(thread);
    if (arena->current && need <= (size_t)(arena->current->end - thread->frame->cursor))
        return true;
    fai_chunk *chunk = find_kept(arena, need, SIZE_MAX);
    if (chunk == NULL) {
        wanted = wanted < room ? wanted : room & ~(FA_CACHE_LINE - 1);
        if (least > room ||
            fai_chunk_make(thread, need, wanted, FAI_CHUNK_AT_HAND, &chunk) != FA_OK)
            return false;
    }
    /* There the next request looks for a kept one. */
    insert(arena, chunk);
    if (arena->current == NULL)
        advance(thread, chunk);
    return true;
}

bool fai_arena_make_room(fai_thread *thread, size_t bytes, size_t align) {
    size_t need = bytes + (align - FA_ALIGN_MIN);
    fai_account *news = NULL;
    if (fai_thread_is_metered(thread) && !fai_meter_afford(thread, need, &news))
        return false;
    bool made = make_chunk(thread, need);
    if (made)
        fai_meter_note(thread, news);
    else if (news != NULL)
        fai_meter_cancel(thread);
    return made;
}

/* ---- rewind ---- */

/* A chunk of its own whose block is gone. */
static void release_alone(fai_thread *thread, fai_chunk *chunk) {
    bool spill = chunk->is_spill;
    if (spill && fai_chunk_free(thread, chunk))
        return;
    if (spill) /* sealed */
        FAI_BUMP(&thread->chunk_bytes, chunk->span.size);
    chunk->is_spill = chunk->is_alone = false;
    insert(thread->arena, chunk);
}

/* Unlinks the chunks that single blocks got since a mark was set. */
static fai_chunk *unlink_alone(fai_arena *arena, uint64_t serial) {
    fai_chunk *alone = NULL;
    for (fai_chunk *chunk = arena->first; chunk && fai_chunk_is_alone_since(chunk, serial);
         chunk = arena->first) {
        arena->first = chunk->next;
        arena->bytes_before -= (size_t)(chunk->used_end - fai_chunk_start(chunk));
        chunk->next = alone;
        alone = chunk;
    }
    return alone;
}

void fai_arena_rewind(fai_thread *thread, char *cursor, uint64_t serial) {
    fai_arena *arena = thread->arena;
    leave_cursor(thread);
    fai_chunk *alone = unlink_alone(arena, serial);
    /* Back from chunk to chunk: each is passed at most as often as it was entered. */
    fai_chunk *chunk = arena->current;
    for (fai_chunk *below; chunk && !fai_chunk_holds(chunk, cursor); chunk = below) {
        below = chunk->below;
        if (below != NULL)
            arena->bytes_before -= (size_t)(below->used_end - fai_chunk_start(below));
    }
    if (chunk == NULL && arena->first != NULL && arena->first->is_spill) {
        /* A spill was the first chunk that the cursor stood in. */
        fai_chunk *spill = arena->first;
        arena->first = spill->next;
        spill->next = alone;
        alone = spill;
    }
    arena->current = chunk;
    while (alone != NULL) { /* those that stay go behind the current one */
        fai_chunk *next = alone->next;
        release_alone(thread, alone);
        alone = next;
    }
    if (chunk == NULL && arena->first != NULL) {
        /* The mark stood before the first chunk: now at its start. */
        arena->current = chunk = arena->first;
        chunk->below = NULL;
        cursor = fai_chunk_start(chunk);
    }
    set_cursor(thread, cursor, chunk ? chunk->end : cursor);
    thread->frame->high = cursor;
    if (fai_thread_is_metered(thread))
        fai_meter_rewound(thread);
    fai_arena_rebase(thread);
}
