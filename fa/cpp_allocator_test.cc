// fa::allocator in the standard containers, and the std::pmr resources.
#include "fa/fa.hpp"
#include "fa/testing.hpp"

#include <deque>
#include <list>
#include <map>
#include <set>
#include <string>
#include <thread>
#include <unordered_map>

using namespace fa_testing;

namespace {

struct alignas(64) Wide {
    uint64_t value;
    bool operator<(const Wide &other) const { return value < other.value; }
};

template <class A> using Traits = std::allocator_traits<A>;
using FrameInts = fa::frame_allocator<int>;
using PoolInts = fa::pool_allocator<int>;
static_assert(std::is_same_v<Traits<FrameInts>::rebind_alloc<Wide>, fa::frame_allocator<Wide>>);
static_assert(!Traits<FrameInts>::is_always_equal::value);
static_assert(!Traits<FrameInts>::propagate_on_container_move_assignment::value);
static_assert(Traits<PoolInts>::propagate_on_container_move_assignment::value);
static_assert(Traits<FrameInts>::propagate_on_container_swap::value);
static_assert(!Traits<PoolInts>::propagate_on_container_copy_assignment::value);
static_assert(sizeof(FrameInts) == sizeof(void *));
static_assert(!std::is_convertible_v<fa_allocator *, FrameInts>, "a frame's handle");
static_assert(!std::is_convertible_v<PoolInts, fa::heap_allocator<int>>);
static_assert(std::is_nothrow_move_constructible_v<std::vector<int, FrameInts>>);

// The same work in every container, on memory that from gives.
template <template <class> class Alloc, class From> void UseContainers(From from) {
    std::vector<uint64_t, Alloc<uint64_t>> numbers(from);
    std::vector<Wide, Alloc<Wide>> wides(from);
    std::list<int, Alloc<int>> list(from);
    std::deque<int, Alloc<int>> deque(from);
    using Pair = std::pair<const int, Wide>;
    std::map<int, Wide, std::less<int>, Alloc<Pair>> tree{Alloc<Pair>(from)};
    std::unordered_map<int, Wide, std::hash<int>, std::equal_to<int>, Alloc<Pair>> map{
        Alloc<Pair>(from)};
    using String = std::basic_string<char, std::char_traits<char>, Alloc<char>>;
    String text{Alloc<char>(from)};
    std::set<String, std::less<String>, Alloc<String>> names{Alloc<String>(from)};
    for (int i = 0; i < 1000; i++) {
        numbers.push_back(static_cast<uint64_t>(i) * 3);
        wides.push_back(Wide{static_cast<uint64_t>(i)});
        list.push_front(i);
        deque.push_back(i);
        tree[i].value = map[i].value = static_cast<uint64_t>(i);
        text += "0123456789";
        names.emplace(text.data(), static_cast<size_t>(i) * 3, Alloc<char>(from));
    }
    list.remove_if([](int i) { return i % 2 == 0; });
    for (int i = 0; i < 1000; i += 2)
        map.erase(i), tree.erase(i);
    EXPECT_EQ(numbers.back(), 2997u);
    EXPECT_TRUE(IsAligned(wides.data(), 64) && IsAligned(&tree[1], 64) && IsAligned(&map[1], 64));
    EXPECT_EQ(list.size() + deque.size() + tree.size() + map.size(), 2500u);
    EXPECT_EQ(text.size(), 10000u);
    EXPECT_EQ(names.size(), 1000u);
    EXPECT_EQ(map.at(777).value, 777u);
    auto copy = numbers;
    EXPECT_EQ(copy, numbers);
    EXPECT_EQ(copy.get_allocator(), numbers.get_allocator());
    auto moved = std::move(numbers);
    EXPECT_EQ(copy, moved);
}

TEST(CppAllocator, Containers) {
    for (uint32_t checks : {0u, static_cast<uint32_t>(FA_CHECK_ALL)}) {
        fa_alloc_config config = Plain();
        config.checks = checks;
        Events events;
        events.Watch(&config);
        Allocator allocator(config);
        for (int i = 0; i < 3; i++) {
            fa::frame_scope frame(allocator);
            UseContainers<fa::frame_allocator>(frame.get());
        }
        UseContainers<fa::pool_allocator>(allocator.operator fa_allocator *());
        UseContainers<fa::heap_allocator>(allocator.operator fa_allocator *());
        ExpectValid(allocator);
        EXPECT_EQ(allocator.Destroy(), 0u);
        for (const fa_event &event : events.all)
            EXPECT_EQ(event.diag, FA_DIAG_FA006) << "frames may outgrow a chunk";
    }
}

TEST(CppAllocator, SwapAndMoveBetweenOwners) {
    Allocator one(Plain()), two(Plain());
    {
        using Ints = std::vector<int, PoolInts>;
        Ints left({1, 2, 3}, PoolInts(one)), right({4, 5}, PoolInts(two));
        left.swap(right);
        EXPECT_EQ(left, (Ints({4, 5}, PoolInts(one))));
        EXPECT_EQ(left.get_allocator().from(), two);
        const int *items = right.data();
        left = std::move(right); // takes the memory along with its allocator
        EXPECT_EQ(left.data(), items);
        EXPECT_EQ(left.get_allocator().from(), one);
        Ints copy({9}, PoolInts(two));
        copy = left;
        EXPECT_EQ(copy.get_allocator().from(), two);
        EXPECT_EQ(copy, left);
    }
    EXPECT_EQ(one.Destroy() + two.Destroy(), 0u);
}

TEST(CppAllocator, FramesKeepToTheirOwnMemory) {
    Allocator one(Plain()), two(Plain());
    fa::frame_scope longer(one);
    using Ints = std::vector<int, FrameInts>;
    Ints kept{FrameInts(longer)};
    {
        fa::frame_scope shorter(two);
        Ints made({1, 2, 3}, FrameInts(shorter));
        kept = std::move(made);
        EXPECT_EQ(kept.get_allocator().from(), longer.get());
    }
    EXPECT_EQ(kept, (Ints({1, 2, 3}, FrameInts(longer))));
    EXPECT_EQ(fa_intent_of(one, kept.data()), FA_INTENT_FRAME);
}

template <class F> void ExpectBadAlloc(F &&call, fa_status status) {
    fa_last_error_clear();
    EXPECT_THROW(call(), std::bad_alloc);
    EXPECT_EQ(fa_last_error().status, status);
}

TEST(CppAllocator, Refusals) {
    Source source;
    Allocator allocator(Plain(), source);
    fa_frame *handle = nullptr;
    {
        fa::frame_scope frame(allocator);
        handle = frame;
        FrameInts ints(frame);
        EXPECT_NE(ints.allocate(0), nullptr);
        EXPECT_THROW((void)ints.allocate(SIZE_MAX / 2), std::bad_alloc);
        EXPECT_THROW((void)ints.allocate(SIZE_MAX), std::bad_alloc);
        EXPECT_EQ(ints.max_size(), FA_SIZE_MAX / sizeof(int));
        source.Fail(1);
        ExpectBadAlloc([&] { (void)ints.allocate(size_t{1} << 24); }, FA_ERROR_NO_MEMORY);
        ExpectBadAlloc([&] { (void)fa::heap_allocator<int>(allocator).allocate(1 << 20); },
                       FA_ERROR_NO_MEMORY);
        ExpectBadAlloc([&] { (void)PoolInts(allocator).allocate(1); }, FA_ERROR_NO_MEMORY);
        std::vector<int, FrameInts> vector(4, 7, ints);
        EXPECT_THROW(vector.resize(size_t{1} << 24), std::bad_alloc);
        EXPECT_EQ(vector.size(), 4u) << "as it was";
        source.Fail(0, false);
    }
    ExpectBadAlloc([&] { (void)FrameInts(handle).allocate(1); }, FA_ERROR_NO_FRAME);
    ExpectBadAlloc([&] { (void)FrameInts(nullptr).allocate(1); }, FA_ERROR_INVALID);
    ExpectBadAlloc([&] { (void)PoolInts(nullptr).allocate(1); }, FA_ERROR_INVALID);
    ExpectBadAlloc([&] { (void)fa::heap_allocator<int>(nullptr).allocate(1); }, FA_ERROR_INVALID);
    PoolInts pool(allocator);
    pool.deallocate(pool.allocate(0), 0);
    fa::heap_allocator<Wide> heap(allocator);
    heap.deallocate(heap.allocate(0), 0);
    EXPECT_EQ(allocator.Destroy(), 0u);
}

// A budget says no: the container throws, and nothing is lost.
TEST(CppAllocator, Budget) {
    Allocator allocator(Plain());
    fa_budget most = {};
    most.hard_bytes = 100000;
    ASSERT_EQ(fa_budget_set_tag(allocator, FA_TAG_UI, FA_INTENT_NONE, &most), FA_OK);
    {
        fa::tag_scope tag(allocator, FA_TAG_UI);
        std::vector<int, fa::heap_allocator<int>> vector{fa::heap_allocator<int>(allocator)};
        ExpectBadAlloc(
            [&] {
                for (int i = 0; i < 1000000; i++)
                    vector.push_back(i);
            },
            FA_ERROR_LIMIT);
        EXPECT_GT(vector.size(), 1000u);
        EXPECT_EQ(vector.back(), static_cast<int>(vector.size()) - 1);
    }
    ExpectValid(allocator);
    EXPECT_EQ(allocator.Destroy(), 0u);
}

// ---- pmr ----

TEST(CppResource, Equality) {
    Allocator one(Plain()), two(Plain());
    fa::frame_scope frame(one), other(two);
    fa::frame_resource by_frame(frame), same_frame(frame), other_frame(other), by_allocator(one);
    fa::pool_resource pool(one), same_pool(one), other_pool(two);
    fa::heap_resource heap(one), same_heap(one), other_heap(two);
    EXPECT_TRUE(by_frame == same_frame && pool == same_pool && heap == same_heap);
    EXPECT_TRUE(by_frame != other_frame && pool != other_pool && heap != other_heap);
    const std::pmr::memory_resource *all[] = {&by_frame, &by_allocator, &pool, &heap,
                                              std::pmr::new_delete_resource()};
    for (const auto *left : all)
        for (const auto *right : all)
            EXPECT_EQ(*left == *right, left == right);
}

TEST(CppResource, SizesAndAlignments) {
    for (uint32_t checks : {0u, static_cast<uint32_t>(FA_CHECK_ALL)}) {
        fa_alloc_config config = Plain();
        config.checks = checks;
        Allocator allocator(config);
        fa::frame_scope frame(allocator);
        fa::frame_resource by_frame(frame), by_allocator(allocator);
        fa::pool_resource pool(allocator);
        fa::heap_resource heap(allocator);
        for (std::pmr::memory_resource *resource :
             {static_cast<std::pmr::memory_resource *>(&by_frame),
              static_cast<std::pmr::memory_resource *>(&by_allocator),
              static_cast<std::pmr::memory_resource *>(&pool),
              static_cast<std::pmr::memory_resource *>(&heap)}) {
            for (size_t align = 1; align <= 65536; align *= 2)
                for (size_t size : {size_t{0}, size_t{1}, size_t{17}, size_t{300}, size_t{9000}}) {
                    void *block = resource->allocate(size, align);
                    EXPECT_TRUE(IsAligned(block, align));
                    std::memset(block, 1, size);
                    void *next = resource->allocate(size, align);
                    EXPECT_NE(block, next);
                    resource->deallocate(block, size, align);
                    resource->deallocate(next, size, align);
                }
            EXPECT_THROW((void)resource->allocate(16, FA_ALIGN_MAX * 2), std::bad_alloc);
            EXPECT_THROW((void)resource->allocate(SIZE_MAX, 16), std::bad_alloc);
            EXPECT_THROW((void)resource->allocate(SIZE_MAX / 2, 1), std::bad_alloc);
        }
        ExpectValid(allocator);
        EXPECT_EQ(frame.end(), FA_OK);
        EXPECT_EQ(allocator.Destroy(), 0u);
    }
}

TEST(CppResource, Containers) {
    Allocator allocator(Plain());
    fa::pool_resource pool(allocator);
    fa::heap_resource heap(allocator);
    fa::frame_resource frames(allocator); // one for all threads and frames
    for (std::pmr::memory_resource *resource : {static_cast<std::pmr::memory_resource *>(&pool),
                                                static_cast<std::pmr::memory_resource *>(&heap),
                                                static_cast<std::pmr::memory_resource *>(&frames)})
        for (int i = 0; i < 3; i++) {
            fa::frame_scope frame(allocator);
            std::pmr::unordered_map<int, std::pmr::string> map(resource);
            std::pmr::vector<std::pmr::string> names(resource);
            for (int j = 0; j < 1000; j++) {
                names.emplace_back("a name that does not fit into a string itself");
                map.emplace(j, names.back());
            }
            EXPECT_EQ(map.at(500), names[0]);
            EXPECT_EQ(names[0].get_allocator().resource(), resource);
        }
    EXPECT_EQ(allocator.Destroy(), 0u);
}

TEST(CppResource, FrameOfTheCallingThread) {
    Allocator allocator(Plain());
    fa::frame_resource frames(allocator);
    ExpectBadAlloc([&] { (void)frames.allocate(16); }, FA_ERROR_NO_FRAME);
    fa::frame_scope frame(allocator);
    void *mine = frames.allocate(16);
    EXPECT_EQ(fa_intent_of(allocator, mine), FA_INTENT_FRAME);
    std::thread([&] {
        ExpectBadAlloc([&] { (void)frames.allocate(16); }, FA_ERROR_NO_FRAME);
        fa::frame_scope theirs(allocator);
        void *block = frames.allocate(16);
        EXPECT_EQ(fa_intent_of(allocator, block), FA_INTENT_FRAME);
        EXPECT_NE(block, mine);
    }).join();
    Allocator other(Plain());
    fa::frame_resource elsewhere(other); // not the first that this thread uses
    fa::frame_scope second(other);
    EXPECT_EQ(fa_intent_of(other, elsewhere.allocate(100)), FA_INTENT_FRAME);
    EXPECT_EQ(fa_intent_of(other, elsewhere.allocate(100, 64)), FA_INTENT_FRAME);
    fa::frame_resource none(static_cast<fa_frame *>(nullptr));
    ExpectBadAlloc([&] { (void)none.allocate(16); }, FA_ERROR_INVALID);
}

// Every call to the backend fails once: the container throws or not, and nothing is lost.
TEST(CppResource, Faults) {
    for (uint64_t at = 1; at < 40; at++) {
        Source source;
        Allocator allocator(Plain(), source);
        source.Fail(at, false);
        fa::pool_resource pool(allocator);
        size_t done = 0;
        try {
            std::pmr::map<int, std::pmr::string> map(&pool);
            for (int i = 0; i < 5000; i++) {
                map.emplace(i, "a name that does not fit into a string itself");
                done = map.size();
                EXPECT_EQ(done, static_cast<size_t>(i) + 1);
            }
        } catch (const std::bad_alloc &) {
            EXPECT_EQ(fa_last_error().status, FA_ERROR_NO_MEMORY);
        }
        ExpectValid(allocator);
        EXPECT_EQ(allocator.Destroy(), 0u) << at << ", " << done;
        EXPECT_EQ(source.BytesLive(), 0u);
    }
}

} // namespace
