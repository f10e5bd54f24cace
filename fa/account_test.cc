// Accounts by themselves: sums up the tree, limits, and rolling back.
#include "fa/testing_threads.hpp"

#include <atomic>

extern "C" {
#include "fa/internal/account.h"
}

using namespace fa_testing;

namespace {

constexpr fa_intent kIntents[] = {FA_INTENT_FRAME, FA_INTENT_POOL, FA_INTENT_HEAP};

fai_payer Of(fai_account *account, fai_account *beside = nullptr) { return {account, beside}; }

// root <- middle <- leaf, and a second leaf beside it.
struct Tree {
    fai_account root = {}, middle = {}, leaf = {}, other = {};
    Allocator allocator{Plain()};
    Tree() {
        fa_budget some = {}; /* from now on limits are looked at */
        some.hard_bytes = 1;
        EXPECT_EQ(fa_budget_set(allocator, FA_INTENT_HEAP, &some), FA_OK);
        middle.parent = &root;
        leaf.parent = other.parent = &middle;
    }
    bool Charge(fai_account *account, fa_intent intent, size_t bytes) {
        if (fai_account_charge(allocator, Of(account), intent, bytes) != FAI_CHARGE_OK)
            return false;
        fai_account_note(allocator, Of(account), intent);
        return true;
    }
    size_t Used(const fai_account &account, fa_intent intent = FA_INTENT_NONE) {
        return fai_account_used(&account, intent);
    }
};

} // namespace

TEST(Account, ParentsCountWhatIsBelowThem) {
    Tree tree;
    EXPECT_TRUE(tree.Charge(&tree.leaf, FA_INTENT_POOL, 100));
    EXPECT_TRUE(tree.Charge(&tree.other, FA_INTENT_HEAP, 30));
    EXPECT_TRUE(tree.Charge(&tree.root, FA_INTENT_FRAME, 5));
    EXPECT_EQ(tree.Used(tree.leaf), 100u);
    EXPECT_EQ(tree.Used(tree.leaf, FA_INTENT_POOL), 100u);
    EXPECT_EQ(tree.Used(tree.leaf, FA_INTENT_HEAP), 0u);
    EXPECT_EQ(tree.Used(tree.middle), 130u);
    EXPECT_EQ(tree.Used(tree.middle, FA_INTENT_HEAP), 30u);
    EXPECT_EQ(tree.Used(tree.root), 135u);
    EXPECT_EQ(fai_account_room(Of(&tree.leaf), FA_INTENT_POOL), SIZE_MAX);
    fai_account_discharge(Of(&tree.leaf), FA_INTENT_POOL, 100);
    EXPECT_EQ(tree.Used(tree.leaf), 0u);
    EXPECT_EQ(tree.Used(tree.root), 35u);
    EXPECT_EQ(fai_account_peak(&tree.root, FA_INTENT_NONE), 135u);
    EXPECT_EQ(fai_account_peak(&tree.leaf, FA_INTENT_POOL), 100u);
}

TEST(Account, ARefusalChangesNothing) {
    for (fa_intent ledger : {FA_INTENT_NONE, FA_INTENT_POOL})
        for (size_t level = 0; level < 3; level++) {
            Tree tree;
            fai_account *accounts[] = {&tree.leaf, &tree.middle, &tree.root};
            fai_rule rule = {};
            rule.limit = rule.hard_bytes = 100;
            accounts[level]->ledger[ledger].rule = &rule;
            EXPECT_TRUE(tree.Charge(&tree.leaf, FA_INTENT_POOL, 60));
            EXPECT_EQ(fai_account_room(Of(&tree.leaf), FA_INTENT_POOL), 40u);
            EXPECT_FALSE(tree.Charge(&tree.leaf, FA_INTENT_POOL, 41));
            EXPECT_EQ(fa_last_error().diag, FA_DIAG_FA302);
            EXPECT_EQ(fa_last_error().status, FA_ERROR_LIMIT);
            for (const fai_account *account : accounts) {
                EXPECT_EQ(tree.Used(*account), 60u);
                EXPECT_EQ(tree.Used(*account, FA_INTENT_POOL), 60u);
                EXPECT_EQ(fai_account_peak(account, FA_INTENT_NONE), 60u);
            }
            EXPECT_EQ(
                fai_account_charge_some(tree.allocator, Of(&tree.leaf), FA_INTENT_POOL, 16, 8), 2u);
            EXPECT_TRUE(tree.Charge(&tree.leaf, FA_INTENT_POOL, 8)) << "every byte can be used";
            EXPECT_EQ(
                fai_account_charge_some(tree.allocator, Of(&tree.leaf), FA_INTENT_POOL, 16, 8), 0u);
            EXPECT_FALSE(tree.Charge(&tree.leaf, FA_INTENT_POOL, FA_SIZE_MAX));
            fai_account_add(Of(&tree.leaf), FA_INTENT_POOL, 50);
            EXPECT_EQ(tree.Used(*accounts[level]), 150u) << "what exists is counted past the limit";
            EXPECT_EQ(fai_account_room(Of(&tree.leaf), FA_INTENT_POOL), 0u);
            fai_account_discharge(Of(&tree.leaf), FA_INTENT_POOL, 150);
            EXPECT_EQ(tree.Used(tree.root), 0u);
        }
}

