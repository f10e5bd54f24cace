// Components: what the header promises, each refusal, and what they hold of the allocator's memory.
#include "fa/testing_threads.hpp"

#include <algorithm>
#include <map>

using namespace fa_testing;

namespace {

struct Place {
    float x, y, z;
    uint32_t owner;
};
FA_COMPONENTS(places, Place)

class Components : public testing::TestWithParam<uint32_t> {
  protected:
    void SetUp() override { ASSERT_EQ(places_create(allocator_, nullptr, &set_), FA_OK); }

    void Insert(uint32_t id) {
        Place *place = nullptr;
        ASSERT_EQ(places_insert(set_, id, &place), FA_OK);
        ASSERT_NE(place, nullptr);
        place->owner = id;
    }
    fa_components_stats StatsOf() {
        fa_components_stats stats;
        EXPECT_EQ(fa_components_stats_get(set_.set, &stats), FA_OK);
        return stats;
    }
    std::vector<uint32_t> Walk() {
        std::vector<uint32_t> ids;
        FA_COMPONENTS_EACH (id, place, set_) {
            EXPECT_EQ(place->owner, id);
            EXPECT_EQ(place, places_get(set_, id));
            ids.push_back(id);
        }
        return ids;
    }
    std::vector<uint32_t> WalkRuns() {
        std::vector<uint32_t> ids;
        for (places_run run = {}; places_next_run(set_, &run);)
            for (size_t i = 0; i < run.count; i++) {
                EXPECT_EQ(run.items[i].owner, run.ids[i]);
                ids.push_back(run.ids[i]);
            }
        return ids;
    }

    Tracked allocator_{Config(GetParam())};
    places set_ = {};
};

INSTANTIATE_TEST_SUITE_P(Checks, Components, testing::Values(0u, uint32_t{FA_CHECK_ALL}));

} // namespace

TEST_P(Components, ByIdAndOneAfterTheOther) {
    EXPECT_TRUE(Walk().empty());
    EXPECT_EQ(places_get(set_, 0), nullptr);
    EXPECT_FALSE(places_remove(set_, 0));
    std::vector<uint32_t> ids;
    for (uint32_t i = 0; i < 3000; i++)
        ids.push_back(i * 7);
    for (uint32_t id : ids)
        Insert(id);
    EXPECT_EQ(places_count(set_), 3000u);
    EXPECT_EQ(Walk(), ids) << "in the order in which they came";
    EXPECT_EQ(WalkRuns(), ids);
    allocator_.Check();
    for (uint32_t id = 0; id < 21000; id++)
        EXPECT_EQ(places_get(set_, id) != nullptr, id % 7 == 0);
    for (uint32_t id = 0; id < 21000; id += 14)
        EXPECT_TRUE(places_remove(set_, id));
    for (uint32_t id = 0; id < 21000; id += 14)
        EXPECT_FALSE(places_remove(set_, id));
    EXPECT_EQ(places_count(set_), 1500u);
    std::vector<uint32_t> seen = Walk();
    EXPECT_EQ(WalkRuns(), seen);
    std::sort(seen.begin(), seen.end());
    ASSERT_EQ(seen.size(), 1500u);
    for (size_t i = 0; i < seen.size(); i++)
        EXPECT_EQ(seen[i], i * 14 + 7);
    allocator_.Check();
    EXPECT_EQ(StatsOf().bytes_held, Stats(allocator_).heap_live_bytes);
    EXPECT_EQ(StatsOf().count_peak, 3000u);
    EXPECT_EQ(places_destroy(set_), 1500u);
    EXPECT_EQ(allocator_.Live(), 0u);
}

TEST_P(Components, AnIdThatHasOneKeepsIt) {
    Insert(5);
    Place *place = places_get(set_, 5), *again = nullptr;
    fa_last_error_clear();
    EXPECT_EQ(places_insert(set_, 5, &again), FA_ERROR_EXISTS);
    EXPECT_EQ(again, place);
    EXPECT_EQ(fa_last_error().status, FA_OK);
    EXPECT_EQ(places_count(set_), 1u);
}

TEST_P(Components, AddressesHoldUntilSomethingIsRemoved) {
    std::vector<Place *> all;
    for (uint32_t id = 0; id < 5000; id++) {
        Insert(id);
        all.push_back(places_get(set_, id));
    }
    for (uint32_t id = 0; id < 5000; id++)
        EXPECT_EQ(places_get(set_, id), all[id]);
    EXPECT_TRUE(places_remove(set_, 100));
    EXPECT_EQ(places_get(set_, 4999), all[100]) << "the last one fills the gap";
    EXPECT_EQ(all[100]->owner, 4999u);
}

