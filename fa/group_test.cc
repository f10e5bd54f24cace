// Groups: every promise and every error of group.h.
#include "fa/testing_checked.hpp"

#include <algorithm>
#include <atomic>
#include <set>
#include <string>
#include <thread>

extern "C" {
#include "fa/internal/bump.h"
}

using namespace fa_testing;

namespace {

std::vector<int> g_destroyed; // by one thread at a time

struct Thing {
    int number;
};

void Note(void *object) { g_destroyed.push_back(static_cast<Thing *>(object)->number); }

fa_group_stats GroupStats(fa_group group) {
    fa_group_stats stats;
    EXPECT_EQ(fa_group_stats_get(group, &stats), FA_OK);
    return stats;
}

class Group : public Checked {
  protected:
    Group() { g_destroyed.clear(); }
    fa_group Create(const char *name = "group") { return fa_group_create(allocator_, name); }
    static Thing *Make(fa_group group, int number) {
        Thing *thing = fa_group_new_with(group, Thing, Note);
        EXPECT_NE(thing, nullptr);
        thing->number = number;
        return thing;
    }
};

TEST_P(Group, LivesUntilItIsFreed) {
    const fa_group group = Create();
    ASSERT_TRUE(fa_group_is_open(group));
    std::vector<std::pair<void *, size_t>> blocks;
    for (size_t i = 0; i < 500; i++) {
        const size_t size = i == 300 ? 200000 : 1 + i * 13 % 700;
        const size_t align = static_cast<size_t>(1) << (i % 13);
        void *block =
            i % 3 ? fa_group_alloc(group, size) : fa_group_alloc_aligned(group, size, align);
        ASSERT_NE(block, nullptr);
        EXPECT_TRUE(IsAligned(block, i % 3 ? 16 : align));
        Paint(block, i, size);
        blocks.emplace_back(block, size);
    }
    for (size_t i = 0; i < blocks.size(); i++)
        EXPECT_TRUE(IsPainted(blocks[i].first, i, blocks[i].second));
    ExpectValid(allocator_);
    const fa_group_stats stats = GroupStats(group);
    EXPECT_STREQ(stats.name, "group");
    EXPECT_EQ(stats.object_count, kCounted ? 500u : 0u);
    EXPECT_EQ(stats.destructor_count, 0u);
    EXPECT_GE(stats.bytes, 300000u);
    EXPECT_GE(stats.bytes_held, stats.bytes);
    EXPECT_EQ(fa_group_free(group), FA_OK);
    EXPECT_FALSE(fa_group_is_open(group));
    EXPECT_EQ(Stats(allocator_).heap_live_count, 1u); // the records
    EXPECT_EQ(Stats(allocator_).pool_live_count, 0u);
}

TEST_P(Group, DestructorsRunNewestFirst) {
    const fa_group group = Create();
    for (int i = 0; i < 100; i++) {
        Make(group, i);
        ASSERT_NE(fa_group_alloc(group, 1 + static_cast<size_t>(i) * 20), nullptr);
    }
    Thing outside = {100};
    EXPECT_EQ(fa_group_defer(group, Note, &outside), FA_OK);
    EXPECT_EQ(GroupStats(group).destructor_count, 101u);
    EXPECT_TRUE(g_destroyed.empty());
    EXPECT_EQ(fa_group_free(group), FA_OK);
    ASSERT_EQ(g_destroyed.size(), 101u);
    for (int i = 0; i <= 100; i++)
        EXPECT_EQ(g_destroyed[static_cast<size_t>(i)], 100 - i);
}

TEST_P(Group, ObjectsWithDestructorsAreAligned) {
    struct alignas(256) Wide {
        int number;
    };
    const fa_group group = Create();
    for (size_t align = 1; align <= FA_ALIGN_MAX; align *= 4) {
        void *object = fa_group_alloc_with(group, 100, align, [](void *at) {
            g_destroyed.push_back(static_cast<int>(static_cast<char *>(at)[99]));
        });
        ASSERT_NE(object, nullptr);
        EXPECT_TRUE(IsAligned(object, align) && IsAligned(object, 16));
        memset(object, 7, 100);
    }
    Wide *wide = fa_group_new_with(group, Wide, Note);
    wide->number = 7;
    EXPECT_TRUE(IsAligned(wide, 256));
    EXPECT_TRUE(IsAligned(fa_group_new(group, Wide), 256));
    EXPECT_TRUE(IsFilled(fa_group_array_zeroed(group, Wide, 2), 0, 2 * sizeof(Wide)));
    EXPECT_STREQ(fa_group_copy_string(group, "text"), "text");
    EXPECT_TRUE(IsFilled(fa_group_alloc_zeroed(group, 9, 9), 0, 81));
    EXPECT_EQ(fa_group_free(group), FA_OK);
    EXPECT_EQ(g_destroyed, std::vector<int>(12, 7));
}

TEST_P(Group, DestructorsMayUseEverythingButTheirGroup) {
    struct Link {
        fa_allocator *allocator;
        fa_group group, other;
        Link *before; // freed after this one
        int number;
        static void Destroy(void *object) {
            auto *link = static_cast<Link *>(object);
            EXPECT_TRUE(link->before == nullptr ||
                        link->before->number == link->number - 1); // readable
            g_destroyed.push_back(link->number);
            void *pool = fa_pool_alloc(link->allocator, 100);
            EXPECT_NE(pool, nullptr);
            fa_pool_free(link->allocator, pool);
            EXPECT_NE(fa_group_alloc(link->other, 100), nullptr);
            EXPECT_EQ(fa_group_alloc(link->group, 100), nullptr);
            EXPECT_EQ(fa_last_error().diag, FA_DIAG_FA610);
            EXPECT_EQ(fa_group_defer(link->group, Note, nullptr), FA_ERROR_FOREIGN);
            EXPECT_EQ(fa_group_free(link->group), FA_ERROR_FOREIGN); // twice
            const fa_group own = fa_group_create(link->allocator, "own");
            EXPECT_NE(own.head, link->group.head);
            EXPECT_EQ(fa_group_free(own), FA_OK);
        }
    };
    const fa_group group = Create(), other = Create("other");
    Link *before = nullptr;
    for (int i = 0; i < 20; i++) {
        Link *link = fa_group_new_with(group, Link, Link::Destroy);
        ASSERT_NE(link, nullptr);
        *link = {allocator_, group, other, before, i};
        before = link;
    }
    EXPECT_EQ(fa_group_free(group), FA_OK);
    EXPECT_EQ(g_destroyed.size(), 20u);
    EXPECT_EQ(events_.Count(FA_DIAG_FA610), 60u);
    EXPECT_EQ(fa_group_free(other), FA_OK);
}

TEST_P(Group, AFreedGroupIsRefusedForEver) {
    const fa_group group = Create();
    Make(group, 1);
    EXPECT_EQ(fa_group_free(group), FA_OK);
    fa_group others[100] = {};
    for (int round = 0; round < 2; round++) {
        events_.all.clear();
        EXPECT_EQ(fa_group_free(group), FA_ERROR_FOREIGN);
        EXPECT_EQ(fa_last_error().diag, FA_DIAG_FA610);
        EXPECT_EQ(fa_group_alloc(group, 16), nullptr);
        EXPECT_EQ(fa_group_alloc_aligned(group, 16, 64), nullptr);
        EXPECT_EQ(fa_group_alloc_with(group, 16, 16, Note), nullptr);
        EXPECT_EQ(fa_group_defer(group, Note, nullptr), FA_ERROR_FOREIGN);
        EXPECT_EQ(fa_group_copy_string(group, "text"), nullptr);
        fa_group_stats stats;
        EXPECT_EQ(fa_group_stats_get(group, &stats), FA_ERROR_FOREIGN);
        EXPECT_EQ(events_.Count(FA_DIAG_FA610), 7u);
        EXPECT_EQ(events_.all.size(), 7u);
        bool reused = false;
        for (fa_group &other : others) { // its record serves another one
            if (round == 0) {
                other = Create();
                reused |= other.head == group.head;
            }
            EXPECT_TRUE(fa_group_is_open(other));
        }
        EXPECT_EQ(reused, round == 0);
    }
    EXPECT_EQ(g_destroyed.size(), 1u);
}

TEST_P(Group, BadArgumentsChangeNothing) {
    const fa_group group = Create(nullptr);
    EXPECT_STREQ(GroupStats(group).name, "");
    const auto refused = [](const void *got) {
        EXPECT_EQ(got, nullptr);
        EXPECT_EQ(fa_last_error().status, FA_ERROR_INVALID);
        fa_last_error_clear();
    };
    for (size_t size : {size_t{0}, FA_SIZE_MAX + 1, SIZE_MAX - 15, SIZE_MAX}) {
        refused(fa_group_alloc(group, size));
        refused(fa_group_alloc_aligned(group, size, 64));
        refused(fa_group_alloc_batch(group, size, 1));
        refused(fa_group_alloc_zeroed(group, 1, size));
        refused(fa_group_alloc_with(group, size, 16, Note));
        refused(fa_group_copy(group, "", size));
    }
    for (size_t align : {size_t{0}, size_t{3}, size_t{48}, FA_ALIGN_MAX * 2}) {
        refused(fa_group_alloc_aligned(group, 16, align));
        refused(fa_group_alloc_with(group, 16, align, Note));
    }
    refused(fa_group_alloc_with(group, 16, 16, nullptr));
    refused(fa_group_array(group, int, SIZE_MAX / 2));
    refused(fa_group_copy(group, nullptr, 1));
    EXPECT_EQ(fa_group_defer(group, nullptr, nullptr), FA_ERROR_INVALID);
    EXPECT_EQ(GroupStats(group).bytes, 0u);
    EXPECT_EQ(GroupStats(group).destructor_count, 0u);
    EXPECT_EQ(fa_group_free(group), FA_OK);
    EXPECT_TRUE(g_destroyed.empty());
}

TEST_P(Group, LongNamesAreCut) {
    const fa_group group = Create("a name that is longer than a name can be");
    EXPECT_STREQ(GroupStats(group).name, "a name that is longer than a na");
}

TEST_P(Group, AreCountedAndVisited) {
    std::vector<fa_group> groups;
    for (int i = 0; i < 200; i++) {
        groups.push_back(Create(std::to_string(i).c_str()));
        ASSERT_NE(fa_group_alloc(groups.back(), 100), nullptr);
    }
    for (int i = 0; i < 200; i += 2)
        EXPECT_EQ(fa_group_free(groups[static_cast<size_t>(i)]), FA_OK);
    EXPECT_EQ(fa_group_count(allocator_), 100u);
    std::set<std::string> names;
    const auto visit = [](void *user, fa_group group, const fa_group_stats *stats) {
        EXPECT_TRUE(static_cast<std::set<std::string> *>(user)->insert(stats->name).second);
        EXPECT_GE(stats->bytes, 112u);
        EXPECT_EQ(fa_group_free(group), FA_OK); // it may do what it likes
    };
    EXPECT_EQ(fa_group_visit(allocator_, visit, &names), 100u);
    for (int i = 1; i < 200; i += 2)
        EXPECT_EQ(names.count(std::to_string(i)), 1u);
    EXPECT_EQ(fa_group_count(allocator_), 0u);
}

TEST_P(Group, DestroyFreesWhatIsLeftNewestFirst) {
    for (int i = 0; i < 50; i++)
        Make(Create(), i);
    EXPECT_EQ(fa_allocator_destroy(allocator_), 0u);
    allocator_ = nullptr;
    ASSERT_EQ(g_destroyed.size(), 50u);
    for (int i = 0; i < 50; i++)
        EXPECT_EQ(g_destroyed[static_cast<size_t>(i)], 49 - i);
}

// Destructors at the very end, that free, make and use other groups.
TEST_P(Group, DestructorsMayUseGroupsWhileTheAllocatorIsDestroyed) {
    struct Chain {
        fa_allocator *allocator;
        fa_group next;
        static void Destroy(void *object) {
            auto *chain = static_cast<Chain *>(object);
            g_destroyed.push_back(1);
            if (chain->next.head != nullptr) {
                EXPECT_EQ(fa_group_free(chain->next), FA_OK);
                Make(fa_group_create(chain->allocator, "late"), 2);
            }
        }
    };
    fa_group groups[10];
    for (int i = 0; i < 10; i++) {
        groups[i] = Create();
        Chain *chain = fa_group_new_with(groups[i], Chain, Chain::Destroy);
        ASSERT_NE(chain, nullptr);
        *chain = {allocator_, i > 0 ? groups[i - 1] : fa_group{}};
    }
    EXPECT_EQ(fa_allocator_destroy(allocator_), 0u);
    allocator_ = nullptr;
    EXPECT_EQ(std::count(g_destroyed.begin(), g_destroyed.end(), 1), 10);
    EXPECT_EQ(std::count(g_destroyed.begin(), g_destroyed.end(), 2), 9);
}

TEST_P(Group, ManySmallOnesAreCheap) {
    if (GetParam() != 0 || kAsan)
        GTEST_SKIP() << "checks take memory too";
    (void)fa_group_free(Create()); // pools and records have begun
    const auto used = [this] {
        fa_budget_usage usage = {};
        EXPECT_EQ(fa_budget_get(allocator_, FA_INTENT_HEAP, &usage), FA_OK);
        return usage.used + Stats(allocator_).pool_live_count * 256;
    };
    const size_t count = 10000, before = used();
    std::vector<fa_group> groups;
    for (size_t i = 0; i < count; i++)
        groups.push_back(Create());
    const size_t empty = (used() - before) / count;
    for (const fa_group &group : groups)
        for (int i = 0; i < 3; i++)
            ASSERT_NE(fa_group_alloc(group, 64), nullptr);
    const size_t small = (used() - before) / count;
    std::printf("bytes of an empty group: %zu, of one of 192 bytes: %zu\n", empty, small);
    EXPECT_LE(empty, 288u);
    EXPECT_LE(small, kCounted ? 544u : 288u);
    for (const fa_group &group : groups)
        EXPECT_EQ(fa_group_free(group), FA_OK);
}

TEST_P(Group, IsChargedToTheTagInWhichItGrows) {
    const fa_group group = Create();
    ASSERT_EQ(fa_tag_enter(allocator_, FA_TAG_ASSETS), FA_OK);
    ASSERT_NE(fa_group_alloc(group, 100), nullptr);
    ASSERT_NE(fa_group_alloc(group, 100000), nullptr);
    ASSERT_EQ(fa_tag_leave(allocator_), FA_OK);
    fa_tag_stats stats;
    ASSERT_EQ(fa_tag_stats_get(allocator_, FA_TAG_ASSETS, &stats), FA_OK);
    EXPECT_GE(stats.heap_live_bytes, 100000u);
    EXPECT_EQ(stats.pool_live_count, kCounted ? 1u : 0u);
    EXPECT_EQ(fa_group_free(group), FA_OK);
    ASSERT_EQ(fa_tag_stats_get(allocator_, FA_TAG_ASSETS, &stats), FA_OK);
    EXPECT_EQ(stats.heap_live_bytes, 0u);
    EXPECT_EQ(stats.pool_live_count, 0u);
}

TEST_P(Group, BudgetAndSeal) {
    const fa_group group = Create();
    ASSERT_NE(fa_group_alloc(group, 100), nullptr);
    fa_budget budget = {};
    budget.hard_bytes = Stats(allocator_).heap_live_bytes + 100000;
    ASSERT_EQ(fa_budget_set(allocator_, FA_INTENT_HEAP, &budget), FA_OK);
    size_t count = 0;
    while (count < 100 && fa_group_alloc(group, 10000) != nullptr)
        count++;
    EXPECT_GE(count, 5u);
    EXPECT_LT(count, 10u);
    EXPECT_EQ(fa_last_error().diag, FA_DIAG_FA302);
    EXPECT_LE(Stats(allocator_).heap_live_bytes, budget.hard_bytes);
    ASSERT_EQ(fa_budget_set(allocator_, FA_INTENT_HEAP, nullptr), FA_OK);
    fa_backend_seal(allocator_);
    const uint64_t calls = source_.Calls();
    EXPECT_EQ(fa_group_alloc(group, 100 << 20), nullptr);
    EXPECT_EQ(fa_last_error().status, FA_ERROR_SEALED);
    EXPECT_EQ(fa_group_alloc_with(group, 100 << 20, 16, Note), nullptr);
    EXPECT_EQ(GroupStats(group).destructor_count, 0u);
    const fa_group other = Create();
    EXPECT_NE(fa_group_alloc(other, 100), nullptr);
    EXPECT_EQ(fa_group_free(other), FA_OK);
    EXPECT_EQ(fa_group_free(group), FA_OK);
    EXPECT_EQ(source_.Calls(), calls);
}

TEST_P(Group, AnotherThreadInsideIsRefused) {
    const fa_group group = Create();
    auto *bump = reinterpret_cast<fai_bump *>(group.head);
    int somebody = 0;
    bump->user = &somebody; // as if that were a thread
    EXPECT_EQ(fa_group_alloc(group, 100), nullptr);
    EXPECT_EQ(fa_group_free(group), FA_ERROR_FOREIGN);
    EXPECT_EQ(events_.Count(FA_DIAG_FA611), 2u);
    bump->user = nullptr;
    EXPECT_NE(fa_group_alloc(group, 100), nullptr);
}

INSTANTIATE_TEST_SUITE_P(Checks, Group, testing::Values(0u, uint32_t{FA_CHECK_ALL}));

TEST(GroupThreads, MadeOnOneFreedOnAnother) {
    Tracked allocator;
    std::atomic<int> destroyed{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; t++)
        threads.emplace_back([&] {
            for (size_t i = 0; i < Rounds(800); i++) {
                fa_group group = fa_group_create(allocator, "group");
                for (int j = 0; j < 10; j++) {
                    auto **object = static_cast<std::atomic<int> **>(
                        fa_group_alloc_with(group, sizeof(void *), 8, [](void *at) {
                            (*static_cast<std::atomic<int> **>(at))->fetch_add(1);
                        }));
                    *object = &destroyed;
                    EXPECT_NE(fa_group_alloc(group, 100 + i), nullptr);
                }
                if (i % 50 != 0) {
                    EXPECT_EQ(fa_group_free(group), FA_OK);
                } else {
                    OnThread([group] { EXPECT_EQ(fa_group_free(group), FA_OK); });
                }
            }
        });
    for (size_t i = 0; i < Rounds(200); i++)
        (void)fa_group_visit(
            allocator,
            [](void *, fa_group, const fa_group_stats *stats) {
                EXPECT_STREQ(stats->name, "group");
            },
            nullptr);
    for (std::thread &thread : threads)
        thread.join();
    EXPECT_EQ(destroyed.load(), static_cast<int>(4 * Rounds(800) * 10));
    EXPECT_EQ(fa_group_count(allocator), 0u);
    allocator.Check();
}

// Two threads free one group: one of them does, and the destructors run once.
TEST(GroupThreads, OneOfTwoFrees) {
    Tracked allocator;
    std::atomic<int> destroyed{0};
    for (size_t i = 0; i < Rounds(400); i++) {
        const fa_group group = fa_group_create(allocator, "group");
        EXPECT_EQ(fa_group_defer(
                      group, [](void *at) { static_cast<std::atomic<int> *>(at)->fetch_add(1); },
                      &destroyed),
                  FA_OK);
        std::atomic<int> freed{0};
        const auto free = [&] { freed += fa_group_free(group) == FA_OK; };
        std::thread other(free);
        free();
        other.join();
        EXPECT_EQ(freed.load(), 1);
        EXPECT_EQ(destroyed.load(), static_cast<int>(i + 1));
    }
    allocator.Check();
}

#if GTEST_HAS_DEATH_TEST
TEST(GroupDeathTest, AnOverstepIsFound) {
    if (kTsan)
        GTEST_SKIP() << "forks with threads";
    fa_alloc_config config = Plain();
    config.checks = FA_CHECK_GUARD;
    Allocator allocator(config);
    const fa_group group = fa_group_create(allocator, "group");
    auto *block = static_cast<volatile char *>(fa_group_alloc(group, 100));
    EXPECT_DEATH(
        {
            block[100] = 1;
            (void)fa_group_free(group);
        },
        "FA604|use-after-poison");
}
#endif

} // namespace
