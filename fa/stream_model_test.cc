// Random calls against a ledger that knows every stream, in which order they were used, and who has
// to go; and with the backend failing at each of its calls.
#include "fa/testing.hpp"

#include <algorithm>
#include <map>

using namespace fa_testing;

namespace {

struct Entry {
    size_t size = 0;
    size_t align = 0;
    fa_stream_priority priority = FA_STREAM_LOW;
    fa_stream_state state = FA_STREAM_GONE;
    bool released = false; // while it was loading
    size_t loaded = 0, pins = 0;
    uint64_t used = 0, frame = 0;
    unsigned char *block = nullptr;
};

class Model {
  public:
    Model(fa_allocator *allocator, Random *random, size_t budget, uint32_t frames_kept,
          bool may_fail)
        : random_(random), allocator_(allocator), budget_(budget), frames_kept_(frames_kept),
          may_fail_(may_fail) {
        fa_streams_config config = fa_streams_config_default();
        config.bytes_max = budget;
        config.frames_kept = frames_kept;
        config.on_evict = [](void *user, const fa_eviction *eviction) {
            static_cast<Model *>(user)->OnEvict(*eviction);
        };
        config.on_evict_user = this;
        const fa_status status = fa_streams_create(allocator, &config, &streams_);
        EXPECT_TRUE(status == FA_OK || may_fail) << fa_status_name(status);
    }
    bool IsMade() const { return streams_ != nullptr; }

    void Step() {
        switch (random_->Below(16)) {
        case 0:
        case 1:
        case 2:
            return Reserve();
        case 3:
        case 4:
        case 5:
            return Begin();
        case 6:
        case 7:
        case 8:
            return Finish();
        case 9:
            return Progress();
        case 10:
        case 11:
            return Access();
        case 12:
            return Pin();
        case 13:
            return Unpin();
        case 14:
            return random_->OneIn(2) ? Release() : Cancel();
        default:
            return Rarely();
        }
    }

    void Check() {
        ExpectValid(allocator_);
        fa_streams_stats s;
        EXPECT_EQ(fa_streams_stats_get(streams_, &s), FA_OK);
        size_t bytes[FA_STREAM_STATE_COUNT] = {}, count[FA_STREAM_STATE_COUNT] = {};
        size_t pinned = 0, loaded = 0;
        for (const auto &[id, entry] : live_) {
            bytes[entry.state] += entry.size;
            count[entry.state]++;
            pinned += entry.pins != 0 ? entry.size : 0;
            loaded += entry.state == FA_STREAM_EVICTING ? 0 : entry.loaded;
            fa_stream_info info;
            ASSERT_EQ(fa_stream_get(streams_, id, &info), FA_OK);
            EXPECT_EQ(info.state, entry.state);
            EXPECT_EQ(info.size, entry.size);
            EXPECT_EQ(info.priority, entry.priority);
            EXPECT_EQ(info.pin_count, entry.pins);
            if (entry.state != FA_STREAM_EVICTING) {
                EXPECT_EQ(info.loaded, entry.loaded);
            }
        }
        EXPECT_EQ(s.reserved_bytes, bytes[FA_STREAM_RESERVED]);
        EXPECT_EQ(s.loading_bytes, bytes[FA_STREAM_LOADING]);
        EXPECT_EQ(s.ready_bytes, bytes[FA_STREAM_READY]);
        EXPECT_EQ(s.evicting_bytes, bytes[FA_STREAM_EVICTING]);
        EXPECT_EQ(s.claimed_bytes, 0u);
        EXPECT_EQ(s.used_bytes, Used());
        EXPECT_EQ(s.count, live_.size());
        EXPECT_EQ(s.reserved_count, count[FA_STREAM_RESERVED]);
        EXPECT_EQ(s.loading_count, count[FA_STREAM_LOADING]);
        EXPECT_EQ(s.ready_count, count[FA_STREAM_READY]);
        EXPECT_EQ(s.evicting_count, count[FA_STREAM_EVICTING]);
        EXPECT_EQ(s.pinned_bytes, pinned);
        EXPECT_EQ(s.loaded_bytes, loaded);
        EXPECT_EQ(s.reserve_count, s.count + s.evict_count + s.release_count);
        EXPECT_EQ(s.evict_count, evict_count_);
        EXPECT_EQ(s.hit_count, hits_);
        EXPECT_EQ(s.miss_count, misses_);
    }

