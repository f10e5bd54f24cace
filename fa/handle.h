/* Handles: objects that may be moved, named by an index and a generation instead of an address.
 *
 * For what lives long and comes and goes in all sizes (assets, meshes, script objects, sound
 * banks): memory that is full of holes is closed up again, and goes back to the backend, while the
 * program runs.
 *
 *     FA_HANDLE(mesh_handle, mesh)                      the type of a handle, and its functions
 *     fa_handles *meshes = fa_handles_create(allocator, NULL);
 *     mesh_handle handle = mesh_handle_alloc(meshes);   all zero: refused
 *     mesh *at = mesh_handle_get(meshes, handle);       NULL: not alive any more
 *     fa_handles_compact(meshes, 0, 500000);            half a millisecond, once a frame
 *
 * Objects up to FA_HANDLE_SLAB_OBJECT_MAX bytes lie in slabs of their size class. A compaction
 * empties the emptiest slabs into the fullest and gives whole slabs back. Larger objects are heap
 * blocks of their own and stay where they are, and so do fixed and pinned ones; fixed ones have
 * slabs of their own, so that they are in nobody's way. An object is moved byte by byte: it must
 * not hold pointers into itself.
 *
 * Which addresses hold how long. fa_handle_get takes no lock and changes nothing; its address
 * holds until the object is freed or a compaction moves it: so compact where no such address is in
 * use, at a safe point of the frame, or pin. fa_handle_pin counts: while an object is pinned it is
 * neither moved nor freed. All other calls may run at any time on any thread.
 *
 * What a handle resolves to. Only to the object that it was made for: no two handles of a process
 * are ever equal, of whatever table and allocator, so that a handle of a freed object, of another
 * table, or of none at all is refused, also when its index is in use again. (Whoever makes up a
 * value that is equal to a live handle has made that handle.) So a slot is used a million times at
 * most (FA_HANDLE_USES_MAX; less in a process that made thousands of tables), then never again; a
 * new one takes its place.
 *
 * Memory. All of a table is heap memory of the tag that its creator was in, whoever allocates.
 * Beside its object each handle takes 16 bytes and a bit, the slot: as many of them as objects were
 * ever alive at once, for as long as the table lives. (They can't go back: whoever resolves takes
 * no lock, and may be looking at the slot of an object that was freed.) Empty slabs, of which a
 * table keeps one, go back where memory would else be refused. Objects lie where 48 bits lead to,
 * as all memory of Linux does that nobody asked to lie elsewhere; memory from a backend that lies
 * elsewhere is refused (FA701).
 *
 * In the child of a fork, what other threads had pinned stays pinned; moves that they were being
 * told of are over. */
#ifndef FA_HANDLE_H
#define FA_HANDLE_H

#include "fa/collection.h"
#include "fa/handle_slot.h"

FA_EXTERN_C_BEGIN

/* Names an object of one table. All zero: none. A value: copied and compared freely. */
typedef struct fa_handle {
    uint32_t index;
    uint32_t generation; /* never 0 in a handle that was given out */
} fa_handle;

/* A table of handles with the memory of its objects. Dies with its allocator. */
typedef struct fa_handles fa_handles;

#define FA_HANDLE_SLAB_OBJECT_MAX ((size_t)8192) /* larger ones are blocks of their own */
#define FA_HANDLE_USES_MAX ((uint32_t)1 << 20)   /* of one slot, one after the other, at most */
#define FA_HANDLE_TABLE_COUNT_MAX 4095           /* tables of a process at the same time */
#define FA_HANDLE_PIN_COUNT_MAX 0xFFFFFF         /* pins of one object at the same time */

/* Told that an object has moved, by fa_handles_compact, on its thread, with no lock held: it may
 * use the table, free the object too. For pointers to the object that the program keeps elsewhere.
 * address_old is a number to compare with, nothing to read; nobody else gets that memory during the
 * call, and the object is not moved again. It must not destroy the table or the allocator. */
typedef void fa_handle_moved_fn(void *user, fa_handles *handles, fa_handle handle,
                                void *address_old, void *address_new, size_t size);

