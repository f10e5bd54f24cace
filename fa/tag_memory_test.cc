// Tags of pool and heap memory; what happens when there is none.
#include "fa/testing_tags.hpp"

using namespace fa_testing;

// ---- attribution ----

TEST(TagMemory, ParentsHoldWhatChildrenHold) {
    Tracked allocator;
    const fa_tag child = fa_tag_intern(allocator, "ai::pathfinding");
    const fa_tag parent = fa_tag_parent(allocator, child);
    void *blocks[4];
    EXPECT_EQ(fa_tag_enter(allocator, parent), FA_OK);
    blocks[0] = fa_pool_alloc(allocator, 100);
    blocks[1] = fa_heap_alloc(allocator, 10000);
    EXPECT_EQ(fa_tag_enter_name(allocator, "pathfinding"), FA_OK);
    EXPECT_EQ(fa_tag_current(allocator), child);
    blocks[2] = fa_pool_alloc(allocator, 100);
    blocks[3] = fa_heap_alloc(allocator, 5000);
    EXPECT_EQ(fa_tag_leave(allocator), FA_OK);
    EXPECT_EQ(fa_tag_leave(allocator), FA_OK);
    EXPECT_EQ(TagStats(allocator, child).heap_live_bytes, 5000u);
    EXPECT_EQ(TagStats(allocator, parent).heap_live_bytes, 15000u);
    EXPECT_EQ(TagStats(allocator, FA_TAG_ROOT).heap_live_bytes, 15000u);
    EXPECT_EQ(TagStats(allocator, child).pool_live_count, kOne);
    EXPECT_EQ(TagStats(allocator, parent).pool_live_count, 2 * kOne);
    EXPECT_EQ(TagStats(allocator, parent).pool_live_bytes,
              2 * kOne * (kAsan ? TagStats(allocator, child).pool_live_bytes : 112));
    EXPECT_EQ(TagStats(allocator, FA_TAG_UI).pool_bytes_peak, 0u);
    for (void *block : blocks)
        fa_free(allocator, block);
    fa_tag_stats stats;
    ASSERT_EQ(fa_tag_stats_find(allocator, "ai", &stats), FA_OK);
    EXPECT_EQ(stats.tag, parent);
    EXPECT_EQ(stats.heap_live_bytes, 0u);
    EXPECT_EQ(stats.heap_bytes_peak, 15000u);
    EXPECT_EQ(stats.pool_live_bytes, 0u);
    EXPECT_EQ(stats.heap_free_count, 2u);
    ASSERT_EQ(fa_tag_stats_find(allocator, "", &stats), FA_OK);
    EXPECT_EQ(stats.tag, FA_TAG_ROOT);
    EXPECT_EQ(fa_tag_stats_find(allocator, "none", &stats), FA_ERROR_INVALID);
    EXPECT_EQ(stats.heap_bytes_peak, 0u) << "zeroed";
}

TEST(TagMemory, HeapBlocksKnowTheirTag) {
    Tracked allocator;
    void *plain = fa_heap_alloc(allocator, 1000);
    EXPECT_EQ(fa_tag_enter(allocator, FA_TAG_ASSETS), FA_OK);
    void *tagged = fa_heap_alloc_zeroed(allocator, 100, 20);
    void *through_pool = fa_pool_alloc(allocator, 3000000);
    EXPECT_EQ(fa_tag_leave(allocator), FA_OK);
    tagged = fa_heap_realloc(allocator, tagged, 500000);
    tagged = fa_heap_realloc(allocator, tagged, 400000);
    EXPECT_EQ(TagStats(allocator, FA_TAG_ASSETS).heap_live_bytes, 3400000u);
    OnThread([&] { // no thread of the allocator: nobody is attached by it
        void *block = fa_heap_alloc(allocator, 10);
        EXPECT_EQ(fa_thread_count(allocator), 1u);
        fa_heap_free(allocator, block);
        block = fa_tagged_heap_alloc({allocator, FA_TAG_UI}, 50);
        EXPECT_EQ(fa_thread_count(allocator), 1u);
        EXPECT_EQ(TagStats(allocator, FA_TAG_UI).heap_live_bytes, 50u);
        fa_heap_free(allocator, block);
    });
    std::vector<fa_heap_block> seen;
    fa_heap_visit(
        allocator,
        [](void *user, const fa_heap_block *block) {
            static_cast<std::vector<fa_heap_block> *>(user)->push_back(*block);
        },
        &seen);
    ASSERT_EQ(seen.size(), 3u);
    for (const fa_heap_block &block : seen)
        EXPECT_EQ(block.tag, block.address == plain ? FA_TAG_ROOT : FA_TAG_ASSETS);
    for (void *block : {plain, tagged, through_pool})
        fa_free(allocator, block);
    EXPECT_EQ(TagStats(allocator, FA_TAG_ASSETS).heap_live_bytes, 0u);
}

