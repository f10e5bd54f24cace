// Owners of C++ for tasks: fa::task and fa::task_resource.
#include "fa/fa.hpp"
#include "fa/testing_tasks.hpp"

#include <map>
#include <memory_resource>
#include <stdexcept>
#include <string>
#include <thread>

using namespace fa_testing;

namespace {

struct Counted {
    static inline int alive = 0;
    static inline std::vector<int> gone;
    int value;
    explicit Counted(int number) : value(number) {
        if (number < 0)
            throw std::runtime_error("negative");
        alive++;
    }
    Counted(const Counted &) = delete;
    virtual ~Counted() {
        alive--;
        gone.push_back(value);
    }
};
struct Padding {
    virtual ~Padding() = default;
    long numbers[3] = {1, 2, 3};
};
struct Derived : Padding, Counted {
    std::string name;
    Derived(int number, std::string text) : Counted(number), name(std::move(text)) {}
};
struct Plainly {
    int x, y;
};
struct alignas(256) Wide {
    char bytes[256] = {};
};
struct alignas(128) WideCounted : Counted {
    using Counted::Counted;
};

// Not known to the compiler, which would complain.
volatile size_t k_huge = SIZE_MAX / 2;

static_assert(!std::is_copy_constructible_v<fa::task>);
static_assert(std::is_nothrow_move_constructible_v<fa::task>);
static_assert(std::is_nothrow_move_assignable_v<fa::task>);
static_assert(!std::is_convertible_v<fa_task, fa::task>, "it would be ended by accident");

class CppTask : public Tasks {
  protected:
    void SetUp() override {
        Counted::alive = 0;
        Counted::gone.clear();
        Tasks::SetUp();
    }
    void TearDown() override {
        Tasks::TearDown();
        EXPECT_EQ(Counted::alive, 0);
    }
};

TEST_P(CppTask, EndsWithItsObjectsNewestFirst) {
    {
        const fa::task task(allocator_, "request");
        ASSERT_TRUE(task);
        EXPECT_STREQ(TaskStats(task).name, "request");
    }
    fa::task task(allocator_);
    for (int i = 0; i < 4; i++) {
        const Counted *made = task.make<Counted>(i);
        ASSERT_NE(made, nullptr);
        EXPECT_EQ(made->value, i);
        EXPECT_TRUE(IsAligned(made, 16));
    }
    const Derived *derived = task.make<Derived>(7, std::string(100, 'x'));
    EXPECT_EQ(derived->name.size(), 100u);
    const auto *wide = task.make<WideCounted>(8);
    EXPECT_TRUE(IsAligned(wide, 128));
    EXPECT_EQ(TaskStats(task).destructor_count, 6u);
    const Plainly *plain = task.make<Plainly>(1, 2);
    EXPECT_EQ(plain->y, 2);
    EXPECT_EQ(TaskStats(task).bytes, 4 * (sizeof(Counted) + 16) + sizeof(Derived) + 16 +
                                         sizeof(WideCounted) + 128 + sizeof(Plainly));
    EXPECT_TRUE(IsAligned(task.make<Wide>(), 256));
    EXPECT_EQ(TaskStats(task).destructor_count, 6u);
    const int *numbers = task.make_array<int>(1000);
    EXPECT_TRUE(IsFilled(numbers, 0, 1000 * sizeof(int)));
    EXPECT_EQ(task.make_array<int>(k_huge), nullptr);
    EXPECT_EQ(fa_last_error().status, FA_ERROR_INVALID);
    EXPECT_EQ(task.end(), FA_OK);
    EXPECT_EQ(Counted::gone, std::vector<int>({8, 7, 3, 2, 1, 0}));
    EXPECT_FALSE(task);
    EXPECT_EQ(task.end(), FA_OK) << "there is none";
    EXPECT_EQ(task.make<int>(3), nullptr);
    EXPECT_EQ(task.make<Counted>(3), nullptr);
    EXPECT_EQ(PoolLive(), 0u);
}

TEST_P(CppTask, DestroysOneByOne) {
    fa::task task(allocator_);
    Counted *first = task.make<Counted>(1);
    Counted *base = task.make<Derived>(2, "base");
    WideCounted *wide = task.make<WideCounted>(3);
    Wide *plain = task.make<Wide>();
    int *numbers = task.make_array<int>(10);
    (void)task.make<Counted>(4);
    EXPECT_EQ(TaskStats(task).live_count, 6u);
    EXPECT_EQ(task.destroy(base), FA_OK) << "in the middle of its block";
    EXPECT_EQ(task.destroy(first), FA_OK);
    EXPECT_EQ(task.destroy(wide), FA_OK);
    EXPECT_EQ(task.destroy(plain), FA_OK);
    EXPECT_EQ(task.destroy(numbers), FA_OK);
    EXPECT_EQ(task.destroy<Counted>(nullptr), FA_OK);
    EXPECT_EQ(Counted::gone, std::vector<int>({2, 1, 3}));
    EXPECT_EQ(TaskStats(task).live_count, 1u);
    fa::task other(allocator_);
    Counted *foreign = other.make<Counted>(5);
    Refused(FA_DIAG_FA601, task.destroy(foreign) == FA_ERROR_FOREIGN);
    EXPECT_EQ(Counted::alive, 2);
}

TEST_P(CppTask, WhatAConstructorThrowsPasses) {
    fa::task task(allocator_);
    (void)task.make<Counted>(1);
    EXPECT_THROW((void)task.make<Counted>(-1), std::runtime_error);
    EXPECT_THROW((void)task.make<WideCounted>(-1), std::runtime_error);
    EXPECT_EQ(TaskStats(task).live_count, 1u);
    EXPECT_EQ(task.end(), FA_OK);
    EXPECT_EQ(Counted::gone, std::vector<int>({1}));
}

TEST_P(CppTask, MovesAndGoesToACallback) {
    fa::task task(allocator_, "one");
    (void)task.make<Counted>(1);
    fa::task moved(std::move(task));
    EXPECT_FALSE(task); // NOLINT: none is what it is then
    EXPECT_EQ(Counted::alive, 1);
    moved = fa::task(allocator_, "two");
    EXPECT_EQ(Counted::gone, std::vector<int>({1}));
    (void)moved.make<Counted>(2);
    const fa_task handle = moved.release();
    EXPECT_TRUE(fa_task_is_open(handle));
    EXPECT_EQ(moved.get().head, nullptr);
    OnThread([&] {
        const fa::task callback(handle);
        EXPECT_STREQ(TaskStats(callback).name, "two");
    });
    EXPECT_EQ(Counted::gone, std::vector<int>({1, 2}));
    EXPECT_EQ(fa_task_count(allocator_), 0u);
    const fa::task none(static_cast<fa_allocator *>(nullptr));
    EXPECT_EQ(fa_last_error().status, FA_ERROR_INVALID);
    EXPECT_FALSE(none);
}

TEST_P(CppTask, ATaskThatWasEndedByItsHandleIsEndedOnce) {
    fa::task task(allocator_);
    (void)task.make<Counted>(1);
    EXPECT_EQ(fa_task_end(task), FA_OK);
    EXPECT_EQ(Counted::gone, std::vector<int>({1}));
    EXPECT_FALSE(task);
    Refused(FA_DIAG_FA610, task.make<Counted>(2) == nullptr);
    Refused(FA_DIAG_FA610, task.end() == FA_ERROR_FOREIGN);
    EXPECT_EQ(task.end(), FA_OK) << "there is none any more";
}

TEST_P(CppTask, Captures) {
    const fa::task task(allocator_);
    {
        const fa::capture_scope capture(task);
        EXPECT_EQ(capture.status(), FA_OK);
        EXPECT_NE(fa_pool_alloc(allocator_, 100), nullptr);
    }
    EXPECT_EQ(TaskStats(task).captured_count, 1u);
}

TEST_P(CppTask, IsAResourceForContainers) {
    fa::task task(allocator_);
    fa::task_resource resource(task), same(task);
    EXPECT_EQ(resource, same);
    EXPECT_NE(resource, *std::pmr::new_delete_resource());
    {
        std::pmr::map<int, std::pmr::string> names(&resource);
        for (int i = 0; i < 100; i++)
            names.emplace(i, std::string(100, static_cast<char>('a' + i % 26)));
        for (int i = 0; i < 100; i += 2)
            names.erase(i);
        EXPECT_EQ(names.at(3)[99], 'd');
        EXPECT_EQ(TaskStats(task).live_count, 100u);
        std::pmr::vector<Wide> wide(3, &resource);
        EXPECT_TRUE(IsAligned(wide.data(), 256));
        void *nothing = resource.allocate(0);
        EXPECT_NE(nothing, nullptr);
        resource.deallocate(nothing, 0);
    }
    EXPECT_EQ(TaskStats(task).live_count, 0u);
    const fa::task other(allocator_);
    EXPECT_NE(resource, fa::task_resource(other));
    EXPECT_THROW((void)resource.allocate(k_huge), std::bad_alloc);
    EXPECT_THROW((void)resource.allocate(16, FA_ALIGN_MAX * 2), std::bad_alloc);
    EXPECT_EQ(task.end(), FA_OK);
    EXPECT_THROW((void)resource.allocate(16), std::bad_alloc);
    EXPECT_EQ(fa_last_error().diag, FA_DIAG_FA610);
}

TEST_P(CppTask, NothingIsLostToFaults) {
    EachFault(12, GetParam(), [](fa_allocator *allocator) {
        fa::task task(allocator, "faults");
        for (int i = 0; i < 200; i++) {
            const auto *made = task.make<WideCounted>(i);
            EXPECT_TRUE(made == nullptr || made->value == i);
            (void)task.make_array<char>(i == 100 ? 1 << 20 : 3000);
        }
        (void)task.end();
        EXPECT_EQ(Counted::alive, 0);
    });
}

FA_TESTING_CHECKS(CppTask);

} // namespace
