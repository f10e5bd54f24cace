// Whole scenarios of use, each run with the backend failing at its first call, its second, ...,
// once and from then on, until one run meets no failure: nothing crashes, leaks or loses its
// contents.
#include "fa/testing.hpp"

#include <string>
#include <thread>

using namespace fa_testing;

namespace {

struct Block {
    void *address;
    size_t size;
    uint64_t mark;
};

// One run of a scenario.
class World {
  public:
    Source source;
    fa_alloc_config config = Plain(fa_alloc_config_minimal());

    World(uint64_t at, bool lasting) : at_(at) { source.Fail(at, lasting); }

    bool MetAFailure() const {
        return fa_failing_calls(&source.failing, FA_FAILING_ALLOC) >= at_ ||
               fa_failing_calls(&source.failing, FA_FAILING_RESIZE) >= at_;
    }

    fa_allocator *Create() {
        if (config.backends[0].vtable == nullptr)
            config.backends[0] = source.backend;
        fa_allocator *allocator = nullptr;
        const fa_status status = fa_allocator_create(&config, &allocator);
        EXPECT_EQ(status == FA_OK, allocator != nullptr);
        EXPECT_TRUE(status == FA_OK || status == FA_ERROR_NO_MEMORY) << fa_status_name(status);
        return allocator;
    }

    // The result of a call: paints what was had, and asks why where nothing was.
    void *Got(void *block, size_t size) {
        if (block == nullptr) {
            Refused(fa_last_error().status);
            return nullptr;
        }
        Paint(block, ++mark_, size);
        return block;
    }
    static void Refused(fa_status status) {
        EXPECT_TRUE(status == FA_ERROR_NO_MEMORY || status == FA_ERROR_LIMIT ||
                    status == FA_ERROR_SEALED || status == FA_ERROR_NO_FRAME)
            << fa_status_name(status);
    }
    void Keep(void *block, size_t size) {
        if (Got(block, size) != nullptr)
            blocks_.push_back(Block{block, size, mark_});
    }
    void *Last() const { return blocks_.empty() ? nullptr : blocks_.back().address; }
    // A block that was resized, or was not.
    void Resized(void *block, size_t size) {
        Block &last = blocks_.back();
        if (block == nullptr)
            return Refused(fa_last_error().status);
        EXPECT_TRUE(IsPainted(block, last.mark, size < last.size ? size : last.size));
        last = Block{block, size, ++mark_};
        Paint(block, mark_, size);
    }
    size_t LastSize() const { return blocks_.back().size; }

    void Check() {
        for (const Block &block : blocks_)
            EXPECT_TRUE(IsPainted(block.address, block.mark, block.size));
    }
    // The blocks from number `first` on are about to die.
    void Forget(size_t first = 0) {
        Check();
        blocks_.resize(first);
    }
    size_t Count() const { return blocks_.size(); }
    void FreeAll(fa_allocator *allocator) {
        Check();
        for (const Block &block : blocks_)
            fa_free(allocator, block.address);
        blocks_.clear();
    }
    void Destroy(fa_allocator *allocator, size_t alive = 0) {
        ExpectValid(allocator);
        ExpectIdentities(allocator);
        EXPECT_EQ(fa_allocator_destroy(allocator), alive);
    }

