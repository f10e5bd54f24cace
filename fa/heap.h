/* Heap memory: lives until it is freed, for what is large or lives long (textures, meshes, levels).
 *
 * Blocks are cut from regions of some MiB, which grow together again when they are freed; the
 * largest are spans of their own. A table knows all of them: so leaks can be named and foreign
 * pointers refused. Small and frequent objects belong in pools. All calls: any thread, a short
 * lock; blocks may be freed by any thread. */
#ifndef FA_HEAP_H
#define FA_HEAP_H

#include "fa/allocator.h"

FA_EXTERN_C_BEGIN

/* Allocates size bytes, aligned to 16, contents undefined (0xAB with FA_CHECK_FILL).
 * Returns NULL when size is 0 or above FA_SIZE_MAX (FA_ERROR_INVALID), or the backend refused
 * (FA_ERROR_NO_MEMORY, FA_ERROR_LIMIT, FA_ERROR_SEALED); fa_last_error says which. */
FA_API FA_RETURNS_BLOCK void *fa_heap_alloc(fa_allocator *allocator, size_t size);

/* The same, aligned to align: a power of two up to FA_ALIGN_MAX. */
FA_API FA_RETURNS_BLOCK void *fa_heap_alloc_aligned(fa_allocator *allocator, size_t size,
                                                    size_t align);

/* The same for count elements of size bytes, all zero. A product that wraps is refused. */
FA_API FA_RETURNS_BLOCK void *fa_heap_alloc_zeroed(fa_allocator *allocator, size_t count,
                                                   size_t size);

/* Changes the size of a block, in place where possible; keeps contents and alignment. block NULL
 * allocates. Returns NULL with the block untouched when there is no memory, size is 0, or block is
 * not a live heap block of this allocator (FA601). */
FA_API void *fa_heap_realloc(fa_allocator *allocator, void *block, size_t size)
    __attribute__((warn_unused_result));

/* Frees a heap block. NULL is ignored. A pointer that is no live block, also one freed
 * before, is reported (FA601) and changes nothing. */
FA_API void fa_heap_free(fa_allocator *allocator, void *block);

/* A live heap block, as the visitor sees it. */
typedef struct fa_heap_block {
    const void *address;
    size_t size; /* as asked for */
    size_t align;
    uint64_t sequence; /* counts heap allocations of this allocator from 1 */
    fa_site site;      /* where fa_heap_... was called, when known */
    fa_tag tag;        /* what the calling thread was in then */
} fa_heap_block;

/* Calls visit for each live block, in no order. The visitor sees a copy taken before: it may
 * allocate and free. Returns how many there were. O(blocks), locks while copying; without memory
 * for the copy nothing is visited and SIZE_MAX is returned. */
FA_API size_t fa_heap_visit(fa_allocator *allocator,
                            void (*visit)(void *user, const fa_heap_block *block), void *user);

/* Typed: one object, an array, a zeroed array; free is fa_heap_free. */
#define fa_heap_new(allocator, type)                                                               \
    ((type *)fa_heap_alloc_aligned((allocator), sizeof(type), FA_ALIGNOF(type)))
#define fa_heap_array_zeroed(allocator, type, count)                                               \
    ((type *)fa_heap_alloc_zeroed((allocator), (count), sizeof(type)))

FA_EXTERN_C_END

#include "fa/site.h"

#endif
