// Scopes of C++: fa::memory, frame_scope, tag_scope, phase_scope, mark_scope.
#include "fa/fa.hpp"
#include "fa/testing.hpp"

#include <string>
#include <vector>

using namespace fa_testing;

namespace {

static_assert(!std::is_copy_constructible_v<fa::memory> &&
              std::is_nothrow_move_constructible_v<fa::memory> &&
              std::is_nothrow_move_assignable_v<fa::memory>);
template <class Scope>
constexpr bool kFixed =
    !std::is_copy_constructible_v<Scope> && !std::is_move_constructible_v<Scope> &&
    !std::is_copy_assignable_v<Scope> && !std::is_move_assignable_v<Scope>;
static_assert(kFixed<fa::frame_scope> && kFixed<fa::tag_scope> && kFixed<fa::phase_scope> &&
              kFixed<fa::mark_scope>);

TEST(CppMemory, CreatesAndDestroys) {
    Source source;
    fa_alloc_config config = Plain();
    config.backends[0] = source.backend;
    {
        fa::memory memory(config);
        ASSERT_NE(memory, nullptr);
        EXPECT_NE(fa_heap_alloc(memory, 100), nullptr);
        fa::memory other(std::move(memory));
        EXPECT_EQ(memory.get(), nullptr);
        EXPECT_NE(other.get(), nullptr);
        EXPECT_EQ(memory.destroy(), 0u) << "nothing is left in it";
        fa::memory third(config);
        third = std::move(other);
        fa::memory &same = third;
        third = std::move(same);
        EXPECT_NE(third.get(), nullptr);
        EXPECT_EQ(third.destroy(), 1u) << "the block";
        EXPECT_EQ(third.get(), nullptr);
    }
    EXPECT_EQ(source.BytesLive(), 0u);
}

TEST(CppMemory, DefaultAndRefused) {
    fa::memory memory;
    EXPECT_NE(memory.get(), nullptr);
    fa_alloc_config config = Plain();
    config.frames_in_flight = 1000;
    fa::memory bad(config);
    EXPECT_EQ(bad.get(), nullptr);
    EXPECT_EQ(fa_last_error().status, FA_ERROR_CONFIG);
}

TEST(CppMemory, SharedWithOthers) {
    fa::memory memory(Plain());
    fa_allocator *other = fa_allocator_acquire(memory);
    EXPECT_EQ(memory.destroy(), 0u);
    EXPECT_NE(fa_heap_alloc(other, 16), nullptr) << "it lives on";
    EXPECT_EQ(fa_allocator_release(other), 1u);
}

TEST(CppScope, Frame) {
    Allocator allocator(Plain());
    {
        fa::frame_scope frame(allocator);
        ASSERT_NE(frame, nullptr);
        EXPECT_EQ(frame.get(), fa_frame_current(allocator));
        EXPECT_NE(fa_frame_alloc_in(frame, 64), nullptr);
        fa::frame_scope second(allocator);
        EXPECT_EQ(second, nullptr);
        EXPECT_EQ(fa_last_error().status, FA_ERROR_FRAME_OPEN);
        EXPECT_EQ(second.end(), FA_OK);
        EXPECT_EQ(fa_frame_current(allocator), frame.get());
    }
    EXPECT_EQ(fa_frame_current(allocator), nullptr);
    fa::frame_scope again(allocator);
    EXPECT_EQ(again.end(), FA_OK);
    EXPECT_EQ(again.get(), nullptr);
    EXPECT_EQ(fa_frame_current(allocator), nullptr);
    fa::frame_scope nobody(nullptr);
    EXPECT_EQ(nobody, nullptr);
}

TEST(CppScope, Tag) {
    Allocator allocator(Plain());
    {
        fa::tag_scope physics(allocator, FA_TAG_PHYSICS);
        EXPECT_EQ(physics.status(), FA_OK);
        fa::tag_scope contacts(allocator, "contacts");
        EXPECT_EQ(contacts.status(), FA_OK);
        EXPECT_EQ(fa_tag_current(allocator), fa_tag_find(allocator, "physics::contacts"));
        fa::tag_scope none(allocator, fa_tag{9999});
        EXPECT_EQ(none.status(), FA_ERROR_INVALID);
        fa::tag_scope nobody(nullptr, "x");
        EXPECT_EQ(nobody.status(), FA_ERROR_INVALID);
    }
    EXPECT_EQ(fa_tag_current(allocator), FA_TAG_ROOT);
}

TEST(CppScope, Phase) {
    Events events;
    fa_alloc_config config = Plain();
    events.Watch(&config);
    Allocator allocator(config);
    {
        fa::frame_scope frame(allocator);
        {
            fa::phase_scope outer(allocator, "outer");
            fa::phase_scope inner(frame, "inner");
            EXPECT_STREQ(fa_phase_current(allocator), "inner");
        }
        EXPECT_EQ(fa_phase_current(allocator), nullptr);
        EXPECT_EQ(fa_phase_count(allocator), 2u);
    }
    EXPECT_TRUE(events.all.empty());
    fa::phase_scope none(allocator, "no frame");
    EXPECT_EQ(events.Count(FA_DIAG_FA001), 1u);
}

TEST(CppScope, Mark) {
    Allocator allocator(Plain());
    fa::frame_scope frame(allocator);
    {
        fa::mark_scope mark(frame);
        EXPECT_TRUE(mark);
        EXPECT_NE(fa_frame_alloc_in(frame, 64), nullptr);
        {
            fa::mark_scope kept(allocator);
            EXPECT_NE(fa_frame_alloc_in(frame, 64), nullptr);
            kept.commit();
            EXPECT_FALSE(kept);
        }
        EXPECT_GE(fa_frame_bytes_in(frame), 128u);
        fa::mark_scope ended(frame);
        EXPECT_NE(fa_frame_alloc_in(frame, 64), nullptr);
        EXPECT_EQ(ended.end(), FA_OK);
        EXPECT_FALSE(ended);
    }
    EXPECT_EQ(fa_frame_bytes_in(frame), 0u);
    EXPECT_EQ(frame.end(), FA_OK);
    fa::mark_scope none(allocator);
    EXPECT_FALSE(none);
}

TEST(CppScope, Scratch) {
    Allocator allocator(Plain());
    fa::scratch_scope result(allocator);
    ASSERT_TRUE(result);
    int *kept = nullptr;
    {
        fa::scratch_scope own(allocator, result);
        ASSERT_TRUE(own);
        int *gone = fa_scratch_array(own, int, 100);
        kept = fa_scratch_array(result, int, 100);
        ASSERT_TRUE(gone != nullptr && kept != nullptr);
        gone[99] = kept[99] = 7;
        fa::scratch_scope third(allocator, result, own);
        EXPECT_TRUE(third);
        EXPECT_EQ(third.end(), FA_OK);
        EXPECT_FALSE(third);
        EXPECT_EQ(third.end(), FA_OK);
    }
    EXPECT_EQ(kept[99], 7);
    {
        fa::scratch_resource resource(result), same(result);
        EXPECT_TRUE(resource == same);
        EXPECT_TRUE(IsAligned(resource.allocate(0, 256), 256));
        std::pmr::vector<std::pmr::string> names(&resource);
        for (int i = 0; i < 1000; i++)
            names.emplace_back("a name that does not fit into a string itself");
        EXPECT_EQ(names[999], names[0]);
        EXPECT_THROW((void)resource.allocate(SIZE_MAX, 16), std::bad_alloc);
    }
    EXPECT_EQ(result.end(), FA_OK);
    fa::scratch_scope none(nullptr);
    EXPECT_FALSE(none);
    fa::scratch_resource nothing(none);
    EXPECT_THROW((void)nothing.allocate(16, 16), std::bad_alloc);
}

} // namespace
