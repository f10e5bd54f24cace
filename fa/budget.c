/* Budgets: setting them and reading them. What they do stands in account.c and meter.c. */
#include "fa/budget.h"

#include "fa/internal/ledger.h"
#include "fa/internal/thread.h"

#include <string.h>

/* ---- rules ---- */

/* Index of the rule for an intent among those of a thread. */
static size_t thread_rule(fa_intent intent) { return intent == FA_INTENT_FRAME ? 0 : 1; }

static bool is_valid(const fa_budget *budget, fa_intent intent) {
    if (budget == NULL)
        return true;
    bool promotable = intent == FA_INTENT_FRAME || intent == FA_INTENT_POOL;
    if ((unsigned)budget->policy > FA_BUDGET_ASK ||
        (budget->policy == FA_BUDGET_PROMOTE && !promotable))
        return false;
    return (budget->ask != NULL) == (budget->policy == FA_BUDGET_ASK);
}

/* Frame memory is charged where this rule says something about it. */
static bool is_metering(const fa_budget *budget, fa_intent intent) {
    bool concerned = intent == FA_INTENT_FRAME || intent == FA_INTENT_NONE;
    return concerned &&
           (budget->soft_bytes != 0 || budget->hard_bytes != 0 || budget->report_peaks);
}

/* Under the lock. */
static void fill(fa_allocator *allocator, fai_rule *rule, fa_tag tag, fa_intent intent,
                 const fa_budget *budget) {
    static const fa_budget k_none;
    if (budget == NULL)
        budget = &k_none;
    bool served = budget->policy == FA_BUDGET_WARN || budget->policy == FA_BUDGET_ALLOW;
    bool meters = is_metering(budget, intent);
    if (meters != rule->meters)
        FAI_STORE_SEQ(&allocator->budgets.meters, allocator->budgets.meters + (meters ? 1 : -1u));
    rule->tag = tag;
    rule->intent = intent;
    rule->ask = budget->ask;
    rule->user = budget->user;
    FAI_STORE_RELAXED(&rule->meters, meters);
    FAI_STORE_RELAXED(&rule->policy, (uint32_t)budget->policy);
    FAI_STORE_RELAXED(&rule->soft_bytes, budget->soft_bytes);
    FAI_STORE_RELAXED(&rule->hard_bytes, budget->hard_bytes);
    fai_rule_set_limit(rule, served ? 0 : budget->hard_bytes);
    FAI_STORE_RELAXED(&rule->peaks, budget->report_peaks);
    FAI_STORE_RELAXED(&rule->above_soft, false);
    FAI_STORE_RELAXED(&rule->above_hard, false);
}

/* Under the lock. */
static void put_in_force(fa_allocator *allocator, fai_ledger *ledger, fai_rule *rule) {
    fai_ledger_put_in_force(ledger, rule, &allocator->budgets.any);
    if (!rule->meters)
        return;
    /* Frames that have not begun yet take the slow path. Whoever opens the fast one looks at
     * meters after that: one of the two sees the other. */
    for (fai_thread *thread = allocator->threads; thread; thread = thread->next)
        FAI_STORE_SEQ(&thread->head.frame_start, NULL);
}

/* Makes room for one more rule; leaves with the lock held. */
static fa_status lock_with_room(fa_allocator *allocator) {
    fai_budgets *budgets = &allocator->budgets;
    fai_lock(allocator);
    while (budgets->blocks == NULL || budgets->rule_count == FAI_RULE_BLOCK) {
        const fai_rule_block *seen = budgets->blocks;
        fai_unlock(allocator);
        fai_span span;
        fa_status status =
            fai_allocator_span(allocator, sizeof(fai_rule_block), 64, FA_SPAN_META, &span);
        fai_lock(allocator);
        if (status != FA_OK)
            return status;
        if (budgets->blocks != seen) { /* another thread was faster */
            fai_unlock(allocator);
            fai_span_free(&allocator->spans, &span);
            fai_lock(allocator);
            continue;
        }
        fai_rule_block *block = (fai_rule_block *)span.address;
        memset(block, 0, sizeof *block);
        block->span = span;
        block->next = budgets->blocks;
        budgets->blocks = block;
        budgets->rule_count = 0;
    }
    return FA_OK;
}

