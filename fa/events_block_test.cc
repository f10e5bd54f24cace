// Allocations and frees as life-cycle events.
#include "fa/testing_events.hpp"

namespace {

using namespace fa_testing;

// Block events, for all combinations of checks.
class BlockEvents : public testing::TestWithParam<uint32_t> {};

TEST_P(BlockEvents, OfFrames) {
    Tracked allocator(Config(GetParam()));
    Heard heard;
    fa_frame *frame = fa_frame_begin(allocator);
    ASSERT_NE(fa_frame_alloc_in(frame, 16), nullptr);
    heard.Subscribe(allocator, FA_EVENTS_BLOCKS);
    ASSERT_NE(fa_frame_alloc_in(frame, 16), nullptr);
    EXPECT_EQ(heard.All().size(), 0u) << "the frame was open already";
    EXPECT_EQ(fa_frame_end_in(frame), FA_OK);
    frame = fa_frame_begin(allocator);
    EXPECT_EQ(fa_tag_enter(allocator, FA_TAG_UI), FA_OK);
    void *block = fa_frame_alloc_in(frame, 100);
    EXPECT_EQ(fa_tag_leave(allocator), FA_OK);
    ASSERT_EQ(heard.All().size(), 1u);
    fa_events_item item = heard.All()[0];
    EXPECT_EQ(item.kind, FA_EVENTS_ALLOC);
    EXPECT_EQ(item.intent, FA_INTENT_FRAME);
    EXPECT_EQ(item.address, block);
    EXPECT_EQ(item.size, 100u);
    EXPECT_EQ(item.bytes, 112u);
    EXPECT_EQ(item.tag, FA_TAG_UI);
    EXPECT_EQ(item.frame_index, 2u);
    // Many ways to allocate, all of them told; also after a rewind into room that is there.
    heard.Clear();
    fa_mark mark = fa_frame_mark_in(frame);
    for (int i = 0; i < 3; i++) {
        ASSERT_NE(fa_frame_alloc(allocator, 10), nullptr);
        ASSERT_NE(fa_frame_alloc_aligned_in(frame, 10, 256), nullptr);
        ASSERT_NE(fa_frame_alloc_batch_in(frame, 10, 10), nullptr);
        ASSERT_NE(fa_frame_alloc_zeroed_in(frame, 10, 10), nullptr);
        ASSERT_NE(fa_frame_copy_string_in(frame, "text"), nullptr);
        EXPECT_EQ(fa_frame_rewind_in(frame, mark), FA_OK);
    }
    EXPECT_EQ(heard.Count(FA_EVENTS_ALLOC), 15u);
    EXPECT_EQ(heard.Count(FA_EVENTS_FREE), 0u);
    // One that grows where it lies, and one that is copied.
    heard.Clear();
    void *grown = fa_frame_alloc_in(frame, 32);
    EXPECT_EQ(fa_frame_grow_in(frame, grown, 32, 64), grown);
    void *behind = fa_frame_alloc_in(frame, 16);
    void *copy = fa_frame_grow_in(frame, grown, 64, 128);
    EXPECT_NE(copy, grown);
    const std::vector<fa_events_item> all = heard.All();
    ASSERT_EQ(all.size(), 6u);
    ExpectBlock(all[0], FA_EVENTS_ALLOC, grown, 32);
    ExpectBlock(all[1], FA_EVENTS_FREE, grown, 32);
    ExpectBlock(all[2], FA_EVENTS_ALLOC, grown, 64);
    ExpectBlock(all[3], FA_EVENTS_ALLOC, behind, 16);
    ExpectBlock(all[4], FA_EVENTS_ALLOC, copy, 128);
    ExpectBlock(all[5], FA_EVENTS_FREE, grown, 64);
    EXPECT_EQ(fa_frame_end_in(frame), FA_OK);
    allocator.Check();
}

TEST_P(BlockEvents, OfPools) {
    Tracked allocator(Config(GetParam()));
    // Objects from before, so that all fast paths are in use.
    void *early = fa_pool_alloc(allocator, 48), *tagged = nullptr;
    fa_pool_free(allocator, fa_pool_alloc(allocator, 48));
    EXPECT_EQ(fa_tag_enter(allocator, FA_TAG_AUDIO), FA_OK);
    tagged = fa_pool_alloc(allocator, 48);
    Heard heard;
    fa_events_id id = heard.Subscribe(allocator, FA_EVENTS_BLOCKS);
    fa_pool_free_sized(allocator, tagged, 48);
    EXPECT_EQ(fa_tag_leave(allocator), FA_OK);
    fa_pool_free(allocator, early);
    ASSERT_EQ(heard.All().size(), 2u);
    EXPECT_EQ(heard.All()[0].address, tagged);
    EXPECT_EQ(heard.All()[0].tag, FA_TAG_AUDIO);
    EXPECT_EQ(heard.All()[0].size, 48u);
    EXPECT_EQ(heard.All()[1].address, early);
    EXPECT_EQ(heard.All()[1].tag, FA_TAG_ROOT);
    EXPECT_EQ(heard.All()[1].kind, FA_EVENTS_FREE);
    EXPECT_EQ(heard.All()[1].size, 0u);
    heard.Clear();

    void *object = fa_pool_alloc(allocator, 40);
    ASSERT_EQ(heard.All().size(), 1u);
    fa_events_item item = heard.All()[0];
    EXPECT_EQ(item.kind, FA_EVENTS_ALLOC);
    EXPECT_EQ(item.intent, FA_INTENT_POOL);
    EXPECT_EQ(item.address, object);
    EXPECT_EQ(item.size, 40u);
    EXPECT_GE(item.bytes, 40u);
    fa_pool_free(allocator, object);
    EXPECT_EQ(heard.All()[1].address, object);
    EXPECT_EQ(heard.All()[1].bytes, item.bytes);
    heard.Clear();
    void *blocks[40];
    EXPECT_EQ(fa_pool_alloc_batch(allocator, 64, 40, blocks), FA_OK);
    fa_pool_free_batch(allocator, blocks, 40);
    fa_free(allocator, fa_pool_alloc_aligned(allocator, 64, 64));
    fa_pool_free(allocator, fa_pool_alloc_zeroed(allocator, 3, 30));
    EXPECT_EQ(heard.Count(FA_EVENTS_ALLOC), 42u);
    EXPECT_EQ(heard.Count(FA_EVENTS_FREE), 42u);
    // What is too large for a class is a heap block.
    heard.Clear();
    fa_pool_free(allocator, fa_pool_alloc(allocator, 100000));
    ASSERT_EQ(heard.All().size(), 2u);
    EXPECT_EQ(heard.All()[0].intent, FA_INTENT_HEAP);
    EXPECT_EQ(heard.All()[1].intent, FA_INTENT_HEAP);
    // Nobody listens: all goes on.
    EXPECT_EQ(fa_events_unsubscribe(allocator, id), FA_OK);
    heard.Clear();
    EXPECT_EQ(fa_pool_alloc_batch(allocator, 64, 40, blocks), FA_OK);
    for (void *block : blocks)
        fa_pool_free_sized(allocator, block, 64);
    EXPECT_EQ(heard.All().size(), 0u);
    allocator.Check();
}

TEST_P(BlockEvents, OfTheHeap) {
    Tracked allocator(Config(GetParam()));
    Heard heard;
    heard.Subscribe(allocator, FA_EVENTS_BLOCKS);
    EXPECT_EQ(fa_tag_enter(allocator, FA_TAG_ASSETS), FA_OK);
    void *block = fa_heap_alloc(allocator, 5000);
    EXPECT_EQ(fa_tag_leave(allocator), FA_OK);
    void *moved = fa_heap_realloc(allocator, block, 3000000);
    void *smaller = fa_heap_realloc(allocator, moved, 100);
    fa_heap_free(allocator, smaller);
    // Whatever moves: sizes and addresses pair up.
    std::vector<fa_events_item> all = heard.All();
    ASSERT_EQ(all.size(), 6u);
    ExpectBlock(all[0], FA_EVENTS_ALLOC, block, 5000);
    EXPECT_EQ(all[0].intent, FA_INTENT_HEAP);
    for (const fa_events_item &item : all)
        EXPECT_EQ(item.tag, FA_TAG_ASSETS);
    EXPECT_EQ(all[0].bytes, 5000u);
    ExpectBlock(all[5], FA_EVENTS_FREE, smaller, 100);
    Ledger ledger;
    for (const fa_events_item &item : all)
        ledger.Add(item);
    EXPECT_EQ(ledger.unknown_frees, 0u);
    EXPECT_EQ(ledger.live.size(), 0u);
    allocator.Check();
}

TEST_P(BlockEvents, MisuseIsNotTold) {
    fa_alloc_config config = Config(GetParam() | FA_CHECK_FREE);
    Tracked allocator(config);
    Heard heard;
    void *object = fa_pool_alloc(allocator, 64);
    heard.Subscribe(allocator, FA_EVENTS_BLOCKS);
    fa_pool_free(allocator, object);
    fa_pool_free(allocator, object);
    int local = 0;
    fa_free(allocator, &local);
    fa_heap_free(allocator, &local);
    EXPECT_EQ(heard.All().size(), 1u);
}

INSTANTIATE_TEST_SUITE_P(Checks, BlockEvents, testing::ValuesIn(AllChecks()));

TEST(BlockEventsOfBudgets, PromotedFrameBlocksArePoolBlocks) {
    Tracked allocator;
    Heard heard;
    fa_budget budget = {};
    budget.hard_bytes = 4096;
    budget.policy = FA_BUDGET_PROMOTE;
    ASSERT_EQ(fa_budget_set(allocator, FA_INTENT_FRAME, &budget), FA_OK);
    heard.Subscribe(allocator, FA_EVENTS_BLOCKS);
    fa_frame *frame = fa_frame_begin(allocator);
    ASSERT_NE(frame, nullptr);
    ASSERT_NE(fa_frame_alloc_in(frame, 3000), nullptr);
    heard.Clear();
    void *block = fa_frame_alloc_in(frame, 2000);
    ASSERT_NE(block, nullptr);
    EXPECT_EQ(fa_frame_end_in(frame), FA_OK);
    std::vector<fa_events_item> all = heard.All();
    ASSERT_EQ(all.size(), 2u);
    ExpectBlock(all[0], FA_EVENTS_ALLOC, block, 2000);
    EXPECT_EQ(all[0].intent, FA_INTENT_POOL);
    EXPECT_EQ(all[1].kind, FA_EVENTS_FREE);
    EXPECT_EQ(all[1].address, block);
}

} // namespace
