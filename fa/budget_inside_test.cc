// Budgets: what once went wrong with them and must not again.
#include "fa/testing_budgets.hpp"

using namespace fa_testing;

INSTANTIATE_TEST_SUITE_P(All, Budget, testing::ValuesIn(kBudgetKinds), BudgetKindName);

namespace {

fa_tag Tag(fa_allocator *allocator, int number) {
    return fa_tag_intern(allocator, ("tag" + std::to_string(number)).c_str());
}

/* Allocates in each of so many tags in turns; returns how many requests were refused. */
int UseTags(fa_allocator *allocator, int tags, int rounds) {
    int refused = 0;
    for (int round = 0; round < rounds; round++)
        for (int i = 0; i < tags; i++) {
            EXPECT_EQ(fa_tag_enter(allocator, Tag(allocator, i)), FA_OK);
            refused += fa_frame_alloc(allocator, 64) == nullptr;
            EXPECT_EQ(fa_tag_leave(allocator), FA_OK);
        }
    return refused;
}

} // namespace

// ---- asking ----

TEST_P(Budget, AskMayUseTheFrameInAnotherTag) {
    Allocator allocator(Config());
    const fa_tag asking = Tag(allocator, 1), other = Tag(allocator, 2);
    const fa_budget all = Hard(1 << 20);
    ASSERT_EQ(fa_budget_set(allocator, FA_INTENT_FRAME, &all), FA_OK);
    Asked asked;
    asked.body = [&](const fa_budget_request &) {
        if (asked.all.size() > 20)
            return FA_BUDGET_ANSWER_FAIL;
        EXPECT_NE(fa_tagged_frame_alloc({allocator, other}, 16), nullptr);
        return FA_BUDGET_ANSWER_ALLOW;
    };
    const fa_budget budget = asked.Budget(1024);
    ASSERT_EQ(fa_budget_set_tag(allocator, asking, FA_INTENT_FRAME, &budget), FA_OK);
    ASSERT_NE(fa_frame_begin(allocator), nullptr);
    ASSERT_EQ(fa_tag_enter(allocator, asking), FA_OK);
    EXPECT_NE(fa_frame_alloc(allocator, 4096), nullptr);
    EXPECT_EQ(asked.all.size(), 1u);
    EXPECT_GE(Used(allocator, FA_INTENT_FRAME, asking), 4096u);
    EXPECT_GE(Used(allocator, FA_INTENT_FRAME, other), 16u);
    EXPECT_LT(Used(allocator, FA_INTENT_FRAME, other), 4096u);
    EXPECT_EQ(fa_tag_leave(allocator), FA_OK);
    ASSERT_EQ(fa_frame_end(allocator), FA_OK);
    EXPECT_EQ(Used(allocator, FA_INTENT_FRAME), 0u);
    ExpectValid(allocator);
}

/* The same for a callback that goes to and fro between two tags, each with a budget that asks. */
TEST_P(Budget, AskMayLeaveTheThreadInAnotherTag) {
    Allocator allocator(Config());
    const fa_tag tags[] = {Tag(allocator, 1), Tag(allocator, 2)};
    Asked asked;
    asked.body = [&](const fa_budget_request &) {
        if (asked.all.size() > 20)
            return FA_BUDGET_ANSWER_FAIL;
        const bool first = fa_tag_current(allocator) == tags[0];
        EXPECT_EQ(fa_tag_leave(allocator), FA_OK);
        EXPECT_EQ(fa_tag_enter(allocator, tags[first ? 1 : 0]), FA_OK);
        EXPECT_EQ(fa_frame_alloc(allocator, 4096), nullptr) << "nobody is asked while it answers";
        return FA_BUDGET_ANSWER_ALLOW;
    };
    const fa_budget budget = asked.Budget(1024);
    for (fa_tag tag : tags)
        ASSERT_EQ(fa_budget_set_tag(allocator, tag, FA_INTENT_FRAME, &budget), FA_OK);
    ASSERT_NE(fa_frame_begin(allocator), nullptr);
    ASSERT_EQ(fa_tag_enter(allocator, tags[0]), FA_OK);
    EXPECT_NE(fa_frame_alloc(allocator, 4096), nullptr);
    EXPECT_EQ(asked.all.size(), 1u);
    EXPECT_EQ(fa_tag_leave(allocator), FA_OK);
    ASSERT_EQ(fa_frame_end(allocator), FA_OK);
    EXPECT_EQ(Used(allocator, FA_INTENT_FRAME), 0u);
    ExpectValid(allocator);
}

