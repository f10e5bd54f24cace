/* Who goes when there is no room: reservations, trimming, the reclaimer. */
#define _GNU_SOURCE /* clock_gettime */
#include "fa/internal/heap.h"
#include "fa/internal/stream.h"
#include "fa/internal/thread.h"

#include <string.h>
#include <time.h>

#define SLOTS_FIRST 64
#define NO_SLOT FAI_STREAM_NO_SLOT

static void lock(fa_streams *streams) { fai_streams_lock(streams); }
static void unlock(fa_streams *streams) { fai_streams_unlock(streams); }

static uint64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

/* ---- who may go; under the lock ---- */

static bool is_kept(const fa_streams *streams, const fai_stream *stream) {
    return streams->frame - stream->frame_used < streams->config.frames_kept;
}

/* The oldest of a priority that may go, or NO_SLOT. */
static uint32_t oldest(const fa_streams *streams, int priority) {
    uint32_t index = streams->list[priority].oldest;
    return index != NO_SLOT && is_kept(streams, &streams->slots[index]) ? NO_SLOT : index;
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
    uint32_t next = streams->slots[index].newer;
    return next != NO_SLOT && is_kept(streams, &streams->slots[next]) ? NO_SLOT : next;
}

/* Bytes of the first victims for a reservation of a priority that are at least `bytes` together; 0
 * when there are not so many. */
