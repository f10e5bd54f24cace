/* Accounts: how many bytes somebody holds, by intent, with everybody below him; and what limits
 * them. The root is the whole allocator's, each tag has one below its parent's; each thread has one
 * by itself.
 *
 * Usage is always counted, with or without a limit, so that a budget that is set later starts from
 * what is really in use. While there is none in the allocator a charge is two plain additions for
 * each account up to the root. Frame memory alone is charged only where a budget asks for it
 * (meter.h): it is gone with its frame. */
#ifndef FAI_ACCOUNT_H
#define FAI_ACCOUNT_H

#include "fa/allocator.h"
#include "fa/budget.h"
#include "fa/internal/atomic.h"
#include "fa/internal/span.h"

/* What was set as a budget. Written under the allocator's lock; what is marked atomic is read
 * without. */
typedef struct fai_rule {
    size_t limit;      /* most that a charge may reach; 0: none; atomic */
    size_t soft_bytes; /* 0: none; atomic */
    size_t hard_bytes; /* 0: none; atomic */
    uint32_t policy;   /* fa_budget_policy; atomic */
    bool peaks;        /* reports new ones; atomic */
    bool meters;       /* frame memory is to be charged; atomic */
    bool above_soft;   /* usage is, and it was reported; atomic */
    bool above_hard;   /* likewise; atomic */
    fa_tag tag;        /* whose it is; FA_TAG_NONE: a thread's */
    fa_intent intent;
    fa_budget_ask_fn *ask;
    void *user;
    size_t peak_reported;                                  /* atomic */
    uint64_t refused_count, allowed_count, promoted_count; /* atomic */
} fai_rule;

/* Invariant with a limit: used <= limit at every instant, or no charge since the limit was set. */
typedef struct fai_ledger {
    size_t used;    /* atomic */
    size_t pending; /* charged, but not had and perhaps never: no peak and no news; atomic */
    size_t peak;    /* most that was had at once; atomic */
    fai_rule *rule; /* atomic; NULL while no budget was ever set, never goes away again */
} fai_ledger;

/* Zeroed memory with a parent is a new account. An account must outlive what is charged to it. */
typedef struct fai_account {
    struct fai_account *parent; /* NULL: the root, or a thread's */
    fai_ledger ledger[4];       /* by fa_intent; FA_INTENT_NONE: the sum of the others */
} fai_account;

struct fai_thread;

typedef enum fai_charge {
    FAI_CHARGE_OK,
    FAI_CHARGE_REFUSED, /* reported */
    FAI_CHARGE_PROMOTE  /* the next intent is to serve instead: frame, pool, heap */
} fai_charge;

/* Who is charged for a block: an account with all above it, and one beside those. */
typedef struct fai_payer {
    fai_account *account;
    fai_account *beside; /* that of the thread, for frame and pool memory; or NULL */
} fai_payer;

/* Charges bytes before the memory is taken: to all ledgers of the payer or to none, and nothing
 * stays charged while anybody is asked.
 * intent: not FA_INTENT_NONE. No lock may be held: events are reported and callbacks called, which
 * may allocate, free and query; and what the calling thread keeps ready of pool objects and granted
 * frame memory is given back before a full budget decides, where that counts it. The peak is not
 * noted yet: see fai_account_note. */
fai_charge fai_account_charge(fa_allocator *allocator, fai_payer payer, fa_intent intent,
                              size_t bytes);

/* The same as far as no limit refuses it: else false, with nothing reported, nobody asked and
 * nothing given back. Under locks too. */
bool fai_account_charge_quiet(fa_allocator *allocator, fai_payer payer, fa_intent intent,
                              size_t bytes);

/* Charges up to count units of so many bytes, as many as fai_account_calm says and no budget would
 * report as a peak: for those who take some in advance. Returns how many were charged; when it is
 * none, ask for the one that is needed with fai_account_charge. Otherwise as
 * fai_account_charge_quiet. */
size_t fai_account_charge_some(fa_allocator *allocator, fai_payer payer, fa_intent intent,
                               size_t bytes, size_t count);

/* Once the memory of a charge is held: notes the peak, reports what budgets are to report. Before
 * that it may be taken back without a trace. No lock may be held: calls the event hook. */
