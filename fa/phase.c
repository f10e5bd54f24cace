/* Phases.
 *
 * The log has an entry for each begin and each end: where the frame stood. What a phase took is the
 * difference of two of them; its peak is seen at those entries too, for in between the cursor only
 * goes up. Where it turned back, at a rewind, two entries of other kinds note how high it had been
 * and how low it went. */
#include "fa/phase.h"

#include "fa/internal/arena.h"
#include "fa/internal/clock.h"
#include "fa/internal/frame.h"
#include "fa/internal/writer.h"

#include <inttypes.h>
#include <string.h>

#define SPAN_BYTES_FIRST ((size_t)8192)
/* Entries that only ends may take, when there is no memory for more. Who nests deeper than that,
 * and runs out of memory, has phases that end with their frame. */
#define SPARE_COUNT ((size_t)64)

/* Names of the other kinds of entries: the most bytes since the entry before it; bytes after a
 * rewind. */
static const char k_peak[] = "peak", k_rewound[] = "rewound";

static bool is_begin(const fai_phase_entry *entry) {
    return entry->name != NULL && entry->name != k_peak && entry->name != k_rewound;
}

static bool has_clock(const fai_thread *thread) { return thread->allocator->config.phase_clock; }

void fai_phase_attach(fai_thread *thread) {
    fai_phases *phases = &thread->phases;
    fa_frame *frame = thread->frame;
    frame->phase_next = frame->phase_limit = NULL;
    frame->phase_depth = 0;
    phases->count = phases->bytes_peak = phases->lost_open = 0;
    phases->frame_index = phases->lost_count = 0;
}

void fai_phase_detach(fai_thread *thread) {
    fai_phases *phases = &thread->phases;
    fai_phase_attach(thread);
    if (phases->span.address == NULL || !fai_span_free(&thread->allocator->spans, &phases->span))
        return;
    phases->span.address = NULL;
    phases->first = NULL;
    phases->capacity = 0;
}

/* ---- the log ---- */

static bool has_phases(const fai_thread *thread) {
    return thread->phases.frame_index == thread->frame_count + 1;
}

/* Open phases that have an entry. */
static size_t open_count(const fai_thread *thread) {
    const fai_phases *phases = &thread->phases;
    return phases->lost_open != 0 ? phases->depth_inside : thread->frame->phase_depth;
}

static fai_phase_entry *end_of_begins(const fai_phases *phases) {
    return phases->first ? phases->first + (phases->capacity - SPARE_COUNT) : NULL;
}

/* Where the inline functions stop. */
static void set_limit(fai_thread *thread) {
    fa_frame *frame = thread->frame;
    bool open = !has_clock(thread) && thread->phases.lost_open == 0 &&
                frame->phase_next < end_of_begins(&thread->phases);
    frame->phase_limit = open ? end_of_begins(&thread->phases) : frame->phase_next;
}

/* The first phase of the open frame. */
static void open_frame(fai_thread *thread) {
    fai_phases *phases = &thread->phases;
    phases->frame_index = thread->frame_count + 1;
    phases->count = phases->bytes_peak = phases->lost_open = 0;
    phases->lost_count = 0;
    thread->frame->phase_depth = 0;
    thread->frame->phase_next = phases->first;
    fai_arena_rebase(thread);
    fai_frame_look_closer(thread); /* the end of this frame must end its phases */
}

/* More entries. A hook that is called meanwhile may use some, or grow them itself. */
static fa_status grow(fai_thread *thread) {
    fai_phases *phases = &thread->phases;
    size_t bytes = fai_round_up(phases->capacity * sizeof(fai_phase_entry) * 2, SPAN_BYTES_FIRST);
    bytes = bytes < SPAN_BYTES_FIRST ? SPAN_BYTES_FIRST : bytes;
    fai_span span;
    fa_status status =
        fai_allocator_span_quiet(thread->allocator, bytes, FA_CACHE_LINE, FA_SPAN_META, &span);
    if (status != FA_OK)
        return status;
    if (phases->capacity >= bytes / sizeof(fai_phase_entry)) {
        fai_span_free(&thread->allocator->spans, &span);
        return FA_OK;
    }
    size_t count = phases->first ? (size_t)(thread->frame->phase_next - phases->first) : 0;
    if (count != 0)
        memcpy(span.address, phases->first, count * sizeof(fai_phase_entry));
    if (phases->span.address != NULL)
        fai_span_free(&thread->allocator->spans, &phases->span);
    phases->span = span;
    phases->first = (fai_phase_entry *)span.address;
    phases->capacity = bytes / sizeof(fai_phase_entry);
    thread->frame->phase_next = phases->first + count;
    return FA_OK;
}

