#include "backends/backends.h"

#include <algorithm>
#include <cstdint>
#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace {

constexpr size_t kMiB = size_t{1} << 20;
alignas(1 << 20) unsigned char region[8 * kMiB];

class Fixed : public testing::Test {
  protected:
    void Open(void *start, size_t bytes) {
        backend_ = fa_backend_fixed(start, bytes);
        ASSERT_NE(backend_.vtable, nullptr);
        backend_.vtable->describe(backend_.context, &info_);
    }
    void TearDown() override { fa_backend_close(backend_); }
    unsigned char *Alloc(size_t size, size_t align = 16) {
        return static_cast<unsigned char *>(
            backend_.vtable->alloc(backend_.context, size, align, FA_SPAN_HEAP));
    }
    void Free(unsigned char *ptr, size_t size) {
        backend_.vtable->free(backend_.context, ptr, size, 16, FA_SPAN_HEAP);
    }
    // The whole capacity is one span.
    bool Whole() {
        unsigned char *ptr = Alloc(info_.capacity_bytes);
        if (ptr == nullptr)
            return false;
        Free(ptr, info_.capacity_bytes);
        return true;
    }
    fa_backend backend_ = {};
    fa_backend_info info_ = {};
};

} // namespace

TEST_F(Fixed, RefusesNoRegionAndTooSmallOnes) {
    EXPECT_EQ(fa_backend_fixed(nullptr, kMiB).vtable, nullptr);
    EXPECT_EQ(fa_backend_fixed(region, SIZE_MAX).vtable, nullptr);
    size_t smallest = 0;
    while (fa_backend_fixed(region, smallest).vtable == nullptr)
        smallest++;
    EXPECT_LE(smallest, 192 + FA_FIXED_UNIT);
    Open(region, smallest);
    EXPECT_EQ(info_.capacity_bytes, FA_FIXED_UNIT);
    unsigned char *ptr = Alloc(1);
    EXPECT_NE(ptr, nullptr);
    EXPECT_EQ(Alloc(1), nullptr);
    Free(ptr, 1);
}

TEST_F(Fixed, NothingOutsideOfTheRegionIsTouched) {
    std::fill(region, region + 3 * kMiB, 0xee);
    unsigned char *start = region + kMiB + 5;
    const size_t bytes = kMiB - 11;
    Open(start, bytes);
    std::vector<unsigned char *> spans;
    for (unsigned char *ptr; (ptr = Alloc(1000)) != nullptr;) {
        ASSERT_GE(ptr, start);
        ASSERT_LE(ptr + 1000, start + bytes);
        std::fill(ptr, ptr + 1000, 0x11);
        spans.push_back(ptr);
    }
    EXPECT_EQ(spans.size(), info_.capacity_bytes / 1024);
    for (unsigned char *ptr : spans)
        Free(ptr, 1000);
    EXPECT_EQ(std::count(region, start, 0xee), start - region);
    unsigned char *end = start + bytes;
    EXPECT_EQ(std::count(end, region + 3 * kMiB, 0xee), region + 3 * kMiB - end);
}

TEST_F(Fixed, CapacityIsExact) {
    Open(region, sizeof region);
    EXPECT_GE(info_.capacity_bytes + 192, sizeof region);
    EXPECT_TRUE(Whole());
    EXPECT_EQ(Alloc(info_.capacity_bytes + 1), nullptr);
    EXPECT_TRUE(Whole());
}

TEST_F(Fixed, SelfAlignedSpansPackWithoutLoss) {
    Open(region, sizeof region);
    EXPECT_EQ(info_.align_bytes_max % kMiB, 0u);
    std::vector<unsigned char *> spans;
    for (unsigned char *ptr; (ptr = Alloc(kMiB, kMiB)) != nullptr;)
        spans.push_back(ptr);
    EXPECT_EQ(spans.size(), 7u); // the first of eight holds the state
    unsigned char *rest = Alloc(kMiB - 192);
    EXPECT_NE(rest, nullptr);
    Free(rest, kMiB - 192);
    for (unsigned char *ptr : spans)
        Free(ptr, kMiB);
    EXPECT_TRUE(Whole());
}

