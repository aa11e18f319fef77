#!/bin/sh
# The public headers can be used from any language, and say what they promise: every function has a comment of its own, none
# has variable arguments or is inline, and no macro stands in for one.
set -u
cd "$(dirname "$0")/../.."
python3 - <<'PY'
import glob, re, sys
bad = functions = 0
def fail(text):
    global bad
    print("not ok - " + text)
    bad += 1
for path in sorted(glob.glob("libclient/include/ferry/*.h")):
    text = open(path, encoding="utf-8").read()
    code = re.sub(r"/\*.*?\*/", lambda m: re.sub(r"[^\n]", " ", m.group()), text, flags=re.S)
    macros = re.findall(r"^[ \t]*#[ \t]*define[ \t]+(\w+)\(", code, flags=re.M)
    code = re.sub(r"^[ \t]*#[^\n]*", lambda m: " " * len(m.group()), code, flags=re.M)
    for m in re.finditer(r"FERRY_API[^;{]*[;{]", code):
        functions += 1
        line = code.count("\n", 0, m.start()) + 1
        name = re.search(r"(ferry_\w+)\s*\(", m.group())
        where = f"{path}:{line}: {name.group(1) if name else m.group()}"
        if m.group().endswith("{"):
            fail(where + " has its body in the header")
        if "..." in m.group():
            fail(where + " has variable arguments")
        before = text[:m.start()].rstrip()
        if not before.endswith("*/") or not before[before.rindex("/*"):].startswith("/**"):
            fail(where + " has no comment of its own")
    for m in re.finditer(r"\binline\b", code):
        fail(f"{path}:{code.count(chr(10), 0, m.start()) + 1}: inline")
    for name in macros:
        fail(f"{path}: the macro {name} takes arguments")
    declared = re.findall(r"^(?!typedef)[a-z][\w \*]*?\b(ferry_\w+)\(", code, flags=re.M)
    for name in declared:
        fail(f"{path}: {name} is declared without FERRY_API")
if not functions:
    fail("no function was found in the public headers")
if not bad:
    print(f"ok - {functions} public functions: each with a comment, none variadic, inline or a macro")
sys.exit(bad != 0)
PY
