# Partition logs on Kafka's on-disk format.
librefbroker_la_SOURCES += %D%/files.c %D%/files.h %D%/small.c %D%/index.c %D%/index.h %D%/epochs.c %D%/epochs.h \
    %D%/producers.c %D%/producers.h %D%/log.c %D%/log.h %D%/settings.h %D%/internal.h %D%/append.c %D%/flush.c \
    %D%/segment.c %D%/seek.c %D%/seek.h %D%/read.c %D%/lookup.c %D%/scan.c %D%/recover.c %D%/recover.h %D%/rescan.c \
    %D%/recode.c %D%/unlink.c %D%/cut.c %D%/dir.c