TEST(TagMemory, FreedElsewhereLongAfter) {
    Tracked allocator;
    std::vector<void *> blocks;
    OnThread([&] {
        EXPECT_EQ(fa_tag_enter(allocator, FA_TAG_PHYSICS), FA_OK);
        for (int i = 0; i < 3000; i++)
            blocks.push_back(fa_pool_alloc(allocator, 48));
        EXPECT_EQ(fa_tag_leave(allocator), FA_OK);
        OnThread([&] { // the owner lives
            EXPECT_EQ(fa_tag_enter(allocator, FA_TAG_UI), FA_OK);
            for (int i = 0; i < 1000; i++, blocks.pop_back())
                fa_pool_free_sized(allocator, blocks.back(), 48);
        });
        EXPECT_EQ(TagStats(allocator, FA_TAG_PHYSICS).pool_live_count, 2000 * kOne);
        EXPECT_EQ(fa_tag_enter(allocator, FA_TAG_AUDIO), FA_OK);
        for (int i = 0; i < 500; i++, blocks.pop_back())
            fa_pool_free_sized(allocator, blocks.back(), 48);
        EXPECT_EQ(TagStats(allocator, FA_TAG_PHYSICS).pool_live_count, 1500 * kOne);
    });
    EXPECT_EQ(TagStats(allocator, FA_TAG_PHYSICS).pool_live_count, 1500 * kOne);
    EXPECT_EQ(fa_tag_enter(allocator, FA_TAG_UI), FA_OK);
    while (!blocks.empty()) { // the owner is gone
        fa_pool_free(allocator, blocks.back());
        blocks.pop_back();
    }
    const fa_tag_stats stats = TagStats(allocator, FA_TAG_PHYSICS);
    EXPECT_EQ(stats.pool_live_count, 0u);
    EXPECT_EQ(stats.pool_live_bytes, 0u);
    EXPECT_EQ(stats.pool_free_count, 3000 * kOne);
    EXPECT_EQ(stats.pool_bytes_ready, 0u);
    EXPECT_EQ(TagStats(allocator, FA_TAG_UI).pool_free_count, 0u);
    allocator.Check();
}

TEST(TagMemory, SlabsAreAdoptedByTheirTagOnly) {
    Tracked allocator;
    std::vector<void *> blocks;
    OnThread([&] {
        EXPECT_EQ(fa_tag_enter(allocator, FA_TAG_PHYSICS), FA_OK);
        for (int i = 0; i < 100; i++)
            blocks.push_back(fa_pool_alloc(allocator, 64));
    });
    fa_pool_free(allocator, blocks.back()); // there is room in the abandoned slab
    blocks.pop_back();
    auto alloc = [&](fa_tag tag) {
        EXPECT_EQ(fa_tag_enter(allocator, tag), FA_OK);
        blocks.push_back(fa_pool_alloc(allocator, 64));
        EXPECT_EQ(fa_tag_leave(allocator), FA_OK);
        return allocator.Stats().pool_adopted_count;
    };
    EXPECT_EQ(alloc(FA_TAG_ROOT), 0u);
    EXPECT_EQ(alloc(FA_TAG_UI), 0u);
    EXPECT_EQ(alloc(FA_TAG_PHYSICS), 1u);
    EXPECT_EQ(TagStats(allocator, FA_TAG_PHYSICS).pool_live_count, 100 * kOne);
    for (void *block : blocks)
        fa_pool_free_sized(allocator, block, 64);
    allocator.Check();
    EXPECT_EQ(fa_thread_detach(allocator), FA_OK);
    EXPECT_EQ(allocator.Stats().pool_slab_count, 0u);
}

