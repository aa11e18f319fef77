# The examples of docs/examples, built as their heads say against an installed library, run against refbroker (63-kafka-tools runs
# them against Apache Kafka); a loop without threads has exactly one thread. And what the documents say: fenced C compiles and the
# guide's programs run, README's commands work, links lead somewhere.
# budget: 15
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
consume() {
    timeout 20 "$work/consumer" "$BROKER" first readers 1000 >"$work/back" && sort -n "$work/back" | cmp - "$work/numbers"
}
threads() { # WANT COMMAND...
    want=$1
    shift
    got=$(timeout 30 python3 "$FERRY_TOP/tests/lib/threads.py" "$@" </dev/null) || return 1
    [ "$got" -eq "$want" ] || { echo "$got threads, not $want"; return 1; }
}
# The guide's pieces are one program, in their order.
awk '/^```c$/ {on = 1; next} /^```$/ {on = 0} on' "$FERRY_TOP/docs/guide.md" >"$work/guide.c"
check "guide.md's code compiles" cc -std=c11 -Wall -Wextra -Werror -o "$work/guide" "$work/guide.c" $(pkg-config --cflags --libs ferry)
guide() { timeout 30 "$work/guide" "$BROKER" guided >"$work/guide.out" && grep -q '^100 records' "$work/guide.out"; }
check "producer.c sends 1000 lines" produce
check "consumer.c reads them back" consume
check "loop.c sends and receives" timeout 20 "$work/loop" "$BROKER" looped 1000
check "ferry_ctypes.py produces and consumes" timeout 20 python3 "$FERRY_TOP/docs/examples/ferry_ctypes.py" "$BROKER" python 1000
check "guide.md's program runs" guide
check "loop.c has no thread but its caller's" threads 1 "$work/loop" "$BROKER" many 100000
check "where there is an I/O thread, it is counted" threads 2 env LD_LIBRARY_PATH="$LD_LIBRARY_PATH" "$work/root$prefix/bin/ferry-perf" produce \
    --bootstrap-server "$BROKER" --topic many --num-records 400000 --throughput 1000000
broker_stop

# README's first program, as it stands there, on the installed programs.
awk '/^## First program/ {on = 1} /^## Status/ {on = 0} on && /^    / {print substr($0, 5)}' "$FERRY_TOP/README.md" >"$work/readme.sh"
readme() {
    port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    cd "$FERRY_TOP/docs/examples" || return 1
    # Only the port, and where things are put, are this machine's; a broker in the background is waited for and stopped.
    { echo "PATH=$work/root$prefix/bin:\$PATH"
      sed "s/:9092/:$port/g; s|/var/tmp/ferry|$work/readme|; s|-o producer|-o $work/readme-producer|; s|^\\./producer|$work/readme-producer|" "$work/readme.sh" |
          sed "s|^\\(refbroker .*\\) &\$|\\1 >$work/readme.ready \\& broker=\$!; until grep -q ready $work/readme.ready; do sleep 0.02; done|"
      echo 'kill $broker; wait $broker'
    } >"$work/readme-run.sh"
    timeout 30 sh -e "$work/readme-run.sh" </dev/null >"$work/readme.out" 2>"$work/readme.err" || { cat "$work/readme.out" "$work/readme.err"; return 1; }
    grep -qx hello "$work/readme.out" || { cat "$work/readme.out" "$work/readme.err"; return 1; }
}
check "README's first program does what it says" readme

# Every link to a file of the tree.
links() {
    python3 - "$FERRY_TOP" <<'END'
import glob, os, re, sys
top, bad = sys.argv[1], 0
for page in [os.path.join(top, "README.md")] + sorted(glob.glob(top + "/docs/*.md") + glob.glob(top + "/tests/*/README.md")):
    text = open(page, encoding="utf-8").read()
    words = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text)
    words += [w for w in re.findall(r"`((?:docs|tests|libclient|refbroker|tools|packaging)/[A-Za-z0-9_./-]+)`", text)]
    for w in words:
        if "://" in w or "NN" in w:
            continue
        here, base = os.path.join(os.path.dirname(page), w), os.path.join(top, w)
        made = w in ("libclient/wire/messages", "tests/sim/run", "tests/sim/planted")
        if not made and w != "libclient/wire/messages." and not os.path.exists(here) and not os.path.exists(base):
            print(f"{os.path.relpath(page, top)}: {w} is not there")
            bad += 1
sys.exit(bad != 0)
END
}
check "links in the documents lead somewhere" links
