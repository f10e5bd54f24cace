#!/usr/bin/env bash
# Every mode of one runner in its smallest size: runner_test.sh RUNNER RECORDER
# Times are not looked at; checksums are compared by frame_vs_malloc_test.
set -eu
runner=$1
recorder=$2
failed=0

check() { # WHAT COMMAND...: prints JSON without an error
    local what=$1
    shift
    if ! "$@" >"$TEST_TMPDIR/out" 2>"$TEST_TMPDIR/err" ||
        ! grep -q '"real_time"' "$TEST_TMPDIR/out" ||
        grep -q error_occurred "$TEST_TMPDIR/out"; then
        echo "FAILED: $what"
        cat "$TEST_TMPDIR/out" "$TEST_TMPDIR/err"
        failed=1
    fi
}

[[ $runner == *limit ]] || for threads in 1 3; do
    check "jobs" "$runner" --mode=scenario --scenario=jobs --size=$threads --smoke=1 --frames=3 \
        --warmup=1
done
for scenario in particles contacts streaming; do
    small=(--scenario=$scenario --smoke=1 --frames=3 --warmup=1)
    trace=$TEST_TMPDIR/$scenario.trace
    "$recorder" "${small[@]}" --trace-file="$trace"
    for touch in page line none; do
        check "replay of $scenario, touch $touch" "$runner" --mode=trace --trace-file="$trace" \
            --frames=3 --passes=2 --touch=$touch --samples="$TEST_TMPDIR/samples"
        [[ $(wc -l <"$TEST_TMPDIR/samples") == 6 ]] || { echo "FAILED: not 6 samples" && failed=1; }
    done
    [[ $runner == *limit ]] || check "$scenario" "$runner" --mode=scenario "${small[@]}"
done
check "micro-benchmarks" "$runner" --mode=micro --benchmark_min_time=0.0001

refused() { # WHAT PATTERN OPTION...: one line that names what is valid
    local what=$1 pattern=$2 status=0
    shift 2
    "$runner" "$@" >/dev/null 2>"$TEST_TMPDIR/err" || status=$?
    if [[ $status != 2 || $(wc -l <"$TEST_TMPDIR/err") != 1 ]] ||
        ! grep -q -- "$pattern" "$TEST_TMPDIR/err"; then
        echo "FAILED: $what, status $status: $(cat "$TEST_TMPDIR/err")"
        failed=1
    fi
}
refused "unknown option" "valid: mode" --mode=micro --colour=red
refused "unknown mode" "one of scenario" --mode=other
refused "no number" "a number" --mode=trace --frames=many
refused "unknown touch" "page" --mode=trace --touch=all
refused "argument that is no option" "--name=value" micro
refused "no trace" "." --mode=trace --trace-file="$TEST_TMPDIR/none" --frames=3
exit $failed
