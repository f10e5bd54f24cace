// What reaches the backends: chains, the limit, the seal, giving back.
#include "fa/testing.hpp"

#include <atomic>
#include <set>
#include <string>
#include <thread>

using namespace fa_testing;

namespace {

// Serves only one kind, and says when something comes back that it never gave.
struct Picky {
    fa_span_kind kind;
    std::set<void *> live;
    uint64_t asked = 0;
    bool closed = false;

    static void *Alloc(void *context, size_t size, size_t align, fa_span_kind kind) {
        Picky *self = static_cast<Picky *>(context);
        self->asked++;
        if (kind != self->kind)
            return nullptr;
        const fa_backend system = fa_backend_system();
        void *span = system.vtable->alloc(system.context, size, align, kind);
        self->live.insert(span);
        return span;
    }
    static void Free(void *context, void *span, size_t size, size_t align, fa_span_kind kind) {
        Picky *self = static_cast<Picky *>(context);
        EXPECT_EQ(kind, self->kind);
        EXPECT_EQ(self->live.erase(span), 1u) << "a span of another backend";
        const fa_backend system = fa_backend_system();
        system.vtable->free(system.context, span, size, align, kind);
    }
    static void Describe(void *, fa_backend_info *info) {
        info->granularity_bytes = 1;
        info->align_bytes_max = FA_ALIGN_MAX;
        std::snprintf(info->text, sizeof info->text, "picky");
    }
    static void Close(void *context) { static_cast<Picky *>(context)->closed = true; }
    fa_backend Backend() {
        static const fa_backend_vtable vtable = {"picky", Alloc,   Free,     nullptr, nullptr,
                                                 nullptr, nullptr, Describe, Close};
        return fa_backend{&vtable, this};
    }
};

// Uses all kinds of memory, as far as there is some.
void UseEverything(fa_allocator *allocator) {
    std::vector<void *> blocks;
    if (fa_frame_begin(allocator) != nullptr) {
        for (int i = 0; i < 40; i++)
            if (void *block = fa_frame_alloc(allocator, 5000))
                std::memset(block, 1, 5000);
        fa_frame_end(allocator);
    }
    for (size_t i = 0; i < 300; i++) {
        const size_t size = 1 + i * 37 % 6000;
        void *block = i % 3 ? fa_pool_alloc(allocator, size) : fa_heap_alloc(allocator, size);
        if (block != nullptr)
            std::memset(block, 2, size);
        blocks.push_back(block);
    }
    for (void *block : blocks)
        fa_free(allocator, block);
}

} // namespace

TEST(Chain, DeclinedRequestsGoOnAndComeBackToTheRightBackend) {
    Picky heap = {FA_SPAN_HEAP, {}}, segment = {FA_SPAN_SEGMENT, {}};
    Source rest;
    Events events;
    {
        fa_alloc_config config = Plain();
        events.Watch(&config);
        config.backends[0] = heap.Backend();
        config.backends[1] = segment.Backend();
        config.backends[2] = rest.backend;
        Allocator allocator(config);
        fa_heap_free(allocator, fa_heap_alloc(allocator, 100));
        EXPECT_EQ(events.Count(FA_DIAG_FA703), 0u) << "the first one serves heap blocks";
        UseEverything(allocator);
        EXPECT_GT(segment.asked, 0u);
        EXPECT_GE(events.Count(FA_DIAG_FA703), 1u);
        EXPECT_EQ(events.Last(FA_DIAG_FA703).severity, FA_SEVERITY_NOTE);
        EXPECT_EQ(events.Last(FA_DIAG_FA703).status, FA_OK);
        EXPECT_GT(rest.Allocs(FA_SPAN_CHUNK), 0u);
        EXPECT_EQ(rest.Allocs(FA_SPAN_HEAP) + rest.Allocs(FA_SPAN_SEGMENT), 0u);
        EXPECT_EQ(fa_last_error().status, FA_OK);
        fa_backend_info info;
        ASSERT_EQ(fa_backend_describe(allocator, 1, &info), FA_OK);
        EXPECT_STREQ(info.text, "picky");
        EXPECT_EQ(fa_backend_describe(allocator, 3, &info), FA_ERROR_INVALID);
        ExpectValid(allocator);
    }
    EXPECT_TRUE(heap.live.empty());
    EXPECT_TRUE(segment.live.empty());
    EXPECT_FALSE(heap.closed) << "the caller's backends stay open";
    EXPECT_EQ(rest.BytesLive(), 0u);
}

