# SPDX-License-Identifier: BSD-2-Clause
"""Just enough of the protocol, by hand and without the library, to say things that no library would say."""
import gzip
import socket
import struct
import time
import zlib

PRODUCE, FETCH, LIST_OFFSETS, METADATA, OFFSET_COMMIT, OFFSET_FETCH, FIND_COORDINATOR, CREATE_TOPICS = 0, 1, 2, 3, 8, 9, 10, 19


def crc32c(data):
    table = crc32c.table
    crc = 0xFFFFFFFF
    for b in data:
        crc = table[(crc ^ b) & 255] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


crc32c.table = []
for n in range(256):
    for _ in range(8):
        n = n >> 1 ^ 0x82F63B78 if n & 1 else n >> 1
    crc32c.table.append(n)


def text(s):
    return struct.pack(">h", len(s)) + s.encode() if s is not None else b"\xff\xff"


def varint(n):
    n = (n << 1) ^ (n >> 63)
    out = b""
    while n > 127:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])


def record(i, value, key=b"k", **wrong):
    """`wrong` replaces fields: offset, headers, size."""
    body = b"\0" + varint(0) + varint(wrong.get("offset", i)) + varint(len(key)) + key + varint(len(value)) + value
    body += varint(wrong.get("headers", 0))
    return varint(wrong.get("size", len(body))) + body


def batch(records, n, codec=0, **wrong):
    """A record batch v2; `wrong` replaces fields: magic, crc, delta, count, size, attributes, time, producer, epoch, sequence."""
    when = wrong.get("time", 1700000000000)
    head = struct.pack(">hiqqqhii", wrong.get("attributes", codec), wrong.get("delta", n - 1), when, when, wrong.get("producer", -1), wrong.get("epoch", -1), wrong.get("sequence", -1),
                       wrong.get("count", n))
    crc = wrong.get("crc")
    if crc is None:
        crc = crc32c(head + records)
    size = wrong.get("size", 9 + len(head) + len(records))
    return struct.pack(">qiibI", 0, size, 0, wrong.get("magic", 2), crc) + head + records


def plain_batch(values, **wrong):
    return batch(b"".join(record(i, v) for i, v in enumerate(values)), len(values), **wrong)


def take_varint(data, at):
    n = shift = 0
    while True:
        b = data[at]
        at += 1
        n |= (b & 127) << shift
        shift += 7
        if b < 128:
            return n >> 1 ^ -(n & 1), at


def records(data):
    """(offset, value) of every record of whole, plain batches; the CRC of each is checked."""
    at = 0
    while at + 61 <= len(data):
        base, size = struct.unpack(">qi", data[at:at + 12])
        end = at + 12 + size
        if end > len(data):
            return
        assert crc32c(data[at + 21:end]) == struct.unpack(">I", data[at + 17:at + 21])[0], f"batch {base}: a wrong CRC"
        at += 61
        while at < end:
            size, at = take_varint(data, at)
            after = at + size
            _, at = take_varint(data, at + 1)
            delta, at = take_varint(data, at)
            key, at = take_varint(data, at)
            size, at = take_varint(data, at + max(key, 0))
            yield base + delta, data[at:at + size]
            at = after


def produce(topic, data, partition=0, acks=-1):
    """A Produce request, version 3."""
    return text(None) + struct.pack(">hii", acks, 10000, 1) + text(topic) + \
        struct.pack(">iii", 1, partition, len(data)) + data


def fetch(topic, offset=0, most=50 << 20, wait=0, least=1, partition=0):
    """A Fetch request, version 4."""
    return struct.pack(">iiiibi", -1, wait, least, most, 0, 1) + text(topic) + \
        struct.pack(">iiqi", 1, partition, offset, most)


