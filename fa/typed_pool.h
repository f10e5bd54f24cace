/* Typed pools: objects of one type that lie side by side, for what is walked through as well as
 * looked up: entities, bullets, sounds, connections, buffers of which there may only be so many.
 *
 * FA_TYPED_POOL(name, type) makes the type name, a reference of one word, and these functions; the
 * fa_typed_pool_ functions below do the same for a size that is known at run time only, and say
 * what each returns.
 *
 *     fa_status name_create(allocator, config, pool)  config: NULL, or what is not left at 0; size
 *                                                     and alignment are those of the type
 *     size_t name_destroy(pool)                 how many were alive
 *     type *name_acquire(pool)                  NULL: full (FA_ERROR_FULL, no event), or refused
 *     fa_status name_release(pool, object)      FA640: not a live object of this pool
 *     bool name_has(pool, object)               for any pointer
 *     size_t name_clear(pool)                   releases all
 *     size_t name_count(pool)
 *     bool name_next_run(pool, run)             live objects side by side: fields items and count
 *                                               of the name_run; false: no more
 *
 *     FA_TYPED_EACH(object, pool) { ... }       each live object, by address; break and continue
 *                                               as in any loop
 *
 *     for (name_run run = {0}; name_next_run(pool, &run);)
 *         for (size_t i = 0; i < run.count; i++)
 *             run.items[i].x += 1;              an array loop, for the compiler too; for pools
 *                                               that are nearly full
 *
 * Order and changes. Objects never move. Both ways of iterating go upwards in memory. Meanwhile any
 * object may be released: FA_TYPED_EACH never gives a dead one; of a run that it holds the caller
 * knows himself what he released. An object acquired meanwhile may be seen or not.
 *
 * Memory. Objects lie in slabs without gaps, which are heap blocks of 1, 4, 16 KiB and so on (64
 * KiB for larger objects; what does not fit gets a block of its own), charged to the tag that the
 * thread was in when it made the pool. The free place with the lowest address is taken first, so
 * that a pool that lost many objects grows together at its start. One empty slab is kept, more are
 * given back, but for count_reserved. Contents of a new object are undefined (0xAB with
 * FA_CHECK_FILL); released ones are poisoned where a sanitizer runs. FA_CHECK_GUARD adds no bytes
 * between objects.
 *
 * Threads. One thread at a time, or, with is_shared, any: then acquire, release, has, index,
 * reserve, trim, clear and the stats take the pool's lock, for some ten instructions. Iterating
 * takes none: nobody else may acquire or release meanwhile. Callbacks run without the lock.
 *
 * Scheme: slabs as in J. Bonwick, The Slab Allocator (USENIX 1994), with a bit for each object that
 * says whether it is alive, as pages of garbage collectors have them; plf::hive by M. Bentley,
 * which skips runs of dead objects by their counted length, solves the same task. Bits cost less
 * to keep, and 64 of them are looked at in one step. */
#ifndef FA_TYPED_POOL_H
#define FA_TYPED_POOL_H

#include "fa/collection.h"

FA_EXTERN_C_BEGIN

#define FA_TYPED_ALIGN_MAX ((size_t)4096)

typedef struct fa_typed_pool fa_typed_pool;

/* Makes an object of raw memory. user: of the configuration. Returns FA_OK, or what acquire is to
 * answer; then the memory is free again. Called with no lock held; may use the pool, but not
 * destroy it. */
typedef fa_status fa_construct_fn(void *user, void *object);

/* Ends an object before its memory is free again. As fa_construct_fn else. */
typedef void fa_destruct_fn(void *user, void *object);

/* All 0 but the size is a configuration. */
typedef struct fa_typed_pool_config {
    size_t size;                /* bytes of an object, 1 to FA_SIZE_MAX / 2 */
    size_t align;               /* power of two up to FA_TYPED_ALIGN_MAX; 0: FA_ALIGN_MIN */
    size_t count_max;           /* most live objects; 0: no limit */
    size_t count_reserved;      /* objects whose memory is taken now, and kept; up to count_max */
    fa_construct_fn *construct; /* for each object that is acquired; NULL: none */
    fa_destruct_fn *destruct;   /* for each one that is released, cleared or left at the end */
    void *user;                 /* first argument of both */
    bool is_shared;             /* several threads at once */
} fa_typed_pool_config;

/* Makes a pool, without memory for objects but for count_reserved.
 * config: copied; not NULL. pool: gets the pool, NULL on failure; it dies with the allocator.
 * Returns FA_OK; FA_ERROR_INVALID (NULL, or a field is out of its range), FA_ERROR_NO_MEMORY,
 * FA_ERROR_LIMIT (bytes_max or a budget), FA_ERROR_SEALED. Any thread, locks. */
FA_API fa_status fa_typed_pool_create(fa_allocator *allocator, const fa_typed_pool_config *config,
                                      fa_typed_pool **pool);

/* Ends a pool: destructs what is alive, by address, and gives all memory back. A destructor that
 * acquires from it meanwhile gets FA_ERROR_FULL. Nobody else may be inside of a call on it. NULL is
 * ignored. Returns how many objects were alive. */
