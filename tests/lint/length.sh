#!/bin/sh
# Functions of at most 70 lines, files of at most 1,000. Exceptions stand in length.allow with their present size: they
# may shrink (then the entry must follow) but not grow.
set -u
cd "$(dirname "$0")/../.."
python3 - <<'PY'
import os, re, sys
allow = {}
for line in open("tests/lint/length.allow"):
    if line.strip() and not line.startswith("#"):
        name, size = line.split()
        allow[name] = int(size)
bad, seen = [], {}
for top in ("libclient", "refbroker", "tools"):
    for root, _, files in os.walk(top):
        for f in sorted(files):
            path = os.path.join(root, f)
            if not f.endswith((".c", ".h")) or path.startswith("libclient/wire/messages"):
                continue
            lines = open(path, encoding="utf-8").read().split("\n")
            if len(lines) - 1 > 1000:
                seen[path] = len(lines) - 1
            start, name = None, "?"
            for n, line in enumerate(lines):
                if line == "{" and n:
                    start, sig = n, n - 1
                    while sig > 0 and lines[sig][:1] in (" ", "\t"):
                        sig -= 1
                    m = re.search(r"([A-Za-z_0-9]+)\(", lines[sig])
                    name = m.group(1) if m else "?"
                elif line == "}" and start is not None:
                    if n - start + 1 > 70:
                        seen[f"{path}:{name}"] = n - start + 1
                    start = None
for what, size in seen.items():
    if what not in allow:
        bad.append(f"{what} has {size} lines")
    elif size > allow[what]:
        bad.append(f"{what} grew from {allow[what]} to {size} lines")
for what in allow:
    if what not in seen:
        bad.append(f"{what} is within the limit now: take it off tests/lint/length.allow")
for b in bad:
    print("not ok - " + b)
if not bad:
    print("ok - every function and file is within its length")
sys.exit(bool(bad))
PY
