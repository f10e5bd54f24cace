// Threads: who is attached when, and what happens at their end.
#include "fa/testing_threads.hpp"

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <string>

#include <pthread.h>

using namespace fa_testing;

namespace {

// Lets two threads take turns.
class Gate {
  public:
    void Open(int step) {
        std::lock_guard<std::mutex> lock(mutex_);
        step_ = step;
        changed_.notify_all();
    }
    void Wait(int step) {
        std::unique_lock<std::mutex> lock(mutex_);
        changed_.wait(lock, [&] { return step_ >= step; });
    }

  private:
    std::mutex mutex_;
    std::condition_variable changed_;
    int step_ = 0;
};

// A public call as the first one of a fresh thread.
struct FirstCall {
    const char *name;
    bool attaches;
    std::function<void(fa_allocator *, void *block)> call; // block: a pool block, freed or kept
};

void Keep(fa_allocator *allocator, void *block) { fa_free(allocator, block); }

const std::vector<FirstCall> &FirstCalls() {
    using A = fa_allocator *;
    static void *out;
    static fa_stats stats;
    static fa_alloc_config config;
    static fa_backend_info info;
    static const char text[] = "text";
    static const std::vector<FirstCall> calls = {
        {"attach", true, [](A a, void *) { EXPECT_EQ(fa_thread_attach(a), FA_OK); }},
        {"detach", false, [](A a, void *) { EXPECT_EQ(fa_thread_detach(a), FA_ERROR_INVALID); }},
        {"thread_count", false, [](A a, void *) { EXPECT_EQ(fa_thread_count(a), 1u); }},
        {"begin", true, [](A a, void *) { EXPECT_NE(fa_frame_begin(a), nullptr); }},
        {"end", false, [](A a, void *) { EXPECT_EQ(fa_frame_end(a), FA_ERROR_NO_FRAME); }},
        {"current", false, [](A a, void *) { EXPECT_EQ(fa_frame_current(a), nullptr); }},
        {"frame_bytes", false, [](A a, void *) { EXPECT_EQ(fa_frame_bytes(a), 0u); }},
        {"frame_alloc", false, [](A a, void *) { EXPECT_EQ(fa_frame_alloc(a, 8), nullptr); }},
        {"frame_alloc_aligned", false,
         [](A a, void *) { EXPECT_EQ(fa_frame_alloc_aligned(a, 8, 64), nullptr); }},
        {"frame_alloc_batch", false,
         [](A a, void *) { EXPECT_EQ(fa_frame_alloc_batch(a, 8, 64), nullptr); }},
        {"frame_alloc_zeroed", false,
         [](A a, void *) { EXPECT_EQ(fa_frame_alloc_zeroed(a, 8, 64), nullptr); }},
        {"frame_try_alloc", false,
         [](A a, void *) { EXPECT_EQ(fa_frame_try_alloc(a, 8, 16, &out), FA_ERROR_NO_FRAME); }},
        {"frame_grow", false,
         [](A a, void *block) { EXPECT_EQ(fa_frame_grow(a, block, 8, 16), nullptr); }},
        {"frame_copy", false, [](A a, void *) { EXPECT_EQ(fa_frame_copy(a, text, 4), nullptr); }},
        {"frame_copy_string", false,
         [](A a, void *) { EXPECT_EQ(fa_frame_copy_string(a, text), nullptr); }},
        {"pool_alloc", true, [](A a, void *) { Keep(a, fa_pool_alloc(a, 8)); }},
        {"pool_alloc of a large block", false,
         [](A a, void *) { Keep(a, fa_pool_alloc(a, 8 << 20)); }},
        {"pool_alloc_aligned", true, [](A a, void *) { Keep(a, fa_pool_alloc_aligned(a, 8, 64)); }},
        {"pool_alloc_zeroed", true, [](A a, void *) { Keep(a, fa_pool_alloc_zeroed(a, 8, 64)); }},
        {"pool_alloc_batch", true,
         [](A a, void *) {
             EXPECT_EQ(fa_pool_alloc_batch(a, 8, 1, &out), FA_OK);
             Keep(a, out);
         }},
        {"pool_free", false, [](A a, void *block) { fa_pool_free(a, block); }},
        {"pool_free_sized", false, [](A a, void *block) { fa_pool_free_sized(a, block, 64); }},
        {"pool_free_batch", false, [](A a, void *block) { fa_pool_free_batch(a, &block, 1); }},
        {"pool_class_size", false, [](A a, void *) { EXPECT_GE(fa_pool_class_size(a, 8), 8u); }},
        {"free", false, [](A a, void *block) { fa_free(a, block); }},
        {"usable_size", false, [](A a, void *block) { EXPECT_GE(fa_usable_size(a, block), 64u); }},
        {"intent_of", false,
         [](A a, void *block) { EXPECT_EQ(fa_intent_of(a, block), FA_INTENT_POOL); }},
        {"heap_alloc", false, [](A a, void *) { fa_heap_free(a, fa_heap_alloc(a, 100)); }},
        {"heap_alloc_aligned", false,
         [](A a, void *) { fa_heap_free(a, fa_heap_alloc_aligned(a, 100, 64)); }},
        {"heap_alloc_zeroed", false,
         [](A a, void *) { fa_heap_free(a, fa_heap_alloc_zeroed(a, 100, 64)); }},
        {"heap_realloc", false,
         [](A a, void *) { fa_heap_free(a, fa_heap_realloc(a, nullptr, 64)); }},
        {"heap_free", false, [](A a, void *) { fa_heap_free(a, nullptr); }},
        {"heap_visit", false,
         [](A a, void *) {
             EXPECT_EQ(fa_heap_visit(
                           a, [](void *, const fa_heap_block *) {}, nullptr),
                       0u);
         }},
        {"trim", false, [](A a, void *) { fa_allocator_trim(a); }},
        {"validate", false, [](A a, void *) { EXPECT_EQ(fa_validate(a, nullptr), FA_OK); }},
        {"stats_get", false, [](A a, void *) { EXPECT_EQ(fa_stats_get(a, &stats), FA_OK); }},
        {"suggest_config", false,
         [](A a, void *) { EXPECT_EQ(fa_stats_suggest_config(a, &config), FA_OK); }},
        {"describe", false,
         [](A a, void *) { EXPECT_EQ(fa_backend_describe(a, 0, &info), FA_OK); }},
        {"is_sealed", false, [](A a, void *) { EXPECT_FALSE(fa_backend_is_sealed(a)); }},
        {"config", false, [](A a, void *) { EXPECT_NE(fa_allocator_config(a), nullptr); }},
        {"acquire and release", false,
         [](A a, void *) { EXPECT_EQ(fa_allocator_release(fa_allocator_acquire(a)), 0u); }},
        {"last_error", false, [](A, void *) { EXPECT_EQ(fa_last_error().status, FA_OK); }},
    };
    return calls;
}

bool Frees(const std::string &name) { return name.rfind("pool_free", 0) == 0 || name == "free"; }

} // namespace

