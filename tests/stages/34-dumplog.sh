# What the log writes, judged by Apache Kafka's own tools, and what Apache Kafka writes, read by the log.
# budget: 110
# quick: no
kafka=$FERRY_TOP/tests/kafka/kafka
files=$FERRY_BUILD/tests/unit/log_files
command -v java >/dev/null || { echo "ok - dumplog # SKIP no java on this machine"; exit 0; }
work=$(mktemp -d)
started=
stop_all() {
    for d in $started; do "$kafka" stop "$d" -9 2>/dev/null; done
    rm -rf "$work"
}
trap stop_all EXIT
trap 'exit 130' INT TERM
KAFKA_VERSION=4.3.1 "$kafka" jars >/dev/null 2>"$work/jars" && KAFKA_VERSION=3.9.2 "$kafka" jars >/dev/null 2>"$work/jars" || {
    echo "ok - dumplog # SKIP $(tail -n 1 "$work/jars")"
    exit 0
}
status=0
check() {  # NAME, then a test command
    name=$1
    shift
    if "$@"; then echo "ok - $name"; else echo "not ok - $name"; status=1; fi
}
join() { tr '\n' ',' | sed 's/,$//'; }
dump() {  # VERSION ARG...
    case $1 in 3.*) class=kafka.tools.DumpLogSegments ;; *) class=org.apache.kafka.tools.DumpLogSegments ;; esac
    KAFKA_VERSION=$1
    export KAFKA_VERSION
    shift
    "$kafka" run $class "$@"
}
# Deep iteration calls a segment's first record out of order unless it is 0; Kafka says so of its own files too.
complaints() {  # OUT ERR
    grep -E 'isvalid: false|invalid bytes|[Mm]ismatch|out of order|does not|failed' "$1" | head -n 5
    grep -vE '^Non-consecutive offsets in |^  -1 is followed by |^\[main\] (INFO|WARN)|^SLF4J' "$2" | head -n 5
}

