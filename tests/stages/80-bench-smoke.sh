# Every figure of the benchmark comes out in the promised form, at a small scale; those that no other work on the machine can
# disturb (sizes, threads, instructions) also keep their bars. A second refbroker is in Apache Kafka's place but for one figure.
# budget: 100
# quick: no
set -u
if [ -n "${FERRY_SANITIZED:-}" ]; then
    echo "ok - bench # SKIP not on sanitizer builds"
    exit 0
fi
bench=$FERRY_TOP/tests/bench
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
export BENCH_REPS=1 BENCH_SCALE=0.02
sh "$bench/run.sh" so_size >"$out/first" 2>&1  # fetches and compiles, before the two below would both do so
if grep -q 'could not be fetched' "$out/first"; then
    echo "ok - bench # SKIP $(tail -n 1 "$out/first")"
    exit 0
fi
sh "$bench/run.sh" produce consume group_ report first_ queued brokers50 so_size >"$out/library" 2>&1 &
library=$!
status=0
BENCH_KAFKA=no sh "$bench/run.sh" broker_ >"$out/broker" 2>&1 || status=1
sh "$bench/run.sh" broker_cpu >"$out/kafka" 2>&1 || status=1
wait $library || status=1
cat "$out/library" "$out/broker" >"$out/all"
sed 's/^/# /' "$out/all" "$out/kafka"
[ $status -eq 0 ] && echo "ok - bench: run.sh ends well" || echo "not ok - bench: run.sh ended with a failure"

number='[0-9.e+-]+'
form="^figure=[a-z0-9_]+ ferry=$number peer=$number ratio=$number unit=[A-Za-z/]+\$"
sh "$bench/run.sh" --list | sort >"$out/names"
grep -E "$form" "$out/all" | sed 's/^figure=//; s/ .*//' | sort >"$out/shown"
missing=$(comm -3 "$out/names" "$out/shown" | tr '\n' ' ')
[ -s "$out/names" ] && [ -z "$missing" ] && echo "ok - bench: all $(wc -l <"$out/names") figures, each once, in the promised form" ||
    echo "not ok - bench: missing, unknown, twice or malformed: $missing"
grep -qE "$form" "$out/kafka" && echo "ok - bench: beside Apache Kafka" || echo "not ok - bench: no figure beside Apache Kafka"
for name in so_size brokers50_threads brokers50_memory queued_bytes produce_instr consume_instr broker_rss_idle; do
    ! grep "^# $name misses its bar" "$out/all" && echo "ok - bench: $name keeps its bar" || echo "not ok - bench: $name misses its bar"
done

# The tables are written in a copy of the documents.
mkdir -p "$out/tree/tests" "$out/tree/docs"
cp -r "$bench" "$out/tree/tests/" && cp "$FERRY_TOP/docs/benchmarks.md" "$out/tree/docs/" && cp "$FERRY_TOP/README.md" "$out/tree/"
size=$(sed -n 's/^figure=so_size ferry=\([0-9]*\).*/\1/p' "$out/all")
PYTHONDONTWRITEBYTECODE=1 python3 "$out/tree/tests/bench/table.py" "$out/all" && grep -q "^| so_size | $size" "$out/tree/docs/benchmarks.md" &&
    grep -q "^Measured: .* medians of 1," "$out/tree/docs/benchmarks.md" && grep -q "^| refbroker ready on a log of 1 GB | " "$out/tree/README.md" &&
    echo "ok - bench: the tables take what was measured" || echo "not ok - bench: the tables do not take what was measured"
