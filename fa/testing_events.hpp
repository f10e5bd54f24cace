// What the tests of events share: somebody who listens, and somebody who keeps a list of blocks.
#ifndef FA_TESTING_EVENTS_HPP
#define FA_TESTING_EVENTS_HPP

#include "fa/testing_threads.hpp"

#include <ctime>
#include <map>
#include <mutex>
#include <set>

namespace fa_testing {

// Keeps what it hears. Unsubscribe, or destroy the allocator, first.
class Heard {
  public:
    static void Hear(void *user, const fa_events_item *item) {
        Heard *heard = static_cast<Heard *>(user);
        std::lock_guard<std::mutex> lock(heard->mutex_);
        heard->all_.push_back(*item);
    }
    fa_events_id Subscribe(fa_allocator *allocator, fa_events_config config) {
        fa_events_id id = {};
        config.function = Hear;
        config.user = this;
        EXPECT_EQ(fa_events_subscribe(allocator, &config, &id), FA_OK);
        return id;
    }
    fa_events_id Subscribe(fa_allocator *allocator, uint32_t kinds) {
        fa_events_config config = {};
        config.kinds = kinds;
        return Subscribe(allocator, config);
    }
    std::vector<fa_events_item> All() const {
        std::lock_guard<std::mutex> lock(mutex_);
        return all_;
    }
    size_t Count(fa_events_kind kind) const {
        size_t count = 0;
        for (const fa_events_item &item : All())
            count += item.kind == kind;
        return count;
    }
    void Clear() {
        std::lock_guard<std::mutex> lock(mutex_);
        all_.clear();
    }

  private:
    mutable std::mutex mutex_;
    std::vector<fa_events_item> all_;
};

// Which blocks are alive, by what is told.
struct Ledger {
    std::map<const void *, size_t> live;
    size_t unknown_frees = 0, twice = 0, other_bytes = 0;

    void Add(const fa_events_item &item) {
        if (item.kind == FA_EVENTS_ALLOC) {
            twice += !live.emplace(item.address, item.bytes).second;
        } else if (item.kind == FA_EVENTS_FREE) {
            auto at = live.find(item.address);
            unknown_frees += at == live.end();
            other_bytes += at != live.end() && at->second != item.bytes;
            if (at != live.end())
                live.erase(at);
        }
    }
};

inline void ExpectBlock(const fa_events_item &item, fa_events_kind kind, const void *address,
                        size_t size) {
    EXPECT_EQ(item.kind, kind);
    EXPECT_EQ(item.address, address);
    EXPECT_EQ(item.size, size);
}

inline void RunFrame(fa_allocator *allocator, size_t allocations) {
    fa_frame *frame = fa_frame_begin(allocator);
    ASSERT_NE(frame, nullptr);
    for (size_t i = 0; i < allocations; i++)
        ASSERT_NE(fa_frame_alloc_in(frame, 32), nullptr);
    ASSERT_EQ(fa_frame_end_in(frame), FA_OK);
}

inline size_t Subscribers(fa_allocator *allocator) {
    fa_events_stats stats;
    EXPECT_EQ(fa_events_stats_get(allocator, &stats), FA_OK);
    return stats.subscriber_count;
}

// The clock of events.
inline uint64_t Now() {
    timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return static_cast<uint64_t>(time.tv_sec) * 1000000000u + static_cast<uint64_t>(time.tv_nsec);
}

} // namespace fa_testing

#endif
