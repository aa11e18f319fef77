#!/usr/bin/env python3
"""Makes the man page of a program from its --help: man.py PROGRAM-FILE > docs/man/PROGRAM.1

The pages are kept in the tree; tests/lint/man.sh fails while one differs from what its program says of itself."""
import os
import re
import subprocess
import sys


def escape(text):
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return "\\&" + text if text[:1] in ".'" else text


def main(path):
    name = os.path.basename(path)
    lines = subprocess.run([path, "--help"], capture_output=True, text=True, check=True).stdout.split("\n")
    version = subprocess.run([path, "--version"], capture_output=True, text=True, check=True).stdout.split()[-1]
    usage, summary, rest = lines[0].split(" ", 2)[2] if lines[0].count(" ") > 1 else "", lines[1], lines[2:]
    out = [f'.TH {name.upper()} 1 "" "ferry {version}" "Ferry"', ".SH NAME",
           f"{escape(name)} \\- {escape(summary[:1].lower() + summary[1:].rstrip('.'))}",
           ".SH SYNOPSIS", f".B {escape(name)}", escape(usage), ".SH OPTIONS"]
    after = []
    option = re.compile(r"^  (-\S+(?: [A-Z[]\S*)?)(?:\s{2,}(\S.*))?$")
    in_option = False
    for line in rest:
        m = option.match(line)
        if m:
            flag, value = (m.group(1).split(" ", 1) + [""])[:2]
            out += [".TP", f".B {escape(flag)}" + (f" \\fI{escape(value)}\\fR" if value else "")]
            if m.group(2):
                out.append(escape(m.group(2)))
            in_option = True
        elif in_option and line.startswith("      "):
            out.append(escape(line.strip()))
        else:
            in_option = False
            after.append(line)
    out.append(".SH NOTES")
    for line in after:
        text = line.strip()
        if text.startswith("Exit status:"):
            out += [".SH EXIT STATUS", escape(text[len("Exit status: "):]), ".SH DETAILS"]
        elif text.startswith("Example: "):
            out += [".SH EXAMPLE", ".nf", escape(text[len("Example: "):]), ".fi"]
        elif text:
            out += [escape(text), ".br"]
    page = "\n".join(out)
    for empty in (".SH NOTES\n.SH", ".SH DETAILS\n.SH"):
        page = page.replace(empty, ".SH")
    print(re.sub(r"\n\.SH (NOTES|DETAILS)$", "", page))


main(sys.argv[1])
