// What the tests of pools and threads share beside testing.hpp.
#ifndef FA_TESTING_THREADS_HPP
#define FA_TESTING_THREADS_HPP

#include "fa/testing.hpp"

#include <functional>
#include <thread>

namespace fa_testing {

#if defined(__SANITIZE_ADDRESS__)
inline constexpr bool kAsan = true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
inline constexpr bool kAsan = true;
#else
inline constexpr bool kAsan = false;
#endif
#else
inline constexpr bool kAsan = false;
#endif

#if defined(__SANITIZE_THREAD__)
inline constexpr bool kTsan = true;
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
inline constexpr bool kTsan = true;
#else
inline constexpr bool kTsan = false;
#endif
#else
inline constexpr bool kTsan = false;
#endif

// Whether threads yield at atomic operations (fa/internal/atomic.h).
#ifdef FA_YIELD
inline constexpr bool kYield = true;
#else
inline constexpr bool kYield = false;
#endif

// Rounds of a long test: fewer where a sanitizer, or yielding, makes each of them slow.
constexpr size_t Rounds(size_t count) { return kAsan || kTsan || kYield ? count / 8 : count; }

// Where each thread needs a sequence of its own: seeded with what Random().Seed() says, plus a
// number.
using Engine = std::mt19937_64;
inline uint64_t Pick(Engine &random, uint64_t low, uint64_t high) {
    return std::uniform_int_distribution<uint64_t>(low, high)(random);
}

// The default preset, the same in every build: no checks, no printing hook, misuse does not abort.
inline fa_alloc_config Config(uint32_t checks = 0) {
    fa_alloc_config config = fa_alloc_config_default();
    config.checks = checks;
    config.on_event = nullptr;
    config.strict = false;
    return config;
}

// An allocator over a counted mmap backend; at its end nothing may be left of it.
class Tracked {
  public:
    explicit Tracked(fa_alloc_config config = Config()) {
        config.backends[0] = backend_ = fa_backend_counting(&counting_, fa_backend_mmap(nullptr));
        EXPECT_EQ(fa_allocator_create(&config, &allocator_), FA_OK);
    }
    ~Tracked() {
        if (allocator_ != nullptr) {
            EXPECT_EQ(Destroy(), 0u) << "blocks were alive";
        }
    }
    Tracked(const Tracked &) = delete;
    Tracked &operator=(const Tracked &) = delete;

    operator fa_allocator *() const { return allocator_; }

    // Returns how many blocks were alive.
    size_t Destroy() {
        size_t alive = fa_allocator_destroy(allocator_);
        allocator_ = nullptr;
        EXPECT_EQ(Held(), 0u) << "bytes that the backend never got back";
        fa_backend_close(backend_);
        return alive;
    }

    // Bytes that the backend has given, by its own count.
    size_t Held() const {
        fa_backend_counts counts;
        fa_counting_read(&counting_, &counts);
        return counts.bytes_live;
    }

    fa_stats Stats() const { return fa_testing::Stats(allocator_); }

    uint64_t Count(fa_diag diag) const { return Stats().diag_count[diag]; }

    // Blocks alive in pools and heap.
    uint64_t Live() const {
        fa_stats stats = Stats();
        return stats.pool_live_count + stats.heap_live_count;
    }

    // Validates, and checks what the header of the stats promises. No other thread may be busy.
    void Check() const {
        ExpectValid(allocator_);
        ExpectIdentities(allocator_);
        EXPECT_EQ(Stats().bytes_held, Held());
    }

  private:
    fa_counting counting_;
    fa_backend backend_;
    fa_allocator *allocator_ = nullptr;
};

// Runs body on a thread of its own, to its end; on that many at once, each with its number.
inline void OnThread(const std::function<void()> &body) { std::thread(body).join(); }
inline void OnThreads(size_t count, const std::function<void(size_t)> &body) {
    std::vector<std::thread> threads;
    for (size_t i = 0; i < count; i++)
        threads.emplace_back(body, i);
    for (std::thread &thread : threads)
        thread.join();
}

} // namespace fa_testing

#endif
