noinst_LTLIBRARIES += libsim.la
libsim_la_SOURCES = tests/sim/world.c tests/sim/world.h tests/sim/net.c tests/sim/net.h tests/sim/execute.c \
    tests/sim/files.c tests/sim/disk.c tests/sim/disk.h tests/sim/internal.h
check_PROGRAMS += tests/unit/test_sim_world
tests_unit_test_sim_world_SOURCES = tests/unit/test_sim_world.c
tests_unit_test_sim_world_LDADD = libtap.la libsim.la libcommon.la

# Seeded runs of clients against a broker: tests/stages/35-sim.sh, docs/simulation.md.
noinst_LTLIBRARIES += libscene.la
libscene_la_SOURCES = tests/sim/scene.c tests/sim/scene.h tests/sim/broker.c tests/sim/clients.c tests/sim/producers.c \
    tests/sim/consumers.c tests/sim/observer.c tests/sim/faults.c tests/sim/ledger.c tests/sim/ledger.h
noinst_PROGRAMS += tests/sim/run
tests_sim_run_SOURCES = tests/sim/run.c
tests_sim_run_LDADD = libscene.la libsim.la librefbroker.la libclientcore.la libcommon.la

# The same with bugs planted (base/plant.h): the files that hold plants, compiled again, come before the libraries that
# have them too. Nothing else is built with the flag. tests/stages/36-sim-plants.sh makes it.
if PLANTED_BUGS
noinst_PROGRAMS += tests/sim/planted
else
EXTRA_PROGRAMS += tests/sim/planted
endif
tests_sim_planted_SOURCES = tests/sim/planted.c refbroker/log/append.c refbroker/log/flush.c refbroker/log/producers.c \
    refbroker/log/rescan.c refbroker/cluster/partition.c refbroker/cluster/image.c refbroker/coord/commits.c refbroker/coord/rebalance.c \
    libclient/client/sender_lane.c libclient/client/sender_request.c libclient/client/offsets_group.c \
    libclient/client/fetcher_reply.c libclient/client/group_join.c libclient/client/client.c
tests_sim_planted_CPPFLAGS = $(AM_CPPFLAGS) -DFERRY_PLANTED_BUGS
tests_sim_planted_LDADD = libscene.la libsim.la librefbroker.la libclientcore.la libcommon.la
CLEANFILES += tests/sim/planted