class Peer:
    """One connection."""

    def __init__(self, address, timeout=10):
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.last = 0

    def close(self, reset=False):
        if reset:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def frame(self, key, version, body):
        self.last += 1
        data = struct.pack(">hhi", key, version, self.last) + text("hostile") + body
        return struct.pack(">i", len(data)) + data

    def read(self, n):
        out = b""
        while len(out) < n:
            some = self.socket.recv(n - len(out))
            if not some:
                raise EOFError("closed")
            out += some
        return out

    def answer(self):
        size, = struct.unpack(">i", self.read(4))
        data = self.read(size)
        assert struct.unpack(">i", data[:4])[0] == self.last, "a wrong correlation id"
        return data[4:]

    def ask(self, key, version, body):
        self.send(self.frame(key, version, body))
        return self.answer()

    def is_closed(self, seconds=10):
        """Reads until the other side closes; False if it does not."""
        self.socket.settimeout(seconds)
        try:
            while self.socket.recv(65536):
                pass
            return True
        except ConnectionError:
            return True
        except socket.timeout:
            return False

    # What an honest client does.

    def produce(self, topic, data, partition=0):
        """(error code, base offset)"""
        out = self.ask(PRODUCE, 3, produce(topic, data, partition))
        at = 4 + 2 + len(topic) + 4 + 4
        return struct.unpack(">hq", out[at:at + 10])

    def end(self, topic, partition=0):
        """The log's end."""
        return self.at_time(topic, -1, partition)

    def at_time(self, topic, when, partition=0):
        """The first offset whose time is that or later."""
        out = self.ask(LIST_OFFSETS, 1, struct.pack(">ii", -1, 1) + text(topic) + struct.pack(">iiq", 1, partition, when))
        at = 4 + 2 + len(topic) + 4 + 4
        code, _, offset = struct.unpack(">hqq", out[at:at + 18])
        assert code == 0, f"ListOffsets: error {code}"
        return offset

    def find_coordinator(self, group):
        """Waits until the group's coordinator is there and has read what it needs."""
        for _ in range(500):
            if self.ask(FIND_COORDINATOR, 0, text(group))[:2] == b"\0\0" and \
                    self.ask(OFFSET_FETCH, 2, text(group) + struct.pack(">i", 0))[-2:] == b"\0\0":
                return
            time.sleep(0.01)
        raise AssertionError("no coordinator")

    def commit(self, group, topic, offset):
        out = self.ask(OFFSET_COMMIT, 2, text(group) + struct.pack(">i", -1) + text("") + struct.pack(">qi", -1, 1) +
                       text(topic) + struct.pack(">iiq", 1, 0, offset) + text(None))
        assert out[-2:] == b"\0\0", f"OffsetCommit: error {out[-1]}"

    def committed(self, group, topic):
        out = self.ask(OFFSET_FETCH, 1, text(group) + struct.pack(">i", 1) + text(topic) + struct.pack(">ii", 1, 0))
        at = 4 + 2 + len(topic) + 4 + 4
        return struct.unpack(">q", out[at:at + 8])[0]

    def fetch(self, topic, offset, partition=0, most=50 << 20):
        """(error code, high watermark, records)"""
        out = self.ask(FETCH, 4, fetch(topic, offset, most, partition=partition))
        at = 4 + 4 + 2 + len(topic) + 4 + 4
        code, mark, _, aborted = struct.unpack(">hqqi", out[at:at + 22])
        return code, mark, out[at + 26 + 16 * max(aborted, 0):]

    def create(self, topic, partitions=1, **settings):
        body = struct.pack(">i", 1) + text(topic) + struct.pack(">ihii", partitions, 1, 0, len(settings))
        for k, v in settings.items():
            body += text(k.replace("_", ".")) + text(v)
        out = self.ask(CREATE_TOPICS, 2, body + struct.pack(">ib", 10000, 0))
        at = 4 + 4 + 2 + len(topic)
        code, = struct.unpack(">h", out[at:at + 2])
        assert code == 0, f"CreateTopics: error {code}"


# -- bombs: at most `size` bytes that become very many --

def bomb(codec, size):
    return [None, gzip_bomb, snappy_bomb, lz4_bomb, zstd_bomb][codec](size)


def gzip_bomb(size):
    """About a thousand times as many: one piece of compressed zeros, again and again."""
    c = zlib.compressobj(9, zlib.DEFLATED, -15)
    c.compress(b"\0" * 65536)
    c.flush(zlib.Z_SYNC_FLUSH)
    piece = c.compress(b"\0" * (4 << 20)) + c.flush(zlib.Z_SYNC_FLUSH)
    head = gzip.compress(b"")[:10]
    start = zlib.compressobj(9, zlib.DEFLATED, -15)
    first = start.compress(b"\0" * 65536) + start.flush(zlib.Z_SYNC_FLUSH)
    return head + first + piece * ((size - 2000) // len(piece))


def snappy_bomb(size):
    """Twenty times as many, and a preamble that claims four gigabytes."""
    return b"\xff\xff\xff\xff\x0f" + b"\0\0" + b"\xfe\x01\x00" * ((size - 10) // 3)


def xerial_bomb(size):
    """Snappy in Java's framing: blocks that each claim four gigabytes."""
    block = b"\xff\xff\xff\xff\x0f\0\0"
    return b"\x82SNAPPY\0" + struct.pack(">ii", 1, 1) + (struct.pack(">i", len(block)) + block) * ((size - 20) // 11)


def lz4_bomb(size):
    """255 times as many, in blocks of 4 MiB."""
    run = (4 << 20) - 1 - 12 - 4 - 15
    block = b"\x1f\0\x01\0" + b"\xff" * (run // 255) + bytes([run % 255]) + b"\xc0" + b"\0" * 12
    return b"\x04\x22\x4d\x18\x60\x70\x73" + (struct.pack("<I", len(block)) + block) * ((size - 11) // (len(block) + 4)) + b"\0\0\0\0"


def zstd_bomb(size):
    """Thirty thousand times as many: four bytes for each block of 128 KiB."""
    block = struct.pack("<I", 131072 << 3 | 1 << 1)[:3] + b"\0"
    return b"\x28\xb5\x2f\xfd\x00\x38" + block * ((size - 20) // 4) + b"\x01\0\0"
