#!/usr/bin/env bash
# Compares the instruction counts of the fast paths with the golden file.
# Usage: fastpath_test.sh COUNTER GOLDEN [--update]
# `bazel run //tools/fastpath:fastpath_test -- --update` writes this build's counts into the file.
set -eu
counts=$("$1")
echo "$counts"
[[ $counts != skipped:* ]] || exit 0
if [[ ${3-} == --update ]]; then
    echo "$counts" >"$BUILD_WORKSPACE_DIRECTORY/$2"
elif ! diff "$2" - <<<"$counts"; then
    echo 'The fast paths have changed. If that is meant, update the golden file.'
    exit 1
fi
