// Owners of C++ for systems beyond a frame: fa::typed_pool, group, streams, retained.
#include "fa/fa.hpp"
#include "fa/testing.hpp"

#include <stdexcept>
#include <string>
#include <vector>

using namespace fa_testing;

namespace {

struct Counted {
    static inline int alive = 0;
    static inline std::vector<int> gone;
    static void Reset() {
        alive = 0;
        gone.clear();
    }
    int value;
    explicit Counted(int number) noexcept : value(number) { alive++; }
    Counted(Counted &&other) noexcept : value(other.value) { alive++; }
    ~Counted() {
        alive--;
        gone.push_back(value);
    }
};
struct Throwing : Counted {
    explicit Throwing(int number) : Counted(number) {
        if (number < 0)
            throw std::runtime_error("negative");
    }
    Throwing(Throwing &&) noexcept = default;
};
struct Plainly {
    int x, y;
};
struct alignas(256) Wide {
    char bytes[256];
};

// Not known to the compiler, which would complain.
volatile size_t k_huge = SIZE_MAX / 2;

template <class Owner>
constexpr bool kMovesOnly =
    !std::is_copy_constructible_v<Owner> && std::is_nothrow_move_constructible_v<Owner> &&
    std::is_nothrow_move_assignable_v<Owner>;
static_assert(kMovesOnly<fa::typed_pool<int>> && kMovesOnly<fa::group> && kMovesOnly<fa::streams>);
static_assert(kMovesOnly<fa::stream_pin> && kMovesOnly<fa::stream_load>);
static_assert(kMovesOnly<fa::retained<int>>);

class CppSystems : public testing::Test {
  protected:
    CppSystems() { Counted::Reset(); }
    ~CppSystems() override {
        EXPECT_EQ(fa_validate(allocator_, nullptr), FA_OK);
        EXPECT_EQ(allocator_.Destroy(), 0u);
        EXPECT_EQ(Counted::alive, 0);
    }
    Allocator allocator_{Plain()};
};

TEST_F(CppSystems, TypedPoolsDestroyWhatIsLeft) {
    fa::typed_pool<Counted> pool(allocator_);
    ASSERT_NE(pool, nullptr);
    Counted *made[10];
    for (int i = 0; i < 10; i++)
        made[i] = pool.make(i);
    EXPECT_EQ(pool.count(), 10u);
    EXPECT_EQ(pool.release(made[3]), FA_OK);
    EXPECT_EQ(Counted::gone, std::vector<int>{3});
    EXPECT_FALSE(pool.has(made[3]));
    EXPECT_TRUE(pool.has(made[4]));
    EXPECT_LT(pool.index(made[4]), 10u);
    EXPECT_EQ(pool.release(made[3]), FA_ERROR_FOREIGN);
    std::vector<int> seen;
    pool.each([&](Counted &object) {
        seen.push_back(object.value);
        if (object.value % 2 == 0) {
            EXPECT_EQ(pool.release(&object), FA_OK);
        }
    });
    EXPECT_EQ(seen, (std::vector<int>{0, 1, 2, 4, 5, 6, 7, 8, 9}));
    EXPECT_EQ(pool.count(), 4u);
    fa::typed_pool<Counted> moved(std::move(pool));
    EXPECT_EQ(pool, nullptr);
    EXPECT_EQ(moved.count(), 4u);
    EXPECT_EQ(moved.clear(), 4u);
    EXPECT_EQ(Counted::alive, 0);
    EXPECT_NE(moved.make(11), nullptr);
    moved = fa::typed_pool<Counted>(allocator_); // the first is gone, with its object
    EXPECT_EQ(Counted::gone.back(), 11);
    fa::typed_pool<Plainly> plain(allocator_);
    const Plainly *point = plain.make(1, 2);
    EXPECT_EQ(point->x + point->y, 3);
    fa::typed_pool<Wide> wide(allocator_);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(wide.make()) % 256, 0u);
}

TEST_F(CppSystems, TypedPoolsWithLimitsAndExceptions) {
    fa_typed_pool_config config = {};
    config.count_max = 2;
    fa::typed_pool<Throwing> pool(allocator_, config);
    EXPECT_NE(pool.make(1), nullptr);
    EXPECT_THROW((void)pool.make(-1), std::runtime_error);
    EXPECT_EQ(pool.count(), 1u);
    EXPECT_NE(pool.make(2), nullptr);
    EXPECT_EQ(Counted::alive, 2);
    EXPECT_EQ(pool.make(3), nullptr);
    EXPECT_EQ(fa_last_error().status, FA_ERROR_FULL);
    EXPECT_EQ(Counted::alive, 2);
    fa::typed_pool<int> none(nullptr);
    EXPECT_EQ(none, nullptr);
    EXPECT_EQ(none.make(), nullptr);
    EXPECT_EQ(none.count(), 0u);
    none.each([](int &) { ADD_FAILURE(); });
}

