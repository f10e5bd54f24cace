/* Typed pools: going through objects, next to an array of them; taking one and giving it back. */
#include "bench/micro_framealloc.hpp"
#include "bench/micro_typed.hpp"

namespace {

using bench::kTypedLive;
using bench::Mover;

FA_TYPED_POOL(movers, Mover)

/* With the optimizations that a release build of a game would have. */
#ifdef __clang__
#define HOT_LOOP __attribute__((noinline))
#else
#define HOT_LOOP __attribute__((noinline, optimize("O3")))
#endif

HOT_LOOP void move_array(Mover *all, size_t count) {
    for (size_t i = 0; i < count; i++)
        bench::move(all[i]);
}

HOT_LOOP void move_each(movers pool) {
    FA_TYPED_EACH (mover, pool)
        bench::move(*mover);
}

HOT_LOOP void move_runs(movers pool) {
    for (movers_run run = {}; movers_next_run(pool, &run);)
        for (size_t i = 0; i < run.count; i++)
            bench::move(run.items[i]);
}

/* kTypedLive live objects; with gaps as many dead ones between them, by chance. */
movers make_pool(fa_allocator *allocator, bool gaps) {
    movers pool = {};
    if (movers_create(allocator, nullptr, &pool) != FA_OK)
        return pool;
    std::vector<Mover *> all(gaps ? 2 * kTypedLive : kTypedLive);
    for (Mover *&mover : all) {
        mover = movers_acquire(pool);
        if (mover == nullptr)
            return pool;
        *mover = Mover();
    }
    const std::vector<uint32_t> order = bench::shuffled(all.size());
    for (size_t i = kTypedLive; i < all.size(); i++)
        (void)movers_release(pool, all[order[i]]);
    return pool;
}

void array_loop(benchmark::State &state, fa_allocator *allocator) {
    Mover *all = fa_heap_array_zeroed(allocator, Mover, kTypedLive);
    if (all == nullptr)
        return state.SkipWithError("out of memory");
    bench::each_loop(state, [all] { move_array(all, kTypedLive); });
    fa_heap_free(allocator, all);
}

template <void (*Update)(movers), bool Gaps>
void pool_loop(benchmark::State &state, fa_allocator *allocator) {
    movers pool = make_pool(allocator, Gaps);
    if (pool.pool == nullptr || movers_count(pool) != kTypedLive)
        return state.SkipWithError("out of memory");
    bench::each_loop(state, [pool] { Update(pool); });
    movers_destroy(pool);
}

struct Pair {
    movers pool;
    template <size_t> void *alloc() { return movers_acquire(pool); }
    template <size_t> void free(void *block) {
        (void)movers_release(pool, static_cast<Mover *>(block));
    }
};

template <bool Shared> void typed_pair(benchmark::State &state, fa_allocator *allocator) {
    fa_typed_pool_config config = {};
    config.is_shared = Shared;
    movers pool = {};
    if (movers_create(allocator, &config, &pool) != FA_OK)
        return state.SkipWithError("out of memory");
    bench::pair_loop<Pair, 64>(state, Pair{pool});
    movers_destroy(pool);
}

void typed_many(benchmark::State &state, fa_allocator *allocator) {
    movers pool = {};
    if (movers_create(allocator, nullptr, &pool) != FA_OK)
        return state.SkipWithError("out of memory");
    bench::many_loop<Pair, 64, 1000>(state, Pair{pool});
    movers_destroy(pool);
}

void register_typed(const std::string &backend) {
    using benchmark::RegisterBenchmark;
    fa_allocator *allocator = bench::micro_allocator(backend);
    RegisterBenchmark("typed_each/array", array_loop, allocator);
    RegisterBenchmark("typed_each/pool", pool_loop<move_each, false>, allocator);
    RegisterBenchmark("typed_each/runs", pool_loop<move_runs, false>, allocator);
    RegisterBenchmark("typed_each/pool_half_free", pool_loop<move_each, true>, allocator);
    RegisterBenchmark("typed_each/runs_half_free", pool_loop<move_runs, true>, allocator);
    RegisterBenchmark("typed_pair/64", typed_pair<false>, allocator);
    RegisterBenchmark("typed_pair_shared/64", typed_pair<true>, allocator);
    RegisterBenchmark("typed_many_1000/64", typed_many, allocator);
}

bench::MoreMicros more(register_typed);

} // namespace
