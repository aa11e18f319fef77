# refbroker ended at any moment, on damaged data, and on a full disk: what was acknowledged is there, once and in order.
# budget: 40
# quick: no
set -u
producer=$FERRY_BUILD/tests/e2e/producer
library=$FERRY_TOP/tests/lib/broker.sh
work=$(mktemp -d)
trap 'umount "$work/full" 2>/dev/null; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
PYTHONDONTWRITEBYTECODE=1
export PYTHONDONTWRITEBYTECODE

judge() {  # NAME STATUS FILE: its last line belongs to the name
    if [ "$2" -eq 0 ]; then echo "ok - $1: $(tail -n 1 "$3")"; else
        echo "not ok - $1 (status $2)"
        tail -n 15 "$3" | sed 's/^/# /'
    fi
}

new_topic() {  # TOPIC: of many small segments
    timeout 20 "$FERRY_BUILD/ferry-topics" --bootstrap-server "$BROKER" --create --topic "$1" --partitions 3 \
        --config internal.segment.bytes=60000 --config segment.index.bytes=4096 >/dev/null
}

# NAME KILLS SETTING...: records are sent for some seconds; meanwhile the broker is killed at random moments.
killed() {
    . "$library"
    name=$1 kills=$2
    shift 2
    broker_start "$@" || return
    new_topic killed
    timeout 90 "$producer" send "$BROKER" killed 0 30000 $((kills / 2)) linger.ms=2 batch.size=4000 reconnect.backoff.ms=20 \
        reconnect.backoff.max.ms=100 >"$BROKER_DIR/sent" 2>&1 &
    sender=$!
    restarts=0 clean=0
    while [ $restarts -lt "$kills" ] && kill -0 $sender 2>/dev/null; do
        sleep "0.$(shuf -i 15-60 -n 1)"
        restarts=$((restarts + 1))
        if [ $((restarts % 4)) -eq 0 ]; then
            kill -TERM "$BROKER_PID"
            wait "$BROKER_PID" || echo "not ok - $name: SIGTERM in the middle ends it with status $?"
            clean=$((clean + 1))
            BROKER_PID=
        else
            broker_stop KILL
        fi
        broker_start "$@" || return
    done
    wait $sender
    judge "$name: all is delivered through $restarts restarts, $clean of them clean" $? "$BROKER_DIR/sent"
    timeout 60 "$producer" check "$BROKER" killed 30000 once >"$BROKER_DIR/check" 2>&1
    judge "$name: and is there once, in order" $? "$BROKER_DIR/check"
    broker_stop KILL
    broker_start "$@" || return
    timeout 60 "$producer" check "$BROKER" killed 30000 once >"$BROKER_DIR/check" 2>&1
    judge "$name: after one more SIGKILL too" $? "$BROKER_DIR/check"
}

# Sends [0, 12000), of which not all can be written; frees room by COMMAND...; sends [12000, 16000).
runs_full() {  # NAME COMMAND...
    name=$1
    shift
    export ACKED="$BROKER_DIR/acked"
    timeout 60 "$producer" send "$BROKER" full 0 12000 0 delivery.timeout.ms=1500 request.timeout.ms=700 linger.ms=1 batch.size=8000 \
        >"$BROKER_DIR/sent" 2>&1
    status=$?
    grep -q '^acked=[1-9][0-9]* failed=[1-9]' "$BROKER_DIR/sent" && [ $status -eq 1 ]
    judge "$name: the producer is told" $? "$BROKER_DIR/sent"
    kill -0 "$BROKER_PID"
    judge "$name: the broker runs on" $? "$BROKER_DIR/log"
    timeout 60 "$producer" check "$BROKER" full 12000 acked >"$BROKER_DIR/check" 2>&1
    judge "$name: nothing acknowledged is lost" $? "$BROKER_DIR/check"
    "$@" || return
    timeout 60 "$producer" send "$BROKER" full 12000 4000 0 >"$BROKER_DIR/sent" 2>&1
    judge "$name: it is written again when there is room" $? "$BROKER_DIR/sent"
    timeout 60 "$producer" check "$BROKER" full 16000 acked >"$BROKER_DIR/check" 2>&1
    judge "$name: all acknowledged is there" $? "$BROKER_DIR/check"
    broker_stop KILL
    broker_start || return
    timeout 60 "$producer" check "$BROKER" full 16000 acked >"$BROKER_DIR/check" 2>&1
    judge "$name: after SIGKILL too" $? "$BROKER_DIR/check"
}

full_disk() {
    . "$library"
    mkdir "$work/full"
    mount -t tmpfs -o size=3m none "$work/full" 2>/dev/null || {
        echo "ok - a full disk # SKIP no file system of its own can be mounted here"
        return
    }
    ln -s "$work/full" "$BROKER_DIR/data"
    dd if=/dev/zero of="$work/full/ballast" bs=1024 count=2300 2>/dev/null
    broker_start -X log.flush.interval.messages=1 || return
    new_topic full
    runs_full "a full disk" rm "$work/full/ballast"
    broker_stop
    umount "$work/full"
}

without_limit() {
    broker_stop
    broker_start
}

file_limit() {
    . "$library"
    broker_start || return
    timeout 20 "$FERRY_BUILD/ferry-topics" --bootstrap-server "$BROKER" --create --topic full --partitions 3 >/dev/null
    broker_stop
    (ulimit -f 400 && exec "$FERRY_BUILD/refbroker/refbroker" --data "$BROKER_DIR/data" --listen "$BROKER" >"$BROKER_DIR/limited" \
        2>"$BROKER_DIR/log") &
    BROKER_PID=$!
    tries=0
    until [ -s "$BROKER_DIR/limited" ] || [ $tries -gt 500 ]; do tries=$((tries + 1)) && sleep 0.01; done
    runs_full "a limit on the size of files" without_limit
}

wrecks() {
    command -v python3 >/dev/null || { echo "ok - damaged data # SKIP no python3"; return; }
    timeout 100 python3 "$FERRY_TOP/tests/e2e/wreck.py" "$FERRY_BUILD/refbroker/refbroker" "$work/wreck" ||
        echo "not ok - wreck.py ended badly"
}

(full_disk) >"$work/out1" 2>&1 &
(killed "flushing every record" 12 -X log.flush.interval.messages=1) >"$work/out2" 2>&1 &
wait
(killed "without flushes" 10) >"$work/out3" 2>&1 &
(file_limit) >"$work/out4" 2>&1 &
(wrecks) >"$work/out5" 2>&1 &
wait
cat "$work"/out?
