// Typed pools: what the header promises, each refusal, and what they hold of the allocator's
// memory.
#include "fa/testing_threads.hpp"

#include <algorithm>
#include <set>

using namespace fa_testing;

namespace {

struct Bullet {
    float x, y;
    uint64_t mark;
};
FA_TYPED_POOL(bullets, Bullet)
struct alignas(64) Wide {
    char bytes[192];
};
FA_TYPED_POOL(wides, Wide)
FA_TYPED_POOL(chars, char)

fa_typed_pool_config Of(size_t size, size_t align = 0) {
    fa_typed_pool_config config = {};
    config.size = size;
    config.align = align;
    return config;
}

fa_typed_pool *Make(fa_allocator *allocator, const fa_typed_pool_config &config) {
    fa_typed_pool *pool = nullptr;
    EXPECT_EQ(fa_typed_pool_create(allocator, &config, &pool), FA_OK);
    return pool;
}

fa_typed_pool_stats StatsOf(fa_typed_pool *pool) {
    fa_typed_pool_stats stats;
    EXPECT_EQ(fa_typed_pool_stats_get(pool, &stats), FA_OK);
    return stats;
}

void *Take(fa_typed_pool *pool) {
    void *object = fa_typed_pool_acquire(pool);
    EXPECT_NE(object, nullptr) << fa_status_name(fa_last_error().status);
    return object;
}

std::vector<Bullet *> Fill(bullets pool, size_t count) {
    std::vector<Bullet *> all(count);
    for (size_t i = 0; i < count; i++) {
        all[i] = bullets_acquire(pool);
        EXPECT_NE(all[i], nullptr);
        all[i]->mark = i;
    }
    return all;
}

std::vector<Bullet *> Walk(bullets pool) {
    std::vector<Bullet *> seen;
    FA_TYPED_EACH (bullet, pool)
        seen.push_back(bullet);
    return seen;
}

std::vector<Bullet *> WalkRuns(bullets pool) {
    std::vector<Bullet *> seen;
    for (bullets_run run = {}; bullets_next_run(pool, &run);)
        for (size_t i = 0; i < run.count; i++)
            seen.push_back(&run.items[i]);
    return seen;
}

// Counts what callbacks do.
struct Lives {
    size_t made = 0, ended = 0;
    size_t refuse_at = 0; // the how manieth construction fails
    static fa_status Construct(void *user, void *object) {
        auto *self = static_cast<Lives *>(user);
        if (++self->made == self->refuse_at)
            return FA_ERROR_BACKEND;
        memset(object, 7, 8);
        return FA_OK;
    }
    static void Destruct(void *user, void *object) {
        auto *self = static_cast<Lives *>(user);
        EXPECT_TRUE(IsFilled(object, 7, 8));
        self->ended++;
    }
    fa_typed_pool_config Config(size_t size = 16) {
        fa_typed_pool_config config = Of(size);
        config.construct = Construct;
        config.destruct = Destruct;
        config.user = this;
        return config;
    }
};

class TypedPool : public testing::TestWithParam<uint32_t> {
  protected:
    Tracked allocator_{Config(GetParam())};
};

INSTANTIATE_TEST_SUITE_P(Checks, TypedPool, testing::Values(0u, uint32_t{FA_CHECK_ALL}));

} // namespace

