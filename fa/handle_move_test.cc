// Compaction of handle tables: what moves, what stays, what goes back to the backend, step by step.
#include "fa/testing_handles.hpp"

#include <set>
#include <thread>

using namespace fa_testing;

namespace {

class HandleMoves : public Handles {
  protected:
    // count objects of sizes that `size` gives; each painted with its number.
    template <class Size> void Fill(size_t count, Size size) {
        for (size_t i = 0; i < count; i++) {
            const size_t bytes = size(i);
            all_.push_back({Make(bytes, i), bytes});
        }
    }
    // Frees those for which `goes` says so; they become none.
    template <class Goes> void Thin(Goes goes) {
        for (size_t i = 0; i < all_.size(); i++)
            if (!fa_handle_is_none(all_[i].handle) && goes(i)) {
                EXPECT_EQ(fa_handle_free(handles_, all_[i].handle), FA_OK);
                all_[i].handle = fa_handle{};
            }
    }
    void ExpectContents() {
        for (size_t i = 0; i < all_.size(); i++)
            if (!fa_handle_is_none(all_[i].handle)) {
                ASSERT_TRUE(IsPainted(fa_handle_get(handles_, all_[i].handle), i, all_[i].size));
            }
        Check();
    }

    struct Object {
        fa_handle handle;
        size_t size;
    };
    std::vector<Object> all_;
};

TEST_P(HandleMoves, AHalfEmptyHeapOf100000ObjectsGivesBack45Percent) {
    Random random;
    const uint64_t before_all = source_.BytesLive();
    Fill(100000, [&random](size_t) { return 32 + random.Below(481); });
    const uint64_t full = source_.BytesLive();
    Thin([&random](size_t) { return random.OneIn(2); });
    const uint64_t before = source_.BytesLive();
    EXPECT_GT(before, full * 9 / 10) << "frees alone give almost nothing back";
    const fa_handles_stats holes = HandleStats(handles_);
    const fa_handles_step step = CompactAll(handles_);
    const uint64_t after = source_.BytesLive();
    const fa_handles_stats stats = HandleStats(handles_);
    std::printf("backend: %llu before, %llu after, of it %llu before the first object; slabs %zu "
                "and %zu\n",
                static_cast<unsigned long long>(before), static_cast<unsigned long long>(after),
                static_cast<unsigned long long>(before_all), holes.slab_count, stats.slab_count);
    // Everything that the table holds counts, slots too, and all of the backend's memory.
    EXPECT_GE(static_cast<double>(before - after), 0.45 * static_cast<double>(holes.bytes_held));
    EXPECT_EQ(before - after, step.bytes_returned);
    EXPECT_EQ(step.slab_count, holes.slab_count - stats.slab_count);
    EXPECT_EQ(stats.moved_count, step.moved_count);
    EXPECT_EQ(stats.slab_empty_count, 0u);
    EXPECT_LT(stats.fragmentation, holes.fragmentation);
    ExpectContents();
}

TEST_P(HandleMoves, EachClassKeepsAsFewSlabsAsItsObjectsFill) {
    for (size_t size : {16u, 100u, 1000u, 8000u}) {
        all_.clear();
        Fill(4000, [size](size_t) { return size; });
        Thin([](size_t i) { return i % 4 != 0; });
        CompactAll(handles_);
        ExpectContents();
        size_t slabs = 0, places = 0;
        for (const fai_handle_slab *slab = handles_->slabs; slab; slab = slab->next_of_all) {
            slabs++;
            places = slab->place_count;
        }
        EXPECT_EQ(slabs, (1000 + places - 1) / places) << size;
        Thin([](size_t) { return true; });
        CompactAll(handles_);
        EXPECT_EQ(HandleStats(handles_).slab_count, 0u);
    }
}

TEST_P(HandleMoves, NothingMovesWithoutGain) {
    Fill(1000, [](size_t i) { return 16 + i % 500; });
    fa_handles_step step = CompactAll(handles_);
    EXPECT_EQ(step.slab_count, 0u);
    EXPECT_EQ(step.moved_count, 0u);
    Thin([](size_t i) { return i % 2 == 0; });
    CompactAll(handles_);
    step = CompactAll(handles_);
    EXPECT_EQ(step.moved_count, 0u) << "once is enough";
    ExpectContents();
}

TEST_P(HandleMoves, StepsEndWhereTheyAreTold) {
    Fill(3000, [](size_t) { return 200; });
    Thin([](size_t i) { return i % 3 != 0; });
    size_t steps = 0;
    for (fa_handles_step step = {}; !step.done; steps++) {
        step = fa_handles_compact(handles_, 1, 0); // one byte: one object
        EXPECT_LE(step.moved_count, 1u);
        if (steps % 64 == 0)
            ExpectContents();
    }
    EXPECT_GT(steps, 300u);
    for (size_t i = 0; i < all_.size(); i++)
        if (fa_handle_is_none(all_[i].handle))
            all_[i] = {Make(200, i), 200};
    Thin([](size_t i) { return i % 5 != 0; });
    const uint64_t slabs = HandleStats(handles_).slab_count;
    steps = 0;
    size_t returned = 0;
    for (fa_handles_step step = {}; !step.done; steps++) {
        step = fa_handles_compact(handles_, 0, 1); // no time: one piece of work
        EXPECT_LE(step.moved_count + step.slab_count, 1u);
        returned += step.slab_count;
    }
    EXPECT_GT(steps, 300u);
    EXPECT_EQ(HandleStats(handles_).slab_count, slabs - returned);
    // Ten objects at a time.
    Thin([](size_t i) { return i % 2 != 0; });
    for (fa_handles_step step = {}; !step.done;) {
        step = fa_handles_compact(handles_, 2000, 0);
        EXPECT_LE(step.moved_bytes, 2000u);
    }
    ExpectContents();
}

TEST_P(HandleMoves, PinnedAndFixedObjectsStay) {
    std::map<uint64_t, void *> stays;
    std::vector<fa_handle> fixed;
    for (size_t i = 0; i < 4000; i++) {
        all_.push_back({Make(120, i), 120});
        if (i % 40 == 0) {
            fixed.push_back(fa_handle_alloc_with(handles_, 120, 16, FA_HANDLE_FIXED));
            stays[KeyOf(fixed.back())] = fa_handle_get(handles_, fixed.back());
        }
    }
    const fa_handle large = fa_handle_alloc(handles_, 50000);
    stays[KeyOf(large)] = fa_handle_get(handles_, large);
    Thin([](size_t i) { return i % 4 != 0; });
    for (size_t i = 0; i < 4000; i += 400)
        stays[KeyOf(all_[i].handle)] = fa_handle_pin(handles_, all_[i].handle);
    const fa_handles_step first = CompactAll(handles_);
    for (const auto &[key, address] : stays)
        EXPECT_EQ(fa_handle_get(handles_, fa_handle{static_cast<uint32_t>(key),
                                                    static_cast<uint32_t>(key >> 32)}),
                  address);
    ExpectContents();
    EXPECT_EQ(CompactAll(handles_).moved_count, 0u) << "pinned objects alone are no work";
    // Once they are not pinned any more, their slabs go too.
    for (size_t i = 0; i < 4000; i += 400)
        EXPECT_EQ(fa_handle_unpin(handles_, all_[i].handle), FA_OK);
    const fa_handles_step second = CompactAll(handles_);
    EXPECT_GT(second.slab_count, 0u);
    ExpectContents();
    EXPECT_GT(first.slab_count + second.slab_count, 4u);
}

struct Told {
    std::map<uint64_t, void *> at; // by handle: where it was told to be
    size_t count = 0;
    void (*also)(Told *told, fa_handles *handles, fa_handle handle) = nullptr;
    std::set<uint64_t> freed;

