# packaging/quickstart.sh on its 50 MB; that it fails when one byte, one record more, or one key's order differs; and that
# packaging/deps.sh asks for nothing that is there, takes sudo where it is needed, and says what to do where there is none.
# budget: 40
# quick: no
set -u
dir=$(mktemp -d)
trap 'chmod -R u+w "$dir"; rm -rf "$dir"' EXIT
trap 'exit 130' INT TERM
check() { # NAME STATUS
    if [ "$2" -eq 0 ]; then echo "ok - $1"; else echo "not ok - $1"; tail -n 20 "$dir/out" | sed 's/^/# /'; fi
}
quickstart() { # BUILD MEGABYTES
    FERRY_BUILD=$1 QUICKSTART_MB=$2 timeout 90 sh "$FERRY_TOP/packaging/quickstart.sh" >"$dir/out" 2>&1
}
quickstart "$FERRY_BUILD" 50
check "the quickstart succeeds" $?
has() { grep -qE -- "$1" "$dir/out"; }
has 'made (5[0-9]|[6-9][0-9]) MB of text: [0-9]+ records with [0-9]+ keys'
check "with at least 50 MB of records with keys" $?
has 'produced in [0-9]+ ms: [0-9]+ records/s' && has 'two consumers \([1-9][0-9]* and [1-9][0-9]* records\).* records/s'
check "and tells its rates; both consumers had a share" $?

# A build that is there already, whose consumers do not print what they read.
mkdir -p "$dir/build/refbroker"
printf 'all:\n' >"$dir/build/Makefile"
for program in ferry-topics ferry-groups ferry-console-producer; do ln -s "$FERRY_BUILD/$program" "$dir/build/$program"; done
ln -s "$FERRY_BUILD/refbroker/refbroker" "$dir/build/refbroker/refbroker"
plant() { # NAME PYTHON: what becomes of line number n of a consumer
    cat >"$dir/build/ferry-console-consumer" <<END
#!/usr/bin/env python3
import signal, subprocess, sys
consumer = subprocess.Popen(["$FERRY_BUILD/ferry-console-consumer"] + sys.argv[1:], stdout=subprocess.PIPE)
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, lambda number, frame: consumer.send_signal(number))
held, done = [], []
for n, line in enumerate(consumer.stdout):
    for one in $2:
        sys.stdout.buffer.write(one)
    sys.stdout.buffer.flush()
sys.exit(consumer.wait())
END
    chmod +x "$dir/build/ferry-console-consumer"
    quickstart "$dir/build" 1
    [ $? -eq 1 ] && has 'differs from what was sent'
    check "$1 is found" $?
}
plant "a byte that differs" '[line[:-2] + b"~\n"] if n == 1000 else [line]'
plant "a record twice" '[line, line] if n == 1000 else [line]'
# The first two neighbours of one key that differ change places.
cat >"$dir/swap.py" <<'END'
def swap(held, done, line):
    key = line.split(b"\t")[0]
    if done or not held or held[0].split(b"\t")[0] != key or held[0] == line:
        out = held[:] + ([line] if done else [])
        held[:] = [] if done else [line]
        return out
    done.append(True)
    out = [line, held.pop()]
    return out
END
export PYTHONPATH="$dir"
plant "a key out of order" '__import__("swap").swap(held, done, line)'
printf '#!/bin/sh\nexec "%s/ferry-console-consumer" "$@"\n' "$FERRY_BUILD" >"$dir/build/ferry-console-consumer"
quickstart "$dir/build" 1
check "without a plant the same build passes" $?

# deps.sh in worlds of its own: which commands there are, what is installed, who asks.
mkdir "$dir/bin"
world() { # INSTALLED UID [sudo]
    rm -f "$dir"/bin/* "$dir/calls"
    printf '#!/bin/sh\nprintf "%%s" "%s"\n' "$1" >"$dir/bin/dpkg-query"
    printf '#!/bin/sh\necho %s\n' "$2" >"$dir/bin/id"
    printf '#!/bin/sh\necho "apt-get $*" >>"%s/calls"\n' "$dir" >"$dir/bin/apt-get"
    [ -z "${3:-}" ] || printf '#!/bin/sh\necho sudo >>"%s/calls"\nexec "$@"\n' "$dir" >"$dir/bin/sudo"
    for command in sh grep env; do ln -sf "$(command -v $command)" "$dir/bin/$command"; done
    chmod +x "$dir"/bin/*
    PATH=$dir/bin sh "$FERRY_TOP/packaging/deps.sh" build >"$dir/out" 2>&1
    status=$?
    cat "$dir/calls" >>"$dir/out" 2>/dev/null
    return $status
}
world "install ok installed" 1000 && [ ! -f "$dir/calls" ]
check "a user who has everything needs neither sudo nor apt-get" $?
world "" 0 && ! grep -q sudo "$dir/calls" && grep -q 'install.* gcc .*zlib1g-dev' "$dir/calls"
check "root installs what is missing" $?
world "" 1000 sudo && grep -q sudo "$dir/calls" && grep -q 'install.* gcc ' "$dir/calls"
check "a user does by sudo" $?
! world "" 1000 && [ ! -f "$dir/calls" ] && has 'run as root, or: apt-get install .*gcc'
check "a user without sudo is told what to install" $?
