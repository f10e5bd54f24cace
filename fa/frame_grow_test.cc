// Frame memory that grows where it lies or as a copy, against a model; and sizes that are not those
// of a block.
#include "fa/testing_threads.hpp"

#include <algorithm>

using namespace fa_testing;

namespace {

class FrameGrow : public testing::TestWithParam<uint32_t> {
  protected:
    Events events;

    fa_alloc_config Watched() {
        fa_alloc_config config = Config(GetParam());
        config.frame_chunk_bytes_first = 4096;
        config.frame_chunk_bytes_max = 16384;
        events.Watch(&config);
        return config;
    }
    // Lies in the frame from there on, in one piece.
    static bool IsWhole(fa_allocator *allocator, const char *block, size_t size) {
        return fa_intent_of(allocator, block) == FA_INTENT_FRAME &&
               fa_intent_of(allocator, block + size - 1) == FA_INTENT_FRAME;
    }
};

// An old size that reaches into another chunk: what lies between them is nobody's.
TEST_P(FrameGrow, ABlockEndsWithItsChunk) {
    Tracked allocator(Watched());
    fa_frame *frame = fa_frame_begin(allocator);
    std::vector<char *> blocks; // one in each of some chunks
    for (int i = 0; i < 8; i++) {
        blocks.push_back(static_cast<char *>(fa_frame_alloc_in(frame, 3000)));
        ASSERT_NE(blocks.back(), nullptr);
        Paint(blocks.back(), static_cast<uint64_t>(i), 3000);
    }
    std::sort(blocks.begin(), blocks.end());
    for (size_t i = 0; i + 1 < blocks.size(); i++) {
        const auto distance = static_cast<size_t>(blocks[i + 1] - blocks[i]);
        if (distance < 4096)
            continue; // of one chunk
        for (size_t size : {distance + 1, distance + 3000}) {
            events.all.clear();
            fa_last_error_clear();
            EXPECT_EQ(fa_frame_grow_in(frame, blocks[i], size, size + 100), nullptr);
            EXPECT_EQ(fa_last_error().status, FA_ERROR_FOREIGN);
            EXPECT_EQ(events.Count(FA_DIAG_FA002), 1u);
        }
    }
    ExpectValid(allocator);
    EXPECT_EQ(fa_frame_end(allocator), FA_OK);
}

// Blocks of random sizes that grow and shrink, in many chunks, with marks in between: contents,
// alignments, places.
TEST_P(FrameGrow, AModelOfBlocksThatGrow) {
    Random random;
    Tracked allocator(Watched());
    struct Block {
        char *at;
        size_t size, align;
        uint64_t mark;
    };
    uint64_t marks = 0;
    for (size_t round = 0; round < Rounds(60); round++) {
        fa_frame *frame = fa_frame_begin(allocator);
        ASSERT_NE(frame, nullptr);
        std::vector<Block> live;
        for (size_t i = 0; i < 200; i++) {
            const size_t what = random.Below(10);
            if (what < 3 || live.empty()) {
                Block one = {nullptr, random.Size(3000), size_t{1} << random.Below(8), ++marks};
                one.at = static_cast<char *>(fa_frame_alloc_aligned_in(frame, one.size, one.align));
                ASSERT_NE(one.at, nullptr);
                Paint(one.at, one.mark, one.size);
                live.push_back(one);
                continue;
            }
            if (what == 3) {
                (void)fa_frame_mark_in(frame); // what comes before it moves when it grows
                continue;
            }
            const size_t n = random.OneIn(2) ? live.size() - 1 : random.Below(live.size());
            Block &one = live[n];
            const size_t size = random.OneIn(10) ? random.Size(20000) : random.Size(4000);
            auto *at = static_cast<char *>(fa_frame_grow_in(frame, one.at, one.size, size));
            ASSERT_NE(at, nullptr);
            ASSERT_TRUE(IsPainted(at, one.mark, std::min(one.size, size))) << i;
            ASSERT_TRUE(IsAligned(at, std::max(std::min<size_t>(one.align, 64), size_t{16})));
            ASSERT_TRUE(IsWhole(allocator, at, size));
            if (at != one.at && GetParam() == 0 && !kAsan) {
                ASSERT_GT(size, one.size) << "only what grows is copied"; // or guards have to move
            }
            const bool moved = at != one.at;
            one.at = at;
            one.size = size;
            Paint(at, one.mark, size);
            if (moved)
                std::swap(live[n], live.back());
            for (const Block &other : live)
                ASSERT_TRUE(IsPainted(other.at, other.mark, other.size)) << i;
        }
        ExpectValid(allocator);
        ASSERT_EQ(fa_frame_end_in(frame), FA_OK);
    }
    EXPECT_TRUE(events.Count(FA_DIAG_FA002) == 0);
    allocator.Check();
}

// The newest block grows where it lies up to the last byte of its chunk, and not past it.
TEST_P(FrameGrow, TheNewestBlockGrowsToTheEndOfItsChunk) {
    Tracked allocator(Watched());
    for (int round = 0; round < 3; round++) {
        fa_frame *frame = fa_frame_begin(allocator);
        auto *first = static_cast<char *>(fa_frame_alloc_in(frame, 16));
        ASSERT_NE(first, nullptr);
        size_t size = 16;
        char *block = first;
        while (size < 3 * 16384) {
            auto *grown = static_cast<char *>(fa_frame_grow_in(frame, block, size, size + 16));
            ASSERT_NE(grown, nullptr);
            size += 16;
            if (grown != block && round == 0 && block == first) {
                // The chunk of 4,096 bytes holds it to the end, but for its header and checks.
                EXPECT_GE(size, 3700u);
                EXPECT_LE(size, 4096u);
            }
            block = grown;
            memset(block, round, size);
        }
        EXPECT_TRUE(IsFilled(block, round, size));
        EXPECT_EQ(fa_frame_end_in(frame), FA_OK);
    }
    allocator.Check();
}

// What is copied into the frame, at sizes around those of chunks.
TEST_P(FrameGrow, CopiesOfEverySize) {
    Tracked allocator(Watched());
    std::vector<char> source(20000);
    Paint(source.data(), 5, source.size());
    for (size_t size = 1; size <= source.size(); size += size < 100 ? 1 : size / 7) {
        fa_frame *frame = fa_frame_begin(allocator);
        const auto *copy = static_cast<char *>(fa_frame_copy_in(frame, source.data(), size));
        ASSERT_NE(copy, nullptr);
        EXPECT_TRUE(IsPainted(copy, 5, size));
        const std::string text(size - 1, 'x');
        const char *string = fa_frame_copy_string_in(frame, text.c_str());
        ASSERT_NE(string, nullptr);
        EXPECT_EQ(text, string);
        EXPECT_EQ(fa_frame_end_in(frame), FA_OK);
    }
    allocator.Check();
}

INSTANTIATE_TEST_SUITE_P(Checks, FrameGrow, testing::Values(0u, uint32_t{FA_CHECK_ALL}));

} // namespace
