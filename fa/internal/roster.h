/* What programs hold by handle and find in lists by name: scratch pools, groups, owned arenas,
 * shared arenas and tasks. A handle is the address of a record and a serial; the record stays where
 * it is until the allocator dies, and gets another serial whenever it is used for something else,
 * so that an old handle is found out. */
#ifndef FAI_ROSTER_H
#define FAI_ROSTER_H

#include "fa/config.h"
#include "fa/internal/bump.h"
#include "fa/internal/owned.h"

/* Stands at the start of each record. */
typedef struct fai_named {
    fai_bump bump;            /* must be first; its serial is 0 while the record is free */
    struct fai_named *next;   /* of the free ones */
    char name[FA_NAME_BYTES]; /* guarded by the lock */
} fai_named;

typedef struct fai_roster_block fai_roster_block;

typedef struct fai_roster {
    fai_owned owned; /* must be first */
    pthread_mutex_t lock;
    size_t record_bytes, cleared_bytes;
    fai_roster_block *blocks; /* newest first; atomic, blocks never go */
    fai_named *free;
    uint64_t serial;      /* the last one given; guarded by the lock */
    uint64_t serial_step; /* between two; a power of two, what is below it stays */
} fai_roster;

/* No serial has this bit: it is for who makes handles of two kinds. */
#define FAI_SERIAL_FREE_BIT ((uint64_t)1 << 63)

/* record_bytes: of a structure that begins with fai_named; what lies behind its first cleared_bytes
 * is zero once, and stays when a record is used again. False without memory for a lock. Serials are
 * 1, 2, 3 if nobody sets another step before there is a record. */
bool fai_roster_create(fa_allocator *allocator, fai_roster *roster, size_t record_bytes,
                       size_t cleared_bytes);

/* A record that nobody else has, with serial 0, behind its bump all zero; NULL with the reason
 * reported. No lock may be held. */
fai_named *fai_roster_take(fa_allocator *allocator, fai_roster *roster);

/* Puts it back; its memory has been released. */
void fai_roster_give(fai_roster *roster, fai_named *named);

/* name: cut when it is too long; NULL: "". */
void fai_named_call(fai_named *named, const char *name);

/* Makes it one that handles with the serial that is returned may use. Open: under the lock; add
 * takes it. */
uint64_t fai_roster_open(fai_roster *roster, fai_named *named, const char *name);
uint64_t fai_roster_add(fai_roster *roster, fai_named *named, const char *name);

/* Makes all handles with this serial old ones. True for one caller alone. Under the lock, so that
 * whoever finds a record under it has its serial, never 0; remove takes the lock. */
bool fai_roster_close(fai_named *named, uint64_t serial);
bool fai_roster_remove(fai_roster *roster, fai_named *named, uint64_t serial);

/* The live one with this name, or NULL. Under the lock. */
fai_named *fai_roster_find(const fai_roster *roster, const char *name);

/* How far somebody has come who looks at all records. All zero: at the first. */
typedef struct fai_roster_walk {
    const fai_roster_block *block;
    size_t index;
} fai_roster_walk;

/* The next record, NULL at the end; those that come meanwhile may be left out. O(1). */
fai_named *fai_roster_next(const fai_roster *roster, fai_roster_walk *walk);

/* Records that have a serial; 0 for NULL. Any thread; O(records). */
size_t fai_roster_count(const fai_roster *roster);

/* ---- numbers ---- */

/* What the records of a roster are. */
typedef struct fai_named_kind {
    size_t roster; /* where an allocator has it */
    size_t stats_bytes;
    /* Writes the numbers into stats, which begin with the name and are zero behind it. Under the
     * lock. */
    void (*fill)(const fai_named *named, void *stats);
} fai_named_kind;

/* fa_x_stats_get: what the handle names has it with any turn below the step of serials. */
fa_status fai_named_read(const fai_named_kind *kind, const fai_bump_head *head, uint64_t serial,
                         void *stats);

/* How far a visitor has come. All zero: nobody was visited. */
typedef struct fai_roster_visit {
    fai_roster_walk walk;
    fai_bump_head *head; /* of the handle to visit with */
    uint64_t serial;
    size_t count; /* visited, this one too */
} fai_roster_visit;

/* fa_x_visit: goes on to the next record that is open and reads its numbers; no lock is held when
 * it returns. False: there is none, or allocator is NULL, which is reported. */
bool fai_roster_visit_next(const fai_named_kind *kind, fa_allocator *allocator,
                           fai_roster_visit *at, void *stats);

/* ---- memory ---- */

/* The memory that a handle names; NULL with the reason reported. size: what was asked for. */
fai_bump *fai_named_check(fai_bump_head *head, uint64_t serial, size_t size);

/* The same, with the calling thread inside until fai_bump_leave. */
fai_bump *fai_named_enter(fai_bump_head *head, uint64_t serial, size_t size, bool *entered);

/* Allocations, all checks included. */
void *fai_named_take(fai_bump_head *head, uint64_t serial, size_t size, size_t align);
void *fai_named_array(fai_bump_head *head, uint64_t serial, size_t count, size_t size,
                      size_t align);
void *fai_named_zeroed(fai_bump_head *head, uint64_t serial, size_t count, size_t size,
                       size_t align);
void *fai_named_copy(fai_bump_head *head, uint64_t serial, const void *source, size_t size);

static inline bool fai_named_is_open(const fai_bump_head *head, uint64_t serial) {
    return head != NULL && serial != 0 && FAI_LOAD_RELAXED(&head->serial) == serial;
}

/* Whether a record can be looked into: not where a thread was that did not survive a fork. */
static inline bool fai_named_is_whole(const fai_named *named) {
    return FAI_LOAD_RELAXED(&named->bump.base) != 0;
}

#endif