TEST(Account, ThreadsNeverPassALimit) {
    Tree tree;
    fai_rule rule = {};
    rule.limit = rule.hard_bytes = 1000;
    tree.middle.ledger[FA_INTENT_NONE].rule = &rule;
    std::atomic<bool> stop{false};
    std::atomic<size_t> refused{0};
    Random random;
    std::vector<std::thread> threads;
    for (uint64_t t = 0; t < 4; t++)
        threads.emplace_back([&, t] {
            Engine engine(random.Seed() + t);
            fai_account *account = t % 2 ? &tree.leaf : &tree.other;
            size_t held[4] = {};
            for (size_t i = 0; i < Rounds(200000); i++) {
                const fa_intent intent = kIntents[Pick(engine, 0, 2)];
                const size_t bytes = Pick(engine, 1, 200);
                if (Pick(engine, 0, 1) && held[intent] >= bytes) {
                    fai_account_discharge(Of(account), intent, bytes);
                    held[intent] -= bytes;
                } else {
                    held[intent] += bytes * fai_account_charge_some(tree.allocator, Of(account),
                                                                    intent, bytes, 2);
                }
                if (tree.Charge(account, intent, bytes))
                    held[intent] += bytes;
                else
                    refused++;
            }
            for (fa_intent intent : kIntents)
                fai_account_discharge(Of(account), intent, held[intent]);
        });
    std::thread sampler([&] {
        while (!stop)
            EXPECT_LE(tree.Used(tree.middle), 1000u);
    });
    for (std::thread &thread : threads)
        thread.join();
    stop = true;
    sampler.join();
    EXPECT_GT(refused, 0u);
    for (const fai_account *account : {&tree.root, &tree.middle, &tree.leaf, &tree.other})
        for (const fai_ledger &ledger : account->ledger)
            EXPECT_EQ(ledger.used, 0u);
    EXPECT_LE(fai_account_peak(&tree.middle, FA_INTENT_NONE), 1000u);
}

// Usage that falls again before whoever raised it notes the peak.
TEST(Account, NoPeakIsMissed) {
    Tree tree;
    EXPECT_TRUE(tree.Charge(&tree.leaf, FA_INTENT_HEAP, 60));
    ASSERT_EQ(fai_account_charge(tree.allocator, Of(&tree.leaf), FA_INTENT_HEAP, 100),
              FAI_CHARGE_OK);
    fai_account_discharge(Of(&tree.leaf), FA_INTENT_HEAP, 60); /* another thread */
    fai_account_note(tree.allocator, Of(&tree.leaf), FA_INTENT_HEAP);
    for (const fai_account *account : {&tree.leaf, &tree.middle, &tree.root})
        EXPECT_EQ(fai_account_peak(account, FA_INTENT_NONE), 160u);
    ASSERT_EQ(fai_account_charge(tree.allocator, Of(&tree.leaf), FA_INTENT_HEAP, 1000),
              FAI_CHARGE_OK);
    fai_account_take_back(Of(&tree.leaf), FA_INTENT_HEAP, 1000);
    EXPECT_EQ(fai_account_peak(&tree.root, FA_INTENT_HEAP), 160u) << "it was never held";
}

