/* Shared objects: pool objects with several owners, freed by whoever gives them up last.
 *
 *     texture *stone = fa_shared_new(memory, texture, texture_close);
 *     fa_shared_hold(memory, stone);        another owner
 *     fa_weak seen = fa_weak_make(memory, stone);
 *     fa_shared_release(memory, stone);
 *     fa_shared_release(memory, stone);     the last: texture_close runs, here
 *     fa_weak_lock(memory, seen);           NULL
 *     fa_weak_release(memory, seen);        the memory goes back to the pool
 *
 * The pointer to the object is the handle; what counts its owners stands before it, 32 bytes or the
 * object's alignment, whichever is more. A weak reference owns nothing, but may be asked for the
 * object: it says NULL from the moment at which the last owner let go. Memory is freed when there
 * is neither an owner nor a weak reference left; from the end of the destructor until then it is
 * poisoned where a sanitizer runs, and filled with 0xCD under FA_CHECK_FILL.
 *
 * All calls are for any thread, without a lock; the object may be passed to another thread as any
 * memory may. What an owner did to the object before its release is seen by the destructor, and by
 * whoever gets the object from fa_weak_lock after that. Who holds an object through somebody else's
 * reference must know that this one is not released meanwhile; that is what weak references are
 * for.
 *
 * Misuse is refused and reported (FA650) where it can be seen: always while weak references are
 * left, always with FA_CHECK_FREE (which takes a lock), else as long as the memory is not used
 * again. Objects that are alive when the allocator is destroyed are reported as other pool objects
 * are; their destructors do not run. */
#ifndef FA_SHARED_H
#define FA_SHARED_H

#include "fa/allocator.h"

FA_EXTERN_C_BEGIN

/* Most owners, and most weak references, that an object can have. */
#define FA_SHARED_COUNT_MAX ((uint32_t)0x7FFFFFFF)

/* A destructor. Runs on the thread that gave the object up last, inside of that call, with no lock
 * held: it may do what it likes but hold, release or make weak references to this object. Where
 * objects own each other in a long row, the end of the first calls those of all, nested. */
typedef void fa_shared_destroy_fn(void *object);

/* ---- objects ---- */

/* Allocates an object of size bytes at a multiple of align, a power of two up to FA_ALIGN_MAX (less
 * than 16 counts as 16), with one owner. Contents as of fa_pool_alloc. destroy: may be NULL.
 * Returns NULL as fa_pool_alloc_aligned. */
FA_API FA_RETURNS_BLOCK void *fa_shared_alloc(fa_allocator *allocator, size_t size, size_t align,
                                              fa_shared_destroy_fn *destroy);
#define fa_shared_new(allocator, type, destroy)                                                    \
    ((type *)fa_shared_alloc((allocator), sizeof(type), FA_ALIGNOF(type), (destroy)))

/* Adds an owner. Returns FA_OK; FA_ERROR_INVALID for NULL, FA_ERROR_FOREIGN (FA650) for what is no
 * shared object of this allocator, or none any more, FA_ERROR_FULL with FA_SHARED_COUNT_MAX owners:
 * then there is nothing to release. O(1). */
FA_API fa_status fa_shared_hold(fa_allocator *allocator, void *object);

/* Takes an owner away; with the last one the destructor runs. NULL is ignored (FA_OK).
 * Returns FA_OK or FA_ERROR_FOREIGN as above, FA_ERROR_INVALID without an allocator: then nothing
 * changes. O(1) and the destructor. */
FA_API fa_status fa_shared_release(fa_allocator *allocator, void *object);

/* Owners, and weak references, at some moment during the call; 0 for NULL (FA_ERROR_INVALID) and
 * for what is refused as above. */
FA_API size_t fa_shared_count(fa_allocator *allocator, const void *object);
FA_API size_t fa_shared_weak_count(fa_allocator *allocator, const void *object);

/* ---- weak references ---- */

/* A weak reference. A value, but each one that was made is to be released once. All zero: none. */
typedef struct fa_weak {
    void *object; /* not to be used: see fa_weak_lock */
} fa_weak;

/* Makes a weak reference to an object that the caller owns. Returns none where fa_shared_hold would
 * fail, with the same errors. O(1). */
FA_API fa_weak fa_weak_make(fa_allocator *allocator, void *object);

/* Makes another weak reference to the same object, alive or not. Returns FA_OK and errors as above;
 * for none FA_ERROR_INVALID. O(1). */
FA_API fa_status fa_weak_hold(fa_allocator *allocator, fa_weak weak);

/* The object, with the caller as another owner who is to release it; NULL, without a report, when
 * it has none any more (its destructor may still be running), and for none. With
 * FA_SHARED_COUNT_MAX owners NULL and FA_ERROR_FULL; FA_ERROR_FOREIGN (FA650) where the reference
 * was released before and that can be seen. O(1). */
FA_API void *fa_weak_lock(fa_allocator *allocator, fa_weak weak);
#define fa_weak_lock_as(allocator, weak, type) ((type *)fa_weak_lock((allocator), (weak)))

/* Ends a weak reference. None is ignored (FA_OK). Returns FA_OK; FA_ERROR_FOREIGN (FA650) when
 * there is none left to end, FA_ERROR_INVALID without an allocator. O(1). */
FA_API fa_status fa_weak_release(fa_allocator *allocator, fa_weak weak);

FA_EXTERN_C_END

#define FAI_SHARED_DECLARED
#include "fa/site.h"

#endif
