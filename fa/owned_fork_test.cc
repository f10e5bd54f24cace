// What the child of a fork finds of what allocators own, whatever other threads were at: handles,
// streams, arenas.
#include "fa/testing_checked.hpp"
#include "fa/testing_forks.hpp"
#include "fa/testing_handles.hpp"

#include <atomic>

using namespace fa_testing;

namespace {

// Where a thread waits, in the middle of something, until it is let go.
struct Gate {
    std::atomic<bool> inside{false}, go{false};

    void Wait() {
        inside = true;
        while (!go)
            std::this_thread::yield();
    }
    void AwaitInside() const {
        while (!inside)
            std::this_thread::yield();
    }
};

class OwnedFork : public testing::TestWithParam<uint32_t> {
  protected:
    void SetUp() override {
        if (kTsan)
            GTEST_SKIP() << "it does not follow a fork of a program with threads";
        fa_alloc_config config = Plain();
        config.checks = GetParam();
        config.on_event = nullptr;
        config.bytes_max = 20 << 20;
        ASSERT_EQ(fa_allocator_create(&config, &allocator_), FA_OK);
    }
    void TearDown() override {
        if (allocator_ == nullptr)
            return;
        ExpectValid(allocator_);
        EXPECT_EQ(fa_allocator_destroy(allocator_), 0u);
    }
    fa_allocator *allocator_ = nullptr;
};

// ---- handles ----

class HandlesFork : public OwnedFork {
  protected:
    static constexpr size_t kObjects = 2000, kSize = 200;

    // The first object that moves is freed, or not, and stays in the gate.
    static void OnMoved(void *user, fa_handles *handles, fa_handle handle, void *, void *, size_t) {
        auto *self = static_cast<HandlesFork *>(user);
        if (self->told_++ != 0)
            return;
        self->first_ = handle;
        if (self->frees_) {
            EXPECT_EQ(fa_handle_free(handles, handle), FA_OK);
        }
        if (self->forks_)
            InChild([&] { return self->InCallback(); });
        else
            self->gate_.Wait();
    }
    void Run(bool frees, bool forks) {
        frees_ = frees;
        forks_ = forks;
        fa_handles_options options = {};
        options.on_moved = OnMoved;
        options.on_moved_user = this;
        handles_ = fa_handles_create(allocator_, &options);
        ASSERT_NE(handles_, nullptr);
        for (size_t i = 0; i < kObjects; i++) {
            const fa_handle handle = fa_handle_alloc(handles_, kSize);
            auto *object = static_cast<char *>(fa_handle_get(handles_, handle));
            ASSERT_NE(object, nullptr);
            Paint(object, i, kSize);
            all_.push_back(handle);
        }
        for (size_t i = 0; i < kObjects; i++)
            if (i % 4 != 0) {
                EXPECT_EQ(fa_handle_free(handles_, all_[i]), FA_OK);
            }
        std::thread other([&] { fa_handles_compact(handles_, 0, 0); });
        if (!forks) {
            gate_.AwaitInside();
            InChild([&] { return InTheChild(); });
            gate_.go = true;
        }
        other.join();
        EXPECT_EQ(Contents(), 0);
        CompactAll(handles_);
        ExpectValid(allocator_);
    }
    int Contents() {
        for (size_t i = 0; i < kObjects; i += 4) {
            auto *object = static_cast<char *>(fa_handle_get(handles_, all_[i]));
            const bool gone = frees_ && fa_handle_equal(all_[i], first_);
            CHILD_EXPECT((object == nullptr) == gone);
            CHILD_EXPECT(gone || IsPainted(object, i, kSize));
        }
        return 0;
    }
    // The object can be moved again, and its old place is used; nothing is held for ever.
    int InTheChild() {
        CHILD_EXPECT(fa_validate(allocator_, nullptr) == FA_OK);
        fa_handles_step step;
        do
            step = fa_handles_compact(handles_, 0, 0);
        while (!step.done);
        if (int line = Contents())
            return line;
        fa_handles_stats stats;
        CHILD_EXPECT(fa_handles_stats_get(handles_, &stats) == FA_OK);
        CHILD_EXPECT(stats.live_count == kObjects / 4 - frees_);
        CHILD_EXPECT(stats.slot_count == stats.live_count + stats.slot_free_count);
        const size_t slabs = stats.slab_count - stats.slab_empty_count;
        CHILD_EXPECT(slabs == (kObjects / 4 * (kSize + 32) + 65535) / 65536);
        CHILD_EXPECT(fa_validate(allocator_, nullptr) == FA_OK);
        for (size_t i = 0; i < kObjects; i += 4)
            CHILD_EXPECT(fa_handle_equal(all_[i], first_) ||
                         fa_handle_free(handles_, all_[i]) == FA_OK);
        CHILD_EXPECT(frees_ || fa_handle_free(handles_, first_) == FA_OK);
        CHILD_EXPECT(fa_handles_stats_get(handles_, &stats) == FA_OK);
        CHILD_EXPECT(stats.live_count == 0 && stats.slab_count == stats.slab_empty_count);
        CHILD_EXPECT(fa_handles_destroy(handles_) == 0);
        CHILD_EXPECT(fa_allocator_destroy(allocator_) == 0);
        return 0;
    }
    // The move is this thread's: it goes on being told.
    int InCallback() {
        CHILD_EXPECT((fa_handle_get(handles_, first_) == nullptr) == frees_);
        CHILD_EXPECT(fai_handle_slot_at(handles_, first_.index).state != nullptr);
        CHILD_EXPECT(handles_->told_count == 1);
        CHILD_EXPECT(fa_validate(allocator_, nullptr) == FA_OK);
        return 0;
    }

