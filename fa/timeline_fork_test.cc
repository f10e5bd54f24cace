// Timelines and forks: from inside a function that reads a counter, and while another thread gives
// the memory of kept frames back.
#include "fa/testing_timelines.hpp"

#include <atomic>
#include <memory>

#include <sys/wait.h>
#include <unistd.h>

using namespace fa_testing;

namespace {

// In the child nothing of the test framework is used: it may wait for a lock that is held for ever.
#define CHILD_EXPECT(condition)                                                                    \
    do {                                                                                           \
        if (!(condition))                                                                          \
            return __LINE__;                                                                       \
    } while (false)

// Runs body in a child and expects it to return 0, within a minute.
template <class Body> void InChild(const Body &body) {
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
        alarm(60);
        const int line = body();
        if (line != 0)
            (void)!fprintf(stderr, "child failed at line %d\n", line);
        _exit(line != 0);
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status)) << "signal " << WTERMSIG(status);
    EXPECT_EQ(WEXITSTATUS(status), 0);
}

// Counters elsewhere whose function does something in the middle of a call.
class TimelineFork : public Timeline {
  protected:
    struct Counter {
        std::atomic<uint64_t> value{0};
        std::function<void()> act; // once, while it is armed
        std::atomic<bool> armed{false};
        fa_timeline *timeline = nullptr;
    };

    void SetUp() override {
        if (kTsan)
            GTEST_SKIP() << "it does not follow a fork of a program with threads";
    }
    // It is asked until the allocator goes.
    Counter &Open(const char *name) {
        counters_.push_back(std::make_unique<Counter>());
        Counter *counter = counters_.back().get();
        fa_timeline_config of = {};
        of.name = name;
        of.late_after = UINT32_MAX;
        of.user = counter;
        of.read = [](void *user) {
            auto *at = static_cast<Counter *>(user);
            if (at->armed.exchange(false)) {
                std::function<void()> act = at->act; // another may come to its place
                act();
            }
            return at->value.load();
        };
        EXPECT_EQ(fa_timeline_create(allocator, &of, &counter->timeline), FA_OK);
        return *counter;
    }
    // A frame of some bytes that ends on a value of it.
    char *Keep(const Counter &counter, uint64_t value) {
        fa_frame *frame = fa_frame_begin(allocator);
        char *block = frame ? static_cast<char *>(fa_frame_alloc_in(frame, 1000)) : nullptr;
        if (block == nullptr)
            return nullptr;
        Paint(block, value, 1000);
        return fa_frame_end_on_in(frame, counter.timeline, value) == FA_OK ? block : nullptr;
    }
    // Where the next frame lies, and whether it has gone well.
    char *Next() {
        fa_frame *frame = fa_frame_begin(allocator);
        char *block = frame ? static_cast<char *>(fa_frame_alloc_in(frame, 1000)) : nullptr;
        return fa_frame_end(allocator) == FA_OK ? block : nullptr;
    }
    // The child of a fork that comes out of a function which says that 0 is reached.
    int GoOn(Counter *counter, const char *block) {
        CHILD_EXPECT(IsPainted(block, 1, 1000));
        CHILD_EXPECT(fa_timeline_value(counter->timeline) == 0);
        for (int i = 0; i < 3; i++)
            CHILD_EXPECT(Next() != block && IsPainted(block, 1, 1000));
        CHILD_EXPECT(fa_timeline_destroy(counter->timeline) == FA_ERROR_STATE);
        counter->value = 1;
        CHILD_EXPECT(fa_timeline_value(counter->timeline) == 1);
        CHILD_EXPECT(fa_timeline_destroy(counter->timeline) == FA_OK);
        CHILD_EXPECT(fa_validate(allocator, nullptr) == FA_OK);
        CHILD_EXPECT(fa_allocator_destroy(allocator) == 0);
        CHILD_EXPECT(source.BytesLive() == 0);
        return 0;
    }

  private:
    std::vector<std::unique_ptr<Counter>> counters_;
};

