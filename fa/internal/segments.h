/* The table that says where segments are: open addressing, read without a lock, written under the
 * allocator's.
 *
 * A reader asks about the address of a live block. If that is a pool object, its segment was put
 * before the object was handed out, is still there, and nothing between its first place and its own
 * has become empty since: so a reader who sees what came before he got the object finds it, and
 * nothing is ordered here but what a table that has grown starts with. If it is another block,
 * where there may have been a segment, he finds none: that was removed before its memory went
 * through the backend, whose calls are ordered, to the block.
 *
 * Compiled for the checker of memory orders too (fa/weak/segments_weak_test.cc). */
#ifndef FAI_SEGMENTS_H
#define FAI_SEGMENTS_H

#include "fa/internal/allocator.h"

typedef FAI_ATOMIC(fai_segment_table *) fai_table_place;

static inline size_t fai_table_slot(const fai_segment_table *table, uintptr_t segment) {
    /* Fibonacci hashing of the address in units of the smallest segment. */
    return (size_t)(((uint64_t)(segment >> 18) * 0x9E3779B97F4A7C15ull) >> 32) &
           (table->capacity - 1);
}

/* Under the lock. Returns how many more entries are not empty now: 1, or 0 in the place of a
 * removed one. */
static inline size_t fai_table_put(fai_segment_table *table, uintptr_t segment) {
    size_t i = fai_table_slot(table, segment);
    uintptr_t seen;
    while ((seen = FAI_LOAD_RELAXED(&table->entry[i])) > FAI_TABLE_REMOVED)
        i = (i + 1) & (table->capacity - 1);
    FAI_STORE_RELAXED(&table->entry[i], segment);
    return seen == FAI_TABLE_EMPTY;
}

/* Under the lock. Returns how many fewer entries are not empty now. */
static inline size_t fai_table_remove(fai_segment_table *table, uintptr_t segment) {
    size_t mask = table->capacity - 1, fewer = 0;
    size_t i = fai_table_slot(table, segment);
    while (FAI_LOAD_RELAXED(&table->entry[i]) != segment)
        i = (i + 1) & mask;
    FAI_STORE_RELAXED(&table->entry[i], FAI_TABLE_REMOVED);
    /* What stands before an empty entry ends no search too early by being empty itself: so removed
     * entries do not add up, and a table is rebuilt only when there are more segments. */
    if (FAI_LOAD_RELAXED(&table->entry[(i + 1) & mask]) != FAI_TABLE_EMPTY)
        return 0;
    for (; FAI_LOAD_RELAXED(&table->entry[i]) == FAI_TABLE_REMOVED; i = (i - 1) & mask) {
        FAI_STORE_RELAXED(&table->entry[i], FAI_TABLE_EMPTY);
        fewer++;
    }
    return fewer;
}

/* Under the lock: a table that is complete is the one to look into. */
static inline void fai_table_publish(fai_table_place *place, fai_segment_table *table) {
    FAI_STORE_RELEASE(place, table);
}

/* Whether a segment starts at an address. Any thread. */
static inline bool fai_table_knows(const fai_table_place *place, uintptr_t segment) {
    const fai_segment_table *table = FAI_LOAD_ACQUIRE(place);
    if (table == NULL)
        return false;
    for (size_t i = fai_table_slot(table, segment);; i = (i + 1) & (table->capacity - 1)) {
        uintptr_t entry = FAI_LOAD_RELAXED(&table->entry[i]);
        if (entry == segment)
            return true;
        if (entry == FAI_TABLE_EMPTY)
            return false;
    }
}

#endif
