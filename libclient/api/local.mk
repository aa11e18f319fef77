libclientcore_la_SOURCES += %D%/version.c
libclientcore_la_SOURCES += %D%/config.c
libclientcore_la_SOURCES += %D%/handle.c %D%/handle.h %D%/open.c %D%/queue.c %D%/queue.h %D%/seat.c
