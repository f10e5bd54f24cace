// Fork: the child goes on with what it has, whatever the other threads were doing.
#include "fa/testing_forks.hpp"

#include <atomic>
#include <memory>
#include <mutex>
#include <string>

using namespace fa_testing;

namespace {

// What a program does, from a thread that may be new to the allocator.
int Live(fa_allocator *allocator) {
    void *blocks[100];
    CHILD_EXPECT(fa_pool_alloc_batch(allocator, 80, 100, blocks) == FA_OK);
    fa_pool_free_batch(allocator, blocks, 100);
    void *heap = fa_heap_alloc(allocator, 10000);
    CHILD_EXPECT(heap != nullptr);
    memset(heap, 1, 10000);
    fa_heap_free(allocator, heap);
    CHILD_EXPECT(fa_tag_enter_name(allocator, "life::3") == FA_OK);
    void *tagged = fa_pool_alloc(allocator, 80);
    CHILD_EXPECT(tagged != nullptr);
    CHILD_EXPECT(fa_tag_leave(allocator) == FA_OK);
    fa_pool_free(allocator, tagged);
    for (int i = 0; i < 3; i++) {
        CHILD_EXPECT(fa_frame_begin(allocator) != nullptr);
        void *block = fa_frame_alloc(allocator, 200000);
        CHILD_EXPECT(block != nullptr);
        memset(block, 1, 200000);
        CHILD_EXPECT(fa_frame_end(allocator) == FA_OK);
    }
    return 0;
}

} // namespace

TEST(Fork, ChildGoesOn) {
    for (uint32_t checks : {0u, uint32_t{FA_CHECK_ALL}}) {
        Tracked allocator(Config(checks));
        auto *mine = static_cast<char *>(fa_pool_alloc(allocator, 100));
        memset(mine, 7, 100);
        fa_frame_begin(allocator);
        auto *frame = static_cast<char *>(fa_frame_alloc(allocator, 100));
        memset(frame, 8, 100);
        InChild([&]() -> int {
            CHILD_EXPECT(IsFilled(mine, 7, 100));
            CHILD_EXPECT(IsFilled(frame, 8, 100));
            CHILD_EXPECT(fa_thread_count(allocator) == 1);
            CHILD_EXPECT(fa_frame_alloc(allocator, 100) != nullptr);
            CHILD_EXPECT(fa_frame_end(allocator) == FA_OK);
            fa_pool_free(allocator, mine);
            int line = Live(allocator);
            CHILD_EXPECT(fa_validate(allocator, nullptr) == FA_OK);
            CHILD_EXPECT(fa_allocator_destroy(allocator) == 0);
            return line;
        });
        EXPECT_TRUE(IsFilled(mine, 7, 100));
        EXPECT_EQ(fa_frame_end(allocator), FA_OK);
        fa_pool_free(allocator, mine);
        allocator.Check();
    }
}

// Other threads' objects are alive, and so are the threads, in the parent.
TEST(Fork, ChildFreesWhatThreadsThatAreGoneHadAllocated) {
    for (uint32_t checks : {0u, uint32_t{FA_CHECK_ALL}}) {
        Tracked allocator(Config(checks));
        std::atomic<int> ready{0};
        std::atomic<bool> leave{false};
        void *blocks[3][50];
        std::vector<std::thread> threads;
        for (auto &row : blocks)
            threads.emplace_back([&, own = row] {
                EXPECT_EQ(fa_pool_alloc_batch(allocator, 200, 50, own), FA_OK);
                for (int i = 0; i < 50; i++)
                    Paint(own[i], static_cast<uint64_t>(i), 200);
                fa_frame_begin(allocator);
                EXPECT_NE(fa_frame_alloc(allocator, 5000), nullptr);
                ready++;
                while (!leave)
                    std::this_thread::yield();
                fa_pool_free_batch(allocator, own, 50);
            });
        while (ready != 3)
            std::this_thread::yield();
        auto free_all = [&]() -> int {
            for (auto &row : blocks)
                for (int i = 0; i < 50; i++) {
                    CHILD_EXPECT(IsPainted(row[i], static_cast<uint64_t>(i), 200));
                    fa_pool_free(allocator, row[i]);
                }
            return 0;
        };
        InChild([&]() -> int { // from a thread that the allocator does not know
            CHILD_EXPECT(fa_thread_count(allocator) == 0);
            if (int line = free_all())
                return line;
            if (int line = Live(allocator))
                return line;
            CHILD_EXPECT(fa_validate(allocator, nullptr) == FA_OK);
            CHILD_EXPECT(fa_allocator_destroy(allocator) == 0);
            return 0;
        });
        fa_thread_attach(allocator);
        InChild([&]() -> int { // and from one that it knows; the objects stay alive
            CHILD_EXPECT(fa_thread_count(allocator) == 1);
            if (int line = Live(allocator))
                return line;
            CHILD_EXPECT(fa_validate(allocator, nullptr) == FA_OK);
            CHILD_EXPECT(fa_allocator_destroy(allocator) == (kCounted ? 150u : 0u));
            return 0;
        });
        if (!kTsan) // which forbids threads there
            InChild([&]() -> int {
                int line = 0;
                for (int i = 0; i < 5 && line == 0; i++)
                    OnThread([&] { line = Live(allocator); });
                if (line != 0)
                    return line;
                CHILD_EXPECT(fa_thread_count(allocator) == 1);
                return free_all();
            });
        leave = true;
        for (std::thread &thread : threads)
            thread.join();
        allocator.Check();
    }
}

