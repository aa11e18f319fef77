# Record batches against Kafka's own classes: Java reads what ours writes with every codec, ours reads what Java writes in
# every format version, newly drawn at every run (the seed is printed); and the batch fuzz target at full count.
# budget: 90
# quick: no
set -u
cd "$FERRY_BUILD" || exit 1
make -s tests/fuzz/batch tests/interop/record_tool >record.make.log 2>&1 || { cat record.make.log; exit 1; }
srcdir=$FERRY_TOP tests/fuzz/batch 20000 "$(date +%j)" | grep -v '^1\.\.'

command -v javac >/dev/null || { echo "ok - record batches against Java # SKIP no javac (Debian: openjdk-17-jdk-headless)"; exit 0; }
jars=$(sh "$FERRY_TOP/tests/kafka/kafka" jars) || { echo "ok - record batches against Java # SKIP Kafka's jars cannot be had"; exit 0; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
seed=${SEED:-$(date +%s)}
echo "# seed $seed"
mkdir "$work/classes" "$work/java" "$work/ours" "$work/vectors"
javac -nowarn -cp "$jars/*" -d "$work/classes" "$FERRY_TOP/tests/interop/RecordTool.java" ||
    { echo "not ok - RecordTool.java compiles"; exit 1; }
tests/interop/record_tool write "$work/ours" "$seed" 500 || { echo "not ok - record_tool writes"; exit 1; }
tool() {
    java -Xmx400m -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -cp "$work/classes:$jars/*" RecordTool "$@"
}
tool vectors "$work/vectors" && tool random "$work/java" "$seed" 800 && tool read "$work/ours" ||
    { echo "not ok - RecordTool runs"; exit 1; }
tests/interop/record_tool read "$work"/java/*.bin && tests/interop/record_tool read "$work"/ours/*.bin ||
    { echo "not ok - record_tool reads"; exit 1; }

same() {  # NAME DIR THEIRS OURS FLOOR
    total=0 bad=0
    for f in "$2"/*.bin; do
        total=$((total + 1))
        if ! cmp -s "${f%bin}$3" "${f%bin}$4"; then
            bad=$((bad + 1))
            [ $bad -gt 3 ] || { echo "# $(basename "$f")"; diff "${f%bin}$3" "${f%bin}$4" | cut -c1-200 | head -4 | sed 's/^/# /'; }
        fi
    done
    if [ $bad -eq 0 ] && [ $total -ge "$5" ] && ! grep -q '^error' "$2"/*."$4"; then
        echo "ok - $1: $total batches, $(cat "$2"/*."$4" | grep -vc '^batch') records"
    else
        echo "not ok - $1: $bad of $total differ, or hold an error"
    fi
}
same "ours reads what Java writes" "$work/java" txt ours 800
same "Java reads what ours writes" "$work/ours" java ours 400
for f in "$FERRY_TOP"/tests/vectors/record/*.txt; do
    cmp "$f" "$work/vectors/$(basename "$f")" || { echo "not ok - the vectors are what Java makes"; exit 1; }
done
echo "ok - the vectors are what Java makes"