    fa_handles *handles_ = nullptr;
    std::vector<fa_handle> all_;
    bool frees_ = false, forks_ = false;
    size_t told_ = 0;
    fa_handle first_ = {0, 0};
    Gate gate_;
};

TEST_P(HandlesFork, AMoveThatWasBeingToldIsOver) { Run(false, false); }
TEST_P(HandlesFork, SoItIsWhenTheObjectWasFreed) { Run(true, false); }
TEST_P(HandlesFork, NotSoInTheCallbackItself) { Run(false, true); }

// ---- streams ----

class StreamsFork : public OwnedFork {
  protected:
    static constexpr size_t kEach = 1000;

    void Create(size_t bytes_max) {
        fa_streams_config config = fa_streams_config_default();
        config.bytes_max = bytes_max;
        config.on_evict = [](void *user, const fa_eviction *eviction) {
            auto *self = static_cast<StreamsFork *>(user);
            if (eviction->cause == FA_EVICT_DESTROY)
                return;
            if (self->forks_)
                self->ForkInside();
            else
                self->gate_.Wait();
        };
        config.on_evict_user = this;
        ASSERT_EQ(fa_streams_create(allocator_, &config, &streams_), FA_OK);
    }
    fa_stream Load() {
        const fa_stream stream = fa_stream_reserve(streams_, kEach, 16, FA_STREAM_NORMAL, nullptr);
        EXPECT_NE(fa_stream_begin(streams_, stream), nullptr);
        EXPECT_EQ(fa_stream_finish(streams_, stream), FA_OK);
        return stream;
    }
    void ForkInside() {
        InChild([&]() -> int {
            fa_streams_stats stats;
            CHILD_EXPECT(fa_streams_stats_get(streams_, &stats) == FA_OK);
            CHILD_EXPECT(stats.claimed_bytes == 0 && stats.evicting_bytes == kEach);
            CHILD_EXPECT(fa_validate(allocator_, nullptr) == FA_OK);
            return 0;
        });
    }

