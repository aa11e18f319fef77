"""confluent-kafka (librdkafka): HOST:PORT TOPIC"""
import sys
import time

import confluent_kafka
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient, NewTopic

from plan import CODECS, MORE, Checks, expected, records

server, topic = sys.argv[1:3]
checks = Checks(f"confluent-kafka (librdkafka {confluent_kafka.libversion()[0]})")
admin = AdminClient({"bootstrap.servers": server})
admin.create_topics([NewTopic(topic, 3, 1)])[topic].result(20)
checks.ok("creates and lists a topic", topic in admin.list_topics(timeout=10).topics)


def produce(codec, count=200, **more):
    outcomes = []
    p = Producer({"bootstrap.servers": server, "compression.type": codec, "linger.ms": 5, **more})
    for k, v, h in records(codec, count):
        p.produce(topic, key=k, value=v, headers=h, on_delivery=lambda err, m: outcomes.append((err, m.offset())))
    left = p.flush(30)
    return left == 0 and len(outcomes) == count and all(err is None and offset >= 0 for err, offset in outcomes)


def consume(count):
    c = Consumer({"bootstrap.servers": server, "group.id": "g-" + topic, "auto.offset.reset": "earliest", "enable.auto.commit": False})
    c.subscribe([topic])
    got, n, deadline = {}, 0, time.monotonic() + 30
    while n < count and time.monotonic() < deadline:
        for m in c.consume(500, 0.5):
            if m.error() is None:
                got.setdefault(m.key(), []).append(m.value())
                n += 1
    c.commit(asynchronous=False)
    c.close()
    return got


for codec in CODECS:
    checks.ok(f"produces {codec}", produce(codec, **{"enable.idempotence": codec == "lz4"}))
checks.same("reads all of it in a group", consume(200 * len(CODECS)), expected(CODECS))
produce("none", MORE)
checks.same("resumes behind its commit", consume(MORE), expected(["none"], MORE))
checks.ok("lists groups", "g-" + topic in [g.group_id for g in admin.list_consumer_groups().result(20).valid])
checks.done()
