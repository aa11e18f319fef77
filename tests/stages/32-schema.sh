# The generator: what it makes of a small schema, and what it says about wrong ones.
# budget: 10
# quick: yes
python=$(command -v python3) || { echo "ok - the schema generator # SKIP no python3"; exit 0; }
gen=$FERRY_TOP/libclient/schema/gen.py
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
status=0
fail() { echo "not ok - $1"; status=1; }

if "$python" "$gen" "$work" "$FERRY_TOP/tests/schema/tiny.msg" && diff "$FERRY_TOP/tests/schema/messages.h" "$work/messages.h" &&
    diff "$FERRY_TOP/tests/schema/messages.c" "$work/messages.c"; then
    echo "ok - the tiny schema gives the messages.h and messages.c that stand beside it"
else
    fail "the tiny schema gives something else; where that is meant: gen.py tests/schema tests/schema/tiny.msg"
fi

refused() {  # PLACE-AND-WORDS, the schema on stdin
    cat >"$work/bad.msg"
    rm -f "$work"/messages.*
    if "$python" "$gen" "$work" "$work/bad.msg" 2>"$work/said"; then
        fail "accepted, instead of: $1"
    elif ! grep -qF "gen.py: bad.msg:$1" "$work/said" || [ -f "$work/messages.h" ]; then
        fail "instead of \"$1\" it says: $(tail -n 1 "$work/said")"
    else
        echo "ok - refused: $1"
    fi
}

data() { printf 'data D, versions 0-3, flexible 2+\n%s\n' "$1"; }

data '    0+ a int33' | refused "2: 'int33' is neither a type nor a struct with fields"
printf 'data D, versions 0\n    0+ a int8\n        0+ b int8\n' | refused "3: indented below a field that is no new struct"
data '    0+ a' | refused "2: '0+ a' is not VERSIONS NAME TYPE"
data '    3-1 a int8' | refused "2: the version range '3-1' is empty"
data '    x a int8' | refused "2: 'x' is not a version range"
data '    0+ a int8?' | refused "2: int8 cannot be null"
data '    0+ a int8 = 128' | refused "2: 128 cannot be the default of int8 a"
data '    0+ a string = null' | refused "2: null cannot be the default of string a"
data '    0+ a string, tag 0' | refused "2: tag 0 outside the flexible versions"
data '    0+ a string, tagged' | refused "2: 'tagged' is not '= VALUE', 'tag N', 'ignorable' or 'inflexible'"
data '    0+ int int8' | refused "2: 'int' cannot name a field here"
printf 'data D, versions 0+\n' | refused "1: the versions of a message have an end"
printf 'data D, version 0\n' | refused "1: 'version 0' is not versions, live"
printf 'date D, versions 0\n' | refused "1: 'date D' does not begin a message"
printf '    0+ a int8\n' | refused "1: a field outside a message"
printf 'data D, versions 0, flexible 0+\n    0+ a int8, tag 1\n    0+ b int8, tag 1\n' | refused "1: a tag is used twice in D"
printf 'data D, versions 0\n    0+ a int8\n    0+ a int8\n' | refused "3: 'a' cannot name a field here"
printf 'data D, versions 0\n    struct s\n        0+ again []s\n    0+ a s\n' | refused "2: struct 's' contains itself"
printf 'data D, versions 0\n    0+ a s?\n        0+ x int8 = 5\n' | refused "2: the empty a is not all zero"
exit $status
