// Tags against a naive model: random calls on several threads, and what each tag must hold.
#include "fa/testing_threads.hpp"

#include <array>
#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <vector>

using namespace fa_testing;

namespace {

constexpr size_t kTags = 60;

struct Block {
    unsigned char *bytes;
    size_t size, usable;
    fa_tag tag;
    bool in_pool;
    unsigned char mark;
};

// What one tag did, without those below it.
struct Numbers {
    std::atomic<uint64_t> pool_allocs{0}, pool_frees{0}, pool_bytes{0};
    std::atomic<uint64_t> heap_allocs{0}, heap_frees{0}, heap_bytes{0};
    std::atomic<uint64_t> frame_bytes{0}, frame_allocs{0};
    std::atomic<size_t> frame_peak{0}; // with those below it
};

void Raise(std::atomic<size_t> &most, size_t value) {
    size_t seen = most;
    while (seen < value && !most.compare_exchange_weak(seen, value)) {
    }
}

fa_alloc_config Unchecked(fa_alloc_config config) {
    config.checks = 0;
    return config;
}

// What the threads share.
class World {
  public:
    explicit World(const fa_alloc_config &config)
        : allocator_(config), plain_(Unchecked(config)),
          guarded_((config.checks & FA_CHECK_GUARD) != 0) {
        const char *names[] = {"ai", "world", "sound", "ui"};
        for (size_t i = fa_tag_count(allocator_); i < kTags; i++) {
            std::string path = names[i % 4];
            for (size_t rest = i / 4; rest != 0; rest /= 3)
                path += "::part" + std::to_string(rest % 3);
            tags_.push_back(fa_tag_intern(allocator_, path.c_str()));
        }
        tags_.push_back(FA_TAG_PHYSICS);
        tags_.push_back(FA_TAG_ROOT);
        EXPECT_LT(fa_tag_count(allocator_), kMost);
    }

    bool IsBelow(fa_tag tag, fa_tag above) const {
        while (tag != above && tag != FA_TAG_ROOT)
            tag = fa_tag_parent(allocator_, tag);
        return tag == above;
    }

    void Free(Block block, Engine &random) {
        EXPECT_TRUE(IsFilled(block.bytes, block.mark, block.size)) << "contents changed";
        Numbers &numbers = numbers_[block.tag];
        if (!block.in_pool) {
            numbers.heap_frees++;
            numbers.heap_bytes -= block.size;
            fa_heap_free(allocator_, block.bytes);
            return;
        }
        numbers.pool_frees++;
        numbers.pool_bytes -= block.usable;
        switch (Pick(random, 0, 2)) {
        case 0:
            fa_pool_free(allocator_, block.bytes);
            break;
        case 1: {
            void *one = block.bytes;
            fa_pool_free_batch(allocator_, &one, 1);
            break;
        }
        default:
            fa_pool_free_sized(allocator_, block.bytes, block.size);
        }
    }

    // What a pool object of so many bytes counts for.
    size_t ClassBytes(size_t size) const {
        return fa_pool_class_size(plain_, size + (guarded_ ? 16 : 0));
    }

    // No other thread may be busy, no frame open.
    void Compare() {
        allocator_.Check();
        for (fa_tag tag = 0; tag < fa_tag_count(allocator_); tag++)
            CompareTag(tag);
        fa_tag_stats root;
        ASSERT_EQ(fa_tag_stats_get(allocator_, FA_TAG_ROOT, &root), FA_OK);
        const fa_stats all = allocator_.Stats();
        EXPECT_EQ(root.pool_alloc_count, all.pool_alloc_count);
        EXPECT_EQ(root.pool_free_count, all.pool_free_count);
        EXPECT_EQ(root.pool_live_bytes, all.pool_live_bytes);
        EXPECT_EQ(root.heap_alloc_count, all.heap_alloc_count);
        EXPECT_EQ(root.heap_live_bytes, all.heap_live_bytes);
        EXPECT_EQ(root.heap_bytes_peak, all.heap_bytes_peak);
        EXPECT_EQ(root.frame_bytes_total, all.frame_bytes);
        EXPECT_EQ(root.frame_alloc_count, all.frame_alloc_count);
    }

    static constexpr size_t kMost = 400;
    static constexpr size_t kSlots = 64;
    Tracked allocator_;
    Tracked plain_; // of the same classes, without checks
    bool guarded_;
    std::vector<fa_tag> tags_;
    std::array<Numbers, kMost> numbers_;
    std::atomic<Block *> slot_[kSlots] = {};

