/* Tables of maps, and how they are walked. */
#include "fa/map.h"

#include "fa/internal/allocator.h"
#include "fa/internal/check.h"

#define SLOTS_MIN ((size_t)2)
#define SLOTS_FIRST ((size_t)16) /* of a map that grows */

/* How many entries a map of fixed capacity puts into so many slots: 7 in 8, and one stays empty. */
static size_t capacity_fixed(size_t slots) { return slots < 8 ? slots - 1 : slots / 8 * 7; }

/* And one that grows: 3 in 4, which was measured to be faster in all, for in a fuller one searches
 * take more steps, and entries lie less in the order of their homes when they are moved. */
static size_t capacity_growing(size_t slots) { return slots / 4 * 3; }

/* Slots for that many entries, at least slots_min; 0 when there is no such number. */
static size_t slots_for(size_t slots_min, size_t capacity, size_t (*capacity_of)(size_t slots)) {
    size_t slots = slots_min;
    while (capacity_of(slots) < capacity) {
        if (slots > FA_SIZE_MAX)
            return 0;
        slots *= 2;
    }
    return slots;
}

static fai_map_table build(fa_frame *frame, size_t slots, size_t entry_bytes, size_t align) {
    fai_map_table table = {NULL, NULL, 0, 0, NULL};
    size_t bytes;
    if (slots == 0 || __builtin_mul_overflow(slots, entry_bytes + 1, &bytes) ||
        bytes > FA_SIZE_MAX - FAI_MAP_REPEATED) {
        fai_fail(FA_ERROR_INVALID, slots);
        return table;
    }
    table.entries = (fa_frame_alloc_aligned_in)(frame, bytes + FAI_MAP_REPEATED, align);
    if (table.entries == NULL)
        return table;
    table.tags = (uint8_t *)table.entries + slots * entry_bytes;
    table.mask = slots - 1;
    memset(table.tags, 0, slots + FAI_MAP_REPEATED);
    return table;
}

fai_map_table(fai_map_make_in)(fa_frame *frame, size_t capacity, size_t entry_bytes, size_t align) {
    if (capacity == 0)
        return (fai_map_table){.frame = fai_room_frame_in(frame)};
    fai_map_table table =
        build(frame, slots_for(SLOTS_MIN, capacity, capacity_fixed), entry_bytes, align);
    table.capacity = table.entries != NULL ? capacity : 0;
    return table;
}

fai_map_table(fai_map_make)(fa_allocator *allocator, size_t capacity, size_t entry_bytes,
                            size_t align) {
    fa_frame *frame = fai_room_frame(allocator);
    if (frame != NULL)
        return (fai_map_make_in)(frame, capacity, entry_bytes, align);
    return (fai_map_table){.frame = NULL};
}

fai_map_table(fai_map_grow)(fa_frame *frame, size_t capacity, size_t entry_bytes, size_t align) {
    size_t slots = slots_for(SLOTS_FIRST, capacity, capacity_growing);
    fai_map_table table = build(frame, slots, entry_bytes, align);
    if (table.entries != NULL) {
        table.capacity = capacity_growing(slots);
        table.frame = frame;
    }
    return table;
}

size_t fai_map_step(const uint8_t *tags, size_t mask, fa_map_cursor *cursor) {
    if (cursor->left == 0) {
        cursor->at = fai_map_vacancy(tags, mask, 0);
        cursor->left = mask + 1; /* all but that one, and 1 */
    }
    while (cursor->left > 1) {
        cursor->left--;
        cursor->at = (cursor->at - 1) & mask;
        if (tags[cursor->at] != 0)
            return cursor->at;
    }
    return SIZE_MAX;
}
