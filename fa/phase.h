/* Phases: named parts of a frame, with what each of them took.
 *
 *     fa_phase_begin(memory, "physics");
 *     ...
 *     fa_phase_end(memory);
 *
 * Phases may be nested; what a phase took counts for those around it as well. The records of a
 * thread's frame can be read, in the order of begin, on that thread: while the frame is open, and
 * after it has ended, until the next one begins.
 *
 * A begin and an end note where the frame stands, a few instructions each; phases are computed when
 * somebody asks. The notes lie in memory of the thread that is taken from the backend once, grows,
 * and stays. */
#ifndef FA_PHASE_H
#define FA_PHASE_H

#include "fa/frame.h"

FA_EXTERN_C_BEGIN

#define FA_PHASE_NONE SIZE_MAX

/* The record of one phase; of one that is still open: so far. What it says is as of the phase's
 * end: memory that is rewound after that still counts for it, but no longer for an open one around
 * it. */
typedef struct fa_phase {
    const char *name;     /* as given to begin */
    size_t depth;         /* phases around it */
    size_t parent;        /* index of the one around it; FA_PHASE_NONE: none */
    size_t count;         /* phases in this record: 1, but for fa_phase_find */
    size_t bytes;         /* frame memory taken and not rewound, rounded up to 16 a block */
    size_t bytes_peak;    /* the most of it held at once, rewound memory too */
    uint64_t alloc_count; /* allocations, rewound ones too; 0 with FA_MINIMAL */
    uint64_t nanoseconds; /* from begin to end; 0 without phase_clock */
    bool is_open;
} fa_phase;

/* Begins a phase in the calling thread's open frame. A rewind to before its begin moves that to
 * where the frame stands then.
 * name: not copied, it must stay until the thread's next frame begins. A string literal, usually.
 * Returns FA_OK; FA_ERROR_NO_FRAME (FA001), FA_ERROR_FOREIGN (FA201), FA_ERROR_INVALID for NULL:
 * then there is nothing to end. FA_ERROR_NO_MEMORY, FA_ERROR_LIMIT or FA_ERROR_SEALED (reported as
 * a backend's refusal, once a frame) when there is no memory for the record: then the phase, and
 * those inside of it, are only counted (fa_phase_lost_count), and are to be ended like others.
 * O(1); the first in a frame, and where records must grow, may call the backend. */
FA_API inline fa_status fa_phase_begin(fa_allocator *allocator, const char *name);
FA_API inline fa_status fa_phase_begin_in(fa_frame *frame, const char *name);

/* Ends the phase that was begun last. One that is still open when its frame ends is ended with it,
 * and reported (FA011); those that hooks begin meanwhile are ended without a report each.
 * Returns FA_OK; FA_ERROR_INVALID when none is open (FA010) and for NULL; FA_ERROR_NO_FRAME
 * (FA001), FA_ERROR_FOREIGN (FA201). O(1). */
FA_API inline fa_status fa_phase_end(fa_allocator *allocator);
FA_API inline fa_status fa_phase_end_in(fa_frame *frame);

/* A phase that ends with its scope, however that is left (but for longjmp). */
#define fa_phase_scope(allocator, name)                                                            \
    FAI_PHASE_SCOPE(fai_phase_scope_begin((allocator), (name)), __COUNTER__)
#define fa_phase_scope_in(frame, name)                                                             \
    FAI_PHASE_SCOPE(fai_phase_scope_begin_in((frame), (name)), __COUNTER__)

/* Records of the calling thread's frame; 0 when there is none to read. */
FA_API size_t fa_phase_count(fa_allocator *allocator);

/* Phases of that frame which found no memory for a record. */
FA_API uint64_t fa_phase_lost_count(fa_allocator *allocator);

/* Reads a record. index: below fa_phase_count, in the order of begin.
 * Returns FA_ERROR_INVALID, with *phase all zero, when there is none. O(records). */
FA_API fa_status fa_phase_get(fa_allocator *allocator, size_t index, fa_phase *phase);

/* The sum of all records with that name, compared by contents: count says how many; bytes_peak is
 * the largest, depth and parent are those of the first. A phase inside of one of the same name is
 * part of that, and not counted again.
 * Returns FA_ERROR_INVALID, with *phase all zero, when there is none. O(records^2). */
FA_API fa_status fa_phase_find(fa_allocator *allocator, const char *name, fa_phase *phase);

/* Name of the innermost open phase of the calling thread, NULL when none is open. O(1). */
FA_API const char *fa_phase_current(fa_allocator *allocator);

