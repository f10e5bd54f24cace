// Phases: what each took, one promise at a time, and against a model that watches every step.
#include "fa/testing_threads.hpp"

#include <string>

using namespace fa_testing;

namespace {

class PhaseTest : public testing::TestWithParam<uint32_t> {
  protected:
    Events events;
    Source source;
    fa_alloc_config config = Plain(fa_alloc_config_minimal());

    PhaseTest() {
        fa_last_error_clear();
        config.checks = GetParam();
        events.Watch(&config);
    }

    static fa_phase Get(fa_allocator *allocator, size_t index) {
        fa_phase phase;
        EXPECT_EQ(fa_phase_get(allocator, index, &phase), FA_OK) << index;
        return phase;
    }
};

INSTANTIATE_TEST_SUITE_P(Checks, PhaseTest, testing::Values(0u, uint32_t{FA_CHECK_ALL}));

TEST_P(PhaseTest, RecordsAreInTheOrderOfBegin) {
    for (bool clock : {true, false}) {
        config.phase_clock = clock;
        Allocator allocator(config, source);
        for (int round = 0; round < 3; round++) {
            fa_frame *frame = fa_frame_begin(allocator);
            EXPECT_EQ(fa_phase_count(allocator), 0u);
            EXPECT_EQ(fa_phase_begin(allocator, "update"), FA_OK);
            (void)!fa_frame_alloc_in(frame, 160);
            EXPECT_EQ(fa_phase_begin_in(frame, "physics"), FA_OK);
            EXPECT_STREQ(fa_phase_current(allocator), "physics");
            const size_t before = fa_frame_bytes_in(frame);
            (void)!fa_frame_alloc_in(frame, 16000);
            (void)!fa_frame_alloc_in(frame, 160);
            const size_t taken = fa_frame_bytes_in(frame) - before;
            EXPECT_TRUE(Get(allocator, 1).is_open);
            EXPECT_EQ(Get(allocator, 1).bytes, taken) << "so far";
            EXPECT_EQ(fa_phase_end_in(frame), FA_OK);
            EXPECT_STREQ(fa_phase_current(allocator), "update");
            EXPECT_EQ(fa_phase_end(allocator), FA_OK);
            EXPECT_EQ(fa_phase_current(allocator), nullptr);
            EXPECT_EQ(fa_phase_begin(allocator, "draw"), FA_OK);
            EXPECT_EQ(fa_phase_end(allocator), FA_OK);
            const size_t bytes = fa_frame_bytes_in(frame);
            for (bool ended : {false, true}) {
                if (ended)
                    fa_frame_end_in(frame);
                ASSERT_EQ(fa_phase_count(allocator), 3u);
                const fa_phase update = Get(allocator, 0), physics = Get(allocator, 1);
                const fa_phase draw = Get(allocator, 2);
                EXPECT_STREQ(update.name, "update");
                EXPECT_STREQ(physics.name, "physics");
                EXPECT_STREQ(draw.name, "draw");
                EXPECT_EQ(update.depth, 0u);
                EXPECT_EQ(physics.depth, 1u);
                EXPECT_EQ(update.parent, FA_PHASE_NONE);
                EXPECT_EQ(physics.parent, 0u);
                EXPECT_EQ(draw.parent, FA_PHASE_NONE);
                EXPECT_EQ(update.bytes, bytes);
                EXPECT_EQ(physics.bytes, taken);
                EXPECT_EQ(draw.bytes, 0u);
                EXPECT_EQ(update.bytes_peak, bytes);
                EXPECT_EQ(update.alloc_count, kCounted ? 3u : 0u);
                EXPECT_EQ(physics.alloc_count, kCounted ? 2u : 0u);
                EXPECT_EQ(update.count, 1u);
                EXPECT_FALSE(update.is_open || physics.is_open || draw.is_open);
                EXPECT_EQ(update.nanoseconds > 0, clock);
                EXPECT_GE(update.nanoseconds, physics.nanoseconds);
                fa_phase none;
                EXPECT_EQ(fa_phase_get(allocator, 3, &none), FA_ERROR_INVALID);
                EXPECT_EQ(none.name, nullptr);
            }
        }
        EXPECT_NE(fa_frame_begin(allocator), nullptr);
        EXPECT_EQ(fa_phase_count(allocator), 0u) << "gone with the next begin";
        fa_frame_end(allocator);
        EXPECT_EQ(fa_phase_count(allocator), 0u);
    }
    EXPECT_EQ(events.Count(FA_DIAG_FA011), 0u);
}

TEST_P(PhaseTest, PeaksSeeWhatWasRewound) {
    Allocator allocator(config, source);
    fa_frame *frame = fa_frame_begin(allocator);
    fa_phase_begin_in(frame, "outer");
    size_t inner_peak = 0;
    for (int i = 0; i < 3; i++) {
        fa_phase_begin_in(frame, "inner");
        const size_t start = fa_frame_bytes_in(frame);
        {
            fa_mark_scope_in(frame, scope);
            for (int k = 0; k <= 2 - i; k++)
                (void)!fa_frame_alloc_in(frame, 1000);
            inner_peak = fa_frame_bytes_in(frame) - start;
        }
        (void)!fa_frame_alloc_in(frame, 16);
        EXPECT_EQ(fa_phase_end_in(frame), FA_OK);
        EXPECT_EQ(Get(allocator, static_cast<size_t>(i) + 1).bytes_peak, inner_peak) << i;
        EXPECT_LT(Get(allocator, static_cast<size_t>(i) + 1).bytes, 200u);
    }
    fa_phase_end_in(frame);
    EXPECT_GE(Get(allocator, 0).bytes_peak, 3000u);
    EXPECT_LT(Get(allocator, 0).bytes, 600u);
    fa_frame_end_in(frame);
    EXPECT_GE(Stats(allocator).frame_bytes_peak, 3000u);
}

TEST_P(PhaseTest, ARewindBeforeItsBeginMovesThat) {
    Allocator allocator(config, source);
    fa_frame *frame = fa_frame_begin(allocator);
    const fa_mark mark = fa_frame_mark_in(frame);
    (void)!fa_frame_alloc_in(frame, 6000);
    fa_phase_begin_in(frame, "phase");
    const size_t start = fa_frame_bytes_in(frame);
    (void)!fa_frame_alloc_in(frame, 1000);
    const size_t peak = fa_frame_bytes_in(frame) - start;
    EXPECT_EQ(fa_frame_rewind_in(frame, mark), FA_OK);
    EXPECT_EQ(Get(allocator, 0).bytes, 0u);
    EXPECT_EQ(Get(allocator, 0).bytes_peak, peak);
    (void)!fa_frame_alloc_in(frame, 100);
    const size_t bytes = fa_frame_bytes_in(frame);
    fa_phase_end_in(frame);
    EXPECT_EQ(Get(allocator, 0).bytes, bytes);
    EXPECT_EQ(Get(allocator, 0).bytes_peak, peak);
    fa_frame_end_in(frame);
}

TEST_P(PhaseTest, FindSumsPhasesOfOneName) {
    Allocator allocator(config, source);
    fa_frame *frame = fa_frame_begin(allocator);
    const std::string same = "ai"; // another address than the literal
    size_t bytes = 0, peak = 0;
    for (int i = 1; i <= 3; i++) {
        const size_t before = fa_frame_bytes_in(frame);
        fa_phase_begin_in(frame, i == 2 ? same.c_str() : "ai");
        for (int k = 0; k < i; k++)
            (void)!fa_frame_alloc_in(frame, 160);
        fa_phase_begin_in(frame, "ai"); // inside of one of the same name
        (void)!fa_frame_alloc_in(frame, 16);
        fa_phase_end_in(frame);
        fa_phase_end_in(frame);
        bytes += fa_frame_bytes_in(frame) - before;
        peak = std::max(peak, fa_frame_bytes_in(frame) - before);
    }
    fa_phase sum;
    ASSERT_EQ(fa_phase_find(allocator, "ai", &sum), FA_OK);
    EXPECT_EQ(sum.count, 3u);
    EXPECT_EQ(sum.bytes, bytes);
    EXPECT_EQ(sum.bytes_peak, peak);
    EXPECT_EQ(sum.alloc_count, kCounted ? 9u : 0u);
    EXPECT_EQ(fa_phase_find(allocator, "audio", &sum), FA_ERROR_INVALID);
    fa_frame_end_in(frame);
}

TEST_P(PhaseTest, AHookThatBeginsPhasesDoesNotKeepAFrameOpen) {
    config.on_event = [](void *user, const fa_event *event) {
        static_cast<Events *>(user)->all.push_back(*event);
        if (event->diag == FA_DIAG_FA011 && static_cast<Events *>(user)->all.size() < 1000)
            fa_phase_begin(const_cast<fa_allocator *>(event->allocator), "from the hook");
    };
    config.on_event_user = &events;
    Allocator allocator(config, source);
    for (bool lost : {false, true}) {
        events.all.clear();
        fa_frame *frame = fa_frame_begin(allocator);
        EXPECT_EQ(fa_phase_begin_in(frame, "x"), FA_OK);
        EXPECT_EQ(fa_phase_begin_in(frame, "y"), FA_OK);
        source.Fail(lost ? 1 : 0);
        fa_status status = FA_OK;
        for (int i = 0; lost && status == FA_OK; i++) // a phase without a record is open, too
            if ((status = fa_phase_begin_in(frame, "z")) == FA_OK)
                fa_phase_end_in(frame);
        EXPECT_EQ(fa_frame_end_in(frame), FA_OK);
        source.Fail(0);
        EXPECT_EQ(events.Count(FA_DIAG_FA011), lost ? 3u : 2u) << "as many as were open";
        EXPECT_EQ(fa_phase_lost_count(allocator) > 0, lost);
        for (size_t i = 0; i < fa_phase_count(allocator); i++) {
            fa_phase phase;
            EXPECT_EQ(fa_phase_get(allocator, i, &phase), FA_OK);
            EXPECT_FALSE(phase.is_open);
        }
        ExpectValid(allocator);
    }
}

TEST_P(PhaseTest, UnbalancedUseIsReported) {
    Allocator allocator(config, source);
    EXPECT_EQ(fa_phase_begin(allocator, "x"), FA_ERROR_NO_FRAME);
    EXPECT_EQ(fa_phase_end(allocator), FA_ERROR_NO_FRAME);
    fa_frame *frame = fa_frame_begin(allocator);
    EXPECT_EQ(fa_phase_end_in(frame), FA_ERROR_INVALID);
    EXPECT_EQ(fa_last_error().diag, FA_DIAG_FA010);
    fa_phase_begin_in(frame, "x");
    EXPECT_EQ(fa_phase_end(allocator), FA_OK);
    EXPECT_EQ(fa_phase_end(allocator), FA_ERROR_INVALID);
    EXPECT_EQ(events.Count(FA_DIAG_FA010), 2u);
    fa_phase_begin_in(frame, "open");
    fa_phase_begin_in(frame, "inside");
    (void)!fa_frame_alloc_in(frame, 100);
    EXPECT_EQ(fa_frame_end_in(frame), FA_OK);
    EXPECT_EQ(events.Count(FA_DIAG_FA011), 2u);
    ASSERT_EQ(fa_phase_count(allocator), 3u);
    EXPECT_FALSE(Get(allocator, 1).is_open);
    EXPECT_GE(Get(allocator, 1).bytes, 100u);
    EXPECT_EQ(fa_phase_begin_in(frame, "x"), FA_ERROR_NO_FRAME);
    EXPECT_EQ(fa_phase_count(allocator), 3u) << "still readable";
    fa_frame_begin(allocator);
    EXPECT_EQ(fa_phase_end(allocator), FA_ERROR_INVALID) << "those of the last frame have ended";
    OnThread([&] {
        EXPECT_EQ(fa_phase_begin(allocator, "x"), FA_ERROR_NO_FRAME);
        EXPECT_EQ(fa_phase_begin_in(frame, "x"), FA_ERROR_FOREIGN);
        EXPECT_EQ(fa_phase_end_in(frame), FA_ERROR_FOREIGN);
        EXPECT_EQ(fa_phase_count(allocator), 0u);
    });
    fa_frame_end_in(frame);
}

TEST_P(PhaseTest, ManyPhasesNeedMemoryOnce) {
    for (bool clock : {true, false}) {
        config.phase_clock = clock;
        Allocator allocator(config, source);
        uint64_t calls = 0;
        for (int round = 0; round < 4; round++) {
            fa_frame *frame = fa_frame_begin(allocator);
            for (size_t i = 0; i < 1000; i++) {
                ASSERT_EQ(fa_phase_begin_in(frame, i % 2 ? "odd" : "even"), FA_OK);
                if (i % 100 == 99)
                    (void)!fa_frame_alloc_in(frame, 16);
                if (i % 10 < 8) {
                    ASSERT_EQ(fa_phase_end_in(frame), FA_OK);
                }
            }
            for (size_t i = 0; i < 200; i++)
                ASSERT_EQ(fa_phase_end_in(frame), FA_OK);
            EXPECT_EQ(fa_phase_count(allocator), 1000u);
            EXPECT_EQ(Get(allocator, 999).depth, 199u);
            EXPECT_EQ(Get(allocator, 999).parent, 998u);
            EXPECT_EQ(Get(allocator, 0).alloc_count, 0u);
            EXPECT_EQ(Get(allocator, 8).alloc_count, kCounted ? 10u : 0u);
            fa_frame_end_in(frame);
            if (round == 1)
                calls = source.Calls();
        }
        EXPECT_EQ(source.Calls(), calls);
        EXPECT_EQ(fa_phase_lost_count(allocator), 0u);
    }
}

TEST_P(PhaseTest, WithoutMemoryPhasesAreOnlyCounted) {
    Allocator allocator(config, source);
    for (bool some : {false, true}) {
        fa_frame *frame = fa_frame_begin(allocator);
        if (some)
            fa_phase_begin_in(frame, "kept");
        const size_t reports = events.Count(FA_DIAG_FA701);
        source.Fail(1);
        size_t kept = some;
        fa_status status = FA_OK;
        while (status == FA_OK) {
            status = fa_phase_begin_in(frame, "x");
            EXPECT_EQ(fa_phase_begin_in(frame, "inside"), status);
            EXPECT_EQ(fa_phase_end_in(frame), FA_OK);
            EXPECT_EQ(fa_phase_end_in(frame), FA_OK);
            kept += status == FA_OK ? 2 : 0;
        }
        EXPECT_EQ(status, FA_ERROR_NO_MEMORY);
        EXPECT_EQ(events.Count(FA_DIAG_FA701), reports + 1) << "once a frame";
        source.Fail(0);
        EXPECT_EQ(fa_phase_lost_count(allocator), 2u);
        EXPECT_EQ(fa_phase_count(allocator), kept);
        EXPECT_EQ(fa_phase_current(allocator) != nullptr, some);
        EXPECT_EQ(fa_phase_begin_in(frame, "again"), FA_OK);
        EXPECT_EQ(fa_phase_end_in(frame), FA_OK);
        if (some) {
            EXPECT_EQ(fa_phase_end_in(frame), FA_OK);
        }
        EXPECT_EQ(fa_phase_end_in(frame), FA_ERROR_INVALID);
        fa_frame_end_in(frame);
        EXPECT_EQ(fa_phase_count(allocator), kept + 1);
        char text[32768];
        const size_t length = fa_phase_format(allocator, text, sizeof text);
        EXPECT_EQ(length, std::strlen(text));
        EXPECT_NE(std::string(text).find("2 phases for which there was no memory"),
                  std::string::npos);
    }
    EXPECT_EQ(events.Count(FA_DIAG_FA011), 0u);
}

TEST_P(PhaseTest, WithoutAClockTheTableHasNoTimes) {
    for (bool clock : {true, false}) {
        config.phase_clock = clock;
        Allocator allocator(config, source);
        fa_frame *frame = fa_frame_begin(allocator);
        EXPECT_EQ(fa_phase_begin_in(frame, "load"), FA_OK);
        char text[1024];
        fa_phase_format(allocator, text, sizeof text);
        const std::string line = std::string(text).substr(std::string(text).find('\n') + 1);
        EXPECT_EQ(line.find(" - open\n") != std::string::npos, !clock) << text;
        EXPECT_EQ(line.find('.') != std::string::npos, clock) << text;
        fa_frame_end_in(frame);
    }
}

TEST_P(PhaseTest, ScopesAndText) {
    Allocator allocator(config, source);
    fa_frame *frame = fa_frame_begin(allocator);
    {
        fa_phase_scope(allocator, "frame");
        fa_phase_scope_in(frame, "load");
        (void)!fa_frame_alloc_in(frame, 4096);
        EXPECT_STREQ(fa_phase_current(allocator), "load");
        char text[1024];
        const size_t length = fa_phase_format(allocator, text, sizeof text);
        EXPECT_EQ(length, std::strlen(text));
        EXPECT_NE(std::string(text).find("\n  load "), std::string::npos) << text;
        EXPECT_NE(std::string(text).find(" open\n"), std::string::npos) << text;
        for (size_t bytes : {size_t{1}, size_t{10}, length, length + 1}) {
            char cut[1024];
            std::memset(cut, 'x', sizeof cut);
            EXPECT_GT(fa_phase_format(allocator, cut, bytes), 100u);
            EXPECT_LT(std::strlen(cut), bytes);
            EXPECT_EQ(cut[bytes], 'x');
        }
    }
    EXPECT_EQ(fa_phase_current(allocator), nullptr);
    EXPECT_EQ(fa_phase_count(allocator), 2u);
    fa_frame_end_in(frame);
    {
        fa_phase_scope(allocator, "no frame");
        fa_phase_scope_in(frame, "no frame");
    }
    EXPECT_EQ(events.Count(FA_DIAG_FA001), 2u);
    EXPECT_EQ(events.Count(FA_DIAG_FA010), 0u);
}

// A phase as somebody sees it who looks after every step.
struct Watched {
    size_t start, peak, bytes;
    uint64_t alloc_base, alloc_count;
    size_t parent;
    bool open;
};

class Model {
  public:
    Model(fa_allocator *allocator, Random *random) : allocator_(allocator), random_(random) {}

