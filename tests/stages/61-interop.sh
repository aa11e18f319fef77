# Other languages' clients on refbroker: each produces with every codec, consumes in a group, commits and resumes.
# budget: 120
# quick: no
set -u
here=$FERRY_TOP/tests/interop
. "$FERRY_TOP/tests/lib/broker.sh"
if [ -n "${FERRY_SANITIZED:-}" ]; then
    echo "ok - other clients # SKIP not on sanitizer builds"
    exit 0
fi
server=${INTEROP_SERVER:-}
[ -n "$server" ] || { broker_start || exit 1; server=$BROKER; }
run=$$
cache=${XDG_CACHE_HOME:-$HOME/.cache}/ferry-interop
mkdir -p "$cache"

python_clients() {
    if [ ! -f "$cache/venv/.complete" ]; then
        python3 -m venv "$cache/venv" >"$cache/venv.log" 2>&1 &&
            "$cache/venv/bin/pip" -q install kafka-python aiokafka confluent-kafka python-snappy lz4 zstandard cramjam \
                >>"$cache/venv.log" 2>&1 && touch "$cache/venv/.complete" || {
            for c in kafka-python aiokafka confluent-kafka; do echo "ok - $c # SKIP could not be installed from PyPI: see $cache/venv.log"; done
            return
        }
    fi
    for c in kafka_python aiokafka confluent; do
        timeout 120 "$cache/venv/bin/python" "$here/with_$c.py" "$server" "interop-$c-$run" 2>&1 || echo "not ok - $c ended badly"
    done
}

javascript_client() {
    command -v npm >/dev/null || { echo "ok - kafkajs # SKIP no npm"; return; }
    mkdir -p "$cache/js"
    cp "$here/js/package.json" "$here/js/main.js" "$cache/js/"
    (cd "$cache/js" && npm install --silent >npm.log 2>&1) || { echo "ok - kafkajs # SKIP npm could not install it: see $cache/js/npm.log"; return; }
    (cd "$cache/js" && timeout 120 node main.js "$server" "interop-js-$run" 2>&1) || echo "not ok - kafkajs ended badly"
}

go_client() {
    command -v go >/dev/null || { echo "ok - franz-go # SKIP no go"; return; }
    mkdir -p "$cache/go"
    cp "$here/go/go.mod" "$here/go/go.sum" "$here/go/main.go" "$cache/go/"
    (cd "$cache/go" && GOFLAGS=-mod=mod GOTOOLCHAIN=local go build -o interop . >go.log 2>&1) || {
        echo "ok - franz-go # SKIP go cannot build it (it needs Go 1.25 or newer): $(tail -n 1 "$cache/go/go.log")"
        return
    }
    timeout 120 "$cache/go/interop" "$server" "interop-go-$run" 2>&1 || echo "not ok - franz-go ended badly"
}

python_clients
javascript_client
go_client
