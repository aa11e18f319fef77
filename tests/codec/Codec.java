// SPDX-License-Identifier: BSD-2-Clause
//
// The other side of the codec's proof: Apache Kafka's own message classes, filled with random values and written; and
// messages that Ferry wrote, read and written again.
//
//   Codec write FILE SEED COUNT BYTES   COUNT messages of each class and version, with strings of up to BYTES bytes
//   Codec read FILE COVERED             each must come back byte for byte; the classes and versions seen go to COVERED
//   Codec errors                        Kafka's error codes: number, name, whether it may be retried
//
// A file holds records: name (int16 length and bytes), int16 version, int32 length, bytes.

import java.io.*;
import java.lang.reflect.Method;
import java.lang.reflect.ParameterizedType;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.*;
import java.util.*;
import java.util.jar.*;

import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.errors.RetriableException;
import org.apache.kafka.common.protocol.*;
import org.apache.kafka.common.protocol.types.BoundField;
import org.apache.kafka.common.protocol.types.Field;
import org.apache.kafka.common.protocol.types.RawTaggedField;
import org.apache.kafka.common.protocol.types.Schema;
import org.apache.kafka.common.protocol.types.TaggedFields;
import org.apache.kafka.common.protocol.types.Type;

public class Codec {
    static final String PACKAGES = "org/apache/kafka/(common/message|common/metadata|raft/generated"
        + "|coordinator/(group|transaction|share)/generated)/[A-Za-z0-9]+\\.class";
    // Spoken only between brokers of a ZooKeeper cluster, which Ferry never meets.
    static final Set<String> LEFT_OUT = Set.of("ControlledShutdown", "LeaderAndIsr", "StopReplica", "UpdateMetadata");

    final Random random;
    final int bytesMax;

    Codec(long seed, int bytesMax) {
        random = new Random(seed);
        this.bytesMax = bytesMax;
    }

    // ---- the classes ----

    static Map<String, Class<?>> classes() throws Exception {
        Map<String, Class<?>> found = new TreeMap<>();
        for (String path : System.getProperty("java.class.path").split(File.pathSeparator)) {
            if (!path.endsWith(".jar"))
                continue;
            try (JarFile jar = new JarFile(path)) {
                for (JarEntry entry : Collections.list(jar.entries())) {
                    String name = entry.getName();
                    if (!name.matches(PACKAGES) || name.endsWith("JsonConverter.class"))
                        continue;
                    Class<?> c = Class.forName(name.replace('/', '.').substring(0, name.length() - 6));
                    if (Message.class.isAssignableFrom(c)) // and the name of key 74 until 4.1 was another
                        found.put(c.getSimpleName().replace("ListClientMetricsResources", "ListConfigResources"), c);
                }
            }
        }
        // In 3.9 share groups were unreleased, in another form, and the version of a record's key was the record's number.
        if (found.containsKey("LeaderAndIsrRequestData"))
            found.keySet().removeIf(n -> n.contains("Share") || n.endsWith("Key"));
        found.keySet().removeIf(n -> LEFT_OUT.contains(n.replaceFirst("(Request|Response)Data$", "")));
        return found;
    }

    static Message create(Class<?> c) throws Exception {
        return (Message) c.getDeclaredConstructor().newInstance();
    }

    // ---- filling ----

    // The fields of a class in a version, by their names in small letters without underscores.
    static Map<String, Type> fieldsOf(Class<?> c, short version) throws Exception {
        Schema[] schemas = (Schema[]) c.getField("SCHEMAS").get(null);
        Map<String, Type> fields = new HashMap<>();
        if (version >= schemas.length || schemas[version] == null)
            throw new IllegalStateException(c + " has no version " + version);
        for (BoundField bound : schemas[version].fields()) {
            if (bound.def.type instanceof TaggedFields) {
                java.lang.reflect.Field inner = TaggedFields.class.getDeclaredField("fields");
                inner.setAccessible(true);
                for (Object f : ((Map<?, ?>) inner.get(bound.def.type)).values())
                    add(fields, (Field) f);
            } else {
                add(fields, bound.def);
            }
        }
        return fields;
    }

    static void add(Map<String, Type> fields, Field f) {
        fields.put(f.name.replace("_", "").toLowerCase(Locale.ROOT), f.type);
    }

    static final Map<Class<?>, List<Method>> SETTERS = new HashMap<>();

