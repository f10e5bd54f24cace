// What arenas learn from their frames: how much they hold after some of them, and when they ask the
// backend.
#include "fa/testing_threads.hpp"

#include <algorithm>

using namespace fa_testing;

namespace {

// What the backend of a test does beside giving memory.
struct Backend {
    fa_counting counting;
    fa_backend backend;

    explicit Backend(bool lazy)
        : backend(fa_backend_counting(&counting,
                                      lazy ? fa_backend_mmap(nullptr) : fa_backend_system())) {}
    ~Backend() { fa_backend_close(backend); }
    fa_backend_counts Counts() const {
        fa_backend_counts counts = {};
        fa_counting_read(&counting, &counts);
        return counts;
    }
    uint64_t Calls() const {
        const fa_backend_counts counts = Counts();
        return counts.alloc_count[FA_SPAN_CHUNK] + counts.free_count[FA_SPAN_CHUNK] +
               counts.purge_count;
    }
};

constexpr uint32_t kWindow = 8;

// On backends that commit at once, and on such that do when a page is touched.
class ArenaLearn : public testing::TestWithParam<bool> {
  protected:
    void Create() {
        config.frame_chunk_bytes_first = 4096;
        config.frame_chunk_bytes_max = 64 << 10;
        config.frame_trim_after = kWindow;
        config.backends[0] = source.backend;
        ASSERT_EQ(fa_allocator_create(&config, &allocator), FA_OK);
    }
    void TearDown() override {
        if (allocator == nullptr)
            return;
        ExpectValid(allocator);
        EXPECT_EQ(fa_allocator_destroy(allocator), 0u);
    }
    // A frame of so many bytes, in blocks of at most `most`.
    void Frame(size_t bytes, size_t most = 1024) {
        fa_frame *frame = fa_frame_begin(allocator);
        ASSERT_NE(frame, nullptr);
        while (bytes != 0) {
            const size_t size = std::min(bytes, most);
            void *block = fa_frame_alloc_in(frame, size);
            ASSERT_NE(block, nullptr);
            memset(block, 1, size);
            bytes -= size;
        }
        ASSERT_EQ(fa_frame_end_in(frame), FA_OK);
    }
    size_t Held() const { return Stats(allocator).bytes_held_by_kind[FA_SPAN_CHUNK]; }

