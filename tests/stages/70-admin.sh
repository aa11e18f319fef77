# Every kind of admin call, and the consumer, through the public API: on refbroker, and on Apache Kafka 4.3.1 and 3.9.2, at
# the same time.
# budget: 50
# quick: no
set -u
. "$FERRY_TOP/tests/lib/broker.sh"
kafka=$FERRY_TOP/tests/kafka/kafka

check() {  # WHERE ADDRESS DIR
    for program in e2e/admin unit/test_api_consumer; do
        what=${program##*[/_]}
        timeout 120 "$FERRY_BUILD/tests/$program" "$2" >"$3/out" 2>"$3/err"
        status=$?
        sed -n "s/^\(not \)*ok [0-9]* - \(.*\)/\1ok - $what on $1: \2/p; /^#/p" "$3/out"
        [ $status -eq 0 ] || grep -q '^not ok' "$3/out" || {
            echo "not ok - $what on $1 ended badly ($status)"
            tail -n 20 "$3/out" "$3/err" | sed 's/^/# /'
        }
    done
}

on_kafka() {  # VERSION
    dir=$BROKER_DIR/$1
    mkdir -p "$dir"
    export KAFKA_VERSION=$1 KAFKA_HEAP=256m
    address=$(timeout 120 "$kafka" start "$dir/kafka" group.min.session.timeout.ms=100 2>"$dir/log") || {
        echo "ok - admin and consumer on Apache Kafka $1 # SKIP it could not be started"
        return
    }
    check "Apache Kafka $1" "$address" "$dir"
    "$kafka" stop "$dir/kafka" >/dev/null 2>&1
}

make -s -C "$FERRY_BUILD" tests/unit/test_api_consumer >"$BROKER_DIR/make" 2>&1 || { cat "$BROKER_DIR/make"; exit 1; }
if [ -n "${FERRY_SANITIZED:-}" ] || ! command -v java >/dev/null || ! command -v mvn >/dev/null; then
    echo "ok - admin and consumer on Apache Kafka # SKIP needs java and mvn, and no sanitizer"
else
    for version in 4.3.1 3.9.2; do
        (trap - EXIT; on_kafka $version) >"$BROKER_DIR/$version.tap" 2>&1 &
    done
fi
broker_start -X group.min.session.timeout.ms=100 || { wait; exit 1; }
mkdir -p "$BROKER_DIR/ours"
check refbroker "$BROKER" "$BROKER_DIR/ours"
broker_stop
wait
cat "$BROKER_DIR"/*.tap 2>/dev/null
exit 0
