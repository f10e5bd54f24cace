/* What a program without typed pools keeps objects in: standard containers, over whichever malloc
 * it has. */
#include "bench/micro_typed.hpp"

#include <list>
#include <memory>
#include <unordered_map>

namespace {

using bench::kTypedLive;
using bench::Mover;

template <class Container, class Get> HOT_LOOP void move_all(Container &all, Get get) {
    for (auto &entry : all)
        bench::move(get(entry));
}

void vector_loop(benchmark::State &state) {
    std::vector<Mover> all(kTypedLive);
    bench::each_loop(state,
                     [&all] { move_all(all, [](Mover &mover) -> Mover & { return mover; }); });
}

/* Objects of their own, and pointers to them. */
void pointers_loop(benchmark::State &state) {
    std::vector<std::unique_ptr<Mover>> all(kTypedLive);
    for (auto &mover : all)
        mover = std::make_unique<Mover>();
    bench::each_loop(state, [&all] {
        move_all(all, [](std::unique_ptr<Mover> &mover) -> Mover & { return *mover; });
    });
}

/* As typed_each/pool_half_free: twice as many come, half of them go by chance. */
template <bool Gaps> void list_loop(benchmark::State &state) {
    std::list<Mover> all(Gaps ? 2 * kTypedLive : kTypedLive);
    if (Gaps) {
        std::vector<std::list<Mover>::iterator> places;
        for (auto at = all.begin(); at != all.end(); ++at)
            places.push_back(at);
        const std::vector<uint32_t> order = bench::shuffled(all.size());
        for (size_t i = kTypedLive; i < order.size(); i++)
            all.erase(places[order[i]]);
    }
    bench::each_loop(state,
                     [&all] { move_all(all, [](Mover &mover) -> Mover & { return mover; }); });
}

std::unordered_map<uint32_t, Mover> make_map() {
    std::unordered_map<uint32_t, Mover> map;
    for (uint32_t id : bench::shuffled(kTypedLive))
        map[id * 2] = Mover();
    return map;
}

void map_loop(benchmark::State &state) {
    auto map = make_map();
    bench::each_loop(state, [&map] {
        move_all(map,
                 [](std::pair<const uint32_t, Mover> &entry) -> Mover & { return entry.second; });
    });
}

void map_find_loop(benchmark::State &state) {
    auto map = make_map();
    bench::find_loop(state, [&map](uint32_t id) { return &map.find(id * 2)->second; });
}

void construct_loop(benchmark::State &state) {
    for (auto _ : state) {
        auto *solver = new bench::Solver;
        bench::keep(solver);
        delete solver;
    }
    bench::set_operations(state, 1);
}

bench::MoreMicros more([](const std::string &) {
    using benchmark::RegisterBenchmark;
    RegisterBenchmark("typed_each/vector", vector_loop);
    RegisterBenchmark("typed_each/pointers", pointers_loop);
    RegisterBenchmark("typed_each/list", list_loop<false>);
    RegisterBenchmark("typed_each/list_half_free", list_loop<true>);
    RegisterBenchmark("typed_each/unordered_map", map_loop);
    RegisterBenchmark("component_get/100000", map_find_loop);
    RegisterBenchmark("constructed/1024", construct_loop);
});

} // namespace
