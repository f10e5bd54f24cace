// Random calls on a handle table against a plain map; contents, addresses and numbers are compared.
#include "fa/testing_handles.hpp"

#include <algorithm>

using namespace fa_testing;

namespace {

struct Object {
    size_t size, align;
    uint32_t pins;
    bool fixed;
    uint64_t mark;
    void *address; // as last seen; must not change while pinned, fixed or large
};

class Model {
  public:
    Model(fa_allocator *allocator, bool told, Random *random)
        : allocator_(allocator), random_(*random) {
        fa_handles_options options = {};
        if (told) {
            options.on_moved = Moved;
            options.on_moved_user = this;
        }
        told_ = told;
        // Near the end of the generations in every other run.
        handles_ = fai_handles_create(allocator, &options,
                                      random_.OneIn(2) ? FAI_HANDLE_COUNTER_MAX - 2 : 0);
        EXPECT_NE(handles_, nullptr);
    }
    ~Model() { EXPECT_EQ(fa_handles_destroy(handles_), live_.size()); }
    Model(const Model &) = delete;
    Model &operator=(const Model &) = delete;

    void Step() {
        const size_t choice = random_.Below(100);
        if (choice < growing_)
            Alloc();
        else if (choice < 70)
            Free();
        else if (choice < 80)
            Pin();
        else if (choice < 90)
            Unpin();
        else if (choice < 94)
            Compact();
        else
            Stale();
        if (random_.OneIn(500))
            growing_ = random_.OneIn(2) ? 50 : 20;
        if (random_.OneIn(500))
            Check();
    }

    void Check() {
        size_t bytes = 0, pinned = 0, fixed = 0;
        for (auto &[key, object] : live_) {
            void *at = fa_handle_get(handles_, HandleOf(key));
            ASSERT_NE(at, nullptr);
            ASSERT_TRUE(IsPainted(at, object.mark, object.size));
            ASSERT_TRUE(IsAligned(at, object.align));
            ASSERT_EQ(fa_handle_size(handles_, HandleOf(key)), object.size);
            if (MustStay(object) || told_) {
                ASSERT_EQ(at, object.address);
            }
            object.address = at;
            bytes += object.size;
            pinned += object.pins != 0;
            fixed += object.fixed;
        }
        const fa_handles_stats stats = HandleStats(handles_);
        EXPECT_EQ(stats.live_count, live_.size());
        EXPECT_EQ(stats.bytes_used, bytes);
        EXPECT_EQ(stats.pinned_count, pinned);
        EXPECT_EQ(stats.fixed_count, fixed);
        ExpectHandleIdentities(handles_);
        ExpectValid(allocator_);
        NoOverlap();
    }

  private:
    static fa_handle HandleOf(uint64_t key) {
        return {static_cast<uint32_t>(key), static_cast<uint32_t>(key >> 32)};
    }
    static bool MustStay(const Object &object) {
        return object.pins != 0 || object.fixed || object.size > FA_HANDLE_SLAB_OBJECT_MAX;
    }
    static void Moved(void *user, fa_handles *, fa_handle handle, void *address_old,
                      void *address_new, size_t size) {
        Model *self = static_cast<Model *>(user);
        Object &object = self->live_.at(KeyOf(handle));
        EXPECT_FALSE(MustStay(object));
        EXPECT_EQ(object.address, address_old);
        EXPECT_EQ(object.size, size);
        object.address = address_new;
    }
    void NoOverlap() {
        std::vector<std::pair<char *, size_t>> places;
        for (const auto &[key, object] : live_)
            places.push_back({static_cast<char *>(object.address), object.size});
        std::sort(places.begin(), places.end());
        for (size_t i = 1; i < places.size(); i++)
            ASSERT_LE(places[i - 1].first + places[i - 1].second, places[i].first);
    }
    std::map<uint64_t, Object>::iterator Any() {
        auto found = live_.lower_bound(random_.Below(SIZE_MAX));
        if (found == live_.end())
            found = live_.begin();
        return found;
    }