TEST_P(TypedPool, GivesAndTakesBack) {
    bullets pool;
    ASSERT_EQ(bullets_create(allocator_, nullptr, &pool), FA_OK);
    std::vector<Bullet *> all = Fill(pool, 3000);
    EXPECT_EQ(bullets_count(pool), 3000u);
    EXPECT_EQ(std::set<Bullet *>(all.begin(), all.end()).size(), all.size());
    allocator_.Check();
    for (size_t i = 0; i < all.size(); i++) {
        EXPECT_TRUE(IsAligned(all[i], alignof(Bullet)));
        EXPECT_EQ(all[i]->mark, i);
        EXPECT_TRUE(bullets_has(pool, all[i]));
    }
    for (size_t i = 0; i < all.size(); i += 2) {
        EXPECT_EQ(bullets_release(pool, all[i]), FA_OK);
        EXPECT_FALSE(bullets_has(pool, all[i]));
    }
    EXPECT_EQ(bullets_count(pool), 1500u);
    EXPECT_EQ(bullets_release(pool, nullptr), FA_OK);
    const fa_typed_pool_stats stats = StatsOf(pool.pool);
    EXPECT_EQ(stats.live_count, 1500u);
    EXPECT_EQ(stats.live_peak, 3000u);
    EXPECT_EQ(stats.acquire_count, 3000u);
    EXPECT_EQ(stats.release_count, 1500u);
    EXPECT_GE(stats.capacity, 3000u);
    EXPECT_EQ(stats.bytes_held, Stats(allocator_).heap_live_bytes);
    allocator_.Check();
    EXPECT_EQ(bullets_destroy(pool), 1500u);
    EXPECT_EQ(allocator_.Live(), 0u);
}

TEST_P(TypedPool, TheLowestFreePlaceIsTakenFirst) {
    bullets pool;
    ASSERT_EQ(bullets_create(allocator_, nullptr, &pool), FA_OK);
    std::vector<Bullet *> all = Fill(pool, 5000);
    std::sort(all.begin(), all.end());
    for (size_t i : {4999u, 17u, 3000u, 18u, 64u})
        EXPECT_EQ(bullets_release(pool, all[i]), FA_OK);
    for (size_t i : {17u, 18u, 64u, 3000u, 4999u})
        EXPECT_EQ(bullets_acquire(pool), all[i]);
    bullets_destroy(pool);
}

TEST_P(TypedPool, AThreeObjectPoolIsSmall) {
    wides pool;
    ASSERT_EQ(wides_create(allocator_, nullptr, &pool), FA_OK);
    EXPECT_LT(StatsOf(pool.pool).bytes_held, 1024u);
    for (int i = 0; i < 3; i++) {
        Wide *wide = wides_acquire(pool);
        ASSERT_NE(wide, nullptr);
        EXPECT_TRUE(IsAligned(wide, 64));
        memset(wide, 1, sizeof *wide);
    }
    EXPECT_LE(StatsOf(pool.pool).bytes_held, 2048u);
    EXPECT_EQ(StatsOf(pool.pool).slab_count, 1u);
    wides_destroy(pool);
}

TEST_P(TypedPool, EverySizeAndAlignment) {
    for (size_t align = 1; align <= FA_TYPED_ALIGN_MAX; align *= 2)
        for (size_t size :
             {1u,   2u,    3u,    8u,    24u,    64u,    255u,   256u,   257u,   500u,
              512u, 1000u, 4096u, 8000u, 16000u, 32000u, 33000u, 65000u, 65536u, 200000u}) {
            if (align > size * 4 && align > 64)
                continue;
            fa_typed_pool *pool = Make(allocator_, Of(size, align));
            std::vector<void *> all;
            const size_t count = size < 1000 ? 300 : size < 20000 ? 40 : 5;
            for (size_t i = 0; i < count; i++) {
                all.push_back(Take(pool));
                ASSERT_TRUE(IsAligned(all.back(), align)) << size << " " << align;
                Paint(all.back(), i, size);
            }
            std::set<size_t> indices;
            for (size_t i = 0; i < count; i++) {
                ASSERT_TRUE(IsPainted(all[i], i, size)) << size << " " << align;
                const size_t index = fa_typed_pool_index(pool, all[i]);
                ASSERT_LT(index, StatsOf(pool).index_end);
                ASSERT_TRUE(indices.insert(index).second);
            }
            size_t seen = 0;
            for (fa_typed_run run = {}; fa_typed_pool_next_run(pool, &run);)
                seen += run.count;
            ASSERT_EQ(seen, count);
            ExpectValid(allocator_);
            for (void *object : all)
                ASSERT_EQ(fa_typed_pool_release(pool, object), FA_OK) << size << " " << align;
            ExpectValid(allocator_);
            ASSERT_EQ(fa_typed_pool_destroy(pool), 0u);
        }
}

