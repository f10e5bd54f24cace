// Random typed pools, object caches and components against the simplest models there are.
#include "fa/testing_threads.hpp"

#include <algorithm>
#include <map>

using namespace fa_testing;

namespace {

// Live objects by address, each with what was painted on it.
using Model = std::map<char *, uint64_t>;

class PoolModel {
  public:
    PoolModel(fa_allocator *allocator, Random *random) : random_(random) {
        fa_typed_pool_config config = {};
        config.align = size_t{1} << random->Below(8);
        size_ = config.size = random->Size(random->OneIn(8) ? 80000 : 700);
        config.count_max = most_ = random->OneIn(2) ? 0 : random->Size(2000);
        config.count_reserved = random->OneIn(3) ? random->Size(most_ != 0 ? most_ : 300) : 0;
        config.is_shared = random->OneIn(2);
        if (random->OneIn(2)) {
            config.construct = [](void *user, void *) {
                static_cast<PoolModel *>(user)->made_++;
                return FA_OK;
            };
            config.destruct = [](void *user, void *object) {
                auto *self = static_cast<PoolModel *>(user);
                self->ended_++;
                EXPECT_TRUE(
                    IsPainted(object, self->model_[static_cast<char *>(object)], self->size_));
            };
            config.user = this;
        }
        EXPECT_EQ(fa_typed_pool_create(allocator, &config, &pool_), FA_OK);
    }
    ~PoolModel() {
        EXPECT_EQ(fa_typed_pool_destroy(pool_), model_.size());
        EXPECT_EQ(made_, ended_);
    }

    void Step() {
        switch (random_->Below(20)) {
        case 0:
            if (random_->OneIn(10)) {
                EXPECT_EQ(fa_typed_pool_clear(pool_), model_.size());
                model_.clear();
            }
            break;
        case 1:
            fa_typed_pool_trim(pool_);
            break;
        case 2: {
            const size_t count = random_->Size(400);
            EXPECT_EQ(fa_typed_pool_reserve(pool_, count),
                      most_ != 0 && count > most_ ? FA_ERROR_INVALID : FA_OK);
            break;
        }
        case 3:
            Misuse();
            break;
        case 4:
            Walk();
            break;
        default:
            Churn();
        }
        fa_typed_pool_stats stats;
        ASSERT_EQ(fa_typed_pool_stats_get(pool_, &stats), FA_OK);
        ASSERT_EQ(stats.live_count, model_.size());
        ASSERT_LE(stats.live_count, stats.capacity);
        ASSERT_TRUE(most_ == 0 || stats.capacity <= most_);
    }

  private:
    // Some objects come, or some go.
    void Churn() {
        const bool more = random_->Below(100) < grows_;
        if (random_->OneIn(40))
            grows_ = random_->Below(101);
        for (size_t n = random_->Size(30); n > 0; n--) {
            if (more) {
                auto *object = static_cast<char *>(fa_typed_pool_acquire(pool_));
                ASSERT_EQ(object == nullptr, most_ != 0 && model_.size() == most_);
                if (object == nullptr)
                    return;
                const auto next = model_.lower_bound(object);
                ASSERT_TRUE(next == model_.end() || object + size_ <= next->first);
                ASSERT_TRUE(next == model_.begin() || std::prev(next)->first + size_ <= object);
                Paint(object, ++mark_, size_);
                model_[object] = mark_;
            } else if (!model_.empty()) {
                Release(Any());
            }
        }
    }
    void Release(Model::iterator at) {
        ASSERT_TRUE(IsPainted(at->first, at->second, size_));
        ASSERT_EQ(fa_typed_pool_release(pool_, at->first), FA_OK);
        ASSERT_EQ(fa_typed_pool_release(pool_, at->first), FA_ERROR_FOREIGN);
        model_.erase(at);
    }
    Model::iterator Any() {
        const auto at = model_.lower_bound(
            model_.begin()->first +
            random_->Below(static_cast<size_t>(model_.rbegin()->first - model_.begin()->first) +
                           1));
        return at == model_.end() ? model_.begin() : at;
    }
    void Misuse() {
        if (model_.empty())
            return;
        char *object = Any()->first + random_->Below(size_ * 3);
        ASSERT_EQ(fa_typed_pool_has(pool_, object), model_.count(object) == 1);
        if (model_.count(object) == 0) {
            ASSERT_EQ(fa_typed_pool_release(pool_, object), FA_ERROR_FOREIGN);
        }
    }
    // Both ways, with objects that go meanwhile.
    void Walk() {
        const size_t stride = Stride();
        auto at = model_.begin();
        for (fa_typed_run run = {}; fa_typed_pool_next_run(pool_, &run);)
            for (size_t i = 0; i < run.count; i++, ++at) {
                ASSERT_TRUE(at != model_.end());
                ASSERT_EQ(at->first, static_cast<char *>(run.items) + i * stride);
            }
        ASSERT_TRUE(at == model_.end());
        fai_typed_walk walk = fai_typed_walk_first(pool_, stride);
        at = model_.begin();
        while (walk.item != nullptr) {
            ASSERT_TRUE(at != model_.end());
            ASSERT_EQ(walk.item, at->first);
            ++at;
            for (size_t n = random_->OneIn(3) ? random_->Below(10) : 0; n > 0 && !model_.empty();
                 n--) {
                const auto gone = Any();
                if (at == gone)
                    ++at;
                Release(gone);
            }
            walk = fai_typed_walk_next(walk, stride);
        }
        ASSERT_TRUE(at == model_.end());
    }
    // From object to object; the pool knows, the model finds out.
    size_t Stride() {
        for (size_t align = 1; align <= 128; align *= 2) {
            const size_t stride = (size_ + align - 1) / align * align;
            if (fai_typed_walk_begin(pool_, stride) != nullptr)
                return stride;
        }
        return 0;
    }

