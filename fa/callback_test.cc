// Functions of the program that the library calls by itself, while captures are open: each kind, in
// the allocator of the capture and in another one.
#include "fa/testing_threads.hpp"

#include <memory>
#include <string>

using namespace fa_testing;

namespace {

std::function<void()> g_body; // of whatever is called
size_t g_calls;

void Called() {
    g_calls++;
    if (g_body)
        g_body();
}

// Makes the library call Called, once or more, on this thread. All is as before at the end.
struct Kind {
    const char *name;
    void (*provoke)(fa_allocator *allocator);
};

void Listener(fa_allocator *allocator) {
    fa_events_config config = {};
    config.kinds = FA_EVENTS_BIT(FA_EVENTS_FRAME_BEGIN);
    config.function = [](void *, const fa_events_item *) { Called(); };
    fa_events_id id;
    ASSERT_EQ(fa_events_subscribe(allocator, &config, &id), FA_OK);
    fa_frame_begin(allocator);
    fa_frame_end(allocator);
    EXPECT_EQ(fa_events_unsubscribe(allocator, id), FA_OK);
}

void Hook(fa_allocator *allocator) {
    static long stranger[4];
    fa_pool_free(allocator, stranger);
}

void Reclaimer(fa_allocator *allocator) {
    auto *function = +[](void *, fa_allocator *, size_t) -> size_t {
        Called();
        return 0;
    };
    ASSERT_EQ(fa_reclaimer_add(allocator, 0, function, nullptr), FA_OK);
    EXPECT_EQ(fa_heap_alloc(allocator, size_t{1} << 30), nullptr);
    EXPECT_EQ(fa_reclaimer_remove(allocator, function, nullptr), FA_OK);
}

void Budget(fa_allocator *allocator) {
    fa_budget budget = {};
    budget.hard_bytes = 1 << 20;
    budget.policy = FA_BUDGET_ASK;
    budget.ask = [](void *, const fa_budget_request *) {
        Called();
        return FA_BUDGET_ANSWER_FAIL;
    };
    ASSERT_EQ(fa_budget_set(allocator, FA_INTENT_HEAP, &budget), FA_OK);
    EXPECT_EQ(fa_heap_alloc(allocator, 2 << 20), nullptr);
    ASSERT_EQ(fa_budget_set(allocator, FA_INTENT_HEAP, nullptr), FA_OK);
}

void Counter(fa_allocator *allocator) {
    fa_timeline_config config = {};
    config.read = [](void *) {
        Called();
        return uint64_t{7};
    };
    fa_timeline *timeline;
    ASSERT_EQ(fa_timeline_create(allocator, &config, &timeline), FA_OK);
    EXPECT_EQ(fa_timeline_value(timeline), 7u);
    EXPECT_EQ(fa_timeline_destroy(timeline), FA_OK);
}

void CleanUp(fa_allocator *allocator) {
    fa_frame_begin(allocator);
    ASSERT_EQ(fa_frame_defer(
                  allocator, [](void *) { Called(); }, nullptr),
              FA_OK);
    fa_frame_end(allocator);
}

void Group(fa_allocator *allocator) {
    const fa_group group = fa_group_create(allocator, "group");
    ASSERT_NE(fa_group_alloc_with(group, 40, 16, [](void *) { Called(); }), nullptr);
    ASSERT_EQ(fa_group_defer(
                  group, [](void *) { Called(); }, nullptr),
              FA_OK);
    EXPECT_EQ(fa_group_free(group), FA_OK);
}

void TaskEnd(fa_allocator *allocator) {
    const fa_task task = fa_task_begin(allocator, "ends");
    ASSERT_NE(fa_task_alloc_with(task, 40, [](void *) { Called(); }), nullptr);
    EXPECT_EQ(fa_task_end(task), FA_OK);
}

void TaskFree(fa_allocator *allocator) {
    const fa_task task = fa_task_begin(allocator, "frees");
    void *object = fa_task_alloc_with(task, 40, [](void *) { Called(); });
    EXPECT_EQ(fa_task_free(task, object), FA_OK);
    EXPECT_EQ(fa_task_end(task), FA_OK);
}

fa_typed_pool *Typed(fa_allocator *allocator, bool constructs) {
    fa_typed_pool_config config = {};
    config.size = 48;
    if (constructs)
        config.construct = [](void *, void *) {
            Called();
            return FA_OK;
        };
    else
        config.destruct = [](void *, void *) { Called(); };
    fa_typed_pool *pool = nullptr;
    EXPECT_EQ(fa_typed_pool_create(allocator, &config, &pool), FA_OK);
    return pool;
}

void Constructor(fa_allocator *allocator) {
    fa_typed_pool *pool = Typed(allocator, true);
    EXPECT_NE(fa_typed_pool_acquire(pool), nullptr);
    EXPECT_EQ(fa_typed_pool_destroy(pool), 1u);
}

void Destructor(fa_allocator *allocator) {
    fa_typed_pool *pool = Typed(allocator, false);
    void *objects[3];
    for (void *&object : objects)
        object = fa_typed_pool_acquire(pool);
    EXPECT_EQ(fa_typed_pool_release(pool, objects[0]), FA_OK);
    EXPECT_EQ(fa_typed_pool_clear(pool), 2u);
    EXPECT_NE(fa_typed_pool_acquire(pool), nullptr);
    EXPECT_EQ(fa_typed_pool_destroy(pool), 1u);
}

void Move(fa_allocator *allocator) {
    fa_handles_options options = {};
    options.on_moved = [](void *, fa_handles *, fa_handle, void *, void *, size_t) { Called(); };
    fa_handles *handles = fa_handles_create(allocator, &options);
    std::vector<fa_handle> all;
    for (int i = 0; i < 500; i++)
        all.push_back(fa_handle_alloc(handles, 1000));
    for (size_t i = 0; i < all.size(); i++)
        if (i % 64 != 0) {
            EXPECT_EQ(fa_handle_free(handles, all[i]), FA_OK);
        }
    EXPECT_NE(fa_handles_compact(handles, 1, 0).moved_count, 0u);
    fa_handles_destroy(handles);
}

void Eviction(fa_allocator *allocator) {
    fa_streams_config config = fa_streams_config_default();
    config.bytes_max = 100 << 10;
    config.on_evict = [](void *, const fa_eviction *) { Called(); };
    fa_streams *streams;
    ASSERT_EQ(fa_streams_create(allocator, &config, &streams), FA_OK);
    for (int i = 0; i < 2; i++) {
        const fa_stream stream =
            fa_stream_reserve(streams, 60 << 10, 16, FA_STREAM_NORMAL, nullptr);
        ASSERT_NE(fa_stream_begin(streams, stream), nullptr);
        ASSERT_EQ(fa_stream_finish(streams, stream), FA_OK);
    }
    fa_streams_destroy(streams);
}

void Drop(fa_allocator *allocator) {
    fa_transfer transfer;
    char text[40] = "text";
    ASSERT_EQ(fa_transfer_make(allocator, text, sizeof text, 16, &transfer), FA_OK);
    auto *function = +[](void *, void *) { Called(); };
    ASSERT_EQ(fa_transfer_on_drop(allocator, transfer, function, nullptr), FA_OK);
    EXPECT_EQ(fa_transfer_drop(allocator, transfer), FA_OK);
}

void Shared(fa_allocator *allocator) {
    void *object = fa_shared_alloc(allocator, 40, 16, [](void *) { Called(); });
    EXPECT_EQ(fa_shared_release(allocator, object), FA_OK);
}

const Kind k_kinds[] = {
    {"Listener", Listener},   {"Hook", Hook},
    {"Reclaimer", Reclaimer}, {"Budget", Budget},
    {"Counter", Counter},     {"CleanUp", CleanUp},
    {"Group", Group},         {"TaskEnd", TaskEnd},
    {"TaskFree", TaskFree},   {"Constructor", Constructor},
    {"Move", Move},           {"Destructor", Destructor},
    {"Eviction", Eviction},   {"Drop", Drop},
    {"Shared", Shared},
};

class Callback : public testing::TestWithParam<Kind> {
  protected:
    void SetUp() override {
        g_calls = 0;
        for (fa_allocator *&allocator : both_) {
            fa_alloc_config config = Plain();
            config.bytes_max = 64 << 20;
            config.on_event = [](void *user, const fa_event *event) {
                auto *self = static_cast<Callback *>(user);
                self->reported_[event->diag]++;
                if (GetParam().provoke == Hook)
                    Called();
            };
            config.on_event_user = this;
            ASSERT_EQ(fa_allocator_create(&config, &allocator), FA_OK);
        }
        task_ = fa_task_begin(allocator_, "task");
    }
    void TearDown() override {
        g_body = nullptr;
        EXPECT_EQ(fa_task_end(task_), FA_OK);
        for (fa_allocator *allocator : both_) {
            ExpectValid(allocator);
            EXPECT_EQ(fa_allocator_destroy(allocator), 0u);
        }
    }
    size_t Captured(fa_task task) const {
        fa_task_stats stats;
        EXPECT_EQ(fa_task_stats_get(task, &stats), FA_OK);
        return stats.captured_count;
    }
    // An allocation of the program itself, outside of callbacks.
    void ExpectCapture(bool is_open) {
        size_t before = Captured(task_);
        void *block = fa_pool_alloc(allocator_, 64);
        EXPECT_EQ(Captured(task_), before + is_open);
        fa_pool_free(allocator_, block);
    }
    // Has it called while the task captures what the thread allocates.
    void Provoke(fa_allocator *allocator, const std::function<void()> &body) {
        ASSERT_EQ(fa_task_capture_begin(task_), FA_OK);
        ExpectCapture(true);
        g_body = body;
        const size_t before = g_calls;
        GetParam().provoke(allocator);
        EXPECT_GT(g_calls, before);
        g_body = nullptr;
        ExpectCapture(true);
        EXPECT_EQ(fa_task_capture_end(task_), FA_OK);
        ExpectCapture(false);
    }

