# files of accum
libclientcore_la_SOURCES += %D%/accum.c %D%/accum.h %D%/plain.h %D%/chunks.c %D%/chunks.h %D%/sealed.c %D%/sealed.h
