// Storms: threads by the thousand that come, leave objects to each other, and go; in one allocator,
// in two, and in some that end under them. What is mapped stays what is needed.
#include "fa/testing_threads.hpp"

#include <algorithm>
#include <atomic>
#include <mutex>

using namespace fa_testing;

namespace {

// Objects that threads leave to each other: as many as there were, once it is full.
class Ring {
  public:
    explicit Ring(size_t count) : objects_(count) {}
    // Leaves own objects, and gets as many old ones, or NULL.
    std::vector<void *> Trade(size_t at, const std::vector<void *> &own) {
        std::vector<void *> old(own.size());
        std::lock_guard<std::mutex> lock(mutex_);
        for (size_t i = 0; i < own.size(); i++) {
            void *&place = objects_[(at + i) % objects_.size()];
            old[i] = place;
            place = own[i];
        }
        return old;
    }
    void Free(fa_allocator *allocator) {
        fa_pool_free_batch(allocator, objects_.data(), objects_.size());
        std::fill(objects_.begin(), objects_.end(), nullptr);
    }

  private:
    std::mutex mutex_;
    std::vector<void *> objects_;
};

fa_alloc_config Small() {
    fa_alloc_config config = fa_alloc_config_minimal();
    config.checks = 0;
    config.on_event = nullptr;
    return config;
}

// What a thread of a storm does: frames, objects of its own and of others, some of them with a tag,
// a transfer, and blocks of a shared arena. It ends without a word, with a frame open or not.
// all_here: until that many have come, none goes.
void Visit(fa_allocator *allocator, Ring *ring, fa_shared_arena shared, uint64_t seed,
           std::atomic<size_t> *here, size_t all_here) {
    Engine random(seed);
    if (Pick(random, 0, 1) != 0) {
        EXPECT_NE(fa_frame_begin(allocator), nullptr);
        EXPECT_NE(fa_frame_alloc(allocator, Pick(random, 1, 5000)), nullptr);
    }
    bool has_tag = Pick(random, 0, 7) == 0;
    if (has_tag) {
        EXPECT_EQ(fa_tag_enter_name(allocator, "storm"), FA_OK);
    }
    std::vector<void *> left(8), own(40);
    for (void *&block : left) {
        size_t size = Pick(random, 1, 1000);
        block = fa_pool_alloc(allocator, size);
        memset(block, 1, size);
    }
    for (void *&block : own)
        block = fa_pool_alloc(allocator, Pick(random, 1, 2000));
    if (has_tag) {
        EXPECT_EQ(fa_tag_leave(allocator), FA_OK);
    }
    for (void *block : ring->Trade(Pick(random, 0, 1000000), left))
        fa_pool_free(allocator, block);
    fa_shared_arena_local local;
    if (fa_shared_arena_begin(shared, &local) == FA_OK) {
        EXPECT_NE(fa_shared_arena_alloc(&local, Pick(random, 1, 200)), nullptr);
        EXPECT_EQ(fa_shared_arena_end(&local), FA_OK);
    }
    for (++*here; *here < all_here;)
        std::this_thread::yield();
    fa_transfer transfer;
    EXPECT_EQ((fa_transfer_make)(allocator, &seed, sizeof seed, 8, &transfer), FA_OK);
    EXPECT_EQ(fa_transfer_drop(allocator, transfer), FA_OK);
    for (void *block : own)
        fa_pool_free(allocator, block);
}

} // namespace

// Ten thousand threads, in waves of 16 to 64; after each of them nobody is there.
TEST(Storm, TenThousandThreadsLeaveMemoryFlat) {
    const size_t count = Rounds(10000);
    Tracked allocator(Small());
    Ring ring(500);
    fa_shared_arena shared = fa_shared_arena_create(allocator, "storm", 1024, 0);
    uint64_t seed = Random().Seed();
    Engine random(seed);
    size_t early = 0, most = 0, waves = 0;
    for (size_t done = 0; done < count; waves++) {
        std::vector<std::thread> threads;
        std::atomic<size_t> here{0};
        // The first wave is as large as any: states are kept for those that come.
        size_t size = std::min<size_t>(waves == 0 ? 64 : Pick(random, 16, 64), count - done);
        for (size_t i = 0; i < size; i++, done++)
            threads.emplace_back(Visit, static_cast<fa_allocator *>(allocator), &ring, shared,
                                 seed + done, &here, size);
        for (std::thread &thread : threads)
            thread.join();
        EXPECT_EQ(fa_thread_count(allocator), 0u);
        EXPECT_EQ(fa_shared_arena_reset(shared), FA_OK);
        size_t held = allocator.Held();
        (done < count / 4 ? early : most) = std::max(done < count / 4 ? early : most, held);
        if (waves % 16 == 0)
            allocator.Check();
    }
    // What is held goes up and down with how many were there at once: twice as much would be a
    // leak.
    EXPECT_LE(most, early + early / 2);
    EXPECT_EQ(allocator.Stats().thread_attach_count, count);
    EXPECT_EQ(allocator.Stats().bytes_held_by_kind[FA_SPAN_CHUNK], 0u);
    ring.Free(allocator);
    EXPECT_EQ(fa_shared_arena_free(shared), FA_OK);
    EXPECT_EQ(allocator.Stats().pool_live_count, 0u);
    EXPECT_EQ(allocator.Stats().pool_slab_count, 0u);
    allocator.Check();
}

