noinst_LTLIBRARIES += liblogbench.la
liblogbench_la_SOURCES = tests/unit/log_bench.c tests/unit/log_bench.h
check_PROGRAMS += tests/unit/test_log
tests_unit_test_log_SOURCES = tests/unit/test_log.c
tests_unit_test_log_LDADD = libtap.la liblogbench.la libsim.la librefbroker.la libcommon.la
check_PROGRAMS += tests/unit/test_log_crash
tests_unit_test_log_crash_SOURCES = tests/unit/test_log_crash.c
tests_unit_test_log_crash_LDADD = libtap.la liblogbench.la libsim.la librefbroker.la libcommon.la
