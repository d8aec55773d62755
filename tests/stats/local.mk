# SPDX-License-Identifier: MIT
#
# The tests of alloc-stats.  Included by tools/alloc-stats/local.mk.

STATS_TESTS = \
	tests/stats/figures.py \
	tests/stats/hostile.py \
	tests/stats/forms.py \
	tests/stats/command.py \
	tests/stats/gdb.py \
	tests/stats/redis.py
EXTRA_DIST += $(STATS_TESTS) tests/stats/lib.py tests/stats/layout.c
TESTS += $(STATS_TESTS)
