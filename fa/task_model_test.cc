// Tasks against a naive model: plain, captured and destroyed blocks, with every call of the backend
// failing once.
#include "fa/testing_checked.hpp"

#include <string>

using namespace fa_testing;

namespace {

struct Block {
    void *address;
    size_t size;
    uint64_t mark;
    bool is_captured;
    bool is_destroyed; // something is called when it goes; size is 0
};

struct Task {
    fa_task task;
    std::vector<Block> blocks;
};

class Model {
  public:
    Model(uint32_t checks, Random *random)
        : random_(*random), allocator_(Checked(checks), source_) {}

    void Run(uint64_t fail_at, uint64_t steps) {
        source_.Fail(fail_at, false);
        for (uint64_t step = 0; step < steps; step++) {
            ASSERT_NO_FATAL_FAILURE(Step(step));
            if (step % 100 == 0)
                ExpectValid(allocator_);
        }
        while (!captures_.empty())
            EndCapture();
        EXPECT_EQ(destroyed_, expected_);
        for (Task &each : tasks_)
            if (fa_task_is_open(each.task)) {
                fa_task_stats stats;
                EXPECT_EQ(fa_task_stats_get(each.task, &stats), FA_OK);
                EXPECT_EQ(stats.live_count, each.blocks.size());
                ExpectWhole(each);
            }
        ExpectValid(allocator_);
        EXPECT_EQ(allocator_.Destroy(), 0u);
        EXPECT_EQ(destroyed_, expected_);
        EXPECT_EQ(source_.BytesLive(), 0u);
    }

  private:
    static fa_alloc_config Checked(uint32_t checks) {
        fa_alloc_config config = Plain();
        config.checks = checks;
        return config;
    }
    static void Destroy(void *object) { ++**static_cast<int64_t **>(object); }

    void Step(uint64_t step) {
        Task &chosen = tasks_[random_.Below(3)];
        const size_t what = random_.Below(24);
        if (!fa_task_is_open(chosen.task))
            chosen.task = fa_task_begin(allocator_, "model");
        else if (what == 0 && random_.OneIn(3))
            End(&chosen);
        else if (what < 3)
            BeginCapture(chosen.task);
        else if (what < 5)
            EndCapture();
        else if (what < 11 && !chosen.blocks.empty())
            Free(&chosen);
        else if (what < 15)
            Add(&chosen, step, fa_task_alloc(chosen.task, size_ = random_.Size(20000)), false);
        else if (what < 18)
            AddDestroyed(&chosen);
        else if (!captures_.empty())
            AddCaptured(step);
    }

    void BeginCapture(fa_task task) {
        if (captures_.size() < 5 && fa_task_capture_begin(task) == FA_OK)
            captures_.push_back(task);
    }
    void EndCapture() {
        if (captures_.empty())
            return;
        EXPECT_EQ(fa_task_capture_end(captures_.back()), FA_OK);
        captures_.pop_back();
    }

    // All of its blocks are as they were left, and about to go.
    void ExpectWhole(const Task &task) {
        for (const Block &block : task.blocks) {
            EXPECT_TRUE(IsPainted(block.address, block.mark, block.size));
            expected_ += block.is_destroyed;
        }
    }
    void End(Task *chosen) {
        ExpectWhole(*chosen);
        EXPECT_EQ(fa_task_end(chosen->task), FA_OK);
        chosen->blocks.clear();
        EXPECT_EQ(destroyed_, expected_);
    }
    void Free(Task *chosen) {
        const size_t index = random_.Below(chosen->blocks.size());
        const Block block = chosen->blocks[index];
        EXPECT_TRUE(IsPainted(block.address, block.mark, block.size));
        expected_ += block.is_destroyed;
        if (!block.is_captured || random_.OneIn(2))
            EXPECT_EQ(fa_task_free(chosen->task, block.address), FA_OK);
        else if (random_.OneIn(2))
            fa_pool_free(allocator_, block.address);
        else
            fa_pool_free_sized(allocator_, block.address, block.size);
        EXPECT_EQ(destroyed_, expected_);
        chosen->blocks.erase(chosen->blocks.begin() + static_cast<std::ptrdiff_t>(index));
    }

    void Add(Task *task, uint64_t step, void *block, bool is_captured) {
        if (block == nullptr)
            return;
        Paint(block, step, size_);
        task->blocks.push_back({block, size_, step, is_captured, false});
    }
    void AddDestroyed(Task *task) {
        int64_t *calls = &destroyed_;
        void *object = fa_task_alloc_with(task->task, sizeof calls, Destroy);
        if (object == nullptr)
            return;
        memcpy(object, &calls, sizeof calls);
        task->blocks.push_back({object, 0, 0, false, true});
    }
    void AddCaptured(uint64_t step) {
        size_ = random_.Size(20000);
        void *block = random_.OneIn(3)
                          ? fa_pool_alloc_aligned(allocator_, size_, size_t{16} << random_.Below(8))
                          : fa_pool_alloc(allocator_, size_);
        for (Task &each : tasks_)
            if (each.task.head == captures_.back().head &&
                each.task.serial == captures_.back().serial)
                return Add(&each, step, block, true);
        EXPECT_EQ(block, nullptr) << "that task has ended";
    }

    Random &random_;
    Source source_;
    Allocator allocator_;
    Task tasks_[3] = {};
    std::vector<fa_task> captures_;
    size_t size_ = 0;
    int64_t destroyed_ = 0, expected_ = 0;
};

class TaskModel : public testing::TestWithParam<uint32_t> {};

TEST_P(TaskModel, WithFaults) {
    Random random;
    for (uint64_t at = 1; at < 20; at++)
        Model(GetParam(), &random).Run(at, 800);
}

FA_TESTING_CHECKS(TaskModel);

} // namespace
