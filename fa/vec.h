/* Vectors: elements side by side in frame memory. What holds for all collections, such as
 * capacities, results and lifetime, stands in collection.h.
 *
 * FA_VEC(name, type) makes the type name, of 32 bytes, and these functions. `items` and `count` are
 * open: read and write items[0] to items[count - 1] as you like. In C++ a range-for works as well.
 *
 *     name name_make(allocator, capacity)       see collection.h; capacity 0: grows
 *     name name_make_in(frame, capacity)
 *     bool name_is_made(vec)                    false for {0}
 *
 *     fa_status name_push(vec, value)           at the end; O(1), O(count) where it grows
 *     type *name_push_new(vec)                  the same, not initialised; NULL: refused
 *     fa_status name_push_n(vec, values, n)     all of them or none; may be the vector's own
 *     fa_status name_insert(vec, index, value)  before index (<= count); O(count - index)
 *     fa_status name_resize(vec, count)         new elements are all zero bytes
 *     fa_status name_reserve(vec, capacity)     so many will fit in all
 *
 *     bool name_pop(vec, out)                   the last one, to *out unless NULL; false: empty
 *     bool name_remove(vec, index)              keeps the order, O(count - index); false: no such
 *     bool name_remove_swap(vec, index)         the last one takes its place, O(1)
 *     size_t name_retain(vec, keep, user)       removes those for which keep(user, item) is false,
 *                                               keeps the order; returns how many it removed
 *     void name_clear(vec)                      the capacity stays
 *
 *     type *name_at(vec, index)                 NULL: no such
 *     type *name_last(vec)                      NULL: empty
 *     size_t name_count(vec), name_capacity(vec)
 *     size_t name_remaining(vec)                how many fit without growing
 *
 * push, push_n, insert, resize and reserve return FA_OK, FA_ERROR_FULL, FA_ERROR_INVALID (index
 * past the end, or a size that wraps) or a refusal of frame.h. vec must not be NULL.
 *
 * FA_VEC_EACH(item, vec) is the head of a loop; item is a pointer. Do not push, insert or remove
 * inside. */
#ifndef FA_VEC_H
#define FA_VEC_H

#include "fa/collection.h"

#include <string.h>

#define FA_VEC(name, type)                                                                         \
    typedef struct name {                                                                          \
        type *items;                                                                               \
        size_t count;                                                                              \
        size_t capacity;                                                                           \
        fa_frame *frame; /* where it grows; NULL: fixed */                                         \
        FAI_VEC_RANGE(type)                                                                        \
    } name;                                                                                        \
    FAI_PLAIN_DATA(type)                                                                           \
    FAI_VEC_MAKE(name, type)                                                                       \
    FAI_VEC_ADD(name, type)                                                                        \
    FAI_VEC_REMOVE(name, type)                                                                     \
    FAI_VEC_READ(name, type)

#define FA_VEC_EACH(item, vec)                                                                     \
    for (__typeof__((vec)->items) item = (vec)->items,                                             \
                                  fai_end_##item = (vec)->count ? item + (vec)->count : item;      \
         item != fai_end_##item; item++)

#ifdef __cplusplus
#define FAI_VEC_RANGE(type)                                                                        \
    type *begin() const { return items; }                                                          \
    type *end() const { return count != 0 ? items + count : items; }
#else
#define FAI_VEC_RANGE(type)
#endif

#define FAI_VEC_MAKE(name, type)                                                                   \
    FAI_MADE name name##_make_in(fa_frame *frame, size_t capacity) {                               \
        fai_room room = fai_room_make_in(frame, capacity, sizeof(type), FA_ALIGNOF(type));         \
        name self = {(type *)room.items, 0, room.capacity, room.frame};                            \
        return self;                                                                               \
    }                                                                                              \
    FAI_MADE name name##_make(fa_allocator *allocator, size_t capacity) {                          \
        fai_room room = fai_room_make(allocator, capacity, sizeof(type), FA_ALIGNOF(type));        \
        name self = {(type *)room.items, 0, room.capacity, room.frame};                            \
        return self;                                                                               \
    }                                                                                              \
    FAI_MADE bool name##_is_made(const name *self) {                                               \
        return self->capacity != 0 || self->frame != NULL;                                         \
    }

