/* The life of one stream: loaded, used, released. Where it begins, with a reservation: evict.c. */
#include "fa/stream.h"

#include "fa/internal/heap.h"
#include "fa/internal/stream.h"
#include "fa/internal/thread.h"

#include <string.h>

#define NO_SLOT FAI_STREAM_NO_SLOT

static void lock(fa_streams *streams) { fai_streams_lock(streams); }
static void unlock(fa_streams *streams) { fai_streams_unlock(streams); }

/* Operations that this thread is half-way in. */
static __thread uint32_t t_inside;

void fai_streams_step_out(fa_streams *streams) {
    t_inside++;
    unlock(streams);
}
void fai_streams_step_in(fa_streams *streams) {
    lock(streams);
    t_inside--;
}

/* ---- finding; under the lock ---- */

/* The stream of that id, whatever its state; NULL when it is gone. */
static fai_stream *find(const fa_streams *streams, fa_stream id) {
    uint32_t index = fai_stream_index(id);
    if (index >= streams->slot_count || id == FA_STREAM_NONE)
        return NULL;
    fai_stream *stream = fai_stream_at(streams, index);
    bool there =
        stream->id == id && stream->state != FA_STREAM_GONE && stream->state != FAI_STREAM_CLAIMED;
    return there ? stream : NULL;
}

static fai_stream *find_ready(const fa_streams *streams, fa_stream id) {
    fai_stream *stream = find(streams, id);
    return stream != NULL && stream->state == FA_STREAM_READY ? stream : NULL;
}

/* The stream of that id, but not one that is on its way out. */
static fai_stream *find_live(const fa_streams *streams, fa_stream id) {
    fai_stream *stream = find(streams, id);
    return stream != NULL && stream->state != FA_STREAM_EVICTING ? stream : NULL;
}

/* Whether an id never was given out, as far as its slot knows, which has its last one. */
static bool never_was(const fa_streams *streams, fa_stream id) {
    uint32_t index = fai_stream_index(id);
    return index >= streams->slot_count || id > fai_stream_at(streams, index)->id ||
           id >> FAI_STREAM_INDEX_BITS == 0;
}

/* Whether who releases an id that resolves to nothing released it before, or made it up. Others may
 * have been evicted at any time. */
static bool is_second_release(const fa_streams *streams, fa_stream id) {
    if (never_was(streams, id))
        return true;
    const fai_stream *stream = fai_stream_at(streams, fai_stream_index(id));
    return id == stream->id && stream->released;
}

/* ---- what happens to one; under the lock ---- */

static void use(fa_streams *streams, fai_stream *stream) {
    stream->tick_used = ++streams->tick;
    stream->frame_used = streams->frame;
    if (stream->pin_count != 0 || stream->newer == NO_SLOT) /* in no list, or its newest */
        return;
    fai_stream_unlink(streams, stream);
    fai_stream_link_newest(streams, stream);
}

/* Puts a stream into the list of its priority where its last use belongs. */
static void link_by_use(fa_streams *streams, fai_stream *stream) {
    fai_stream_list *list = &streams->list[stream->priority];
    uint32_t older = list->newest, newer = list->oldest;
    if (older == NO_SLOT || fai_stream_at(streams, older)->tick_used < stream->tick_used) {
        fai_stream_link_newest(streams, stream);
        return;
    }
    for (;;) { /* from both ends */
        const fai_stream *down = fai_stream_at(streams, older), *up = fai_stream_at(streams, newer);
        if (down->tick_used < stream->tick_used) {
            newer = down->newer;
            break;
        }
        if (up->tick_used > stream->tick_used) {
            older = up->older;
            break;
        }
        older = down->older;
        newer = up->newer;
    }
    uint32_t index = fai_stream_index(stream->id);
    stream->older = older;
    stream->newer = newer;
    *(older != NO_SLOT ? &fai_stream_at(streams, older)->newer : &list->oldest) = index;
    fai_stream_at(streams, newer)->older = index;
    list->bytes += stream->size;
}

/* In the child of a fork: no thread that was at work on this stream is there any more. */
static void fork_stream(fa_streams *streams, fai_stream *stream) {
    bool has_block = stream->block != NULL;
    if (stream->state == FAI_STREAM_CLAIMED) {
        fai_stream_drop(streams, stream);
    } else if (stream->state == FA_STREAM_LOADING && !has_block) {
        fai_stream_set_state(streams, stream, FA_STREAM_RESERVED);
    } else if (stream->state == FA_STREAM_EVICTING && !has_block) {
        streams->release_count += stream->released;
        streams->evict_count += !stream->released;
        streams->evict_bytes += !stream->released ? stream->size : 0;
        fai_stream_drop(streams, stream);
    } else if (stream->state == FA_STREAM_EVICTING && !stream->released) {
        fai_stream_set_state(streams, stream, FA_STREAM_READY);
        link_by_use(streams, stream);
    }
}

