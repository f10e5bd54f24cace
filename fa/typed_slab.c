/* The slabs of a typed pool: which there are, which of them have a free object, and the objects'
 * bits. Nothing here takes a lock or memory. */
#include "fa/internal/typed.h"

#include <string.h>

/* ---- sets of bits ---- */

static uint64_t below(size_t bit) { return ((uint64_t)1 << bit % 64) - 1; }

static bool has_bit(const uint64_t *words, size_t bit) {
    return (words[bit / 64] >> bit % 64 & 1) != 0;
}

static void set_bit(uint64_t *words, size_t bit, bool value) {
    words[bit / 64] = (words[bit / 64] & ~((uint64_t)1 << bit % 64)) | (uint64_t)value << bit % 64;
}

/* Moves the bits from `at` on up by one; the one at `at` is 0 then. */
static void open_gap(uint64_t *words, size_t bit_count, size_t at) {
    for (size_t word = bit_count / 64; word > at / 64; word--)
        words[word] = words[word] << 1 | words[word - 1] >> 63;
    uint64_t *first = &words[at / 64];
    *first = (*first & below(at)) | (*first & ~below(at)) << 1;
}

/* Moves the bits above `at` down by one. */
static void close_gap(uint64_t *words, size_t bit_count, size_t at) {
    uint64_t *first = &words[at / 64];
    *first = (*first & below(at)) | (*first >> 1 & ~below(at));
    for (size_t word = at / 64; word < (bit_count - 1) / 64; word++) {
        words[word] |= words[word + 1] << 63;
        words[word + 1] >>= 1;
    }
}

/* ---- the hash table ---- */

static void table_insert(fai_typed_directory *directory, fai_typed_slab *slab) {
    size_t mask = directory->capacity * 2 - 1, i = fai_typed_home(directory, (uintptr_t)slab);
    while (directory->table[i] != NULL)
        i = (i + 1) & mask;
    directory->table[i] = slab;
}

/* Closes the gap, so that no search stops too early. */
static void table_erase(fai_typed_directory *directory, const fai_typed_slab *slab) {
    size_t mask = directory->capacity * 2 - 1, gap = fai_typed_home(directory, (uintptr_t)slab);
    while (directory->table[gap] != slab)
        gap = (gap + 1) & mask;
    for (size_t i = (gap + 1) & mask; directory->table[i] != NULL; i = (i + 1) & mask) {
        size_t home = fai_typed_home(directory, (uintptr_t)directory->table[i]);
        if (((i - home) & mask) >= ((i - gap) & mask)) {
            directory->table[gap] = directory->table[i];
            gap = i;
        }
    }
    directory->table[gap] = NULL;
}

/* ---- the list by address ---- */

void fai_typed_directory_place(fai_typed_directory *directory, void *block, size_t capacity) {
    directory->capacity = capacity;
    directory->slabs = (fai_typed_slab **)block;
    directory->table = directory->slabs + capacity;
    directory->open = (uint64_t *)(void *)(directory->table + capacity * 2);
    directory->numbers = directory->open + (capacity + 63) / 64;
    memset(block, 0, FAI_TYPED_DIRECTORY_BYTES(capacity));
}

void fai_typed_directory_move(fa_typed_pool *pool, fai_typed_directory *directory) {
    const fai_typed_directory *old = &pool->directory;
    size_t words = (old->capacity + 63) / 64;
    memcpy(directory->slabs, old->slabs, pool->slab_count * sizeof *old->slabs);
    memcpy(directory->open, old->open, words * sizeof *old->open);
    memcpy(directory->numbers, old->numbers, words * sizeof *old->numbers);
    for (size_t i = 0; i < pool->slab_count; i++)
        table_insert(directory, old->slabs[i]);
    pool->directory = *directory;
}