static bool is_intent(fa_intent intent) { return (unsigned)intent <= FA_INTENT_HEAP; }

/* The account of a tag, or NULL. */
static fai_account *account_of(fa_allocator *allocator, fa_tag tag) {
    if (allocator == NULL || tag >= fa_tag_count(allocator))
        return NULL;
    return fai_tag_account(allocator, tag);
}

fa_status fa_budget_set_tag(fa_allocator *allocator, fa_tag tag, fa_intent intent,
                            const fa_budget *budget) {
    fai_account *account = account_of(allocator, tag);
    if (account == NULL || !is_intent(intent) || !is_valid(budget, intent))
        return fai_fail(FA_ERROR_INVALID, 0);
    fai_ledger *ledger = &account->ledger[intent];
    if (budget == NULL && FAI_LOAD_ACQUIRE(&ledger->rule) == NULL)
        return FA_OK;
    fa_status status = FA_OK;
    if (FAI_LOAD_ACQUIRE(&ledger->rule) == NULL)
        status = lock_with_room(allocator);
    else
        fai_lock(allocator);
    fai_rule *rule = ledger->rule;
    if (rule == NULL && status == FA_OK)
        rule = &allocator->budgets.blocks->rule[allocator->budgets.rule_count++];
    if (rule != NULL) {
        fai_asking old = {.rule = rule, .function = rule->ask, .user = rule->user};
        fill(allocator, rule, tag, intent, budget);
        put_in_force(allocator, ledger, rule);
        if (old.function != NULL && (rule->ask != old.function || rule->user != old.user))
            fai_budget_await(allocator, &old);
    }
    fai_unlock(allocator);
    return rule != NULL ? FA_OK : status;
}

fa_status fa_budget_set(fa_allocator *allocator, fa_intent intent, const fa_budget *budget) {
    return fa_budget_set_tag(allocator, FA_TAG_ROOT, intent, budget);
}

/* ---- threads ---- */

static bool is_of_thread(fa_intent intent) {
    return intent == FA_INTENT_FRAME || intent == FA_INTENT_POOL;
}

fa_status fa_budget_set_thread(fa_allocator *allocator, fa_intent intent, const fa_budget *budget) {
    if (allocator == NULL || !is_of_thread(intent) || !is_valid(budget, intent))
        return fai_fail(FA_ERROR_INVALID, 0);
    fai_thread *thread = fai_thread_get(allocator);
    if (thread == NULL)
        return fa_last_error().status;
    fai_rule *rule = &thread->budget.rule[thread_rule(intent)];
    fai_lock(allocator);
    fill(allocator, rule, FA_TAG_NONE, intent, budget);
    put_in_force(allocator, &thread->budget.account.ledger[intent], rule);
    fai_unlock(allocator);
    return FA_OK;
}

fa_status fa_budget_set_thread_default(fa_allocator *allocator, fa_intent intent,
                                       const fa_budget *budget) {
    if (allocator == NULL || !is_of_thread(intent) || !is_valid(budget, intent))
        return fai_fail(FA_ERROR_INVALID, 0);
    fa_budget none = {0};
    fai_lock(allocator);
    allocator->budgets.thread_default[thread_rule(intent)] = budget != NULL ? *budget : none;
    fai_unlock(allocator);
    return FA_OK;
}