    // Ends the loads and pins, and the streams with whatever is left.
    void EndAll() {
        for (auto it = live_.begin(); it != live_.end();) {
            const fa_stream id = it->first;
            Entry &entry = it->second;
            ++it;
            for (; entry.pins != 0; entry.pins--)
                EXPECT_EQ(fa_stream_unpin(streams_, id), FA_OK);
            if (entry.state == FA_STREAM_LOADING || entry.state == FA_STREAM_EVICTING) {
                EXPECT_EQ(fa_stream_cancel(streams_, id), FA_OK);
            }
        }
        destroying_ = true;
        EXPECT_EQ(fa_streams_destroy(streams_), 0u);
        ExpectValid(allocator_);
    }

  private:
    using Live = std::map<fa_stream, Entry>;

    size_t Used() const {
        size_t used = 0;
        for (const auto &[id, entry] : live_)
            used += entry.size;
        return used;
    }
    bool MayGo(const Entry &entry) const {
        return entry.state == FA_STREAM_READY && entry.pins == 0 &&
               entry.priority != FA_STREAM_CRITICAL && frame_ - entry.frame >= frames_kept_;
    }
    // Those that must go, in order, so that `bytes` are gained; empty when it can't be.
    std::vector<fa_stream> Victims(size_t bytes, fa_stream_priority most) const {
        std::vector<std::pair<std::pair<int, uint64_t>, fa_stream>> order;
        for (const auto &[id, entry] : live_)
            if (MayGo(entry) && entry.priority <= most)
                order.push_back({{entry.priority, entry.used}, id});
        std::sort(order.begin(), order.end());
        std::vector<fa_stream> victims;
        size_t found = 0;
        for (const auto &[key, id] : order) {
            if (found >= bytes)
                break;
            victims.push_back(id);
            found += live_.at(id).size;
        }
        return found >= bytes ? victims : std::vector<fa_stream>();
    }
    // What was evicted is what was expected to be.
    void Forget(const std::vector<fa_stream> &expected) {
        EXPECT_EQ(evicted_, expected);
        for (fa_stream id : evicted_) {
            live_.erase(id);
            gone_.push_back(id);
        }
        evict_count_ += evicted_.size();
        evicted_.clear();
    }
    void OnEvict(const fa_eviction &eviction) {
        if (destroying_)
            return;
        const auto it = live_.find(eviction.stream);
        ASSERT_NE(it, live_.end());
        EXPECT_EQ(eviction.block, it->second.block);
        EXPECT_TRUE(IsPainted(eviction.block, eviction.stream, eviction.size));
        evicted_.push_back(eviction.stream);
    }
    void Use(Entry *entry) {
        entry->used = ++tick_;
        entry->frame = frame_;
    }
    Live::iterator Any() {
        return live_.empty()
                   ? live_.end()
                   : std::next(live_.begin(), static_cast<ptrdiff_t>(random_->Below(live_.size())));
    }
    Live::iterator Any(fa_stream_state state) {
        for (int tries = 0; tries < 10; tries++) {
            auto it = Any();
            if (it == live_.end() || it->second.state == state)
                return it;
        }
        return live_.end();
    }
    // An id that is gone must stay so.
    void AskForOneThatIsGone() {
        if (gone_.empty())
            return;
        const fa_stream id = gone_[random_->Below(gone_.size())];
        EXPECT_EQ(fa_stream_access(streams_, id), nullptr);
        misses_++;
    }

