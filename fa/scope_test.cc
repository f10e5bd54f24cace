// Owning scopes of C: what ends with its scope, however that is left.
#include "fa/testing.hpp"

using namespace fa_testing;

namespace {

struct Body {
    double position[3];
};
struct alignas(64) Line {
    char bytes[64];
};

enum class Way { kEnd, kReturn, kBreak, kContinue, kGoto };

// Leaves scopes of each kind, one inside of the other, in every way there is.
bool Leave(fa_allocator *allocator, Way way) {
    for (int i = 0; i < 2; i++) {
        fa_frame_scope(allocator, frame);
        fa_tag_scope(allocator, FA_TAG_PHYSICS, outer);
        fa_pool_scope(allocator, Body, body);
        fa_heap_scope(allocator, Line, 3, lines);
        EXPECT_EQ(fa_frame_current(allocator), frame);
        EXPECT_EQ(outer.status, FA_OK);
        {
            fa_tag_scope_name(allocator, "contacts", inner);
            fa_mark_scope_in(frame, scratch);
            fa_phase_scope_in(frame, "inside");
            fa_pool_scope(allocator, Line, line);
            EXPECT_EQ(inner.status, FA_OK);
            EXPECT_NE(fa_tag_current(allocator), FA_TAG_PHYSICS);
            if (frame == nullptr || body == nullptr || lines == nullptr || line == nullptr)
                return false;
            EXPECT_TRUE(IsAligned(lines, 64) && IsAligned(line, 64));
            std::memset(fa_frame_alloc_in(frame, 1000), 1, 1000);
            if (kCounted) {
                EXPECT_EQ(Stats(allocator).pool_live_count, 2u);
            }
            EXPECT_EQ(Stats(allocator).heap_live_count, 1u);
            if (way == Way::kReturn)
                return true;
            if (way == Way::kBreak)
                break;
            if (way == Way::kContinue)
                continue;
            if (way == Way::kGoto)
                goto out;
        }
        EXPECT_EQ(fa_frame_bytes_in(frame), 0u) << "rewound";
        EXPECT_EQ(fa_phase_current(allocator), nullptr);
        EXPECT_EQ(fa_tag_current(allocator), FA_TAG_PHYSICS);
    }
out:
    return true;
}

TEST(Scope, EndsInEveryWay) {
    for (uint32_t checks : {0u, static_cast<uint32_t>(FA_CHECK_ALL)}) {
        fa_alloc_config config = Plain();
        config.checks = checks;
        Events events;
        events.Watch(&config);
        Allocator allocator(config);
        for (Way way : {Way::kEnd, Way::kReturn, Way::kBreak, Way::kContinue, Way::kGoto}) {
            EXPECT_TRUE(Leave(allocator, way));
            EXPECT_EQ(fa_frame_current(allocator), nullptr);
            EXPECT_EQ(fa_tag_current(allocator), FA_TAG_ROOT);
            if (kCounted) {
                EXPECT_EQ(Stats(allocator).pool_live_count, 0u);
            }
            EXPECT_EQ(Stats(allocator).heap_live_count, 0u);
            ExpectValid(allocator);
        }
        EXPECT_TRUE(events.all.empty());
        EXPECT_EQ(allocator.Destroy(), 0u);
    }
}

TEST(Scope, RefusedFrameIsNotEnded) {
    Allocator allocator(Plain());
    fa_frame *open = fa_frame_begin(allocator);
    {
        fa_frame_scope(allocator, second);
        EXPECT_EQ(second, nullptr);
        EXPECT_EQ(fa_last_error().status, FA_ERROR_FRAME_OPEN);
    }
    EXPECT_EQ(fa_frame_current(allocator), open) << "still open";
    EXPECT_EQ(fa_frame_end(allocator), FA_OK);
}

TEST(Scope, FrameEndedByHand) {
    Events events;
    fa_alloc_config config = Plain();
    events.Watch(&config);
    Allocator allocator(config);
    {
        fa_frame_scope(allocator, frame);
        EXPECT_EQ(fa_frame_end_in(frame), FA_OK);
        frame = nullptr;
    }
    EXPECT_TRUE(events.all.empty());
    EXPECT_EQ(Stats(allocator).frame_count, 1u);
}

TEST(Scope, RefusedBlocksAreNotFreed) {
    Source source;
    Allocator allocator(Plain(), source);
    EXPECT_NE(fa_frame_begin(allocator), nullptr); // the thread is attached
    source.Fail(1);
    {
        fa_pool_scope(allocator, Body, body);
        EXPECT_EQ(body, nullptr);
        EXPECT_EQ(fa_last_error().status, FA_ERROR_NO_MEMORY);
        fa_heap_scope(allocator, char, size_t{1} << 20, text);
        EXPECT_EQ(text, nullptr);
        fa_last_error_clear();
    }
    EXPECT_EQ(fa_last_error().status, FA_OK) << "their ends do nothing";
    fa_heap_scope(allocator, Body, SIZE_MAX / 2, wraps);
    EXPECT_EQ(wraps, nullptr);
    EXPECT_EQ(fa_last_error().status, FA_ERROR_INVALID);
    fa_heap_scope(allocator, Body, 0, none);
    EXPECT_EQ(none, nullptr);
    fa_pool_scope(nullptr, Body, nobody);
    EXPECT_EQ(nobody, nullptr);
    fa_last_error_clear();
    source.Fail(0, false);
    EXPECT_EQ(fa_frame_end(allocator), FA_OK);
}

Body *Keep(fa_allocator *allocator, bool keep, Line **lines) {
    fa_pool_scope(allocator, Body, body);
    fa_heap_scope(allocator, Line, 2, kept);
    if (!keep)
        return nullptr;
    *lines = fa_scope_keep(kept);
    return fa_scope_keep(body);
}

TEST(Scope, KeptBlocksOutliveIt) {
    Allocator allocator(Plain());
    Line *lines = nullptr;
    EXPECT_EQ(Keep(allocator, false, &lines), nullptr);
    EXPECT_EQ(lines, nullptr);
    EXPECT_EQ(Stats(allocator).heap_live_count, 0u);
    Body *body = Keep(allocator, true, &lines);
    EXPECT_EQ(Stats(allocator).heap_live_count, 1u);
    fa_pool_delete(allocator, body);
    fa_heap_free(allocator, lines);
    EXPECT_EQ(allocator.Destroy(), 0u);
}

TEST(Scope, TagsThatAreRefusedAreNotLeft) {
    Allocator allocator(Plain());
    fa_tag_scope(allocator, FA_TAG_AUDIO, audio);
    {
        fa_tag_scope(allocator, 12345, none);
        EXPECT_EQ(none.status, FA_ERROR_INVALID);
        fa_tag_scope_name(allocator, "bad:name", bad);
        EXPECT_EQ(bad.status, FA_ERROR_INVALID);
        fa_tag_scope(nullptr, FA_TAG_AUDIO, nobody);
        EXPECT_EQ(nobody.status, FA_ERROR_INVALID);
        EXPECT_EQ(fa_tag_current(allocator), FA_TAG_AUDIO);
    }
    EXPECT_EQ(fa_tag_current(allocator), FA_TAG_AUDIO);
    fa_tag_guard_end(&audio);
    EXPECT_EQ(fa_tag_current(allocator), FA_TAG_ROOT);
    fa_last_error_clear();
    fa_tag_guard_end(&audio); // over
    fa_tag_guard_end(nullptr);
    EXPECT_EQ(fa_last_error().status, FA_OK);
}

TEST(Scope, Groups) {
    Events events;
    fa_alloc_config config = Plain();
    events.Watch(&config);
    Allocator allocator(config);
    int closed = 0;
    for (int i = 0; i < 3; i++) {
        fa_group_scope(allocator, "level", level);
        EXPECT_NE(fa_group_new(level, Body), nullptr);
        EXPECT_EQ(fa_group_defer(
                      level, [](void *count) { ++*static_cast<int *>(count); }, &closed),
                  FA_OK);
        if (i == 1)
            continue;
        if (i == 2) {
            EXPECT_EQ(fa_group_free(level), FA_OK);
            level = fa_group{};
        }
    }
    EXPECT_EQ(closed, 3);
    fa_group_scope(nullptr, "level", nobody);
    EXPECT_EQ(nobody.head, nullptr);
    EXPECT_TRUE(events.all.empty());
}

TEST(Scope, HeapBlocksAreNamedByTheirPlace) {
    if (!kCounted)
        GTEST_SKIP();
    Allocator allocator(Plain());
    const int line = __LINE__ + 1;
    fa_heap_scope(allocator, char, 100, text);
    text[0] = 1;
    int found = 0;
    (void)fa_heap_visit(
        allocator,
        [](void *user, const fa_heap_block *block) {
            EXPECT_NE(std::strstr(block->site.file, "scope_test"), nullptr);
            *static_cast<int *>(user) = block->site.line;
        },
        &found);
    EXPECT_EQ(found, line);
}

} // namespace
