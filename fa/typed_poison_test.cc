// What the address sanitizer sees of typed pools, caches and components: objects that were given
// back, idle ones, and places that nobody has yet.
#include "fa/testing_threads.hpp"

using namespace fa_testing;

// Names of functions in the reports would take most of the time. Read by the sanitizer's start-up.
extern "C" const char *__asan_default_options();
extern "C" const char *__asan_default_options() { return "symbolize=0"; }

namespace {

struct Thing {
    int number;
    char more[60];
};
FA_TYPED_POOL(things, Thing)
FA_OBJECT_CACHE(kept, Thing)
FA_COMPONENTS(parts, Thing)

volatile int g_sink;

class TypedPoisonDeathTest : public testing::Test {
  protected:
    void SetUp() override {
        if (!kAsan)
            GTEST_SKIP() << "needs the address sanitizer";
    }
    Allocator allocator_{Plain()};
};

} // namespace

TEST_F(TypedPoisonDeathTest, ObjectsOfAPool) {
    things pool = {};
    ASSERT_EQ(things_create(allocator_, nullptr, &pool), FA_OK);
    Thing *one = things_acquire(pool), *two = things_acquire(pool);
    one->number = two->number = 1;
    EXPECT_DEATH(g_sink = two[1].number, "AddressSanitizer") << "nobody has it yet";
    ASSERT_EQ(things_release(pool, one), FA_OK);
    EXPECT_DEATH(g_sink = one->number, "AddressSanitizer");
    g_sink = two->number;
    ASSERT_EQ(things_acquire(pool), one);
    one->number = 2;
    things_clear(pool);
    EXPECT_DEATH(g_sink = one->number, "AddressSanitizer");
    EXPECT_DEATH(two->number = 3, "AddressSanitizer");
}

TEST_F(TypedPoisonDeathTest, IdleObjects) {
    kept cache = {};
    ASSERT_EQ(kept_create(allocator_, nullptr, &cache), FA_OK);
    Thing *one = kept_acquire(cache);
    one->number = 7;
    ASSERT_EQ(kept_release(cache, one), FA_OK);
    EXPECT_DEATH(g_sink = one->number, "AddressSanitizer");
    ASSERT_EQ(kept_acquire(cache), one);
    EXPECT_EQ(one->number, 7) << "as it was given back";
}

TEST_F(TypedPoisonDeathTest, WhatWasRemoved) {
    parts set = {};
    ASSERT_EQ(parts_create(allocator_, nullptr, &set), FA_OK);
    Thing *one = nullptr, *two = nullptr;
    ASSERT_EQ(parts_insert(set, 1, &one), FA_OK);
    ASSERT_EQ(parts_insert(set, 2, &two), FA_OK);
    one->number = two->number = 1;
    EXPECT_DEATH(g_sink = two[1].number, "AddressSanitizer");
    ASSERT_TRUE(parts_remove(set, 1));
    EXPECT_DEATH(g_sink = two->number, "AddressSanitizer") << "it moved into the gap";
    g_sink = one->number;
    parts_clear(set);
    EXPECT_DEATH(g_sink = one->number, "AddressSanitizer");
}
