/* Frame memory: one bump arena per thread, reset at once when the frame ends.
 *
 * Use it for whatever dies with the frame: contacts, draw lists, sort keys, strings to show. An
 * allocation is an add and a compare; nothing is freed one by one and no destructor runs (but see
 * fa/mark.h and fa/defer.h). What must live longer is copied to pool or heap memory before the end.
 *
 * Every call comes in two forms: fa_frame_x(allocator, ...) finds the calling thread's frame by
 * itself, fa_frame_x_in(frame, ...) takes the handle that begin returned and is faster. A
 * handle belongs to the thread that began it.
 *
 * All blocks are aligned to at least 16, not initialised unless said otherwise (0xAB with
 * FA_CHECK_FILL), and live until the end of the frame; with frames_in_flight N > 1, until N frames
 * have begun after it on that thread, or the thread detaches or exits. Failures return NULL, change
 * nothing, and set fa_last_error:
 *
 * - FA_ERROR_INVALID: size 0 or above FA_SIZE_MAX, a product that wraps, a bad alignment
 * - FA_ERROR_NO_FRAME: no frame is open (FA001)
 * - FA_ERROR_LIMIT: frame_bytes_max (FA003) or bytes_max (FA301) is reached
 * - FA_ERROR_NO_MEMORY: the backend refused (FA701)
 * - FA_ERROR_SEALED: it is sealed (FA702) */
#ifndef FA_FRAME_H
#define FA_FRAME_H

#include "fa/allocator.h"
#include "fa/fast.h"

FA_EXTERN_C_BEGIN

/* Opens a frame on the calling thread; attaches it when it is new.
 * Returns the handle, valid until the thread detaches (the same one for each frame), or NULL:
 * FA_ERROR_FRAME_OPEN (FA004; the open frame stays as it is. FA009 in a hook that a begin or an end
 * led to), FA_ERROR_NO_MEMORY, FA_ERROR_LIMIT (thread_count_max). O(1) without a lock, but for
 * objects that other threads freed meanwhile and that are taken in now, and for an arena that
 * changes its size. */
FA_API fa_frame *fa_frame_begin(fa_allocator *allocator);

/* Ends the calling thread's frame: its memory is dead (poisoned where a sanitizer runs).
 * Returns FA_OK, FA_ERROR_NO_FRAME (FA005), or FA_ERROR_FRAME_OPEN inside of one of its clean-ups
 * and of a hook that one of its calls led to (FA009); _in also FA_ERROR_INVALID for NULL and
 * FA_ERROR_FOREIGN (FA201) for another thread's handle. O(1) without a lock, but after a frame that
 * outgrew its chunk, and every frame_trim_after or pool_trim_after frames: then it may call the
 * backend. */
FA_API fa_status fa_frame_end(fa_allocator *allocator);
FA_API fa_status fa_frame_end_in(fa_frame *frame);

/* Ends the open frames of all threads, as each of them would with fa_frame_end: one boundary, where
 * the others are at rest: at a barrier, or joined. A thread whose frame was ended begins its next
 * one; its handle stays good for that.
 *
 *   on each thread: ... fa_barrier_signal_and_wait(barrier);
 *   on one of them: fa_frame_end_all(allocator);
 *   on each thread: fa_barrier_signal_and_wait(barrier); fa_frame_begin(allocator); ...
 *
 * Clean-ups, newest first of each frame, and hooks run on the calling thread; objects that were
 * retained are pool and heap blocks of the calling thread. What is due every so many frames (trims,
 * frees by other threads) is left to each thread's next begin.
 *
 * No other thread may be inside of a call on this allocator, attach, detach or exit meanwhile; that
 * they stand still must have been seen by the caller, as after a barrier. Where it shows that it is
 * not so: FA016, or FA009 for a thread inside of a clean-up, whose frame stays open.
 * Returns how many frames it has ended; 0 with FA_ERROR_INVALID for NULL, FA_ERROR_FRAME_OPEN
 * (FA009) inside of a clean-up or hook of the calling thread's frame, FA_ERROR_STATE (FA016) while
 * another call of it is under way. O(threads attached) and a lock, and what their frames have
 * registered: clean-ups, retained objects, promoted blocks, checks; not of allocations. */
FA_API size_t fa_frame_end_all(fa_allocator *allocator);

/* The calling thread's open frame, or NULL without reporting anything. */
FA_API fa_frame *fa_frame_current(fa_allocator *allocator);

/* What an open frame holds so far: bytes handed out, rounded up to 16, and allocations (0 with
 * FA_MINIMAL). 0 when none is open. */
