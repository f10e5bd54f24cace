// What is tried before memory is refused: reclaimers, the reserve, and nothing where it is of no
// use.
#include "fa/testing_threads.hpp"

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

using namespace fa_testing;

namespace {

constexpr size_t kKib = 1 << 10, kMib = 1 << 20;

// A reclaimer made of a function; keeps the sizes it was asked for.
struct Reclaimer {
    fa_allocator *allocator;
    int order;
    std::function<size_t(size_t)> body;
    std::vector<size_t> asked;

    Reclaimer(fa_allocator *owner, int place, std::function<size_t(size_t)> what)
        : allocator(owner), order(place), body(std::move(what)) {
        EXPECT_EQ(fa_reclaimer_add(allocator, order, Call, this), FA_OK);
    }
    ~Reclaimer() { fa_reclaimer_remove(allocator, Call, this); }
    Reclaimer(const Reclaimer &) = delete;
    Reclaimer &operator=(const Reclaimer &) = delete;
    fa_status Remove() { return fa_reclaimer_remove(allocator, Call, this); }

    static size_t Call(void *user, fa_allocator *allocator, size_t size) {
        Reclaimer *self = static_cast<Reclaimer *>(user);
        EXPECT_EQ(self->allocator, allocator);
        self->asked.push_back(size);
        return self->body(size);
    }
};

// Every block has a span of its own, so that it is clear what is held.
fa_alloc_config Small(size_t bytes_max = 0) {
    fa_alloc_config config = Plain(fa_alloc_config_minimal());
    config.heap_region_bytes = 0;
    config.bytes_max = bytes_max;
    return config;
}

size_t Nothing(size_t) { return 0; }

} // namespace

TEST(Reserve, IsHeldAndGivenBack) {
    Source source;
    fa_alloc_config config = Small();
    config.reserve_bytes = 100000;
    {
        Allocator allocator(config, source);
        EXPECT_EQ(fa_reserve_held(allocator), 100032u) << "whole cache lines";
        EXPECT_GE(Stats(allocator).bytes_held, 100032u);
        EXPECT_EQ(fa_reserve_refill(allocator), FA_OK) << "it is there";
        EXPECT_EQ(fa_reserve_held(allocator), 100032u);
        ExpectValid(allocator);
    }
    EXPECT_EQ(source.BytesLive(), 0u);
    Allocator none{Small()};
    EXPECT_EQ(fa_reserve_held(none), 0u);
    EXPECT_EQ(fa_reserve_refill(none), FA_OK);
}

TEST(Reserve, CreateFailsWithoutIt) {
    fa_alloc_config config = Small(kMib);
    config.reserve_bytes = kMib;
    fa_allocator *allocator = nullptr;
    EXPECT_EQ(fa_allocator_create(&config, &allocator), FA_ERROR_LIMIT);
    EXPECT_EQ(allocator, nullptr);
    EXPECT_EQ(fa_last_error().size, kMib);
    for (uint64_t at = 1; at <= 2; at++) {
        Source source;
        source.Fail(at);
        config.backends[0] = source.backend;
        config.bytes_max = 0;
        EXPECT_EQ(fa_allocator_create(&config, &allocator), FA_ERROR_NO_MEMORY);
        EXPECT_EQ(allocator, nullptr);
        EXPECT_EQ(source.BytesLive(), 0u);
    }
}

TEST(Reserve, ComesAfterTheReclaimersAndOnce) {
    Events events;
    fa_alloc_config config = Small(4 * kMib);
    config.reserve_bytes = kMib;
    events.Watch(&config);
    Allocator allocator(config);
    std::vector<void *> blocks;
    Reclaimer useless(allocator, 0, [&](size_t) {
        EXPECT_EQ(fa_reserve_held(allocator), kMib);
        return 0;
    });
    fa_last_error_clear();
    while (fa_reserve_held(allocator) != 0)
        blocks.push_back(fa_heap_alloc(allocator, 256 * kKib));
    EXPECT_NE(blocks.back(), nullptr);
    EXPECT_EQ(useless.asked.size(), 1u);
    EXPECT_EQ(events.Count(FA_DIAG_FA704), 1u);
    EXPECT_GE(events.Last(FA_DIAG_FA704).size, 256 * kKib);
    EXPECT_EQ(events.Last(FA_DIAG_FA704).limit, kMib);
    EXPECT_EQ(fa_last_error().status, FA_OK);
    EXPECT_EQ(fa_reserve_refill(allocator), FA_ERROR_LIMIT);
    EXPECT_EQ(fa_reserve_held(allocator), 0u);

    useless.body = Nothing;
    for (void *block; (block = fa_heap_alloc(allocator, 256 * kKib)) != nullptr;)
        blocks.push_back(block);
    EXPECT_EQ(fa_last_error().diag, FA_DIAG_FA301);
    EXPECT_EQ(fa_last_error().status, FA_ERROR_LIMIT);
    EXPECT_EQ(events.Count(FA_DIAG_FA704), 1u);
    EXPECT_EQ(events.Count(FA_DIAG_FA705), 0u);
    EXPECT_LE(Stats(allocator).bytes_held_peak, 4 * kMib);
    for (void *block : blocks)
        fa_free(allocator, block);
    EXPECT_EQ(fa_reserve_refill(allocator), FA_OK);
    EXPECT_EQ(fa_reserve_held(allocator), kMib);
    ExpectValid(allocator);
}

