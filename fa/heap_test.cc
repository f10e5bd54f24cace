#include "fa/testing.hpp"

#include <map>
#include <string>

using namespace fa_testing;

namespace {

class HeapTest : public testing::Test {
  protected:
    Events events;
    Source source;
    fa_alloc_config config = Plain();

    HeapTest() {
        fa_last_error_clear();
        events.Watch(&config);
    }
    static std::map<const void *, fa_heap_block> Live(fa_allocator *allocator) {
        std::map<const void *, fa_heap_block> blocks;
        const size_t count = fa_heap_visit(
            allocator,
            [](void *user, const fa_heap_block *block) {
                static_cast<decltype(&blocks)>(user)->emplace(block->address, *block);
            },
            &blocks);
        EXPECT_EQ(count, blocks.size());
        return blocks;
    }
    static bool IsHere(const fa_site &site, int line) {
        return kCounted ? site.file != nullptr && site.line == line &&
                              std::string(site.file).find("heap_test.cc") != std::string::npos
                        : site.file == nullptr;
    }
};

} // namespace

TEST_F(HeapTest, BlocksOfEverySize) {
    for (uint32_t checks : AllChecks()) {
        config.checks = checks;
        config.heap_region_bytes = checks % 2 ? 0 : 256 << 10;
        Allocator allocator(config, source);
        std::vector<void *> blocks;
        for (size_t size = 1; size <= 5000000; size = size * 2 + 1) {
            void *block = fa_heap_alloc(allocator, size);
            ASSERT_NE(block, nullptr);
            EXPECT_TRUE(IsAligned(block, 16));
            if (checks & FA_CHECK_FILL) {
                EXPECT_TRUE(IsFilled(block, 0xAB, size));
            }
            EXPECT_GE(fa_usable_size(allocator, block), size);
            EXPECT_EQ(fa_intent_of(allocator, block), FA_INTENT_HEAP);
            EXPECT_EQ(fa_intent_of(allocator, static_cast<char *>(block) + size - 1),
                      FA_INTENT_HEAP);
            Paint(block, size, size);
            blocks.push_back(block);
        }
        size_t size = 1;
        for (void *block : blocks) {
            EXPECT_TRUE(IsPainted(block, size, size));
            size = size * 2 + 1;
            fa_heap_free(allocator, block);
        }
        ExpectValid(allocator);
        ExpectIdentities(allocator);
    }
}

TEST_F(HeapTest, TheUsableSizeMayBeUsed) {
    for (size_t region : {0u, 4u << 20})
        for (uint32_t checks : {0u, static_cast<uint32_t>(FA_CHECK_GUARD)}) {
            config.heap_region_bytes = region;
            config.checks = checks;
            Allocator allocator(config, source);
            for (size_t size : {1u, 100u, 70000u}) {
                void *block = fa_heap_alloc(allocator, size);
                Paint(block, 1, fa_usable_size(allocator, block));
                ExpectValid(allocator);
                fa_heap_free(allocator, block);
            }
        }
}

TEST_F(HeapTest, EveryAlignment) {
    for (size_t region : {0u, 256u << 10, 4u << 20}) {
        config.heap_region_bytes = region;
        Allocator allocator(config, source);
        std::vector<void *> blocks;
        for (int turn = 0; turn < 2; turn++) { // the second time from what was freed
            for (size_t align = 1; align <= FA_ALIGN_MAX; align *= 2) {
                void *block = fa_heap_alloc_aligned(allocator, 5000, align);
                ASSERT_NE(block, nullptr) << align;
                EXPECT_TRUE(IsAligned(block, align < 16 ? 16 : align));
                Paint(block, align, 5000);
                blocks.push_back(block);
            }
            ExpectValid(allocator);
            for (void *block : blocks)
                fa_heap_free(allocator, block);
            blocks.clear();
        }
    }
}

