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

} // namespace
