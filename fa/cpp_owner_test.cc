// Owners of C++: pool_ptr, heap_ptr, frame_ptr and frame_new.
#include "fa/fa.hpp"
#include "fa/testing.hpp"
#include "fa/testing_threads.hpp"

#include <stdexcept>
#include <string>
#include <thread>

using namespace fa_testing;

namespace {

// Counts how many live, and notes in which order they went.
struct Counted {
    static inline int alive = 0;
    static inline std::vector<int> gone;
    static void Reset() {
        alive = 0;
        gone.clear();
    }
    int value;
    explicit Counted(int number = 7) : value(number) { alive++; }
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
struct Plainly { // an aggregate without a destructor
    int x, y;
};
struct alignas(128) Wide {
    char bytes[128];
    ~Wide() { bytes[0] = 1; }
};
struct Throwing {
    static inline int alive = 0;
    Throwing() {
        if (alive == 3)
            throw std::runtime_error("no more");
        alive++;
    }
    ~Throwing() { alive--; }
};

// Not known to the compiler, which would complain.
volatile size_t k_huge = SIZE_MAX / 2;

static_assert(!std::is_copy_constructible_v<fa::pool_ptr<int>>);
static_assert(std::is_nothrow_move_constructible_v<fa::frame_ptr<Counted>>);
static_assert(sizeof(fa::pool_ptr<int>) == 2 * sizeof(void *));
static_assert(sizeof(fa::frame_ptr<Plainly>) == sizeof(void *), "nothing to be remembered");
static_assert(std::is_convertible_v<fa::pool_ptr<Derived>, fa::pool_ptr<Counted>>);
static_assert(std::is_convertible_v<fa::pool_ptr<int>, fa::pool_ptr<const int>>);
static_assert(!std::is_convertible_v<fa::pool_ptr<Derived>, fa::heap_ptr<Counted>>);
static_assert(!std::is_convertible_v<fa::pool_ptr<Derived[]>, fa::pool_ptr<Counted[]>>);
struct NoVirtual {
    int x;
};
struct Below : NoVirtual {
    int y;
};
static_assert(!std::is_convertible_v<fa::pool_ptr<Below>, fa::pool_ptr<NoVirtual>>);

struct PoolMaker {
    template <class T> using owner = fa::pool_ptr<T>;
    template <class T, class... A> static owner<T> make(fa_allocator *allocator, A &&...a) {
        return fa::make_pool<T>(allocator, std::forward<A>(a)...);
    }
    static size_t Live(fa_allocator *allocator) { return Stats(allocator).pool_live_count; }
};
struct HeapMaker {
    template <class T> using owner = fa::heap_ptr<T>;
    template <class T, class... A> static owner<T> make(fa_allocator *allocator, A &&...a) {
        return fa::make_heap<T>(allocator, std::forward<A>(a)...);
    }
    static size_t Live(fa_allocator *allocator) { return Stats(allocator).heap_live_count; }
};

template <class Maker> class CppOwner : public testing::Test {
  protected:
    void SetUp() override { Counted::Reset(); }
    static constexpr bool kSeen = kCounted || std::is_same_v<Maker, HeapMaker>;
    static void ExpectLive(fa_allocator *allocator, size_t count) {
        if (kSeen) {
            EXPECT_EQ(Maker::Live(allocator), count);
        }
    }
};
using Makers = testing::Types<PoolMaker, HeapMaker>;
TYPED_TEST_SUITE(CppOwner, Makers, );

TYPED_TEST(CppOwner, DestroysOnce) {
    for (uint32_t checks : {0u, static_cast<uint32_t>(FA_CHECK_ALL)}) {
        fa_alloc_config config = Plain();
        config.checks = checks;
        Events events;
        events.Watch(&config);
        Allocator allocator(config);
        {
            auto one = TypeParam::template make<Counted>(allocator, 1);
            auto two = TypeParam::template make<Counted>(allocator, 2);
            auto wide = TypeParam::template make<Wide>(allocator);
            ASSERT_TRUE(one && two && wide);
            EXPECT_TRUE(IsAligned(wide.get(), 128));
            EXPECT_EQ(Counted::alive, 2);
            auto moved = std::move(one);
            EXPECT_EQ(one, nullptr);
            EXPECT_EQ(moved->value, 1);
            moved = std::move(two); // 1 goes
            EXPECT_EQ(Counted::gone, (std::vector<int>{1}));
            moved.reset();
            EXPECT_EQ(Counted::alive, 0);
            Plainly point = *TypeParam::template make<Plainly>(allocator, 3, 4);
            EXPECT_EQ(point.x + point.y, 7);
            EXPECT_EQ(*TypeParam::template make<int>(allocator), 0);
            auto constant = TypeParam::template make<const std::string>(allocator, 100u, 'x');
            EXPECT_EQ(constant->size(), 100u);
        }
        EXPECT_EQ(allocator.Destroy(), 0u);
        EXPECT_TRUE(events.all.empty());
        Counted::Reset();
    }
}

TYPED_TEST(CppOwner, BaseInTheMiddleOfItsBlock) {
    fa_alloc_config config = Plain();
    config.checks = FA_CHECK_FREE;
    Events events;
    events.Watch(&config);
    Allocator allocator(config);
    {
        auto derived = TypeParam::template make<Derived>(allocator, 5, "a name of many letters");
        const void *block = derived.get();
        typename TypeParam::template owner<Counted> base = std::move(derived);
        EXPECT_NE(static_cast<const void *>(base.get()), block);
        EXPECT_EQ(base->value, 5);
        typename TypeParam::template owner<const Counted> constant = std::move(base);
    }
    EXPECT_EQ(Counted::gone, (std::vector<int>{5}));
    EXPECT_TRUE(events.all.empty());
    EXPECT_EQ(allocator.Destroy(), 0u);
}

TYPED_TEST(CppOwner, Arrays) {
    Allocator allocator(Plain());
    {
        auto numbers = TypeParam::template make<int[]>(allocator, 1000);
        EXPECT_TRUE(IsFilled(numbers.get(), 0, 4000));
        EXPECT_EQ(numbers.get_deleter().count(), 1000u);
        auto many = TypeParam::template make<Counted[]>(allocator, 5);
        for (int i = 0; i < 5; i++)
            many[i].value = i;
        auto lines = TypeParam::template make<Wide[]>(allocator, 3);
        EXPECT_TRUE(IsAligned(lines.get(), 128));
        many.reset();
        EXPECT_EQ(Counted::gone, (std::vector<int>{4, 3, 2, 1, 0}));
        EXPECT_EQ(TypeParam::template make<Counted[]>(allocator, 0), nullptr);
        EXPECT_EQ(fa_last_error().status, FA_ERROR_INVALID);
        EXPECT_EQ(TypeParam::template make<Wide[]>(allocator, SIZE_MAX / 100), nullptr);
        EXPECT_EQ(fa_last_error().status, FA_ERROR_INVALID);
    }
    EXPECT_EQ(allocator.Destroy(), 0u);
}

TYPED_TEST(CppOwner, RefusalIsAnEmptyOwner) {
    Source source;
    Allocator allocator(Plain(), source);
    EXPECT_NE(fa_frame_begin(allocator), nullptr);
    source.Fail(1);
    auto owner = TypeParam::template make<Counted>(allocator, 1);
    EXPECT_EQ(owner, nullptr);
    EXPECT_EQ(fa_last_error().status, FA_ERROR_NO_MEMORY);
    EXPECT_EQ(TypeParam::template make<Counted[]>(allocator, 100), nullptr);
    EXPECT_EQ(Counted::alive, 0);
    EXPECT_EQ(TypeParam::template make<Counted>(nullptr, 1), nullptr);
    source.Fail(0, false);
    owner = TypeParam::template make<Counted>(allocator, 2);
    EXPECT_NE(owner, nullptr);
    EXPECT_EQ(fa_frame_end(allocator), FA_OK);
}

TYPED_TEST(CppOwner, ThrowingConstructorsLeaveNothing) {
    Allocator allocator(Plain());
    Throwing::alive = 0;
    EXPECT_THROW((void)TypeParam::template make<Throwing[]>(allocator, 10), std::runtime_error);
    EXPECT_EQ(Throwing::alive, 0);
    Throwing::alive = 3;
    EXPECT_THROW((void)TypeParam::template make<Throwing>(allocator), std::runtime_error);
    TestFixture::ExpectLive(allocator, 0);
    EXPECT_EQ(allocator.Destroy(), 0u);
}

TYPED_TEST(CppOwner, GoesWithAnyThread) {
    Allocator allocator(Plain());
    auto owner = TypeParam::template make<Counted>(allocator, 1);
    std::thread([moved = std::move(owner)]() mutable { moved.reset(); }).join();
    EXPECT_EQ(Counted::alive, 0);
    EXPECT_EQ(allocator.Destroy(), 0u);
}

TEST(CppHeapOwner, IsNamedByItsPlace) {
    if (!kCounted)
        GTEST_SKIP();
    Allocator allocator(Plain());
    const int line = __LINE__ + 1;
    auto text = fa::make_heap<char[]>(allocator, 100);
    int found = 0;
    (void)fa_heap_visit(
        allocator,
        [](void *user, const fa_heap_block *block) {
            EXPECT_NE(std::strstr(block->site.file, "cpp_owner_test"), nullptr);
            EXPECT_STREQ(block->site.function, "TestBody");
            *static_cast<int *>(user) = block->site.line;
        },
        &found);
    EXPECT_EQ(found, line);
}

// ---- frames ----

class CppFrameOwner : public testing::Test {
  protected:
    fa_alloc_config Watched(uint32_t checks = 0) {
        fa_alloc_config config = Plain();
        config.checks = checks;
        events_.Watch(&config);
        return config;
    }
    void SetUp() override { Counted::Reset(); }
    Events events_;
};

TEST_F(CppFrameOwner, DestroysAtItsEnd) {
    for (uint32_t checks : {0u, static_cast<uint32_t>(FA_CHECK_ALL)}) {
        Allocator allocator(Watched(checks));
        fa::frame_scope frame(allocator);
        {
            fa::frame_ptr<Counted> one = fa::make_frame<Counted>(frame, 1);
            auto many = fa::make_frame<Counted[]>(frame, 3);
            auto wide = fa::make_frame<Wide>(frame);
            EXPECT_TRUE(IsAligned(wide.get(), 128));
            auto point = fa::make_frame<Plainly>(frame, 1, 2);
            auto numbers = fa::make_frame<int[]>(frame, 100);
            EXPECT_TRUE(IsFilled(numbers.get(), 0, 400));
            EXPECT_EQ(point->y, 2);
            fa::frame_ptr<Counted> derived = fa::make_frame<Derived>(frame, 9, "longer than short");
            EXPECT_EQ(Counted::alive, 5);
            one = std::move(derived);
            EXPECT_EQ(Counted::gone, (std::vector<int>{1}));
        }
        EXPECT_EQ(Counted::alive, 0);
        EXPECT_EQ(frame.end(), FA_OK);
        Counted::Reset();
    }
    EXPECT_TRUE(events_.all.empty());
}

TEST_F(CppFrameOwner, FindsOutThatItsFrameIsOver) {
    Allocator allocator(Watched());
    fa::frame_ptr<Counted> late, later;
    fa::frame_ptr<Counted[]> many;
    fa::frame_ptr<Plainly> harmless;
    {
        fa::frame_scope frame(allocator);
        late = fa::make_frame<Counted>(frame, 1);
        later = fa::make_frame<Counted>(frame, 2);
        many = fa::make_frame<Counted[]>(frame, 2);
        harmless = fa::make_frame<Plainly>(frame, 1, 2);
    }
    const void *address = late.get();
    late.reset();
    EXPECT_EQ(events_.Count(FA_DIAG_FA002), 1u);
    EXPECT_EQ(events_.Last(FA_DIAG_FA002).address, address);
    EXPECT_EQ(fa_last_error().status, FA_ERROR_FOREIGN);
    harmless.reset();
    EXPECT_EQ(events_.all.size(), 1u);
    fa::frame_scope next(allocator); // another object where the old one was
    auto fresh = fa::make_frame<Counted>(next, 3);
    auto second = fa::make_frame<Counted>(next, 4);
    later.reset();
    many.reset();
    EXPECT_EQ(events_.Count(FA_DIAG_FA002), 3u);
    EXPECT_TRUE(Counted::gone.empty()) << "no destructor ran on what is another's now";
    EXPECT_EQ(fresh->value, 3);
}

TEST_F(CppFrameOwner, FindsOutThatItsFrameWasRewound) {
    for (bool fast : {true, false}) {
        Counted::Reset();
        Allocator allocator(Watched(fast ? 0 : FA_CHECK_FREE));
        fa::frame_scope frame(allocator);
        auto before = fa::make_frame<Counted>(frame, 1);
        fa_mark mark = fa_frame_mark_in(frame);
        auto gone = fa::make_frame<Counted>(frame, 2);
        EXPECT_EQ(fa_frame_rewind_in(frame, mark), FA_OK);
        auto there = fa::make_frame<Counted>(frame, 3);
        auto more = fa::make_frame<Counted>(frame, 4); // past the place again
        events_.all.clear();
        gone.reset();
        EXPECT_EQ(events_.Count(FA_DIAG_FA002), 1u);
        EXPECT_TRUE(Counted::gone.empty());
        there.reset();
        more.reset();
        before.reset();
        EXPECT_EQ(Counted::gone, (std::vector<int>{3, 4, 1}));
        EXPECT_EQ(events_.all.size(), 1u);
    }
}

TEST_F(CppFrameOwner, BelongsToItsThread) {
    Allocator allocator(Watched());
    fa::frame_ptr<Counted> orphan;
    {
        fa::frame_scope frame(allocator);
        auto owner = fa::make_frame<Counted>(frame, 1);
        std::thread([&owner, &allocator, &orphan] {
            fa::frame_scope mine(allocator);
            auto own = fa::make_frame<Counted>(mine, 2);
            owner.reset();
            orphan = fa::make_frame<Counted>(mine, 3);
        }).join();
        EXPECT_EQ(events_.Count(FA_DIAG_FA002), 1u);
        EXPECT_EQ(Counted::gone, (std::vector<int>{2}));
    }
    orphan.reset(); // its thread is gone
    EXPECT_EQ(events_.Count(FA_DIAG_FA002), 2u);
}

TEST_F(CppFrameOwner, SecondAllocator) {
    Allocator first(Plain()), allocator(Watched());
    fa::frame_scope other(first), frame(allocator);
    auto one = fa::make_frame<Counted>(other, 1);
    auto two = fa::make_frame<Counted>(frame, 2);
    two.reset();
    one.reset();
    EXPECT_EQ(Counted::gone, (std::vector<int>{2, 1}));
    auto late = fa::make_frame<Counted>(frame, 3);
    EXPECT_EQ(frame.end(), FA_OK);
    late.reset();
    EXPECT_EQ(events_.Count(FA_DIAG_FA002), 1u);
}

TEST_F(CppFrameOwner, Refusals) {
    Source source;
    fa_alloc_config config = Watched();
    Allocator allocator(config, source);
    EXPECT_EQ(fa::make_frame<Counted>(nullptr, 1), nullptr);
    EXPECT_EQ(fa_last_error().status, FA_ERROR_INVALID);
    EXPECT_EQ(fa::make_frame<int[]>(nullptr, 1), nullptr);
    EXPECT_EQ(fa::frame_new<int>(nullptr), nullptr);
    fa::frame_scope frame(allocator);
    EXPECT_EQ(fa::make_frame<Counted[]>(frame, 0), nullptr);
    EXPECT_EQ(fa::make_frame<int[]>(frame, k_huge), nullptr);
    EXPECT_EQ(fa_last_error().status, FA_ERROR_INVALID);
    source.Fail(1);
    EXPECT_EQ((fa::make_frame<Counted[]>(frame, size_t{1} << 20)), nullptr);
    EXPECT_EQ(fa_last_error().status, FA_ERROR_NO_MEMORY);
    EXPECT_EQ(Counted::alive, 0);
    source.Fail(0, false);
    fa_frame *handle = frame.get();
    EXPECT_EQ(frame.end(), FA_OK);
    EXPECT_EQ(fa::make_frame<Counted>(handle, 1), nullptr);
    EXPECT_EQ(fa_last_error().status, FA_ERROR_NO_FRAME);
    fa::frame_ptr<Counted> empty;
    empty.reset();
    EXPECT_EQ(Counted::alive, 0);
}

TEST_F(CppFrameOwner, NewEndsWithTheFrame) {
    Allocator allocator(Watched());
    {
        fa::frame_scope frame(allocator);
        Counted *one = fa::frame_new<Counted>(frame, 1);
        Derived *two = fa::frame_new<Derived>(frame, 2, "a name that is on the heap");
        int *number = fa::frame_new<int>(frame, 5);
        ASSERT_TRUE(one && two && number);
        {
            fa::mark_scope scratch(frame);
            EXPECT_NE(fa::frame_new<Counted>(frame, 3), nullptr);
        }
        EXPECT_EQ(Counted::gone, (std::vector<int>{3})) << "rewound";
        EXPECT_EQ(*number, 5);
        Throwing::alive = 3;
        EXPECT_THROW((void)fa::frame_new<Throwing>(frame), std::runtime_error);
        Throwing::alive = 0;
    }
    EXPECT_EQ(Counted::gone, (std::vector<int>{3, 2, 1}));
    EXPECT_EQ(Throwing::alive, 0);
    EXPECT_TRUE(events_.all.empty());
}

TEST_F(CppFrameOwner, NewWithoutMemoryForTheDestructor) {
    Source source;
    fa_alloc_config config = Watched();
    Allocator allocator(config, source);
    fa::frame_scope frame(allocator);
    EXPECT_NE(fa_frame_alloc_in(frame, 16), nullptr);
    fa_frame *handle = frame.get();
    size_t left = static_cast<size_t>(handle->limit - handle->cursor);
    if (left == 0) // checks are switched on by the build: each allocation is a call
        GTEST_SKIP();
    EXPECT_NE(fa_frame_alloc_in(frame, left - ((sizeof(Counted) + 15) & ~size_t{15})), nullptr);
    source.Fail(1);
    EXPECT_EQ(fa::frame_new<Counted>(frame, 1), nullptr);
    EXPECT_EQ(Counted::gone, (std::vector<int>{1})) << "made, and undone";
    source.Fail(0, false);
    EXPECT_EQ(frame.end(), FA_OK);
    EXPECT_EQ(Counted::alive, 0);
}

} // namespace
