// What an allocator owns: on its list until it is destroyed, newest first.
#include "fa/testing.hpp"
#include "fa/testing_forks.hpp"

extern "C" {
#include "fa/internal/owned.h"
}

using namespace fa_testing;

namespace {

struct Thing {
    fai_owned owned; // must be first
    int number;
    bool is_broken;
    int locks, forks;
    size_t idle;
    std::vector<int> *destroyed;
    Thing *heir; // put on the list while this one is destroyed
};

int g_lock_count;
std::vector<int> g_order; // numbers of what was locked and unlocked
extern const fai_owned_kind kThings;

void Destroy(fa_allocator *allocator, fai_owned *owned) {
    auto *thing = reinterpret_cast<Thing *>(owned);
    thing->destroyed->push_back(thing->number);
    EXPECT_NE(fa_pool_alloc(allocator, 16), nullptr); // no lock is held, and the allocator works
    if (thing->heir != nullptr)
        fai_owned_add(allocator, &thing->heir->owned, &kThings);
}

const void *Validate(fa_allocator *, fai_owned *owned) {
    auto *thing = reinterpret_cast<Thing *>(owned);
    return thing->is_broken ? thing : nullptr;
}

const fai_owned_kind kThings = {Destroy,
                                Validate,
                                [](fai_owned *owned) {
                                    reinterpret_cast<Thing *>(owned)->locks++;
                                    g_lock_count++;
                                    g_order.push_back(reinterpret_cast<Thing *>(owned)->number);
                                },
                                [](fai_owned *owned) {
                                    reinterpret_cast<Thing *>(owned)->locks--;
                                    g_order.push_back(reinterpret_cast<Thing *>(owned)->number);
                                },
                                nullptr,
                                [](fai_owned *owned) { // the lock is held
                                    reinterpret_cast<Thing *>(owned)->forks +=
                                        reinterpret_cast<Thing *>(owned)->locks;
                                },
                                [](fa_allocator *, fai_owned *owned) -> size_t {
                                    return reinterpret_cast<Thing *>(owned)->idle;
                                }};

class Owned : public testing::Test {
  protected:
    void SetUp() override {
        fa_alloc_config config = Plain();
        ASSERT_EQ(fa_allocator_create(&config, &allocator_), FA_OK);
    }
    Thing Make(int number) { return {{}, number, false, 0, 0, 0, &destroyed_, nullptr}; }
    void Add(Thing &thing) { fai_owned_add(allocator_, &thing.owned, &kThings); }

    fa_allocator *allocator_ = nullptr;
    std::vector<int> destroyed_;
};

TEST_F(Owned, DiesWithTheAllocatorNewestFirst) {
    Thing things[4] = {Make(0), Make(1), Make(2), Make(3)};
    for (Thing &thing : things)
        Add(thing);
    fai_owned_remove(allocator_, &things[1].owned);
    fa_allocator_destroy(allocator_);
    EXPECT_EQ(destroyed_, (std::vector<int>{3, 2, 0}));
}

TEST_F(Owned, WhatIsMadeMeanwhileDiesToo) {
    Thing things[3] = {Make(0), Make(1), Make(2)};
    things[1].heir = &things[2];
    Add(things[0]);
    Add(things[1]);
    fa_allocator_destroy(allocator_);
    EXPECT_EQ(destroyed_, (std::vector<int>{1, 2, 0}));
}

TEST_F(Owned, ValidateNamesWhatIsWrong) {
    Thing things[3] = {Make(0), Make(1), Make(2)};
    for (Thing &thing : things)
        Add(thing);
    EXPECT_EQ(fa_validate(allocator_, nullptr), FA_OK);
    things[1].is_broken = true;
    const void *place = nullptr;
    EXPECT_EQ(fa_validate(allocator_, &place), FA_ERROR_CORRUPT);
    EXPECT_EQ(place, &things[1]);
    fa_allocator_destroy(allocator_);
}

TEST_F(Owned, EachIsTrimmed) {
    Thing things[2] = {Make(0), Make(1)};
    Add(things[0]);
    Add(things[1]);
    (void)fa_allocator_trim(allocator_); // what else there is
    things[0].idle = 10;
    things[1].idle = 32;
    EXPECT_EQ(fa_allocator_trim(allocator_), 42u);
    fa_allocator_destroy(allocator_);
}

TEST_F(Owned, EachIsLockedAroundAFork) {
    Thing things[2] = {Make(0), Make(1)};
    Add(things[0]);
    Add(things[1]);
    g_lock_count = 0;
    InChild([&] {
        const bool fine = things[0].locks == 0 && things[1].locks == 0 && things[0].forks == 1 &&
                          things[1].forks == 1;
        return fine ? 0 : __LINE__;
    });
    EXPECT_EQ(g_lock_count, 2); // each once, in the parent
    EXPECT_EQ(things[0].locks, 0);
    EXPECT_EQ(things[0].forks, 0);
    fa_allocator_destroy(allocator_);
}

// What one locks may depend on the lock of a newer one.
TEST_F(Owned, UnlockedAfterAForkInReverse) {
    Thing things[3] = {Make(0), Make(1), Make(2)};
    for (Thing &thing : things)
        Add(thing);
    g_order.clear();
    const std::vector<int> expected = {2, 1, 0, 0, 1, 2};
    InChild([&] { return g_order == expected ? 0 : __LINE__; });
    EXPECT_EQ(g_order, expected);
    fa_allocator_destroy(allocator_);
}

} // namespace
