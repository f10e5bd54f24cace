// Timelines and many threads, and forks.
#include "fa/testing_timelines.hpp"

#include <atomic>

#include <sys/wait.h>
#include <unistd.h>

using namespace fa_testing;

namespace {

TEST_F(Timeline, WhatAThreadLeavesStaysUntilItIsDue) {
    Create();
    char *block = nullptr;
    OnThread([&] { block = Frame(1, 5000); });
    EXPECT_EQ(Kept(), 1u);
    EXPECT_TRUE(IsPainted(block, 1, 5000));
    ExpectValid(allocator);
    (void)fa_allocator_trim(allocator);
    EXPECT_EQ(Kept(), 1u);
    EXPECT_TRUE(IsPainted(block, 1, 5000));
    OnThread([&] {
        EXPECT_NE(Place(), block);
        EXPECT_EQ(fa_timeline_advance(gpu, 1), FA_OK);
        (void)Frame(2); // the next thread has taken it over
        EXPECT_EQ(Place(), block);
    });
    EXPECT_EQ(Kept(), 1u);
    EXPECT_EQ(fa_timeline_advance(gpu, 2), FA_OK);
    EXPECT_GT(fa_allocator_trim(allocator), 0u);
    EXPECT_EQ(Kept(), 0u);
    ExpectValid(allocator);
}

TEST_F(Timeline, DetachKeepsWhatIsNotDue) {
    Create();
    char *block = Frame(1, 5000);
    EXPECT_EQ(fa_thread_detach(allocator), FA_OK);
    EXPECT_TRUE(IsPainted(block, 1, 5000));
    EXPECT_EQ(Kept(), 1u);
    EXPECT_NE(Place(), block);
    EXPECT_EQ(fa_timeline_advance(gpu, 1), FA_OK);
    (void)fa_allocator_trim(allocator);
    EXPECT_EQ(Kept(), 0u);
}

TEST_F(Timeline, ManyThreadsAndOneDevice) {
    Create("gpu", UINT32_MAX);
    constexpr size_t kThreads = 3;
    const uint64_t frames = Rounds(4000);
    struct Submission {
        std::atomic<char *> block{nullptr};
        uint64_t mark = 0;
    };
    fa_timeline *lines[kThreads];
    for (fa_timeline *&line : lines)
        line = Make("thread");
    std::vector<std::vector<Submission>> rings(kThreads);
    for (auto &ring : rings)
        ring = std::vector<Submission>(frames + 1);
    std::atomic<bool> wrong{false};
    std::vector<std::thread> threads;
    for (size_t t = 0; t < kThreads; t++)
        threads.emplace_back([&, t] {
            for (uint64_t i = 1; i <= frames; i++) {
                while (fa_timeline_value(lines[t]) + 8 < i)
                    std::this_thread::yield();
                fa_frame *frame = fa_frame_begin(allocator);
                char *block = static_cast<char *>(fa_frame_alloc_in(frame, 256));
                Paint(block, i, 256);
                rings[t][i].block.store(block, std::memory_order_release);
                if (fa_frame_end_on_in(frame, lines[t], i) != FA_OK)
                    wrong = true;
            }
        });
    std::thread device([&] {
        for (uint64_t i = 1; i <= frames; i++)
            for (size_t t = 0; t < kThreads; t++) {
                char *block;
                while ((block = rings[t][i].block.load(std::memory_order_acquire)) == nullptr)
                    std::this_thread::yield();
                if (!IsPainted(block, i, 256))
                    wrong = true;
                if (fa_timeline_advance(lines[t], i) != FA_OK)
                    wrong = true;
            }
    });
    for (std::thread &thread : threads)
        thread.join();
    device.join();
    EXPECT_FALSE(wrong);
    for (fa_timeline *line : lines)
        EXPECT_EQ(fa_timeline_destroy(line), FA_OK);
}

TEST_F(Timeline, DestroyedWhileAnotherThreadLooksAtIt) {
    Create();
    std::atomic<bool> done{false};
    std::atomic<int> round{0};
    std::thread reader([&] {
        for (int i = 0; i < 200; i++) {
            uint64_t fence = 0;
            fa_timeline_config of = {};
            of.word = &fence;
            fa_timeline *timeline = nullptr;
            ASSERT_EQ(fa_timeline_create(allocator, &of, &timeline), FA_OK);
            ASSERT_NE(fa_frame_begin(allocator), nullptr);
            ASSERT_NE(fa_frame_alloc(allocator, 16), nullptr);
            ASSERT_EQ(fa_frame_end_on(allocator, timeline, 1), FA_OK);
            std::thread destroyer([&] {
                __atomic_store_n(&fence, 1, __ATOMIC_RELEASE);
                EXPECT_EQ(fa_timeline_destroy(timeline), FA_OK);
                __atomic_store_n(&fence, 0, __ATOMIC_RELAXED);
                round++;
            });
            while (round.load() <= i)
                (void)Place();
            destroyer.join();
            (void)fa_allocator_trim(allocator);
            EXPECT_EQ(Kept(), 0u);
        }
        done = true;
    });
    reader.join();
    EXPECT_TRUE(done);
    EXPECT_EQ(events.Count(FA_DIAG_FA014), 0u);
}

TEST_F(Timeline, TheChildOfAForkGoesOn) {
    if (kTsan)
        GTEST_SKIP() << "the thread sanitizer takes no threads in a child";
    Create();
    char *mine = Frame(1);
    std::atomic<int> stage{0};
    std::thread other([&] {
        (void)Frame(2);
        stage = 1;
        while (stage != 2)
            std::this_thread::yield();
    });
    while (stage != 1)
        std::this_thread::yield();
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        bool fine = IsPainted(mine, 1, 1000) && fa_timeline_advance(gpu, 1) == FA_OK;
        fine = fine && Place() == mine && Kept() == 1;
        fine = fine && fa_validate(allocator, nullptr) == FA_OK;
        fine = fine && fa_timeline_advance(gpu, 2) == FA_OK;
        fine = fine && fa_allocator_destroy(allocator) == 0;
        _exit(fine ? 0 : 1);
    }
    int status = 0;
    EXPECT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    stage = 2;
    other.join();
    EXPECT_EQ(fa_timeline_advance(gpu, 2), FA_OK);
}

} // namespace
