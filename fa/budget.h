/* Budgets: limits on what the whole allocator, a tag or a thread may hold, by intent or in total.
 *
 * A budget has a soft limit, which is reported when usage passes it (FA303), and a hard one, past
 * which its policy decides. A block counts in the budgets of its tag, of all tags above that up to
 * the root, which is the whole allocator, and, for frame and pool memory, in those of its thread;
 * it is charged to all of them before its memory is taken, or to none. So usage never passes a hard
 * limit that refuses, at no instant and with any number of threads; and nothing is kept from others
 * while a callback decides.
 *
 * What counts:
 * - heap memory: the bytes asked for, from allocation to free; while a block is resized, the larger
 *   of both sizes, also where it has to move.
 * - pool memory: the class sizes of the objects that are not in their slabs: live ones, and those
 *   that threads keep ready. Near a limit a thread takes no more in advance than is left, and gives
 *   back what it keeps before it is refused; so one thread alone can use every byte. Charged to the
 *   thread that owns the slab, until the object is back there, whoever frees it.
 * - frame memory: what the cursor moved, until its frame ends or is rewound. It is counted only
 *   where a budget asks for it: one on frame memory or on the total, of the thread, of its tag or
 *   of one above that; for each thread from its next begin of a frame on, or sooner. While it is, a
 *   thread is charged up to 16 KiB in advance, at most a sixteenth of what is left, and gives back
 *   what it did not use when the frame ends and when it changes its tag. What checks and sanitizers
 *   add to a block counts as well. With frames in flight a frame counts until its end.
 *
 * What is taken in advance passes neither a soft limit nor a hard one, of whatever policy: the
 * block that is reported, or let pass, is one that was asked for. Past a hard limit each block is
 * charged by itself.
 *
 * A limit that is set below what is in use refuses all growth until there is room again. Without
 * budgets usage of pools and heap is counted all the same, so that one that is set later starts
 * from what is in use. A budget that is set but not reached costs nothing per frame or pool
 * allocation; frames begin and end, marks are set and tags change in more instructions than without
 * budgets on frame memory. In the child of a fork what the threads that are gone held stays
 * charged. */
#ifndef FA_BUDGET_H
#define FA_BUDGET_H

#include "fa/tag.h"

FA_EXTERN_C_BEGIN

/* What happens past hard_bytes. */
typedef enum fa_budget_policy {
    /* The allocation fails: FA_ERROR_LIMIT, FA302. */
    FA_BUDGET_FAIL,
    /* It is served and counted; FA302 each time that usage passes the limit. */
    FA_BUDGET_WARN,
    /* It is served and counted. */
    FA_BUDGET_ALLOW,
    /* The next intent serves instead, within its own budgets: for frame memory the pool, for the
     * pool the heap; reported (FA302). What serves refuses as for a request of its own: a frame
     * block goes on to the heap when the pool has no class for it or is told to promote too, and
     * fails where a budget on pools says so. A promoted frame block is freed by itself when its
     * frame ends or is rewound to a mark before it; fa_intent_of tells where it lies. A promoted
     * pool object is freed by fa_pool_free as always. For budgets on frame and pool memory. */
    FA_BUDGET_PROMOTE,
    /* ask decides. */
    FA_BUDGET_ASK
} fa_budget_policy;

/* What ask answers. */
typedef enum fa_budget_answer {
    FA_BUDGET_ANSWER_FAIL,
    FA_BUDGET_ANSWER_ALLOW,  /* serve it, past the limit */
    FA_BUDGET_ANSWER_RETRY,  /* something was freed: look again; FA_BUDGET_RETRY_MAX times, then it
                              * fails */
    FA_BUDGET_ANSWER_PROMOTE /* as the policy; heap memory and totals fail */
} fa_budget_answer;
#define FA_BUDGET_RETRY_MAX 8

/* An allocation that does not fit into a budget. */
typedef struct fa_budget_request {
    fa_allocator *allocator;
    fa_tag tag;              /* whose budget it is; FA_TAG_NONE: the calling thread's */
    fa_intent budget_intent; /* what the budget is on; FA_INTENT_NONE: the total */
    fa_intent intent;        /* what is to be allocated */
    size_t size;             /* bytes to be charged */
    size_t used;             /* in the budget now, without them */
    size_t hard_bytes;
    unsigned retry_count; /* answers FA_BUDGET_ANSWER_RETRY so far, of all budgets asked */
} fa_budget_request;

