/* The loops of the micro-benchmarks, shared by all allocators so that they differ in nothing but
 * the calls. An allocator takes part with a small policy object: the loops keep it in a local
 * variable, as a program would keep its handle, so that its members live in registers.
 *
 * - Frame policy: begin(), alloc<Size>(), end(): a frame's worth of blocks, then all of them dead
 * - Pool policy: alloc<Size>(), free<Size>(block): blocks that are freed one by one
 * - Grow policy: begin(), grow(block, size_old, size_new), end(block, block)
 *
 * The reset of the frame is inside of the timed loop. An allocator that starts to fail would look
 * fast: the last block of each frame is checked. Every figure is the time of one iteration divided
 * by the counter "operations". */
#ifndef BENCH_MICRO_HPP
#define BENCH_MICRO_HPP

#include <benchmark/benchmark.h>

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstring>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace bench {

/* Registers the micro-benchmarks of the allocator that this program was built for. */
void register_micros(const std::string &backend);

/* More of them may stand in files of their own, which say so with one line at namespace scope:
 *
 *   static bench::MoreMicros more([](const std::string &backend) { RegisterBenchmark ...; });
 *
 * BUILD adds by their names: micro_framealloc_*.cc to the runner of framealloc, micro_malloc_*.cc
 * to that of malloc (and so to all stock allocators), likewise for mi_heap, obstack, apr, pmr and
 * limit, and every micro_*.hpp to all. Benchmarks that are compared have the same name in each
 * runner: NAME or NAME/SIZE. tables.py knows how to write a name, bars.py which ones have bars. */
class MoreMicros {
  public:
    using Register = void (*)(const std::string &backend);
    explicit MoreMicros(Register function) { all().push_back(function); }
    static void register_all(const std::string &backend) {
        for (Register function : all())
            function(backend);
    }

  private:
    static std::vector<Register> &all() {
        static std::vector<Register> functions;
        return functions;
    }
};

/* Makes the compiler believe that the block is looked at and that all memory may have changed. */
inline void keep(void *block) { asm volatile("" : : "r"(block) : "memory"); }

inline void set_operations(benchmark::State &state, size_t per_iteration) {
    state.counters["operations"] =
        benchmark::Counter(static_cast<double>(per_iteration), benchmark::Counter::kAvgThreads);
    state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(per_iteration));
}

/* Blocks of one frame: 1,000, but not more than 4 MiB of the largest size. */
constexpr size_t frame_count(size_t size) { return size <= 4096 ? 1000 : 64; }

template <class Frame, size_t Size, bool Written>
void frame_loop(benchmark::State &state, Frame frame) {
    constexpr size_t count = frame_count(Size);
    for (auto _ : state) {
        void *block = nullptr;
        frame.begin();
        for (size_t i = 0; i < count; i++) {
            block = frame.template alloc<Size>();
            keep(block);
            if (Written) {
                memset(block, 1, Size);
                keep(block);
            }
        }
        frame.end();
        if (block == nullptr)
            return state.SkipWithError("out of memory");
    }
    set_operations(state, count);
}

/* Frames of so many small blocks, all written: how the cost of one grows with them. */
constexpr size_t kFrameOfMax = 1000000;
template <class Frame> void frame_of_loop(benchmark::State &state, Frame frame, size_t count) {
    constexpr size_t size = 16;
    for (auto _ : state) {
        void *block = nullptr;
        frame.begin();
        for (size_t i = 0; i < count; i++) {
            block = frame.template alloc<size>();
            if (block == nullptr)
                return state.SkipWithError("out of memory");
            memset(block, 1, size);
            keep(block);
        }
        frame.end();
    }
    set_operations(state, count);
}

template <class Frame> void begin_end_loop(benchmark::State &state, Frame frame) {
    constexpr size_t count = 100;
    for (auto _ : state) {
        for (size_t i = 0; i < count; i++) {
            frame.begin();
            keep(&state);
            frame.end();
        }
    }
    set_operations(state, count);
}

