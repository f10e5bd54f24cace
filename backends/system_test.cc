#include "backends/backends.h"

#include <cstring>
#include <malloc.h>

#include <gtest/gtest.h>

TEST(System, SpansAreBlocksOfLibc) {
    fa_backend backend = fa_backend_system();
    fa_backend_info info = {};
    backend.vtable->describe(backend.context, &info);
    EXPECT_STREQ(info.text, "system");
    EXPECT_EQ(info.granularity_bytes, 1u);
    EXPECT_FALSE(info.zeroed);
    void *ptr = backend.vtable->alloc(backend.context, 1000, 256, FA_SPAN_HEAP);
    ASSERT_NE(ptr, nullptr);
    EXPECT_GE(malloc_usable_size(ptr), 1000u);
    backend.vtable->free(backend.context, ptr, 1000, 256, FA_SPAN_HEAP);
}

TEST(System, GrowsOnlyIntoTheSlackOfTheBlock) {
    fa_backend backend = fa_backend_system();
    void *ptr = backend.vtable->alloc(backend.context, 1000, 16, FA_SPAN_HEAP);
    ASSERT_NE(ptr, nullptr);
    size_t usable = malloc_usable_size(ptr);
    EXPECT_TRUE(backend.vtable->resize(backend.context, ptr, 1000, usable));
    EXPECT_FALSE(backend.vtable->resize(backend.context, ptr, usable, usable + 1));
    EXPECT_FALSE(backend.vtable->resize(backend.context, ptr, usable, usable / 2 - 1));
    backend.vtable->free(backend.context, ptr, usable, 16, FA_SPAN_HEAP);
}

TEST(System, DeclinesHugeAlignments) {
    fa_backend backend = fa_backend_system();
    fa_backend_info info = {};
    backend.vtable->describe(backend.context, &info);
    EXPECT_EQ(backend.vtable->alloc(backend.context, 64, info.align_bytes_max * 2, FA_SPAN_HEAP),
              nullptr);
}
