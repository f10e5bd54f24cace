#include "fa/testing.hpp"

#include <set>
#include <string>
#include <thread>

using namespace fa_testing;

TEST(Allocator, TakesOnlyItsOwnTables) {
    for (fa_alloc_config config : {fa_alloc_config_default(), fa_alloc_config_minimal(),
                                   fa_alloc_config_high_performance()}) {
        Source source;
        {
            Allocator allocator(Plain(config), source);
            EXPECT_EQ(source.Allocs(FA_SPAN_CHUNK) + source.Allocs(FA_SPAN_SEGMENT) +
                          source.Allocs(FA_SPAN_HEAP),
                      0u);
            EXPECT_LT(source.BytesLive(), 64u << 10);
            EXPECT_EQ(fa_thread_count(allocator), 0u);
            EXPECT_EQ(fa_last_error().status, FA_OK);
            ExpectValid(allocator);
        }
        EXPECT_EQ(source.BytesLive(), 0u);
    }
}

TEST(Allocator, NullIsTheDefaultConfiguration) {
    fa_allocator *allocator = nullptr;
    ASSERT_EQ(fa_allocator_create(nullptr, &allocator), FA_OK);
    EXPECT_EQ(fa_allocator_config(allocator)->frame_chunk_bytes_first, 64u << 10);
    fa_backend_info info;
    ASSERT_EQ(fa_backend_describe(allocator, 0, &info), FA_OK);
    EXPECT_EQ(std::string(info.text).rfind("mmap", 0), 0u);
    EXPECT_EQ(fa_allocator_destroy(allocator), 0u);
}

TEST(Allocator, SharedOwnership) {
    Source source;
    fa_alloc_config config = Plain();
    config.backends[0] = source.backend;
    fa_allocator *allocator;
    ASSERT_EQ(fa_allocator_create(&config, &allocator), FA_OK);
    EXPECT_EQ(fa_allocator_acquire(allocator), allocator);
    EXPECT_EQ(fa_allocator_acquire(allocator), allocator);
    fa_last_error_clear();
    EXPECT_EQ(fa_allocator_destroy(allocator), SIZE_MAX) << "others hold it";
    EXPECT_EQ(fa_last_error().status, FA_ERROR_INVALID);
    EXPECT_EQ(fa_allocator_release(allocator), 0u);
    std::thread([&] {
        EXPECT_NE(fa_heap_alloc(allocator, 100), nullptr);
        EXPECT_EQ(fa_allocator_release(allocator), 0u);
    }).join();
    EXPECT_NE(fa_heap_alloc(allocator, 100), nullptr);
    EXPECT_EQ(fa_allocator_release(allocator), 2u) << "the last one destroys";
    EXPECT_EQ(source.BytesLive(), 0u);
}

TEST(Allocator, ReferencesFromManyThreads) {
    Source source;
    fa_alloc_config config = Plain(fa_alloc_config_minimal());
    config.backends[0] = source.backend;
    for (int round = 0; round < 20; round++) {
        fa_allocator *allocator;
        ASSERT_EQ(fa_allocator_create(&config, &allocator), FA_OK);
        std::vector<std::thread> threads;
        for (int t = 0; t < 4; t++) {
            fa_allocator_acquire(allocator);
            threads.emplace_back([allocator] {
                fa_pool_free(allocator, fa_pool_alloc(allocator, 50));
                fa_allocator_release(allocator);
            });
        }
        fa_allocator_release(allocator);
        for (std::thread &thread : threads)
            thread.join();
        EXPECT_EQ(source.BytesLive(), 0u);
    }
}

TEST(Allocator, DestroyCountsWhatIsAlive) {
    Source source;
    {
        Allocator allocator(Plain(), source);
        void *freed = fa_heap_alloc(allocator, 10);
        for (int i = 0; i < 3; i++)
            ASSERT_NE(fa_heap_alloc(allocator, 1000), nullptr);
        for (int i = 0; i < 4; i++)
            ASSERT_NE(fa_pool_alloc(allocator, 10), nullptr);
        fa_frame_begin(allocator); // an open frame is no leak
        ASSERT_NE(fa_frame_alloc(allocator, 10), nullptr);
        fa_free(allocator, freed);
        EXPECT_EQ(allocator.Destroy(), kCounted ? 7u : 3u);
    }
    EXPECT_EQ(source.BytesLive(), 0u);
}

TEST(Allocator, FreeByAddressAndUsableSizeForEveryBlock) {
    for (uint32_t checks : AllChecks()) {
        fa_alloc_config config = Plain();
        config.checks = checks;
        Allocator allocator(config);
        for (size_t size = 1; size < 100000; size = size * 3 / 2 + 1) {
            void *pool = fa_pool_alloc(allocator, size), *heap = fa_heap_alloc(allocator, size);
            for (void *block : {pool, heap}) {
                const size_t usable = fa_usable_size(allocator, block);
                ASSERT_GE(usable, size);
                std::memset(block, 5, usable);
            }
            EXPECT_EQ(fa_intent_of(allocator, heap), FA_INTENT_HEAP);
            EXPECT_EQ(fa_intent_of(allocator, pool),
                      size <= 4000 ? FA_INTENT_POOL : fa_intent_of(allocator, pool));
            std::thread([&] {
                EXPECT_GE(fa_usable_size(allocator, pool), size);
                fa_free(allocator, pool);
            }).join();
            fa_free(allocator, heap);
        }
        ExpectValid(allocator);
        EXPECT_EQ(allocator.Destroy(), 0u);
    }
}

