# SPDX-License-Identifier: MIT
#
# tests/fuzz/local.mk - fuzz targets.  make check replays what was found, and inputs of a fixed seed;
# `make fuzz` lets libFuzzer run, `make fuzz-afl` AFL++ (tests/fuzz/fuzz.sh says how long and what
# they need).

FUZZ_TESTS = tests/fuzz/replay-api tests/fuzz/replay-options
tests_fuzz_replay_api_SOURCES = tests/fuzz/replay.c tests/fuzz/api.c tests/fuzz/input.h
tests_fuzz_replay_api_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/src -DFUZZ_INPUTS=60 \
	-DFUZZ_FOUND='"$(abs_top_srcdir)/tests/fuzz/found/api-*"'
tests_fuzz_replay_api_CFLAGS = $(TEST_COMPILE)
tests_fuzz_replay_api_LDFLAGS = $(TEST_LINK) $(UNIT_WRAP) -Wl,--wrap=arn_os_map_sparse \
	-Wl,--wrap=pthread_key_create
tests_fuzz_replay_api_LDADD = libcore.la -lpthread
tests_fuzz_replay_options_SOURCES = tests/fuzz/replay.c tests/fuzz/options.c tests/fuzz/input.h
tests_fuzz_replay_options_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/src -DFUZZ_INPUTS=2000 \
	-DFUZZ_FOUND='"$(abs_top_srcdir)/tests/fuzz/found/options-*"'
tests_fuzz_replay_options_CFLAGS = $(TEST_COMPILE)
tests_fuzz_replay_options_LDFLAGS = $(TEST_LINK) -Wl,--wrap=arn_warn
tests_fuzz_replay_options_LDADD = libcore.la -lpthread
check_PROGRAMS += $(FUZZ_TESTS)
TESTS += $(FUZZ_TESTS)
EXTRA_DIST += tests/fuzz/core.c tests/fuzz/json.c tests/fuzz/fuzz.sh \
	tests/fuzz/found/api-sized-after-refused-shrink tests/fuzz/found/options-yes-no

FUZZ_SECONDS = 900
fuzz: all
	FUZZ_SECONDS=$(FUZZ_SECONDS) LIBDIR=$(abs_top_builddir)/.libs \
	  TOP_BUILDDIR=$(abs_top_builddir) $(BASH_PROG) $(srcdir)/tests/fuzz/fuzz.sh libfuzzer
fuzz-afl: all
	FUZZ_SECONDS=$(FUZZ_SECONDS) LIBDIR=$(abs_top_builddir)/.libs \
	  TOP_BUILDDIR=$(abs_top_builddir) $(BASH_PROG) $(srcdir)/tests/fuzz/fuzz.sh afl
