"""An example: a program, and the test that it prints what expected/NAME.txt says."""

load("//tools:copts.bzl", "FA_COPTS", "FA_CXXOPTS")

def fa_example(name, srcs = None, deps = [], linkopts = []):
    srcs = srcs or [name + ".c"]
    native.cc_binary(
        name = name,
        srcs = srcs,
        copts = FA_CXXOPTS if srcs[0].endswith(".cc") else FA_COPTS,
        linkopts = linkopts,
        deps = deps + ["//fa"],
    )
    expected = "expected/%s.txt" % name
    native.sh_test(
        name = name + "_runs_test",
        size = "small",
        srcs = ["//examples:run_test.sh"],
        args = [
            "$(rootpath :%s)" % name,
            "$(rootpath %s)" % expected,
        ],
        data = [
            expected,
            ":" + name,
        ],
    )