TEST(Chain, OneThatIsFullHandsOverToTheNext) {
    alignas(64) static char region[300000];
    Source second;
    fa_alloc_config config = Plain();
    config.heap_cache_bytes = 0;
    config.heap_region_bytes = 0;
    fa_backend fixed = fa_backend_fixed(region, sizeof region);
    {
        config.backends[0] = fixed;
        config.backends[1] = second.backend;
        Allocator allocator(config);
        std::vector<void *> blocks;
        size_t inside = 0;
        for (size_t i = 0; i < 100; i++) {
            blocks.push_back(fa_heap_alloc(allocator, 10000));
            ASSERT_NE(blocks.back(), nullptr);
            Paint(blocks.back(), i, 10000);
            inside += blocks.back() >= region && blocks.back() < region + sizeof region;
        }
        EXPECT_GT(inside, 10u);
        EXPECT_LT(inside, 30u);
        EXPECT_EQ(second.Allocs(FA_SPAN_HEAP), 100 - inside);
        for (size_t i = 0; i < 100; i++) {
            EXPECT_TRUE(IsPainted(blocks[i], i, 10000));
            fa_heap_free(allocator, blocks[i]); // fixed aborts when it gets what is not its own
        }
        EXPECT_EQ(second.Frees(FA_SPAN_HEAP), 100 - inside);
    }
    EXPECT_EQ(second.BytesLive(), 0u);
    fa_backend_close(fixed);
}

TEST(Chain, FromASpecification) {
    fa_alloc_config config = Plain();
    config.backend_spec = "fixed:bytes=1m+counting:inner=mmap+system";
    Allocator allocator(config);
    fa_backend_info info;
    const char *const texts[] = {"fixed:bytes=1048576", "counting(mmap)", "system"};
    for (size_t i = 0; i < 3; i++) {
        ASSERT_EQ(fa_backend_describe(allocator, i, &info), FA_OK);
        EXPECT_STREQ(info.text, texts[i]);
    }
    EXPECT_EQ(fa_backend_describe(allocator, 3, &info), FA_ERROR_INVALID);
    EXPECT_EQ(fa_backend_describe(allocator, SIZE_MAX, &info), FA_ERROR_INVALID);
    UseEverything(allocator);
    EXPECT_GT(Stats(allocator).diag_count[FA_DIAG_FA703], 0u);
    ExpectValid(allocator);
}

TEST(Chain, BadSpecifications) {
    for (const char *spec : {"nonsense", "mmap+", "+mmap", "mmap++system", "mmap+nonsense",
                             "mmap+mmap+mmap+mmap+mmap", "system:huge"}) {
        fa_alloc_config config = Plain();
        config.backend_spec = spec;
        fa_allocator *allocator = reinterpret_cast<fa_allocator *>(&config);
        const bool open = *spec == '+' || std::string(spec).find("++") != std::string::npos ||
                          spec[std::strlen(spec) - 1] == '+';
        const fa_status status = fa_allocator_create(&config, &allocator);
        if (open && status == FA_OK) { // an empty name is the default backend
            EXPECT_EQ(fa_allocator_destroy(allocator), 0u);
            continue;
        }
        EXPECT_EQ(status, FA_ERROR_BACKEND) << spec;
        EXPECT_EQ(allocator, nullptr);
        EXPECT_EQ(fa_last_error().status, FA_ERROR_BACKEND);
    }
    const std::string endless(1000, 'x');
    fa_alloc_config config = Plain();
    config.backend_spec = endless.c_str();
    fa_allocator *allocator;
    EXPECT_EQ(fa_allocator_create(&config, &allocator), FA_ERROR_BACKEND);
}

