// Random allocations, marks and rewinds against a model that knows every block and decides by
// itself which marks are alive.
#include "fa/testing.hpp"

#include <algorithm>

using namespace fa_testing;

namespace {

struct Block {
    unsigned char *address;
    size_t size;
    uint64_t paint;
};

struct Mark {
    fa_mark mark;
    size_t block_count;
    size_t bytes;
};

struct Variant {
    const char *name;
    fa_alloc_config config;
    bool shrinks;  // then peaks are not compared
    bool may_fail; // a cap or a seal forbids some
};

class Model {
  public:
    Model(fa_allocator *allocator, Random *random, const Variant &variant)
        : allocator_(allocator), random_(random), variant_(variant) {}

    void Step() {
        if (frame_ == nullptr)
            return Begin();
        switch (random_->Below(12)) {
        case 0:
        case 1:
        case 2:
            return SetMark();
        case 3:
        case 4:
            return alive_.empty() ? SetMark() : Rewind();
        case 5:
            return dead_.empty() ? Alloc() : Refused();
        case 6:
            return blocks_.empty() ? Alloc() : Grow();
        case 7:
            return random_->OneIn(8) ? End() : Nest(3);
        default:
            return Alloc();
        }
    }

    void Finish() {
        if (frame_ != nullptr)
            End();
        ExpectValid(allocator_);
        ExpectIdentities(allocator_);
        if (!variant_.shrinks) {
            EXPECT_EQ(Stats(allocator_).frame_bytes_peak, peak_);
        }
        EXPECT_EQ(Stats(allocator_).diag_count[FA_DIAG_FA008], refused_count_);
        EXPECT_EQ(Stats(allocator_).frame_alloc_count, kCounted ? alloc_count_ : 0);
    }

  private:
    void Begin() {
        frame_ = fa_frame_begin(allocator_);
        ASSERT_NE(frame_, nullptr);
        EXPECT_EQ(fa_frame_bytes_in(frame_), 0u);
        size_most_ = random_->OneIn(4) ? 200000 : random_->OneIn(2) ? 3000 : 100;
    }

    void End() {
        Check();
        EXPECT_EQ(fa_frame_end_in(frame_), FA_OK);
        frame_ = nullptr;
        Kill(0);
        blocks_.clear();
    }

    void Check() {
        for (const Block &block : blocks_)
            ASSERT_TRUE(IsPainted(block.address, block.paint, block.size));
        if (random_->OneIn(8))
            ExpectValid(allocator_);
    }

    void Add(void *address, size_t size) {
        auto *begin = static_cast<unsigned char *>(address);
        for (const Block &other : blocks_)
            ASSERT_TRUE(begin + size <= other.address || other.address + other.size <= begin);
        EXPECT_EQ(fa_intent_of(allocator_, begin + size - 1), FA_INTENT_FRAME);
        blocks_.push_back(Block{begin, size, ++paint_});
        Paint(begin, paint_, size);
        Peak();
    }

    void Peak() { peak_ = std::max(peak_, fa_frame_bytes_in(frame_)); }

    void Alloc() {
        const size_t size = random_->Size(size_most_);
        const size_t align = random_->OneIn(6) ? size_t{1} << random_->Below(13) : 16;
        void *block = fa_frame_alloc_aligned_in(frame_, size, align);
        if (block == nullptr) {
            EXPECT_TRUE(variant_.may_fail) << fa_status_name(fa_last_error().status);
            return;
        }
        alloc_count_++;
        Add(block, size);
    }

    void Grow() {
        Block &old =
            blocks_[random_->OneIn(3) ? random_->Below(blocks_.size()) : blocks_.size() - 1];
        const size_t size =
            variant_.shrinks ? random_->Size(size_most_) : old.size + random_->Below(2000);
        const uint64_t count = fa_frame_count_in(frame_);
        void *block = fa_frame_grow_in(frame_, old.address, old.size, size);
        alloc_count_ += fa_frame_count_in(frame_) - count;
        if (block == nullptr) {
            EXPECT_TRUE(variant_.may_fail) << fa_status_name(fa_last_error().status);
        } else if (block == old.address) {
            const bool marked = !alive_.empty() &&
                                alive_.back().block_count > static_cast<size_t>(&old - &blocks_[0]);
            EXPECT_TRUE(!marked || size <= old.size) << "grown across a mark";
            // With notes a block is known by its size; a smaller one keeps its contents.
            old.size = size;
            if (!marked)
                Paint(block, old.paint, size);
            EXPECT_TRUE(IsPainted(block, old.paint, size));
            Peak();
        } else {
            EXPECT_TRUE(IsPainted(block, old.paint, std::min(size, old.size)));
            Add(block, size); // the old place stays as it is
        }
    }

    void SetMark() {
        const fa_mark mark =
            random_->OneIn(2) ? fa_frame_mark_in(frame_) : fa_frame_mark(allocator_);
        ASSERT_NE(mark.serial, 0u);
        alive_.push_back(Mark{mark, blocks_.size(), fa_frame_bytes_in(frame_)});
    }

    // The marks from number `first` on are dead.
    void Kill(size_t first) {
        for (size_t i = first; i < alive_.size(); i++)
            dead_.push_back(alive_[i].mark);
        alive_.resize(first);
        while (dead_.size() > 200)
            dead_.erase(dead_.begin() + static_cast<ptrdiff_t>(random_->Below(dead_.size())));
    }

