#include "backends/backends.h"

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>
#include <thread>
#include <utility>

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

namespace {

const size_t kPage = static_cast<size_t>(sysconf(_SC_PAGESIZE));

std::string Text(fa_backend backend) {
    fa_backend_info info = {};
    backend.vtable->describe(backend.context, &info);
    return info.text;
}

int Nodes(fa_backend backend) {
    fa_backend_info info = {};
    backend.vtable->describe(backend.context, &info);
    return info.node_count;
}

fa_backend Open(const char *spec) {
    fa_backend backend = {};
    char message[256];
    EXPECT_EQ(fa_backend_open(spec, &backend, message, sizeof message), FA_OK) << message;
    return backend;
}

bool HasOneNode() {
    std::string online;
    std::ifstream("/sys/devices/system/node/online") >> online;
    return online == "0" || online.empty();
}

// From now on the system call is refused in this process, as containers do.
void Refuse(unsigned call, unsigned error) {
    sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    sock_fprog program = {4, code};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
        _exit(100); // no filters on this system
}

// A topology that hwloc makes up; this_system: it then believes that it is the machine's.
class Synthetic {
  public:
    Synthetic(const char *description, bool this_system) {
        setenv("HWLOC_SYNTHETIC", description, 1);
        if (this_system)
            setenv("HWLOC_THISSYSTEM", "1", 1);
    }
    ~Synthetic() {
        unsetenv("HWLOC_SYNTHETIC");
        unsetenv("HWLOC_THISSYSTEM");
    }
};

// Gets a span, touches it, and tells on how many pages of each of nodes 0 and 1 it lies.
std::pair<int, int> PagesOn01(fa_backend backend, int bind_to = FA_NODE_ANY) {
    constexpr int kPages = 64;
    const size_t size = kPages * kPage;
    int nodes[kPages] = {};
    char *ptr =
        static_cast<char *>(backend.vtable->alloc(backend.context, size, 16, FA_SPAN_CHUNK));
    if (ptr == nullptr)
        return {-1, -1};
    if (bind_to != FA_NODE_ANY) {
        EXPECT_EQ(backend.vtable->bind(backend.context, ptr, size, bind_to), FA_OK);
    }
    std::memset(ptr, 1, size);
    EXPECT_EQ(backend.vtable->locate(backend.context, ptr, size, nodes, kPages), FA_OK);
    backend.vtable->free(backend.context, ptr, size, 16, FA_SPAN_CHUNK);
    return {std::count(nodes, nodes + kPages, 0), std::count(nodes, nodes + kPages, 1)};
}

// Runs a check in a child; its exit code: 0 good, 100 can't be tried here.
template <class Check> int InChild(Check check) {
    pid_t child = fork();
    if (child == 0)
        _exit(check());
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status))
        return -1;
    return WEXITSTATUS(status);
}

} // namespace

TEST(Numa, SaysThatThereIsOneNode) {
    if (!HasOneNode())
        GTEST_SKIP() << "several nodes";
    fa_backend backend = Open("numa");
    EXPECT_EQ(Text(backend), "numa:local (one node: as mmap)");
    EXPECT_EQ(Nodes(backend), 1);
    void *ptr = backend.vtable->alloc(backend.context, kPage, 16, FA_SPAN_CHUNK);
    ASSERT_NE(ptr, nullptr);
    EXPECT_EQ(backend.vtable->bind(backend.context, ptr, kPage, 0), FA_ERROR_UNSUPPORTED);
    EXPECT_EQ(backend.vtable->bind(backend.context, ptr, kPage, 1), FA_ERROR_INVALID);
    backend.vtable->free(backend.context, ptr, kPage, 16, FA_SPAN_CHUNK);
    fa_backend_close(backend);
}

TEST(Numa, DescribesItsOptions) {
    fa_backend backend = Open("numa:node=0,huge,prefault,name=x");
    EXPECT_EQ(Text(backend).rfind("numa:node=0,huge,prefault,name=x", 0), 0u) << Text(backend);
    fa_backend_close(backend);
    backend = Open("numa:interleave");
    EXPECT_EQ(Text(backend).rfind("numa:interleave", 0), 0u);
    fa_backend_close(backend);
}

