check_PROGRAMS += tests/unit/test_client_settings
tests_unit_test_client_settings_SOURCES = tests/unit/test_client_settings.c
tests_unit_test_client_settings_LDADD = libtap.la libclientcore.la libcommon.la
