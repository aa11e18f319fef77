libclientcore_la_SOURCES += %D%/version.c
libclientcore_la_SOURCES += %D%/config.c
libclientcore_la_SOURCES += \
    %D%/handle.c %D%/handle.h %D%/observe.c %D%/open.c %D%/queue.c %D%/queue.h %D%/seat.c
libclientcore_la_SOURCES += %D%/admin.c %D%/client.c %D%/statistics.c
include libclient/api/producer.mk
include libclient/api/consumer.mk
