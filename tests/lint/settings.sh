#!/bin/sh
# Every row of the client's settings table is read by something: its field is named in a source of the library other than the
# table itself. What only the checks of settings_config.c read must be a key of which they refuse a value.
set -u
cd "$(dirname "$0")/../.."
python3 - <<'PY'
import os, re, sys
table = open("libclient/client/settings.c", encoding="utf-8").read()
rows = re.findall(r'ROW_\w+\(\s*("[^"]+"|FIRST_\w+),\s*([\w.]+),', table)
text, checks = "", open("libclient/client/settings_config.c", encoding="utf-8").read()
for root, _, files in os.walk("libclient"):
    for f in files:
        if f.endswith((".c", ".h")) and not f.startswith("settings"):
            text += open(os.path.join(root, f), encoding="utf-8").read()
bad = 0
for key, field in rows:
    name = field.split(".")[-1]
    if re.search(r'(->|\.)%s\b' % re.escape(name), text):
        continue
    refused = re.search(r's->%s != 0\)\s*return ferry_fail' % re.escape(name), checks)
    filled = {"debug": "debug_mask"}.get(name)
    if refused or filled and re.search(r'->%s\b' % filled, text):
        continue
    print(f"not ok - nothing reads the setting {key} ({field})")
    bad += 1
if len(rows) < 60:
    print(f"not ok - only {len(rows)} rows were found in the settings table")
    bad += 1
if not bad:
    print(f"ok - all {len(rows)} settings are read by something")
sys.exit(bad != 0)
PY
