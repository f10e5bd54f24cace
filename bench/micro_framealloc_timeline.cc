/* Frames that are kept for a timeline, and the end of the frames of all threads. */
#include "bench/micro_framealloc.hpp"

#include <chrono>
#include <thread>
#include <vector>

namespace {

/* A frame of one block, whose memory is taken again `behind` frames later: begin, an allocation,
 * end, advance. */
void kept_loop(benchmark::State &state, fa_allocator *allocator, uint64_t behind) {
    fa_timeline *timeline = nullptr;
    if (fa_timeline_create(allocator, nullptr, &timeline) != FA_OK)
        return state.SkipWithError("out of memory");
    uint64_t number = 0;
    for (auto _ : state) {
        fa_frame *frame = fa_frame_begin(allocator);
        bench::keep(fa_frame_alloc_in(frame, 64));
        (void)fa_frame_end_on_in(frame, timeline, ++number);
        if (number > behind)
            (void)fa_timeline_advance(timeline, number - behind);
    }
    (void)fa_timeline_advance(timeline, number);
    (void)fa_allocator_trim(allocator);
    (void)fa_timeline_destroy(timeline);
    bench::set_operations(state, 1);
}

/* Threads that fill a frame each and stand still, round after round. */
class Crew {
  public:
    Crew(fa_allocator *allocator, size_t threads, size_t allocations)
        : allocator_(allocator), allocations_(allocations) {
        if (fa_barrier_create(allocator, threads + 1, &barrier_) != FA_OK ||
            fa_barrier_join(barrier_) != FA_OK)
            throw std::runtime_error("can't create a barrier");
        for (size_t i = 0; i < threads; i++)
            threads_.emplace_back([this] { work(); });
    }
    ~Crew() {
        ended_ = true;
        meet();
        for (std::thread &thread : threads_)
            thread.join();
        (void)fa_barrier_leave(barrier_);
        (void)fa_barrier_destroy(barrier_);
    }
    Crew(const Crew &) = delete;
    Crew &operator=(const Crew &) = delete;

    void meet() { (void)fa_barrier_signal_and_wait(barrier_); }

  private:
    void work() {
        (void)fa_barrier_join(barrier_);
        for (meet(); !ended_; meet()) {
            fa_frame *frame = fa_frame_begin(allocator_);
            for (size_t i = 0; i < allocations_; i++)
                bench::keep(fa_frame_alloc_in(frame, 64));
            meet();
        }
        (void)fa_barrier_leave(barrier_);
    }

    fa_allocator *allocator_;
    size_t allocations_;
    fa_barrier *barrier_ = nullptr;
    bool ended_ = false; /* written before a meeting */
    std::vector<std::thread> threads_;
};

/* The call alone: the threads' work is not measured. */
void end_all_loop(benchmark::State &state, fa_allocator *allocator, size_t threads,
                  size_t allocations) {
    Crew crew(allocator, threads, allocations);
    for (auto _ : state) {
        crew.meet();
        crew.meet();
        auto begin = std::chrono::steady_clock::now();
        size_t ended = fa_frame_end_all(allocator);
        state.SetIterationTime(
            std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
        if (ended != threads)
            return state.SkipWithError("not all frames were ended");
    }
    bench::set_operations(state, 1);
}

void register_timelines(const std::string &backend) {
    fa_allocator *allocator = bench::micro_allocator(backend);
    for (uint64_t behind : {1, 3})
        benchmark::RegisterBenchmark(("kept_frame/" + std::to_string(behind)).c_str(), kept_loop,
                                     allocator, behind);
    for (size_t threads : {1, 4, 16}) {
        const std::string size = "/" + std::to_string(threads);
        for (size_t allocations : {10, 10000})
            benchmark::RegisterBenchmark(
                ((allocations == 10 ? "end_all" : "end_all_full") + size).c_str(), end_all_loop,
                allocator, threads, allocations)
                ->UseManualTime()
                ->Iterations(2000);
    }
}

bench::MoreMicros more(register_timelines);

} // namespace
