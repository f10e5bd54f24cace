// What the address sanitizer sees of collections: their elements are dead after the frame, and what
// lies behind them was never theirs.
#include "fa/testing_threads.hpp"

using namespace fa_testing;

// Names of functions in the reports would take most of the time. Read by the sanitizer's start-up.
extern "C" const char *__asan_default_options();
extern "C" const char *__asan_default_options() { return "symbolize=0"; }

namespace {

FA_VEC(ints, int)
FA_MAP(numbers, uint64_t, int, fa_hash_u64, fa_equal_u64)
FA_RING(queue, int)

volatile int g_sink;

class CollectionPoisonDeathTest : public testing::Test {
  protected:
    void SetUp() override {
        if (!kAsan)
            GTEST_SKIP() << "needs the address sanitizer";
    }
    Allocator allocator_{Plain()};
};

} // namespace

TEST_F(CollectionPoisonDeathTest, AfterTheFrame) {
    ASSERT_NE(fa_frame_begin(allocator_), nullptr);
    ints vec = ints_make(allocator_, 0);
    numbers map = numbers_make(allocator_, 10);
    fa_text text = fa_text_make(allocator_, 10);
    queue ring = queue_make(allocator_, 10);
    ASSERT_EQ(ints_push(&vec, 1), FA_OK);
    ASSERT_EQ(numbers_insert(&map, 1, 1), FA_OK);
    ASSERT_EQ(fa_text_append(&text, "a"), FA_OK);
    ASSERT_EQ(queue_push_back(&ring, 1), FA_OK);
    ASSERT_EQ(fa_frame_end(allocator_), FA_OK);
    EXPECT_DEATH(g_sink = *ints_at(&vec, 0), "AddressSanitizer");
    EXPECT_DEATH(g_sink = ints_push(&vec, 2), "AddressSanitizer");
    EXPECT_DEATH(g_sink = *numbers_find(&map, 1), "AddressSanitizer");
    EXPECT_DEATH(g_sink = fa_text_c_str(&text)[0], "AddressSanitizer");
    EXPECT_DEATH(g_sink = *queue_front(&ring), "AddressSanitizer");
}

TEST_F(CollectionPoisonDeathTest, PastTheCapacity) {
    ASSERT_NE(fa_frame_begin(allocator_), nullptr);
    ints vec = ints_make(allocator_, 3);
    EXPECT_DEATH(g_sink = vec.items[3], "AddressSanitizer");
    g_sink = vec.items[2];
    ASSERT_EQ(fa_frame_end(allocator_), FA_OK);
}
