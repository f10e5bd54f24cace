/* A cache of streams as a whole: made, counted, validated, destroyed. */
#include "fa/internal/heap.h"
#include "fa/internal/stream.h"

#include <string.h>

#define NO_SLOT FAI_STREAM_NO_SLOT
#define BYTES_DEFAULT ((size_t)256 << 20)

static void lock(fa_streams *streams) { fai_streams_lock(streams); }
static void unlock(fa_streams *streams) { fai_streams_unlock(streams); }

/* ---- numbers ---- */

static void read_stats(const fa_streams *streams, fa_streams_stats *stats) {
    const size_t *bytes = streams->bytes, *count = streams->count;
    stats->bytes_max = streams->bytes_max;
    stats->used_bytes = streams->charged;
    stats->used_bytes_peak = streams->charged_peak;
    stats->reserved_bytes = bytes[FA_STREAM_RESERVED];
    stats->loading_bytes = bytes[FA_STREAM_LOADING];
    stats->ready_bytes = bytes[FA_STREAM_READY];
    stats->evicting_bytes = bytes[FA_STREAM_EVICTING];
    stats->claimed_bytes = streams->claimed;
    stats->pinned_bytes = streams->pinned_bytes;
    stats->loaded_bytes = stats->ready_bytes + streams->loading_loaded;
    stats->reserved_count = count[FA_STREAM_RESERVED];
    stats->loading_count = count[FA_STREAM_LOADING];
    stats->ready_count = count[FA_STREAM_READY];
    stats->evicting_count = count[FA_STREAM_EVICTING];
    stats->count = streams->live_count;
    stats->pinned_count = streams->pinned_count;
    stats->frame = streams->frame;
    stats->hit_count = streams->hit_count;
    stats->miss_count = streams->miss_count;
    stats->reserve_count = streams->reserve_count;
    stats->refused_count = streams->refused_count;
    stats->evict_count = streams->evict_count;
    stats->evict_bytes = streams->evict_bytes;
    stats->release_count = streams->release_count;
    stats->cancel_count = streams->cancel_count;
}

fa_status fa_streams_stats_get(fa_streams *streams, fa_streams_stats *stats) {
    if (stats != NULL)
        memset(stats, 0, sizeof *stats);
    if (streams == NULL || stats == NULL)
        return fai_fail(FA_ERROR_INVALID, 0);
    lock(streams);
    read_stats(streams, stats);
    unlock(streams);
    return FA_OK;
}

/* Copies up to room of them. Returns how many there are. */
static size_t copy_infos(const fa_streams *streams, fa_stream_info *infos, size_t room) {
    size_t count = 0;
    for (uint32_t i = 0; i < streams->slot_count; i++) {
        const fai_stream *stream = fai_stream_at(streams, i);
        bool is_there = stream->state != FA_STREAM_GONE && stream->state != FAI_STREAM_CLAIMED;
        if (is_there && count++ < room)
            infos[count - 1] = fai_stream_info_of(stream);
    }
    return count;
}

size_t fa_streams_visit(fa_streams *streams, void (*visit)(void *user, const fa_stream_info *info),
                        void *user) {
    if (streams == NULL || visit == NULL) {
        fai_fail(FA_ERROR_INVALID, 0);
        return 0;
    }
    fa_allocator *allocator = streams->allocator;
    fa_stream_info *infos = NULL;
    size_t room = 0, count;
    for (;;) {
        lock(streams);
        count = copy_infos(streams, infos, room);
        unlock(streams);
        if (count <= room)
            break;
        if (infos != NULL)
            fai_heap_give(allocator, infos, SIZE_MAX);
        room = count;
        infos = (fa_stream_info *)fai_heap_alloc(allocator, room * sizeof *infos, FA_ALIGN_MIN,
                                                 FA_TAG_ROOT);
        if (infos == NULL)
            return SIZE_MAX;
    }
    for (size_t i = 0; i < count; i++)
        visit(user, &infos[i]);
    if (infos != NULL)
        fai_heap_give(allocator, infos, SIZE_MAX);
    return count;
}

/* ---- life ---- */

void fai_streams_config_default(fa_streams_config *config, size_t config_bytes) {
    fa_streams_config defaults = {.count_max = FA_STREAM_COUNT_MAX, .tag = FA_TAG_NONE};
    memcpy(config, &defaults, config_bytes < sizeof defaults ? config_bytes : sizeof defaults);
}

static void *at_of(fai_owned *owned) { return owned; }

/* Whether the list holds `count` streams of its priority, oldest first. */
static bool list_is_sound(const fa_streams *streams, int priority, size_t count, size_t bytes) {
    uint32_t older = NO_SLOT, at = streams->list[priority].oldest;
    uint64_t tick = 0;
    for (; at != NO_SLOT && count != 0; count--) {
        const fai_stream *stream = fai_stream_at(streams, at);
        if (stream->state != FA_STREAM_READY || stream->priority != priority ||
            stream->pin_count != 0 || stream->older != older || stream->tick_used <= tick)
            return false;
        tick = stream->tick_used;
        bytes -= stream->size;
        older = at;
        at = stream->newer;
    }
    return at == NO_SLOT && count == 0 && bytes == 0 && streams->list[priority].newest == older;
}

