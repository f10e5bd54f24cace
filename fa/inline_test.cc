// The inline functions as ordinary ones: what a caller in another language or a function pointer
// gets must be the same.
#include "fa/testing.hpp"

using namespace fa_testing;

TEST(Inline, FunctionsHaveAddressesAndWork) {
    void *(*volatile alloc)(fa_allocator *, size_t) = (fa_frame_alloc);
    void *(*volatile alloc_in)(fa_frame *, size_t) = (fa_frame_alloc_in);
    void *(*volatile batch)(fa_allocator *, size_t, size_t) = (fa_frame_alloc_batch);
    void *(*volatile batch_in)(fa_frame *, size_t, size_t) = (fa_frame_alloc_batch_in);
    uint64_t (*volatile count)(const fa_frame *) = (fa_frame_count_in);
    void *(*volatile pool_alloc)(fa_allocator *, size_t) = (fa_pool_alloc);
    void (*volatile pool_free)(fa_allocator *, void *, size_t) = (fa_pool_free_sized);
    for (uint32_t checks : {0u, static_cast<uint32_t>(FA_CHECK_ALL)}) {
        fa_alloc_config config = Plain();
        config.checks = checks;
        Allocator allocator(config);
        fa_frame *frame = fa_frame_begin(allocator);
        void *blocks[] = {alloc(allocator, 100), alloc_in(frame, 100), batch(allocator, 10, 10),
                          batch_in(frame, 10, 10), pool_alloc(allocator, 100)};
        for (size_t i = 0; i < 5; i++)
            Paint(blocks[i], i, 100);
        for (size_t i = 0; i < 5; i++)
            EXPECT_TRUE(IsPainted(blocks[i], i, 100));
        EXPECT_EQ(count(frame), kCounted ? 4u : 0u);
        EXPECT_EQ(alloc(allocator, 0), nullptr);
        EXPECT_EQ(batch_in(frame, SIZE_MAX, 2), nullptr);
        pool_free(allocator, blocks[4], 100);
        EXPECT_EQ(fa_frame_end(allocator), FA_OK);
        EXPECT_EQ(alloc_in(frame, 16), nullptr);
        EXPECT_EQ(allocator.Destroy(), 0u);
    }
}
