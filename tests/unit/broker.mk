check_PROGRAMS += tests/unit/test_broker_config
tests_unit_test_broker_config_SOURCES = tests/unit/test_broker_config.c
tests_unit_test_broker_config_LDADD = libtap.la librefbroker.la

noinst_LTLIBRARIES += libbrokerbench.la
libbrokerbench_la_SOURCES = tests/unit/broker_bench.c tests/unit/broker_bench.h
check_PROGRAMS += tests/unit/test_broker
tests_unit_test_broker_SOURCES = tests/unit/test_broker.c
tests_unit_test_broker_LDADD = libtap.la libbrokerbench.la libsim.la librefbroker.la libcommon.la
check_PROGRAMS += tests/unit/test_broker_groups
tests_unit_test_broker_groups_SOURCES = tests/unit/test_broker_groups.c
tests_unit_test_broker_groups_LDADD = libtap.la libbrokerbench.la libsim.la librefbroker.la libcommon.la
check_PROGRAMS += tests/unit/test_broker_versions
tests_unit_test_broker_versions_SOURCES = tests/unit/test_broker_versions.c
tests_unit_test_broker_versions_LDADD = libtap.la libbrokerbench.la libsim.la librefbroker.la libcommon.la
EXTRA_DIST += tests/vectors/apis.txt tests/codec/Apis.java
