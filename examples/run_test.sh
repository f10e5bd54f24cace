#!/bin/sh
# Runs an example: run_test.sh PROGRAM [LAST_LINE]. It passes when the program ends without an error
# and, where LAST_LINE is given, prints that last.
set -eu
output=$("$1")
printf '%s\n' "$output"
[ $# -lt 2 ] || [ "$(printf '%s\n' "$output" | tail -n 1)" = "$2" ] || {
    echo "the last line should be: $2"
    exit 1
}
