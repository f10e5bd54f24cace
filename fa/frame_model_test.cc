// Random frames against a model that knows every block: where it lies, what it holds, until when.
#include "fa/testing.hpp"

#include <algorithm>

using namespace fa_testing;

namespace {

struct Block {
    unsigned char *address;
    size_t size;
    uint64_t mark;
    size_t align;
};

struct Variant {
    const char *name;
    fa_alloc_config config;
    bool may_fail; // a cap or a seal forbids some
};

class Model {
  public:
    Model(fa_allocator *allocator, Random *random, const Variant &variant)
        : allocator_(allocator), random_(random), in_flight_(variant.config.frames_in_flight),
          may_fail_(variant.may_fail) {}

    void Step() {
        if (frame_ == nullptr)
            Begin();
        else if (random_->OneIn(60))
            End();
        else if (!Newest().empty() && random_->OneIn(5))
            Grow();
        else
            Alloc();
        if (random_->OneIn(16))
            ExpectValid(allocator_);
    }

    void Finish() {
        if (frame_ != nullptr)
            End();
        ExpectValid(allocator_);
        ExpectIdentities(allocator_);
        EXPECT_EQ(Stats(allocator_).frame_alloc_count, kCounted ? alloc_count_ : 0u);
        EXPECT_EQ(Stats(allocator_).frame_count, frame_count_);
        EXPECT_EQ(Stats(allocator_).frame_bytes, bytes_);
    }

  private:
    std::vector<Block> &Newest() { return frames_.back(); }

    void Begin() {
        // From now on the frame that began in_flight_ frames ago is dead.
        if (frames_.size() >= in_flight_)
            frames_.erase(frames_.begin());
        frame_ = fa_frame_begin(allocator_);
        ASSERT_NE(frame_, nullptr);
        EXPECT_EQ(fa_frame_bytes_in(frame_), 0u);
        EXPECT_EQ(fa_frame_count_in(frame_), 0u);
        frames_.emplace_back();
        // Some frames are large, most small, some empty.
        size_most_ = random_->OneIn(8) ? 200000 : random_->OneIn(2) ? 3000 : 100;
        CheckContents();
    }

    void End() {
        CheckContents();
        size_t asked = 0;
        for (const Block &block : Newest())
            asked += block.size;
        EXPECT_GE(fa_frame_bytes_in(frame_), asked);
        bytes_ += fa_frame_bytes_in(frame_);
        EXPECT_EQ(random_->OneIn(2) ? fa_frame_end(allocator_) : fa_frame_end_in(frame_), FA_OK);
        frame_ = nullptr;
        frame_count_++;
        if (in_flight_ == 1)
            frames_.clear();
        CheckContents();
    }

    void CheckContents() {
        for (const auto &frame : frames_)
            for (const Block &block : frame)
                ASSERT_TRUE(IsPainted(block.address, block.mark, block.size));
    }

    // The new block must not touch any other that is alive.
    void Add(void *address, size_t size, size_t align) {
        auto *begin = static_cast<unsigned char *>(address);
        ASSERT_TRUE(IsAligned(address, std::max(align, FA_ALIGN_MIN))) << align;
        for (const auto &frame : frames_)
            for (const Block &other : frame)
                ASSERT_TRUE(begin + size <= other.address || other.address + other.size <= begin);
        EXPECT_EQ(fa_intent_of(allocator_, begin), FA_INTENT_FRAME);
        EXPECT_EQ(fa_intent_of(allocator_, begin + size - 1), FA_INTENT_FRAME);
        Newest().push_back(Block{begin, size, ++mark_, align});
        Paint(begin, mark_, size);
        alloc_count_++;
    }

