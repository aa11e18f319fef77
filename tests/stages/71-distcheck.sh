# `make distcheck`: a tarball that builds, tests, installs and uninstalls from a read-only tree, with every optional library
# of the client switched off (all other stages have them all); and the same tarball builds where there is no Python, since it
# carries what the generator wrote.
# budget: 140
# quick: no
set -u
dir=$(mktemp -d)
trap 'chmod -R u+w "$dir"; rm -rf "$dir"' EXIT
cd "$FERRY_BUILD" || exit 1
flags="CFLAGS=-O1"
command -v ccache >/dev/null && flags="$flags CC='ccache gcc'"
least="--without-zlib --without-snappy --without-lz4 --without-zstd --without-cares"
make -s -j"$(nproc)" distcheck DISTCHECK_CONFIGURE_FLAGS="$flags $least" >distcheck.log 2>&1 || {
    grep -nE 'not ok|\*\*\*|rror:|^FAIL|^ERROR' distcheck.log | head -n 40
    tail -n 60 distcheck.log
    echo "not ok - make distcheck"
    exit 1
}
echo "ok - make distcheck, without any optional library"
tarball=$(ls "$PWD"/ferry-*.tar.xz)
status=0
# What is kept in git belongs into the tarball: tests, documents, packaging.
if git -C "$FERRY_TOP" ls-files >"$dir/tracked" 2>/dev/null; then
    tar -tf "$tarball" | sed 's|^[^/]*/||' | sort >"$dir/packed"
    grep -v '^\.git' "$dir/tracked" | sort | comm -23 - "$dir/packed" >"$dir/missing"
    if [ -s "$dir/missing" ]; then
        sed 's/^/# not in EXTRA_DIST: /' "$dir/missing"
        echo "not ok - the tarball holds every file of the tree"
        status=1
    else
        echo "ok - the tarball holds every file of the tree"
    fi
fi
tar -C "$dir" -xf "$tarball" && cd "$dir"/ferry-* && eval "./configure -q PYTHON=: $flags" >"$dir/log" 2>&1 &&
    make -s -j"$(nproc)" libferry.la >>"$dir/log" 2>&1 || { tail -n 40 "$dir/log"; echo "not ok - the tarball builds without Python"; exit 1; }
echo "ok - the tarball builds without Python"
exit $status