/* The hook is told once that usage is above, and takes frame memory for its text in its own tag. */
TEST_P(Budget, EventHookMayUseTheFrameInAnotherTag) {
    struct Hook {
        fa_allocator *allocator;
        fa_tag tag;
        int calls;
        static void Call(void *user, const fa_event *event) {
            Hook *self = static_cast<Hook *>(user);
            if (event->diag != FA_DIAG_FA303 || ++self->calls > 20)
                return;
            EXPECT_NE(fa_tagged_frame_alloc({self->allocator, self->tag}, 64), nullptr);
        }
    } hook = {};
    fa_alloc_config config = Config();
    config.on_event = Hook::Call;
    config.on_event_user = &hook;
    Allocator allocator(config);
    hook.allocator = allocator;
    hook.tag = Tag(allocator, 1);
    const fa_tag working = Tag(allocator, 2);
    fa_budget budget = {};
    budget.soft_bytes = 4096;
    ASSERT_EQ(fa_budget_set(allocator, FA_INTENT_FRAME, &budget), FA_OK);
    ASSERT_NE(fa_frame_begin(allocator), nullptr);
    ASSERT_EQ(fa_tag_enter(allocator, working), FA_OK);
    for (int i = 0; i < 500; i++)
        ASSERT_NE(fa_frame_alloc(allocator, 64), nullptr);
    EXPECT_EQ(hook.calls, 1);
    EXPECT_EQ(fa_tag_leave(allocator), FA_OK);
    ASSERT_EQ(fa_frame_end(allocator), FA_OK);
    EXPECT_EQ(Used(allocator, FA_INTENT_FRAME), 0u);
}

// ---- tags in a frame ----

TEST_P(Budget, SealedAllocatorServesEveryTagThatWasEntered) {
    for (int tags : {4, 9, 40}) {
        Allocator allocator(Config());
        const fa_budget budget = Hard(16 << 20);
        ASSERT_EQ(fa_budget_set(allocator, FA_INTENT_FRAME, &budget), FA_OK);
        for (int frame = 0; frame < 8; frame++) { /* until each holds enough */
            ASSERT_NE(fa_frame_begin(allocator), nullptr);
            for (int i = 0; i < tags && frame == 0; i++) {
                ASSERT_EQ(fa_tag_enter(allocator, Tag(allocator, i)), FA_OK);
                ASSERT_EQ(fa_tag_leave(allocator), FA_OK);
            }
            for (int i = 0; i < 6000; i++)
                ASSERT_NE(fa_frame_alloc(allocator, 64), nullptr);
            ASSERT_EQ(fa_frame_end(allocator), FA_OK);
        }
        fa_backend_seal(allocator);
        ASSERT_NE(fa_frame_begin(allocator), nullptr);
        EXPECT_EQ(UseTags(allocator, tags, 50), 0) << tags;
        EXPECT_EQ(events_.Count(FA_DIAG_FA702), 0u);
        ASSERT_EQ(fa_frame_end(allocator), FA_OK);
        EXPECT_EQ(Used(allocator, FA_INTENT_FRAME), 0u);
        ExpectValid(allocator);
    }
}

