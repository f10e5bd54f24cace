// Structures of arrays, batches and cache lines.
#include "fa/testing.hpp"

#include <algorithm>
#include <string>

using namespace fa_testing;

namespace {

struct alignas(256) Wide {
    unsigned char bytes[256];
};

#define PARTICLE_FIELDS(X) X(float, x) X(double, mass) X(uint8_t, alive) X(char *, name)
FA_SOA(particles, PARTICLE_FIELDS)

#define MIXED_FIELDS(X) X(uint8_t, small) X(Wide, wide) X(uint16_t, last)
FA_SOA(mixed, MIXED_FIELDS)

#define ONE_FIELD(X) X(uint32_t, only)
FA_SOA(one, ONE_FIELD)

struct Range {
    const char *begin;
    size_t size;
};

template <class T> Range RangeOf(const T *column, size_t count) {
    return Range{reinterpret_cast<const char *>(column), count * sizeof(T)};
}

// Apart from each other, and all inside of the block.
void ExpectApart(std::vector<Range> ranges, const char *block, size_t bytes) {
    std::sort(ranges.begin(), ranges.end(),
              [](const Range &a, const Range &b) { return a.begin < b.begin; });
    const char *end = block;
    for (const Range &range : ranges) {
        EXPECT_GE(range.begin, end);
        end = range.begin + range.size;
    }
    EXPECT_LE(end, block + bytes);
}

fa_alloc_config Tiny(uint32_t checks = 0) {
    fa_alloc_config config = Plain();
    config.checks = checks;
    config.frame_chunk_bytes_first = config.frame_chunk_bytes_max = 4096;
    return config;
}

} // namespace

TEST(SoaMeasure, ColumnsStartOnLinesInTheirOrder) {
    const fa_soa_column columns[] = {{4, 0}, {1, 0}, {8, 0}};
    size_t offsets[3];
    fa_soa_layout layout;
    ASSERT_EQ(fa_soa_measure(columns, 3, 17, offsets, &layout), FA_OK);
    EXPECT_EQ(offsets[0], 0u);
    EXPECT_EQ(offsets[1], 128u) << "68 bytes fill two lines";
    EXPECT_EQ(offsets[2], 192u);
    EXPECT_EQ(layout.bytes, 384u);
    EXPECT_EQ(layout.align, 64u);
}

TEST(SoaMeasure, KeepsToTheAlignmentAskedFor) {
    const fa_soa_column columns[] = {{1, 1}, {2, 2}, {1, 1}, {4, 4096}, {3, 1}};
    size_t offsets[5];
    fa_soa_layout layout;
    ASSERT_EQ(fa_soa_measure(columns, 5, 3, offsets, &layout), FA_OK);
    EXPECT_EQ(offsets[1], 4u);
    EXPECT_EQ(offsets[2], 10u) << "packed";
    EXPECT_EQ(offsets[3], 4096u);
    EXPECT_EQ(offsets[4], 8192u);
    EXPECT_EQ(layout.bytes, 12288u) << "whole alignments, so that blocks may lie side by side";
    EXPECT_EQ(layout.align, 4096u);
    const fa_soa_column small = {1, 1};
    ASSERT_EQ(fa_soa_measure(&small, 1, 3, offsets, &layout), FA_OK);
    EXPECT_EQ(layout.align, FA_ALIGN_MIN);
    EXPECT_EQ(layout.bytes, 16u);
}

// Elements of equal index would otherwise fall into the same set of the cache.
TEST(SoaMeasure, ColumnsOfWholePagesLieALineApart) {
    const fa_soa_column columns[] = {{4, 0}, {4, 0}, {4, 128}, {4, 4096}, {4, 16}, {4, 16}};
    size_t offsets[6];
    fa_soa_layout layout;
    ASSERT_EQ(fa_soa_measure(columns, 6, 2048, offsets, &layout), FA_OK);
    EXPECT_EQ(offsets[1], 8192u + 64);
    EXPECT_EQ(offsets[2], 16384u + 128);
    EXPECT_EQ(offsets[3], 28672u) << "nothing that could be done";
    EXPECT_EQ(offsets[4], 28672u + 8192);
    EXPECT_EQ(offsets[5], offsets[4] + 8192) << "close, as asked";
}