TEST(Reserve, ServesEveryIntentFromARefusingBackend) {
    for (uint32_t checks : {0u, static_cast<uint32_t>(FA_CHECK_ALL)})
        for (int intent = 0; intent < 3; intent++) {
            fa_alloc_config config = Small();
            config.checks = checks;
            config.reserve_bytes = kMib;
            std::vector<char> memory(4 * kMib);
            config.backends[0] = fa_backend_fixed(memory.data(), memory.size());
            Allocator allocator(config);
            ASSERT_NE(fa_frame_begin(allocator), nullptr);
            std::vector<void *> blocks;
            while (fa_reserve_held(allocator) != 0) {
                void *block = intent == 0   ? fa_frame_alloc(allocator, 30000)
                              : intent == 1 ? fa_pool_alloc(allocator, 4096)
                                            : fa_heap_alloc(allocator, 30000);
                ASSERT_NE(block, nullptr);
                Paint(block, blocks.size(), 4096);
                blocks.push_back(block);
            }
            for (size_t i = 0; i < blocks.size(); i++) {
                EXPECT_TRUE(IsPainted(blocks[i], i, 4096));
                if (intent != 0)
                    fa_free(allocator, blocks[i]);
            }
            EXPECT_EQ(fa_frame_end(allocator), FA_OK);
            ExpectValid(allocator);
            EXPECT_EQ(Stats(allocator).diag_count[FA_DIAG_FA704], 1u);
        }
}

TEST(Reclaimers, AreAskedInOrderUntilItIsEnough) {
    Events events;
    fa_alloc_config config = Small(2 * kMib);
    events.Watch(&config);
    Allocator allocator(config);
    void *cache = fa_heap_alloc(allocator, kMib), *small = fa_heap_alloc(allocator, 64 * kKib);
    void *last = fa_heap_alloc(allocator, 256 * kKib);
    std::string order;
    Reclaimer third(allocator, 5, [&](size_t) {
        order += '3';
        fa_free(allocator, cache);
        return kMib;
    });
    Reclaimer fourth(allocator, 6, [&](size_t) {
        order += '4';
        return 0;
    });
    Reclaimer first(allocator, -1, [&](size_t) {
        order += '1';
        return 0;
    });
    Reclaimer second(allocator, 5 - 1, [&](size_t) {
        order += '2';
        fa_free(allocator, small);
        return 64 * kKib;
    });
    void *block = fa_heap_alloc(allocator, kMib);
    EXPECT_NE(block, nullptr);
    EXPECT_EQ(order, "123");
    EXPECT_GE(first.asked.at(0), kMib);
    EXPECT_EQ(events.Count(FA_DIAG_FA705), 1u);
    EXPECT_EQ(events.Last(FA_DIAG_FA705).limit, kMib);
    EXPECT_EQ(events.Count(FA_DIAG_FA301), 0u);
    fa_free(allocator, block);
    fa_free(allocator, last);
}