/* Marks keep every turn apart: when there is no more room for them, bytes come back later. */
TEST_P(Budget, SealedAllocatorServesTagsBehindAMark) {
    Allocator allocator(Config());
    const fa_budget budget = Hard(16 << 20);
    ASSERT_EQ(fa_budget_set(allocator, FA_INTENT_FRAME, &budget), FA_OK);
    ASSERT_NE(fa_frame_begin(allocator), nullptr);
    fa_mark mark = fa_frame_mark(allocator);
    ASSERT_EQ(UseTags(allocator, 3, 2), 0);
    fa_backend_seal(allocator);
    EXPECT_EQ(UseTags(allocator, 3, 2), 0);
    ASSERT_EQ(fa_frame_rewind(allocator, mark), FA_OK);
    EXPECT_EQ(UseTags(allocator, 3, 2), 0);
    EXPECT_EQ(events_.Count(FA_DIAG_FA702), 0u);
    ASSERT_EQ(fa_frame_end(allocator), FA_OK);
    EXPECT_EQ(Used(allocator, FA_INTENT_FRAME), 0u);
}

TEST_P(Budget, LimitOfATagHoldsWhenItComesInTheMiddleOfAFrame) {
    Allocator allocator(Config());
    const fa_tag first = Tag(allocator, 1), second = Tag(allocator, 2);
    ASSERT_NE(fa_frame_begin(allocator), nullptr);
    for (fa_tag tag : {first, second, first}) {
        ASSERT_EQ(fa_tag_enter(allocator, tag), FA_OK);
        Ignore(fa_frame_alloc(allocator, 64));
        ASSERT_EQ(fa_tag_leave(allocator), FA_OK);
    }
    ASSERT_EQ(fa_tag_enter(allocator, first), FA_OK);
    const fa_budget much = Hard(1 << 20), little = Hard(1024);
    ASSERT_EQ(fa_budget_set_tag(allocator, first, FA_INTENT_FRAME, &much), FA_OK);
    ASSERT_EQ(fa_budget_set_tag(allocator, second, FA_INTENT_FRAME, &little), FA_OK);
    Ignore(fa_frame_alloc_aligned(allocator, 64, 64));
    ASSERT_EQ(fa_tag_leave(allocator), FA_OK);
    ASSERT_EQ(fa_tag_enter(allocator, second), FA_OK);
    size_t count = 0;
    while (count < 1000 && fa_frame_alloc(allocator, 64) != nullptr)
        count++;
    EXPECT_LE(count, 16u);
    ASSERT_EQ(fa_tag_leave(allocator), FA_OK);
    ASSERT_EQ(fa_frame_end(allocator), FA_OK);
    EXPECT_EQ(Used(allocator, FA_INTENT_FRAME), 0u);
}

// ---- room that is there ----

TEST_P(Budget, GrowingInPlaceUsesWhatPoolsKeepReady) {
    fa_alloc_config config = Config();
    config.frame_chunk_bytes_first = config.frame_chunk_bytes_max = 1 << 20;
    config.pool_segment_bytes = 1 << 20;
    config.bytes_max = 0;
    config.frame_bytes_max = 0;
    Allocator allocator(config);
    const fa_budget budget = Hard(64 << 10);
    ASSERT_EQ(fa_budget_set(allocator, kTotal, &budget), FA_OK);
    ASSERT_NE(fa_frame_begin(allocator), nullptr);
    void *block = fa_frame_alloc(allocator, 36 << 10);
    ASSERT_NE(block, nullptr);
    std::vector<void *> objects;
    for (int i = 0; i < 16; i++)
        objects.push_back(fa_pool_alloc(allocator, 1000));
    for (void *object : objects)
        fa_pool_free(allocator, object);
    EXPECT_EQ(fa_frame_grow(allocator, block, 36 << 10, 60 << 10), block);
    ASSERT_EQ(fa_frame_end(allocator), FA_OK);
    EXPECT_EQ(Used(allocator, FA_INTENT_FRAME), 0u);
    ExpectValid(allocator);
}

