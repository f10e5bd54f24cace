// The example backend passes the same suite as those of framealloc.
#include "examples/own_backend.h"

#include "backends/conformance.h"

INSTANTIATE_TEST_SUITE_P(Own, BackendConformance,
                         testing::Values(BackendCase{"own", [] { return own_backend(); }, true,
                                                     FA_SPAN_CHUNK}),
                         BackendCaseName());

TEST(OwnBackend, DeclinesHeapBlocksAndWhatDoesNotFit) {
    fa_backend own = own_backend();
    EXPECT_EQ(own.vtable->alloc(own.context, 4096, 16, FA_SPAN_HEAP), nullptr);
    EXPECT_EQ(own.vtable->alloc(own.context, size_t{17} << 20, 16, FA_SPAN_CHUNK), nullptr);
    EXPECT_EQ(own_backend_used_bytes(), 0u);
    void *ptr = own.vtable->alloc(own.context, 20000, 16, FA_SPAN_CHUNK);
    ASSERT_NE(ptr, nullptr);
    EXPECT_EQ(own_backend_used_bytes(), 32768u);
    own.vtable->free(own.context, ptr, 20000, 16, FA_SPAN_CHUNK);
    EXPECT_EQ(own_backend_used_bytes(), 0u);
}
