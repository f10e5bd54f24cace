#!/usr/bin/env bash
# The code in README.md is the example that is compiled, it has at most 250 lines, and the files
# that it links to exist.
set -eu
here=$(dirname "$(readlink -f "$1")") example=$2
readme=$here/README.md
shown=$(mktemp)
trap 'rm -f "$shown"' EXIT
awk '/^```c$/ {on = 1; next} /^```$/ {on = 0} on' "$readme" >"$shown"
diff -u "$example" "$shown" || { echo "README.md shows other code than $example"; exit 1; }
lines=$(wc -l <"$readme")
((lines <= 250)) || { echo "README.md has $lines lines, more than 250"; exit 1; }
while read -r link; do
    [[ -e $here/$link ]] || { echo "README.md links to $link, which does not exist"; exit 1; }
done < <(grep -oE '\]\([^)#:]+\)' "$readme" | sed 's/^](\(.*\))$/\1/')
