#!/bin/sh
# Starts the orchestrator with Debian's Python: it is the one that python3-matplotlib belongs to,
# whatever other `python3` comes first. As a module, so that the runners are found in the runfiles.
set -eu
# `bazel run` sets both; without it the caller's folder stands for both.
export BUILD_WORKING_DIRECTORY="${BUILD_WORKING_DIRECTORY:-$PWD}"
export BUILD_WORKSPACE_DIRECTORY="${BUILD_WORKSPACE_DIRECTORY:-$BUILD_WORKING_DIRECTORY}"
[ ! -d "$0.runfiles/framealloc" ] || cd "$0.runfiles/framealloc"
export PYTHONDONTWRITEBYTECODE=1
exec /usr/bin/python3 -m bench.frame_vs_malloc "$@"
