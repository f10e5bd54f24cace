/* Frames that are kept for a timeline, and the end of the frames of all threads. */
#include "bench/micro_framealloc.hpp"

#include <atomic>
#include <chrono>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

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

/* Whether a thread of this process sleeps, as the kernel sees it. */
class Sleep {
  public:
    explicit Sleep(long thread)
        : file_(open(("/proc/self/task/" + std::to_string(thread) + "/stat").c_str(),
                     O_RDONLY | O_CLOEXEC)) {
        if (file_ < 0)
            throw std::runtime_error("can't see whether a thread sleeps");
    }
    ~Sleep() { close(file_); }
    Sleep(const Sleep &) = delete;
    Sleep &operator=(const Sleep &) = delete;

    /* "1234 (name) S ...": the name may hold anything, parentheses too. */
    bool is_on() const {
        char text[256];
        const ssize_t length = pread(file_, text, sizeof text - 1, 0);
        text[length < 0 ? 0 : length] = 0;
        const char *end = strrchr(text, ')');
        return end != nullptr && end[1] == ' ' && end[2] == 'S';
    }

  private:
    int file_;
};

/* Threads that fill a frame each and stand still, round after round.
 *
 * At a barrier they spin for a while before they sleep. With more threads than cores they would
 * push the one that is measured off its core meanwhile, and its clock would show their waiting
 * instead of the call: so each round goes on only once all of them are asleep at the next barrier.
 * Nothing is left out of what is measured by that: the call neither wakes nor awaits anybody. */
class Crew {
  public:
    Crew(fa_allocator *allocator, size_t threads, size_t allocations)
        : allocator_(allocator), allocations_(allocations), numbers_(threads) {
        if (fa_barrier_create(allocator, threads + 1, &barrier_) != FA_OK ||
            fa_barrier_join(barrier_) != FA_OK)
            throw std::runtime_error("can't create a barrier");
        for (size_t i = 0; i < threads; i++)
            threads_.emplace_back([this, i] { work(i); });
        meet();
        for (long number : numbers_)
            sleeps_.push_back(std::make_unique<Sleep>(number));
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

    /* All have filled a frame, and sleep. */
    void fill() {
        filled_.store(0, std::memory_order_relaxed);
        meet();
        while (filled_.load(std::memory_order_acquire) != threads_.size())
            rest();
        for (const auto &sleep : sleeps_)
            while (!sleep->is_on())
                rest();
    }

  private:
    void meet() { (void)fa_barrier_signal_and_wait(barrier_); }
    static void rest() { std::this_thread::sleep_for(std::chrono::microseconds(20)); }

    void work(size_t index) {
        (void)fa_barrier_join(barrier_);
        numbers_[index] = syscall(SYS_gettid);
        meet();
        for (meet(); !ended_; meet()) {
            fa_frame *frame = fa_frame_begin(allocator_);
            for (size_t i = 0; i < allocations_; i++)
                bench::keep(fa_frame_alloc_in(frame, 64));
            /* From here on it sleeps nowhere but at the barrier. */
            filled_.fetch_add(1, std::memory_order_release);
        }
        (void)fa_barrier_leave(barrier_);
    }

    fa_allocator *allocator_;
    size_t allocations_;
    fa_barrier *barrier_ = nullptr;
    bool ended_ = false; /* written before a meeting */
    std::atomic<size_t> filled_{0};
    std::vector<long> numbers_; /* of the threads, to the kernel */
    std::vector<std::unique_ptr<Sleep>> sleeps_;
    std::vector<std::thread> threads_;
};

/* The call alone: the threads' work is not measured. */
void end_all_loop(benchmark::State &state, fa_allocator *allocator, size_t threads,
                  size_t allocations) {
    Crew crew(allocator, threads, allocations);
    for (auto _ : state) {
        crew.fill();
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
                ->Iterations(1000);
    }
}

bench::MoreMicros more(register_timelines);

} // namespace
