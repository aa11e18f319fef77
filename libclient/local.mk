# The library in its layers. Left may be used by right (tests/lint/layers.sh enforces it):
#   base < wire < record < engine < client < api        record < accum < client        engine < drive < api
#
# libcommon holds base to drive, which the broker shares; libclientcore the rest; libferry.so is both behind ferry.map.
noinst_LTLIBRARIES += libcommon.la libclientcore.la
libcommon_la_SOURCES =
libcommon_la_LIBADD = $(FERRY_LIBS)
libclientcore_la_SOURCES =
nodist_libcommon_la_SOURCES =

include libclient/include/local.mk
include libclient/base/local.mk
include libclient/schema/local.mk
include libclient/wire/local.mk
include libclient/record/local.mk
include libclient/engine/local.mk
include libclient/drive/local.mk
include libclient/accum/local.mk
include libclient/client/local.mk
include libclient/api/local.mk

lib_LTLIBRARIES += libferry.la
libferry_la_SOURCES =
libferry_la_LIBADD = libclientcore.la libcommon.la
libferry_la_LDFLAGS = $(AM_LDFLAGS) -version-info 0:0:0 -no-undefined -Wl,--version-script=$(srcdir)/libclient/ferry.map
libferry_la_DEPENDENCIES = libclientcore.la libcommon.la $(srcdir)/libclient/ferry.map
EXTRA_DIST += libclient/ferry.map
