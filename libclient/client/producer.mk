libclientcore_la_SOURCES += \
    libclient/client/idempotence.c libclient/client/partitioner.c libclient/client/partitioner.h \
    libclient/client/sender.c libclient/client/sender.h libclient/client/sender_append.c \
    libclient/client/sender_internal.h libclient/client/sender_lane.c libclient/client/sender_request.c \
    libclient/client/sender_split.c libclient/client/sender_statistics.c