/* Decides about one allocation. Called on the allocating thread with no lock held: it may free,
 * allocate, query and set budgets; what it allocates itself from the same allocator is refused
 * where it would be asked. It must not begin, end or rewind a frame of this thread, detach it, or
 * destroy the allocator. */
typedef fa_budget_answer fa_budget_ask_fn(void *user, const fa_budget_request *request);

/* One budget. All zero: no limit. */
typedef struct fa_budget {
    size_t soft_bytes; /* 0: none */
    size_t hard_bytes; /* 0: none */
    fa_budget_policy policy;
    fa_budget_ask_fn *ask; /* not NULL exactly with FA_BUDGET_ASK */
    void *user;            /* its first argument */
    /* Reports a new peak (FA304) whenever it exceeds the last one reported by an eighth. No pool
     * object is charged in advance beyond that; of frame memory what is granted counts. */
    bool report_peaks;
} fa_budget;

/* What a budget says, with or without limits. */
typedef struct fa_budget_usage {
    size_t used;             /* now, charged in advance included; see above for frame memory */
    size_t peak;             /* most of it at once */
    size_t remaining;        /* below hard_bytes; SIZE_MAX without one */
    size_t soft_bytes;       /* as set, 0: none */
    size_t hard_bytes;       /* likewise */
    uint64_t refused_count;  /* allocations that failed at it */
    uint64_t allowed_count;  /* that were served past hard_bytes */
    uint64_t promoted_count; /* that were left to the next intent */
} fa_budget_usage;

/* Sets the budget of the whole allocator: that of FA_TAG_ROOT.
 * intent: which memory; FA_INTENT_NONE: the sum of all. budget: copied; NULL takes it away. When it
 * returns, what others had under way is counted, or is refused; and an ask or user that is replaced
 * is no longer in use: it waits for that, but not when it is called by an ask itself.
 * Usage, peak and counts go on. Returns FA_ERROR_INVALID (NULL, bad intent or policy, ask where
 * there is no use for it or none where there is, FA_BUDGET_PROMOTE on heap memory or a total), or
 * why there is no memory for it (FA301, FA701, FA702). Any thread, locks. */
FA_API fa_status fa_budget_set(fa_allocator *allocator, fa_intent intent, const fa_budget *budget);

/* The same for what is allocated in a tag and those below it. FA_ERROR_INVALID also when there is
 * no such tag. */
FA_API fa_status fa_budget_set_tag(fa_allocator *allocator, fa_tag tag, fa_intent intent,
                                   const fa_budget *budget);

/* The same for the calling thread, until it detaches; attaches it when it is new. intent:
 * FA_INTENT_FRAME or FA_INTENT_POOL, else FA_ERROR_INVALID. */
FA_API fa_status fa_budget_set_thread(fa_allocator *allocator, fa_intent intent,
                                      const fa_budget *budget);

/* The same for each thread that attaches from now on: each gets a budget of its own. Threads that
 * are attached keep theirs. */
FA_API fa_status fa_budget_set_thread_default(fa_allocator *allocator, fa_intent intent,
                                              const fa_budget *budget);

/* Reads the budget of the whole allocator, of a tag, of the calling thread. usage: filled; zeroed
 * when the call fails.
 * Returns FA_ERROR_INVALID as above; for a thread also when it is not attached. Any thread, no
 * lock: each number is exact, but others may change between two of them. */
FA_API fa_status fa_budget_get(fa_allocator *allocator, fa_intent intent, fa_budget_usage *usage);
FA_API fa_status fa_budget_get_tag(fa_allocator *allocator, fa_tag tag, fa_intent intent,
                                   fa_budget_usage *usage);
FA_API fa_status fa_budget_get_thread(fa_allocator *allocator, fa_intent intent,
                                      fa_budget_usage *usage);

/* Bytes that the calling thread may still be charged for memory of an intent in the tag that it is
 * in, by all budgets that this memory counts in; SIZE_MAX without a limit. What the thread has been
 * charged in advance comes on top. 0 for NULL and FA_INTENT_NONE (FA_ERROR_INVALID). No lock. */
FA_API size_t fa_budget_remaining(fa_allocator *allocator, fa_intent intent);

FA_EXTERN_C_END

#endif
