#include "backends/conformance.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdio>
#include <cstring>
#include <map>
#include <mutex>
#include <random>
#include <thread>
#include <vector>

#include <unistd.h>

#if defined(__SANITIZE_THREAD__)
#define FA_CONFORMANCE_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define FA_CONFORMANCE_TSAN 1
#endif
#endif

namespace {

constexpr size_t kKiB = size_t{1} << 10;
constexpr size_t kMiB = size_t{1} << 20;

template <class Visit> void ForEachSample(size_t size, Visit visit) {
    const size_t step = size <= 16 * kKiB ? 1 : 509; // a prime: no page is left out, few bytes are
    for (size_t i = 0; i < size; i += step)
        visit(i);
    visit(size - 1);
}

unsigned char Byte(unsigned char seed, size_t i) {
    return static_cast<unsigned char>(seed + i * 31 + (i >> 12) * 7);
}

// 0 where ThreadSanitizer maps and keeps memory of its own for whatever the program does.
size_t AddressSpaceBytes() {
#ifdef FA_CONFORMANCE_TSAN
    return 0;
#else
    size_t pages = 0;
    FILE *file = std::fopen("/proc/self/statm", "r");
    if (file == nullptr || std::fscanf(file, "%zu", &pages) != 1)
        pages = 0;
    if (file != nullptr)
        std::fclose(file);
    return pages * static_cast<size_t>(sysconf(_SC_PAGESIZE));
#endif
}

} // namespace

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(BackendConformance);

void BackendConformance::SetUp() {
    backend_ = GetParam().open();
    ASSERT_NE(backend_.vtable, nullptr);
    backend_.vtable->describe(backend_.context, &info_);
    budget_ = info_.capacity_bytes == 0 ? 64 * kMiB : info_.capacity_bytes / 2;
}

void BackendConformance::TearDown() { fa_backend_close(backend_); }

BackendConformance::Span BackendConformance::Alloc(size_t size, size_t align) {
    return Alloc(size, align, GetParam().kind);
}

BackendConformance::Span BackendConformance::Alloc(size_t size, size_t align, fa_span_kind kind) {
    Span span;
    span.ptr =
        static_cast<unsigned char *>(backend_.vtable->alloc(backend_.context, size, align, kind));
    span.size = size;
    span.align = align;
    span.kind = kind;
    if (span.ptr == nullptr)
        return span;
    EXPECT_EQ(reinterpret_cast<uintptr_t>(span.ptr) % align, 0u) << size << " to " << align;
    if (info_.zeroed) {
        bool zero = true;
        ForEachSample(size, [&](size_t i) { zero = zero && span.ptr[i] == 0; });
        EXPECT_TRUE(zero) << size << " bytes are not zeroed";
    }
    return span;
}

void BackendConformance::Free(const Span &span) {
    backend_.vtable->free(backend_.context, span.ptr, span.size, span.align, span.kind);
}

void BackendConformance::Fill(Span &span, unsigned char seed) {
    span.seed = seed;
    ForEachSample(span.size, [&](size_t i) { span.ptr[i] = Byte(seed, i); });
}

// Of a resized span the samples of the old size are what was written: its last byte is left out.
bool BackendConformance::Intact(const Span &span, size_t size) {
    bool intact = true;
    const size_t step = span.size <= 16 * kKiB ? 1 : 509;
    for (size_t i = 0; i < std::min(size, span.size); i += step)
        intact = intact && span.ptr[i] == Byte(span.seed, i);
    return intact;
}

TEST_P(BackendConformance, DescribesItselfConsistently) {
    const fa_backend_vtable *vtable = backend_.vtable;
    ASSERT_NE(vtable->name, nullptr);
    for (const char *c = vtable->name; *c != '\0'; c++)
        EXPECT_TRUE(std::isalnum(static_cast<unsigned char>(*c)) || *c == '_') << vtable->name;
    EXPECT_NE(vtable->alloc, nullptr);
    EXPECT_NE(vtable->free, nullptr);
    auto power_of_two = [](size_t value) { return value != 0 && (value & (value - 1)) == 0; };
    EXPECT_TRUE(power_of_two(info_.granularity_bytes));
    EXPECT_TRUE(power_of_two(info_.align_bytes_max));
    EXPECT_GE(info_.align_bytes_max, FA_ALIGN_MIN);
    EXPECT_TRUE(info_.huge_page_bytes == 0 || power_of_two(info_.huge_page_bytes));
    EXPECT_GE(info_.node_count, 1);
    EXPECT_LT(std::strlen(info_.text), sizeof info_.text);
    EXPECT_EQ(std::strncmp(info_.text, vtable->name, std::strlen(vtable->name)), 0) << info_.text;

    fa_backend_info again = {};
    vtable->describe(backend_.context, &again);
    EXPECT_EQ(again.granularity_bytes, info_.granularity_bytes);
    EXPECT_EQ(again.align_bytes_max, info_.align_bytes_max);
    EXPECT_EQ(again.capacity_bytes, info_.capacity_bytes);
    EXPECT_EQ(again.zeroed, info_.zeroed);
}

