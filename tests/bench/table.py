#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Puts measured figures into the tables of docs/benchmarks.md and README.md.

  table.py [FILE]     lines of run.sh, from FILE or the standard input

A row of a figure that was not measured stays as it is. What a run of all figures says of the machine goes above the table of
docs/benchmarks.md; after a run of some, the line that is there gets a word about it."""
import os
import re
import sys

from figures import FIGURES, misses

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
MACHINE = "# machine: "
PARTLY = "partly, "
LATER = "; some rows later"
LINE = re.compile(r"figure=(\w+) ferry=(\S+) peer=(\S+) ratio=(\S+) unit=(\S+)$")
SHORT = {  # the README's rows
    "produce_100": "records of 100 bytes produced",
    "produce_1k": "records of 1,024 bytes produced",
    "consume_100": "records of 100 bytes consumed",
    "report_p50": "from send to report at 1,000/s, median",
    "first_report": "from start to the first report, idempotent",
    "group_join": "from start to the first record in a group",
    "brokers50_memory": "memory of a client connected to 50 brokers",
    "queued_bytes": "overhead of a queued record of 10 bytes",
    "broker_ready": "refbroker ready on a log of 1 GB",
    "broker_ready_crash": "the same after SIGKILL",
    "broker_rss_loaded": "refbroker's memory after 1 GB in and out",
    "broker_cpu": "refbroker's CPU for each record produced",
    "broker_p50": "refbroker's answer to librdkafka at 1,000/s, median",
}


def number(x):
    """Three digits that count, thousands with commas."""
    if x != x:
        return "-"
    return f"{float(f'{x:.3g}'):,.0f}" if abs(x) >= 100 else f"{x:.3g}"


def bar_text(name, ferry, ratio):
    bar = FIGURES[name][2]
    if not bar:
        return ""
    what, sign, limit = bar
    text = ("ratio " if what == "ratio" else "") + {">=": "≥ ", "<=": "≤ "}[sign] + (f"{limit:,}" if isinstance(limit, int) else f"{limit:.3g}")
    return text + (", **missed**" if misses(name, ferry, ratio) else "")


def measured_line(line, machine):
    if machine.startswith(PARTLY):
        return line if line.endswith(LATER) else line + LATER
    return f"Measured: {machine}"


def refresh(path, mark, make_rows, machine=None):
    """Makes the rows of the table between the marks anew, from those that are there, by their first cells."""
    path = os.path.join(TOP, path)
    with open(path, encoding="utf-8") as f:
        text = f.read()
    begin, end = f"<!-- {mark} -->\n", f"<!-- end of {mark} -->"
    if begin not in text or end not in text:
        raise SystemExit(f"table: {path}: no table between {begin.strip()} and {end}")
    before, rest = text.split(begin, 1)
    inside, after = rest.split(end, 1)
    lines = inside.splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("|---")) + 1
    rows = {line.split("|")[1].strip(): line for line in lines[at:] if line.startswith("|")}
    head = [measured_line(line, machine) if machine and line.startswith("Measured:") else line for line in lines[:at]]
    with open(path, "w", encoding="utf-8") as f:
        f.write(before + begin + "\n".join(head + make_rows(rows)) + "\n" + end + after)


def main():
    with open(sys.argv[1], encoding="utf-8") if len(sys.argv) > 1 else sys.stdin as f:
        lines = f.read().splitlines()
    found = [m.groups() for m in map(LINE.match, lines) if m]
    machine = next((line.removeprefix(MACHINE) for line in lines if line.startswith(MACHINE)), None)
    measured = {name: (float(a), float(b), float(r), unit) for name, a, b, r, unit in found if name in FIGURES}
    if not measured:
        raise SystemExit("table: no line figure=NAME ferry=X peer=Y ratio=R unit=U")

    if machine and len(measured) < len(FIGURES):
        machine = PARTLY + machine

    def full(rows):
        made = []
        for name in FIGURES:
            if name in measured:
                a, b, r, unit = measured[name]
                made.append(f"| {name} | {number(a)} | {number(b)} | {number(r)} | {unit} | {bar_text(name, a, r)} |")
            elif name in rows:
                made.append(rows[name])
        return made

    def short(rows):
        made = []
        for name, what in SHORT.items():
            if name in measured:
                a, b, r, unit = measured[name]
                made.append(f"| {what} | {number(a)} {unit} | {number(b)} {unit} | {number(r)} |")
            elif what in rows:
                made.append(rows[what])
        return made

    refresh("docs/benchmarks.md", "figures", full, machine)
    refresh("README.md", "main figures", short)


if __name__ == "__main__":
    main()