TEST_F(HeapTest, ReallocKeepsTheAlignmentThatWasAskedFor) {
    for (bool cached : {false, true}) {
        config.heap_region_bytes = cached ? 0 : 4 << 20;
        Allocator allocator(config, source);
        std::vector<void *> blocks;
        if (cached) { // blocks that happen to lie well
            for (int i = 0; i < 64; i++)
                blocks.push_back(fa_heap_alloc(allocator, 8192));
            for (void *block : blocks)
                fa_heap_free(allocator, block);
            blocks.clear();
        }
        for (int i = 0; i < 16; i++) {
            blocks.push_back(fa_heap_alloc_aligned(allocator, 8192, 1024));
            EXPECT_EQ(Live(allocator)[blocks.back()].align, 1024u);
        }
        for (size_t size : {100000u, 200u, 300000u, 5000u})
            for (void *&block : blocks) {
                block = fa_heap_realloc(allocator, block, size);
                ASSERT_NE(block, nullptr);
                EXPECT_TRUE(IsAligned(block, 1024));
                EXPECT_EQ(Live(allocator)[block].align, 1024u);
            }
        for (void *block : blocks)
            fa_heap_free(allocator, block);
    }
}

TEST_F(HeapTest, ZeroedAlsoFromTheCache) {
    for (size_t region : {0u, 4u << 20}) {
        config.heap_region_bytes = region;
        Allocator allocator(config, source);
        for (int i = 0; i < 20; i++) {
            auto *block = static_cast<unsigned char *>(fa_heap_alloc_zeroed(allocator, 3, 3001));
            ASSERT_NE(block, nullptr);
            EXPECT_TRUE(IsFilled(block, 0, 9003));
            std::memset(block, 0xFF, fa_usable_size(allocator, block));
            fa_heap_free(allocator, block);
        }
        double *zeros = fa_heap_array_zeroed(allocator, double, 1000);
        EXPECT_TRUE(IsFilled(zeros, 0, 8000));
        fa_heap_free(allocator, zeros);
        const struct {
            size_t count, size;
        } products[] = {{SIZE_MAX, 2},    {2, SIZE_MAX}, {SIZE_MAX / 2 + 1, 2},
                        {FA_SIZE_MAX, 2}, {0, 1},        {1, 0}};
        for (const auto &p : products) {
            fa_last_error_clear();
            EXPECT_EQ(fa_heap_alloc_zeroed(allocator, p.count, p.size), nullptr);
            EXPECT_EQ(fa_last_error().status, FA_ERROR_INVALID);
        }
    }
}

TEST_F(HeapTest, TheCacheSavesBackendCallsAndKeepsToItsLimit) {
    config.heap_region_bytes = 0;
    config.heap_cache_bytes = 1 << 20;
    Allocator allocator(config, source);
    std::vector<void *> blocks;
    for (int i = 0; i < 100; i++)
        blocks.push_back(fa_heap_alloc(allocator, 50000));
    for (void *block : blocks) {
        fa_heap_free(allocator, block);
        EXPECT_LE(Stats(allocator).heap_cache_bytes, config.heap_cache_bytes);
    }
    EXPECT_GT(Stats(allocator).heap_cache_bytes, config.heap_cache_bytes / 2);
    const uint64_t calls = source.Calls();
    for (int i = 0; i < 1000; i++)
        fa_heap_free(allocator, fa_heap_alloc(allocator, 50000 - i));
    EXPECT_EQ(source.Calls(), calls);
    EXPECT_EQ(Stats(allocator).heap_cache_hit_count, 1000u);
    // A block that is larger than the whole cache is not kept.
    void *large = fa_heap_alloc(allocator, 2 << 20);
    const uint64_t frees = source.Frees(FA_SPAN_HEAP);
    fa_heap_free(allocator, large);
    EXPECT_EQ(source.Frees(FA_SPAN_HEAP), frees + 1);
    const size_t cached = Stats(allocator).heap_cache_bytes;
    EXPECT_EQ(fa_allocator_trim(allocator), cached);
    EXPECT_EQ(Stats(allocator).heap_cache_bytes, 0u);
    EXPECT_EQ(Stats(allocator).bytes_held_by_kind[FA_SPAN_HEAP], 0u);
    ExpectValid(allocator);
}

TEST_F(HeapTest, WithoutACacheEachFreeReachesTheBackend) {
    config.heap_region_bytes = 0;
    config.heap_cache_bytes = 0;
    Allocator allocator(config, source);
    for (int i = 0; i < 100; i++)
        fa_heap_free(allocator, fa_heap_alloc(allocator, 50000));
    EXPECT_EQ(source.Frees(FA_SPAN_HEAP), 100u);
    EXPECT_EQ(Stats(allocator).heap_cache_hit_count, 0u);
}

