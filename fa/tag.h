/* Tags: who the memory is for. A thread enters a tag, allocates as always, and leaves it again; the
 * allocator knows then how much of its frame, pool and heap memory belongs to which tag.
 *
 * Tags form a tree and are written as paths: "ai::pathfinding" lies below "ai". A path names the
 * same tag everywhere, on every thread, for the life of the allocator. What a tag holds is part of
 * what its parent holds; FA_TAG_ROOT, the parent of all, holds everything.
 *
 * What decides is the tag that the thread was in when it allocated: freed on another thread, or
 * long after the tag was left, a block is taken from the account that it stands in. A heap block
 * that is resized keeps its tag. Nothing is counted per allocation: frame memory is the difference
 * of the cursor between two switches, pool objects of different tags lie in different slabs, a heap
 * block's tag stands in its entry. So a thread that uses N tags holds slabs and magazines for each
 * of them. An object freed while the thread is in another tag takes a slower path. A frame block
 * grows in place only while the thread has not switched since it was made; else it is copied.
 *
 * A thread's first pool object in a tag asks the backend for the magazines. In an allocator that is
 * to be sealed (fa_backend_seal) allocate one in each tag on each thread that will need it, before;
 * it may be freed at once. Without, such an allocation fails: FA_ERROR_SEALED (FA702).
 *
 * The stack of tags belongs to one thread and one allocator. Tags may stay entered over the end of
 * a frame; a thread that detaches or exits leaves all of them. */
#ifndef FA_TAG_H
#define FA_TAG_H

#include "fa/allocator.h"

FA_EXTERN_C_BEGIN

#define FA_TAG_ROOT ((fa_tag)0)          /* everything; as a thread's tag: untagged */
#define FA_TAG_NONE ((fa_tag)UINT32_MAX) /* no tag: the answer of a call that failed */

/* Tags that every allocator has from the start: "rendering" and so on. */
#define FA_TAG_RENDERING ((fa_tag)1)
#define FA_TAG_PHYSICS ((fa_tag)2)
#define FA_TAG_AUDIO ((fa_tag)3)
#define FA_TAG_SCRIPTING ((fa_tag)4)
#define FA_TAG_ASSETS ((fa_tag)5)
#define FA_TAG_UI ((fa_tag)6)
#define FA_TAG_NETWORKING ((fa_tag)7)
#define FA_TAG_GENERAL ((fa_tag)8)
#define FA_TAG_STANDARD_COUNT 9 /* with the root */

#define FA_TAG_NAME_BYTES 64  /* longest part of a path, with its terminator */
#define FA_TAG_PATH_BYTES 256 /* longest path, with its terminator */
#define FA_TAG_DEPTH_MAX 64   /* tags that one thread can be in at once, one inside of the other */

/* ---- names ---- */

/* The tag of a path, made when there is none yet, with its parents.
 * path: parts joined by "::", each 1 to FA_TAG_NAME_BYTES - 1 bytes without ':' and control
 * characters; at most FA_TAG_PATH_BYTES - 1 bytes. Compared byte by byte; copied.
 * Returns FA_TAG_NONE: FA_ERROR_INVALID (NULL, or not such a path), FA_ERROR_LIMIT (FA402:
 * tag_count_max; or FA301), FA_ERROR_NO_MEMORY (FA701), FA_ERROR_SEALED (FA702); then nothing was
 * made. Any thread; without a lock when the tag exists: O(parts * siblings). */
FA_API fa_tag fa_tag_intern(fa_allocator *allocator, const char *path);

/* The same for a tag that exists; FA_TAG_NONE, without a report, when there is none or the path is
 * bad. Any thread, no lock. */
FA_API fa_tag fa_tag_find(fa_allocator *allocator, const char *path);

/* Writes the path of a tag: "" for the root.
 * Returns its length without terminator, SIZE_MAX when there is no such tag (FA_ERROR_INVALID).
 * Never writes more than text_bytes, always terminated when text_bytes > 0; text may be NULL with
 * text_bytes 0. Any thread, no lock. */
FA_API size_t fa_tag_path(fa_allocator *allocator, fa_tag tag, char *text, size_t text_bytes);

/* The tag that a tag lies directly below; FA_TAG_ROOT for those on top, FA_TAG_NONE for the root,
 * and for what is no tag (FA_ERROR_INVALID). Any thread, no lock. */
FA_API fa_tag fa_tag_parent(fa_allocator *allocator, fa_tag tag);

/* How many tags there are, the root and the standard ones included: tags are the numbers below it.
 * 0 for NULL. Any thread, no lock. */
FA_API size_t fa_tag_count(fa_allocator *allocator);

/* ---- the calling thread's stack ---- */

/* Enters a tag: what the calling thread allocates from here on is accounted to it, and not to the
 * tag that it was in. FA_TAG_ROOT is allowed: untagged for a while.
 * Returns FA_OK; FA_ERROR_INVALID (NULL, or no such tag), FA_ERROR_LIMIT (FA402: FA_TAG_DEPTH_MAX;
 * or a limit on memory or threads), FA_ERROR_NO_MEMORY, FA_ERROR_SEALED: then the thread is in the
 * tag that it was in. O(1) without a lock, but the first time on a thread, which may call the
 * backend; attaches the thread when it is new. */
FA_API fa_status fa_tag_enter(fa_allocator *allocator, fa_tag tag);

/* Enters the tag of that name below the one that the thread is in; a path is allowed too. Makes it
 * when there is none yet. Errors as fa_tag_intern, for the whole path, and fa_tag_enter. */
FA_API fa_status fa_tag_enter_name(fa_allocator *allocator, const char *name);

