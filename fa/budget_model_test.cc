// Budgets against a naive ledger: random calls of one thread in a tree of tags, with limits and
// policies that change, and what each call must answer. One thread can use every byte: whatever it
// keeps in advance must never show.
#include "fa/testing_budgets.hpp"

#include <algorithm>
#include <array>

using namespace fa_testing;

namespace {

constexpr size_t kTags = 7;   // the root is number 0
constexpr size_t kThread = 7; // an account beside the tree
constexpr size_t kUnlimited = 1 << 30;

enum class Outcome { kServed, kRefused, kPromoted };

struct Limit {
    size_t hard = 0;
    fa_budget_policy policy = FA_BUDGET_FAIL;
    fa_budget_answer answer = FA_BUDGET_ANSWER_FAIL;
};

struct Account {
    size_t parent = 0;
    std::array<size_t, 4> used{}; // by intent; [0] is not used
    std::array<Limit, 4> limit{};

    size_t Used(size_t ledger) const {
        return ledger != 0 ? used[ledger] : used[1] + used[2] + used[3];
    }
};

// The naive ledger.
class Ledger {
  public:
    std::array<Account, kTags + 1> accounts;

    Outcome Charge(size_t tag, fa_intent intent, size_t bytes) {
        Outcome outcome = Decide(tag, intent, bytes);
        if (outcome == Outcome::kServed && intent != FA_INTENT_HEAP)
            outcome = Decide(kThread, intent, bytes);
        if (outcome == Outcome::kServed)
            Add(tag, intent, bytes);
        return outcome;
    }
    void Add(size_t tag, fa_intent intent, size_t bytes) {
        for (size_t at : Chain(tag))
            accounts[at].used[intent] += bytes;
        if (intent != FA_INTENT_HEAP)
            accounts[kThread].used[intent] += bytes;
    }
    void Discharge(size_t tag, fa_intent intent, size_t bytes) { Add(tag, intent, 0 - bytes); }

  private:
    std::vector<size_t> Chain(size_t tag) const {
        std::vector<size_t> chain{tag};
        while (tag != 0 && tag != kThread)
            chain.push_back(tag = accounts[tag].parent);
        return chain;
    }
    // What the first full budget on the way up says.
    Outcome Decide(size_t tag, fa_intent intent, size_t bytes) const {
        for (size_t at : Chain(tag))
            for (size_t ledger : {static_cast<size_t>(intent), static_cast<size_t>(0)}) {
                const Limit &limit = accounts[at].limit[ledger];
                if (limit.hard == 0 || accounts[at].Used(ledger) + bytes <= limit.hard)
                    continue;
                fa_budget_answer answer = FA_BUDGET_ANSWER_FAIL;
                if (limit.policy == FA_BUDGET_WARN || limit.policy == FA_BUDGET_ALLOW)
                    answer = FA_BUDGET_ANSWER_ALLOW;
                else if (limit.policy == FA_BUDGET_PROMOTE)
                    answer = FA_BUDGET_ANSWER_PROMOTE;
                else if (limit.policy == FA_BUDGET_ASK)
                    answer = limit.answer;
                if (answer == FA_BUDGET_ANSWER_ALLOW)
                    continue;
                return answer == FA_BUDGET_ANSWER_PROMOTE && intent != FA_INTENT_HEAP && ledger != 0
                           ? Outcome::kPromoted
                           : Outcome::kRefused;
            }
        return Outcome::kServed;
    }
};

struct Block {
    void *address;
    size_t size, charged, tag;
    fa_intent intent;
    uint64_t mark;
};

struct Mark {
    fa_mark mark;
    std::array<size_t, kTags + 1> frame_used;
    size_t blocks, promoted;
};

class Model {
  public:
    explicit Model(const fa_alloc_config &config)
        : allocator_(config), plain_(Plain()), guarded_(config.checks & FA_CHECK_GUARD) {
        const char *paths[] = {"",      "ai",          "ai::path", "ai::path::grid",
                               "world", "world::tree", "ui"};
        for (size_t i = 0; i < kTags; i++) {
            tags_[i] = i == 0 ? FA_TAG_ROOT : fa_tag_intern(allocator_, paths[i]);
            for (size_t p = 0; p < i; p++)
                if (fa_tag_parent(allocator_, tags_[i]) == tags_[p])
                    ledger_.accounts[i].parent = p;
        }
        EXPECT_NE(fa_frame_begin(allocator_), nullptr);
        Ignore(fa_frame_alloc(allocator_, 16));
        const size_t before = fa_frame_bytes(allocator_);
        Ignore(fa_frame_alloc(allocator_, 16));
        frame_extra_ = fa_frame_bytes(allocator_) - before - 16;
        EXPECT_EQ(fa_frame_end(allocator_), FA_OK);
        SetRoot();
    }

