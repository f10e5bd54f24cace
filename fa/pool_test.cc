// Pools, call by call: what the model does not look at, and misuse.
#include "fa/testing_threads.hpp"

#include <algorithm>
#include <set>

using namespace fa_testing;

namespace {

constexpr size_t kClassBytesLast = 4096; // of the default list

struct alignas(256) Wide {
    char bytes[256];
};

struct Particle {
    float position[3], velocity[3];
};

} // namespace

TEST(Pool, BadArgumentsChangeNothing) {
    Tracked allocator;
    void *blocks[2] = {};
    auto refused = [&](const void *block) {
        EXPECT_EQ(block, nullptr);
        EXPECT_EQ(fa_last_error().status, FA_ERROR_INVALID);
        fa_last_error_clear();
    };
    for (size_t size : {size_t{0}, FA_SIZE_MAX + 1, SIZE_MAX - 15, SIZE_MAX}) {
        refused(fa_pool_alloc(allocator, size));
        refused(fa_pool_alloc_aligned(allocator, size, 64));
        refused(fa_pool_alloc_zeroed(allocator, 1, size));
        EXPECT_EQ(fa_pool_alloc_batch(allocator, size, 2, blocks), FA_ERROR_INVALID);
    }
    for (size_t align : {size_t{0}, size_t{3}, size_t{48}, FA_ALIGN_MAX * 2, SIZE_MAX})
        refused(fa_pool_alloc_aligned(allocator, 64, align));
    refused(fa_pool_alloc_zeroed(allocator, 0, 8));
    refused(fa_pool_alloc_zeroed(allocator, SIZE_MAX / 4, 8));
    refused(fa_pool_array(allocator, Particle, SIZE_MAX / sizeof(Particle) + 1));
    refused(fa_pool_array_zeroed(allocator, Particle, SIZE_MAX / sizeof(Particle) + 1));
    EXPECT_EQ(fa_pool_alloc_batch(allocator, 16, 2, nullptr), FA_ERROR_INVALID);
    EXPECT_EQ(fa_pool_alloc_batch(allocator, 16, 0, nullptr), FA_OK);
    fa_pool_free_batch(allocator, nullptr, 1);
    EXPECT_EQ(fa_last_error().status, FA_ERROR_INVALID);
    EXPECT_EQ(fa_pool_class_size(allocator, 0), 0u);
    EXPECT_EQ(allocator.Live(), 0u);
    allocator.Check();
}

TEST(Pool, WithoutAnAllocator) {
    void *block = &block;
    EXPECT_EQ(fa_pool_alloc(nullptr, 16), nullptr);
    EXPECT_EQ(fa_pool_alloc_aligned(nullptr, 16, 16), nullptr);
    EXPECT_EQ(fa_pool_alloc_zeroed(nullptr, 1, 16), nullptr);
    EXPECT_EQ(fa_pool_alloc_batch(nullptr, 16, 1, &block), FA_ERROR_INVALID);
    EXPECT_EQ(fa_last_error().status, FA_ERROR_INVALID);
    fa_last_error_clear();
    fa_pool_free(nullptr, &block);
    EXPECT_EQ(fa_last_error().status, FA_ERROR_INVALID);
    fa_pool_free_sized(nullptr, &block, 16);
    fa_pool_free_batch(nullptr, &block, 1);
    fa_free(nullptr, &block);
    EXPECT_EQ(fa_pool_class_size(nullptr, 16), 0u);
    EXPECT_EQ(fa_usable_size(nullptr, &block), 0u);
    EXPECT_EQ(fa_intent_of(nullptr, &block), FA_INTENT_NONE);
}

TEST(Pool, NullIsIgnored) {
    Tracked allocator;
    void *blocks[3] = {};
    fa_last_error_clear();
    fa_pool_free(allocator, nullptr);
    fa_pool_free_sized(allocator, nullptr, 16);
    fa_pool_free_batch(allocator, blocks, 3);
    fa_free(allocator, nullptr);
    EXPECT_EQ(fa_usable_size(allocator, nullptr), 0u);
    EXPECT_EQ(fa_last_error().status, FA_OK);
}

