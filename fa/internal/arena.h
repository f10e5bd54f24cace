/* The memory behind a thread's frames: chunks, how they grow, how they learn. */
#ifndef FAI_ARENA_H
#define FAI_ARENA_H

#include "fa/internal/thread.h"

static inline char *fai_chunk_start(const fai_chunk *chunk) {
    return (char *)(uintptr_t)chunk + FAI_CHUNK_HEADER;
}

/* What a frame without memory bumps through: nothing. */
extern char fai_arena_nowhere[FA_ALIGN_MIN];

/* Between frames: the arena stands at its start, and begin may take the fast path where it can. */
void fai_arena_rest(fai_thread *thread, fai_arena *arena);

/* Makes arena the one that the thread's frame bumps through, from its start. */
void fai_arena_enter(fai_thread *thread, fai_arena *arena);

/* Takes bytes (a multiple of 16) at a multiple of align for the open frame; adds memory where
 * needed, keeps to the cap. NULL with the reason reported. Does not count, fill or poison. */
void *fai_arena_take(fai_thread *thread, size_t bytes, size_t align, size_t size_asked);

/* Bytes used in the open frame. */
size_t fai_arena_used(const fai_thread *thread);

/* Plans one chunk for what the frame that has just ended needed: it left its first chunk. */
void fai_arena_outgrown(fai_thread *thread, fai_arena *arena, size_t used);

/* Where the frames since the last call needed little of the arena: plans a smaller chunk, or drops
 * pages. No frame in it may be alive. */
void fai_arena_trim(fai_thread *thread, fai_arena *arena);

/* Gives spills back, and replaces the chunks by the planned one. */
void fai_arena_rebuild(fai_thread *thread, fai_arena *arena);

/* Gives all chunks back. Keeps them when sealed. */
void fai_arena_release(fai_thread *thread, fai_arena *arena);

#endif
