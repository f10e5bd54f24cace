/* Marks: which of them are alive, and every rewind that is more than a move of the cursor.
 *
 * A rewind to mark a kills all marks set after it: the serials from a (not included) to the newest.
 * The killed ranges are kept in order. A rewind swallows those above its mark, so that each is
 * looked at once; a mark is alive when its serial lies in none of them. A rewind that is known to
 * be the last to its mark kills that too, so that loops over guards need no memory for this. */
#include "fa/mark.h"

#include "fa/internal/arena.h"
#include "fa/internal/frame.h"
#include "fa/internal/note.h"

#include <string.h>

/* A serial says whose mark it is: in its upper bits, which attachment of a thread set it. There are
 * 2^26 before a number comes again, and 2^38 marks to each; who uses half of his gets new ones when
 * his frame ends. */
#define EPOCH_SHIFT 38
#define EPOCH_HALF ((uint64_t)1 << (EPOCH_SHIFT - 1))
static uint64_t k_epoch; /* atomic */

static const fa_mark k_no_mark;

static void begin_epoch(fa_frame *frame) {
    frame->mark_count = (FAI_ADD_RELAXED(&k_epoch, 1) + 1) << EPOCH_SHIFT;
}

void fai_mark_attach(fai_thread *thread) {
    begin_epoch(thread->frame);
    thread->frame->self = FAI_SELF;
    fai_mark_frame_end(thread);
}

void fai_mark_frame_end(fai_thread *thread) {
    fa_frame *frame = thread->frame;
    if ((frame->mark_count & EPOCH_HALF) != 0)
        begin_epoch(frame);
    frame->mark_newest = FAI_NO_MARK;
    frame->mark_cursor = frame->high = NULL;
    thread->bytes_peak = 0;
    thread->marks.floor = frame->mark_count;
    thread->marks.count = 0;
}

void fai_mark_detach(fai_thread *thread) {
    fai_marks *marks = &thread->marks;
    fai_mark_frame_end(thread);
    thread->frame->self = NULL;
    if (marks->span.address == NULL || !fai_span_free(&thread->allocator->spans, &marks->span))
        return;
    marks->span.address = NULL;
    marks->dead = marks->own;
    marks->capacity = FAI_DEAD_MARKS_OWN;
}

/* ---- the living and the dead ---- */

/* Makes room for one more range, where there is memory. May call a hook. */
static void make_room(fai_thread *thread) {
    fai_marks *marks = &thread->marks;
    if (marks->capacity == 0) {
        marks->dead = marks->own;
        marks->capacity = FAI_DEAD_MARKS_OWN;
    }
    if (marks->count < marks->capacity)
        return;
    fai_span span;
    size_t capacity = marks->capacity;
    size_t bytes = fai_round_up(capacity * 2 * sizeof *marks->dead, 4096);
    if (fai_allocator_span_quiet(thread->allocator, bytes, 64, FA_SPAN_META, &span) != FA_OK)
        return;
    if (marks->capacity != capacity) { /* a hook was at work */
        fai_span_free(&thread->allocator->spans, &span);
        return;
    }
    memcpy(span.address, marks->dead, marks->count * sizeof *marks->dead);
    if (marks->span.address != NULL)
        fai_span_free(&thread->allocator->spans, &marks->span);
    marks->span = span;
    marks->dead = (fai_dead_marks *)span.address;
    marks->capacity = bytes / sizeof *marks->dead;
}

