libclientcore_la_SOURCES += %D%/partitioner.c %D%/partitioner.h \
    %D%/broker.h %D%/client.h %D%/cluster.h %D%/request.h \
    %D%/settings.c %D%/settings.h %D%/settings_config.c %D%/settings_parse.c
include libclient/client/consumer.mk
