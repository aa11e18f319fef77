#!/bin/sh
# Installs from Debian what is missing: `deps.sh build` what a build needs, `deps.sh tests` what the tests need too.
set -eu
build="gcc make autoconf automake libtool pkg-config python3 zlib1g-dev liblz4-dev libzstd-dev libc-ares-dev"
tests="clang libclang-rt-14-dev valgrind kcat binutils"
case ${1:-build} in
build) want=$build ;;
tests) want="$build $tests" ;;
*) echo "usage: deps.sh build|tests" >&2; exit 2 ;;
esac
missing=
for package in $want; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q '^install ok installed$' || missing="$missing $package"
done
[ -n "$missing" ] || exit 0
root=
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || { echo "deps: missing:$missing; run as root, or install them: apt-get install$missing" >&2; exit 1; }
    root=sudo
fi
echo "deps: installing$missing"
export DEBIAN_FRONTEND=noninteractive
$root apt-get update -qq
$root apt-get install -y -qq --no-install-recommends $missing >/dev/null
