/* Frame memory that grows, and copies into it. */
#include "fa/frame.h"

#include "fa/internal/arena.h"
#include "fa/internal/events.h"
#include "fa/internal/forms.h"
#include "fa/internal/frame.h"
#include "fa/internal/note.h"

#include <string.h>

/* Whether size bytes from there on are part of one chunk that the open frame uses. */
static bool is_used(const fai_thread *thread, const void *block, size_t size) {
    const char *byte = (const char *)block;
    if (!fai_frame_is_open(thread))
        return false;
    for (const fai_chunk *chunk = thread->arena->first; chunk; chunk = chunk->next) {
        const char *end = chunk == thread->arena->current ? thread->frame->cursor : chunk->used_end;
        if (byte >= fai_chunk_start(chunk) && byte < end)
            return size <= (size_t)(end - byte);
        if (chunk == thread->arena->current)
            break;
    }
    return false;
}

bool fai_frame_owns(const fai_thread *thread, const void *pointer) {
    return is_used(thread, pointer, 1);
}

bool fai_frame_has(fa_allocator *allocator, const void *pointer) {
    fai_thread *thread = fai_thread_find(allocator);
    return (thread != NULL && fai_meter_find(thread, pointer) != NULL) ||
           fai_chunks_hold(allocator, pointer);
}

bool fai_frame_holds(const fai_thread *thread, const void *block, size_t size) {
    const fai_promoted *promoted;
    return is_used(thread, block, size) ||
           ((promoted = fai_meter_find(thread, block)) != NULL && size <= promoted->size);
}

static bool is_live_block(fai_thread *thread, char *block, size_t size_old) {
    if (!is_used(thread, block, size_old != 0 ? size_old : 1) ||
        ((uintptr_t)block & (FA_ALIGN_MIN - 1)) != 0)
        return false;
    return !thread->allocator->watched || fai_note_matches(thread, block, size_old);
}

/* The promoted block, where it has size_old bytes: as strictly as is_live_block looks. */
static fai_promoted *find_promoted(fai_thread *thread, const void *block, size_t size_old) {
    fai_promoted *promoted = fai_meter_find(thread, block);
    if (promoted == NULL || size_old > promoted->size)
        return NULL;
    return size_old == promoted->size || !thread->allocator->watched ? promoted : NULL;
}

/* The alignment of an address, as far as a grown copy keeps it. */
static size_t alignment_of(const void *block) {
    uintptr_t lowest = (uintptr_t)block & -(uintptr_t)block;
    return lowest < FA_CACHE_LINE ? lowest : FA_CACHE_LINE;
}

/* A block changed its size, or was copied: size_new 0. */
static inline void tell_resized(fai_thread *thread, const void *block, size_t size_old,
                                size_t size_new) {
    if (FA_UNLIKELY(thread->frame_traced))
        fai_events_frame_block(thread, block, size_old, size_new);
}

/* Moves the end of the newest block, which is where the cursor stands. */
static bool grow_newest(fai_thread *thread, const char *block, size_t size_old, size_t size_new) {
    const fai_chunk *chunk = thread->arena->current;
    const char *cursor = thread->frame->cursor;
    size_t rounded_old = fai_round_up(size_old, FA_ALIGN_MIN);
    size_t rounded_new = fai_round_up(size_new, FA_ALIGN_MIN);
    return fai_frame_is_open(thread) && chunk != NULL && block >= fai_chunk_start(chunk) &&
           block < cursor && rounded_old == (size_t)(cursor - block) &&
           rounded_new <= (size_t)(chunk->end - block) &&
           fai_arena_move_end(thread, block, thread->frame->cursor - rounded_old + rounded_new);
}

