# Every kind of admin call through the public API: on refbroker, and on Apache Kafka 4.3.1 and 3.9.2.
# budget: 60
# quick: no
set -u
. "$FERRY_TOP/tests/lib/broker.sh"
kafka=$FERRY_TOP/tests/kafka/kafka

check() {  # WHERE ADDRESS
    timeout 120 "$FERRY_BUILD/tests/e2e/admin" "$2" >"$BROKER_DIR/out" 2>&1
    status=$?
    sed -n "s/^\(not \)*ok [0-9]* - \(.*\)/\1ok - admin on $1: \2/p; /^#/p" "$BROKER_DIR/out"
    [ $status -le 1 ] || { echo "not ok - admin on $1 ended badly ($status)"; tail -n 20 "$BROKER_DIR/out"; }
}

broker_start || exit 1
check refbroker "$BROKER"
if [ -n "${FERRY_SANITIZED:-}" ] || ! command -v java >/dev/null || ! command -v mvn >/dev/null; then
    echo "ok - admin on Apache Kafka # SKIP needs java and mvn, and no sanitizer"
    exit 0
fi
for version in 4.3.1 3.9.2; do
    address=$(KAFKA_VERSION=$version KAFKA_HEAP=256m timeout 120 "$kafka" start "$BROKER_DIR/kafka-$version" 2>"$BROKER_DIR/log") || {
        echo "ok - admin on Apache Kafka $version # SKIP it could not be started"
        continue
    }
    check "Apache Kafka $version" "$address"
    KAFKA_VERSION=$version "$kafka" stop "$BROKER_DIR/kafka-$version" >/dev/null 2>&1
done
