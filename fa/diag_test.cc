// Every diagnostic: its text, the way to provoke it, the event it makes, what strict mode does.
#include "fa/testing.hpp"

#include <functional>
#include <set>
#include <string>
#include <thread>

using namespace fa_testing;

namespace {

// Writes where a program must not: the address sanitizer would stop it before the library does.
__attribute__((no_sanitize("address"))) void Damage(void *pointer, ptrdiff_t offset, size_t count) {
    volatile char *bytes = static_cast<char *>(pointer) + offset;
    for (size_t i = 0; i < count; i++)
        bytes[i] = 0x5A;
}

class DiagTest : public testing::Test {
  protected:
    Events events;
    Source source;
    fa_alloc_config config = Plain();

    DiagTest() {
        testing::FLAGS_gtest_death_test_style = "fast";
        fa_last_error_clear();
        events.Watch(&config);
        config.name = "diag";
    }

    // Exactly one event of that code, as its description says.
    fa_event ExpectOne(fa_diag diag, fa_status status) {
        EXPECT_EQ(events.Count(diag), 1u) << fa_diag_describe(diag).code;
        const fa_event event = events.Last(diag);
        EXPECT_EQ(event.status, status) << fa_diag_describe(diag).code;
        EXPECT_EQ(event.severity, fa_diag_describe(diag).severity);
        if (status != FA_OK) {
            EXPECT_EQ(fa_last_error().status, status);
            EXPECT_EQ(fa_last_error().diag, diag);
        }
        events.all.clear();
        fa_last_error_clear();
        return event;
    }
};

using DiagDeathTest = DiagTest;

} // namespace

TEST(DiagTable, EachHasACodeATextAndHelpOfItsOwn) {
    std::set<std::string> codes, texts, helps;
    for (int i = 1; i < FA_DIAG_COUNT; i++) {
        const fa_diag_info info = fa_diag_describe(static_cast<fa_diag>(i));
        const std::string code = info.code, text = info.text, help = info.help;
        ASSERT_EQ(code.size(), 5u);
        EXPECT_EQ(code.substr(0, 2), "FA");
        EXPECT_EQ(code.find_first_not_of("0123456789", 2), std::string::npos) << code;
        EXPECT_TRUE(codes.empty() || *codes.rbegin() < code) << code << ": the list is ordered";
        EXPECT_TRUE(codes.insert(code).second) << code;
        EXPECT_TRUE(texts.insert(text).second) << text;
        EXPECT_TRUE(helps.insert(help).second) << help;
        EXPECT_GT(text.size(), 10u);
        EXPECT_GT(help.size(), 10u);
        EXPECT_NE(text.back(), '.');
        EXPECT_NE(help.back(), '.');
    }
    for (const char *code : {"FA001", "FA002", "FA003", "FA201", "FA202", "FA301", "FA901"})
        EXPECT_EQ(codes.count(code), 1u) << code;
    for (fa_diag outside : {FA_DIAG_NONE, FA_DIAG_COUNT}) {
        EXPECT_STREQ(fa_diag_describe(outside).code, "");
        EXPECT_STREQ(fa_diag_describe(outside).text, "no diagnostic");
    }
}

