#include "fa/internal/watch.h"

#include "fa/internal/poison.h"

#include <string.h>

#define GUARD_MAGIC ((uint64_t)0xFA6A7DB10CE5ull << 16)

void *fai_watch_fresh(const fa_allocator *allocator, void *object, size_t size,
                      size_t class_bytes) {
    char *bytes = (char *)object;
    fai_unpoison(bytes, class_bytes);
    if (allocator->checks & FA_CHECK_FILL)
        memset(bytes, FAI_FILL_FRESH, size);
    if (fai_has_guard(allocator)) {
        uint64_t note = GUARD_MAGIC ^ size;
        memset(bytes + size, FAI_FILL_GUARD, class_bytes - sizeof note - size);
        memcpy(bytes + class_bytes - sizeof note, &note, sizeof note);
    }
    fai_unpoison(bytes, size);
    fai_poison(bytes + size, class_bytes - size);
    return object;
}

/* Size that was asked for, from the note at the end of a guarded object; SIZE_MAX when the note or
 * the guard is damaged. */
static size_t guarded_size(const void *object, size_t class_bytes) {
    const char *bytes = (const char *)object;
    uint64_t note;
    fai_unpoison_defined(bytes + class_bytes - sizeof note, sizeof note);
    memcpy(&note, bytes + class_bytes - sizeof note, sizeof note);
    size_t size = (size_t)(note ^ GUARD_MAGIC);
    if (size > class_bytes - FAI_GUARD_BYTES)
        return SIZE_MAX;
    size_t guard_bytes = class_bytes - sizeof note - size;
    fai_unpoison_defined(bytes + size, guard_bytes);
    bool whole = fai_is_filled(bytes + size, FAI_FILL_GUARD, guard_bytes);
    fai_poison(bytes + size, class_bytes - size);
    return whole ? size : SIZE_MAX;
}

void fai_watch_dead(const fa_allocator *allocator, void *object, size_t class_bytes) {
    fai_unpoison(object, class_bytes);
    if (allocator->checks & FA_CHECK_FILL)
        memset(object, FAI_FILL_DEAD, class_bytes);
    fai_poison(object, class_bytes);
}

/* FA_DIAG_NONE for the address of a live object of a watched allocator. Under the lock. */
static fa_diag examine_address(const fa_allocator *allocator, const fai_slab *slab,
                               const void *object) {
    uint32_t index;
    if (slab->state == FAI_SLAB_FREE)
        return FA_DIAG_FA602;
    if (!fai_slab_locate(allocator, slab, object, &index))
        return FA_DIAG_FA601;
    const uint64_t *bits = fai_slab_bits(fai_slab_segment(allocator, slab), slab);
    return bits[index / 64] >> index % 64 & 1 ? FA_DIAG_FA602 : FA_DIAG_NONE;
}

fa_diag fai_watch_free(const fa_allocator *allocator, const fai_slab *slab, const void *object,
                       size_t size) {
    fa_diag diag = examine_address(allocator, slab, object);
    if (diag != FA_DIAG_NONE)
        return diag;
    if (fai_has_guard(allocator)) {
        size_t real = guarded_size(object, slab->class_bytes);
        if (real == SIZE_MAX)
            return FA_DIAG_FA604;
        return size == SIZE_MAX || size == real ? FA_DIAG_NONE : FA_DIAG_FA603;
    }
    bool same = size == SIZE_MAX || (size <= slab->class_bytes && size != 0);
    return same ? FA_DIAG_NONE : FA_DIAG_FA603;
}

size_t fai_watch_usable(const fa_allocator *allocator, const fai_slab *slab, const void *object) {
    if (examine_address(allocator, slab, object) != FA_DIAG_NONE)
        return 0;
    size_t size = slab->class_bytes;
    if (fai_has_guard(allocator))
        size = guarded_size(object, size);
    else
        fai_unpoison_defined(object, size);
    return size == SIZE_MAX ? 0 : size;
}