namespace {

// What the threads of a test share.
struct Common {
    fa_allocator *allocator;
    fa_shared_arena arena;
    std::mutex mutex;
    std::vector<void *> objects; // freed by another thread
    std::vector<fa_transfer> transfers;
    fa_own_arena parcel; // head NULL: some thread has it
};

// Frees what others allocated, receives what they made, allocates from what they use too.
void Trade(Common *common, Engine &random) {
    std::vector<void *> mine = {fa_pool_alloc(common->allocator, Pick(random, 1, 500))};
    fa_transfer made, got = {0};
    uint64_t value = 7;
    EXPECT_EQ((fa_transfer_make)(common->allocator, &value, sizeof value, 8, &made), FA_OK);
    fa_own_arena arena;
    {
        std::lock_guard<std::mutex> lock(common->mutex);
        common->objects.push_back(mine[0]);
        std::swap(common->objects.front(), common->objects.back());
        mine.clear();
        while (common->objects.size() > 40) {
            mine.push_back(common->objects.back());
            common->objects.pop_back();
        }
        common->transfers.push_back(made);
        if (common->transfers.size() > 5) {
            got = common->transfers.front();
            common->transfers.erase(common->transfers.begin());
        }
        arena = common->parcel;
        common->parcel = {nullptr, 0};
    }
    for (void *block : mine)
        fa_pool_free(common->allocator, block);
    fa_received received;
    if (got.id != 0) {
        EXPECT_EQ(fa_transfer_receive(common->allocator, got, &received), FA_OK);
        fa_pool_free(common->allocator, received.object);
    }
    fa_shared_arena_local local;
    if (fa_shared_arena_begin(common->arena, &local) == FA_OK) { // nobody resets it
        EXPECT_NE(fa_shared_arena_alloc(&local, Pick(random, 1, 3000)), nullptr);
        EXPECT_EQ(fa_shared_arena_end(&local), FA_OK);
    }
    (void)fa_shared_arena_reset(common->arena); // while nobody is inside
    if (arena.head == nullptr)
        return;
    arena = fa_own_arena_take(arena);
    EXPECT_NE(fa_own_arena_alloc(arena, Pick(random, 1, 3000)), nullptr);
    if (Pick(random, 0, 5) == 0) {
        EXPECT_EQ(fa_own_arena_reset(arena), FA_OK);
    }
    arena = fa_own_arena_give(arena);
    std::lock_guard<std::mutex> lock(common->mutex);
    common->parcel = arena;
}

// All kinds of calls, without an end; threads too, that come and go.
void Load(Common *common, const std::atomic<bool> &stop, uint64_t seed) {
    fa_allocator *allocator = common->allocator;
    Engine random(seed);
    std::vector<void *> own;
    while (!stop) {
        OnThread([&] {
            for (int i = 0; i < 50 && !stop; i++) {
                for (int n = 0; n < 5; n++)
                    Trade(common, random);
                fa_frame_begin(allocator);
                std::string path = "life::" + std::to_string(Pick(random, 0, 9));
                if (Pick(random, 0, 9) == 0)
                    path += "::" + std::to_string(Pick(random, 0, 15));
                EXPECT_EQ(fa_tag_enter(allocator, fa_tag_intern(allocator, path.c_str())), FA_OK);
                for (int n = 0; n < 20; n++)
                    EXPECT_NE(fa_frame_alloc(allocator, Pick(random, 1, 20000)), nullptr);
                own.push_back(fa_pool_alloc(allocator, Pick(random, 1, 3000)));
                own.push_back(fa_heap_alloc(allocator, Pick(random, 1, 50000)));
                if (Pick(random, 0, 3) != 0) {
                    EXPECT_EQ(fa_tag_leave(allocator), FA_OK);
                }
                if (own.size() > 50) {
                    for (void *block : own)
                        fa_free(allocator, block);
                    own.clear();
                }
                fa_frame_end(allocator);
                if (i % 10 == 0)
                    fa_allocator_trim(allocator);
            }
        });
    }
    for (void *block : own)
        fa_free(allocator, block);
}

} // namespace