TEST_P(Budget, AdoptedObjectsDoNotExceedTheLimitOfAThread) {
    Allocator allocator(Config());
    const size_t bytes = ClassBytes(allocator, 64);
    std::vector<void *> objects(200);
    std::thread([&] {
        for (void *&object : objects)
            object = fa_pool_alloc(allocator, 64);
    }).join();
    const fa_budget budget = Hard(16 * bytes);
    ASSERT_EQ(fa_budget_set_thread(allocator, FA_INTENT_POOL, &budget), FA_OK);
    std::vector<void *> own;
    for (void *block; (block = fa_pool_alloc(allocator, 64)) != nullptr;) {
        own.push_back(block);
        ASSERT_LE(ThreadUsage(allocator, FA_INTENT_POOL).used, budget.hard_bytes);
    }
    EXPECT_EQ(own.size(), 16u);
    /* Without the limit what was left behind is adopted. */
    ASSERT_EQ(fa_budget_set_thread(allocator, FA_INTENT_POOL, nullptr), FA_OK);
    for (int i = 0; i < 2000; i++)
        own.push_back(fa_pool_alloc(allocator, 64));
    for (void *block : own)
        fa_pool_free(allocator, block);
    for (void *block : objects)
        fa_pool_free(allocator, block);
    fa_allocator_trim(allocator);
    EXPECT_EQ(Used(allocator, FA_INTENT_POOL), 0u);
    EXPECT_EQ(ThreadUsage(allocator, FA_INTENT_POOL).used, 0u);
    ExpectValid(allocator);
}

TEST_P(Budget, HeapBlockGetsSmallerAtTheLimit) {
    fa_alloc_config config = Config();
    config.backend_spec = "system";
    config.bytes_max = 0;
    Allocator allocator(config);
    const fa_budget budget = Hard(16 << 20);
    ASSERT_EQ(fa_budget_set(allocator, FA_INTENT_HEAP, &budget), FA_OK);
    char *block = static_cast<char *>(fa_heap_alloc(allocator, 15 << 20));
    ASSERT_NE(block, nullptr);
    memset(block, 7, 15 << 20);
    block = static_cast<char *>(fa_heap_realloc(allocator, block, 6 << 20));
    ASSERT_NE(block, nullptr);
    EXPECT_EQ(block[(6 << 20) - 1], 7);
    EXPECT_EQ(Used(allocator, FA_INTENT_HEAP), size_t{6} << 20);
    EXPECT_EQ(Usage(allocator, FA_INTENT_HEAP).refused_count, 0u);
    EXPECT_EQ(events_.Count(FA_DIAG_FA302), 0u);
    ExpectValid(allocator);
    /* Now there is room for another one. */
    block = static_cast<char *>(fa_heap_realloc(allocator, block, 1000));
    ASSERT_NE(block, nullptr);
    EXPECT_EQ(block[999], 7);
    EXPECT_EQ(Used(allocator, FA_INTENT_HEAP), 1000u);
    fa_heap_free(allocator, block);
    EXPECT_EQ(Used(allocator, FA_INTENT_HEAP), 0u);
    ExpectValid(allocator);
}

// ---- setting ----

TEST_P(Budget, ChangingABudgetTakesNoMemory) {
    Allocator allocator(Config());
    fa_budget budget = Hard(1 << 20);
    for (int i = 0; i < 16; i++)
        ASSERT_EQ(fa_budget_set_tag(allocator, Tag(allocator, i), FA_INTENT_HEAP, &budget), FA_OK);
    fa_backend_seal(allocator);
    fa_last_error_clear();
    budget = Hard(2 << 20);
    EXPECT_EQ(fa_budget_set_tag(allocator, Tag(allocator, 0), FA_INTENT_HEAP, &budget), FA_OK);
    EXPECT_EQ(fa_last_error().status, FA_OK);
    EXPECT_EQ(events_.Count(FA_DIAG_FA702), 0u);
    EXPECT_EQ(Usage(allocator, FA_INTENT_HEAP, Tag(allocator, 0)).hard_bytes, size_t{2} << 20);
    EXPECT_NE(fa_budget_set_tag(allocator, Tag(allocator, 0), FA_INTENT_POOL, &budget), FA_OK);
}