TEST(Account, TheOneBesideRefusesForAll) {
    Tree tree;
    fai_account own = {};
    fai_rule rule = {};
    rule.limit = rule.hard_bytes = 100;
    own.ledger[FA_INTENT_POOL].rule = &rule;
    const fai_payer payer = Of(&tree.leaf, &own);
    EXPECT_EQ(fai_account_charge(tree.allocator, payer, FA_INTENT_POOL, 101), FAI_CHARGE_REFUSED);
    EXPECT_FALSE(fai_account_charge_quiet(tree.allocator, payer, FA_INTENT_POOL, 101));
    EXPECT_EQ(fai_account_charge_some(tree.allocator, payer, FA_INTENT_POOL, 30, 9), 3u);
    EXPECT_EQ(fai_account_room(payer, FA_INTENT_POOL), 10u);
    for (const fai_account *account : {&tree.leaf, &tree.middle, &tree.root, &own}) {
        EXPECT_EQ(tree.Used(*account), 90u);
        EXPECT_EQ(tree.Used(*account, FA_INTENT_POOL), 90u);
    }
    EXPECT_EQ(rule.refused_count, 1u);
    fai_account_discharge(payer, FA_INTENT_POOL, 90);
    EXPECT_EQ(tree.Used(own), 0u);
    EXPECT_EQ(tree.Used(tree.root), 0u);
}

TEST(Account, CalmEndsAtTheNextLimit) {
    Tree tree;
    fai_rule rule = {};
    rule.soft_bytes = 100;
    rule.hard_bytes = 300;
    rule.policy = FA_BUDGET_ALLOW;
    tree.middle.ledger[FA_INTENT_NONE].rule = &rule;
    const auto calm = [&] { return fai_account_calm(Of(&tree.leaf), FA_INTENT_HEAP); };
    EXPECT_EQ(calm(), 100u);
    EXPECT_EQ(fai_account_room(Of(&tree.leaf), FA_INTENT_HEAP), SIZE_MAX);
    EXPECT_EQ(fai_account_charge_some(tree.allocator, Of(&tree.leaf), FA_INTENT_HEAP, 50, 9), 2u);
    EXPECT_EQ(calm(), 0u) << "the next byte passes it";
    EXPECT_TRUE(tree.Charge(&tree.leaf, FA_INTENT_HEAP, 50));
    EXPECT_EQ(calm(), 150u);
    EXPECT_TRUE(tree.Charge(&tree.leaf, FA_INTENT_HEAP, 150));
    EXPECT_EQ(calm(), 0u);
    EXPECT_TRUE(fai_account_charge_quiet(tree.allocator, Of(&tree.leaf), FA_INTENT_HEAP, 50));
    EXPECT_EQ(calm(), 0u);
    rule.hard_bytes = 0;
    EXPECT_EQ(calm(), SIZE_MAX);
    rule.soft_bytes = 1000;
    rule.hard_bytes = 500;
    EXPECT_EQ(calm(), 150u);
}

TEST(Account, EveryBudgetOfTheDeepestTagMayAllow) {
    Tree tree;
    std::vector<fai_account> chain(FA_TAG_PATH_BYTES / 3 + 2);
    std::vector<fai_rule> rules(2 * chain.size());
    size_t asked = 0;
    for (size_t i = 0; i < chain.size(); i++) {
        chain[i].parent = i == 0 ? nullptr : &chain[i - 1];
        for (fa_intent intent : {FA_INTENT_NONE, FA_INTENT_HEAP}) {
            fai_rule &rule = rules[2 * i + (intent == FA_INTENT_NONE)];
            rule.limit = rule.hard_bytes = 10;
            rule.policy = FA_BUDGET_ASK;
            rule.user = &asked;
            rule.ask = [](void *user, const fa_budget_request *) {
                ++*static_cast<size_t *>(user);
                return FA_BUDGET_ANSWER_ALLOW;
            };
            chain[i].ledger[intent].rule = &rule;
        }
    }
    EXPECT_TRUE(tree.Charge(&chain.back(), FA_INTENT_HEAP, 11));
    EXPECT_EQ(asked, rules.size());
    for (const fai_rule &rule : rules)
        EXPECT_EQ(rule.allowed_count, 1u);
    EXPECT_EQ(tree.Used(chain[0]), 11u);
}