/* Threads that do a round of the same work together, each when it is told to. */
class Crew {
  public:
    Crew(size_t threads, std::function<void()> work) : work_(std::move(work)) {
        for (size_t i = 0; i < threads; i++)
            threads_.emplace_back([this] { run(); });
    }
    ~Crew() {
        begin_round(true);
        for (std::thread &thread : threads_)
            thread.join();
    }
    Crew(const Crew &) = delete;
    Crew &operator=(const Crew &) = delete;
    /* Returns when all threads have done their part. */
    void round() {
        begin_round(false);
        std::unique_lock<std::mutex> lock(mutex_);
        done_.wait(lock, [this] { return working_ == 0; });
    }

  private:
    void begin_round(bool last) {
        {
            std::lock_guard<std::mutex> lock(mutex_);
            round_++;
            working_ = threads_.size();
            last_ = last;
        }
        begin_.notify_all();
    }
    void run() {
        for (uint64_t seen = 0;;) {
            {
                std::unique_lock<std::mutex> lock(mutex_);
                begin_.wait(lock, [&] { return round_ != seen; });
                seen = round_;
                if (last_)
                    return;
            }
            work_();
            std::lock_guard<std::mutex> lock(mutex_);
            if (--working_ == 0)
                done_.notify_one();
        }
    }

    std::function<void()> work_;
    std::mutex mutex_;
    std::condition_variable begin_, done_;
    uint64_t round_ = 0;
    size_t working_ = 0;
    bool last_ = false;
    std::vector<std::thread> threads_;
};

/* The same amount of work divided among threads; measured is how long all of it takes, by the wall
 * clock, waking the threads included. */
constexpr size_t kCrewMax = 64, kCrewRounds = 6400, kCrewCount = 1000;
template <class Frame> void crew_frame_loop(benchmark::State &state, Frame frame, size_t threads) {
    Crew crew(threads, [frame, threads] {
        Frame own = frame;
        for (size_t round = 0; round < kCrewRounds / threads; round++) {
            own.begin();
            for (size_t i = 0; i < kCrewCount; i++)
                keep(own.template alloc<64>());
            own.end();
        }
    });
    crew.round(); /* threads get their memory in the first one */
    for (auto _ : state)
        crew.round();
    set_operations(state, kCrewRounds / threads * threads * kCrewCount);
}
template <class Pool> void crew_pool_loop(benchmark::State &state, Pool pool, size_t threads) {
    Crew crew(threads, [pool, threads] {
        Pool own = pool;
        std::vector<void *> blocks(kCrewCount);
        for (size_t round = 0; round < kCrewRounds / threads; round++) {
            for (size_t i = 0; i < kCrewCount; i++)
                keep(blocks[i] = own.template alloc<64>());
            for (void *block : blocks)
                own.template free<64>(block);
        }
    });
    crew.round();
    for (auto _ : state)
        crew.round();
    set_operations(state, kCrewRounds / threads * threads * kCrewCount);
}

template <class Pool, size_t Size> void pair_loop(benchmark::State &state, Pool pool) {
    constexpr size_t count = 1000;
    for (auto _ : state) {
        void *block = nullptr;
        for (size_t i = 0; i < count; i++) {
            block = pool.template alloc<Size>();
            keep(block);
            pool.template free<Size>(block);
            keep(block);
        }
        if (block == nullptr)
            return state.SkipWithError("out of memory");
    }
    set_operations(state, count);
}

/* Allocates Count blocks, then frees them in the order in which they came. */
template <class Pool, size_t Size, size_t Count>
void many_loop(benchmark::State &state, Pool pool) {
    std::vector<void *> storage(Count);
    void **blocks = storage.data();
    for (auto _ : state) {
        for (size_t i = 0; i < Count; i++) {
            blocks[i] = pool.template alloc<Size>();
            keep(blocks[i]);
        }
        if (blocks[Count - 1] == nullptr)
            return state.SkipWithError("out of memory");
        for (size_t i = 0; i < Count; i++) {
            pool.template free<Size>(blocks[i]);
            keep(blocks[i]);
        }
    }
    set_operations(state, Count);
}

/* Heap-sized blocks one at a time; Touched writes one word of each page, so that giving the pages
 * back to the system and getting them again shows. */
