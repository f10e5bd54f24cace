#include "backends/backends.h"

#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace {

void *Alloc(fa_backend backend, size_t size, fa_span_kind kind) {
    return backend.vtable->alloc(backend.context, size, 64, kind);
}

void Free(fa_backend backend, void *ptr, size_t size, fa_span_kind kind) {
    backend.vtable->free(backend.context, ptr, size, 64, kind);
}

} // namespace

TEST(Counting, NeedsStateAndInner) {
    fa_counting state;
    EXPECT_EQ(fa_backend_counting(nullptr, fa_backend_system()).vtable, nullptr);
    EXPECT_EQ(fa_backend_counting(&state, fa_backend{}).vtable, nullptr);
}

TEST(Counting, CountsEveryCall) {
    alignas(64) static unsigned char region[1 << 16];
    fa_counting state;
    fa_backend backend = fa_backend_counting(&state, fa_backend_fixed(region, sizeof region));
    ASSERT_NE(backend.vtable, nullptr);
    fa_backend_info info = {};
    backend.vtable->describe(backend.context, &info);
    EXPECT_EQ(std::string(info.text).rfind("counting(fixed:bytes=", 0), 0u) << info.text;

    void *a = Alloc(backend, 1000, FA_SPAN_META);
    void *b = Alloc(backend, 2000, FA_SPAN_CHUNK);
    void *c = Alloc(backend, 3000, FA_SPAN_CHUNK);
    EXPECT_EQ(Alloc(backend, 1 << 20, FA_SPAN_HEAP), nullptr);
    Free(backend, b, 2000, FA_SPAN_CHUNK);
    EXPECT_TRUE(backend.vtable->resize(backend.context, a, 1000, 1500));
    EXPECT_FALSE(backend.vtable->resize(backend.context, a, 1500, 60000));
    EXPECT_TRUE(backend.vtable->resize(backend.context, a, 1500, 500));
    backend.vtable->purge(backend.context, c, 3000);

    fa_backend_counts counts;
    fa_counting_read(&state, &counts);
    EXPECT_EQ(counts.alloc_count[FA_SPAN_META], 1u);
    EXPECT_EQ(counts.alloc_count[FA_SPAN_CHUNK], 2u);
    EXPECT_EQ(counts.alloc_count[FA_SPAN_SEGMENT], 0u);
    EXPECT_EQ(counts.alloc_count[FA_SPAN_HEAP], 0u);
    EXPECT_EQ(counts.free_count[FA_SPAN_CHUNK], 1u);
    EXPECT_EQ(counts.alloc_failed_count, 1u);
    EXPECT_EQ(counts.resize_count, 2u);
    EXPECT_EQ(counts.resize_failed_count, 1u);
    EXPECT_EQ(counts.purge_count, 1u);
    EXPECT_EQ(counts.bytes_live, 3500u);
    EXPECT_EQ(counts.bytes_live_max, 6000u);

    Free(backend, a, 500, FA_SPAN_META);
    Free(backend, c, 3000, FA_SPAN_CHUNK);
    fa_backend_close(backend);
    fa_counting_read(&state, &counts);
    EXPECT_EQ(counts.bytes_live, 0u);
}

TEST(Counting, ThreadsLoseNoCount) {
    fa_counting state;
    fa_backend backend = fa_backend_counting(&state, fa_backend_system());
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; i++)
        threads.emplace_back([&] {
            for (size_t n = 1; n <= 1000; n++)
                Free(backend, Alloc(backend, n, FA_SPAN_HEAP), n, FA_SPAN_HEAP);
        });
    for (std::thread &thread : threads)
        thread.join();
    fa_backend_counts counts;
    fa_counting_read(&state, &counts);
    EXPECT_EQ(counts.alloc_count[FA_SPAN_HEAP], 4000u);
    EXPECT_EQ(counts.free_count[FA_SPAN_HEAP], 4000u);
    EXPECT_EQ(counts.bytes_live, 0u);
    EXPECT_GE(counts.bytes_live_max, 1000u);
    EXPECT_LE(counts.bytes_live_max, 4000u);
    fa_backend_close(backend);
}

TEST(Counting, ClosingClosesInner) {
    static int closed;
    static const fa_backend_vtable vtable = [] {
        fa_backend_vtable table = *fa_backend_system().vtable;
        table.close = [](void *) { closed++; };
        return table;
    }();
    fa_counting counting;
    fa_failing failing;
    fa_backend_close(fa_backend_counting(&counting, fa_backend{&vtable, nullptr}));
    EXPECT_EQ(closed, 1);
    fa_backend_close(fa_backend_failing(&failing, fa_backend{&vtable, nullptr}));
    EXPECT_EQ(closed, 2);
}
