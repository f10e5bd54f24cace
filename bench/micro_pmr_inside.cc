/* monotonic_buffer_resource can't go back. What its user does instead: one of its own for each
 * scope, on a buffer of the stack. */
#include "bench/micro.hpp"

#include <memory_resource>

namespace {

void scope(benchmark::State &state) {
    constexpr size_t count = 1000;
    for (auto _ : state)
        for (size_t i = 0; i < count; i++) {
            alignas(16) char buffer[256];
            std::pmr::monotonic_buffer_resource resource(buffer, sizeof buffer);
            bench::keep(resource.allocate(64, 16));
        }
    bench::set_operations(state, count);
}

bench::MoreMicros more([](const std::string &) {
    benchmark::RegisterBenchmark("mark_alloc/64", scope);
});

} // namespace
