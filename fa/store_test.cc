/* Where heap blocks come from, seen through the heap's public calls: regions for most, spans for
 * the largest, what is kept for reuse, what goes back. */
#include "fa/fa.h"

#include <cstdint>
#include <vector>

#include <gtest/gtest.h>

namespace {

class Store : public testing::Test {
  protected:
    void create(size_t region_bytes, size_t cache_bytes) {
        fa_alloc_config config = fa_alloc_config_default();
        config.heap_region_bytes = region_bytes;
        config.heap_cache_bytes = cache_bytes;
        config.checks = 0;
        config.on_event = nullptr;
        ASSERT_EQ(FA_OK, fa_allocator_create(&config, &memory_));
    }
    ~Store() override { fa_allocator_destroy(memory_); }
    fa_stats stats() {
        fa_stats stats;
        EXPECT_EQ(FA_OK, fa_stats_get(memory_, &stats));
        EXPECT_EQ(FA_OK, fa_validate(memory_, nullptr));
        return stats;
    }
    fa_allocator *memory_ = nullptr;
};

TEST_F(Store, SmallBlocksShareARegion) {
    create(1 << 20, 0);
    std::vector<void *> blocks;
    for (int i = 0; i < 100; i++)
        blocks.push_back(fa_heap_alloc(memory_, 5000));
    EXPECT_EQ(1u, stats().heap_region_count);
    EXPECT_EQ(size_t{1} << 20, stats().bytes_held_by_kind[FA_SPAN_HEAP]);
    for (void *block : blocks)
        fa_heap_free(memory_, block);
    EXPECT_EQ(1u, stats().heap_region_count) << "one empty region is kept";
    EXPECT_EQ(size_t{1} << 20, fa_allocator_trim(memory_));
    EXPECT_EQ(0u, stats().bytes_held_by_kind[FA_SPAN_HEAP]);
}

TEST_F(Store, WithoutRegionsEachBlockIsASpan) {
    create(0, 0);
    void *block = fa_heap_alloc(memory_, 100);
    uint64_t spans = stats().backend_alloc_count;
    void *other = fa_heap_alloc(memory_, 100);
    EXPECT_EQ(spans + 1, stats().backend_alloc_count);
    EXPECT_EQ(0u, stats().heap_region_count);
    fa_heap_free(memory_, block);
    fa_heap_free(memory_, other);
    EXPECT_EQ(0u, stats().bytes_held_by_kind[FA_SPAN_HEAP]);
}

TEST_F(Store, FreedBlocksAreUsedAgainWithoutTheBackend) {
    create(1 << 20, 64 << 20);
    void *small = fa_heap_alloc(memory_, 20000), *large = fa_heap_alloc(memory_, 3 << 20);
    fa_heap_free(memory_, small);
    fa_heap_free(memory_, large);
    uint64_t calls = stats().backend_alloc_count;
    EXPECT_GT(stats().heap_cache_bytes, size_t{3} << 20);
    EXPECT_EQ(small, fa_heap_alloc(memory_, 19000));
    EXPECT_EQ(large, fa_heap_alloc(memory_, (3 << 20) - 5000));
    EXPECT_EQ(calls, stats().backend_alloc_count);
    EXPECT_EQ(2u, stats().heap_cache_hit_count);
    EXPECT_EQ(0u, stats().heap_cache_bytes);
    fa_heap_free(memory_, small);
    fa_heap_free(memory_, large);
}

TEST_F(Store, TheOldestIsGivenBackFirst) {
    create(1 << 20, 8 << 20);
    void *blocks[4];
    for (void *&block : blocks)
        block = fa_heap_alloc(memory_, 3 << 20);
    for (void *block : blocks)
        fa_heap_free(memory_, block);
    EXPECT_LE(stats().heap_cache_bytes, size_t{8} << 20);
    EXPECT_EQ(blocks[3], fa_heap_alloc(memory_, 3 << 20)) << "the newest is still there";
    fa_heap_free(memory_, blocks[3]);
}

TEST_F(Store, KeptBlocksGrowTogetherBeforeANewRegionIsTaken) {
    create(1 << 20, 64 << 20);
    std::vector<void *> blocks;
    for (int i = 0; i < 7; i++)
        blocks.push_back(fa_heap_alloc(memory_, 128 << 10));
    for (void *block : blocks)
        fa_heap_free(memory_, block);
    ASSERT_EQ(1u, stats().heap_region_count);
    void *block = fa_heap_alloc(memory_, 250 << 10);
    EXPECT_EQ(1u, stats().heap_region_count);
    fa_heap_free(memory_, block);
}

TEST_F(Store, ASealedAllocatorServesFromWhatItKeeps) {
    create(1 << 20, 0);
    void *large = fa_heap_alloc(memory_, 5 << 20), *small = fa_heap_alloc(memory_, 1000);
    fa_backend_seal(memory_);
    fa_heap_free(memory_, large);
    fa_heap_free(memory_, small);
    EXPECT_EQ(large, fa_heap_alloc(memory_, 2 << 20)) << "whatever its size";
    EXPECT_NE(nullptr, small = fa_heap_alloc(memory_, 200000));
    EXPECT_EQ(nullptr, fa_heap_alloc(memory_, 5 << 20));
    EXPECT_EQ(FA_ERROR_SEALED, fa_last_error().status);
    EXPECT_EQ(0u, fa_allocator_trim(memory_));
    fa_heap_free(memory_, large);
    fa_heap_free(memory_, small);
    EXPECT_EQ(FA_OK, fa_validate(memory_, nullptr));
}

} // namespace
