#!/usr/bin/env python3
"""Compares the instruction counts of the fast paths with the golden file.

Usage: fastpath_test.py DRIVER GOLDEN [--update]
The golden file holds for one compiler, named in its first line. With another one, or with a build
variant, there is nothing to compare, and the test says so and passes. `bazel run
//tools/fastpath:fastpath_test -- --update` writes the counts of this build into the golden file.
"""

import collections
import os
import re
import subprocess
import sys
import tempfile

PINNED = "gcc 12 x86_64 release"


def probe_counts(driver):
    """Instructions per call of each probe, as callgrind counted them."""
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "out")
        subprocess.run(
            ["valgrind", "-q", "--tool=callgrind", f"--callgrind-out-file={out}", driver],
            check=True)
        with open(out, encoding="utf-8") as file:
            lines = file.read().splitlines()

    names = {}

    def name_of(text):  # "(12) name" at its first appearance, "(12)" afterwards
        number, name = re.fullmatch(r"\((\d+)\)(?: (.*))?", text).groups()
        return names.setdefault(number, name)

    own, calls = collections.Counter(), collections.Counter()
    function = called = None
    for line in lines:
        if line.startswith("fn="):
            function = name_of(line[3:])
        elif line.startswith("cfn="):
            called = name_of(line[4:])
        elif line.startswith("calls="):
            calls[called] += int(line[6:].split()[0])
            if function.startswith("probe_"):
                sys.exit(f"{function} left its fast path: it called {called}")
            function, inner = None, function
        elif re.match(r"[0-9+*-]", line):
            if function is None:  # the cost of the call above, counted where it was called
                function = inner
            else:
                own[function] += int(line.split()[1])

    probes = sorted(name for name in own if name.startswith("probe_"))
    if not probes:
        sys.exit("callgrind saw no probe")
    for name in probes:
        if not calls[name] or own[name] % calls[name]:
            sys.exit(f"{name}: {own[name]} instructions in {calls[name]} calls, not all the same")
    return [f"{name[len('probe_'):]} {own[name] // calls[name]}" for name in probes]


def main():
    driver, golden = sys.argv[1:3]
    update = sys.argv[3:] == ["--update"]
    build = subprocess.run([driver, "build"], check=True, capture_output=True, text=True)
    if build.stdout.strip() != PINNED:
        print(f"skipped: the golden file is for '{PINNED}', this is '{build.stdout.strip()}'")
        return
    counted = [f"# instructions per call, with the call's ret; {PINNED}", *probe_counts(driver)]
    if update:
        tree = os.environ.get("BUILD_WORKSPACE_DIRECTORY", ".")
        with open(os.path.join(tree, golden), "w", encoding="utf-8") as file:
            file.write("\n".join(counted) + "\n")
        print(*counted, sep="\n")
        return
    with open(golden, encoding="utf-8") as file:
        expected = file.read().splitlines()
    if counted != expected:
        print("expected:", *expected, "counted:", *counted, sep="\n")
        sys.exit("the fast paths have changed; --update when that is meant")
    print(*counted, sep="\n")


main()
