# SPDX-License-Identifier: BSD-2-Clause
"""Bad input for the library, in TAP: a broker whose answers are damaged on their way.

    liar.py BUILD DIR

A refbroker runs behind a proxy that clients are told to connect to. It damages answers in one way at a time: some of them,
and then the client must still deliver and read everything once and in order; or all of them, and then it must end with an
error in time. What no client can detect, changed bytes in an answer, must at least not harm it. In no case does it crash,
hang, or take much memory.
"""
import os
import random
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

import kafkawire as wire
from kafkawire import Peer

build, work = sys.argv[1], sys.argv[2]
MEMORY_MAX = (400 if os.environ.get("FERRY_SANITIZED") else 100) << 20
COUNT = 3000


class Liar:
    """Passes requests on, and answers back as `lie` makes them: lie(answer) gives bytes, and whether to hang up."""

    def __init__(self, name):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=100)
        self.port = self.listener.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        self.lie, self.one_in, self.told = None, 1, 0
        self.rng = random.Random(1)
        data = os.path.join(work, name)
        self.process = subprocess.Popen(
            [build + "/refbroker/refbroker", "--data", data, "--listen", "127.0.0.1:0", "-X",
             f"advertised.listeners=PLAINTEXT://{self.address}"], stdout=subprocess.PIPE, stderr=open(data + ".log", "wb"))
        self.broker = self.process.stdout.readline().decode().split()[-1]
        threading.Thread(target=self.accept, daemon=True).start()
        p = Peer(self.broker)
        p.create("numbers")
        for i in range(0, COUNT, 20):
            values = [str(i + j).encode() for j in range(20)]
            assert p.produce("numbers", wire.plain_batch(values, time=int(time.time() * 1000)))[0] == 0
        p.close()

    def accept(self):
        while True:
            client, _ = self.listener.accept()
            host, port = self.broker.rsplit(":", 1)
            try:
                server = socket.create_connection((host, int(port)))
            except OSError:
                client.close()
                continue
            for s in (client, server):
                s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self.ask, args=(client, server), daemon=True).start()
            threading.Thread(target=self.answer, args=(client, server), daemon=True).start()

    def ask(self, client, server):
        try:
            while data := client.recv(1 << 16):
                server.sendall(data)
        except OSError:
            pass
        hang_up(server)

    def answer(self, client, server):
        try:
            while True:
                frame = exactly(server, 4)
                frame += exactly(server, struct.unpack(">i", frame)[0])
                lie, done = self.lie, False
                if lie and self.rng.randrange(self.one_in) == 0:
                    self.told += 1
                    frame, done = lie(frame, self.rng)
                client.sendall(frame)
                if done:
                    break
        except (OSError, EOFError):
            pass
        hang_up(client)
        hang_up(server)


def hang_up(s):
    try:
        s.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass


def exactly(s, n):
    out = bytearray()
    while len(out) < n:
        some = s.recv(n - len(out))
        if not some:
            raise EOFError
        out += some
    return bytes(out)


# -- lies: (frame, rng) -> (bytes, hang up afterwards) --

def no_answer(frame, rng):
    return b"", True


def half(frame, rng):
    return frame[:rng.randrange(len(frame))], True


def claims_much(frame, rng):
    return struct.pack(">i", 100000000) + frame[4:], False


def claims_too_much(frame, rng):
    return struct.pack(">i", rng.choice([-1, -2**31, 2**31 - 1, 0, 3])) + frame[4:], False


def wrong_id(frame, rng):
    return frame[:4] + struct.pack(">i", rng.randrange(2**31)) + frame[8:], False


def answers_twice(frame, rng):
    return frame + frame, False


def noise(frame, rng):
    return rng.randbytes(len(frame) + 10), False


def cut_body(frame, rng):
    """A whole frame, but its message ends too early."""
    n = rng.randrange(4, max(5, len(frame) - 4))
    return struct.pack(">i", n) + frame[4:4 + n], False


