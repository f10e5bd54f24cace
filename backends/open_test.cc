#include "backends/backends.h"

#include <cstdlib>
#include <cstring>
#include <set>
#include <string>

#include <gtest/gtest.h>

namespace {

struct Opened {
    fa_status status;
    std::string message;
    std::string text; // of the description; "" on failure
};

Opened Open(const char *spec) {
    fa_backend backend = {};
    char message[256] = "untouched";
    Opened opened = {fa_backend_open(spec, &backend, message, sizeof message), "", ""};
    opened.message = message;
    EXPECT_EQ(opened.status == FA_OK, backend.vtable != nullptr);
    if (backend.vtable != nullptr) {
        fa_backend_info info = {};
        backend.vtable->describe(backend.context, &info);
        opened.text = info.text;
        fa_backend_close(backend);
    }
    return opened;
}

void ExpectError(const std::string &spec, const std::string &message) {
    Opened opened = Open(spec.c_str());
    EXPECT_EQ(opened.status, FA_ERROR_BACKEND) << spec;
    EXPECT_EQ(opened.message, message) << spec;
    EXPECT_EQ(opened.message.find('\n'), std::string::npos);
}

const std::string kNames = "mmap, system, mimalloc, numa, fixed, counting, failing";
const std::string kMapOptions = "huge, hugetlb, prefault, guard, name=";
const std::string kSize = "it wants a size such as 65536, 64k, 16m or 2g";

} // namespace

TEST(Open, DefaultIsMmap) {
    unsetenv("FRAMEALLOC_BACKEND");
    for (const char *spec : {static_cast<const char *>(nullptr), ""}) {
        Opened opened = Open(spec);
        EXPECT_EQ(opened.status, FA_OK);
        EXPECT_EQ(opened.text, "mmap");
        EXPECT_EQ(opened.message, "");
    }
}

TEST(Open, EnvironmentNamesTheOneThatIsLeftOpen) {
    setenv("FRAMEALLOC_BACKEND", "system", 1);
    EXPECT_EQ(Open(nullptr).text, "system");
    EXPECT_EQ(Open("").text, "system");
    EXPECT_EQ(Open("mmap").text, "mmap");
    setenv("FRAMEALLOC_BACKEND", "nonsense", 1);
    EXPECT_EQ(Open(nullptr).status, FA_ERROR_BACKEND);
    setenv("FRAMEALLOC_BACKEND", "", 1);
    EXPECT_EQ(Open(nullptr).text, "mmap");
    unsetenv("FRAMEALLOC_BACKEND");
}

TEST(Open, GoodSpecifications) {
    const struct {
        const char *spec, *text;
    } cases[] = {
        {"system", "system"},
        {"mmap", "mmap"},
        {"mmap:prefault", "mmap:prefault"},
        {"mmap:guard,prefault", "mmap:prefault,guard"},
        {"mmap:prefault,prefault", "mmap:prefault"},
        {"mmap:name=a level", "mmap:name=a level"},
        {"mmap:name=a=b", "mmap:name=a=b"},
        {"mmap:name=", "mmap:name="},
        {"mimalloc", "mimalloc"},
        {"fixed:bytes=65536", "fixed:bytes=65536"},
        {"fixed:bytes=64k", "fixed:bytes=65536"},
        {"fixed:bytes=1M,guard", "fixed:bytes=1048576,guard"},
        {"fixed:bytes=1g", "fixed:bytes=1073741824"},
        {"counting", "counting(mmap)"},
        {"counting:inner=mmap:guard,prefault", "counting(mmap:prefault,guard)"},
        {"failing:at=3,lasting,inner=counting:inner=system", "failing(counting(system))"},
    };
    for (const auto &c : cases) {
        Opened opened = Open(c.spec);
        EXPECT_EQ(opened.status, FA_OK) << c.spec << ": " << opened.message;
        EXPECT_EQ(opened.text, c.text);
        EXPECT_EQ(opened.message, "");
    }
}

TEST(Open, BadNames) {
    ExpectError("mmapp", "no backend is called \"mmapp\"; there are: " + kNames);
    ExpectError("mma", "no backend is called \"mma\"; there are: " + kNames);
    ExpectError(":huge", "no backend is called \"\"; there are: " + kNames);
    ExpectError("MMAP", "no backend is called \"MMAP\"; there are: " + kNames);
    ExpectError("mmap,huge", "no backend is called \"mmap,huge\"; there are: " + kNames);
    ExpectError(std::string(1000, 'x'),
                "no backend is called \"" + std::string(40, 'x') + "\"; there are: " + kNames);
}

TEST(Open, BadOptions) {
    ExpectError("mmap:", "mmap has no option \"\"; there are: " + kMapOptions);
    ExpectError("mmap:hug", "mmap has no option \"hug\"; there are: " + kMapOptions);
    ExpectError("mmap:huge,", "mmap has no option \"\"; there are: " + kMapOptions);
    ExpectError("mmap:huge,,guard", "mmap has no option \"\"; there are: " + kMapOptions);
    ExpectError("mmap:huge guard", "mmap has no option \"huge guard\"; there are: " + kMapOptions);
    ExpectError("mmap:x=1", "mmap has no option \"x\"; there are: " + kMapOptions);
    ExpectError("system:huge", "system has no option \"huge\"; there are: none");
    ExpectError("mimalloc:huge", "mimalloc has no option \"huge\"; there are: none");
    ExpectError("numa:nod=1",
                "numa has no option \"nod\"; there are: local, node=, interleave, " + kMapOptions);
    ExpectError("fixed:size=1m", "fixed has no option \"size\"; there are: bytes=, " + kMapOptions);
    ExpectError("counting:mmap", "counting has no option \"mmap\"; there are: inner=");
    ExpectError("failing:once", "failing has no option \"once\"; there are: at=, lasting, inner=");
}

