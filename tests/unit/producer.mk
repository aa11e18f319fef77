check_PROGRAMS += tests/unit/test_accum
tests_unit_test_accum_SOURCES = tests/unit/test_accum.c
tests_unit_test_accum_LDADD = libtap.la libclientcore.la libcommon.la
check_PROGRAMS += tests/unit/test_partitioner
tests_unit_test_partitioner_SOURCES = tests/unit/test_partitioner.c
tests_unit_test_partitioner_LDADD = libtap.la libclientcore.la libcommon.la
EXTRA_DIST += tests/vectors/partitioners.txt

# The tables that tests/stages/35-partitioners.sh compares with Java's and librdkafka's.
EXTRA_PROGRAMS += tests/interop/partitioners/ours
tests_interop_partitioners_ours_SOURCES = tests/interop/partitioners/ours.c
tests_interop_partitioners_ours_LDADD = libclientcore.la libcommon.la
EXTRA_DIST += tests/interop/partitioners/keys.py tests/interop/partitioners/Partitions.java tests/interop/partitioners/rdkafka.c

# The sender against a cluster that is the test.
check_PROGRAMS += tests/unit/test_sender
tests_unit_test_sender_SOURCES = tests/unit/test_sender.c tests/lib/sink.c tests/lib/sink.h
tests_unit_test_sender_LDADD = libpuppet.la libtap.la libclientcore.la libcommon.la

check_PROGRAMS += tests/unit/test_sender_rules
tests_unit_test_sender_rules_SOURCES = tests/unit/test_sender_rules.c tests/lib/sink.c tests/lib/sink.h
tests_unit_test_sender_rules_LDADD = libpuppet.la libtap.la libclientcore.la libcommon.la

# The public API, with threads, on a broker in the same process.
check_PROGRAMS += tests/unit/test_api_producer
tests_unit_test_api_producer_SOURCES = tests/unit/test_api_producer.c tests/lib/inner.c tests/lib/inner.h
tests_unit_test_api_producer_LDADD = libtap.la librefbroker.la libclientcore.la libcommon.la

# Against running brokers: tests/stages/73-producer.sh.
noinst_PROGRAMS += tests/e2e/producer
tests_e2e_producer_SOURCES = tests/e2e/producer.c
tests_e2e_producer_LDADD = libferry.la

# A member of a group: tests/stages/63-kafka-tools.sh.
noinst_PROGRAMS += tests/e2e/group
tests_e2e_group_SOURCES = tests/e2e/group.c
tests_e2e_group_LDADD = libferry.la
