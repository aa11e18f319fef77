libclientcore_la_SOURCES += \
    %D%/admin.c %D%/admin.h %D%/admin_configs.c %D%/admin_groups.c %D%/admin_items.c %D%/admin_offsets.c \
    %D%/admin_topics.c \
    %D%/broker.c %D%/broker.h %D%/client.c %D%/client.h %D%/cluster.c %D%/cluster.h %D%/coordinator.c %D%/core.h \
    %D%/line.c %D%/metadata.c %D%/request.c %D%/request.h \
    %D%/settings.c %D%/settings.h %D%/settings_config.c %D%/settings_parse.c \
    %D%/statistics.c %D%/statistics.h %D%/window.c %D%/window.h
include libclient/client/consumer.mk
include libclient/client/producer.mk
