/* Accounts: charging up the tree, all or none; and what happens at a limit. */
#include "fa/internal/ledger.h"
#include "fa/internal/thread.h"

#include <sched.h>

/* Ledgers on the longest way up: a path of FA_TAG_PATH_BYTES has fewer than 90 parts; then there
 * are the root and the thread. */
#define STEPS_MAX 192

static __thread fai_asking *t_asking;   /* the innermost callback that answers this thread */
static __thread fai_pending *t_pending; /* the innermost request that takes memory */

/* ---- one ledger ---- */

/* Acquire: with what it was before it was put in force. What is changed in it later is looked at
 * under the lock where it has to fit together. */
static fai_rule *rule_of(const fai_ledger *ledger) { return FAI_LOAD_ACQUIRE(&ledger->rule); }

/* What of that is not pending. */
static size_t had_of(const fai_ledger *ledger, size_t used) {
    size_t pending = FAI_LOAD_RELAXED(&ledger->pending);
    return used > pending ? used - pending : 0;
}

static void raise_peak(fai_ledger *ledger, size_t used) {
    fai_raise(&ledger->peak, had_of(ledger, used));
}

/* Returns what it was before. */
static size_t sub(fai_ledger *ledger, size_t bytes) {
    size_t before = fai_ledger_sub(ledger, bytes);
    FA_ASSERT(before >= bytes);
    fai_rule *rule = rule_of(ledger);
    if (FA_LIKELY(rule == NULL))
        return before;
    /* The next time that usage passes them is news again. */
    if (FAI_LOAD_RELAXED(&rule->above_soft) &&
        before - bytes <= FAI_LOAD_RELAXED(&rule->soft_bytes))
        FAI_STORE_RELAXED(&rule->above_soft, false);
    if (FAI_LOAD_RELAXED(&rule->above_hard) &&
        before - bytes <= FAI_LOAD_RELAXED(&rule->hard_bytes))
        FAI_STORE_RELAXED(&rule->above_hard, false);
    return before;
}

/* Adds, unless the limit forbids it: the one that is set once it was added. */
static bool add(fai_ledger *ledger, size_t bytes) {
    fai_ledger_tried tried;
    while ((tried = fai_ledger_try(ledger, bytes)) == FAI_LEDGER_CHANGED)
        sub(ledger, bytes);
    return tried == FAI_LEDGER_ADDED;
}

/* What a ledger leaves below its limit; SIZE_MAX without one. */
static size_t room_of(const fai_ledger *ledger) {
    size_t limit = fai_ledger_limit(ledger), used = FAI_LOAD_RELAXED(&ledger->used);
    if (limit == 0)
        return SIZE_MAX;
    return limit > used ? limit - used : 0;
}

/* How far usage may go before it meets the soft limit or the hard one, whatever that does then. */
static size_t calm_of(const fai_ledger *ledger) {
    const fai_rule *rule = rule_of(ledger);
    if (rule == NULL)
        return SIZE_MAX;
    size_t soft = FAI_LOAD_RELAXED(&rule->soft_bytes), hard = FAI_LOAD_RELAXED(&rule->hard_bytes);
    size_t used = FAI_LOAD_RELAXED(&ledger->used), calm = SIZE_MAX;
    if (soft != 0 && used <= soft) /* once it is passed there is nothing more to say */
        calm = soft - used;
    if (hard != 0 && (hard <= used || hard - used < calm))
        calm = hard > used ? hard - used : 0;
    return calm;
}

/* The same, and before it is a peak to be reported. */
static size_t quiet_of(const fai_ledger *ledger) {
    const fai_rule *rule = rule_of(ledger);
    size_t calm = calm_of(ledger);
    if (rule == NULL || !FAI_LOAD_RELAXED(&rule->peaks))
        return calm;
    size_t used = FAI_LOAD_RELAXED(&ledger->used);
    size_t reported = FAI_LOAD_RELAXED(&rule->peak_reported);
    size_t news = reported + reported / 8, quiet = news > used ? news - used : 0;
    return quiet < calm ? quiet : calm;
}