/* Appends an entry where there is room; spare: also where only ends may. */
static void note(fai_thread *thread, const char *name, size_t bytes, bool spare) {
    fa_frame *frame = thread->frame;
    const fai_phases *phases = &thread->phases;
    const fai_phase_entry *end =
        spare && phases->first ? phases->first + phases->capacity : end_of_begins(phases);
    if (frame->phase_next < end)
        *frame->phase_next++ =
            (fai_phase_entry){name, bytes, frame->alloc_count, has_clock(thread) ? fai_clock() : 0};
    set_limit(thread);
}

/* The last entry but `back`; NULL when there is none. */
static fai_phase_entry *last_entry(const fai_thread *thread, size_t back) {
    size_t count = (size_t)(thread->frame->phase_next - thread->phases.first);
    return count > back ? thread->frame->phase_next - 1 - back : NULL;
}

/* Notes how high the cursor was since the last entry, if it is lower now and a phase is open. */
static void note_peak(fai_thread *thread) {
    fai_phases *phases = &thread->phases;
    size_t peak = fai_arena_peak(thread);
    if (peak <= fai_arena_used(thread))
        return;
    if (peak > phases->bytes_peak)
        phases->bytes_peak = peak;
    fai_phase_entry *last = last_entry(thread, 0);
    if (last != NULL && last->name == k_peak)
        last->bytes = peak > last->bytes ? peak : last->bytes;
    else if (open_count(thread) != 0)
        note(thread, k_peak, peak, false);
    fai_arena_peak_restart(thread);
}

void fai_phase_rewound(fai_thread *thread) {
    if (!has_phases(thread))
        return;
    size_t used = fai_arena_used(thread);
    note_peak(thread);
    /* A loop of rewinds to one place needs no entry for each. */
    const fai_phase_entry *last = last_entry(thread, 0);
    if (last != NULL && last->name == k_peak)
        last = last_entry(thread, 1);
    bool known = last != NULL && last->name == k_rewound && last->bytes <= used;
    if (!known && open_count(thread) != 0)
        note(thread, k_rewound, used, false);
}

/* ---- begin and end ---- */

/* A phase without an entry: until its end, those inside of it have none either. */
static fa_status lose(fai_thread *thread, fa_status status) {
    fai_phases *phases = &thread->phases;
    if (phases->lost_open++ == 0) {
        phases->depth_inside = thread->frame->phase_depth;
        thread->frame->phase_depth = 0; /* so that ends take the slow path */
    }
    set_limit(thread);
    return phases->lost_count++ == 0
               ? fai_report_span(thread->allocator, status, sizeof(fai_phase_entry))
               : fai_fail(status, sizeof(fai_phase_entry));
}

fa_status fai_phase_begin_slow(fa_frame *frame, const char *name) {
    if (name == NULL)
        return fai_fail(FA_ERROR_INVALID, 0);
    fa_status status = fai_frame_check(frame, 0);
    if (status != FA_OK)
        return status;
    fai_thread *thread = fai_thread_of(frame);
    fai_phases *phases = &thread->phases;
    if (!has_phases(thread))
        open_frame(thread);
    if (phases->lost_open != 0)
        status = FA_ERROR_NO_MEMORY;
    /* Room for this entry, and for one of a peak before it. */
    fai_hold hold = fai_frame_hold(thread);
    while (status == FA_OK &&
           (phases->first == NULL || end_of_begins(phases) - frame->phase_next < 2))
        status = grow(thread);
    fai_frame_unhold(thread, hold);
    if (status != FA_OK)
        return lose(thread, status);
    note_peak(thread);
    note(thread, name, fai_arena_used(thread), false);
    frame->phase_depth++;
    fai_frame_disturb(thread);
    fai_slot.site = NULL;
    return FA_OK;
}

fa_status fai_phase_begin_find(fa_allocator *allocator, const char *name) {
    fa_frame *frame = fai_frame_find(allocator, 0);
    return frame ? (fa_phase_begin_in)(frame, name) : fa_last_error().status;
}

/* Ends the innermost phase; one is open. */
static void end_innermost(fai_thread *thread) {
    fai_phases *phases = &thread->phases;
    fa_frame *frame = thread->frame;
    if (phases->lost_open != 0) {
        if (--phases->lost_open == 0) {
            frame->phase_depth = phases->depth_inside;
            set_limit(thread);
        }
        return;
    }
    note_peak(thread);
    note(thread, NULL, fai_arena_used(thread), true);
    frame->phase_depth--;
}

fa_status fai_phase_end_slow(fa_frame *frame) {
    fa_status status = fai_frame_check(frame, 0);
    if (status != FA_OK)
        return status;
    fai_thread *thread = fai_thread_of(frame);
    if (!has_phases(thread) || (thread->phases.lost_open == 0 && frame->phase_depth == 0))
        return fai_report(thread->allocator, FA_DIAG_FA010, FA_ERROR_INVALID, 0, 0, frame);
    fai_slot.site = NULL;
    end_innermost(thread);
    return FA_OK;
}

