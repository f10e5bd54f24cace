// All backends that come with framealloc, plain and inside of decorators.
#include <cstdlib>
#include <string>

#include "backends/backends.h"
#include "backends/conformance.h"

namespace {

BackendCase Named(const char *name, const char *spec, bool returns_address_space = false) {
    auto open = [spec] {
        fa_backend backend = {};
        char message[256];
        EXPECT_EQ(fa_backend_open(spec, &backend, message, sizeof message), FA_OK) << message;
        return backend;
    };
    return {name, open, returns_address_space};
}

fa_backend OpenUnalignedRegion() {
    alignas(64) static unsigned char region[5 << 20];
    return fa_backend_fixed(region + 13, sizeof region - 13);
}

fa_backend OpenFailingOnce() {
    static fa_failing failing;
    fa_backend backend = fa_backend_failing(&failing, fa_backend_mmap(nullptr));
    fa_failing_set(&failing, FA_FAILING_ALLOC, 1, false);
    EXPECT_EQ(backend.vtable->alloc(backend.context, 64, 64, FA_SPAN_META), nullptr);
    return backend;
}

} // namespace

INSTANTIATE_TEST_SUITE_P(
    All, BackendConformance,
    testing::Values(
        Named("system", "system"), Named("mmap", "mmap", true),
        Named("mmap_huge", "mmap:huge", true), Named("mmap_hugetlb", "mmap:hugetlb", true),
        Named("mmap_guard", "mmap:guard", true),
        Named("mmap_prefault", "mmap:prefault,name=", true), Named("mimalloc", "mimalloc"),
        Named("numa", "numa", true), Named("numa_node", "numa:node=0,huge", true),
        Named("numa_interleave", "numa:interleave,prefault", true),
        Named("fixed", "fixed:bytes=64m", true), Named("fixed_small", "fixed:bytes=1m"),
        BackendCase{"fixed_region", OpenUnalignedRegion}, Named("counting_mmap", "counting", true),
        Named("counting_system", "counting:inner=system"), Named("failing_mmap", "failing", true),
        Named("failing_fixed", "failing:inner=counting:inner=fixed:bytes=32m", true),
        BackendCase{"failing_once", OpenFailingOnce}),
    BackendCaseName());