    void Frame() {
        frame_ = fa_frame_begin(allocator_);
        phases_.clear();
        marks_.clear();
        open_ = FA_PHASE_NONE;
        size_most_ = random_->OneIn(3) ? 30000 : 300;
        newest_ = nullptr;
        for (size_t i = 20 + random_->Below(100); i > 0 && !testing::Test::HasFailure(); i--) {
            Step();
            See();
            if (random_->OneIn(5))
                Compare();
        }
        while (open_ != FA_PHASE_NONE)
            End();
        Compare();
        fa_frame_end_in(frame_);
        Compare();
        EXPECT_EQ(Stats(allocator_).frame_bytes_peak, peak_);
    }

  private:
    void See() {
        const size_t used = fa_frame_bytes_in(frame_);
        peak_ = std::max(peak_, used);
        for (Watched &phase : phases_) {
            if (!phase.open)
                continue;
            phase.start = std::min(phase.start, used);
            phase.peak = std::max(phase.peak, used - phase.start);
            phase.bytes = used - phase.start;
            phase.alloc_count = fa_frame_count_in(frame_) - phase.alloc_base;
        }
    }

    void End() {
        ASSERT_EQ(fa_phase_end_in(frame_), FA_OK);
        phases_[open_].open = false;
        open_ = phases_[open_].parent;
    }