    void Alloc() {
        Object object = {random_.Size(random_.OneIn(20) ? 40000 : 2000),
                         static_cast<size_t>(16) << (random_.OneIn(4) ? random_.Below(10) : 0),
                         0,
                         random_.OneIn(10),
                         ++mark_,
                         nullptr};
        const bool zeroed = random_.OneIn(4);
        uint32_t flags = 0;
        flags |= object.fixed ? uint32_t{FA_HANDLE_FIXED} : 0;
        flags |= zeroed ? uint32_t{FA_HANDLE_ZEROED} : 0;
        const fa_handle handle = fa_handle_alloc_with(handles_, object.size, object.align, flags);
        ASSERT_FALSE(fa_handle_is_none(handle));
        object.address = fa_handle_get(handles_, handle);
        if (zeroed) {
            ASSERT_TRUE(IsFilled(object.address, 0, object.size));
        }
        Paint(object.address, object.mark, object.size);
        ASSERT_TRUE(live_.emplace(KeyOf(handle), object).second);
        ASSERT_TRUE(std::find(dead_.begin(), dead_.end(), KeyOf(handle)) == dead_.end());
    }
    void Free() {
        if (live_.empty())
            return;
        const auto it = Any();
        const fa_handle handle = HandleOf(it->first);
        ASSERT_TRUE(IsPainted(fa_handle_get(handles_, handle), it->second.mark, it->second.size));
        if (it->second.pins != 0) {
            ASSERT_EQ(fa_handle_free(handles_, handle), FA_ERROR_INVALID);
            return;
        }
        ASSERT_EQ(fa_handle_free(handles_, handle), FA_OK);
        dead_.push_back(it->first);
        live_.erase(it);
    }
    void Pin() {
        if (live_.empty())
            return;
        const auto it = Any();
        void *at = fa_handle_pin(handles_, HandleOf(it->first));
        ASSERT_EQ(at, fa_handle_get(handles_, HandleOf(it->first)));
        it->second.address = at;
        it->second.pins++;
        pinned_.push_back(it->first);
    }
    void Unpin() {
        if (pinned_.empty())
            return;
        std::swap(pinned_[random_.Below(pinned_.size())], pinned_.back());
        Object &object = live_.at(pinned_.back());
        ASSERT_EQ(fa_handle_get(handles_, HandleOf(pinned_.back())), object.address);
        ASSERT_EQ(fa_handle_unpin(handles_, HandleOf(pinned_.back())), FA_OK);
        if (--object.pins == 0) {
            ASSERT_NE(object.address, nullptr);
        }
        pinned_.pop_back();
    }
    void Compact() {
        if (random_.OneIn(4)) {
            CompactAll(handles_);
            Check();
        } else {
            fa_handles_compact(handles_, random_.OneIn(2) ? 1 + random_.Below(5000) : 0,
                               random_.OneIn(2) ? 1 : 1000);
        }
    }
    void Stale() {
        if (dead_.empty())
            return;
        const fa_handle handle = HandleOf(dead_[random_.Below(dead_.size())]);
        ASSERT_EQ(fa_handle_get(handles_, handle), nullptr);
        ASSERT_EQ(fa_handle_free(handles_, handle), FA_ERROR_FOREIGN);
        ASSERT_EQ(fa_handle_unpin(handles_, handle), FA_ERROR_FOREIGN);
    }

    fa_allocator *allocator_;
    Random &random_;
    fa_handles *handles_;
    bool told_;
    size_t growing_ = 50;
    uint64_t mark_ = 0;
    std::map<uint64_t, Object> live_;
    std::vector<uint64_t> dead_, pinned_;
};

TEST(HandleModel, BehavesLikeAMap) {
    for (uint32_t checks : {0u, static_cast<uint32_t>(FA_CHECK_ALL)})
        for (bool told : {false, true}) {
            Random random;
            Source source;
            fa_alloc_config config = Plain();
            config.checks = checks;
            Allocator allocator(config, source);
            {
                Model model(allocator, told, &random);
                for (size_t i = 0; i < Rounds(20000) && !testing::Test::HasFailure(); i++)
                    model.Step();
                model.Check();
            }
            EXPECT_EQ(allocator.Destroy(), 0u);
            EXPECT_EQ(source.BytesLive(), 0u);
        }
}

} // namespace
