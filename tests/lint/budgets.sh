# Every stage states its budget, and all together fit into the 35 minutes that continuous integration has for them.
limit=2100
sum=0
status=0
for stage in "$FERRY_TOP"/tests/stages/*.sh; do
    budget=$(sed -n 's/^# budget: \([0-9]\{1,\}\)$/\1/p' "$stage" | head -n 1)
    grep -qE '^# quick: (yes|no)$' "$stage" && [ -n "$budget" ] || {
        echo "# $(basename "$stage") does not state '# budget: SECONDS' and '# quick: yes' or 'no'"
        status=1
    }
    sum=$((sum + ${budget:-0}))
done
[ "$sum" -le $limit ] || { echo "# budgets sum to $sum s; the limit is $limit s"; status=1; }
[ $status -eq 0 ] || printf 'not '
echo "ok - the stages' budgets sum to $sum s of $limit s"
exit $status
