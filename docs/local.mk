# Documents and examples.
# docs/configuration.md comes from the table of settings; tests/unit/test_client_settings fails while it is out of date.
EXTRA_PROGRAMS += docs/page_configuration
docs_page_configuration_SOURCES = %D%/page_configuration.c
docs_page_configuration_LDADD = libclientcore.la libcommon.la
CLEANFILES += docs/page_configuration
EXTRA_DIST += %D%/configuration.md
docs-configuration: docs/page_configuration
	$(AM_V_GEN)./docs/page_configuration >$(srcdir)/docs/configuration.md.new && \
	mv $(srcdir)/docs/configuration.md.new $(srcdir)/docs/configuration.md
.PHONY: docs-configuration
EXTRA_DIST += %D%/protocol.md
