/* Pools against a model: random calls, and after each of them what the headers promise. */
#include "fa/testing_threads.hpp"

#include <atomic>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <vector>

using namespace fa_testing;

namespace {

struct Block {
    unsigned char *bytes = nullptr;
    size_t size = 0;
    unsigned char tag = 0; /* what fills it */
};

struct Request {
    size_t size;
    size_t align;
};

Request RandomRequest(Engine &random) {
    Request request = {Pick(random, 1, 600), 1};
    switch (Pick(random, 0, 15)) {
    case 0:
        request.size = Pick(random, 1, 4096);
        break;
    case 1:
        request.size = Pick(random, 3000, 20000);
        break;
    case 2:
    case 3:
        request.align = size_t{1} << Pick(random, 0, 12);
        break;
    case 4:
        if (Pick(random, 0, 20) == 0)
            request.align = size_t{1} << Pick(random, 13, 17);
        break;
    default:
        break;
    }
    return request;
}

class Model {
  public:
    Model(const fa_alloc_config &config, uint64_t seed, bool may_refuse)
        : allocator_(config), checks_(config.checks), may_refuse_(may_refuse), random_(seed) {}

    void Run(size_t rounds) {
        for (size_t i = 0; i < rounds && !testing::Test::HasFailure(); i++) {
            Step();
            if (i % 512 == 0)
                Compare();
        }
        while (!live_.empty())
            FreeOne();
        Compare();
    }

  private:
    void Step() {
        /* Phases of growth and of shrinking, so that slabs fill and empty. */
        if (Pick(random_, 0, 999) == 0)
            growing_ = !growing_;
        uint64_t die = Pick(random_, 0, 199);
        if (die == 0)
            AllocBatch();
        else if (die == 1)
            FreeBatch();
        else if (die == 2)
            Housekeeping();
        else if (live_.empty() || Pick(random_, 0, 99) < (growing_ ? 60u : 40u))
            AllocOne();
        else
            FreeOne();
    }

    void Insert(void *pointer, Request request, bool zeroed) {
        auto *bytes = static_cast<unsigned char *>(pointer);
        auto address = reinterpret_cast<uintptr_t>(pointer);
        ASSERT_EQ(address % (request.align > FA_ALIGN_MIN ? request.align : FA_ALIGN_MIN), 0u);
        auto next = live_.lower_bound(address);
        if (next != live_.end()) {
            ASSERT_LE(address + request.size, next->first);
        }
        if (next != live_.begin()) {
            ASSERT_LE(std::prev(next)->first + std::prev(next)->second.size, address);
        }
        if (zeroed) {
            ASSERT_TRUE(IsFilled(bytes, 0, request.size));
        } else if (checks_ & FA_CHECK_FILL) {
            ASSERT_TRUE(IsFilled(bytes, 0xAB, request.size));
        }
        Block block = {bytes, request.size, static_cast<unsigned char>(Pick(random_, 0, 255))};
        memset(bytes, block.tag, request.size);
        live_[address] = block;
    }

    void Refused() {
        fa_status status = fa_last_error().status;
        ASSERT_TRUE(may_refuse_) << fa_status_text(status);
        ASSERT_TRUE(status == FA_ERROR_LIMIT || status == FA_ERROR_NO_MEMORY)
            << fa_status_text(status);
        growing_ = false;
    }

    void AllocOne() {
        Request request = RandomRequest(random_);
        void *pointer;
        bool zeroed = false;
        if (request.align > 1) {
            pointer = fa_pool_alloc_aligned(allocator_, request.size, request.align);
        } else if (Pick(random_, 0, 7) == 0) {
            size_t count = Pick(random_, 1, 8);
            zeroed = true;
            pointer = fa_pool_alloc_zeroed(allocator_, count, request.size);
            request.size *= count;
        } else {
            pointer = fa_pool_alloc(allocator_, request.size);
        }
        if (pointer == nullptr)
            Refused();
        else
            Insert(pointer, request, zeroed);
    }

    void AllocBatch() {
        std::vector<void *> blocks(Pick(random_, 0, 300));
        Request request = {RandomRequest(random_).size, 1};
        fa_status status =
            fa_pool_alloc_batch(allocator_, request.size, blocks.size(), blocks.data());
        if (status != FA_OK)
            Refused();
        else
            for (void *block : blocks)
                Insert(block, request, false);
    }

    std::map<uintptr_t, Block>::iterator PickLive() {
        auto found = live_.lower_bound(live_.begin()->first + Pick(random_, 0, span()));
        return found == live_.end() ? live_.begin() : found;
    }

