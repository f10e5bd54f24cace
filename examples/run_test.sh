#!/usr/bin/env bash
# Runs an example: run_test.sh PROGRAM EXPECTED. It passes when the program ends without an error
# and prints what the file EXPECTED says, where a line "..." stands for any number of lines. Events
# of the library, which debug builds print, go to standard error and do not count.
set -u
output=$("$1")
status=$?
printf '%s\n' "$output"
((status == 0)) || { echo "FAILED: status $status" && exit 1; }
mapfile -t lines <<<"$output"
mapfile -t wanted <"$2"
at=0 any=0
for want in "${wanted[@]}"; do
    [[ $want == ... ]] && any=1 && continue
    while ((any)) && ((at < ${#lines[@]})) && [[ ${lines[at]} != "$want" ]]; do ((at++)); done
    [[ ${lines[at]-} == "$want" ]] || { echo "FAILED: no line '$want'" && exit 1; }
    ((at++))
    any=0
done
((any || at == ${#lines[@]})) || { echo "FAILED: more lines than expected" && exit 1; }