TEST(Fork, UnderLoad) {
    for (uint32_t checks : {0u, uint32_t{FA_CHECK_ALL}}) {
        fa_alloc_config config = fa_alloc_config_minimal();
        config.checks = checks;
        config.on_event = nullptr;
        config.heap_cache_bytes = 1 << 20;
        Tracked allocator(config);
        std::atomic<bool> stop{false};
        uint64_t seed = Random().Seed();
        Common common;
        common.allocator = allocator;
        common.arena = fa_shared_arena_create(allocator, "fork", 0, 0);
        common.parcel = fa_own_arena_give(fa_own_arena_create(allocator, "fork", 0, 0));
        std::vector<std::thread> threads;
        for (uint64_t i = 0; i < 3; i++)
            threads.emplace_back([&, i] { Load(&common, stop, seed + i); });
        auto *mine = static_cast<char *>(fa_pool_alloc(allocator, 100));
        for (size_t i = 0; i < Rounds(200) && !testing::Test::HasFailure(); i++)
            InChild([&]() -> int {
                CHILD_EXPECT(fa_thread_count(allocator) == 1);
                if (int line = Live(allocator))
                    return line;
                fa_pool_free(allocator, mine);
                const void *place = nullptr;
                CHILD_EXPECT(fa_validate(allocator, &place) == FA_OK);
                fa_tag_stats stats;
                for (fa_tag tag = 0; tag < fa_tag_count(allocator); tag++)
                    CHILD_EXPECT(fa_tag_stats_get(allocator, tag, &stats) == FA_OK);
                fa_allocator_destroy(allocator);
                return 0;
            });
        stop = true;
        for (std::thread &thread : threads)
            thread.join();
        fa_pool_free(allocator, mine);
        for (void *block : common.objects)
            fa_pool_free(allocator, block);
        for (fa_transfer transfer : common.transfers)
            EXPECT_EQ(fa_transfer_drop(allocator, transfer), FA_OK);
        EXPECT_EQ(fa_own_arena_free(common.parcel), FA_OK);
        EXPECT_EQ(fa_shared_arena_free(common.arena), FA_OK);
        allocator.Check();
    }
}

// A process may end with allocators alive, and with threads that use them.
TEST(ForkDeathTest, ExitWithAllocatorsAlive) {
    testing::FLAGS_gtest_death_test_style = "threadsafe";
    EXPECT_EXIT(
        {
            static fa_allocator *allocator;
            fa_alloc_config config = Config();
            if (fa_allocator_create(&config, &allocator) != FA_OK)
                _exit(1);
            (void)!fa_pool_alloc(allocator, 64);
            (void)!fa_frame_begin(allocator);
            static std::atomic<bool> ready;
            std::thread([] {
                (void)!fa_pool_alloc(allocator, 64);
                ready = true;
                for (;;)
                    fa_pool_free(allocator, fa_pool_alloc(allocator, 64));
            }).detach();
            while (!ready)
                std::this_thread::yield();
            exit(0);
        },
        testing::ExitedWithCode(0), "");
}
