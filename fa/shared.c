/* Shared objects: two counts in one word before the object.
 *
 * As in the control block of the standard library's shared_ptr, all owners together have one weak
 * reference: the block is freed with the last weak one, whoever that belongs to. Both counts stand
 * in one word, and every change is a compare and swap of it: so each is exact, there is no moment
 * at which a count is wrong and about to be corrected, and whoever sees no owner refuses. (Two
 * counters that are added to blindly cost the same while threads do not collide.)
 *
 * The owners' half goes from the number of owners to ENDING when the last lets go, and to 0 once
 * the destructor has returned; there the owners' weak reference is dropped in the same step. What
 * happens before what:
 *
 * - Hold: relaxed. The caller has a reference, so the object can't end meanwhile; how its pointer
 *   got to another thread is what orders that thread's use after this.
 * - Release: release, so that what this owner did comes before the destructor; acquire for the last
 *   one, which reads a value that all others have contributed to: a compare and swap reads the
 *   newest value, and a chain of them is one release sequence.
 * - Lock: acquire, so that what owners did who let go before is seen. It can't revive anything: it
 *   writes one owner more only over a value that has at least one.
 * - Dropping a weak reference: release, so that its reads of the word (and, for the owners', the
 *   destructor) come before the memory is freed; acquire for the last one, which frees it. */
#include "fa/shared.h"

#include "fa/internal/heap.h"
#include "fa/internal/poison.h"
#include "fa/internal/watch.h"
#include "fa/pool.h"

#include <string.h>

#if defined(__has_include)
#if __has_include(<sys/single_threaded.h>)
#include <sys/single_threaded.h>
#define IS_ALONE() (__libc_single_threaded != 0)
#endif
#endif
#ifndef IS_ALONE
#define IS_ALONE() false
#endif

/* Stands before the object. destroy comes first: the word that a free may write to. */
typedef struct fai_shared {
    fa_shared_destroy_fn *destroy;
    uint64_t counts; /* owners, and above them weak references; atomic */
    size_t size;     /* of the object */
    uint32_t offset; /* from the block to the object */
    uint32_t magic;
} fai_shared;
_Static_assert(sizeof(fai_shared) % FA_ALIGN_MIN == 0, "the object behind it is aligned");

#define ONE_OWNER ((uint64_t)1)
#define ONE_WEAK ((uint64_t)1 << 32)
#define ENDING ((uint32_t)0x80000000)

static uint32_t owners_of(uint64_t counts) { return (uint32_t)counts; }
static uint32_t weak_of(uint64_t counts) { return (uint32_t)(counts >> 32); }
static bool is_alive(uint64_t counts) { return owners_of(counts) - 1 < FA_SHARED_COUNT_MAX; }

/* While there is one thread, nobody can come between. */
#define SWAP(cas, pointer, expected, desired)                                                      \
    (IS_ALONE() ? (FAI_STORE_RELAXED((pointer), (desired)), true)                                  \
                : cas((pointer), (expected), (desired)))

/* No two objects of a program have the same. */
static uint32_t magic_of(const fa_allocator *allocator, const void *object) {
    uint64_t mixed =
        ((uint64_t)(uintptr_t)object ^ (uint64_t)(uintptr_t)allocator << 7) * 0x9E3779B97F4A7C15ull;
    return (uint32_t)(mixed >> 32) | 1;
}

/* ---- finding ---- */

/* Whether an address lies in a live block. Of a watched allocator. */
static bool is_in_block(fa_allocator *allocator, const void *object) {
    fai_lock(allocator);
    const fai_slab *slab = fai_slab_lookup(allocator, object);
    bool lives = false;
    if (slab != NULL && slab->state != FAI_SLAB_FREE) {
        const char *first = fai_slab_objects(fai_slab_segment(allocator, slab), slab);
        size_t offset = (size_t)((const char *)object - first);
        const char *block = first + offset / slab->class_bytes * slab->class_bytes;
        fa_diag diag = fai_watch_free(allocator, slab, block, SIZE_MAX);
        lives = diag == FA_DIAG_NONE || diag == FA_DIAG_FA604; /* that is reported by its free */
    }
    fai_unlock(allocator);
    return slab != NULL ? lives : fai_heap_owns(allocator, object);
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
    fai_shared *shared = (fai_shared *)(uintptr_t)object - 1;
    bool known = (allocator->checks & FA_CHECK_FREE) == 0 || is_in_block(allocator, object);
    if (FA_LIKELY(known && FAI_LOAD_RELAXED(&shared->magic) == magic_of(allocator, object)))
        return shared;
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
    char *block =
        (char *)(align <= FA_ALIGN_MIN ? (fa_pool_alloc)(allocator, offset + size)
                                       : (fa_pool_alloc_aligned)(allocator, offset + size, align));
    if (block == NULL)
        return NULL;
    void *object = block + offset;
    fai_shared *shared = (fai_shared *)object - 1;
    *shared = (fai_shared){destroy, ONE_WEAK | ONE_OWNER, size, (uint32_t)offset,
                           magic_of(allocator, object)};
    return object;
}

/* Nobody knows the object any more. */
static void give_back(fa_allocator *allocator, fai_shared *shared) {
    char *block = (char *)(shared + 1) - shared->offset;
    size_t bytes = shared->offset + shared->size;
    FAI_STORE_RELAXED(&shared->magic, 0);
    (fa_pool_free_sized)(allocator, block, bytes);
}