TEST_P(TypedPool, WhatIsNoObjectOfItsOwnIsRefused) {
    bullets pool, other;
    ASSERT_EQ(bullets_create(allocator_, nullptr, &pool), FA_OK);
    ASSERT_EQ(bullets_create(allocator_, nullptr, &other), FA_OK);
    std::vector<Bullet *> all = Fill(pool, 1000), others = Fill(other, 1000);
    Bullet local, *heap = static_cast<Bullet *>(fa_heap_alloc(allocator_, 40000));
    EXPECT_EQ(bullets_release(pool, all[500]), FA_OK);
    std::vector<void *> bad = {&local, heap, heap + 3, all[500], pool.pool};
    bad.insert(bad.end(), others.begin(), others.end());
    for (size_t i = 0; i < 500; i++)
        for (size_t inside : {1u, 8u, 23u})
            bad.push_back(reinterpret_cast<char *>(all[i]) + inside);
    for (uintptr_t address : {uintptr_t{1}, UINTPTR_MAX, uintptr_t{1} << 47})
        bad.push_back(reinterpret_cast<void *>(address));
    // Where its slabs begin, and everything near.
    const auto base = reinterpret_cast<uintptr_t>(all[600]) & ~uintptr_t{16383};
    for (uintptr_t at = base; at < base + 640; at += 8)
        if (!bullets_has(pool, reinterpret_cast<void *>(at)))
            bad.push_back(reinterpret_cast<void *>(at));
    for (void *pointer : bad) {
        fa_last_error_clear();
        ASSERT_FALSE(bullets_has(pool, pointer));
        ASSERT_EQ(fa_typed_pool_index(pool.pool, pointer), SIZE_MAX);
        ASSERT_EQ(fa_typed_pool_release(pool.pool, pointer), FA_ERROR_FOREIGN) << pointer;
        ASSERT_EQ(fa_last_error().diag, FA_DIAG_FA640);
    }
    EXPECT_EQ(allocator_.Count(FA_DIAG_FA640), bad.size());
    EXPECT_EQ(bullets_count(pool), 999u);
    EXPECT_EQ(bullets_count(other), 1000u);
    EXPECT_FALSE(bullets_has(pool, nullptr));
    allocator_.Check();
    fa_heap_free(allocator_, heap);
    bullets_destroy(pool);
    bullets_destroy(other);
}

TEST_P(TypedPool, BothWaysOfIteratingGoUpwardsThroughAllThatLives) {
    bullets pool;
    ASSERT_EQ(bullets_create(allocator_, nullptr, &pool), FA_OK);
    EXPECT_TRUE(Walk(pool).empty());
    EXPECT_TRUE(WalkRuns(pool).empty());
    std::vector<Bullet *> all = Fill(pool, 5000);
    std::sort(all.begin(), all.end());
    EXPECT_EQ(Walk(pool), all);
    EXPECT_EQ(WalkRuns(pool), all);
    std::vector<Bullet *> kept;
    for (size_t i = 0; i < all.size(); i++)
        if (i % 7 == 0 || (i > 1000 && i < 1300) || i / 64 % 9 == 3)
            kept.push_back(all[i]);
        else
            EXPECT_EQ(bullets_release(pool, all[i]), FA_OK);
    EXPECT_EQ(Walk(pool), kept);
    EXPECT_EQ(WalkRuns(pool), kept);
    EXPECT_EQ(bullets_clear(pool), kept.size());
    EXPECT_TRUE(Walk(pool).empty());
    EXPECT_TRUE(WalkRuns(pool).empty());
    EXPECT_EQ(bullets_count(pool), 0u);
    allocator_.Check();
    bullets_destroy(pool);
}

