/* Scratch scopes, named scratch pools and groups of framealloc. */
#include "bench/micro_framealloc.hpp"
#include "bench/micro_groups.hpp"

namespace {

struct Scopes {
    fa_allocator *allocator;
    fa_scratch scratch;

    void begin() { scratch = fa_scratch_begin(allocator, nullptr, 0); }
    template <size_t Size> void *alloc() { return fa_scratch_alloc(scratch, Size); }
    void end() { (void)fa_scratch_end(scratch); }
};

struct Pools {
    fa_scratch_pool pool;

    void begin() {}
    template <size_t Size> void *alloc() { return fa_scratch_pool_alloc(pool, Size); }
    void end() { (void)fa_scratch_pool_reset(pool); }
};

struct Groups {
    fa_allocator *allocator;
    fa_group group;

    void begin() { group = fa_group_create(allocator, "objects"); }
    template <size_t Size> void *alloc() { return fa_group_alloc(group, Size); }
    template <size_t Size> void *alloc_with() {
        return fa_group_alloc_with(group, Size, 16, bench::count_object);
    }
    template <bool Destroyed> void end() { (void)fa_group_free(group); }
};

bench::MoreMicros more([](const std::string &backend) {
    fa_allocator *allocator = bench::micro_allocator(backend);
    bench::register_scratch(Scopes{allocator, {}});
    benchmark::RegisterBenchmark("scratch_pool/64", bench::scratch_alloc_loop<Pools>,
                                 Pools{fa_scratch_pool_open(allocator, "bench", 0, 0)});
    bench::register_groups(Groups{allocator, {}});
});

} // namespace