  private:
    void CompareTag(fa_tag tag) {
        uint64_t pool_allocs = 0, pool_frees = 0, pool_bytes = 0, heap_allocs = 0, heap_frees = 0;
        uint64_t heap_bytes = 0, frame_bytes = 0, frame_allocs = 0;
        for (fa_tag i = tag; i < fa_tag_count(allocator_); i++) {
            if (!IsBelow(i, tag))
                continue;
            const Numbers &numbers = numbers_[i];
            pool_allocs += numbers.pool_allocs;
            pool_frees += numbers.pool_frees;
            pool_bytes += numbers.pool_bytes;
            heap_allocs += numbers.heap_allocs;
            heap_frees += numbers.heap_frees;
            heap_bytes += numbers.heap_bytes;
            frame_bytes += numbers.frame_bytes;
            frame_allocs += numbers.frame_allocs;
        }
        fa_tag_stats stats;
        ASSERT_EQ(fa_tag_stats_get(allocator_, tag, &stats), FA_OK);
        SCOPED_TRACE(tag);
        EXPECT_EQ(stats.tag, tag);
        if (kCounted) {
            EXPECT_EQ(stats.pool_alloc_count, pool_allocs);
            EXPECT_EQ(stats.pool_free_count, pool_frees);
            EXPECT_EQ(stats.pool_live_count, pool_allocs - pool_frees);
            EXPECT_EQ(stats.pool_live_bytes, pool_bytes);
            EXPECT_EQ(stats.frame_alloc_count, frame_allocs);
        }
        EXPECT_GE(stats.pool_bytes_ready, pool_bytes);
        EXPECT_GE(stats.pool_bytes_peak, stats.pool_bytes_ready);
        EXPECT_EQ(stats.heap_alloc_count, heap_allocs);
        EXPECT_EQ(stats.heap_free_count, heap_frees);
        EXPECT_EQ(stats.heap_live_bytes, heap_bytes);
        EXPECT_GE(stats.heap_bytes_peak, heap_bytes);
        EXPECT_EQ(stats.frame_bytes_total, frame_bytes);
        EXPECT_EQ(stats.frame_bytes, 0u);
        if (tag != FA_TAG_ROOT) {
            EXPECT_EQ(stats.frame_bytes_peak, numbers_[tag].frame_peak);
        }
    }
};

// One thread's part.
class Actor {
  public:
    Actor(World *world, uint64_t seed) : world_(world), a_(world->allocator_), random_(seed) {}

    void Run(size_t rounds) {
        for (size_t i = 0; i < rounds && !testing::Test::HasFailure(); i++)
            Step();
        if (frame_ != nullptr)
            EndFrame();
        for (const Block &block : own_)
            world_->Free(block, random_);
    }

  private:
    struct Mark {
        fa_mark mark;
        std::map<fa_tag, size_t> bytes;
    };

    fa_tag Now() const { return stack_.empty() ? FA_TAG_ROOT : stack_.back(); }

    void Step() {
        ASSERT_EQ(fa_tag_current(a_), Now());
        switch (Pick(random_, 0, 15)) {
        case 0:
        case 1:
        case 2:
            return Enter();
        case 3:
        case 4:
            return Leave();
        case 5:
            return frame_ == nullptr ? BeginFrame() : FrameStep();
        case 6:
        case 7:
        case 8:
            if (frame_ != nullptr)
                return FrameStep();
            [[fallthrough]];
        case 9:
        case 10:
        case 11:
            return AllocBlock();
        case 12:
            return Rarely();
        default:
            return FreeBlock();
        }
    }

    void Enter() {
        const fa_tag tag = world_->tags_[Pick(random_, 0, world_->tags_.size() - 1)];
        if (stack_.size() == FA_TAG_DEPTH_MAX) {
            ASSERT_EQ(fa_tag_enter(a_, tag), FA_ERROR_LIMIT);
            return;
        }
        ASSERT_EQ(fa_tag_enter(a_, tag), FA_OK);
        stack_.push_back(tag);
    }

    void Leave() {
        if (stack_.empty()) {
            return;
        }
        ASSERT_EQ(fa_tag_leave(a_), FA_OK);
        stack_.pop_back();
    }

    void BeginFrame() {
        frame_ = fa_frame_begin(a_);
        ASSERT_NE(frame_, nullptr);
    }

    void EndFrame() {
        CompareFrame();
        ASSERT_EQ(fa_frame_end_in(frame_), FA_OK);
        frame_ = nullptr;
        for (fa_tag tag = 0; tag < fa_tag_count(a_); tag++) {
            world_->numbers_[tag].frame_bytes += bytes_[tag];
            world_->numbers_[tag].frame_allocs += allocs_[tag];
            const size_t sum = Below(tag);
            Raise(world_->numbers_[tag].frame_peak, sum);
            if (tag == FA_TAG_ROOT || Pick(random_, 0, 3) != 0)
                continue;
            fa_tag_stats stats;
            ASSERT_EQ(fa_tag_stats_get(a_, tag, &stats), FA_OK);
            EXPECT_EQ(stats.frame_bytes_last, sum);
        }
        bytes_.clear();
        allocs_.clear();
        marks_.clear();
    }

