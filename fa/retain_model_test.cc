// A seeded mix of all that can be done to retained objects, against a model that knows where each
// must be: tiny chunks, marks and rewinds, tags, blocks retained later, frames in flight, policies
// that change, handles of any age. FA_TEST_SEED=... runs the same again.
#include "fa/testing_threads.hpp"

#include <algorithm>
#include <future>
#include <map>
#include <mutex>
#include <vector>

using namespace fa_testing;

namespace {

struct Object {
    fa_retained handle;
    size_t size, align;
    uint64_t mark;
    fa_retain_policy policy;
    fa_tag tag;
};

fa_retention RetentionOf(fa_retain_policy policy) {
    fa_retention retention = fa_retain_to_scratch("none");
    retention.policy = policy;
    return retention;
}

struct Setup {
    uint32_t checks, in_flight;
};

class RetainModel : public testing::TestWithParam<Setup> {
  protected:
    Random random;
    std::vector<Object> open, kept, dead; // in the open frame; afterwards; handles that are no good
    struct Mark {
        fa_mark mark;
        size_t count;
    };
    std::vector<Mark> marks;
    fa_allocator *allocator = nullptr;
    fa_frame *frame = nullptr;
    uint64_t next = 0;
    size_t leaked = 0, depth = 0;

    size_t Any(size_t count) { return random.Below(count); }

    fa_retain_policy Policy() { return static_cast<fa_retain_policy>(Any(FA_RETAIN_POLICY_COUNT)); }

    void Retain() {
        Object object = {};
        object.size = random.Size(6000);
        object.align = size_t{1} << Any(10);
        object.policy = Policy();
        object.tag = fa_tag_current(allocator);
        object.mark = ++next;
        const fa_retention retention = RetentionOf(object.policy);
        std::vector<char> source(object.size);
        Paint(source.data(), object.mark, object.size);
        switch (Any(3)) {
        case 0:
            object.handle = fa_frame_retain_in(frame, object.size, object.align, retention);
            break;
        case 1:
            object.handle = fa_frame_retain_copy(allocator, source.data(), object.size,
                                                 object.align, retention);
            break;
        default: {
            void *block = fa_frame_copy_in(frame, source.data(), object.size);
            ASSERT_NE(block, nullptr);
            object.handle =
                fa_frame_retain_block(allocator, block, object.size, object.align, retention);
        }
        }
        ASSERT_NE(object.handle.serial, 0u);
        void *block = fa_retained_get(allocator, object.handle);
        ASSERT_NE(block, nullptr);
        Paint(block, object.mark, object.size);
        open.push_back(object);
    }

    // One step inside of a frame.
    void Step() {
        switch (Any(12)) {
        case 0:
            (void)!fa_frame_alloc_in(frame, random.Size(4000));
            break;
        case 1:
            marks.push_back({fa_frame_mark_in(frame), open.size()});
            break;
        case 2:
            if (!marks.empty()) {
                marks.resize(1 + Any(marks.size()));
                EXPECT_EQ(fa_frame_rewind_in(frame, marks.back().mark), FA_OK);
                dead.insert(dead.end(), open.begin() + static_cast<long>(marks.back().count),
                            open.end());
                open.resize(marks.back().count);
            }
            break;
        case 3:
            if (!open.empty()) {
                Object &object = open[Any(open.size())];
                object.policy = Policy();
                EXPECT_EQ(fa_retained_set(allocator, object.handle, RetentionOf(object.policy)),
                          FA_OK);
            }
            break;
        case 4:
            // With room for one more: to move an object, its tag is entered.
            if (depth + 1 < FA_TAG_DEPTH_MAX) {
                EXPECT_EQ(fa_tag_enter(allocator, static_cast<fa_tag>(Any(4))), FA_OK);
                depth++;
            }
            break;
        case 5:
            if (depth != 0) {
                EXPECT_EQ(fa_tag_leave(allocator), FA_OK);
                depth--;
            }
            break;
        case 6:
            if (!kept.empty())
                End(Any(kept.size()));
            break;
        default:
            Retain();
        }
    }

    // An object that was kept is released, or taken and freed.
    void End(size_t index) {
        const Object object = kept[index];
        if (object.policy == FA_RETAIN_LEAK)
            return;
        if (random.OneIn(2)) {
            EXPECT_EQ(fa_retained_release(allocator, object.handle), FA_OK);
        } else {
            void *block = fa_retained_take(allocator, object.handle);
            EXPECT_TRUE(IsPainted(block, object.mark, object.size));
            fa_free(allocator, block);
        }
        kept.erase(kept.begin() + static_cast<long>(index));
        dead.push_back(object);
    }

