// The end of threads: destructors that allocate, many threads, threads that trade.
#include "fa/testing_threads.hpp"

#include <atomic>
#include <mutex>
#include <string>

#include <limits.h>
#include <pthread.h>

using namespace fa_testing;

namespace {

fa_allocator *g_allocator; // of the test in progress
std::atomic<size_t> g_allocs, g_refused;

// What a destructor does: frees what the thread has kept, allocates, frees again, runs a frame.
void Use(void *kept) {
    fa_pool_free(g_allocator, kept);
    void *block = fa_pool_alloc(g_allocator, 100);
    if (block == nullptr) {
        EXPECT_EQ(fa_last_error().diag, FA_DIAG_FA202);
        g_refused++;
        return;
    }
    g_allocs++;
    memset(block, 1, 100);
    if (fa_frame_begin(g_allocator) != nullptr) {
        EXPECT_NE(fa_frame_alloc(g_allocator, 100), nullptr);
        fa_frame_end(g_allocator);
    }
    fa_pool_free(g_allocator, block);
}

struct KeyValue {
    pthread_key_t key;
    int rounds; // destructors still to come
    void *kept;
};

void KeyDestructor(void *pointer) {
    auto *value = static_cast<KeyValue *>(pointer);
    Use(value->kept);
    value->kept = fa_pool_alloc(g_allocator, 50);
    if (--value->rounds > 0) {
        pthread_setspecific(value->key, value);
        return;
    }
    fa_pool_free(g_allocator, value->kept);
    value->kept = nullptr;
}

pthread_key_t NewKey() {
    pthread_key_t key;
    EXPECT_EQ(pthread_key_create(&key, KeyDestructor), 0);
    return key;
}

// Made before main, and so before the library makes its own.
const pthread_key_t g_key_before = NewKey();

struct Local {
    void *kept = nullptr;
    ~Local() {
        if (g_allocator != nullptr)
            Use(kept);
    }
};
thread_local Local t_local;

} // namespace

// Keys older and younger than the library's, with 1 to all rounds, and C++ objects; the thread has
// used the allocator before.
TEST(ThreadExit, DestructorsMayAllocateAndFree) {
    for (uint32_t checks : {0u, uint32_t{FA_CHECK_ALL}})
        // In the last round the thread sanitizer does not know the thread any more.
        for (int rounds = 1; rounds <= PTHREAD_DESTRUCTOR_ITERATIONS - (kTsan ? 1 : 0); rounds++) {
            SCOPED_TRACE(rounds);
            Tracked allocator(Config(checks));
            g_allocator = allocator;
            g_allocs = g_refused = 0;
            pthread_key_t key_after = NewKey();
            for (int i = 0; i < 20; i++)
                OnThread([&] {
                    KeyValue before = {g_key_before, rounds, nullptr};
                    KeyValue after = {key_after, rounds, nullptr};
                    static thread_local KeyValue values[2]; // outlive the function
                    values[0] = before;
                    values[1] = after;
                    for (KeyValue &value : values) {
                        value.kept = fa_pool_alloc(allocator, 50);
                        pthread_setspecific(value.key, &value);
                    }
                    t_local.kept = fa_pool_alloc(allocator, 70);
                });
            pthread_key_delete(key_after);
            EXPECT_GT(g_allocs.load(), 0u);
            if (rounds == 1) {
                EXPECT_EQ(g_refused.load(), 0u);
            }
            EXPECT_EQ(fa_thread_count(allocator), 0u);
            EXPECT_EQ(allocator.Live(), 0u);
            allocator.Check();
            g_allocator = nullptr;
        }
}

// The thread itself never used the allocator: its destructors are the first to.
TEST(ThreadExit, DestructorsMayBeTheFirstToAllocate) {
    Tracked allocator;
    g_allocator = allocator;
    pthread_key_t key_after = NewKey();
    for (pthread_key_t key : {g_key_before, key_after})
        for (int rounds = 1; rounds < PTHREAD_DESTRUCTOR_ITERATIONS - (kTsan ? 1 : 0); rounds++)
            OnThread([&] {
                static thread_local KeyValue value;
                value = {key, rounds, nullptr};
                pthread_setspecific(key, &value);
            });
    pthread_key_delete(key_after);
    g_allocator = nullptr;
    EXPECT_EQ(fa_thread_count(allocator), 0u);
    EXPECT_EQ(allocator.Live(), 0u);
    allocator.Check();
}

