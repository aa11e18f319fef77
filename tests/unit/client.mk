# A client engine whose world is the test.
noinst_LTLIBRARIES += libpuppet.la
libpuppet_la_SOURCES = tests/lib/probe.c tests/lib/probe.h tests/lib/puppet.c tests/lib/puppet.h

check_PROGRAMS += tests/unit/test_client_settings
tests_unit_test_client_settings_SOURCES = tests/unit/test_client_settings.c
tests_unit_test_client_settings_LDADD = libtap.la libclientcore.la libcommon.la
check_PROGRAMS += tests/unit/test_client_connections tests/unit/test_client_cluster tests/unit/test_client_requests
tests_unit_test_client_connections_SOURCES = tests/unit/test_client_connections.c
tests_unit_test_client_connections_LDADD = libpuppet.la libtap.la libclientcore.la libcommon.la
tests_unit_test_client_cluster_SOURCES = tests/unit/test_client_cluster.c
tests_unit_test_client_cluster_LDADD = libpuppet.la libtap.la libclientcore.la libcommon.la
tests_unit_test_client_requests_SOURCES = tests/unit/test_client_requests.c
tests_unit_test_client_requests_LDADD = libpuppet.la libtap.la libclientcore.la libcommon.la
check_PROGRAMS += tests/unit/test_client_admin
tests_unit_test_client_admin_SOURCES = tests/unit/test_client_admin.c
tests_unit_test_client_admin_LDADD = libpuppet.la libtap.la libclientcore.la libcommon.la

# Against a running broker: tests/stages/70-admin.sh.
noinst_PROGRAMS += tests/e2e/admin
tests_e2e_admin_SOURCES = tests/e2e/admin.c
tests_e2e_admin_LDADD = libtap.la libferry.la
