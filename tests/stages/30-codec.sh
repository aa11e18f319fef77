# Every message and version: random messages come back byte for byte, and 1,000 mutations each (a tenth of them in a
# sanitizer build) decode to an error or to a value.
# budget: 15
# quick: yes
cd "$FERRY_BUILD" || exit 1
make -s tests/fuzz/decode >/dev/null || exit 1
timeout 80 ./tests/fuzz/decode 1000 "$(date +%Y%j)" # another seed every day; the output names it
