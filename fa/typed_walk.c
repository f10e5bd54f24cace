/* Typed pools: going through the live objects. */
#include "fa/internal/typed.h"

/* Live objects side by side that are worth stepping through without a look at their bits. */
#define LONG_RUN ((size_t)16)

/* Where an object lies or lay: position of its slab, its index there. Of one whose slab is gone,
 * the position of the next and false. */
static bool place_of(const fa_typed_pool *pool, const void *item, size_t *position, size_t *index) {
    *position = fai_typed_above(pool, item);
    if (*position == 0)
        return false;
    const fai_typed_slab *slab = pool->directory.slabs[*position - 1];
    size_t offset = (size_t)((uintptr_t)item - (uintptr_t)slab);
    if (offset >= slab->bytes)
        return false;
    *position -= 1;
    *index = (offset - slab->objects_at) / pool->stride;
    return true;
}

/* The first index from `from` on whose bit is the same as in wanted, all 0 or all 1; or the slots
 * of the words. */
static size_t seek(const fai_typed_slab *slab, size_t from, uint64_t wanted) {
    size_t word = from / 64;
    if (word >= slab->word_count)
        return slab->word_count * (size_t)64;
    uint64_t bits = (slab->live[word] ^ ~wanted) & UINT64_MAX << from % 64;
    while (bits == 0) {
        word++;
        if (word == slab->word_count)
            return word * 64;
        bits = slab->live[word] ^ ~wanted;
    }
    return word * 64 + (size_t)__builtin_ctzll(bits);
}

/* ---- one by one ---- */

const uint64_t *fai_typed_walk_begin(const fa_typed_pool *pool, size_t size) {
    if (pool != NULL && size == pool->stride)
        return &pool->release_count;
    fai_fail(FA_ERROR_INVALID, size);
    return NULL;
}

fai_typed_step fai_typed_walk_on(const uint64_t *released, const char *item) {
    const fa_typed_pool *pool =
        (const fa_typed_pool *)((uintptr_t)released - offsetof(fa_typed_pool, release_count));
    size_t position, index = 0;
    if (place_of(pool, item, &position, &index))
        index++;
    for (; position < pool->slab_count; position++, index = 0) {
        const fai_typed_slab *slab = pool->directory.slabs[position];
        size_t first = seek(slab, index, UINT64_MAX);
        if (first >= slab->capacity)
            continue;
        size_t end = seek(slab, first, 0);
        end = end < slab->capacity ? end : slab->capacity;
        end = end - first < LONG_RUN ? first + 1 : end;
        char *objects = (char *)(uintptr_t)slab + slab->objects_at;
        fai_typed_step step = {objects + first * pool->stride, objects + end * pool->stride,
                               objects + (end & ~(size_t)63) * pool->stride, 0};
        if (end % 64 != 0) /* else the run ends with its word */
            step.bits = slab->live[end / 64] & UINT64_MAX << end % 64;
        return step;
    }
    return (fai_typed_step){NULL, NULL, NULL, 0};
}

/* ---- in runs ---- */

/* Writes the first run from there on. */
static bool run_from(const fa_typed_pool *pool, size_t position, size_t index, fa_typed_run *run) {
    for (; position < pool->slab_count; position++, index = 0) {
        const fai_typed_slab *slab = pool->directory.slabs[position];
        size_t first = seek(slab, index, UINT64_MAX);
        if (first >= slab->capacity)
            continue;
        size_t end = seek(slab, first, 0);
        end = end < slab->capacity ? end : slab->capacity;
        run->items = (char *)(uintptr_t)slab + slab->objects_at + first * pool->stride;
        run->count = end - first;
        run->position = position;
        run->index = end;
        run->version = pool->moved;
        return true;
    }
    *run = (fa_typed_run){0};
    return false;
}

bool fa_typed_pool_next_run(const fa_typed_pool *pool, fa_typed_run *run) {
    if (pool == NULL || run == NULL) {
        if (run != NULL)
            *run = (fa_typed_run){0};
        fai_fail(FA_ERROR_INVALID, 0);
        return false;
    }
    if (run->count == 0)
        return run_from(pool, 0, 0, run);
    if (FA_LIKELY(run->version == pool->moved))
        return run_from(pool, run->position, run->index, run);
    size_t position, index;
    const char *last = (const char *)run->items + (run->count - 1) * pool->stride;
    if (!place_of(pool, last, &position, &index))
        return run_from(pool, position, 0, run);
    return run_from(pool, position, index + 1, run);
}