TEST(Chain, TheEnvironmentNamesWhatIsLeftOpen) {
    const auto text = [](const char *spec) {
        fa_alloc_config config = Plain();
        config.backend_spec = spec;
        Allocator allocator(config);
        fa_backend_info info = {};
        fa_backend_describe(allocator, 0, &info);
        return std::string(info.text);
    };
    unsetenv("FRAMEALLOC_BACKEND");
    EXPECT_EQ(text(nullptr), "mmap");
    setenv("FRAMEALLOC_BACKEND", "system+mmap", 1);
    EXPECT_EQ(text(nullptr), "system");
    EXPECT_EQ(text(""), "system");
    EXPECT_EQ(text("mmap:guard"), "mmap:guard");
    setenv("FRAMEALLOC_BACKEND", "nonsense", 1);
    fa_alloc_config config = Plain();
    config.backend_spec = nullptr;
    fa_allocator *allocator;
    EXPECT_EQ(fa_allocator_create(&config, &allocator), FA_ERROR_BACKEND);
    unsetenv("FRAMEALLOC_BACKEND");
}

TEST(Limit, HeldNeverExceedsItWithFourThreads) {
    Source source;
    fa_alloc_config config = Plain(fa_alloc_config_minimal());
    config.bytes_max = 1 << 20;
    config.heap_cache_bytes = 100000;
    config.heap_region_bytes = 0;
    {
        Allocator allocator(config, source);
        std::atomic<bool> done{false};
        std::atomic<uint64_t> refused{0};
        std::thread watcher([&] {
            while (!done) {
                EXPECT_LE(Stats(allocator).bytes_held, config.bytes_max);
                EXPECT_LE(source.BytesLive(), config.bytes_max);
                std::this_thread::yield();
            }
        });
        std::vector<std::thread> threads;
        for (size_t t = 0; t < 4; t++)
            threads.emplace_back([&, t] {
                for (size_t round = 0; round < 60; round++) {
                    std::vector<void *> blocks;
                    if (fa_frame_begin(allocator) == nullptr)
                        continue;
                    for (size_t i = 0; i < 40; i++) {
                        void *block = fa_heap_alloc(allocator, 1000 + (i * 997 + t * 31) % 60000);
                        refused += block == nullptr;
                        blocks.push_back(block);
                        blocks.push_back(fa_pool_alloc(allocator, 500));
                        refused += fa_frame_alloc(allocator, 3000) == nullptr;
                    }
                    for (void *block : blocks)
                        fa_free(allocator, block);
                    fa_frame_end(allocator);
                }
            });
        for (std::thread &thread : threads)
            thread.join();
        done = true;
        watcher.join();
        const fa_stats stats = Stats(allocator);
        EXPECT_GT(refused, 0u);
        EXPECT_GE(stats.backend_refused_count, 1u);
        EXPECT_GE(stats.diag_count[FA_DIAG_FA301], 1u);
        EXPECT_LE(stats.bytes_held_peak, config.bytes_max);
        EXPECT_LE(source.Counts().bytes_live_max, config.bytes_max);
        EXPECT_EQ(stats.bytes_held, source.BytesLive()) << "what is held is what the backend gave";
        ExpectValid(allocator);
        ExpectIdentities(allocator);
        EXPECT_EQ(allocator.Destroy(), 0u);
    }
    EXPECT_EQ(source.BytesLive(), 0u);
}

