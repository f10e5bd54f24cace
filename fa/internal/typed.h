/* The inside of typed pools, also for what stands on them (object_cache.c).
 *
 * A slab is a heap block: its header, the bits of its objects, the objects. It lies at a multiple
 * of a power of two that is larger than itself, so that the address of an object names the slab,
 * and a hash table of the slabs says whether that is one of this pool: no memory is read for a
 * pointer that may be anything.
 *
 * Each object has two bits. Free: none. Live: both. Only taken: somebody is making or ending it, or
 * keeps it idle.
 *
 * Invariants: live lies in taken; the slabs are in ascending order; open has a bit for each slab
 * with a free object; lowest_open is the first of those; capacity <= count_max; no free object in
 * words before word_open. */
#ifndef FAI_TYPED_H
#define FAI_TYPED_H

#include "fa/internal/allocator.h"
#include "fa/typed_pool.h"

typedef struct fai_typed_slab {
    uint32_t capacity;
    uint32_t taken_count;
    uint32_t word_count;
    uint32_t word_open;
    uint32_t number;     /* lowest one that no other slab of the pool has */
    uint32_t objects_at; /* from the start of the slab */
    size_t bytes;
    struct fai_typed_slab *next; /* on its way out */
    uint64_t live[];             /* followed by as many taken */
} fai_typed_slab;

/* Sizes of slabs: the largest, a quarter, a sixteenth. */
#define FAI_TYPED_LEVEL_COUNT 3

typedef struct fai_typed_directory {
    size_t capacity;        /* slabs that it has room for: a power of two */
    fai_typed_slab **slabs; /* by address */
    fai_typed_slab **table; /* by hash, twice the capacity */
    uint64_t *open;         /* by position in slabs */
    uint64_t *numbers;      /* those in use */
} fai_typed_directory;
#define FAI_TYPED_OWN_SLABS 8
#define FAI_TYPED_DIRECTORY_BYTES(slabs) ((slabs)*3 * sizeof(void *) + ((slabs) + 63) / 64 * 16)

struct fa_typed_pool {
    fai_owned owned;
    fa_allocator *allocator;
    pthread_mutex_t lock; /* of a shared one: guards all below */
    bool is_shared;
    bool is_plain;  /* no lock, no callbacks, nobody watches, not ending */
    bool is_ending; /* nothing is acquired any more */
    fa_tag tag;
    uint32_t shift;      /* log2 of the largest slab's alignment */
    uint64_t reciprocal; /* of stride, times 2^32, rounded up */
    size_t size, align;
    size_t stride; /* from object to object */
    size_t count_max, count_reserved;
    fa_construct_fn *construct;
    fa_destruct_fn *destruct;
    void *user;
    size_t level_capacity[FAI_TYPED_LEVEL_COUNT]; /* 0: too small */

    fai_typed_slab *lowest_open;
    uint64_t moved; /* changes of the list of slabs */
    size_t slab_count, slab_empty_count;
    size_t capacity, taken_count, taken_peak, bytes_held;
    uint64_t release_count; /* those that were acquired: as many more as are taken */
    fai_typed_directory directory;
    uint64_t own[FAI_TYPED_DIRECTORY_BYTES(FAI_TYPED_OWN_SLABS) / sizeof(uint64_t)];
};

/* An object, in its slab; slab NULL: none. */
typedef struct fai_typed_place {
    fai_typed_slab *slab;
    size_t index;
} fai_typed_place;

static inline void fai_typed_lock(fa_typed_pool *pool) {
    if (pool->is_shared)
        pthread_mutex_lock(&pool->lock);
}
static inline void fai_typed_unlock(fa_typed_pool *pool) {
    if (pool->is_shared)
        pthread_mutex_unlock(&pool->lock);
}

static inline uint64_t *fai_typed_taken(fai_typed_slab *slab) {
    return slab->live + slab->word_count;
}
static inline char *fai_typed_object(const fa_typed_pool *pool, fai_typed_place place) {
    return (char *)place.slab + place.slab->objects_at + place.index * pool->stride;
}
static inline bool fai_typed_is_live(fai_typed_place place) {
    return (place.slab->live[place.index / 64] >> place.index % 64 & 1) != 0;
}
static inline void fai_typed_flip_live(fai_typed_place place) {
    place.slab->live[place.index / 64] ^= (uint64_t)1 << place.index % 64;
}

/* Makes a pool of bytes zeroed memory, of which a fa_typed_pool is the first, as
 * fa_typed_pool_create says; it is not on the allocator's list yet. */
fa_status fai_typed_make(fa_allocator *allocator, const fa_typed_pool_config *config, size_t bytes,
                         fa_typed_pool **pool);
/* From here on acquire is refused; destructs all that is live, also what destructors bring about.
 * Returns whether there was anything. */
bool fai_typed_empty(fa_typed_pool *pool);
/* The same, and frees everything, off the list. Returns what was live. */
size_t fai_typed_end(fa_typed_pool *pool);
const void *fai_typed_validate(fa_typed_pool *pool);
void fai_typed_fork_lock(fai_owned *owned);
void fai_typed_fork_unlock(fai_owned *owned);

