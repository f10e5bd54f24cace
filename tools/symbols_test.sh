#!/usr/bin/env bash
# A library defines no global name that could clash with a program's.
# Usage: symbols_test.sh STATIC SHARED PUBLIC_HEADER...
# The static one holds fa_ and fai_ names. The shared one shows fa_ names, and of the fai_ ones only
# those that inline functions in public headers need.
set -eu
static=$1 shared=$2
shift 2
# What linkers and sanitizers add by themselves.
generated='(_edata|_end|_fini|_init|__bss_start|__start_.*|__stop_.*|__odr_asan.*|__asan_.*)'
inline=$(grep -ohE '\bfai_[a-z0-9_]+' "$@" | sort -u | paste -sd '|')

check() { # WHAT PATTERN NAMES
    local wrong
    grep -qE '^fa_[a-z]' <<<"$3" || { echo "FAILED: $1 defines no fa_ name at all"; return 1; }
    wrong=$(grep -vE "^($2|$generated)\$" <<<"$3" || true)
    [[ -z $wrong ]] || { printf 'FAILED: %s defines\n%s\n' "$1" "$wrong"; return 1; }
    printf '%s: %d names\n' "$1" "$(wc -l <<<"$3")"
}

status=0
check "$static" 'fai?_[a-z0-9_]+' \
    "$(nm -g --defined-only "$static" | awk 'NF == 3 {print $3}')" || status=1
check "$shared" "fa_[a-z0-9_]+|$inline" \
    "$(nm -D -g --defined-only "$shared" | awk 'NF == 3 {print $3}')" || status=1
exit $status