TEST_F(DiagTest, Frames) {
    Allocator allocator(config, source);
    EXPECT_EQ(fa_frame_alloc(allocator, 24), nullptr); // not even attached
    fa_event event = ExpectOne(FA_DIAG_FA001, FA_ERROR_NO_FRAME);
    EXPECT_EQ(event.size, 24u);
    EXPECT_EQ(event.thread_index, 0u);
    EXPECT_EQ(event.allocator, allocator);
    EXPECT_STREQ(event.allocator_name, "diag");
    EXPECT_EQ(fa_frame_end(allocator), FA_ERROR_NO_FRAME);
    ExpectOne(FA_DIAG_FA005, FA_ERROR_NO_FRAME);
    fa_frame *frame = fa_frame_begin(allocator);
    EXPECT_EQ(fa_frame_begin(allocator), nullptr);
    event = ExpectOne(FA_DIAG_FA004, FA_ERROR_FRAME_OPEN);
    EXPECT_EQ(event.frame_index, 1u);
    EXPECT_EQ(event.thread_index, 1u);
    int local = 0;
    EXPECT_EQ(fa_frame_grow(allocator, &local, 4, 8), nullptr);
    EXPECT_EQ(ExpectOne(FA_DIAG_FA002, FA_ERROR_FOREIGN).address, &local);
    fa_frame_end(allocator);
    EXPECT_EQ(fa_frame_alloc_in(frame, 24), nullptr);
    ExpectOne(FA_DIAG_FA001, FA_ERROR_NO_FRAME);
    EXPECT_EQ(fa_frame_end_in(frame), FA_ERROR_NO_FRAME);
    ExpectOne(FA_DIAG_FA005, FA_ERROR_NO_FRAME);
    std::thread([&] {
        EXPECT_EQ(fa_frame_end_in(frame), FA_ERROR_FOREIGN);
        ExpectOne(FA_DIAG_FA201, FA_ERROR_FOREIGN);
    }).join();
    const fa_stats stats = Stats(allocator);
    EXPECT_EQ(stats.diag_count[FA_DIAG_FA001], 2u);
    EXPECT_EQ(stats.diag_count[FA_DIAG_FA002], 1u);
    EXPECT_EQ(stats.diag_count[FA_DIAG_FA004], 1u);
    EXPECT_EQ(stats.diag_count[FA_DIAG_FA005], 2u);
    EXPECT_EQ(stats.diag_count[FA_DIAG_FA201], 1u);
}

TEST_F(DiagTest, CapsAndLimits) {
    config.frame_bytes_max = config.frame_chunk_bytes_first;
    config.bytes_max = 3 << 20;
    config.thread_count_max = 1;
    Allocator allocator(config, source);
    fa_frame_begin(allocator);
    EXPECT_EQ(fa_frame_alloc(allocator, 100000), nullptr);
    fa_event event = ExpectOne(FA_DIAG_FA003, FA_ERROR_LIMIT);
    EXPECT_EQ(event.size, 100000u);
    EXPECT_EQ(event.limit, config.frame_bytes_max);
    EXPECT_EQ(fa_heap_alloc(allocator, 4 << 20), nullptr);
    const int line = __LINE__ - 1;
    event = ExpectOne(FA_DIAG_FA301, FA_ERROR_LIMIT);
    EXPECT_EQ(event.limit, 3u << 20);
    if (kCounted) {
        EXPECT_EQ(event.site.line, line);
        EXPECT_STREQ(event.site.function, "TestBody");
    }
    std::thread([&] {
        EXPECT_EQ(fa_thread_attach(allocator), FA_ERROR_LIMIT);
        event = ExpectOne(FA_DIAG_FA202, FA_ERROR_LIMIT);
        EXPECT_EQ(event.limit, 1u);
        EXPECT_EQ(fa_frame_begin(allocator), nullptr);
        ExpectOne(FA_DIAG_FA202, FA_ERROR_LIMIT);
        EXPECT_EQ(fa_pool_alloc(allocator, 16), nullptr);
        ExpectOne(FA_DIAG_FA202, FA_ERROR_LIMIT);
    }).join();
    fa_frame_end(allocator);
}

TEST_F(DiagTest, OverflowAndSpill) {
    config.frame_chunk_bytes_first = config.frame_chunk_bytes_max = 4096;
    config.frame_bytes_max = 8192;
    config.frame_full = FA_FRAME_FULL_SPILL;
    Allocator allocator(config, source);
    fa_frame_begin(allocator);
    for (int i = 0; i < 8; i++)
        ASSERT_NE(fa_frame_alloc(allocator, 1500), nullptr);
    EXPECT_EQ(events.Count(FA_DIAG_FA006), 1u);
    EXPECT_GE(events.Count(FA_DIAG_FA007), 1u);
    EXPECT_EQ(events.Last(FA_DIAG_FA007).size, 1500u);
    EXPECT_NE(events.Last(FA_DIAG_FA007).address, nullptr);
    EXPECT_EQ(fa_last_error().status, FA_OK);
    fa_frame_end(allocator);
}

