// Magazines: how many objects a thread takes from its slabs at once, and how many it gives back.
#include "fa/testing_budgets.hpp"

#include <algorithm>

using namespace fa_testing;

namespace {

// Objects of one class, with what they are charged for.
class MagazineTest : public testing::Test {
  protected:
    fa_alloc_config config_ = Config();
    std::vector<void *> blocks_;

    void SetUp() override {
        if (kAsan)
            GTEST_SKIP() << "nothing is kept ready";
    }
    // Objects that lie in no slab: live ones and those that are ready.
    static size_t Out(fa_allocator *allocator, size_t size, fa_tag tag = FA_TAG_ROOT) {
        return Used(allocator, FA_INTENT_POOL, tag) / size;
    }
    void Take(fa_allocator *allocator, size_t size, size_t count) {
        while (count-- != 0) {
            blocks_.push_back(fa_pool_alloc(allocator, size));
            ASSERT_NE(blocks_.back(), nullptr);
        }
    }
    void GiveAll(fa_allocator *allocator) {
        for (void *block : blocks_)
            fa_pool_free(allocator, block);
        blocks_.clear();
    }
    // How many objects each of so many refills takes.
    std::vector<size_t> Refills(fa_allocator *allocator, size_t size, fa_tag tag, size_t count) {
        std::vector<size_t> taken;
        while (taken.size() < count) {
            const size_t before = Out(allocator, size, tag);
            Take(allocator, size, before - blocks_.size() + 1);
            taken.push_back(Out(allocator, size, tag) - before);
        }
        return taken;
    }
};

} // namespace

TEST_F(MagazineTest, TakesHalfOfWhatItHolds) {
    struct {
        size_t bytes, size, refill;
    } const cases[] = {{64 << 10, 1024, 32}, {64 << 10, 16, 512}, {0, 64, 4}, {1 << 20, 64, 512}};
    for (const auto &each : cases) {
        config_.pool_magazine_bytes = each.bytes;
        config_.pool_magazine_count_max = 1024;
        Tracked allocator(config_);
        const std::vector<size_t> expected(3, each.refill);
        EXPECT_EQ(Refills(allocator, each.size, FA_TAG_ROOT, 3), expected) << each.size;
        GiveAll(allocator);
    }
}

// Many tags share a thread: each starts small.
TEST_F(MagazineTest, OfATagStartsSmallAndDoubles) {
    Tracked allocator(config_);
    const fa_tag ai = fa_tag_intern(allocator, "ai");
    for (int round = 0; round < 2; round++) {
        OnThread([&] {
            EXPECT_EQ(fa_tag_enter(allocator, ai), FA_OK);
            const std::vector<size_t> expected = {8, 16, 32, 32};
            EXPECT_EQ(Refills(allocator, 64, ai, 4), expected);
            GiveAll(allocator);
            EXPECT_EQ(fa_tag_leave(allocator), FA_OK);
        });
        EXPECT_EQ(Out(allocator, 64), 0u) << "the next user of the state starts small again";
    }
}

TEST_F(MagazineTest, GivesHalfBackWhenItIsFull) {
    config_.pool_magazine_bytes = 64 << 10;
    Tracked allocator(config_);
    Take(allocator, 1024, 200);
    const size_t most = Out(allocator, 1024), ready = most - 200;
    size_t freed = 0;
    for (; Out(allocator, 1024) == most; freed++) {
        fa_pool_free(allocator, blocks_.back());
        blocks_.pop_back();
        ASSERT_LE(ready + freed, 64u);
    }
    EXPECT_EQ(ready + freed, 64u + 1) << "it was full";
    EXPECT_EQ(Out(allocator, 1024), most - 32);
    GiveAll(allocator);
    EXPECT_LE(Out(allocator, 1024), 64u);
    EXPECT_GE(Out(allocator, 1024), 32u);
}

