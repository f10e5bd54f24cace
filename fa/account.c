/* Accounts: charging up the tree, all or none. */
#include "fa/internal/account.h"

#include "fa/internal/allocator.h"

static size_t hard_of(const fai_ledger *ledger) {
    const fai_rule *rule = FAI_LOAD_ACQUIRE(&ledger->rule);
    return rule != NULL ? FAI_LOAD_RELAXED(&rule->hard_bytes) : 0;
}

static void sub(fai_ledger *ledger, size_t bytes) {
    size_t before = FAI_SUB_RELAXED(&ledger->used, bytes);
    FA_ASSERT(before >= bytes);
    (void)before;
}

/* The limit that refuses, or 0. */
static size_t add(fai_ledger *ledger, size_t bytes) {
    size_t used = FAI_LOAD_RELAXED(&ledger->used), hard = hard_of(ledger);
    if (hard == 0) {
        FAI_ADD_RELAXED(&ledger->used, bytes);
        return 0;
    }
    do {
        if (bytes > hard || used > hard - bytes)
            return hard;
    } while (!FAI_CAS_RELAXED(&ledger->used, &used, used + bytes));
    return 0;
}

/* After all have agreed: what was charged and then refused was never held. */
static void note_peaks(fai_account *account, fa_intent intent) {
    for (; account != NULL; account = account->parent) {
        fai_raise(&account->ledger[intent].peak, fai_account_used(account, intent));
        fai_raise(&account->ledger[FA_INTENT_NONE].peak, fai_account_used(account, FA_INTENT_NONE));
    }
}

/* The limit that refuses, or 0. */
static size_t try_charge(fai_account *account, fa_intent intent, size_t bytes) {
    for (fai_account *at = account; at != NULL; at = at->parent) {
        size_t limit = add(&at->ledger[intent], bytes);
        if (limit == 0) {
            limit = add(&at->ledger[FA_INTENT_NONE], bytes);
            if (limit != 0)
                sub(&at->ledger[intent], bytes);
        }
        if (limit == 0)
            continue;
        for (fai_account *done = account; done != at; done = done->parent) {
            sub(&done->ledger[intent], bytes);
            sub(&done->ledger[FA_INTENT_NONE], bytes);
        }
        return limit;
    }
    note_peaks(account, intent);
    return 0;
}

fai_charge fai_account_charge(fa_allocator *allocator, fai_account *account, fa_intent intent,
                              size_t bytes) {
    size_t limit = try_charge(account, intent, bytes);
    if (limit == 0)
        return FAI_CHARGE_OK;
    fai_report(allocator, FA_DIAG_FA302, FA_ERROR_LIMIT, bytes, limit, NULL);
    return FAI_CHARGE_REFUSED;
}

size_t fai_account_charge_some(fa_allocator *allocator, fai_account *account, fa_intent intent,
                               size_t bytes, size_t count) {
    (void)allocator;
    while (count != 0) {
        size_t room = fai_account_room(account, intent) / bytes;
        if (count > room)
            count = room;
        if (count == 0 || try_charge(account, intent, count * bytes) == 0)
            break;
        count /= 2; /* somebody was faster */
    }
    return count;
}

void fai_account_add(fai_account *account, fa_intent intent, size_t bytes) {
    for (fai_account *at = account; at != NULL; at = at->parent) {
        FAI_ADD_RELAXED(&at->ledger[intent].used, bytes);
        FAI_ADD_RELAXED(&at->ledger[FA_INTENT_NONE].used, bytes);
    }
    note_peaks(account, intent);
}

void fai_account_discharge(fai_account *account, fa_intent intent, size_t bytes) {
    for (; account != NULL; account = account->parent) {
        sub(&account->ledger[intent], bytes);
        sub(&account->ledger[FA_INTENT_NONE], bytes);
    }
}

size_t fai_account_room(const fai_account *account, fa_intent intent) {
    size_t room = SIZE_MAX;
    for (; account != NULL; account = account->parent) {
        const fai_ledger *ledgers[] = {&account->ledger[intent], &account->ledger[FA_INTENT_NONE]};
        for (size_t i = 0; i < 2; i++) {
            size_t hard = hard_of(ledgers[i]), used = FAI_LOAD_RELAXED(&ledgers[i]->used);
            if (hard != 0 && hard - (used < hard ? used : hard) < room)
                room = hard - (used < hard ? used : hard);
        }
    }
    return room;
}