void *fai_frame_grow_quiet(fa_frame *frame, void *block, size_t size_old, size_t size_new,
                           size_t align) {
    fai_thread *thread = fai_thread_of(frame);
    char *bytes = (char *)block;
    align = align < FA_ALIGN_MIN ? FA_ALIGN_MIN : align;
    if (thread->slot != &fai_slot || !fai_frame_is_open(thread) || !fai_is_request(size_new, align))
        return NULL;
    bool watched = thread->allocator->watched;
    if (block != NULL && is_live_block(thread, bytes, size_old) &&
        (watched ? fai_note_grow(thread, bytes, size_new) != NULL
                 : grow_newest(thread, bytes, size_old, size_new))) {
        tell_resized(thread, block, size_old, size_new);
        return block;
    }
    size_t needed =
        watched ? fai_note_bytes(size_new, align) : fai_round_up(size_new, FA_ALIGN_MIN);
    if (!fai_arena_make_room(thread, needed, watched ? FA_ALIGN_MIN : align))
        return NULL;
    return fai_frame_grow_aligned(frame, block, size_old, size_new, align);
}

void *fai_frame_grow_aligned(fa_frame *frame, void *block, size_t size_old, size_t size_new,
                             size_t align) {
    if (block == NULL)
        return fai_frame_alloc(frame, size_new, align);
    if (frame == NULL || size_old > FA_SIZE_MAX || !fai_is_request(size_new, FA_ALIGN_MIN)) {
        fai_fail(FA_ERROR_INVALID, size_new);
        return NULL;
    }
    fai_thread *thread = fai_thread_of(frame);
    char *bytes = (char *)block;
    if (thread->slot != &fai_slot) {
        fai_report(thread->allocator, FA_DIAG_FA201, FA_ERROR_FOREIGN, size_new, 0, frame);
        return NULL;
    }
    if (!thread->allocator->watched && grow_newest(thread, bytes, size_old, size_new)) {
        tell_resized(thread, block, size_old, size_new);
        return block;
    }
    fai_promoted *promoted = NULL;
    if (!is_live_block(thread, bytes, size_old) &&
        (promoted = find_promoted(thread, block, size_old)) == NULL) {
        fai_report(thread->allocator, fai_frame_is_open(thread) ? FA_DIAG_FA002 : FA_DIAG_FA001,
                   fai_frame_is_open(thread) ? FA_ERROR_FOREIGN : FA_ERROR_NO_FRAME, size_new, 0,
                   block);
        return NULL;
    }
    bool noted = thread->allocator->watched && promoted == NULL;
    bool stays = size_new <= size_old && !noted;
    if (stays && promoted != NULL) {
        promoted->size = size_new;
        return block;
    }
    if (stays || (noted && fai_note_grow(thread, bytes, size_new))) {
        tell_resized(thread, block, size_old, size_new);
        return block;
    }
    void *copy = fai_frame_alloc(frame, size_new, align);
    if (copy != NULL)
        memcpy(copy, block, size_old < size_new ? size_old : size_new);
    if (copy != NULL && promoted == NULL)
        tell_resized(thread, block, size_old, 0);
    return copy;
}

void *(fa_frame_grow_in)(fa_frame *frame, void *block, size_t size_old, size_t size_new) {
    size_t align = block != NULL ? alignment_of(block) : FA_ALIGN_MIN;
    return fai_frame_grow_aligned(frame, block, size_old, size_new, align);
}

void *(fa_frame_copy_in)(fa_frame *frame, const void *source, size_t size) {
    if (!fai_has_source(source, size))
        return NULL;
    return fai_copy(fai_frame_alloc(frame, size, FA_ALIGN_MIN), source, size);
}

char *(fa_frame_copy_string_in)(fa_frame *frame, const char *string) {
    return (char *)(fa_frame_copy_in)(frame, string, fai_string_bytes(string));
}

void *(fa_frame_grow)(fa_allocator *allocator, void *block, size_t size_old, size_t size_new) {
    fa_frame *frame = fai_frame_find(allocator, size_new);
    return frame ? (fa_frame_grow_in)(frame, block, size_old, size_new) : NULL;
}

void *(fa_frame_copy)(fa_allocator *allocator, const void *source, size_t size) {
    fa_frame *frame = fai_frame_find(allocator, size);
    return frame ? (fa_frame_copy_in)(frame, source, size) : NULL;
}

char *(fa_frame_copy_string)(fa_allocator *allocator, const char *string) {
    fa_frame *frame = fai_frame_find(allocator, 0);
    return frame ? (fa_frame_copy_string_in)(frame, string) : NULL;
}
