/* The tree of tags, shared by all threads: made under the allocator's lock, read without, never
 * removed. A parent has a smaller number than its children. */
#ifndef FAI_TAG_H
#define FAI_TAG_H

#include "fa/config.h"
#include "fa/internal/account.h"
#include "fa/internal/atomic.h"
#include "fa/tag.h"

typedef struct fai_slab fai_slab;

#define FAI_POOL_CLASSES (2 * FA_POOL_CLASS_COUNT_MAX)
#define FAI_TAG_BLOCK 16 /* tags whose book-keeping lies together */
#define FAI_TAG_BLOCKS (FA_TAG_COUNT_MAX / FAI_TAG_BLOCK)

/* What one thread, or all of them, did with pool objects. A thread's live bytes may be negative, it
 * may free what others allocated; the sum over all is exact. */
typedef struct fai_pool_counts {
    uint64_t alloc_count;
    uint64_t free_count; /* into its own magazines */
    uint64_t live_bytes; /* modulo 2^64 */
} fai_pool_counts;

typedef struct fai_tag {
    fai_account account; /* not the root's: that is the allocator's */
    uint32_t parent;
    uint32_t hash;           /* of the name */
    uint32_t child, sibling; /* the newest child, the next older sibling; 0: none; atomic */
    char name[FA_TAG_NAME_BYTES];

    uint64_t remote_count; /* atomic: frees by threads that do not own the slab... */
    uint64_t remote_bytes; /* ...and their bytes */
    /* Guarded by the allocator's lock. */
    fai_slab *abandoned[FAI_POOL_CLASSES];   /* owner exited, with free objects */
    fai_pool_counts retired;                 /* of threads that are gone */
    uint64_t frame_bytes, frame_alloc_count; /* of threads that are gone */
    size_t frame_bytes_peak;                 /* with what is below; likewise */
    /* Guarded by the heap's lock. */
    uint64_t heap_alloc_count, heap_free_count;
} fai_tag;

typedef struct fai_tag_block {
    fai_tag tag[FAI_TAG_BLOCK];
    fai_span span;
} fai_tag_block;

typedef struct fai_tags {
    uint32_t count;                       /* atomic: those below it are whole */
    fai_tag_block *block[FAI_TAG_BLOCKS]; /* atomic */
    fai_tag_block first;
} fai_tags;

void fai_tags_create(fa_allocator *allocator);
void fai_tags_destroy(fa_allocator *allocator);

/* Book-keeping of a tag, which exists. */
fai_tag *fai_tag_at(fa_allocator *allocator, uint32_t tag);

/* Its account: of all memory, for the root. */
fai_account *fai_tag_account(fa_allocator *allocator, uint32_t tag);

/* The tag that the calling thread is in; 0 when it is not attached. It changes nothing, and takes
 * no lock but for a thread that is in a tag of another allocator than the one that it used last.
 * No lock may be held. */
uint32_t fai_tag_now(fa_allocator *allocator);

/* The tag of a path below parent; made where make says so. FA_TAG_NONE: there is none, or,
 * reported, it can't be made. */
fa_tag fai_tag_walk(fa_allocator *allocator, uint32_t parent, const char *path, bool make);

/* Whether tag is ancestor or lies below it. */
bool fai_tag_is_below(fa_allocator *allocator, uint32_t tag, uint32_t ancestor);

/* What was done with pool objects of a tag and those below it; of all threads, frees by other
 * threads than the owner included. Returns how many these were. Under the lock. */
uint64_t fai_tag_count_pools(fa_allocator *allocator, uint32_t tag, fai_pool_counts *counts);

#endif
