# Our partitioners against Java's own classes and the real librdkafka, on 12,000 keys and 3,000 queue lengths.
# budget: 15
# quick: yes
set -u
cd "$FERRY_TOP" || exit 1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
here=tests/interop/partitioners
make -s -C "$FERRY_BUILD" tests/interop/partitioners/ours >"$work/make.log" 2>&1 || { cat "$work/make.log"; exit 1; }
ours=$FERRY_BUILD/tests/interop/partitioners/ours
python3 $here/keys.py >"$work/keys"

same() {  # NAME PEER OURS
    lines=$(wc -l <"$2")
    if [ "$lines" -lt 10000 ]; then
        echo "not ok - $1: the peer gave only $lines lines"
    elif diff "$2" "$3" >"$work/diff"; then
        echo "ok - $1: $lines lines are equal"
    else
        echo "not ok - $1"
        head -n 10 "$work/diff" | sed 's/^/# /'
    fi
}

jars=${KAFKA_JARS:-$HOME/.cache/kafka-jars}/4.3.1
if ! command -v javac >/dev/null; then
    echo "ok - partitioners against Java # SKIP no javac"
elif [ ! -e "$jars/.complete" ] && ! command -v mvn >/dev/null; then
    echo "ok - partitioners against Java # SKIP no jars of Apache Kafka in $jars and no mvn to fetch them"
else
    [ -e "$jars/.complete" ] || KAFKA_VERSION=4.3.1 sh tests/kafka/kafka jars >/dev/null
    javac -cp "$jars/*" -d "$work" $here/Partitions.java &&
        java -Xshare:auto -XX:TieredStopAtLevel=1 -cp "$work:$jars/*" \
            org.apache.kafka.clients.producer.internals.Partitions <"$work/keys" >"$work/java" 2>"$work/java.err"
    "$ours" java <"$work/keys" >"$work/ours.java"
    same "partitioners against Java" "$work/java" "$work/ours.java"
    [ ! -s "$work/java.err" ] || sed 's/^/# /' "$work/java.err" | head -n 10
fi

# FERRY_RDKAFKA names the library; else the newest that was fetched for the benchmarks, else the system's.
lib=${FERRY_RDKAFKA:-}
for f in "$HOME"/.cache/ferry-peers/*/confluent_kafka.libs/librdkafka*.so* /usr/lib/*/librdkafka.so.1 /usr/local/lib/librdkafka.so.1; do
    [ -n "$lib" ] || { [ -e "$f" ] && lib=$f; }
done
if [ -z "$lib" ]; then
    echo "ok - partitioners against librdkafka # SKIP no librdkafka (Debian: librdkafka1)"
else
    cc -O1 -o "$work/rdkafka" $here/rdkafka.c -ldl && "$work/rdkafka" "$lib" <"$work/keys" >"$work/rdkafka.out"
    "$ours" rdkafka <"$work/keys" >"$work/ours.rdkafka"
    same "partitioners against librdkafka ($(basename "$lib"))" "$work/rdkafka.out" "$work/ours.rdkafka"
fi
exit 0
