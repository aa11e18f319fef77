# the consumer and its group
libclientcore_la_SOURCES += \
    libclient/client/assign.c libclient/client/assign.h libclient/client/assign_sticky.c \
    libclient/client/consumer.h libclient/client/consumer_app.h libclient/client/consumer_list.h \
    libclient/client/fetcher.h libclient/client/fetcher_buffer.h libclient/client/group.h
