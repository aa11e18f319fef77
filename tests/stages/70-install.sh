# `make install` into an empty directory: programs and pkg-config file are there, and a C and a C++ program build against
# every public header with nothing but pkg-config's flags, and run.
# budget: 15
# quick: no
set -u
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
status=0
check() {  # NAME STATUS
    if [ "$2" -eq 0 ]; then echo "ok - $1"; else sed 's/^/# /' "$dir/log" | tail -n 40; echo "not ok - $1"; status=1; fi
}
# The prefix is the one that was configured: DESTDIR carries it off, and pkg-config is told so.
prefix=$(sed -n 's/^prefix = //p' "$FERRY_BUILD/Makefile")
make -s -C "$FERRY_BUILD" install DESTDIR="$dir/root" >"$dir/log" 2>&1
check "make install" $?
root=$dir/root$prefix
for program in refbroker ferry-console-producer ferry-console-consumer ferry-topics ferry-groups ferry-perf; do
    ls "$root/bin" >"$dir/log" 2>&1
    [ -x "$root/bin/$program" ]
    check "$program is installed" $?
    man=$root/share/man/man1/$program.1
    [ -s "$man" ] && grep -q '^.SH EXIT STATUS' "$man"
    check "with a man page that tells its exit status" $?
done
# For bindings: nothing is only a macro or inline, has a variable number of arguments, or a type whose width varies.
for header in "$root"/include/ferry/*.h; do ${CC:-cc} -fpreprocessed -dD -E -P "$header" 2>/dev/null; done >"$dir/plain.h"
grep -nE '#[ ]*define[ ]+[A-Za-z_0-9]+\(|static inline|\.\.\.|va_list|\b(_Bool|bool|long|short|unsigned|wchar_t|time_t)\b' \
    "$dir/plain.h" >"$dir/log"
grep -q ferry_send_record "$dir/plain.h" || echo "no header was read" >>"$dir/log"
[ ! -s "$dir/log" ]
check "the headers have functions of fixed-width types alone" $?
pc() {
    PKG_CONFIG_PATH=$root/lib/pkgconfig pkg-config --define-variable=prefix="$root" "$@" ferry 2>>"$dir/log"
}
: >"$dir/log"
flags=$(pc --cflags --libs)
check "pkg-config --cflags --libs ferry" $?
[ "$(pc --modversion)" = "$(sed -n 's/^PACKAGE_VERSION = //p' "$FERRY_BUILD/Makefile")" ]
check "pkg-config names the version" $?
static=$(pc --static --libs)
check "pkg-config --static finds what the library needs in turn ($static)" $?

# Every header on its own, then all, then a call.
lone=0
for header in "$root"/include/ferry/*.h; do
    name=$(basename "$header")
    printf '#include <ferry/%s>\nint main(void);\nint main(void) { return 0; }\n' "$name" >"$dir/one.c"
    ${CC:-cc} -std=c11 -Wall -Wextra -Werror -pedantic -Wstrict-prototypes -fsyntax-only $flags "$dir/one.c" >"$dir/log" 2>&1 ||
        { check "$name stands alone in C11" 1; lone=1; }
    cp "$dir/one.c" "$dir/one.cc"
    ${CXX:-c++} -std=c++11 -Wall -Wextra -Werror -pedantic -fsyntax-only $flags "$dir/one.cc" >"$dir/log" 2>&1 ||
        { check "$name stands alone in C++11" 1; lone=1; }
done
[ $lone -ne 0 ] || echo "ok - every header stands alone, in C11 and in C++11"
{
    for header in "$root"/include/ferry/*.h; do echo "#include <ferry/$(basename "$header")>"; done
    cat <<'END'
#include <stdio.h>
#include <string.h>
int main(void)
{
    printf("%s\n", ferry_version());
    return strcmp(ferry_version(), FERRY_VERSION_EXPECTED) != 0;
}
END
} >"$dir/all.c"
cp "$dir/all.c" "$dir/all.cc"
version=$(sed -n 's/^PACKAGE_VERSION = //p' "$FERRY_BUILD/Makefile")
export LD_LIBRARY_PATH="$root/lib"
${CC:-cc} -std=c11 -Wall -Wextra -Werror -pedantic -DFERRY_VERSION_EXPECTED="\"$version\"" -o "$dir/all" "$dir/all.c" $flags \
    >"$dir/log" 2>&1 && timeout 10 "$dir/all" >>"$dir/log" 2>&1
check "a C program builds against the installed library and runs" $?
${CXX:-c++} -std=c++11 -Wall -Wextra -Werror -pedantic -DFERRY_VERSION_EXPECTED="\"$version\"" -o "$dir/all++" "$dir/all.cc" \
    $flags >"$dir/log" 2>&1 && timeout 10 "$dir/all++" >>"$dir/log" 2>&1
check "a C++ program builds against the installed library and runs" $?
kib=$(strip -o "$dir/stripped" "$root/lib/libferry.so" && echo $(($(stat -c %s "$dir/stripped") / 1024)))
echo "stripped: ${kib:-?} KiB" >"$dir/log"
[ "${kib:-9999}" -le 600 ]
check "libferry.so stripped is ${kib:-?} KiB of 600" $?
make -s -C "$FERRY_BUILD" uninstall DESTDIR="$dir/root" >"$dir/log" 2>&1
left=$(find "$dir/root" -type f -o -type l)
echo "$left" >>"$dir/log"
[ -z "$left" ]
check "make uninstall leaves no file" $?
exit $status
