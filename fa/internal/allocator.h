/* The inside of an allocator: what threads share. Each part is owned by the file of its name. */
#ifndef FAI_ALLOCATOR_H
#define FAI_ALLOCATOR_H

#include "fa/deferred.h"
#include "fa/internal/account.h"
#include "fa/internal/atomic.h"
#include "fa/internal/check.h"
#include "fa/internal/events.h"
#include "fa/internal/owned.h"
#include "fa/internal/reserve.h"
#include "fa/internal/retain.h"
#include "fa/internal/roster.h"
#include "fa/internal/span.h"
#include "fa/internal/store.h"
#include "fa/internal/tag.h"

#include <pthread.h>

typedef struct fai_thread fai_thread;
typedef struct fai_segment fai_segment;
typedef struct fai_chunk fai_chunk;

/* Set of the segments, by address: segments.h. */
typedef struct fai_segment_table {
    struct fai_segment_table *retired; /* smaller ones before it: readers may still look at them */
    fai_span span;
    size_t capacity;   /* power of two, more than twice the segments */
    uintptr_t entry[]; /* atomic */
} fai_segment_table;
#define FAI_TABLE_EMPTY ((uintptr_t)0)
#define FAI_TABLE_REMOVED ((uintptr_t)1)

/* What all threads' pools share. Guarded by the allocator's lock but where it says so. Each class
 * of the configuration is there twice: of objects that tasks captured (task.h) slabs and magazines
 * are others, so that whoever frees one is told apart. */
typedef struct fai_pools {
    uint32_t class_count;
    uint32_t class_plain; /* class i is that of captured objects of class i - class_plain */
    uint32_t class_bytes[FAI_POOL_CLASSES];
    uint32_t magazine_capacity[FAI_POOL_CLASSES];
    bool bin_closed[FAI_BIN_COUNT];         /* sizes that take no fast path */
    bool traced;                            /* nor does any other: somebody listens */
    uint32_t bin_heap_count[FAI_BIN_COUNT]; /* their live heap blocks; atomic, raised under it */
    uint8_t class_of_bin[FAI_BIN_COUNT];    /* FAI_NO_CLASS above the last class */
    size_t bytes_max;                       /* the last class */
    fai_segment *segments;                  /* all */
    fai_segment *segment_hint;              /* one with a free slab, most likely */
    fai_segment_table *table;               /* atomic: written under the lock, read without */
    size_t table_used;                      /* entries that are not empty */
    size_t segment_count;
    size_t segment_empty_count;
    size_t slab_count;
    uint64_t adopted_count;
} fai_pools;
#define FAI_NO_CLASS 0xFF

typedef struct fai_heap_entry fai_heap_entry;

/* The table of live heap blocks. Guarded by its own lock. */
typedef struct fai_heap {
    pthread_mutex_t lock;
    fai_span table_span;
    fai_heap_entry *table; /* open addressing, linear, capacity a power of two */
    size_t table_capacity;
    size_t live_count;
    size_t live_bytes;
    size_t bytes_peak;
    uint64_t alloc_count;
    uint64_t free_count;
} fai_heap;

struct fa_allocator {
    fa_alloc_config config;
    char name[FA_NAME_BYTES];
    char spec[FAI_SPEC_BYTES];
    fai_span self;
    fai_spans spans;
    uint32_t checks;         /* fa_check bits in force */
    bool watched;            /* somebody must see each allocation: the fast paths stay closed */
    bool bits_shared;        /* any thread may put objects into slabs that have an owner */
    uint32_t ending_all;     /* the frames of all threads are being ended; atomic */
    bool frames_look_closer; /* each begin and end takes its slow path */
    uint32_t references;     /* atomic */
    pthread_mutex_t lock;    /* threads, pools; the order is registry, owned, this, heap, store */
    fai_thread *threads;     /* attached */
    fai_chunk *chunks;       /* of all arenas of frames */
    fai_thread *idle;        /* states to be used again; never given back before destroy */
    fai_thread *frozen;      /* of threads that did not survive a fork */
    size_t thread_count;
    uint64_t attach_count;
    size_t thread_bytes; /* size of a state with its magazines */
    fai_pools pools;
    fai_heap heap;
    fai_store store;
    fai_reserve reserve;
    fai_tags tags;
    fai_account account; /* of everything: the root */
    fai_budgets budgets;
    fai_owned_list owned;
    fai_events events;
    struct fai_transfers *transfers; /* the registry, from the first one on; atomic */
    fai_roster scratch_pools, groups, own_arenas, shared_arenas, tasks;
    fai_owned task_latches, tasks_left; /* see task.c */
    size_t captured_in_heap;            /* heap blocks that tasks captured; atomic */
    fai_retention *retention; /* one of the owned; NULL: nothing was retained yet; atomic */
    uint64_t diag_count[FA_DIAG_COUNT]; /* atomic */
    /* Frame numbers of threads that are gone; guarded by lock. */
    uint64_t frame_count, frame_alloc_count, frame_bytes;
    fa_deferred_stats deferred_gone; /* of threads that are gone; guarded by lock */
    /* Rare events of frames, by any thread; atomic, but for the site, guarded by lock. */
    size_t frame_bytes_peak, frame_overflow_size;
    uint64_t frame_overflow_count, frame_full_count, frame_spill_count;
    fa_site frame_overflow_site;
    fai_thread *trimmed; /* idle states that a thread is giving memory of back; guarded by lock */
    fa_allocator *next, *prev; /* all live allocators, guarded by the registry's lock */
};

