/* Hash maps in frame memory. What holds for all collections, such as capacities, results and
 * lifetime, stands in collection.h; hashes and comparisons for common keys in hash.h.
 *
 * FA_MAP(name, key_type, value_type, hash, equal) makes the types name (48 bytes) and name_entry
 * (fields key and value), and these functions. hash(key) returns a uint64_t, equal(a, b) a bool;
 * functions or macros that take keys by value. The map mixes what hash returns, so that a poor one
 * costs time only when it gives many keys the same number.
 *
 *     name name_make(allocator, capacity)       see collection.h; capacity 0: grows
 *     name name_make_in(frame, capacity)
 *     bool name_is_made(map)                    false for {0}
 *
 *     fa_status name_insert(map, key, value)    FA_ERROR_EXISTS: the old value stays
 *     fa_status name_set(map, key, value)       inserts, or gives the key another value; what is
 *                                               there can be updated when the map is full
 *     value_type *name_slot(map, key, is_new)   the key's value; a new one is not initialised.
 *                                               NULL: refused. is_new may be NULL
 *     fa_status name_reserve(map, capacity)     so many will fit in all
 *
 *     value_type *name_find(map, key)           NULL: not there
 *     bool name_contains(map, key)
 *     bool name_remove(map, key)                false: not there
 *     void name_clear(map)                      O(capacity); the capacity stays
 *     size_t name_count(map), name_capacity(map), name_remaining(map)
 *
 *     name_entry *name_next(map, cursor)        each entry once, in no order; NULL at the end. The
 *                                               entry last given may be removed, and so may those
 *                                               before it. After any other change entries may come
 *                                               twice or not at all.
 *     fa_map_cursor cursor = {0};
 *     for (name_entry *e; (e = name_next(&map, &cursor)) != NULL;) ...
 *
 * insert, set and reserve return FA_OK, FA_ERROR_FULL, FA_ERROR_EXISTS, FA_ERROR_INVALID (a size
 * that wraps) or a refusal of frame.h. map must not be NULL. All but clear and growing take O(1) on
 * average; pointers to values hold until the map grows or an entry is removed.
 *
 * Memory: a power of two of slots, sizeof(name_entry) + 1 bytes each, and 15 bytes. Of a fixed
 * capacity at most 7 in 8 slots are used (1 of 2, 3 of 4 in the smallest): each entry of it takes
 * 1.14 to 2.29 times as much. A map that grows uses 3 in 4, from 16 slots on: 1.33 to 2.67 times
 * for each entry that is there, and the smaller tables that it has left behind as much again.
 *
 * Scheme: open addressing with linear probing and removal without tombstones, so that a map does
 * not wear out (Knuth, The Art of Computer Programming, volume 3, 6.4, algorithms L and R). One
 * byte per slot, with 7 bits of the hash, is looked at first, a group of slots at a time: Abseil's
 * "Swiss tables" (M. Kulukundis, Designing a Fast, Efficient, Cache-friendly Hash Table, CppCon
 * 2017). */
#ifndef FA_MAP_H
#define FA_MAP_H

#include "fa/collection.h"
#include "fa/hash.h"

#if defined(__SSE2__) && !defined(FAI_MAP_PORTABLE)
#include <emmintrin.h>
#define FAI_MAP_SSE2 1
#endif

FA_EXTERN_C_BEGIN

/* Where an iteration stands; {0} before the first entry. */
typedef struct fa_map_cursor {
    size_t at;
    size_t left; /* slots to look at, and 1 once it began */
} fa_map_cursor;

/* Slots of a map: entries, and behind them a tag for each, 0 where there is none, else 0x80 and 7
 * bits of the hash. The first tags are repeated behind the last, so that a group can be read from
 * any slot. Invariants: capacity < slots, so that each search meets an empty slot; between the slot
 * that an entry's hash names (its home) and the entry there is no empty slot. */
typedef struct fai_map_table {
    void *entries;
    uint8_t *tags;
    size_t mask; /* slots - 1 */
    size_t capacity;
    fa_frame *frame; /* where it grows; NULL: fixed, or refused */
} fai_map_table;

/* Empty tables; refused: all zero, with the error set. Of grow also the capacity may be more, and
 * the frame must not be NULL. */
