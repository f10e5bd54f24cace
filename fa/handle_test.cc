// Handles: what they resolve to, and what they never resolve to; pins; sizes and alignments;
// tables.
#include "fa/testing_forks.hpp"
#include "fa/testing_handles.hpp"

#include <atomic>
#include <set>

using namespace fa_testing;

namespace {

struct Mesh {
    alignas(64) float points[12];
    int id;
};
struct Sound {
    short samples[100];
};
FA_HANDLE(mesh_handle, Mesh)
FA_HANDLE(sound_handle, Sound)

TEST_P(Handles, ResolveToTheirObjectUntilItIsFreed) {
    const fa_handle a = Make(100, 1), b = Make(100, 2);
    EXPECT_FALSE(a == b);
    EXPECT_NE(fa_handle_get(handles_, a), fa_handle_get(handles_, b));
    EXPECT_TRUE(IsPainted(fa_handle_get(handles_, a), 1, 100));
    EXPECT_TRUE(IsPainted(fa_handle_get(handles_, b), 2, 100));
    EXPECT_EQ(fa_handle_size(handles_, a), 100u);
    EXPECT_EQ(fa_handle_free(handles_, a), FA_OK);
    EXPECT_STALE(handles_, a);
    EXPECT_EQ(events_.Count(FA_DIAG_FA620), 2u);
    EXPECT_TRUE(IsPainted(fa_handle_get(handles_, b), 2, 100));
}

TEST_P(Handles, NoneIsNothing) {
    const fa_handle none = {};
    EXPECT_TRUE(fa_handle_is_none(none));
    for (int turn = 0; turn < 2; turn++) { // without a slot, and with a first one
        EXPECT_EQ(fa_handle_get(handles_, none), nullptr);
        EXPECT_EQ(fa_handle_pin(handles_, none), nullptr);
        EXPECT_EQ(fa_handle_free(handles_, none), FA_OK) << "ignored, as NULL is";
        EXPECT_EQ(fa_handle_unpin(handles_, none), FA_ERROR_FOREIGN);
        Make(16, 0);
    }
    EXPECT_EQ(HandleStats(handles_).live_count, 2u);
}

TEST_P(Handles, AnOldHandleStaysStaleWhenItsSlotIsUsedAgain) {
    std::set<uint64_t> seen;
    std::vector<fa_handle> old;
    std::set<uint32_t> indices;
    for (int i = 0; i < 5000; i++) { // more than there are slots
        const fa_handle handle = Make(40, 0);
        EXPECT_TRUE(seen.insert(KeyOf(handle)).second);
        indices.insert(handle.index);
        EXPECT_EQ(fa_handle_free(handles_, handle), FA_OK);
        old.push_back(handle);
    }
    EXPECT_EQ(indices.size(), FAI_HANDLE_BLOCK) << "each slot rests before it is used again";
    const fa_handle live = Make(40, 7);
    for (fa_handle handle : old)
        ASSERT_EQ(fa_handle_get(handles_, handle), nullptr);
    EXPECT_EQ(HandleStats(handles_).slot_count, FAI_HANDLE_BLOCK);
    EXPECT_TRUE(IsPainted(fa_handle_get(handles_, live), 7, 40));
}

TEST_P(Handles, ThoseOfOtherTablesAndAllocatorsNeverResolve) {
    Allocator other(config_);
    fa_handles *tables[] = {handles_, fa_handles_create(allocator_, nullptr),
                            fa_handles_create(other, nullptr), fa_handles_create(other, nullptr)};
    std::vector<std::pair<fa_handle, fa_handles *>> all;
    for (fa_handles *table : tables)
        for (int i = 0; i < 50; i++)
            all.push_back({fa_handle_alloc(table, 64), table});
    for (fa_handles *table : tables)
        for (const auto &[handle, home] : all) {
            if (table == home) {
                EXPECT_NE(fa_handle_get(table, handle), nullptr);
            } else {
                EXPECT_STALE(table, handle);
            }
        }
    // Nor those of a table that is gone.
    const fa_handle late = all.back().first;
    EXPECT_EQ(fa_handles_destroy(tables[3]), 50u);
    for (int i = 0; i < 3; i++) {
        fa_handles *next = fa_handles_create(other, nullptr);
        fa_handle_alloc(next, 64);
        EXPECT_EQ(fa_handle_get(next, late), nullptr);
    }
    EXPECT_EQ(fa_handles_destroy(tables[1]), 50u);
}

TEST_P(Handles, ForgedOnesResolveOnlyWhenEqualToALiveOne) {
    Random random;
    std::map<uint64_t, void *> live;
    std::vector<fa_handle> some;
    for (int i = 0; i < 3000; i++) {
        const fa_handle handle = fa_handle_alloc(handles_, 16 + random.Below(200));
        some.push_back(handle);
        if (random.OneIn(2))
            EXPECT_EQ(fa_handle_free(handles_, handle), FA_OK);
        else
            live[KeyOf(handle)] = fa_handle_get(handles_, handle);
    }
    for (size_t i = 0; i < Rounds(400000); i++) {
        fa_handle forged;
        switch (random.Below(4)) {
        case 0: // any bits
            forged = {static_cast<uint32_t>(random.Below(SIZE_MAX)),
                      static_cast<uint32_t>(random.Below(SIZE_MAX))};
            break;
        case 1: // an index that exists
            forged = {static_cast<uint32_t>(random.Below(4096)),
                      static_cast<uint32_t>(random.Below(SIZE_MAX))};
            break;
        case 2: { // one bit flipped
            forged = some[random.Below(some.size())];
            const uint64_t flipped = KeyOf(forged) ^ static_cast<uint64_t>(1) << random.Below(64);
            forged = {static_cast<uint32_t>(flipped), static_cast<uint32_t>(flipped >> 32)};
            break;
        }
        default: // the generation of another slot, or near it
            forged = {some[random.Below(some.size())].index,
                      some[random.Below(some.size())].generation +
                          static_cast<uint32_t>(random.Below(5)) - 2};
        }
        const auto found = live.find(KeyOf(forged));
        void *expected = found == live.end() ? nullptr : found->second;
        ASSERT_EQ(fa_handle_get(handles_, forged), expected) << forged.index;
        ASSERT_EQ(fa_handle_pin(handles_, forged), expected);
        if (expected != nullptr) {
            ASSERT_EQ(fa_handle_unpin(handles_, forged), FA_OK);
        }
    }
    for (uint32_t index : {0u, 1u, UINT32_MAX, UINT32_MAX - 1})
        for (uint32_t generation : {0u, 1u, UINT32_MAX})
            EXPECT_EQ(fa_handle_get(handles_, fa_handle{index, generation}), nullptr);
}

TEST_P(Handles, PinsAreCounted) {
    const fa_handle handle = Make(200, 3);
    void *address = fa_handle_pin(handles_, handle);
    EXPECT_EQ(address, fa_handle_get(handles_, handle));
    EXPECT_EQ(fa_handle_pin(handles_, handle), address);
    EXPECT_EQ(HandleStats(handles_).pinned_count, 1u);
    EXPECT_EQ(fa_handle_unpin(handles_, handle), FA_OK); // the inner one
    EXPECT_EQ(fa_handle_free(handles_, handle), FA_ERROR_INVALID) << "the outer one holds it";
    EXPECT_EQ(events_.Last(FA_DIAG_FA621).address, address);
    EXPECT_EQ(fa_handle_get(handles_, handle), address);
    EXPECT_EQ(fa_handle_unpin(handles_, handle), FA_OK);
    EXPECT_EQ(fa_handle_unpin(handles_, handle), FA_ERROR_INVALID);
    EXPECT_EQ(events_.Count(FA_DIAG_FA621), 2u);
    EXPECT_EQ(HandleStats(handles_).pinned_count, 0u);
    EXPECT_EQ(fa_handle_free(handles_, handle), FA_OK);
}

TEST_P(Handles, PinsHaveALimit) {
    const fa_handle handle = Make(16, 3);
    fai_handle_slot slot = fai_handle_find(handles_, handle);
    *slot.state += static_cast<uint64_t>(FA_HANDLE_PIN_COUNT_MAX - 1) << FAI_HANDLE_PIN_SHIFT;
    EXPECT_NE(fa_handle_pin(handles_, handle), nullptr);
    fa_last_error_clear();
    EXPECT_EQ(fa_handle_pin(handles_, handle), nullptr);
    EXPECT_EQ(fa_last_error().status, FA_ERROR_LIMIT);
    EXPECT_NE(fa_handle_get(handles_, handle), nullptr);
    EXPECT_EQ(fa_handle_unpin(handles_, handle), FA_OK);
    *slot.state -= static_cast<uint64_t>(FA_HANDLE_PIN_COUNT_MAX - 1) << FAI_HANDLE_PIN_SHIFT;
    EXPECT_EQ(fa_handle_free(handles_, handle), FA_OK);
}

TEST_P(Handles, OfEverySizeAndAlignment) {
    std::map<uint64_t, std::pair<fa_handle, size_t>> all;
    uint64_t mark = 0;
    for (size_t align = 1; align <= 16384; align *= 2)
        for (size_t size :
             {1u, 15u, 16u, 17u, 100u, 1000u, 4095u, 4096u, 8176u, 8191u, 8192u, 8193u, 70000u}) {
            const fa_handle handle = fa_handle_alloc_with(handles_, size, align, 0);
            void *address = fa_handle_get(handles_, handle);
            ASSERT_NE(address, nullptr);
            EXPECT_TRUE(IsAligned(address, align < 16 ? 16 : align)) << size << " " << align;
            EXPECT_EQ(fa_handle_size(handles_, handle), size);
            Paint(address, ++mark, size);
            all[mark] = {handle, size};
        }
    Check();
    EXPECT_GT(HandleStats(handles_).large_count, 0u);
    for (const auto &[painted, object] : all) {
        EXPECT_TRUE(IsPainted(fa_handle_get(handles_, object.first), painted, object.second));
        EXPECT_EQ(fa_handle_free(handles_, object.first), FA_OK);
    }
    EXPECT_EQ(HandleStats(handles_).bytes_used, 0u);
    EXPECT_EQ(HandleStats(handles_).large_count, 0u);
}

TEST_P(Handles, FreshMemoryIsZeroedWhenAskedFor) {
    for (size_t size : {48u, 5000u, 20000u})
        for (int turn = 0; turn < 3; turn++) {
            const fa_handle dirty = Make(size, 9);
            EXPECT_EQ(fa_handle_free(handles_, dirty), FA_OK);
            const fa_handle zeroed = fa_handle_alloc_with(handles_, size, 16, FA_HANDLE_ZEROED);
            EXPECT_TRUE(IsFilled(fa_handle_get(handles_, zeroed), 0, size));
            const fa_handle fresh = fa_handle_alloc(handles_, size);
            if ((GetParam() & FA_CHECK_FILL) != 0) {
                EXPECT_TRUE(IsFilled(fa_handle_get(handles_, fresh), FAI_FILL_FRESH, size));
            }
            EXPECT_EQ(fa_handle_free(handles_, zeroed), FA_OK);
            EXPECT_EQ(fa_handle_free(handles_, fresh), FA_OK);
        }
}

TEST_P(Handles, TypedOnesKnowTheirType) {
    const mesh_handle mesh = mesh_handle_alloc(handles_);
    const sound_handle sound = sound_handle_alloc_zeroed(handles_);
    const mesh_handle fixed = mesh_handle_alloc_fixed(handles_);
    EXPECT_FALSE(mesh_handle_is_none(mesh));
    EXPECT_TRUE(mesh_handle_is_none(mesh_handle{}));
    Mesh *at = mesh_handle_get(handles_, mesh);
    EXPECT_TRUE(IsAligned(at, 64));
    at->id = 5;
    EXPECT_EQ(mesh_handle_pin(handles_, mesh)->id, 5);
    EXPECT_EQ(mesh_handle_unpin(handles_, mesh), FA_OK);
    EXPECT_EQ(sound_handle_get(handles_, sound)->samples[99], 0);
    EXPECT_EQ(fa_handle_size(handles_, sound.raw), sizeof(Sound));
    EXPECT_EQ(HandleStats(handles_).fixed_count, 1u);
    EXPECT_EQ(mesh_handle_free(handles_, mesh), FA_OK);
    EXPECT_EQ(mesh_handle_get(handles_, mesh), nullptr);
    EXPECT_EQ(mesh_handle_free(handles_, fixed), FA_OK);
    EXPECT_EQ(sound_handle_free(handles_, sound), FA_OK);
}

TEST_P(Handles, AreVisitedInOrder) {
    std::vector<fa_handle> made;
    for (int i = 0; i < 3000; i++)
        made.push_back(Make(16 + static_cast<size_t>(i), static_cast<uint64_t>(i)));
    const fa_handle fixed = fa_handle_alloc_with(handles_, 100, 16, FA_HANDLE_FIXED);
    fa_handle_pin(handles_, made[7]);
    for (size_t i = 0; i < made.size(); i += 2)
        EXPECT_EQ(fa_handle_free(handles_, made[i]), FA_OK);
    std::vector<fa_handle_info> all;
    EXPECT_EQ(fa_handles_visit(
                  handles_,
                  [](void *user, const fa_handle_info *info) {
                      static_cast<std::vector<fa_handle_info> *>(user)->push_back(*info);
                  },
                  &all),
              1501u);
    ASSERT_EQ(all.size(), 1501u);
    for (size_t i = 0; i < 1500; i++) {
        const fa_handle handle = made[2 * i + 1];
        EXPECT_TRUE(all[i].handle == handle);
        EXPECT_EQ(all[i].size, 17 + 2 * i);
        EXPECT_EQ(all[i].address, fa_handle_get(handles_, handle));
        EXPECT_EQ(all[i].pin_count, i == 3 ? 1u : 0u);
        EXPECT_FALSE(all[i].is_fixed || all[i].is_large);
    }
    EXPECT_TRUE(all.back().handle == fixed && all.back().is_fixed);
    // The visitor may free what it sees.
    fa_handle_unpin(handles_, made[7]);
    fa_handles_visit(
        handles_,
        [](void *user, const fa_handle_info *info) {
            EXPECT_EQ(fa_handle_free(static_cast<fa_handles *>(user), info->handle), FA_OK);
        },
        handles_);
    EXPECT_EQ(HandleStats(handles_).live_count, 0u);
}

TEST_P(Handles, ASlotIsRetiredBeforeItsGenerationWraps) {
    fa_handles *old = fai_handles_create(allocator_, nullptr, FAI_HANDLE_COUNTER_MAX - 1);
    std::set<uint64_t> seen;
    size_t count = 0;
    for (; count < 3 * FAI_HANDLE_BLOCK; count++) { // each slot has two uses left
        const fa_handle handle = fa_handle_alloc(old, 32);
        ASSERT_FALSE(fa_handle_is_none(handle));
        EXPECT_TRUE(seen.insert(KeyOf(handle)).second);
        EXPECT_EQ(fa_handle_free(old, handle), FA_OK);
        EXPECT_EQ(fa_handle_get(old, handle), nullptr);
    }
    const fa_handles_stats stats = HandleStats(old);
    EXPECT_EQ(stats.slot_retired_count, FAI_HANDLE_BLOCK);
    EXPECT_EQ(stats.slot_count, 2 * FAI_HANDLE_BLOCK);
    ExpectHandleIdentities(old);
    ExpectValid(allocator_);
    fa_handles_destroy(old);
}

// A table with a limit does not die of its slots' wear.
TEST_P(Handles, OthersTakeThePlaceOfRetiredSlots) {
    fa_handles_options options = {};
    options.slot_count_max = FAI_HANDLE_BLOCK;
    fa_handles *old = fai_handles_create(allocator_, &options, FAI_HANDLE_COUNTER_MAX - 1);
    for (size_t i = 0; i < 7 * FAI_HANDLE_BLOCK + 100; i++)
        ASSERT_EQ(fa_handle_free(old, fa_handle_alloc(old, 32)), FA_OK);
    EXPECT_GE(HandleStats(old).slot_retired_count, 3u * FAI_HANDLE_BLOCK);
    size_t count = 0;
    while (!fa_handle_is_none(fa_handle_alloc(old, 32)))
        count++;
    EXPECT_EQ(count, FAI_HANDLE_BLOCK) << "as many as there may be, and no more";
    EXPECT_EQ(fa_last_error().status, FA_ERROR_FULL);
    ExpectHandleIdentities(old);
    ExpectValid(allocator_);
    EXPECT_EQ(fa_handles_destroy(old), count);
}

TEST_P(Handles, NumbersOfTablesAreUsedAgainWithNewGenerations) {
    std::set<uint64_t> seen;
    for (int i = 0; i < FA_HANDLE_TABLE_COUNT_MAX + 100; i++) {
        fa_handles *table = fa_handles_create(allocator_, nullptr);
        ASSERT_NE(table, nullptr);
        for (int j = 0; j < 2; j++) {
            const fa_handle handle = fa_handle_alloc(table, 32);
            ASSERT_TRUE(seen.insert(KeyOf(handle)).second) << "no two are ever equal";
        }
        EXPECT_EQ(fa_handles_destroy(table), 2u);
    }
}

TEST_P(Handles, TablesHaveALimit) {
    std::vector<fa_handles *> tables;
    fa_handles *table = nullptr;
    fa_last_error_clear();
    while ((table = fa_handles_create(allocator_, nullptr)) != nullptr)
        tables.push_back(table);
    EXPECT_EQ(fa_last_error().status, FA_ERROR_LIMIT);
    // Each table whose slots are used up takes its number with it.
    EXPECT_LE(tables.size() + 1, static_cast<size_t>(FA_HANDLE_TABLE_COUNT_MAX));
    EXPECT_GE(tables.size() + 5, static_cast<size_t>(FA_HANDLE_TABLE_COUNT_MAX));
    for (fa_handles *each : tables)
        EXPECT_EQ(fa_handles_destroy(each), 0u);
    table = fa_handles_create(allocator_, nullptr);
    EXPECT_NE(table, nullptr);
}

TEST_P(Handles, ATableHasItsOwnLimit) {
    fa_handles_options options = {};
    options.slot_count_max = 1000; // rounded up
    fa_handles *small = fa_handles_create(allocator_, &options);
    std::vector<fa_handle> all;
    fa_handle handle;
    events_.all.clear();
    fa_last_error_clear();
    while (!fa_handle_is_none(handle = fa_handle_alloc(small, 16 + all.size() % 9000)))
        all.push_back(handle);
    EXPECT_EQ(all.size(), 1024u);
    EXPECT_EQ(fa_last_error().status, FA_ERROR_FULL);
    EXPECT_TRUE(fa_handle_is_none(fa_handle_alloc(small, 100000)));
    EXPECT_EQ(fa_last_error().status, FA_ERROR_FULL);
    EXPECT_TRUE(events_.all.empty()) << "an answer, not an event";
    EXPECT_EQ(fa_handle_free(small, all[5]), FA_OK);
    EXPECT_FALSE(fa_handle_is_none(fa_handle_alloc(small, 100000)));
    ExpectValid(allocator_);
    EXPECT_EQ(fa_handles_destroy(small), 1024u);
}

TEST_P(Handles, OptionsOutOfRangeAreRefused) {
    const auto refused = [this](fa_handles_options options) {
        fa_last_error_clear();
        EXPECT_EQ(fa_handles_create(allocator_, &options), nullptr);
        EXPECT_EQ(fa_last_error().status, FA_ERROR_INVALID);
    };
    fa_handles_options options = {};
    for (size_t bytes :
         {size_t{1}, size_t{32768}, size_t{65537}, size_t{100000}, size_t{8} << 20}) {
        options.slab_bytes = bytes;
        refused(options);
    }
    options = {};
    options.slab_count = 65537;
    refused(options);
    options = {};
    options.slot_count_max = (size_t{1} << 31) + 1;
    refused(options);
    options.slot_count_max = 10;
    options.slot_count = 11;
    refused(options);
    for (size_t bytes : {size_t{65536}, size_t{1} << 22}) {
        options = {};
        options.slab_bytes = bytes;
        fa_handles *table = fa_handles_create(allocator_, &options);
        ASSERT_NE(table, nullptr);
        for (size_t size = 1; size < 8192; size += 100)
            EXPECT_FALSE(fa_handle_is_none(fa_handle_alloc(table, size)));
        ExpectHandleIdentities(table, bytes);
        ExpectValid(allocator_);
        fa_handles_destroy(table);
    }
}

EACH_CHECK(Handles);

// A child of a fork can use the table, also when the parent's other thread was inside of it.
TEST(HandlesFork, TheChildFindsItInOrder) {
    Allocator allocator(Plain());
    fa_handles *handles = fa_handles_create(allocator, nullptr);
    const fa_handle handle = fa_handle_alloc(handles, 64);
    std::atomic<bool> over{false};
    std::thread other([&] {
        while (!over)
            fa_handle_free(handles, fa_handle_alloc(handles, 100));
    });
    for (int i = 0; i < (kTsan ? 0 : 20); i++) {
        InChild([&] {
            const bool works = fa_handle_pin(handles, handle) != nullptr &&
                               fa_handle_unpin(handles, handle) == FA_OK &&
                               fa_handle_free(handles, handle) == FA_OK &&
                               !fa_handle_is_none(fa_handle_alloc(handles, 100));
            return works ? 0 : __LINE__;
        });
    }
    over = true;
    other.join();
}

} // namespace