/* ---- the way up ---- */

/* The ledgers of a request, in the order in which they are charged: of the intent, then of
 * everything, account by account; that of the thread comes last. */
typedef struct step {
    fai_account *account; /* NULL: that was the last one */
    fai_account *beside;  /* where it goes on above the root */
    fa_intent intent;
    bool total;
    unsigned index;
} step;

static step first(fai_payer payer, fa_intent intent) {
    return (step){payer.account, payer.beside, intent, false, 0};
}

static fai_ledger *current(const step *at) {
    return &at->account->ledger[at->total ? FA_INTENT_NONE : at->intent];
}

static void advance(step *at) {
    if (at->total)
        at->account = at->account->parent;
    if (at->account == NULL) {
        at->account = at->beside;
        at->beside = NULL;
    }
    at->total = !at->total;
    at->index++;
}

/* A request under way. */
typedef struct attempt {
    fa_allocator *allocator;
    fai_payer payer;
    fa_intent intent;
    size_t bytes;
    unsigned retries;
    step full;                        /* the ledger that refused it */
    uint64_t allowed[STEPS_MAX / 64]; /* bit of each step whose limit does not hold for it */
} attempt;

static bool is_allowed(const attempt *request, const step *at) {
    return request->allowed[at->index / 64] >> at->index % 64 & 1;
}

static void allow(attempt *request, const step *at) {
    FA_ASSERT(at->index < STEPS_MAX);
    request->allowed[at->index / 64] |= (uint64_t)1 << at->index % 64;
}

/* Finds the first ledger that has no room, before anything is added: so that hardly anybody ever
 * sees what is taken back again. */
static bool has_room(attempt *request) {
    step at = first(request->payer, request->intent);
    for (; at.account; advance(&at))
        if (room_of(current(&at)) < request->bytes && !is_allowed(request, &at))
            break;
    request->full = at;
    return at.account == NULL;
}

/* Charges all, or none and notes which ledger refused. */
static bool try_all(attempt *request) {
    if (!has_room(request))
        return false;
    for (step at = first(request->payer, request->intent); at.account; advance(&at)) {
        if (is_allowed(request, &at)) { /* whatever the limit is by now */
            FAI_ADD_RELAXED(&current(&at)->used, request->bytes);
            continue;
        }
        if (add(current(&at), request->bytes))
            continue;
        request->full = at;
        step undo = first(request->payer, request->intent);
        for (; undo.index != at.index; advance(&undo))
            sub(current(&undo), request->bytes);
        return false;
    }
    return true;
}

/* ---- after a charge ---- */

/* True for whoever sets it, and there is nothing behind it but that. */
static bool raise_flag(bool *flag) {
    return !FAI_LOAD_RELAXED(flag) && !FAI_EXCHANGE_RELAXED(flag, true);
}

static void report_note(fa_allocator *allocator, fa_diag diag, size_t size, size_t limit) {
    fai_report_at(allocator, diag, FA_OK, size, limit, NULL,
                  fai_slot.site ? *fai_slot.site : (fa_site){NULL, NULL, 0});
}

/* What a budget says, all of it at one time: it may be changed at any other. */
typedef struct terms {
    size_t limit, soft_bytes, hard_bytes;
    uint32_t policy;
    bool peaks;
    fa_tag tag;
    fa_intent intent;
    fa_budget_ask_fn *ask;
    void *user;
} terms;

/* Under the lock. */
static terms terms_of(const fai_rule *rule) {
    return (terms){rule->limit, rule->soft_bytes, rule->hard_bytes, rule->policy, rule->peaks,
                   rule->tag,   rule->intent,     rule->ask,        rule->user};
}

