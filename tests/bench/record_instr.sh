#!/bin/sh
# Instructions per record of the record module, values of 100 bytes: callgrind's difference of two counts.
set -u
build=${FERRY_BUILD:-build}
command -v valgrind >/dev/null || { echo "valgrind is missing" >&2; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
count() {  # WHAT RECORDS: records done, instructions
    valgrind --tool=callgrind --callgrind-out-file="$work/out" "$build/tests/bench/record_bench" "$1" "$2" "${VALUE:-100}" \
        >"$work/done" 2>"$work/log" || { cat "$work/log" >&2; exit 1; }
    echo "$(cat "$work/done") $(awk '/^summary:|^totals:/ {print $2; exit}' "$work/out")"
}
for what in encode iterate walk; do
    a=$(count $what 1000) && b=$(count $what 200000) || exit 1
    echo "$a $b" | awk -v what=$what '{printf "figure=record_%s_instr ferry=%.1f unit=instructions/record\n", what, ($4 - $2) / ($3 - $1)}'
done