/* Writes a table of the records, a line each, names indented by depth; without a clock there is a
 * "-" for the microseconds.
 * Returns the length that the whole text has, without its terminator; never writes more than
 * text_bytes, always terminated when text_bytes > 0. text may be NULL with text_bytes 0.
 * O(records^2). */
FA_API size_t fa_phase_format(fa_allocator *allocator, char *text, size_t text_bytes);

/* ------------------------------------------------------------------------------------------------
 * Inline functions: the fast paths.
 * They succeed here without a clock, from the second phase of a frame on, unless a rewind left
 * memory behind whose peak must be noted. */

FA_API fa_status fai_phase_begin_slow(fa_frame *frame, const char *name);
FA_API fa_status fai_phase_begin_find(fa_allocator *allocator, const char *name);
FA_API fa_status fai_phase_end_slow(fa_frame *frame);
FA_API fa_status fai_phase_end_find(fa_allocator *allocator);

/* Moves one by one: see fa_frame_mark_in. */
#define FAI_PHASE_NOTE(frame, entry, text)                                                         \
    FAI_STORE_RELAXED(&(frame)->phase_next, (entry) + 1);                                          \
    FAI_STORE_RELAXED(&(entry)->name, (text));                                                     \
    FAI_STORE_RELAXED(&(entry)->bytes, (uintptr_t)(frame)->cursor - (frame)->phase_base);          \
    FAI_STORE_RELAXED(&(entry)->alloc_count, (frame)->alloc_count)

inline fa_status fa_phase_begin_in(fa_frame *frame, const char *name) {
    if (FA_UNLIKELY(frame == NULL || name == NULL || frame->phase_next == frame->phase_limit ||
                    frame->self != FAI_SELF || frame->high > frame->cursor))
        return fai_phase_begin_slow(frame, name);
    fai_phase_entry *entry = frame->phase_next;
    FAI_PHASE_NOTE(frame, entry, name);
    FAI_STORE_RELAXED(&frame->phase_depth, frame->phase_depth + 1);
    FAI_STORE_RELAXED(&frame->mark_newest, FAI_NO_MARK); /* a rewind moves the begin */
    return FA_OK;
}

inline fa_status fa_phase_end_in(fa_frame *frame) {
    if (FA_UNLIKELY(frame == NULL || frame->phase_next == frame->phase_limit ||
                    frame->phase_depth == 0 || frame->self != FAI_SELF ||
                    frame->high > frame->cursor))
        return fai_phase_end_slow(frame);
    fai_phase_entry *entry = frame->phase_next;
    FAI_PHASE_NOTE(frame, entry, (const char *)NULL);
    FAI_STORE_RELAXED(&frame->phase_depth, frame->phase_depth - 1);
    return FA_OK;
}

inline fa_status fa_phase_begin(fa_allocator *allocator, const char *name) {
    if (FA_UNLIKELY(FAI_LOAD_RELAXED(&fai_slot.frame_owner) != allocator))
        return fai_phase_begin_find(allocator, name);
    return fa_phase_begin_in(&fai_slot.frame, name);
}

inline fa_status fa_phase_end(fa_allocator *allocator) {
    if (FA_UNLIKELY(FAI_LOAD_RELAXED(&fai_slot.frame_owner) != allocator))
        return fai_phase_end_find(allocator);
    return fa_phase_end_in(&fai_slot.frame);
}

/* What the scope macros are made of. */

static inline fa_frame *fai_phase_scope_begin_in(fa_frame *frame, const char *name) {
    fa_status status = fa_phase_begin_in(frame, name);
    bool refused =
        status == FA_ERROR_NO_FRAME || status == FA_ERROR_FOREIGN || status == FA_ERROR_INVALID;
    return refused ? NULL : frame;
}

static inline fa_frame *fai_phase_scope_begin(fa_allocator *allocator, const char *name) {
    fa_frame *frame = fa_frame_current(allocator);
    if (frame != NULL)
        return fai_phase_scope_begin_in(frame, name);
    (void)fa_phase_begin(allocator, name);
    return NULL;
}

static inline void fai_phase_scope_end(fa_frame **frame) {
    if (*frame != NULL)
        (void)fa_phase_end_in(*frame);
}

#define FAI_PHASE_SCOPE(begin, counter) FAI_PHASE_SCOPE_COUNTED(begin, counter)
#define FAI_PHASE_SCOPE_COUNTED(begin, number)                                                     \
    __attribute__((cleanup(fai_phase_scope_end), unused)) fa_frame *fai_phase_scope_##number = begin

FA_EXTERN_C_END

#define FAI_PHASE_DECLARED
#include "fa/site.h"

#endif
