# SPDX-License-Identifier: BSD-2-Clause
"""refbroker on data that was damaged, in TAP.

    wreck.py REFBROKER DIR [NAME...]

A topic with many small segments, commits of a group and metadata are written once; one copy of the data is kept as SIGKILL
left it, one as SIGTERM did. Each case damages a copy and starts the broker on it. Then every record that is whole in the
files before the cut must be there, once, with its value, found by offset and by time, and the log must go on; or the broker
ends with status 1 and names the file.
"""
import concurrent.futures
import glob
import os
import random
import re
import shutil
import signal
import subprocess
import sys

import kafkawire as wire
from kafkawire import Peer

refbroker, work = sys.argv[1], sys.argv[2]
BATCHES, TIME, PER_BATCH = 120, 1700000000000, 5


class Broker:
    def __init__(self, data, *settings):
        self.err = open(data + ".err", "ab+")
        self.process = subprocess.Popen(
            [refbroker, "--data", data, "--listen", "127.0.0.1:0"] + [x for s in settings for x in ("-X", s)],
            stdout=subprocess.PIPE, stderr=self.err)
        line = self.process.stdout.readline().decode()  # or its end
        self.address = line.split()[-1] if line.startswith("refbroker: ready on ") else None
        if not self.address:
            self.status = self.process.wait(10)

    def stop(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        self.process.stdout.close()
        return self.process.wait(10)

    def said(self):
        self.err.seek(0)
        return self.err.read().decode()


def value(i):
    return f"{i}:".encode() + bytes([97 + i % 26]) * (i * 37 % 400)


def fill(data):
    b = Broker(data, "log.flush.interval.messages=1", "offsets.topic.num.partitions=1")
    p = Peer(b.address)
    p.create("w", internal_segment_bytes="20000", retention_ms="-1", index_interval_bytes="1000", segment_index_bytes="4096")
    for i in range(BATCHES):
        values = [value(i * PER_BATCH + j) for j in range(PER_BATCH)]
        code, offset = p.produce("w", wire.plain_batch(values, time=TIME + i * 1000))
        assert (code, offset) == (0, i * PER_BATCH), f"error {code} at {offset}"
    p.find_coordinator("g")
    for i in range(1, 21):
        p.commit("g", "w", i * 10)
    p.create("other")
    return b


def copy_of(kind, name):
    to = os.path.join(work, name)
    shutil.copytree(os.path.join(work, kind), to)
    return to


# -- what is to be seen afterwards --

def whole_batches(path):
    """How many batches at the start of the file are whole and right."""
    with open(path, "rb") as f:
        data = f.read()
    n = at = 0
    while at + 61 <= len(data):
        size = int.from_bytes(data[at + 8:at + 12], "big", signed=True)
        if size < 49 or at + 12 + size > len(data) or data[at + 16] != 2 or \
                wire.crc32c(data[at + 21:at + 12 + size]) != int.from_bytes(data[at + 17:at + 21], "big"):
            break
        n += 1
        at += 12 + size
    return n


def expected(data):
    """How many records are whole in the files, from the first segment to the first damage."""
    n = 0
    for path in sorted(glob.glob(data + "/w-0/*.log")):
        assert int(os.path.basename(path)[:-4]) <= n * PER_BATCH, f"{path}: a gap before it"
        n += whole_batches(path)
    return n * PER_BATCH


def look(address, records):
    """The log is [0, records), by every way to read it, and goes on."""
    p = Peer(address)
    end = p.end("w")
    assert end == records, f"the log ends at {end}, not {records}"
    at = 0
    while at < end:
        code, _, data = p.fetch("w", at, most=100000)
        assert code == 0, f"Fetch at {at}: error {code}"
        before = at
        for offset, got in wire.records(data):
            if offset < at:
                continue
            assert offset == at and got == value(at), f"offset {offset} instead of {at}, or its value is wrong"
            at += 1
        assert at > before, f"Fetch at {at}: nothing"
    for offset in range(3, end, 97):
        code, _, data = p.fetch("w", offset, most=3000)
        assert code == 0 and offset in [o for o, _ in wire.records(data)], f"Fetch at {offset}: error {code}"
    for i in range(0, end // PER_BATCH, 7):
        got = p.at_time("w", TIME + i * 1000 - 1)
        assert got == i * PER_BATCH, f"the first record from {i} s on is {i * PER_BATCH}, not {got}"
    values = [value(end + j) for j in range(PER_BATCH)]
    code, offset = p.produce("w", wire.plain_batch(values, time=TIME + end // PER_BATCH * 1000))
    assert (code, offset) == (0, end), f"Produce: error {code} at {offset}"
    p.close()
    return end


def case(name, kind, damage, commits=200, names=None, topics=True):
    """names: the broker has to end with status 1 and say this."""
    data = copy_of(kind, name.replace(" ", "-").replace("/", "-"))
    try:
        damage(data)
        records = expected(data) if topics else 0
        b = Broker(data)
        if not b.address:
            said = b.said()
            assert names and b.status == 1 and names in said, f"it ends with status {b.status}: {said.strip()[-300:]}"
            return f"ok - {name}: {said.strip().splitlines()[-1][-150:]}"
        try:
            assert not names, "it starts"
            note = ""
            if topics:
                look(b.address, records)
                note = f": {records} records"
            p = Peer(b.address)
            p.find_coordinator("g")
            got = p.committed("g", "w")
            assert got in (commits if isinstance(commits, tuple) else (commits,)), f"committed is {got}, not {commits}"
            p.commit("g", "w", 555)
            p.close()
        finally:
            status = b.stop(signal.SIGKILL if kind == "killed" else signal.SIGTERM)
        assert kind == "killed" or status == 0, f"SIGTERM ends it with status {status}"
        if topics:  # and once more on what it made of that
            b = Broker(data)
            assert b.address, f"it does not start again: {b.said().strip()[-300:]}"
            look(b.address, records + PER_BATCH)
            p = Peer(b.address)
            p.find_coordinator("g")
            assert p.committed("g", "w") == 555, "a commit is lost"
            p.close()
            assert b.stop() == 0, "a clean stop ends with another status than 0"
        return f"ok - {name}{note}"
    except (AssertionError, OSError, EOFError, ValueError, subprocess.TimeoutExpired) as e:
        return f"not ok - {name}: {type(e).__name__} {e}"
    finally:
        shutil.rmtree(data, ignore_errors=True)


# -- damage --

def files(data, pattern):
    found = sorted(glob.glob(os.path.join(data, pattern)))
    assert found, f"no {pattern}"
    return found


def last(data, pattern):
    return files(data, pattern)[-1]


def cut(pattern, n):
    def damage(data):
        path = last(data, pattern)
        os.truncate(path, max(0, os.path.getsize(path) - n))
    return damage


def append(pattern, junk):
    def damage(data):
        with open(last(data, pattern), "ab") as f:
            f.write(junk)
    return damage


def spoil(pattern, back, n):
    """n bytes that begin `back` bytes before the end become others."""
    def damage(data):
        path = last(data, pattern)
        with open(path, "r+b") as f:
            f.seek(max(0, os.path.getsize(path) - back))
            old = f.read(n)
            f.seek(-len(old), 1)
            f.write(bytes(b ^ 0x5A for b in old))
    return damage


def replace(pattern, content):
    """All files of the pattern; content: bytes, or made of the old ones."""
    def damage(data):
        for path in files(data, pattern):
            with open(path, "rb") as f:
                old = f.read()
            with open(path, "wb") as f:
                f.write(content(old) if callable(content) else content)
    return damage


def remove(pattern):
    def damage(data):
        for path in files(data, pattern):
            os.remove(path)
    return damage


def add(path, content):
    def damage(data):
        with open(os.path.join(data, path), "wb") as f:
            f.write(content)
    return damage


def torn_batch(data):
    """The head of a batch that is right, and half of it."""
    path = last(data, "w-0/*.log")
    batch = wire.plain_batch([b"torn" * 100])
    with open(path, "ab") as f:
        f.write(BATCHES.to_bytes(8, "big") + batch[8:len(batch) // 2])


rng = random.Random(7)
junk = rng.randbytes(3000)


def noise(old):
    return random.Random(len(old)).randbytes(len(old))


def cases():
    log, index, times = "w-0/*.log", "w-0/*.index", "w-0/*.timeindex"
    yield "killed, nothing damaged", "killed", lambda data: None, {}
    yield "stopped, nothing damaged", "stopped", lambda data: None, {}
    for kind in ("killed", "stopped"):
        for n in (1, 40, 300, 3000):
            yield f"{kind}: the log's last {n} bytes are gone", kind, cut(log, n), {}
        for name, bytes_ in (("1 byte", b"\0"), ("noise", junk), ("4096 zeros", bytes(4096))):
            yield f"{kind}: {name} behind the log", kind, append(log, bytes_), {}
        yield f"{kind}: half a batch behind the log", kind, torn_batch, {}
        for name, pattern in (("indexes", index), ("time indexes", times)):
            yield f"{kind}: {name} of noise", kind, replace(pattern, noise), {}
            yield f"{kind}: {name} of zeros", kind, replace(pattern, lambda old: bytes(len(old))), {}
            yield f"{kind}: {name} cut to odd lengths", kind, replace(pattern, lambda old: old[:len(old) // 2 | 1]), {}
            yield f"{kind}: {name} grown by noise", kind, replace(pattern, lambda old: old + junk), {}
            yield f"{kind}: {name} removed", kind, remove(pattern), {}
        for name in ("recovery-point-offset-checkpoint", "replication-offset-checkpoint", "w-0/leader-epoch-checkpoint",
                     "w-0/*.snapshot"):
            yield f"{kind}: {name} of noise", kind, replace(name, junk), {}
            yield f"{kind}: {name} empty", kind, replace(name, b""), {}
            yield f"{kind}: {name} removed", kind, remove(name), {}
        yield f"{kind}: recovery-point-offset-checkpoint far beyond the end", kind, \
            replace("recovery-point-offset-checkpoint", b"0\n1\nw 0 999999999\n"), {}
        yield f"{kind}: a log-start-offset-checkpoint of noise", kind, add("log-start-offset-checkpoint", junk), {}
        yield f"{kind}: unknown files beside the segments", kind, add("w-0/notes.txt", junk), {}
        yield f"{kind}: noise behind the metadata", kind, append("__cluster_metadata-0/*.log", junk), {}
        yield f"{kind}: noise behind the commits", kind, append("__consumer_offsets-0/*.log", junk), {}
    yield "killed: the last batch has a wrong byte", "killed", spoil(log, 50, 1), {}
    yield "killed: the last commit is torn", "killed", cut("__consumer_offsets-0/*.log", 5), {"commits": 190}
    yield "killed: the last commit has a wrong byte", "killed", spoil("__consumer_offsets-0/*.log", 5, 1), {"commits": 190}
    yield "killed: the last metadata record is torn", "killed", cut("__cluster_metadata-0/*.log", 3), {}
    yield "an empty meta.properties", "killed", replace("meta.properties", b""), {"names": "meta.properties"}
    yield "meta.properties of noise", "killed", replace("meta.properties", junk), {"names": "meta.properties"}
    yield "meta.properties of another node", "killed", \
        replace("meta.properties", lambda old: re.sub(rb"node.id=\d+", b"node.id=77", old)), {"names": "node.id=77"}
    yield "metadata damaged in the middle", "stopped", \
        replace("__cluster_metadata-0/*.log", lambda old: old[:200] + bytes(50) + old[250:]), {"names": "__cluster_metadata-0"}
    yield "partition.metadata of noise", "killed", replace("w-0/partition.metadata", junk), {}
    yield "partition.metadata removed", "killed", remove("w-0/partition.metadata"), {}


def main():
    os.makedirs(work, exist_ok=True)
    fill(os.path.join(work, "killed")).stop(signal.SIGKILL)
    status = fill(os.path.join(work, "stopped")).stop()
    print(f"{'ok' if status == 0 else 'not ok'} - a clean stop ends with status {status}")
    wanted = sys.argv[3:]
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        runs = [pool.submit(case, name, kind, damage, **more) for name, kind, damage, more in cases()
                if not wanted or any(w in name for w in wanted)]
        for run in runs:
            print(run.result(), flush=True)


main()