    fa_streams *streams_ = nullptr;
    bool forks_ = false;
    Gate gate_;
};

TEST_P(StreamsFork, EvictionsAreOverAndTheirRoomIsFree) {
    Create(4 * kEach);
    fa_stream all[4];
    for (fa_stream &stream : all)
        stream = Load();
    // The first is told, two more are to follow.
    std::thread other([&] {
        EXPECT_NE(fa_stream_reserve(streams_, 3 * kEach, 16, FA_STREAM_NORMAL, nullptr),
                  FA_STREAM_NONE);
    });
    gate_.AwaitInside();
    InChild([&]() -> int {
        CHILD_EXPECT(fa_validate(allocator_, nullptr) == FA_OK);
        CHILD_EXPECT(fa_stream_access(streams_, all[0]) == nullptr);
        for (int i = 1; i < 4; i++)
            CHILD_EXPECT(fa_stream_access(streams_, all[i]) != nullptr);
        fa_streams_stats stats;
        CHILD_EXPECT(fa_streams_stats_get(streams_, &stats) == FA_OK);
        CHILD_EXPECT(stats.used_bytes == 3 * kEach && stats.ready_bytes == 3 * kEach);
        CHILD_EXPECT(stats.claimed_bytes == 0 && stats.count == 3);
        CHILD_EXPECT(fa_stream_reserve(streams_, kEach, 16, FA_STREAM_NORMAL, nullptr) !=
                     FA_STREAM_NONE);
        CHILD_EXPECT(fa_streams_destroy(streams_) == 0);
        CHILD_EXPECT(fa_validate(allocator_, nullptr) == FA_OK);
        return 0;
    });
    gate_.go = true;
    other.join();
}

// One thread waits for memory, its stream was released meanwhile or not; another one loads.
TEST_P(StreamsFork, LoadsAreOver) {
    Create(100 << 20);
    ASSERT_EQ(fa_reclaimer_add(
                  allocator_, 0,
                  [](void *user, fa_allocator *, size_t) -> size_t {
                      static_cast<Gate *>(user)->Wait();
                      return 0;
                  },
                  &gate_),
              FA_OK);
    const auto reserve = [&](size_t size) {
        return fa_stream_reserve(streams_, size, 16, FA_STREAM_NORMAL, nullptr);
    };
    const fa_stream large = reserve(30 << 20), released = reserve(31 << 20);
    std::thread first([&] { EXPECT_EQ(fa_stream_begin(streams_, large), nullptr); });
    std::thread second([&] { EXPECT_EQ(fa_stream_begin(streams_, released), nullptr); });
    const fa_stream loading = reserve(kEach), dropped = reserve(kEach);
    OnThread([&] {
        EXPECT_NE(fa_stream_begin(streams_, loading), nullptr);
        EXPECT_NE(fa_stream_begin(streams_, dropped), nullptr);
    });
    EXPECT_EQ(fa_stream_release(streams_, dropped), FA_OK);
    fa_stream_info info = {};
    for (fa_stream stream : {large, released})
        while (fa_stream_get(streams_, stream, &info) == FA_OK && info.state != FA_STREAM_LOADING)
            std::this_thread::yield();
    EXPECT_EQ(fa_stream_release(streams_, released), FA_OK);
    gate_.AwaitInside();
    InChild([&]() -> int {
        CHILD_EXPECT(fa_validate(allocator_, nullptr) == FA_OK);
        fa_streams_stats stats;
        CHILD_EXPECT(fa_streams_stats_get(streams_, &stats) == FA_OK);
        CHILD_EXPECT(stats.used_bytes == (30 << 20) + 2 * kEach && stats.loading_count == 1);
        CHILD_EXPECT(stats.reserved_bytes == 30 << 20);
        CHILD_EXPECT(fa_stream_release(streams_, large) == FA_OK);
        CHILD_EXPECT(fa_stream_cancel(streams_, dropped) == FA_OK);
        CHILD_EXPECT(fa_stream_finish(streams_, loading) == FA_OK);
        CHILD_EXPECT(fa_streams_stats_get(streams_, &stats) == FA_OK);
        CHILD_EXPECT(stats.used_bytes == kEach && stats.count == 1);
        CHILD_EXPECT(fa_streams_destroy(streams_) == 0);
        CHILD_EXPECT(fa_validate(allocator_, nullptr) == FA_OK);
        return 0;
    });
    gate_.go = true;
    first.join();
    second.join();
    EXPECT_EQ(fa_stream_cancel(streams_, loading), FA_OK);
    EXPECT_EQ(fa_stream_cancel(streams_, dropped), FA_OK);
}

TEST_P(StreamsFork, NotSoInTheCallbackItself) {
    Create(2 * kEach);
    forks_ = true;
    (void)Load();
    (void)Load();
    EXPECT_NE(fa_stream_reserve(streams_, kEach, 16, FA_STREAM_NORMAL, nullptr), FA_STREAM_NONE);
}

// ---- arenas and tasks ----

// What a thread of the child has where the parent's thread had it does not make it that one.
TEST_P(OwnedFork, NobodyHoldsWhatAThreadThatIsGoneHeld) {
    fa_own_arena arena = {nullptr, 0};
    const fa_own_arena mine = fa_own_arena_create(allocator_, "mine", 0, 0);
    Gate gate;
    std::thread other([&] {
        arena = fa_own_arena_create(allocator_, "arena", 0, 0);
        EXPECT_NE(fa_own_arena_alloc(arena, 100), nullptr);
        gate.Wait();
        EXPECT_NE(fa_own_arena_alloc(arena, 100), nullptr);
        EXPECT_EQ(fa_own_arena_free(arena), FA_OK);
    });
    gate.AwaitInside();
    InChild([&]() -> int {
        bool is_refused = false;
        std::thread([&] {
            is_refused = !fa_own_arena_is_held(arena) && fa_own_arena_give(arena).head == nullptr;
        }).join();
        CHILD_EXPECT(is_refused);
        CHILD_EXPECT(fa_own_arena_is_open(arena));
        CHILD_EXPECT(fa_own_arena_is_held(mine) && fa_own_arena_alloc(mine, 100) != nullptr);
        CHILD_EXPECT(fa_own_arena_free(mine) == FA_OK);
        CHILD_EXPECT(fa_validate(allocator_, nullptr) == FA_OK);
        CHILD_EXPECT(fa_allocator_destroy(allocator_) == 0);
        return 0;
    });
    gate.go = true;
    other.join();
    EXPECT_EQ(fa_own_arena_free(mine), FA_OK);
}

TEST_P(OwnedFork, LocalsOfASharedArenaCanBeEnded) {
    const fa_shared_arena arena = fa_shared_arena_create(allocator_, "arena", 0, 0);
    fa_shared_arena_local local;
    Gate gate;
    std::thread other([&] {
        EXPECT_EQ(fa_shared_arena_begin(arena, &local), FA_OK);
        EXPECT_NE(fa_shared_arena_alloc(&local, 100), nullptr);
        gate.Wait();
        EXPECT_EQ(fa_shared_arena_end(&local), FA_OK);
    });
    gate.AwaitInside();
    InChild([&]() -> int {
        CHILD_EXPECT(fa_shared_arena_reset(arena) == FA_ERROR_FOREIGN);
        CHILD_EXPECT(fa_shared_arena_end(&local) == FA_OK);
        CHILD_EXPECT(fa_shared_arena_reset(arena) == FA_OK);
        CHILD_EXPECT(fa_shared_arena_begin(arena, &local) == FA_OK);
        CHILD_EXPECT(fa_shared_arena_alloc(&local, 100) != nullptr);
        CHILD_EXPECT(fa_shared_arena_end(&local) == FA_OK);
        CHILD_EXPECT(fa_shared_arena_free(arena) == FA_OK);
        CHILD_EXPECT(fa_validate(allocator_, nullptr) == FA_OK);
        return 0;
    });
    gate.go = true;
    other.join();
    EXPECT_EQ(fa_shared_arena_free(arena), FA_OK);
}

// Another thread fills and resets without end: what it was at, the child begins and resets.
TEST_P(OwnedFork, AResetOfASharedArenaIsOver) {
    const fa_shared_arena arena = fa_shared_arena_create(allocator_, "arena", 0, 0);
    std::atomic<bool> stop{false};
    std::thread other([&] {
        while (!stop) {
            fa_shared_arena_local local;
            EXPECT_EQ(fa_shared_arena_begin(arena, &local), FA_OK);
            for (int i = 0; i < 4; i++)
                EXPECT_NE(fa_shared_arena_alloc(&local, 500000), nullptr);
            EXPECT_EQ(fa_shared_arena_end(&local), FA_OK);
            EXPECT_EQ(fa_shared_arena_reset(arena), FA_OK);
        }
    });
    for (size_t i = 0; i < Rounds(40); i++)
        InChild([&]() -> int {
            fa_shared_arena_stats stats;
            CHILD_EXPECT(fa_shared_arena_stats_get(arena, &stats) == FA_OK);
            const bool is_alone = stats.local_count == 0; /* else one that nobody ends */
            fa_shared_arena_local local;
            for (int round = 0; round < 3; round++) {
                CHILD_EXPECT(fa_shared_arena_begin(arena, &local) == FA_OK);
                char *blocks[100];
                for (size_t j = 0; j < 100; j++) {
                    blocks[j] = static_cast<char *>(fa_shared_arena_alloc(&local, 1 + j * 99));
                    CHILD_EXPECT(blocks[j] != nullptr);
                    Paint(blocks[j], j, 1 + j * 99);
                }
                for (size_t j = 0; j < 100; j++)
                    CHILD_EXPECT(IsPainted(blocks[j], j, 1 + j * 99));
                CHILD_EXPECT(fa_shared_arena_end(&local) == FA_OK);
                CHILD_EXPECT((fa_shared_arena_reset(arena) == FA_OK) == is_alone);
            }
            CHILD_EXPECT(fa_validate(allocator_, nullptr) == FA_OK);
            CHILD_EXPECT((fa_shared_arena_free(arena) == FA_OK) == is_alone);
            fa_allocator_destroy(allocator_);
            return 0;
        });
    stop = true;
    other.join();
    EXPECT_EQ(fa_shared_arena_free(arena), FA_OK);
}

TEST_P(OwnedFork, TasksGoOn) {
    const fa_task task = fa_task_begin(allocator_, "task");
    std::atomic<bool> stop{false};
    std::thread other([&] {
        while (!stop) {
            const fa_task own = fa_task_begin(allocator_, "other");
            EXPECT_EQ(fa_task_free(task, fa_task_alloc(task, 100)), FA_OK);
            EXPECT_NE(fa_task_alloc(own, 100), nullptr);
            EXPECT_EQ(fa_task_end(own), FA_OK);
        }
    });
    for (size_t i = 0; i < Rounds(20); i++)
        InChild([&]() -> int {
            CHILD_EXPECT(fa_task_alloc(task, 100) != nullptr);
            CHILD_EXPECT(fa_task_end(task) == FA_OK);
            CHILD_EXPECT(!fa_task_is_open(task));
            CHILD_EXPECT(fa_validate(allocator_, nullptr) == FA_OK);
            fa_allocator_destroy(allocator_);
            return 0;
        });
    stop = true;
    other.join();
    EXPECT_EQ(fa_task_end(task), FA_OK);
}

// A task that another thread gives its first destructor at that moment.
TEST_P(OwnedFork, TasksWithDestructorsEnd) {
    std::atomic<uint64_t> serial{0};
    std::atomic<fai_bump_head *> head{nullptr};
    std::atomic<bool> stop{false};
    std::thread other([&] {
        while (!stop) {
            const fa_task own = fa_task_begin(allocator_, "other");
            head = own.head; // the same one each time, but for the first
            serial = own.serial;
            EXPECT_EQ(fa_task_defer(
                          own, [](void *) {}, nullptr),
                      FA_OK);
            serial = 0;
            EXPECT_EQ(fa_task_end(own), FA_OK);
        }
    });
    for (size_t i = 0; i < Rounds(200); i++)
        InChild([&]() -> int {
            const fa_task task = {head, serial};
            if (task.serial != 0)
                (void)fa_task_end(task);
            fa_allocator_destroy(allocator_);
            return 0;
        });
    stop = true;
    other.join();
}

FA_TESTING_CHECKS_ALL(OwnedFork);
FA_TESTING_CHECKS_ALL(HandlesFork);
FA_TESTING_CHECKS_ALL(StreamsFork);

} // namespace
