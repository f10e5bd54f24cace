/* What the inline functions of frame.h and pool.h look at: the first words of a thread's state.
 * Not for use by programs; the layout may change with every version (the configuration's cookie
 * finds out when program and library differ).
 *
 * Two tricks carry the fast paths:
 *  - "The limit is the only test." Whatever is rare (no frame open, chunk full, checks switched on)
 *    lowers the limit to the cursor, and in pools points the magazine table at an empty magazine,
 *    so that the one test of the fast path fails and the slow path finds out why.
 *  - A thread that is not attached has no allocator in its slot, so that the test for the right
 *    allocator covers it too. */
#ifndef FA_FAST_H
#define FA_FAST_H

#include "fa/diag.h"

FA_EXTERN_C_BEGIN

/* Plain moves for the machine, atomic for the language. */
#define FAI_ATOMIC(type) type
#define FAI_LOAD_RELAXED(pointer) __atomic_load_n((pointer), __ATOMIC_RELAXED)
#define FAI_LOAD_ACQUIRE(pointer) __atomic_load_n((pointer), __ATOMIC_ACQUIRE)
#define FAI_STORE_RELAXED(pointer, value) __atomic_store_n((pointer), (value), __ATOMIC_RELAXED)

/* The frame handle. Invariants while a frame is open: cursor is 16-aligned; cursor <= limit;
 * [cursor, limit) is free; limit - cursor is a multiple of 16. While none is open, cursor is
 * limit. */
typedef struct fa_frame {
    char *cursor;
    char *limit;
    uint64_t alloc_count;           /* by this thread; stays 0 with FA_MINIMAL */
    uint64_t alloc_count_base;      /* its value when the frame began */
    struct fai_thread_head *thread; /* whose frame this is */

    /* Marks. A frame that sets one ends through its slow path, so that these are as for a frame
     * without marks whenever one begins: FAI_NO_MARK, NULL, NULL. */
    const void *self;     /* FAI_SELF of the owning thread: who uses a mark compares */
    uint64_t mark_count;  /* the newest mark's serial; never lowered */
    uint64_t mark_newest; /* serial of the newest live mark, when a rewind to it has nothing
                           * to do but to set the cursor */
    char *mark_cursor;    /* where the newest live mark stands */
    char *high; /* highest cursor that a rewind left in this chunk, or lower: see fai_arena_peak */

    /* Phases. A frame with phases ends through its slow path too, which makes next and limit NULL;
     * with a clock they are always the same. */
    struct fai_phase_entry *phase_next;  /* goes here */
    struct fai_phase_entry *phase_limit; /* where begin and end must look closer */
    size_t phase_depth;                  /* open ones */
    uintptr_t phase_base;                /* cursor - phase_base == bytes used */
} fa_frame;

/* The begin or the end of a phase. */
typedef struct fai_phase_entry {
    const char *name; /* NULL: an end */
    size_t bytes;     /* used in the frame then */
    uint64_t alloc_count;
    uint64_t nanoseconds; /* time of day; only with a clock */
} fai_phase_entry;

/* As mark_newest: the next rewind takes the slow path, and so does the next mark. No mark has this
 * serial, and no memory that was cleared or filled. */
#define FAI_NO_MARK ((uint64_t)-0x5EED)

/* Objects of one class that a thread keeps ready; their addresses follow the structure.
 * state holds two numbers, so that one addition keeps both: in its low 16 bits how many objects are
 * ready, above them how many were handed out (0 with FA_MINIMAL; wraps after 2^48).
 * Invariant: local frees so far == handed out + flushed_count + ready - loaded_count. */
typedef struct fai_magazine {
    uint64_t state;
    size_t capacity;        /* 0: the magazine that is always empty and always full */
    uint64_t loaded_count;  /* objects put in from slabs */
    uint64_t flushed_count; /* objects given back to slabs */
    uint32_t class_index;
    uint32_t class_bytes;
} fai_magazine;
#define FAI_MAGAZINE_SLOTS(magazine) ((void **)(void *)((magazine) + 1))
#define FAI_READY(state) ((size_t)((state)&0xFFFF))
#define FAI_READY_MAX 32768
#define FAI_HANDED_OUT_SHIFT 16
#ifdef FA_MINIMAL
#define FAI_HANDED_OUT_ONE ((uint64_t)0)
#else
#define FAI_HANDED_OUT_ONE ((uint64_t)1 << FAI_HANDED_OUT_SHIFT)
#endif

#define FAI_SLAB_SHIFT 16
#define FAI_SLAB_STRIDE_SHIFT 6 /* 64 bytes from one slab's book-keeping to the next */
#define FAI_SLAB_STRIDE (1 << FAI_SLAB_STRIDE_SHIFT)
#define FAI_BIN_SHIFT 4
#define FAI_BIN_COUNT (8192 / 16 + 1)

/* The first words of a thread's state. */
typedef struct fai_thread_head {
    /* Cursor and limit of the next frame as it begins. start is atomic; NULL: begin and end must
     * look closer. */
    char *frame_start;
    char *frame_limit;
} fai_thread_head;

/* Where a thread finds its pool objects of one tag. */
typedef struct fai_pool_view {
    uintptr_t segment_mask; /* address & mask: the segment of a pool object */
    uintptr_t slab_mask;    /* address >> 10 & mask: from there to its slab's book-keeping */
    fai_magazine *magazine_of_bin[FAI_BIN_COUNT]; /* by (size + 15) / 16 */
} fai_pool_view;

/* The first words of the book-keeping of a slab. */
typedef struct fai_slab_head {
    fai_thread_head *owner; /* NULL: waits for adoption. Written by the owner or under the lock */
    fai_magazine *magazine; /* the owner's, of this tag and class; NULL: none, or no fast path */
} fai_slab_head;

/* Book-keeping of the slab that holds the object at address. */
#define FAI_SLAB_HEAD_OF(view, address)                                                            \
    ((fai_slab_head *)(((address) & (view)->segment_mask) +                                        \
                       ((address) >> (FAI_SLAB_SHIFT - FAI_SLAB_STRIDE_SHIFT) &                    \
                        (view)->slab_mask)))

/* No allocator has this address, not even NULL, so that one compare covers "not attached". */
#define FAI_NOBODY ((fa_allocator *)1)

/* What a thread keeps at hand. frame_owner and owner are also reset by a thread that destroys that
 * allocator. */
typedef struct fai_thread_slot {
    /* The allocator that the thread attached to first, and its frame: an address that needs no
     * look-up. In further allocators the frame is part of the thread's state. */
    fa_allocator *frame_owner; /* FAI_NOBODY until then */
    fa_frame frame;
    /* The allocator that the thread used last, its state in it, and the pool objects of the tag
     * that it is in there. */
    fa_allocator *owner; /* FAI_NOBODY until the first use */
    fai_thread_head *head;
    fai_pool_view *view;
    const fa_site *site; /* where the call in progress was written, when it says so (site.h) */
} __attribute__((aligned(64))) fai_thread_slot; /* see magazine_bytes in magazine.c */
FA_API extern __thread fai_thread_slot fai_slot __attribute__((tls_model("initial-exec")));

/* The calling thread, by a register where the compiler can. Where a program's can't and the
 * library's could, marks and phases take their slow paths. */
#if defined(__has_builtin)
#if __has_builtin(__builtin_thread_pointer)
#define FAI_SELF ((const void *)__builtin_thread_pointer())
#endif
#endif
#ifndef FAI_SELF
#define FAI_SELF ((const void *)&fai_slot)
#endif

FA_EXTERN_C_END

#endif