TEST_P(TypedPool, BreakAndContinueAreThoseOfALoop) {
    bullets pool;
    ASSERT_EQ(bullets_create(allocator_, nullptr, &pool), FA_OK);
    Fill(pool, 200);
    size_t odd = 0, pairs = 0;
    FA_TYPED_EACH (bullet, pool) {
        if (bullet->mark % 2 == 0)
            continue;
        odd++;
        if (odd == 20)
            break;
    }
    EXPECT_EQ(odd, 20u);
    FA_TYPED_EACH (one, pool)
        FA_TYPED_EACH (two, pool) {
            if (two == one)
                break;
            pairs++;
        }
    EXPECT_EQ(pairs, 200u * 199 / 2);
    bullets_destroy(pool);
}

TEST_P(TypedPool, AnythingMayBeReleasedWhileIterating) {
    bullets pool;
    ASSERT_EQ(bullets_create(allocator_, nullptr, &pool), FA_OK);
    std::vector<Bullet *> all = Fill(pool, 4000);
    std::sort(all.begin(), all.end());
    size_t seen = 0, at = 0;
    // Each takes itself and the next thousand with it, so that slabs vanish, and the one behind.
    FA_TYPED_EACH (bullet, pool) {
        while (all[at] != bullet)
            at++;
        seen++;
        for (size_t i = at; i < at + 1000 && i < all.size(); i++)
            EXPECT_EQ(bullets_release(pool, all[i]), FA_OK);
    }
    EXPECT_EQ(seen, 4u);
    EXPECT_EQ(bullets_count(pool), 0u);

    all = Fill(pool, 4000);
    seen = 0;
    for (bullets_run run = {}; bullets_next_run(pool, &run);)
        for (size_t i = 0; i < run.count; i++, seen++)
            EXPECT_EQ(bullets_release(pool, &run.items[i]), FA_OK);
    EXPECT_EQ(seen, 4000u);
    EXPECT_EQ(bullets_count(pool), 0u);

    // What is acquired meanwhile: an end all the same, and nobody of the old ones is left out.
    all = Fill(pool, 1000);
    std::set<Bullet *> old(all.begin(), all.end());
    FA_TYPED_EACH (bullet, pool) {
        old.erase(bullet);
        if (bullets_count(pool) < 3000) {
            bullets_acquire(pool)->mark = 0;
            bullets_acquire(pool)->mark = 0;
        }
    }
    EXPECT_TRUE(old.empty());
    allocator_.Check();
    bullets_destroy(pool);
}

TEST_P(TypedPool, AFullPoolAnswersWithoutAnEvent) {
    for (size_t most : {1u, 3u, 64u, 65u, 1000u}) {
        fa_typed_pool_config config = {};
        config.count_max = most;
        bullets pool;
        ASSERT_EQ(bullets_create(allocator_, &config, &pool), FA_OK);
        std::vector<Bullet *> all = Fill(pool, most);
        EXPECT_LE(StatsOf(pool.pool).capacity, most);
        void *object = &config;
        for (int turn = 0; turn < 3; turn++) {
            fa_last_error_clear();
            EXPECT_EQ(bullets_acquire(pool), nullptr);
            EXPECT_EQ(fa_last_error().status, FA_ERROR_FULL);
            EXPECT_EQ(fa_last_error().diag, FA_DIAG_NONE);
            EXPECT_EQ(fa_typed_pool_try_acquire(pool.pool, &object), FA_ERROR_FULL);
            EXPECT_EQ(object, nullptr);
            EXPECT_EQ(bullets_release(pool, all[most / 2]), FA_OK);
            EXPECT_EQ(bullets_acquire(pool), all[most / 2]);
        }
        allocator_.Check();
        EXPECT_EQ(bullets_destroy(pool), most);
    }
    for (const uint64_t count : allocator_.Stats().diag_count)
        EXPECT_EQ(count, 0u);
}