TEST(TagMemory, ATagHoldsLittle) {
    if (kAsan)
        GTEST_SKIP() << "no magazines";
    Tracked allocator;
    void *block = fa_pool_alloc(allocator, 64);
    const size_t held = allocator.Stats().bytes_held;
    EXPECT_EQ(fa_tag_enter(allocator, FA_TAG_PHYSICS), FA_OK);
    void *tagged = fa_pool_alloc(allocator, 64);
    EXPECT_LT(allocator.Stats().bytes_held - held, 48u << 10);
    EXPECT_LE(TagStats(allocator, FA_TAG_PHYSICS).pool_bytes_ready, 8u * 64);
    fa_pool_free(allocator, block);
    fa_pool_free(allocator, tagged);
    EXPECT_EQ(fa_tag_leave(allocator), FA_OK);
}

TEST(TagMemory, SizesThatLeftTheFastPathStayOutOfItInEveryTag) {
    Tracked allocator;
    EXPECT_EQ(fa_tag_enter(allocator, FA_TAG_UI), FA_OK);
    void *before = fa_pool_alloc(allocator, 100);
    void *aligned = fa_pool_alloc_aligned(allocator, 100, 16384); // from the heap
    EXPECT_EQ(fai_slot.view->magazine_of_bin[(100 + 15) / 16]->capacity, 0u);
    EXPECT_EQ(fa_tag_enter(allocator, FA_TAG_AUDIO), FA_OK);
    void *after = fa_pool_alloc(allocator, 100);
    EXPECT_EQ(fai_slot.view->magazine_of_bin[(100 + 15) / 16]->capacity, 0u);
    for (void *block : {aligned, before, after})
        fa_pool_free_sized(allocator, block, 100);
    allocator.Check();
    EXPECT_EQ(allocator.Live(), 0u);
    EXPECT_EQ(allocator.Count(FA_DIAG_FA601), 0u);
    OnThread([&] {
        EXPECT_EQ(fa_tag_enter(allocator, FA_TAG_UI), FA_OK);
        void *block = fa_pool_alloc_aligned(allocator, 100, 16384);
        fa_pool_free_sized(allocator, block, 100);
    });
    EXPECT_EQ(allocator.Count(FA_DIAG_FA601), 0u);
}

TEST(TagMemory, BatchesKeepToTheTag) {
    Tracked allocator;
    std::vector<void *> blocks(700);
    EXPECT_EQ(fa_tag_enter(allocator, FA_TAG_UI), FA_OK);
    EXPECT_EQ(fa_pool_alloc_batch(allocator, 40, 300, blocks.data()), FA_OK);
    EXPECT_EQ(fa_tag_enter(allocator, FA_TAG_AUDIO), FA_OK);
    EXPECT_EQ(fa_pool_alloc_batch(allocator, 40, 400, blocks.data() + 300), FA_OK);
    EXPECT_EQ(TagStats(allocator, FA_TAG_UI).pool_live_count, 300 * kOne);
    EXPECT_EQ(TagStats(allocator, FA_TAG_AUDIO).pool_live_count, 400 * kOne);
    std::reverse(blocks.begin(), blocks.end());
    fa_pool_free_batch(allocator, blocks.data(), blocks.size());
    EXPECT_EQ(TagStats(allocator, FA_TAG_UI).pool_live_count, 0u);
    EXPECT_EQ(TagStats(allocator, FA_TAG_AUDIO).pool_free_count, 400 * kOne);
    allocator.Check();
}

