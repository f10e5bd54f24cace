/* A cache as it is often written by hand: a map, a list by last use, a mutex around both. It knows
 * neither priorities nor pins nor loads under way. */
#include "bench/micro_stream.hpp"

#include <cstdlib>
#include <list>
#include <mutex>
#include <unordered_map>

namespace {

class LruCache {
  public:
    LruCache(const std::string &, size_t bytes) : bytes_max_(bytes) {}
    LruCache(const LruCache &) = delete;
    LruCache &operator=(const LruCache &) = delete;
    ~LruCache() {
        for (auto &entry : entries_)
            std::free(entry.second.block);
    }

    uint64_t load(size_t size) {
        std::lock_guard<std::mutex> guard(mutex_);
        while (used_ + size > bytes_max_)
            erase(order_.back());
        void *block = std::malloc(size);
        bench::keep(block);
        if (block == nullptr)
            return 0;
        used_ += size;
        order_.push_front(++newest_);
        entries_[newest_] = {block, size, order_.begin()};
        return newest_;
    }
    void *access(uint64_t id) {
        std::lock_guard<std::mutex> guard(mutex_);
        auto found = entries_.find(id);
        if (found == entries_.end())
            return nullptr;
        order_.splice(order_.begin(), order_, found->second.place);
        return found->second.block;
    }
    void release(uint64_t id) {
        std::lock_guard<std::mutex> guard(mutex_);
        if (entries_.count(id) != 0)
            erase(id);
    }

  private:
    struct Entry {
        void *block;
        size_t size;
        std::list<uint64_t>::iterator place;
    };

    void erase(uint64_t id) {
        auto found = entries_.find(id);
        std::free(found->second.block);
        used_ -= found->second.size;
        order_.erase(found->second.place);
        entries_.erase(found);
    }

    std::mutex mutex_;
    std::unordered_map<uint64_t, Entry> entries_;
    std::list<uint64_t> order_; /* the newest use first */
    size_t used_ = 0, bytes_max_;
    uint64_t newest_ = 0;
};

bench::MoreMicros more(bench::register_streams<LruCache>);

} // namespace
