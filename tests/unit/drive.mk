check_PROGRAMS += tests/unit/test_drive_tcp tests/unit/test_api_queue tests/unit/test_api_queue_seat
tests_unit_test_drive_tcp_SOURCES = tests/unit/test_drive_tcp.c
tests_unit_test_drive_tcp_LDADD = libtap.la libcommon.la
tests_unit_test_api_queue_SOURCES = tests/unit/test_api_queue.c
tests_unit_test_api_queue_LDADD = libtap.la libclientcore.la libcommon.la
tests_unit_test_api_queue_seat_SOURCES = tests/unit/test_api_queue_seat.c
tests_unit_test_api_queue_seat_LDADD = libtap.la libclientcore.la libcommon.la
