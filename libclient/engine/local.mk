libcommon_la_SOURCES += %D%/env.c %D%/env.h
libcommon_la_SOURCES += %D%/conn.c %D%/conn.h %D%/frames.c %D%/frames.h
