/* Handle tables: slots that handles name, slabs that objects lie in, and what moves them together.
 *
 * A slot has a word, with the address of its object, and a state (slot.h). The state of a live one
 * is its generation, the number of pins and flags, so that pinning is one compare and swap. A
 * generation is the number of the table and a counter: tables alive have different numbers, and a
 * number that is used again goes on with higher counters, so that no generation ever comes back at
 * an index.
 *
 * handle.c        objects: alloc, free, pin, unpin
 * handle_table.c  tables: numbers, slots, life, statistics
 * handle_slab.c   slabs and the places in them
 * handle_move.c   compaction */
#ifndef FAI_HANDLE_H
#define FAI_HANDLE_H

#include "fa/handle.h"
#include "fa/internal/allocator.h"
#include "fa/internal/slot.h"

/* ---- slots ---- */

/* Stands before a block of slots: their words, then their states. Guarded by the table's lock. */
typedef struct fai_handle_block {
    struct fai_handle_block *next_free; /* in the queue of those with free slots */
    uint32_t first;                     /* index of its first slot */
    uint32_t free_count;
    uint32_t cursor; /* the next slot is the first free one from here on: each rests as long as can
                      * be before it is used again */
    uint64_t free[FAI_HANDLE_BLOCK / 64];
} fai_handle_block;
#define FAI_HANDLE_BLOCK_HEADER                                                                    \
    ((sizeof(fai_handle_block) + FA_CACHE_LINE - 1) & ~(FA_CACHE_LINE - 1))

/* Where the blocks are. A larger one takes its place, but readers may still look at it. */
typedef struct fai_handle_directory {
    struct fai_handle_directory *retired;
    size_t capacity;
    fai_handle_word *blocks[];
} fai_handle_directory;

/* ---- slabs ---- */

#define FAI_HANDLE_CLASS_COUNT 32
#define FAI_HANDLE_BIN_COUNT 8
#define FAI_HANDLE_NO_SLOT UINT32_MAX     /* the place is free */
#define FAI_HANDLE_LIMBO (UINT32_MAX - 1) /* its object has moved, but that is being told */
#define FAI_HANDLE_SLAB_ALIGN_MAX ((size_t)4096)

typedef struct fai_handle_group fai_handle_group;
typedef struct fai_handle_slab fai_handle_slab;

/* Stands at the start of its memory, which is aligned to its size; then come a bit for each place,
 * set while it is free, for each the index of its slot, for each how many of its bytes were not
 * asked for, and the places. Guarded by the table's lock.
 * Invariant: used == places whose bit is not set. */
struct fai_handle_slab {
    fa_handles *handles;
    fai_handle_group *group;      /* NULL: empty */
    fai_handle_slab *next, *prev; /* in the list */
    fai_handle_slab **list;       /* NULL: full, or the victim */
    fai_handle_slab *next_of_all, *prev_of_all;
    fai_span span;
    uint32_t place_bytes;
    uint32_t place_count;
    uint32_t used;
    uint32_t scan; /* no bit is set in the words before this one */
    uint32_t first_offset;
    uint32_t slots_offset; /* of the indices */
    uint32_t slack_offset;
};

/* A place for an object. */
typedef struct fai_handle_place {
    fai_handle_slab *slab; /* NULL: there is none */
    uint32_t index;
} fai_handle_place;

/* What slabs of one size class and kind share. */
struct fai_handle_group {
    fai_handle_slab *bin[FAI_HANDLE_BIN_COUNT]; /* not full, by how full they are */
    fai_handle_slab *blocked; /* pinned objects were met in them: not tried again in this round */
    size_t free_count;        /* places in all of them and the victim */
};

/* ---- tables ---- */

struct fa_handles {
    fai_handles_head head; /* must be first */
    bool was_unpinned;     /* something, since a round began to look; atomic */
    fai_owned owned;
    fa_allocator *allocator;
    fa_handles_options options; /* zeros filled in */
    uint32_t counter_first;     /* of each slot */
    fa_tag tag;                 /* what everything is charged to */

