// SPDX-License-Identifier: BSD-2-Clause
// Prints what Kafka's own assignors make of random group layouts, for tests/unit/test_assign.c to compare with.
//
//   java -cp KAFKA_JARS:. AssignTables LAYOUTS SEQUENCES SEED
//
//   layout N                 then the layout, then per assignor and topic the owner of each partition
//   topic NAME COUNT [RACKS] RACKS: of each partition's replicas, "a,b;b;-"
//   member ID INSTANCE RACK TOPICS      "-" where there is none
//   range TOPIC OWNERS       OWNERS: member ids in partition order, "-" for nobody
//   roundrobin TOPIC OWNERS
//
//   sequence N               then, per rebalance, "step", the layout, and for each sticky assignor (sticky, cooperative)
//   sticky SCORE MOVES       SCORE: sum of the differences of all pairs of loads; MOVES: partitions that left a member which
//                            still subscribes to them
//   owners sticky TOPIC OWNERS          what the next step begins with
import java.util.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.consumer.ConsumerPartitionAssignor.*;
import org.apache.kafka.common.*;

@SuppressWarnings("removal")
public class AssignTables {
    static class Member {
        String id, instance, rack;
        TreeSet<String> topics = new TreeSet<>();
    }

    static class Layout {
        TreeMap<String, Integer> topics = new TreeMap<>();
        Map<String, List<List<String>>> racks = new TreeMap<>();
        TreeMap<String, Member> members = new TreeMap<>();
    }

    static Random random;

    static Member member(String id, Collection<String> topics, int percent, boolean instances, boolean racks) {
        Member m = new Member();
        m.id = id;
        if (instances && random.nextInt(3) != 0)
            m.instance = "i" + random.nextInt(1000) + id;
        if (racks && random.nextInt(5) != 0)
            m.rack = "r" + random.nextInt(4);
        for (String t : topics)
            if (random.nextInt(100) < percent)
                m.topics.add(t);
        if (m.topics.isEmpty())
            m.topics.add(topics.iterator().next());
        return m;
    }

    static Layout layout(boolean racks) {
        Layout l = new Layout();
        int topics = 1 + random.nextInt(random.nextInt(4) == 0 ? 12 : 4);
        int same = 1 + random.nextInt(12);
        for (int i = 0; i < topics; i++)
            l.topics.put((random.nextBoolean() ? "t" : "T-") + i, random.nextInt(3) == 0 ? same : random.nextInt(16));
        int racksUsed = 1 + random.nextInt(4);
        if (racks)
            for (Map.Entry<String, Integer> t : l.topics.entrySet()) {
                List<List<String>> all = new ArrayList<>();
                boolean even = random.nextInt(6) == 0;
                for (int p = 0; p < t.getValue(); p++) {
                    TreeSet<String> set = new TreeSet<>();
                    for (int k = 0; k < racksUsed; k++)
                        if (even || random.nextInt(2) == 0)
                            set.add("r" + k);
                    all.add(new ArrayList<>(set));
                }
                l.racks.put(t.getKey(), all);
            }
        int members = 1 + random.nextInt(random.nextInt(4) == 0 ? 14 : 5);
        int percent = random.nextInt(3) == 0 ? 60 : 100;
        boolean instances = random.nextInt(3) == 0;
        for (int i = 0; i < members; i++) {
            Member m = member("m" + random.nextInt(10000) + "-" + i, l.topics.keySet(), percent, instances, racks);
            l.members.put(m.id, m);
        }
        return l;
    }

    static Cluster cluster(Layout l) {
        Map<String, Node> nodes = new TreeMap<>();
        for (int i = 0; i < 4; i++)
            nodes.put("r" + i, new Node(i, "h" + i, 9092, "r" + i));
        Node plain = new Node(9, "h9", 9092);
        List<PartitionInfo> infos = new ArrayList<>();
        for (Map.Entry<String, Integer> t : l.topics.entrySet())
            for (int p = 0; p < t.getValue(); p++) {
                List<Node> replicas = new ArrayList<>();
                List<List<String>> racks = l.racks.get(t.getKey());
                if (racks == null || racks.get(p).isEmpty())
                    replicas.add(plain);
                else
                    for (String r : racks.get(p))
                        replicas.add(nodes.get(r));
                Node[] array = replicas.toArray(new Node[0]);
                infos.add(new PartitionInfo(t.getKey(), p, array[0], array, array));
            }
        List<Node> all = new ArrayList<>(nodes.values());
        all.add(plain);
        return new Cluster("c", all, infos, Set.of(), Set.of());
    }

