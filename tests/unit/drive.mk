check_PROGRAMS += tests/unit/test_drive_tcp
tests_unit_test_drive_tcp_SOURCES = tests/unit/test_drive_tcp.c
tests_unit_test_drive_tcp_LDADD = libtap.la libcommon.la
