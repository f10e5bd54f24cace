// Defects that allocators of this kind have had, one test each.
#include "fa/testing_threads.hpp"

#include <algorithm>
#include <sys/mman.h>
#include <unistd.h>

using namespace fa_testing;

namespace {

fa_alloc_config Named(const char *name, size_t chunk_bytes) {
    fa_alloc_config config = Config();
    config.name = name;
    config.frame_chunk_bytes_first = chunk_bytes;
    config.frame_chunk_bytes_max = chunk_bytes;
    return config;
}

} // namespace

TEST(Regression, TwoAllocatorsOnOneThreadShareTheirArena) {
    Tracked first, second;
    ASSERT_NE(fa_frame_begin(first), nullptr);
    ASSERT_NE(fa_frame_begin(second), nullptr) << "blocked by the other one's frame";
    void *a = fa_frame_alloc(first, 100);
    memset(a, 1, 100);
    void *b = fa_frame_alloc(second, 100);
    memset(b, 2, 100);
    EXPECT_TRUE(IsFilled(a, 1, 100));
    EXPECT_EQ(fa_frame_end(second), FA_OK);
    EXPECT_TRUE(IsFilled(a, 1, 100)) << "the other one's end ended this frame";
    EXPECT_NE(fa_frame_alloc(first, 100), nullptr);
    EXPECT_EQ(fa_frame_end(first), FA_OK);
}

TEST(Regression, ConfiguredArenaSizeIsIgnored) {
    for (size_t bytes : {size_t{8} << 10, size_t{256} << 10, size_t{3} << 20}) {
        Tracked allocator(Named("size", bytes));
        fa_frame_begin(allocator);
        EXPECT_NE(fa_frame_alloc(allocator, 16), nullptr);
        EXPECT_EQ(allocator.Stats().bytes_held_by_kind[FA_SPAN_CHUNK], bytes);
        EXPECT_NE(fa_frame_alloc(allocator, bytes / 2), nullptr);
        EXPECT_EQ(allocator.Stats().frame_overflow_count, 0u);
        EXPECT_NE(fa_frame_alloc(allocator, bytes / 2), nullptr);
        EXPECT_EQ(allocator.Stats().frame_overflow_count, 1u);
        fa_frame_end(allocator);
    }
}

TEST(Regression, AlignmentAboveSixteenIsNotHonoured) {
    Tracked allocator;
    fa_frame_begin(allocator);
    for (size_t align = 32; align <= FA_ALIGN_MAX; align *= 2)
        for (size_t size : {size_t{1}, align / 2 + 1, align}) {
            void *frame = fa_frame_alloc_aligned(allocator, size, align);
            void *pool = fa_pool_alloc_aligned(allocator, size, align);
            void *heap = fa_heap_alloc_aligned(allocator, size, align);
            for (void *block : {frame, pool, heap}) {
                ASSERT_NE(block, nullptr);
                EXPECT_TRUE(IsAligned(block, align)) << size << " at " << align;
            }
            fa_pool_free(allocator, pool);
            fa_heap_free(allocator, heap);
        }
    fa_frame_end(allocator);
}

TEST(Regression, EachExitingThreadLeaksASlab) {
    Tracked allocator;
    size_t held = 0;
    for (int i = 0; i < 300; i++) {
        OnThread([&] {
            for (size_t size = 16; size <= 4096; size *= 2)
                fa_pool_free(allocator, fa_pool_alloc(allocator, size));
        });
        if (i == 10)
            held = allocator.Held();
    }
    EXPECT_EQ(allocator.Held(), held);
}

TEST(Regression, ObjectsFreedByAnotherThreadAreNeverUsedAgain) {
    Tracked allocator;
    size_t held = 0;
    for (int i = 0; i < 200; i++) {
        std::vector<void *> blocks(2000);
        ASSERT_EQ(fa_pool_alloc_batch(allocator, 200, blocks.size(), blocks.data()), FA_OK);
        OnThread([&] { fa_pool_free_batch(allocator, blocks.data(), blocks.size()); });
        if (i == 10)
            held = allocator.Held();
    }
    EXPECT_EQ(allocator.Held(), held);
}

