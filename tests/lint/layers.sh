#!/bin/sh
# The layer rule: an include may only point to the left of
#   base < wire < record < engine < client < api; record < accum < client; engine < drive < api, refbroker.
# refbroker uses base to engine, and drive in main.c only; tools use public headers only; nobody includes tests.
set -u
cd "$(dirname "$0")/../.."
python3 - <<'PY'
import os, re, sys
lib = {"base": set(), "schema": set(), "wire": {"base"}, "record": {"base", "wire"},
       "engine": {"base", "wire", "record"}, "accum": {"base", "wire", "record"},
       "client": {"base", "wire", "record", "engine", "accum"}, "drive": {"base", "wire", "record", "engine"},
       "api": {"base", "wire", "record", "engine", "accum", "client", "drive"}}
bad = 0
def check(path, layer, allowed):
    global bad
    for n, line in enumerate(open(path, encoding="utf-8"), 1):
        m = re.match(r'\s*#\s*include\s+"([^"]+)"', line)
        if not m or m.group(1) == "config.h" or m.group(1).startswith("ferry/"):
            continue
        first = m.group(1).split("/")[0]
        if first != layer and first not in allowed:
            print(f"not ok - {path}:{n} includes {m.group(1)}")
            bad += 1
def walk(top):
    for root, _, files in os.walk(top):
        for f in files:
            if f.endswith((".c", ".h")):
                yield os.path.join(root, f)
for layer, allowed in lib.items():
    for p in walk(f"libclient/{layer}"):
        check(p, layer, allowed)
for p in walk("refbroker"):
    allowed = {"base", "wire", "record", "engine"} | ({"drive"} if p == "refbroker/main.c" else set())
    check(p, "refbroker", allowed)
for p in walk("tools"):
    check(p, "tools", {"base", "wire", "record"} if "dump" in p else set())
if not bad:
    print("ok - every include points to a lower layer")
sys.exit(bad != 0)
PY