    void Refused(size_t bytes_before, uint64_t count_before) {
        EXPECT_TRUE(may_fail_) << fa_status_name(fa_last_error().status);
        const fa_status status = fa_last_error().status;
        EXPECT_TRUE(status == FA_ERROR_LIMIT || status == FA_ERROR_SEALED) << status;
        EXPECT_EQ(fa_frame_bytes_in(frame_), bytes_before);
        EXPECT_EQ(fa_frame_count_in(frame_), count_before);
    }

    void Alloc() {
        const size_t size = random_->Size(size_most_), bytes = fa_frame_bytes_in(frame_);
        const uint64_t count = fa_frame_count_in(frame_);
        const bool in = random_->OneIn(2);
        size_t align = 1, total = size;
        void *block = nullptr;
        bool zeroed = false;
        fa_status status;
        switch (random_->Below(6)) {
        case 0:
            align = static_cast<size_t>(1) << random_->Below(random_->OneIn(50) ? 22 : 13);
            block = in ? fa_frame_alloc_aligned_in(frame_, size, align)
                       : fa_frame_alloc_aligned(allocator_, size, align);
            break;
        case 1:
            total = size * 3;
            block = in ? fa_frame_alloc_batch_in(frame_, 3, size)
                       : fa_frame_alloc_batch(allocator_, size, 3);
            break;
        case 2:
            zeroed = true;
            total = size * 2;
            block = in ? fa_frame_alloc_zeroed_in(frame_, 2, size)
                       : fa_frame_alloc_zeroed(allocator_, size, 2);
            break;
        case 3:
            copy_.resize(std::max(copy_.size(), size));
            Paint(copy_.data(), 77, size);
            block = in ? fa_frame_copy_in(frame_, copy_.data(), size)
                       : fa_frame_copy(allocator_, copy_.data(), size);
            if (block != nullptr) {
                EXPECT_TRUE(IsPainted(block, 77, size));
            }
            break;
        case 4:
            align = static_cast<size_t>(1) << random_->Below(8);
            status = in ? fa_frame_try_alloc_in(frame_, size, align, &block)
                        : fa_frame_try_alloc(allocator_, size, align, &block);
            EXPECT_EQ(status, block != nullptr ? FA_OK : fa_last_error().status);
            break;
        default:
            block = in ? fa_frame_alloc_in(frame_, size) : fa_frame_alloc(allocator_, size);
        }
        if (block == nullptr)
            return Refused(bytes, count);
        if (zeroed) {
            EXPECT_TRUE(IsFilled(block, 0, total));
        } else if (fa_allocator_config(allocator_)->checks & FA_CHECK_FILL && align != 1) {
            EXPECT_TRUE(IsFilled(block, 0xAB, total));
        }
        Add(block, total, align);
    }

    void Grow() {
        std::vector<Block> &blocks = Newest();
        const size_t index = random_->OneIn(3) ? random_->Below(blocks.size()) : blocks.size() - 1;
        const Block old = blocks[index];
        const size_t size = random_->Size(size_most_), bytes = fa_frame_bytes_in(frame_);
        const uint64_t count = fa_frame_count_in(frame_);
        blocks.erase(blocks.begin() + static_cast<ptrdiff_t>(index));
        void *block = random_->OneIn(2) ? fa_frame_grow_in(frame_, old.address, old.size, size)
                                        : fa_frame_grow(allocator_, old.address, old.size, size);
        if (block == nullptr) {
            EXPECT_TRUE(IsPainted(old.address, old.mark, old.size));
            blocks.insert(blocks.begin() + static_cast<ptrdiff_t>(index), old);
            return Refused(bytes, count);
        }
        EXPECT_TRUE(IsPainted(block, old.mark, std::min(size, old.size)));
        alloc_count_ -= fa_frame_count_in(frame_) == count || !kCounted;
        Add(block, size, std::min<size_t>(old.align, FA_CACHE_LINE));
    }

