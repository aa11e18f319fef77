# An end-to-end path under valgrind: refbroker, the topic tool, and producer and consumer with every codec; no error, no
# definite leak, in any of the processes.
# budget: 50
# quick: no
set -u
skip() { echo "ok - end to end under valgrind # SKIP $1"; exit 0; }
command -v valgrind >/dev/null || skip "no valgrind"
dir=$(mktemp -d)
pid=
trap '[ -z "$pid" ] || kill -9 $pid 2>/dev/null; rm -rf "$dir"' EXIT
failed=0
check() {  # NAME STATUS
    if [ "$2" -eq 0 ]; then echo "ok - $1"; else echo "not ok - $1"; failed=1; fi
}
# libtool's wrapper scripts stand where the programs will: valgrind must see the program itself.
program() {
    [ -x "$FERRY_BUILD/.libs/$1" ] && echo "$FERRY_BUILD/.libs/$1" || echo "$FERRY_BUILD/$1"
}
grind() {  # LOG PROGRAM ARGUMENT...: 99 when valgrind has something to say
    log=$dir/$1.valgrind binary=$(program "$2")
    shift 2
    LD_LIBRARY_PATH=$FERRY_BUILD/.libs exec valgrind -q --error-exitcode=99 --leak-check=full --errors-for-leak-kinds=definite \
        --show-leak-kinds=definite --num-callers=20 --log-file="$log" "$binary" "$@"
}

(grind refbroker refbroker/refbroker --data "$dir/data" --listen 127.0.0.1:0 -X log.flush.interval.messages=100) \
    >"$dir/out" 2>"$dir/err" &
pid=$!
tries=0
until grep -q '^refbroker: ready on ' "$dir/out"; do
    tries=$((tries + 1))
    if [ $tries -gt 600 ] || ! kill -0 $pid 2>/dev/null; then
        cat "$dir/err" "$dir"/*.valgrind
        echo "not ok - refbroker starts under valgrind"
        exit 1
    fi
    sleep 0.05
done
server=$(sed -n 's/^refbroker: ready on //p' "$dir/out")

awk 'BEGIN {for (i = 0; i < 2000; i++) printf "k%d\tvalue number %d of a run that compresses well\n", i % 97, i}' >"$dir/in"
for codec in none gzip snappy lz4 zstd; do
    (grind "topics-$codec" ferry-topics --bootstrap-server "$server" --create --topic "t-$codec" --partitions 1) >>"$dir/log" 2>&1
    check "ferry-topics creates t-$codec" $?
    if [ -x "$FERRY_BUILD/ferry-console-producer" ]; then
        (grind "producer-$codec" ferry-console-producer --bootstrap-server "$server" --topic "t-$codec" \
            --compression-codec "$codec" --property parse.key=true <"$dir/in") >>"$dir/log" 2>&1
        check "ferry-console-producer, $codec" $?
        (grind "consumer-$codec" ferry-console-consumer --bootstrap-server "$server" --topic "t-$codec" --group "g-$codec" \
            --from-beginning --max-messages 2000 --timeout-ms 60000 --property print.key=true) >"$dir/got" 2>>"$dir/log"
        check "ferry-console-consumer, $codec" $?
    else
        timeout 60 kcat -b "$server" -P -t "t-$codec" -z "$codec" -K '\t' -l "$dir/in" 2>>"$dir/log" &&
            timeout 60 kcat -b "$server" -C -t "t-$codec" -o beginning -e -q -f '%k\t%s\n' >"$dir/got" 2>>"$dir/log"
        check "kcat, $codec" $?
    fi
    cmp "$dir/in" "$dir/got" >>"$dir/log" 2>&1
    check "2,000 records come back in order, $codec" $?
done
(grind groups ferry-groups --bootstrap-server "$server" --list) >>"$dir/log" 2>&1
check "ferry-groups" $?
kill -TERM $pid
wait $pid
check "refbroker ends cleanly" $?
pid=
# Lines of valgrind about itself (a system call that it does not know: it answers ENOSYS) begin with --, findings with ==.
for log in "$dir"/*.valgrind; do
    ! grep -q '^==' "$log" || { echo "not ok - valgrind on $(basename "$log" .valgrind)"; head -n 60 "$log" | sed 's/^/# /'; failed=1; }
done
[ $failed -eq 0 ] && echo "ok - valgrind found nothing in $(ls "$dir"/*.valgrind | wc -l) processes" || tail -n 40 "$dir/log" "$dir/err" | sed 's/^/# /'
exit $failed
