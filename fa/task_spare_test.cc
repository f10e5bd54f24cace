// Records that threads keep for the tasks that begin next, and tasks that hooks begin, when the
// allocator dies; and in the child of a fork.
#include "fa/testing_forks.hpp"
#include "fa/testing_tasks.hpp"

#include <atomic>
#include <string>
#include <thread>

using namespace fa_testing;

namespace {

class Spare : public Tasks {
  protected:
    // The allocator calls body with the first count_max_ events of that kind.
    void On(fa_diag diag, std::function<void()> body) {
        diag_ = diag;
        body_ = std::move(body);
        config_.on_event = [](void *user, const fa_event *event) {
            auto *self = static_cast<Spare *>(user);
            if (event->diag == self->diag_ && self->count_++ < self->count_max_)
                self->body_();
        };
        config_.on_event_user = this;
        ASSERT_EQ(fa_allocator_destroy(allocator_), 0u);
        ASSERT_EQ(fa_allocator_create(&config_, &allocator_), FA_OK);
    }
    // A thread that allocates keeps the record of a task that it ends.
    void EndOne() {
        const fa_task task = Begin();
        EXPECT_NE(fa_task_alloc(task, 10), nullptr);
        EXPECT_EQ(fa_task_end(task), FA_OK);
    }
    void DestroyWithLeak() {
        ASSERT_NE(fa_heap_alloc(allocator_, 100), nullptr);
        EXPECT_EQ(fa_allocator_destroy(allocator_), 1u) << "what the hook makes is no leak";
        allocator_ = nullptr;
        EXPECT_EQ(count_, 1);
    }
    // What a task is written down in lies in no block that somebody else gets.
    void UseTasks() {
        fa_pool_free(allocator_, fa_pool_alloc(allocator_, 16)); // attaches the thread
        const fa_task task = Begin("log");
        ASSERT_NE(task.head, nullptr);
        EXPECT_STREQ(fa_task_copy_string(task, "a leak"), "a leak");
        std::vector<char *> blocks;
        for (size_t size = 500; size <= 8000; size += 500) {
            blocks.push_back(static_cast<char *>(fa_heap_alloc(allocator_, size)));
            ASSERT_NE(blocks.back(), nullptr);
            Paint(blocks.back(), size, size);
        }
        EXPECT_EQ(TaskStats(task).live_count, 1u);
        EXPECT_EQ(fa_task_end(task), FA_OK);
        for (int i = 0; i < 20; i++)
            EndOne();
        EXPECT_EQ(fa_task_count(allocator_), 0u);
        size_t size = 0;
        for (char *block : blocks) {
            size += 500;
            EXPECT_TRUE(IsPainted(block, size, size));
        }
    }

    fa_diag diag_ = FA_DIAG_FA605;
    std::function<void()> body_;
    int count_ = 0, count_max_ = 1;
};

TEST_P(Spare, AHookThatNamesLeaksBeginsTasks) {
    On(FA_DIAG_FA605, [&] { UseTasks(); });
    for (int i = 0; i < 4; i++)
        EndOne();
    DestroyWithLeak();
}

// The same with what is left of a thread that is gone.
TEST_P(Spare, SoDoesAThreadOfSuchAHook) {
    On(FA_DIAG_FA605, [&] { OnThread([&] { UseTasks(); }); });
    OnThread([&] { EndOne(); });
    DestroyWithLeak();
}

// Blocks of a thread whose queue is full make hooks run while tasks that are left go.
TEST_P(Spare, TasksOfAHookGoOnceNewestFirst) {
    if (!IsBare())
        GTEST_SKIP() << "where use is watched, no block waits in a queue";
    static std::vector<int> ended; // in that order
    static int begun, numbers[3];
    ended.clear();
    begun = 0;
    config_.deferred.count_max = 1;
    config_.deferred.full = FA_DEFERRED_FULL_DROP;
    count_max_ = 3;
    On(FA_DIAG_FA307, [&] {
        fa_destructor_fn *const end = [](void *object) {
            ended.push_back(*static_cast<int *>(object));
        };
        numbers[begun] = begun;
        EXPECT_EQ(fa_task_defer(Begin("hook"), end, &numbers[begun++]), FA_OK);
    });
    const fa_task tasks[] = {Begin(), Begin(), Begin()};
    std::atomic<bool> ready{false}, stop{false};
    std::thread other([&] {
        for (const fa_task &task : tasks)
            for (int i = 0; i < 2; i++)
                EXPECT_NE(fa_task_alloc(task, 32), nullptr);
        ready = true;
        while (!stop)
            std::this_thread::yield();
    });
    while (!ready)
        std::this_thread::yield();
    fa_allocator_destroy(allocator_);
    allocator_ = nullptr;
    EXPECT_EQ(begun, 3);
    EXPECT_EQ(ended, (std::vector<int>{2, 1, 0}));
    stop = true;
    other.join();
}

TEST_P(Spare, AForkGivesWhatOtherThreadsKept) {
    if (kTsan)
        GTEST_SKIP() << "it does not follow a fork of a program with threads";
    constexpr size_t kCount = 20;
    std::atomic<bool> ready{false}, stop{false};
    std::thread other([&] {
        fa_task tasks[kCount];
        for (fa_task &task : tasks) {
            task = Begin();
            EXPECT_NE(fa_task_alloc(task, 10), nullptr);
        }
        for (const fa_task &task : tasks)
            EXPECT_EQ(fa_task_end(task), FA_OK);
        ready = true;
        while (!stop)
            std::this_thread::yield();
    });
    while (!ready)
        std::this_thread::yield();
    InChild([&]() -> int {
        const size_t live = Stats(allocator_).heap_live_bytes;
        fa_task tasks[kCount];
        for (fa_task &task : tasks) {
            task = Begin();
            CHILD_EXPECT(fa_task_alloc(task, 100) != nullptr);
        }
        CHILD_EXPECT(Stats(allocator_).heap_live_bytes == live);
        CHILD_EXPECT(fa_validate(allocator_, nullptr) == FA_OK);
        for (const fa_task &task : tasks)
            CHILD_EXPECT(fa_task_end(task) == FA_OK);
        CHILD_EXPECT(fa_allocator_destroy(allocator_) == 0);
        return 0;
    });
    stop = true;
    other.join();
}

FA_TESTING_CHECKS_ALL(Spare);

} // namespace
