#include "fa/internal/park.h"

#include "fa/internal/arena.h"
#include "fa/internal/frame.h"
#include "fa/internal/note.h"

#include <string.h>

#define BLOCK_BYTES ((size_t)4096)

/* ---- records ---- */

typedef struct fai_parking_block {
    struct fai_parking_block *next;
    fai_span span;
    fai_parking parking; /* of the first one */
    fai_parked record[];
} fai_parking_block;

/* Adds a block of records. False with the reason reported. May call hooks. */
static bool grow(fai_thread *thread) {
    fai_span span;
    if (fai_allocator_span(thread->allocator, BLOCK_BYTES, 64, FA_SPAN_META, &span) != FA_OK)
        return false;
    fai_parking_block *block = (fai_parking_block *)span.address;
    memset(block, 0, BLOCK_BYTES);
    block->span = span;
    if (thread->parking == NULL) {
        block->parking.late_at = UINT64_MAX;
        block->parking.surplus = SIZE_MAX;
        FAI_STORE_RELEASE(&thread->parking, &block->parking); /* stats read it */
    }
    fai_parking *parking = thread->parking;
    block->next = parking->blocks;
    parking->blocks = block;
    size_t count = (BLOCK_BYTES - sizeof *block) / sizeof *block->record;
    for (size_t i = 0; i < count; i++) {
        block->record[i].next = parking->spare;
        parking->spare = &block->record[i];
    }
    return true;
}

static bool has_memory(const fai_arena *arena) {
    return arena->first != NULL || arena->promoted.count != 0;
}

/* Of two points of one timeline the later one says it all. */
static void add_point(fai_parked *parked, const fa_timeline_point *point) {
    for (size_t i = 0; i < parked->point_count; i++)
        if (parked->point[i].timeline == point->timeline) {
            if (parked->point[i].value < point->value)
                parked->point[i].value = point->value;
            return;
        }
    parked->point[parked->point_count++] = *point;
}

fai_parked *fai_park_prepare(fai_thread *thread, const fa_timeline_point *point, size_t count) {
    while (thread->parking == NULL || thread->parking->spare == NULL) {
        fai_hold hold = fai_frame_hold(thread);
        bool grown = grow(thread);
        fai_frame_unhold(thread, hold);
        if (!grown)
            return NULL;
    }
    fai_parked *parked = thread->parking->spare;
    thread->parking->spare = parked->next;
    for (size_t i = 0; i < count; i++)
        add_point(parked, &point[i]);
    parked->is_named = has_memory(thread->arena);
    for (size_t i = 0; i < parked->point_count; i++)
        fai_timeline_await(&parked->point[i], parked->is_named);
    return parked;
}

static void put_spare(fai_parking *parking, fai_parked *parked) {
    parking->in_hand = NULL;
    parked->next = parking->spare;
    parking->spare = parked;
}

static void forget_points(fai_parked *parked) {
    for (size_t i = 0; i < parked->point_count; i++)
        fai_timeline_forget(&parked->point[i]);
    parked->point_count = 0;
}

/* ---- in and out ---- */

static void exchange_arena(fai_arena *one, fai_arena *other) {
    fai_arena arena = *one;
    *one = *other;
    *other = arena;
}

static void set_amounts(fai_parking *parking, size_t count, size_t bytes) {
    FAI_STORE_RELAXED(&parking->count, count);
    FAI_STORE_RELAXED(&parking->bytes, bytes);
}

/* The first chunk of a new arena holds what frames needed of late: more at once, less by and by. */
static void learn(fai_parking *parking, size_t peak) {
    size_t need = fai_round_up(peak + peak / 4 + FAI_CHUNK_HEADER, BLOCK_BYTES);
    size_t plan = parking->bytes_plan;
    parking->bytes_plan = need >= plan ? need : plan - (plan - need) / 16;
}

size_t fai_park_plan(const fai_thread *thread) {
    return thread->parking != NULL ? thread->parking->bytes_plan & ~(BLOCK_BYTES - 1) : 0;
}

