/* For micro-benchmarks of framealloc. */
#ifndef BENCH_MICRO_FRAMEALLOC_HPP
#define BENCH_MICRO_FRAMEALLOC_HPP

#include "bench/micro.hpp"

#include "fa/fa.h"

#include <stdexcept>

namespace bench {

/* It lives until the process ends, like an engine's. */
inline fa_allocator *make_allocator(const std::string &backend, bool phase_clock) {
    fa_alloc_config config = fa_alloc_config_default();
    config.backend_spec = backend.c_str();
    config.phase_clock = phase_clock;
    fa_allocator *allocator = nullptr;
    fa_status status = fa_allocator_create(&config, &allocator);
    if (status != FA_OK)
        throw std::runtime_error(std::string("can't create the allocator: ") +
                                 fa_status_text(status));
    return allocator;
}

/* The allocator of all that need no other one. */
inline fa_allocator *micro_allocator(const std::string &backend) {
    static fa_allocator *allocator = make_allocator(backend, false);
    return allocator;
}

} // namespace bench

#endif