void fai_streams_fork_child(fa_streams *streams) {
    if (t_inside != 0)
        return;
    for (uint32_t i = 0; i < streams->slot_count; i++)
        fork_stream(streams, fai_stream_at(streams, i));
    streams->claimed = streams->claim_count = streams->leaving = streams->charged = 0;
    for (int state = FA_STREAM_RESERVED; state < FA_STREAM_STATE_COUNT; state++)
        streams->charged += streams->bytes[state];
}

/* Ends a released stream: its memory goes, then its bytes are free. Unlocks. */
static void end_released(fa_streams *streams, fai_stream *stream) {
    size_t size = stream->size;
    void *block = stream->block;
    if (block != NULL) {
        stream->block = NULL;
        streams->leaving += size;
        fai_streams_step_out(streams);
        fai_heap_give(streams->allocator, block, SIZE_MAX);
        fai_streams_step_in(streams);
        streams->leaving -= size;
    }
    fai_stream_drop(streams, stream);
    streams->charged -= size;
    streams->release_count++;
    unlock(streams);
}

/* ---- reports; unlock ---- */

static FA_COLD fa_status misuse(fa_streams *streams, const fai_stream *stream) {
    size_t size = stream != NULL ? stream->size : 0;
    fa_status status = stream != NULL ? FA_ERROR_INVALID : FA_ERROR_FOREIGN;
    unlock(streams);
    return fai_report(streams->allocator, FA_DIAG_FA630, status, size, 0, NULL);
}

static fa_status is_gone(fa_streams *streams) {
    unlock(streams);
    return fai_fail(FA_ERROR_FOREIGN, 0);
}

/* ---- loading ---- */

static fa_tag tag_of(const fa_streams *streams) {
    fa_tag tag = streams->config.tag;
    return tag != FA_TAG_NONE ? tag : fai_tag_now(streams->allocator);
}

void *(fa_stream_begin)(fa_streams *streams, fa_stream id) {
    if (streams == NULL) {
        fai_fail(FA_ERROR_INVALID, 0);
        return NULL;
    }
    lock(streams);
    fai_stream *stream = find_live(streams, id);
    if (stream == NULL && !never_was(streams, id)) {
        is_gone(streams); /* as it may be at any time: others release */
        return NULL;
    }
    if (stream == NULL || stream->state != FA_STREAM_RESERVED) {
        misuse(streams, stream);
        return NULL;
    }
    size_t size = stream->size, align = stream->align;
    fai_stream_set_state(streams, stream, FA_STREAM_LOADING);
    fai_streams_step_out(streams);
    void *block = fai_heap_alloc(streams->allocator, size, align, tag_of(streams));
    fai_streams_step_in(streams);
    if (stream->released) {
        stream->block = block;
        end_released(streams, stream);
        if (block != NULL)
            fai_fail(FA_ERROR_FOREIGN, size);
        return NULL;
    }
    stream->block = block;
    if (block == NULL)
        fai_stream_set_state(streams, stream, FA_STREAM_RESERVED);
    unlock(streams);
    return block;
}

/* The stream that the calling thread loads, with the lock held; or NULL, with *status the answer
 * and without the lock. */
static fai_stream *find_load(fa_streams *streams, fa_stream id, fa_status *status) {
    *status = FA_OK;
    if (streams == NULL) {
        *status = fai_fail(FA_ERROR_INVALID, 0);
        return NULL;
    }
    lock(streams);
    fai_stream *stream = find(streams, id);
    if (stream != NULL && fai_stream_is_released_load(stream))
        return stream;
    if (stream != NULL && stream->state == FA_STREAM_LOADING && stream->block != NULL)
        return stream;
    *status = misuse(streams, stream);
    return NULL;
}

fa_status fa_stream_progress(fa_streams *streams, fa_stream id, size_t bytes) {
    fa_status status;
    fai_stream *stream = find_load(streams, id, &status);
    if (stream == NULL)
        return status;
    if (stream->released)
        return is_gone(streams);
    if (bytes > stream->size)
        bytes = stream->size;
    if (bytes > stream->loaded) {
        streams->loading_loaded += bytes - stream->loaded;
        stream->loaded = bytes;
    }
    unlock(streams);
    return FA_OK;
}

fa_status fa_stream_finish(fa_streams *streams, fa_stream id) {
    fa_status status;
    fai_stream *stream = find_load(streams, id, &status);
    if (stream == NULL)
        return status;
    if (stream->released) {
        end_released(streams, stream);
        return fai_fail(FA_ERROR_FOREIGN, 0);
    }
    streams->loading_loaded -= stream->loaded;
    stream->loaded = stream->size;
    fai_stream_set_state(streams, stream, FA_STREAM_READY);
    fai_stream_link_newest(streams, stream);
    use(streams, stream);
    unlock(streams);
    return FA_OK;
}