/* Choices for a table. All zero is the default of each. */
typedef struct fa_handles_options {
    size_t slab_bytes;     /* a power of two, 64 KiB to 4 MiB; 0: 64 KiB */
    size_t slot_count;     /* handles that there is room for from the start; rounded up */
    size_t slab_count;     /* slabs taken at the start and never given back: with slot_count for an
                            * allocator that is to be sealed; at most 65536 */
    size_t slot_count_max; /* objects that may be alive at once, then FA_ERROR_FULL; rounded up;
                            * 0: no limit but that of the index */
    fa_handle_moved_fn *on_moved; /* NULL: nobody is told */
    void *on_moved_user;
} fa_handles_options;

/* ---- tables ---- */

/* Makes a table. options: copied; NULL: all zero.
 * Returns NULL: FA_ERROR_INVALID (allocator NULL, an option out of range), FA_ERROR_LIMIT
 * (FA_HANDLE_TABLE_COUNT_MAX, a budget, bytes_max), FA_ERROR_NO_MEMORY, FA_ERROR_SEALED. Any
 * thread, locks. */
FA_API fa_handles *fa_handles_create(fa_allocator *allocator, const fa_handles_options *options);

/* Ends a table: all its objects are gone at once, none of its handles resolves in any table.
 * No other thread may be inside of a call on it, and no call may follow. NULL is ignored.
 * Returns how many objects were alive. O(slabs and large objects). */
FA_API size_t fa_handles_destroy(fa_handles *handles);

/* ---- objects ---- */

enum {
    FA_HANDLE_FIXED = 1, /* it is never moved, as if pinned for life, but it may be freed */
    FA_HANDLE_ZEROED = 2 /* all zero bytes */
};

/* Allocates an object of size bytes, aligned to 16; not initialised (0xAB with FA_CHECK_FILL).
 * Returns its handle, or none: FA_ERROR_INVALID (handles NULL, size 0 or above FA_SIZE_MAX),
 * FA_ERROR_FULL (slot_count_max; nothing is reported), FA_ERROR_LIMIT (FA301, FA302),
 * FA_ERROR_NO_MEMORY (FA701), FA_ERROR_SEALED (FA702); then nothing changed. Any thread, a short
 * lock; calls the backend for a new slab. */
FA_API fa_handle fa_handle_alloc(fa_handles *handles, size_t size);

/* The same, aligned to align: a power of two up to FA_ALIGN_MAX, less than 16 counts as 16; above
 * 4096 the object is a block of its own. It keeps its alignment when it moves. flags: a sum of the
 * above. FA_ERROR_INVALID also for a bad alignment or flag. */
FA_API fa_handle fa_handle_alloc_with(fa_handles *handles, size_t size, size_t align,
                                      uint32_t flags);

/* Frees an object; the handle is stale from then on. The none handle is ignored.
 * Returns FA_OK; FA_ERROR_FOREIGN for a handle that is stale, forged or another table's (FA620),
 * FA_ERROR_INVALID when the object is pinned (FA621) or handles is NULL; then nothing changed. Any
 * thread, a short lock; may call the backend. */
FA_API fa_status fa_handle_free(fa_handles *handles, fa_handle handle);

/* The address of an object, or NULL, without a report, when the handle does not resolve. Holds as
 * said above. Any thread, no lock, O(1): about one cache line more than the object itself. */
FA_API inline void *fa_handle_get(const fa_handles *handles, fa_handle handle);

/* Pins an object: it is neither moved nor freed until it was unpinned as often as pinned.
 * Returns its address, which holds until then; NULL, without a report, when the handle does not
 * resolve, or when it is pinned FA_HANDLE_PIN_COUNT_MAX times (FA_ERROR_LIMIT). Any thread, O(1)
 * without a lock, but where the object is being moved at this moment: then it waits for that one
 * copy. */
FA_API void *fa_handle_pin(fa_handles *handles, fa_handle handle);

/* Takes one pin back, from any thread.
 * Returns FA_OK; FA_ERROR_FOREIGN for a handle that does not resolve (FA620), FA_ERROR_INVALID when
 * it is not pinned (FA621) or handles is NULL. O(1), no lock. */
