// Life-cycle events while other threads run: subscribing and ending at any time, callbacks that end
// each other, threads that exit while the allocator goes, forks.
#include "fa/testing_events.hpp"

#include <atomic>
#include <sys/wait.h>
#include <unistd.h>

namespace {

using namespace fa_testing;

// May be called only between Begin and End; counts.
struct Guarded {
    std::atomic<bool> open{false};
    std::atomic<uint64_t> calls{0}, late{0};

    static void Hear(void *user, const fa_events_item *) {
        Guarded *guarded = static_cast<Guarded *>(user);
        guarded->late += !guarded->open;
        guarded->calls++;
    }
};

// What every thread does while others come to listen and go.
void Work(fa_allocator *allocator, Engine &random, std::vector<void *> &objects) {
    fa_frame *frame = fa_frame_begin(allocator);
    ASSERT_NE(frame, nullptr);
    for (int i = 0; i < 8; i++) {
        fa_mark mark = fa_frame_mark_in(frame);
        char *block = static_cast<char *>(fa_frame_alloc_in(frame, Pick(random, 1, 200)));
        ASSERT_NE(block, nullptr);
        block[0] = 1;
        if (Pick(random, 0, 3) == 0) {
            ASSERT_EQ(fa_frame_rewind_in(frame, mark), FA_OK);
        }
        objects.push_back(fa_pool_alloc(allocator, Pick(random, 1, 300)));
        ASSERT_NE(objects.back(), nullptr);
    }
    while (objects.size() > 40) {
        fa_pool_free(allocator, objects.back());
        objects.pop_back();
    }
    ASSERT_EQ(fa_frame_end_in(frame), FA_OK);
}

TEST(EventsThreads, NoCallAfterTheEndOfASubscription) {
    Tracked allocator;
    constexpr int kWorkers = 3, kListeners = 3;
    std::atomic<bool> done{false};
    std::atomic<uint64_t> calls{0};
    const uint64_t seed = Random().Seed();
    std::vector<std::thread> workers, listeners;
    for (int n = 0; n < kWorkers; n++)
        workers.emplace_back([&, n] {
            Engine random(seed + static_cast<uint64_t>(n));
            std::vector<void *> objects;
            while (!done)
                Work(allocator, random, objects);
            for (void *object : objects)
                fa_pool_free(allocator, object);
        });
    for (int n = 0; n < kListeners; n++)
        listeners.emplace_back([&, n] {
            Engine random(seed + 100 + static_cast<uint64_t>(n));
            const uint32_t kinds[] = {FA_EVENTS_FRAMES, FA_EVENTS_BLOCKS, FA_EVENTS_ALL,
                                      FA_EVENTS_BIT(FA_EVENTS_FRAME_END)};
            for (size_t i = 0; i < Rounds(120) || calls == 0; i++) {
                Guarded guarded;
                fa_events_config config = {};
                config.kinds = kinds[Pick(random, 0, 3)];
                config.function = Guarded::Hear;
                config.user = &guarded;
                fa_events_id id;
                guarded.open = true;
                ASSERT_EQ(fa_events_subscribe(allocator, &config, &id), FA_OK);
                for (uint64_t wait = Pick(random, 0, 4); wait != 0; wait--)
                    std::this_thread::yield();
                ASSERT_EQ(fa_events_unsubscribe(allocator, id), FA_OK);
                guarded.open = false;
                EXPECT_EQ(guarded.late, 0u);
                calls += guarded.calls;
            } // and now its memory goes, which the sanitizers watch
        });
    for (std::thread &listener : listeners)
        listener.join();
    done = true;
    for (std::thread &worker : workers)
        worker.join();
    EXPECT_EQ(Subscribers(allocator), 0u);
    EXPECT_GT(calls, 0u);
    allocator.Check();
    EXPECT_EQ(allocator.Live(), 0u);
}

// A thread that has learned that somebody listens misses nothing from then on.
TEST(EventsThreads, NothingIsMissedOnceItIsKnown) {
    Tracked allocator;
    for (size_t round = 0; round < Rounds(400); round++) {
        Heard heard;
        std::atomic<bool> listening{false}, ready{false};
        std::thread worker([&] {
            for (int i = 0; i < 3; i++)
                RunFrame(allocator, 2);
            void *object = fa_pool_alloc(allocator, 64);
            ready = true;
            while (!listening)
                RunFrame(allocator, 1); // races with subscribe
            heard.Clear();
            fa_pool_free_sized(allocator, object, 64);
            RunFrame(allocator, 5);
        });
        while (!ready)
            std::this_thread::yield();
        fa_events_id id = heard.Subscribe(allocator, FA_EVENTS_FRAMES | FA_EVENTS_BLOCKS);
        listening = true;
        worker.join();
        EXPECT_EQ(fa_events_unsubscribe(allocator, id), FA_OK);
        EXPECT_EQ(heard.Count(FA_EVENTS_FREE), 1u);
        EXPECT_EQ(heard.Count(FA_EVENTS_FRAME_BEGIN), 1u);
        EXPECT_EQ(heard.Count(FA_EVENTS_FRAME_END), 1u);
        EXPECT_EQ(heard.Count(FA_EVENTS_ALLOC), 5u);
        ASSERT_FALSE(HasFailure()) << "round " << round;
    }
}

// Threads that attach at the same moment are heard as well.
TEST(EventsThreads, NewThreadsAreHeard) {
    Tracked allocator;
    for (size_t round = 0; round < Rounds(400); round++) {
        Heard heard;
        std::atomic<bool> listening{false}, go{false};
        std::thread worker([&] {
            while (!go) {
            }
            EXPECT_EQ(fa_thread_attach(allocator), FA_OK);
            while (!listening) {
            }
            RunFrame(allocator, 1);
            RunFrame(allocator, 1);
        });
        go = true;
        fa_events_id id = heard.Subscribe(allocator, FA_EVENTS_FRAMES);
        listening = true;
        worker.join();
        EXPECT_EQ(fa_events_unsubscribe(allocator, id), FA_OK);
        EXPECT_EQ(heard.Count(FA_EVENTS_FRAME_BEGIN), 2u);
        EXPECT_EQ(heard.Count(FA_EVENTS_FRAME_END), 2u);
        ASSERT_FALSE(HasFailure()) << "round " << round;
    }
}

// Every pool and heap block is told, on all threads, with objects that change hands: at each moment
// a block is freed before its address is given out again.
TEST(EventsThreads, AllocationsPairUp) {
    Tracked allocator;
    struct Book {
        std::mutex mutex;
        Ledger ledger;
        static void Hear(void *user, const fa_events_item *item) {
            Book *book = static_cast<Book *>(user);
            std::lock_guard<std::mutex> lock(book->mutex);
            if (item->intent != FA_INTENT_FRAME)
                book->ledger.Add(*item);
        }
    } book;
    fa_events_config config = {};
    config.kinds = FA_EVENTS_BLOCKS;
    config.function = Book::Hear;
    config.user = &book;
    fa_events_id id;
    ASSERT_EQ(fa_events_subscribe(allocator, &config, &id), FA_OK);
    const uint64_t seed = Random().Seed();
    std::mutex mutex;
    std::vector<void *> shared;
    std::vector<std::thread> threads;
    for (int n = 0; n < 3; n++)
        threads.emplace_back([&, n] {
            Engine random(seed + static_cast<uint64_t>(n));
            for (size_t i = 0; i < Rounds(6000); i++) {
                const bool is_large = Pick(random, 0, 9) == 0; // which attaches nobody
                void *block = is_large ? fa_heap_alloc(allocator, Pick(random, 1, 20000))
                                       : fa_pool_alloc(allocator, Pick(random, 1, 400));
                ASSERT_NE(block, nullptr);
                if (!is_large && Pick(random, 0, 200) == 0) {
                    EXPECT_EQ(fa_thread_detach(allocator), FA_OK);
                }
                std::unique_lock<std::mutex> lock(mutex);
                shared.push_back(block);
                if (shared.size() < 100)
                    continue;
                std::swap(shared[Pick(random, 0, shared.size() - 1)], shared.back());
                block = shared.back();
                shared.pop_back();
                lock.unlock();
                fa_pool_free(allocator, block);
            }
        });
    for (std::thread &thread : threads)
        thread.join();
    EXPECT_EQ(book.ledger.live.size(), shared.size());
    for (void *block : shared) {
        EXPECT_EQ(book.ledger.live.count(block), 1u);
        fa_pool_free(allocator, block);
    }
    EXPECT_EQ(fa_events_unsubscribe(allocator, id), FA_OK);
    EXPECT_EQ(book.ledger.live.size(), 0u);
    EXPECT_EQ(book.ledger.twice, 0u);
    EXPECT_EQ(book.ledger.unknown_frees, 0u);
    EXPECT_EQ(book.ledger.other_bytes, 0u);
    EXPECT_EQ(allocator.Live(), 0u);
    allocator.Check();
}

// Two callbacks, on two threads, end each other while both run: neither waits for ever.
struct Rival {
    fa_allocator *allocator;
    fa_events_id mine, other;
    std::atomic<int> *inside;