    Random *random_;
    fa_typed_pool *pool_ = nullptr;
    Model model_;
    size_t size_ = 0, most_ = 0, grows_ = 60, made_ = 0, ended_ = 0;
    uint64_t mark_ = 0;
};

class CacheModel {
  public:
    CacheModel(fa_allocator *allocator, Random *random) : random_(random) {
        fa_object_cache_config config = {};
        config.size = size_ = 8 + random->Size(300);
        config.count_max = most_ = random->OneIn(2) ? 0 : random->Size(300);
        config.idle_count_max = idle_max_ = random->Size(100);
        config.is_shared = random->OneIn(2);
        config.construct = [](void *user, void *object) {
            auto *self = static_cast<CacheModel *>(user);
            Paint(object, ++self->mark_, self->size_);
            self->all_[static_cast<char *>(object)] = self->mark_;
            return FA_OK;
        };
        config.destruct = [](void *user, void *object) {
            auto *self = static_cast<CacheModel *>(user);
            EXPECT_TRUE(IsPainted(object, self->all_[static_cast<char *>(object)], self->size_));
            EXPECT_EQ(self->all_.erase(static_cast<char *>(object)), 1u);
        };
        config.user = this;
        EXPECT_EQ(fa_object_cache_create(allocator, &config, &cache_), FA_OK);
    }
    ~CacheModel() {
        EXPECT_EQ(fa_object_cache_destroy(cache_), out_.size());
        EXPECT_TRUE(all_.empty());
    }
    void Step() {
        if (random_->OneIn(30)) {
            const size_t keep = random_->Below(idle_max_ + 2),
                         gone = idle_ > keep ? idle_ - keep : 0;
            ASSERT_EQ(fa_object_cache_trim(cache_, keep), gone);
            idle_ -= gone;
        }
        for (size_t n = random_->Size(40); n > 0; n--)
            if (random_->OneIn(2)) {
                auto *object = static_cast<char *>(fa_object_cache_acquire(cache_));
                ASSERT_EQ(object == nullptr, most_ != 0 && out_.size() == most_);
                if (object == nullptr)
                    return;
                ASSERT_TRUE(IsPainted(object, all_[object], size_));
                out_.push_back(object);
                idle_ -= idle_ != 0;
            } else if (!out_.empty()) {
                std::swap(out_[random_->Below(out_.size())], out_.back());
                ASSERT_EQ(fa_object_cache_release(cache_, out_.back()), FA_OK);
                ASSERT_EQ(fa_object_cache_release(cache_, out_.back()), FA_ERROR_FOREIGN);
                out_.pop_back();
                idle_ += idle_ < idle_max_;
            }
        fa_object_cache_stats stats;
        ASSERT_EQ(fa_object_cache_stats_get(cache_, &stats), FA_OK);
        ASSERT_EQ(stats.live_count, out_.size());
        ASSERT_EQ(stats.idle_count, idle_);
        ASSERT_EQ(all_.size(), out_.size() + idle_);
    }