TEST(SoaMeasure, RefusesWhatIsTooLarge) {
    const size_t most = FA_SIZE_MAX & ~size_t{63};
    const fa_soa_column bytes[] = {{1, 0}, {1, 0}}, wide[] = {{2, 0}, {SIZE_MAX / 2, 0}};
    size_t offsets[2] = {7, 7};
    fa_soa_layout layout = {7, 7};
    EXPECT_EQ(fa_soa_measure(bytes, 1, most + 64, offsets, &layout), FA_ERROR_INVALID);
    EXPECT_EQ(fa_soa_measure(bytes, 2, most / 2 + 64, offsets, &layout), FA_ERROR_INVALID);
    EXPECT_EQ(fa_soa_measure(wide, 2, 3, offsets, &layout), FA_ERROR_INVALID);
    EXPECT_EQ(offsets[0], 7u);
    EXPECT_EQ(layout.bytes, 7u);
    EXPECT_EQ(fa_soa_measure(bytes, 1, most - 64, offsets, &layout), FA_OK);
    EXPECT_EQ(layout.bytes, most - 64);
    fa_soa_column many[FA_SOA_COLUMN_COUNT_MAX];
    size_t places[FA_SOA_COLUMN_COUNT_MAX];
    std::fill(many, many + FA_SOA_COLUMN_COUNT_MAX, fa_soa_column{1, 0});
    EXPECT_EQ(fa_soa_measure(many, FA_SOA_COLUMN_COUNT_MAX, 1, places, &layout), FA_OK);
    EXPECT_EQ(layout.bytes, 64 * FA_SOA_COLUMN_COUNT_MAX);
}

TEST(Soa, ModelOfRandomColumns) {
    Random random;
    for (uint32_t checks : {0u, static_cast<uint32_t>(FA_CHECK_ALL)}) {
        Allocator allocator(Tiny(checks));
        for (int turn = 0; turn < 200; turn++) {
            fa_frame *frame = fa_frame_begin(allocator);
            ASSERT_NE(frame, nullptr);
            struct Column {
                void *block;
                uint64_t mark;
                size_t size;
            };
            std::vector<Column> painted;
            for (size_t group = 1 + random.Below(4); group-- > 0;) {
                fa_soa_column columns[FA_SOA_COLUMN_COUNT_MAX];
                void *arrays[FA_SOA_COLUMN_COUNT_MAX];
                size_t offsets[FA_SOA_COLUMN_COUNT_MAX];
                fa_soa_layout layout;
                const size_t column_count = random.Size(FA_SOA_COLUMN_COUNT_MAX);
                const size_t count = random.OneIn(4) ? 1024 : random.Size(2000);
                for (size_t i = 0; i < column_count; i++) {
                    columns[i].size = random.Size(100);
                    columns[i].align = random.OneIn(2) ? 0 : size_t{1} << random.Below(10);
                }
                ASSERT_EQ(fa_soa_measure(columns, column_count, count, offsets, &layout), FA_OK);
                const fa_status status =
                    random.OneIn(2) ? fa_soa_alloc_in(frame, columns, column_count, count, arrays)
                                    : fa_soa_alloc(allocator, columns, column_count, count, arrays);
                ASSERT_EQ(status, FA_OK);
                std::vector<Range> ranges;
                for (size_t i = 0; i < column_count; i++) {
                    const size_t align = columns[i].align != 0 ? columns[i].align : FA_CACHE_LINE;
                    EXPECT_TRUE(IsAligned(arrays[i], align));
                    EXPECT_EQ(static_cast<char *>(arrays[i]) - static_cast<char *>(arrays[0]),
                              static_cast<ptrdiff_t>(offsets[i]));
                    // Up to the end of its last vector.
                    const size_t size = (columns[i].size * count + align - 1) / align * align;
                    ranges.push_back(Range{static_cast<char *>(arrays[i]), size});
                    painted.push_back(Column{arrays[i], random.Below(1000), size});
                    Paint(arrays[i], painted.back().mark, size);
                }
                EXPECT_EQ(layout.bytes % layout.align, 0u);
                ExpectApart(ranges, static_cast<char *>(arrays[0]), layout.bytes);
                ASSERT_FALSE(HasFailure());
            }
            for (const Column &column : painted)
                EXPECT_TRUE(IsPainted(column.block, column.mark, column.size));
            ExpectValid(allocator);
            EXPECT_EQ(fa_frame_end_in(frame), FA_OK);
        }
    }
}

