libcommon_la_SOURCES += %D%/env.c %D%/env.h
