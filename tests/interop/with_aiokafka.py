"""aiokafka: HOST:PORT TOPIC"""
import asyncio
import sys
import time

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from plan import CODECS, MORE, Checks, expected, records

server, topic = sys.argv[1:3]
checks = Checks("aiokafka")


async def produce(codec, count=200):
    p = AIOKafkaProducer(bootstrap_servers=server, compression_type=None if codec == "none" else codec, acks="all", linger_ms=5)
    await p.start()
    sent = [await p.send(topic, key=k, value=v, headers=h) for k, v, h in records(codec, count)]
    done = [await f for f in sent]
    await p.stop()
    return [m.offset for m in done]


async def consume(count):
    c = AIOKafkaConsumer(topic, bootstrap_servers=server, group_id="g-" + topic, auto_offset_reset="earliest", enable_auto_commit=False)
    await c.start()
    got, n, deadline = {}, 0, time.monotonic() + 30
    while n < count and time.monotonic() < deadline:
        for batch in (await c.getmany(timeout_ms=500)).values():
            for r in batch:
                got.setdefault(r.key, []).append(r.value)
                n += 1
    await c.commit()
    await c.stop()
    return got


async def main():
    admin = AIOKafkaAdminClient(bootstrap_servers=server)
    await admin.start()
    await admin.create_topics([NewTopic(name=topic, num_partitions=3, replication_factor=1)])
    checks.ok("creates and lists a topic", topic in await admin.list_topics())
    for codec in CODECS:
        offsets = await produce(codec)
        checks.ok(f"produces {codec}", len(offsets) == 200 and min(offsets) >= 0)
    checks.same("reads all of it in a group", await consume(200 * len(CODECS)), expected(CODECS))
    await produce("none", MORE)
    checks.same("resumes behind its commit", await consume(MORE), expected(["none"], MORE))
    await admin.close()


asyncio.run(main())
checks.done()
