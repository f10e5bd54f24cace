// Bad arguments to the calls of typed pools and of what stands on them: for arguments_test.cc.
#ifndef FA_TESTING_ARGUMENTS_TYPED_HPP
#define FA_TESTING_ARGUMENTS_TYPED_HPP

#include "fa/testing_arguments.hpp"

namespace fa_testing {

inline fa_typed_pool_config TypedConfig(size_t size) {
    fa_typed_pool_config config = {};
    config.size = size;
    return config;
}

inline fa_typed_pool *TypedPoolOf(fa_allocator *allocator, size_t size) {
    const fa_typed_pool_config config = TypedConfig(size);
    fa_typed_pool *pool = nullptr;
    EXPECT_EQ(fa_typed_pool_create(allocator, &config, &pool), FA_OK);
    return pool;
}

inline fa_components *ComponentsOf(fa_allocator *allocator) {
    const fa_components_config config = {16, 0, 0, 0};
    fa_components *set = nullptr;
    EXPECT_EQ(fa_components_create(allocator, &config, &set), FA_OK);
    return set;
}

FA_TYPED_POOL(argument_pool, double)
FA_COMPONENTS(argument_set, double)

inline const Call kTypedCalls[] = {
    {"fa_typed_pool_create",
     [](fa_allocator *a, fa_frame *) {
         fa_typed_pool_config config = TypedConfig(16);
         fa_typed_pool *pool = nullptr;
         INVALID(fa_typed_pool_create(nullptr, &config, &pool));
         INVALID(fa_typed_pool_create(a, nullptr, &pool));
         INVALID(fa_typed_pool_create(a, &config, nullptr));
         EACH_SIZE(config = TypedConfig(size); INVALID(fa_typed_pool_create(a, &config, &pool)))
         EACH_ALIGN(config = TypedConfig(16); config.align = align;
                    if (align != 0) INVALID(fa_typed_pool_create(a, &config, &pool)))
         EXPECT_EQ(pool, nullptr);
     }},
    {"fa_typed_pool_destroy",
     [](fa_allocator *, fa_frame *) { EXPECT_EQ(fa_typed_pool_destroy(nullptr), 0u); }},
    {"fa_typed_pool_acquire",
     [](fa_allocator *, fa_frame *) { REFUSED(fa_typed_pool_acquire(nullptr)); }},
    {"fa_typed_pool_try_acquire",
     [](fa_allocator *a, fa_frame *) {
         void *object = a;
         INVALID(fa_typed_pool_try_acquire(nullptr, &object));
         EXPECT_EQ(object, nullptr);
         INVALID(fa_typed_pool_try_acquire(nullptr, nullptr));
         fa_typed_pool *pool = TypedPoolOf(a, 16);
         INVALID(fa_typed_pool_try_acquire(pool, nullptr));
         fa_typed_pool_destroy(pool);
     }},
    {"fa_typed_pool_release",
     [](fa_allocator *a, fa_frame *) {
         int local = 0;
         INVALID(fa_typed_pool_release(nullptr, &local));
         INVALID(fa_typed_pool_release(nullptr, nullptr));
         fa_typed_pool *pool = TypedPoolOf(a, 16);
         EXPECT_EQ(fa_typed_pool_release(pool, nullptr), FA_OK);
         EXPECT_EQ(fa_typed_pool_release(pool, &local), FA_ERROR_FOREIGN);
         fa_typed_pool_destroy(pool);
     }},
    {"fa_typed_pool_has",
     [](fa_allocator *a, fa_frame *) {
         fa_last_error_clear();
         EXPECT_FALSE(fa_typed_pool_has(nullptr, a));
         EXPECT_EQ(Taken(), FA_ERROR_INVALID);
     }},
    {"fa_typed_pool_index",
     [](fa_allocator *a, fa_frame *) {
         EXPECT_EQ(fa_typed_pool_index(nullptr, a), SIZE_MAX);
         EXPECT_EQ(Taken(), FA_ERROR_INVALID);
     }},
    {"fa_typed_pool_clear",
     [](fa_allocator *, fa_frame *) {
         EXPECT_EQ(fa_typed_pool_clear(nullptr), 0u);
         EXPECT_EQ(Taken(), FA_ERROR_INVALID);
     }},
    {"fa_typed_pool_reserve",
     [](fa_allocator *a, fa_frame *) {
         INVALID(fa_typed_pool_reserve(nullptr, 1));
         fa_typed_pool *pool = TypedPoolOf(a, 16);
         for (size_t count : {FA_SIZE_MAX / 16 + 1, SIZE_MAX})
             INVALID(fa_typed_pool_reserve(pool, count));
         fa_typed_pool_destroy(pool);
     }},
    {"fa_typed_pool_trim",
     [](fa_allocator *, fa_frame *) {
         EXPECT_EQ(fa_typed_pool_trim(nullptr), 0u);
         EXPECT_EQ(Taken(), FA_ERROR_INVALID);
     }},
    {"fa_typed_pool_stats_get",
     [](fa_allocator *a, fa_frame *) {
         fa_typed_pool_stats stats;
         memset(&stats, 1, sizeof stats);
         INVALID(fa_typed_pool_stats_get(nullptr, &stats));
         EXPECT_EQ(stats.live_count, 0u);
         fa_typed_pool *pool = TypedPoolOf(a, 16);
         INVALID(fa_typed_pool_stats_get(pool, nullptr));
         fa_typed_pool_destroy(pool);
     }},
    {"fa_typed_pool_next_run",
     [](fa_allocator *a, fa_frame *) {
         fa_typed_run run;
         memset(&run, 1, sizeof run);
         fa_last_error_clear();
         EXPECT_FALSE(fa_typed_pool_next_run(nullptr, &run));
         EXPECT_EQ(Taken(), FA_ERROR_INVALID);
         EXPECT_EQ(run.count, 0u);
         fa_typed_pool *pool = TypedPoolOf(a, 16);
         EXPECT_FALSE(fa_typed_pool_next_run(pool, nullptr));
         EXPECT_EQ(Taken(), FA_ERROR_INVALID);
         EXPECT_EQ(fai_typed_walk_begin(pool, 17), nullptr) << "another type than it is of";
         EXPECT_EQ(Taken(), FA_ERROR_INVALID);
         EXPECT_EQ(fai_typed_walk_begin(nullptr, 16), nullptr);
         fa_typed_pool_destroy(pool);
         argument_pool typed = {};
         INVALID(argument_pool_create(a, nullptr, nullptr));
         EXPECT_EQ(argument_pool_create(a, nullptr, &typed), FA_OK);
         EXPECT_NE(argument_pool_acquire(typed), nullptr);
         fa_last_error_clear();
         EXPECT_FALSE(argument_pool_next_run(typed, nullptr));
         EXPECT_EQ(Taken(), FA_ERROR_INVALID);
         argument_pool_destroy(typed);
     }},
    {"fa_object_cache_create",
     [](fa_allocator *a, fa_frame *) {
         fa_object_cache_config config = {};
         fa_object_cache *cache = nullptr;
         EACH_SIZE(config.size = size; INVALID(fa_object_cache_create(a, &config, &cache)))
         config.size = 16;
         INVALID(fa_object_cache_create(nullptr, &config, &cache));
         INVALID(fa_object_cache_create(a, nullptr, &cache));
         INVALID(fa_object_cache_create(a, &config, nullptr));
         config.idle_count_max = SIZE_MAX;
         INVALID(fa_object_cache_create(a, &config, &cache));
         EXPECT_EQ(cache, nullptr);
     }},
    {"fa_object_cache_destroy",
     [](fa_allocator *, fa_frame *) { EXPECT_EQ(fa_object_cache_destroy(nullptr), 0u); }},
    {"fa_object_cache_acquire",
     [](fa_allocator *, fa_frame *) { REFUSED(fa_object_cache_acquire(nullptr)); }},
    {"fa_object_cache_release",
     [](fa_allocator *, fa_frame *) {
         int local = 0;
         INVALID(fa_object_cache_release(nullptr, &local));
         INVALID(fa_object_cache_release(nullptr, nullptr));
     }},
    {"fa_object_cache_trim",
     [](fa_allocator *, fa_frame *) {
         EXPECT_EQ(fa_object_cache_trim(nullptr, 0), 0u);
         EXPECT_EQ(Taken(), FA_ERROR_INVALID);
     }},
    {"fa_object_cache_stats_get",
     [](fa_allocator *a, fa_frame *) {
         fa_object_cache_stats stats;
         memset(&stats, 1, sizeof stats);
         INVALID(fa_object_cache_stats_get(nullptr, &stats));
         EXPECT_EQ(stats.live_count, 0u);
         fa_object_cache_config config = {};
         config.size = 16;
         fa_object_cache *cache = nullptr;
         EXPECT_EQ(fa_object_cache_create(a, &config, &cache), FA_OK);
         INVALID(fa_object_cache_stats_get(cache, nullptr));
         fa_object_cache_destroy(cache);
     }},
    {"fa_components_create",
     [](fa_allocator *a, fa_frame *) {
         fa_components_config config = {16, 0, 0, 0};
         fa_components *set = nullptr;
         INVALID(fa_components_create(nullptr, &config, &set));
         INVALID(fa_components_create(a, nullptr, &set));
         INVALID(fa_components_create(a, &config, nullptr));
         EACH_SIZE(config.size = size; INVALID(fa_components_create(a, &config, &set)))
         config.size = 16;
         EACH_ALIGN(config.align = align;
                    if (align != 0) INVALID(fa_components_create(a, &config, &set)))
         EXPECT_EQ(set, nullptr);
     }},
    {"fa_components_destroy",
     [](fa_allocator *, fa_frame *) { EXPECT_EQ(fa_components_destroy(nullptr), 0u); }},
    {"fa_components_insert",
     [](fa_allocator *a, fa_frame *) {
         void *object = a;
         INVALID(fa_components_insert(nullptr, 1, &object));
         EXPECT_EQ(object, nullptr);
         fa_components *set = ComponentsOf(a);
         INVALID(fa_components_insert(set, 1, nullptr));
         EXPECT_EQ(fa_components_get(set, 1), nullptr);
         fa_components_destroy(set);
     }},
    {"fa_components_get",
     [](fa_allocator *, fa_frame *) { REFUSED(fa_components_get(nullptr, 1)); }},
    {"fa_components_remove",
     [](fa_allocator *, fa_frame *) {
         EXPECT_FALSE(fa_components_remove(nullptr, 1));
         EXPECT_EQ(Taken(), FA_ERROR_INVALID);
     }},
    {"fa_components_clear",
     [](fa_allocator *, fa_frame *) {
         fa_components_clear(nullptr);
         EXPECT_EQ(Taken(), FA_ERROR_INVALID);
     }},
    {"fa_components_reserve",
     [](fa_allocator *a, fa_frame *) {
         INVALID(fa_components_reserve(nullptr, 1));
         fa_components *set = ComponentsOf(a);
         INVALID(fa_components_reserve(set, SIZE_MAX));
         INVALID(fa_components_reserve(set, size_t{UINT32_MAX} + 1));
         fa_components_destroy(set);
     }},
    {"fa_components_trim",
     [](fa_allocator *, fa_frame *) {
         EXPECT_EQ(fa_components_trim(nullptr), 0u);
         EXPECT_EQ(Taken(), FA_ERROR_INVALID);
     }},
    {"fa_components_stats_get",
     [](fa_allocator *a, fa_frame *) {
         fa_components_stats stats;
         memset(&stats, 1, sizeof stats);
         INVALID(fa_components_stats_get(nullptr, &stats));
         EXPECT_EQ(stats.count, 0u);
         fa_components *set = ComponentsOf(a);
         INVALID(fa_components_stats_get(set, nullptr));
         fa_components_destroy(set);
     }},
    {"fa_components_next_run",
     [](fa_allocator *a, fa_frame *) {
         fa_components_run run;
         memset(&run, 1, sizeof run);
         fa_last_error_clear();
         EXPECT_FALSE(fa_components_next_run(nullptr, &run));
         EXPECT_EQ(Taken(), FA_ERROR_INVALID);
         EXPECT_EQ(run.count, 0u);
         fa_components *set = ComponentsOf(a);
         EXPECT_FALSE(fa_components_next_run(set, nullptr));
         EXPECT_EQ(Taken(), FA_ERROR_INVALID);
         EXPECT_EQ(fai_components_walk_begin(set, 17), nullptr) << "another type than it is of";
         EXPECT_EQ(fai_components_walk_begin(nullptr, 16), nullptr);
         fa_components_destroy(set);
         argument_set typed = {};
         INVALID(argument_set_create(a, nullptr, nullptr));
         EXPECT_EQ(argument_set_create(a, nullptr, &typed), FA_OK);
         INVALID(argument_set_insert(typed, 1, nullptr));
         fa_last_error_clear();
         EXPECT_FALSE(argument_set_next_run(typed, nullptr));
         EXPECT_EQ(Taken(), FA_ERROR_INVALID);
         argument_set_destroy(typed);
     }},
};

} // namespace fa_testing

#endif
