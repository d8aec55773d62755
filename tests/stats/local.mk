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
endif