/* Leaves the tag that was entered last: the thread is back in the one before.
 * Returns FA_OK or FA_ERROR_INVALID (NULL, or FA401: the thread is in none). O(1), no lock. */
FA_API fa_status fa_tag_leave(fa_allocator *allocator);

/* The tag that the calling thread is in; FA_TAG_ROOT when it is in none, and for NULL. */
FA_API fa_tag fa_tag_current(fa_allocator *allocator);

/* ---- numbers ---- */

/* What a tag holds and did, everything below it included.
 *
 * Identities while no other thread is inside of a call: the numbers of FA_TAG_ROOT are those of
 * fa_stats; but for peaks and frame_bytes_last, a tag's are the sum of those of its children and of
 * what was allocated in itself; live == alloc - free.
 * Frame numbers: frame_bytes_total and frame_alloc_count are those of ended frames; rewound bytes
 * are in none of them, allocations that were rewound are. With FA_MINIMAL the counts of frame and
 * pool memory, and what is computed from them, are 0. */
typedef struct fa_tag_stats {
    fa_tag tag;
    size_t frame_bytes;         /* in the calling thread's open frame */
    size_t frame_bytes_last;    /* in its last one; for the root only if a tag was entered in it */
    size_t frame_bytes_peak;    /* most at the end of one frame of one thread; for the root the most
                                 * at any time */
    uint64_t frame_bytes_total; /* in all frames of all threads */
    uint64_t frame_alloc_count;

    uint64_t pool_alloc_count;
    uint64_t pool_free_count;
    uint64_t pool_live_count;
    size_t pool_live_bytes;  /* live objects times the size of their class */
    size_t pool_bytes_ready; /* with those that threads keep ready; what budgets look at */
    size_t pool_bytes_peak;  /* most of these at once */

    uint64_t heap_alloc_count;
    uint64_t heap_free_count;
    uint64_t heap_live_count;
    size_t heap_live_bytes; /* as asked for */
    size_t heap_bytes_peak; /* most of these at once */
} fa_tag_stats;

/* Adds the numbers up. stats: filled; zeroed when the call fails: FA_ERROR_INVALID (NULL, or no
 * such tag). Any thread; O(tags + threads * tags on them * classes), locks. Numbers of other
 * threads may be a few operations old. */
FA_API fa_status fa_tag_stats_get(fa_allocator *allocator, fa_tag tag, fa_tag_stats *stats);

/* The same by path; "" is the root. FA_ERROR_INVALID when there is no such tag. */
FA_API fa_status fa_tag_stats_find(fa_allocator *allocator, const char *path, fa_tag_stats *stats);

/* Calls visit for each tag, parents first, each followed by its children in the order in which they
 * were made. Called with no lock held: the visitor may allocate, free and make tags.
 * Returns how many were visited; 0 for NULL (FA_ERROR_INVALID). Each costs what fa_tag_stats_get
 * does, so that all take O(tags^2) and more: not for every frame when there are hundreds. */
FA_API size_t fa_tag_visit(fa_allocator *allocator,
                           void (*visit)(void *user, const fa_tag_stats *stats), void *user);

/* Writes a table with a line for each tag that was ever used, aligned, parents first: of frame
 * memory the bytes in the calling thread's frame, the peak, and the bytes and allocations of all
 * frames that ended; of pool and heap memory the live bytes, how many blocks that is, and the peak.
 * Returns the length that the whole text has, without its terminator; never writes more than
 * text_bytes, always terminated when text_bytes > 0. text may be NULL with text_bytes 0. The cost
 * is that of two fa_tag_visit, with text or without. */
FA_API size_t fa_tag_format(fa_allocator *allocator, char *text, size_t text_bytes);

/* ---- an allocator and a tag in one value ---- */

/* What is allocated through it is accounted to tag, whatever the calling thread is in. Freed as
 * always: fa_pool_free, fa_heap_free. Two words, to be passed by value. */
typedef struct fa_tagged {
    fa_allocator *allocator;
    fa_tag tag;
} fa_tagged;

/* As fa_frame_alloc and so on, which say what they return; FA_ERROR_INVALID also when tag is none,
 * and the errors of fa_tag_enter. Pool and frame: the cost of enter and leave on top. */
FA_API FA_RETURNS_BLOCK void *fa_tagged_frame_alloc(fa_tagged tagged, size_t size);
FA_API FA_RETURNS_BLOCK void *fa_tagged_frame_alloc_aligned(fa_tagged tagged, size_t size,
                                                            size_t align);
FA_API FA_RETURNS_BLOCK void *fa_tagged_frame_alloc_zeroed(fa_tagged tagged, size_t count,
                                                           size_t size);
FA_API FA_RETURNS_BLOCK void *fa_tagged_pool_alloc(fa_tagged tagged, size_t size);
FA_API FA_RETURNS_BLOCK void *fa_tagged_pool_alloc_aligned(fa_tagged tagged, size_t size,
                                                           size_t align);
FA_API FA_RETURNS_BLOCK void *fa_tagged_pool_alloc_zeroed(fa_tagged tagged, size_t count,
                                                          size_t size);
/* These do not attach the calling thread. */
FA_API FA_RETURNS_BLOCK void *fa_tagged_heap_alloc(fa_tagged tagged, size_t size);
FA_API FA_RETURNS_BLOCK void *fa_tagged_heap_alloc_aligned(fa_tagged tagged, size_t size,
                                                           size_t align);
FA_API FA_RETURNS_BLOCK void *fa_tagged_heap_alloc_zeroed(fa_tagged tagged, size_t count,
                                                          size_t size);

FA_EXTERN_C_END

#include "fa/site.h"

#endif
