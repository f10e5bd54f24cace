/* Owned and shared arenas of framealloc. */
#include "bench/micro_arena.hpp"
#include "bench/micro_framealloc.hpp"

namespace {

struct Own {
    fa_own_arena arena;

    /* The loop may run on another thread than the one that made it. */
    void begin() { arena = fa_own_arena_take(arena); }
    template <size_t Size> void *alloc() { return fa_own_arena_alloc(arena, Size); }
    void end() {
        (void)fa_own_arena_reset(arena);
        arena = fa_own_arena_give(arena);
    }
};

struct Shared {
    fa_shared_arena arena;
    fa_shared_arena_local local;

    void begin() { (void)fa_shared_arena_begin(arena, &local); }
    template <size_t Size> void *alloc() { return fa_shared_arena_alloc(&local, Size); }
    void end() { (void)fa_shared_arena_end(&local); }
    void rest() { (void)fa_shared_arena_reset(arena); }
};

/* Each run of the loop has an arena of its own: a copy of the policy would hold a handle that was
 * taken before. */
void own(benchmark::State &state, fa_allocator *allocator) {
    const fa_own_arena arena = fa_own_arena_create(allocator, "bench", 0, 0);
    Own policy = {fa_own_arena_give(arena)};
    bench::arena_loop<Own &>(state, policy);
    (void)fa_own_arena_free(policy.arena);
}

bench::MoreMicros more([](const std::string &backend) {
    fa_allocator *allocator = bench::micro_allocator(backend);
    benchmark::RegisterBenchmark("own_arena/64", own, allocator);
    bench::register_shared_arena(Shared{fa_shared_arena_create(allocator, "bench", 0, 0), {}});
});

} // namespace
