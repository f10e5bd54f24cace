#include "backends/backends.h"

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include <dlfcn.h>
#include <pthread.h>

#include <gtest/gtest.h>

namespace {

struct mi_heap_t;

template <class Function> Function Look(const char *name) {
    void *library = dlopen("libmimalloc.so.2", RTLD_NOW | RTLD_LOCAL);
    EXPECT_NE(library, nullptr);
    void *symbol = dlsym(library, name);
    EXPECT_NE(symbol, nullptr) << name;
    Function function;
    std::memcpy(&function, &symbol, sizeof symbol);
    return function;
}

class Mimalloc : public testing::Test {
  protected:
    void SetUp() override {
        char message[256];
        ASSERT_EQ(fa_backend_mimalloc(&backend_, message, sizeof message), FA_OK) << message;
    }
    void TearDown() override { fa_backend_close(backend_); }
    char *Alloc(size_t size, size_t align = 16) {
        return static_cast<char *>(
            backend_.vtable->alloc(backend_.context, size, align, FA_SPAN_HEAP));
    }
    void Free(char *ptr, size_t size) {
        backend_.vtable->free(backend_.context, ptr, size, 16, FA_SPAN_HEAP);
    }
    fa_backend backend_ = {};
};

pthread_key_t late_key;
fa_backend late_backend;
int late_served;

// Runs among the destructors of pthread keys, when mimalloc may have left the thread already.
void LateAlloc(void *) {
    void *ptr = late_backend.vtable->alloc(late_backend.context, 5000, 64, FA_SPAN_META);
    if (ptr != nullptr) {
        std::memset(ptr, 1, 5000);
        late_served++;
        late_backend.vtable->free(late_backend.context, ptr, 5000, 64, FA_SPAN_META);
    }
}

} // namespace

TEST_F(Mimalloc, RefusesNoPlaceForTheResult) {
    EXPECT_EQ(fa_backend_mimalloc(nullptr, nullptr, 0), FA_ERROR_INVALID);
}

TEST_F(Mimalloc, DoesNotReplaceTheMallocOfTheProcess) {
    auto in_mimalloc = Look<bool (*)(const void *)>("mi_is_in_heap_region");
    void *block = std::malloc(1000);
    EXPECT_FALSE(in_mimalloc(block));
    std::free(block);
    EXPECT_EQ(dlsym(RTLD_DEFAULT, "mi_malloc"), nullptr); // nothing of it is visible
    Dl_info info = {};
    ASSERT_NE(dladdr(dlsym(RTLD_DEFAULT, "malloc"), &info), 0);
    EXPECT_EQ(std::string(info.dli_fname).find("libmimalloc"), std::string::npos);
}

TEST_F(Mimalloc, HeapIsNotTheDefaultOneOfTheThread) {
    auto backing = Look<mi_heap_t *(*)()>("mi_heap_get_backing");
    auto contains = Look<bool (*)(mi_heap_t *, const void *)>("mi_heap_contains_block");
    auto mi_malloc = Look<void *(*)(size_t)>("mi_malloc");
    auto mi_free = Look<void (*)(void *)>("mi_free");
    void *block = mi_malloc(1000);
    char *span = Alloc(1000);
    ASSERT_TRUE(block != nullptr && span != nullptr);
    EXPECT_TRUE(contains(backing(), block));
    EXPECT_FALSE(contains(backing(), span));
    Free(span, 1000);
    mi_free(block);
}

TEST_F(Mimalloc, BlocksAsLargeAsTheirAlignmentAreAligned) {
    for (size_t size = 16; size <= 4096; size *= 2) {
        std::vector<char *> spans;
        for (int i = 0; i < 100; i++) {
            spans.push_back(Alloc(size, size));
            EXPECT_EQ(reinterpret_cast<uintptr_t>(spans.back()) % size, 0u);
        }
        for (char *span : spans)
            Free(span, size);
    }
}

TEST_F(Mimalloc, SpansOutliveTheirThreadAndAreFreedByOthers) {
    std::vector<std::pair<char *, size_t>> spans;
    for (int round = 0; round < 20; round++) {
        std::thread([&] {
            for (size_t size : {100u, 70000u, 3000000u}) {
                char *span = Alloc(size);
                ASSERT_NE(span, nullptr);
                std::memset(span, round, size);
                spans.emplace_back(span, size);
            }
        }).join();
    }
    for (size_t i = 0; i < spans.size(); i++)
        EXPECT_EQ(spans[i].first[spans[i].second - 1], static_cast<char>(i / 3));
    std::thread([&] {
        for (auto [span, size] : spans)
            Free(span, size);
    }).join();
}

TEST_F(Mimalloc, ServesDestructorsOfAnExitingThread) {
    late_backend = backend_;
    late_served = 0;
    ASSERT_EQ(pthread_key_create(&late_key, LateAlloc), 0);
    constexpr int kThreads = 50;
    for (int i = 0; i < kThreads; i++) {
        std::thread([&] {
            pthread_setspecific(late_key, this);
            char *span = Alloc(5000);
            ASSERT_NE(span, nullptr);
            Free(span, 5000);
        }).join();
    }
    EXPECT_EQ(late_served, kThreads);
    pthread_key_delete(late_key);
}

TEST_F(Mimalloc, OpensAgainAfterClose) {
    for (int i = 0; i < 3; i++) {
        fa_backend other = {};
        ASSERT_EQ(fa_backend_mimalloc(&other, nullptr, 0), FA_OK);
        void *span = other.vtable->alloc(other.context, 1 << 20, 64, FA_SPAN_HEAP);
        EXPECT_NE(span, nullptr);
        other.vtable->free(other.context, span, 1 << 20, 64, FA_SPAN_HEAP);
        fa_backend_close(other);
    }
    char *span = Alloc(100); // closing another one takes nothing from this one
    EXPECT_NE(span, nullptr);
    Free(span, 100);
}
