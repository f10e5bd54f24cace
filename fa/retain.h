/* Retained objects: frame memory that outlives its frame where that turns out to be needed.
 *
 *     fa_retained kept = fa_frame_retain_new_in(frame, path, fa_retain_to_pool());
 *     path *found = fa_retained_as(memory, kept, path);    frame memory
 *     fa_frame_end_in(frame);
 *     found = fa_retained_as(memory, kept, path);          pool memory, with the same contents
 *     fa_retained_release(memory, kept);
 *
 * A retained object is frame memory with a policy that says what becomes of it when its frame ends.
 * Those that are to be kept are copied then, before anything of the frame dies, oldest first: bytes
 * as they are, with their size and alignment, accounted to the tag that the thread was in when they
 * were retained. Budgets, limits and a seal apply. One that can't be kept is reported (FA012, its
 * frame memory can still be read in the hook); the others are kept and the frame ends all the same.
 *
 * An object is named by a handle. It resolves to the frame's memory while the frame is open, to
 * the new place after that (also where frames_in_flight keeps the old one readable), and to NULL
 * once it was discarded, failed, taken or released. Handles are never used again: an old one, one
 * of another allocator and one of all zero are refused (FA_ERROR_FOREIGN).
 *
 * A rewind to a mark that is older than the retaining drops the object as it drops all other frame
 * memory. Clean-ups (fa/defer.h) run before objects are kept, and may change them; from the first
 * copy on until the frame has ended, nothing more can be retained (FA009). A thread that detaches
 * or exits with an open frame ends it: its objects are kept. They are discarded when the allocator
 * is destroyed. What was kept and not taken is freed then, and is no leak. After a fork, in the
 * child, frames of threads that are gone never end: their objects stay where they are.
 *
 * A frame that retains nothing pays nothing. Retaining belongs to the thread of the frame; handles
 * may be used on any thread, but what they resolve to while the frame is open is its memory. */
#ifndef FA_RETAIN_H
#define FA_RETAIN_H

#include "fa/frame.h"

FA_EXTERN_C_BEGIN

/* What becomes of a retained object when its frame ends. */
typedef enum fa_retain_policy {
    FA_RETAIN_DISCARD, /* dies with the frame, like any frame memory, and is counted */
    FA_RETAIN_POOL,    /* moves to the pool, or to where a pool object of its size goes */
    FA_RETAIN_HEAP,    /* moves to the heap */
    FA_RETAIN_SCRATCH, /* moves to a named pool (fa/scratch_pool.h), and dies with that */
    FA_RETAIN_LEAK,    /* moves to the heap for good: can't be taken or released */
    FA_RETAIN_POLICY_COUNT
} fa_retain_policy;

/* A policy with what belongs to it. Two words and a number, passed by value. */
typedef struct fa_retention {
    fa_retain_policy policy;
    const char *scratch; /* FA_RETAIN_SCRATCH: the pool's name. Not copied: it must stay until the
                          * thread's next frame begins; the pool may come later than the object */
    const char *type;    /* name of the object's type for reports, or NULL; likewise */
} fa_retention;

static inline fa_retention fa_retain_discarded(void) {
    fa_retention retention = {FA_RETAIN_DISCARD, NULL, NULL};
    return retention;
}
static inline fa_retention fa_retain_to_pool(void) {
    fa_retention retention = {FA_RETAIN_POOL, NULL, NULL};
    return retention;
}
static inline fa_retention fa_retain_to_heap(void) {
    fa_retention retention = {FA_RETAIN_HEAP, NULL, NULL};
    return retention;
}
static inline fa_retention fa_retain_to_scratch(const char *scratch) {
    fa_retention retention = {FA_RETAIN_SCRATCH, scratch, NULL};
    return retention;
}
static inline fa_retention fa_retain_forever(void) {
    fa_retention retention = {FA_RETAIN_LEAK, NULL, NULL};
    return retention;
}

/* How much an object matters, for programs that would rather say that. */
typedef enum fa_importance {
    FA_IMPORTANCE_EPHEMERAL,  /* discarded */
    FA_IMPORTANCE_REUSABLE,   /* to the pool */
    FA_IMPORTANCE_PERSISTENT, /* to the heap */
    FA_IMPORTANCE_SCRATCH     /* to the scratch pool of that name */
} fa_importance;

