// Scratch pools, scopes and groups against a naive model, with the seed printed; and with the
// backend failing at each of its calls: nothing is lost, nothing leaks.
#include "fa/testing_threads.hpp"

#include <algorithm>
#include <string>

using namespace fa_testing;

namespace {

struct Block {
    unsigned char *address;
    size_t size;
    uint64_t mark;
};

// What an arena should hold: blocks, and how many there were at each mark or scope.
struct Model {
    std::vector<Block> blocks;
    std::vector<size_t> levels;

    void Expect() const {
        for (const Block &block : blocks)
            ASSERT_TRUE(IsPainted(block.address, block.mark, block.size));
    }
    void GoBack(size_t level) { blocks.resize(levels[level]); }
};

class World {
  public:
    World(Random &random, fa_allocator *allocator, bool may_fail)
        : random_(random), allocator_(allocator), may_fail_(may_fail) {}

    void Run(int steps) {
        for (int i = 0; i < steps && !testing::Test::HasFatalFailure(); i++) {
            switch (random_.Below(3)) {
            case 0:
                PoolStep();
                break;
            case 1:
                ScopeStep();
                break;
            default:
                GroupStep();
            }
            if (random_.OneIn(64))
                ExpectValid(allocator_);
        }
        Finish();
    }

  private:
    struct Pool {
        fa_scratch_pool handle;
        Model model;
        std::vector<fa_scratch_pool_mark> marks;
    };
    struct Scope {
        fa_scratch handle;
        Model model;
    };
    struct Group {
        fa_group handle;
        Model model;
        size_t destructors;
    };
    static constexpr size_t kPools = 4, kGroups = 8;

    size_t Size() { return random_.OneIn(40) ? random_.Size(1 << 20) : random_.Size(5000); }

    // Keeps a block that was had; where it may, a failure has to have a reason.
    void Got(Model *model, void *address, size_t size) {
        if (address == nullptr) {
            EXPECT_TRUE(may_fail_);
            EXPECT_EQ(fa_last_error().status, FA_ERROR_NO_MEMORY);
            return;
        }
        Paint(address, ++mark_, size);
        model->blocks.push_back({static_cast<unsigned char *>(address), size, mark_});
    }
    // A block that was to get another size: `grown` is where it lies now, or NULL.
    void Grown(Model *model, size_t index, void *grown, size_t size) {
        Block &block = model->blocks[index];
        if (grown == nullptr) {
            EXPECT_TRUE(may_fail_);
            return;
        }
        ASSERT_TRUE(IsPainted(grown, block.mark, std::min(size, block.size)));
        Paint(grown, ++mark_, size);
        block = {static_cast<unsigned char *>(grown), size, mark_};
    }

    void PoolStep() {
        Pool &pool = pools_[random_.Below(kPools)];
        const std::string name = "pool " + std::to_string(&pool - pools_);
        if (!fa_scratch_pool_is_open(pool.handle)) {
            EXPECT_EQ(fa_scratch_pool_alloc(pool.handle, 16), nullptr);
            pool = {
                fa_scratch_pool_open(allocator_, name.c_str(), random_.Below(100000), 0), {}, {}};
            EXPECT_TRUE(may_fail_ || fa_scratch_pool_is_open(pool.handle));
            return;
        }
        Model &model = pool.model;
        const size_t what = random_.Below(40);
        if (what == 0) {
            model.Expect();
            EXPECT_EQ(fa_scratch_pool_remove(pool.handle), FA_OK);
            model = {}, pool.marks.clear();
        } else if (what <= 2) {
            model.Expect();
            EXPECT_EQ(fa_scratch_pool_reset(pool.handle), FA_OK);
            for (fa_scratch_pool_mark mark : pool.marks)
                EXPECT_EQ(fa_scratch_pool_rewind(pool.handle, mark), FA_ERROR_FOREIGN);
            model = {}, pool.marks.clear();
        } else if (what <= 6) {
            const fa_scratch_pool_mark mark = fa_scratch_pool_mark_set(pool.handle);
            EXPECT_TRUE(may_fail_ || mark.serial != 0);
            if (mark.serial != 0)
                pool.marks.push_back(mark), model.levels.push_back(model.blocks.size());
        } else if (what <= 8 && !pool.marks.empty()) {
            const size_t level = random_.Below(pool.marks.size());
            model.Expect();
            EXPECT_EQ(fa_scratch_pool_rewind(pool.handle, pool.marks[level]), FA_OK);
            if (level + 1 < pool.marks.size()) {
                EXPECT_EQ(fa_scratch_pool_rewind(pool.handle, pool.marks.back()), FA_ERROR_FOREIGN);
            }
            model.GoBack(level);
            pool.marks.resize(level + 1), model.levels.resize(level + 1);
        } else if (what <= 14 && !model.blocks.empty() && pool.marks.empty()) {
            const size_t index =
                random_.OneIn(2) ? model.blocks.size() - 1 : random_.Below(model.blocks.size());
            const Block block = model.blocks[index];
            const size_t size = Size();
            Grown(&model, index, fa_scratch_pool_grow(pool.handle, block.address, block.size, size),
                  size);
        } else {
            const size_t size = Size(), align = static_cast<size_t>(1) << random_.Below(10);
            void *block = random_.OneIn(3) ? fa_scratch_pool_alloc_aligned(pool.handle, size, align)
                                           : fa_scratch_pool_alloc(pool.handle, size);
            Got(&model, block, size);
        }
    }

