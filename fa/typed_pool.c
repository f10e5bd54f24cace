/* Typed pools: the calls, and where their memory comes from. */
#include "fa/typed_pool.h"

#include "fa/heap.h"
#include "fa/internal/callback.h"
#include "fa/internal/heap.h"
#include "fa/internal/poison.h"
#include "fa/internal/typed.h"

#include <string.h>

/* A slab with what the heap puts around it fits the power of two that it is aligned to, so that the
 * next one can follow at once. */
#define HEAP_AROUND (FA_ALIGN_MIN + FAI_GUARD_BYTES)

/* ---- sizes ---- */

static size_t words_for(size_t capacity) { return (capacity + 63) / 64; }

static size_t objects_at(const fa_typed_pool *pool, size_t capacity) {
    size_t bytes = sizeof(fai_typed_slab) + words_for(capacity) * 2 * sizeof(uint64_t);
    return fai_round_up(bytes, pool->align > FA_CACHE_LINE ? pool->align : FA_CACHE_LINE);
}

static size_t slab_bytes(const fa_typed_pool *pool, size_t capacity) {
    return objects_at(pool, capacity) + capacity * pool->stride;
}

static void choose_levels(fa_typed_pool *pool) {
    pool->shift = pool->stride <= 256 ? 14 : pool->stride <= 512 ? 15 : 16;
    for (uint32_t level = 0; level < FAI_TYPED_LEVEL_COUNT; level++) {
        size_t room = ((size_t)1 << (pool->shift - 2 * level)) - HEAP_AROUND;
        size_t capacity = room / pool->stride;
        while (capacity != 0 && slab_bytes(pool, capacity) > room)
            capacity--;
        if (level == 0 && capacity == 0)
            capacity = 1;
        else if (level != 0 && capacity < 2)
            break;
        pool->level_capacity[level] = capacity;
    }
}

/* Objects of the next slab, when missing more are wanted, and the alignment that it needs. */
static size_t next_capacity(const fa_typed_pool *pool, size_t missing, size_t *align) {
    uint32_t level = FAI_TYPED_LEVEL_COUNT - 1;
    while (level != 0 && pool->level_capacity[level] < missing)
        level--;
    *align = (size_t)1 << (pool->shift - 2 * level);
    size_t capacity = pool->level_capacity[level];
    if (pool->count_max != 0 && capacity > pool->count_max - pool->capacity)
        capacity = pool->count_max - pool->capacity;
    return capacity;
}

/* ---- memory ---- */

/* Twice the room for slabs. */
static fa_status grow_directory(fa_typed_pool *pool, size_t capacity) {
    size_t bytes = FAI_TYPED_DIRECTORY_BYTES(capacity * 2);
    void *block = fai_heap_alloc(pool->allocator, bytes, FA_CACHE_LINE, pool->tag);
    if (block == NULL)
        return fa_last_error().status;
    fai_typed_directory larger;
    fai_typed_directory_place(&larger, block, capacity * 2);
    fai_typed_lock(pool);
    if (pool->directory.capacity == capacity) { /* else another thread was faster */
        void *old = pool->directory.slabs;
        fai_typed_directory_move(pool, &larger);
        pool->bytes_held += bytes;
        block = NULL;
        if (old != (void *)pool->own) {
            pool->bytes_held -= FAI_TYPED_DIRECTORY_BYTES(capacity);
            block = old;
        }
    }
    fai_typed_unlock(pool);
    (fa_heap_free)(pool->allocator, block);
    return FA_OK;
}

static fai_typed_slab *make_slab(fa_typed_pool *pool, size_t capacity, size_t align) {
    size_t bytes = slab_bytes(pool, capacity), at = objects_at(pool, capacity);
    fai_typed_slab *slab =
        (fai_typed_slab *)fai_heap_alloc(pool->allocator, bytes, align, pool->tag);
    if (slab == NULL)
        return NULL;
    memset(slab, 0, at);
    slab->capacity = (uint32_t)capacity;
    slab->word_count = (uint32_t)words_for(capacity);
    slab->objects_at = (uint32_t)at;
    slab->bytes = bytes;
    if (pool->allocator->watched)
        fai_poison((char *)slab + at, bytes - at);
    return slab;
}

size_t fai_typed_free_slabs(fa_typed_pool *pool, fai_typed_slab *slabs) {
    size_t bytes = 0;
    while (slabs != NULL) {
        fai_typed_slab *next = slabs->next;
        bytes += slabs->bytes;
        (fa_heap_free)(pool->allocator, slabs);
        slabs = next;
    }
    return bytes;
}