/* The policy for an importance. scratch: as in fa_retention, ignored but for the last. */
FA_API fa_retention fa_retain_importance(fa_importance importance, const char *scratch);

/* Names a retained object. A value; all zero: none. */
typedef struct fa_retained {
    uint64_t serial;
    uint32_t index;
} fa_retained;

/* ---- retaining ---- */

/* Allocates size bytes of the calling thread's open frame at a multiple of align (as
 * fa_frame_alloc_aligned; less than 16 counts as 16), to be dealt with as retention says.
 * Returns the object's handle, all zero where it fails: as fa_frame_alloc_aligned; FA_ERROR_INVALID
 * also for a policy that is none and for a scratch pool without a name; FA_ERROR_FRAME_OPEN (FA009)
 * while the frame's objects are being kept; FA_ERROR_NO_MEMORY, FA_ERROR_LIMIT or FA_ERROR_SEALED
 * when there is no room for the handle. O(1); a lock now and then. */
FA_API fa_retained fa_frame_retain(fa_allocator *allocator, size_t size, size_t align,
                                   fa_retention retention);
FA_API fa_retained fa_frame_retain_in(fa_frame *frame, size_t size, size_t align,
                                      fa_retention retention);

/* The same with a copy of size bytes from source. NULL is FA_ERROR_INVALID. */
FA_API fa_retained fa_frame_retain_copy(fa_allocator *allocator, const void *source, size_t size,
                                        size_t align, fa_retention retention);
FA_API fa_retained fa_frame_retain_copy_in(fa_frame *frame, const void *source, size_t size,
                                           size_t align, fa_retention retention);

/* Retains a block of the open frame, or a part of one, that was allocated before. align: that of
 * the copy. What is retained is this place: a block that is grown (fa_frame_grow) may leave it,
 * and of one that is shrunk as many bytes are kept as before, those at its end undefined.
 * Retained twice, it is kept twice.
 * Errors as above; FA_ERROR_FOREIGN (FA002) when the bytes do not lie in the frame. O(chunks). */
FA_API fa_retained fa_frame_retain_block(fa_allocator *allocator, void *block, size_t size,
                                         size_t align, fa_retention retention);
FA_API fa_retained fa_frame_retain_block_in(fa_frame *frame, void *block, size_t size, size_t align,
                                            fa_retention retention);

