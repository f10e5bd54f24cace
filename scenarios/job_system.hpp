/* A small job system: a fixed set of threads works through a graph of jobs, one run after the
 * other. Just what scenario "jobs" needs.
 *
 * A graph is made once: jobs, and which of them wait for which. A run sets each job's counter to
 * the number of jobs that it waits for; who takes the last one off makes the job ready. Each thread
 * has a deque of ready jobs: it works at one end, and thieves take from the other one. The thread
 * that calls run takes part; the others sleep between runs. Nothing is allocated in a run.
 *
 * The deque is that of Chase and Lev (Dynamic Circular Work-Stealing Deque, 2005) with the memory
 * orders of Lê, Pop, Cohen and Zappa Nardelli (Correct and Efficient Work-Stealing for Weak Memory
 * Models, 2013), where it is proved. It does not grow: it has room for all jobs of a graph. Their
 * fences are sequentially consistent operations here, because ThreadSanitizer knows no fences. */
#ifndef FA_SCENARIOS_JOB_SYSTEM_HPP
#define FA_SCENARIOS_JOB_SYSTEM_HPP

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

namespace scenarios {

/* Jobs by number. The owner pushes and takes, everybody steals. */
class JobDeque {
  public:
    static constexpr uint32_t kNone = UINT32_MAX;

    /* Room for so many jobs at a time. While nobody uses the deque. */
    void reserve(size_t count) {
        size_t capacity = 16;
        while (capacity < count)
            capacity *= 2;
        if (capacity <= capacity_)
            return;
        slots_ = std::make_unique<std::atomic<uint32_t>[]>(capacity);
        capacity_ = capacity;
    }
    void push(uint32_t job) {
        int64_t bottom = bottom_.load(std::memory_order_relaxed);
        slot(bottom).store(job, std::memory_order_relaxed);
        /* Who sees the job in the deque also sees what was done before it was pushed. */
        bottom_.store(bottom + 1, std::memory_order_release);
    }
    /* The newest one, or kNone. */
    uint32_t take() {
        int64_t bottom = bottom_.load(std::memory_order_relaxed) - 1;
        /* Store and load in one order with the two loads of a thief: one of the two sides sees that
         * both want the same job. */
        bottom_.store(bottom, std::memory_order_seq_cst);
        int64_t top = top_.load(std::memory_order_seq_cst);
        uint32_t job = kNone;
        if (top < bottom)
            return slot(bottom).load(std::memory_order_relaxed);
        if (top == bottom) {
            /* The last one: who moves top has it. */
            job = slot(bottom).load(std::memory_order_relaxed);
            if (!top_.compare_exchange_strong(top, top + 1, std::memory_order_seq_cst,
                                              std::memory_order_relaxed))
                job = kNone;
        }
        bottom_.store(bottom + 1, std::memory_order_relaxed);
        return job;
    }
    /* The oldest one; kNone also when somebody else was faster. */
    uint32_t steal() {
        int64_t top = top_.load(std::memory_order_seq_cst);
        int64_t bottom = bottom_.load(std::memory_order_seq_cst);
        if (top >= bottom)
            return kNone;
        uint32_t job = slot(top).load(std::memory_order_relaxed);
        if (!top_.compare_exchange_strong(top, top + 1, std::memory_order_seq_cst,
                                          std::memory_order_relaxed))
            return kNone;
        return job;
    }

  private:
    std::atomic<uint32_t> &slot(int64_t place) {
        return slots_[static_cast<size_t>(place) & (capacity_ - 1)];
    }
    alignas(64) std::atomic<int64_t> top_{0};
    alignas(64) std::atomic<int64_t> bottom_{0};
    std::unique_ptr<std::atomic<uint32_t>[]> slots_;
    size_t capacity_ = 0;
};

/* worker: 0 for the thread that called run, else 1 to one less than the number of threads. */
using JobFunction = void (*)(void *context, uint32_t index, unsigned worker);

/* Jobs and their order. */
class JobGraph {
  public:
    /* Adds a job that will be called with context and index; returns its number. */
    uint32_t add(JobFunction function, void *context, uint32_t index) {
        jobs_.push_back({function, context, index, 0, {}});
        return static_cast<uint32_t>(jobs_.size() - 1);
    }
    /* `after` waits for `before`. Jobs must not wait for each other in a circle. */
    void order(uint32_t before, uint32_t after) {
        jobs_.at(before).successors.push_back(after);
        jobs_.at(after).wait_count++;
    }
    size_t size() const { return jobs_.size(); }

  private:
    friend class JobSystem;
    struct Job {
        JobFunction function;
        void *context;
        uint32_t index;
        uint32_t wait_count; /* jobs that it waits for */
        std::vector<uint32_t> successors;
    };
    std::vector<Job> jobs_;
};

class JobSystem {
  public:
    static constexpr unsigned kThreadsMax = 64;

    /* Starts thread_count - 1 threads; room for graphs of job_count jobs. */
    JobSystem(unsigned thread_count, size_t job_count)
        : thread_count_(thread_count), job_count_max_(job_count) {
        if (thread_count < 1 || thread_count > kThreadsMax)
            throw std::invalid_argument("job system: 1 to 64 threads");
        open_ = std::make_unique<std::atomic<uint32_t>[]>(job_count);
        deques_ = std::make_unique<JobDeque[]>(thread_count);
        for (unsigned i = 0; i < thread_count; i++)
            deques_[i].reserve(job_count);
        try {
            for (unsigned i = 1; i < thread_count; i++)
                threads_.emplace_back([this, i] { serve(i); });
        } catch (...) {
            stop();
            throw;
        }
    }
    JobSystem(const JobSystem &) = delete;
    JobSystem &operator=(const JobSystem &) = delete;
    ~JobSystem() { stop(); }

