/* Validation of frames. */
#include "fa/internal/arena.h"
#include "fa/internal/frame.h"
#include "fa/internal/park.h"

const void *fai_arena_validate(const fai_arena *arena, size_t *bytes) {
    for (const fai_chunk *chunk = arena->first; chunk; chunk = chunk->next) {
        if (chunk->used_end < fai_chunk_start(chunk) || chunk->used_end > chunk->end ||
            chunk->span.address != (const void *)chunk)
            return chunk;
        *bytes += chunk->is_spill ? 0 : chunk->span.size;
    }
    return NULL;
}

static bool holds(const fai_arena *arena, const fai_chunk *chunk) {
    const fai_chunk *at = arena->first;
    while (at != NULL && at != chunk)
        at = at->next;
    return at != NULL;
}

const void *fai_frame_validate(const fai_thread *thread) {
    size_t bytes = 0;
    const void *wrong = fai_park_validate(thread, &bytes);
    for (size_t i = 0; i < FA_FRAMES_IN_FLIGHT_MAX && wrong == NULL; i++)
        wrong = fai_arena_validate(&thread->arenas[i], &bytes);
    if (wrong != NULL)
        return wrong;
    const fa_frame *frame = thread->frame;
    if (bytes != thread->chunk_bytes || frame->cursor > frame->limit)
        return thread;
    if (!fai_frame_is_open(thread))
        return frame->cursor == frame->limit ? NULL : frame;
    const fai_chunk *chunk = thread->arena->current;
    if (chunk == NULL)
        return NULL;
    bool inside = frame->cursor >= fai_chunk_start(chunk) && frame->limit <= chunk->end;
    return holds(thread->arena, chunk) && inside ? fai_mark_validate(thread) : frame;
}
