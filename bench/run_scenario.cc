/* Whole frames of a scenario on RUNNER_MEMORY, each timed by itself. */
#include "bench/runner.hpp"

#include "scenarios/contacts.hpp"
#include "scenarios/jobs.hpp"
#include "scenarios/particles.hpp"
#include "scenarios/streaming.hpp"

#include RUNNER_MEMORY_HEADER

#include <cinttypes>
#include <cstdio>
#include <stdexcept>

namespace {

using Memory = scenarios::RUNNER_MEMORY;

/* "checksum=...", and what the scenario says about its data, in the label of the result. */
std::string label(uint64_t checksum, const std::string &note) {
    char text[40];
    snprintf(text, sizeof text, "checksum=%016" PRIx64, checksum);
    return note.empty() ? text : std::string(text) + "; " + note;
}

template <template <class> class Scenario>
void run(benchmark::State &state, const bench::Options &options) {
    Memory memory{scenarios::MemoryOptions{options.backend}};
    scenarios::ScenarioSetup setup;
    setup.smoke = options.smoke;
    setup.size = options.size;
    setup.data_dir = options.data_dir;
    Scenario<Memory> scenario(memory, setup);
    for (int i = 0; i < options.warmup; i++)
        scenario.frame();

    std::vector<uint32_t> samples(static_cast<size_t>(options.frames), 0);
    auto sample = samples.begin();
    uint64_t allocs = scenario.alloc_count();
    bench::Events events{0, 0, 0}, before = bench::events_now();
    for (auto _ : state) {
        uint64_t start = bench::clock_ns();
        scenario.frame();
        *sample++ = static_cast<uint32_t>(bench::clock_ns() - start);
    }
    bench::add_events(events, before);
    state.SetLabel(label(scenario.checksum(), scenario.data_note()));
    bench::report_samples(state, options, samples,
                          static_cast<double>(scenario.alloc_count() - allocs) /
                              static_cast<double>(options.frames),
                          events);
}

/* True when the scenario has the name that options ask for. */
template <template <class> class Scenario> bool add(const bench::Options &options) {
    std::string name = Scenario<Memory>::info().name;
    if (name != options.scenario)
        return false;
    benchmark::RegisterBenchmark(name.c_str(), run<Scenario>, options)
        ->Iterations(options.frames)
        ->UseRealTime();
    return true;
}

} // namespace

void bench::register_scenario(const Options &options) {
    using namespace scenarios;
    if (!add<Particles>(options) && !add<Contacts>(options) && !add<ContactsOdeArena>(options) &&
        !add<Streaming>(options) && !add<Jobs>(options))
        throw std::runtime_error("--scenario=" + options.scenario +
                                 ": one of particles, contacts, contacts_ode_arena, streaming, "
                                 "jobs");
}

void bench::list_scenarios() {
    const scenarios::ScenarioInfo *infos[] = {
        &scenarios::Particles<Memory>::info(), &scenarios::Contacts<Memory>::info(),
        &scenarios::Streaming<Memory>::info(), &scenarios::Jobs<Memory>::info()};
    const char *before = "[";
    for (const scenarios::ScenarioInfo *info : infos) {
        printf("%s{\"name\": \"%s\", \"story\": \"%s\", \"unit\": \"%s\", \"size_smoke\": %d, "
               "\"size_bench\": %d, \"sizes\": [",
               before, info->name, info->story, info->unit, info->size_smoke, info->size_bench);
        for (size_t i = 0; i < info->sizes.size(); i++)
            printf("%s%d", i == 0 ? "" : ", ", info->sizes[i]);
        printf("]}");
        before = ",\n";
    }
    puts("]");
}

void bench::check_memory(const Options &options) {
    Memory memory{scenarios::MemoryOptions{options.backend}};
}
