# The console tools beside Kafka's own (4.3.1; the flags of 3.9.2 too) on one refbroker: every flag of Kafka's is known here,
# and the tables that scripts take apart are the same, byte for byte.
# budget: 50
# quick: no
set -u
. "$FERRY_TOP/tests/lib/broker.sh"
kafka=$FERRY_TOP/tests/kafka/kafka
work=$BROKER_DIR
bin=$FERRY_BUILD
export KAFKA_HEAP=128m KAFKA_TIER=1
if [ -n "${FERRY_SANITIZED:-}" ] || ! command -v java >/dev/null; then
    echo "ok - the tools beside Kafka's # SKIP needs java, and no sanitizer"
    exit 0
fi
for version in 4.3.1 3.9.2; do
    KAFKA_VERSION=$version sh "$kafka" jars >/dev/null 2>&1 ||
        { echo "ok - the tools beside Kafka's # SKIP Kafka's jars ($version) cannot be had"; exit 0; }
done
broker_start || exit 1
t=org.apache.kafka.tools
class() { # TOOL VERSION
    case $1-$2 in
    ferry-console-producer-3.*) echo kafka.tools.ConsoleProducer ;;
    ferry-console-producer-*) echo $t.ConsoleProducer ;;
    ferry-console-consumer-*) echo $t.consumer.ConsoleConsumer ;;
    ferry-topics-*) echo $t.TopicCommand ;;
    ferry-groups-*) echo $t.consumer.group.ConsumerGroupCommand ;;
    esac
}
their() { # TOOL ARGUMENT...
    tool=$1
    shift
    KAFKA_VERSION=4.3.1 timeout 60 sh "$kafka" run "$(class "$tool" 4.3.1)" --bootstrap-server "$BROKER" "$@" 2>>"$work/err"
}
our() { # TOOL ARGUMENT...
    tool=$1
    shift
    timeout 60 "$bin/$tool" --bootstrap-server "$BROKER" "$@" 2>>"$work/err"
}
compare() { # NAME: is $work/theirs $work/ours, and something?
    if [ -s "$work/theirs" ] && cmp -s "$work/theirs" "$work/ours"; then echo "ok - $1"; else
        echo "not ok - $1"
        diff "$work/theirs" "$work/ours" | head -n 20 | cat -A | sed 's/^/# /'
        tail -n 3 "$work/err" | sed 's/^/# /'
    fi
}
both() { # NAME TOOL ARGUMENT...
    name=$1
    shift
    their "$@" | plain | sort >"$work/theirs"
    our "$@" | plain | sort >"$work/ours"
    compare "$name"
}
# Order is no promise of either; a broker of ours has no eligible leader replicas; Kafka warns of its own spellings.
plain() { sed 's/	Elr: [^	]*	LastKnownElr: .*/	Elr/; /^Option --[a-z-]* is deprecated/d; /^WARNING: Due to/d'; }

for version in 4.3.1 3.9.2; do
    for tool in ferry-console-producer ferry-console-consumer ferry-topics ferry-groups; do
        KAFKA_VERSION=$version sh "$kafka" run "$(class $tool $version)" --help 2>&1 | grep -oE '^--[a-z][a-z.-]*' | sort -u >"$work/flags"
        "$bin/$tool" --help >"$work/help"
        missing=
        while read -r flag; do grep -q -- "$flag\\([^a-z.-]\\|\$\\)" "$work/help" || missing="$missing $flag"; done <"$work/flags"
        if [ -z "$missing" ] && [ "$(wc -l <"$work/flags")" -gt 10 ]; then
            echo "ok - $tool knows the $(wc -l <"$work/flags") flags of Kafka $version's"
        else
            echo "not ok - $tool does not know$missing of Kafka $version ($(wc -l <"$work/flags") flags)"
        fi
    done
done

our ferry-topics --create --topic made --partitions 2 >"$work/ours"
their ferry-topics --create --topic made2 --partitions 2 | sed 's/made2/made/' >"$work/theirs"
compare "a topic that was created"
our ferry-topics --create --topic set-up --config retention.ms=100000 >/dev/null
seq 1 10 | our ferry-console-producer --topic made --partition 0
both "the list of topics" ferry-topics --list
both "the description of a topic" ferry-topics --describe --topic made
both "the description of all" ferry-topics --describe --exclude-internal
both "topics with settings" ferry-topics --describe --topics-with-overrides
both "partitions at their minimum in sync" ferry-topics --describe --at-min-isr-partitions --exclude-internal