static const void *check(const fa_streams *streams) {
    size_t bytes[FAI_STREAM_STATES] = {0}, count[FAI_STREAM_STATES] = {0};
    size_t listed[FA_STREAM_PRIORITY_COUNT] = {0}, pinned = 0, pinned_bytes = 0, loaded = 0;
    for (uint32_t i = 0; i < streams->slot_count; i++) {
        const fai_stream *stream = fai_stream_at(streams, i);
        bytes[stream->state] += stream->size;
        count[stream->state]++;
        if (stream->state == FA_STREAM_LOADING)
            loaded += stream->loaded;
        bool is_ready = stream->state == FA_STREAM_READY;
        if (is_ready ? stream->loaded != stream->size || stream->block == NULL
                     : stream->pin_count != 0)
            return stream;
        if (!is_ready)
            continue;
        pinned += stream->pin_count != 0;
        pinned_bytes += stream->pin_count != 0 ? stream->size : 0;
        listed[stream->priority] += stream->pin_count == 0;
    }
    size_t held = 0, live = 0;
    for (int state = FA_STREAM_RESERVED; state < FAI_STREAM_STATES; state++) {
        if (bytes[state] != streams->bytes[state] || count[state] != streams->count[state])
            return streams;
        held += state != FAI_STREAM_CLAIMED ? bytes[state] : 0;
        live += state != FAI_STREAM_CLAIMED ? count[state] : 0;
    }
    for (int priority = 0; priority < FA_STREAM_PRIORITY_COUNT; priority++)
        if (!list_is_sound(streams, priority, listed[priority], streams->list[priority].bytes))
            return &streams->list[priority];
    for (uint32_t at = streams->slot_free; at != NO_SLOT; at = fai_stream_at(streams, at)->newer)
        if (at >= streams->slot_count || count[FA_STREAM_GONE]-- == 0)
            return &streams->slot_free;
    bool sums = count[FA_STREAM_GONE] == 0 && streams->charged == held + streams->claimed &&
                (streams->claim_count != 0 || streams->claimed == 0) &&
                streams->claim_count >= count[FAI_STREAM_CLAIMED] && live == streams->live_count &&
                streams->reserve_count == live + streams->evict_count + streams->release_count &&
                streams->charged >= streams->leaving && pinned == streams->pinned_count &&
                pinned_bytes == streams->pinned_bytes && loaded == streams->loading_loaded;
    return sums ? NULL : streams;
}

static const void *validate(fa_allocator *allocator, fai_owned *owned) {
    (void)allocator;
    fa_streams *streams = (fa_streams *)at_of(owned);
    lock(streams);
    const void *wrong = check(streams);
    unlock(streams);
    return wrong;
}

/* Ends whatever lives in a slot. Returns whether it was loading or pinned. */
static bool end_slot(fa_streams *streams, uint32_t index) {
    lock(streams);
    fai_stream *stream = fai_stream_at(streams, index);
    fai_stream copy = *stream;
    if (copy.state == FA_STREAM_GONE || copy.state == FAI_STREAM_CLAIMED) {
        unlock(streams);
        return false;
    }
    bool is_busy =
        copy.state == FA_STREAM_LOADING || fai_stream_is_released_load(&copy) || copy.pin_count;
    if (copy.state == FA_STREAM_READY && copy.pin_count == 0)
        fai_stream_unlink(streams, stream);
    if (copy.state == FA_STREAM_LOADING)
        streams->loading_loaded -= copy.loaded;
    if (copy.pin_count != 0) {
        streams->pinned_count--;
        streams->pinned_bytes -= copy.size;
        stream->pin_count = 0;
    }
    stream->block = NULL;
    fai_stream_set_state(streams, stream, FA_STREAM_EVICTING);
    fai_streams_step_out(streams);
    if (copy.state < FA_STREAM_EVICTING)
        fai_stream_tell(streams, &copy, FA_EVICT_DESTROY);
    if (copy.block != NULL)
        fai_heap_give(streams->allocator, copy.block, SIZE_MAX);
    fai_streams_step_in(streams);
    fai_stream_drop(streams, stream);
    streams->charged -= copy.size;
    streams->release_count += copy.released;
    streams->evict_count += !copy.released;
    streams->evict_bytes += !copy.released ? copy.size : 0;
    unlock(streams);
    return is_busy;
}