/* Tells listeners that a budget is passed. size: of the request that it stopped. */
static void tell(fa_allocator *allocator, fa_events_detail detail, const terms *said, size_t size,
                 size_t used) {
    if (!fai_events_want(&allocator->events, FA_EVENTS_BUDGET) || fai_is_quiet())
        return;
    fa_events_item item = {.kind = FA_EVENTS_BUDGET,
                           .detail = detail,
                           .intent = said->intent,
                           .tag = said->tag,
                           .size = size,
                           .bytes = used,
                           .limit = detail == FA_EVENTS_DETAIL_SOFT ? said->soft_bytes
                                                                    : said->hard_bytes};
    fai_events_tell(allocator, NULL, &item);
}

static bool serves(uint32_t policy) {
    return policy == FA_BUDGET_WARN || policy == FA_BUDGET_ALLOW;
}

/* Whether there may be something to report. Without the lock. */
static bool is_news(const fai_rule *rule, size_t used) {
    size_t soft = FAI_LOAD_RELAXED(&rule->soft_bytes), hard = FAI_LOAD_RELAXED(&rule->hard_bytes);
    size_t reported = FAI_LOAD_RELAXED(&rule->peak_reported);
    return (hard != 0 && used > hard && serves(FAI_LOAD_RELAXED(&rule->policy))) ||
           (soft != 0 && used > soft && !FAI_LOAD_RELAXED(&rule->above_soft)) ||
           (FAI_LOAD_RELAXED(&rule->peaks) && used > reported + reported / 8);
}

/* What the budget of a ledger wants to be told of. */
static void watch(fa_allocator *allocator, const fai_ledger *ledger, fai_rule *rule) {
    size_t used = had_of(ledger, FAI_LOAD_RELAXED(&ledger->used));
    if (FA_LIKELY(!is_news(rule, used)))
        return;
    fai_lock(allocator);
    terms said = terms_of(rule);
    fai_unlock(allocator);
    size_t soft = said.soft_bytes, hard = said.hard_bytes;
    if (hard != 0 && used > hard && serves(said.policy)) {
        FAI_ADD_RELAXED(&rule->allowed_count, 1);
        if (raise_flag(&rule->above_hard)) {
            if (said.policy == FA_BUDGET_WARN)
                report_note(allocator, FA_DIAG_FA302, used, hard);
            tell(allocator, FA_EVENTS_DETAIL_HARD, &said, 0, used);
        }
    }
    if (soft != 0 && used > soft && raise_flag(&rule->above_soft)) {
        report_note(allocator, FA_DIAG_FA303, used, soft);
        tell(allocator, FA_EVENTS_DETAIL_SOFT, &said, 0, used);
    }
    size_t reported = FAI_LOAD_RELAXED(&rule->peak_reported);
    while (said.peaks && used > reported + reported / 8) {
        if (!FAI_CAS_RELAXED(&rule->peak_reported, &reported, used))
            continue;
        report_note(allocator, FA_DIAG_FA304, used, hard);
        break;
    }
}

void fai_account_note(fa_allocator *allocator, fai_payer payer, fa_intent intent) {
    for (step at = first(payer, intent); at.account; advance(&at))
        raise_peak(current(&at), FAI_LOAD_RELAXED(&current(&at)->used));
    for (step at = first(payer, intent); at.account; advance(&at)) {
        fai_rule *rule = rule_of(current(&at));
        if (rule != NULL)
            watch(allocator, current(&at), rule);
    }
}

/* ---- at a limit ---- */

static fai_charge refuse(const attempt *request, fai_rule *rule, const terms *said, size_t used) {
    FAI_ADD_RELAXED(&rule->refused_count, 1);
    fai_report(request->allocator, FA_DIAG_FA302, FA_ERROR_LIMIT, request->bytes, said->hard_bytes,
               NULL);
    tell(request->allocator, FA_EVENTS_DETAIL_HARD, said, request->bytes, used);
    return FAI_CHARGE_REFUSED;
}

