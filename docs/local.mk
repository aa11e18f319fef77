# Documents and examples.
# docs/configuration.md comes from the table of settings; tests/unit/test_client_settings fails while it is out of date.
EXTRA_PROGRAMS += docs/page_configuration
docs_page_configuration_SOURCES = %D%/page_configuration.c
docs_page_configuration_LDADD = libclientcore.la libcommon.la
CLEANFILES += docs/page_configuration
EXTRA_DIST += %D%/configuration.md %D%/benchmarks.md
docs-configuration: docs/page_configuration
	$(AM_V_GEN)./docs/page_configuration >$(srcdir)/docs/configuration.md.new && \
	mv $(srcdir)/docs/configuration.md.new $(srcdir)/docs/configuration.md
.PHONY: docs-configuration
# The broker's page likewise; tests/unit/test_broker_config watches it.
EXTRA_PROGRAMS += docs/page_configuration_broker
docs_page_configuration_broker_SOURCES = %D%/page_configuration_broker.c
docs_page_configuration_broker_LDADD = librefbroker.la
CLEANFILES += docs/page_configuration_broker
EXTRA_DIST += %D%/configuration-broker.md
docs-configuration-broker: docs/page_configuration_broker
	$(AM_V_GEN)./docs/page_configuration_broker >$(srcdir)/docs/configuration-broker.md.new && \
	mv $(srcdir)/docs/configuration-broker.md.new $(srcdir)/docs/configuration-broker.md
.PHONY: docs-configuration-broker
EXTRA_DIST += %D%/guide.md %D%/tools.md %D%/protocol.md %D%/statistics.md %D%/simulation.md %D%/architecture.md %D%/examples
# Man pages are made by packaging/man.py from --help; tests/lint/man.sh fails while one is out of date.
dist_man1_MANS += %D%/man/ferry-console-consumer.1 %D%/man/ferry-console-producer.1 %D%/man/ferry-groups.1 \
    %D%/man/ferry-perf.1 %D%/man/ferry-topics.1 %D%/man/refbroker.1
EXTRA_DIST += packaging/man.py
