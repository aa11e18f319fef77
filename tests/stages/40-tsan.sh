# The threaded tests under the thread sanitizer: every program of tests/unit whose name begins with test_api or
# test_drive, built whole with -fsanitize=thread.
# budget: 100
# quick: no
set -u
build=$FERRY_TOP/build-tsan
cd "$FERRY_TOP" || exit 1
programs=$(ls tests/unit/test_api*.c tests/unit/test_drive*.c | sed 's/\.c$//')
[ -n "$programs" ] || { echo "not ok - no threaded tests"; exit 1; }
mkdir -p "$build"
cd "$build" || exit 1
[ -f Makefile ] || "$FERRY_TOP/configure" -q --enable-sanitizers=thread >configure.log 2>&1 ||
    { cat configure.log; echo "not ok - configure with the thread sanitizer"; exit 1; }
make -s -j"$(nproc)" $programs >make.log 2>&1 || { tail -n 40 make.log; echo "not ok - build with the thread sanitizer"; exit 1; }
status=0
for p in $programs; do
    name=$(basename "$p")
    # A report ends the program with 66; a hang is ended by timeout. second_deadlock_stack makes lock reports readable.
    TSAN_OPTIONS="halt_on_error=0 second_deadlock_stack=1 exitcode=66" timeout 100 "./$p" >"$name.tsan" 2>&1
    rc=$?
    if [ $rc -eq 0 ] && ! grep -qE '^not ok|WARNING: ThreadSanitizer' "$name.tsan"; then
        echo "ok - $name, $(grep -c '^ok' "$name.tsan") tests under TSan"
    else
        sed 's/^/# /' "$name.tsan" | head -n 100
        echo "not ok - $name under TSan (exit status $rc)"
        status=1
    fi
done
exit $status
