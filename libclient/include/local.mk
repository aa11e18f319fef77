pkginclude_HEADERS = %D%/ferry/ferry.h %D%/ferry/error.h
pkginclude_HEADERS += %D%/ferry/admin.h %D%/ferry/client.h %D%/ferry/config.h
pkginclude_HEADERS += %D%/ferry/hooks.h %D%/ferry/loop.h %D%/ferry/observe.h %D%/ferry/queue.h
pkginclude_HEADERS += %D%/ferry/producer.h
pkginclude_HEADERS += %D%/ferry/consumer.h
pkginclude_HEADERS += %D%/ferry/kafka_errors.h