FA_API fai_map_table fai_map_make(fa_allocator *allocator, size_t capacity, size_t entry_bytes,
                                  size_t align);
FA_API fai_map_table fai_map_make_in(fa_frame *frame, size_t capacity, size_t entry_bytes,
                                     size_t align);
FA_API FA_COLD fai_map_table fai_map_grow(fa_frame *frame, size_t capacity, size_t entry_bytes,
                                          size_t align);

#define FAI_MAP_REPEATED ((size_t)15) /* tags behind the last; a group may need so many */

/* A group: the tags of some slots in a row. match, empty and full return one bit for each slot in
 * question, first(bits) is the slot's number. match may name more, but only full ones. */
#ifdef FAI_MAP_SSE2
typedef __m128i fai_map_group;
#define FAI_MAP_GROUP ((size_t)16)
static inline fai_map_group fai_map_read(const uint8_t *tags) {
    return _mm_loadu_si128((const __m128i *)(const void *)tags);
}
static inline uint64_t fai_map_match(fai_map_group group, uint8_t tag) {
    return (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(group, _mm_set1_epi8((char)tag)));
}
static inline uint64_t fai_map_empty(fai_map_group group) {
    return (uint32_t)_mm_movemask_epi8(group) ^ 0xFFFF;
}
static inline uint64_t fai_map_full(fai_map_group group) {
    return (uint32_t)_mm_movemask_epi8(group);
}
static inline size_t fai_map_first(uint64_t bits) {
    return (uint32_t)__builtin_ctz((uint32_t)bits);
}
#else
typedef uint64_t fai_map_group;
#define FAI_MAP_GROUP ((size_t)8)
#define FAI_MAP_ONES ((uint64_t)0x0101010101010101)
#define FAI_MAP_HIGHS ((uint64_t)0x8080808080808080)
static inline fai_map_group fai_map_read(const uint8_t *tags) {
    uint64_t group;
    memcpy(&group, tags, sizeof group);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    group = __builtin_bswap64(group);
#endif
    return group;
}
/* Bytes that are zero after the exclusive or; a borrow may add the next one. */
static inline uint64_t fai_map_match(fai_map_group group, uint8_t tag) {
    uint64_t differing = group ^ FAI_MAP_ONES * tag;
    return (differing - FAI_MAP_ONES) & ~differing & group & FAI_MAP_HIGHS;
}
static inline uint64_t fai_map_empty(fai_map_group group) { return ~group & FAI_MAP_HIGHS; }
static inline uint64_t fai_map_full(fai_map_group group) { return group & FAI_MAP_HIGHS; }
static inline size_t fai_map_first(uint64_t bits) { return (uint32_t)__builtin_ctzll(bits) >> 3; }
#endif

/* Multiplicative hashing (Knuth, 6.4): the product with 2^64 / golden ratio, whose highest bits
 * depend on all bits of the hash. They are the home, the next 7 the tag. */
static inline uint64_t fai_map_mix(uint64_t hash) { return hash * (uint64_t)0x9E3779B97F4A7C15; }
static inline size_t fai_map_home(uint64_t mixed, size_t mask) {
    return (size_t)(mixed >> __builtin_clzll(mask));
}
static inline uint8_t fai_map_tag_of(uint64_t mixed, size_t mask) {
    return (uint8_t)(0x80 | mixed << (64 - __builtin_clzll(mask)) >> 57);
}

/* Writes the tag and its repetitions: of most tables without a branch, the one of a tag that has
 * none is the tag itself. */
static inline void fai_map_tag(uint8_t *tags, size_t mask, size_t slot, uint8_t tag) {
    tags[slot] = tag;
    tags[((slot - FAI_MAP_REPEATED) & mask) + FAI_MAP_REPEATED] = tag;
    if (FA_UNLIKELY(mask < FAI_MAP_REPEATED))
        while ((slot += mask + 1) <= mask + FAI_MAP_REPEATED)
            tags[slot] = tag;
}

/* The first empty slot from home on. One by one: a group would wait for the tag that was written a
 * moment ago, in the table that is being filled. */
static inline size_t fai_map_vacancy(const uint8_t *tags, size_t mask, size_t home) {
    while (tags[home] != 0)
        home = (home + 1) & mask;
    return home;
}

