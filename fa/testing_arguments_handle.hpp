// Bad arguments to the calls of handle.h: for arguments_test.cc.
#ifndef FA_TESTING_ARGUMENTS_HANDLE_HPP
#define FA_TESTING_ARGUMENTS_HANDLE_HPP

#include "fa/testing_arguments.hpp"

namespace fa_testing {

// A table for the time of a call: what it holds goes back to the heap's caches.
struct Table {
    fa_handles *handles;
    explicit Table(fa_allocator *allocator) : handles(fa_handles_create(allocator, nullptr)) {}
    ~Table() { EXPECT_EQ(fa_handles_destroy(handles), 0u); }
    Table(const Table &) = delete;
    Table &operator=(const Table &) = delete;
    operator fa_handles *() const { return handles; }
};

#define NO_HANDLE(call)                                                                            \
    do {                                                                                           \
        fa_last_error_clear();                                                                     \
        EXPECT_TRUE(fa_handle_is_none(call)) << #call;                                             \
        EXPECT_EQ(Taken(), FA_ERROR_INVALID) << #call;                                             \
    } while (0)

inline constexpr fa_handle kSomeHandle = {3, 0x12345};

inline const Call kHandleCalls[] = {
    {"fa_handle_alloc",
     [](fa_allocator *a, fa_frame *) {
         Table table(a);
         NO_HANDLE(fa_handle_alloc(nullptr, 16));
         EACH_SIZE(NO_HANDLE(fa_handle_alloc(table, size)))
     }},
    {"fa_handle_alloc_with",
     [](fa_allocator *a, fa_frame *) {
         Table table(a);
         NO_HANDLE(fa_handle_alloc_with(nullptr, 16, 16, 0));
         EACH_SIZE(NO_HANDLE(fa_handle_alloc_with(table, size, 64, 0)))
         EACH_ALIGN(NO_HANDLE(fa_handle_alloc_with(table, 16, align, 0)))
         for (uint32_t flags : {4u, 8u, UINT32_MAX})
             NO_HANDLE(fa_handle_alloc_with(table, 16, 16, flags));
     }},
    {"fa_handle_free",
     [](fa_allocator *a, fa_frame *) {
         Table table(a);
         INVALID(fa_handle_free(nullptr, kSomeHandle));
         EXPECT_EQ(fa_handle_free(table, kSomeHandle), FA_ERROR_FOREIGN);
         EXPECT_EQ(fa_handle_free(table, fa_handle{}), FA_OK);
     }},
    {"fa_handle_get",
     [](fa_allocator *a, fa_frame *) {
         Table table(a);
         EXPECT_EQ(fa_handle_get(nullptr, kSomeHandle), nullptr);
         EXPECT_EQ(fa_handle_get(table, kSomeHandle), nullptr);
     }},
    {"fa_handle_pin",
     [](fa_allocator *a, fa_frame *) {
         Table table(a);
         EXPECT_EQ(fa_handle_pin(nullptr, kSomeHandle), nullptr);
         EXPECT_EQ(fa_handle_pin(table, kSomeHandle), nullptr);
     }},
    {"fa_handle_size",
     [](fa_allocator *a, fa_frame *) {
         Table table(a);
         EXPECT_EQ(fa_handle_size(nullptr, kSomeHandle), 0u);
         EXPECT_EQ(fa_handle_size(table, kSomeHandle), 0u);
     }},
    {"fa_handle_unpin",
     [](fa_allocator *a, fa_frame *) {
         Table table(a);
         INVALID(fa_handle_unpin(nullptr, kSomeHandle));
         EXPECT_EQ(fa_handle_unpin(table, kSomeHandle), FA_ERROR_FOREIGN);
     }},
    {"fa_handles_compact",
     [](fa_allocator *, fa_frame *) {
         fa_last_error_clear();
         EXPECT_TRUE(fa_handles_compact(nullptr, 1, 1).done);
         EXPECT_EQ(Taken(), FA_ERROR_INVALID);
     }},
    {"fa_handles_create",
     [](fa_allocator *a, fa_frame *) {
         REFUSED(fa_handles_create(nullptr, nullptr));
         fa_handles_options options = {};
         options.slab_bytes = 3;
         REFUSED(fa_handles_create(a, &options));
     }},
    {"fa_handles_destroy",
     [](fa_allocator *, fa_frame *) { EXPECT_EQ(fa_handles_destroy(nullptr), 0u); }},
    {"fa_handles_stats_get",
     [](fa_allocator *a, fa_frame *) {
         Table table(a);
         fa_handles_stats stats = {};
         stats.live_count = 1;
         INVALID(fa_handles_stats_get(nullptr, &stats));
         EXPECT_EQ(stats.live_count, 0u);
         INVALID(fa_handles_stats_get(table, nullptr));
     }},
    {"fa_handles_visit",
     [](fa_allocator *a, fa_frame *) {
         Table table(a);
         fa_last_error_clear();
         EXPECT_EQ(fa_handles_visit(
                       nullptr, [](void *, const fa_handle_info *) { ADD_FAILURE(); }, nullptr),
                   0u);
         EXPECT_EQ(Taken(), FA_ERROR_INVALID);
         EXPECT_EQ(fa_handles_visit(table, nullptr, nullptr), 0u);
         EXPECT_EQ(Taken(), FA_ERROR_INVALID);
     }},
};

} // namespace fa_testing

#endif
