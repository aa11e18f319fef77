# refbroker with kcat, an unmodified librdkafka program: every codec, keys and headers, groups, restarts, bad input.
# budget: 30
# quick: yes
command -v kcat >/dev/null || { echo "ok - kcat on refbroker # SKIP kcat is not installed"; exit 0; }
. "$FERRY_TOP/tests/lib/broker.sh"
dir=$BROKER_DIR
failed=0

check() {  # NAME STATUS
    if [ "$2" -eq 0 ]; then echo "ok - $1"; else echo "not ok - $1"; failed=1; fi
}

kc() {
    timeout 30 kcat -b "$BROKER" -X topic.metadata.refresh.interval.ms=200 "$@"
}

same() {  # FILE FILE
    cmp -s "$1" "$2"
}

broker_start -X log.flush.interval.messages=1 -X auto.create.topics.enable=true || exit 1
[ "$(wc -l <"$dir/ready")" -eq 1 ]
check "one line on standard output when it is ready" $?

awk 'BEGIN {for (i = 0; i < 20000; i++) printf "k%d\tvalue number %d of a run that compresses well\n", i % 97, i}' >"$dir/in"
for codec in none gzip snappy lz4 zstd; do
    kc -P -t "codec-$codec" -z "$codec" -K '\t' -l "$dir/in" 2>>"$dir/err" &&
        kc -C -t "codec-$codec" -o beginning -e -q -f '%k\t%s\n' >"$dir/got" 2>>"$dir/err" && same "$dir/in" "$dir/got"
    check "codec $codec: 20,000 records with keys come back in order" $?
done
kc -P -t idem -X enable.idempotence=true -K '\t' -l "$dir/in" 2>>"$dir/err" &&
    kc -C -t idem -o beginning -e -q -f '%k\t%s\n' >"$dir/got" && same "$dir/in" "$dir/got"
check "an idempotent producer" $?

echo 'with header' | kc -P -t heads -H a=1 -H b=two -k key &&
    [ "$(kc -C -t heads -o beginning -e -q -f '%k %h %s %p %o')" = 'key a=1,b=two with header 0 0' ]
check "headers" $?

echo late | kc -P -t times
[ "$(kc -Q -t times:0:1 | tr -d '\r')" = "times [0] offset 0" ]
check "an offset by time" $?

# A group: half is read and committed, the rest by another member later.
kc -G half idem -X auto.offset.reset=earliest -c 5000 -q -f '%k\t%s\n' >"$dir/first" 2>>"$dir/err"
kc -G half idem -X auto.offset.reset=earliest -e -q -f '%k\t%s\n' >"$dir/second" 2>>"$dir/err"
cat "$dir/first" "$dir/second" >"$dir/got"
same "$dir/in" "$dir/got"
check "a group goes on where it committed" $?

kc -L -J | grep -q '"topic":"codec-zstd"'
check "metadata of all topics" $?

# Killed and started again: what was acknowledged is there, and so are the group's positions.
broker_stop 9
broker_start || exit 1
kc -C -t codec-lz4 -o beginning -e -q -f '%k\t%s\n' >"$dir/got" 2>>"$dir/err" && same "$dir/in" "$dir/got"
check "after SIGKILL every acknowledged record is there" $?
kc -G half idem -X auto.offset.reset=earliest -e -q >"$dir/got" 2>>"$dir/err"
[ ! -s "$dir/got" ]
check "after SIGKILL the group's positions are there" $?
echo more | kc -P -t codec-lz4 && [ "$(kc -C -t codec-lz4 -o -1 -e -q)" = more ]
check "after SIGKILL the log goes on" $?

# Bad input: closes its own connection, costs nothing, and others are served.
python3 - "${BROKER%:*}" "${BROKER##*:}" <<'PY'
import os, socket, struct, sys
address = (sys.argv[1], int(sys.argv[2]))
def closed(data):
    s = socket.create_connection(address, 5)
    s.settimeout(10)
    s.sendall(data)
    try:
        return s.recv(1) == b""
    except ConnectionResetError:
        return True
assert closed(b"GET / HTTP/1.1\r\n\r\n")
assert closed(struct.pack(">i", -1) + b"x" * 100)
assert closed(struct.pack(">ihhi", 8, 999, 0, 1))           # a key that is not there
assert closed(struct.pack(">ihhih", 10, 3, 99, 1, -1))      # a version that is not there
assert closed(struct.pack(">i", 2000000000))
keep = []
for i in range(200):                                        # frames that claim 100 MB
    s = socket.create_connection(address, 5)
    s.sendall(struct.pack(">ihhi", 100000000, 0, 9, 1) + b"\0" * 1000)
    keep.append(s)
s = socket.create_connection(address, 5)                    # an ApiVersions from the future
s.settimeout(5)
s.sendall(struct.pack(">ihhih", 10, 18, 77, 5, -1))
n = struct.unpack(">i", s.recv(4, socket.MSG_WAITALL))[0]
answer = s.recv(n, socket.MSG_WAITALL)
assert struct.unpack(">ih", answer[:6]) == (5, 35), answer[:6]
PY
check "garbage, unknown requests and 200 claims of 100 MB" $?
[ "$(awk '/VmHWM/ {print $2}' /proc/$BROKER_PID/status)" -lt 131072 ]
check "it never took 128 MB" $?
echo still | kc -P -t heads && [ "$(kc -C -t heads -o -1 -e -q)" = still ]
check "it serves on" $?

kill -TERM "$BROKER_PID"
wait "$BROKER_PID"
check "SIGTERM ends it with status 0" $?
[ -f "$dir/data/.kafka_cleanshutdown" ]
check "a clean stop leaves its mark" $?
BROKER_PID=
[ $failed -eq 0 ] || tail -n 40 "$dir/log" "$dir/err"
exit $failed