TEST(Reclaimers, OfOneOrderAreAskedAsAdded) {
    Allocator allocator{Small(kMib)};
    std::string order;
    std::vector<std::unique_ptr<Reclaimer>> reclaimers;
    for (int i = 0; i < FA_RECLAIMER_COUNT_MAX; i++)
        reclaimers.push_back(std::make_unique<Reclaimer>(allocator, 0, [&order, i](size_t) {
            order += static_cast<char>('A' + i);
            return 0;
        }));
    int other;
    EXPECT_EQ(fa_reclaimer_add(allocator, 0, Reclaimer::Call, &other), FA_ERROR_LIMIT);
    EXPECT_EQ(fa_reclaimer_add(allocator, 9, Reclaimer::Call, reclaimers[0].get()),
              FA_ERROR_INVALID);
    EXPECT_EQ(fa_heap_alloc(allocator, 2 * kMib), nullptr);
    EXPECT_EQ(order.substr(0, 3), "ABC");
    EXPECT_EQ(order.size(), static_cast<size_t>(FA_RECLAIMER_COUNT_MAX));
    EXPECT_EQ(fa_last_error().diag, FA_DIAG_FA301);
    reclaimers.clear();
    EXPECT_EQ(fa_heap_alloc(allocator, 2 * kMib), nullptr);
    EXPECT_EQ(order.size(), static_cast<size_t>(FA_RECLAIMER_COUNT_MAX));
    EXPECT_EQ(fa_reclaimer_remove(allocator, Reclaimer::Call, &other), FA_ERROR_INVALID);
}

TEST(Reclaimers, MayAllocateButAreNotAskedForIt) {
    fa_alloc_config config = Small(kMib);
    config.reserve_bytes = 64 * kKib;
    Allocator allocator(config);
    size_t depth = 0, deepest = 0;
    Reclaimer reclaimer(allocator, 0, [&](size_t) {
        deepest = ++depth > deepest ? depth : deepest;
        void *small = fa_heap_alloc(allocator, 1000);
        EXPECT_NE(small, nullptr);
        EXPECT_EQ(fa_heap_alloc(allocator, 2 * kMib), nullptr);
        EXPECT_EQ(fa_last_error().diag, FA_DIAG_FA301);
        EXPECT_EQ(fa_reserve_held(allocator), 64 * kKib) << "the outer request comes first";
        void *pool = fa_pool_alloc(allocator, 64);
        fa_pool_free(allocator, pool);
        fa_free(allocator, small);
        depth--;
        return 1;
    });
    EXPECT_EQ(fa_heap_alloc(allocator, 3 * kMib), nullptr);
    EXPECT_EQ(fa_last_error().size > 3 * kMib - 1, true) << "of the outer request";
    EXPECT_EQ(deepest, 1u);
    EXPECT_EQ(reclaimer.asked.size(), 1u);
    EXPECT_EQ(fa_reserve_held(allocator), 0u);
    fa_last_error_clear();
    void *block = fa_heap_alloc(allocator, 900 * kKib);
    EXPECT_EQ(block != nullptr, fa_last_error().status == FA_OK);
    fa_free(allocator, block);
}

TEST(Reclaimers, LeaveNoTraceInTheErrorOfACallThatSucceeds) {
    Allocator allocator{Small(kMib)};
    void *cache = fa_heap_alloc(allocator, 512 * kKib);
    Reclaimer reclaimer(allocator, 0, [&](size_t) {
        EXPECT_EQ(fa_heap_alloc(allocator, 0), nullptr);
        fa_free(allocator, cache);
        return 512 * kKib;
    });
    fa_last_error_clear();
    void *block = fa_heap_alloc(allocator, 700 * kKib);
    EXPECT_NE(block, nullptr);
    EXPECT_EQ(fa_last_error().status, FA_OK);
    fa_free(allocator, block);
}

TEST(Reclaimers, MayChangeTheListWhileTheyRun) {
    Allocator allocator{Small(kMib)};
    std::string order;
    std::unique_ptr<Reclaimer> added;
    Reclaimer second(allocator, 2, [&](size_t) {
        order += '2';
        return 0;
    });
    Reclaimer third(allocator, 3, [&](size_t) {
        order += '3';
        return 0;
    });
    Reclaimer first(allocator, 1, [&](size_t) {
        order += '1';
        EXPECT_EQ(first.Remove(), FA_OK);
        EXPECT_EQ(first.Remove(), FA_ERROR_INVALID) << "it is removed though it runs";
        EXPECT_EQ(third.Remove(), FA_OK);
        if (!added)
            added = std::make_unique<Reclaimer>(allocator, 9, [&](size_t) {
                order += '9';
                return 0;
            });
        return 0;
    });
    EXPECT_EQ(fa_heap_alloc(allocator, 2 * kMib), nullptr);
    EXPECT_EQ(order, "12") << "one that is added meanwhile waits for the next time";
    EXPECT_EQ(fa_heap_alloc(allocator, 2 * kMib), nullptr);
    EXPECT_EQ(order, "1229");
}