TEST_F(HeapTest, SmallerBlocksShareRegionsThatGrowTogetherAgain) {
    config.heap_region_bytes = 1 << 20;
    config.heap_cache_bytes = 0;
    Allocator allocator(config, source);
    std::vector<void *> blocks;
    for (size_t i = 0; i < 500; i++)
        blocks.push_back(fa_heap_alloc(allocator, 1 + i * 613 % 20000));
    EXPECT_GE(source.Allocs(FA_SPAN_HEAP), 5u);
    EXPECT_LE(source.Allocs(FA_SPAN_HEAP), 8u);
    EXPECT_EQ(Stats(allocator).heap_region_count, source.Allocs(FA_SPAN_HEAP));
    for (size_t i = 0; i < 500; i++)
        fa_heap_free(allocator, blocks[i * 7 % 500]);
    EXPECT_LE(Stats(allocator).heap_region_count, 1u) << "one stays ready";
    ExpectValid(allocator);
    ExpectIdentities(allocator);
    // All of it is one piece again: the largest block that a region gives fits three times.
    const uint64_t spans = source.Allocs(FA_SPAN_HEAP);
    for (int i = 0; i < 3; i++)
        blocks[i] = fa_heap_alloc(allocator, (1 << 18) - 64);
    EXPECT_EQ(source.Allocs(FA_SPAN_HEAP), spans);
    void *large = fa_heap_alloc(allocator, (1 << 18) + 64);
    EXPECT_EQ(source.Allocs(FA_SPAN_HEAP), spans + 1) << "a span of its own";
    EXPECT_EQ(Stats(allocator).heap_region_count, 1u);
    for (void *block : {blocks[0], blocks[1], blocks[2], large})
        fa_heap_free(allocator, block);
    fa_allocator_trim(allocator);
    EXPECT_EQ(Stats(allocator).bytes_held_by_kind[FA_SPAN_HEAP], 0u);
}

// Less is never refused, and so nobody is asked to make room for it.
TEST_F(HeapTest, ABlockThatShrinksAsksNobody) {
    for (uint32_t checks : {0u, uint32_t{FA_CHECK_ALL}}) {
        events.all.clear();
        fa_alloc_config quiet = config;
        quiet.checks = checks;
        quiet.reserve_bytes = 1 << 16;
        quiet.heap_cache_bytes = 0;
        Allocator allocator(quiet, source);
        size_t asked = 0;
        const auto ask = [](void *user, fa_allocator *, size_t) -> size_t {
            ++*static_cast<size_t *>(user);
            return 0;
        };
        EXPECT_EQ(fa_reclaimer_add(allocator, 0, ask, &asked), FA_OK);
        char *block = static_cast<char *>(fa_heap_alloc(allocator, 30 << 20));
        Paint(block, 1, 12 << 20);
        const size_t reserve = fa_reserve_held(allocator);
        fa_last_error_clear();
        for (size_t size : {12 << 20, 5 << 20, 4096}) {
            if (size != 4096)
                source.Fail(1);
            block = static_cast<char *>(fa_heap_realloc(allocator, block, size));
            source.Fail(0);
            ASSERT_NE(block, nullptr);
            EXPECT_EQ(asked, 0u);
            EXPECT_EQ(fa_reserve_held(allocator), reserve);
            EXPECT_TRUE(events.all.empty());
            EXPECT_EQ(fa_last_error().status, FA_OK);
            EXPECT_EQ(Stats(allocator).heap_live_bytes, size);
            ExpectValid(allocator);
        }
        EXPECT_TRUE(IsPainted(block, 1, 4096));
        fa_heap_free(allocator, block);
    }
}

