/* Pool memory: small objects that live until they are freed (entities, components, nodes).
 *
 * Sizes are rounded up to size classes; objects of one class share 64 KiB slabs, each owned by one
 * thread. A thread allocates from and frees into its own magazine, an array of addresses: no lock,
 * no atomic, the object itself is not touched. An object may be freed by any thread: another
 * thread's goes to its owner's queue. Larger requests fall through to the heap, freed by the same
 * calls.
 *
 * Blocks are aligned to 16, not initialised unless said otherwise (0xAB with FA_CHECK_FILL).
 * Failures return NULL and set fa_last_error: FA_ERROR_INVALID (size 0, too large, product wraps,
 * bad alignment, allocator NULL), FA_ERROR_NO_MEMORY (FA701), FA_ERROR_LIMIT (FA301, FA202),
 * FA_ERROR_SEALED (FA702). A failed call changes nothing. */
#ifndef FA_POOL_H
#define FA_POOL_H

#include "fa/allocator.h"
#include "fa/fast.h"

FA_EXTERN_C_BEGIN

/* Allocates size bytes. O(1), no lock; refilling the magazine may lock or call the backend. */
FA_API FA_RETURNS_BLOCK inline void *fa_pool_alloc(fa_allocator *allocator, size_t size);

/* The same at an address that is a multiple of align: a power of two up to FA_ALIGN_MAX. Up to 4
 * KiB served by a class whose size is a multiple of align, beyond by the heap. */
FA_API FA_RETURNS_BLOCK void *fa_pool_alloc_aligned(fa_allocator *allocator, size_t size,
                                                    size_t align);

/* The same for count elements of size bytes in one block, all zero. */
FA_API FA_RETURNS_BLOCK void *fa_pool_alloc_zeroed(fa_allocator *allocator, size_t count,
                                                   size_t size);

/* Allocates count separate blocks of size bytes and writes their addresses to blocks: all or none.
 * Returns FA_OK or why not; count 0 is FA_OK. */
FA_API fa_status fa_pool_alloc_batch(fa_allocator *allocator, size_t size, size_t count,
                                     void **blocks);

/* Frees a block that any of the above gave, from any thread. NULL is ignored. Misuse (FA601, FA602)
 * is reported where it is found, always with FA_CHECK_FREE, and changes nothing. */
FA_API void fa_pool_free(fa_allocator *allocator, void *block);

/* The same, faster, for callers that know the size they asked for. With FA_CHECK_FREE a size of
 * another class is reported (FA603), and the block is freed all the same. For blocks of
 * fa_pool_alloc_zeroed it is count * size. Not for blocks of fa_heap_alloc: without checks nobody
 * looks. */
FA_API inline void fa_pool_free_sized(fa_allocator *allocator, void *block, size_t size);

/* Frees count blocks; NULLs among them are ignored. */
FA_API void fa_pool_free_batch(fa_allocator *allocator, void *const *blocks, size_t count);

/* Size of the blocks that serve requests of size bytes. For sizes that fall through to the heap,
 * and with FA_CHECK_GUARD, the size itself; 0 for 0. Any thread, O(classes). */
FA_API size_t fa_pool_class_size(const fa_allocator *allocator, size_t size);

/* Typed forms: one object, an array in one block, a zeroed array, and the free for a pointer to one
 * object of the type that it points to. */
#define fa_pool_new(allocator, type)                                                               \
    ((type *)(FA_ALIGNOF(type) <= FA_ALIGN_MIN                                                     \
                  ? fa_pool_alloc((allocator), sizeof(type))                                       \
                  : fa_pool_alloc_aligned((allocator), sizeof(type), FA_ALIGNOF(type))))
#define fa_pool_array(allocator, type, count)                                                      \
    ((type *)fai_pool_array((allocator), (count), sizeof(type), FA_ALIGNOF(type)))
#define fa_pool_array_zeroed(allocator, type, count)                                               \
    ((type *)fai_pool_array_zeroed((allocator), (count), sizeof(type), FA_ALIGNOF(type)))
