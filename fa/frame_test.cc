#include "fa/testing.hpp"

#include <string>
#include <thread>

using namespace fa_testing;

namespace {

struct alignas(128) Wide {
    unsigned char bytes[128];
};
struct Small {
    char text[6];
};

fa_error TakeError() {
    fa_error error = fa_last_error();
    fa_last_error_clear();
    return error;
}

class FrameTest : public testing::Test {
  protected:
    Events events;
    Source source;
    fa_alloc_config config = Plain();

    FrameTest() {
        fa_last_error_clear();
        events.Watch(&config);
    }
};

} // namespace

TEST_F(FrameTest, HandleAndAllocatorMeanTheSameFrame) {
    Allocator allocator(config, source);
    EXPECT_EQ(fa_frame_current(allocator), nullptr);
    fa_frame *frame = fa_frame_begin(allocator);
    ASSERT_NE(frame, nullptr);
    EXPECT_EQ(fa_frame_current(allocator), frame);
    EXPECT_EQ(fa_frame_bytes(allocator), 0u);
    void *a = fa_frame_alloc(allocator, 1);
    void *b = fa_frame_alloc_in(frame, 1);
    EXPECT_NE(a, b);
    EXPECT_EQ(fa_frame_count_in(frame), kCounted ? 2u : 0u);
    EXPECT_EQ(fa_frame_bytes(allocator), fa_frame_bytes_in(frame));
    EXPECT_GE(fa_frame_bytes(allocator), 32u);
    EXPECT_EQ(fa_intent_of(allocator, a), FA_INTENT_FRAME);
    EXPECT_EQ(fa_frame_end_in(frame), FA_OK);
    EXPECT_EQ(fa_intent_of(allocator, a), FA_INTENT_NONE);
    EXPECT_EQ(fa_frame_current(allocator), nullptr);
    EXPECT_EQ(fa_frame_bytes_in(frame), 0u);
    EXPECT_EQ(fa_frame_begin(allocator), frame) << "the same handle for each frame";
    EXPECT_EQ(fa_frame_count_in(frame), 0u);
    EXPECT_EQ(fa_frame_end(allocator), FA_OK);
    EXPECT_TRUE(events.all.empty());
}

TEST_F(FrameTest, BlocksAreAligned) {
    for (uint32_t checks : {0u, static_cast<uint32_t>(FA_CHECK_ALL)}) {
        config.checks = checks;
        Allocator allocator(config, source);
        fa_frame *frame = fa_frame_begin(allocator);
        for (size_t align = 1; align <= FA_ALIGN_MAX; align *= 2)
            for (size_t size : {size_t{1}, size_t{100}, align}) {
                void *block = fa_frame_alloc_aligned(allocator, size, align);
                ASSERT_NE(block, nullptr) << align;
                EXPECT_TRUE(IsAligned(block, align < 16 ? 16 : align));
                std::memset(block, 1, size);
                ASSERT_NE(fa_frame_alloc_in(frame, 16), nullptr);
                block = fa_frame_alloc_aligned_in(frame, size, align);
                ASSERT_NE(block, nullptr) << align;
                EXPECT_TRUE(IsAligned(block, align < 16 ? 16 : align));
                std::memset(block, 2, size);
                ASSERT_EQ(fa_frame_try_alloc(allocator, size, align, &block), FA_OK);
                EXPECT_TRUE(IsAligned(block, align < 16 ? 16 : align));
            }
        ExpectValid(allocator);
        fa_frame_end(allocator);
    }
}

