// Life-cycle events: each kind provoked and each of its fields checked, filters, subscriptions.
#include "fa/testing_events.hpp"

namespace {

using namespace fa_testing;

constexpr uint32_t Bit(fa_events_kind kind) { return FA_EVENTS_BIT(kind); }

class EventsTest : public testing::Test {
  protected:
    Tracked allocator_;
};

TEST_F(EventsTest, NothingIsToldUnlessAsked) {
    Heard heard;
    fa_events_id id = heard.Subscribe(allocator_, FA_EVENTS_ALL);
    EXPECT_NE(id.id, 0u);
    EXPECT_EQ(fa_events_unsubscribe(allocator_, id), FA_OK);
    RunFrame(allocator_, 3);
    fa_pool_free(allocator_, fa_pool_alloc(allocator_, 64));
    EXPECT_EQ(heard.All().size(), 0u);
    fa_events_stats stats;
    EXPECT_EQ(fa_events_stats_get(allocator_, &stats), FA_OK);
    EXPECT_EQ(stats.subscriber_count, 0u);
    EXPECT_EQ(stats.told_count, 0u);
    EXPECT_EQ(stats.missed_count, 0u);
}

TEST_F(EventsTest, FramesBeginAndEnd) {
    RunFrame(allocator_, 1);
    Heard heard;
    fa_events_id id = heard.Subscribe(allocator_, FA_EVENTS_FRAMES);
    uint64_t before = Now();
    fa_frame *frame = fa_frame_begin(allocator_);
    void *first = fa_frame_alloc_in(frame, 100);
    fa_mark mark = fa_frame_mark_in(frame);
    void *second = fa_frame_alloc_in(frame, 1000);
    EXPECT_NE(first, second);
    EXPECT_EQ(fa_frame_rewind_in(frame, mark), FA_OK);
    EXPECT_EQ(fa_tag_enter(allocator_, FA_TAG_PHYSICS), FA_OK);
    EXPECT_EQ(fa_frame_end_in(frame), FA_OK);
    EXPECT_EQ(fa_tag_leave(allocator_), FA_OK);
    uint64_t after = Now();
    const std::vector<fa_events_item> all = heard.All();
    ASSERT_EQ(all.size(), 2u);
    const fa_events_item &begin = all[0], &end = all[1];
    EXPECT_EQ(begin.kind, FA_EVENTS_FRAME_BEGIN);
    EXPECT_EQ(begin.allocator, allocator_);
    EXPECT_EQ(begin.thread_index, 1u);
    EXPECT_EQ(begin.frame_index, 2u);
    EXPECT_EQ(begin.tag, FA_TAG_ROOT);
    EXPECT_GE(begin.nanoseconds, before);
    EXPECT_EQ(begin.bytes, 0u);
    EXPECT_EQ(end.kind, FA_EVENTS_FRAME_END);
    EXPECT_EQ(end.frame_index, 2u);
    EXPECT_EQ(end.thread_index, 1u);
    EXPECT_EQ(end.tag, FA_TAG_PHYSICS);
    EXPECT_EQ(end.duration, end.nanoseconds - begin.nanoseconds);
    EXPECT_LE(end.nanoseconds, after);
    if (!kAsan) {
        EXPECT_EQ(end.bytes, 112u);
        EXPECT_EQ(end.bytes_peak, 112u + 1008u);
    }
    EXPECT_EQ(end.count, kCounted ? 2u : 0u);
    EXPECT_EQ(end.address, nullptr);
    // And no more, once nobody listens; the fast paths are open again.
    EXPECT_EQ(fa_events_unsubscribe(allocator_, id), FA_OK);
    RunFrame(allocator_, 1);
    RunFrame(allocator_, 1);
    EXPECT_EQ(heard.All().size(), 2u);
    allocator_.Check();
}

TEST_F(EventsTest, AFrameThatWasOpenHasNoDuration) {
    Heard heard;
    fa_frame *frame = fa_frame_begin(allocator_);
    heard.Subscribe(allocator_, Bit(FA_EVENTS_FRAME_END));
    ASSERT_NE(fa_frame_alloc_in(frame, 10), nullptr);
    EXPECT_EQ(fa_frame_end_in(frame), FA_OK);
    ASSERT_EQ(heard.All().size(), 1u);
    EXPECT_EQ(heard.All()[0].duration, 0u);
    EXPECT_NE(heard.All()[0].nanoseconds, 0u);
    EXPECT_EQ(heard.All()[0].count, kCounted ? 1u : 0u);
    RunFrame(allocator_, 1);
    EXPECT_NE(heard.All()[1].duration, 0u);
}

TEST(Events, FramesInFlightAreToldToo) {
    fa_alloc_config config = Config();
    config.frames_in_flight = 3;
    Tracked allocator(config);
    Heard heard;
    heard.Subscribe(allocator, FA_EVENTS_FRAMES);
    for (int i = 0; i < 7; i++)
        RunFrame(allocator, 2);
    EXPECT_EQ(heard.Count(FA_EVENTS_FRAME_BEGIN), 7u);
    EXPECT_EQ(heard.Count(FA_EVENTS_FRAME_END), 7u);
    EXPECT_EQ(heard.All().back().frame_index, 7u);
}

TEST_F(EventsTest, FreesOfOtherThreads) {
    if (kAsan)
        GTEST_SKIP() << "there is no queue";
    constexpr size_t kObjects = 40;
    void *objects[kObjects];
    EXPECT_EQ(fa_tag_enter(allocator_, FA_TAG_AUDIO), FA_OK);
    ASSERT_EQ(fa_pool_alloc_batch(allocator_, 64, kObjects, objects), FA_OK);
    EXPECT_EQ(fa_tag_leave(allocator_), FA_OK);
    Heard heard;
    heard.Subscribe(allocator_, Bit(FA_EVENTS_DEFERRED_QUEUED) | Bit(FA_EVENTS_DEFERRED_PROCESSED));
    OnThread([&] {
        ASSERT_EQ(fa_thread_attach(allocator_), FA_OK);
        for (void *object : objects)
            fa_pool_free(allocator_, object);
        fa_deferred_process(allocator_, 0);
    });
    size_t count = 0, bytes = 0;
    for (const fa_events_item &item : heard.All()) {
        EXPECT_EQ(item.kind, FA_EVENTS_DEFERRED_QUEUED);
        EXPECT_EQ(item.thread_index, 2u);
        EXPECT_EQ(item.other_thread, 1u);
        EXPECT_EQ(item.tag, FA_TAG_AUDIO);
        count += item.count;
        bytes += item.bytes;
    }
    EXPECT_EQ(count, kObjects);
    EXPECT_EQ(bytes, kObjects * 64);
    heard.Clear();
    EXPECT_EQ(fa_deferred_process(allocator_, SIZE_MAX), kObjects);
    ASSERT_EQ(heard.All().size(), 1u);
    fa_events_item item = heard.All()[0];
    EXPECT_EQ(item.kind, FA_EVENTS_DEFERRED_PROCESSED);
    EXPECT_EQ(item.thread_index, 1u);
    EXPECT_EQ(item.count, kObjects);
    EXPECT_EQ(item.bytes, kObjects * 64);
}

TEST(Events, FreesOfThreadsThatAreNotAttached) {
    fa_alloc_config config = Config();
    config.deferred.gather_count = 0;
    Tracked allocator(config);
    void *object = fa_pool_alloc(allocator, 64);
    Heard heard;
    heard.Subscribe(allocator, FA_EVENTS_ALL);
    OnThread([&] { fa_pool_free(allocator, object); });
    std::vector<fa_events_item> all = heard.All();
    ASSERT_EQ(all.size(), kAsan ? 1u : 2u);
    EXPECT_EQ(all[0].kind, FA_EVENTS_FREE);
    EXPECT_EQ(all[0].thread_index, 0u);
    EXPECT_EQ(all[0].frame_index, 0u);
    if (!kAsan) {
        EXPECT_EQ(all[1].kind, FA_EVENTS_DEFERRED_QUEUED);
        EXPECT_EQ(all[1].other_thread, 1u);
        EXPECT_EQ(all[1].count, 1u);
    }
}

TEST(Events, AFreeThatIsRefusedIsNotTold) {
    if (kAsan)
        GTEST_SKIP() << "there is no queue";
    fa_alloc_config config = Config();
    config.deferred.count_max = 1;
    config.deferred.full = FA_DEFERRED_FULL_FAIL;
    Tracked allocator(config);
    void *one = fa_pool_alloc(allocator, 64), *two = fa_pool_alloc(allocator, 64);
    Heard heard;
    heard.Subscribe(allocator, FA_EVENTS_BLOCKS);
    OnThread([&] {
        EXPECT_EQ(fa_deferred_free(allocator, one), FA_OK);
        EXPECT_EQ(fa_deferred_free(allocator, two), FA_ERROR_FULL);
    });
    ASSERT_EQ(heard.All().size(), 1u);
    EXPECT_EQ(heard.All()[0].address, one);
    fa_pool_free(allocator, two);
    EXPECT_EQ(heard.All().size(), 2u);
}

TEST_F(EventsTest, Transfers) {
    Heard heard;
    heard.Subscribe(allocator_, Bit(FA_EVENTS_TRANSFER_MADE) | Bit(FA_EVENTS_TRANSFER_RECEIVED) |
                                    Bit(FA_EVENTS_TRANSFER_DROPPED));
    char text[200] = "payload";
    fa_transfer small, large, dropped;
    EXPECT_EQ(fa_tag_enter(allocator_, FA_TAG_UI), FA_OK);
    ASSERT_EQ(fa_transfer_make(allocator_, text, 20, 1, &small), FA_OK);
    EXPECT_EQ(fa_tag_leave(allocator_), FA_OK);
    ASSERT_EQ(fa_transfer_make(allocator_, text, 200, 1, &large), FA_OK);
    ASSERT_EQ(fa_transfer_make(allocator_, text, 30, 1, &dropped), FA_OK);
    OnThread([&] {
        fa_received received;
        for (fa_transfer each : {small, large}) {
            ASSERT_EQ(fa_transfer_receive(allocator_, each, &received), FA_OK);
            fa_pool_free(allocator_, received.object);
        }
        EXPECT_EQ(fa_transfer_receive(allocator_, small, &received), FA_ERROR_TAKEN);
    });
    EXPECT_EQ(fa_transfer_drop(allocator_, dropped), FA_OK);
    std::vector<fa_events_item> all = heard.All();
    ASSERT_EQ(all.size(), 6u);
    const fa_transfer made[] = {small, large, dropped};
    const size_t sizes[] = {20, 200, 30};
    for (size_t i = 0; i < 3; i++) {
        EXPECT_EQ(all[i].kind, FA_EVENTS_TRANSFER_MADE);
        EXPECT_EQ(all[i].transfer_id, made[i].id);
        EXPECT_EQ(all[i].size, sizes[i]);
        EXPECT_EQ(all[i].bytes, sizes[i]);
        EXPECT_EQ(all[i].thread_index, 1u);
        EXPECT_EQ(all[i].other_thread, 0u);
        EXPECT_EQ(all[i].tag, i == 0 ? FA_TAG_UI : FA_TAG_ROOT);
        EXPECT_EQ(all[i + 3].kind,
                  i < 2 ? FA_EVENTS_TRANSFER_RECEIVED : FA_EVENTS_TRANSFER_DROPPED);
        EXPECT_EQ(all[i + 3].transfer_id, made[i].id);
        EXPECT_EQ(all[i + 3].size, sizes[i]);
        EXPECT_EQ(all[i + 3].other_thread, 1u);
        EXPECT_EQ(all[i + 3].tag, i == 0 ? FA_TAG_UI : FA_TAG_ROOT);
        EXPECT_EQ(all[i + 3].thread_index, i < 2 ? 2u : 1u);
    }
}

TEST_F(EventsTest, Budgets) {
    Heard heard;
    heard.Subscribe(allocator_, Bit(FA_EVENTS_BUDGET));
    fa_budget budget = {};
    budget.soft_bytes = 10000;
    budget.hard_bytes = 20000;
    ASSERT_EQ(fa_budget_set_tag(allocator_, FA_TAG_AUDIO, FA_INTENT_HEAP, &budget), FA_OK);
    EXPECT_EQ(fa_tag_enter(allocator_, FA_TAG_AUDIO), FA_OK);
    void *one = fa_heap_alloc(allocator_, 12000);
    EXPECT_EQ(fa_heap_alloc(allocator_, 9000), nullptr);
    EXPECT_EQ(fa_tag_leave(allocator_), FA_OK);
    std::vector<fa_events_item> all = heard.All();
    ASSERT_EQ(all.size(), 2u);
    EXPECT_EQ(all[0].detail, FA_EVENTS_DETAIL_SOFT);
    EXPECT_EQ(all[0].tag, FA_TAG_AUDIO);
    EXPECT_EQ(all[0].intent, FA_INTENT_HEAP);
    EXPECT_EQ(all[0].bytes, 12000u);
    EXPECT_EQ(all[0].limit, 10000u);
    EXPECT_EQ(all[0].size, 0u);
    EXPECT_EQ(all[1].detail, FA_EVENTS_DETAIL_HARD);
    EXPECT_EQ(all[1].bytes, 12000u);
    EXPECT_EQ(all[1].limit, 20000u);
    EXPECT_EQ(all[1].size, 9000u);
    // One that serves all the same says so once each time.
    heard.Clear();
    budget.soft_bytes = 0;
    for (fa_budget_policy policy : {FA_BUDGET_WARN, FA_BUDGET_ALLOW}) {
        budget.policy = policy;
        ASSERT_EQ(fa_budget_set_tag(allocator_, FA_TAG_AUDIO, FA_INTENT_HEAP, &budget), FA_OK);
        heard.Clear();
        EXPECT_EQ(fa_tag_enter(allocator_, FA_TAG_AUDIO), FA_OK);
        void *two = fa_heap_alloc(allocator_, 9000), *three = fa_heap_alloc(allocator_, 100);
        EXPECT_EQ(heard.All().size(), 1u);
        EXPECT_EQ(heard.All()[0].detail, FA_EVENTS_DETAIL_HARD);
        EXPECT_EQ(heard.All()[0].size, 0u);
        fa_heap_free(allocator_, two);
        fa_heap_free(allocator_, three);
        two = fa_heap_alloc(allocator_, 9000);
        EXPECT_EQ(heard.All().size(), 2u);
        fa_heap_free(allocator_, two);
        EXPECT_EQ(fa_tag_leave(allocator_), FA_OK);
    }
    fa_heap_free(allocator_, one);
    // A thread's.
    heard.Clear();
    budget = fa_budget{};
    budget.hard_bytes = 64;
    ASSERT_EQ(fa_budget_set_thread(allocator_, FA_INTENT_POOL, &budget), FA_OK);
    EXPECT_EQ(fa_pool_alloc(allocator_, 1000), nullptr);
    ASSERT_EQ(heard.All().size(), 1u);
    EXPECT_EQ(heard.All()[0].tag, FA_TAG_NONE);
    EXPECT_EQ(heard.All()[0].intent, FA_INTENT_POOL);
    EXPECT_EQ(heard.All()[0].thread_index, 1u);
}

size_t GiveBack(void *user, fa_allocator *allocator, size_t) {
    void **block = static_cast<void **>(user);
    size_t bytes = *block != nullptr ? 3 << 20 : 0;
    fa_heap_free(allocator, *block);
    *block = nullptr;
    return bytes;
}

TEST(Events, Pressure) {
    Heard heard;
    fa_alloc_config config = Config();
    config.bytes_max = 12 << 20;
    config.reserve_bytes = 2 << 20;
    config.heap_region_bytes = 0;
    Tracked allocator(config);
    heard.Subscribe(allocator, Bit(FA_EVENTS_PRESSURE));
    void *given = fa_heap_alloc(allocator, 3 << 20);
    EXPECT_EQ(fa_reclaimer_add(allocator, 0, GiveBack, &given), FA_OK);
    std::vector<void *> blocks;
    while (void *block = fa_heap_alloc(allocator, 1 << 20))
        blocks.push_back(block);
    std::vector<fa_events_item> all = heard.All();
    ASSERT_EQ(all.size(), 3u);
    EXPECT_EQ(all[0].detail, FA_EVENTS_DETAIL_RECLAIMER);
    EXPECT_EQ(all[0].status, FA_ERROR_LIMIT);
    EXPECT_GE(all[0].size, size_t{1} << 20);
    EXPECT_EQ(all[0].bytes, size_t{3} << 20);
    EXPECT_EQ(all[1].detail, FA_EVENTS_DETAIL_RESERVE);
    EXPECT_EQ(all[1].bytes, size_t{2} << 20);
    EXPECT_EQ(all[2].detail, FA_EVENTS_DETAIL_REFUSED);
    EXPECT_EQ(all[2].status, FA_ERROR_LIMIT);
    EXPECT_GE(all[2].size, size_t{1} << 20);
    EXPECT_EQ(all[2].bytes, 0u);
    // What lies in caches goes first.
    heard.Clear();
    size_t half = blocks.size() / 2;
    for (size_t i = 0; i < half; i++)
        fa_heap_free(allocator, blocks[i]);
    void *large = fa_heap_alloc(allocator, (half - 1) << 20);
    EXPECT_NE(large, nullptr);
    ASSERT_EQ(heard.All().size(), 1u);
    EXPECT_EQ(heard.All()[0].detail, FA_EVENTS_DETAIL_CACHES);
    EXPECT_NE(heard.All()[0].bytes, 0u);
    fa_heap_free(allocator, large);
    for (size_t i = half; i < blocks.size(); i++)
        fa_heap_free(allocator, blocks[i]);
    // And a seal is named.
    heard.Clear();
    fa_backend_seal(allocator);
    EXPECT_EQ(fa_heap_alloc(allocator, 64 << 20), nullptr);
    ASSERT_EQ(heard.All().size(), 1u);
    EXPECT_EQ(heard.All()[0].status, FA_ERROR_SEALED);
}

TEST_F(EventsTest, ThreadsComeAndGo) {
    Heard heard;
    heard.Subscribe(allocator_, Bit(FA_EVENTS_THREAD_ATTACHED) | Bit(FA_EVENTS_THREAD_DETACHED));
    OnThread([&] {
        RunFrame(allocator_, 1);
        EXPECT_EQ(fa_thread_detach(allocator_), FA_OK);
        RunFrame(allocator_, 1);
        RunFrame(allocator_, 1);
    });
    std::vector<fa_events_item> all = heard.All();
    ASSERT_EQ(all.size(), 4u);
    for (size_t i = 0; i < 4; i++) {
        EXPECT_EQ(all[i].kind, i % 2 == 0 ? FA_EVENTS_THREAD_ATTACHED : FA_EVENTS_THREAD_DETACHED);
        EXPECT_EQ(all[i].thread_index, 1 + i / 2);
        EXPECT_NE(all[i].nanoseconds, 0u);
    }
    EXPECT_EQ(all[1].frame_index, 1u);
    EXPECT_EQ(all[3].frame_index, 2u);
}

TEST_F(EventsTest, AFrameThatIsOpenAtTheEndOfItsThreadDoesNotEnd) {
    Heard heard;
    heard.Subscribe(allocator_, FA_EVENTS_ALL);
    OnThread([&] { ASSERT_NE(fa_frame_begin(allocator_), nullptr); });
    EXPECT_EQ(heard.Count(FA_EVENTS_FRAME_BEGIN), 1u);
    EXPECT_EQ(heard.Count(FA_EVENTS_FRAME_END), 0u);
    EXPECT_EQ(heard.Count(FA_EVENTS_THREAD_DETACHED), 1u);
    heard.Clear();
    OnThread([&] {
        ASSERT_NE(fa_frame_begin(allocator_), nullptr);
        EXPECT_EQ(fa_thread_detach(allocator_), FA_OK);
    });
    EXPECT_EQ(heard.Count(FA_EVENTS_FRAME_END), 1u);
}

// ---- filters ----

TEST_F(EventsTest, FiltersByThread) {
    Heard mine, theirs;
    fa_events_config config = {};
    config.kinds = FA_EVENTS_ALL;
    config.thread_index = 1;
    mine.Subscribe(allocator_, config);
    config.thread_index = 2;
    theirs.Subscribe(allocator_, config);
    RunFrame(allocator_, 2);
    OnThread([&] { RunFrame(allocator_, 3); });
    for (const fa_events_item &item : mine.All())
        EXPECT_EQ(item.thread_index, 1u);
    for (const fa_events_item &item : theirs.All())
        EXPECT_EQ(item.thread_index, 2u);
    EXPECT_EQ(mine.Count(FA_EVENTS_ALLOC), 2u);
    EXPECT_EQ(theirs.Count(FA_EVENTS_ALLOC), 3u);
    EXPECT_EQ(theirs.Count(FA_EVENTS_THREAD_DETACHED), 1u);
}

TEST_F(EventsTest, FiltersByTag) {
    fa_tag ai = fa_tag_intern(allocator_, "ai"), paths = fa_tag_intern(allocator_, "ai::paths");
    fa_tag other = fa_tag_intern(allocator_, "other");
    Heard heard;
    fa_events_config config = {};
    config.kinds = FA_EVENTS_BLOCKS | Bit(FA_EVENTS_BUDGET);
    config.tag = ai;
    heard.Subscribe(allocator_, config);
    for (fa_tag tag : {FA_TAG_ROOT, ai, paths, other})
        fa_heap_free(allocator_, fa_tagged_heap_alloc(fa_tagged{allocator_, tag}, 100));
    std::vector<fa_events_item> all = heard.All();
    ASSERT_EQ(all.size(), 4u);
    EXPECT_EQ(all[0].tag, ai);
    EXPECT_EQ(all[3].tag, paths);
    // The budget of a thread has no tag.
    fa_budget budget = {};
    budget.hard_bytes = 64;
    ASSERT_EQ(fa_budget_set_thread(allocator_, FA_INTENT_POOL, &budget), FA_OK);
    heard.Clear();
    EXPECT_EQ(fa_pool_alloc(allocator_, 1000), nullptr);
    EXPECT_EQ(heard.All().size(), 0u);
}

TEST_F(EventsTest, FiltersBySizeAndNumber) {
    Heard large, third;
    fa_events_config config = {};
    config.kinds = FA_EVENTS_BLOCKS | FA_EVENTS_FRAMES;
    config.bytes_min = 1000;
    large.Subscribe(allocator_, config);
    config.bytes_min = 0;
    config.kinds = Bit(FA_EVENTS_ALLOC);
    config.every = 3;
    third.Subscribe(allocator_, config);
    for (size_t i = 0; i < 10; i++)
        fa_heap_free(allocator_, fa_heap_alloc(allocator_, 995 + i));
    EXPECT_EQ(large.Count(FA_EVENTS_ALLOC), 5u);
    EXPECT_EQ(large.Count(FA_EVENTS_FREE), 5u);
    std::vector<fa_events_item> all = third.All();
    ASSERT_EQ(all.size(), 4u);
    for (size_t i = 0; i < 4; i++)
        EXPECT_EQ(all[i].size, 995 + 3 * i);
    large.Clear();
    RunFrame(allocator_, 1);
    ASSERT_EQ(large.All().size(), 1u) << "a frame that begins has no size that could be too small";
    EXPECT_EQ(large.All()[0].kind, FA_EVENTS_FRAME_BEGIN);
}

// ---- subscriptions ----

TEST_F(EventsTest, SoManyAndNoMore) {
    Heard heard[FA_EVENTS_SUBSCRIBER_COUNT_MAX];
    fa_events_id ids[FA_EVENTS_SUBSCRIBER_COUNT_MAX], more = {7};
    for (size_t i = 0; i < FA_EVENTS_SUBSCRIBER_COUNT_MAX; i++)
        ids[i] = heard[i].Subscribe(allocator_, FA_EVENTS_FRAMES);
    EXPECT_EQ(Subscribers(allocator_), size_t{FA_EVENTS_SUBSCRIBER_COUNT_MAX});
    fa_events_config config = {};
    config.kinds = FA_EVENTS_ALL;
    config.function = Heard::Hear;
    config.user = &heard[0];
    EXPECT_EQ(fa_events_subscribe(allocator_, &config, &more), FA_ERROR_LIMIT);
    EXPECT_EQ(more.id, 0u);
    RunFrame(allocator_, 1);
    for (Heard &each : heard)
        EXPECT_EQ(each.All().size(), 2u);
    EXPECT_EQ(fa_events_unsubscribe(allocator_, ids[3]), FA_OK);
    EXPECT_EQ(fa_events_subscribe(allocator_, &config, &more), FA_OK);
    EXPECT_NE(more.id, ids[3].id);
    EXPECT_EQ(fa_events_unsubscribe(allocator_, ids[3]), FA_ERROR_FOREIGN);
    EXPECT_EQ(fa_last_error().status, FA_ERROR_FOREIGN);
    RunFrame(allocator_, 1);
    EXPECT_EQ(heard[3].All().size(), 2u);
    EXPECT_EQ(heard[4].All().size(), 4u);
    for (size_t i = 0; i < FA_EVENTS_SUBSCRIBER_COUNT_MAX; i++)
        if (i != 3) {
            EXPECT_EQ(fa_events_unsubscribe(allocator_, ids[i]), FA_OK);
        }
    for (uint64_t id : {uint64_t{0}, uint64_t{1}, UINT64_MAX, more.id + 1, more.id + (1 << 8)})
        EXPECT_EQ(fa_events_unsubscribe(allocator_, fa_events_id{id}), FA_ERROR_FOREIGN) << id;
    EXPECT_EQ(Subscribers(allocator_), 1u);
}

TEST(Events, WorkInASealedAllocator) {
    Tracked allocator;
    RunFrame(allocator, 1);
    fa_backend_seal(allocator);
    Heard heard;
    fa_events_id id = heard.Subscribe(allocator, FA_EVENTS_ALL);
    RunFrame(allocator, 3);
    EXPECT_EQ(heard.All().size(), 5u);
    EXPECT_EQ(fa_events_unsubscribe(allocator, id), FA_OK);
}

TEST(Events, EndWithTheAllocator) {
    Heard heard;
    {
        fa_alloc_config config = Config();
        Tracked allocator(config);
        heard.Subscribe(allocator, FA_EVENTS_ALL);
        fa_transfer transfer;
        ASSERT_EQ(fa_transfer_make(allocator, "text", 5, 1, &transfer), FA_OK);
        ASSERT_NE(fa_frame_begin(allocator), nullptr);
        heard.Clear();
    }
    EXPECT_EQ(heard.All().size(), 0u) << "none of the destruction is told";
}

TEST(EventsEnd, NobodySubscribesToADyingAllocator) {
    static fa_status status;
    status = FA_OK;
    Tracked allocator(Config());
    const fa_task task = fa_task_begin(allocator, "task");
    ASSERT_EQ(fa_task_defer(
                  task,
                  [](void *user) {
                      fa_events_config config = {};
                      config.kinds = FA_EVENTS_ALL;
                      config.function = [](void *, const fa_events_item *) {};
                      status =
                          fa_events_subscribe(static_cast<fa_allocator *>(user), &config, nullptr);
                  },
                  static_cast<fa_allocator *>(allocator)),
              FA_OK);
    EXPECT_EQ(allocator.Destroy(), 0u);
    EXPECT_EQ(status, FA_ERROR_LIMIT);
}

TEST(EventsEnd, CleanUpsOfAListenerToTheEndOfAThreadRun) {
    static int count;
    count = 0;
    Tracked allocator(Config());
    fa_events_config config = {};
    config.kinds = FA_EVENTS_BIT(FA_EVENTS_THREAD_DETACHED);
    config.function = [](void *, const fa_events_item *item) {
        EXPECT_EQ(fa_frame_defer(
                      item->allocator, [](void *) { count++; }, nullptr),
                  FA_OK);
    };
    ASSERT_EQ(fa_events_subscribe(allocator, &config, nullptr), FA_OK);
    std::thread([&] { EXPECT_NE(fa_frame_begin(allocator), nullptr); }).join();
    EXPECT_EQ(count, 1);
}

TEST(EventsNames, AreThere) {
    std::set<std::string> names;
    for (int kind = 0; kind < FA_EVENTS_KIND_COUNT; kind++)
        EXPECT_TRUE(names.insert(fa_events_kind_name(static_cast<fa_events_kind>(kind))).second);
    EXPECT_EQ(names.count("unknown"), 0u);
    EXPECT_STREQ(fa_events_kind_name(FA_EVENTS_KIND_COUNT), "unknown");
    EXPECT_STREQ(fa_events_kind_name(FA_EVENTS_THREAD_DETACHED), "thread detached");
    EXPECT_STREQ(fa_events_kind_name(FA_EVENTS_BUDGET), "budget");
}

} // namespace