TEST_F(CppSystems, GroupsDestroyTheirObjects) {
    fa::group group(allocator_, "group");
    ASSERT_TRUE(group);
    for (int i = 0; i < 3; i++)
        EXPECT_EQ(group.make<Counted>(i)->value, i);
    EXPECT_EQ(group.make<Plainly>(1, 2)->y, 2);
    EXPECT_EQ(*group.make<std::string>(100, 'x'), std::string(100, 'x'));
    EXPECT_EQ(reinterpret_cast<uintptr_t>(group.make<Wide>()) % 256, 0u);
    const int *numbers = group.make_array<int>(100);
    EXPECT_TRUE(IsFilled(numbers, 0, 400));
    EXPECT_EQ(group.make_array<int>(k_huge), nullptr);
    EXPECT_THROW((void)group.make<Throwing>(-1), std::runtime_error);
    Counted::gone.clear();
    fa::group moved(std::move(group));
    EXPECT_FALSE(group);
    EXPECT_EQ(group.make<int>(1), nullptr);
    EXPECT_EQ(group.free(), FA_OK);
    EXPECT_EQ(moved.free(), FA_OK);
    EXPECT_EQ(Counted::gone, (std::vector<int>{2, 1, 0}));
    EXPECT_FALSE(moved);
    moved = fa::group(allocator_);
    EXPECT_NE(moved.make<Counted>(5), nullptr);
}

// The object is made, but its group can't be told of it.
TEST_F(CppSystems, AnObjectThatItsGroupCannotKnowIsDestroyed) {
    size_t destroyed = 0;
    for (size_t used = 16; used <= 512; used += 16) {
        Source source;
        Allocator allocator(Plain(), source);
        fa::group group(allocator);
        EXPECT_NE(fa_group_alloc(group, 16), nullptr);
        source.Fail(1); // whatever the pools have must do
        for (size_t i = 16; i < used; i += 16)
            (void)!fa_group_alloc(group, 16);
        while (fa_pool_alloc(allocator, 512) != nullptr) {
        }
        Counted::gone.clear();
        const bool made = group.make<Counted>(7) != nullptr;
        EXPECT_EQ(Counted::alive, made);
        destroyed += !made && Counted::gone.size() == 1;
        source.Fail(0);
    }
    EXPECT_NE(destroyed, 0u);
    EXPECT_EQ(Counted::alive, 0);
}

TEST_F(CppSystems, StreamsAreCancelledAndUnpinned) {
    fa_streams_config config = fa_streams_config_default();
    config.bytes_max = 2000;
    fa::streams streams(allocator_, &config);
    ASSERT_NE(streams, nullptr);
    const fa_stream stream = streams.reserve(1000, 16, FA_STREAM_NORMAL);
    {
        fa::stream_load load = streams.load(stream);
        ASSERT_TRUE(load);
        EXPECT_EQ(load.progress(10), FA_OK);
        EXPECT_FALSE(streams.load(stream)) << "it is loading";
    }
    fa_stream_info info;
    EXPECT_EQ(fa_stream_get(streams, stream, &info), FA_OK);
    EXPECT_EQ(info.state, FA_STREAM_RESERVED) << "cancelled";
    fa::stream_load load = streams.load(stream), other = std::move(load);
    EXPECT_EQ(load.finish(), FA_ERROR_INVALID);
    EXPECT_EQ(other.stream(), stream);
    memset(other.data(), 1, 1000);
    EXPECT_EQ(other.finish(), FA_OK);
    EXPECT_FALSE(other);
    {
        fa::stream_pin pin = streams.pin(stream), second;
        second = std::move(pin);
        EXPECT_FALSE(pin);
        EXPECT_TRUE(IsFilled(second.data(), 1, 1000));
        EXPECT_EQ(streams.release(stream), FA_ERROR_INVALID) << "pinned";
        EXPECT_EQ(streams.reserve(2000, 16, FA_STREAM_HIGH), FA_STREAM_NONE);
    }
    EXPECT_EQ(streams.release(stream), FA_OK);
    EXPECT_FALSE(streams.pin(stream));
    fa::streams moved(std::move(streams));
    EXPECT_EQ(streams, nullptr);
    streams = std::move(moved);
    EXPECT_NE(streams.reserve(2000, 16, FA_STREAM_HIGH), FA_STREAM_NONE);
}

TEST_F(CppSystems, RetainedObjectsOutliveTheirFrame) {
    fa::retained<Plainly> kept, gone, taken;
    Plainly *object;
    {
        fa::frame_scope frame(allocator_);
        kept = fa::make_retained<Plainly>(allocator_, fa_retain_to_pool(), 1, 2);
        gone = fa::make_retained<Plainly>(allocator_, fa_retain_discarded());
        taken = fa::make_retained<Plainly>(allocator_, fa_retain_to_heap(), 3, 4);
        fa::retained<Plainly> early =
            fa::make_retained<Plainly>(allocator_, fa_retain_to_heap(), 5, 6);
        EXPECT_EQ(early->x + (*early).y, 11);
        EXPECT_EQ(kept.kind(), FA_RETAINED_OPEN);
        EXPECT_EQ(taken.take(), nullptr) << "its frame is open";
        EXPECT_TRUE(taken);
    }
    EXPECT_EQ(kept.kind(), FA_RETAINED_POOL);
    EXPECT_EQ(kept->x + kept->y, 3);
    EXPECT_FALSE(gone);
    object = taken.take();
    ASSERT_NE(object, nullptr);
    EXPECT_EQ(object->x + object->y, 7);
    EXPECT_EQ(taken.kind(), FA_RETAINED_NONE);
    fa_free(allocator_, object);
    fa::retained<Plainly> moved(std::move(kept));
    EXPECT_FALSE(kept);
    EXPECT_EQ(moved->x, 1);
    moved.reset();
    EXPECT_FALSE(moved);
    EXPECT_FALSE(fa::make_retained<Plainly>(allocator_, fa_retain_to_pool(), 1, 2)) << "no frame";
    fa_stats stats;
    EXPECT_EQ(fa_stats_get(allocator_, &stats), FA_OK);
}

} // namespace
