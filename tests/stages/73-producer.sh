# The producer against brokers: every codec and acks, and restarts in the middle of a run, after which nothing is lost, doubled or
# out of order. On refbroker (killed with SIGKILL, flushing every record) and on Apache Kafka 4.3.1 and 3.9.2.
# budget: 110
# quick: no
set -u
. "$FERRY_TOP/tests/lib/broker.sh"
kafka=$FERRY_TOP/tests/kafka/kafka
program=$FERRY_BUILD/tests/e2e/producer
out=$BROKER_DIR/out

judge() {  # NAME STATUS: what the program said, as a test
    if [ "$2" -eq 0 ]; then
        echo "ok - $1: $(tail -n 1 "$out")"
    else
        echo "not ok - $1 (exit status $2)"
        tail -n 10 "$out" | sed 's/^/# /'
    fi
}

round_trip() {  # WHERE ADDRESS TOPIC once|most [SETTING...]
    where=$1 address=$2 topic=$3 how=$4
    shift 4
    timeout 60 "$program" send "$address" "$topic" 0 20000 0 "$@" >"$out" 2>&1 &&
        timeout 60 "$program" check "$address" "$topic" 20000 "$how" >>"$out" 2>&1
    judge "$where, ${*:-defaults}" $?
}

codecs_and_acks() {  # WHERE ADDRESS
    for codec in none gzip snappy lz4 zstd; do
        round_trip "$1" "$2" "codec-$codec" once compression.type=$codec linger.ms=20 batch.size=50000
    done
    round_trip "$1" "$2" acks-1 once acks=1
    round_trip "$1" "$2" acks-0 most acks=0
    round_trip "$1" "$2" no-linger once linger.ms=0
}

# Batches above the topic's limit are cut until they fit.
too_large() {  # WHERE ADDRESS
    "$FERRY_BUILD/ferry-topics" --bootstrap-server "$2" --create --topic narrow --partitions 3 --config max.message.bytes=20000 \
        >"$out" 2>&1 || { judge "$1, a topic with a limit" 1; return; }
    timeout 60 "$program" send "$2" narrow 0 20000 0 linger.ms=20 batch.size=200000 >"$out" 2>&1 &&
        grep -q 'splits=[1-9]' "$out" && timeout 60 "$program" check "$2" narrow 20000 once >>"$out" 2>&1
    judge "$1, batches above max.message.bytes are split" $?
}

restart_refbroker() {
    broker_stop KILL
    broker_start -X log.flush.interval.messages=1 >/dev/null
}

# WHERE ADDRESS RESTART-COMMAND...: 40,000 records in 8 seconds, a restart after 2 and after 5.
restarts() {
    where=$1 address=$2
    shift 2
    timeout 100 "$program" send "$address" restarted 0 40000 8 linger.ms=2 batch.size=2000 \
        reconnect.backoff.ms=20 reconnect.backoff.max.ms=200 >"$out" 2>&1 &
    sender=$!
    sleep 2
    "$@"
    sleep 2
    "$@"
    wait $sender
    status=$?
    sent=$(tail -n 1 "$out")
    [ $status -eq 0 ] && timeout 60 "$program" check "$address" restarted 40000 once >>"$out" 2>&1
    status=$?
    echo "# $sent"
    judge "$where, restarted twice while records are sent" $status
}

broker_start -X log.flush.interval.messages=1 || exit 1
codecs_and_acks refbroker "$BROKER"
too_large refbroker "$BROKER"
restarts refbroker "$BROKER" restart_refbroker
broker_stop
if [ -n "${FERRY_SANITIZED:-}" ] || ! command -v java >/dev/null || ! command -v mvn >/dev/null; then
    echo "ok - the producer on Apache Kafka # SKIP needs java and mvn, and no sanitizer"
    exit 0
fi
restart_kafka() {
    "$kafka" stop "$data" >/dev/null 2>&1
    "$kafka" restart "$data" >/dev/null 2>&1
}
for version in 4.3.1 3.9.2; do
    KAFKA_VERSION=$version KAFKA_HEAP=256m
    export KAFKA_VERSION KAFKA_HEAP
    data=$BROKER_DIR/kafka-$version
    address=$(timeout 120 "$kafka" start "$data" num.partitions=3 2>"$BROKER_DIR/log") || {
        echo "ok - the producer on Apache Kafka $version # SKIP it could not be started"
        continue
    }
    codecs_and_acks "Apache Kafka $version" "$address"
    too_large "Apache Kafka $version" "$address"
    [ $version = 3.9.2 ] || restarts "Apache Kafka $version" "$address" restart_kafka
    "$kafka" stop "$data" >/dev/null 2>&1
done
