"""Compiler flags and macros for our own code."""

_WARNINGS = [
    "-Wall",
    "-Wextra",
    "-Wpedantic",
    "-Wconversion",
    "-Wshadow",
    "-Werror",
]

# The language standards stand in .bazelrc, where they reach every target. A source that needs more
# than ISO C defines _GNU_SOURCE itself.
FA_COPTS = _WARNINGS + [
    "-Wstrict-prototypes",
    "-fvisibility=hidden",
    "-fno-semantic-interposition",  # calls inside the shared library stay direct
]

# gcc leaves changes of sign out of -Wconversion in C++, clang does not.
FA_CXXOPTS = _WARNINGS + [
    "-Wno-sign-conversion",
    "-Wno-psabi",  # gcc's notes on how over-aligned elements are passed by value
]

def fa_test(name, srcs = None, deps = [], copts = [], **kwargs):
    """A GoogleTest over //fa:fa, from NAME.cc unless srcs says otherwise.

    Linked statically, so that tests can reach the fai_ functions, which the shared library hides.
    """
    native.cc_test(
        name = name,
        srcs = srcs or [name + ".cc"],
        copts = FA_CXXOPTS + copts,
        linkstatic = True,
        deps = deps + [
            "//fa",
            "@sys//:gtest_main",
        ],
        **kwargs
    )
