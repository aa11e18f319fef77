# SPDX-License-Identifier: BSD-2-Clause
"""The figures of the benchmark: what is run, and which number of it is the figure. Called by run.sh, which see."""
import argparse
import mmap
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import servers
from servers import Refbroker, Sink

REPS = int(os.environ.get("BENCH_REPS", "5"))
SCALE = float(os.environ.get("BENCH_SCALE", "1"))  # of record counts and megabytes, for a quick look
TOPIC = "bench"
ALIKE = ["-X", "acks=all", "-X", "enable.idempotence=true", "-X", "linger.ms=5", "-X", "batch.size=1000000"]

KAFKA = os.environ.get("BENCH_KAFKA", "yes") == "yes"  # no: a second refbroker stands in for it, to try the benchmark out
Kafka = servers.Kafka if KAFKA else servers.StandIn

# name: unit, whether more is better, bar as (which value, comparison, number); the figure's function is found by group
FIGURES = {}
GROUPS = []
SAVE = None  # an open file


def group(**names):
    """Registers a function that measures the figures named, each with (unit, more_is_better, bar)."""
    def add(function):
        GROUPS.append((function, list(names)))
        FIGURES.update(names)
        return function
    return add


def misses(name, ferry, ratio):
    """Whether a figure misses its bar; one without a bar never does."""
    bar = FIGURES[name][2]
    if not bar:
        return False
    what, sign, number = bar
    value = ratio if what == "ratio" else ferry
    return value < number if sign == ">=" else value > number


def say(line):
    """Prints a line at once, and keeps it for table.py if that was asked for."""
    print(line, flush=True)
    if SAVE:
        SAVE.write(line + "\n")


def show(name, ferry, peer):
    """Prints one figure; ferry and peer are lists of runs."""
    unit, more, bar = FIGURES[name]
    f, p = statistics.median(ferry), statistics.median(peer)
    ratio = (f / p if more else p / f) if f and p else float("nan")
    say(f"figure={name} ferry={f:.6g} peer={p:.6g} ratio={ratio:.3g} unit={unit}")
    if misses(name, f, ratio):
        what, sign, number = bar
        remark(f"{name} misses its bar: {what} {sign} {number:.3g}; it is {ratio if what == 'ratio' else f:.4g}")


def remark(text):
    say(f"# {text}")


def machine(a):
    """What the figures hold for. table.py copies it."""
    with open("/proc/cpuinfo", encoding="utf-8") as f:
        cpu = next((line.split(":", 1)[1].strip() for line in f if line.startswith("model name")), "an unnamed CPU")
    load = os.getloadavg()[0]
    wheel = os.path.dirname(os.path.dirname(a.peer))
    version = next((n.split("-")[1].removesuffix(".dist") for n in os.listdir(wheel) if n.endswith(".dist-info")), "?")
    remark(f"machine: {time.strftime('%Y-%m-%d')}, {os.cpu_count()} cores of {cpu}, Linux {os.uname().release}, librdkafka of "
           f"confluent-kafka {version}, medians of {REPS}{f', counts times {SCALE}' if SCALE != 1 else ''}, load {load:.1f} at the start")


class Tools:
    def __init__(self, a):
        self.bin, self.build, self.kafka, self.peer_library = a.bin, os.path.abspath(a.build), a.kafka, a.peer

    def path(self, program):
        """fbench is the build's own; what does not depend on the tree's library is kept in the cache."""
        return f"{self.build}/tests/bench/fbench" if program == "fbench" else f"{self.bin}/{program}"

    def run(self, program, *arguments, timeout=120):
        """Runs one of the bench's programs; returns its key=value words, numbers as float."""
        out = subprocess.run([self.path(program), *map(str, arguments)], capture_output=True, text=True, timeout=timeout,
                             check=False)
        if out.returncode:
            raise RuntimeError(f"{program} {' '.join(map(str, arguments))}: status {out.returncode}: {out.stderr[-300:]}")
        values = {}
        for word in out.stdout.split():
            key, eq, value = word.partition("=")
            try:
                if eq:
                    values[key] = float(value.rstrip(")"))
            except ValueError:
                pass
        return values


def scaled(n):
    return max(1, int(n * SCALE))


