// SPDX-License-Identifier: BSD-2-Clause
// Record batches by Kafka's own classes (4.3): makes the vectors of tests/vectors/record, random batches, and reads ours.
//
//   RecordTool vectors DIR             the fixed set: NAME.bin, and NAME.txt as tests/lib/record_text.h words it
//   RecordTool random DIR SEED COUNT   the same, random
//   RecordTool read DIR                every DIR/*.bin to DIR/*.java
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.util.Arrays;
import java.util.Random;
import java.util.zip.CRC32C;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.common.record.internal.CompressionType;
import org.apache.kafka.common.record.internal.ControlRecordType;
import org.apache.kafka.common.record.internal.DefaultRecordBatch;
import org.apache.kafka.common.record.internal.EndTransactionMarker;
import org.apache.kafka.common.record.internal.MemoryRecords;
import org.apache.kafka.common.record.internal.MemoryRecordsBuilder;
import org.apache.kafka.common.record.internal.MutableRecordBatch;
import org.apache.kafka.common.record.internal.Record;
import org.apache.kafka.common.record.internal.RecordBatch;
import org.xerial.snappy.Snappy;

public class RecordTool {
    static final long TIME = 1700000000000L;
    static final String[] CODECS = {"none", "gzip", "snappy", "lz4", "zstd"};

    static byte[] bytes(String s) {
        return s.getBytes(StandardCharsets.UTF_8);
    }

    static String hex(ByteBuffer b) {
        if (b == null) return "-";
        StringBuilder s = new StringBuilder("'");
        for (int i = b.position(); i < b.limit(); i++) s.append(String.format("%02x", b.get(i)));
        return s.append("'").toString();
    }

    static String text(MemoryRecords records) {
        StringBuilder s = new StringBuilder();
        for (MutableRecordBatch b : records.batches()) {
            b.ensureValid();
            s.append("batch magic=").append(b.magic()).append(" last=").append(b.lastOffset());
            s.append(" codec=").append(b.compressionType().name);
            if (b.magic() == 2)
                s.append(String.format(" base=%d count=%d max=%d append_time=%d txn=%d control=%d producer=%d/%d/%d epoch=%d",
                    b.baseOffset(), b.countOrNull(), b.maxTimestamp(),
                    b.timestampType() == TimestampType.LOG_APPEND_TIME ? 1 : 0, b.isTransactional() ? 1 : 0,
                    b.isControlBatch() ? 1 : 0, b.producerId(), b.producerEpoch(), b.baseSequence(),
                    b.partitionLeaderEpoch()));
            s.append("\n");
            for (Record r : b) {
                s.append(r.offset()).append(" ").append(r.timestamp()).append(" ");
                s.append(hex(r.hasKey() ? r.key() : null)).append(" ").append(hex(r.hasValue() ? r.value() : null));
                for (Header h : r.headers())
                    s.append(" ").append(hex(ByteBuffer.wrap(bytes(h.key())))).append("=")
                        .append(hex(h.value() == null ? null : ByteBuffer.wrap(h.value())));
                if (b.isControlBatch()) {
                    s.append(" type=").append(ControlRecordType.parseTypeId(r.key()));
                    if (ControlRecordType.parseTypeId(r.key()) < 2)
                        s.append(" coordinator=").append(EndTransactionMarker.deserialize(r).coordinatorEpoch());
                }
                s.append("\n");
            }
        }
        return s.toString();
    }

    static void save(Path dir, String name, ByteBuffer made) throws Exception {
        byte[] all = new byte[made.limit()];
        made.duplicate().rewind().get(all);
        Files.write(dir.resolve(name + ".bin"), all);
        Files.write(dir.resolve(name + ".txt"), bytes(text(MemoryRecords.readableRecords(ByteBuffer.wrap(all)))));
    }

    static Compression codec(String name) {
        return Compression.of(name).build();
    }

    static MemoryRecordsBuilder builder(ByteBuffer to, int magic, String codec, TimestampType type, long base, long pid,
                                        int epoch, int sequence, boolean txn) {
        return MemoryRecords.builder(to, (byte) magic, codec(codec), type, base, TIME + 5000, pid, (short) epoch, sequence,
            txn, false, magic == 2 ? 7 : -1);
    }