TEST(Allocator, TrimGivesBackWhatIsNotNeeded) {
    Source source;
    Allocator allocator(Plain(), source);
    std::vector<void *> blocks;
    for (int i = 0; i < 50000; i++)
        blocks.push_back(fa_pool_alloc(allocator, 200));
    for (int i = 0; i < 30; i++)
        blocks.push_back(fa_heap_alloc(allocator, 300000));
    fa_frame_begin(allocator);
    void *block = fa_frame_alloc(allocator, 1000);
    Paint(block, 1, 1000);
    for (void *each : blocks)
        fa_free(allocator, each);
    const uint64_t before = source.BytesLive();
    const size_t given = fa_allocator_trim(allocator);
    EXPECT_EQ(source.BytesLive(), before - given);
    EXPECT_EQ(source.BytesLive(), Stats(allocator).bytes_held);
    const fa_stats stats = Stats(allocator);
    EXPECT_EQ(stats.bytes_held_by_kind[FA_SPAN_HEAP], 0u);
    EXPECT_EQ(stats.bytes_held_by_kind[FA_SPAN_SEGMENT], 0u);
    EXPECT_TRUE(IsPainted(block, 1, 1000)) << "the open frame is not touched";
    EXPECT_EQ(fa_allocator_trim(allocator), 0u);
    fa_frame_end(allocator);
    ExpectValid(allocator);
}

TEST(Allocator, ManyAtOnceAndInAnyOrder) {
    Source source;
    std::vector<fa_allocator *> allocators(20);
    fa_alloc_config config = Plain(fa_alloc_config_minimal());
    config.backends[0] = source.backend;
    for (fa_allocator *&allocator : allocators)
        ASSERT_EQ(fa_allocator_create(&config, &allocator), FA_OK);
    std::set<void *> blocks;
    for (fa_allocator *allocator : allocators) {
        fa_frame_begin(allocator);
        EXPECT_TRUE(blocks.insert(fa_frame_alloc(allocator, 64)).second);
        EXPECT_TRUE(blocks.insert(fa_pool_alloc(allocator, 64)).second);
    }
    for (size_t i = 0; i < allocators.size(); i++) {
        fa_allocator *allocator = allocators[i * 7 % allocators.size()];
        EXPECT_NE(fa_frame_alloc(allocator, 64), nullptr);
        EXPECT_EQ(fa_allocator_destroy(allocator), kCounted ? 1u : 0u);
    }
    EXPECT_EQ(source.BytesLive(), 0u);
}

TEST(Allocator, PlacementThroughTheChain) {
    fa_alloc_config config = Plain();
    fa_allocator *allocator;
    int nodes[4] = {-9, -9, -9, -9};
    ASSERT_EQ(fa_allocator_create(&config, &allocator), FA_OK);
    void *block = fa_heap_alloc(allocator, 20000);
    EXPECT_EQ(fa_backend_locate(allocator, block, 20000, nodes, 4), FA_ERROR_UNSUPPORTED)
        << "libc can't tell";
    EXPECT_EQ(fa_backend_bind(allocator, block, 20000, 0), FA_ERROR_UNSUPPORTED);
    fa_heap_free(allocator, block);
    EXPECT_EQ(fa_allocator_destroy(allocator), 0u);

    config.backend_spec = "system+numa";
    ASSERT_EQ(fa_allocator_create(&config, &allocator), FA_OK);
    block = fa_heap_alloc(allocator, 20000);
    std::memset(block, 1, 20000);
    fa_status status = fa_backend_locate(allocator, block, 20000, nodes, 4);
    if (status == FA_OK) { /* the second of the chain answers for any address */
        for (int node : nodes)
            EXPECT_GE(node, 0);
    } else {
        EXPECT_EQ(status, FA_ERROR_UNSUPPORTED);
    }
    fa_backend_seal(allocator);
    EXPECT_EQ(fa_backend_locate(allocator, block, 20000, nodes, 4), FA_ERROR_SEALED);
    EXPECT_EQ(fa_backend_bind(allocator, block, 20000, 0), FA_ERROR_SEALED);
    fa_heap_free(allocator, block);
    EXPECT_EQ(fa_allocator_destroy(allocator), 0u);
}

TEST(Allocator, CountsOfTheOpenFrame) {
    Source source;
    Allocator allocator(Plain(), source);
    EXPECT_EQ(fa_frame_count(allocator), 0u);
    fa_frame *frame = fa_frame_begin(allocator);
    for (int i = 0; i < 5; i++)
        EXPECT_NE(fa_frame_alloc(allocator, 10), nullptr);
    EXPECT_EQ(fa_frame_count(allocator), kCounted ? 5u : 0u);
    EXPECT_EQ(fa_frame_count_in(frame), fa_frame_count(allocator));
    EXPECT_EQ(fa_frame_end(allocator), FA_OK);
    EXPECT_EQ(fa_frame_count(allocator), 0u);
}
