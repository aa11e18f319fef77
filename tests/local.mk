# Test programs speak TAP; tests/run.sh runs them with everything else (tests/stages).
noinst_LTLIBRARIES += libtap.la
libtap_la_SOURCES = %D%/lib/tap.c %D%/lib/tap.h
EXTRA_DIST += %D%/run.sh %D%/stages %D%/lint %D%/kafka %D%/bench
EXTRA_DIST += %D%/lib/broker.sh %D%/lib/threads.py %D%/interop/README.md %D%/interop/plan.py %D%/interop/go/go.mod %D%/interop/go/go.sum \
    %D%/interop/go/main.go %D%/interop/js/main.js %D%/interop/js/package.json %D%/interop/with_aiokafka.py \
    %D%/interop/with_confluent.py %D%/interop/with_kafka_python.py
EXTRA_DIST += %D%/e2e/kafkawire.py %D%/e2e/hostile.py %D%/e2e/liar.py %D%/e2e/wreck.py
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
