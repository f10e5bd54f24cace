// What callbacks of life-cycle events may do, and what becomes of it.
#include "fa/testing_events.hpp"

#include <functional>

namespace {

using namespace fa_testing;

// Runs whatever a test wants inside of a callback.
struct Caller {
    std::function<void(const fa_events_item &)> body;
    fa_events_id id = {};
    size_t calls = 0;

    static void Call(void *user, const fa_events_item *item) {
        Caller *caller = static_cast<Caller *>(user);
        caller->calls++;
        caller->body(*item);
    }
    void Subscribe(fa_allocator *allocator, uint32_t kinds) {
        fa_events_config config = {};
        config.kinds = kinds;
        config.function = Call;
        config.user = this;
        EXPECT_EQ(fa_events_subscribe(allocator, &config, &id), FA_OK);
    }
};

class EventsCallback : public testing::TestWithParam<uint32_t> {
  protected:
    EventsCallback() : allocator_(Config(GetParam())) {}
    uint64_t Missed() const {
        fa_events_stats stats;
        EXPECT_EQ(fa_events_stats_get(allocator_, &stats), FA_OK);
        return stats.missed_count;
    }
    Tracked allocator_;
};

TEST_P(EventsCallback, MayAllocateAndFreeWithoutEnd) {
    Caller caller;
    std::vector<void *> kept;
    caller.body = [&](const fa_events_item &) {
        fa_pool_free(allocator_, fa_pool_alloc(allocator_, 64));
        fa_heap_free(allocator_, fa_heap_alloc(allocator_, 4000));
        kept.push_back(fa_pool_alloc(allocator_, 32));
        if (fa_frame_current(allocator_) != nullptr) {
            EXPECT_NE(fa_frame_alloc(allocator_, 100), nullptr);
        }
    };
    caller.Subscribe(allocator_, FA_EVENTS_ALL);
    RunFrame(allocator_, 5);
    for (int i = 0; i < 20; i++) {
        void *object = fa_pool_alloc(allocator_, 32), *block = fa_heap_alloc(allocator_, 3000);
        Paint(object, 1, 32);
        block = fa_heap_realloc(allocator_, block, 9000);
        fa_heap_free(allocator_, block);
        EXPECT_TRUE(IsPainted(object, 1, 32));
        fa_pool_free_sized(allocator_, object, 32);
    }
    // Attached, begin, five blocks, end; then two of the pool, four of the heap.
    EXPECT_GE(caller.calls, 1 + 1 + 5 + 1 + 20 * 6u);
    EXPECT_GT(Missed(), caller.calls);
    EXPECT_EQ(fa_events_unsubscribe(allocator_, caller.id), FA_OK);
    for (void *object : kept)
        fa_pool_free(allocator_, object);
    allocator_.Check();
}

TEST_P(EventsCallback, MayNotMoveTheFrame) {
    Caller caller;
    fa_mark outside = {};
    caller.body = [&](const fa_events_item &item) {
        EXPECT_EQ(fa_frame_begin(allocator_), nullptr);
        bool open = fa_frame_current(allocator_) != nullptr;
        EXPECT_EQ(fa_last_error().diag, open ? FA_DIAG_FA004 : FA_DIAG_FA009);
        EXPECT_EQ(fa_thread_detach(allocator_), FA_ERROR_FRAME_OPEN);
        if (!open)
            return;
        EXPECT_EQ(fa_frame_end(allocator_), FA_ERROR_FRAME_OPEN);
        EXPECT_EQ(fa_last_error().diag, FA_DIAG_FA009);
        if (item.kind == FA_EVENTS_ALLOC && item.intent == FA_INTENT_HEAP) {
            EXPECT_EQ(fa_frame_rewind(allocator_, outside), FA_ERROR_FRAME_OPEN);
        }
        fa_mark inside = fa_frame_mark(allocator_);
        EXPECT_NE(fa_frame_alloc(allocator_, 64), nullptr);
        EXPECT_EQ(fa_frame_rewind(allocator_, inside), FA_OK);
    };
    ASSERT_EQ(fa_thread_attach(allocator_), FA_OK);
    caller.Subscribe(allocator_, FA_EVENTS_ALL);
    fa_frame *frame = fa_frame_begin(allocator_);
    ASSERT_NE(frame, nullptr);
    outside = fa_frame_mark_in(frame);
    ASSERT_NE(fa_frame_alloc_in(frame, 32), nullptr);
    fa_heap_free(allocator_, fa_heap_alloc(allocator_, 3000));
    EXPECT_EQ(fa_frame_rewind_in(frame, outside), FA_OK);
    EXPECT_EQ(fa_frame_end_in(frame), FA_OK);
    EXPECT_EQ(fa_thread_detach(allocator_), FA_OK);
    EXPECT_EQ(caller.calls, 6u);
    allocator_.Check();
}

TEST_P(EventsCallback, LeavesTheLastErrorAlone) {
    Caller caller;
    caller.body = [&](const fa_events_item &) {
        EXPECT_EQ(fa_heap_alloc(allocator_, 0), nullptr);
        fa_last_error_clear();
    };
    caller.Subscribe(allocator_, FA_EVENTS_BIT(FA_EVENTS_PRESSURE) | FA_EVENTS_FRAMES);
    EXPECT_EQ(fa_frame_alloc(allocator_, 1), nullptr);
    EXPECT_EQ(fa_last_error().status, FA_ERROR_NO_FRAME);
    RunFrame(allocator_, 1);
    EXPECT_EQ(fa_last_error().status, FA_ERROR_NO_FRAME);
    EXPECT_EQ(fa_heap_alloc(allocator_, FA_SIZE_MAX / 2), nullptr);
    EXPECT_NE(fa_last_error().status, FA_ERROR_INVALID);
    EXPECT_NE(fa_last_error().status, FA_OK);
    EXPECT_GE(caller.calls, 3u);
}

TEST_P(EventsCallback, MayEndItself) {
    Caller caller;
    caller.body = [&](const fa_events_item &) {
        EXPECT_EQ(fa_events_unsubscribe(allocator_, caller.id), FA_OK);
        EXPECT_EQ(fa_events_unsubscribe(allocator_, caller.id), FA_ERROR_FOREIGN);
    };
    caller.Subscribe(allocator_, FA_EVENTS_ALL);
    RunFrame(allocator_, 3);
    EXPECT_EQ(caller.calls, 1u);
    EXPECT_EQ(Subscribers(allocator_), 0u);
    // From inside of a block's event: what is left of the frame goes on.
    caller.Subscribe(allocator_, FA_EVENTS_BLOCKS);
    RunFrame(allocator_, 3);
    fa_pool_free(allocator_, fa_pool_alloc(allocator_, 64));
    EXPECT_EQ(caller.calls, 2u);
    allocator_.Check();
}

TEST_P(EventsCallback, MaySubscribeOthersAndEndThem) {
    Caller caller;
    Heard heard;
    fa_events_id other = {};
    caller.body = [&](const fa_events_item &item) {
        if (item.kind == FA_EVENTS_FRAME_BEGIN)
            other = heard.Subscribe(allocator_, FA_EVENTS_ALL);
        else
            EXPECT_EQ(fa_events_unsubscribe(allocator_, other), FA_OK);
    };
    caller.Subscribe(allocator_, FA_EVENTS_FRAMES);
    for (size_t i = 1; i <= 4; i++) {
        heard.Clear();
        fa_frame *frame = fa_frame_begin(allocator_);
        fa_heap_free(allocator_, fa_heap_alloc(allocator_, 5000));
        EXPECT_EQ(fa_frame_end_in(frame), FA_OK);
        EXPECT_GE(heard.Count(FA_EVENTS_ALLOC), 1u);
        EXPECT_EQ(heard.Count(FA_EVENTS_FRAME_END), 0u) << "it was ended before its turn";
        EXPECT_EQ(Subscribers(allocator_), 1u);
    }
    allocator_.Check();
}

TEST_P(EventsCallback, MayUseAnotherAllocatorWhichIsTold) {
    Tracked other(Config(GetParam()));
    Caller here, there;
    here.body = [&](const fa_events_item &) { fa_pool_free(other, fa_pool_alloc(other, 64)); };
    there.body = [&](const fa_events_item &item) {
        EXPECT_EQ(item.allocator, other);
        fa_pool_free(allocator_, fa_pool_alloc(allocator_, 64)); /* is missed */
    };
    ASSERT_EQ(fa_thread_attach(other), FA_OK);
    ASSERT_EQ(fa_thread_attach(allocator_), FA_OK);
    here.Subscribe(allocator_, FA_EVENTS_ALL);
    there.Subscribe(other, FA_EVENTS_BLOCKS);
    EXPECT_EQ(fa_tag_enter(allocator_, FA_TAG_UI), FA_OK);
    RunFrame(allocator_, 2);
    void *object = fa_pool_alloc(allocator_, 64);
    fa_pool_free_sized(allocator_, object, 64);
    EXPECT_EQ(fa_tag_leave(allocator_), FA_OK);
    EXPECT_EQ(here.calls, 6u);
    EXPECT_EQ(there.calls, 12u);
    EXPECT_EQ(Missed(), 24u);
    EXPECT_EQ(fa_events_unsubscribe(allocator_, here.id), FA_OK);
    EXPECT_EQ(fa_events_unsubscribe(other, there.id), FA_OK);
    allocator_.Check();
    other.Check();
}

TEST_P(EventsCallback, MayAttachAThreadThatOnlyFrees) {
    Caller caller;
    caller.body = [&](const fa_events_item &) {
        fa_pool_free(allocator_, fa_pool_alloc(allocator_, 64));
    };
    std::vector<void *> objects;
    for (int i = 0; i < 200; i++)
        objects.push_back(fa_pool_alloc(allocator_, 64));
    caller.Subscribe(allocator_, FA_EVENTS_BLOCKS);
    OnThread([&] {
        for (void *object : objects)
            fa_pool_free(allocator_, object);
        EXPECT_EQ(fa_thread_count(allocator_), 2u);
    });
    EXPECT_EQ(fa_thread_count(allocator_), 1u);
    EXPECT_EQ(caller.calls, 200u);
    fa_deferred_process(allocator_, SIZE_MAX);
    EXPECT_EQ(allocator_.Live(), 0u);
    allocator_.Check();
}

TEST_P(EventsCallback, MayAllocateWhenItsThreadComesAndGoes) {
    Caller caller;
    caller.body = [&](const fa_events_item &) {
        fa_pool_free(allocator_, fa_pool_alloc(allocator_, 64));
        fa_heap_free(allocator_, fa_heap_alloc(allocator_, 640));
    };
    caller.Subscribe(allocator_, FA_EVENTS_BIT(FA_EVENTS_THREAD_ATTACHED) |
                                     FA_EVENTS_BIT(FA_EVENTS_THREAD_DETACHED));
    OnThread([&] { ASSERT_NE(fa_frame_begin(allocator_), nullptr); });
    OnThread([&] { fa_pool_free(allocator_, fa_pool_alloc(allocator_, 640)); });
    EXPECT_EQ(caller.calls, 4u);
    EXPECT_EQ(fa_thread_count(allocator_), 0u);
    allocator_.Check();
}

INSTANTIATE_TEST_SUITE_P(Checks, EventsCallback, testing::Values(0u, uint32_t{FA_CHECK_ALL}));

// Each call of the backend fails once, with all told to somebody who allocates as well.
TEST(EventsFaults, LoseNothing) {
    for (uint64_t at = 1; at < 60; at++) {
        Source source;
        Ledger ledger;
        {
            fa_alloc_config config = Plain();
            config.reserve_bytes = 1 << 20;
            Allocator allocator(config, source);
            Caller caller;
            caller.body = [&](const fa_events_item &item) {
                ledger.Add(item);
                fa_heap_free(allocator, fa_heap_alloc(allocator, 10000));
                fa_pool_free(allocator, fa_pool_alloc(allocator, 100));
            };
            caller.Subscribe(allocator, FA_EVENTS_ALL);
            source.Fail(at, at % 2 == 0);
            for (int i = 0; i < 3; i++) {
                fa_frame *frame = fa_frame_begin(allocator);
                if (frame != nullptr) {
                    for (size_t size = 64; size < 1 << 18; size *= 4)
                        Paint(fa_frame_alloc_zeroed_in(frame, 1, size), 0, 0);
                    EXPECT_EQ(fa_frame_end_in(frame), FA_OK);
                }
                void *object = fa_pool_alloc(allocator, 64);
                void *block = fa_heap_alloc(allocator, 100000), *larger = nullptr;
                if (block != nullptr)
                    larger = fa_heap_realloc(allocator, block, 3000000);
                fa_heap_free(allocator, larger != nullptr ? larger : block);
                fa_pool_free(allocator, object);
            }
            source.Fail(0);
            EXPECT_EQ(fa_events_unsubscribe(allocator, caller.id), FA_OK);
            ExpectValid(allocator);
            EXPECT_EQ(allocator.Destroy(), 0u);
        }
        EXPECT_EQ(source.BytesLive(), 0u);
        EXPECT_EQ(ledger.unknown_frees, 0u) << at;
        EXPECT_EQ(ledger.other_bytes, 0u) << at;
    }
}

} // namespace