TEST(Soa, TypedFormAgreesWithMeasure) {
    Allocator allocator(Plain());
    fa_frame *frame = fa_frame_begin(allocator);
    for (size_t count : {1u, 7u, 16u, 1000u, 1024u, 4096u, 5000u}) {
        const fa_soa_column columns[] = {{4, 0}, {8, 0}, {1, 0}, {sizeof(char *), 0}};
        size_t offsets[4];
        fa_soa_layout layout;
        ASSERT_EQ(fa_soa_measure(columns, 4, count, offsets, &layout), FA_OK);
        EXPECT_EQ(fa_soa_bytes(particles, count), layout.bytes);
        EXPECT_EQ(fa_soa_align(particles), layout.align);
        particles p = {}, q = {};
        const uint64_t before = fa_frame_count_in(frame);
        ASSERT_EQ(fa_soa_new_in(frame, particles, count, &p), FA_OK);
        ASSERT_EQ(fa_soa_new(allocator, particles, count, &q), FA_OK);
        EXPECT_EQ(fa_frame_count_in(frame) - before, kCounted ? 2u : 0u);
        for (const particles &each : {p, q}) {
            EXPECT_EQ(each.count, count);
            const char *block = reinterpret_cast<const char *>(each.x);
            EXPECT_TRUE(IsAligned(block, 64));
            EXPECT_EQ(reinterpret_cast<const char *>(each.mass) - block, ptrdiff_t(offsets[1]));
            EXPECT_EQ(reinterpret_cast<const char *>(each.alive) - block, ptrdiff_t(offsets[2]));
            EXPECT_EQ(reinterpret_cast<const char *>(each.name) - block, ptrdiff_t(offsets[3]));
        }
        for (size_t i = 0; i < count; i++)
            p.x[i] = q.x[i] = static_cast<float>(i), p.mass[i] = 2, p.alive[i] = 1,
            p.name[i] = nullptr;
        EXPECT_EQ(q.x[count - 1], static_cast<float>(count - 1));
    }
    EXPECT_EQ(fa_frame_end_in(frame), FA_OK);
}

TEST(Soa, TypesKeepTheirOwnAlignment) {
    Allocator allocator(Plain());
    fa_frame *frame = fa_frame_begin(allocator);
    EXPECT_EQ(fa_soa_align(mixed), 256u);
    mixed m = {};
    ASSERT_EQ(fa_soa_new_in(frame, mixed, 3, &m), FA_OK);
    EXPECT_TRUE(IsAligned(m.small, 256));
    EXPECT_TRUE(IsAligned(m.wide, 256));
    EXPECT_TRUE(IsAligned(m.last, 64));
    EXPECT_EQ(fa_soa_bytes(mixed, 3), 256u + 3 * 256 + 256);
    ExpectApart({RangeOf(m.small, 3), RangeOf(m.wide, 3), RangeOf(m.last, 3)},
                reinterpret_cast<char *>(m.small), fa_soa_bytes(mixed, 3));
    EXPECT_EQ(fa_frame_end_in(frame), FA_OK);
}

