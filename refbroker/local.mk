# The reference broker: librefbroker holds everything but main, so that tests and embedders link the same objects.
noinst_LTLIBRARIES += librefbroker.la
librefbroker_la_SOURCES = \
	%D%/broker_config.c %D%/broker_config.h %D%/broker_config_page.c %D%/broker_config_table.c \
	%D%/node.c %D%/node.h %D%/node_state.h \
	%D%/cluster/creation.c %D%/cluster/creation.h %D%/cluster/image.c %D%/cluster/image.h \
	%D%/cluster/metalog.c %D%/cluster/metalog.h %D%/cluster/partition.c %D%/cluster/partition.h \
	%D%/cluster/stray.c %D%/cluster/stray.h \
	%D%/coord/commits.c %D%/coord/group.c %D%/coord/group.h %D%/coord/groups.c %D%/coord/groups.h \
	%D%/coord/handlers.h %D%/coord/listing.c %D%/coord/membership.c %D%/coord/rebalance.c %D%/coord/rebalance.h \
	%D%/handler/admin.c %D%/handler/configs.c %D%/handler/conn.c %D%/handler/conn.h %D%/handler/fetch.c \
	%D%/handler/fetch.h %D%/handler/handlers.h %D%/handler/metadata.c %D%/handler/offsets.c %D%/handler/pool.c \
	%D%/handler/pool.h %D%/handler/produce.c %D%/handler/receive.c %D%/handler/receive.h %D%/handler/request.c \
	%D%/handler/request.h %D%/handler/session.c %D%/handler/session.h %D%/handler/topics.c %D%/handler/versions.c
librefbroker_la_LIBADD = libcommon.la
include refbroker/log/local.mk

bin_PROGRAMS += refbroker/refbroker
refbroker_refbroker_SOURCES = %D%/main.c
refbroker_refbroker_LDADD = librefbroker.la
