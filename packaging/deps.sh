#!/bin/sh
# Installs from Debian what is missing: `deps.sh build` what a build needs, `deps.sh tests` what the tests need too.
# A word "package:command" is installed only where the command is missing: it may come from elsewhere.
set -eu
build="gcc make autoconf automake libtool pkg-config python3 zlib1g-dev libsnappy-dev liblz4-dev libzstd-dev
    libc-ares-dev libjansson-dev libssl-dev"
tests="clang:clang libclang-rt-14-dev valgrind:valgrind kcat:kcat strace:strace binutils librdkafka-dev
    python3-venv openjdk-17-jdk-headless:javac maven:mvn nodejs:node npm:npm golang-go:go"
case ${1:-build} in
build) want=$build ;;
tests) want="$build $tests" ;;
*) echo "usage: deps.sh build|tests" >&2; exit 2 ;;
esac
missing=
for word in $want; do
    package=${word%%:*}
    [ "$word" = "$package" ] || ! command -v "${word#*:}" >/dev/null || continue
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q '^install ok installed$' || missing="$missing $package"
done
[ -n "$missing" ] || exit 0
root=
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || { echo "deps: missing:$missing; run as root, or: apt-get install$missing" >&2; exit 1; }
    root=sudo
fi
echo "deps: installing$missing"
$root env DEBIAN_FRONTEND=noninteractive apt-get update -qq
$root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