TEST(Pool, SizesSayWhatIsUsable) {
    Tracked allocator;
    for (size_t size = 1; size <= kClassBytesLast; size++) {
        size_t bytes = fa_pool_class_size(allocator, size);
        ASSERT_GE(bytes, size);
        ASSERT_LE(bytes, (size < 64 ? size + 15 : size + size / 4)) << size;
        void *block = fa_pool_alloc(allocator, size);
        ASSERT_EQ(fa_usable_size(allocator, block), bytes);
        memset(block, 0xEE, bytes);
        fa_pool_free_sized(allocator, block, size);
    }
    EXPECT_EQ(fa_pool_class_size(allocator, kClassBytesLast + 1), kClassBytesLast + 1);
}

TEST(Pool, LargeRequestsFallThroughToTheHeap) {
    for (uint32_t checks : AllChecks()) {
        Tracked allocator(Config(checks));
        for (size_t size : {kClassBytesLast + 1, size_t{5000}, size_t{100000}}) {
            void *blocks[5] = {fa_pool_alloc(allocator, size),
                               fa_pool_alloc_aligned(allocator, size, 64),
                               fa_pool_alloc_zeroed(allocator, 1, size),
                               fa_pool_alloc(allocator, size), fa_heap_alloc(allocator, size)};
            for (void *block : blocks) {
                EXPECT_EQ(fa_intent_of(allocator, block), FA_INTENT_HEAP);
                EXPECT_GE(fa_usable_size(allocator, block), size);
                Paint(block, size, size);
            }
            EXPECT_EQ(allocator.Stats().heap_live_count, 5u);
            fa_pool_free(allocator, blocks[0]);
            fa_pool_free_sized(allocator, blocks[1], size);
            fa_free(allocator, blocks[2]);
            fa_heap_free(allocator, blocks[3]);
            fa_pool_free_batch(allocator, &blocks[4], 1);
            EXPECT_EQ(allocator.Stats().heap_live_count, 0u);
        }
        EXPECT_EQ(allocator.Count(FA_DIAG_FA601), 0u);
        allocator.Check();
    }
}

TEST(Pool, OverAlignedBlocks) {
    for (uint32_t checks : AllChecks()) {
        Tracked allocator(Config(checks));
        for (size_t align = 1; align <= FA_ALIGN_MAX; align *= 2)
            for (size_t size : {size_t{1}, size_t{24}, size_t{64}, size_t{300}, size_t{4096}}) {
                void *block = fa_pool_alloc_aligned(allocator, size, align);
                ASSERT_NE(block, nullptr) << size << " at " << align;
                EXPECT_TRUE(IsAligned(block, std::max(align, FA_ALIGN_MIN)));
                Paint(block, align, size);
                void *plain = fa_pool_alloc(allocator, size);
                EXPECT_TRUE(IsPainted(block, align, size));
                fa_pool_free_sized(allocator, block, size);
                fa_pool_free_sized(allocator, plain, size);
            }
        auto *wide = fa_pool_new(allocator, Wide);
        EXPECT_TRUE(IsAligned(wide, alignof(Wide)));
        fa_pool_delete(allocator, wide);
        auto *wides = fa_pool_array_zeroed(allocator, Wide, 3);
        EXPECT_TRUE(IsAligned(wides, alignof(Wide)));
        EXPECT_TRUE(IsFilled(wides, 0, 3 * sizeof(Wide)));
        fa_pool_free_sized(allocator, wides, 3 * sizeof(Wide));
        EXPECT_EQ(allocator.Live(), 0u);
        EXPECT_EQ(allocator.Count(FA_DIAG_FA603), 0u);
        allocator.Check();
    }
}

