/* The heap as other parts see it. */
#ifndef FAI_HEAP_H
#define FAI_HEAP_H

#include "fa/internal/allocator.h"

/* Allocates a heap block; size and align are checked. NULL with the reason reported. */
void *fai_heap_take(fa_allocator *allocator, size_t size, size_t align);

/* The same for a block that the pool counts in bin_heap_count until it is freed. */
void *fai_heap_take_small(fa_allocator *allocator, size_t size, size_t align, uint16_t bin);

/* Notes that a block of the program lies in a heap block, so many bytes from its start: a power of
 * two from offset_first, the smallest, to FA_ALIGN_MAX; and finds the one that such a block lies
 * in, or NULL. */
void fai_heap_capture(fa_allocator *allocator, void *block, size_t offset);
void *fai_heap_captured(fa_allocator *allocator, const void *address, size_t offset_first);

/* The public calls, for a tag; they check size and align. */
void *fai_heap_alloc(fa_allocator *allocator, size_t size, size_t align, fa_tag tag);
void *fai_heap_zeroed(fa_allocator *allocator, size_t count, size_t size, fa_tag tag);

/* Frees a heap block; reports FA601 when it is none. size SIZE_MAX: not given. */
void fai_heap_give(fa_allocator *allocator, void *block, size_t size);

/* Usable size of a live heap block, 0 when it is none. */
size_t fai_heap_usable(fa_allocator *allocator, const void *block);

/* Size of a live heap block as it was asked for, 0 when it is none. */
size_t fai_heap_size(fa_allocator *allocator, const void *block);

/* Answers whether an address lies in a live heap block. O(blocks). */
bool fai_heap_owns(fa_allocator *allocator, const void *pointer);

bool fai_heap_create(fa_allocator *allocator);
/* Frees every block and the table. */
void fai_heap_destroy(fa_allocator *allocator);
const void *fai_heap_validate(fa_allocator *allocator);

#endif
