check_PROGRAMS += tests/unit/test_broker_config
tests_unit_test_broker_config_SOURCES = tests/unit/test_broker_config.c
tests_unit_test_broker_config_LDADD = libtap.la librefbroker.la
