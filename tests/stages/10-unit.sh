# The unit tests: every module alone, on the ordinary build.
# budget: 80
# quick: yes
cd "$FERRY_BUILD" || exit 1
make -s -j"$(nproc)" check VERBOSE=1 >unit.log 2>&1
status=$?
sed -n 's/^PASS: /ok - /p; s/^SKIP: \(.*\)/ok - \1/p; s/^FAIL: /not ok - /p; s/^ERROR: /not ok - /p' unit.log
[ $status -eq 0 ] || { cat unit.log; exit 1; }
