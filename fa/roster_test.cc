// Records that handles and names lead to (fa/internal/roster.h).
#include "fa/testing.hpp"
#include "fa/testing_threads.hpp"

extern "C" {
#include "fa/internal/roster.h"
}

#include <atomic>
#include <set>
#include <string>
#include <thread>

using namespace fa_testing;

namespace {

struct Record {
    fai_named named;
    uint64_t cleared;
    uint64_t stays;
    char odd[3];
};

struct Roster : ::testing::Test {
    Source source;
    fai_roster roster = {}; // outlives the allocator, which has it
    Allocator allocator{Plain(), source};

    Roster() {
        EXPECT_TRUE(fai_roster_create(allocator, &roster, sizeof(Record), offsetof(Record, stays)));
    }
    Record *Take() {
        fai_named *named = fai_roster_take(allocator, &roster);
        return reinterpret_cast<Record *>(named);
    }
    // As its users do: one whose memory is in order.
    Record *Open(const char *name, uint64_t *serial = nullptr) {
        Record *record = Take();
        if (record == nullptr)
            return nullptr;
        fai_bump_create(&record->named.bump, allocator, 0, 0, true);
        uint64_t given = fai_roster_add(&roster, &record->named, name);
        if (serial != nullptr)
            *serial = given;
        return record;
    }
    bool Close(Record *record) {
        if (!fai_roster_remove(&roster, &record->named, record->named.bump.head.serial))
            return false;
        fai_bump_release(&record->named.bump);
        fai_roster_give(&roster, &record->named);
        return true;
    }
    Record *Find(const char *name) {
        pthread_mutex_lock(&roster.lock);
        fai_named *named = fai_roster_find(&roster, name);
        pthread_mutex_unlock(&roster.lock);
        return reinterpret_cast<Record *>(named);
    }
    std::set<fai_named *> Walk() {
        std::set<fai_named *> all;
        fai_roster_walk walk = {nullptr, 0};
        while (fai_named *named = fai_roster_next(&roster, &walk))
            EXPECT_TRUE(all.insert(named).second) << "met twice";
        return all;
    }
};

TEST_F(Roster, IsEmptyAtFirst) {
    EXPECT_TRUE(Walk().empty());
    EXPECT_EQ(Find(""), nullptr);
    ExpectValid(allocator);
}

TEST_F(Roster, RecordsComeInBlocksThatGrow) {
    std::set<fai_named *> taken;
    for (size_t blocks : {8u, 24u, 56u, 120u, 184u, 248u}) {
        while (taken.size() < blocks) {
            Record *record = Take();
            ASSERT_NE(record, nullptr);
            EXPECT_TRUE(IsAligned(record, FA_ALIGN_MIN));
            EXPECT_EQ(record->named.bump.head.serial, 0u);
            EXPECT_EQ(record->named.bump.allocator, static_cast<fa_allocator *>(allocator));
            EXPECT_TRUE(
                IsFilled(record->named.name, 0, sizeof(Record) - offsetof(Record, named.name)));
            EXPECT_TRUE(taken.insert(&record->named).second) << "handed out twice";
            EXPECT_EQ(Walk().size(), blocks);
        }
    }
    EXPECT_EQ(Walk(), taken);
    EXPECT_EQ(fai_roster_count(&roster), 0u) << "none has a serial";
    ExpectValid(allocator);
}

TEST_F(Roster, ARecordThatIsUsedAgainIsCleanButForWhatStays) {
    Record *record = Open("first");
    record->cleared = record->stays = 77;
    ASSERT_TRUE(Close(record));
    Record *again = Take();
    ASSERT_EQ(again, record) << "the last one given is the first one taken";
    EXPECT_EQ(again->cleared, 0u);
    EXPECT_EQ(again->stays, 77u);
    EXPECT_STREQ(again->named.name, "");
    EXPECT_EQ(again->named.bump.head.serial, 0u);
}

TEST_F(Roster, AnOldSerialIsFoundOut) {
    uint64_t first = 0, second = 0;
    Record *record = Open("a", &first);
    EXPECT_EQ(first, 1u);
    fai_bump_head *head = &record->named.bump.head;
    EXPECT_TRUE(fai_named_is_open(head, first));
    EXPECT_FALSE(fai_named_is_open(head, first + 1));
    EXPECT_FALSE(fai_named_is_open(head, 0));
    EXPECT_FALSE(fai_named_is_open(nullptr, first));
    EXPECT_FALSE(fai_roster_remove(&roster, &record->named, first + 1));
    EXPECT_EQ(fai_roster_count(&roster), 1u);
    ASSERT_TRUE(Close(record));
    EXPECT_FALSE(fai_named_is_open(head, first));
    EXPECT_FALSE(fai_roster_remove(&roster, &record->named, first)) << "once only";
    EXPECT_EQ(fai_roster_count(&roster), 0u);
    ASSERT_EQ(Open("a", &second), record);
    EXPECT_EQ(second, 2u);
    EXPECT_FALSE(fai_named_is_open(head, first));
    EXPECT_FALSE(fai_roster_remove(&roster, &record->named, first));
    EXPECT_TRUE(fai_named_is_open(head, second));
}

TEST_F(Roster, SerialsGoUpByTheirStepAndBeginAgain) {
    roster.serial_step = 1 << 8;
    roster.serial = 5; // what is below the step stays
    uint64_t serial = 0;
    ASSERT_NE(Open("", &serial), nullptr);
    EXPECT_EQ(serial, (1u << 8) + 5u);
    ASSERT_NE(Open("", &serial), nullptr);
    EXPECT_EQ(serial, (2u << 8) + 5u);
    roster.serial = FAI_SERIAL_FREE_BIT - (2u << 8) + 5;
    ASSERT_NE(Open("", &serial), nullptr);
    EXPECT_EQ(serial, FAI_SERIAL_FREE_BIT - (1u << 8) + 5);
    ASSERT_NE(Open("", &serial), nullptr);
    EXPECT_EQ(serial, (1u << 8) + 5u) << "never one with the free bit, and never 0";
    ExpectValid(allocator);
}

TEST_F(Roster, NamesAreCutAndFoundWhileTheyLive) {
    const std::string longer(3 * FA_NAME_BYTES, 'x'), cut(FA_NAME_BYTES - 1, 'x');
    Record *record = Open(longer.c_str()), *other = Open("other"), *unnamed = Open(nullptr);
    EXPECT_EQ(record->named.name, cut);
    EXPECT_EQ(Find(cut.c_str()), record);
    EXPECT_EQ(Find(longer.c_str()), nullptr);
    EXPECT_EQ(Find("other"), other);
    EXPECT_EQ(Find(""), unnamed) << "and none of the free ones";
    ASSERT_TRUE(Close(other));
    EXPECT_EQ(Find("other"), nullptr);
    ASSERT_TRUE(Close(unnamed));
    EXPECT_EQ(Find(""), nullptr);
}

TEST_F(Roster, WithoutMemoryNothingChanges) {
    for (int i = 0; i < 8; i++)
        ASSERT_NE(Open("held"), nullptr);
    source.Fail(1);
    std::vector<void *> blocks; // all that the heap has left
    for (size_t size = 1 << 20; size >= 16; size /= 2)
        while (void *block = fa_heap_alloc(allocator, size))
            blocks.push_back(block);
    EXPECT_EQ(Open("more"), nullptr);
    EXPECT_EQ(fa_last_error().status, FA_ERROR_NO_MEMORY);
    EXPECT_EQ(fai_roster_count(&roster), 8u);
    EXPECT_EQ(Walk().size(), 8u);
    EXPECT_EQ(Find("more"), nullptr);
    ExpectValid(allocator);
    source.Fail(0);
    for (void *block : blocks)
        fa_heap_free(allocator, block);
    EXPECT_NE(Open("more"), nullptr);
    EXPECT_EQ(fai_roster_count(&roster), 9u);
}

TEST_F(Roster, WhatIsLeftGoesWithTheAllocator) {
    for (int i = 0; i < 100; i++) {
        Record *record = Open("left");
        ASSERT_NE(fai_bump_take(&record->named.bump, record->named.bump.head.serial, 1000, 16),
                  nullptr);
        if (i % 3 == 0) {
            ASSERT_TRUE(Close(record));
        }
    }
    ExpectValid(allocator);
    allocator.Destroy();
    EXPECT_EQ(source.BytesLive(), 0u);
}

TEST_F(Roster, ManyThreadsShareIt) {
    constexpr int kThreads = 4, kRounds = 300, kHeld = 20;
    std::atomic<int> wrong{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < kThreads; t++)
        threads.emplace_back([this, t, &wrong] {
            const std::string name = "thread " + std::to_string(t);
            std::vector<Record *> held;
            for (int round = 0; round < kRounds; round++) {
                uint64_t serial = 0;
                Record *record = Open(name.c_str(), &serial);
                wrong += record == nullptr || record->cleared != 0 ||
                         !fai_named_is_open(&record->named.bump.head, serial);
                if (record == nullptr)
                    break;
                record->cleared = serial; // nobody else has it
                held.push_back(record);
                Record *found = Find(name.c_str());
                wrong += found == nullptr || found->named.name != name;
                fai_roster_walk walk = {nullptr, 0};
                while (fai_roster_next(&roster, &walk) != nullptr) {
                }
                if (held.size() < kHeld)
                    continue;
                for (Record *each : held) {
                    wrong += each->cleared != each->named.bump.head.serial;
                    wrong += !Close(each);
                }
                held.clear();
            }
            fa_thread_detach(allocator);
        });
    for (std::thread &thread : threads)
        thread.join();
    EXPECT_EQ(wrong.load(), 0);
    EXPECT_EQ(fai_roster_count(&roster), 0u);
    ExpectValid(allocator);
}

} // namespace
