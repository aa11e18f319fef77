#!/bin/sh
# Runs every test and ends with "N passed, N failed, N skipped"; exit 0 only with 0 failed.
#
#   sh tests/run.sh              everything
#   sh tests/run.sh --quick      the stages marked "quick: yes": two minutes on two cores
#   sh tests/run.sh NAME...      stages whose file name contains NAME
#
# A stage is a script tests/stages/NN-name.sh that prints TAP lines. Its head states "# budget: SECONDS", which bounds
# it, and "# quick: yes" or "no". Stages find the finished build in $FERRY_BUILD and the tree in $FERRY_TOP.
set -u
FERRY_TOP=$(cd "$(dirname "$0")/.." && pwd)
FERRY_BUILD=${FERRY_BUILD:-$FERRY_TOP/build}
export FERRY_TOP FERRY_BUILD
FERRY_QUICK=no
names=
for arg in "$@"; do
    case $arg in
    --quick) FERRY_QUICK=yes ;;
    -*) echo "usage: sh tests/run.sh [--quick] [NAME...]" >&2; exit 2 ;;
    *) names="$names $arg" ;;
    esac
done
export FERRY_QUICK
sh "$FERRY_TOP/packaging/deps.sh" tests || exit 1
sh "$FERRY_TOP/packaging/build.sh" "$FERRY_BUILD" || { echo "0 passed, 1 failed, 0 skipped"; exit 1; }

out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
trap 'exit 130' INT TERM
passed=0 failed=0 skipped=0 budget_sum=0 started=$(date +%s)

wanted() {  # FILE
    [ -n "$names" ] || { [ $FERRY_QUICK = no ] || grep -q '^# quick: yes' "$1"; return; }
    for n in $names; do
        case $(basename "$1") in *"$n"*) return 0 ;; esac
    done
    return 1
}

run_stage() {  # FILE
    stage=$(basename "$1" .sh)
    budget=$(sed -n 's/^# budget: //p' "$1" | head -n 1)
    budget_sum=$((budget_sum + ${budget:-60}))
    begin=$(date +%s)
    timeout -k 10 $((${budget:-60} * 3)) sh "$1" >"$out/$stage" 2>&1 </dev/null
    status=$?
    p=$(grep -cE '^ok ' "$out/$stage")
    s=$(grep -cE '^ok .*# SKIP' "$out/$stage")
    f=$(grep -cE '^not ok ' "$out/$stage")
    if [ $status -ne 0 ] && [ "$f" -eq 0 ]; then
        echo "not ok - $stage ended with status $status" >>"$out/$stage"
        f=1
    fi
    if [ "$p" -eq 0 ] && [ "$f" -eq 0 ]; then
        echo "not ok - $stage ran no test" >>"$out/$stage"
        f=1
    fi
    echo "== $stage: $((p - s)) passed, $f failed, $s skipped, $(($(date +%s) - begin)) s of ${budget:-60} s"
    grep -E '^ok .*# SKIP' "$out/$stage"
    [ "$f" -eq 0 ] || tail -n 150 "$out/$stage"
    passed=$((passed + p - s)) failed=$((failed + f)) skipped=$((skipped + s))
}

for file in "$FERRY_TOP"/tests/stages/*.sh; do
    if wanted "$file"; then run_stage "$file"; fi
done
echo "stages took $(($(date +%s) - started)) s of budgets summing to $budget_sum s"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
