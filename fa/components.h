/* Components: objects of one type by id, side by side without gaps: what a world of entities keeps
 * for those of its entities that have it (positions, velocities, sounds), looked up by id here and
 * gone through from one end to the other there.
 *
 * FA_COMPONENTS(name, type) makes the type name, a reference of one word, and these functions; the
 * fa_components_ functions below do the same for a size that is known at run time only, and say
 * what each returns.
 *
 *     fa_status name_create(allocator, config, set)  config: NULL, or what is not left at 0; size
 *                                                    and alignment are those of the type
 *     size_t name_destroy(set)                       how many objects there were
 *     fa_status name_insert(set, id, object)         *object gets a new one; FA_ERROR_EXISTS: the
 *                                                    old one
 *     type *name_get(set, id)                        NULL: it has none
 *     bool name_remove(set, id)                      false: it has none
 *     void name_clear(set)
 *     size_t name_count(set)
 *     bool name_next_run(set, run)                   objects side by side: fields items, ids and
 *                                                    count of the name_run; false: no more
 *
 *     FA_COMPONENTS_EACH(id, object, set) { ... }    each, in memory order; break and continue as
 *                                                    in any loop
 *
 *     for (name_run run = {0}; name_next_run(set, &run);)
 *         for (size_t i = 0; i < run.count; i++)
 *             run.items[i].x += run.ids[i];     an array loop, for the compiler too
 *
 * Order and addresses. Removing moves the last object into the gap, byte by byte, so that there
 * never is one; objects are plain data (C++ checks that they are trivially copyable). That is the
 * default because going through is what is done each frame. An address holds until something is
 * removed; inserting moves nothing. Where addresses must hold for good, keep the objects in a typed
 * pool (fa/typed_pool.h) and pointers to them here.
 * Inside of FA_COMPONENTS_EACH the current object may be removed: the one that takes its place is
 * next. What is inserted is seen; removing another one than the current may leave one out. Runs
 * must not be changed while they are used.
 *
 * Ids are any numbers of 32 bits, such as the index of an entity or of a handle. Pages of 512 ids
 * are made where there are any: 2 KiB for each, so that ids next to each other are cheap, and a
 * large one is no dearer than a small one. Objects lie in blocks of 2 KiB and more, up to 64 KiB.
 * All are heap blocks charged to the tag that the thread was in when it made the set; what becomes
 * empty is given back, but for one block and one page. Contents of a new object are undefined (0xAB
 * with FA_CHECK_FILL).
 *
 * Threads: one at a time; several may get and go through while nobody changes anything.
 *
 * Scheme: a sparse set (P. Briggs and L. Torczon, An Efficient Representation for Sparse Sets,
 * 1993) with pages for the sparse half as in EnTT by M. Caini, found through a small hash table. */
#ifndef FA_COMPONENTS_H
#define FA_COMPONENTS_H

#include "fa/collection.h"

FA_EXTERN_C_BEGIN

typedef struct fa_components fa_components;

/* All 0 but the size is a configuration. */
typedef struct fa_components_config {
    size_t size;           /* bytes of an object, 1 to FA_SIZE_MAX / 64 */
    size_t align;          /* power of two up to 4096; 0: FA_ALIGN_MIN */
    size_t count_max;      /* most objects, up to UINT32_MAX; 0: that */
    size_t count_reserved; /* objects whose memory is taken now, and kept; up to count_max */
} fa_components_config;

/* Makes an empty set.
 * config: copied; not NULL. set: gets it, NULL on failure; it dies with the allocator.
 * Returns FA_OK; FA_ERROR_INVALID (NULL, or a field is out of its range), FA_ERROR_NO_MEMORY,
 * FA_ERROR_LIMIT (bytes_max or a budget), FA_ERROR_SEALED. Any thread, locks. */
FA_API fa_status fa_components_create(fa_allocator *allocator, const fa_components_config *config,
                                      fa_components **set);

/* Ends a set and gives its memory back. NULL is ignored. Returns how many objects there were. */
FA_API size_t fa_components_destroy(fa_components *set);

/* Gives an id an object.
 * object: gets it, aligned as configured; of an id that has one, that one; else NULL. Not NULL.
 * Returns FA_OK; FA_ERROR_EXISTS and FA_ERROR_FULL (count_max), which are answers: no events, and
 * fa_last_error stays as it is; FA_ERROR_INVALID (NULL), FA_ERROR_NO_MEMORY, FA_ERROR_LIMIT,
 * FA_ERROR_SEALED: nothing changed.
 * O(1), but where memory is taken. */