    size_t Below(fa_tag tag) const {
        size_t sum = 0;
        for (const auto &[each, bytes] : bytes_)
            sum += world_->IsBelow(each, tag) ? bytes : 0;
        return sum;
    }

    void CompareFrame() {
        const fa_tag tag = world_->tags_[Pick(random_, 0, world_->tags_.size() - 1)];
        fa_tag_stats stats;
        ASSERT_EQ(fa_tag_stats_get(a_, tag, &stats), FA_OK);
        ASSERT_EQ(stats.frame_bytes, Below(tag)) << tag;
    }

    // Also the size of what checks add.
    void Took(fa_tag tag, size_t before, bool counted = true) {
        bytes_[tag] += fa_frame_bytes_in(frame_) - before;
        allocs_[tag] += counted;
    }

    void FrameStep() {
        const size_t before = fa_frame_bytes_in(frame_);
        switch (Pick(random_, 0, 19)) {
        case 0:
            return EndFrame();
        case 1:
            return CompareFrame();
        case 2:
        case 3:
            marks_.push_back({fa_frame_mark_in(frame_), bytes_});
            return;
        case 4:
        case 5:
            return Rewind();
        case 6: {
            const fa_tag tag = world_->tags_[Pick(random_, 0, world_->tags_.size() - 1)];
            if (stack_.size() < FA_TAG_DEPTH_MAX) {
                ASSERT_NE(fa_tagged_frame_alloc(fa_tagged{a_, tag}, Pick(random_, 1, 200)),
                          nullptr);
                Took(tag, before);
            }
            return;
        }
        case 7:
            ASSERT_NE(fa_frame_alloc_aligned(a_, Pick(random_, 1, 20000), 256), nullptr);
            return Took(Now(), before);
        case 8:
            return Grow();
        default:
            ASSERT_NE(fa_frame_alloc_in(frame_, Pick(random_, 1, 300)), nullptr);
            return Took(Now(), before);
        }
    }

    // The newest block grows, in place or not; a block of another tag never does.
    void Grow() {
        size_t before = fa_frame_bytes_in(frame_);
        void *block = fa_frame_alloc_in(frame_, 64);
        ASSERT_NE(block, nullptr);
        Took(Now(), before);
        const bool switched = Pick(random_, 0, 1) == 0 && stack_.size() < FA_TAG_DEPTH_MAX;
        if (switched)
            Enter();
        before = fa_frame_bytes_in(frame_);
        const uint64_t count = fa_frame_count_in(frame_);
        void *grown = fa_frame_grow_in(frame_, block, 64, Pick(random_, 65, 500));
        ASSERT_NE(grown, nullptr);
        EXPECT_TRUE(!switched || grown != block);
        Took(Now(), before, kCounted ? fa_frame_count_in(frame_) != count : grown != block);
    }

    void Rewind() {
        if (marks_.empty())
            return;
        const size_t which = Pick(random_, 0, marks_.size() - 1);
        ASSERT_EQ(fa_frame_rewind_in(frame_, marks_[which].mark), FA_OK);
        bytes_ = marks_[which].bytes;
        marks_.resize(which + 1);
    }

    void AllocBlock() {
        fa_tag tag = Now();
        const bool in_pool = Pick(random_, 0, 5) != 0;
        const bool facade = Pick(random_, 0, 4) == 0 && stack_.size() < FA_TAG_DEPTH_MAX;
        const size_t size = Pick(random_, 1, in_pool ? 700 : 20000);
        if (facade)
            tag = world_->tags_[Pick(random_, 0, world_->tags_.size() - 1)];
        void *bytes;
        if (facade)
            bytes = in_pool ? fa_tagged_pool_alloc(fa_tagged{a_, tag}, size)
                            : fa_tagged_heap_alloc(fa_tagged{a_, tag}, size);
        else
            bytes = in_pool ? fa_pool_alloc(a_, size) : fa_heap_alloc(a_, size);
        ASSERT_NE(bytes, nullptr);
        Block block = {static_cast<unsigned char *>(bytes),  size, 0, tag, in_pool,
                       static_cast<unsigned char>(random_())};
        memset(bytes, block.mark, size);
        Numbers &numbers = world_->numbers_[tag];
        if (in_pool) {
            block.usable = world_->ClassBytes(size);
            numbers.pool_allocs++;
            numbers.pool_bytes += block.usable;
        } else {
            numbers.heap_allocs++;
            numbers.heap_bytes += size;
        }
        own_.push_back(block);
    }

