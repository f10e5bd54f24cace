// Typed pools that threads share, and what forks and reclaimers meet of them.
#include "fa/testing_forks.hpp"
#include "fa/testing_threads.hpp"

#include <atomic>

using namespace fa_testing;

namespace {

struct Job {
    uint64_t owner;
    char more[56];
};
FA_TYPED_POOL(jobs, Job)

jobs Shared(fa_allocator *allocator, size_t count_max = 0) {
    fa_typed_pool_config config = {};
    config.is_shared = true;
    config.count_max = count_max;
    jobs pool = {};
    EXPECT_EQ(jobs_create(allocator, &config, &pool), FA_OK);
    return pool;
}

// Acquires and releases at random; each object has one owner at a time.
void Work(jobs pool, uint64_t seed, size_t most) {
    Engine random(seed);
    std::vector<Job *> mine;
    for (size_t i = 0; i < Rounds(40000); i++) {
        if (mine.empty() || (mine.size() < most && Pick(random, 0, 1) == 0)) {
            Job *job = jobs_acquire(pool);
            if (job == nullptr) {
                EXPECT_EQ(fa_last_error().status, FA_ERROR_FULL);
                continue;
            }
            job->owner = seed;
            mine.push_back(job);
            continue;
        }
        std::swap(mine[Pick(random, 0, mine.size() - 1)], mine.back());
        EXPECT_EQ(mine.back()->owner, seed);
        EXPECT_TRUE(jobs_has(pool, mine.back()));
        EXPECT_EQ(jobs_release(pool, mine.back()), FA_OK);
        mine.pop_back();
        if (i % 1000 == 0)
            fa_typed_pool_trim(pool.pool);
        if (i % 1500 == 0) {
            EXPECT_EQ(fa_typed_pool_reserve(pool.pool, Pick(random, 0, most)), FA_OK);
        }
    }
    for (Job *job : mine)
        EXPECT_EQ(jobs_release(pool, job), FA_OK);
}

class TypedThreads : public testing::TestWithParam<uint32_t> {
  protected:
    Tracked allocator_{Config(GetParam())};
};

INSTANTIATE_TEST_SUITE_P(Checks, TypedThreads, testing::Values(0u, uint32_t{FA_CHECK_ALL}));

} // namespace

TEST_P(TypedThreads, ShareAPool) {
    for (size_t count_max : {size_t{0}, size_t{900}}) {
        jobs pool = Shared(allocator_, count_max);
        std::vector<std::thread> threads;
        for (uint64_t t = 0; t < 4; t++)
            threads.emplace_back([=] { Work(pool, t, 400); });
        for (std::thread &thread : threads)
            thread.join();
        EXPECT_EQ(jobs_count(pool), 0u);
        fa_typed_pool_stats stats;
        ASSERT_EQ(fa_typed_pool_stats_get(pool.pool, &stats), FA_OK);
        EXPECT_EQ(stats.acquire_count, stats.release_count);
        EXPECT_TRUE(count_max == 0 || stats.live_peak <= count_max);
        allocator_.Check();
        EXPECT_EQ(jobs_destroy(pool), 0u);
    }
}

// Of threads that give the same object back only one succeeds, and it is ended once.
TEST_P(TypedThreads, OneOfManyReleasesAnObject) {
    std::atomic<size_t> ended{0};
    fa_typed_pool_config config = {};
    config.is_shared = true;
    config.user = &ended;
    config.destruct = [](void *user, void *) { (*static_cast<std::atomic<size_t> *>(user))++; };
    jobs pool = {};
    ASSERT_EQ(jobs_create(allocator_, &config, &pool), FA_OK);
    const size_t count = Rounds(4000);
    std::vector<Job *> all;
    for (size_t i = 0; i < count; i++)
        all.push_back(jobs_acquire(pool));
    std::atomic<size_t> released{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < 3; t++)
        threads.emplace_back([&, t] {
            if (t == 2)
                released += jobs_clear(pool);
            for (Job *job : all)
                released += jobs_release(pool, job) == FA_OK;
        });
    for (std::thread &thread : threads)
        thread.join();
    EXPECT_EQ(released, count);
    EXPECT_EQ(ended, count);
    EXPECT_EQ(jobs_destroy(pool), 0u);
}

TEST_P(TypedThreads, AChildGoesOnWithSharedPools) {
    jobs pool = Shared(allocator_);
    Job *mine = jobs_acquire(pool);
    std::atomic<bool> leave{false};
    std::thread busy([&] {
        while (!leave)
            EXPECT_EQ(jobs_release(pool, jobs_acquire(pool)), FA_OK);
    });
    for (int i = 0; i < (kTsan ? 3 : 20); i++) {
        InChild([&] {
            Job *job = jobs_acquire(pool);
            const bool right = job != nullptr && jobs_release(pool, job) == FA_OK &&
                               jobs_release(pool, mine) == FA_OK &&
                               fa_validate(allocator_, nullptr) == FA_OK &&
                               fa_allocator_destroy(allocator_) == 0;
            return right ? 0 : __LINE__;
        });
    }
    leave = true;
    busy.join();
    EXPECT_EQ(jobs_destroy(pool), 1u);
}

// Memory runs out while a pool grows, and a reclaimer gives objects of the same pool back.
TEST_P(TypedThreads, AReclaimerMayUseThePoolThatGrows) {
    struct State {
        jobs pool;
        std::vector<Job *> spare;
        static size_t Reclaim(void *user, fa_allocator *, size_t) {
            auto *self = static_cast<State *>(user);
            const size_t count = self->spare.size();
            while (!self->spare.empty()) {
                Job *job = self->spare.back();
                self->spare.pop_back();
                EXPECT_EQ(jobs_release(self->pool, job), FA_OK);
            }
            return count * sizeof(Job);
        }
    };
    fa_alloc_config config = Config(GetParam());
    config.bytes_max = 3 << 20;
    config.heap_region_bytes = 256 << 10;
    Tracked allocator(config);
    for (bool is_shared : {false, true}) {
        State state;
        state.pool = Shared(allocator);
        if (!is_shared) {
            jobs_destroy(state.pool);
            ASSERT_EQ(jobs_create(allocator, nullptr, &state.pool), FA_OK);
        }
        for (int i = 0; i < 5000; i++)
            state.spare.push_back(jobs_acquire(state.pool));
        ASSERT_EQ(fa_reclaimer_add(allocator, 0, State::Reclaim, &state), FA_OK);
        size_t count = 0;
        while (jobs_acquire(state.pool) != nullptr)
            count++;
        EXPECT_EQ(fa_last_error().status, FA_ERROR_LIMIT);
        EXPECT_TRUE(state.spare.empty());
        EXPECT_EQ(jobs_count(state.pool), count);
        EXPECT_GT(count, 10000u);
        allocator.Check();
        ASSERT_EQ(fa_reclaimer_remove(allocator, State::Reclaim, &state), FA_OK);
        EXPECT_EQ(jobs_destroy(state.pool), count);
    }
}