/* A thread that attached before, and one that attaches later, free small blocks of the heap too. */
TEST(Pool, OverAlignedBlocksAreFreedByAnyThread) {
    Tracked allocator;
    ASSERT_EQ(fa_thread_attach(allocator), FA_OK);
    void *first = nullptr, *second = nullptr;
    OnThread([&] {
        first = fa_pool_alloc_aligned(allocator, 64, 1 << 16);
        second = fa_pool_alloc_aligned(allocator, 64, 1 << 16);
    });
    fa_pool_free_sized(allocator, first, 64);
    OnThread([&] {
        fa_thread_attach(allocator);
        fa_pool_free_sized(allocator, second, 64);
    });
    EXPECT_EQ(allocator.Live(), 0u);
    EXPECT_EQ(allocator.Count(FA_DIAG_FA601), 0u);
}

TEST(Pool, TypedForms) {
    Tracked allocator;
    Particle *one = fa_pool_new(allocator, Particle);
    Particle *many = fa_pool_array(allocator, Particle, 10);
    Particle *zero = fa_pool_array_zeroed(allocator, Particle, 10);
    EXPECT_TRUE(IsFilled(zero, 0, 10 * sizeof *zero));
    one->velocity[2] = many[9].velocity[2] = 1;
    fa_pool_delete(allocator, one);
    fa_pool_free(allocator, many);
    fa_pool_free_sized(allocator, zero, 10 * sizeof *zero);
    EXPECT_EQ(allocator.Live(), 0u);
}

TEST(Pool, ZeroedMemoryThatWasUsedBefore) {
    Tracked allocator;
    for (size_t size : {size_t{40}, size_t{4000}, size_t{9000}})
        for (int round = 0; round < 5; round++) {
            void *block = fa_pool_alloc_zeroed(allocator, 1, size);
            ASSERT_TRUE(IsFilled(block, 0, size));
            memset(block, 0xFF, size);
            fa_pool_free(allocator, block);
        }
}

TEST(Pool, BatchesGiveDistinctBlocks) {
    for (uint32_t checks : {0u, uint32_t{FA_CHECK_ALL}}) {
        Tracked allocator(Config(checks));
        for (size_t count : {1u, 7u, 1000u, 5000u}) {
            std::vector<void *> blocks(count);
            ASSERT_EQ(fa_pool_alloc_batch(allocator, 48, count, blocks.data()), FA_OK);
            EXPECT_EQ(std::set<void *>(blocks.begin(), blocks.end()).size(), count);
            for (void *block : blocks)
                memset(block, 1, 48);
            if (kCounted) {
                EXPECT_EQ(allocator.Live(), count);
            }
            fa_pool_free_batch(allocator, blocks.data(), count);
            EXPECT_EQ(allocator.Live(), 0u);
        }
        allocator.Check();
    }
}

TEST(Pool, BatchIsAllOrNothing) {
    fa_alloc_config config = fa_alloc_config_minimal();
    config.checks = 0;
    config.on_event = nullptr;
    config.bytes_max = 1 << 20;
    Tracked allocator(config);
    std::vector<void *> blocks(100000);
    EXPECT_EQ(fa_pool_alloc_batch(allocator, 64, blocks.size(), blocks.data()), FA_ERROR_LIMIT);
    EXPECT_EQ(fa_last_error().status, FA_ERROR_LIMIT);
    EXPECT_EQ(allocator.Live(), 0u);
    EXPECT_EQ(fa_pool_alloc_batch(allocator, 64, 1000, blocks.data()), FA_OK);
    fa_pool_free_batch(allocator, blocks.data(), 1000);
    allocator.Check();
}