def warm_memory(mib):
    """Touches memory and frees it. A virtual machine's host takes free memory away and gives it back at the first touch,
    page by page, at a tenth of the speed: without this a broker's page cache would be charged for it, now more, now less."""
    with open("/proc/meminfo", encoding="ascii") as f:
        available = next(int(line.split()[1]) // 1024 for line in f if line.startswith("MemAvailable"))
    size = min(int(mib * min(SCALE, 1)) + 1, available // 4) << 20
    mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | mmap.MAP_POPULATE).close()


# -- The broker beside Apache Kafka --


def fill(t, server):
    t.run("probe", "fill", server.address, TOPIC, 4, scaled(1024))


def ready_once(t, server, *flags):
    return t.run("probe", "ready", *flags, server.port, TOPIC, *server.command())["ready_ms"]


@group(broker_ready=("ms", False, ("ferry", "<=", 20)))
def broker_ready(t):
    """From exec to an acknowledged Produce and a Fetch at the end of a log of 1 GB, after a clean stop."""
    values = {}
    with Refbroker(t) as r, Kafka(t) as k:
        for server in (r, k):
            fill(t, server)
            server.stop()
        os.sync()
        for _ in range(REPS):
            for server in (r, k):
                values.setdefault(server.name, []).append(ready_once(t, server))
    show("broker_ready", values["ferry"], values["kafka"])


@group(broker_ready_crash=("ms", False, ("ferry", "<=", 100)))
def broker_ready_crash(t):
    """The same after SIGKILL straight after the log was written; every run starts on a copy of that crash's data."""
    values = {}
    with Refbroker(t) as r, Kafka(t) as k:
        for server in (r, k):
            fill(t, server)
            server.kill()
            os.rename(server.data, server.data + ".crash")
        for _ in range(REPS):
            for server in (r, k):
                shutil.copytree(server.data + ".crash", server.data)
                os.sync()
                values.setdefault(server.name, []).append(ready_once(t, server, "-k"))
                shutil.rmtree(server.data)
    show("broker_ready_crash", values["ferry"], values["kafka"])


@group(broker_rss_idle=("MiB", False, ("ferry", "<=", 6)), broker_rss_loaded=("MiB", False, ("ferry", "<=", 64)))
def broker_rss(t):
    """RssAnon when the broker has just become ready, and after librdkafka has produced and consumed 1 GB. One run each."""
    idle, loaded, count = {}, {}, scaled(10_000_000)
    for make in (Refbroker, Kafka):
        with make(t) as server:
            idle[server.name] = server.rss()
            t.run("kbench", "-M", "produce", "-b", server.address, "-n", count, "-s", 100, *ALIKE)
            t.run("kbench", "-M", "consume", "-b", server.address, "-n", count, "-P", 4, "-a", "batch", "-s", 100,
                  "-X", "fetch.queue.backoff.ms=0")
            loaded[server.name] = server.rss()
    show("broker_rss_idle", [idle["ferry"]], [idle["kafka"]])
    show("broker_rss_loaded", [loaded["ferry"]], [loaded["kafka"]])


@group(broker_cpu=("us/record", False, ("ferry", "<=", 0.1)))
def broker_cpu(t):
    """User and system time of the broker per record of 100 bytes that librdkafka produces; a first run warms both up."""
    values = {"ferry": [], "kafka": []}
    with Refbroker(t) as r, Kafka(t) as k:
        for rep in range(REPS + 1):
            for server in (r, k):
                warm_memory(2048)
                count, before = scaled(2_000_000), server.cpu()
                t.run("kbench", "-M", "produce", "-b", server.address, "-n", count, "-s", 100, *ALIKE)
                if rep:
                    values[server.name].append((server.cpu() - before) / count * 1e6)
    show("broker_cpu", values["ferry"], values["kafka"])


@group(broker_p50=("us", False, ("ratio", ">=", 2)), broker_p99=("us", False, None),
       broker_p50_sink=("us", False, None), broker_p99_sink=("us", False, ("ratio", ">=", 1 / 1.5)))
def broker_latency(t):
    """From produce to report with librdkafka as the client, 1,000 records/s, linger 0; the *_sink lines have the sink as
    the peer, which does next to nothing: the price of being a broker."""
    runs = {"ferry": [], "kafka": [], "sink": []}
    with Refbroker(t) as r, Kafka(t) as k, Sink(t) as s:
        for _ in range(REPS):
            for server in (r, k, s):
                warm_memory(256)
                runs[server.name].append(t.run("kbench", "-M", "latency", "-b", server.address, "-n", scaled(3000), "-R", 1000,
                                               "-s", 100, "-X", "linger.ms=0", "-X", "acks=all"))
    for p in ("p50", "p99"):
        by = {name: [v[p + "_us"] for v in of] for name, of in runs.items()}
        show("broker_" + p, by["ferry"], by["kafka"])
        show(f"broker_{p}_sink", by["ferry"], by["sink"])


# -- The library beside librdkafka --

PROGRAMS = (("ferry", "fbench"), ("peer", "kbench"))


def in_turn(t, sink, key, arguments):
    """Both programs REPS times in turn, each time against a fresh sink; the values of one key."""
    values = {"ferry": [], "peer": []}
    for _ in range(REPS):
        for side, program in PROGRAMS:
            with Sink(t, *sink) as s:
                values[side].append(t.run(program, *arguments, "-b", s.address)[key])
    return values["ferry"], values["peer"]


@group(produce_100=("records/s", True, ("ratio", ">=", 4)), produce_100_defaults=("records/s", True, None),
       produce_1k=("records/s", True, ("ratio", ">=", 2)), produce_1k_defaults=("records/s", True, None))
def produce(t):
    """Records per second, every outcome delivered: with the same settings, and with each library's defaults."""
    for name, size, count in (("produce_100", 100, 4_000_000), ("produce_1k", 1024, 1_000_000)):
        for suffix, settings in (("", ALIKE), ("_defaults", [])):
            work = ["-M", "produce", "-n", scaled(count), "-s", size, *settings]
            show(name + suffix, *in_turn(t, [], "msgs_per_s", work))


def instructions(t, program, arguments, count):
    """The instructions of a whole run of `count` records, by callgrind."""
    with tempfile.TemporaryDirectory() as where, Sink(t, *(["-n", str(count), "-p", "1"] if "consume" in arguments else [])) as s:
        out = subprocess.run(["valgrind", "--tool=callgrind", "--fair-sched=yes", f"--callgrind-out-file={where}/out",
                              t.path(program), *arguments, "-n", str(count), "-b", s.address],
                             capture_output=True, text=True, timeout=300, check=False)
        if out.returncode:
            raise RuntimeError(f"{program} under callgrind: status {out.returncode}: {out.stderr[-300:]}")
        with open(f"{where}/out", encoding="utf-8", errors="replace") as f:
            return next(int(line.split()[1]) for line in f if line.startswith(("summary:", "totals:")))


def instructions_each(t, arguments, low, high):
    return [[(instructions(t, p, arguments, high) - instructions(t, p, arguments, low)) / (high - low)] for _, p in PROGRAMS]


@group(produce_instr=("instructions/record", False, ("ferry", "<=", 450)))
def produce_instr(t):
    """Instructions per record, by callgrind's difference of two counts."""
    show("produce_instr", *instructions_each(t, ["-M", "produce", "-s", "100", *ALIKE], 50_000, 200_000))


CONSUME = ["-M", "consume", "-s", "100", "-X", "check.crcs=true"]
CONSUME_PEER = ["-a", "batch", "-X", "fetch.queue.backoff.ms=0"]  # its fastest way


@group(consume_100=("records/s", True, ("ratio", ">=", 5)))
def consume(t):
    """Records per second out of four partitions, record by record, both checking CRCs."""
    values = {"ferry": [], "peer": []}
    for _ in range(REPS):
        for side, program in PROGRAMS:
            with Sink(t, "-s", "100") as s:
                more = CONSUME_PEER if program == "kbench" else []
                values[side].append(t.run(program, *CONSUME, *more, "-P", 4, "-n", scaled(8_000_000), "-b", s.address)["msgs_per_s"])
    show("consume_100", values["ferry"], values["peer"])


@group(consume_instr=("instructions/record", False, ("ferry", "<=", 220)))
def consume_instr(t):
    """Instructions per record, by callgrind's difference of two counts, one partition that ends there."""
    each = []
    for _, program in PROGRAMS:
        words = [*CONSUME, *(CONSUME_PEER if program == "kbench" else []), "-P", "1"]
        low, high = 50_000, 200_000
        each.append([(instructions(t, program, words, high) - instructions(t, program, words, low)) / (high - low)])
    show("consume_instr", *each)


@group(group_join=("ms", False, ("ferry", "<=", 10)))
def group_join(t):
    """From the creation of a consumer to its first record in a group; the sink has no initial rebalance delay."""
    show("group_join", *in_turn(t, ["-p", "1"], "first_msg_ms", ["-M", "startup", "-w", "group", "-P", "1", "-r", 5]))


@group(report_p50=("us", False, ("ratio", ">=", 1.4)), report_p50_threads=("us", False, None))
def report_p50(t):
    """From produce to report at 1,000 records/s, linger 0: the thread that sends waits for its report; another thread takes it."""
    for name, how in (("report_p50", ["-w", "alone"]), ("report_p50_threads", [])):
        show(name, *in_turn(t, [], "p50_us", ["-M", "latency", "-n", scaled(3000), "-R", 1000, "-s", 100, *how,
                                              "-X", "linger.ms=0", "-X", "acks=all"]))


@group(first_report=("ms", False, ("ferry", "<=", 5)))
def first_report(t):
    """From the creation of an idempotent producer to its first report."""
    show("first_report", *in_turn(t, ["-p", "1"], "first_msg_ms", ["-M", "startup", "-r", 5, "-X", "linger.ms=0", "-X", "acks=all",
                                                                   "-X", "enable.idempotence=true"]))


@group(queued_bytes=("bytes", False, ("ferry", "<=", 32)))
def queued_bytes(t):
    """Bytes of overhead per queued record of 10 bytes, no broker there, reports on."""
    values = {"ferry": [], "peer": []}
    for _ in range(REPS):
        for side, program in PROGRAMS:
            values[side].append(t.run(program, "-M", "queue", "-b", "127.0.0.1:1", "-n", scaled(1_000_000), "-s", 10)["overhead_per_msg"])
    show("queued_bytes", values["ferry"], values["peer"])


@group(brokers50_threads=("threads", False, ("ferry", "<=", 1)), brokers50_memory=("KiB", False, ("ferry", "<=", 1024)))
def brokers50(t):
    """An idle producer with a connection to each of 50 brokers: the mean of nine clients after a first one in one process."""
    runs = {}
    for side, program in PROGRAMS:
        with Sink(t, "-b", "50", "-p", "50") as s:
            more = ["-C", "-w", "producer"] if program == "kbench" else []
            runs[side] = t.run(program, "-M", "mem", "-i", 10, "-P", 50, "-S", 1, *more, "-b", s.address)
    show("brokers50_threads", [runs["ferry"]["threads_each"]], [runs["peer"]["threads_each"]])
    show("brokers50_memory", [runs["ferry"]["next_kb_each"]], [runs["peer"]["next_kb_each"]])


@group(so_size=("KiB", False, ("ferry", "<=", 600)))
def so_size(t):
    """The stripped shared library."""
    def stripped(path):
        with tempfile.TemporaryDirectory() as where:
            subprocess.run(["strip", "-o", f"{where}/so", os.path.realpath(path)], check=True)
            return os.path.getsize(f"{where}/so") / 1024
    show("so_size", [stripped(f"{t.build}/.libs/libferry.so")], [stripped(t.peer_library)])


def main():
    global SAVE
    a = argparse.ArgumentParser()
    a.add_argument("--list", action="store_true")
    a.add_argument("--bin")
    a.add_argument("--build")
    a.add_argument("--kafka")
    a.add_argument("--peer")
    a.add_argument("--save", help="a file that gets the same lines")
    a.add_argument("names", nargs="*")
    a = a.parse_args()
    if a.list:
        print("\n".join(FIGURES))
        return 0
    wanted = [(f, names) for f, names in GROUPS if not a.names or any(w in n for w in a.names for n in names)]
    if not wanted:
        print(f"no figure has {' or '.join(a.names)} in its name; --list prints them", file=sys.stderr)
        return 2
    failed = 0
    SAVE = open(a.save, "w", encoding="utf-8", buffering=1) if a.save else None
    machine(a)
    for function, names in wanted:
        try:
            function(Tools(a))
        except (RuntimeError, OSError, KeyError, subprocess.SubprocessError) as e:
            remark(f"failed: {', '.join(names)}: {e}")
            failed = 1
    return failed


if __name__ == "__main__":
    sys.exit(main())