def noise_in_frame(frame, rng):
    """The right length and id, then noise."""
    return frame[:8] + rng.randbytes(len(frame) - 8), False


def changed_bytes(frame, rng):
    data = bytearray(frame)
    for _ in range(rng.randrange(1, 4)):
        if len(data) > 8:
            data[rng.randrange(8, len(data))] = rng.choice([0, 1, 127, 128, 255, rng.randrange(256)])
    return bytes(data), False


# -- clients --

def run(seconds, *command, stdin=None):
    """(status, output, bytes of memory); a program that does not end in time counts as status 124."""
    with tempfile.TemporaryFile(dir=work) as out:
        begin = time.monotonic()
        p = subprocess.Popen(command, stdin=subprocess.PIPE if stdin else subprocess.DEVNULL, stdout=out, stderr=out)
        if stdin:
            p.stdin.write(stdin)
            p.stdin.close()
        timer = threading.Timer(seconds, p.kill)
        timer.start()
        _, status, usage = os.wait4(p.pid, 0)
        timer.cancel()
        p.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        text = out.read().decode(errors="replace")
    code = 124 if time.monotonic() - begin >= seconds else p.returncode
    return code, text, usage.ru_maxrss * 1024


def check(name, good, text, memory, most=MEMORY_MAX):
    good = good and memory < most and "Sanitizer" not in text
    print(f"{'ok' if good else 'not ok'} - {name} ({memory >> 20} MiB)", flush=True)
    if not good:
        for line in text.splitlines()[-12:]:
            print("# " + line[:300])


FAST = ["request.timeout.ms=700", "delivery.timeout.ms=20000", "reconnect.backoff.ms=5", "reconnect.backoff.max.ms=50",
        "retry.backoff.ms=5", "retry.backoff.max.ms=50", "linger.ms=1"]


def some_lies(liar, lie, topic, one_in):
    """Everything arrives all the same."""
    liar.lie, liar.one_in, liar.told = lie, one_in, 0
    program = build + "/tests/e2e/producer"
    status, text, memory = run(30, program, "send", liar.address, topic, "0", str(COUNT), "0", "batch.size=3000", *FAST)
    told = liar.told
    liar.lie = None
    if status == 0:
        status, more, _ = run(30, program, "check", liar.broker, topic, str(COUNT), "once")
        text += more
    check(f"{lie.__name__}: one of {one_in} ({told} so far), all is delivered once", status == 0 and told > 0, text, memory)


def some_lies_read(liar, lie, one_in):
    """Everything is read all the same, by a group."""
    liar.lie, liar.one_in, liar.told = lie, one_in, 0
    settings = [x for s in FAST for x in ("-X", s) if not s.startswith(("delivery", "linger"))]
    status, text, memory = run(30, build + "/ferry-console-consumer", "--bootstrap-server", liar.address, "--topic", "numbers",
                               "--group", "g-" + lie.__name__, "--from-beginning", "--max-messages", str(COUNT),
                               "-X", "fetch.max.bytes=2000", "-X", "max.partition.fetch.bytes=2000", *settings)
    told = liar.told
    liar.lie = None
    got = [int(line) for line in text.splitlines() if line.isdigit()]
    good = status == 0 and got == list(range(COUNT))
    check(f"{lie.__name__}: one of {one_in} ({told} so far), a group reads all once, in order", good,
          text if not good else "", memory)


def only_lies(liar, lie):
    """An error in time."""
    liar.lie, liar.one_in = lie, 1
    limit = 15
    status, text, memory = run(limit, build + "/ferry-console-producer", "--bootstrap-server", liar.address, "--topic", "numbers",
                               "-X", "delivery.timeout.ms=900", "-X", "request.timeout.ms=400", "-X", "max.block.ms=500",
                               "-X", "linger.ms=0", stdin=b"never\n")
    check(f"{lie.__name__}: always, the producer says so and ends", status == 1 and "1 of 1" in text, text, memory)
    status, text, memory = run(limit, build + "/ferry-topics", "--bootstrap-server", liar.address, "--list", "--timeout-ms", "800")
    check(f"{lie.__name__}: always, ferry-topics says so and ends", status == 1 and "ferry-topics: " in text, text, memory)
    status, text, memory = run(limit, build + "/ferry-console-consumer", "--bootstrap-server", liar.address, "--topic", "numbers",
                               "--from-beginning", "--timeout-ms", "1000", "-X", "request.timeout.ms=400")
    check(f"{lie.__name__}: always, the consumer ends", status in (0, 1) and "Processed a total of 0" in text, text, memory)
    liar.lie = None


