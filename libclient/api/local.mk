libclientcore_la_SOURCES += %D%/version.c
libclientcore_la_SOURCES += %D%/config.c
libclientcore_la_SOURCES += %D%/handle.h %D%/queue.h