    fa_allocator *both_[2] = {};
    fa_allocator *&allocator_ = both_[0]; // of the task
    fa_task task_ = {};
    size_t reported_[FA_DIAG_COUNT] = {};
};

TEST_P(Callback, WhatItAllocatesIsItsOwn) {
    for (fa_allocator *allocator : both_) {
        std::vector<void *> own;
        Provoke(allocator, [&] {
            for (size_t size : {16, 100, 4000, 100000})
                own.push_back(fa_pool_alloc(allocator_, size));
            void *batch[4];
            ASSERT_EQ(fa_pool_alloc_batch(allocator_, 32, 4, batch), FA_OK);
            own.insert(own.end(), batch, batch + 4);
            ASSERT_EQ(fa_tag_enter(allocator_, FA_TAG_AUDIO), FA_OK);
            own.push_back(fa_pool_alloc(allocator_, 100));
            ASSERT_EQ(fa_tag_leave(allocator_), FA_OK);
        });
        EXPECT_EQ(Captured(task_), 0u);
        EXPECT_EQ(fa_task_end(task_), FA_OK);
        task_ = fa_task_begin(allocator_, "next");
        for (void *block : own) {
            ASSERT_NE(block, nullptr);
            EXPECT_NE(fa_usable_size(allocator_, block), 0u) << "alive: the task had no part in it";
            fa_pool_free(allocator_, block);
        }
    }
    EXPECT_EQ(reported_[FA_DIAG_FA615], 0u);
}

TEST_P(Callback, MayCaptureForTasksOfItsOwn) {
    for (fa_allocator *allocator : both_) {
        const fa_task inner = fa_task_begin(allocator_, "inner");
        size_t captured = 0;
        std::vector<void *> own;
        Provoke(allocator, [&] {
            ASSERT_EQ(fa_task_capture_begin(inner), FA_OK);
            ASSERT_EQ(fa_task_capture_begin(task_), FA_OK) << "also for the one outside";
            EXPECT_EQ(fa_task_capture_end(task_), FA_OK);
            ASSERT_NE(fa_pool_alloc(allocator_, 64), nullptr);
            EXPECT_EQ(Captured(inner), ++captured);
            EXPECT_EQ(fa_task_capture_end(inner), FA_OK);
            own.push_back(fa_pool_alloc(allocator_, 64));
        });
        EXPECT_EQ(Captured(task_), 0u);
        EXPECT_EQ(fa_task_end(inner), FA_OK);
        for (void *block : own)
            fa_pool_free(allocator_, block);
    }
    EXPECT_EQ(reported_[FA_DIAG_FA615], 0u);
}

TEST_P(Callback, CanNotEndWhatIsOpenOutside) {
    for (fa_allocator *allocator : both_) {
        size_t refused = 0;
        Provoke(allocator, [&] {
            EXPECT_EQ(fa_task_capture_end(task_), FA_ERROR_FOREIGN);
            EXPECT_EQ(fa_last_error().diag, FA_DIAG_FA615);
            refused++;
        });
        EXPECT_GT(refused, 0u);
    }
    EXPECT_EQ(Stats(allocator_).diag_count[FA_DIAG_FA615], g_calls);
}

// In a capture, and without one.
TEST_P(Callback, WhatItLeavesOpenEndsWithIt) {
    for (fa_allocator *allocator : both_) {
        const fa_task inner = fa_task_begin(allocator_, "inner");
        const uint64_t before = Stats(allocator_).diag_count[FA_DIAG_FA615];
        const size_t calls = g_calls;
        auto leave = [&] {
            for (int i = 0; i < 2; i++) {
                ASSERT_EQ(fa_task_capture_begin(inner), FA_OK);
                ASSERT_NE(fa_pool_alloc(allocator_, 64), nullptr);
            }
        };
        Provoke(allocator, leave);
        g_body = leave;
        GetParam().provoke(allocator);
        g_body = nullptr;
        ExpectCapture(false);
        EXPECT_EQ(Captured(task_), 0u);
        EXPECT_EQ(Captured(inner), 2 * (g_calls - calls));
        EXPECT_EQ(Stats(allocator_).diag_count[FA_DIAG_FA615], before + 2 * (g_calls - calls));
        EXPECT_EQ(fa_task_end(inner), FA_OK);
    }
}

TEST_P(Callback, MayDetachItsThread) {
    fa_allocator *allocator = both_[1]; // from another allocator, where no call is under way
    std::vector<void *> own;
    ASSERT_EQ(fa_task_capture_begin(task_), FA_OK);
    g_body = [&] {
        ASSERT_EQ(fa_task_capture_begin(task_), FA_OK);
        EXPECT_EQ(fa_thread_detach(allocator_), FA_OK); // ends all of them
        own.push_back(fa_pool_alloc(allocator_, 64));
        EXPECT_EQ(fa_task_capture_end(task_), FA_ERROR_FOREIGN);
        EXPECT_EQ(fa_task_capture_begin(task_), FA_OK);
        EXPECT_EQ(fa_task_capture_end(task_), FA_OK);
    };
    GetParam().provoke(allocator);
    g_body = nullptr;
    ExpectCapture(false);
    EXPECT_EQ(fa_task_capture_end(task_), FA_ERROR_FOREIGN);
    EXPECT_EQ(Captured(task_), 0u);
    for (void *block : own)
        fa_pool_free(allocator_, block);
    Provoke(allocator, [] {});
}

TEST_P(Callback, MayDetachFromItsOwnWhereNoCallIsAtWork) {
    const auto provoke = GetParam().provoke;
    const bool at_work = provoke == Listener || provoke == CleanUp || provoke == Hook ||
                         provoke == Reclaimer || provoke == Budget;
    fa_thread_attach(allocator_);
    g_body = [&] {
        fa_status status = fa_thread_detach(allocator_);
        EXPECT_EQ(status, at_work ? FA_ERROR_FRAME_OPEN : FA_OK);
        EXPECT_EQ(fa_thread_attach(allocator_), FA_OK);
    };
    provoke(allocator_);
    EXPECT_EQ(Stats(allocator_).diag_count[FA_DIAG_FA009], at_work ? g_calls : 0);
}

INSTANTIATE_TEST_SUITE_P(Kinds, Callback, testing::ValuesIn(k_kinds),
                         [](const auto &kind) { return std::string(kind.param.name); });

// One inside of the other, each with a capture of its own.
TEST(CallbackDepth, EachLevelHasItsOwn) {
    Allocator allocator(Plain());
    std::vector<fa_task> tasks;
    for (int i = 0; i < 300; i++)
        tasks.push_back(fa_task_begin(allocator, "level"));
    size_t level = 0, refused = 0;
    std::vector<void *> own;
    g_body = [&] {
        own.push_back(fa_pool_alloc(allocator, 64));
        if (level == tasks.size())
            return;
        const fa_task mine = tasks[level++];
        const bool captures = fa_task_capture_begin(mine) == FA_OK;
        refused += !captures;
        Group(allocator); // two of them
        void *block = captures ? fa_pool_alloc(allocator, 64) : nullptr;
        if (captures) {
            EXPECT_NE(block, nullptr);
            EXPECT_EQ(fa_task_capture_end(mine), FA_OK);
            fa_task_stats stats;
            EXPECT_EQ(fa_task_stats_get(mine, &stats), FA_OK);
            EXPECT_EQ(stats.captured_count, 1u);
        }
    };
    Group(allocator);
    g_body = nullptr;
    EXPECT_EQ(refused, tasks.size() - FA_TASK_CAPTURE_DEPTH_MAX) << "the limit of one allocator";
    for (void *block : own)
        fa_pool_free(allocator, block);
    for (const fa_task &task : tasks)
        EXPECT_EQ(fa_task_end(task), FA_OK);
    EXPECT_EQ(Stats(allocator).pool_live_count, 0u);
    ExpectValid(allocator);
}

// More levels than can be told apart: in 20 allocators at once.
TEST(CallbackDepth, PastTheLimitIsRefused) {
    std::vector<std::unique_ptr<Allocator>> allocators;
    std::vector<fa_task> tasks;
    for (int i = 0; i < 20; i++)
        allocators.push_back(std::make_unique<Allocator>(Plain()));
    for (size_t i = 0; i < 20 * FA_TASK_CAPTURE_DEPTH_MAX; i++)
        tasks.push_back(fa_task_begin(*allocators[i % 20], "level"));
    size_t level = 0, refused = 0;
    g_body = [&] {
        if (level == tasks.size())
            return;
        const fa_task mine = tasks[level++];
        if (fa_task_capture_begin(mine) != FA_OK) {
            EXPECT_EQ(fa_last_error().status, FA_ERROR_LIMIT);
            refused++;
            return;
        }
        Shared(*allocators[0]);
        EXPECT_EQ(fa_task_capture_end(mine), FA_OK);
    };
    g_body();
    g_body = nullptr;
    EXPECT_EQ(level, 257u);
    EXPECT_EQ(refused, 1u);
    for (const fa_task &task : tasks)
        EXPECT_EQ(fa_task_end(task), FA_OK);
}

// What a call is given to run at once is the program.
TEST(CallbackBody, IsCaptured) {
    Allocator allocator(Plain());
    const fa_task task = fa_task_begin(allocator, "task");
    ASSERT_EQ(fa_task_capture_begin(task), FA_OK);
    struct Body {
        fa_allocator *allocator;
        size_t calls;
    } body = {allocator, 0};
    auto alloc = [](void *user) {
        Body *self = static_cast<Body *>(user);
        EXPECT_NE(fa_pool_alloc(self->allocator, 64), nullptr);
        self->calls++;
    };
    static auto *const call = +alloc;
    fa_frame_begin(allocator);
    EXPECT_EQ(fa_frame_speculate(
                  allocator,
                  [](void *user, fa_frame *) {
                      call(user);
                      return FA_OK;
                  },
                  &body),
              FA_OK);
    fa_frame_end(allocator);
    fa_thread_visit(
        allocator, [](void *user, const fa_thread_stats *) { call(user); }, &body);
    fa_task_visit(
        allocator, [](void *user, fa_task, const fa_task_stats *) { call(user); }, &body);
    EXPECT_EQ(fa_batch_each(
                  10, 5, [](void *user, size_t, size_t) { call(user); }, &body),
              FA_OK);
    EXPECT_EQ(fa_task_capture_end(task), FA_OK);
    EXPECT_EQ(body.calls, 5u);
    fa_task_stats stats;
    EXPECT_EQ(fa_task_stats_get(task, &stats), FA_OK);
    EXPECT_EQ(stats.captured_count, body.calls);
    EXPECT_EQ(fa_task_end(task), FA_OK);
}

// A hook that leaves captures open is told of them without being called for ever.
TEST(CallbackHook, ThatLeavesCapturesOpenEnds) {
    fa_alloc_config config = Plain();
    struct Leaves {
        fa_task task;
        size_t calls;
    } leaves = {};
    config.on_event = [](void *user, const fa_event *) {
        Leaves *self = static_cast<Leaves *>(user);
        self->calls++;
        EXPECT_EQ(fa_task_capture_begin(self->task), FA_OK);
    };
    config.on_event_user = &leaves;
    Allocator allocator(config);
    leaves.task = fa_task_begin(allocator, "task");
    Hook(allocator);
    EXPECT_EQ(leaves.calls, 1u);
    EXPECT_EQ(fa_last_error().diag, FA_DIAG_FA601) << "why the call failed";
    EXPECT_EQ(Stats(allocator).diag_count[FA_DIAG_FA615], 1u);
    EXPECT_EQ(fa_task_capture_end(leaves.task), FA_ERROR_FOREIGN);
    EXPECT_EQ(leaves.calls, 2u);
    EXPECT_EQ(Stats(allocator).diag_count[FA_DIAG_FA615], 3u);
    EXPECT_EQ(fa_task_end(leaves.task), FA_OK);
}

} // namespace
