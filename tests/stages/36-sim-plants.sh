# Do the simulator's checkers bite? Every bug that can be planted is found by the checker that is meant for it; with none
# planted the program that holds them plays the same run as the simulator itself; docs/simulation.md lists them all.
# budget: 30
# quick: yes
cd "$FERRY_BUILD" || exit 1
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
status=0
say() {  # STATUS TEXT
    if [ "$1" -eq 0 ]; then echo "ok - $2"; else echo "not ok - $2"; status=1; fi
}
make -s tests/sim/planted >"$out/make" 2>&1 || { cat "$out/make"; echo "not ok - tests/sim/planted is built"; exit 1; }
planted=tests/sim/planted
"$planted" --list >"$out/list"

"$planted" $(awk 'NR % 2' "$out/list") >"$out/odd" 2>&1 &
odd=$!
"$planted" $(awk 'NR % 2 == 0' "$out/list") >"$out/even" 2>&1 || status=1
wait "$odd" || status=1
cat "$out/odd" "$out/even"

# One that no checker of a single run can see: an address decides.
[ "$("$planted" --hash address-decides)" != "$(MALLOC_PERTURB_=165 MALLOC_TOP_PAD_=999999 "$planted" --hash address-decides)" ]
say $? "address-decides is found: two processes give two traces"
[ "$("$planted" --hash none)" = "$(MALLOC_PERTURB_=165 MALLOC_TOP_PAD_=999999 "$planted" --hash none)" ]
say $? "without a plant they give the same"
[ "$("$planted" --hash none)" = "$(tests/sim/run --seeds 3 | grep '^hash=')" ]
say $? "without a plant it is the simulator's own trace"

sed -n '/^## Do the checkers bite/,/^## Add/s/^| `\([a-z-]*\)` |.*/\1/p' "$FERRY_TOP/docs/simulation.md" | sort >"$out/documented"
sort "$out/list" | cmp -s - "$out/documented"
say $? "docs/simulation.md lists the plants: $(sort "$out/list" | comm -3 - "$out/documented" | tr -s '\n\t' ' ')"
nm .libs/libcommon.a .libs/libclientcore.a .libs/librefbroker.a >"$out/symbols" 2>/dev/null
grep -q ' T log_open$' "$out/symbols" && ! grep -q ferry_planted "$out/symbols"
say $? "neither library nor broker holds a plant"
exit $status