    /* Guarded by the lock, which comes before the allocator's and the heap's. */
    pthread_mutex_t lock;
    fai_handle_directory *directory;
    fai_handle_block *free_first, *free_last; /* blocks with free slots, in turn */
    size_t slot_free_count;
    size_t slot_retired_count;
    uint32_t counter_end; /* those that were used are below it */
    size_t table_bytes;   /* of the table itself, slots and directories */

    fai_handle_group group[2][FAI_HANDLE_CLASS_COUNT]; /* movable, fixed */
    fai_handle_slab *slabs;                            /* all */
    fai_handle_slab *empty;                            /* singly linked through next */
    size_t slab_count;
    size_t empty_count;

    /* Compaction. The victim is the slab that is being emptied; it is in no list. */
    fai_handle_slab *victim;
    uint32_t victim_next;   /* place to look at next */
    bool victim_is_checked; /* no object in it was pinned */
    bool round_is_open;
    bool round_is_second;   /* time that it looks at what was blocked, for what was unpinned */
    uint32_t class_unblock; /* of size classes before it what is blocked stays so in this round */
    uint32_t class_next;    /* size classes before it have nothing to gain now */
    uint32_t told_count;    /* moves that are being told */

    /* Numbers. */
    size_t live_count, fixed_count, large_count;
    size_t live_bytes, large_bytes;
    uint64_t alloc_count, free_count, moved_count, moved_bytes, slab_returned_count;
};

static inline void fai_handles_lock(fa_handles *handles) { pthread_mutex_lock(&handles->lock); }
static inline void fai_handles_unlock(fa_handles *handles) { pthread_mutex_unlock(&handles->lock); }

/* ---- handle_table.c ---- */

/* The public call with the first counter of each slot; counter 0: as the number's last table left
 * it. For tests of what happens near the end of the range. */
fa_handles *fai_handles_create(fa_allocator *allocator, const fa_handles_options *options,
                               uint32_t counter_first);

/* Size of a live object, as asked for; place: gets where it lies, slab NULL for a large one and
 * where the book-keeping is damaged. Under the lock. */
size_t fai_handle_object_size(fa_handles *handles, uint32_t index, fai_handle_place *place);

/* The slot of an index below the count. */
static inline fai_handle_slot fai_handle_slot_at(const fa_handles *handles, uint32_t index) {
    fai_handle_word *words =
        FAI_LOAD_ACQUIRE(&handles->head.blocks)[index >> FAI_HANDLE_BLOCK_SHIFT];
    uint32_t at = index & (FAI_HANDLE_BLOCK - 1);
    fai_handle_slot slot = {&words[at], &words[FAI_HANDLE_BLOCK + at].bits};
    return slot;
}

/* The slot that a handle may name, or none: its state has to be looked at. No lock. */
static inline fai_handle_slot fai_handle_find(const fa_handles *handles, fa_handle handle) {
    fai_handle_slot none = {NULL, NULL};
    if (handle.generation == 0 || handle.index >= FAI_LOAD_ACQUIRE(&handles->head.slot_count))
        return none;
    return fai_handle_slot_at(handles, handle.index);
}

/* Memory for one more block of slots: planned under the lock, taken without, put in under it. */
typedef struct fai_handle_growth {
    bool is_wanted;
    size_t capacity;                 /* of the new directory; 0: the present one has room */
    fai_handle_block *block;         /* NULL: none */
    fai_handle_directory *directory; /* likewise */
} fai_handle_growth;

/* Plans one; false when there may be no more slots. Under the lock. */
bool fai_handle_growth_plan(const fa_handles *handles, fai_handle_growth *growth);
/* Takes the memory; false with the reason reported. No lock may be held. */
bool fai_handle_growth_take(fa_handles *handles, fai_handle_growth *growth);
/* Puts it in; what is not needed any more stays in growth. Under the lock. */
void fai_handle_growth_add(fa_handles *handles, fai_handle_growth *growth);
/* Gives back what is left in it. No lock may be held. */
void fai_handle_growth_give(fa_handles *handles, fai_handle_growth *growth);

/* Takes a free slot, of which there is one, for an object. The handle resolves from now on. Under
 * the lock. flags: FIXED, LARGE. */
