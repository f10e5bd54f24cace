/* Shared objects: what stands before each, and finding it again. fa/internal/counts.h has the
 * counts and what they order. */
#include "fa/shared.h"

#include "fa/internal/callback.h"
#include "fa/internal/heap.h"
#include "fa/internal/poison.h"
#include "fa/internal/watch.h"
#include "fa/pool.h"

#include <string.h>

#if defined(__has_include)
#if __has_include(<sys/single_threaded.h>)
#include <sys/single_threaded.h>
#define FAI_IS_ALONE() (__libc_single_threaded != 0)
#endif
#endif
#include "fa/internal/counts.h"

/* Stands before the object. destroy comes first: the word that a free may write to. */
typedef struct fai_shared {
    fa_shared_destroy_fn *destroy;
    fai_counts counts;
    size_t size;     /* of the object */
    uint32_t offset; /* from the block to the object */
    uint32_t magic;
} fai_shared;
_Static_assert(sizeof(fai_shared) % FA_ALIGN_MIN == 0, "the object behind it is aligned");

#define PAGE_BYTES_MIN ((uintptr_t)4096) /* of any machine */

_Static_assert(FAI_COUNT_MAX == FA_SHARED_COUNT_MAX, "both say how many can be counted");

/* No two objects of a program have the same. */
static uint32_t magic_of(const fa_allocator *allocator, const void *object) {
    uint64_t mixed =
        ((uint64_t)(uintptr_t)object ^ (uint64_t)(uintptr_t)allocator << 7) * 0x9E3779B97F4A7C15ull;
    return (uint32_t)(mixed >> 32) | 1;
}

/* ---- finding ---- */

/* The same in a slab; that it lives is known of a watched allocator only. Under the lock. */
static bool is_in_slab(fa_allocator *allocator, const fai_slab *slab, const char *object) {
    if (slab->state == FAI_SLAB_FREE)
        return false;
    const char *first = fai_slab_objects(fai_slab_segment(allocator, slab), slab);
    size_t offset = object > first ? (size_t)(object - first) : 0;
    if (offset % slab->class_bytes < sizeof(fai_shared))
        return false;
    if (!allocator->watched)
        return true;
    const char *block = first + offset / slab->class_bytes * slab->class_bytes;
    fa_diag diag = fai_watch_free(allocator, slab, block, SIZE_MAX);
    return diag == FA_DIAG_NONE || diag == FA_DIAG_FA604; /* that is reported by its free */
}

/* Whether a live block of the heap begins where that of a shared object would. */
static bool is_in_heap(fa_allocator *allocator, uintptr_t object) {
    size_t offset = sizeof(fai_shared);
    do {
        if (object <= offset)
            return false;
        if (fai_heap_size(allocator, (const void *)(object - offset)) > offset)
            return true;
        offset = offset < FA_CACHE_LINE ? FA_CACHE_LINE : offset * 2;
    } while (offset <= FA_ALIGN_MAX && object % offset == 0);
    return false;
}

/* Whether an address lies in a live block, behind what stands before a shared object, so that this
 * may be read. */
FA_COLD static bool is_in_block(fa_allocator *allocator, const void *object) {
    fai_lock(allocator);
    const fai_slab *slab = fai_slab_lookup(allocator, object);
    bool lives = slab != NULL && is_in_slab(allocator, slab, (const char *)object);
    fai_unlock(allocator);
    return slab != NULL ? lives : is_in_heap(allocator, (uintptr_t)object);
}

/* Whether what stands before a live block, of whatever kind, may be anything, even missing: it
 * begins on another page. */
static inline bool is_first_of_page(const void *object) {
    return ((uintptr_t)object & (PAGE_BYTES_MIN - 1)) < sizeof(fai_shared);
}

FA_COLD static fa_status refuse(fa_allocator *allocator, const void *object) {
    return fai_report(allocator, FA_DIAG_FA650, FA_ERROR_FOREIGN, 0, 0, object);
}

/* What stands before an object that was not freed; NULL with the reason reported. */
static inline fai_shared *find(fa_allocator *allocator, const void *object) {
    if (FA_UNLIKELY(allocator == NULL || object == NULL)) {
        fai_fail(FA_ERROR_INVALID, 0);
        return NULL;
    }
    if (FA_LIKELY((!is_first_of_page(object) && (allocator->checks & FA_CHECK_FREE) == 0) ||
                  is_in_block(allocator, object))) {
        fai_shared *shared = (fai_shared *)(uintptr_t)object - 1;
        if (FA_LIKELY(FAI_LOAD_RELAXED(&shared->magic) == magic_of(allocator, object)))
            return shared;
    }
    (void)refuse(allocator, object);
    return NULL;
}

/* ---- objects ---- */