    static void Moved(void *user, fa_handles *handles, fa_handle handle, void *address_old,
                      void *address_new, size_t size) {
        Told *told = static_cast<Told *>(user);
        void *&known = told->at[KeyOf(handle)];
        EXPECT_EQ(known, address_old);
        EXPECT_NE(address_old, address_new);
        EXPECT_EQ(fa_handle_get(handles, handle), address_new);
        EXPECT_EQ(fa_handle_size(handles, handle), size);
        known = address_new;
        told->count++;
        if (told->also != nullptr)
            told->also(told, handles, handle);
    }
    fa_handles_options Options() {
        fa_handles_options options = {};
        options.on_moved = Moved;
        options.on_moved_user = this;
        return options;
    }
};

TEST_P(HandleMoves, EachMoveIsTold) {
    Told told;
    const fa_handles_options options = told.Options();
    Open(&options);
    Fill(20000, [](size_t i) { return 64 + i % 64; });
    for (const Object &object : all_)
        told.at[KeyOf(object.handle)] = fa_handle_get(handles_, object.handle);
    Thin([](size_t i) { return i % 3 != 0; });
    const fa_handles_step step = CompactAll(handles_);
    EXPECT_GT(step.moved_count, 100u);
    EXPECT_EQ(told.count, step.moved_count);
    for (const Object &object : all_)
        if (!fa_handle_is_none(object.handle)) {
            EXPECT_EQ(told.at[KeyOf(object.handle)], fa_handle_get(handles_, object.handle));
        }
    ExpectContents();
}

TEST_P(HandleMoves, TheCallbackMayFreePinAllocateAndCompact) {
    Told told;
    const fa_handles_options options = told.Options();
    Open(&options);
    told.also = [](Told *self, fa_handles *handles, fa_handle handle) {
        switch (self->count % 4) {
        case 0: // the object itself
            self->freed.insert(KeyOf(handle));
            EXPECT_EQ(fa_handle_free(handles, handle), FA_OK);
            EXPECT_EQ(fa_handle_get(handles, handle), nullptr);
            EXPECT_EQ(fa_handle_free(handles, handle), FA_ERROR_FOREIGN);
            break;
        case 1:
            EXPECT_NE(fa_handle_pin(handles, handle), nullptr);
            EXPECT_EQ(fa_handle_free(handles, handle), FA_ERROR_INVALID);
            EXPECT_EQ(fa_handle_unpin(handles, handle), FA_OK);
            break;
        case 2: {
            const fa_handle other = fa_handle_alloc(handles, 100);
            self->at[KeyOf(other)] = fa_handle_get(handles, other);
            break;
        }
        default:
            if (self->count < 40)
                fa_handles_compact(handles, 1, 0);
        }
    };
    Fill(20000, [](size_t i) { return 64 + i % 64; });
    for (const Object &object : all_)
        told.at[KeyOf(object.handle)] = fa_handle_get(handles_, object.handle);
    Thin([](size_t i) { return i % 3 != 0; });
    CompactAll(handles_);
    EXPECT_GT(told.freed.size(), 20u);
    for (Object &object : all_)
        if (told.freed.count(KeyOf(object.handle)) != 0)
            object.handle = fa_handle{};
    ExpectContents();
}

TEST_P(HandleMoves, AnObjectThatStaysPinnedInTheCallbackIsInOrder) {
    Told told;
    const fa_handles_options options = told.Options();
    Open(&options);
    told.also = [](Told *, fa_handles *handles, fa_handle handle) {
        EXPECT_NE(fa_handle_pin(handles, handle), nullptr);
    };
    Fill(1000, [](size_t) { return 512; });
    for (const Object &object : all_)
        told.at[KeyOf(object.handle)] = fa_handle_get(handles_, object.handle);
    Thin([](size_t i) { return i % 4 != 0; });
    CompactAll(handles_);
    const size_t pinned = HandleStats(handles_).pinned_count;
    EXPECT_EQ(pinned, told.count);
    ExpectContents();
    for (const Object &object : all_)
        while (!fa_handle_is_none(object.handle) && pinned != 0 &&
               fai_handle_pins(*fai_handle_find(handles_, object.handle).state) != 0)
            EXPECT_EQ(fa_handle_unpin(handles_, object.handle), FA_OK);
    EXPECT_EQ(HandleStats(handles_).pinned_count, 0u);
}

TEST_P(HandleMoves, MemoryIsUsedBetweenSteps) {
    Random random;
    Fill(3000, [](size_t) { return 300; });
    for (int turn = 0; turn < 200; turn++) {
        Thin([&random](size_t) { return random.OneIn(5); });
        fa_handles_compact(handles_, 1 + random.Below(20000), 0);
        for (size_t i = 0; i < all_.size(); i++)
            if (fa_handle_is_none(all_[i].handle) && random.OneIn(8))
                all_[i].handle = Make(300, i);
        if (turn % 20 == 0)
            ExpectContents();
    }
    ExpectContents();
}

TEST_P(HandleMoves, AnEmptySlabIsKeptForTheNextObject) {
    const fa_handle warm = Make(1000, 0);
    EXPECT_EQ(fa_handle_free(handles_, warm), FA_OK);
    const uint64_t calls = source_.Calls();
    for (int i = 0; i < 100; i++)
        EXPECT_EQ(fa_handle_free(handles_, Make(10 + static_cast<size_t>(i) * 50, 1)), FA_OK);
    EXPECT_EQ(source_.Calls(), calls) << "whatever the size class";
    EXPECT_EQ(HandleStats(handles_).slab_empty_count, 1u);
    EXPECT_EQ(fa_handles_compact(handles_, 0, 0).slab_count, 1u);
}

// Frees in a size class that the round has left already.
TEST_P(HandleMoves, DoneIsSaidWhenNothingIsToBeGainedAnyWhere) {
    Fill(9400, [](size_t i) -> size_t { return i < 9000 ? 16 : 1000; });
    Thin([](size_t i) { return i >= 9000 && i % 4 != 0; });
    fa_handles_step step = fa_handles_compact(handles_, 1, 0);
    EXPECT_EQ(step.moved_count, 1u);
    EXPECT_FALSE(step.done);
    Thin([](size_t i) { return i < 9000 && i % 4 != 0; });
    EXPECT_TRUE(fa_handles_compact(handles_, 0, 0).done);
    const size_t slabs = HandleStats(handles_).slab_count;
    step = fa_handles_compact(handles_, 0, 0);
    EXPECT_TRUE(step.done);
    EXPECT_EQ(step.moved_count, 0u);
    EXPECT_EQ(HandleStats(handles_).slab_count, slabs);
    ExpectContents();
}

// Frees and allocations of all sizes between the steps of a round.
TEST_P(HandleMoves, ARoundEndsWhereItHasNothingLeft) {
    Random random;
    std::printf("seed %llu\n", static_cast<unsigned long long>(random.Seed()));
    Fill(4000, [&random](size_t) { return 16 + random.Below(1000); });
    for (int turn = 0; turn < 30; turn++) {
        fa_handles_step step = {};
        while (!step.done) {
            Thin([&random](size_t) { return random.OneIn(200); });
            for (size_t i = 0; i < all_.size(); i++)
                if (fa_handle_is_none(all_[i].handle) && random.OneIn(100))
                    all_[i].handle = Make(all_[i].size, i);
            step = fa_handles_compact(handles_, 1 + random.Below(60000), 0);
        }
        EXPECT_EQ(fa_handles_compact(handles_, 0, 0).moved_count, 0u);
    }
    ExpectContents();
}

TEST_P(HandleMoves, WhatIsUnpinnedInARoundIsTriedAgainInIt) {
    Fill(9400, [](size_t i) -> size_t { return i < 9000 ? 16 : 1000; });
    Thin([](size_t i) { return i % 4 != 0; });
    for (size_t i = 0; i < 9000; i += 4)
        EXPECT_NE(fa_handle_pin(handles_, all_[i].handle), nullptr);
    fa_handles_step step = fa_handles_compact(handles_, 1, 0);
    EXPECT_EQ(step.moved_count, 1u) << "one of the large ones";
    for (size_t i = 0; i < 9000; i += 4)
        EXPECT_EQ(fa_handle_unpin(handles_, all_[i].handle), FA_OK);
    const size_t slabs = HandleStats(handles_).slab_count;
    EXPECT_TRUE(fa_handles_compact(handles_, 0, 0).done);
    EXPECT_LT(HandleStats(handles_).slab_count + 2, slabs);
    EXPECT_EQ(fa_handles_compact(handles_, 0, 0).moved_count, 0u);
    ExpectContents();
}

// What the last round could not empty is put back among the others in pieces.
TEST_P(HandleMoves, ARoundBeginsInPieces) {
    Fill(70 * 7, [](size_t) { return 8000; });
    const size_t per_slab = handles_->slabs->place_count;
    for (size_t i = 0; i < all_.size(); i += per_slab)
        EXPECT_NE(fa_handle_pin(handles_, all_[i].handle), nullptr);
    Thin([per_slab](size_t i) { return i % per_slab != 0 && i % per_slab != 1; });
    EXPECT_EQ(CompactAll(handles_).moved_count, 0u);
    const auto blocked = [this] {
        size_t count = 0;
        for (const fai_handle_group &group : handles_->group[0])
            for (const fai_handle_slab *slab = group.blocked; slab; slab = slab->next)
                count++;
        return count;
    };
    const size_t all = blocked();
    EXPECT_GT(all, 60u);
    EXPECT_FALSE(fa_handles_compact(handles_, 0, 1).done);
    EXPECT_GT(blocked(), all / 2);
    EXPECT_LT(blocked(), all);
    Check();
    for (size_t i = 0; i < all_.size(); i += per_slab)
        EXPECT_EQ(fa_handle_unpin(handles_, all_[i].handle), FA_OK);
    EXPECT_GT(CompactAll(handles_).slab_count, 40u);
    ExpectContents();
}

EACH_CHECK(HandleMoves);

// What a stale pointer meets: the old place is poisoned.
TEST(HandleMovesDeath, AStalePointerIsSeen) {
    if (!kAsan)
        GTEST_SKIP();
    Allocator allocator(Plain());
    fa_handles *handles = fa_handles_create(allocator, nullptr);
    std::vector<fa_handle> all;
    for (int i = 0; i < 1000; i++)
        all.push_back(fa_handle_alloc(handles, 200));
    std::vector<char *> old;
    for (fa_handle handle : all)
        old.push_back(static_cast<char *>(fa_handle_get(handles, handle)));
    EXPECT_DEATH(old[5][200] = 1, "use-after-poison");
    for (size_t i = 0; i < all.size(); i++)
        if (i % 4 != 0)
            fa_handle_free(handles, all[i]);
    EXPECT_DEATH(old[1][0] = 1, "use-after-poison");
    const fa_handles_step step = CompactAll(handles);
    EXPECT_GT(step.moved_count, 0u);
    for (size_t i = 0; i < all.size(); i += 4)
        if (fa_handle_get(handles, all[i]) != old[i]) {
            EXPECT_DEATH(old[i][0] = 1, "");
            return;
        }
    ADD_FAILURE() << "nothing moved";
}

TEST(HandleMovesDeath, AWritePastAnObjectIsFound) {
    if (kAsan)
        GTEST_SKIP() << "the sanitizer is faster";
    fa_alloc_config config = Plain();
    config.checks = FA_CHECK_GUARD;
    Allocator allocator(config);
    fa_handles *handles = fa_handles_create(allocator, nullptr);
    std::vector<fa_handle> all;
    for (int i = 0; i < 1000; i++)
        all.push_back(fa_handle_alloc(handles, 200));
    for (size_t i = 0; i < all.size(); i++)
        if (i % 4 != 0)
            fa_handle_free(handles, all[i]);
    const auto damage = [&](size_t i) {
        static_cast<char *>(fa_handle_get(handles, all[i]))[200] = 1;
    };
    EXPECT_DEATH((damage(0), fa_handle_free(handles, all[0])), "FA604");
    EXPECT_DEATH(
        {
            for (size_t i = 0; i < all.size(); i += 4)
                damage(i);
            fa_handles_compact(handles, 0, 0);
        },
        "FA604");
    EXPECT_DEATH(
        {
            fai_handle_slab *slab = handles->slabs;
            std::memset(fai_handle_slots(slab), 7, slab->place_count * sizeof(uint32_t));
            for (size_t i = 0; i < all.size(); i += 4)
                fa_handle_free(handles, all[i]);
        },
        "FA606");
    // Validation names it before that.
    damage(0);
    EXPECT_EQ(fa_validate(allocator, nullptr), FA_ERROR_CORRUPT);
    static_cast<unsigned char *>(fa_handle_get(handles, all[0]))[200] = FAI_FILL_GUARD;
    EXPECT_EQ(fa_validate(allocator, nullptr), FA_OK);
}

} // namespace
