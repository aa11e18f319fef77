# The console tools: public headers only.
noinst_LTLIBRARIES += libcli.la
libcli_la_SOURCES = %D%/opt.c %D%/opt.h %D%/json.c %D%/json.h %D%/lines.c %D%/lines.h
libcli_la_LIBADD = $(JANSSON_LIBS) $(OPENSSL_LIBS)
tool_libs = libcli.la libferry.la

EXTRA_PROGRAMS += ferry-console-producer ferry-console-consumer
ferry_console_producer_SOURCES = %D%/ferry-console-producer.c
ferry_console_producer_LDADD = $(tool_libs)
ferry_console_consumer_SOURCES = %D%/ferry-console-consumer.c
ferry_console_consumer_LDADD = $(tool_libs)
