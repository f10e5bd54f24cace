// Callbacks and threads: what detaches under a call that is at work, who waits for whom.
#include "fa/testing_threads.hpp"

#include <atomic>

using namespace fa_testing;

namespace {

// A hook that a pool allocation leads to, which goes on with the thread's objects after it.
TEST(CallbackThreads, CanNotDetachAThreadThatIsAtWork) {
    static fa_allocator *allocator;
    static size_t calls;
    calls = 0;
    Source first, second;
    fa_alloc_config config = Plain();
    config.backend_spec = nullptr;
    config.backends[0] = first.backend;
    config.backends[1] = second.backend;
    config.on_event = [](void *, const fa_event *) {
        calls++;
        EXPECT_EQ(fa_thread_detach(allocator), FA_ERROR_FRAME_OPEN);
        // Whoever attaches would get the state.
        OnThread([] {
            void *block = fa_pool_alloc(allocator, 64);
            EXPECT_NE(block, nullptr);
            fa_pool_free(allocator, block);
        });
    };
    ASSERT_EQ(fa_allocator_create(&config, &allocator), FA_OK);
    ASSERT_EQ(fa_thread_attach(allocator), FA_OK);
    first.Fail(1);
    std::vector<void *> blocks;
    for (int i = 0; i < 3000; i++)
        blocks.push_back(fa_pool_alloc(allocator, 64));
    EXPECT_GT(calls, 0u) << "FA703: the first one declined";
    ExpectValid(allocator);
    EXPECT_EQ(Stats(allocator).pool_live_count, kCounted ? blocks.size() : 0);
    fa_pool_free_batch(allocator, blocks.data(), blocks.size());
    EXPECT_EQ(fa_allocator_destroy(allocator), 0u);
}

// Two threads, each inside of a callback, each of which ends the one that the other is inside of.
struct Ends {
    fa_allocator *allocator;
    fa_events_id listener;
    std::atomic<int> inside;
    void Meet() {
        for (inside++; inside < 2;)
            std::this_thread::yield();
    }
};

void EndListener(Ends *ends) {
    ends->Meet();
    EXPECT_EQ(fa_events_unsubscribe(ends->allocator, ends->listener), FA_OK);
}
size_t EndsFromReclaimer(void *user, fa_allocator *, size_t) {
    EndListener(static_cast<Ends *>(user));
    return 0;
}
void EndReclaimer(Ends *ends) {
    ends->Meet();
    EXPECT_EQ(fa_reclaimer_remove(ends->allocator, EndsFromReclaimer, ends), FA_OK);
}
fa_budget_answer EndsFromBudget(void *user, const fa_budget_request *) {
    EndListener(static_cast<Ends *>(user));
    return FA_BUDGET_ANSWER_FAIL;
}
void EndBudget(Ends *ends) {
    ends->Meet();
    EXPECT_EQ(fa_budget_set(ends->allocator, FA_INTENT_HEAP, nullptr), FA_OK);
}

TEST(CallbackThreads, OfOtherKindsDoNotWaitForEachOther) {
    for (const bool of_budget : {false, true}) {
        fa_alloc_config config = Plain();
        config.bytes_max = 64 << 20;
        Allocator allocator(config);
        Ends ends = {allocator, {}, {0}};
        fa_events_config listen = {};
        listen.kinds = FA_EVENTS_BIT(FA_EVENTS_FRAME_BEGIN);
        listen.user = &ends;
        if (of_budget) {
            fa_budget budget = {};
            budget.hard_bytes = 1 << 20;
            budget.policy = FA_BUDGET_ASK;
            budget.ask = EndsFromBudget;
            budget.user = &ends;
            ASSERT_EQ(fa_budget_set(allocator, FA_INTENT_HEAP, &budget), FA_OK);
            listen.function = [](void *user, const fa_events_item *) {
                EndBudget(static_cast<Ends *>(user));
            };
        } else {
            ASSERT_EQ(fa_reclaimer_add(allocator, 0, EndsFromReclaimer, &ends), FA_OK);
            listen.function = [](void *user, const fa_events_item *) {
                EndReclaimer(static_cast<Ends *>(user));
            };
        }
        ASSERT_EQ(fa_events_subscribe(allocator, &listen, &ends.listener), FA_OK);
        std::thread other([&] {
            fa_frame_begin(allocator);
            fa_frame_end(allocator);
        });
        EXPECT_EQ(fa_heap_alloc(allocator, of_budget ? 2 << 20 : 1 << 30), nullptr);
        other.join();
        EXPECT_EQ(ends.inside, 2);
        ExpectValid(allocator);
    }
}

// A timeline whose function ends something, once.
struct Line {
    Ends *ends;
    fa_timeline *own, *other; // other: to destroy; NULL: the listener is what goes
    std::atomic<bool> has_acted;