#define FAI_VEC_ADD(name, type)                                                                    \
    /* need is more than the capacity, or 0: one more. */                                          \
    FAI_MADE_INLINE fa_status fai_##name##_grow(name *self, size_t need) {                         \
        fai_growth growth = fai_room_grow(self->frame, self->items, self->capacity, need,          \
                                          sizeof(type), FA_ALIGNOF(type));                         \
        if (growth.items == NULL)                                                                  \
            return growth.as.status;                                                               \
        self->items = (type *)growth.items;                                                        \
        self->capacity = growth.as.capacity;                                                       \
        return FA_OK;                                                                              \
    }                                                                                              \
    FAI_MADE fa_status name##_reserve(name *self, size_t need) {                                   \
        return need <= self->capacity ? FA_OK : fai_##name##_grow(self, need);                     \
    }                                                                                              \
    FAI_MADE_INLINE fa_status name##_push(name *self, type value) {                                \
        if (FA_UNLIKELY(self->count == self->capacity)) {                                          \
            fa_status status = fai_##name##_grow(self, 0);                                         \
            if (status != FA_OK)                                                                   \
                return status;                                                                     \
        }                                                                                          \
        self->items[self->count] = value;                                                          \
        self->count++;                                                                             \
        return FA_OK;                                                                              \
    }                                                                                              \
    FAI_MADE_INLINE type *name##_push_new(name *self) {                                            \
        if (FA_UNLIKELY(self->count == self->capacity) && fai_##name##_grow(self, 0) != FA_OK)     \
            return NULL;                                                                           \
        return &self->items[self->count++];                                                        \
    }                                                                                              \
    FAI_MADE fa_status name##_push_n(name *self, type const *values, size_t n) {                   \
        fa_status status = name##_reserve(self, fai_room_sum(self->count, n));                     \
        if (status != FA_OK || n == 0)                                                             \
            return status;                                                                         \
        /* Values that were its own are still there when it moved. */                              \
        memmove((void *)(self->items + self->count), (const void *)values, n * sizeof(type));      \
        self->count += n;                                                                          \
        return FA_OK;                                                                              \
    }                                                                                              \
    FAI_MADE fa_status name##_insert(name *self, size_t index, type value) {                       \
        if (index > self->count)                                                                   \
            return FA_ERROR_INVALID;                                                               \
        fa_status status = name##_reserve(self, fai_room_sum(self->count, 1));                     \
        if (status != FA_OK)                                                                       \
            return status;                                                                         \
        type *place = self->items + index;                                                         \
        memmove((void *)(place + 1), (void *)place, (self->count - index) * sizeof(type));         \
        *place = value;                                                                            \
        self->count++;                                                                             \
        return FA_OK;                                                                              \
    }                                                                                              \
    FAI_MADE fa_status name##_resize(name *self, size_t count) {                                   \
        fa_status status = name##_reserve(self, count);                                            \
        if (status != FA_OK)                                                                       \
            return status;                                                                         \
        if (count > self->count)                                                                   \
            memset((void *)(self->items + self->count), 0, (count - self->count) * sizeof(type));  \
        self->count = count;                                                                       \
        return FA_OK;                                                                              \
    }

#define FAI_VEC_REMOVE(name, type)                                                                 \
    FAI_MADE bool name##_pop(name *self, type *out) {                                              \
        if (self->count == 0)                                                                      \
            return false;                                                                          \
        self->count--;                                                                             \
        if (out != NULL)                                                                           \
            *out = self->items[self->count];                                                       \
        return true;                                                                               \
    }                                                                                              \
    FAI_MADE bool name##_remove(name *self, size_t index) {                                        \
        if (index >= self->count)                                                                  \
            return false;                                                                          \
        type *place = self->items + index;                                                         \
        self->count--;                                                                             \
        memmove((void *)place, (void *)(place + 1), (self->count - index) * sizeof(type));         \
        return true;                                                                               \
    }                                                                                              \
    FAI_MADE bool name##_remove_swap(name *self, size_t index) {                                   \
        if (index >= self->count)                                                                  \
            return false;                                                                          \
        self->items[index] = self->items[self->count - 1];                                         \
        self->count--;                                                                             \
        return true;                                                                               \
    }                                                                                              \
    FAI_MADE size_t name##_retain(name *self, bool (*keep)(void *user, type const *item),          \
                                  void *user) {                                                    \
        size_t kept = 0;                                                                           \
        for (size_t i = 0; i < self->count; i++)                                                   \
            if (keep(user, &self->items[i])) {                                                     \
                self->items[kept] = self->items[i];                                                \
                kept++;                                                                            \
            }                                                                                      \
        size_t removed = self->count - kept;                                                       \
        self->count = kept;                                                                        \
        return removed;                                                                            \
    }                                                                                              \
    FAI_MADE void name##_clear(name *self) { self->count = 0; }

#define FAI_VEC_READ(name, type)                                                                   \
    FAI_MADE type *name##_at(const name *self, size_t index) {                                     \
        return index < self->count ? &self->items[index] : NULL;                                   \
    }                                                                                              \
    FAI_MADE type *name##_last(const name *self) {                                                 \
        return self->count != 0 ? &self->items[self->count - 1] : NULL;                            \
    }                                                                                              \
    FAI_MADE size_t name##_count(const name *self) { return self->count; }                         \
    FAI_MADE size_t name##_capacity(const name *self) { return self->capacity; }                   \
    FAI_MADE size_t name##_remaining(const name *self) { return self->capacity - self->count; }

#endif