TEST_F(FrameTest, TypedForms) {
    Allocator allocator(config, source);
    fa_frame *frame = fa_frame_begin(allocator);
    ASSERT_NE(fa_frame_alloc(allocator, 16), nullptr); // nothing is aligned by luck
    for (int i = 0; i < 2; i++) {
        Wide *wide[] = {
            fa_frame_new(allocator, Wide),      fa_frame_new_2(allocator, Wide),
            fa_frame_new_4(allocator, Wide),    fa_frame_new_8(allocator, Wide),
            fa_frame_array(allocator, Wide, 3), fa_frame_array_zeroed(allocator, Wide, 3),
            fa_frame_new_in(frame, Wide),       fa_frame_new_2_in(frame, Wide),
            fa_frame_new_4_in(frame, Wide),     fa_frame_new_8_in(frame, Wide),
            fa_frame_array_in(frame, Wide, 3),  fa_frame_array_zeroed_in(frame, Wide, 3)};
        EXPECT_TRUE(IsFilled(wide[5], 0, 3 * sizeof(Wide)));
        EXPECT_TRUE(IsFilled(wide[11], 0, 3 * sizeof(Wide)));
        const size_t counts[] = {1, 2, 4, 8, 3, 3};
        for (size_t n = 0; n < 12; n++) {
            ASSERT_NE(wide[n], nullptr);
            EXPECT_TRUE(IsAligned(wide[n], 128)) << n;
            Paint(wide[n], n, counts[n % 6] * sizeof(Wide));
        }
        for (size_t n = 0; n < 12; n++)
            EXPECT_TRUE(IsPainted(wide[n], n, counts[n % 6] * sizeof(Wide))) << n;
        Small *small = fa_frame_new(allocator, Small);
        EXPECT_TRUE(IsAligned(small, 16));
        // Eight doubles fill a cache line, eight chars do not.
        EXPECT_TRUE(IsAligned(fa_frame_new_8(allocator, double), 64));
        EXPECT_TRUE(IsAligned(fa_frame_new_8_in(frame, double), 64));
        EXPECT_NE(fa_frame_new_8(allocator, char), nullptr);
        EXPECT_TRUE(IsFilled(fa_frame_array_zeroed(allocator, Small, 1000), 0, 6000));
    }
    fa_frame_end_in(frame);
}

TEST_F(FrameTest, BatchCountsAsOneAndLiesSideBySide) {
    Allocator allocator(config, source);
    fa_frame *frame = fa_frame_begin(allocator);
    auto *bytes = static_cast<unsigned char *>(fa_frame_alloc_batch(allocator, 1000, 24));
    Paint(bytes, 1, 24000);
    auto *others = static_cast<unsigned char *>(fa_frame_alloc_batch_in(frame, 10, 24));
    Paint(others, 2, 240);
    EXPECT_TRUE(IsPainted(bytes, 1, 24000));
    EXPECT_EQ(fa_frame_count_in(frame), kCounted ? 2u : 0u);
    if (fa_allocator_config(allocator)->checks == 0 && others > bytes) {
        EXPECT_GE(others - bytes, 24000);
    }
    EXPECT_NE(fa_frame_alloc_zeroed(allocator, 100, 7), nullptr);
    auto *zeros = static_cast<unsigned char *>(fa_frame_alloc_zeroed_in(frame, 333, 3));
    EXPECT_TRUE(IsFilled(zeros, 0, 999));
    fa_frame_end(allocator);
}

TEST_F(FrameTest, ProductsThatWrapAreRefused) {
    Allocator allocator(config, source);
    fa_frame *frame = fa_frame_begin(allocator);
    const size_t before = fa_frame_bytes_in(frame);
    const struct {
        size_t count, size;
    } products[] = {{SIZE_MAX, 2},
                    {2, SIZE_MAX},
                    {SIZE_MAX, SIZE_MAX},
                    {SIZE_MAX / 2 + 1, 2},
                    {(size_t)1 << 33, (size_t)1 << 33},
                    {SIZE_MAX / 16 + 2, 16},
                    {SIZE_MAX, 1},
                    {FA_SIZE_MAX + 1, 1},
                    {FA_SIZE_MAX / 2 + 1, 2},
                    {0, 8},
                    {8, 0},
                    {0, 0}};
    for (const auto &p : products) {
        SCOPED_TRACE(testing::Message() << p.count << " * " << p.size);
        EXPECT_EQ(fa_frame_alloc_batch(allocator, p.count, p.size), nullptr);
        EXPECT_EQ(TakeError().status, FA_ERROR_INVALID);
        EXPECT_EQ(fa_frame_alloc_batch_in(frame, p.count, p.size), nullptr);
        EXPECT_EQ(TakeError().status, FA_ERROR_INVALID);
        EXPECT_EQ(fa_frame_alloc_zeroed(allocator, p.count, p.size), nullptr);
        EXPECT_EQ(TakeError().status, FA_ERROR_INVALID);
        EXPECT_EQ(fa_frame_alloc_zeroed_in(frame, p.count, p.size), nullptr);
        EXPECT_EQ(TakeError().status, FA_ERROR_INVALID);
        if (p.size == 2) {
            EXPECT_EQ(fa_frame_array(allocator, short, p.count), nullptr);
            EXPECT_EQ(TakeError().status, FA_ERROR_INVALID);
            EXPECT_EQ(fa_frame_array_zeroed_in(frame, short, p.count), nullptr);
            EXPECT_EQ(TakeError().status, FA_ERROR_INVALID);
            EXPECT_EQ(fa_frame_array(allocator, Wide, p.count), nullptr);
            EXPECT_EQ(TakeError().status, FA_ERROR_INVALID);
        }
    }
    EXPECT_EQ(fa_frame_bytes_in(frame), before);
    EXPECT_EQ(fa_frame_count_in(frame), 0u);
    fa_frame_end(allocator);
}