/* The last owner has let go: the counts say ENDING. */
static void end(fa_allocator *allocator, fai_shared *shared) {
    void *object = shared + 1;
    if (shared->destroy != NULL)
        shared->destroy(object);
    uint64_t counts = FAI_LOAD_ACQUIRE(&shared->counts);
    if (counts != (ONE_WEAK | ENDING)) { /* somebody will look at the counts again */
        if (allocator->watched) {
            if (allocator->checks & FA_CHECK_FILL)
                memset(object, FAI_FILL_DEAD, shared->size);
            fai_poison(object, shared->size);
        }
        while (!SWAP(FAI_CAS_ACQ_REL, &shared->counts, &counts, counts - ENDING - ONE_WEAK)) {
        }
    }
    if (weak_of(counts) == 1)
        give_back(allocator, shared);
}

fa_status(fa_shared_hold)(fa_allocator *allocator, void *object) {
    fai_shared *shared = find(allocator, object);
    if (shared == NULL)
        return fa_last_error().status;
    uint64_t counts = FAI_LOAD_RELAXED(&shared->counts);
    do {
        if (FA_UNLIKELY(!is_alive(counts)))
            return refuse(allocator, object);
        if (FA_UNLIKELY(owners_of(counts) == FA_SHARED_COUNT_MAX))
            return fai_fail(FA_ERROR_FULL, 0);
    } while (!SWAP(FAI_CAS_RELAXED, &shared->counts, &counts, counts + ONE_OWNER));
    return FA_OK;
}

fa_status(fa_shared_release)(fa_allocator *allocator, void *object) {
    if (object == NULL)
        return allocator ? FA_OK : fai_fail(FA_ERROR_INVALID, 0);
    fai_shared *shared = find(allocator, object);
    if (shared == NULL)
        return fa_last_error().status;
    uint64_t counts = FAI_LOAD_ACQUIRE(&shared->counts), next;
    /* Nobody else has any reference to it: nobody else can be changing the counts. */
    if (counts == (ONE_WEAK | ONE_OWNER)) {
        FAI_STORE_RELAXED(&shared->counts, ONE_WEAK | ENDING);
        end(allocator, shared);
        return FA_OK;
    }
    do {
        if (FA_UNLIKELY(!is_alive(counts)))
            return refuse(allocator, object);
        next = owners_of(counts) == 1 ? counts - ONE_OWNER + ENDING : counts - ONE_OWNER;
    } while (!SWAP(FAI_CAS_ACQ_REL, &shared->counts, &counts, next));
    if (owners_of(counts) == 1)
        end(allocator, shared);
    return FA_OK;
}

size_t(fa_shared_count)(fa_allocator *allocator, const void *object) {
    const fai_shared *shared = find(allocator, object);
    uint64_t counts = shared ? FAI_LOAD_RELAXED(&shared->counts) : 0;
    return is_alive(counts) ? owners_of(counts) : 0;
}

size_t(fa_shared_weak_count)(fa_allocator *allocator, const void *object) {
    const fai_shared *shared = find(allocator, object);
    uint64_t counts = shared ? FAI_LOAD_RELAXED(&shared->counts) : 0;
    return weak_of(counts) - (owners_of(counts) != 0); /* without the owners' */
}

/* ---- weak references ---- */

/* Adds a weak reference; owned: only while there is an owner. */
static fa_status add_weak(fa_allocator *allocator, void *object, bool owned) {
    fai_shared *shared = find(allocator, object);
    if (shared == NULL)
        return fa_last_error().status;
    uint64_t counts = FAI_LOAD_RELAXED(&shared->counts);
    do {
        if (FA_UNLIKELY(owned ? !is_alive(counts)
                              : weak_of(counts) - (owners_of(counts) != 0) == 0))
            return refuse(allocator, object);
        if (FA_UNLIKELY(weak_of(counts) > FA_SHARED_COUNT_MAX))
            return fai_fail(FA_ERROR_FULL, 0);
    } while (!SWAP(FAI_CAS_RELAXED, &shared->counts, &counts, counts + ONE_WEAK));
    return FA_OK;
}

fa_weak(fa_weak_make)(fa_allocator *allocator, void *object) {
    fa_weak weak = {add_weak(allocator, object, true) == FA_OK ? object : NULL};
    return weak;
}

fa_status(fa_weak_hold)(fa_allocator *allocator, fa_weak weak) {
    return add_weak(allocator, weak.object, false);
}

void *(fa_weak_lock)(fa_allocator *allocator, fa_weak weak) {
    if (allocator != NULL && weak.object == NULL)
        return NULL;
    fai_shared *shared = find(allocator, weak.object);
    if (shared == NULL)
        return NULL;
    uint64_t counts = FAI_LOAD_RELAXED(&shared->counts);
    do {
        if (!is_alive(counts))
            return NULL;
        if (FA_UNLIKELY(owners_of(counts) == FA_SHARED_COUNT_MAX)) {
            fai_fail(FA_ERROR_FULL, 0);
            return NULL;
        }
    } while (!SWAP(FAI_CAS_ACQUIRE, &shared->counts, &counts, counts + ONE_OWNER));
    return weak.object;
}

fa_status(fa_weak_release)(fa_allocator *allocator, fa_weak weak) {
    if (weak.object == NULL)
        return allocator ? FA_OK : fai_fail(FA_ERROR_INVALID, 0);
    fai_shared *shared = find(allocator, weak.object);
    if (shared == NULL)
        return fa_last_error().status;
    uint64_t counts = FAI_LOAD_ACQUIRE(&shared->counts);
    do {
        if (FA_UNLIKELY(weak_of(counts) - (owners_of(counts) != 0) == 0))
            return refuse(allocator, weak.object);
    } while (!SWAP(FAI_CAS_ACQ_REL, &shared->counts, &counts, counts - ONE_WEAK));
    if (counts == ONE_WEAK)
        give_back(allocator, shared);
    return FA_OK;
}