TEST(Thread, EveryCallMayBeAThreadsFirst) {
    for (uint32_t checks : {0u, uint32_t{FA_CHECK_ALL}})
        for (const FirstCall &first : FirstCalls()) {
            SCOPED_TRACE(first.name);
            Tracked allocator(Config(checks));
            void *block = fa_pool_alloc(allocator, 64); // attaches this thread
            OnThread([&] {
                first.call(allocator, block);
                EXPECT_EQ(fa_thread_count(allocator), first.attaches ? 2u : 1u);
            });
            EXPECT_EQ(fa_thread_count(allocator), 1u);
            if (!Frees(first.name))
                fa_pool_free(allocator, block);
            EXPECT_EQ(allocator.Live(), 0u);
            allocator.Check();
        }
}

TEST(Thread, AttachAndDetachByHand) {
    Tracked allocator;
    EXPECT_EQ(fa_thread_attach(nullptr), FA_ERROR_INVALID);
    EXPECT_EQ(fa_thread_detach(nullptr), FA_ERROR_INVALID);
    EXPECT_EQ(fa_thread_count(nullptr), 0u);
    EXPECT_EQ(fa_thread_detach(allocator), FA_ERROR_INVALID);
    for (int round = 0; round < 3; round++) {
        EXPECT_EQ(fa_thread_attach(allocator), FA_OK);
        EXPECT_EQ(fa_thread_attach(allocator), FA_OK);
        EXPECT_EQ(fa_thread_count(allocator), 1u);
        void *block = fa_pool_alloc(allocator, 64);
        ASSERT_NE(fa_frame_begin(allocator), nullptr);
        ASSERT_NE(fa_frame_alloc(allocator, 100), nullptr);
        EXPECT_EQ(fa_thread_detach(allocator), FA_OK) << "with a frame open";
        EXPECT_EQ(fa_thread_count(allocator), 0u);
        EXPECT_EQ(fa_frame_alloc(allocator, 100), nullptr);
        EXPECT_EQ(fa_frame_current(allocator), nullptr);
        fa_pool_free(allocator, block);
        EXPECT_EQ(fa_thread_count(allocator), 0u);
        allocator.Check();
    }
    EXPECT_EQ(allocator.Stats().thread_attach_count, 3u);
    EXPECT_EQ(allocator.Stats().frame_count, 3u);
}