TEST(Soa, BlocksOfAnyIntent) {
    Allocator allocator(Plain());
    for (size_t count : {5u, 100000u}) {
        void *blocks[] = {
            fa_heap_alloc_aligned(allocator, fa_soa_bytes(particles, count),
                                  fa_soa_align(particles)),
            fa_pool_alloc_aligned(allocator, fa_soa_bytes(particles, count),
                                  fa_soa_align(particles)),
        };
        for (void *block : blocks) {
            ASSERT_NE(block, nullptr);
            particles p = {};
            fa_soa_place(particles, block, count, &p);
            EXPECT_EQ(static_cast<void *>(p.x), block);
            EXPECT_EQ(p.count, count);
            p.name[count - 1] = nullptr;
            ExpectApart({RangeOf(p.x, count), RangeOf(p.mass, count), RangeOf(p.alive, count),
                         RangeOf(p.name, count)},
                        static_cast<char *>(block), fa_soa_bytes(particles, count));
            fa_free(allocator, block);
        }
    }
    EXPECT_EQ(allocator.Destroy(), 0u);
}

TEST(Soa, TypedFormRefusesAndChangesNothing) {
    Allocator allocator(Plain());
    particles p = {};
    p.count = 7;
    EXPECT_EQ(fa_soa_new(allocator, particles, 10, &p), FA_ERROR_NO_FRAME);
    fa_frame *frame = fa_frame_begin(allocator);
    const size_t row = sizeof(float) + sizeof(double) + 1 + sizeof(char *);
    for (size_t count : {size_t{0}, SIZE_MAX, SIZE_MAX / 2, SIZE_MAX / row, SIZE_MAX / row + 1,
                         FA_SIZE_MAX / row}) {
        SCOPED_TRACE(count);
        fa_last_error_clear();
        EXPECT_EQ(fa_soa_new_in(frame, particles, count, &p), FA_ERROR_INVALID);
        EXPECT_EQ(fa_soa_new(allocator, particles, count, &p), FA_ERROR_INVALID);
        fa_last_error_clear();
        EXPECT_EQ(fa_soa_bytes(particles, count), 0u);
        EXPECT_EQ(fa_last_error().status, FA_ERROR_INVALID);
    }
    EXPECT_NE(fa_soa_bytes(particles, FA_SIZE_MAX / row - 1000), 0u);
    EXPECT_EQ(fa_soa_new_in(nullptr, particles, 10, &p), FA_ERROR_INVALID);
    EXPECT_EQ(fa_soa_new(nullptr, particles, 10, &p), FA_ERROR_INVALID);
    particles *nowhere = nullptr;
    EXPECT_EQ(fa_soa_new_in(frame, particles, 10, nowhere), FA_ERROR_INVALID);
    EXPECT_EQ(fa_soa_new(allocator, particles, 10, nowhere), FA_ERROR_INVALID);
    EXPECT_EQ(p.count, 7u);
    EXPECT_EQ(p.x, nullptr);
    EXPECT_EQ(fa_frame_bytes_in(frame), 0u);
    EXPECT_EQ(fa_frame_end_in(frame), FA_OK);
}

TEST(Soa, TheLimitOfTheFrameHolds) {
    fa_alloc_config config = Tiny();
    config.frame_bytes_max = 16384;
    Allocator allocator(config);
    fa_frame *frame = fa_frame_begin(allocator);
    particles p = {};
    EXPECT_EQ(fa_soa_new_in(frame, particles, 10000, &p), FA_ERROR_LIMIT);
    EXPECT_EQ(p.x, nullptr);
    EXPECT_EQ(fa_soa_new_in(frame, particles, 100, &p), FA_OK);
    EXPECT_EQ(fa_frame_end_in(frame), FA_OK);
}