TEST_P(BackendConformance, ServesAllSizes) {
    for (size_t base = 1; base <= budget_ / 4; base *= 2) {
        for (size_t size : {base, base + 1, base * 2 - 1}) {
            Span span = Alloc(size, FA_ALIGN_MIN);
            ASSERT_NE(span.ptr, nullptr) << size;
            Fill(span, 17);
            EXPECT_TRUE(Intact(span, size));
            Free(span);
        }
    }
}

TEST_P(BackendConformance, HonoursAllAlignments) {
    for (size_t align = FA_ALIGN_MIN; align <= info_.align_bytes_max; align *= 2) {
        for (size_t size : {size_t{1}, size_t{4096}, std::min(align, budget_ / 4)}) {
            Span span = Alloc(size, align);
            if (span.ptr == nullptr && info_.capacity_bytes != 0)
                continue; // a region need not hold an aligned place of that size
            ASSERT_NE(span.ptr, nullptr) << size << " to " << align;
            Fill(span, 99);
            EXPECT_TRUE(Intact(span, size));
            Free(span);
        }
    }
}

TEST_P(BackendConformance, ServesSegmentsAlignedToTheirSize) {
    std::vector<Span> spans;
    const size_t size = std::min(std::min(4 * kMiB, info_.align_bytes_max), budget_ / 8);
    const size_t align = size_t{1} << (63 - __builtin_clzll(size));
    for (int i = 0; i < 3; i++) {
        spans.push_back(Alloc(align, align, FA_SPAN_SEGMENT));
        if (info_.capacity_bytes == 0) {
            ASSERT_NE(spans.back().ptr, nullptr);
        }
        if (spans.back().ptr == nullptr)
            spans.pop_back();
        else
            Fill(spans.back(), static_cast<unsigned char>(i));
    }
    EXPECT_FALSE(spans.empty());
    for (Span &span : spans) {
        EXPECT_TRUE(Intact(span, span.size));
        Free(span);
    }
}

// Random operations against a list of what is alive: no overlap, contents survive everything that
// happens to others, resized spans keep what they had.
TEST_P(BackendConformance, ModelOfRandomUse) {
    const unsigned seed = std::random_device{}();
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937 random(seed);
    std::map<unsigned char *, Span> alive;
    size_t held = 0;
    auto pick = [&] {
        auto it = alive.begin();
        std::advance(it, random() % alive.size());
        return it;
    };
    for (int step = 0; step < 3000 && !HasFailure(); step++) {
        unsigned action = random() % 8;
        if (action < 4 || alive.empty()) {
            size_t size = 1 + random() % (size_t{1} << (4 + random() % 17));
            size_t align = FA_ALIGN_MIN << (random() % 17);
            align = std::min(align, info_.align_bytes_max);
            if (held + size > budget_)
                continue;
            Span span = Alloc(size, align, static_cast<fa_span_kind>(random() % 4));
            if (span.ptr == nullptr) {
                ASSERT_NE(info_.capacity_bytes, 0u) << "refused " << size << " to " << align;
                continue;
            }
            auto next = alive.lower_bound(span.ptr);
            if (next != alive.end()) {
                ASSERT_LE(span.ptr + span.size, next->first);
            }
            if (next != alive.begin()) {
                ASSERT_LE(std::prev(next)->first + std::prev(next)->second.size, span.ptr);
            }
            Fill(span, static_cast<unsigned char>(random()));
            alive[span.ptr] = span;
            held += size;
        } else if (action < 6) {
            auto it = pick();
            ASSERT_TRUE(Intact(it->second, it->second.size));
            held -= it->second.size;
            Free(it->second);
            alive.erase(it);
        } else if (backend_.vtable->resize != nullptr) {
            Span &span = pick()->second;
            size_t size = 1 + random() % (span.size * 2);
            auto next = alive.upper_bound(span.ptr);
            if (backend_.vtable->resize(backend_.context, span.ptr, span.size, size)) {
                ASSERT_TRUE(Intact(span, size));
                held += size - span.size;
                span.size = size;
                if (next != alive.end()) {
                    ASSERT_LE(span.ptr + size, next->first);
                }
                Fill(span, static_cast<unsigned char>(random()));
            } else {
                ASSERT_TRUE(Intact(span, span.size));
            }
        }
    }
    for (auto &[ptr, span] : alive) {
        EXPECT_TRUE(Intact(span, span.size));
        Free(span);
    }
}