TEST(Limit, IsExact) {
    Source source;
    fa_alloc_config config = Plain();
    config.heap_cache_bytes = 0;
    config.heap_region_bytes = 0;
    {
        Allocator allocator(config, source);
        void *block = fa_heap_alloc(allocator, 4096);
        config.bytes_max = Stats(allocator).bytes_held;
        fa_heap_free(allocator, block);
    }
    Allocator allocator(config, source);
    void *block = fa_heap_alloc(allocator, 4096);
    EXPECT_NE(block, nullptr);
    EXPECT_EQ(fa_heap_alloc(allocator, 1), nullptr);
    EXPECT_EQ(fa_last_error().diag, FA_DIAG_FA301);
    EXPECT_EQ(fa_heap_realloc(allocator, block, 8192), nullptr);
    EXPECT_EQ(fa_last_error().status, FA_ERROR_LIMIT);
    fa_heap_free(allocator, block);
    EXPECT_EQ(fa_heap_alloc(allocator, 4097), nullptr);
    block = fa_heap_alloc(allocator, 4096);
    EXPECT_NE(block, nullptr) << "free makes room";
    fa_heap_free(allocator, block);
    config.bytes_max = 100;
    fa_allocator *other;
    EXPECT_EQ(fa_allocator_create(&config, &other), FA_ERROR_LIMIT);
}

TEST(Seal, NoCallReachesTheBackendAnyMore) {
    for (uint32_t checks : {0u, static_cast<uint32_t>(FA_CHECK_ALL)}) {
        Source source;
        Events events;
        {
            fa_alloc_config config = Plain(fa_alloc_config_minimal());
            config.checks = checks;
            config.frame_full = FA_FRAME_FULL_SPILL;
            config.frame_bytes_max = 8192;
            events.Watch(&config);
            Allocator allocator(config, source);
            UseEverything(allocator);
            EXPECT_FALSE(fa_backend_is_sealed(allocator));
            fa_backend_seal(allocator);
            fa_backend_seal(allocator);
            EXPECT_TRUE(fa_backend_is_sealed(allocator));
            events.all.clear();
            const uint64_t calls = source.Calls();
            for (int i = 0; i < 100; i++) {
                UseEverything(allocator);
                fa_allocator_trim(allocator);
            }
            // What was had before is still there for all: nothing of it got lost on the way.
            fa_frame_begin(allocator);
            EXPECT_NE(fa_frame_alloc(allocator, 2000), nullptr);
            EXPECT_NE(fa_frame_alloc(allocator, 2000), nullptr);
            fa_frame_end(allocator);
            for (int i = 0; i < 1000; i++) {
                void *block = fa_pool_alloc(allocator, 100);
                ASSERT_NE(block, nullptr);
                fa_pool_free(allocator, block);
            }
            EXPECT_EQ(fa_heap_alloc(allocator, 1 << 20), nullptr);
            EXPECT_EQ(fa_last_error().status, FA_ERROR_SEALED);
            EXPECT_EQ(fa_last_error().diag, FA_DIAG_FA702);
            EXPECT_GE(events.Last(FA_DIAG_FA702).size, 1u << 20);
            EXPECT_EQ(fa_heap_visit(
                          allocator, [](void *, const fa_heap_block *) {}, nullptr),
                      0u);
            std::thread([&] { EXPECT_EQ(fa_thread_attach(allocator), FA_ERROR_SEALED); }).join();
            ExpectValid(allocator);
            ExpectIdentities(allocator);
            EXPECT_EQ(source.Calls(), calls);
            EXPECT_EQ(allocator.Destroy(), 0u);
        }
        EXPECT_EQ(source.BytesLive(), 0u) << "destroy gives everything back";
    }
}

TEST(Seal, AgainstThreadsThatAreAtIt) {
    for (int round = 0; round < 10; round++) {
        Source source;
        {
            Allocator allocator(Plain(fa_alloc_config_minimal()), source);
            std::atomic<bool> done{false};
            std::vector<std::thread> threads;
            for (int t = 0; t < 3; t++)
                threads.emplace_back([&] {
                    while (!done)
                        UseEverything(allocator);
                });
            std::this_thread::yield();
            fa_backend_seal(allocator);
            const uint64_t calls = source.Calls();
            for (int i = 0; i < 20; i++)
                std::this_thread::yield();
            EXPECT_EQ(source.Calls(), calls);
            done = true;
            for (std::thread &thread : threads)
                thread.join();
            EXPECT_EQ(source.Calls(), calls);
            ExpectValid(allocator);
        }
        EXPECT_EQ(source.BytesLive(), 0u);
    }
}
