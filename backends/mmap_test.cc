#include "backends/backends.h"

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <sstream>
#include <string>

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

namespace {

const size_t kPage = static_cast<size_t>(sysconf(_SC_PAGESIZE));
constexpr size_t kMiB = size_t{1} << 20;

class Mmap : public testing::Test {
  protected:
    void Open(const fa_mmap_options &options) {
        backend_ = fa_backend_mmap(&options);
        ASSERT_NE(backend_.vtable, nullptr);
        backend_.vtable->describe(backend_.context, &info_);
    }
    char *Alloc(size_t size, size_t align = 16, fa_span_kind kind = FA_SPAN_CHUNK) {
        return static_cast<char *>(backend_.vtable->alloc(backend_.context, size, align, kind));
    }
    void Free(char *ptr, size_t size) {
        backend_.vtable->free(backend_.context, ptr, size, 16, FA_SPAN_CHUNK);
    }
    void TearDown() override { fa_backend_close(backend_); }

    fa_backend backend_ = {};
    fa_backend_info info_ = {};
};

// The lines of /proc/self/smaps about the mapping that ptr lies in.
std::string Smaps(const void *ptr) {
    std::ifstream file("/proc/self/smaps");
    std::string line, found;
    bool inside = false;
    while (std::getline(file, line)) {
        uintptr_t begin, end;
        if (std::sscanf(line.c_str(), "%zx-%zx ", &begin, &end) == 2)
            inside =
                begin <= reinterpret_cast<uintptr_t>(ptr) && reinterpret_cast<uintptr_t>(ptr) < end;
        if (inside)
            found += line + "\n";
    }
    return found;
}

// Number of pages of a span that are in memory. mincore(2) answers for anonymous memory as well.
size_t Resident(const char *ptr, size_t size) {
    unsigned char pages[4096];
    size_t count = 0;
    EXPECT_LE(size / kPage, sizeof pages);
    EXPECT_EQ(mincore(const_cast<char *>(ptr), size, pages), 0);
    for (size_t i = 0; i < size / kPage; i++)
        count += pages[i] & 1;
    return count;
}

size_t MappedBytes() {
    size_t pages = 0;
    std::ifstream("/proc/self/statm") >> pages;
    return pages * kPage;
}

} // namespace

TEST_F(Mmap, DescribesTheDefault) {
    Open({});
    EXPECT_STREQ(info_.text, "mmap");
    EXPECT_EQ(info_.granularity_bytes, kPage);
    EXPECT_TRUE(info_.zeroed);
    EXPECT_TRUE(info_.commits_lazily);
    EXPECT_EQ(info_.huge_page_bytes, 0u);
}

TEST_F(Mmap, DescribesItsOptions) {
    fa_mmap_options options = {};
    options.prefault = true;
    options.guard = true;
    options.name = "level";
    Open(options);
    EXPECT_STREQ(info_.text, "mmap:prefault,guard,name=level");
    EXPECT_FALSE(info_.commits_lazily);
}

TEST_F(Mmap, RefusesWhatCannotBe) {
    fa_mmap_options options = {};
    options.hugetlb = true;
    options.guard = true;
    EXPECT_EQ(fa_backend_mmap(&options).vtable, nullptr);
    for (const char *name : {"a[b", "a]b", "a\\b", "a$b", "a`b", "a,b", "a+b", "a\nb", "\x80",
                             "0123456789012345678901234567890123456789"}) {
        options = {};
        options.name = name;
        EXPECT_EQ(fa_backend_mmap(&options).vtable, nullptr) << name;
    }
}

TEST_F(Mmap, CommitsOnFirstTouch) {
    Open({});
    char *ptr = Alloc(64 * kPage);
    ASSERT_NE(ptr, nullptr);
    EXPECT_EQ(Resident(ptr, 64 * kPage), 0u);
    ptr[5 * kPage] = 1;
    EXPECT_EQ(Resident(ptr, 64 * kPage), 1u);
    Free(ptr, 64 * kPage);
}

TEST_F(Mmap, PrefaultCommitsAtOnceAndAfterGrowth) {
    fa_mmap_options options = {};
    options.prefault = true;
    Open(options);
    char *ptr = Alloc(64 * kPage);
    ASSERT_NE(ptr, nullptr);
    EXPECT_EQ(Resident(ptr, 64 * kPage), 64u);
    size_t size = 64 * kPage;
    EXPECT_TRUE(backend_.vtable->resize(backend_.context, ptr, size, 32 * kPage));
    if (backend_.vtable->resize(backend_.context, ptr, 32 * kPage, size)) {
        EXPECT_EQ(Resident(ptr, size), 64u);
    } else {
        size = 32 * kPage;
    }
    Free(ptr, size);
}

TEST_F(Mmap, AlignedSpansCostNoMoreAddressSpaceThanTheirSize) {
    Open({});
    const size_t before = MappedBytes();
    char *ptr = Alloc(4 * kMiB, 4 * kMiB, FA_SPAN_SEGMENT);
    ASSERT_NE(ptr, nullptr);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(ptr) % (4 * kMiB), 0u);
    EXPECT_EQ(MappedBytes(), before + 4 * kMiB);
    Free(ptr, 4 * kMiB);
    EXPECT_EQ(MappedBytes(), before);
}