TEST_F(FrameTest, TheNewestBlockGrowsAndShrinksInPlace) {
    for (uint32_t checks : AllChecks()) {
        config.checks = checks;
        Allocator allocator(config, source);
        fa_frame *frame = fa_frame_begin(allocator);
        void *first = fa_frame_alloc(allocator, 100);
        Paint(first, 1, 100);
        void *block = fa_frame_grow(allocator, nullptr, 0, 50);
        ASSERT_NE(block, nullptr);
        Paint(block, 2, 50);
        const size_t before = fa_frame_bytes(allocator);
        const uint64_t count = fa_frame_count_in(frame);
        size_t size = 50;
        for (size_t next : {51u, 64u, 65u, 3000u, 3000u, 20u, 50u}) {
            ASSERT_EQ(fa_frame_grow(allocator, block, size, next), block) << checks;
            ASSERT_TRUE(IsPainted(block, 2, next < size ? next : size));
            Paint(block, 2, next);
            size = next;
        }
        EXPECT_EQ(fa_frame_bytes(allocator), before);
        EXPECT_EQ(fa_frame_count_in(frame), count);
        EXPECT_TRUE(IsPainted(first, 1, 100));
        ExpectValid(allocator);
        fa_frame_end(allocator);
    }
}

TEST_F(FrameTest, AnotherBlockIsCopiedWhenItGrows) {
    for (uint32_t checks : AllChecks()) {
        config.checks = checks;
        Allocator allocator(config, source);
        fa_frame *frame = fa_frame_begin(allocator);
        void *old = fa_frame_alloc_aligned(allocator, 100, 64);
        Paint(old, 1, 100);
        void *newest = fa_frame_alloc(allocator, 100);
        Paint(newest, 2, 100);
        void *grown = fa_frame_grow_in(frame, old, 100, 200);
        ASSERT_NE(grown, nullptr);
        EXPECT_NE(grown, old);
        EXPECT_TRUE(IsAligned(grown, 64));
        EXPECT_TRUE(IsPainted(grown, 1, 100));
        EXPECT_TRUE(IsPainted(old, 1, 100)) << "the old place stays";
        Paint(grown, 3, 200);
        EXPECT_TRUE(IsPainted(newest, 2, 100));
        void *less = fa_frame_grow_in(frame, newest, 100, 10);
        ASSERT_NE(less, nullptr);
        EXPECT_TRUE(IsPainted(less, 2, 10));
        // Past the end of its chunk the newest one is copied as well.
        void *large = fa_frame_grow_in(frame, grown, 200, 500000);
        ASSERT_NE(large, nullptr);
        EXPECT_TRUE(IsPainted(large, 3, 200));
        Paint(large, 4, 500000);
        ExpectValid(allocator);
        fa_frame_end(allocator);
    }
}

TEST_F(FrameTest, AGrownCopyKeepsItsAlignment) {
    Allocator allocator(config, source);
    fa_frame *frame = fa_frame_begin(allocator);
    for (size_t align = 16; align <= FA_CACHE_LINE; align *= 2)
        for (int turn = 0; turn < 8; turn++) {
            void *block = fa_frame_alloc_aligned_in(frame, 32, align);
            ASSERT_NE(fa_frame_alloc_in(frame, 16), nullptr);
            void *grown = fa_frame_grow_in(frame, block, 32, 64);
            ASSERT_NE(grown, block);
            EXPECT_TRUE(IsAligned(grown, align)) << align;
        }
    fa_frame_end(allocator);
}

