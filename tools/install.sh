#!/usr/bin/env bash
# Installs the built libraries and headers: install.sh --prefix=DIR
# The tree that it makes can be moved: framealloc.pc finds itself.
set -eu
usage='usage: bazel run //:install -- --prefix=DIR'
prefix=
for argument; do
    case $argument in
    --prefix=?*) prefix=${argument#*=} ;;
    --help) echo "$usage" && exit ;;
    *) echo "install: unknown option '$argument'; $usage" >&2 && exit 2 ;;
    esac
done
[[ -n $prefix ]] || { echo "install: no prefix; $usage" >&2 && exit 2; }
# `bazel run` starts this in the folder of the built files; a relative prefix means the caller's.
[[ $prefix == /* ]] || prefix=${BUILD_WORKING_DIRECTORY:-$PWD}/$prefix

install -d "$prefix/include/fa/cpp" "$prefix/lib/pkgconfig"
install -m 644 fa/*.h fa/fa.hpp backends/backends.h "$prefix/include/fa"
install -m 644 fa/cpp/*.hpp "$prefix/include/fa/cpp"
install -m 644 fa/libframealloc.a "$prefix/lib"
install -m 755 fa/libframealloc.so "$prefix/lib"
install -m 644 fa/framealloc.pc "$prefix/lib/pkgconfig"
echo "installed framealloc into $prefix"
