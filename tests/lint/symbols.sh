#!/bin/sh
# libferry.so exports exactly what ferry.map lists, and every function that a public header declares is one of them.
set -u
top=${FERRY_TOP:-.}
build=${FERRY_BUILD:-build}
so=$build/.libs/libferry.so
[ -f "$so" ] || { echo "not ok - $so was not built"; exit 1; }
nm -D --defined-only "$so" | awk '$2 == "T" {sub(/@.*/, "", $3); print $3}' | sort -u >"$build/symbols.so"
sed -n 's/^ *\(ferry_[a-z0-9_]*\);.*/\1/p' "$top/libclient/ferry.map" | sort -u >"$build/symbols.map"
cat "$top"/libclient/include/ferry/*.h | tr '\n' ' ' | grep -oE 'FERRY_API [^;{(]*\(' | grep -oE 'ferry_[a-z0-9_]+ ?\(' |
    tr -d ' (' | sort -u >"$build/symbols.headers"
status=0
for pair in "symbols.so symbols.map" "symbols.headers symbols.map"; do
    set -- $pair
    diff=$(diff "$build/$1" "$build/$2") || { echo "not ok - $1 differs from $2"; echo "$diff" | sed 's/^/# /'; status=1; }
done
[ $status -ne 0 ] || echo "ok - $(wc -l <"$build/symbols.map") exported symbols, all declared and mapped"
exit $status