/* From which frame on it is late. */
static uint64_t late_at(const fai_parked *parked) {
    uint64_t least = UINT64_MAX;
    for (size_t i = 0; i < parked->point_count; i++) {
        uint64_t patience = fai_timeline_patience(parked->point[i].timeline);
        least = patience < least ? patience : least;
    }
    return least == UINT64_MAX ? least : parked->frame_index + least;
}

void fai_park_commit(fai_thread *thread, fai_parked *parked, size_t used, size_t peak) {
    fai_parking *parking = thread->parking;
    if (!has_memory(thread->arena)) { /* nothing to keep */
        forget_points(parked);
        put_spare(parking, parked);
        return;
    }
    for (size_t i = 0; !parked->is_named && i < parked->point_count; i++) /* of a clean-up */
        fai_timeline_name_value(&parked->point[i], true);
    exchange_arena(&parked->arena, thread->arena);
    parked->next = NULL;
    parked->bytes = used;
    parked->frame_index = thread->frame_count + 1;
    parked->ready_at = thread->frame_count + thread->allocator->config.frames_in_flight;
    parked->late_at = late_at(parked);
    if (parking->oldest == NULL)
        parking->oldest = parked;
    else
        parking->newest->next = parked;
    parking->newest = parked;
    set_amounts(parking, parking->count + 1, parking->bytes + used);
    if (parked->late_at < parking->late_at)
        parking->late_at = parked->late_at;
    learn(parking, peak);
}

static bool is_due(const fai_thread *thread, const fai_parked *parked) {
    if (thread->frame_count < parked->ready_at)
        return false;
    for (size_t i = 0; i < parked->point_count; i++)
        if (!fai_timeline_is_due(&parked->point[i]))
            return false;
    return true;
}

/* Takes the oldest one that is due off the list, into the hand; NULL where none is. O(those that
 * are not) */
static fai_parked *take_due(fai_thread *thread) {
    fai_parking *parking = thread->parking;
    fai_parked *before = NULL, *parked = parking->oldest;
    while (parked != NULL && !is_due(thread, parked)) {
        before = parked;
        parked = parked->next;
    }
    if (parked == NULL)
        return NULL;
    *(before != NULL ? &before->next : &parking->oldest) = parked->next;
    if (parking->newest == parked)
        parking->newest = before;
    parking->in_hand = parked;
    set_amounts(parking, parking->count - 1, parking->bytes - parked->bytes);
    return parked;
}

/* Its memory is dead. by_owner: on the thread that uses the state, which stays. */
static void bury(fai_thread *thread, fai_parked *parked, bool by_owner) {
    if (thread->allocator->watched)
        fai_note_bury(thread, &parked->arena);
    if (by_owner)
        fai_meter_bury(thread, &parked->arena);
    else
        fai_meter_bury_afar(thread, &parked->arena);
    forget_points(parked);
}

/* ---- the beginning of a frame ---- */

/* Says of one that it is late; which point it waits for, and has waited for too long. */
static void report_late(const fai_thread *thread, fai_parked *parked) {
    for (size_t i = 0; i < parked->point_count; i++) {
        const fa_timeline_point *point = &parked->point[i];
        uint64_t patience = fai_timeline_patience(point->timeline);
        if (thread->frame_count - parked->frame_index < patience || fai_timeline_is_due(point))
            continue;
        fai_timeline_report_late(point, parked->bytes);
        parked->late_at = UINT64_MAX;
        return;
    }
}

static void look_for_late(fai_thread *thread) {
    fai_parking *parking = thread->parking;
    uint64_t next = UINT64_MAX;
    for (fai_parked *parked = parking->oldest; parked; parked = parked->next) {
        if (thread->frame_count >= parked->late_at)
            report_late(thread, parked);
        next = parked->late_at < next ? parked->late_at : next;
    }
    parking->late_at = next;
}

/* How many more are due than were needed: of all begins since the last trim, the least. Those that
 * wait for another timeline may be older. */
static void count_surplus(fai_thread *thread) {
    fai_parking *parking = thread->parking;
    size_t count = 0;
    for (const fai_parked *parked = parking->oldest; parked != NULL && count < parking->surplus;
         parked = parked->next)
        count += is_due(thread, parked);
    parking->surplus = count;
}

