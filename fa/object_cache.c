/* Object caches: a typed pool, and a stack of its objects that are taken but not live. */
#include "fa/object_cache.h"

#include "fa/internal/poison.h"
#include "fa/internal/typed.h"
#include "fa/reserve.h"

#include <string.h>

struct fa_object_cache {
    fa_typed_pool pool; /* must be first; its lock guards the rest */
    bool is_reclaimed;
    uint64_t hit_count;
    size_t idle_count, idle_count_max;
    fai_typed_place idle[]; /* the newest last */
};

static fa_object_cache *cache_of(fai_owned *owned) { return (fa_object_cache *)(void *)owned; }

static void wake(const fa_object_cache *cache, const void *object) {
    if (cache->pool.allocator->watched)
        fai_unpoison_defined(object, cache->pool.size);
}

/* The idle object that was used last, while more than keep are; slab NULL: none. Under the lock. */
static fai_typed_place pop(fa_object_cache *cache, size_t keep) {
    if (cache->idle_count <= keep)
        return (fai_typed_place){NULL, 0};
    cache->idle_count--;
    return cache->idle[cache->idle_count];
}

void *(fa_object_cache_acquire)(fa_object_cache *cache) {
    if (cache == NULL) {
        fai_fail(FA_ERROR_INVALID, 0);
        return NULL;
    }
    fa_typed_pool *pool = &cache->pool;
    fai_typed_lock(pool);
    fai_typed_place place = {NULL, 0};
    if (!pool->is_ending) /* else the pool refuses it */
        place = pop(cache, 0);
    if (place.slab != NULL) {
        fai_typed_flip_live(place);
        cache->hit_count++;
    }
    fai_typed_unlock(pool);
    if (place.slab == NULL)
        return (fa_typed_pool_acquire)(pool);
    void *object = fai_typed_object(pool, place);
    wake(cache, object);
    return object;
}

fa_status(fa_object_cache_release)(fa_object_cache *cache, void *object) {
    if (cache == NULL)
        return fai_fail(FA_ERROR_INVALID, 0);
    if (object == NULL)
        return FA_OK;
    fa_typed_pool *pool = &cache->pool;
    fai_typed_lock(pool);
    fai_typed_place place = fai_typed_find(pool, object);
    bool is_out = place.slab != NULL && fai_typed_is_live(place);
    bool is_kept = is_out && cache->idle_count < cache->idle_count_max && !pool->is_ending;
    if (is_out)
        fai_typed_flip_live(place);
    if (is_kept) {
        if (pool->allocator->watched) /* before anybody can take it */
            fai_poison(object, pool->stride);
        cache->idle[cache->idle_count] = place;
        cache->idle_count++;
    }
    fai_typed_unlock(pool);
    if (!is_out)
        return fai_report(pool->allocator, FA_DIAG_FA640, FA_ERROR_FOREIGN, 0, 0, object);
    if (!is_kept)
        fai_typed_finish(pool, place);
    return FA_OK;
}

/* Destructs idle objects while more than keep are, but at most so many. Returns how many. bytes: of
 * the slabs that went with them, and of those that were empty. */
static size_t trim(fa_object_cache *cache, size_t keep, size_t count_max, size_t *bytes) {
    size_t ended = 0;
    for (*bytes = 0; ended < count_max; ended++) {
        fai_typed_lock(&cache->pool);
        fai_typed_place place = pop(cache, keep);
        fai_typed_unlock(&cache->pool);
        if (place.slab == NULL)
            break;
        wake(cache, fai_typed_object(&cache->pool, place));
        *bytes += fai_typed_finish(&cache->pool, place);
    }
    *bytes += fa_typed_pool_trim(&cache->pool);
    return ended;
}

size_t fa_object_cache_trim(fa_object_cache *cache, size_t idle_count) {
    if (cache == NULL) {
        fai_fail(FA_ERROR_INVALID, 0);
        return 0;
    }
    size_t bytes;
    return trim(cache, idle_count, SIZE_MAX, &bytes);
}

fa_status fa_object_cache_stats_get(fa_object_cache *cache, fa_object_cache_stats *stats) {
    if (stats != NULL)
        memset(stats, 0, sizeof *stats);
    if (cache == NULL || stats == NULL)
        return fai_fail(FA_ERROR_INVALID, 0);
    fa_typed_pool *pool = &cache->pool;
    fai_typed_lock(pool);
    stats->live_count = pool->taken_count - cache->idle_count;
    stats->idle_count = cache->idle_count;
    stats->idle_count_max = cache->idle_count_max;
    stats->bytes_held = pool->bytes_held;
    stats->hit_count = cache->hit_count;
    stats->miss_count = stats->construct_count = pool->release_count + pool->taken_count;
    stats->destruct_count = pool->release_count;
    fai_typed_unlock(pool);
    return FA_OK;
}