    Backend source{GetParam()};
    fa_alloc_config config = Config();
    fa_allocator *allocator = nullptr;
};

// Sizes that change from time to time: within two windows an arena fits them, and asks nobody any
// more; what it holds is bounded by what its frames need.
TEST_P(ArenaLearn, AModelOfFramesThatChangeTheirSize) {
    Random random;
    Create();
    for (size_t round = 0; round < Rounds(200); round++) {
        const size_t most = 100 + random.Size(random.OneIn(5) ? 2 << 20 : 60000);
        const size_t least = most - random.Below(most / 8 + 1);
        // The largest is in each window, so that the peaks of all are the same.
        auto size = [&](uint32_t i) {
            return i % (kWindow / 2) == 0 ? most : least + random.Below(most - least + 1);
        };
        for (uint32_t i = 0; i < 3 * kWindow; i++)
            Frame(size(i));
        const uint64_t calls = source.Calls();
        const uint64_t overflows = Stats(allocator).frame_overflow_count;
        for (uint32_t i = 0; i < 4 * kWindow; i++)
            Frame(size(i));
        EXPECT_EQ(source.Calls(), calls) << most;
        EXPECT_EQ(Stats(allocator).frame_overflow_count, overflows) << most;
        EXPECT_GE(Held(), most);
        if (!GetParam()) {
            EXPECT_LE(Held(), std::max<size_t>(4 * most + 8192, 4096)) << most;
        }
        ExpectValid(allocator);
    }
}

// Where pages are committed when they are touched the addresses stay, and the pages go once.
TEST_P(ArenaLearn, QuietFramesDropPagesOnce) {
    if (!GetParam())
        GTEST_SKIP() << "addresses cost memory there";
    Create();
    Frame(8 << 20);
    Frame(8 << 20);
    const size_t held = Held();
    const uint64_t purges = source.Counts().purge_count;
    for (uint32_t i = 0; i < 10 * kWindow; i++)
        Frame(10000);
    EXPECT_EQ(Held(), held);
    EXPECT_EQ(source.Counts().purge_count, purges + 1);
    const uint64_t calls = source.Calls();
    Frame(8 << 20); // the addresses are there
    EXPECT_EQ(source.Calls(), calls);
}

// What was gone back from counts: the arena must hold it the next time.
TEST_P(ArenaLearn, WhatWasRewoundIsLearnedToo) {
    Create();
    auto deep = [&] {
        fa_frame *frame = fa_frame_begin(allocator);
        ASSERT_NE(fa_frame_alloc_in(frame, 100), nullptr);
        const fa_mark mark = fa_frame_mark_in(frame);
        for (int i = 0; i < 300; i++)
            ASSERT_NE(fa_frame_alloc_in(frame, 1000), nullptr);
        ASSERT_EQ(fa_frame_rewind_in(frame, mark), FA_OK);
        ASSERT_EQ(fa_frame_end_in(frame), FA_OK);
    };
    deep();
    deep();
    const uint64_t calls = source.Calls(), overflows = Stats(allocator).frame_overflow_count;
    for (uint32_t i = 0; i < 3 * kWindow; i++)
        deep();
    EXPECT_EQ(source.Calls(), calls);
    EXPECT_EQ(Stats(allocator).frame_overflow_count, overflows);
    EXPECT_GE(Stats(allocator).frame_bytes_peak, 300000u);
}

// A cap is kept to while arenas learn: each of the frames in flight has its share.
TEST_P(ArenaLearn, APlanStaysWithinTheCap) {
    Random random;
    config.frame_bytes_max = 600 << 10;
    for (uint32_t in_flight : {1u, 2u, 3u}) {
        config.frames_in_flight = in_flight;
        Create();
        for (size_t i = 0; i < Rounds(400); i++) {
            fa_frame *frame = fa_frame_begin(allocator);
            size_t bytes = random.Below(250000 / in_flight);
            for (; bytes > 2000; bytes -= 2000)
                ASSERT_NE(fa_frame_alloc_in(frame, 2000), nullptr) << i;
            ASSERT_EQ(fa_frame_end_in(frame), FA_OK);
            ASSERT_LE(Held(), config.frame_bytes_max);
        }
        ExpectValid(allocator);
        EXPECT_EQ(fa_allocator_destroy(allocator), 0u);
    }
    allocator = nullptr;
}

// A sealed arena plans nothing, asks nobody, and goes on in what it has.
TEST_P(ArenaLearn, SealedNothingIsRebuilt) {
    Create();
    Frame(40000); // several chunks
    fa_frame *frame = fa_frame_begin(allocator);
    ASSERT_NE(fa_frame_alloc_in(frame, 100), nullptr);
    for (int i = 0; i < 200; i++) // outgrown again, and the end would make one chunk of it
        ASSERT_NE(fa_frame_alloc_in(frame, 1000), nullptr);
    fa_backend_seal(allocator);
    const uint64_t calls = source.Calls();
    ASSERT_EQ(fa_frame_end_in(frame), FA_OK);
    for (uint32_t i = 0; i < 5 * kWindow; i++)
        Frame(i % 2 == 0 ? 150000 : 100);
    EXPECT_EQ(source.Calls(), calls);
    frame = fa_frame_begin(allocator);
    while (fa_frame_alloc_in(frame, 1000) != nullptr) {
    }
    EXPECT_EQ(fa_last_error().status, FA_ERROR_SEALED);
    EXPECT_GE(fa_frame_bytes_in(frame), 200000u);
    ASSERT_EQ(fa_frame_end_in(frame), FA_OK);
    Frame(150000);
    EXPECT_EQ(source.Calls(), calls);
}

// With spills: past the cap each block is one, all are given back, and no plan grows past the cap.
TEST_P(ArenaLearn, SpillsAreNotLearned) {
    config.frame_bytes_max = 64 << 10;
    config.frame_full = FA_FRAME_FULL_SPILL;
    Create();
    for (uint32_t i = 0; i < 3 * kWindow; i++) {
        Frame(200000, 10000);
        const fa_stats stats = Stats(allocator);
        EXPECT_LE(stats.bytes_held_by_kind[FA_SPAN_CHUNK], size_t{64} << 10) << i;
        EXPECT_GE(stats.frame_spill_count, 13u * (i + 1));
    }
    for (uint32_t i = 0; i < 3 * kWindow; i++)
        Frame(1000);
    EXPECT_LE(Held(), size_t{64} << 10);
}

INSTANTIATE_TEST_SUITE_P(Backends, ArenaLearn, testing::Bool(),
                         [](const testing::TestParamInfo<bool> &which) {
                             return std::string(which.param ? "Lazy" : "AtOnce");
                         });

} // namespace
