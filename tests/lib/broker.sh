# For stages: a refbroker of their own. broker_start [ARGUMENT...] sets BROKER (host:port), BROKER_PID and BROKER_DIR;
# everything is stopped and removed when the stage ends.
BROKER_DIR=$(mktemp -d)
BROKER_PID=
broker_stop() {  # [SIGNAL]
    [ -n "$BROKER_PID" ] || return 0
    kill -"${1:-TERM}" "$BROKER_PID" 2>/dev/null
    wait "$BROKER_PID" 2>/dev/null
    BROKER_PID=
}
broker_start() {
    : >"$BROKER_DIR/ready"  # what the last one said must not be taken for this one's
    "$FERRY_BUILD/refbroker/refbroker" --data "$BROKER_DIR/data" --listen "${BROKER:-127.0.0.1:0}" "$@" >>"$BROKER_DIR/ready" 2>>"$BROKER_DIR/log" &
    BROKER_PID=$!
    broker_tries=0
    until grep -q '^refbroker: ready on ' "$BROKER_DIR/ready"; do
        broker_tries=$((broker_tries + 1))
        if [ $broker_tries -gt 1000 ] || ! kill -0 $BROKER_PID 2>/dev/null; then
            echo "not ok - refbroker did not start"
            tail -n 20 "$BROKER_DIR/log"
            return 1
        fi
        sleep 0.01
    done
    BROKER=$(sed -n 's/^refbroker: ready on //p' "$BROKER_DIR/ready")
}
trap 'broker_stop; rm -rf "$BROKER_DIR"' EXIT
trap 'exit 130' INT TERM
