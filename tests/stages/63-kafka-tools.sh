# The tools, the examples and groups on Apache Kafka 4.3.1 and 3.9.2 (and, first, the groups on refbroker): codecs, JSON, commit
# and resume; members that join, leave and are killed; the broker killed in the middle of a run, nothing lost or doubled.
# budget: 90
# quick: no
set -u
library=$FERRY_TOP/tests/lib/broker.sh
kafka=$FERRY_TOP/tests/kafka/kafka
bin=$FERRY_BUILD
producer=$bin/tests/e2e/producer
group=$bin/tests/e2e/group
all=$(mktemp -d)
trap 'rm -rf "$all"' EXIT
trap 'exit 130' INT TERM
RECORDS=20000

ok() {  # NAME STATUS: $out shows what went wrong
    if [ "$2" -eq 0 ]; then echo "ok - $where: $1"; else
        echo "not ok - $where: $1"
        tail -n 12 "$out" "$out.err" | sed 's/^/# /'
    fi
}
run() {  # COMMAND...: output to $out
    timeout 40 "$@" >"$out" 2>"$out.err" </dev/null
}
until_true() {  # SECONDS COMMAND...
    tries=$(($1 * 10))
    shift
    until "$@"; do
        tries=$((tries - 1))
        [ $tries -gt 0 ] || return 1
        sleep 0.1
    done
}

# -- the tools --

topics() {
    t="$bin/ferry-topics --bootstrap-server $address"
    run $t --create --topic made --partitions 3 --config retention.ms=7200000
    ok "ferry-topics creates" $?
    run $t --create --topic made
    [ $? -eq 1 ] && grep -q TOPIC_ALREADY_EXISTS "$out.err"
    ok "and not twice" $?
    until_true 10 lists made
    ok "lists" $?
    run $t --alter --topic made --partitions 5 --config max.message.bytes=500000
    ok "alters" $?
    until_true 10 describes 'PartitionCount: 5' 'retention.ms=7200000' 'max.message.bytes=500000' 'Leader: 1'
    ok "describes" $?
    run $t --delete --topic made && until_true 10 lists_not made
    ok "deletes" $?
}
lists() { run $t --list && grep -qx "$1" "$out"; }
lists_not() { run $t --list && ! grep -qx "$1" "$out"; }
describes() {
    run $t --describe --topic made || return 1
    for text in "$@"; do grep -q -- "$text" "$out" || return 1; done
}

reads() {  # TOPIC COUNT ARGUMENT...: to $work/back
    topic=$1 count=$2
    shift 2
    run "$bin/ferry-console-consumer" --bootstrap-server "$address" --topic "$topic" --max-messages "$count" --timeout-ms 15000 "$@" &&
        cp "$out" "$work/back"
}

console() {
    seq 1 5000 >"$work/numbers"
    for codec in gzip snappy lz4 zstd; do
        timeout 40 "$bin/ferry-console-producer" --bootstrap-server "$address" --topic "console-$codec" --compression-codec $codec \
            <"$work/numbers" >"$out" 2>"$out.err" &&
            reads "console-$codec" 5000 --from-beginning && sort -n "$work/back" | cmp -s - "$work/numbers"
        ok "console producer and consumer, $codec" $?
    done
    printf '{"key":"k","value":{"base64":"AP8="},"headers":[["n","v"]],"timestamp":1700000000000}\n' >"$work/json"
    timeout 40 "$bin/ferry-console-producer" --bootstrap-server "$address" --topic json --json <"$work/json" >"$out" 2>"$out.err" &&
        reads json 1 --from-beginning --json && grep -q '"key":"k"' "$work/back" && grep -q '"value":{"base64":"AP8="}' "$work/back" &&
        grep -q '"headers":\[\["n","v"\]\]' "$work/back" && grep -q '"timestamp":1700000000000' "$work/back"
    ok "JSON both ways" $?
    reads console-lz4 2000 --group half --from-beginning && cp "$work/back" "$work/first" &&
        reads console-lz4 3000 --group half --from-beginning && sort -n "$work/first" "$work/back" | cmp -s - "$work/numbers"
    ok "a group commits and resumes: each record once" $?
}