/* Typed: one object, an array; the type's name goes to reports. */
#define fa_frame_retain_new(allocator, type, retention)                                            \
    fa_frame_retain((allocator), sizeof(type), FA_ALIGNOF(type),                                   \
                    fai_retain_typed((retention), #type))
#define fa_frame_retain_new_in(frame, type, retention)                                             \
    fa_frame_retain_in((frame), sizeof(type), FA_ALIGNOF(type),                                    \
                       fai_retain_typed((retention), #type))
#define fa_frame_retain_array(allocator, type, count, retention)                                   \
    fa_frame_retain((allocator), fai_retain_bytes((count), sizeof(type)), FA_ALIGNOF(type),        \
                    fai_retain_typed((retention), #type))
#define fa_frame_retain_array_in(frame, type, count, retention)                                    \
    fa_frame_retain_in((frame), fai_retain_bytes((count), sizeof(type)), FA_ALIGNOF(type),         \
                       fai_retain_typed((retention), #type))

/* Objects retained in the calling thread's open frame so far; 0 when none is open. */
FA_API size_t fa_frame_retained_count(fa_allocator *allocator);
FA_API size_t fa_frame_retained_count_in(const fa_frame *frame);

/* ---- handles ---- */

/* What has become of an object. */
typedef enum fa_retained_kind {
    FA_RETAINED_NONE,      /* no such object, or not any more */
    FA_RETAINED_OPEN,      /* its frame is open */
    FA_RETAINED_DISCARDED, /* as it was to be; known until the thread's next frame at least */
    FA_RETAINED_POOL,      /* a pool object */
    FA_RETAINED_HEAP,      /* a heap block: also one that was to be a pool object, when it is too
                            * large for a pool or a budget sent it on */
    FA_RETAINED_SCRATCH,   /* in a scratch pool */
    FA_RETAINED_LEAKED,    /* a heap block, for good */
    FA_RETAINED_FAILED,    /* it could not be kept; known as long as one that was discarded */
    FA_RETAINED_KIND_COUNT
} fa_retained_kind;

/* Why an object could not be kept. */
typedef enum fa_retain_reason {
    FA_RETAIN_REASON_NONE,
    FA_RETAIN_REASON_BUDGET,          /* a budget refused (FA302) */
    FA_RETAIN_REASON_LIMIT,           /* another limit did: bytes_max, depth of tags */
    FA_RETAIN_REASON_NO_MEMORY,       /* the backend refused (FA701) */
    FA_RETAIN_REASON_SEALED,          /* the allocator is sealed and has no room (FA702) */
    FA_RETAIN_REASON_SCRATCH_MISSING, /* there is no scratch pool of that name */
    FA_RETAIN_REASON_SCRATCH_FULL,    /* it has no room left */
    FA_RETAIN_REASON_SCRATCH_BUSY,    /* another thread is inside of it (FA611) */
    FA_RETAIN_REASON_TOO_LARGE,       /* it would have none if it were empty */
    FA_RETAIN_REASON_COUNT
} fa_retain_reason;

/* A short text in English, without a full stop; "unknown reason" outside of the enumeration. */
FA_API const char *fa_retain_reason_text(fa_retain_reason reason);

typedef struct fa_retained_info {
    fa_retained handle;
    fa_retained_kind kind;
    fa_retain_policy policy;
    fa_retain_reason reason; /* FA_RETAINED_FAILED */
    void *address;           /* where it is; NULL: nowhere */
    size_t size;             /* as asked for */
    size_t align;
    fa_tag tag;          /* that the thread was in, and that it is accounted to */
    const char *type;    /* as given, or NULL */
    const char *scratch; /* as given, with FA_RETAIN_SCRATCH. Both only while the names must be
                          * there: until the frame has ended, and on its thread until the next one
                          * begins; NULL after that */
} fa_retained_info;

/* Where the object is: frame memory while its frame is open, else where it was moved to. NULL, with
 * FA_ERROR_FOREIGN and without a report, when it is nowhere: also once its scratch pool was reset
 * or removed (but not when that was rewound to an older mark). Any thread; no lock, but for objects
 * in scratch pools. */
FA_API void *fa_retained_get(fa_allocator *allocator, fa_retained retained);
#define fa_retained_as(allocator, retained, type) ((type *)fa_retained_get((allocator), (retained)))

/* What has become of it; FA_RETAINED_NONE, without an error, for a handle that is no good (any
 * more). Any thread, locks. */
FA_API fa_retained_kind fa_retained_kind_of(fa_allocator *allocator, fa_retained retained);

/* All that is known about it. info: zeroed when the call fails: FA_ERROR_INVALID for NULL,
 * FA_ERROR_FOREIGN as above. Any thread, locks. */
FA_API fa_status fa_retained_describe(fa_allocator *allocator, fa_retained retained,
                                      fa_retained_info *info);

/* Changes what is to become of an object of the calling thread's open frame. type NULL keeps the
 * name. Returns FA_OK; FA_ERROR_INVALID as fa_frame_retain; FA_ERROR_FOREIGN when the handle is no
 * good, or the frame another thread's (FA201); FA_ERROR_NO_FRAME when the frame has ended (FA001);
 * FA_ERROR_FRAME_OPEN (FA009) while its objects are being kept. */
FA_API fa_status fa_retained_set(fa_allocator *allocator, fa_retained retained,
                                 fa_retention retention);

/* Gives an object that was kept to the caller, who frees it with fa_free (a pool object may also be
 * freed by the calls of fa/pool.h, a heap block by those of fa/heap.h; one in a scratch pool is not
 * freed, but dies with that). Its handle is no good from then on.
 * Returns it, or NULL: FA_ERROR_FOREIGN (no good, or it was not kept), FA_ERROR_FRAME_OPEN (its
 * frame is open), FA_ERROR_INVALID (it was leaked on purpose). Any thread, locks. */
FA_API void *fa_retained_take(fa_allocator *allocator, fa_retained retained);

/* The same, and frees it. Returns FA_OK or as above. Any thread, locks. */
FA_API fa_status fa_retained_release(fa_allocator *allocator, fa_retained retained);

/* ---- what a frame left ---- */

typedef struct fa_retain_sum {
    size_t count;
    size_t bytes; /* as asked for */
} fa_retain_sum;

/* What became of retained objects. retained is the sum of all others. */
typedef struct fa_retain_sums {
    fa_retain_sum retained;
    fa_retain_sum discarded; /* as they were to be */
    fa_retain_sum pool;
    fa_retain_sum heap;
    fa_retain_sum scratch;
    fa_retain_sum leaked;
    fa_retain_sum failed;
} fa_retain_sums;

/* A frame that has ended. */
typedef struct fa_frame_summary {
    uint64_t frame_index; /* counts the thread's frames from 1 */
    uint64_t alloc_count; /* allocations, rewound ones too; 0 with FA_MINIMAL */
    size_t frame_bytes;   /* frame memory that it held at its end, rounded up to 16 a block */
    size_t plain_bytes; /* of these, all but retained objects: gone without being asked about; with
                         * FA_CHECK_GUARD the guards of retained objects, too */
    fa_retain_sums sums;
    fa_retain_sum failed_by_reason[FA_RETAIN_REASON_COUNT];
} fa_frame_summary;

/* The share of those objects that were to be kept which were; 1 when there were none. */
static inline double fa_frame_summary_rate(const fa_frame_summary *summary) {
    size_t kept = summary->sums.retained.count - summary->sums.discarded.count;
    return kept == 0 ? 1.0 : (double)(kept - summary->sums.failed.count) / (double)kept;
}

/* Ends the frame as fa_frame_end does, and says what became of it.
 * summary: filled; zeroed when the call fails: FA_ERROR_INVALID for NULL, else as fa_frame_end. */
FA_API fa_status fa_frame_end_with_summary(fa_allocator *allocator, fa_frame_summary *summary);
FA_API fa_status fa_frame_end_with_summary_in(fa_frame *frame, fa_frame_summary *summary);

/* The same once more for the calling thread's last frame, and the lists behind it: until its next
 * frame begins, where the last one retained something or was ended with a summary. Otherwise, and
 * for NULL: FA_ERROR_INVALID and a summary of zeros, or 0 entries. */
FA_API fa_status fa_frame_summary_get(fa_allocator *allocator, fa_frame_summary *summary);

/* A part of a summary. The parts of a list have no object, and no byte but for the exception below,
 * in common, and sum up to the whole. */
typedef struct fa_summary_part {
    fa_tag tag;         /* by tag: FA_TAG_ROOT stands for what is in none */
    const char *phase;  /* by phase: its name; NULL: in none */
    size_t frame_bytes; /* as in the summary */
    fa_retain_sums sums;
} fa_summary_part;

/* The parts by tag, in the order of their numbers; those without bytes and objects are left out.
 * What belongs to a tag below counts there alone. parts: gets as many as there are, capacity at
 * most; may be NULL with capacity 0. Returns how many there are. O(tags * objects). */
FA_API size_t fa_frame_summary_tags(fa_allocator *allocator, fa_summary_part *parts,
                                    size_t capacity);

/* The parts by phase, first that for what is in none; phases of one name are one part. An object
 * belongs to the innermost phase that was open when it was retained, bytes likewise: but bytes that
 * were rewound after the end of their phase count there (fa/phase.h). As above otherwise.
 * O(objects * phases + phases^3) */
FA_API size_t fa_frame_summary_phases(fa_allocator *allocator, fa_summary_part *parts,
                                      size_t capacity);

/* The objects themselves, in the order in which they were retained; dropped ones are not among
 * them. address is where each was moved to, whether or not it was taken or released since. */
FA_API size_t fa_frame_summary_objects(fa_allocator *allocator, fa_retained_info *objects,
                                       size_t capacity);

/* What the macros are made of. */

static inline fa_retention fai_retain_typed(fa_retention retention, const char *type) {
    if (retention.type == NULL)
        retention.type = type;
    return retention;
}

/* 0, which is refused, where the product wraps. */
static inline size_t fai_retain_bytes(size_t count, size_t size) {
    size_t bytes;
    return __builtin_mul_overflow(count, size, &bytes) ? 0 : bytes;
}

FA_EXTERN_C_END

#define FAI_RETAIN_DECLARED
#include "fa/site.h"

#endif
