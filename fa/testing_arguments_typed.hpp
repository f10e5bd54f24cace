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
     }},
};

} // namespace fa_testing

#endif