static fai_charge promote(const attempt *request, fai_rule *rule, const terms *said, size_t used) {
    if (request->intent == FA_INTENT_HEAP || said->intent == FA_INTENT_NONE)
        return refuse(request, rule, said, used);
    FAI_ADD_RELAXED(&rule->promoted_count, 1);
    report_note(request->allocator, FA_DIAG_FA302, request->bytes, said->hard_bytes);
    tell(request->allocator, FA_EVENTS_DETAIL_HARD, said, request->bytes, used);
    return FAI_CHARGE_PROMOTE;
}

/* The callback of this allocator that answers the calling thread, or NULL. */
static fai_asking *asking_in(const fa_allocator *allocator) {
    fai_asking *at = t_asking;
    while (at != NULL && at->allocator != allocator)
        at = at->outer;
    return at;
}

/* here: under way already. */
static fa_budget_answer ask(const attempt *request, const terms *said, size_t used,
                            fai_asking *here) {
    fai_budgets *budgets = &request->allocator->budgets;
    fa_budget_request asked = {.allocator = request->allocator,
                               .tag = said->tag,
                               .budget_intent = said->intent,
                               .intent = request->intent,
                               .size = request->bytes,
                               .used = used,
                               .hard_bytes = said->hard_bytes,
                               .retry_count = request->retries};
    /* What it does itself must not change what the failed call answers. */
    fa_error error = fa_last_error();
    const fa_site *site = fai_slot.site;
    t_asking = here;
    fai_callback outer = fai_callback_begin();
    fa_budget_answer answer = said->ask(said->user, &asked);
    fai_callback_end(outer);
    t_asking = here->outer;
    fai_slot.site = site;
    fai_error_restore(error);
    fai_lock(request->allocator);
    fai_asking **at = &budgets->asking;
    while (*at != here)
        at = &(*at)->next;
    *at = here->next;
    fai_unlock(request->allocator);
    return answer;
}

static bool is_asked(const fa_allocator *allocator, const fai_asking *old) {
    for (fai_asking *at = allocator->budgets.asking; at != NULL; at = at->next)
        if (at->rule == old->rule && at->function == old->function && at->user == old->user &&
            FAI_LOAD_SEQ(&at->waiting) == 0)
            return true;
    return false;
}

void fai_budget_waits(uint32_t change) {
    for (fai_asking *at = t_asking; at != NULL; at = at->outer)
        FAI_ADD_SEQ(&at->waiting, change);
}

bool fai_budget_is_asking(const fa_allocator *allocator) { return asking_in(allocator) != NULL; }

void fai_budget_await(fa_allocator *allocator, const fai_asking *old) {
    /* Two callbacks that replace each other would wait for ever. */
    fai_callback_waits(1);
    while (t_asking == NULL && is_asked(allocator, old)) {
        fai_unlock(allocator);
        sched_yield();
        fai_lock(allocator);
    }
    fai_callback_waits((uint32_t)-1);
}

void fai_budget_fork_child(fa_allocator *allocator) {
    fai_asking *mine = asking_in(allocator);
    allocator->budgets.asking = mine;
    if (mine != NULL)
        mine->next = NULL;
}

/* Gives back what the calling thread keeps ready, as far as the full ledger counts it. */
static bool give_ready(const attempt *request) {
    const step *full = &request->full;
    bool frames = full->total || full->intent == FA_INTENT_FRAME;
    bool pools = full->total || full->intent == FA_INTENT_POOL;
    fai_thread *thread = frames || pools ? fai_thread_find(request->allocator) : NULL;
    if (thread == NULL)
        return false;
    bool any = frames && fai_meter_give_back(thread);
    return (pools && fai_pool_give_ready(thread, full->account)) || any;
}