    fa_allocator *allocator_;
    Random *random_;
    size_t in_flight_;
    bool may_fail_;
    fa_frame *frame_ = nullptr;
    std::vector<std::vector<Block>> frames_; // newest last; at most in_flight_ of them
    std::vector<unsigned char> copy_;
    uint64_t mark_ = 0, alloc_count_ = 0, frame_count_ = 0;
    size_t size_most_ = 100, bytes_ = 0; // handed out in ended frames
};

void Play(const Variant &variant, Random *random, int steps) {
    SCOPED_TRACE(testing::Message()
                 << variant.name << ", in flight " << variant.config.frames_in_flight << ", checks "
                 << variant.config.checks << ", FA_TEST_SEED=" << random->Seed());
    Source source;
    {
        Allocator allocator(variant.config, source);
        Model model(allocator, random, variant);
        for (int i = 0; i < steps && !testing::Test::HasFatalFailure(); i++)
            model.Step();
        model.Finish();
    }
    EXPECT_EQ(source.BytesLive(), 0u);
}

std::vector<Variant> Presets() {
    return {{"default", Plain(fa_alloc_config_default()), false},
            {"minimal", Plain(fa_alloc_config_minimal()), false},
            {"high_performance", Plain(fa_alloc_config_high_performance()), false}};
}

} // namespace

TEST(FrameModel, EveryPresetAndEveryCheck) {
    Random random;
    for (Variant variant : Presets())
        for (uint32_t checks : AllChecks()) {
            variant.config.checks = checks;
            Play(variant, &random, 400);
            if (HasFatalFailure())
                return;
        }
}

TEST(FrameModel, FramesInFlight) {
    Random random;
    for (Variant variant : Presets())
        for (uint32_t in_flight = 1; in_flight <= 4; in_flight++)
            for (uint32_t checks : {0, 7}) {
                variant.config.checks = checks;
                variant.config.frames_in_flight = in_flight;
                variant.config.frame_trim_after = 3;
                Play(variant, &random, 500);
                if (HasFatalFailure())
                    return;
            }
}

TEST(FrameModel, Caps) {
    Random random;
    for (uint32_t in_flight = 1; in_flight <= 4; in_flight++)
        for (uint32_t checks : {0, 7})
            for (fa_frame_full full : {FA_FRAME_FULL_FAIL, FA_FRAME_FULL_SPILL}) {
                fa_alloc_config config = Plain(fa_alloc_config_minimal());
                config.frames_in_flight = in_flight;
                config.frame_bytes_max = 100000;
                config.frame_full = full;
                config.frame_trim_after = 4;
                config.checks = checks;
                Play({"cap", config, full == FA_FRAME_FULL_FAIL}, &random, 800);
                if (HasFatalFailure())
                    return;
            }
}

TEST(FrameModel, Sealed) {
    Random random;
    for (uint32_t in_flight = 1; in_flight <= 4; in_flight++)
        for (fa_frame_full full : {FA_FRAME_FULL_FAIL, FA_FRAME_FULL_SPILL})
            for (uint32_t checks : {0, 7}) {
                fa_alloc_config config = Plain(fa_alloc_config_minimal());
                config.frames_in_flight = in_flight;
                config.frame_bytes_max = 300000;
                config.frame_full = full;
                config.checks = checks;
                const Variant variant = {"sealed", config, true};
                SCOPED_TRACE(testing::Message() << in_flight << " " << full << " " << checks
                                                << ", FA_TEST_SEED=" << random.Seed());
                Source source;
                {
                    Allocator allocator(config, source);
                    Model model(allocator, &random, variant);
                    for (int i = 0; i < 300 && !HasFatalFailure(); i++)
                        model.Step();
                    fa_backend_seal(allocator);
                    const uint64_t calls = source.Calls();
                    for (int i = 0; i < 600 && !HasFatalFailure(); i++)
                        model.Step();
                    model.Finish();
                    EXPECT_EQ(source.Calls(), calls);
                }
                EXPECT_EQ(source.BytesLive(), 0u);
                if (HasFatalFailure())
                    return;
            }
}