TEST_F(DiagTest, Blocks) {
    config.checks = FA_CHECK_FREE;
    Allocator allocator(config, source);
    int local = 0;
    void *heap = fa_heap_alloc(allocator, 100), *pool = fa_pool_alloc(allocator, 100);
    for (auto *free : {(fa_heap_free), fa_free, (fa_pool_free)}) {
        free(allocator, &local);
        EXPECT_EQ(ExpectOne(FA_DIAG_FA601, FA_ERROR_FOREIGN).address, &local);
        free(allocator, nullptr);
        EXPECT_TRUE(events.all.empty());
    }
    fa_pool_free(allocator, static_cast<char *>(pool) + 16);
    ExpectOne(FA_DIAG_FA601, FA_ERROR_FOREIGN);
    EXPECT_EQ(fa_usable_size(allocator, &local), 0u);
    ExpectOne(FA_DIAG_FA601, FA_ERROR_FOREIGN);
    void *other = fa_pool_alloc(allocator, 100);
    fa_pool_free(allocator, pool);
    fa_pool_free(allocator, pool);
    EXPECT_EQ(ExpectOne(FA_DIAG_FA602, FA_ERROR_FOREIGN).address, pool);
    fa_pool_free_sized(allocator, other, 10000);
    ExpectOne(FA_DIAG_FA603, FA_ERROR_INVALID);
    void *large = fa_pool_alloc(allocator, 10000);
    fa_pool_free_sized(allocator, large, 10001);
    fa_event event = ExpectOne(FA_DIAG_FA603, FA_ERROR_INVALID);
    EXPECT_EQ(event.size, 10001u);
    EXPECT_EQ(event.limit, 10000u);
    EXPECT_EQ(allocator.Destroy(), 1u);
    EXPECT_EQ(events.Count(FA_DIAG_FA605), 1u);
    EXPECT_EQ(events.Last(FA_DIAG_FA605).address, heap);
    EXPECT_EQ(events.Last(FA_DIAG_FA605).size, 100u);
}

TEST_F(DiagTest, Backends) {
    Allocator allocator(config, source);
    source.Fail(1);
    EXPECT_EQ(fa_heap_alloc(allocator, 5000), nullptr);
    EXPECT_EQ(ExpectOne(FA_DIAG_FA701, FA_ERROR_NO_MEMORY).size / 1000, 5u);
    EXPECT_EQ(fa_frame_begin(allocator), nullptr);
    ExpectOne(FA_DIAG_FA202, FA_ERROR_NO_MEMORY);
    source.Fail(0);
    fa_backend_seal(allocator);
    EXPECT_EQ(fa_heap_alloc(allocator, 5000), nullptr);
    ExpectOne(FA_DIAG_FA702, FA_ERROR_SEALED);
    EXPECT_EQ(fa_thread_attach(allocator), FA_ERROR_SEALED);
    ExpectOne(FA_DIAG_FA202, FA_ERROR_SEALED);
    EXPECT_EQ(Stats(allocator).diag_count[FA_DIAG_FA202], 2u);
}

TEST_F(DiagTest, ValidateReportsWhatIsDamaged) {
    config.checks = FA_CHECK_GUARD;
    Allocator allocator(config, source);
    auto *block = static_cast<char *>(fa_heap_alloc(allocator, 100));
    ExpectValid(allocator);
    Damage(block, 100, 1);
    const void *place = nullptr;
    EXPECT_EQ(fa_validate(allocator, &place), FA_ERROR_CORRUPT);
    EXPECT_EQ(place, block);
    EXPECT_EQ(ExpectOne(FA_DIAG_FA901, FA_ERROR_CORRUPT).address, block);
    EXPECT_EQ(fa_validate(allocator, nullptr), FA_ERROR_CORRUPT);
    events.all.clear();
}