TEST_P(BackendConformance, ResizedSpanIsUsableAndFreedWithItsNewSize) {
    if (backend_.vtable->resize == nullptr)
        return;
    for (size_t size : {size_t{100}, 64 * kKiB, budget_ / 8}) {
        Span span = Alloc(size, 64);
        ASSERT_NE(span.ptr, nullptr);
        Fill(span, 5);
        for (size_t size_new : {size - 1, size, size + 1, size * 3 / 2, size * 2, size / 2}) {
            if (!backend_.vtable->resize(backend_.context, span.ptr, span.size, size_new)) {
                EXPECT_TRUE(Intact(span, span.size));
                continue;
            }
            EXPECT_TRUE(Intact(span, size_new)) << span.size << " to " << size_new;
            span.size = size_new;
            Fill(span, static_cast<unsigned char>(size_new));
            EXPECT_TRUE(Intact(span, size_new));
        }
        EXPECT_FALSE(backend_.vtable->resize(backend_.context, span.ptr, span.size, SIZE_MAX / 2));
        Free(span);
    }
}

TEST_P(BackendConformance, PurgeLeavesTheRestIntact) {
    if (backend_.vtable->purge == nullptr)
        return;
    const size_t size = std::min(4 * kMiB, budget_ / 4);
    Span span = Alloc(size, 4096);
    Span neighbour = Alloc(size, 4096);
    ASSERT_TRUE(span.ptr != nullptr && neighbour.ptr != nullptr);
    std::memset(span.ptr, 0x5a, size);
    Fill(neighbour, 3);
    const size_t begin = size / 4 + 100, end = size / 2 + 77;
    backend_.vtable->purge(backend_.context, span.ptr + begin, end - begin);
    size_t changed = 0;
    for (size_t i = 0; i < size; i++)
        if (i < begin || i >= end)
            changed += span.ptr[i] != 0x5a;
    EXPECT_EQ(changed, 0u);
    EXPECT_TRUE(Intact(neighbour, size));
    std::memset(span.ptr, 0x6b, size); // still usable, all of it
    backend_.vtable->purge(backend_.context, span.ptr, 1);
    EXPECT_EQ(span.ptr[0], 0x6b);
    Free(span);
    Free(neighbour);
}

TEST_P(BackendConformance, AnswersAboutNodes) {
    Span span = Alloc(64 * kKiB, 4096);
    ASSERT_NE(span.ptr, nullptr);
    std::memset(span.ptr, 1, span.size);
    if (backend_.vtable->bind != nullptr) {
        fa_status status = backend_.vtable->bind(backend_.context, span.ptr, span.size, 0);
        EXPECT_TRUE(status == FA_OK || status == FA_ERROR_UNSUPPORTED) << status;
    }
    if (backend_.vtable->locate != nullptr) {
        int nodes[8];
        std::fill(std::begin(nodes), std::end(nodes), -1000);
        fa_status status = backend_.vtable->locate(backend_.context, span.ptr, span.size, nodes, 7);
        EXPECT_TRUE(status == FA_OK || status == FA_ERROR_UNSUPPORTED) << status;
        for (int i = 0; status == FA_OK && i < 7; i++)
            EXPECT_GE(nodes[i], 0);
        EXPECT_EQ(nodes[7], -1000);
    }
    EXPECT_EQ(span.ptr[span.size - 1], 1);
    Free(span);
}

