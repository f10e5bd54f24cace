// Mistakes of the past in tags, each with the program that showed it.
#include "fa/testing_tags.hpp"

#include <atomic>
#include <memory>

using namespace fa_testing;

// An event hook that enters a tag, and allocates in it, while the thread is about to enter it.
TEST(TagRegression, AHookThatEntersTheSameTagLosesItsFastPath) {
    struct World {
        fa_allocator *allocator = nullptr;
        fa_tag tag = FA_TAG_NONE;
        int events_left = 0;
        void *object = nullptr;
        fai_pool_view *view = nullptr;
    };
    size_t met = 0;
    for (int at = 1; at <= 4; at++) {
        World world;
        Source first, second;
        fa_alloc_config config = Plain();
        config.backends[0] = first.backend;
        config.backends[1] = second.backend;
        config.on_event_user = &world;
        config.on_event = [](void *user, const fa_event *) {
            auto *here = static_cast<World *>(user);
            if (here->allocator == nullptr || --here->events_left != 0)
                return;
            EXPECT_EQ(fa_tag_enter(here->allocator, here->tag), FA_OK);
            here->object = fa_pool_alloc(here->allocator, 64);
            here->view = fai_slot.view;
            EXPECT_EQ(fa_tag_leave(here->allocator), FA_OK);
        };
        Allocator allocator(config);
        for (int i = 0; fa_tag_count(allocator) < 16; i++)
            fa_tag_intern(allocator, ("t" + std::to_string(i)).c_str());
        world.tag = fa_tag_intern(allocator, "ui::below");
        EXPECT_EQ(fa_thread_attach(allocator), FA_OK);
        first.Fail(1); // the second one serves, and each time that is reported
        world.events_left = at;
        world.allocator = allocator;
        EXPECT_EQ(fa_tag_enter(allocator, world.tag), FA_OK);
        world.allocator = nullptr;
        if (world.object != nullptr) {
            EXPECT_EQ(fai_slot.view, world.view) << at;
            met++;
        }
        fa_pool_free(allocator, world.object);
        EXPECT_EQ(allocator.Destroy(), 0u);
    }
    EXPECT_GE(met, 2u);
}

TEST(TagRegression, ANewThreadReportsTheLastFrameOfADeadOne) {
    Tracked allocator;
    OnThread([&] {
        EXPECT_EQ(fa_tag_enter(allocator, FA_TAG_AUDIO), FA_OK);
        fa_frame *frame = fa_frame_begin(allocator);
        EXPECT_NE(fa_frame_alloc_in(frame, 5000), nullptr);
        EXPECT_EQ(fa_frame_end_in(frame), FA_OK);
        EXPECT_GE(TagStats(allocator, FA_TAG_AUDIO).frame_bytes_last, 5000u);
        EXPECT_EQ(fa_tag_leave(allocator), FA_OK);
    });
    OnThread([&] {
        EXPECT_EQ(fa_thread_attach(allocator), FA_OK);
        EXPECT_EQ(TagStats(allocator, FA_TAG_AUDIO).frame_bytes_last, 0u);
        EXPECT_EQ(TagStats(allocator, FA_TAG_ROOT).frame_bytes_last, 0u);
    });
}

TEST(TagRegression, APathMadeBelowAnotherTagIsTooLong) {
    Tracked allocator;
    const std::string name(50, 'a');
    const std::string above = name + "::" + name + "::" + name + "::" + name;
    EXPECT_EQ(fa_tag_enter(allocator, fa_tag_intern(allocator, above.c_str())), FA_OK);
    const size_t most = FA_TAG_PATH_BYTES - 1 - above.size() - 2;
    for (size_t more : {size_t{2}, size_t{1}}) {
        EXPECT_EQ(fa_tag_enter_name(allocator, std::string(most + more, 'x').c_str()),
                  FA_ERROR_INVALID);
        EXPECT_EQ(Path(allocator, fa_tag_current(allocator)), above);
    }
    EXPECT_EQ(fa_tag_enter_name(allocator, std::string(most, 'x').c_str()), FA_OK);
    const std::string path = Path(allocator, fa_tag_current(allocator));
    EXPECT_EQ(path.size(), FA_TAG_PATH_BYTES - 1u);
    EXPECT_EQ(fa_tag_find(allocator, path.c_str()), fa_tag_current(allocator));
}

// Two threads that make the last tag that is allowed.
TEST(TagRegression, ATagThatExistsIsRefusedForTheLimit) {
    const size_t rounds = Rounds(800);
    std::vector<std::unique_ptr<Allocator>> allocators;
    fa_alloc_config config = Plain();
    config.tag_count_max = 16;
    for (size_t i = 0; i < rounds; i++) {
        allocators.push_back(std::make_unique<Allocator>(config));
        for (int n = 0; fa_tag_count(*allocators[i]) < 15; n++)
            fa_tag_intern(*allocators[i], ("t" + std::to_string(n)).c_str());
    }
    std::atomic<size_t> arrived{0}, refused{0};
    auto make = [&] {
        for (size_t i = 0; i < rounds; i++) {
            arrived++;
            for (int spins = 0; arrived < 2 * (i + 1); spins++)
                if (spins > 1000)
                    std::this_thread::yield();
            refused += fa_tag_intern(*allocators[i], "last") == FA_TAG_NONE;
        }
    };
    std::thread other(make);
    make();
    other.join();
    EXPECT_EQ(refused, 0u);
}

