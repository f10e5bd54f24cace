/* Memory of collections: the slow paths of vec.h, ring.h and text.h. */
#include "fa/collection.h"

#include "fa/internal/thread.h"

#include <string.h>

/* Alignment up to which fa_frame_grow_in keeps that of a block which it copies. */
#define GROW_ALIGN_MAX ((size_t)4096)
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

/* The same elements in a block of bytes_new. */
static void *enlarge(fa_frame *frame, void *items, size_t bytes_old, size_t bytes_new,
                     size_t align) {
    if (items != NULL && align <= GROW_ALIGN_MAX)
        return (fa_frame_grow_in)(frame, items, bytes_old, bytes_new);
    void *block = (fa_frame_alloc_aligned_in)(frame, bytes_new, align);
    if (block != NULL && items != NULL)
        memcpy(block, items, bytes_old);
    return block;
}

fai_growth(fai_room_grow)(fa_frame *frame, void *items, size_t capacity, size_t need, size_t size,
                          size_t align) {
    fai_growth growth = {.as.status = FA_ERROR_FULL};
    if (frame == NULL)
        return growth;
    size_t bytes_need, bytes, first = FA_CACHE_LINE / size;
    need = need != 0 ? need : capacity + 1;
    if (__builtin_mul_overflow(need, size, &bytes_need)) {
        growth.as.status = fai_fail(FA_ERROR_INVALID, need);
        return growth;
    }
    size_t wanted = capacity * 2;
    if (capacity == 0)
        wanted = first > FIRST_COUNT_MIN ? first : FIRST_COUNT_MIN;
    /* Where twice as much can't be had, what is needed may. */
    if (wanted > need && !__builtin_mul_overflow(wanted, size, &bytes) && bytes <= FA_SIZE_MAX) {
        growth.items = enlarge(frame, items, capacity * size, bytes, align);
        growth.as.capacity = wanted;
    }
    if (growth.items == NULL) {
        growth.items = enlarge(frame, items, capacity * size, bytes_need, align);
        growth.as.capacity = need;
    }
    if (growth.items == NULL)
        growth.as.status = fa_last_error().status;
    return growth;
}
