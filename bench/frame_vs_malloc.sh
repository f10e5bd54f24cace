#!/bin/sh
# Starts the orchestrator with Debian's Python: it is the one that python3-matplotlib belongs to,
# whatever other `python3` comes first. As a module, so that the runners are found in the runfiles.
set -eu
[ ! -d "$0.runfiles/framealloc" ] || cd "$0.runfiles/framealloc"
export PYTHONDONTWRITEBYTECODE=1
exec /usr/bin/python3 -m bench.frame_vs_malloc "$@"
