// Random heap calls against a model that knows every block and what it holds.
#include "fa/testing.hpp"

#include <algorithm>
#include <map>

using namespace fa_testing;

namespace {

struct Block {
    size_t size;
    size_t align;
    uint64_t mark;
    bool in_pool;
    bool by_pool_call; // may be freed by those of pools, in_pool or not
};

class Model {
  public:
    Model(fa_allocator *allocator, Random *random, bool may_fail)
        : allocator_(allocator), random_(random), may_fail_(may_fail) {}

    void Step() {
        const size_t live = blocks_.size();
        if (live != 0 && random_->Below(200) < live)
            Free();
        else if (live != 0 && random_->OneIn(4))
            Realloc();
        else
            Alloc();
        if (random_->OneIn(16)) {
            Check();
        }
    }

    void Check() {
        ExpectValid(allocator_);
        ExpectIdentities(allocator_);
        const fa_stats stats = Stats(allocator_);
        size_t count = 0, bytes = 0;
        for (const auto &[address, block] : blocks_) {
            count += !block.in_pool;
            bytes += block.in_pool ? 0 : block.size;
        }
        EXPECT_EQ(stats.heap_live_count, count);
        EXPECT_EQ(stats.heap_live_bytes, bytes);
        if (stats.bytes_held < 1000) {
            return;
        }
        seen_ = 0;
        const size_t visited = fa_heap_visit(
            allocator_,
            [](void *user, const fa_heap_block *seen) {
                Model *model = static_cast<Model *>(user);
                auto it = model->blocks_.find(static_cast<const unsigned char *>(seen->address));
                ASSERT_NE(it, model->blocks_.end());
                EXPECT_EQ(it->second.size, seen->size);
                EXPECT_EQ(it->second.align, seen->align);
                model->seen_++;
            },
            this);
        EXPECT_TRUE(visited == count || (may_fail_ && visited == SIZE_MAX));
        EXPECT_EQ(seen_, visited == SIZE_MAX ? 0u : count);
    }

    void Finish() {
        Check();
        for (const auto &[address, block] : blocks_)
            ASSERT_TRUE(IsPainted(address, block.mark, block.size));
        while (!blocks_.empty() && !testing::Test::HasFatalFailure())
            Free();
        Check();
    }

  private:
    void Add(void *pointer, size_t size, size_t align, bool in_pool, bool by_pool_call) {
        const auto *begin = static_cast<const unsigned char *>(pointer);
        ASSERT_TRUE(IsAligned(pointer, align));
        auto next = blocks_.lower_bound(begin);
        ASSERT_TRUE(next == blocks_.end() || begin + size <= next->first);
        ASSERT_TRUE(next == blocks_.begin() ||
                    std::prev(next)->first + std::prev(next)->second.size <= begin);
        EXPECT_GE(fa_usable_size(allocator_, begin), size);
        EXPECT_EQ(fa_intent_of(allocator_, begin), in_pool ? FA_INTENT_POOL : FA_INTENT_HEAP);
        blocks_[begin] = Block{size, align, ++mark_, in_pool, by_pool_call};
        Paint(pointer, mark_, size);
    }

    void Alloc() {
        const size_t size = random_->Size(random_->OneIn(10) ? 400000 : 9000);
        const bool fill = fa_allocator_config(allocator_)->checks & FA_CHECK_FILL;
        size_t align = 16, total = size;
        void *block = nullptr;
        bool in_pool = false, by_pool_call = false;
        switch (random_->Below(5)) {
        case 0:
            align = static_cast<size_t>(1) << random_->Below(random_->OneIn(30) ? 22 : 13);
            block = fa_heap_alloc_aligned(allocator_, size, align);
            align = std::max(align, FA_ALIGN_MIN);
            break;
        case 1:
            total = size * 3;
            block = fa_heap_alloc_zeroed(allocator_, 3, size);
            if (block != nullptr) {
                EXPECT_TRUE(IsFilled(block, 0, total));
            }
            break;
        case 2:
            block = fa_heap_realloc(allocator_, nullptr, size);
            break;
        case 3: // falls through from the pools where it is large
            block = fa_pool_alloc(allocator_, size);
            by_pool_call = true;
            in_pool = block != nullptr && fa_intent_of(allocator_, block) == FA_INTENT_POOL;
            break;
        default:
            block = fa_heap_alloc(allocator_, size);
            if (block != nullptr && fill) {
                EXPECT_TRUE(IsFilled(block, 0xAB, size));
            }
        }
        if (block == nullptr)
            Refused();
        else
            Add(block, total, align, in_pool, by_pool_call);
    }