static inline void fai_lock(fa_allocator *allocator) { pthread_mutex_lock(&allocator->lock); }
static inline void fai_unlock(fa_allocator *allocator) { pthread_mutex_unlock(&allocator->lock); }

/* Around what the owner of slabs does to their bitmaps and lists, which are his alone in most
 * allocators. */
static inline void fai_bits_lock(fa_allocator *allocator) {
    if (FA_UNLIKELY(allocator->bits_shared))
        fai_lock(allocator);
}
static inline void fai_bits_unlock(fa_allocator *allocator) {
    if (FA_UNLIKELY(allocator->bits_shared))
        fai_unlock(allocator);
}

/* Raises *maximum to value; any thread. */
static inline void fai_raise(size_t *maximum, size_t value) {
    size_t seen = FAI_LOAD_RELAXED(maximum);
    while (value > seen && !FAI_CAS_RELAXED(maximum, &seen, value)) {
    }
}

/* The place noted by the call in progress; forgotten once taken. */
static inline fa_site fai_take_site(void) {
    fa_site none = {NULL, NULL, 0};
    const fa_site *site = fai_slot.site;
    fai_slot.site = NULL;
    return site ? *site : none;
}

/* Makes an error that was read before the calling thread's last one again. */
void fai_error_restore(fa_error error);

/* Records an error of the calling thread; fails without reporting. Returns status. */
FA_COLD fa_status fai_fail(fa_status status, size_t size);

/* Reports a diagnostic: records it as the thread's last error, counts it, calls the hook (no lock
 * may be held), and aborts where severity and strictness say so. Returns status. */
FA_COLD fa_status fai_report(fa_allocator *allocator, fa_diag diag, fa_status status, size_t size,
                             size_t limit, const void *address);
/* The same, blaming another place than the call in progress. */
FA_COLD fa_status fai_report_at(fa_allocator *allocator, fa_diag diag, fa_status status,
                                size_t size, size_t limit, const void *address, fa_site site);

/* The same about something with a name. */
FA_COLD fa_status fai_report_about(fa_allocator *allocator, fa_diag diag, fa_status status,
                                   size_t size, size_t limit, const void *address,
                                   const char *name);

/* Keeps what the calling thread reports from the hook, and from listeners, as under locks it must;
 * it is counted all the same. Returns what it was before. */
bool fai_hush(bool hushed);
bool fai_is_hushed(void);

/* From now on the calling thread only tries: where memory can't be had at once, within all limits,
 * the call fails, and nobody is told, asked or made to give something back. For what would be
 * better than what is needed. Returns what it was before. */
bool fai_quiet(bool quiet);
bool fai_is_quiet(void);

/* Reports why a span could not be had (FA301, FA701, FA702). */
FA_COLD fa_status fai_report_span(fa_allocator *allocator, fa_status status, size_t size);

/* Gives back what the shared caches hold without need: freed heap memory, empty regions and
 * segments. Returns the bytes. No lock may be held. */
size_t fai_allocator_reclaim(fa_allocator *allocator);

/* Takes a span; where there is none, all is tried that reserve.h names. Reports FA703 to FA705, but
 * no refusal. No lock may be held. */
fa_status fai_allocator_span_quiet(fa_allocator *allocator, size_t size, size_t align,
                                   fa_span_kind kind, fai_span *span);

/* The same where nothing is tried: what a backend gives at once. */
fa_status fai_allocator_span_at_hand(fa_allocator *allocator, size_t size, size_t align,
                                     fa_span_kind kind, fai_span *span);

/* Takes a span and reports a refusal. No lock may be held. */
fa_status fai_allocator_span(fa_allocator *allocator, size_t size, size_t align, fa_span_kind kind,
                             fai_span *span);

#endif
