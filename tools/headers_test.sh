#!/usr/bin/env bash
# Every public header compiles alone, in each variant, as C11 and as C++17; those of C++ also
# without exceptions and RTTI.
# Usage: headers_test.sh CC HEADER...
set -eu
cc=$1
shift
failed=0
for header; do
    languages=('c -std=c11 -Wstrict-prototypes' 'c++ -std=c++17')
    [[ $header != *.hpp ]] ||
        languages=('c++ -std=c++17' 'c++ -std=c++17 -fno-exceptions -fno-rtti')
    for variant in RELEASE DEBUG MINIMAL PREFETCH; do
        for language in "${languages[@]}"; do
            # shellcheck disable=SC2086  # the flags are words
            printf '#include "%s"\n' "$header" | "$cc" -x $language -fsyntax-only -I. \
                -DFA_$variant=1 -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror - || {
                printf 'FAILED: %s as %s, FA_%s\n' "$header" "$language" "$variant"
                failed=1
            }
        done
    done
done
printf '%d headers\n' $#
exit $failed