#define fa_pool_delete(allocator, object)                                                          \
    fa_pool_free_sized((allocator), (object), sizeof *(object))

/* ------------------------------------------------------------------------------------------------
 * Inline functions: the fast paths.
 * fa_pool_alloc succeeds here when the calling thread used this allocator last, the size belongs to
 * a class, and the thread has an object of it ready.
 * fa_pool_free_sized succeeds here when the calling thread used this allocator last, the size
 * belongs to the class of the object, the thread owns its slab, has room in its magazine, and is in
 * the tag that the object was allocated in. */

FA_API FA_COLD void *fai_pool_alloc_slow(fa_allocator *allocator, size_t size);
FA_API FA_COLD void fai_pool_free_slow(fa_allocator *allocator, void *block, size_t size);
FA_API void *fai_pool_array(fa_allocator *allocator, size_t count, size_t size, size_t align);
FA_API void *fai_pool_array_zeroed(fa_allocator *allocator, size_t count, size_t size,
                                   size_t align);

#ifdef FA_PREFETCH
/* The object that the allocation after the next will get; the array is hot, the objects are not. */
#define FAI_POOL_PREFETCH(slots, ready)                                                            \
    __builtin_prefetch((slots)[(ready) > 2 ? (ready)-3 : 0], 1, 3)
#else
#define FAI_POOL_PREFETCH(slots, ready) ((void)0)
#endif

inline void *fa_pool_alloc(fa_allocator *allocator, size_t size) {
    size_t bin = (size + (((size_t)1 << FAI_BIN_SHIFT) - 1)) >> FAI_BIN_SHIFT;
    if (FA_LIKELY(FAI_LOAD_RELAXED(&fai_slot.owner) == allocator && bin < FAI_BIN_COUNT)) {
        fai_magazine *magazine = FAI_LOAD_RELAXED(&fai_slot.view->magazine_of_bin[bin]);
        uint64_t state = magazine->state;
        size_t ready = FAI_READY(state);
        if (FA_LIKELY(ready != 0)) {
            void **slots = FAI_MAGAZINE_SLOTS(magazine);
            FAI_STORE_RELAXED(&magazine->state, state + (FAI_HANDED_OUT_ONE - 1));
            FAI_POOL_PREFETCH(slots, ready);
            return slots[ready - 1];
        }
    }
    return fai_pool_alloc_slow(allocator, size);
}

inline void fa_pool_free_sized(fa_allocator *allocator, void *block, size_t size) {
    size_t bin = (size + (((size_t)1 << FAI_BIN_SHIFT) - 1)) >> FAI_BIN_SHIFT;
    if (FA_LIKELY(FAI_LOAD_RELAXED(&fai_slot.owner) == allocator && block != NULL &&
                  bin < FAI_BIN_COUNT)) {
        const fai_pool_view *view = fai_slot.view;
        fai_magazine *magazine = FAI_LOAD_RELAXED(&view->magazine_of_bin[bin]);
        uint64_t state = magazine->state;
        size_t ready = FAI_READY(state);
        /* Only a size that belongs to a class has a magazine with room: from here on the block lies
         * in a segment. Each thread has its own magazine of each tag and class, so that one compare
         * tells that the slab is this thread's, of the tag that it is in, and the size right. */
        if (FA_LIKELY(ready < magazine->capacity)) {
            fai_slab_head *slab = FAI_SLAB_HEAD_OF(view, (uintptr_t)block);
            if (FA_LIKELY(FAI_LOAD_RELAXED(&slab->magazine) == magazine)) {
                FAI_MAGAZINE_SLOTS(magazine)[ready] = block;
                FAI_STORE_RELAXED(&magazine->state, state + 1);
                return;
            }
        }
    }
    fai_pool_free_slow(allocator, block, size);
}

FA_EXTERN_C_END

#include "fa/site.h"

#endif
