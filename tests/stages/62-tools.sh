# The console tools on refbroker: both spellings of flags, exit codes, formats, JSON, signals, closed pipes, failures.
# That their flags and tables are those of Kafka's own tools is 64-tools-as-kafkas's matter.
# budget: 20
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

topics() { echo "$bin/ferry-topics --bootstrap-server $BROKER"; }
run 0 "topics are created" $(topics) --create --topic one,two --partitions 1
same "which it says" "Created topic one.
Created topic two."
run 1 "a topic is not created twice" $(topics) --create --topic one
has "which says why" err TOPIC_ALREADY_EXISTS
run 0 "unless asked to let it be" $(topics) --create --topic one --if-not-exists
run 0 "replicas can be assigned" $(topics) --create --topic placed --replica-assignment 1,1
run 0 "and those of new partitions" $(topics) --alter --topic placed --partitions 3 --replica-assignment 1,1,1
run 0 "topics are listed" $(topics) --list --exclude-internal
same "by name" "one
placed
two"
run 0 "a list can be narrowed" $(topics) --list --topic 't.*|pl(?:aced)'
same "by an expression" "placed
two"
run 2 "a wrong expression is refused" $(topics) --list --topic '(t'
run 0 "partitions and settings are altered" $(topics) --alter --topic two --partitions 3 --config retention.ms=1000 --config segment.ms=5000
run 0 "settings are taken back" $(topics) --alter --topic two --delete-config segment.ms
run 0 "a topic is described" $(topics) --describe --topic two
id=$(sed -n 's/.*TopicId: \([^	]*\)	.*/\1/p' "$work/out")
same "with its partitions and settings" "Topic: two${tab}TopicId: $id${tab}PartitionCount: 3${tab}ReplicationFactor: 1${tab}Configs: retention.ms=1000
${tab}Topic: two${tab}Partition: 0${tab}Leader: 1${tab}Replicas: 1${tab}Isr: 1${tab}Elr: N/A${tab}LastKnownElr: N/A
${tab}Topic: two${tab}Partition: 1${tab}Leader: 1${tab}Replicas: 1${tab}Isr: 1${tab}Elr: N/A${tab}LastKnownElr: N/A
${tab}Topic: two${tab}Partition: 2${tab}Leader: 1${tab}Replicas: 1${tab}Isr: 1${tab}Elr: N/A${tab}LastKnownElr: N/A"
run 0 "a topic is found by its id" $(topics) --describe --topic-id "$id" --partition-size-limit-per-response 10
has "that one" out "Topic: two"
run 0 "topics with settings of their own" $(topics) --describe --topics-with-overrides
[ "$(cut -f 1 "$work/out")" = "Topic: two" ] && echo "ok - are described alone" || { echo "not ok - are described alone"; cat "$work/out"; }
for filter in under-replicated-partitions under-min-isr-partitions unavailable-partitions; do
    run 0 "--$filter" $(topics) --describe --$filter
    same "finds none here" ""
done
run 0 "--at-min-isr-partitions" $(topics) --describe --at-min-isr-partitions --topic one
has "finds what has one replica" out "Partition: 0"
run 1 "a topic that is not there is not described" $(topics) --describe --topic one,nope
has "which is said" err "topic 'nope' does not exist"
run 0 "unless asked to let it be" $(topics) --describe --topic nope --if-exists
run 0 "a topic is deleted" $(topics) --delete --topic two
run 1 "and not twice" $(topics) --delete --topic two
run 0 "unless asked to let it be" $(topics) --delete --topic two --if-exists
run 0 "a dot in a name is a dot" $(topics) --create --topic a.b,axb
run 0 "so a.b is deleted" $(topics) --delete --topic a.b
run 0 "and axb" $(topics) --list --topic axb
same "stays" "axb"
$(topics) --list | head -n 0
run 0 "no action is left out of the help" "$bin/ferry-topics" --help
run 2 "two actions at once are refused" $(topics) --list --describe

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
printf 'parse.key : true\n# no comment is read\nkey.separator = \\\n   \\t\nnull.marker=\\u004eIL\n' >"$work/reader.properties"
send "a reader is set up by a file" "k${tab}NIL\n" --topic keyed --reader-config "$work/reader.properties"
printf 'print.key=true\nkey.separator=\\u0020->\\ \nprint.value=false\n' >"$work/formatter.properties"
run 0 "a formatter too" "$bin/ferry-console-consumer" --bootstrap-server "$BROKER" --topic keyed --partition 0 --offset 2 --max-messages 1 --formatter-config "$work/formatter.properties" --property print.value=true --property print.delivery=true
same "but the command line wins" "Delivery:NOT_PRESENT -> k -> null"
send "errors in lines can be ignored" "a${tab}no key\nb:1${tab}k|v\nnothing\n" --topic lenient --property parse.key=true --property key.separator='|' \
    --property parse.headers=true --property ignore.error=true