TEST(TagMemory, FacadeAttributesWhateverTheThreadIsIn) {
    Tracked allocator;
    const fa_tagged ai = {allocator, fa_tag_intern(allocator, "ai")};
    EXPECT_EQ(fa_tagged_frame_alloc(ai, 10), nullptr);
    EXPECT_EQ(Taken(), FA_ERROR_NO_FRAME);
    EXPECT_EQ(fa_thread_count(allocator), 0u);
    fa_frame *frame = fa_frame_begin(allocator);
    EXPECT_EQ(fa_tag_enter(allocator, FA_TAG_UI), FA_OK);
    EXPECT_NE(fa_tagged_frame_alloc(ai, 100), nullptr);
    EXPECT_TRUE(IsAligned(fa_tagged_frame_alloc_aligned(ai, 100, 256), 256));
    EXPECT_TRUE(IsFilled(fa_tagged_frame_alloc_zeroed(ai, 10, 10), 0, 100));
    EXPECT_EQ(TagStats(allocator, ai.tag).frame_bytes, fa_frame_bytes_in(frame));
    void *blocks[] = {fa_tagged_pool_alloc(ai, 100),
                      fa_tagged_pool_alloc_aligned(ai, 100, 64),
                      fa_tagged_pool_alloc_zeroed(ai, 10, 10),
                      fa_tagged_heap_alloc(ai, 100),
                      fa_tagged_heap_alloc_aligned(ai, 100, 4096),
                      fa_tagged_heap_alloc_zeroed(ai, 10, 10)};
    EXPECT_TRUE(IsAligned(blocks[1], 64));
    EXPECT_TRUE(IsFilled(blocks[2], 0, 100));
    EXPECT_TRUE(IsAligned(blocks[4], 4096));
    EXPECT_TRUE(IsFilled(blocks[5], 0, 100));
    EXPECT_EQ(fa_tag_current(allocator), FA_TAG_UI);
    EXPECT_EQ(TagStats(allocator, ai.tag).pool_live_count, 3 * kOne);
    EXPECT_EQ(TagStats(allocator, ai.tag).heap_live_count, 3u);
    EXPECT_EQ(TagStats(allocator, FA_TAG_UI).pool_alloc_count, 0u);
    EXPECT_EQ(TagStats(allocator, FA_TAG_UI).frame_bytes, 0u);
    for (void *block : blocks)
        fa_free(allocator, block);
    EXPECT_EQ(fa_frame_end_in(frame), FA_OK);
    const fa_tagged none = {allocator, FA_TAG_NONE};
    EXPECT_EQ(fa_tagged_heap_alloc(none, 10), nullptr);
    EXPECT_EQ(Taken(), FA_ERROR_INVALID);
}

// ---- failures ----

// A scenario with the backend failing at its first call, its second, and so on.
namespace {

bool Runs(uint64_t at, bool lasting, uint32_t checks) {
    Source source;
    fa_alloc_config config = Plain(fa_alloc_config_minimal());
    config.checks = checks;
    config.tag_count_max = 64;
    Allocator allocator(config, source);
    source.Fail(at, lasting);
    fa_frame *frame = fa_frame_begin(allocator);
    fa_mark mark = frame ? fa_frame_mark_in(frame) : fa_mark{};
    std::vector<void *> blocks;
    size_t entered = 0, refused = 0;
    auto kept = [&](void *block) {
        if (block != nullptr)
            return blocks.push_back(block);
        const fa_status status = Taken();
        EXPECT_TRUE(status == FA_ERROR_NO_MEMORY || status == FA_ERROR_NO_FRAME)
            << fa_status_name(status);
        refused++;
    };
    for (int i = 0; i < 40; i++) {
        const std::string path = "a" + std::to_string(i % 4) + "::b" + std::to_string(i);
        const size_t count = fa_tag_count(allocator);
        const fa_tag tag = fa_tag_intern(allocator, path.c_str());
        const fa_tag before = fa_tag_current(allocator);
        if (tag == FA_TAG_NONE || fa_tag_enter(allocator, tag) != FA_OK) {
            EXPECT_TRUE(tag != FA_TAG_NONE || fa_tag_count(allocator) == count);
            EXPECT_EQ(Taken(), FA_ERROR_NO_MEMORY);
            EXPECT_EQ(fa_tag_current(allocator), before);
            refused++;
            continue;
        }
        entered++;
        kept(fa_pool_alloc(allocator, 40));
        kept(fa_heap_alloc(allocator, 3000));
        if (frame != nullptr && fa_frame_alloc_in(frame, 500) == nullptr)
            refused++;
    }
    if (frame != nullptr && mark.serial != 0) {
        EXPECT_EQ(fa_frame_rewind_in(frame, mark), FA_OK);
        for (fa_tag tag = 0; tag < fa_tag_count(allocator); tag++)
            EXPECT_EQ(TagStats(allocator, tag).frame_bytes, 0u);
    }
    ExpectValid(allocator);
    ExpectIdentities(allocator);
    for (; entered != 0; entered--)
        EXPECT_EQ(fa_tag_leave(allocator), FA_OK);
    for (void *block : blocks)
        fa_free(allocator, block);
    EXPECT_EQ(TagStats(allocator, FA_TAG_ROOT).heap_live_bytes, 0u);
    if (frame != nullptr) {
        EXPECT_EQ(fa_frame_end_in(frame), FA_OK);
    }
    source.Fail(0, false);
    EXPECT_EQ(fa_thread_detach(allocator) == FA_OK || frame == nullptr, true);
    EXPECT_EQ(TagStats(allocator, FA_TAG_ROOT).pool_bytes_ready, 0u);
    const bool met = refused != 0 || fa_failing_calls(&source.failing, FA_FAILING_ALLOC) >= at;
    EXPECT_EQ(allocator.Destroy(), 0u);
    EXPECT_EQ(source.BytesLive(), 0u);
    return !met;
}

} // namespace