TEST(Thread, CountIsLimited) {
    fa_alloc_config config = Config();
    config.thread_count_max = 2;
    Tracked allocator(config);
    Gate gate;
    ASSERT_EQ(fa_thread_attach(allocator), FA_OK);
    std::thread second([&] {
        EXPECT_EQ(fa_thread_attach(allocator), FA_OK);
        gate.Open(1);
        gate.Wait(2);
    });
    gate.Wait(1);
    void *block = fa_pool_alloc(allocator, 64);
    OnThread([&] {
        EXPECT_EQ(fa_thread_attach(allocator), FA_ERROR_LIMIT);
        EXPECT_EQ(fa_last_error().diag, FA_DIAG_FA202);
        EXPECT_EQ(fa_pool_alloc(allocator, 64), nullptr);
        EXPECT_EQ(fa_last_error().status, FA_ERROR_LIMIT);
        EXPECT_EQ(fa_frame_begin(allocator), nullptr);
        void *blocks[3];
        EXPECT_EQ(fa_pool_alloc_batch(allocator, 64, 3, blocks), FA_ERROR_LIMIT);
        fa_pool_free(allocator, block); // needs no state
        fa_heap_free(allocator, fa_heap_alloc(allocator, 64));
    });
    gate.Open(2);
    second.join();
    OnThread([&] { EXPECT_EQ(fa_thread_attach(allocator), FA_OK); });
    EXPECT_EQ(allocator.Count(FA_DIAG_FA202), 4u);
    allocator.Check();
}

TEST(Thread, ExitsWithLiveObjects) {
    Tracked allocator;
    std::vector<void *> blocks(5000);
    OnThread([&] {
        for (size_t i = 0; i < blocks.size(); i++) {
            blocks[i] = fa_pool_alloc(allocator, 1 + i % 700);
            Paint(blocks[i], i, 1 + i % 700);
        }
        fa_frame_begin(allocator); // and with an open frame
        EXPECT_NE(fa_frame_alloc(allocator, 1000), nullptr);
    });
    allocator.Check();
    EXPECT_EQ(allocator.Live(), kCounted ? blocks.size() : 0);
    EXPECT_EQ(allocator.Stats().bytes_held_by_kind[FA_SPAN_CHUNK], 0u);
    OnThread([&] {
        for (size_t i = 0; i < blocks.size(); i++) {
            EXPECT_TRUE(IsPainted(blocks[i], i, 1 + i % 700));
            fa_pool_free_sized(allocator, blocks[i], 1 + i % 700);
        }
        EXPECT_EQ(fa_thread_count(allocator), 0u) << "freeing attached the thread";
    });
    EXPECT_EQ(allocator.Live(), 0u);
    EXPECT_EQ(allocator.Stats().pool_slab_count, 0u);
    allocator.Check();
}

