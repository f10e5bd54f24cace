/* Every scenario on every Memory: the same work, the same result, and nothing left behind. */
#include <gtest/gtest.h>

#include <cstdlib>

#include "scenarios/contacts.hpp"
#include "scenarios/jobs.hpp"
#include "scenarios/memory_apr.hpp"
#include "scenarios/memory_checked.hpp"
#include "scenarios/memory_framealloc.hpp"
#include "scenarios/memory_malloc.hpp"
#include "scenarios/memory_obstack.hpp"
#include "scenarios/memory_pmr.hpp"
#include "scenarios/memory_recorder.hpp"
#include "scenarios/particles.hpp"
#include "scenarios/streaming.hpp"

using namespace scenarios;

namespace {

constexpr int kFrames = 40;

struct Result {
    uint64_t checksum, alloc_count;
    bool operator==(const Result &other) const {
        return checksum == other.checksum && alloc_count == other.alloc_count;
    }
};

template <template <class> class S, class M>
Result run_on(M &memory, const std::string &data_dir, int size = 0) {
    S<M> scenario(memory, ScenarioSetup{true, size, data_dir});
    uint64_t before = scenario.alloc_count();
    for (int i = 0; i < kFrames; i++)
        scenario.frame();
    EXPECT_GT(scenario.alloc_count(), before + kFrames);
    return {scenario.checksum(), scenario.alloc_count()};
}

template <template <class> class S, class M>
Result run(const std::string &data_dir, const std::string &backend = "") {
    M memory(MemoryOptions{backend});
    return run_on<S>(memory, data_dir);
}

template <template <class> class S> void check_all(const std::string &data_dir) {
    Result expected = run<S, MallocMemory>(data_dir);
    EXPECT_EQ(expected, (run<S, MallocMemory>(data_dir))) << "not deterministic";
    EXPECT_EQ(expected, (run<S, ObstackMemory>(data_dir)));
    EXPECT_EQ(expected, (run<S, AprMemory>(data_dir)));
    EXPECT_EQ(expected, (run<S, PmrMemory>(data_dir)));
    EXPECT_EQ(expected, (run<S, FrameallocMemory>(data_dir)));
    if (data_dir != "none")
        return;
    for (const char *backend : {"mmap:huge,prefault", "system", "mimalloc", "numa"})
        EXPECT_EQ(expected, (run<S, FrameallocMemory>(data_dir, backend))) << backend;
}

/* Blocks are of the right kind and size, die in time, and are neither read before they are written
 * nor after they died. */
template <template <class> class S> void check_use(const std::string &data_dir) {
    Result expected = run<S, MallocMemory>(data_dir);
    CheckedMemory memory{MemoryOptions{}};
    EXPECT_EQ(expected, run_on<S>(memory, data_dir));
    EXPECT_EQ(0u, memory.live_count()) << "leaked";
}

template <template <class> class S> void check_trace(const std::string &data_dir) {
    Result expected = run<S, MallocMemory>(data_dir);
    RecorderMemory memory{MemoryOptions{}};
    EXPECT_EQ(expected, run_on<S>(memory, data_dir));
    const Trace &trace = memory.trace();
    EXPECT_EQ("", trace.check());
    EXPECT_GT(trace.frame_count(), static_cast<size_t>(kFrames));
    uint64_t alloc_count = 0;
    for (const TraceOp &op : trace.ops)
        alloc_count += op.kind == TraceKind::kFrameAlloc || op.kind == TraceKind::kFrameGrow ||
                       op.kind == TraceKind::kPoolAlloc || op.kind == TraceKind::kHeapAlloc;
    EXPECT_EQ(expected.alloc_count, alloc_count);
}

/* The package's data where it is installed, generated data always. */
std::vector<std::string> data_folders() {
    std::vector<std::string> folders = {"none"};
    if (!game_data_find("").empty())
        folders.push_back("");
    return folders;
}

template <template <class> class S> void check_scenario() {
    for (const std::string &folder : data_folders()) {
        SCOPED_TRACE("data_dir \"" + folder + "\"");
        check_all<S>(folder);
        check_use<S>(folder);
        check_trace<S>(folder);
    }
}

TEST(Scenarios, Particles) { check_scenario<Particles>(); }
TEST(Scenarios, Contacts) { check_scenario<Contacts>(); }
TEST(Scenarios, ContactsOdeArena) { check_scenario<ContactsOdeArena>(); }
TEST(Scenarios, Streaming) { check_scenario<Streaming>(); }

/* As check_scenario, but for the trace, which is of one thread. */
TEST(Scenarios, Jobs) {
    for (const std::string &folder : data_folders()) {
        SCOPED_TRACE("data_dir \"" + folder + "\"");
        check_all<Jobs>(folder);
        check_use<Jobs>(folder);
    }
}

TEST(Scenarios, NoteTellsWhereDataComesFrom) {
    MallocMemory memory{MemoryOptions{}};
    const std::string generated = "data: generated stand-in (package endless-sky-data is absent)";
    EXPECT_EQ(generated, Particles<MallocMemory>(memory, {true, 0, "none"}).data_note());
    EXPECT_EQ(generated, Streaming<MallocMemory>(memory, {true, 0, "none"}).data_note());
    EXPECT_EQ("", Contacts<MallocMemory>(memory, {true, 0, "none"}).data_note());
    EXPECT_EQ(game_data_find("").empty() ? generated : "",
              Particles<MallocMemory>(memory, {true, 0, ""}).data_note());
}

TEST(Scenarios, BadSetUpIsRefused) {
    MallocMemory memory{MemoryOptions{}};
    ScenarioSetup negative{true, -1, ""}, nowhere{true, 0, "no/such/folder"};
    EXPECT_THROW(Particles<MallocMemory>(memory, negative), std::runtime_error);
    EXPECT_THROW(Contacts<MallocMemory>(memory, negative), std::runtime_error);
    EXPECT_THROW(Streaming<MallocMemory>(memory, negative), std::runtime_error);
    EXPECT_THROW(Jobs<MallocMemory>(memory, negative), std::runtime_error);
    EXPECT_THROW(Jobs<MallocMemory>(memory, ScenarioSetup{true, 65, ""}), std::runtime_error);
    EXPECT_THROW(Jobs<MallocMemory>(memory, nowhere), std::runtime_error);
    EXPECT_THROW(Particles<MallocMemory>(memory, nowhere), std::runtime_error);
    EXPECT_THROW(Streaming<MallocMemory>(memory, nowhere), std::runtime_error);
    EXPECT_THROW(FrameallocMemory(MemoryOptions{"no_such_backend"}), std::runtime_error);
}

/* Memory that runs out, at set-up or later, is an exception; afterwards everything works again. */
template <template <class> class S> void check_out_of_memory() {
    bool ran_out = false, came_through = false;
    for (const char *backend : {"fixed:bytes=256k", "fixed:bytes=512k", "fixed:bytes=1m",
                                "fixed:bytes=1536k", "fixed:bytes=2m", "fixed:bytes=64m"}) {
        try {
            run<S, FrameallocMemory>("none", backend);
            came_through = true;
        } catch (const std::runtime_error &) {
            ran_out = true;
        }
    }
    EXPECT_TRUE(ran_out);
    EXPECT_TRUE(came_through);
}

TEST(Scenarios, OutOfMemoryIsAnException) {
    check_out_of_memory<Particles>();
    check_out_of_memory<Contacts>();
    check_out_of_memory<ContactsOdeArena>();
    check_out_of_memory<Streaming>();
    check_out_of_memory<Jobs>();
}

/* Also with more threads than processors, and in its full size. */
TEST(Jobs, ThreadsDoNotChangeTheResult) {
    MallocMemory memory{MemoryOptions{}};
    Result expected = run_on<Jobs>(memory, "none", 1);
    for (int threads : {2, 3, 8, 16}) {
        SCOPED_TRACE(std::to_string(threads) + " threads");
        FrameallocMemory ours{MemoryOptions{}};
        ObstackMemory region{MemoryOptions{}};
        CheckedMemory checked{MemoryOptions{}};
        EXPECT_EQ(expected, run_on<Jobs>(memory, "none", threads));
        EXPECT_EQ(expected, run_on<Jobs>(ours, "none", threads));
        EXPECT_EQ(expected, run_on<Jobs>(region, "none", threads));
        EXPECT_EQ(expected, run_on<Jobs>(checked, "none", threads));
        EXPECT_EQ(0u, checked.live_count()) << "leaked";
    }
}

TEST(Jobs, FullSize) {
    MallocMemory memory{MemoryOptions{}};
    FrameallocMemory ours{MemoryOptions{}};
    Jobs<MallocMemory> one(memory, {false, 1, "none"});
    Jobs<FrameallocMemory> four(ours, {false, 4, "none"});
    EXPECT_EQ(3232u, one.job_count());
    EXPECT_EQ(3232u, four.job_count());
    EXPECT_GT(one.hit_count(), 0u);
    EXPECT_EQ(one.checksum(), four.checksum());
    EXPECT_EQ(one.alloc_count(), four.alloc_count());
}

TEST(Contacts, ArenaDoesTheSameWork) {
    MallocMemory memory{MemoryOptions{}};
    EXPECT_EQ(run_on<Contacts>(memory, "").checksum, run_on<ContactsOdeArena>(memory, "").checksum);
}

TEST(Contacts, OneAtATime) {
    MallocMemory memory{MemoryOptions{}};
    Contacts<MallocMemory> first(memory, {true, 0, ""});
    EXPECT_THROW(Contacts<MallocMemory>(memory, ScenarioSetup{true, 0, ""}), std::runtime_error);
    PmrMemory other{MemoryOptions{}};
    EXPECT_THROW(ContactsOdeArena<PmrMemory>(other, ScenarioSetup{true, 0, ""}),
                 std::runtime_error);
    first.frame();
    EXPECT_GT(first.contact_count(), 0u);
}

TEST(Particles, AsManyLiveAsAskedFor) {
    MallocMemory memory{MemoryOptions{}};
    for (const char *folder : {"", "none"}) {
        Particles<MallocMemory> scenario(memory, {false, 20000, folder});
        EXPECT_GT(scenario.live_count(), 10000u);
        EXPECT_LT(scenario.live_count(), 30000u);
    }
}

TEST(Streaming, KeepsTheBudgetAndReloads) {
    MallocMemory memory{MemoryOptions{}};
    for (const char *folder : {"", "none"}) {
        Streaming<MallocMemory> scenario(memory, {true, 0, folder});
        for (int i = 0; i < 200; i++) {
            scenario.frame();
            EXPECT_LE(scenario.resident_bytes(), scenario.budget_bytes());
        }
        EXPECT_GT(scenario.evict_count(), 0u);
        EXPECT_GT(scenario.load_count(), static_cast<unsigned>(scenario.info().size_smoke))
            << "never loaded again";
    }
}

} // namespace
