# The decoder under a coverage-guided fuzzer with ASan and UBSan, seeded with the golden vectors: 20 seconds, no finding.
# FERRY_FUZZ_SECONDS makes it longer; findings stay in fuzz-decode/ of the build.
# budget: 60
# quick: no
skip() { echo "ok - fuzzing the decoder # SKIP $1"; exit 0; }
command -v clang >/dev/null || skip "no clang"
cd "$FERRY_BUILD" || exit 1
make -s tests/fuzz/decode >/dev/null || exit 1
rm -rf fuzz-decode
mkdir -p fuzz-decode/seeds fuzz-decode/corpus
echo 'int LLVMFuzzerTestOneInput(const char *d, unsigned long n) { return 0; }' >fuzz-decode/try.c
clang -fsanitize=fuzzer,address fuzz-decode/try.c -o fuzz-decode/try 2>fuzz-decode/try.log || skip "clang has no libFuzzer"
./tests/fuzz/decode --seeds "$FERRY_TOP/tests/vectors/messages.txt" fuzz-decode/seeds || exit 1
lib=$FERRY_TOP/libclient
clang -std=gnu11 -g -O1 -fno-strict-aliasing -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all \
    -I. -I"$lib" -I"$lib/include" -I"$FERRY_TOP" -o fuzz-decode/fuzz \
    "$FERRY_TOP/tests/fuzz/decode.c" "$FERRY_TOP/tests/lib/gen.c" \
    "$lib"/wire/*.c "$lib"/base/arena.c "$lib"/base/check.c "$lib"/base/err.c "$lib"/base/mem.c "$lib"/base/prng.c \
    "$lib"/base/text.c || { echo "not ok - the fuzzer builds"; exit 1; }
cd fuzz-decode
if ./fuzz -max_total_time="${FERRY_FUZZ_SECONDS:-20}" -max_len=4096 -rss_limit_mb=1024 -timeout=5 -print_final_stats=1 \
    corpus seeds >fuzz.log 2>&1; then
    echo "ok - fuzzing the decoder: $(sed -n 's/^stat::number_of_executed_units: *//p' fuzz.log) inputs"
else
    echo "not ok - fuzzing the decoder found something"
    tail -n 60 fuzz.log
    exit 1
fi