FA_API size_t fa_frame_bytes(fa_allocator *allocator);
FA_API size_t fa_frame_bytes_in(const fa_frame *frame);
FA_API uint64_t fa_frame_count(fa_allocator *allocator);
FA_API uint64_t fa_frame_count_in(const fa_frame *frame);

/* Allocates size bytes. The handle must not be NULL: the fast path does not look. */
FA_API FA_RETURNS_BLOCK inline void *fa_frame_alloc(fa_allocator *allocator, size_t size);
FA_API FA_RETURNS_BLOCK inline void *fa_frame_alloc_in(fa_frame *frame, size_t size);

/* Allocates size bytes at an address that is a multiple of align: a power of two up to
 * FA_ALIGN_MAX; less than 16 counts as 16. */
FA_API FA_RETURNS_BLOCK void *fa_frame_alloc_aligned(fa_allocator *allocator, size_t size,
                                                     size_t align);
FA_API FA_RETURNS_BLOCK void *fa_frame_alloc_aligned_in(fa_frame *frame, size_t size, size_t align);

/* Allocates count elements of size bytes, side by side, in one step: the cost does not depend on
 * count. Counts as one allocation. */
FA_API FA_RETURNS_BLOCK inline void *fa_frame_alloc_batch(fa_allocator *allocator, size_t count,
                                                          size_t size);
FA_API FA_RETURNS_BLOCK inline void *fa_frame_alloc_batch_in(fa_frame *frame, size_t count,
                                                             size_t size);

/* The same, all zero. O(count * size). */
FA_API FA_RETURNS_BLOCK void *fa_frame_alloc_zeroed(fa_allocator *allocator, size_t count,
                                                    size_t size);
FA_API FA_RETURNS_BLOCK void *fa_frame_alloc_zeroed_in(fa_frame *frame, size_t count, size_t size);

/* Fallible form: *block gets the memory or NULL, the result says why.
 * FA_ERROR_INVALID also when block is NULL. */
FA_API fa_status fa_frame_try_alloc(fa_allocator *allocator, size_t size, size_t align,
                                    void **block);
FA_API fa_status fa_frame_try_alloc_in(fa_frame *frame, size_t size, size_t align, void **block);

/* Changes the size of a block of the open frame. The newest block grows and shrinks where it lies,
 * O(1), unless a mark (fa/mark.h) was set since; another one is copied when it grows, its alignment
 * kept up to a cache line; the old place stays unused until the end. block NULL allocates; size_new
 * 0 is FA_ERROR_INVALID. size_old: what was asked for. Returns NULL with the block untouched when
 * there is no room, or (FA002) when block does not lie in the frame. */
FA_API void *fa_frame_grow(fa_allocator *allocator, void *block, size_t size_old, size_t size_new)
    __attribute__((warn_unused_result));
FA_API void *fa_frame_grow_in(fa_frame *frame, void *block, size_t size_old, size_t size_new)
    __attribute__((warn_unused_result));

/* Copies size bytes, or a string with its terminator, into the frame. NULL is FA_ERROR_INVALID. */
FA_API FA_RETURNS_BLOCK void *fa_frame_copy(fa_allocator *allocator, const void *source,
                                            size_t size);
FA_API FA_RETURNS_BLOCK void *fa_frame_copy_in(fa_frame *frame, const void *source, size_t size);
FA_API FA_RETURNS_BLOCK char *fa_frame_copy_string(fa_allocator *allocator, const char *string);
FA_API FA_RETURNS_BLOCK char *fa_frame_copy_string_in(fa_frame *frame, const char *string);

/* Typed forms. The result is aligned for the type, whatever its alignment. new_2, new_4, new_8 give
 * an array of so many; new_8 starts on a cache line when it fills one. */
#define fa_frame_new(allocator, type) FAI_FRAME_TYPED(, allocator, type, 1, FA_ALIGNOF(type))
#define fa_frame_new_2(allocator, type) FAI_FRAME_TYPED(, allocator, type, 2, FA_ALIGNOF(type))
#define fa_frame_new_4(allocator, type) FAI_FRAME_TYPED(, allocator, type, 4, FA_ALIGNOF(type))
#define fa_frame_new_8(allocator, type) FAI_FRAME_TYPED(, allocator, type, 8, FAI_ALIGN_8(type))
#define fa_frame_array(allocator, type, count)                                                     \
    FAI_FRAME_TYPED(, allocator, type, count, FA_ALIGNOF(type))
#define fa_frame_array_zeroed(allocator, type, count)                                              \
    ((type *)fai_frame_zeroed((allocator), (count), sizeof(type), FA_ALIGNOF(type)))
