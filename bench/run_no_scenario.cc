/* In place of run_scenario.cc where a Memory holds nothing. */
#include "bench/runner.hpp"

#include <stdexcept>

void bench::register_scenario(const Options &) {
    throw std::runtime_error("this runner has no scenarios: its memory holds nothing");
}

void bench::list_scenarios() {}

void bench::check_memory(const Options &) {}
