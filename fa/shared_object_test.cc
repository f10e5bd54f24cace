// Shared objects on one thread: counts, destructors, weak references, misuse.
#include "fa/testing_threads.hpp"

#include <vector>

using namespace fa_testing;

namespace {

struct Counted {
    static int destroyed;
    static void Destroy(void *object) {
        EXPECT_EQ(static_cast<Counted *>(object)->value, 42);
        destroyed++;
    }
    int value;
};
int Counted::destroyed;

class SharedObjectTest : public testing::TestWithParam<uint32_t> {
  protected:
    Events events;
    fa_alloc_config config = Config(GetParam());
    SharedObjectTest() {
        Counted::destroyed = 0;
        fa_last_error_clear();
        events.Watch(&config);
    }
    Counted *Make(fa_allocator *allocator) {
        Counted *object = fa_shared_new(allocator, Counted, Counted::Destroy);
        EXPECT_NE(object, nullptr);
        object->value = 42;
        return object;
    }
};

INSTANTIATE_TEST_SUITE_P(Checks, SharedObjectTest, testing::Values(0u, uint32_t{FA_CHECK_ALL}));

TEST_P(SharedObjectTest, DestroyedOnceByTheLastRelease) {
    Tracked tracked(config);
    Counted *object = Make(tracked);
    EXPECT_EQ(fa_shared_count(tracked, object), 1u);
    for (size_t i = 2; i <= 10; i++) {
        EXPECT_EQ(fa_shared_hold(tracked, object), FA_OK);
        EXPECT_EQ(fa_shared_count(tracked, object), i);
    }
    for (int i = 0; i < 9; i++)
        EXPECT_EQ(fa_shared_release(tracked, object), FA_OK);
    EXPECT_EQ(Counted::destroyed, 0);
    EXPECT_EQ(tracked.Live(), kCounted ? 1u : 0u);
    EXPECT_EQ(fa_shared_release(tracked, object), FA_OK);
    EXPECT_EQ(Counted::destroyed, 1);
    EXPECT_EQ(tracked.Live(), 0u);
    EXPECT_EQ(fa_shared_release(tracked, nullptr), FA_OK);
    void *plain = fa_shared_alloc(tracked, 10, 16, nullptr);
    EXPECT_EQ(fa_shared_release(tracked, plain), FA_OK);
    tracked.Check();
}

TEST_P(SharedObjectTest, SizesAndAlignments) {
    Tracked tracked(config);
    std::vector<std::pair<void *, size_t>> all;
    for (size_t align = 1; align <= FA_ALIGN_MAX; align *= 4)
        for (size_t size : {size_t{1}, size_t{33}, size_t{4000}, size_t{100000}}) {
            void *object = fa_shared_alloc(tracked, size, align, nullptr);
            ASSERT_NE(object, nullptr);
            EXPECT_TRUE(IsAligned(object, align < 16 ? 16 : align)) << align;
            Paint(object, size ^ align, size);
            all.emplace_back(object, size);
        }
    size_t i = 0;
    for (size_t align = 1; align <= FA_ALIGN_MAX; align *= 4)
        for (int n = 0; n < 4; n++, i++) {
            EXPECT_TRUE(IsPainted(all[i].first, all[i].second ^ align, all[i].second));
            EXPECT_EQ(fa_shared_release(tracked, all[i].first), FA_OK);
        }
    EXPECT_EQ(tracked.Live(), 0u);
    tracked.Check();
}

TEST_P(SharedObjectTest, WeakReferencesSeeTheEnd) {
    Tracked tracked(config);
    Counted *object = Make(tracked);
    fa_weak weak = fa_weak_make(tracked, object);
    EXPECT_EQ(fa_shared_weak_count(tracked, object), 1u);
    EXPECT_EQ(fa_weak_hold(tracked, weak), FA_OK);
    EXPECT_EQ(fa_shared_weak_count(tracked, object), 2u);
    EXPECT_EQ(fa_shared_count(tracked, object), 1u);
    EXPECT_EQ(fa_weak_lock_as(tracked, weak, Counted), object);
    EXPECT_EQ(fa_shared_count(tracked, object), 2u);
    EXPECT_EQ(fa_shared_release(tracked, object), FA_OK);
    EXPECT_EQ(Counted::destroyed, 0);
    EXPECT_EQ(fa_shared_release(tracked, object), FA_OK);
    EXPECT_EQ(Counted::destroyed, 1);
    EXPECT_EQ(tracked.Live(), kCounted ? 1u : 0u) << "the memory waits for the weak references";
    fa_last_error_clear();
    EXPECT_EQ(fa_weak_lock(tracked, weak), nullptr);
    EXPECT_EQ(fa_last_error().status, FA_OK);
    EXPECT_EQ(fa_weak_hold(tracked, weak), FA_OK) << "also of one that is dead";
    for (int i = 0; i < 3; i++)
        EXPECT_EQ(fa_weak_release(tracked, weak), FA_OK);
    EXPECT_EQ(tracked.Live(), 0u);
    EXPECT_EQ(fa_weak_lock(tracked, fa_weak{}), nullptr);
    EXPECT_EQ(fa_weak_release(tracked, fa_weak{}), FA_OK);
    // The weak one may also go first.
    object = Make(tracked);
    weak = fa_weak_make(tracked, object);
    EXPECT_EQ(fa_weak_release(tracked, weak), FA_OK);
    EXPECT_EQ(fa_shared_release(tracked, object), FA_OK);
    EXPECT_EQ(Counted::destroyed, 2);
    EXPECT_EQ(tracked.Live(), 0u);
    EXPECT_EQ(events.all.size(), 0u);
}

struct Node {
    fa_allocator *allocator;
    Node *next;
    fa_weak self;
    static void Destroy(void *object) {
        Node *node = static_cast<Node *>(object);
        EXPECT_EQ(fa_weak_lock(node->allocator, node->self), nullptr) << "it can't come back";
        EXPECT_EQ(fa_weak_release(node->allocator, node->self), FA_OK);
        EXPECT_EQ(fa_shared_release(node->allocator, node->next), FA_OK);
        fa_pool_free(node->allocator, fa_pool_alloc(node->allocator, 64));
    }
};

TEST_P(SharedObjectTest, DestructorsMayReleaseOthers) {
    Tracked tracked(config);
    Node *first = nullptr;
    for (int i = 0; i < 100; i++) {
        Node *node = fa_shared_new(tracked, Node, Node::Destroy);
        *node = Node{tracked, first, fa_weak_make(tracked, node)};
        first = node;
    }
    EXPECT_EQ(fa_shared_release(tracked, first), FA_OK);
    EXPECT_EQ(tracked.Live(), 0u);
    EXPECT_EQ(events.all.size(), 0u);
}

// Refused as long as something remembers the object: here a weak reference.
TEST_P(SharedObjectTest, MisuseIsRefusedWhileAnythingIsLeft) {
    Tracked tracked(config);
    Counted *object = Make(tracked);
    fa_weak weak = fa_weak_make(tracked, object);
    EXPECT_EQ(fa_shared_release(tracked, object), FA_OK);
    EXPECT_EQ(fa_shared_release(tracked, object), FA_ERROR_FOREIGN);
    EXPECT_EQ(fa_shared_hold(tracked, object), FA_ERROR_FOREIGN);
    EXPECT_EQ(fa_weak_make(tracked, object).object, nullptr);
    EXPECT_EQ(fa_shared_count(tracked, object), 0u);
    EXPECT_EQ(events.Count(FA_DIAG_FA650), 3u);
    EXPECT_EQ(events.Last(FA_DIAG_FA650).address, object);
    EXPECT_EQ(Counted::destroyed, 1);
    EXPECT_EQ(fa_shared_weak_count(tracked, object), 1u);
    EXPECT_EQ(fa_weak_release(tracked, weak), FA_OK);
    // One weak reference too many, while there is an owner.
    object = Make(tracked);
    weak = fa_weak{object};
    EXPECT_EQ(fa_weak_release(tracked, weak), FA_ERROR_FOREIGN);
    EXPECT_EQ(fa_weak_hold(tracked, weak), FA_ERROR_FOREIGN);
    EXPECT_EQ(fa_shared_release(tracked, object), FA_OK);
    EXPECT_EQ(events.Count(FA_DIAG_FA650), 5u);
}

TEST_P(SharedObjectTest, MisuseAfterTheEnd) {
    if (kAsan && GetParam() == 0)
        GTEST_SKIP() << "the sanitizer reports it first";
    Tracked tracked(config), other(config);
    for (size_t size : {size_t{16}, size_t{100000}}) { // in a pool, in the heap
        events.all.clear();
        void *object = fa_shared_alloc(tracked, size, 16, nullptr);
        fa_weak weak = fa_weak_make(tracked, object);
        EXPECT_EQ(fa_weak_release(tracked, weak), FA_OK);
        if (!kAsan) { // it knows the other allocator's memory, too
            EXPECT_EQ(fa_shared_release(other, object), FA_ERROR_FOREIGN);
            EXPECT_EQ(events.Count(FA_DIAG_FA650), 1u);
        }
        events.all.clear();
        EXPECT_EQ(fa_shared_release(tracked, object), FA_OK);
        if (size > 8192 && GetParam() == 0)
            continue; // the memory may be gone
        EXPECT_EQ(fa_shared_release(tracked, object), FA_ERROR_FOREIGN);
        EXPECT_EQ(fa_shared_hold(tracked, object), FA_ERROR_FOREIGN);
        EXPECT_EQ(fa_weak_lock(tracked, weak), nullptr);
        EXPECT_EQ(fa_weak_release(tracked, weak), FA_ERROR_FOREIGN);
        EXPECT_EQ(fa_weak_hold(tracked, weak), FA_ERROR_FOREIGN);
        EXPECT_EQ(events.Count(FA_DIAG_FA650), 5u);
        tracked.Check();
    }
    EXPECT_LE(tracked.Live(), 1u);
    if (tracked.Live() != 0) {
        EXPECT_EQ(tracked.Destroy(), 1u);
    }
}

// Live blocks that are not shared objects: what would stand before them may not even be mapped.
TEST_P(SharedObjectTest, PlainBlocksAreNone) {
    if (kAsan && GetParam() == 0)
        GTEST_SKIP() << "the sanitizer reports it first";
    Tracked tracked(config);
    const size_t sizes[] = {16, 64, 100, 4096, 5000, 100000, 1 << 20, 4 << 20};
    for (size_t size : sizes)
        for (size_t align : {size_t{16}, size_t{64}, size_t{4096}})
            for (bool heap : {false, true}) {
                void *block = heap ? fa_heap_alloc_aligned(tracked, size, align)
                                   : fa_pool_alloc_aligned(tracked, size, align);
                ASSERT_NE(block, nullptr);
                memset(block, 0, size);
                EXPECT_EQ(fa_shared_hold(tracked, block), FA_ERROR_FOREIGN) << size;
                EXPECT_EQ(fa_shared_release(tracked, block), FA_ERROR_FOREIGN) << size;
                EXPECT_EQ(fa_shared_count(tracked, block), 0u) << size;
                heap ? fa_heap_free(tracked, block) : fa_pool_free(tracked, block);
            }
    // And those that are, wherever they begin.
    for (size_t size : sizes)
        for (size_t align = 16; align <= FA_ALIGN_MAX; align *= 2) {
            void *object = fa_shared_alloc(tracked, size, align, nullptr);
            ASSERT_NE(object, nullptr);
            EXPECT_EQ(fa_shared_hold(tracked, object), FA_OK) << size << " " << align;
            EXPECT_EQ(fa_shared_count(tracked, object), 2u);
            EXPECT_EQ(fa_shared_release(tracked, object), FA_OK);
            EXPECT_EQ(fa_shared_release(tracked, object), FA_OK);
        }
}

struct Vain { // holds itself in its destructor, which is too late
    fa_allocator *allocator;
    static void Destroy(void *object) {
        Vain *vain = static_cast<Vain *>(object);
        EXPECT_EQ(fa_shared_hold(vain->allocator, vain), FA_ERROR_FOREIGN);
        EXPECT_EQ(fa_shared_release(vain->allocator, vain), FA_ERROR_FOREIGN);
        EXPECT_EQ(fa_weak_make(vain->allocator, vain).object, nullptr);
        EXPECT_EQ(fa_weak_release(vain->allocator, fa_weak{vain}), FA_ERROR_FOREIGN);
        EXPECT_EQ(fa_shared_count(vain->allocator, vain), 0u);
    }
};

TEST_P(SharedObjectTest, DestructorsCannotReviveTheirObject) {
    Tracked tracked(config);
    Vain *vain = fa_shared_new(tracked, Vain, Vain::Destroy);
    vain->allocator = tracked;
    EXPECT_EQ(fa_shared_release(tracked, vain), FA_OK);
    EXPECT_EQ(events.Count(FA_DIAG_FA650), 4u);
    EXPECT_EQ(tracked.Live(), 0u);
}

// The counts, which no program could raise so far, stand right before the object.
TEST_P(SharedObjectTest, CountsDoNotOverflow) {
    Tracked tracked(config);
    Counted *object = Make(tracked);
    uint32_t *counts = reinterpret_cast<uint32_t *>(object) - 6;
    ASSERT_EQ(counts[0], 1u);
    ASSERT_EQ(counts[1], 1u);
    counts[0] = FA_SHARED_COUNT_MAX - 1;
    EXPECT_EQ(fa_shared_hold(tracked, object), FA_OK);
    EXPECT_EQ(fa_shared_hold(tracked, object), FA_ERROR_FULL);
    fa_weak weak = fa_weak_make(tracked, object);
    EXPECT_EQ(fa_weak_lock(tracked, weak), nullptr);
    EXPECT_EQ(fa_last_error().status, FA_ERROR_FULL);
    EXPECT_EQ(fa_shared_count(tracked, object), FA_SHARED_COUNT_MAX);
    counts[1] = FA_SHARED_COUNT_MAX; // with the owners'
    EXPECT_EQ(fa_weak_hold(tracked, weak), FA_OK);
    EXPECT_EQ(fa_weak_hold(tracked, weak), FA_ERROR_FULL);
    EXPECT_EQ(fa_weak_make(tracked, object).object, nullptr);
    EXPECT_EQ(fa_shared_weak_count(tracked, object), FA_SHARED_COUNT_MAX);
    counts[0] = counts[1] = 1;
    EXPECT_EQ(fa_shared_release(tracked, object), FA_OK);
    EXPECT_EQ(Counted::destroyed, 1);
}

TEST_P(SharedObjectTest, LeftOnesAreLeaksWithoutADestructor) {
    Tracked tracked(config);
    Counted *object = Make(tracked);
    (void)fa_weak_make(tracked, object);
    if (kCounted) {
        EXPECT_EQ(tracked.Destroy(), 1u);
        EXPECT_EQ(events.Count(FA_DIAG_FA605), 1u);
    }
    EXPECT_EQ(Counted::destroyed, 0);
}

TEST_P(SharedObjectTest, EveryFailureOfTheBackend) {
    for (uint64_t at = 1;; at++) {
        Source source;
        fa_alloc_config plain = Plain(fa_alloc_config_minimal());
        plain.checks = GetParam();
        plain.backends[0] = source.backend;
        source.Fail(at);
        fa_allocator *allocator = nullptr;
        if (fa_allocator_create(&plain, &allocator) != FA_OK)
            continue;
        size_t failed = 0;
        for (size_t size : {size_t{100}, size_t{100000}}) {
            void *object = fa_shared_alloc(allocator, size, 64, nullptr);
            failed += object == nullptr;
            if (object == nullptr) {
                EXPECT_EQ(fa_last_error().status, FA_ERROR_NO_MEMORY);
            }
            EXPECT_EQ(fa_shared_release(allocator, object), FA_OK);
        }
        ExpectValid(allocator);
        EXPECT_EQ(fa_allocator_destroy(allocator), 0u);
        if (failed == 0)
            break;
    }
}

} // namespace
