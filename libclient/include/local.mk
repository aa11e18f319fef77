pkginclude_HEADERS = %D%/ferry/ferry.h %D%/ferry/error.h %D%/ferry/hooks.h %D%/ferry/producer.h %D%/ferry/consumer.h
