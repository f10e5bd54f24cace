/* Regions by themselves: a model test of cutting, growing together, resizing and alignment. */
#include "fa/testing.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <random>
#include <vector>

#include <gtest/gtest.h>

extern "C" {
#include "fa/internal/region.h"
}

namespace {

constexpr size_t kRegionBytes = 256 << 10;

struct Free {
    void operator()(void *memory) const { std::free(memory); }
};

class Regions : public testing::Test {
  protected:
    Regions() { fai_regions_create(&regions_, kRegionBytes); }
    void add() {
        memory_.emplace_back(std::aligned_alloc(64, kRegionBytes));
        fai_span span = {};
        span.address = memory_.back().get();
        span.size = kRegionBytes;
        fai_regions_add(&regions_, &span);
    }
    /* Bytes that one block can take of an empty region. */
    size_t whole() {
        add();
        size_t bytes = regions_.free_bytes;
        fai_span span;
        EXPECT_TRUE(fai_regions_remove_empty(&regions_, &span));
        return bytes;
    }
    bool give(void *block) {
        fai_span span;
        return fai_regions_give(&regions_, block, &span);
    }
    fai_regions regions_;
    std::vector<std::unique_ptr<void, Free>> memory_;
};

TEST_F(Regions, NothingFitsWithoutARegion) {
    EXPECT_EQ(nullptr, fai_regions_take(&regions_, 64, 16));
    fai_span span;
    EXPECT_FALSE(fai_regions_remove_empty(&regions_, &span));
    EXPECT_FALSE(fai_regions_remove_any(&regions_, &span));
}

TEST_F(Regions, GrowTogetherInEveryOrder) {
    const size_t all = whole();
    int order[] = {0, 1, 2, 3};
    do {
        add();
        void *blocks[4];
        for (void *&block : blocks)
            ASSERT_NE(nullptr, block = fai_regions_take(&regions_, 1000, 16));
        for (int i : order) {
            EXPECT_FALSE(give(blocks[i])) << "one empty region is kept";
            ASSERT_EQ(nullptr, fai_regions_validate(&regions_));
        }
        EXPECT_EQ(all, regions_.free_bytes);
        EXPECT_EQ(1u, regions_.empty_count);
        fai_span span;
        ASSERT_TRUE(fai_regions_remove_empty(&regions_, &span));
        EXPECT_EQ(memory_.back().get(), span.address);
    } while (std::next_permutation(order, order + 4));
}

TEST_F(Regions, GiveOneBackWhenTwoAreEmpty) {
    add();
    add();
    void *block = fai_regions_take(&regions_, 1000, 16);
    EXPECT_EQ(1u, regions_.empty_count);
    EXPECT_TRUE(give(block));
    EXPECT_EQ(1u, regions_.region_count);
    EXPECT_EQ(1u, regions_.empty_count);
    EXPECT_EQ(nullptr, fai_regions_validate(&regions_));
}

TEST_F(Regions, ResizeTakesTheFreeNeighbourAndGivesTheRestBack) {
    add();
    void *first = fai_regions_take(&regions_, 1024, 16);
    void *second = fai_regions_take(&regions_, 1024, 16);
    size_t before = regions_.free_bytes;
    EXPECT_FALSE(fai_regions_resize(&regions_, first, 2048)) << "the neighbour is in use";
    EXPECT_TRUE(fai_regions_resize(&regions_, second, 4096));
    EXPECT_EQ(4096u, fai_regions_usable(second));
    EXPECT_TRUE(fai_regions_resize(&regions_, second, 1024));
    EXPECT_EQ(before, regions_.free_bytes);
    give(second);
    EXPECT_TRUE(fai_regions_resize(&regions_, first, 3000));
    EXPECT_GE(fai_regions_usable(first), 3000u);
    EXPECT_EQ(nullptr, fai_regions_validate(&regions_));
}

TEST_F(Regions, VisitFreeBlocksOfASize) {
    add();
    void *block = fai_regions_take(&regions_, 128 << 10, 16);
    size_t bytes = 0;
    auto count = [](void *user, const fai_span *span, void *address, size_t size) {
        *static_cast<size_t *>(user) += size;
        EXPECT_GE(address, span->address);
        std::memset(address, 0xEE, size); /* nothing of the book-keeping may lie in there */
    };
    fai_regions_visit_free(&regions_, 64 << 10, count, &bytes);
    EXPECT_GT(bytes, 100u << 10);
    EXPECT_EQ(nullptr, fai_regions_validate(&regions_));
    give(block);
    EXPECT_EQ(nullptr, fai_regions_validate(&regions_));
}

TEST_F(Regions, ModelOfRandomUse) {
    const uint64_t seed = std::random_device{}();
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937_64 random(seed);
    std::map<uintptr_t, std::pair<size_t, unsigned char>> live; /* address: size, contents */
    for (int i = 0; i < 4; i++)
        add();
    for (int step = 0; step < 20000; step++) {
        size_t size = 1 + random() % (random() % 8 ? 600 : 60000);
        size_t align = size_t{16} << (random() % 4 ? 0 : random() % 9);
        if (live.empty() || random() % 2) {
            auto *block = static_cast<char *>(fai_regions_take(&regions_, size, align));
            if (block == nullptr)
                continue;
            auto address = reinterpret_cast<uintptr_t>(block);
            ASSERT_EQ(0u, address % align);
            ASSERT_GE(fai_regions_usable(block), size);
            auto next = live.lower_bound(address);
            ASSERT_TRUE(next == live.end() || address + size <= next->first);
            if (next != live.begin()) {
                auto previous = std::prev(next);
                ASSERT_LE(previous->first + previous->second.first, address);
            }
            auto contents = static_cast<unsigned char>(random());
            std::memset(block, contents, size);
            live[address] = {size, contents};
            continue;
        }
        auto chosen = live.lower_bound(random() % 2 ? live.begin()->first + random() % (1 << 20)
                                                    : live.begin()->first);
        if (chosen == live.end())
            chosen = live.begin();
        auto *block = reinterpret_cast<unsigned char *>(chosen->first);
        for (size_t i = 0; i < chosen->second.first; i++)
            ASSERT_EQ(chosen->second.second, block[i]);
        if (random() % 3 == 0 && fai_regions_resize(&regions_, block, size)) {
            chosen->second.first = std::min(size, chosen->second.first);
            continue;
        }
        fai_span empty;
        if (fai_regions_give(&regions_, block, &empty)) {
            std::memset(empty.address, 0xDD, empty.size);
            fai_regions_add(&regions_, &empty);
        }
        live.erase(chosen);
        if (step % 64 == 0) {
            ASSERT_EQ(nullptr, fai_regions_validate(&regions_));
        }
    }
    fai_span span;
    size_t removed = 0;
    for (auto &entry : live)
        removed += give(reinterpret_cast<void *>(entry.first));
    EXPECT_EQ(nullptr, fai_regions_validate(&regions_));
    while (fai_regions_remove_empty(&regions_, &span))
        removed++;
    EXPECT_EQ(4u, removed) << "everything has grown together again";
}

} // namespace