TEST_F(FrameTest, GrowRefusesWhatIsNotABlockOfTheFrame) {
    Allocator allocator(config, source);
    fa_frame *frame = fa_frame_begin(allocator);
    void *block = fa_frame_alloc(allocator, 64);
    void *next = fa_frame_alloc(allocator, 64);
    Paint(block, 1, 64);
    int local = 0;
    void *heap = fa_heap_alloc(allocator, 64);
    const size_t bytes = fa_frame_bytes_in(frame);
    for (void *other : {static_cast<void *>(&local), heap, static_cast<void *>(frame)}) {
        EXPECT_EQ(fa_frame_grow_in(frame, other, 4, 100), nullptr);
        const fa_error error = TakeError();
        EXPECT_EQ(error.status, FA_ERROR_FOREIGN);
        EXPECT_EQ(error.diag, FA_DIAG_FA002);
        EXPECT_EQ(events.Last(FA_DIAG_FA002).address, other);
    }
    EXPECT_EQ(fa_frame_grow(allocator, static_cast<char *>(block) + 1, 4, 100), nullptr);
    EXPECT_EQ(TakeError().diag, FA_DIAG_FA002);
    EXPECT_EQ(fa_frame_grow(allocator, next, 1 << 20, 1 << 21), nullptr) << "past the frame's end";
    EXPECT_EQ(TakeError().diag, FA_DIAG_FA002);
    for (size_t size_new : {size_t{0}, FA_SIZE_MAX + 1, SIZE_MAX}) {
        EXPECT_EQ(fa_frame_grow(allocator, next, 64, size_new), nullptr);
        EXPECT_EQ(TakeError().status, FA_ERROR_INVALID);
        EXPECT_EQ(fa_frame_grow(allocator, nullptr, 0, size_new), nullptr);
        EXPECT_EQ(TakeError().status, FA_ERROR_INVALID);
    }
    EXPECT_EQ(fa_frame_grow(allocator, next, SIZE_MAX, 100), nullptr) << "no block is that large";
    EXPECT_NE(TakeError().status, FA_OK);
    EXPECT_EQ(fa_frame_bytes_in(frame), bytes);
    EXPECT_TRUE(IsPainted(block, 1, 64));
    fa_frame_end(allocator);
    EXPECT_EQ(fa_frame_grow_in(frame, block, 64, 100), nullptr);
    EXPECT_EQ(TakeError().diag, FA_DIAG_FA001);
    fa_heap_free(allocator, heap);
}

TEST_F(FrameTest, CopiesOfBlocksAndStrings) {
    Allocator allocator(config, source);
    fa_frame *frame = fa_frame_begin(allocator);
    char data[300];
    Paint(data, 5, sizeof data);
    void *copy = fa_frame_copy(allocator, data, sizeof data);
    void *other = fa_frame_copy_in(frame, data, 7);
    EXPECT_TRUE(IsPainted(copy, 5, sizeof data));
    EXPECT_TRUE(IsPainted(other, 5, 7));
    EXPECT_STREQ(fa_frame_copy_string(allocator, "a string"), "a string");
    EXPECT_STREQ(fa_frame_copy_string_in(frame, ""), "");
    EXPECT_STREQ(fa_frame_copy_string_in(frame, std::string(99999, 'x').c_str()),
                 std::string(99999, 'x').c_str());
    fa_frame_end(allocator);
}

TEST_F(FrameTest, TwoAllocatorsOnOneThreadNeverSeeEachOthersMemory) {
    Allocator a(config, source), b(config, source);
    fa_frame *frame_a = fa_frame_begin(a);
    EXPECT_EQ(fa_frame_current(b), nullptr);
    EXPECT_EQ(fa_frame_alloc(b, 16), nullptr);
    EXPECT_EQ(TakeError().status, FA_ERROR_NO_FRAME);
    fa_frame *frame_b = fa_frame_begin(b);
    ASSERT_NE(frame_a, frame_b);
    std::vector<void *> blocks_a, blocks_b;
    for (int i = 0; i < 1000; i++) {
        blocks_a.push_back(fa_frame_alloc(a, 64));
        blocks_b.push_back(i % 2 ? fa_frame_alloc(b, 64) : fa_frame_alloc_in(frame_b, 64));
        Paint(blocks_a.back(), 1, 64);
        Paint(blocks_b.back(), 2, 64);
    }
    for (int i = 0; i < 1000; i++) {
        EXPECT_EQ(fa_intent_of(a, blocks_a[i]), FA_INTENT_FRAME);
        EXPECT_EQ(fa_intent_of(b, blocks_a[i]), FA_INTENT_NONE);
        EXPECT_EQ(fa_intent_of(a, blocks_b[i]), FA_INTENT_NONE);
    }
    EXPECT_EQ(fa_frame_grow(a, blocks_b[0], 64, 100), nullptr);
    EXPECT_EQ(TakeError().diag, FA_DIAG_FA002);
    EXPECT_EQ(fa_frame_end(b), FA_OK);
    for (int i = 0; i < 1000; i++)
        EXPECT_TRUE(IsPainted(blocks_a[i], 1, 64));
    EXPECT_EQ(fa_frame_current(a), frame_a);
    EXPECT_EQ(fa_frame_end(a), FA_OK);
    EXPECT_EQ(Stats(a).frame_alloc_count, kCounted ? 1000u : 0u);
    EXPECT_EQ(Stats(b).frame_count, 1u);
}