TEST_F(Fixed, AnyOrderOfFreeingMakesTheRegionWhole) {
    const unsigned seed = std::random_device{}();
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937 random(seed);
    Open(region, sizeof region);
    for (int round = 0; round < 20; round++) {
        std::vector<std::pair<unsigned char *, size_t>> spans;
        for (int i = 0; i < 400; i++) {
            size_t size = 1 + random() % 30000;
            unsigned char *ptr = Alloc(size, size_t{16} << (random() % 12));
            if (ptr != nullptr)
                spans.emplace_back(ptr, size);
        }
        EXPECT_GT(spans.size(), 200u);
        std::shuffle(spans.begin(), spans.end(), random);
        for (auto [ptr, size] : spans)
            Free(ptr, size);
        ASSERT_TRUE(Whole());
    }
}

TEST_F(Fixed, LowestAddressesComeFirst) {
    Open(region, sizeof region);
    unsigned char *a = Alloc(1000), *b = Alloc(1000), *c = Alloc(1000);
    EXPECT_TRUE(a < b && b < c);
    Free(a, 1000);
    Free(b, 1000);
    EXPECT_EQ(Alloc(2000), a);
    Free(a, 2000);
    Free(c, 1000);
}

TEST_F(Fixed, ResizesInPlaceAsFarAsThereIsRoom) {
    Open(region, kMiB);
    auto resize = backend_.vtable->resize;
    unsigned char *a = Alloc(1024), *b = Alloc(1024), *c = Alloc(1024);
    EXPECT_FALSE(resize(backend_.context, a, 1024, 1025));
    Free(b, 1024);
    EXPECT_TRUE(resize(backend_.context, a, 1024, 2048));
    EXPECT_FALSE(resize(backend_.context, a, 2048, 2049));
    EXPECT_TRUE(resize(backend_.context, a, 2048, 100));
    EXPECT_TRUE(resize(backend_.context, a, 100, 101)); // within a unit
    EXPECT_FALSE(resize(backend_.context, a, 101, 0));
    b = Alloc(1024);
    EXPECT_EQ(b, a + 128);
    Free(a, 101);
    Free(b, 1024);
    Free(c, 1024);
    EXPECT_TRUE(Whole());
}

TEST_F(Fixed, OpensWithARegionOfItsOwn) {
    char message[256];
    ASSERT_EQ(fa_backend_open("fixed:bytes=1m,prefault", &backend_, message, sizeof message), FA_OK)
        << message;
    backend_.vtable->describe(backend_.context, &info_);
    EXPECT_STREQ(info_.text, "fixed:bytes=1048576,prefault");
    EXPECT_GE(info_.capacity_bytes + 192, kMiB);
    EXPECT_TRUE(Whole());
}

using FixedDeathTest = Fixed;

TEST_F(FixedDeathTest, BadFreesAbort) {
    testing::FLAGS_gtest_death_test_style = "threadsafe";
    Open(region + kMiB, kMiB);
    unsigned char *a = Alloc(1000), *b = Alloc(1000);
    ASSERT_TRUE(a != nullptr && b != nullptr);
    int foreign = 0;
    EXPECT_DEATH((Free(a, 1000), Free(a, 1000)), "not a span in use");
    EXPECT_DEATH(Free(reinterpret_cast<unsigned char *>(&foreign), 64), "not a span in use");
    EXPECT_DEATH(Free(region, 64), "not a span in use");
    EXPECT_DEATH(Free(region + 2 * kMiB, 64), "not a span in use");
    EXPECT_DEATH(Free(b, 5000), "not a span in use");
    EXPECT_DEATH(Free(b + 16, 100), "not a span in use");
    EXPECT_DEATH(Free(b, 0), "not a span in use");
    EXPECT_DEATH(Free(b, SIZE_MAX), "not a span in use");
    Free(a, 1000);
    Free(b, 1000);
}
