# The unit tests under ASan and UBSan, built by clang; a tenth of the mutations; admin calls from client to refbroker.
# budget: 240
# quick: no
set -u
skip() { echo "ok - the sanitizers # SKIP $1"; exit 0; }
command -v clang >/dev/null || skip "no clang"
cc=clang
command -v ccache >/dev/null && cc="ccache clang"
build=$FERRY_BUILD-asan
# A leak is a finding as well; allocations that fail return NULL, as everywhere else.
export ASAN_OPTIONS="detect_leaks=1 allocator_may_return_null=1 abort_on_error=0"
export UBSAN_OPTIONS="print_stacktrace=1 halt_on_error=1"
if [ -f "$build/Makefile" ]; then
    sh "$FERRY_TOP/packaging/build.sh" "$build"
else
    sh "$FERRY_TOP/packaging/build.sh" "$build" --enable-werror --enable-sanitizers=address,undefined CC="$cc" CFLAGS="-O1 -g"
fi || { echo "not ok - the build with ASan and UBSan"; exit 1; }
cd "$build" || exit 1
status=0
timeout 500 make -s -k -j"$(nproc)" check VERBOSE=1 >asan.log 2>&1 || status=1
sed -n 's/^PASS: \(.*\)/ok - \1/p; s/^SKIP: \(.*\)/ok - \1/p; s/^FAIL: /not ok - /p; s/^ERROR: /not ok - /p' asan.log
[ $status -eq 0 ] || { sed 's/^/# /' asan.log | grep -v '^# \(PASS\|SKIP\)' | tail -n 200; echo "not ok - make check under ASan and UBSan"; }

# Program and rounds of what prints TAP.
while read -r program rounds; do
    make -s "$program" >make.log 2>&1 || { cat make.log; echo "not ok - $program builds"; status=1; continue; }
    srcdir=$FERRY_TOP timeout 100 "./$program" "$rounds" "$(date +%j)" >fuzz.log 2>&1
    rc=$?
    grep -E '^(not )?ok' fuzz.log | sed 's/$/ under ASan/'
    [ $rc -eq 0 ] || { sed 's/^/# /' fuzz.log | tail -n 60; echo "not ok - $program ended with $rc"; status=1; }
done <<'END'
tests/fuzz/decode 100
tests/fuzz/batch 2000
END

make -s tests/sim/run >make.log 2>&1 && timeout 150 ./tests/sim/run --seeds 100 >sim.log 2>&1
if [ $? -eq 0 ]; then
    echo "ok - the simulator under ASan: $(tail -n 1 sim.log)"
    "$FERRY_BUILD/tests/sim/run" --seeds 100 >sim-plain.log 2>&1
    if [ "$(grep '^hash=' sim.log)" = "$(grep '^hash=' sim-plain.log)" ]; then
        echo "ok - the same seeds give the same trace in this build and in the main one"
    else
        echo "# $(grep '^hash=' sim.log) by clang with ASan, $(grep '^hash=' sim-plain.log) by the main build"
        echo "not ok - the same seeds give the same trace in this build and in the main one"
        status=1
    fi
else
    sed 's/^/# /' make.log sim.log | tail -n 60
    echo "not ok - the simulator under ASan"
    status=1
fi

FERRY_SANITIZED=1 FERRY_BUILD=$build timeout 200 sh "$FERRY_TOP/tests/stages/70-admin.sh" >admin.log 2>&1 </dev/null || status=1
grep -v '# SKIP' admin.log | sed 's/^\(\(not \)*ok\) .*/& under ASan/'
FERRY_SANITIZED=1 FERRY_BUILD=$build timeout 100 sh "$FERRY_TOP/tests/stages/52-broker-hostile.sh" >lies.log 2>&1 </dev/null || status=1
sed 's/^\(\(not \)*ok\) .*/& under ASan/' lies.log
exit $status