    static List<Method> setters(Class<?> c) {
        return SETTERS.computeIfAbsent(c, k -> {
            List<Method> list = new ArrayList<>();
            for (Method m : k.getMethods()) {
                if (m.getName().startsWith("set") && m.getReturnType() == k && m.getParameterCount() == 1)
                    list.add(m);
            }
            list.sort(Comparator.comparing(Method::getName));
            return list;
        });
    }

    <T> T fill(T message, short version) throws Exception {
        Class<?> c = message.getClass();
        Map<String, Type> fields = fieldsOf(c, version);
        Set<String> done = new HashSet<>();
        for (Method setter : setters(c)) {
            String name = setter.getName().substring(3).toLowerCase(Locale.ROOT);
            Type type = fields.get(name);
            if (type == null)
                continue;
            done.add(name);
            if (random.nextInt(6) == 0 && !isRecords(setter.getParameterTypes()[0]))
                continue; // stays at its default
            boolean mayBeNull = isRecords(setter.getParameterTypes()[0])
                ? type.toString().contains("NULLABLE") : type.isNullable();
            if (mayBeNull && random.nextInt(4) == 0)
                setter.invoke(message, (Object) null);
            else
                setter.invoke(message, value(setter.getGenericParameterTypes()[0], type, version));
        }
        if (!done.equals(fields.keySet()))
            throw new IllegalStateException(c + " version " + version + ": fields without setter: " + fields.keySet() + done);
        boolean flexible = Arrays.stream(((Schema[]) c.getField("SCHEMAS").get(null))[version].fields())
            .anyMatch(b -> b.def.type instanceof TaggedFields);
        if (flexible && random.nextInt(10) == 0)
            unknownTags(message);
        return message;
    }

    // The package of this class is not the same in all releases.
    static boolean isRecords(java.lang.reflect.Type java) {
        return java.getTypeName().endsWith(".BaseRecords");
    }

    void unknownTags(Object message) throws Exception {
        @SuppressWarnings("unchecked")
        List<RawTaggedField> tags = (List<RawTaggedField>) message.getClass().getMethod("unknownTaggedFields").invoke(message);
        tags.add(new RawTaggedField(70 + random.nextInt(300), bytes()));
    }

    byte[] bytes() {
        byte[] b = new byte[random.nextInt(bytesMax + 1)];
        random.nextBytes(b);
        return b;
    }

    String string() {
        StringBuilder s = new StringBuilder();
        for (int n = random.nextInt(bytesMax + 1); n > 0; n--)
            s.appendCodePoint(random.nextInt(8) > 0 ? 'a' + random.nextInt(26) : new int[] {0xe9, 0x20ac, 0x1f6a2}[random.nextInt(3)]);
        return s.toString();
    }

    long number(int bits) {
        long[] special = {0, 1, -1, (1L << (bits - 1)) - 1, -1L << (bits - 1)};
        return random.nextInt(4) == 0 ? special[random.nextInt(5)] : random.nextLong();
    }

    Object value(java.lang.reflect.Type java, Type type, short version) throws Exception {
        if (java == boolean.class || java == Boolean.class)
            return random.nextBoolean();
        if (java == byte.class || java == Byte.class)
            return (byte) number(8);
        if (java == short.class || java == Short.class)
            return (short) number(16);
        if (java == int.class || java == Integer.class)
            return type == Type.UINT16 ? (int) number(16) & 0xffff : (int) number(32);
        if (java == long.class || java == Long.class)
            return number(64);
        if (java == double.class)
            return number(64) / 1024.0;
        if (java == String.class)
            return string();
        if (java == byte[].class)
            return bytes();
        if (java == ByteBuffer.class)
            return ByteBuffer.wrap(bytes());
        if (java == Uuid.class)
            return new Uuid(random.nextLong(), random.nextLong());
        if (isRecords(java))
            return Class.forName(java.getTypeName().replace("BaseRecords", "MemoryRecords"))
                .getMethod("readableRecords", ByteBuffer.class).invoke(null, ByteBuffer.wrap(bytes()));
        if (java instanceof ParameterizedType)
            return collection(new ArrayList<Object>(), ((ParameterizedType) java).getActualTypeArguments()[0], type, version);
        Class<?> c = (Class<?>) java;
        if (Collection.class.isAssignableFrom(c)) {
            @SuppressWarnings("unchecked")
            Collection<Object> into = (Collection<Object>) c.getDeclaredConstructor().newInstance();
            java.lang.reflect.Type element = ((ParameterizedType) c.getGenericSuperclass()).getActualTypeArguments()[0];
            return collection(into, element, type, version);
        }
        return fill(c.getDeclaredConstructor().newInstance(), version);
    }