    void Step() {
        switch (random_->Below(8)) {
        case 0:
        case 1: {
            ASSERT_EQ(random_->OneIn(2) ? fa_phase_begin_in(frame_, "a")
                                        : fa_phase_begin(allocator_, "b"),
                      FA_OK);
            phases_.push_back(Watched{fa_frame_bytes_in(frame_), 0, 0, fa_frame_count_in(frame_), 0,
                                      open_, true});
            open_ = phases_.size() - 1;
            return;
        }
        case 2:
            if (open_ != FA_PHASE_NONE)
                End();
            return;
        case 3:
            marks_.push_back(fa_frame_mark_in(frame_));
            return;
        case 4:
            if (!marks_.empty()) {
                marks_.resize(1 + random_->Below(marks_.size()));
                ASSERT_EQ(fa_frame_rewind_in(frame_, marks_.back()), FA_OK);
                newest_ = nullptr;
            }
            return;
        case 5:
            if (newest_ != nullptr && random_->OneIn(2)) {
                const size_t size = random_->Size(newest_bytes_);
                newest_ = fa_frame_grow_in(frame_, newest_, newest_bytes_, size);
                newest_bytes_ = size;
                return;
            }
            [[fallthrough]];
        default:
            newest_bytes_ = random_->Size(size_most_);
            newest_ = fa_frame_alloc_in(frame_, newest_bytes_);
        }
    }

