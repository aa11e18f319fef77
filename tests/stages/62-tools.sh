# The console tools on refbroker: both spellings of flags, exit codes, formats, JSON, signals, closed pipes, failures.
# budget: 40
# quick: yes
set -u
. "$FERRY_TOP/tests/lib/broker.sh"
work=$BROKER_DIR
bin=$FERRY_BUILD
broker_start || exit 1
tab=$(printf '\t')
run() { # STATUS NAME COMMAND...: checks the exit status; output in $work/out, $work/err
    want=$1
    name=$2
    shift 2
    timeout 30 "$@" >"$work/out" 2>"$work/err" </dev/null
    got=$?
    if [ $got -eq "$want" ]; then echo "ok - $name"; else
        echo "not ok - $name: status $got, not $want"
        sed 's/^/# /' "$work/out" "$work/err" | head -n 20
    fi
}
same() { # NAME WANT: what the last run printed
    if [ "$(cat "$work/out")" = "$2" ]; then echo "ok - $1"; else
        echo "not ok - $1"
        sed 's/^/# got: /' "$work/out" | head -n 20
        printf '%s\n' "$2" | sed 's/^/# want: /'
    fi
}
has() { # NAME FILE TEXT
    if grep -qF -- "$3" "$work/$2"; then echo "ok - $1"; else
        echo "not ok - $1: no \"$3\" in"
        sed 's/^/# /' "$work/$2" | head -n 10
    fi
}
send() { # NAME INPUT ARGUMENT...
    name=$1
    printf '%b' "$2" >"$work/in"
    shift 2
    if timeout 30 "$bin/ferry-console-producer" --bootstrap-server "$BROKER" "$@" <"$work/in" >"$work/out" 2>"$work/err"; then
        echo "ok - $name"
    else
        echo "not ok - $name"
        sed 's/^/# /' "$work/err"
    fi
}
read_all() { # TOPIC ARGUMENT...: partition 0 from the beginning until nothing comes
    topic=$1
    shift
    timeout 30 "$bin/ferry-console-consumer" --bootstrap-server "$BROKER" --topic "$topic" --partition 0 --offset earliest \
        "$@" >"$work/out" 2>"$work/err" </dev/null
}

for tool in ferry-topics ferry-groups ferry-console-producer ferry-console-consumer ferry-perf; do
    run 0 "$tool --help" "$bin/$tool" --help
    has "$tool --help tells the exit codes" out "Exit status"
    run 0 "$tool --version" "$bin/$tool" --version
    run 2 "$tool refuses an unknown option" "$bin/$tool" --no-such-option
    has "and names it" err "--no-such-option"
done
run 2 "an unknown setting is refused" "$bin/ferry-topics" --bootstrap-server "$BROKER" --list -X lingr.ms=5
has "and the nearest key is named" err "linger.ms"
run 2 "a value out of range is refused" "$bin/ferry-topics" --bootstrap-server "$BROKER" --list -X linger.ms=-1
run 1 "no broker there is a failure" "$bin/ferry-topics" --bootstrap-server 127.0.0.1:1 --list --timeout-ms 300

run 0 "topics are created" "$bin/ferry-topics" --bootstrap-server "$BROKER" --create --topic one,two --partitions 1
run 1 "a topic is not created twice" "$bin/ferry-topics" --bootstrap-server "$BROKER" --create --topic one
has "which says why" err TOPIC_ALREADY_EXISTS
run 0 "unless asked to let it be" "$bin/ferry-topics" --bootstrap-server "$BROKER" --create --topic one --if-not-exists
run 0 "topics are listed" "$bin/ferry-topics" --bootstrap-server "$BROKER" --list --exclude-internal
same "by name" "one
two"
run 0 "partitions and settings are altered" "$bin/ferry-topics" --bootstrap-server "$BROKER" --alter --topic two --partitions 3 --config retention.ms=1000
run 0 "a topic is described" "$bin/ferry-topics" --bootstrap-server "$BROKER" --describe --topic two
has "with its partitions" out "PartitionCount: 3"
has "and settings" out "retention.ms=1000"
run 0 "a topic is deleted" "$bin/ferry-topics" --bootstrap-server "$BROKER" --delete --topic two
run 1 "and not twice" "$bin/ferry-topics" --bootstrap-server "$BROKER" --delete --topic two

send "plain lines are sent" 'a\nb\n\nlast without newline' --topic one
read_all one --max-messages 4
same "and read" "a
b

last without newline"
send "keys, headers and nulls are parsed" "h1:x,h2:NIL${tab}k1|v1\nNIL${tab}NIL|NIL\n" --topic keyed --property parse.key=true \
    --property key.separator='|' --reader-property parse.headers=true --property null.marker=NIL
read_all keyed --max-messages 2 --property print.key=true --formatter-property print.headers=true --property print.offset=true \
    --property print.partition=true --property null.literal=NULL
