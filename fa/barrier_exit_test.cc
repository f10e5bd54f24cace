// Threads that exit while they are members of barriers: forgotten, late, and what an exit looks at.
#include "fa/testing_barriers.hpp"

#include <atomic>
#include <ctime>

#include <limits.h>
#include <pthread.h>

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpedantic" // arrays of flexible length are C
#define _Static_assert static_assert
extern "C" {
#include "fa/internal/allocator.h"
}
#undef _Static_assert
#pragma GCC diagnostic pop

using namespace fa_testing;

namespace {

// ---- threads that exit without a word ----

TEST_F(Barrier, AThreadThatExitsIsTakenAwayAndReported) {
    Create(2);
    OnThread([&] { EXPECT_EQ(fa_barrier_join(barrier), FA_OK); }); // it never signals
    EXPECT_EQ(events.Count(FA_DIAG_FA208), 1u);
    EXPECT_EQ(events.Last(FA_DIAG_FA208).address, barrier);
    EXPECT_EQ(Numbers().seat_count, 1u);
    ASSERT_EQ(fa_barrier_join(barrier), FA_OK);
    EXPECT_EQ(fa_barrier_signal_and_wait(barrier), FA_OK) << "nobody else is awaited";
    EXPECT_EQ(fa_barrier_leave(barrier), FA_OK);
    events.all.clear();
    EXPECT_EQ(fa_barrier_destroy(barrier), FA_OK);
}

TEST_F(Barrier, WhoWaitsForAThreadThatExitsGoesOn) {
    Create(2);
    ASSERT_EQ(fa_barrier_join(barrier), FA_OK);
    std::thread other([&] {
        EXPECT_EQ(fa_barrier_join(barrier), FA_OK);
        EXPECT_EQ(fa_barrier_signal(barrier), FA_OK);
        EXPECT_EQ(fa_barrier_wait(barrier), FA_OK);
        AwaitArrivals(1); // the main thread waits in the second generation
    });
    EXPECT_EQ(fa_barrier_signal_and_wait(barrier), FA_OK);
    EXPECT_EQ(fa_barrier_signal_and_wait(barrier), FA_OK);
    other.join();
    EXPECT_EQ(events.Count(FA_DIAG_FA208), 1u);
    EXPECT_EQ(Numbers().member_count, 1u);
    EXPECT_EQ(Numbers().wait_count, 3u) << "with those of the thread that is gone";
}

TEST_F(Barrier, OfSeveralBarriersAndAllocatorsAtOnce) {
    Create(0);
    fa_barrier *second = nullptr, *foreign = nullptr;
    ASSERT_EQ(fa_barrier_create(allocator, 0, &second), FA_OK);
    fa_allocator *other = nullptr;
    fa_alloc_config config = Config();
    Events there;
    there.Watch(&config);
    ASSERT_EQ(fa_allocator_create(&config, &other), FA_OK);
    ASSERT_EQ(fa_barrier_create(other, 0, &foreign), FA_OK);
    for (int i = 1; i <= 20; i++) {
        OnThread([&] {
            for (fa_barrier *each : {barrier, second, foreign})
                EXPECT_EQ(fa_barrier_join(each), FA_OK);
            EXPECT_EQ(fa_barrier_leave(second), FA_OK);
        });
        EXPECT_EQ(events.Count(FA_DIAG_FA208), static_cast<size_t>(i));
        EXPECT_EQ(there.Count(FA_DIAG_FA208), static_cast<size_t>(i));
        EXPECT_EQ(Numbers().seat_count, 0u);
    }
    EXPECT_EQ(fa_barrier_destroy(second), FA_OK);
    ExpectValid(other);
    EXPECT_EQ(fa_allocator_destroy(other), 0u);
}

TEST_F(Barrier, WhoLeftIsNotReported) {
    Create(0);
    OnThread([&] {
        EXPECT_EQ(fa_barrier_join(barrier), FA_OK);
        EXPECT_EQ(fa_barrier_leave(barrier), FA_OK);
    });
    OnThread([&] {
        fa_barrier *gone = nullptr;
        ASSERT_EQ(fa_barrier_create(allocator, 0, &gone), FA_OK);
        EXPECT_EQ(fa_barrier_join(gone), FA_OK);
        EXPECT_EQ(fa_barrier_destroy(gone), FA_OK);
    });
    EXPECT_EQ(events.Count(FA_DIAG_FA208), 0u);
}

// ---- destructors of the program that come after the library's ----

// Leaves, or joins, in its last round.
struct AtExit {
    pthread_key_t key;
    int rounds; // that are still to come
    fa_barrier *barrier;
    bool joins;
    int status = -1;
};

void Exits(void *pointer) {
    auto *exit = static_cast<AtExit *>(pointer);
    if (--exit->rounds > 0) {
        pthread_setspecific(exit->key, exit);
        return;
    }
    exit->status = exit->joins ? fa_barrier_join(exit->barrier) : fa_barrier_leave(exit->barrier);
}

pthread_key_t NewKey() {
    pthread_key_t key;
    EXPECT_EQ(pthread_key_create(&key, Exits), 0);
    return key;
}

const pthread_key_t g_key_before = NewKey(); // made before the library makes its own

TEST_F(Barrier, DestructorsMayLeaveLate) {
    if (kTsan)
        GTEST_SKIP() << "there the library has one round alone";
    Create(1);
    const pthread_key_t key_after = NewKey();
    ASSERT_EQ(fa_barrier_join(barrier), FA_OK);
    for (const pthread_key_t key : {g_key_before, key_after})
        for (const bool attached : {false, true}) {
            // The library's own last round is the one before the last.
            const int last = PTHREAD_DESTRUCTOR_ITERATIONS - (key == key_after ? 2 : 1);
            for (int rounds = 1; rounds <= last; rounds++) {
                AtExit exit = {key, rounds, barrier, false};
                ASSERT_EQ(fa_barrier_expect(barrier, 1), FA_OK); // to wait for from now on
                std::thread other([&] {
                    EXPECT_EQ(fa_barrier_join(barrier), FA_OK);
                    if (attached) {
                        EXPECT_EQ(fa_thread_attach(allocator), FA_OK);
                    }
                    EXPECT_EQ(fa_barrier_signal(barrier), FA_OK);
                    pthread_setspecific(key, &exit);
                });
                EXPECT_EQ(fa_barrier_signal_and_wait(barrier), FA_OK);
                EXPECT_EQ(fa_barrier_signal_and_wait(barrier), FA_OK) << "until it has left";
                other.join();
                EXPECT_EQ(exit.status, FA_OK) << rounds;
                EXPECT_EQ(Numbers().member_count, 1u);
                EXPECT_EQ(events.all.size(), 0u);
                EXPECT_EQ(fa_thread_count(allocator), 0u);
            }
        }
    pthread_key_delete(key_after);
    EXPECT_EQ(fa_barrier_leave(barrier), FA_OK);
}

// Past the library's last round it is no member any more, and is told so.
TEST_F(Barrier, PastTheEndThereIsNothingToLeave) {
    if (kTsan)
        GTEST_SKIP() << "in the last round the thread sanitizer does not know the thread any more";
    Create(0);
    AtExit exit = {g_key_before, PTHREAD_DESTRUCTOR_ITERATIONS, barrier, false};
    OnThread([&] {
        EXPECT_EQ(fa_barrier_join(barrier), FA_OK);
        EXPECT_EQ(fa_barrier_signal(barrier), FA_OK);
        pthread_setspecific(g_key_before, &exit);
    });
    EXPECT_EQ(exit.status, FA_ERROR_FOREIGN);
    EXPECT_EQ(events.Count(FA_DIAG_FA208), 1u);
    EXPECT_EQ(events.Count(FA_DIAG_FA203), 1u);
    EXPECT_EQ(Numbers().member_count, 0u);
}

struct Leaver {
    fa_barrier *barrier = nullptr;
    ~Leaver() {
        if (barrier != nullptr) {
            EXPECT_EQ(fa_barrier_leave(barrier), FA_OK);
        }
    }
};
thread_local Leaver t_leaver;

TEST_F(Barrier, ThreadLocalObjectsMayLeave) {
    Create(0);
    OnThread([&] {
        t_leaver.barrier = barrier;
        EXPECT_EQ(fa_barrier_join(barrier), FA_OK);
    });
    EXPECT_EQ(events.all.size(), 0u);
    EXPECT_EQ(Numbers().member_count, 0u);
}

TEST_F(Barrier, CleanUpsOfTheFrameMayLeave) {
    Create(0);
    OnThread([&] {
        EXPECT_EQ(fa_barrier_join(barrier), FA_OK);
        fa_frame_begin(allocator);
        EXPECT_EQ(fa_frame_defer(
                      allocator,
                      [](void *argument) {
                          EXPECT_EQ(fa_barrier_leave(static_cast<fa_barrier *>(argument)), FA_OK);
                      },
                      barrier),
                  FA_OK);
    });
    EXPECT_EQ(events.all.size(), 0u);
    EXPECT_EQ(Numbers().member_count, 0u);
}

// The report comes while the thread is still attached: the hook may allocate.
TEST_F(Barrier, OneThatNeverLeavesIsReportedAsTheThreadThatItWas) {
    Create(0);
    uint64_t index = 0;
    OnThread([&] {
        EXPECT_EQ(fa_barrier_join(barrier), FA_OK);
        EXPECT_EQ(fa_thread_attach(allocator), FA_OK);
        fa_thread_stats stats;
        EXPECT_EQ(fa_thread_stats_here(allocator, &stats), FA_OK);
        index = stats.index;
    });
    EXPECT_EQ(events.Count(FA_DIAG_FA208), 1u);
    EXPECT_NE(index, 0u);
    EXPECT_EQ(events.Last(FA_DIAG_FA208).thread_index, index);
    EXPECT_EQ(fa_thread_count(allocator), 0u);
}

// Nobody would take it away again.
TEST_F(Barrier, JoiningPastTheEndIsRefused) {
    if (kTsan)
        GTEST_SKIP() << "in the last round the thread sanitizer does not know the thread any more";
    Create(0);
    AtExit exit = {g_key_before, PTHREAD_DESTRUCTOR_ITERATIONS, barrier, true};
    OnThread([&] {
        EXPECT_EQ(fa_thread_attach(allocator), FA_OK);
        pthread_setspecific(g_key_before, &exit);
    });
    EXPECT_EQ(exit.status, FA_ERROR_UNSUPPORTED);
    EXPECT_EQ(Numbers().member_count, 0u);
    EXPECT_EQ(events.all.size(), 0u);
}

// ---- what an exit looks at ----

// Everything that the allocator owns is under one lock: whoever looks at any of it takes that.
struct Looks {
    fa_allocator *allocator;
    fa_barrier *barrier;
    std::atomic<int> ready{0};
    std::atomic<bool> go{false};