    void Compare() {
        ASSERT_EQ(fa_phase_count(allocator_), phases_.size());
        for (size_t i = 0; i < phases_.size(); i++) {
            fa_phase phase;
            ASSERT_EQ(fa_phase_get(allocator_, i, &phase), FA_OK);
            ASSERT_EQ(phase.bytes, phases_[i].bytes) << i;
            ASSERT_EQ(phase.bytes_peak, phases_[i].peak) << i;
            ASSERT_EQ(phase.alloc_count, phases_[i].alloc_count) << i;
            ASSERT_EQ(phase.parent, phases_[i].parent) << i;
            ASSERT_EQ(phase.is_open, phases_[i].open) << i;
        }
    }

    fa_allocator *allocator_;
    Random *random_;
    fa_frame *frame_ = nullptr;
    std::vector<Watched> phases_;
    std::vector<fa_mark> marks_;
    size_t open_ = FA_PHASE_NONE, size_most_ = 0, newest_bytes_ = 0, peak_ = 0;
    void *newest_ = nullptr;
};

TEST(PhaseModel, EveryStepIsSeen) {
    Random random;
    for (int round = 0; round < 16; round++) {
        SCOPED_TRACE(testing::Message() << "FA_TEST_SEED=" << random.Seed() << " round " << round);
        fa_alloc_config config =
            Plain(round % 2 ? fa_alloc_config_minimal() : fa_alloc_config_default());
        config.phase_clock = round % 4 < 2;
        config.checks = round % 8 < 4 ? 0 : FA_CHECK_ALL;
        config.frames_in_flight = round < 8 ? 1 : 2;
        Source source;
        Allocator allocator(config, source);
        Model model(allocator, &random);
        for (int i = 0; i < 40 && !HasFailure(); i++)
            model.Frame();
        ExpectValid(allocator);
    }
}

} // namespace
