// SPDX-License-Identifier: BSD-2-Clause
//
// Makes topic "described" with some settings of its own and prints all of its settings as a broker describes them, a line
// each: name, type, source, value, synonyms. Settings that Kafka's controller adds by itself (the dynamic default of
// min.insync.replicas) are left out.
//
//   java -cp JARS Configs.java HOST:PORT

import java.util.*;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.common.config.ConfigResource;

public class Configs {
    static String text(String value) {
        return value == null || value.isEmpty() ? "-" : value;
    }

    public static void main(String[] args) throws Exception {
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", args[0]))) {
            Map<String, String> own = Map.of("retention.ms", "5", "cleanup.policy", "compact", "compression.type", "lz4",
                "min.insync.replicas", "1", "flush.messages", "7", "min.cleanable.dirty.ratio", "0.25");
            admin.createTopics(List.of(new NewTopic("described", 1, (short) 1).configs(own))).all().get();
            ConfigResource topic = new ConfigResource(ConfigResource.Type.TOPIC, "described");
            Config config = admin.describeConfigs(List.of(topic), new DescribeConfigsOptions().includeSynonyms(true)
                .includeDocumentation(true)).all().get().get(topic);
            TreeSet<String> lines = new TreeSet<>();
            for (ConfigEntry e : config.entries()) {
                StringBuilder line = new StringBuilder(e.name() + " " + e.type() + " " + e.source() + " " + text(e.value()));
                for (ConfigEntry.ConfigSynonym s : e.synonyms())
                    if (s.source() != ConfigEntry.ConfigSource.DYNAMIC_DEFAULT_BROKER_CONFIG)
                        line.append(" ").append(s.source()).append(":").append(s.name()).append("=").append(text(s.value()));
                if (e.isReadOnly() || e.isSensitive() || e.documentation() == null)
                    line.append(" odd");
                lines.add(line.toString());
            }
            lines.forEach(System.out::println);
        }
    }
}
