// kafkajs: HOST:PORT TOPIC
const { Kafka, CompressionTypes, CompressionCodecs, logLevel } = require('kafkajs')
const LZ4 = require('kafkajs-lz4')
const { ZstdCodec } = require('zstd-codec')

CompressionCodecs[CompressionTypes.Snappy] = require('kafkajs-snappy')
CompressionCodecs[CompressionTypes.LZ4] = new LZ4().codec

const [server, topic] = process.argv.slice(2)
const codecs = ['None', 'GZIP', 'Snappy', 'LZ4', 'ZSTD']
let failed = 0
const check = (what, passed, detail) => {
  console.log(`${passed ? 'ok' : 'not ok'} - kafkajs: ${what}${passed ? '' : ': ' + detail}`)
  if (!passed) failed++
}
const records = (codec, count) => Array.from({ length: count }, (_, i) => ({
  key: `key-${i % 17}`, value: `${codec}:${String(i).padStart(6, '0')}:` + 'abcdefgh'.repeat(20), headers: { codec },
}))
const byKey = (list) => {
  const map = {}
  for (const r of list) (map[r.key] = map[r.key] || []).push(r.value)
  return JSON.stringify(Object.entries(map).sort())
}

async function produce(kafka, codec, count) {
  const p = kafka.producer({ allowAutoTopicCreation: false })
  await p.connect()
  const [first] = await p.send({ topic, acks: -1, compression: CompressionTypes[codec], messages: records(codec, count) })
  await p.disconnect()
  return first.errorCode === 0
}

async function consume(kafka, count) {
  const c = kafka.consumer({ groupId: 'g-' + topic })
  await c.connect()
  await c.subscribe({ topics: [topic], fromBeginning: true })
  const got = []
  await new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, 40000)
    c.run({
      autoCommit: false,
      eachMessage: async ({ partition, message }) => {
        got.push({ key: message.key.toString(), value: message.value.toString() })
        await c.commitOffsets([{ topic, partition, offset: String(BigInt(message.offset) + 1n) }])
        if (got.length === count) { clearTimeout(timer); resolve() }
      },
    }).catch(reject)
  })
  await c.disconnect()
  return got
}

ZstdCodec.run(async (zstd) => {
  const simple = new zstd.Simple()
  CompressionCodecs[CompressionTypes.ZSTD] = () => ({
    compress: async (encoder) => Buffer.from(simple.compress(encoder.buffer)),
    decompress: async (buffer) => Buffer.from(simple.decompress(buffer)),
  })
  try {
    const kafka = new Kafka({ clientId: 'interop', brokers: [server], logLevel: logLevel.ERROR })
    const admin = kafka.admin()
    await admin.connect()
    await admin.createTopics({ topics: [{ topic, numPartitions: 3 }] })
    check('creates and lists a topic', (await admin.listTopics()).includes(topic))
    for (const codec of codecs) check(`produces ${codec}`, await produce(kafka, codec, 200))
    const got = await consume(kafka, 200 * codecs.length)
    check('reads all of it in a group', byKey(got) === byKey(codecs.flatMap((c) => records(c, 200))), `${got.length} records`)
    await produce(kafka, 'None', 100)
    const more = await consume(kafka, 100)
    check('resumes behind its commit', byKey(more) === byKey(records('None', 100)), `${more.length} records`)
    await admin.disconnect()
  } catch (e) {
    check('runs to its end', false, e.stack)
  }
  process.exit(failed ? 1 : 0)
})
