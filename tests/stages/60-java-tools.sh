# refbroker with Kafka's own programs, 4.3.1 and 3.9.2: topics, configs, console tools, groups, offsets, perf, verifiable
# clients; and DumpLogSegments reads what is on disk.
# budget: 100
# quick: no
kafka=$FERRY_TOP/tests/kafka/kafka
export KAFKA_HEAP=256m KAFKA_TIER=1
command -v java >/dev/null || { echo "ok - Kafka's programs on refbroker # SKIP no JVM"; exit 0; }
for version in 4.3.1 3.9.2; do
    KAFKA_VERSION=$version sh "$kafka" jars >/dev/null 2>&1 ||
        { echo "ok - Kafka's programs on refbroker # SKIP Kafka's jars ($version) cannot be had"; exit 0; }
done
. "$FERRY_TOP/tests/lib/broker.sh"
dir=$BROKER_DIR
failed=0

check() {  # NAME STATUS
    if [ "$2" -eq 0 ]; then
        echo "ok - $KAFKA_VERSION: $1"
    else
        echo "not ok - $KAFKA_VERSION: $1"
        sed 's/^/# /' "$dir/got" | tail -n 5
        failed=1
    fi
}

# Reads jt with the console consumer, in the group jg: are it the lines produced?
reads_all() {  # [ARGUMENT...]
    timeout 60 sh "$kafka" run $consumer --bootstrap-server "$BROKER" --topic jt --group jg --max-messages 5000 \
        --timeout-ms 20000 "$@" 2>"$dir/got" | sort -n | cmp -s - "$dir/in"
}

# Runs a tool; its whole output goes to $dir/got.
tool() {  # CLASS ARGUMENT...
    timeout 60 sh "$kafka" run "$@" >"$dir/got" 2>&1
}

has() {  # PATTERN...: all of them are in the output
    for pattern in "$@"; do grep -q -- "$pattern" "$dir/got" || return 1; done
}

tools_of() {  # VERSION
    export KAFKA_VERSION=$1
    t=org.apache.kafka.tools
    producer=$t.ConsoleProducer dump=$t.DumpLogSegments
    case $1 in 3.*) producer=kafka.tools.ConsoleProducer dump=kafka.tools.DumpLogSegments ;; esac
    consumer=$t.consumer.ConsoleConsumer groups=$t.consumer.group.ConsumerGroupCommand
    configs=kafka.admin.ConfigCommand
}

topics_and_configs() {
    tool $t.TopicCommand --bootstrap-server "$BROKER" --create --topic jt --partitions 3 --config retention.ms=100000 &&
        has 'Created topic jt'
    check "TopicCommand creates" $?
    tool $t.TopicCommand --bootstrap-server "$BROKER" --create --topic jt
    has "Topic 'jt' already exists"
    check "TopicCommand is told of a topic that exists" $?
    tool $t.TopicCommand --bootstrap-server "$BROKER" --alter --topic jt --partitions 5 &&
        tool $t.TopicCommand --bootstrap-server "$BROKER" --describe --topic jt &&
        has 'PartitionCount: 5' 'Configs: .*retention.ms=100000' 'Partition: 4.*Leader: 1.*Isr: 1'
    check "TopicCommand adds partitions and describes" $?
    tool $configs --bootstrap-server "$BROKER" --alter --topic jt --add-config cleanup.policy=compact,max.message.bytes=2000000 &&
        tool $configs --bootstrap-server "$BROKER" --alter --topic jt --delete-config cleanup.policy &&
        tool $configs --bootstrap-server "$BROKER" --describe --topic jt &&
        has 'max.message.bytes=2000000' 'retention.ms=100000' && ! has 'cleanup.policy'
    check "ConfigCommand sets and removes" $?
    tool $configs --bootstrap-server "$BROKER" --describe --entity-type brokers --entity-name 1 --all &&
        has 'num.partitions=1 ' 'group.initial.rebalance.delay.ms=0'
    check "ConfigCommand describes the broker" $?
    tool $configs --bootstrap-server "$BROKER" --alter --topic jt --add-config cleanup.policy=compost
    has 'compost'
    check "ConfigCommand is told of a wrong value" $?
}