/* A table that is filled from a smaller one, nearly in the order of homes, for the highest bits of
 * the hash name them in both. Bit i of full tells that slot base + i is full; it may forget. */
typedef struct fai_map_filler {
    size_t base;
    uint64_t full;
} fai_map_filler;

/* The first empty slot from home on. Where it lies can't be predicted: mostly without a branch. */
static inline size_t fai_map_fill(fai_map_filler *filler, const uint8_t *tags, size_t mask,
                                  size_t home) {
    if (FA_UNLIKELY(home < filler->base))
        return fai_map_vacancy(tags, mask, home);
    /* The window follows, half of it behind the home. */
    size_t ahead = home - filler->base, step = ahead > 32 ? ahead - 32 : 0;
    filler->full = step < 64 ? filler->full >> (step & 63) : 0;
    filler->base += step;
    uint64_t empty = ~filler->full >> (ahead - step);
    size_t to = home + (size_t)__builtin_ctzll(empty | (uint64_t)1 << 63);
    if (FA_UNLIKELY(empty == 0 || to > mask || tags[to] != 0))
        return fai_map_vacancy(tags, mask, home);
    filler->full |= (uint64_t)1 << (to - filler->base);
    return to;
}

/* The next full slot of an iteration, SIZE_MAX at the end. Goes backwards and starts at an empty
 * slot: removing an entry then moves none into the part that lies ahead. */
FA_API size_t fai_map_step(const uint8_t *tags, size_t mask, fa_map_cursor *cursor);

FA_EXTERN_C_END

#define FA_MAP(name, key_type, value_type, hash_of, is_equal)                                      \
    typedef struct name##_entry {                                                                  \
        key_type key;                                                                              \
        value_type value;                                                                          \
    } name##_entry;                                                                                \
    typedef struct name {                                                                          \
        name##_entry *entries;                                                                     \
        uint8_t *tags;                                                                             \
        size_t mask;                                                                               \
        size_t capacity;                                                                           \
        fa_frame *frame;                                                                           \
        size_t count;                                                                              \
    } name;                                                                                        \
    FAI_PLAIN_DATA(name##_entry)                                                                   \
    FAI_MAP_FIND(name, key_type, value_type, hash_of, is_equal)                                    \
    FAI_MAP_MAKE(name, hash_of)                                                                    \
    FAI_MAP_INSERT(name, key_type, value_type, hash_of, is_equal)                                  \
    FAI_MAP_REMOVE(name, key_type, hash_of)                                                        \
    FAI_MAP_READ(name)

#define FAI_MAP_FIND(name, key_type, value_type, hash_of, is_equal)                                \
    FAI_MADE name##_entry *fai_##name##_find_entry(const name *self, key_type key) {               \
        if (FA_UNLIKELY(self->count == 0))                                                         \
            return NULL;                                                                           \
        uint64_t mixed = fai_map_mix(hash_of(key));                                                \
        for (size_t at = fai_map_home(mixed, self->mask);;                                         \
             at = (at + FAI_MAP_GROUP) & self->mask) {                                             \
            fai_map_group group = fai_map_read(self->tags + at);                                   \
            uint64_t bits = fai_map_match(group, fai_map_tag_of(mixed, self->mask));               \
            for (; bits != 0; bits &= bits - 1) {                                                  \
                name##_entry *entry = &self->entries[(at + fai_map_first(bits)) & self->mask];     \
                if (FA_LIKELY(is_equal(entry->key, key)))                                          \
                    return entry;                                                                  \
            }                                                                                      \
            if (FA_LIKELY(fai_map_empty(group) != 0))                                              \
                return NULL;                                                                       \
        }                                                                                          \
    }                                                                                              \
    FAI_MADE value_type *name##_find(const name *self, key_type key) {                             \
        name##_entry *entry = fai_##name##_find_entry(self, key);                                  \
        return entry != NULL ? &entry->value : NULL;                                               \
    }                                                                                              \
    FAI_MADE bool name##_contains(const name *self, key_type key) {                                \
        return fai_##name##_find_entry(self, key) != NULL;                                         \
    }

