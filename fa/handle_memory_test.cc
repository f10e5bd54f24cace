// Handle tables and their allocator: tags, budgets, seals, limits, refused memory, reclaimers.
#include "fa/testing_budgets.hpp"
#include "fa/testing_handles.hpp"

using namespace fa_testing;

namespace {

class HandleMemory : public Handles {};

TEST_P(HandleMemory, BelongsToTheTagOfTheTable) {
    EXPECT_EQ(fa_tag_enter(allocator_, FA_TAG_ASSETS), FA_OK);
    fa_handles *assets = fa_handles_create(allocator_, nullptr);
    EXPECT_EQ(fa_tag_leave(allocator_), FA_OK);
    const size_t before = Used(allocator_, FA_INTENT_HEAP, FA_TAG_ASSETS);
    EXPECT_EQ(fa_tag_enter(allocator_, FA_TAG_UI), FA_OK);
    const fa_handle small = fa_handle_alloc(assets, 100), large = fa_handle_alloc(assets, 100000);
    EXPECT_EQ(Used(allocator_, FA_INTENT_HEAP, FA_TAG_UI), 0u);
    EXPECT_GE(Used(allocator_, FA_INTENT_HEAP, FA_TAG_ASSETS), before + 65536 + 100000);
    EXPECT_EQ(fa_tag_leave(allocator_), FA_OK);
    // What the table says that it holds is what it is charged for.
    EXPECT_EQ(HandleStats(assets).bytes_held, Used(allocator_, FA_INTENT_HEAP, FA_TAG_ASSETS));
    EXPECT_EQ(fa_handle_free(assets, small), FA_OK);
    EXPECT_EQ(fa_handle_free(assets, large), FA_OK);
    fa_handles_compact(assets, 0, 0);
    EXPECT_EQ(HandleStats(assets).bytes_held, Used(allocator_, FA_INTENT_HEAP, FA_TAG_ASSETS));
    EXPECT_EQ(fa_handles_destroy(assets), 0u);
    EXPECT_EQ(Used(allocator_, FA_INTENT_HEAP, FA_TAG_ASSETS), 0u);
}

// Serves slabs from where no 48 bits lead to; nobody may look at what lies there.
struct FarBackend {
    static constexpr uintptr_t kFar = uintptr_t{1} << (FAI_HANDLE_ADDRESS_BITS + 4);
    fa_backend near = fa_backend_system();
    fa_backend_vtable vtable = *near.vtable;
    bool is_far = false;
    size_t far_count = 0;
    fa_backend backend{&vtable, this};

