# The codec against Apache Kafka's own message classes of 4.4.0 and 3.9.2: what they write comes back from us byte for
# byte, what we write comes back from them, 200 times for every message and version of our schema.
# budget: 100
# quick: no
skip() { echo "ok - the codec against Kafka's message classes # SKIP $1"; exit 0; }
command -v javac >/dev/null || skip "no javac (Debian: openjdk-17-jdk-headless)"
cd "$FERRY_BUILD" || exit 1
make -s tests/codec/peer >/dev/null || { echo "not ok - the peer program builds"; exit 1; }
count=200
grep -q '^#define FERRY_SANITIZED' config.h && count=20
here=$FERRY_TOP/tests/codec
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
seed=$(date +%Y%j)

fetch() {  # VERSION MVN-ARGUMENT...: prints the class path
    version=$1
    shift
    jars=${KAFKA_JARS:-$HOME/.cache/kafka-jars}/messages-$version
    if [ ! -f "$jars/.complete" ]; then
        command -v mvn >/dev/null || return 1
        mkdir -p "$jars"
        (
            flock 9
            [ -f "$jars/.complete" ] || {
                timeout 120 mvn -q -B -f "$here/pom.xml" -Dkafka.version="$version" "$@" dependency:copy-dependencies \
                    -DoutputDirectory="$jars" && touch "$jars/.complete"
            }
        ) 9>"$jars.lock" >"$jars.log" 2>&1 </dev/null || return 1
    fi
    echo "$jars"/*.jar | tr ' ' ':'
}

codec() {  # VERSION ARGUMENT...
    v=$1
    shift
    java -Xshare:auto -XX:+UseSerialGC -Xmx256m -cp "$work/$v:$(cat "$work/$v.path")" Codec "$@"
}

fetch 4.4.0 -Drecords >"$work/4.4.0.path" && fetch 3.9.2 >"$work/3.9.2.path" ||
    skip "the jars of Apache Kafka could not be fetched (mvn missing, or no network)"
status=0
result() {  # STATUS NAME
    if [ "$1" -eq 0 ]; then echo "ok - $2"; else echo "not ok - $2"; status=1; fi
}

./tests/codec/peer make "$seed" $count >"$work/ours" || exit 1
echo "# seed $seed"
for v in 4.4.0 3.9.2; do
    mkdir "$work/$v"
    javac -d "$work/$v" -cp "$(cat "$work/$v.path")" "$here/Codec.java" &&
        codec $v write "$work/theirs-$v" "$seed" $count 30 &&
        codec $v read "$work/ours" "$work/covered-$v"
    result $? "Kafka $v reads what we write"
done
cat "$work/theirs-4.4.0" "$work/theirs-3.9.2" | ./tests/codec/peer check $count
result $? "what Kafka writes comes back byte for byte, every message and version"
cat "$work/covered-4.4.0" "$work/covered-3.9.2" | cut -d' ' -f1,2 | sort -u >"$work/covered"
./tests/codec/peer list | sort -u | comm -23 - "$work/covered" >"$work/missing"
sed 's/^/# Kafka did not read /' "$work/missing" | head -n 20
[ ! -s "$work/missing" ]
result $? "Kafka read every message and version"
codec 4.4.0 errors | diff - "$FERRY_TOP/tests/vectors/errors.txt" >"$work/errors"
result $? "the vector of error codes is Kafka's"
head -n 20 "$work/errors"
java -Xshare:auto -cp "$(cat "$work/4.4.0.path")" "$here/Apis.java" 2>&1 | diff - "$FERRY_TOP/tests/vectors/apis.txt" >"$work/apis"
result $? "the vector of advertised versions is Kafka's"
head -n 20 "$work/apis"
exit $status