TEST_P(TypedPool, EmptySlabsGoBackAndOneStays) {
    bullets pool;
    ASSERT_EQ(bullets_create(allocator_, nullptr, &pool), FA_OK);
    std::vector<Bullet *> all = Fill(pool, 20000);
    const size_t full = StatsOf(pool.pool).bytes_held;
    for (Bullet *bullet : all)
        EXPECT_EQ(bullets_release(pool, bullet), FA_OK);
    EXPECT_EQ(StatsOf(pool.pool).slab_count, 1u);
    EXPECT_LT(StatsOf(pool.pool).bytes_held, full / 10);
    EXPECT_GT(fa_typed_pool_trim(pool.pool), 0u);
    EXPECT_EQ(StatsOf(pool.pool).slab_count, 0u);
    EXPECT_EQ(fa_typed_pool_trim(pool.pool), 0u);

    // At the edge of a slab nothing goes to and fro.
    all = Fill(pool, 20000);
    size_t index = all.size();
    while (StatsOf(pool.pool).slab_empty_count == 0)
        EXPECT_EQ(bullets_release(pool, all[--index]), FA_OK);
    const uint64_t blocks = Stats(allocator_).heap_alloc_count;
    for (int turn = 0; turn < 100; turn++)
        EXPECT_EQ(bullets_release(pool, bullets_acquire(pool)), FA_OK);
    EXPECT_EQ(Stats(allocator_).heap_alloc_count, blocks);
    bullets_destroy(pool);
}

TEST_P(TypedPool, HundredsOfSlabsComeAndGo) {
    Random random;
    fa_typed_pool *pool = Make(allocator_, Of(33000));
    std::vector<void *> all;
    for (int turn = 0; turn < 1500; turn++) {
        if (turn < 250 || random.OneIn(2)) {
            all.push_back(Take(pool));
        } else {
            std::swap(all[random.Below(all.size())], all.back());
            EXPECT_EQ(fa_typed_pool_release(pool, all.back()), FA_OK);
            all.pop_back();
        }
        if (turn % 8 == 0)
            ExpectValid(allocator_);
    }
    EXPECT_GT(StatsOf(pool).slab_count, 128u);
    EXPECT_EQ(fa_typed_pool_destroy(pool), all.size());
}

TEST_P(TypedPool, WhatIsReservedStays) {
    fa_typed_pool_config config = {};
    config.count_reserved = 5000;
    bullets pool;
    ASSERT_EQ(bullets_create(allocator_, &config, &pool), FA_OK);
    const uint64_t blocks = Stats(allocator_).heap_alloc_count;
    EXPECT_GE(StatsOf(pool.pool).capacity, 5000u);
    for (int turn = 0; turn < 2; turn++) {
        for (Bullet *bullet : Fill(pool, 5000))
            EXPECT_EQ(bullets_release(pool, bullet), FA_OK);
        fa_typed_pool_trim(pool.pool);
        EXPECT_GE(StatsOf(pool.pool).capacity, 5000u);
    }
    EXPECT_EQ(Stats(allocator_).heap_alloc_count, blocks);
    EXPECT_EQ(fa_typed_pool_reserve(pool.pool, 10000), FA_OK);
    EXPECT_GE(StatsOf(pool.pool).capacity, 10000u);
    EXPECT_EQ(fa_typed_pool_reserve(pool.pool, 0), FA_OK);
    fa_typed_pool_trim(pool.pool);
    EXPECT_EQ(StatsOf(pool.pool).capacity, 0u);
    allocator_.Check();
    bullets_destroy(pool);
}

TEST_P(TypedPool, CallbacksMakeAndEnd) {
    Lives lives;
    fa_typed_pool *pool = Make(allocator_, lives.Config());
    std::vector<void *> all;
    for (int i = 0; i < 100; i++)
        all.push_back(Take(pool));
    EXPECT_EQ(lives.made, 100u);
    for (int i = 0; i < 30; i++)
        EXPECT_EQ(fa_typed_pool_release(pool, all[i]), FA_OK);
    EXPECT_EQ(lives.ended, 30u);
    EXPECT_EQ(fa_typed_pool_clear(pool), 70u);
    EXPECT_EQ(lives.ended, 100u);
    lives.refuse_at = 103;
    Take(pool);
    Take(pool);
    EXPECT_EQ(fa_typed_pool_acquire(pool), nullptr);
    EXPECT_EQ(fa_last_error().status, FA_ERROR_BACKEND);
    EXPECT_EQ(StatsOf(pool).live_count, 2u);
    EXPECT_EQ(StatsOf(pool).acquire_count, 102u);
    allocator_.Check();
    EXPECT_EQ(fa_typed_pool_destroy(pool), 2u);
    EXPECT_EQ(lives.ended, 102u);
}

