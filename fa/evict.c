/* Who goes when there is no room: reservations, trimming, the reclaimer. */
#include "fa/internal/clock.h"
#include "fa/internal/heap.h"
#include "fa/internal/stream.h"
#include "fa/internal/thread.h"

#include <string.h>

#define NO_SLOT FAI_STREAM_NO_SLOT

static void lock(fa_streams *streams) { fai_streams_lock(streams); }
static void unlock(fa_streams *streams) { fai_streams_unlock(streams); }

/* ---- who may go; under the lock ---- */

static bool is_kept(const fa_streams *streams, const fai_stream *stream) {
    return streams->frame - stream->frame_used < streams->config.frames_kept;
}

/* The oldest of a priority that may go, or NO_SLOT. */
static uint32_t oldest(const fa_streams *streams, int priority) {
    uint32_t index = streams->list[priority].oldest;
    return index != NO_SLOT && is_kept(streams, fai_stream_at(streams, index)) ? NO_SLOT : index;
}

/* The one that goes first. Critical ones never do. */
static uint32_t first_victim(const fa_streams *streams) {
    for (int priority = FA_STREAM_LOW; priority < FA_STREAM_CRITICAL; priority++) {
        uint32_t index = oldest(streams, priority);
        if (index != NO_SLOT)
            return index;
    }
    return NO_SLOT;
}

/* The next one of that priority. */
static uint32_t next_victim(const fa_streams *streams, uint32_t index) {
    uint32_t next = fai_stream_at(streams, index)->newer;
    return next != NO_SLOT && is_kept(streams, fai_stream_at(streams, next)) ? NO_SLOT : next;
}

/* Bytes of the first victims for a reservation of a priority that are at least `bytes` together; 0
 * when there are not so many. */
static size_t victims_for(const fa_streams *streams, size_t bytes, int priority) {
    size_t found = 0, listed = 0;
    for (int from = FA_STREAM_LOW; from <= priority && from < FA_STREAM_CRITICAL; from++)
        listed += streams->list[from].bytes;
    if (listed < bytes)
        return 0;
    for (int from = FA_STREAM_LOW; from <= priority && from < FA_STREAM_CRITICAL; from++)
        for (uint32_t at = oldest(streams, from); at != NO_SLOT; at = next_victim(streams, at)) {
            found += fai_stream_at(streams, at)->size;
            if (found >= bytes)
                return found;
        }
    return 0;
}

/* Takes the first victim out of its list: nobody finds it any more. Returns it. */
static uint32_t condemn(fa_streams *streams) {
    uint32_t index = first_victim(streams);
    if (index == NO_SLOT)
        return NO_SLOT;
    fai_stream *stream = fai_stream_at(streams, index);
    fai_stream_unlink(streams, stream);
    stream->newer = NO_SLOT;
    fai_stream_set_state(streams, stream, FA_STREAM_EVICTING);
    return index;
}

/* The same for the first victims that are `bytes` together, as a chain by newer. */
static uint32_t condemn_all(fa_streams *streams, size_t bytes) {
    uint32_t first = NO_SLOT, last = NO_SLOT;
    while (bytes != 0) {
        uint32_t index = condemn(streams);
        bytes -= fai_stream_at(streams, index)->size;
        if (last == NO_SLOT)
            first = index;
        else
            fai_stream_at(streams, last)->newer = index;
        last = index;
    }
    return first;
}

/* ---- going; no lock is held ---- */

void fai_stream_tell(fa_streams *streams, const fai_stream *copy, fa_evict_cause cause) {
    fa_eviction eviction = {.streams = streams,
                            .stream = copy->id,
                            .item = copy->item,
                            .block = copy->block,
                            .size = copy->size,
                            .priority = (fa_stream_priority)copy->priority,
                            .cause = cause};
    if (streams->config.on_evict == NULL)
        return;
    fai_callback outer = fai_callback_begin();
    streams->config.on_evict(streams->config.on_evict_user, &eviction);
    fai_callback_end(outer);
}

/* Evicts a chain of condemned ones. What a reservation evicts stays charged: it is what it waits
 * for. With the lock held, that is let go on the way; the slot of the last one is free then. */
