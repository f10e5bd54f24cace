#include "fa/testing_checked.hpp"

#include <numeric>

using namespace fa_testing;

namespace {

FA_VEC(ints, int)
FA_VEC(bytes, unsigned char)

struct Pair {
    double first;
    char second;
};
FA_VEC(pairs, Pair)

template <size_t Align> struct alignas(Align) Wide { unsigned char mark; };
FA_VEC(wides1, Wide<1>)
FA_VEC(wides2, Wide<2>)
FA_VEC(wides4, Wide<4>)
FA_VEC(wides8, Wide<8>)
FA_VEC(wides16, Wide<16>)
FA_VEC(wides32, Wide<32>)
FA_VEC(wides64, Wide<64>)
FA_VEC(wides8192, Wide<8192>)
FA_VEC(pointers, int *)
FA_VEC(strings, const char *)

// The functions of a vector leave other names with its prefix to the program.
[[maybe_unused]] inline void pointers_grow() {}

std::vector<int> Of(const ints &vec) { return std::vector<int>(vec.begin(), vec.end()); }

class Vec : public InFrame {
  protected:
    ints Filled(size_t capacity, int count) {
        ints vec = ints_make_in(frame_, capacity);
        for (int i = 0; i < count; i++)
            EXPECT_EQ(ints_push(&vec, i), FA_OK);
        return vec;
    }
};

INSTANTIATE_TEST_SUITE_P(Checks, Vec, testing::Values(0, FA_CHECK_ALL));

} // namespace

TEST_P(Vec, OfZeroBytesIsEmptyAndFull) {
    ints vec = {};
    fa_last_error_clear();
    EXPECT_FALSE(ints_is_made(&vec));
    EXPECT_EQ(ints_count(&vec), 0u);
    EXPECT_EQ(ints_capacity(&vec), 0u);
    EXPECT_EQ(ints_remaining(&vec), 0u);
    const int value = 1;
    EXPECT_EQ(ints_push(&vec, 1), FA_ERROR_FULL);
    EXPECT_EQ(ints_push_new(&vec), nullptr);
    EXPECT_EQ(ints_push_n(&vec, &value, 1), FA_ERROR_FULL);
    EXPECT_EQ(ints_push_n(&vec, nullptr, 0), FA_OK);
    EXPECT_EQ(ints_insert(&vec, 0, 1), FA_ERROR_FULL);
    EXPECT_EQ(ints_insert(&vec, 1, 1), FA_ERROR_INVALID);
    EXPECT_EQ(ints_reserve(&vec, 1), FA_ERROR_FULL);
    EXPECT_EQ(ints_reserve(&vec, 0), FA_OK);
    EXPECT_EQ(ints_resize(&vec, 1), FA_ERROR_FULL);
    EXPECT_EQ(ints_resize(&vec, 0), FA_OK);
    EXPECT_FALSE(ints_pop(&vec, nullptr));
    EXPECT_FALSE(ints_remove(&vec, 0));
    EXPECT_FALSE(ints_remove_swap(&vec, 0));
    EXPECT_EQ(ints_retain(&vec, nullptr, nullptr), 0u);
    EXPECT_EQ(ints_at(&vec, 0), nullptr);
    EXPECT_EQ(ints_last(&vec), nullptr);
    ints_clear(&vec);
    FA_VEC_EACH(item, &vec) ADD_FAILURE() << *item;
    EXPECT_TRUE(Of(vec).empty());
    EXPECT_EQ(fa_last_error().status, FA_OK) << "full is an answer, not an error";
}

