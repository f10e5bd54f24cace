#include "fa/internal/note.h"

void *fai_note_alloc(fai_thread *thread, size_t size, size_t align) {
    fa_site site = fai_slot.site ? *fai_slot.site : (fa_site){NULL, NULL, 0};
    fai_arena *arena = thread->arena;
    char *memory = (char *)fai_arena_take(thread, fai_note_bytes(size, align), FA_ALIGN_MIN, size);
    if (memory == NULL)
        return NULL;
    fai_note what = {.previous = arena->newest_note,
                     .size = size,
                     .serial = thread->frame->mark_count,
                     .site = site};
    char *block;
    arena->newest_note = fai_guard_make(thread->allocator, memory, align, what, &block);
    return block;
}

/* Takes the newest note off when it was made after so many marks, or later. Reports FA604 when
 * somebody wrote past its block, FA606 when it is damaged itself. */
static bool retire_newest(fai_thread *thread, fai_arena *arena, uint64_t serial) {
    fa_allocator *allocator = thread->allocator;
    fai_note *note = arena->newest_note;
    if (note == NULL)
        return false;
    fai_guard_open(allocator, note);
    if (note->serial < serial) {
        fai_poison(note, sizeof *note);
        return false;
    }
    arena->newest_note = note->previous;
    fai_guard_check(allocator, note);
    return true;
}

static void bury_chunk(const fai_thread *thread, fai_chunk *chunk) {
    fai_guard_bury(thread->allocator, fai_chunk_start(chunk), chunk->used_end, chunk->end);
}

void fai_note_bury(fai_thread *thread, fai_arena *arena) {
    while (retire_newest(thread, arena, 0)) {
    }
    for (fai_chunk *chunk = arena->first; chunk; chunk = chunk->next) {
        bury_chunk(thread, chunk);
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
        bury_chunk(thread, chunk);
    if (arena->current != NULL)
        arena->current->used_end = thread->frame->cursor;
    fai_chunk *chunk = arena->current;
    for (; chunk && !fai_chunk_holds(chunk, cursor); chunk = chunk->below)
        bury_chunk(thread, chunk);
    if (chunk != NULL)
        fai_guard_bury(thread->allocator, cursor, chunk->used_end, chunk->end);
}

void *fai_note_grow(fai_thread *thread, char *block, size_t size_new) {
    fai_note *note = fai_note_of(block);
    fai_unpoison_defined(note, sizeof *note);
    size_t size_old = note->size;
    char *end_old = fai_note_end(note);
    note->size = size_new;
    bool fits = size_new <= (size_t)(thread->arena->current->end - block) &&
                note == thread->arena->newest_note && end_old == thread->frame->cursor &&
                fai_arena_move_end(thread, (char *)note, fai_note_end(note));
    if (!fits)
        note->size = size_old;
    else
        fai_guard_dress(thread->allocator, note, size_old < size_new ? size_old : size_new);
    fai_poison(note, sizeof *note);
    return fits ? block : NULL;
}

bool fai_note_matches(fai_thread *thread, char *block, size_t size) {
    fai_note *note = fai_note_of(block);
    return fai_frame_owns(thread, note) && fai_guard_matches(note, block, size);
}