    void ScopeStep() {
        const size_t what = random_.Below(20);
        if (scopes_.empty() || (what <= 2 && scopes_.size() < 30)) {
            fa_scratch conflicts[3];
            size_t count = 0;
            while (count < 3 && !scopes_.empty() && random_.OneIn(2))
                conflicts[count++] = scopes_[random_.Below(scopes_.size())].handle;
            const fa_scratch scope = fa_scratch_begin(allocator_, conflicts, count);
            EXPECT_TRUE(may_fail_ || scope.head != nullptr);
            for (size_t i = 0; i < count; i++)
                EXPECT_NE(scope.head, conflicts[i].head);
            if (scope.head != nullptr)
                scopes_.push_back({scope, {}});
            return;
        }
        // The newest of its arena is the last one with that head.
        const size_t index = random_.Below(scopes_.size());
        bool newest = true;
        for (size_t i = index + 1; i < scopes_.size(); i++)
            newest &= scopes_[i].handle.head != scopes_[index].handle.head;
        Scope &scope = scopes_[index];
        if (what <= 5) {
            scope.model.Expect();
            EXPECT_EQ(fa_scratch_end(scope.handle), newest ? FA_OK : FA_ERROR_FOREIGN);
            if (newest)
                scopes_.erase(scopes_.begin() + static_cast<std::ptrdiff_t>(index));
            return;
        }
        const size_t size = Size();
        if (!newest) {
            EXPECT_EQ(fa_scratch_alloc(scope.handle, size), nullptr);
        } else {
            Got(&scope.model, fa_scratch_alloc(scope.handle, size), size);
        }
    }

    static void Destroy(void *object) { ++**static_cast<size_t **>(object); }

    void GroupStep() {
        Group &group = groups_[random_.Below(kGroups)];
        if (!fa_group_is_open(group.handle)) {
            EXPECT_NE(fa_group_free(group.handle), FA_OK);
            group = {fa_group_create(allocator_, "group"), {}, 0};
            EXPECT_TRUE(may_fail_ || fa_group_is_open(group.handle));
        } else if (random_.OneIn(30)) {
            FreeGroup(&group);
        } else if (random_.OneIn(4)) {
            auto **object = static_cast<size_t **>(
                fa_group_alloc_with(group.handle, sizeof(size_t *), 8, Destroy));
            EXPECT_TRUE(may_fail_ || object != nullptr);
            if (object != nullptr)
                *object = &destroyed_, group.destructors++;
        } else {
            const size_t size = Size();
            Got(&group.model, fa_group_alloc(group.handle, size), size);
        }
    }

    void FreeGroup(Group *group) {
        group->model.Expect();
        destroyed_ = 0;
        EXPECT_EQ(fa_group_free(group->handle), FA_OK);
        EXPECT_EQ(destroyed_, group->destructors);
    }

    void Finish() {
        ExpectValid(allocator_);
        for (const Pool &pool : pools_)
            pool.model.Expect();
        while (!scopes_.empty()) {
            scopes_.back().model.Expect();
            EXPECT_EQ(fa_scratch_end(scopes_.back().handle), FA_OK);
            scopes_.pop_back();
        }
        for (Group &group : groups_)
            if (fa_group_is_open(group.handle))
                FreeGroup(&group);
        ExpectValid(allocator_);
    }

    Random &random_;
    fa_allocator *allocator_;
    bool may_fail_;
    uint64_t mark_ = 0;
    size_t destroyed_ = 0;
    Pool pools_[kPools] = {};
    std::vector<Scope> scopes_;
    Group groups_[kGroups] = {};
};

class BumpModel : public testing::TestWithParam<uint32_t> {};

TEST_P(BumpModel, BehavesAsTheNaiveOne) {
    Random random;
    for (int round = 0; round < 4; round++) {
        Source source;
        {
            fa_alloc_config config =
                Plain(round % 2 ? fa_alloc_config_minimal() : fa_alloc_config_default());
            config.checks = GetParam();
            Allocator allocator(config, source);
            World(random, allocator, false).Run(static_cast<int>(Rounds(6000)));
            EXPECT_EQ(allocator.Destroy(), 0u);
        }
        EXPECT_EQ(source.BytesLive(), 0u);
    }
}

// Each call of the backend fails, once or from then on.
TEST_P(BumpModel, LosesNothingWhenTheBackendFails) {
    Random random;
    for (const bool lasting : {false, true}) {
        for (uint64_t at = 1; at < Rounds(160); at++) {
            SCOPED_TRACE(at);
            Source source;
            source.Fail(at, lasting);
            fa_alloc_config config = Plain(fa_alloc_config_minimal());
            config.checks = GetParam();
            config.heap_cache_bytes = 0;
            config.backends[0] = source.backend;
            fa_allocator *allocator = nullptr;
            if (fa_allocator_create(&config, &allocator) != FA_OK ||
                fa_thread_attach(allocator) != FA_OK) {
                EXPECT_EQ(fa_allocator_destroy(allocator), 0u);
                continue;
            }
            World(random, allocator, true).Run(300);
            ExpectIdentities(allocator);
            EXPECT_EQ(fa_allocator_destroy(allocator), 0u);
            EXPECT_EQ(source.BytesLive(), 0u);
        }
    }
}

INSTANTIATE_TEST_SUITE_P(Checks, BumpModel, testing::Values(0u, uint32_t{FA_CHECK_ALL}));

} // namespace