    void Run(size_t count) {
        for (size_t i = 0; i < count && !testing::Test::HasFailure(); i++) {
            Step();
            if (i % 64 == 0)
                Check();
        }
        Finish();
        EXPECT_GT(refused_, 0u);
        EXPECT_GT(promoted_count_, 0u);
    }

  private:
    // Frame memory is counted throughout.
    void SetRoot() { Set(0, FA_INTENT_FRAME, Limit{kUnlimited, FA_BUDGET_FAIL, {}}); }

    static fa_budget_answer Answer(void *user, const fa_budget_request *) {
        return static_cast<const Limit *>(user)->answer;
    }

    void Set(size_t account, fa_intent intent, const Limit &limit) {
        /* What is charged in advance stays at hand below a lower limit: give it back. */
        fa_allocator_trim(allocator_);
        EXPECT_EQ(fa_tag_enter(allocator_, FA_TAG_ROOT), FA_OK);
        EXPECT_EQ(fa_tag_leave(allocator_), FA_OK);
        Limit &kept = ledger_.accounts[account].limit[intent];
        kept = limit;
        fa_budget budget = Hard(limit.hard, limit.policy);
        if (limit.policy == FA_BUDGET_ASK) {
            budget.ask = Answer;
            budget.user = &kept;
        }
        budget.soft_bytes = limit.hard / 2;
        EXPECT_EQ(account == kThread
                      ? fa_budget_set_thread(allocator_, intent, &budget)
                      : fa_budget_set_tag(allocator_, tags_[account], intent, &budget),
                  FA_OK);
    }

    void SetSome() {
        const size_t account = random_.Below(kTags + 1);
        const fa_intent intent =
            static_cast<fa_intent>(account == kThread ? 1 + random_.Below(2) : random_.Below(4));
        if (account == 0 && intent == FA_INTENT_FRAME)
            return;
        Limit limit;
        const bool promotable = intent == FA_INTENT_FRAME || intent == FA_INTENT_POOL;
        const fa_budget_policy policies[] = {FA_BUDGET_FAIL, FA_BUDGET_WARN, FA_BUDGET_ALLOW,
                                             FA_BUDGET_ASK, FA_BUDGET_PROMOTE};
        const fa_budget_answer answers[] = {FA_BUDGET_ANSWER_FAIL, FA_BUDGET_ANSWER_ALLOW,
                                            FA_BUDGET_ANSWER_RETRY, FA_BUDGET_ANSWER_PROMOTE};
        limit.policy = policies[random_.Below(promotable ? 5 : 4)];
        limit.answer = answers[random_.Below(4)];
        if (!random_.OneIn(4))
            limit.hard = ledger_.accounts[account].Used(intent) + random_.Size(60000);
        Set(account, intent, limit);
    }

