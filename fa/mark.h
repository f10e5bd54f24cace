/* Marks: a position of an open frame, to go back to.
 *
 * fa_frame_mark notes where the frame stands, fa_frame_rewind frees everything that was allocated
 * since, at once: for scratch memory of one function, for attempts that may fail. A mark is a
 * value; it needs no memory, need not be given back, and may be rewound to as often as you like.
 *
 * A mark dies with its frame, and when the frame is rewound to an older mark. A dead mark, and one
 * of another frame, thread or allocator, is refused in every build (FA008, FA_ERROR_FOREIGN), also
 * when the frame has grown past its place again; then nothing changes.
 *
 * A rewind makes the frame as it was: blocks from before the mark keep their contents and places (a
 * block that grew since has its old size), and clean-ups registered since run first
 * (fa/defer.h). Freed memory is poisoned where a sanitizer runs, and filled with 0xCD under
 * FA_CHECK_FILL. Counts of allocations count rewound ones too; peaks see what was used before the
 * rewind. Memory that the arena took stays there for what comes next.
 *
 * Setting a mark and rewinding to the newest one are a few instructions each, inline. A rewind that
 * has more to do, to an older mark or across chunks, is a call; its cost is paid for by what it
 * undoes. Every call belongs to the thread that began the frame. */
#ifndef FA_MARK_H
#define FA_MARK_H

#include "fa/frame.h"

FA_EXTERN_C_BEGIN

/* A position in an open frame. All zero: no mark, refused by every rewind. */
typedef struct fa_mark {
    char *cursor;
    uint64_t serial; /* no two marks of a program have the same */
} fa_mark;

/* Marks where the calling thread's frame stands. Never lacks memory.
 * Returns a mark of all zero when no frame is open (FA001, FA_ERROR_NO_FRAME), or for another
 * thread's handle (FA201, FA_ERROR_FOREIGN), or NULL (FA_ERROR_INVALID). O(1). */
FA_API inline fa_mark fa_frame_mark(fa_allocator *allocator);
FA_API inline fa_mark fa_frame_mark_in(fa_frame *frame);

/* Frees what was allocated in the frame since the mark was set.
 * Returns FA_OK; FA_ERROR_FOREIGN for a mark that is dead or belongs elsewhere (FA008) and for
 * another thread's handle (FA201); FA_ERROR_FRAME_OPEN inside of a clean-up of this frame, or of a
 * hook that one of its calls led to, for a mark that was set before that began (FA009);
 * FA_ERROR_INVALID for NULL. When there is no memory to remember which of more than 64 groups of
 * marks are dead, live ones between them may be refused; dead ones are never accepted.
 * O(1) amortised, and the clean-ups. */
FA_API inline fa_status fa_frame_rewind(fa_allocator *allocator, fa_mark mark);
FA_API inline fa_status fa_frame_rewind_in(fa_frame *frame, fa_mark mark);

/* ---- guards: rewind unless committed ---- */

typedef struct fa_mark_guard {
    fa_frame *frame; /* NULL: it is over, or was committed */
    fa_mark mark;
} fa_mark_guard;

/* Marks the position that the guard's end goes back to. Without an open frame (as fa_frame_mark)
 * the guard does nothing. */
FA_API inline fa_mark_guard fa_mark_guard_begin(fa_allocator *allocator);
FA_API inline fa_mark_guard fa_mark_guard_begin_in(fa_frame *frame);

/* Keeps what was allocated: the guard's end will do nothing. NULL does nothing. */
FA_API inline void fa_mark_guard_commit(fa_mark_guard *guard);

/* Rewinds to where the guard began, unless it was committed or ended before. The guard's mark is
 * not to be used after that. A block from before the guard is still copied when it grows, as after
 * any mark, until the frame is rewound to an older one. Returns what the rewind returns, FA_OK
 * where there is none; FA_ERROR_INVALID for NULL. */
FA_API inline fa_status fa_mark_guard_end(fa_mark_guard *guard);

/* Declares a guard called name over an open frame that ends with its scope, however that is left
 * (but for longjmp):
 *
 *     fa_mark_scope_in(frame, scratch);
 *     ... return false;                    rewinds
 *     fa_mark_guard_commit(&scratch);      keeps */
#define fa_mark_scope(allocator, name)                                                             \
    __attribute__((cleanup(fai_mark_scope_end), unused)) fa_mark_guard name =                      \
        fa_mark_guard_begin((allocator))
#define fa_mark_scope_in(frame, name)                                                              \
    __attribute__((cleanup(fai_mark_scope_end), unused)) fa_mark_guard name =                      \
        fa_mark_guard_begin_in((frame))

/* ---- speculation: an attempt that may fail ---- */

/* An attempt. user: as given. Returns FA_OK to keep what it allocated in frame. */
typedef fa_status fa_attempt_fn(void *user, fa_frame *frame);

/* Calls attempt; when it does not return FA_OK, rewinds the frame to where it stood before. May be
 * nested.
 * Returns what attempt returned, or why it was not called: as fa_frame_mark, and FA_ERROR_INVALID
 * when attempt is NULL. A rewind that is refused, because attempt ended the frame or went back
 * behind its start, is reported (FA008). */
FA_API fa_status fa_frame_speculate(fa_allocator *allocator, fa_attempt_fn *attempt, void *user);
FA_API fa_status fa_frame_speculate_in(fa_frame *frame, fa_attempt_fn *attempt, void *user);

