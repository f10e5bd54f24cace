/* What checks and sanitizers put around the blocks of a bumping cursor: a note, the block, the rest
 * of its last 16 bytes, 16 guard bytes. Only where the allocator is watched. note.c does this for
 * frames, bump.c for scratch memory and groups. */
#ifndef FAI_GUARD_H
#define FAI_GUARD_H

#include "fa/internal/allocator.h"
#include "fa/internal/poison.h"

/* Stands before its block, poisoned. */
typedef struct fai_note {
    struct fai_note *previous;
    char *block;
    size_t size;     /* as asked for */
    uint64_t serial; /* of a frame: of the newest mark when it was made */
    uint64_t magic;
    fa_site site;
} fai_note;
#define FAI_NOTE_BYTES ((sizeof(fai_note) + FA_ALIGN_MIN - 1) & ~(FA_ALIGN_MIN - 1))

/* What a block takes with all that, at an address that is a multiple of 16. */
static inline size_t fai_note_bytes(size_t size, size_t align) {
    return FAI_NOTE_BYTES + (align - FA_ALIGN_MIN) + fai_round_up(size, FA_ALIGN_MIN) +
           FAI_GUARD_BYTES;
}

static inline fai_note *fai_note_of(char *block) {
    return (fai_note *)(void *)(block - FAI_NOTE_BYTES);
}

/* One past the guard bytes of a block. */
static inline char *fai_note_end(const fai_note *note) {
    return note->block + fai_round_up(note->size, FA_ALIGN_MIN) + FAI_GUARD_BYTES;
}

/* Makes a block in fai_note_bytes of memory. what: previous, size, serial and site of its note.
 * Returns the note, and the block in *block. */
fai_note *fai_guard_make(const fa_allocator *allocator, char *memory, size_t align, fai_note what,
                         char **block);

/* After the size of a block has changed: the contents from `from` on, the guard, the poison. */
void fai_guard_dress(const fa_allocator *allocator, const fai_note *note, size_t from);

/* Whether a note belongs to a block of exactly that size. */
bool fai_guard_matches(fai_note *note, const char *block, size_t size);

/* Opens a note for reading, until it is poisoned again; reports FA606 when it is damaged. */
void fai_guard_open(fa_allocator *allocator, fai_note *note);

/* Reports FA604 when somebody wrote past the block. The note is open. */
void fai_guard_check(fa_allocator *allocator, const fai_note *note);

/* Memory that is dead: fills what was used of it, up to used_end, and forbids all up to end. */
void fai_guard_bury(const fa_allocator *allocator, char *start, const char *used_end,
                    const char *end);

#endif
