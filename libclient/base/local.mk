libcommon_la_SOURCES += \
    %D%/arena.c %D%/arena.h %D%/bytes.h %D%/check.c %D%/check.h %D%/err.c %D%/err.h \
    %D%/heap.c %D%/heap.h %D%/list.h %D%/map.c %D%/map.h %D%/mem.c %D%/mem.h \
    %D%/options.c %D%/options.h %D%/plant.h %D%/prng.c %D%/prng.h %D%/slab.c %D%/slab.h %D%/text.c %D%/text.h