    void Reserve() {
        const size_t size = random_->Size(budget_ / 3), align = size_t{1} << random_->Below(9);
        const auto priority =
            static_cast<fa_stream_priority>(random_->Below(random_->OneIn(8) ? 4 : 3));
        const size_t used = Used();
        const size_t missing = used + size > budget_ ? used + size - budget_ : 0;
        const std::vector<fa_stream> victims =
            missing == 0 ? std::vector<fa_stream>() : Victims(missing, priority);
        const bool fits = missing == 0 || !victims.empty();
        const fa_stream id = fa_stream_reserve(streams_, size, align, priority, nullptr);
        if (id == FA_STREAM_NONE) {
            EXPECT_TRUE(!fits || may_fail_);
            return Forget({});
        }
        EXPECT_TRUE(fits);
        Forget(victims);
        Entry entry;
        entry.size = size;
        entry.align = align;
        entry.priority = priority;
        entry.state = FA_STREAM_RESERVED;
        EXPECT_TRUE(live_.emplace(id, entry).second);
        EXPECT_EQ(std::count(gone_.begin(), gone_.end(), id), 0);
    }
    void Begin() {
        auto it = Any(FA_STREAM_RESERVED);
        if (it == live_.end())
            return;
        void *block = fa_stream_begin(streams_, it->first);
        if (block == nullptr) {
            EXPECT_TRUE(may_fail_);
            return;
        }
        EXPECT_TRUE(IsAligned(block, it->second.align));
        it->second.block = static_cast<unsigned char *>(block);
        it->second.state = FA_STREAM_LOADING;
        Paint(block, it->first, it->second.size);
    }
    // Of a load: whether it was released meanwhile.
    Live::iterator AnyLoad() {
        auto it = Any(FA_STREAM_EVICTING);
        return it != live_.end() && random_->OneIn(2) ? it : Any(FA_STREAM_LOADING);
    }
    void End(Live::iterator it) {
        gone_.push_back(it->first);
        live_.erase(it);
    }
    void Finish() {
        auto it = AnyLoad();
        if (it == live_.end())
            return;
        const bool released = it->second.state == FA_STREAM_EVICTING;
        EXPECT_EQ(fa_stream_finish(streams_, it->first), released ? FA_ERROR_FOREIGN : FA_OK);
        if (released)
            return End(it);
        it->second.state = FA_STREAM_READY;
        it->second.loaded = it->second.size;
        Use(&it->second);
    }
    void Cancel() {
        auto it = AnyLoad();
        if (it == live_.end())
            return;
        EXPECT_EQ(fa_stream_cancel(streams_, it->first), FA_OK);
        if (it->second.state == FA_STREAM_EVICTING)
            return End(it);
        it->second.state = FA_STREAM_RESERVED;
        it->second.loaded = 0;
    }
    void Progress() {
        auto it = Any(FA_STREAM_LOADING);
        if (it == live_.end())
            return;
        const size_t bytes = random_->Below(it->second.size * 2);
        EXPECT_EQ(fa_stream_progress(streams_, it->first, bytes), FA_OK);
        it->second.loaded = std::max(it->second.loaded, std::min(bytes, it->second.size));
    }
    void Access() {
        auto it = Any();
        if (it == live_.end() || random_->OneIn(10))
            return AskForOneThatIsGone();
        const bool ready = it->second.state == FA_STREAM_READY;
        if (random_->OneIn(3)) {
            EXPECT_EQ(fa_stream_touch(streams_, it->first), ready);
        } else {
            EXPECT_EQ(fa_stream_access(streams_, it->first), ready ? it->second.block : nullptr);
        }
        (ready ? hits_ : misses_)++;
        if (ready)
            Use(&it->second);
    }
    void Pin() {
        auto it = Any(FA_STREAM_READY);
        if (it == live_.end())
            return;
        EXPECT_EQ(fa_stream_pin(streams_, it->first), it->second.block);
        it->second.pins++;
        hits_++;
        Use(&it->second);
    }
    void Unpin() {
        for (auto &[id, entry] : live_)
            if (entry.pins != 0 && random_->OneIn(2)) {
                EXPECT_EQ(fa_stream_unpin(streams_, id), FA_OK);
                entry.pins--;
                Use(&entry);
            }
    }
    void Release() {
        auto it = Any();
        if (it == live_.end() || it->second.pins != 0 || it->second.state == FA_STREAM_EVICTING)
            return;
        if (it->second.state == FA_STREAM_READY) {
            EXPECT_TRUE(IsPainted(it->second.block, it->first, it->second.size));
        }
        EXPECT_EQ(fa_stream_release(streams_, it->first), FA_OK);
        if (it->second.state == FA_STREAM_LOADING)
            it->second.state = FA_STREAM_EVICTING;
        else
            End(it);
    }
    void Rarely() {
        auto it = Any();
        switch (random_->Below(4)) {
        case 0:
            frame_++;
            EXPECT_EQ(fa_streams_advance(streams_), frame_);
            break;
        case 1:
            if (it != live_.end() && it->second.state != FA_STREAM_EVICTING) {
                it->second.priority = static_cast<fa_stream_priority>(random_->Below(4));
                EXPECT_EQ(fa_stream_set_priority(streams_, it->first, it->second.priority), FA_OK);
            }
            break;
        case 2:
            Trim(random_->Below(budget_));
            break;
        default:
            budget_ = 20000 + random_->Below(200000);
            const bool fits = Trims(budget_);
            EXPECT_EQ(fa_streams_set_budget(streams_, budget_), fits ? FA_OK : FA_ERROR_LIMIT);
            Forget(trims_);
        }
    }
    // Fills trims_ with those that go for a target; false when it is not reached.
    bool Trims(size_t target) {
        trims_.clear();
        const size_t used = Used();
        if (used <= target)
            return true;
        trims_ = Victims(used - target, FA_STREAM_HIGH);
        if (!trims_.empty())
            return true;
        size_t all = 0; // as many as may go
        for (const auto &[id, entry] : live_)
            all += MayGo(entry) ? entry.size : 0;
        if (all != 0)
            trims_ = Victims(all, FA_STREAM_HIGH);
        return false;
    }
    void Trim(size_t target) {
        Trims(target);
        size_t bytes = 0;
        for (fa_stream id : trims_)
            bytes += live_.at(id).size;
        EXPECT_EQ(fa_streams_trim(streams_, target, 0, 0), bytes);
        Forget(trims_);
    }

