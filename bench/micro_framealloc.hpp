/* For micro-benchmarks of framealloc. */
#ifndef BENCH_MICRO_FRAMEALLOC_HPP
#define BENCH_MICRO_FRAMEALLOC_HPP

#include "bench/micro.hpp"

#include "fa/fa.h"

#include <stdexcept>

namespace bench {

/* The allocator of all of them. It lives until the process ends, like an engine's. */
inline fa_allocator *micro_allocator(const std::string &backend) {
    static fa_allocator *allocator = nullptr;
    if (allocator != nullptr)
        return allocator;
    fa_alloc_config config = fa_alloc_config_default();
    config.backend_spec = backend.c_str();
    fa_status status = fa_allocator_create(&config, &allocator);
    if (status != FA_OK)
        throw std::runtime_error(std::string("can't create the allocator: ") +
                                 fa_status_text(status));
    return allocator;
}

} // namespace bench

#endif