void *(fa_shared_alloc)(fa_allocator *allocator, size_t size, size_t align,
                        fa_shared_destroy_fn *destroy) {
    if (allocator == NULL || !fai_is_request(size, align)) {
        fai_fail(FA_ERROR_INVALID, size);
        return NULL;
    }
    size_t offset = align > sizeof(fai_shared) ? align : sizeof(fai_shared);
    char *block = (char *)fai_pool_alloc_own(allocator, offset + size, align);
    if (block == NULL)
        return NULL;
    void *object = block + offset;
    fai_shared *shared = (fai_shared *)object - 1;
    *shared = (fai_shared){.destroy = destroy,
                           .size = size,
                           .offset = (uint32_t)offset,
                           .magic = magic_of(allocator, object)};
    fai_counts_open(&shared->counts);
    return object;
}

/* Nobody knows the object any more. */
static void give_back(fa_allocator *allocator, fai_shared *shared) {
    char *block = (char *)(shared + 1) - shared->offset;
    size_t bytes = shared->offset + shared->size;
    FAI_STORE_RELAXED(&shared->magic, 0);
    (fa_pool_free_sized)(allocator, block, bytes);
}

/* The last owner has let go. */
static void end(fa_allocator *allocator, fai_shared *shared) {
    void *object = shared + 1;
    if (shared->destroy != NULL) {
        fai_callback outer = fai_callback_begin();
        shared->destroy(object);
        fai_callback_end(outer);
    }
    if (FA_UNLIKELY(allocator->watched) && !fai_counts_is_alone(&shared->counts)) {
        if (allocator->checks & FA_CHECK_FILL)
            memset(object, FAI_FILL_DEAD, shared->size);
        fai_poison(object, shared->size);
    }
    if (fai_counts_end(&shared->counts) == FAI_COUNTED_LAST)
        give_back(allocator, shared);
}

/* What a call returns that counted, or did not. */
static inline fa_status answer(fa_allocator *allocator, const void *object, fai_counted counted) {
    if (FA_LIKELY(counted <= FAI_COUNTED_LAST))
        return FA_OK;
    return counted == FAI_COUNTED_FULL ? fai_fail(FA_ERROR_FULL, 0) : refuse(allocator, object);
}

fa_status(fa_shared_hold)(fa_allocator *allocator, void *object) {
    fai_shared *shared = find(allocator, object);
    if (shared == NULL)
        return fa_last_error().status;
    return answer(allocator, object, fai_counts_hold(&shared->counts));
}

fa_status(fa_shared_release)(fa_allocator *allocator, void *object) {
    if (object == NULL)
        return allocator ? FA_OK : fai_fail(FA_ERROR_INVALID, 0);
    fai_shared *shared = find(allocator, object);
    if (shared == NULL)
        return fa_last_error().status;
    fai_counted counted = fai_counts_release(&shared->counts);
    if (counted == FAI_COUNTED_LAST)
        end(allocator, shared);
    return answer(allocator, object, counted);
}

size_t(fa_shared_count)(fa_allocator *allocator, const void *object) {
    const fai_shared *shared = find(allocator, object);
    uint64_t word = shared ? FAI_LOAD_RELAXED(&shared->counts.word) : 0;
    return fai_count_is_alive(word) ? fai_count_owners(word) : 0;
}

size_t(fa_shared_weak_count)(fa_allocator *allocator, const void *object) {
    const fai_shared *shared = find(allocator, object);
    return shared ? fai_count_weak(FAI_LOAD_RELAXED(&shared->counts.word)) : 0;
}

/* ---- weak references ---- */

fa_weak(fa_weak_make)(fa_allocator *allocator, void *object) {
    fa_weak weak = {NULL};
    fai_shared *shared = find(allocator, object);
    if (shared != NULL &&
        answer(allocator, object, fai_counts_weak_hold(&shared->counts, true)) == FA_OK)
        weak.object = object;
    return weak;
}

fa_status(fa_weak_hold)(fa_allocator *allocator, fa_weak weak) {
    fai_shared *shared = find(allocator, weak.object);
    if (shared == NULL)
        return fa_last_error().status;
    return answer(allocator, weak.object, fai_counts_weak_hold(&shared->counts, false));
}

void *(fa_weak_lock)(fa_allocator *allocator, fa_weak weak) {
    if (allocator != NULL && weak.object == NULL)
        return NULL;
    fai_shared *shared = find(allocator, weak.object);
    if (shared == NULL)
        return NULL;
    fai_counted counted = fai_counts_lock(&shared->counts);
    if (FA_UNLIKELY(counted == FAI_COUNTED_FULL))
        fai_fail(FA_ERROR_FULL, 0);
    return counted == FAI_COUNTED ? weak.object : NULL;
}

fa_status(fa_weak_release)(fa_allocator *allocator, fa_weak weak) {
    if (weak.object == NULL)
        return allocator ? FA_OK : fai_fail(FA_ERROR_INVALID, 0);
    fai_shared *shared = find(allocator, weak.object);
    if (shared == NULL)
        return fa_last_error().status;
    fai_counted counted = fai_counts_weak_release(&shared->counts);
    if (counted == FAI_COUNTED_LAST)
        give_back(allocator, shared);
    return answer(allocator, weak.object, counted);
}
