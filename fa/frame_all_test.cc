// One thread ends the frames of all; one thread that never ends its own.
#include "fa/testing_events.hpp"

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <set>

#include <sys/wait.h>
#include <unistd.h>

using namespace fa_testing;

namespace {

// A thread that does one thing after the other, as it is told, and is at rest in between.
class Worker {
  public:
    Worker() : thread_([this] { Loop(); }) {}
    ~Worker() {
        Do(nullptr);
        thread_.join();
    }
    Worker(const Worker &) = delete;
    Worker &operator=(const Worker &) = delete;

    void Do(const std::function<void()> &what) {
        std::unique_lock<std::mutex> lock(mutex_);
        what_ = what;
        is_asked_ = true;
        changed_.notify_all();
        if (what)
            changed_.wait(lock, [this] { return !is_asked_; });
    }

  private:
    void Loop() {
        std::unique_lock<std::mutex> lock(mutex_);
        for (;;) {
            changed_.wait(lock, [this] { return is_asked_; });
            if (!what_)
                return;
            what_();
            is_asked_ = false;
            changed_.notify_all();
        }
    }

    std::mutex mutex_;
    std::condition_variable changed_;
    std::function<void()> what_;
    bool is_asked_ = false;
    std::thread thread_;
};

class FrameAll : public testing::Test {
  protected:
    static constexpr size_t kWorkers = 3;

    void Create(fa_alloc_config config = Config()) {
        events.Watch(&config);
        memory = std::make_unique<Tracked>(config);
        a = *memory;
        fa_last_error_clear();
    }
    void TearDown() override {
        if (memory)
            memory->Check();
    }
    void OnEach(const std::function<void(size_t)> &what) {
        for (size_t i = 0; i < kWorkers; i++)
            workers[i].Do([&, i] { what(i); });
    }
    void BeginAll(size_t size) {
        OnEach([&](size_t) {
            ASSERT_NE(fa_frame_begin(a), nullptr);
            ASSERT_NE(fa_frame_alloc(a, size), nullptr);
        });
    }

