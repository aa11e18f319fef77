// What Java's own producer classes say of each key: "murmur2 partition"; then KIP-794 choices by queue length.
package org.apache.kafka.clients.producer.internals;

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import org.apache.kafka.common.Cluster;
import org.apache.kafka.common.Node;
import org.apache.kafka.common.PartitionInfo;
import org.apache.kafka.common.utils.LogContext;
import org.apache.kafka.common.utils.Utils;

public class Partitions {
    static int random;

    static final class Chooser extends BuiltInPartitioner {
        Chooser(int sticky) {
            super(new LogContext(), "t", sticky);
        }

        @Override
        int randomPartition() {
            return Utils.toPositive(random);
        }
    }

    static byte[] key(String s) {
        if (s.equals("-"))
            return null;
        byte[] b = new byte[s.equals(".") ? 0 : s.length() / 2];
        for (int i = 0; i < b.length; i++)
            b[i] = (byte) Integer.parseInt(s.substring(2 * i, 2 * i + 2), 16);
        return b;
    }

    // A line "load RANDOM ALL q0 q1 ...": which index the adaptive choice takes.
    static int choose(String[] w) {
        int n = w.length - 3, total = w[2].equals("1") ? n : n + 1;
        int[] queues = new int[total], ids = new int[total];
        for (int i = 0; i < n; i++) {
            queues[i] = Integer.parseInt(w[i + 3]);
            ids[i] = i;
        }
        Node node = new Node(0, "h", 1);
        List<PartitionInfo> infos = new ArrayList<>();
        for (int i = 0; i < n; i++)
            infos.add(new PartitionInfo("t", i, node, new Node[] {node}, new Node[] {node}));
        Cluster cluster = new Cluster("c", List.of(node), infos, Set.of(), Set.of());
        random = (int) Long.parseLong(w[1]);
        Chooser chooser = new Chooser(1);
        chooser.updatePartitionLoadStats(queues, ids, n);
        return chooser.peekCurrentPartitionInfo(cluster).partition();
    }

    public static void main(String[] args) throws Exception {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
        StringBuilder out = new StringBuilder();
        for (String line; (line = in.readLine()) != null;) {
            String[] w = line.split(" ");
            if (w[0].equals("load")) {
                out.append(choose(w)).append('\n');
                continue;
            }
            byte[] k = key(w[1]);
            if (k == null)
                out.append("sticky\n");
            else
                out.append(Integer.toUnsignedString(Utils.murmur2(k))).append(' ')
                    .append(BuiltInPartitioner.partitionForKey(k, Integer.parseInt(w[0]))).append('\n');
        }
        System.out.print(out);
    }
}