fa_status fai_phase_end_find(fa_allocator *allocator) {
    fa_frame *frame = fai_frame_find(allocator, 0);
    return frame ? (fa_phase_end_in)(frame) : fa_last_error().status;
}

void fai_phase_close(fai_thread *thread) {
    if (!has_phases(thread))
        return;
    fai_hold hold = fai_frame_hold(thread);
    size_t count = thread->phases.lost_open + open_count(thread); /* hooks may begin others */
    while (count-- != 0 && thread->phases.lost_open + open_count(thread) != 0) {
        end_innermost(thread);
        fai_report(thread->allocator, FA_DIAG_FA011, FA_OK, 0, 0, thread->frame);
    }
    fai_frame_unhold(thread, hold);
}

void fai_phase_frame_end(fai_thread *thread) {
    fai_phases *phases = &thread->phases;
    fa_frame *frame = thread->frame;
    if (!has_phases(thread))
        return;
    while (phases->lost_open + open_count(thread) != 0)
        end_innermost(thread);
    phases->count = (size_t)(frame->phase_next - phases->first);
    frame->phase_next = frame->phase_limit = NULL;
}

/* ---- reading ---- */

/* The log that the calling thread may read. */
typedef struct fai_log {
    const fai_thread *thread;
    const fai_phase_entry *first, *end;
} fai_log;

static bool open_log(fa_allocator *allocator, fai_log *log) {
    memset(log, 0, sizeof *log);
    if (allocator == NULL)
        fai_fail(FA_ERROR_INVALID, 0);
    const fai_thread *thread = allocator ? fai_thread_find(allocator) : NULL;
    if (thread == NULL)
        return false;
    const fai_phases *phases = &thread->phases;
    bool open = fai_frame_is_open(thread);
    if (phases->frame_index == 0 || phases->frame_index != thread->frame_count + open)
        return false;
    log->thread = thread;
    log->first = phases->first;
    log->end = open ? thread->frame->phase_next : phases->first + phases->count;
    return true;
}

size_t fai_phase_position(const fai_thread *thread) {
    return has_phases(thread) ? (size_t)(thread->frame->phase_next - thread->phases.first) : 0;
}

/* The begin with that number; NULL when there are fewer. */
static const fai_phase_entry *find_begin(const fai_log *log, size_t index) {
    for (const fai_phase_entry *entry = log->first; entry != log->end; entry++)
        if (is_begin(entry) && index-- == 0)
            return entry;
    return NULL;
}

/* The begin of the phase around the one that begins at entry; NULL: none. */
static const fai_phase_entry *find_parent(const fai_log *log, const fai_phase_entry *entry) {
    for (size_t inside = 0; entry != log->first;) {
        entry--;
        if (entry->name == NULL)
            inside++;
        else if (is_begin(entry) && inside-- == 0)
            return entry;
    }
    return NULL;
}

const char *fai_phase_name_at(const fai_thread *thread, size_t position) {
    fai_log log;
    if (position == 0 || !open_log(thread->allocator, &log))
        return NULL;
    const fai_phase_entry *begin = find_parent(&log, log.first + position);
    return begin ? begin->name : NULL;
}

/* Sees everything that happens to one phase. */
typedef struct measure {
    size_t start, top, peak;
} measure;

static void settle_peak(measure *phase) {
    if (phase->top - phase->start > phase->peak)
        phase->peak = phase->top - phase->start;
}

static void see(measure *phase, const fai_phase_entry *entry) {
    if (entry->name == k_rewound && entry->bytes < phase->start) {
        settle_peak(phase);
        phase->start = phase->top = entry->bytes;
    }
    if (entry->bytes > phase->top)
        phase->top = entry->bytes;
}

static void read_phase(const fai_log *log, const fai_phase_entry *begin, fa_phase *result) {
    measure phase = {begin->bytes, begin->bytes, 0};
    const fai_phase_entry *end = begin + 1;
    for (size_t inside = 0; end != log->end; end++) {
        see(&phase, end);
        if (end->name == NULL && inside-- == 0)
            break;
        inside += is_begin(end);
    }
    bool open = end == log->end && fai_frame_is_open(log->thread);
    fai_phase_entry last = end != log->end ? *end : log->end[-1];
    if (open) {
        last =
            (fai_phase_entry){k_peak, fai_arena_peak(log->thread), log->thread->frame->alloc_count,
                              has_clock(log->thread) ? fai_clock() : 0};
        see(&phase, &last);
        last.bytes = fai_arena_used(log->thread);
    }
    settle_peak(&phase);
    *result = (fa_phase){.name = begin->name,
                         .parent = FA_PHASE_NONE,
                         .count = 1,
                         .bytes = last.bytes > phase.start ? last.bytes - phase.start : 0,
                         .bytes_peak = phase.peak,
                         .alloc_count = last.alloc_count - begin->alloc_count,
                         .nanoseconds =
                             has_clock(log->thread) ? last.nanoseconds - begin->nanoseconds : 0,
                         .is_open = open};
    const fai_phase_entry *parent = find_parent(log, begin);
    if (parent != NULL) {
        result->parent = 0;
        for (const fai_phase_entry *entry = log->first; entry != parent; entry++)
            result->parent += is_begin(entry);
    }
    for (; parent != NULL; parent = find_parent(log, parent))
        result->depth++;
}

