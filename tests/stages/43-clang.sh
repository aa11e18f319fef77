# Everything, tests included, compiles without a warning by clang; the main build does so by gcc (.ci/run).
# budget: 100
# quick: no
set -u
command -v clang >/dev/null || { echo "ok - a clang build # SKIP no clang"; exit 0; }
cc=clang
command -v ccache >/dev/null && cc="ccache clang"
build=$FERRY_BUILD-clang
if [ -f "$build/Makefile" ]; then
    sh "$FERRY_TOP/packaging/build.sh" "$build"
else
    sh "$FERRY_TOP/packaging/build.sh" "$build" --enable-werror CC="$cc" CFLAGS=-O2
fi || { echo "not ok - clang -Werror builds the library, the broker and the tools"; exit 1; }
echo "ok - clang -Werror builds the library, the broker and the tools"
cd "$build" || exit 1
if make -s -k -j"$(nproc)" check TESTS= >check.log 2>&1; then
    echo "ok - clang -Werror builds the tests"
else
    tail -n 60 check.log
    echo "not ok - clang -Werror builds the tests"
    exit 1
fi
