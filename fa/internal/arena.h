/* The memory behind a thread's frames: chunks, how they grow, how they learn. */
#ifndef FAI_ARENA_H
#define FAI_ARENA_H

#include "fa/internal/thread.h"

static inline char *fai_chunk_start(const fai_chunk *chunk) {
    return (char *)(uintptr_t)chunk + FAI_CHUNK_HEADER;
}

/* Whether the cursor of a mark stands in chunk. No two chunks touch: each starts with a header. */
static inline bool fai_chunk_holds(const fai_chunk *chunk, const char *cursor) {
    return cursor >= fai_chunk_start(chunk) && cursor <= chunk->end;
}

/* Whether a block got the chunk for itself after a mark was set. */
static inline bool fai_chunk_is_alone_since(const fai_chunk *chunk, uint64_t serial) {
    return chunk->is_alone && chunk->serial >= serial;
}

/* All chunks of an allocator: a new one joins them; one is given back, and stays where that is
 * refused, when sealed; an address lies in one. They take the lock. */
void fai_chunks_add(fa_allocator *allocator, fai_chunk *chunk);
bool fai_chunks_free(fa_allocator *allocator, fai_chunk *chunk);
bool fai_chunks_hold(fa_allocator *allocator, const void *pointer);

/* From where a chunk may come. */
typedef enum fai_chunk_source {
    FAI_CHUNK_AT_HAND, /* what a backend gives at once */
    FAI_CHUNK_ANY,     /* all that reserve.h names */
    FAI_CHUNK_SPILL    /* likewise, past the cap */
} fai_chunk_source;

/* Takes a chunk that holds at least bytes and at best wanted. Tries the smaller size before it
 * gives up. Returns the status of the backend. */
fa_status fai_chunk_make(fai_thread *thread, size_t bytes, size_t wanted, fai_chunk_source source,
                         fai_chunk **chunk);

/* Gives a chunk back; false, with the chunk kept, when sealed. */
bool fai_chunk_free(fai_thread *thread, fai_chunk *chunk);

/* How much more the thread's chunks may hold. */
size_t fai_chunk_room(const fai_thread *thread);

/* Forgets all but its chunks and the list of promoted blocks. */
static inline void fai_arena_reset(fai_arena *arena) {
    *arena = (fai_arena){.first = arena->first, .promoted = arena->promoted};
}

/* NULL, or what is wrong with its chunks. *bytes gets what they hold added. */
const void *fai_arena_validate(const fai_arena *arena, size_t *bytes);

/* What a frame without memory bumps through: nothing. */
extern char fai_arena_nowhere[FA_ALIGN_MIN];

/* Between frames: the arena stands at its start, and begin may take the fast path where it can. */
void fai_arena_rest(fai_thread *thread, fai_arena *arena);

/* Makes arena the one that the thread's frame bumps through, from its start. */
void fai_arena_enter(fai_thread *thread, fai_arena *arena);

/* Takes bytes (a multiple of 16) at a multiple of align for the open frame; adds memory where
 * needed, keeps to the cap. NULL with the reason reported. Does not count, fill or poison. */
void *fai_arena_take(fai_thread *thread, size_t bytes, size_t align, size_t size_asked);

/* Makes sure that the next fai_arena_take of so much is served: with memory that the thread has, or
 * that a backend gives at once. Refuses, reports, reclaims and spills nothing; false where that
 * would be needed. */
bool fai_arena_make_room(fai_thread *thread, size_t bytes, size_t align);

/* Bytes used in the open frame, and the most that were, rewound ones too. */
size_t fai_arena_used(const fai_thread *thread);
size_t fai_arena_peak(const fai_thread *thread);

/* Brings what phases measure with, cursor - base, up to date. */
static inline void fai_arena_rebase(fai_thread *thread) {
    thread->frame->phase_base = (uintptr_t)thread->frame->cursor - fai_arena_used(thread);
}

/* The peak counts from here on: starts again with what is used now. */
void fai_arena_peak_restart(fai_thread *thread);

/* Moves the end of the newest block, which starts at block and ends at the cursor. False, with
 * nothing changed, when there is no room or a mark stands between. */
bool fai_arena_move_end(fai_thread *thread, const char *block, char *end);

/* Goes back to where the cursor stood when a mark was set. Chunks that were taken since are kept
 * for what comes next, but for spills, which are given back. */
void fai_arena_rewind(fai_thread *thread, char *cursor, uint64_t serial);

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