TEST(Numa, NamesTheNodesThereAre) {
    fa_backend backend;
    char message[256];
    EXPECT_EQ(fa_backend_open("numa:node=999", &backend, message, sizeof message),
              FA_ERROR_BACKEND);
    EXPECT_EQ(std::string(message).rfind("numa: no node 999; there is: 0", 0), 0u) << message;
    EXPECT_EQ(backend.vtable, nullptr);
    EXPECT_EQ(fa_backend_numa(nullptr, nullptr, nullptr, 0), FA_ERROR_INVALID);
}

TEST(Numa, LocatesTouchedPagesOnly) {
    fa_backend backend = Open("numa");
    const size_t size = 600 * kPage; // several batches
    char *ptr =
        static_cast<char *>(backend.vtable->alloc(backend.context, size, 16, FA_SPAN_CHUNK));
    ASSERT_NE(ptr, nullptr);
    for (size_t i = 0; i < 600; i += 2)
        ptr[i * kPage] = 1;
    int nodes[601];
    nodes[600] = -77;
    fa_status status = backend.vtable->locate(backend.context, ptr + 1, size - 2, nodes, 601);
    if (status == FA_OK) {
        for (int i = 0; i < 600; i++)
            EXPECT_EQ(nodes[i] >= 0, i % 2 == 0) << i << ": " << nodes[i];
        EXPECT_EQ(nodes[600], -77);
    } else {
        EXPECT_EQ(status, FA_ERROR_UNSUPPORTED);
    }
    backend.vtable->free(backend.context, ptr, size, 16, FA_SPAN_CHUNK);
    fa_backend_close(backend);
}

TEST(Numa, TakesNodesFromTheTopology) {
    Synthetic topology("node:4 core:2 pu:1", false);
    fa_backend backend = Open("numa:node=3");
    EXPECT_EQ(Nodes(backend), 4);
    EXPECT_EQ(Text(backend), "numa:node=3 (not the topology of this machine: as mmap)");
    void *ptr = backend.vtable->alloc(backend.context, kPage, 16, FA_SPAN_CHUNK);
    EXPECT_NE(ptr, nullptr);
    EXPECT_EQ(backend.vtable->bind(backend.context, ptr, kPage, 2), FA_ERROR_UNSUPPORTED);
    EXPECT_EQ(backend.vtable->bind(backend.context, ptr, kPage, 4), FA_ERROR_INVALID);
    backend.vtable->free(backend.context, ptr, kPage, 16, FA_SPAN_CHUNK);
    fa_backend_close(backend);
    char message[256];
    EXPECT_EQ(fa_backend_open("numa:node=4", &backend, message, sizeof message), FA_ERROR_BACKEND);
    EXPECT_STREQ(message, "numa: no node 4; there is: 0-3");
}

// Here hwloc believes in four nodes and really asks the kernel: for node 0 it succeeds.
TEST(Numa, PlacesSpansWhereTheTopologySaysSo) {
    Synthetic topology("node:4 core:2 pu:1", true);
    for (const char *spec : {"numa:node=0", "numa:local,prefault"}) {
        fa_backend backend = Open(spec);
        const size_t size = 8 * kPage;
        char *ptr =
            static_cast<char *>(backend.vtable->alloc(backend.context, size, 16, FA_SPAN_CHUNK));
        ASSERT_NE(ptr, nullptr);
        std::memset(ptr, 1, size);
        EXPECT_EQ(Nodes(backend), 4);
        std::string text = Text(backend);
        if (text.find("refuses") == std::string::npos) {
            EXPECT_EQ(text, spec);
            EXPECT_EQ(backend.vtable->bind(backend.context, ptr, size, 0), FA_OK);
            EXPECT_EQ(backend.vtable->bind(backend.context, ptr, size, FA_NODE_ANY), FA_OK);
        }
        backend.vtable->free(backend.context, ptr, size, 16, FA_SPAN_CHUNK);
        fa_backend_close(backend);
    }
}