    Random *random_;
    fa_allocator *allocator_;
    size_t budget_;
    uint32_t frames_kept_;
    bool may_fail_;
    fa_streams *streams_ = nullptr;
    Live live_;
    std::vector<fa_stream> gone_, evicted_, trims_;
    uint64_t tick_ = 0, frame_ = 1;
    size_t evict_count_ = 0, hits_ = 0, misses_ = 0;
    bool destroying_ = false;
};

void Play(fa_alloc_config config, Random *random, size_t budget, uint32_t frames_kept,
          bool may_fail) {
    SCOPED_TRACE(testing::Message() << "checks " << config.checks << ", kept " << frames_kept
                                    << ", FA_TEST_SEED=" << random->Seed());
    Events events;
    events.Watch(&config);
    Source source;
    {
        Allocator allocator(config, source);
        Model model(allocator, random, budget, frames_kept, may_fail);
        for (int i = 0; i < 3000 && !testing::Test::HasFailure(); i++) {
            model.Step();
            if (i % 16 == 0)
                model.Check();
        }
        model.Check();
        model.EndAll();
        EXPECT_EQ(allocator.Destroy(), 0u);
    }
    EXPECT_EQ(source.BytesLive(), 0u);
    for (const fa_event &event : events.all)
        EXPECT_LT(event.severity, FA_SEVERITY_ERROR) << fa_diag_describe(event.diag).code;
}

TEST(StreamModel, GoesByTheLedger) {
    Random random;
    for (uint32_t checks : {0u, static_cast<uint32_t>(FA_CHECK_ALL)})
        for (uint32_t frames_kept : {0u, 1u, 3u}) {
            fa_alloc_config config = Plain();
            config.checks = checks;
            Play(config, &random, 100000, frames_kept, false);
        }
}

TEST(StreamModel, TheAllocatorHasLessThanTheStreams) {
    Random random;
    for (uint32_t checks : {0u, static_cast<uint32_t>(FA_CHECK_ALL)}) {
        fa_alloc_config config = Plain(fa_alloc_config_minimal());
        config.checks = checks;
        config.heap_region_bytes = 256 << 10;
        config.bytes_max = 700 << 10;
        Play(config, &random, 1 << 20, 0, true);
    }
}

// One run in which call number `at` to the backend fails, once or from then on. False: it met none.
bool MeetsAFailure(Random *random, size_t region_bytes, uint64_t at, bool lasting) {
    SCOPED_TRACE(testing::Message() << "call " << at << ", lasting " << lasting
                                    << ", FA_TEST_SEED=" << random->Seed());
    Source source;
    source.Fail(at, lasting);
    fa_alloc_config config = Plain(fa_alloc_config_minimal());
    config.backends[0] = source.backend;
    config.heap_region_bytes = region_bytes;
    fa_allocator *allocator = nullptr;
    if (fa_allocator_create(&config, &allocator) != FA_OK)
        return true;
    {
        Model model(allocator, random, 300000, 0, true);
        if (model.IsMade()) {
            for (int i = 0; i < 400 && !testing::Test::HasFailure(); i++)
                model.Step();
            model.Check();
            model.EndAll();
        }
    }
    const bool met = fa_failing_calls(&source.failing, FA_FAILING_ALLOC) >= at ||
                     fa_failing_calls(&source.failing, FA_FAILING_RESIZE) >= at;
    EXPECT_EQ(fa_allocator_destroy(allocator), 0u);
    EXPECT_EQ(source.BytesLive(), 0u);
    return met;
}

TEST(StreamFaults, LeaveAllInOrder) {
    Random random;
    for (size_t region_bytes : {0u, 256u << 10})
        for (bool lasting : {false, true}) {
            uint64_t at = 1;
            while (MeetsAFailure(&random, region_bytes, at, lasting) && !HasFailure())
                at++;
            EXPECT_GT(at, region_bytes == 0 ? 20u : 3u);
        }
}

} // namespace
