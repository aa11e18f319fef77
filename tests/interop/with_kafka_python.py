"""kafka-python: HOST:PORT TOPIC"""
import sys
import time

from kafka import KafkaConsumer, KafkaProducer
from kafka.admin import KafkaAdminClient, NewTopic

from plan import CODECS, MORE, Checks, expected, records

server, topic = sys.argv[1:3]
checks = Checks("kafka-python")
admin = KafkaAdminClient(bootstrap_servers=server)
admin.create_topics([NewTopic(name=topic, num_partitions=3, replication_factor=1)])
checks.ok("creates and lists a topic", topic in admin.list_topics())


def produce(codec, count=None):
    p = KafkaProducer(bootstrap_servers=server, compression_type=None if codec == "none" else codec, linger_ms=5, acks="all")
    sent = [p.send(topic, key=k, value=v, headers=h) for k, v, h in (records(codec) if count is None else records(codec, count))]
    p.flush(30)
    offsets = [f.get(10).offset for f in sent]
    p.close()
    return offsets


def consume(count):
    c = KafkaConsumer(topic, bootstrap_servers=server, group_id="g-" + topic, auto_offset_reset="earliest", enable_auto_commit=False)
    got, n, deadline = {}, 0, time.monotonic() + 30
    while n < count and time.monotonic() < deadline:
        for batch in c.poll(timeout_ms=500).values():
            for r in batch:
                got.setdefault(r.key, []).append(r.value)
                n += 1
    c.commit()
    c.close()
    return got


for codec in CODECS:
    offsets = produce(codec)
    checks.ok(f"produces {codec}", len(offsets) == 200 and min(offsets) >= 0)
checks.same("reads all of it in a group", consume(200 * len(CODECS)), expected(CODECS))
produce("none", MORE)
checks.same("resumes behind its commit", consume(MORE), expected(["none"], MORE))
checks.ok("describes its group", admin.list_groups() is not None if hasattr(admin, "list_groups") else admin.list_consumer_groups() is not None)
admin.close()
checks.done()
