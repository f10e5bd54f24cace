/* The allocation calls of a scenario, replayed alone on RUNNER_MEMORY: what is timed is the
 * allocator, the page faults and cache misses that it causes, and a loop over prepared operations
 * (the row limit/replay shows what that loop costs by itself). */
#include "bench/runner.hpp"

#include "bench/figures.hpp"
#include "scenarios/trace.hpp"

#include RUNNER_MEMORY_HEADER

#include <algorithm>
#include <stdexcept>

namespace {

using scenarios::TraceKind;
using Memory = scenarios::RUNNER_MEMORY;

/* An operation with all that the replay needs at hand, in as few bytes as possible: they compete
 * with the allocator for the cache. */
struct Op {
    uint32_t kind : 3;
    uint32_t id : 29;
    uint32_t size;
    uint32_t size_old; /* growth only */
};

struct Script {
    std::vector<Op> ops;
    std::vector<uint64_t> frame_starts;
    std::vector<Op> leftovers; /* frees what the trace leaves alive */
    uint32_t id_count = 0;
    double allocations = 0; /* a measured frame */
};

bool allocates(TraceKind kind) {
    return kind == TraceKind::kFrameAlloc || kind == TraceKind::kFrameGrow ||
           kind == TraceKind::kPoolAlloc || kind == TraceKind::kHeapAlloc;
}

/* The last `frames` frames of the trace are measured, those before them are its warm-up. */
Script prepare(const scenarios::Trace &trace, size_t frames) {
    if (trace.frame_count() < frames)
        throw std::runtime_error("the trace has only " + std::to_string(trace.frame_count()) +
                                 " frames");
    size_t warmup = trace.frame_count() - frames;
    if (trace.id_count >= uint32_t{1} << 29)
        throw std::runtime_error("the trace has too many blocks");
    Script script;
    script.frame_starts = trace.frame_starts;
    script.id_count = trace.id_count;
    script.ops.reserve(trace.ops.size());
    std::vector<Op> alive(trace.id_count, Op{0, 0, 0, 0});
    uint64_t allocations = 0, measured = trace.frame_starts[warmup];
    for (size_t i = 0; i < trace.ops.size(); i++) {
        const scenarios::TraceOp &from = trace.ops[i];
        if (from.size > UINT32_MAX)
            throw std::runtime_error("the trace has a block of 4 GiB");
        auto size = static_cast<uint32_t>(from.size);
        Op op{static_cast<uint32_t>(from.kind) & 7u, from.id & 0x1FFFFFFFu, size, 0};
        op.size_old = alive[from.id].size;
        script.ops.push_back(op);
        alive[from.id] = allocates(from.kind) ? op : Op{0, 0, 0, 0};
        if (allocates(from.kind) && i >= measured && i < trace.frame_starts.back())
            allocations++;
    }
    for (Op op : alive) {
        if (op.size == 0 || op.kind == static_cast<uint32_t>(TraceKind::kFrameAlloc) ||
            op.kind == static_cast<uint32_t>(TraceKind::kFrameGrow))
            continue;
        op.kind = static_cast<uint32_t>(op.kind == static_cast<uint32_t>(TraceKind::kPoolAlloc)
                                            ? TraceKind::kPoolFree
                                            : TraceKind::kHeapFree) &
                  7u;
        script.leftovers.push_back(op);
    }
    script.allocations =
        static_cast<double>(allocations) / static_cast<double>(frames);
    return script;
}

[[noreturn, gnu::cold, gnu::noinline]] void refuse(uint32_t size) {
    throw std::runtime_error(std::string(Memory::kName) + " has no memory for a block of " +
                             std::to_string(size) + " bytes");
}

/* Writes to bytes [from, size) of a block; equal for all allocators. Returns the block. */
template <bench::Touch How> inline void *touch(void *block, size_t from, uint32_t size) {
    if (__builtin_expect(block == nullptr, 0))
        refuse(size);
    if (How == bench::Touch::none)
        return block;
    constexpr size_t step = How == bench::Touch::page ? 4096 : 64;
    auto *bytes = static_cast<volatile char *>(block);
    for (size_t at = from; at < size; at += step)
        bytes[at] = 1;
    return block;
}

template <bench::Touch How> void replay(Memory &memory, const Op *op, const Op *end, void **blocks) {
    for (; op != end; op++) {
        void *&block = blocks[op->id];
        switch (static_cast<TraceKind>(op->kind)) {
        case TraceKind::kFrameAlloc:
            block = touch<How>(memory.frame_alloc(op->size), 0, op->size);
            break;
        case TraceKind::kFrameGrow:
            block = touch<How>(memory.frame_grow(block, op->size_old, op->size), op->size_old,
                               op->size);
            break;
        case TraceKind::kFrameFree:
            memory.frame_free(block, op->size);
            break;
        case TraceKind::kPoolAlloc:
            block = touch<How>(memory.pool_alloc(op->size), 0, op->size);
            break;
        case TraceKind::kPoolFree:
            memory.pool_free(block, op->size);
            break;
        case TraceKind::kHeapAlloc:
            block = touch<How>(memory.heap_alloc(op->size), 0, op->size);
            break;
        case TraceKind::kHeapFree:
            memory.heap_free(block, op->size);
            break;
        case TraceKind::kCount:
            break;
        }
    }
}

template <bench::Touch How> class Replay {
  public:
    Replay(const Script &script, const bench::Options &options)
        : script_(script), blocks_(script.id_count, nullptr),
          memory_(scenarios::MemoryOptions{options.backend}),
          warmup_(script.frame_starts.size() - 1 - static_cast<size_t>(options.frames)) {}

    /* The next measured frame, in nanoseconds. Set-up, warm-up and tear-down happen in between. */
    uint64_t next() {
        if (frame_ == 0)
            start();
        uint64_t begin = bench::clock_ns();
        one_frame();
        uint64_t time = bench::clock_ns() - begin;
        if (frame_ + 1 == script_.frame_starts.size())
            finish();
        return time;
    }
    /* Of the measured frames so far. */
    bench::Faults faults() const { return faults_; }

  private:
    void run(uint64_t from, uint64_t to) {
        const Op *ops = script_.ops.data();
        replay<How>(memory_, ops + from, ops + to, blocks_.data());
    }
    void one_frame() {
        memory_.frame_begin();
        run(script_.frame_starts[frame_], script_.frame_starts[frame_ + 1]);
        memory_.frame_end();
        frame_++;
    }
    void start() {
        run(0, script_.frame_starts[0]);
        while (frame_ < warmup_)
            one_frame();
        faults_before_ = bench::faults_now();
    }
    void finish() {
        bench::Faults now = bench::faults_now();
        faults_.minor += now.minor - faults_before_.minor;
        faults_.major += now.major - faults_before_.major;
        run(script_.frame_starts.back(), script_.ops.size());
        const Op *first = script_.leftovers.data();
        replay<How>(memory_, first, first + script_.leftovers.size(), blocks_.data());
        frame_ = 0;
    }

    const Script &script_;
    std::vector<void *> blocks_;
    Memory memory_;
    bench::Faults faults_{0, 0}, faults_before_{0, 0};
    size_t warmup_, frame_ = 0;
};

template <bench::Touch How>
void run_with(benchmark::State &state, const bench::Options &options, const Script &script) {
    Replay<How> replay(script, options);
    std::vector<uint32_t> samples(state.max_iterations, 0);
    auto sample = samples.begin();
    for (auto _ : state) {
        uint64_t time = replay.next();
        *sample++ = static_cast<uint32_t>(time);
        state.SetIterationTime(static_cast<double>(time) * 1e-9);
    }
    auto frames = static_cast<double>(samples.size());
    state.counters["allocations"] = script.allocations;
    state.counters["minor_faults"] = static_cast<double>(replay.faults().minor) / frames;
    state.counters["major_faults"] = static_cast<double>(replay.faults().major) / frames;
    state.counters["peak_rss"] = static_cast<double>(bench::peak_rss_bytes());
    bench::report_samples(state, options, samples);
}

void run(benchmark::State &state, const bench::Options &options) {
    Script script = prepare(scenarios::Trace::load(options.trace_file),
                            static_cast<size_t>(options.frames));
    switch (options.touch) {
    case bench::Touch::none:
        return run_with<bench::Touch::none>(state, options, script);
    case bench::Touch::page:
        return run_with<bench::Touch::page>(state, options, script);
    case bench::Touch::line:
        return run_with<bench::Touch::line>(state, options, script);
    }
}

} // namespace

void bench::register_trace(const Options &options) {
    benchmark::RegisterBenchmark("trace", run, options)
        ->Iterations(options.frames * std::max(options.passes, 1))
        ->UseManualTime();
}
