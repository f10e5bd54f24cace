// Bad arguments to the calls of stream.h: for arguments_test.cc.
#ifndef FA_TESTING_ARGUMENTS_STREAM_HPP
#define FA_TESTING_ARGUMENTS_STREAM_HPP

#include "fa/testing_arguments.hpp"

namespace fa_testing {

// Streams of an allocator that lives as long as the test.
struct SomeStreams {
    fa_streams *streams = nullptr;
    explicit SomeStreams(fa_allocator *allocator) {
        EXPECT_EQ(fa_streams_create(allocator, nullptr, &streams), FA_OK);
    }
    ~SomeStreams() { EXPECT_EQ(fa_streams_destroy(streams), 0u); }
    SomeStreams(const SomeStreams &) = delete;
    SomeStreams &operator=(const SomeStreams &) = delete;
    operator fa_streams *() const { return streams; }
};

// An id that never was: misuse where a loader or an owner names it, an answer where one asks.
inline constexpr fa_stream kNoSuchStream = ~fa_stream{0};

inline const Call kStreamCalls[] = {
    {"fa_stream_access",
     [](fa_allocator *a, fa_frame *) {
         REFUSED(fa_stream_access(nullptr, 1));
         SomeStreams streams(a);
         fa_last_error_clear();
         EXPECT_EQ(fa_stream_access(streams, kNoSuchStream), nullptr);
         EXPECT_EQ(fa_stream_access(streams, FA_STREAM_NONE), nullptr);
         EXPECT_EQ(Taken(), FA_OK);
     }},
    {"fa_stream_begin",
     [](fa_allocator *a, fa_frame *) {
         REFUSED(fa_stream_begin(nullptr, 1));
         SomeStreams streams(a);
         EXPECT_EQ(fa_stream_begin(streams, kNoSuchStream), nullptr);
         EXPECT_EQ(Taken(), FA_ERROR_FOREIGN);
         EXPECT_EQ(fa_stream_begin(streams, FA_STREAM_NONE), nullptr);
         EXPECT_EQ(Taken(), FA_ERROR_FOREIGN);
     }},
    {"fa_stream_cancel",
     [](fa_allocator *a, fa_frame *) {
         INVALID(fa_stream_cancel(nullptr, 1));
         SomeStreams streams(a);
         EXPECT_EQ(fa_stream_cancel(streams, kNoSuchStream), FA_ERROR_FOREIGN);
         EXPECT_EQ(fa_stream_cancel(streams, FA_STREAM_NONE), FA_ERROR_FOREIGN);
     }},
    {"fa_stream_finish",
     [](fa_allocator *a, fa_frame *) {
         INVALID(fa_stream_finish(nullptr, 1));
         SomeStreams streams(a);
         EXPECT_EQ(fa_stream_finish(streams, kNoSuchStream), FA_ERROR_FOREIGN);
         EXPECT_EQ(fa_stream_finish(streams, FA_STREAM_NONE), FA_ERROR_FOREIGN);
     }},
    {"fa_stream_get",
     [](fa_allocator *a, fa_frame *) {
         fa_stream_info info;
         info.size = 1;
         INVALID(fa_stream_get(nullptr, 1, &info));
         EXPECT_EQ(info.size, 0u);
         SomeStreams streams(a);
         INVALID(fa_stream_get(streams, 1, nullptr));
         info.size = 1;
         EXPECT_EQ(fa_stream_get(streams, kNoSuchStream, &info), FA_ERROR_FOREIGN);
         EXPECT_EQ(info.size, 0u);
         EXPECT_EQ(info.state, FA_STREAM_GONE);
     }},
    {"fa_stream_pin",
     [](fa_allocator *a, fa_frame *) {
         REFUSED(fa_stream_pin(nullptr, 1));
         SomeStreams streams(a);
         EXPECT_EQ(fa_stream_pin(streams, kNoSuchStream), nullptr);
         EXPECT_EQ(fa_stream_pin(streams, FA_STREAM_NONE), nullptr);
     }},
    {"fa_stream_progress",
     [](fa_allocator *a, fa_frame *) {
         INVALID(fa_stream_progress(nullptr, 1, 1));
         SomeStreams streams(a);
         EXPECT_EQ(fa_stream_progress(streams, kNoSuchStream, 1), FA_ERROR_FOREIGN);
         EXPECT_EQ(fa_stream_progress(streams, FA_STREAM_NONE, 1), FA_ERROR_FOREIGN);
     }},
    {"fa_stream_release",
     [](fa_allocator *a, fa_frame *) {
         INVALID(fa_stream_release(nullptr, 1));
         SomeStreams streams(a);
         INVALID(fa_stream_release(streams, FA_STREAM_NONE));
         EXPECT_EQ(fa_stream_release(streams, kNoSuchStream), FA_ERROR_FOREIGN);
     }},
    {"fa_stream_reserve",
     [](fa_allocator *a, fa_frame *) {
         const auto refused = [](fa_streams *streams, size_t size, size_t align, int priority) {
             fa_last_error_clear();
             EXPECT_EQ(fa_stream_reserve(streams, size, align,
                                         static_cast<fa_stream_priority>(priority), nullptr),
                       FA_STREAM_NONE);
             EXPECT_EQ(Taken(), FA_ERROR_INVALID);
         };
         refused(nullptr, 16, 16, FA_STREAM_LOW);
         SomeStreams streams(a);
         EACH_SIZE(refused(streams, size, 16, FA_STREAM_LOW))
         EACH_ALIGN(refused(streams, 16, align, FA_STREAM_LOW))
         refused(streams, 16, 16, FA_STREAM_PRIORITY_COUNT);
     }},
    {"fa_stream_set_priority",
     [](fa_allocator *a, fa_frame *) {
         INVALID(fa_stream_set_priority(nullptr, 1, FA_STREAM_LOW));
         SomeStreams streams(a);
         INVALID(fa_stream_set_priority(streams, 1, FA_STREAM_PRIORITY_COUNT));
         EXPECT_EQ(fa_stream_set_priority(streams, kNoSuchStream, FA_STREAM_LOW), FA_ERROR_FOREIGN);
     }},
    {"fa_stream_touch",
     [](fa_allocator *a, fa_frame *) {
         fa_last_error_clear();
         EXPECT_FALSE(fa_stream_touch(nullptr, 1));
         EXPECT_EQ(Taken(), FA_ERROR_INVALID);
         SomeStreams streams(a);
         EXPECT_FALSE(fa_stream_touch(streams, kNoSuchStream));
         EXPECT_EQ(Taken(), FA_OK);
     }},
    {"fa_stream_unpin",
     [](fa_allocator *a, fa_frame *) {
         INVALID(fa_stream_unpin(nullptr, 1));
         SomeStreams streams(a);
         EXPECT_EQ(fa_stream_unpin(streams, kNoSuchStream), FA_ERROR_FOREIGN);
         EXPECT_EQ(fa_stream_unpin(streams, FA_STREAM_NONE), FA_ERROR_FOREIGN);
     }},
    {"fa_streams_advance",
     [](fa_allocator *, fa_frame *) {
         fa_last_error_clear();
         EXPECT_EQ(fa_streams_advance(nullptr), 0u);
         EXPECT_EQ(Taken(), FA_ERROR_INVALID);
     }},
    {"fa_streams_config_default", Nothing},
    {"fa_streams_create",
     [](fa_allocator *a, fa_frame *) {
         SomeStreams some(a);
         fa_streams *streams = some;
         INVALID(fa_streams_create(nullptr, nullptr, &streams));
         EXPECT_EQ(streams, nullptr);
         INVALID(fa_streams_create(a, nullptr, nullptr));
     }},
    {"fa_streams_destroy",
     [](fa_allocator *, fa_frame *) { EXPECT_EQ(fa_streams_destroy(nullptr), 0u); }},
    {"fa_streams_set_budget",
     [](fa_allocator *a, fa_frame *) {
         INVALID(fa_streams_set_budget(nullptr, 1));
         SomeStreams streams(a);
         INVALID(fa_streams_set_budget(streams, FA_SIZE_MAX + 1));
     }},
    {"fa_streams_stats_get",
     [](fa_allocator *a, fa_frame *) {
         fa_streams_stats stats;
         stats.count = 1;
         INVALID(fa_streams_stats_get(nullptr, &stats));
         EXPECT_EQ(stats.count, 0u);
         SomeStreams streams(a);
         INVALID(fa_streams_stats_get(streams, nullptr));
     }},
    {"fa_streams_trim",
     [](fa_allocator *, fa_frame *) {
         fa_last_error_clear();
         EXPECT_EQ(fa_streams_trim(nullptr, 0, 0, 0), 0u);
         EXPECT_EQ(Taken(), FA_ERROR_INVALID);
     }},
    {"fa_streams_visit",
     [](fa_allocator *a, fa_frame *) {
         fa_last_error_clear();
         EXPECT_EQ(fa_streams_visit(
                       nullptr, [](void *, const fa_stream_info *) {}, nullptr),
                   0u);
         EXPECT_EQ(Taken(), FA_ERROR_INVALID);
         SomeStreams streams(a);
         EXPECT_EQ(fa_streams_visit(streams, nullptr, nullptr), 0u);
         EXPECT_EQ(Taken(), FA_ERROR_INVALID);
     }},
};

} // namespace fa_testing

#endif