size_t fa_phase_count(fa_allocator *allocator) {
    fai_log log;
    size_t count = 0;
    if (open_log(allocator, &log))
        for (const fai_phase_entry *entry = log.first; entry != log.end; entry++)
            count += is_begin(entry);
    return count;
}

uint64_t fa_phase_lost_count(fa_allocator *allocator) {
    fai_log log;
    return open_log(allocator, &log) ? log.thread->phases.lost_count : 0;
}

fa_status fa_phase_get(fa_allocator *allocator, size_t index, fa_phase *phase) {
    if (phase != NULL)
        memset(phase, 0, sizeof *phase);
    fai_log log;
    const fai_phase_entry *begin =
        phase && open_log(allocator, &log) ? find_begin(&log, index) : NULL;
    if (begin == NULL)
        return fai_fail(FA_ERROR_INVALID, index);
    read_phase(&log, begin, phase);
    return FA_OK;
}

static bool is_inside_of_same(const fai_log *log, const fai_phase_entry *begin) {
    const fai_phase_entry *each = find_parent(log, begin);
    while (each != NULL && strcmp(each->name, begin->name) != 0)
        each = find_parent(log, each);
    return each != NULL;
}

fa_status fa_phase_find(fa_allocator *allocator, const char *name, fa_phase *phase) {
    if (phase != NULL)
        memset(phase, 0, sizeof *phase);
    fai_log log;
    if (name == NULL || phase == NULL || !open_log(allocator, &log))
        return fai_fail(FA_ERROR_INVALID, 0);
    for (const fai_phase_entry *entry = log.first; entry != log.end; entry++) {
        if (!is_begin(entry) || strcmp(entry->name, name) != 0 || is_inside_of_same(&log, entry))
            continue;
        fa_phase one;
        read_phase(&log, entry, &one);
        if (phase->count == 0) {
            *phase = one;
            continue;
        }
        phase->count++;
        phase->bytes += one.bytes;
        phase->alloc_count += one.alloc_count;
        phase->nanoseconds += one.nanoseconds;
        phase->is_open |= one.is_open;
        if (one.bytes_peak > phase->bytes_peak)
            phase->bytes_peak = one.bytes_peak;
    }
    return phase->count != 0 ? FA_OK : fai_fail(FA_ERROR_INVALID, 0);
}

const char *fa_phase_current(fa_allocator *allocator) {
    fai_log log;
    if (!open_log(allocator, &log) || !fai_frame_is_open(log.thread))
        return NULL;
    const fai_phase_entry *open = find_parent(&log, log.end);
    return open ? open->name : NULL;
}

/* ---- text ---- */

size_t fa_phase_format(fa_allocator *allocator, char *text, size_t text_bytes) {
    fai_writer out = fai_writer_begin(text, text_bytes);
    fai_log log;
    if (!open_log(allocator, &log))
        return 0;
    fai_put(&out, "%-32s %12s %12s %10s %12s\n", "phase", "bytes", "peak", "allocs", "us");
    for (const fai_phase_entry *entry = log.first; entry != log.end; entry++) {
        if (!is_begin(entry))
            continue;
        fa_phase phase;
        read_phase(&log, entry, &phase);
        int indent = (int)(phase.depth < 12 ? phase.depth * 2 : 24);
        fai_put(&out, "%*s%-*s %12zu %12zu %10" PRIu64, indent, "", 32 - indent, phase.name,
                phase.bytes, phase.bytes_peak, phase.alloc_count);
        if (has_clock(log.thread))
            fai_put(&out, " %12.1f", (double)phase.nanoseconds / 1000);
        else
            fai_put(&out, " %12s", "-");
        fai_put(&out, "%s\n", phase.is_open ? " open" : "");
    }
    uint64_t lost_count = log.thread->phases.lost_count;
    if (lost_count != 0)
        fai_put(&out, "and %" PRIu64 " phases for which there was no memory\n", lost_count);
    return out.length;
}