fa_handle fai_handle_slot_take(fa_handles *handles, void *address, uint64_t flags);
/* The slot of a dead object may be used again, unless it is used up. Under the lock. */
void fai_handle_slot_give(fa_handles *handles, uint32_t index);

/* ---- handle_slab.c ---- */

/* Bytes of a place for an object; what a check is to find behind it included. */
static inline size_t fai_handle_place_bytes(const fa_handles *handles, size_t size) {
    return handles->allocator->watched ? size + FAI_GUARD_BYTES : size;
}

/* Size class of a request, or FAI_HANDLE_CLASS_COUNT: a block of its own. */
uint32_t fai_handle_class_of(size_t bytes, size_t align);

/* Takes a free place: of the fullest slab of the group that is not full; after those, of an empty
 * one. for_move: only of slabs that are in use already, and not of the victim. Under the lock. */
fai_handle_place fai_handle_place_take(fa_handles *handles, uint32_t kind, uint32_t class_index,
                                       bool for_move);
/* Gives it back, already poisoned; a slab that is empty then waits among the empty ones. Under the
 * lock. */
void fai_handle_place_give(fa_handles *handles, fai_handle_place place);
/* The place of an object in a slab; slab NULL: the book-keeping is damaged. Under the lock. */
fai_handle_place fai_handle_place_of(const fa_handles *handles, const void *address,
                                     uint32_t slot_index);

static inline char *fai_handle_place_address(fai_handle_place place) {
    return (char *)place.slab + place.slab->first_offset +
           (size_t)place.index * place.slab->place_bytes;
}
static inline uint32_t *fai_handle_slots(const fai_handle_slab *slab) {
    return (uint32_t *)((uintptr_t)slab + slab->slots_offset);
}
static inline uint16_t *fai_handle_slack(const fai_handle_slab *slab) {
    return (uint16_t *)((uintptr_t)slab + slab->slack_offset);
}
static inline uint64_t *fai_handle_bits(const fai_handle_slab *slab) {
    return (uint64_t *)((uintptr_t)slab + sizeof(fai_handle_slab));
}
/* Bytes that were asked for. */
static inline size_t fai_handle_place_size(fai_handle_place place) {
    return place.slab->place_bytes - fai_handle_slack(place.slab)[place.index];
}

/* Memory of one slab, charged; false with the reason reported. No lock may be held. */
bool fai_handle_slab_memory(fa_handles *handles, fai_span *span);
/* Gives it back. Returns whether it went to the backend. */
bool fai_handle_slab_memory_give(fa_handles *handles, const fai_span *span);
/* Puts it among the empty slabs. Under the lock. */
void fai_handle_slab_add(fa_handles *handles, const fai_span *span);
/* Takes an empty slab off that is not to be kept: where more than keep_count of them are empty.
 * Under the lock. */
bool fai_handle_slab_remove(fa_handles *handles, size_t keep_count, fai_span *span);
void fai_handle_slab_list(fai_handle_slab *slab, fai_handle_slab **list);
void fai_handle_slab_unlist(fai_handle_slab *slab);
/* The list for a slab as it is now; NULL: it is full. */
fai_handle_slab **fai_handle_slab_bin(fai_handle_slab *slab);

/* What is around an object: fill, guard and poison of a new one; fai_handle_undress verifies the
 * guard (false: it was overwritten) and buries it. bytes: of its place. */
void fai_handle_dress(const fa_handles *handles, char *object, size_t size, size_t bytes,
                      bool fresh);
bool fai_handle_guard_is_whole(const fa_handles *handles, const char *object, size_t size);
void fai_handle_bury(const fa_handles *handles, char *object, size_t bytes);

/* The address of what is wrong, or NULL. Under the lock. */
const void *fai_handle_slabs_validate(fa_handles *handles);

/* ---- handle_move.c ---- */

/* The victim goes back to the others. Under the lock. */
void fai_handle_victim_drop(fa_handles *handles);

/* In the child of a fork, under the lock: moves that other threads were telling of are over; but
 * not where the forking thread is in such a callback itself. */
void fai_handles_fork_child(fa_handles *handles);

#endif