    Events events;
    std::unique_ptr<Tracked> memory;
    fa_allocator *a = nullptr;
    Worker workers[kWorkers];
};

TEST_F(FrameAll, EndsTheFramesOfAllThreads) {
    for (uint32_t in_flight : {1u, 3u}) {
        fa_alloc_config config = Config();
        config.frames_in_flight = in_flight;
        Create(config);
        fa_frame *frames[kWorkers] = {};
        for (uint64_t round = 1; round <= 300; round++) {
            OnEach([&](size_t i) {
                fa_frame *frame = fa_frame_begin(a);
                ASSERT_NE(frame, nullptr);
                EXPECT_TRUE(frames[i] == nullptr || frames[i] == frame);
                frames[i] = frame;
                for (int n = 0; n < 20; n++)
                    ASSERT_NE(fa_frame_alloc_in(frame, 100 * (i + 1)), nullptr);
            });
            ASSERT_NE(fa_frame_begin(a), nullptr);
            ASSERT_EQ(fa_frame_end_all(a), kWorkers + 1);
            EXPECT_EQ(fa_frame_current(a), nullptr);
            ASSERT_EQ(memory->Stats().frame_count, (kWorkers + 1) * round);
        }
        EXPECT_EQ(fa_frame_end_all(a), 0u) << "none is open";
        OnEach([&](size_t i) {
            EXPECT_EQ(fa_frame_current(a), nullptr);
            EXPECT_EQ(fa_frame_end_in(frames[i]), FA_ERROR_NO_FRAME);
        });
        if (kCounted) {
            EXPECT_EQ(memory->Stats().frame_alloc_count, 300u * 20 * kWorkers);
        }
        EXPECT_EQ(events.Count(FA_DIAG_FA016), 0u);
        OnEach([&](size_t) { EXPECT_EQ(fa_thread_detach(a), FA_OK); });
        EXPECT_EQ(fa_thread_detach(a), FA_OK);
        memory.reset();
        a = nullptr;
    }
}

TEST_F(FrameAll, IsTheSameAsEachEndingItsOwn) {
    Create();
    BeginAll(100);
    workers[0].Do([&] {
        ASSERT_NE(fa_frame_alloc(a, 1000000), nullptr); // leaves its chunk
        fa_mark mark = fa_frame_mark(a);
        ASSERT_NE(fa_frame_alloc(a, 1000), nullptr);
        EXPECT_EQ(fa_frame_rewind(a, mark), FA_OK);
        EXPECT_EQ(fa_phase_begin(a, "left open"), FA_OK);
        EXPECT_EQ(fa_tag_enter(a, FA_TAG_PHYSICS), FA_OK);
        ASSERT_NE(fa_frame_alloc(a, 500), nullptr);
    });
    EXPECT_EQ(fa_frame_end_all(a), kWorkers);
    EXPECT_EQ(events.Count(FA_DIAG_FA011), 1u);
    memory->Check();
    workers[0].Do([&] {
        fa_phase phase;
        EXPECT_EQ(fa_phase_find(a, "left open", &phase), FA_OK);
        EXPECT_EQ(fa_tag_current(a), FA_TAG_PHYSICS);
        EXPECT_EQ(fa_tag_leave(a), FA_OK);
        ASSERT_NE(fa_frame_begin(a), nullptr);
        ASSERT_NE(fa_frame_alloc(a, 1000000), nullptr) << "it has learned";
    });
    EXPECT_EQ(memory->Stats().frame_overflow_count, 1u);
    EXPECT_EQ(fa_frame_end_all(a), 1u);
}

TEST_F(FrameAll, WhatFramesHaveRegisteredIsSeenToByTheCaller) {
    Create();
    struct Seen {
        std::mutex mutex;
        std::vector<std::thread::id> threads;
    } seen;
    fa_retained kept[kWorkers];
    OnEach([&](size_t i) {
        ASSERT_EQ(fa_tag_enter(a, FA_TAG_UI), FA_OK);
        fa_frame *frame = fa_frame_begin(a);
        ASSERT_EQ(fa_frame_defer_in(
                      frame,
                      [](void *user) {
                          auto *to = static_cast<Seen *>(user);
                          to->threads.push_back(std::this_thread::get_id());
                      },
                      &seen),
                  FA_OK);
        kept[i] = fa_frame_retain_copy_in(frame, &i, sizeof i, 8, fa_retain_to_pool());
        ASSERT_NE(kept[i].serial, 0u);
        ASSERT_EQ(fa_tag_leave(a), FA_OK);
    });
    EXPECT_EQ(fa_frame_end_all(a), kWorkers);
    ASSERT_EQ(seen.threads.size(), kWorkers);
    for (std::thread::id id : seen.threads)
        EXPECT_EQ(id, std::this_thread::get_id());
    fa_tag_stats stats;
    ASSERT_EQ(fa_tag_stats_get(a, FA_TAG_UI, &stats), FA_OK);
    if (kCounted) {
        EXPECT_EQ(stats.pool_live_count, kWorkers) << "charged to the tag that asked";
    }
    for (size_t i = 0; i < kWorkers; i++) {
        void *taken = fa_retained_take(a, kept[i]);
        ASSERT_NE(taken, nullptr);
        EXPECT_EQ(*static_cast<size_t *>(taken), i);
        fa_free(a, taken);
    }
}

TEST_F(FrameAll, TrimsAndFreesAreLeftToTheOwners) {
    fa_alloc_config config = Config();
    config.frame_trim_after = 5;
    config.pool_trim_after = 5;
    config.deferred.when = FA_DEFERRED_END;
    Create(config);
    std::vector<void *> objects;
    workers[0].Do([&] {
        for (int i = 0; i < 100; i++)
            objects.push_back(fa_pool_alloc(a, 64));
    });
    for (void *object : objects)
        fa_pool_free(a, object);
    (void)fa_deferred_process(a, SIZE_MAX); // hands over what was gathered
    for (int i = 0; i < 20; i++) {
        BeginAll(3000);
        EXPECT_EQ(fa_frame_end_all(a), kWorkers);
    }
    workers[0].Do([&] {
        fa_deferred_stats stats;
        ASSERT_EQ(fa_deferred_stats_here(a, &stats), FA_OK);
        EXPECT_EQ(stats.waiting_count, 0u);
        if (!kAsan) { // which has each object freed at once
            EXPECT_EQ(stats.processed_count, 100u);
        }
    });
    memory->Check();
}

TEST_F(FrameAll, ListenersHearWhoseFrameItWas) {
    Create();
    Heard heard;
    fa_events_id id = heard.Subscribe(a, FA_EVENTS_BIT(FA_EVENTS_FRAME_END));
    BeginAll(1000);
    EXPECT_EQ(fa_frame_end_all(a), kWorkers);
    std::set<uint64_t> threads;
    for (const fa_events_item &item : heard.All()) {
        threads.insert(item.thread_index);
        EXPECT_GE(item.bytes, 1000u);
        EXPECT_EQ(item.frame_index, 1u);
    }
    EXPECT_EQ(threads.size(), kWorkers);
    EXPECT_EQ(fa_events_unsubscribe(a, id), FA_OK);
    BeginAll(1000);
    EXPECT_EQ(fa_frame_end_all(a), kWorkers);
    EXPECT_EQ(heard.All().size(), kWorkers);
}

TEST_F(FrameAll, EndsEachOnATimeline) {
    Create();
    fa_timeline *gpu = nullptr;
    ASSERT_EQ(fa_timeline_create(a, nullptr, &gpu), FA_OK);
    char *blocks[kWorkers] = {};
    for (uint64_t round = 1; round <= 50; round++) {
        OnEach([&](size_t i) {
            ASSERT_NE(fa_frame_begin(a), nullptr);
            char *block = static_cast<char *>(fa_frame_alloc(a, 1000));
            ASSERT_NE(block, nullptr);
            if (round > 1) {
                EXPECT_TRUE(IsPainted(blocks[i], round - 1, 1000));
            }
            blocks[i] = block;
            Paint(block, round, 1000);
        });
        EXPECT_EQ(fa_frame_end_all_on(a, gpu, round), kWorkers);
        EXPECT_EQ(fa_timeline_advance(gpu, round - 1), FA_OK);
        memory->Check();
    }
    EXPECT_LE(memory->Stats().frame_kept_count, 3 * kWorkers);
    EXPECT_EQ(fa_timeline_advance(gpu, 50), FA_OK);
}

TEST_F(FrameAll, OnATimelineForTheFirstTimeWhenSealed) {
    Create();
    fa_timeline *gpu = nullptr;
    ASSERT_EQ(fa_timeline_create(a, nullptr, &gpu), FA_OK);
    BeginAll(100);
    fa_backend_seal(a);
    EXPECT_EQ(fa_frame_end_all_on(a, gpu, 1), 0u) << "no memory for records";
    EXPECT_EQ(fa_last_error().status, FA_ERROR_SEALED);
    EXPECT_EQ(fa_frame_end_all(a), kWorkers);
}

TEST_F(FrameAll, WhoeverIsNotAtRestIsReported) {
    Create();
    // From inside of a clean-up, once more: refused, and the one around it goes on.
    struct Nested {
        fa_allocator *a;
        Worker *other;
    } nested = {a, &workers[1]};
    BeginAll(10);
    workers[0].Do([&] {
        ASSERT_EQ(fa_frame_defer(
                      a,
                      [](void *user) {
                          EXPECT_EQ(fa_frame_end_all(static_cast<Nested *>(user)->a), 0u);
                          EXPECT_EQ(fa_last_error().status, FA_ERROR_STATE);
                      },
                      &nested),
                  FA_OK);
    });
    EXPECT_EQ(fa_frame_end_all(a), kWorkers);
    EXPECT_EQ(events.Count(FA_DIAG_FA016), 1u);
    events.all.clear();
    // Another thread begins its next frame too early. Its states are listed the oldest first or
    // last: so one whose frame is ended before, and one after.
    BeginAll(10);
    auto begin = [](void *user) {
        auto *at = static_cast<Nested *>(user);
        at->other->Do([at] {
            if (fa_frame_current(at->a) == nullptr) {
                EXPECT_NE(fa_frame_begin(at->a), nullptr);
            }
        });
    };
    Nested both[2] = {{a, &workers[0]}, {a, &workers[2]}};
    for (Nested &one : both)
        workers[1].Do([&] { ASSERT_EQ(fa_frame_defer(a, begin, &one), FA_OK); });
    EXPECT_EQ(fa_frame_end_all(a), kWorkers);
    EXPECT_EQ(events.Count(FA_DIAG_FA016), 1u);
    EXPECT_EQ(fa_frame_end_all(a), 1u) << "that one, now at rest";
}

TEST_F(FrameAll, ThreadsInsideOfACleanUpAreLeftAlone) {
    Create();
    ASSERT_NE(fa_frame_begin(a), nullptr);
    auto inside = [](void *user) {
        EXPECT_EQ(fa_frame_end_all(static_cast<fa_allocator *>(user)), 0u);
        EXPECT_EQ(fa_last_error().diag, FA_DIAG_FA009);
    };
    ASSERT_EQ(fa_frame_defer(a, inside, a), FA_OK);
    EXPECT_EQ(fa_frame_end(a), FA_OK);
    // Another thread's: it waits for us in the middle of its end.
    struct Both {
        fa_allocator *a;
        std::atomic<int> stage{0};
    } both;
    both.a = a;
    std::thread other([&] {
        ASSERT_NE(fa_frame_begin(a), nullptr);
        auto wait = [](void *user) {
            auto *at = static_cast<Both *>(user);
            at->stage = 1;
            while (at->stage != 2)
                std::this_thread::yield();
        };
        ASSERT_EQ(fa_frame_defer(a, wait, &both), FA_OK);
        EXPECT_EQ(fa_frame_end(a), FA_OK);
    });
    while (both.stage != 1)
        std::this_thread::yield();
    events.all.clear();
    EXPECT_EQ(fa_frame_end_all(a), 0u);
    EXPECT_EQ(events.Count(FA_DIAG_FA009), 1u);
    both.stage = 2;
    other.join();
}

// In the child of a fork that comes out of a clean-up of another thread's frame there is no such
// thread any more: its frame is ended as far as that goes, and the others are left alone.
TEST_F(FrameAll, ACleanUpOfAnotherThreadsFrameMayFork) {
    if (kTsan)
        GTEST_SKIP() << "it does not follow a fork of a program with threads";
    for (uint32_t checks : {0u, uint32_t{FA_CHECK_ALL}}) {
        if (memory)
            TearDown();
        memory.reset();
        Create(Config(checks));
        static pid_t child;
        child = -1;
        auto begin_own = [&] {
            ASSERT_NE(fa_frame_begin(a), nullptr);
            ASSERT_NE(fa_frame_alloc(a, 3000), nullptr);
        };
        if (checks == 0) // before the others, or after them
            begin_own();
        OnEach([&](size_t i) {
            ASSERT_NE(fa_frame_begin(a), nullptr);
            auto *block = static_cast<char *>(fa_frame_alloc(a, 3000));
            ASSERT_NE(block, nullptr);
            memset(block, 1, 3000);
            auto fork_once = [](void *) { child = fork(); };
            if (i == 1) {
                ASSERT_EQ(fa_frame_defer(a, fork_once, nullptr), FA_OK);
            }
        });
        if (checks != 0)
            begin_own();
        const size_t ended = fa_frame_end_all(a);
        if (child == 0) {
            alarm(60);
            const fa_stats stats = Stats(a);
            bool fine = ended >= 2 && ended <= kWorkers + 1 && stats.frame_bytes_peak < 10000 &&
                        stats.frame_bytes < 10000 * (kWorkers + 1);
            fine = fine && fa_frame_current(a) == nullptr; // its own has ended, too
            fine = fine && fa_validate(a, nullptr) == FA_OK;
            fine = fine && events.Count(FA_DIAG_FA016) == 0;
            fine = fine && fa_frame_begin(a) != nullptr && fa_frame_alloc(a, 100) != nullptr;
            fine = fine && fa_frame_end_all(a) == 1;
            (void)fa_allocator_destroy(a);
            _exit(!fine);
        }
        EXPECT_EQ(ended, kWorkers + 1);
        int status = 0;
        ASSERT_EQ(waitpid(child, &status, 0), child);
        EXPECT_TRUE(WIFEXITED(status)) << "signal " << WTERMSIG(status);
        EXPECT_EQ(WEXITSTATUS(status), 0);
    }
}

TEST_F(FrameAll, AtABarrier) {
    Create();
    fa_barrier *barrier = nullptr;
    constexpr size_t kThreads = 4;
    const int rounds = static_cast<int>(Rounds(800));
    ASSERT_EQ(fa_barrier_create(a, kThreads, &barrier), FA_OK);
    std::atomic<bool> wrong{false};
    char *shared[kThreads] = {};
    std::vector<std::thread> threads;
    for (size_t t = 0; t < kThreads; t++)
        threads.emplace_back([&, t] {
            if (fa_barrier_join(barrier) != FA_OK)
                wrong = true;
            for (int i = 0; i < rounds; i++) {
                fa_frame *frame = fa_frame_begin(a);
                char *block = static_cast<char *>(fa_frame_alloc_in(frame, 200));
                Paint(block, static_cast<uint64_t>(i) + t, 200);
                shared[t] = block;
                (void)fa_barrier_signal_and_wait(barrier);
                size_t next = (t + 1) % kThreads; // frame memory of another thread
                if (!IsPainted(shared[next], static_cast<uint64_t>(i) + next, 200))
                    wrong = true;
                (void)fa_barrier_signal_and_wait(barrier);
                if (t == 0 && fa_frame_end_all(a) != kThreads)
                    wrong = true;
                (void)fa_barrier_signal_and_wait(barrier);
            }
            (void)fa_barrier_leave(barrier);
        });
    for (std::thread &thread : threads)
        thread.join();
    EXPECT_FALSE(wrong);
    EXPECT_EQ(events.Count(FA_DIAG_FA016), 0u);
    EXPECT_EQ(memory->Stats().frame_count, kThreads * static_cast<size_t>(rounds));
}

// ---- a frame that never ends ----

TEST_F(FrameAll, AFrameThatGrowsWhileOthersEndTheirsIsReportedOnce) {
    fa_alloc_config config = Config();
    config.frame_open_after = 10;
    config.frame_chunk_bytes_first = 4096;
    config.frame_chunk_bytes_max = 4096;
    Create(config);
    uint64_t index = 0;
    auto grow = [&] {
        for (int i = 0; i < 4; i++)
            ASSERT_NE(fa_frame_alloc(a, 2000), nullptr);
    };
    auto frames_elsewhere = [&](int count) {
        workers[1].Do([&] {
            for (int i = 0; i < count; i++) {
                ASSERT_NE(fa_frame_begin(a), nullptr);
                ASSERT_EQ(fa_frame_end(a), FA_OK);
            }
        });
    };
    frames_elsewhere(100);
    workers[0].Do([&] {
        ASSERT_NE(fa_frame_begin(a), nullptr);
        grow();
    });
    frames_elsewhere(9);
    workers[0].Do(grow);
    EXPECT_EQ(events.Count(FA_DIAG_FA017), 0u);
    frames_elsewhere(1);
    workers[0].Do(grow);
    ASSERT_EQ(events.Count(FA_DIAG_FA017), 1u);
    const fa_event event = events.Last(FA_DIAG_FA017);
    EXPECT_GE(event.size, 16000u);
    EXPECT_EQ(event.limit, 10u);
    EXPECT_EQ(event.frame_index, 1u);
    index = event.thread_index;
    EXPECT_NE(index, 0u);
    frames_elsewhere(100);
    workers[0].Do(grow);
    EXPECT_EQ(events.Count(FA_DIAG_FA017), 1u) << "once a frame";
    EXPECT_EQ(fa_frame_end_all(a), 1u);
    // Its next frame is another one.
    workers[0].Do([&] {
        ASSERT_NE(fa_frame_begin(a), nullptr);
        ASSERT_NE(fa_frame_alloc(a, 20 << 20), nullptr);
        ASSERT_NE(fa_frame_alloc(a, 20 << 20), nullptr);
    });
    frames_elsewhere(10);
    workers[0].Do([&] {
        ASSERT_NE(fa_frame_alloc(a, 20 << 20), nullptr);
        ASSERT_NE(fa_frame_alloc(a, 20 << 20), nullptr);
        ASSERT_EQ(fa_frame_end(a), FA_OK);
    });
    EXPECT_EQ(events.Count(FA_DIAG_FA017), 2u);
    EXPECT_EQ(events.Last(FA_DIAG_FA017).thread_index, index);
}

// What a thread's frame has met is nothing that the next user of its state has met.
TEST_F(FrameAll, AThreadThatTakesAnothersStateBeginsAnew) {
    fa_alloc_config config = Config();
    config.frame_open_after = 10;
    config.frame_chunk_bytes_first = 4096;
    config.frame_chunk_bytes_max = 4096;
    Create(config);
    auto frames = [&](int count) {
        for (int i = 0; i < count; i++) {
            ASSERT_NE(fa_frame_begin(a), nullptr);
            ASSERT_EQ(fa_frame_end(a), FA_OK);
        }
    };
    auto first_frame = [&](int others) {
        OnThread([&] { // the first of a thread, in a state that is there already
            ASSERT_NE(fa_frame_begin(a), nullptr);
            for (int part = 0; part < 2; part++) {
                for (int i = 0; i < 4; i++)
                    ASSERT_NE(fa_frame_alloc(a, 2000), nullptr);
                if (part == 0)
                    workers[0].Do([&] { frames(others); });
            }
            ASSERT_EQ(fa_frame_end(a), FA_OK);
        });
    };
    first_frame(0); // grows while others have ended none
    workers[0].Do([&] { frames(1000); });
    first_frame(9);
    EXPECT_EQ(events.Count(FA_DIAG_FA017), 0u) << "it was not open meanwhile";
    first_frame(10);
    EXPECT_EQ(events.Count(FA_DIAG_FA017), 1u);
    first_frame(10);
    EXPECT_EQ(events.Count(FA_DIAG_FA017), 2u) << "another thread's frame";
}

TEST_F(FrameAll, ALongFrameIsNotReportedWhereNothingElseGoesOn) {
    fa_alloc_config config = Config();
    config.frame_open_after = 1;
    config.frame_chunk_bytes_first = 4096;
    config.frame_chunk_bytes_max = 4096;
    Create(config);
    ASSERT_NE(fa_frame_begin(a), nullptr);
    for (int i = 0; i < 1000; i++)
        ASSERT_NE(fa_frame_alloc(a, 2000), nullptr);
    EXPECT_EQ(fa_frame_end(a), FA_OK);
    EXPECT_EQ(events.Count(FA_DIAG_FA017), 0u);
}

TEST_F(FrameAll, TheReportCanBeSwitchedOff) {
    fa_alloc_config config = Config();
    config.frame_open_after = 0;
    config.frame_chunk_bytes_first = 4096;
    config.frame_chunk_bytes_max = 4096;
    Create(config);
    ASSERT_NE(fa_frame_begin(a), nullptr);
    for (int i = 0; i < 50; i++) {
        ASSERT_NE(fa_frame_alloc(a, 2000), nullptr);
        workers[0].Do([&] {
            ASSERT_NE(fa_frame_begin(a), nullptr);
            ASSERT_EQ(fa_frame_end(a), FA_OK);
        });
    }
    EXPECT_EQ(fa_frame_end(a), FA_OK);
    EXPECT_EQ(events.Count(FA_DIAG_FA017), 0u);
}

} // namespace
