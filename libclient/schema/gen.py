#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Reads the schema files and writes wire/messages.h and wire/messages.c: typed structs and descriptor tables.

    gen.py OUTDIR FILE.msg...

docs/protocol.md describes the notation. The work is done in three steps:
  1. parse: lines to Message, Struct and Field objects, checking what can be checked in one line;
  2. resolve: names to structs, version ranges and default values, checking what needs the whole message;
  3. emit: C declarations, then one flat table of structs and one of fields, joined by indexes. Tables hold no
     pointers, so that the shared library needs no relocation for them.
"""
import os
import re
import sys

# name: (C type, fewest bytes on the wire)
TYPES = {
    "bool": ("bool", 1), "int8": ("int8_t", 1), "int16": ("int16_t", 2), "uint16": ("uint16_t", 2),
    "int32": ("int32_t", 4), "uint32": ("uint32_t", 4), "int64": ("int64_t", 8), "float64": ("double", 8),
    "uuid": ("struct ferry_uuid", 16), "string": ("struct ferry_str", 1), "bytes": ("struct ferry_bytes", 1),
    "records": ("struct ferry_bytes", 1),
}
RANGES = {"int8": (-2**7, 2**7 - 1), "int16": (-2**15, 2**15 - 1), "uint16": (0, 2**16 - 1),
          "int32": (-2**31, 2**31 - 1), "uint32": (0, 2**32 - 1), "int64": (-2**63, 2**63 - 1)}
NULLABLE = ("string", "bytes", "records")
NEVER = 127          # a version that no message has
TOPICS = {"__consumer_offsets": 0, "__transaction_state": 1, "__share_group_state": 2}
RESERVED = set("auto break case char const continue default do double else enum extern float for goto if inline int "
               "long register restrict return short signed sizeof static struct switch typedef union unsigned void "
               "volatile while bool true false class new delete template this operator".split())


class SchemaError(Exception):
    pass


class Field:
    def __init__(self, where, versions, name, type_text, attrs):
        self.where, self.name, self.fields = where, name, []
        self.since, self.until = parse_range(where, versions)
        m = re.fullmatch(r"(\[\])?([a-z][a-z0-9_]*)(\?(\d+\+)?)?", type_text)
        if not m:
            raise SchemaError(f"{where}: type '{type_text}' is not NAME, []NAME, NAME? or NAME?N+")
        self.array, self.base = bool(m[1]), m[2]
        self.null_since = NEVER if not m[3] else int(m[4][:-1]) if m[4] else 0
        self.default = self.tag = self.struct = None
        self.ignorable = self.inflexible = False
        for a in attrs:
            if m := re.fullmatch(r"= *(\S+)", a):
                self.default = m[1]
            elif m := re.fullmatch(r"tag (\d+)", a):
                self.tag = int(m[1])
            elif a == "ignorable":
                self.ignorable = True
            elif a == "inflexible":
                self.inflexible = True
            else:
                raise SchemaError(f"{where}: '{a}' is not '= VALUE', 'tag N', 'ignorable' or 'inflexible'")


class Struct:
    def __init__(self, name, where):
        self.name, self.where, self.fields = name, where, []
        self.index = self.c_name = None


class Message(Struct):
    """A top-level struct: a request, a response, a key, a value, a metadata record or other data."""

    def __init__(self, name, where, attrs, inherited=None):
        super().__init__(name, where)
        self.structs, self.order = {}, []
        a = dict(inherited or {})
        for text in attrs:
            key, _, value = text.partition(" ")
            if key not in ("versions", "live", "flexible", "on", "topic") or not value:
                raise SchemaError(f"{where}: '{text}' is not versions, live, flexible, on or topic with a value")
            a[key] = value.strip()
        self.attrs = a
        self.min, self.max = parse_range(where, a.get("versions", "0"))
        if self.max == NEVER:
            raise SchemaError(f"{where}: the versions of a message have an end")
        flexible = a.get("flexible", "none")
        self.flexible = NEVER if flexible == "none" else parse_range(where, flexible)[0]


def parse_range(where, text):
    m = re.fullmatch(r"(\d+)(?:(\+)|-(\d+))?", text)
    if not m:
        raise SchemaError(f"{where}: '{text}' is not a version range: N, N+ or N-M")
    low = int(m[1])
    high = NEVER if m[2] else int(m[3] or low)
    if not low <= high <= NEVER:
        raise SchemaError(f"{where}: the version range '{text}' is empty")
    return low, high


def snake(name):
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name.replace("KRaft", "Kraft"))
    return re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name).lower()


# ---- parse ----

class Schema:
    def __init__(self):
        self.apis, self.records, self.metadata, self.messages = {}, {}, {}, []

    def read(self, path):
        owner, attrs, message, stack = None, None, None, []
        for number, line in enumerate(open(path, encoding="utf-8"), 1):
            where = f"{os.path.basename(path)}:{number}"
            line = re.sub(r"\s*(^|\s)#.*", "", line.rstrip())
            if not line.strip():
                continue
            indent = len(line) - len(line.lstrip())
            head, *tail = [p.strip() for p in line.strip().split(",")]
            if indent == 0:
                words = head.split()
                if words[0] in ("api", "record", "metadata", "data"):
                    owner, attrs, message = words, tail, None
                    if words[0] in ("metadata", "data"):
                        message = self.add(words, Message(words[-1], where, tail))
                elif owner and owner[0] in ("api", "record") and words in (["request"], ["response"], ["key"], ["value"]):
                    base = Message("", where, attrs).attrs
                    message = self.add(owner, Message(owner[2] + words[0].capitalize(), where, tail, base), words[0])
                else:
                    raise SchemaError(f"{where}: '{head}' does not begin a message")
                stack = [(0, message)]
                continue
            if not message:
                raise SchemaError(f"{where}: a field outside a message")
            while indent <= stack[-1][0]:
                stack.pop()
            parent = stack[-1][1]
            if head.startswith("struct "):
                child = self.define(message, head.split()[1], where)
            else:
                child = self.field(message, parent, head, tail, where)
            stack.append((indent, child))

    def add(self, owner, message, part=None):
        kind = owner[0]
        if kind == "api":
            self.apis.setdefault(int(owner[1]), {"name": owner[2]})[part] = message
        elif kind == "record":
            self.records.setdefault((TOPICS[message.attrs["topic"]], int(owner[1])), {})[part] = message
        elif kind == "metadata":
            self.metadata[int(owner[1])] = message
        message.c_name = "ferry_" + snake(message.name)
        self.messages.append(message)
        return message

    @staticmethod
    def define(message, name, where):
        if name in message.structs or name in TYPES:
            raise SchemaError(f"{where}: struct '{name}' is defined twice in {message.name}")
        s = message.structs[name] = Struct(name, where)
        s.c_name = f"{message.c_name}_{name}"
        return s

    def field(self, message, parent, head, tail, where):
        m = re.fullmatch(r"(\S+)\s+(\S+)\s+(\S+)(?:\s+(=\s*\S+))?", head)
        if not m:
            raise SchemaError(f"{where}: '{head}' is not VERSIONS NAME TYPE [= VALUE]")
        if not isinstance(parent, Struct):
            raise SchemaError(f"{where}: indented below a field that is no new struct")
        f = Field(where, m[1], m[2], m[3], ([m[4]] if m[4] else []) + tail)
        if not re.fullmatch(r"[a-z][a-z0-9_]*", f.name) or f.name in RESERVED or any(
                g.name == f.name for g in parent.fields):
            raise SchemaError(f"{where}: '{f.name}' cannot name a field here")
        parent.fields.append(f)
        if f.base in TYPES:
            return f
        f.struct = message.structs.get(f.base)
        if f.struct:
            return f
        f.struct = self.define(message, f.base, where)
        return f.struct


# ---- resolve ----

def check_field(message, f):
    kind = "array" if f.array else "struct" if f.struct else f.base
    if f.null_since != NEVER and not (f.array or f.struct or f.base in NULLABLE):
        raise SchemaError(f"{f.where}: {f.base} cannot be null")
    if f.tag is not None and (f.tag > 254 or message.flexible == NEVER or f.since < message.flexible):
        raise SchemaError(f"{f.where}: tag {f.tag} outside the flexible versions")
    if f.base == "records" and f.default is None:
        f.default = "null"
    if f.default is None:
        if f.struct and not f.array and f.null_since != NEVER:
            check_empty(f)
        return
    low, high = RANGES.get(f.base, (0, 0))
    if f.default == "null":
        ok = kind in ("array", "struct", *NULLABLE) and (f.null_since != NEVER or f.base == "records")
    elif kind == "bool":
        ok = f.default in ("true", "false")
    else:
        ok = kind in RANGES and re.fullmatch(r"-?\d+", f.default) and low <= int(f.default) <= high
    if not ok:
        raise SchemaError(f"{f.where}: {f.default} cannot be the default of {kind} {f.name}")


def check_empty(f):
    """A nullable struct whose default is not null is by default a shared block of zeros."""
    if any(g.default not in (None, "0", "false") or (g.struct and not g.array) for g in f.struct.fields):
        raise SchemaError(f"{f.where}: the empty {f.name} is not all zero; give it '= null'")


def resolve_struct(message, s, open_structs=()):
    """Puts structs in order of use and computes the fewest bytes of each."""
    if s in open_structs:
        raise SchemaError(f"{s.where}: struct '{s.name}' contains itself")
    if s in message.order:
        return
    if not s.fields and s is not message:
        raise SchemaError(f"{s.where}: '{s.name}' is neither a type nor a struct with fields")
    fewest = []
    for f in s.fields:
        if f.struct:
            resolve_struct(message, f.struct, open_structs + (s,))
        check_field(message, f)
    for version in range(message.min, message.max + 1):
        flexible = version >= message.flexible
        size = 1 if flexible else 0
        for f in s.fields:
            if f.since <= version <= f.until and f.tag is None:
                size += wire_min(f, flexible)
        if size:
            fewest.append(size)
    s.wire_min = min(fewest, default=0)
    tags = [f.tag for f in s.fields if f.tag is not None]
    if len(set(tags)) != len(tags):
        raise SchemaError(f"{s.where}: a tag is used twice in {s.name or message.name}")
    s.sorted = [f for f in s.fields if f.tag is None] + sorted(
        (f for f in s.fields if f.tag is not None), key=lambda f: f.tag)
    s.message = message
    message.order.append(s)


def wire_min(f, flexible):
    if f.array:
        return 1 if flexible else 4
    if f.struct:
        return 1 if f.null_since != NEVER else max(1, f.struct.wire_min)
    if flexible or f.base not in NULLABLE:
        return TYPES[f.base][1]
    return 2 if f.base == "string" else 4


def resolve(schema):
    structs = []
    for m in schema.messages:
        resolve_struct(m, m)
        for s in m.order:
            s.index = len(structs)
            structs.append(s)
    if len({s.c_name for s in structs}) != len(structs):
        names = [s.c_name for s in structs]
        raise SchemaError(f"two structs are named {next(n for n in names if names.count(n) > 1)}")
    for key, api in schema.apis.items():
        if "request" not in api or "response" not in api:
            raise SchemaError(f"api {key} lacks its request or its response")
    for (topic, number), r in schema.records.items():
        if "key" not in r or "value" not in r:
            raise SchemaError(f"record {number} lacks its key or its value")
    return structs


# ---- emit ----

BANNER = "/* Generated by schema/gen.py from the .msg files beside it. Change those. */\n/* SPDX-License-Identifier: BSD-2-Clause */\n"


def c_type(f):
    return f"struct {f.struct.c_name}" if f.struct else TYPES[f.base][0]


def header(schema, structs):
    out = [BANNER, "#ifndef WIRE_MESSAGES_H\n#define WIRE_MESSAGES_H\n#include \"wire/schema.h\"\n"]
    for s in structs:
        out.append(f"struct {s.c_name} {{" if s.fields or flexible(s) else f"struct {s.c_name} {{\n    char nothing;")
        for f in s.fields:
            if f.array:
                out.append(f"    {c_type(f)} *{f.name};\n    int32_t {f.name}_count;")
            else:
                out.append(f"    {c_type(f)} {'*' if f.struct and f.null_since != NEVER else ''}{f.name};")
        if flexible(s):
            out.append("    const struct ferry_tags *unknown_tags;")
        out.append("};\n")
    empty = [f"sizeof(struct {f.struct.c_name})" for s in structs for f in s.fields
             if f.struct and not f.array and f.null_since != NEVER and f.default != "null"]
    out.append("enum { FERRY_EMPTY_STRUCT_MAX = %s };" % (" + ".join(empty) or "1"))
    out.append("enum {\n    FERRY_MSG_COUNT = %d,\n    FERRY_API_COUNT = %d," % (len(structs), len(schema.apis)))
    out.append("    FERRY_RECORD_COUNT = %d,\n    FERRY_METADATA_COUNT = %d\n};\n" % (
        len(schema.records), len(schema.metadata)))
    out.append("enum ferry_api_key {")
    out += [f"    FERRY_API_{snake(a['name']).upper()} = {k}," for k, a in sorted(schema.apis.items())]
    out.append("};\n")
    for (topic, number), r in sorted(schema.records.items()):
        if (topic, number) == min(k for k in schema.records if k[0] == topic):
            name = next(n for n, i in TOPICS.items() if i == topic).strip("_")
            out.append(f"enum ferry_{name}_record {{")
        out.append(f"    FERRY_RECORD_{snake(r['key'].name[:-3]).upper()} = {number},")
        if (topic, number) == max(k for k in schema.records if k[0] == topic):
            out.append("};\n")
    out.append("enum ferry_metadata_record {")
    out += [f"    FERRY_METADATA_{snake(m.name).upper()} = {k}," for k, m in sorted(schema.metadata.items())]
    out.append("};\n")
    out += [f"#define {s.c_name}_msg (ferry_msgs[{s.index}])" for s in structs]
    out.append("")
    for s in structs:
        out.append(f"static inline void {s.c_name}_init(struct {s.c_name} *m)\n{{\n"
                   f"    ferry_msg_init(&{s.c_name}_msg, m);\n}}")
    out.append("\n#endif\n")
    return "\n".join(out)


def flexible(s):
    return s.message.flexible != NEVER


class Names:
    """One pool of NUL-terminated names; a name is its offset."""

    def __init__(self):
        self.at, self.size, self.list = {}, 0, []

    def __call__(self, name):
        if name not in self.at:
            self.at[name] = self.size
            self.list.append(name)
            self.size += len(name) + 1
        return self.at[name]


def field_row(s, f, names, defaults):
    flags = [flag for flag, on in (
        ("ARRAY", f.array), ("IGNORABLE", f.ignorable), ("INFLEXIBLE", f.inflexible),
        ("TAGGED", f.tag is not None), ("NULL_DEFAULT", f.default == "null"),
        ("POINTER", f.struct and not f.array and f.null_since != NEVER)) if on]
    value = 0 if f.default in (None, "null", "false") else 1 if f.default == "true" else int(f.default)
    if value not in defaults:
        defaults.append(value)
    return "    {%d, offsetof(struct %s, %s), %d, FERRY_T_%s, %s, %d, %d, %d, %d, %d}," % (
        names(f.name), s.c_name, f.name, f.struct.index if f.struct else 0,
        "STRUCT" if f.struct else f.base.upper(), " | ".join("FERRY_F_" + x for x in flags) or "0",
        f.since, f.until, f.null_since, f.tag or 0, defaults.index(value))


def source(schema, structs):
    names, defaults, rows, fields = Names(), [0], [], []
    for s in structs:
        tags = sum(f.tag is not None for f in s.fields)
        rows.append("    {%d, %d, sizeof(struct %s), %s, %d, %d, %d, %d, %d, %d}," % (
            names(s.name), len(fields), s.c_name,
            f"offsetof(struct {s.c_name}, unknown_tags)" if flexible(s) else "FERRY_NO_TAGS", s.wire_min,
            len(s.fields) - tags, tags, s.message.min, s.message.max, s.message.flexible))
        fields += [field_row(s, f, names, defaults) for f in s.sorted]
    out = [BANNER, "#include \"config.h\"\n\n#include \"wire/apis.h\"\n#include \"wire/messages.h\"\n"]
    out.append("const struct ferry_msg ferry_msgs[FERRY_MSG_COUNT] = {\n" + "\n".join(rows) + "\n};\n")
    out.append("const struct ferry_field ferry_fields[] = {\n" + "\n".join(fields) + "\n};\n")
    literal = [str(v) if v != -2**63 else "INT64_MIN" for v in defaults]
    out.append("const int64_t ferry_field_defaults[] = {" + ", ".join(literal) + "};\n")
    apis = []
    for key, api in sorted(schema.apis.items()):
        m = api["request"]
        live = parse_range(m.where, m.attrs.get("live", m.attrs.get("versions", "0")))
        on = m.attrs.get("on", "").split()
        if set(on) - {"broker", "controller"}:
            raise SchemaError(f"{m.where}: api {key} is on an unknown listener")
        apis.append("    {%d, %d, %d, %d, %d, %d, %d, %d, %d, %s}," % (
            key, names(api["name"]), m.index, api["response"].index, m.min, m.max, live[0], live[1], m.flexible,
            " | ".join("FERRY_ON_" + x.upper() for x in on) or "0"))
    out.append("const struct ferry_api ferry_apis[FERRY_API_COUNT] = {\n" + "\n".join(apis) + "\n};\n")
    out.append("const struct ferry_record_type ferry_record_types[FERRY_RECORD_COUNT] = {")
    for (topic, number), r in sorted(schema.records.items()):
        out.append("    {%d, %d, %d, %d}," % (topic, number, r["key"].index, r["value"].index))
    out.append("};\n\nconst struct ferry_metadata_type ferry_metadata_types[FERRY_METADATA_COUNT] = {")
    out += ["    {%d, %d}," % (k, m.index) for k, m in sorted(schema.metadata.items())]
    out.append("};\n\nconst char ferry_msg_names[] =")
    out += [f"    \"{n}\\0\"" for n in names.list]
    out.append("    ;\n")
    if names.size > 65535 or len(fields) > 65535:
        raise SchemaError("a table has outgrown its 16-bit indexes")
    return "\n".join(out)


def write(path, text):
    with open(path + ".new", "w", encoding="utf-8") as f:
        f.write(text)
    os.replace(path + ".new", path)


def main(argv):
    if len(argv) < 3:
        sys.exit(__doc__)
    schema = Schema()
    try:
        for path in sorted(argv[2:]):
            schema.read(path)
        structs = resolve(schema)
        texts = header(schema, structs), source(schema, structs)
    except SchemaError as e:
        sys.exit(f"gen.py: {e}")
    write(os.path.join(argv[1], "messages.c"), texts[1])
    write(os.path.join(argv[1], "messages.h"), texts[0])


if __name__ == "__main__":
    main(sys.argv)
