#!/usr/bin/env python3
"""The style of every file in the tree: style_test.py FILE, where FILE lies in the tree's root."""

import os
import re
import subprocess
import sys

CODE = (".c", ".h", ".cc", ".hpp")
TEXT = CODE + (".py", ".sh", ".bzl", ".BUILD", ".in", ".md", ".txt")
TEXT_NAMES = ("BUILD", "WORKSPACE", "bazelw", "run", ".bazelrc", ".gitignore", ".clang-format")
WIDE = (".md",)  # tables and links may be as wide as they need
COLUMNS_MAX = 100
LINES_MAX = 600
PUBLIC_HEADER_LINES_MAX = 400
# In two halves, so that this file passes its own test.
FORBIDDEN = re.compile(r"\b(TO" "DO|FIX" "ME|XX" "X|HA" "CK)\\b")


def tree_files(root):
    for folder, folders, names in os.walk(root):
        inside = os.path.relpath(folder, root)
        folders[:] = sorted(
            f for f in folders
            if f not in (".git", "__pycache__") and not os.path.islink(os.path.join(folder, f)))
        if inside == "results":  # data, not source
            folders.clear()
            continue
        for name in sorted(names):
            if name.endswith(TEXT) or name in TEXT_NAMES:
                yield os.path.normpath(os.path.join(inside, name))


def lines_max(path):
    if re.fullmatch(r"fa/[^/]+\.h|fa/(fa|cpp/[^/]+)\.hpp", path):
        return PUBLIC_HEADER_LINES_MAX
    return None if path.endswith((".md", ".txt")) else LINES_MAX


def faults(root, path):
    with open(os.path.join(root, path), encoding="utf-8") as file:
        text = file.read()
    if text and not text.endswith("\n"):
        yield f"{path}: no newline at the end"
    lines = text.splitlines()
    for number, line in enumerate(lines, 1):
        place = f"{path}:{number}:"
        if len(line) > COLUMNS_MAX and not path.endswith(WIDE):
            yield f"{place} {len(line)} columns, at most {COLUMNS_MAX}"
        if "\t" in line:
            yield f"{place} tab"
        if line != line.rstrip():
            yield f"{place} blank at the end"
        if path.endswith(CODE) and line.strip() == "*/":
            yield f"{place} a comment ends on a line of its own: shorten it by a word"
        if FORBIDDEN.search(line):
            yield f"{place} left for later: {FORBIDDEN.search(line).group()}"
    limit = lines_max(path)
    if limit and len(lines) > limit:
        yield f"{path}: {len(lines)} lines, at most {limit}"


def main():
    root = os.path.dirname(os.path.realpath(sys.argv[1]))
    paths = list(tree_files(root))
    found = [fault for path in paths for fault in faults(root, path)]
    code = [path for path in paths if path.endswith(CODE)]
    if code:
        formatted = subprocess.run(
            ["clang-format", "--dry-run", "-ferror-limit=1", "--Werror", *code],
            cwd=root, capture_output=True, text=True, check=False)
        found += [line for line in formatted.stderr.splitlines() if ": error:" in line]
        if formatted.returncode and not found:
            found.append("clang-format failed: " + formatted.stderr)
    print(*found, sep="\n")
    print(f"{len(paths)} files, {len(found)} faults")
    if not paths:
        sys.exit("no file found: wrong root?")
    if found:
        sys.exit("clang-format -i FILE... puts the layout right")


main()
