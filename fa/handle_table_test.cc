// What handle tables are made of (fa/internal/handle.h): slots that come in blocks, size classes,
// places in slabs.
#include "fa/testing_handles.hpp"

using namespace fa_testing;

namespace {

struct HandleTable : ::testing::Test {
    Source source;
    Allocator allocator{Plain(), source};
    fa_handles *handles = nullptr;

    void Create(size_t slot_count_max = 0) {
        fa_handles_options options = {};
        options.slot_count_max = slot_count_max;
        handles = fa_handles_create(allocator, &options);
        ASSERT_NE(handles, nullptr);
    }
    fai_handle_growth Plan(bool expected = true) {
        fai_handle_growth growth = {};
        fai_handles_lock(handles);
        EXPECT_EQ(fai_handle_growth_plan(handles, &growth), expected);
        fai_handles_unlock(handles);
        return growth;
    }
    void Add(fai_handle_growth *growth) {
        fai_handles_lock(handles);
        fai_handle_growth_add(handles, growth);
        fai_handles_unlock(handles);
    }
    void Grow() {
        fai_handle_growth growth = Plan();
        ASSERT_TRUE(fai_handle_growth_take(handles, &growth));
        Add(&growth);
        EXPECT_EQ(growth.block, nullptr);
        fai_handle_growth_give(handles, &growth);
    }
};

TEST_F(HandleTable, TwoThatGrowAtOnceShareADirectory) {
    Create();
    fai_handle_growth first = Plan(), second = Plan();
    EXPECT_NE(first.capacity, 0u);
    EXPECT_EQ(first.capacity, second.capacity) << "both saw none";
    ASSERT_TRUE(fai_handle_growth_take(handles, &first));
    ASSERT_TRUE(fai_handle_growth_take(handles, &second));
    Add(&first);
    EXPECT_EQ(first.block, nullptr);
    EXPECT_EQ(first.directory, nullptr);
    Add(&second);
    EXPECT_EQ(second.block, nullptr) << "there is room for it";
    EXPECT_NE(second.directory, nullptr) << "not needed: the caller's";
    EXPECT_EQ(HandleStats(handles).slot_count, size_t{2} * FAI_HANDLE_BLOCK);
    fai_handle_growth_give(handles, &first);
    fai_handle_growth_give(handles, &second);
    ExpectValid(allocator);
    allocator.Destroy();
    EXPECT_EQ(source.BytesLive(), 0u);
}

TEST_F(HandleTable, ADirectoryThatIsFullIsReplacedAndTheOldOneStaysReadable) {
    Create();
    Grow();
    fai_handle_word *const *old = handles->head.blocks;
    fai_handle_word *block = old[0];
    const size_t capacity = handles->directory->capacity;
    for (size_t i = 1; i < capacity; i++)
        Grow();
    EXPECT_EQ(handles->head.blocks, old);
    // Planned before another one takes the last place: a block without a larger directory.
    fai_handle_growth late = {};
    late.is_wanted = true;
    ASSERT_TRUE(fai_handle_growth_take(handles, &late));
    Add(&late);
    EXPECT_NE(late.block, nullptr) << "it has no place yet";
    fai_handle_growth_give(handles, &late);
    Grow();
    EXPECT_NE(handles->head.blocks, old);
    EXPECT_EQ(handles->directory->capacity, 2 * capacity);
    EXPECT_EQ(handles->head.blocks[0], block);
    EXPECT_EQ(old[0], block) << "for readers who found it before";
    EXPECT_EQ(HandleStats(handles).slot_count, (capacity + 1) * FAI_HANDLE_BLOCK);
    ExpectValid(allocator);
    allocator.Destroy();
    EXPECT_EQ(source.BytesLive(), 0u);
}

TEST_F(HandleTable, NoMoreSlotsThanItMayHave) {
    Create(1500);
    fai_handle_growth growths[3];
    for (fai_handle_growth &growth : growths) { // all planned while there was none
        growth = Plan();
        ASSERT_TRUE(fai_handle_growth_take(handles, &growth));
    }
    for (fai_handle_growth &growth : growths)
        Add(&growth);
    EXPECT_EQ(growths[1].block, nullptr);
    EXPECT_NE(growths[2].block, nullptr) << "two blocks are enough";
    EXPECT_EQ(HandleStats(handles).slot_count, size_t{2} * FAI_HANDLE_BLOCK);
    Plan(false);
    for (fai_handle_growth &growth : growths)
        fai_handle_growth_give(handles, &growth);
    ExpectValid(allocator);
}

TEST(HandleClasses, AreTheSmallestThatFit) {
    EXPECT_EQ(fai_handle_class_of(1, 16), 0u);
    for (size_t align = 16; align <= FAI_HANDLE_SLAB_ALIGN_MAX; align *= 2) {
        uint32_t before = 0;
        for (size_t bytes = 1; bytes <= FA_HANDLE_SLAB_OBJECT_MAX; bytes++) {
            const uint32_t at = fai_handle_class_of(bytes, align);
            ASSERT_LT(at, uint32_t{FAI_HANDLE_CLASS_COUNT}) << bytes << " aligned to " << align;
            ASSERT_GE(at, before) << "more bytes in a smaller class: " << bytes;
            ASSERT_GE(at, fai_handle_class_of(bytes, 16)) << "a smaller one for an alignment";
            before = at;
        }
        EXPECT_EQ(fai_handle_class_of(FA_HANDLE_SLAB_OBJECT_MAX + 1, align),
                  uint32_t{FAI_HANDLE_CLASS_COUNT});
    }
    EXPECT_EQ(fai_handle_class_of(16, 2 * FAI_HANDLE_SLAB_ALIGN_MAX),
              uint32_t{FAI_HANDLE_CLASS_COUNT})
        << "a block of its own";
}

// What is there of a place of each class, and where: in slabs that hold nothing else.
TEST_F(HandleTable, PlacesOfEachClassAreAlignedAndApart) {
    Create();
    for (size_t align = 16; align <= FAI_HANDLE_SLAB_ALIGN_MAX; align *= 4)
        for (size_t bytes : {1u, 16u, 17u, 100u, 1000u, 4097u, 8192u}) {
            const uint32_t at = fai_handle_class_of(bytes, align);
            fai_span span;
            ASSERT_TRUE(fai_handle_slab_memory(handles, &span));
            fai_handles_lock(handles);
            fai_handle_slab_add(handles, &span);
            const fai_handle_place first = fai_handle_place_take(handles, 0, at, false);
            const fai_handle_place second = fai_handle_place_take(handles, 0, at, false);
            EXPECT_EQ(first.slab, second.slab);
            char *here = fai_handle_place_address(first), *next = fai_handle_place_address(second);
            EXPECT_TRUE(IsAligned(here, align) && IsAligned(next, align)) << bytes << " " << align;
            EXPECT_GE(static_cast<size_t>(next - here), bytes);
            EXPECT_LE(first.slab->first_offset +
                          static_cast<size_t>(first.slab->place_count) * first.slab->place_bytes,
                      span.size);
            EXPECT_EQ(fai_handle_place_take(handles, 1, at, false).slab, nullptr)
                << "fixed objects lie elsewhere";
            fai_handle_place_give(handles, first);
            EXPECT_EQ(handles->empty, nullptr);
            const fai_handle_place again = fai_handle_place_take(handles, 0, at, true);
            EXPECT_EQ(again.index, first.index) << "the lowest free place";
            fai_handle_place_give(handles, again);
            fai_handle_place_give(handles, second);
            EXPECT_EQ(handles->empty, first.slab) << "it is empty, and may be of any class";
            ASSERT_TRUE(fai_handle_slab_remove(handles, 0, &span));
            fai_handles_unlock(handles);
            fai_handle_slab_memory_give(handles, &span);
            ExpectValid(allocator);
        }
}

} // namespace