TEST(Reclaimers, GiveBackPoolAndFrameMemory) {
    fa_alloc_config config = Plain(fa_alloc_config_minimal());
    config.bytes_max = 3 * kMib;
    Allocator allocator(config);
    std::vector<void *> entities;
    void *object;
    while ((object = fa_pool_alloc(allocator, 256)) != nullptr)
        entities.push_back(object);
    EXPECT_EQ(fa_last_error().diag, FA_DIAG_FA301);
    Reclaimer reclaimer(allocator, 0, [&](size_t) {
        for (void *each : entities)
            fa_pool_free(allocator, each);
        const size_t bytes = entities.size() * 256;
        entities.clear();
        return bytes;
    });
    object = fa_pool_alloc(allocator, 512);
    EXPECT_NE(object, nullptr) << "a slab, though no segment went back";
    ASSERT_NE(fa_frame_begin(allocator), nullptr);
    EXPECT_NE(fa_frame_alloc(allocator, 2 * kMib), nullptr);
    EXPECT_EQ(fa_frame_end(allocator), FA_OK);
    EXPECT_EQ(reclaimer.asked.size(), 1u);
    fa_pool_free(allocator, object);
    ExpectValid(allocator);
    ExpectIdentities(allocator);
}

TEST(Reclaimers, MayUseTheFrameThatIsShortOfMemory) {
    for (uint32_t checks : {0u, static_cast<uint32_t>(FA_CHECK_ALL)}) {
        fa_alloc_config config = Plain(fa_alloc_config_minimal());
        config.checks = checks;
        config.frame_bytes_max = 256 * kKib;
        config.frame_chunk_bytes_max = 64 * kKib;
        Source source;
        Allocator allocator(config, source);
        ASSERT_NE(fa_frame_begin(allocator), nullptr);
        char *first = static_cast<char *>(fa_frame_alloc(allocator, 1000));
        Paint(first, 1, 1000);
        char *inner = nullptr;
        Reclaimer reclaimer(allocator, 0, [&](size_t) {
            source.Fail(0);
            inner = static_cast<char *>(fa_frame_alloc(allocator, 5000));
            Paint(inner, 2, 5000);
            return 1;
        });
        source.Fail(1);
        char *block = static_cast<char *>(fa_frame_alloc(allocator, 50000));
        ASSERT_NE(block, nullptr);
        Paint(block, 3, 50000);
        ASSERT_NE(inner, nullptr);
        EXPECT_TRUE(IsPainted(first, 1, 1000));
        EXPECT_TRUE(IsPainted(inner, 2, 5000));
        ExpectValid(allocator);
        EXPECT_EQ(fa_frame_end(allocator), FA_OK);
        ExpectValid(allocator);
    }
}

TEST(Reclaimers, AreNotAskedWhenSealed) {
    fa_alloc_config config = Small();
    config.reserve_bytes = kMib;
    Allocator allocator(config);
    Reclaimer reclaimer(allocator, 0, [](size_t) {
        ADD_FAILURE();
        return 1;
    });
    fa_backend_seal(allocator);
    EXPECT_EQ(fa_heap_alloc(allocator, kMib), nullptr);
    EXPECT_EQ(fa_last_error().diag, FA_DIAG_FA702);
    EXPECT_EQ(fa_reserve_held(allocator), kMib);
    EXPECT_EQ(fa_reserve_refill(allocator), FA_OK);
    reclaimer.body = Nothing;
}