    void Await() {
        for (ready++; !go;)
            std::this_thread::yield();
    }
};

void *NeverJoins(void *pointer) {
    auto *looks = static_cast<Looks *>(pointer);
    EXPECT_EQ(fa_thread_attach(looks->allocator), FA_OK);
    looks->Await();
    return nullptr;
}

void *HasLeft(void *pointer) {
    auto *looks = static_cast<Looks *>(pointer);
    EXPECT_EQ(fa_barrier_join(looks->barrier), FA_OK);
    EXPECT_EQ(fa_barrier_leave(looks->barrier), FA_OK);
    looks->Await();
    return nullptr;
}

void *HasDestroyed(void *pointer) {
    auto *looks = static_cast<Looks *>(pointer);
    fa_barrier *own = nullptr;
    EXPECT_EQ(fa_barrier_create(looks->allocator, 0, &own), FA_OK);
    EXPECT_EQ(fa_barrier_join(own), FA_OK);
    EXPECT_EQ(fa_barrier_destroy(own), FA_OK);
    looks->Await();
    return nullptr;
}

TEST_F(Barrier, ThreadsThatAreNoMembersLookAtNothing) {
    Create(0);
    Looks looks = {allocator, barrier};
    std::vector<pthread_t> threads;
    for (void *(*body)(void *) : {NeverJoins, HasLeft, HasDestroyed}) {
        threads.emplace_back();
        ASSERT_EQ(pthread_create(&threads.back(), nullptr, body, &looks), 0);
    }
    while (looks.ready < 3)
        std::this_thread::yield();
    pthread_mutex_lock(&allocator->owned.lock);
    looks.go = true;
    timespec limit; // only for a test that fails
    clock_gettime(CLOCK_REALTIME, &limit);
    limit.tv_sec += 30;
    std::vector<pthread_t> waiting;
    for (pthread_t thread : threads)
        if (pthread_timedjoin_np(thread, nullptr, &limit) != 0)
            waiting.push_back(thread);
    pthread_mutex_unlock(&allocator->owned.lock);
    EXPECT_EQ(waiting.size(), 0u);
    for (pthread_t thread : waiting)
        pthread_join(thread, nullptr);
}

// Of a barrier that another thread has destroyed nothing is left, and nothing is missed.
TEST_F(Barrier, OthersMayHaveDestroyedIt) {
    Create(0);
    for (int i = 1; i <= 10; i++) {
        OnThread([&] {
            fa_barrier *gone = nullptr;
            ASSERT_EQ(fa_barrier_create(allocator, 0, &gone), FA_OK);
            EXPECT_EQ(fa_barrier_join(gone), FA_OK);
            OnThread([&] { EXPECT_EQ(fa_barrier_destroy(gone), FA_OK); });
            if (i % 2 == 0) {
                EXPECT_EQ(fa_barrier_join(barrier), FA_OK);
            }
        });
        EXPECT_EQ(events.Count(FA_DIAG_FA208), static_cast<size_t>(i / 2));
    }
    EXPECT_EQ(Numbers().member_count, 0u);
    EXPECT_EQ(fa_thread_count(allocator), 0u);
}

} // namespace