    uintptr_t span() const { return live_.rbegin()->first - live_.begin()->first; }

    void Verify(const Block &block) {
        ASSERT_TRUE(IsFilled(block.bytes, block.tag, block.size)) << "contents changed";
        size_t usable = fa_usable_size(allocator_, block.bytes);
        ASSERT_GE(usable, block.size);
        if (fa_intent_of(allocator_, block.bytes) == FA_INTENT_POOL) {
            ASSERT_LE(usable, FA_POOL_CLASS_BYTES_MAX);
        }
    }

    void FreeOne() {
        auto found = PickLive();
        Block block = found->second;
        Verify(block);
        live_.erase(found);
        switch (Pick(random_, 0, 3)) {
        case 0:
            fa_pool_free(allocator_, block.bytes);
            break;
        case 1:
            fa_free(allocator_, block.bytes);
            break;
        default:
            fa_pool_free_sized(allocator_, block.bytes, block.size);
        }
    }

    void FreeBatch() {
        std::vector<void *> blocks(Pick(random_, 0, 5), nullptr);
        for (size_t count = Pick(random_, 0, 300); count > 0 && !live_.empty(); count--) {
            auto found = PickLive();
            Verify(found->second);
            blocks.push_back(found->second.bytes);
            live_.erase(found);
        }
        fa_pool_free_batch(allocator_, blocks.data(), blocks.size());
    }

    void Housekeeping() {
        switch (Pick(random_, 0, 9)) {
        case 0:
            fa_allocator_trim(allocator_);
            break;
        case 1:
            fa_thread_detach(allocator_); /* its slabs are adopted again later */
            break;
        default:
            if (fa_frame_begin(allocator_) != nullptr) {
                ASSERT_EQ(fa_frame_end(allocator_), FA_OK);
            } else
                Refused();
        }
    }

    void Compare() {
        allocator_.Check();
        if (kCounted) {
            fa_stats stats = allocator_.Stats();
            EXPECT_EQ(allocator_.Live(), live_.size());
            size_t pool_bytes = 0;
            for (const auto &[address, block] : live_)
                if (fa_intent_of(allocator_, block.bytes) == FA_INTENT_POOL)
                    pool_bytes += fa_usable_size(allocator_, block.bytes);
            if ((checks_ & FA_CHECK_GUARD) == 0) {
                EXPECT_EQ(stats.pool_live_bytes, pool_bytes);
            }
        }
        for (fa_diag diag : {FA_DIAG_FA601, FA_DIAG_FA602, FA_DIAG_FA603, FA_DIAG_FA901})
            EXPECT_EQ(allocator_.Count(diag), 0u) << fa_diag_describe(diag).code;
    }

    Tracked allocator_;
    uint32_t checks_;
    bool may_refuse_;
    Engine random_;
    std::map<uintptr_t, Block> live_;
    bool growing_ = true;
};

void RunModel(const char *name, fa_alloc_config config, bool may_refuse = false) {
    SCOPED_TRACE(name);
    config.on_event = nullptr;
    config.strict = false;
    uint64_t seed = Random().Seed();
    SCOPED_TRACE(seed);
    Model(config, seed, may_refuse).Run(Rounds(30000));
}

void SetClasses(fa_alloc_config *config, std::initializer_list<size_t> sizes) {
    memset(config->pool_class_bytes, 0, sizeof config->pool_class_bytes);
    std::copy(sizes.begin(), sizes.end(), config->pool_class_bytes);
}

} // namespace

TEST(PoolModel, Presets) {
    RunModel("default", Config());
    RunModel("minimal", fa_alloc_config_minimal());
    RunModel("high performance", fa_alloc_config_high_performance());
}

TEST(PoolModel, EveryCombinationOfChecks) {
    for (uint32_t checks = 0; checks <= FA_CHECK_ALL; checks++)
        RunModel(("checks " + std::to_string(checks)).c_str(), Config(checks));
}

TEST(PoolModel, ClassLists) {
    fa_alloc_config config = Config();
    SetClasses(&config, {16});
    RunModel("16", config);
    SetClasses(&config, {48, 80, 272, 8192});
    RunModel("48, 80, 272, 8192", config);
    config.checks = FA_CHECK_ALL;
    RunModel("the same, checked", config);
    for (size_t i = 0; i < FA_POOL_CLASS_COUNT_MAX; i++)
        config.pool_class_bytes[i] = 16 * (i + 1);
    config.pool_class_bytes[FA_POOL_CLASS_COUNT_MAX] = 0;
    config.checks = 0;
    RunModel("64 classes", config);
}

