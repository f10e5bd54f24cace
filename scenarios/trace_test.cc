#include "scenarios/trace.hpp"

#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>
#include <iterator>
#include <stdexcept>

#include "scenarios/memory_recorder.hpp"

using namespace scenarios;

namespace {

std::string test_file() { return testing::TempDir() + "trace_test.trace"; }

std::string bytes_of(const std::string &path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

void write_bytes(const std::string &path, const std::string &bytes) {
    std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

/* Two frames, one block of each kind alive at its end, one frame block that nobody freed. */
Trace small_trace() {
    RecorderMemory memory{MemoryOptions{}};
    void *pool = memory.pool_alloc(48);
    void *heap = memory.heap_alloc(5000);
    memory.frame_begin();
    void *block = memory.frame_alloc(100);
    block = memory.frame_grow(block, 100, 5000);
    (void)memory.frame_alloc(16);
    memory.frame_free(block, 5000);
    memory.pool_free(pool, 48);
    memory.frame_end();
    memory.frame_begin();
    block = memory.frame_grow(nullptr, 0, 64);
    memory.frame_free(block, 0);
    (void)memory.pool_alloc(32);
    memory.frame_end();
    memory.heap_free(heap, 5000);
    return memory.trace();
}

void expect_refused(Trace trace, const char *why) {
    EXPECT_NE(std::string::npos, trace.check().find(why)) << trace.check();
    trace.save(test_file());
    EXPECT_THROW(Trace::load(test_file()), std::runtime_error);
}

TEST(Trace, RecordsWhatHappened) {
    Trace trace = small_trace();
    EXPECT_EQ("", trace.check());
    EXPECT_EQ(2u, trace.frame_count());
    EXPECT_EQ((std::vector<uint64_t>{2, 7, 10}), trace.frame_starts);
    ASSERT_EQ(11u, trace.ops.size());
    EXPECT_EQ(TraceKind::kFrameGrow, trace.ops[3].kind);
    EXPECT_EQ(trace.ops[2].id, trace.ops[3].id);
    EXPECT_EQ(5000u, trace.ops[3].size);
    EXPECT_EQ(TraceKind::kFrameAlloc, trace.ops[7].kind);
    EXPECT_EQ(4u, trace.id_count) << "ids of dead blocks are used again";
}

TEST(Trace, SurvivesTheFile) {
    Trace trace = small_trace();
    trace.save(test_file());
    Trace copy = Trace::load(test_file());
    EXPECT_EQ(trace.frame_starts, copy.frame_starts);
    EXPECT_EQ(trace.id_count, copy.id_count);
    ASSERT_EQ(trace.ops.size(), copy.ops.size());
    for (size_t i = 0; i < trace.ops.size(); i++) {
        EXPECT_EQ(trace.ops[i].kind, copy.ops[i].kind);
        EXPECT_EQ(trace.ops[i].id, copy.ops[i].id);
        EXPECT_EQ(trace.ops[i].size, copy.ops[i].size);
    }
    Trace empty;
    empty.save(test_file());
    EXPECT_EQ(0u, Trace::load(test_file()).frame_count());
}

TEST(Trace, WhatCanNotBeIsRefused) {
    const Trace good = small_trace();
    Trace trace = good;
    trace.ops[1].id = trace.ops[0].id;
    expect_refused(trace, "while it is in use");
    trace = good;
    trace.ops[5].kind = TraceKind::kHeapFree;
    expect_refused(trace, "of another kind");
    trace = good;
    trace.ops[6] = trace.ops[5];
    expect_refused(trace, "while it is free");
    trace = good;
    trace.ops[4].id = trace.id_count;
    expect_refused(trace, "out of range");
    trace = good;
    trace.ops[4].size = 0;
    expect_refused(trace, "size out of range");
    trace = good;
    trace.ops[4].size = kTraceSizeMax + 1;
    expect_refused(trace, "size out of range");
    trace = good;
    trace.ops[4].kind = TraceKind::kCount;
    expect_refused(trace, "unknown kind");
    trace = good;
    trace.frame_starts[0] = 3;
    expect_refused(trace, "outside of frames");
    trace = good;
    std::swap(trace.frame_starts[0], trace.frame_starts[1]);
    expect_refused(trace, "out of order");
    trace = good;
    trace.frame_starts.back() = trace.ops.size() + 1;
    expect_refused(trace, "out of order");
    trace = good;
    trace.frame_starts.resize(1);
    expect_refused(trace, "boundary alone");
    trace = good;
    trace.id_count = 1000;
    expect_refused(trace, "more ids");
}

/* A frame block is dead after its frame. */
TEST(Trace, FrameBlocksEndWithTheirFrame) {
    Trace trace;
    trace.id_count = 1;
    trace.ops = {{TraceKind::kFrameAlloc, 0, 16}, {TraceKind::kFrameFree, 0, 16}};
    trace.frame_starts = {0, 2};
    EXPECT_EQ("", trace.check());
    trace.frame_starts = {0, 1, 2};
    expect_refused(trace, "while it is free");
    trace.ops[1].kind = TraceKind::kFrameAlloc;
    EXPECT_EQ("", trace.check()) << "the next frame's block may have its id";
}

/* And after its scope, which leaves the blocks from before it alone. */
TEST(Trace, ScopesAreRecordedAndChecked) {
    RecorderMemory memory{MemoryOptions{}};
    memory.frame_begin();
    void *outer = memory.frame_alloc(16);
    memory.scope_begin();
    void *inner = memory.frame_alloc(32);
    EXPECT_THROW(memory.frame_free(outer, 16), std::logic_error);
    EXPECT_THROW((void)memory.frame_grow(outer, 16, 32), std::logic_error);
    EXPECT_THROW(memory.scope_begin(), std::logic_error);
    EXPECT_THROW(memory.scope_end(), std::logic_error) << "a block is in use";
    EXPECT_THROW(memory.frame_end(), std::logic_error);
    memory.frame_free(inner, 32);
    memory.scope_end();
    EXPECT_THROW(memory.scope_end(), std::logic_error);
    memory.frame_free(outer, 16);
    memory.frame_end();
    EXPECT_THROW(memory.scope_begin(), std::logic_error);
    const Trace good = memory.trace();
    EXPECT_EQ("", good.check());
    ASSERT_EQ(6u, good.ops.size());
    EXPECT_EQ(TraceKind::kScopeBegin, good.ops[1].kind);
    EXPECT_EQ(TraceKind::kScopeEnd, good.ops[4].kind);
    good.save(test_file());
    EXPECT_EQ(TraceKind::kScopeEnd, Trace::load(test_file()).ops[4].kind);

    Trace trace = good;
    trace.ops[4].kind = TraceKind::kScopeBegin;
    expect_refused(trace, "scope in a scope");
    trace = good;
    trace.ops[1].kind = TraceKind::kScopeEnd;
    expect_refused(trace, "without one");
    trace = good;
    trace.ops[1].id = 1;
    expect_refused(trace, "with an id");
    trace = good;
    trace.ops[4].size = 1;
    expect_refused(trace, "with an id or a size");
    trace = good;
    trace.ops[3] = trace.ops[5];
    expect_refused(trace, "from before the scope");
    trace = good;
    trace.ops[5].id = trace.ops[3].id;
    expect_refused(trace, "while it is free");
    trace = good;
    trace.ops.erase(trace.ops.begin() + 3);
    trace.frame_starts.back()--;
    EXPECT_EQ("", trace.check()) << "the scope's end is the block's";
    trace.ops[4].id = trace.ops[2].id;
    expect_refused(trace, "while it is free");
    trace = good;
    trace.frame_starts = {0, 3, 6};
    expect_refused(trace, "boundary 1 in a scope");
    trace = good;
    trace.frame_starts.clear();
    expect_refused(trace, "outside of frames");
    trace = good;
    trace.ops.resize(4);
    trace.frame_starts.back() = 4;
    expect_refused(trace, "open at the end");
}

TEST(Trace, DamagedFilesAreRefused) {
    small_trace().save(test_file());
    const std::string good = bytes_of(test_file());
    for (size_t length = 0; length < good.size(); length++) {
        write_bytes(test_file(), good.substr(0, length));
        EXPECT_THROW(Trace::load(test_file()), std::runtime_error) << "cut to " << length;
    }
    write_bytes(test_file(), good + "x");
    EXPECT_THROW(Trace::load(test_file()), std::runtime_error);
    constexpr size_t kHeaderBytes = 32;
    for (size_t i = 0; i < kHeaderBytes; i++) {
        std::string bad = good;
        bad[i] = static_cast<char>(bad[i] ^ 0x80);
        write_bytes(test_file(), bad);
        EXPECT_THROW(Trace::load(test_file()), std::runtime_error) << "byte " << i;
    }
    EXPECT_THROW(Trace::load(testing::TempDir() + "no such file"), std::runtime_error);
    EXPECT_THROW(Trace().save(testing::TempDir() + "no such folder/file"), std::runtime_error);
}

TEST(Recorder, RefusesWhatIsAgainstTheRules) {
    RecorderMemory memory{MemoryOptions{}};
    EXPECT_THROW((void)memory.frame_alloc(16), std::logic_error);
    EXPECT_THROW(memory.frame_end(), std::logic_error);
    memory.frame_begin();
    EXPECT_THROW(memory.frame_begin(), std::logic_error);
    void *block = memory.frame_alloc(16);
    EXPECT_THROW(memory.pool_free(block, 16), std::logic_error);
    memory.frame_free(block, 16);
    memory.frame_end();
}

} // namespace
