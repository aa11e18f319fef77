# Seeded runs of clients against a broker in virtual time, with faults; and the same seeds in two processes, which must
# give the same trace.
# budget: 90
# quick: yes
run=$FERRY_BUILD/tests/sim/run
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
status=0
if [ "$FERRY_QUICK" = yes ]; then seeds=200; else seeds=2000; fi
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

# Producers, a group of consumers and the broker; then, a quarter as many, producers alone on a broker of their own.
both() {  # WHAT SEEDS FLAG...
    what=$1 half=$(($2 / 2))
    shift 2
    "$run" "$@" --seeds $half --from 1 >"$out/first" 2>&1 &
    first=$!
    "$run" "$@" --seeds $half --from $((half + 1)) >"$out/second" 2>&1
    rc=$?
    check "$what, seeds $((half + 1)) to $((2 * half)): $(tail -n 1 "$out/second")" $rc "$out/second"
    wait "$first"
    rc=$?
    check "$what, seeds 1 to $half: $(tail -n 1 "$out/first")" $rc "$out/first"
}
both "the whole scene" $seeds
both "producers alone" $((seeds / 4)) --no-group

form='^seeds=[0-9]* violations=0 ops=[0-9]* acked=[0-9]* crashes=[0-9]* torn=[0-9]* dedup=[0-9]* rebalances=[0-9]*$'
tail -n 1 "$out/first" | grep -q "$form"
check "the last line has the form that is promised" $? "$out/first"

"$run" --seeds 25 --from 7 >"$out/once" 2>&1
MALLOC_PERTURB_=165 "$run" --seeds 25 --from 7 >"$out/again" 2>&1
cmp -s "$out/once" "$out/again" && grep -q '^hash=' "$out/once"
check "the same seeds give the same trace in two processes" $? "$out/again"
exit $status
