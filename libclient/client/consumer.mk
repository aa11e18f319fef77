# the consumer and its group
libclientcore_la_SOURCES += \
    libclient/client/assign.c libclient/client/assign.h libclient/client/assign_sticky.c \
    libclient/client/consumer.c libclient/client/consumer.h libclient/client/consumer_app.c \
    libclient/client/consumer_app.h libclient/client/consumer_assign.c libclient/client/consumer_calls.c \
    libclient/client/consumer_commit.c libclient/client/consumer_list.c libclient/client/consumer_list.h \
    libclient/client/consumer_part.c libclient/client/consumer_statistics.c libclient/client/fetcher.c libclient/client/fetcher.h \
    libclient/client/fetcher_buffer.c libclient/client/fetcher_buffer.h libclient/client/fetcher_impl.h \
    libclient/client/fetcher_reply.c libclient/client/fetcher_send.c libclient/client/group.h \
    libclient/client/group_classic.c libclient/client/group_data.c libclient/client/group_data.h \
    libclient/client/group_impl.h libclient/client/group_join.c libclient/client/offsets.c \
    libclient/client/offsets.h libclient/client/offsets_group.c libclient/client/offsets_job.c \
    libclient/client/offsets_job.h