#define FAI_MAP_MAKE(name, hash_of)                                                                \
    FAI_MADE name fai_##name##_of(fai_map_table table) {                                           \
        name self = {(name##_entry *)table.entries,                                                \
                     table.tags,                                                                   \
                     table.mask,                                                                   \
                     table.capacity,                                                               \
                     table.frame,                                                                  \
                     0};                                                                           \
        return self;                                                                               \
    }                                                                                              \
    FAI_MADE name name##_make_in(fa_frame *frame, size_t capacity) {                               \
        return fai_##name##_of(                                                                    \
            fai_map_make_in(frame, capacity, sizeof(name##_entry), FA_ALIGNOF(name##_entry)));     \
    }                                                                                              \
    FAI_MADE name name##_make(fa_allocator *allocator, size_t capacity) {                          \
        return fai_##name##_of(                                                                    \
            fai_map_make(allocator, capacity, sizeof(name##_entry), FA_ALIGNOF(name##_entry)));    \
    }                                                                                              \
    FAI_MADE bool name##_is_made(const name *self) {                                               \
        return self->capacity != 0 || self->frame != NULL;                                         \
    }                                                                                              \
    /* By value and not by reference, as fai_room_grow. Refused: as it was. */                     \
    __attribute__((unused, noinline)) static name fai_##name##_enlarged(name self, size_t need) {  \
        fai_map_table table =                                                                      \
            fai_map_grow(self.frame, need, sizeof(name##_entry), FA_ALIGNOF(name##_entry));        \
        if (table.entries == NULL)                                                                 \
            return self;                                                                           \
        name larger = fai_##name##_of(table);                                                      \
        fai_map_filler filler = {0, 0};                                                            \
        size_t from = self.count != 0 ? fai_map_vacancy(self.tags, self.mask, 0) : 0;              \
        for (; larger.count < self.count; from = (from + FAI_MAP_GROUP) & self.mask) {             \
            uint64_t bits = fai_map_full(fai_map_read(self.tags + from));                          \
            for (; bits != 0; bits &= bits - 1) {                                                  \
                name##_entry *entry = &self.entries[(from + fai_map_first(bits)) & self.mask];     \
                uint64_t mixed = fai_map_mix(hash_of(entry->key));                                 \
                size_t home = fai_map_home(mixed, larger.mask);                                    \
                size_t to = fai_map_fill(&filler, larger.tags, larger.mask, home);                 \
                fai_map_tag(larger.tags, larger.mask, to, fai_map_tag_of(mixed, larger.mask));     \
                larger.entries[to] = *entry;                                                       \
                larger.count++;                                                                    \
            }                                                                                      \
        }                                                                                          \
        return larger;                                                                             \
    }                                                                                              \
    FAI_MADE_INLINE fa_status name##_reserve(name *self, size_t need) {                            \
        if (need <= self->capacity)                                                                \
            return FA_OK;                                                                          \
        if (self->frame == NULL)                                                                   \
            return FA_ERROR_FULL;                                                                  \
        name larger = fai_##name##_enlarged(*self, need);                                          \
        FAI_APART(larger.entries);                                                                 \
        FAI_APART(larger.tags);                                                                    \
        FAI_APART(larger.mask);                                                                    \
        FAI_APART(larger.capacity);                                                                \
        *self = larger;                                                                            \
        return need <= self->capacity ? FA_OK : fa_last_error().status;                            \
    }

#define FAI_MAP_INSERT(name, key_type, value_type, hash_of, is_equal)                              \
    /* An empty home is looked for by itself: the store's address then does not depend on a load,  \
     * and the processor need not hold the next search back until it knows it. */                  \
    FAI_MADE value_type *name##_slot(name *self, key_type key, bool *is_new) {                     \
        if (is_new != NULL)                                                                        \
            *is_new = false;                                                                       \
        if (FA_UNLIKELY(self->count == self->capacity)) {                                          \
            value_type *value = name##_find(self, key);                                            \
            if (value != NULL || name##_reserve(self, fai_room_sum(self->count, 1)) != FA_OK)      \
                return value;                                                                      \
        }                                                                                          \
        uint64_t mixed = fai_map_mix(hash_of(key)), empty = 0;                                     \
        size_t at = fai_map_home(mixed, self->mask);                                               \
        for (bool is_full = self->tags[at] != 0; is_full && empty == 0;) {                         \
            fai_map_group group = fai_map_read(self->tags + at);                                   \
            uint64_t bits = fai_map_match(group, fai_map_tag_of(mixed, self->mask));               \
            for (; FA_UNLIKELY(bits != 0); bits &= bits - 1) {                                     \
                name##_entry *entry = &self->entries[(at + fai_map_first(bits)) & self->mask];     \
                if (is_equal(entry->key, key))                                                     \
                    return &entry->value;                                                          \
            }                                                                                      \
            empty = fai_map_empty(group);                                                          \
            at = (at + (empty != 0 ? fai_map_first(empty) : FAI_MAP_GROUP)) & self->mask;          \
        }                                                                                          \
        fai_map_tag(self->tags, self->mask, at, fai_map_tag_of(mixed, self->mask));                \
        self->entries[at].key = key;                                                               \
        self->count++;                                                                             \
        if (is_new != NULL)                                                                        \
            *is_new = true;                                                                        \
        return &self->entries[at].value;                                                           \
    }                                                                                              \
    /* Why slot had none. */                                                                       \
    FAI_MADE fa_status fai_##name##_refusal(const name *self) {                                    \
        return self->frame == NULL ? FA_ERROR_FULL : fa_last_error().status;                       \
    }                                                                                              \
    FAI_MADE fa_status name##_insert(name *self, key_type key, value_type value) {                 \
        bool is_new;                                                                               \
        value_type *slot = name##_slot(self, key, &is_new);                                        \
        if (FA_UNLIKELY(slot == NULL))                                                             \
            return fai_##name##_refusal(self);                                                     \
        if (!is_new)                                                                               \
            return FA_ERROR_EXISTS;                                                                \
        *slot = value;                                                                             \
        return FA_OK;                                                                              \
    }                                                                                              \
    FAI_MADE fa_status name##_set(name *self, key_type key, value_type value) {                    \
        value_type *slot = name##_slot(self, key, NULL);                                           \
        if (FA_UNLIKELY(slot == NULL))                                                             \
            return fai_##name##_refusal(self);                                                     \
        *slot = value;                                                                             \
        return FA_OK;                                                                              \
    }

