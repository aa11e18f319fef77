libclientcore_la_SOURCES += %D%/partitioner.c %D%/partitioner.h
libclientcore_la_SOURCES += \
    %D%/broker.c %D%/broker.h %D%/client.c %D%/client.h %D%/cluster.c %D%/cluster.h %D%/coordinator.c %D%/core.h \
    %D%/line.c %D%/metadata.c %D%/request.c %D%/request.h \
    %D%/settings.c %D%/settings.h %D%/settings_config.c %D%/settings_parse.c
include libclient/client/consumer.mk
