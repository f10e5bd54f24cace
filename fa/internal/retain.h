/* Retained objects: a table of all in an allocator, and what a thread knows of its frame's. */
#ifndef FAI_RETAIN_H
#define FAI_RETAIN_H

#include "fa/internal/atomic.h"
#include "fa/internal/owned.h"
#include "fa/internal/span.h"
#include "fa/retain.h"
#include "fa/scratch_pool.h"

typedef struct fai_thread fai_thread;

/* One object. While it has a handle, only the thread of its frame writes it, and under the table's
 * lock once the handle is out; what is marked atomic is read without.
 * It is in one of these states, by kind:
 *   NONE                         free: in the table's list or in a thread's
 *   OPEN                         listed by the thread of its frame
 *   DISCARDED, FAILED            listed until that thread forgets the frame
 *   POOL, HEAP, SCRATCH, LEAKED  listed until then, and owned by whoever has the handle: without a
 *                                serial it was taken, and is free as soon as it is not listed. In a
 *                                scratch pool it is in the table's list then, and free when entries
 *                                are needed and it is found without a serial or a pool */
typedef struct fai_retained {
    uint64_t serial; /* of the handle; 0: it has none; atomic */
    /* What the handle resolves to, NULL: nothing; with FAI_RETAINED_ASK added: place, if the
     * scratch pool is still what it was; atomic. */
    char *address;
    char *place; /* where it was moved to; NULL: nowhere (yet) */
    size_t size;
    struct fai_retained *next; /* in the thread's list, oldest first, or in one of free ones */
    fai_thread *thread;        /* of its frame; NULL once that is forgotten */
    union {
        struct { /* until it is moved */
            struct fai_retained *prev;
            const fa_site *site; /* where it was retained, when known */
            uint64_t mark;       /* serial of the newest mark when it was */
        };
        struct { /* in a scratch pool */
            fa_scratch_pool pool;
            uint64_t pool_reset_count; /* how often that had been reset */
        };
    };
    const char *type, *scratch;
    size_t phase; /* entries in the log of phases when it was retained */
    uint32_t index;
    uint32_t align;
    fa_tag tag;
    uint8_t policy, kind, reason, outcome; /* outcome: the kind that it is about to be */
    bool is_listed;
} __attribute__((aligned(64))) fai_retained;
_Static_assert(sizeof(fai_retained) == 128, "two cache lines");

#define FAI_RETAINED_ASK 1

#define FAI_RETAINED_FIRST 64u /* objects of the first block; each next has twice as many */
#define FAI_RETAINED_BLOCKS 24u

/* Lies in a span that nobody needs, and that could not be given back. */
typedef struct fai_retention_surplus {
    struct fai_retention_surplus *next;
    fai_span span;
} fai_retention_surplus;

/* All retained objects of an allocator. Made when the first is retained. */
typedef struct fai_retention {
    fai_owned owned;
    pthread_mutex_t lock;
    fai_retained *block[FAI_RETAINED_BLOCKS]; /* atomic; written under the lock, never moved */
    fai_span block_span[FAI_RETAINED_BLOCKS];
    uint32_t block_count;
    fai_retained *free;
    fai_retained *scratch; /* those in scratch pools that no thread lists any more */
    fai_retention_surplus *surplus;
    fai_span self;
} fai_retention;

/* What a thread knows of the last frame in which it retained something. */
typedef struct fai_retains {
    fai_retained *oldest, *newest;
    size_t count;
    fai_retained *spare;         /* free ones, for this thread */
    uint64_t serial, serial_end; /* the next handle, and the first that is another thread's */
    uint64_t frame_index;        /* the frame in question, counted from 1; 0: none */
    uintptr_t segment;           /* the last one that an object was moved into */
    bool is_over;                /* its objects are being kept, or were */
    fa_frame_summary summary;    /* once it is over */
} fai_retains;

void fai_retain_attach(fai_thread *thread);
/* Forgets what there is; objects of an open frame are dropped. Under the registry's lock. */
void fai_retain_detach(fai_thread *thread);

/* Whether the open frame has objects that were not dealt with yet. */
bool fai_retain_is_due(const fai_thread *thread);

/* Deals with the objects of the open frame, which is about to end: copies what is to be kept. Calls
 * hooks. */
void fai_retain_keep(fai_thread *thread);

/* The open frame ends with so many bytes: the rest of its summary. */
void fai_retain_frame_end(fai_thread *thread, size_t used);

/* The open frame is being rewound to a mark with that serial. */
void fai_retain_rewound(fai_thread *thread, uint64_t serial);

/* ---- for the files of this part ---- */

static inline uint32_t fai_retained_capacity(uint32_t number) {
    return FAI_RETAINED_FIRST << number;
}

/* The entry of a handle, whoever it belongs to now; NULL: there is none. */
static inline fai_retained *fai_retained_find(fai_retention *table, fa_retained retained) {
    if (table == NULL || retained.serial == 0)
        return NULL;
    uint64_t place = (uint64_t)retained.index / FAI_RETAINED_FIRST + 1;
    uint32_t number = 63 - (uint32_t)__builtin_clzll(place);
    if (number >= FAI_RETAINED_BLOCKS)
        return NULL;
    fai_retained *block = FAI_LOAD_ACQUIRE(&table->block[number]);
    return block ? &block[retained.index - (fai_retained_capacity(number) - FAI_RETAINED_FIRST)]
                 : NULL;
}

static inline bool fai_retained_is_kept(unsigned kind) {
    return kind == FA_RETAINED_POOL || kind == FA_RETAINED_HEAP || kind == FA_RETAINED_SCRATCH ||
           kind == FA_RETAINED_LEAKED;
}

/* Whether its scratch pool was reset or removed since it was moved there. Under the lock. */
bool fai_retained_is_lost(const fai_retained *object);

/* Puts a free one onto a list. */
static inline void fai_retained_put(fai_retained **list, fai_retained *object) {
    object->kind = FA_RETAINED_NONE;
    object->next = *list;
    *list = object;
}

/* Whether a retention is one. */
static inline bool fai_is_retention(const fa_retention *retention) {
    return (unsigned)retention->policy < FA_RETAIN_POLICY_COUNT &&
           (retention->policy != FA_RETAIN_SCRATCH ||
            (retention->scratch != NULL && retention->scratch[0] != 0));
}

/* Whether the calling thread's last frame has a summary that can be read. */
bool fai_retain_has_summary(const fai_thread *thread);

/* Makes the open frame the one in question: forgets an older one. */
void fai_retain_begin(fai_thread *thread);

/* Under the table's lock. */
void fai_retain_inform(const fai_retained *object, fa_retained_info *info);

#endif
