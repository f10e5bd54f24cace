// The end of an allocator whose destructors and callbacks use what else it owns, older and newer.
#include "fa/testing_threads.hpp"

using namespace fa_testing;

namespace {

struct Item {
    int number;
};
FA_TYPED_POOL(items, Item)
FA_OBJECT_CACHE(item_cache, Item)

// One of each, and what the destructors of a test do with all of them.
struct World {
    fa_allocator *allocator = nullptr;
    items older = {}, newer = {};
    item_cache cache = {};
    fa_group group = {nullptr, 0};
    Item *item = nullptr, *cached = nullptr;
    int ended = 0, ended_item = 0, refused = 0, group_ended = 0;

    void UseAll() {
        (void)items_release(newer, item); // FA640 where that was ended before
        (void)item_cache_release(cache, cached);
        refused += items_acquire(newer) == nullptr;
        refused += item_cache_acquire(cache) == nullptr;
        EXPECT_EQ(items_count(newer), 0u);
        if (fa_group_is_open(group)) {
            EXPECT_NE(fa_group_alloc(group, 100), nullptr);
        }
        EXPECT_EQ(fa_validate(allocator, nullptr), FA_OK);
    }
};

void CountItem(void *user, void *) { static_cast<World *>(user)->ended_item++; }

class OwnedOrder : public testing::TestWithParam<uint32_t> {
  protected:
    void MakeNewer() {
        fa_typed_pool_config config = {};
        config.destruct = CountItem;
        config.user = &world_;
        EXPECT_EQ(items_create(allocator_, &config, &world_.newer), FA_OK);
        fa_object_cache_config cached = {};
        cached.destruct = CountItem;
        cached.user = &world_;
        EXPECT_EQ(item_cache_create(allocator_, &cached, &world_.cache), FA_OK);
        world_.item = items_acquire(world_.newer);
        world_.cached = item_cache_acquire(world_.cache);
        EXPECT_TRUE(world_.item != nullptr && world_.cached != nullptr);
    }
    fa_alloc_config Watched() {
        fa_alloc_config config = fa_testing::Config(GetParam());
        events_.Watch(&config);
        return config;
    }
    Events events_;
    fa_alloc_config config_ = Watched();
    Tracked allocator_{config_};
    World world_;
    void SetUp() override { world_.allocator = allocator_; }
};

INSTANTIATE_TEST_SUITE_P(Checks, OwnedOrder, testing::Values(0u, uint32_t{FA_CHECK_ALL}));

} // namespace

TEST_P(OwnedOrder, AnOlderPoolUsesNewerThings) {
    fa_typed_pool_config config = {};
    config.user = &world_;
    config.destruct = [](void *user, void *) {
        auto *world = static_cast<World *>(user);
        world->ended++;
        world->UseAll();
    };
    ASSERT_EQ(items_create(allocator_, &config, &world_.older), FA_OK);
    ASSERT_NE(items_acquire(world_.older), nullptr);
    MakeNewer();
    EXPECT_EQ(allocator_.Destroy(), 0u);
    EXPECT_EQ(world_.ended, 1);
    EXPECT_EQ(world_.ended_item, 2) << "each once";
    EXPECT_EQ(world_.refused, 2);
    EXPECT_EQ(events_.Count(FA_DIAG_FA640), 2u);
}

TEST_P(OwnedOrder, AnOlderGroupUsesNewerThings) {
    world_.group = fa_group_create(allocator_, "older");
    ASSERT_EQ(fa_group_defer(
                  world_.group,
                  [](void *argument) {
                      auto *world = static_cast<World *>(argument);
                      world->group_ended++;
                      world->UseAll();
                  },
                  &world_),
              FA_OK);
    MakeNewer();
    EXPECT_EQ(allocator_.Destroy(), 0u);
    EXPECT_EQ(world_.group_ended, 1);
    EXPECT_EQ(world_.ended_item, 2);
    EXPECT_EQ(world_.refused, 2);
}

// What an older owner's destructor leaves to a newer group is run as well.
TEST_P(OwnedOrder, WhatComesLateRunsToo) {
    fa_typed_pool_config config = {};
    config.user = &world_;
    config.destruct = [](void *user, void *) {
        auto *world = static_cast<World *>(user);
        world->ended++;
        EXPECT_EQ(fa_group_defer(
                      world->group,
                      [](void *argument) { static_cast<World *>(argument)->group_ended++; }, world),
                  FA_OK);
        // And one that is made now.
        fa_group late = fa_group_create(world->allocator, "late");
        EXPECT_EQ(
            fa_group_defer(
                late, [](void *argument) { static_cast<World *>(argument)->group_ended++; }, world),
            FA_OK);
    };
    ASSERT_EQ(items_create(allocator_, &config, &world_.older), FA_OK);
    ASSERT_NE(items_acquire(world_.older), nullptr);
    world_.group = fa_group_create(allocator_, "newer");
    EXPECT_EQ(allocator_.Destroy(), 0u);
    EXPECT_EQ(world_.ended, 1);
    EXPECT_EQ(world_.group_ended, 2);
}

// A destructor may end others itself.
TEST_P(OwnedOrder, ADestructorDestroysAnotherPool) {
    MakeNewer();
    fa_typed_pool_config config = {};
    config.user = &world_;
    config.destruct = [](void *user, void *) {
        auto *world = static_cast<World *>(user);
        world->ended++;
        EXPECT_EQ(items_destroy(world->newer), 1u);
        EXPECT_EQ(item_cache_destroy(world->cache), 1u);
    };
    ASSERT_EQ(items_create(allocator_, &config, &world_.older), FA_OK); // the newest, here
    ASSERT_NE(items_acquire(world_.older), nullptr);
    EXPECT_EQ(allocator_.Destroy(), 0u);
    EXPECT_EQ(world_.ended, 1);
    EXPECT_EQ(world_.ended_item, 2);
}
