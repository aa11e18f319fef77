libclientcore_la_SOURCES += libclient/api/consumer.c libclient/api/consumer.h \
    libclient/api/consumer_calls.c libclient/api/consumer_poll.c