read_all lenient --max-messages 3 --property print.key=true --property print.headers=true --property print.epoch=true
same "what is there is taken" "Epoch:0${tab}a:null${tab}null${tab}no key
Epoch:0${tab}b:1${tab}k${tab}v
Epoch:0${tab}NO_HEADERS${tab}null${tab}nothing"
run 2 "an unknown property is refused" "$bin/ferry-console-producer" --bootstrap-server "$BROKER" --topic one --property parse.keys=true
send "every setting has its flag" 'x\n' --topic flags --sync --compression-codec --batch-size 1000 --max-partition-memory-bytes 2000 --max-memory-bytes 1000000 \
    --request-required-acks -1 --request-timeout-ms 3000 --retry-backoff-ms 50 --timeout 1 --max-block-ms 3000 --message-send-max-retries 7 \
    --metadata-expiry-ms 60000 --socket-buffer-size 65536 --line-reader org.apache.kafka.tools.LineMessageReader --command-property client.id=a \
    --producer-property client.id=b
run 2 "another line reader is refused" "$bin/ferry-console-producer" --bootstrap-server "$BROKER" --topic one --line-reader com.example.Reader
printf 'acks=1\nlinger.ms=0\n' >"$work/client.properties"
send "client settings come from a file" 'y\n' --topic flags --producer.config "$work/client.properties"
printf 'lingr.ms=0\n' >"$work/wrong.properties"
run 2 "a wrong one is refused" "$bin/ferry-console-consumer" --bootstrap-server "$BROKER" --topic one --consumer.config "$work/wrong.properties"
has "with its line" err "line 1"
read_all flags --max-messages 2 --isolation-level read_committed --enable-systest-events --command-config "$work/client.properties"
same "all of it" "x
y
shutdown_complete"
send "numbers in binary" '{"key":{"base64":"AAAAAAAAAAc="},"value":{"base64":"/////g=="}}\n{"key":"odd"}\n' --topic numbers --json
read_all numbers --max-messages 1 --property print.key=true --key-deserializer org.apache.kafka.common.serialization.LongDeserializer \
    --formatter-property value.deserializer=org.apache.kafka.common.serialization.IntegerDeserializer
same "are read as Java's" "7${tab}-2"
run 1 "what is none ends the consumer" "$bin/ferry-console-consumer" --bootstrap-server "$BROKER" --topic numbers --partition 0 --offset 1 --timeout-ms 300 \
    --property print.key=true --key-deserializer org.apache.kafka.common.serialization.LongDeserializer
has "and is named" err "numbers-0 at offset 1: a Long has 8 bytes"
run 0 "or is passed over" "$bin/ferry-console-consumer" --bootstrap-server "$BROKER" --topic numbers --partition 0 --offset 1 --timeout-ms 300 \
    --property print.key=true --key-deserializer org.apache.kafka.common.serialization.LongDeserializer --skip-message-on-error
for wrong in "--formatter com.example.F" "--key-deserializer com.example.D" "--offset 3" "--partition 0 --group g" "--include o.*" "--property print.keys=true"; do
    run 2 "$wrong is refused" "$bin/ferry-console-consumer" --bootstrap-server "$BROKER" --topic one $wrong
done
run 0 "a formatter may be silent" "$bin/ferry-console-consumer" --bootstrap-server "$BROKER" --topic one --partition 0 --offset earliest --max-messages 4 \
    --formatter org.apache.kafka.tools.consumer.NoOpMessageFormatter
same "it prints nothing" ""
has "but counts" err "total of 4 messages"
run 0 "topics are read by expression" "$bin/ferry-console-consumer" --bootstrap-server "$BROKER" --include 'fla.*|num\w+' --from-beginning --max-messages 4 \
    -X metadata.max.age.ms=1000
