/* Typed pools, components and object caches: going through objects, next to an array of them; by
 * id; taking one and giving it back. */
#include "bench/micro_framealloc.hpp"
#include "bench/micro_typed.hpp"

namespace {

using bench::kTypedLive;
using bench::Mover;

FA_TYPED_POOL(movers, Mover)
FA_COMPONENTS(components, Mover)
FA_OBJECT_CACHE(solvers, bench::Solver)

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

HOT_LOOP void move_components(components set) {
    FA_COMPONENTS_EACH (id, mover, set)
        bench::move(*mover);
}

HOT_LOOP void move_component_runs(components set) {
    for (components_run run = {}; components_next_run(set, &run);)
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

/* Ids of a world with twice as many entities, in an order of chance; none when memory is out. */
components make_components(fa_allocator *allocator) {
    components set = {};
    if (components_create(allocator, nullptr, &set) != FA_OK)
        return set;
    for (uint32_t id : bench::shuffled(kTypedLive)) {
        Mover *mover = nullptr;
        if (components_insert(set, id * 2, &mover) != FA_OK)
            break;
        *mover = Mover();
    }
    return set;
}

template <void (*Update)(components)>
void components_loop(benchmark::State &state, fa_allocator *allocator) {
    components set = make_components(allocator);
    if (set.set == nullptr || components_count(set) != kTypedLive)
        return state.SkipWithError("out of memory");
    bench::each_loop(state, [set] { Update(set); });
    components_destroy(set);
}

void components_get_loop(benchmark::State &state, fa_allocator *allocator) {
    components set = make_components(allocator);
    if (set.set == nullptr || components_count(set) != kTypedLive)
        return state.SkipWithError("out of memory");
    bench::find_loop(state, [set](uint32_t id) { return components_get(set, id * 2); });
    components_destroy(set);
}

template <bool Shared> void cache_loop(benchmark::State &state, fa_allocator *allocator) {
    fa_object_cache_config config = {};
    config.is_shared = Shared;
    config.construct = [](void *, void *object) {
        new (object) bench::Solver;
        return FA_OK;
    };
    solvers cache = {};
    if (solvers_create(allocator, &config, &cache) != FA_OK)
        return state.SkipWithError("out of memory");
    for (auto _ : state) {
        bench::Solver *solver = solvers_acquire(cache);
        bench::keep(solver);
        (void)solvers_release(cache, solver);
    }
    bench::set_operations(state, 1);
    solvers_destroy(cache);
}

void register_typed(const std::string &backend) {
    using benchmark::RegisterBenchmark;
    fa_allocator *allocator = bench::micro_allocator(backend);
    RegisterBenchmark("typed_each/array", array_loop, allocator);
    RegisterBenchmark("typed_each/pool", pool_loop<move_each, false>, allocator);
    RegisterBenchmark("typed_each/runs", pool_loop<move_runs, false>, allocator);
    RegisterBenchmark("typed_each/pool_half_free", pool_loop<move_each, true>, allocator);
    RegisterBenchmark("typed_each/runs_half_free", pool_loop<move_runs, true>, allocator);
    RegisterBenchmark("typed_each/components", components_loop<move_components>, allocator);
    RegisterBenchmark("typed_each/component_runs", components_loop<move_component_runs>, allocator);
    RegisterBenchmark("component_get/100000", components_get_loop, allocator);
    RegisterBenchmark("constructed/1024", cache_loop<false>, allocator);
    RegisterBenchmark("constructed_shared/1024", cache_loop<true>, allocator);
    RegisterBenchmark("typed_pair/64", typed_pair<false>, allocator);
    RegisterBenchmark("typed_pair_shared/64", typed_pair<true>, allocator);
    RegisterBenchmark("typed_many_1000/64", typed_many, allocator);
}

bench::MoreMicros more(register_typed);

} // namespace
