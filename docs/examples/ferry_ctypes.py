"""Producing and consuming from Python by ctypes alone: no compiler, no binding.

    python3 ferry_ctypes.py HOST:PORT TOPIC COUNT     (LIBFERRY names the library if it is not on the system's path)
"""
import ctypes
import os
import sys
from ctypes import POINTER, Structure, byref, c_char, c_char_p, c_int8, c_int32, c_int64, c_uint32, c_uint64, c_void_p

ferry = ctypes.CDLL(os.environ.get("LIBFERRY", "libferry.so.0"))
FERRY_REPORTS, FERRY_SEND_WAIT = 1, 1


class Error(Structure):
    _fields_ = [("code", c_int32), ("flags", c_uint32), ("text", c_char * 504)]


class ReportInfo(Structure):
    _fields_ = [("topic", c_char_p), ("text", c_char_p), ("base_offset", c_int64), ("log_append_time", c_int64),
                ("latency_us", c_int64), ("batch", c_uint64), ("partition", c_int32), ("count", c_int32),
                ("error", c_int32), ("outcome", c_int32), ("broker", c_int32), ("tries", c_int32)]


class Message(Structure):
    _fields_ = [("offset", c_int64), ("timestamp", c_int64), ("key", c_void_p), ("value", c_void_p),
                ("headers", c_void_p), ("key_len", c_int32), ("value_len", c_int32), ("headers_len", c_int32),
                ("header_count", c_int32), ("topic", c_char_p), ("buffer", c_void_p), ("partition", c_int32),
                ("error", c_int32), ("leader_epoch", c_int32), ("timestamp_type", c_int8), ("reserved", c_int8 * 3)]


def function(name, result, *arguments):
    f = getattr(ferry, name)
    f.restype, f.argtypes = result, arguments
    return f


config_new = function("ferry_config_new", c_void_p)
config_set = function("ferry_config_set", c_int32, c_void_p, c_char_p, c_char_p, POINTER(Error))
config_free = function("ferry_config_free", None, c_void_p)
producer_new = function("ferry_producer_new", c_void_p, c_void_p, c_uint32, POINTER(Error))
producer_topic = function("ferry_producer_topic", c_void_p, c_void_p, c_char_p, POINTER(Error))
send = function("ferry_send", c_int32, c_void_p, c_int32, c_char_p, c_int32, c_char_p, c_int32, c_uint64, c_uint32)
producer_poll = function("ferry_producer_poll", c_void_p, c_void_p, c_int32)
report_info = function("ferry_report_info", None, c_void_p, POINTER(ReportInfo))
report_release = function("ferry_report_release", None, c_void_p)
producer_close = function("ferry_producer_close", c_int32, c_void_p, c_int32, POINTER(Error))
producer_free = function("ferry_producer_free", None, c_void_p)
consumer_new = function("ferry_consumer_new", c_void_p, c_void_p, POINTER(Error))
subscribe = function("ferry_consumer_subscribe", c_int32, c_void_p, POINTER(c_char_p), c_int32, POINTER(Error))
consumer_poll = function("ferry_consumer_poll", c_int32, c_void_p, POINTER(Message), c_int32, c_int32, POINTER(Error))
consumer_close = function("ferry_consumer_close", c_int32, c_void_p, c_int32, POINTER(Error))
consumer_free = function("ferry_consumer_free", None, c_void_p)


def config(**settings):
    err, c = Error(), config_new()
    for key, value in settings.items():
        if config_set(c, key.replace("_", ".").encode(), str(value).encode(), byref(err)):
            sys.exit(err.text.decode())
    return c


def produce(server, topic, count):
    err, info, done, c = Error(), ReportInfo(), 0, config(bootstrap_servers=server)
    p = producer_new(c, FERRY_REPORTS, byref(err)) or sys.exit(err.text.decode())
    config_free(c)
    t = producer_topic(p, topic.encode(), byref(err))
    for i in range(count):
        key, value = f"key-{i % 10}".encode(), f"value {i}".encode()
        code = send(t, -1, key, len(key), value, len(value), 0, FERRY_SEND_WAIT)
        if code:
            sys.exit(f"record {i}: error {code}")
    while done < count:
        report = producer_poll(p, 10000) or sys.exit("no report in 10 s")
        report_info(report, byref(info))
        if info.error:
            sys.exit(f"{info.count} records failed: {info.text.decode()}")
        done += info.count
        report_release(report)
    producer_close(p, 10000, None)
    producer_free(p)
    print(f"produced {done} records")


def consume(server, topic, count):
    err, messages, got = Error(), (Message * 100)(), []
    settings = config(bootstrap_servers=server, group_id="python", auto_offset_reset="earliest")
    c = consumer_new(settings, byref(err)) or sys.exit(err.text.decode())
    config_free(settings)
    subscribe(c, (c_char_p * 1)(topic.encode()), 1, byref(err))
    while len(got) < count:
        n = consumer_poll(c, messages, 100, 10000, byref(err))
        if n <= 0:
            sys.exit(f"only {len(got)} records: {err.text.decode()}")
        got += [ctypes.string_at(m.value, m.value_len) for m in messages[:n] if m.error == 0]
    consumer_close(c, 10000, None)
    consumer_free(c)
    if sorted(got) != sorted(f"value {i}".encode() for i in range(count)):
        sys.exit("what came back differs from what was sent")
    print(f"consumed {len(got)} records")


if __name__ == "__main__":
    produce(sys.argv[1], sys.argv[2], int(sys.argv[3]))
    consume(sys.argv[1], sys.argv[2], int(sys.argv[3]))
