#!/usr/bin/env bash
# A library defines no global name that could clash with a program's: symbols_test.sh STATIC SHARED
# The static one holds fa_ and fai_ names, the shared one shows fa_ names only.
set -eu
# What linkers and sanitizers add by themselves.
generated='(_edata|_end|_fini|_init|__bss_start|__start_.*|__stop_.*|__odr_asan.*|__asan_.*)'

check() { # WHAT PATTERN NAMES
    local wrong
    grep -qE "^fa_[a-z]" <<<"$3" || { echo "FAILED: $1 defines no fa_ name at all"; return 1; }
    wrong=$(grep -vE "^($2|$generated)\$" <<<"$3" || true)
    [[ -z $wrong ]] || { printf 'FAILED: %s defines\n%s\n' "$1" "$wrong"; return 1; }
    printf '%s: %d names\n' "$1" "$(wc -l <<<"$3")"
}

status=0
check "$1" 'fai?_[a-z0-9_]+' "$(nm -g --defined-only "$1" | awk 'NF == 3 {print $3}')" || status=1
check "$2" 'fa_[a-z0-9_]+' "$(nm -D --defined-only "$2" | awk 'NF == 3 {print $3}')" || status=1
exit $status