void fai_park_begin(fai_thread *thread, fai_arena *arena) {
    fai_parking *parking = thread->parking;
    if (!fai_park_is_used(thread) || parking->is_busy)
        return;
    parking->is_busy = true;
    fai_parked *parked = NULL;
    if (!has_memory(arena))
        parked = take_due(thread);
    if (parked != NULL) {
        bury(thread, parked, true);
        exchange_arena(arena, &parked->arena);
        put_spare(parking, parked);
    }
    if (thread->frame_count >= parking->late_at)
        look_for_late(thread);
    count_surplus(thread);
    parking->is_busy = false;
}

/* ---- giving back ---- */

/* What the chunks of an arena hold. */
static size_t chunk_bytes(const fai_arena *arena) {
    size_t bytes = 0;
    for (const fai_chunk *chunk = arena->first; chunk; chunk = chunk->next)
        bytes += chunk->span.size;
    return bytes;
}

/* Gives back at most count that are due. Returns the bytes of their chunks. */
static size_t release_due(fai_thread *thread, size_t count, bool by_owner) {
    fai_parking *parking = thread->parking;
    size_t bytes = 0;
    if (parking->is_busy)
        return 0;
    parking->is_busy = true;
    for (fai_parked *parked; count != 0 && (parked = take_due(thread)) != NULL; count--) {
        bury(thread, parked, by_owner);
        bytes += chunk_bytes(&parked->arena);
        fai_arena_release(thread, &parked->arena);
        if (parked->arena.first != NULL) { /* sealed: it stays, as the newest */
            bytes -= chunk_bytes(&parked->arena);
            fai_arena_reset(&parked->arena);
            parking->in_hand = NULL;
            parked->next = NULL;
            *(parking->oldest != NULL ? &parking->newest->next : &parking->oldest) = parked;
            parking->newest = parked;
            set_amounts(parking, parking->count + 1, parking->bytes + parked->bytes);
            break;
        }
        fai_arena_reset(&parked->arena);
        put_spare(parking, parked);
    }
    parking->is_busy = false;
    return bytes;
}

void fai_park_settle(fai_thread *thread) {
    fai_parking *parking = thread->parking;
    if (parking == NULL || parking->is_busy)
        return;
    for (fai_parked *parked = parking->oldest; parked; parked = parked->next)
        parked->arena.trim_due = true; /* when it is taken again */
    if (parking->surplus != SIZE_MAX && !FAI_LOAD_RELAXED(&thread->allocator->spans.sealed))
        (void)release_due(thread, parking->surplus, true);
    parking->surplus = SIZE_MAX;
}

size_t fai_park_trim(fai_thread *thread) {
    if (!fai_park_is_used(thread) || FAI_LOAD_RELAXED(&thread->allocator->spans.sealed))
        return 0;
    fai_hold hold = fai_frame_hold(thread);
    size_t bytes = release_due(thread, SIZE_MAX, true);
    fai_frame_unhold(thread, hold);
    return bytes;
}

/* Moves the idle states with parked frames to another list: while they are looked at, nobody may
 * begin to use them. The child of a fork finds those that other threads were at there, and leaves
 * them alone until the allocator goes. */
static fai_thread *take_idle(fa_allocator *allocator) {
    fai_thread *taken = NULL;
    fai_lock(allocator);
    for (fai_thread **link = &allocator->idle, *thread; (thread = *link) != NULL;) {
        if (!fai_park_is_used(thread)) {
            link = &thread->next;
            continue;
        }
        *link = thread->next;
        thread->next = allocator->trimmed;
        allocator->trimmed = thread;
        thread->parking->trim_next = taken;
        taken = thread;
    }
    fai_unlock(allocator);
    return taken;
}

static void put_back(fa_allocator *allocator, fai_thread *thread) {
    fai_lock(allocator);
    fai_thread **link = &allocator->trimmed;
    while (*link != thread)
        link = &(*link)->next;
    *link = thread->next;
    thread->next = allocator->idle;
    allocator->idle = thread;
    fai_unlock(allocator);
}

