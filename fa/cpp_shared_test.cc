// Shared objects of C++: fa::shared_ptr and fa::weak_ptr.
#include "fa/fa.hpp"
#include "fa/testing.hpp"
#include "fa/testing_threads.hpp"

#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

using namespace fa_testing;

namespace {

struct Counted {
    static inline int alive = 0;
    int value;
    explicit Counted(int number) noexcept : value(number) { alive++; }
    ~Counted() { alive--; } // not virtual
};
struct Named {
    std::string name = "a name that does not fit into a string itself";
};
struct Both : Named, Counted {
    explicit Both(int number) : Counted(number) {
        if (number < 0)
            throw std::runtime_error("negative");
    }
};
struct alignas(128) Wide {
    char bytes[128];
};
struct Node { // an aggregate that owns another one
    int value;
    fa::shared_ptr<Node> next;
};

static_assert(std::is_nothrow_move_constructible_v<fa::shared_ptr<Counted>>);
static_assert(std::is_convertible_v<fa::shared_ptr<Both>, fa::shared_ptr<const Counted>>);
static_assert(!std::is_convertible_v<fa::shared_ptr<Counted>, fa::shared_ptr<Both>>);

TEST(CppShared, LastOwnerEndsIt) {
    for (uint32_t checks : {0u, static_cast<uint32_t>(FA_CHECK_ALL)}) {
        fa_alloc_config config = Plain();
        config.checks = checks;
        Events events;
        events.Watch(&config);
        Allocator allocator(config);
        {
            fa::shared_ptr<Counted> one = fa::make_shared<Counted>(allocator, 1);
            fa::shared_ptr<Counted> two = one;
            EXPECT_EQ(one, two);
            EXPECT_EQ(one.use_count(), 2u);
            one = nullptr;
            EXPECT_EQ(one.use_count(), 0u);
            EXPECT_EQ(Counted::alive, 1);
            fa::shared_ptr<Counted> three = std::move(two);
            EXPECT_EQ(two, nullptr);
            EXPECT_EQ(three->value + (*three).value, 2);
            fa::shared_ptr<Counted> &same = three;
            three = same;
            EXPECT_EQ(three.use_count(), 1u);
            three = fa::make_shared<Counted>(allocator, 2);
            EXPECT_EQ(Counted::alive, 1);
            three.reset();
            EXPECT_EQ(Counted::alive, 0);
            auto wide = fa::make_shared<Wide>(allocator);
            EXPECT_TRUE(IsAligned(wide.get(), 128));
            auto last = fa::make_shared<Node>(allocator, 3, nullptr);
            auto first = fa::make_shared<Node>(allocator, 4, last);
            EXPECT_EQ(first->next->value, 3);
        }
        EXPECT_EQ(allocator.Destroy(), 0u);
        EXPECT_TRUE(events.all.empty());
    }
}

TEST(CppShared, BasesAndWeakReferences) {
    Allocator allocator(Plain());
    fa::weak_ptr<const Counted> seen;
    EXPECT_EQ(seen.lock(), nullptr);
    {
        fa::shared_ptr<Counted> base = fa::make_shared<Both>(allocator, 5);
        seen = fa::weak_ptr<const Counted>(base);
        fa::weak_ptr<const Counted> copy = seen, moved = std::move(copy);
        fa::shared_ptr<const Counted> there = moved.lock();
        ASSERT_TRUE(there);
        EXPECT_EQ(there->value, 5);
        EXPECT_EQ(base.use_count(), 2u);
        EXPECT_EQ(copy.lock(), nullptr);
    }
    EXPECT_EQ(Counted::alive, 0);
    EXPECT_EQ(seen.lock(), nullptr);
    fa::weak_ptr<const Counted> late = seen;
    EXPECT_EQ(late.lock(), nullptr);
    seen.reset();
    late.reset();
    EXPECT_EQ(allocator.Destroy(), 0u);
}

TEST(CppShared, RefusalsAndThrowingConstructors) {
    Source source;
    Allocator allocator(Plain(), source);
    EXPECT_THROW((void)fa::make_shared<Both>(allocator, -1), std::runtime_error);
    EXPECT_EQ(Counted::alive, 0);
    EXPECT_EQ(fa::make_shared<Counted>(nullptr, 1), nullptr);
    EXPECT_EQ(fa_last_error().status, FA_ERROR_INVALID);
    source.Fail(1);
    std::vector<fa::shared_ptr<std::string>> all;
    do
        all.push_back(fa::make_shared<std::string>(allocator, "x"));
    while (all.back() != nullptr);
    EXPECT_EQ(fa_last_error().status, FA_ERROR_NO_MEMORY);
    all.clear();
    source.Fail(0, false);
    EXPECT_EQ(allocator.Destroy(), 0u);
}

TEST(CppShared, ManyThreads) {
    Allocator allocator(Plain());
    fa::shared_ptr<Counted> shared = fa::make_shared<Counted>(allocator, 1);
    fa::weak_ptr<Counted> seen = shared;
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; i++)
        threads.emplace_back([mine = shared, weak = seen] {
            for (int j = 0; j < 1000; j++) {
                fa::shared_ptr<Counted> copy = mine;
                fa::shared_ptr<Counted> locked = weak.lock();
                EXPECT_EQ(copy->value, locked->value);
            }
        });
    shared.reset();
    for (std::thread &thread : threads)
        thread.join();
    threads.clear();
    EXPECT_EQ(seen.lock(), nullptr);
    EXPECT_EQ(Counted::alive, 0);
    seen.reset();
    EXPECT_EQ(allocator.Destroy(), 0u);
}

} // namespace
