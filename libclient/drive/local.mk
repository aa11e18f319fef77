libcommon_la_SOURCES += %D%/clock.h %D%/loop.h