  private:
    Random *random_;
    fa_object_cache *cache_ = nullptr;
    Model all_;
    std::vector<char *> out_;
    size_t size_ = 0, most_ = 0, idle_max_ = 0, idle_ = 0;
    uint64_t mark_ = 0;
};

class ComponentsModel {
  public:
    ComponentsModel(fa_allocator *allocator, Random *random) : random_(random) {
        fa_components_config config = {};
        config.size = size_ = random->Size(random->OneIn(8) ? 20000 : 300);
        config.align = size_t{1} << random->Below(8);
        config.count_max = most_ = random->OneIn(2) ? 0 : random->Size(2000);
        EXPECT_EQ(fa_components_create(allocator, &config, &set_), FA_OK);
        spread_ = random->OneIn(2) ? UINT32_MAX : 3000;
    }
    ~ComponentsModel() { EXPECT_EQ(fa_components_destroy(set_), model_.size()); }
    void Step() {
        if (random_->OneIn(100)) {
            fa_components_clear(set_);
            model_.clear();
        }
        if (random_->OneIn(20))
            fa_components_trim(set_);
        if (random_->OneIn(20)) {
            const size_t count = random_->Size(500);
            ASSERT_EQ(fa_components_reserve(set_, count),
                      most_ != 0 && count > most_ ? FA_ERROR_INVALID : FA_OK);
        }
        for (size_t n = random_->Size(40); n > 0; n--) {
            const auto id = static_cast<uint32_t>(random_->Below(spread_));
            if (random_->OneIn(2))
                Insert(id);
            else if (!model_.empty() && random_->OneIn(2))
                Remove(model_.lower_bound(id) != model_.end() ? model_.lower_bound(id)->first : id);
            else
                Remove(id);
        }
        Compare();
    }

  private:
    void Insert(uint32_t id) {
        void *object = nullptr;
        const fa_status status = fa_components_insert(set_, id, &object);
        if (model_.count(id) == 1) {
            ASSERT_EQ(status, FA_ERROR_EXISTS);
            ASSERT_TRUE(IsPainted(object, model_[id], size_));
            return;
        }
        ASSERT_EQ(status, most_ != 0 && model_.size() == most_ ? FA_ERROR_FULL : FA_OK);
        if (status == FA_OK) {
            Paint(object, ++mark_, size_);
            model_[id] = mark_;
        }
    }
    void Remove(uint32_t id) { ASSERT_EQ(fa_components_remove(set_, id), model_.erase(id) == 1); }
    void Compare() {
        size_t seen = 0;
        for (fa_components_run run = {}; fa_components_next_run(set_, &run);) {
            ASSERT_EQ(run.first, seen);
            seen += run.count;
            for (size_t i = 0; i < run.count; i++) {
                ASSERT_EQ(model_.count(run.ids[i]), 1u);
                const void *object = fa_components_get(set_, run.ids[i]);
                ASSERT_TRUE(i != 0 || object == run.items);
                ASSERT_TRUE(IsPainted(object, model_[run.ids[i]], size_));
            }
        }
        ASSERT_EQ(seen, model_.size());
    }

    Random *random_;
    fa_components *set_ = nullptr;
    std::map<uint32_t, uint64_t> model_;
    size_t size_ = 0, most_ = 0, spread_ = 0;
    uint64_t mark_ = 0;
};

template <class Kind> void DoesAsItsModel() {
    Random random;
    for (size_t round = 0; round < Rounds(64); round++) {
        Tracked allocator(Config(random.OneIn(2) ? 0 : uint32_t{FA_CHECK_ALL}));
        {
            Kind one(allocator, &random), two(allocator, &random);
            for (int step = 0; step < 500; step++) {
                (random.OneIn(2) ? one : two).Step();
                if (testing::Test::HasFatalFailure())
                    return;
                if (step % 32 == 0)
                    ExpectValid(allocator);
            }
            allocator.Check();
        }
        EXPECT_EQ(allocator.Live(), 0u);
    }
}

} // namespace

TEST(TypedModel, Pools) { DoesAsItsModel<PoolModel>(); }
TEST(TypedModel, Caches) { DoesAsItsModel<CacheModel>(); }
TEST(TypedModel, Components) { DoesAsItsModel<ComponentsModel>(); }