// A callback that uses its own pool: the destructor of each even object takes the next with it.
TEST_P(TypedPool, CallbacksMayUseThePool) {
    struct Chain {
        fa_typed_pool *pool;
        std::vector<void *> all;
        size_t ended = 0;
        static void End(void *user, void *object) {
            auto *self = static_cast<Chain *>(user);
            EXPECT_FALSE(fa_typed_pool_has(self->pool, object)) << "dead already";
            self->ended++;
            for (size_t i = 0; i + 1 < self->all.size(); i += 2)
                if (self->all[i] == object) {
                    EXPECT_EQ(fa_typed_pool_release(self->pool, self->all[i + 1]), FA_OK);
                }
        }
    };
    for (bool is_shared : {false, true}) {
        Chain chain;
        fa_typed_pool_config config = Of(40, 8);
        config.destruct = Chain::End;
        config.user = &chain;
        config.is_shared = is_shared;
        chain.pool = Make(allocator_, config);
        for (int i = 0; i < 1000; i++)
            chain.all.push_back(Take(chain.pool));
        std::sort(chain.all.begin(), chain.all.end());
        EXPECT_EQ(fa_typed_pool_release(chain.pool, chain.all[10]), FA_OK);
        EXPECT_EQ(StatsOf(chain.pool).live_count, 998u);
        EXPECT_EQ(fa_typed_pool_clear(chain.pool), 499u) << "the others went with them";
        EXPECT_EQ(chain.ended, 1000u);
        EXPECT_EQ(fa_typed_pool_destroy(chain.pool), 0u);
    }
}

TEST_P(TypedPool, DiesWithTheAllocator) {
    Lives lives;
    {
        Tracked allocator(Config(GetParam()));
        fa_typed_pool *pool = Make(allocator, lives.Config(100));
        for (int i = 0; i < 1000; i++)
            Take(pool);
        Make(allocator, Of(8));
        EXPECT_EQ(allocator.Destroy(), 0u) << "what pools hold is no leak";
    }
    EXPECT_EQ(lives.ended, 1000u);
}

TEST_P(TypedPool, IsChargedToTheTagThatItWasMadeIn) {
    bullets pool;
    ASSERT_EQ(fa_tag_enter(allocator_, FA_TAG_PHYSICS), FA_OK);
    ASSERT_EQ(bullets_create(allocator_, nullptr, &pool), FA_OK);
    ASSERT_EQ(fa_tag_leave(allocator_), FA_OK);
    fa_tag_stats stats;
    Fill(pool, 5000);
    OnThread([&] { Fill(pool, 1000); });
    ASSERT_EQ(fa_tag_stats_get(allocator_, FA_TAG_PHYSICS, &stats), FA_OK);
    EXPECT_EQ(stats.heap_live_bytes, StatsOf(pool.pool).bytes_held);
    bullets_destroy(pool);
    ASSERT_EQ(fa_tag_stats_get(allocator_, FA_TAG_PHYSICS, &stats), FA_OK);
    EXPECT_EQ(stats.heap_live_bytes, 0u);
}