TEST_P(Components, LargeIdsCostNoMoreThanSmallOnes) {
    Insert(1);
    const size_t small = StatsOf().bytes_held;
    EXPECT_LT(small, 5000u);
    EXPECT_TRUE(places_remove(set_, 1));
    Insert(UINT32_MAX);
    EXPECT_EQ(StatsOf().bytes_held, small);
    std::vector<uint32_t> ids = {UINT32_MAX};
    for (uint32_t bit = 9; bit < 32; bit++)
        for (uint32_t id : {uint32_t{1} << bit, (uint32_t{1} << bit) - 1}) {
            Insert(id);
            ids.push_back(id);
        }
    for (uint32_t high = 1; high < 256; high++) {
        Insert(high << 24 | 7);
        ids.push_back(high << 24 | 7);
    }
    EXPECT_EQ(Walk(), ids);
    EXPECT_LE(StatsOf().page_count, ids.size());
    for (uint32_t id : ids)
        EXPECT_TRUE(places_remove(set_, id));
    EXPECT_EQ(StatsOf().page_count, 0u);
    EXPECT_GT(fa_components_trim(set_.set), 0u);
    EXPECT_EQ(StatsOf().capacity, 0u);
    allocator_.Check();
}

TEST_P(Components, TheCurrentOneMayBeRemoved) {
    for (uint32_t keep : {1u, 2u, 3u, 1000u, 5000u}) {
        std::map<uint32_t, int> seen;
        for (uint32_t id = 0; id < 2000; id++)
            Insert(id);
        FA_COMPONENTS_EACH (id, place, set_) {
            EXPECT_EQ(place->owner, id);
            seen[id]++;
            if (id % keep == 0) {
                EXPECT_TRUE(places_remove(set_, id));
            }
        }
        EXPECT_EQ(seen.size(), 2000u);
        for (const auto &[id, times] : seen)
            EXPECT_EQ(times, 1) << id;
        EXPECT_EQ(places_count(set_), 2000u - (2000 + keep - 1) / keep);
        allocator_.Check();
        places_clear(set_);
        allocator_.Check();
        EXPECT_TRUE(Walk().empty());
        EXPECT_EQ(places_get(set_, 1), nullptr);
    }
    // What is inserted meanwhile is seen; everything may go at once.
    Insert(0);
    uint32_t count = 0;
    FA_COMPONENTS_EACH (id, place, set_) {
        count++;
        if (id < 999)
            Insert(id + 1);
        if (count == 700)
            places_clear(set_);
    }
    EXPECT_EQ(count, 700u);
}

TEST_P(Components, BreakAndContinueAreThoseOfALoop) {
    for (uint32_t id = 0; id < 600; id++)
        Insert(id);
    size_t odd = 0, pairs = 0;
    FA_COMPONENTS_EACH (id, place, set_) {
        if (id % 2 == 0)
            continue;
        odd++;
        if (odd == 200)
            break;
    }
    EXPECT_EQ(odd, 200u);
    FA_COMPONENTS_EACH (one, first, set_)
        FA_COMPONENTS_EACH (two, second, set_) {
            if (two == one)
                break;
            pairs++;
        }
    EXPECT_EQ(pairs, 600u * 599 / 2);
}

TEST_P(Components, CapacityIsALimitAndAReserve) {
    fa_components_config config = {};
    config.count_max = config.count_reserved = 700;
    places small = {};
    ASSERT_EQ(places_create(allocator_, &config, &small), FA_OK);
    Place *place = nullptr;
    for (uint32_t id = 0; id < 700; id++)
        ASSERT_EQ(places_insert(small, id, &place), FA_OK);
    fa_last_error_clear();
    EXPECT_EQ(places_insert(small, 700, &place), FA_ERROR_FULL);
    EXPECT_EQ(place, nullptr);
    EXPECT_EQ(fa_last_error().status, FA_OK);
    EXPECT_EQ(places_insert(small, 1, &place), FA_ERROR_EXISTS);
    places_clear(small);
    fa_components_trim(small.set);
    fa_components_stats stats;
    ASSERT_EQ(fa_components_stats_get(small.set, &stats), FA_OK);
    EXPECT_GE(stats.capacity, 700u);
    EXPECT_EQ(fa_components_reserve(small.set, 701), FA_ERROR_INVALID);
    EXPECT_EQ(fa_components_reserve(small.set, 0), FA_OK);
    EXPECT_GT(fa_components_trim(small.set), 0u);
    ASSERT_EQ(fa_components_stats_get(small.set, &stats), FA_OK);
    EXPECT_EQ(stats.capacity, 0u);
    places_destroy(small);
}