FA_API fa_status fa_handle_unpin(fa_handles *handles, fa_handle handle);

/* Bytes that were asked for; 0, without a report, when the handle does not resolve. Any thread, a
 * short lock. */
FA_API size_t fa_handle_size(fa_handles *handles, fa_handle handle);

static inline bool fa_handle_is_none(fa_handle handle) {
    return handle.index == 0 && handle.generation == 0;
}
static inline bool fa_handle_equal(fa_handle a, fa_handle b) {
    return a.index == b.index && a.generation == b.generation;
}

/* ---- compaction ---- */

/* What one step did. */
typedef struct fa_handles_step {
    size_t moved_count;
    size_t moved_bytes;    /* sizes of the moved objects */
    size_t slab_count;     /* slabs that went back to the backend */
    size_t bytes_returned; /* and their bytes */
    bool done;             /* nothing more is to be gained now; the next step starts anew */
} fa_handles_step;

/* Moves objects together and gives emptied slabs back, until nothing more is to be gained or the
 * step is used up; the next one goes on from there.
 * bytes_max: the step ends once it has moved so many bytes; 0: no such limit.
 * nanoseconds_max: the step ends once it has taken so long: so later by no more than one piece of
 * work, which is the move of one object with its callback, or one slab given back. 0: no such
 * limit. A step does at least one piece of work.
 * When it is done each size class has as few slabs as its objects fill, but for slabs in which it
 * met pinned objects (those met before an unpin are tried once more). Slabs stay in a sealed
 * allocator. Several threads may do it at once. For NULL: FA_ERROR_INVALID, and done. O(what is
 * moved), locks for one piece of work at a time. */
FA_API fa_handles_step fa_handles_compact(fa_handles *handles, size_t bytes_max,
                                          uint64_t nanoseconds_max);

/* ---- numbers ---- */

/* Identities while no other thread is inside of a call:
 *   live_count  == alloc_count - free_count
 *   slot_count  == live_count + slot_free_count + slot_retired_count
 *   slab_count  >= slab_empty_count
 *   bytes_held  >= slab_count * slab_bytes + sizes of large objects */
typedef struct fa_handles_stats {
    size_t live_count;
    size_t pinned_count; /* of these */
    size_t fixed_count;  /* of these */
    size_t large_count;  /* of these, blocks of their own */
    size_t slot_count;
    size_t slot_free_count;
    size_t slot_retired_count; /* used up for ever */
    size_t slab_count;
    size_t slab_empty_count; /* of these, kept for what comes next */
    size_t bytes_used;       /* live objects, as asked for */
    size_t bytes_held;       /* everything that the table holds */
    double fragmentation;    /* 1 - bytes_used / bytes_held; 1: it is all unused */
    uint64_t alloc_count;
    uint64_t free_count;
    uint64_t moved_count;
    uint64_t moved_bytes;
    uint64_t slab_returned_count; /* by frees and by compaction */
} fa_handles_stats;

/* Adds the numbers up. stats: filled; zeroed when handles is NULL (FA_ERROR_INVALID). Any thread,
 * locks, O(slots). */
FA_API fa_status fa_handles_stats_get(fa_handles *handles, fa_handles_stats *stats);

/* A live object, as the visitor sees it. */
typedef struct fa_handle_info {
    fa_handle handle;
    void *address; /* holds as that of fa_handle_get does */
    size_t size;
    uint32_t pin_count;
    bool is_fixed;
    bool is_large;
} fa_handle_info;

/* Calls visit for each live object, in the order of indices, with no lock held: it may allocate,
 * free, pin and compact. What is allocated meanwhile may be visited or not.
 * Returns how many were visited; 0 for NULL (FA_ERROR_INVALID). Any thread, O(slots). */
FA_API size_t fa_handles_visit(fa_handles *handles,
                               void (*visit)(void *user, const fa_handle_info *info), void *user);

/* ---- typed handles ---- */