TEST_F(TimelineFork, FromInsideAFunctionThatABeginAsks) {
    Create();
    Counter &counter = Open("device");
    char *block = Keep(counter, 1);
    ASSERT_NE(block, nullptr);
    bool forked = false;
    pid_t child = -1;
    counter.act = [&] {
        child = fork();
        forked = true;
    };
    counter.armed = true;
    char *place = Next(); // in both processes
    if (forked && child == 0) {
        alarm(60);
        int line = place != block ? GoOn(&counter, block) : __LINE__;
        if (line != 0)
            (void)!fprintf(stderr, "child failed at line %d\n", line);
        _exit(line != 0);
    }
    ASSERT_TRUE(forked);
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status)) << "signal " << WTERMSIG(status);
    EXPECT_EQ(WEXITSTATUS(status), 0);
    EXPECT_NE(place, block);
    EXPECT_TRUE(IsPainted(block, 1, 1000));
    counter.value = 1;
    EXPECT_EQ(fa_timeline_destroy(counter.timeline), FA_OK);
}

// Inside of two of them, one of which is asked by the other's function twice; another thread, which
// does not survive, is inside of both, too.
TEST_F(TimelineFork, FromInsideFunctionsThatAskEachOther) {
    Create();
    Counter &one = Open("one"), &two = Open("two");
    char *block = Keep(one, 1);
    std::atomic<bool> go{false};
    std::atomic<int> inside{0};
    auto stay = [&] {
        inside++;
        while (!go)
            std::this_thread::yield();
    };
    one.act = two.act = stay;
    one.armed = two.armed = true;
    std::thread other([&] { EXPECT_EQ(fa_timeline_value(one.timeline), 0u); });
    std::thread third([&] { EXPECT_EQ(fa_timeline_value(two.timeline), 0u); });
    while (inside != 2)
        std::this_thread::yield();
    int depth = 0;
    auto deeper = [&] {
        if (++depth == 3) {
            one.armed = two.armed = false;
            InChild([&]() -> int {
                CHILD_EXPECT(fa_timeline_value(one.timeline) == 0);
                CHILD_EXPECT(fa_timeline_value(two.timeline) == 0);
                return 0;
            });
            return;
        }
        two.armed = one.armed = true;
        EXPECT_EQ(fa_timeline_value(depth == 1 ? two.timeline : one.timeline), 0u);
    };
    one.act = two.act = deeper;
    one.armed = true;
    pid_t child = -1;
    EXPECT_EQ(fa_timeline_value(one.timeline), 0u);
    EXPECT_EQ(depth, 3);
    // And out of all of them, in the child.
    depth = 0;
    one.act = [&] {
        if (++depth == 1) {
            one.armed = true;
            (void)fa_timeline_value(one.timeline);
            return;
        }
        child = fork();
    };
    one.armed = true;
    (void)fa_timeline_value(one.timeline);
    if (child == 0) {
        alarm(60);
        const int line = GoOn(&one, block);
        if (line != 0)
            (void)!fprintf(stderr, "child failed at line %d\n", line);
        _exit(line != 0);
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    go = true;
    other.join();
    third.join();
    one.value = 1;
    EXPECT_EQ(fa_timeline_destroy(one.timeline), FA_OK);
}

// A state that its thread has left, which another thread is giving memory of back.
TEST_F(TimelineFork, WhileAnotherThreadTrimsWhatThreadsLeft) {
    Create();
    Counter &counter = Open("device");
    char *block = nullptr;
    OnThread([&] { block = Keep(counter, 1); });
    ASSERT_NE(block, nullptr);
    std::atomic<bool> inside{false}, go{false};
    counter.act = [&] {
        inside = true;
        while (!go)
            std::this_thread::yield();
    };
    counter.armed = true;
    std::thread trimmer([&] { (void)fa_allocator_trim(allocator); });
    while (!inside)
        std::this_thread::yield();
    EXPECT_EQ(Kept(), 1u) << "it is kept while it is looked at";
    EXPECT_EQ(Numbers(counter.timeline).kept_count, 1u);
    InChild([&]() -> int {
        CHILD_EXPECT(Kept() == 1);
        CHILD_EXPECT(IsPainted(block, 1, 1000));
        counter.value = 1;
        (void)fa_allocator_trim(allocator); // nobody will look at that state again
        CHILD_EXPECT(IsPainted(block, 1, 1000));
        for (int i = 0; i < 3; i++) {
            bool fine = false;
            OnThread([&] { fine = Keep(counter, 1) != nullptr && Next() != nullptr; });
            CHILD_EXPECT(fine);
        }
        CHILD_EXPECT(fa_validate(allocator, nullptr) == FA_OK);
        CHILD_EXPECT(fa_timeline_destroy(counter.timeline) == FA_OK);
        CHILD_EXPECT(fa_allocator_destroy(allocator) == 0);
        CHILD_EXPECT(source.BytesLive() == 0);
        return 0;
    });
    go = true;
    trimmer.join();
    EXPECT_EQ(Kept(), 1u);
    counter.value = 1;
    EXPECT_GT(fa_allocator_trim(allocator), 0u);
    EXPECT_EQ(Kept(), 0u);
}

// The same thread: it goes on in the child with what it was at.
TEST_F(TimelineFork, FromInsideOfATrimOfWhatThreadsLeft) {
    Create();
    Counter &counter = Open("device");
    constexpr size_t kStates = 3;
    std::atomic<size_t> begun{0};
    OnThreads(kStates, [&](size_t i) {
        (void)Keep(counter, i + 1);
        for (begun++; begun != kStates;) // so that each gets a state of its own
            std::this_thread::yield();
    });
    EXPECT_EQ(Kept(), kStates);
    pid_t child = -1;
    counter.act = [&] { child = fork(); };
    counter.armed = true;
    counter.value = kStates;
    size_t bytes = fa_allocator_trim(allocator);
    auto both = [&]() -> int {
        CHILD_EXPECT(bytes >= kStates * 1000 && Kept() == 0);
        CHILD_EXPECT(Numbers(counter.timeline).kept_count == 0);
        bool fine = false;
        const size_t held = Stats(allocator).bytes_held_by_kind[FA_SPAN_META];
        OnThread([&] { fine = Next() != nullptr; });
        CHILD_EXPECT(fine);
        CHILD_EXPECT(Stats(allocator).bytes_held_by_kind[FA_SPAN_META] == held); // it took one
        CHILD_EXPECT(fa_timeline_destroy(counter.timeline) == FA_OK);
        return 0;
    };
    if (child == 0) {
        alarm(60);
        int line = both();
        if (line == 0 && (fa_allocator_destroy(allocator) != 0 || source.BytesLive() != 0))
            line = __LINE__;
        if (line != 0)
            (void)!fprintf(stderr, "child failed at line %d\n", line);
        _exit(line != 0);
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    EXPECT_EQ(both(), 0);
}

// Threads come, keep frames, trim what others left, and go; the program forks all the time.
TEST_F(TimelineFork, UnderLoad) {
    Random random;
    config.backend_spec = "mmap"; // in the child nobody may be left inside of the backend
    ASSERT_EQ(fa_allocator_create(&config, &allocator), FA_OK);
    Counter &counter = Open("device");
    std::atomic<bool> stop{false};
    std::vector<std::thread> threads;
    for (uint64_t i = 0; i < 3; i++)
        threads.emplace_back([&, i] {
            Engine engine(random.Seed() + i);
            while (!stop)
                OnThread([&] {
                    for (int n = 0; n < 20; n++) {
                        uint64_t now = counter.value;
                        EXPECT_NE(Keep(counter, now + Pick(engine, 0, 2)), nullptr);
                        if (Pick(engine, 0, 2) == 0)
                            counter.value++;
                        if (Pick(engine, 0, 4) == 0)
                            (void)fa_allocator_trim(allocator);
                    }
                });
        });
    for (size_t i = 0; i < Rounds(200) && !HasFailure(); i++)
        InChild([&]() -> int {
            counter.value = UINT64_MAX;
            for (int n = 0; n < 3; n++) {
                CHILD_EXPECT(Keep(counter, 1) != nullptr);
                (void)fa_allocator_trim(allocator);
                CHILD_EXPECT(Next() != nullptr);
            }
            CHILD_EXPECT(fa_validate(allocator, nullptr) == FA_OK);
            CHILD_EXPECT(fa_timeline_destroy(counter.timeline) == FA_OK);
            (void)fa_allocator_destroy(allocator); // what the others were at may be left
            return 0;
        });
    stop = true;
    for (std::thread &thread : threads)
        thread.join();
    counter.value = UINT64_MAX;
    (void)fa_allocator_trim(allocator);
    EXPECT_EQ(Kept(), 0u);
}

} // namespace