// Four threads get spans and write them, four others check and free them.
TEST_P(BackendConformance, ThreadsFreeEachOthersSpans) {
    constexpr int kThreads = 4, kEach = 300;
    std::mutex mutex;
    std::condition_variable changed;
    std::vector<Span> queue;
    int producing = kThreads;
    std::atomic<size_t> held{0};
    std::atomic<int> broken{0}, refused{0};
    auto produce = [&](unsigned seed) {
        std::mt19937 random(seed);
        for (int i = 0; i < kEach; i++) {
            size_t size = 1 + random() % (size_t{1} << (6 + random() % 12));
            while (held.fetch_add(size) + size > budget_) {
                held -= size;
                std::this_thread::yield();
            }
            Span span;
            span.kind = GetParam().kind;
            span.size = size;
            span.align = std::min(FA_ALIGN_MIN << (random() % 12), info_.align_bytes_max);
            span.ptr = static_cast<unsigned char *>(
                backend_.vtable->alloc(backend_.context, size, span.align, span.kind));
            if (span.ptr == nullptr) {
                refused++;
                held -= size;
                continue;
            }
            Fill(span, static_cast<unsigned char>(random()));
            std::lock_guard<std::mutex> lock(mutex);
            queue.push_back(span);
            changed.notify_one();
        }
        std::lock_guard<std::mutex> lock(mutex);
        producing--;
        changed.notify_all();
    };
    auto consume = [&] {
        for (;;) {
            std::unique_lock<std::mutex> lock(mutex);
            changed.wait(lock, [&] { return !queue.empty() || producing == 0; });
            if (queue.empty())
                return;
            Span span = queue.back();
            queue.pop_back();
            lock.unlock();
            if (!Intact(span, span.size))
                broken++;
            Free(span);
            held -= span.size;
        }
    };
    std::vector<std::thread> threads;
    for (unsigned i = 0; i < kThreads; i++) {
        threads.emplace_back(produce, i);
        threads.emplace_back(consume);
    }
    for (std::thread &thread : threads)
        thread.join();
    EXPECT_EQ(broken, 0);
    if (info_.capacity_bytes == 0) {
        EXPECT_EQ(refused, 0);
    }
}

// Spans of a thread outlive it.
TEST_P(BackendConformance, SpansOutliveTheirThread) {
    std::vector<Span> spans;
    for (unsigned char round = 0; round < 8; round++) {
        std::thread([&] {
            for (size_t size : {size_t{48}, size_t{5000}, 200 * kKiB}) {
                spans.push_back(Alloc(std::min(size, budget_ / 64), 64));
                ASSERT_NE(spans.back().ptr, nullptr);
                Fill(spans.back(), round);
            }
        }).join();
    }
    for (Span &span : spans) {
        EXPECT_TRUE(Intact(span, span.size));
        Free(span);
    }
}

TEST_P(BackendConformance, ExhaustionIsNull) {
    EXPECT_EQ(Alloc(FA_SIZE_MAX, FA_ALIGN_MIN).ptr, nullptr);
    EXPECT_EQ(Alloc(FA_SIZE_MAX, info_.align_bytes_max).ptr, nullptr);
    EXPECT_EQ(Alloc(SIZE_MAX, FA_ALIGN_MIN).ptr, nullptr);
    EXPECT_EQ(Alloc(SIZE_MAX - 4096, 4096).ptr, nullptr);
    EXPECT_EQ(Alloc(64, size_t{1} << 62).ptr, nullptr);
    if (info_.capacity_bytes != 0) {
        std::vector<Span> spans;
        const size_t size = std::max<size_t>(info_.capacity_bytes / 64, info_.granularity_bytes);
        for (;;) {
            Span span = Alloc(size, FA_ALIGN_MIN);
            if (span.ptr == nullptr)
                break;
            Fill(span, 1);
            spans.push_back(span);
            ASSERT_LE(spans.size() * size, info_.capacity_bytes);
        }
        EXPECT_GE(spans.size(), 32u);
        for (const Span &span : spans)
            Free(span);
    }
    Span span = Alloc(64, FA_ALIGN_MIN); // refusing has broken nothing
    ASSERT_NE(span.ptr, nullptr);
    Fill(span, 2);
    Free(span);
}

TEST_P(BackendConformance, ClosingReturnsEverything) {
    if (!GetParam().returns_address_space)
        return;
    fa_backend_close(GetParam().open()); // what opening twice caches for good is no leak
    const size_t before = AddressSpaceBytes();
    fa_backend backend = GetParam().open();
    ASSERT_NE(backend.vtable, nullptr);
    std::vector<Span> spans(64);
    for (size_t i = 0; i < spans.size(); i++) {
        Span &span = spans[i];
        span.kind = GetParam().kind;
        span.size = budget_ / 128 + i * 100;
        span.align = std::min(FA_ALIGN_MIN << (i % 20), info_.align_bytes_max);
        span.ptr = static_cast<unsigned char *>(
            backend.vtable->alloc(backend.context, span.size, span.align, span.kind));
    }
    for (const Span &span : spans)
        if (span.ptr != nullptr)
            backend.vtable->free(backend.context, span.ptr, span.size, span.align, span.kind);
    fa_backend_close(backend);
    const size_t after = AddressSpaceBytes();
    EXPECT_LT(after, before + 256 * kKiB);
}