/* Marks a live object, which is reported otherwise, as merely taken. Takes the lock. */
fa_status fai_typed_claim(fa_typed_pool *pool, void *object, fai_typed_place *place);
/* Destructs a claimed object and frees it. Returns the bytes of a slab that went with it. No lock
 * may be held. */
size_t fai_typed_finish(fa_typed_pool *pool, fai_typed_place place);

/* Takes memory until there is room for count objects, 0: for one more. No lock may be held. */
fa_status fai_typed_grow(fa_typed_pool *pool, size_t count);
/* Takes the empty slabs off that nobody needs, but keep of them. Under the lock. */
fai_typed_slab *fai_typed_remove_empty(fa_typed_pool *pool, size_t keep);
/* Gives slabs back. Returns their bytes. No lock may be held. */
size_t fai_typed_free_slabs(fa_typed_pool *pool, fai_typed_slab *slabs);

/* Puts a slab on and off the list, whose directory has room. Under the lock. */
void fai_typed_insert(fa_typed_pool *pool, fai_typed_slab *slab);
void fai_typed_remove(fa_typed_pool *pool, fai_typed_slab *slab);
/* The slab gets or has no free object any more. Under the lock. */
void fai_typed_set_open(fa_typed_pool *pool, fai_typed_slab *slab, bool is_open);
/* Its last object was freed. Returns it, off the list, when it is to be given back, or NULL. Under
 * the lock. */
fai_typed_slab *fai_typed_emptied(fa_typed_pool *pool, fai_typed_slab *slab);
/* Position of the first slab that starts above an address. */
size_t fai_typed_above(const fa_typed_pool *pool, const void *address);
void fai_typed_directory_place(fai_typed_directory *directory, void *block, size_t capacity);
/* Everything of the old one into the new one, which is larger and zeroed. */
void fai_typed_directory_move(fa_typed_pool *pool, fai_typed_directory *directory);

/* ---- what each acquire and release does; under the lock ---- */

static inline size_t fai_typed_home(const fai_typed_directory *directory, uintptr_t slab) {
    uint64_t mixed = (uint64_t)(slab >> 8) * 0x9E3779B97F4A7C15ull;
    return (size_t)(mixed >> 32) & (directory->capacity * 2 - 1);
}

/* The slab that starts there, or NULL. */
static inline fai_typed_slab *fai_typed_lookup(const fai_typed_directory *directory,
                                               uintptr_t base) {
    for (size_t i = fai_typed_home(directory, base);; i = (i + 1) & (directory->capacity * 2 - 1)) {
        fai_typed_slab *slab = directory->table[i];
        if ((uintptr_t)slab == base || slab == NULL)
            return slab;
    }
}

/* The object at any address, free or not. */
static inline fai_typed_place fai_typed_find(const fa_typed_pool *pool, const void *object) {
    for (uint32_t level = 0; level < FAI_TYPED_LEVEL_COUNT; level++) {
        uintptr_t bytes = (uintptr_t)1 << (pool->shift - 2 * level);
        uintptr_t base = (uintptr_t)object & ~(bytes - 1);
        fai_typed_slab *slab = fai_typed_lookup(&pool->directory, base);
        if (slab == NULL)
            continue;
        /* Both below 2^16, so that the product with the reciprocal is exact. */
        uintptr_t offset = (uintptr_t)object - base - slab->objects_at;
        size_t index = (size_t)((offset & 0xFFFF) * pool->reciprocal >> 32);
        if (index * pool->stride == offset && index < slab->capacity)
            return (fai_typed_place){slab, index};
    }
    return (fai_typed_place){NULL, 0};
}

/* Takes the lowest free object, of which there is one: taken, not live. */
static inline fai_typed_place fai_typed_take(fa_typed_pool *pool) {
    fai_typed_slab *slab = pool->lowest_open;
    uint64_t *taken = fai_typed_taken(slab);
    uint32_t word = slab->word_open;
    while (FA_UNLIKELY(taken[word] == UINT64_MAX))
        word++;
    slab->word_open = word;
    size_t bit = (size_t)__builtin_ctzll(~taken[word]);
    taken[word] |= (uint64_t)1 << bit;
    pool->slab_empty_count -= slab->taken_count == 0;
    slab->taken_count++;
    if (FA_UNLIKELY(slab->taken_count == slab->capacity))
        fai_typed_set_open(pool, slab, false);
    pool->taken_count++;
    if (pool->taken_count > pool->taken_peak)
        pool->taken_peak = pool->taken_count;
    return (fai_typed_place){slab, word * (size_t)64 + bit};
}

/* Frees a taken one that is not live. Returns the slab that is to be given back, or NULL. */
static inline fai_typed_slab *fai_typed_give(fa_typed_pool *pool, fai_typed_place place) {
    fai_typed_slab *slab = place.slab;
    uint32_t word = (uint32_t)(place.index / 64);
    fai_typed_taken(slab)[word] &= ~((uint64_t)1 << place.index % 64);
    if (word < slab->word_open)
        slab->word_open = word;
    if (FA_UNLIKELY(slab->taken_count == slab->capacity))
        fai_typed_set_open(pool, slab, true);
    slab->taken_count--;
    pool->taken_count--;
    pool->release_count++;
    return FA_LIKELY(slab->taken_count != 0) ? NULL : fai_typed_emptied(pool, slab);
}

#endif