groups() {
    g="$bin/ferry-groups --bootstrap-server $address"
    run $g --list && grep -qw half "$out"
    ok "ferry-groups lists" $?
    run $g --describe --group half && awk '$2 == "console-lz4" {end += $5; lag += $6} END {exit !(end == 5000 && lag == 0)}' "$out"
    ok "describes: all read, no lag" $?
    run $g --reset-offsets --group half --topic console-lz4 --to-earliest --execute && reads console-lz4 5000 --group half &&
        sort -n "$work/back" | cmp -s - "$work/numbers"
    ok "resets offsets: all is read again" $?
    run $g --reset-offsets --group half --topic console-lz4 --to-earliest --execute && run $g --describe --group half &&
        [ "$(awk '$2 == "console-lz4" {lag += $6} END {print lag + 0}' "$out")" = 5000 ]
    ok "and tells the lag" $?
    run $g --delete --group half && run $g --list && ! grep -qw half "$out"
    ok "deletes" $?
}

perf() {
    p="$bin/ferry-perf"
    run $p produce --bootstrap-server "$address" --topic perf --num-records 50000 --record-size 100 && grep -q 'p99 ' "$out" &&
        run $p consume --bootstrap-server "$address" --topic perf --num-records 50000 && grep -q '50000 records consumed' "$out" &&
        run $p latency --bootstrap-server "$address" --topic latency --num-records 100
    ok "ferry-perf produces, consumes, measures" $?
}

examples() {
    for name in producer consumer loop; do
        [ -x "$all/$name" ] || return
    done
    timeout 40 "$all/producer" "$address" example <"$work/numbers" >"$out" 2>"$out.err" &&
        run "$all/consumer" "$address" example readers 5000 && sort -n "$out" | cmp -s - "$work/numbers" &&
        run "$all/loop" "$address" looped 1000 &&
        LIBFERRY=$bin/.libs/libferry.so run python3 "$FERRY_TOP/docs/examples/ferry_ctypes.py" "$address" python 1000
    ok "docs/examples: producer, consumer, loop, ctypes" $?
}

# -- groups: a run with everything that can happen to one, once for each strategy at the same time --

member() {  # STRATEGY NAME SETTING...: pid in $pid, its file is $work/STRATEGY.NAME
    strategy=$1 name=$2
    shift 2
    timeout 100 "$group" "$address" work "group-$strategy" "$work/$strategy.$name" partition.assignment.strategy="$strategy" \
        auto.commit.interval.ms=100 reconnect.backoff.ms=20 reconnect.backoff.max.ms=200 retry.backoff.ms=20 \
        heartbeat.interval.ms=300 "$@" 2>>"$work/$strategy.$name.err" &
    pid=$!
}
has_records() { grep -q '^[0-9]' "$1" 2>/dev/null; }
has_more() { [ "$(wc -l <"$1")" -gt "$2" ]; }
each() {  # COMMAND...: with each strategy as the last argument
    for each_strategy in range cooperative-sticky; do "$@" $each_strategy || return 1; done
}
works() { until_true 20 has_records "$work/$2.$1"; }  # MEMBER STRATEGY
works_on() { until_true 40 has_more "$work/$2.$1" "$(wc -l <"$work/$2.$1")"; }
distinct() { cat "$work/$1".[abcd] | awk '/^[0-9]/ && !seen[$3]++ {n++} END {print n + 0}'; }
has_read_all() { [ "$(distinct "$1")" -ge $RECORDS ]; }
reads_all() { until_true 40 has_read_all "$1"; }

# Every number once; a second time only what the killed member had; offsets rise in each file.
judge() {  # STRATEGY
    awk -v count=$RECORDS '
        FNR == 1 { delete last; killed = FILENAME ~ /\.c$/; members++ }
        /^\+/ { rebalances++ }
        /^[0-9]/ {
            if (($1 in last) && $2 <= last[$1]) { back++ }
            last[$1] = $2
            place = $1 " " $2
            if ((place in at) && at[place] != $3) wrong++
            at[place] = $3
            if ($3 in seen) { if (killed || by_killed[$3]) again++; else doubled++ }
            seen[$3] = 1
            if (killed) by_killed[$3] = 1
        }
        END {
            for (i = 0; i < count; i++) if (!(i in seen)) missing++
            printf "records=%d missing=%d doubled=%d wrong=%d back=%d read-again-after-SIGKILL=%d members=%d assignments=%d\n",
                count, missing, doubled, wrong, back, again, members, rebalances
            exit missing || doubled || wrong || back || rebalances < 7
        }' "$work/$1".a "$work/$1".b "$work/$1".c "$work/$1".d >"$out" 2>"$out.err"
    status=$?
    ok "group with $1: $(tail -n 1 "$out")" $status
    [ $status -eq 0 ] || tail -n 5 "$work/$1".*.err | sed 's/^/# /'
}
no_lag() {  # STRATEGY
    run "$bin/ferry-groups" --bootstrap-server "$address" --describe --group "group-$1" &&
        [ "$(awk '$2 == "work" {end += $5; lag += $6} END {print end + 0, lag + 0}' "$out")" = "$RECORDS 0" ]
    ok "group with $1: all is committed" $?
}

