#include "fa/testing.hpp"

#include <string>
#include <thread>

using namespace fa_testing;

namespace {

// Random work of every kind; leaves nothing behind.
void Work(fa_allocator *allocator, Random *random) {
    std::vector<void *> blocks;
    for (int frame = 0; frame < 10; frame++) {
        if (fa_frame_begin(allocator) == nullptr)
            continue;
        for (size_t i = random->Below(100); i-- > 0;) {
            const size_t size = random->Size(4000);
            if (void *block = fa_frame_alloc(allocator, size))
                std::memset(block, 1, size);
            if (random->OneIn(2))
                blocks.push_back(fa_pool_alloc(allocator, random->Size(9000)));
            if (random->OneIn(4))
                blocks.push_back(fa_heap_alloc(allocator, random->Size(100000)));
            if (!blocks.empty() && random->OneIn(3)) {
                fa_free(allocator, blocks.back());
                blocks.pop_back();
            }
        }
        ExpectIdentities(allocator);
        fa_frame_end(allocator);
    }
    for (void *block : blocks)
        fa_free(allocator, block);
}

std::string Format(const fa_stats &stats) {
    std::string text(fa_stats_format(&stats, nullptr, 0), 0);
    text.resize(text.size() + 1);
    EXPECT_EQ(fa_stats_format(&stats, &text[0], text.size()), text.size() - 1);
    text.pop_back();
    return text;
}

} // namespace

TEST(Stats, AddUpAfterRandomWork) {
    Random random;
    SCOPED_TRACE(random.Seed());
    for (uint32_t checks : {0u, static_cast<uint32_t>(FA_CHECK_ALL)})
        for (size_t limit : {size_t{0}, size_t{3} << 20}) {
            Source source;
            {
                fa_alloc_config config = Plain(fa_alloc_config_minimal());
                config.checks = checks;
                config.bytes_max = limit;
                config.heap_cache_bytes = 1 << 20;
                Allocator allocator(config, source);
                Work(allocator, &random);
                std::thread([&] { Work(allocator, &random); }).join();
                Work(allocator, &random);
                ExpectIdentities(allocator);
                const fa_stats stats = Stats(allocator);
                const fa_backend_counts counts = source.Counts();
                uint64_t allocs = 0, frees = 0;
                for (int kind = 0; kind < FA_SPAN_KIND_COUNT; kind++) {
                    allocs += counts.alloc_count[kind];
                    frees += counts.free_count[kind];
                }
                EXPECT_EQ(stats.backend_alloc_count, allocs);
                EXPECT_EQ(stats.backend_free_count, frees);
                EXPECT_EQ(stats.bytes_held, counts.bytes_live);
                EXPECT_EQ(stats.thread_count, 1u);
                if (limit == 0) { // else the second thread may have found no room
                    EXPECT_EQ(stats.frame_count, 30u);
                    EXPECT_EQ(stats.thread_attach_count, 2u);
                }
                EXPECT_EQ(stats.heap_live_count, 0u);
                EXPECT_EQ(stats.heap_live_bytes, 0u);
                EXPECT_EQ(stats.pool_live_count, 0u);
                EXPECT_EQ(stats.pool_live_bytes, 0u);
                if (kCounted) {
                    EXPECT_GT(stats.frame_alloc_count, 0u);
                    EXPECT_GT(stats.pool_alloc_count, 0u);
                } else {
                    EXPECT_EQ(stats.frame_alloc_count, 0u);
                    EXPECT_EQ(stats.pool_alloc_count + stats.pool_free_count, 0u);
                }
                fa_allocator_trim(allocator);
                EXPECT_EQ(Stats(allocator).bytes_held_by_kind[FA_SPAN_HEAP], 0u);
                ExpectIdentities(allocator);
            }
            EXPECT_EQ(source.BytesLive(), 0u);
        }
}