size_t fai_typed_above(const fa_typed_pool *pool, const void *address) {
    size_t low = 0, high = pool->slab_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if ((uintptr_t)pool->directory.slabs[middle] <= (uintptr_t)address)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* No slab in words before `word` has a free object. */
static void find_lowest_open(fa_typed_pool *pool, size_t word) {
    const fai_typed_directory *directory = &pool->directory;
    pool->lowest_open = NULL;
    for (; word * 64 < pool->slab_count; word++)
        if (directory->open[word] != 0) {
            size_t bit = (size_t)__builtin_ctzll(directory->open[word]);
            pool->lowest_open = directory->slabs[word * 64 + bit];
            return;
        }
}

void fai_typed_set_open(fa_typed_pool *pool, fai_typed_slab *slab, bool is_open) {
    size_t position = fai_typed_above(pool, slab) - 1;
    set_bit(pool->directory.open, position, is_open);
    if (!is_open && pool->lowest_open == slab)
        find_lowest_open(pool, position / 64);
    else if (is_open && (pool->lowest_open == NULL || slab < pool->lowest_open))
        pool->lowest_open = slab;
}

void fai_typed_insert(fa_typed_pool *pool, fai_typed_slab *slab) {
    fai_typed_directory *directory = &pool->directory;
    size_t position = fai_typed_above(pool, slab), number = 0;
    while (has_bit(directory->numbers, number))
        number++;
    set_bit(directory->numbers, number, true);
    slab->number = (uint32_t)number;
    memmove(directory->slabs + position + 1, directory->slabs + position,
            (pool->slab_count - position) * sizeof *directory->slabs);
    directory->slabs[position] = slab;
    open_gap(directory->open, pool->slab_count, position);
    table_insert(directory, slab);
    pool->slab_count++;
    pool->slab_empty_count++;
    pool->capacity += slab->capacity;
    pool->bytes_held += slab->bytes;
    pool->moved++;
    fai_typed_set_open(pool, slab, true);
}

void fai_typed_remove(fa_typed_pool *pool, fai_typed_slab *slab) {
    fai_typed_directory *directory = &pool->directory;
    size_t position = fai_typed_above(pool, slab) - 1;
    set_bit(directory->numbers, slab->number, false);
    memmove(directory->slabs + position, directory->slabs + position + 1,
            (pool->slab_count - position - 1) * sizeof *directory->slabs);
    close_gap(directory->open, pool->slab_count, position);
    table_erase(directory, slab);
    pool->slab_count--;
    pool->slab_empty_count--;
    pool->capacity -= slab->capacity;
    pool->bytes_held -= slab->bytes;
    pool->moved++;
    if (pool->lowest_open == slab)
        find_lowest_open(pool, 0);
}

fai_typed_slab *fai_typed_remove_empty(fa_typed_pool *pool, size_t keep) {
    fai_typed_slab *removed = NULL;
    for (size_t position = pool->slab_count; position-- > 0 && pool->slab_empty_count > keep;) {
        fai_typed_slab *slab = pool->directory.slabs[position];
        if (slab->taken_count != 0 || pool->capacity - slab->capacity < pool->count_reserved)
            continue;
        fai_typed_remove(pool, slab);
        slab->next = removed;
        removed = slab;
    }
    return removed;
}

fai_typed_slab *fai_typed_emptied(fa_typed_pool *pool, fai_typed_slab *slab) {
    pool->slab_empty_count++;
    if (pool->slab_empty_count <= 1 || pool->capacity - slab->capacity < pool->count_reserved)
        return NULL;
    fai_typed_remove(pool, slab);
    slab->next = NULL;
    return slab;
}

/* ---- validation ---- */

/* Whether the bits of a slab are in order. */
static bool is_whole(const fai_typed_slab *slab) {
    const uint64_t *taken = slab->live + slab->word_count;
    size_t count = 0;
    for (size_t word = 0; word < slab->word_count; word++) {
        count += (size_t)__builtin_popcountll(taken[word]);
        if ((slab->live[word] & ~taken[word]) != 0 ||
            (word < slab->word_open && taken[word] != UINT64_MAX))
            return false;
    }
    if (slab->capacity % 64 != 0 && (taken[slab->word_count - 1] & ~below(slab->capacity)) != 0)
        return false;
    return count == slab->taken_count && count <= slab->capacity;
}

const void *fai_typed_validate(fa_typed_pool *pool) {
    const fai_typed_directory *directory = &pool->directory;
    size_t taken = 0, capacity = 0, empty = 0, bytes = 0;
    fai_typed_slab *lowest = NULL;
    for (size_t i = 0; i < pool->slab_count; i++) {
        fai_typed_slab *slab = directory->slabs[i];
        bool is_open = slab->taken_count < slab->capacity;
        if ((i != 0 && slab <= directory->slabs[i - 1]) || !is_whole(slab) ||
            has_bit(directory->open, i) != is_open || !has_bit(directory->numbers, slab->number) ||
            fai_typed_lookup(directory, (uintptr_t)slab) != slab)
            return slab;
        if (is_open && lowest == NULL)
            lowest = slab;
        taken += slab->taken_count;
        capacity += slab->capacity;
        empty += slab->taken_count == 0;
        bytes += slab->bytes;
    }
    if (pool->slab_count > directory->capacity || taken != pool->taken_count ||
        capacity != pool->capacity || empty != pool->slab_empty_count ||
        lowest != pool->lowest_open || bytes >= pool->bytes_held || taken > pool->taken_peak)
        return pool;
    return NULL;
}
