"""What every Python client does: records of each codec, read in a group, committed, resumed."""
import sys

CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]
EACH = 200
MORE = 100


def records(codec, count=EACH):
    """(key, value, headers) of a codec's records; values repeat, so that compression has something to do."""
    for i in range(count):
        key = f"key-{i % 17}".encode()
        value = f"{codec}:{i:06d}:".encode() + b"abcdefgh" * 20
        yield key, value, [("codec", codec.encode()), ("n", str(i).encode())]


def expected(codecs, count=EACH):
    """Per key the values in order."""
    want = {}
    for codec in codecs:
        for key, value, _ in records(codec, count):
            want.setdefault(key, []).append(value)
    return want


class Checks:
    def __init__(self, name):
        self.name, self.failed = name, 0

    def ok(self, what, passed, detail=""):
        print(f"{'ok' if passed else 'not ok'} - {self.name}: {what}{'' if passed else ': ' + str(detail)}", flush=True)
        self.failed += not passed

    def same(self, what, got, want):
        missing = sum(len(v) for v in want.values()) - sum(len(v) for v in got.values())
        self.ok(what, got == want, f"{missing} missing, or out of order")

    def done(self):
        sys.exit(1 if self.failed else 0)
