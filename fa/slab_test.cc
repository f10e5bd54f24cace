// Slabs and segments: who owns them, and when their memory goes back.
#include "fa/testing_threads.hpp"

#include <algorithm>

using namespace fa_testing;

namespace {

constexpr size_t kSegmentBytes = 256 << 10;

fa_alloc_config SmallSegments(uint32_t checks = 0) {
    fa_alloc_config config = Config(checks);
    config.pool_segment_bytes = kSegmentBytes;
    config.heap_cache_bytes = 0;
    return config;
}

std::vector<void *> Fill(fa_allocator *allocator, size_t size, size_t bytes) {
    std::vector<void *> blocks(bytes / size);
    EXPECT_EQ(fa_pool_alloc_batch(allocator, size, blocks.size(), blocks.data()), FA_OK);
    return blocks;
}

void QuietFrames(fa_allocator *allocator, int count) {
    for (int i = 0; i < count; i++) {
        fa_frame_begin(allocator);
        fa_frame_end(allocator);
    }
}

} // namespace

// Each generation allocates, exits, and leaves one object; the one before it has left is freed.
TEST(Slab, ThreadGenerationsTakeOverTheSlabsOfTheDead) {
    for (uint32_t checks : {0u, uint32_t{FA_CHECK_ALL}}) {
        Tracked allocator(SmallSegments(checks));
        void *left = nullptr;
        size_t held = 0;
        for (int generation = 0; generation < 200; generation++) {
            OnThread([&] {
                std::vector<void *> blocks = Fill(allocator, 64, 100000);
                fa_pool_free(allocator, left);
                left = blocks.back();
                blocks.pop_back();
                fa_pool_free_batch(allocator, blocks.data(), blocks.size());
            });
            if (generation == 5)
                held = allocator.Held();
            if (generation > 5) {
                ASSERT_EQ(allocator.Held(), held) << "generation " << generation;
            }
        }
        EXPECT_GT(allocator.Stats().pool_adopted_count, 0u);
        EXPECT_EQ(allocator.Stats().pool_segment_count, 1u);
        fa_pool_free(allocator, left);
        allocator.Check();
    }
}

TEST(Slab, FullSlabsOfTheDeadAreAdoptedOnceTheyHaveRoom) {
    Tracked allocator(SmallSegments());
    std::vector<void *> blocks;
    OnThread([&] { blocks = Fill(allocator, 1024, 2 * 65536); }); // two slabs without a free object
    size_t slabs = allocator.Stats().pool_slab_count;
    fa_pool_free(allocator, blocks[10]);
    fa_pool_free(allocator, blocks[100]);
    OnThread([&] {
        void *first = fa_pool_alloc(allocator, 1024);
        EXPECT_TRUE(first == blocks[10] || first == blocks[100]);
        blocks[10] = first;
        blocks[100] = fa_pool_alloc(allocator, 1024);
    });
    EXPECT_GE(allocator.Stats().pool_adopted_count, 1u);
    EXPECT_EQ(allocator.Stats().pool_slab_count, slabs);
    fa_pool_free_batch(allocator, blocks.data(), blocks.size());
    EXPECT_EQ(allocator.Stats().pool_slab_count, 0u);
    allocator.Check();
}

TEST(Slab, TheLastFreeOfADeadThreadsSegmentGivesItBack) {
    Tracked allocator(SmallSegments());
    std::vector<void *> blocks;
    OnThread([&] { blocks = Fill(allocator, 4096, 20 * kSegmentBytes); });
    EXPECT_GE(allocator.Stats().pool_segment_count, 20u);
    fa_pool_free_batch(allocator, blocks.data(), blocks.size());
    EXPECT_LE(allocator.Stats().pool_segment_count, 1u);
    EXPECT_EQ(fa_thread_count(allocator), 0u);
    allocator.Check();
}

TEST(Slab, FreesGiveMemoryBack) {
    Tracked allocator(SmallSegments());
    std::vector<void *> blocks = Fill(allocator, 4096, 20 * kSegmentBytes);
    EXPECT_GE(allocator.Stats().pool_segment_count, 20u);
    fa_pool_free_batch(allocator, blocks.data(), blocks.size());
    EXPECT_LE(allocator.Stats().pool_segment_count, 4u); // some objects stay ready
    allocator.Check();
}

TEST(Slab, TrimGivesEverythingBackAndSaysHowMuch) {
    for (uint32_t checks : {0u, uint32_t{FA_CHECK_ALL}}) {
        Tracked allocator(SmallSegments(checks));
        for (size_t size : {16u, 64u, 500u, 4000u}) {
            std::vector<void *> blocks = Fill(allocator, size, 3 * kSegmentBytes);
            std::shuffle(blocks.begin(), blocks.end(), Engine(size));
            fa_pool_free_batch(allocator, blocks.data(), blocks.size());
        }
        size_t before = allocator.Held();
        size_t given = fa_allocator_trim(allocator);
        EXPECT_EQ(before - allocator.Held(), given);
        EXPECT_EQ(allocator.Stats().pool_segment_count, 0u);
        EXPECT_EQ(fa_allocator_trim(allocator), 0u);
        allocator.Check();
        fa_pool_free(allocator, fa_pool_alloc(allocator, 64)); // and it goes on
    }
}