FA_API size_t fa_typed_pool_destroy(fa_typed_pool *pool);

/* Takes an object: the free one with the lowest address.
 * Returns it, aligned as configured, or NULL; fa_last_error says why: FA_ERROR_FULL (count_max; no
 * event), FA_ERROR_INVALID (NULL), what construct said, FA_ERROR_NO_MEMORY, FA_ERROR_LIMIT,
 * FA_ERROR_SEALED. O(1); where a slab is missing, the cost of a heap block and O(slabs). */
FA_API void *fa_typed_pool_acquire(fa_typed_pool *pool) __attribute__((warn_unused_result));

/* The same as a status; *object gets the object or NULL. FA_ERROR_INVALID also for object NULL. */
FA_API fa_status fa_typed_pool_try_acquire(fa_typed_pool *pool, void **object);

/* Gives an object back. NULL is ignored.
 * Returns FA_OK; FA_ERROR_FOREIGN (FA640) in every build for what is not a live object of this
 * pool: a foreign pointer, one into the middle of an object, one given back before. Nothing changes
 * then. FA_ERROR_INVALID for pool NULL. O(1); O(log slabs) when its slab was full; may give a slab
 * back. */
FA_API fa_status fa_typed_pool_release(fa_typed_pool *pool, void *object);

/* Whether any pointer is a live object of the pool. O(1). */
FA_API bool fa_typed_pool_has(fa_typed_pool *pool, const void *object);

/* A number that is the object's own while it lives, below index_end of the stats: for data of one's
 * own beside the objects. SIZE_MAX for what is no live object. O(1). */
FA_API size_t fa_typed_pool_index(fa_typed_pool *pool, const void *object);

/* Releases every object, by address, as fa_typed_pool_release would. Returns how many it released;
 * with a destructor at most as many as there were at the start. O(slots). */
FA_API size_t fa_typed_pool_clear(fa_typed_pool *pool);

/* Takes memory for count objects in all, and keeps it whatever is released; a smaller number than
 * before lets it go with the next trim.
 * Returns FA_OK; FA_ERROR_INVALID (NULL, or more than count_max), FA_ERROR_NO_MEMORY,
 * FA_ERROR_LIMIT, FA_ERROR_SEALED: then it is as it was. */
FA_API fa_status fa_typed_pool_reserve(fa_typed_pool *pool, size_t count);

/* Gives empty slabs back, but for what is reserved. Returns their bytes. O(slabs). */
FA_API size_t fa_typed_pool_trim(fa_typed_pool *pool);

/* Identities: live_count == acquire_count - release_count; live_count <= capacity. */
typedef struct fa_typed_pool_stats {
    size_t live_count; /* with those that callbacks are at work on */
    size_t live_peak;
    size_t capacity;  /* objects that the slabs have room for */
    size_t index_end; /* one past the largest index there can be at this moment */
    size_t slab_count;
    size_t slab_empty_count;
    size_t bytes_held; /* heap memory: slabs, the pool itself and its tables */
    uint64_t acquire_count;
    uint64_t release_count;
} fa_typed_pool_stats;

/* Reads the numbers. stats: filled; zeroed when the call fails: FA_ERROR_INVALID for NULL. O(1). */
FA_API fa_status fa_typed_pool_stats_get(fa_typed_pool *pool, fa_typed_pool_stats *stats);

/* Live objects side by side. All 0 before the first. */
typedef struct fa_typed_run {
    void *items;
    size_t count;
    size_t position; /* where it stands: the rest is not for programs */
    size_t index;
    uint64_t version;
} fa_typed_run;

/* Goes to the next run. Returns false, with *run all 0, when there is none, and for NULL
 * (FA_ERROR_INVALID). O(1) and O(free objects between them / 64). */
FA_API bool fa_typed_pool_next_run(const fa_typed_pool *pool, fa_typed_run *run);

/* ---- what the macros are made of ---- */

/* Where FA_TYPED_EACH stands: in a run of live objects side by side. Its address is never taken, so
 * that it stays in registers. */
typedef struct fai_typed_walk {
    char *item;               /* NULL: the end */
    char *end;                /* of the run */
    char *first;              /* the object of the lowest bit of... */
    uint64_t bits;            /* ...those that come after the run, in the word that it ends in */
    const uint64_t *released; /* counts releases: the run may have changed */
    uint64_t released_seen;
    bool is_whole; /* the body went to its end */
} fai_typed_walk;

typedef struct fai_typed_step {
    char *item; /* NULL: there is none */
    char *end, *first;
    uint64_t bits;
} fai_typed_step;

/* What counts a pool's releases. NULL, and the error set, for no pool, and for one of objects of
 * another size. */
FA_API const uint64_t *fai_typed_walk_begin(const fa_typed_pool *pool, size_t size);
/* The first live objects above item; NULL: the first of all. A run only where it is long: to follow
 * short ones takes longer than to go from bit to bit, because nobody can predict where they end. */
