#include "fa/internal/guard.h"

#include <string.h>

#define NOTE_MAGIC ((uint64_t)0xF4A3E0B10C4A11ull)

void fai_guard_dress(const fa_allocator *allocator, const fai_note *note, size_t from) {
    size_t rest = (size_t)(fai_note_end(note) - note->block) - note->size;
    fai_unpoison(note->block + from, note->size - from + rest);
    if (allocator->checks & FA_CHECK_FILL)
        memset(note->block + from, FAI_FILL_FRESH, note->size - from);
    if (allocator->checks & FA_CHECK_GUARD)
        memset(note->block + note->size, FAI_FILL_GUARD, rest);
    fai_unpoison(note->block + from, note->size - from);
    fai_poison(note->block + note->size, rest);
}

fai_note *fai_guard_make(const fa_allocator *allocator, char *memory, size_t align, fai_note what,
                         char **block) {
    *block = what.block = fai_align_up(memory + FAI_NOTE_BYTES, align);
    what.magic = NOTE_MAGIC;
    fai_note *note = fai_note_of(what.block);
    fai_unpoison(note, sizeof *note);
    *note = what;
    fai_guard_dress(allocator, note, 0);
    fai_poison(note, sizeof *note);
    return note;
}

bool fai_guard_matches(fai_note *note, const char *block, size_t size) {
    fai_unpoison_defined(note, sizeof *note);
    bool same = note->magic == NOTE_MAGIC && note->block == block && note->size == size;
    fai_poison(note, sizeof *note);
    return same;
}

void fai_guard_open(fa_allocator *allocator, fai_note *note) {
    fai_unpoison_defined(note, sizeof *note);
    if (note->magic != NOTE_MAGIC)
        fai_report(allocator, FA_DIAG_FA606, FA_ERROR_CORRUPT, 0, 0, note);
}

void fai_guard_check(fa_allocator *allocator, const fai_note *note) {
    if ((allocator->checks & FA_CHECK_GUARD) == 0)
        return;
    const char *end = note->block + note->size;
    size_t rest = (size_t)(fai_note_end(note) - end);
    fai_unpoison_defined(end, rest);
    if (!fai_is_filled(end, FAI_FILL_GUARD, rest))
        fai_report_at(allocator, FA_DIAG_FA604, FA_ERROR_CORRUPT, note->size, 0, note->block,
                      note->site);
}

void fai_guard_bury(const fa_allocator *allocator, char *start, const char *used_end,
                    const char *end) {
    size_t used = (size_t)(used_end - start);
    fai_unpoison(start, used);
    if (allocator->checks & FA_CHECK_FILL)
        memset(start, FAI_FILL_DEAD, used);
    fai_poison(start, (size_t)(end - start));
}
