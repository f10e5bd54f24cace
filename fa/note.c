#include "fa/internal/note.h"

#include "fa/internal/poison.h"

#include <string.h>

#define NOTE_MAGIC ((uint64_t)0xF4A3E0B10C4A11ull)
#define NOTE_BYTES ((sizeof(fai_frame_note) + FA_ALIGN_MIN - 1) & ~(FA_ALIGN_MIN - 1))

static fai_frame_note *note_of(char *block) {
    return (fai_frame_note *)(void *)(block - NOTE_BYTES);
}

static char *watched_end(const fai_frame_note *note) {
    return note->block + fai_round_up(note->size, FA_ALIGN_MIN) + FAI_GUARD_BYTES;
}

/* Writes fill bytes over the part of a block from `from` on; then the guard, and the poison. */
static void dress(const fa_allocator *allocator, const fai_frame_note *note, size_t from) {
    size_t rest = (size_t)(watched_end(note) - note->block) - note->size;
    fai_unpoison(note->block + from, note->size - from + rest);
    if (allocator->checks & FA_CHECK_FILL)
        memset(note->block + from, FAI_FILL_FRESH, note->size - from);
    if (allocator->checks & FA_CHECK_GUARD)
        memset(note->block + note->size, FAI_FILL_GUARD, rest);
    fai_unpoison(note->block + from, note->size - from);
    fai_poison(note->block + note->size, rest);
}

size_t fai_note_bytes(size_t size, size_t align) {
    return NOTE_BYTES + (align - FA_ALIGN_MIN) + fai_round_up(size, FA_ALIGN_MIN) + FAI_GUARD_BYTES;
}

void *fai_note_alloc(fai_thread *thread, size_t size, size_t align) {
    size_t bytes = fai_note_bytes(size, align);
    fa_site site = fai_slot.site ? *fai_slot.site : (fa_site){NULL, NULL, 0};
    char *start = (char *)fai_arena_take(thread, bytes, FA_ALIGN_MIN, size);
    if (start == NULL)
        return NULL;
    char *block = fai_align_up(start + NOTE_BYTES, align);
    fai_frame_note *note = note_of(block);
    fai_unpoison(note, sizeof *note);
    *note = (fai_frame_note){.previous = thread->arena->newest_note,
                             .block = block,
                             .size = size,
                             .serial = thread->frame->mark_count,
                             .magic = NOTE_MAGIC,
                             .site = site};
    thread->arena->newest_note = note;
    dress(thread->allocator, note, 0);
    fai_poison(note, sizeof *note);
    return block;
}

/* Takes the newest note off when it was made after so many marks, or later. Reports FA604 when
 * somebody wrote past its block, FA606 when it is damaged itself. */
static bool retire_newest(fai_thread *thread, fai_arena *arena, uint64_t serial) {
    fa_allocator *allocator = thread->allocator;
    fai_frame_note *note = arena->newest_note;
    if (note == NULL)
        return false;
    fai_unpoison_defined(note, sizeof *note);
    if (note->magic != NOTE_MAGIC)
        fai_report(allocator, FA_DIAG_FA606, FA_ERROR_CORRUPT, 0, 0, note);
    if (note->serial < serial) {
        fai_poison(note, sizeof *note);
        return false;
    }
    arena->newest_note = note->previous;
    if ((allocator->checks & FA_CHECK_GUARD) == 0)
        return true;
    const char *end = note->block + note->size;
    size_t rest = (size_t)(watched_end(note) - end);
    fai_unpoison_defined(end, rest);
    if (!fai_is_filled(end, FAI_FILL_GUARD, rest))
        fai_report_at(allocator, FA_DIAG_FA604, FA_ERROR_CORRUPT, note->size, 0, note->block,
                      note->site);
    return true;
}

/* Fills what is used of [start, used_end) and forbids [start, end). */
static void bury_range(const fai_thread *thread, char *start, char *used_end, const char *end) {
    size_t used = (size_t)(used_end - start);
    fai_unpoison(start, used);
    if (thread->allocator->checks & FA_CHECK_FILL)
        memset(start, FAI_FILL_DEAD, used);
    fai_poison(start, (size_t)(end - start));
}

void fai_note_bury(fai_thread *thread, fai_arena *arena) {
    while (retire_newest(thread, arena, 0)) {
    }
    for (fai_chunk *chunk = arena->first; chunk; chunk = chunk->next) {
        bury_range(thread, fai_chunk_start(chunk), chunk->used_end, chunk->end);
        if (chunk == arena->current)
            break;
    }
}

void fai_note_rewind(fai_thread *thread, char *cursor, uint64_t serial) {
    fai_arena *arena = thread->arena;
    while (retire_newest(thread, arena, serial)) {
    }
    for (fai_chunk *chunk = arena->first; chunk && fai_chunk_is_alone_since(chunk, serial);
         chunk = chunk->next)
        bury_range(thread, fai_chunk_start(chunk), chunk->used_end, chunk->end);
    if (arena->current != NULL)
        arena->current->used_end = thread->frame->cursor;
    fai_chunk *chunk = arena->current;
    for (; chunk && !fai_chunk_holds(chunk, cursor); chunk = chunk->below)
        bury_range(thread, fai_chunk_start(chunk), chunk->used_end, chunk->end);
    if (chunk != NULL)
        bury_range(thread, cursor, chunk->used_end, chunk->end);
}

void *fai_note_grow(fai_thread *thread, char *block, size_t size_new) {
    fai_frame_note *note = note_of(block);
    fai_unpoison_defined(note, sizeof *note);
    size_t size_old = note->size;
    char *end_old = watched_end(note);
    note->size = size_new;
    bool fits = size_new <= (size_t)(thread->arena->current->end - block) &&
                note == thread->arena->newest_note && end_old == thread->frame->cursor &&
                fai_arena_move_end(thread, (char *)note, watched_end(note));
    if (!fits)
        note->size = size_old;
    else
        dress(thread->allocator, note, size_old < size_new ? size_old : size_new);
    fai_poison(note, sizeof *note);
    return fits ? block : NULL;
}

bool fai_note_matches(fai_thread *thread, char *block, size_t size) {
    fai_frame_note *note = note_of(block);
    if (!fai_frame_owns(thread, note))
        return false;
    fai_unpoison_defined(note, sizeof *note);
    bool same = note->magic == NOTE_MAGIC && note->block == block && note->size == size;
    fai_poison(note, sizeof *note);
    return same;
}