/* What is still missing. Under the lock. */
static size_t missing(const fa_typed_pool *pool, size_t count) {
    if (count != 0)
        return pool->capacity < count ? count - pool->capacity : 0;
    return pool->lowest_open == NULL ? pool->capacity + 1 : 0;
}

fa_status fai_typed_grow(fa_typed_pool *pool, size_t count) {
    for (;;) {
        size_t align = 0, capacity = 0;
        fai_typed_lock(pool);
        size_t want = missing(pool, count), room = pool->directory.capacity;
        bool is_room = pool->slab_count < room;
        if (want != 0)
            capacity = next_capacity(pool, want, &align);
        fai_typed_unlock(pool);
        if (want == 0)
            return FA_OK;
        if (capacity == 0) /* count_max, all of it taken */
            return FA_ERROR_FULL;
        if (!is_room) {
            fa_status status = grow_directory(pool, room);
            if (status != FA_OK)
                return status;
            continue;
        }
        fai_typed_slab *slab = make_slab(pool, capacity, align);
        if (slab == NULL)
            return fa_last_error().status;
        fai_typed_lock(pool);
        /* Others may have been at work, or reclaimers. */
        bool fits = missing(pool, count) != 0 && pool->slab_count < pool->directory.capacity &&
                    (pool->count_max == 0 || pool->capacity + capacity <= pool->count_max);
        if (fits)
            fai_typed_insert(pool, slab);
        fai_typed_unlock(pool);
        if (!fits)
            (fa_heap_free)(pool->allocator, slab);
    }
}

/* ---- objects ---- */

static void dress(const fa_typed_pool *pool, void *object) {
    fai_unpoison(object, pool->size);
    if (pool->allocator->checks & FA_CHECK_FILL) {
        memset(object, FAI_FILL_FRESH, pool->size);
        fai_unpoison(object, pool->size);
    }
}

static void undress(const fa_typed_pool *pool, void *object) {
    fai_unpoison(object, pool->stride);
    if (pool->allocator->checks & FA_CHECK_FILL)
        memset(object, FAI_FILL_DEAD, pool->stride);
    fai_poison(object, pool->stride);
}

/* Frees a claimed object, whose contents are dead. Returns the bytes of a slab that went. */
static size_t give(fa_typed_pool *pool, fai_typed_place place) {
    if (pool->allocator->watched)
        undress(pool, fai_typed_object(pool, place));
    fai_typed_lock(pool);
    fai_typed_slab *spare = fai_typed_give(pool, place);
    fai_typed_unlock(pool);
    return fai_typed_free_slabs(pool, spare);
}

size_t fai_typed_finish(fa_typed_pool *pool, fai_typed_place place) {
    if (pool->destruct != NULL) {
        fai_callback outer = fai_callback_begin();
        pool->destruct(pool->user, fai_typed_object(pool, place));
        fai_callback_end(outer);
    }
    return give(pool, place);
}

/* Makes an object of one that is taken. */
static fa_status construct(fa_typed_pool *pool, fai_typed_place place) {
    fai_callback outer = fai_callback_begin();
    fa_status status = pool->construct(pool->user, fai_typed_object(pool, place));
    fai_callback_end(outer);
    if (status != FA_OK) {
        give(pool, place);
        fai_typed_lock(pool);
        pool->release_count--;
        fai_typed_unlock(pool);
        return status;
    }
    fai_typed_lock(pool);
    fai_typed_flip_live(place);
    fai_typed_unlock(pool);
    return FA_OK;
}

static FA_COLD fa_status acquire_slow(fa_typed_pool *pool, void **object) {
    *object = NULL;
    if (pool == NULL)
        return fai_fail(FA_ERROR_INVALID, 0);
    for (;;) {
        fai_typed_place place = {NULL, 0};
        fai_typed_lock(pool);
        bool is_ending = pool->is_ending;
        if (pool->lowest_open != NULL && !is_ending) {
            place = fai_typed_take(pool);
            if (pool->construct == NULL)
                fai_typed_flip_live(place);
        }
        fai_typed_unlock(pool);
        if (is_ending) /* by a destructor: nobody would end what it gets */
            return fai_fail(FA_ERROR_FULL, pool->size);
        if (place.slab == NULL) {
            fa_status status = fai_typed_grow(pool, 0);
            if (status == FA_ERROR_FULL) /* an answer, without an event */
                return fai_fail(status, pool->size);
            if (status != FA_OK)
                return status;
            continue;
        }
        void *taken = fai_typed_object(pool, place);
        if (pool->allocator->watched)
            dress(pool, taken);
        fa_status status = pool->construct != NULL ? construct(pool, place) : FA_OK;
        if (status != FA_OK)
            return fai_fail(status, pool->size);
        *object = taken;
        return FA_OK;
    }
}