sort "$work/out" >"$work/sorted" && grep -qx x "$work/sorted" && grep -qx null "$work/sorted" && echo "ok - from both" || { echo "not ok - from both"; cat "$work/out"; }
send "JSON is sent" '{"key":"k","value":{"base64":"AP8="},"headers":[["n","v"]],"timestamp":5}\n{"value":"text \\u00e9"}\n' --topic json --json
read_all json --max-messages 2 --json
has "and read: binary as base64" out '"value":{"base64":"AP8="}'
has "headers" out '"headers":[["n","v"]]'
has "timestamps" out '"timestamp":5'
cp "$work/out" "$work/json"
printf '{"vlaue":"x"}\n' | "$bin/ferry-console-producer" --bootstrap-server "$BROKER" --topic json --json 2>"$work/err"
[ $? -eq 1 ] && echo "ok - an unknown key in JSON is a failure" || echo "not ok - an unknown key in JSON is a failure"
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
groups() { echo "$bin/ferry-groups --bootstrap-server $BROKER"; }
offsets() { # WHAT WANT ARGUMENT...: a dry run says this new offset of partition 0
    what=$1
    goal=$2
    shift 2
    run 0 "reset $what" $(groups) --reset-offsets --group g --topic c-none:0 --dry-run --export "$@"
    same "goes to $goal" "c-none,0,$goal"
}
offsets --to-earliest 0 --to-earliest
offsets --to-latest 20000 --to-latest
offsets --to-current 20000 --to-current
offsets --to-offset 77 --to-offset 77
offsets "--to-offset outside the log" 20000 --to-offset 99999
offsets --shift-by 19000 --shift-by -1000
offsets --by-duration 0 --by-duration P1DT1H
offsets "--to-datetime in the past" 0 --to-datetime 2001-02-03T04:05:06.789
offsets "--to-datetime in the future" 20000 --to-datetime 2901-02-03T04:05:06+02:00
printf 'c-none,0,123\n' >"$work/plan.csv"
run 0 "reset --from-file" $(groups) --reset-offsets --group g --from-file "$work/plan.csv" --execute
same "says what it did" "
GROUP           TOPIC           PARTITION  NEW-OFFSET
g               c-none          0          123"
run 0 "which holds" $(groups) --describe --all-groups --offsets --verbose
awk '$2 == "c-none" && $5 == 123 && $7 == 19877 {found = 1} END {exit !found}' "$work/out" && echo "ok - as committed" || { echo "not ok - as committed"; cat "$work/out"; }
printf 'c-none,0\n' >"$work/plan.csv"
run 2 "a wrong file is refused" $(groups) --reset-offsets --group g --from-file "$work/plan.csv" --execute
run 0 "its offsets are reset" $(groups) --reset-offsets --group g --all-topics --to-offset 19990 --execute
run 0 "and it reads from there" "$bin/ferry-console-consumer" --bootstrap-server "$BROKER" --topic c-none --group g --max-messages 10
has "from the right record" out 19991
run 0 "offsets are deleted" $(groups) --delete-offsets --group g --topic c-none
has "one by one" out "c-none          0          Successful"
run 0 "groups are listed by state and type" $(groups) --list --state empty --type classic
has "with both" out "g                         Classic              Empty               "
run 2 "a state there is not is refused" $(groups) --list --state emty
run 2 "what cannot be had is refused" $(groups) --validate-regex 'a.*'
has "with the reason" err RE2
run 0 "the group is deleted" $(groups) --delete --group g
same "which it says" "Deletion of requested consumer groups ('g') was successful."
run 1 "and not twice" $(groups) --delete --group g --timeout 5000
run 1 "a group that is not there is not described" $(groups) --describe --group nobody
run 0 "quiet for --timeout-ms ends a consumer" "$bin/ferry-console-consumer" --bootstrap-server "$BROKER" --topic one --timeout-ms 300

"$bin/ferry-console-consumer" --bootstrap-server "$BROKER" --topic c-none --partition 0 --offset earliest 2>"$work/err" | head -n 5 >"$work/out"
[ "$(wc -l <"$work/out")" -eq 5 ] && echo "ok - a closed pipe ends a consumer" || echo "not ok - a closed pipe ends a consumer"
for command in "ferry-topics --describe" "ferry-groups --describe --all-groups" "ferry-perf consume --topic one --num-records 1"; do
    { timeout 20 "$bin/"$command --bootstrap-server "$BROKER" 2>"$work/err"; echo $? >"$work/status"; } | true
    [ "$(cat "$work/status")" -eq 0 ] && ! grep -qi pipe "$work/err" && echo "ok - $command does not mind a closed pipe" ||
        { echo "not ok - $command does not mind a closed pipe"; cat "$work/status" "$work/err"; }