TEST(Open, BadValues) {
    ExpectError("mmap:huge=1", "mmap: huge takes no value");
    ExpectError("mmap:huge=", "mmap: huge takes no value");
    ExpectError("mmap:name",
                "mmap: name= is not valid: it wants a text shorter than 40 characters");
    const std::string long_name(40, 'n');
    ExpectError("mmap:name=" + long_name,
                "mmap: name=" + long_name +
                    " is not valid: it wants a text shorter than 40 characters");
    ExpectError("mmap:name=a[b",
                "mmap: name must be shorter than 40 printable characters without any of []\\$`,+");
    ExpectError("mmap:hugetlb,guard", "mmap: hugetlb and guard exclude each other");
    ExpectError("numa:hugetlb,guard", "numa: hugetlb and guard exclude each other");
    for (const char *node : {"", "x", "-1", "1x", "1k", "99999999999", "+1", " 1"})
        ExpectError("numa:node=" + std::string(node), "numa: node=" + std::string(node) +
                                                          " is not valid: it wants the number of a "
                                                          "node");
    ExpectError("numa:local,interleave",
                "numa: only one of local, node=N and interleave can be in force");
    for (const char *bytes : {"", "0", "k", "-1", "1t", "1kk", "0x10", "64 m", "1.5m",
                              "99999999999999999999", "18446744073709551615", "99999999999g"})
        ExpectError("fixed:bytes=" + std::string(bytes),
                    "fixed: bytes=" + std::string(bytes) + " is not valid: " + kSize);
    ExpectError("fixed", "fixed: says not how large it is: fixed:bytes=64m");
    ExpectError("fixed:bytes=100", "fixed: bytes=100 is too small");
    ExpectError("fixed:bytes=64m,hugetlb,guard", "fixed: hugetlb and guard exclude each other");
    ExpectError("failing:at=0", "failing: at=0 is not valid: it wants a number from 1");
    ExpectError("failing:at=x", "failing: at=x is not valid: it wants a number from 1");
    ExpectError("counting:inner=",
                "counting: inner= is not valid: it wants the specification of a backend");
    ExpectError("counting:inner=nope", "no backend is called \"nope\"; there are: " + kNames);
}

TEST(Open, MoreThanTheSystemHas) {
    Opened opened = Open("fixed:bytes=1000000000g");
    EXPECT_EQ(opened.status, FA_ERROR_NO_MEMORY);
    EXPECT_EQ(opened.message, "fixed: the system has no 1073741824000000000 bytes");
}

TEST(Open, DecoratorsDoNotGoDeeperThanTheStack) {
    std::string spec;
    for (int i = 0; i < 7; i++)
        spec += "counting:inner=";
    EXPECT_EQ(Open((spec + "system").c_str()).status, FA_OK);
    for (int i = 0; i < 10000; i++)
        spec += "counting:inner=";
    ExpectError(spec, "more than 8 backends in each other");
}

TEST(Open, ArgumentsMayBeMissing) {
    char message[64];
    EXPECT_EQ(fa_backend_open("mmap", nullptr, message, sizeof message), FA_ERROR_INVALID);
    EXPECT_EQ(fa_backend_open("mmap", nullptr, nullptr, 0), FA_ERROR_INVALID);
    fa_backend backend;
    EXPECT_EQ(fa_backend_open("nope", &backend, nullptr, 0), FA_ERROR_BACKEND);
    EXPECT_EQ(fa_backend_open("nope", &backend, message, 0), FA_ERROR_BACKEND);
    char small[10];
    EXPECT_EQ(fa_backend_open("nope", &backend, small, sizeof small), FA_ERROR_BACKEND);
    EXPECT_EQ(std::strlen(small), 9u);
    fa_backend_close(fa_backend{});
    fa_backend_close(fa_backend_system());
}

TEST(Open, ListNamesEveryBackendAndOption) {
    std::set<std::string> names;
    for (const fa_backend_entry *entry = fa_backend_list(); entry->name != nullptr; entry++) {
        EXPECT_TRUE(names.insert(entry->name).second);
        EXPECT_GT(std::strlen(entry->summary), 0u);
        ASSERT_NE(entry->options, nullptr);
        // What the message about a bad option lists is what the entry explains.
        Opened opened = Open((std::string(entry->name) + ":?").c_str());
        const std::string after = "there are: ";
        std::string list = opened.message.substr(opened.message.find(after) + after.size()) + ", ";
        for (size_t end; list != "none, " && (end = list.find(", ")) != std::string::npos;) {
            EXPECT_NE(std::string(entry->options).find(list.substr(0, end)), std::string::npos)
                << entry->name << ": " << list.substr(0, end);
            list.erase(0, end + 2);
        }
    }
    EXPECT_EQ(names, (std::set<std::string>{"mmap", "system", "mimalloc", "numa", "fixed",
                                            "counting", "failing"}));
}