/* One without callbacks, that no lock guards and nobody watches. NULL: it needs more than that. */
static inline void *acquire_plain(fa_typed_pool *pool) {
    if (FA_UNLIKELY(pool == NULL || !pool->is_plain || pool->lowest_open == NULL))
        return NULL;
    fai_typed_place place = fai_typed_take(pool);
    fai_typed_flip_live(place);
    return fai_typed_object(pool, place);
}

void *(fa_typed_pool_acquire)(fa_typed_pool *pool) {
    void *object = acquire_plain(pool);
    if (FA_UNLIKELY(object == NULL))
        (void)acquire_slow(pool, &object);
    return object;
}

fa_status(fa_typed_pool_try_acquire)(fa_typed_pool *pool, void **object) {
    if (object == NULL)
        return fai_fail(FA_ERROR_INVALID, 0);
    *object = acquire_plain(pool);
    return FA_LIKELY(*object != NULL) ? FA_OK : acquire_slow(pool, object);
}

fa_status fai_typed_claim(fa_typed_pool *pool, void *object, fai_typed_place *place) {
    fai_typed_lock(pool);
    *place = fai_typed_find(pool, object);
    bool is_live = place->slab != NULL && fai_typed_is_live(*place);
    if (is_live)
        fai_typed_flip_live(*place);
    fai_typed_unlock(pool);
    return is_live ? FA_OK : FA_ERROR_FOREIGN;
}

static FA_COLD fa_status refuse(fa_typed_pool *pool, const void *object) {
    if (pool == NULL)
        return fai_fail(FA_ERROR_INVALID, 0);
    if (object == NULL)
        return FA_OK;
    return fai_report(pool->allocator, FA_DIAG_FA640, FA_ERROR_FOREIGN, 0, 0, object);
}

/* Without callbacks: claims and frees in one go. */
static inline fa_status release_plain(fa_typed_pool *pool, void *object) {
    fai_typed_slab *spare = NULL;
    fai_typed_lock(pool);
    fai_typed_place place = fai_typed_find(pool, object);
    bool is_live = place.slab != NULL && fai_typed_is_live(place);
    if (FA_LIKELY(is_live)) {
        fai_typed_flip_live(place);
        spare = fai_typed_give(pool, place);
    }
    fai_typed_unlock(pool);
    if (FA_UNLIKELY(spare != NULL))
        fai_typed_free_slabs(pool, spare);
    return FA_LIKELY(is_live) ? FA_OK : refuse(pool, object);
}

static FA_COLD fa_status release_slow(fa_typed_pool *pool, void *object) {
    if (pool->destruct == NULL && !pool->allocator->watched)
        return release_plain(pool, object);
    fai_typed_place place;
    if (fai_typed_claim(pool, object, &place) != FA_OK)
        return refuse(pool, object);
    fai_typed_finish(pool, place);
    return FA_OK;
}

fa_status(fa_typed_pool_release)(fa_typed_pool *pool, void *object) {
    if (FA_UNLIKELY(pool == NULL))
        return refuse(pool, object);
    return FA_LIKELY(pool->is_plain) ? release_plain(pool, object) : release_slow(pool, object);
}

/* The place of a live object; slab NULL: it is none. */
static fai_typed_place live_place(fa_typed_pool *pool, const void *object, size_t *number) {
    fai_typed_place place = {NULL, 0};
    if (pool == NULL) {
        fai_fail(FA_ERROR_INVALID, 0);
        return place;
    }
    fai_typed_lock(pool);
    place = fai_typed_find(pool, object);
    if (place.slab != NULL && !fai_typed_is_live(place))
        place.slab = NULL;
    *number = place.slab != NULL ? place.slab->number : 0;
    fai_typed_unlock(pool);
    return place;
}

bool fa_typed_pool_has(fa_typed_pool *pool, const void *object) {
    size_t number;
    return live_place(pool, object, &number).slab != NULL;
}

size_t fa_typed_pool_index(fa_typed_pool *pool, const void *object) {
    size_t number;
    fai_typed_place place = live_place(pool, object, &number);
    return place.slab != NULL ? number * pool->level_capacity[0] + place.index : SIZE_MAX;
}

/* ---- all of them ---- */

