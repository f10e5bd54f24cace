#!/usr/bin/env bash
# The main job from end to end, in its smallest size, and what it says to bad options.
set -u
export MPLCONFIGDIR=$TEST_TMPDIR BUILD_WORKING_DIRECTORY=$TEST_TMPDIR
export BUILD_WORKSPACE_DIRECTORY=$TEST_TMPDIR/tree
mkdir -p "$BUILD_WORKSPACE_DIRECTORY"
failed=0
fail() { echo "FAILED: $*" && failed=1; }
job() { bench/frame_vs_malloc.sh "$@" >"$TEST_TMPDIR/out" 2>"$TEST_TMPDIR/err"; }

job --smoke --json run.json --publish || fail "smoke run: $(cat "$TEST_TMPDIR/err")"
/usr/bin/python3 -m bench.schema_check "$TEST_TMPDIR/run.json" || fail "its JSON"
grep -q 'framealloc mmap' "$TEST_TMPDIR/out" || fail "no table"
grep -q $'\033' "$TEST_TMPDIR/out" && fail "colour without a terminal"
[[ -s $BUILD_WORKSPACE_DIRECTORY/results/README.md ]] || fail "nothing published"
grep -rqFe "$TEST_TMPDIR" -e "$PWD" "$BUILD_WORKSPACE_DIRECTORY/results" "$TEST_TMPDIR/run.json" &&
    fail "a path of this machine"

job --from tree/results/raw.json.gz || fail "--from what was published: $(cat "$TEST_TMPDIR/err")"
job --from run.json --bars
[[ $? == [01] ]] || fail "--from with --bars: $(cat "$TEST_TMPDIR/err")"
grep -q 'limit/bump' "$TEST_TMPDIR/out" || fail "no bars"

job --smoke --scenario particles --data-dir none || fail "generated data: $(cat "$TEST_TMPDIR/err")"
head -n 1 "$TEST_TMPDIR/out" | grep -q '^data: generated' ||
    fail "first line does not tell of generated data: $(head -n 1 "$TEST_TMPDIR/out")"

job --smoke --allocator glibc --allocator framealloc --backend system --scenario contacts/60 ||
    fail "a choice of rows: $(cat "$TEST_TMPDIR/err")"
grep -q jemalloc "$TEST_TMPDIR/out" && fail "a row that was not asked for"
grep -q 'framealloc system' "$TEST_TMPDIR/out" || fail "not the backend that was asked for"

job --list || fail "--list"
job --help || fail "--help"

refused() { # PATTERN OPTION...: one line, status 2
    local pattern=$1 status
    shift
    job "$@"
    status=$?
    [[ $status == 2 && $(wc -l <"$TEST_TMPDIR/err") == 1 && ! -s $TEST_TMPDIR/out ]] ||
        fail "$*: status $status: $(cat "$TEST_TMPDIR/err")"
    grep -q -- "$pattern" "$TEST_TMPDIR/err" || fail "$*: $(cat "$TEST_TMPDIR/err")"
}
refused 'mimalloc' --backend nonsense
refused 'tcmalloc' --allocator nonsense
refused 'particles' --scenario nonsense
refused '500' --scenario contacts/many
refused '--scenario' --nonsense
refused 'page' --touch all
refused 'more than 0' --rounds 0
refused 'invalid int' --rounds many
echo '{}' >"$TEST_TMPDIR/other.json"
refused 'not written by' --from other.json
refused 'none.json' --from none.json
refused 'leaves out' --allocator glibc --backend mmap
exit $failed
