# The benchmark runs and its output has the promised form: one broker figure and the size of the library, at a small scale.
# budget: 40
# quick: no
set -u
if [ -n "${FERRY_SANITIZED:-}" ]; then
    echo "ok - bench # SKIP not on sanitizer builds"
    exit 0
fi
out=$(mktemp)
trap 'rm -f "$out" "$out.err"' EXIT
BENCH_REPS=1 BENCH_SCALE=0.02 sh "$FERRY_TOP/tests/bench/run.sh" broker_cpu >"$out" 2>"$out.err"
status=$?
if grep -q 'could not be fetched' "$out.err"; then
    echo "ok - bench # SKIP $(tail -n 1 "$out.err")"
    exit 0
fi
sed 's/^/# /' "$out" "$out.err"
[ $status -eq 0 ] && echo "ok - bench: run.sh ends well" || echo "not ok - bench: run.sh ended with $status"
number='[0-9.e+-]+'
lines=$(grep -c '^figure=' "$out")
good=$(grep -cE "^figure=[a-z0-9_]+ ferry=$number peer=$number ratio=$number unit=[A-Za-z/]+\$" "$out")
[ "$lines" -gt 0 ] && [ "$lines" -eq "$good" ] && echo "ok - bench: $good figures in the promised form" ||
    echo "not ok - bench: $lines figures, $good in the promised form"
names=$(sh "$FERRY_TOP/tests/bench/run.sh" --list | wc -l)
[ "$names" -ge 9 ] && echo "ok - bench: $names figures known" || echo "not ok - bench: only $names figures"