FA_API fai_typed_step fai_typed_walk_on(const uint64_t *released, const char *item);

FAI_MADE_INLINE fai_typed_walk fai_typed_walk_settle(fai_typed_walk walk) {
    fai_typed_step step = fai_typed_walk_on(walk.released, walk.item);
    walk.item = step.item;
    walk.end = step.end;
    walk.first = step.first;
    walk.bits = step.bits;
    walk.released_seen = *walk.released;
    return walk;
}

FAI_MADE_INLINE fai_typed_walk fai_typed_walk_first(const fa_typed_pool *pool, size_t size) {
    fai_typed_walk walk = {NULL, NULL, NULL, 0, fai_typed_walk_begin(pool, size), 0, true};
    return walk.released != NULL ? fai_typed_walk_settle(walk) : walk;
}

FAI_MADE_INLINE fai_typed_walk fai_typed_walk_next(fai_typed_walk walk, size_t size) {
    if (!walk.is_whole) { /* left by break: there may be no pool any more */
        walk.item = NULL;
        return walk;
    }
    if (FA_UNLIKELY(*walk.released != walk.released_seen))
        return fai_typed_walk_settle(walk);
    walk.item += size;
    if (FA_LIKELY(walk.item != walk.end))
        return walk;
    if (walk.bits == 0) {
        walk.item -= size;
        return fai_typed_walk_settle(walk);
    }
    walk.item = walk.first + (size_t)__builtin_ctzll(walk.bits) * size;
    walk.end = walk.item + size;
    walk.bits &= walk.bits - 1;
    return walk;
}

FA_EXTERN_C_END

/* The inner loop runs once; left by break it ends the outer one. */
#define FA_TYPED_EACH(object, typed)                                                               \
    for (fai_typed_walk fai_walk_##object =                                                        \
             fai_typed_walk_first((typed).pool, sizeof(*(typed).fai_type));                        \
         fai_walk_##object.item != NULL;                                                           \
         fai_walk_##object = fai_typed_walk_next(fai_walk_##object, sizeof(*(typed).fai_type)))    \
        for (__typeof__((typed).fai_type) object =                                                 \
                 (fai_walk_##object.is_whole = false,                                              \
                 (__typeof__((typed).fai_type))(void *)fai_walk_##object.item);                    \
             object != NULL; object = NULL, fai_walk_##object.is_whole = true)

#define FA_TYPED_POOL(name, type)                                                                  \
    typedef union name {                                                                           \
        fa_typed_pool *pool;                                                                       \
        type *fai_type; /* never read: says of what type the objects are */                        \
    } name;                                                                                        \
    typedef struct name##_run {                                                                    \
        type *items;                                                                               \
        size_t count;                                                                              \
        fa_typed_run run;                                                                          \
    } name##_run;                                                                                  \
    FAI_MADE fa_status name##_create(fa_allocator *allocator, const fa_typed_pool_config *config,  \
                                     name *made) {                                                 \
        fa_typed_pool_config filled =                                                              \
            fai_typed_pool_config_for(config, sizeof(type), FA_ALIGNOF(type));                     \
        return fa_typed_pool_create(allocator, &filled, made != NULL ? &made->pool : NULL);        \
    }                                                                                              \
    FAI_MADE size_t name##_destroy(name self) { return fa_typed_pool_destroy(self.pool); }         \
    FAI_MADE type *name##_acquire(name self) { return (type *)fa_typed_pool_acquire(self.pool); }  \
    FAI_MADE fa_status name##_release(name self, type *object) {                                   \
        return fa_typed_pool_release(self.pool, object);                                           \
    }                                                                                              \
    FAI_MADE bool name##_has(name self, const void *object) {                                      \
        return fa_typed_pool_has(self.pool, object);                                               \
    }                                                                                              \
    FAI_MADE size_t name##_clear(name self) { return fa_typed_pool_clear(self.pool); }             \
    FAI_MADE size_t name##_count(name self) {                                                      \
        fa_typed_pool_stats stats;                                                                 \
        (void)fa_typed_pool_stats_get(self.pool, &stats);                                          \
        return stats.live_count;                                                                   \
    }                                                                                              \
    FAI_MADE bool name##_next_run(name self, name##_run *run) {                                    \
        bool more = fa_typed_pool_next_run(self.pool, run != NULL ? &run->run : NULL);             \
        if (run == NULL)                                                                           \
            return false;                                                                          \
        run->items = (type *)run->run.items;                                                       \
        run->count = run->run.count;                                                               \
        return more;                                                                               \
    }

FAI_MADE fa_typed_pool_config fai_typed_pool_config_for(const fa_typed_pool_config *config,
                                                        size_t size, size_t align) {
    fa_typed_pool_config filled = {0, 0, 0, 0, NULL, NULL, NULL, false};
    if (config != NULL)
        filled = *config;
    filled.size = size;
    filled.align = align;
    return filled;
}

#define FAI_TYPED_POOL_DECLARED
#include "fa/site.h"

#endif
