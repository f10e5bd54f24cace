/* Tasks as other parts see them, and the objects that they capture. */
#ifndef FAI_TASK_H
#define FAI_TASK_H

#include "fa/group.h"
#include "fa/internal/latch.h"
#include "fa/internal/slab.h"
#include "fa/task.h"

typedef struct fai_task_record fai_task_record;

/* Stands before its block. One that is captured lies somewhere in an object of a captured slab, or
 * in a captured heap block; any other one begins what the pool served, but for fai_task_finish. */
typedef struct fai_task_block {
    struct fai_task_block *newer, *older;
    fai_task_record *owner; /* NULL once it was freed */
    uint64_t size : 47;     /* as asked for: all that addresses can tell apart */
    uint64_t is_captured : 1;
    uint64_t is_long : 1; /* a fai_task_finish stands before it */
    uint64_t check : 15;  /* of a captured one: see capture.c */
} fai_task_block;
#define FAI_TASK_SIZE_MASK (((uint64_t)1 << 47) - 1)
#define FAI_TASK_CHECK_MASK ((uint64_t)0x7FFF)
#define FAI_TASK_HEADER sizeof(fai_task_block)
_Static_assert(FAI_TASK_HEADER == 32, "as task.h says, and a multiple of FA_ALIGN_MIN");

/* What is called when a block goes. */
typedef struct fai_task_finish {
    fa_destructor_fn *function; /* NULL: it was */
    void *object;
} fai_task_finish;
#define FAI_TASK_LONG_HEADER (FAI_TASK_HEADER + sizeof(fai_task_finish))

/* Whether a task is on the list of what the allocator owns: one whose destructors are to run in the
 * order of that list. */
typedef enum fai_task_joined { FAI_TASK_APART, FAI_TASK_JOINING, FAI_TASK_JOINED } fai_task_joined;

/* What is neither of the roster nor behind the latch is guarded by it while the task is open, and
 * belongs to whoever ends it then. */
struct fai_task_record {
    fai_named named; /* must be first; its memory stays empty */
    fai_owned owned;
    fai_task_block *newest; /* of blocks without a destructor, or whose destructor was called... */
    fai_task_block *newest_with; /* ...and of those with one */
    size_t bytes, bytes_peak, captured_count, destructor_count;
    uint64_t alloc_count;
    uint64_t gone_count;  /* of these, freed by themselves */
    fai_latch latch;      /* this and what follows stays when the task ends, for who comes late */
    uint8_t joined;       /* fai_task_joined; atomic */
    uint16_t spare_count; /* while a thread keeps it (fai_thread): it and those below it */
    uint64_t serial_last; /* that the record had; of whoever has it while no task does */
};

/* Blocks that are alive; under the latch. */
static inline size_t fai_task_live_count(const fai_task_record *record) {
    return (size_t)(record->alloc_count - record->gone_count);
}

/* The registry of tasks; false without memory for a lock. */
bool fai_tasks_create(fa_allocator *allocator);

static inline void fai_task_lock(fai_task_record *record) { fai_latch_lock(&record->latch); }
static inline void fai_task_unlock(fai_task_record *record) { fai_latch_unlock(&record->latch); }

/* What a handle names; NULL with the reason reported. */
static inline const fai_bump *fai_task_named(fa_task task, size_t size) {
    if (FA_LIKELY(fai_named_is_open(task.head, task.serial)))
        return (const fai_bump *)(const void *)task.head;
    return fai_named_check(task.head, task.serial, size);
}

static inline fai_task_record *fai_task_record_of(fa_task task) {
    return (fai_task_record *)(void *)task.head;
}

static inline fa_allocator *fai_task_allocator(const fai_task_record *record) {
    return record->named.bump.allocator;
}

static inline fai_task_finish *fai_task_finish_of(const fai_task_block *at) {
    return at->is_long ? (fai_task_finish *)(uintptr_t)at - 1 : NULL;
}

static inline bool fai_task_has_destructor(const fai_task_block *at) {
    return at->is_long && fai_task_finish_of(at)->function != NULL;
}

static inline void fai_task_push(fai_task_block **list, fai_task_block *at) {
    at->newer = NULL;
    at->older = *list;
    if (at->older != NULL)
        at->older->newer = at;
    *list = at;
}

/* A new block of that size, which only stands in the list so far. */
static inline void fai_task_count_new(fai_task_record *record, size_t size) {
    record->bytes += size;
    if (record->bytes > record->bytes_peak)
        record->bytes_peak = record->bytes;
    record->alloc_count++;
}

/* What the pool served for a block that no task captured. */
static inline void *fai_task_start_of(fai_task_block *at) {
    return at->is_long ? (void *)fai_task_finish_of(at) : (void *)at;
}

/* Puts a block on the task's list, as a new one or one that was taken off, and takes it off; under
 * the latch. */
void fai_task_link(fai_task_record *record, fai_task_block *at, bool is_new);
void fai_task_unlink(fai_task_block *at);

/* A task that gets its first destructor joins what the allocator owns. */
void fai_task_join(fa_task task);

/* Calls a destructor. No lock may be held. */
void fai_task_call(fai_task_finish what);

fa_status fai_task_report_ended(const fai_task_record *record, size_t size);

/* ---- task_block.c ---- */

/* Frees a block that is on no list any more. No lock may be held. */
void fai_task_free_block(fa_allocator *allocator, fai_task_block *at);

/* ---- capture.c ---- */

/* Whether objects of a slab are, or were, captured. */
static inline bool fai_slab_is_captured(const fa_allocator *allocator, const fai_slab *slab) {
    return slab->class_index >= allocator->pools.class_plain;
}

/* Bytes in front of a captured block of that alignment. */
static inline size_t fai_capture_before(size_t align) {
    return align > FAI_TASK_HEADER ? align : FAI_TASK_HEADER;
}

/* Where what the pool served for a captured block begins; NULL: it is none, as far as the address
 * tells. slab: that it lies in, or NULL. */
void *fai_capture_start(fa_allocator *allocator, const fai_slab *slab, const void *block);

/* A pool allocation of a thread that is in a capture; size and align are checked. */
void *fai_capture_alloc(fai_thread *thread, size_t size, size_t align);

/* Usable size of a captured block; 0 for any other. */
size_t fai_capture_usable(fa_allocator *allocator, fai_slab *slab, const void *block);

/* A block that is about to be freed while there are captured ones where it lies: takes it off its
 * task, and gives what is to be freed in its place, with the size of that where one is named. NULL
 * with the reason reported. *task gets its task, none where it was not captured. */
void *fai_capture_out(fa_allocator *allocator, fai_slab *slab, void *block, size_t *size,
                      fa_task *task);

/* It could not be freed. False: its task has ended meanwhile. */
bool fai_capture_back(fa_task task, void *block);

/* Frees a captured block that is on no list any more. No lock may be held. */
void fai_capture_free(fa_allocator *allocator, fai_task_block *at);

#endif