    static uint64_t Read(void *user) {
        auto *line = static_cast<Line *>(user);
        if (line->has_acted.exchange(true))
            return 1;
        if (line->other == nullptr) {
            EndListener(line->ends);
            return 1;
        }
        line->ends->Meet();
        EXPECT_EQ(fa_timeline_destroy(line->other), FA_OK);
        return 1;
    }
    void Open() {
        fa_timeline_config config = {};
        config.read = Read;
        config.user = this;
        ASSERT_EQ(fa_timeline_create(ends->allocator, &config, &own), FA_OK);
    }
    // Keeps a frame, and asks whether it is due.
    void Ask() const {
        EXPECT_NE(fa_frame_begin(ends->allocator), nullptr);
        EXPECT_NE(fa_frame_alloc(ends->allocator, 100), nullptr);
        EXPECT_EQ(fa_frame_end_on(ends->allocator, own, 1), FA_OK);
        EXPECT_NE(fa_frame_begin(ends->allocator), nullptr);
        EXPECT_EQ(fa_frame_end(ends->allocator), FA_OK);
    }
};

TEST(CallbackThreads, TimelinesThatDestroyEachOtherDoNotWait) {
    for (int i = 0; i < 20; i++) {
        Allocator allocator(Plain());
        Ends ends = {allocator, {}, {0}};
        Line lines[2] = {{&ends, nullptr, nullptr, {false}}, {&ends, nullptr, nullptr, {false}}};
        for (Line &line : lines)
            line.Open();
        lines[0].other = lines[1].own;
        lines[1].other = lines[0].own;
        std::thread other([&] { lines[0].Ask(); });
        lines[1].Ask();
        other.join();
        EXPECT_EQ(ends.inside, 2);
        (void)fa_allocator_trim(allocator); // frames that were due hold the rest of them
        EXPECT_EQ(Stats(allocator).heap_live_count, 0u);
        EXPECT_EQ(Stats(allocator).pool_live_count, 0u);
        ExpectValid(allocator);
    }
}

TEST(CallbackThreads, ATimelineAndAListenerThatEndEachOtherDoNotWait) {
    for (int i = 0; i < 20; i++) {
        Allocator allocator(Plain());
        Ends ends = {allocator, {}, {0}};
        Line line = {&ends, nullptr, nullptr, {false}};
        line.Open();
        ASSERT_EQ(fa_thread_attach(allocator), FA_OK) << "this is not what is told";
        fa_events_config listen = {};
        listen.kinds = FA_EVENTS_BIT(FA_EVENTS_THREAD_ATTACHED);
        listen.user = &line;
        listen.function = [](void *user, const fa_events_item *) {
            auto *at = static_cast<Line *>(user);
            at->ends->Meet();
            EXPECT_EQ(fa_timeline_destroy(at->own), FA_OK);
        };
        ASSERT_EQ(fa_events_subscribe(allocator, &listen, &ends.listener), FA_OK);
        std::thread other([&] { EXPECT_EQ(fa_thread_attach(allocator), FA_OK); });
        line.Ask();
        other.join();
        EXPECT_EQ(ends.inside, 2);
        (void)fa_allocator_trim(allocator);
        EXPECT_EQ(Stats(allocator).heap_live_count, 0u);
        EXPECT_EQ(Stats(allocator).pool_live_count, 0u);
        ExpectValid(allocator);
    }
}

// Nothing is left behind that is touched when they come out, where no frame holds the timelines.
TEST(CallbackThreads, AThreadThatAsksWhileItsTimelineGoesComesOutOfIt) {
    for (int i = 0; i < 20; i++) {
        Allocator allocator(Plain());
        Ends ends = {allocator, {}, {0}};
        Line lines[2] = {{&ends, nullptr, nullptr, {false}}, {&ends, nullptr, nullptr, {false}}};
        for (Line &line : lines)
            line.Open();
        lines[0].other = lines[1].own;
        lines[1].other = lines[0].own;
        std::thread other([&] { EXPECT_EQ(fa_timeline_value(lines[0].own), 1u); });
        EXPECT_EQ(fa_timeline_value(lines[1].own), 1u);
        other.join();
        EXPECT_EQ(Stats(allocator).heap_live_count, 0u);
        EXPECT_EQ(Stats(allocator).pool_live_count, 0u);
        ExpectValid(allocator);
    }
}

// ---- the end of threads ----

// What a thread that detaches frees of its own waits for nobody, and is neither lost nor refused.
TEST(CallbackThreads, PromotedBlocksGoWithTheirThreadHoweverManyMayWait) {
    for (fa_deferred_full full :
         {FA_DEFERRED_FULL_GROW, FA_DEFERRED_FULL_WAIT, FA_DEFERRED_FULL_FAIL,
          FA_DEFERRED_FULL_DROP, FA_DEFERRED_FULL_PROCESS})
        for (const bool exits : {false, true}) {
            SCOPED_TRACE(testing::Message() << full << ' ' << exits);
            Events events;
            fa_alloc_config config = Plain();
            events.Watch(&config);
            config.deferred.count_max = 1;
            config.deferred.full = full;
            config.deferred.wait_nanoseconds = uint64_t{10} * 1000 * 1000 * 1000; // each
            Allocator allocator(config);
            fa_budget budget = {};
            budget.hard_bytes = 64;
            budget.policy = FA_BUDGET_PROMOTE;
            ASSERT_EQ(fa_budget_set(allocator, FA_INTENT_FRAME, &budget), FA_OK);
            std::thread([&] {
                EXPECT_NE(fa_frame_begin(allocator), nullptr);
                for (int i = 0; i < 100; i++)
                    EXPECT_NE(fa_frame_alloc(allocator, 100), nullptr);
                if (!exits) {
                    EXPECT_EQ(fa_thread_detach(allocator), FA_OK);
                }
            }).join();
            for (fa_diag diag : {FA_DIAG_FA305, FA_DIAG_FA307})
                EXPECT_EQ(events.Count(diag), 0u);
            EXPECT_EQ(Stats(allocator).pool_live_count, 0u);
            fa_deferred_stats stats;
            EXPECT_EQ(fa_deferred_stats_get(allocator, &stats), FA_OK);
            EXPECT_EQ(stats.dropped_count, 0u);
            EXPECT_EQ(stats.waiting_count, 0u);
            ExpectValid(allocator);
        }
}

// A hook that is called while the thread's last frame is taken apart begins none: what it would put
// off would never be done.
TEST(CallbackThreads, AHookBeginsNoFrameOfAThreadThatDetaches) {
    struct Hook {
        fa_allocator *allocator = nullptr;
        int told = 0, put_off = 0, done = 0;
        static void Call(void *user, const fa_event *event) {
            auto *self = static_cast<Hook *>(user);
            if (event->diag != FA_DIAG_FA602 && event->diag != FA_DIAG_FA601)
                return;
            self->told++;
            if (fa_frame_begin(self->allocator) == nullptr)
                return;
            const auto clean = [](void *argument) { static_cast<Hook *>(argument)->done++; };
            self->put_off += fa_frame_defer(self->allocator, clean, self) == FA_OK;
        }
    } hook;
    fa_alloc_config config = Plain();
    config.checks = FA_CHECK_FREE;
    config.frames_in_flight = 2; // the last one is still there when it detaches
    config.on_event = Hook::Call;
    config.on_event_user = &hook;
    Allocator allocator(config);
    hook.allocator = allocator;
    fa_budget budget = {};
    budget.hard_bytes = 64;
    budget.policy = FA_BUDGET_PROMOTE;
    ASSERT_EQ(fa_budget_set(allocator, FA_INTENT_FRAME, &budget), FA_OK);
    ASSERT_NE(fa_frame_begin(allocator), nullptr);
    void *promoted = fa_frame_alloc(allocator, 100);
    ASSERT_EQ(fa_intent_of(allocator, promoted), FA_INTENT_POOL);
    fa_pool_free(allocator, promoted);
    EXPECT_EQ(fa_thread_detach(allocator), FA_OK);
    EXPECT_GE(hook.told, 1);
    EXPECT_EQ(hook.done, hook.put_off);
    EXPECT_EQ(hook.put_off, 0);
    ASSERT_NE(fa_frame_begin(allocator), nullptr) << "attached anew";
    EXPECT_EQ(fa_frame_end(allocator), FA_OK);
}

} // namespace
