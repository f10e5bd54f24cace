// Marks one promise at a time; mark_model_test.cc has the rest.
#include "fa/testing_threads.hpp"

#include <string>

using namespace fa_testing;

namespace {

constexpr size_t kKib = 1 << 10, kMib = 1 << 20;

class MarkTest : public testing::TestWithParam<uint32_t> {
  protected:
    Events events;
    Source source;
    fa_alloc_config config = Plain();

    MarkTest() {
        fa_last_error_clear();
        config.checks = GetParam();
        events.Watch(&config);
        config.frame_chunk_bytes_first = 4 * kKib;
        config.frame_chunk_bytes_max = 64 * kKib;
    }

    static bool IsWatched() { return kAsan || GetParam() != 0; }
    void ExpectRefused(fa_frame *frame, fa_mark mark) {
        fa_last_error_clear();
        const size_t count = events.Count(FA_DIAG_FA008), bytes = fa_frame_bytes_in(frame);
        EXPECT_EQ(fa_frame_rewind_in(frame, mark), FA_ERROR_FOREIGN);
        EXPECT_EQ(fa_last_error().diag, FA_DIAG_FA008);
        EXPECT_EQ(events.Count(FA_DIAG_FA008), count + 1);
        EXPECT_EQ(fa_frame_bytes_in(frame), bytes);
    }
};

INSTANTIATE_TEST_SUITE_P(Checks, MarkTest, testing::Values(0u, uint32_t{FA_CHECK_ALL}));

TEST_P(MarkTest, RewindFreesWhatCameAfter) {
    Allocator allocator(config, source);
    fa_frame *frame = fa_frame_begin(allocator);
    void *kept = fa_frame_alloc_in(frame, 100);
    Paint(kept, 1, 100);
    const size_t bytes = fa_frame_bytes_in(frame);
    const fa_mark mark = fa_frame_mark_in(frame);
    void *first = nullptr;
    for (int i = 0; i < 3; i++) { // as often as one likes
        void *block = fa_frame_alloc_in(frame, 200);
        if (i == 0)
            first = block;
        EXPECT_EQ(block, first);
        EXPECT_EQ(fa_frame_rewind(allocator, mark), FA_OK);
        EXPECT_EQ(fa_frame_bytes_in(frame), bytes);
    }
    EXPECT_EQ(fa_frame_rewind_in(frame, mark), FA_OK) << "nothing to free";
    EXPECT_TRUE(IsPainted(kept, 1, 100));
    EXPECT_EQ(fa_frame_count_in(frame), kCounted ? 4u : 0u) << "rewound ones count";
    EXPECT_EQ(fa_frame_end_in(frame), FA_OK);
    EXPECT_GT(Stats(allocator).frame_bytes_peak, bytes) << "the peak saw them";
    EXPECT_EQ(Stats(allocator).frame_bytes, bytes);
    EXPECT_TRUE(events.all.empty());
}

TEST_P(MarkTest, WithoutAFrameThereIsNoMark) {
    Allocator allocator(config, source), other(config, source);
    EXPECT_EQ(fa_frame_mark(allocator).serial, 0u) << "as the thread's first call";
    EXPECT_EQ(fa_last_error().status, FA_ERROR_NO_FRAME);
    EXPECT_EQ(events.Count(FA_DIAG_FA001), 1u);
    fa_frame *frame = fa_frame_begin(allocator);
    fa_frame_end_in(frame);
    const fa_mark none = fa_frame_mark_in(frame);
    EXPECT_EQ(none.serial, 0u);
    EXPECT_EQ(events.Count(FA_DIAG_FA001), 2u);
    fa_mark_guard guard = fa_mark_guard_begin(allocator);
    EXPECT_EQ(events.Count(FA_DIAG_FA001), 3u);
    EXPECT_EQ(fa_mark_guard_end(&guard), FA_OK);
    fa_attempt_fn *attempt = [](void *, fa_frame *) -> fa_status {
        ADD_FAILURE();
        return FA_OK;
    };
    EXPECT_EQ(fa_frame_speculate(allocator, attempt, nullptr), FA_ERROR_NO_FRAME);
    EXPECT_EQ(fa_frame_speculate(other, attempt, nullptr), FA_ERROR_NO_FRAME);
    ExpectRefused(frame, none);
    EXPECT_EQ(fa_frame_rewind(other, none), FA_ERROR_FOREIGN);
    fa_frame_begin(allocator);
    ExpectRefused(frame, none);
    ExpectRefused(frame, fa_mark{});
    fa_frame_end_in(frame);
}

TEST_P(MarkTest, AMarkDiesWithItsFrame) {
    for (uint32_t in_flight : {1u, 2u, 3u}) {
        config.frames_in_flight = in_flight;
        Allocator allocator(config, source);
        std::vector<fa_mark> marks;
        fa_frame *frame = nullptr;
        for (int i = 0; i < 6; i++) {
            frame = fa_frame_begin(allocator);
            (void)!fa_frame_alloc_in(frame, 64);
            for (const fa_mark &mark : marks)
                ExpectRefused(frame, mark);
            if (i % 3 != 2) // a frame without marks between
                marks.push_back(fa_frame_mark_in(frame));
            if (i % 3 != 2)
                marks.push_back(fa_frame_mark_in(frame));
            (void)!fa_frame_alloc_in(frame, 1000);
            for (const fa_mark &mark : marks)
                EXPECT_TRUE(&mark + 2 > &marks.back() || mark.serial < marks.back().serial);
            fa_frame_end_in(frame);
            for (const fa_mark &mark : marks)
                ExpectRefused(frame, mark);
        }
    }
}

TEST_P(MarkTest, ARewindKillsNewerMarksForGood) {
    Allocator allocator(config, source);
    fa_frame *frame = fa_frame_begin(allocator);
    const fa_mark a = fa_frame_mark_in(frame);
    (void)!fa_frame_alloc_in(frame, 100);
    const fa_mark b = fa_frame_mark_in(frame);
    (void)!fa_frame_alloc_in(frame, 100);
    const fa_mark c = fa_frame_mark_in(frame);
    EXPECT_EQ(fa_frame_rewind_in(frame, b), FA_OK);
    ExpectRefused(frame, c);
    EXPECT_EQ(fa_frame_rewind_in(frame, a), FA_OK);
    ExpectRefused(frame, b);
    (void)!fa_frame_alloc_in(frame, 1000); // past their places again
    ExpectRefused(frame, b);
    ExpectRefused(frame, c);
    const fa_mark d = fa_frame_mark_in(frame);
    ExpectRefused(frame, b);
    EXPECT_EQ(fa_frame_rewind_in(frame, d), FA_OK);
    EXPECT_EQ(fa_frame_rewind_in(frame, a), FA_OK);
    EXPECT_EQ(fa_frame_bytes_in(frame), 0u);
    ExpectRefused(frame, d);
    fa_frame_end_in(frame);
}

TEST_P(MarkTest, ForeignMarksAndHandlesAreRefused) {
    Allocator allocator(config, source), other(config, source);
    fa_frame *frame = fa_frame_begin(allocator), *beside = fa_frame_begin(other);
    const fa_mark mark = fa_frame_mark_in(frame), mark_beside = fa_frame_mark_in(beside);
    (void)!fa_frame_alloc_in(frame, 64);
    (void)!fa_frame_alloc_in(beside, 64);
    ExpectRefused(frame, mark_beside);
    ExpectRefused(beside, mark);
    EXPECT_EQ(fa_frame_rewind(other, mark), FA_ERROR_FOREIGN);
    EXPECT_EQ(fa_frame_rewind(allocator, mark_beside), FA_ERROR_FOREIGN);
    std::vector<fa_mark> marks = {mark, mark_beside};
    for (int i = 0; i < 3; i++) // threads may get the same addresses one after the other
        OnThread([&] {
            EXPECT_EQ(fa_frame_rewind(allocator, mark), FA_ERROR_FOREIGN) << "no frame here";
            EXPECT_EQ(fa_frame_rewind_in(frame, mark), FA_ERROR_FOREIGN) << "not its handle";
            EXPECT_EQ(fa_last_error().diag, FA_DIAG_FA201);
            EXPECT_EQ(fa_frame_mark_in(frame).serial, 0u);
            EXPECT_EQ(fa_last_error().diag, FA_DIAG_FA201);
            fa_frame *own = fa_frame_begin(allocator);
            marks.push_back(fa_frame_mark_in(own));
            for (size_t k = 0; k + 1 < marks.size(); k++)
                ExpectRefused(own, marks[k]);
            EXPECT_EQ(fa_frame_rewind_in(own, marks.back()), FA_OK);
            if (i == 1) {
                EXPECT_EQ(fa_thread_detach(allocator), FA_OK);
                own = fa_frame_begin(allocator);
                for (const fa_mark &each : marks)
                    ExpectRefused(own, each);
            }
        });
    for (size_t k = 2; k < marks.size(); k++)
        ExpectRefused(frame, marks[k]);
    EXPECT_EQ(fa_frame_rewind_in(frame, mark), FA_OK);
    EXPECT_EQ(fa_frame_rewind_in(beside, mark_beside), FA_OK);
    fa_frame_end_in(frame);
    fa_frame_end_in(beside);
}

TEST_P(MarkTest, AcrossChunksNothingIsTakenTwice) {
    Allocator allocator(config, source);
    fa_frame *frame = fa_frame_begin(allocator);
    const fa_mark before = fa_frame_mark_in(frame); // before there is any memory
    (void)!fa_frame_alloc_in(frame, 100);
    const size_t bytes = fa_frame_bytes_in(frame);
    const fa_mark mark = fa_frame_mark_in(frame);
    uint64_t calls = 0;
    for (int i = 0; i < 20; i++) {
        for (int k = 0; k < 300; k++)
            ASSERT_NE(fa_frame_alloc_in(frame, 1000), nullptr);
        EXPECT_EQ(fa_frame_rewind_in(frame, i < 10 ? mark : before), FA_OK);
        EXPECT_EQ(fa_frame_bytes_in(frame), i < 10 ? bytes : 0);
        ExpectValid(allocator);
        if (i == 11)
            calls = source.Calls();
    }
    ExpectRefused(frame, mark);
    EXPECT_EQ(source.Calls(), calls);
    EXPECT_EQ(fa_frame_bytes_in(frame), 0u);
    fa_frame_end_in(frame);
    EXPECT_GE(Stats(allocator).frame_bytes_peak, 300u * 1000);
    EXPECT_EQ(Stats(allocator).frame_overflow_count, 1u);
    // It has learnt from the peak, not from what was left at the end.
    const uint64_t chunks = source.Allocs(FA_SPAN_CHUNK);
    frame = fa_frame_begin(allocator);
    for (int k = 0; k < 300; k++)
        ASSERT_NE(fa_frame_alloc_in(frame, 1000), nullptr);
    EXPECT_EQ(source.Allocs(FA_SPAN_CHUNK), chunks);
    fa_frame_end_in(frame);
}

TEST_P(MarkTest, ASpeculativeLoopWithLargeBlocksKeepsMemoryFlat) {
    Allocator allocator(config, source);
    for (bool small_first : {true, false}) {
        fa_frame *frame = fa_frame_begin(allocator);
        if (small_first)
            (void)!fa_frame_alloc_in(frame, 16);
        const size_t bytes = fa_frame_bytes_in(frame);
        const fa_mark outer = fa_frame_mark_in(frame);
        size_t held = 0;
        uint64_t calls = 0;
        for (int i = 0; i < 100; i++) {
            fa_mark_scope_in(frame, scope);
            char *large = static_cast<char *>(fa_frame_alloc_in(frame, 2 * kMib));
            char *small = static_cast<char *>(fa_frame_alloc_in(frame, 100));
            ASSERT_NE(small, nullptr);
            large[0] = large[2 * kMib - 1] = small[0] = 1;
            if (i == 2) {
                held = Stats(allocator).bytes_held;
                calls = source.Calls();
            }
            EXPECT_LE(Stats(allocator).bytes_held, held != 0 ? held : SIZE_MAX);
            EXPECT_GE(fa_frame_bytes_in(frame), 2 * kMib + 100);
            if (i % 10 == 0)
                ExpectValid(allocator);
        }
        EXPECT_EQ(source.Calls(), calls);
        EXPECT_EQ(fa_frame_bytes_in(frame), bytes);
        EXPECT_EQ(fa_frame_rewind_in(frame, outer), FA_OK);
        fa_frame_end_in(frame);
    }
    EXPECT_EQ(events.Count(FA_DIAG_FA008), 0u);
}

TEST_P(MarkTest, SpillsAreGivenBack) {
    config.frame_bytes_max = 16 * kKib;
    config.frame_full = FA_FRAME_FULL_SPILL;
    for (bool full_first : {true, false}) {
        Allocator allocator(config, source);
        fa_frame *frame = fa_frame_begin(allocator);
        if (full_first)
            for (int i = 0; i < 10; i++)
                (void)!fa_frame_alloc_in(frame, 1000);
        const size_t bytes = fa_frame_bytes_in(frame), held = Stats(allocator).bytes_held;
        const fa_mark mark = fa_frame_mark_in(frame);
        for (int i = 0; i < 10; i++) {
            for (int k = 0; k < 3; k++)
                Paint(fa_frame_alloc_in(frame, 100 * kKib), 1, 100 * kKib);
            EXPECT_GE(fa_frame_bytes_in(frame), bytes + 300 * kKib);
            EXPECT_EQ(fa_frame_rewind_in(frame, mark), FA_OK);
            EXPECT_EQ(fa_frame_bytes_in(frame), bytes);
            EXPECT_LE(Stats(allocator).bytes_held, held + 16 * kKib);
            ExpectValid(allocator);
        }
        EXPECT_EQ(fa_frame_end_in(frame), FA_OK);
    }
}

TEST_P(MarkTest, LargeBlocksFromBeforeTheMarkStay) {
    Allocator allocator(config, source);
    fa_frame *frame = fa_frame_begin(allocator);
    (void)!fa_frame_alloc_in(frame, 16);
    void *before = fa_frame_alloc_in(frame, kMib);
    Paint(before, 1, kMib);
    const size_t bytes = fa_frame_bytes_in(frame);
    const fa_mark mark = fa_frame_mark_in(frame);
    for (int i = 0; i < 5; i++) {
        void *after = fa_frame_alloc_in(frame, kMib);
        EXPECT_NE(after, before);
        Paint(after, 2, kMib);
        EXPECT_EQ(fa_frame_rewind_in(frame, mark), FA_OK);
        EXPECT_EQ(fa_frame_bytes_in(frame), bytes);
        EXPECT_TRUE(IsPainted(before, 1, kMib));
    }
    fa_frame_end_in(frame);
}

TEST_P(MarkTest, AGrownBlockIsAsItWas) {
    Allocator allocator(config, source);
    fa_frame *frame = fa_frame_begin(allocator);
    char *block = static_cast<char *>(fa_frame_alloc_in(frame, 100));
    Paint(block, 1, 100);
    const fa_mark mark = fa_frame_mark_in(frame);
    char *grown = static_cast<char *>(fa_frame_grow_in(frame, block, 100, 500));
    EXPECT_NE(grown, block) << "its place is older than the mark";
    EXPECT_TRUE(IsPainted(grown, 1, 100));
    Paint(grown, 2, 500);
    char *again = static_cast<char *>(fa_frame_grow_in(frame, grown, 500, 900));
    if (!IsWatched()) {
        EXPECT_EQ(again, grown) << "the newest block, after the mark";
    }
    EXPECT_EQ(fa_frame_rewind_in(frame, mark), FA_OK);
    EXPECT_TRUE(IsPainted(block, 1, 100));
    // Shrunk after the mark: the mark's place must not be given away.
    if (!IsWatched()) {
        EXPECT_EQ(fa_frame_grow_in(frame, block, 100, 10), block);
    }
    Paint(fa_frame_alloc_in(frame, 64), 3, 64);
    EXPECT_EQ(fa_frame_rewind_in(frame, mark), FA_OK);
    EXPECT_TRUE(IsPainted(block, 1, 100));
    fa_frame_end_in(frame);
}

TEST_P(MarkTest, GuardsRewindUnlessCommitted) {
    Allocator allocator(config, source);
    fa_frame *frame = fa_frame_begin(allocator);
    (void)!fa_frame_alloc_in(frame, 16);
    const size_t bytes = fa_frame_bytes_in(frame);
    {
        fa_mark_scope(allocator, outer);
        (void)!fa_frame_alloc_in(frame, 16);
        {
            fa_mark_scope_in(frame, inner);
            (void)!fa_frame_alloc_in(frame, 16);
            fa_mark_guard_commit(&inner);
        }
        EXPECT_GT(fa_frame_bytes_in(frame), bytes + 16);
    }
    EXPECT_EQ(fa_frame_bytes_in(frame), bytes);
    fa_mark_guard guard = fa_mark_guard_begin_in(frame);
    (void)!fa_frame_alloc_in(frame, 16);
    EXPECT_EQ(fa_mark_guard_end(&guard), FA_OK);
    EXPECT_EQ(fa_frame_bytes_in(frame), bytes);
    (void)!fa_frame_alloc_in(frame, 16);
    EXPECT_EQ(fa_mark_guard_end(&guard), FA_OK) << "it has ended";
    EXPECT_GT(fa_frame_bytes_in(frame), bytes);
    guard = fa_mark_guard_begin(allocator);
    fa_frame_end_in(frame);
    EXPECT_EQ(fa_mark_guard_end(&guard), FA_ERROR_FOREIGN) << "its frame is over";
}

TEST_P(MarkTest, SpeculationKeepsSuccessAndUndoesFailure) {
    Allocator allocator(config, source);
    fa_frame *frame = fa_frame_begin(allocator);
    fa_attempt_fn *attempt = [](void *user, fa_frame *in) -> fa_status {
        if (fa_frame_alloc_in(in, 10000) == nullptr)
            return fa_last_error().status;
        return *static_cast<fa_status *>(user);
    };
    fa_status result = FA_ERROR_CORRUPT;
    EXPECT_EQ(fa_frame_speculate_in(frame, attempt, &result), FA_ERROR_CORRUPT);
    EXPECT_EQ(fa_frame_bytes_in(frame), 0u);
    result = FA_OK;
    EXPECT_EQ(fa_frame_speculate(allocator, attempt, &result), FA_OK);
    EXPECT_GE(fa_frame_bytes_in(frame), 10000u);
    EXPECT_EQ(fa_frame_speculate_in(
                  frame,
                  [](void *, fa_frame *in) -> fa_status {
                      fa_frame_end_in(in);
                      return FA_ERROR_INVALID;
                  },
                  nullptr),
              FA_ERROR_INVALID);
    EXPECT_EQ(events.Count(FA_DIAG_FA008), 1u);
}

TEST_P(MarkTest, ManyLiveMarksBetweenDeadOnes) {
    Allocator allocator(config, source);
    for (bool without_memory : {false, true}) {
        fa_frame *frame = fa_frame_begin(allocator);
        std::vector<fa_mark> alive, dead;
        if (without_memory)
            source.Fail(1);
        for (int i = 0; i < 1000; i++) {
            alive.push_back(fa_frame_mark_in(frame));
            dead.push_back(fa_frame_mark_in(frame));
            ASSERT_EQ(fa_frame_rewind_in(frame, alive.back()), FA_OK);
        }
        source.Fail(0);
        for (const fa_mark &mark : dead)
            ASSERT_EQ(fa_frame_rewind_in(frame, mark), FA_ERROR_FOREIGN);
        size_t accepted = 0;
        for (size_t i = alive.size(); i-- > 0;)
            accepted += fa_frame_rewind_in(frame, alive[i]) == FA_OK;
        if (!without_memory) {
            EXPECT_EQ(accepted, alive.size());
        } else {
            EXPECT_GE(accepted, 500u) << "it has the memory of the first round";
        }
        EXPECT_EQ(fa_frame_rewind_in(frame, alive.front()), FA_OK);
        fa_frame_end_in(frame);
    }
}

TEST_P(MarkTest, WithoutMemoryOnlyLiveMarksMayBeRefused) {
    Allocator allocator(config, source);
    fa_frame *frame = fa_frame_begin(allocator);
    std::vector<fa_mark> alive, dead;
    source.Fail(1);
    for (int i = 0; i < 1000; i++) {
        alive.push_back(fa_frame_mark_in(frame));
        dead.push_back(fa_frame_mark_in(frame));
        ASSERT_EQ(fa_frame_rewind_in(frame, alive.back()), FA_OK) << "never the newest";
    }
    for (const fa_mark &mark : dead)
        ASSERT_EQ(fa_frame_rewind_in(frame, mark), FA_ERROR_FOREIGN);
    EXPECT_EQ(fa_frame_rewind_in(frame, alive[999]), FA_OK);
    EXPECT_EQ(fa_frame_rewind_in(frame, alive[998]), FA_OK);
    EXPECT_EQ(fa_frame_rewind_in(frame, alive[500]), FA_ERROR_FOREIGN);
    EXPECT_EQ(fa_frame_rewind_in(frame, alive[1]), FA_OK);
    EXPECT_EQ(fa_frame_rewind_in(frame, alive[0]), FA_OK);
    fa_frame_end_in(frame);
}

TEST_P(MarkTest, NestedGuardsNeedNoMemory) {
    Allocator allocator(config, source);
    fa_frame *frame = fa_frame_begin(allocator);
    (void)!fa_frame_alloc_in(frame, 16);
    const uint64_t calls = source.Calls();
    for (int i = 0; i < 10000; i++) {
        fa_mark_guard outer = fa_mark_guard_begin_in(frame);
        fa_mark_guard inner = fa_mark_guard_begin_in(frame);
        (void)!fa_frame_alloc_in(frame, 16);
        ASSERT_EQ(fa_mark_guard_end(&inner), FA_OK);
        ASSERT_EQ(fa_mark_guard_end(&outer), FA_OK);
    }
    EXPECT_EQ(source.Calls(), calls);
    fa_frame_end_in(frame);
}

// The end of a guard that is more than a move of the cursor kills its mark: the fast path must not
// take it for the newest one.
TEST_P(MarkTest, AMarkThatItsGuardKilledStaysDead) {
    Allocator allocator(config, source);
    fa_frame *frame = fa_frame_begin(allocator);
    (void)!fa_frame_alloc_in(frame, 16);
    for (size_t size : {size_t{16}, 100 * kKib})
        for (bool has_inner : {true, false}) {
            fa_mark_guard guard = fa_mark_guard_begin_in(frame);
            const fa_mark mark = guard.mark;
            (void)(has_inner && fa_frame_mark_in(frame).serial != 0);
            (void)!fa_frame_alloc_in(frame, size);
            EXPECT_EQ(fa_mark_guard_end(&guard), FA_OK);
            if (!has_inner && size == 16)
                continue; /* nothing but the cursor moved: the mark lives */
            (void)!fa_frame_alloc_in(frame, 32);
            ExpectRefused(frame, mark);
            const fa_mark next = fa_frame_mark_in(frame);
            EXPECT_EQ(fa_frame_rewind_in(frame, next), FA_OK);
            ExpectRefused(frame, mark);
        }
    fa_frame_end_in(frame);
}

TEST_P(MarkTest, AMarkOfAllOnesIsRefused) {
    Allocator allocator(config, source);
    fa_frame *frame = fa_frame_begin(allocator);
    fa_mark ones = {};
    memset(static_cast<void *>(&ones), 0xFF, sizeof ones);
    ExpectRefused(frame, ones);
    char *block = static_cast<char *>(fa_frame_alloc_in(frame, 64));
    ExpectRefused(frame, ones); // nothing marked
    const fa_mark mark = fa_frame_mark_in(frame);
    EXPECT_EQ(fa_frame_defer_in(
                  frame, [](void *) {}, nullptr),
              FA_OK); // not by the fast path
    ExpectRefused(frame, ones);
    ones.cursor = block;
    ExpectRefused(frame, ones);
    EXPECT_EQ(fa_frame_rewind_in(frame, mark), FA_OK);
    fa_frame_end_in(frame);
    ExpectRefused(frame, ones);
    EXPECT_EQ(fa_frame_current(allocator), nullptr);
    ExpectValid(allocator);
}

// Does to the frame what a callback must not do, and what it may.
struct Meddler {
    fa_allocator *allocator = nullptr;
    fa_mark mark = {};
    int calls = 0;
    bool in_frame = true;

