/* Memory of collections: the slow paths of vec.h, ring.h and text.h. */
#include "fa/collection.h"

#include "fa/internal/frame.h"
#include "fa/internal/meter.h"
#include "fa/internal/thread.h"

/* What a collection that grows takes first: a cache line, but not less than some elements. */
#define FIRST_COUNT_MIN ((size_t)4)

fa_frame *fai_room_frame_in(fa_frame *frame) {
    if (frame == NULL) {
        fai_fail(FA_ERROR_INVALID, 0);
        return NULL;
    }
    fai_thread *thread = (fai_thread *)frame->thread;
    if (thread->slot != &fai_slot) {
        fai_report(thread->allocator, FA_DIAG_FA201, FA_ERROR_FOREIGN, 0, 0, frame);
        return NULL;
    }
    if (!fai_frame_is_open(thread)) {
        fai_report(thread->allocator, FA_DIAG_FA001, FA_ERROR_NO_FRAME, 0, 0, frame);
        return NULL;
    }
    return frame;
}

fa_frame *fai_room_frame(fa_allocator *allocator) {
    fai_thread *thread = allocator ? fai_thread_find(allocator) : NULL;
    if (thread != NULL)
        return fai_room_frame_in(thread->frame);
    if (allocator == NULL)
        fai_fail(FA_ERROR_INVALID, 0);
    else
        fai_report(allocator, FA_DIAG_FA001, FA_ERROR_NO_FRAME, 0, 0, NULL);
    return NULL;
}

fai_room(fai_room_make_in)(fa_frame *frame, size_t capacity, size_t size, size_t align) {
    fai_room room = {NULL, 0, NULL};
    if (capacity == 0) {
        room.frame = fai_room_frame_in(frame);
        return room;
    }
    room.items = (fai_frame_array_in)(frame, capacity, size, align);
    room.capacity = room.items != NULL ? capacity : 0;
    return room;
}

fai_room(fai_room_make)(fa_allocator *allocator, size_t capacity, size_t size, size_t align) {
    fa_frame *frame = fai_room_frame(allocator);
    if (frame != NULL)
        return (fai_room_make_in)(frame, capacity, size, align);
    return (fai_room){NULL, 0, NULL};
}

/* Whether somebody may serve a block past a limit. Then that is asked for once and not for each
 * element. */
static bool may_exceed(fai_thread *thread) {
    return thread->allocator->config.frame_full == FA_FRAME_FULL_SPILL ||
           fai_meter_may_exceed(thread);
}

fai_growth(fai_room_grow)(fa_frame *frame, void *items, size_t capacity, size_t need, size_t size,
                          size_t align) {
    fai_growth growth = {.as.status = FA_ERROR_FULL};
    if (frame == NULL)
        return growth;
    size_t bytes_old = capacity * size, bytes_need, bytes, first = FA_CACHE_LINE / size;
    need = need != 0 ? need : capacity + 1;
    if (__builtin_mul_overflow(need, size, &bytes_need)) {
        growth.as.status = fai_fail(FA_ERROR_INVALID, need);
        return growth;
    }
    size_t wanted = capacity * 2;
    if (capacity == 0)
        wanted = first > FIRST_COUNT_MIN ? first : FIRST_COUNT_MIN;
    if (wanted < need || __builtin_mul_overflow(wanted, size, &bytes) || bytes > FA_SIZE_MAX) {
        wanted = need;
        bytes = bytes_need;
    }
    /* Where twice as much can't be had, what is needed may: nobody hears of the first refusal. */
    growth.as.capacity = wanted;
    growth.items = fai_frame_grow_quiet(frame, items, bytes_old, bytes, align);
    if (growth.items != NULL)
        return growth;
    if (wanted != need) {
        growth.as.capacity = need;
        growth.items = fai_frame_grow_quiet(frame, items, bytes_old, bytes_need, align);
    }
    if (growth.items == NULL && wanted != need && may_exceed(fai_thread_of(frame))) {
        growth.as.capacity = wanted;
        growth.items = fai_frame_grow_aligned(frame, items, bytes_old, bytes, align);
    }
    if (growth.items == NULL) {
        growth.as.capacity = need;
        growth.items = fai_frame_grow_aligned(frame, items, bytes_old, bytes_need, align);
    }
    if (growth.items == NULL)
        growth.as.status = fa_last_error().status;
    return growth;
}