/* Frees every live object at once. Under the lock. */
static size_t clear_bits(fa_typed_pool *pool) {
    size_t cleared = 0;
    for (size_t i = 0; i < pool->slab_count; i++) {
        fai_typed_slab *slab = pool->directory.slabs[i];
        uint32_t live = 0;
        for (size_t word = 0; word < slab->word_count; word++) {
            live += (uint32_t)__builtin_popcountll(slab->live[word]);
            fai_typed_taken(slab)[word] &= ~slab->live[word];
            slab->live[word] = 0;
        }
        if (live == 0)
            continue;
        bool was_full = slab->taken_count == slab->capacity;
        slab->taken_count -= live;
        slab->word_open = 0;
        pool->taken_count -= live;
        pool->release_count += live;
        pool->slab_empty_count += slab->taken_count == 0;
        cleared += live;
        if (was_full)
            fai_typed_set_open(pool, slab, true);
    }
    return cleared;
}

size_t fa_typed_pool_clear(fa_typed_pool *pool) {
    if (pool == NULL) {
        fai_fail(FA_ERROR_INVALID, 0);
        return 0;
    }
    fai_typed_lock(pool);
    if (pool->destruct == NULL && !pool->allocator->watched) {
        size_t cleared = clear_bits(pool);
        fai_typed_slab *spare = fai_typed_remove_empty(pool, 1);
        fai_typed_unlock(pool);
        fai_typed_free_slabs(pool, spare);
        return cleared;
    }
    size_t left = pool->taken_count, cleared = 0;
    fai_typed_walk walk = fai_typed_walk_first(pool, pool->stride);
    fai_typed_unlock(pool);
    for (; walk.item != NULL && left != 0; left--) {
        fai_typed_place place;
        if (fai_typed_claim(pool, walk.item, &place) == FA_OK) {
            fai_typed_finish(pool, place);
            cleared++;
        }
        fai_typed_lock(pool);
        walk = fai_typed_walk_next(walk, pool->stride);
        fai_typed_unlock(pool);
    }
    return cleared;
}

size_t fa_typed_pool_trim(fa_typed_pool *pool) {
    if (pool == NULL) {
        fai_fail(FA_ERROR_INVALID, 0);
        return 0;
    }
    fai_typed_lock(pool);
    fai_typed_slab *removed = fai_typed_remove_empty(pool, 0);
    fai_typed_unlock(pool);
    return fai_typed_free_slabs(pool, removed);
}

fa_status(fa_typed_pool_reserve)(fa_typed_pool *pool, size_t count) {
    if (pool == NULL || count > FA_SIZE_MAX / pool->stride ||
        (pool->count_max != 0 && count > pool->count_max))
        return fai_fail(FA_ERROR_INVALID, count);
    fai_typed_lock(pool);
    size_t before = pool->count_reserved;
    if (count > before)
        pool->count_reserved = count; /* from here on nothing is given back */
    fai_typed_unlock(pool);
    fa_status status = count > before ? fai_typed_grow(pool, count) : FA_OK;
    fai_typed_lock(pool);
    pool->count_reserved = status == FA_OK ? count : before;
    fai_typed_unlock(pool);
    if (status != FA_OK)
        fa_typed_pool_trim(pool);
    return status;
}

fa_status fa_typed_pool_stats_get(fa_typed_pool *pool, fa_typed_pool_stats *stats) {
    if (stats != NULL)
        memset(stats, 0, sizeof *stats);
    if (pool == NULL || stats == NULL)
        return fai_fail(FA_ERROR_INVALID, 0);
    fai_typed_lock(pool);
    stats->live_count = pool->taken_count;
    stats->live_peak = pool->taken_peak;
    stats->capacity = pool->capacity;
    for (size_t i = (pool->directory.capacity + 63) / 64; i-- > 0 && stats->index_end == 0;)
        if (pool->directory.numbers[i] != 0) {
            size_t top = 63 - (size_t)__builtin_clzll(pool->directory.numbers[i]);
            stats->index_end = (i * 64 + top + 1) * pool->level_capacity[0];
        }
    stats->slab_count = pool->slab_count;
    stats->slab_empty_count = pool->slab_empty_count;
    stats->bytes_held = pool->bytes_held;
    stats->acquire_count = pool->release_count + pool->taken_count;
    stats->release_count = pool->release_count;
    fai_typed_unlock(pool);
    return FA_OK;
}

/* ---- life ---- */

static bool is_legal(const fa_typed_pool_config *config) {
    size_t align = config->align;
    return config->size - 1 < FA_SIZE_MAX / 2 &&
           (align == 0 || (fai_is_power_of_two(align) && align <= FA_TYPED_ALIGN_MAX)) &&
           config->count_reserved <= FA_SIZE_MAX / 2 / (config->size + align) &&
           (config->count_max == 0 || config->count_reserved <= config->count_max);
}

