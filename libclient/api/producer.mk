libclientcore_la_SOURCES += %D%/lockword.c %D%/producer.c %D%/producer.h %D%/report.c %D%/send.c
