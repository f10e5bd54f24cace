/* What vectors (vec.h), maps (map.h), texts (text.h) and rings (ring.h) have in common.
 *
 * A collection is a small structure of yours that points into frame memory. FA_VEC, FA_MAP and
 * FA_RING make one type and its functions for your element type:
 *
 *     FA_VEC(contact_vec, contact)                               once, in a header or a source
 *     contact_vec contacts = contact_vec_make_in(frame, 500);    in each frame
 *     contact_vec_push(&contacts, found);
 *
 * Capacity. A number other than 0 is fixed: so many elements always fit, and the next one is
 * FA_ERROR_FULL. With 0 it grows: without a copy while it is the newest block of the frame, else
 * into twice the memory (the old place stays unused until the end of the frame). A ring is always
 * fixed.
 *
 * Results. "Full", "there already" and "not found" are answers: no event is sent and the thread's
 * last error stays as it is. A refusal (no memory, a limit, sealed, no frame) is a status of
 * frame.h, reported as there. After any answer but FA_OK the collection is as it was.
 *
 * A make that is refused returns {0}. A collection of all zero bytes is valid everywhere: empty,
 * full, and it finds nothing. name_is_made tells it from an empty one.
 *
 * Lifetime. The elements die with the frame, like all its memory (poisoned where a sanitizer runs);
 * there is no destroy. What grew after a mark was set is gone when the frame is rewound to the
 * mark: reserve before, or do not use it afterwards. Copying the structure copies the reference:
 * push through one copy only.
 *
 * Elements are plain data that can be assigned: they are moved byte by byte, set with = and no
 * destructor runs. C++ checks that they are trivially copyable and assignable; a structure with a
 * const member or a reference is not, and an array has to stand in a structure. Any alignment is
 * honoured. Pointers to elements hold until the collection grows, inserts or removes.
 *
 * Threads. A collection belongs to one thread at a time. Others may read it while nobody writes;
 * only the frame's own thread may make it or let it grow. */
#ifndef FA_COLLECTION_H
#define FA_COLLECTION_H

#include "fa/frame.h"

FA_EXTERN_C_BEGIN

/* Functions that the macros make, where not all are used. */
#define FAI_MADE __attribute__((unused)) static inline
/* In these the address of the collection would leave the caller's registers with a call. */
#define FAI_MADE_INLINE __attribute__((unused, always_inline)) static inline
#ifdef __cplusplus
#define FAI_PLAIN_DATA(type)                                                                       \
    static_assert(__is_trivially_copyable(type), "elements are moved byte by byte");               \
    static_assert(__is_assignable(type &, type const &), "elements are set with =");
#else
#define FAI_PLAIN_DATA(type) _Static_assert(sizeof(type) != 0, "elements must have a size");
#endif

/* Two of these, and gcc does not join the fields in a vector register, to take them apart again
 * each time that one is needed. */
#define FAI_APART(field) __asm__("" : "+r"(field))

/* Memory for capacity elements; items NULL: none. */
typedef struct fai_room {
    void *items;
    size_t capacity;
    fa_frame *frame; /* where it may grow; NULL: fixed, or refused */
} fai_room;

/* Room as it grew; items NULL: refused, and why. */
typedef struct fai_growth {
    void *items;
    union {
        size_t capacity;
        fa_status status;
    } as;
} fai_growth;

/* Room for capacity elements of size bytes; capacity 0: none yet, but it may grow. Refused: all
 * zero, with the error set. */
FA_API fai_room fai_room_make(fa_allocator *allocator, size_t capacity, size_t size, size_t align);
FA_API fai_room fai_room_make_in(fa_frame *frame, size_t capacity, size_t size, size_t align);

/* Room for need elements or more; need 0: for one more, a constant where pushes are inlined. frame
 * NULL: FA_ERROR_FULL. By value and not by reference, so that a collection in a local variable can
 * stay in registers. */
FA_API FA_COLD fai_growth fai_room_grow(fa_frame *frame, void *items, size_t capacity, size_t need,
                                        size_t size, size_t align);

/* The calling thread's open frame, or NULL with the error set; the frame itself, or likewise. */
FA_API fa_frame *fai_room_frame(fa_allocator *allocator);
FA_API fa_frame *fai_room_frame_in(fa_frame *frame);

/* count + extra, or the largest number there is, which no request passes. */
static inline size_t fai_room_sum(size_t count, size_t extra) {
    size_t sum;
    return __builtin_add_overflow(count, extra, &sum) ? SIZE_MAX : sum;
}

FA_EXTERN_C_END

#define FAI_COLLECTION_DECLARED
#include "fa/site.h"

#endif
