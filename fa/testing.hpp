// What the tests of the library share: backends that can be watched, events that are kept, seeds
// that are printed. For tests only; not installed.
#ifndef FA_TESTING_HPP
#define FA_TESTING_HPP

#include "backends/backends.h"
#include "fa/fa.h"

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace fa_testing {

#ifdef FA_MINIMAL
constexpr bool kCounted = false; // are single allocations counted, are places recorded?
#else
constexpr bool kCounted = true;
#endif
#ifdef FA_DEBUG
constexpr bool kDebug = true;
#else
constexpr bool kDebug = false;
#endif

// A preset, quiet and without checks, whatever the build and the environment say.
inline fa_alloc_config Plain(fa_alloc_config config = fa_alloc_config_default()) {
    config.checks = 0;
    config.strict = false;
    config.on_event = nullptr;
    config.backend_spec = "system";
    return config;
}

// Every fa_check combination.
inline std::vector<uint32_t> AllChecks() {
    std::vector<uint32_t> checks;
    for (uint32_t bits = 0; bits <= FA_CHECK_ALL; bits++)
        checks.push_back(bits);
    return checks;
}

// Keeps what the hook gets. Destroy the allocator first.
struct Events {
    std::vector<fa_event> all;

    static void Hook(void *user, const fa_event *event) {
        static_cast<Events *>(user)->all.push_back(*event);
    }
    void Watch(fa_alloc_config *config) {
        config->on_event = Hook;
        config->on_event_user = this;
    }
    size_t Count(fa_diag diag) const {
        size_t count = 0;
        for (const fa_event &event : all)
            count += event.diag == diag;
        return count;
    }
    // The newest event with that code; fails the test when there is none.
    fa_event Last(fa_diag diag) const {
        for (size_t i = all.size(); i-- > 0;)
            if (all[i].diag == diag)
                return all[i];
        ADD_FAILURE() << "no event " << fa_diag_describe(diag).code;
        return fa_event{};
    }
};

// libc behind a counter behind a fault: calls are counted that reach libc, and can be made to fail.
struct Source {
    fa_counting counting;
    fa_failing failing;
    fa_backend backend;

    explicit Source(fa_backend inner = fa_backend_system()) {
        backend = fa_backend_failing(&failing, fa_backend_counting(&counting, inner));
    }
    ~Source() { fa_backend_close(backend); }
    Source(const Source &) = delete;
    Source &operator=(const Source &) = delete;

    fa_backend_counts Counts() const {
        fa_backend_counts counts = {};
        fa_counting_read(&counting, &counts);
        return counts;
    }
    // Every call that asked for memory or gave it back.
    uint64_t Calls() const {
        fa_backend_counts counts = Counts();
        uint64_t calls = fa_failing_calls(&failing, FA_FAILING_ALLOC) +
                         fa_failing_calls(&failing, FA_FAILING_RESIZE) + counts.purge_count;
        for (int kind = 0; kind < FA_SPAN_KIND_COUNT; kind++)
            calls += counts.free_count[kind];
        return calls;
    }
    uint64_t Allocs(fa_span_kind kind) const { return Counts().alloc_count[kind]; }
    uint64_t Frees(fa_span_kind kind) const { return Counts().free_count[kind]; }
    uint64_t BytesLive() const { return Counts().bytes_live; }
    void Fail(uint64_t at, bool lasting = true) {
        fa_failing_set(&failing, FA_FAILING_ALLOC, at, lasting);
        fa_failing_set(&failing, FA_FAILING_RESIZE, at, lasting);
    }
};

// An allocator that is destroyed at the end of its scope.
class Allocator {
  public:
    explicit Allocator(const fa_alloc_config &config) {
        EXPECT_EQ(fa_allocator_create(&config, &allocator_), FA_OK);
    }
    Allocator(fa_alloc_config config, const Source &source) {
        config.backends[0] = source.backend;
        EXPECT_EQ(fa_allocator_create(&config, &allocator_), FA_OK);
    }
    ~Allocator() { Destroy(); }
    Allocator(const Allocator &) = delete;
    Allocator &operator=(const Allocator &) = delete;

    operator fa_allocator *() const { return allocator_; }
    size_t Destroy() {
        size_t alive = fa_allocator_destroy(allocator_);
        allocator_ = nullptr;
        return alive;
    }

  private:
    fa_allocator *allocator_ = nullptr;
};

inline fa_stats Stats(fa_allocator *allocator) {
    fa_stats stats;
    EXPECT_EQ(fa_stats_get(allocator, &stats), FA_OK);
    return stats;
}

// The identities of fa/stats.h.
inline void ExpectIdentities(fa_allocator *allocator) {
    const fa_stats stats = Stats(allocator);
    size_t held = 0;
    for (size_t bytes : stats.bytes_held_by_kind)
        held += bytes;
    EXPECT_EQ(stats.bytes_held, held);
    EXPECT_GE(stats.bytes_held_peak, stats.bytes_held);
    EXPECT_GE(stats.backend_alloc_count, stats.backend_free_count);
    EXPECT_EQ(stats.pool_live_count, stats.pool_alloc_count - stats.pool_free_count);
    EXPECT_EQ(stats.heap_live_count, stats.heap_alloc_count - stats.heap_free_count);
    EXPECT_EQ(stats.bytes_held_by_kind[FA_SPAN_SEGMENT],
              stats.pool_segment_count * fa_allocator_config(allocator)->pool_segment_bytes);
    EXPECT_GE(stats.bytes_held_by_kind[FA_SPAN_HEAP],
              stats.heap_live_bytes + stats.heap_free_bytes + stats.heap_cache_bytes);
    EXPECT_GE(stats.heap_bytes_peak, stats.heap_live_bytes);
}

inline void ExpectValid(fa_allocator *allocator) {
    const void *place = nullptr;
    EXPECT_EQ(fa_validate(allocator, &place), FA_OK) << place;
    EXPECT_EQ(place, nullptr);
}

inline bool IsAligned(const void *pointer, size_t align) {
    return (reinterpret_cast<uintptr_t>(pointer) & (align - 1)) == 0;
}

inline bool IsFilled(const void *pointer, int value, size_t size) {
    const unsigned char *bytes = static_cast<const unsigned char *>(pointer);
    for (size_t i = 0; i < size; i++)
        if (bytes[i] != value)
            return false;
    return true;
}

// Pseudo-random numbers whose seed is printed; FA_TEST_SEED=... runs the same again.
class Random {
  public:
    Random() {
        const char *chosen = std::getenv("FA_TEST_SEED");
        seed_ = chosen ? std::strtoull(chosen, nullptr, 0) : std::random_device()();
        engine_.seed(seed_);
        std::printf("FA_TEST_SEED=%llu\n", static_cast<unsigned long long>(seed_));
    }
    uint64_t Seed() const { return seed_; }
    // 0 to below - 1.
    size_t Below(size_t below) { return static_cast<size_t>(engine_() % below); }
    bool OneIn(size_t n) { return Below(n) == 0; }
    // 1 to most, small ones more often.
    size_t Size(size_t most) {
        size_t bits = 1;
        while (most >> bits != 0)
            bits++;
        size_t size = 1 + Below(static_cast<size_t>(1) << (1 + Below(bits)));
        return size < most ? size : most;
    }

  private:
    uint64_t seed_;
    std::mt19937_64 engine_;
};

// Contents that tell blocks apart.
inline void Paint(void *block, uint64_t mark, size_t size) {
    unsigned char *bytes = static_cast<unsigned char *>(block);
    for (size_t i = 0; i < size; i++)
        bytes[i] = static_cast<unsigned char>((mark * 37 + i * 11 + (i >> 8)) & 0xFF);
}

inline bool IsPainted(const void *block, uint64_t mark, size_t size) {
    const unsigned char *bytes = static_cast<const unsigned char *>(block);
    for (size_t i = 0; i < size; i++)
        if (bytes[i] != static_cast<unsigned char>((mark * 37 + i * 11 + (i >> 8)) & 0xFF))
            return false;
    return true;
}

} // namespace fa_testing

#endif
