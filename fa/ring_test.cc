#include "fa/testing_checked.hpp"

#include <deque>

using namespace fa_testing;

namespace {

FA_RING(ring, int)
struct alignas(64) Line {
    int value;
};
FA_RING(lines, Line)
FA_RING(pointers, int *)
FA_RING(strings, const char *)

// The functions of a ring leave other names with its prefix to the program.
[[maybe_unused]] inline void pointers_of(fai_room) {}
[[maybe_unused]] inline void pointers_place(const pointers *, size_t) {}

std::vector<int> Of(const ring *r) {
    std::vector<int> values;
    for (int *value = ring_front(r); value != nullptr; value = ring_next(r, value))
        values.push_back(*value);
    return values;
}

class Ring : public InFrame {};

INSTANTIATE_TEST_SUITE_P(Checks, Ring, testing::Values(0, FA_CHECK_ALL));

} // namespace

TEST_P(Ring, OfZeroBytesIsEmptyAndFull) {
    ring r = {};
    EXPECT_FALSE(ring_is_made(&r));
    EXPECT_TRUE(ring_is_full(&r));
    EXPECT_EQ(ring_push_back(&r, 1), FA_ERROR_FULL);
    EXPECT_EQ(ring_push_front(&r, 1), FA_ERROR_FULL);
    EXPECT_EQ(ring_push_back_over(&r, 1), FA_ERROR_FULL);
    EXPECT_FALSE(ring_pop_front(&r, nullptr));
    EXPECT_FALSE(ring_pop_back(&r, nullptr));
    EXPECT_EQ(ring_front(&r), nullptr);
    EXPECT_EQ(ring_back(&r), nullptr);
    EXPECT_EQ(ring_at(&r, 0), nullptr);
    EXPECT_EQ(ring_count(&r), 0u);
    EXPECT_EQ(ring_capacity(&r), 0u);
    EXPECT_EQ(ring_remaining(&r), 0u);
    ring_clear(&r);
    EXPECT_TRUE(Of(&r).empty());
}

TEST_P(Ring, HoldsExactlyItsCapacity) {
    for (size_t capacity : {size_t{1}, size_t{2}, size_t{3}, size_t{100}}) {
        ring r = ring_make(allocator_, capacity);
        ASSERT_TRUE(ring_is_made(&r));
        for (size_t i = 0; i < capacity; i++) {
            EXPECT_FALSE(ring_is_full(&r));
            EXPECT_EQ(ring_remaining(&r), capacity - i);
            ASSERT_EQ(ring_push_back(&r, static_cast<int>(i)), FA_OK);
        }
        EXPECT_TRUE(ring_is_full(&r));
        EXPECT_EQ(ring_push_back(&r, -1), FA_ERROR_FULL);
        EXPECT_EQ(ring_push_front(&r, -1), FA_ERROR_FULL);
        EXPECT_EQ(*ring_front(&r), 0);
        EXPECT_EQ(*ring_back(&r), static_cast<int>(capacity) - 1);
        EXPECT_EQ(ring_at(&r, capacity), nullptr);
        ASSERT_EQ(ring_push_back_over(&r, 77), FA_OK);
        EXPECT_EQ(*ring_back(&r), 77);
        EXPECT_EQ(*ring_front(&r), capacity == 1 ? 77 : 1);
        EXPECT_EQ(ring_count(&r), capacity);
    }
}

TEST_P(Ring, KeepsItsOrderAroundTheEnd) {
    ring r = ring_make_in(frame_, 3);
    EXPECT_EQ(ring_push_front(&r, 2), FA_OK);
    EXPECT_EQ(ring_push_back(&r, 3), FA_OK);
    EXPECT_EQ(ring_push_front(&r, 1), FA_OK);
    EXPECT_EQ(Of(&r), (std::vector<int>{1, 2, 3}));
    int value = 0;
    EXPECT_TRUE(ring_pop_front(&r, &value));
    EXPECT_EQ(value, 1);
    EXPECT_TRUE(ring_pop_back(&r, &value));
    EXPECT_EQ(value, 3);
    EXPECT_TRUE(ring_pop_back(&r, nullptr));
    EXPECT_FALSE(ring_pop_back(&r, &value));
    EXPECT_EQ(value, 3);
    EXPECT_EQ(ring_push_back(&r, 5), FA_OK);
    ring_clear(&r);
    EXPECT_EQ(ring_count(&r), 0u);
    EXPECT_EQ(ring_capacity(&r), 3u);
}