void fai_budget_attach(fai_thread *thread) {
    fa_allocator *allocator = thread->allocator;
    static const fa_intent intents[] = {FA_INTENT_FRAME, FA_INTENT_POOL};
    for (size_t i = 0; i < 2; i++) {
        const fa_budget *budget = &allocator->budgets.thread_default[i];
        if (budget->soft_bytes == 0 && budget->hard_bytes == 0 && !budget->report_peaks)
            continue;
        fill(allocator, &thread->budget.rule[i], FA_TAG_NONE, intents[i], budget);
        put_in_force(allocator, &thread->budget.account.ledger[intents[i]],
                     &thread->budget.rule[i]);
        fai_frame_look_closer(thread);
    }
}

void fai_budget_detach(fai_thread *thread) {
    fa_allocator *allocator = thread->allocator;
    for (size_t i = 0; i < 2; i++)
        fill(allocator, &thread->budget.rule[i], FA_TAG_NONE, FA_INTENT_NONE, NULL);
    memset(&thread->budget, 0, sizeof thread->budget);
}

void fai_budgets_destroy(fa_allocator *allocator) {
    for (fai_rule_block *block = allocator->budgets.blocks, *next; block; block = next) {
        next = block->next;
        fai_span span = block->span;
        fai_span_free(&allocator->spans, &span);
    }
}

/* ---- reading ---- */

static fa_status read_ledger(const fai_ledger *ledger, fa_budget_usage *usage) {
    const fai_rule *rule = FAI_LOAD_ACQUIRE(&ledger->rule);
    usage->used = fai_ledger_look(ledger);
    usage->peak = FAI_LOAD_RELAXED(&ledger->peak);
    usage->remaining = SIZE_MAX;
    if (rule == NULL)
        return FA_OK;
    usage->soft_bytes = FAI_LOAD_RELAXED(&rule->soft_bytes);
    usage->hard_bytes = FAI_LOAD_RELAXED(&rule->hard_bytes);
    if (usage->hard_bytes != 0)
        usage->remaining = usage->hard_bytes > usage->used ? usage->hard_bytes - usage->used : 0;
    usage->refused_count = FAI_LOAD_RELAXED(&rule->refused_count);
    usage->allowed_count = FAI_LOAD_RELAXED(&rule->allowed_count);
    usage->promoted_count = FAI_LOAD_RELAXED(&rule->promoted_count);
    return FA_OK;
}

fa_status fa_budget_get_tag(fa_allocator *allocator, fa_tag tag, fa_intent intent,
                            fa_budget_usage *usage) {
    if (usage != NULL)
        memset(usage, 0, sizeof *usage);
    const fai_account *account = account_of(allocator, tag);
    if (account == NULL || !is_intent(intent) || usage == NULL)
        return fai_fail(FA_ERROR_INVALID, 0);
    return read_ledger(&account->ledger[intent], usage);
}

fa_status fa_budget_get(fa_allocator *allocator, fa_intent intent, fa_budget_usage *usage) {
    return fa_budget_get_tag(allocator, FA_TAG_ROOT, intent, usage);
}

fa_status fa_budget_get_thread(fa_allocator *allocator, fa_intent intent, fa_budget_usage *usage) {
    if (usage != NULL)
        memset(usage, 0, sizeof *usage);
    const fai_thread *thread = allocator != NULL ? fai_thread_find(allocator) : NULL;
    if (thread == NULL || !is_of_thread(intent) || usage == NULL)
        return fai_fail(FA_ERROR_INVALID, 0);
    return read_ledger(&thread->budget.account.ledger[intent], usage);
}

size_t fa_budget_remaining(fa_allocator *allocator, fa_intent intent) {
    if (allocator == NULL || !is_intent(intent) || intent == FA_INTENT_NONE) {
        fai_fail(FA_ERROR_INVALID, 0);
        return 0;
    }
    fai_thread *thread = is_of_thread(intent) ? fai_thread_find(allocator) : NULL;
    fai_payer payer = {fai_tag_account(allocator, fai_tag_now(allocator)),
                       thread != NULL ? &thread->budget.account : NULL};
    return fai_account_room(payer, intent);
}
