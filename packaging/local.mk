pkgconfigdir = $(libdir)/pkgconfig
pkgconfig_DATA = packaging/ferry.pc
EXTRA_DIST += packaging/ferry.pc.in packaging/quickstart.sh packaging/build.sh packaging/deps.sh
