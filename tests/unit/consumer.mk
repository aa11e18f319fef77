check_PROGRAMS += tests/unit/test_assign
tests_unit_test_assign_SOURCES = tests/unit/test_assign.c
tests_unit_test_assign_LDADD = libtap.la libclientcore.la libcommon.la
EXTRA_DIST += tests/assign/AssignTables.java tests/assign/golden.txt

# A consumer whose cluster, logs and group are the test.
noinst_LTLIBRARIES += libfeed.la
libfeed_la_SOURCES = tests/lib/feed.c tests/lib/feed.h
check_PROGRAMS += tests/unit/test_fetcher
tests_unit_test_fetcher_SOURCES = tests/unit/test_fetcher.c
tests_unit_test_fetcher_LDADD = libfeed.la libpuppet.la libtap.la libclientcore.la libcommon.la
check_PROGRAMS += tests/unit/test_group
tests_unit_test_group_SOURCES = tests/unit/test_group.c
tests_unit_test_group_LDADD = libfeed.la libpuppet.la libtap.la libclientcore.la libcommon.la
check_PROGRAMS += tests/unit/test_consumer
tests_unit_test_consumer_SOURCES = tests/unit/test_consumer.c
tests_unit_test_consumer_LDADD = libfeed.la libpuppet.la libtap.la libclientcore.la libcommon.la

# The public API, with threads, on a broker in the same process.
check_PROGRAMS += tests/unit/test_api_consumer
tests_unit_test_api_consumer_SOURCES = tests/unit/test_api_consumer.c tests/lib/inner.c tests/lib/inner.h
tests_unit_test_api_consumer_LDADD = libtap.la librefbroker.la libclientcore.la libcommon.la
check_PROGRAMS += tests/unit/test_client_keys
tests_unit_test_client_keys_SOURCES = tests/unit/test_client_keys.c
tests_unit_test_client_keys_LDADD = libfeed.la libpuppet.la libtap.la libclientcore.la libcommon.la
check_PROGRAMS += tests/unit/test_api_loop
tests_unit_test_api_loop_SOURCES = tests/unit/test_api_loop.c tests/lib/inner.c tests/lib/inner.h
tests_unit_test_api_loop_LDADD = libtap.la librefbroker.la libclientcore.la libcommon.la
