// Valgrind finds mistakes in framealloc's memory, and none in a program that makes none.
#include <cstdlib>
#include <string>

#include <gtest/gtest.h>
#include <sys/wait.h>

namespace {

constexpr int kFound = 9;

int RunUnderValgrind(const std::string &mistake) {
    std::string command = "valgrind -q --error-exitcode=" + std::to_string(kFound) +
                          " fa/valgrind_program " + mistake + " 2>&1";
    int status = std::system(command.c_str());
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

class Valgrind : public testing::TestWithParam<const char *> {
  protected:
    void SetUp() override {
        if (std::system("valgrind --version >/dev/null 2>&1") != 0)
            GTEST_SKIP() << "valgrind is not installed";
    }
};

} // namespace

TEST_F(Valgrind, FindsNothingInACorrectProgram) { EXPECT_EQ(RunUnderValgrind("none"), 0); }

TEST_P(Valgrind, Finds) { EXPECT_EQ(RunUnderValgrind(GetParam()), kFound); }

INSTANTIATE_TEST_SUITE_P(Mistakes, Valgrind,
                         testing::Values("past-pool", "past-heap", "past-frame", "freed-pool",
                                         "freed-heap", "ended-frame", "sealed-frame", "unwritten"));