// At each call to the backend: all columns or none, and what was there stays.
TEST(Soa, FaultsLeaveEverythingAsItWas) {
    for (bool lasting : {false, true}) {
        uint64_t at = 1;
        for (bool failed = true; failed; at++) {
            ASSERT_LT(at, 100u);
            Source source;
            fa_alloc_config config = Tiny();
            config.backends[0] = source.backend;
            source.Fail(at, lasting);
            fa_allocator *allocator = nullptr;
            if (fa_allocator_create(&config, &allocator) == FA_OK) {
                fa_frame *frame = fa_frame_begin(allocator);
                for (size_t count = 10; frame != nullptr && count < 20000; count *= 3) {
                    one o = {};
                    particles p = {};
                    void *arrays[2] = {&o, &p};
                    const fa_soa_column columns[] = {{3, 0}, {100, 128}};
                    const size_t bytes = fa_frame_bytes_in(frame);
                    if (fa_soa_new_in(frame, particles, count, &p) != FA_OK) {
                        EXPECT_EQ(p.x, nullptr);
                        EXPECT_EQ(fa_frame_bytes_in(frame), bytes);
                    } else {
                        EXPECT_EQ(p.count, count);
                    }
                    if (fa_soa_alloc(allocator, columns, 2, count, arrays) != FA_OK) {
                        EXPECT_EQ(fa_last_error().status, FA_ERROR_NO_MEMORY);
                        EXPECT_EQ(arrays[0], &o);
                        EXPECT_EQ(arrays[1], &p);
                    } else {
                        Paint(arrays[1], 1, 100 * count);
                    }
                    ExpectValid(allocator);
                }
                fa_frame_end(allocator);
                fa_allocator_destroy(allocator);
            }
            failed = fa_failing_calls(&source.failing, FA_FAILING_ALLOC) >= at;
            EXPECT_EQ(source.BytesLive(), 0u);
        }
        EXPECT_GT(at, 3u);
    }
}

TEST(Soa, ReportsThePlaceOfTheCall) {
    Events events;
    fa_alloc_config config = Plain();
    events.Watch(&config);
    Allocator allocator(config);
    particles p = {};
    EXPECT_EQ(fa_soa_new(allocator, particles, 10, &p), FA_ERROR_NO_FRAME);
    const int line = __LINE__ - 1;
    const fa_event event = events.Last(FA_DIAG_FA001);
    if (kDebug) {
        EXPECT_EQ(event.site.line, line);
        EXPECT_NE(std::string(event.site.file).find("soa_test"), std::string::npos);
    } else {
        EXPECT_EQ(event.site.file, nullptr) << line;
    }
}

TEST(Batch, CoversEverythingOnceInOrder) {
    for (size_t count : {0u, 1u, 7u, 8u, 9u, 100u})
        for (size_t most : {size_t{1}, size_t{3}, size_t{8}, size_t{1000}, SIZE_MAX}) {
            std::vector<std::pair<size_t, size_t>> called, looped;
            EXPECT_EQ(fa_batch_each(
                          count, most,
                          [](void *user, size_t first, size_t n) {
                              static_cast<decltype(called) *>(user)->emplace_back(first, n);
                          },
                          &called),
                      FA_OK);
            FA_BATCHES (batch, count, most)
                looped.emplace_back(batch.first, batch.count);
            EXPECT_EQ(called, looped);
            size_t next = 0;
            for (const auto &[first, n] : called) {
                EXPECT_EQ(first, next);
                EXPECT_EQ(n, std::min(most, count - first)) << "only the last one is shorter";
                next += n;
            }
            EXPECT_EQ(next, count);
        }
}

TEST(Batch, OfTheLargestCounts) {
    size_t calls = 0, last = 0;
    FA_BATCHES (batch, SIZE_MAX, SIZE_MAX / 2) {
        calls++;
        last = batch.first + batch.count;
    }
    EXPECT_EQ(calls, 3u);
    EXPECT_EQ(last, SIZE_MAX);
}

TEST(Batch, LoopsTakeBreakAndContinue) {
    size_t seen = 0, count_evaluated = 0;
    FA_BATCHES (batch, (count_evaluated++, 100), 10) {
        if (batch.first < 30)
            continue;
        if (batch.first == 60)
            break;
        seen += batch.count;
    }
    EXPECT_EQ(seen, 30u);
    EXPECT_EQ(count_evaluated, 1u);
}