/* ---- life ---- */

static size_t reclaim(void *user, fa_allocator *allocator, size_t size) {
    fa_object_cache *cache = (fa_object_cache *)user;
    (void)allocator, (void)size;
    fai_typed_lock(&cache->pool);
    size_t idle = cache->idle_count; /* others may give more back all the time */
    fai_typed_unlock(&cache->pool);
    size_t bytes, ended = trim(cache, 0, idle, &bytes);
    /* Destructors may have freed more than nothing. */
    return bytes != 0 || cache->pool.destruct == NULL ? bytes : ended * cache->pool.stride;
}

/* From here on acquire is refused, and nothing is kept that is given back. Destructs all. Returns
 * whether there was anything. */
static bool empty(fa_object_cache *cache) {
    fai_typed_lock(&cache->pool);
    cache->pool.is_ending = true;
    fai_typed_unlock(&cache->pool);
    bool any = fa_object_cache_trim(cache, 0) != 0;
    return fai_typed_empty(&cache->pool) || any;
}

static size_t end(fa_object_cache *cache) {
    if (cache->is_reclaimed)
        fa_reclaimer_remove(cache->pool.allocator, reclaim, cache);
    fai_typed_lock(&cache->pool);
    size_t out = cache->pool.taken_count - cache->idle_count;
    fai_typed_unlock(&cache->pool);
    empty(cache);
    fai_typed_end(&cache->pool);
    return out;
}

static void destroy_owned(fa_allocator *allocator, fai_owned *owned) {
    (void)allocator;
    end(cache_of(owned));
}

static bool clear_owned(fa_allocator *allocator, fai_owned *owned) {
    (void)allocator;
    return empty(cache_of(owned));
}

static const void *validate_owned(fa_allocator *allocator, fai_owned *owned) {
    (void)allocator;
    fa_object_cache *cache = cache_of(owned);
    fai_typed_lock(&cache->pool);
    const void *wrong = fai_typed_validate(&cache->pool);
    if (cache->idle_count > cache->idle_count_max || cache->idle_count > cache->pool.taken_count)
        wrong = cache;
    for (size_t i = 0; i < cache->idle_count && wrong == NULL; i++) {
        fai_typed_place place = cache->idle[i];
        const void *object = fai_typed_object(&cache->pool, place);
        if (fai_typed_find(&cache->pool, object).slab != place.slab || fai_typed_is_live(place) ||
            (fai_typed_taken(place.slab)[place.index / 64] >> place.index % 64 & 1) == 0)
            wrong = object;
    }
    fai_typed_unlock(&cache->pool);
    return wrong;
}

static const fai_owned_kind k_object_caches = {.destroy = destroy_owned,
                                               .validate = validate_owned,
                                               .lock = fai_typed_fork_lock,
                                               .unlock = fai_typed_fork_unlock,
                                               .clear = clear_owned};

fa_status(fa_object_cache_create)(fa_allocator *allocator, const fa_object_cache_config *config,
                                  fa_object_cache **cache) {
    if (cache != NULL)
        *cache = NULL;
    if (cache == NULL || config == NULL || config->idle_count_max > FA_OBJECT_CACHE_IDLE_MAX ||
        (config->is_reclaimed && !config->is_shared))
        return fai_fail(FA_ERROR_INVALID, config != NULL ? config->size : 0);
    size_t idle =
        config->idle_count_max != 0 ? config->idle_count_max : FA_OBJECT_CACHE_IDLE_DEFAULT;
    const fa_typed_pool_config typed = {
        .size = config->size,
        .align = config->align,
        .count_max = config->count_max,
        .construct = config->construct,
        .destruct = config->destruct,
        .user = config->user,
        .is_shared = config->is_shared,
    };
    fa_typed_pool *pool;
    size_t bytes = sizeof(fa_object_cache) + idle * sizeof(fai_typed_place);
    fa_status status = fai_typed_make(allocator, &typed, bytes, &pool);
    if (status != FA_OK)
        return status;
    fa_object_cache *made = cache_of(&pool->owned);
    made->idle_count_max = idle;
    if (config->is_reclaimed) {
        status = fa_reclaimer_add(allocator, config->reclaim_order, reclaim, made);
        if (status != FA_OK) {
            end(made);
            return status;
        }
        made->is_reclaimed = true;
    }
    fai_owned_add(allocator, &pool->owned, &k_object_caches);
    *cache = made;
    return FA_OK;
}

size_t fa_object_cache_destroy(fa_object_cache *cache) {
    if (cache == NULL)
        return 0;
    fai_owned_remove(cache->pool.allocator, &cache->pool.owned);
    return end(cache);
}
