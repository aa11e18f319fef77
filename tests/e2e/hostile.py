# SPDX-License-Identifier: BSD-2-Clause
"""Bad input for a running refbroker, in TAP.

    hostile.py flood ADDRESS PID     garbage, claims, half frames, idle and slow connections, bad batches, bombs
    hostile.py limits ADDRESS PID    on a broker with max.connections=20 and socket.request.max.bytes=100000

After each the broker serves on, holds no descriptor more than before, and at no time 128 MB of memory.
"""
import os
import random
import resource
import select
import socket
import struct
import sys
import threading
import time

import kafkawire as wire
from kafkawire import Peer

MEMORY_MAX = 128 << 20
CORRUPT_MESSAGE, MESSAGE_TOO_LARGE, UNSUPPORTED_COMPRESSION, INVALID_RECORD = 2, 10, 76, 87
INVALID_TIMESTAMP, OUT_OF_ORDER, UNSUPPORTED_FORMAT = 32, 45, 43

address, pid = sys.argv[2], int(sys.argv[3])
rng = random.Random(20)
peak = [0]


def memory():
    with open(f"/proc/{pid}/status") as f:
        for line in f:
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) * 1024
    return 0


def watch_memory(stop):
    while not stop.wait(0.005):
        peak[0] = max(peak[0], memory())


def descriptors():
    return len(os.listdir(f"/proc/{pid}/fd"))


