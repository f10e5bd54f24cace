/* The guards of frame blocks (guard.h). Only where the allocator is watched. */
#ifndef FAI_NOTE_H
#define FAI_NOTE_H

#include "fa/internal/arena.h"
#include "fa/internal/guard.h"

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