    static void vectors(Path dir) throws Exception {
        for (int magic = 0; magic <= 2; magic++)
            for (String codec : CODECS)
                if (magic == 2 || !codec.equals("zstd"))
                    vector(dir, magic, codec);
        special(dir);
    }

    static void vector(Path dir, int magic, String codec) throws Exception {
        ByteBuffer to = ByteBuffer.allocate(1 << 16);
        MemoryRecordsBuilder b = builder(to, magic, codec, TimestampType.CREATE_TIME, 1000, magic == 2 ? 4711 : -1,
            magic == 2 ? 3 : -1, magic == 2 ? 12 : -1, false);
        Header[] headers = {new RecordHeader("trace", bytes("ab")), new RecordHeader("", null),
                            new RecordHeader("empty", new byte[0])};
        long time = magic == 0 ? RecordBatch.NO_TIMESTAMP : TIME;
        b.append(time, bytes("key"), bytes("value"));
        b.append(magic == 0 ? time : time + 3, null, bytes("no key"));
        b.append(magic == 0 ? time : time - 70000, bytes("no value"), null);
        b.append(time, new byte[0], new byte[0]);
        if (magic == 2) b.append(time + 1, bytes("h"), bytes("with headers"), headers);
        for (int i = 0; i < 12; i++)
            b.append(magic == 0 ? time : time + i * 100, bytes("k" + i), bytes("a value that repeats and repeats " + i));
        b.close();
        /* A second batch behind it, with gaps as compaction leaves them. */
        ByteBuffer second = ByteBuffer.allocate(1 << 12);
        MemoryRecordsBuilder c = builder(second, magic, codec, magic == 1 ? TimestampType.LOG_APPEND_TIME
            : TimestampType.CREATE_TIME, 2000, -1, -1, -1, false);
        c.appendWithOffset(2000, time, bytes("a"), bytes("1"));
        c.appendWithOffset(2003, time, bytes("b"), bytes("2"));
        c.appendWithOffset(2700, time, bytes("c"), bytes("3"));
        ByteBuffer one = b.build().buffer(), two = c.build().buffer();
        ByteBuffer both = ByteBuffer.allocate(one.remaining() + two.remaining());
        both.put(one.duplicate()).put(two.duplicate()).flip();
        save(dir, "v" + magic + "-" + codec, both);
        if (magic == 2 && codec.equals("none")) save(dir, "v2-snappy-bare", bareSnappy(one));
    }

    static void special(Path dir) throws Exception {
        for (String codec : new String[] {"none", "lz4"}) {
            ByteBuffer to = ByteBuffer.allocate(1 << 12);
            MemoryRecordsBuilder b = builder(to, 2, codec, TimestampType.LOG_APPEND_TIME, 5, 99, 0, 2147483646, true);
            for (int i = 0; i < 4; i++) b.append(TIME + i, bytes("k"), bytes("transactional, append time " + i));
            save(dir, "append-time-" + codec, b.build().buffer());
        }
        ByteBuffer to = ByteBuffer.allocate(1 << 12);
        MemoryRecords.writeEndTransactionalMarker(to, 50, TIME, 7, 99, (short) 4,
            new EndTransactionMarker(ControlRecordType.COMMIT, 11));
        MemoryRecords.writeEndTransactionalMarker(to, 51, TIME + 1, 8, 99, (short) 5,
            new EndTransactionMarker(ControlRecordType.ABORT, 12));
        DefaultRecordBatch.writeEmptyHeader(to, (byte) 2, 99, (short) 5, 3, 52, 60, 8, TimestampType.CREATE_TIME, TIME, false,
            false);
        to.flip();
        save(dir, "control-and-empty", to);
    }