fa_status fa_stream_cancel(fa_streams *streams, fa_stream id) {
    fa_status status;
    fai_stream *stream = find_load(streams, id, &status);
    if (stream == NULL)
        return status;
    if (stream->released) {
        end_released(streams, stream);
        return FA_OK;
    }
    /* It is loading until its memory is gone: else another begin could take its bytes twice. */
    void *block = stream->block;
    stream->block = NULL;
    streams->loading_loaded -= stream->loaded;
    stream->loaded = 0;
    streams->cancel_count++;
    fai_streams_step_out(streams);
    fai_heap_give(streams->allocator, block, SIZE_MAX);
    fai_streams_step_in(streams);
    if (stream->released) {
        end_released(streams, stream);
        return FA_OK;
    }
    fai_stream_set_state(streams, stream, FA_STREAM_RESERVED);
    unlock(streams);
    return FA_OK;
}

/* ---- using ---- */

/* A ready stream, used now, with the lock held; or NULL without it. */
static fai_stream *hit(fa_streams *streams, fa_stream id) {
    if (streams == NULL) {
        fai_fail(FA_ERROR_INVALID, 0);
        return NULL;
    }
    lock(streams);
    fai_stream *stream = find_ready(streams, id);
    if (stream == NULL) {
        streams->miss_count++;
        unlock(streams);
        return NULL;
    }
    streams->hit_count++;
    use(streams, stream);
    return stream;
}

void *fa_stream_access(fa_streams *streams, fa_stream id) {
    fai_stream *stream = hit(streams, id);
    if (stream == NULL)
        return NULL;
    void *block = stream->block;
    unlock(streams);
    return block;
}

bool fa_stream_touch(fa_streams *streams, fa_stream id) {
    if (hit(streams, id) == NULL)
        return false;
    unlock(streams);
    return true;
}

void *fa_stream_pin(fa_streams *streams, fa_stream id) {
    fai_stream *stream = hit(streams, id);
    if (stream == NULL)
        return NULL;
    if (stream->pin_count++ == 0) {
        fai_stream_unlink(streams, stream);
        streams->pinned_bytes += stream->size;
        streams->pinned_count++;
    }
    void *block = stream->block;
    unlock(streams);
    return block;
}

fa_status fa_stream_unpin(fa_streams *streams, fa_stream id) {
    if (streams == NULL)
        return fai_fail(FA_ERROR_INVALID, 0);
    lock(streams);
    fai_stream *stream = find_live(streams, id);
    if (stream == NULL || stream->pin_count == 0)
        return misuse(streams, stream);
    if (--stream->pin_count == 0) {
        fai_stream_link_newest(streams, stream);
        streams->pinned_bytes -= stream->size;
        streams->pinned_count--;
    }
    use(streams, stream);
    unlock(streams);
    return FA_OK;
}

fa_status fa_stream_release(fa_streams *streams, fa_stream id) {
    if (streams == NULL || id == FA_STREAM_NONE)
        return fai_fail(FA_ERROR_INVALID, 0);
    lock(streams);
    fai_stream *stream = find_live(streams, id);
    if (stream == NULL)
        return is_second_release(streams, id) ? misuse(streams, NULL) : is_gone(streams);
    if (stream->pin_count != 0)
        return misuse(streams, stream);
    int state = stream->state;
    if (state == FA_STREAM_READY)
        fai_stream_unlink(streams, stream);
    if (state == FA_STREAM_LOADING)
        streams->loading_loaded -= stream->loaded;
    stream->released = true;
    fai_stream_set_state(streams, stream, FA_STREAM_EVICTING);
    if (state == FA_STREAM_LOADING) /* the loading thread ends it */
        unlock(streams);
    else
        end_released(streams, stream);
    return FA_OK;
}

fa_status fa_stream_set_priority(fa_streams *streams, fa_stream id, fa_stream_priority priority) {
    if (streams == NULL || (unsigned)priority >= FA_STREAM_PRIORITY_COUNT)
        return fai_fail(FA_ERROR_INVALID, 0);
    lock(streams);
    fai_stream *stream = find_live(streams, id);
    if (stream == NULL)
        return is_gone(streams);
    bool is_listed = stream->state == FA_STREAM_READY && stream->pin_count == 0;
    bool is_other = stream->priority != (uint8_t)priority;
    if (is_listed && is_other)
        fai_stream_unlink(streams, stream);
    stream->priority = (uint8_t)priority;
    if (is_listed && is_other)
        link_by_use(streams, stream);
    unlock(streams);
    return FA_OK;
}

fa_stream_info fai_stream_info_of(const fai_stream *stream) {
    return (fa_stream_info){.stream = stream->id,
                            .item = stream->item,
                            .size = stream->size,
                            .align = stream->align,
                            .loaded = stream->loaded,
                            .frame_used = stream->frame_used,
                            .pin_count = stream->pin_count,
                            .state = (fa_stream_state)stream->state,
                            .priority = (fa_stream_priority)stream->priority};
}

fa_status fa_stream_get(fa_streams *streams, fa_stream id, fa_stream_info *info) {
    if (info != NULL)
        memset(info, 0, sizeof *info);
    if (streams == NULL || info == NULL)
        return fai_fail(FA_ERROR_INVALID, 0);
    lock(streams);
    const fai_stream *stream = find(streams, id);
    if (stream == NULL)
        return is_gone(streams);
    *info = fai_stream_info_of(stream);
    unlock(streams);
    return FA_OK;
}