    void EndFrame() {
        fa_frame_summary summary;
        EXPECT_EQ(fa_frame_retained_count_in(frame), open.size());
        EXPECT_EQ(fa_frame_end_with_summary_in(frame, &summary), FA_OK);
        marks.clear();
        std::map<fa_retain_policy, size_t> counts;
        size_t bytes = 0;
        for (const Object &object : open) {
            counts[object.policy]++;
            bytes += object.size;
            (object.policy == FA_RETAIN_DISCARD || object.policy == FA_RETAIN_SCRATCH ? dead : kept)
                .push_back(object);
        }
        const fa_retain_sums &sums = summary.sums;
        EXPECT_EQ(sums.retained.count, open.size());
        EXPECT_EQ(sums.retained.bytes, bytes);
        EXPECT_EQ(sums.discarded.count, counts[FA_RETAIN_DISCARD]);
        EXPECT_EQ(sums.failed.count, counts[FA_RETAIN_SCRATCH]);
        EXPECT_EQ(sums.leaked.count, counts[FA_RETAIN_LEAK]);
        EXPECT_EQ(sums.pool.count + sums.heap.count,
                  counts[FA_RETAIN_POOL] + counts[FA_RETAIN_HEAP]);
        leaked += counts[FA_RETAIN_LEAK];
        std::vector<fa_retained_info> info(open.size());
        EXPECT_EQ(fa_frame_summary_objects(allocator, info.data(), info.size()), open.size());
        for (size_t i = 0; i < info.size(); i++)
            EXPECT_EQ(info[i].handle.serial, open[i].handle.serial);
        std::vector<fa_summary_part> parts(fa_frame_summary_tags(allocator, nullptr, 0));
        fa_frame_summary_tags(allocator, parts.data(), parts.size());
        size_t count = 0, frame_bytes = 0;
        for (const fa_summary_part &part : parts) {
            count += part.sums.retained.count;
            frame_bytes += part.frame_bytes;
        }
        EXPECT_EQ(count, open.size());
        EXPECT_EQ(frame_bytes, summary.frame_bytes);
        open.clear();
    }