TEST(Regression, StatisticsOfFramesAndPoolsAreZero) {
    if (!kCounted)
        GTEST_SKIP() << "nothing is counted";
    Tracked allocator;
    fa_frame_begin(allocator);
    for (int i = 0; i < 10; i++)
        EXPECT_NE(fa_frame_alloc(allocator, 100), nullptr);
    fa_frame_end(allocator);
    void *block = fa_pool_alloc(allocator, 100);
    fa_stats stats = allocator.Stats();
    EXPECT_EQ(stats.frame_count, 1u);
    EXPECT_EQ(stats.frame_alloc_count, 10u);
    EXPECT_GE(stats.frame_bytes, 1000u);
    EXPECT_GE(stats.frame_bytes_peak, 1000u);
    EXPECT_EQ(stats.pool_alloc_count, 1u);
    EXPECT_EQ(stats.pool_live_count, 1u);
    EXPECT_GE(stats.pool_live_bytes, 100u);
    fa_pool_free(allocator, block);
}

TEST(RegressionDeathTest, StrictnessOfTheEnvironmentIsNotRead) {
    setenv("FRAMEALLOC_STRICT", "1", 1);
    fa_alloc_config config = fa_alloc_config_default();
    setenv("FRAMEALLOC_STRICT", "0", 1);
    EXPECT_FALSE(fa_alloc_config_default().strict);
    unsetenv("FRAMEALLOC_STRICT");
    ASSERT_TRUE(config.strict);
    Tracked allocator(config);
    EXPECT_DEATH((void)!fa_frame_alloc(allocator, 16), "FA001");
    EXPECT_DEATH((void)fa_frame_end(allocator), "FA005");
    EXPECT_DEATH(fa_free(allocator, &config), "FA601");
}

TEST(Regression, StaleFrameHandleMovesTheArena) {
    for (uint32_t checks : {0u, uint32_t{FA_CHECK_ALL}}) {
        Tracked allocator(Config(checks));
        fa_frame *stale = fa_frame_begin(allocator);
        void *old = fa_frame_alloc_in(stale, 1000);
        EXPECT_EQ(fa_frame_end_in(stale), FA_OK);
        EXPECT_EQ(fa_frame_alloc_in(stale, 16), nullptr);
        EXPECT_EQ(fa_last_error().diag, FA_DIAG_FA001);
        EXPECT_EQ(fa_frame_grow_in(stale, old, 1000, 2000), nullptr);
        EXPECT_EQ(fa_frame_end_in(stale), FA_ERROR_NO_FRAME);
        EXPECT_EQ(fa_frame_bytes_in(stale), 0u);
        allocator.Check();
        ASSERT_NE(fa_frame_begin(allocator), nullptr);
        EXPECT_EQ(fa_frame_grow(allocator, old, 1000, 2000), nullptr)
            << "a block of a frame before";
        EXPECT_EQ(fa_last_error().diag, FA_DIAG_FA002);
        EXPECT_EQ(fa_frame_bytes(allocator), 0u);
        fa_frame_end(allocator);
        allocator.Check();
    }
}

namespace {

// Uses the very allocator that reports, as a program that logs would.
struct Reporter {
    fa_allocator *allocator = nullptr;
    size_t calls = 0;

    static void Hook(void *user, const fa_event *) {
        auto *self = static_cast<Reporter *>(user);
        self->calls++;
        if (self->allocator == nullptr)
            return;
        void *pool = fa_pool_alloc(self->allocator, 100),
             *heap = fa_heap_alloc(self->allocator, 10);
        fa_stats stats;
        EXPECT_EQ(fa_stats_get(self->allocator, &stats), FA_OK);
        EXPECT_EQ(fa_validate(self->allocator, nullptr), FA_OK);
        fa_allocator_trim(self->allocator);
        fa_pool_free(self->allocator, pool);
        fa_heap_free(self->allocator, heap);
        fa_free(self->allocator, self); // is none of its blocks: an event inside of the hook
    }
};

} // namespace

TEST(Regression, HookIsCalledUnderALock) {
    Reporter reporter;
    fa_alloc_config config = fa_alloc_config_minimal();
    config.checks = FA_CHECK_FREE;
    config.strict = false;
    config.bytes_max = 1 << 20;
    config.thread_count_max = 1;
    config.on_event = Reporter::Hook;
    config.on_event_user = &reporter;
    Tracked allocator(config);
    reporter.allocator = allocator;
    fa_frame_begin(allocator);
    EXPECT_EQ(fa_frame_begin(allocator), nullptr);          // FA004
    EXPECT_EQ(fa_frame_alloc(allocator, 8 << 20), nullptr); // FA301
    EXPECT_EQ(fa_heap_alloc(allocator, 8 << 20), nullptr);  // FA301
    EXPECT_NE(fa_frame_alloc(allocator, 5000), nullptr);    // FA006
    void *one = fa_pool_alloc(allocator, 64), *two = fa_pool_alloc(allocator, 64);
    fa_pool_free(allocator, one);
    fa_pool_free(allocator, one);                                              // FA602
    fa_pool_free(allocator, &config);                                          // FA601
    OnThread([&] { EXPECT_EQ(fa_thread_attach(allocator), FA_ERROR_LIMIT); }); // FA202
    fa_frame_end(allocator);
    EXPECT_EQ(fa_frame_end(allocator), FA_ERROR_NO_FRAME); // FA005
    EXPECT_GE(reporter.calls, 7u);
    EXPECT_GE(allocator.Count(FA_DIAG_FA601), reporter.calls) << "those inside are counted too";
    fa_pool_free(allocator, two);
    allocator.Check();
    reporter.allocator = nullptr;
}