TEST_F(DiagTest, TheHookMayAllocateFromTheSameAllocator) {
    struct Hook {
        fa_allocator *allocator = nullptr;
        int calls = 0;
        static void Call(void *user, const fa_event *event) {
            Hook *hook = static_cast<Hook *>(user);
            hook->calls++;
            // All three kinds of memory, and mistakes of its own.
            void *pool = fa_pool_alloc(hook->allocator, 40);
            void *heap = fa_heap_alloc(hook->allocator, 5000);
            if (fa_frame_current(hook->allocator) != nullptr)
                Paint(fa_frame_alloc(hook->allocator, 3000), 9, 3000);
            fa_pool_free(hook->allocator, pool);
            fa_heap_free(hook->allocator, heap);
            int local = 0;
            fa_free(hook->allocator, &local);
            EXPECT_NE(event->diag, FA_DIAG_FA601) << "nested events are not delivered";
            Stats(hook->allocator);
        }
    } hook;
    config.on_event = Hook::Call;
    config.on_event_user = &hook;
    config.frame_chunk_bytes_first = 4096;
    config.frame_chunk_bytes_max = 8192;
    Allocator allocator(config, source);
    hook.allocator = allocator;
    EXPECT_EQ(fa_frame_alloc(allocator, 10), nullptr);
    EXPECT_EQ(fa_last_error().diag, FA_DIAG_FA001) << "what the hook did does not show";
    EXPECT_EQ(hook.calls, 1);
    EXPECT_EQ(Stats(allocator).diag_count[FA_DIAG_FA601], 1u);
    // The hook allocates from the very frame whose overflow it is told of.
    fa_frame_begin(allocator);
    std::vector<void *> blocks;
    for (int i = 0; i < 50; i++) {
        blocks.push_back(fa_frame_alloc(allocator, 900));
        ASSERT_NE(blocks.back(), nullptr);
        Paint(blocks.back(), i, 900);
    }
    for (int i = 0; i < 50; i++)
        EXPECT_TRUE(IsPainted(blocks[i], i, 900));
    EXPECT_EQ(hook.calls, 2);
    ExpectValid(allocator);
    fa_frame_end(allocator);
    ExpectIdentities(allocator);
}

// A call that reports more than once, with a hook that makes calls of its own in between.
TEST_F(DiagTest, TheHookDoesNotChangeThePlace) {
    static fa_allocator *used;
    config.bytes_max = 8 << 20;
    config.reserve_bytes = 4 << 20;
    config.on_event = [](void *user, const fa_event *event) {
        Events::Hook(user, event);
        fa_heap_free(used, fa_heap_alloc(used, 10));
    };
    Allocator allocator(config, source);
    used = allocator;
    EXPECT_EQ(fa_heap_alloc(allocator, 20 << 20), nullptr);
    const int line = kCounted ? __LINE__ - 1 : 0;
    EXPECT_EQ(events.Last(FA_DIAG_FA704).site.line, line);
    EXPECT_EQ(events.Last(FA_DIAG_FA301).site.line, line);
    events.all.clear();
}

// Also where the thread has used another allocator since.
TEST_F(DiagTest, TheEventSaysWhichThreadAndFrame) {
    Allocator allocator(config, source), other(Plain());
    ASSERT_EQ(fa_thread_attach(allocator), FA_OK);
    ASSERT_NE(fa_frame_begin(allocator), nullptr);
    fa_thread_stats stats;
    ASSERT_EQ(fa_thread_stats_here(allocator, &stats), FA_OK);
    const fa_task task = fa_task_begin(allocator, "task");
    ASSERT_EQ(fa_task_end(task), FA_OK);
    for (const bool elsewhere : {false, true}) {
        if (elsewhere)
            fa_pool_free(other, fa_pool_alloc(other, 64));
        EXPECT_EQ(fa_task_end(task), FA_ERROR_FOREIGN);
        EXPECT_EQ(events.Last(FA_DIAG_FA610).thread_index, stats.index);
        EXPECT_EQ(events.Last(FA_DIAG_FA610).frame_index, 1u);
    }
    std::thread([&] {
        EXPECT_EQ(fa_task_end(task), FA_ERROR_FOREIGN);
        EXPECT_EQ(events.Last(FA_DIAG_FA610).thread_index, 0u) << "it is not attached";
    }).join();
    fa_frame_end(allocator);
    events.all.clear();
}

