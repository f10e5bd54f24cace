#include "backends/backends.h"

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace {

class Failing : public testing::Test {
  protected:
    void SetUp() override { backend_ = fa_backend_failing(&state_, fa_backend_system()); }
    void TearDown() override { fa_backend_close(backend_); }
    bool Serves() {
        void *ptr = backend_.vtable->alloc(backend_.context, 100, 16, FA_SPAN_HEAP);
        if (ptr != nullptr)
            backend_.vtable->free(backend_.context, ptr, 100, 16, FA_SPAN_HEAP);
        return ptr != nullptr;
    }
    // One letter a call: '+' served, '-' refused.
    std::string Calls(int count) {
        std::string result;
        for (int i = 0; i < count; i++)
            result += Serves() ? '+' : '-';
        return result;
    }
    fa_failing state_;
    fa_backend backend_;
};

} // namespace

TEST_F(Failing, NeedsStateAndInner) {
    EXPECT_EQ(fa_backend_failing(nullptr, fa_backend_system()).vtable, nullptr);
    EXPECT_EQ(fa_backend_failing(&state_, fa_backend{}).vtable, nullptr);
    state_ = {};
    backend_ = fa_backend_failing(&state_, fa_backend_system());
}

TEST_F(Failing, FailsOnSchedule) {
    EXPECT_EQ(Calls(5), "+++++");
    fa_failing_set(&state_, FA_FAILING_ALLOC, 3, false);
    EXPECT_EQ(Calls(5), "++-++");
    fa_failing_set(&state_, FA_FAILING_ALLOC, 1, false);
    EXPECT_EQ(Calls(3), "-++");
    fa_failing_set(&state_, FA_FAILING_ALLOC, 2, true);
    EXPECT_EQ(Calls(5), "+----");
    fa_failing_set(&state_, FA_FAILING_ALLOC, 0, true);
    EXPECT_EQ(Calls(3), "+++");
    EXPECT_EQ(fa_failing_calls(&state_, FA_FAILING_ALLOC), 21u);
}

TEST_F(Failing, ResizeHasItsOwnSchedule) {
    auto resize = [&](void *ptr) {
        return backend_.vtable->resize(backend_.context, ptr, 100, 99);
    };
    void *ptr = backend_.vtable->alloc(backend_.context, 100, 16, FA_SPAN_HEAP);
    ASSERT_NE(ptr, nullptr);
    fa_failing_set(&state_, FA_FAILING_RESIZE, 2, false);
    EXPECT_TRUE(resize(ptr));
    EXPECT_EQ(Calls(3), "+++");
    EXPECT_FALSE(resize(ptr));
    EXPECT_TRUE(resize(ptr));
    EXPECT_EQ(fa_failing_calls(&state_, FA_FAILING_RESIZE), 3u);
    backend_.vtable->free(backend_.context, ptr, 99, 16, FA_SPAN_HEAP);
}

TEST_F(Failing, OneOfManyThreadsFails) {
    std::atomic<int> refused{0};
    fa_failing_set(&state_, FA_FAILING_ALLOC, 777, false);
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; i++)
        threads.emplace_back([&] {
            for (int n = 0; n < 500; n++)
                refused += Serves() ? 0 : 1;
        });
    for (std::thread &thread : threads)
        thread.join();
    EXPECT_EQ(refused, 1);
    EXPECT_EQ(fa_failing_calls(&state_, FA_FAILING_ALLOC), 2000u);
}

TEST_F(Failing, CanBeSetWhileThreadsCall) {
    std::atomic<bool> done{false};
    std::atomic<int> refused{0};
    std::thread caller([&] {
        while (!done)
            refused += Serves() ? 0 : 1;
    });
    while (refused < 10)
        fa_failing_set(&state_, FA_FAILING_ALLOC, 1, true);
    fa_failing_set(&state_, FA_FAILING_ALLOC, 0, false);
    done = true;
    caller.join();
    EXPECT_TRUE(Serves());
}

// How it is meant to be used: a program is run until no failure is left to inject.
TEST_F(Failing, EveryCallOfAProgramFailsOnce) {
    auto program = [&] { return Serves() && Serves() && Serves(); };
    int failures = 0;
    for (uint64_t at = 1;; at++) {
        fa_failing_set(&state_, FA_FAILING_ALLOC, at, false);
        if (program())
            break;
        failures++;
    }
    EXPECT_EQ(failures, 3);
}

TEST(FailingByName, FailsAsSaid) {
    fa_backend backend;
    char message[256];
    ASSERT_EQ(
        fa_backend_open("failing:at=2,lasting,inner=system", &backend, message, sizeof message),
        FA_OK)
        << message;
    std::string calls;
    for (int i = 0; i < 3; i++) {
        void *ptr = backend.vtable->alloc(backend.context, 100, 16, FA_SPAN_HEAP);
        calls += ptr != nullptr ? '+' : '-';
        if (ptr != nullptr)
            backend.vtable->free(backend.context, ptr, 100, 16, FA_SPAN_HEAP);
    }
    EXPECT_EQ(calls, "+--");
    fa_backend_close(backend);
}