/* FA_HANDLE(name, type) makes the type name, a handle of objects of type, and these functions; they
 * return what those above do. The compiler tells handles of different types apart; what lies in the
 * table is not looked at. type must be plain data.
 *
 *     name name_alloc(handles)            not initialised, aligned for the type
 *     name name_alloc_zeroed(handles)     all zero bytes
 *     name name_alloc_fixed(handles)      zeroed, and never moved
 *     fa_status name_free(handles, handle)
 *     type *name_get(handles, handle)
 *     type *name_pin(handles, handle)
 *     fa_status name_unpin(handles, handle)
 *     bool name_is_none(handle)
 *
 * handle.raw is the fa_handle. */
#define FA_HANDLE(name, type)                                                                      \
    typedef struct name {                                                                          \
        fa_handle raw;                                                                             \
    } name;                                                                                        \
    FAI_PLAIN_DATA(type)                                                                           \
    FAI_MADE name fai_##name##_of(fa_handle raw) {                                                 \
        name self;                                                                                 \
        self.raw = raw;                                                                            \
        return self;                                                                               \
    }                                                                                              \
    FAI_MADE name name##_alloc(fa_handles *handles) {                                              \
        return fai_##name##_of(fa_handle_alloc_with(handles, sizeof(type), FA_ALIGNOF(type), 0));  \
    }                                                                                              \
    FAI_MADE name name##_alloc_zeroed(fa_handles *handles) {                                       \
        return fai_##name##_of(                                                                    \
            fa_handle_alloc_with(handles, sizeof(type), FA_ALIGNOF(type), FA_HANDLE_ZEROED));      \
    }                                                                                              \
    FAI_MADE name name##_alloc_fixed(fa_handles *handles) {                                        \
        return fai_##name##_of(fa_handle_alloc_with(handles, sizeof(type), FA_ALIGNOF(type),       \
                                                    FA_HANDLE_ZEROED | FA_HANDLE_FIXED));          \
    }                                                                                              \
    FAI_MADE fa_status name##_free(fa_handles *handles, name handle) {                             \
        return fa_handle_free(handles, handle.raw);                                                \
    }                                                                                              \
    FAI_MADE type *name##_get(const fa_handles *handles, name handle) {                            \
        return (type *)fa_handle_get(handles, handle.raw);                                         \
    }                                                                                              \
    FAI_MADE type *name##_pin(fa_handles *handles, name handle) {                                  \
        return (type *)fa_handle_pin(handles, handle.raw);                                         \
    }                                                                                              \
    FAI_MADE fa_status name##_unpin(fa_handles *handles, name handle) {                            \
        return fa_handle_unpin(handles, handle.raw);                                               \
    }                                                                                              \
    FAI_MADE bool name##_is_none(name handle) { return fa_handle_is_none(handle.raw); }

/* ------------------------------------------------------------------------------------------------
 * Inline function: the fast path, and what it looks at. */

/* The first words of a table. Slots lie in blocks that never move. */
typedef struct fai_handles_head {
    fai_handle_word *const *blocks; /* atomic */
    uint32_t slot_count;            /* atomic; only grows */
    uint32_t generations;           /* what they all begin with: the number of the table, from 1 */
} fai_handles_head;

#define FAI_HANDLE_BLOCK_SHIFT 10
#define FAI_HANDLE_BLOCK ((uint32_t)1 << FAI_HANDLE_BLOCK_SHIFT)

inline void *fa_handle_get(const fa_handles *handles, fa_handle handle) {
    const fai_handles_head *head = (const fai_handles_head *)handles;
    if (FA_UNLIKELY(head == NULL))
        return NULL;
    uint32_t counter = handle.generation ^ head->generations; /* large: of another table, or none */
    /* Whoever sees the count sees the blocks that it counts. */
    if (FA_UNLIKELY(counter > FAI_HANDLE_COUNTER_MAX ||
                    handle.index >= FAI_LOAD_ACQUIRE(&head->slot_count)))
        return NULL;
    fai_handle_word *const *blocks = FAI_LOAD_ACQUIRE(&head->blocks); /* it may be newer still */
    return fai_handle_word_read(
        &blocks[handle.index >> FAI_HANDLE_BLOCK_SHIFT][handle.index & (FAI_HANDLE_BLOCK - 1)],
        counter);
}

FA_EXTERN_C_END

#define FAI_HANDLE_DECLARED
#include "fa/site.h"

#endif