    void Refused() {
        EXPECT_TRUE(may_fail_) << fa_status_name(fa_last_error().status);
        const fa_status status = fa_last_error().status;
        EXPECT_TRUE(status == FA_ERROR_LIMIT || status == FA_ERROR_SEALED);
    }

    std::map<const unsigned char *, Block>::iterator Any() {
        auto it = blocks_.lower_bound(
            std::next(blocks_.begin(), static_cast<ptrdiff_t>(random_->Below(blocks_.size())))
                ->first);
        EXPECT_TRUE(IsPainted(it->first, it->second.mark, it->second.size));
        return it;
    }

    void Realloc() {
        auto it = Any();
        if (it->second.in_pool)
            return;
        auto *old = const_cast<unsigned char *>(it->first);
        const Block was = it->second;
        const size_t size = random_->OneIn(3) ? was.size + random_->Below(100) + 1
                                              : random_->Size(random_->OneIn(10) ? 400000 : 9000);
        void *block = fa_heap_realloc(allocator_, old, size);
        if (block == nullptr) {
            EXPECT_TRUE(IsPainted(old, was.mark, was.size));
            return Refused();
        }
        EXPECT_TRUE(IsPainted(block, was.mark, std::min(size, was.size)));
        blocks_.erase(it);
        Add(block, size, was.align, false, false);
    }

    void Free() {
        auto it = Any();
        auto *block = const_cast<unsigned char *>(it->first);
        if (random_->OneIn(3))
            fa_free(allocator_, block);
        else if (!it->second.by_pool_call)
            fa_heap_free(allocator_, block);
        else if (random_->OneIn(2))
            fa_pool_free(allocator_, block);
        else
            fa_pool_free_sized(allocator_, block, it->second.size);
        blocks_.erase(it);
    }

    fa_allocator *allocator_;
    Random *random_;
    bool may_fail_;
    std::map<const unsigned char *, Block> blocks_;
    uint64_t mark_ = 0;
    size_t seen_ = 0;
};

void Play(fa_alloc_config config, Random *random, bool may_fail, bool seal) {
    SCOPED_TRACE(testing::Message()
                 << "cache " << config.heap_cache_bytes << ", regions " << config.heap_region_bytes
                 << ", checks " << config.checks << ", limit " << config.bytes_max << ", seal "
                 << seal << ", FA_TEST_SEED=" << random->Seed());
    Events events;
    events.Watch(&config);
    Source source;
    {
        Allocator allocator(config, source);
        Model model(allocator, random, may_fail);
        for (int i = 0; i < 500 && !testing::Test::HasFatalFailure(); i++)
            model.Step();
        uint64_t calls = 0;
        if (seal) {
            fa_backend_seal(allocator);
            calls = source.Calls();
            for (int i = 0; i < 500 && !testing::Test::HasFatalFailure(); i++)
                model.Step();
        }
        model.Finish();
        if (seal) {
            EXPECT_EQ(source.Calls(), calls);
        }
        EXPECT_EQ(allocator.Destroy(), 0u);
    }
    EXPECT_EQ(source.BytesLive(), 0u);
    for (const fa_event &event : events.all)
        EXPECT_LT(event.severity, FA_SEVERITY_ERROR) << fa_diag_describe(event.diag).code;
}

} // namespace

TEST(HeapModel, EveryCheckWithAndWithoutCache) {
    Random random;
    for (uint32_t checks : AllChecks())
        for (size_t cache : {size_t{0}, size_t{100000}, size_t{16} << 20}) {
            fa_alloc_config config = Plain();
            config.heap_region_bytes = cache == 0 ? 256 << 10 : cache == 100000 ? 0 : 4 << 20;
            config.checks = checks;
            config.heap_cache_bytes = cache;
            Play(config, &random, false, false);
            if (HasFatalFailure())
                return;
        }
}

TEST(HeapModel, SealedAndLimited) {
    Random random;
    for (uint32_t checks : {0, 7})
        for (size_t cache : {size_t{0}, size_t{16} << 20}) {
            fa_alloc_config config = Plain();
            config.heap_region_bytes = cache == 0 ? 256 << 10 : 0;
            config.checks = checks;
            config.heap_cache_bytes = cache;
            Play(config, &random, true, true);
            config.bytes_max = 6 << 20;
            Play(config, &random, true, false);
            if (HasFatalFailure())
                return;
        }
}
