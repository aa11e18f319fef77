libcommon_la_SOURCES += \
    %D%/batch.c %D%/batch.h %D%/batch_iter.c %D%/batch_next.h %D%/batch_walk.c %D%/build.c %D%/build.h \
    %D%/compress.c %D%/compress.h %D%/compress_impl.h \
    %D%/crc32c.c %D%/crc32c.h %D%/crc32c_hw.c %D%/crc32c_table.h %D%/legacy.c %D%/legacy.h \
    %D%/varint.c %D%/varint.h
if HAVE_ZLIB
libcommon_la_SOURCES += %D%/gzip.c
endif
if HAVE_SNAPPY
libcommon_la_SOURCES += %D%/snappy.c
endif
if HAVE_LZ4
libcommon_la_SOURCES += %D%/lz4.c
endif
if HAVE_ZSTD
libcommon_la_SOURCES += %D%/zstd.c
endif