TEST_F(HeapTest, VisitShowsEachBlockWithItsPlace) {
    Allocator allocator(config, source);
    void *first = fa_heap_alloc(allocator, 100);
    const int line_first = __LINE__ - 1;
    void *second = fa_heap_alloc_aligned(allocator, 200, 256);
    const int line_second = __LINE__ - 1;
    void *third = fa_heap_alloc_zeroed(allocator, 3, 100);
    const int line_third = __LINE__ - 1;
    void *fourth = fa_heap_realloc(allocator, nullptr, 400);
    const int line_fourth = __LINE__ - 1;
    void *hidden = (fa_heap_alloc)(allocator, 5);
    auto blocks = Live(allocator);
    ASSERT_EQ(blocks.size(), 5u);
    EXPECT_EQ(blocks[first].size, 100u);
    EXPECT_EQ(blocks[first].sequence, 1u);
    EXPECT_EQ(blocks[second].align, 256u);
    EXPECT_EQ(blocks[third].size, 300u);
    EXPECT_EQ(blocks[fourth].sequence, 4u);
    EXPECT_TRUE(IsHere(blocks[first].site, line_first)) << blocks[first].site.line;
    EXPECT_TRUE(IsHere(blocks[second].site, line_second)) << blocks[second].site.line;
    EXPECT_TRUE(IsHere(blocks[third].site, line_third)) << blocks[third].site.line;
    EXPECT_TRUE(IsHere(blocks[fourth].site, line_fourth)) << blocks[fourth].site.line;
    EXPECT_EQ(blocks[hidden].site.file, nullptr) << "called without the macro";
    // The last call that gave a block its size has its place, in place or not.
    first = fa_heap_realloc(allocator, first, 101);
    const int line_near = __LINE__ - 1;
    EXPECT_TRUE(IsHere(Live(allocator)[first].site, line_near));
    first = fa_heap_realloc(allocator, first, 1 << 20);
    const int line_far = __LINE__ - 1;
    EXPECT_TRUE(IsHere(Live(allocator)[first].site, line_far));
    for (void *block : {first, second, third, fourth, hidden})
        fa_heap_free(allocator, block);
    EXPECT_EQ(Live(allocator).size(), 0u);
}

TEST_F(HeapTest, TheVisitorMayAllocateAndFree) {
    Allocator allocator(config, source);
    for (int i = 0; i < 50; i++)
        ASSERT_NE(fa_heap_alloc(allocator, 100 + i), nullptr);
    const size_t count = fa_heap_visit(
        allocator,
        [](void *user, const fa_heap_block *block) {
            fa_allocator *from = static_cast<fa_allocator *>(user);
            fa_heap_free(from, const_cast<void *>(block->address));
            fa_heap_free(from, fa_heap_alloc(from, 9000));
        },
        static_cast<fa_allocator *>(allocator));
    EXPECT_EQ(count, 50u);
    EXPECT_EQ(Stats(allocator).heap_live_count, 0u);
    ExpectValid(allocator);
}

TEST_F(HeapTest, AVisitorThatSealsLosesNothing) {
    {
        Allocator allocator(config, source);
        void *block = fa_heap_alloc(allocator, 100);
        EXPECT_EQ(fa_heap_visit(
                      allocator,
                      [](void *user, const fa_heap_block *) {
                          fa_backend_seal(static_cast<fa_allocator *>(user));
                      },
                      static_cast<fa_allocator *>(allocator)),
                  1u);
        fa_heap_free(allocator, block);
        ExpectValid(allocator);
        ExpectIdentities(allocator);
        block = fa_heap_alloc(allocator, 100);
        EXPECT_NE(block, nullptr);
        fa_heap_free(allocator, block);
    }
    EXPECT_EQ(source.BytesLive(), 0u);
}

TEST_F(HeapTest, LeaksAreNamed) {
    {
        Allocator allocator(config, source);
        ASSERT_NE(fa_heap_alloc(allocator, 111), nullptr);
        const int line = __LINE__ - 1;
        for (int i = 0; i < 20; i++)
            ASSERT_NE(fa_heap_alloc(allocator, 222), nullptr);
        ASSERT_NE(fa_pool_alloc(allocator, 32), nullptr);
        EXPECT_EQ(allocator.Destroy(), kCounted ? 22u : 21u);
        bool named = false;
        for (const fa_event &event : events.all) {
            EXPECT_EQ(event.diag, FA_DIAG_FA605);
            EXPECT_EQ(event.severity, FA_SEVERITY_WARNING);
            named |= event.size == 111 && IsHere(event.site, line);
        }
        EXPECT_LE(events.all.size(), 17u);
        EXPECT_GE(events.all.size(), 16u);
        // Only the first 16 are named, in no order.
        size_t of_first = 0;
        for (const fa_event &event : events.all)
            of_first += event.size == 111;
        EXPECT_EQ(named, of_first == 1);
    }
    EXPECT_EQ(source.BytesLive(), 0u);
}