/* What a full budget says. Returns true when the request is to be tried again. */
static bool decide(attempt *request, fai_charge *charge) {
    fa_allocator *allocator = request->allocator;
    const fai_ledger *ledger = current(&request->full);
    fai_rule *rule = rule_of(ledger);
    /* A callback that would ask itself is not asked. */
    bool may_ask = asking_in(allocator) == NULL;
    fai_lock(allocator);
    terms said = terms_of(rule);
    size_t used = FAI_LOAD_RELAXED(&ledger->used);
    bool is_full = said.limit != 0 && (used > said.limit || request->bytes > said.limit - used);
    fai_asking here = {
        allocator->budgets.asking, t_asking, allocator, rule, said.ask, said.user, 0};
    bool asks = is_full && may_ask && said.policy == FA_BUDGET_ASK;
    if (asks)
        allocator->budgets.asking = &here;
    fai_unlock(allocator);
    if (!is_full)
        return true; /* something was freed, or the budget changed, meanwhile */
    fa_budget_answer answer = FA_BUDGET_ANSWER_FAIL;
    if (said.policy == FA_BUDGET_PROMOTE)
        answer = FA_BUDGET_ANSWER_PROMOTE;
    else if (asks)
        answer = ask(request, &said, used, &here);
    switch (answer) {
    case FA_BUDGET_ANSWER_ALLOW:
        allow(request, &request->full);
        FAI_ADD_RELAXED(&rule->allowed_count, 1);
        return true;
    case FA_BUDGET_ANSWER_RETRY:
        if (request->retries == FA_BUDGET_RETRY_MAX)
            break;
        request->retries++;
        return true;
    case FA_BUDGET_ANSWER_PROMOTE:
        *charge = promote(request, rule, &said, used);
        return false;
    default:
        break;
    }
    *charge = refuse(request, rule, &said, used);
    return false;
}

/* ---- for the rest of the library ---- */

/* No budget was ever set. */
static bool is_free(const fa_allocator *allocator) {
    return fai_ledger_is_free(&allocator->budgets.any);
}

static void add_up(fai_account *account, fa_intent intent, size_t bytes) {
    for (; account != NULL; account = account->parent) {
        fai_ledger_count(&account->ledger[intent], bytes);
        fai_ledger_count(&account->ledger[FA_INTENT_NONE], bytes);
    }
}

static void add_all(fai_payer payer, fa_intent intent, size_t bytes) {
    add_up(payer.account, intent, bytes);
    add_up(payer.beside, intent, bytes);
}

/* Charges where there is no budget; false, with nothing changed, where there is. */
static bool charge_free(const fa_allocator *allocator, fai_payer payer, fa_intent intent,
                        size_t bytes) {
    if (FA_UNLIKELY(!is_free(allocator)))
        return false;
    add_all(payer, intent, bytes);
    if (FA_LIKELY(is_free(allocator)))
        return true;
    fai_account_take_back(payer, intent, bytes); /* there is one now */
    return false;
}

fai_charge fai_account_charge(fa_allocator *allocator, fai_payer payer, fa_intent intent,
                              size_t bytes) {
    if (FA_LIKELY(charge_free(allocator, payer, intent, bytes)))
        return FAI_CHARGE_OK;
    if (fai_is_quiet()) {
        size_t calm = fai_account_calm(payer, intent);
        bool silent = calm == 0 || bytes <= calm; /* 0: it was reported before */
        return silent && fai_account_charge_quiet(allocator, payer, intent, bytes)
                   ? FAI_CHARGE_OK
                   : FAI_CHARGE_REFUSED;
    }
    attempt request = {.allocator = allocator, .payer = payer, .intent = intent, .bytes = bytes};
    fai_charge charge = FAI_CHARGE_OK;
    while (!try_all(&request))
        if (!give_ready(&request) && !decide(&request, &charge))
            break;
    return charge;
}

bool fai_account_charge_quiet(fa_allocator *allocator, fai_payer payer, fa_intent intent,
                              size_t bytes) {
    if (FA_LIKELY(charge_free(allocator, payer, intent, bytes)))
        return true;
    attempt request = {.allocator = allocator, .payer = payer, .intent = intent, .bytes = bytes};
    return try_all(&request);
}

