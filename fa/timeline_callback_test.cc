// Timelines: what functions that read a counter may do, wherever they are called from; and what a
// timeline says of itself.
#include "fa/testing_timelines.hpp"

#include <algorithm>
#include <memory>

using namespace fa_testing;

namespace {

// Does something whenever it is asked, and stands at a value.
struct Device {
    uint64_t value = 0;
    int calls = 0;
    std::function<void()> act;

    static uint64_t Read(void *user) {
        auto *self = static_cast<Device *>(user);
        self->calls++;
        if (self->act)
            self->act();
        return self->value;
    }
};

class TimelineCallback : public Timeline {
  protected:
    // They are asked until the allocator goes.
    Device *NewDevice() {
        devices_.push_back(std::make_unique<Device>());
        return devices_.back().get();
    }
    void TearDown() override {
        for (auto &device : devices_)
            device->act = nullptr;
        Timeline::TearDown();
    }
    fa_timeline *Open(Device *device) {
        fa_timeline_config of = {};
        of.name = "device";
        of.read = Device::Read;
        of.user = device;
        of.late_after = UINT32_MAX;
        fa_timeline *timeline = nullptr;
        EXPECT_EQ(fa_timeline_create(allocator, &of, &timeline), FA_OK);
        return timeline;
    }
    void Keep(fa_timeline *timeline, uint64_t value, size_t size = 1000) {
        ASSERT_NE(fa_frame_begin(allocator), nullptr);
        ASSERT_NE(fa_frame_alloc(allocator, size), nullptr);
        ASSERT_EQ(fa_frame_end_on(allocator, timeline, value), FA_OK);
    }
    // What must not be done in the middle of something is refused.
    void ExpectHeld() {
        EXPECT_EQ(fa_frame_begin(allocator), nullptr);
        EXPECT_EQ(fa_last_error().status, FA_ERROR_FRAME_OPEN);
        EXPECT_EQ(fa_thread_detach(allocator), FA_ERROR_FRAME_OPEN);
        if (fa_frame_current(allocator) != nullptr) {
            EXPECT_EQ(fa_frame_end(allocator), FA_ERROR_FRAME_OPEN);
        }
        EXPECT_EQ(fa_frame_end_all(allocator), 0u);
    }

