# The console tools: public headers only.
noinst_LTLIBRARIES += libcli.la
libcli_la_SOURCES = %D%/admin.c %D%/admin.h %D%/histogram.c %D%/histogram.h %D%/json.c %D%/json.h \
    %D%/lines.c %D%/lines.h %D%/opt.c %D%/opt.h %D%/pattern.c %D%/pattern.h %D%/properties.c \
    %D%/table.c %D%/table.h
libcli_la_LIBADD = $(JANSSON_LIBS) $(OPENSSL_LIBS)
tool_libs = libcli.la libferry.la

bin_PROGRAMS += ferry-topics ferry-groups
ferry_topics_SOURCES = %D%/ferry-topics.c
ferry_topics_LDADD = $(tool_libs)
ferry_groups_SOURCES = %D%/ferry-groups.c %D%/groups.h %D%/groups_change.c %D%/groups_describe.c \
    %D%/groups_list.c %D%/reset.c %D%/reset.h
ferry_groups_LDADD = $(tool_libs)
bin_PROGRAMS += ferry-console-producer ferry-console-consumer ferry-perf
ferry_console_producer_SOURCES = %D%/ferry-console-producer.c
ferry_console_producer_LDADD = $(tool_libs)
ferry_console_consumer_SOURCES = %D%/ferry-console-consumer.c %D%/format.c %D%/format.h
ferry_console_consumer_LDADD = $(tool_libs)
ferry_perf_SOURCES = %D%/ferry-perf.c
ferry_perf_LDADD = $(tool_libs)
