#!/usr/bin/env python3
"""Writes the keys on which partitioners are compared: a line each, "COUNT KEY", the key in hex, "-" null, "." empty."""
import random
import sys

rng = random.Random(20260801)
total = int(sys.argv[1]) if len(sys.argv) > 1 else 12000
words = ["foobar", "21", "a-little-bit-long-string", "lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8",
         "user", "заказ", "注文", "naïve", "\x00", "\x7f", "0", "-1", "true"]
keys = [None, b""] + [w.encode() for w in words]
while len(keys) < total:
    kind = rng.randrange(5)
    if kind == 0:
        keys.append(bytes(rng.randrange(256) for _ in range(rng.randrange(1, 64))))
    elif kind == 1:
        keys.append(str(rng.randrange(10 ** rng.randrange(1, 18))).encode())
    elif kind == 2:
        keys.append(f"user-{rng.randrange(10 ** 6):06d}".encode())
    elif kind == 3:
        h = f"{rng.getrandbits(128):032x}"
        keys.append(f"{h[:8]}-{h[8:12]}-{h[12:16]}-{h[16:20]}-{h[20:]}".encode())
    else:
        keys.append(bytes([rng.choice([0, 127, 128, 255])]) * rng.randrange(1, 300))
for i, k in enumerate(keys):
    count = rng.choice([1, 2, 3, 4, 5, 6, 7, 12, 50, 64, 100, 1000, 12345])
    print(count, "-" if k is None else k.hex() or ".")
# KIP-794: "load RANDOM ALL q0 q1 ...": queue lengths of the partitions that may be chosen, ALL 0 if one was left out.
for i in range(total // 4):
    n = rng.randrange(1, 20)
    top = rng.choice([1, 2, 5, 100])
    queues = [rng.randrange(top) for _ in range(n)]
    everyone = 1 if n > 1 and rng.randrange(3) else 0
    print("load", rng.randrange(2 ** 31), everyone, *queues)