TEST_P(Ring, IsAlignedForItsType) {
    ASSERT_NE(fa_frame_alloc_in(frame_, 1), nullptr);
    lines r = lines_make_in(frame_, 5);
    for (int i = 0; i < 20; i++) {
        ASSERT_EQ(lines_push_back_over(&r, Line{i}), FA_OK);
        EXPECT_TRUE(IsAligned(lines_back(&r), 64));
    }
    for (size_t i = 0; i < 5; i++)
        EXPECT_EQ(lines_at(&r, i)->value, 15 + static_cast<int>(i));
}

TEST_P(Ring, BadCapacitiesAreRefused) {
    for (size_t capacity : {size_t{0}, SIZE_MAX, FA_SIZE_MAX}) {
        fa_last_error_clear();
        ring r = ring_make_in(frame_, capacity);
        EXPECT_FALSE(ring_is_made(&r));
        EXPECT_EQ(fa_last_error().status, FA_ERROR_INVALID);
        fa_last_error_clear();
        r = ring_make(allocator_, capacity);
        EXPECT_FALSE(ring_is_made(&r));
        EXPECT_EQ(fa_last_error().status, FA_ERROR_INVALID);
    }
    ring r = ring_make_in(nullptr, 1);
    EXPECT_FALSE(ring_is_made(&r));
    r = ring_make(nullptr, 1);
    EXPECT_FALSE(ring_is_made(&r));
}

// Against std::deque.
TEST_P(Ring, Model) {
    Random random;
    for (int round = 0; round < 40; round++) {
        const size_t capacity = random.Size(40);
        ring r = random.OneIn(2) ? ring_make(allocator_, capacity) : ring_make_in(frame_, capacity);
        std::deque<int> model;
        for (int step = 0; step < 500; step++) {
            const int value = static_cast<int>(random.Below(1000000));
            const bool full = model.size() == capacity;
            int out = -1;
            switch (random.Below(random.OneIn(30) ? 6 : 5)) {
            case 0:
                ASSERT_EQ(ring_push_back(&r, value), full ? FA_ERROR_FULL : FA_OK);
                if (!full)
                    model.push_back(value);
                break;
            case 1:
                ASSERT_EQ(ring_push_front(&r, value), full ? FA_ERROR_FULL : FA_OK);
                if (!full)
                    model.push_front(value);
                break;
            case 2:
                ASSERT_EQ(ring_push_back_over(&r, value), FA_OK);
                if (full)
                    model.pop_front();
                model.push_back(value);
                break;
            case 3:
                ASSERT_EQ(ring_pop_front(&r, &out), !model.empty());
                if (!model.empty()) {
                    ASSERT_EQ(out, model.front());
                    model.pop_front();
                }
                break;
            case 4:
                ASSERT_EQ(ring_pop_back(&r, &out), !model.empty());
                if (!model.empty()) {
                    ASSERT_EQ(out, model.back());
                    model.pop_back();
                }
                break;
            default:
                ring_clear(&r);
                model.clear();
            }
            ASSERT_EQ(ring_count(&r), model.size());
            ASSERT_EQ(Of(&r), std::vector<int>(model.begin(), model.end()));
            for (size_t i = 0; i < model.size(); i++)
                ASSERT_EQ(*ring_at(&r, i), model[i]);
        }
    }
}

TEST_P(Ring, HoldsPointers) {
    int values[] = {1, 2, 3};
    pointers r = pointers_make_in(frame_, 2);
    for (int &value : values)
        EXPECT_EQ(pointers_push_back_over(&r, &value), FA_OK);
    std::vector<int *> seen;
    for (int **item = pointers_front(&r); item != nullptr; item = pointers_next(&r, item))
        seen.push_back(*item);
    EXPECT_EQ(seen, (std::vector<int *>{&values[1], &values[2]}));

    strings texts = strings_make_in(frame_, 2);
    EXPECT_EQ(strings_push_back(&texts, "a"), FA_OK);
    EXPECT_EQ(strings_push_back(&texts, "b"), FA_OK);
    EXPECT_STREQ(*strings_next(&texts, strings_front(&texts)), "b");
    EXPECT_EQ(strings_next(&texts, strings_back(&texts)), nullptr);
}