TEST(Regression, DebugFillsTouchTheWholeArena) {
    fa_alloc_config config = Named("fill", 16 << 20);
    config.checks = FA_CHECK_FILL;
    Tracked allocator(config);
    const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    void *block = nullptr;
    for (int i = 0; i < 3; i++) {
        fa_frame_begin(allocator);
        block = fa_frame_alloc(allocator, 1000);
        ASSERT_NE(block, nullptr);
        fa_frame_end(allocator);
    }
    std::vector<unsigned char> resident((12 << 20) / page);
    uintptr_t from = (reinterpret_cast<uintptr_t>(block) + (1 << 20)) & ~(page - 1);
    ASSERT_EQ(mincore(reinterpret_cast<void *>(from), 12 << 20, resident.data()), 0);
    size_t count = 0;
    for (unsigned char one : resident)
        count += one & 1;
    EXPECT_EQ(count, 0u) << "pages far from the only block are in memory";
}

TEST(Regression, ProductsThatWrapAbortOrGiveTooLittle) {
    Tracked allocator;
    fa_frame *frame = fa_frame_begin(allocator);
    using Big = struct { char bytes[4096]; };
    for (size_t count : {SIZE_MAX, SIZE_MAX / 4096 + 2, SIZE_MAX / 8}) {
        EXPECT_EQ(fa_frame_alloc_batch(allocator, count, 4096), nullptr);
        EXPECT_EQ(fa_frame_alloc_batch_in(frame, count, 4096), nullptr);
        EXPECT_EQ(fa_frame_alloc_zeroed(allocator, count, 4096), nullptr);
        EXPECT_EQ(fa_frame_array(allocator, Big, count), nullptr);
        EXPECT_EQ(fa_frame_array_zeroed(allocator, Big, count), nullptr);
        EXPECT_EQ(fa_pool_alloc_zeroed(allocator, count, 4096), nullptr);
        EXPECT_EQ(fa_pool_array(allocator, Big, count), nullptr);
        EXPECT_EQ(fa_heap_alloc_zeroed(allocator, count, 4096), nullptr);
        EXPECT_EQ(fa_last_error().status, FA_ERROR_INVALID);
    }
    fa_frame_end(allocator);
    EXPECT_EQ(allocator.Live(), 0u);
}

TEST(Regression, TrimDropsThePagesOfAFrameInFlight) {
    fa_alloc_config config = Plain();
    config.backend_spec = "mmap";
    config.frames_in_flight = 2;
    config.frame_trim_after = 1;
    Allocator allocator(config);
    constexpr size_t kBytes = 1 << 20;
    unsigned char *previous = nullptr;
    for (int i = 1; i < 40; i++) {
        fa_frame *frame = fa_frame_begin(allocator);
        auto *block = static_cast<unsigned char *>(fa_frame_alloc_in(frame, kBytes));
        ASSERT_NE(block, nullptr);
        memset(block, i, kBytes);
        EXPECT_EQ(fa_frame_end_in(frame), FA_OK);
        EXPECT_TRUE(IsFilled(block, static_cast<unsigned char>(i), kBytes));
        if (previous != nullptr) {
            EXPECT_TRUE(IsFilled(previous, static_cast<unsigned char>(i - 1), kBytes)) << i;
        }
        previous = block;
    }
}