    static void print(Layout l) {
        StringBuilder out = new StringBuilder();
        for (Map.Entry<String, Integer> t : l.topics.entrySet()) {
            out.append("topic ").append(t.getKey()).append(' ').append(t.getValue());
            if (l.racks.containsKey(t.getKey()) && t.getValue() > 0) {
                List<String> parts = new ArrayList<>();
                for (List<String> r : l.racks.get(t.getKey()))
                    parts.add(r.isEmpty() ? "-" : String.join(",", r));
                out.append(' ').append(String.join(";", parts));
            }
            out.append('\n');
        }
        for (Member m : l.members.values())
            out.append("member ").append(m.id).append(' ').append(m.instance == null ? "-" : m.instance).append(' ')
                .append(m.rack == null ? "-" : m.rack).append(' ').append(String.join(",", m.topics)).append('\n');
        System.out.print(out);
    }

    static Map<TopicPartition, String> owners(Map<String, Assignment> a) {
        Map<TopicPartition, String> owners = new HashMap<>();
        a.forEach((m, x) -> x.partitions().forEach(tp -> owners.put(tp, m)));
        return owners;
    }

    static void print(String name, Layout l, Map<TopicPartition, String> owners) {
        for (Map.Entry<String, Integer> t : l.topics.entrySet()) {
            if (t.getValue() == 0)
                continue;
            List<String> list = new ArrayList<>();
            for (int p = 0; p < t.getValue(); p++)
                list.add(owners.getOrDefault(new TopicPartition(t.getKey(), p), "-"));
            System.out.println(name + " " + t.getKey() + " " + String.join(",", list));
        }
    }

    static void plain(int n) {
        Layout l = layout(random.nextInt(2) == 0);
        System.out.println("layout " + n);
        print(l);
        for (ConsumerPartitionAssignor a : List.of(new RangeAssignor(), new RoundRobinAssignor())) {
            Map<String, Subscription> subscriptions = new HashMap<>();
            for (Member m : l.members.values()) {
                Subscription s = new Subscription(new ArrayList<>(m.topics), null, List.of(), -1, Optional.ofNullable(m.rack));
                s.setGroupInstanceId(Optional.ofNullable(m.instance));
                subscriptions.put(m.id, s);
            }
            print(a.name(), l, owners(a.assign(cluster(l), new GroupSubscription(subscriptions)).groupAssignment()));
        }
    }

    // One member's side of a sticky group.
    static class Side {
        AbstractHolder assignor;
        List<TopicPartition> owned = new ArrayList<>();
        int generation = -1;
    }

    static class AbstractHolder {
        StickyAssignor sticky = new StickyAssignor();
        CooperativeStickyAssignor cooperative = new CooperativeStickyAssignor();
    }

    static class Group {
        boolean cooperative;
        int generation = 0;
        Map<String, Side> sides = new TreeMap<>();
        Map<TopicPartition, String> owners = new HashMap<>();

