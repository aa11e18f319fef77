noinst_LTLIBRARIES += libsim.la
libsim_la_SOURCES = tests/sim/world.c tests/sim/world.h tests/sim/net.c tests/sim/net.h tests/sim/execute.c \
    tests/sim/files.c tests/sim/disk.c tests/sim/disk.h tests/sim/internal.h
check_PROGRAMS += tests/unit/test_sim_world
tests_unit_test_sim_world_SOURCES = tests/unit/test_sim_world.c
tests_unit_test_sim_world_LDADD = libtap.la libsim.la libcommon.la