    void Rewind() {
        const size_t index =
            random_->OneIn(2)
                ? alive_.size() - 1
                : alive_.size() - 1 -
                      random_->Below(std::min<size_t>(alive_.size(), random_->OneIn(9) ? 99 : 4));
        const Mark mark = alive_[index];
        const fa_status status = random_->OneIn(2) ? fa_frame_rewind_in(frame_, mark.mark)
                                                   : fa_frame_rewind(allocator_, mark.mark);
        if (fa_backend_is_sealed(allocator_) && status == FA_ERROR_FOREIGN) {
            refused_count_++;
            alive_.erase(alive_.begin() + static_cast<ptrdiff_t>(index));
            return;
        }
        ASSERT_EQ(status, FA_OK);
        blocks_.resize(mark.block_count);
        Kill(index + 1);
        EXPECT_EQ(fa_frame_bytes_in(frame_), mark.bytes);
        Check();
    }

    void Refused() {
        const size_t bytes = fa_frame_bytes_in(frame_);
        const fa_mark mark = dead_[random_->Below(dead_.size())];
        ASSERT_EQ(fa_frame_rewind_in(frame_, mark), FA_ERROR_FOREIGN);
        refused_count_++;
        EXPECT_EQ(fa_frame_bytes_in(frame_), bytes);
    }

    // Guards in each other, some of them committed.
    void Nest(int depth) {
        const size_t bytes = fa_frame_bytes_in(frame_), block_count = blocks_.size();
        const size_t alive_count = alive_.size();
        const bool commit = random_->OneIn(2);
        fa_mark_guard guard = fa_mark_guard_begin_in(frame_);
        for (size_t i = random_->Below(6); i > 0; i--)
            random_->OneIn(3) ? SetMark() : Alloc();
        if (depth > 0 && random_->OneIn(2))
            Nest(depth - 1);
        if (commit)
            fa_mark_guard_commit(&guard);
        ASSERT_EQ(fa_mark_guard_end(&guard), FA_OK);
        if (commit)
            return;
        blocks_.resize(block_count);
        Kill(alive_count);
        EXPECT_EQ(fa_frame_bytes_in(frame_), bytes);
        Check();
    }

    fa_allocator *allocator_;
    Random *random_;
    const Variant &variant_;
    fa_frame *frame_ = nullptr;
    std::vector<Block> blocks_; // in the order in which they were made
    std::vector<Mark> alive_;   // likewise
    std::vector<fa_mark> dead_;
    size_t size_most_ = 100, peak_ = 0;
    uint64_t paint_ = 0, refused_count_ = 0, alloc_count_ = 0;
};

void Play(Variant variant, Random *random, int steps, int sealed_steps = 0) {
    for (uint32_t in_flight : {1u, 2u})
        for (uint32_t checks : {0u, uint32_t{FA_CHECK_ALL}}) {
            variant.config.frames_in_flight = in_flight;
            variant.config.checks = checks;
            SCOPED_TRACE(testing::Message()
                         << variant.name << ", in flight " << in_flight << ", checks " << checks
                         << ", FA_TEST_SEED=" << random->Seed());
            Source source;
            {
                Allocator allocator(variant.config, source);
                Model model(allocator, random, variant);
                for (int i = 0; i < steps && !testing::Test::HasFailure(); i++)
                    model.Step();
                if (sealed_steps != 0)
                    fa_backend_seal(allocator);
                variant.may_fail |= sealed_steps != 0;
                for (int i = 0; i < sealed_steps && !testing::Test::HasFailure(); i++)
                    model.Step();
                model.Finish();
            }
            EXPECT_EQ(source.BytesLive(), 0u);
            if (testing::Test::HasFailure())
                return;
        }
}

} // namespace

TEST(MarkModel, Presets) {
    Random random;
    Play({"minimal", Plain(fa_alloc_config_minimal()), false, false}, &random, 3000);
    Play({"default", Plain(), false, false}, &random, 3000);
    Play({"minimal", Plain(fa_alloc_config_minimal()), true, false}, &random, 3000);
    Play({"default", Plain(), true, false}, &random, 3000);
}

TEST(MarkModel, Caps) {
    Random random;
    for (fa_frame_full full : {FA_FRAME_FULL_FAIL, FA_FRAME_FULL_SPILL}) {
        fa_alloc_config config = Plain(fa_alloc_config_minimal());
        config.frame_bytes_max = 100000;
        config.frame_full = full;
        Play({"cap", config, false, full == FA_FRAME_FULL_FAIL}, &random, 3000);
        Play({"cap", config, true, full == FA_FRAME_FULL_FAIL}, &random, 3000);
    }
}

TEST(MarkModel, Sealed) {
    Random random;
    for (fa_frame_full full : {FA_FRAME_FULL_FAIL, FA_FRAME_FULL_SPILL}) {
        fa_alloc_config config = Plain(fa_alloc_config_minimal());
        config.frame_bytes_max = 300000;
        config.frame_full = full;
        for (int i = 0; i < 4; i++)
            Play({"sealed", config, false, true}, &random, 200, 1500);
    }
}