    static void Hear(void *user, const fa_events_item *) {
        Rival *rival = static_cast<Rival *>(user);
        ++*rival->inside;
        while (*rival->inside < 2)
            std::this_thread::yield();
        EXPECT_EQ(fa_events_unsubscribe(rival->allocator, rival->other), FA_OK);
    }
};

TEST(EventsThreads, CallbacksMayEndEachOther) {
    for (size_t round = 0; round < Rounds(200); round++) {
        Tracked allocator;
        std::atomic<int> inside{0}, attached{0};
        Rival rivals[2] = {{allocator, {}, {}, &inside}, {allocator, {}, {}, &inside}};
        std::vector<std::thread> threads;
        for (int n = 0; n < 2; n++)
            threads.emplace_back([&, n] {
                EXPECT_EQ(fa_thread_attach(allocator), FA_OK);
                attached++;
                while (attached < 2)
                    std::this_thread::yield();
                fa_thread_stats stats;
                EXPECT_EQ(fa_thread_stats_here(allocator, &stats), FA_OK);
                fa_events_config config = {};
                config.kinds = FA_EVENTS_BIT(FA_EVENTS_FRAME_BEGIN);
                config.function = Rival::Hear;
                config.user = &rivals[n];
                config.thread_index = stats.index;
                EXPECT_EQ(fa_events_subscribe(allocator, &config, &rivals[n].mine), FA_OK);
                rivals[1 - n].other = rivals[n].mine;
                attached++;
                while (attached < 4)
                    std::this_thread::yield();
                RunFrame(allocator, 1);
            });
        for (std::thread &thread : threads)
            thread.join();
        EXPECT_EQ(inside, 2);
        EXPECT_EQ(Subscribers(allocator), 0u);
    }
}

// Threads exit, and tell so, while the allocator is destroyed by somebody who is done with it.
TEST(EventsThreads, ThreadsMayExitWhileTheAllocatorGoes) {
    for (size_t round = 0; round < Rounds(400); round++) {
        std::atomic<int> done{0};
        std::vector<std::thread> threads;
        std::atomic<uint64_t> calls{0};
        {
            Tracked allocator;
            fa_events_config config = {};
            config.kinds = FA_EVENTS_ALL;
            config.user = &calls;
            config.function = [](void *user, const fa_events_item *item) {
                ++*static_cast<std::atomic<uint64_t> *>(user);
                fa_pool_free(item->allocator, fa_pool_alloc(item->allocator, 64));
            };
            EXPECT_EQ(fa_events_subscribe(allocator, &config, nullptr), FA_OK);
            for (int n = 0; n < 3; n++)
                threads.emplace_back([&] {
                    RunFrame(allocator, 2);
                    done++;
                });
            while (done < 3)
                std::this_thread::yield();
        }
        for (std::thread &thread : threads)
            thread.join();
        EXPECT_GE(calls, 3 * 5u);
    }
}

// Ended by one for all: told by that one, about each.
TEST(EventsThreads, FramesThatAnotherThreadEnds) {
    Tracked allocator;
    struct Seen {
        std::vector<fa_events_item> all;
        std::vector<std::thread::id> where;
        static void Hear(void *user, const fa_events_item *item) {
            Seen *seen = static_cast<Seen *>(user);
            seen->all.push_back(*item);
            seen->where.push_back(std::this_thread::get_id());
            fa_pool_free(item->allocator, fa_pool_alloc(item->allocator, 64));
            EXPECT_EQ(fa_frame_begin(item->allocator), nullptr);
            EXPECT_EQ(fa_thread_detach(item->allocator), FA_ERROR_FRAME_OPEN);
        }
    } seen;
    std::atomic<int> begun{0};
    std::atomic<bool> ended{false};
    std::vector<std::thread> threads;
    for (int n = 0; n < 3; n++)
        threads.emplace_back([&] {
            fa_frame *frame = fa_frame_begin(allocator);
            ASSERT_NE(fa_frame_alloc_in(frame, 100), nullptr);
            begun++;
            while (!ended)
                std::this_thread::yield();
            RunFrame(allocator, 1); // held by nobody any more
        });
    while (begun != 3)
        std::this_thread::yield();
    RunFrame(allocator, 1);
    fa_events_config config = {};
    config.kinds = FA_EVENTS_BIT(FA_EVENTS_FRAME_END);
    config.function = Seen::Hear;
    config.user = &seen;
    fa_events_id id;
    ASSERT_EQ(fa_events_subscribe(allocator, &config, &id), FA_OK);
    EXPECT_EQ(fa_frame_end_all(allocator), 3u);
    EXPECT_EQ(fa_events_unsubscribe(allocator, id), FA_OK);
    ended = true;
    for (std::thread &thread : threads)
        thread.join();
    ASSERT_EQ(seen.all.size(), 3u);
    std::set<uint64_t> indices;
    for (size_t i = 0; i < 3; i++) {
        EXPECT_EQ(seen.where[i], std::this_thread::get_id());
        EXPECT_EQ(seen.all[i].count, kCounted ? 1u : 0u);
        EXPECT_GE(seen.all[i].bytes, 112u);
        indices.insert(seen.all[i].thread_index);
    }
    EXPECT_EQ(indices, (std::set<uint64_t>{1, 2, 3}));
    allocator.Check();
}

TEST(EventsThreads, AForkedChildGoesOnListening) {
    if (kTsan)
        GTEST_SKIP() << "the thread sanitizer starts no threads in a forked child";
    Tracked allocator;
    Heard heard;
    std::atomic<bool> inside{false}, leave{false};
    struct Stuck {
        std::atomic<bool> *inside, *leave;
    } stuck = {&inside, &leave};
    fa_events_config config = {};
    config.kinds = FA_EVENTS_BIT(FA_EVENTS_FRAME_BEGIN);
    config.thread_index = 2;
    config.user = &stuck;
    config.function = [](void *user, const fa_events_item *) {
        Stuck *at = static_cast<Stuck *>(user);
        *at->inside = true;
        while (!*at->leave)
            std::this_thread::yield();
    };
    fa_events_id id, other;
    RunFrame(allocator, 1);
    ASSERT_EQ(fa_events_subscribe(allocator, &config, &id), FA_OK);
    std::thread worker([&] { RunFrame(allocator, 1); });
    while (!inside)
        std::this_thread::yield();
    other = heard.Subscribe(allocator, FA_EVENTS_FRAMES);
    pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
        RunFrame(allocator, 1);
        bool good = heard.All().size() == 2;
        // The callback that another thread was inside of is over here: nobody waits for it.
        good = good && fa_events_unsubscribe(allocator, id) == FA_OK;
        good = good && fa_events_unsubscribe(allocator, other) == FA_OK;
        for (int i = 0; i < FA_EVENTS_SUBSCRIBER_COUNT_MAX; i++)
            good = good && fa_events_subscribe(allocator, &config, nullptr) == FA_OK;
        good = good && fa_validate(allocator, nullptr) == FA_OK;
        _exit(good ? 0 : 1);
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
    leave = true;
    worker.join();
    EXPECT_EQ(fa_events_unsubscribe(allocator, id), FA_OK);
    EXPECT_EQ(fa_events_unsubscribe(allocator, other), FA_OK);
}

} // namespace
