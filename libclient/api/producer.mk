libclientcore_la_SOURCES += libclient/api/lockword.c libclient/api/lockword.h libclient/api/producer.c libclient/api/producer.h \
    libclient/api/report.c libclient/api/send.c