TEST(Batch, OfNothingRunsNothing) {
    fa_last_error_clear();
    FA_BATCHES (batch, 10, 0)
        ADD_FAILURE() << batch.first;
    EXPECT_EQ(fa_last_error().status, FA_ERROR_INVALID);
}

TEST(Batch, OverAStructureOfArrays) {
    Allocator allocator(Plain());
    fa_frame *frame = fa_frame_begin(allocator);
    one values = {};
    ASSERT_EQ(fa_soa_new_in(frame, one, 1000, &values), FA_OK);
    FA_BATCHES (batch, values.count, 256) {
        EXPECT_TRUE(IsAligned(values.only + batch.first, 64));
        for (size_t i = batch.first; i < batch.first + batch.count; i++)
            values.only[i] = static_cast<uint32_t>(i);
    }
    for (size_t i = 0; i < values.count; i++)
        EXPECT_EQ(values.only[i], i);
    EXPECT_EQ(fa_frame_end_in(frame), FA_OK);
}

TEST(CacheLines, NeighboursShareNone) {
    Random random;
    for (uint32_t checks : {0u, static_cast<uint32_t>(FA_CHECK_ALL)}) {
        Allocator allocator(Tiny(checks));
        for (int turn = 0; turn < 50; turn++) {
            fa_frame *frame = fa_frame_begin(allocator);
            std::vector<Range> lines, all;
            for (int i = 0; i < 60; i++) {
                const size_t size = random.Size(300);
                if (random.OneIn(2)) {
                    all.push_back(Range{static_cast<char *>(fa_frame_alloc_in(frame, size)), size});
                    continue;
                }
                const size_t align = size_t{1} << random.Below(9), whole = (size + 63) / 64 * 64;
                char *block = static_cast<char *>(
                    random.OneIn(2) ? fa_frame_alloc_lines_in(frame, size, align)
                                    : fa_frame_alloc_lines(allocator, size, align));
                ASSERT_NE(block, nullptr);
                EXPECT_TRUE(IsAligned(block, align < 64 ? 64 : align));
                std::memset(block, 1, whole);
                all.push_back(Range{block, whole});
                lines.push_back(Range{block, whole});
            }
            for (const Range &line : lines)
                for (const Range &other : all)
                    EXPECT_TRUE(other.begin == line.begin ||
                                other.begin + other.size <= line.begin ||
                                other.begin >= line.begin + line.size);
            ExpectValid(allocator);
            EXPECT_EQ(fa_frame_end_in(frame), FA_OK);
        }
    }
}

TEST(CacheLines, TypedForms) {
    struct FA_CACHE_ALIGNED Counter {
        uint64_t value;
    };
    static_assert(sizeof(Counter) == 64 && alignof(Counter) == 64, "fills whole lines");
    Allocator allocator(Plain());
    fa_frame *frame = fa_frame_begin(allocator);
    EXPECT_NE(fa_frame_alloc_in(frame, 16), nullptr);
    int *number = fa_frame_new_lines_in(frame, int);
    EXPECT_TRUE(IsAligned(number, 64));
    EXPECT_TRUE(IsAligned(fa_frame_new_lines(allocator, Wide), 256));
    EXPECT_TRUE(IsAligned(fa_frame_array_lines_in(frame, int, 100), 64));
    EXPECT_TRUE(IsAligned(fa_frame_array_lines(allocator, Counter, 100), 64));
    EXPECT_EQ(fa_frame_array_lines_in(frame, int, SIZE_MAX / 2), nullptr);
    EXPECT_EQ(fa_last_error().status, FA_ERROR_INVALID);
    EXPECT_EQ(fa_frame_array_lines(allocator, int, 0), nullptr);
    EXPECT_EQ(fa_frame_end_in(frame), FA_OK);
}
