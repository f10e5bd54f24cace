// Handles and threads: resolving and pinning while others move, free and allocate.
#include "fa/testing_handles.hpp"

#include <atomic>
#include <memory>
#include <thread>

using namespace fa_testing;

namespace {

// An object that can be checked by whoever has it pinned; never written after it was made but for
// count, by pinned threads.
struct Item {
    uint64_t number;
    uint64_t copy[62]; // all of them the number
    std::atomic<uint64_t> count;
};

struct World {
    fa_handles *handles;
    static constexpr size_t kPlaces = 3000;
    std::atomic<uint64_t> place[kPlaces] = {}; // keys of handles; 0: none
    std::atomic<uint64_t> next{1};
    std::atomic<uint64_t> pinned{0};
    std::atomic<uint64_t> moved{0};
    std::atomic<bool> over{false};

    static fa_handle HandleOf(uint64_t key) {
        return {static_cast<uint32_t>(key), static_cast<uint32_t>(key >> 32)};
    }
    uint64_t Make() {
        const fa_handle handle = fa_handle_alloc(handles, sizeof(Item));
        // Pinned while it is filled: others can't know it yet, but a compaction can.
        Item *item = static_cast<Item *>(fa_handle_pin(handles, handle));
        item->number = next++;
        for (uint64_t &each : item->copy)
            each = item->number;
        item->count = 0;
        EXPECT_EQ(fa_handle_unpin(handles, handle), FA_OK);
        return KeyOf(handle);
    }
    void Use(uint64_t key) {
        Item *item = static_cast<Item *>(fa_handle_pin(handles, HandleOf(key)));
        if (item == nullptr)
            return;
        const uint64_t number = item->number;
        item->count++;
        for (uint64_t each : item->copy)
            EXPECT_EQ(each, number);
        EXPECT_EQ(fa_handle_get(handles, HandleOf(key)), item) << "it is pinned";
        EXPECT_EQ(fa_handle_unpin(handles, HandleOf(key)), FA_OK);
        pinned.fetch_add(1, std::memory_order_relaxed);
    }
    // Frees it, later when it is pinned. Whoever took the key from its place does it.
    void Free(uint64_t key) {
        while (fa_handle_free(handles, HandleOf(key)) == FA_ERROR_INVALID)
            std::this_thread::yield();
        EXPECT_EQ(fa_handle_get(handles, HandleOf(key)), nullptr);
    }
};

void Change(World *world, uint64_t seed, size_t rounds) {
    Engine random(seed);
    for (size_t i = 0; i < rounds || world->moved == 0 || world->pinned == 0; i++) {
        // More objects in some times than in others, so that there are holes.
        const bool full = i / 4000 % 2 == 0;
        std::atomic<uint64_t> &place = world->place[Pick(random, 0, World::kPlaces - 1)];
        const uint64_t mine = Pick(random, 0, 9) < (full ? 9u : 2u) ? world->Make() : 0;
        const uint64_t old = place.exchange(mine);
        if (old != 0)
            world->Free(old);
    }
}

void Look(World *world, uint64_t seed) {
    Engine random(seed);
    while (!world->over) {
        const uint64_t key = world->place[Pick(random, 0, World::kPlaces - 1)];
        if (key == 0)
            continue;
        // Without a pin only the address may be asked for.
        void *at = fa_handle_get(world->handles, World::HandleOf(key));
        EXPECT_TRUE(IsAligned(at, 16));
        world->Use(key);
        const uint64_t forged = key ^ static_cast<uint64_t>(1) << Pick(random, 52, 63);
        EXPECT_EQ(fa_handle_get(world->handles, World::HandleOf(forged)), nullptr);
    }
}

void Moved(void *, fa_handles *handles, fa_handle handle, void *, void *, size_t) {
    // It may have been freed a moment ago.
    if (fa_handle_pin(handles, handle) != nullptr) {
        EXPECT_EQ(fa_handle_unpin(handles, handle), FA_OK);
    }
}

void RunWorld(bool told, uint32_t checks, size_t movers) {
    Random random;
    Source source;
    fa_alloc_config config = Config(checks);
    Allocator allocator(config, source);
    fa_handles_options options = {};
    options.on_moved = told ? Moved : nullptr;
    auto world = std::make_unique<World>();
    world->handles = fa_handles_create(allocator, &options);
    std::vector<std::thread> changers, others;
    for (uint64_t i = 0; i < 2; i++)
        changers.emplace_back(Change, world.get(), random.Seed() + i, Rounds(60000));
    others.emplace_back(Look, world.get(), random.Seed() + 10);
    for (size_t i = 0; i < movers; i++)
        others.emplace_back([&world] {
            while (!world->over)
                world->moved += fa_handles_compact(world->handles, 5000, 0).moved_count;
        });
    for (std::thread &thread : changers)
        thread.join();
    world->over = true;
    for (std::thread &thread : others)
        thread.join();
    ExpectHandleIdentities(world->handles);
    ExpectValid(allocator);
    EXPECT_EQ(HandleStats(world->handles).pinned_count, 0u);
    EXPECT_EQ(HandleStats(world->handles).moved_count, world->moved);
    size_t live = 0;
    for (std::atomic<uint64_t> &place : world->place)
        if (place != 0) {
            live++;
            world->Use(place);
        }
    EXPECT_EQ(HandleStats(world->handles).live_count, live);
    CompactAll(world->handles);
    ExpectValid(allocator);
    EXPECT_EQ(fa_handles_destroy(world->handles), live);
    EXPECT_EQ(allocator.Destroy(), 0u);
    EXPECT_EQ(source.BytesLive(), 0u);
}

TEST(HandleThreads, PinsHoldAgainstMovesAndFrees) { RunWorld(false, 0, 1); }
TEST(HandleThreads, AlsoWhenMovesAreTold) { RunWorld(true, 0, 1); }
TEST(HandleThreads, AlsoWithTwoMoversAndChecks) { RunWorld(true, FA_CHECK_ALL, 2); }

// The directory of slots is replaced while others look handles up in it.
TEST(HandleThreads, AGetSeesItsObjectWhileTheTableGrows) {
    Allocator allocator(Config());
    for (int turn = 0; turn < (kTsan ? 20 : 5); turn++) {
        fa_handles *handles = fa_handles_create(allocator, nullptr);
        const fa_handle first = fa_handle_alloc(handles, 16);
        std::atomic<bool> begun{false}, over{false};
        std::thread reader([&] {
            while (!over) {
                ASSERT_NE(fa_handle_get(handles, first), nullptr);
                begun = true;
            }
        });
        while (!begun)
            std::this_thread::yield();
        for (uint32_t i = 0; i < 16 * FAI_HANDLE_BLOCK + 10; i++)
            ASSERT_FALSE(fa_handle_is_none(fa_handle_alloc(handles, 16)));
        over = true;
        reader.join();
        fa_handles_destroy(handles);
    }
}

// get alone, with the answer compared with who could have been there: an address belongs to the
// object of the handle or there is none, also while slots change hands quickly.
TEST(HandleThreads, AGetNeverAnswersWithAnotherObject) {
    Allocator allocator(Config());
    fa_handles_options options = {};
    options.slot_count_max = 1; // one block of slots
    fa_handles *handles = fa_handles_create(allocator, &options);
    // The size class of an object tells whose it is: two of them, in slabs apart.
    std::atomic<uint64_t> key{0};
    std::atomic<bool> over{false};
    std::atomic<uintptr_t> small_slab{0};
    std::thread reader([&] {
        size_t answers = 0;
        while (!over || answers == 0) {
            const uint64_t seen = key;
            const uintptr_t at = reinterpret_cast<uintptr_t>(
                fa_handle_get(handles, fa_handle{static_cast<uint32_t>(seen),
                                                 static_cast<uint32_t>(seen >> 32)}));
            if (at == 0 || seen == 0)
                continue;
            answers++;
            ASSERT_EQ(at & ~uintptr_t{65535}, small_slab.load());
        }
    });
    const fa_handle small_one = fa_handle_alloc(handles, 16),
                    large_one = fa_handle_alloc(handles, 4000);
    small_slab = reinterpret_cast<uintptr_t>(fa_handle_get(handles, small_one)) & ~uintptr_t{65535};
    std::vector<fa_handle> rest; // so that slots come back at once
    fa_handle handle;
    while (HandleStats(handles).slot_free_count > 1)
        rest.push_back(fa_handle_alloc(handles, 4000));
    for (size_t i = 0; i < Rounds(300000); i++) {
        handle = fa_handle_alloc(handles, 16);
        ASSERT_FALSE(fa_handle_is_none(handle));
        key = KeyOf(handle);
        fa_handle_free(handles, handle);
        handle = fa_handle_alloc(handles, 4000); // the same slot, another slab
        fa_handle_free(handles, handle);
    }
    key = KeyOf(small_one);
    over = true;
    reader.join();
    EXPECT_NE(fa_handle_get(handles, large_one), nullptr);
}

} // namespace