# A group with two members, one of them static, of which one partition has no commit; and one without members.
our ferry-console-consumer --topic made --group idle --from-beginning --max-messages 7 >/dev/null
"$bin/ferry-console-consumer" --bootstrap-server "$BROKER" --topic made --group busy --from-beginning -X client.id=a-client-with-a-long-name \
    -X auto.commit.interval.ms=100 >"$work/a" 2>/dev/null &
first=$!
"$bin/ferry-console-consumer" --bootstrap-server "$BROKER" --topic made --group busy --from-beginning -X client.id=b \
    -X group.instance.id=static-b >"$work/b" 2>/dev/null &
second=$!
trap 'kill $first $second 2>/dev/null; broker_stop; rm -rf "$BROKER_DIR"' EXIT
tries=0
until [ $tries -gt 200 ] || our ferry-groups --describe --group busy | awk '$2 == "made" && $4 == 10 && $7 != "-" {a = 1} $4 == "-" && $7 != "-" {b = 1} END {exit !(a && b)}'; do
    tries=$((tries + 1))
    sleep 0.05
done
both "the offsets of a group with members" ferry-groups --describe --group busy
both "with epochs" ferry-groups --describe --group busy --verbose
both "its members" ferry-groups --describe --group busy --members
both "with assignments" ferry-groups --describe --group busy --members --verbose
both "its state" ferry-groups --describe --group busy --state
both "with epochs" ferry-groups --describe --group busy --state --verbose
both "the offsets of a group without members" ferry-groups --describe --group idle
both "the list of groups" ferry-groups --list
both "the list with states and types" ferry-groups --list --state --type
both "the list of stable groups" ferry-groups --list --state stable
kill -INT $first $second
both "a reset that is not executed" ferry-groups --reset-offsets --group idle --topic made --to-earliest --dry-run
their ferry-groups --reset-offsets --group idle --all-topics --shift-by -2 --dry-run --export | grep . | sort >"$work/theirs"
our ferry-groups --reset-offsets --group idle --all-topics --shift-by -2 --dry-run --export | sort >"$work/ours"
compare "a reset that is exported"
their ferry-groups --reset-offsets --group idle --topic made --to-latest --execute >/dev/null
our ferry-groups --reset-offsets --group idle2 --topic made --to-latest --execute >/dev/null
their ferry-groups --delete-offsets --group idle --topic made | sed 's/idle$/G/; s/idle\./G./' >"$work/theirs"
our ferry-groups --delete-offsets --group idle2 --topic made | sed 's/idle2\./G./' >"$work/ours"
compare "offsets that were deleted"
our ferry-groups --reset-offsets --group idle --group idle2 --topic made --to-latest --execute >/dev/null
their ferry-groups --delete --group idle | sed 's/idle/G/' >"$work/theirs"
our ferry-groups --delete --group idle2 | sed 's/idle2/G/' >"$work/ours"
compare "a group that was deleted"

printf 'a:1,b:NIL|k1;v1\nNIL|NIL;NIL\na|k;v\nno key\na:b:c|k|v;w\n;\n' >"$work/lines"
reader="--reader-property parse.headers=true --reader-property parse.key=true --reader-property null.marker=NIL \
    --reader-property headers.delimiter=| --reader-property key.separator=; --reader-property ignore.error=true"
their ferry-console-producer --topic theirs $reader <"$work/lines"
our ferry-console-producer --topic ours $reader <"$work/lines"
print="--property print.headers=true --property print.key=true --property print.offset=true --property print.partition=true \
    --property print.delivery=true --property null.literal=NULL --property headers.separator=;"
for topic in theirs ours; do
    our ferry-console-consumer --topic $topic --partition 0 --offset earliest --max-messages 6 $print >"$work/$topic"
done
compare "lines are taken for the same records"
both "records are printed alike" ferry-console-consumer --topic theirs --partition 0 --offset earliest --max-messages 6 \
    --property print.timestamp=true $print