TEST_F(HeapTest, LeaksOfASealedOrStarvedAllocatorAreReportedToo) {
    for (bool sealed : {true, false}) {
        events.all.clear();
        {
            Allocator allocator(config, source);
            ASSERT_NE(fa_heap_alloc(allocator, 111), nullptr);
            if (sealed)
                fa_backend_seal(allocator);
            else
                source.Fail(1);
            EXPECT_EQ(allocator.Destroy(), 1u);
        }
        source.Fail(0);
        EXPECT_EQ(events.Count(FA_DIAG_FA605), 1u) << sealed;
        EXPECT_EQ(source.BytesLive(), 0u);
    }
}

TEST_F(HeapTest, ForeignPointersAreRefused) {
    Allocator allocator(config, source), other(config, source);
    void *mine = fa_heap_alloc(allocator, 100), *theirs = fa_heap_alloc(other, 100);
    int local = 0;
    for (void *wrong : {theirs, static_cast<void *>(&local),
                        static_cast<void *>(static_cast<char *>(mine) + 16)}) {
        fa_last_error_clear();
        fa_heap_free(allocator, wrong);
        EXPECT_EQ(fa_last_error().status, FA_ERROR_FOREIGN);
        EXPECT_EQ(events.Last(FA_DIAG_FA601).address, wrong);
        EXPECT_EQ(fa_heap_realloc(allocator, wrong, 10), nullptr);
        EXPECT_EQ(fa_last_error().diag, FA_DIAG_FA601);
        EXPECT_EQ(fa_usable_size(allocator, wrong), 0u);
    }
    EXPECT_EQ(events.Count(FA_DIAG_FA601), 9u);
    EXPECT_EQ(Stats(allocator).heap_live_count, 1u);
    fa_free(allocator, mine);
    fa_last_error_clear();
    fa_heap_free(allocator, mine);
    EXPECT_EQ(fa_last_error().status, FA_ERROR_FOREIGN) << "twice";
    EXPECT_EQ(fa_intent_of(other, mine), FA_INTENT_NONE);
    fa_heap_free(other, theirs);
    ExpectValid(allocator);
}

TEST_F(HeapTest, OutOfMemoryLeavesTheBlockUntouched) {
    config.heap_region_bytes = 0;
    Allocator allocator(config, source);
    void *block = fa_heap_alloc(allocator, 10000);
    Paint(block, 1, 10000);
    source.Fail(1);
    const fa_stats before = Stats(allocator);
    EXPECT_EQ(fa_heap_alloc(allocator, 100), nullptr);
    const int line = __LINE__ - 1;
    EXPECT_EQ(fa_last_error().status, FA_ERROR_NO_MEMORY);
    EXPECT_TRUE(IsHere(events.Last(FA_DIAG_FA701).site, line));
    EXPECT_EQ(fa_heap_realloc(allocator, block, 1000000), nullptr);
    EXPECT_EQ(fa_last_error().status, FA_ERROR_NO_MEMORY);
    EXPECT_EQ(fa_heap_visit(
                  allocator, [](void *, const fa_heap_block *) {}, nullptr),
              SIZE_MAX);
    source.Fail(0);
    EXPECT_TRUE(IsPainted(block, 1, 10000));
    const fa_stats after = Stats(allocator);
    EXPECT_EQ(after.heap_live_count, before.heap_live_count);
    EXPECT_EQ(after.heap_live_bytes, before.heap_live_bytes);
    EXPECT_EQ(after.bytes_held, before.bytes_held);
    EXPECT_EQ(after.backend_refused_count, before.backend_refused_count + 3);
    ExpectValid(allocator);
    fa_heap_free(allocator, block);
}

TEST_F(HeapTest, ManyBlocksGrowTheTable) {
    Allocator allocator(config, source);
    std::vector<void *> blocks;
    for (size_t i = 0; i < 3000; i++) {
        blocks.push_back(fa_heap_alloc(allocator, 1 + i % 300));
        Paint(blocks.back(), i, 1 + i % 300);
    }
    EXPECT_EQ(Live(allocator).size(), 3000u);
    for (size_t i = 0; i < 3000; i += 2)
        fa_heap_free(allocator, blocks[i]);
    ExpectValid(allocator);
    for (size_t i = 1; i < 3000; i += 2) {
        EXPECT_TRUE(IsPainted(blocks[i], i, 1 + i % 300));
        fa_heap_free(allocator, blocks[i]);
    }
    EXPECT_EQ(Live(allocator).size(), 0u);
}