TEST(Slab, TrimKeepsWhatIsAlive) {
    Tracked allocator(SmallSegments());
    std::vector<void *> blocks = Fill(allocator, 256, 4 * kSegmentBytes);
    for (size_t i = 0; i < blocks.size(); i++)
        Paint(blocks[i], i, 256);
    for (size_t i = 0; i < blocks.size(); i++)
        if (i % 300 != 0)
            fa_pool_free(allocator, blocks[i]);
    fa_allocator_trim(allocator);
    allocator.Check();
    for (size_t i = 0; i < blocks.size(); i += 300) {
        EXPECT_TRUE(IsPainted(blocks[i], i, 256));
        fa_pool_free(allocator, blocks[i]);
    }
}

// Trim by a thread that is not attached gives back what is shared, and attaches nobody.
TEST(Slab, TrimByAStranger) {
    Tracked allocator(SmallSegments());
    OnThread([&] { fa_pool_free(allocator, fa_pool_alloc(allocator, 64)); });
    EXPECT_EQ(allocator.Stats().pool_segment_count, 1u);
    EXPECT_EQ(fa_allocator_trim(allocator), kSegmentBytes);
    EXPECT_EQ(fa_thread_count(allocator), 0u);
    allocator.Check();
}

TEST(Slab, IdleMemoryGoesBackAfterSomeFrames) {
    fa_alloc_config config = SmallSegments();
    config.pool_trim_after = 10;
    Tracked allocator(config);
    std::vector<void *> blocks = Fill(allocator, 128, 10 * kSegmentBytes);
    fa_pool_free_batch(allocator, blocks.data(), blocks.size());
    EXPECT_GE(allocator.Stats().pool_segment_count, 1u);
    QuietFrames(allocator, 25);
    EXPECT_EQ(allocator.Stats().pool_segment_count, 0u);
    allocator.Check();
}

TEST(Slab, IdleMemoryStaysWhenNotToBeTrimmed) {
    fa_alloc_config config = SmallSegments();
    config.pool_trim_after = 0;
    Tracked allocator(config);
    std::vector<void *> blocks = Fill(allocator, 128, kSegmentBytes);
    fa_pool_free_batch(allocator, blocks.data(), blocks.size());
    size_t segments = allocator.Stats().pool_segment_count;
    QuietFrames(allocator, 1000);
    EXPECT_EQ(allocator.Stats().pool_segment_count, segments);
}

// A class in steady use keeps its objects: trimming it each time would cost more than it gives.
TEST(Slab, OnlyIdleClassesAreTrimmed) {
    fa_alloc_config config = SmallSegments();
    config.pool_trim_after = 5;
    config.pool_magazine_bytes = 0; // eight objects each: a busy class needs refills
    Tracked allocator(config);
    uint64_t calls = 0;
    for (int frame = 0; frame < 200; frame++) {
        std::vector<void *> blocks = Fill(allocator, 64, 64 * 100);
        QuietFrames(allocator, 1);
        fa_pool_free_batch(allocator, blocks.data(), blocks.size());
        if (frame == 20)
            calls = allocator.Stats().backend_alloc_count;
    }
    EXPECT_EQ(allocator.Stats().backend_alloc_count, calls);
}

// Segments that come and go leave nothing behind, not even in the tables.
TEST(Slab, SegmentsThatComeAndGoCostNothing) {
    Tracked allocator(SmallSegments());
    size_t held = 0;
    for (int round = 0; round < 300; round++) {
        std::vector<void *> blocks = Fill(allocator, 8 * 512, 5 * kSegmentBytes);
        fa_pool_free_batch(allocator, blocks.data(), blocks.size());
        fa_allocator_trim(allocator);
        if (round == 10)
            held = allocator.Held();
    }
    EXPECT_EQ(allocator.Held(), held);
    allocator.Check();
}

TEST(Slab, ASealedAllocatorKeepsItsSegments) {
    Tracked allocator(SmallSegments());
    std::vector<void *> blocks = Fill(allocator, 1000, 4 * kSegmentBytes);
    fa_backend_seal(allocator);
    size_t held = allocator.Held();
    fa_pool_free_batch(allocator, blocks.data(), blocks.size());
    EXPECT_EQ(fa_allocator_trim(allocator), 0u);
    EXPECT_EQ(allocator.Held(), held);
    allocator.Check();
    blocks.resize(blocks.size() / 2);
    EXPECT_EQ(fa_pool_alloc_batch(allocator, 500, blocks.size(), blocks.data()), FA_OK);
    fa_pool_free_batch(allocator, blocks.data(), blocks.size());
    std::vector<void *> more(1000000);
    EXPECT_EQ(fa_pool_alloc_batch(allocator, 64, more.size(), more.data()), FA_ERROR_SEALED);
    EXPECT_EQ(allocator.Live(), 0u);
    allocator.Check();
}

TEST(Slab, OneMegabyteOfEachClassFitsClosely) {
    Tracked allocator; // at most a thirty-second of a slab is lost at its end, and a segment's head
    const size_t *classes = fa_allocator_config(allocator)->pool_class_bytes;
    for (size_t i = 0; classes[i] != 0; i++) {
        std::vector<void *> blocks = Fill(allocator, classes[i], 1 << 20);
        size_t slabs = allocator.Stats().pool_slab_count;
        EXPECT_LE(slabs, 16u + 3u) << classes[i];
        fa_pool_free_batch(allocator, blocks.data(), blocks.size());
        fa_allocator_trim(allocator);
    }
}
