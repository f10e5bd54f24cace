/* What a thread knows of the tags that it entered. */
#ifndef FAI_TALLY_H
#define FAI_TALLY_H

#include "fa/internal/pool.h"

/* One tag on one thread. Numbers are written by the owner, read by anybody. */
typedef struct fai_tally {
    fai_pool_view *view; /* the pool's, or fai_pool_closed; NULL: not in use; atomic */
    fai_pool *pool; /* NULL until a user of the state allocates a pool object in the tag; in use
                     * when the view is its */
    struct fai_tally *parent; /* the untagged have themselves */
    uint32_t tag;
    bool is_touched;           /* on the list of those with frame memory in the open frame... */
    bool is_summed;            /* ...and of those that have such below them, while a frame ends */
    struct fai_tally *touched; /* the next on the one list... */
    struct fai_tally *summed;  /* ...and on the other */
    size_t bytes, subtree_bytes;
    uint64_t alloc_count;                      /* in the open frame */
    uint64_t bytes_total, alloc_count_total;   /* in frames that ended */
    size_t bytes_peak, bytes_last, last_frame; /* with what is below; last_frame counts from 1 */
    char padding[16]; /* a size that addresses are computed from by one shift */
} fai_tally;
_Static_assert((sizeof(fai_tally) & (sizeof(fai_tally) - 1)) == 0, "see padding");

typedef struct fai_tally_block {
    fai_tally tally[FAI_TAG_BLOCK];
    fai_span span;
} fai_tally_block;

/* Frame memory that went to a tally, from `from` bytes on to where the next turn starts. Kept from
 * the first mark of a frame on, so that a rewind can take back what each got. */
typedef struct fai_turn {
    fai_tally *tally;
    size_t from;
} fai_turn;
/* Room for what the leaves of all tags that are entered may add. */
#define FAI_TURNS_OWN (FA_TAG_DEPTH_MAX + 2)

/* A thread's tags. Starts a cache line; what enter and leave load and store begins 16 bytes after
 * that, so that it never has the low 12 bits of an address in common with head and view of the
 * thread's slot, which they store and load too: processors take such a load to depend on the
 * store. */
typedef struct fai_tallies {
    fai_tally *touched;
    fai_turn *turn;
    fai_tally **top;   /* in stack: that of the tag that the thread is in */
    fai_tally **limit; /* top where enter must look closer; like all limits, the only test */
    /* At the last switch: where the frame's cursor stood, NULL when that says nothing; how many
     * allocations there were; and what the frame held, 0 when it begins. */
    char *cursor;
    uint64_t alloc_count;
    size_t used;
    size_t turn_count, turn_capacity;
    fai_span turn_span;                     /* address NULL: turn is own */
    fai_tally *stack[FA_TAG_DEPTH_MAX + 1]; /* the untagged, then those that were entered */
    fai_tally_block *block[FAI_TAG_BLOCKS]; /* fai_tally_none where there is none; atomic */
    fai_tally untagged;                     /* its frame numbers mean nothing */
    fai_turn own[FAI_TURNS_OWN];
} fai_tallies;

extern fai_tally_block fai_tally_none; /* nothing in it is in use: never written */

static inline fai_tally *fai_tally_now(const fai_tallies *tallies) { return *tallies->top; }
static inline size_t fai_tally_depth(const fai_tallies *tallies) {
    return (size_t)(tallies->top - tallies->stack);
}

void fai_tally_attach(fai_thread *thread);
void fai_tally_detach(fai_thread *thread); /* under the allocator's lock */
void fai_tally_free(fai_thread *thread);   /* what was made beside the thread's state */

/* The frame ends, with so many bytes: while it is still open. */
void fai_tally_frame_end(fai_thread *thread, size_t used);

/* The frame was rewound to so many bytes. */
void fai_tally_rewound(fai_thread *thread, size_t used);

#endif