size_t fai_park_trim_idle(fa_allocator *allocator) {
    size_t bytes = 0;
    if (FAI_LOAD_RELAXED(&allocator->spans.sealed))
        return 0;
    fai_thread *thread = take_idle(allocator);
    if (thread == NULL)
        return 0;
    /* Counters of timelines are asked, in the middle of what the caller does with its own state. */
    fai_thread *own = fai_thread_find(allocator);
    fai_hold hold = {0};
    if (own != NULL)
        hold = fai_frame_hold(own);
    for (fai_thread *next; thread; thread = next) {
        next = thread->parking->trim_next;
        bytes += release_due(thread, SIZE_MAX, false);
        put_back(allocator, thread);
    }
    if (own != NULL)
        fai_frame_unhold(own, hold);
    return bytes;
}

/* ---- beginning and end of a thread ---- */

void fai_park_attach(fai_thread *thread) {
    fai_parking *parking = thread->parking;
    if (parking == NULL)
        return;
    parking->late_at = UINT64_MAX;
    parking->surplus = SIZE_MAX;
    for (fai_parked *parked = parking->oldest; parked; parked = parked->next) {
        parked->frame_index = parked->ready_at = 0;
        if (parked->late_at != UINT64_MAX) /* not said yet */
            parked->late_at = late_at(parked);
        if (parked->late_at < parking->late_at)
            parking->late_at = parked->late_at;
    }
}

void fai_park_bury(fai_thread *thread) {
    fai_parking *parking = thread->parking;
    for (fai_parked *parked = parking ? parking->oldest : NULL; parked; parked = parked->next) {
        fai_meter_bury_afar(thread, &parked->arena);
        forget_points(parked);
    }
}

static void free_record(fai_thread *thread, fai_parked *parked) {
    fai_arena_release(thread, &parked->arena);
    if (parked->arena.promoted.span.address != NULL)
        fai_span_free(&thread->allocator->spans, &parked->arena.promoted.span);
}

void fai_park_free(fai_thread *thread) {
    fai_parking *parking = thread->parking;
    if (parking == NULL)
        return;
    for (fai_parked *parked = parking->oldest; parked; parked = parked->next)
        free_record(thread, parked);
    for (fai_parked *parked = parking->spare; parked; parked = parked->next)
        free_record(thread, parked);
    for (fai_parking_block *block = parking->blocks, *next; block; block = next) {
        next = block->next;
        fai_span span = block->span;
        fai_span_free(&thread->allocator->spans, &span);
    }
    thread->parking = NULL;
}

/* ---- looking ---- */

bool fai_park_owns(const fai_thread *thread, const void *pointer) {
    const char *byte = (const char *)pointer;
    const fai_parked *parked = thread->parking != NULL ? thread->parking->oldest : NULL;
    for (; parked != NULL; parked = parked->next)
        for (const fai_chunk *chunk = parked->arena.first; chunk; chunk = chunk->next) {
            if (byte >= fai_chunk_start(chunk) && byte < chunk->used_end)
                return true;
            if (chunk == parked->arena.current)
                break;
        }
    return false;
}

const void *fai_park_validate(const fai_thread *thread, size_t *bytes) {
    const fai_parking *parking = thread->parking;
    size_t count = 0, used = 0;
    const fai_parked *newest = NULL;
    if (parking == NULL)
        return NULL;
    for (const fai_parked *parked = parking->oldest; parked; parked = parked->next) {
        const void *wrong = fai_arena_validate(&parked->arena, bytes);
        if (wrong != NULL || parked->point_count > FA_TIMELINE_POINT_COUNT_MAX)
            return wrong != NULL ? wrong : parked;
        newest = parked;
        count++;
        used += parked->bytes;
    }
    if (parking->in_hand != NULL) { /* a hook looks */
        const void *wrong = fai_arena_validate(&parking->in_hand->arena, bytes);
        if (wrong != NULL)
            return wrong;
    }
    for (const fai_parked *parked = parking->spare; parked; parked = parked->next)
        if (parked->arena.first != NULL || parked->point_count != 0)
            return parked;
    bool is_sound = count == parking->count && used == parking->bytes &&
                    (count == 0 || newest == parking->newest);
    return is_sound ? NULL : parking;
}