TEST_F(DiagTest, TheLastErrorIsOfTheThreadAndStays) {
    Allocator allocator(config, source);
    EXPECT_EQ(fa_heap_alloc(allocator, 0), nullptr);
    std::thread([&] { EXPECT_EQ(fa_last_error().status, FA_OK); }).join();
    fa_heap_free(allocator, fa_heap_alloc(allocator, 10));
    EXPECT_EQ(fa_last_error().status, FA_ERROR_INVALID);
    EXPECT_EQ(fa_last_error().diag, FA_DIAG_NONE);
    EXPECT_EQ(fa_heap_alloc(allocator, SIZE_MAX), nullptr);
    EXPECT_EQ(fa_last_error().size, SIZE_MAX);
    fa_last_error_clear();
    EXPECT_EQ(fa_last_error().status, FA_OK);
    EXPECT_EQ(fa_last_error().size, 0u);
    EXPECT_TRUE(events.all.empty()) << "a bad argument is no event";
}

TEST_F(DiagTest, PrintedLine) {
    fa_event event = {};
    event.diag = FA_DIAG_FA003;
    event.severity = FA_SEVERITY_WARNING;
    event.allocator_name = "name";
    const fa_diag_info info = fa_diag_describe(FA_DIAG_FA003);
    const std::string head = std::string("framealloc[name] FA003 warning: ") + info.text;
    const std::string tail = std::string("; ") + info.help + "\n";
    const auto printed = [&] {
        testing::internal::CaptureStderr();
        fa_event_print(nullptr, &event);
        return testing::internal::GetCapturedStderr();
    };
    EXPECT_EQ(printed(), head + tail);
    event.size = 64;
    EXPECT_EQ(printed(), head + " (size 64)" + tail);
    event.limit = 1024;
    EXPECT_EQ(printed(), head + " (size 64, limit 1024)" + tail);
    event.site = fa_site{"file.c", "f", 7};
    EXPECT_EQ(printed(), head + " (size 64, limit 1024) at file.c:7" + tail);
}

TEST_F(DiagDeathTest, OverwrittenGuardsAlwaysAbort) {
    config.checks = FA_CHECK_GUARD;
    Allocator allocator(config, source);
    void *heap = fa_heap_alloc(allocator, 100), *pool = fa_pool_alloc(allocator, 40);
    EXPECT_DEATH(Damage(heap, 100, 1); fa_heap_free(allocator, heap), "FA604 fatal.*guard bytes");
    EXPECT_DEATH(Damage(heap, 115, 1);
                 heap = fa_heap_realloc(allocator, heap, 5000), "FA604 fatal");
    EXPECT_DEATH(Damage(pool, 40, 1); fa_pool_free(allocator, pool), "FA604 fatal");
    fa_frame_begin(allocator);
    void *block = fa_frame_alloc(allocator, 50);
    EXPECT_DEATH(Damage(block, 50, 1); fa_frame_end(allocator), "FA604 fatal.*size 50");
    EXPECT_DEATH(Damage(block, 64 + 15, 1); fa_frame_end(allocator), "FA604 fatal");
    EXPECT_DEATH(Damage(block, -64, 64); fa_frame_end(allocator), "FA606 fatal.*book-keeping");
    // Nothing was damaged here, only in the children.
    EXPECT_EQ(fa_frame_end(allocator), FA_OK);
    fa_heap_free(allocator, heap);
    fa_pool_free(allocator, pool);
    EXPECT_TRUE(events.all.empty());
}

TEST_F(DiagDeathTest, StrictModeAbortsOnMisuseAlone) {
    config.strict = true;
    Allocator allocator(config, source);
    int local = 0;
    EXPECT_DEATH(fa_free(allocator, &local), "framealloc.diag. FA601 error");
    EXPECT_DEATH(fa_frame_end(allocator), "FA005 error");
    EXPECT_DEATH({ (void)!fa_frame_alloc(allocator, 10); }, "FA001 error");
    EXPECT_DEATH(fa_frame_begin(allocator); fa_frame_begin(allocator), "FA004 error");
    // Running out of something is no misuse.
    source.Fail(1);
    EXPECT_EQ(fa_heap_alloc(allocator, 10), nullptr);
    source.Fail(0);
    EXPECT_EQ(events.Count(FA_DIAG_FA701), 1u);
    setenv("FRAMEALLOC_STRICT", "1", 1);
    EXPECT_DEATH(
        {
            fa_allocator *other;
            fa_allocator_create(nullptr, &other);
            fa_frame_end(other);
        },
        "FA005 error");
    unsetenv("FRAMEALLOC_STRICT");
}
