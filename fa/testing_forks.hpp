// Children of forks. For tests only; not installed.
#ifndef FA_TESTING_FORKS_HPP
#define FA_TESTING_FORKS_HPP

#include "fa/testing_threads.hpp"

#include <sys/wait.h>
#include <unistd.h>

// In the child nothing of the test framework is used: it may wait for a lock that is held for ever.
// In bodies of InChild, and functions that they return the result of.
#define CHILD_EXPECT(condition)                                                                    \
    do {                                                                                           \
        if (!(condition))                                                                          \
            return __LINE__;                                                                       \
    } while (false)

namespace fa_testing {

// Runs body in a child and expects it to return 0, within a minute.
template <class Body> void InChild(const Body &body) {
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
        alarm(60);
        const int line = body();
        if (line != 0) {
            char text[64];
            const int length = snprintf(text, sizeof text, "child failed at line %d\n", line);
            (void)!write(2, text, static_cast<size_t>(length));
        }
        _exit(line != 0);
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status)) << "signal " << WTERMSIG(status);
    EXPECT_EQ(WEXITSTATUS(status), 0);
}

} // namespace fa_testing

#endif
