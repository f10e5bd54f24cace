/* Command line of a runner. What it prints on its standard output is Google Benchmark's JSON. */
#include "bench/micro.hpp"
#include "bench/runner.hpp"

#include <dlfcn.h>

#include <cstdio>
#include <cstring>
#include <exception>
#include <fstream>
#include <stdexcept>

namespace bench {
namespace {

#ifdef __clang__
constexpr const char *kCompiler = __VERSION__; /* "Debian Clang 14..." */
#else
constexpr const char *kCompiler = "gcc " __VERSION__;
#endif
#ifdef __OPTIMIZE__
constexpr const char *kBuild = "optimized";
#else
constexpr const char *kBuild = "not optimized";
#endif

/* File name of the library that malloc comes from: proof that LD_PRELOAD worked. */
std::string malloc_library() {
    Dl_info info;
    void *symbol = dlsym(RTLD_DEFAULT, "malloc");
    if (symbol == nullptr || dladdr(symbol, &info) == 0 || info.dli_fname == nullptr)
        return "unknown";
    const char *slash = strrchr(info.dli_fname, '/');
    return slash != nullptr ? slash + 1 : info.dli_fname;
}

void run(int argc, char **argv) {
    Options options = parse_options(argc, argv);
    if (options.frames == 0)
        throw std::runtime_error("--frames=0: at least 1");
    if (options.mode == "check")
        return check_memory(options);
    if (options.mode == "list")
        return list_scenarios();
    if (options.mode == "scenario")
        register_scenario(options);
    else if (options.mode == "trace")
        register_trace(options);
    else if (options.mode == "micro") {
        register_micros(options.backend);
        MoreMicros::register_all(options.backend);
    } else
        throw std::runtime_error("--mode=" + options.mode +
                                 ": one of scenario, trace, micro, check, list");
    char format[] = "--benchmark_format=json";
    std::vector<char *> arguments(argv, argv + argc);
    arguments.push_back(format);
    arguments.push_back(nullptr);
    int count = argc + 1;
    benchmark::AddCustomContext("compiler", kCompiler);
    benchmark::AddCustomContext("build", kBuild);
    benchmark::AddCustomContext("malloc", malloc_library());
    benchmark::Initialize(&count, arguments.data());
    if (benchmark::RunSpecifiedBenchmarks() == 0)
        throw std::runtime_error("no benchmark was run");
    benchmark::Shutdown();
}

} // namespace

void report_samples(benchmark::State &state, const Options &options,
                    const std::vector<uint32_t> &samples, double allocations,
                    const Events &events) {
    auto frames = static_cast<double>(samples.size());
    state.counters["allocations"] = allocations;
    state.counters["minor_faults"] = static_cast<double>(events.minor_faults) / frames;
    state.counters["major_faults"] = static_cast<double>(events.major_faults) / frames;
    state.counters["preemptions"] = static_cast<double>(events.preemptions) / frames;
    state.counters["peak_rss"] = static_cast<double>(peak_rss_bytes());
    Figures figures = figures_of(samples);
    state.counters["p50"] = figures.p50;
    state.counters["p99"] = figures.p99;
    state.counters["p99_9"] = figures.p99_9;
    state.counters["worst"] = figures.worst;
    state.counters["mean"] = figures.mean;
    if (options.samples.empty())
        return;
    std::ofstream file(options.samples);
    for (uint32_t sample : samples)
        file << sample << '\n';
    file.close();
    if (!file)
        throw std::runtime_error("can't write " + options.samples);
}

} // namespace bench

int main(int argc, char **argv) {
    try {
        bench::run(argc, argv);
        return 0;
    } catch (const std::exception &error) {
        fprintf(stderr, "%s\n", error.what());
        return 2;
    }
}