TEST(PoolModel, SmallSegmentsAndMagazines) {
    fa_alloc_config config = Config();
    config.pool_segment_bytes = 256 << 10;
    config.pool_magazine_bytes = 0;
    config.pool_trim_after = 1;
    config.heap_cache_bytes = 0;
    RunModel("small", config);
}

TEST(PoolModel, UnderALimit) {
    fa_alloc_config config = fa_alloc_config_minimal();
    config.bytes_max = 1 << 20;
    RunModel("1 MiB", config, true);
    config.checks = FA_CHECK_ALL;
    RunModel("1 MiB, checked", config, true);
}

/* Several threads, each freeing whatever it can get hold of. */
namespace {

constexpr size_t kExchangeSlots = 64;

struct Exchange {
    std::atomic<Block *> slot[kExchangeSlots] = {};
};

void Release(fa_allocator *allocator, Block *block, Engine &random) {
    EXPECT_TRUE(IsFilled(block->bytes, block->tag, block->size)) << "contents changed";
    if (Pick(random, 0, 1) == 0)
        fa_pool_free_sized(allocator, block->bytes, block->size);
    else
        fa_pool_free(allocator, block->bytes);
    delete block;
}

void Trade(fa_allocator *allocator, Exchange *exchange, uint64_t seed, size_t rounds) {
    Engine random(seed);
    std::vector<Block *> own;
    for (size_t i = 0; i < rounds; i++) {
        uint64_t die = Pick(random, 0, 99);
        if (own.empty() || (die < 45 && own.size() < 2000)) {
            Request request = RandomRequest(random);
            auto *block = new Block;
            block->size = request.size;
            block->tag = static_cast<unsigned char>(random());
            block->bytes = static_cast<unsigned char *>(
                fa_pool_alloc_aligned(allocator, request.size, request.align));
            memset(block->bytes, block->tag, block->size);
            own.push_back(block);
            continue;
        }
        size_t index = Pick(random, 0, own.size() - 1);
        Block *block = own[index];
        own[index] = own.back();
        own.pop_back();
        if (die < 90) {
            block = exchange->slot[Pick(random, 0, kExchangeSlots - 1)].exchange(block);
            if (block != nullptr && die < 80)
                own.push_back(block);
            else if (block != nullptr)
                Release(allocator, block, random);
        } else if (die == 99 && Pick(random, 0, 9) == 0) {
            own.push_back(block);
            if (Pick(random, 0, 3) == 0)
                fa_thread_detach(allocator);
            else
                fa_allocator_trim(allocator);
        } else {
            Release(allocator, block, random);
        }
    }
    for (Block *block : own)
        Release(allocator, block, random);
}

void RunTrade(const fa_alloc_config &config, size_t thread_count) {
    uint64_t seed = Random().Seed();
    SCOPED_TRACE(seed);
    Tracked allocator(config);
    auto exchange = std::make_unique<Exchange>();
    for (int generation = 0; generation < 3; generation++) {
        std::vector<std::thread> threads;
        for (size_t i = 0; i < thread_count; i++)
            threads.emplace_back(Trade, static_cast<fa_allocator *>(allocator), exchange.get(),
                                 seed + 10 * static_cast<uint64_t>(generation) + i, Rounds(100000));
        for (std::thread &thread : threads)
            thread.join();
        allocator.Check();
    }
    Engine random(seed);
    for (auto &slot : exchange->slot)
        if (slot != nullptr)
            Release(allocator, slot, random);
    allocator.Check();
    EXPECT_EQ(allocator.Live(), 0u);
    EXPECT_EQ(fa_thread_count(allocator), 0u) << "a thread that only frees was attached";
    for (fa_diag diag : {FA_DIAG_FA601, FA_DIAG_FA602, FA_DIAG_FA603})
        EXPECT_EQ(allocator.Count(diag), 0u) << fa_diag_describe(diag).code;
}

} // namespace

TEST(PoolModel, TwoThreads) { RunTrade(Config(), 2); }

TEST(PoolModel, FourThreadsSmallSegments) {
    fa_alloc_config config = Config();
    config.pool_segment_bytes = 256 << 10;
    config.pool_magazine_bytes = 0;
    RunTrade(config, 4);
}

TEST(PoolModel, ThreeThreadsChecked) { RunTrade(Config(FA_CHECK_ALL), 3); }