void fai_account_note(fa_allocator *allocator, fai_payer payer, fa_intent intent);

/* Charged memory that the calling thread is about to take; lies on its stack. */
typedef struct fai_pending {
    struct fai_pending *outer; /* that of a request inside of which this one came up */
    fai_payer payer;
    fa_intent intent;
    size_t bytes;
    bool is_counted;
} fai_pending;

/* Around the taking of memory that was charged: from a charge on, and until just before its note,
 * or just after it was taken back. While reclaimers and hooks work for it they, and others, see
 * neither peaks nor news of what may never be had. */
void fai_pending_begin(fai_pending *pending, fai_payer payer, fa_intent intent, size_t bytes);
void fai_pending_end(fai_pending *pending);

/* The memory that the calling thread is taking was refused once: now it is known to be missing. */
void fai_pending_refused(void);

/* Charges whatever the limits say: for memory that exists already and changes hands. Reports
 * nothing: under locks too. */
void fai_account_add(fai_payer payer, fa_intent intent, size_t bytes);

/* Takes back what was charged, when the memory goes back. It sees the peak if nobody else has: each
 * one ends with a discharge. Any thread, under locks too. */
void fai_account_discharge(fai_payer payer, fa_intent intent, size_t bytes);

/* The same where the memory was never had. */
void fai_account_take_back(fai_payer payer, fa_intent intent, size_t bytes);

/* What limits leave: SIZE_MAX without one. By the time it is used others may have been faster. */
size_t fai_account_room(fai_payer payer, fa_intent intent);

/* What may be charged in advance: nothing is reported or decided because of memory that nobody uses
 * yet, so no soft limit is passed, and no hard one, whatever its policy. */
size_t fai_account_calm(fai_payer payer, fa_intent intent);

/* Whether one of the limits may let more pass, or send it elsewhere, when it is asked. */
bool fai_account_may_exceed(fai_payer payer, fa_intent intent);

/* Whether a budget of the account or one above it asks for frame memory to be charged. */
bool fai_account_meters(const fai_account *account);

static inline size_t fai_account_used(const fai_account *account, fa_intent intent) {
    return FAI_LOAD_RELAXED(&account->ledger[intent].used);
}
static inline size_t fai_account_peak(const fai_account *account, fa_intent intent) {
    return FAI_LOAD_RELAXED(&account->ledger[intent].peak);
}

/* ---- budget.c ---- */

#define FAI_RULE_BLOCK 16
typedef struct fai_rule_block {
    struct fai_rule_block *next;
    fai_rule rule[FAI_RULE_BLOCK];
    fai_span span;
} fai_rule_block;

/* A callback that answers a thread; lies on its stack. */
typedef struct fai_asking {
    struct fai_asking *next;
    struct fai_asking *outer; /* that called this one, on the same thread */
    fa_allocator *allocator;
    const fai_rule *rule;
    fa_budget_ask_fn *function;
    void *user;
    uint32_t waiting; /* its thread waits for another callback; atomic */
} fai_asking;

/* What an allocator knows of its budgets. Guarded by its lock but where it says so. */
typedef struct fai_budgets {
    bool any;          /* atomic; one was set at some time: usage is to be compared */
    uint32_t meters;   /* atomic; rules that ask for frame memory to be charged */
    size_t rule_count; /* in use, of the newest block */
    fai_rule_block *blocks;
    fai_asking *asking;          /* callbacks under way */
    fa_budget thread_default[2]; /* for frame and pool memory of threads that attach later */
} fai_budgets;

/* A thread's account and its rules, for frame and pool memory. */
typedef struct fai_thread_budget {
    fai_account account;
    fai_rule rule[2];
} fai_thread_budget;

/* When a thread attaches and detaches. Under the allocator's lock. */
void fai_budget_attach(struct fai_thread *thread);
void fai_budget_detach(struct fai_thread *thread);
void fai_budgets_destroy(fa_allocator *allocator);

/* account.c: waits until nobody asks what a rule said before, but not inside of a callback. Under
 * the lock, which it leaves meanwhile. */
void fai_budget_await(fa_allocator *allocator, const fai_asking *old);
/* In the child of a fork, where only this thread is left. */
void fai_budget_fork_child(fa_allocator *allocator);

#endif
