// What the tests of streams share.
#ifndef FA_TESTING_STREAMS_HPP
#define FA_TESTING_STREAMS_HPP

#include "fa/testing_threads.hpp"

namespace fa_testing {

constexpr size_t kKiB = 1024;

struct Evicted {
    fa_stream stream;
    void *item;
    size_t size;
    fa_stream_priority priority;
    fa_evict_cause cause;
};

// An allocator with streams of 100 KiB, whose evictions are kept. P: its checks.
class Stream : public testing::TestWithParam<uint32_t> {
  protected:
    Events events_;
    Source source_;
    fa_alloc_config config_ = Plain();
    fa_streams_config streams_config_ = fa_streams_config_default();
    fa_allocator *allocator_ = nullptr;
    fa_streams *streams_ = nullptr;
    std::vector<Evicted> evicted_;
    std::function<void(const fa_eviction &)> body_;

    Stream() {
        config_.checks = GetParam();
        config_.backends[0] = source_.backend;
        events_.Watch(&config_);
        streams_config_.bytes_max = 100 * kKiB;
        streams_config_.on_evict = [](void *user, const fa_eviction *eviction) {
            Stream *self = static_cast<Stream *>(user);
            self->evicted_.push_back({eviction->stream, eviction->item, eviction->size,
                                      eviction->priority, eviction->cause});
            if (self->body_)
                self->body_(*eviction);
        };
        streams_config_.on_evict_user = this;
    }
    void Create() {
        ASSERT_EQ(fa_allocator_create(&config_, &allocator_), FA_OK);
        ASSERT_EQ(fa_streams_create(allocator_, &streams_config_, &streams_), FA_OK);
    }
    void TearDown() override {
        if (allocator_ == nullptr)
            return;
        Check();
        EXPECT_EQ(fa_streams_destroy(streams_), 0u);
        ExpectValid(allocator_);
        EXPECT_EQ(fa_allocator_destroy(allocator_), 0u);
        EXPECT_EQ(source_.BytesLive(), 0u);
    }
    fa_streams_stats StatsOf() {
        fa_streams_stats stats;
        EXPECT_EQ(fa_streams_stats_get(streams_, &stats), FA_OK);
        return stats;
    }
    void Check() {
        ExpectValid(allocator_);
        const fa_streams_stats s = StatsOf();
        EXPECT_EQ(s.used_bytes, s.reserved_bytes + s.loading_bytes + s.ready_bytes +
                                    s.evicting_bytes + s.claimed_bytes);
        EXPECT_LE(s.used_bytes, s.used_bytes_peak);
        EXPECT_EQ(s.count, s.reserved_count + s.loading_count + s.ready_count + s.evicting_count);
        EXPECT_EQ(s.reserve_count, s.count + s.evict_count + s.release_count);
        EXPECT_LE(s.pinned_bytes, s.ready_bytes);
        EXPECT_GE(s.loaded_bytes, s.ready_bytes);
    }
    fa_stream Reserve(size_t size, fa_stream_priority priority = FA_STREAM_NORMAL,
                      void *item = nullptr) {
        return fa_stream_reserve(streams_, size, 16, priority, item);
    }
    fa_stream Load(size_t size, fa_stream_priority priority = FA_STREAM_NORMAL,
                   void *item = nullptr) {
        const fa_stream stream = Reserve(size, priority, item);
        if (stream == FA_STREAM_NONE)
            return stream;
        void *block = fa_stream_begin(streams_, stream);
        EXPECT_NE(block, nullptr);
        if (block != nullptr)
            Paint(block, stream, size);
        EXPECT_EQ(fa_stream_finish(streams_, stream), FA_OK);
        return stream;
    }
    fa_stream_info Info(fa_stream stream) {
        fa_stream_info info;
        (void)fa_stream_get(streams_, stream, &info);
        return info;
    }
    fa_stream_state State(fa_stream stream) { return Info(stream).state; }
    size_t Count(fa_diag diag) const { return events_.Count(diag); }
    std::vector<fa_stream> Gone() const {
        std::vector<fa_stream> gone;
        for (const Evicted &each : evicted_)
            gone.push_back(each.stream);
        return gone;
    }
    // The call is misuse: one event, nothing else changes.
    template <class F> void Misuse(fa_status expected, F call) {
        const size_t before = Count(FA_DIAG_FA630);
        EXPECT_EQ(call(), expected);
        EXPECT_EQ(Count(FA_DIAG_FA630), before + 1);
        EXPECT_EQ(fa_last_error().diag, FA_DIAG_FA630);
        EXPECT_EQ(fa_last_error().status, expected);
        Check();
    }
    // The call is a question, whose answer is no.
    template <class F> void Answer(fa_status expected, F call) {
        const size_t before = events_.all.size();
        EXPECT_EQ(call(), expected);
        EXPECT_EQ(events_.all.size(), before);
    }
};

} // namespace fa_testing

#endif
