// Transfers: received exactly once, dropped with their clean-ups, named when nobody received them.
#include "fa/testing_forks.hpp"
#include "fa/testing_threads.hpp"

#include <atomic>
#include <map>
#include <memory>

using namespace fa_testing;

namespace {

struct Command {
    uint64_t number;
    char text[56];
};

struct alignas(128) Wide {
    uint64_t number;
};

class Transfer : public testing::Test {
  protected:
    Events events;
    std::unique_ptr<Tracked> allocator = std::make_unique<Tracked>(Watched(Config()));

    fa_alloc_config Watched(fa_alloc_config config) {
        events.Watch(&config);
        return config;
    }
    fa_transfer Make(uint64_t number) {
        Command command = {number, "payload"};
        fa_transfer transfer = {};
        EXPECT_EQ(fa_transfer_copy(*allocator, &command, &transfer), FA_OK);
        EXPECT_NE(transfer.id, 0u);
        return transfer;
    }
    fa_transfer_stats Numbers() {
        fa_transfer_stats stats;
        EXPECT_EQ(fa_transfer_stats_get(*allocator, &stats), FA_OK);
        return stats;
    }
    // As the header says of the moments when nobody is at work.
    void ExpectNumbers(uint64_t made, uint64_t received, uint64_t dropped) {
        const fa_transfer_stats stats = Numbers();
        EXPECT_EQ(stats.made_count, made);
        EXPECT_EQ(stats.received_count, received);
        EXPECT_EQ(stats.dropped_count, dropped);
        EXPECT_EQ(stats.in_flight_count, made - received - dropped);
        ExpectValid(*allocator);
    }
    fa_transfer_state State(fa_transfer transfer) {
        return fa_transfer_state_get(*allocator, transfer);
    }
    void ExpectTaken(fa_transfer transfer) {
        fa_received received;
        memset(&received, 1, sizeof received);
        EXPECT_EQ(fa_transfer_receive(*allocator, transfer, &received), FA_ERROR_TAKEN);
        EXPECT_EQ(received.object, nullptr);
        EXPECT_EQ(received.size, 0u);
        EXPECT_EQ(fa_transfer_receive_as(*allocator, Command, transfer), nullptr);
        EXPECT_EQ(fa_last_error().status, FA_ERROR_TAKEN);
        EXPECT_EQ(fa_transfer_drop(*allocator, transfer), FA_ERROR_TAKEN);
        EXPECT_EQ(fa_transfer_send(*allocator, transfer), FA_ERROR_TAKEN);
        EXPECT_EQ(fa_transfer_on_drop(*allocator, transfer, nullptr, nullptr), FA_ERROR_TAKEN);
    }
    void ExpectForeign(fa_transfer transfer) {
        fa_received received;
        const size_t before = events.Count(FA_DIAG_FA206);
        EXPECT_EQ(fa_transfer_receive(*allocator, transfer, &received), FA_ERROR_FOREIGN);
        EXPECT_EQ(fa_transfer_receive_as(*allocator, Command, transfer), nullptr);
        EXPECT_EQ(fa_transfer_drop(*allocator, transfer), FA_ERROR_FOREIGN);
        EXPECT_EQ(fa_transfer_send(*allocator, transfer), FA_ERROR_FOREIGN);
        EXPECT_EQ(fa_transfer_on_drop(*allocator, transfer, nullptr, nullptr), FA_ERROR_FOREIGN);
        EXPECT_EQ(events.Count(FA_DIAG_FA206), before + 5);
        EXPECT_EQ(State(transfer), FA_TRANSFER_NONE);
    }
};

TEST_F(Transfer, FromAFrameThatEndsToAnotherThread) {
    fa_frame_begin(*allocator);
    Command *command = fa_frame_new(*allocator, Command);
    *command = {42, "in a frame"};
    fa_transfer transfer;
    ASSERT_EQ(fa_tag_enter(*allocator, FA_TAG_PHYSICS), FA_OK);
    ASSERT_EQ(fa_transfer_copy(*allocator, command, &transfer), FA_OK);
    ASSERT_EQ(fa_tag_leave(*allocator), FA_OK);
    EXPECT_EQ(State(transfer), FA_TRANSFER_OWNED);
    ASSERT_EQ(fa_transfer_send(*allocator, transfer), FA_OK);
    EXPECT_EQ(State(transfer), FA_TRANSFER_IN_FLIGHT);
    EXPECT_EQ(fa_transfer_send(*allocator, transfer), FA_ERROR_STATE);
    EXPECT_EQ(fa_transfer_on_drop(*allocator, transfer, nullptr, nullptr), FA_ERROR_STATE);
    fa_frame_end(*allocator);
    EXPECT_EQ(Numbers().in_flight_bytes, sizeof(Command));
    OnThread([&] {
        fa_received received;
        ASSERT_EQ(fa_transfer_receive(*allocator, transfer, &received), FA_OK);
        const Command *got = static_cast<Command *>(received.object);
        EXPECT_EQ(got->number, 42u);
        EXPECT_STREQ(got->text, "in a frame");
        EXPECT_EQ(received.size, sizeof(Command));
        EXPECT_EQ(received.tag, fa_tag{FA_TAG_PHYSICS});
        EXPECT_EQ(received.thread_index, 1u);
        fa_pool_free(*allocator, received.object);
    });
    EXPECT_EQ(State(transfer), FA_TRANSFER_RECEIVED);
    ExpectTaken(transfer);
    ExpectNumbers(1, 1, 0);
    EXPECT_EQ(Numbers().bytes_made, sizeof(Command));
    EXPECT_TRUE(events.all.empty());
}

TEST_F(Transfer, HandlesOfPlacesThatAreUsedAgainAreRefusedForEver) {
    std::vector<fa_transfer> old;
    for (uint64_t i = 0; i < 1000; i++) {
        fa_transfer transfer = Make(i);
        Command *got = fa_transfer_receive_as(*allocator, Command, transfer);
        ASSERT_NE(got, nullptr);
        EXPECT_EQ(got->number, i);
        fa_pool_free(*allocator, got);
        old.push_back(transfer);
    }
    for (fa_transfer transfer : old)
        ExpectTaken(transfer);
    EXPECT_EQ(Numbers().slot_count, 64u);
    ExpectNumbers(1000, 1000, 0);
    EXPECT_EQ(State(old[0]), FA_TRANSFER_NONE);
}

TEST_F(Transfer, WhatNeverWasIsRefused) {
    ExpectForeign(fa_transfer{0});
    ExpectForeign(fa_transfer{1});
    ExpectForeign(fa_transfer{UINT64_MAX});
    fa_transfer transfer = Make(1);
    ExpectForeign(fa_transfer{0});
    ExpectForeign(fa_transfer{transfer.id + 63});                  // a place that was never used
    ExpectForeign(fa_transfer{transfer.id + 64});                  // one that is not there
    ExpectForeign(fa_transfer{transfer.id + (uint64_t{1} << 26)}); // a later use of its place
    ExpectForeign(fa_transfer{UINT64_MAX});
    EXPECT_EQ(fa_transfer_drop(*allocator, transfer), FA_OK);
}

TEST_F(Transfer, AnotherTypeIsRefusedAndItStays) {
    fa_transfer transfer = Make(7);
    EXPECT_EQ(fa_transfer_receive_as(*allocator, uint64_t, transfer), nullptr);
    EXPECT_EQ(fa_last_error().diag, FA_DIAG_FA206);
    EXPECT_EQ(State(transfer), FA_TRANSFER_OWNED);
    Command *got = fa_transfer_receive_as(*allocator, Command, transfer);
    ASSERT_NE(got, nullptr);
    EXPECT_EQ(got->number, 7u);
    fa_pool_free(*allocator, got);
}

TEST_F(Transfer, AlignmentAndSizesBeyondThePool) {
    Wide wide = {5};
    fa_transfer transfer;
    ASSERT_EQ(fa_transfer_copy(*allocator, &wide, &transfer), FA_OK);
    Wide *got = fa_transfer_receive_as(*allocator, Wide, transfer);
    ASSERT_NE(got, nullptr);
    EXPECT_TRUE(IsAligned(got, 128));
    EXPECT_EQ(got->number, 5u);
    fa_pool_free(*allocator, got);
    std::vector<char> large(300000, 'x');
    ASSERT_EQ(fa_transfer_make(*allocator, large.data(), large.size(), 1, &transfer), FA_OK);
    fa_received received;
    ASSERT_EQ(fa_transfer_receive(*allocator, transfer, &received), FA_OK);
    EXPECT_EQ(memcmp(received.object, large.data(), large.size()), 0);
    fa_pool_free(*allocator, received.object);
    ExpectNumbers(2, 2, 0);
}

TEST_F(Transfer, ABlockIsTakenOverAsItIs) {
    for (size_t size : {48, 100000}) {
        void *block = fa_pool_alloc(*allocator, size);
        Paint(block, size, size);
        fa_transfer transfer;
        ASSERT_EQ(fa_transfer_wrap(*allocator, block, size, &transfer), FA_OK);
        fa_received received;
        ASSERT_EQ(fa_transfer_receive(*allocator, transfer, &received), FA_OK);
        EXPECT_EQ(received.object, block);
        EXPECT_TRUE(IsPainted(block, size, size));
        fa_pool_free(*allocator, block);
    }
}

struct Dropped {
    fa_allocator *allocator;
    std::vector<uint64_t> numbers;
    static void Note(void *user, void *object) {
        auto *self = static_cast<Dropped *>(user);
        self->numbers.push_back(static_cast<Command *>(object)->number);
        fa_pool_free(self->allocator, fa_pool_alloc(self->allocator, 64)); // no lock is held
    }
};

TEST_F(Transfer, DroppedItRunsItsCleanUp) {
    Dropped dropped = {*allocator, {}};
    fa_transfer transfer = Make(3), received = Make(4), changed = Make(5);
    for (fa_transfer each : {transfer, received, changed})
        ASSERT_EQ(fa_transfer_on_drop(*allocator, each, Dropped::Note, &dropped), FA_OK);
    ASSERT_EQ(fa_transfer_on_drop(*allocator, changed, nullptr, nullptr), FA_OK);
    OnThread([&] { ASSERT_EQ(fa_transfer_drop(*allocator, transfer), FA_OK); });
    EXPECT_EQ(fa_transfer_drop(*allocator, changed), FA_OK);
    EXPECT_EQ(State(transfer), FA_TRANSFER_DROPPED);
    ExpectTaken(transfer);
    fa_pool_free(*allocator, fa_transfer_receive_as(*allocator, Command, received));
    EXPECT_EQ(dropped.numbers, std::vector<uint64_t>{3});
    ExpectNumbers(3, 1, 2);
    for (uint64_t i = 0; i < 200; i++) // counted the same once their places are used again
        EXPECT_EQ(fa_transfer_drop(*allocator, Make(i)), FA_OK);
    ExpectNumbers(203, 1, 202);
}

TEST_F(Transfer, WhatIsInFlightAtTheEndIsNamedAndDropped) {
    Dropped dropped = {*allocator, {}};
    const int line = __LINE__ + 4;
    for (uint64_t i = 0; i < 20; i++) {
        Command command = {i, ""};
        fa_transfer transfer;
        ASSERT_EQ(fa_transfer_copy(*allocator, &command, &transfer), FA_OK);
        ASSERT_EQ(fa_transfer_on_drop(*allocator, transfer, Dropped::Note, &dropped), FA_OK);
        if (i % 2 == 0) {
            ASSERT_EQ(fa_transfer_send(*allocator, transfer), FA_OK);
        }
    }
    EXPECT_EQ(allocator->Destroy(), 0u);
    allocator.reset();
    EXPECT_EQ(dropped.numbers.size(), 20u);
    EXPECT_EQ(events.Count(FA_DIAG_FA207), 17u); // 16 by name, the rest as one number
    EXPECT_EQ(events.Count(FA_DIAG_FA605), 0u);
    for (const fa_event &event : events.all) {
        if (event.limit != 0) {
            EXPECT_EQ(event.limit, 4u);
            continue;
        }
        EXPECT_EQ(event.size, sizeof(Command));
        if (kCounted) {
            ASSERT_NE(event.site.file, nullptr);
            EXPECT_NE(strstr(event.site.file, "transfer_test.cc"), nullptr);
            EXPECT_EQ(event.site.line, line);
        }
    }
}

// Another one is made while the allocator is being destroyed: it dies too.
TEST_F(Transfer, ACleanUpAtTheEndMayMakeMore) {
    static fa_allocator *at;
    at = *allocator;
    static int left;
    left = 3;
    static fa_transfer_drop_fn *again;
    again = [](void *, void *object) {
        if (left-- > 0) {
            fa_transfer transfer;
            ASSERT_EQ(fa_transfer_make(at, object, sizeof(Command), 16, &transfer), FA_OK);
            ASSERT_EQ(fa_transfer_on_drop(at, transfer, again, nullptr), FA_OK);
        }
    };
    ASSERT_EQ(fa_transfer_on_drop(*allocator, Make(1), again, nullptr), FA_OK);
    EXPECT_EQ(allocator->Destroy(), 0u);
    allocator.reset();
    EXPECT_EQ(left, -1);
    EXPECT_EQ(events.Count(FA_DIAG_FA207), 4u);
}

// Random makes, sends, receives and drops against a map.
TEST_F(Transfer, Model) {
    Random random;
    std::map<uint64_t, uint64_t> alive; // id -> number
    std::vector<fa_transfer> gone;
    uint64_t made = 0, received = 0, dropped = 0;
    for (size_t round = 0; round < Rounds(20000); round++) {
        const size_t most = round % 4000 < 3000 ? 600 : 20; // fills, then runs empty
        if (alive.size() < random.Below(most)) {
            fa_transfer transfer = Make(made);
            ASSERT_TRUE(alive.emplace(transfer.id, made++).second) << "the same handle again";
            if (random.OneIn(2)) {
                ASSERT_EQ(fa_transfer_send(*allocator, transfer), FA_OK);
            }
        } else if (!alive.empty()) {
            auto at = alive.lower_bound(random.Below(SIZE_MAX));
            at = at == alive.end() ? alive.begin() : at;
            const fa_transfer transfer = {at->first};
            if (random.OneIn(3)) {
                ASSERT_EQ(fa_transfer_drop(*allocator, transfer), FA_OK);
                dropped++;
            } else {
                Command *got = fa_transfer_receive_as(*allocator, Command, transfer);
                ASSERT_NE(got, nullptr);
                ASSERT_EQ(got->number, at->second);
                fa_pool_free(*allocator, got);
                received++;
            }
            alive.erase(at);
            gone.push_back(transfer);
        }
        if (!gone.empty() && random.OneIn(50))
            ExpectTaken(gone[random.Below(gone.size())]);
    }
    ExpectNumbers(made, received, dropped);
    EXPECT_LE(Numbers().slot_count, 4u * 600u);
    for (const auto &each : alive)
        ASSERT_EQ(fa_transfer_drop(*allocator, fa_transfer{each.first}), FA_OK);
}

// Senders publish handles in boxes, receivers race for them with everybody else.
TEST_F(Transfer, EachIsReceivedOnceHoweverManyTry) {
    constexpr size_t kSenders = 2, kReceivers = 3, kBoxes = 8;
    const uint64_t each = Rounds(20000);
    std::atomic<uint64_t> boxes[kBoxes] = {};
    std::atomic<size_t> senders{kSenders};
    std::atomic<uint64_t> count{0}, drops{0};
    std::vector<std::atomic<uint8_t>> seen(kSenders * each + 1);
    std::vector<std::thread> threads;
    for (size_t self = 0; self < kSenders; self++)
        threads.emplace_back([&, self] {
            for (uint64_t i = 0; i < each; i++) {
                fa_transfer transfer = Make(self * each + i + 1);
                ASSERT_EQ(fa_transfer_send(*allocator, transfer), FA_OK);
                boxes[i % kBoxes].store(transfer.id, std::memory_order_relaxed);
                if (i % 64 == 0) // also those that nobody saw in their boxes
                    std::this_thread::yield();
            }
            senders--;
        });
    for (size_t self = 0; self < kReceivers; self++)
        threads.emplace_back([&, self] {
            for (size_t i = self; senders != 0; i++) {
                const fa_transfer transfer = {boxes[i % kBoxes].load(std::memory_order_relaxed)};
                if (transfer.id == 0)
                    continue;
                if (i % 5 == 0) {
                    drops += fa_transfer_drop(*allocator, transfer) == FA_OK;
                    continue;
                }
                Command *got = fa_transfer_receive_as(*allocator, Command, transfer);
                if (got == nullptr) {
                    ASSERT_EQ(fa_last_error().status, FA_ERROR_TAKEN);
                    continue;
                }
                ASSERT_STREQ(got->text, "payload");
                ASSERT_EQ(seen[got->number]++, 0u) << "received twice";
                count++;
                fa_pool_free(*allocator, got);
                (void)Numbers();
            }
        });
    for (std::thread &thread : threads)
        thread.join();
    ExpectNumbers(kSenders * each, count, drops);
    EXPECT_TRUE(events.all.empty());
    EXPECT_EQ(allocator->Destroy(), 0u);
    allocator.reset();
}

TEST_F(Transfer, TheSenderMayBeGoneAndItsPlaceInherited) {
    std::vector<fa_transfer> sent;
    for (uint64_t i = 0; i < 50; i++)
        OnThread([&] { sent.push_back(Make(i)); });
    EXPECT_EQ(Numbers().slot_count, 64u); // one state, used by one thread after the other
    for (uint64_t i = 0; i < 50; i++) {
        Command *got = fa_transfer_receive_as(*allocator, Command, sent[i]);
        ASSERT_NE(got, nullptr);
        EXPECT_EQ(got->number, i);
        fa_pool_free(*allocator, got);
    }
    ExpectNumbers(50, 50, 0);
}

TEST_F(Transfer, NothingIsLostWhenMemoryIsRefused) {
    for (uint64_t at = 1; at < 200; at++) {
        Source source;
        fa_alloc_config config = Plain(fa_alloc_config_minimal());
        config.backends[0] = source.backend;
        fa_allocator *poor = nullptr;
        ASSERT_EQ(fa_allocator_create(&config, &poor), FA_OK);
        source.Fail(at);
        std::vector<fa_transfer> made;
        fa_status status = FA_OK;
        for (uint64_t i = 0; i < 300 && status == FA_OK; i++) {
            Command command = {i, ""};
            fa_transfer transfer;
            status = fa_transfer_copy(poor, &command, &transfer);
            EXPECT_EQ(status == FA_OK, transfer.id != 0);
            if (status == FA_OK)
                made.push_back(transfer);
        }
        EXPECT_TRUE(status == FA_OK || status == FA_ERROR_NO_MEMORY) << fa_status_name(status);
        fa_transfer_stats stats;
        EXPECT_EQ(fa_transfer_stats_get(poor, &stats), FA_OK);
        EXPECT_EQ(stats.in_flight_count, made.size());
        if (kCounted) {
            EXPECT_EQ(Stats(poor).pool_live_count, 0u); // small ones travel in the registry
        }
        ExpectValid(poor);
        for (uint64_t i = 0; i < made.size(); i++) {
            Command *got = fa_transfer_receive_as(poor, Command, made[i]);
            if (got == nullptr) { // it stays where it is
                EXPECT_EQ(fa_last_error().status, FA_ERROR_NO_MEMORY);
                EXPECT_EQ(fa_transfer_state_get(poor, made[i]), FA_TRANSFER_OWNED);
                source.Fail(0); // never
                got = fa_transfer_receive_as(poor, Command, made[i]);
            }
            ASSERT_NE(got, nullptr);
            EXPECT_EQ(got->number, i);
            fa_pool_free(poor, got);
        }
        EXPECT_EQ(fa_allocator_destroy(poor), 0u);
        EXPECT_EQ(source.BytesLive(), 0u);
        if (made.size() == 300)
            return;
    }
    FAIL() << "it always failed";
}

TEST_F(Transfer, ABudgetOrASealCanBeInTheWay) {
    fa_transfer first = Make(1); // and the registry
    fa_budget budget = {};
    budget.hard_bytes = 1;
    ASSERT_EQ(fa_budget_set_tag(*allocator, FA_TAG_UI, FA_INTENT_POOL, &budget), FA_OK);
    ASSERT_EQ(fa_tag_enter(*allocator, FA_TAG_UI), FA_OK);
    Command command = {2, ""}, many[10] = {};
    fa_transfer transfer;
    EXPECT_EQ(fa_transfer_copy(*allocator, &many, &transfer), FA_ERROR_LIMIT);
    EXPECT_EQ(transfer.id, 0u);
    EXPECT_EQ(fa_transfer_receive_as(*allocator, Command, first), nullptr); // and stays
    EXPECT_EQ(fa_last_error().status, FA_ERROR_LIMIT);
    EXPECT_EQ(State(first), FA_TRANSFER_OWNED);
    ASSERT_EQ(fa_tag_leave(*allocator), FA_OK);
    fa_backend_seal(*allocator);
    EXPECT_EQ(fa_transfer_copy(*allocator, &command, &transfer), FA_OK); // held already
    std::vector<char> large(100 << 20);
    fa_transfer none;
    EXPECT_EQ(fa_transfer_make(*allocator, large.data(), large.size(), 16, &none), FA_ERROR_SEALED);
    EXPECT_EQ(fa_transfer_drop(*allocator, transfer), FA_OK);
    EXPECT_EQ(fa_transfer_drop(*allocator, first), FA_OK);
    ExpectNumbers(2, 0, 2);
}

TEST_F(Transfer, TheChildOfAForkHasThemToo) {
    fa_transfer transfer = Make(9);
    InChild([&] {
        Command *got = fa_transfer_receive_as(*allocator, Command, transfer);
        bool fine = got != nullptr && got->number == 9;
        fa_pool_free(*allocator, got);
        fine = fine && fa_transfer_drop(*allocator, Make(1)) == FA_OK;
        fine = fine && fa_validate(*allocator, nullptr) == FA_OK;
        return fine ? 0 : __LINE__;
    });
    EXPECT_EQ(fa_transfer_drop(*allocator, transfer), FA_OK);
}

TEST_F(Transfer, WithEveryCheck) {
    allocator = std::make_unique<Tracked>(Watched(Config(FA_CHECK_ALL)));
    for (uint64_t i = 0; i < 100; i++) {
        Command *got = fa_transfer_receive_as(*allocator, Command, Make(i));
        ASSERT_NE(got, nullptr);
        EXPECT_EQ(got->number, i);
        fa_pool_free(*allocator, got);
    }
    ExpectNumbers(100, 100, 0);
    EXPECT_TRUE(events.all.empty());
}

} // namespace