TEST(TagMemory, SurvivesEveryFailureOfTheBackend) {
    for (uint32_t checks : {0u, static_cast<uint32_t>(FA_CHECK_ALL)})
        for (bool lasting : {false, true}) {
            uint64_t at = 1;
            while (!Runs(at, lasting, checks) && at < 500 && !HasFailure())
                at++;
            EXPECT_GT(at, 20u);
            EXPECT_LT(at, 500u);
        }
}

TEST(TagMemory, Sealed) {
    Tracked allocator;
    EXPECT_EQ(fa_tag_enter(allocator, FA_TAG_UI), FA_OK);
    EXPECT_EQ(fa_tag_leave(allocator), FA_OK);
    fa_backend_seal(allocator);
    EXPECT_EQ(fa_tag_enter(allocator, FA_TAG_UI), FA_OK) << "known to this thread";
    EXPECT_EQ(fa_tag_leave(allocator), FA_OK);
    const size_t count = fa_tag_count(allocator);
    for (int i = 0; fa_tag_count(allocator) < 16; i++)
        ASSERT_NE(fa_tag_intern(allocator, ("t" + std::to_string(i)).c_str()), FA_TAG_NONE);
    EXPECT_LT(count, 16u);
    EXPECT_EQ(fa_tag_intern(allocator, "one more"), FA_TAG_NONE);
    EXPECT_EQ(Taken(), FA_ERROR_SEALED);
    EXPECT_EQ(fa_tag_count(allocator), 16u);
}

// An event hook that uses tags while a tag's pool is being made.
TEST(TagMemory, HooksMayUseTheSameTag) {
    struct World {
        fa_allocator *allocator = nullptr;
        std::vector<void *> blocks;
        bool inside = false;
    } world;
    Source first, second;
    fa_alloc_config config = Plain();
    config.backends[0] = first.backend;
    config.backends[1] = second.backend;
    config.on_event_user = &world;
    config.on_event = [](void *user, const fa_event *) {
        auto *here = static_cast<World *>(user);
        if (here->allocator == nullptr || here->inside)
            return;
        here->inside = true;
        here->blocks.push_back(fa_pool_alloc(here->allocator, 64));
        EXPECT_EQ(fa_tag_enter(here->allocator, FA_TAG_AUDIO), FA_OK);
        here->blocks.push_back(fa_pool_alloc(here->allocator, 64));
        EXPECT_EQ(fa_tag_leave(here->allocator), FA_OK);
        here->inside = false;
    };
    Allocator allocator(config);
    world.allocator = allocator;
    first.Fail(1); // the second one serves, and each time that is reported
    for (fa_tag tag : {FA_TAG_UI, FA_TAG_AUDIO, FA_TAG_PHYSICS}) {
        EXPECT_EQ(fa_tag_enter(allocator, tag), FA_OK);
        world.blocks.push_back(fa_pool_alloc(allocator, 64));
    }
    ExpectValid(allocator);
    EXPECT_GT(world.blocks.size(), 3u);
    EXPECT_EQ(TagStats(allocator, FA_TAG_ROOT).pool_live_count, world.blocks.size() * kOne);
    for (void *block : world.blocks)
        fa_pool_free(allocator, block);
    world.allocator = nullptr;
    EXPECT_EQ(allocator.Destroy(), 0u);
}
