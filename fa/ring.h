/* Rings: a fixed number of elements that come and go at both ends, such as the last N events or a
 * queue of jobs. What holds for all collections, such as results and lifetime, stands in
 * collection.h.
 *
 * FA_RING(name, type) makes the type name, of 32 bytes, and these functions, all O(1):
 *
 *     name name_make(allocator, capacity)           capacity: 1 or more, any number; it never grows
 *     name name_make_in(frame, capacity)            (0 is refused: {0} and FA_ERROR_INVALID)
 *     bool name_is_made(ring)                       false for {0}
 *
 *     fa_status name_push_back(ring, value)         FA_OK or FA_ERROR_FULL
 *     fa_status name_push_front(ring, value)        likewise
 *     fa_status name_push_back_over(ring, value)    of a full ring the oldest one, at the front, is
 *                                                   lost; FA_ERROR_FULL only for {0}
 *     bool name_pop_front(ring, out)                to *out unless NULL; false: empty
 *     bool name_pop_back(ring, out)
 *     void name_clear(ring)
 *
 *     type *name_front(ring), *name_back(ring)      NULL: empty
 *     type *name_at(ring, index)                    from the front; NULL: no such
 *     type *name_next(ring, item)                   the one behind it; NULL: it was the last
 *     size_t name_count(ring), name_capacity(ring), name_remaining(ring)
 *     bool name_is_full(ring)
 *
 *     for (event *e = events_front(&log); e != NULL; e = events_next(&log, e)) ...
 *
 * ring must not be NULL. Pointers to elements hold until that element is popped or overwritten. */
#ifndef FA_RING_H
#define FA_RING_H

#include "fa/collection.h"

#define FA_RING(name, type)                                                                        \
    typedef struct name {                                                                          \
        type *items;                                                                               \
        size_t head; /* place of the front */                                                      \
        size_t count;                                                                              \
        size_t capacity;                                                                           \
    } name;                                                                                        \
    FAI_PLAIN_DATA(type)                                                                           \
    FAI_RING_MAKE(name, type)                                                                      \
    FAI_RING_CHANGE(name, type)                                                                    \
    FAI_RING_READ(name, type)

#define FAI_RING_MAKE(name, type)                                                                  \
    FAI_MADE name fai_##name##_of(fai_room room) {                                                 \
        name self = {(type *)room.items, 0, 0, room.capacity};                                     \
        return self;                                                                               \
    }                                                                                              \
    /* 0 would ask for room that grows; so many is refused. */                                     \
    FAI_MADE name name##_make_in(fa_frame *frame, size_t capacity) {                               \
        return fai_##name##_of(fai_room_make_in(frame, capacity != 0 ? capacity : SIZE_MAX,        \
                                                sizeof(type), FA_ALIGNOF(type)));                  \
    }                                                                                              \
    FAI_MADE name name##_make(fa_allocator *allocator, size_t capacity) {                          \
        return fai_##name##_of(fai_room_make(allocator, capacity != 0 ? capacity : SIZE_MAX,       \
                                             sizeof(type), FA_ALIGNOF(type)));                     \
    }                                                                                              \
    FAI_MADE bool name##_is_made(const name *self) { return self->capacity != 0; }

#define FAI_RING_CHANGE(name, type)                                                                \
    /* Where the element with this index lies, or will; index <= capacity. */                      \
    FAI_MADE size_t fai_##name##_place(const name *self, size_t index) {                           \
        size_t place = self->head + index;                                                         \
        return place < self->capacity ? place : place - self->capacity;                            \
    }                                                                                              \
    FAI_MADE bool name##_pop_front(name *self, type *out) {                                        \
        if (self->count == 0)                                                                      \
            return false;                                                                          \
        if (out != NULL)                                                                           \
            *out = self->items[self->head];                                                        \
        self->head = fai_##name##_place(self, 1);                                                  \
        self->count--;                                                                             \
        return true;                                                                               \
    }                                                                                              \
    FAI_MADE bool name##_pop_back(name *self, type *out) {                                         \
        if (self->count == 0)                                                                      \
            return false;                                                                          \
        self->count--;                                                                             \
        if (out != NULL)                                                                           \
            *out = self->items[fai_##name##_place(self, self->count)];                             \
        return true;                                                                               \
    }                                                                                              \
    FAI_MADE fa_status name##_push_back(name *self, type value) {                                  \
        if (FA_UNLIKELY(self->count == self->capacity))                                            \
            return FA_ERROR_FULL;                                                                  \
        self->items[fai_##name##_place(self, self->count)] = value;                                \
        self->count++;                                                                             \
        return FA_OK;                                                                              \
    }                                                                                              \
    FAI_MADE fa_status name##_push_front(name *self, type value) {                                 \
        if (FA_UNLIKELY(self->count == self->capacity))                                            \
            return FA_ERROR_FULL;                                                                  \
        self->head = fai_##name##_place(self, self->capacity - 1);                                 \
        self->items[self->head] = value;                                                           \
        self->count++;                                                                             \
        return FA_OK;                                                                              \
    }                                                                                              \
    FAI_MADE fa_status name##_push_back_over(name *self, type value) {                             \
        if (self->count == self->capacity)                                                         \
            (void)name##_pop_front(self, NULL);                                                    \
        return name##_push_back(self, value);                                                      \
    }                                                                                              \
    FAI_MADE void name##_clear(name *self) { self->head = self->count = 0; }

#define FAI_RING_READ(name, type)                                                                  \
    FAI_MADE type *name##_at(const name *self, size_t index) {                                     \
        return index < self->count ? &self->items[fai_##name##_place(self, index)] : NULL;         \
    }                                                                                              \
    FAI_MADE type *name##_front(const name *self) { return name##_at(self, 0); }                   \
    FAI_MADE type *name##_back(const name *self) {                                                 \
        return self->count != 0 ? name##_at(self, self->count - 1) : NULL;                         \
    }                                                                                              \
    FAI_MADE type *name##_next(const name *self, type const *item) {                               \
        size_t place = (size_t)(item - self->items);                                               \
        size_t index =                                                                             \
            place >= self->head ? place - self->head : place + self->capacity - self->head;        \
        return name##_at(self, index + 1);                                                         \
    }                                                                                              \
    FAI_MADE size_t name##_count(const name *self) { return self->count; }                         \
    FAI_MADE size_t name##_capacity(const name *self) { return self->capacity; }                   \
    FAI_MADE size_t name##_remaining(const name *self) { return self->capacity - self->count; }    \
    FAI_MADE bool name##_is_full(const name *self) { return self->count == self->capacity; }

#endif
