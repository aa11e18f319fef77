#!/bin/sh
# Makes messages.txt from what Codec.java wrote (names of such files are the arguments): of the messages of each kind the
# longest that still fits a line. Needs the built tests/codec/peer in $FERRY_BUILD.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
{
    echo "# Messages as Apache Kafka's own classes write them: name, version, hexadecimal ('-' where there are no bytes)."
    cat "$@" | "${FERRY_BUILD:-$here/../../build}/tests/codec/peer" text |
        awk '{k = $1 " " $2; if (!(k in best)) best[k] = ""
              if (length($3) <= 600 && length($3) > length(best[k])) best[k] = $3}
             END {for (k in best) print k, best[k] == "" ? "-" : best[k]}' | LC_ALL=C sort -k1,1 -k2,2n
} >"$here/messages.txt"
