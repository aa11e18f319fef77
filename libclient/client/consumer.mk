# the consumer and its group
noinst_HEADERS += \
    libclient/client/consumer.h libclient/client/consumer_app.h libclient/client/consumer_list.h \
    libclient/client/fetcher.h libclient/client/fetcher_buffer.h libclient/client/group.h
