/* Numbers of bumped memory, who is inside of it, and whether it is in order. */
#include "fa/internal/allocator.h"
#include "fa/internal/bump.h"

/* The cursor that a move wrote comes with base 0 (bump.c): so where base was the same before and
 * after, the cursor is of that time, or of the next with the same base. */
size_t fai_bump_used(const fai_bump *bump) {
    for (int i = 0; i < 1000; i++) {
        uintptr_t base = FAI_LOAD_ACQUIRE(&bump->base);
        uintptr_t cursor = (uintptr_t)FAI_LOAD_ACQUIRE(&bump->head.cursor);
        if (base != 0 && base == FAI_LOAD_RELAXED(&bump->base))
            return cursor - base;
    }
    return FAI_LOAD_RELAXED(&bump->plan.peak);
}

size_t fai_bump_peak(const fai_bump *bump) {
    size_t peak = FAI_LOAD_RELAXED(&bump->plan.peak), before = FAI_LOAD_RELAXED(&bump->peak_before);
    size_t used = fai_bump_used(bump);
    peak = peak > before ? peak : before;
    return peak > used ? peak : used;
}

static size_t size_of(const fai_bump_chunk *chunk) {
    return (size_t)(chunk->end - fai_bump_start(chunk));
}

bool fai_bump_enter(fai_bump *bump, bool *entered) {
    const void *seen = NULL;
    *entered = false;
    /* Who uses it in turns sees to their order. It is there to find out who does not. Acquire: from
     * fai_roster_give. */
    while (!FAI_CAS_ACQUIRE(&bump->user, &seen, (const void *)&fai_slot)) {
        if (seen == &fai_slot)
            return true;
        if (seen == NULL)
            continue;
        fai_report(bump->allocator, FA_DIAG_FA611, FA_ERROR_FOREIGN, 0, 0, bump);
        return false;
    }
    *entered = true;
    return true;
}

void fai_bump_leave(fai_bump *bump, uint64_t serial, bool entered) {
    if (entered && FAI_LOAD_RELAXED(&bump->head.serial) == serial)
        FAI_STORE_RELAXED(&bump->user, NULL);
}

static bool holds(const fai_bump_chunk *chunk, const void *pointer) {
    return (const char *)pointer >= fai_bump_start(chunk) && (const char *)pointer <= chunk->end;
}

const void *fai_bump_validate(const fai_bump *bump) {
    const fai_bump_chunk *current = bump->current;
    size_t held = 0, alone = 0;
    for (const fai_bump_chunk *chunk = current; chunk; held += size_of(chunk), chunk = chunk->next)
        if (chunk->end <= fai_bump_start(chunk))
            return chunk;
    for (const fai_bump_chunk *chunk = bump->kept; chunk; chunk = chunk->next)
        held += size_of(chunk);
    for (const fai_bump_chunk *chunk = bump->alone; chunk; chunk = chunk->next)
        alone += size_of(chunk);
    if (held + alone != bump->held || alone != bump->alone_bytes)
        return bump;
    char *cursor = bump->head.cursor, *limit = bump->head.limit;
    if (current ? !holds(current, cursor) || limit > current->end : cursor != limit)
        return cursor;
    if (limit < cursor || (limit - cursor) % (ptrdiff_t)FA_ALIGN_MIN != 0)
        return cursor;
    size_t before = current ? current->before + alone : alone;
    if ((uintptr_t)cursor - bump->base !=
        before + (current ? (size_t)(cursor - fai_bump_start(current)) : 0))
        return &bump->base;
    uint64_t newer = UINT64_MAX;
    for (const fai_bump_level *level = bump->level; level; level = level->older) {
        if (level->serial >= newer || !holds(level->chunk, level))
            return level;
        newer = level->serial;
    }
    return NULL;
}