    // What clients in C send: the records of an uncompressed batch as one bare snappy block.
    static ByteBuffer bareSnappy(ByteBuffer batch) throws Exception {
        byte[] all = new byte[batch.remaining()];
        batch.duplicate().get(all);
        byte[] packed = Snappy.compress(Arrays.copyOfRange(all, 61, all.length));
        ByteBuffer made = ByteBuffer.allocate(61 + packed.length);
        made.put(all, 0, 61).put(packed).flip();
        made.putInt(8, made.limit() - 12).putShort(21, (short) (made.getShort(21) | 2));
        CRC32C crc = new CRC32C();
        crc.update(made.array(), 21, made.limit() - 21);
        return made.putInt(17, (int) crc.getValue());
    }

    static byte[] randomBytes(Random r, int max) {
        if (r.nextInt(8) == 0) return null;
        byte[] b = new byte[r.nextInt(4) == 0 ? r.nextInt(max) : r.nextInt(60)];
        if (r.nextBoolean()) r.nextBytes(b);
        else Arrays.fill(b, (byte) ('a' + r.nextInt(26)));
        return b;
    }

    static void random(Path dir, long seed, int count) throws Exception {
        Random r = new Random(seed);
        for (int n = 0; n < count; n++) {
            int magic = r.nextInt(4) == 0 ? r.nextInt(2) : 2;
            String codec = CODECS[r.nextInt(magic == 2 ? 5 : 4)];
            TimestampType type = magic > 0 && r.nextInt(4) == 0 ? TimestampType.LOG_APPEND_TIME : TimestampType.CREATE_TIME;
            boolean idempotent = magic == 2 && r.nextBoolean();
            long base = (long) r.nextInt(1 << 30) << r.nextInt(20), offset = base;
            MemoryRecordsBuilder b = builder(ByteBuffer.allocate(1 << 16), magic, codec, type, base,
                idempotent ? r.nextInt(1 << 30) : -1, idempotent ? r.nextInt(1 << 15) : -1,
                idempotent ? r.nextInt() & 0x7fffffff : -1, idempotent && r.nextBoolean());
            int records = 1 + r.nextInt(r.nextInt(5) == 0 ? 400 : 20), max = r.nextInt(20) == 0 ? 80000 : 500;
            for (int i = 0; i < records; i++) {
                long time = magic == 0 ? -1 : r.nextInt(10) == 0 ? r.nextLong() & (-1L >>> 2) : TIME + r.nextInt(1 << 16);
                Header[] headers = new Header[magic == 2 && r.nextInt(3) == 0 ? r.nextInt(4) : 0];
                for (int h = 0; h < headers.length; h++)
                    headers[h] = new RecordHeader("h" + r.nextInt(1000), randomBytes(r, 200));
                byte[] value = randomBytes(r, max), key = randomBytes(r, 200);
                if (magic == 2) b.appendWithOffset(offset, time, key, value, headers);
                else b.appendWithOffset(offset, time, key, value);
                offset += r.nextInt(10) == 0 ? 1 + r.nextInt(50) : 1;
            }
            ByteBuffer made = b.build().buffer();
            boolean bare = magic == 2 && codec.equals("none") && type == TimestampType.CREATE_TIME && r.nextBoolean();
            save(dir, String.format("java-%04d-v%d-%s", n, magic, bare ? "bare" : codec), bare ? bareSnappy(made) : made);
        }
    }

    static void read(Path dir) throws Exception {
        try (DirectoryStream<Path> files = Files.newDirectoryStream(dir, "*.bin")) {
            for (Path p : files) {
                String out;
                try {
                    out = text(MemoryRecords.readableRecords(ByteBuffer.wrap(Files.readAllBytes(p))));
                } catch (Exception e) {
                    out = "error " + e + "\n";
                }
                Files.write(Paths.get(p.toString().replaceAll("bin$", "java")), bytes(out));
            }
        }
    }

    public static void main(String[] args) throws Exception {
        Path dir = Paths.get(args[1]);
        switch (args[0]) {
            case "vectors": vectors(dir); break;
            case "random": random(dir, Long.parseLong(args[2]), Integer.parseInt(args[3])); break;
            case "read": read(dir); break;
            default: throw new IllegalArgumentException(args[0]);
        }
    }
}
