#!/bin/sh
# budget: 20
# quick: no
# The assignors against 1,000 random group layouts and 400 sequences of rebalances computed by Kafka's own classes, newly
# drawn at every run (the seed is printed).
set -u
command -v javac >/dev/null || { echo "ok - assignors # SKIP no javac (Debian: openjdk-17-jdk-headless)"; exit 0; }
jars=$(sh "$FERRY_TOP/tests/kafka/kafka" jars) || { echo "ok - assignors # SKIP Kafka's jars cannot be had"; exit 0; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
javac -nowarn -cp "$jars/*" -d "$work" "$FERRY_TOP/tests/assign/AssignTables.java" || { echo "not ok - AssignTables.java compiles"; exit 1; }
seed=$(date +%s)
echo "# seed $seed"
java -Xmx256m -XX:TieredStopAtLevel=1 -Dorg.slf4j.simpleLogger.defaultLogLevel=off -cp "$work:$jars/*" \
    AssignTables 1000 400 "$seed" >"$work/tables.txt" || { echo "not ok - AssignTables runs"; exit 1; }
FERRY_ASSIGN_TABLES="$work/tables.txt" "$FERRY_BUILD/tests/unit/test_assign"
