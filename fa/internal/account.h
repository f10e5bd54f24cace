/* Accounts: how many bytes somebody holds, by intent, with everybody below him; and what limits
 * them. The root is the whole allocator's, each tag has one below its parent's.
 *
 * Usage is always counted, with or without a limit, so that a budget that is set later starts from
 * what is really in use. Without one a charge is two plain additions for each account up to the
 * root; frame memory alone is charged only where a budget asks for it (it is gone with its frame).
 */
#ifndef FAI_ACCOUNT_H
#define FAI_ACCOUNT_H

#include "fa/allocator.h"
#include "fa/internal/atomic.h"

/* What was set as a budget. */
typedef struct fai_rule {
    size_t hard_bytes; /* most that a charge may reach; 0: no limit; atomic */
} fai_rule;

/* Invariant with a limit that is enforced: used <= limit, at every instant, or no charge since the
 * limit was lowered. */
typedef struct fai_ledger {
    size_t used;    /* atomic */
    size_t peak;    /* most of it at once; atomic */
    fai_rule *rule; /* atomic; NULL while no budget was ever set, never goes away again */
} fai_ledger;

/* Zeroed memory with a parent is a new account. An account must outlive what is charged to it. */
typedef struct fai_account {
    struct fai_account *parent; /* NULL: the root */
    fai_ledger ledger[4];       /* by fa_intent; FA_INTENT_NONE: the sum of the others */
} fai_account;

typedef enum fai_charge {
    FAI_CHARGE_OK,
    FAI_CHARGE_REFUSED, /* reported */
    FAI_CHARGE_PROMOTE  /* the next intent is to serve instead: frame, pool, heap */
} fai_charge;

/* Charges bytes to an account and all above it before the memory is taken: all of them or none.
 * intent: not FA_INTENT_NONE. No lock may be held: events are reported and callbacks called, which
 * may allocate, free and query. Cost without budgets: one addition for each of the two ledgers of
 * each account on the way up. */
fai_charge fai_account_charge(fa_allocator *allocator, fai_account *account, fa_intent intent,
                              size_t bytes);

/* Charges up to count units of so many bytes, as many as limits allow: for those who take some in
 * advance. Returns how many were charged, 0 without a refusal being reported; then ask for the one
 * that is needed with fai_account_charge. As there otherwise. */
size_t fai_account_charge_some(fa_allocator *allocator, fai_account *account, fa_intent intent,
                               size_t bytes, size_t count);

/* Charges whatever the limits say: for memory that exists already and changes hands. Reports
 * nothing: under locks too. */
void fai_account_add(fai_account *account, fa_intent intent, size_t bytes);

/* Takes back what was charged. Any thread, under locks too. */
void fai_account_discharge(fai_account *account, fa_intent intent, size_t bytes);

/* What limits leave: SIZE_MAX without one. By the time it is used others may have been faster. */
size_t fai_account_room(const fai_account *account, fa_intent intent);

static inline size_t fai_account_used(const fai_account *account, fa_intent intent) {
    return FAI_LOAD_RELAXED(&account->ledger[intent].used);
}
static inline size_t fai_account_peak(const fai_account *account, fa_intent intent) {
    return FAI_LOAD_RELAXED(&account->ledger[intent].peak);
}

#endif
