// The end of typed pools and object caches whose callbacks use them: every object that was made is
// ended, and nothing is touched after it went.
#include "fa/testing_threads.hpp"

#include <atomic>

using namespace fa_testing;

namespace {

struct Node {
    Node *peer;
    int number;
};
FA_TYPED_POOL(nodes, Node)
FA_OBJECT_CACHE(node_cache, Node)

// What the callbacks of a test count and work with.
struct World {
    std::atomic<int> made{0}, ended{0};
    nodes pool = {};
    node_cache cache = {};
    int refused = 0;

    static fa_status Construct(void *user, void *object) {
        auto *world = static_cast<World *>(user);
        *static_cast<Node *>(object) = Node{nullptr, ++world->made};
        return FA_OK;
    }
    static void Destruct(void *user, void *) { static_cast<World *>(user)->ended++; }
};

// Gives its peer back to the cache.
void ReleasePeer(void *user, void *object) {
    auto *world = static_cast<World *>(user);
    Node *peer = static_cast<Node *>(object)->peer;
    world->ended++;
    if (peer != nullptr) {
        EXPECT_EQ(node_cache_release(world->cache, peer), FA_OK);
    }
}

template <typename Config> Config With(World *world, fa_destruct_fn *destruct) {
    Config config = {};
    config.construct = World::Construct;
    config.destruct = destruct;
    config.user = world;
    return config;
}

class TypedEnd : public testing::TestWithParam<uint32_t> {
  protected:
    World world_;
    Tracked allocator_{fa_testing::Config(GetParam())};
};

INSTANTIATE_TEST_SUITE_P(Checks, TypedEnd, testing::Values(0u, uint32_t{FA_CHECK_ALL}));

} // namespace

TEST_P(TypedEnd, ADestructorReleasesIntoTheCacheThatEnds) {
    auto config = With<fa_object_cache_config>(&world_, ReleasePeer);
    ASSERT_EQ(node_cache_create(allocator_, &config, &world_.cache), FA_OK);
    Node *first = node_cache_acquire(world_.cache), *second = node_cache_acquire(world_.cache);
    Node *idle = node_cache_acquire(world_.cache);
    first->peer = second;
    EXPECT_EQ(node_cache_release(world_.cache, idle), FA_OK);
    EXPECT_EQ(node_cache_destroy(world_.cache), 2u) << "those that were out";
    EXPECT_EQ(world_.made, 3);
    EXPECT_EQ(world_.ended, 3);
}

TEST_P(TypedEnd, ADestructorAcquiresFromThePoolThatEnds) {
    auto config = With<fa_typed_pool_config>(&world_, [](void *user, void *) {
        auto *world = static_cast<World *>(user);
        world->ended++;
        fa_last_error_clear();
        world->refused += nodes_acquire(world->pool) == nullptr;
        EXPECT_EQ(fa_last_error().status, FA_ERROR_FULL);
    });
    ASSERT_EQ(nodes_create(allocator_, &config, &world_.pool), FA_OK);
    for (int i = 0; i < 2; i++)
        ASSERT_NE(nodes_acquire(world_.pool), nullptr);
    EXPECT_EQ(nodes_destroy(world_.pool), 2u);
    EXPECT_EQ(world_.made, 2);
    EXPECT_EQ(world_.ended, 2);
    EXPECT_EQ(world_.refused, 2);
}

TEST_P(TypedEnd, ADestructorAcquiresFromTheCacheThatEnds) {
    auto config = With<fa_object_cache_config>(&world_, [](void *user, void *) {
        auto *world = static_cast<World *>(user);
        world->ended++;
        world->refused += node_cache_acquire(world->cache) == nullptr;
    });
    ASSERT_EQ(node_cache_create(allocator_, &config, &world_.cache), FA_OK);
    Node *out = node_cache_acquire(world_.cache), *idle[2];
    for (Node *&each : idle)
        each = node_cache_acquire(world_.cache);
    for (Node *each : idle)
        EXPECT_EQ(node_cache_release(world_.cache, each), FA_OK);
    EXPECT_NE(out, nullptr);
    EXPECT_EQ(node_cache_destroy(world_.cache), 1u);
    EXPECT_EQ(world_.ended, world_.made);
    EXPECT_EQ(world_.refused, 3);
}

TEST_P(TypedEnd, ALoopIsLeftOnceItsPoolIsGone) {
    ASSERT_EQ(nodes_create(allocator_, nullptr, &world_.pool), FA_OK);
    for (int i = 0; i < 10; i++)
        ASSERT_NE(nodes_acquire(world_.pool), nullptr);
    int seen = 0;
    FA_TYPED_EACH (node, world_.pool) {
        seen += node != nullptr;
        EXPECT_EQ(nodes_destroy(world_.pool), 10u);
        break;
    }
    EXPECT_EQ(seen, 1);
}