// Ten thousand threads, a few at a time, each leaving objects that a later one frees.
TEST(ThreadExit, StormsLeaveMemoryFlat) {
    constexpr size_t kThreads = 10000, kAtOnce = 4, kLeft = 8, kRing = 64;
    fa_alloc_config config = fa_alloc_config_minimal();
    config.checks = 0;
    config.on_event = nullptr;
    Tracked allocator(config);
    std::mutex mutex;
    std::vector<void *> ring(kRing * kLeft);
    uint64_t seed = Random().Seed();
    std::atomic<size_t> started{0};
    size_t peak_early = 0;
    auto visit = [&](size_t number) {
        Engine random(seed + number);
        std::vector<void *> own(40);
        for (void *&block : own)
            block = fa_pool_alloc(allocator, Pick(random, 1, 2000));
        if (number % 3 == 0) {
            fa_frame_begin(allocator);
            EXPECT_NE(fa_frame_alloc(allocator, 1000), nullptr);
        }
        std::vector<void *> old(kLeft);
        {
            std::lock_guard<std::mutex> lock(mutex);
            size_t slot = number % kRing * kLeft;
            for (size_t i = 0; i < kLeft; i++) {
                old[i] = ring[slot + i];
                ring[slot + i] = own[i];
            }
        }
        fa_pool_free_batch(allocator, old.data(), kLeft);
        fa_pool_free_batch(allocator, own.data() + kLeft, own.size() - kLeft);
    };
    auto lane = [&] {
        for (size_t number; (number = started++) < kThreads;) {
            OnThread([&] { visit(number); });
            if (number == kThreads / 4)
                peak_early = allocator.Stats().bytes_held_peak;
        }
    };
    std::vector<std::thread> lanes;
    for (size_t i = 0; i < kAtOnce; i++)
        lanes.emplace_back(lane);
    for (std::thread &thread : lanes)
        thread.join();
    /* Segments are taken and given back all the time; a leak would quadruple the peak. */
    EXPECT_LE(allocator.Stats().bytes_held_peak, 2 * peak_early);
    EXPECT_EQ(allocator.Stats().thread_attach_count, kThreads);
    fa_pool_free_batch(allocator, ring.data(), ring.size());
    EXPECT_EQ(allocator.Live(), 0u);
    EXPECT_EQ(fa_thread_count(allocator), 0u);
    allocator.Check();
}

namespace {

// Hands objects from one thread to another; bounded.
class Channel {
  public:
    bool Put(void *object) {
        size_t head = head_.load(std::memory_order_relaxed);
        if (head - tail_.load(std::memory_order_acquire) == kSlots)
            return false;
        slots_[head % kSlots] = object;
        head_.store(head + 1, std::memory_order_release);
        return true;
    }
    void *Get() {
        size_t tail = tail_.load(std::memory_order_relaxed);
        if (head_.load(std::memory_order_acquire) == tail)
            return nullptr;
        void *object = slots_[tail % kSlots];
        tail_.store(tail + 1, std::memory_order_release);
        return object;
    }

  private:
    static constexpr size_t kSlots = 1000;
    void *slots_[kSlots];
    std::atomic<size_t> head_{0}, tail_{0};
};

size_t SizeOf(size_t number) { return 16 + number % 7 * 48; }

// A consumer frees what a producer allocates. Returns the bytes held after a tenth, and at the end.
void Produce(fa_allocator *allocator, Channel *channel, size_t count) {
    for (size_t i = 0; i < count; i++) {
        auto *object = static_cast<size_t *>(fa_pool_alloc(allocator, SizeOf(i)));
        *object = i;
        while (!channel->Put(object))
            std::this_thread::yield();
    }
}

void Consume(fa_allocator *allocator, Channel *channel, size_t count) {
    for (size_t i = 0; i < count; i++) {
        void *object;
        while ((object = channel->Get()) == nullptr)
            std::this_thread::yield();
        ASSERT_EQ(*static_cast<size_t *>(object), i);
        fa_pool_free_sized(allocator, object, SizeOf(i));
    }
}

} // namespace

TEST(ThreadTrade, ProducerAndConsumerStayBounded) {
    for (bool attached : {false, true}) {
        fa_alloc_config config = fa_alloc_config_minimal();
        config.checks = 0;
        config.on_event = nullptr;
        config.bytes_max = 4 << 20; // some thousand objects at a time are alive
        Tracked allocator(config);
        Channel channel;
        size_t count = Rounds(1000000);
        std::thread producer(Produce, static_cast<fa_allocator *>(allocator), &channel, count);
        std::thread consumer([&] {
            if (attached)
                fa_thread_attach(allocator);
            Consume(allocator, &channel, count);
        });
        producer.join();
        consumer.join();
        EXPECT_EQ(allocator.Live(), 0u);
        if (kCounted && !kAsan) {
            EXPECT_GT(allocator.Stats().pool_remote_count, 0u);
        }
        allocator.Check();
    }
}

// Two threads free each other's objects, a million times.
TEST(ThreadTrade, FreeingEachOthersObjectsForAMillionRounds) {
    fa_alloc_config config = fa_alloc_config_minimal();
    config.checks = 0;
    config.on_event = nullptr;
    Tracked allocator(config);
    Channel there, back;
    size_t count = Rounds(1000000);
    std::atomic<size_t> held_early{0};
    auto side = [&](Channel *out, Channel *in) {
        size_t sent = 0, got = 0;
        while (got < count || sent < count) {
            if (sent < count) {
                auto *object = static_cast<size_t *>(fa_pool_alloc(allocator, SizeOf(sent)));
                *object = sent;
                if (out->Put(object))
                    sent++;
                else
                    fa_pool_free_sized(allocator, object, SizeOf(sent));
            }
            if (auto *object = static_cast<size_t *>(in->Get())) {
                ASSERT_EQ(*object, got);
                fa_pool_free(allocator, object);
                got++;
            } else {
                std::this_thread::yield();
            }
            if (got == count / 10)
                held_early = allocator.Held();
        }
    };
    std::thread one(side, &there, &back), two(side, &back, &there);
    one.join();
    two.join();
    EXPECT_LE(allocator.Held(), held_early + 2 * config.pool_segment_bytes);
    EXPECT_EQ(allocator.Live(), 0u);
    allocator.Check();
}
