#!/bin/sh
set -eu
export PYTHONDONTWRITEBYTECODE=1 MPLCONFIGDIR="$TEST_TMPDIR"
exec /usr/bin/python3 -m bench.report_test
