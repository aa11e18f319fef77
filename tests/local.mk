# Test programs speak TAP; tests/run.sh runs them with everything else (tests/stages).
noinst_LTLIBRARIES += libtap.la
libtap_la_SOURCES = %D%/lib/tap.c %D%/lib/tap.h
EXTRA_DIST += %D%/run.sh %D%/stages %D%/lint %D%/kafka %D%/bench
include tests/unit/base.mk
include tests/unit/drive.mk
include tests/unit/sim.mk
include tests/unit/broker.mk
include tests/unit/record.mk
include tests/unit/client.mk
include tests/unit/wire.mk
include tests/unit/producer.mk
include tests/unit/consumer.mk
include tests/unit/log.mk