static size_t evict_locked(fa_streams *streams, uint32_t first, fa_evict_cause cause) {
    size_t bytes = 0;
    while (first != NO_SLOT) {
        fai_stream *stream = fai_stream_at(streams, first), copy = *stream;
        stream->block = NULL;
        fai_streams_step_out(streams);
        fai_stream_tell(streams, &copy, cause);
        fai_heap_give(streams->allocator, copy.block, SIZE_MAX);
        fai_streams_step_in(streams);
        fai_stream_drop(streams, stream);
        if (cause == FA_EVICT_ROOM) {
            streams->claimed += copy.size;
        } else {
            streams->charged -= copy.size;
            streams->leaving -= copy.size;
        }
        streams->evict_count++;
        streams->evict_bytes += copy.size;
        bytes += copy.size;
        first = copy.newer;
    }
    return bytes;
}

/* Evicts one by one until `target` bytes are used at most, or a bound is reached; 0: no bound. */
static size_t evict_down(fa_streams *streams, size_t target, size_t bytes_bound,
                         uint64_t nanoseconds_bound, fa_evict_cause cause) {
    uint64_t start = nanoseconds_bound != 0 ? fai_clock() : 0;
    size_t bytes = 0;
    do {
        lock(streams);
        uint32_t index = NO_SLOT;
        if (streams->charged - streams->leaving > target)
            index = condemn(streams);
        if (index != NO_SLOT)
            streams->leaving += fai_stream_at(streams, index)->size;
        bytes += evict_locked(streams, index, cause);
        unlock(streams);
        if (index == NO_SLOT)
            break;
    } while ((bytes_bound == 0 || bytes < bytes_bound) &&
             (nanoseconds_bound == 0 || fai_clock() - start < nanoseconds_bound));
    return bytes;
}

size_t fa_streams_trim(fa_streams *streams, size_t bytes_target, size_t step_bytes,
                       uint64_t step_nanoseconds) {
    if (streams == NULL) {
        fai_fail(FA_ERROR_INVALID, 0);
        return 0;
    }
    return evict_down(streams, bytes_target, step_bytes, step_nanoseconds, FA_EVICT_TRIM);
}

fa_status fa_streams_set_budget(fa_streams *streams, size_t bytes_max) {
    if (streams == NULL || bytes_max > FA_SIZE_MAX)
        return fai_fail(FA_ERROR_INVALID, bytes_max);
    lock(streams);
    streams->bytes_max = bytes_max;
    unlock(streams);
    evict_down(streams, bytes_max, 0, 0, FA_EVICT_TRIM);
    lock(streams);
    size_t used = streams->charged - streams->leaving;
    unlock(streams);
    if (used <= bytes_max)
        return FA_OK;
    return fai_report(streams->allocator, FA_DIAG_FA631, FA_ERROR_LIMIT, used - bytes_max,
                      bytes_max, NULL);
}

size_t fai_streams_reclaim(void *user, fa_allocator *allocator, size_t size) {
    (void)allocator;
    return evict_down((fa_streams *)user, 0, size != 0 ? size : 1, 0, FA_EVICT_RECLAIM);
}

/* ---- reservations ---- */

/* Slots of the block that comes after `count` slots. */
static uint32_t block_slots(const fa_streams *streams, uint32_t count) {
    uint32_t slots = count + FAI_STREAM_SLOTS_FIRST; /* blocks double */
    size_t most = streams->config.count_max - count;
    return slots < most ? slots : (uint32_t)most;
}

/* Takes memory for that block, all its slots free and linked. NULL with the reason reported. */
static fai_stream *make_block(fa_streams *streams, uint32_t count) {
    uint32_t slots = block_slots(streams, count);
    fai_stream *block =
        (fai_stream *)fai_heap_zeroed(streams->allocator, slots, sizeof *block, FA_TAG_ROOT);
    for (uint32_t i = 0; i < slots && block != NULL; i++) {
        block[i].id = count + i;
        block[i].newer = count + i + 1;
    }
    return block;
}

/* Puts it in; false where another thread was faster. Under the lock. */
static bool add_block(fa_streams *streams, uint32_t count, fai_stream *block) {
    if (streams->slot_count != count)
        return false;
    uint32_t slots = block_slots(streams, count), at = 0;
    while (streams->blocks[at] != NULL)
        at++;
    streams->blocks[at] = block;
    block[slots - 1].newer = streams->slot_free;
    streams->slot_free = count;
    streams->slot_count += slots;
    return true;
}

/* Locks when a slot is free, which it makes where there may be more; or when there are as many as
 * there may be. Else answers why not. */
