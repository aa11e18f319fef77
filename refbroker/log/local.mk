# Partition logs on Kafka's on-disk format.
librefbroker_la_SOURCES += %D%/files.h %D%/log.h %D%/settings.h
