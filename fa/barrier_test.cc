// Frame barriers: rounds of many threads, members that come and go, time-outs, misuse.
#include "fa/testing_barriers.hpp"

#include <array>
#include <atomic>

#include <sys/wait.h>
#include <unistd.h>

using namespace fa_testing;

namespace {

using BarrierDeathTest = Barrier;

// Whoever comes out first destroys the barrier: the last one to arrive, or to leave, may not have
// written yet that it did.
TEST_F(Barrier, WhoeverComesOutFirstMayDestroyIt) {
    fa_alloc_config config = Config();
    ASSERT_EQ(fa_allocator_create(&config, &allocator), FA_OK);
    for (bool leaves : {false, true}) {
        std::atomic<fa_barrier *> current{nullptr};
        const size_t rounds = Rounds(8000);
        std::atomic<size_t> joined{0}, out{0};
        auto go = [&](bool is_first) {
            for (size_t round = 1; round <= rounds; round++) {
                if (is_first) {
                    ASSERT_EQ(fa_barrier_create(allocator, 2, &barrier), FA_OK);
                    current = barrier;
                }
                fa_barrier *here;
                while ((here = current) == nullptr)
                    std::this_thread::yield();
                ASSERT_EQ(fa_barrier_join(here), FA_OK);
                for (joined++; joined < 2 * round;)
                    std::this_thread::yield();
                bool destroys = !leaves || !is_first;
                EXPECT_EQ(leaves && is_first ? fa_barrier_leave(here)
                                             : fa_barrier_signal_and_wait(here),
                          FA_OK);
                fa_barrier *mine = here;
                if (destroys && current.compare_exchange_strong(mine, nullptr)) {
                    EXPECT_EQ(fa_barrier_destroy(here), FA_OK);
                }
                for (out++; out < 2 * round;)
                    std::this_thread::yield();
            }
        };
        std::thread second(go, false);
        go(true);
        second.join();
    }
    barrier = nullptr;
}

TEST_F(Barrier, EachRoundSeesAllOfTheOneBefore) {
    constexpr size_t kThreads = 4;
    const size_t rounds = Rounds(4000);
    Create(kThreads);
    std::array<size_t, kThreads> done = {}; // not atomic: the barrier orders it
    std::vector<std::thread> threads;
    for (size_t self = 0; self < kThreads; self++)
        threads.emplace_back([&, self] {
            ASSERT_EQ(fa_barrier_join(barrier), FA_OK);
            for (size_t round = 1; round <= rounds; round++) {
                done[self] = round;
                if (round % 2 != 0) {
                    ASSERT_EQ(fa_barrier_signal_and_wait(barrier), FA_OK);
                } else {
                    ASSERT_EQ(fa_barrier_signal(barrier), FA_OK);
                    ASSERT_EQ(fa_barrier_wait(barrier), FA_OK);
                }
                for (size_t other : done)
                    ASSERT_EQ(other, round);
                ASSERT_EQ(fa_barrier_signal_and_wait(barrier), FA_OK); // before the next write
            }
            ASSERT_EQ(fa_barrier_leave(barrier), FA_OK);
        });
    for (std::thread &thread : threads)
        thread.join();
    const fa_barrier_stats stats = Numbers();
    EXPECT_EQ(stats.generation, rounds * 2);
    EXPECT_EQ(stats.wait_count, rounds * 2 * kThreads);
    EXPECT_EQ(stats.timeout_count, 0u);
    EXPECT_EQ(stats.seat_count, 0u);
    EXPECT_EQ(fa_barrier_destroy(barrier), FA_OK);
}

TEST_F(Barrier, AloneItNeverWaits) {
    Create(0);
    ASSERT_EQ(fa_barrier_join(barrier), FA_OK);
    for (int i = 0; i < 1000; i++)
        ASSERT_EQ(fa_barrier_signal_and_wait(barrier), FA_OK);
    const fa_barrier_stats stats = Numbers();
    EXPECT_EQ(stats.generation, 1000u);
    EXPECT_EQ(stats.wait_nanoseconds_total, 0u);
    EXPECT_EQ(stats.member_count, 1u);
}

TEST_F(Barrier, FreeSeatsAreWaitedFor) {
    Create(2);
    ASSERT_EQ(fa_barrier_join(barrier), FA_OK);
    EXPECT_EQ(Numbers().seat_count, 2u);
    EXPECT_EQ(Numbers().member_count, 1u);
    ASSERT_EQ(fa_barrier_signal(barrier), FA_OK);
    EXPECT_EQ(fa_barrier_wait_for(barrier, 0), FA_ERROR_TIMEOUT);
    OnThread([&] {
        ASSERT_EQ(fa_barrier_join(barrier), FA_OK); // takes the seat: nobody else is waited for
        EXPECT_EQ(Numbers().seat_count, 2u);
        ASSERT_EQ(fa_barrier_signal(barrier), FA_OK);
        ASSERT_EQ(fa_barrier_leave(barrier), FA_OK);
    });
    EXPECT_EQ(fa_barrier_wait(barrier), FA_OK);
    ASSERT_EQ(fa_barrier_expect(barrier, 1), FA_OK);
    ASSERT_EQ(fa_barrier_signal(barrier), FA_OK);
    EXPECT_EQ(fa_barrier_wait_for(barrier, 0), FA_ERROR_TIMEOUT);
    OnThread([&] {
        ASSERT_EQ(fa_barrier_join(barrier), FA_OK);
        ASSERT_EQ(fa_barrier_leave(barrier), FA_OK); // without a signal: it ends the generation
    });
    EXPECT_EQ(fa_barrier_wait(barrier), FA_OK);
}

TEST_F(Barrier, TimeOutsLeaveTheSignal) {
    Create(2);
    ASSERT_EQ(fa_barrier_join(barrier), FA_OK);
    ASSERT_EQ(fa_barrier_signal(barrier), FA_OK);
    for (uint64_t nanoseconds : {0, 1, 1000, 3000000}) {
        EXPECT_EQ(fa_barrier_wait_for(barrier, nanoseconds), FA_ERROR_TIMEOUT);
        EXPECT_EQ(fa_last_error().status, FA_ERROR_TIMEOUT);
    }
    const fa_barrier_stats stats = Numbers();
    EXPECT_EQ(stats.timeout_count, 4u);
    EXPECT_EQ(stats.wait_count, 4u);
    EXPECT_GE(stats.wait_nanoseconds_max, 3000000u);
    EXPECT_EQ(stats.arrived_count, 1u);
    std::thread other([&] {
        ASSERT_EQ(fa_barrier_join(barrier), FA_OK);
        ASSERT_EQ(fa_barrier_signal_and_wait(barrier), FA_OK);
        ASSERT_EQ(fa_barrier_leave(barrier), FA_OK);
    });
    EXPECT_EQ(fa_barrier_wait_for(barrier, UINT64_MAX - 1), FA_OK); // ends far beyond the clock's
    other.join();
    EXPECT_EQ(events.all.size(), 0u);
}

TEST_F(Barrier, MisuseIsRefused) {
    Create(2);
    ExpectMisuse(fa_barrier_signal(barrier), FA_ERROR_FOREIGN, FA_DIAG_FA203);
    ExpectMisuse(fa_barrier_wait(barrier), FA_ERROR_FOREIGN, FA_DIAG_FA203);
    ExpectMisuse(fa_barrier_signal_and_wait(barrier), FA_ERROR_FOREIGN, FA_DIAG_FA203);
    ExpectMisuse(fa_barrier_leave(barrier), FA_ERROR_FOREIGN, FA_DIAG_FA203);
    ASSERT_EQ(fa_barrier_join(barrier), FA_OK);
    EXPECT_EQ(fa_barrier_join(barrier), FA_ERROR_EXISTS);
    ExpectMisuse(fa_barrier_wait(barrier), FA_ERROR_STATE, FA_DIAG_FA204);
    ASSERT_EQ(fa_barrier_signal(barrier), FA_OK);
    ExpectMisuse(fa_barrier_signal(barrier), FA_ERROR_STATE, FA_DIAG_FA204);
    ExpectMisuse(fa_barrier_signal_and_wait(barrier), FA_ERROR_STATE, FA_DIAG_FA204);
    EXPECT_EQ(Numbers().arrived_count, 1u);
    ASSERT_EQ(fa_barrier_leave(barrier), FA_OK);
    EXPECT_EQ(Numbers().arrived_count, 0u);
    ASSERT_EQ(fa_barrier_join(barrier), FA_OK); // its seat is gone: it waits for the other one
    ExpectMisuse(fa_barrier_wait(barrier), FA_ERROR_STATE, FA_DIAG_FA204);
}

TEST_F(Barrier, SignalAgainOnceItIsOverWithoutWaiting) {
    Create(0);
    ASSERT_EQ(fa_barrier_join(barrier), FA_OK);
    for (int i = 0; i < 10; i++)
        ASSERT_EQ(fa_barrier_signal(barrier), FA_OK);
    EXPECT_EQ(fa_barrier_wait(barrier), FA_OK);
    EXPECT_EQ(fa_barrier_wait(barrier), FA_OK);
    EXPECT_EQ(Numbers().generation, 10u);
}

TEST_F(Barrier, FullIsAnAnswer) {
    Create(FA_BARRIER_SEAT_COUNT_MAX - 1);
    EXPECT_EQ(fa_barrier_expect(barrier, 0), FA_OK);
    EXPECT_EQ(fa_barrier_expect(barrier, 2), FA_ERROR_FULL);
    EXPECT_EQ(fa_barrier_expect(barrier, 1), FA_OK);
    EXPECT_EQ(fa_barrier_expect(barrier, 1), FA_ERROR_FULL);
    ASSERT_EQ(fa_barrier_join(barrier), FA_OK); // seats are free
    EXPECT_EQ(Numbers().seat_count, size_t{FA_BARRIER_SEAT_COUNT_MAX});
    ExpectValid(allocator);
    EXPECT_EQ(events.all.size(), 0u);
}

TEST_F(Barrier, TwoBarriersAndOneAtTheSameAddress) {
    Create(1);
    ASSERT_EQ(fa_barrier_join(barrier), FA_OK);
    fa_barrier *other = nullptr;
    ASSERT_EQ(fa_barrier_create(allocator, 1, &other), FA_OK);
    EXPECT_EQ(fa_barrier_signal(other), FA_ERROR_FOREIGN);
    ASSERT_EQ(fa_barrier_join(other), FA_OK);
    for (int i = 0; i < 10; i++) {
        EXPECT_EQ(fa_barrier_signal_and_wait(barrier), FA_OK);
        EXPECT_EQ(fa_barrier_signal_and_wait(other), FA_OK);
    }
    EXPECT_EQ(fa_barrier_destroy(other), FA_OK);
    for (int i = 0; i < 4; i++) { // most likely where the last one was
        ASSERT_EQ(fa_barrier_create(allocator, 1, &other), FA_OK);
        EXPECT_EQ(fa_barrier_signal(other), FA_ERROR_FOREIGN);
        ASSERT_EQ(fa_barrier_join(other), FA_OK);
        EXPECT_EQ(fa_barrier_signal_and_wait(other), FA_OK);
        EXPECT_EQ(fa_barrier_destroy(other), FA_OK);
    }
}

TEST_F(Barrier, DestroyIsRefusedWhileSomebodyWaits) {
    Create(2);
    std::thread waiter([&] {
        ASSERT_EQ(fa_barrier_join(barrier), FA_OK);
        ASSERT_EQ(fa_barrier_signal_and_wait(barrier), FA_OK);
    });
    AwaitArrivals(1);
    while (fa_barrier_join(barrier) != FA_OK)
        std::this_thread::yield();
    while (Numbers().wait_count == 0) // before that it may be on its way into the wait
        std::this_thread::yield();
    fa_status status = fa_barrier_destroy(barrier);
    ExpectMisuse(status, FA_ERROR_STATE, FA_DIAG_FA205);
    ASSERT_EQ(fa_barrier_signal(barrier), FA_OK);
    EXPECT_EQ(fa_barrier_destroy(barrier), FA_OK); // the other one is on its way out, or gone
    waiter.join();
}

TEST_F(Barrier, TheAllocatorsEndSendsWaitersAway) {
    Create(2);
    std::atomic<bool> is_inside{false};
    std::thread waiter([&] {
        ASSERT_EQ(fa_barrier_join(barrier), FA_OK);
        ASSERT_EQ(fa_barrier_signal(barrier), FA_OK);
        EXPECT_EQ(fa_barrier_wait_for(barrier, 1000), FA_ERROR_TIMEOUT);
        is_inside = true;
        EXPECT_EQ(fa_barrier_wait(barrier), FA_ERROR_STATE);
    });
    while (!is_inside || Numbers().wait_count < 2)
        std::this_thread::yield();
    std::this_thread::sleep_for(std::chrono::milliseconds(20)); // most likely asleep by now
    EXPECT_EQ(fa_allocator_destroy(allocator), 0u);
    allocator = nullptr;
    waiter.join();
    EXPECT_EQ(events.Count(FA_DIAG_FA205), 1u);
}

// Threads come and go all the time; what one generation wrote, the next one reads.
TEST_F(Barrier, MembersComeAndGo) {
    Create(1);
    const size_t rounds = Rounds(2000);
    constexpr size_t kThreads = 4;
    Random seed;
    std::atomic<bool> done{false};
    size_t shared = 0; // written by the first member alone, between two generations
    ASSERT_EQ(fa_barrier_join(barrier), FA_OK);
    std::vector<std::thread> threads;
    for (size_t self = 0; self < kThreads; self++)
        threads.emplace_back([&, self] {
            Engine random(seed.Seed() + self);
            size_t last = 0;
            while (!done) {
                ASSERT_EQ(fa_barrier_join(barrier), FA_OK);
                uint64_t stay = Pick(random, 0, 5);
                bool waits = true;
                for (uint64_t i = 0; i < stay && waits; i++) {
                    ASSERT_EQ(fa_barrier_signal(barrier), FA_OK);
                    waits = Pick(random, 0, 7) != 0; // else it leaves with its signal given
                    if (!waits)
                        break;
                    while (fa_barrier_wait_for(barrier, Pick(random, 0, 100000)) != FA_OK) {
                    }
                    ASSERT_GE(shared, last);
                    last = shared;
                    ASSERT_EQ(fa_barrier_signal(barrier), FA_OK);
                    ASSERT_EQ(fa_barrier_wait(barrier), FA_OK);
                }
                ASSERT_EQ(fa_barrier_leave(barrier), FA_OK);
                if (Pick(random, 0, 3) == 0)
                    std::this_thread::yield();
            }
        });
    for (size_t round = 0; round < rounds; round++) {
        ASSERT_EQ(fa_barrier_signal_and_wait(barrier), FA_OK);
        ASSERT_EQ(fa_barrier_signal_and_wait(barrier), FA_OK);
        (void)Numbers();
    }
    done = true;
    ASSERT_EQ(fa_barrier_leave(barrier), FA_OK);
    for (std::thread &thread : threads)
        thread.join();
    const fa_barrier_stats stats = Numbers();
    EXPECT_EQ(stats.seat_count, 0u);
    EXPECT_GE(stats.generation, rounds * 2);
}

TEST_F(Barrier, InTheChildOfAForkTheForkingThreadIsAlone) {
    Create(3);
    ASSERT_EQ(fa_barrier_join(barrier), FA_OK);
    std::thread other([&] {
        ASSERT_EQ(fa_barrier_join(barrier), FA_OK);
        ASSERT_EQ(fa_barrier_signal_and_wait(barrier), FA_OK);
        ASSERT_EQ(fa_barrier_leave(barrier), FA_OK);
    });
    AwaitArrivals(1);
    for (bool signalled : {false, true}) {
        if (signalled) {
            ASSERT_EQ(fa_barrier_signal(barrier), FA_OK);
        }
        pid_t child = fork();
        ASSERT_GE(child, 0);
        if (child == 0) {
            alarm(60);
            bool fine = signalled ? fa_barrier_wait(barrier) == FA_OK : true;
            for (int i = 0; i < 3; i++)
                fine = fine && fa_barrier_signal_and_wait(barrier) == FA_OK;
            fine = fine && fa_validate(allocator, nullptr) == FA_OK;
            fine = fine && fa_barrier_leave(barrier) == FA_OK;
            fine = fine && fa_barrier_destroy(barrier) == FA_OK;
            fine = fine && fa_allocator_destroy(allocator) == 0;
            _exit(fine ? 0 : 1);
        }
        int status = 0;
        ASSERT_EQ(waitpid(child, &status, 0), child);
        EXPECT_EQ(status, 0);
    }
    OnThread([&] { // the third seat
        ASSERT_EQ(fa_barrier_join(barrier), FA_OK);
        ASSERT_EQ(fa_barrier_leave(barrier), FA_OK);
    });
    EXPECT_EQ(fa_barrier_wait(barrier), FA_OK);
    other.join();
}

TEST_F(Barrier, NothingIsLostWhenMemoryIsRefused) {
    for (uint64_t at = 1; at < 100; at++) {
        Source source;
        fa_alloc_config config = Plain(fa_alloc_config_minimal());
        config.backends[0] = source.backend;
        ASSERT_EQ(fa_allocator_create(&config, &allocator), FA_OK);
        source.Fail(at);
        fa_status status = fa_barrier_create(allocator, 0, &barrier);
        if (status != FA_OK) {
            EXPECT_EQ(status, FA_ERROR_NO_MEMORY);
            EXPECT_EQ(barrier, nullptr);
        } else if ((status = fa_barrier_join(barrier)) == FA_OK) {
            EXPECT_EQ(fa_barrier_signal_and_wait(barrier), FA_OK);
        } else {
            EXPECT_EQ(status, FA_ERROR_NO_MEMORY);
            EXPECT_EQ(Numbers().seat_count, 0u);
        }
        ExpectValid(allocator);
        EXPECT_EQ(fa_allocator_destroy(allocator), 0u);
        allocator = nullptr;
        EXPECT_EQ(source.BytesLive(), 0u);
        if (status == FA_OK)
            return;
    }
    FAIL() << "it always failed";
}

TEST_F(Barrier, ASealedAllocatorServesBarriersFromWhatItHolds) {
    Create(1);
    fa_heap_free(allocator, fa_heap_alloc(allocator, 4096));
    fa_backend_seal(allocator);
    ASSERT_EQ(fa_barrier_join(barrier), FA_OK);
    EXPECT_EQ(fa_barrier_signal_and_wait(barrier), FA_OK);
    EXPECT_EQ(fa_barrier_leave(barrier), FA_OK);
    EXPECT_EQ(fa_barrier_destroy(barrier), FA_OK);
}

TEST_F(Barrier, ABudgetCanBeInTheWay) {
    Create(1);
    fa_tag tag = fa_tag_intern(allocator, "barriers");
    fa_budget budget = {};
    budget.hard_bytes = 1;
    ASSERT_EQ(fa_budget_set_tag(allocator, tag, FA_INTENT_HEAP, &budget), FA_OK);
    ASSERT_EQ(fa_tag_enter(allocator, tag), FA_OK);
    EXPECT_EQ(fa_barrier_join(barrier), FA_ERROR_LIMIT);
    fa_barrier *other = nullptr;
    EXPECT_EQ(fa_barrier_create(allocator, 1, &other), FA_ERROR_LIMIT);
    ASSERT_EQ(fa_tag_leave(allocator), FA_OK);
    EXPECT_EQ(Numbers().member_count, 0u);
}

TEST_F(Barrier, WithEveryCheck) {
    Create(1, Config(FA_CHECK_ALL));
    ASSERT_EQ(fa_barrier_join(barrier), FA_OK);
    EXPECT_EQ(fa_barrier_signal_and_wait(barrier), FA_OK);
    EXPECT_EQ(fa_barrier_leave(barrier), FA_OK);
    EXPECT_EQ(events.all.size(), 0u);
}

} // namespace