        void rebalance(Layout l) {
            sides.keySet().retainAll(l.members.keySet());
            for (String m : l.members.keySet())
                sides.computeIfAbsent(m, k -> { Side s = new Side(); s.assignor = new AbstractHolder(); return s; });
            Map<TopicPartition, String> before = new HashMap<>(owners);
            for (int round = 0; round < 4; round++) {
                Map<String, Subscription> subscriptions = new HashMap<>();
                for (Member m : l.members.values()) {
                    Side s = sides.get(m.id);
                    ConsumerPartitionAssignor a = cooperative ? s.assignor.cooperative : s.assignor.sticky;
                    s.owned.removeIf(tp -> !m.topics.contains(tp.topic()));
                    subscriptions.put(m.id, new Subscription(new ArrayList<>(m.topics), a.subscriptionUserData(m.topics),
                        cooperative ? s.owned : List.of(), cooperative ? s.generation : -1, Optional.empty()));
                }
                ConsumerPartitionAssignor leader = cooperative ? new CooperativeStickyAssignor() : new StickyAssignor();
                Map<String, Assignment> result =
                    leader.assign(cluster(l), new GroupSubscription(subscriptions)).groupAssignment();
                generation++;
                boolean again = false;
                for (Map.Entry<String, Assignment> e : result.entrySet()) {
                    Side s = sides.get(e.getKey());
                    again |= cooperative && !e.getValue().partitions().containsAll(s.owned);
                    s.owned = new ArrayList<>(e.getValue().partitions());
                    s.generation = generation;
                    ConsumerGroupMetadata meta = new ConsumerGroupMetadata("g", generation, e.getKey(), Optional.empty());
                    s.assignor.sticky.onAssignment(e.getValue(), meta);
                    s.assignor.cooperative.onAssignment(e.getValue(), meta);
                }
                owners = owners(result);
                if (!again)
                    break;
            }
            report(l, before);
        }

        void report(Layout l, Map<TopicPartition, String> before) {
            int moves = 0;
            long score = 0;
            for (Map.Entry<TopicPartition, String> e : before.entrySet()) {
                Member m = l.members.get(e.getValue());
                if (m != null && m.topics.contains(e.getKey().topic()) && l.topics.containsKey(e.getKey().topic())
                    && !e.getValue().equals(owners.get(e.getKey())))
                    moves++;
            }
            Map<String, Integer> loads = new TreeMap<>();
            for (String m : l.members.keySet())
                loads.put(m, 0);
            for (String m : owners.values())
                loads.merge(m, 1, Integer::sum);
            List<Integer> list = new ArrayList<>(loads.values());
            for (int i = 0; i < list.size(); i++)
                for (int k = i + 1; k < list.size(); k++)
                    score += Math.abs(list.get(i) - list.get(k));
            String name = cooperative ? "cooperative" : "sticky";
            System.out.println(name + " " + score + " " + moves);
            print("owners " + name, l, owners);
        }
    }

    static void sequence(int n) {
        System.out.println("sequence " + n);
        Layout l = layout(false);
        for (Member m : l.members.values())
            m.instance = null;
        boolean mixed = random.nextInt(2) == 0;
        Group sticky = new Group(), cooperative = new Group();
        cooperative.cooperative = true;
        for (int step = 0; step < 5; step++) {
            if (step > 0)
                for (int change = random.nextInt(3); change >= 0; change--)
                    change(l, n * 100 + step * 10 + change, mixed ? 60 : 100);
            System.out.println("step");
            print(l);
            sticky.rebalance(l);
            cooperative.rebalance(l);
        }
    }

    static void change(Layout l, int unique, int percent) {
        List<String> ids = new ArrayList<>(l.members.keySet());
        int kind = random.nextInt(5);
        if (kind == 0 && ids.size() > 1) {
            l.members.remove(ids.get(random.nextInt(ids.size())));
        } else if (kind == 1) {
            String topic = new ArrayList<>(l.topics.keySet()).get(random.nextInt(l.topics.size()));
            l.topics.merge(topic, 1 + random.nextInt(3), Integer::sum);
        } else if (kind == 2 && percent < 100) {
            Member m = l.members.get(ids.get(random.nextInt(ids.size())));
            m.topics = member(m.id, l.topics.keySet(), percent, false, false).topics;
        } else {
            Member m = member("n" + unique, l.topics.keySet(), percent, false, false);
            l.members.put(m.id, m);
        }
    }

    public static void main(String[] args) {
        random = new Random(Long.parseLong(args[2]));
        for (int i = 0; i < Integer.parseInt(args[0]); i++)
            plain(i);
        for (int i = 0; i < Integer.parseInt(args[1]); i++)
            sequence(i);
    }
}
