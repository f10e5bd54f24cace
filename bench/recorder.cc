/* Runs a scenario on malloc and writes down its allocation calls:
 * recorder --scenario=NAME --trace-file=FILE [--frames=N --warmup=N --size=N --smoke=1]
 * Prints what the scenario says about its data. Scenario jobs can't be recorded: a trace is of one
 * thread. */
#include "bench/runner.hpp"

#include "scenarios/contacts.hpp"
#include "scenarios/memory_recorder.hpp"
#include "scenarios/particles.hpp"
#include "scenarios/streaming.hpp"

#include <cstdio>
#include <exception>
#include <stdexcept>

namespace {

using scenarios::RecorderMemory;

/* True when the scenario has the name that options ask for. */
template <template <class> class Scenario> bool record(const bench::Options &options) {
    if (options.scenario != Scenario<RecorderMemory>::info().name)
        return false;
    scenarios::ScenarioSetup setup;
    setup.smoke = options.smoke;
    setup.size = options.size;
    setup.data_dir = options.data_dir;
    RecorderMemory memory{scenarios::MemoryOptions{}};
    {
        Scenario<RecorderMemory> scenario(memory, setup);
        for (int i = 0; i < options.warmup + options.frames; i++)
            scenario.frame();
        if (!scenario.data_note().empty())
            puts(scenario.data_note().c_str());
    }
    memory.trace().save(options.trace_file);
    return true;
}

} // namespace

int main(int argc, char **argv) {
    using namespace scenarios;
    try {
        bench::Options options = bench::parse_options(argc, argv);
        if (!record<Particles>(options) && !record<Contacts>(options) &&
            !record<Streaming>(options))
            throw std::runtime_error("--scenario=" + options.scenario +
                                     ": one of particles, contacts, streaming");
        return 0;
    } catch (const std::exception &error) {
        fprintf(stderr, "%s\n", error.what());
        return 2;
    }
}