  private:
    uint64_t at_;
    uint64_t mark_ = 0;
    std::vector<Block> blocks_;
};

void Frame(World *world, fa_allocator *allocator, size_t count, size_t size) {
    if (fa_frame_begin(allocator) == nullptr)
        return World::Refused(fa_last_error().status);
    const size_t first = world->Count();
    for (size_t i = 0; i < count; i++)
        world->Keep(fa_frame_alloc(allocator, size), size);
    ExpectValid(allocator);
    world->Forget(first);
    EXPECT_EQ(fa_frame_end(allocator), FA_OK);
}

#define CREATE(world)                                                                              \
    fa_allocator *allocator = (world)->Create();                                                   \
    if (allocator == nullptr)                                                                      \
    return

void CreateAndDestroy(World *world) {
    CREATE(world);
    world->Destroy(allocator);
}

void FramesThatGrow(World *world) {
    CREATE(world);
    for (size_t i = 1; i < 8; i++)
        Frame(world, allocator, i * 10, 1000);
    world->Destroy(allocator);
}

void FramesInFlight(World *world) {
    world->config.frames_in_flight = 3;
    CREATE(world);
    for (size_t i = 1; i < 12; i++)
        Frame(world, allocator, i * 7 % 30, 900);
    world->Destroy(allocator);
}

void CapAndSpill(World *world) {
    world->config.frame_bytes_max = 16384;
    world->config.frame_full = FA_FRAME_FULL_SPILL;
    CREATE(world);
    for (size_t i = 0; i < 3; i++)
        Frame(world, allocator, 25, 1000);
    world->Destroy(allocator);
}

void AlignedAndLarge(World *world) {
    CREATE(world);
    for (int turn = 0; turn < 2; turn++) {
        if (fa_frame_begin(allocator) == nullptr)
            continue;
        for (size_t align = 16; align <= 65536; align *= 8) {
            world->Keep(fa_frame_alloc_aligned(allocator, 100, align), 100);
            world->Keep(fa_frame_alloc(allocator, align * 3), align * 3);
            world->Keep(fa_frame_alloc_zeroed(allocator, 100, 9), 900);
        }
        ExpectValid(allocator);
        world->Forget();
        fa_frame_end(allocator);
    }
    world->Destroy(allocator);
}

void GrowAndCopy(World *world) {
    CREATE(world);
    if (fa_frame_begin(allocator) != nullptr) {
        world->Keep(fa_frame_alloc(allocator, 10), 10);
        for (size_t size = 100; size < 100000 && world->Last() != nullptr; size *= 3) {
            world->Resized(fa_frame_grow(allocator, world->Last(), world->LastSize(), size), size);
            char *text = fa_frame_copy_string(allocator, "text");
            EXPECT_TRUE(text == nullptr || std::string(text) == "text");
        }
        world->Forget();
        fa_frame_end(allocator);
    }
    world->Destroy(allocator);
}

void PoolSmall(World *world) {
    CREATE(world);
    for (int turn = 0; turn < 3; turn++) {
        for (int i = 0; i < 500; i++)
            world->Keep(fa_pool_alloc(allocator, 48), 48);
        ExpectValid(allocator);
        world->FreeAll(allocator);
    }
    world->Destroy(allocator);
}

void PoolManyClasses(World *world) {
    CREATE(world);
    for (size_t size = 8; size <= 4096; size += 40)
        for (int i = 0; i < 5; i++)
            world->Keep(fa_pool_alloc(allocator, size), size);
    world->FreeAll(allocator);
    fa_allocator_trim(allocator);
    world->Destroy(allocator);
}

void PoolBatch(World *world) {
    CREATE(world);
    void *blocks[300];
    for (size_t size : {64u, 3000u, 9000u}) {
        const fa_status status = fa_pool_alloc_batch(allocator, size, 300, blocks);
        if (status != FA_OK) {
            World::Refused(status);
            EXPECT_EQ(Stats(allocator).heap_live_count, 0u) << "all or none";
            EXPECT_EQ(Stats(allocator).pool_live_count, 0u);
            continue;
        }
        for (void *block : blocks)
            world->Keep(block, size);
        world->Forget();
        fa_pool_free_batch(allocator, blocks, 300);
    }
    world->Destroy(allocator);
}

void PoolFallThrough(World *world) {
    CREATE(world);
    for (size_t size = 4000; size < 200000; size = size * 3 / 2) {
        world->Keep(fa_pool_alloc(allocator, size), size);
        world->Keep(fa_pool_alloc_aligned(allocator, size, 16384), size);
        world->Keep(fa_pool_alloc_zeroed(allocator, 3, size), 3 * size);
    }
    world->FreeAll(allocator);
    world->Destroy(allocator);
}

void HeapAndRealloc(World *world) {
    world->config.heap_cache_bytes = 1 << 20;
    CREATE(world);
    for (int turn = 0; turn < 3; turn++) {
        world->Keep(fa_heap_alloc(allocator, 1000), 1000);
        for (size_t size : {2000u, 70000u, 300000u, 100u, 5000u, 1000000u})
            if (world->Last() != nullptr)
                world->Resized(fa_heap_realloc(allocator, world->Last(), size), size);
        world->Keep(fa_heap_alloc_zeroed(allocator, 100, 1000), 100000);
        world->Keep(fa_heap_alloc_aligned(allocator, 1000, 8192), 1000);
        ExpectValid(allocator);
        world->FreeAll(allocator);
    }
    world->Destroy(allocator);
}

void HeapVisit(World *world) {
    CREATE(world);
    for (size_t i = 0; i < 200; i++) // more than the first table holds
        world->Keep(fa_heap_alloc(allocator, 3000 + i), 3000 + i);
    const uint64_t live = Stats(allocator).heap_live_count;
    const size_t count = fa_heap_visit(
        allocator, [](void *, const fa_heap_block *) {}, nullptr);
    EXPECT_TRUE(count == live || count == SIZE_MAX);
    world->FreeAll(allocator);
    world->Destroy(allocator);
}

void Leaks(World *world) {
    CREATE(world);
    for (int i = 0; i < 20; i++)
        world->Keep(fa_heap_alloc(allocator, 5000), 5000);
    world->Forget();
    world->Destroy(allocator, Stats(allocator).heap_live_count);
}

void ThreadsThatComeAndGo(World *world) {
    CREATE(world);
    for (int turn = 0; turn < 4; turn++)
        std::thread([&] {
            const fa_status status = fa_thread_attach(allocator);
            if (status != FA_OK)
                World::Refused(status);
            Frame(world, allocator, 10, 1000);
            for (int i = 0; i < 100; i++)
                world->Keep(fa_pool_alloc(allocator, 100), 100);
            if (status == FA_OK && turn % 2) {
                EXPECT_EQ(fa_thread_detach(allocator), FA_OK);
            }
        }).join();
    EXPECT_EQ(fa_thread_count(allocator), 0u);
    world->FreeAll(allocator);
    world->Destroy(allocator);
}

void TwoAllocators(World *world) {
    CREATE(world);
    fa_allocator *other = world->Create();
    for (int turn = 0; turn < 2; turn++) {
        Frame(world, allocator, 20, 1000);
        if (other != nullptr)
            Frame(world, other, 20, 1000);
    }
    world->Destroy(allocator);
    if (other != nullptr) {
        world->Keep(fa_pool_alloc(other, 100), 100);
        world->FreeAll(other);
        world->Destroy(other);
    }
}

void Sealed(World *world) {
    CREATE(world);
    Frame(world, allocator, 10, 1000);
    world->Keep(fa_pool_alloc(allocator, 100), 100);
    world->Keep(fa_heap_alloc(allocator, 10000), 10000);
    fa_backend_seal(allocator);
    world->FreeAll(allocator);
    Frame(world, allocator, 30, 1000);
    world->Keep(fa_pool_alloc(allocator, 200), 200);
    world->Keep(fa_heap_alloc(allocator, 9000), 9000);
    world->FreeAll(allocator);
    world->Destroy(allocator);
}

void ChainWithFallback(World *world) {
    Source second;
    world->config.backends[0] = world->source.backend;
    world->config.backends[1] = second.backend;
    fa_allocator *allocator = world->Create();
    ASSERT_NE(allocator, nullptr) << "the second backend serves";
    Frame(world, allocator, 30, 1000);
    for (int i = 0; i < 100; i++) {
        world->Keep(fa_pool_alloc(allocator, 200), 200);
        world->Keep(fa_heap_alloc(allocator, 20000), 20000);
        EXPECT_NE(world->Last(), nullptr);
    }
    world->FreeAll(allocator);
    EXPECT_EQ(Stats(allocator).backend_refused_count, 0u);
    world->Destroy(allocator);
    EXPECT_EQ(second.BytesLive(), 0u);
}

void QuietFramesAndTrim(World *world) {
    world->config.frame_trim_after = 2;
    world->config.pool_trim_after = 2;
    CREATE(world);
    Frame(world, allocator, 100, 1000);
    for (int i = 0; i < 2000; i++)
        world->Keep(fa_pool_alloc(allocator, 400), 400);
    world->FreeAll(allocator);
    for (int i = 0; i < 12; i++)
        Frame(world, allocator, 2, 100);
    fa_allocator_trim(allocator);
    Frame(world, allocator, 100, 1000);
    world->Destroy(allocator);
}

void ChecksOfEveryKind(World *world) {
    world->config.checks = FA_CHECK_ALL;
    world->config.frames_in_flight = 2;
    CREATE(world);
    for (int turn = 0; turn < 3; turn++) {
        Frame(world, allocator, 20, 1000);
        for (int i = 0; i < 100; i++)
            world->Keep(fa_pool_alloc(allocator, 300), 300);
        world->Keep(fa_heap_alloc(allocator, 30000), 30000);
        if (world->Last() != nullptr && world->LastSize() == 30000)
            world->Resized(fa_heap_realloc(allocator, world->Last(), 90000), 90000);
        world->FreeAll(allocator);
    }
    world->Destroy(allocator);
}

void StatsAndSuggestion(World *world) {
    CREATE(world);
    Frame(world, allocator, 100, 1000);
    const fa_stats stats = Stats(allocator);
    char text[4096];
    EXPECT_LT(fa_stats_format(&stats, text, sizeof text), sizeof text);
    fa_alloc_config next;
    EXPECT_EQ(fa_stats_suggest_config(allocator, &next), FA_OK);
    EXPECT_EQ(fa_alloc_config_validate(&next, nullptr, 0), FA_OK);
    world->Destroy(allocator);
}

// Marks that are rewound to, clean-ups and phases, in frames that grow.
void InsideOfFrames(World *world) {
    CREATE(world);
    for (int turn = 0; turn < 2; turn++) {
        fa_frame *frame = fa_frame_begin(allocator);
        if (frame == nullptr) {
            World::Refused(fa_last_error().status);
            continue;
        }
        size_t registered = 0, cleaned = 0;
        std::pair<size_t *, size_t *> counts(&registered, &cleaned);
        world->Keep(fa_frame_alloc_in(frame, 100), 100);
        const fa_mark outer = fa_frame_mark_in(frame);
        std::vector<fa_mark> marks;
        for (size_t i = 0; i < 300; i++) { // more than are known without memory
            const fa_status status = fa_phase_begin_in(frame, "phase");
            if (status != FA_OK)
                World::Refused(status);
            const size_t bytes = fa_frame_bytes_in(frame), count = world->Count();
            marks.push_back(fa_frame_mark_in(frame));
            const fa_mark inner = fa_frame_mark_in(frame);
            for (size_t size = 50; size < 200000 && i % 64 == 0; size *= 4)
                world->Keep(fa_frame_alloc_in(frame, size), size);
            registered += fa_frame_defer_in(
                              frame,
                              [](void *user) {
                                  ++*static_cast<std::pair<size_t *, size_t *> *>(user)->second;
                              },
                              &counts) == FA_OK;
            world->Forget(count);
            EXPECT_EQ(fa_frame_rewind_in(frame, marks.back()), FA_OK) << "the newest but one";
            world->Check();
            EXPECT_EQ(cleaned, registered);
            EXPECT_EQ(fa_frame_bytes_in(frame), bytes);
            EXPECT_EQ(fa_frame_rewind_in(frame, inner), FA_ERROR_FOREIGN);
            EXPECT_EQ(fa_phase_end_in(frame), FA_OK);
        }
        ExpectValid(allocator);
        EXPECT_EQ(fa_phase_count(allocator) + fa_phase_lost_count(allocator), 300u);
        EXPECT_EQ(fa_frame_rewind_in(frame, outer), FA_OK);
        world->Check();
        world->Forget();
        EXPECT_EQ(fa_frame_end_in(frame), FA_OK);
    }
    world->Destroy(allocator);
}

struct Scenario {
    const char *name;
    void (*run)(World *);
};

const Scenario kScenarios[] = {
    {"CreateAndDestroy", CreateAndDestroy},
    {"FramesThatGrow", FramesThatGrow},
    {"FramesInFlight", FramesInFlight},
    {"CapAndSpill", CapAndSpill},
    {"AlignedAndLarge", AlignedAndLarge},
    {"GrowAndCopy", GrowAndCopy},
    {"InsideOfFrames", InsideOfFrames},
    {"PoolSmall", PoolSmall},
    {"PoolManyClasses", PoolManyClasses},
    {"PoolBatch", PoolBatch},
    {"PoolFallThrough", PoolFallThrough},
    {"HeapAndRealloc", HeapAndRealloc},
    {"HeapVisit", HeapVisit},
    {"Leaks", Leaks},
    {"ThreadsThatComeAndGo", ThreadsThatComeAndGo},
    {"TwoAllocators", TwoAllocators},
    {"Sealed", Sealed},
    {"ChainWithFallback", ChainWithFallback},
    {"QuietFramesAndTrim", QuietFramesAndTrim},
    {"ChecksOfEveryKind", ChecksOfEveryKind},
    {"StatsAndSuggestion", StatsAndSuggestion},
};

using Parameters = std::tuple<Scenario, size_t, bool>; // region bytes, lasting
class Fault : public testing::TestWithParam<Parameters> {};

std::string Name(const testing::TestParamInfo<Parameters> &test) {
    return std::string(std::get<0>(test.param).name) +
           (std::get<1>(test.param) ? "Regions" : "Spans") +
           (std::get<2>(test.param) ? "Lasting" : "Once");
}

} // namespace

TEST_P(Fault, AtEveryBackendCall) {
    const auto &[scenario, region_bytes, lasting] = GetParam();
    uint64_t at = 1;
    for (bool failed = true; failed; at++) {
        SCOPED_TRACE(testing::Message() << scenario.name << ", fails at call " << at
                                        << (lasting ? " and from then on" : " only"));
        World world(at, lasting);
        world.config.heap_region_bytes = region_bytes;
        scenario.run(&world);
        EXPECT_EQ(world.source.BytesLive(), 0u);
        failed = world.MetAFailure();
        ASSERT_LT(at, 2000u);
        if (HasFailure())
            return;
    }
    EXPECT_GT(at, 2u) << "no call of this scenario could fail";
}

INSTANTIATE_TEST_SUITE_P(All, Fault,
                         testing::Combine(testing::ValuesIn(kScenarios),
                                          testing::Values(0u, 256u << 10), testing::Bool()),
                         Name);