    void Meddle() {
        if (allocator == nullptr)
            return;
        calls++;
        EXPECT_EQ(fa_frame_begin(allocator), nullptr);
        EXPECT_EQ(fa_last_error().status, FA_ERROR_FRAME_OPEN);
        EXPECT_EQ(fa_last_error().diag, in_frame ? FA_DIAG_FA004 : FA_DIAG_FA009);
        EXPECT_EQ(fa_thread_detach(allocator), FA_ERROR_FRAME_OPEN);
        EXPECT_EQ(fa_last_error().diag, FA_DIAG_FA009);
        if (!in_frame)
            return;
        EXPECT_EQ(fa_frame_end(allocator), FA_ERROR_FRAME_OPEN);
        EXPECT_EQ(fa_frame_rewind(allocator, mark), FA_ERROR_FRAME_OPEN);
        EXPECT_EQ(fa_last_error().diag, FA_DIAG_FA009);
        fa_mark_guard guard = fa_mark_guard_begin(allocator);
        (void)!fa_frame_alloc(allocator, 16);
        EXPECT_EQ(fa_mark_guard_end(&guard), FA_OK);
    }
    static void OnEvent(void *user, const fa_event *) { static_cast<Meddler *>(user)->Meddle(); }
    static size_t Reclaim(void *user, fa_allocator *, size_t) {
        static_cast<Meddler *>(user)->Meddle();
        return 0;
    }
};

TEST_P(MarkTest, HooksLeaveTheFrameThatTheyInterruptAlone) {
    for (bool spill : {false, true}) {
        Meddler meddler;
        config.on_event = Meddler::OnEvent;
        config.on_event_user = &meddler;
        config.frame_bytes_max = spill ? 16 * kKib : 0;
        config.frame_full = FA_FRAME_FULL_SPILL;
        Allocator allocator(config, source);
        for (int frame_index = 0; frame_index < 3; frame_index++) {
            fa_frame *frame = fa_frame_begin(allocator);
            (void)!fa_frame_alloc_in(frame, 16);
            meddler.mark = fa_frame_mark_in(frame);
            std::vector<void *> blocks;
            meddler.allocator = allocator;
            for (int i = 0; i < 20; i++) {
                blocks.push_back(fa_frame_alloc_in(frame, 1500));
                ASSERT_NE(blocks.back(), nullptr);
                Paint(blocks.back(), static_cast<uint64_t>(i), 1500);
            }
            meddler.allocator = nullptr;
            EXPECT_EQ(fa_frame_current(allocator), frame);
            for (size_t i = 0; i < blocks.size(); i++)
                EXPECT_TRUE(IsPainted(blocks[i], i, 1500));
            ExpectValid(allocator);
            EXPECT_EQ(fa_frame_rewind_in(frame, meddler.mark), FA_OK);
            EXPECT_EQ(fa_frame_end_in(frame), FA_OK);
        }
        EXPECT_GT(meddler.calls, 0);
        ExpectValid(allocator);
    }
    EXPECT_EQ(source.BytesLive(), 0u);
}

TEST_P(MarkTest, ReclaimersLeaveTheFrameThatTheyInterruptAlone) {
    for (uint32_t in_flight : {1u, 2u}) {
        Meddler meddler;
        config.frames_in_flight = in_flight;
        Allocator allocator(config, source);
        ASSERT_EQ(fa_reclaimer_add(allocator, 0, Meddler::Reclaim, &meddler), FA_OK);
        fa_frame *frame = nullptr;
        for (int i = 0; i < 6; i++) {
            meddler.in_frame = false;
            meddler.allocator =
                allocator; // an arena is to be made anew when a frame ends or begins
            source.Fail(i % 2);
            frame = fa_frame_begin(allocator);
            ASSERT_NE(frame, nullptr);
            source.Fail(0);
            meddler.in_frame = true;
            meddler.mark = fa_frame_mark_in(frame);
            for (int k = 0; k < 10; k++)
                EXPECT_NE(fa_frame_alloc_in(frame, 3000), nullptr);
            source.Fail(1);
            EXPECT_EQ(fa_phase_begin_in(frame, "refused"), FA_ERROR_NO_MEMORY);
            EXPECT_EQ(fa_phase_end_in(frame), FA_OK);
            EXPECT_EQ(fa_frame_alloc_in(frame, 4 * kMib), nullptr);
            meddler.in_frame = false;
            EXPECT_EQ(fa_frame_end_in(frame), FA_OK);
            source.Fail(0);
            ExpectValid(allocator);
        }
        EXPECT_GT(meddler.calls, 0);
        meddler.allocator = nullptr;
        EXPECT_EQ(fa_reclaimer_remove(allocator, Meddler::Reclaim, &meddler), FA_OK);
    }
    EXPECT_EQ(source.BytesLive(), 0u);
}

TEST(MarkChecksDeathTest, RewoundMemoryIsFilledAndItsGuardsAreVerified) {
    fa_alloc_config config = Plain();
    config.checks = FA_CHECK_ALL;
    Allocator allocator(config);
    fa_frame *frame = fa_frame_begin(allocator);
    const fa_mark mark = fa_frame_mark_in(frame);
    unsigned char *block = static_cast<unsigned char *>(fa_frame_alloc_in(frame, 64));
    Paint(block, 1, 64);
    EXPECT_EQ(fa_frame_rewind_in(frame, mark), FA_OK);
    if (!kAsan) {
        EXPECT_TRUE(IsFilled(block, 0xCD, 64));
        EXPECT_DEATH(
            {
                unsigned char *other = static_cast<unsigned char *>(fa_frame_alloc_in(frame, 64));
                const_cast<volatile unsigned char *>(other)[64] = 1;
                (void)fa_frame_rewind_in(frame, mark);
            },
            "FA604");
    } else {
        EXPECT_DEATH(const_cast<volatile unsigned char *>(block)[0] = 1, "AddressSanitizer");
    }
    fa_frame_end_in(frame);
}

} // namespace
