/* Object caches: objects that are kept constructed, for what costs more to make than to use:
 * connections, path finders with their tables, physics bodies, decoders.
 *
 * An object that is given back stays as it is, constructed, and the next acquire gets it: the one
 * given back last, whose memory is still warm. Whoever gives one back leaves it in the state that
 * the next one expects; so construct and destruct run when objects come and go for good, and not
 * for each use.
 *
 * FA_OBJECT_CACHE(name, type) makes the type name, a reference of one word, and these functions:
 *
 *     fa_status name_create(allocator, config, cache)   config: what is not left at 0; size and
 *                                                       alignment are those of the type
 *     size_t name_destroy(cache)                        how many were never given back
 *     type *name_acquire(cache)                         NULL: full, or refused
 *     fa_status name_release(cache, object)             FA640: none of those that are out
 *     size_t name_trim(cache, idle_count)               how many it ended
 *
 * Memory is that of a typed pool (fa/typed_pool.h): objects do not move, and lie in slabs that are
 * charged to the tag that the thread was in when it made the cache. Idle objects are poisoned where
 * a sanitizer runs. Threads: one at a time, or any with is_shared; construct and destruct run
 * without the lock.
 *
 * Scheme: J. Bonwick, The Slab Allocator: An Object-Caching Kernel Memory Allocator (1994). */
#ifndef FA_OBJECT_CACHE_H
#define FA_OBJECT_CACHE_H

#include "fa/typed_pool.h"

FA_EXTERN_C_BEGIN

#define FA_OBJECT_CACHE_IDLE_DEFAULT ((size_t)64)
#define FA_OBJECT_CACHE_IDLE_MAX ((size_t)1 << 20)

typedef struct fa_object_cache fa_object_cache;

/* All 0 but the size is a configuration. */
typedef struct fa_object_cache_config {
    size_t size;                /* bytes of an object, 1 to FA_SIZE_MAX / 2 */
    size_t align;               /* power of two up to FA_TYPED_ALIGN_MAX; 0: FA_ALIGN_MIN */
    size_t count_max;           /* most objects, idle ones included; 0: no limit */
    size_t idle_count_max;      /* most idle ones, up to FA_OBJECT_CACHE_IDLE_MAX; 16 bytes are
                                 * taken for each; 0: FA_OBJECT_CACHE_IDLE_DEFAULT */
    fa_construct_fn *construct; /* when an object comes into being; NULL: none */
    fa_destruct_fn *destruct;   /* when it goes for good; NULL: none */
    void *user;                 /* first argument of both */
    bool is_shared;             /* several threads at once */
    bool is_reclaimed; /* idle ones go when memory runs out, as a reclaimer of fa/reserve.h. That
                        * may happen on any thread: it needs is_shared */
    int reclaim_order; /* of that reclaimer */
} fa_object_cache_config;

/* Makes an empty cache.
 * config: copied; not NULL. cache: gets the cache, NULL on failure; it dies with the allocator.
 * Returns FA_OK; FA_ERROR_INVALID (NULL, or a field is out of its range), FA_ERROR_NO_MEMORY,
 * FA_ERROR_LIMIT (bytes_max, a budget, or FA_RECLAIMER_COUNT_MAX), FA_ERROR_SEALED. Any thread,
 * locks. */
FA_API fa_status fa_object_cache_create(fa_allocator *allocator,
                                        const fa_object_cache_config *config,
                                        fa_object_cache **cache);

/* Ends a cache: destructs all, those that are still out too, and gives the memory back. Meanwhile a
 * destructor may give objects back, which are destructed at once, but gets none: FA_ERROR_FULL.
 * Nobody else may be inside of a call on it; where it is a reclaimer that is waited for, so that
 * its own construct and destruct must not end it. NULL is ignored. Returns how many were still
 * out. */
FA_API size_t fa_object_cache_destroy(fa_object_cache *cache);

/* Takes the object that was given back last, or makes one.
 * Returns it constructed, or NULL as fa_typed_pool_acquire: FA_ERROR_FULL is no event. O(1). */
FA_API void *fa_object_cache_acquire(fa_object_cache *cache) __attribute__((warn_unused_result));

/* Gives an object back, which stays constructed; when enough are idle already it is destructed.
 * NULL is ignored. Returns FA_OK; FA_ERROR_FOREIGN (FA640) in every build for what is not an object
 * that this cache has out: nothing changes then. FA_ERROR_INVALID for cache NULL. O(1). */
FA_API fa_status fa_object_cache_release(fa_object_cache *cache, void *object);

/* Destructs idle objects until at most idle_count are left, and gives the memory of empty slabs
 * back. Returns how many it destructed; 0 for NULL (FA_ERROR_INVALID). */
FA_API size_t fa_object_cache_trim(fa_object_cache *cache, size_t idle_count);

/* Identities: live_count + idle_count == construct_count - destruct_count; each acquire that gave
 * an object is a hit or a miss. */
typedef struct fa_object_cache_stats {
    size_t live_count; /* out, with those that callbacks are at work on */
    size_t idle_count;
    size_t idle_count_max;
    size_t bytes_held;        /* heap memory: slabs, the cache itself and its tables */
    uint64_t hit_count;       /* idle objects that were taken */
    uint64_t miss_count;      /* objects that had to be made */
    uint64_t construct_count; /* objects made */
    uint64_t destruct_count;  /* objects ended */
} fa_object_cache_stats;

/* Reads the numbers. stats: filled; zeroed when the call fails: FA_ERROR_INVALID for NULL. O(1). */
FA_API fa_status fa_object_cache_stats_get(fa_object_cache *cache, fa_object_cache_stats *stats);

FA_EXTERN_C_END

#define FA_OBJECT_CACHE(name, type)                                                                \
    typedef struct name {                                                                          \
        fa_object_cache *cache;                                                                    \
    } name;                                                                                        \
    FAI_MADE fa_status name##_create(fa_allocator *allocator,                                      \
                                     const fa_object_cache_config *config, name *made) {           \
        fa_object_cache_config filled =                                                            \
            fai_object_cache_config_for(config, sizeof(type), FA_ALIGNOF(type));                   \
        return fa_object_cache_create(allocator, &filled, made != NULL ? &made->cache : NULL);     \
    }                                                                                              \
    FAI_MADE size_t name##_destroy(name self) { return fa_object_cache_destroy(self.cache); }      \
    FAI_MADE type *name##_acquire(name self) {                                                     \
        return (type *)fa_object_cache_acquire(self.cache);                                        \
    }                                                                                              \
    FAI_MADE fa_status name##_release(name self, type *object) {                                   \
        return fa_object_cache_release(self.cache, object);                                        \
    }                                                                                              \
    FAI_MADE size_t name##_trim(name self, size_t idle_count) {                                    \
        return fa_object_cache_trim(self.cache, idle_count);                                       \
    }

FAI_MADE fa_object_cache_config fai_object_cache_config_for(const fa_object_cache_config *config,
                                                            size_t size, size_t align) {
    fa_object_cache_config filled = {0, 0, 0, 0, NULL, NULL, NULL, false, false, 0};
    if (config != NULL)
        filled = *config;
    filled.size = size;
    filled.align = align;
    return filled;
}

#define FAI_OBJECT_CACHE_DECLARED
#include "fa/site.h"

#endif
