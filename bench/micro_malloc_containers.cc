/* A plain std::vector. */
#include "bench/micro_containers.hpp"

namespace {

struct Vectors {
    void begin() {}
    void push(size_t count) { bench::push_elements<std::vector<int>>(count); }
    void end() {}
};

bench::MoreMicros more([](const std::string &) { bench::register_std_vector(Vectors{}); });

} // namespace
