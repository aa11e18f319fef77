# The examples of docs/examples, built as their heads say against an installed library, run against refbroker; a loop
# without threads has exactly one.
# budget: 40
# quick: yes
set -u
. "$FERRY_TOP/tests/lib/broker.sh"
work=$BROKER_DIR
make -s -C "$FERRY_BUILD" install DESTDIR="$work/root" >"$work/install.log" 2>&1 || { cat "$work/install.log"; exit 1; }
prefix=$(sed -n 's/^prefix = //p' "$FERRY_BUILD/Makefile" | head -n 1)
lib=$work/root$prefix/lib
export PKG_CONFIG_PATH="$lib/pkgconfig" PKG_CONFIG_SYSROOT_DIR="$work/root" LD_LIBRARY_PATH="$lib" LIBFERRY="$lib/libferry.so.0"
broker_start || exit 1
check() { # NAME COMMAND...
    name=$1
    shift
    if "$@" >"$work/out" 2>&1; then echo "ok - $name"; else echo "not ok - $name"; sed 's/^/# /' "$work/out"; fi
}
compile() { # EXAMPLE
    cc -Wall -Wextra -Werror -o "$work/$1" "$FERRY_TOP/docs/examples/$1.c" $(pkg-config --cflags --libs ferry)
}
for example in producer consumer loop; do
    check "docs/examples/$example.c compiles with pkg-config" compile $example
done
lines() { [ "$(grep -cv '^$' "$FERRY_TOP/docs/examples/$1.c")" -le "$2" ]; }
check "the producer has 30 lines at most" lines producer 30
check "the consumer has 40 lines at most" lines consumer 40
seq 1 1000 >"$work/numbers"
produce() { timeout 20 "$work/producer" "$BROKER" first <"$work/numbers"; }
check "producer.c sends 1000 lines" produce
consume() {
    timeout 20 "$work/consumer" "$BROKER" first readers 1000 >"$work/back" && sort -n "$work/back" | cmp - "$work/numbers"
}
check "consumer.c reads them back" consume
check "loop.c sends and receives without a thread" timeout 20 "$work/loop" "$BROKER" looped 1000
check "ferry_ctypes.py produces and consumes" timeout 20 python3 "$FERRY_TOP/docs/examples/ferry_ctypes.py" "$BROKER" python 1000