    Collection<Object> collection(Collection<Object> into, java.lang.reflect.Type element, Type type, short version)
            throws Exception {
        int most = bytesMax < 10 ? 2 : 4;
        for (int n = random.nextInt(most); n > 0; n--)
            into.add(value(element, type.arrayElementType().get(), version));
        return into;
    }

    // ---- bytes ----

    static byte[] bytesOf(Message m, short version) {
        ObjectSerializationCache cache = new ObjectSerializationCache();
        ByteBuffer buffer = ByteBuffer.allocate(m.size(cache, version));
        m.write(new ByteBufferAccessor(buffer), cache, version);
        if (buffer.hasRemaining())
            throw new IllegalStateException("wrote fewer bytes than it said");
        return buffer.array();
    }

    static void write(String file, long seed, int count, int bytesMax) throws Exception {
        long messages = 0, kinds = 0;
        try (DataOutputStream out = new DataOutputStream(new BufferedOutputStream(new FileOutputStream(file), 1 << 16))) {
            for (Map.Entry<String, Class<?>> e : classes().entrySet()) {
                Message first = create(e.getValue());
                for (short v = first.lowestSupportedVersion(); v <= first.highestSupportedVersion(); v++) {
                    Codec codec = new Codec(seed + e.getKey().hashCode() * 31L + v, bytesMax);
                    kinds++;
                    for (int i = 0; i < count; i++) {
                        byte[] bytes = bytesOf(codec.fill(create(e.getValue()), v), v);
                        byte[] name = e.getKey().getBytes(StandardCharsets.US_ASCII);
                        out.writeShort(name.length);
                        out.write(name);
                        out.writeShort(v);
                        out.writeInt(bytes.length);
                        out.write(bytes);
                        messages++;
                    }
                }
            }
        }
        System.out.println("# wrote " + messages + " messages of " + kinds + " classes and versions");
    }

    static void read(String file, String covered) throws Exception {
        Map<String, Class<?>> classes = classes();
        Map<String, Integer> seen = new TreeMap<>();
        long bad = 0, messages = 0;
        try (DataInputStream in = new DataInputStream(new BufferedInputStream(new FileInputStream(file), 1 << 16))) {
            while (true) {
                int size = in.read();
                if (size < 0)
                    break;
                size = size << 8 | in.read();
                String name = new String(in.readNBytes(size), StandardCharsets.US_ASCII);
                short version = in.readShort();
                byte[] bytes = in.readNBytes(in.readInt());
                Class<?> c = classes.getOrDefault(name, classes.get(name + "Data"));
                if (c == null)
                    continue;
                Message m = create(c);
                if (version < m.lowestSupportedVersion() || version > m.highestSupportedVersion())
                    continue;
                messages++;
                seen.merge(name + " " + version, 1, Integer::sum);
                String what = check(m, version, bytes);
                if (what != null && bad++ < 10)
                    System.out.println("# " + name + " version " + version + ": " + what);
            }
        }
        List<String> lines = new ArrayList<>();
        seen.forEach((k, n) -> lines.add(k + " " + n));
        Files.write(Paths.get(covered), lines);
        System.out.println("# read " + messages + " messages of " + seen.size() + " classes and versions, " + bad + " bad");
        System.exit(bad == 0 && messages > 0 ? 0 : 1);
    }

    static String check(Message m, short version, byte[] bytes) {
        try {
            ByteBuffer buffer = ByteBuffer.wrap(bytes);
            m.read(new ByteBufferAccessor(buffer), version);
            if (buffer.hasRemaining())
                return buffer.remaining() + " bytes are left";
            return Arrays.equals(bytes, bytesOf(m, version)) ? null : "comes back as other bytes";
        } catch (RuntimeException e) {
            return e.toString();
        }
    }

    public static void main(String[] args) throws Exception {
        if (args.length == 5 && args[0].equals("write"))
            write(args[1], Long.parseLong(args[2]), Integer.parseInt(args[3]), Integer.parseInt(args[4]));
        else if (args.length == 3 && args[0].equals("read"))
            read(args[1], args[2]);
        else if (args.length == 1 && args[0].equals("errors"))
            for (Errors e : Errors.values())
                System.out.println(e.code() + " " + e.name() + " " + (e.exception() instanceof RetriableException ? 1 : 0));
        else
            throw new IllegalArgumentException("write FILE SEED COUNT BYTES | read FILE COVERED | errors");
    }
}
