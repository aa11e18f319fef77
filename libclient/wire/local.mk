libcommon_la_SOURCES += \
    %D%/apis.c %D%/apis.h %D%/codec.c %D%/codec.h %D%/cursor.c %D%/cursor.h %D%/errors.c %D%/errors.h \
    %D%/frame.c %D%/frame.h %D%/messages.c %D%/messages.h %D%/schema.h %D%/value.c %D%/value.h \
    %D%/writer.c %D%/writer.h

# The generated pair stands in the source tree and in the tarball, so that a build from the tarball needs no Python.
BUILT_SOURCES += $(srcdir)/%D%/messages.h
MAINTAINERCLEANFILES += $(srcdir)/%D%/messages.c $(srcdir)/%D%/messages.h

$(srcdir)/%D%/messages.c: $(SCHEMAS) libclient/schema/gen.py
	$(AM_V_GEN)if test "$(PYTHON)" = ":"; then echo "Python 3 is needed to generate $@" >&2; exit 1; fi; \
	cd $(srcdir) && $(PYTHON) libclient/schema/gen.py %D% libclient/schema/*.msg

$(srcdir)/%D%/messages.h: $(srcdir)/%D%/messages.c
	$(AM_V_at)if test -f $@; then touch $@; else rm -f $(srcdir)/%D%/messages.c; \
	$(MAKE) $(AM_MAKEFLAGS) $(srcdir)/%D%/messages.c; fi