namespace {

// Declines pool segments, so that the second backend of a chain serves them and FA703 is reported.
void *DecliningAlloc(void *, size_t size, size_t align, fa_span_kind kind) {
    const fa_backend libc = fa_backend_system();
    return kind == FA_SPAN_SEGMENT ? nullptr : libc.vtable->alloc(libc.context, size, align, kind);
}
void DecliningFree(void *, void *ptr, size_t size, size_t align, fa_span_kind kind) {
    const fa_backend libc = fa_backend_system();
    libc.vtable->free(libc.context, ptr, size, align, kind);
}
void DecliningDescribe(void *, fa_backend_info *info) {
    const fa_backend libc = fa_backend_system();
    libc.vtable->describe(libc.context, info);
}

struct HookState {
    fa_allocator *allocator = nullptr;
    std::vector<void *> objects;
};

void AllocatingHook(void *user, const fa_event *) {
    auto *state = static_cast<HookState *>(user);
    if (state->allocator != nullptr)
        state->objects.push_back(fa_pool_alloc(state->allocator, 64));
}

} // namespace

TEST(Regression, AHookThatAllocatesRefillsTheMagazineTwice) {
    static const fa_backend_vtable declining = {"declining", DecliningAlloc,    DecliningFree,
                                                nullptr,     nullptr,           nullptr,
                                                nullptr,     DecliningDescribe, nullptr};
    HookState state;
    fa_alloc_config config = Plain();
    config.backends[0] = {&declining, nullptr};
    config.backends[1] = fa_backend_system();
    config.on_event = AllocatingHook;
    config.on_event_user = &state;
    Allocator allocator(config);
    state.allocator = allocator;
    std::vector<void *> objects;
    for (int i = 0; i < 3000; i++) {
        objects.push_back(fa_pool_alloc(allocator, 64));
        ASSERT_NE(objects.back(), nullptr);
    }
    state.allocator = nullptr;
    EXPECT_FALSE(state.objects.empty()) << "FA703 was not reported";
    objects.insert(objects.end(), state.objects.begin(), state.objects.end());
    std::sort(objects.begin(), objects.end());
    EXPECT_EQ(std::unique(objects.begin(), objects.end()), objects.end()) << "given out twice";
    if (kCounted) {
        EXPECT_EQ(Stats(allocator).pool_live_count, objects.size());
    }
    for (void *object : objects)
        fa_pool_free(allocator, object);
    EXPECT_EQ(fa_validate(allocator, nullptr), FA_OK);
}

TEST(Regression, IdleCachesKeepAllocationsFromTheLimit) {
    fa_alloc_config config = Plain();
    config.heap_region_bytes = 1 << 20;
    config.heap_cache_bytes = 64 << 20;
    config.bytes_max = 24 << 20;
    Allocator allocator(config);
    std::vector<void *> blocks;
    for (int i = 0; i < 4; i++)
        blocks.push_back(fa_heap_alloc(allocator, 4 << 20));
    for (void *block : blocks)
        fa_heap_free(allocator, block);
    EXPECT_GT(Stats(allocator).heap_cache_bytes, 0u);
    void *large = fa_heap_alloc(allocator, 12 << 20);
    EXPECT_NE(large, nullptr) << "the memory was there, in the cache";
    fa_heap_free(allocator, large);
}

TEST(Regression, ARefusedRequestRebuildsTheArenaEachFrame) {
    Source source;
    fa_alloc_config config = Plain();
    config.frame_bytes_max = 8 << 20;
    Allocator allocator(config, source);
    uint64_t calls = 0;
    for (int i = 0; i < 20; i++) {
        fa_frame *frame = fa_frame_begin(allocator);
        EXPECT_NE(fa_frame_alloc_in(frame, 1000), nullptr);
        EXPECT_EQ(fa_frame_alloc_in(frame, 64 << 20), nullptr);
        EXPECT_EQ(fa_frame_end_in(frame), FA_OK);
        if (i == 4)
            calls = source.Calls();
    }
    EXPECT_EQ(source.Calls(), calls);
}

TEST(Regression, ThePeakCountsWhatWasRefused) {
    Allocator allocator(Plain());
    size_t peak = Stats(allocator).bytes_held_peak;
    EXPECT_EQ(fa_heap_alloc(allocator, size_t{1} << 45), nullptr);
    EXPECT_LT(Stats(allocator).bytes_held_peak, peak + (64u << 20));
}

TEST(Regression, ASealedAllocatorRefusesWhatItsRegionsHold) {
    fa_alloc_config config = Plain();
    config.heap_region_bytes = 4 << 20;
    Allocator allocator(config);
    fa_heap_free(allocator, fa_heap_alloc(allocator, 1000));
    fa_backend_seal(allocator);
    void *block = fa_heap_alloc(allocator, 1500000);
    EXPECT_NE(block, nullptr);
    fa_heap_free(allocator, block);
}
