/* The allocation calls of a scenario, replayed alone on RUNNER_MEMORY: what is timed is the
 * allocator, the page faults and cache misses that it causes, and a loop over prepared operations
 * (the row limit/replay shows what that loop costs by itself). */
#include "bench/runner.hpp"

#include "scenarios/trace.hpp"

#include RUNNER_MEMORY_HEADER

#include <algorithm>
#include <stdexcept>

namespace {

using scenarios::TraceKind;
using Memory = scenarios::RUNNER_MEMORY;

/* One operation of a run, in as few bytes as possible: they compete with the allocator for the
 * cache. A growth takes two: the second one's size is the old size. */
struct Op {
    uint32_t id;
    uint32_t size;
};

/* Operations of one kind in a row. Where an allocator does nothing for a kind, as a region does for
 * the end of a block's use, its whole run costs nothing: its programs would not make the call. */
struct Run {
    TraceKind kind;
    uint32_t count;
};

struct Script {
    std::vector<Op> ops;
    std::vector<Run> runs;
    std::vector<Op> pool_leftovers, heap_leftovers; /* what the trace leaves alive */
    /* Part i: ops and runs from starts[i] to starts[i + 1]. The first part is set-up, then come the
     * frames, the last one is tear-down. */
    struct Start {
        size_t op, run;
    };
    std::vector<Start> starts;
    uint32_t id_count = 0;
    double allocations = 0; /* a measured frame */
    size_t frame_count() const { return starts.size() - 3; }
};

bool allocates(TraceKind kind) {
    return kind == TraceKind::kFrameAlloc || kind == TraceKind::kFrameGrow ||
           kind == TraceKind::kPoolAlloc || kind == TraceKind::kHeapAlloc;
}

void add_op(Script &script, const scenarios::TraceOp &op, uint32_t size_old) {
    if (op.size > UINT32_MAX)
        throw std::runtime_error("the trace has a block of 4 GiB");
    if (script.runs.size() == script.starts.back().run || script.runs.back().kind != op.kind)
        script.runs.push_back(Run{op.kind, 0});
    script.runs.back().count++;
    if (op.kind == TraceKind::kScopeBegin || op.kind == TraceKind::kScopeEnd)
        return;
    script.ops.push_back(Op{op.id, static_cast<uint32_t>(op.size)});
    if (op.kind == TraceKind::kFrameGrow)
        script.ops.push_back(Op{op.id, size_old});
}

/* The last `frames` frames of the trace are measured, those before them are its warm-up. */
Script prepare(const scenarios::Trace &trace, size_t frames) {
    if (trace.frame_count() < frames)
        throw std::runtime_error("the trace has only " + std::to_string(trace.frame_count()) +
                                 " frames");
    Script script;
    script.id_count = trace.id_count;
    script.starts.push_back({0, 0});
    std::vector<scenarios::TraceOp> alive(trace.id_count, {TraceKind::kCount, 0, 0});
    uint64_t allocations = 0, measured = trace.frame_starts[trace.frame_count() - frames];
    auto next_start = trace.frame_starts.begin();
    for (size_t i = 0; i <= trace.ops.size(); i++) {
        for (; next_start != trace.frame_starts.end() && *next_start == i; ++next_start)
            script.starts.push_back({script.ops.size(), script.runs.size()});
        if (i == trace.ops.size())
            break;
        const scenarios::TraceOp &op = trace.ops[i];
        bool is_scope = op.kind == TraceKind::kScopeBegin || op.kind == TraceKind::kScopeEnd;
        add_op(script, op, is_scope ? 0 : static_cast<uint32_t>(alive[op.id].size));
        if (!is_scope)
            alive[op.id] = op;
        allocations += allocates(op.kind) && i >= measured && i < trace.frame_starts.back();
    }
    script.starts.push_back({script.ops.size(), script.runs.size()});
    for (const scenarios::TraceOp &op : alive) {
        Op leftover{op.id, static_cast<uint32_t>(op.size)};
        if (op.kind == TraceKind::kPoolAlloc)
            script.pool_leftovers.push_back(leftover);
        else if (op.kind == TraceKind::kHeapAlloc)
            script.heap_leftovers.push_back(leftover);
    }
    script.allocations = static_cast<double>(allocations) / static_cast<double>(frames);
    return script;
}

[[noreturn, gnu::cold, gnu::noinline]] void refuse(uint32_t size) {
    throw std::runtime_error(std::string(Memory::kName) + " has no memory for a block of " +
                             std::to_string(size) + " bytes");
}

/* Writes to what a block has beyond its first `from` bytes; equal for all allocators. Of each page
 * another line than of the one before: lines 4 KiB apart would fight for the same place in a cache.
 * Returns the block. */
template <bench::Touch How> inline void *touch(void *block, size_t from, uint32_t size) {
    if (__builtin_expect(block == nullptr, 0))
        refuse(size);
    auto *bytes = static_cast<volatile char *>(block);
    if (How == bench::Touch::page) {
        for (size_t page = (from + 4095) / 4096; page * 4096 < size; page++) {
            size_t at = page * 4096 + page % 64 * 64;
            bytes[at < size ? at : size - 1] = 1;
        }
    } else if (How == bench::Touch::line) {
        for (size_t at = from; at < size; at += 64)
            bytes[at] = 1;
    }
    return block;
}

/* A run of a kind that the compiler knows. */
template <bench::Touch How, TraceKind Kind>
inline const Op *apply(Memory &memory, const Op *op, size_t count, void **blocks) {
    for (size_t i = 0; i < count; i++, op++) {
        void *&block = blocks[op->id];
        if (Kind == TraceKind::kFrameAlloc)
            block = touch<How>(memory.frame_alloc(op->size), 0, op->size);
        else if (Kind == TraceKind::kFrameGrow) {
            block =
                touch<How>(memory.frame_grow(block, op[1].size, op->size), op[1].size, op->size);
            op++;
        } else if (Kind == TraceKind::kFrameFree)
            memory.frame_free(block, op->size);
        else if (Kind == TraceKind::kPoolAlloc)
            block = touch<How>(memory.pool_alloc(op->size), 0, op->size);
        else if (Kind == TraceKind::kPoolFree)
            memory.pool_free(block, op->size);
        else if (Kind == TraceKind::kHeapAlloc)
            block = touch<How>(memory.heap_alloc(op->size), 0, op->size);
        else
            memory.heap_free(block, op->size);
    }
    return op;
}

template <bench::Touch How>
void replay(Memory &memory, const Run *run, const Run *end, const Op *op, void **blocks) {
    for (; run != end; run++) {
        switch (run->kind) {
        case TraceKind::kFrameAlloc:
            op = apply<How, TraceKind::kFrameAlloc>(memory, op, run->count, blocks);
            break;
        case TraceKind::kFrameGrow:
            op = apply<How, TraceKind::kFrameGrow>(memory, op, run->count, blocks);
            break;
        case TraceKind::kFrameFree:
            op = apply<How, TraceKind::kFrameFree>(memory, op, run->count, blocks);
            break;
        case TraceKind::kPoolAlloc:
            op = apply<How, TraceKind::kPoolAlloc>(memory, op, run->count, blocks);
            break;
        case TraceKind::kPoolFree:
            op = apply<How, TraceKind::kPoolFree>(memory, op, run->count, blocks);
            break;
        case TraceKind::kHeapAlloc:
            op = apply<How, TraceKind::kHeapAlloc>(memory, op, run->count, blocks);
            break;
        case TraceKind::kHeapFree:
            op = apply<How, TraceKind::kHeapFree>(memory, op, run->count, blocks);
            break;
        case TraceKind::kScopeBegin:
            memory.scope_begin();
            break;
        case TraceKind::kScopeEnd:
            memory.scope_end();
            break;
        case TraceKind::kCount:
            return;
        }
    }
}

template <bench::Touch How> class Replay {
  public:
    Replay(const Script &script, const bench::Options &options)
        : script_(script), blocks_(script.id_count, nullptr),
          memory_(scenarios::MemoryOptions{options.backend}),
          warmup_(script.frame_count() - static_cast<size_t>(options.frames)) {}

    /* The next measured frame, in nanoseconds. Set-up, warm-up and tear-down happen in between. */
    uint64_t next() {
        if (frame_ == 0)
            start();
        uint64_t begin = bench::clock_ns();
        one_frame();
        uint64_t time = bench::clock_ns() - begin;
        if (frame_ == script_.frame_count())
            finish();
        return time;
    }
    /* Of the measured frames so far. */
    const bench::Events &events() const { return events_; }

  private:
    void run_part(size_t part) {
        Script::Start from = script_.starts[part], to = script_.starts[part + 1];
        const Run *runs = script_.runs.data();
        replay<How>(memory_, runs + from.run, runs + to.run, script_.ops.data() + from.op,
                    blocks_.data());
    }
    void one_frame() {
        memory_.frame_begin();
        run_part(++frame_);
        memory_.frame_end();
    }
    void start() {
        run_part(0);
        while (frame_ < warmup_)
            one_frame();
        before_ = bench::events_now();
    }
    void finish() {
        bench::add_events(events_, before_);
        run_part(++frame_);
        for (Op op : script_.pool_leftovers)
            memory_.pool_free(blocks_[op.id], op.size);
        for (Op op : script_.heap_leftovers)
            memory_.heap_free(blocks_[op.id], op.size);
        frame_ = 0;
    }

    const Script &script_;
    std::vector<void *> blocks_;
    Memory memory_;
    bench::Events events_{0, 0, 0}, before_{0, 0, 0};
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
    bench::report_samples(state, options, samples, script.allocations, replay.events());
}

void run(benchmark::State &state, const bench::Options &options) {
    Script script =
        prepare(scenarios::Trace::load(options.trace_file), static_cast<size_t>(options.frames));
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
