// SPDX-License-Identifier: BSD-2-Clause
//
// What a listener of an Apache Kafka broker says in ApiVersions, computed by Kafka's own classes, versions that are not
// stable left out. A line each: key, name, the versions shown from and to, the lowest version that is served.

import org.apache.kafka.common.message.ApiMessageType;
import org.apache.kafka.common.protocol.ApiKeys;

public class Apis {
    public static void main(String[] args) {
        for (ApiKeys k : ApiKeys.brokerApis())
            k.toApiVersionForApiResponse(false, ApiMessageType.ListenerType.BROKER).ifPresent(v -> System.out.println(
                v.apiKey() + " " + k.name + " " + v.minVersion() + " " + v.maxVersion() + " " + k.oldestVersion()));
    }
}