/* ------------------------------------------------------------------------------------------------
 * Inline functions: the fast paths.
 * A mark is set here when the newest one before it is still good for the fast path; rewound to when
 * it is the newest live one and nothing but allocations in one chunk happened since. Allocations
 * are the only thing that does not clear mark_newest. */

FA_API fa_mark fai_frame_mark_slow(fa_frame *frame);
FA_API FA_COLD fa_mark fai_frame_mark_find(fa_allocator *allocator);
FA_API fa_status fai_frame_rewind_slow(fa_frame *frame, fa_mark mark);
FA_API fa_status fai_frame_rewind_last(fa_frame *frame, fa_mark mark);
FA_API FA_COLD fa_status fai_frame_rewind_find(fa_allocator *allocator, fa_mark mark);
FA_API fa_frame *fai_mark_frame(fa_allocator *allocator);
FA_API FA_COLD fa_status fai_mark_guard_refused(void);
/* For owners of C++ (fa/cpp/frame_owner.hpp): whether the calling thread may rewind its frame to
 * the mark of that serial. If not, reports FA002 for address. */
FA_API bool fai_mark_lasts(fa_allocator *allocator, uint64_t serial, const void *address);
FA_API fa_allocator *fai_frame_allocator(const fa_frame *frame);
FA_API inline bool fai_frame_rewind_fast(fa_frame *frame, fa_mark mark);
FA_API inline fa_status fai_frame_rewind_once(fa_frame *frame, fa_mark mark);

inline fa_mark fa_frame_mark_in(fa_frame *frame) {
    if (FA_UNLIKELY(frame == NULL || frame->mark_newest == FAI_NO_MARK || frame->self != FAI_SELF))
        return fai_frame_mark_slow(frame);
    /* Moves one by one: joined in one of 16 bytes, as the compiler likes to, they would be slower
     * to read back in the next call. */
    char *cursor = FAI_LOAD_RELAXED(&frame->cursor);
    uint64_t serial = FAI_LOAD_RELAXED(&frame->mark_count) + 1;
    FAI_STORE_RELAXED(&frame->mark_count, serial);
    FAI_STORE_RELAXED(&frame->mark_newest, serial);
    FAI_STORE_RELAXED(&frame->mark_cursor, cursor);
    fa_mark mark = {cursor, serial};
    return mark;
}

inline fa_mark fa_frame_mark(fa_allocator *allocator) {
    if (FA_UNLIKELY(FAI_LOAD_RELAXED(&fai_slot.frame_owner) != allocator))
        return fai_frame_mark_find(allocator);
    return fa_frame_mark_in(&fai_slot.frame);
}

/* False when there is more to do than to set the cursor. */
inline bool fai_frame_rewind_fast(fa_frame *frame, fa_mark mark) {
    if (FA_UNLIKELY(frame == NULL || mark.serial != frame->mark_newest || frame->self != FAI_SELF))
        return false;
    char *cursor = FAI_LOAD_RELAXED(&frame->cursor);
    if (frame->high < cursor)
        frame->high = cursor;
    FAI_STORE_RELAXED(&frame->cursor, mark.cursor);
    return true;
}

inline fa_status fa_frame_rewind_in(fa_frame *frame, fa_mark mark) {
    return FA_LIKELY(fai_frame_rewind_fast(frame, mark)) ? FA_OK
                                                         : fai_frame_rewind_slow(frame, mark);
}

/* Nobody will rewind to this mark again. */
inline fa_status fai_frame_rewind_once(fa_frame *frame, fa_mark mark) {
    return FA_LIKELY(fai_frame_rewind_fast(frame, mark)) ? FA_OK
                                                         : fai_frame_rewind_last(frame, mark);
}

inline fa_status fa_frame_rewind(fa_allocator *allocator, fa_mark mark) {
    if (FA_UNLIKELY(FAI_LOAD_RELAXED(&fai_slot.frame_owner) != allocator))
        return fai_frame_rewind_find(allocator, mark);
    return fa_frame_rewind_in(&fai_slot.frame, mark);
}

inline fa_mark_guard fa_mark_guard_begin(fa_allocator *allocator) {
    fa_mark mark = fa_frame_mark(allocator);
    fa_mark_guard guard = {mark.serial != 0 ? fai_mark_frame(allocator) : NULL, mark};
    return guard;
}

inline fa_mark_guard fa_mark_guard_begin_in(fa_frame *frame) {
    fa_mark mark = fa_frame_mark_in(frame);
    fa_mark_guard guard = {mark.serial != 0 ? frame : NULL, mark};
    return guard;
}

inline void fa_mark_guard_commit(fa_mark_guard *guard) {
    if (guard != NULL)
        guard->frame = NULL;
}

inline fa_status fa_mark_guard_end(fa_mark_guard *guard) {
    if (FA_UNLIKELY(guard == NULL))
        return fai_mark_guard_refused();
    fa_frame *frame = guard->frame;
    if (frame == NULL)
        return FA_OK;
    guard->frame = NULL;
    return fai_frame_rewind_once(frame, guard->mark);
}

static inline void fai_mark_scope_end(fa_mark_guard *guard) { (void)fa_mark_guard_end(guard); }

FA_EXTERN_C_END

#define FAI_MARK_DECLARED /* frame.h, above, has included site.h before */
#include "fa/site.h"

#endif