TEST(Reclaimers, OfSeveralThreadsThatFailAtOnce) {
    Source source;
    fa_alloc_config config = Plain(fa_alloc_config_minimal());
    config.bytes_max = 6 * kMib;
    config.reserve_bytes = 512 * kKib;
    Allocator allocator(config, source);
    std::mutex lock;
    std::vector<void *> cache;
    std::atomic<size_t> asked{0}, refused{0};
    const auto keep = [&](void *block) {
        std::lock_guard<std::mutex> hold(lock);
        cache.push_back(block);
    };
    struct Shared {
        std::function<size_t()> drop;
    } shared{[&] {
        asked++;
        std::vector<void *> mine;
        {
            std::lock_guard<std::mutex> hold(lock);
            for (size_t i = 0; i < 8 && !cache.empty(); i++) {
                mine.push_back(cache.back());
                cache.pop_back();
            }
        }
        for (void *block : mine)
            fa_free(allocator, block);
        return mine.size() * 40000;
    }};
    const auto call = [](void *user, fa_allocator *, size_t) {
        return static_cast<Shared *>(user)->drop();
    };
    EXPECT_EQ(fa_reclaimer_add(allocator, 0, call, &shared), FA_OK);
    Random random;
    std::vector<std::thread> threads;
    for (uint64_t t = 0; t < 4; t++)
        threads.emplace_back([&, t] {
            Engine engine(random.Seed() + t);
            for (size_t i = 0; i < Rounds(4000); i++) {
                const size_t size = Pick(engine, 1, 80000);
                void *block = Pick(engine, 0, 3) ? fa_heap_alloc(allocator, size)
                                                 : fa_pool_alloc(allocator, size % 4096 + 1);
                if (block != nullptr)
                    keep(block);
                else
                    refused += fa_last_error().status == FA_ERROR_LIMIT;
                if (Pick(engine, 0, 200) == 0)
                    fa_reserve_refill(allocator);
            }
        });
    /* One that comes and goes: what it was given must not be used after it was removed. */
    threads.emplace_back([&] {
        for (size_t i = 0; i < Rounds(4000); i++) {
            auto alive = std::make_unique<std::atomic<size_t>>(1);
            const auto touch = [](void *user, fa_allocator *, size_t) -> size_t {
                EXPECT_EQ(static_cast<std::atomic<size_t> *>(user)->load(), 1u);
                return 0;
            };
            EXPECT_EQ(fa_reclaimer_add(allocator, -1, touch, alive.get()), FA_OK);
            std::this_thread::yield();
            EXPECT_EQ(fa_reclaimer_remove(allocator, touch, alive.get()), FA_OK);
            *alive = 2;
        }
    });
    for (std::thread &thread : threads)
        thread.join();
    EXPECT_GT(asked, 0u);
    EXPECT_LE(Stats(allocator).bytes_held_peak, 6 * kMib);
    for (void *block : cache)
        fa_free(allocator, block);
    ExpectValid(allocator);
    ExpectIdentities(allocator);
    EXPECT_EQ(allocator.Destroy(), 0u);
    EXPECT_EQ(source.BytesLive(), 0u);
}

TEST(Reclaimers, UnderFaultsAtEveryCall) {
    for (bool lasting : {false, true}) {
        for (uint64_t at = 1;; at++) {
            Source source;
            source.Fail(at, lasting);
            fa_alloc_config config = Plain(fa_alloc_config_minimal());
            config.reserve_bytes = 64 * kKib;
            config.backends[0] = source.backend;
            fa_allocator *allocator = nullptr;
            if (fa_allocator_create(&config, &allocator) != FA_OK) {
                EXPECT_EQ(source.BytesLive(), 0u);
                continue;
            }
            void *cache = fa_heap_alloc(allocator, 500000);
            {
                Reclaimer reclaimer(allocator, 0, [&](size_t) -> size_t {
                    if (cache == nullptr)
                        return 0;
                    fa_free(allocator, cache);
                    cache = nullptr;
                    fa_free(allocator, fa_pool_alloc(allocator, 100));
                    return 500000;
                });
                std::vector<void *> blocks;
                for (size_t i = 0; i < 200; i++) {
                    blocks.push_back(fa_heap_alloc(allocator, 3000 * (i % 30 + 1)));
                    blocks.push_back(fa_pool_alloc(allocator, 30 * (i % 90 + 1)));
                }
                if (fa_frame_begin(allocator) != nullptr) {
                    for (size_t i = 0; i < 30; i++)
                        if (void *block = fa_frame_alloc(allocator, 4000))
                            std::memset(block, 1, 4000);
                    EXPECT_EQ(fa_frame_end(allocator), FA_OK);
                }
                ExpectValid(allocator);
                for (void *block : blocks)
                    fa_free(allocator, block);
            }
            fa_free(allocator, cache);
            source.Fail(0);
            EXPECT_EQ(fa_reserve_refill(allocator), FA_OK);
            EXPECT_EQ(fa_reserve_held(allocator), 64 * kKib);
            const bool met = fa_failing_calls(&source.failing, FA_FAILING_ALLOC) >= at;
            ExpectIdentities(allocator);
            EXPECT_EQ(fa_allocator_destroy(allocator), 0u);
            EXPECT_EQ(source.BytesLive(), 0u);
            if (!met)
                break;
        }
    }
}