template <class Heap, size_t Size, bool Touched>
void heap_loop(benchmark::State &state, Heap heap) {
    for (auto _ : state) {
        char *block = static_cast<char *>(heap.template alloc<Size>());
        keep(block);
        if (block == nullptr)
            return state.SkipWithError("out of memory");
        if (Touched) {
            for (size_t at = 0; at < Size; at += 4096)
                block[at] = 1;
            keep(block);
        }
        heap.template free<Size>(block);
    }
    set_operations(state, 1);
}

/* One block that grows by 64 bytes a step to 64 KiB, as a list does that is appended to. */
template <class Grow> void grow_newest_loop(benchmark::State &state, Grow grower) {
    constexpr size_t step = 64, last = 65536;
    for (auto _ : state) {
        grower.begin();
        void *block = nullptr;
        for (size_t size = 0; size < last; size += step) {
            block = grower.grow(block, size, size + step);
            keep(block);
        }
        if (block == nullptr)
            return state.SkipWithError("out of memory");
        grower.end(block, nullptr);
    }
    set_operations(state, last / step);
}

/* Two blocks that double in turns to 64 KiB: neither is the newest when it grows. */
template <class Grow> void grow_two_loop(benchmark::State &state, Grow grower) {
    constexpr size_t first = 64, last = 65536;
    size_t steps = 0;
    for (auto _ : state) {
        grower.begin();
        void *left = nullptr, *right = nullptr;
        steps = 0;
        for (size_t old = 0, size = first; size <= last; old = size, size *= 2, steps += 2) {
            left = grower.grow(left, old, size);
            keep(left);
            right = grower.grow(right, old, size);
            keep(right);
        }
        if (left == nullptr || right == nullptr)
            return state.SkipWithError("out of memory");
        grower.end(left, right);
    }
    set_operations(state, steps);
}

/* One thread allocates, another one frees: blocks go over in bundles through a ring with one writer
 * and one reader. Measured is the throughput, by the wall clock. */
template <class Pool, size_t Size> class CrossThread {
  public:
    static void loop(benchmark::State &state, Pool pool) {
        CrossThread ring;
        std::thread reader([&ring, pool] { ring.read(pool); });
        bool failed = false;
        for (auto _ : state) {
            void **bundle = ring.wait_for_room();
            for (size_t i = 0; i < kBundle; i++) {
                bundle[i] = pool.template alloc<Size>();
                keep(bundle[i]);
            }
            failed = failed || bundle[kBundle - 1] == nullptr;
            ring.written_.store(ring.written_.load(std::memory_order_relaxed) + 1,
                                std::memory_order_release);
        }
        ring.done_.store(true, std::memory_order_release);
        reader.join();
        if (failed)
            state.SkipWithError("out of memory");
        set_operations(state, kBundle);
    }

  private:
    static constexpr size_t kBundle = 256, kBundles = 8;

    static void pause(unsigned &turns) {
        if (++turns % 1024 == 0)
            std::this_thread::yield();
    }
    void **wait_for_room() {
        unsigned turns = 0;
        size_t written = written_.load(std::memory_order_relaxed);
        while (written - read_.load(std::memory_order_acquire) == kBundles)
            pause(turns);
        return bundles_[written % kBundles];
    }
    void read(Pool pool) {
        size_t read = 0;
        unsigned turns = 0;
        for (;;) {
            bool done = done_.load(std::memory_order_acquire);
            if (read == written_.load(std::memory_order_acquire)) {
                if (done)
                    return;
                pause(turns);
                continue;
            }
            for (void *block : bundles_[read % kBundles])
                pool.template free<Size>(block);
            read_.store(++read, std::memory_order_release);
        }
    }

    void *bundles_[kBundles][kBundle] = {};
    alignas(64) std::atomic<size_t> written_{0};
    alignas(64) std::atomic<size_t> read_{0};
    alignas(64) std::atomic<bool> done_{false};
};