// Many threads, each in two allocators by turns; every object is freed by another thread.
TEST(Storm, TwoAllocatorsOnManyThreads) {
    const size_t count = Rounds(3000), at_once = 24;
    Tracked first(Small()), second(fa_testing::Config(FA_CHECK_ALL));
    Ring of_first(300), of_second(300);
    uint64_t seed = Random().Seed();
    std::atomic<size_t> started{0};
    auto visit = [&](size_t number) {
        Engine random(seed + number);
        fa_frame_begin(first);
        fa_frame_begin(second);
        for (size_t i = 0; i < 10; i++) {
            bool in_first = Pick(random, 0, 1) != 0;
            fa_allocator *here = in_first ? first : second, *there = in_first ? second : first;
            auto *block = static_cast<char *>(fa_frame_alloc(here, 40));
            ASSERT_NE(block, nullptr);
            std::vector<void *> own(3);
            for (void *&object : own) {
                object = fa_pool_alloc(here, Pick(random, 1, 500));
                ASSERT_EQ(fa_intent_of(there, object), FA_INTENT_NONE);
            }
            Ring *ring = in_first ? &of_first : &of_second;
            for (void *old : ring->Trade(Pick(random, 0, 1000000), own))
                fa_pool_free(here, old);
        }
        if (number % 2 == 0) // else the threads end with them
            fa_frame_end(first);
        if (number % 3 == 0)
            fa_frame_end(second);
    };
    std::vector<std::thread> lanes;
    for (size_t i = 0; i < at_once; i++)
        lanes.emplace_back([&] {
            for (size_t number; (number = started++) < count;)
                OnThread([&] { visit(number); });
        });
    for (std::thread &lane : lanes)
        lane.join();
    for (Tracked *allocator : {&first, &second}) {
        EXPECT_EQ(fa_thread_count(*allocator), 0u);
        allocator->Check();
        (allocator == &first ? of_first : of_second).Free(*allocator);
        EXPECT_EQ(allocator->Live(), 0u);
        allocator->Check();
    }
}

// Allocators end while threads have state in them: open frames, tags, objects of others that were
// gathered and not handed over. The threads go on with others, or exit.
TEST(Storm, AllocatorsEndUnderLivingThreads) {
    constexpr size_t kThreads = 8;
    Tracked staying(Small());
    uint64_t seed = Random().Seed();
    for (size_t round = 0; round < Rounds(240); round++) {
        auto doomed = std::make_unique<Tracked>(Small());
        Ring ring(64);
        std::atomic<size_t> ready{0};
        std::atomic<bool> is_gone{false};
        std::vector<std::thread> threads;
        for (size_t i = 0; i < kThreads; i++)
            threads.emplace_back([&, i] {
                Engine random(seed + round * kThreads + i);
                fa_allocator *allocator = *doomed;
                fa_frame_begin(allocator);
                EXPECT_NE(fa_frame_alloc(allocator, Pick(random, 1, 3000)), nullptr);
                EXPECT_EQ(fa_tag_enter_name(allocator, "doomed"), FA_OK);
                for (size_t n = 0; n < 10; n++) {
                    std::vector<void *> own(5);
                    for (void *&object : own)
                        object = fa_pool_alloc(allocator, Pick(random, 1, 300));
                    for (void *old : ring.Trade(Pick(random, 0, 1000), own))
                        fa_pool_free(allocator, old);
                }
                void *kept = fa_pool_alloc(staying, 64);
                if (i % 2 == 0) // the doomed one is what it used last
                    fa_pool_free(allocator, fa_pool_alloc(allocator, 64));
                ready++;
                while (!is_gone)
                    std::this_thread::yield();
                fa_pool_free(staying, kept);
                if (i % 3 == 0) {
                    EXPECT_NE(fa_frame_begin(staying), nullptr);
                    EXPECT_NE(fa_frame_alloc(staying, 100), nullptr);
                    EXPECT_EQ(fa_frame_end(staying), FA_OK);
                }
            });
        while (ready != kThreads)
            std::this_thread::yield();
        uint64_t live = doomed->Live();
        EXPECT_EQ(doomed->Destroy(), live);
        is_gone = true;
        for (std::thread &thread : threads)
            thread.join();
        EXPECT_EQ(fa_thread_count(staying), 0u);
    }
    EXPECT_EQ(staying.Live(), 0u);
    staying.Check();
}