// A thread is inside of the cache's reclaimer, on its way through a destructor, while another one,
// inside of a reclaimer of another allocator, ends the cache: that waits.
TEST(TypedEndThreads, ACacheIsNotFreedWhileItsReclaimerRuns) {
    fa_alloc_config config = Plain(fa_alloc_config_minimal());
    config.bytes_max = 1 << 20;
    Allocator allocator(config), other(config);
    struct State {
        node_cache cache = {};
        std::atomic<bool> inside{false}, destroying{false}, destroyed{false};
        std::atomic<int> ended{0}, early{0};
    } state;
    fa_object_cache_config made = {};
    made.is_shared = made.is_reclaimed = true;
    made.user = &state;
    made.destruct = [](void *user, void *) {
        auto *self = static_cast<State *>(user);
        self->inside = true;
        while (!self->destroying)
            std::this_thread::yield();
        for (int i = 0; i < 1000; i++) // time for the other thread to be too early
            std::this_thread::yield();
        self->early += self->destroyed;
        self->ended++;
    };
    ASSERT_EQ(node_cache_create(allocator, &made, &state.cache), FA_OK);
    Node *both[] = {node_cache_acquire(state.cache), node_cache_acquire(state.cache)};
    for (Node *each : both)
        ASSERT_EQ(node_cache_release(state.cache, each), FA_OK);
    std::thread reclaiming([&] { EXPECT_EQ(fa_heap_alloc(allocator, 2 << 20), nullptr); });
    while (!state.inside)
        std::this_thread::yield();
    ASSERT_EQ(fa_reclaimer_add(
                  other, 0,
                  [](void *user, fa_allocator *, size_t) -> size_t {
                      auto *self = static_cast<State *>(user);
                      self->destroying = true;
                      EXPECT_EQ(node_cache_destroy(self->cache), 0u);
                      self->destroyed = true;
                      return 0;
                  },
                  &state),
              FA_OK);
    EXPECT_EQ(fa_heap_alloc(other, 2 << 20), nullptr);
    reclaiming.join();
    EXPECT_EQ(state.ended, 2);
    EXPECT_EQ(state.early, 0);
}

// Each from inside of itself, at the same time.
TEST(TypedEndThreads, ReclaimersThatRemoveEachOtherGoOn) {
    fa_alloc_config config = Plain(fa_alloc_config_minimal());
    config.bytes_max = 1 << 20;
    struct Side {
        Allocator allocator;
        Side *other = nullptr;
        std::atomic<bool> inside{false};
        explicit Side(const fa_alloc_config &made) : allocator(made) {}
        static size_t Reclaim(void *user, fa_allocator *, size_t) {
            auto *self = static_cast<Side *>(user);
            self->inside = true;
            while (!self->other->inside)
                std::this_thread::yield();
            EXPECT_EQ(fa_reclaimer_remove(self->other->allocator, Reclaim, self->other), FA_OK);
            return 0;
        }
    } left(config), right(config);
    left.other = &right;
    right.other = &left;
    for (Side *side : {&left, &right})
        ASSERT_EQ(fa_reclaimer_add(side->allocator, 0, Side::Reclaim, side), FA_OK);
    std::thread thread([&] { EXPECT_EQ(fa_heap_alloc(left.allocator, 2 << 20), nullptr); });
    EXPECT_EQ(fa_heap_alloc(right.allocator, 2 << 20), nullptr);
    thread.join();
    for (Side *side : {&left, &right}) // they are gone
        EXPECT_EQ(fa_reclaimer_remove(side->allocator, Side::Reclaim, side), FA_ERROR_INVALID);
}

// One object is idle, another one's slab is empty: ending the idle one frees memory or not, but the
// slab goes either way.
TEST(TypedEndReclaim, WhatWentBackIsCountedInSlabs) {
    struct Large {
        char bytes[1 << 20];
    };
    fa_alloc_config config = Plain(fa_alloc_config_minimal());
    config.bytes_max = 8 << 20;
    Allocator allocator(config);
    fa_object_cache_config made = {};
    made.size = sizeof(Large);
    made.idle_count_max = 1;
    made.is_shared = made.is_reclaimed = true;
    fa_object_cache *cache = nullptr;
    ASSERT_EQ(fa_object_cache_create(allocator, &made, &cache), FA_OK);
    void *first = fa_object_cache_acquire(cache), *second = fa_object_cache_acquire(cache);
    ASSERT_EQ(fa_object_cache_release(cache, first), FA_OK);
    ASSERT_EQ(fa_object_cache_release(cache, second), FA_OK); // is ended: its slab stays, empty
    ASSERT_NE(fa_object_cache_acquire(cache), nullptr);
    size_t room = 8;
    void *block;
    for (size_t i = 0; i < room && (block = fa_heap_alloc(allocator, 1 << 20)) != nullptr;)
        i++;
    fa_object_cache_stats stats;
    ASSERT_EQ(fa_object_cache_stats_get(cache, &stats), FA_OK);
    EXPECT_LT(stats.bytes_held, size_t{3} << 19) << "the reclaimer gave one slab back";
    EXPECT_EQ(fa_heap_alloc(allocator, 1 << 20), nullptr);
    EXPECT_GE(Stats(allocator).heap_live_bytes, size_t{6} << 20) << "and that slab was used";
}