TEST(TagRegression, TrimKeepsAnEmptySlabBesideAnother) {
    Tracked allocator;
    std::vector<void *> blocks(3 * 64);
    EXPECT_EQ(fa_pool_alloc_batch(allocator, 1024, blocks.size(), blocks.data()), FA_OK);
    fa_allocator_trim(allocator);
    const size_t slabs = Stats(allocator).pool_slab_count;
    const auto slab_of = [](const void *block) { return reinterpret_cast<uintptr_t>(block) >> 16; };
    void *last = blocks.back();
    for (void *&block : blocks)
        if (slab_of(block) == slab_of(blocks[0]) && block != blocks[0]) {
            fa_pool_free(allocator, block);
            block = nullptr;
        }
    fa_pool_free(allocator, blocks[0]);
    blocks[0] = nullptr;
    fa_pool_free(allocator,
                 last); // it goes back last: now a slab with objects stands before the empty one
    blocks.back() = nullptr;
    fa_allocator_trim(allocator);
    EXPECT_EQ(Stats(allocator).pool_slab_count, slabs - 1);
    for (void *block : blocks)
        fa_pool_free(allocator, block);
}

// A heap allocation looks up the tag that the thread is in, and no more than that.
TEST(TagRegression, AHeapAllocationSwitchesTheThreadToItsAllocator) {
    Tracked used, other;
    OnThread([&] { EXPECT_EQ(fa_tag_enter(other, FA_TAG_AUDIO), FA_OK); });
    EXPECT_EQ(fa_thread_attach(other), FA_OK);
    EXPECT_EQ(fa_thread_attach(used), FA_OK);
    fa_heap_free(other, fa_heap_alloc(other, 100));
    EXPECT_EQ(fai_slot.owner, used);
    EXPECT_EQ(fa_tag_enter(other, FA_TAG_UI), FA_OK);
    fa_pool_free(used, fa_pool_alloc(used, 100));
    EXPECT_EQ(fai_slot.owner, used);
    void *block = fa_heap_alloc(other, 100);
    EXPECT_EQ(fa_tag_current(other), FA_TAG_UI);
    EXPECT_EQ(fa_tag_current(used), FA_TAG_ROOT);
    EXPECT_EQ(fai_slot.owner, used);
    EXPECT_EQ(TagStats(other, FA_TAG_UI).heap_live_count, 1u);
    fa_heap_free(other, block);
    EXPECT_EQ(fa_thread_detach(used), FA_OK);
    EXPECT_EQ(fa_tag_current(other), FA_TAG_UI);
    EXPECT_EQ(fa_thread_attach(used), FA_OK);
    EXPECT_EQ(fa_tag_current(other), FA_TAG_UI);
    EXPECT_EQ(fa_tag_leave(other), FA_OK);
    EXPECT_EQ(fa_thread_attach(used), FA_OK);
    EXPECT_EQ(fa_tag_current(other), FA_TAG_ROOT);
}

// A thread that attaches takes over what the last one left, but opens a pool only when it is used.
TEST(TagRegression, AttachOpensThePoolsOfAllTagsThatADeadThreadUsed) {
    Tracked allocator;
    const auto use = [&](const fai_pool_view *former) {
        const fai_pool_view *view = nullptr;
        OnThread([&] {
            EXPECT_EQ(fa_tag_enter(allocator, FA_TAG_AUDIO), FA_OK);
            EXPECT_NE(fai_slot.view, former);
            void *object = fa_pool_alloc(allocator, 64);
            EXPECT_NE(object, nullptr);
            view = fai_slot.view;
            EXPECT_EQ(TagStats(allocator, FA_TAG_AUDIO).pool_live_count, kOne);
            fa_pool_free(allocator, object);
            EXPECT_EQ(fai_slot.view, view);
        });
        return view;
    };
    const fai_pool_view *view = use(nullptr);
    const uint64_t calls = Stats(allocator).backend_alloc_count;
    for (uint64_t i = 2; i < 5; i++) {
        EXPECT_EQ(use(view), view) << "the same memory";
        EXPECT_EQ(TagStats(allocator, FA_TAG_AUDIO).pool_alloc_count, i * kOne);
        EXPECT_EQ(TagStats(allocator, FA_TAG_AUDIO).pool_live_count, 0u);
    }
    OnThread([&] { EXPECT_EQ(fa_thread_attach(allocator), FA_OK); });
    EXPECT_EQ(Stats(allocator).backend_alloc_count, calls);
    allocator.Check();
}

// What tag.h says about sealing.
TEST(TagRegression, ATagsFirstPoolObjectInASealedAllocator) {
    Tracked allocator;
    for (fa_tag tag : {FA_TAG_UI, FA_TAG_AUDIO}) {
        EXPECT_EQ(fa_tag_enter(allocator, tag), FA_OK);
        if (tag == FA_TAG_UI)
            fa_pool_free(allocator, fa_pool_alloc(allocator, 32));
        EXPECT_EQ(fa_tag_leave(allocator), FA_OK);
    }
    fa_backend_seal(allocator);
    EXPECT_EQ(fa_tag_enter(allocator, FA_TAG_UI), FA_OK);
    for (size_t size : {32, 500, 2000}) {
        void *object = fa_pool_alloc(allocator, size);
        EXPECT_NE(object, nullptr) << size;
        fa_pool_free(allocator, object);
    }
    EXPECT_EQ(fa_tag_enter(allocator, FA_TAG_AUDIO), FA_OK);
    EXPECT_EQ(fa_pool_alloc(allocator, 32), nullptr);
    EXPECT_EQ(Taken(), FA_ERROR_SEALED);
    EXPECT_EQ(TagStats(allocator, FA_TAG_AUDIO).pool_bytes_ready, 0u);
}