    FarBackend() {
        vtable.alloc = [](void *context, size_t size, size_t align, fa_span_kind kind) -> void * {
            auto *self = static_cast<FarBackend *>(context);
            if (!self->is_far || kind != FA_SPAN_HEAP)
                return self->near.vtable->alloc(self->near.context, size, align, kind);
            self->far_count++;
            return reinterpret_cast<void *>(kFar);
        };
        vtable.free = [](void *context, void *ptr, size_t size, size_t align, fa_span_kind kind) {
            auto *self = static_cast<FarBackend *>(context);
            if (reinterpret_cast<uintptr_t>(ptr) != kFar)
                return self->near.vtable->free(self->near.context, ptr, size, align, kind);
            self->far_count--;
        };
        vtable.resize = nullptr;
        vtable.purge = nullptr;
        vtable.describe = [](void *context, fa_backend_info *info) {
            auto *self = static_cast<FarBackend *>(context);
            self->near.vtable->describe(self->near.context, info);
        };
    }
};

TEST(HandleMemoryFar, AddressesThatNoSlotCanHoldAreRefused) {
    FarBackend source;
    fa_alloc_config config = Config();
    config.backends[0] = source.backend;
    Allocator allocator(config);
    fa_handles *handles = fa_handles_create(allocator, nullptr);
    const fa_handle near = fa_handle_alloc(handles, 8000);
    EXPECT_FALSE(fa_handle_is_none(near));
    const size_t used = Used(allocator, kTotal);
    source.is_far = true;
    for (int i = 0; i < 6; i++)
        EXPECT_FALSE(fa_handle_is_none(fa_handle_alloc(handles, 8000))) << "the slab has room";
    fa_last_error_clear();
    EXPECT_TRUE(fa_handle_is_none(fa_handle_alloc(handles, 8000)));
    EXPECT_EQ(fa_last_error().status, FA_ERROR_NO_MEMORY);
    EXPECT_EQ(fa_last_error().diag, FA_DIAG_FA701);
    EXPECT_EQ(source.far_count, 0u);
    EXPECT_EQ(Used(allocator, kTotal), used);
    source.is_far = false;
    EXPECT_FALSE(fa_handle_is_none(fa_handle_alloc(handles, 8000)));
    EXPECT_EQ(fa_validate(allocator, nullptr), FA_OK);
}

TEST_P(HandleMemory, BudgetsAreKept) {
    const size_t used = Used(allocator_, kTotal);
    const fa_budget budget = Hard(used + 65536 * 4);
    EXPECT_EQ(fa_budget_set(allocator_, kTotal, &budget), FA_OK);
    std::vector<fa_handle> all;
    fa_handle handle;
    fa_last_error_clear();
    while (!fa_handle_is_none(handle = fa_handle_alloc(handles_, 300))) {
        all.push_back(handle);
        ASSERT_LE(Used(allocator_, kTotal), used + 65536 * 4);
    }
    EXPECT_EQ(fa_last_error().status, FA_ERROR_LIMIT);
    EXPECT_EQ(fa_last_error().diag, FA_DIAG_FA302);
    EXPECT_GT(all.size(), 500u);
    const fa_handles_stats full = HandleStats(handles_);
    EXPECT_TRUE(fa_handle_is_none(fa_handle_alloc(handles_, 300000)));
    EXPECT_EQ(HandleStats(handles_).bytes_held, full.bytes_held) << "nothing changed";
    Check();
    // Compaction makes room below the budget.
    for (size_t i = 0; i < all.size(); i++)
        if (i % 4 != 0) {
            EXPECT_EQ(fa_handle_free(handles_, all[i]), FA_OK);
        }
    EXPECT_TRUE(fa_handle_is_none(fa_handle_alloc(handles_, 65536)));
    CompactAll(handles_);
    EXPECT_FALSE(fa_handle_is_none(fa_handle_alloc(handles_, 65536)));
    EXPECT_EQ(fa_budget_set(allocator_, kTotal, nullptr), FA_OK);
}

TEST_P(HandleMemory, ASealedAllocatorServesWhatItHolds) {
    fa_handles_options options = {};
    options.slot_count = 2000;
    options.slab_count = 8;
    Open(&options);
    fa_handles_stats stats = HandleStats(handles_);
    EXPECT_EQ(stats.slab_count, 8u);
    EXPECT_EQ(stats.slot_count, 2048u);
    fa_backend_seal(allocator_);
    const uint64_t calls = source_.Calls();
    std::vector<fa_handle> all;
    for (int turn = 0; turn < 3; turn++) {
        fa_handle handle;
        while (all.size() < 1500 && !fa_handle_is_none(handle = fa_handle_alloc(handles_, 250)))
            all.push_back(handle);
        EXPECT_EQ(all.size(), 1500u);
        for (size_t i = 0; i < all.size(); i++)
            if (i % 3 != 0) {
                EXPECT_EQ(fa_handle_free(handles_, all[i]), FA_OK);
            }
        const fa_handles_step step = fa_handles_compact(handles_, 0, 0);
        EXPECT_TRUE(step.done);
        EXPECT_EQ(step.slab_count, 0u);
        EXPECT_GE(HandleStats(handles_).slab_count, 8u);
        Check();
        for (size_t i = 0; i < all.size(); i += 3)
            EXPECT_EQ(fa_handle_free(handles_, all[i]), FA_OK);
        all.clear();
    }
    // More slots than there are: refused, once the heap has nothing left either.
    fa_handle handle;
    fa_last_error_clear();
    while (!fa_handle_is_none(handle = fa_handle_alloc(handles_, 2000)))
        all.push_back(handle);
    EXPECT_EQ(fa_last_error().status, FA_ERROR_SEALED);
    EXPECT_GE(all.size(), 8u * 28);
    EXPECT_EQ(source_.Calls(), calls);
    Check();
    for (fa_handle each : all)
        EXPECT_EQ(fa_handle_free(handles_, each), FA_OK);
    EXPECT_EQ(fa_handles_destroy(handles_), 0u);
    EXPECT_EQ(source_.Calls(), calls);
    handles_ = fa_handles_create(allocator_, &options); // out of what the other one left
    EXPECT_NE(handles_, nullptr);
    EXPECT_EQ(source_.Calls(), calls);
}

TEST_P(HandleMemory, SlabsTakenAtTheStartStay) {
    fa_handles_options options = {};
    options.slab_count = 5;
    Open(&options);
    std::vector<fa_handle> all;
    for (int i = 0; i < 2000; i++)
        all.push_back(fa_handle_alloc(handles_, 400));
    EXPECT_GT(HandleStats(handles_).slab_count, 10u);
    for (fa_handle handle : all)
        EXPECT_EQ(fa_handle_free(handles_, handle), FA_OK);
    fa_handles_compact(handles_, 0, 0);
    EXPECT_EQ(HandleStats(handles_).slab_count, 5u);
    EXPECT_EQ(HandleStats(handles_).slab_empty_count, 5u);
}

// One empty slab is kept, as long as nobody else lacks memory.
TEST(HandleMemoryRefused, EmptySlabsGoFirst) {
    fa_alloc_config config = Plain();
    config.bytes_max = 24 << 20;
    Allocator allocator(config);
    fa_handles_options options = {};
    options.slab_bytes = 4 << 20;
    options.slab_count = 1;
    fa_handles *handles = fa_handles_create(allocator, &options);
    std::vector<fa_handle> all;
    while (HandleStats(handles).slab_count < 4)
        all.push_back(fa_handle_alloc(handles, 8000));
    for (fa_handle handle : all)
        EXPECT_EQ(fa_handle_free(handles, handle), FA_OK);
    EXPECT_EQ(HandleStats(handles).slab_empty_count, 1u);
    const fa_handle one = fa_handle_alloc(handles, 8000);
    while (HandleStats(handles).slab_count < 2)
        all.push_back(fa_handle_alloc(handles, 8000));
    for (fa_handle handle : all)
        (void)fa_handle_free(handles, handle);
    EXPECT_EQ(HandleStats(handles).slab_empty_count, 1u);
    void *block = fa_heap_alloc(allocator, 14 << 20);
    EXPECT_NE(block, nullptr);
    EXPECT_EQ(HandleStats(handles).slab_empty_count, 0u);
    EXPECT_EQ(HandleStats(handles).slab_count, 1u);
    EXPECT_NE(fa_handle_get(handles, one), nullptr);
    fa_heap_free(allocator, block);
    // What was asked for from the start stays.
    EXPECT_EQ(fa_handle_free(handles, one), FA_OK);
    EXPECT_EQ(fa_heap_alloc(allocator, 22 << 20), nullptr);
    EXPECT_EQ(HandleStats(handles).slab_count, 1u);
    EXPECT_EQ(fa_validate(allocator, nullptr), FA_OK);
}

TEST_P(HandleMemory, AReclaimerMayCompactTheTable) {
    config_.bytes_max = source_.BytesLive() + (size_t{6} << 20);
    config_.heap_region_bytes = 256 << 10;
    Open();
    std::vector<fa_handle> all;
    fa_handle handle;
    while (!fa_handle_is_none(handle = fa_handle_alloc(handles_, 300)))
        all.push_back(handle);
    EXPECT_EQ(fa_last_error().diag, FA_DIAG_FA301);
    for (size_t i = 0; i < all.size(); i++)
        if (i % 3 != 0) {
            EXPECT_EQ(fa_handle_free(handles_, all[i]), FA_OK);
        }
    const auto compact = [](void *user, fa_allocator *, size_t) {
        return fa_handles_compact(static_cast<fa_handles *>(user), 0, 0).bytes_returned;
    };
    EXPECT_EQ(fa_reclaimer_add(allocator_, 0, compact, handles_), FA_OK);
    EXPECT_FALSE(fa_handle_is_none(fa_handle_alloc(handles_, 1000000)));
    std::vector<fa_handle> more;
    for (int i = 0; i < 50; i++) {
        more.push_back(fa_handle_alloc(handles_, 5000));
        EXPECT_FALSE(fa_handle_is_none(more.back()));
    }
    EXPECT_GT(events_.Count(FA_DIAG_FA705), 0u);
    EXPECT_EQ(fa_reclaimer_remove(allocator_, compact, handles_), FA_OK);
}

// Every call of the backend fails once, or from then on: nothing is lost and all stays in order.
TEST_P(HandleMemory, RefusedMemoryChangesNothing) {
    for (bool lasting : {false, true}) {
        for (uint64_t at = 1, met = 1; met >= at; at++) {
            Source source;
            fa_alloc_config config = config_;
            config.on_event = nullptr;
            config.backends[0] = source.backend;
            config.heap_region_bytes = 0; // each block asks the backend
            config.heap_cache_bytes = 0;
            source.Fail(at, lasting);
            fa_allocator *allocator = nullptr;
            if (fa_allocator_create(&config, &allocator) == FA_OK) {
                fa_handles_options options = {};
                options.slot_count = 1500;
                options.slab_count = 2;
                fa_handles *handles = fa_handles_create(allocator, &options);
                EXPECT_TRUE(handles != nullptr || fa_last_error().status == FA_ERROR_NO_MEMORY);
                std::vector<std::pair<fa_handle, size_t>> all;
                for (size_t i = 0; i < 3000 && handles != nullptr; i++) {
                    const size_t size = i % 100 == 0 ? 20000 : 10 + i % 7 * 300;
                    const fa_handles_stats before = HandleStats(handles);
                    const fa_handle handle = fa_handle_alloc(handles, size);
                    if (fa_handle_is_none(handle)) {
                        EXPECT_EQ(fa_last_error().status, FA_ERROR_NO_MEMORY);
                        EXPECT_EQ(HandleStats(handles).bytes_held, before.bytes_held);
                        if (lasting && all.size() > 10)
                            break;
                        continue;
                    }
                    Paint(fa_handle_get(handles, handle), i, size);
                    all.push_back({handle, i});
                }
                ExpectValid(allocator);
                for (size_t k = 0; k < all.size(); k++)
                    if (k % 2 == 0) {
                        EXPECT_EQ(fa_handle_free(handles, all[k].first), FA_OK);
                    }
                fa_handles_compact(handles, 0, 0);
                ExpectValid(allocator);
                ExpectIdentities(allocator);
                for (size_t k = 1; k < all.size(); k += 2) {
                    const size_t i = all[k].second;
                    EXPECT_TRUE(IsPainted(fa_handle_get(handles, all[k].first), i,
                                          i % 100 == 0 ? 20000 : 10 + i % 7 * 300));
                }
                EXPECT_EQ(fa_handles_destroy(handles), all.size() / 2);
                EXPECT_EQ(fa_allocator_destroy(allocator), 0u);
            }
            EXPECT_EQ(source.BytesLive(), 0u);
            met = fa_failing_calls(&source.failing, FA_FAILING_ALLOC);
        }
    }
}

EACH_CHECK(HandleMemory);

TEST(HandleSites, AFreeIsBlamedOnItsPlace) {
    if (!kDebug)
        GTEST_SKIP() << "places of handle calls are recorded in debug builds";
    fa_alloc_config config = Plain();
    Events events;
    events.Watch(&config);
    Allocator allocator(config);
    fa_handles *handles = fa_handles_create(allocator, nullptr);
    const fa_handle handle = fa_handle_alloc(handles, 10);
    fa_handle_free(handles, handle);
    const int line = __LINE__ + 1;
    fa_handle_free(handles, handle);
    EXPECT_EQ(events.Last(FA_DIAG_FA620).site.line, line);
}

} // namespace
