// Typed pools, object caches and components with the backend failing at its first call, its second,
// ..., until one run meets no failure: nothing leaks, and what was there is there.
#include "fa/testing.hpp"

#include <functional>

using namespace fa_testing;

namespace {

constexpr size_t kBytes = 40;

void Refused(fa_status status) {
    EXPECT_TRUE(status == FA_ERROR_NO_MEMORY || status == FA_ERROR_LIMIT) << fa_status_name(status);
}

void UsePool(fa_allocator *allocator) {
    fa_typed_pool_config config = {};
    config.size = kBytes;
    config.count_reserved = 100;
    fa_typed_pool *pool = nullptr;
    const fa_status status = fa_typed_pool_create(allocator, &config, &pool);
    if (status != FA_OK)
        return Refused(status);
    std::vector<void *> all;
    for (uint64_t i = 0; i < 10000; i++) {
        void *object = fa_typed_pool_acquire(pool);
        if (object == nullptr) {
            Refused(fa_last_error().status);
            break;
        }
        Paint(object, i, kBytes);
        all.push_back(object);
    }
    ExpectValid(allocator);
    const fa_status more = fa_typed_pool_reserve(pool, 15000);
    if (more != FA_OK)
        Refused(more);
    for (size_t i = 0; i < all.size(); i++)
        EXPECT_TRUE(IsPainted(all[i], i, kBytes));
    for (size_t i = 0; i < all.size(); i += 2)
        EXPECT_EQ(fa_typed_pool_release(pool, all[i]), FA_OK);
    ExpectValid(allocator);
    EXPECT_EQ(fa_typed_pool_destroy(pool), all.size() / 2);
}

void UseCache(fa_allocator *allocator) {
    size_t alive = 0;
    fa_object_cache_config config = {};
    config.size = kBytes;
    config.idle_count_max = 2000;
    config.is_shared = config.is_reclaimed = true;
    config.construct = [](void *user, void *) {
        ++*static_cast<size_t *>(user);
        return FA_OK;
    };
    config.destruct = [](void *user, void *) { --*static_cast<size_t *>(user); };
    config.user = &alive;
    fa_object_cache *cache = nullptr;
    const fa_status status = fa_object_cache_create(allocator, &config, &cache);
    if (status != FA_OK)
        return Refused(status);
    for (int turn = 0; turn < 2; turn++) {
        std::vector<void *> all;
        for (int i = 0; i < 5000; i++) {
            all.push_back(fa_object_cache_acquire(cache));
            if (all.back() == nullptr) {
                Refused(fa_last_error().status);
                break;
            }
        }
        ExpectValid(allocator);
        for (void *object : all)
            EXPECT_EQ(fa_object_cache_release(cache, object), FA_OK);
    }
    ExpectValid(allocator);
    EXPECT_EQ(fa_object_cache_destroy(cache), 0u);
    EXPECT_EQ(alive, 0u);
}

void UseComponents(fa_allocator *allocator) {
    const fa_components_config config = {kBytes, 0, 0, 300};
    fa_components *set = nullptr;
    const fa_status status = fa_components_create(allocator, &config, &set);
    if (status != FA_OK)
        return Refused(status);
    uint32_t count = 0;
    for (; count < 4000; count++) {
        void *object = nullptr;
        const fa_status here = fa_components_insert(set, count * 17, &object);
        if (here != FA_OK) {
            Refused(here);
            EXPECT_EQ(fa_components_get(set, count * 17), nullptr);
            break;
        }
        Paint(object, count, kBytes);
    }
    ExpectValid(allocator);
    const fa_status more = fa_components_reserve(set, 8000);
    if (more != FA_OK)
        Refused(more);
    for (uint32_t i = 0; i < count; i++)
        EXPECT_TRUE(IsPainted(fa_components_get(set, i * 17), i, kBytes));
    for (uint32_t i = 0; i < count; i += 2)
        EXPECT_TRUE(fa_components_remove(set, i * 17));
    ExpectValid(allocator);
    EXPECT_EQ(fa_components_destroy(set), count / 2);
}

using Use = void (*)(fa_allocator *);
class TypedFault : public testing::TestWithParam<std::tuple<Use, bool, uint32_t>> {};

INSTANTIATE_TEST_SUITE_P(All, TypedFault,
                         testing::Combine(testing::Values(UsePool, UseCache, UseComponents),
                                          testing::Bool(),
                                          testing::Values(0u, uint32_t{FA_CHECK_ALL})));

} // namespace

TEST_P(TypedFault, AtEachCall) {
    const auto [use, lasting, checks] = GetParam();
    bool met = true;
    uint64_t at = 1;
    for (; met; at++) {
        Source source;
        fa_alloc_config config = Plain(fa_alloc_config_minimal());
        config.checks = checks;
        config.heap_region_bytes = 0; // each block a call
        config.heap_cache_bytes = 0;
        {
            Allocator allocator(config, source);
            source.Fail(at, lasting);
            use(allocator);
            met = fa_failing_calls(&source.failing, FA_FAILING_ALLOC) >= at;
            EXPECT_EQ(Stats(allocator).heap_live_count, 0u) << at;
            ExpectValid(allocator);
            ExpectIdentities(allocator);
        }
        EXPECT_EQ(source.BytesLive(), 0u) << at;
        ASSERT_LT(at, 2000u);
    }
    EXPECT_GT(at, 20u) << "calls that could fail";
}