/* Returns how many were loading or pinned. */
static size_t end_all(fa_streams *streams) {
    lock(streams);
    streams->count_max = 0; /* who is told can't reserve any more */
    unlock(streams);
    size_t busy = 0;
    for (uint32_t i = 0; i < streams->slot_count; i++)
        busy += end_slot(streams, i);
    return busy;
}

/* Off the allocator's list already. */
static size_t end(fa_streams *streams) {
    fa_allocator *allocator = streams->allocator;
    if (streams->config.is_reclaimer)
        fa_reclaimer_remove(allocator, fai_streams_reclaim, streams);
    size_t busy = end_all(streams);
    for (size_t i = 0; i < FAI_STREAM_BLOCK_COUNT && streams->blocks[i] != NULL; i++)
        fai_heap_give(allocator, streams->blocks[i], SIZE_MAX);
    pthread_mutex_destroy(&streams->lock);
    fai_heap_give(allocator, streams, SIZE_MAX);
    return busy;
}

static void destroy(fa_allocator *allocator, fai_owned *owned) {
    (void)allocator;
    end((fa_streams *)at_of(owned));
}

static bool clear(fa_allocator *allocator, fai_owned *owned) {
    (void)allocator;
    fa_streams *streams = (fa_streams *)at_of(owned);
    lock(streams);
    uint64_t before = streams->release_count + streams->evict_count;
    unlock(streams);
    end_all(streams);
    lock(streams);
    bool any = streams->release_count + streams->evict_count != before;
    unlock(streams);
    return any;
}

static void lock_owned(fai_owned *owned) { lock((fa_streams *)at_of(owned)); }
static void unlock_owned(fai_owned *owned) { unlock((fa_streams *)at_of(owned)); }
static void fork_owned(fai_owned *owned) { fai_streams_fork_child((fa_streams *)at_of(owned)); }

static const fai_owned_kind k_kind = {.destroy = destroy,
                                      .validate = validate,
                                      .lock = lock_owned,
                                      .unlock = unlock_owned,
                                      .clear = clear,
                                      .fork_child = fork_owned};

static bool is_legal(fa_allocator *allocator, const fa_streams_config *config) {
    bool has_tag = config->tag == FA_TAG_NONE || config->tag < fa_tag_count(allocator);
    return config->cookie == FA_STREAMS_COOKIE && config->bytes_max <= FA_SIZE_MAX &&
           config->count_max - 1 < FA_STREAM_COUNT_MAX && has_tag;
}

fa_status fa_streams_create(fa_allocator *allocator, const fa_streams_config *config,
                            fa_streams **result) {
    if (result != NULL)
        *result = NULL;
    if (allocator == NULL || result == NULL)
        return fai_fail(FA_ERROR_INVALID, 0);
    fa_streams_config defaults = fa_streams_config_default();
    if (config == NULL)
        config = &defaults;
    if (!is_legal(allocator, config))
        return fai_fail(FA_ERROR_CONFIG, 0);
    fa_streams *streams =
        (fa_streams *)fai_heap_alloc(allocator, sizeof *streams, FA_CACHE_LINE, FA_TAG_ROOT);
    if (streams == NULL)
        return fa_last_error().status;
    memset(streams, 0, sizeof *streams);
    streams->allocator = allocator;
    streams->config = *config;
    size_t most = allocator->config.bytes_max;
    streams->bytes_max = config->bytes_max != 0 ? config->bytes_max
                         : most != 0            ? most / 4
                                                : BYTES_DEFAULT;
    streams->count_max = config->count_max;
    streams->frame = 1;
    streams->slot_free = NO_SLOT;
    for (int i = 0; i < FA_STREAM_PRIORITY_COUNT; i++)
        streams->list[i] = (fai_stream_list){NO_SLOT, NO_SLOT, 0};
    fa_status status = FA_OK;
    bool has_lock = pthread_mutex_init(&streams->lock, NULL) == 0;
    if (!has_lock)
        status = fai_fail(FA_ERROR_NO_MEMORY, 0);
    if (status == FA_OK && config->is_reclaimer)
        status = fa_reclaimer_add(allocator, config->reclaimer_order, fai_streams_reclaim, streams);
    if (status != FA_OK) {
        fa_error error = fa_last_error();
        if (has_lock)
            pthread_mutex_destroy(&streams->lock);
        fai_heap_give(allocator, streams, SIZE_MAX);
        fai_error_restore(error);
        return status;
    }
    fai_owned_add(allocator, &streams->owned, &k_kind);
    *result = streams;
    return FA_OK;
}

size_t fa_streams_destroy(fa_streams *streams) {
    if (streams == NULL)
        return 0;
    fai_owned_remove(streams->allocator, &streams->owned);
    return end(streams);
}

uint64_t fa_streams_advance(fa_streams *streams) {
    if (streams == NULL) {
        fai_fail(FA_ERROR_INVALID, 0);
        return 0;
    }
    lock(streams);
    uint64_t frame = ++streams->frame;
    unlock(streams);
    return frame;
}
