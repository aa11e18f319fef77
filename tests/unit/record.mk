noinst_LTLIBRARIES += librecordtext.la
librecordtext_la_SOURCES = tests/lib/record_text.c tests/lib/record_text.h
EXTRA_DIST += tests/vectors/record tests/interop/RecordTool.java
RECORD_TESTS = tests/unit/test_record_crc tests/unit/test_record_batch tests/unit/test_record_compress \
    tests/unit/test_record_vectors
check_PROGRAMS += $(RECORD_TESTS)
tests_unit_test_record_crc_SOURCES = tests/unit/test_record_crc.c
tests_unit_test_record_crc_LDADD = libtap.la libcommon.la
tests_unit_test_record_batch_SOURCES = tests/unit/test_record_batch.c
tests_unit_test_record_batch_LDADD = libtap.la libcommon.la
tests_unit_test_record_compress_SOURCES = tests/unit/test_record_compress.c
tests_unit_test_record_compress_LDADD = libtap.la libcommon.la
tests_unit_test_record_vectors_SOURCES = tests/unit/test_record_vectors.c
tests_unit_test_record_vectors_LDADD = librecordtext.la libtap.la libcommon.la