# ---- ours, judged by Kafka ----
mkdir "$work/ours"
"$files" write "$work/ours" >"$work/written" || { echo "not ok - logs are written"; exit 1; }
for version in 4.3.1 3.9.2; do
    while read -r log records end; do
        dump $version --files "$(ls "$work/ours/$log"/*.log | join)" --deep-iteration --print-data-log \
            >"$work/out" 2>"$work/err"
        bad=$(complaints "$work/out" "$work/err")
        [ -z "$bad" ] || echo "$bad" | sed 's/^/# /'
        seen=$(grep -c '^| offset: ' "$work/out")
        check "Kafka $version reads $log, $seen of $records records" [ "$seen" -eq "$records" ] && [ -z "$bad" ] ||
            { echo "not ok - Kafka $version complains about $log"; status=1; }
        [ $version = 4.3.1 ] || break
    done <"$work/written"
    indexes=$(ls "$work"/ours/*-0/*.index "$work"/ours/*-0/*.timeindex)
    dump $version --files "$(echo "$indexes" | join)" --index-sanity-check >"$work/out" 2>"$work/err"
    check "Kafka $version finds $(echo "$indexes" | wc -l) index files sane" \
        [ "$(grep -c 'passed sanity check' "$work/out")" -eq "$(echo "$indexes" | wc -l)" ]
    dump $version --files "$(echo "$indexes" | join)" --verify-index-only >"$work/out" 2>"$work/err"
    bad=$(complaints "$work/out" "$work/err"; grep -vE '^Dumping' "$work/out" | head -n 5)
    [ -z "$bad" ] || echo "$bad" | sed 's/^/# /'
    check "Kafka $version finds every index entry right" [ -z "$bad" ]
    snapshots=$(ls "$work"/ours/*-0/*.snapshot)
    dump $version --files "$(echo "$snapshots" | join)" >"$work/out" 2>"$work/err"
    bad=$(complaints "$work/out" "$work/err")
    [ -z "$bad" ] || echo "$bad" | sed 's/^/# /'
    check "Kafka $version reads the producer snapshots" [ -z "$bad" ] && grep -q '^producerId: 102 ' "$work/out" ||
        { echo "not ok - a snapshot lacks its producer"; status=1; }
done

# ---- Kafka's, read by ours ----
produce() {  # VERSION ADDRESS RECORDS CODEC
    KAFKA_VERSION=$1 "$kafka" run org.apache.kafka.tools.ProducerPerformance --topic real --num-records "$3" \
        --record-size 100 --throughput -1 --producer-props bootstrap.servers="$2" acks=all batch.size=4000 linger.ms=1 \
        compression.type="$4" >/dev/null 2>&1
}
begin() {  # VERSION DIR
    address=$(KAFKA_VERSION=$1 "$kafka" start "$2") || return 1
    started="$started $2"
    KAFKA_VERSION=$1 "$kafka" run org.apache.kafka.tools.TopicCommand --bootstrap-server "$address" --create \
        --topic real --partitions 1 --config segment.bytes=1048576 >/dev/null 2>&1
    produce "$1" "$address" 30000 none && produce "$1" "$address" 10000 zstd && produce "$1" "$address" 10000 gzip
}
read_back() {  # NAME DIR CLEAN END
    "$files" read "$2" >"$work/read" 2>&1
    want="clean $3 real-0 start 0 end $4 records $4 wrong 0 errors 0"
    seen=$(sed -n 's/^clean/clean/p; /^real-0 /p; s/^warnings.* errors/errors/p' "$work/read" | tr '\n' ' ' | sed 's/ $//')
    [ "$seen" = "$want" ] || sed 's/^/# /' "$work/read"
    check "$1" [ "$seen" = "$want" ]
}
k=$work/k4
begin 4.3.1 "$k" || { echo "not ok - Kafka 4.3.1 starts and takes records"; exit 1; }
java -Xshare:auto -XX:TieredStopAtLevel=1 -cp "$(KAFKA_VERSION=4.3.1 "$kafka" jars)/*" "$FERRY_TOP/tests/kafka/Configs.java" \
    "$address" 2>"$work/err" | diff - "$FERRY_TOP/tests/vectors/topic_configs.txt" >"$work/out"
sed 's/^/# /' "$work/out" | head -n 10
check "the vector of topic settings is Kafka's" [ ! -s "$work/out" ]
export KAFKA_VERSION=4.3.1
"$kafka" stop "$k"
read_back "a log of Kafka 4.3.1 after a clean stop" "$k/data" 1 50000
mkdir "$work/extended"
end=$("$files" extend "$k/data" "$work/extended" real)
check "the log goes on where Kafka stopped" [ "$end" = 110000 ]
cp "$k/data/meta.properties" "$work/meta.properties"
rm -rf "$k/data"
mv "$work/extended" "$k/data"
if address=$("$kafka" restart "$k"); then
    seen=$("$kafka" run org.apache.kafka.tools.consumer.ConsoleConsumer --bootstrap-server "$address" --topic real \
        --from-beginning --max-messages 110000 --timeout-ms 20000 2>/dev/null | LC_ALL=C tr -dc '\n' | wc -c)
    # values hold any byte, newlines too
    check "Kafka goes on where the log stopped, and serves all records" [ "$seen" -ge 110000 ]
    produce 4.3.1 "$address" 10000 snappy
    bad=$(grep -iE 'corrupt|truncat|ERROR' "$k/server.log" | head -n 5)
    [ -z "$bad" ] || echo "$bad" | sed 's/^/# /'
    check "Kafka has nothing to say about it" [ -z "$bad" ]
    "$kafka" stop "$k" -9
    read_back "a log of Kafka 4.3.1 and ours after SIGKILL" "$k/data" 0 120000
else
    echo "not ok - Kafka starts on a data directory that the log has written to"
    status=1
fi
k=$work/k3
begin 3.9.2 "$k" || { echo "not ok - Kafka 3.9.2 starts and takes records"; exit 1; }
KAFKA_VERSION=3.9.2 "$kafka" stop "$k" -9
read_back "a log of Kafka 3.9.2 after SIGKILL" "$k/data" 0 50000
exit $status