    unsigned thread_count() const { return thread_count_; }

    /* Runs all jobs of a graph; returns when every thread is done. Each thread first calls enter
     * for itself (index 0), unless that is nullptr. What was done before run is seen by all jobs,
     * what a job did is seen by those that wait for it and after run.
     * When enter or a job throws, no further job is called, and run throws the first exception. */
    void run(const JobGraph &graph, JobFunction enter, void *context) {
        if (graph.size() > job_count_max_)
            throw std::invalid_argument("job system: too many jobs");
        graph_ = &graph;
        enter_ = enter;
        context_ = context;
        failed_.store(false, std::memory_order_relaxed);
        left_.store(static_cast<uint32_t>(graph.size()), std::memory_order_relaxed);
        arrived_.store(0, std::memory_order_relaxed);
        for (uint32_t i = 0; i < graph.size(); i++)
            open_[i].store(graph.jobs_[i].wait_count, std::memory_order_relaxed);
        /* Backwards: the owner takes the newest first. */
        for (auto i = static_cast<uint32_t>(graph.size()); i-- > 0;)
            if (graph.jobs_[i].wait_count == 0)
                deques_[0].push(i);
        wake();
        work(0);
        /* The barrier at the end: of each other thread all that it did is seen from here on. */
        for (unsigned turn = 0; arrived_.load(std::memory_order_acquire) != thread_count_ - 1;)
            pause(turn++);
        if (failed_.load(std::memory_order_relaxed))
            std::rethrow_exception(std::exchange(exception_, nullptr));
    }

  private:
    void wake() {
        if (thread_count_ == 1)
            return;
        {
            std::lock_guard<std::mutex> lock(mutex_);
            generation_++;
        }
        wake_.notify_all();
    }
    void stop() {
        stopping_ = true;
        {
            std::lock_guard<std::mutex> lock(mutex_);
            generation_++;
        }
        wake_.notify_all();
        for (std::thread &thread : threads_)
            thread.join();
    }
    void serve(unsigned worker) {
        for (uint64_t seen = 0;;) {
            {
                std::unique_lock<std::mutex> lock(mutex_);
                wake_.wait(lock, [&] { return generation_ != seen; });
                seen = generation_;
            }
            if (stopping_)
                return;
            work(worker);
            arrived_.fetch_add(1, std::memory_order_acq_rel);
        }
    }
    /* Spins for some microseconds, then lets others have the core: there may be more threads than
     * cores. */
    static void pause(unsigned turn) {
#ifdef __x86_64__
        if (turn < 256)
            return __builtin_ia32_pause();
#endif
        if (turn >= 256)
            std::this_thread::yield();
    }
    void work(unsigned worker) {
        if (enter_)
            guarded(enter_, context_, 0, worker);
        unsigned turn = 0, victim = worker;
        while (left_.load(std::memory_order_acquire) != 0) {
            uint32_t job = deques_[worker].take();
            for (unsigned i = 1; job == JobDeque::kNone && i < thread_count_; i++) {
                victim = victim + 1 < thread_count_ ? victim + 1 : 0;
                if (victim != worker)
                    job = deques_[victim].steal();
            }
            if (job == JobDeque::kNone) {
                pause(turn++);
                continue;
            }
            turn = 0;
            finish(job, worker);
        }
    }
    void finish(uint32_t number, unsigned worker) {
        const JobGraph::Job &job = graph_->jobs_[number];
        guarded(job.function, job.context, job.index, worker);
        for (uint32_t next : job.successors)
            /* Release: what this job did is seen by who makes the next one ready; acquire: so are
             * the others that it waited for. */
            if (open_[next].fetch_sub(1, std::memory_order_acq_rel) == 1)
                deques_[worker].push(next);
        left_.fetch_sub(1, std::memory_order_acq_rel);
    }
    void guarded(JobFunction function, void *context, uint32_t index, unsigned worker) {
        if (failed_.load(std::memory_order_relaxed))
            return;
        try {
            function(context, index, worker);
        } catch (...) {
            std::lock_guard<std::mutex> lock(mutex_);
            if (!failed_.load(std::memory_order_relaxed))
                exception_ = std::current_exception();
            failed_.store(true, std::memory_order_relaxed);
        }
    }

    const unsigned thread_count_;
    const size_t job_count_max_;
    std::unique_ptr<std::atomic<uint32_t>[]> open_; /* of each job: what it still waits for */
    std::unique_ptr<JobDeque[]> deques_;            /* one for each thread */
    std::vector<std::thread> threads_;
    /* Written between runs, before wake. */
    const JobGraph *graph_ = nullptr;
    JobFunction enter_ = nullptr;
    void *context_ = nullptr;
    bool stopping_ = false;
    alignas(64) std::atomic<uint32_t> left_{0};    /* jobs that are not done */
    alignas(64) std::atomic<uint32_t> arrived_{0}; /* threads but the first that are done */
    alignas(64) std::atomic<bool> failed_{false};
    std::mutex mutex_; /* for what follows */
    std::condition_variable wake_;
    uint64_t generation_ = 0;
    std::exception_ptr exception_;
};

} // namespace scenarios

#endif
