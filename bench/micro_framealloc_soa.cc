/* Structures of arrays in frame memory: allocation, and what a loop gains by the layout. */
#include "bench/micro_framealloc.hpp"
#include "bench/micro_soa.hpp"

namespace {

#define EIGHT_FIELDS(X)                                                                            \
    X(float, a) X(float, b) X(float, c) X(float, d) X(float, e) X(float, f) X(float, g) X(float, h)
FA_SOA(eight, EIGHT_FIELDS)

/* A particle as a game has it: 64 bytes, of which an update of the positions uses 24. */
#define PARTICLE_FIELDS(X)                                                                         \
    X(float, x)                                                                                    \
    X(float, y)                                                                                    \
    X(float, z)                                                                                    \
    X(float, vx)                                                                                   \
    X(float, vy)                                                                                   \
    X(float, vz)                                                                                   \
    X(float, age)                                                                                  \
    X(float, life)                                                                                 \
    X(float, size)                                                                                 \
    X(float, growth)                                                                               \
    X(float, angle)                                                                                \
    X(float, spin) X(uint32_t, colour) X(uint32_t, sprite) X(uint32_t, emitter) X(uint32_t, flags)
FA_SOA(particles, PARTICLE_FIELDS)
struct Particle {
#define MEMBER(type, name) type name;
    PARTICLE_FIELDS(MEMBER)
#undef MEMBER
};
static_assert(sizeof(Particle) == 64);

constexpr size_t kParticles = 100000;
constexpr float kSeconds = 1.0f / 60;

struct Frame {
    fa_allocator *allocator;
    fa_frame *frame;
    void begin() { frame = fa_frame_begin(allocator); }
    template <size_t Size> void *alloc() { return fa_frame_alloc_in(frame, Size); }
    void end() { (void)fa_frame_end_in(frame); }
};

struct FrameOnLines : Frame {
    template <size_t Size> void *alloc() { return fa_frame_alloc_lines_in(frame, Size, 16); }
};

template <class Alloc>
void one_call(benchmark::State &state, fa_allocator *allocator, Alloc alloc) {
    for (auto _ : state) {
        fa_status status = FA_OK;
        fa_frame *frame = fa_frame_begin(allocator);
        for (size_t set = 0; set < bench::kSoaSets; set++)
            status = alloc(frame);
        (void)fa_frame_end_in(frame);
        if (status != FA_OK)
            return state.SkipWithError("out of memory");
    }
    bench::set_operations(state, bench::kSoaSets);
}

fa_status alloc_typed(fa_frame *frame) {
    eight columns;
    fa_status status = fa_soa_new_in(frame, eight, bench::kSoaCount, &columns);
    bench::keep(&columns);
    return status;
}

fa_status alloc_described(fa_frame *frame) {
    fa_soa_column columns[bench::kSoaColumns];
    void *arrays[bench::kSoaColumns];
    for (fa_soa_column &column : columns)
        column = {sizeof(float), 0};
    fa_status status =
        fa_soa_alloc_in(frame, columns, bench::kSoaColumns, bench::kSoaCount, arrays);
    bench::keep(arrays);
    return status;
}

/* Both loops with the optimizations that a release build of a game would have: gcc 12 does not
 * vectorize them with -O2, clang does. */
#ifdef __clang__
#define HOT_LOOP __attribute__((noinline))
#else
#define HOT_LOOP __attribute__((noinline, optimize("O3")))
#endif

HOT_LOOP void move(float *__restrict at, const float *__restrict speed, size_t count) {
    for (size_t i = 0; i < count; i++)
        at[i] += speed[i] * kSeconds;
}

HOT_LOOP void move_all(Particle *particle, size_t count) {
    for (size_t i = 0; i < count; i++, particle++) {
        particle->x += particle->vx * kSeconds;
        particle->y += particle->vy * kSeconds;
        particle->z += particle->vz * kSeconds;
    }
}

void update_arrays(benchmark::State &state, fa_allocator *allocator) {
    fa_frame *frame = fa_frame_begin(allocator);
    particles p = {};
    if (fa_soa_new_in(frame, particles, kParticles, &p) != FA_OK)
        state.SkipWithError("out of memory");
    else
        memset(static_cast<void *>(p.x), 0, fa_soa_bytes(particles, kParticles));
    for (auto _ : state) {
        move(p.x, p.vx, p.count);
        move(p.y, p.vy, p.count);
        move(p.z, p.vz, p.count);
        bench::keep(p.x);
    }
    (void)fa_frame_end_in(frame);
    bench::set_operations(state, kParticles);
}

void update_structures(benchmark::State &state, fa_allocator *allocator) {
    fa_frame *frame = fa_frame_begin(allocator);
    Particle *all = fa_frame_array_zeroed_in(frame, Particle, kParticles);
    if (all == nullptr)
        state.SkipWithError("out of memory");
    for (auto _ : state) {
        move_all(all, kParticles);
        bench::keep(all);
    }
    (void)fa_frame_end_in(frame);
    bench::set_operations(state, kParticles);
}

void register_soa(const std::string &backend) {
    using benchmark::RegisterBenchmark;
    fa_allocator *allocator = bench::micro_allocator(backend);
    RegisterBenchmark("soa_alloc/one_call", [allocator](benchmark::State &state) {
        one_call(state, allocator, alloc_typed);
    });
    RegisterBenchmark("soa_alloc/one_call_described", [allocator](benchmark::State &state) {
        one_call(state, allocator, alloc_described);
    });
    RegisterBenchmark("soa_alloc/eight_calls", bench::soa_eight_calls<Frame>,
                      Frame{allocator, nullptr});
    RegisterBenchmark("soa_alloc/eight_calls_on_lines", bench::soa_eight_calls<FrameOnLines>,
                      FrameOnLines{{allocator, nullptr}});
    RegisterBenchmark("soa_update/arrays", update_arrays, allocator);
    RegisterBenchmark("soa_update/structures", update_structures, allocator);
}

bench::MoreMicros more(register_soa);

} // namespace