sends() {  # FIRST COUNT SECONDS
    timeout 60 "$producer" send "$address" work "$@" linger.ms=5 batch.size=8000 reconnect.backoff.ms=20 \
        reconnect.backoff.max.ms=200 >"$work/sent" 2>&1
    status=$?
    cp "$work/sent" "$out"
    ok "sent: $(tail -n 1 "$work/sent")" $status
}

members() {  # RESTART-COMMAND...
    run "$bin/ferry-topics" --bootstrap-server "$address" --create --topic work --partitions 6
    sends 0 $((RECORDS / 2)) 10 &
    sender=$!
    member range a && a1=$pid
    member cooperative-sticky a && a2=$pid
    member range b && b1=$pid
    member cooperative-sticky b && b2=$pid
    each works a && each works b
    ok "two members work" $?
    member range c session.timeout.ms=1500 && c1=$pid
    member cooperative-sticky c session.timeout.ms=1500 && c2=$pid
    each works c
    ok "a third joins" $?
    kill -TERM $b1 $b2
    wait $b1 && wait $b2
    ok "one leaves" $?
    pkill -KILL -P $c1
    pkill -KILL -P $c2
    each works_on a
    member range d && d1=$pid
    member cooperative-sticky d && d2=$pid
    each works d
    ok "one is killed, one joins" $?
    "$@"
    ok "the broker is killed and started again" $?
    wait $sender
    sends $((RECORDS / 2)) $((RECORDS / 2)) 1 &
    sender=$!
    each works_on a && each works_on d
    ok "they go on" $?
    wait $sender
    each reads_all
    kill -TERM $a1 $a2 $d1 $d2 2>>"$out.err"
    wait $a1 && wait $a2 && wait $d1 && wait $d2
    ok "all leave" $?
    each judge
    each no_lag
}

# -- the brokers --

on_kafka() {  # VERSION
    where="Apache Kafka $1"
    work=$all/$1 out=$all/$1/out
    mkdir "$work"
    KAFKA_VERSION=$1 KAFKA_HEAP=256m
    export KAFKA_VERSION KAFKA_HEAP
    trap '"$kafka" stop "$work/kafka" -9 >/dev/null 2>&1' EXIT
    address=$(timeout 100 "$kafka" start "$work/kafka" num.partitions=3 group.min.session.timeout.ms=1000 2>"$work/log") || {
        echo "ok - $where # SKIP it could not be started"
        return
    }
    topics
    console
    groups
    perf
    examples
    members restart_kafka
}
restart_kafka() {
    "$kafka" stop "$work/kafka" -9 >"$out" 2>"$out.err"
    "$kafka" restart "$work/kafka" >>"$out" 2>>"$out.err"
}

on_refbroker() {
    where=refbroker
    . "$library"
    work=$BROKER_DIR out=$BROKER_DIR/out
    broker_start -X group.min.session.timeout.ms=1000 || return
    address=$BROKER
    members restart_refbroker
    broker_stop
}
restart_refbroker() {
    broker_stop KILL
    broker_start -X group.min.session.timeout.ms=1000
}

for example in producer consumer loop; do
    cc -I"$FERRY_TOP/libclient/include" -o "$all/$example" "$FERRY_TOP/docs/examples/$example.c" -L"$bin/.libs" \
        -Wl,-rpath,"$bin/.libs" -lferry || echo "not ok - docs/examples/$example.c compiles"
done
(on_refbroker) >"$all/out1" 2>&1 &
if [ -n "${FERRY_SANITIZED:-}" ] || ! command -v java >/dev/null || ! command -v mvn >/dev/null; then
    echo "ok - the tools on Apache Kafka # SKIP needs java and mvn, and no sanitizer"
else
    for version in ${VERSIONS-4.3.1 3.9.2}; do
        (on_kafka $version) >"$all/out-$version" 2>&1 &
    done
fi
wait
cat "$all"/out*
