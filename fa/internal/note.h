/* What checks and sanitizers add to a frame block: note | block | rest of its last 16 bytes and 16
 * guard bytes. Only where the allocator is watched. */
#ifndef FAI_NOTE_H
#define FAI_NOTE_H

#include "fa/internal/arena.h"

/* What a block takes of the arena, at an address that is a multiple of 16. */
size_t fai_note_bytes(size_t size, size_t align);

/* Allocates a block with its note. NULL with the reason reported. */
void *fai_note_alloc(fai_thread *thread, size_t size, size_t align);

/* Changes the size of the newest block where it lies; NULL when that can't be. block: live. */
void *fai_note_grow(fai_thread *thread, char *block, size_t size_new);

/* Whether a live block of exactly that size starts there. */
bool fai_note_matches(fai_thread *thread, char *block, size_t size);

/* The memory of a frame is dead: verifies the guards, fills what was touched, forbids all of it. */
void fai_note_bury(fai_thread *thread, fai_arena *arena);

/* The same for what a rewind to a mark frees, before it does. */
void fai_note_rewind(fai_thread *thread, char *cursor, uint64_t serial);

#endif