same "and printed" "Partition:0${tab}Offset:0${tab}h1:x,h2:NULL${tab}k1${tab}v1
Partition:0${tab}Offset:1${tab}NO_HEADERS${tab}NULL${tab}NULL"
printf 'no separator\n' | "$bin/ferry-console-producer" --bootstrap-server "$BROKER" --topic keyed --property parse.key=true 2>"$work/err"
[ $? -eq 1 ] && echo "ok - a line without its separator is a failure" || echo "not ok - a line without its separator is a failure"
has "which names the line" err "line 1"
send "JSON is sent" '{"key":"k","value":{"base64":"AP8="},"headers":[["n","v"]],"timestamp":5}\n{"value":"text \\u00e9"}\n' --topic json --json
read_all json --max-messages 2 --json
has "and read: binary as base64" out '"value":{"base64":"AP8="}'
has "headers" out '"headers":[["n","v"]]'
has "timestamps" out '"timestamp":5'
cp "$work/out" "$work/json"
"$bin/ferry-console-producer" --bootstrap-server "$BROKER" --topic json2 --json <"$work/json" 2>"$work/err" || echo "not ok - JSON that was read can be sent"
read_all json2 --max-messages 2 --json
cut -d , -f 3- "$work/json" | sed 's/"offset":[0-9]*,//' >"$work/want"
cut -d , -f 3- "$work/out" | sed 's/"offset":[0-9]*,//' | cmp -s - "$work/want" && echo "ok - JSON goes round unchanged" || echo "not ok - JSON goes round unchanged"

seq 1 20000 >"$work/numbers"
for codec in none gzip snappy lz4 zstd; do
    "$bin/ferry-console-producer" --bootstrap-server "$BROKER" --topic "c-$codec" --compression-codec $codec --request-required-acks all <"$work/numbers"
    read_all "c-$codec" --max-messages 20000
    cmp -s "$work/out" "$work/numbers" && echo "ok - $codec goes round" || echo "not ok - $codec goes round"
done
run 0 "a group reads and commits" "$bin/ferry-console-consumer" --bootstrap-server "$BROKER" --topic c-none --group g --from-beginning --max-messages 5000
run 0 "another member goes on behind the commit" "$bin/ferry-console-consumer" --bootstrap-server "$BROKER" --topic c-none --group g --max-messages 15000
sort -n "$work/out" | head -n 1 | grep -qx 5001 && echo "ok - at the next record" || echo "not ok - at the next record: $(sort -n "$work/out" | head -n 1)"
run 0 "the group is described" "$bin/ferry-groups" --bootstrap-server "$BROKER" --describe --group g
awk '$2 == "c-none" && $4 == 20000 && $6 == 0 {found = 1} END {exit !found}' "$work/out" && echo "ok - without lag" || { echo "not ok - without lag"; cat "$work/out"; }
run 0 "its offsets are reset" "$bin/ferry-groups" --bootstrap-server "$BROKER" --reset-offsets --group g --topic c-none:0 --to-offset 19990 --execute
run 0 "and it reads from there" "$bin/ferry-console-consumer" --bootstrap-server "$BROKER" --topic c-none --group g --max-messages 10
has "from the right record" out 19991
run 0 "the group is deleted" "$bin/ferry-groups" --bootstrap-server "$BROKER" --delete --group g
run 0 "quiet for --timeout-ms ends a consumer" "$bin/ferry-console-consumer" --bootstrap-server "$BROKER" --topic one --timeout-ms 300

"$bin/ferry-console-consumer" --bootstrap-server "$BROKER" --topic c-none --partition 0 --offset earliest 2>"$work/err" | head -n 5 >"$work/out"
[ "$(wc -l <"$work/out")" -eq 5 ] && echo "ok - a closed pipe ends a consumer" || echo "not ok - a closed pipe ends a consumer"
"$bin/ferry-console-consumer" --bootstrap-server "$BROKER" --topic one --partition 0 --offset earliest >"$work/live" 2>"$work/err" &
consumer=$!
tries=0
until [ -s "$work/live" ] || [ $tries -gt 500 ]; do tries=$((tries + 1)); sleep 0.01; done
kill -INT $consumer
wait $consumer && echo "ok - SIGINT ends a consumer with status 0" || echo "not ok - SIGINT ends a consumer with status 0"

run 0 "perf produces" "$bin/ferry-perf" produce --bootstrap-server "$BROKER" --topic perf --num-records 50000 --record-size 100
has "and tells percentiles" out "p99 "
run 0 "perf consumes" "$bin/ferry-perf" consume --bootstrap-server "$BROKER" --topic perf --num-records 50000
has "all of it" out "50000 records consumed"
run 0 "perf measures latency" "$bin/ferry-perf" latency --bootstrap-server "$BROKER" --topic lat --num-records 200

broker_stop
printf 'x\ny\n' | timeout 30 "$bin/ferry-console-producer" --bootstrap-server "$BROKER" --topic one -X delivery.timeout.ms=600 -X request.timeout.ms=300 -X linger.ms=0 \
    -X max.block.ms=300 >"$work/out" 2>"$work/err"
[ $? -eq 1 ] && echo "ok - undelivered records are a failure" || echo "not ok - undelivered records are a failure"
has "which says how many" err "2 of 2 records were not delivered"