TEST_P(Vec, OfFixedCapacityHoldsExactlySoMany) {
    for (size_t capacity : {size_t{1}, size_t{2}, size_t{7}, size_t{5000}}) {
        ints vec = ints_make(allocator_, capacity);
        EXPECT_TRUE(ints_is_made(&vec));
        fa_last_error_clear();
        const size_t bytes = fa_frame_bytes_in(frame_);
        for (size_t i = 0; i < capacity; i++) {
            EXPECT_EQ(ints_remaining(&vec), capacity - i);
            ASSERT_EQ(ints_push(&vec, static_cast<int>(i)), FA_OK);
        }
        EXPECT_EQ(ints_push(&vec, 1), FA_ERROR_FULL);
        EXPECT_EQ(ints_push_new(&vec), nullptr);
        EXPECT_EQ(ints_insert(&vec, 0, 1), FA_ERROR_FULL);
        EXPECT_EQ(ints_push_n(&vec, vec.items, 1), FA_ERROR_FULL);
        EXPECT_EQ(ints_resize(&vec, capacity + 1), FA_ERROR_FULL);
        EXPECT_EQ(ints_reserve(&vec, SIZE_MAX), FA_ERROR_FULL);
        EXPECT_EQ(ints_count(&vec), capacity);
        EXPECT_EQ(ints_capacity(&vec), capacity);
        for (size_t i = 0; i < capacity; i++)
            EXPECT_EQ(vec.items[i], static_cast<int>(i));
        EXPECT_EQ(fa_frame_bytes_in(frame_), bytes) << "nothing more was taken";
        EXPECT_EQ(fa_last_error().status, FA_OK);
    }
}

TEST_P(Vec, GrowsWhereItLiesWhileItIsTheNewestBlock) {
    ASSERT_NE(fa_frame_alloc_in(frame_, 65536), nullptr); // the chunk behind it has room for all
    ints vec = ints_make_in(frame_, 0);
    EXPECT_TRUE(ints_is_made(&vec));
    EXPECT_EQ(ints_capacity(&vec), 0u);
    ASSERT_EQ(ints_push(&vec, 0), FA_OK);
    EXPECT_GE(ints_capacity(&vec), 4u);
    const int *first = vec.items;
    for (int i = 1; i < 500; i++)
        ASSERT_EQ(ints_push(&vec, i), FA_OK);
    EXPECT_EQ(vec.items, first);
    ASSERT_NE(fa_frame_alloc_in(frame_, 1), nullptr);
    while (vec.items == first)
        ASSERT_EQ(ints_push(&vec, static_cast<int>(vec.count)), FA_OK) << "it must move";
    EXPECT_EQ(ints_capacity(&vec), 2 * (vec.count - 1)) << "to twice the place";
    for (size_t i = 0; i < vec.count; i++)
        ASSERT_EQ(vec.items[i], static_cast<int>(i));
}

TEST_P(Vec, TwoThatGrowInTurnsKeepTheirElements) {
    ints left = ints_make_in(frame_, 0), right = ints_make(allocator_, 0);
    for (int i = 0; i < 3000; i++) {
        ASSERT_EQ(ints_push(&left, i), FA_OK);
        ASSERT_EQ(ints_push(&right, -i), FA_OK);
    }
    for (int i = 0; i < 3000; i++) {
        EXPECT_EQ(*ints_at(&left, static_cast<size_t>(i)), i);
        EXPECT_EQ(*ints_at(&right, static_cast<size_t>(i)), -i);
    }
}

TEST_P(Vec, PushesSeveralAllOrNone) {
    ints vec = Filled(6, 3);
    const int more[] = {7, 8, 9, 10};
    EXPECT_EQ(ints_push_n(&vec, more, 4), FA_ERROR_FULL);
    volatile size_t all = SIZE_MAX; // the compiler would warn of it
    EXPECT_EQ(ints_push_n(&vec, more, all), FA_ERROR_FULL);
    EXPECT_EQ(Of(vec), (std::vector<int>{0, 1, 2}));
    EXPECT_EQ(ints_push_n(&vec, more, 3), FA_OK);
    EXPECT_EQ(Of(vec), (std::vector<int>{0, 1, 2, 7, 8, 9}));
    EXPECT_EQ(ints_push_n(&vec, more, 0), FA_OK);
}

TEST_P(Vec, PushesItsOwnElements) {
    ints vec = Filled(0, 3);
    for (int turn = 0; turn < 10; turn++) {
        ASSERT_NE(fa_frame_alloc_in(frame_, 1), nullptr); // it can't grow where it lies
        ASSERT_EQ(ints_push_n(&vec, vec.items, vec.count), FA_OK);
    }
    ASSERT_EQ(vec.count, 3u << 10);
    for (size_t i = 0; i < vec.count; i++)
        ASSERT_EQ(vec.items[i], static_cast<int>(i % 3));
}

