noinst_LTLIBRARIES += libsim.la
libsim_la_SOURCES = tests/sim/world.c tests/sim/world.h tests/sim/net.c tests/sim/net.h tests/sim/execute.c \
    tests/sim/files.c tests/sim/disk.c tests/sim/disk.h tests/sim/internal.h
check_PROGRAMS += tests/unit/test_sim_world
tests_unit_test_sim_world_SOURCES = tests/unit/test_sim_world.c
tests_unit_test_sim_world_LDADD = libtap.la libsim.la libcommon.la

# Seeded runs of clients against a broker: tests/stages/35-sim.sh, docs/simulation.md.
noinst_PROGRAMS += tests/sim/run
tests_sim_run_SOURCES = tests/sim/run.c tests/sim/scene.c tests/sim/scene.h tests/sim/broker.c tests/sim/clients.c \
    tests/sim/producers.c tests/sim/consumers.c tests/sim/observer.c tests/sim/faults.c tests/sim/ledger.c tests/sim/ledger.h
tests_sim_run_LDADD = libsim.la librefbroker.la libclientcore.la libcommon.la
