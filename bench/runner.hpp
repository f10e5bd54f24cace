/* A runner measures one allocator, in a process of its own. It is one binary for each Memory class:
 * runner_main.cc is common to all, run_scenario.cc, run_trace.cc and a micro_*.cc are compiled with
 * RUNNER_MEMORY and RUNNER_MEMORY_HEADER set. */
#ifndef BENCH_RUNNER_HPP
#define BENCH_RUNNER_HPP

#include "bench/figures.hpp"

#include <benchmark/benchmark.h>

#include <cstdint>
#include <string>
#include <vector>

namespace bench {

/* How much of a block the replay of a trace writes. */
enum class Touch {
    none, /* nothing: what the allocator itself does */
    page, /* its first byte, and one in each further 4 KiB: the page faults that it causes count */
    line  /* one byte in each cache line: all the traffic that a user would cause */
};

struct Options {
    std::string mode;       /* scenario, trace, micro, check, list */
    std::string scenario;   /* in mode scenario, and for the recorder */
    std::string backend;    /* fa_backend_open specification, "" for the default */
    std::string trace_file; /* read in mode trace, written by the recorder */
    std::string data_dir;   /* as ScenarioSetup takes it */
    std::string samples; /* file that gets the time of each frame in ns, one per line; "": none */
    int size = 0;        /* of the scenario; 0: as the scenario wishes */
    int frames = 100;    /* measured; of a trace, its last ones */
    int warmup = 20;     /* run before; not for traces, which hold it */
    int passes = 1;      /* times that a trace is replayed from its beginning */
    bool smoke = false;  /* the scenario's smallest size */
    Touch touch = Touch::page;
};

/* Takes our options out of argv, and leaves those of Google Benchmark. Throws std::runtime_error
 * with one line. */
Options parse_options(int &argc, char **argv);

/* Each registers what options ask for; throws std::runtime_error with one line. */
void register_scenario(const Options &options);
void register_trace(const Options &options);
void register_micros(const std::string &backend);

/* Prints the scenarios as JSON. */
void list_scenarios();

/* Makes the allocator that this program is for, and forgets it: throws when that is impossible. */
void check_memory(const Options &options);

/* Puts percentiles and the rest into the counters of state, and the samples into options.samples.
 * allocations: of one frame. events: of all measured frames. */
void report_samples(benchmark::State &state, const Options &options,
                    const std::vector<uint32_t> &samples, double allocations, const Events &events);

} // namespace bench

#endif
