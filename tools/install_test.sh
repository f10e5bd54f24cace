#!/usr/bin/env bash
# A program outside the tree builds and runs with what was installed: install_test.sh CC
set -eu
cc=$1
prefix="$TEST_TMPDIR/a prefix"
tools/install.sh --prefix="$prefix"
mv "$prefix" "$TEST_TMPDIR/moved"
prefix=$TEST_TMPDIR/moved
export PKG_CONFIG_PATH=$prefix/lib/pkgconfig
cp tools/install_test_program.c "$TEST_TMPDIR/program.c"
cp tools/install_test_program.cc "$TEST_TMPDIR/program.cc"
cd "$TEST_TMPDIR"

read -ra cflags <<<"$(pkg-config --cflags framealloc)"
read -ra libs <<<"$(pkg-config --libs framealloc)"
read -ra static_libs <<<"$(pkg-config --static --libs framealloc)"
"$cc" -std=c11 "${cflags[@]}" program.c -o shared "${libs[@]}"
"$cc" -std=c11 "${cflags[@]}" program.c -o static \
    -Wl,-Bstatic "${static_libs[@]}" -Wl,-Bdynamic
"$cc" -x c++ -std=c++17 "${cflags[@]}" program.cc -o cplusplus "${libs[@]}" -lstdc++

readelf -d shared | grep -q 'NEEDED.*libframealloc' || { echo 'FAILED: not shared'; exit 1; }
readelf -d static | grep -q 'NEEDED.*libframealloc' && { echo 'FAILED: not static'; exit 1; }
LD_LIBRARY_PATH=$prefix/lib ./shared
LD_LIBRARY_PATH=$prefix/lib ./cplusplus
./static

# Bad options are refused, and nothing is installed.
cd - >/dev/null
for options in '' '--prefix=' '--wrong --prefix=x'; do
    # shellcheck disable=SC2086  # words
    tools/install.sh $options 2>/dev/null && { echo "FAILED: accepted '$options'"; exit 1; }
done
echo ok