static size_t victims_for(const fa_streams *streams, size_t bytes, int priority) {
    size_t found = 0;
    for (int from = FA_STREAM_LOW; from <= priority && from < FA_STREAM_CRITICAL; from++)
        for (uint32_t at = oldest(streams, from); at != NO_SLOT; at = next_victim(streams, at)) {
            found += streams->slots[at].size;
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
    fai_stream *stream = &streams->slots[index];
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
        bytes -= streams->slots[index].size;
        if (last == NO_SLOT)
            first = index;
        else
            streams->slots[last].newer = index;
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
    if (streams->config.on_evict != NULL)
        streams->config.on_evict(streams->config.on_evict_user, &eviction);
}

/* Evicts a chain of condemned ones. What a reservation evicts stays charged: it waits for it. */
static size_t evict(fa_streams *streams, uint32_t first, fa_evict_cause cause) {
    size_t bytes = 0;
    lock(streams);
    while (first != NO_SLOT) {
        fai_stream copy = streams->slots[first];
        streams->slots[first].block = NULL;
        unlock(streams);
        fai_stream_tell(streams, &copy, cause);
        fai_heap_give(streams->allocator, copy.block, SIZE_MAX);
        lock(streams); /* the table may lie elsewhere now */
        fai_stream_drop(streams, &streams->slots[first]);
        if (cause != FA_EVICT_ROOM) {
            streams->charged -= copy.size;
            streams->leaving -= copy.size;
        }
        streams->evict_count++;
        streams->evict_bytes += copy.size;
        bytes += copy.size;
        first = copy.newer;
    }
    unlock(streams);
    return bytes;
}

/* Evicts one by one until `target` bytes are used at most, or a bound is reached; 0: no bound. */
static size_t evict_down(fa_streams *streams, size_t target, size_t bytes_bound,
                         uint64_t nanoseconds_bound, fa_evict_cause cause) {
    uint64_t start = nanoseconds_bound != 0 ? now() : 0;
    size_t bytes = 0;
    do {
        lock(streams);
        uint32_t index = NO_SLOT;
        if (streams->charged - streams->leaving > target)
            index = condemn(streams);
        if (index != NO_SLOT)
            streams->leaving += streams->slots[index].size;
        unlock(streams);
        if (index == NO_SLOT)
            break;
        bytes += evict(streams, index, cause);
    } while ((bytes_bound == 0 || bytes < bytes_bound) &&
             (nanoseconds_bound == 0 || now() - start < nanoseconds_bound));
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

/* Puts a larger table into the place of the one that had `count` slots. Returns what is not used
 * any more: the old one, or the new one where another thread was faster. Under the lock. */
static fai_stream *grow(fa_streams *streams, fai_stream *larger, uint32_t count, uint32_t more) {
    fai_stream *old = streams->slots;
    if (streams->slot_count != count)
        return larger;
    if (count != 0)
        memcpy(larger, old, count * sizeof *old);
    memset(larger + count, 0, (more - count) * sizeof *old);
    for (uint32_t i = more; i-- > count;) {
        larger[i].newer = streams->slot_free;
        streams->slot_free = i;
    }
    streams->slots = larger;
    streams->slot_count = more;
    return old;
}

/* Locks when a slot is free, which it makes where there is none. Else answers why not. */
static fa_status lock_with_slot(fa_streams *streams) {
    for (;;) {
        lock(streams);
        if (streams->slot_free != NO_SLOT && streams->count_max != 0)
            return FA_OK;
        uint32_t count = streams->slot_count;
        bool full = count >= streams->count_max;
        streams->refused_count += full;
        unlock(streams);
        if (full)
            return fai_fail(FA_ERROR_FULL, 0);
        uint32_t more = count != 0 ? count * 2 : SLOTS_FIRST;
        if (more > streams->config.count_max)
            more = (uint32_t)streams->config.count_max;
        fai_stream *larger = (fai_stream *)fai_heap_alloc(streams->allocator, more * sizeof *larger,
                                                          FA_CACHE_LINE, FA_TAG_ROOT);
        if (larger == NULL)
            return fa_last_error().status;
        lock(streams);
        fai_stream *spare = grow(streams, larger, count, more);
        unlock(streams);
        if (spare != NULL)
            fai_heap_give(streams->allocator, spare, SIZE_MAX);
    }
}

/* A slot for a stream whose room is not there yet. Under the lock. */
static fai_stream *take_slot(fa_streams *streams, size_t size, size_t align, int priority,
                             void *item) {
    static uint64_t newest; /* of the process */
    uint32_t index = streams->slot_free;
    fai_stream *stream = &streams->slots[index];
    streams->slot_free = stream->newer;
    *stream = (fai_stream){.item = item,
                           .size = size,
                           .align = (uint32_t)align,
                           .priority = (uint8_t)priority,
                           .frame_used = streams->frame};
    uint64_t number = FAI_ADD_RELAXED(&newest, 1) + 1;
    stream->id = number << FAI_STREAM_INDEX_BITS | index;
    fai_stream_set_state(streams, stream, FAI_STREAM_CLAIMED);
    return stream;
}

/* Under the lock: makes room for size bytes more, as far as that can be done at once. evicted: gets
 * the bytes of the chain that is to be evicted before the room is there. False: there is none, and
 * nothing was changed. */
static bool claim(fa_streams *streams, size_t size, int priority, size_t *evicted,
                  uint32_t *chain) {
    size_t all = streams->charged + size;
    *evicted = 0;
    *chain = NO_SLOT;
    if (all > streams->bytes_max) {
        *evicted = victims_for(streams, all - streams->bytes_max, priority);
        if (*evicted == 0)
            return false;
        *chain = condemn_all(streams, *evicted);
    }
    if (size > *evicted)
        fai_streams_charge(streams, size - *evicted);
    else
        streams->leaving += *evicted - size;
    return true;
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
    if (!claim(streams, size, (int)priority, &evicted, &chain)) {
        size_t bytes_max = streams->bytes_max;
        streams->refused_count++;
        unlock(streams);
        fai_report(streams->allocator, FA_DIAG_FA631, FA_ERROR_LIMIT, size, bytes_max, NULL);
        return FA_STREAM_NONE;
    }
    fai_stream *stream = take_slot(streams, size, align, (int)priority, item);
    fa_stream id = stream->id;
    uint32_t index = (uint32_t)(stream - streams->slots);
    if (chain != NO_SLOT) {
        unlock(streams);
        evict(streams, chain, FA_EVICT_ROOM);
        lock(streams);
        stream = &streams->slots[index];
        if (evicted > size) {
            streams->charged -= evicted - size;
            streams->leaving -= evicted - size;
        }
    }
    fai_stream_set_state(streams, stream, FA_STREAM_RESERVED);
    streams->reserve_count++;
    unlock(streams);
    fai_slot.site = NULL;
    return id;
}