/* Number of killed ranges that start below serial; serial can only lie in the last of them. */
static size_t ranges_below(const fai_marks *marks, uint64_t serial) {
    size_t low = 0, high = marks->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (marks->dead[middle].above < serial)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool is_alive(const fai_thread *thread, const fa_mark *mark) {
    const fai_marks *marks = &thread->marks;
    if (mark->serial <= marks->floor || mark->serial > thread->frame->mark_count ||
        !fai_frame_is_open(thread))
        return false;
    size_t below = ranges_below(marks, mark->serial);
    return below == 0 || marks->dead[below - 1].upto < mark->serial;
}

/* Without memory for another range: two become one, and the marks between them die. Neither the
 * oldest ranges, next to marks that whole phases of the program are guarded by, nor the newest. */
static void join_middle(fai_marks *marks) {
    size_t middle = marks->count / 2;
    marks->dead[middle - 1].upto = marks->dead[middle].upto;
    memmove(&marks->dead[middle], &marks->dead[middle + 1],
            (marks->count - middle - 1) * sizeof *marks->dead);
    marks->count--;
}

/* All marks after serial, which is alive, are dead from now on. */
static void kill_after(fai_thread *thread, uint64_t serial) {
    fai_marks *marks = &thread->marks;
    uint64_t newest = thread->frame->mark_count;
    size_t count = marks->count = ranges_below(marks, serial + 1);
    if (newest == serial)
        return;
    if (count > 0 && marks->dead[count - 1].upto >= serial) {
        marks->dead[count - 1].upto = newest;
        return;
    }
    if (count == marks->capacity)
        join_middle(marks);
    marks->dead[marks->count++] = (fai_dead_marks){serial, newest};
}

const void *fai_mark_validate(const fai_thread *thread) {
    const fai_marks *marks = &thread->marks;
    const fa_frame *frame = thread->frame;
    uint64_t upto = marks->floor;
    for (size_t i = 0; i < marks->count; i++) {
        const fai_dead_marks *range = &marks->dead[i];
        if (range->above < upto || range->upto <= range->above || range->upto > frame->mark_count)
            return range;
        upto = range->upto;
    }
    size_t before = 0;
    const fai_chunk *chunk = thread->arena->first;
    for (; chunk && chunk->is_alone; chunk = chunk->next)
        before += (size_t)(chunk->used_end - fai_chunk_start(chunk));
    for (chunk = thread->arena->current->below; chunk; chunk = chunk->below)
        before += (size_t)(chunk->used_end - fai_chunk_start(chunk));
    bool newest = frame->mark_newest == FAI_NO_MARK || frame->mark_newest <= frame->mark_count;
    return newest && before == thread->arena->bytes_before ? NULL : marks;
}

/* ---- slow paths ---- */

/* The newest live mark from now on. Watched allocators, listeners and budgets see every rewind. */
static void set_newest(fai_thread *thread, const char *cursor, uint64_t serial) {
    fa_frame *frame = thread->frame;
    bool fast = !thread->allocator->watched && !thread->frame_traced && !thread->hold.is_held &&
                !fai_thread_is_metered(thread) && cursor == frame->cursor;
    frame->mark_newest = fast ? serial : FAI_NO_MARK;
    frame->mark_cursor = frame->cursor;
}

fa_mark fai_frame_mark_slow(fa_frame *frame) {
    if (fai_frame_check(frame, 0) != FA_OK)
        return k_no_mark;
    fai_thread *thread = fai_thread_of(frame);
    fai_slot.site = NULL;
    fai_frame_look_closer(thread); /* the end of this frame must kill its marks */
    fa_mark mark = {frame->cursor, ++frame->mark_count};
    set_newest(thread, mark.cursor, mark.serial);
    return mark;
}

fa_mark fai_frame_mark_find(fa_allocator *allocator) {
    fa_frame *frame = fai_frame_find(allocator, 0);
    return frame ? (fa_frame_mark_in)(frame) : k_no_mark;
}

static fa_status rewind_slow(fa_frame *frame, fa_mark mark, bool last) {
    if (frame == NULL)
        return fai_fail(FA_ERROR_INVALID, 0);
    fai_thread *thread = fai_thread_of(frame);
    fa_allocator *allocator = thread->allocator;
    if (thread->slot != &fai_slot)
        return fai_report(allocator, FA_DIAG_FA201, FA_ERROR_FOREIGN, 0, 0, frame);
    if (thread->hold.is_held && mark.serial <= thread->hold.since)
        return fai_report(allocator, FA_DIAG_FA009, FA_ERROR_FRAME_OPEN, 0, 0, frame);
    if (is_alive(thread, &mark))
        make_room(thread);
    if (!is_alive(thread, &mark)) /* asked again: a hook may have been called */
        return fai_report(allocator, FA_DIAG_FA008, FA_ERROR_FOREIGN, 0, 0, mark.cursor);
    fai_cleanup_run(thread, mark.serial);
    fai_retain_rewound(thread, mark.serial);
    if (allocator->watched)
        fai_note_rewind(thread, mark.cursor, mark.serial);
    if (last)
        frame->mark_count++; /* nobody has this one: that which is to die may not be the newest */
    kill_after(thread, last ? mark.serial - 1 : mark.serial);
    fai_arena_rewind(thread, mark.cursor, mark.serial);
    fai_tally_rewound(thread, fai_arena_used(thread));
    fai_phase_rewound(thread);
    fai_meter_bury_since(thread, mark.serial); /* may call hooks: everything is in order */
    set_newest(thread, mark.cursor, last ? frame->mark_count : mark.serial);
    fai_slot.site = NULL;
    return FA_OK;
}

fa_status fai_frame_rewind_slow(fa_frame *frame, fa_mark mark) {
    return rewind_slow(frame, mark, false);
}

fa_status fai_frame_rewind_last(fa_frame *frame, fa_mark mark) {
    return rewind_slow(frame, mark, true);
}

fa_status fai_frame_rewind_find(fa_allocator *allocator, fa_mark mark) {
    if (allocator == NULL)
        return fai_fail(FA_ERROR_INVALID, 0);
    fai_thread *thread = fai_thread_find(allocator);
    if (thread == NULL)
        return fai_report(allocator, FA_DIAG_FA008, FA_ERROR_FOREIGN, 0, 0, mark.cursor);
    return (fa_frame_rewind_in)(thread->frame, mark);
}

fa_frame *fai_mark_frame(fa_allocator *allocator) {
    fai_thread *thread = fai_thread_find(allocator);
    return thread != NULL ? thread->frame : NULL;
}

bool fai_mark_lasts(fa_allocator *allocator, uint64_t serial, const void *address) {
    const fai_thread *thread = fai_thread_find(allocator);
    fa_mark mark = {NULL, serial};
    if (thread != NULL && is_alive(thread, &mark))
        return true;
    fai_report(allocator, FA_DIAG_FA002, FA_ERROR_FOREIGN, 0, 0, address);
    return false;
}

fa_allocator *fai_frame_allocator(const fa_frame *frame) { return fai_thread_of(frame)->allocator; }

fa_status fai_mark_guard_refused(void) { return fai_fail(FA_ERROR_INVALID, 0); }

/* ---- speculation ---- */

fa_status(fa_frame_speculate_in)(fa_frame *frame, fa_attempt_fn *attempt, void *user) {
    if (attempt == NULL)
        return fai_fail(FA_ERROR_INVALID, 0);
    fa_mark mark = (fa_frame_mark_in)(frame);
    if (mark.serial == 0)
        return fa_last_error().status;
    fa_status status = attempt(user, frame);
    if (status != FA_OK)
        (void)fai_frame_rewind_once(frame, mark);
    return status;
}

fa_status(fa_frame_speculate)(fa_allocator *allocator, fa_attempt_fn *attempt, void *user) {
    fa_frame *frame = fai_frame_find(allocator, 0);
    return frame ? (fa_frame_speculate_in)(frame, attempt, user) : fa_last_error().status;
}
