/* Micro-benchmarks of a region allocator, through the same Memory class as the scenarios use. */
#include "bench/micro_inside.hpp"
#include "bench/micro_soa.hpp"

#include RUNNER_MEMORY_HEADER

namespace {

using Memory = scenarios::RUNNER_MEMORY;

struct Frame {
    Memory *memory;
    void begin() { memory->frame_begin(); }
    template <size_t Size> void *alloc() { return memory->frame_alloc(Size); }
    void end() { memory->frame_end(); }
};

struct Marker : Frame {
    void mark() { memory->scope_begin(); }
    void rewind() { memory->scope_end(); }
};

struct Grow {
    Memory *memory;
    void begin() { memory->frame_begin(); }
    void *grow(void *block, size_t size_old, size_t size_new) {
        return memory->frame_grow(block, size_old, size_new);
    }
    void end(void *, void *) { memory->frame_end(); }
};

} // namespace

void bench::register_micros(const std::string &backend) {
    static Memory memory{scenarios::MemoryOptions{backend}};
    register_frame("frame", Frame{&memory});
    register_frame_of(Frame{&memory});
    benchmark::RegisterBenchmark("begin_end", begin_end_loop<Frame>, Frame{&memory});
    register_grow(Grow{&memory});
    if constexpr (Memory::kScopes)
        register_marks(Marker{{&memory}});
    benchmark::RegisterBenchmark("soa_alloc/eight_calls", soa_eight_calls<Frame>, Frame{&memory});
}