    void FreeBlock() {
        if (own_.empty())
            return;
        const size_t which = Pick(random_, 0, own_.size() - 1);
        Block block = own_[which];
        own_[which] = own_.back();
        own_.pop_back();
        if (Pick(random_, 0, 1) == 0)
            return world_->Free(block, random_);
        // Somebody else is to free it, and this thread gets another one's.
        auto *kept = new Block(block);
        kept = world_->slot_[Pick(random_, 0, World::kSlots - 1)].exchange(kept);
        if (kept != nullptr)
            world_->Free(*kept, random_);
        delete kept;
    }

    void Rarely() {
        switch (Pick(random_, 0, 40)) {
        case 0:
            fa_allocator_trim(a_);
            return;
        case 1:
            if (frame_ == nullptr) {
                fa_thread_detach(a_);
                stack_.clear();
            }
            return;
        case 2:
            if (stack_.size() < FA_TAG_DEPTH_MAX) {
                ASSERT_EQ(fa_tag_enter_name(a_, "deep"), FA_OK);
                stack_.push_back(fa_tag_current(a_));
                ASSERT_EQ(fa_tag_parent(a_, stack_.back()),
                          stack_.size() > 1 ? stack_[stack_.size() - 2] : FA_TAG_ROOT);
                Leave();
            }
            return;
        case 3:
            if (!own_.empty() && !own_.back().in_pool) {
                Block &block = own_.back();
                const size_t size = Pick(random_, block.size / 2 + 1, block.size * 2);
                return Resize(block, size);
            }
            return;
        default:
            return;
        }
    }

    // A block that moves is a new one and a free, both of its own tag.
    void Resize(Block &block, size_t size) {
        void *moved = fa_heap_realloc(a_, block.bytes, size);
        ASSERT_NE(moved, nullptr);
        Numbers &numbers = world_->numbers_[block.tag];
        if (moved != block.bytes) {
            numbers.heap_allocs++;
            numbers.heap_frees++;
        }
        numbers.heap_bytes += size - block.size;
        block.bytes = static_cast<unsigned char *>(moved);
        block.size = size;
        memset(moved, block.mark, size);
    }

    World *world_;
    fa_allocator *a_;
    Engine random_;
    fa_frame *frame_ = nullptr;
    std::vector<fa_tag> stack_;
    std::map<fa_tag, size_t> bytes_, allocs_; // in the open frame
    std::vector<Mark> marks_;
    std::vector<Block> own_;
};

void RunModel(fa_alloc_config config, size_t thread_count, size_t rounds = 20000) {
    const uint64_t seed = Random().Seed();
    SCOPED_TRACE(seed);
    config.on_event = nullptr;
    config.strict = false;
    auto world = std::make_unique<World>(config);
    for (uint64_t generation = 0; generation < 3; generation++) {
        std::vector<std::thread> threads;
        for (size_t i = 0; i < thread_count; i++)
            threads.emplace_back([&world, seed, generation, i, rounds] {
                Actor(world.get(), seed + 100 * generation + i).Run(Rounds(rounds));
            });
        for (std::thread &thread : threads)
            thread.join();
        world->Compare();
    }
    Engine random(seed);
    for (auto &slot : world->slot_)
        if (Block *block = slot.exchange(nullptr)) {
            world->Free(*block, random);
            delete block;
        }
    world->Compare();
    EXPECT_EQ(world->allocator_.Live(), 0u);
    for (fa_tag tag = 0; tag < fa_tag_count(world->allocator_); tag++) {
        fa_tag_stats stats;
        ASSERT_EQ(fa_tag_stats_get(world->allocator_, tag, &stats), FA_OK);
        EXPECT_EQ(stats.pool_bytes_ready, 0u) << "no thread keeps anything ready";
    }
    for (fa_diag diag : {FA_DIAG_FA401, FA_DIAG_FA601, FA_DIAG_FA602, FA_DIAG_FA901})
        EXPECT_EQ(world->allocator_.Count(diag), 0u) << fa_diag_describe(diag).code;
}

fa_alloc_config Small() {
    fa_alloc_config config = fa_alloc_config_minimal();
    config.pool_trim_after = 3;
    config.frame_trim_after = 2;
    return config;
}

} // namespace

TEST(TagModel, OneThread) { RunModel(Config(), 1, 60000); }

TEST(TagModel, FourThreads) { RunModel(Config(), 4); }

TEST(TagModel, SmallChunksAndMagazines) { RunModel(Small(), 3); }

TEST(TagModel, FramesInFlight) {
    fa_alloc_config config = Small();
    config.frames_in_flight = 2;
    RunModel(config, 2);
}

TEST(TagModel, Checked) {
    fa_alloc_config config = Small();
    config.checks = FA_CHECK_ALL;
    RunModel(config, 2, 8000);
    config.frames_in_flight = 2;
    config.checks = FA_CHECK_FREE;
    RunModel(config, 2, 8000);
}
