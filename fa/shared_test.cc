// The shared library, opened by a program that was not linked with it.
#include "fa/fa.h"

#include <dlfcn.h>
#include <gtest/gtest.h>
#include <thread>
#include <vector>

#define LOOK_UP(library, name) reinterpret_cast<decltype(&(name))>(dlsym((library), #name))

TEST(Shared, WorksWhenOpenedLocally) {
    void *library = dlopen("fa/libframealloc.so", RTLD_NOW | RTLD_LOCAL);
    ASSERT_NE(library, nullptr) << dlerror();
    EXPECT_EQ(dlsym(RTLD_DEFAULT, "fa_allocator_create"), nullptr);
    auto create = LOOK_UP(library, fa_allocator_create);
    auto destroy = LOOK_UP(library, fa_allocator_destroy);
    auto validate = LOOK_UP(library, fa_validate);
    auto pool_alloc = LOOK_UP(library, fa_pool_alloc_aligned);
    auto pool_free = LOOK_UP(library, fa_pool_free);
    auto begin = LOOK_UP(library, fa_frame_begin);
    auto end = LOOK_UP(library, fa_frame_end);
    auto frame_alloc = LOOK_UP(library, fa_frame_alloc_aligned);
    auto count = LOOK_UP(library, fa_thread_count);
    ASSERT_TRUE(create && destroy && validate && pool_alloc && pool_free && begin && end &&
                frame_alloc && count);

    fa_allocator *allocator = nullptr;
    ASSERT_EQ(create(nullptr, &allocator), FA_OK);
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; i++)
        threads.emplace_back([&] {
            for (int round = 0; round < 100; round++) {
                EXPECT_NE(begin(allocator), nullptr);
                EXPECT_NE(frame_alloc(allocator, 100, 16), nullptr);
                pool_free(allocator, pool_alloc(allocator, 100, 16));
                EXPECT_EQ(end(allocator), FA_OK);
            }
        });
    for (std::thread &thread : threads)
        thread.join();
    EXPECT_EQ(count(allocator), 0u);
    EXPECT_EQ(validate(allocator, nullptr), FA_OK);
    // A thread that has used it ends after it was closed: its code must still be there.
    std::thread([&] {
        pool_free(allocator, pool_alloc(allocator, 100, 16));
        EXPECT_EQ(destroy(allocator), 0u);
        EXPECT_EQ(dlclose(library), 0);
    }).join();
}
