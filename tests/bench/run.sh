#!/bin/sh
# The benchmarks: libferry beside librdkafka, refbroker beside Apache Kafka, in one run on this machine.
#
#   sh tests/bench/run.sh [NAME...]     every figure, or those whose name contains a NAME
#   sh tests/bench/run.sh --list        the names
#   sh tests/bench/run.sh --table ...   the same, and puts them into the tables of docs/benchmarks.md and README.md
#
# One line a figure: figure=NAME ferry=X peer=Y ratio=R unit=U; R > 1 is always "Ferry better". Lines that start with #
# are remarks. Every value is the median of BENCH_REPS (5) runs, the two sides in turn. Exit 0 if every figure came out,
# whether it meets its bar or not.
#
# librdkafka is the newest one: the library inside PyPI's confluent-kafka wheel, compiled against Debian's headers.
# BENCH_CACHE (~/.cache/ferry-bench) keeps it and the programs; remove it to fetch anew. FERRY_BUILD is the build of the
# tree (build), made with default configure flags if it is not there.
set -eu
export PYTHONDONTWRITEBYTECODE=1
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
build=${FERRY_BUILD:-$top/build}
cache=${BENCH_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/ferry-bench}
CC=${CC:-cc}
table=no
case ${1:-} in
--list) exec python3 "$here/figures.py" --list ;;
--table) table=yes && shift ;;
esac
[ -n "${FERRY_TOP:-}" ] || sh "$top/packaging/deps.sh" tests
[ -x "$build/refbroker/refbroker" ] || sh "$top/packaging/build.sh" "$build"
bin=$cache/bin-$(cat "$here"/*.c "$here"/sink/*.[ch] | cksum | cut -d ' ' -f 1)  # other sources, other programs
mkdir -p "$bin" "$build/tests/bench"
build=$(cd "$build" && pwd) bin=$(cd "$bin" && pwd)

fetch_librdkafka() {
    [ ! -f "$cache/wheel/.complete" ] || return 0
    rm -rf "$cache/wheel"
    python3 -m venv "$cache/venv" &&
        "$cache/venv/bin/pip" -q download --no-deps --only-binary :all: -d "$cache/wheel" confluent-kafka &&
        (cd "$cache/wheel" && python3 -m zipfile -e ./*.whl .) &&
        touch "$cache/wheel/.complete"
}

compile() {  # OUTPUT "SOURCE..." ARGUMENT...: in one move, since another run may be using it
    out=$1 sources=$2
    shift 2
    (cd "$here" && $CC -O2 -o "$out.$$" $sources "$@") && mv "$out.$$" "$out"
}

compile_once() {  # the same, if it is not there
    [ -x "$1" ] || compile "$@"
}

case $($CC -dumpmachine) in x86_64*) sse=-msse4.2 ;; *) sse= ;; esac
compile_once "$bin/probe" probe.c $sse
compile_once "$bin/sinkbroker" "sink/*.c" $sse -DHAVE_LZ4 -DHAVE_ZSTD -lz -llz4 -lzstd
fetch_librdkafka >&2 || { echo "run: librdkafka could not be fetched from PyPI" >&2; exit 1; }
peer=$(ls "$cache"/wheel/confluent_kafka.libs/librdkafka-*.so*)
compile_once "$bin/kbench" kbench.c "$peer" -Wl,-rpath,"$(dirname "$peer")" -Wl,--allow-shlib-undefined -lpthread
compile "$build/tests/bench/fbench" fbench.c -I"$top/libclient/include" "$build/.libs/libferry.so" \
    -Wl,-rpath,"$build/.libs" -lpthread
set -- --bin "$bin" --build "$build" --kafka "$top/tests/kafka/kafka" --peer "$peer" "$@"
[ $table = yes ] || exec python3 "$here/figures.py" "$@"
lines=$(mktemp)
trap 'rm -f "$lines"' EXIT
status=0
python3 "$here/figures.py" --save "$lines" "$@" || status=$?
python3 "$here/table.py" "$lines"
exit $status