TEST(Thread, TwoAllocatorsInterleaved) {
    Tracked first, second(fa_testing::Config(FA_CHECK_ALL));
    auto work = [&](uint64_t seed) {
        Engine random(seed);
        std::vector<std::pair<fa_allocator *, void *>> own;
        for (size_t i = 0; i < Rounds(20000); i++) {
            fa_allocator *allocator = Pick(random, 0, 1) ? first : second;
            if (i % 64 == 0) {
                fa_frame_begin(first);
                fa_frame_begin(second);
            }
            auto *block = static_cast<char *>(fa_frame_alloc(allocator, 40));
            ASSERT_EQ(fa_intent_of(allocator, block), FA_INTENT_FRAME);
            ASSERT_EQ(fa_intent_of(allocator == first ? second : first, block), FA_INTENT_NONE);
            own.emplace_back(allocator, fa_pool_alloc(allocator, 1 + i % 100));
            if (own.size() > 100) {
                size_t index = Pick(random, 0, own.size() - 1);
                fa_pool_free(own[index].first, own[index].second);
                own[index] = own.back();
                own.pop_back();
            }
            if (i % 64 == 63) {
                fa_frame_end(second);
                fa_frame_end(first);
            }
        }
        for (auto [allocator, block] : own)
            fa_pool_free(allocator, block);
    };
    uint64_t seed = Random().Seed();
    std::vector<std::thread> threads;
    for (uint64_t i = 0; i < 3; i++)
        threads.emplace_back(work, seed + i);
    for (std::thread &thread : threads)
        thread.join();
    for (Tracked *allocator : {&first, &second}) {
        EXPECT_EQ(allocator->Live(), 0u);
        EXPECT_EQ(fa_thread_count(*allocator), 0u);
        allocator->Check();
    }
}

// An allocator goes while a thread that has used it idles; the thread uses others afterwards, also
// one at the same address, and exits.
TEST(Thread, OutlivesAnAllocator) {
    static char region[1 << 20];
    fa_backend fixed = fa_backend_fixed(region, sizeof region);
    fa_alloc_config config = fa_alloc_config_minimal();
    config.checks = 0;
    config.on_event = nullptr;
    config.backends[0] = fixed;
    for (bool use_again : {false, true}) {
        fa_allocator *old = nullptr, *fresh = nullptr;
        Tracked other;
        Gate gate;
        ASSERT_EQ(fa_allocator_create(&config, &old), FA_OK);
        std::thread idle([&] {
            ASSERT_NE(fa_pool_alloc(old, 64), nullptr);
            ASSERT_NE(fa_frame_begin(old), nullptr);
            gate.Open(1);
            gate.Wait(2);
            if (!use_again)
                return;
            EXPECT_EQ(fa_frame_current(fresh), nullptr) << "state of another allocator";
            EXPECT_EQ(fa_frame_alloc(fresh, 16), nullptr);
            fa_pool_free(other, fa_pool_alloc(other, 64));
            fa_pool_free(fresh, fa_pool_alloc(fresh, 64));
            EXPECT_EQ(fa_thread_count(fresh), 1u);
        });
        gate.Wait(1);
        EXPECT_EQ(fa_allocator_destroy(old), kCounted ? 1u : 0u);
        ASSERT_EQ(fa_allocator_create(&config, &fresh), FA_OK);
        ASSERT_EQ(fresh, old) << "the test wants the same address";
        gate.Open(2);
        idle.join();
        EXPECT_EQ(fa_thread_count(fresh), 0u);
        EXPECT_EQ(fa_allocator_destroy(fresh), 0u);
    }
    fa_backend_close(fixed);
}

// Threads that are done with an allocator, but not yet at their end, exit while it is destroyed.
TEST(Thread, ExitsWhileAllocatorsAreDestroyed) {
    for (size_t round = 0; round < Rounds(400); round++) {
        auto doomed = std::make_unique<Tracked>();
        static Tracked *staying;
        if (staying == nullptr)
            staying = new Tracked;
        static std::atomic<int> done, gone;
        done = gone = 0;
        for (int i = 0; i < 3; i++)
            std::thread([&doomed] {
                static thread_local struct Last {
                    ~Last() { gone++; }
                } last;
                (void)&last;
                fa_allocator *allocator = *doomed;
                fa_pool_free(allocator, fa_pool_alloc(allocator, 64));
                void *kept = fa_pool_alloc(*staying, 64);
                done++;
                fa_pool_free(*staying, kept);
            }).detach();
        while (done != 3)
            std::this_thread::yield();
        EXPECT_EQ(doomed->Destroy(), 0u);
        while (gone != 3)
            std::this_thread::yield();
        if (round + 1 == Rounds(400)) {
            while (fa_thread_count(*staying) != 0)
                std::this_thread::yield();
            staying->Check();
            delete staying;
            staying = nullptr;
        }
    }
}