TEST_P(Vec, InsertsAndRemovesInOrder) {
    ints vec = Filled(0, 3);
    EXPECT_EQ(ints_insert(&vec, 4, 9), FA_ERROR_INVALID);
    EXPECT_EQ(ints_insert(&vec, 3, 30), FA_OK);
    EXPECT_EQ(ints_insert(&vec, 0, 10), FA_OK);
    EXPECT_EQ(ints_insert(&vec, 2, 20), FA_OK);
    EXPECT_EQ(Of(vec), (std::vector<int>{10, 0, 20, 1, 2, 30}));
    EXPECT_FALSE(ints_remove(&vec, 6));
    EXPECT_TRUE(ints_remove(&vec, 5));
    EXPECT_TRUE(ints_remove(&vec, 0));
    EXPECT_TRUE(ints_remove(&vec, 1));
    EXPECT_EQ(Of(vec), (std::vector<int>{0, 1, 2}));
    EXPECT_TRUE(ints_remove_swap(&vec, 0));
    EXPECT_EQ(Of(vec), (std::vector<int>{2, 1}));
    EXPECT_TRUE(ints_remove_swap(&vec, 1));
    EXPECT_FALSE(ints_remove_swap(&vec, 1));
    EXPECT_EQ(Of(vec), (std::vector<int>{2}));
}

TEST_P(Vec, PopsAndReads) {
    ints vec = Filled(3, 3);
    int value = -1;
    EXPECT_EQ(*ints_last(&vec), 2);
    EXPECT_TRUE(ints_pop(&vec, &value));
    EXPECT_EQ(value, 2);
    EXPECT_TRUE(ints_pop(&vec, nullptr));
    EXPECT_EQ(*ints_last(&vec), 0);
    EXPECT_EQ(*ints_at(&vec, 0), 0);
    EXPECT_EQ(ints_at(&vec, 1), nullptr);
    EXPECT_EQ(ints_at(&vec, SIZE_MAX), nullptr);
    EXPECT_TRUE(ints_pop(&vec, &value));
    EXPECT_FALSE(ints_pop(&vec, &value));
    EXPECT_EQ(value, 0) << "untouched when empty";
    *ints_push_new(&vec) = 5;
    EXPECT_EQ(Of(vec), (std::vector<int>{5}));
    ints_clear(&vec);
    EXPECT_EQ(ints_count(&vec), 0u);
    EXPECT_EQ(ints_capacity(&vec), 3u);
}

TEST_P(Vec, RetainsInOrder) {
    ints vec = Filled(0, 100);
    int modulus = 7;
    auto keep = [](void *user, const int *item) { return *item % *static_cast<int *>(user) == 0; };
    EXPECT_EQ(ints_retain(&vec, keep, &modulus), 85u);
    EXPECT_EQ(Of(vec),
              (std::vector<int>{0, 7, 14, 21, 28, 35, 42, 49, 56, 63, 70, 77, 84, 91, 98}));
    EXPECT_EQ(ints_retain(&vec, keep, &modulus), 0u);
    modulus = 1000;
    EXPECT_EQ(ints_retain(&vec, keep, &modulus), 14u);
    EXPECT_EQ(Of(vec), (std::vector<int>{0}));
}

TEST_P(Vec, ResizesWithZeros) {
    bytes vec = bytes_make_in(frame_, 0);
    for (int i = 0; i < 100; i++)
        ASSERT_EQ(bytes_push(&vec, 0xEE), FA_OK);
    EXPECT_EQ(bytes_resize(&vec, 10), FA_OK);
    EXPECT_EQ(bytes_resize(&vec, 200), FA_OK);
    EXPECT_TRUE(IsFilled(vec.items, 0xEE, 10));
    EXPECT_TRUE(IsFilled(vec.items + 10, 0, 190));
    EXPECT_EQ(bytes_count(&vec), 200u);
}

TEST_P(Vec, ReservesAndThenStaysWhereItIs) {
    ints vec = Filled(0, 3);
    ASSERT_EQ(ints_reserve(&vec, 1000), FA_OK);
    EXPECT_GE(ints_capacity(&vec), 1000u);
    const int *items = vec.items;
    for (int i = 3; i < 1000; i++)
        ASSERT_EQ(ints_push(&vec, i), FA_OK);
    EXPECT_EQ(vec.items, items);
    std::vector<int> expected(1000);
    std::iota(expected.begin(), expected.end(), 0);
    EXPECT_EQ(Of(vec), expected);
}

