# SPDX-License-Identifier: BSD-2-Clause
"""The servers that the benchmarks run against: refbroker, Apache Kafka, the sink. Each lives in a directory of its own,
is used as a context manager and never outlives it."""
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def cpu_seconds(pid):
    """User and system time of a process, by its CPU clock (nanoseconds, where /proc has ticks of 10 ms)."""
    return time.clock_gettime((~pid << 3) | 2)


def rss_anon_mib(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return int(re.search(r"RssAnon:\s+(\d+) kB", f.read()).group(1)) / 1024


class Server:
    """pid, address; stop() ends it cleanly, kill() at once; both wait until it is gone."""

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="ferry-bench-", dir=os.environ.get("BENCH_TMP"))
        self.pid = None
        self.address = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        if self.pid:
            self.kill()
        shutil.rmtree(self.dir, ignore_errors=True)

    def cpu(self):
        return cpu_seconds(self.pid)

    def rss(self):
        return rss_anon_mib(self.pid)


class Spawned(Server):
    """A server that is our own child and says its address on its first line."""
    process = None

    def spawn(self, command, pattern):
        with open(f"{self.dir}/log", "ab") as log:
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        self.pid = self.process.pid
        line = self.process.stdout.readline()
        found = re.match(pattern, line)
        if not found:
            raise RuntimeError(f"{command[0]} did not start: {line!r}; see {self.dir}/log")
        self.address = found.group(1)

    def _end(self, sig):
        self.process.send_signal(sig)
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self.pid = None

    def stop(self):
        self._end(signal.SIGTERM)

    def kill(self):
        self._end(signal.SIGKILL)


class Refbroker(Spawned):
    name = "ferry"
    settings = ["num.partitions=4"]

    def __init__(self, tools):
        super().__init__()
        self.program = f"{tools.build}/refbroker/refbroker"
        self.data = f"{self.dir}/data"
        self.port = free_port()

    def command(self):
        words = [self.program, "--data", self.data, "--listen", f"127.0.0.1:{self.port}", "--log-level", "warn"]
        for s in self.settings:
            words += ["-X", s]
        return words

    def start(self):
        self.spawn(self.command(), r"refbroker: ready on (\S+)$")


class StandIn(Refbroker):
    """In Apache Kafka's place, where only the benchmark itself is tried."""
    name = "kafka"


class Sink(Spawned):
    name = "sink"

    def __init__(self, tools, *arguments):
        super().__init__()
        self.words = [f"{tools.bin}/sinkbroker", "-q", *arguments]

    def start(self):
        self.spawn(self.words, r"(\S+)$")


class Kafka(Server):
    """Apache Kafka by tests/kafka/kafka; its command line, for a start by the probe, is read from the running one."""
    name = "kafka"

    def __init__(self, tools):
        super().__init__()
        self.starter = tools.kafka
        self.data = f"{self.dir}/k"
        self.words = None

    def start(self):
        how = "restart" if os.path.exists(f"{self.data}/server.properties") else "start"
        more = ["num.partitions=4"] if how == "start" else []
        out = subprocess.run([self.starter, how, self.data, *more], check=True, capture_output=True, text=True, timeout=180)
        self.address = out.stdout.strip().split("\n")[-1]
        self.port = int(self.address.rsplit(":", 1)[1])
        with open(f"{self.data}/pid", encoding="ascii") as f:
            self.pid = int(f.read())
        with open(f"/proc/{self.pid}/cmdline", "rb") as f:
            self.words = [w.decode() for w in f.read().split(b"\0")[:-1]]

    def command(self):
        return self.words

    def _end(self, *how):
        subprocess.run([self.starter, "stop", self.data, *how], check=True, timeout=90)
        self.pid = None

    def stop(self):
        self._end()

    def kill(self):
        self._end("-9")
