# The house rules as executable checks: layers, purity, lengths, exported symbols.
# budget: 15
# quick: yes
status=0
for rule in layers purity length symbols settings headers man budgets; do
    sh "$FERRY_TOP/tests/lint/$rule.sh" || status=1
done
exit $status