TEST_P(Vec, IteratesInBothLanguages) {
    pairs vec = pairs_make_in(frame_, 3);
    for (char c = 'a'; c < 'd'; c++)
        ASSERT_EQ(pairs_push(&vec, Pair{1.5 * c, c}), FA_OK);
    std::string each, range;
    FA_VEC_EACH(item, &vec) {
        each += item->second;
        item->first = 2;
    }
    for (Pair &pair : vec) {
        EXPECT_EQ(pair.first, 2);
        range += pair.second;
    }
    EXPECT_EQ(each, "abc");
    EXPECT_EQ(range, "abc");
}

#define EXPECT_ALIGNED(name, align)                                                                \
    for (size_t capacity : {size_t{0}, size_t{3}}) {                                               \
        ASSERT_NE(fa_frame_alloc_in(frame_, 1), nullptr);                                          \
        name vec = name##_make_in(frame_, capacity);                                               \
        for (unsigned char i = 0; i < 3; i++) {                                                    \
            ASSERT_EQ(name##_push(&vec, Wide<align>{i}), FA_OK);                                   \
            EXPECT_TRUE(IsAligned(name##_last(&vec), align));                                      \
        }                                                                                          \
        ASSERT_NE(fa_frame_alloc_in(frame_, 1), nullptr);                                          \
        for (unsigned char i = 3; capacity == 0 && i < 40; i++)                                    \
            ASSERT_EQ(name##_push(&vec, Wide<align>{i}), FA_OK);                                   \
        EXPECT_TRUE(IsAligned(vec.items, align));                                                  \
        for (unsigned char i = 0; i < vec.count; i++)                                              \
            EXPECT_EQ(vec.items[i].mark, i);                                                       \
    }

TEST_P(Vec, HonoursEveryAlignment){
    EXPECT_ALIGNED(wides1, 1) EXPECT_ALIGNED(wides2, 2) EXPECT_ALIGNED(wides4, 4)
        EXPECT_ALIGNED(wides8, 8) EXPECT_ALIGNED(wides16, 16) EXPECT_ALIGNED(wides32, 32)
            EXPECT_ALIGNED(wides64, 64) EXPECT_ALIGNED(wides8192, 8192)}

TEST_P(Vec, SizesThatWrapAreRefused) {
    for (size_t capacity : {SIZE_MAX, SIZE_MAX / 4, SIZE_MAX / 8 + 1, FA_SIZE_MAX}) {
        fa_last_error_clear();
        ints vec = ints_make_in(frame_, capacity);
        EXPECT_FALSE(ints_is_made(&vec)) << capacity;
        EXPECT_EQ(fa_last_error().status, FA_ERROR_INVALID);
        vec = ints_make(allocator_, capacity);
        EXPECT_FALSE(ints_is_made(&vec)) << capacity;
        vec = Filled(0, 3);
        EXPECT_EQ(ints_reserve(&vec, capacity), FA_ERROR_INVALID);
        EXPECT_EQ(ints_resize(&vec, capacity), FA_ERROR_INVALID);
        EXPECT_EQ(ints_push_n(&vec, vec.items, capacity), FA_ERROR_INVALID);
        EXPECT_EQ(Of(vec), (std::vector<int>{0, 1, 2}));
    }
}

TEST_P(Vec, RefusedWithoutAFrame) {
    fa_frame_end(allocator_);
    for (size_t capacity : {size_t{0}, size_t{10}}) {
        fa_last_error_clear();
        ints vec = ints_make(allocator_, capacity);
        EXPECT_FALSE(ints_is_made(&vec));
        EXPECT_EQ(fa_last_error().status, FA_ERROR_NO_FRAME);
        EXPECT_EQ(fa_last_error().diag, FA_DIAG_FA001);
        fa_last_error_clear();
        vec = ints_make_in(frame_, capacity);
        EXPECT_FALSE(ints_is_made(&vec));
        EXPECT_EQ(fa_last_error().status, FA_ERROR_NO_FRAME);
        fa_last_error_clear();
        vec = ints_make_in(nullptr, capacity);
        EXPECT_FALSE(ints_is_made(&vec));
        EXPECT_EQ(fa_last_error().status, FA_ERROR_INVALID);
        fa_last_error_clear();
        vec = ints_make(nullptr, capacity);
        EXPECT_FALSE(ints_is_made(&vec));
        EXPECT_EQ(fa_last_error().status, FA_ERROR_INVALID);
    }
    Allocator other(Plain()); // one that this thread is not attached to
    ints vec = ints_make(other, 0);
    EXPECT_FALSE(ints_is_made(&vec));
    EXPECT_EQ(fa_last_error().status, FA_ERROR_NO_FRAME);
    fa_frame_begin(allocator_);
}

TEST_P(Vec, GrowingAfterTheFrameIsRefused) {
    ints vec = ints_make_in(frame_, 0), full = Filled(0, 16);
    while (ints_remaining(&full) != 0)
        ASSERT_EQ(ints_push(&full, 0), FA_OK);
    fa_frame_end(allocator_);
    EXPECT_EQ(ints_push(&vec, 1), FA_ERROR_NO_FRAME);
    EXPECT_EQ(ints_push(&full, 1), FA_ERROR_NO_FRAME);
    EXPECT_EQ(ints_count(&vec), 0u);
    fa_frame_begin(allocator_);
}

TEST_P(Vec, TakesWhatIsNeededWhereTwiceAsMuchIsPastTheCap) {
    fa_alloc_config config = Config();
    config.frame_bytes_max = config.frame_chunk_bytes_first = 32768;
    Allocator capped(config);
    ASSERT_NE(fa_frame_begin(capped), nullptr);
    bytes vec = bytes_make(capped, 0);
    ASSERT_EQ(bytes_resize(&vec, 20000), FA_OK);
    const size_t capacity = bytes_capacity(&vec);
    ASSERT_LT(capacity, 30000u);
    EXPECT_EQ(bytes_resize(&vec, 24000), FA_OK);
    EXPECT_EQ(bytes_resize(&vec, 40000), FA_ERROR_LIMIT);
    EXPECT_EQ(bytes_count(&vec), 24000u);
    EXPECT_TRUE(IsFilled(vec.items, 0, 24000));
    EXPECT_EQ(fa_frame_end(capped), FA_OK);
}

// Twice as much is past a limit, what is needed is not: nobody hears of a failure.
TEST_P(Vec, GrowingThatSucceedsReportsNothing) {
    Events events;
    fa_alloc_config config = Config();
    config.frame_bytes_max = config.frame_chunk_bytes_first = 65536;
    for (const fa_frame_full full : {FA_FRAME_FULL_FAIL, FA_FRAME_FULL_SPILL}) {
        config.frame_full = full;
        events.Watch(&config);
        Allocator capped(config);
        fa_frame *frame = fa_frame_begin(capped);
        bytes vec = bytes_make_in(frame, 0), other = bytes_make_in(frame, 0);
        ASSERT_EQ(bytes_resize(&vec, 20000), FA_OK);
        ASSERT_EQ(bytes_reserve(&other, 100), FA_OK); // so that it must be copied
        fa_last_error_clear();
        ASSERT_EQ(bytes_reserve(&vec, 21000), FA_OK);
        EXPECT_LE(bytes_capacity(&vec), 40000u);
        const size_t capacity = bytes_capacity(&vec);
        EXPECT_EQ(bytes_reserve(&vec, capacity + 1000), FA_OK); // in place
        EXPECT_EQ(bytes_capacity(&vec), capacity + 1000);
        EXPECT_EQ(fa_last_error().status, FA_OK);
        EXPECT_TRUE(events.all.empty());
        const fa_status expected = full == FA_FRAME_FULL_FAIL ? FA_ERROR_LIMIT : FA_OK;
        EXPECT_EQ(bytes_reserve(&vec, 60000), expected);
        ASSERT_EQ(events.all.size(), 2u);
        EXPECT_EQ(events.all[0].diag, FA_DIAG_FA006);
        EXPECT_EQ(events.all[1].diag, full == FA_FRAME_FULL_FAIL ? FA_DIAG_FA003 : FA_DIAG_FA007);
        fa_last_error_clear();
        EXPECT_EQ(fa_frame_end(capped), FA_OK);
        events.all.clear();
    }
}

// The same where a budget forbids it.
TEST_P(Vec, GrowingWithinABudgetReportsNothing) {
    Events events;
    fa_alloc_config config = Config();
    config.frame_chunk_bytes_first = 131072;
    events.Watch(&config);
    Allocator limited(config);
    fa_budget budget = {};
    budget.hard_bytes = 65536;
    ASSERT_EQ(fa_budget_set(limited, FA_INTENT_FRAME, &budget), FA_OK);
    fa_frame *frame = fa_frame_begin(limited);
    bytes vec = bytes_make_in(frame, 0);
    ASSERT_EQ(bytes_resize(&vec, 40000), FA_OK);
    events.all.clear();
    fa_last_error_clear();
    EXPECT_EQ(bytes_reserve(&vec, 41000), FA_OK);
    EXPECT_EQ(fa_last_error().status, FA_OK);
    for (const auto &event : events.all)
        EXPECT_NE(event.diag, FA_DIAG_FA302);
    EXPECT_EQ(fa_frame_end(limited), FA_OK);
}

TEST_P(Vec, GrownCopiesTakeTheElementsAlignmentNotMore) {
    if (GetParam() != 0 || kAsan)
        GTEST_SKIP() << "blocks take more there";
    fa_alloc_config config = Config();
    config.frame_chunk_bytes_first = 1 << 20;
    Allocator roomy(config);
    fa_frame *frame = fa_frame_begin(roomy);
    ints vec = ints_make_in(frame, 0);
    ASSERT_EQ(ints_reserve(&vec, 16), FA_OK);
    // Its next place starts a page by accident, and the one after that need not.
    char *byte;
    do
        byte = static_cast<char *>(fa_frame_alloc_in(frame, 16));
    while ((reinterpret_cast<uintptr_t>(byte) + 16) % 4096 != 0);
    ASSERT_EQ(ints_reserve(&vec, 32), FA_OK);
    ASSERT_TRUE(IsAligned(vec.items, 4096));
    ASSERT_NE(fa_frame_alloc_in(frame, 16), nullptr);
    const size_t before = fa_frame_bytes_in(frame);
    ASSERT_EQ(ints_reserve(&vec, 64), FA_OK);
    EXPECT_EQ(fa_frame_bytes_in(frame) - before, 256u);
    // Of a block whose alignment nobody named, at most that of a cache line is kept.
    do
        byte = static_cast<char *>(fa_frame_alloc_in(frame, 16));
    while ((reinterpret_cast<uintptr_t>(byte) + 16) % 4096 != 0);
    void *block = fa_frame_alloc_in(frame, 64);
    ASSERT_NE(fa_frame_alloc_in(frame, 16), nullptr);
    const size_t used = fa_frame_bytes_in(frame);
    ASSERT_NE(fa_frame_grow_in(frame, block, 64, 128), nullptr);
    EXPECT_LT(fa_frame_bytes_in(frame) - used, 128u + 64);
    EXPECT_EQ(fa_frame_end(roomy), FA_OK);
}

TEST_P(Vec, FullIsNoEvent) {
    Events events;
    fa_alloc_config config = Config();
    events.Watch(&config);
    Allocator watched(config);
    ASSERT_NE(fa_frame_begin(watched), nullptr);
    ints vec = ints_make(watched, 1);
    EXPECT_EQ(ints_push(&vec, 1), FA_OK);
    EXPECT_EQ(ints_push(&vec, 2), FA_ERROR_FULL);
    EXPECT_TRUE(events.all.empty());
    EXPECT_EQ(fa_frame_end(watched), FA_OK);
}

TEST_P(Vec, HoldsPointers) {
    int values[] = {0, 1, 2, 3};
    int *const four[] = {&values[0], &values[1], &values[2], &values[3]};
    pointers vec = pointers_make_in(frame_, 0);
    ASSERT_EQ(pointers_push_n(&vec, four, 4), FA_OK);
    ASSERT_EQ(pointers_push(&vec, &values[1]), FA_OK);
    const auto is_odd = [](void *, int *const *item) { return **item % 2 != 0; };
    EXPECT_EQ(pointers_retain(&vec, is_odd, nullptr), 2u);
    EXPECT_EQ(std::vector<int *>(vec.begin(), vec.end()),
              (std::vector<int *>{&values[1], &values[3], &values[1]}));
    **pointers_last(&vec) = 7;
    EXPECT_EQ(values[1], 7);

    strings texts = strings_make_in(frame_, 2);
    const char *const both[] = {"left", "right"};
    ASSERT_EQ(strings_push_n(&texts, both, 2), FA_OK);
    const auto is_left = [](void *, const char *const *item) { return **item == 'l'; };
    EXPECT_EQ(strings_retain(&texts, is_left, nullptr), 1u);
    EXPECT_STREQ(*strings_at(&texts, 0), "left");
}