TEST(Pool, StatsCountObjects) {
    if (!kCounted)
        GTEST_SKIP() << "nothing is counted";
    for (uint32_t checks : {0u, uint32_t{FA_CHECK_FREE}}) {
        Tracked allocator(Config(checks));
        std::vector<void *> blocks(3000);
        for (void *&block : blocks)
            block = fa_pool_alloc(allocator, 100);
        EXPECT_EQ(allocator.Stats().pool_alloc_count, 3000u);
        EXPECT_EQ(allocator.Stats().pool_live_bytes, 3000 * fa_pool_class_size(allocator, 100));
        for (size_t i = 0; i < 1000; i++)
            fa_pool_free_sized(allocator, blocks[i], 100);
        OnThread([&] { fa_pool_free_batch(allocator, &blocks[1000], 500); });
        fa_stats stats = allocator.Stats();
        EXPECT_EQ(stats.pool_alloc_count, 3000u);
        EXPECT_EQ(stats.pool_free_count, 1500u);
        EXPECT_EQ(stats.pool_remote_count, 500u);
        EXPECT_EQ(stats.pool_live_count, 1500u);
        EXPECT_EQ(stats.pool_live_bytes, 1500 * fa_pool_class_size(allocator, 100));
        EXPECT_EQ(allocator.Destroy(), 1500u);
    }
}

TEST(Pool, FillPatterns) {
    Tracked allocator(Config(FA_CHECK_FILL));
    auto *block = static_cast<unsigned char *>(fa_pool_alloc(allocator, 100));
    EXPECT_TRUE(IsFilled(block, 0xAB, 100));
    fa_pool_free(allocator, block);
    if (!kAsan) {
        EXPECT_TRUE(IsFilled(block, 0xCD, 100));
    }
}

/* ---- misuse ---- */

namespace {

/* Each step reports exactly this, and changes nothing. */
class Misuse : public testing::TestWithParam<uint32_t> {
  protected:
    Misuse() : allocator_(Config(GetParam() | FA_CHECK_FREE)) {}

    template <class Step> void Expect(fa_diag diag, const Step &step) {
        uint64_t before = allocator_.Count(diag), live = allocator_.Live();
        step();
        EXPECT_EQ(allocator_.Count(diag), before + 1) << fa_diag_describe(diag).code;
        EXPECT_EQ(fa_last_error().diag, diag);
        EXPECT_EQ(allocator_.Live(), live);
        allocator_.Check();
    }

    Tracked allocator_;
};

} // namespace

INSTANTIATE_TEST_SUITE_P(Checks, Misuse, testing::Range(0u, 8u, 1u));

TEST_P(Misuse, DoubleFree) {
    void *keep = fa_pool_alloc(allocator_, 64), *block = fa_pool_alloc(allocator_, 64);
    fa_pool_free_sized(allocator_, block, 64);
    Expect(FA_DIAG_FA602, [&] { fa_pool_free_sized(allocator_, block, 64); });
    Expect(FA_DIAG_FA602, [&] { fa_pool_free(allocator_, block); });
    Expect(FA_DIAG_FA602, [&] { fa_free(allocator_, block); });
    Expect(FA_DIAG_FA602, [&] { fa_pool_free_batch(allocator_, &block, 1); });
    fa_pool_free(allocator_, keep);
}

TEST_P(Misuse, DoubleFreeByAnotherThread) {
    void *keep = fa_pool_alloc(allocator_, 64), *block = fa_pool_alloc(allocator_, 64);
    OnThread([&] {
        fa_pool_free(allocator_, block);
        Expect(FA_DIAG_FA602, [&] { fa_pool_free_sized(allocator_, block, 64); });
    });
    Expect(FA_DIAG_FA602, [&] { fa_pool_free(allocator_, block); });
    OnThread([&] { Expect(FA_DIAG_FA602, [&] { fa_pool_free(allocator_, block); }); });
    fa_pool_free(allocator_, keep);
}

TEST_P(Misuse, DoubleFreeOfAnExitedThreadsBlock) {
    void *blocks[2] = {};
    OnThread([&] { EXPECT_EQ(fa_pool_alloc_batch(allocator_, 64, 2, blocks), FA_OK); });
    fa_pool_free(allocator_, blocks[0]);
    Expect(FA_DIAG_FA602, [&] { fa_pool_free(allocator_, blocks[0]); });
    fa_pool_free(allocator_, blocks[1]);
}

