libcommon_la_SOURCES += \
    %D%/batch.c %D%/batch.h %D%/batch_iter.c %D%/batch_walk.c %D%/build.c %D%/build.h %D%/compress.h \
    %D%/crc32c.c %D%/crc32c.h %D%/crc32c_hw.c %D%/crc32c_table.h %D%/legacy.c %D%/legacy.h \
    %D%/varint.c %D%/varint.h
