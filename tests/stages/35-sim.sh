# Seeded runs of clients against a broker in virtual time, with faults; and the same seeds in two processes, which must
# give the same trace.
# budget: 180
# quick: yes
run=$FERRY_BUILD/tests/sim/run
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
status=0
if [ "$FERRY_QUICK" = yes ]; then seeds=100; else seeds=2000; fi
half=$((seeds / 2))

check() {  # NAME STATUS FILE
    if [ "$2" -eq 0 ]; then
        echo "ok - $1"
    else
        tail -n 20 "$3"
        echo "not ok - $1"
        status=1
    fi
}

"$run" --no-group --seeds "$half" --from 1 >"$out/first" 2>&1 &
first=$!
"$run" --no-group --seeds "$half" --from $((half + 1)) >"$out/second" 2>&1
rc=$?
check "seeds $((half + 1)) to $((2 * half)): $(tail -n 1 "$out/second")" $rc "$out/second"
wait "$first"
rc=$?
check "seeds 1 to $half: $(tail -n 1 "$out/first")" $rc "$out/first"

"$run" --seeds 280 >"$out/group" 2>&1
rc=$?
check "with a group of consumers, seeds 1 to 280: $(tail -n 1 "$out/group")" $rc "$out/group"

"$run" --seeds 25 --from 7 >"$out/once" 2>&1
MALLOC_PERTURB_=165 "$run" --seeds 25 --from 7 >"$out/again" 2>&1
cmp -s "$out/once" "$out/again" && grep -q '^hash=' "$out/once"
check "the same seeds give the same trace in two processes" $? "$out/again"
exit $status
