#!/bin/sh
# Builds the tree into a directory (default build) from wherever it stands: bootstrap, configure and make, each only if due.
#   build.sh [DIR [CONFIGURE-ARGUMENT...]]
set -eu
top=$(cd "$(dirname "$0")/.." && pwd)
dir=${1:-$top/build}
[ $# -eq 0 ] || shift
log=$(mktemp)
trap 'rm -f "$log"' EXIT
say() { tail -n 40 "$log" >&2; echo "build: $1 failed" >&2; exit 1; }
if [ ! -f "$top/configure" ] || [ "$top/configure.ac" -nt "$top/configure" ]; then
    (cd "$top" && autoreconf -fi) >"$log" 2>&1 || say autoreconf
fi
mkdir -p "$dir"
cd "$dir"
if [ ! -f Makefile ]; then
    "$top/configure" -q "$@" >"$log" 2>&1 || say configure
fi
make -s -j"$(nproc)" >"$log" 2>&1 || say make
