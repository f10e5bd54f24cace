// Retained objects: where each policy sends them, what handles say, what is refused.
#include "fa/testing_threads.hpp"

#include <vector>

using namespace fa_testing;

namespace {

struct alignas(64) Wide {
    char bytes[192];
};
struct Path {
    int step[20];
};

// A hook that does something in the middle of the end of a frame.
struct Hook {
    std::vector<fa_event> all;
    std::function<void(const fa_event &)> act;
    static void Call(void *user, const fa_event *event) {
        Hook *hook = static_cast<Hook *>(user);
        hook->all.push_back(*event);
        if (hook->act)
            hook->act(*event);
    }
    size_t Count(fa_diag diag) const {
        size_t count = 0;
        for (const fa_event &event : all)
            count += event.diag == diag;
        return count;
    }
};

class RetainTest : public testing::TestWithParam<uint32_t> {
  protected:
    Hook hook;
    fa_alloc_config config = Config();

    RetainTest() {
        fa_last_error_clear();
        config.checks = GetParam();
        config.on_event = Hook::Call;
        config.on_event_user = &hook;
    }

    fa_retained Painted(fa_frame *frame, size_t size, size_t align, fa_retention retention,
                        uint64_t mark) {
        fa_retained retained = fa_frame_retain_in(frame, size, align, retention);
        EXPECT_NE(retained.serial, 0u);
        void *block = fa_retained_get(Of(frame), retained);
        EXPECT_TRUE(IsAligned(block, align));
        EXPECT_EQ(fa_intent_of(Of(frame), block), FA_INTENT_FRAME);
        Paint(block, mark, size);
        return retained;
    }
    fa_allocator *Of(fa_frame *) const { return allocator; }
    fa_allocator *allocator = nullptr;
};

INSTANTIATE_TEST_SUITE_P(Checks, RetainTest, testing::Values(0u, uint32_t{FA_CHECK_ALL}));

bool IsNone(fa_retained retained) { return retained.serial == 0 && retained.index == 0; }

fa_retained_info Describe(fa_allocator *allocator, fa_retained retained) {
    fa_retained_info info;
    EXPECT_EQ(fa_retained_describe(allocator, retained, &info), FA_OK);
    return info;
}

TEST_P(RetainTest, GoesWhereThePolicySays) {
    for (uint32_t in_flight : {1u, 2u}) {
        config.frames_in_flight = in_flight;
        Tracked tracked(config);
        allocator = tracked;
        fa_frame *frame = fa_frame_begin(allocator);
        fa_retained pool = Painted(frame, 100, 16, fa_retain_to_pool(), 1);
        fa_retained heap = Painted(frame, 200, 16, fa_retain_to_heap(), 2);
        fa_retained gone = Painted(frame, 300, 16, fa_retain_discarded(), 3);
        fa_retained leak = Painted(frame, 400, 16, fa_retain_forever(), 4);
        fa_retained large = Painted(frame, 50000, 16, fa_retain_to_pool(), 5);
        void *before = fa_retained_get(allocator, pool);
        EXPECT_EQ(fa_retained_kind_of(allocator, pool), FA_RETAINED_OPEN);
        EXPECT_EQ(fa_frame_retained_count(allocator), 5u);
        EXPECT_EQ(tracked.Live(), 0u);
        EXPECT_EQ(fa_frame_end_in(frame), FA_OK);

        EXPECT_EQ(fa_frame_retained_count(allocator), 0u);
        EXPECT_EQ(fa_retained_kind_of(allocator, pool), FA_RETAINED_POOL);
        EXPECT_EQ(fa_retained_kind_of(allocator, heap), FA_RETAINED_HEAP);
        EXPECT_EQ(fa_retained_kind_of(allocator, gone), FA_RETAINED_DISCARDED);
        EXPECT_EQ(fa_retained_kind_of(allocator, leak), FA_RETAINED_LEAKED);
        EXPECT_EQ(fa_retained_kind_of(allocator, large), FA_RETAINED_HEAP) << "no pool is so large";
        EXPECT_TRUE(IsPainted(fa_retained_get(allocator, pool), 1, 100));
        EXPECT_TRUE(IsPainted(fa_retained_get(allocator, heap), 2, 200));
        EXPECT_TRUE(IsPainted(fa_retained_get(allocator, leak), 4, 400));
        EXPECT_TRUE(IsPainted(fa_retained_get(allocator, large), 5, 50000));
        EXPECT_EQ(fa_intent_of(allocator, fa_retained_get(allocator, pool)), FA_INTENT_POOL);
        EXPECT_EQ(fa_intent_of(allocator, fa_retained_get(allocator, heap)), FA_INTENT_HEAP);
        fa_last_error_clear();
        EXPECT_EQ(fa_retained_get(allocator, gone), nullptr);
        EXPECT_EQ(fa_last_error().status, FA_ERROR_FOREIGN);
        EXPECT_NE(fa_retained_get(allocator, pool), before);
        if (in_flight == 2) {
            EXPECT_TRUE(IsPainted(before, 1, 100)) << "it stays readable in flight";
        }
        tracked.Check();

        EXPECT_EQ(fa_retained_release(allocator, pool), FA_OK);
        EXPECT_EQ(fa_retained_release(allocator, pool), FA_ERROR_FOREIGN);
        EXPECT_EQ(fa_retained_get(allocator, pool), nullptr);
        EXPECT_EQ(fa_retained_kind_of(allocator, pool), FA_RETAINED_NONE);
        void *taken = fa_retained_take(allocator, heap);
        EXPECT_TRUE(IsPainted(taken, 2, 200));
        EXPECT_EQ(fa_retained_take(allocator, heap), nullptr);
        fa_heap_free(allocator, taken);
        for (fa_retained retained : {leak, gone}) {
            EXPECT_EQ(fa_retained_take(allocator, retained), nullptr);
            EXPECT_NE(fa_retained_release(allocator, retained), FA_OK);
        }
        EXPECT_EQ(fa_retained_release(allocator, leak), FA_ERROR_INVALID);
        EXPECT_EQ(tracked.Live(), kCounted ? 2u : 2u);
        tracked.Check();
        EXPECT_EQ(tracked.Destroy(), 0u) << "what was not taken is no leak";
        EXPECT_EQ(hook.Count(FA_DIAG_FA605), 0u);
    }
}

TEST_P(RetainTest, KeepsAlignmentSizeAndType) {
    Tracked tracked(config);
    allocator = tracked;
    fa_frame *frame = fa_frame_begin(allocator);
    std::vector<fa_retained> all;
    for (size_t align = 1; align <= 65536; align *= 2)
        for (const fa_retention &retention : {fa_retain_to_pool(), fa_retain_to_heap()})
            all.push_back(Painted(frame, align / 2 + 24, align, retention, align));
    fa_retained wide = fa_frame_retain_new_in(frame, Wide, fa_retain_to_pool());
    fa_retained paths = fa_frame_retain_array(allocator, Path, 7, fa_retain_to_heap());
    const int steps[] = {1, 2, 3};
    fa_retained copy =
        fa_frame_retain_copy(allocator, steps, sizeof steps, alignof(int), fa_retain_to_pool());
    EXPECT_EQ(fa_frame_end_in(frame), FA_OK);
    size_t i = 0;
    for (size_t align = 1; align <= 65536; align *= 2)
        for (int policy = 0; policy < 2; policy++, i++) {
            fa_retained_info info = Describe(allocator, all[i]);
            EXPECT_TRUE(IsAligned(info.address, align));
            EXPECT_TRUE(IsPainted(info.address, align, align / 2 + 24));
            EXPECT_EQ(info.size, align / 2 + 24);
            EXPECT_EQ(info.align, align < 16 ? 16 : align);
            EXPECT_EQ(info.policy, policy == 0 ? FA_RETAIN_POOL : FA_RETAIN_HEAP);
            EXPECT_EQ(info.type, nullptr);
        }
    EXPECT_TRUE(IsAligned(fa_retained_as(allocator, wide, Wide), 64));
    EXPECT_STREQ(Describe(allocator, wide).type, "Wide");
    EXPECT_STREQ(Describe(allocator, paths).type, "Path");
    EXPECT_EQ(Describe(allocator, paths).size, 7 * sizeof(Path));
    EXPECT_EQ(std::memcmp(fa_retained_get(allocator, copy), steps, sizeof steps), 0);
    EXPECT_TRUE(IsNone(fa_frame_retain_array(allocator, Path, SIZE_MAX / 2, fa_retain_to_pool())));
    tracked.Check();
    for (fa_retained retained : all)
        EXPECT_EQ(fa_retained_release(allocator, retained), FA_OK);
    EXPECT_EQ(fa_retained_release(allocator, wide), FA_OK);
    EXPECT_EQ(fa_retained_release(allocator, paths), FA_OK);
    EXPECT_EQ(fa_retained_release(allocator, copy), FA_OK);
    EXPECT_EQ(tracked.Live(), 0u);
}

TEST_P(RetainTest, ImportanceIsAPolicy) {
    EXPECT_EQ(fa_retain_importance(FA_IMPORTANCE_EPHEMERAL, "x").policy, FA_RETAIN_DISCARD);
    EXPECT_EQ(fa_retain_importance(FA_IMPORTANCE_REUSABLE, "x").policy, FA_RETAIN_POOL);
    EXPECT_EQ(fa_retain_importance(FA_IMPORTANCE_PERSISTENT, "x").policy, FA_RETAIN_HEAP);
    EXPECT_EQ(fa_retain_importance(FA_IMPORTANCE_SCRATCH, "x").policy, FA_RETAIN_SCRATCH);
    EXPECT_STREQ(fa_retain_importance(FA_IMPORTANCE_SCRATCH, "x").scratch, "x");
}

TEST_P(RetainTest, PolicyChangesUntilTheEnd) {
    Tracked tracked(config);
    allocator = tracked;
    fa_frame *frame = fa_frame_begin(allocator);
    fa_retained a = Painted(frame, 100, 16, fa_retain_discarded(), 1);
    fa_retained b = Painted(frame, 100, 16, fa_retain_to_heap(), 2);
    EXPECT_EQ(fa_retained_set(allocator, a, fa_retain_to_pool()), FA_OK);
    EXPECT_EQ(fa_retained_set(allocator, b, fa_retain_discarded()), FA_OK);
    EXPECT_EQ(fa_retained_set(allocator, b, fa_retain_to_scratch(nullptr)), FA_ERROR_INVALID);
    EXPECT_EQ(fa_retained_set(allocator, b, fa_retain_to_scratch("")), FA_ERROR_INVALID);
    OnThread([&] {
        EXPECT_EQ(fa_retained_set(allocator, a, fa_retain_discarded()), FA_ERROR_FOREIGN);
        EXPECT_EQ(fa_last_error().diag, FA_DIAG_FA201);
        EXPECT_NE(fa_retained_get(allocator, a), nullptr) << "but it resolves";
    });
    EXPECT_EQ(fa_retained_take(allocator, a), nullptr);
    EXPECT_EQ(fa_last_error().status, FA_ERROR_FRAME_OPEN);
    EXPECT_EQ(fa_retained_release(allocator, a), FA_ERROR_FRAME_OPEN);
    EXPECT_EQ(fa_frame_end_in(frame), FA_OK);
    EXPECT_EQ(fa_retained_set(allocator, a, fa_retain_discarded()), FA_ERROR_NO_FRAME);
    EXPECT_TRUE(IsPainted(fa_retained_get(allocator, a), 1, 100));
    EXPECT_EQ(fa_retained_get(allocator, b), nullptr);
    EXPECT_EQ(fa_retained_kind_of(allocator, b), FA_RETAINED_DISCARDED);
    // Another thread may end the handle, and free the object.
    OnThread([&] { EXPECT_EQ(fa_retained_release(allocator, a), FA_OK); });
    EXPECT_EQ(tracked.Live(), 0u);
}

TEST_P(RetainTest, BlocksThatAreThereAlready) {
    Tracked tracked(config);
    allocator = tracked;
    fa_frame *frame = fa_frame_begin(allocator);
    char *block = static_cast<char *>(fa_frame_alloc_in(frame, 1000));
    Paint(block, 7, 1000);
    fa_retained whole = fa_frame_retain_block_in(frame, block, 1000, 64, fa_retain_to_pool());
    fa_retained part = fa_frame_retain_block(allocator, block + 100, 300, 8, fa_retain_to_heap());
    EXPECT_EQ(fa_retained_get(allocator, whole), block);
    EXPECT_EQ(fa_retained_get(allocator, part), block + 100);
    EXPECT_EQ(fa_frame_count_in(frame), kCounted ? 1u : 0u);
    int local = 0;
    for (void *wrong : {static_cast<void *>(&local), fa_retained_get(allocator, whole)}) {
        EXPECT_TRUE(IsNone(
            fa_frame_retain_block_in(frame, wrong, size_t{1} << 30, 16, fa_retain_to_pool())));
        EXPECT_EQ(fa_last_error().diag, FA_DIAG_FA002);
    }
    EXPECT_EQ(fa_frame_end_in(frame), FA_OK);
    EXPECT_TRUE(IsPainted(fa_retained_get(allocator, whole), 7, 1000));
    EXPECT_TRUE(IsAligned(fa_retained_get(allocator, whole), 64));
    const char *copy = fa_retained_as(allocator, part, const char);
    for (size_t i = 0; i < 300; i++)
        EXPECT_EQ(copy[i], fa_retained_as(allocator, whole, const char)[100 + i]);
    EXPECT_EQ(fa_retained_release(allocator, whole), FA_OK);
    EXPECT_EQ(fa_retained_release(allocator, part), FA_OK);
}

TEST_P(RetainTest, HandlesOfOthersAndOldOnesAreRefused) {
    Tracked tracked(config), other(config);
    allocator = tracked;
    fa_frame *frame = fa_frame_begin(allocator);
    fa_retained a = Painted(frame, 100, 16, fa_retain_to_pool(), 1);
    fa_frame_begin(other);
    fa_retained b = fa_frame_retain(other, 100, 16, fa_retain_to_pool());
    EXPECT_EQ(fa_retained_get(other, a), nullptr);
    EXPECT_EQ(fa_retained_get(allocator, b), nullptr);
    fa_retained forged = a;
    for (uint32_t index : {0u, 1u, 63u, 64u, 1000000u, UINT32_MAX}) {
        if (index == a.index)
            continue;
        forged.index = index;
        EXPECT_EQ(fa_retained_get(allocator, forged), nullptr);
        EXPECT_EQ(fa_retained_kind_of(allocator, forged), FA_RETAINED_NONE);
        EXPECT_EQ(fa_retained_set(allocator, forged, fa_retain_to_heap()), FA_ERROR_FOREIGN);
        EXPECT_EQ(fa_retained_take(allocator, forged), nullptr);
    }
    EXPECT_EQ(fa_retained_get(allocator, fa_retained{}), nullptr);
    EXPECT_EQ(fa_frame_end(allocator), FA_OK);
    EXPECT_EQ(fa_frame_end(other), FA_OK);
    fa_retained old = a;
    EXPECT_EQ(fa_retained_release(allocator, a), FA_OK);
    for (int i = 0; i < 100; i++) { // entries are used again, handles are not
        fa_frame_begin(allocator);
        a = fa_frame_retain(allocator, 16, 16, fa_retain_to_pool());
        EXPECT_EQ(fa_retained_get(allocator, old), nullptr);
        EXPECT_EQ(fa_frame_end(allocator), FA_OK);
        EXPECT_EQ(fa_retained_get(allocator, old), nullptr);
        old = a;
        EXPECT_EQ(fa_retained_release(allocator, a), FA_OK);
    }
    EXPECT_EQ(fa_retained_release(other, b), FA_OK);
    tracked.Check();
}

TEST_P(RetainTest, RewindsDropAndGuardsKeep) {
    Tracked tracked(config);
    allocator = tracked;
    fa_frame *frame = fa_frame_begin(allocator);
    fa_retained first = Painted(frame, 100, 16, fa_retain_to_pool(), 1);
    fa_mark mark = fa_frame_mark_in(frame);
    fa_retained second = Painted(frame, 100, 16, fa_retain_to_pool(), 2);
    fa_retained third = Painted(frame, 100, 16, fa_retain_to_heap(), 3);
    EXPECT_EQ(fa_frame_rewind_in(frame, mark), FA_OK);
    EXPECT_EQ(fa_retained_get(allocator, second), nullptr);
    EXPECT_EQ(fa_retained_kind_of(allocator, third), FA_RETAINED_NONE);
    EXPECT_EQ(fa_frame_retained_count_in(frame), 1u);
    {
        fa_mark_scope_in(frame, kept);
        second = Painted(frame, 100, 16, fa_retain_to_pool(), 4);
        fa_mark_guard_commit(&kept);
    }
    {
        fa_mark_scope_in(frame, dropped);
        third = Painted(frame, 100, 16, fa_retain_to_pool(), 5);
    }
    (void)fa_frame_speculate_in(
        frame,
        [](void *user, fa_frame *inside) {
            *static_cast<fa_retained *>(user) =
                fa_frame_retain_in(inside, 100, 16, fa_retain_to_pool());
            return FA_ERROR_FULL;
        },
        &third);
    EXPECT_EQ(fa_retained_get(allocator, third), nullptr);
    EXPECT_EQ(fa_frame_retained_count_in(frame), 2u);
    tracked.Check();
    EXPECT_EQ(fa_frame_end_in(frame), FA_OK);
    EXPECT_EQ(tracked.Live(), kCounted ? 2u : 0u);
    EXPECT_TRUE(IsPainted(fa_retained_get(allocator, first), 1, 100));
    EXPECT_TRUE(IsPainted(fa_retained_get(allocator, second), 4, 100));
    EXPECT_EQ(fa_retained_release(allocator, first), FA_OK);
    EXPECT_EQ(fa_retained_release(allocator, second), FA_OK);
}

TEST_P(RetainTest, CleanUpsRunBeforeAndMayRetain) {
    Tracked tracked(config);
    allocator = tracked;
    struct World {
        fa_allocator *allocator;
        fa_retained object, more;
    } world = {allocator, {}, {}};
    fa_frame *frame = fa_frame_begin(allocator);
    world.object = Painted(frame, 100, 16, fa_retain_to_pool(), 1);
    fa_cleanup_fn *change = [](void *argument) {
        World *w = static_cast<World *>(argument);
        Paint(fa_retained_get(w->allocator, w->object), 2, 100);
        w->more = fa_frame_retain_copy(w->allocator, "more", 5, 1, fa_retain_to_heap());
    };
    EXPECT_EQ(fa_frame_defer_in(frame, change, &world), FA_OK);
    EXPECT_EQ(fa_frame_end_in(frame), FA_OK);
    EXPECT_TRUE(IsPainted(fa_retained_get(allocator, world.object), 2, 100));
    EXPECT_STREQ(fa_retained_as(allocator, world.more, const char), "more");
    EXPECT_EQ(fa_retained_release(allocator, world.object), FA_OK);
    EXPECT_EQ(fa_retained_release(allocator, world.more), FA_OK);
}

TEST_P(RetainTest, NothingIsRetainedWhileObjectsAreKept) {
    Tracked tracked(config);
    allocator = tracked;
    fa_budget none = {};
    none.hard_bytes = 1;
    none.policy = FA_BUDGET_FAIL;
    EXPECT_EQ(fa_budget_set_tag(allocator, FA_TAG_ROOT, FA_INTENT_HEAP, &none), FA_OK);
    fa_retained object = {};
    size_t calls = 0, cleaned = 0;
    hook.act = [&](const fa_event &event) {
        if (event.diag != FA_DIAG_FA012)
            return;
        calls++;
        EXPECT_TRUE(IsPainted(event.address, 1, 100)) << "the last chance to read it";
        EXPECT_EQ(event.size, 100u);
        EXPECT_EQ(event.status, FA_ERROR_LIMIT);
        EXPECT_TRUE(IsNone(fa_frame_retain(allocator, 16, 16, fa_retain_to_pool())));
        EXPECT_EQ(fa_last_error().diag, FA_DIAG_FA009);
        EXPECT_EQ(fa_retained_set(allocator, object, fa_retain_to_pool()), FA_ERROR_FRAME_OPEN);
        EXPECT_EQ(fa_frame_end(allocator), FA_ERROR_FRAME_OPEN);
        EXPECT_NE(fa_frame_alloc(allocator, 64), nullptr) << "other memory of the frame can be had";
        EXPECT_EQ(fa_frame_defer(
                      allocator, [](void *count) { ++*static_cast<size_t *>(count); }, &cleaned),
                  FA_OK);
    };
    fa_frame *frame = fa_frame_begin(allocator);
    object = Painted(frame, 100, 16, fa_retain_to_heap(), 1);
    fa_retained other = Painted(frame, 100, 16, fa_retain_to_pool(), 2);
    fa_frame_summary summary;
    EXPECT_EQ(fa_frame_end_with_summary_in(frame, &summary), FA_OK);
    EXPECT_EQ(calls, 1u);
    EXPECT_EQ(cleaned, 1u) << "what a hook registered runs";
    EXPECT_EQ(fa_last_error().diag, FA_DIAG_FA012);
    EXPECT_EQ(fa_retained_kind_of(allocator, object), FA_RETAINED_FAILED);
    EXPECT_EQ(Describe(allocator, object).reason, FA_RETAIN_REASON_BUDGET);
    EXPECT_EQ(summary.sums.failed.count, 1u);
    EXPECT_EQ(summary.failed_by_reason[FA_RETAIN_REASON_BUDGET].bytes, 100u);
    EXPECT_EQ(fa_retained_release(allocator, other), FA_OK);
    tracked.Check();
}

TEST_P(RetainTest, AFrameThatOnlyRetainedOnceIsFastAgain) {
    Tracked tracked(config);
    allocator = tracked;
    for (int i = 0; i < 3; i++) {
        fa_frame *frame = fa_frame_begin(allocator);
        fa_retained retained = Painted(frame, 64, 16, fa_retain_to_pool(), 1);
        EXPECT_EQ(fa_frame_end_in(frame), FA_OK);
        EXPECT_EQ(fa_retained_release(allocator, retained), FA_OK);
        fa_frame_summary summary;
        EXPECT_EQ(fa_frame_summary_get(allocator, &summary), FA_OK);
        frame = fa_frame_begin(allocator); // one without
        EXPECT_EQ(fa_frame_summary_get(allocator, &summary), FA_ERROR_INVALID) << "a frame is open";
        EXPECT_EQ(fa_frame_end_in(frame), FA_OK);
        EXPECT_EQ(fa_frame_summary_get(allocator, &summary), FA_ERROR_INVALID);
        EXPECT_EQ(summary.frame_index, 0u);
        EXPECT_EQ(fa_frame_summary_objects(allocator, nullptr, 0), 0u);
    }
    EXPECT_EQ(tracked.Live(), 0u);
}

} // namespace