    size_t Now() const { return stack_.empty() ? 0 : stack_.back(); }
    size_t ClassOf(size_t size) {
        const size_t with_guard = size + (guarded_ ? 16 : 0);
        return with_guard > 4096 ? 0 : fa_pool_class_size(plain_, with_guard);
    }
    // What the pool would charge, and in which intent.
    Outcome ChargePool(size_t size, Block *block) {
        const size_t bytes = ClassOf(size);
        if (bytes != 0) {
            const Outcome outcome = ledger_.Charge(Now(), FA_INTENT_POOL, bytes);
            block->intent = FA_INTENT_POOL;
            block->charged = bytes;
            if (outcome != Outcome::kPromoted)
                return outcome;
        }
        block->intent = FA_INTENT_HEAP;
        block->charged = size;
        return ledger_.Charge(Now(), FA_INTENT_HEAP, size);
    }
    Outcome ChargeFrame(size_t size, Block *block) {
        const size_t rounded = (size + 15) & ~static_cast<size_t>(15);
        block->intent = FA_INTENT_FRAME;
        block->charged = rounded + frame_extra_;
        const Outcome outcome = ledger_.Charge(Now(), FA_INTENT_FRAME, block->charged);
        if (outcome != Outcome::kPromoted)
            return outcome;
        return ChargePool(size, block); /* it refuses as for a request of its own */
    }

    // Compares what the model expects with what came.
    void Expect(Outcome outcome, Block block, bool in_frame) {
        ASSERT_EQ(block.address != nullptr, outcome == Outcome::kServed)
            << "size " << block.size << " intent " << block.intent << " tag " << block.tag;
        if (block.address == nullptr) {
            refused_++;
            EXPECT_EQ(fa_last_error().diag, FA_DIAG_FA302);
            return;
        }
        EXPECT_EQ(fa_intent_of(allocator_, block.address), block.intent);
        block.mark = ++count_;
        Paint(block.address, block.mark, block.size);
        if (!in_frame)
            blocks_.push_back(block);
        else if (block.intent == FA_INTENT_FRAME)
            frame_blocks_.push_back(block);
        else
            promoted_.push_back(block);
        promoted_count_ += in_frame && block.intent != FA_INTENT_FRAME;
    }

    void Alloc() {
        Block block = {nullptr, random_.Size(random_.OneIn(30) ? 50000 : 3000), 0, Now(), {}, 0};
        Outcome outcome;
        switch (random_.Below(open_ ? 3 : 2)) {
        case 0:
            outcome = ledger_.Charge(Now(), FA_INTENT_HEAP, block.size);
            block.intent = FA_INTENT_HEAP;
            block.charged = block.size;
            block.address = fa_heap_alloc(allocator_, block.size);
            return Expect(outcome, block, false);
        case 1:
            outcome = ChargePool(block.size, &block);
            block.address = fa_pool_alloc(allocator_, block.size);
            return Expect(outcome, block, false);
        default:
            outcome = ChargeFrame(block.size, &block);
            block.address = fa_frame_alloc(allocator_, block.size);
            return Expect(outcome, block, true);
        }
    }

    void Gone(const Block &block) { ledger_.Discharge(block.tag, block.intent, block.charged); }

    void Free() {
        if (blocks_.empty())
            return;
        const size_t victim = random_.Below(blocks_.size());
        const Block block = blocks_[victim];
        EXPECT_TRUE(IsPainted(block.address, block.mark, block.size));
        blocks_[victim] = blocks_.back();
        blocks_.pop_back();
        if (random_.OneIn(8))
            OnThread([&] { fa_free(allocator_, block.address); });
        else
            fa_free(allocator_, block.address);
        Gone(block);
    }

    void Rewind() {
        const size_t to = random_.Below(marks_.size());
        const Mark mark = marks_[to];
        EXPECT_EQ(fa_frame_rewind(allocator_, mark.mark), FA_OK);
        marks_.resize(to + 1);
        Shrink(mark.blocks, mark.promoted);
        for (size_t i = 0; i <= kTags; i++)
            EXPECT_EQ(ledger_.accounts[i].used[FA_INTENT_FRAME], mark.frame_used[i]);
    }
    void Shrink(size_t blocks, size_t promoted) {
        for (; frame_blocks_.size() > blocks; frame_blocks_.pop_back())
            Gone(frame_blocks_.back());
        for (; promoted_.size() > promoted; promoted_.pop_back())
            Gone(promoted_.back());
    }
    void SetMark() {
        Mark mark = {fa_frame_mark(allocator_), {}, frame_blocks_.size(), promoted_.size()};
        for (size_t i = 0; i <= kTags; i++)
            mark.frame_used[i] = ledger_.accounts[i].used[FA_INTENT_FRAME];
        marks_.push_back(mark);
    }
    void EndFrame() {
        for (const std::vector<Block> *blocks : {&frame_blocks_, &promoted_})
            for (const Block &block : *blocks)
                EXPECT_TRUE(IsPainted(block.address, block.mark, block.size));
        EXPECT_EQ(fa_frame_end(allocator_), FA_OK);
        Shrink(0, 0);
        marks_.clear();
        open_ = false;
    }

