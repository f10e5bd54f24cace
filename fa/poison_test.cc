// What the address sanitizer sees of memory that is dead, or next to a block.
#include "fa/testing_threads.hpp"

using namespace fa_testing;

// Names of functions in the reports would take most of the time. Read by the sanitizer's start-up.
extern "C" const char *__asan_default_options();
extern "C" const char *__asan_default_options() { return "symbolize=0"; }

namespace {

volatile char g_sink;

class PoisonDeathTest : public testing::TestWithParam<uint32_t> {
  protected:
    void SetUp() override {
        if (!kAsan)
            GTEST_SKIP() << "needs the address sanitizer";
    }
    static void Read(const void *address, size_t offset) {
        g_sink = static_cast<const volatile char *>(address)[offset];
    }
    static void ExpectDeath(const void *address, size_t offset) {
        EXPECT_DEATH(Read(address, offset), "AddressSanitizer") << "at " << offset;
    }

    Tracked allocator_{Config(GetParam())};
};

constexpr size_t kSizes[] = {1, 16, 100, 5000, 300000};

} // namespace

INSTANTIATE_TEST_SUITE_P(Checks, PoisonDeathTest, testing::Values(0u, uint32_t{FA_CHECK_ALL}));

TEST_P(PoisonDeathTest, PastAPoolBlock) {
    for (size_t size : kSizes) {
        auto *block = static_cast<char *>(fa_pool_alloc(allocator_, size));
        Read(block, size - 1);
        ExpectDeath(block, size);
        fa_pool_free_sized(allocator_, block, size);
    }
}

TEST_P(PoisonDeathTest, AFreedPoolBlock) {
    void *keep = fa_pool_alloc(allocator_, 100), *block = fa_pool_alloc(allocator_, 100);
    fa_pool_free(allocator_, block);
    ExpectDeath(block, 0);
    ExpectDeath(block, 99);
    void *other = fa_pool_alloc(allocator_, 100);
    OnThread([&] { fa_pool_free(allocator_, other); });
    ExpectDeath(other, 0);
    ExpectDeath(other, 99);
    Read(keep, 99);
    fa_pool_free(allocator_, keep);
}

TEST_P(PoisonDeathTest, UsableSizeMakesUsable) {
    auto *block = static_cast<char *>(fa_pool_alloc(allocator_, 17));
    size_t usable = fa_usable_size(allocator_, block);
    Read(block, usable - 1);
    fa_pool_free(allocator_, block);
}

TEST_P(PoisonDeathTest, PastAHeapBlock) {
    for (size_t size : kSizes) {
        auto *block = static_cast<char *>(fa_heap_alloc(allocator_, size));
        Read(block, size - 1);
        ExpectDeath(block, size);
        fa_heap_free(allocator_, block);
    }
}

TEST_P(PoisonDeathTest, AFreedHeapBlock) {
    for (size_t size : {100u, 5000u, 300000u}) {
        auto *block = static_cast<char *>(fa_heap_alloc(allocator_, size));
        fa_heap_free(allocator_, block);
        ExpectDeath(block, size / 2); // the heap itself uses the first words
        ExpectDeath(block, size - 1);
    }
}

TEST_P(PoisonDeathTest, PastAFrameBlock) {
    fa_frame *frame = fa_frame_begin(allocator_);
    for (size_t size : kSizes) {
        auto *block = static_cast<char *>(fa_frame_alloc_in(frame, size));
        Read(block, size - 1);
        ExpectDeath(block, size);
    }
    fa_frame_end(allocator_);
}

TEST_P(PoisonDeathTest, AFrameThatIsOver) {
    char *blocks[std::size(kSizes)];
    for (int round = 0; round < 2; round++) { // in a grown arena, too
        fa_frame_begin(allocator_);
        for (size_t i = 0; i < std::size(kSizes); i++)
            blocks[i] = static_cast<char *>(fa_frame_alloc(allocator_, kSizes[i]));
        fa_frame_end(allocator_);
    }
    for (size_t i = 0; i < std::size(kSizes); i++) {
        ExpectDeath(blocks[i], 0);
        ExpectDeath(blocks[i], kSizes[i] - 1);
    }
}