records_and_groups() {
    seq 1 5000 >"$dir/in"
    timeout 60 sh "$kafka" run $producer --bootstrap-server "$BROKER" --topic jt <"$dir/in" >"$dir/got" 2>&1
    check "ConsoleProducer" $?
    tool $t.GetOffsetShell --bootstrap-server "$BROKER" --topic jt &&
        [ "$(awk -F: '{sum += $3} END {print sum}' "$dir/got")" -eq 5000 ]
    check "GetOffsetShell counts what was produced" $?
    reads_all --from-beginning
    check "ConsoleConsumer in a group reads it all" $?
    tool $groups --bootstrap-server "$BROKER" --describe --group jg &&
        [ "$(awk '$1 == "jg" {lag += $6; n++} END {print n + 0, lag + 0}' "$dir/got")" = "5 0" ]
    check "ConsumerGroupCommand: positions are committed, no lag" $?
    tool $groups --bootstrap-server "$BROKER" --list --state && has 'jg  *\(classic\)\{0,1\} *Empty'
    check "ConsumerGroupCommand lists states" $?
    tool $groups --bootstrap-server "$BROKER" --group jg --reset-offsets --to-earliest --topic jt --execute && reads_all
    check "after a reset the group reads it again" $?
    tool $groups --bootstrap-server "$BROKER" --delete-offsets --group jg --topic jt && has 'Successful'
    check "ConsumerGroupCommand deletes offsets" $?
    tool $groups --bootstrap-server "$BROKER" --delete --group jg && has 'successful'
    check "ConsumerGroupCommand deletes the group" $?
}

load() {
    tool $t.ProducerPerformance --topic perf --num-records 50000 --record-size 100 --throughput -1 \
        --producer-props bootstrap.servers="$BROKER" acks=all compression.type=zstd && has '50000 records sent'
    check "ProducerPerformance" $?
    tool $t.VerifiableProducer --bootstrap-server "$BROKER" --topic vt --max-messages 1000 && has '"acked":1000'
    check "VerifiableProducer: all acknowledged" $?
    tool $t.VerifiableConsumer --bootstrap-server "$BROKER" --topic vt --group-id vg --max-messages 1000 \
        --reset-policy earliest
    has 'offsets_committed.*"offset":1000.*"success":true'
    check "VerifiableConsumer: all read and committed" $?
    echo '{"partitions":[{"topic":"perf","partition":0,"offset":100}],"version":1}' >"$dir/cut"
    tool $t.DeleteRecordsCommand --bootstrap-server "$BROKER" --offset-json-file "$dir/cut" && has 'low_watermark: 100'
    check "DeleteRecordsCommand" $?
    tool $t.GetOffsetShell --bootstrap-server "$BROKER" --topic perf --time earliest && has '^perf:0:100$'
    check "GetOffsetShell sees the new start" $?
    tool $t.LogDirsCommand --bootstrap-server "$BROKER" --describe --topic-list perf && has '"partition":"perf-0"'
    check "LogDirsCommand" $?
}

# Nothing on standard error, nothing invalid, as many records as there should be. The exit code says nothing.
dumps() {
    for log in "$dir"/data/perf-0/*.log "$dir"/data/vt-0/*.log; do
        timeout 60 sh "$kafka" run $dump --files "$log" --deep-iteration >"$dir/got" 2>"$dir/dump.err"
        [ ! -s "$dir/dump.err" ] && ! grep -qE 'isvalid: false|invalid bytes' "$dir/got"
        check "DumpLogSegments reads $(basename "$(dirname "$log")")" $?
        grep -c '^| offset' "$dir/got" >"$dir/count"
        case $log in */perf-0/*) want=50000 ;; *) want=1000 ;; esac
        [ "$(cat "$dir/count")" -eq $want ]
        check "DumpLogSegments finds $want records" $?
    done
    timeout 60 sh "$kafka" run $dump --cluster-metadata-decoder --files "$dir"/data/__cluster_metadata-0/*.log \
        >"$dir/got" 2>"$dir/dump.err"
    [ ! -s "$dir/dump.err" ] && ! grep -qE 'isvalid: false|invalid bytes|Could not decode' "$dir/got" &&
        has 'LeaderChange\|LEADER_CHANGE' 'REGISTER_BROKER_RECORD' '"name":"perf"' 'PRODUCER_IDS_RECORD'
    check "DumpLogSegments reads the metadata log" $?
    for log in "$dir"/data/__consumer_offsets-*/*.log; do
        [ -s "$log" ] || continue
        timeout 60 sh "$kafka" run $dump --offsets-decoder --files "$log" >"$dir/got" 2>"$dir/dump.err"
        [ ! -s "$dir/dump.err" ] && ! grep -qE 'isvalid: false|invalid bytes|Could not decode' "$dir/got" && has '"group"'
        check "DumpLogSegments reads $(basename "$(dirname "$log")")" $?
    done
}

for version in 4.3.1 3.9.2; do
    tools_of $version
    broker_start || exit 1
    topics_and_configs
    records_and_groups
    load
    kill -TERM "$BROKER_PID"
    wait "$BROKER_PID"
    check "the broker stops cleanly" $?
    BROKER= BROKER_PID=
    dumps
    [ $failed -eq 0 ] || tail -n 30 "$dir/log"
    rm -rf "$dir/data"
done
exit $failed
