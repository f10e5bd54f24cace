// Limits that are set while others charge (fa/internal/ledger.h).
#include "fa/weak/checker.hpp"

// What stands in for fa/internal/account.h.
#define FAI_ACCOUNT_H
struct fai_rule {
    rl::atomic<size_t> limit;
    rl::var<int> contents;
};
struct fai_ledger {
    rl::atomic<size_t> used;
    rl::atomic<fai_rule *> rule;
};
#include "fa/internal/ledger.h"

namespace {

struct Ledger {
    fai_any_rule any;
    fai_ledger ledger;
    fai_rule rule;

    // limit: of a rule that is in force already; 0: there is none, but of others perhaps.
    Ledger(size_t limit, bool has_others) {
        FAI_STORE_RELAXED(&any, limit != 0 || has_others);
        FAI_STORE_RELAXED(&ledger.used, size_t{0});
        FAI_STORE_RELAXED(&ledger.rule, limit != 0 ? &rule : static_cast<fai_rule *>(nullptr));
        FAI_STORE_RELAXED(&rule.limit, limit);
        FAI_WRITE(rule.contents, int(limit));
    }
    // As put_in_force, and whoever looks then. Returns what is used.
    size_t Set(size_t limit) {
        if (FAI_LOAD_RELAXED(&ledger.rule) == nullptr) {
            FAI_WRITE(rule.contents, int(limit));
            fai_rule_set_limit(&rule, limit);
            fai_ledger_put_in_force(&ledger, &rule, &any);
        } else {
            fai_rule_set_limit(&rule, limit);
        }
        return fai_ledger_look(&ledger);
    }
    // As fai_account_charge with one ledger.
    bool Charge(size_t bytes) {
        if (fai_ledger_is_free(&any)) {
            fai_ledger_count(&ledger, bytes);
            if (fai_ledger_is_free(&any))
                return true;
            (void)fai_ledger_sub(&ledger, bytes);
        }
        fai_ledger_tried tried;
        while ((tried = fai_ledger_try(&ledger, bytes)) == FAI_LEDGER_CHANGED)
            (void)fai_ledger_sub(&ledger, bytes);
        if (tried == FAI_LEDGER_ADDED && FAI_LOAD_ACQUIRE(&ledger.rule) != nullptr)
            RL_ASSERT(FAI_READ(rule.contents) != 0);
        return tried == FAI_LEDGER_ADDED;
    }
};

enum Before { kNone, kOthers, kHigher };

// One sets a limit, the first one of all or of this ledger, or a lower one, and looks; one byte is
// charged before, and the others charge one each. What is used past the limit was there when he
// looked: no more comes.
template <int kThreads, Before kBefore>
struct Set : rl::test_suite<Set<kThreads, kBefore>, kThreads> {
    static constexpr const char *kName = kBefore == kNone     ? "the first limit is set"
                                         : kBefore == kOthers ? "the first limit of a ledger is set"
                                                              : "a limit is lowered";
    static constexpr bool kIsFull = kThreads == 2;
    static constexpr size_t kLimit = 1;
    Ledger ledger{kBefore == kHigher ? kThreads : 0, kBefore == kOthers};
    size_t seen = 0, charged = 1;

    Set() { RL_ASSERT(ledger.Charge(1)); }
    void thread(unsigned index) {
        if (index == 0)
            seen = ledger.Set(kLimit);
        else if (ledger.Charge(1))
            charged++;
    }
    void after() {
        size_t used = FAI_LOAD_RELAXED(&ledger.ledger.used);
        RL_ASSERT(used == charged);
        RL_ASSERT(used <= (seen > kLimit ? seen : kLimit));
    }
};

// Under a limit that stays: as many are let in as there is room for.
template <int kThreads, bool kIsWrong>
struct StaysAs : rl::test_suite<StaysAs<kThreads, kIsWrong>, kThreads> {
    static constexpr const char *kName =
        kIsWrong ? "a charge is no update" : "charges below a limit that stays";
    static constexpr bool kIsFull = kThreads == 2;
    Ledger ledger{kThreads - 1, false};
    int charged = 0;

    bool Charge() {
        if (!kIsWrong)
            return ledger.Charge(1);
        size_t used = FAI_LOAD_RELAXED(&ledger.ledger.used);
        if (used >= fai_ledger_limit(&ledger.ledger))
            return false;
        FAI_STORE_RELAXED(&ledger.ledger.used, used + 1);
        return true;
    }
    void thread(unsigned) {
        if (Charge())
            charged++;
    }
    void after() { RL_ASSERT(charged == kThreads - 1); }
};
template <int kThreads> struct Stays : StaysAs<kThreads, false> {
    using Wrong = StaysAs<kThreads, true>;
};

TEST(LedgerWeak, HoldsInFull) {
    weak::HoldsInFull<Set<2, kNone>, Set<2, kOthers>, Set<2, kHigher>, Stays<2>>();
}

TEST(LedgerWeak, HoldsWithin) {
    weak::HoldsWithin<3, Set<3, kNone>, Set<3, kOthers>, Set<3, kHigher>, Stays<3>>();
}

TEST(LedgerWeak, HoldsAtRandom) {
    weak::HoldsAtRandom<Set<3, kNone>, Set<3, kOthers>, Set<3, kHigher>, Set<4, kNone>,
                        Set<4, kOthers>, Set<4, kHigher>, Stays<4>>(50000);
}

TEST(LedgerWeak, EachOrderMatters) {
    weak::EachOrderMatters<Set<2, kNone>, Set<2, kOthers>, Set<2, kHigher>>({}, 0);
}

} // namespace