TEST_F(FrameTest, BeginTwiceAndEndTwiceLoseNothing) {
    Allocator allocator(config, source);
    fa_frame *frame = fa_frame_begin(allocator);
    void *block = fa_frame_alloc(allocator, 64);
    Paint(block, 1, 64);
    EXPECT_EQ(fa_frame_begin(allocator), nullptr);
    EXPECT_EQ(TakeError().status, FA_ERROR_FRAME_OPEN);
    EXPECT_EQ(events.Count(FA_DIAG_FA004), 1u);
    EXPECT_EQ(fa_frame_current(allocator), frame);
    EXPECT_TRUE(IsPainted(block, 1, 64));
    EXPECT_NE(fa_frame_alloc_in(frame, 16), nullptr);
    EXPECT_EQ(fa_frame_end(allocator), FA_OK);
    EXPECT_EQ(fa_frame_end(allocator), FA_ERROR_NO_FRAME);
    EXPECT_EQ(fa_frame_end_in(frame), FA_ERROR_NO_FRAME);
    EXPECT_EQ(events.Count(FA_DIAG_FA005), 2u);
    EXPECT_EQ(Stats(allocator).frame_count, 1u);
    ExpectValid(allocator);
}

TEST_F(FrameTest, AnotherThreadsHandleIsRefused) {
    Allocator allocator(config, source);
    fa_frame *frame = fa_frame_begin(allocator);
    void *block = fa_frame_alloc(allocator, 64);
    Paint(block, 1, 64);
    std::thread([&] {
        EXPECT_EQ(fa_frame_end_in(frame), FA_ERROR_FOREIGN);
        EXPECT_EQ(fa_frame_alloc_aligned_in(frame, 64, 64), nullptr);
        EXPECT_EQ(TakeError().status, FA_ERROR_FOREIGN);
        EXPECT_EQ(fa_frame_grow_in(frame, block, 64, 640), nullptr);
        EXPECT_EQ(TakeError().diag, FA_DIAG_FA201);
        EXPECT_EQ(fa_frame_grow_in(frame, block, 64, 65), nullptr);
        EXPECT_EQ(TakeError().diag, FA_DIAG_FA201);
        EXPECT_EQ(fa_frame_alloc(allocator, 8), nullptr) << "has no frame of its own";
        EXPECT_EQ(TakeError().diag, FA_DIAG_FA001);
        EXPECT_EQ(fa_intent_of(allocator, block), FA_INTENT_NONE);
    }).join();
    EXPECT_EQ(events.Count(FA_DIAG_FA201), 4u);
    EXPECT_EQ(events.Last(FA_DIAG_FA201).address, frame);
    EXPECT_EQ(fa_frame_current(allocator), frame);
    EXPECT_TRUE(IsPainted(block, 1, 64));
    EXPECT_EQ(fa_frame_end(allocator), FA_OK);
}

TEST_F(FrameTest, FillPatternsShowFreshAndDeadMemory) {
    config.checks = FA_CHECK_FILL;
    config.frames_in_flight = 2;
    Allocator allocator(config, source);
    fa_frame_begin(allocator);
    auto *block = static_cast<unsigned char *>(fa_frame_alloc(allocator, 100));
    EXPECT_TRUE(IsFilled(block, 0xAB, 100));
    block = static_cast<unsigned char *>(fa_frame_grow(allocator, block, 100, 300));
    EXPECT_TRUE(IsFilled(block, 0xAB, 300));
    EXPECT_TRUE(IsFilled(fa_frame_alloc_zeroed(allocator, 10, 10), 0, 100));
    fa_frame_end(allocator);
    fa_frame_begin(allocator);
    EXPECT_TRUE(IsFilled(block, 0xAB, 300)) << "still in flight";
    fa_frame_end(allocator);
}
