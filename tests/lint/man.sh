#!/bin/sh
# Each man page says what its program's --help says now: packaging/man.py makes both agree.
set -u
top=${FERRY_TOP:-.}
status=0
for page in "$top"/docs/man/*.1; do
    name=$(basename "$page" .1)
    program=$FERRY_BUILD/$name
    [ -x "$program" ] && [ ! -d "$program" ] || program=$FERRY_BUILD/$name/$name
    if python3 "$top/packaging/man.py" "$program" | diff -q - "$page" >/dev/null; then
        echo "ok - $name.1 is current"
    else
        echo "not ok - $name.1 differs from $name --help: python3 packaging/man.py $program >docs/man/$name.1"
        status=1
    fi
done
exit $status