    void Check() {
        for (const Object &object : open)
            EXPECT_TRUE(
                IsPainted(fa_retained_get(allocator, object.handle), object.mark, object.size));
        for (const Object &object : kept) {
            fa_retained_info info;
            ASSERT_EQ(fa_retained_describe(allocator, object.handle, &info), FA_OK);
            EXPECT_TRUE(IsPainted(info.address, object.mark, object.size));
            EXPECT_TRUE(IsAligned(info.address, object.align));
            EXPECT_EQ(info.address, fa_retained_get(allocator, object.handle));
            EXPECT_EQ(info.size, object.size);
            EXPECT_EQ(info.tag, object.tag);
            EXPECT_EQ(info.policy, object.policy);
        }
        for (const Object &object : dead) {
            EXPECT_EQ(fa_retained_get(allocator, object.handle), nullptr);
            EXPECT_EQ(fa_retained_take(allocator, object.handle), nullptr);
        }
        if (dead.size() > 200)
            dead.erase(dead.begin(), dead.begin() + 100);
    }
};

INSTANTIATE_TEST_SUITE_P(All, RetainModel,
                         testing::Values(Setup{0, 1}, Setup{0, 2}, Setup{FA_CHECK_ALL, 1},
                                         Setup{FA_CHECK_ALL, 3}));

TEST_P(RetainModel, AgainstANaiveOne) {
    fa_alloc_config config = Config(GetParam().checks);
    config.frames_in_flight = GetParam().in_flight;
    config.frame_chunk_bytes_first = 4096;
    config.frame_chunk_bytes_max = 8192;
    Tracked tracked(config);
    allocator = tracked;
    for (size_t round = 0; round < Rounds(400); round++) {
        frame = fa_frame_begin(allocator);
        ASSERT_NE(frame, nullptr);
        for (size_t steps = random.OneIn(4) ? 0 : Any(60); steps > 0; steps--)
            Step();
        if (random.OneIn(8))
            Check();
        EndFrame();
        if (random.OneIn(4))
            Check();
        while (kept.size() > 100 + leaked && !HasFatalFailure())
            End(Any(kept.size()));
        if (random.OneIn(16))
            tracked.Check();
        if (random.OneIn(50)) {
            for (; depth != 0; depth--)
                EXPECT_EQ(fa_tag_leave(allocator), FA_OK);
            EXPECT_EQ(fa_thread_detach(allocator), FA_OK); // what was kept stays
        }
    }
    Check();
    tracked.Check();
    EXPECT_EQ(tracked.Destroy(), 0u) << "nothing of it is a leak";
}

// Each thread retains and hands what was kept to the next one, which reads and releases it, while
// others ask about all handles at any time.
TEST(RetainThreads, HandlesGoFromThreadToThread) {
    for (uint32_t checks : {0u, uint32_t{FA_CHECK_ALL}}) {
        Tracked tracked(Config(checks));
        constexpr size_t kThreads = 3, kObjects = 40;
        const size_t rounds = Rounds(200);
        std::vector<std::thread> threads;
        std::mutex mutex;
        std::vector<fa_retained> given; // kept, and still to be released
        for (size_t number = 0; number < kThreads; number++)
            threads.emplace_back([&] {
                for (size_t round = 0; round < rounds; round++) {
                    fa_retained mine[kObjects];
                    fa_frame *frame = fa_frame_begin(tracked);
                    for (size_t i = 0; i < kObjects; i++) {
                        mine[i] = fa_frame_retain_in(
                            frame, 100, 16, i % 2 ? fa_retain_to_pool() : fa_retain_to_heap());
                        Paint(fa_retained_get(tracked, mine[i]), 5, 100);
                    }
                    EXPECT_EQ(fa_frame_end_in(frame), FA_OK);
                    std::vector<fa_retained> taken;
                    {
                        std::lock_guard<std::mutex> guard(mutex);
                        taken.swap(given);
                        given.assign(mine, mine + kObjects);
                    }
                    for (const fa_retained &each : taken) {
                        EXPECT_TRUE(IsPainted(fa_retained_get(tracked, each), 5, 100));
                        EXPECT_EQ(fa_retained_release(tracked, each), FA_OK);
                    }
                    for (const fa_retained &each : mine) { // some are gone by now
                        (void)fa_retained_kind_of(tracked, each);
                        (void)fa_retained_get(tracked, each);
                    }
                }
            });
        for (std::thread &thread : threads)
            thread.join();
        for (const fa_retained &each : given)
            EXPECT_EQ(fa_retained_release(tracked, each), FA_OK);
        EXPECT_EQ(tracked.Live(), 0u);
        tracked.Check();
    }
}

// A thread that exits, or detaches, with an open frame ends it: its objects are kept.
TEST(RetainThreads, ExitAndDetachKeep) {
    for (uint32_t checks : {0u, uint32_t{FA_CHECK_ALL}}) {
        Tracked tracked(Config(checks));
        fa_retained pool = {}, gone = {};
        for (bool detach : {false, true}) {
            OnThread([&] {
                fa_frame_begin(tracked);
                pool = fa_frame_retain(tracked, 100, 16, fa_retain_to_pool());
                gone = fa_frame_retain(tracked, 100, 16, fa_retain_discarded());
                Paint(fa_retained_get(tracked, pool), 3, 100);
                if (detach) {
                    EXPECT_EQ(fa_thread_detach(tracked), FA_OK);
                    EXPECT_EQ(fa_retained_kind_of(tracked, pool), FA_RETAINED_POOL);
                }
            });
            EXPECT_TRUE(IsPainted(fa_retained_get(tracked, pool), 3, 100));
            EXPECT_EQ(fa_retained_get(tracked, gone), nullptr);
            tracked.Check();
            EXPECT_EQ(fa_retained_release(tracked, pool), FA_OK);
            EXPECT_EQ(tracked.Live(), 0u);
        }
    }
}

// Open frames of this and of another thread when the allocator goes.
TEST(RetainThreads, DestroyDiscardsOpenFrames) {
    for (uint32_t checks : {0u, uint32_t{FA_CHECK_ALL}}) {
        Tracked tracked(Config(checks));
        std::promise<void> retained, gone;
        std::thread other([&] {
            fa_frame_begin(tracked);
            (void)fa_frame_retain(tracked, 100, 16, fa_retain_to_heap());
            retained.set_value();
            gone.get_future().wait();
        });
        retained.get_future().wait();
        fa_frame_begin(tracked);
        (void)fa_frame_retain(tracked, 100, 16, fa_retain_to_pool());
        EXPECT_EQ(fa_frame_end(tracked), FA_OK);
        fa_frame_begin(tracked);
        (void)fa_frame_retain(tracked, 100, 16, fa_retain_to_pool());
        EXPECT_EQ(tracked.Destroy(), 0u);
        gone.set_value();
        other.join();
    }
}

} // namespace