  private:
    std::vector<std::unique_ptr<Device>> devices_;
};

TEST_F(TimelineCallback, TheThreadThatTrimsWhatOthersLeftStaysAsItIs) {
    Create();
    Device &device = *NewDevice();
    fa_timeline *timeline = Open(&device);
    ASSERT_EQ(fa_thread_attach(allocator), FA_OK);
    OnThread([&] { Keep(timeline, 1); });
    for (bool open : {false, true}) {
        if (open) {
            ASSERT_NE(fa_frame_begin(allocator), nullptr);
        }
        device.calls = 0;
        device.act = [&] { ExpectHeld(); };
        (void)fa_allocator_trim(allocator);
        EXPECT_GE(device.calls, 1);
        device.act = nullptr;
        EXPECT_EQ(fa_thread_count(allocator), 1u);
        EXPECT_EQ(fa_frame_current(allocator) != nullptr, open);
        if (open) {
            EXPECT_EQ(fa_frame_end(allocator), FA_OK);
        }
        EXPECT_NE(fa_frame_begin(allocator), nullptr) << "let go again";
        EXPECT_EQ(fa_frame_end(allocator), FA_OK);
    }
    device.value = 1;
}

// The same where the pools and the heap need memory, in the middle of what they do.
TEST_F(TimelineCallback, SoDoesOneThatNeedsMemory) {
    config.bytes_max = 4 << 20;
    Create();
    Device &device = *NewDevice();
    fa_timeline *timeline = Open(&device);
    ASSERT_EQ(fa_thread_attach(allocator), FA_OK);
    OnThread([&] { Keep(timeline, 1); });
    std::vector<void *> blocks;
    device.act = [&] { ExpectHeld(); };
    for (void *block; (block = fa_pool_alloc(allocator, 2000)) != nullptr;)
        blocks.push_back(block);
    EXPECT_GE(device.calls, 1);
    EXPECT_EQ(fa_last_error().status, FA_ERROR_LIMIT) << "and not what the function met";
    device.calls = 0;
    for (void *block; (block = fa_heap_alloc(allocator, 300000)) != nullptr;)
        blocks.push_back(block);
    EXPECT_GE(device.calls, 1);
    device.act = nullptr;
    for (void *block : blocks)
        fa_free(allocator, block);
    device.value = 1;
}

TEST_F(TimelineCallback, AThreadThatIsNotAttachedMayDoAnything) {
    Create();
    Device &device = *NewDevice();
    fa_timeline *timeline = Open(&device);
    OnThread([&] { Keep(timeline, 1); });
    EXPECT_EQ(fa_thread_count(allocator), 0u);
    device.act = [&] {
        EXPECT_NE(fa_frame_begin(allocator), nullptr);
        EXPECT_NE(fa_frame_alloc(allocator, 100), nullptr);
        EXPECT_EQ(fa_frame_end(allocator), FA_OK);
        EXPECT_EQ(fa_thread_detach(allocator), FA_OK);
        EXPECT_EQ(Kept(), 1u) << "and finds what is being looked at";
    };
    EXPECT_EQ(fa_allocator_trim(allocator), 0u);
    EXPECT_GE(device.calls, 1);
    device.act = nullptr;
    EXPECT_EQ(fa_thread_count(allocator), 0u);
    device.value = 1;
    EXPECT_GT(fa_allocator_trim(allocator), 0u);
}

TEST_F(TimelineCallback, ATrimInsideOfATrimLeavesWhatTheOuterOneIsAt) {
    Create();
    Device &device = *NewDevice();
    fa_timeline *timeline = Open(&device);
    OnThread([&] { Keep(timeline, 1); });
    size_t inner = 0;
    device.act = [&] {
        if (device.calls == 1)
            inner = fa_allocator_trim(allocator);
    };
    device.value = 1;
    const size_t outer = fa_allocator_trim(allocator);
    EXPECT_EQ(inner, 0u);
    EXPECT_GE(outer, 1000u);
    EXPECT_EQ(Kept(), 0u);
    device.act = nullptr;
}

TEST_F(TimelineCallback, WhatItMeetsItselfIsNotWhatTheCallAnswers) {
    Create();
    Device &device = *NewDevice();
    fa_timeline *timeline = Open(&device);
    Keep(timeline, 1);
    device.act = [&] { EXPECT_EQ(fa_heap_alloc(allocator, 0), nullptr); };
    fa_last_error_clear();
    EXPECT_NE(fa_frame_begin(allocator), nullptr);
    EXPECT_GE(device.calls, 1);
    EXPECT_EQ(fa_last_error().status, FA_OK);
    EXPECT_EQ(fa_frame_end(allocator), FA_OK);
    EXPECT_EQ(fa_timeline_value(timeline), 0u);
    EXPECT_EQ(fa_last_error().status, FA_OK);
    device.act = nullptr;
    device.value = 1;
}

TEST_F(TimelineCallback, ATimelineIsNotDestroyedByItsOwnFunction) {
    Create();
    Device &device = *NewDevice(), &other = *NewDevice();
    fa_timeline *timeline = Open(&device), *second = Open(&other);
    fa_status status = FA_OK;
    device.act = [&] { status = fa_timeline_destroy(timeline); };
    EXPECT_EQ(fa_timeline_value(timeline), 0u);
    EXPECT_EQ(status, FA_ERROR_STATE);
    EXPECT_EQ(fa_timeline_destroy(timeline), FA_OK) << "from elsewhere it is";
    other.act = [&] { // another one is, too
        other.act = nullptr;
        Device third;
        EXPECT_EQ(fa_timeline_destroy(Open(&third)), FA_OK);
    };
    EXPECT_EQ(fa_timeline_value(second), 0u);
    EXPECT_EQ(fa_timeline_destroy(second), FA_OK);
    EXPECT_EQ(Stats(allocator).heap_live_count, 1u) << "the one of the fixture";
}

// The frame that ends waits for it already.
TEST_F(TimelineCallback, ACleanUpDoesNotDestroyWhatItsFrameEndsOn) {
    Create();
    struct Clean {
        fa_timeline *timeline;
        fa_status status;
    } clean = {Make("short"), FA_OK};
    ASSERT_NE(fa_frame_begin(allocator), nullptr);
    ASSERT_NE(fa_frame_alloc(allocator, 100), nullptr);
    auto destroy = [](void *user) {
        auto *at = static_cast<Clean *>(user);
        at->status = fa_timeline_destroy(at->timeline);
    };
    ASSERT_EQ(fa_frame_defer(allocator, destroy, &clean), FA_OK);
    EXPECT_EQ(fa_frame_end_on(allocator, clean.timeline, 1), FA_OK);
    EXPECT_EQ(clean.status, FA_ERROR_STATE);
    EXPECT_EQ(events.Count(FA_DIAG_FA015), 1u);
    EXPECT_EQ(Numbers(clean.timeline).kept_count, 1u);
    EXPECT_EQ(fa_timeline_advance(clean.timeline, 1), FA_OK);
    EXPECT_EQ(fa_timeline_destroy(clean.timeline), FA_OK);
}

// A frame without memory until a hook, in the middle of its end, takes some.
TEST_F(TimelineCallback, MemoryThatComesWhileTheFrameEndsIsKeptToo) {
    struct Late {
        fa_allocator *allocator = nullptr;
        char *block = nullptr;
        static void Tell(void *user, const fa_event *event) {
            auto *at = static_cast<Late *>(user);
            if (event->diag == FA_DIAG_FA011) // a phase was left open
                at->block = static_cast<char *>(fa_frame_alloc(at->allocator, 500));
        }
    } late;
    config.on_event = Late::Tell;
    config.on_event_user = &late;
    config.backends[0] = source.backend;
    ASSERT_EQ(fa_allocator_create(&config, &allocator), FA_OK);
    late.allocator = allocator;
    gpu = Make("gpu");
    ASSERT_NE(fa_frame_begin(allocator), nullptr);
    ASSERT_EQ(fa_phase_begin(allocator, "open"), FA_OK);
    ASSERT_EQ(fa_frame_end_on(allocator, gpu, 4), FA_OK);
    ASSERT_NE(late.block, nullptr);
    EXPECT_EQ(Kept(), 1u);
    EXPECT_EQ(Numbers(gpu).value_awaited, 4u);
    EXPECT_EQ(fa_timeline_destroy(gpu), FA_ERROR_STATE);
    EXPECT_EQ(fa_timeline_advance(gpu, 4), FA_OK);
}

// ---- what a timeline says of itself ----

TEST_F(TimelineCallback, AFrameCountsOnceHoweverManyPointsItHas) {
    Create();
    fa_timeline *audio = Make("audio");
    auto end = [&](const std::vector<fa_timeline_point> &points) {
        ASSERT_NE(fa_frame_begin(allocator), nullptr);
        ASSERT_NE(fa_frame_alloc(allocator, 100), nullptr);
        ASSERT_EQ(fa_frame_end_on_each(allocator, points.data(), points.size()), FA_OK);
    };
    end({{gpu, 3}, {gpu, 1}, {gpu, 2}});
    EXPECT_EQ(Numbers(gpu).kept_count, 1u);
    EXPECT_EQ(Numbers(gpu).frame_count, 1u);
    EXPECT_EQ(Numbers(gpu).value_awaited, 3u);
    end({{gpu, 1}, {audio, 2}, {audio, 4}, {gpu, 5}});
    EXPECT_EQ(Numbers(gpu).kept_count, 2u);
    EXPECT_EQ(Numbers(gpu).frame_count, 2u);
    EXPECT_EQ(Numbers(gpu).value_awaited, 5u);
    EXPECT_EQ(Numbers(audio).kept_count, 1u);
    EXPECT_EQ(Numbers(audio).frame_count, 1u);
    EXPECT_EQ(Numbers(audio).value_awaited, 4u);
    EXPECT_EQ(Kept(), 2u);
    EXPECT_EQ(fa_timeline_advance(gpu, 2), FA_OK);
    (void)fa_allocator_trim(allocator);
    EXPECT_EQ(Numbers(gpu).kept_count, 2u) << "the highest point counts";
    EXPECT_EQ(fa_timeline_advance(gpu, 5), FA_OK);
    EXPECT_EQ(Numbers(gpu).kept_count, 2u) << "due, but not taken";
    (void)fa_allocator_trim(allocator);
    EXPECT_EQ(Numbers(gpu).kept_count, 1u);
    EXPECT_EQ(Numbers(audio).kept_count, 1u);
    EXPECT_EQ(fa_timeline_advance(audio, 4), FA_OK);
    (void)fa_allocator_trim(allocator);
    EXPECT_EQ(Numbers(gpu).kept_count, 0u);
    EXPECT_EQ(Numbers(audio).kept_count, 0u);
    EXPECT_EQ(Numbers(gpu).frame_count, 2u);
}

// Random points, some of them of one timeline; frames of three threads that come and go; frames
// without memory; trims: what each timeline says is what a model says.
TEST_F(TimelineCallback, CountsAreThoseOfAModel) {
    Random random;
    Create("gpu", UINT32_MAX);
    fa_timeline *lines[3] = {gpu, Make("audio", UINT32_MAX), Make("jobs", UINT32_MAX)};
    uint64_t reached[3] = {}, frames[3] = {}, awaited[3] = {};
    struct Live {
        uint64_t value[3]; // 0: none
    };
    std::vector<Live> live;
    auto is_due = [&](const Live &one) {
        for (size_t n = 0; n < 3; n++)
            if (one.value[n] > reached[n])
                return false;
        return true;
    };
    for (size_t i = 0; i < Rounds(2000); i++) {
        std::vector<fa_timeline_point> points;
        Live one = {};
        for (size_t n = 0, count = 1 + random.Below(FA_TIMELINE_POINT_COUNT_MAX); n < count; n++) {
            const size_t line = random.Below(3);
            const uint64_t value = reached[line] + 1 + random.Below(4);
            points.push_back({lines[line], value});
            one.value[line] = std::max(one.value[line], value);
        }
        const bool empty = random.OneIn(8);
        auto frame = [&] {
            ASSERT_NE(fa_frame_begin(allocator), nullptr);
            if (!empty) {
                ASSERT_NE(fa_frame_alloc(allocator, 200), nullptr);
            }
            ASSERT_EQ(fa_frame_end_on_each(allocator, points.data(), points.size()), FA_OK);
        };
        // Where no frame is due the arena is empty: else one with memory might be kept for nothing.
        (void)fa_allocator_trim(allocator);
        live.erase(std::remove_if(live.begin(), live.end(), is_due), live.end());
        if (random.OneIn(3))
            OnThread(frame);
        else
            frame();
        for (size_t n = 0; n < 3; n++) {
            frames[n] += one.value[n] != 0;
            awaited[n] = std::max(awaited[n], one.value[n]);
        }
        if (!empty)
            live.push_back(one);
        for (size_t n = 0; n < 3; n++) {
            const fa_timeline_stats numbers = Numbers(lines[n]);
            size_t kept = 0;
            for (const Live &at : live)
                kept += at.value[n] != 0;
            ASSERT_EQ(numbers.kept_count, kept) << i;
            ASSERT_EQ(numbers.frame_count, frames[n]) << i;
            ASSERT_EQ(numbers.value_awaited, awaited[n]) << i;
            ASSERT_EQ(numbers.value, reached[n]) << i;
        }
        ASSERT_EQ(Kept(), live.size()) << i;
        const size_t n = random.Below(3);
        ASSERT_EQ(fa_timeline_advance(lines[n], reached[n] += random.Below(4)), FA_OK);
    }
    for (size_t n = 0; n < 3; n++)
        ASSERT_EQ(fa_timeline_advance(lines[n], awaited[n] + reached[n]), FA_OK);
}

// A frame that nothing is kept of is nothing to wait for.
TEST_F(TimelineCallback, ATimelineGoesThoughAnEmptyFrameNamedAHigherValue) {
    Create();
    ASSERT_NE(fa_frame_begin(allocator), nullptr);
    ASSERT_EQ(fa_frame_end_on(allocator, gpu, 9), FA_OK);
    EXPECT_EQ(Numbers(gpu).value_awaited, 9u);
    (void)Frame(1);
    EXPECT_EQ(fa_timeline_destroy(gpu), FA_ERROR_STATE);
    EXPECT_EQ(fa_timeline_advance(gpu, 1), FA_OK);
    EXPECT_EQ(Numbers(gpu).kept_count, 1u);
    EXPECT_EQ(fa_timeline_destroy(gpu), FA_OK);
    EXPECT_EQ(Kept(), 1u);
}

// A hook that is called while memory is taken again finds all in order: here the program has freed
// a promoted block of the kept frame itself.
TEST_F(TimelineCallback, AHookMayValidateWhileMemoryIsTakenAgain) {
    config.checks = FA_CHECK_FREE;
    Create();
    struct Hook {
        fa_allocator *allocator = nullptr;
        int told = 0, wrong = 0;
        static void Call(void *user, const fa_event *event) {
            auto *self = static_cast<Hook *>(user);
            if (event->diag != FA_DIAG_FA602 && event->diag != FA_DIAG_FA601)
                return;
            self->told++;
            self->wrong += fa_validate(self->allocator, nullptr) != FA_OK;
        }
    } hook;
    fa_alloc_config own = config;
    own.on_event = Hook::Call;
    own.on_event_user = &hook;
    ASSERT_EQ(fa_allocator_create(&own, &hook.allocator), FA_OK);
    fa_timeline *timeline = nullptr;
    ASSERT_EQ(fa_timeline_create(hook.allocator, nullptr, &timeline), FA_OK);
    fa_budget budget = {};
    budget.hard_bytes = 4096;
    budget.policy = FA_BUDGET_PROMOTE;
    ASSERT_EQ(fa_budget_set(hook.allocator, FA_INTENT_FRAME, &budget), FA_OK);
    for (bool trim : {false, true}) {
        ASSERT_NE(fa_frame_begin(hook.allocator), nullptr);
        ASSERT_NE(fa_frame_alloc(hook.allocator, 3000), nullptr);
        void *promoted = fa_frame_alloc(hook.allocator, 2000);
        ASSERT_EQ(fa_intent_of(hook.allocator, promoted), FA_INTENT_POOL);
        ASSERT_EQ(fa_frame_end_on(hook.allocator, timeline, 1), FA_OK);
        fa_pool_free(hook.allocator, promoted);
        ASSERT_EQ(fa_timeline_advance(timeline, 1), FA_OK);
        hook.told = 0;
        if (trim) {
            EXPECT_GT(fa_allocator_trim(hook.allocator), 0u);
        } else {
            EXPECT_NE(fa_frame_begin(hook.allocator), nullptr);
            EXPECT_EQ(fa_frame_end(hook.allocator), FA_OK);
        }
        EXPECT_EQ(hook.told, 1);
        EXPECT_EQ(hook.wrong, 0);
        ExpectValid(hook.allocator);
    }
    EXPECT_EQ(fa_allocator_destroy(hook.allocator), 0u);
}

} // namespace