#define fa_frame_new_in(frame, type) FAI_FRAME_TYPED(_in, frame, type, 1, FA_ALIGNOF(type))
#define fa_frame_new_2_in(frame, type) FAI_FRAME_TYPED(_in, frame, type, 2, FA_ALIGNOF(type))
#define fa_frame_new_4_in(frame, type) FAI_FRAME_TYPED(_in, frame, type, 4, FA_ALIGNOF(type))
#define fa_frame_new_8_in(frame, type) FAI_FRAME_TYPED(_in, frame, type, 8, FAI_ALIGN_8(type))
#define fa_frame_array_in(frame, type, count)                                                      \
    FAI_FRAME_TYPED(_in, frame, type, count, FA_ALIGNOF(type))
#define fa_frame_array_zeroed_in(frame, type, count)                                               \
    ((type *)fai_frame_zeroed_in((frame), (count), sizeof(type), FA_ALIGNOF(type)))

/* ------------------------------------------------------------------------------------------------
 * Inline functions: the fast paths.
 * fa_frame_alloc_in succeeds here when 0 < size and size, rounded up to 16, fits below the limit.
 * fa_frame_alloc also needs this allocator to be the first that the calling thread attached to. */

/* Slow paths: everything else. Return a block or NULL with the error set. */
FA_API FA_COLD void *fai_frame_alloc_slow(fa_frame *frame, size_t size);
FA_API FA_COLD void *fai_frame_alloc_find(fa_allocator *allocator, size_t size);
FA_API FA_COLD void *fai_frame_batch_slow(fa_frame *frame, size_t count, size_t size);
FA_API void *fai_frame_zeroed(fa_allocator *allocator, size_t count, size_t size, size_t align);
FA_API void *fai_frame_zeroed_in(fa_frame *frame, size_t count, size_t size, size_t align);
FA_API void *fai_frame_array(fa_allocator *allocator, size_t count, size_t size, size_t align);
FA_API void *fai_frame_array_in(fa_frame *frame, size_t count, size_t size, size_t align);

#ifdef FA_PREFETCH
/* The line after the block: the next allocation's, most likely. */
#define FAI_FRAME_PREFETCH(address) __builtin_prefetch((address), 1, 3)
#else
#define FAI_FRAME_PREFETCH(address) ((void)0)
#endif
#ifdef FA_MINIMAL
#define FAI_COUNT_FRAME(frame) ((void)0)
#else
#define FAI_COUNT_FRAME(frame) ((frame)->alloc_count++)
#endif

inline void *fa_frame_alloc_in(fa_frame *frame, size_t size) {
    size_t rounded = (size + (FA_ALIGN_MIN - 1)) & ~(FA_ALIGN_MIN - 1);
    char *block = frame->cursor;
    /* One compare for three cases: a rounded size of 0 (size 0, or so large that it wrapped)
     * becomes the largest number there is. */
    if (FA_UNLIKELY(rounded - 1 >= (size_t)(frame->limit - block)))
        return fai_frame_alloc_slow(frame, size);
    frame->cursor = block + rounded;
    FAI_COUNT_FRAME(frame);
    FAI_FRAME_PREFETCH(block + rounded);
    return block;
}

inline void *fa_frame_alloc(fa_allocator *allocator, size_t size) {
    if (FA_UNLIKELY(FAI_LOAD_RELAXED(&fai_slot.frame_owner) != allocator))
        return fai_frame_alloc_find(allocator, size);
    return fa_frame_alloc_in(&fai_slot.frame, size);
}

inline void *fa_frame_alloc_batch_in(fa_frame *frame, size_t count, size_t size) {
    size_t bytes;
    if (FA_UNLIKELY(__builtin_mul_overflow(count, size, &bytes)))
        return fai_frame_batch_slow(frame, count, size);
    return fa_frame_alloc_in(frame, bytes);
}

inline void *fa_frame_alloc_batch(fa_allocator *allocator, size_t count, size_t size) {
    size_t bytes;
    if (FA_UNLIKELY(__builtin_mul_overflow(count, size, &bytes)))
        bytes = SIZE_MAX; /* refused by the slow path */
    return fa_frame_alloc(allocator, bytes);
}

#define FAI_ALIGN_8(type)                                                                          \
    (sizeof(type) * 8 >= FA_CACHE_LINE && FA_ALIGNOF(type) < FA_CACHE_LINE ? FA_CACHE_LINE         \
                                                                           : FA_ALIGNOF(type))
#define FAI_FRAME_TYPED(in, where, type, count, align)                                             \
    ((type *)((align) <= FA_ALIGN_MIN                                                              \
                  ? fa_frame_alloc_batch##in((where), (count), sizeof(type))                       \
                  : fai_frame_array##in((where), (count), sizeof(type), (align))))

FA_EXTERN_C_END

#include "fa/site.h"

#endif
