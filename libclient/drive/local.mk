libcommon_la_SOURCES += %D%/clock.h %D%/loop.h
libcommon_la_SOURCES += %D%/slurp.c %D%/slurp.h
