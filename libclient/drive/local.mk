libcommon_la_SOURCES += \
    %D%/address.c %D%/address.h %D%/clock.c %D%/clock.h %D%/disk.c %D%/ids.c %D%/ids.h \
    %D%/internal.h %D%/loop.c %D%/loop.h %D%/pool.c %D%/pool.h %D%/resolve.c %D%/slurp.c \
    %D%/slurp.h %D%/tcp.c %D%/thread.c %D%/thread.h