TEST_F(Mmap, PurgeDropsWholePages) {
    Open({});
    char *ptr = Alloc(16 * kPage);
    ASSERT_NE(ptr, nullptr);
    memset(ptr, 1, 16 * kPage);
    backend_.vtable->purge(backend_.context, ptr + kPage / 2, 4 * kPage);
    EXPECT_EQ(Resident(ptr, 16 * kPage), 13u);
    EXPECT_EQ(ptr[kPage - 1], 1);
    EXPECT_EQ(ptr[kPage], 0);
    EXPECT_EQ(ptr[4 * kPage + kPage / 4], 1);
    Free(ptr, 16 * kPage);
}

TEST_F(Mmap, HugePagesAreAskedForAndNotSplitByPurge) {
    fa_mmap_options options = {};
    options.huge = true;
    Open(options);
    const size_t huge = info_.huge_page_bytes;
    if (huge == 0)
        GTEST_SKIP() << info_.text;
    EXPECT_STREQ(info_.text, "mmap:huge");
    char *ptr = Alloc(4 * huge);
    ASSERT_NE(ptr, nullptr);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(ptr) % huge, 0u);
    std::string smaps = Smaps(ptr);
    std::string flags = smaps.substr(smaps.find("VmFlags:"));
    EXPECT_NE(flags.find(" hg"), std::string::npos) << smaps;
    memset(ptr, 1, 4 * huge);
    backend_.vtable->purge(backend_.context, ptr, huge - kPage);
    EXPECT_EQ(ptr[0], 1);
    backend_.vtable->purge(backend_.context, ptr + kPage, 2 * huge);
    EXPECT_EQ(ptr[huge - 1], 1);
    EXPECT_EQ(ptr[huge], 0);
    EXPECT_EQ(ptr[2 * huge], 1);
    Free(ptr, 4 * huge);

    char *small = Alloc(64 * kPage);
    ASSERT_NE(small, nullptr);
    flags = Smaps(small);
    EXPECT_EQ(flags.substr(flags.find("VmFlags:")).find(" hg"), std::string::npos);
    Free(small, 64 * kPage);
}

TEST_F(Mmap, HugetlbServesAlsoWhereNoneAreReserved) {
    fa_mmap_options options = {};
    options.hugetlb = true;
    Open(options);
    size_t reserved = 0;
    std::ifstream("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages") >> reserved;
    if (reserved == 0) {
        EXPECT_NE(std::string(info_.text).find("no huge pages reserved"), std::string::npos)
            << info_.text;
    }
    const size_t size = 3 * kMiB;
    char *ptr = Alloc(size, 4 * kMiB);
    ASSERT_NE(ptr, nullptr);
    memset(ptr, 1, size);
    EXPECT_TRUE(backend_.vtable->resize(backend_.context, ptr, size, size + 1));
    EXPECT_FALSE(backend_.vtable->resize(backend_.context, ptr, size + 1, 64 * kMiB));
    Free(ptr, size + 1);
}

TEST_F(Mmap, GuardPagesFault) {
    testing::FLAGS_gtest_death_test_style = "threadsafe";
    fa_mmap_options options = {};
    options.guard = true;
    Open(options);
    const size_t size = 3 * kPage;
    char *ptr = Alloc(size, 64 * kPage);
    ASSERT_NE(ptr, nullptr);
    ptr[0] = ptr[size - 1] = 1;
    EXPECT_DEATH(static_cast<volatile char *>(ptr)[size] = 1, "");
    EXPECT_DEATH(static_cast<volatile char *>(ptr)[-1] = 1, "");
    EXPECT_FALSE(backend_.vtable->resize(backend_.context, ptr, size, size + kPage));
    EXPECT_TRUE(backend_.vtable->resize(backend_.context, ptr, size, size - 1));
    Free(ptr, size - 1);
}

TEST_F(Mmap, SpansAreNamedWhereTheKernelCan) {
    // Asked on a mapping of this test's own, so that a failure of the backend is not mistaken for
    // a kernel without CONFIG_ANON_VMA_NAME.
    void *page = mmap(nullptr, kPage, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ASSERT_NE(page, MAP_FAILED);
    const bool can = prctl(0x53564d41, 0, page, kPage, "probe") == 0;
    munmap(page, kPage);
    fa_mmap_options options = {};
    options.name = "level";
    Open(options);
    char *ptr = Alloc(kMiB, 16, FA_SPAN_SEGMENT);
    ASSERT_NE(ptr, nullptr);
    EXPECT_EQ(Smaps(ptr).find("[anon:level:segment]") != std::string::npos, can);
    Free(ptr, kMiB);
}

TEST_F(Mmap, WorksInTheChildOfAFork) {
    Open({});
    char *ptr = Alloc(kMiB);
    ASSERT_NE(ptr, nullptr);
    memset(ptr, 7, kMiB);
    pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
        char *other = Alloc(kMiB);
        bool good = other != nullptr && ptr[kMiB - 1] == 7;
        if (good)
            memset(other, 8, kMiB);
        Free(ptr, kMiB);
        _exit(good ? 0 : 1);
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
    EXPECT_EQ(ptr[0], 7);
    Free(ptr, kMiB);
}