FA_API fa_status fa_components_insert(fa_components *set, uint32_t id, void **object);

/* The object of an id. NULL when it has none; for set NULL, too (FA_ERROR_INVALID). O(1). */
FA_API void *fa_components_get(const fa_components *set, uint32_t id);

/* Removes the object of an id. Returns false when it has none, and for NULL (FA_ERROR_INVALID).
 * O(1) and a copy of one object; may give memory back. */
FA_API bool fa_components_remove(fa_components *set, uint32_t id);

/* Removes all; O(pages). Memory stays, but for that of the ids, until fa_components_trim. */
FA_API void fa_components_clear(fa_components *set);

/* Takes memory for count objects in all, and keeps it; a smaller number than before lets it go with
 * the next trim. Pages of ids are made by insert all the same.
 * Returns FA_OK; FA_ERROR_INVALID (NULL, or more than count_max), FA_ERROR_NO_MEMORY,
 * FA_ERROR_LIMIT, FA_ERROR_SEALED: then it is as it was, but may hold more memory until a trim. */
FA_API fa_status fa_components_reserve(fa_components *set, size_t count);

/* Gives back what is empty, but for what is reserved. Returns its bytes. */
FA_API size_t fa_components_trim(fa_components *set);

typedef struct fa_components_stats {
    size_t count;
    size_t count_peak;
    size_t capacity;   /* objects that there is room for */
    size_t page_count; /* of 512 ids each */
    size_t bytes_held; /* heap memory: objects, pages, the set itself and its tables */
} fa_components_stats;

/* Reads the numbers. stats: filled; zeroed when the call fails: FA_ERROR_INVALID for NULL. O(1). */
FA_API fa_status fa_components_stats_get(const fa_components *set, fa_components_stats *stats);

/* Objects side by side. All 0 before the first. */
typedef struct fa_components_run {
    void *items;
    const uint32_t *ids;
    size_t count;
    size_t first; /* objects before them */
} fa_components_run;

/* Goes to the next run. Returns false, with *run all 0, when there is none, and for NULL
 * (FA_ERROR_INVALID). O(1). */
FA_API bool fa_components_next_run(const fa_components *set, fa_components_run *run);

/* ---- what the macros are made of ---- */

/* The first words of a set. */
typedef struct fai_components_head {
    size_t count;
    uint64_t removed_count;
} fai_components_head;

/* Objects side by side: up to end, which is number next of all. */
typedef struct fai_components_step {
    char *item, *end;
    const uint32_t *id;
    size_t next;
} fai_components_step;

enum { FAI_BODY_NEXT, FAI_BODY_LEFT, FAI_BODY_WHOLE };

/* Where FA_COMPONENTS_EACH stands. Its address is never taken, so that it stays in registers. */
typedef struct fai_components_walk {
    char *item; /* NULL: the end */
    char *end;
    const uint32_t *id;
    uint32_t id_seen; /* another one now: the object was removed */
    int body;
    size_t next;
    const fai_components_head *head;
    uint64_t removed_seen;
} fai_components_walk;

/* NULL, and the error set, for no set, and for one of objects of another size. */
FA_API const fai_components_head *fai_components_walk_begin(const fa_components *set, size_t size);
/* What comes after the object with that index and id; at the same index, when that was removed.
 * SIZE_MAX: the first. */
FA_API fai_components_step fai_components_walk_on(const fai_components_head *head, size_t index,
                                                  uint32_t id);

FAI_MADE_INLINE fai_components_walk fai_components_walk_settle(fai_components_walk walk,
                                                               size_t index) {
    fai_components_step step = fai_components_walk_on(walk.head, index, walk.id_seen);
    walk.item = step.item;
    walk.end = step.end;
    walk.id = step.id;
    walk.next = step.next;
    walk.removed_seen = walk.head->removed_count;
    if (walk.item != NULL)
        walk.id_seen = *walk.id;
    walk.body = FAI_BODY_NEXT;
    return walk;
}