done
"$bin/ferry-topics" --bootstrap-server "$BROKER" --list >/dev/full 2>"$work/err"
[ $? -eq 1 ] && echo "ok - output that cannot be written is a failure" || echo "not ok - output that cannot be written is a failure"
await() { # COMMAND...: until it succeeds, ten seconds at most
    tries=0
    until "$@" 2>/dev/null || [ $tries -gt 500 ]; do tries=$((tries + 1)); sleep 0.02; done
}
ended() { # PID: waits, ten seconds at most, and gives its status
    tries=0
    while kill -0 "$1" 2>/dev/null; do
        tries=$((tries + 1))
        [ $tries -le 500 ] || { kill -9 "$1"; break; }
        sleep 0.02
    done
    wait "$1"
}
for signal in INT TERM; do
    rm -f "$work/live"
    "$bin/ferry-console-consumer" --bootstrap-server "$BROKER" --topic one --group sig$signal --from-beginning -X client.id=cli >"$work/live" 2>"$work/err" &
    consumer=$!
    await test -s "$work/live"
    if [ $signal = INT ]; then
        run 0 "members are described" $(groups) --describe --group sigINT --members --verbose
        grep -q '^sigINT  *cli-[-0-9a-f]*  *[^ ]*127.0.0.1  *cli  *1  *-  *one:0  *-  *- *$' "$work/out" && echo "ok - with what they have" || { echo "not ok - with what they have"; cat "$work/out"; }
        run 0 "its state too" $(groups) --describe --group sigINT --state
        has "with its coordinator" out "$BROKER  (1)"
        run 1 "a group with members is not reset" $(groups) --reset-offsets --group sigINT --topic one --to-earliest --execute
        has "which is said" err "the current state is Stable"
    fi
    kill -$signal $consumer
    ended $consumer && echo "ok - SIG$signal ends a consumer with status 0" || echo "not ok - SIG$signal ends a consumer with status 0"
    has "which counts" err "Processed a total of 4 messages"
    run 0 "what it printed" $(groups) --describe --group sig$signal
    awk '$2 == "one" && $4 == 4 && $6 == 0 {found = 1} END {exit !found}' "$work/out" && echo "ok - is committed" || { echo "not ok - is committed"; cat "$work/out"; }
done
mkfifo "$work/pipe"
"$bin/ferry-console-producer" --bootstrap-server "$BROKER" --topic cut -X linger.ms=60000 <"$work/pipe" >"$work/out" 2>"$work/err" &
producer=$!
exec 7>"$work/pipe"
echo "before the signal" >&7
is_read() { python3 -c 'import array, fcntl, termios; n = array.array("i", [0]); fcntl.ioctl(7, termios.FIONREAD, n); exit(n[0] != 0)'; }
await is_read
kill -INT $producer
ended $producer && echo "ok - SIGINT ends a producer with status 0" || { echo "not ok - SIGINT ends a producer with status 0"; cat "$work/err"; }
exec 7>&-
read_all cut --max-messages 1
same "what it had read is delivered" "before the signal"

run 0 "perf produces" "$bin/ferry-perf" produce --bootstrap-server "$BROKER" --topic perf --num-records 50000 --record-size 100
has "and tells percentiles" out "p99 "
run 0 "perf consumes" "$bin/ferry-perf" consume --bootstrap-server "$BROKER" --topic perf --num-records 50000
has "all of it" out "50000 records consumed"
[ ! -s "$work/err" ] && echo "ok - no progress line but on a terminal" || { echo "not ok - no progress line but on a terminal"; cat "$work/err"; }
run 0 "perf consumes in a group" "$bin/ferry-perf" consume --bootstrap-server "$BROKER" --topic perf --num-records 50000 --group perf
run 0 "perf measures latency" "$bin/ferry-perf" latency --bootstrap-server "$BROKER" --topic lat --num-records 200
for percentile in p50 p95 p99 p99.9 max; do has "with its $percentile" out "$percentile "; done
python3 - "$bin/ferry-perf" "$BROKER" <<'END' && echo "ok - a progress line on a terminal" || echo "not ok - a progress line on a terminal"
import os, pty, subprocess, sys
master, terminal = pty.openpty()
command = [sys.argv[1], "produce", "--bootstrap-server", sys.argv[2], "--topic", "perf", "--num-records", "3000", "--throughput", "2000"]
p = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=terminal)
os.close(terminal)
out, shown = p.stdout.read(), b""
while True:
    try:
        more = os.read(master, 4096)
    except OSError:
        break
    if not more:
        break
    shown += more
sys.exit(0 if p.wait() == 0 and b"records/s" in shown and b"\r" in shown and b"3000 records produced" in out else 1)
END
"$bin/ferry-perf" consume --bootstrap-server "$BROKER" --topic perf --num-records 60000 >"$work/out" 2>"$work/err" &
perf=$!
await grep -q '^SigCgt:.*[2367abef]$' /proc/$perf/status
kill -INT $perf
begin=$(date +%s)
ended $perf
[ $? -eq 1 ] && [ $(($(date +%s) - begin)) -le 3 ] && echo "ok - SIGINT ends perf at once" || echo "not ok - SIGINT ends perf at once"
has "which tells what it measured" out "records consumed"

broker_stop
printf 'x\ny\n' | timeout 30 "$bin/ferry-console-producer" --bootstrap-server "$BROKER" --topic one -X delivery.timeout.ms=600 -X request.timeout.ms=300 -X linger.ms=0 \
    -X max.block.ms=300 >"$work/out" 2>"$work/err"
[ $? -eq 1 ] && echo "ok - undelivered records are a failure" || echo "not ok - undelivered records are a failure"
has "which says how many" err "2 of 2 records were not delivered"