TEST_F(MagazineTest, WhatOthersFreedComesBeforeTheSlabs) {
    config_.pool_magazine_bytes = 64 << 10;
    Tracked allocator(config_);
    Take(allocator, 1024, 96);
    const size_t out = Out(allocator, 1024);
    ASSERT_EQ(out, 96u) << "nothing is ready";
    std::vector<void *> back(blocks_.end() - 10, blocks_.end());
    blocks_.resize(86);
    OnThread([&] {
        for (void *block : back)
            fa_pool_free(allocator, block);
    });
    EXPECT_EQ(Out(allocator, 1024), out) << "charged until its owner has it";
    Take(allocator, 1024, 10);
    EXPECT_EQ(Out(allocator, 1024), out);
    std::vector<void *> again(blocks_.end() - 10, blocks_.end());
    std::sort(back.begin(), back.end());
    std::sort(again.begin(), again.end());
    EXPECT_EQ(again, back);
    GiveAll(allocator);
}

// An object that was freed twice shows when the frame's end trims the pools: in the middle of it.
TEST_F(MagazineTest, TheHookOfATrimCantBeginAFrame) {
    struct State {
        fa_allocator *allocator = nullptr;
        size_t reported = 0, begun = 0;
    } state;
    config_.pool_trim_after = 1;
    config_.on_event = [](void *user, const fa_event *event) {
        State *self = static_cast<State *>(user);
        if (event->diag != FA_DIAG_FA602)
            return;
        self->reported++;
        self->begun += fa_frame_begin(self->allocator) != nullptr;
    };
    config_.on_event_user = &state;
    Allocator allocator(config_);
    state.allocator = allocator;
    void *block = fa_pool_alloc(allocator, 64);
    fa_pool_free(allocator, block);
    fa_pool_free(allocator, block);
    for (int frame = 0; frame < 4; frame++) {
        ASSERT_NE(fa_frame_begin(allocator), nullptr);
        EXPECT_EQ(fa_frame_end(allocator), FA_OK);
        EXPECT_EQ(fa_frame_current(allocator), nullptr);
    }
    EXPECT_EQ(state.reported, 1u);
    EXPECT_EQ(state.begun, 0u);
}

TEST_F(MagazineTest, NearALimitItTakesWhatIsLeft) {
    for (bool of_thread : {false, true}) {
        config_.pool_magazine_bytes = 64 << 10;
        Tracked allocator(config_);
        Take(allocator, 1024, 32);
        const fa_budget budget = Hard(32 * 1024 + 3 * 1024 + 1023);
        ASSERT_EQ(of_thread ? fa_budget_set_thread(allocator, FA_INTENT_POOL, &budget)
                            : fa_budget_set(allocator, FA_INTENT_POOL, &budget),
                  FA_OK);
        Take(allocator, 1024, 1);
        EXPECT_EQ(Out(allocator, 1024), 35u);
        Take(allocator, 1024, 2);
        EXPECT_REFUSED(fa_pool_alloc(allocator, 1024));
        GiveAll(allocator);
    }
}

TEST(Magazine, AWatchedAllocatorKeepsNothingReady) {
    Tracked allocator(Config(FA_CHECK_FREE));
    std::vector<void *> blocks = {fa_pool_alloc(allocator, 64)};
    const size_t each = Used(allocator, FA_INTENT_POOL);
    EXPECT_LT(each, 2 * 128u);
    for (size_t count = 2; count <= 20; count++) {
        blocks.push_back(fa_pool_alloc(allocator, 64));
        EXPECT_EQ(Used(allocator, FA_INTENT_POOL), count * each);
    }
    OnThread([&] { fa_pool_free(allocator, blocks.back()); });
    blocks.pop_back();
    while (!blocks.empty()) {
        EXPECT_EQ(Used(allocator, FA_INTENT_POOL), blocks.size() * each);
        fa_pool_free(allocator, blocks.back());
        blocks.pop_back();
    }
    EXPECT_EQ(Used(allocator, FA_INTENT_POOL), 0u);
}