#define FAI_MAP_REMOVE(name, key_type, hash_of)                                                    \
    FAI_MADE bool name##_remove(name *self, key_type key) {                                        \
        name##_entry *entry = fai_##name##_find_entry(self, key);                                  \
        if (entry == NULL)                                                                         \
            return false;                                                                          \
        /* Entries behind the hole move into it, unless that would be before their home. */        \
        size_t mask = self->mask, hole = (size_t)(entry - self->entries), at = hole;               \
        while (self->tags[at = (at + 1) & mask] != 0) {                                            \
            size_t home = fai_map_home(fai_map_mix(hash_of(self->entries[at].key)), mask);         \
            if (((at - home) & mask) < ((at - hole) & mask))                                       \
                continue;                                                                          \
            self->entries[hole] = self->entries[at];                                               \
            fai_map_tag(self->tags, mask, hole, self->tags[at]);                                   \
            hole = at;                                                                             \
        }                                                                                          \
        fai_map_tag(self->tags, mask, hole, 0);                                                    \
        self->count--;                                                                             \
        return true;                                                                               \
    }                                                                                              \
    FAI_MADE void name##_clear(name *self) {                                                       \
        if (self->count != 0)                                                                      \
            memset(self->tags, 0, self->mask + 1 + FAI_MAP_REPEATED);                              \
        self->count = 0;                                                                           \
    }

#define FAI_MAP_READ(name)                                                                         \
    FAI_MADE name##_entry *name##_next(const name *self, fa_map_cursor *cursor) {                  \
        if (self->count == 0)                                                                      \
            return NULL;                                                                           \
        size_t at = fai_map_step(self->tags, self->mask, cursor);                                  \
        return at != SIZE_MAX ? &self->entries[at] : NULL;                                         \
    }                                                                                              \
    FAI_MADE size_t name##_count(const name *self) { return self->count; }                         \
    FAI_MADE size_t name##_capacity(const name *self) { return self->capacity; }                   \
    FAI_MADE size_t name##_remaining(const name *self) { return self->capacity - self->count; }

#define FAI_MAP_DECLARED
#include "fa/site.h"

#endif
