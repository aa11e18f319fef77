check_PROGRAMS += tests/unit/test_assign
tests_unit_test_assign_SOURCES = tests/unit/test_assign.c
tests_unit_test_assign_LDADD = libtap.la libclientcore.la libcommon.la
EXTRA_DIST += tests/assign/AssignTables.java tests/assign/golden.txt
