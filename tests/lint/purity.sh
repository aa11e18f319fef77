#!/bin/sh
# The purity rule: an engine's objects have no clock, socket, file, thread or randomness. Every undefined symbol of the
# objects below must be defined by another of them or stand on the allow-list.
set -u
build=${FERRY_BUILD:-build}
cd "$build" || exit 1
objects=$(find libclient/base libclient/wire libclient/record libclient/engine libclient/accum libclient/client refbroker \
    -path '*/.libs/*.o' ! -name 'main.o' | sort)
[ -n "$objects" ] || { echo "not ok - no engine objects in $build"; exit 1; }
allow='^(_GLOBAL_OFFSET_TABLE_|__stack_chk_fail|abort|free|malloc|calloc|realloc|mem(cpy|move|set|cmp|chr|mem|rchr)|__mem.*_chk|bcmp'
allow="$allow|str(len|nlen|cmp|ncmp|casecmp|ncasecmp|chr|rchr|str|cpy|spn|cspn|tol|toll|toul|toull|tod|pbrk)|__isoc(99|23)_s.*"
allow="$allow|v?snprintf|__v?snprintf_chk|sscanf|qsort|bsearch|tolower|toupper|__ctype_.*_loc|__errno_location"
allow="$allow|fprintf|stderr|__fprintf_chk|floor|ceil|round|pow|log|log2|exp|sqrt|fmod|ldexp|frexp"
allow="$allow|inflate.*|deflate.*|crc32.*|LZ4.*|XXH.*|ZSTD_.*|snappy_.*|__tls_get_addr|__asan.*|__ubsan.*|__tsan.*"
allow="$allow|__cpu_model|__cpu_indicator_init|__popcountdi2|__divti3|__udivti3|__umodti3|__multi3)\$"
nm -u --no-sort $objects | awk '/:$/ {o = $0; next} NF {print o, $NF}' | sort -u >purity.undefined
nm --defined-only $objects | awk 'NF == 3 {print $3}' | sort -u >purity.defined
# check.c alone may print and abort: an assertion's last words.
bad=$(awk -v allow="$allow" 'NR == FNR {have[$1] = 1; next} !($2 in have) && $2 !~ allow {print}
    ($2 ~ /^(fprintf|stderr|__fprintf_chk|abort)$/) && $1 !~ /base.*check/ {print}' purity.defined purity.undefined)
if [ -n "$bad" ]; then
    printf '%s\n' "$bad" | sed 's/^/not ok - impure: /'
    exit 1
fi
echo "ok - $(echo "$objects" | wc -w) engine objects name no clock, socket, file, thread or randomness"
