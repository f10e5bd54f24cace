// Chunks of frames: what becomes of them when they can't go back, and who finds them.
#include "fa/testing_threads.hpp"

#include <map>

// Names of functions in the reports would take most of the time. Read by the sanitizer's start-up.
extern "C" const char *__asan_default_options();
extern "C" const char *__asan_default_options() { return "symbolize=0"; }

using namespace fa_testing;

namespace {

volatile char g_sink;

class ChunksDeathTest : public testing::TestWithParam<uint32_t> {
  protected:
    static fa_alloc_config Small() {
        fa_alloc_config config = Config(GetParam());
        config.frame_chunk_bytes_first = 4096;
        config.frame_chunk_bytes_max = 16384;
        return config;
    }
    static void Read(const char *address) { g_sink = *static_cast<const volatile char *>(address); }
    // Nobody may look there: the sanitizer sees it, else FA_CHECK_FILL shows that it is dead.
    static void ExpectDead(const char *block, size_t size) {
        if (kAsan) {
            EXPECT_DEATH(Read(block), "AddressSanitizer");
            EXPECT_DEATH(Read(block + size - 1), "AddressSanitizer");
        } else if ((GetParam() & FA_CHECK_FILL) != 0) {
            EXPECT_TRUE(IsFilled(block, 0xCD, size));
        }
    }
};

// The blocks of a frame that takes several chunks, one of them for a block alone.
std::map<char *, size_t> Fill(fa_allocator *allocator) {
    std::map<char *, size_t> blocks;
    for (size_t size : {1000u, 3000u, 9000u, 100u, 60000u, 5000u}) {
        auto *block = static_cast<char *>(fa_frame_alloc(allocator, size));
        EXPECT_NE(block, nullptr);
        memset(block, 1, size);
        blocks[block] = size;
    }
    return blocks;
}

TEST_P(ChunksDeathTest, WhatASealedAllocatorKeepsOfAThreadIsDead) {
    Tracked allocator(Small());
    std::map<char *, size_t> blocks;
    OnThread([&] {
        ASSERT_NE(fa_frame_begin(allocator), nullptr);
        blocks = Fill(allocator);
        fa_backend_seal(allocator);
        ASSERT_EQ(fa_frame_end(allocator), FA_OK);
        ASSERT_EQ(fa_thread_detach(allocator), FA_OK);
        for (const auto &[block, size] : blocks)
            ExpectDead(block, size);
        // It takes its state again, and its memory.
        ASSERT_NE(fa_frame_begin(allocator), nullptr);
        auto *again = static_cast<char *>(fa_frame_alloc(allocator, 2000));
        ASSERT_NE(again, nullptr);
        memset(again, 2, 2000);
        EXPECT_EQ(fa_intent_of(allocator, again), FA_INTENT_FRAME);
        ASSERT_EQ(fa_frame_end(allocator), FA_OK);
    });
    for (const auto &[block, size] : blocks)
        ExpectDead(block, size); // and its end has done the same
    allocator.Check();
}

// A spill that a rewind, or the end, would have given back.
TEST_P(ChunksDeathTest, SoAreSpillsThatStay) {
    fa_alloc_config config = Small();
    config.frame_bytes_max = 8192;
    config.frame_full = FA_FRAME_FULL_SPILL;
    Tracked allocator(config);
    ASSERT_NE(fa_frame_begin(allocator), nullptr);
    ASSERT_NE(fa_frame_alloc(allocator, 1000), nullptr);
    const fa_mark mark = fa_frame_mark(allocator);
    auto *first = static_cast<char *>(fa_frame_alloc(allocator, 20000));
    auto *second = static_cast<char *>(fa_frame_alloc(allocator, 30000));
    ASSERT_TRUE(first != nullptr && second != nullptr);
    memset(first, 1, 20000);
    memset(second, 1, 30000);
    fa_backend_seal(allocator);
    ASSERT_EQ(fa_frame_rewind(allocator, mark), FA_OK);
    ExpectDead(first, 20000);
    ExpectDead(second, 30000);
    // They are ordinary chunks now: the sealed allocator has no other memory.
    auto *again = static_cast<char *>(fa_frame_alloc(allocator, 20000));
    EXPECT_TRUE(again == first || again == second);
    ASSERT_EQ(fa_frame_end(allocator), FA_OK);
    ExpectDead(again, 20000);
    allocator.Check();
}

INSTANTIATE_TEST_SUITE_P(Checks, ChunksDeathTest, testing::Values(0u, uint32_t{FA_CHECK_ALL}));

} // namespace
