# Bad input. Towards refbroker: garbage, claims, half frames, 10,000 idle connections, bombs, answers nobody reads; it serves
# on and stays under 128 MB. Towards the library: answers that are cut, late, false, noise, too large.
# budget: 40
# quick: no
set -u
. "$FERRY_TOP/tests/lib/broker.sh"
hostile=$FERRY_TOP/tests/e2e/hostile.py

command -v python3 >/dev/null || { echo "ok - bad input # SKIP no python3"; exit 0; }
PYTHONDONTWRITEBYTECODE=1
export PYTHONDONTWRITEBYTECODE

flood() {
    broker_start || return 1
    timeout 60 python3 "$hostile" flood "$BROKER" "$BROKER_PID"
    [ $? -eq 0 ] || echo "not ok - hostile.py flood ended badly"
    kill -TERM "$BROKER_PID"
    if wait "$BROKER_PID"; then echo "ok - SIGTERM still ends it with status 0"; else
        echo "not ok - SIGTERM still ends it with status 0"
        tail -n 20 "$BROKER_DIR/log"
    fi
    BROKER_PID=
}

limits() {
    broker_start -X max.connections=20 -X socket.request.max.bytes=100000 || return 1
    timeout 60 python3 "$hostile" limits "$BROKER" "$BROKER_PID"
    [ $? -eq 0 ] || echo "not ok - hostile.py limits ended badly"
    broker_stop
}

lies() {
    work=$(mktemp -d)
    timeout 100 python3 "$FERRY_TOP/tests/e2e/liar.py" "$FERRY_BUILD" "$work"
    [ $? -eq 0 ] || echo "not ok - liar.py ended badly"
    rm -rf "$work"
}

ulimit -n "$(ulimit -H -n)"
lies >"$BROKER_DIR/lies" 2>&1 &
liar=$!
if [ -z "${FERRY_SANITIZED:-}" ]; then # whose memory is no measure
    flood
    rm -rf "$BROKER_DIR/data"
    limits
fi
wait $liar
cat "$BROKER_DIR/lies"