def unharmed(liar, seed):
    """Changed bytes: whatever comes of it, no crash and no hang."""
    liar.rng = random.Random(seed)
    liar.lie, liar.one_in = changed_bytes, 3
    program = build + "/tests/e2e/producer"
    ends, worst, said = set(), 0, ""
    for i in range(3):
        for command in ((program, "send", liar.address, f"changed-{i}", "0", "500", "0", "batch.size=3000", *FAST[:1],
                         "delivery.timeout.ms=1000", "max.block.ms=1000"),
                        (build + "/ferry-console-consumer", "--bootstrap-server", liar.address, "--topic", "numbers", "--group",
                         f"changed-{i}", "--from-beginning", "--timeout-ms", "800", "-X", "fetch.max.bytes=5000")):
            status, text, memory = run(30, *command)
            ends.add(status)
            worst = max(worst, memory)
            said += text if status not in (0, 1) or "Sanitizer" in text else ""
    liar.lie = None
    check(f"changed bytes in every third answer: no harm (seed {seed}, ends {sorted(ends)})", ends <= {0, 1}, said, worst)


def bombs(liar):
    """A batch that becomes gigabytes is an error of its own."""
    p = Peer(liar.broker)
    for codec, name in ((1, "gzip"), (2, "snappy"), (3, "lz4"), (4, "zstd")):
        p.create("bomb-" + name)
        out = p.ask(wire.PRODUCE, 7, wire.produce("bomb-" + name, wire.batch(wire.bomb(codec, 900000), 1, codec)))
        assert out[4 + 2 + len("bomb-" + name) + 8:][:2] == b"\0\0", "the broker looks into it"
        status, text, memory = run(15, build + "/ferry-console-consumer", "--bootstrap-server", liar.broker, "--topic",
                                   "bomb-" + name, "--partition", "0", "--offset", "earliest", "--timeout-ms", "1500")
        good = status == 1 and "offset 0" in text
        check(f"a bomb of {name}: {text.strip().splitlines()[0][:120] if text.strip() else 'nothing'}", good, text, memory,
              MEMORY_MAX + (100 << 20))  # the most that a batch may expand to
    p.close()


def job(name, steps):
    liar = Liar(name)
    try:
        for function, *arguments in steps:
            try:
                function(liar, *arguments)
            except (AssertionError, OSError, EOFError, struct.error) as e:
                print(f"not ok - {function.__name__} {arguments}: {type(e).__name__} {e}", flush=True)
    finally:
        liar.process.terminate()
        liar.process.wait(10)


def main():
    os.makedirs(work, exist_ok=True)
    always = (no_answer, half, claims_much, claims_too_much, wrong_id, noise, cut_body, noise_in_frame)
    sometimes = (no_answer, half, claims_too_much, wrong_id, noise, answers_twice)
    jobs = [threading.Thread(target=job, args=x) for x in (
        ("sent", [(some_lies, lie, f"some-{i}", 8) for i, lie in enumerate(sometimes)] + [(some_lies, claims_much, "some-m", 25)]),
        ("read", [(some_lies_read, lie, 12) for lie in sometimes] + [(bombs,)]),
        ("always", [(only_lies, lie) for lie in always[::2]]),
        ("ever", [(only_lies, lie) for lie in always[1::2]]),
        ("changed", [(unharmed, seed) for seed in (1, 2, 3)]))]
    for j in jobs:
        j.start()
    for j in jobs:
        j.join()


main()
