/* How a limit that is set at any time meets charges that go on without a lock.
 *
 * A charge is added, and then the limit is looked at (again): whoever finds another one than he
 * added by takes the charge back and starts anew. Whoever sets a limit, and then looks what is
 * used, does it the other way round (Dekker's scheme). So either sees the other: what is charged
 * past a limit was charged before it was set, and is seen by who has set it. And while nobody ever
 * set one, there is nothing to look at but that.
 *
 * What is ordered: those four, the additions, the limits, and both looks, are sequentially
 * consistent. A rule is put in force with its contents: its pointer is released by the same store.
 * Taking back orders nothing: a sum that is too high for a moment refuses, and never allows.
 *
 * Compiled for the checker of memory orders too (fa/weak/ledger_weak_test.cc), which brings its own
 * rules and ledgers. */
#ifndef FAI_LEDGER_H
#define FAI_LEDGER_H

#include "fa/internal/account.h"

typedef FAI_ATOMIC(bool) fai_any_rule; /* whether there ever was one in the allocator */

/* ---- by who sets a limit ---- */

/* 0: none. Under the allocator's lock. */
static inline void fai_rule_set_limit(fai_rule *rule, size_t limit) {
    FAI_STORE_SEQ(&rule->limit, limit);
}

/* A rule whose contents are complete. Likewise. */
static inline void fai_ledger_put_in_force(fai_ledger *ledger, fai_rule *rule, fai_any_rule *any) {
    FAI_STORE_SEQ(&ledger->rule, rule);
    FAI_STORE_SEQ(any, true);
}

/* After that: all that got past it is in. */
static inline size_t fai_ledger_look(const fai_ledger *ledger) {
    return FAI_LOAD_SEQ(&ledger->used);
}

/* ---- by who charges ---- */

/* No budget was ever set. */
static inline bool fai_ledger_is_free(const fai_any_rule *any) { return !FAI_LOAD_SEQ(any); }

static inline void fai_ledger_count(fai_ledger *ledger, size_t bytes) {
    FAI_ADD_SEQ(&ledger->used, bytes);
}

/* 0: none. */
static inline size_t fai_ledger_limit(const fai_ledger *ledger) {
    const fai_rule *rule = FAI_LOAD_SEQ(&ledger->rule);
    return rule != NULL ? FAI_LOAD_SEQ(&rule->limit) : 0;
}

typedef enum fai_ledger_tried {
    FAI_LEDGER_ADDED,
    FAI_LEDGER_REFUSED,
    FAI_LEDGER_CHANGED /* added, but the limit is another one: take it back, try again */
} fai_ledger_tried;

static inline fai_ledger_tried fai_ledger_try(fai_ledger *ledger, size_t bytes) {
    size_t limit = fai_ledger_limit(ledger), used = FAI_LOAD_RELAXED(&ledger->used);
    if (limit == 0)
        fai_ledger_count(ledger, bytes);
    else
        do {
            if (bytes > limit || used > limit - bytes)
                return FAI_LEDGER_REFUSED;
        } while (!FAI_CAS_SEQ(&ledger->used, &used, used + bytes));
    return FA_LIKELY(fai_ledger_limit(ledger) == limit) ? FAI_LEDGER_ADDED : FAI_LEDGER_CHANGED;
}

/* Returns what it was before. */
static inline size_t fai_ledger_sub(fai_ledger *ledger, size_t bytes) {
    return FAI_SUB_RELAXED(&ledger->used, bytes);
}

#endif