FAI_MADE_INLINE fai_components_walk fai_components_walk_next(fai_components_walk walk,
                                                             size_t size) {
    if (walk.body == FAI_BODY_LEFT) {
        walk.item = NULL;
        return walk;
    }
    if (FA_LIKELY(walk.head->removed_count == walk.removed_seen) &&
        FA_LIKELY(walk.item + size != walk.end)) {
        walk.item += size;
        walk.id++;
        walk.id_seen = *walk.id;
        walk.body = FAI_BODY_NEXT;
        return walk;
    }
    return fai_components_walk_settle(walk, walk.next - (size_t)(walk.end - walk.item) / size);
}

FAI_MADE_INLINE fai_components_walk fai_components_walk_first(const fa_components *set,
                                                              size_t size) {
    fai_components_walk walk = {NULL, NULL, NULL, 0, FAI_BODY_NEXT, 0, NULL, 0};
    walk.head = fai_components_walk_begin(set, size);
    return walk.head != NULL ? fai_components_walk_settle(walk, SIZE_MAX) : walk;
}

FA_EXTERN_C_END

/* The inner loops run once; left by break they end the outer one. */
#define FA_COMPONENTS_EACH(entity, object, typed)                                                  \
    for (fai_components_walk fai_walk_##object =                                                   \
             fai_components_walk_first((typed).set, sizeof(*(typed).fai_type));                    \
         fai_walk_##object.item != NULL; fai_walk_##object = fai_components_walk_next(             \
                                             fai_walk_##object, sizeof(*(typed).fai_type)))        \
        for (uint32_t entity = fai_walk_##object.id_seen;                                          \
             fai_walk_##object.body == FAI_BODY_NEXT;)                                             \
            for (__typeof__((typed).fai_type) object =                                             \
                     (fai_walk_##object.body = FAI_BODY_LEFT, (void)entity,                        \
                     (__typeof__((typed).fai_type))(void *)fai_walk_##object.item);                \
                 object != NULL; object = NULL, fai_walk_##object.body = FAI_BODY_WHOLE)

#define FA_COMPONENTS(name, type)                                                                  \
    FAI_PLAIN_DATA(type)                                                                           \
    typedef union name {                                                                           \
        fa_components *set;                                                                        \
        type *fai_type; /* never read: says of what type the objects are */                        \
    } name;                                                                                        \
    typedef struct name##_run {                                                                    \
        type *items;                                                                               \
        const uint32_t *ids;                                                                       \
        size_t count;                                                                              \
        fa_components_run run;                                                                     \
    } name##_run;                                                                                  \
    FAI_MADE fa_status name##_create(fa_allocator *allocator, const fa_components_config *config,  \
                                     name *made) {                                                 \
        fa_components_config filled = {0, 0, 0, 0};                                                \
        if (config != NULL)                                                                        \
            filled = *config;                                                                      \
        filled.size = sizeof(type);                                                                \
        filled.align = FA_ALIGNOF(type);                                                           \
        return fa_components_create(allocator, &filled, made != NULL ? &made->set : NULL);         \
    }                                                                                              \
    FAI_MADE size_t name##_destroy(name self) { return fa_components_destroy(self.set); }          \
    FAI_MADE fa_status name##_insert(name self, uint32_t id, type **object) {                      \
        void *found = NULL;                                                                        \
        fa_status status = fa_components_insert(self.set, id, object != NULL ? &found : NULL);     \
        if (object != NULL)                                                                        \
            *object = (type *)found;                                                               \
        return status;                                                                             \
    }                                                                                              \
    FAI_MADE type *name##_get(name self, uint32_t id) {                                            \
        return (type *)fa_components_get(self.set, id);                                            \
    }                                                                                              \
    FAI_MADE bool name##_remove(name self, uint32_t id) {                                          \
        return fa_components_remove(self.set, id);                                                 \
    }                                                                                              \
    FAI_MADE void name##_clear(name self) { fa_components_clear(self.set); }                       \
    FAI_MADE size_t name##_count(name self) {                                                      \
        fa_components_stats stats;                                                                 \
        (void)fa_components_stats_get(self.set, &stats);                                           \
        return stats.count;                                                                        \
    }                                                                                              \
    FAI_MADE bool name##_next_run(name self, name##_run *run) {                                    \
        bool more = fa_components_next_run(self.set, run != NULL ? &run->run : NULL);              \
        if (run == NULL)                                                                           \
            return false;                                                                          \
        run->items = (type *)run->run.items;                                                       \
        run->ids = run->run.ids;                                                                   \
        run->count = run->run.count;                                                               \
        return more;                                                                               \
    }

#define FAI_COMPONENTS_DECLARED
#include "fa/site.h"

#endif
