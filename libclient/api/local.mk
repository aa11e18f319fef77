libclientcore_la_SOURCES += %D%/version.c