static size_t least_of(fai_payer payer, fa_intent intent, size_t (*of)(const fai_ledger *)) {
    size_t least = SIZE_MAX;
    for (step at = first(payer, intent); at.account; advance(&at)) {
        size_t bytes = of(current(&at));
        least = bytes < least ? bytes : least;
    }
    return least;
}

size_t fai_account_charge_some(fa_allocator *allocator, fai_payer payer, fa_intent intent,
                               size_t bytes, size_t count) {
    if (FA_LIKELY(charge_free(allocator, payer, intent, bytes * count)))
        return count;
    attempt request = {.allocator = allocator, .payer = payer, .intent = intent};
    while (count != 0) {
        size_t calm = least_of(payer, intent, quiet_of) / bytes;
        count = count < calm ? count : calm;
        request.bytes = count * bytes;
        if (count == 0 || try_all(&request))
            break;
        count /= 2; /* somebody was faster */
    }
    return count;
}

void fai_account_add(fai_payer payer, fa_intent intent, size_t bytes) {
    add_all(payer, intent, bytes);
    for (step at = first(payer, intent); at.account; advance(&at))
        raise_peak(current(&at), FAI_LOAD_RELAXED(&current(&at)->used));
}

void fai_account_discharge(fai_payer payer, fa_intent intent, size_t bytes) {
    for (step at = first(payer, intent); at.account; advance(&at))
        raise_peak(current(&at), sub(current(&at), bytes));
}

void fai_account_take_back(fai_payer payer, fa_intent intent, size_t bytes) {
    for (step at = first(payer, intent); at.account; advance(&at))
        sub(current(&at), bytes);
}

void fai_pending_begin(fai_pending *pending, fai_payer payer, fa_intent intent, size_t bytes) {
    *pending = (fai_pending){t_pending, payer, intent, bytes, false};
    t_pending = pending;
}

static void count_pending(const fai_pending *pending, size_t bytes) {
    for (step at = first(pending->payer, pending->intent); at.account; advance(&at))
        FAI_ADD_RELAXED(&current(&at)->pending, bytes);
}

void fai_pending_refused(void) {
    fai_pending *pending = t_pending;
    if (pending == NULL || pending->is_counted)
        return;
    pending->is_counted = true;
    count_pending(pending, pending->bytes);
}

void fai_pending_end(fai_pending *pending) {
    t_pending = pending->outer;
    if (FA_UNLIKELY(pending->is_counted))
        count_pending(pending, (size_t)0 - pending->bytes);
}

size_t fai_account_room(fai_payer payer, fa_intent intent) {
    return least_of(payer, intent, room_of);
}

size_t fai_account_calm(fai_payer payer, fa_intent intent) {
    return least_of(payer, intent, calm_of);
}

bool fai_account_may_exceed(fai_payer payer, fa_intent intent) {
    for (step at = first(payer, intent); at.account; advance(&at)) {
        const fai_rule *rule = rule_of(current(&at));
        uint32_t policy = rule != NULL ? FAI_LOAD_RELAXED(&rule->policy) : FA_BUDGET_FAIL;
        if (policy == FA_BUDGET_PROMOTE || policy == FA_BUDGET_ASK)
            return true;
    }
    return false;
}

bool fai_account_meters(const fai_account *account) {
    for (; account != NULL; account = account->parent) {
        const fai_rule *rule = rule_of(&account->ledger[FA_INTENT_FRAME]);
        const fai_rule *total = rule_of(&account->ledger[FA_INTENT_NONE]);
        if ((rule != NULL && FAI_LOAD_RELAXED(&rule->meters)) ||
            (total != NULL && FAI_LOAD_RELAXED(&total->meters)))
            return true;
    }
    return false;
}