TEST_P(Components, EverySizeAndAlignment) {
    for (size_t align = 1; align <= 4096; align *= 4)
        for (size_t size : {1u, 3u, 8u, 24u, 100u, 1000u, 5000u, 70000u}) {
            fa_components_config config = {};
            config.size = size;
            config.align = align;
            fa_components *set = nullptr;
            ASSERT_EQ(fa_components_create(allocator_, &config, &set), FA_OK);
            const uint32_t count = size > 1000 ? 40 : 300;
            for (uint32_t id = 0; id < count; id++) {
                void *object = nullptr;
                ASSERT_EQ(fa_components_insert(set, id * 100, &object), FA_OK);
                ASSERT_TRUE(IsAligned(object, align));
                Paint(object, id, size);
            }
            for (uint32_t id = 0; id < count; id += 3)
                ASSERT_TRUE(fa_components_remove(set, id * 100));
            for (uint32_t id = 0; id < count; id++) {
                const void *object = fa_components_get(set, id * 100);
                ASSERT_EQ(object != nullptr, id % 3 != 0);
                ASSERT_TRUE(object == nullptr || IsPainted(object, id, size));
            }
            ExpectValid(allocator_);
            fa_components_destroy(set);
        }
}

TEST_P(Components, AreChargedAndRefusedAsHeapBlocks) {
    fa_tag_stats stats;
    places tagged = {};
    ASSERT_EQ(fa_tag_enter(allocator_, FA_TAG_PHYSICS), FA_OK);
    ASSERT_EQ(places_create(allocator_, nullptr, &tagged), FA_OK);
    ASSERT_EQ(fa_tag_leave(allocator_), FA_OK);
    fa_budget most = {};
    most.hard_bytes = 50000;
    ASSERT_EQ(fa_budget_set_tag(allocator_, FA_TAG_PHYSICS, FA_INTENT_NONE, &most), FA_OK);
    Place *place = nullptr;
    uint32_t count = 0;
    while (places_insert(tagged, count * 100, &place) == FA_OK)
        place->owner = count++;
    EXPECT_EQ(fa_last_error().status, FA_ERROR_LIMIT);
    EXPECT_EQ(fa_last_error().diag, FA_DIAG_FA302);
    EXPECT_EQ(places_count(tagged), count);
    EXPECT_GT(count, 50u);
    for (uint32_t i = 0; i < count; i++)
        EXPECT_EQ(places_get(tagged, i * 100)->owner, i);
    ASSERT_EQ(fa_tag_stats_get(allocator_, FA_TAG_PHYSICS, &stats), FA_OK);
    fa_components_stats held;
    ASSERT_EQ(fa_components_stats_get(tagged.set, &held), FA_OK);
    EXPECT_EQ(stats.heap_live_bytes, held.bytes_held);
    allocator_.Check();
    places_destroy(tagged);

    ASSERT_EQ(fa_components_reserve(set_.set, 1000), FA_OK);
    fa_backend_seal(allocator_);
    for (count = 0; places_insert(set_, count * 512, &place) == FA_OK; count++)
        place->owner = count * 512;
    EXPECT_EQ(fa_last_error().status, FA_ERROR_SEALED);
    EXPECT_EQ(Walk().size(), count);
    allocator_.Check();
}

TEST(ComponentsConfig, IsChecked) {
    Allocator allocator(Plain());
    const auto refused = [&](size_t size, size_t align, size_t most, size_t reserved) {
        const fa_components_config config = {size, align, most, reserved};
        fa_components *set = reinterpret_cast<fa_components *>(&set);
        fa_last_error_clear();
        EXPECT_EQ(fa_components_create(allocator, &config, &set), FA_ERROR_INVALID);
        EXPECT_EQ(fa_last_error().status, FA_ERROR_INVALID);
        EXPECT_EQ(set, nullptr);
    };
    for (size_t size : {size_t{0}, FA_SIZE_MAX / 64 + 1, SIZE_MAX})
        refused(size, 0, 0, 0);
    for (size_t align : {size_t{3}, size_t{8192}, SIZE_MAX})
        refused(16, align, 0, 0);
    refused(16, 0, size_t{UINT32_MAX} + 1, 0);
    refused(16, 0, 10, 11);
    refused(16, 0, 0, size_t{UINT32_MAX} + 1);
    EXPECT_EQ(Stats(allocator).heap_live_count, 0u);
    // A size that no backend has.
    const fa_components_config config = {FA_SIZE_MAX / 64, 0, 0, 0};
    fa_components *set = nullptr;
    ASSERT_EQ(fa_components_create(allocator, &config, &set), FA_OK);
    void *object = &set;
    EXPECT_NE(fa_components_insert(set, 1, &object), FA_OK);
    EXPECT_EQ(object, nullptr);
    ExpectValid(allocator);
}