    void Step() {
        const size_t choice = random_.Below(100);
        if (choice < 50) {
            Alloc();
        } else if (choice < 70) {
            Free();
        } else if (choice < 78 && stack_.size() < 6) {
            stack_.push_back(random_.Below(kTags));
            EXPECT_EQ(fa_tag_enter(allocator_, tags_[stack_.back()]), FA_OK);
        } else if (choice < 86 && !stack_.empty()) {
            stack_.pop_back();
            EXPECT_EQ(fa_tag_leave(allocator_), FA_OK);
        } else if (choice < 90) {
            SetSome();
        } else if (choice < 93 && open_) {
            SetMark();
        } else if (choice < 96 && !marks_.empty()) {
            Rewind();
        } else if (choice < 99 && !open_) {
            EXPECT_NE(fa_frame_begin(allocator_), nullptr);
            open_ = true;
        } else if (open_) {
            EndFrame();
        }
    }

    // Nothing may be kept in advance that is counted when this is called.
    void Check() {
        fa_allocator_trim(allocator_);
        for (size_t i = 0; i < kTags; i++) {
            const Account &account = ledger_.accounts[i];
            EXPECT_EQ(Used(allocator_, FA_INTENT_HEAP, tags_[i]), account.used[FA_INTENT_HEAP]);
            EXPECT_EQ(Used(allocator_, FA_INTENT_POOL, tags_[i]), account.used[FA_INTENT_POOL]);
            EXPECT_GE(Used(allocator_, FA_INTENT_FRAME, tags_[i]), account.used[FA_INTENT_FRAME]);
            EXPECT_LE(Used(allocator_, FA_INTENT_FRAME, tags_[i]),
                      account.used[FA_INTENT_FRAME] + (16 << 10));
        }
        EXPECT_EQ(ThreadUsage(allocator_, FA_INTENT_POOL).used,
                  ledger_.accounts[kThread].used[FA_INTENT_POOL]);
        ExpectValid(allocator_);
    }

    void Finish() {
        if (open_)
            EndFrame();
        for (const Block &block : blocks_)
            fa_free(allocator_, block.address);
        fa_allocator_trim(allocator_);
        for (fa_tag tag : tags_)
            for (fa_intent intent : {kTotal, FA_INTENT_FRAME, FA_INTENT_POOL, FA_INTENT_HEAP})
                EXPECT_EQ(Used(allocator_, intent, tag), 0u);
        ExpectValid(allocator_);
    }

    Random random_;
    Allocator allocator_, plain_;
    const bool guarded_;
    std::array<fa_tag, kTags> tags_{};
    Ledger ledger_;
    std::vector<size_t> stack_;
    std::vector<Block> blocks_, frame_blocks_, promoted_;
    std::vector<Mark> marks_;
    size_t frame_extra_ = 0;
    uint64_t count_ = 0;
    bool open_ = false;
    size_t refused_ = 0, promoted_count_ = 0;
};

} // namespace

TEST(BudgetModel, Default) { Model(Plain()).Run(40000); }

TEST(BudgetModel, Small) { Model(Plain(fa_alloc_config_minimal())).Run(40000); }

TEST(BudgetModel, Checked) {
    fa_alloc_config config = Plain(fa_alloc_config_minimal());
    config.checks = FA_CHECK_ALL;
    Model(config).Run(20000);
}
