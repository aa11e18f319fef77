# files of accum
libclientcore_la_SOURCES += %D%/accum.h %D%/chunks.h %D%/sealed.h
