// What tests of frees across threads share.
#ifndef FA_TESTING_DEFERRED_HPP
#define FA_TESTING_DEFERRED_HPP

#include "fa/fa.h"

#include <condition_variable>
#include <functional>
#include <mutex>
#include <vector>

#include "fa/testing_threads.hpp"

namespace fa_testing {

// With checks or a sanitizer nothing waits anywhere.
inline bool Waits(fa_allocator *allocator) {
    return !kAsan && fa_allocator_config(allocator)->checks == 0;
}

// A thread that does what it is told, one thing after the other.
class Worker {
  public:
    Worker() : thread_([this] { Run(); }) {}
    ~Worker() {
        Do(nullptr);
        thread_.join();
    }
    void Do(std::function<void()> work) {
        std::unique_lock<std::mutex> lock(mutex_);
        work_ = std::move(work);
        has_work_ = true;
        changed_.notify_all();
        changed_.wait(lock, [this] { return !has_work_; });
    }

  private:
    void Run() {
        std::unique_lock<std::mutex> lock(mutex_);
        for (bool goes_on = true; goes_on;) {
            changed_.wait(lock, [this] { return has_work_; });
            goes_on = work_ != nullptr;
            if (goes_on)
                work_();
            has_work_ = false;
            changed_.notify_all();
        }
    }
    std::mutex mutex_;
    std::condition_variable changed_;
    bool has_work_ = false;
    std::function<void()> work_;
    std::thread thread_;
};

inline std::vector<void *> Take(fa_allocator *allocator, size_t count, size_t size = 64) {
    std::vector<void *> blocks(count);
    EXPECT_EQ(fa_pool_alloc_batch(allocator, size, count, blocks.data()), FA_OK);
    return blocks;
}

inline void Free(fa_allocator *allocator, const std::vector<void *> &blocks) {
    for (void *block : blocks)
        fa_pool_free(allocator, block);
}

inline fa_deferred_stats Deferred(fa_allocator *allocator) {
    fa_deferred_stats stats;
    EXPECT_EQ(fa_deferred_stats_get(allocator, &stats), FA_OK);
    return stats;
}

inline fa_deferred_stats Here(fa_allocator *allocator) {
    fa_deferred_stats stats;
    EXPECT_EQ(fa_deferred_stats_here(allocator, &stats), FA_OK);
    return stats;
}

} // namespace fa_testing

#endif