TEST_P(TypedPool, ABudgetInTheWay) {
    bullets pool;
    ASSERT_EQ(bullets_create(allocator_, nullptr, &pool), FA_OK);
    fa_budget most = {};
    most.hard_bytes = 20000;
    ASSERT_EQ(fa_budget_set_tag(allocator_, FA_TAG_ROOT, FA_INTENT_HEAP, &most), FA_OK);
    size_t count = 0;
    while (bullets_acquire(pool) != nullptr)
        count++;
    EXPECT_EQ(fa_last_error().status, FA_ERROR_LIMIT);
    EXPECT_EQ(fa_last_error().diag, FA_DIAG_FA302);
    EXPECT_EQ(bullets_count(pool), count);
    EXPECT_EQ(Walk(pool).size(), count);
    EXPECT_EQ(fa_typed_pool_reserve(pool.pool, count + 10000), FA_ERROR_LIMIT);
    EXPECT_GE(StatsOf(pool.pool).capacity, count);
    allocator_.Check();
    EXPECT_EQ(bullets_destroy(pool), count);
}

TEST_P(TypedPool, WhatIsReservedServesASealedAllocator) {
    bullets pool;
    ASSERT_EQ(bullets_create(allocator_, nullptr, &pool), FA_OK);
    ASSERT_EQ(fa_typed_pool_reserve(pool.pool, 3000), FA_OK);
    fa_backend_seal(allocator_);
    for (int turn = 0; turn < 2; turn++)
        for (Bullet *bullet : Fill(pool, 3000))
            EXPECT_EQ(bullets_release(pool, bullet), FA_OK);
    size_t count = 0;
    while (bullets_acquire(pool) != nullptr)
        count++;
    EXPECT_EQ(fa_last_error().status, FA_ERROR_SEALED);
    EXPECT_GE(count, 3000u);
    EXPECT_EQ(bullets_clear(pool), count);
    allocator_.Check();
}

TEST_P(TypedPool, TheSmallestTypesHaveNoGaps) {
    chars pool;
    ASSERT_EQ(chars_create(allocator_, nullptr, &pool), FA_OK);
    for (int i = 0; i < 40000; i++)
        *chars_acquire(pool) = static_cast<char>(i);
    size_t runs = 0, seen = 0;
    for (chars_run run = {}; chars_next_run(pool, &run);)
        runs++, seen += run.count;
    EXPECT_EQ(seen, 40000u);
    EXPECT_EQ(runs, StatsOf(pool.pool).slab_count);
    EXPECT_LT(StatsOf(pool.pool).bytes_held, 70000u);
    chars_destroy(pool);
}

TEST(TypedPoolConfig, IsChecked) {
    Allocator allocator(Plain());
    const auto refused = [&](const fa_typed_pool_config &config) {
        fa_typed_pool *pool = reinterpret_cast<fa_typed_pool *>(&pool);
        fa_last_error_clear();
        EXPECT_EQ(fa_typed_pool_create(allocator, &config, &pool), FA_ERROR_INVALID);
        EXPECT_EQ(fa_last_error().status, FA_ERROR_INVALID);
        EXPECT_EQ(pool, nullptr);
    };
    for (size_t size : {size_t{0}, FA_SIZE_MAX / 2 + 1, SIZE_MAX})
        refused(Of(size));
    for (size_t align : {size_t{3}, FA_TYPED_ALIGN_MAX + 1, FA_TYPED_ALIGN_MAX * 2, SIZE_MAX})
        refused(Of(16, align));
    fa_typed_pool_config config = Of(16);
    config.count_max = 9;
    config.count_reserved = 10;
    refused(config);
    config.count_max = 0;
    config.count_reserved = SIZE_MAX;
    refused(config);
    EXPECT_EQ(Stats(allocator).heap_live_count, 0u);
    config.count_reserved = 10;
    fa_typed_pool *pool = Make(allocator, config);
    EXPECT_EQ(fa_typed_pool_reserve(pool, SIZE_MAX), FA_ERROR_INVALID);
    // A size that no backend has: refused, and the pool is as it was.
    EXPECT_EQ(fa_typed_pool_destroy(pool), 0u);
    pool = Make(allocator, Of(FA_SIZE_MAX / 2));
    EXPECT_EQ(fa_typed_pool_acquire(pool), nullptr);
    EXPECT_NE(fa_last_error().status, FA_ERROR_FULL);
    ExpectValid(allocator);
}
