/* The inside of streams: what stream.c (one), streams.c (all) and evict.c (who goes) share. */
#ifndef FAI_STREAM_H
#define FAI_STREAM_H

#include "fa/internal/allocator.h"
#include "fa/stream.h"

/* Of an id the low bits are the slot, the others a number that no other stream of the process ever
 * has: at a thousand reservations a second they last for 500 years. */
#define FAI_STREAM_INDEX_BITS 20
#define FAI_STREAM_NO_SLOT UINT32_MAX
_Static_assert(FA_STREAM_COUNT_MAX <= (size_t)1 << FAI_STREAM_INDEX_BITS, "an index must fit");

/* A slot is taken and its number known, but the room is not there yet. */
#define FAI_STREAM_CLAIMED FA_STREAM_STATE_COUNT
#define FAI_STREAM_STATES (FA_STREAM_STATE_COUNT + 1)

typedef struct fai_stream {
    fa_stream id; /* while the slot is free: of the last one; just the index: there was none */
    void *item;
    void *block; /* NULL while it is being taken or given back */
    size_t size, loaded;
    uint64_t tick_used, frame_used;
    uint32_t newer, older; /* in its list by last use while ready and not pinned; newer also links
                            * free slots, and those that are evicted together */
    size_t pin_count;
    uint32_t align;
    uint8_t state, priority;
    bool released; /* ends, or ended, by a release and not by an eviction */
} fai_stream;

/* Slots lie in blocks that never move: block b has SLOTS_FIRST << b of them. */
#define FAI_STREAM_SLOTS_FIRST_LOG2 6
#define FAI_STREAM_SLOTS_FIRST ((uint32_t)1 << FAI_STREAM_SLOTS_FIRST_LOG2)
#define FAI_STREAM_BLOCK_COUNT (FAI_STREAM_INDEX_BITS - FAI_STREAM_SLOTS_FIRST_LOG2 + 1)

/* Of one priority, by last use. */
typedef struct fai_stream_list {
    uint32_t oldest, newest;
    size_t bytes;
} fai_stream_list;

/* Everything is guarded by the lock but what never changes: allocator, config.
 *
 * Invariants: charged == sum of the sizes of all slots that are not free or claimed, plus claimed,
 * what reservations under way wait for. leaving: part of it that will be free without anybody's
 * doing. A reservation that evicts V bytes for S raises charged and claimed by what V lacks of S
 * when it decides; what of V goes is claimed instead of held; when all of V is gone it lowers both
 * by what V has beyond S: so charged, which never exceeds the budget, never lies below what is
 * held. A reservation that evicts because there is no free slot has none until it has evicted. */
struct fa_streams {
    fai_owned owned; /* must be first */
    fa_allocator *allocator;
    fa_streams_config config;
    pthread_mutex_t lock;
    fai_stream *blocks[FAI_STREAM_BLOCK_COUNT];
    uint32_t slot_count;
    uint32_t slot_free; /* first free one, linked by newer */
    fai_stream_list list[FA_STREAM_PRIORITY_COUNT];
    size_t bytes_max, count_max;
    size_t charged, charged_peak, leaving, claimed;
    size_t claim_count; /* reservations under way */
    size_t live_count;  /* streams: neither free nor claimed */
    size_t bytes[FAI_STREAM_STATES], count[FAI_STREAM_STATES]; /* FA_STREAM_GONE: of no meaning */
    size_t pinned_bytes, pinned_count;
    size_t loading_loaded; /* what loading ones have got */
    uint64_t tick;         /* counts uses */
    uint64_t frame;
    uint64_t hit_count, miss_count, reserve_count, refused_count;
    uint64_t evict_count, evict_bytes, release_count, cancel_count;
};

static inline void fai_streams_lock(fa_streams *streams) { pthread_mutex_lock(&streams->lock); }
static inline void fai_streams_unlock(fa_streams *streams) { pthread_mutex_unlock(&streams->lock); }

/* stream.c: around what an operation does without the lock while streams are half-way. */
void fai_streams_step_out(fa_streams *streams);
void fai_streams_step_in(fa_streams *streams);

/* All of these: under the lock. */

/* index: below slot_count. */
static inline fai_stream *fai_stream_at(const fa_streams *streams, uint32_t index) {
    uint32_t from_first = index + FAI_STREAM_SLOTS_FIRST;
    uint32_t log2 = 31 - (uint32_t)__builtin_clz(from_first);
    return &streams->blocks[log2 - FAI_STREAM_SLOTS_FIRST_LOG2][from_first - ((uint32_t)1 << log2)];
}

/* Also of a slot that was never used: it has its index as id. */
static inline uint32_t fai_stream_index(fa_stream id) {
    return (uint32_t)(id & (((fa_stream)1 << FAI_STREAM_INDEX_BITS) - 1));
}

/* Moves the stream from its state's numbers to another's. */
static inline void fai_stream_set_state(fa_streams *streams, fai_stream *stream, int state) {
    streams->bytes[stream->state] -= stream->size;
    streams->count[stream->state]--;
    stream->state = (uint8_t)state;
    streams->bytes[state] += stream->size;
    streams->count[state]++;
}

static inline void fai_stream_unlink(fa_streams *streams, const fai_stream *stream) {
    fai_stream_list *list = &streams->list[stream->priority];
    uint32_t newer = stream->newer, older = stream->older;
    *(newer != FAI_STREAM_NO_SLOT ? &fai_stream_at(streams, newer)->older : &list->newest) = older;
    *(older != FAI_STREAM_NO_SLOT ? &fai_stream_at(streams, older)->newer : &list->oldest) = newer;
    list->bytes -= stream->size;
}

static inline void fai_stream_link_newest(fa_streams *streams, fai_stream *stream) {
    fai_stream_list *list = &streams->list[stream->priority];
    uint32_t index = fai_stream_index(stream->id), older = list->newest;
    stream->newer = FAI_STREAM_NO_SLOT;
    stream->older = older;
    *(older != FAI_STREAM_NO_SLOT ? &fai_stream_at(streams, older)->newer : &list->oldest) = index;
    list->newest = index;
    list->bytes += stream->size;
}

/* The slot is free from now on; what it was charged is not taken back. */
static inline void fai_stream_drop(fa_streams *streams, fai_stream *stream) {
    streams->live_count -= stream->state != FAI_STREAM_CLAIMED;
    fai_stream_set_state(streams, stream, FA_STREAM_GONE);
    stream->size = 0;
    stream->newer = streams->slot_free;
    streams->slot_free = fai_stream_index(stream->id);
}

static inline void fai_streams_charge(fa_streams *streams, size_t size) {
    streams->charged += size;
    if (streams->charged > streams->charged_peak)
        streams->charged_peak = streams->charged;
}

/* A load whose stream was released: the loading thread ends it. */
static inline bool fai_stream_is_released_load(const fai_stream *stream) {
    return stream->state == FA_STREAM_EVICTING && stream->released && stream->block != NULL;
}

/* stream.c */
fa_stream_info fai_stream_info_of(const fai_stream *stream);

/* stream.c: in the child of a fork, under the lock: what other threads were at is over. */
void fai_streams_fork_child(fa_streams *streams);

/* evict.c: the reclaimer of streams that are one. user: the streams. */
size_t fai_streams_reclaim(void *user, fa_allocator *allocator, size_t size);

/* evict.c: tells the program that a stream goes. No lock may be held. */
void fai_stream_tell(fa_streams *streams, const fai_stream *copy, fa_evict_cause cause);

#endif