def until(condition, seconds=10):
    """Waits for the condition, and says whether it came true."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def round_trip(size=100, seconds=10):
    """An honest client on a connection of its own: what it appends it reads back."""
    p = Peer(address, seconds)
    value = bytes(rng.randrange(256) for _ in range(20)) * (size // 20)
    code, offset = p.produce("honest", wire.plain_batch([value]))
    assert code == 0, f"Produce: error {code}"
    code, mark, records = p.fetch("honest", offset)
    assert code == 0 and mark > offset and value in records, f"Fetch: error {code}, {len(records)} bytes"
    p.close()


def is_served(size=400000):
    try:
        round_trip(size)
        return True
    except (OSError, EOFError):
        return False


def test(name, function, *arguments):
    peak[0] = memory()
    begin = time.monotonic()
    try:
        said = function(*arguments)
        assert until(is_served), "nobody is served any more"
        assert peak[0] < MEMORY_MAX, f"it took {peak[0] >> 20} MiB"
        print(f"ok - {name}: {said + ', ' if said else ''}{peak[0] / 1048576:.1f} MiB, "
              f"{time.monotonic() - begin:.1f} s", flush=True)
    except (AssertionError, OSError, EOFError, struct.error) as e:
        print(f"not ok - {name}: {type(e).__name__} {e} (peak {peak[0] >> 20} MiB)", flush=True)


# -- what a connection may say --

def garbage():
    """Bytes without sense, whole and in pieces, then closed or reset."""
    for i in range(300):
        p = Peer(address)
        data = rng.randbytes(rng.randrange(1, 3000))
        if i % 3 == 0:  # a believable length in front
            data = struct.pack(">i", len(data)) + data
        if i % 3 == 1:  # and a believable header behind it
            data = struct.pack(">ihhi", len(data) + 8, rng.choice([0, 1, 2, 3, 8, 9, 10, 11, 14, 19, 22, 75]),
                               rng.randrange(0, 14), i) + data
        try:
            p.send(data)
        except ConnectionError:
            pass
        p.close(reset=i % 2 == 0)


def sizes():
    """Lengths that no request has close the connection."""
    for size in (-1, -2**31, 0, 1, 7, 104857601, 2**31 - 1):
        p = Peer(address)
        p.send(struct.pack(">i", size) + b"\0" * 100)
        assert p.is_closed(), f"a length of {size} is let be"
        p.close()


def mutations():
    """Good requests with bytes changed: any answer will do, or an end."""
    bodies = [(wire.PRODUCE, 3, wire.produce("honest", wire.plain_batch([b"x" * 50]))),
              (wire.FETCH, 4, wire.fetch("honest", wait=10)),
              (wire.METADATA, 1, struct.pack(">i", 1) + wire.text("honest")),
              (wire.LIST_OFFSETS, 1, struct.pack(">ii", -1, 1) + wire.text("honest") + struct.pack(">iiq", 1, 0, -1))]
    for _ in range(400):
        key, version, body = rng.choice(bodies)
        p = Peer(address)
        data = bytearray(p.frame(key, version, body))
        for _ in range(rng.randrange(1, 4)):
            data[rng.randrange(4, len(data))] = rng.choice([0, 1, 127, 128, 255, rng.randrange(256)])
        p.send(bytes(data))
        p.close(reset=rng.random() < 0.5)


def counts():
    """Arrays and strings that claim what the frame does not hold."""
    for n in (2**31 - 1, -2**31, 100000000, -2):
        for key, version, body in ((wire.METADATA, 1, struct.pack(">i", n)),
                                   (wire.FETCH, 4, struct.pack(">iiiibi", -1, 0, 1, 1, 0, n)),
                                   (wire.PRODUCE, 3, b"\xff\xff" + struct.pack(">hii", -1, 1000, n)),
                                   (wire.CREATE_TOPICS, 2, struct.pack(">i", n)),
                                   (wire.METADATA, 1, struct.pack(">ih", 1, 32767)),
                                   (wire.METADATA, 12, b"\xff\xff\xff\xff\x0f")):
            p = Peer(address)
            p.send(p.frame(key, version, body))
            try:  # a null array is a fair question in some requests
                p.answer()
                assert n < 0, f"request {key} with {n} items is answered"
            except (EOFError, ConnectionError):
                pass
            p.close()


# -- many and slow --

def claims():
    """Forty frames that claim 100 MB, dribbled; meanwhile others are served, with large requests too."""
    peers = [Peer(address) for _ in range(40)]
    for p in peers:
        p.send(struct.pack(">ihhi", 100000000, 0, 3, 1))
    for _ in range(20):
        for p in peers:
            p.send(b"\0" * 1000)
    round_trip(400000)
    for p in peers:
        p.close()


def pushes(count, seconds):
    """As much of some frames of 100 MB as the broker takes in that time."""
    peers = [Peer(address) for _ in range(count)]
    left = {}
    sent = 0
    piece = bytes(1 << 16)
    for p in peers:
        p.send(struct.pack(">ihhi", 100000000, 0, 3, 1))
        p.socket.setblocking(False)
        left[p.socket] = 100000000 - 8
    stop = time.monotonic() + seconds
    while time.monotonic() < stop and left:
        _, writable, _ = select.select([], list(left), [], 0.05)
        for s in writable:
            try:
                n = s.send(piece[:min(len(piece), left[s])])
                sent += n
                left[s] -= n
                if not left[s]:
                    del left[s]
            except BlockingIOError:
                pass
            except ConnectionError:
                del left[s]
    for p in peers:
        p.close(reset=True)
    return f"{sent >> 20} MiB taken"


def crowd(count, data, kept=True):
    """Connections that say `data` and then nothing; `kept`: the broker has no reason to close them soon."""
    peers, before = [], memory()
    for _ in range(count):
        p = Peer(address)
        if data:
            try:
                p.send(data)
            except ConnectionError:
                assert not kept, "a connection was closed"
        peers.append(p)
    assert not kept or until(lambda: descriptors() >= count), f"only {descriptors()} descriptors"
    for _ in range(20):
        assert until(lambda: is_served(20000)), "large requests are not taken beside them"
    for i, p in enumerate(peers):
        p.close(reset=i % 2 == 0)
    return f"{(peak[0] - before) / count / 1024:.2f} KiB a connection"


def parked(count):
    """Fetches that wait for ever, each for 8,000 partitions."""
    peers = [Peer(address) for _ in range(count)]
    end = peers[0].end("honest")
    wants = struct.pack(">iqi", 0, end, 1000) * 8000
    body = struct.pack(">iiiibi", -1, 2**31 - 1, 1 << 30, 1 << 30, 0, 1) + wire.text("honest") + \
        struct.pack(">i", 8000) + wants
    sent = 0
    for p in peers:
        p.socket.settimeout(0.2)
        try:
            p.send(p.frame(wire.FETCH, 4, body))
            sent += 1
        except socket.timeout:
            pass
    round_trip(20000)
    for p in peers:
        p.close()
    return f"{sent} of {count} taken"


def answers_unread(count, kind):
    """Requests whose answers nobody reads."""
    reader = Peer(address)
    peers = []
    for _ in range(count):
        s = Peer(address)
        s.socket.setblocking(False)
        peers.append(s)
    if kind == "fetch":
        many = 100
        body = (wire.FETCH, 4, wire.fetch("bulk"))
    else:
        many = 5
        body = (wire.METADATA, 1, struct.pack(">i", 20000) + b"".join(wire.text(f"no-{i % 1000:03d}/") for i in range(20000)))
    for p in peers:
        data = p.frame(*body) * many
        end = time.monotonic() + 0.2
        while data and time.monotonic() < end:
            try:
                data = data[p.socket.send(data):]
            except BlockingIOError:
                select.select([], [p.socket], [], 0.05)
    for _ in range(50):
        round_trip()
    begin = time.monotonic()
    code, mark, records = reader.fetch("bulk", 0)
    assert code == 0 and len(records) > 1 << 20, f"error {code}, {len(records)} bytes"
    took = time.monotonic() - begin
    for p in peers:
        p.close()
    return f"a reader beside them had {len(records) >> 20} MiB in {took * 1000:.0f} ms"


def slow_writer():
    """A good request, byte by byte, is answered all the same."""
    p = Peer(address)
    for b in p.frame(wire.PRODUCE, 3, wire.produce("honest", wire.plain_batch([b"slow"]))):
        p.send(bytes([b]))
    assert struct.unpack(">hq", p.answer()[4 + 2 + 6 + 8:][:10])[0] == 0
    p.close()


# -- batches --

def refused(topic, code, data, what):
    p = Peer(address)
    end = p.end(topic)
    got, _ = produce_any(p, topic, data)
    assert got == code, f"{what}: error {got}, not {code}"
    assert p.end(topic) == end, f"{what}: something was appended"
    p.close()


def bad_batches():
    values = [b"one", b"two", b"three"]
    good = wire.plain_batch(values)
    records = good[61:]
    for topic in ("honest", "deep"):
        for code, data, what in (
                (CORRUPT_MESSAGE, wire.plain_batch(values, crc=1), "a wrong CRC"),
                (CORRUPT_MESSAGE, good[:-1], "a cut batch"),
                (CORRUPT_MESSAGE, good[:40], "a cut header"),
                (CORRUPT_MESSAGE, wire.plain_batch(values, size=2**31 - 1), "a length of two gigabytes"),
                (CORRUPT_MESSAGE, wire.plain_batch(values, size=-5), "a negative length"),
                (INVALID_RECORD, wire.plain_batch(values, count=2), "fewer records than there are"),
                (INVALID_RECORD, wire.plain_batch(values, count=4, delta=3), "more records than there are"),
                (INVALID_RECORD, wire.plain_batch(values, count=2**31 - 1, delta=2**31 - 2), "two milliard records"),
                (INVALID_RECORD, wire.plain_batch(values, delta=7), "a delta of the last offset that is not there"),
                (INVALID_RECORD, wire.plain_batch(values, delta=-1), "a negative delta"),
                (INVALID_RECORD, wire.batch(wire.record(0, b"x", offset=5), 1), "an offset delta of its own"),
                (INVALID_RECORD, wire.batch(wire.record(0, b"x", size=2**31 - 1), 1), "a record of two gigabytes"),
                (INVALID_RECORD, wire.batch(wire.record(0, b"x", size=-1), 1), "a record of negative size"),
                (INVALID_RECORD, wire.batch(wire.record(0, b"x", headers=2**31 - 1), 1), "two milliard headers"),
                (INVALID_RECORD, wire.batch(b"\xff" * 20, 1), "a varint without an end"),
                (INVALID_RECORD, good + good, "two batches"),
                (INVALID_RECORD, wire.plain_batch(values, attributes=0x20), "a control batch"),
                (MESSAGE_TOO_LARGE, wire.plain_batch([bytes(1100000)]), "more than max.message.bytes")):
            refused(topic, code, data, f"{topic}: {what}")
    for codec, name in enumerate(("gzip", "snappy", "lz4", "zstd"), 1):
        refused("deep", INVALID_RECORD, wire.batch(rng.randbytes(500), 3, codec), f"{name} that is none")
    p = Peer(address)
    codes = [p.produce("honest", wire.batch(records, 3, codec))[0] for codec in (5, 6, 7)]
    assert 0 not in codes, f"unknown codecs: {codes}"
    p.close()


def bombs():
    """A compressed batch that would become gigabytes is refused where the broker looks into it."""
    for codec, name in ((1, "gzip"), (2, "snappy"), (3, "lz4"), (4, "zstd")):
        data = wire.bomb(codec, 900000)
        p = Peer(address, 20)
        end = p.end("deep")
        code, _ = produce_any(p, "deep", wire.batch(data, 1, codec))
        assert code == INVALID_RECORD, f"{name}: error {code}"
        assert p.end("deep") == end, f"{name}: something was appended"
        p.close()


def produce_any(p, topic, data):
    """Produce version 7, which takes zstd."""
    out = p.ask(wire.PRODUCE, 7, wire.produce(topic, data))
    return struct.unpack(">hq", out[4 + 2 + len(topic) + 8:][:10])


# -- the run --

def flood():
    p = Peer(address)
    p.create("honest")
    p.create("deep", cleanup_policy="compact")
    p.create("bulk")
    for _ in range(24):
        assert p.produce("bulk", wire.plain_batch([rng.randbytes(1 << 20)[:1000000]]))[0] == 0
    p.close()
    round_trip()
    before = descriptors()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard < 10200:
        print(f"ok - 10,000 idle connections # SKIP the hard limit of open files is {hard}")
    else:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        test("10,000 idle connections", crowd, 10000, b"")
        test("10,000 half frames", crowd, 10000, struct.pack(">ihhi", 100000000, 0, 3, 1) + bytes(100))
    test("random garbage", garbage)
    test("hostile lengths", sizes)
    test("requests with bytes changed", mutations)
    test("counts that claim milliards", counts)
    test("a request byte by byte", slow_writer)
    test("bad batches are refused, nothing is appended", bad_batches)
    test("bombs of every codec are refused", bombs)
    test("40 frames that claim 100 MB", claims)
    test("20 frames of 100 MB, sent at full speed", pushes, 20, 3)
    test("100 answers to Fetch that nobody reads", answers_unread, 100, "fetch")
    test("large answers to Metadata that nobody reads", answers_unread, 60, "metadata")
    test("fetches of 128 KB that wait", parked, 100)
    if hard >= 10200:
        test("10,000 half frames that use up all memory for requests", crowd, 10000,
             struct.pack(">ihhi", 4090, 0, 3, 1) + bytes(4000), False)
    ok = until(lambda: descriptors() <= before)
    print(f"{'ok' if ok else 'not ok'} - descriptors: {before} before, {descriptors()} after")


def limits():
    p = Peer(address)
    p.create("honest")
    p.close()
    round_trip()
    p = Peer(address)
    p.send(struct.pack(">i", 100001))
    closed = p.is_closed()
    print(f"{'ok' if closed else 'not ok'} - a request over socket.request.max.bytes closes its connection")
    p.close()
    peers = [Peer(address) for _ in range(60)]
    served = 0
    for p in peers:
        try:
            p.ask(wire.METADATA, 1, struct.pack(">i", 0))
            served += 1
        except (EOFError, ConnectionError):
            pass
    ok = served == 20
    print(f"{'ok' if ok else 'not ok'} - max.connections=20: {served} of 60 are served")
    for p in peers:
        p.close()

    print(f"{'ok' if until(lambda: is_served(1000)) else 'not ok'} - when they are gone others are served")


stopped = threading.Event()
threading.Thread(target=watch_memory, args=(stopped,), daemon=True).start()
{"flood": flood, "limits": limits}[sys.argv[1]]()
stopped.set()
