# The reference broker: librefbroker holds everything but main, so that tests and embedders link the same objects.
noinst_LTLIBRARIES += librefbroker.la
librefbroker_la_SOURCES = \
	%D%/broker_config.c %D%/broker_config.h %D%/broker_config_table.c \
	%D%/node.h
librefbroker_la_LIBADD = libcommon.la
include refbroker/log/local.mk
