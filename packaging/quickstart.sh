#!/bin/sh
# The main job, end to end, on real input: builds Ferry, starts refbroker, produces a file of at least 50 MB as keyed
# records, reads it back with two consumers of one group, compares it byte for byte per key in order, and says what it
# did and how fast. Exit 0 only if all is equal. Nothing is installed but missing Debian packages; all else stays in
# build/ and a temporary directory.
set -eu
top=$(cd "$(dirname "$0")/.." && pwd)
build=${FERRY_BUILD:-$top/build}
megabytes=${QUICKSTART_MB:-55}
LC_ALL=C
export LC_ALL

say() { printf '%s\n' "quickstart: $*"; }
die() { printf '%s\n' "quickstart: $*" >&2; exit 1; }
now_ms() { echo $(($(date +%s%N) / 1000000)); }

say "installing what is missing, building (the first time takes a minute)"
sh "$top/packaging/deps.sh" build
sh "$top/packaging/build.sh" "$build"

work=$(mktemp -d)
pids=
finish() {
    for p in $pids; do kill "$p" 2>/dev/null || :; done
    for p in $pids; do wait "$p" 2>/dev/null || :; done
    rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT TERM

# The file: lines of the licence texts and package lists that every Debian machine has, each behind its key (pass and
# file name) and a tab, again and again until it is large enough.
source_files=$(find /usr/share/common-licenses /var/lib/dpkg/info /usr/share/doc -type f \
    \( -path '*common-licenses*' -o -name '*.list' -o -name '*.md5sums' -o -name copyright \) -size +0 | sort)
pass=0
: >"$work/input"
while [ "$(wc -c <"$work/input")" -lt $((megabytes * 1000000)) ]; do
    pass=$((pass + 1))
    [ $pass -le 500 ] || die "this machine's licence texts and package lists are too small to make $megabytes MB"
    left=$((megabytes * 1010000 - $(wc -c <"$work/input")))
    printf '%s\n' "$source_files" | xargs awk -v pass="$pass" '{print pass ":" FILENAME "\t" $0}' |
        awk -v left="$left" 'left > 0 {left -= length($0) + 1; print}' >>"$work/input"
done
records=$(wc -l <"$work/input")
bytes=$(wc -c <"$work/input")
keys=$(cut -f 1 "$work/input" | sort -u | wc -l)
say "made $((bytes / 1000000)) MB of text: $records records with $keys keys"

"$build/refbroker/refbroker" --data "$work/data" --listen 127.0.0.1:0 >"$work/ready" 2>"$work/refbroker.log" &
broker=$!
pids=$broker
wait_for() {  # WHAT COMMAND...: until it succeeds, a minute at most
    what=$1
    shift
    deadline=$(($(date +%s) + 60))
    until "$@"; do
        kill -0 "$broker" 2>/dev/null || { cat "$work/refbroker.log" >&2; die "refbroker ended while waiting for $what"; }
        [ "$(date +%s)" -lt $deadline ] || { tail -n 20 "$work"/*.log >&2; die "no $what after 60 s"; }
        sleep 0.02
    done
}
wait_for "ready line" grep -q '^refbroker: ready on ' "$work/ready"
server=$(sed -n 's/^refbroker: ready on //p' "$work/ready")
say "refbroker serves on $server"

"$build/ferry-topics" --bootstrap-server "$server" --create --topic quickstart --partitions 8 >/dev/null
for n in 1 2; do
    "$build/ferry-console-consumer" --bootstrap-server "$server" --topic quickstart --group readers --from-beginning \
        --property print.key=true >"$work/out$n" 2>"$work/consumer$n.log" &
    eval "consumer$n=$!"
    pids="$pids $!"
done
both_joined() {
    [ "$("$build/ferry-groups" --bootstrap-server "$server" --describe --group readers --members 2>/dev/null |
        grep -c '^readers ')" -eq 2 ] &&
        "$build/ferry-groups" --bootstrap-server "$server" --describe --group readers --state 2>/dev/null | grep -q Stable
}
wait_for "group of two consumers" both_joined

start=$(now_ms)
"$build/ferry-console-producer" --bootstrap-server "$server" --topic quickstart --property parse.key=true <"$work/input"
produced=$(now_ms)
all_read() { [ "$(cat "$work/out1" "$work/out2" | wc -l)" -ge "$records" ]; }
wait_for "end of the records" all_read
read_back=$(now_ms)
kill -INT $consumer1 $consumer2
wait $consumer1 || die "the first consumer failed: $(cat "$work/consumer1.log")"
wait $consumer2 || die "the second consumer failed: $(cat "$work/consumer2.log")"

rate() { awk -v r="$records" -v b="$bytes" -v ms="$1" 'BEGIN {if (ms < 1) ms = 1; printf "%d records/s, %.0f MB/s", r * 1000 / ms, b / 1000 / ms}'; }
say "produced in $((produced - start)) ms: $(rate $((produced - start)))"
say "all read by two consumers ($(wc -l <"$work/out1") and $(wc -l <"$work/out2") records) $((read_back - start)) ms after the first send: $(rate $((read_back - start)))"

# Per key in order: a stable sort by key alone keeps each key's records in the order in which they came.
sort -s -t "$(printf '\t')" -k 1,1 "$work/input" >"$work/want"
cat "$work/out1" "$work/out2" | sort -s -t "$(printf '\t')" -k 1,1 >"$work/got"
cmp "$work/want" "$work/got" || die "what came back differs from what was sent"
say "equal: every byte of every record came back, in order per key"