TEST_P(Misuse, ForeignPointers) {
    Tracked other;
    int on_stack = 0;
    static int in_data;
    void *others = fa_pool_alloc(other, 64), *others_heap = fa_heap_alloc(other, 10000);
    for (void *pointer : {static_cast<void *>(&on_stack), static_cast<void *>(&in_data), others,
                          others_heap, static_cast<void *>(allocator_)}) {
        Expect(FA_DIAG_FA601, [&] { fa_pool_free(allocator_, pointer); });
        Expect(FA_DIAG_FA601, [&] { fa_pool_free_sized(allocator_, pointer, 64); });
        Expect(FA_DIAG_FA601, [&] { EXPECT_EQ(fa_usable_size(allocator_, pointer), 0u); });
    }
    fa_frame_begin(allocator_);
    void *frame = fa_frame_alloc(allocator_, 64);
    Expect(FA_DIAG_FA601, [&] { fa_free(allocator_, frame); });
    fa_frame_end(allocator_);
    fa_pool_free(other, others);
    fa_heap_free(other, others_heap);
}

TEST_P(Misuse, InteriorPointers) {
    for (size_t size : {size_t{16}, size_t{48}, size_t{320}, size_t{4000}, size_t{20000}}) {
        auto *block = static_cast<char *>(fa_pool_alloc(allocator_, size));
        for (size_t offset : {size_t{1}, size_t{8}, size - 1}) {
            Expect(FA_DIAG_FA601, [&] { fa_pool_free(allocator_, block + offset); });
            Expect(FA_DIAG_FA601,
                   [&] { EXPECT_EQ(fa_usable_size(allocator_, block + offset), 0u); });
        }
        fa_pool_free_sized(allocator_, block, size);
    }
}

TEST_P(Misuse, UsableSizeOfADeadBlock) {
    void *keep = fa_pool_alloc(allocator_, 64), *block = fa_pool_alloc(allocator_, 64);
    fa_pool_free(allocator_, block);
    Expect(FA_DIAG_FA601, [&] { EXPECT_EQ(fa_usable_size(allocator_, block), 0u); });
    fa_pool_free(allocator_, keep);
}

TEST_P(Misuse, WrongSizeIsReportedAndFreed) {
    for (size_t size : {size_t{64}, size_t{6000}}) {
        void *block = fa_pool_alloc(allocator_, size);
        fa_pool_free_sized(allocator_, block, size * 2);
        EXPECT_EQ(fa_last_error().diag, FA_DIAG_FA603);
        EXPECT_EQ(allocator_.Live(), 0u);
    }
    EXPECT_EQ(allocator_.Count(FA_DIAG_FA603), 2u);
    if (GetParam() & FA_CHECK_GUARD) { // then the very size is known
        fa_pool_free_sized(allocator_, fa_pool_alloc(allocator_, 64), 63);
        EXPECT_EQ(allocator_.Count(FA_DIAG_FA603), 3u);
    }
}

TEST(PoolDeathTest, GuardIsVerified) {
    if (kAsan)
        GTEST_SKIP() << "the write itself is reported";
    for (size_t size : {1u, 16u, 100u, 4000u}) {
        Tracked allocator(Config(FA_CHECK_GUARD));
        auto *block = static_cast<char *>(fa_pool_alloc(allocator, size));
        EXPECT_DEATH(
            {
                block[size] = 1;
                fa_pool_free(allocator, block);
            },
            "FA604");
        EXPECT_DEATH(
            {
                block[size + 8] = 1;
                std::thread([&] { fa_pool_free(allocator, block); }).join();
            },
            "FA604");
        fa_pool_free(allocator, block);
    }
}

TEST(PoolDeathTest, StrictMisuseAborts) {
    fa_alloc_config config = Config(FA_CHECK_FREE);
    config.strict = true;
    Tracked allocator(config);
    void *keep = fa_pool_alloc(allocator, 64), *block = fa_pool_alloc(allocator, 64);
    fa_pool_free(allocator, block);
    EXPECT_DEATH(fa_pool_free(allocator, block), "FA602");
    EXPECT_DEATH(fa_pool_free(allocator, &config), "FA601");
    fa_pool_free(allocator, keep);
}
