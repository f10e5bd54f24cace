// What checks add to a pool object: fill bytes, the guard behind it, the size that was asked for.
#include "fa/testing.hpp"

using namespace fa_testing;

namespace {

fa_alloc_config Checked(uint32_t checks, Events *events) {
    fa_alloc_config config = Plain();
    config.checks = checks;
    events->Watch(&config);
    return config;
}

} // namespace

TEST(Watch, FreshBytesAndTheSizeAskedFor) {
    Events events;
    Allocator allocator(Checked(FA_CHECK_ALL, &events));
    for (size_t size : {1, 15, 16, 17, 100, 1000, 4000}) {
        auto *object = static_cast<unsigned char *>(fa_pool_alloc(allocator, size));
        ASSERT_NE(object, nullptr);
        for (size_t i = 0; i < size; i++)
            ASSERT_EQ(object[i], 0xAB);
        EXPECT_EQ(fa_usable_size(allocator, object), size);
        memset(object, 0xFF, size); // the whole of it, and not a byte of the guard
        fa_pool_free_sized(allocator, object, size);
    }
    EXPECT_TRUE(events.all.empty());
}

TEST(Watch, ASizeThatDiffersByOneIsReportedAndFreed) {
    Events events;
    Allocator allocator(Checked(FA_CHECK_ALL, &events));
    void *object = fa_pool_alloc(allocator, 100);
    fa_pool_free_sized(allocator, object, 101);
    EXPECT_EQ(events.Count(FA_DIAG_FA603), 1u);
    EXPECT_EQ(allocator.Destroy(), 0u);
}

TEST(Watch, AFreedObjectHasNoSize) {
    Events events;
    Allocator allocator(Checked(FA_CHECK_FREE, &events));
    void *kept = fa_pool_alloc(allocator, 100), *object = fa_pool_alloc(allocator, 100);
    EXPECT_GE(fa_usable_size(allocator, object), 100u);
    fa_pool_free(allocator, object);
    EXPECT_EQ(fa_usable_size(allocator, object), 0u);
    EXPECT_EQ(events.Count(FA_DIAG_FA601), 1u);
    fa_pool_free(allocator, kept);
}
