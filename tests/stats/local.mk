# SPDX-License-Identifier: MIT
#
# tests/stats/local.mk - the tests of alloc-stats, run where it is built and distributed always.

STATS_TESTS = \
	tests/stats/figures.py \
	tests/stats/hostile.py \
	tests/stats/forms.py \
	tests/stats/command.py \
	tests/stats/gdb.py \
	tests/stats/redis.py
EXTRA_DIST += $(STATS_TESTS) tests/stats/lib.py tests/stats/layout.c bench/alloc-stats
if ALLOC_STATS
TESTS += $(STATS_TESTS)
check_PROGRAMS += tests/stats/alloc-stats-ub
# The tool once more: what C leaves undefined traps, which needs no runtime of a sanitizer.  Alignment
# is left out, as in fuzzing: what is read may lie anywhere.
tests_stats_alloc_stats_ub_SOURCES = $(tools_alloc_stats_alloc_stats_SOURCES)
tests_stats_alloc_stats_ub_CPPFLAGS = $(tools_alloc_stats_alloc_stats_CPPFLAGS)
tests_stats_alloc_stats_ub_CFLAGS = $(tools_alloc_stats_alloc_stats_CFLAGS) \
	-fsanitize=undefined,float-cast-overflow -fno-sanitize=alignment -fsanitize-undefined-trap-on-error
tests_stats_alloc_stats_ub_LDADD = $(tools_alloc_stats_alloc_stats_LDADD)
endif