TEST(Numa, SaysWhenAPlacementFailed) {
    if (!HasOneNode())
        GTEST_SKIP() << "several nodes";
    Synthetic topology("node:4 core:2 pu:1", true);
    fa_backend backend = Open("numa:node=3"); // which the kernel doesn't have
    void *ptr = backend.vtable->alloc(backend.context, kPage, 16, FA_SPAN_CHUNK);
    EXPECT_NE(ptr, nullptr);
    EXPECT_NE(Text(backend).find("("), std::string::npos) << Text(backend);
    backend.vtable->free(backend.context, ptr, kPage, 16, FA_SPAN_CHUNK);
    fa_backend_close(backend);
}

// Needs a machine with nodes 0 and 1, both with memory and the rights to place.
TEST(Numa, PagesLieWhereTheyWereAskedFor) {
    std::string online;
    std::ifstream("/sys/devices/system/node/online") >> online;
    if (online != "0-1")
        GTEST_SKIP() << "not two nodes: " << online;
    using Pair = std::pair<int, int>;
    for (const char *spec : {"numa:node=0", "numa:node=0,prefault"}) {
        fa_backend backend = Open(spec);
        EXPECT_EQ(Text(backend), spec);
        EXPECT_EQ(PagesOn01(backend), Pair(64, 0));
        fa_backend_close(backend);
    }
    fa_backend backend = Open("numa:node=1,prefault");
    EXPECT_EQ(PagesOn01(backend), Pair(0, 64));
    fa_backend_close(backend);
    backend = Open("numa:interleave");
    EXPECT_EQ(PagesOn01(backend), Pair(32, 32));
    EXPECT_EQ(PagesOn01(backend, 1), Pair(0, 64)); // bind overrides
    fa_backend_close(backend);
    backend = Open("numa:local");
    EXPECT_EQ(Nodes(backend), 2);
    for (int node = 0; node < 2; node++) {
        std::string cpus;
        std::ifstream("/sys/devices/system/node/node" + std::to_string(node) + "/cpulist") >> cpus;
        cpu_set_t set;
        CPU_ZERO(&set);
        CPU_SET(std::stoul(cpus), &set);
        std::thread([&] {
            ASSERT_EQ(sched_setaffinity(0, sizeof set, &set), 0);
            EXPECT_EQ(PagesOn01(backend), node == 0 ? Pair(64, 0) : Pair(0, 64));
        }).join();
    }
    fa_backend_close(backend);
}

TEST(Numa, GoesOnWithoutTheRights) {
    Synthetic topology("node:4 core:2 pu:1", true);
    fa_backend backend = Open("numa:node=0");
    int result = InChild([&] {
        Refuse(SYS_mbind, EPERM);
        for (int i = 0; i < 3; i++) {
            void *ptr = backend.vtable->alloc(backend.context, kPage, 16, FA_SPAN_CHUNK);
            if (ptr == nullptr)
                return 1;
            std::memset(ptr, 1, kPage);
            if (Text(backend) != "numa:node=0 (the system refuses placement: as mmap)")
                return 2;
            if (backend.vtable->bind(backend.context, ptr, kPage, 0) != FA_ERROR_UNSUPPORTED)
                return 3;
            backend.vtable->free(backend.context, ptr, kPage, 16, FA_SPAN_CHUNK);
        }
        return 0;
    });
    fa_backend_close(backend);
    if (result == 100)
        GTEST_SKIP() << "no seccomp filters";
    EXPECT_EQ(result, 0);
}

TEST(Numa, LocateSaysWhenTheSystemCannotTell) {
    fa_backend backend = Open("numa");
    int result = InChild([&] {
        Refuse(SYS_move_pages, EPERM);
        void *ptr = backend.vtable->alloc(backend.context, kPage, 16, FA_SPAN_CHUNK);
        int node = -77;
        fa_status status = backend.vtable->locate(backend.context, ptr, kPage, &node, 1);
        return ptr != nullptr && status == FA_ERROR_UNSUPPORTED ? 0 : 1;
    });
    fa_backend_close(backend);
    if (result == 100)
        GTEST_SKIP() << "no seccomp filters";
    EXPECT_EQ(result, 0);
}
