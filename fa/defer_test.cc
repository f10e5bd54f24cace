// Deferred clean-ups: when they run, in which order, and what they may do.
#include "fa/testing_threads.hpp"

#include <memory>
#include <string>

using namespace fa_testing;

namespace {

std::string g_log; // one letter for each clean-up that ran

template <char letter> void Log(void *) { g_log += letter; }

// A clean-up of a frame's own object, in C++.
struct Object {
    std::string *log;
    explicit Object(std::string *to) : log(to) { *log += "+"; }
    ~Object() { *log += "-"; }
};

class DeferTest : public testing::TestWithParam<uint32_t> {
  protected:
    Events events;
    Source source;
    fa_alloc_config config = Plain(fa_alloc_config_minimal());

    DeferTest() {
        g_log.clear();
        fa_last_error_clear();
        config.checks = GetParam();
        events.Watch(&config);
    }
};

INSTANTIATE_TEST_SUITE_P(Checks, DeferTest, testing::Values(0u, uint32_t{FA_CHECK_ALL}));

TEST_P(DeferTest, RunNewestFirstWhenTheFrameEnds) {
    for (uint32_t in_flight : {1u, 2u}) {
        config.frames_in_flight = in_flight;
        Allocator allocator(config, source);
        for (int i = 0; i < 3; i++) {
            g_log.clear();
            fa_frame *frame = fa_frame_begin(allocator);
            EXPECT_EQ(fa_frame_defer(allocator, Log<'a'>, nullptr), FA_OK);
            (void)!fa_frame_alloc_in(frame, 10000);
            EXPECT_EQ(fa_frame_defer_in(frame, Log<'b'>, nullptr), FA_OK);
            EXPECT_EQ(fa_frame_defer_in(frame, Log<'c'>, nullptr), FA_OK);
            EXPECT_EQ(g_log, "");
            EXPECT_EQ(fa_frame_end_in(frame), FA_OK);
            EXPECT_EQ(g_log, "cba");
            fa_frame_begin(allocator); // one without
            EXPECT_EQ(fa_frame_end(allocator), FA_OK);
            EXPECT_EQ(g_log, "cba");
        }
        EXPECT_EQ(Stats(allocator).frame_alloc_count, kCounted ? 12u : 0u);
        ExpectValid(allocator);
    }
}

TEST_P(DeferTest, ArgumentsInTheFrameAreStillThere) {
    Allocator allocator(config, source);
    fa_frame *frame = fa_frame_begin(allocator);
    std::string log;
    for (int i = 0; i < 3; i++) {
        Object *object = new (fa_frame_new_in(frame, Object)) Object(&log);
        ASSERT_EQ(
            fa_frame_defer_in(
                frame, [](void *each) { std::destroy_at(static_cast<Object *>(each)); }, object),
            FA_OK);
    }
    EXPECT_EQ(log, "+++");
    fa_frame_end_in(frame);
    EXPECT_EQ(log, "+++---");
}

TEST_P(DeferTest, ARewindRunsThoseThatItPasses) {
    Allocator allocator(config, source);
    fa_frame *frame = fa_frame_begin(allocator);
    fa_frame_defer_in(frame, Log<'a'>, nullptr);
    const fa_mark mark = fa_frame_mark_in(frame);
    for (int i = 0; i < 3; i++) {
        g_log.clear();
        EXPECT_EQ(fa_frame_rewind_in(frame, mark), FA_OK);
        EXPECT_EQ(g_log, "");
        fa_frame_defer_in(frame, Log<'b'>, nullptr);
        const fa_mark inner = fa_frame_mark_in(frame);
        (void)!fa_frame_alloc_in(frame, 20000);
        fa_frame_defer_in(frame, Log<'c'>, nullptr);
        fa_frame_defer_in(frame, Log<'d'>, nullptr);
        EXPECT_EQ(fa_frame_rewind_in(frame, inner), FA_OK);
        EXPECT_EQ(g_log, "dc");
        EXPECT_EQ(fa_frame_rewind_in(frame, inner), FA_OK);
        EXPECT_EQ(g_log, "dc");
        EXPECT_EQ(fa_frame_rewind_in(frame, mark), FA_OK);
        EXPECT_EQ(g_log, "dcb");
        EXPECT_EQ(fa_frame_rewind_in(frame, inner), FA_ERROR_FOREIGN);
    }
    {
        fa_mark_scope_in(frame, scope);
        fa_frame_defer_in(frame, Log<'e'>, nullptr);
    }
    EXPECT_EQ(g_log, "dcbe");
    fa_frame_end_in(frame);
    EXPECT_EQ(g_log, "dcbea");
}

// What clean-ups do to the frame of g_frame.
fa_frame *g_frame;
int g_left;

void AllocateAndDeferMore(void *argument) {
    g_log += 'x';
    auto *text = static_cast<unsigned char *>(argument);
    EXPECT_TRUE(IsPainted(text, 5, 100));
    auto *more = static_cast<unsigned char *>(fa_frame_alloc_in(g_frame, 3000));
    ASSERT_NE(more, nullptr);
    Paint(more, 5, 3000);
    if (g_left-- > 0) {
        EXPECT_EQ(fa_frame_defer_in(g_frame, AllocateAndDeferMore, more), FA_OK);
    }
}

TEST_P(DeferTest, MayAllocateAndDeferMore) {
    Allocator allocator(config, source);
    g_frame = fa_frame_begin(allocator);
    void *text = fa_frame_alloc_in(g_frame, 100);
    Paint(text, 5, 100);
    const size_t bytes = fa_frame_bytes_in(g_frame);
    const fa_mark mark = fa_frame_mark_in(g_frame);
    for (int i = 0; i < 2; i++) {
        g_left = 10;
        fa_frame_defer_in(g_frame, AllocateAndDeferMore, text);
        EXPECT_EQ(fa_frame_rewind_in(g_frame, mark), FA_OK);
        EXPECT_EQ(g_log, std::string(static_cast<size_t>(11 * (i + 1)), 'x'));
        EXPECT_EQ(fa_frame_bytes_in(g_frame), bytes);
    }
    g_left = 3;
    fa_frame_defer_in(g_frame, AllocateAndDeferMore, text);
    EXPECT_EQ(fa_frame_end_in(g_frame), FA_OK);
    EXPECT_EQ(g_log, std::string(26, 'x'));
    ExpectValid(allocator);
}

fa_mark g_mark;

TEST_P(DeferTest, MustLeaveTheFrameAlone) {
    Allocator allocator(config, source);
    g_frame = fa_frame_begin(allocator);
    const fa_mark outer = fa_frame_mark_in(g_frame);
    for (bool rewind : {true, false}) {
        g_log.clear();
        fa_frame_defer(
            allocator,
            [](void *argument) {
                g_log += 'r';
                auto *own = static_cast<fa_allocator *>(argument);
                const fa_mark mark = fa_frame_mark_in(g_frame), newest = fa_frame_mark_in(g_frame);
                EXPECT_EQ(fa_frame_rewind_in(g_frame, g_mark), FA_ERROR_FRAME_OPEN);
                EXPECT_EQ(fa_last_error().diag, FA_DIAG_FA009);
                for (const fa_mark &each : {newest, mark})
                    EXPECT_EQ(fa_frame_rewind_in(g_frame, each), FA_OK) << "its own";
                EXPECT_EQ(fa_frame_rewind_in(g_frame, newest), FA_ERROR_FOREIGN) << "it died";
                EXPECT_EQ(fa_frame_end(own), FA_ERROR_FRAME_OPEN);
                EXPECT_EQ(fa_last_error().diag, FA_DIAG_FA009);
                EXPECT_EQ(fa_frame_end_in(g_frame), FA_ERROR_FRAME_OPEN);
                EXPECT_EQ(fa_thread_detach(own), FA_ERROR_FRAME_OPEN);
                EXPECT_EQ(fa_frame_begin(own), nullptr);
                EXPECT_EQ(fa_last_error().diag, FA_DIAG_FA004);
                EXPECT_NE(fa_frame_alloc_in(g_frame, 16), nullptr);
            },
            allocator);
        fa_frame_defer(allocator, Log<'b'>, nullptr);
        g_mark = fa_frame_mark_in(g_frame); // the newest: its rewind would be inline
        EXPECT_EQ(rewind ? fa_frame_rewind_in(g_frame, outer) : fa_frame_end_in(g_frame), FA_OK);
        EXPECT_EQ(g_log, "br");
    }
    EXPECT_EQ(events.Count(FA_DIAG_FA009), 8u);
    EXPECT_EQ(fa_frame_current(allocator), nullptr);
    EXPECT_EQ(Stats(allocator).frame_count, 1u);
    ExpectValid(allocator);
}

TEST_P(DeferTest, MayUseScratchMemory) {
    Allocator allocator(config, source);
    g_frame = fa_frame_begin(allocator);
    const fa_mark outer = fa_frame_mark_in(g_frame);
    fa_cleanup_fn *with_scratch = [](void *) {
        const size_t bytes = fa_frame_bytes_in(g_frame);
        g_mark = fa_frame_mark_in(g_frame);
        {
            fa_mark_scope_in(g_frame, scratch);
            EXPECT_NE(fa_frame_alloc_in(g_frame, 20000), nullptr);
            fa_frame_defer_in(g_frame, Log<'i'>, nullptr);
        }
        EXPECT_EQ(fa_frame_bytes_in(g_frame), bytes);
        EXPECT_EQ(fa_frame_end_in(g_frame), FA_ERROR_FRAME_OPEN) << "a clean-up still runs";
        g_log += 'o';
        fa_frame_defer_in(
            g_frame,
            [](void *) {
                EXPECT_EQ(fa_frame_rewind_in(g_frame, g_mark), FA_ERROR_FRAME_OPEN) << "another's";
                g_log += 'n';
            },
            nullptr);
    };
    for (bool rewind : {true, false}) {
        for (int i = 0; i < 2; i++)
            fa_frame_defer_in(g_frame, with_scratch, nullptr);
        EXPECT_EQ(rewind ? fa_frame_rewind_in(g_frame, outer) : fa_frame_end_in(g_frame), FA_OK);
        EXPECT_EQ(g_log, "ionion");
        g_log.clear();
        ExpectValid(allocator);
    }
    EXPECT_EQ(events.Count(FA_DIAG_FA008), 0u);
}

TEST_P(DeferTest, WhatAHookAtTheEndRegistersRuns) {
    config.on_event = [](void *user, const fa_event *event) {
        if (event->diag == FA_DIAG_FA011) {
            EXPECT_EQ(fa_frame_defer(const_cast<fa_allocator *>(event->allocator), Log<'a'>, user),
                      FA_OK);
        }
    };
    Allocator allocator(config, source);
    for (int i = 0; i < 2; i++) {
        fa_frame *frame = fa_frame_begin(allocator);
        EXPECT_EQ(fa_phase_begin_in(frame, "open"), FA_OK);
        EXPECT_EQ(fa_frame_end_in(frame), FA_OK);
        EXPECT_EQ(g_log, i == 0 ? "a" : "aa");
    }
}

TEST_P(DeferTest, CancelTakesTheNewestOfAPair) {
    Allocator allocator(config, source);
    fa_frame *frame = fa_frame_begin(allocator);
    int one = 1, two = 2;
    fa_frame_defer_in(frame, Log<'a'>, &one);
    fa_frame_defer_in(frame, Log<'a'>, &two);
    fa_frame_defer_in(frame, Log<'b'>, &one);
    EXPECT_EQ(fa_frame_defer_cancel_in(frame, Log<'b'>, &two), FA_ERROR_INVALID);
    EXPECT_EQ(fa_frame_defer_cancel_in(frame, Log<'a'>, &one), FA_OK);
    EXPECT_EQ(fa_frame_defer_cancel(allocator, Log<'a'>, &one), FA_ERROR_INVALID);
    EXPECT_EQ(fa_frame_defer_cancel(allocator, Log<'b'>, &one), FA_OK);
    fa_frame_end_in(frame);
    EXPECT_EQ(g_log, "a");
    EXPECT_EQ(fa_frame_defer_cancel_in(frame, Log<'a'>, &two), FA_ERROR_NO_FRAME);
}

TEST_P(DeferTest, WithoutAFrameOrOnAnotherThreadNothingIsRegistered) {
    Allocator allocator(config, source);
    EXPECT_EQ(fa_frame_defer(allocator, Log<'a'>, nullptr), FA_ERROR_NO_FRAME);
    EXPECT_EQ(fa_last_error().diag, FA_DIAG_FA001);
    fa_frame *frame = fa_frame_begin(allocator);
    source.Fail(1);
    fa_status status = FA_OK;
    while (status == FA_OK) {
        status = fa_frame_defer_in(frame, Log<'.'>, nullptr);
        if (status == FA_OK) {
            EXPECT_EQ(fa_frame_defer_cancel_in(frame, Log<'.'>, nullptr), FA_OK);
        }
    }
    EXPECT_EQ(status, FA_ERROR_NO_MEMORY);
    source.Fail(0);
    fa_frame_end_in(frame);
    EXPECT_EQ(fa_frame_defer_in(frame, Log<'a'>, nullptr), FA_ERROR_NO_FRAME);
    fa_frame_begin(allocator);
    OnThread([&] {
        EXPECT_EQ(fa_frame_defer(allocator, Log<'a'>, nullptr), FA_ERROR_NO_FRAME);
        EXPECT_EQ(fa_frame_defer_cancel_in(frame, Log<'a'>, nullptr), FA_ERROR_FOREIGN);
    });
    fa_frame_end_in(frame);
    EXPECT_EQ(g_log, "");
}

TEST_P(DeferTest, RunWhenTheThreadLeavesWithAnOpenFrame) {
    config.strict = false;
    Allocator allocator(config, source), other(config, source);
    void *object = fa_pool_alloc(allocator, 100);
    for (bool detach : {true, false}) {
        g_log.clear();
        OnThread([&] {
            for (fa_allocator *each :
                 {static_cast<fa_allocator *>(allocator), static_cast<fa_allocator *>(other)}) {
                fa_frame_begin(each);
                fa_frame_defer(each, Log<'a'>, nullptr);
                fa_frame_defer(
                    each,
                    [](void *argument) { // no lock is held
                        auto *own = static_cast<fa_allocator *>(argument);
                        fa_pool_free(own, fa_pool_alloc(own, 64));
                        EXPECT_NE(fa_frame_alloc(own, 64), nullptr);
                        EXPECT_EQ(Stats(own).heap_live_count, 0u);
                        fa_frame_defer(own, Log<'c'>, nullptr);
                        g_log += 'b';
                    },
                    each);
            }
            if (detach) {
                EXPECT_EQ(fa_thread_detach(allocator), FA_OK);
                EXPECT_EQ(g_log, "bca");
            }
        });
        EXPECT_EQ(g_log, "bcabca");
        EXPECT_EQ(fa_thread_count(allocator), 1u);
    }
    fa_pool_free(allocator, object);
}

TEST_P(DeferTest, RunBeforeAnAllocatorIsDestroyed) {
    for (bool own : {true, false}) {
        g_log.clear();
        Allocator allocator(config, source);
        const auto open = [&] {
            fa_frame_begin(allocator);
            fa_frame_defer(
                allocator,
                [](void *argument) { // what was kept for the frame is no leak
                    void **kept = static_cast<void **>(argument);
                    fa_heap_free(static_cast<fa_allocator *>(kept[0]), kept[1]);
                    g_log += 'h';
                },
                [&] {
                    void **kept = fa_frame_array(allocator, void *, 2);
                    kept[0] = allocator;
                    kept[1] = fa_heap_alloc(allocator, 5000);
                    return kept;
                }());
        };
        if (own) {
            open();
            EXPECT_EQ(allocator.Destroy(), 0u);
            EXPECT_EQ(g_log, "h");
            continue;
        }
        OnThread([&] {
            open();
            OnThread([&] {
                EXPECT_EQ(allocator.Destroy(), 0u);
                EXPECT_EQ(g_log, "h");
            });
        });
        EXPECT_EQ(g_log, "h");
    }
    EXPECT_EQ(source.BytesLive(), 0u);
}

} // namespace