fa_status fai_typed_make(fa_allocator *allocator, const fa_typed_pool_config *config, size_t bytes,
                         fa_typed_pool **made) {
    if (allocator == NULL || config == NULL || !is_legal(config))
        return fai_fail(FA_ERROR_INVALID, config != NULL ? config->size : 0);
    fa_tag tag = fai_tag_now(allocator);
    fa_typed_pool *pool = (fa_typed_pool *)fai_heap_alloc(allocator, bytes, FA_CACHE_LINE, tag);
    if (pool == NULL)
        return fa_last_error().status;
    memset(pool, 0, bytes);
    if (pthread_mutex_init(&pool->lock, NULL) != 0) {
        (fa_heap_free)(allocator, pool);
        return fai_fail(FA_ERROR_NO_MEMORY, bytes);
    }
    pool->allocator = allocator;
    pool->tag = tag;
    pool->is_shared = config->is_shared;
    pool->size = config->size;
    pool->align = config->align != 0 ? config->align : FA_ALIGN_MIN;
    pool->stride = fai_round_up(config->size, pool->align);
    pool->reciprocal = ((uint64_t)1 << 32) / pool->stride + 1;
    pool->count_max = config->count_max;
    pool->construct = config->construct;
    pool->destruct = config->destruct;
    pool->user = config->user;
    pool->bytes_held = bytes;
    pool->is_plain = !config->is_shared && !allocator->watched && config->construct == NULL &&
                     config->destruct == NULL;
    choose_levels(pool);
    fai_typed_directory_place(&pool->directory, pool->own, FAI_TYPED_OWN_SLABS);
    fa_status status = (fa_typed_pool_reserve)(pool, config->count_reserved);
    if (status != FA_OK) {
        fai_typed_end(pool);
        return status;
    }
    *made = pool;
    return FA_OK;
}

bool fai_typed_empty(fa_typed_pool *pool) {
    fai_typed_lock(pool);
    pool->is_ending = true;
    pool->is_plain = false; /* that way does not ask */
    fai_typed_unlock(pool);
    bool any = false;
    while (fa_typed_pool_clear(pool) != 0)
        any = true;
    return any;
}

size_t fai_typed_end(fa_typed_pool *pool) {
    fa_allocator *allocator = pool->allocator;
    size_t alive = pool->taken_count;
    fai_typed_empty(pool);
    for (size_t i = 0; i < pool->slab_count; i++)
        (fa_heap_free)(allocator, pool->directory.slabs[i]);
    if (pool->directory.slabs != (void *)pool->own)
        (fa_heap_free)(allocator, pool->directory.slabs);
    pthread_mutex_destroy(&pool->lock);
    (fa_heap_free)(allocator, pool);
    return alive;
}

static void destroy_owned(fa_allocator *allocator, fai_owned *owned) {
    (void)allocator;
    fai_typed_end((fa_typed_pool *)owned);
}

static bool clear_owned(fa_allocator *allocator, fai_owned *owned) {
    (void)allocator;
    return fai_typed_empty((fa_typed_pool *)owned);
}

static const void *validate_owned(fa_allocator *allocator, fai_owned *owned) {
    (void)allocator;
    fa_typed_pool *pool = (fa_typed_pool *)owned;
    fai_typed_lock(pool);
    const void *wrong = fai_typed_validate(pool);
    fai_typed_unlock(pool);
    return wrong;
}

void fai_typed_fork_lock(fai_owned *owned) { fai_typed_lock((fa_typed_pool *)owned); }
void fai_typed_fork_unlock(fai_owned *owned) { fai_typed_unlock((fa_typed_pool *)owned); }

static const fai_owned_kind k_typed_pools = {.destroy = destroy_owned,
                                             .validate = validate_owned,
                                             .lock = fai_typed_fork_lock,
                                             .unlock = fai_typed_fork_unlock,
                                             .clear = clear_owned};

fa_status(fa_typed_pool_create)(fa_allocator *allocator, const fa_typed_pool_config *config,
                                fa_typed_pool **pool) {
    if (pool == NULL)
        return fai_fail(FA_ERROR_INVALID, 0);
    *pool = NULL;
    fa_status status = fai_typed_make(allocator, config, sizeof **pool, pool);
    if (status == FA_OK)
        fai_owned_add(allocator, &(*pool)->owned, &k_typed_pools);
    return status;
}

size_t fa_typed_pool_destroy(fa_typed_pool *pool) {
    if (pool == NULL)
        return 0;
    fai_owned_remove(pool->allocator, &pool->owned);
    return fai_typed_end(pool);
}