TEST(Stats, CountEachKindOfCall) {
    Allocator allocator(Plain());
    fa_frame_begin(allocator);
    for (int i = 0; i < 5; i++)
        ASSERT_NE(fa_frame_alloc(allocator, 100), nullptr);
    EXPECT_EQ(Stats(allocator).frame_count, 0u) << "of ended frames";
    const size_t bytes = fa_frame_bytes(allocator);
    fa_frame_end(allocator);
    void *pool = fa_pool_alloc(allocator, 100), *heap = fa_heap_alloc(allocator, 70000);
    fa_stats stats = Stats(allocator);
    EXPECT_EQ(stats.frame_count, 1u);
    EXPECT_EQ(stats.frame_alloc_count, kCounted ? 5u : 0u);
    EXPECT_EQ(stats.frame_bytes, bytes);
    EXPECT_EQ(stats.frame_bytes_peak, bytes);
    EXPECT_GT(stats.frame_bytes_needed, bytes);
    EXPECT_EQ(stats.pool_live_count, kCounted ? 1u : 0u);
    EXPECT_EQ(stats.pool_live_bytes, kCounted ? 112u : 0u);
    EXPECT_EQ(stats.pool_segment_count, 1u);
    EXPECT_EQ(stats.pool_slab_count, 1u);
    EXPECT_EQ(stats.heap_live_count, 1u);
    EXPECT_EQ(stats.heap_live_bytes, 70000u);
    std::thread([&] { fa_pool_free(allocator, pool); }).join();
    fa_heap_free(allocator, heap);
    stats = Stats(allocator);
    EXPECT_EQ(stats.pool_remote_count, 1u);
    EXPECT_EQ(stats.pool_free_count, kCounted ? 1u : 0u);
    EXPECT_EQ(stats.heap_free_count, 1u);
    EXPECT_EQ(stats.heap_bytes_peak, 70000u);
    ExpectIdentities(allocator);
}

TEST(Stats, Text) {
    fa_stats stats = {};
    const std::string empty = Format(stats);
    stats.bytes_held = 12345;
    stats.bytes_held_by_kind[FA_SPAN_HEAP] = 678;
    stats.frame_overflow_site = fa_site{"file.c", "function", 42};
    stats.diag_count[FA_DIAG_FA003] = 9;
    const std::string text = Format(stats);
    size_t lines = 0;
    for (size_t begin = 0, end; begin < text.size(); begin = end + 1, lines++) {
        end = text.find('\n', begin);
        ASSERT_NE(end, std::string::npos) << "each line ends";
        const std::string line = text.substr(begin, end - begin);
        // A name, padding to column 24, a value.
        ASSERT_GT(line.size(), 24u) << line;
        EXPECT_EQ(line[23], ' ') << line;
        EXPECT_EQ(line.find(' '), line.find_last_not_of(' ', 23) + 1) << line;
        EXPECT_EQ(line.find(' ', 24), std::string::npos) << line;
    }
    EXPECT_GT(lines, 30u);
    EXPECT_EQ(text.rfind("bytes_held              12345\n", 0), 0u);
    EXPECT_NE(text.find("\nbytes_held_heap         678\n"), std::string::npos) << text;
    EXPECT_NE(text.find("\nframe_overflow_site     file.c:42\n"), std::string::npos);
    EXPECT_NE(text.find("\nFA003                   9\n"), std::string::npos);
    EXPECT_EQ(empty.find("FA0"), std::string::npos) << "only what was met";
    EXPECT_EQ(empty.find("site"), std::string::npos);
    // Cut where there is less room, always terminated, never written past.
    for (size_t room : {size_t{1}, size_t{2}, size_t{30}, text.size(), text.size() + 1}) {
        std::string cut(room + 8, '#');
        EXPECT_EQ(fa_stats_format(&stats, &cut[0], room), text.size());
        EXPECT_EQ(std::string(cut.c_str()), text.substr(0, room - 1));
        EXPECT_EQ(cut.substr(room), "########");
    }
}

TEST(Stats, ASuggestionOutlivesItsAllocator) {
    fa_alloc_config config = Plain(), next;
    config.name = "a name";
    config.frames_in_flight = 3;
    config.frame_chunk_bytes_first = config.frame_chunk_bytes_max = 4096;
    config.frame_bytes_max = 3 * 4096;
    config.frame_full = FA_FRAME_FULL_SPILL;
    {
        Allocator allocator(config);
        for (int frame = 0; frame < 6; frame++) {
            fa_frame_begin(allocator);
            for (int i = 0; i < 100; i++)
                ASSERT_NE(fa_frame_alloc(allocator, 1000), nullptr);
            fa_frame_end(allocator);
        }
        ASSERT_EQ(fa_stats_suggest_config(allocator, &next), FA_OK);
    }
    EXPECT_EQ(next.name, nullptr);
    EXPECT_EQ(next.backend_spec, nullptr);
    EXPECT_EQ(next.frames_in_flight, 3u);
    next.backend_spec = "system";
    Allocator allocator(next);
    for (int frame = 0; frame < 6; frame++) {
        fa_frame_begin(allocator);
        for (int i = 0; i < 100; i++)
            ASSERT_NE(fa_frame_alloc(allocator, 1000), nullptr);
        fa_frame_end(allocator);
    }
    EXPECT_EQ(Stats(allocator).frame_overflow_count, 0u);
    EXPECT_EQ(Stats(allocator).frame_spill_count, 0u);
}