static fa_status lock_with_slot(fa_streams *streams) {
    for (;;) {
        lock(streams);
        uint32_t count = streams->slot_count;
        bool is_ending = streams->count_max == 0;
        if (!is_ending && (streams->slot_free != NO_SLOT || count >= streams->count_max))
            return FA_OK;
        streams->refused_count += is_ending;
        unlock(streams);
        if (is_ending)
            return fai_fail(FA_ERROR_FULL, 0);
        fai_stream *block = make_block(streams, count);
        if (block == NULL)
            return fa_last_error().status;
        lock(streams);
        bool added = add_block(streams, count, block);
        unlock(streams);
        if (!added)
            fai_heap_give(streams->allocator, block, SIZE_MAX);
    }
}

/* A free slot for a stream whose room is not there yet. Under the lock. */
static fai_stream *take_slot(fa_streams *streams, const fai_stream *request) {
    static uint64_t newest; /* of the process */
    uint32_t index = streams->slot_free;
    fai_stream *stream = fai_stream_at(streams, index);
    streams->slot_free = stream->newer;
    *stream = *request;
    stream->frame_used = streams->frame;
    uint64_t number = FAI_ADD_RELAXED(&newest, 1) + 1;
    stream->id = number << FAI_STREAM_INDEX_BITS | index;
    fai_stream_set_state(streams, stream, FAI_STREAM_CLAIMED);
    return stream;
}

/* Under the lock: makes room for size bytes more and a slot, as far as that can be done at once.
 * evicted: gets the bytes of the chain that is to be evicted before the room is there. Else answers
 * why there is none, and nothing was changed. */
static fa_status claim(fa_streams *streams, size_t size, int priority, size_t *evicted,
                       uint32_t *chain) {
    size_t all = streams->charged + size, lacking = 0;
    bool is_full = streams->slot_free == NO_SLOT;
    *evicted = 0;
    *chain = NO_SLOT;
    if (all > streams->bytes_max)
        lacking = all - streams->bytes_max;
    if (lacking != 0 || is_full) {
        *evicted = victims_for(streams, lacking != 0 ? lacking : 1, priority);
        if (*evicted == 0) {
            streams->refused_count++;
            return lacking != 0 ? FA_ERROR_LIMIT : FA_ERROR_FULL;
        }
        *chain = condemn_all(streams, *evicted);
    }
    if (size > *evicted) {
        fai_streams_charge(streams, size - *evicted);
        streams->claimed += size - *evicted;
    } else {
        streams->leaving += *evicted - size;
    }
    streams->claim_count++;
    return FA_OK;
}

/* The room is there. Under the lock. */
static void settle(fa_streams *streams, fai_stream *stream, size_t evicted) {
    size_t size = stream->size;
    if (evicted > size) {
        streams->charged -= evicted - size;
        streams->leaving -= evicted - size;
        streams->claimed -= evicted - size;
    }
    streams->claimed -= size;
    streams->claim_count--;
    fai_stream_set_state(streams, stream, FA_STREAM_RESERVED);
    streams->live_count++;
    streams->reserve_count++;
}

fa_stream(fa_stream_reserve)(fa_streams *streams, size_t size, size_t align,
                             fa_stream_priority priority, void *item) {
    if (align < FA_ALIGN_MIN && fai_is_power_of_two(align))
        align = FA_ALIGN_MIN;
    if (streams == NULL || !fai_is_request(size, align) ||
        (unsigned)priority >= FA_STREAM_PRIORITY_COUNT) {
        fai_fail(FA_ERROR_INVALID, size);
        return FA_STREAM_NONE;
    }
    if (lock_with_slot(streams) != FA_OK)
        return FA_STREAM_NONE;
    size_t evicted;
    uint32_t chain;
    fa_status status = claim(streams, size, (int)priority, &evicted, &chain);
    if (status != FA_OK) {
        size_t bytes_max = streams->bytes_max;
        unlock(streams);
        if (status == FA_ERROR_LIMIT)
            fai_report(streams->allocator, FA_DIAG_FA631, status, size, bytes_max, NULL);
        else
            fai_fail(status, size);
        return FA_STREAM_NONE;
    }
    fai_stream request = {
        .item = item, .size = size, .align = (uint32_t)align, .priority = (uint8_t)priority};
    fai_stream *stream = NULL;
    if (streams->slot_free != NO_SLOT)
        stream = take_slot(streams, &request);
    evict_locked(streams, chain, FA_EVICT_ROOM);
    if (stream == NULL) /* the one of the last that was evicted */
        stream = take_slot(streams, &request);
    settle(streams, stream, evicted);
    fa_stream id = stream->id;
    unlock(streams);
    fai_slot.site = NULL;
    return id;
}