/* Sizes of the frame rows; the same list for every allocator. */
template <class Frame> void register_frame(const std::string &name, Frame frame) {
    auto add = [&](size_t size, bool written, void (*loop)(benchmark::State &, Frame)) {
        std::string full = name + (written ? "_written/" : "/") + std::to_string(size);
        benchmark::RegisterBenchmark(full.c_str(), loop, frame);
    };
    add(1, false, frame_loop<Frame, 1, false>);
    add(16, false, frame_loop<Frame, 16, false>);
    add(64, false, frame_loop<Frame, 64, false>);
    add(256, false, frame_loop<Frame, 256, false>);
    add(4096, false, frame_loop<Frame, 4096, false>);
    add(65536, false, frame_loop<Frame, 65536, false>);
    add(1, true, frame_loop<Frame, 1, true>);
    add(16, true, frame_loop<Frame, 16, true>);
    add(64, true, frame_loop<Frame, 64, true>);
    add(256, true, frame_loop<Frame, 256, true>);
    add(4096, true, frame_loop<Frame, 4096, true>);
    add(65536, true, frame_loop<Frame, 65536, true>);
}

template <class Frame> void register_frame_of(Frame frame) {
    for (size_t count = 10; count <= kFrameOfMax; count *= 10)
        benchmark::RegisterBenchmark(("frame_of/" + std::to_string(count)).c_str(),
                                     frame_of_loop<Frame>, frame, count);
}

template <class Pool> void register_pool(Pool pool) {
    benchmark::RegisterBenchmark("pair/16", pair_loop<Pool, 16>, pool);
    benchmark::RegisterBenchmark("pair/64", pair_loop<Pool, 64>, pool);
    benchmark::RegisterBenchmark("pair/256", pair_loop<Pool, 256>, pool);
    benchmark::RegisterBenchmark("many_1000/16", many_loop<Pool, 16, 1000>, pool);
    benchmark::RegisterBenchmark("many_1000/64", many_loop<Pool, 64, 1000>, pool);
    benchmark::RegisterBenchmark("many_1000/256", many_loop<Pool, 256, 1000>, pool);
    benchmark::RegisterBenchmark("many_10000/64", many_loop<Pool, 64, 10000>, pool);
}

template <class Heap> void register_heap(Heap heap) {
    benchmark::RegisterBenchmark("heap/65536", heap_loop<Heap, 65536, false>, heap);
    benchmark::RegisterBenchmark("heap/1048576", heap_loop<Heap, 1048576, false>, heap);
    benchmark::RegisterBenchmark("heap_touched/65536", heap_loop<Heap, 65536, true>, heap);
    benchmark::RegisterBenchmark("heap_touched/1048576", heap_loop<Heap, 1048576, true>, heap);
}

template <class Grow> void register_grow(Grow grower) {
    benchmark::RegisterBenchmark("grow/newest", grow_newest_loop<Grow>, grower);
    benchmark::RegisterBenchmark("grow/two", grow_two_loop<Grow>, grower);
}

/* Two threads at once, each with frames or blocks of its own, next to one thread; then up to more
 * of them than most machines have processors. */
template <class Frame, class Pool> void register_threads(Frame frame, Pool pool) {
    for (size_t threads = 1; threads <= kCrewMax; threads *= 2) {
        benchmark::RegisterBenchmark(("crew_frame/" + std::to_string(threads)).c_str(),
                                     crew_frame_loop<Frame>, frame, threads)
            ->UseRealTime();
        benchmark::RegisterBenchmark(("crew_pool/" + std::to_string(threads)).c_str(),
                                     crew_pool_loop<Pool>, pool, threads)
            ->UseRealTime();
    }
    for (int threads = 1; threads <= 2; threads++) {
        benchmark::RegisterBenchmark("threads_frame", frame_loop<Frame, 64, false>, frame)
            ->Threads(threads)
            ->UseRealTime();
        benchmark::RegisterBenchmark("threads_pool", many_loop<Pool, 64, 1000>, pool)
            ->Threads(threads)
            ->UseRealTime();
    }
    benchmark::RegisterBenchmark("cross_free/64", CrossThread<Pool, 64>::loop, pool)->UseRealTime();
}

} // namespace bench

#endif
